"""
Conditions mean the same in the database and in Python, are read from addresses and trees, and refuse what
nobody may ask.
"""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace

import pytest
import time_machine
from django.db import transaction
from django.http import QueryDict
from django.utils import timezone, translation
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crm.conditions import Conditions, check, holds
from crm.filters import FilterPage
from crm.kinds import ConditionError, fields_of
from crm.periods import COUNTED, PERIODS, period
from customers.lists import ContactList, CustomerList
from customers.models import Contact, Customer, CustomerLevel, Industry
from opportunities.lifecycle import CLOSED, State
from opportunities.lists import OpportunityList
from opportunities.models import (
    BusinessType,
    LostReason,
    Opportunity,
    OpportunityContact,
    OpportunityUserShare,
    Pipeline,
    RevenueCategory,
    Source,
    Stage,
)
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
    customers = [
        factories.customer(person, industry=industry, level=level)
        for person, industry, level in zip(
            people[:3],
            [Industry.objects.first(), Industry.objects.last(), None],
            [None, CustomerLevel.objects.first(), None],
            strict=True,
        )
    ]
    above = factories.product("FIBRE", category="wired").category
    below = RevenueCategory.objects.create(key="fibre", names={"en": "Fibre"}, parent=above)
    world = World(
        reader=reader,
        people=people,
        customers=customers,
        contacts=[factories.contact(customer) for customer in customers[:2]],
        products=[factories.product("FIBRE"), factories.product("CAM")],
        categories=[above, below],
        industries=list(Industry.objects.all()),
        levels=list(CustomerLevel.objects.all()),
        types=list(BusinessType.objects.all()[:3]),
        sources=list(Source.objects.all()[:2]),
        reasons=list(LostReason.objects.all()[:2]),
        stages=list(Stage.objects.all()),
        pipelines=list(Pipeline.objects.all()),
    )
    # built once: hypothesis looks at a new strategy longer than at what it draws from it
    world.leaves = {model: asked(ways(world)) for model, ways in WAYS.items()}
    world.trees = {model: trees(leaves) for model, leaves in world.leaves.items()}
    world.links = links(world)
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
        created_by=draw(st.sampled_from(world.people)),
        approved_amount=draw(st.none() | amounts),
        lost_reason=draw(st.none() | st.sampled_from(world.reasons)),
        file_count=draw(st.integers(0, 2)),
        reference=draw(st.just("") | texts),
    )
    one.place(owner.department)
    one.price()
    return one


def links(world):
    """What an opportunity may have several of: contacts, products and categories of lines, people it is shared with."""
    return st.fixed_dictionaries(
        {
            "contacts": st.sets(st.sampled_from(world.contacts)),
            "lines": st.lists(
                st.tuples(st.none() | st.sampled_from(world.products), st.none() | st.sampled_from(world.categories)),
                max_size=2,
            ),
            "shared": st.sets(st.sampled_from(world.people), max_size=2),
        }
    )


def link(one, drawn):
    for contact in drawn["contacts"]:
        OpportunityContact.objects.create(opportunity=one, contact=contact)
    for position, (product, category) in enumerate(drawn["lines"]):
        line = factories.line(product, opportunity=one, position=position, category=category)
        line.subtotal = line.price
        line.save()
    for person in drawn["shared"]:
        OpportunityUserShare.objects.assign_perm("view_opportunity", person, one)


@st.composite
def customers(draw, world):
    owner = draw(st.sampled_from(world.people))
    one = Customer(
        name=draw(texts),
        kind=draw(st.sampled_from(Customer.Kind.values)),
        status=draw(st.sampled_from(Customer.Status.values)),
        industry=draw(st.none() | st.sampled_from(world.industries)),
        level=draw(st.none() | st.sampled_from(world.levels)),
        phone=draw(st.just("") | texts),
        file_count=draw(st.integers(0, 1)),
        created_at=draw(moments),
        owner=owner,
        created_by=owner,
    )
    one.place(owner.department)
    return one


@st.composite
def contacts(draw, world):
    of = draw(st.sampled_from(world.customers))
    return Contact(
        name=draw(texts),
        title=draw(st.just("") | texts),
        email=draw(st.just("") | texts),
        customer=of,
        created_at=draw(moments),
        owner=of.owner,
        created_by=draw(st.sampled_from(world.people)),
        department=of.department,
        province=of.province,
        city=of.city,
    )


def some(values):
    return st.lists(values, min_size=1, max_size=3)


def operators(one, ordered=(), *, empty=True, several=True):
    """(operator, value) of one kind of field: `one` is the strategy of a value."""
    kinds = [st.tuples(st.sampled_from(["is", "is_not", *ordered]), one)]
    if several:
        kinds.append(st.tuples(st.sampled_from(["in", "not_in"]), some(one)))
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
    count = st.integers(0, 40).map(str)
    return st.sampled_from(list(PERIODS)) | st.builds(str.replace, st.sampled_from(list(COUNTED)), st.just("N"), count)


def dates():
    iso = days.map(date.isoformat)
    within = st.tuples(st.sampled_from(["within", "not_within"]), periods())
    return operators(iso, ("before", "after", "from", "until"), several=False) | within


def words():
    return operators(texts, several=True) | st.tuples(st.sampled_from(["contains", "not_contains", "starts"]), texts)


def places(world):
    departments = ids([person.department for person in world.people], "mine")
    below = st.tuples(st.sampled_from(["below", "not_below"]), departments | some(departments))
    return operators(departments) | below


def sums():
    return operators(amounts.map(str), ("under", "at_most", "at_least", "over"), several=False)


yes_no = st.tuples(st.just("is"), st.booleans())


def of_customers(world):
    return {
        "customer_industry": operators(keys(world.industries)),
        "customer_level": operators(keys(world.levels)),
        "customer_status": operators(st.sampled_from(Customer.Status.values)),
    }


def ways_of_opportunities(world):
    return of_customers(world) | {
        "name": words(),
        "reference": words(),
        "state": operators(st.sampled_from([*State.values, "open", "pending"]), empty=False),
        "stage": operators(keys(world.stages)),
        "pipeline": operators(keys(world.pipelines), empty=False),
        "business_type": operators(keys(world.types)),
        "source": operators(keys(world.sources)),
        "lost_reason": operators(keys(world.reasons)),
        "customer": operators(ids(world.customers)),
        "owner": operators(ids(world.people, "me")),
        "created_by": operators(ids(world.people, "me")),
        "department": places(world),
        "amount": sums(),
        "approved_amount": sums(),
        "probability": operators(st.integers(-5, 105), ("under", "over"), several=False),
        "expected_close_on": dates(),
        "closed_on": dates(),
        "last_follow_up_at": dates(),
        "created_at": dates(),
        "contacts": operators(ids(world.contacts)),
        "products": operators(keys(world.products)),
        "categories": operators(keys(world.categories)),
        "shared_with": operators(ids(world.people, "me")),
        "waits_for": operators(ids(world.people, "me")),
        "shared": yes_no,
        "has_files": yes_no,
    }


def ways_of_customers(world):
    return {
        "name": words(),
        "phone": words(),
        "status": operators(st.sampled_from(Customer.Status.values), empty=False),
        "industry": operators(keys(world.industries)),
        "level": operators(keys(world.levels)),
        "owner": operators(ids(world.people, "me")),
        "department": places(world),
        "created_at": dates(),
        "contacts": operators(ids(world.contacts)),
        "has_open": yes_no,
        "has_files": yes_no,
    }


def ways_of_contacts(world):
    return of_customers(world) | {
        "name": words(),
        "title": words(),
        "email": words(),
        "customer": operators(ids(world.customers)),
        "owner": operators(ids(world.people, "me")),
        "created_by": operators(ids(world.people, "me")),
        "department": places(world),
        "created_at": dates(),
        "on_open": yes_no,
    }


WAYS = {Opportunity: ways_of_opportunities, Customer: ways_of_customers, Contact: ways_of_contacts}
LISTS = {Opportunity: OpportunityList, Customer: CustomerList, Contact: ContactList}


def asked(ways):
    return st.one_of(
        st.builds(lambda said, key=key: {"field": key, "op": said[0], "value": said[1]}, strategy)
        for key, strategy in ways.items()
    )


def trees(leaves):
    return st.recursive(
        leaves,
        lambda parts: st.one_of(
            st.builds(lambda kind, parts: {kind: parts}, st.sampled_from(["all", "any"]), st.lists(parts, max_size=3)),
            st.builds(lambda part: {"not": part}, parts),
        ),
        max_leaves=5,
    )


QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def test_the_generated_conditions_ask_every_field_but_those_of_the_ranking_and_of_reviews(world):
    left_out = {Opportunity: {"number", "updated_at", "next_follow_up_at", "has_lines", "signed", "reported", "review"}}
    left_out[Opportunity].add("stage_since")
    left_out |= {Customer: {"kind", "website", "address", "tax_id", "updated_at", "created_by"}}
    left_out |= {Contact: {"mobile", "phone", "updated_at"}}  # these are of a kind with others
    for model, ways in WAYS.items():
        assert ways(world).keys() | left_out[model] == fields_of(model).keys()


def agree(tree, model, reader, kind=Conditions):
    """The database lists what meets `tree` in Python; nothing meets it and its opposite; everything meets one."""
    asked, everything = kind(tree, model, reader), set(model.objects.all())
    listed = set(model.objects.filter(asked.q()))
    assert listed == {one for one in everything if asked.holds(one)}
    opposite = set(model.objects.narrow({"not": tree}, reader))
    assert not listed & opposite
    assert listed | opposite == everything
    assert model.objects.narrow({"any": [tree, {"not": tree}]}, reader).count() == len(everything)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
@settings(QUICK, max_examples=100)
@given(data=st.data())
def test_a_condition_lists_exactly_the_opportunities_for_which_it_holds_in_python(world, zone, data):
    tree = data.draw(world.trees[Opportunity])
    made = data.draw(world.opportunities)
    linked = data.draw(world.links)
    with time_machine.travel(NOW, tick=False), timezone.override(zone), transaction.atomic():
        Opportunity.objects.bulk_create(made)
        for one in made[::2]:
            link(one, linked)
        agree(tree, Opportunity, world.reader)
        transaction.set_rollback(True)


@pytest.mark.parametrize(("model", "made"), [(Customer, customers), (Contact, contacts)])
@settings(QUICK, max_examples=40)
@given(data=st.data())
def test_so_it_does_with_customers_and_contacts(world, model, made, data):
    tree = data.draw(world.trees[model])
    with time_machine.travel(NOW, tick=False), transaction.atomic():
        model.objects.bulk_create(data.draw(st.lists(made(world), min_size=1, max_size=3)))
        open_one = factories.opportunity(world.reader, customer=world.customers[0])
        OpportunityContact.objects.create(opportunity=open_one, contact=world.contacts[0])
        agree(tree, model, world.reader)
        transaction.set_rollback(True)


class Forgetful(Conditions):
    """Asks one record wrongly: what is empty is not "is not" anything."""

    def _holds(self, node, record):
        wrong = getattr(node, "op", "") in ("is_not", "not_in") and getattr(record, node.field.attname) is None
        return False if wrong else super()._holds(node, record)


def test_the_test_of_agreement_can_fail(world):
    nullable = {key: ways_of_opportunities(world)[key] for key in ("business_type", "source")}

    @settings(QUICK, max_examples=200, phases=[Phase.generate], database=None)
    @given(leaf=asked(nullable), made=world.opportunities)
    def agreement(leaf, made):
        with transaction.atomic():
            Opportunity.objects.bulk_create(made)
            try:
                agree(leaf, Opportunity, world.reader, Forgetful)
            finally:
                transaction.set_rollback(True)

    with pytest.raises(AssertionError):
        agreement()


def through_an_address(tree, model, reader):
    query = QueryDict(mutable=True)
    for name, text in Conditions(tree, model, reader).to_query():
        query.appendlist(name, text)
    return Conditions.from_query(QueryDict(query.urlencode()), model, reader)


def in_any_order(tree):
    """The parts of the outermost group in an order of their own: an address has those with a name first."""
    parts = tree["all"] if tree.keys() == {"all"} else [tree]
    return sorted(json.dumps(part, sort_keys=True) for part in parts)


@pytest.mark.parametrize("model", WAYS, ids=lambda model: model.__name__)
@settings(QUICK, max_examples=60)
@given(data=st.data())
def test_a_tree_comes_back_from_itself_and_from_its_address(world, model, data):
    tree = Conditions(data.draw(world.trees[model]), model).tree
    assert Conditions(tree, model).tree == tree
    read = through_an_address(tree, model, world.reader)
    if not read.errors:  # a value that names nothing there is
        assert in_any_order(read.tree) == in_any_order(tree)


def has_no_empty_group(tree):
    [(kind, part)] = [("leaf", [])] if "field" in tree else tree.items()
    parts = [part] if kind == "not" else part
    return kind == "leaf" or (bool(parts) and all(map(has_no_empty_group, parts)))


def through_the_page(tree, model, reader):
    """What the page of conditions makes of a tree, opened at its address and sent as it stands."""
    pairs = Conditions(tree, model, reader).to_query()
    page = opened(model, reader, pairs)
    sent = opened(model, reader, [], sent=sent_as_it_stands(page))
    address = sent.address()
    assert address is not None, [row.form.errors for row in sent.root.rows() if row.fixed is None]
    return Conditions.from_query(QueryDict(address.partition("?")[2]), model, reader)


def opened(model, reader, pairs, sent=None):
    query = QueryDict(mutable=True)
    for name, text in pairs:
        query.appendlist(name, text)
    request = SimpleNamespace(user=reader, GET=query, POST=sent, method="POST" if sent is not None else "GET")
    return FilterPage(LISTS[model](request))


def sent_as_it_stands(page):
    """What a browser sends of the page, nothing touched."""
    sent = QueryDict(mutable=True)
    sent["show"] = "1"

    def add(part):
        sent.appendlist("node", part.path)
        if part.is_group:
            sent[f"{part.path}-kind"] = part.kind
            for one in part.parts:
                add(one)
            return
        if part.fixed is not None:
            sent[f"{part.path}-fixed"] = part.fixed_text
            return
        sent.update({f"{part.path}-field": part.field.key, f"{part.path}-was": part.field.key})
        sent[f"{part.path}-op"] = part.op
        if part.offered:
            sent[f"{part.path}-offered"] = "1"
        for bound in part.form:
            name, value = f"{part.path}-{bound.name}", bound.value()
            if hasattr(value, "chosen"):
                sent.setlist(f"{name}_id", map(str, value.chosen))
                sent[name] = value.text
            elif isinstance(value, list):
                sent.setlist(name, value)
            elif value is not None and value is not False:
                sent[name] = str(value)

    add(page.root)
    return sent


@pytest.mark.parametrize("model", WAYS, ids=lambda model: model.__name__)
@settings(QUICK, max_examples=30)
@given(data=st.data())
def test_a_tree_comes_back_from_the_page_of_conditions(world, model, data):
    tree = data.draw(world.trees[model].filter(has_no_empty_group))
    tree = through_an_address(tree, model, world.reader).tree  # with values that name something there is
    once = through_the_page(tree, model, world.reader)
    assert not once.errors
    assert through_the_page(once.tree, model, world.reader).tree == once.tree
    with transaction.atomic():
        if model is Opportunity:
            model.objects.bulk_create(data.draw(world.opportunities))
        assert set(model.objects.filter(once.q())) == set(model.objects.narrow(tree, world.reader))
        transaction.set_rollback(True)


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
        ("in_over_7_days", "2026-11-26", None),
        ("yesterday", "2026-11-17", "2026-11-17"),
        ("tomorrow", "2026-11-19", "2026-11-19"),
    ],
)
def test_a_period_begins_and_ends_where_the_calendar_says(word, first, last):
    assert period(word, TODAY) == (first and date.fromisoformat(first), last and date.fromisoformat(last))


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


def test_a_group_of_one_is_described_as_that_one():
    draft = {"field": "state", "op": "is", "value": "draft"}
    tree = {"all": [{"any": [draft]}, {"not": {"any": [draft]}}, {"any": [{"all": [draft]}, {"not": draft}]}]}
    said = [chip.value for chip in Conditions(tree, Opportunity, factories.user()).chips()]
    assert said == ["State is Draft", "not (State is Draft)", "any of (State is Draft; not (State is Draft))"]


def test_a_nested_group_is_described_and_goes_into_an_address_as_a_tree():
    draft, mine = {"field": "state", "op": "is", "value": "draft"}, {"field": "owner", "op": "is", "value": "me"}
    tree = {"all": [{"any": [draft, mine]}, {"not": {"any": [draft, mine]}}, {"not": mine}]}
    reader = factories.user()
    said = [chip.value for chip in Conditions(tree, Opportunity, reader).chips()]
    assert said[0] == "any of (State is Draft; Person in charge is me)"
    assert said[1:] == ["none of (State is Draft; Person in charge is me)", "not (Person in charge is me)"]
    with translation.override("zh-hans"):
        assert "; " not in "".join(chip.value for chip in Conditions(tree, Opportunity, reader).chips())
    assert Conditions(tree, Opportunity, reader).to_query() == [("where", json.dumps(tree, separators=(",", ":")))]
    assert through_an_address(tree, Opportunity, reader).tree == tree


def test_what_fits_has_a_parameter_of_its_own_and_the_rest_goes_into_the_tree():
    draft = {"field": "state", "op": "is", "value": "draft"}
    asked = [
        {"field": "amount", "op": "between", "value": ["1.00", "2.00"]},
        draft,
        {"field": "state", "op": "in", "value": ["active", "signed"]},
        {"any": [draft]},
    ]
    pairs = Conditions({"all": asked}, Opportunity).to_query()
    assert pairs[:3] == [("amount.between", "1.00"), ("amount.between", "2.00"), ("state", "draft")]
    assert json.loads(pairs[3][1]) == {"all": asked[2:]}
    assert len(pairs) == 4


def where(tree, reader=None, model=Opportunity):
    query = QueryDict(mutable=True)
    query["where"] = tree if isinstance(tree, str) else json.dumps(tree)
    query["state.not"] = "draft"
    return Conditions.from_query(query, model, reader or factories.user())


NOT_DRAFT = {"field": "state", "op": "is_not", "value": "draft"}


def nested(depth):
    tree = {"field": "name", "op": "empty"}
    for _number in range(depth):
        tree = {"not": tree}
    return tree


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "{",
        "[]",
        "5",
        "null",
        '"name"',
        "NaN",
        "[" * 5000,
        '{"field":"probability","op":"is","value":' + "9" * 5000 + "}",
        json.dumps(nested(30)),
        json.dumps({"any": [{"field": "name", "op": "empty"}] * 201}),
        json.dumps({"field": "name", "op": "is", "value": "x" * 9000}),
        '{"all":{"field":"name","op":"empty"}}',
    ],
    ids=range(13),
)
def test_a_tree_that_cannot_be_read_is_left_out_with_a_sentence_and_the_rest_stays(text):
    asked = where(text)
    assert asked.tree == {"all": [NOT_DRAFT]}
    assert len(asked.errors) == 1
    assert str(asked.errors[0]).encode()
    assert Opportunity.objects.filter(asked.q()).count() == 0


@pytest.mark.parametrize(
    "leaf",
    [
        {"field": "owner__password", "op": "is", "value": "x"},
        {"field": "custom_gone", "op": "is", "value": "x"},
        {"field": "\ud800", "op": "is", "value": "x"},
        {"field": "name", "op": "\ud800", "value": "x"},
        {"field": "name", "op": "regex", "value": "x"},
        {"field": "name", "op": "is", "value": "\ud800"},
        {"field": "stage", "op": "is", "value": "gone"},
        {"field": "owner", "op": "is", "value": 10**12},
        {"field": "department", "op": "below", "value": [10**12, 10**13]},
        {"nonsense": 1},
    ],
    ids=range(10),
)
def test_a_condition_that_names_what_is_gone_is_left_out_of_its_tree(leaf):
    mine = {"field": "owner", "op": "is", "value": "me"}
    asked = where({"any": [mine, {"not": leaf}, {"all": [leaf]}]})
    assert asked.tree == {"all": [NOT_DRAFT, {"any": [mine]}]}
    assert asked.errors
    assert all(str(error).encode() for error in asked.errors)
    assert where({"any": [leaf]}).tree == {"all": [NOT_DRAFT]}  # else the list would be empty for ever


def test_of_several_values_those_that_are_there_still_count():
    stages = {"field": "stage", "op": "in", "value": ["proposal", "gone", "negotiation"]}
    asked = where({"not": stages})
    assert asked.tree["all"][1] == {"not": stages | {"value": ["proposal", "negotiation"]}}
    assert len(asked.errors) == 1
    assert read("stage=proposal&stage=gone").tree == {"all": [{"field": "stage", "op": "is", "value": "proposal"}]}


def test_a_tree_that_was_kept_is_read_without_what_is_gone():
    gone, mine = {"field": "gone", "op": "empty"}, {"field": "owner", "op": "is", "value": "me"}
    asked = Conditions.leaving_out({"any": [gone, mine]}, Opportunity, factories.user())
    assert asked.tree == {"all": [{"any": [mine]}]}
    assert len(asked.errors) == 1
    with pytest.raises(ConditionError):
        Conditions({"any": [gone, mine]}, Opportunity)


def test_an_address_without_one_condition_of_its_tree_keeps_the_others():
    mine = {"field": "owner", "op": "is", "value": "me"}
    asked = where({"all": [{"any": [mine, NOT_DRAFT]}, {"not": mine}]})
    assert asked.without(1) == ("where", json.dumps({"not": mine}, separators=(",", ":")))
    assert asked.without(0) == ("state.not", None)
    assert where({"any": [mine]}).without(1) == ("where", None)


# What others must not learn


def test_what_is_said_of_a_customer_counts_only_for_who_sees_the_customer():
    finance, other = Industry.objects.all()[:2]
    rep, stranger = factories.user(at="baoding"), factories.user(at="jinan")
    shared = factories.opportunity(stranger, customer=factories.customer(stranger, industry=finance), name="Shared")
    shared.share(by=stranger, people=[rep])
    factories.opportunity(rep, customer=factories.customer(rep, industry=finance), name="Own")
    factories.opportunity(rep, customer=None, name="Without")
    leaf = {"field": "customer_industry", "op": "is", "value": finance.key}
    seen = Opportunity.objects.visible_to(rep)

    def names(op, value=None):
        return set(
            seen.narrow({"field": "customer_industry", "op": op, "value": value}, rep).values_list("name", flat=True)
        )

    assert set(Opportunity.objects.narrow(leaf, stranger).values_list("name", flat=True)) == {"Shared"}
    assert names("is", finance.key) == {"Own"}
    for key in (finance.key, other.key):  # whatever is asked, what is not seen answers the same
        assert "Shared" in names("is_not", key)
    assert names("empty") == {"Shared", "Without"}
    assert names("not_empty") == {"Own"}
    assert Opportunity.objects.narrow(leaf, None).count() == 0


def test_a_condition_on_a_contact_that_one_may_not_see_holds_on_as_one_on_nobody_does():
    hidden = factories.contact(factories.customer(factories.user(at="jinan")), name="Secret Person")
    reader = factories.user(at="baoding")
    factories.opportunity(reader)
    for pk in (hidden.pk, 10**12):
        asked = read(f"contacts={pk}", reader)
        assert ([chip.value for chip in asked.chips()], asked.errors) == (["unknown"], [])
        assert not Opportunity.objects.visible_to(reader).filter(asked.q())


def test_a_customer_has_open_opportunities_where_the_reader_sees_one():
    rep, stranger = factories.user(), factories.user(at="jinan")
    one, other = factories.customer(rep), factories.customer(rep)
    factories.opportunity(rep, customer=one)
    hidden = factories.opportunity(stranger)
    Opportunity.objects.filter(pk=hidden.pk).update(customer=other)
    leaf = {"field": "has_open", "op": "is"}
    assert set(Customer.objects.narrow(leaf | {"value": True}, rep)) == {one}
    assert other in Customer.objects.narrow(leaf | {"value": False}, rep)


def test_the_opportunities_that_wait_for_somebody_are_asked_by_that_person():
    made = factories.opportunity(state="reporting")
    factories.opportunity()
    holder = made.open_task.holder
    leaf = {"field": "waits_for", "op": "is", "value": "me"}
    assert set(Opportunity.objects.narrow(leaf, holder)) == {made}
    assert holds(leaf, made, user=holder)
    assert not holds(leaf, made, user=made.owner)
    assert set(Opportunity.objects.narrow({"field": "waits_for", "op": "not_empty"}, holder)) == {made}


def test_a_revenue_category_asks_for_those_below_it_too():
    above = factories.product("FIBRE", category="wired").category
    below = RevenueCategory.objects.create(key="fibre", names={"en": "Fibre"}, parent=above)
    made = factories.opportunity()
    link(made, {"contacts": [], "lines": [(None, below)], "shared": []})
    for op, value, found in [("is", "wired", True), ("is", "fibre", True), ("not_in", ["wired"], False)]:
        assert holds({"field": "categories", "op": op, "value": value}, made) is found


def test_what_is_asked_of_the_customer_follows_a_merge_of_the_value():
    """A route that asks for an industry is changed with it; see crm.picklists."""
    keys = {key for key, field in fields_of(Opportunity).items() if field.picks is Industry}
    assert keys == {"customer_industry"}


@pytest.mark.case(7)
def test_a_chip_does_not_tell_the_name_of_a_customer_that_the_reader_may_not_know():
    hidden = factories.customer(factories.user(at="jinan"), name="Secret Mining")
    own = factories.customer(factories.user(at="baoding"), name="Own Bank")
    asked = read(f"customer={hidden.pk}", own.owner)
    assert ([chip.value for chip in asked.chips()], asked.errors) == (["unknown"], [])
    assert read(f"customer={own.pk}", own.owner).chips()[0].value == "Own Bank"
    never = read("customer=987654", own.owner)
    assert ([chip.value for chip in never.chips()], never.errors) == (["unknown"], [])


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
