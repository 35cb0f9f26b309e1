"""A customer is deleted, after a question, unless opportunities belong to it."""

import pytest

from crm.models import Audit
from crm.verbs import Gone, Refused
from customers.models import Contact, Customer
from notices.history import Event
from opportunities.models import FollowUp
from tests import factories as make
from tests.asserting import unchanged

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer():
    return make.customer(make.user(name="Chen Yu", language="en"), name="Qinghe Water Group")


def test_the_question_says_what_goes_and_the_answer_takes_it(client, customer):
    other = make.customer(customer.owner)
    kept = make.contact(other)
    make.contact(customer)
    make.contact(customer)
    make.follow_up(customer)
    client.force_login(customer.owner)

    page = client.get(f"/customers/{customer.pk}/delete/").content.decode()
    assert "Delete Qinghe Water Group?" in page
    assert "2 contacts are deleted with it." in page
    assert "One follow-up record is deleted with it." in page
    answer = client.post(f"/customers/{customer.pk}/delete/", {"version": customer.version}, follow=True)

    assert answer.redirect_chain == [("/customers/", 302)]
    assert "Qinghe Water Group was deleted." in answer.content.decode()
    assert list(Customer.objects.all()) == [other]
    assert list(Contact.objects.all()) == [kept]
    assert not FollowUp.objects.exists()
    assert {event.about for event in Event.objects.all()} == {other, kept}  # no history without its record
    audit = Audit.objects.get(kind="customer_deleted")
    assert (audit.by, audit.data["customer"]["label"]) == (customer.owner, "Qinghe Water Group")


def test_it_is_kept_with_the_reason_while_opportunities_belong_to_it(client, customer):
    make.contact(customer)
    for _number in range(2):
        make.opportunity(customer.owner, customer=customer)
    client.force_login(customer.owner)
    page = client.get(f"/customers/{customer.pk}/delete/").content.decode()
    assert "2 opportunities belong to this customer, so it cannot be deleted." in page
    assert ">Delete</button>" not in page
    with unchanged():
        answer = client.post(f"/customers/{customer.pk}/delete/", {"version": customer.version})
    assert answer.status_code == 409
    assert "2 opportunities belong to this customer, so it cannot be deleted." in answer.content.decode()


def test_the_reason_tells_nothing_of_opportunities_that_one_may_not_see(client, customer):
    for _number in range(3):
        make.opportunity(make.user(), customer=customer)
    client.force_login(customer.owner)
    page = client.get(f"/customers/{customer.pk}/delete/").content.decode()
    assert "Opportunities that you may not see belong to this customer, so it cannot be deleted." in page
    with unchanged(), pytest.raises(Refused):
        customer.delete_(by=customer.owner)


@pytest.mark.parametrize("roles", [["gm"], ["support"]])
def test_a_superior_may_not(client, customer, roles):
    client.force_login(make.user(None, *roles, at="hebei"))
    with unchanged():
        assert client.get(f"/customers/{customer.pk}/delete/").status_code == 403
        assert client.post(f"/customers/{customer.pk}/delete/").status_code == 403


@pytest.mark.parametrize("roles", [["opportunity_manager"], ["administrator"]])
def test_a_manager_may(client, customer, roles):
    client.force_login(make.user(None, *roles, at="head-office"))
    client.post(f"/customers/{customer.pk}/delete/")
    assert not Customer.objects.exists()


def test_pressed_twice_the_second_press_finds_nothing(client, customer):
    client.force_login(customer.owner)
    stale = Customer.objects.get()
    assert client.post(f"/customers/{customer.pk}/delete/").status_code == 302
    assert client.post(f"/customers/{customer.pk}/delete/").status_code == 404
    with pytest.raises(Gone):
        stale.delete_(by=stale.owner)


def test_what_was_changed_since_the_question_is_asked_about_again(client, customer):
    client.force_login(customer.owner)
    customer.change(by=customer.owner, phone="0311 2")
    with unchanged():
        answer = client.post(f"/customers/{customer.pk}/delete/", {"version": 1})
    assert answer.status_code == 409
    client.post(f"/customers/{customer.pk}/delete/", {"version": answer.context["form"]["version"].value()})
    assert not Customer.objects.exists()
