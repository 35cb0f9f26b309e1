"""Lines in a browser: a product fills in unit and price, a row is added, and the sum is worked out as one types."""

from decimal import Decimal

import pytest
from playwright.sync_api import expect

from opportunities.models import Opportunity
from tests import factories as make
from tests.browser.desk import wrong_with
from tests.opportunities.acts import address, in_state

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def opportunity():
    make.product("CAM", names={"en": "Outdoor camera"}, price=1450)
    return in_state("active")


def open_lines(sign_in, opportunity, **options):
    return sign_in(opportunity.owner, address(opportunity, "lines"), **options)


def stands(opportunity):
    it = Opportunity.objects.get(pk=opportunity.pk)
    return it.amount, it.amount_from, [line.name for line in it.its_lines()]


@pytest.mark.parametrize("width", [1440, 390])
def test_a_product_fills_in_and_a_row_is_added(sign_in, opportunity, width):
    page = open_lines(sign_in, opportunity, viewport={"width": width, "height": 844})
    first = page.get_by_role("group", name="Line 1")
    first.get_by_label("Product").press_sequentially("camera")
    page.get_by_role("option", name="Outdoor camera").click()
    expect(first.get_by_label("Unit")).to_have_value("piece")
    expect(first.get_by_label("Price")).to_have_value("1,450")
    first.get_by_label("Quantity").press_sequentially("2")
    expect(first.get_by_role("status")).to_have_text("¥2,900")

    page.get_by_role("button", name="Add line").click()
    second = page.get_by_role("group", name="New line")
    second.get_by_label("Description").fill("Poles")
    second.get_by_label("Quantity").fill("1")
    second.get_by_label("Price").fill("1.2万")
    expect(page.locator("#sums")).to_have_text("2 lines come to ¥14,900")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert wrong_with(page) == []
    page.get_by_label("The sum of the lines").check()
    page.get_by_role("button", name="Save").last.click()
    expect(page.get_by_text("the sum of 2 lines")).to_be_visible()

    assert stands(opportunity) == (Decimal(14_900), "lines", ["Outdoor camera", "Poles"])


def test_without_script_add_line_brings_the_form_back_with_a_row_more(sign_in, opportunity):
    page = open_lines(sign_in, opportunity, java_script_enabled=False)
    page.get_by_label("Description").fill("Poles")
    page.get_by_label("Quantity").fill("1")
    page.get_by_label("Price").fill("12000")
    page.get_by_role("button", name="Add line").click()
    second = page.get_by_role("group", name="Line 2")
    second.get_by_label("Product").fill("Outdoor camera")
    second.get_by_label("Quantity").fill("2")
    page.get_by_label("The sum of the lines").check()
    page.get_by_role("button", name="Save").last.click()

    expect(page.get_by_text("the sum of 2 lines")).to_be_visible()
    assert stands(opportunity) == (Decimal(14_900), "lines", ["Poles", "Outdoor camera"])
