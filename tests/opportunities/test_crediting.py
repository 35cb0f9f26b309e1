"""What each person is credited with is always the sum of its facts, whoever writes how many of them at once."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from crm.moments import organisation_month, organisation_today
from opportunities.crediting import KEY, SUMS, Credit, differences, recount
from opportunities.entry import Past
from opportunities.models import Opportunity
from opportunities.ranking import Ranking, month_before
from tests import factories as make
from tests.opportunities.test_at_once import at_once

pytestmark = pytest.mark.django_db
THIS_MONTH = organisation_month()
LAST_MONTH = month_before(THIS_MONTH)


@pytest.fixture
def manager():
    return make.user("manager", "opportunity_manager", at="head-office")


def signed(owner, amount, **fields):
    opportunity = make.opportunity(owner, state="active", **fields)
    deputy = make.approver(opportunity)
    make.sign(opportunity, approver=deputy, amount=Decimal(amount))
    opportunity.open_task.finish(by=deputy, seen=opportunity.version)
    opportunity.refresh_from_db()
    return opportunity


def correct(opportunity, by, *, amount, on=None):
    figures = {"contract_number": "C-1", "signed_amount": Decimal(amount), "signed_on": on or organisation_today()}
    opportunity.correct(by=by, reason="Misread.", **figures)
    opportunity.refresh_from_db()


def kept():
    """This will list (month, whose, hundredths signed, number signed, number reported), in order."""
    return sorted(Credit.objects.values_list("month", "owner__username", *SUMS))


def test_a_granted_report_and_a_signature_count_once_each():
    rep = make.user("rep")
    signed(rep, 500)
    make.opportunity(rep, state="active")
    make.opportunity(rep, state="reporting")
    make.opportunity(rep, state="returned")

    assert kept() == [(THIS_MONTH, "rep", 50_000, 1, 2)]
    assert list(differences()) == []


def test_each_department_that_somebody_was_credited_at_has_its_own_row():
    rep = make.user("rep", at="shijiazhuang")
    signed(rep, 500)
    rep.department = make.department("baoding")
    rep.save()
    signed(rep, 300)

    places = Credit.objects.order_by("base_cents").values_list("department__key", "city__key", "province__key")
    assert list(places) == [("baoding", "baoding", "hebei"), ("shijiazhuang", "shijiazhuang", "hebei")]
    assert Ranking(rep, THIS_MONTH, None).amounts.rows[0].amount == 800
    assert list(differences()) == []


def test_a_corrected_amount_takes_the_place_of_the_wrong_one(manager):
    rep = make.user("rep")
    one = signed(rep, 500)
    signed(rep, 70)
    correct(one, manager, amount=40)

    assert kept() == [(THIS_MONTH, "rep", 11_000, 2, 2)]


def test_a_signature_that_belongs_to_another_month_goes_there_and_comes_back(manager):
    rep = make.user("rep")
    past = Opportunity(name="Old", owner=rep, customer=make.customer(rep), amount=Decimal(500))
    Opportunity.import_past([Past(past, "signed", closed_on=organisation_today())], by=manager)
    assert kept() == [(THIS_MONTH, "rep", 50_000, 1, 0)]

    correct(past, manager, amount=500, on=LAST_MONTH)
    assert kept() == [(LAST_MONTH, "rep", 50_000, 1, 0)]  # and nothing is left where it was

    correct(past, manager, amount=300)
    assert kept() == [(THIS_MONTH, "rep", 30_000, 1, 0)]


def test_a_thousand_past_ones_count_for_each_who_signed_them(manager):
    reps = [make.user(f"rep{number}") for number in range(3)]
    customer = make.customer(reps[0])
    pasts = [
        Past(
            Opportunity(name=f"Old {number}", owner=reps[number % 3], customer=customer, amount=Decimal(number)),
            "signed",
            closed_on=date(2025, 1 + number % 12, 9),
        )
        for number in range(1000)
    ]
    Opportunity.import_past(pasts, by=manager)

    of_january = {(owner, cents, count) for month, owner, cents, count, _reported in kept() if month.month == 1}
    numbers = range(0, 1000, 12)  # in January, all of whom the first rep signed
    assert of_january == {("rep0", 100 * sum(numbers), len(numbers))}
    assert sum(count for *_rest, count, _reported in kept()) == 1000
    assert list(differences()) == []


def test_a_refused_signature_counts_for_nobody():
    rep = make.user("rep")
    opportunity = make.opportunity(rep, state="signing")
    before = kept()
    opportunity.open_task.return_(by=opportunity.open_task.holder, comment="No.", seen=opportunity.version)

    assert kept() == before == [(THIS_MONTH, "rep", 0, 0, 1)]


def test_what_is_wrong_is_told_and_a_recount_puts_it_right(manager):
    for name in ("one", "two", "three"):
        signed(make.user(name), 500)
    right = kept()
    Credit.objects.filter(owner__username="one").update(base_cents=1)
    Credit.objects.filter(owner__username="two").delete()
    extra = Credit.objects.get(owner__username="three")
    extra.pk, extra.month = None, LAST_MONTH
    extra.save()
    assert len(list(differences())) == 3

    recount()
    assert kept() == right
    assert list(differences()) == []


@pytest.mark.django_db(transaction=True)
def test_twenty_signed_at_once_for_one_person_are_all_counted_while_others_recount():
    rep = make.user("rep")
    waiting = [make.opportunity(rep, state="active") for _number in range(20)]
    for opportunity in waiting:
        make.sign(opportunity, approver=make.approver(opportunity), amount=Decimal(7))
    tasks = [(opportunity.open_task, opportunity.version) for opportunity in waiting]

    def finish(task, version):
        return lambda: task.finish(by=task.holder, seen=version)

    answers = at_once(*(finish(*one) for one in tasks), *([recount] * 5))

    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert kept() == [(THIS_MONTH, "rep", 14_000, 20, 20)]
    assert list(differences()) == []


@pytest.mark.django_db(transaction=True)
def test_a_database_that_knew_no_credits_gets_them_with_the_upgrade(manager):
    signed(make.user("rep"), 500)
    make.opportunity(make.user("other", at="jinan"), state="active")
    right = kept()
    places = sorted(Credit.objects.values_list(*KEY))

    MigrationExecutor(connection).migrate([("opportunities", "0013_undone_movements")])
    gone = Credit._meta.db_table not in connection.introspection.table_names()
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())  # all the way, for the tests that come after

    assert gone

    assert kept() == right == [(THIS_MONTH, "other", 0, 0, 1), (THIS_MONTH, "rep", 50_000, 1, 1)]
    assert sorted(Credit.objects.values_list(*KEY)) == places
