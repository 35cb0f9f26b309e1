"""The life of an opportunity, from draft to signed or terminated, by its verbs alone."""

import pytest

from opportunities.models import Opportunity
from tests import factories as make

pytestmark = pytest.mark.django_db


def test_a_report_that_is_approved_makes_the_opportunity_active():
    opportunity = make.opportunity(state="active")

    assert opportunity.state == "active"
    assert opportunity.approved_amount == opportunity.amount


@pytest.mark.parametrize(
    "state", ["draft", "reporting", "returned", "active", "signing", "signed", "terminating", "terminated"]
)
def test_every_state_can_be_reached(state):
    assert make.opportunity(state=state).state == state


def test_the_owner_sees_it_and_a_stranger_does_not():
    opportunity = make.opportunity(state="active")
    stranger = make.user(at="jinan")

    assert list(Opportunity.objects.visible_to(opportunity.owner)) == [opportunity]
    assert list(Opportunity.objects.visible_to(stranger)) == []
