"""Copy: a new draft with the same values, in the charge of whoever copies."""

from uuid import uuid4

import pytest

from notices.history import Event
from opportunities.models import Opportunity
from tests import factories as make
from tests.opportunities.acts import address, in_state

pytestmark = pytest.mark.django_db


def copy(client, opportunity):
    client.post(address(opportunity, "copy"), {"once": str(uuid4())})
    return Opportunity.objects.latest("pk")


def test_a_terminated_one_is_revived_by_copying_it(client):
    old = in_state("terminated")
    old.add_contact(by=old.owner, contact=old.customer.contacts.get())
    client.force_login(old.owner)

    new = copy(client, old)

    assert (new.state, new.owner, new.stage.key, new.probability) == ("draft", old.owner, "first-contact", 20)
    same = ("name", "customer", "business_type", "source", "amount", "description")
    assert [getattr(new, name) for name in same] == [getattr(old, name) for name in same]
    assert new.number != old.number
    assert (new.expected_close_on, new.closed_on, new.approved_amount, new.lost_reason) == (None, None, None, None)
    assert not new.placements.exists() and not new.follow_ups.exists()
    assert [event.kind for event in Event.objects.about(new)] == ["created"]


def test_the_copy_of_a_guest_does_not_keep_a_customer_whom_they_see_by_the_share_alone(client):
    old = in_state("active")
    guest = make.user(at="jinan")
    old.share(by=old.owner, people=[guest])
    client.force_login(guest)

    new = copy(client, old)

    assert (new.owner, new.department, new.customer) == (guest, guest.department, None)
    assert new.name == old.name


def test_it_leads_to_the_form_of_the_copy(client):
    old = in_state("signed")
    client.force_login(old.owner)
    answer = client.post(address(old, "copy"), {})
    assert answer["Location"] == address(Opportunity.objects.latest("pk"), "edit")
