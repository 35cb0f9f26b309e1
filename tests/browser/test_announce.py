"""An announcement in a browser: written with the editor, changed, and confirmed by a reader; nothing on the console."""

import pytest
from playwright.sync_api import expect

from notices.models import Announcement
from tests import factories as make
from tests.browser.desk import wrong_with

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_is_written_with_the_editor_and_confirmed(sign_in):
    page = sign_in(make.user("manager", "opportunity_manager", at="head-office"))
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
    assert wrong_with(page) == []
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("The announcement is published.")).to_be_visible()

    one = Announcement.objects.get()
    assert "<b>4 January</b>" in one.formatted and "<ul><li><b>Clouds</b>" in one.formatted
    page.get_by_role("link", name="Modify").click()
    expect(page.get_by_role("textbox", name="Text").get_by_role("listitem")).to_have_text("Clouds")

    reader = sign_in(make.user("rep"))
    reader.goto(one.get_absolute_url())
    reader.get_by_role("button", name="I have read this").click()
    expect(reader.get_by_text("You have said that you read this.")).to_be_visible()
