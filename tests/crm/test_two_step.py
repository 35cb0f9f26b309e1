"""The second step of signing in: set up, asked for, used once, taken away; and who must have it."""

import csv
import hashlib
import hmac
import os
import re
import struct
import subprocess
import sys
import time
from base64 import b32decode, b32encode
from datetime import timedelta
from io import StringIO
from urllib.parse import quote

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.conf import settings as current
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from crm import people, two_step
from crm import settings as product
from crm.models import Audit, User
from crm.sign_in import email_link
from notices.delivery import deliver
from notices.models import Delivery
from tests.digest import digest, nothing_changed
from tests.factories import PASSWORD, user

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

CODE, AGAIN = "/accounts/two-step/sign-in/", "/accounts/reauthenticate/"
TODAY = timezone.now().replace(second=1, microsecond=0)  # the beginning of half a minute, which a test stays within


@pytest.fixture(autouse=True)
def _clock():
    with time_machine.travel(TODAY, tick=False):
        yield


def later(**much):
    return time_machine.travel(timezone.now() + timedelta(**much), tick=False)


@pytest.fixture
def rep():
    return user("rep.shijiazhuang", name="Chen Yu", language="en")


def code_of(secret, steps=0):
    """This will give what an app shows that knows `secret`, so many half minutes from now (RFC 6238)."""
    moment = struct.pack(">Q", int(time.time()) // 30 + steps)
    shown = hmac.new(b32decode(secret), moment, hashlib.sha1).digest()
    start = shown[-1] & 15
    return f"{(struct.unpack('>I', shown[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


def wrong(secret):
    """This will give a code that no app with that secret shows near now."""
    near = {code_of(secret, steps) for steps in (-1, 0, 1)}
    return next(code for code in ("000000", "111111", "222222", "333333") if code not in near)


def sign_in(client, username="rep.shijiazhuang", password=PASSWORD, **more):
    return client.post("/accounts/login/", {"login": username, "password": password, **more})


def is_in(client):
    return client.get("/profile/").status_code == 200


def says_again(client, password=PASSWORD):
    return client.post(AGAIN, {"password": password})


def asks_again(address):
    """This will give where one says again who one is, and goes on to `address`."""
    return f"{AGAIN}?next={quote(address, safe='')}"


def turned_on(client, username="rep.shijiazhuang"):
    """This will turn the app on for somebody; gives its secret and the recovery codes. Half a minute passes."""
    sign_in(client, username)
    says_again(client)
    secret = secret_on(client.get("/accounts/two-step/app/on/"))
    page = client.post("/accounts/two-step/app/on/", {"code": code_of(secret)}, follow=True).content.decode()
    client.post("/accounts/logout/")
    return secret, re.findall(r"<code>(\d{8})</code>", page)


def secret_on(page):
    return re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', page.content.decode())[1].replace(" ", "")


def noted(kind):
    return [(row.by and row.by.username, row.data) for row in Audit.objects.filter(kind=kind).order_by("pk")]


def mails():
    """This will send what waits; gives the subjects of the mails."""
    deliver()
    return [sent.subject for sent in mail.outbox]


# ── Setting it up ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_app_is_turned_on_by_the_first_code_that_it_shows(client, rep):
    sign_in(client)
    assert "Your password alone signs in to your account." in client.get("/profile/").content.decode()
    assert client.get("/accounts/two-step/app/on/").url == asks_again("/accounts/two-step/app/on/")
    assert client.post(f"{AGAIN}?next=/accounts/two-step/app/on/", {"password": PASSWORD}).status_code == 302
    page = client.get("/accounts/two-step/app/on/")
    secret = secret_on(page)
    assert '<img class="qr" src="data:image/svg+xml;base64,' in page.content.decode()
    with nothing_changed():
        refused = client.post("/accounts/two-step/app/on/", {"code": wrong(secret)})
        assert "This code does not fit" in refused.content.decode()
        assert secret_on(refused) == secret

    shown = client.post("/accounts/two-step/app/on/", {"code": code_of(secret)}, follow=True)

    assert shown.redirect_chain == [("/accounts/two-step/codes/", 302)]
    assert len(set(re.findall(r"<code>(\d{8})</code>", shown.content.decode()))) == 10
    assert noted("two_step_on") == [("rep.shijiazhuang", {})]
    assert mails() == ["Two-step sign-in was turned on"]
    assert "<dt>Recovery codes</dt><dd>10</dd>" in client.get("/profile/").content.decode()


def test_recovery_codes_are_shown_once_and_new_ones_take_their_place(client, rep):
    secret, old = turned_on(client)
    with later(minutes=1):
        sign_in(client)
        client.post(CODE, {"code": code_of(secret)})
        assert client.get("/accounts/two-step/codes/").url.startswith(AGAIN)
        says_again(client)
        page = client.get("/accounts/two-step/codes/").content.decode()
        assert "are not shown again" in page
        assert not any(code in page for code in old)
        page = client.post("/accounts/two-step/codes/new/", follow=True).content.decode()
        new = re.findall(r"<code>(\d{8})</code>", page)
        assert f"%0D%0A{new[0]}%0D%0A" in page  # to save as a file
        assert noted("recovery_codes_made") == [("rep.shijiazhuang", {})]
        assert mails()[-1] == "New recovery codes were made"
        client.post("/accounts/logout/")
        sign_in(client)
        client.post(CODE, {"code": old[0]})
        assert not is_in(client)
        client.post(CODE, {"code": new[0]})
        assert is_in(client)


def test_secrets_lie_locked_in_the_database_and_in_the_session(client, rep):
    sign_in(client)
    says_again(client)
    secret = secret_on(client.get("/accounts/two-step/app/on/"))
    [kept] = [row.get_decoded() for row in Session.objects.all() if row.get_decoded().get("_auth_user_id")]
    assert secret not in str(kept)
    client.post("/accounts/two-step/app/on/", {"code": code_of(secret)})
    rows = str(list(Authenticator.objects.values()))
    assert "secret" in rows
    assert secret not in rows


def test_a_former_key_opens_what_it_locked_and_a_lost_one_lets_no_code_fit(client, rep, settings):
    secret, codes = turned_on(client)
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another key, quite as long as such a key has to be"
    settings.SECRET_KEY_FALLBACKS = [former]
    with later(minutes=1):
        sign_in(client)
        client.post(CODE, {"code": code_of(secret)})
        assert is_in(client)
        assert "<dt>Recovery codes</dt><dd>10</dd>" in client.get("/profile/").content.decode()
        client.post("/accounts/logout/")
        settings.SECRET_KEY_FALLBACKS = []
        sign_in(client)
        for code in (code_of(secret, 1), codes[0], code_of(b32encode(b"").decode())):
            assert "does not fit" in client.post(CODE, {"code": code}).content.decode()
        assert not is_in(client)


def test_secrets_are_locked_anew_so_that_a_former_key_can_go(client, rep, settings):
    secret, codes = turned_on(client)
    former, settings.SECRET_KEY = settings.SECRET_KEY, "another key, quite as long as such a key has to be"
    with nothing_changed(), pytest.raises(CommandError, match="is not in SECRET_KEY_FALLBACKS"):
        call_command("relock")
    settings.SECRET_KEY_FALLBACKS = [former]
    for told in ("Locked anew: 2.\n", "Locked anew: 0.\n"):
        said = StringIO()
        call_command("relock", stdout=said)
        assert said.getvalue() == told
    settings.SECRET_KEY_FALLBACKS = []
    with later(minutes=1):
        for code in (code_of(secret), codes[0]):
            sign_in(client)
            client.post(CODE, {"code": code})
            assert is_in(client)
            client.post("/accounts/logout/")


# ── Signing in ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_password_alone_leads_to_the_second_step_and_no_further(client, rep):
    secret, _codes = turned_on(client)
    with later(minutes=1):
        assert sign_in(client, next="/profile/?a=1").url == CODE
        assert not is_in(client)
        assert client.get("/accounts/two-step/").status_code == 302
        assert client.post(CODE, {"code": code_of(secret)}).url == "/profile/?a=1"
        assert is_in(client)
    assert noted("sign_in")[-1] == ("rep.shijiazhuang", {"steps": ["password", "totp"]})
    assert noted("sign_in")[0] == ("rep.shijiazhuang", {"steps": ["password"]})


@pytest.mark.case(56)
def test_a_code_signs_in_once(client, rep):
    secret, _codes = turned_on(client)
    with later(minutes=1):
        code = code_of(secret)
        sign_in(client)
        client.post(CODE, {"code": code})
        assert is_in(client)
        elsewhere = Client()
        sign_in(elsewhere)
        assert "was used already" in elsewhere.post(CODE, {"code": code}).content.decode()
        assert not is_in(elsewhere)
        assert "was used already" in elsewhere.post(CODE, {"code": f"{code[:3]} {code[3:]}"}).content.decode()
        elsewhere.post(CODE, {"code": code_of(secret, 1)})  # the next one
        assert is_in(elsewhere)


@pytest.mark.case(56)
def test_guesses_at_many_names_do_not_make_a_used_code_good_again(client, rep, settings):
    settings.CACHES = product.CACHES  # the table in the database, which drops the least when it holds too much
    secret, _codes = turned_on(client)
    with later(minutes=1):
        sign_in(client)
        client.post(CODE, {"code": code_of(secret)})
        assert is_in(client)
        for number in range(120):
            sign_in(Client(REMOTE_ADDR=f"192.0.2.{number}"), f"nobody{number}", "wrong")
        elsewhere = Client()
        sign_in(elsewhere)
        assert "was used already" in elsewhere.post(CODE, {"code": code_of(secret)}).content.decode()


def test_the_code_that_turned_the_app_on_is_used(client, rep):
    secret, _codes = turned_on(client)
    sign_in(client)
    assert "was used already" in client.post(CODE, {"code": code_of(secret)}).content.decode()


@pytest.mark.parametrize(("steps", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_is_good_for_half_a_minute_before_and_after_its_own(client, rep, steps, fits):
    secret, _codes = turned_on(client)
    with later(hours=1):
        sign_in(client)
        client.post(CODE, {"code": code_of(secret, steps)})
        assert is_in(client) is fits


@pytest.mark.case(56)
def test_a_recovery_code_signs_in_once_however_it_is_written(client, rep):
    _secret, codes = turned_on(client)
    for code in (f"{codes[0][:4]} {codes[0][4:]}", codes[1].translate({48 + n: 0xFF10 + n for n in range(10)})):
        sign_in(client)
        client.post(CODE, {"code": code})
        assert is_in(client)
        client.post("/accounts/logout/")
    assert noted("sign_in")[-1] == ("rep.shijiazhuang", {"steps": ["password", "recovery_codes"]})
    sign_in(client)
    with nothing_changed():
        assert "was used already" in client.post(CODE, {"code": codes[0]}).content.decode()
    client.post(CODE, {"code": codes[2]})
    assert "<dt>Recovery codes</dt><dd>7</dd>" in client.get("/profile/").content.decode()


def test_wrong_codes_are_noted_and_the_sixth_in_five_minutes_is_not_looked_at(client, rep):
    secret, codes = turned_on(client)
    with later(minutes=1):
        sign_in(client)
        with nothing_changed():
            for _number in range(5):
                assert "does not fit" in client.post(CODE, {"code": wrong(secret)}).content.decode()
            elsewhere = Client(REMOTE_ADDR="192.0.2.9")  # to begin anew helps nobody
            sign_in(elsewhere)
            for one in (client, elsewhere):
                for code in (code_of(secret), codes[0]):
                    assert "Too many tries. Wait 5 minutes." in one.post(CODE, {"code": code}).content.decode()
        assert not is_in(client)
        assert noted("two_step_failed") == [("rep.shijiazhuang", {})] * 5
        with later(minutes=5, seconds=1):
            client.post(CODE, {"code": code_of(secret)})
            assert is_in(client)


def test_who_stops_before_the_second_step_begins_anew(client, rep):
    secret, _codes = turned_on(client)
    sign_in(client)
    assert client.get("/accounts/login/").url == CODE
    client.post("/accounts/logout/")
    assert client.get("/accounts/login/").status_code == 200
    assert client.post(CODE, {"code": code_of(secret, 1)}).url == "/accounts/login/"
    with later(minutes=1):
        sign_in(client)
        with later(minutes=16):
            assert client.post(CODE, {"code": code_of(secret)}).url == "/accounts/login/"
            assert not is_in(client)


def test_another_session_begins_with_signing_in_and_the_old_cookie_is_worth_nothing_after_it(client, rep):
    secret, _codes = turned_on(client)
    with later(minutes=1):
        sign_in(client)
        before = client.cookies[current.SESSION_COOKIE_NAME].value
        client.post(CODE, {"code": code_of(secret)})
        after = client.cookies[current.SESSION_COOKIE_NAME].value
        assert before != after
        client.post("/accounts/logout/")
        for cookie in (before, after):
            client.cookies[current.SESSION_COOKIE_NAME] = cookie
            assert not is_in(client)


def test_cookies_are_for_this_site_alone_and_out_of_reach_of_scripts(client, rep):
    sign_in(client)
    session = client.cookies[current.SESSION_COOKIE_NAME]
    assert (session["httponly"], session["samesite"], session["domain"]) == (True, "Lax", "")
    names = ["SESSION_COOKIE_NAME", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_NAME", "CSRF_COOKIE_SECURE"]
    asked = f"from crm import settings; print([getattr(settings, name) for name in {names}])"
    https = os.environ | {"SITE_URL": "https://pursuit.example"}
    told = subprocess.run([sys.executable, "-c", asked], env=https, check=True, capture_output=True, text=True).stdout
    assert told == "['__Host-session', True, '__Host-csrf', True]\n"


def test_a_link_to_a_new_password_does_not_go_round_the_second_step(client, rep, settings):
    secret, _codes = turned_on(client)
    with later(minutes=1):
        client.post("/accounts/password/reset/", {"email": rep.email})
        deliver()
        link = re.search(r"https?://\S+", mail.outbox[-1].body)[0].removeprefix(settings.SITE_URL)
        form = client.get(link, follow=True).redirect_chain[-1][0]
        client.post(form, {"password1": "quiet-river-41", "password2": "quiet-river-41"}, follow=True)
        assert not is_in(client)
        assert sign_in(client, password="quiet-river-41").url == CODE
        client.post(CODE, {"code": code_of(secret)})
        assert is_in(client)


def test_who_is_deactivated_before_the_second_step_is_not_let_in(client, rep):
    secret, _codes = turned_on(client)
    with later(minutes=1):
        sign_in(client)
        User.objects.filter(pk=rep.pk).update(is_active=False)
        before = noted("sign_in")
        assert client.post(CODE, {"code": code_of(secret)}).url == "/accounts/inactive/"
        assert noted("sign_in") == before
        assert not is_in(client)


def test_who_waits_at_the_second_step_while_it_is_turned_off_for_them_begins_anew(client, rep, admin):
    turned_on(client)
    sign_in(client)
    people.reset_two_step(rep, by=admin)
    page = client.get(CODE, follow=True)
    assert page.redirect_chain == [("/accounts/login/", 302)]
    assert not is_in(client)
    sign_in(client)
    assert is_in(client)


def test_the_administration_is_behind_the_same_two_steps(client):
    user("admin", "administrator", at="head-office")
    secret, _codes = turned_on(client, "admin")
    with later(minutes=1):
        assert client.get("/admin/", follow=True).redirect_chain[-1][0] == "/accounts/login/?next=/admin/"
        assert sign_in(client, "admin", next="/admin/").url == CODE
        assert client.get("/admin/").status_code == 302
        assert client.post(CODE, {"code": code_of(secret)}).url == "/admin/"
        assert client.get("/admin/").status_code == 200
        assert client.get("/admin/mfa/authenticator/").status_code == 404  # which would show what is kept


# ── What only the owner may do ───────────────────────────────────────────────────────────────────────────────────────

ASKED_AGAIN = ["app/off/", "codes/", "codes/new/"]


@pytest.mark.case(56)
def test_nothing_of_it_is_changed_or_shown_before_one_is_asked_again(client, rep):
    secret, _codes = turned_on(client)
    with later(minutes=1):
        sign_in(client)
        client.post(CODE, {"code": code_of(secret)})
        with nothing_changed():
            for name in [f"/accounts/two-step/{one}" for one in ASKED_AGAIN] + ["/accounts/passkeys/add/"]:
                assert client.get(name).url == asks_again(name)
                if name != "/accounts/two-step/codes/":
                    assert client.post(name).url == asks_again(name)
            assert "This is not your password." in says_again(client, "wrong").content.decode()
            assert client.get("/accounts/two-step/app/off/").status_code == 302
        says_again(client)
        assert "Turn off the app?" in client.get("/accounts/two-step/app/off/").content.decode()
        with later(minutes=5, seconds=1), nothing_changed():
            assert client.post("/accounts/two-step/app/off/").url.startswith(AGAIN)


def test_turned_off_it_leaves_no_code_behind_and_its_owner_hears_of_it(client, rep):
    secret, _codes = turned_on(client)
    with later(minutes=1):
        sign_in(client)
        client.post(CODE, {"code": code_of(secret)})
        asked = client.post("/accounts/two-step/app/off/")
        # What was sent is done once one has said again who one is.
        assert client.post(asked.url, {"password": PASSWORD, "next": "/accounts/two-step/app/off/"}).status_code == 302
        assert not Authenticator.objects.exists()
        assert noted("two_step_off") == [("rep.shijiazhuang", {})]
        assert mails() == ["Two-step sign-in was turned on", "Two-step sign-in was turned off"]
        client.post("/accounts/logout/")
        assert sign_in(client).url == "/"


def test_a_code_says_again_who_one_is_too_and_a_wrong_one_is_noted(client, rep):
    secret, _codes = turned_on(client)
    with later(minutes=1):
        sign_in(client)
        client.post(CODE, {"code": code_of(secret)})
        again = "/accounts/two-step/reauthenticate/"
        assert f'href="{again}' in client.get(AGAIN).content.decode()
        with nothing_changed():
            for code in (wrong(secret), code_of(secret)):  # the second was used to sign in
                assert "does not fit" in client.post(again, {"code": code}).content.decode()
        assert noted("two_step_failed") == [("rep.shijiazhuang", {})] * 2
        client.post(again, {"code": code_of(secret, 1)})
        assert client.get("/accounts/two-step/app/off/").status_code == 200


def test_recovery_codes_go_with_a_second_step(client, rep):
    sign_in(client)
    says_again(client)
    with nothing_changed():
        page = client.post("/accounts/two-step/codes/new/").content.decode()
        assert "Recovery codes go with an app or a passkey." in page
    assert client.get("/accounts/two-step/codes/").status_code == 404


# ── Passkeys, but for those of a browser (tests/browser/test_passkeys.py) ────────────────────────────────────────────

NO_PASSKEYS = [
    "", "{}", "[]", "5", "null", '"x"', "{", "[" * 19_000, "x" * 30_000, '{"id": 1, "rawId": 2, "response": []}',
    '{"id": "", "rawId": "", "type": "public-key", "response": {}}',
    '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "e30", "userHandle": "MQ",'
    ' "authenticatorData": "AA", "signature": "AA", "attestationObject": "oA"}}',
    '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {"clientDataJSON": "e30", "userHandle": "_w",'
    ' "authenticatorData": "' + "A" * 50 + '", "signature": "AA"}}',
]  # fmt: skip


@pytest.mark.parametrize("sent", NO_PASSKEYS, ids=lambda sent: sent[:20] or "nothing")
def test_what_is_no_passkey_is_refused_in_words(client, rep, sent):
    client.get("/accounts/passkeys/sign-in/", headers={"accept": "application/json"})
    with nothing_changed():
        answer = client.post("/accounts/passkeys/sign-in/", {"credential": sent, "next": "/profile/"})
        assert answer.status_code == 200
        assert "This passkey was not accepted." in answer.content.decode()
        assert 'name="next" value="/profile/"' in answer.content.decode()
        assert not is_in(client)
        sign_in(client)
        says_again(client)
        client.get("/accounts/passkeys/add/")
        answer = client.post("/accounts/passkeys/add/", {"credential": sent, "name": "Mine"})
        assert answer.status_code == 200
        assert "This passkey was not accepted." in answer.content.decode()


@pytest.mark.parametrize(
    ("kind", "subject"), [("passkey_added", "A passkey was added"), ("passkey_removed", "A passkey was removed")]
)
def test_the_owner_hears_of_a_passkey_that_came_or_went(rep, kind, subject):
    Delivery.write_to(rep.email, rep, kind)
    assert mails() == [subject]
    assert "/profile/" in mail.outbox[0].body


def test_passkeys_of_others_are_not_there(client, rep):
    other = user("other")
    theirs = Authenticator.objects.create(user=other, type="webauthn", data={"name": "Theirs", "credential": {}})
    sign_in(client)
    says_again(client)
    with nothing_changed():
        for address in (f"/accounts/passkeys/{theirs.pk}/", f"/accounts/passkeys/{theirs.pk}/remove/"):
            assert client.get(address).status_code == 404
            assert client.post(address, {"name": "Mine"}).status_code == 404


# ── Who must ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("rule", "role", "must"),
    [
        ("", "administrator", False),
        ("administrators", "administrator", True),
        ("administrators", "rep", False),
        ("all", "rep", True),
        ("all", "administrator", True),
    ],
)
def test_it_is_required_of_whom_the_operator_says(client, settings, rule, role, must):
    settings.REQUIRE_TWO_STEP = rule
    user("somebody", role)
    sign_in(client, "somebody")
    assert (client.get("/").status_code == 302) is must


def test_who_must_set_it_up_gets_nowhere_before(client, rep, settings):
    settings.REQUIRE_TWO_STEP = "all"
    sign_in(client)
    asked = [{}, {"HX-Request": "true"}, {"Accept": "application/json"}]
    with nothing_changed():
        for headers in asked:
            for address in ("/", "/opportunities/", "/opportunities/export/?format=csv", "/admin/", "/search/suggest/"):
                assert client.get(address, headers=headers).url == "/accounts/two-step/"
            for address in ("/customers/new/", "/appearance/", "/profile/sessions/", "/accounts/password/change/"):
                answer = client.post(address, {"name": "Water works", "theme": "dark"}, headers=headers)
                assert answer.url == "/accounts/two-step/"
    page = client.get("/accounts/two-step/").content.decode()
    assert "It is required here." in page
    for frame in (page, client.get("/nothing/").content.decode()):
        assert 'class="side"' not in frame  # which says how much waits
    assert client.get("/livez").status_code == 200
    assert client.post("/language/", {"language": "en", "next": "/"}).url == "/"


def test_who_has_set_it_up_goes_on_and_who_turns_it_off_is_asked_anew(client, rep, settings):
    settings.REQUIRE_TWO_STEP = "all"
    secret, _codes = turned_on(client)
    with later(minutes=1):
        sign_in(client)
        client.post(CODE, {"code": code_of(secret)})
        assert 'class="side"' in client.get("/").content.decode()
        says_again(client)
        assert "Two-step sign-in is required here" in client.get("/accounts/two-step/app/off/").content.decode()
        client.post("/accounts/two-step/app/off/")
        assert client.get("/").url == "/accounts/two-step/"
        client.post("/accounts/logout/")
        assert client.get("/accounts/login/").status_code == 200


def test_it_costs_no_query_to_know_who_must(client, rep, settings, django_assert_num_queries):
    client.force_login(rep)
    with django_assert_num_queries(3):
        client.get("/appearance/")
    settings.REQUIRE_TWO_STEP = "all"
    Authenticator.objects.create(user=rep, type="totp", data={})
    with django_assert_num_queries(3):
        client.get("/appearance/")


# ── The administrator ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def admin():
    return user("admin", "administrator", at="head-office", name="Wang Fang", language="en")


def test_an_administrator_sees_who_has_it(client, rep, admin):
    turned_on(client)
    client.force_login(admin)

    def found(query):
        return [one.username for one in client.get(f"/people/?{query}").context["page"]]

    assert found("two_step=on") == ["rep.shijiazhuang"]
    assert found("two_step=off") == ["admin"]
    assert "Reset two-step sign-in" in client.get(f"/people/{rep.pk}/").content.decode()
    file = client.get("/people/?export=csv").getvalue().decode("utf-8-sig")
    told = {row["User name"]: row["Two-step sign-in"] for row in csv.DictReader(file.splitlines())}
    assert told == {"rep.shijiazhuang": "On", "admin": "Off"}


def test_an_administrator_resets_it_for_who_lost_the_phone_and_they_are_told(client, rep, admin):
    turned_on(client)
    sign_in(client, "admin")
    address = f"/people/{rep.pk}/two-step/"
    with nothing_changed():
        assert client.post(address).url == asks_again(address)
    says_again(client)
    assert "Turn off the two-step sign-in of Chen Yu?" in client.get(address).content.decode()
    assert client.post(address).url == f"/people/{rep.pk}/"
    assert noted("two_step_off") == [("admin", {"user": "rep.shijiazhuang"})]
    assert mails()[-1] == "Two-step sign-in was turned off"
    assert "Wang Fang turned off your two-step sign-in" in mail.outbox[-1].body
    assert not Authenticator.objects.exists()
    with nothing_changed():
        assert client.post(address).status_code == 409
    assert sign_in(Client()).url == "/"


def test_nobody_else_resets_it_and_nobody_their_own(client, rep, admin):
    for person in (rep, admin):
        turned_on(client, person.username)
    with later(minutes=1):
        client.force_login(user("manager", "opportunity_manager"))
        with nothing_changed():
            assert client.post(f"/people/{rep.pk}/two-step/").status_code == 403
            client.force_login(admin)
            says_again(client)
            assert client.post(f"/people/{admin.pk}/two-step/").status_code == 409


# ── What dies with its owner ─────────────────────────────────────────────────────────────────────────────────────────


def test_who_is_deactivated_is_signed_out_at_once_and_stays_so_when_they_come_back(client, rep, admin):
    sign_in(client)
    other = Client()
    sign_in(other, "admin")
    people.deactivate(rep, by=admin)
    assert not is_in(client)
    people.reactivate(rep, by=admin)
    assert not is_in(client)
    assert is_in(other)
    sign_in(client)
    assert is_in(client)


def reset_link(person, settings):
    Client().post("/accounts/password/reset/", {"email": person.email})
    deliver()
    return re.search(r"https?://\S+", mail.outbox[-1].body)[0].removeprefix(settings.SITE_URL)


def works(link):
    return "Save the password" in Client().get(link, follow=True).content.decode()


def test_a_link_to_a_new_password_ends_with_the_address_the_account_and_the_person(rep, settings):
    link = reset_link(rep, settings)
    assert works(link)
    User.objects.filter(pk=rep.pk).update(email="new@example.org")
    assert not works(link)
    User.objects.filter(pk=rep.pk).update(email=rep.email)
    assert works(link)
    User.objects.filter(pk=rep.pk).update(is_active=False)
    assert not works(link)
    pk, where = rep.pk, rep.department
    rep.delete()
    again = user("rep.shijiazhuang", at=where, pk=pk, email="rep.shijiazhuang@example.org")
    assert again.pk == pk
    assert not works(link)
    assert works(reset_link(again, settings))


def test_a_link_that_confirms_an_address_ends_with_the_person(client, rep):
    User.objects.filter(pk=rep.pk).update(email_wanted="new@example.org")
    link = email_link(rep, "new@example.org")
    client.force_login(rep)  # the audit keeps anybody who has signed in by hand from being deleted
    assert "Is new@example.org your address?" in client.get(link).content.decode()
    User.objects.filter(pk=rep.pk).update(is_active=False)
    assert client.post(link).url.startswith("/accounts/login/")
    pk, where = rep.pk, rep.department
    rep.delete()
    again = user("rep.shijiazhuang", at=where, pk=pk)
    client.force_login(again)
    with nothing_changed():
        assert client.post(link).status_code == 409


def test_a_new_password_by_a_link_ends_every_session(client, rep, settings):
    sign_in(client)
    link = reset_link(rep, settings)
    elsewhere = Client()
    form = elsewhere.get(link, follow=True).redirect_chain[-1][0]
    elsewhere.post(form, {"password1": "quiet-river-41", "password2": "quiet-river-41"})
    assert not is_in(client)


def test_second_steps_go_with_the_person(rep, admin):
    Authenticator.objects.create(user=rep, type="totp", data={})
    before = digest()
    rep.delete()
    assert digest() != before
    assert not Authenticator.objects.exists()
    assert two_step.held_by(admin) == {"app": None, "passkeys": [], "codes_left": 0}
