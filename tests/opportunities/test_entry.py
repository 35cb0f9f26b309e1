"""Opportunities come in one by one or by the thousand, by the same verbs; past records come in as they stand."""

from datetime import date, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from approvals.models import Approval
from crm.models import User
from crm.moments import organisation_today
from crm.verbs import NotAllowed, Refused
from notices.history import Event
from opportunities.entry import Past
from opportunities.models import LostReason, Movement, Opportunity, Signing
from tests import factories as make


def draft(owner=None, **fields):
    """This will build, and not save, an opportunity."""
    return Opportunity(**({"name": "Campus network", "owner": owner} | fields))


def manager():
    return make.user(None, "opportunity_manager", at="head-office")


def shown(opportunity):
    """This will give everything about an opportunity but its keys and moments, with its events and movements."""
    opportunity.refresh_from_db()
    skipped = {"id", "number", "created_at", "stage_since", "updated_at"}
    fields = {f.attname: getattr(opportunity, f.attname) for f in Opportunity._meta.fields if f.name not in skipped}
    events = [(e.kind, e.by_id, e.changes, e.data) for e in Event.objects.about(opportunity).order_by("id")]
    movements = list(opportunity.movements.order_by("id").values_list("state", "stage", "base_cents", "probability"))
    return fields, events, movements


class TestBulkTwin(TestCase):
    @settings(max_examples=15, deadline=None)
    @given(
        rows=st.lists(
            st.fixed_dictionaries(
                {"name": st.text("abc网络", min_size=1, max_size=8)},
                optional={
                    "amount": st.decimals(0, 10**9, places=2),
                    "probability": st.integers(1, 99),
                    "expected_close_on": st.dates(date(2020, 1, 1), date(2030, 1, 1)),
                    "description": st.text("xyz", max_size=5),
                },
            ),
            min_size=1,
            max_size=4,
        )
    )
    def test_entering_many_gives_what_entering_each_gives(self, rows):
        owner = make.user()
        singles, many = [draft(**row) for row in rows], [draft(**row) for row in rows]

        for single in singles:
            single.create(by=owner)
        Opportunity.create_all(many, by=owner)

        assert [shown(single) for single in singles] == [shown(one) for one in many]
        numbers = [one.number for one in (*singles, *many)]
        assert len(set(numbers)) == len(numbers)


@pytest.mark.django_db
def test_one_that_cannot_be_entered_keeps_all_the_others_out():
    owner, stranger = make.user(), make.user(at="jinan")

    with pytest.raises(NotAllowed):
        Opportunity.create_all([draft(), draft(owner=stranger)], by=owner)
    assert not Opportunity.objects.exists()

    Opportunity.create_all([draft(), draft(owner=owner)], by=owner)
    assert Opportunity.objects.count() == 2


@pytest.mark.django_db
def test_somebody_without_a_department_enters_nothing():
    homeless = make.user()
    homeless.department = None
    homeless.save()

    with pytest.raises(NotAllowed):
        draft().create(by=homeless)
    assert not Opportunity.objects.exists()


def past(state, **given):
    """This will build a past record that nothing is wrong with."""
    owner = User.objects.filter(username="chen").first() or make.user("chen")
    customer = None if state == "draft" else make.customer(owner)
    ended = state in ("signed", "terminated")
    whole = {
        "opportunity": draft(owner, customer=customer, amount=Decimal("1054")),
        "state": state,
        "entered_on": date(2016, 10, 20),
        "closed_on": date(2017, 3, 1) if ended else None,
        "lost_reason": LostReason.objects.get(key="unknown-imported") if state == "terminated" else None,
    }
    return Past(**(whole | given))


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["draft", "active", "signed", "terminated"])
def test_a_past_record_comes_in_as_it_stands_without_an_approval(state):
    by, record = manager(), past(state)

    Opportunity.import_past([record], by=by)

    opportunity = Opportunity.objects.get()
    assert (opportunity.state, opportunity.owner.username) == (state, "chen")
    assert opportunity.created_at.date() == date(2016, 10, 20)
    assert not Approval.objects.exists()
    assert [event.kind for event in Event.objects.about(opportunity)] == ["imported"]
    call_command("verify", stdout=StringIO())  # exits where anything does not hold


@pytest.mark.django_db
def test_a_past_signing_counts_in_the_month_it_was_signed_in():
    Opportunity.import_past([past("signed")], by=manager())

    signing = Signing.objects.get()
    assert (signing.month, signing.base_cents, signing.owner.username) == (date(2017, 3, 1), 105400, "chen")
    assert signing.opportunity.customer.status == "trading"


@pytest.mark.django_db
def test_any_past_day_can_be_asked_for_afterwards():
    Opportunity.import_past([past("signed")], by=manager())

    stood = list(Movement.objects.order_by("id").values_list("at__date", "state", "stage__key"))
    assert stood == [(date(2016, 10, 20), "active", "first-contact"), (date(2017, 3, 1), "signed", "won")]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("state", "wrong", "field"),
    [
        ("signed", {"closed_on": None}, "closed_on"),
        ("signed", {"closed_on": organisation_today() + timedelta(days=1)}, "closed_on"),
        ("signed", {"entered_on": date(2018, 1, 1)}, "created_at"),
        ("terminated", {"lost_reason": None}, "lost_reason"),
        ("reporting", {}, "state"),
    ],
)
def test_a_past_record_that_contradicts_itself_is_refused_and_nothing_is_written(state, wrong, field):
    record = past("signed" if state == "reporting" else state, **wrong)
    record.state = state

    with pytest.raises(Refused) as refused:
        Opportunity.import_past([past("draft", opportunity=draft(make.user())), record], by=manager())

    assert refused.value.field == field
    assert not Opportunity.objects.exists()


@pytest.mark.django_db
def test_past_records_are_entered_by_those_only_who_may():
    record = past("signed")

    with pytest.raises(NotAllowed):
        Opportunity.import_past([record], by=record.opportunity.owner)
    assert not Opportunity.objects.exists()

    Opportunity.import_past([record], by=manager())
    assert Opportunity.objects.count() == 1
