"""Opportunities come in from files: new ones as drafts, past ones as they stand; and what is there already stays."""

from datetime import date
from decimal import Decimal
from io import BytesIO, StringIO

import openpyxl
import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import Count, Sum
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from approvals.models import Approval
from crm.models import User
from crm.resources import kinds
from customers.models import Customer
from notices.history import Event
from notices.models import Delivery, Message
from opportunities.forms import OpportunityForm
from opportunities.models import Opportunity, Signing
from tests import factories as make
from tests.asserting import unchanged
from tests.customers.test_import import SECTORS
from tests.importing import SHARED, checked, counts, imported, needs_shared, refusals, signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def rep():
    return make.user("chen", name="Chen Yu")


@pytest.fixture
def manager():
    return make.user("fang", "opportunity_manager", at="head-office")


def test_a_name_that_somebody_broke_into_lines_comes_in_on_one(rep):
    imported(signed_in(rep), "opportunities", b'name\n"Harbour\ncranes"\n')
    assert Opportunity.objects.get().name == "Harbour cranes"


def test_each_row_becomes_a_draft_of_whoever_imports_it(rep):
    customer = make.customer(rep, name="石家庄市第一医院")
    content = "商机名称,客户,业务类型,金额,预计签约日期,备注2\n".encode("gb18030")
    content += "专线项目,石家庄市第一医院,专线,12.8万,2026年12月1日,x\n".encode("gb18030")
    content += '云平台扩容,,云,"1,560,000.50",2026/12/15,\n'.encode("gb18030")

    run = imported(signed_in(rep), "opportunities", content)

    assert (run.encoding, run.new) == ("gb18030", 2)
    first, second = Opportunity.objects.order_by("id")
    assert (first.name, first.customer, first.business_type.key, first.state) == (
        "专线项目",
        customer,
        "leased-line",
        "draft",
    )
    assert (first.amount, first.expected_close_on, first.owner) == (Decimal("128000"), date(2026, 12, 1), rep)
    assert (second.amount, second.customer, second.stage.key) == (Decimal("1560000.50"), None, "first-contact")
    assert [event.kind for event in Event.objects.about(first)] == ["created"]
    assert not Approval.objects.exists()
    call_command("verify", stdout=StringIO())


def test_a_workbook_gives_the_same(rep):
    book = openpyxl.Workbook()
    for row in (
        ["Opportunity name", "Amount", "Expected close date", "Probability"],
        ["A", 1560000.5, date(2026, 12, 15), 40],
        ["B", 7, None, None],
    ):
        book.active.append(row)
    file = BytesIO()
    book.save(file)

    imported(signed_in(rep), "opportunities", file.getvalue(), name="file.xlsx")

    rows = Opportunity.objects.order_by("id").values_list("name", "amount", "expected_close_on", "probability")
    assert list(rows) == [("A", Decimal("1560000.50"), date(2026, 12, 15), 40), ("B", Decimal("7"), None, 20)]


def test_a_customer_that_one_does_not_see_is_an_unknown_customer(rep):
    make.customer(make.user(at="jinan"), name="Secret")
    make.customer(rep, name="Twice")
    make.customer(rep, name="Twice")
    make.customer(rep, name="Mine")

    run = imported(signed_in(rep), "opportunities", "name,customer\nA,Secret\nB,Never was\nC,Twice\nD, Mine \n")

    unknown = "No customer of that name that you may choose. Correct the name, or have it entered."
    assert refusals(run) == [
        (2, "customer", "Secret", unknown),
        (3, "customer", "Never was", unknown),
        (4, "customer", "Twice", "Several are called “Twice”."),
    ]
    assert Opportunity.objects.get().customer.name == "Mine"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("50", 50), ("50%", 50), ("50 ％", 50), ("50.0", 50), ("50.00%", 50), ("0.5", 50), (".5", 50), ("0.35", 35),
        ("0.350", 35), ("0.07", 7), ("1", 1), ("1%", 1), ("1.0%", 1), ("99", 99),
    ],
)  # fmt: skip
def test_a_probability_is_read_as_forms_and_as_sheets_have_it(rep, written, read):
    imported(signed_in(rep), "opportunities", f"name;Win %\nA;{written}\n")
    assert Opportunity.objects.get().probability == read


@pytest.mark.parametrize("written", ["0.355", "0.5%", "1.0", "1.5", "0.0", "0", "100", "-0.5", "0,5", "half"])
def test_what_is_no_whole_probability_of_1_to_99_is_refused(rep, written):
    run = checked(signed_in(rep), "opportunities", f"name;Win %\nA;{written}\n")
    assert refusals(run) == [(2, "Win %", written, "Write a whole number from 1 to 99.")]


def test_a_workbook_holds_half_as_half_and_shows_it_in_percent(rep):
    book = openpyxl.Workbook()
    for row in (["Name", "Prob."], ["A", 0.5], ["B", 0.35], ["C", 40]):
        book.active.append(row)
    for place in ("B2", "B3"):
        book.active[place].number_format = "0%"
    file = BytesIO()
    book.save(file)

    imported(signed_in(rep), "opportunities", file.getvalue(), name="file.xlsx")

    rows = Opportunity.objects.order_by("id").values_list("name", "probability")
    assert list(rows) == [("A", 50), ("B", 35), ("C", 40)]


@pytest.mark.parametrize("written", ["(1,234.00)", "-1234", "−1,234"])
def test_an_amount_below_nothing_is_refused_however_it_is_written(rep, written):
    run = checked(signed_in(rep), "opportunities", f"name;Amount\nA;{written}\n")
    assert [cell[:3] for cell in refusals(run)] == [(2, "Amount", written)]


def test_nobody_is_put_in_charge_who_may_not_be(rep):
    make.user("liu", name="Liu Min")

    run = imported(signed_in(rep), "opportunities", "name,person in charge\nA,Liu Min\nB,Chen Yu\nC,\n")

    assert [cell[:3] for cell in refusals(run)] == [(2, "person in charge", "Liu Min")]
    assert set(Opportunity.objects.values_list("owner", flat=True)) == {rep.pk}


def test_many_in_the_charge_of_one_are_one_message_to_them(manager, rep):
    content = "name,owner\n" + "".join(f"Opportunity {number},chen\n" for number in range(30))

    imported(signed_in(manager), "opportunities", content)

    assert [(message.kind, message.data["count"]) for message in Message.objects.for_reader(rep)] == [("charged", "30")]
    assert Delivery.objects.filter(to=rep).count() == 1


def test_what_is_there_already_is_told_by_its_reference_else_by_name_and_customer(rep):
    client = signed_in(rep)
    make.customer(rep, name="One")
    make.customer(rep, name="Two")
    imported(client, "opportunities", "reference,name,customer\nR1,A,One\n,B,One\n,C,\n")

    again = "reference,name,customer\nR1,Renamed,Two\nR2,A,One\n,B,One\n,B,Two\n,C,\n,C,One\nR2,Z,\n"
    run = imported(client, "opportunities", again)

    assert counts(run) == (3, 0, 2, 2, 0)
    assert set(Opportunity.objects.values_list("reference", "name", "customer__name")) == {
        ("R1", "A", "One"), ("", "B", "One"), ("", "C", None), ("R2", "A", "One"), ("", "B", "Two"), ("", "C", "One"),
    }  # fmt: skip


def test_what_one_does_not_see_is_not_there_already(rep):
    imported(signed_in(make.user(at="jinan")), "opportunities", "reference,name\nR1,A\n")

    run = imported(signed_in(rep), "opportunities", "reference,name\nR1,A\n")

    assert counts(run) == (1, 0, 0, 0, 0)


@pytest.mark.case(29)
def test_a_won_or_lost_stage_comes_in_by_approval_only(rep):
    run = checked(signed_in(rep), "opportunities", "name,stage\nA,Won\nB,终止\nC,方案报价\n")

    assert [cell[2] for cell in refusals(run)] == ["Won", "终止"]
    assert run.new == 1


class TestSameRules(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(
        row=st.fixed_dictionaries(
            {
                "name": st.text("ab \t专", max_size=4) | st.just("x" * 201),
                "amount": st.sampled_from(
                    ["", "450000", "45万", "￥1,000", "-5", "1.234", "12,34", "9" * 17, "about 45万"]
                ),
                "expected_close_on": st.sampled_from(
                    ["", "2026-12-01", "2026年12月1日", "2026-13-02", "tomorrow", "0026-01-01"]
                ),
                "probability": st.sampled_from(["", "40", "40 %", "0", "100", "x"]),
                "description": st.text("ab\n", max_size=5) | st.just("y" * 20001),
            }
        )
    )
    def test_a_row_is_refused_where_the_form_refuses_it(self, row):
        rep = make.user()
        resource = kinds()["opportunities"](rep)
        resource.match({name: {"column": number} for number, name in enumerate(row)}, {})
        [verdict] = resource.read([[2, *row.values()]])

        form = OpportunityForm({**row, "act": "save"}, user=rep)

        assert form.is_valid() == (not verdict.faults), (form.errors, verdict.faults)
        assert form.errors.keys() == {name for name, _text, _why in verdict.faults}
        if verdict.record is not None:
            typed, read = form.make(), verdict.record
            read.create(by=rep)
            for name in (*row, "state", "stage_id", "owner_id", "department_id", "base_cents", "list_key"):
                read.refresh_from_db()
                assert getattr(typed, name) == getattr(read, name)


# Past ones

PAST = """reference,name,customer,stage,created on,closed on,amount,contract number,owner
1,Won one,One,Won,2016-10-20,2017-03-01,1054,C-1,chen
2,Lost one,One,Lost,2016-10-21,2017-03-02,0,,chen
3,Open one,One,Proposal,2016-10-22,,,,chen
4,Draft one,,Negotiation,,,,,chen
5,Unknown customer,Never was,Proposal,,,,,chen
6,Won without customer,,Won,2016-10-20,2017-03-01,5,,chen
7,Won without day,One,Won,2016-10-20,,5,,chen
8,Won before it began,One,Won,2018-10-20,2017-03-01,5,,chen
9,Won for nothing,One,Won,2016-10-20,2017-03-01,,,chen
"""


def test_past_ones_come_in_as_they_stand_without_an_approval(manager, rep):
    make.customer(rep, name="One")

    run = imported(signed_in(manager), "past", PAST)

    assert (run.new, run.refused) == (4, 5)
    assert [cell[:2] for cell in refusals(run)] == [
        (6, "customer"), (7, "customer"), (8, "closed on"), (9, "created on"), (10, "amount"),
    ]  # fmt: skip
    stood = Opportunity.objects.order_by("reference").values_list(
        "state", "stage__key", "closed_on", "lost_reason__key"
    )
    assert list(stood) == [
        ("signed", "won", date(2017, 3, 1), None),
        ("terminated", "lost", date(2017, 3, 2), "unknown-imported"),
        ("active", "proposal", None, None),
        ("draft", "negotiation", None, None),
    ]
    signing = Signing.objects.get()
    assert (signing.contract_number, signing.amount, signing.month, signing.owner) == (
        "C-1",
        1054,
        date(2017, 3, 1),
        rep,
    )
    assert not Approval.objects.exists()
    call_command("verify", stdout=StringIO())


def test_the_same_past_again_changes_nothing(manager, rep):
    make.customer(rep, name="One")
    client = signed_in(manager)
    imported(client, "past", PAST)

    with unchanged():
        run = checked(client, "past", PAST)
    assert counts(run) == (0, 0, 4, 0, 5)


def test_once_a_thousand_rows_came_in_the_database_goes_by_how_many_there_are():
    """Else it looks through all of them for each row that refers to one, as to one of the few that there were."""
    rep = make.user()
    make.customer(rep, name="Qinghe Water Group")
    rows = "".join(f"Line {number},Qinghe Water Group\n" for number in range(1_001))
    imported(signed_in(rep), "opportunities", f"Opportunity name,Customer\n{rows}".encode())
    assert Opportunity.objects.count() == 1_001
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT reltuples FROM pg_class WHERE relname = %s", [Opportunity._meta.db_table])
            assert cursor.fetchone()[0] >= 1_000


STAGES = {"Prospecting": "first-contact", "Engaging": "needs-confirmed"}
WON = [531, 285, 438, 531, 308, 446, 503, 279, 406, 511]  # a month, from March 2017


@needs_shared
@pytest.mark.long
@pytest.mark.any_database
def test_the_past_of_a_real_company_comes_in_whole():
    """Its people, its 85 customers, its 8,800 opportunities; the product, such as `GTXPro`, becomes the description."""
    call_command("demo", verbosity=0)
    admin, manager = (signed_in(User.objects.get(username=name)) for name in ("admin", "manager"))
    before = Opportunity.objects.count()
    files = {
        name: (SHARED / "crm-sales" / f"{name}.csv").read_bytes()
        for name in ("sales_teams", "accounts", "sales_pipeline")
    }

    people = imported(
        admin, "users", files["sales_teams"], from_username="0", column_2="", from_department="=shijiazhuang"
    )
    customers = imported(manager, "customers", files["accounts"], SECTORS)
    past = imported(manager, "past", files["sales_pipeline"], STAGES, from_name="0")

    assert (people.new, customers.new, past.new, past.refused) == (35, 85, 8800, 0)
    came = Opportunity.objects.exclude(reference="")
    assert Opportunity.objects.count() == before + 8800
    stages = dict(iter(came.order_by().values_list("stage__key").annotate(count=Count("*"))))
    assert stages == {"won": 4238, "lost": 2473, "needs-confirmed": 1589, "first-contact": 500}
    assert came.filter(state="draft").count() == 1425
    assert came.filter(description="GTXPro").count() == 1480
    signings = Signing.objects.filter(opportunity__in=came)
    assert signings.aggregate(Sum("base_cents")) == {"base_cents__sum": 10_005_534_00}
    months = signings.order_by("month").values_list("month").annotate(count=Count("*"))
    assert list(months) == [(date(2017, month, 1), count) for month, count in enumerate(WON, 3)]
    call_command("verify", stdout=StringIO())

    us_dates = (SHARED / "crm-sales-us-dates" / "sales_pipeline.csv").read_bytes()
    with unchanged():
        again = [checked(manager, "past", file, STAGES, from_name="0") for file in (files["sales_pipeline"], us_dates)]
    assert [counts(run) for run in again] == [(0, 0, 8800, 0, 0)] * 2
    different = [number for number, (one, other) in enumerate(zip(*map(built, again), strict=True)) if one != other]
    assert different == []
    assert Customer.objects.filter(name="Acme Corporation").count() == 1


def built(run):
    """This will give what each row of a file of past opportunities makes: all its values, and how it ends."""
    resource = run.resource(run.owner)
    resource.match(run.matching, run.known, by=run.by, mode=run.mode)
    rows = [verdict.record for verdict in resource.judge(list(run.read_rows()), set())]
    moments = ("created_at", "updated_at", "stage_since")  # of the check itself
    fields = [field.attname for field in Opportunity._meta.concrete_fields if field.name not in moments]
    ends = ("state", "entered_on", "closed_on", "lost_reason", "contract_number")
    return [
        [getattr(past.opportunity, name, None) for name in fields] + [getattr(past, name) for name in ends]
        for past in rows
    ]
