"""A file is brought in through the browser, from the list's Import to the list with what came in."""

import pytest
from openpyxl import Workbook
from playwright.sync_api import expect

from crm.jobs import run_waiting
from customers.models import Customer
from opportunities.models import Opportunity
from tests import factories as make
from tests.browser.desk import Desk
from tests.importing import SHARED, needs_shared

pytestmark = pytest.mark.django_db(transaction=True)

CONTENT = """商机名称,客户,业务类型,金额,项目阶段
泵房摄像头,Qinghe Water Group,云,45万,方案报价
校园网东区,Qinghe Water Group,校园,１２３，０００,商务谈判
冷链传感,Qinghe Water Group,物联网,about 45万,方案报价
"""


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def rep():
    rep = make.user("rep.shijiazhuang", name="Chen Yu")
    make.customer(rep, name="Qinghe Water Group")
    return rep


def bring(desk, file):
    desk.page.get_by_label("File*").set_input_files(file)
    desk.press("Upload")


def test_a_file_is_uploaded_matched_checked_and_imported(sign_in, rep, tmp_path):
    file = tmp_path / "商机.csv"
    file.write_bytes(CONTENT.encode("gb18030"))
    desk = Desk(sign_in("rep.shijiazhuang"))
    desk.page.goto("/opportunities/")
    desk.follow("Import")
    bring(desk, file)

    desk.sees("5 of 5 matched")
    desk.press("Match columns")
    desk.page.get_by_label("校园 stands for").select_option(label="ICT integration")
    desk.press("Check")
    desk.sees("Nothing is written. You can leave this page and come back.")
    run_waiting()

    # The page looks again by itself.
    expect(desk.page.get_by_role("heading", name="What will come of the rows")).to_be_visible()
    expect(desk.page.get_by_role("row", name="about 45万")).to_contain_text("Write a number")
    assert not Opportunity.objects.exists()
    desk.press("Import")
    run_waiting()
    expect(desk.page.get_by_role("heading", name="What came of the rows")).to_be_visible()

    desk.follow("See them")
    expect(desk.page.get_by_role("link", name="泵房摄像头", exact=True)).to_be_visible()
    expect(desk.page.get_by_role("link", name="校园网东区", exact=True)).to_be_visible()
    expect(desk.page.get_by_role("link", name="冷链传感", exact=True)).to_have_count(0)
    desk.page.goto("/messages/")
    desk.sees("2 came in")


def check_and_import(desk):
    desk.press("Check")
    run_waiting()
    expect(desk.page.get_by_role("heading", name="What will come of the rows")).to_be_visible()
    desk.press("Import")
    run_waiting()
    expect(desk.page.get_by_role("heading", name="What came of the rows")).to_be_visible()


def test_a_workbook_is_read_from_the_right_sheet_and_what_came_in_is_undone(sign_in, rep, tmp_path):
    """Its table stands on the second sheet, under a title; what it changes is shown old beside new."""
    book = Workbook()
    for row in (["Notes", "Who"], ["ask Wang", "Li"], ["ask Li", "Wang"]):
        book.active.append(row)
    sheet = book.create_sheet("Customers")
    for row in (["Our customers"], [], ["Account", "Phone", "Sector"], ["Qinghe Water Group", "0311 1", "Health"]):
        sheet.append(row)
    sheet.append(["Fuhua Steel", "0311 2", "Health"])
    book.save(tmp_path / "list.xlsx")
    desk = Desk(sign_in("rep.shijiazhuang"))
    desk.page.goto("/imports/?kind=customers")
    bring(desk, tmp_path / "list.xlsx")

    desk.page.get_by_text("How the file was read").click()
    expect(desk.page.get_by_label("Sheet")).to_have_value("Customers")
    desk.page.get_by_label("Sheet").select_option("Sheet")
    desk.press("Read again")
    desk.sees("1 of 2 matched")
    desk.page.get_by_label("Sheet").select_option("Customers")
    desk.press("Read again")
    desk.sees("3 of 3 matched")
    desk.page.get_by_label("Overwrite it").check()
    check_and_import(desk)
    expect(desk.page.get_by_role("row", name="Qinghe Water Group").first).to_be_visible()

    desk.follow("Undo")
    desk.press("Undo")
    run_waiting()
    expect(desk.page.get_by_text("This import was undone.")).to_be_visible()
    assert {one.name: one.phone for one in Customer.objects.all()} == {"Qinghe Water Group": ""}


ROADS = {
    "contacts": ("card.vcf", "BEGIN:VCARD\nVERSION:3.0\nFN:Ding Yan\nORG:Qinghe Water Group\nEND:VCARD\n"),
    "follow_ups": ("calls.tsv", "Opportunity\tWhen\tContent\nPump house\t2026-01-02\tCalled.\n"),
    "past": ("past.csv", "Deal,Account,Value,Stage,Closed\nOld one,Qinghe Water Group,5,Won,25/3/2025\n"),
    "users": ("people.csv", "Name,Department\nMoses Frase,Shijiazhuang\n"),
    "picklists": ("values.csv", "List,Name\nIndustry,Fishing\n"),
    "products": ("products.csv", "Product,Category,Price,Unit\nCamera,equipment,1450,piece\n"),
}


@pytest.mark.any_database
@pytest.mark.parametrize("kind", ROADS)
def test_every_kind_comes_in_by_the_same_road(sign_in, rep, tmp_path, kind):
    make.user("root", "administrator", "opportunity_manager", at="head-office", name="Root")
    make.opportunity(rep, name="Pump house")
    make.product()
    name, content = ROADS[kind]
    (tmp_path / name).write_text(content)
    desk = Desk(sign_in("root"))
    desk.page.goto(f"/imports/?kind={kind}")
    bring(desk, tmp_path / name)

    check_and_import(desk)

    desk.sees("Rows that came in: 1.")
    desk.follow("See them")
    expect(desk.page.get_by_role("heading", name="Records of this import")).to_be_visible()


def test_the_road_goes_without_javascript(sign_in, rep, tmp_path):
    file = tmp_path / "customers.csv"
    file.write_text("account,sector\nAcme,technolgy\n")
    desk = Desk(sign_in("rep.shijiazhuang", java_script_enabled=False))
    desk.page.goto("/imports/?kind=customers")
    bring(desk, file)
    desk.press("Match columns")
    desk.page.get_by_label("technolgy stands for").select_option(label="Technology and telecom")
    desk.press("Check")
    run_waiting()
    desk.follow("Look again")
    desk.press("Import")
    run_waiting()
    desk.follow("Look again")
    desk.follow("See them")
    expect(desk.page.get_by_role("link", name="Acme", exact=True)).to_be_visible()


@needs_shared
def test_a_damaged_file_is_refused_beside_the_field(sign_in, rep):
    desk = Desk(sign_in("rep.shijiazhuang"))
    desk.page.goto("/imports/")
    bring(desk, SHARED / "spreadsheets" / "null_archive.xlsx")
    desk.sees("This file cannot be read: it is damaged.")
