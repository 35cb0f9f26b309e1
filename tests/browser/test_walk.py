"""
The main job, end to end, in a browser, in the demo company: reported, escalated, returned, resubmitted, approved,
followed up, shared, signed, ranked; another is given up; and a stranger finds nothing of it.
"""

import re

import pytest
from django.core.management import call_command
from playwright.sync_api import expect

from opportunities.models import Opportunity
from tests.browser.desk import Desk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

NAME = "Harbour crane cameras"
AMOUNT = "¥730,000"


def test_the_main_job_end_to_end(sign_in):
    call_command("demo", verbosity=0)
    desks = {}

    def desk(username):
        if username not in desks:
            desks[username] = Desk(sign_in(username, expected=["404 (Not Found)"]))
        return desks[username]

    # The rep reports.
    rep = desk("rep.shijiazhuang")
    rep.follow("Report opportunity")
    rep.page.get_by_label("Opportunity name*").fill(NAME)
    rep.pick("Customer*", "Qinghe Water")
    rep.page.get_by_label("Business type*").select_option(label="Security")
    rep.page.get_by_label("Amount*").fill("73万")
    rep.page.get_by_label("Expected close date*").fill("2030-03-01")
    rep.page.get_by_label("Approver*").select_option(label="Zhou Lan, Deputy GM, Shijiazhuang")
    rep.press("Submit for approval")
    expect(rep.page.get_by_role("heading", name=NAME)).to_be_visible()
    rep.sees("Zhou Lan")
    rep.sees(AMOUNT)
    address = rep.page.url

    # The deputy escalates, the GM returns it.
    desk("deputy.shijiazhuang").decide(NAME, "Approve and escalate", "Above half a million.")
    desk("gm.shijiazhuang").decide(NAME, "Return", "Name the decision maker.")

    # The rep resubmits, to the GM who returned it, and the GM approves.
    rep.page.goto("/tasks/")
    rep.follow(NAME)
    rep.sees("Name the decision maker.")
    expect(rep.page.get_by_label("Approver*").locator("option:checked")).to_contain_text("Zhao Hongtao")
    rep.press("Resubmit")
    desk("gm.shijiazhuang").decide(NAME, "Approve and finish")
    rep.page.goto(address)
    expect(rep.page.locator(".band.pending")).to_have_count(0)

    # Followed up, and shared with Baoding.
    rep.follow("Add Follow-up Record")
    rep.page.get_by_label("Content*").fill("Walked the quay with Mr Feng.")
    rep.press("Save")
    rep.sees("Walked the quay with Mr Feng.")
    rep.follow("Share")
    rep.pick("People", "Sun Qi")
    rep.press("Share")
    baoding = desk("rep.baoding")
    baoding.page.goto("/")
    shared = baoding.page.locator("section").filter(has=baoding.page.get_by_role("heading", name="Shared with me"))
    shared.get_by_role("link", name=NAME, exact=True).click()
    baoding.sees("Walked the quay with Mr Feng.")
    expect(baoding.page.get_by_role("link", name="Transfer", exact=True)).to_have_count(0)

    # Signed, by the director, and in the ranking.
    before = _ranked(rep, "Chen Yu")
    rep.page.goto(address)
    rep.follow("Apply to sign")
    rep.page.get_by_label("Contract number*").fill("HB-2026-0500")
    rep.page.get_by_label("Signed amount*").fill("730,000")
    rep.page.get_by_label("Approver*").select_option(label="Wang Jun, Industry director, Shijiazhuang")
    rep.press("Submit for approval")
    assert _ranked(rep, "Chen Yu") == before
    desk("director.shijiazhuang").decide(NAME, "Approve and finish")
    assert _ranked(rep, "Chen Yu") == before + 730_000
    rep.page.goto(address)
    rep.sees("HB-2026-0500")

    # Another is given up.
    other = "Ward calling system and Wi-Fi"
    rep.page.goto("/opportunities/")
    rep.follow(other)
    given_up = rep.page.url
    rep.follow("Apply to terminate")
    rep.page.get_by_label("Reason*").select_option(label="Budget cancelled")
    rep.page.get_by_label("Approver*").select_option(label="Zhou Lan, Deputy GM, Shijiazhuang")
    rep.press("Submit for approval")
    desk("deputy.shijiazhuang").decide(other, "Approve and finish")
    rep.page.goto(given_up)
    rep.sees("Terminated")

    # Jinan finds nothing of it, and signs its own though it has no director.
    jinan = desk("rep.jinan")
    number = Opportunity.objects.get(name=NAME).pk
    for path in ("", "edit/", "transfer/", "share/", "follow-up/", "sign/", "terminate/", "withdraw/"):
        assert jinan.page.goto(f"/opportunities/{number}/{path}").status == 404
    own = "Metro line 6, platform Wi-Fi"
    jinan.page.goto("/opportunities/")
    expect(jinan.page.get_by_text(NAME)).to_have_count(0)
    jinan.follow(own)
    jinan.follow("Apply to sign")
    jinan.page.get_by_label("Contract number*").fill("SD-2026-0300")
    jinan.page.get_by_label("Signed amount*").fill("3420000")
    jinan.page.get_by_label("Approver*").select_option(label="Han Xue, Deputy GM, Jinan")
    jinan.press("Submit for approval")
    desk("deputy.jinan").decide(own, "Approve and finish")
    assert Opportunity.objects.get(name=own).state == "signed"
    assert Opportunity.objects.get(name=NAME).state == "signed"


def _ranked(desk, name):
    """This will read the amount that the ranking page credits `name` with this month, as a number."""
    desk.page.goto("/ranking/")
    section = desk.page.locator("section").filter(has=desk.page.get_by_role("heading", name="By amount signed"))
    money = section.get_by_role("row").filter(has_text=name).locator(".money").first.inner_text()
    return int(re.sub(r"\D", "", money))
