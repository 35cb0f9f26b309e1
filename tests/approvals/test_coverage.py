"""What the routes in force come to: who would decide where, which amounts none takes, and which are never taken."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from approvals.coverage import Coverage, Span, spans
from approvals.models import Act, Route, RouteVersion, Step
from crm.conditions import holds
from crm.models import Department, Level, Role, User
from opportunities.models import BusinessType, Opportunity
from tests import factories as make
from tests.approvals.test_routes import CLOUD, LARGE, route
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    person = make.user("admin", "administrator", at="head-office", language="en")
    client.force_login(person)
    return person


@pytest.fixture
def staff():
    make.user()
    make.user(None, "deputy_gm")
    make.user(None, "gm", at="hebei", name="Zhao")


def part(op, value, field="amount"):
    return {"field": field, "op": op, "value": value}


# ── Amounts ──────────────────────────────────────────────────────────────────────────────────────────────────────────

RANGES = some.lists(some.tuples(some.integers(0, 50), some.integers(0, 50)), max_size=4)


@pytest.mark.any_database
@given(ranges=RANGES, asked=some.integers(0, 60))
@example(ranges=[], asked=0)
@example(ranges=[(0, 0)], asked=0)
def test_each_amount_lies_in_one_span_that_says_what_fits_it(ranges, asked):
    """A range has both its ends."""

    def fitting(cents):
        return tuple(number for number, (first, last) in enumerate(ranges) if first <= cents <= last)

    cut = spans([end for both in ranges for end in both], fitting)

    [span] = [one for one in cut if one.first <= asked and (one.last is None or asked <= one.last)]
    assert span.what == fitting(asked)
    assert (cut[0].first, cut[-1].last) == (0, None)
    for before, after in pairwise(cut):
        assert before.last + 1 == after.first
        assert before.what != after.what  # so each is as long as it can be


TREES = some.recursive(
    some.one_of(
        some.tuples(some.sampled_from(["is", "under", "at_most", "at_least", "over"]), some.integers(0, 30)).map(
            lambda pair: part(pair[0], f"{pair[1] / 100:.2f}")
        ),
        some.tuples(some.integers(0, 30), some.integers(0, 30)).map(
            lambda ends: part("between", [f"{min(ends) / 100:.2f}", f"{max(ends) / 100:.2f}"])
        ),
        some.sampled_from(["cloud", "5g"]).map(lambda key: part("is", key, "business_type")),
    ),
    lambda inner: some.one_of(
        some.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        some.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda one: {"not": one}),
    ),
    max_leaves=6,
)


@given(trees=some.lists(TREES, min_size=1, max_size=3))
def test_the_spans_say_what_asking_each_amount_would_say(trees):
    Route.objects.update(active=False)
    RouteVersion.objects.filter(route__key__startswith="drawn").delete()
    Route.objects.filter(key__startswith="drawn").delete()
    for number, tree in enumerate(trees):
        made = Route.objects.create(key=f"drawn-{number}", names={"en": "Drawn"}, act=Act.REPORT, order=number)
        made.versions.create(number=1, conditions=tree, published_at="2026-01-01T00:00Z")
    cloud = BusinessType.objects.get(key="cloud")

    cut = Coverage().taken(Act.REPORT, Level.CITY, cloud)

    for cents in range(35):
        record = Opportunity(amount=cents / 100, base_cents=cents, business_type=cloud)
        fitting = [number for number, tree in enumerate(trees) if holds(tree, record)]
        [span] = [one for one in cut if one.first <= cents and (one.last is None or cents <= one.last)]
        assert [version.route.key for version in span.what] == [f"drawn-{number}" for number in fitting]


def test_what_is_shipped_adds_up(staff):
    assert Coverage().findings(Act) == ([], [], [])
    assert Coverage().lacking() == []


def test_an_amount_that_no_route_takes_is_named(staff, admin):
    Route.objects.filter(key="report").update(active=False)
    route(conditions=LARGE).publish(by=admin)
    small = {"all": [part("under", "500000.00"), part("in", ["cloud", "5g"], "business_type")]}
    route("small", conditions=small).publish(by=admin)

    gaps, overlaps, never = Coverage().findings(Act)

    told = [(gap.act, gap.level, gap.types and len(gap.types), gap.first, gap.last) for gap in gaps]
    assert sorted(told) == [
        (Act.REPORT, Level.CITY, 2, 500_000_00, 999_999_99),
        (Act.REPORT, Level.CITY, 6, 0, 999_999_99),
    ]
    assert (overlaps, never) == ([], [])


def test_no_route_at_all_is_a_gap_for_every_amount_and_business_type(staff):
    Route.objects.filter(key="sign").update(active=False)
    [gap], _overlaps, _never = Coverage().findings(Act)
    assert (gap.act, gap.level, gap.types, gap.first, gap.last) == (Act.SIGN, Level.CITY, None, 0, None)


def test_of_two_that_fit_the_taken_one_is_named_and_one_that_never_is(staff, admin):
    route(conditions=CLOUD).publish(by=admin)
    route("later", order=9).publish(by=admin)
    gaps, overlaps, never = Coverage().findings(Act)
    assert gaps == []
    assert {(one.taken.route.key, one.other.route.key, *one.levels) for one in overlaps} == {
        ("special", "report", Level.CITY),
        ("special", "later", Level.CITY),
        ("report", "later", Level.CITY),
    }
    assert [version.route.key for version in never] == ["later"]

    Route.objects.filter(key="special").update(order=8)
    _gaps, overlaps, never = Coverage().findings(Act)
    assert {(one.taken.route.key, one.other.route.key) for one in overlaps} == {
        ("report", "special"),
        ("report", "later"),
    }
    assert [version.route.key for version in never] == ["special", "later"]


def test_only_levels_where_a_sales_rep_works_are_asked_about(staff, admin):
    Route.objects.filter(key="report").update(active=False)
    route(levels=[Level.CITY]).publish(by=admin)
    assert Coverage().findings(Act)[0] == []
    make.user(at="hebei")
    assert [gap.level for gap in Coverage().findings(Act)[0]] == [Level.PROVINCE]


# ── People ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_candidates_are_those_whom_the_step_itself_would_find(admin):
    make.user(at="shijiazhuang")
    make.user(None, "deputy_gm", at="shijiazhuang", name="Zhou")
    make.user(None, "deputy_gm", at="hebei", name="An")
    make.user(None, "gm", "director", at="hebei", name="Zhao")
    make.user(None, "gm", at="baoding", is_active=False)
    named = make.user(None, "rep", at="jinan", name="Bo")
    draft = route()
    draft.steps.get().people.add(named)
    draft.publish(by=admin)
    coverage = Coverage()
    for step in Step.objects.all():
        for department in Department.objects.all():
            about = Opportunity(department=department)
            assert coverage.candidates(step, department) == step.candidates(about), (step, department)


def test_a_step_that_nobody_can_decide_is_named_with_its_departments(staff):
    make.user(at="jinan")
    lacking = [(str(one.step), [str(place) for place in one.departments]) for one in Coverage().lacking()]
    assert lacking == [
        ("Deputy GM", ["Jinan"]),
        ("GM", ["Jinan"]),
        ("Industry director, Deputy GM, GM", ["Jinan"]),
        ("GM", ["Jinan"]),
        ("Deputy GM", ["Jinan"]),
    ]
    User.objects.filter(department__key="jinan").update(is_active=False)
    assert Coverage().lacking() == []


# ── The page ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_draws_each_route_and_says_who_it_would_be(client, admin, staff):
    route("special", conditions={"all": [*CLOUD["all"], *LARGE["all"]]}, levels=[Level.CITY]).publish(by=admin)
    shijiazhuang = make.department("shijiazhuang")

    page = client.get(f"/routes/?department={shijiazhuang.pk}").content.decode()

    assert "Business type is Cloud" in page
    assert "Amount at least ¥1,000,000" in page
    assert "Zhao (Hebei)" in page
    hebei = client.get(f"/routes/?department={make.department('hebei').pk}").content.decode()
    assert "not for Hebei" in hebei
    assert "Zhao (Hebei)" not in hebei
    assert "nobody" in hebei  # there is no deputy GM in the province itself


def test_the_page_says_what_does_not_add_up_in_sentences(client, admin, staff):
    Route.objects.filter(key="report").update(active=False)
    route(conditions=LARGE).publish(by=admin)
    page = client.get("/routes/?department=999").content.decode()
    assert "No route to Report fits amounts from ¥0 to ¥999,999.99 at the level City (every business type)." in page
    Role.objects.get(key="gm").users.clear()
    page = client.get("/routes/").content.decode()
    assert "Nobody can decide step 1 (GM) of “Special” for Shijiazhuang." in page


def test_the_page_costs_the_same_for_one_and_for_ten(client, admin, staff, django_assert_max_num_queries):
    address = f"/routes/?department={make.department('shijiazhuang').pk}"
    with django_assert_max_num_queries(15):
        client.get(address)
    for number in range(10):
        route(f"r{number}", conditions=CLOUD).publish(by=admin)
        make.user()
    with django_assert_max_num_queries(15):
        client.get(address)


def test_it_is_the_administrators_alone_and_changes_nothing(client, admin):
    others = [make.user(None, role) for role in ("rep", "gm", "opportunity_manager")]
    with nothing_changed():
        assert client.get("/routes/").status_code == 200
        assert client.post("/routes/").status_code == 405
        for person in others:
            client.force_login(person)
            assert client.get("/routes/").status_code == 403
        client.logout()
        assert client.get("/routes/")["Location"].startswith("/accounts/login/")


def test_a_span_is_read_as_first_last_and_what():
    assert spans([], lambda cents: "x") == [Span(0, None, "x")]
