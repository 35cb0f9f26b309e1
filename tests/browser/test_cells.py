"""Cells of a list are changed where they stand, in a browser, by pointer and by keys; files hang on beside them."""

import re
from functools import partial

import pytest
from playwright.sync_api import expect

from opportunities.models import Opportunity
from tests import factories as make
from tests.browser.desk import wrong_with

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

COLUMNS = "columns=name,stage,amount,expected_close_on,files"


@pytest.fixture
def open_list(sign_in):
    """This will give a function that opens a rep's opportunities."""
    rep = make.user("rep", name="Chen Yu", language="en")
    for name in ("Cranes", "Pumps"):
        make.opportunity(rep, name=name, state="active", amount=1000)
    make.opportunity(rep, name="Wires", state="signed")
    return partial(sign_in, rep, f"/opportunities/?{COLUMNS}", expected=["409 (Conflict)"])


def row(page, name):
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


def test_a_cell_is_changed_by_the_pointer_and_the_foot_sums_anew(open_list):
    page = open_list()
    expect(page.locator(".tally[role=status]")).to_contain_text("¥102,000")
    row(page, "Wires").hover()
    expect(row(page, "Wires").locator(".pencil")).to_have_count(0)
    row(page, "Cranes").hover()
    page.get_by_role("button", name="Change Amount").click()
    field = page.get_by_label("Amount", exact=False).and_(page.locator("input[type=text]"))
    expect(field).to_be_focused()
    field.fill("a lot")
    field.press("Enter")
    expect(page.locator(".cell-form .field .error")).to_be_visible()
    expect(field).to_have_value("a lot")
    assert wrong_with(page) == []
    field.fill("45万")
    field.press("Enter")
    expect(row(page, "Cranes")).to_contain_text("¥450,000")
    expect(row(page, "Cranes")).to_have_class(re.compile("fresh"))
    expect(page.locator(".tally[role=status]")).to_contain_text("¥551,000")
    expect(page.locator("[data-cells-said]")).to_have_text("Saved.")
    assert Opportunity.objects.get(name="Cranes").amount == 450_000


def test_a_cell_is_changed_by_keys_alone_and_left_by_escape(open_list):
    page = open_list()
    expect(page.locator(".tally[role=status]")).to_contain_text("¥102,000")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_contain_text("Change a cell of the row")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Pumps", exact=True).focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Change Opportunity")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Change Stage")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("e")
    expect(page.locator(".cell-form input[name=amount]")).to_be_focused()
    page.keyboard.type("7")
    page.keyboard.press("Escape")
    expect(page.locator(".cell-form")).to_have_count(0)
    expect(page.get_by_role("button", name="Change Amount")).to_be_focused()
    assert Opportunity.objects.get(name="Pumps").amount == 1000
    page.keyboard.press("e")
    expect(page.locator(".cell-form input[name=amount]")).to_be_focused()
    page.keyboard.type("2500")
    page.keyboard.press("Enter")
    expect(row(page, "Pumps")).to_contain_text("¥2,500")
    expect(page.get_by_role("button", name="Change Amount")).to_be_focused()


def test_without_a_script_a_cell_has_a_page_that_leads_back(open_list):
    page = open_list(java_script_enabled=False)
    address = page.get_by_role("link", name="Pumps", exact=True).get_attribute("href")
    page.goto(f"{address}cell/amount/?list=sort%3D-amount")
    page.get_by_label("Amount").fill("2500")
    page.get_by_role("button", name="Save").click()
    expect(page).to_have_url(re.compile(r"/opportunities/\?sort=-amount$"))
    expect(row(page, "Pumps")).to_contain_text("¥2,500")


def test_a_name_is_changed_in_its_cell_and_the_row_still_opens_the_record(open_list):
    page = open_list()
    row(page, "Pumps").hover()
    row(page, "Pumps").get_by_role("button", name="Change Opportunity").click()
    field = page.locator(".cell-form input[name=name]")
    expect(field).to_have_value("Pumps")
    assert wrong_with(page) == []
    field.fill("Pumps and valves")
    field.press("Enter")
    expect(row(page, "Pumps and valves")).to_be_visible()
    expect(page.get_by_role("button", name="Change Opportunity")).to_be_focused()
    assert Opportunity.objects.filter(name="Pumps and valves").exists()
    place = row(page, "Pumps and valves").locator("td[data-field=files]").bounding_box()
    page.mouse.click(place["x"] + 2, place["y"] + 2)  # the link of the name lies over the whole row
    expect(page.get_by_role("heading", name="Pumps and valves")).to_be_visible()


def test_the_menu_of_a_row_opens_by_the_pointer_and_by_keys(open_list):
    page = open_list()
    row(page, "Pumps").hover()
    row(page, "Pumps").get_by_role("link", name="Actions of this row").click()
    panel = row(page, "Pumps").locator(".panel")
    expect(panel.get_by_role("link", name="Open", exact=True)).to_be_focused()
    assert wrong_with(page) == []
    page.keyboard.press("ArrowUp")
    expect(panel.get_by_role("link", name="Copy")).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(row(page, "Pumps").locator("summary")).to_be_focused()
    page.keyboard.press("m")
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    page.keyboard.press("m")
    panel = row(page, "Cranes").locator(".panel")
    panel.get_by_role("link", name="Copy").click()  # a question, in a dialog over the list
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("/opportunities/"))


def test_without_a_script_the_menu_of_a_row_is_a_page(open_list):
    page = open_list(java_script_enabled=False)
    row(page, "Pumps").get_by_role("link", name="Actions of this row").click()
    page.get_by_role("link", name="Share", exact=True).click()
    expect(page).to_have_url(re.compile(r"/opportunities/\d+/share/$"))


def test_files_are_added_to_a_row_without_leaving_the_list(open_list):
    page = open_list()
    page.get_by_role("link", name="0 files: Pumps").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Files")).to_be_visible()
    offer = {"name": "offer.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4"}
    dialog.locator("input[type=file]").set_input_files(offer)
    expect(dialog.get_by_role("link", name="offer.pdf", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(page.locator("[data-files-count]", has_text="1")).to_have_count(1)
    assert Opportunity.objects.get(name="Pumps").file_count == 1


def test_without_a_script_the_files_of_a_row_lead_back_to_the_list(open_list):
    page = open_list(java_script_enabled=False)
    page.get_by_role("link", name="0 files: Pumps").click()
    offer = {"name": "offer.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4"}
    page.locator("input[type=file]").set_input_files(offer)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("link", name="offer.pdf", exact=True)).to_be_visible()
    page.get_by_role("link", name="Back to the list").click()
    expect(page).to_have_url(re.compile(re.escape(COLUMNS).replace(",", "(,|%2C)")))
    expect(page.get_by_role("link", name="1 file: Pumps")).to_be_visible()


def test_a_part_that_was_not_loaded_says_so_and_tries_again(open_list):
    page = open_list(expected=["500 (Internal Server Error)", "htmx:responseError", "Response Status Error Code 500"])
    broken = [True]
    page.route("**/opportunities/totals/**", lambda route: route.fulfill(status=500) if broken else route.continue_())
    page.reload()
    said = page.get_by_role("alert").filter(has_text="This part could not be loaded.")
    expect(said).to_be_visible()
    broken.clear()
    said.get_by_role("button", name="Try again").click()
    expect(page.locator(".tally[role=status]")).to_contain_text("¥102,000")
    expect(said).to_have_count(0)
