"""From record to record of a list, in a browser: by keys and by pointer, over pages, and back to just that list."""

from functools import partial

import pytest
from playwright.sync_api import expect

from opportunities.models import Opportunity
from tests import factories as make
from tests.browser.desk import painted, wrong_with

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

LIST = "/opportunities/?state=active&sort=name&size=25"


@pytest.fixture
def open_page(sign_in):
    """This will give a function that opens a page for a rep who has 27 opportunities in hand and one draft."""
    rep = make.user("rep", name="Chen Yu", language="en")
    customer = make.customer(rep, name="Anping Wire")
    for number in range(1, 28):
        make.opportunity(rep, name=f"Line {number:02}", customer=customer)
    Opportunity.objects.update(state="active")
    make.opportunity(rep, name="A draft", customer=customer)
    return partial(sign_in, rep)


def title(page):
    return page.get_by_role("heading", level=1)


def line(page):
    return page.locator(".back")


def test_keys_lead_over_a_page_bound_and_back_to_the_page_that_the_record_is_on(open_page, live_server):
    page = open_page(LIST)
    page.get_by_role("link", name="Line 25", exact=True).click()
    expect(line(page)).to_contain_text("25 of 27")
    assert page.evaluate("location.search") == ""
    assert wrong_with(page) == []
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_contain_text("Next in the list, previous one")
    expect(keys).to_contain_text("Back to the list")
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()

    painted(page)
    page.keyboard.press("J")
    expect(title(page)).to_have_text("Line 26")
    expect(line(page)).to_contain_text("26 of 27")
    page.keyboard.press("J")
    expect(line(page)).to_contain_text("27 of 27")
    expect(line(page).get_by_role("link", name="Next in the list")).to_have_count(0)
    page.keyboard.press("J")  # leads nowhere
    page.keyboard.press("K")
    expect(title(page)).to_have_text("Line 26")
    expect(line(page)).to_contain_text("26 of 27")
    page.keyboard.press("u")
    expect(page.locator("td.name")).to_have_text(["Line 26", "Line 27"])
    assert page.evaluate("new URLSearchParams(location.search).get('sort')") == "name"
    page.go_back()
    expect(title(page)).to_have_text("Line 26")
    expect(line(page)).to_contain_text("26 of 27")


def test_who_changes_the_record_goes_on_from_it_and_who_comes_from_elsewhere_is_told_nothing(open_page):
    page = open_page(LIST)
    page.get_by_role("link", name="Line 03", exact=True).click()
    expect(line(page)).to_contain_text("3 of 27")
    page.get_by_role("link", name="Modify").click()
    page.get_by_label("Opportunity name").fill("Line 09b")
    page.get_by_role("button", name="Save").click()
    expect(title(page)).to_have_text("Line 09b")
    expect(line(page)).to_contain_text("9 of 27")
    line(page).get_by_role("link", name="Next in the list").click()
    expect(title(page)).to_have_text("Line 10")

    Opportunity.objects.filter(name="Line 10").update(state="returned")
    page.reload()
    expect(line(page)).to_contain_text("Not in this list")
    expect(line(page).get_by_role("link")).to_have_text([" Opportunities"])

    page.get_by_role("link", name="Anping Wire").first.click()
    page.get_by_role("link", name="Line 01", exact=True).click()
    expect(title(page)).to_have_text("Line 01")
    expect(line(page)).to_have_text("Opportunities")
    assert line(page).get_by_role("link").get_attribute("href") == "/opportunities/"


def test_a_record_in_a_tab_of_its_own_steps_too_and_what_somebody_else_looked_at_is_forgotten(open_page):
    page = open_page(LIST)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Line 02", exact=True).click(modifiers=["Control"])
    expect(line(opened.value)).to_contain_text("2 of 27")
    opened.value.evaluate("sessionStorage.list = JSON.stringify({user: '0', address: '/opportunities/?q=secret'})")
    opened.value.goto("/opportunities/new/")
    opened.value.evaluate(f"location.assign('/opportunities/{Opportunity.objects.first().pk}/')")
    expect(line(opened.value)).to_have_text("Opportunities")


def test_without_script_the_way_back_and_the_arrows_are_links(open_page):
    page = open_page(LIST, java_script_enabled=False)
    page.get_by_role("link", name="Line 25", exact=True).click()
    line(page).get_by_role("link", name="Next in the list").click()
    expect(title(page)).to_have_text("Line 26")
    line(page).get_by_role("link", name="Next in the list").click()
    expect(title(page)).to_have_text("Line 27")
    line(page).get_by_role("link", name="Previous in the list").click()
    line(page).get_by_role("link", name="Opportunities").click()
    expect(page.locator("td.name")).to_have_text(["Line 26", "Line 27"])


def test_from_the_board_one_comes_back_to_the_board(open_page):
    page = open_page("/opportunities/board/?owner=me")
    page.get_by_role("link", name="Line 02", exact=True).click()
    expect(title(page)).to_have_text("Line 02")
    page.keyboard.press("u")
    expect(page.get_by_role("group", name="Board by stage")).to_be_visible()
    assert page.evaluate("location.search") == "?owner=me"


def test_on_a_telephone_the_arrows_are_under_the_thumb_and_move_nothing(open_page):
    page = open_page(LIST, viewport={"width": 390, "height": 844}, has_touch=True)
    page.get_by_role("link", name="Line 02", exact=True).tap()
    expect(line(page)).to_contain_text("2 of 27")
    box = line(page).get_by_role("link", name="Next in the list").bounding_box()
    assert min(box["width"], box["height"]) >= 40
    assert page.evaluate("document.documentElement.scrollWidth") == 390
