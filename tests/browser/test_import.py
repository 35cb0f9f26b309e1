"""A file is brought in through the browser, from the list's Import to the list with what came in."""

import pytest
from playwright.sync_api import expect

from crm.jobs import run_waiting
from opportunities.models import Opportunity
from tests import factories as make
from tests.browser.test_walk import Desk
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


def test_a_file_is_uploaded_matched_checked_and_imported(browser, live_server, rep, tmp_path):
    file = tmp_path / "商机.csv"
    file.write_bytes(CONTENT.encode("gb18030"))
    desk = Desk(browser, live_server.url, "rep.shijiazhuang")
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


def test_the_road_goes_without_javascript(browser, live_server, rep, tmp_path):
    file = tmp_path / "customers.csv"
    file.write_text("account,sector\nAcme,technolgy\n")
    desk = Desk(browser, live_server.url, "rep.shijiazhuang", java_script_enabled=False)
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
def test_a_damaged_file_is_refused_beside_the_field(browser, live_server, rep):
    desk = Desk(browser, live_server.url, "rep.shijiazhuang")
    desk.page.goto("/imports/")
    bring(desk, SHARED / "spreadsheets" / "null_archive.xlsx")
    desk.sees("This file cannot be read: it is damaged.")
