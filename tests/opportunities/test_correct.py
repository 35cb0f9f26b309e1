"""Correct: the opportunity manager puts a signing's wrong figures right, and the history says why."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from crm.moments import organisation_today
from notices.history import Event
from tests import factories as make
from tests.digest import nothing_changed
from tests.opportunities.acts import ACTS, address, in_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed(client):
    made = in_state("signed")
    client.force_login(make.user("manager", "opportunity_manager", at="head-office"))
    return made


def send(client, opportunity, **changes):
    return ACTS["correct"].post(client, opportunity, **changes)


def test_the_month_and_the_amount_follow(client, signed):
    form = client.get(address(signed, "correct")).context["form"]
    assert form["signed_amount"].initial == Decimal(100000)
    assert send(client, signed, signed_amount="5万", signed_on="2026-01-31").status_code == 302

    signed.refresh_from_db()
    signing = signed.signing
    assert (signing.amount, signing.base_cents, signing.month) == (50000, 5_000_000, date(2026, 1, 1))
    assert signed.closed_on == date(2026, 1, 31)
    event = Event.objects.about(signed).first()
    assert (event.kind, event.data["reason"]) == ("corrected", "Two digits swapped.")
    assert event.data["figures"]["amount"] == ["100000.00", "50000.00"]
    assert "Two digits swapped." in client.get(address(signed)).content.decode()


def test_without_a_difference_nothing_is_written(client, signed):
    signing = signed.signing
    with nothing_changed():
        send(
            client,
            signed,
            contract_number=signing.contract_number,
            signed_amount=signing.amount,
            signed_on=signing.signed_on,
            term=signing.term,
        )


def test_what_cannot_be_is_refused_at_its_field(client, signed):
    bad = {
        "reason": ["", " ", "\0"],
        "signed_amount": ["", "NaN", "-1", "9" * 10**6],
        "signed_on": ["", "0000-00-00", str(organisation_today() + timedelta(days=1))],
        "term": ["-1", "NaN"],
    }
    for field, values in bad.items():
        for value in values:
            with nothing_changed():
                assert list(send(client, signed, **{field: value}).context["form"].errors) == [field], value


@pytest.mark.parametrize("roles", [["gm"], ["deputy_gm"], ["director"], ["support"]])
def test_superiors_and_the_owner_may_not(client, signed, roles):
    for person in (signed.owner, make.user(None, *roles)):
        client.force_login(person)
        with nothing_changed():
            assert client.get(address(signed, "correct")).status_code == 403
            assert send(client, signed).status_code == 403
        assert "Correct</a>" not in client.get(address(signed)).content.decode()
