"""
A rep's way with a customer in a browser, with JavaScript and without: entered, a contact, a follow-up, the next
one, deleted.
"""

import pytest
from playwright.sync_api import expect

from customers.models import Customer
from opportunities.models import FollowUp
from tests import factories as make
from tests.browser.desk import wrong_with

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without"])
def page(request, sign_in):
    """This will give a page of a rep who is signed in."""
    return sign_in(make.user("rep", name="Chen Yu", language="en"), java_script_enabled=request.param)


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def test_a_customer_is_entered_met_followed_up_and_deleted(page, request):
    page.goto("/customers/new/")
    page.get_by_label("Customer name*").fill("Qinghe Water Group")
    page.get_by_label("Website").fill("javascript:alert(1)")
    press(page, "Save")
    expect(page.get_by_text("Write an address that begins with http:// or https://.")).to_be_visible()
    page.get_by_label("Website").fill("qinghe-water.example")
    page.get_by_label("Industry").select_option(label="Energy and utilities")
    press(page, "Save")
    expect(page.get_by_role("heading", name="Qinghe Water Group")).to_be_visible()
    expect(page.get_by_text("Customer saved.")).to_be_visible()

    page.get_by_role("link", name="Add contact").click()
    expect(page.get_by_label("Customer*")).to_have_value("Qinghe Water Group")
    page.get_by_label("Name*", exact=True).fill("Ms Ding Yan")
    page.get_by_label("Mobile").fill("138 0311 2233")
    press(page, "Save")
    expect(page.get_by_role("link", name="Call Ms Ding Yan")).to_have_attribute("href", "tel:13803112233")

    page.get_by_role("link", name="Add Follow-up Record").click()
    page.get_by_label("Content*").fill("She wants a pilot in one district.")
    page.get_by_label("With").fill("ding")
    if "with JavaScript" in request.node.name:
        page.get_by_role("option", name="Ms Ding Yan").click()
    page.get_by_label("Next follow-up").fill("2099-12-01T10:00")
    page.get_by_label("What comes next").fill("Offer the pilot.")
    press(page, "Save")
    entries = page.locator("#follow-ups .entry")
    expect(entries).to_have_count(2)
    expect(entries.first).to_contain_text("Offer the pilot.")
    expect(entries.last).to_contain_text("Chen Yu with Ms Ding Yan")
    assert FollowUp.objects.done().get().next.content == "Offer the pilot."

    entries.first.get_by_role("link", name="Done").click()
    expect(page.get_by_label("Content*")).to_have_value("Offer the pilot.")
    page.get_by_label("Content*").fill("Offered the pilot.")
    press(page, "Save")
    expect(page.get_by_text("Follow-up done.")).to_be_visible()
    assert not FollowUp.objects.planned()

    page.get_by_label("More actions").first.click()
    page.get_by_role("link", name="Delete").first.click()
    expect(page.get_by_role("heading", name="Delete Qinghe Water Group?")).to_be_visible()
    press(page, "Delete")
    expect(page.get_by_text("Qinghe Water Group was deleted.")).to_be_visible()
    assert not Customer.objects.exists()


@pytest.mark.any_database
@pytest.mark.parametrize("page", [True], ids=["with JavaScript"], indirect=True)
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_sound_and_do_not_scroll_sideways(page, width):
    rep = Customer.owner.field.related_model.objects.get(username="rep")
    customer = make.customer(
        rep, name="W" * 150, phone="0" * 40, website=f"https://{'w' * 60}.example/", address="W" * 300
    )
    contact = make.contact(customer, name="W" * 100, title="W" * 100, email=f"{'w' * 60}@{'w' * 60}.example", phone="1")
    opportunity = make.opportunity(rep, customer=customer, state="active", name="W" * 150)
    follow_up = make.follow_up(opportunity, contact=contact, content="W" * 200)
    page.set_viewport_size({"width": width, "height": 844})
    for address in [
        customer.get_absolute_url(), contact.get_absolute_url(), "/customers/new/", "/contacts/new/",
        f"/customers/{customer.pk}/edit/", f"/customers/{customer.pk}/transfer/", f"/customers/{customer.pk}/delete/",
        f"/opportunities/{opportunity.pk}/follow-up/", f"/follow-ups/{follow_up.pk}/edit/",
        f"/follow-ups/{follow_up.pk}/delete/",
        f"/customers/{customer.pk}/follow-ups/", f"/customers/{customer.pk}/history/",
    ]:  # fmt: skip
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        assert wrong_with(page) == []


def test_a_list_is_taken_out_as_a_file(page):
    make.customer(Customer.owner.field.related_model.objects.get(username="rep"), name="Qinghe Water Group")
    page.goto("/customers/?q=qinghe")
    page.get_by_role("link", name="Export").click()
    expect(page.get_by_role("heading", name="Export: Customers")).to_be_visible()
    page.get_by_label("CSV").check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    assert download.value.suggested_filename.startswith("Customers ")
    assert "Qinghe Water Group" in download.value.path().read_text(encoding="utf-8-sig")
    page.get_by_role("link", name="Contacts").first.click()  # the question is gone
    expect(page.get_by_role("heading", name="Contacts", exact=True)).to_be_visible()
