"""Acts that arrive at the same moment, in real transactions of their own: one counts, and the others are told."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection
from django.test import Client

from approvals.models import Approval
from crm.verbs import Refused
from customers.models import Customer
from notices.history import Event
from opportunities.models import Movement, Opportunity
from tests import factories as make
from tests.digest import nothing_changed
from tests.opportunities.acts import ACTS, address, typed

pytestmark = pytest.mark.django_db(transaction=True)

TIMES = 20


def at_once(*calls):
    """This will make all calls from threads of their own at the same moment, and give what each gave or raised."""
    start = Barrier(len(calls), timeout=60)

    def run(call):
        start.wait()
        try:
            return call()
        except Refused as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))


def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


def events(opportunity, kind):
    return Event.objects.about(opportunity).filter(kind=kind).count()


@pytest.mark.parametrize("name", [name for name in ACTS if name != "copy"])
@pytest.mark.case(23)
def test_twenty_presses_of_one_button_count_once(name):
    act = ACTS[name]
    opportunity = act.world()
    actor = act.actor(opportunity)
    data = act.sends(opportunity)
    clients = [signed_in(actor) for _time in range(TIMES)]

    answers = at_once(*(lambda one=one: one.post(address(opportunity, act.page), data) for one in clients))

    statuses = [answer.status_code for answer in answers]
    assert events(opportunity, act.event) == 1, statuses
    assert 302 in statuses
    assert max(statuses) < 500


def test_twenty_presses_of_copy_give_one_copy():
    act = ACTS["copy"]
    opportunity = act.world()
    data = act.sends(opportunity)
    clients = [signed_in(opportunity.owner) for _time in range(TIMES)]

    answers = at_once(*(lambda one=one: one.post(address(opportunity, "copy"), data) for one in clients))

    assert Opportunity.objects.count() == 2
    assert len({answer["Location"] for answer in answers}) == 1


@pytest.mark.case(33)
def test_twenty_presses_of_submit_on_a_new_one_enter_and_report_one():
    owner = make.user()
    customer = make.customer(owner)
    deputy = make.user(None, "deputy_gm")
    page = signed_in(owner).get("/opportunities/new/").context["form"]
    blank = Opportunity(owner=owner, name="Harbour cranes", customer=customer, stage=make.stage(), probability=20)
    data = typed(
        blank,
        business_type=make.BusinessType.objects.first().pk,
        amount="45万",
        expected_close_on="2030-01-31",
        once=str(page["once"].value()),
        act="submit",
        approver=deputy.pk,
    )
    clients = [signed_in(owner) for _time in range(TIMES)]

    answers = at_once(*(lambda one=one: one.post("/opportunities/new/", data) for one in clients))

    opportunity = Opportunity.objects.get()
    assert opportunity.state == "reporting"
    assert {answer["Location"] for answer in answers} == {opportunity.get_absolute_url()}
    assert Approval.objects.count() == 1


def test_twenty_new_ones_at_once_get_twenty_numbers():
    owner = make.user()
    at_once(*(lambda: Opportunity(owner=owner, name="Harbour cranes").create(by=owner) for _time in range(TIMES)))

    assert len(set(Opportunity.objects.values_list("number", flat=True))) == TIMES


def test_a_withdrawal_and_a_decision_at_once_are_one_or_the_other():
    opportunity = make.opportunity(state="reporting")
    task = opportunity.open_task
    mine, theirs = (Opportunity.objects.get(pk=opportunity.pk) for _side in range(2))

    outcome = at_once(
        lambda: mine.withdraw(by=opportunity.owner, seen=mine.version),
        lambda: task.finish(by=task.holder, seen=theirs.version),
    )

    opportunity.refresh_from_db()
    assert sum(isinstance(one, Refused) for one in outcome) == 1
    assert opportunity.state == ("active" if isinstance(outcome[0], Refused) else "draft")
    assert events(opportunity, "granted") + events(opportunity, "withdrawn") == 1


@pytest.mark.case(24)
def test_signing_and_terminating_at_once_are_one_or_the_other():
    opportunity = make.opportunity(state="active")
    deputy = make.approver(opportunity)
    one, other = (Opportunity.objects.get(pk=opportunity.pk) for _side in range(2))

    outcome = at_once(lambda: make.sign(one, approver=deputy), lambda: make.terminate(other, approver=deputy))

    opportunity.refresh_from_db()
    assert sum(isinstance(one, Refused) for one in outcome) == 1
    assert opportunity.state in ("signing", "terminating")
    assert Approval.objects.about(opportunity).unfinished().count() == 1


@pytest.mark.case(31)
def test_two_edits_at_once_lose_nothing():
    opportunity = make.opportunity(state="active")
    edits = [Opportunity.objects.get(pk=opportunity.pk) for _side in range(2)]

    outcome = at_once(
        lambda: edits[0].change(by=opportunity.owner, seen=edits[0].version, amount=111),
        lambda: edits[1].change(by=opportunity.owner, seen=edits[1].version, name="Another name"),
    )

    assert sum(isinstance(one, Refused) for one in outcome) == 1
    assert events(opportunity, "changed") == 1


def test_moves_that_wait_for_one_another_are_all_done():
    """Whoever waits for the lock reads what the one before wrote, its new stage included."""
    opportunity = make.opportunity(state="active")
    stages = [make.stage(key) for key in ("proposal", "negotiation")] * (TIMES // 2)
    ones = [Opportunity.objects.get(pk=opportunity.pk) for _stage in stages]

    outcome = at_once(
        *(lambda one=one, to=to: one.move(by=opportunity.owner, stage=to) for one, to in zip(ones, stages, strict=True))
    )

    assert outcome == [None] * TIMES
    moved = Event.objects.about(opportunity).filter(kind="moved").order_by("id")
    changes = [event.changes["stage"] for event in moved]
    assert [old["id"] for old, _new in changes[1:]] == [new["id"] for _old, new in changes[:-1]]


def test_an_amount_changed_at_the_moment_of_a_move_is_kept():
    opportunity = make.opportunity(state="active")
    one, other = (Opportunity.objects.get(pk=opportunity.pk) for _side in range(2))

    at_once(
        lambda: one.change(by=opportunity.owner, amount=999),
        lambda: other.move(by=opportunity.owner, stage=make.stage("proposal")),
    )

    opportunity.refresh_from_db()
    assert (opportunity.amount, opportunity.stage.key) == (999, "proposal")
    last = Movement.objects.filter(opportunity=opportunity).latest("pk")
    assert (last.base_cents, last.stage.key, last.probability) == (99900, "proposal", 60)


@pytest.mark.parametrize("_time", range(5))
def test_a_customer_chosen_while_somebody_deletes_it_is_either_chosen_or_deleted(_time):
    opportunity = make.opportunity(make.user())
    customer = make.customer(opportunity.owner)
    chooser, deleter = signed_in(opportunity.owner), signed_in(opportunity.owner)
    chosen = typed(opportunity, customer=customer.name, customer_id=customer.pk)

    answers = at_once(
        lambda: chooser.post(address(opportunity, "edit"), chosen),
        lambda: deleter.post(f"/customers/{customer.pk}/delete/", {"version": customer.version}),
    )

    opportunity.refresh_from_db()
    there = Customer.objects.filter(pk=customer.pk).exists()
    assert (opportunity.customer_id == customer.pk) == there
    assert max(answer.status_code for answer in answers) < 500


def test_what_was_deleted_between_reading_and_choosing_is_refused_and_nothing_is_changed():
    opportunity = make.opportunity(make.user())
    customer, contact = make.customer(opportunity.owner), make.contact(opportunity.customer)
    for one in (customer, contact):
        type(one).objects.get(pk=one.pk).delete_(by=opportunity.owner)
    draft = Opportunity(name="Harbour cranes", customer=customer)

    with nothing_changed():
        for choose in (
            lambda: opportunity.change(by=opportunity.owner, customer=customer),
            lambda: opportunity.add_contact(by=opportunity.owner, contact=contact),
            lambda: draft.create(by=opportunity.owner),
        ):
            with pytest.raises(Refused, match="Choose again"):
                choose()
