"""A customer is entered: by whom, with what, and once."""

import re

import pytest

from crm.models import Once
from customers.models import Customer, Industry
from notices.history import Event
from tests import factories as make
from tests.asserting import unchanged

pytestmark = pytest.mark.django_db

TYPED = {"name": "Qinghe Water Group", "kind": "organisation", "status": "potential"}


@pytest.fixture
def rep(client):
    person = make.user(name="Chen Yu", language="en")
    client.force_login(person)
    return person


def test_a_rep_enters_a_customer_and_is_in_charge_of_it(client, rep):
    industry = Industry.objects.get(key="energy")
    answer = client.post(
        "/customers/new/",
        TYPED
        | {"industry": industry.pk, "phone": "+86 311 8765 4321", "website": "qinghe-water.example", "tax_id": "9113"},
        follow=True,
    )

    customer = Customer.objects.get()
    assert answer.redirect_chain == [(f"/customers/{customer.pk}/", 302)]
    assert "Customer saved." in answer.content.decode()
    assert (customer.name, customer.owner, customer.department) == ("Qinghe Water Group", rep, rep.department)
    assert (customer.industry, customer.website) == (industry, "https://qinghe-water.example")
    assert [event.kind for event in Event.objects.about(customer)] == ["created"]


def test_a_customer_may_be_a_person(client, rep):
    client.post("/customers/new/", TYPED | {"name": "Han Lei", "kind": "person"})
    assert Customer.objects.get().get_kind_display() == "Person"


def test_the_fields_bear_the_names_of_the_manual(client, rep):
    page = client.get("/customers/new/?name=Yunhe").content.decode()
    labels = re.findall(r"<label[^>]*>(.*?)</label>", page)
    assert [re.sub(r"<.*?>", "", label) for label in labels] == [
        "Customer name*", "Kind*", "Status*", "Industry", "Customer level", "Phone", "Website", "Address", "Tax id",
        "Description",
    ]  # fmt: skip
    assert 'value="Yunhe"' in page  # as the last row of a picker brings it


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "  ", "Fill this in."),
        ("name", "x" * 201, "at most 200 characters"),
        ("kind", "tree", "Select a valid choice"),
        ("status", "lost", "Select a valid choice"),
        ("industry", "999999", "Select a valid choice"),
        ("website", "javascript:alert(1)", "begins with http:// or https://"),
        ("website", "data:text/html,x", "begins with http:// or https://"),
        ("website", "ftp://qinghe-water.example/", "begins with http:// or https://"),
        ("phone", "call me", "Write digits, + and spaces"),
    ],
)
@pytest.mark.case(36)
def test_what_is_wrong_stands_at_its_field_with_what_was_typed(client, rep, field, value, said):
    with unchanged():
        answer = client.post("/customers/new/", TYPED | {"address": "88 Yuhua Road"} | {field: value})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert said in page
    assert 'value="88 Yuhua Road"' in page


@pytest.mark.case(5)
def test_nothing_but_the_fields_is_taken_from_what_is_sent(client, rep):
    other = make.user()
    client.post(
        "/customers/new/", TYPED | {"owner": other.pk, "department": 1, "created_by": other.pk, "id": 77, "version": 9}
    )
    customer = Customer.objects.get()
    assert (customer.owner, customer.created_by, customer.version) == (rep, rep, 1)


def test_an_industry_that_was_retired_is_not_offered(client, rep):
    retired = Industry.objects.get(key="energy")
    retired.active = False
    retired.save()
    with unchanged():
        answer = client.post("/customers/new/", TYPED | {"industry": retired.pk})
    assert answer.context["form"].errors.keys() == {"industry"}
    assert retired.name not in answer.content.decode()


def test_somebody_without_a_department_may_not(client):
    person = make.user(language="en")
    person.department = None
    person.save()
    client.force_login(person)
    with unchanged():
        assert client.get("/customers/new/").status_code == 403
        assert client.post("/customers/new/", TYPED).status_code == 403


def test_a_stranger_to_the_house_is_asked_to_sign_in(client):
    answer = client.post("/customers/new/", TYPED)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")
    assert not Customer.objects.exists()


def test_the_same_form_sent_twice_enters_one_customer(client, rep):
    key = client.get("/customers/new/").context["form"]["once"].value()
    answers = [client.post("/customers/new/", TYPED | {"once": key}) for _press in range(3)]
    customer = Customer.objects.get()
    assert {answer["Location"] for answer in answers} == {f"/customers/{customer.pk}/"}


def test_two_forms_enter_two_customers_of_one_name(client, rep):
    shown = ""
    for _form in range(2):
        key = client.get("/customers/new/").context["form"]["once"].value()
        client.post("/customers/new/", TYPED | {"once": key, "despite": shown})
        shown = Customer.objects.latest("pk").pk
    assert Customer.objects.count() == 2


def test_a_form_that_was_refused_can_be_sent_again(client, rep):
    key = client.get("/customers/new/").context["form"]["once"].value()
    answer = client.post("/customers/new/", TYPED | {"once": key, "phone": "call me"})
    assert answer.context["form"]["once"].value() == str(key)
    assert not Once.objects.exists()
    client.post("/customers/new/", TYPED | {"once": key})
    assert Customer.objects.count() == 1


def test_what_was_deleted_does_not_come_back_by_an_old_form(client, rep):
    key = client.get("/customers/new/").context["form"]["once"].value()
    client.post("/customers/new/", TYPED | {"once": key})
    Customer.objects.get().delete_(by=rep)
    with unchanged():
        answer = client.post("/customers/new/", TYPED | {"once": key})
    assert answer.status_code == 409
    assert "has been deleted since" in answer.content.decode()
