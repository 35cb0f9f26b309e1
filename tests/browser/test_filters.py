"""Building conditions in a browser: with JavaScript and without, by mouse, by keyboard, and on a phone."""

import re
from functools import partial

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.factories import customer, opportunity, user

pytestmark = pytest.mark.django_db(transaction=True)

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def office():
    rep = user("rep", name="Liu Min")
    bank = customer(rep, name="Yunhe Bank")
    opportunity(rep, name="Cloud for the bank", customer=bank, amount=900000)
    opportunity(rep, name="Line for the bank", customer=bank, amount=20000)
    opportunity(rep, name="Line for the port", amount=50000)


@pytest.fixture
def desk(sign_in, office):
    """This will give a function that opens the rep's opportunities."""
    return partial(sign_in, "rep", "/opportunities/")


def names(page):
    return page.locator(".rows td.name a").all_inner_texts()


def field_of(page, number):
    return page.get_by_role("combobox", name="Field").nth(number)


def test_conditions_in_groups_are_built_shown_and_taken_away(desk):
    page = desk()
    page.locator(".filters").get_by_role("link", name="Filter").click()
    expect(page.get_by_role("combobox", name="Field")).to_have_count(2)
    field_of(page, 0).select_option("Amount")
    page.get_by_role("group", name="Amount").get_by_label("Amount at most").fill("6万")
    page.get_by_role("button", name="Add group").click()
    inner = page.get_by_role("group", name="Group of conditions")
    expect(inner.get_by_role("combobox", name="Field")).to_be_focused()
    inner.get_by_role("combobox", name="Field").select_option("Opportunity name")
    inner.get_by_role("textbox", name="Opportunity name").fill("port")
    inner.get_by_role("button", name="Add condition").click()
    expect(inner.get_by_role("combobox", name="Field")).to_have_count(2)
    inner.get_by_role("combobox", name="Field").nth(1).select_option("Customer")
    picker = inner.get_by_role("combobox", name="Customer", exact=True)
    picker.fill("yunhe")
    expect(inner.get_by_role("option", name="Yunhe Bank")).to_be_visible()
    picker.press("ArrowDown")
    picker.press("Enter")
    expect(inner.get_by_label("Yunhe Bank")).to_be_checked()
    expect(page.get_by_label("Amount at most")).to_have_value("6万")
    assert Axe().run(page).response["violations"] == []
    page.get_by_role("button", name="Show").last.click()
    expect(page.locator(".rows td.name")).to_have_count(2)
    assert sorted(names(page)) == ["Line for the bank", "Line for the port"]
    page.get_by_role("link", name=re.compile("^any of")).click()
    inner.get_by_role("combobox", name="How many must hold").select_option("None of these holds")
    page.get_by_role("button", name="Show").last.click()
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    page.get_by_role("link", name=re.compile("^Remove: none of")).click()
    expect(page.locator(".rows td.name")).to_have_count(2)


def test_what_is_wrong_is_said_beside_it_and_leaving_asks_nothing(desk):
    page = desk()
    page.goto("/opportunities/filter/")
    field_of(page, 1).select_option("Amount")
    page.get_by_label("Amount at least").fill("lots")
    page.get_by_label("Amount at least").press("Enter")
    expect(page.get_by_text("One condition to correct")).to_be_visible()
    expect(page.get_by_label("Amount at least")).to_have_value("lots")
    expect(page.get_by_role("group", name="Amount")).to_contain_text("45万")
    page.get_by_label("Amount at least").fill("50000")
    page.get_by_role("link", name="Opportunities").first.click()
    expect(page.get_by_role("heading", name="Opportunities")).to_be_visible()


@pytest.mark.parametrize("by", ["a button", "a field"])
def test_what_is_written_while_an_answer_is_on_its_way_is_kept(desk, by):
    page, held = desk(), []
    page.goto("/opportunities/filter/")
    field_of(page, 1).select_option("Amount")
    amount = page.get_by_label("Amount at least")
    expect(amount).to_be_visible()
    page.route("**/opportunities/filter/**", lambda route: held.append(route), times=1)
    with page.expect_request("**/opportunities/filter/**"):
        if by == "a button":
            page.get_by_role("button", name="Add condition").click()
        else:
            field_of(page, 0).select_option("Probability")
    amount.press_sequentially("50000")
    held[0].continue_()

    if by == "a button":
        expect(page.get_by_role("combobox", name="Field")).to_have_count(3)
    else:
        expect(page.get_by_role("group", name="Probability")).to_be_visible()
        expect(amount).to_be_focused()
    expect(amount).to_have_value("50000")


def test_what_is_chosen_the_moment_it_is_there_is_asked_for(desk):
    page = desk()
    page.goto("/opportunities/filter/")
    page.evaluate(
        """() => new MutationObserver((changes, observer) => {
          const ways = document.querySelector("select[name$='-op']:has([value=over])");
          if (!ways) return;
          observer.disconnect();
          ways.value = "over";
          ways.dispatchEvent(new Event("change", { bubbles: true }));
        }).observe(document.querySelector("main"), { childList: true, subtree: true })"""
    )
    field_of(page, 1).select_option("Amount")
    expect(page.get_by_role("group", name="Amount").get_by_role("textbox")).to_have_count(1)


def test_it_goes_by_keyboard_alone(desk):
    page = desk()
    page.goto("/opportunities/filter/")
    add = page.get_by_role("button", name="Add condition")
    add.focus()
    page.keyboard.press("Enter")
    expect(field_of(page, 2)).to_be_focused()
    page.keyboard.type("Opportunity name")
    expect(page.get_by_role("textbox", name="Opportunity name")).to_be_visible()
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("cloud")
    page.keyboard.press("Enter")
    expect(page.locator(".rows td.name")).to_have_count(1)
    assert names(page) == ["Cloud for the bank"]


def test_it_works_without_javascript_and_on_a_phone(desk):
    page = desk(java_script_enabled=False, viewport=PHONE)
    page.get_by_role("link", name="Filter", exact=True).click()
    page.get_by_role("button", name="Add condition").click()
    expect(field_of(page, 2)).to_be_focused()
    field_of(page, 2).select_option("Opportunity name")
    page.get_by_role("button", name="Apply").nth(2).click()
    page.get_by_role("textbox", name="Opportunity name").fill("line")
    page.get_by_role("combobox", name="How many must hold").select_option("None of these holds")
    page.get_by_role("button", name="Show").last.click()
    assert names(page) == ["Cloud for the bank"]
    expect(page.get_by_role("link", name="Filter · 1")).to_be_visible()
