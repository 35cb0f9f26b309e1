"""
What goes out is opened and saved by LibreOffice, as people do: a text stays that text, a number a number, a
day that day, nothing becomes a formula; and what it saved comes in again and changes nothing.
"""

import shutil
import subprocess
from datetime import date, datetime
from decimal import Decimal
from io import BytesIO

import openpyxl
import pytest

from crm.exports import Table, comma_separated, workbook
from crm.sheets import bare
from customers.models import Customer
from tests import factories as make
from tests.asserting import unchanged
from tests.importing import checked, signed_in

SOFFICE = shutil.which("soffice")
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.any_database,
    pytest.mark.torture,
    pytest.mark.skipif(SOFFICE is None, reason="NOT TESTED: LibreOffice (soffice) is not on this machine"),
]

WAYS = {"xlsx": "xlsx", "ods": "ods", "csv": "csv:Text - txt - csv (StarCalc):44,34,76"}  # the last as UTF-8
KINDS = ["customers", "contacts", "opportunities"]
HOSTILE = [
    "=1+1",
    "==1+1",
    "+1",
    "-1+cmd|' /C calc'!A0",
    "-5",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    " =1+1",
    "＝1+1",
    "'=1",
    "''=1",
    "'quoted'",
    "#N/A",
    "#REF!",
    "TRUE",
    "1E5",
    "1/2",
    "2026-01-02",
    "0012",
    "110105194912310021",
    "3.10",
    "10%",
    "¥5",
    'a,b;"c"',
    "two\nlines",
    "  spaces  around  ",
    "<b>&amp;</b>]]>",
    "_x0041_",
    "王俊 👩‍👩‍👧‍👦",
    "长" * 32_000,
]

AS_UTF_8 = "--infilter=CSV:44,34,76"  # separated by commas; what its window guesses by the mark at the beginning
LONGEST = 20_000  # characters that the form of an opportunity takes as its description


@pytest.fixture
def client():
    """This will give a client of a rep whose records say everything that a spreadsheet program may misread."""
    rep = make.user("rep", name="Chen Yu", language="en", time_zone="Asia/Shanghai")
    for number, text in enumerate(HOSTILE):
        customer = make.customer(rep, name=f"Customer {number:02}", description=text)
        make.contact(customer, name=f"Contact {number:02}", description=text, title=text[:20].strip())
        make.opportunity(
            rep,
            name=f"Opportunity {number:02}",
            customer=customer,
            amount=Decimal("1560000.05") + number,
            expected_close_on=date(2027, 1, 31),
            description=text[:LONGEST],
        )
    Customer.objects.update(tax_id="00120045", phone="+86 311 8601 2210")
    return signed_in(rep)


def taken_out(client, tmp_path, end):
    """This will write each list with all fields to a file of its own, and give where they are."""
    paths = []
    for kind in KINDS:
        answer = client.get(f"/{kind}/?export={end}&fields=all")
        assert answer.status_code == 200
        paths.append(tmp_path / f"{kind}.{end}")
        paths[-1].write_bytes(answer.getvalue())
    return paths


def saved(paths, tmp_path, to, *options):
    """This will open files in LibreOffice and save them as another kind; gives {name: bytes}."""
    folder = tmp_path / f"saved as {to.split(':')[0]}"
    command = [SOFFICE, f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", to, *options]
    done = subprocess.run([*command, "--outdir", folder, *paths], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {path.stem: path.read_bytes() for path in sorted(folder.iterdir())}


def cells_of(content):
    """This will give the rows of a workbook as {heading: cell}."""
    heads, *rows = openpyxl.load_workbook(BytesIO(content)).active.iter_rows()
    return [{head.value: cell for head, cell in zip(heads, row, strict=True)} for row in rows]


@pytest.mark.case(40)
def test_a_workbook_that_was_opened_and_saved_has_the_same_texts_numbers_and_days_and_no_formula(client, tmp_path):
    files = taken_out(client, tmp_path, "xlsx")
    found = saved(files, tmp_path, "xlsx")
    for kind in KINDS:
        rows = cells_of(found[kind])
        longest = LONGEST if kind == "opportunities" else None
        assert [row["Description"].value for row in rows] == [text[:longest] for text in HOSTILE]
        assert {cell.data_type for row in rows for cell in row.values()} <= {"s", "n", "d"}
    for number, row in enumerate(cells_of(found["opportunities"])):
        assert (row["Amount"].value, row["Amount"].data_type) == (1560000.05 + number, "n")
        assert (row["Expected close"].value, row["Expected close"].is_date) == (datetime(2027, 1, 31), True)
        assert row["Created"].is_date
    assert {row["Tax id"].value for row in cells_of(found["customers"])} == {"00120045"}
    assert {row["Phone"].value for row in cells_of(found["customers"])} == {"+86 311 8601 2210"}


@pytest.mark.case(40)
def test_comma_separated_values_that_were_opened_have_no_formula(client, tmp_path):
    files = taken_out(client, tmp_path, "csv")
    found = saved(files, tmp_path, "xlsx", AS_UTF_8)
    for kind in KINDS:
        rows = cells_of(found[kind])
        assert len(rows) == len(HOSTILE)
        assert {cell.data_type for row in rows for cell in row.values()} <= {"s", "n", "d", "b"}
    assert [row["Amount"].value for row in cells_of(found["opportunities"])][:2] == [1560000.05, 1560001.05]


def test_what_is_quoted_and_opened_as_text_is_the_same_text_but_for_the_apostrophe(client, tmp_path):
    [customers, *_others] = taken_out(client, tmp_path, "csv")
    found = saved([customers], tmp_path, "xlsx", f"{AS_UTF_8},1,,0,true")
    texts = [bare(row["Description"].value) for row in cells_of(found["customers"])]
    # It knows one end of a line in such a file.
    assert texts == [text.replace("\r", "\n") for text in HOSTILE]


@pytest.mark.parametrize("end", WAYS)
def test_what_was_opened_and_saved_comes_in_again_and_changes_nothing(client, tmp_path, end):
    found = saved(taken_out(client, tmp_path, "xlsx"), tmp_path, WAYS[end])
    for kind in KINDS:
        with unchanged():
            run = checked(client, kind, found[kind], name=f"{kind}.{end}")
        assert (run.rows, run.new, run.refused) == (len(HOSTILE), 0, 0), list(run.cells.values())


@pytest.mark.parametrize("end", ["xlsx", "csv"])
def test_a_number_is_a_number_and_the_same_text_a_text(tmp_path, end):
    rows = [(-5, "-5", Decimal("-0.25"), date(2024, 2, 29), datetime(1999, 12, 31, 23, 59)), (0, "0", None, None, None)]
    table = Table(None, "numbers", "Numbers", ["Number", "Text", "Decimal", "Day", "Moment"], rows)
    path = tmp_path / f"numbers.{end}"
    if end == "csv":
        path.write_text("".join(comma_separated(table)))
    else:
        file, count, _cut = workbook(table, "Numbers")
        with file:
            path.write_bytes(file.read())
        assert count == 2
    options = [AS_UTF_8] if end == "csv" else []
    first, second = cells_of(saved([path], tmp_path, "xlsx", *options)["numbers"])
    assert [first[head].value for head in ("Number", "Decimal", "Day", "Moment")] == [
        -5, -0.25, datetime(2024, 2, 29), datetime(1999, 12, 31, 23, 59),
    ]  # fmt: skip
    assert (first["Text"].value, first["Text"].data_type) == ("'-5" if end == "csv" else "-5", "s")
    assert (second["Number"].value, second["Decimal"].value) == (0, None)
