"""Pickers offer what one may choose, and nothing else, however one asks."""

import pytest

from customers.models import Contact
from tests import factories as make

pytestmark = pytest.mark.django_db


def offered(client, person, address):
    client.force_login(person)
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.json()


def labels(found):
    return [option["label"] for option in found["options"]]


@pytest.mark.parametrize("text", ["qing", "QINGHE w", "water"])
def test_a_customer_is_found_by_a_part_of_its_name(client, text):
    rep = make.user(name="Chen Yu")
    make.customer(rep, name="Qinghe Water Group")
    make.customer(rep, name="Fuhua Middle School")
    found = offered(client, rep, f"/customers/pick/?q={text}")
    assert labels(found) == ["Qinghe Water Group"]
    assert found["options"][0]["second"] == "Shijiazhuang, Chen Yu"
    assert found["create"]["url"].startswith("/new/customer/?name=")


def test_a_chinese_name_is_found_by_its_pinyin(client):
    rep = make.user()
    make.customer(rep, name="清河水务集团")
    assert labels(offered(client, rep, "/customers/pick/?q=qinghe")) == ["清河水务集团"]
    assert labels(offered(client, rep, "/customers/pick/?q=水务")) == ["清河水务集团"]


@pytest.mark.parametrize("text", ["", "qing", "Qinghe Water Group", "%", "_", "'", "\x00", "q" * 5000])
def test_a_customer_that_one_sees_only_by_name_or_not_at_all_is_not_offered(client, text):
    owner, reader, stranger = make.user(), make.user(at="jinan"), make.user(at="jinan")
    customer = make.customer(owner, name="Qinghe Water Group")
    make.opportunity(owner, customer=customer).share(by=owner, people=[reader])
    for person in (reader, stranger):
        assert labels(offered(client, person, f"/customers/pick/?q={text}")) == []


def test_contacts_are_offered_of_one_customer(client):
    rep = make.user()
    one, other = make.customer(rep), make.customer(rep)
    make.contact(one, name="Ding Yan", title="Procurement")
    make.contact(other, name="Ding Li")
    assert labels(offered(client, rep, f"/contacts/pick/?customer={one.pk}&q=ding")) == ["Ding Yan"]
    assert labels(offered(client, rep, "/contacts/pick/?q=ding")) == ["Ding Li", "Ding Yan"]
    assert offered(client, rep, f"/contacts/pick/?customer={one.pk}")["options"][0]["second"].startswith(
        "Procurement, "
    )


@pytest.mark.parametrize("customer", ["abc", "9" * 30, "-1", "²", ""])
def test_a_customer_key_that_is_none_narrows_nothing_and_breaks_nothing(client, customer):
    rep = make.user()
    make.contact(make.customer(rep), name="Ding Yan")
    assert labels(offered(client, rep, f"/contacts/pick/?customer={customer}")) == ["Ding Yan"]


def test_contacts_that_one_does_not_see_are_not_offered(client):
    owner, reader = make.user(), make.user(at="jinan")
    customer = make.customer(owner)
    named, hidden = make.contact(customer, name="Ding Yan"), make.contact(customer, name="Ding Li")
    shared = make.opportunity(owner, customer=customer)
    shared.add_contact(contact=named, by=owner)
    shared.share(by=owner, people=[reader])
    assert labels(offered(client, reader, f"/contacts/pick/?customer={customer.pk}&q=ding")) == ["Ding Yan"]
    assert hidden in Contact.objects.visible_to(owner)


def test_people_are_those_who_work_here_now_with_where_and_as_what(client):
    rep = make.user("rep.jinan", "rep", "gm", name="Li Na", at="jinan")
    gone = make.user(name="Li Gone")
    gone.is_active = False
    gone.save()
    found = offered(client, rep, "/people/pick/?q=li")
    assert labels(found) == ["Li Na"]
    assert found["options"][0]["second"] == "Jinan, Sales rep, GM"
    assert labels(offered(client, rep, "/people/pick/?q=rep.jin")) == ["Li Na"]


def test_departments_are_found_by_their_names_in_any_language(client):
    rep = make.user()
    assert labels(offered(client, rep, "/departments/pick/?q=shijia")) == ["Shijiazhuang"]
    assert labels(offered(client, rep, "/departments/pick/?q=总部")) == ["Head office"]
    assert offered(client, rep, "/departments/pick/?q=shijia")["options"][0]["second"] == "Hebei"
    city = rep.department
    city.active = False
    city.save()
    assert labels(offered(client, rep, "/departments/pick/?q=shijia")) == []


@pytest.mark.parametrize("address", ["/customers/pick/", "/contacts/pick/", "/people/pick/", "/departments/pick/"])
def test_a_picker_answers_nobody_who_is_not_signed_in_and_takes_nothing(client, address):
    assert client.get(address)["Location"].startswith("/accounts/login/")
    client.force_login(make.user())
    assert client.post(address).status_code == 405


@pytest.mark.parametrize("address", ["/customers/pick/", "/contacts/pick/", "/people/pick/", "/departments/pick/"])
def test_a_long_list_costs_no_more_queries_than_a_short_one(client, address, django_assert_max_num_queries):
    rep = make.user()
    costs = []
    for count in (1, 20):
        for _number in range(count):
            make.contact(make.customer(rep))
            make.user()
        client.force_login(rep)
        client.get(address)
        with django_assert_max_num_queries(6) as queries:
            client.get(address)
        costs.append(len(queries))
    assert costs[0] == costs[1]
