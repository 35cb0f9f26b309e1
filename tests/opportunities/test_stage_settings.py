"""What administrators say of a stage, and of a pipeline, and that every way of moving obeys it."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.utils import timezone

from crm.verbs import NotAllowed, Refused
from opportunities.forms import OpportunityForm
from opportunities.models import Incomplete, Movement, Opportunity, Pipeline, Source, Stage
from tests import factories as make
from tests.digest import nothing_changed
from tests.opportunities.acts import typed
from tests.opportunities.test_board import another_pipeline

pytestmark = pytest.mark.django_db


def settled(key, **values):
    Stage.objects.filter(key=key).update(**values)
    return make.stage(key)


@pytest.fixture
def opportunity():
    return make.opportunity(state="active", stage=make.stage("proposal"))


# ── Back ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_from_a_stage_that_forbids_it_nothing_goes_back_by_verb_or_form(client, opportunity):
    settled("proposal", may_move_back=False)
    opportunity = Opportunity.objects.get(pk=opportunity.pk)
    first, rep = make.stage(), opportunity.owner
    with nothing_changed():
        with pytest.raises(Refused, match="only goes on, not back"):
            opportunity.move(stage=first, by=rep)
        with pytest.raises(Refused, match="only goes on, not back"):
            opportunity.change(stage=first, by=rep)
    client.force_login(rep)
    with nothing_changed():
        answer = client.post(f"/opportunities/{opportunity.pk}/edit/", typed(opportunity, stage=first.pk))
    assert answer.context["form"].errors["stage"] == ["From “Proposal” an opportunity only goes on, not back."]
    opportunity.move(stage=make.stage("negotiation"), by=rep)
    opportunity.move(stage=make.stage("proposal"), by=rep)  # from here it is allowed
    assert opportunity.stage.key == "proposal"


def test_menus_offer_only_what_lies_ahead_then(client, opportunity):
    settled("proposal", may_move_back=False)
    client.force_login(opportunity.owner)
    for address in ("/opportunities/board/", f"/opportunities/{opportunity.pk}/"):
        page = client.get(address).content.decode()
        offered = [one.key for one in Stage.objects.all() if f'name="stage" value="{one.pk}"' in page]
        assert offered == ["negotiation"]


def test_until_its_report_is_approved_any_stage_can_be_chosen():
    settled("proposal", may_move_back=False)
    settled("first-contact", required=["source"])
    draft = make.opportunity(stage=make.stage("proposal"))
    draft.change(stage=make.stage(), by=draft.owner)
    assert draft.stage.key == "first-contact"
    with pytest.raises(Incomplete):  # what a stage requires is asked for when it is submitted
        draft.report(by=draft.owner, approver=make.approver(draft))


# ── What a stage requires ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stage_is_not_come_to_without_what_it_requires(opportunity):
    stage = settled("negotiation", required=["source"])
    with nothing_changed():
        with pytest.raises(Incomplete) as refused:
            opportunity.move(stage=stage, by=opportunity.owner)
        with pytest.raises(Incomplete):
            opportunity.change(stage=stage, by=opportunity.owner)
    assert refused.value.fields == ["source"]
    opportunity.move(stage=stage, by=opportunity.owner, source=Source.objects.first())
    assert (opportunity.stage, opportunity.source) == (stage, Source.objects.first())


def test_nothing_else_comes_in_with_a_move(opportunity):
    with nothing_changed(), pytest.raises(NotAllowed):
        opportunity.move(stage=make.stage("negotiation"), by=opportunity.owner, name="Other", amount=1)


# ── Pipelines ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_department_enters_begins_in_the_pipeline_of_the_nearest_above():
    another_pipeline(departments=["hebei"])
    for at, key in (("shijiazhuang", "channel-first"), ("hebei", "channel-first"), ("jinan", "first-contact")):
        rep = make.user(at=at)
        made = Opportunity(name="New")
        made.create(by=rep)
        assert made.stage.key == key
        assert OpportunityForm(user=rep).fields["stage"].initial.key == key


def test_an_open_one_goes_to_another_pipeline_and_its_probability_with_it(opportunity):
    another_pipeline()
    opportunity.move(stage=make.stage("channel-second"), by=opportunity.owner)
    assert opportunity.probability == 50
    opportunity.change(stage=make.stage("negotiation"), by=opportunity.owner)
    assert opportunity.probability == 80


def test_it_does_not_go_where_it_could_not_end_or_nobody_goes_any_more(opportunity):
    channel = another_pipeline()
    Stage.objects.filter(key="channel-lost").delete()
    with nothing_changed(), pytest.raises(Refused, match="no stage for won or lost"):
        opportunity.move(stage=make.stage("channel-first"), by=opportunity.owner)
    Pipeline.objects.filter(pk=channel.pk).update(active=False)
    with nothing_changed(), pytest.raises(Refused, match="no longer used"):
        opportunity.move(stage=make.stage("channel-first"), by=opportunity.owner)


def test_the_form_offers_the_stages_below_their_pipelines(client):
    rep = make.user(language="en")
    client.force_login(rep)
    assert "<optgroup" not in client.get("/opportunities/new/").content.decode()
    another_pipeline()
    assert '<optgroup label="Channel">' in client.get("/opportunities/new/").content.decode()


# ── Since when ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_days_in_a_stage_begin_anew_with_another_stage_alone(opportunity):
    rep = opportunity.owner
    since = opportunity.stage_since
    opportunity.change(amount=5, by=rep)
    make.sign(opportunity, approver=make.approver(opportunity))
    opportunity.withdraw(by=rep)
    assert opportunity.stage_since == since
    opportunity.move(stage=make.stage("negotiation"), by=rep)
    assert opportunity.stage_since > since
    Stage.objects.get(key="negotiation")
    Opportunity.objects.filter(pk=opportunity.pk).restage(make.stage("negotiation"), by=rep)
    again = Opportunity.objects.get(pk=opportunity.pk)
    assert again.stage_since == opportunity.stage_since


def test_those_there_before_have_been_in_it_since_they_moved_there(opportunity):
    rep, day = opportunity.owner, timedelta(days=1)
    opportunity.move(stage=make.stage("negotiation"), by=rep)
    opportunity.change(amount=5, by=rep)
    fresh = make.opportunity(rep)
    for number, movement in enumerate(Movement.objects.order_by("pk")):
        Movement.objects.filter(pk=movement.pk).update(at=timezone.now() - 100 * day + number * day)
    Opportunity.objects.update(stage_since=timezone.now())
    import_module("opportunities.migrations.0010_stage_settings").since_their_movements(apps, None)
    for one, stage in ((opportunity, "negotiation"), (fresh, "first-contact")):
        first = Movement.objects.filter(opportunity=one, stage__key=stage).order_by("pk").first()
        assert Opportunity.objects.get(pk=one.pk).stage_since == first.at


# ── Their pages ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def admin(client):
    person = make.user("admin", "administrator", at="head-office", language="en")
    client.force_login(person)
    return person


def sends(value, **changes):
    named = {f"name_{code}": text for code, text in value.names.items()}
    return named | {"colour": value.colour, "active": "on", "version": value.version} | changes


def test_an_administrator_says_all_of_it_on_the_page_of_the_stage(client, admin):
    stage = make.stage("proposal")
    page = client.get(f"/picklists/stage/{stage.pk}/").content.decode()
    assert "Days until it is overdue" in page and 'type="checkbox" name="required" value="source"' in page
    sent = sends(
        stage, probability=60, rots_after="21", required=["description", "source"], hints_en="Price and scope are sent."
    )
    assert client.post(f"/picklists/stage/{stage.pk}/", sent).status_code == 302
    stage.refresh_from_db()
    assert (stage.rots_after, stage.may_move_back, stage.required, stage.hints) == (
        21, False, ["source", "description"], {"en": "Price and scope are sent."},
    )  # fmt: skip
    assert "Price and scope are sent." in client.get("/opportunities/board/").content.decode()
    stage_again = sends(stage, probability=60, may_move_back="on")
    assert client.post(f"/picklists/stage/{stage.pk}/", stage_again).status_code == 302
    stage.refresh_from_db()
    assert (stage.rots_after, stage.may_move_back, stage.required, stage.hints) == (None, True, [], {})


@pytest.mark.parametrize(
    "wrong", [{"rots_after": "0"}, {"rots_after": "x"}, {"rots_after": "4000"}, {"required": "owner"}]
)
def test_what_cannot_be_is_refused_beside_its_field(client, admin, wrong):
    stage = make.stage("proposal")
    with nothing_changed():
        answer = client.post(f"/picklists/stage/{stage.pk}/", sends(stage, probability=60) | wrong)
    assert answer.context["form"].errors.keys() == wrong.keys()


def test_an_administrator_says_which_departments_begin_in_a_pipeline(client, admin):
    make.department("shijiazhuang")
    pipeline = another_pipeline()
    sent = sends(pipeline, departments=["hebei"])
    assert client.post(f"/picklists/pipeline/{pipeline.pk}/", sent).status_code == 302
    standard = Pipeline.objects.get(key="standard")
    with nothing_changed():
        answer = client.post(f"/picklists/pipeline/{standard.pk}/", sends(standard, departments=["hebei"]))
    assert "departments" in answer.context["form"].errors


def test_nobody_else_says_anything_of_it(client):
    client.force_login(make.user(None, "gm"))
    stage = make.stage("proposal")
    with nothing_changed():
        assert client.post(f"/picklists/stage/{stage.pk}/", sends(stage, rots_after=3)).status_code == 403
