"""Customers that look alike: what is folded, who is warned of whom, and that the second press saves all the same."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.models import Customer
from customers.similar import LEGAL, domain_key, name_key, phone_key, tax_key
from customers.verification import differences
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db


@pytest.fixture
def rep(client):
    made = make.user()
    client.force_login(made)
    return made


def send(client, **fields):
    page = client.get("/customers/new/").context["form"]
    blank = {"name": "", "kind": "organisation", "status": "potential", "tax_id": "", "phone": "", "website": ""}
    return client.post("/customers/new/", blank | {"once": page["once"].value()} | fields)


def names():
    return sorted(Customer.objects.values_list("name", flat=True))


def alike(answer):
    return [(customer.name, customer.alike) for customer in answer.context["form"].similar]


@pytest.mark.parametrize("names", [
    ["清河水务集团有限公司", "清河水務集團", "清河水务股份有限公司", "清河 水务", "清河水务（集团）有限公司"],
    ["Qinghe Water Group", "QINGHE WATER GROUP CO., LTD.", "Qinghe Water, Inc.", "Ｑｉｎｇｈｅ　Ｗａｔｅｒ"],
    ["Müller GmbH & Co. KG", "müller", "Müller GmbH"],
    ["Peugeot S.A.", "peugeot sa", "PEUGEOT"],
])  # fmt: skip
def test_these_are_one(names):
    assert len({name_key(name) for name in names}) == 1


@pytest.mark.parametrize("names", [
    ["Cosa", "Co"], ["Group", "Company"], ["清河水务", "清河热力"], ["Visa", "Vi"], ["Lincoln", "Lincol"],
])  # fmt: skip
def test_these_are_not(names):
    assert len({name_key(name) for name in names}) == len(names)


@given(st.text(max_size=60))
def test_a_key_folds_to_itself(name):
    assert name_key(name_key(name)) == name_key(name)
    assert name_key(f"  {name.upper()}") == name_key(name.upper())


@given(st.sampled_from(["清河水务", "Qinghe Water"]), st.lists(st.sampled_from(LEGAL), max_size=3))
def test_legal_forms_after_a_name_change_nothing(name, forms):
    apart = "" if name[0] == "清" else " "
    forms = [form for form in forms if form.isascii() == (apart == " ")]
    assert name_key(apart.join([name, *forms])) == name_key(name)


@pytest.mark.parametrize(("key", "text", "kept"), [
    (phone_key, "+86 311 8765 4321", "31187654321"), (phone_key, "0311-87654321", "31187654321"),
    (phone_key, "（０３１１）８７６５４３２１", "31187654321"), (phone_key, "+86 138 0311 2233", "13803112233"),
    (phone_key, "10086", ""), (phone_key, "", ""),
    (tax_key, "91 1301-00ma0abcd", "91130100MA0ABCD"), (tax_key, "", ""),
    (domain_key, "https://www.Qinghe.example/about", "qinghe.example"), (domain_key, "", ""),
])  # fmt: skip
def test_the_other_keys_fold_what_people_write_differently(key, text, kept):
    assert key(text) == kept


def test_a_warning_names_it_and_the_second_press_saves(client, rep):
    make.customer(rep, name="清河水务集团有限公司")
    with nothing_changed():
        first = send(client, name="清河水務")
    assert alike(first) == [("清河水务集团有限公司", ["name"])]
    html = first.content.decode()
    assert "Customers that look like this one are there already." in html and "Save anyway" in html

    despite = first.context["form"]["despite"].value()
    once = first.context["form"]["once"].value()
    assert send(client, name="清河水務", despite=despite, once=once).status_code == 302
    assert names() == ["清河水务集团有限公司", "清河水務"]


@pytest.mark.parametrize(("field", "theirs", "typed"), [
    ("tax_id", "91130100MA0ABCDEFG", "9113 0100 MA0ABCDEFG"),
    ("phone", "+86 311 8765 4321", "0311-87654321"),
    ("website", "https://www.qinghe.example", "qinghe.example/contact"),
])  # fmt: skip
def test_it_warns_of_the_same_tax_id_phone_and_website(client, rep, field, theirs, typed):
    make.customer(rep, name="Qinghe Water", **{field: theirs})
    assert alike(send(client, name="Another", **{field: typed})) == [("Qinghe Water", [field])]


@pytest.mark.case(7)
def test_nobody_is_warned_of_what_they_may_not_see(client, rep):
    make.customer(make.user(at="jinan"), name="Qinghe Water", tax_id="91130100")

    assert send(client, name="Qinghe Water", tax_id="91130100").status_code == 302
    assert names() == ["Qinghe Water", "Qinghe Water"]
    shown = client.get("/customers/similar/", {"name": "Qinghe"}).content.decode()
    assert re.findall(r"/customers/(\d+)/", shown) == [str(Customer.objects.get(owner=rep).pk)]


def test_as_one_types_those_that_begin_so_are_shown(client, rep):
    make.customer(rep, name="Qinghe Water Group")
    make.customer(make.user(at="jinan"), name="Qinghe Heating")

    def shown(typed):
        return client.get("/customers/similar/", {"name": typed}).content.decode()

    assert "Qinghe Water Group" in shown("QINGHE wa") and "Heating" not in shown("qinghe")
    assert shown("Q").strip() == shown("").strip() == shown("Hengtai").strip() == ""


def test_a_change_warns_only_where_what_is_compared_changed(client, rep):
    make.customer(rep, name="Qinghe Water")
    twin = make.customer(rep, name="Qinghe Water Ltd")
    form = {"name": twin.name, "kind": "organisation", "status": "potential", "version": twin.version}
    initial = {
        f"initial-{name}": form.get(name, "") for name in ("name", "kind", "status", "phone", "tax_id", "website")
    }

    sent = client.post(f"/customers/{twin.pk}/edit/", form | initial | {"address": "3 Mill Lane"})
    assert sent.status_code == 302
    twin.refresh_from_db()
    again = form | initial | {"name": "Qinghe Water Inc", "version": twin.version}
    assert alike(client.post(f"/customers/{twin.pk}/edit/", again)) == [("Qinghe Water", ["name"])]


def test_the_keys_follow_a_change_and_a_bulk_entry_and_verify_sees_to_it(rep):
    one, two = (Customer(name=f"Qinghe Water {form}", phone="0311-87654321") for form in ("Ltd", "Inc"))
    Customer.create_all([one, two], by=rep)
    assert {one.match_name, two.match_name} == {"qinghewater"}
    two.change(by=rep, name="Hengtai", phone="")
    two.refresh_from_db()
    assert (two.match_name, two.match_phone) == ("hengtai", "")
    assert list(differences()) == []

    Customer.objects.filter(pk=one.pk).update(match_name="x")
    assert list(differences()) == [f"customer {one.pk}: the keys it is compared by are not those of its fields"]


def test_the_look_up_costs_few_queries_however_many_are_alike(client, rep, django_assert_max_num_queries):
    for _number in range(30):
        make.customer(rep, name="Qinghe Water")
    with django_assert_max_num_queries(5):
        assert client.get("/customers/similar/", {"name": "Qinghe"}).status_code == 200
