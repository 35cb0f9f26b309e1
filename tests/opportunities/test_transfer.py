"""Transfer: somebody else is put in charge, with what is still planned, and nothing else changes."""

from datetime import timedelta

import pytest
from django.utils import timezone

from approvals.models import Task
from notices.history import Event
from notices.models import Message
from opportunities.models import Movement
from tests import factories as make
from tests.digest import nothing_changed
from tests.opportunities.acts import address, in_state, version

pytestmark = pytest.mark.django_db


@pytest.fixture
def opportunity(client):
    made = in_state("active")
    client.force_login(made.owner)
    return made


def transfer(client, opportunity, to, **changes):
    data = {"owner_id": getattr(to, "pk", to), "version": version(opportunity)} | changes
    return client.post(address(opportunity, "transfer"), data)


def test_it_goes_to_the_other_persons_department_and_both_are_told(client, opportunity):
    before, to = opportunity.owner, make.user("sun.qi", name="Sun Qi", at="baoding")
    page = client.get(address(opportunity, "transfer")).content.decode()
    assert "New person in charge" in page and "Confirm Transfer" in page

    answer = transfer(client, opportunity, to)

    opportunity.refresh_from_db()
    assert answer["Location"] == "/opportunities/"  # it is out of the old owner's sight
    assert (opportunity.owner, opportunity.department.key, opportunity.state) == (to, "baoding", "active")
    assert (opportunity.city.key, opportunity.province.key) == ("baoding", "hebei")
    event = Event.objects.about(opportunity).first()
    assert (event.kind, event.changes["owner"][1]["label"]) == ("transferred", "Sun Qi")
    moved = Movement.objects.filter(opportunity=opportunity).latest("pk")
    assert (moved.owner, moved.department.key) == (to, "baoding")
    assert {message.to for message in Message.objects.filter(kind="transferred")} == {to}
    assert before not in {message.to for message in Message.objects.filter(kind="transferred")}  # who did it knows


def test_the_name_alone_is_enough(client, opportunity):
    to = make.user("sun.qi", name="Sun Qi")
    assert client.post(address(opportunity, "transfer"), {"owner": "Sun Qi", "version": version(opportunity)})
    opportunity.refresh_from_db()
    assert opportunity.owner == to


def test_planned_follow_ups_go_along_and_done_ones_stay(client, opportunity):
    before, to = opportunity.owner, make.user()
    done = make.follow_up(opportunity)
    planned = make.follow_up(opportunity, at=timezone.now() + timedelta(days=3))
    transfer(client, opportunity, to)
    done.refresh_from_db()
    planned.refresh_from_db()
    assert (done.owner, planned.owner) == (before, to)


def test_shares_and_what_was_approved_stay(client, opportunity):
    guest = make.user("guest", at="jinan")
    opportunity.share(by=opportunity.owner, people=[guest])
    transfer(client, opportunity, make.user())
    opportunity.refresh_from_db()
    assert opportunity.user_shares.get().user == guest
    assert opportunity.approved_amount == opportunity.amount


def test_who_cannot_be_put_in_charge_is_refused_at_the_field(client, opportunity):
    gone = make.user("gone", is_active=False)
    nowhere = make.user("nowhere")
    make.User.objects.filter(pk=nowhere.pk).update(department=None)
    for to in (gone, nowhere, opportunity.owner, "", "x", "9223372036854775808", "\0"):
        with nothing_changed():
            answer = transfer(client, opportunity, to)
        assert list(answer.context["form"].errors) == ["owner"], to
    assert transfer(client, opportunity, make.user()).status_code == 302


@pytest.mark.parametrize("roles", [["gm"], ["deputy_gm"], ["opportunity_manager"], ["administrator"]])
def test_superiors_and_managers_may(client, opportunity, roles):
    client.force_login(make.user(None, *roles))
    assert transfer(client, opportunity, make.user()).status_code == 302


@pytest.mark.parametrize("roles", [["director"], ["support"]])
def test_others_who_see_it_may_not(client, opportunity, roles):
    client.force_login(make.user(None, *roles))
    to = make.user()
    with nothing_changed():
        assert transfer(client, opportunity, to).status_code == 403


@pytest.mark.parametrize("roles", [["gm"], ["opportunity_manager"]])
def test_while_an_approval_is_pending_only_an_administrator_may(client, roles):
    opportunity = in_state("signing")
    to = make.user()
    for person in (opportunity.owner, make.user(None, *roles)):
        client.force_login(person)
        with nothing_changed():
            assert client.get(address(opportunity, "transfer")).status_code == 409
            assert transfer(client, opportunity, to).status_code == 409
    client.force_login(make.user(None, "administrator", at="head-office"))
    assert transfer(client, opportunity, to).status_code == 302


def test_the_approval_runs_on_and_a_return_goes_to_the_new_owner():
    opportunity = in_state("signing")
    task, to = opportunity.open_task, make.user()
    opportunity.transfer(by=make.user(None, "administrator", at="head-office"), to=to)

    task.return_(by=task.holder, comment="Mend it.", seen=version(opportunity))

    assert Task.objects.open_for(to).get().kind == "revise"


def test_what_is_returned_goes_along(client):
    opportunity = in_state("returned")
    client.force_login(opportunity.owner)
    to = make.user()
    transfer(client, opportunity, to)
    task = Task.objects.open_for(to).get()
    assert task.kind == "revise"
    opportunity.refresh_from_db()
    opportunity.report(by=to, approver=make.approver(opportunity))
    assert opportunity.state == "reporting"


def test_one_who_becomes_the_owner_cannot_decide_it():
    opportunity = in_state("signing")
    task = opportunity.open_task
    opportunity.transfer(by=make.user(None, "administrator", at="head-office"), to=task.holder)
    assert not Task.objects.get(pk=task.pk).holder_is_able()
    assert list(Task.objects.nobody_can_decide()) == [task]
