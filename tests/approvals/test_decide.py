"""Deciding: approve and finish, approve and escalate, return; and who is refused, with nothing changed."""

from decimal import Decimal

import pytest

from approvals.models import Act, AlreadyHandled, Approval, Route, Task
from crm.models import Role
from crm.moments import organisation_month
from crm.verbs import NotAllowed, Refused, Stale
from notices.history import Event
from opportunities.models import Opportunity
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db

ACTS = {"report": "reporting", "sign": "signing", "terminate": "terminating"}


def pending(people, act):
    return make.opportunity(people.rep, state=ACTS[act])


def seen(opportunity):
    return Opportunity.objects.values_list("version", flat=True).get(pk=opportunity.pk)


@pytest.mark.parametrize(("act", "state"), [("report", "active"), ("sign", "signed"), ("terminate", "terminated")])
def test_finishing_grants_what_was_asked_for(people, act, state):
    opportunity = pending(people, act)
    task = opportunity.open_task

    task.finish(by=people.deputy, seen=seen(opportunity), comment="Good.")

    opportunity.refresh_from_db()
    task.refresh_from_db()
    approval = Approval.objects.granted(act).about(opportunity).get()
    assert opportunity.state == state
    assert (task.decision, task.decided_by, task.comment) == ("finished", people.deputy, "Good.")
    assert (approval.month, approval.owner) == (organisation_month(), people.rep)
    assert opportunity.open_approval is None


@pytest.mark.parametrize(("act", "state"), [("report", "returned"), ("sign", "active"), ("terminate", "active")])
def test_returning_puts_it_on_the_owners_desk(people, act, state):
    opportunity = pending(people, act)
    stage = opportunity.stage

    opportunity.open_task.return_(by=people.deputy, seen=seen(opportunity), comment="Why now?")

    opportunity.refresh_from_db()
    assert (opportunity.state, opportunity.stage) == (state, stage)
    assert (opportunity.open_task.kind, opportunity.open_task.holder) == ("revise", people.rep)
    assert opportunity.open_approval.state == "returned"


@pytest.mark.parametrize("act", ["report", "sign"])
def test_escalating_puts_it_before_the_next_step(people, act):
    opportunity = pending(people, act)

    opportunity.open_task.escalate(by=people.deputy, to=people.gm, seen=seen(opportunity), comment="Large.")

    task = opportunity.open_task
    assert (task.holder, task.step.order, task.kind) == (people.gm, 2, "decide")
    assert opportunity.open_approval.state == "open"


@pytest.mark.case(25)
def test_the_decision_names_the_version_that_it_was_about(people, reported):
    version = seen(reported)
    task = reported.open_task

    task.finish(by=people.deputy, seen=version)

    task.refresh_from_db()
    assert task.decided_version == version


def test_a_return_without_a_comment_is_refused(people, reported):
    task = reported.open_task

    with nothing_changed(), pytest.raises(Refused, match="needs a comment") as refusal:
        task.return_(by=people.deputy, seen=seen(reported), comment="  ")

    assert refusal.value.field == "comment"
    task.return_(by=people.deputy, seen=seen(reported), comment="Why now?")


def test_a_step_that_may_not_finish_is_escalated_or_returned(people):
    draft = Route.objects.get(key="report").revise()
    draft.steps.filter(order=1).update(may_finish=False)
    draft.publish(by=people.admin)
    opportunity = pending(people, "report")

    with nothing_changed(), pytest.raises(Refused, match="cannot finish"):
        opportunity.open_task.finish(by=people.deputy, seen=seen(opportunity))

    opportunity.open_task.escalate(by=people.deputy, to=people.gm, seen=seen(opportunity))
    opportunity.open_task.finish(by=people.gm, seen=seen(opportunity))
    opportunity.refresh_from_db()
    assert opportunity.state == "active"


def test_the_last_step_escalates_to_nobody(people):
    opportunity = pending(people, "terminate")

    with nothing_changed(), pytest.raises(Refused, match="no next step"):
        opportunity.open_task.escalate(by=people.deputy, to=people.gm, seen=seen(opportunity))

    opportunity.open_task.finish(by=people.deputy, seen=seen(opportunity))


def test_escalating_where_nobody_is_there_is_refused_with_role_and_department(people, reported):
    people.gm.roles.clear()

    with nothing_changed(), pytest.raises(Refused, match="this step: it needs GM"):
        reported.open_task.escalate(by=people.deputy, to=people.gm, seen=seen(reported))

    provincial = make.user(None, "gm", at="hebei")
    reported.open_task.escalate(by=people.deputy, to=provincial, seen=seen(reported))
    assert reported.open_task.holder == provincial


def test_of_several_the_one_who_was_picked_is_asked(people, reported):
    other = make.user(None, "gm")

    with nothing_changed(), pytest.raises(Refused, match="not in the route"):
        reported.open_task.escalate(by=people.deputy, to=people.director, seen=seen(reported))

    reported.open_task.escalate(by=people.deputy, to=other, seen=seen(reported))
    assert reported.open_task.holder == other


def test_nobody_escalates_to_themselves(people):
    both = make.user(None, "deputy_gm", "gm", at="jinan")
    above = make.user(None, "gm", at="shandong")
    opportunity = make.opportunity(make.user(at="jinan"), state="reporting")

    with nothing_changed(), pytest.raises(Refused, match="not in the route"):
        opportunity.open_task.escalate(by=both, to=both, seen=seen(opportunity))

    opportunity.open_task.escalate(by=both, to=above, seen=seen(opportunity))
    assert opportunity.open_task.holder == above


# Who may not


@pytest.mark.case(26)
def test_the_task_of_another_is_refused(people, reported):
    for stranger in (people.gm, people.director, people.admin, people.rep):
        for act in (finish, escalate, back):
            with nothing_changed(), pytest.raises(NotAllowed):
                act(reported, stranger, people)

    finish(reported, people.deputy, people)


def finish(opportunity, by, people):
    opportunity.open_task.finish(by=by, seen=seen(opportunity))


def escalate(opportunity, by, people):
    opportunity.open_task.escalate(by=by, to=people.gm, seen=seen(opportunity))


def back(opportunity, by, people):
    opportunity.open_task.return_(by=by, seen=seen(opportunity), comment="No.")


def role_lost(people, opportunity):
    people.deputy.roles.set([Role.objects.get(key="rep")])


def moved_elsewhere(people, opportunity):
    people.deputy.department = make.department("jinan")
    people.deputy.save()


def deactivated(people, opportunity):
    people.deputy.is_active = False
    people.deputy.save()


def put_in_charge(people, opportunity):
    opportunity.transfer(to=people.deputy, by=people.admin)


@pytest.mark.parametrize("what", [role_lost, moved_elsewhere, deactivated, put_in_charge])
@pytest.mark.parametrize("act", [finish, escalate, back])
def test_whoever_is_no_longer_able_is_refused(people, reported, what, act):
    what(people, reported)
    task = reported.open_task
    assert not task.holder_is_able()
    assert task.obstacle()

    with nothing_changed(), pytest.raises(NotAllowed):
        act(reported, people.deputy, people)


@pytest.mark.parametrize("act", [finish, escalate, back])
def test_and_whoever_is_still_able_decides(people, reported, act):
    assert reported.open_task.obstacle() == ""

    act(reported, people.deputy, people)

    assert Task.objects.filter(decided_by=people.deputy, decision__in=Task.DECISIONS).count() == 1


@pytest.mark.case(26)
def test_somebody_put_in_charge_of_ones_own_request_does_not_make_it_anothers(people, reported):
    """Whoever asked cannot decide either, though somebody else is in charge now."""
    people.rep.roles.add(Role.objects.get(key="deputy_gm"))
    other = make.user()
    reported.transfer(to=other, by=people.admin)
    deactivated(people, reported)

    assert people.rep not in reported.open_task.candidates()


def test_a_request_runs_on_after_an_administrators_handover(people, reported):
    elsewhere = make.user(at="baoding")
    reported.transfer(to=elsewhere, by=people.admin)

    reported.open_task.return_(by=people.deputy, seen=seen(reported), comment="Who knows the customer?")

    assert reported.open_task.holder == elsewhere


def test_a_request_runs_on_when_the_tree_is_rearranged(people):
    provincial = make.user(None, "deputy_gm", at="hebei")
    people.deputy.roles.clear()
    opportunity = make.opportunity(people.rep)
    opportunity.report(by=people.rep, approver=provincial)
    city = make.department("shijiazhuang")
    city.parent = make.department("shandong")
    city.save()

    opportunity.open_task.finish(by=provincial, seen=seen(opportunity))

    opportunity.refresh_from_db()
    assert opportunity.state == "active"


# Twice, and stale


@pytest.mark.parametrize("second", [finish, escalate, back])
def test_a_second_decision_is_told_who_was_first(people, reported, second):
    task = reported.open_task
    task.finish(by=people.deputy, seen=seen(reported))

    with nothing_changed(), pytest.raises(AlreadyHandled, match="Already handled by deputy, ") as refusal:
        if second is finish:
            task.finish(by=people.deputy, seen=seen(reported))
        elif second is escalate:
            task.escalate(by=people.deputy, to=people.gm, seen=seen(reported))
        else:
            task.return_(by=people.deputy, seen=seen(reported), comment="No.")

    assert refusal.value.task.decision == "finished"
    assert Event.objects.about(reported).filter(kind="granted").count() == 1


@pytest.mark.case(25)
def test_a_decision_about_values_that_changed_meanwhile_is_refused(people, reported):
    shown = seen(reported)
    reported.change(by=people.deputy, amount=Decimal("999"))

    with nothing_changed(), pytest.raises(Stale):
        reported.open_task.finish(by=people.deputy, seen=shown)

    reported.open_task.finish(by=people.deputy, seen=seen(reported))
    reported.refresh_from_db()
    assert reported.approved_amount == Decimal("999")


@pytest.mark.case(26)
def test_a_returned_request_is_decided_by_nobody(people, reported):
    back(reported, people.deputy, people)
    task = reported.open_task

    for somebody in (people.rep, people.deputy, people.admin):
        with nothing_changed(), pytest.raises(NotAllowed):
            task.finish(by=somebody, seen=seen(reported))


def test_the_edits_of_the_holder_are_kept_with_the_task(people, reported):
    reported.change(by=people.deputy, amount=Decimal("5"), name="Harbour cranes, 4 pieces")
    reported.change(by=people.deputy, amount=Decimal("7"))
    task = reported.open_task

    assert task.edits["amount"] == ["100000.00", "7.00"]
    assert task.edits["name"] == ["Harbour cranes", "Harbour cranes, 4 pieces"]

    reported.change(by=people.deputy, amount=Decimal("100000"))
    assert "amount" not in reported.open_task.edits


def test_the_frozen_fields_open_only_to_a_holder_who_is_able(people, reported):
    role_lost(people, reported)

    with nothing_changed(), pytest.raises(Refused):
        reported.change(by=people.deputy, amount=Decimal("5"))


# The state of an approval has no door but these


@pytest.mark.case(29)
def test_the_state_of_an_approval_cannot_be_assigned(reported):
    with pytest.raises(AttributeError):
        reported.open_approval.state = "granted"


def test_an_approval_of_one_record_is_open_once(people, reported):
    for act in Act:
        with nothing_changed(), pytest.raises(Refused):
            Approval.ask(reported, act, by=people.rep, approver=people.deputy)
