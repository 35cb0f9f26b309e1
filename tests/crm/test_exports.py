"""A list goes out as a file: what its reader sees, in its order, in typed cells; and it comes in again unchanged."""

import csv
from datetime import date, datetime, timedelta
from decimal import Decimal
from io import BytesIO, StringIO

import openpyxl
import pytest
import time_machine
from django.utils import timezone
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st

from crm import exports, work
from crm.exports import ExportRun, Table
from crm.jobs import Job, run_waiting
from crm.models import Audit
from crm.sheets import FORMULA, bare, is_like_a_formula
from customers.models import Customer
from notices.work import sweep_files
from opportunities.models import Opportunity
from tests import factories as make
from tests.asserting import unchanged
from tests.importing import checked, counts, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = [
    "=1+1",
    "+86 311 8601",
    "-5",
    "@SUM(A1)",
    "\tx",
    "'=quoted",
    'a,b;"c"',
    "line\nline",
    "王俊",
    "0012",
    "1E5",
    "#N/A",
    "#REF!",
    "＝1+1",
    "a\ufffeb\uffffc",
    "_x0041_",
    "_x000D_x0042_",
    "a\rb",
    "\n=1+2",
]


HELD = [text.replace("\ufffe", "").replace("\uffff", "") for text in HOSTILE]  # as a workbook can hold them

# As it writes them: Excel takes _x0041_ for a letter unless its underscore is written as a code itself, which openpyxl
# does not read back.
WRITTEN = {"_x0041_": "_x005F_x0041_", "_x000D_x0042_": "_x005F_x000D_x005F_x0042_"}


@pytest.fixture(autouse=True)
def store(settings, tmp_path):
    """This will give the files a folder of their own."""
    kept = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "files"}}
    settings.STORAGES = settings.STORAGES | {"files": kept}
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def rep():
    return make.user("rep", name="Chen Yu", language="en", time_zone="Asia/Shanghai")


def content(answer):
    assert answer.status_code == 200, answer.status_code
    return answer.getvalue()


def excel(client, address):
    """This will give the rows of an exported workbook, as its cells have them."""
    sheet = openpyxl.load_workbook(BytesIO(content(client.get(address)))).active
    return [list(row) for row in sheet.iter_rows(values_only=True)]


def comma_separated(client, address):
    text = content(client.get(address)).decode()
    assert text.startswith("\ufeff")
    return list(csv.reader(StringIO(text[1:], newline="")))


# ── What goes out ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_list_goes_out_with_its_columns_in_its_order_and_numbers_and_days_are_such(rep):
    customer = make.customer(rep, name="Qinghe Water Group")
    late = make.opportunity(rep, name="Later", customer=customer, expected_close_on=date(2027, 3, 1), amount=None)
    soon = make.opportunity(
        rep, name="Sooner", state="reporting", customer=customer, expected_close_on=date(2027, 1, 1), amount=1560000.5
    )
    holder = soon.open_task.holder
    when = datetime(2026, 11, 20, 9, 30, tzinfo=timezone.get_fixed_timezone(8 * 60))
    make.follow_up(late, at=when)
    assert excel(signed_in(rep), "/opportunities/?export=xlsx") == [
        [
            "Opportunity name", "Customer", "Stage", "Amount", "Expected close", "Waiting for", "Person in charge",
            "Last follow-up",
        ],
        [
            "Sooner", "Qinghe Water Group", "First contact", 1560000.5, datetime(2027, 1, 1), str(holder), "Chen Yu",
            None,
        ],
        [
            "Later", "Qinghe Water Group", "First contact", None, datetime(2027, 3, 1), None, "Chen Yu",
            datetime(2026, 11, 20, 9, 30),
        ],
    ]  # fmt: skip
    [row] = comma_separated(signed_in(rep), "/opportunities/?export=csv&q=later")[1:]
    assert row[7] == "2026-11-20 09:30"
    assert comma_separated(signed_in(rep), "/opportunities/?export=csv&q=sooner")[1:] == [
        ["Sooner", "Qinghe Water Group", "First contact", "1560000.50", "2027-01-01", str(holder), "Chen Yu", ""]
    ]


def test_all_fields_go_out_where_they_are_asked_for_in_the_readers_language(rep):
    one = make.opportunity(rep, state="active", reference="X-1", description="Two\nlines")
    client = signed_in(rep)
    [heads, row] = excel(client, "/opportunities/?export=xlsx&fields=all")
    found = dict(zip(heads, row, strict=True))
    assert (found["Number"], found["State"], found["Approved amount"]) == (one.number, "Active", 100000)
    assert (found["Reference"], found["Description"], found["Currency"]) == ("X-1", "Two\nlines", "CNY")
    type(rep).objects.update(language="zh-hans")
    heads, row = comma_separated(client, "/opportunities/?export=csv&fields=all")
    assert dict(zip(heads, row, strict=True))["状态"] == "跟进中"


def test_what_goes_out_is_what_its_reader_sees_and_the_list_counts(rep):
    stranger = make.user(at="jinan")
    for owner in (rep, stranger):
        make.opportunity(owner, state="active", name=f"Of {owner}")
        make.opportunity(owner, name=f"Draft of {owner}")
        make.contact(make.customer(owner, name=f"Customer of {owner}"), name=f"Contact of {owner}")
    shared = make.opportunity(stranger, state="active", name="Shared")
    shared.share(by=stranger, people=[rep])
    for person in (rep, stranger, make.user(None, "gm", at="hebei"), make.user(None, "support", at="jinan")):
        client = signed_in(person)
        for address in (
            "/opportunities/",
            "/opportunities/?state=draft",
            "/customers/",
            "/contacts/",
            "/contacts/?q=of",
        ):
            sign = "&" if "?" in address else "?"
            rows = comma_separated(client, f"{address}{sign}export=csv")[1:]
            listing = client.get(f"{address}{sign}totals=1").context["listing"]
            assert len(rows) == listing.totals["count"]
            assert [row[0] for row in rows] == [row["name"] for row in listing.rows]
            assert rows == comma_separated(client, f"{address}{sign}export=csv&rows=page")[1:]


def test_one_page_goes_out_alone(rep):
    for number in range(53):
        make.customer(rep, name=f"Customer {number:02}")
    client = signed_in(rep)
    assert len(comma_separated(client, "/customers/?export=csv")) == 54
    rows = comma_separated(client, "/customers/?export=csv&rows=page&page=2")
    assert [row[0] for row in rows[1:]] == ["Customer 50", "Customer 51", "Customer 52"]


def test_those_selected_go_out_whatever_the_list_is_narrowed_by_in_its_order(rep):
    names = ["Anping Wire", "Baoding Dairy", "Cangzhou Port", "Dingzhou Rail"]
    anping, baoding, cangzhou, dingzhou = (make.customer(rep, name=name).pk for name in names)
    hidden = make.customer(make.user(at="jinan"), name="Not theirs").pk
    client = signed_in(rep)
    asked = f"rows=selected&pk={dingzhou}&pk={anping}&pk={anping}&pk={hidden}&pk=x&pk=&pk=-1&pk=99{'9' * 30}"
    for address in (f"/customers/?export=csv&{asked}", f"/customers/?export=csv&q=baoding&page=7&{asked}"):
        assert [row[0] for row in comma_separated(client, address)[1:]] == ["Anping Wire", "Dingzhou Rail"]
    short = f"/customers/?export=xlsx&sort=-name&rows=selected&pk={baoding},{cangzhou},{hidden}"
    assert [row[0] for row in excel(client, short)[1:]] == ["Cangzhou Port", "Baoding Dairy"]
    noted = list(Audit.objects.filter(kind="exported").order_by("id").values_list("data", flat=True))
    assert [(data["which"], data["rows"], data["fields"]) for data in noted] == [("selected", 2, "list")] * 3
    assert noted[2]["query"] == f"sort=-name&pk={baoding}%2C{cangzhou}%2C{hidden}"


def test_those_selected_go_out_as_cards(rep):
    first, _other = (make.contact(make.customer(rep), name=name).pk for name in ("Ding Yan", "Qi Bo"))
    client = signed_in(rep)
    assert b"FN:Qi Bo" in content(client.get("/contacts/?export=vcf"))
    assert content(client.get(f"/contacts/?export=vcf&rows=selected&pk={first}")).count(b"FN:Ding Yan") == 1
    assert b"Qi Bo" not in content(client.get(f"/contacts/?export=vcf&rows=selected&pk={first}"))


@pytest.mark.parametrize("asked", ["", "&pk=x", "&pk={hidden}", "&pk=999999999"])
def test_where_none_of_those_selected_is_left_it_says_so_and_nothing_goes_out(rep, asked):
    mine = make.customer(rep).pk
    asked = asked.format(hidden=make.customer(make.user(at="jinan")).pk)
    client = signed_in(rep)
    with unchanged():
        for address in (
            f"/customers/?export=csv&rows=selected{asked}",
            f"/customers/export/?rows=selected{asked}",
        ):
            page = client.get(address)
            assert page.status_code == 200
            assert "Nothing is selected that is there for you." in page.content.decode()
    assert not Audit.objects.filter(kind="exported").exists()
    assert len(comma_separated(client, f"/customers/?export=csv&rows=selected&pk={mine}")) == 2


def test_a_thousand_keys_are_looked_at_and_no_more(rep):
    customers = [make.customer(rep, name=f"Customer {number:02}").pk for number in range(3)]
    others = ",".join(str(10**9 + number) for number in range(998))
    client = signed_in(rep)
    address = f"/customers/?export=csv&rows=selected&pk={others}&pk={','.join(map(str, customers))}"
    rows = comma_separated(client, address)
    assert [row[0] for row in rows[1:]] == ["Customer 00", "Customer 01"]
    keys = "&".join(f"pk={key}" for key in [*customers, *range(10**9, 10**9 + 997)])
    assert len(comma_separated(client, f"/customers/?export=csv&rows=selected&{keys}")) == 4


@pytest.mark.case(40)
def test_a_text_that_begins_like_a_formula_stays_a_text(rep):
    for text in HOSTILE:
        customer = Customer(name=f"{text} ", phone="", description=text)
        Customer.create_all([customer], by=rep)
    Customer.objects.update(name=exports.models.F("description"))
    client = signed_in(rep)
    book = openpyxl.load_workbook(BytesIO(content(client.get("/customers/?export=xlsx"))))
    cells = [row[0] for row in book.active.iter_rows(min_row=2)]
    assert sorted(cell.value for cell in cells) == sorted(WRITTEN.get(text, text) for text in HELD)
    assert {cell.data_type for cell in cells} == {"s"}
    texts = [row[0] for row in comma_separated(client, "/customers/?export=csv")[1:]]
    assert [text for text in texts if text.startswith(FORMULA)] == []
    assert len(texts) == len(HOSTILE)


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
@pytest.mark.case(40)
def test_what_went_out_comes_in_again_and_changes_nothing(rep, kind):
    for text in HELD:
        name = " ".join(text.split())
        customer = make.customer(rep, name=name or "x", phone="+86 311 8601 2210", description=text)
        make.opportunity(rep, name=f"{name} 项目", customer=customer, amount=Decimal("1560000.50"))
    client = signed_in(rep)
    for records in ("customers", "opportunities"):
        file = content(client.get(f"/{records}/?export={kind}&fields=all"))
        run = checked(client, records, file, name=f"out.{kind}")
        assert counts(run) == (0, 0, len(HOSTILE), 0, 0), list(run.cells.values())


# ── How it is asked for ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_button_asks_what_goes_out_and_keeps_what_the_list_was_asked(rep):
    make.customer(rep, name="Qinghe Water Group")
    client = signed_in(rep)
    page = client.get("/customers/?q=qinghe&sort=-name").content.decode()
    assert 'href="/customers/export/?q=qinghe&amp;sort=-name"' in page
    page = client.get("/customers/export/?q=qinghe&sort=-name").content.decode()
    for kept in ('name="q" value="qinghe"', 'name="sort" value="-name"', 'action="/customers/"'):
        assert kept in page
    assert "Export: Customers" in page
    for wrong in ("export=exe", "export=xlsx&fields=secret", "export=csv&rows=none", "export="):
        answer = client.get(f"/customers/?{wrong}")
        assert answer.status_code == 200
        assert "Export: Customers" in answer.content.decode()
    assert not Audit.objects.filter(kind="exported").exists()


def test_the_list_has_a_box_for_each_row_and_asks_about_those_selected(rep):
    pks = [make.customer(rep, name=name).pk for name in ("Anping <Wire>", "Baoding Dairy")]
    client = signed_in(rep)
    page = client.get("/customers/?q=a&sort=-name").content.decode()
    for pk, name in zip(pks, ("Anping &lt;Wire&gt;", "Baoding Dairy"), strict=True):
        assert f'type="checkbox" form="selected" name="pk" value="{pk}" aria-label="Select {name}"' in page
    assert 'aria-label="Select all rows of this page"' in page
    assert 'id="selected" method="get" action="/customers/export/"' in page
    asking = client.get(f"/customers/export/?q=a&sort=-name&pk={pks[0]}&pk={pks[1]}&rows=selected")
    form = asking.context["form"]
    assert [str(label) for _value, label in form.fields["rows"].choices] == [
        "The 2 selected rows", "All that match", "This page",
    ]  # fmt: skip
    assert form["rows"].value() == "selected"
    page = asking.content.decode()
    for pk in pks:
        assert f'name="pk" value="{pk}"' in page
    assert 'href="/customers/?q=a&amp;sort=-name"' in page
    assert "selected rows" not in client.get("/customers/export/?q=a").content.decode()


@pytest.mark.case(60)
def test_whoever_took_what_out_is_written_down(rep):
    make.customer(rep)
    signed_in(rep).get("/customers/?export=csv&fields=all&q=customer").getvalue()
    noted = Audit.objects.get(kind="exported")
    assert (noted.by, noted.data) == (
        rep,
        {"list": "customers", "query": "q=customer", "format": "csv", "fields": "all", "which": "all", "rows": 1},
    )


def test_without_a_department_nothing_goes_out(rep):
    make.customer(rep)
    type(rep).objects.update(department=None)
    client = signed_in(type(rep).objects.get(pk=rep.pk))
    page = client.get("/customers/").content.decode()
    assert "/customers/export/" not in page
    assert 'type="checkbox"' not in page
    for address in (
        "/customers/?export=csv",
        "/customers/?export=xlsx",
        "/customers/export/",
        "/customers/?export=csv&rows=selected&pk=1",
    ):
        assert client.get(address).status_code == 403
    assert not Audit.objects.filter(kind="exported").exists()
    assert signed_in(rep).post("/customers/").status_code == 405


# ── Large ones ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def large(settings, rep):
    """This will make more than two rows a large file."""
    settings.EXPORT_AT_ONCE = 2
    for number in range(3):
        make.customer(rep, name=f"Customer {number}")
    return "/customers/?export=xlsx&fields=all&q=customer"


def test_a_large_workbook_is_made_by_the_worker_and_fetched_by_its_owner_alone(rep, large):
    client = signed_in(rep)
    with unchanged():
        page = client.get(large).content.decode()
    assert "It has more than 2 rows." in page
    address = client.post(large).url
    run = ExportRun.objects.get()
    assert address == f"/exports/{run.pk}/"
    assert "waiting for its turn" in client.get(address).content.decode()
    assert client.get(f"{address}file/").status_code == 404
    run_waiting()
    assert "Rows in the file: 3." in client.get(address).content.decode()
    rows = excel(client, f"{address}file/")
    assert [row[0] for row in rows] == ["Customer name", "Customer 0", "Customer 1", "Customer 2"]
    assert "Tax id" in rows[0]
    noted = Audit.objects.get(kind="exported")
    assert (noted.by, noted.data["rows"], noted.data["query"]) == (rep, 3, "q=customer")

    for person in (make.user(), make.user(None, "administrator", at="head-office")):
        other = signed_in(person)
        assert [other.get(one).status_code for one in (address, f"{address}file/")] == [404, 404]


def test_pressed_twice_one_file_is_made(rep, large):
    client = signed_in(rep)
    assert client.post(large).url == client.post(large).url
    run_waiting()
    assert (ExportRun.objects.count(), Job.objects.count()) == (1, 1)
    client.post(large)  # once that is done, another one is as good as new
    assert ExportRun.objects.count() == 2


def test_only_looking_at_the_head_writes_nothing_down(rep, large):
    signed_in(rep).head("/customers/?export=csv")
    assert not Audit.objects.filter(kind="exported").exists()


def test_csv_and_one_page_come_at_once_however_many_there_are(rep, large):
    client = signed_in(rep)
    assert len(comma_separated(client, large.replace("xlsx", "csv"))) == 4
    assert len(excel(client, f"{large}&rows=page")) == 4
    assert not ExportRun.objects.exists()


@pytest.mark.case(9)
def test_it_is_made_with_the_rights_that_its_owner_has_then(rep, large):
    client = signed_in(rep)
    client.post(large)
    type(rep).objects.update(department=None)
    run_waiting()
    run, job = ExportRun.objects.get(), Job.objects.get()
    assert (run.key, str(job.state), Audit.objects.filter(kind="exported").exists()) == ("", "failed", False)
    assert client.get(f"{run.get_absolute_url()}file/").status_code == 403
    assert "The file could not be made." in client.get(run.get_absolute_url()).content.decode()


def made(client, address):
    """This will have a large workbook made, and give the address of its page."""
    address = client.post(address).url
    run_waiting()
    return address


def lose_a_role(gm):
    gm.roles.remove(make.Role.objects.get(key="gm"))


def move_away(gm):
    type(gm).objects.filter(pk=gm.pk).update(department=make.department("jinan"))


def see_less_by_the_same_role(gm):
    make.Role.objects.filter(key="gm").update(scope="own")


def change_nothing_that_matters(gm):
    type(gm).objects.filter(pk=gm.pk).update(name="Another", title="CEO")


@pytest.mark.parametrize("change", [lose_a_role, move_away, see_less_by_the_same_role])
@pytest.mark.case(9)
def test_a_file_that_shows_what_its_owner_may_see_no_more_is_not_given_out(rep, large, change):
    gm = make.user("gm", "gm", "rep", at="hebei")
    client = signed_in(gm)
    address = made(client, large)
    change_nothing_that_matters(gm)
    assert len(excel(client, f"{address}file/")) == 4
    assert f"{address}file/" in client.get(address).content.decode()

    change(gm)
    assert client.get(f"{address}file/").status_code == 404
    page = client.get(address).content.decode()
    assert "What you may see has changed since this file was made." in page
    assert f"{address}file/" not in page

    assert len(excel(client, large)) == 1  # the heads


def test_it_lies_for_seven_days_and_the_sweep_leaves_it_alone(rep, large):
    client = signed_in(rep)
    address = client.post(large).url
    run_waiting()
    began = timezone.now()
    with time_machine.travel(began + timedelta(days=6, hours=23), tick=False):
        sweep_files()
        work.tidy()
    assert content(client.get(f"{address}file/"))
    with time_machine.travel(began + timedelta(days=7, minutes=1), tick=False):
        work.tidy()
    assert client.get(address).status_code == 404
    assert exports.storages["files"].listdir("")[1] == []


def test_a_page_of_rows_costs_a_query_for_each_thousand_and_not_for_each_row(rep, django_assert_max_num_queries):
    stage = make.stage()
    customer = make.customer(rep)
    for number in range(40):
        make.opportunity(rep, name=f"Opportunity {number}", customer=customer, stage=stage)
    client = signed_in(rep)
    with django_assert_max_num_queries(12):
        assert len(comma_separated(client, "/opportunities/?export=csv&fields=all")) == 41
    assert Opportunity.objects.count() == 40


def test_a_text_of_a_kind_of_its_own_is_a_text_as_well():
    table = Table(None, "texts", "Texts", ["Text", "Truth"], [(mark_safe("=1<b>&"), True), (mark_safe("5"), None)])
    file, _count, _cut = exports.workbook(table, "Texts")
    with file:
        cells = [[(cell.value, cell.data_type) for cell in row] for row in openpyxl.load_workbook(file).active]
    assert cells[1:] == [[("=1<b>&", "s"), (True, "b")], [("5", "s"), (None, "n")]]
    assert "".join(exports.comma_separated(table)).splitlines()[1] == '"\'=1<b>&",True'


def sheet_of(heads, *rows):
    """This will give the sheet of a workbook of such rows, and how many texts were cut."""
    file, count, cut = exports.workbook(Table(None, "table", "Table", heads, rows), "Table")
    assert count == len(rows)
    with file:
        return openpyxl.load_workbook(file).active, cut


def test_a_workbook_can_be_read_as_it_opens():
    heads = ["Name", "Amount", "Count", "Day", "Moment", "Note"]
    moment = datetime(2026, 11, 20, 9, 30, 15)
    sheet, _cut = sheet_of(
        heads,
        ("Qinghe Water Group", Decimal("1560000.50"), 3, date(2027, 1, 31), moment, "a" * 500),
        ("清河水务集团有限公司第一分公司", None, 12, None, None, "two\nlines"),
    )
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:F3")
    assert {letter: column.width for letter, column in sheet.column_dimensions.items()} == {
        "A": 32, "B": 14, "C": 9, "D": 12, "E": 18, "F": 60,
    }  # fmt: skip
    assert [(cell.value, cell.number_format) for cell in sheet[2]][1:5] == [
        (1560000.5, "#,##0.00#"),
        (3, "General"),
        (datetime(2027, 1, 31), "yyyy-mm-dd"),
        (moment, "yyyy-mm-dd hh:mm"),
    ]
    assert [(cell.value, cell.font.b, cell.alignment.horizontal) for cell in sheet[1]] == [
        ("Name", True, None), ("Amount", True, "right"), ("Count", True, "right"), ("Day", True, None),
        ("Moment", True, None), ("Note", True, None),
    ]  # fmt: skip


@pytest.mark.case(40)
def test_a_workbook_without_rows_has_its_heads_and_a_heading_is_never_a_formula():
    sheet, _cut = sheet_of(["=1+1", "_x0041_"])
    assert [[(cell.value, cell.data_type) for cell in row] for row in sheet] == [
        [("=1+1", "s"), ("_x005F_x0041_", "s")]
    ]
    assert sheet.auto_filter.ref == "A1:B1"


def test_a_day_that_a_workbook_does_not_count_is_a_text():
    days = [date(1850, 1, 1), date(1900, 1, 15), date(2027, 1, 31)]
    sheet, _cut = sheet_of(["Day"], *([day] for day in days))
    assert [sheet[f"A{row}"].value for row in (2, 3, 4)] == ["1850-01-01", datetime(1900, 1, 15), datetime(2027, 1, 31)]


def test_what_no_cell_holds_is_cut_and_counted():
    most = exports.EXCEL_HOLDS
    sheet, cut = sheet_of(["Text"], ["x" * most], ["y" * (most + 1)], ["😀" * most])
    assert cut == 2
    assert [sheet[f"A{row}"].value for row in (2, 3, 4)] == ["x" * most, "y" * most, "😀" * (most // 2)]


def test_how_many_texts_were_cut_is_said_and_written_down_and_as_csv_they_are_whole(rep, large):
    client = signed_in(rep)
    whole = {"list": "customers", "query": "q=customer", "format": "xlsx", "fields": "all", "which": "all", "rows": 3}
    page = client.get(made(client, large)).content.decode()
    assert "longer than a cell" not in page
    assert Audit.objects.get(kind="exported").data == whole

    Customer.objects.filter(name__in=["Customer 1", "Customer 2"]).update(description="x" * 40_000)
    page = client.get(made(client, large)).content.decode()
    assert "2 texts are longer than a cell of a workbook holds and were cut. As CSV they are whole." in page
    assert Audit.objects.filter(kind="exported").latest("pk").data == whole | {"cut": 2}
    content(client.get(f"{large}&rows=page"))
    assert Audit.objects.filter(kind="exported").latest("pk").data == whole | {"which": "page", "cut": 2}
    rows = comma_separated(client, large.replace("xlsx", "csv"))
    assert [max(map(len, row)) for row in rows[2:]] == [40_000] * 2


@given(st.text(alphabet="'=+-@\t\rab ＝", max_size=6))
def test_the_apostrophe_is_put_on_and_taken_away(text):
    written = f"'{text}" if is_like_a_formula(text) else text
    assert not written.startswith(FORMULA)
    assert bare(written) == text
