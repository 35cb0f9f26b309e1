"""Somebody at a browser: signed in, in a window of their own, with words for what one does and sees there."""

import re

from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import expect

from tests.factories import PASSWORD

GRAVE = ("serious", "critical")


def window(browser, address, person, **options):
    """
    This will give an empty page in a window of its own, in which `person`, a user or a user name, is signed in.
    `address` is that of the server. How one signs in by hand is tried in test_frame.
    """
    client = Client()
    entered = client.post("/accounts/login/", {"login": getattr(person, "username", person), "password": PASSWORD})
    assert entered.status_code == 302
    session = client.cookies[settings.SESSION_COOKIE_NAME]
    context = browser.new_context(base_url=address, **options)
    context.add_cookies([{"name": session.key, "value": session.value, "url": address}])
    return context.new_page()


def painted(page):
    """This will wait until one sees what the page has come to: a browser may drop keys that are pressed before."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


class Desk:
    """The page of somebody, with words for what one does there."""

    def __init__(self, page):
        self.page = page

    def press(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name):
        self.page.get_by_role("link", name=name, exact=True).first.click()

    def pick(self, label, text):
        """This will type into a picker and choose what it offers."""
        self.page.get_by_label(label, exact=True).press_sequentially(text)
        self.page.get_by_role("option", name=re.compile(text)).first.click()

    def decide(self, name, decision, comment=""):
        """This will open the task of that name from the to-do list, and submit a decision."""
        self.page.goto("/tasks/")
        self.follow(name)
        self.page.get_by_label(decision).check()
        self.page.get_by_label("Comment").fill(comment)
        self.press("Submit decision")

    def sees(self, text):
        expect(self.page.get_by_text(text).first).to_be_visible()


def wrong_with(page):
    """This will list what is serious or critical on a page for who needs it accessible, each with where it is."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {', '.join(str(node['target'][0]) for node in one['nodes'][:3])}: "
        f"{one['nodes'][0]['failureSummary'].splitlines()[1].strip()}"
        for one in found
        if one["impact"] in GRAVE
    ]
