"""Two at once: of decisions pressed in the same moment exactly one counts, and the others are told who was first."""

import re
from threading import Barrier, Thread

import pytest
from django.db import connections
from django.test import Client

from approvals.models import Task
from crm.verbs import Refused
from notices.history import Event
from notices.models import Delivery
from opportunities.models import Opportunity
from tests import factories as make

pytestmark = pytest.mark.django_db(transaction=True)


def together(*presses):
    """This will run all `presses` in the same moment, each in a thread of its own, and give what came of each."""
    start, came = Barrier(len(presses), timeout=60), [None] * len(presses)

    def run(place, press):
        try:
            start.wait()
            came[place] = press()
        finally:
            connections.close_all()

    threads = [Thread(target=run, args=pair) for pair in enumerate(presses)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return came


def press(user, opportunity, decision, **more):
    """This will give what presses Submit decision, on a page that was opened before."""
    client = Client()
    client.force_login(user)
    where = f"/tasks/{opportunity.open_task.pk}/"
    version = Opportunity.objects.values_list("version", flat=True).get(pk=opportunity.pk)
    sent = {"decision": decision, "comment": "Why now?", "version": version} | more
    return lambda: client.post(where, sent)


def statuses(answers):
    return sorted(answer.status_code for answer in answers)


@pytest.mark.case(23)
def test_the_same_button_twice_in_one_moment_decides_once(people, reported):
    answers = together(*[press(people.deputy, reported, "finish")] * 2)

    assert statuses(answers) == [302, 409]
    assert_decided_once(reported, "granted")


@pytest.mark.case(23)
def test_twenty_presses_in_one_moment_decide_once(people, reported):
    answers = together(*[press(people.deputy, reported, "finish")] * 20)

    assert statuses(answers) == [302] + [409] * 19
    assert_decided_once(reported, "granted")


@pytest.mark.case(24)
def test_finish_and_return_in_one_moment_are_one_of_both(people, reported):
    answers = together(press(people.deputy, reported, "finish"), press(people.deputy, reported, "return"))

    assert statuses(answers) == [302, 409]
    loser = next(answer for answer in answers if answer.status_code == 409)
    assert re.search(r"Already handled by deputy, \d\d:\d\d", loser.content.decode())
    assert "Why now?" in loser.content.decode()
    reported.refresh_from_db()
    assert reported.state in ("active", "returned")
    assert_decided_once(reported, "granted" if reported.state == "active" else "returned")


@pytest.mark.case(24)
def test_a_decision_and_a_withdrawal_in_one_moment_are_one_of_both(people, reported):
    asker = Client()
    asker.force_login(people.rep)
    withdraw = f"/opportunities/{reported.pk}/withdraw/"
    version = Opportunity.objects.get(pk=reported.pk).version

    answers = together(press(people.deputy, reported, "finish"), lambda: asker.post(withdraw, {"version": version}))

    reported.refresh_from_db()
    assert reported.state in ("active", "draft")
    assert answers[0].status_code == (302 if reported.state == "active" else 409)
    kinds = Event.objects.about(reported).filter(kind__in=["granted", "withdrawn"]).values_list("kind", flat=True)
    assert list(kinds) == ["granted" if reported.state == "active" else "withdrawn"]


@pytest.mark.case(25)
def test_an_edit_and_a_decision_in_one_moment_never_approve_what_nobody_saw(people, reported):
    def edit():
        Opportunity.objects.get(pk=reported.pk).change(by=people.deputy, amount=999)

    answers = together(press(people.deputy, reported, "finish"), edit_or_refusal(edit))

    reported.refresh_from_db()
    if answers[0].status_code == 302:
        assert reported.approved_amount == 100000
    else:
        assert (answers[0].status_code, reported.state, reported.amount) == (409, "reporting", 999)


def edit_or_refusal(edit):
    def tried():
        try:
            edit()
        except Refused as error:
            return error
        return None

    return tried


def test_two_administrators_assign_once(people, reported):
    people.deputy.is_active = False
    people.deputy.save()
    others = [make.user(None, "deputy_gm") for _ in range(2)]
    where = f"/tasks/{reported.open_task.pk}/assign/"

    def assign(to):
        client = Client()
        client.force_login(people.admin)
        return lambda: client.post(where, {"approver": to.pk})

    answers = together(*(assign(to) for to in others))

    assert statuses(answers) == [302, 409]
    assert Task.objects.open().filter(approval=reported.open_approval).count() == 1
    assert Event.objects.about(reported).filter(kind="assigned").count() == 1


def assert_decided_once(opportunity, kind):
    assert Task.objects.filter(about_id=opportunity.pk, decision__in=Task.DECISIONS).count() == 1
    assert Event.objects.about(opportunity).filter(kind=kind).count() == 1
    assert Delivery.objects.filter(kind=kind).count() == 1
