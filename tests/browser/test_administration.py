"""The administrators' pages in a browser: a list dragged and moved by keys, every page fit for all, on a phone too."""

import pytest
from playwright.sync_api import expect

from opportunities.models import Source, Stage
from tests import factories as make
from tests.browser.desk import wrong_with

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]


@pytest.fixture
def page(sign_in):
    """This will give a page of an administrator who is signed in, in a company that has an opportunity."""
    make.opportunity()
    admin = make.user("admin", "administrator", at="head-office", language="en")
    return sign_in(admin, "/picklists/source/")


def names():
    return [value.names["en"] for value in Source.objects.all()]


def test_a_list_is_dragged_by_its_handle_and_moved_by_its_buttons(page):
    first, second, third, *rest = names()
    grips, shown = page.locator(".grip"), page.locator("[data-arrange] a.strong")
    expect(grips.nth(2)).to_be_visible()  # once the script is there
    places = [grips.nth(place).bounding_box() for place in range(3)]
    page.mouse.move(places[0]["x"] + 4, places[0]["y"] + 8)
    page.mouse.down()
    for place, passed in ((1, [second, first, third]), (2, [second, third, first])):
        for nudge in range(40):  # the rows make way one after the other, and not while one is still moving
            page.mouse.move(places[place]["x"] + 4, places[place]["y"] + 16 + nudge % 5)
            page.wait_for_timeout(50)
            if shown.all_inner_texts() == [*passed, *rest]:
                break
    with page.expect_navigation():
        page.mouse.up()
    expect(shown).to_have_text([second, third, first, *rest])
    assert names() == [second, third, first, *rest]

    page.get_by_role("button", name=f"Move {first} up").press("Enter")
    expect(shown).to_have_text([second, first, third, *rest])
    assert names() == [second, first, third, *rest]


def test_every_page_is_fit_for_all_and_for_a_phone(page):
    stage = Stage.objects.first().pk
    for address in (
        "/organisation/",
        "/picklists/",
        "/picklists/stage/",
        f"/picklists/stage/{stage}/",
        f"/picklists/stage/{stage}/merge/",
        f"/routes/?department={make.department('shijiazhuang').pk}",
    ):
        page.goto(address)
        assert wrong_with(page) == [], address
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") == 390, address
        page.set_viewport_size({"width": 1440, "height": 900})
