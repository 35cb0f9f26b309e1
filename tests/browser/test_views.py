"""A view is built, kept and shared in a browser; somebody else opens it and sees only what is theirs."""

from functools import partial

import pytest
from playwright.sync_api import expect

from crm.saved_views import SavedView
from tests import factories as make
from tests.browser.desk import wrong_with

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def open_list(sign_in):
    """This will give a function that opens the opportunities of somebody."""
    for username, name in (("rep", "Chen Yu"), ("other", "Liu Min")):
        person = make.user(username, name=name, language="en")
        for number in range(2):
            make.opportunity(person, name=f"{name} {number}", state="active", amount=1000 * (number + 1))
    return partial(sign_in, address="/opportunities/")


def tabs(page):
    return page.get_by_role("navigation", name="Views")


def heads(page):
    return page.get_by_role("columnheader").all_inner_texts()


def test_a_view_is_built_kept_and_shared_and_another_sees_only_theirs_in_it(open_list):
    page = open_list("rep")
    tabs(page).get_by_role("link", name="Open", exact=True).click()
    page.get_by_role("link", name="Columns").click()
    dialog = page.get_by_role("dialog", name="Columns: Opportunities")
    dialog.get_by_role("checkbox", name="Number").check()
    dialog.get_by_role("checkbox", name="Customer").uncheck()
    dialog.get_by_role("button", name="Move Stage down").click()
    dialog.get_by_label("Sort by", exact=True).select_option("-amount")
    assert wrong_with(page) == []
    dialog.get_by_role("button", name="Show").click()
    expect(page.get_by_role("columnheader", name="Number")).to_be_visible()
    shown = heads(page)
    assert shown.index("Amount ↓") < shown.index("Stage")
    assert "Customer" not in shown

    tabs(page).get_by_role("link", name="Save as…").click()
    dialog = page.get_by_role("dialog", name="A new view of Opportunities")
    expect(dialog.get_by_label("Departments", exact=True)).to_be_hidden()
    dialog.get_by_label("Name").fill("Largest first")
    dialog.get_by_text("Everybody").click()
    dialog.get_by_role("button", name="Save").click()
    current = tabs(page).locator("[aria-current=page]")
    expect(current).to_have_text("Largest first")
    expect(tabs(page).get_by_text("Changed")).to_be_hidden()

    theirs = open_list("other")
    expect(tabs(theirs).get_by_role("link", name="Largest first")).to_be_hidden()
    tabs(theirs).get_by_role("link", name="Views").click()
    theirs.get_by_role("button", name="Pin").click()
    theirs.get_by_role("link", name="Largest first").click()
    expect(tabs(theirs).locator("[aria-current=page]")).to_have_text("Largest first")
    assert heads(theirs) == shown
    assert theirs.locator("td.name").all_inner_texts() == ["Liu Min 1", "Liu Min 0"]
    expect(tabs(theirs).get_by_role("button", name="Save")).to_be_hidden()

    theirs.get_by_role("link", name="Remove: State is open").click()
    expect(tabs(theirs).get_by_text("Changed")).to_be_visible()
    expect(tabs(theirs).get_by_role("button", name="Save")).to_be_hidden()
    tabs(theirs).get_by_role("link", name="Reset").click()
    expect(tabs(theirs).get_by_text("Changed")).to_be_hidden()


def test_a_column_is_found_among_many_and_none_is_lost_that_is_not_shown(open_list):
    page = open_list("rep")
    page.get_by_role("link", name="Columns").click()
    dialog = page.get_by_role("dialog", name="Columns: Opportunities")
    box = dialog.get_by_role("searchbox", name="Find a column")
    box.fill("follow-UP")
    expect(dialog.get_by_role("listitem")).to_have_count(2)
    box.press("Enter")
    expect(dialog.get_by_role("checkbox", name="Last follow-up")).to_be_focused()
    box.fill("xyzzy")
    expect(dialog.get_by_role("listitem")).to_have_count(0)
    expect(dialog.get_by_role("status")).to_have_text("No column is called that.")
    box.fill("next follow")
    dialog.get_by_role("checkbox", name="Next follow-up").check()
    dialog.get_by_role("button", name="Show").click()
    expect(page.get_by_role("columnheader", name="Next follow-up")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Amount")).to_be_visible()


def test_without_script_columns_are_moved_and_a_view_is_kept_and_saved(open_list):
    page = open_list("rep", java_script_enabled=False)
    page.get_by_role("link", name="Columns").click()
    expect(page.get_by_role("searchbox", name="Find a column")).to_be_hidden()
    page.get_by_role("button", name="Move Stage up").click()
    page.get_by_role("checkbox", name="Number").check()
    page.get_by_role("button", name="Show").click()
    shown = heads(page)
    assert shown.index("Stage") < shown.index("Customer") < shown.index("Number")
    tabs(page).get_by_role("link", name="Save as…").click()
    page.get_by_label("Name").fill("Stages first")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("columnheader", name="Amount").get_by_role("link").click()
    expect(tabs(page).get_by_text("Changed")).to_be_visible()
    tabs(page).get_by_role("button", name="Save", exact=True).click()
    expect(tabs(page).get_by_text("Changed")).to_be_hidden()
    assert SavedView.objects.get().sort == "amount"


def test_on_a_telephone_nothing_moves_sideways_and_chosen_columns_have_lines_of_their_own(open_list):
    page = open_list("rep", viewport={"width": 390, "height": 800})
    page.goto("/opportunities/?columns=name,amount,number,description,owner")
    expect(page.locator("td[data-field=number]").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
