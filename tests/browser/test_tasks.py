"""Tasks in a browser: cleared one after another, with JavaScript and without, by mouse, keyboard and thumb."""

import re
from functools import partial

import pytest
from playwright.sync_api import expect

from approvals.models import Task
from opportunities.models import Opportunity
from tests.browser.desk import wrong_with
from tests.factories import opportunity, user

pytestmark = pytest.mark.django_db(transaction=True)

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def office():
    """
    This will give what waits for the deputy: a report returned once and asked for again, a signing, a termination.
    """
    rep = user("rep", name="Liu Min")
    deputy = user("deputy", "deputy_gm", name="Zhou Lan")
    user("gm", "gm", name="Zhao Hongtao")
    report = opportunity(rep, name="Smart metering", description="Meters for all districts, one lot.", state="returned")
    report.change(by=rep, amount=88000, description="Meters for all districts, 14 lots of about 1,200 meters each.")
    report.report(by=rep, approver=deputy, comment="Counted by district.")
    opportunity(rep, name="Leased line", state="signing")
    opportunity(rep, name="Mine safety", state="terminating")


@pytest.fixture
def desk(sign_in, office):
    """This will give a function that opens somebody's tasks."""
    return partial(sign_in, address="/tasks/", expected=["409 (Conflict)"])


def submit(page):
    page.get_by_role("button", name="Submit decision").click()


@pytest.mark.parametrize("script", [True, False], ids=["with JavaScript", "without JavaScript"])
def test_the_list_is_cleared_from_task_to_task(desk, script):
    page = desk("deputy", java_script_enabled=script)
    expect(page.get_by_role("heading", level=1)).to_have_text("3 things wait for you")

    page.get_by_role("link", name="Smart metering", exact=True).click()
    expect(page.get_by_text("What changed since you returned it")).to_be_visible()
    expect(page.get_by_text("Then: Leased line")).to_be_visible()
    page.get_by_label("Approve and escalate").check()
    page.get_by_label("Comment").fill("Please look at the margin.")
    submit(page)

    expect(page.get_by_role("status")).to_contain_text("escalated it to Zhao Hongtao")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign: Leased line")
    page.get_by_label("Return").check()
    submit(page)
    expect(page.get_by_text("Write what must be mended: a return needs a comment.")).to_be_visible()
    expect(page.get_by_label("Return")).to_be_checked()
    page.get_by_label("Comment").fill("The term is missing.")
    submit(page)

    expect(page.get_by_role("heading", level=1)).to_have_text("Terminate: Mine safety")
    expect(page.get_by_label("Approve and escalate")).to_have_count(0)
    page.get_by_label("Approve and finish").check()
    submit(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing waits for you")

    page.get_by_role("link", name="Done", exact=True).click()
    page.get_by_role("link", name="Leased line", exact=True).first.click()
    expect(page.get_by_text("The term is missing.").first).to_be_visible()
    expect(page.get_by_role("button", name="Submit decision")).to_have_count(0)


def test_a_report_comes_back_to_its_owner_and_goes_out_again(desk):
    deputy, rep = desk("deputy"), desk("rep")
    deputy.get_by_role("link", name="Smart metering", exact=True).click()
    deputy.get_by_label("Return").check()
    deputy.get_by_label("Comment").fill("Name the decision maker.")
    submit(deputy)

    rep.goto("/tasks/")
    rep.get_by_role("link", name="Smart metering", exact=True).click()
    expect(rep.get_by_text("Name the decision maker.").first).to_be_visible()
    expect(rep.get_by_label("Approver*").locator("option:checked")).to_contain_text("Zhou Lan")
    rep.get_by_label("Comment").fill("Ms Ding decides.")
    rep.get_by_role("button", name="Resubmit").click()

    expect(rep.get_by_role("status")).to_contain_text("Resubmitted “Smart metering” to Zhou Lan.")
    assert Opportunity.objects.get(name="Smart metering").state == "reporting"


def test_void_asks_first_and_needs_a_reason(desk):
    deputy, rep = desk("deputy"), desk("rep")
    deputy.get_by_role("link", name="Smart metering", exact=True).click()
    deputy.get_by_label("Return").check()
    deputy.get_by_label("Comment").fill("No.")
    submit(deputy)

    rep.goto("/tasks/")
    rep.get_by_role("link", name="Smart metering", exact=True).click()
    rep.get_by_role("link", name="Void").click()
    rep.get_by_label(re.compile("Reason")).fill("The customer has no budget.")
    rep.get_by_role("button", name="Void").click()

    expect(rep.get_by_text("Void", exact=True).first).to_be_visible()
    assert Opportunity.objects.get(name="Smart metering").state == "void"


def test_the_second_of_two_tabs_is_told_and_loses_no_word(desk):
    first, second = desk("deputy"), desk("deputy")
    for page in (first, second):
        page.get_by_role("link", name="Leased line", exact=True).click()
        page.get_by_label("Approve and finish").check()
        page.get_by_label("Comment").fill("A long thought.")
    submit(first)
    expect(first.get_by_role("status")).to_contain_text("Approved “Leased line” and finished.")
    expect(first.get_by_role("heading", level=1)).to_have_text("Terminate: Mine safety")

    submit(second)

    expect(second.get_by_role("alert")).to_contain_text(re.compile(r"Already handled by Zhou Lan, \d\d:\d\d\."))
    expect(second.get_by_text("A long thought.").first).to_be_visible()
    second.get_by_role("link", name="Next task").click()
    expect(second.get_by_role("heading", level=1)).to_have_text("Terminate: Mine safety")
    assert Task.objects.filter(decision="finished", approval__act="sign").count() == 1


def test_a_double_click_decides_once(desk):
    page = desk("deputy")
    page.get_by_role("link", name="Leased line", exact=True).click()
    page.get_by_label("Approve and finish").check()

    page.get_by_role("button", name="Submit decision").dblclick()

    expect(page.get_by_role("status")).to_contain_text("Approved “Leased line” and finished.")
    assert Task.objects.filter(decision="finished", approval__act="sign").count() == 1


def test_the_back_button_and_another_press_are_told(desk):
    page = desk("deputy")
    page.get_by_role("link", name="Leased line", exact=True).click()
    page.get_by_label("Approve and finish").check()
    submit(page)
    expect(page.get_by_role("status")).to_contain_text("finished")

    page.go_back()
    if page.get_by_role("button", name="Submit decision").count():  # kept by the browser as it was
        page.get_by_label("Approve and finish").check()
        submit(page)

    expect(page.get_by_text(re.compile("Already handled|Approved and finished: You")).first).to_be_visible()


def test_under_a_thumb_the_decision_is_one_press_away(desk):
    page = desk("deputy", viewport=PHONE, has_touch=True)
    page.get_by_role("link", name="Smart metering", exact=True).click()
    decide = page.get_by_role("link", name="Decide", exact=True)
    expect(decide).to_be_in_viewport()

    decide.click()

    expect(page.get_by_role("button", name="Submit decision")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_rows_and_tasks_are_gone_through_by_keyboard(desk):
    page = desk("deputy")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Report: Smart metering")
    expect(page.get_by_text("1 of 3")).to_be_visible()

    page.get_by_role("link", name="Next task").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Sign: Leased line")


@pytest.mark.any_database
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [{"width": 1440, "height": 900}, PHONE], ids=["wide", "phone"])
def test_the_pages_can_be_read_by_everybody(desk, scheme, size):
    user("admin", "administrator", at="head-office")
    waiting = Task.objects.open_for(Opportunity.objects.first().open_task.holder).first()
    done = Task.objects.filter(decision="returned").first()
    for username, paths in {
        "deputy": ["/tasks/", "/tasks/done/", f"/tasks/{waiting.pk}/", f"/tasks/{done.pk}/"],
        "admin": ["/tasks/nobody/"],
    }.items():
        page = desk(username, viewport=size, color_scheme=scheme)
        for path in paths:
            page.goto(path)
            assert wrong_with(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
