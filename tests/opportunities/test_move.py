"""Move to: an active opportunity goes to another open stage, and its probability with it."""

import pytest

from notices.history import Event
from opportunities.models import Movement, Pipeline, Stage
from tests import factories as make
from tests.digest import nothing_changed
from tests.opportunities.acts import address, in_state, version

pytestmark = pytest.mark.django_db


@pytest.fixture
def opportunity(client):
    made = in_state("active")
    client.force_login(made.owner)
    return made


def move(client, opportunity, stage, **changes):
    return client.post(address(opportunity, "move"), {"stage": stage, "version": version(opportunity)} | changes)


def test_it_moves_forward_and_back_and_the_probability_follows(client, opportunity):
    for key, probability in (("negotiation", 80), ("needs-confirmed", 40)):
        assert move(client, opportunity, make.stage(key).pk).status_code == 302
        opportunity.refresh_from_db()
        moved = Movement.objects.filter(opportunity=opportunity).latest("pk")
        assert (opportunity.stage.key, opportunity.probability) == (key, probability)
        assert (moved.stage.key, moved.probability) == (key, probability)
        assert Event.objects.about(opportunity).first().kind == "moved"


def test_a_probability_that_was_typed_stays(client, opportunity):
    opportunity.change(by=opportunity.owner, probability=35)
    move(client, opportunity, make.stage("negotiation").pk)
    opportunity.refresh_from_db()
    assert opportunity.probability == 35


def test_won_lost_retired_and_other_pipelines_stages_are_refused(client, opportunity):
    other = Pipeline.objects.create(key="other", names={"en": "Other"})
    foreign = Stage.objects.create(key="x", names={"en": "X"}, pipeline=other, probability=10)
    Stage.objects.filter(key="proposal").update(active=False)
    for stage in (make.stage("won"), make.stage("lost"), make.stage("proposal"), foreign):
        with nothing_changed():
            assert move(client, opportunity, stage.pk).status_code == 409
    for bad in ("", "x", "9223372036854775808", "\0"):
        with nothing_changed():
            assert move(client, opportunity, bad).status_code == 409
    assert move(client, opportunity, make.stage("negotiation").pk).status_code == 302


def test_moving_to_where_it_is_writes_nothing(client, opportunity):
    with nothing_changed():
        assert move(client, opportunity, opportunity.stage_id).status_code == 302


def test_the_page_offers_every_other_open_stage(client, opportunity):
    page = client.get(address(opportunity)).content.decode()
    menu = page[page.index("Move to") :]
    offered = [stage.key for stage in Stage.objects.all() if f'name="stage" value="{stage.pk}"' in menu]
    assert offered == ["needs-confirmed", "proposal", "negotiation"]


def test_it_costs_few_queries(client, opportunity, django_assert_max_num_queries):
    move(client, opportunity, make.stage("proposal").pk)  # what is read once for all is read then
    with django_assert_max_num_queries(15):
        assert move(client, opportunity, make.stage("negotiation").pk).status_code == 302
