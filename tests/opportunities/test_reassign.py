"""Reassign: an opportunity goes to another customer, and every listing with it; by a permission of its own."""

import pytest

from crm.verbs import NotAllowed, Refused
from notices import wording
from notices.history import Event
from notices.models import Message
from opportunities.verification import differences
from tests import factories as make
from tests.asserting import not_there
from tests.digest import nothing_changed
from tests.opportunities.acts import STATES, address, in_state, version

pytestmark = pytest.mark.django_db
MAY = ["draft", "returned", "active", "signed", "terminated"]


@pytest.fixture
def manager():
    return make.user("manager", "opportunity_manager", at="head-office")


@pytest.fixture
def opportunity():
    made = in_state("active")
    made.add_contact(by=made.owner, contact=made.customer.contacts.get())
    return made


def send(client, opportunity, customer, **more):
    data = {"customer_id": customer.pk, "contact": "", "version": version(opportunity)} | more
    return client.post(address(opportunity, "reassign"), data)


def test_it_goes_to_the_other_customer_with_all_that_hangs_on_it(client, opportunity, manager):
    old, new = opportunity.customer, make.customer(opportunity.owner, name="Hengtai Logistics")
    person, follow_up = make.contact(new, name="Ms Ding"), make.follow_up(opportunity)
    gone = old.contacts.get()
    client.force_login(manager)
    assert "Reassign" in client.get(address(opportunity)).content.decode()

    answer = send(client, opportunity, new, contact_id=person.pk, contact="Ms Ding")
    assert answer["Location"] == address(opportunity)
    opportunity.refresh_from_db()
    follow_up.refresh_from_db()
    assert (opportunity.customer, follow_up.customer) == (new, new)
    assert [(one.contact, one.primary) for one in opportunity.placements.all()] == [(person, True)]
    assert opportunity.name in client.get(new.get_absolute_url()).content.decode()
    assert opportunity.name not in client.get(old.get_absolute_url()).content.decode()
    event = Event.objects.about(opportunity).first()
    assert wording.sentence(event, opportunity.owner) == f"{manager} reassigned it to Hengtai Logistics."
    assert event.data["contacts"] == [{"id": gone.pk, "label": gone.name}]
    told = Message.objects.get(to=opportunity.owner, kind="reassigned")
    assert wording.sentence(told, opportunity.owner) == f"{manager} reassigned it to Hengtai Logistics."
    assert list(differences()) == []


@pytest.mark.parametrize("state", STATES)
def test_it_can_be_done_unless_it_is_void_or_something_waits_for_approval(client, manager, state):
    opportunity = in_state(state)
    new = make.customer(opportunity.owner)
    client.force_login(manager)
    if state in MAY:
        assert send(client, opportunity, new).status_code == 302
        opportunity.refresh_from_db()
        new.refresh_from_db()
        assert opportunity.customer == new and list(differences()) == []
        assert new.status == ("trading" if state == "signed" else "potential")  # something was sold to them
        return
    with nothing_changed():
        assert send(client, opportunity, new).status_code == 409
        with pytest.raises(Refused):
            opportunity.reassign(customer=new, by=manager)


def test_without_the_permission_there_is_no_button_and_no_other_way(client, opportunity):
    owner, new = opportunity.owner, make.customer(opportunity.owner)
    client.force_login(owner)
    assert "Reassign" not in client.get(address(opportunity)).content.decode()
    with nothing_changed():
        assert send(client, opportunity, new).status_code == 403
        with pytest.raises(NotAllowed):
            opportunity.reassign(customer=new, by=owner)
        with pytest.raises(NotAllowed, match="Reassign"):
            opportunity.change(customer=new, by=owner)
    assert "customer" not in client.get(address(opportunity, "edit")).context["form"].fields
    client.force_login(make.user(at="jinan"))
    assert not_there(client, address(opportunity, "reassign"))

    draft = make.opportunity(owner, customer=None)
    draft.change(customer=new, by=owner)
    assert draft.customer == new


@pytest.mark.parametrize(("customer", "contact", "field", "says"), [
    ("same", None, "customer", "It belongs to"),
    ("new", "of the old", "contact", "This person belongs to another customer."),
])  # fmt: skip
def test_what_cannot_be_is_refused_at_its_field(client, opportunity, manager, customer, contact, field, says):
    new = make.customer(opportunity.owner)
    chosen = opportunity.customer if customer == "same" else new
    person = opportunity.customer.contacts.get() if contact else None
    client.force_login(manager)
    more = {"contact_id": person.pk, "contact": person.name} if person else {}
    with nothing_changed():
        answer = send(client, opportunity, chosen, **more)
    assert says in str(answer.context["form"].errors[field])


def test_a_stale_page_and_a_second_press_are_refused(client, opportunity, manager):
    new = make.customer(opportunity.owner)
    before = version(opportunity)
    client.force_login(manager)
    assert send(client, opportunity, new).status_code == 302
    with nothing_changed():
        assert send(client, opportunity, new, version=before).status_code == 409
