"""The lists and the board in windows of several widths: nothing is lost, nothing lies over anything else."""

import pytest
from playwright.sync_api import expect

from opportunities.models import Opportunity
from tests.browser import test_cells

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

open_list, row = test_cells.open_list, test_cells.row
PHONE = {"width": 390, "height": 844}
MANY = (
    "name,customer,stage,amount,expected_close_on,waits,owner,last_follow_up_at,number,reference,state,business_type,"
    "source,probability"
)


def place(locator):
    found = locator.bounding_box()
    return found["x"], found["x"] + found["width"]


def test_on_a_telephone_one_changes_between_list_and_board(open_list):
    page = open_list(viewport=PHONE)
    views = page.get_by_role("navigation", name="Views")
    views.get_by_role("link", name="Board").click()
    expect(page.get_by_role("group", name="Board by stage")).to_be_visible()
    views.get_by_role("link", name="List").click()
    expect(page.get_by_role("table")).to_be_visible()


def test_on_a_telephone_the_strip_shows_the_view_one_is_in(open_list):
    page = open_list(viewport=PHONE)
    page.goto("/opportunities/")
    left, right = place(page.locator(".views [aria-current]"))
    assert left >= 0 and right <= 390


def test_in_a_narrow_window_the_head_keeps_its_title_whole_and_the_rest_in_a_menu(open_list):
    page = open_list(viewport={"width": 1024, "height": 800})
    title = page.get_by_role("heading", name="Opportunities")
    assert title.bounding_box()["height"] < 40
    expect(page.get_by_role("link", name="Follow-up Records", exact=True)).to_have_count(0)
    page.locator(".head summary").click()
    expect(page.get_by_role("link", name="Follow-up Records", exact=True)).to_be_visible()
    page.set_viewport_size({"width": 1440, "height": 800})
    expect(page.locator(".head").get_by_role("link", name="Follow-up Records", exact=True)).to_be_visible()
    expect(page.locator(".head summary")).to_be_hidden()


def test_moved_sideways_a_wide_list_keeps_its_names_and_its_heads(open_list):
    page = open_list(viewport={"width": 1180, "height": 700})
    page.goto(f"/opportunities/?columns={MANY}")
    name, head = row(page, "Cranes").locator("td.name"), page.locator("thead th.name, thead th:nth-child(2)").first
    before = place(name)
    page.evaluate("document.querySelector('.broad').scrollLeft = 300")
    assert place(name)[0] == before[0] == place(head)[0]
    box = page.locator(".broad").bounding_box()
    assert box["y"] + box["height"] <= 700  # and with it the bar one moves it by
    row(page, "Cranes").get_by_text("Chen Yu").click()  # the whole row still opens it
    expect(page.get_by_role("heading", name="Cranes")).to_be_visible()


def test_no_pencil_lies_over_a_figure_and_a_telephone_has_none(open_list):
    page = open_list(viewport={"width": 1440, "height": 800})
    row(page, "Cranes").hover()
    over = """cell => { const text = document.createRange(); text.selectNodeContents(cell.firstChild);
        return text.getBoundingClientRect().right - cell.querySelector('.pencil').getBoundingClientRect().left }"""
    for field in ("amount", "expected_close_on"):
        assert row(page, "Cranes").locator(f"td[data-field={field}]").evaluate(over) <= 0
    page.set_viewport_size(PHONE)
    for pencil in page.locator(".pencil").all():
        expect(pencil).to_be_hidden()


def test_a_card_holds_all_that_stands_on_it(open_list):
    page = open_list(viewport={"width": 1180, "height": 800})
    made = Opportunity.objects.get(name="Cranes")
    made.change(by=made.owner, expected_close_on=made.expected_close_on.replace(year=2031), amount="12345678")
    page.goto("/opportunities/board/")
    card = page.locator(".deal").filter(has=page.get_by_role("link", name="Cranes", exact=True))
    assert place(card.locator("summary"))[1] <= place(card)[1]
    expect(card.get_by_text("2031")).to_be_visible()


def test_what_is_wrong_in_a_raised_form_is_red_and_a_menu_is_as_high_as_a_thumb(open_list):
    page = open_list(viewport=PHONE)
    first, second = Opportunity.objects.filter(name__in=["Cranes", "Pumps"])
    page.goto(f"/opportunities/bulk/change/?pk={first.pk}&pk={second.pk}")
    page.get_by_label("Description").last.fill("New")
    page.get_by_label("Change: Description").uncheck()
    page.locator("main .cols form button.btn-primary").click()
    expect(page.locator("main .cols .field .error").first).to_have_css("color", "rgb(180, 35, 24)")
    page.goto("/opportunities/board/")
    page.locator(".deal summary").first.click()
    for button in page.locator(".deal .menu[open] button").all():
        assert button.bounding_box()["height"] >= 40
