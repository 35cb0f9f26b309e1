"""
Administrators add fields to records: what each holds is typed, kept with its history, and read in one query; a field
is archived, restored, and erased by a second act.
"""

from copy import copy
from datetime import date
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from crm import custom_changes as changes
from crm import custom_fields, shown
from crm.custom_fields import CustomChoice, CustomField, CustomSection, Kind
from crm.custom_values import CustomValue
from crm.models import Audit
from crm.verbs import NotAllowed, Refused, Stale
from crm.verification import differences
from customers.models import Contact, Customer
from notices import wording
from notices.history import Event
from notices.recycle import Recycled
from opportunities.models import Incomplete, Opportunity, Stage
from tests import factories as make
from tests.crm.fields import administrator, field, one_of_each
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db


def held(record, added):
    """This will give what the database holds of a field of a record."""
    return getattr(type(record).objects.get(pk=record.pk), added.key)


def values_of(fields):
    """This will give a value of each kind, {key: value}."""
    _north, _south, east = fields["choice"].options.order_by("order")
    several = list(fields["choices"].options.order_by("order"))
    return {
        fields["text"].key: "A-7",
        fields["long_text"].key: "One\nTwo",
        fields["number"].key: Decimal("10.5"),
        fields["money"].key: Decimal("450000.25"),
        fields["date"].key: date(2026, 12, 1),
        fields["yes_no"].key: False,
        fields["choice"].key: east,
        fields["choices"].key: [several[2], several[0]],
        fields["person"].key: make.user(name="Zhou Lan"),
    }


# ── What a record holds ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("made", [make.customer, make.contact, make.opportunity])
def test_a_record_holds_a_value_of_each_kind_and_gives_it_back(made):
    record = made()
    fields = one_of_each(record.guard)
    values = values_of(fields)

    record.change(by=record.owner, **values)

    again = type(record).objects.get(pk=record.pk)
    told = {key: getattr(again, key) for key in values}
    several = told.pop(fields["choices"].key)
    values.pop(fields["choices"].key)
    assert told == values
    assert [str(one) for one in several] == ["North", "East"]  # in the order of the options
    assert list(differences()) == []


def test_empty_is_neither_zero_nor_no():
    fields = one_of_each("customer")
    customer = make.customer()
    assert {getattr(customer, added.key) for added in fields.values()} == {None}
    customer.change(by=customer.owner, **{fields["number"].key: Decimal(0), fields["yes_no"].key: False})
    assert (held(customer, fields["number"]), held(customer, fields["yes_no"])) == (Decimal(0), False)
    customer.change(by=customer.owner, **{fields["number"].key: None, fields["yes_no"].key: None})
    assert (held(customer, fields["number"]), held(customer, fields["yes_no"])) == (None, None)
    assert not CustomValue.objects.exists()


def test_what_a_record_is_entered_with_comes_in_with_it():
    added = field("customer", "number")
    rep, customers = make.user(), [Customer(name=f"Customer of {number}") for number in range(3)]
    for number, one in enumerate(customers):
        one.put({added.key: Decimal(number)})
    Customer.create_all(customers, by=rep)
    assert [held(one, added) for one in customers] == [0, 1, 2]


def test_entering_many_costs_no_more_queries_than_entering_one():
    added, rep = field("customer", "number"), make.user()
    custom_fields.by_key()
    counts = []
    for count in (1, 30):
        customers = [Customer(name=f"Customer {number}") for number in range(count)]
        for number, one in enumerate(customers):
            one.put({added.key: Decimal(number)})
        with CaptureQueriesContext(connection) as asked:
            Customer.create_all(customers, by=rep)
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_a_change_stands_in_the_history_in_words():
    region = field("customer", "number", "Region code")
    kinds = field("customer", "choices", "Kinds of use")
    customer = make.customer()
    customer.change(by=customer.owner, **{region.key: Decimal(7)})
    version = customer.version
    customer.change(by=customer.owner, **{region.key: Decimal(12), kinds.key: list(kinds.options.all()[:2])})

    event = Event.objects.about(customer).first()
    assert [tuple(change) for change in wording.changes(event)] == [
        ("Kinds of use", "", "North, South"),
        ("Region code", "7", "12"),
    ]
    assert wording.sentence(event, customer.owner) == "You changed Kinds of use, Region code."
    assert customer.version == version + 1


def test_what_is_as_it_was_is_no_change():
    region = field("customer", "number")
    customer = make.customer()
    customer.change(by=customer.owner, **{region.key: Decimal(7)})
    events, version = Event.objects.count(), customer.version
    customer.change(by=customer.owner, seen=version, **{region.key: Decimal("7.00"), "name": customer.name})
    assert (Event.objects.count(), held(customer, region)) == (events, 7)
    assert Customer.objects.get(pk=customer.pk).version == version


def test_whoever_may_not_change_a_record_gives_it_no_value_either():
    region = field("customer", "text")
    customer, stranger = make.customer(), make.user(at="jinan")
    colleague = make.user()
    for person in (stranger, colleague):
        with nothing_changed(), pytest.raises(NotAllowed):
            customer.change(by=person, **{region.key: "North"})


def test_a_value_changed_meanwhile_is_not_written_over():
    region = field("customer", "text")
    customer = make.customer()
    before = customer.version
    customer.change(by=customer.owner, **{region.key: "North"})
    with nothing_changed(), pytest.raises(Stale):
        customer.change(by=customer.owner, seen=before, **{region.key: "South"})


def test_the_form_of_a_page_does_not_write_on_the_record_that_the_page_shows():
    region = field("customer", "text")
    customer = make.customer()
    customer.change(by=customer.owner, **{region.key: "North"})
    other = copy(customer)
    other.put({region.key: "South"})
    assert (getattr(customer, region.key), getattr(other, region.key)) == ("North", "South")


def test_many_records_are_read_in_one_query(django_assert_num_queries):
    fields = one_of_each("customer")
    customers = [make.customer() for _number in range(30)]
    for one in customers:
        one.change(by=one.owner, **values_of(fields))
    records = list(Customer.objects.all())
    custom_fields.by_key()
    with django_assert_num_queries(1):
        Customer.read_custom(records)
        assert len({getattr(one, fields["text"].key) for one in records}) == 1


def test_without_any_field_nothing_is_asked_of_the_database(django_assert_num_queries):
    customer = make.customer()
    with django_assert_num_queries(0):
        Customer.read_custom([customer])
        assert customer.custom_missing() == customer.custom_sections == []
        assert Customer.custom_conditions() == {}


def test_a_record_knows_no_field_of_another_kind_of_record():
    region = field("contact", "text")
    customer = make.customer()
    with pytest.raises(AttributeError):
        getattr(customer, region.key)
    with pytest.raises(AttributeError):
        customer.c_never_was_1  # noqa: B018  asked for, and not there


# ── Unique ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_two_records_share_what_is_unique_however_it_is_written():
    number = field("customer", "text", "File number", unique=True)
    first, second = make.customer(), make.customer()
    first.change(by=first.owner, **{number.key: "A 12"})
    with nothing_changed(), pytest.raises(Refused) as refused:
        second.change(by=second.owner, **{number.key: " a  12 "})
    assert refused.value.field == number.key
    assert first.name not in str(refused.value.message)
    first.change(by=first.owner, **{number.key: "A 13"})
    second.change(by=second.owner, **{number.key: "a 12"})
    assert held(second, number) == "a 12"


def test_the_database_itself_refuses_a_second_one():
    number = field("customer", "number", unique=True)
    first = make.customer()
    first.change(by=first.owner, **{number.key: Decimal(7)})
    row = {"field": number, "about_id": 10**6, "number": 70000, "unique_key": "7"}
    with pytest.raises(IntegrityError), transaction.atomic():
        CustomValue.objects.create(**row)


def test_of_two_entered_at_once_with_the_same_none_comes_in():
    number = field("customer", "text", unique=True)
    rep, customers = make.user(), [Customer(name="One"), Customer(name="Two")]
    for one in customers:
        one.put({number.key: "A"})
    with nothing_changed(), pytest.raises(Refused):
        Customer.create_all(customers, by=rep)


def test_a_field_becomes_unique_only_where_no_two_share_a_value():
    added = field("customer", "text", "File number")
    customers = [make.customer() for _number in range(2)]
    for one in customers:
        one.change(by=one.owner, **{added.key: "A"})
    with nothing_changed(), pytest.raises(Refused) as refused:
        changes.change(added, by=administrator(), seen=added.version, unique=True)
    assert "“a”" in str(refused.value.message)
    customers[0].change(by=customers[0].owner, **{added.key: "B"})
    changes.change(added, by=administrator(), seen=added.version, unique=True)
    with pytest.raises(Refused):
        customers[0].change(by=customers[0].owner, **{added.key: "A"})
    assert list(differences()) == []


# ── Needed ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_opportunity_is_not_submitted_without_what_it_always_needs():
    budget = field("opportunity", "money", "Budget", required="always")
    draft = make.opportunity()
    deputy = make.approver(draft)
    with nothing_changed(), pytest.raises(Incomplete) as incomplete:
        draft.report(by=draft.owner, approver=deputy)
    assert incomplete.value.fields == [budget.key]
    assert "Budget" in str(incomplete.value.message)
    draft.change(by=draft.owner, **{budget.key: Decimal(0)})  # which is something said
    draft.report(by=draft.owner, approver=deputy)
    assert draft.state == "reporting"


def test_from_a_stage_on_it_is_asked_for_where_that_stage_is_reached():
    first, later, last = Stage.objects.filter(kind="open").order_by("order")[:3]
    cause = field("opportunity", "text", required="stage", stage=later.key)
    opportunity = make.opportunity(state="active", stage=first)
    for stage in (later, last):
        with nothing_changed(), pytest.raises(Incomplete):
            opportunity.move(stage=stage, by=opportunity.owner)
        with nothing_changed(), pytest.raises(Incomplete):
            opportunity.change(stage=stage, by=opportunity.owner)
    opportunity.change(by=opportunity.owner, **{cause.key: "They asked for it"})
    opportunity.move(stage=last, by=opportunity.owner)
    with nothing_changed(), pytest.raises(Refused) as refused:
        opportunity.change(by=opportunity.owner, **{cause.key: None})
    assert refused.value.field == cause.key


def test_an_opportunity_that_lacks_a_field_added_later_can_still_be_changed():
    opportunity = make.opportunity(state="active")
    field("opportunity", "text", required="always")
    opportunity.change(by=opportunity.owner, name="Another name")
    assert opportunity.name == "Another name"


def test_a_copy_takes_along_what_is_not_unique():
    region, number = field("opportunity", "text", "Region"), field("opportunity", "text", "File number", unique=True)
    opportunity = make.opportunity()
    opportunity.change(by=opportunity.owner, **{region.key: "North", number.key: "A"})
    copy = Opportunity.objects.get(pk=opportunity.pk).copy(by=opportunity.owner)
    assert (held(copy, region), held(copy, number)) == ("North", None)


# ── Deleted records ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_deleted_record_held_goes_and_comes_back_with_it():
    region, hobby = field("customer", "text"), field("contact", "text")
    customer = make.customer()
    contact = make.contact(customer)
    customer.change(by=customer.owner, **{region.key: "North"})
    contact.change(by=customer.owner, **{hobby.key: "Chess"})
    Customer.objects.get(pk=customer.pk).delete_(by=customer.owner)
    assert not CustomValue.objects.exists()
    Recycled.objects.get().restore(by=administrator())
    assert (held(customer, region), held(contact, hobby)) == ("North", "Chess")
    Contact.objects.get(pk=contact.pk).delete_(by=customer.owner)
    assert [row.field for row in CustomValue.objects.all()] == [region]
    assert list(differences()) == []


def test_a_record_comes_back_without_what_was_erased_meanwhile():
    region = field("customer", "text")
    customer = make.customer()
    customer.change(by=customer.owner, **{region.key: "North"})
    Customer.objects.get(pk=customer.pk).delete_(by=customer.owner)
    changes.archive(region, by=administrator())
    changes.erase(region, by=administrator())
    Recycled.objects.get().restore(by=administrator())
    assert Customer.objects.filter(pk=customer.pk).exists()
    assert not CustomValue.objects.exists()


def test_a_record_whose_unique_value_another_took_meanwhile_does_not_come_back_and_the_field_is_named():
    number = field("customer", "text", "File number", unique=True)
    first, second = make.customer(), make.customer()
    first.change(by=first.owner, **{number.key: "A 1"})
    Customer.objects.get(pk=first.pk).delete_(by=first.owner)
    second.change(by=second.owner, **{number.key: "a 1"})
    with nothing_changed(), pytest.raises(Refused, match="File number: another record has this already"):
        Recycled.objects.get().restore(by=administrator())


# ── The verbs of administrators ──────────────────────────────────────────────────────────────────────────────────────


def test_nobody_but_an_administrator_adds_changes_or_erases_a_field():
    added = field("customer", "choice")
    section = CustomSection(subject="customer", names={"en": "Site"})
    changes.create_section(section, by=administrator())
    option = added.options.first()
    verbs = [
        lambda by: changes.create(CustomField(subject="customer", kind="text", names={"en": "A"}), by=by),
        lambda by: changes.change(added, by=by, seen=added.version, names={"en": "Other"}),
        lambda by: changes.archive(added, by=by),
        lambda by: changes.restore(added, by=by),
        lambda by: changes.erase(added, by=by),
        lambda by: changes.arrange("customer", changes.layout_of("customer"), by=by, seen=[]),
        lambda by: changes.create_section(CustomSection(subject="customer", names={"en": "A"}), by=by),
        lambda by: changes.change_section(section, by=by, seen=0, names={"en": "Other"}),
        lambda by: changes.remove_section(section, by=by),
        lambda by: changes.create_option(CustomChoice(field=added, names={"en": "West"}), by=by),
        lambda by: changes.change_option(option, by=by, seen=0, names={"en": "West"}),
        lambda by: changes.delete_option(option, by=by),
        lambda by: changes.arrange_options(added, [], by=by, seen=[]),
    ]
    for person in (make.user(), make.user(None, "opportunity_manager", at="head-office")):
        for verb in verbs:
            with nothing_changed(), pytest.raises(NotAllowed):
                verb(person)


def test_a_key_is_made_of_the_english_name_and_never_used_again():
    admin = administrator()
    first = field("customer", "text", "Region code")
    changes.archive(first, by=admin)
    changes.erase(first, by=admin)
    second = field("customer", "text", "Region code")
    assert first.key.startswith("c_region_code_")
    assert second.key.startswith("c_region_code_")
    assert first.key != second.key
    chinese = CustomField(subject="customer", kind="text", names={"zh-hans": "区域"})
    changes.create(chinese, by=admin)
    assert chinese.key.startswith("c_field_")


def test_another_name_changes_nothing_that_records_hold():
    added = field("customer", "choice", "Region")
    customer, north = make.customer(), added.options.first()
    customer.change(by=customer.owner, **{added.key: north})
    changes.change(added, by=administrator(), seen=0, names={"en": "Area", "zh-hans": "区域"})
    changes.change_option(north, by=administrator(), seen=0, names={"en": "The north"})
    assert str(held(customer, added)) == "The north"
    assert Customer.label_of(added.key) == "Area"
    noted = Audit.objects.filter(kind="custom_field_changed").order_by("-pk").first()
    assert (noted.data["before"]["names"], noted.data["after"]["names"]) == (
        {"en": "Region"},
        {"en": "Area", "zh-hans": "区域"},
    )


@pytest.mark.parametrize(
    ("kind", "other", "value"),
    [
        ("text", "long_text", "A"),
        ("number", "money", Decimal("12.5")),
        ("money", "number", Decimal("12.5")),
        ("choice", "choices", None),
    ],
)
def test_a_field_changes_its_kind_where_nothing_is_lost(kind, other, value):
    added = field("customer", kind)
    customer = make.customer()
    customer.change(by=customer.owner, **{added.key: value or added.options.first()})
    changes.change(added, by=administrator(), seen=0, kind=other)
    now = held(customer, added)
    assert now == value if value else [str(one) for one in now] == ["North"]
    assert list(differences()) == []


def test_and_not_where_something_would_be():
    added, number = field("customer", "text"), field("customer", "number")
    customer = make.customer()
    customer.change(by=customer.owner, **{number.key: Decimal("-3.125")})
    for one, kind in ((added, "number"), (added, "choice"), (number, "text"), (number, "money")):
        with nothing_changed(), pytest.raises(Refused) as refused:
            changes.change(one, by=administrator(), seen=0, kind=kind)
        assert refused.value.field == "kind"


def test_archived_it_is_nowhere_and_restored_it_is_all_back():
    added = field("customer", "text", "Region")
    customer = make.customer()
    customer.change(by=customer.owner, **{added.key: "North"})
    admin = administrator()
    with nothing_changed(), pytest.raises(Refused):
        changes.erase(added, by=admin)
    changes.archive(added, by=admin)
    with nothing_changed(), pytest.raises(Refused):
        changes.archive(added, by=admin)
    hidden = Customer.objects.get(pk=customer.pk)
    assert (Customer.custom_fields(), Customer.custom_conditions(), hidden.custom_sections) == ([], {}, [])
    hidden.change(by=customer.owner, name="Other", **{added.key: "South"})  # a page that was open meanwhile
    event = Event.objects.about(customer)[1]
    assert [change.label for change in wording.changes(event)] == ["Region"]
    changes.restore(added, by=admin)
    with nothing_changed(), pytest.raises(Refused):
        changes.restore(added, by=admin)
    assert held(customer, added) == "North"


def test_erased_it_is_gone_for_good_and_the_audit_says_what_it_was():
    added = field("customer", "choices", "Regions")
    customer = make.customer()
    customer.change(by=customer.owner, **{added.key: list(added.options.all())})
    admin = administrator()
    changes.archive(added, by=admin)
    assert changes.erase(added, by=admin) == 1
    assert not CustomValue.objects.exists()
    assert not CustomField.objects.exists()
    assert not CustomChoice.objects.exists()
    data = Audit.objects.get(kind="custom_field_erased").data
    assert (data["key"], data["records"], data["before"]["names"]) == (added.key, 1, {"en": "Regions"})
    [change] = wording.changes(Event.objects.about(customer).first())
    assert change.label == "A field that was erased"


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"names": {}}, "names"),
        ({"kind": "colour"}, "kind"),
        ({"kind": "choice"}, "options"),
        ({"required": "stage"}, "stage"),
        ({"required": "stage", "stage": "nowhere"}, "stage"),
        ({"subject": "garden"}, None),
        ({"names": {"en": "Amount"}}, "name_en"),
        ({"names": {"en": "Budget of ours", "zh-hans": "客户"}}, "name_zh-hans"),
        ({"names": {"en": "there already"}}, "name_en"),
    ],
)
def test_a_field_that_cannot_be_is_refused(values, wrong):
    added = CustomField(**{"subject": "opportunity", "kind": "text", "names": {"en": "A"}} | values)
    admin = administrator()
    field("opportunity", "text", "There already")
    with nothing_changed(), pytest.raises(Refused) as refused:
        changes.create(added, by=admin)
    assert refused.value.field == wrong


def test_an_option_in_use_is_retired_and_never_deleted():
    added = field("customer", "choice")
    north, south, _east = added.options.all()
    customer = make.customer()
    customer.change(by=customer.owner, **{added.key: north})
    admin = administrator()
    with nothing_changed(), pytest.raises(Refused):
        changes.delete_option(north, by=admin)
    changes.change_option(north, by=admin, seen=0, active=False)
    assert held(customer, added) == north
    changes.delete_option(south, by=admin)
    assert [one.key for one in added.options.all()] == ["north", "east"]


def test_sections_and_fields_stand_as_they_were_arranged():
    first, second, third = (field("customer", "text", name) for name in ("One", "Two", "Three"))
    admin = administrator()
    section = CustomSection(subject="customer", names={"en": "Site"})
    changes.create_section(section, by=admin)
    seen = changes.layout_of("customer")
    assert seen == [(section.pk, []), (None, [first.pk, second.pk, third.pk])]
    wanted = [(section.pk, [third.pk, first.pk]), (None, [second.pk])]
    changes.arrange("customer", wanted, by=admin, seen=seen)
    assert [one.name for one in Customer.custom_fields()] == ["Three", "One", "Two"]
    with nothing_changed(), pytest.raises(Refused):
        changes.arrange("customer", seen, by=admin, seen=seen)  # somebody did otherwise meanwhile
    with nothing_changed(), pytest.raises(Refused):
        changes.arrange("customer", wanted[:1], by=admin, seen=wanted)
    customer = make.customer()
    customer.change(by=customer.owner, **{second.key: "b", third.key: "c"})
    told = [(heading, [text for _field, text in facts]) for heading, facts in customer.custom_sections]
    assert told == [("Site", ["c"]), ("More details", ["b"])]
    changes.remove_section(section, by=admin)
    assert [one.section_id for one in Customer.custom_fields()] == [None] * 3


def test_cards_say_what_is_marked_to_be_on_them(django_assert_num_queries):
    region = field("opportunity", "choice", "Region", on_card=True)
    field("opportunity", "text", "Remark")
    opportunities = [make.opportunity() for _number in range(2)]
    opportunities[0].change(by=opportunities[0].owner, **{region.key: region.options.first()})
    custom_fields.by_key()
    with django_assert_num_queries(1):
        assert Opportunity.on_cards([one.pk for one in opportunities]) == {opportunities[0].pk: [("Region", "North")]}


def test_what_must_hold_is_verified():
    fields = one_of_each("customer")
    customer = make.customer()
    customer.change(by=customer.owner, **values_of(fields))
    assert list(differences()) == []
    rows = CustomValue.objects.all()
    rows.filter(field=fields["number"]).update(about_id=10**9)
    rows.filter(field=fields["text"]).update(text=None, number=7)
    rows.filter(field=fields["choice"]).update(choice=fields["choices"].options.first())
    rows.filter(field=fields["date"]).update(unique_key="x")
    rows.filter(field=fields["money"]).update(position=1)
    assert len(list(differences())) == 5


def test_each_kind_has_its_words():
    assert len(Kind.values) == 9
    fields = one_of_each("customer")
    customer = make.customer()
    customer.change(by=customer.owner, **values_of(fields))
    [(heading, facts)] = customer.custom_sections
    assert heading == "More details"
    assert [text for _field, text in facts] == [
        "A-7", "One\nTwo", "10.5", "¥450,000.25", shown.day(date(2026, 12, 1)), "No", "East", "North, East", "Zhou Lan",
    ]  # fmt: skip
