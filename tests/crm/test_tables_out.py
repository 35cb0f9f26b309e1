"""What is a table and no list of records goes out as well: tasks done, the ranking, the price list, the people."""

import csv
from datetime import datetime
from decimal import Decimal
from io import BytesIO, StringIO

import openpyxl
import pytest
import time_machine

from crm.models import Audit
from crm.moments import organisation_month
from tests import factories as make
from tests.asserting import unchanged
from tests.importing import signed_in

pytestmark = pytest.mark.django_db

NOON = datetime.fromisoformat("2026-11-20T12:00+08:00")


def excel(answer):
    sheet = openpyxl.load_workbook(BytesIO(answer.getvalue())).active
    return [list(row) for row in sheet.iter_rows(values_only=True)]


def comma_separated(answer):
    return list(csv.reader(StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))


def signed(owner, amount):
    one = make.opportunity(owner, state="active", name=f"Of {owner}")
    deputy = make.approver(one)
    make.sign(one, approver=deputy, amount=Decimal(amount))
    one.open_task.finish(by=deputy, seen=one.version)
    return deputy


def test_tasks_that_are_done_go_out_with_what_was_decided_the_latest_first():
    rep = make.user(name="Chen Yu")
    with time_machine.travel(NOON, tick=False):
        one = make.opportunity(rep, state="reporting", name="=Harbour cranes", amount=Decimal("5.25"))
        deputy = one.open_task.holder
        one.open_task.return_(by=deputy, seen=one.version, comment="Why?")
    client = signed_in(deputy)
    assert excel(client.get("/tasks/done/?export=xlsx&page=7")) == [
        ["Request", "Record", "Decision", "Customer", "Asked by", "Amount", "Currency", "Comment", "Decided"],
        [
            "Report", "=Harbour cranes", "Returned", str(one.customer), "Chen Yu", 5.25, "CNY", "Why?",
            datetime(2026, 11, 20, 12),
        ],
    ]  # fmt: skip
    [_heads, row] = comma_separated(client.get("/tasks/done/?export=csv"))
    assert (row[1], row[5], row[8]) == ("'=Harbour cranes", "5.25", "2026-11-20 12:00")
    assert len(comma_separated(signed_in(rep).get("/tasks/done/?export=csv"))) == 1
    noted = Audit.objects.filter(kind="exported").order_by("id").first()
    assert (noted.by, noted.data) == (
        deputy,
        {"list": "tasks_done", "query": "", "format": "xlsx", "fields": "list", "which": "all", "rows": 1},
    )


def test_the_ranking_goes_out_with_both_places_of_everybody():
    chen, liu = make.user(name="Chen Yu"), make.user(name="Liu Min")
    for owner, amount in ((chen, 500), (liu, 700)):
        signed(owner, amount)
    make.opportunity(chen, state="active")
    month = f"{organisation_month():%Y-%m}"
    client = signed_in(chen)
    assert excel(client.get(f"/ranking/?export=xlsx&month={month}")) == [
        [
            "Person", "Department", "Place by amount signed", "Amount", "Opportunities signed",
            "Place by reports approved", "Reports approved",
        ],
        ["Liu Min", str(liu.department), 1, 700, 1, 2, 1],
        ["Chen Yu", str(chen.department), 2, 500, 1, 1, 2],
    ]  # fmt: skip
    heads, *rows = comma_separated(client.get(f"/ranking/?export=csv&month={month}&by=department"))
    assert heads[:2] == ["Department", "Place by amount signed"]
    assert "1200.00" in {row[2] for row in rows}
    assert Audit.objects.filter(kind="exported").latest("id").data["query"] == f"month={month}&by=department"


def test_the_price_list_goes_out_with_numbers():
    make.product("CAM", price=Decimal("1450.50"))
    heads, row = excel(signed_in(make.user()).get("/products/?export=xlsx"))
    assert heads == ["Product", "Revenue category", "Code", "Unit", "List price"]
    assert (row[0], row[2:]) == ("Product CAM", ["CAM", "piece", 1450.5])


def test_the_people_go_out_for_administrators_alone():
    rep = make.user("rep", name="Chen Yu")
    administrator = make.user("admin", "administrator", at="head-office")
    heads, row = excel(signed_in(administrator).get("/people/?export=xlsx&q=chen"))
    assert heads == [
        "Name",
        "User name",
        "E-mail",
        "Department",
        "Roles",
        "Account",
        "Two-step sign-in",
        "Last sign-in",
    ]
    assert row[:7] == ["Chen Yu", "rep", rep.email or None, str(rep.department), "Sales rep", "Active", "Off"]
    with unchanged():
        assert signed_in(rep).get("/people/?export=xlsx").status_code == 403
    assert Audit.objects.filter(kind="exported").count() == 1


@pytest.mark.parametrize("address", ["/ranking/", "/products/"])
def test_without_a_department_no_table_goes_out(address):
    person = make.user()
    make.product("CAM")
    page = signed_in(person).get(address)
    type(person).objects.update(department=None)
    for end in ("xlsx", "csv"):
        assert signed_in(person).get(f"{address}?export={end}").status_code == 403
    assert "export=xlsx" not in signed_in(person).get(address).content.decode()
    assert signed_in(person).head(f"{address}?export=csv").status_code == 200
    assert not Audit.objects.filter(kind="exported").exists()
    assert page.status_code == signed_in(person).get(f"{address}?export=exe").status_code == 200


def test_the_buttons_keep_what_the_page_was_asked():
    page = signed_in(make.user()).get("/ranking/?by=department&page=2").content.decode()
    assert 'href="?by=department&amp;export=xlsx"' in page
    assert 'href="?by=department&amp;export=csv"' in page
