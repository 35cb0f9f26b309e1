"""The board: what is open, by stage, as its reader may see it; what that comes to; and how a card moves."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from hypothesis.extra.django import TestCase

from crm.moments import organisation_today
from crm.saved_views import SavedView
from opportunities.board import AT_FIRST, Board
from opportunities.lists import OpportunityList
from opportunities.models import Movement, Opportunity, Pipeline, Stage
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db
BOARD = "/opportunities/board/"


def board(reader, query=None):
    request = RequestFactory().get(BOARD, query or {})
    request.user = reader
    return Board(request)


def cards(reader, query=None):
    """This will give {key of a stage: names of its cards}, of the columns that have any."""
    return {lane.stage.key: [card["name"] for card in lane.cards] for lane in board(reader, query).lanes if lane.cards}


def card_of(reader, name):
    return next(card for lane in board(reader).lanes for card in lane.cards if card["name"] == name)


def several(owner, count, **fields):
    """This will enter drafts in one go."""
    customer, today = make.customer(owner), organisation_today()
    drafts = [
        Opportunity(
            owner=owner,
            name=f"Draft {number:03}",
            customer=customer,
            amount=Decimal(1000 + number),
            expected_close_on=today + timedelta(days=number),
            **({"stage": make.stage()} | fields),
        )
        for number in range(count)
    ]
    Opportunity.create_all(drafts, by=owner)
    return drafts


def another_pipeline(key="channel", **fields):
    """This will enter a pipeline with two open stages and both ends."""
    pipeline = Pipeline.objects.create(key=key, names={"en": key.capitalize()}, order=9, **fields)
    for order, (name, kind, probability) in enumerate(
        (("first", "open", 10), ("second", "open", 50), ("won", "won", 100), ("lost", "lost", 0)), 1
    ):
        Stage.objects.create(
            key=f"{key}-{name}", names={"en": f"{key} {name}"}, pipeline=pipeline, kind=kind,
            probability=probability, order=order,
        )  # fmt: skip
    return pipeline


# ── What stands on it ────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_open_stands_in_the_column_of_its_stage_by_expected_close():
    rep, today = make.user(), organisation_today()
    for name, stage, days in (("b", "proposal", 9), ("a", "proposal", 3), ("c", "negotiation", 1)):
        make.opportunity(rep, name=name, stage=make.stage(stage), expected_close_on=today + timedelta(days=days))
    for state in ("signed", "terminated"):
        make.opportunity(rep, state=state)
    make.opportunity(rep).void(by=rep, reason="Entered twice.")
    assert cards(rep) == {"proposal": ["a", "b"], "negotiation": ["c"]}
    assert [lane.stage.key for lane in board(rep).lanes] == [
        "first-contact", "needs-confirmed", "proposal", "negotiation",
    ]  # fmt: skip


def test_the_ends_count_what_ended_this_month_and_lead_to_just_these(client):
    rep = make.user()
    make.opportunity(rep, state="signed")
    old = make.opportunity(rep, state="signed")
    Opportunity.objects.filter(pk=old.pk).update(closed_on=organisation_today() - timedelta(days=40))
    for query in ({}, {"state": "open"}):
        won, lost = board(rep, query).ends
        assert (won.kind, won.count, lost.kind, lost.count) == ("won", 1, "lost", 0)
    assert "stage=won" in won.url and "state=" not in won.url


@time_machine.travel("2026-11-30 20:00:00Z", tick=False)  # December has begun where the organisation counts
def test_the_ends_lead_to_the_organisations_month_whatever_the_readers_own_is():
    rep = make.user()
    ended = {day: make.opportunity(rep, state="signed", name=day) for day in ("2026-11-30", "2026-12-01", "2027-01-01")}
    for day, one in ended.items():
        Opportunity.objects.filter(pk=one.pk).update(closed_on=day)
    with timezone.override("America/New_York"):
        for query in ({}, {"closed_on": "last_month"}, {"stage": "proposal"}):
            won = board(rep, query).ends[0]
            listed = RequestFactory().get(won.url)
            listed.user = rep
            assert won.count == 1
            assert [row["name"] for row in OpportunityList(listed).rows] == ["2026-12-01"]


def test_a_column_says_count_sum_and_what_that_is_worth():
    rep = make.user()
    for amount, typed in ((1_000_000, None), (2_000_000, None), (None, None)):
        make.opportunity(rep, stage=make.stage("proposal"), amount=amount, probability=typed)
    [lane] = [lane for lane in board(rep).lanes if lane.stage.key == "proposal"]
    assert (lane.sums.count, lane.money) == (3, "¥3 M · 60 % = ¥1.8 M")
    make.opportunity(rep, stage=make.stage("proposal"), amount=1_000_000, probability=90)
    [lane] = [lane for lane in board(rep).lanes if lane.stage.key == "proposal"]
    assert lane.money == "¥4 M · forecast ¥2.7 M"
    assert lane.money_whole == "Amount ¥4,000,000, forecast ¥2,700,000"


def test_a_card_shows_whose_it_is_what_it_is_worth_and_how_it_stands():
    rep, today = make.user(name="Chen Yu"), organisation_today()
    made = make.opportunity(
        rep, state="active", name="Ward calling", customer=make.customer(rep, name="Kangning Hospital"),
        amount=Decimal("538000"), expected_close_on=today - timedelta(days=1),
    )  # fmt: skip
    make.follow_up(made, at=timezone.now() + timedelta(days=3))
    Opportunity.objects.filter(pk=made.pk).update(stage_since=timezone.now() - timedelta(days=30, hours=1))
    card = card_of(rep, "Ward calling")
    assert (card["customer"], card["amount"], card["owner"], card["late"]) == (
        "Kangning Hospital", "¥538 k", "Chen Yu", True,
    )  # fmt: skip
    assert (card["days"], card["rotten"], bool(card["next"]), card["next_late"]) == ("30 d", True, True, False)
    Stage.objects.update(rots_after=31)
    assert not card_of(rep, "Ward calling")["rotten"]
    Stage.objects.update(rots_after=None)
    assert not card_of(rep, "Ward calling")["rotten"]


def test_a_card_says_whom_it_waits_for_and_that_it_cannot_be_moved():
    rep = make.user(name="Chen Yu")
    for state in ("draft", "reporting", "returned", "active", "signing", "terminating"):
        make.opportunity(rep, state=state, name=state)
    deputy = make.approver(Opportunity.objects.first())
    said = {
        "draft": "Draft",
        "reporting": f"Report: {deputy}, new",
        "returned": "Returned to Chen Yu, new",
        "active": "",
        "signing": f"Sign: {deputy}, new",
        "terminating": f"Terminate: {deputy}, new",
    }
    assert {name: card_of(rep, name)["line"] for name in said} == said
    assert [name for name in said if card_of(rep, name)["moves"]] == ["active"]
    assert card_of(rep, "signing")["locked"] == f"It waits for {deputy}, and moves once that is decided."


# ── Who sees what ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_everybody_sees_their_own_board_and_the_numbers_are_of_that():
    rep, other = make.user(), make.user(at="jinan")
    gm, manager = make.user(None, "gm", at="hebei"), make.user(None, "opportunity_manager", at="head-office")
    make.opportunity(rep, state="active", name="Hers")
    shared = make.opportunity(other, state="active", name="Shared")
    make.opportunity(rep, name="Draft")
    shared.share(by=other, people=[rep])
    seen = {"rep": ["Draft", "Hers", "Shared"], "gm": ["Hers"], "manager": ["Draft", "Hers", "Shared"]}
    for who, reader in (("rep", rep), ("gm", gm), ("manager", manager)):
        [lane] = [lane for lane in board(reader).lanes if lane.cards]
        assert sorted(card["name"] for card in lane.cards) == seen[who]
        assert lane.sums.count == len(seen[who])
    assert {card["name"]: card["may"] for lane in board(rep).lanes for card in lane.cards} == {
        "Draft": True, "Hers": True, "Shared": False,
    }  # fmt: skip
    shared.share(by=other, people=[rep], may_edit=True)
    card = card_of(rep, "Shared")
    assert card["may"] and card["moves"] and not card["ends"]  # who edits moves it; its owner alone signs


def test_who_may_not_move_has_no_menu_and_the_owner_has_the_ends_in_it(client):
    made = make.opportunity(state="active")
    for reader, menu, ends in ((make.user(None, "gm", at="hebei"), 0, 0), (made.owner, 1, 2)):
        client.force_login(reader)
        page = client.get(BOARD).content.decode()
        assert (page.count('<form class="panel"'), page.count("asks for approval")) == (menu, ends)


def test_it_is_narrowed_by_what_narrows_the_list(client):
    rep = make.user()
    for name, stage, amount in (("Alpha", "proposal", 100), ("Beta", "negotiation", 300), ("Gamma", "proposal", 500)):
        make.opportunity(rep, name=name, stage=make.stage(stage), amount=amount, state="active")
    assert cards(rep, {"q": "alp"}) == {"proposal": ["Alpha"]}
    assert cards(rep, {"amount.at_least": "300"}) == {"proposal": ["Gamma"], "negotiation": ["Beta"]}
    assert cards(rep, {"state": "signed"}) == {}
    assert board(rep, {"amount.at_least": "300"}).totals["count"] == 2
    client.force_login(rep)
    for query in ("amount.at_least=x", "after=x", "shown.proposal=x", "moved=x", "pipeline=x", "column=x"):
        assert client.get(f"{BOARD}?{query}").status_code in (200, 404)


class TestSums(TestCase):
    """The columns are a way of looking at the list: what they come to is what the list comes to."""

    @settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        some.lists(
            some.tuples(
                some.sampled_from(["first-contact", "proposal", "negotiation"]),
                some.one_of(some.none(), some.integers(1, 10**9)),
                some.one_of(some.none(), some.integers(1, 99)),
            ),
            max_size=8,
        )
    )
    def test_the_columns_together_come_to_what_the_list_says(self, drafts):
        rep = make.user()
        for stage, cents, probability in drafts:
            amount = cents and Decimal(cents).scaleb(-2)
            make.opportunity(rep, stage=make.stage(stage), amount=amount, probability=probability)
        request = RequestFactory().get("/opportunities/", {"state": "open"})
        request.user = rep
        listed = OpportunityList(request).totals
        assert board(rep).totals == {name: listed[name] for name in ("count", "amount", "forecast")}


# ── Pages of a column ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_column_shows_the_first_and_its_numbers_are_whole(client):
    rep = make.user()
    several(rep, AT_FIRST + 5)
    several(rep, 2, stage=make.stage("proposal"))
    lanes = {lane.stage.key: lane for lane in board(rep).lanes}
    first = lanes["first-contact"]
    assert (len(first.cards), first.sums.count, first.left) == (AT_FIRST, AT_FIRST + 5, 5)
    assert (len(lanes["proposal"].cards), lanes["proposal"].left, lanes["proposal"].more_url) == (2, 0, "")
    client.force_login(rep)
    rest = client.get(first.more_url)
    assert [card["name"] for card in rest.context["lane"].cards] == [
        f"Draft {number:03}" for number in range(AT_FIRST, AT_FIRST + 5)
    ]
    assert "<html" not in rest.content.decode() and rest.context["lane"].left == 0
    page = client.get(first.more_page)  # the same without a script
    assert page.content.decode().count('<article class="deal"') == AT_FIRST + 7


@pytest.mark.case(64)
def test_no_card_is_passed_over_or_shown_twice_by_the_pages_of_a_column():
    rep = make.user()
    day = organisation_today()
    several(rep, 45)
    Opportunity.objects.filter(owner=rep).update(expected_close_on=day)  # all of one day
    names, query = [], {}
    while True:
        [lane] = [lane for lane in board(rep, query).lanes if lane.cards]
        names += [card["name"] for card in lane.cards]
        if not lane.left:
            break
        query = {pair.split("=")[0]: pair.split("=")[1] for pair in lane.more_url.partition("?")[2].split("&")}
    assert names == sorted(set(names)) and len(names) == 45


def test_what_has_just_come_is_there_even_behind_the_first():
    rep = make.user()
    drafts = several(rep, AT_FIRST + 5)
    last = drafts[-1]
    [lane] = [lane for lane in board(rep, {"moved": str(last.pk)}).lanes if lane.cards]
    assert (lane.cards[0]["name"], len(lane.cards), lane.left) == (last.name, AT_FIRST + 1, 4)
    stranger = make.opportunity(make.user(at="jinan"), state="active")
    assert stranger.name not in str(cards(rep, {"moved": str(stranger.pk)}))


# ── Where there is much, what the columns come to comes later ────────────────────────────────────────────────────────


@pytest.fixture
def large(settings):
    """This will let every database that holds anything count as large."""
    settings.BOARD_SUMS_AT_ONCE = 0


@pytest.mark.usefixtures("large")
def test_the_cards_are_there_at_once_and_the_sums_by_a_request_of_their_own(client):
    rep, gm = make.user(), make.user(None, "gm", at="hebei", language="en")
    drafts = several(rep, AT_FIRST + 5)
    make.opportunity(rep, stage=make.stage("proposal"), amount=5_000_000)
    make.opportunity(rep, state="signed")
    Opportunity.objects.filter(state="draft").update(state="active")  # which a GM sees
    client.force_login(gm)
    page = client.get(BOARD)
    listing = page.context["listing"]
    assert [lane.sums for lane in listing.lanes] == [None] * 4
    assert [end.count for end in listing.ends] == [None, None]
    assert [len(lane.cards) for lane in listing.lanes] == [AT_FIRST, 0, 1, 0]
    assert [lane.goes_on for lane in listing.lanes] == [True, False, False, False]
    assert [bool(lane.more_url) for lane in listing.lanes] == [True, False, False, False]
    assert listing.said == "Standard"

    late = client.get(listing.totals_url)
    told = {lane.stage.key: (lane.sums.count, lane.money) for lane in late.context["listing"].bare_lanes}
    assert told == {
        "first-contact": (AT_FIRST + 5, "¥17.1 k · 20 % = ¥3.43 k"),
        "needs-confirmed": (0, "¥0 · 40 % = ¥0"),
        "proposal": (1, "¥5 M · 60 % = ¥3 M"),
        "negotiation": (0, "¥0 · 80 % = ¥0"),
    }
    assert "<article" not in late.content.decode()
    rest = client.get(listing.lanes[0].more_url).context["lane"]
    assert [card["pk"] for card in rest.cards] == [draft.pk for draft in drafts[AT_FIRST:]]
    assert not rest.goes_on

    whole = client.get(listing.with_totals_url).context["listing"]  # without a script
    assert [lane.sums.count for lane in whole.lanes] == [AT_FIRST + 5, 0, 1, 0]
    assert [end.count for end in whole.ends] == [1, 0]


@pytest.mark.usefixtures("large")
def test_each_place_where_a_sum_will_stand_is_there_before_it_comes(client):
    make.opportunity(state="active")
    retired = make.stage("negotiation")
    Stage.objects.filter(pk=retired.pk).update(active=False)
    client.force_login(make.user(None, "opportunity_manager", at="head-office"))
    for holds in (False, True):
        if holds:
            make.opportunity(state="active", stage=make.stage("proposal"))
            Opportunity.objects.filter(stage__key="proposal").update(stage=retired)
        page = client.get(BOARD)
        late = client.get(page.context["listing"].totals_url).content.decode()
        there = page.content.decode()
        named = re.findall(r'id="([^"]+)"[^>]*? hx-swap-oob', late)
        assert len(named) == (4 if holds else 3) * 2 + 2
        assert [name for name in named if f'id="{name}"' not in there] == []


@pytest.mark.usefixtures("large")
def test_what_leaves_nothing_to_lay_out_is_said_at_once_also_where_there_is_much(client):
    make.opportunity(state="active", name="Leased line")
    manager = make.user(None, "opportunity_manager", at="head-office", language="en")
    client.force_login(manager)
    for text, nothing in (("no such thing", True), ("Leased", False)):
        page = client.get(BOARD, {"q": text})
        assert page.context["listing"].is_empty is nothing
        assert ("Nothing matches" in page.content.decode()) is nothing


def test_a_small_company_has_the_sums_at_once(settings):
    made = make.opportunity(state="active")
    settings.BOARD_SUMS_AT_ONCE = made.pk
    assert [lane.sums.count for lane in board(made.owner).lanes] == [1, 0, 0, 0]
    settings.BOARD_SUMS_AT_ONCE = made.pk - 1
    assert [lane.sums for lane in board(made.owner).lanes] == [None] * 4


@pytest.mark.parametrize("role", ["rep", "gm", "opportunity_manager"])
def test_it_costs_the_same_few_queries_for_one_card_and_for_hundreds(client, role):
    rep = make.user()
    reader = rep if role == "rep" else make.user(None, role, at="head-office" if "man" in role else "hebei")
    make.opportunity(rep, state="active")
    client.force_login(reader)
    client.get(BOARD)

    def asked():
        with CaptureQueriesContext(connection) as captured:
            assert client.get(BOARD).status_code == 200
        return len(captured)

    one = asked()
    several(rep, 300, business_type=None)
    Opportunity.objects.filter(state="draft").update(state="active")  # as many as a GM would see
    for stage in ("proposal", "negotiation"):
        make.opportunity(rep, state="signing", stage=make.stage(stage))
    assert asked() <= one <= 12


# ── Pipelines ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_pipeline_has_a_board_of_its_own(client):
    rep = make.user(language="en")
    another_pipeline()
    make.opportunity(rep, name="Direct")
    make.opportunity(rep, name="Partner", stage=make.stage("channel-second"))
    assert cards(rep) == {"first-contact": ["Direct"]}
    assert cards(rep, {"pipeline": "channel"}) == {"channel-second": ["Partner"]}
    client.force_login(rep)
    page = client.get(f"{BOARD}?pipeline=channel").content.decode()
    assert 'aria-label="Pipeline: Channel"' in page and "open in Channel" in page


def test_the_pipeline_goes_along_to_the_tabs_the_list_the_file_and_the_filter_page(client):
    rep = make.user()
    another_pipeline()
    for stage in ("first-contact", "channel-first", "channel-second"):
        make.opportunity(rep, name=stage, stage=make.stage(stage))
    make.opportunity(rep, name="Done", stage=make.stage("channel-first"), state="signed")
    here = board(rep, {"pipeline": "channel", "state": "open"})
    assert [one["chip"].label for one in here.chips] == ["State"]
    assert [tab["label"] for tab in here.tabs_shown if tab["current"]] == ["Open"]
    assert all("pipeline=channel" in tab["url"] for tab in here.tabs_shown)
    list_ = next(way["url"] for way in here.layouts if not way["current"])
    client.force_login(rep)
    for address in (list_, here.counted_url):
        assert {row["name"] for row in client.get(address).context["listing"].rows} == {
            "channel-first",
            "channel-second",
        }
    assert "pipeline=channel" in here.export_url
    answer = client.post(here.filter_url, {"c-kind": "all", "show": "1"})
    assert answer.url == f"{BOARD}?pipeline=channel"
    assert 'value="pipeline"' not in client.get(here.filter_url).content.decode()
    assert 'value="pipeline"' in client.get("/opportunities/filter/").content.decode()


def test_a_view_of_the_board_holds_its_pipeline_whatever_its_reader_begins_with(client):
    rep, far = make.user(name="Chen Yu"), make.user(at="jinan")
    another_pipeline(departments=["jinan"])
    make.opportunity(rep, name="Partner", stage=make.stage("channel-first"))
    here = board(rep, {"pipeline": "channel"})
    assert here.may_save_as
    client.force_login(rep)
    page = client.get(here.save_as_url).content.decode()
    assert "A new view of the board of Opportunities" in page and "the pipeline as the board has them now" in page
    assert f'href="{BOARD}?pipeline=channel"' in page
    opened = client.post(here.save_as_url, {"name": "Partners", "shared": "all"}).url
    view = SavedView.objects.get()
    assert (view.layout, view.conditions) == (
        "board", {"all": [{"field": "pipeline", "op": "is", "value": "channel"}]},
    )  # fmt: skip
    assert opened == f"{BOARD}?view={view.pk}"
    shown = client.get(opened).context["listing"]
    assert (shown.pipeline.key, shown.is_changed, shown.chips) == ("channel", False, [])
    assert client.get(f"/opportunities/?view={view.pk}").url == opened
    # Changed to the one that its owner begins with, it is told apart, and kept as that for those who begin elsewhere.
    other = board(rep, {"view": str(view.pk), "pipeline": "standard"})
    assert (other.pipeline.key, other.is_changed, other.may_save) == ("standard", True, True)
    assert board(rep, dict(pair.split("=") for pair in shown.ways[0].url.partition("?")[2].split("&"))).is_changed
    answer = client.post(other.save_url, follow=True)
    assert "“Partners” is saved as the board is now." in answer.content.decode()
    assert (board(far).pipeline.key, board(far, {"view": str(view.pk)}).pipeline.key) == ("channel", "standard")


def test_a_pipeline_that_is_not_there_or_has_no_stage_is_said_and_another_one_is_shown():
    rep = make.user()
    Pipeline.objects.create(key="empty", names={"en": "Empty"})
    for key, said in (
        ("nowhere", "Pipeline cannot be “nowhere”."),
        ("empty", "This pipeline has no stage yet, so the board shows another one."),
    ):
        here = board(rep, {"pipeline": key})
        assert (here.pipeline.key, list(map(str, here.errors))) == ("standard", [said])
    assert board(rep).errors == []


def test_the_list_is_narrowed_to_a_pipeline():
    rep = make.user()
    another_pipeline()
    for stage in ("first-contact", "channel-first"):
        make.opportunity(rep, name=stage, stage=make.stage(stage))

    def names(**query):
        request = RequestFactory().get("/opportunities/", query)
        request.user = rep
        return sorted(row["name"] for row in OpportunityList(request).rows)

    assert names(pipeline="channel") == ["channel-first"]
    assert names(**{"pipeline.not": "channel"}) == ["first-contact"]
    assert names(pipeline=["channel", "standard"]) == ["channel-first", "first-contact"]


def test_a_board_begins_with_the_pipeline_of_the_readers_department():
    rep, far = make.user(), make.user(at="jinan")
    another_pipeline(departments=["hebei"])
    assert board(rep).pipeline.key == "channel"  # Hebei is above Shijiazhuang
    assert board(far).pipeline.key == "standard"


def test_a_retired_pipeline_is_offered_while_the_reader_has_something_in_it():
    rep, other = make.user(), make.user(at="jinan")
    pipeline = another_pipeline()
    made = make.opportunity(rep, stage=make.stage("channel-first"))
    Pipeline.objects.filter(pk=pipeline.pk).update(active=False)
    assert [way.label for way in board(rep).ways] == ["Standard", "Channel"]
    assert [way.label for way in board(other).ways] == ["Standard"]
    made.void(by=rep, reason="Entered twice.")
    assert [way.label for way in board(rep).ways] == ["Standard"]


def test_a_retired_stage_has_a_column_while_something_is_in_it():
    rep = make.user()
    made = make.opportunity(rep, state="active", stage=make.stage("proposal"))
    Stage.objects.filter(key="proposal").update(active=False)
    assert "proposal" in cards(rep)
    made.move(stage=make.stage("negotiation"), by=rep)
    assert "proposal" not in [lane.stage.key for lane in board(rep).lanes]


# ── A card moves ─────────────────────────────────────────────────────────────────────────────────────────────────────


def move(client, opportunity, stage, **changes):
    sent = {"stage": make.stage(stage).pk, "version": opportunity.version, "board": "q=ward"} | changes
    return client.post(f"/opportunities/{opportunity.pk}/move/", sent)


@pytest.fixture
def opportunity(client):
    made = make.opportunity(state="active")
    client.force_login(made.owner)
    return made


def test_it_moves_by_the_verb_and_the_board_is_there_again(client, opportunity):
    answer = move(client, opportunity, "proposal")
    assert (answer.status_code, answer.url) == (302, f"{BOARD}?q=ward&moved={opportunity.pk}")
    opportunity.refresh_from_db()
    assert opportunity.stage.key == "proposal"
    assert Movement.objects.filter(opportunity=opportunity).latest("pk").at == opportunity.stage_since


@pytest.mark.parametrize("text", ["//evil.example", "next=//evil.example", "\0", "q=" + "x" * 5000])
def test_no_text_leads_anywhere_but_to_the_board(client, opportunity, text):
    answer = move(client, opportunity, "proposal", board=text)
    assert answer.status_code == 302 and answer.url.startswith(BOARD)


def test_a_stale_card_does_not_move_and_says_who_changed_what(client, opportunity):
    seen = opportunity.version
    opportunity.change(by=opportunity.owner, amount=Decimal(777))
    with nothing_changed():
        answer = move(client, opportunity, "proposal", version=seen)
    assert answer.status_code == 409
    page = answer.content.decode()
    assert str(opportunity.owner) in page and "¥100,000 → ¥777" in page


@pytest.mark.parametrize("state", ["draft", "reporting", "returned", "signing", "terminating", "signed", "void"])
def test_what_is_not_active_is_moved_by_nobody(client, state):
    made = make.opportunity(state="draft" if state == "void" else state)
    if state == "void":
        made.void(by=made.owner, reason="Entered twice.")
    for mover in (made.owner, make.user(None, "opportunity_manager", at="head-office")):
        client.force_login(mover)
        with nothing_changed():
            assert move(client, made, "proposal").status_code == 409


@pytest.mark.case(2, 3)
def test_strangers_find_nothing_to_move_and_readers_may_not(client, opportunity):
    for mover, status in ((make.user(at="jinan"), 404), (make.user(None, "gm", at="hebei"), 403)):
        client.force_login(mover)
        with nothing_changed():
            assert move(client, opportunity, "proposal").status_code == status


def test_what_the_stage_asks_for_is_asked_and_then_it_moves(client, opportunity):
    Stage.objects.filter(key="proposal").update(required=["source", "description"])
    with nothing_changed():
        answer = move(client, opportunity, "proposal")
    assert answer.status_code == 409
    form = answer.context["form"]
    assert [field.name for field in form.visible_fields()] == ["source", "description"]
    assert "Proposal needs: Source, Description." in answer.content.decode()
    with nothing_changed():
        again = move(client, opportunity, "proposal", asked="1", source="", description="They asked twice.")
    assert again.status_code == 409 and "They asked twice." in again.content.decode()
    source = form.fields["source"].queryset.first()
    assert move(client, opportunity, "proposal", asked="1", source=source.pk, description="Why.").status_code == 302
    opportunity.refresh_from_db()
    assert (opportunity.stage.key, opportunity.source, opportunity.description) == ("proposal", source, "Why.")
