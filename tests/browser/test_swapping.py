"""A list is sorted, turned and narrowed without its page being loaded anew; what one was at stays."""

import pytest
from playwright.sync_api import expect

from opportunities.models import Opportunity
from tests import factories as make
from tests.browser.desk import wrong_with
from tests.factories import PASSWORD

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]


@pytest.fixture
def open_list(sign_in):
    """This will give a function that opens a rep's 28 opportunities."""
    rep = make.user("rep", name="Chen Yu", language="en")
    customer = make.customer(rep, name="Anping Wire")
    for number in range(1, 28):
        where = " in the harbour" if number == 7 else " of cranes" if number < 10 else ""
        make.opportunity(rep, name=f"Line {number:02}{where}", customer=customer, amount=number * 1000)
    Opportunity.objects.update(state="active")
    make.opportunity(rep, name="A draft", customer=customer, amount=1)

    def opened(address="/opportunities/?size=25&sort=name", **how):
        page = sign_in(rep, address, **how)
        if how.get("java_script_enabled", True):
            page.evaluate("window.sameDocument = true")
        return page

    return opened


def same(page):
    """Whether the page is still the one that was loaded."""
    return page.evaluate("window.sameDocument === true")


def names(page):
    return page.locator("td.name")


def first(page, name):
    expect(names(page).first).to_have_text(name)


def asked(page):
    return page.evaluate("Object.fromEntries(new URLSearchParams(location.search))")


def find(page):
    return page.get_by_role("searchbox", name="Find in this list")


def said(page):
    return page.locator("main > p[role=status]")


def test_a_head_sorts_in_place_by_keys_keeps_the_focus_and_says_what_came(open_list):
    page = open_list()
    head = page.get_by_role("columnheader", name="Amount").get_by_role("link")
    head.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("columnheader", name="Amount")).to_have_attribute("aria-sort", "ascending")
    first(page, "A draft")
    expect(head).to_be_focused()
    page.keyboard.press("Enter")
    first(page, "Line 27")
    expect(head).to_be_focused()
    expect(page.get_by_role("columnheader", name="Amount")).to_have_attribute("aria-sort", "descending")
    expect(said(page)).to_have_text("Rows 1–25")
    expect(page.locator(".tally[role=status]")).to_contain_text("28 opportunities")
    assert asked(page) == {"size": "25", "sort": "-amount"}
    assert same(page)
    assert wrong_with(page) == []


def test_pages_turn_in_place_and_back_and_forward_lead_through_them(open_list):
    page = open_list()
    page.get_by_role("link", name="Next page").click()
    expect(names(page)).to_have_text(["Line 25", "Line 26", "Line 27"])
    expect(page.get_by_role("link", name="Previous page")).to_be_focused()  # there is no next one
    expect(said(page)).to_have_text("Rows 26–28")
    page.get_by_role("columnheader", name="Amount").get_by_role("link").click()
    first(page, "A draft")  # which was on the first page
    page.go_back()
    expect(names(page)).to_have_text(["Line 25", "Line 26", "Line 27"])
    page.go_back()
    first(page, "A draft")
    expect(names(page)).to_have_count(25)
    page.go_forward()
    expect(names(page)).to_have_count(3)
    assert same(page)
    page.get_by_role("link", name="Line 26", exact=True).click()
    expect(page.locator(".back")).to_contain_text("27 of 28")
    page.go_back()
    expect(names(page)).to_have_text(["Line 25", "Line 26", "Line 27"])


def test_what_was_counted_of_the_list_before_is_not_said_of_this_one(open_list):
    page = open_list("/")
    held = []
    page.route("**/opportunities/totals/**", lambda route: held.append(route), times=1)
    page.goto("/opportunities/?size=25&sort=name")
    expect(page.locator(".late-part.htmx-request")).to_be_attached()
    page.get_by_role("link", name="Next page").click()
    expect(names(page)).to_have_count(3)
    expect(page.locator("#range")).to_have_text("26–28 of 28")
    with page.expect_response(held[0].request.url):
        held[0].continue_()
    page.wait_for_timeout(200)
    expect(page.locator("#range")).to_have_text("26–28 of 28")


def test_what_is_typed_into_the_find_box_finds_and_is_not_lost_when_something_else_is_pressed(open_list):
    page = open_list()
    find(page).fill("crane")
    find(page).press("Enter")
    expect(names(page)).to_have_count(8)
    expect(find(page)).to_be_focused()
    expect(find(page)).to_have_value("crane")
    find(page).fill("harbour")  # and not sent
    page.get_by_role("columnheader", name="Amount").get_by_role("link").click()
    expect(page.get_by_role("columnheader", name="Amount")).to_have_attribute("aria-sort", "ascending")
    expect(names(page)).to_have_count(8)
    expect(find(page)).to_have_value("harbour")
    find(page).press("Enter")
    expect(names(page)).to_have_text(["Line 07 in the harbour"])
    find(page).fill("nothing at all")
    find(page).press("Enter")
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    expect(said(page)).to_have_text("Nothing matches")
    page.get_by_role("link", name="Show all").click()
    expect(names(page)).to_have_count(28)  # as the list opens: its own size of a page
    expect(find(page)).to_have_value("")
    assert same(page)


def test_tabs_and_conditions_narrow_in_place(open_list):
    page = open_list()
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Open", exact=True).click()
    expect(page.get_by_role("link", name="Remove: State is open")).to_be_visible()
    expect(page.locator(".views [aria-current=page]")).to_have_text("Open")
    expect(page.locator(".views [aria-current=page]")).to_be_focused()
    assert page.get_by_role("link", name="Export").get_attribute("href") == "/opportunities/export/?state=open"
    page.get_by_role("link", name="Remove: State is open").click()
    expect(page.locator(".views [aria-current=page]")).to_have_text("All")
    expect(page.locator(".chips .chip.new")).to_be_focused()
    assert same(page)


def test_rows_are_selected_and_cells_changed_after_it_as_before(open_list):
    page = open_list()
    page.get_by_role("columnheader", name="Amount").get_by_role("link").click()
    expect(page.get_by_role("columnheader", name="Amount")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("checkbox", name="Select all rows of this page").check()
    expect(page.locator("form#selected")).to_contain_text("25 selected")
    page.get_by_role("link", name="Select all that match").or_(page.locator("#select-every")).first.click()
    expect(page.locator("form#selected")).to_contain_text("All that match are selected")
    page.get_by_role("columnheader", name="Amount").get_by_role("link").click()
    first(page, "Line 27")
    expect(page.locator("form#selected")).to_be_hidden()
    page.get_by_role("link", name="Columns").click()
    dialog = page.get_by_role("dialog", name="Columns: Opportunities")
    expect(dialog.get_by_label("Sort by", exact=True)).to_have_value("-amount")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("link", name="Columns")).to_be_focused()  # it gets it back a moment after
    page.get_by_role("link", name="Line 27", exact=True).focus()
    page.keyboard.press("Tab")
    page.keyboard.press("e")
    form = page.locator(".cell-form")
    expect(form).to_be_visible()
    page.keyboard.press("Escape")
    expect(form).to_have_count(0)
    assert same(page)


def test_what_is_typed_in_a_cell_is_asked_about_before_it_is_lost(open_list):
    page = open_list()
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Line 03 of cranes", exact=True))
    row.hover()
    page.get_by_role("button", name="Change Amount").click()
    page.locator(".cell-form input[type=text]").fill("777")
    asks = []
    page.on("dialog", lambda dialog: (asks.append(dialog.type), dialog.dismiss()))
    page.get_by_role("columnheader", name="Stage").click()
    page.get_by_role("columnheader", name="Expected close").get_by_role("link").click()
    expect(page.locator(".cell-form input[type=text]")).to_have_value("777")
    assert asks == ["beforeunload"]


def test_a_session_that_is_over_leads_to_signing_in_and_back_to_what_was_asked(open_list):
    page = open_list()
    page.context.clear_cookies()
    page.get_by_role("columnheader", name="Amount").get_by_role("link").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.get_by_label("User name").fill("rep")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    first(page, "A draft")
    assert asked(page) == {"size": "25", "sort": "amount"}


def test_the_board_is_narrowed_in_place_and_its_cards_go_on_moving(open_list):
    page = open_list("/opportunities/board/")
    find(page).fill("harbour")
    find(page).press("Enter")
    expect(page.locator(".deal")).to_have_count(1)
    expect(said(page)).to_have_text("1 opportunity")
    page.locator(".deal summary").click()
    page.get_by_role("button", name="Needs confirmed").click()
    expect(page.get_by_role("region", name="Needs confirmed").locator(".deal h3")).to_have_text(
        "Line 07 in the harbour"
    )
    assert same(page)


def test_without_script_all_of_it_is_links_and_a_form(open_list):
    page = open_list(java_script_enabled=False)
    page.get_by_role("columnheader", name="Amount").get_by_role("link").click()
    first(page, "A draft")
    page.get_by_role("link", name="Next page").click()
    expect(names(page)).to_have_text(["Line 25", "Line 26", "Line 27"])
    find(page).fill("harbour")
    find(page).press("Enter")
    expect(names(page)).to_have_text(["Line 07 in the harbour"])
