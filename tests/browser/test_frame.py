"""The frame in a browser: keys, menus, pickers, questions, busy buttons and toasts, with JavaScript and without."""

import re

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from tests.browser import kit
from tests.browser.desk import wrong_with
from tests.factories import PASSWORD, user

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.browser.kit"),
    pytest.mark.any_database,
]


@pytest.fixture(autouse=True)
def people():
    kit.saved.clear()
    user("rep", name="Chen Yu", language="en")
    user("liu", name="Liu Min")
    user("wang.a", name="Wang Jun")
    user("wang.b", name="Wang Jun", at="baoding")


@pytest.fixture
def signed_in(page, live_server):
    """This will give a page of someone who is signed in; what the browser's console says against it fails the test."""
    said = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    sign_in(page, live_server)
    yield page
    assert said == []


def sign_in(page, live_server):
    page.goto(f"{live_server.url}/accounts/login/?next=/kit/")
    page.get_by_label("User name").fill("rep")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Kit")).to_be_visible()


@pytest.fixture
def without_script(browser, live_server):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, live_server)
    yield page
    context.close()


def test_a_picker_offers_what_matches_and_takes_a_choice_by_keyboard(signed_in):
    field = signed_in.get_by_role("combobox", name="Person in charge")
    field.press_sequentially("wang")
    options = signed_in.get_by_role("listbox", name="Matches").get_by_role("option")
    expect(options).to_have_count(3)
    expect(options.first.locator("mark")).to_have_text("Wang")
    expect(options.nth(1)).to_contain_text("Baoding")
    expect(options.last).to_have_text("New person “wang”")
    field.press("ArrowDown")
    field.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", options.nth(1).get_attribute("id"))
    field.press("Enter")
    expect(field).to_have_value("Wang Jun")
    expect(field).to_have_attribute("aria-expanded", "false")
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_role("status").get_by_text("Saved.")).to_be_visible()
    assert kit.saved == [("Wang Jun", [], "save")]


def test_a_picker_takes_a_choice_by_pointer_and_forgets_it_when_the_text_changes(signed_in):
    field = signed_in.get_by_role("combobox", name="Person in charge")
    key = signed_in.locator("input[name=owner_id]")
    field.fill("liu")
    signed_in.get_by_role("option", name="Liu Min").click()
    expect(field).to_have_value("Liu Min")
    expect(key).not_to_have_value("")
    field.press_sequentially("x")
    expect(key).to_have_value("")


def test_escape_closes_the_list_and_keeps_the_text(signed_in):
    field = signed_in.get_by_role("combobox", name="Person in charge")
    field.fill("liu")
    expect(signed_in.get_by_role("option", name="Liu Min")).to_be_visible()
    field.press("Escape")
    expect(signed_in.get_by_role("listbox")).to_be_hidden()
    expect(field).to_have_value("liu")


def test_enter_takes_the_only_match_and_leaves_several_to_choose_from(signed_in):
    field = signed_in.get_by_role("combobox", name="Person in charge")
    field.fill("liu")
    expect(signed_in.get_by_role("option", name="Liu Min")).to_be_visible()
    field.press("Enter")
    expect(field).to_have_value("Liu Min")
    field.fill("wang")
    expect(signed_in.get_by_role("option", name="Wang Jun")).to_have_count(2)
    field.press("Enter")
    expect(field).to_have_value("wang")
    assert kit.saved == []


def test_a_name_typed_in_full_needs_no_choosing(signed_in):
    signed_in.get_by_label("Person in charge*").fill("Liu Min")
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_text("Saved.")).to_be_visible()
    assert kit.saved == [("Liu Min", [], "save")]


def test_a_picker_of_several_ticks_each_choice(signed_in):
    signed_in.get_by_label("Person in charge*").fill("Liu Min")
    field = signed_in.get_by_role("combobox", name="People")
    for name in ("Chen Yu", "Liu Min"):
        field.fill(name[:4])
        signed_in.get_by_role("option", name=name).click()
        expect(signed_in.get_by_role("checkbox", name=name)).to_be_checked()
        expect(field).to_have_value("")
    signed_in.get_by_role("checkbox", name="Chen Yu").uncheck()
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_text("Saved.")).to_be_visible()
    assert kit.saved == [("Liu Min", ["Liu Min"], "save")]


def test_without_script_a_picker_comes_back_with_the_matches(without_script):
    without_script.get_by_label("Person in charge").fill("Wang Jun")
    without_script.get_by_role("button", name="Save").click()
    expect(without_script.get_by_text("One thing to correct.")).to_be_visible()
    without_script.get_by_role("radio", name="Wang Jun").nth(1).check()
    without_script.get_by_role("button", name="Save").click()
    expect(without_script.get_by_text("Saved.")).to_be_visible()
    assert kit.saved == [("Wang Jun", [], "save")]


def test_with_script_a_choice_replaces_the_matches_that_came_back(signed_in):
    field = signed_in.get_by_role("combobox", name="Person in charge")
    field.fill("Wang Jun")
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_role("radio", name="Wang Jun")).to_have_count(2)
    field.fill("liu")
    signed_in.get_by_role("option", name="Liu Min").click()
    expect(signed_in.get_by_role("radio", name="Wang Jun")).to_have_count(0)
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_text("Saved.")).to_be_visible()
    assert kit.saved == [("Liu Min", [], "save")]


def test_a_button_pressed_twice_is_pressed_once(signed_in):
    signed_in.get_by_label("Person in charge*").fill("Liu Min")
    button = signed_in.get_by_role("button", name="Save")
    press_twice = "b => [b.offsetWidth, b.click(), b.click(), b.ariaBusy, b.offsetWidth].filter(Boolean)"
    width, busy, after = button.evaluate(press_twice)
    assert (busy, after) == ("true", width)
    expect(signed_in.get_by_text("Saved.")).to_be_visible()
    assert kit.saved == [("Liu Min", [], "save")]


def test_a_question_is_a_dialog_that_can_be_left(signed_in):
    signed_in.get_by_role("link", name="Withdraw").click()
    dialog = signed_in.get_by_role("dialog", name="Withdraw the signing?")
    expect(dialog).to_be_visible()
    dialog.get_by_role("link", name="Keep it").click()
    expect(dialog).to_have_count(0)
    expect(signed_in.get_by_role("link", name="Withdraw")).to_be_focused()
    assert kit.saved == []
    signed_in.get_by_role("link", name="Withdraw").click()
    dialog.get_by_role("button", name="Withdraw").click()
    expect(dialog).to_have_count(0)
    assert kit.saved == ["withdrawn"]


def test_without_script_a_question_is_a_page(without_script):
    without_script.get_by_role("link", name="Withdraw").click()
    expect(without_script.get_by_role("heading", name="Withdraw the signing?")).to_be_visible()
    assert kit.saved == []
    without_script.get_by_role("button", name="Withdraw").click()
    expect(without_script.get_by_role("heading", name="Kit")).to_be_visible()
    assert kit.saved == ["withdrawn"]


def test_keys_go_through_the_rows_and_open_what_is_meant(signed_in):
    keyboard = signed_in.keyboard
    link = signed_in.locator(".rows").get_by_role("link")
    keyboard.press("j")
    expect(link.nth(0)).to_be_focused()
    keyboard.press("j")
    keyboard.press("j")
    keyboard.press("k")
    expect(link.nth(1)).to_be_focused()
    keyboard.press("x")
    expect(signed_in.get_by_role("checkbox", name="Select Beta")).to_be_checked()
    keyboard.press("n")
    expect(signed_in.get_by_role("link", name="Opportunity", exact=True)).to_be_focused()
    keyboard.press("Escape")
    expect(signed_in.get_by_role("link", name="Opportunity", exact=True)).to_be_hidden()
    keyboard.press("?")
    expect(signed_in.get_by_role("dialog", name="Keys")).to_be_visible()
    expect(signed_in.get_by_role("dialog").get_by_text("Choose the row")).to_be_visible()
    keyboard.press("Escape")
    keyboard.press("/")
    expect(signed_in.get_by_role("combobox", name="Search")).to_be_focused()
    keyboard.type("jx?n/")
    expect(signed_in.get_by_role("combobox", name="Search")).to_have_value("jx?n/")
    expect(signed_in.get_by_role("dialog", name="Keys")).to_be_hidden()


def test_only_keys_that_do_something_here_are_listed(signed_in, live_server):
    signed_in.goto(f"{live_server.url}/profile/")
    signed_in.keyboard.press("?")
    dialog = signed_in.get_by_role("dialog", name="Keys")
    expect(dialog.get_by_text("This list")).to_be_visible()
    for useless in ("Next row, previous row", "Open the row", "Choose the row"):
        expect(dialog.get_by_text(useless)).to_be_hidden()


def test_enter_opens_the_row(signed_in):
    signed_in.keyboard.press("k")
    signed_in.keyboard.press("Enter")
    expect(signed_in).to_have_url(re.compile(r"/profile/\?Gamma$"))


def test_a_menu_closes_on_escape_and_on_a_press_elsewhere(signed_in):
    me = signed_in.locator("summary.who")
    item = signed_in.get_by_role("link", name="Profile")
    me.click()
    expect(item).to_be_visible()
    signed_in.keyboard.press("Escape")
    expect(item).to_be_hidden()
    expect(me).to_be_focused()
    me.click()
    signed_in.get_by_role("heading", name="Kit").click()
    expect(item).to_be_hidden()


def test_language_and_appearance_change_from_the_menu_and_one_signs_out_there(signed_in):
    me = signed_in.locator("summary.who")
    me.click()
    signed_in.get_by_role("button", name="Dark").click()
    expect(signed_in.locator("html")).to_have_attribute("data-bs-theme", "dark")
    me.click()
    signed_in.get_by_role("button", name="简体中文").click()
    expect(signed_in.locator("html")).to_have_attribute("lang", "zh-hans")
    me.click()
    signed_in.get_by_role("button", name="English").click()
    me.click()
    signed_in.get_by_role("button", name="Sign out").click()
    expect(signed_in.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_toast_leaves_but_not_from_under_the_pointer(signed_in):
    signed_in.clock.install()
    signed_in.get_by_label("Person in charge*").fill("Liu Min")
    signed_in.get_by_role("button", name="Save").click()
    toast = signed_in.get_by_text("Saved.")
    expect(toast).to_be_visible()
    toast.hover()
    signed_in.clock.run_for(8000)
    expect(toast).to_be_visible()
    signed_in.mouse.move(0, 0)
    signed_in.clock.run_for(2000)
    expect(toast).to_have_count(0)


def test_the_skip_link_comes_first(signed_in):
    signed_in.keyboard.press("Tab")
    expect(signed_in.get_by_role("link", name="Skip to content")).to_be_focused()
    signed_in.keyboard.press("Enter")
    expect(signed_in.locator("main")).to_be_focused()


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_frames_pages_are_accessible_and_never_scroll_sideways(signed_in, live_server, width, scheme):
    signed_in.set_viewport_size({"width": width, "height": 844})
    signed_in.emulate_media(color_scheme=scheme)
    for address in ["/kit/", "/kit/ask/", "/profile/", "/accounts/password/change/", "/accounts/logout/"]:
        signed_in.goto(live_server.url + address)
        check(signed_in)
    signed_in.goto(f"{live_server.url}/kit/")
    signed_in.get_by_role("combobox", name="Person in charge").fill("wang")
    expect(signed_in.get_by_role("option").first).to_be_visible()
    check(signed_in)
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_role("radio", name="Wang Jun")).to_have_count(2)
    check(signed_in)
    Session.objects.all().delete()
    for address in ["/accounts/login/", "/accounts/password/reset/", "/accounts/password/reset/done/"]:
        signed_in.goto(live_server.url + address)
        check(signed_in)


def check(page):
    assert wrong_with(page) == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


def test_what_was_typed_comes_back_after_signing_in_again(signed_in, live_server):
    signed_in.get_by_role("combobox", name="Person in charge").fill("Liu Min")
    signed_in.get_by_label("Amount").fill("45万")
    signed_in.get_by_label("Return").check()
    Session.objects.all().delete()
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_role("heading", name="Sign in")).to_be_visible()
    signed_in.get_by_label("User name").fill("rep")
    signed_in.get_by_label("Password").fill("wrong")
    signed_in.get_by_role("button", name="Sign in", exact=True).click()
    signed_in.get_by_label("Password").fill(PASSWORD)
    signed_in.get_by_role("button", name="Sign in", exact=True).click()

    expect(signed_in.get_by_text("What you had typed is here again. It is not saved yet.")).to_be_visible()
    expect(signed_in.get_by_role("combobox", name="Person in charge")).to_have_value("Liu Min")
    expect(signed_in.get_by_label("Amount")).to_have_value("45万")
    expect(signed_in.get_by_label("Return")).to_be_checked()
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_text("Saved.")).to_be_visible()
    assert kit.saved == [("Liu Min", [], "save")]
    signed_in.reload()
    expect(signed_in.get_by_label("Amount")).to_have_value("")  # it is given back once


def test_what_was_typed_on_a_page_from_before_another_sign_in_comes_back_too(browser, live_server):
    context = browser.new_context()
    page = context.new_page()
    sign_in(page, live_server)
    page.get_by_label("Amount").fill("45万")
    context.clear_cookies()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="This page had expired")).to_be_visible()
    sign_in(page, live_server)
    expect(page.get_by_label("Amount")).to_have_value("45万")
    context.close()


def test_what_somebody_typed_is_given_to_nobody_else(signed_in, live_server):
    signed_in.get_by_label("Amount").fill("45万")
    Session.objects.all().delete()
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_role("heading", name="Sign in")).to_be_visible()
    signed_in.get_by_label("User name").fill("liu")
    signed_in.get_by_label("Password").fill(PASSWORD)
    signed_in.get_by_role("button", name="Sign in", exact=True).click()
    expect(signed_in.get_by_role("heading", name="Kit")).to_be_visible()
    expect(signed_in.get_by_label("Amount")).to_have_value("")
    assert signed_in.evaluate("sessionStorage.getItem('typed')") is None


def test_a_session_that_ended_puts_no_page_for_signing_in_into_another_page(signed_in, live_server):
    signed_in.goto(f"{live_server.url}/customers/new/")
    Session.objects.all().delete()
    with signed_in.expect_response("**/accounts/login/**"):
        signed_in.get_by_label("Customer name*").press_sequentially("Qinghe")
    signed_in.wait_for_timeout(200)
    expect(signed_in.get_by_label("Password")).to_have_count(0)
    signed_in.get_by_role("button", name="Save").click()
    signed_in.get_by_label("User name").fill("rep")
    signed_in.get_by_label("Password").fill(PASSWORD)
    signed_in.get_by_role("button", name="Sign in", exact=True).click()
    expect(signed_in.get_by_label("Customer name*")).to_have_value("Qinghe")


def test_leaving_what_was_typed_asks_first_and_saving_does_not(signed_in, live_server):
    asked = []
    signed_in.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    signed_in.goto(f"{live_server.url}/kit/")
    assert asked == []
    signed_in.get_by_label("Amount").press_sequentially("45")
    signed_in.goto(f"{live_server.url}/kit/")
    assert asked == ["beforeunload"]
    signed_in.get_by_role("combobox", name="Person in charge").press_sequentially("Liu Min")
    signed_in.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_text("Saved.")).to_be_visible()
    signed_in.goto(f"{live_server.url}/profile/")
    assert asked == ["beforeunload"]
