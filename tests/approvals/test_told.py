"""Who hears of what: messages and queued mail, to the right people, once each, with the decision or not at all."""

import pytest
from django.db import DatabaseError

from approvals.models import Task
from notices.history import Event
from notices.models import Delivery, Message
from opportunities.models import Opportunity
from tests import factories as make
from tests.digest import digest

pytestmark = pytest.mark.django_db


def told(kind):
    return sorted(message.to.username for message in Message.objects.filter(kind=kind).select_related("to"))


def mailed(kind):
    return sorted(letter.to.username for letter in Delivery.objects.filter(kind=kind).select_related("to"))


def seen(opportunity):
    return Opportunity.objects.values_list("version", flat=True).get(pk=opportunity.pk)


def test_the_approver_is_written_to_when_asked(people, reported):
    assert mailed("task") == ["deputy"]
    assert told("task") == []  # a task is no message: it waits in the to-do list


def test_so_is_the_next_one_when_it_is_escalated(people, reported):
    reported.open_task.escalate(by=people.deputy, to=people.gm, seen=seen(reported))

    assert mailed("task") == ["deputy", "gm"]


def test_asker_and_every_approver_but_the_last_hear_that_it_was_granted(people, reported):
    reported.open_task.escalate(by=people.deputy, to=people.gm, seen=seen(reported))
    reported.open_task.finish(by=people.gm, seen=seen(reported))

    assert told("granted") == mailed("granted") == ["deputy", "rep"]


def test_the_owner_is_written_to_when_it_is_returned_and_those_who_approved_hear_of_it(people, reported):
    reported.open_task.escalate(by=people.deputy, to=people.gm, seen=seen(reported))
    reported.open_task.return_(by=people.gm, seen=seen(reported), comment="Why?")

    assert mailed("returned") == ["deputy", "rep"]
    assert told("returned") == ["deputy"]


def test_so_do_those_whose_approval_was_carried_over(people, reported):
    reported.open_task.escalate(by=people.deputy, to=people.gm, seen=seen(reported))
    reported.open_task.return_(by=people.gm, seen=seen(reported), comment="Why?")
    reported.refresh_from_db()
    reported.report(by=people.rep, approver=people.gm)
    Message.objects.all().delete()

    reported.open_task.return_(by=people.gm, seen=seen(reported), comment="Still: why?")

    assert told("returned") == ["deputy"]


def test_old_and_new_owner_hear_that_it_was_granted_after_a_handover(people, reported):
    other = make.user("other")
    reported.transfer(to=other, by=people.admin)
    reported.open_task.finish(by=people.deputy, seen=seen(reported))

    assert told("granted") == ["other", "rep"]


def test_the_approver_hears_that_it_was_withdrawn(people, reported):
    reported.withdraw(by=people.rep)

    assert told("withdrawn") == mailed("withdrawn") == ["deputy"]


def test_whoever_is_assigned_is_written_to(people, reported):
    people.deputy.is_active = False
    people.deputy.save()
    make.user("second", "deputy_gm")

    reported.open_task.assign(to=reported.open_task.candidates()[0], by=people.admin)

    assert mailed("task") == ["deputy", "second"]


def test_nobody_without_an_address_is_written_to_and_the_task_is_there(people):
    people.deputy.email = ""
    people.deputy.save()
    opportunity = make.opportunity(people.rep)

    opportunity.report(by=people.rep, approver=people.deputy)

    assert mailed("task") == []
    assert opportunity.open_task.holder == people.deputy


@pytest.mark.parametrize("verb", ["finish", "escalate", "return_"])
@pytest.mark.parametrize("model", [Event, Delivery])
def test_a_decision_that_cannot_be_written_whole_is_not_written_at_all(people, reported, verb, model, monkeypatch):
    """The table that fails stands for a full disk: nothing of the decision is there, and it can be made later."""
    reported.open_task.escalate(by=people.deputy, to=people.gm, seen=seen(reported))
    given = {"escalate": {"to": make.user(None, "gm", at="hebei")}, "return_": {"comment": "Why?"}}.get(verb, {})
    task = reported.open_task
    if verb == "escalate":  # one more step, so that there is somewhere to escalate to
        step = task.step.version.steps.create(order=3, may_finish=True)
        step.roles.set(task.step.roles.all())
    before = digest()

    with monkeypatch.context() as fault:
        fault.setattr(model._meta, "db_table", "there_is_no_such_table")
        with pytest.raises(DatabaseError):
            getattr(task, verb)(by=people.gm, seen=seen(reported), **given)

    assert digest() == before
    getattr(task, verb)(by=people.gm, seen=seen(reported), **given)
    assert Task.objects.filter(decided_by=people.gm).count() == 1
