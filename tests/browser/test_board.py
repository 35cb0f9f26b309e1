"""The board in a browser: cards are dragged, moved by keys, snap back where refused, and move without script."""

from datetime import timedelta
from functools import partial

import pytest
from playwright.sync_api import expect

from crm.moments import organisation_today
from opportunities.models import Opportunity, Stage
from tests import factories as make
from tests.browser.desk import wrong_with

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def open_board(sign_in):
    """This will give a function that opens a rep's board."""
    rep = make.user("rep", name="Chen Yu", language="en")
    for number, name in enumerate(["Parcel lockers", "Hotline"]):
        day = organisation_today() + timedelta(days=number)
        make.opportunity(rep, state="active", name=name, expected_close_on=day)
    make.opportunity(rep, state="signing", name="Leased line")
    return partial(sign_in, rep, "/opportunities/board/", expected=["409 (Conflict)"])


def lane(page, name):
    return page.locator(".lane").filter(has=page.get_by_role("heading", name=name))


def head(page, name):
    return lane(page, name).locator("header")  # of what is not all in sight, a driver scrolls the page under the card


def card(page, name):
    return page.locator(".deal").filter(has=page.get_by_role("link", name=name, exact=True))


def menu(page, name):
    return card(page, name).locator("summary")


def stage_of(name):
    return Opportunity.objects.select_related("stage").get(name=name).stage.key


def test_a_card_is_dragged_to_another_column_and_all_numbers_follow(open_board):
    page = open_board()
    expect(lane(page, "First contact")).to_contain_text("¥300 k · 20 % = ¥60 k")
    card(page, "Hotline").drag_to(head(page, "Proposal"))
    expect(lane(page, "Proposal").get_by_role("link", name="Hotline")).to_be_visible()
    expect(lane(page, "Proposal")).to_contain_text("¥100 k · 60 % = ¥60 k")
    expect(lane(page, "First contact")).to_contain_text("¥200 k · 20 % = ¥40 k")
    expect(page.get_by_text("Moved to Proposal.")).to_be_visible()
    expect(page.locator("#tally")).to_contain_text("Forecast ¥100,000")
    assert stage_of("Hotline") == "proposal"
    card(page, "Hotline").drag_to(head(page, "Negotiation"))  # and on, at once
    expect(lane(page, "Negotiation").get_by_role("link", name="Hotline")).to_be_visible()
    expect(page.get_by_text("Moved to Negotiation.")).to_be_visible()
    assert stage_of("Hotline") == "negotiation"
    assert wrong_with(page) == []


def test_where_there_is_much_the_cards_come_first_and_the_sums_follow(sign_in, settings):
    settings.BOARD_SUMS_AT_ONCE = 0
    both = make.user("both", "rep", "gm", at="hebei", language="en")
    for number, name in enumerate(["Parcel lockers", "Hotline"], 1):
        make.opportunity(both, state="active", name=name, amount=number * 1000)
    page = sign_in(both, "/opportunities/board/")
    expect(page.locator("#tally")).to_contain_text("2 opportunities")
    expect(head(page, "First contact")).to_contain_text("¥3 k · 20 % = ¥600")
    expect(page.locator(".folded[data-end=won] b")).to_have_text("0")
    assert wrong_with(page) == []
    menu(page, "Hotline").click()
    card(page, "Hotline").get_by_role("button", name="Proposal").click()
    expect(head(page, "Proposal")).to_contain_text("¥2 k · 60 % = ¥1.2 k")
    expect(head(page, "First contact")).to_contain_text("¥1 k · 20 % = ¥200")
    expect(page.locator("#tally")).to_contain_text("Forecast ¥1,400")
    assert stage_of("Hotline") == "proposal"


def test_a_card_is_moved_by_keys_and_the_focus_stays_on_it(open_board):
    page = open_board()
    menu(page, "Parcel lockers").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Needs confirmed")).to_be_focused()
    page.keyboard.press("Enter")
    expect(lane(page, "Needs confirmed").get_by_role("link", name="Parcel lockers")).to_be_visible()
    expect(menu(page, "Parcel lockers")).to_be_focused()
    assert stage_of("Parcel lockers") == "needs-confirmed"


def test_what_waits_for_a_decision_is_not_dragged_and_says_so(open_board):
    page = open_board()
    expect(card(page, "Leased line")).to_contain_text("Sign:")
    assert card(page, "Leased line").get_attribute("draggable") is None
    menu(page, "Leased line").click()
    expect(card(page, "Leased line")).to_contain_text("and moves once that is decided")


def test_a_refused_card_snaps_back_with_the_reason(open_board):
    page = open_board()
    hotline = Opportunity.objects.get(name="Hotline")
    hotline.change(by=hotline.owner, amount=5)
    card(page, "Hotline").drag_to(head(page, "Proposal"))
    said = page.get_by_role("alert")
    expect(said).to_contain_text("Somebody changed this record after you opened it.")
    expect(said).to_contain_text("¥100,000 → ¥5")
    expect(lane(page, "First contact").get_by_role("link", name="Hotline")).to_be_visible()
    expect(card(page, "Hotline")).to_contain_text("¥5")  # and it is as it is now
    assert stage_of("Hotline") == "first-contact"
    card(page, "Hotline").drag_to(head(page, "Proposal"))
    expect(lane(page, "Proposal").get_by_role("link", name="Hotline")).to_be_visible()
    expect(said).to_have_count(0)


def test_a_drop_where_the_card_may_not_go_says_why(open_board):
    Stage.objects.filter(key="proposal").update(may_move_back=False)
    Opportunity.objects.filter(name="Hotline").update(stage=Stage.objects.get(key="proposal"))
    page = open_board()
    card(page, "Hotline").drag_to(head(page, "First contact"))
    expect(page.get_by_role("alert")).to_have_text("From “Proposal” an opportunity only goes on, not back.")
    expect(lane(page, "Proposal").get_by_role("link", name="Hotline")).to_be_visible()
    assert stage_of("Hotline") == "proposal"
    card(page, "Hotline").drag_to(head(page, "Negotiation"))
    expect(lane(page, "Negotiation").get_by_role("link", name="Hotline")).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)


def test_keys_walk_from_card_to_card(open_board):
    page = open_board()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Parcel lockers", exact=True)).to_be_focused()
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="Hotline", exact=True)).to_be_focused()
    page.keyboard.press("k")
    expect(page.get_by_role("link", name="Parcel lockers", exact=True)).to_be_focused()


def test_what_a_stage_requires_is_asked_in_a_dialog(open_board):
    Stage.objects.filter(key="proposal").update(required=["description"])
    page = open_board()
    card(page, "Hotline").drag_to(head(page, "Proposal"))
    dialog = page.get_by_role("dialog", name="Move to Proposal?")
    dialog.get_by_text("Cancel").click()
    expect(lane(page, "First contact").get_by_role("link", name="Hotline")).to_be_visible()
    card(page, "Hotline").drag_to(head(page, "Proposal"))
    dialog.get_by_role("button", name="Move", exact=True).click()
    expect(dialog).to_contain_text("Fill this in.")
    dialog.get_by_label("Description").fill("Forty seats.")
    dialog.get_by_role("button", name="Move", exact=True).click()
    expect(lane(page, "Proposal").get_by_role("link", name="Hotline")).to_be_visible()
    expect(dialog).to_have_count(0)
    assert stage_of("Hotline") == "proposal"


def test_dropped_on_won_it_asks_to_sign(open_board):
    page = open_board()
    card(page, "Hotline").drag_to(page.locator(".folded[data-end=won]"))
    expect(page.get_by_label("Contract number")).to_be_visible()
    assert stage_of("Hotline") == "first-contact"


def test_without_script_and_on_a_telephone_the_menu_does_it(open_board):
    page = open_board(java_script_enabled=False, viewport={"width": 390, "height": 844})
    menu(page, "Hotline").click()
    card(page, "Hotline").get_by_role("button", name="Proposal").click()
    expect(lane(page, "Proposal").get_by_role("link", name="Hotline")).to_be_visible()
    expect(page.get_by_text("Moved to Proposal.")).to_be_visible()
    assert stage_of("Hotline") == "proposal"
    phone = open_board(viewport={"width": 390, "height": 844}, has_touch=True)
    menu(phone, "Parcel lockers").tap()
    card(phone, "Parcel lockers").get_by_role("button", name="Negotiation").tap()
    expect(lane(phone, "Negotiation").get_by_role("link", name="Parcel lockers")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
