"""Passkeys and codes at a browser: added by hand, signed in with, and where a browser cannot, the page says so."""

import re

import pytest
from allauth.mfa.models import Authenticator
from playwright.sync_api import expect

from crm.models import Audit, User
from tests import factories as make
from tests.browser.desk import Desk, wrong_with
from tests.crm.test_two_step import code_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

FINGER = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip


def device(page):
    """This will give the page a device that keeps passkeys, whose owner always lays on a finger: (session, its id)."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": FINGER})
    return session, made["authenticatorId"]


@pytest.fixture
def rep():
    return make.user("rep.shijiazhuang", name="Chen Yu", language="en")


def says_again(desk):
    """This will write the password once more, where a page asks for it."""
    desk.page.get_by_label("Password").fill(make.PASSWORD)
    desk.press("Go on")


def add_passkey(desk, name):
    desk.follow("Add a passkey")
    says_again(desk)
    desk.page.get_by_label("Name of the passkey").fill(name)
    desk.press("Add a passkey")


def sign_out(desk):
    desk.page.goto("/accounts/logout/")
    desk.press("Sign out")


def test_a_passkey_is_added_and_signs_in_without_a_password(sign_in, rep):
    desk = Desk(sign_in(rep, "/profile/"))
    device(desk.page)
    desk.follow("Set up two-step sign-in")
    add_passkey(desk, "Work laptop")
    expect(desk.page.locator(".codes li")).to_have_count(10)
    assert wrong_with(desk.page) == []
    desk.follow("They are kept")
    desk.sees("Work laptop")
    desk.sees("Not used yet.")
    assert wrong_with(desk.page) == []

    sign_out(desk)
    desk.page.goto("/accounts/login/?next=/opportunities/")
    assert wrong_with(desk.page) == []
    desk.press("Use a passkey")
    desk.page.wait_for_url(re.compile(r"^http://[^/]+/opportunities/$"))
    assert Audit.objects.filter(kind="sign_in").first().data == {"steps": ["webauthn"]}
    assert Authenticator.objects.get(type="webauthn").last_used_at is not None

    sign_out(desk)
    User.objects.filter(pk=rep.pk).update(is_active=False)
    desk.press("Use a passkey")
    desk.sees("This account is closed")
    assert Audit.objects.filter(kind="sign_in").count() == 2  # of the window, and of the passkey before


def test_a_passkey_is_the_second_step_after_the_password_and_says_again_who_one_is(sign_in, rep):
    desk = Desk(sign_in(rep, "/accounts/two-step/"))
    device(desk.page)
    add_passkey(desk, "Work laptop")
    desk.follow("They are kept")
    sign_out(desk)
    desk.page.get_by_label("User name").fill(rep.username)
    desk.page.get_by_label("Password").fill(make.PASSWORD)
    desk.press("Sign in")
    assert wrong_with(desk.page) == []
    desk.press("Use a passkey")
    desk.page.wait_for_url(re.compile("^http://[^/]+/$"))
    assert Audit.objects.filter(kind="sign_in").first().data == {"steps": ["password", "webauthn"]}

    desk.page.goto("/accounts/two-step/")
    desk.follow("Rename Work laptop")
    assert wrong_with(desk.page) == []
    desk.follow("Use a passkey")
    assert wrong_with(desk.page) == []
    desk.press("Use a passkey")
    desk.page.get_by_label("Name of the passkey").fill("Old laptop")
    desk.press("Save")
    desk.sees("Old laptop")
    desk.follow("Remove Old laptop")
    desk.sees("Remove “Old laptop”?")
    assert wrong_with(desk.page) == []
    desk.press("Remove")
    desk.sees("The passkey is removed.")
    assert not Authenticator.objects.exists()


def test_a_device_whose_owner_is_not_there_gives_no_passkey_and_the_page_says_so(sign_in, rep):
    desk = Desk(sign_in(rep, "/accounts/two-step/"))
    session, finger = device(desk.page)
    add_passkey(desk, "Work laptop")
    desk.follow("They are kept")
    desk.follow("Add a passkey")
    desk.press("Add a passkey")
    desk.sees("This device holds a passkey of your account already.")
    sign_out(desk)
    session.send("WebAuthn.setUserVerified", {"authenticatorId": finger, "isUserVerified": False})
    desk.press("Use a passkey")
    desk.sees("No passkey was given.")
    session.send("WebAuthn.setUserVerified", {"authenticatorId": finger, "isUserVerified": True})
    Authenticator.objects.filter(type="webauthn").delete()
    desk.press("Use a passkey")
    desk.sees("This passkey was not accepted.")
    assert Audit.objects.filter(kind="sign_in_failed").count() == 1
    expect(desk.page).to_have_url(re.compile("/accounts/"))


def test_where_a_browser_cannot_keep_passkeys_no_button_is_offered(sign_in, browser, live_server, rep):
    by_number = live_server.url.replace("localhost", "127.0.0.1")
    page = browser.new_context(base_url=by_number).new_page()
    page.goto("/accounts/login/")
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()
    page.get_by_label("User name").fill(rep.username)
    page.get_by_label("Password").fill(make.PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.goto("/accounts/passkeys/add/")
    says_again(Desk(page))
    expect(page.get_by_text("This browser uses no passkeys here")).to_be_visible()
    expect(page.get_by_role("button", name="Add a passkey")).to_be_hidden()
    page.context.close()


def test_an_app_is_turned_on_and_asked_for_by_keyboard_alone(sign_in, rep):
    desk = Desk(sign_in(rep, "/accounts/two-step/app/on/"))
    page = desk.page
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(make.PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("img.qr")).to_be_visible()
    assert page.locator("img.qr").evaluate("(picture) => picture.complete && picture.naturalWidth > 0")
    assert wrong_with(page) == []
    secret = page.locator(".secret").text_content().replace(" ", "")
    expect(page.get_by_label("Sign-in code")).to_be_focused()
    page.keyboard.type(code_of(secret))
    page.keyboard.press("Enter")
    with page.expect_download() as saved:
        desk.follow("Save as a file")
    codes = page.locator(".codes code").all_text_contents()
    assert saved.value.path().read_text().split() == ["Recovery", "codes,", "Pursuit,", "rep.shijiazhuang", *codes]
    sign_out(desk)
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type(rep.username)
    page.keyboard.press("Tab")
    page.keyboard.type(make.PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_label("Sign-in code")).to_be_focused()
    page.keyboard.type(codes[0])
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("^http://[^/]+/$"))
    desk.sees("Chen Yu")
