"""Added fields come in from a file and go out into one: what went out comes in again unchanged, and can be undone."""

import csv
from datetime import date
from decimal import Decimal
from io import StringIO

import pytest
from django.conf import settings

from crm import custom_changes as changes
from crm.custom_values import CustomValue
from crm.importing import MOST_COLUMNS
from crm.jobs import run_waiting
from crm.matching import ASKED
from crm.verification import differences
from customers.models import Contact, Customer
from notices.history import Event
from opportunities.models import Opportunity
from tests import factories as make
from tests.crm.fields import administrator, field, one_of_each
from tests.importing import begin, checked, counts, filled, imported, refusals, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def rep():
    return make.user(language="en")


def in_rows(rows):
    file = StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


def test_each_kind_is_read_as_the_form_reads_it(rep):
    fields = one_of_each("customer")
    person = make.user(name="Zhou Lan")
    heads = ["Customer name", *(one.name for one in fields.values())]
    rows = [
        heads,
        ["One", "A-7", "a\nb", "1,234.5", "45万", "2026年12月1日", "是", "east", "North; South", "Zhou Lan"],
        ["Two", "", "", "", "", "", "", "", "", ""],
    ]
    run = imported(signed_in(rep), "customers", in_rows(rows))
    assert counts(run) == (2, 0, 0, 0, 0)
    one, two = (Customer.objects.get(name=name) for name in ("One", "Two"))
    told = {kind: getattr(one, added.key) for kind, added in fields.items()}
    assert (told["number"], told["money"], told["date"]) == (Decimal("1234.5"), Decimal(450000), date(2026, 12, 1))
    assert (told["yes_no"], told["choice"].key, str(told["choices"])) == (True, "east", "North, South")
    assert (told["text"], told["long_text"], told["person"]) == ("A-7", "a\nb", person)
    assert {getattr(two, added.key) for added in fields.values()} == {None}


def test_a_column_is_known_by_the_name_of_its_field_in_any_language_or_by_its_key(rep):
    names = {"en": "Region code", "zh-hans": "区域代码"}
    added = field("customer", "text", "Region code")
    changes.change(added, by=administrator(), seen=0, names=names)
    for heading in ("Region code", "区域代码", "REGION CODE (2026)", added.key):
        run = begin(signed_in(rep), "customers", in_rows([["Customer name", heading], ["One", "N"]]))
        assert run.resource(rep).guess(run.names)[added.key] == {"column": 1}


def test_what_the_form_would_refuse_is_refused_with_the_cell(rep):
    number, choice = field("customer", "number", "Machines"), field("customer", "choice", "Region")
    needed = field("customer", "yes_no", "Visited", required="always")
    rows = [
        ["Customer name", "Machines", "Region", "Visited"],
        ["One", "many", "West", ""],
        ["Two", "7", "north", "no"],
    ]
    run = imported(signed_in(rep), "customers", in_rows(rows))
    assert counts(run) == (1, 0, 0, 0, 1)
    assert {(column, value) for _row, column, value, _reason in refusals(run)} == {
        ("Machines", "many"),
        ("Region", "West"),
        ("Visited", ""),
    }
    two = Customer.objects.get(name="Two")
    assert (getattr(two, number.key), getattr(two, choice.key).key, getattr(two, needed.key)) == (7, "north", False)


@pytest.mark.parametrize(
    ("mode", "becomes"), [("skip", ("North", None)), ("fill", ("North", 9)), ("overwrite", ("South", 9))]
)
def test_what_is_there_already_is_left_filled_or_overwritten(rep, mode, becomes):
    region, number = field("customer", "text", "Region"), field("customer", "number", "Machines")
    customer = make.customer(rep, name="Qinghe")
    customer.change(by=rep, **{region.key: "North"})
    rows = [["Customer name", "Region", "Machines"], ["Qinghe", "South", "9"]]
    bring_in = checked if mode == "skip" else imported  # of which nothing comes in
    bring_in(signed_in(rep), "customers", in_rows(rows), mode=mode)
    customer = Customer.objects.get(pk=customer.pk)
    assert (getattr(customer, region.key), getattr(customer, number.key)) == becomes


def test_undone_an_import_leaves_what_was_there_before(rep):
    fields = one_of_each("customer")
    customer = make.customer(rep, name="Qinghe")
    several = list(fields["choices"].options.all())
    before = {
        fields["number"].key: Decimal(7), fields["choices"].key: several[:2], fields["date"].key: date(2026, 1, 2),
        fields["choice"].key: fields["choice"].options.first(), fields["yes_no"].key: False,
        fields["person"].key: rep,
    }  # fmt: skip
    customer.change(by=rep, **before)
    other = make.user(name="Zhou Lan")
    heads = [fields[kind].name for kind in ("number", "choices", "date", "choice", "yes_no", "person", "text")]
    rows = [
        ["Customer name", *heads],
        ["Qinghe", "8", "East", "2026-02-03", "East", "yes", other.username, "A"],
        ["New one", "8", "East", "2026-02-03", "East", "yes", other.username, "B"],
    ]
    client = signed_in(rep)
    run = imported(client, "customers", in_rows(rows), mode="overwrite")
    assert counts(run) == (1, 1, 0, 0, 0)
    assert client.post(f"/imports/{run.pk}/undo/").status_code == 302
    run_waiting()
    again = Customer.objects.get(name="Qinghe")
    assert {key: getattr(again, key) for key in before} == before
    assert getattr(again, fields["text"].key) is None
    assert not Customer.objects.filter(name="New one").exists()
    assert list(differences()) == []


def test_what_no_two_may_share_is_told_by_the_check_within_the_file_and_beside_what_is_there(rep):
    number = field("customer", "text", "File number", unique=True)
    there = make.customer(rep, name="There")
    there.change(by=rep, **{number.key: "A"})
    rows = [
        ["Customer name", "File number"],
        ["There", "A"],  # its own
        ["One", "a"],
        ["Two", "B"],
        ["Three", " b"],
    ]
    run = imported(signed_in(rep), "customers", in_rows(rows), mode="overwrite")
    assert counts(run) == (1, 0, 1, 0, 2)
    assert [row for row, *_rest in refusals(run)] == [3, 5]
    assert not any("There" in reason for *_rest, reason in refusals(run))
    assert sorted(CustomValue.objects.values_list("unique_key", flat=True)) == ["a", "b"]


def test_what_went_out_comes_in_again_unchanged(rep):
    fields = one_of_each("opportunity")
    several = list(fields["choices"].options.all())[:2]
    opportunity = make.opportunity(rep, name="Cloud")
    opportunity.change(
        by=rep,
        **{
            fields["text"].key: "=A7", fields["long_text"].key: "One\nTwo", fields["number"].key: Decimal("0.125"),
            fields["money"].key: Decimal("450000.25"), fields["date"].key: date(2026, 12, 1),
            fields["yes_no"].key: False, fields["choice"].key: several[1], fields["choices"].key: several,
            fields["person"].key: rep,
        },
    )  # fmt: skip
    client = signed_in(rep)
    file = client.get("/opportunities/?export=csv&fields=all")
    content = b"".join(file.streaming_content)
    events = Event.objects.count()
    run = checked(client, "opportunities", content, mode="overwrite")
    assert counts(run) == (0, 0, 1, 0, 0)
    assert Event.objects.count() == events
    assert {added.key for added in fields.values()} <= run.matching.keys()


def test_contacts_and_drafts_take_them_too(rep):
    hobby, budget = field("contact", "text", "Hobby"), field("opportunity", "money", "Budget", required="always")
    make.customer(rep, name="Qinghe")
    client = signed_in(rep)
    imported(client, "contacts", "Name,Customer,Hobby\nDing Yan,Qinghe,Chess\n")
    assert getattr(Contact.objects.get(), hobby.key) == "Chess"
    rows = "Opportunity name,Customer,Budget\nWith,Qinghe,45万\nWithout,Qinghe,\n"
    imported(client, "opportunities", rows)
    told = {one.name: getattr(one, budget.key) for one in Opportunity.objects.all()}
    assert told == {"With": Decimal(450000), "Without": None}  # a draft needs only a name


def test_an_archived_field_is_no_column(rep):
    added = field("customer", "text", "Region")
    changes.archive(added, by=administrator())
    run = checked(signed_in(rep), "customers", "Customer name,Region\nOne,N\n")
    assert added.key not in run.matching


def test_the_largest_page_on_which_columns_are_matched_can_be_sent(rep):
    """Each column goes to a field that chooses, and none of its texts is known here."""
    fields = [field("customer", "choice", f"Field {number}") for number in range(30)]
    heads = ["Customer name", *(one.name for one in fields)]
    rows = [[f"Customer {line}", *(f"{line} of {one.name}" for one in fields)] for line in range(ASKED)]
    client = signed_in(rep)
    run = begin(client, "customers", in_rows([heads, *rows]))
    where = f"/imports/{run.pk}/match/"
    form = client.get(where).context["form"]
    sent = filled(form)
    assert len([name for name in sent if name.startswith("known_")]) == 30 * ASKED
    assert client.post(where, sent | {"act": "check"}).status_code == 302

    own = len(form.targets) - len(fields)
    most = 3 * MOST_COLUMNS + (own + changes.MOST) * (3 + 2 * ASKED)  # a picker sends a text and a key
    assert len(sent) < most < settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
