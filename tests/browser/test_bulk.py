"""Many records at once, in a browser: 230 selected, 200 transferred, 30 refused, and all of it undone; and the rest."""

import pytest
from playwright.sync_api import expect

from crm.jobs import run_waiting
from opportunities.models import Opportunity, State
from tests import factories as make
from tests.browser.desk import Desk, wrong_with
from tests.crm.fields import one_of_each

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rep():
    return make.user("rep.shijiazhuang", name="Chen Yu", language="en")


@pytest.fixture
def other():
    return make.user("rep2.shijiazhuang", name="Liu Min")


@pytest.fixture
def desk(sign_in, rep):
    return Desk(sign_in(rep))


def drafts(owner, count, name="Line"):
    made = [Opportunity(owner=owner, name=f"{name} {number}") for number in range(count)]
    Opportunity.create_all(made, by=owner)
    return made


def bar(desk):
    return desk.page.locator("form#selected")


def tick(desk, name):
    desk.page.get_by_role("checkbox", name=f"Select {name}", exact=True).check()


def test_200_of_230_are_transferred_and_taken_back(desk, rep, other):
    drafts(rep, 200)
    for one in drafts(rep, 30, "Spoilt line"):
        one.void(by=rep, reason="Entered twice.")
    page = desk.page
    page.goto("/opportunities/?q=line")
    page.get_by_role("checkbox", name="Select all rows of this page").check()
    expect(bar(desk)).to_contain_text("50 selected")
    bar(desk).get_by_role("link", name="Select all 230").click()
    expect(bar(desk)).to_contain_text("All that match are selected")
    assert wrong_with(desk.page) == []
    bar(desk).get_by_role("button", name="Transfer").click()
    dialog = page.get_by_role("dialog", name="Transfer: 230 opportunities")
    expect(dialog).to_contain_text("30 of them you cannot transfer as they stand; they will be refused and listed.")
    dialog.get_by_label("New person in charge").press_sequentially("Liu")
    dialog.get_by_role("option", name="Liu Min").click()
    dialog.get_by_role("button", name="Confirm Transfer").click()

    expect(page.get_by_role("heading", name="Transfer: 230 opportunities")).to_be_visible()
    desk.sees("You can leave this page; a message tells you when it is done.")
    run_waiting()
    expect(page.get_by_role("link", name="Refused 30")).to_be_visible()  # the page looks again by itself
    expect(page.get_by_role("link", name="Done 200")).to_be_visible()
    desk.sees("This opportunity is closed, so it can no longer be changed.")
    assert Opportunity.objects.filter(owner=other).count() == 200
    assert wrong_with(desk.page) == []

    page.get_by_role("link", name="Undo").click()
    page.get_by_role("dialog").get_by_role("button", name="Undo").click()
    desk.sees("You can leave this page; a message tells you when it is done.")
    run_waiting()
    desk.sees("Undone: 200 records are what they were.")
    assert Opportunity.objects.filter(owner=rep).count() == 230


def test_a_field_is_changed_by_typing_into_it_and_the_others_stay(desk, rep):
    drafts(rep, 3)
    page = desk.page
    page.goto("/opportunities/")
    for number in range(3):
        tick(desk, f"Line {number}")
    bar(desk).get_by_role("button", name="Change").click()
    expect(page.get_by_role("heading", name="Change: 3 opportunities")).to_be_visible()
    page.get_by_label("Source", exact=True).select_option(label="Public tender")
    expect(page.get_by_label("Change: Source")).to_be_checked()
    expect(page.get_by_label("Change: Description")).not_to_be_checked()
    assert wrong_with(desk.page) == []
    desk.press("Change")
    expect(page.get_by_role("link", name="Done 3")).to_be_visible()
    assert {one.source.key for one in Opportunity.objects.all()} == {"tender"}


def test_fields_that_were_added_are_ticked_by_typing_or_choosing_and_a_telephone_scrolls_one_way(desk, rep, other):
    fields = one_of_each("opportunity")
    drafts(rep, 2)
    page = desk.page
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/opportunities/bulk/change/?every=1")
    page.get_by_label("Our number", exact=True).fill("1,200")
    page.get_by_label("North").check()
    page.get_by_label("Our person", exact=True).press_sequentially("Liu")
    page.get_by_role("option", name="Liu Min").click()
    for name in ("Our number", "Our several choices", "Our person"):
        expect(page.get_by_label(f"Change: {name}")).to_be_checked()
    expect(page.get_by_label("Change: Our text", exact=True)).not_to_be_checked()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert wrong_with(desk.page) == []
    desk.press("Change")
    expect(page.get_by_role("link", name="Done 2")).to_be_visible()
    told = {
        tuple(str(getattr(one, fields[kind].key)) for kind in ("number", "choices", "person"))
        for one in Opportunity.objects.all()
    }
    assert told == {("1200", "North", "Liu Min")}


def test_the_rest_is_behind_more_and_taking_one_away_means_those_that_are_left(desk, rep):
    drafts(rep, 55)
    page = desk.page
    page.goto("/opportunities/")
    tick(desk, "Line 0")
    bar(desk).get_by_role("link", name="Select all 55").click()
    page.get_by_role("checkbox", name="Select Line 0", exact=True).uncheck()
    expect(bar(desk)).to_contain_text("49 selected")
    bar(desk).locator("summary").click()
    bar(desk).get_by_role("button", name="Comment").click()
    dialog = page.get_by_role("dialog", name="Comment: 49 opportunities")
    dialog.get_by_role("textbox", name="Comment").fill("Seen.")
    dialog.get_by_role("button", name="Comment").click()
    expect(page.get_by_role("link", name="Done 49")).to_be_visible()


def test_requests_are_approved_together_from_the_list(sign_in, rep):
    make.user("deputy.shijiazhuang", "deputy_gm", name="Zhou Lan", language="en")
    for number in range(2):
        make.opportunity(rep, state="reporting", name=f"Line {number}")
    desk = Desk(sign_in("deputy.shijiazhuang", "/tasks/"))
    desk.page.get_by_label("Select this page").check()
    expect(bar(desk)).to_contain_text("2 selected")
    assert wrong_with(desk.page) == []
    desk.press("Decide")
    expect(desk.page.get_by_role("heading", name="Decide: 2 requests")).to_be_visible()
    expect(desk.page.get_by_role("link", name="Line 1")).to_be_visible()
    assert wrong_with(desk.page) == []
    desk.page.get_by_label("Approve and finish").check()
    desk.press("Submit decision")
    expect(desk.page.get_by_role("link", name="Done 2")).to_be_visible()
    assert {one.state for one in Opportunity.objects.all()} == {State.ACTIVE}


def test_on_a_telephone_without_a_script_it_goes_as_well(sign_in, rep, other):
    drafts(rep, 2)
    desk = Desk(sign_in(rep, "/opportunities/", java_script_enabled=False, viewport={"width": 390, "height": 844}))
    tick(desk, "Line 0")
    bar(desk).locator("summary").click()
    bar(desk).get_by_role("button", name="Transfer").click()
    expect(desk.page.get_by_role("heading", name="Transfer: 1 opportunity")).to_be_visible()
    desk.page.get_by_label("New person in charge").fill("Liu Min")
    desk.press("Confirm Transfer")
    expect(desk.page.get_by_role("link", name="Done 1")).to_be_visible()
    assert Opportunity.objects.filter(owner=other).count() == 1
