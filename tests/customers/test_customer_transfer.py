"""A customer is put into the charge of somebody else."""

import pytest
from django.utils import timezone

from crm.verbs import NotAllowed, Refused, Stale
from customers.models import Contact
from notices.history import Event
from notices.models import Message
from tests import factories as make
from tests.asserting import unchanged

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer():
    return make.customer(make.user(name="Chen Yu", language="en"), name="Qinghe Water Group")


@pytest.fixture
def heir():
    return make.user("rep.jinan", name="Li Na", at="jinan")


def test_the_owner_transfers_it_with_its_contacts_and_plans(client, customer, heir):
    before = customer.owner
    contact = make.contact(customer)
    opportunity = make.opportunity(before, customer=customer)
    planned = make.follow_up(customer, at=timezone.now() + timezone.timedelta(days=1))
    done = make.follow_up(customer)
    elsewhere = make.follow_up(opportunity, at=timezone.now() + timezone.timedelta(days=1))
    client.force_login(before)

    page = client.get(f"/customers/{customer.pk}/transfer/").content.decode()
    assert "Its contacts go along, and what Chen Yu planned with it." in page
    assert "Confirm Transfer" in page
    answer = client.post(
        f"/customers/{customer.pk}/transfer/", {"owner": "Li Na", "version": customer.version}, follow=True
    )

    assert "Li Na is in charge of Qinghe Water Group now." in answer.content.decode()
    for record in (customer, contact, opportunity, planned, done, elsewhere):
        record.refresh_from_db()
    assert (customer.owner, customer.department, customer.city) == (heir, heir.department, heir.department)
    assert (contact.owner, contact.department) == (heir, heir.department)
    assert list(Contact.objects.visible_to(heir)) == [contact]
    assert planned.owner == heir
    assert (opportunity.owner, done.owner, elsewhere.owner) == (before, before, before)
    assert Event.objects.about(customer).first().kind == "transferred"
    assert [message.to for message in Message.objects.filter(kind="transferred")] == [heir]


def test_who_keeps_an_opportunity_there_comes_back_to_the_name_card(client, customer, heir):
    make.opportunity(customer.owner, customer=customer)
    client.force_login(customer.owner)
    answer = client.post(f"/customers/{customer.pk}/transfer/", {"owner_id": heir.pk})
    assert answer["Location"] == customer.get_absolute_url()
    assert "88 Yuhua" not in client.get(customer.get_absolute_url()).content.decode()


def test_who_keeps_nothing_there_comes_back_to_the_list(client, customer, heir):
    client.force_login(customer.owner)
    assert client.post(f"/customers/{customer.pk}/transfer/", {"owner_id": heir.pk})["Location"] == "/customers/"


def test_who_sees_it_and_may_not_change_it_may_not_transfer_it(client, customer, heir):
    support = make.user(None, "support", at="hebei")
    client.force_login(support)
    with unchanged():
        assert client.post(f"/customers/{customer.pk}/transfer/", {"owner_id": heir.pk}).status_code == 403
        with pytest.raises(NotAllowed):
            customer.transfer(to=heir, by=support)
    customer.transfer(to=heir, by=make.user(None, "gm", at="hebei"))
    assert customer.owner == heir


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "Choose one|Fill this in"),
        ({"owner": "Nobody of that name"}, "Nothing that you may choose matches"),
        ({"owner": "Chen Yu"}, "Chen Yu is in charge already."),
    ],
)
def test_it_needs_somebody_else(client, customer, sent, said):
    client.force_login(customer.owner)
    with unchanged():
        answer = client.post(f"/customers/{customer.pk}/transfer/", sent | {"version": 1})
    assert any(words in answer.content.decode() for words in said.split("|"))


def test_somebody_who_left_or_belongs_nowhere_is_not_put_in_charge(client, customer, heir):
    heir.is_active = False
    heir.save()
    client.force_login(customer.owner)
    with unchanged():
        client.post(f"/customers/{customer.pk}/transfer/", {"owner_id": heir.pk})
        with pytest.raises(Refused):
            customer.transfer(to=heir, by=customer.owner)
    nowhere = make.user("nowhere")
    nowhere.department = None
    nowhere.save()
    with unchanged(), pytest.raises(Refused):
        customer.transfer(to=nowhere, by=customer.owner)


def test_two_transfers_at_once_the_second_hears_of_the_first(client, customer, heir):
    other = make.user()
    manager = make.user(None, "opportunity_manager", at="head-office", language="en")
    customer.transfer(to=heir, by=manager, seen=1)
    with unchanged(), pytest.raises(Stale):
        customer.transfer(to=other, by=manager, seen=1)
    client.force_login(manager)
    with unchanged():
        answer = client.post(f"/customers/{customer.pk}/transfer/", {"owner_id": other.pk, "version": 1})
    assert answer.status_code == 409
    assert "Somebody changed this record" in answer.content.decode()
