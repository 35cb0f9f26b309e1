"""
The page of a customer: whole for its owner and their superiors, a name card through an opportunity, nothing for
others.
"""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from customers.models import Customer, CustomerLevel, Industry
from tests import factories as make
from tests.asserting import not_there, unchanged

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def customer():
    owner = make.user(name="Chen Yu", language="en")
    return make.customer(
        owner,
        name="Qinghe Water Group",
        industry=Industry.objects.get(key="energy"),
        level=CustomerLevel.objects.get(key="a"),
        phone="+86 311 8765 4321",
        website="https://qinghe-water.example/",
        tax_id="91130100",
        address="88 Yuhua East Road",
        description="Buys by tender.",
    )


def read(client, person, address):
    """This will give what the page at `address` says in English to `person`."""
    person.language = "en"
    person.save()
    client.force_login(person)
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_owner_sees_it_whole(client, customer):
    contact = make.contact(customer, name="Ms Ding Yan", mobile="138 0311 2233", email="ding@example.org")
    opportunity = make.opportunity(customer.owner, customer=customer, name="Leak detection")
    make.follow_up(customer, content="They plan to renew all meters.", contact=contact)
    make.follow_up(opportunity, content="Sent the offer.")

    page = read(client, customer.owner, customer.get_absolute_url())

    for said in [
        "Qinghe Water Group", "Potential", "Energy", "Chen Yu, Shijiazhuang", "91130100", "88 Yuhua East Road",
        "Buys by tender.",
        'href="https://qinghe-water.example/"', ">qinghe-water.example<", 'href="tel:+8631187654321"',
        "Ms Ding Yan", 'href="tel:13803112233"', 'href="mailto:ding@example.org"', contact.get_absolute_url(),
        "Leak detection", opportunity.get_absolute_url(), "They plan to renew all meters.", "Sent the offer.",
        "<b>You</b> created it.",
        f'href="/opportunities/new/?customer={customer.pk}"', f'href="/contacts/new/?customer={customer.pk}"',
        f'href="/customers/{customer.pk}/follow-up/"', ">Modify<", ">Transfer<", ">Delete<",
    ]:  # fmt: skip
        assert said in page


def test_the_figures_are_of_what_the_reader_sees_and_lead_there(client, customer):
    mine = make.opportunity(customer.owner, customer=customer, amount=640000, state="active")
    make.opportunity(customer.owner, customer=customer, amount=96000, state="signed")
    make.opportunity(make.user(), customer=customer, amount=7777777, name="Somebody else's")

    page = read(client, customer.owner, customer.get_absolute_url())

    assert "¥640,000" in page
    assert f"/opportunities/?customer={customer.pk}&amp;state=open" in page
    assert "Somebody else" not in page
    assert 'Opportunities <span class="n">2</span>' in page
    assert mine.name in page


def test_opportunities_stand_in_the_order_of_the_product(client, customer):
    def add(name, days, **state):
        close_on = timezone.localdate() + timezone.timedelta(days=days)
        make.opportunity(customer.owner, customer=customer, name=name, expected_close_on=close_on, **state)

    add("Late one", 40)
    add("Closed one", 5, state="terminated")
    add("Early one", 2)

    page = read(client, customer.owner, customer.get_absolute_url())
    assert page.index("Early one") < page.index("Late one") < page.index("Closed one")


def test_a_superior_sees_it_whole_and_may_what_the_table_says(client, customer):
    support = make.user(None, "support", at="hebei")
    page = read(client, support, customer.get_absolute_url())
    assert "88 Yuhua East Road" in page
    assert ">Add contact<" in page
    assert ">Modify<" not in page
    assert ">Delete<" not in page

    chief = make.user(None, "gm", at="hebei")
    page = read(client, chief, customer.get_absolute_url())
    assert ">Modify<" in page
    assert ">Delete<" not in page


def test_through_an_opportunity_one_sees_the_name_card_and_nothing_else(client, customer):
    named = make.contact(customer, name="Ms Ding Yan", title="Procurement director", phone="0311 1")
    make.contact(customer, name="Mr Hidden")
    shared = make.opportunity(customer.owner, customer=customer, name="Shared one", state="active")
    shared.add_contact(contact=named, by=customer.owner)
    hidden = make.opportunity(customer.owner, customer=customer, name="Other one", state="active")
    make.follow_up(customer, content="Secret talk.")
    make.follow_up(hidden, content="Other talk.")
    reader = make.user(at="jinan")
    shared.share(by=customer.owner, people=[reader])

    page = read(client, reader, customer.get_absolute_url()).partition("<main")[2]

    for said in ["Qinghe Water Group", "Energy", "Ms Ding Yan", "Procurement director", named.get_absolute_url()]:
        assert said in page
    for hidden_text in [
        "Mr Hidden", "Other one", "Secret talk.", "Other talk.", "Chen Yu", "Shijiazhuang", "88 Yuhua", "91130100",
        "8765", "A, ",
        "Potential", "qinghe-water.example", "Buys by tender.", ">History<", 'class="n"', "/edit/", "/delete/",
        "/transfer/",
    ]:  # fmt: skip
        assert hidden_text not in page


@pytest.mark.case(3)
def test_with_the_name_card_one_may_do_nothing(client, customer):
    shared = make.opportunity(customer.owner, customer=customer, state="active")
    reader = make.user(at="jinan")
    shared.share(by=customer.owner, people=[reader], may_edit=True)
    client.force_login(reader)
    with unchanged():
        for act in ["edit", "transfer", "delete", "follow-up"]:
            for method in [client.get, client.post]:
                assert method(f"/customers/{customer.pk}/{act}/").status_code == 403, act
        for act in ["history", "follow-ups"]:
            assert client.get(f"/customers/{customer.pk}/{act}/").status_code == 403, act


@pytest.mark.case(9)
def test_when_the_share_ends_the_name_card_is_gone(client, customer):
    shared = make.opportunity(customer.owner, customer=customer, state="active")
    reader = make.user(at="jinan")
    shared.share(by=customer.owner, people=[reader])
    client.force_login(reader)
    assert client.get(customer.get_absolute_url()).status_code == 200
    shared.unshare(by=customer.owner, person=reader)
    assert not_there(client, customer.get_absolute_url())


@pytest.mark.case(1, 2)
def test_a_stranger_finds_nothing_at_any_of_its_addresses(client, customer):
    contact = make.contact(customer)
    client.force_login(make.user(at="jinan"))
    sent = [f"/customers/{customer.pk}/{act}/" for act in ["edit", "transfer", "delete", "follow-up"]]
    sent += [f"/contacts/{contact.pk}/{act}/" for act in ["edit", "delete"]]
    seen = [
        f"/{kind}/{act}"
        for kind in (f"customers/{customer.pk}", f"contacts/{contact.pk}")
        for act in ["", "history/", "follow-ups/"]
    ]
    with unchanged():
        for address in sent + seen:
            assert not_there(client, address), address
        for address in sent:
            assert not_there(client, address, "post"), address


def test_a_colleague_of_the_same_department_finds_nothing_either(client, customer):
    client.force_login(make.user())
    assert not_there(client, customer.get_absolute_url())


@pytest.mark.parametrize("key", ["0", "9223372036854775808", "9" * 40])
def test_a_key_that_no_database_holds_is_nothing(client, customer, key):
    client.force_login(customer.owner)
    assert client.get(f"/customers/{key}/").status_code == 404


def test_words_are_shown_as_they_were_typed(client):
    nasty = "<script>alert(1)</script> {{ 7|add:7 }} ' \" & 𠮷"
    owner = make.user()
    customer = make.customer(owner, name=nasty, description=nasty)
    make.contact(customer, name=nasty[:100], title=nasty)
    make.follow_up(customer, content=nasty)
    page = read(client, owner, customer.get_absolute_url())
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt; {{ 7|add:7 }}") >= 5


def with_children(owner, reader, count):
    """
    This will give a customer with so many contacts, opportunities shared with `reader`, and follow-ups of both
    kinds.
    """
    customer = make.customer(owner)
    for _number in range(count):
        contact = make.contact(customer)
        opportunity = make.opportunity(owner, customer=customer, state="reporting")
        opportunity.add_contact(contact=contact, by=owner)
        opportunity.share(by=owner, people=[reader])
        make.follow_up(opportunity, contact=contact)
        make.follow_up(customer, at=timezone.now() + timezone.timedelta(days=2))
    return customer


def test_thirty_children_cost_no_more_queries_than_one(client):
    owner, chief, named = make.user(), make.user(None, "gm", at="hebei"), make.user(at="jinan")
    few, many = with_children(owner, named, 1), with_children(owner, named, 30)
    for reader in (owner, chief, named):
        client.force_login(reader)
        costs = []
        for customer in (few, few, many):  # the first time asks what is asked once per process
            with CaptureQueriesContext(connection) as queries:
                assert client.get(customer.get_absolute_url()).status_code == 200
            costs.append(len(queries))
        assert costs[1] == costs[2] <= 15


def test_a_page_changes_nothing(client, customer):
    client.force_login(customer.owner)
    with unchanged():
        for act in ["", "edit/", "transfer/", "delete/", "history/", "follow-up/", "follow-ups/"]:
            assert client.get(f"/customers/{customer.pk}/{act}").status_code == 200
            client.head(f"/customers/{customer.pk}/{act}")


def test_the_history_is_long_and_has_pages(client, customer):
    for number in range(60):
        customer.change(by=customer.owner, phone=f"0311 {number}")
    page = read(client, customer.owner, customer.get_absolute_url())
    assert ">61 changes<" in page
    assert page.count("changed phone") == 5
    assert "0311 59" in read(client, customer.owner, f"/customers/{customer.pk}/history/")
    assert "0311 1<" in read(client, customer.owner, f"/customers/{customer.pk}/history/?page=2")


def test_what_the_queryset_names_is_what_the_page_shows(customer):
    shared = make.opportunity(customer.owner, customer=customer, state="active")
    reader, stranger = make.user(at="jinan"), make.user(at="jinan")
    shared.share(by=customer.owner, people=[reader])
    assert set(Customer.objects.named_to(reader)) == {customer}
    assert not Customer.objects.visible_to(reader)
    assert not Customer.objects.named_to(stranger)


def test_more_than_ten_are_counted_and_the_count_leads_to_all(client, customer):
    for number in range(11):
        make.opportunity(customer.owner, customer=customer, name=f"opportunity no {number}.")
        make.contact(customer, name=f"contact no {number}.")
        make.follow_up(customer, content=f"follow-up record no {number}.")
    page = read(client, customer.owner, customer.get_absolute_url())
    for kind, address in [
        ("opportunities", f"/opportunities/?customer={customer.pk}"),
        ("contacts", f"/contacts/?customer={customer.pk}"),
        ("follow-up records", f"/customers/{customer.pk}/follow-ups/"),
    ]:
        one = {"opportunities": "opportunity"}.get(kind, kind.removesuffix("s"))
        assert f'<a class="link" href="{address}">All 11 {kind}</a>' in page
        assert page.count(f">{one} no ") == 10
        assert client.get(address).content.decode().count(f">{one} no ") == 11
