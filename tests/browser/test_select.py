"""Rows of a list are selected and go out, in a browser: with JavaScript and without, by keys alone, on a telephone."""

from functools import partial

import pytest
from playwright.sync_api import expect

from tests import factories as make
from tests.browser.desk import wrong_with

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = ["Anping Wire", "Baoding Dairy", "Cangzhou Port", "Dingzhou Rail"]


@pytest.fixture
def open_list(sign_in):
    """This will give a function that opens a rep's customers."""
    rep = make.user("rep", name="Chen Yu", language="en")
    for name in NAMES:
        make.customer(rep, name=name)
    return partial(sign_in, rep, "/customers/")


def box(page, name):
    return page.get_by_role("checkbox", name=f"Select {name}", exact=True)


def all_of(page):
    return page.get_by_role("checkbox", name="Select all rows of this page")


def bar(page):
    return page.locator("form#selected")


def names_in(download):
    lines = download.path().read_text(encoding="utf-8-sig").splitlines()
    return [line.split(",")[0].strip('"') for line in lines[1:]]


def test_a_bar_says_how_many_are_selected_and_takes_them_out(open_list):
    page = open_list()
    expect(bar(page)).to_be_hidden()
    box(page, "Cangzhou Port").check()
    box(page, "Anping Wire").check()
    expect(bar(page)).to_be_visible()
    expect(bar(page)).to_contain_text("2 selected")
    assert all_of(page).evaluate("box => box.indeterminate")
    assert wrong_with(page) == []

    bar(page).get_by_role("button", name="Export").click()
    dialog = page.get_by_role("dialog", name="Export: Customers")
    expect(dialog.get_by_label("The 2 selected rows")).to_be_checked()
    dialog.get_by_label("CSV").check()
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Export").click()
    assert names_in(download.value) == ["Anping Wire", "Cangzhou Port"]

    bar(page).get_by_role("button", name="Clear").click()
    expect(bar(page)).to_be_hidden()
    expect(all_of(page)).to_be_focused()
    expect(box(page, "Anping Wire")).not_to_be_checked()


def test_the_head_selects_the_page_and_shift_all_between_two(open_list):
    page = open_list()
    all_of(page).check()
    expect(bar(page)).to_contain_text("4 selected")
    all_of(page).uncheck()
    expect(bar(page)).to_be_hidden()
    box(page, NAMES[0]).click()
    box(page, NAMES[2]).click(modifiers=["Shift"])
    expect(bar(page)).to_contain_text("3 selected")
    box(page, NAMES[3]).click()
    expect(all_of(page)).to_be_checked()


def test_keys_alone_select_and_take_out(open_list):
    page = open_list()
    all_of(page).focus()
    while page.evaluate("document.activeElement.name") != "pk":
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(box(page, NAMES[0])).to_be_checked()
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(bar(page)).to_contain_text("2 selected")
    bar(page).get_by_role("button", name="Export").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Export: Customers")
    expect(dialog.get_by_label("The 2 selected rows")).to_be_checked()
    page.keyboard.press("Escape")
    expect(bar(page).get_by_role("button", name="Export")).to_be_focused()
    expect(bar(page)).to_contain_text("2 selected")  # it closed the dialog, and nothing else
    page.keyboard.press("Escape")
    expect(bar(page)).to_be_hidden()
    expect(box(page, NAMES[0])).not_to_be_checked()


def test_without_javascript_the_boxes_lead_to_the_page_that_asks(open_list):
    page = open_list(java_script_enabled=False)
    expect(bar(page)).to_be_hidden()
    expect(all_of(page)).to_be_hidden()
    box(page, NAMES[1]).check()
    bar(page).get_by_role("button", name="Export").click()
    expect(page.get_by_role("heading", name="Export: Customers")).to_be_visible()
    expect(page.get_by_label("The selected row")).to_be_checked()
    page.get_by_label("CSV").check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    assert names_in(download.value) == [NAMES[1]]


def test_on_a_telephone_rows_and_the_page_can_be_selected(open_list):
    page = open_list(viewport={"width": 390, "height": 844}, has_touch=True)
    page.get_by_text("Select this page").tap()
    expect(bar(page)).to_contain_text("4 selected")
    box(page, NAMES[1]).tap()
    expect(bar(page)).to_contain_text("3 selected")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.url.endswith("/customers/")  # no row was opened
    size = page.locator("td.choose label").first.bounding_box()
    assert min(size["width"], size["height"]) >= 40
