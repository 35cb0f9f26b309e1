"""Finding and making without a mouse: the box in the top bar, and the small forms over the page."""

import pytest
from playwright.sync_api import expect

from customers.models import Contact, Customer
from opportunities.models import FollowUp, Opportunity
from tests import factories as make
from tests.browser.desk import painted, wrong_with

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without"])
def script(request):
    return request.param


@pytest.fixture
def page(script, sign_in):
    """This will give a page of a rep who is signed in."""
    rep = make.user("rep", name="Chen Yu", language="en")
    customer = make.customer(rep, name="河北联通", phone="0311 8601 2210")
    make.contact(customer, name="丁燕", mobile="139 0000 9137")
    make.opportunity(rep, customer=customer, name="专线扩容")
    return sign_in(rep, "/customers/", java_script_enabled=script)


def test_everything_is_found_and_opened_by_keyboard(page, script):
    box = page.locator(".top .find input")
    if not script:
        box.fill("联通")
        box.press("Enter")
        page.get_by_role("link", name="河北联通", exact=True).click()
        expect(page.get_by_role("heading", name="河北联通")).to_be_visible()
        return
    for text, kind, name in (
        ("联通", "Customers", "河北联通"),
        ("lt", "Customers", "河北联通"),
        ("9137", "Contacts", "丁燕"),
        ("zxkr", "Opportunities", "专线扩容"),
    ):
        page.keyboard.press("/")
        expect(box).to_be_focused()
        page.keyboard.type(text)
        expect(page.get_by_role("group", name=kind).get_by_role("option", name=name)).to_be_visible()
        page.keyboard.press("ArrowDown")
        assert wrong_with(page) == []
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_role("group", name="Recently opened").get_by_role("option").first).to_contain_text("专线扩容")
    page.keyboard.press("Escape")
    expect(page.get_by_role("listbox", name="Matches").first).to_be_hidden()
    page.keyboard.type("联通")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Results for “联通”")).to_be_visible()
    assert wrong_with(page) == []
    page.get_by_role("link", name="All in Opportunities").click()
    expect(page.get_by_role("link", name="专线扩容", exact=True)).to_be_visible()


@pytest.mark.parametrize("script", [True], indirect=True)
def test_what_one_points_at_stays_pointed_at_when_the_answer_to_all_that_was_typed_comes(page):
    held = []
    page.keyboard.press("/")
    page.keyboard.type("联")
    option = page.get_by_role("group", name="Customers").get_by_role("option", name="河北联通")
    expect(option).to_be_visible()
    page.route("**/search/**", lambda route: held.append(route), times=1)
    with page.expect_request("**/search/**"):
        page.keyboard.type("通")
    page.keyboard.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    with page.expect_response("**/search/**"):
        held[0].continue_()
    expect(option.locator("mark")).to_have_text("联通")
    expect(option).to_have_attribute("aria-selected", "true")
    page.keyboard.type("公")
    expect(option).to_be_hidden()
    page.keyboard.press("Backspace")
    expect(option).to_have_attribute("aria-selected", "false")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="河北联通", level=1)).to_be_visible()


def test_something_new_is_made_over_the_page_one_is_on(page, script):
    if not script:
        page.goto("/new/customer/")
        page.get_by_label("Customer name*").fill("Fuhua School")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("heading", name="Fuhua School")).to_be_visible()
        return

    def begin(kind):
        painted(page)
        page.keyboard.press("n")
        page.locator(".top").get_by_role("link", name=kind, exact=True).press("Enter")
        dialog = page.get_by_role("dialog", name=f"New {kind.lower()}")
        expect(dialog).to_be_visible()
        return dialog

    def save(dialog):
        with page.expect_event("load"):  # the page shows what was made
            dialog.get_by_role("button", name="Save", exact=True).click()

    dialog = begin("Customer")
    dialog.get_by_role("button", name="Save", exact=True).click()
    expect(dialog.get_by_text("Fill this in.")).to_be_visible()
    dialog.get_by_label("Customer name*").fill("Fuhua School")
    assert wrong_with(page) == []
    save(dialog)
    expect(page.get_by_role("link", name="Open it")).to_be_visible()
    expect(page.get_by_role("heading", name="Customers", exact=True)).to_be_visible()  # still there
    expect(page.locator("main").get_by_role("link", name="Fuhua School", exact=True)).to_be_visible()  # and in the list
    assert Customer.objects.filter(name="Fuhua School").count() == 1

    dialog = begin("Opportunity")
    dialog.get_by_label("Opportunity name*").fill("Campus network")
    dialog.get_by_role("combobox", name="Customer").press_sequentially("Beiyuan Heating")
    page.get_by_role("option", name="New customer “Beiyuan Heating”").click()
    inner = page.get_by_role("dialog", name="New customer")
    expect(inner.get_by_label("Customer name*")).to_have_value("Beiyuan Heating")
    inner.get_by_role("button", name="Save", exact=True).click()
    expect(inner).to_be_hidden()
    expect(dialog.get_by_role("combobox", name="Customer")).to_have_value("Beiyuan Heating")
    save(dialog)
    assert Opportunity.objects.get(name="Campus network").customer.name == "Beiyuan Heating"

    dialog = begin("Contact")
    dialog.get_by_role("combobox", name="Customer").press_sequentially("fuhua")
    page.get_by_role("option", name="Fuhua School").click()
    dialog.get_by_label("Name*", exact=True).fill("Ms Ding")
    save(dialog)
    assert Contact.objects.get(name="Ms Ding").customer.name == "Fuhua School"

    page.goto(Opportunity.objects.get(name="Campus network").get_absolute_url())
    dialog = begin("Follow-up")
    expect(dialog.get_by_role("combobox", name="Opportunity")).to_have_value("Campus network")
    dialog.get_by_label("Content*").fill("Called them.")
    save(dialog)
    expect(page.locator("main").get_by_text("Called them.")).to_be_visible()
    assert FollowUp.objects.get(content="Called them.").opportunity.name == "Campus network"

    dialog = begin("Opportunity")
    dialog.get_by_label("Opportunity name*").fill("Half typed")
    page.keyboard.press("Escape")
    dialog = begin("Opportunity")
    expect(dialog.get_by_label("Opportunity name*")).to_have_value("Half typed")
    dialog.get_by_role("button", name="All fields").click()
    expect(page.get_by_role("heading", name="Report opportunity")).to_be_visible()
    expect(page.get_by_label("Opportunity name*")).to_have_value("Half typed")
