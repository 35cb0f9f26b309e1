"""
Conditions mean the same in the database and in Python, are read from addresses and trees, and refuse what
nobody may ask.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
import time_machine
from django.db import transaction
from django.http import QueryDict
from django.utils import timezone, translation
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm.conditions import Conditions, check, holds
from crm.kinds import ConditionError, period
from customers.models import Customer
from opportunities.lifecycle import CLOSED, State
from opportunities.models import BusinessType, Opportunity, OpportunityUserShare, Source, Stage
from tests import factories

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)  # a Wednesday
TODAY = NOW.date()


class World:
    def __init__(self, **things):
        self.__dict__.update(things)


@pytest.fixture
def world():
    """People, departments, customers and picklists that generated opportunities point to."""
    people = [factories.user(at=key) for key in ("shijiazhuang", "baoding", "hebei", "jinan", "head-office")]
    reader = people[0]
    world = World(
        reader=reader,
        people=people,
        customers=[factories.customer(person) for person in people[:2]],
        types=list(BusinessType.objects.all()[:3]),
        sources=list(Source.objects.all()[:2]),
        stages=list(Stage.objects.all()),
    )
    world.leaves = leaves(world)  # built once: hypothesis looks at a new strategy longer than at what it draws from it
    world.trees = trees(world)
    world.opportunities = st.lists(opportunities(world), min_size=1, max_size=4, unique_by=lambda one: one.number)
    return world


# Values that a database compares in its own way: case beyond Latin, the signs of LIKE, the first and last
# moment of a day.
texts = st.text("aAbBéÉ清%_\\' ", min_size=1, max_size=4).filter(str.strip)
days = st.dates(TODAY - timedelta(days=400), TODAY + timedelta(days=400)) | st.sampled_from(
    [TODAY + timedelta(days=days) for days in (-31, -30, -8, -7, -1, 0, 1, 7, 8, 30)]
)
moments = st.builds(
    lambda day, clock: datetime.combine(day, clock, tzinfo=UTC),
    days,
    st.times() | st.sampled_from([datetime.min.time(), datetime.max.time()]),
)
amounts = st.decimals(0, 1000, places=2) | st.sampled_from([Decimal("0.00"), Decimal("100.00")])


@st.composite
def opportunities(draw, world):
    """An opportunity as the table allows it, with anything empty that may be."""
    state = draw(st.sampled_from(State.values))
    owner = draw(st.sampled_from(world.people))
    customer = st.sampled_from(world.customers)
    one = Opportunity(
        name=draw(texts),
        number=f"T{draw(st.uuids())}"[:20],
        state=state,
        customer=draw(customer | st.none() if state in (State.DRAFT, State.VOID) else customer),
        business_type=draw(st.none() | st.sampled_from(world.types)),
        source=draw(st.none() | st.sampled_from(world.sources)),
        stage=draw(st.sampled_from(world.stages)),
        probability={State.SIGNED: 100, State.TERMINATED: 0}.get(state, draw(st.integers(1, 99))),
        amount=draw(st.none() | amounts),
        expected_close_on=draw(st.none() | days),
        closed_on=draw(days) if state in CLOSED else None,
        last_follow_up_at=draw(st.none() | moments),
        created_at=draw(moments),
        owner=owner,
        created_by=owner,
    )
    one.place(owner.department)
    one.price()
    return one


def some(values):
    return st.lists(values, min_size=1, max_size=3)


def operators(one, ordered=(), *, empty=True, several=True):
    """(operator, value) of one kind of field: `one` is the strategy of a value."""
    kinds = [st.tuples(st.sampled_from(["is", *ordered]), one)]
    if several:
        kinds += [st.tuples(st.just("is_not"), one), st.tuples(st.sampled_from(["in", "not_in"]), some(one))]
    if ordered:
        kinds.append(st.tuples(st.just("between"), st.lists(one, min_size=2, max_size=2)))
    if empty:
        kinds.append(st.tuples(st.sampled_from(["empty", "not_empty"]), st.none()))
    return st.one_of(kinds)


def keys(records):
    return st.sampled_from([record.key for record in records] + ["no-such-key"])


def ids(records, *own):
    return st.sampled_from([record.pk for record in records] + [10**12, *own])


def periods():
    units = st.sampled_from(["week", "month", "quarter", "year"])
    count = st.integers(0, 40)
    return st.one_of(
        st.just("today"),
        st.builds("{}_{}".format, st.sampled_from(["this", "last", "next"]), units),
        st.builds("{}_{}_days".format, st.sampled_from(["last", "next"]), count),
        st.builds("over_{}_days_ago".format, count),
    )


def dates():
    iso = days.map(date.isoformat)
    return operators(iso, ("before", "after", "from", "until"), several=False) | st.tuples(st.just("within"), periods())


def leaves(world):
    departments = [person.department for person in world.people]
    fields = {
        "name": st.tuples(st.sampled_from(["is", "is_not", "contains", "starts"]), texts) | st.just(("empty", None)),
        "state": operators(st.sampled_from([*State.values, "open", "pending"]), empty=False),
        "stage": operators(keys(world.stages)),
        "business_type": operators(keys(world.types)),
        "source": operators(keys(world.sources)),
        "customer": operators(ids(world.customers)),
        "owner": operators(ids(world.people, "me")),
        "department": operators(ids(departments, "mine")) | st.tuples(st.just("below"), ids(departments, "mine")),
        "amount": operators(amounts.map(str), ("under", "at_most", "at_least", "over"), several=False),
        "probability": operators(st.integers(-5, 105), ("under", "over"), several=False),
        "expected_close_on": dates(),
        "closed_on": dates(),
        "last_follow_up_at": dates(),
        "created_at": dates(),
        "shared": st.tuples(st.just("is"), st.booleans()),
    }
    return st.one_of(
        st.builds(lambda asked, key=key: {"field": key, "op": asked[0], "value": asked[1]}, strategy)
        for key, strategy in fields.items()
    )


def trees(world):
    return st.recursive(
        world.leaves,
        lambda parts: st.one_of(
            st.builds(lambda kind, parts: {kind: parts}, st.sampled_from(["all", "any"]), st.lists(parts, max_size=3)),
            st.builds(lambda part: {"not": part}, parts),
        ),
        max_leaves=5,
    )


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_a_condition_lists_exactly_the_records_for_which_it_holds_in_python(world, zone, data):
    tree = data.draw(world.trees)
    made = data.draw(world.opportunities)
    with time_machine.travel(NOW, tick=False), timezone.override(zone), transaction.atomic():
        Opportunity.objects.bulk_create(made)
        for one in made[::2]:
            OpportunityUserShare.objects.assign_perm("view_opportunity", world.reader, one)
        asked = Conditions(tree, Opportunity, world.reader)
        assert set(Opportunity.objects.filter(asked.q())) == {
            one for one in Opportunity.objects.all() if asked.holds(one)
        }
        inverse = {"not": tree}
        assert not set(Opportunity.objects.narrow(inverse, world.reader)) & set(
            Opportunity.objects.narrow(tree, world.reader)
        )
        assert Opportunity.objects.narrow({"any": [tree, inverse]}, world.reader).count() == len(made)
        transaction.set_rollback(True)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_a_tree_comes_back_from_itself_and_from_its_address(world, data):
    tree = Conditions(data.draw(world.trees), Opportunity).tree
    assert Conditions(tree, Opportunity).tree == tree
    leaf = Conditions(data.draw(world.leaves.filter(fits_an_address)), Opportunity).tree
    query = QueryDict(mutable=True)
    for name, text in Conditions(leaf, Opportunity).to_query():
        query.appendlist(name, text)
    read = Conditions.from_query(QueryDict(query.urlencode()), Opportunity, world.reader)
    assert read.errors or read.tree == {"all": [leaf]}


def fits_an_address(leaf):
    """A list of one reads as "is", a name twice as once, and two ends as two conditions."""
    several = leaf["value"] if isinstance(leaf["value"], list) else [1, 2]
    return leaf["op"] != "between" and len(set(several)) == len(several) > 1


def test_spaces_around_a_text_say_nothing():
    leaf = {"field": "name", "op": "contains", "value": "Cloud"}
    assert Conditions(leaf | {"value": " Cloud\u3000"}, Opportunity).tree == leaf


# What each operator means


def names(tree, user=None):
    return set(Opportunity.objects.narrow(tree, user).values_list("name", flat=True))


def test_is_not_includes_the_empty():
    factories.opportunity(name="Cloud", business_type=BusinessType.objects.get(key="cloud"))
    factories.opportunity(name="Nothing yet", business_type=None)
    leaf = {"field": "business_type", "value": "cloud"}
    assert names({**leaf, "op": "is"}) == {"Cloud"}
    assert names({**leaf, "op": "is_not"}) == {"Nothing yet"}
    assert names({**leaf, "op": "not_in", "value": ["cloud"]}) == {"Nothing yet"}


def test_an_amount_of_nothing_is_not_an_amount_of_zero():
    factories.opportunity(name="Zero", amount=Decimal(0))
    factories.opportunity(name="None", amount=None)
    assert names({"field": "amount", "op": "under", "value": "1"}) == {"Zero"}
    assert names({"field": "amount", "op": "empty"}) == {"None"}
    assert names({"not": {"field": "amount", "op": "under", "value": "1"}}) == {"None"}


def test_words_are_found_whatever_the_case_of_their_latin_letters():
    factories.opportunity(name="SCADA cloud 清河")
    for text in ("scada", "CLOUD", "清河"):
        assert names({"field": "name", "op": "contains", "value": text})
    assert not names({"field": "name", "op": "contains", "value": "清_"})
    assert names({"field": "name", "op": "starts", "value": "scada"})
    assert not names({"field": "name", "op": "starts", "value": "cloud"})


def test_me_and_my_department_are_whoever_asks():
    rep, gm = factories.user(at="baoding"), factories.user(None, "gm", at="hebei")
    factories.opportunity(rep, name="In Baoding")
    factories.opportunity(factories.user(at="jinan"), name="In Jinan")
    assert names({"field": "owner", "op": "is", "value": "me"}, rep) == {"In Baoding"}
    assert names({"field": "owner", "op": "is", "value": "me"}, gm) == set()
    assert names({"field": "department", "op": "below", "value": "mine"}, gm) == {"In Baoding"}
    assert names({"field": "department", "op": "is", "value": "mine"}, gm) == set()
    assert names({"field": "department", "op": "below", "value": factories.department("head-office").pk}) == {
        "In Baoding",
        "In Jinan",
    }


def test_a_condition_asked_by_nobody_knows_no_me():
    record = factories.opportunity()
    assert not holds({"field": "owner", "op": "is", "value": "me"}, record)
    assert holds({"field": "owner", "op": "is", "value": "me"}, record, user=record.owner)


def test_an_empty_tree_always_holds():
    record = factories.opportunity()
    assert holds({}, record)
    assert holds(None, record)
    assert holds({"all": []}, record)
    assert not holds({"any": []}, record)


@pytest.mark.parametrize(
    ("word", "first", "last"),
    [
        ("today", "2026-11-18", "2026-11-18"),
        ("this_week", "2026-11-16", "2026-11-22"),
        ("last_week", "2026-11-09", "2026-11-15"),
        ("next_week", "2026-11-23", "2026-11-29"),
        ("this_month", "2026-11-01", "2026-11-30"),
        ("last_month", "2026-10-01", "2026-10-31"),
        ("next_month", "2026-12-01", "2026-12-31"),
        ("this_quarter", "2026-10-01", "2026-12-31"),
        ("last_quarter", "2026-07-01", "2026-09-30"),
        ("next_quarter", "2027-01-01", "2027-03-31"),
        ("this_year", "2026-01-01", "2026-12-31"),
        ("last_year", "2025-01-01", "2025-12-31"),
        ("next_year", "2027-01-01", "2027-12-31"),
        ("last_7_days", "2026-11-11", "2026-11-18"),
        ("next_7_days", "2026-11-18", "2026-11-25"),
        ("over_7_days_ago", None, "2026-11-10"),
    ],
)
def test_a_period_begins_and_ends_where_the_calendar_says(word, first, last):
    assert period(word, TODAY) == (first and date.fromisoformat(first), date.fromisoformat(last))


@given(day=st.dates(date(1990, 1, 1), date(2090, 1, 1)), unit=st.sampled_from(["week", "month", "quarter", "year"]))
def test_the_last_this_and_the_next_follow_one_another_without_a_gap(day, unit):
    ends = [period(f"{which}_{unit}", day) for which in ("last", "this", "next")]
    assert ends[1][0] <= day <= ends[1][1]
    for (_first, last), (first, _last) in pairwise(ends):
        assert first - last == timedelta(days=1)


def test_today_is_the_readers_day():
    record = factories.opportunity(created_at=datetime(2026, 11, 18, 15, 0, tzinfo=UTC))
    leaf = {"field": "created_at", "op": "within", "value": "today"}
    with time_machine.travel(datetime(2026, 11, 18, 17, 0, tzinfo=UTC), tick=False):
        with timezone.override("Asia/Shanghai"):  # there it is the nineteenth already
            assert not holds(leaf, record)
        with timezone.override("America/New_York"):
            assert holds(leaf, record)


# What is refused


@pytest.mark.parametrize(
    "tree",
    [
        {"field": "owner__password", "op": "is", "value": "x"},
        {"field": "customer__phone", "op": "is", "value": "x"},
        {"field": "description", "op": "contains", "value": "x"},
        {"field": "name", "op": "regex", "value": "x"},
        {"field": "name", "op": "__class__", "value": "x"},
        {"field": ["name"], "op": "is", "value": "x"},
        {"field": "name", "op": ["is"], "value": "x"},
        {"field": "name", "op": "is"},
        {"field": "name", "op": "is", "value": "a\0b"},
        {"field": "name", "op": "is", "value": "\ud800"},
        {"field": "name", "op": "is", "value": {"a": 1}},
        {"field": "name", "op": "is", "value": "x" * 201},
        {"field": "name", "op": "is", "value": "x", "or": "y"},
        {"field": "state", "op": "is", "value": "sold"},
        {"field": "state", "op": "in", "value": "draft"},
        {"field": "state", "op": "in", "value": []},
        {"field": "owner", "op": "is", "value": "5"},
        {"field": "owner", "op": "is", "value": True},
        {"field": "owner", "op": "is", "value": 2**63},
        {"field": "amount", "op": "over", "value": 5},
        {"field": "amount", "op": "over", "value": "NaN"},
        {"field": "amount", "op": "over", "value": "1e99"},
        {"field": "amount", "op": "between", "value": ["1"]},
        {"field": "expected_close_on", "op": "is", "value": "yesterday"},
        {"field": "expected_close_on", "op": "is", "value": 20261201},
        {"field": "expected_close_on", "op": "within", "value": "last_99999_days"},
        {"field": "probability", "op": "is", "value": 10**12},
        {"all": {"field": "name", "op": "empty"}},
        {"all": [], "any": []},
        {"not": []},
        [],
        "name",
        5,
    ],
    ids=str,
)
def test_what_is_no_condition_is_refused_in_words(tree):
    with pytest.raises(ConditionError) as refused:
        Conditions({"all": [tree]}, Opportunity)
    assert str(refused.value.message).strip()


def test_groups_within_groups_end_somewhere():
    tree = {"field": "name", "op": "empty"}
    for _depth in range(2000):
        tree = {"not": tree}
    with pytest.raises(ConditionError):
        check(tree, Opportunity)


def test_a_route_may_be_confined_to_some_fields_and_must_name_what_there_is():
    cloud = {"field": "business_type", "op": "is", "value": "cloud"}
    large = {"field": "amount", "op": "over", "value": "1000000"}
    check({"all": [cloud, large]}, Opportunity, fields=("business_type", "amount"))
    with pytest.raises(ConditionError, match="no-such-type"):
        check({**cloud, "value": "no-such-type"}, Opportunity)
    with pytest.raises(ConditionError, match="Opportunity name"):
        check({"any": [cloud, {"field": "name", "op": "empty"}]}, Opportunity, fields=("business_type", "amount"))


# The address


def read(query, user=None):
    return Conditions.from_query(QueryDict(query), Opportunity, user)


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("state=active", {"field": "state", "op": "is", "value": "active"}),
        ("state=active&state=signing", {"field": "state", "op": "in", "value": ["active", "signing"]}),
        ("stage.not=proposal", {"field": "stage", "op": "is_not", "value": "proposal"}),
        ("business_type.empty=yes", {"field": "business_type", "op": "empty"}),
        ("business_type.empty=no", {"field": "business_type", "op": "not_empty"}),
        ("owner=me", {"field": "owner", "op": "is", "value": "me"}),
        ("department.below=mine", {"field": "department", "op": "below", "value": "mine"}),
        ("amount.over=45万", {"field": "amount", "op": "over", "value": "450000.00"}),
        ("probability.at_least=50", {"field": "probability", "op": "at_least", "value": 50}),
        ("expected_close_on.before=2027/4/1", {"field": "expected_close_on", "op": "before", "value": "2027-04-01"}),
        ("expected_close_on=this_month", {"field": "expected_close_on", "op": "within", "value": "this_month"}),
        ("name.contains=云", {"field": "name", "op": "contains", "value": "云"}),
        ("shared=yes", {"field": "shared", "op": "is", "value": True}),
    ],
)
def test_an_address_is_read(query, tree):
    asked = read(query)
    assert not asked.errors
    assert asked.tree == {"all": [tree]}


def test_an_address_has_room_for_parameters_of_others_and_for_blanks():
    asked = read("sort=-amount&page=2&q=x&nonsense=1&owner__password=x&state=&amount.over=+")
    assert asked.tree == {"all": []}
    assert not asked.errors


@pytest.mark.parametrize(
    "query",
    [
        "state=sold",
        "state.below=draft",
        "stage=no-such-stage",
        "stage=%00",
        "name=a%00b",
        "owner=Chen",
        "owner=99999999999999999999",
        "owner=999999",
        "owner=%D9%A1",
        "customer=1",
        "department.below=999999",
        "amount.over=lots",
        "amount.over=1e400",
        "amount.nearly=5",
        "probability=half",
        "expected_close_on=soon",
        "expected_close_on.before=2026-02-30",
        "shared=perhaps",
    ],
)
def test_a_value_that_cannot_be_is_left_out_with_a_sentence(query):
    asked = read(f"{query}&state.not=draft", factories.user())
    assert asked.tree == {"all": [{"field": "state", "op": "is_not", "value": "draft"}]}
    assert len(asked.errors) == 1
    assert Opportunity.objects.filter(asked.q()).count() == 0


def test_a_chip_says_field_operator_and_value_in_the_readers_language():
    rep = factories.user(name="Chen Yu")
    query = f"stage=proposal&owner={rep.pk}&expected_close_on=this_month&amount.over=1000000&amount.empty=no"
    said = [" ".join(chip[:3]).strip() for chip in read(query, rep).chips()]
    assert said == [
        "Stage is Proposal",
        "Person in charge is Chen Yu",
        "Expected close date is this month",
        "Amount over ¥1,000,000",
        "Amount is not empty",
    ]
    with translation.override("zh-hans"):
        assert read("stage=proposal", rep).chips()[0].value == Stage.objects.get(key="proposal").names["zh-hans"]


def test_a_nested_group_is_described_and_does_not_fit_into_an_address():
    tree = {
        "all": [
            {"any": [{"field": "state", "op": "is", "value": "draft"}, {"field": "owner", "op": "is", "value": "me"}]}
        ]
    }
    asked = Conditions(tree, Opportunity, factories.user())
    assert asked.chips()[0].value == "any of (State is Draft; Person in charge is me)"
    with pytest.raises(ConditionError):
        asked.to_query()


def test_a_chip_does_not_tell_the_name_of_a_customer_that_the_reader_may_not_know():
    hidden = factories.customer(factories.user(at="jinan"), name="Secret Mining")
    own = factories.customer(factories.user(at="baoding"), name="Own Bank")
    asked = read(f"customer={hidden.pk}", own.owner)
    assert not asked.chips()
    assert "Secret" not in " ".join(asked.errors)
    assert read(f"customer={own.pk}", own.owner).chips()[0].value == "Own Bank"
    never = read("customer=987654", own.owner)
    assert asked.errors == [error.replace("987654", str(hidden.pk)) for error in never.errors]


def test_values_are_looked_up_once_for_question_and_chips(django_assert_num_queries):
    rep = factories.user()
    with django_assert_num_queries(1):
        asked = read("stage=proposal&stage=negotiation&state=open", rep)
        asked.q()
        asked.chips()


def test_customers_and_contacts_are_asked_in_the_same_language():
    contact = factories.contact(factories.customer(status=Customer.Status.TRADING))
    assert set(Customer.objects.narrow({"field": "status", "op": "is", "value": "trading"}, None)) == {contact.customer}
    assert holds({"field": "customer", "op": "is", "value": contact.customer_id}, contact)
    assert holds({"field": "title", "op": "empty"}, contact)
