"""An announcement in a browser: written with the editor, changed, and confirmed by a reader; nothing on the console."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from notices.models import Announcement
from tests import factories as make
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk(browser, live_server):
    """This will open pages of people who sign in; what the console says against one fails the test."""
    said = []

    def sign_in(user):
        page = browser.new_context(base_url=live_server.url).new_page()
        page.on("console", lambda told: said.append(told.text) if told.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto("/accounts/login/")
        page.get_by_label("User name").fill(user.username)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("link", name="Announcements").first).to_be_visible()
        return page

    yield sign_in
    assert said == []


def test_it_is_written_with_the_editor_and_confirmed(desk):
    page = desk(make.user("manager", "opportunity_manager", at="head-office"))
    page.goto("/announcements/new/")
    page.get_by_label("Title").fill("Prices")
    page.get_by_role("textbox", name="Text").click()
    page.keyboard.type("They hold from ")
    page.get_by_role("button", name="Bold").click()
    page.keyboard.type("4 January")
    page.get_by_role("button", name="Bold").click()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Bulleted list").click()
    page.keyboard.type("Clouds")
    page.get_by_label("Must be confirmed").check()
    found = Axe().run(page).response["violations"]
    assert [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")] == []
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("The announcement is published.")).to_be_visible()

    one = Announcement.objects.get()
    assert "<b>4 January</b>" in one.formatted and "<ul><li><b>Clouds</b>" in one.formatted
    page.get_by_role("link", name="Modify").click()
    expect(page.get_by_role("textbox", name="Text").get_by_role("listitem")).to_have_text("Clouds")

    reader = desk(make.user("rep"))
    reader.goto(one.get_absolute_url())
    reader.get_by_role("button", name="I have read this").click()
    expect(reader.get_by_text("You have said that you read this.")).to_be_visible()
