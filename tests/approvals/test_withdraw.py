"""Withdrawing: the asker takes a request back while nobody has decided in its round."""

import pytest

from crm.verbs import NotAllowed, Refused
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db


def test_a_first_report_becomes_a_draft_again(people, reported):
    approval = reported.open_approval

    reported.withdraw(by=people.rep)

    approval.refresh_from_db()
    assert (reported.state, approval.state) == ("draft", "withdrawn")
    assert approval.open_task is None


def test_a_later_report_becomes_returned_again(people, reported):
    reported.open_task.return_(by=people.deputy, seen=reported.version, comment="Why?")
    reported.refresh_from_db()
    reported.report(by=people.rep, approver=people.deputy)

    reported.withdraw(by=people.rep)

    assert reported.state == "returned"
    assert (reported.open_task.kind, reported.open_task.holder) == ("revise", people.rep)


@pytest.mark.parametrize("state", ["signing", "terminating"])
def test_a_request_to_close_stays_on_the_askers_desk(people, state):
    opportunity = make.opportunity(people.rep, state=state)

    opportunity.withdraw(by=people.rep)

    assert opportunity.state == "active"
    assert opportunity.open_approval.state == "returned"
    assert (opportunity.open_task.kind, opportunity.open_task.holder) == ("revise", people.rep)


def test_it_is_refused_once_somebody_has_decided(people, reported):
    reported.open_task.escalate(by=people.deputy, to=people.gm, seen=reported.version)

    with nothing_changed(), pytest.raises(Refused, match="has decided already"):
        reported.withdraw(by=people.rep)


def test_what_is_carried_over_is_no_decision_of_the_round(people, reported):
    reported.open_task.escalate(by=people.deputy, to=people.gm, seen=reported.version)
    reported.open_task.return_(by=people.gm, seen=reported.version, comment="Why?")
    reported.refresh_from_db()
    reported.report(by=people.rep, approver=people.gm)

    reported.withdraw(by=people.rep)

    assert reported.state == "returned"


def test_it_is_refused_where_nothing_is_being_approved(people):
    opportunity = make.opportunity(people.rep, state="active")

    with nothing_changed(), pytest.raises(Refused, match="Nothing is being approved"):
        opportunity.withdraw(by=people.rep)


def test_nobody_else_withdraws_it(people, reported):
    for stranger in (people.deputy, people.gm, people.admin, make.user()):
        with nothing_changed(), pytest.raises(NotAllowed):
            reported.withdraw(by=stranger)


def test_a_dropped_request_is_ended_and_another_can_be_made(people):
    opportunity = make.opportunity(people.rep, state="signing")
    opportunity.withdraw(by=people.rep)

    opportunity.drop(by=people.rep)

    assert opportunity.open_approval is None
    make.sign(opportunity, approver=people.deputy)
    assert opportunity.state == "signing"


def test_what_is_being_decided_cannot_be_dropped(people):
    opportunity = make.opportunity(people.rep, state="signing")

    with nothing_changed(), pytest.raises(Refused, match="Only a returned request"):
        opportunity.drop(by=people.rep)
