"""The list of opportunities: what it shows of whom, in which order, and what it costs."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.moments import organisation_today, organisation_zone
from opportunities.lists import OpportunityList
from opportunities.models import Opportunity, OpportunityUserShare
from tests import factories

pytestmark = pytest.mark.django_db


def rows(reader, query=None):
    request = RequestFactory().get("/opportunities/", query or {})
    request.user = reader
    return OpportunityList(request).rows


def names(reader, query=None):
    return [row["name"] for row in rows(reader, query)]


def test_open_ones_come_first_by_expected_close_then_closed_ones_the_latest_first():
    rep = factories.user()
    today = organisation_today()
    for name, state, days in (
        ("undated", "draft", None),
        ("late", "active", -3),
        ("soon", "reporting", 5),
        ("later", "active", 90),
        ("signed first", "signed", 1),
        ("terminated last", "terminated", 1),
    ):
        made = factories.opportunity(rep, name=name, expected_close_on=today + timedelta(days=days or 1), state=state)
        if days is None:
            made.change(by=rep, expected_close_on=None)
    Opportunity.objects.filter(name="signed first").update(closed_on=today - timedelta(days=9))
    assert names(rep) == ["late", "soon", "later", "undated", "terminated last", "signed first"]
    assert names(rep, {"sort": "-close"}) == names(rep)[::-1]


def test_a_row_shows_customer_stage_amount_dates_and_the_person_in_charge():
    now = timezone.now()
    rep = factories.user(name="Chen Yu")
    made = factories.opportunity(
        rep,
        state="active",
        name="Ward calling",
        customer=factories.customer(rep, name="Kangning Hospital"),
        stage=factories.stage("proposal"),
        amount=Decimal("538000.00"),
        expected_close_on=organisation_today() - timedelta(days=1),
    )
    factories.follow_up(made, at=now - timedelta(days=16))
    (row,) = rows(rep)
    assert row["url"] == f"/opportunities/{made.pk}/"
    assert (row["name"], row["customer"], row["owner"]) == ("Ward calling", "Kangning Hospital", "Chen Yu")
    assert (row["stage"], row["pips"]) == ("Proposal", 3)
    assert row["amount"] == "¥538,000"
    assert row["late"]
    assert row["followed_up"] == "16 d ago"
    assert not row["quiet"]
    assert row["waits"] is None


def test_a_draft_and_a_closed_one_show_their_state_in_place_of_a_stage():
    rep = factories.user()
    factories.opportunity(rep, name="a", state="draft")
    factories.opportunity(rep, name="b", state="signed")
    shown = {row["name"]: (row["stage"], str(row["state_label"]), row["late"]) for row in rows(rep)}
    assert shown == {"a": (None, "Draft", False), "b": (None, "Signed", False)}


def test_a_pending_one_names_whom_it_waits_for_and_since_when():
    rep = factories.user(name="Chen Yu")
    made = factories.opportunity(rep)
    deputy = factories.user(None, "deputy_gm", name="Zhou Lan")
    made.report(by=rep, approver=deputy)
    with time_machine.travel(timezone.now() + timedelta(days=2, minutes=1)):
        (row,) = rows(rep)
        assert (row["waits"], row["waits_class"]) == ("Zhou Lan, 2 d", "pending")
        made.open_task.return_(by=deputy, comment="Who decides there?", seen=made.version)
        (row,) = rows(rep)
        assert (row["waits"], row["waits_class"]) == ("Chen Yu, new", "returned")


def test_drafts_of_others_are_in_nobodys_list_but_the_chiefs_see_the_rest():
    rep, gm = factories.user(), factories.user(None, "gm")
    factories.opportunity(rep, name="draft")
    factories.opportunity(rep, name="reported", state="reporting")
    assert set(names(rep)) == {"draft", "reported"}
    assert names(gm) == ["reported"]


@pytest.mark.case(7)
def test_nothing_of_a_stranger_is_in_list_search_count_or_sum(client):
    stranger = factories.opportunity(
        factories.user(at="jinan", name="Secret Person"), name="Secret deal", amount=Decimal("77777.00"), state="active"
    )
    rep = factories.user()
    own = factories.opportunity(rep, name="Own deal", amount=Decimal("11.00"))
    client.force_login(rep)
    for query in (
        "",
        "q=deal",
        "q=secret",
        f"owner={stranger.owner_id}",
        f"customer={stranger.customer_id}",
        "state=active",
        "sort=-amount",
    ):
        page = client.get(f"/opportunities/?totals=1&{query}").content.decode()
        assert "Secret deal" not in page
        assert "77,777" not in page
        assert stranger.customer.name not in page
    client.force_login(stranger.owner)
    page = client.get("/opportunities/?totals=1").content.decode()
    assert "Secret deal" in page
    assert "Amount <b>¥77,777</b>" in page
    assert own.name not in page


@pytest.mark.parametrize("text", ["1C1I7A6R", "1c1i7a6r", "C1I7", "1C1I7A6R Line", "商机-7"])
def test_what_came_from_elsewhere_is_found_by_the_number_that_it_had_there(text):
    rep = factories.user()
    factories.opportunity(rep, name="Line", reference="1C1I7A6R 商机-7")
    factories.opportunity(rep, name="Other", reference="2X")

    assert names(rep, {"q": text}) == ["Line"]


def test_a_number_from_elsewhere_is_found_at_no_further_query(client):
    rep = factories.user()
    factories.opportunity(rep, reference="1C1I7A6R")
    client.force_login(rep)

    assert cost(client, "/opportunities/?q=1C1I7A6R") == cost(client, "/opportunities/?q=opportunity")


def test_views_show_what_they_are_called():
    rep, other = factories.user(), factories.user()
    mine = factories.opportunity(rep, name="mine", expected_close_on=date(2035, 1, 1))
    factories.opportunity(rep, name="this month", expected_close_on=organisation_today(), state="active")
    factories.opportunity(rep, name="pending", expected_close_on=date(2035, 1, 1), state="reporting")
    factories.opportunity(rep, name="over", state="signed")
    shared = factories.opportunity(other, name="shared", expected_close_on=date(2035, 1, 1))
    shared.share(by=other, people=[rep])
    with timezone.override(organisation_zone()):  # as her pages are
        by_label = {str(tab.label): set(names(rep, tab.query)) for tab in OpportunityList.tabs}
    assert by_label == {
        "Open": {"mine", "this month", "pending", "shared"},
        "Waiting for approval": {"pending"},
        "Closing this month": {"this month"},
        "Mine": {mine.name, "this month", "pending", "over"},
        "Shared with me": {"shared"},
        "All": {"mine", "this month", "pending", "over", "shared"},
    }


def test_the_page_has_its_heads_its_button_and_links_that_are_whole_names(client):
    rep = factories.user()
    made = factories.opportunity(rep, name="Ward calling & <Wi-Fi>")
    client.force_login(rep)
    page = client.get("/opportunities/").content.decode()
    assert f'href="/opportunities/{made.pk}/">Ward calling &amp; &lt;Wi-Fi&gt;</a>' in page
    assert ">Create New Opportunity</a>" in page
    for head in (
        "Opportunity",
        "Customer",
        "Stage",
        "Amount",
        "Expected close",
        "Waiting for",
        "Person in charge",
        "Last follow-up",
    ):
        assert head in page
    assert "?sort=-close" in page


# What it costs


def cost(client, address):
    client.get(address)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def many(owner, count, like):
    """This will put `count` opportunities like `like` in charge of `owner`."""
    same = {
        field.attname: getattr(like, field.attname)
        for field in Opportunity._meta.concrete_fields
        if not field.generated
    }
    made = []
    for number in range(count):
        one = Opportunity(**(same | {"id": None, "number": f"X{owner.pk}-{number}", "owner_id": owner.pk}))
        one.place(owner.department)
        made.append(one)
    return Opportunity.objects.bulk_create(made)


@pytest.mark.parametrize("role", ["rep", "gm", "opportunity_manager"])
def test_a_list_costs_the_same_for_one_row_and_for_thirty_and_for_five_hundred_shares(client, role):
    queries = ["", "state=open&stage=first-contact&sort=-amount", "q=opportunity", "shared=yes", "page=1&totals=1"]
    reader = factories.user(None, role, at="head-office" if role == "opportunity_manager" else "shijiazhuang")
    other = factories.user(at="jinan")
    first = factories.opportunity(reader, state="active")
    theirs = factories.opportunity(other, state="active")
    theirs.share(by=other, people=[reader])
    client.force_login(reader)
    before = {query: cost(client, f"/opportunities/?{query}") for query in queries}
    many(reader, 30, like=first)
    assert {query: cost(client, f"/opportunities/?{query}") for query in queries} == before
    shared = many(other, 500, like=theirs)
    permission = OpportunityUserShare.objects.get().permission
    OpportunityUserShare.objects.bulk_create(
        OpportunityUserShare(user=reader, permission=permission, content_object=one) for one in shared
    )
    assert {query: cost(client, f"/opportunities/?{query}") for query in queries} == before
    assert max(before.values()) <= 12


def test_the_list_itself_takes_six_queries(django_assert_max_num_queries):
    rep = factories.user()
    rep.role_keys  # noqa: B018  read once per request, by the frame
    factories.opportunity(rep, state="active")
    with django_assert_max_num_queries(6):  # the last are the views that the reader has of it
        assert rows(rep)
    with django_assert_max_num_queries(3):
        request = RequestFactory().get("/opportunities/totals/")
        request.user = rep
        assert OpportunityList(request).totals["count"] == 1


def test_an_empty_list_asks_for_no_count_which_would_have_no_place(client):
    """Somebody may enter the first one before the answer comes."""
    rep = factories.user()
    client.force_login(rep)
    foot = 'hx-trigger="load, again'
    assert foot not in client.get("/opportunities/").content.decode()

    factories.opportunity(rep)
    assert foot in client.get("/opportunities/").content.decode()


# ── Where nothing is found, and on paper ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("address", ["/opportunities/", "/opportunities/board/"])
def test_where_nothing_matches_the_page_says_what_there_is_with_one_thing_less_asked(client, address):
    rep = factories.user()
    for name in ("Cranes", "Pumps"):
        factories.opportunity(rep, name=name, state="active", stage=factories.stage("proposal"))
    factories.opportunity(rep, name="Wires", state="active", stage=factories.stage("negotiation"))
    factories.opportunity(factories.user(), name="Hidden", state="active", stage=factories.stage("proposal"))
    client.force_login(rep)
    page = client.get(f"{address}?stage=proposal&q=wires").content.decode()
    assert "Nothing matches" in page and 'class="tally"' not in page
    assert f'<a class="link" href="{address}?stage=proposal">Without “wires”</a>' in page
    assert f'<a class="link" href="{address}?q=wires">Without Stage is Proposal</a>' in page
    assert '<span class="num">2 opportunities</span>' in page and '<span class="num">1 opportunity</span>' in page

    page = client.get(f"{address}?stage=proposal&q=nowhere").content.decode()
    assert "Without “nowhere”" in page and "Without Stage" not in page  # which would still be nothing
    page = client.get(f"{address}?q=nowhere").content.decode()  # that is to show all
    assert "Nothing matches" in page and "Without" not in page


def test_a_printed_list_says_its_view_its_conditions_and_the_day(client):
    rep = factories.user()
    factories.opportunity(rep, name="Cranes", state="active")
    client.force_login(rep)
    today = organisation_today().isoformat()
    line = '<p class="on-paper" data-said="Rows 1–1 of 1">'
    page = client.get("/opportunities/?state=open").content.decode()
    assert f"{line}Open · State is open · {today}</p>" in page
    page = client.get("/opportunities/?q=cranes&owner=me").content.decode()
    assert (
        f'<p class="on-paper" data-said="Rows 1–1 of 1">Mine · Person in charge is me · with “cranes” · {today}</p>'
        in page
    )
