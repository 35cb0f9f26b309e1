"""What administrators added is asked, shown and sorted by its kind: in lists, in addresses, in files that go out."""

import csv
import time
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from crm import custom_changes as changes
from crm import custom_fields
from crm.conditions import Conditions, check
from crm.custom_fields import Kind
from crm.custom_values import CustomValue
from crm.kinds import ALONE, ConditionError, fields_of
from customers.models import Contact, Customer
from opportunities.models import Opportunity
from tests import factories as make
from tests.crm.fields import administrator, field, one_of_each

pytestmark = pytest.mark.django_db

TODAY = date(2026, 11, 18)

texts = some.text("aAbBÉé清%_\\' ", min_size=1, max_size=4).filter(str.strip)
numbers = some.decimals(-100, 100, places=4) | some.sampled_from([Decimal(0), Decimal(9), Decimal(10)])
amounts = some.decimals(0, 1000, places=2)
days = some.dates(TODAY - timedelta(days=60), TODAY + timedelta(days=60))


def written(number):
    return format(number, "f")


@pytest.fixture
def world():
    """Fields of each kind, people, and what may be asked of them and held by customers."""

    class World:
        fields = one_of_each("customer")
        people = [make.user(), make.user()]
        customers = [make.customer() for _number in range(4)]

    options = {kind: list(World.fields[kind].options.all()) for kind in ("choice", "choices")}
    World.held = {
        Kind.TEXT: texts.map(str.strip),
        Kind.LONG_TEXT: texts.map(str.strip),
        Kind.NUMBER: numbers,
        Kind.MONEY: amounts,
        Kind.DATE: days,
        Kind.YES_NO: some.booleans(),
        Kind.CHOICE: some.sampled_from(options["choice"]),
        Kind.CHOICES: some.lists(some.sampled_from(options["choices"]), unique=True, max_size=3),
        Kind.PERSON: some.sampled_from(World.people),
    }
    people = some.sampled_from([*(one.pk for one in World.people), "me"])
    keys = some.sampled_from([one.key for one in options["choice"]])
    World.asked = {
        Kind.TEXT: texts,
        Kind.LONG_TEXT: texts,
        Kind.NUMBER: numbers.map(written),
        Kind.MONEY: amounts.map(written),
        Kind.DATE: days.map(date.isoformat),
        Kind.YES_NO: some.booleans(),
        Kind.CHOICE: keys,
        Kind.CHOICES: keys,
        Kind.PERSON: people,
    }
    World.periods = some.sampled_from(["today", "this_month", "next_week", "last_year", "over_7_days_ago"])
    World.leaves = some.one_of([leaf(World, kind) for kind in Kind.values])
    World.trees = some.recursive(
        World.leaves,
        lambda trees: (
            some.fixed_dictionaries({"all": some.lists(trees, min_size=1, max_size=3)})
            | some.fixed_dictionaries({"any": some.lists(trees, min_size=1, max_size=3)})
            | some.fixed_dictionaries({"not": trees})
        ),
        max_leaves=5,
    )
    return World


@some.composite
def leaf(draw, world, kind):
    """A condition on the field of a kind, with any of its operators."""
    key = world.fields[kind].key
    op = draw(some.sampled_from(fields_of(Customer)[key].operators))
    if op in ALONE:
        return {"field": key, "op": op}
    if op in ("within", "not_within"):
        value = draw(world.periods)
    elif op == "between":
        value = [draw(world.asked[kind]), draw(world.asked[kind])]
    elif op in ("in", "not_in"):
        value = draw(some.lists(world.asked[kind], min_size=1, max_size=3))
    else:
        value = draw(world.asked[kind])
    return {"field": key, "op": op, "value": value}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=some.data())
def test_the_database_and_python_agree_on_every_condition(world, data):
    held = some.fixed_dictionaries({kind: some.none() | values for kind, values in world.held.items()})
    with transaction.atomic(), time_machine.travel(TODAY, tick=False):
        for customer in world.customers:
            one = Customer.objects.get(pk=customer.pk)
            one.put({world.fields[kind].key: value for kind, value in data.draw(held).items()})
            Customer.keep_custom([one])
        asked = Conditions(data.draw(world.trees), Customer, world.people[0])
        records = list(Customer.objects.order_by("pk"))
        Customer.read_custom(records)
        found = set(Customer.objects.filter(asked.q()).values_list("pk", flat=True))
        assert found == {one.pk for one in records if asked.holds(one)}
        transaction.set_rollback(True)


def numbered(numbers, subject="customer"):
    """This will make a field with a number, and a customer of one owner for each of `numbers`."""
    added, rep = field(subject, "number", "Machines"), make.user(language="en")
    for number in numbers:
        one = make.customer(rep, name=f"With {number}")
        one.change(by=rep, **{added.key: None if number is None else Decimal(number)})
    return added, rep


def names(client, address):
    return [row["name"] for row in client.get(address).context["listing"].rows]


# ── Lists ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("over=9", ["10", "100"]),
        ("at_least=9", ["10", "100", "9"]),
        ("at_most=9.5", ["-2", "9"]),
        ("empty=yes", ["None"]),
        ("empty=no", ["-2", "10", "100", "9"]),
        ("not=9", ["-2", "10", "100", "None"]),
        ("over=1,000", []),
    ],
)
def test_an_address_asks_by_number_and_what_is_empty_meets_only_is_not(client, query, found):
    added, rep = numbered([9, 10, 100, -2, None])
    client.force_login(rep)
    told = names(client, f"/customers/?{added.key}.{query}")
    assert sorted(one.removeprefix("With ") for one in told) == found


def test_a_chip_says_what_is_asked_in_words(client):
    added, rep = numbered([9])
    client.force_login(rep)
    page = client.get(f"/customers/?{added.key}.over=1200")
    [chip] = page.context["listing"].chips
    assert chip["chip"][:3] == ("Machines", "over", "1,200")


def test_what_cannot_be_is_a_sentence_and_no_error(client):
    added, rep = numbered([9])
    client.force_login(rep)
    for value in ("many", "1e400", "9" * 40, "0.00001", "\x00"):
        page = client.get("/customers/", {f"{added.key}.over": value})
        assert page.status_code == 200
        assert page.context["listing"].errors


def test_a_field_that_was_archived_is_left_out_of_an_address_with_a_sentence(client):
    added, rep = numbered([9, 10])
    tree = f'{{"all":[{{"field":"{added.key}","op":"over","value":"9"}}]}}'
    changes.archive(added, by=administrator())
    client.force_login(rep)
    page = client.get("/customers/", {"where": tree, "sort": f"-{added.key}", "columns": f"name,{added.key}"})
    assert page.status_code == 200
    assert len(page.context["listing"].rows) == 2
    assert sorted(page.context["listing"].errors) == [
        f"There is no column “{added.name}” here.",
        f"This list is not sorted by “{added.name}”.",
        f"“{added.name}” cannot be asked.",
    ]
    assert client.get("/customers/", {f"{added.key}.over": "9"}).context["listing"].errors == [
        f"“{added.name}” cannot be asked."
    ]
    assert client.get("/contacts/", {f"{added.key}.over": "9"}).context["listing"].errors == [
        f"“{added.key}” cannot be asked."
    ]
    with pytest.raises(ConditionError):
        check({"field": added.key, "op": "over", "value": "9"}, Customer)


def test_a_field_of_customers_is_none_of_contacts():
    added = field("customer", "text")
    with pytest.raises(ConditionError):
        check({"field": added.key, "op": "is", "value": "a"}, Contact)


def test_a_list_is_sorted_by_value_and_the_empty_stand_last(client):
    added, rep = numbered([9, None, 100, 10])
    client.force_login(rep)
    assert names(client, f"/customers/?sort={added.key}") == ["With 9", "With 10", "With 100", "With None"]
    assert names(client, f"/customers/?sort=-{added.key}") == ["With 100", "With 10", "With 9", "With None"]
    assert names(client, f"/customers/?sort=-{added.key},name") == ["With 100", "With 10", "With 9", "With None"]


@pytest.mark.parametrize(("kind", "expected"), [("choice", ["North", "South", "East"]), ("yes_no", ["No", "Yes"])])
def test_options_are_sorted_in_the_order_in_which_they_are_offered(client, kind, expected):
    added, rep = field("customer", kind), make.user(language="en")
    for value in [*reversed(added.options.all())] or [True, False]:
        one = make.customer(rep)
        one.change(by=rep, **{added.key: value})
    client.force_login(rep)
    page = client.get(f"/customers/?sort={added.key}&columns=name,{added.key}")
    assert [row[added.key] for row in page.context["listing"].rows] == expected


def test_pages_of_such_an_order_follow_one_another(client):
    added, rep = numbered(list(range(30)) + [None] * 5)
    client.force_login(rep)
    told = [name for page in (1, 2) for name in names(client, f"/customers/?sort={added.key}&size=25&page={page}")]
    assert told[:30] == [f"With {number}" for number in range(30)]
    assert told[30:] == ["With None"] * 5


def test_nobody_finds_by_a_field_what_they_may_not_see(client):
    added, _rep = numbered([9, 10])
    stranger = make.user(at="jinan")
    client.force_login(stranger)
    for query in (f"{added.key}.over=1", f"sort={added.key}", f"columns=name,{added.key}"):
        assert names(client, f"/customers/?{query}") == []


def test_columns_cost_one_query_for_one_row_and_for_thirty(client, django_assert_num_queries):
    fields = one_of_each("customer")
    rep = make.user(language="en")
    shown = ",".join(["name", *(one.key for one in fields.values())])

    def fill(number):
        for _one in range(number):
            customer = make.customer(rep)
            customer.change(by=rep, **{fields["text"].key: "A", fields["person"].key: rep})

    def cost(query):
        client.get(f"/customers/?{query}")  # reads the definitions, once for all pages
        with django_assert_num_queries(counts[query]):
            client.get(f"/customers/?{query}")

    client.force_login(rep)
    fill(1)
    counts = {}
    for query in ("", f"columns={shown}"):
        client.get(f"/customers/?{query}")
        with CaptureQueriesContext(connection) as asked:
            client.get(f"/customers/?{query}")
        counts[query] = len(asked)
    fill(29)
    for query in counts:
        cost(query)
    assert counts[f"columns={shown}"] <= counts[""] + 1


def test_what_goes_out_is_typed_and_has_the_names_of_the_fields(client):
    fields = one_of_each("opportunity")
    rep = make.user(language="en")
    opportunity = make.opportunity(rep)
    several = list(fields["choices"].options.all())[:2]
    opportunity.change(by=rep, **{fields["number"].key: Decimal("7.5"), fields["choices"].key: several})
    client.force_login(rep)
    file = client.get("/opportunities/?export=csv&fields=all")
    text = b"".join(file.streaming_content).decode("utf-8-sig")
    [row] = csv.DictReader(StringIO(text))
    assert (row["Our number"], row["Our person"]) == ("7.5", "")
    assert row["Our several choices"] == "North; South"
    assert row["Our yes or no"] == ""


@pytest.mark.long
def test_filtering_and_sorting_stay_fast_where_there_are_many_rows(client):
    added, manager = field("customer", "number", "Machines"), make.user(None, "opportunity_manager", at="head-office")
    pattern = make.customer()
    count = 20_000
    rows = [
        Customer(name=f"C{number}", name_key=f"c{number:06d}", owner=pattern.owner, created_by=pattern.owner)
        for number in range(count)
    ]
    for one in rows:
        one.place(pattern.department)
    Customer.objects.bulk_create(rows, batch_size=2000)
    pks = list(Customer.objects.exclude(pk=pattern.pk).values_list("pk", flat=True))
    values = [CustomValue(field=added, about_id=pk, number=(pk * 7919 % 100_003) * 10_000) for pk in pks if pk % 10]
    CustomValue.objects.bulk_create(values, batch_size=2000)
    client.force_login(manager)
    custom_fields.by_key()
    plain = took(client, "/customers/")
    for query in (
        f"sort={added.key}",
        f"sort=-{added.key}&page=20",
        f"{added.key}.over=99000",
        f"{added.key}.empty=yes",
    ):
        assert took(client, f"/customers/?{query}") < 0.5 + 4 * plain, query


def took(client, address):
    times = []
    for _twice in range(3):
        began = time.perf_counter()
        assert client.get(address).status_code == 200
        times.append(time.perf_counter() - began)
    return min(times)


def test_opportunities_have_them_in_their_list_too(client):
    added, rep = field("opportunity", "choice", "Tender"), make.user(language="en")
    north, south, _east = added.options.all()
    for option in (north, south, None):
        one = make.opportunity(rep, name=f"Asked {option}")
        one.change(by=rep, **{added.key: option})
    client.force_login(rep)
    assert names(client, f"/opportunities/?{added.key}=north") == ["Asked North"]
    assert sorted(names(client, f"/opportunities/?{added.key}.not=north")) == ["Asked None", "Asked South"]
    assert Opportunity.objects.count() == 3
