"""Fields of one's own in a browser: added and arranged by an administrator, filled in and asked for by a rep."""

import pytest
from playwright.sync_api import expect

from crm.custom_fields import CustomField
from tests import factories as make
from tests.browser.desk import wrong_with
from tests.crm.fields import field

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]


def test_a_field_is_added_filled_in_and_asked_for(sign_in):
    admin = make.user("admin", "administrator", at="head-office", language="en")
    rep = make.user(language="en")
    make.customer(rep, name="Qinghe Water")
    make.customer(rep, name="Taiyue Mining")

    page = sign_in(admin)
    page.get_by_role("link", name="Custom fields").click()
    page.locator("section", has=page.get_by_role("heading", name="Customers")).get_by_text("Add a field").click()
    page.get_by_role("link", name="Number").click()
    page.get_by_label("Name in English").fill("Pumps")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("link", name="Pumps")).to_be_visible()

    page = sign_in(rep)
    for name, pumps in (("Qinghe Water", "１２"), ("Taiyue Mining", "9")):
        page.goto("/customers/")
        page.get_by_role("link", name=name).click()
        page.get_by_role("link", name="Modify").click()
        page.get_by_label("Pumps").fill("a few" if pumps == "9" else pumps)
        page.get_by_role("button", name="Save").click()
        if pumps == "9":
            expect(page.get_by_text("Write a number: 12, 1,200 or 0.5.")).to_be_visible()
            expect(page.get_by_label("Pumps")).to_have_value("a few")
            page.get_by_label("Pumps").fill(pumps)
            page.get_by_role("button", name="Save").click()
        expect(page.locator("main dl.facts").last).to_contain_text("Pumps")

    page.goto("/customers/filter/")
    fields = page.locator("select[name$='-field']")
    count = fields.count()
    page.get_by_role("button", name="Add condition").click()
    expect(fields).to_have_count(count + 1)
    with page.expect_response("**/customers/filter/*"):
        fields.last.select_option(CustomField.objects.get().key)
    ways = page.locator("select[name$='-op']").last
    expect(ways.locator("option[value=over]")).to_be_attached()
    with page.expect_response("**/customers/filter/*"):
        ways.select_option("over")
    expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)
    expect(ways).to_have_value("over")
    page.locator("input[name$='-value']").last.fill("10")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("link", name="Qinghe Water")).to_be_visible()
    expect(page.get_by_role("link", name="Taiyue Mining")).to_have_count(0)


def test_the_layout_is_dragged_and_every_page_is_fit_for_all(sign_in):
    admin = make.user("admin", "administrator", at="head-office", language="en")
    first, second = field("customer", "choice", "Region"), field("customer", "text", "Remark")
    page = sign_in(admin)
    page.goto("/custom-fields/customer/layout/")
    shown = page.locator("[data-arrange] a.strong")
    expect(page.locator(".grip").nth(1)).to_be_visible()  # once the script is there
    start, end = (page.locator(".grip").nth(place).bounding_box() for place in (0, 1))
    page.mouse.move(start["x"] + 4, start["y"] + 8)
    page.mouse.down()
    for nudge in range(40):
        page.mouse.move(end["x"] + 4, end["y"] + 16 + nudge % 5)
        page.wait_for_timeout(50)
        if shown.all_inner_texts() == ["Remark", "Region"]:
            break
    with page.expect_navigation():
        page.mouse.up()
    expect(shown).to_have_text(["Remark", "Region"])
    assert list(CustomField.objects.all()) == [second, first]

    option = first.options.first()
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for address in (
            "",
            "customer/new/",
            "opportunity/new/?kind=choice",
            "customer/layout/",
            "customer/sections/new/",
            f"{first.pk}/",
            f"{first.pk}/archive/",
            f"{first.pk}/options/",
            f"options/{option.pk}/",
        ):
            page.goto(f"/custom-fields/{address}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, address
            assert wrong_with(page) == [], address


def test_the_stage_is_asked_for_only_where_it_is_needed_from_one_on(sign_in):
    page = sign_in(make.user("admin", "administrator", at="head-office", language="en"))
    page.goto("/custom-fields/opportunity/new/?kind=text")
    stage = page.get_by_label("From which stage on")
    expect(stage).to_be_hidden()
    page.get_by_label("From a stage on").check()
    expect(stage).to_be_visible()
    page.get_by_label("Always").check()
    expect(stage).to_be_hidden()
