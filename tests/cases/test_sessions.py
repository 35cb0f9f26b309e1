"""Cases of sessions and passwords: what ends, what says nothing, what leads nowhere else."""

import re

import pytest
from django.conf import settings as current
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client

from crm import people
from crm.models import Audit, User
from crm.sign_in import way_in
from notices import delivery
from tests import factories as make
from tests.cases import counted
from tests.digest import nothing_changed
from tests.factories import PASSWORD
from tests.importing import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

OUTSIDE = [
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "https:evil.example",
    "https://evil.example",
    "http:///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    " //evil.example",
    "\t//evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "//testserver@evil.example",
    "https://testserver.evil.example/",
    "https://testserver@evil.example/",
    "//[::1",
    "http://[evil.example]/",
    "x:y",
]


@pytest.fixture
def rep():
    return make.user("rep.shijiazhuang", name="Chen Yu", language="en")


def sign_in(client, username="rep.shijiazhuang", password=PASSWORD, **more):
    return client.post("/accounts/login/", {"login": username, "password": password, **more})


def is_local(location):
    """This will tell whether a browser stays here; it takes a backslash for a slash, and leaves out line ends."""
    where = re.sub(r"[\t\r\n]", "", location.strip()).replace("\\", "/")
    scheme = re.match(r"[a-z][\w+.-]*:", where, re.IGNORECASE)
    return bool(re.match(r"http://testserver(/|$)", where)) if scheme else not where.startswith("//")


# ── Where it leads ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.case(44)
@pytest.mark.parametrize("outside", OUTSIDE)
def test_no_door_leads_outside(rep, outside):
    client = Client()
    answers = [sign_in(client, next=outside)]
    answers.append(client.get("/accounts/login/", {"next": outside}))  # signed in, one is led on
    for address, given in [("/language/", {"language": "en"}), ("/appearance/", {"theme": "dark"})]:
        answers.append(client.post(address, given | {"next": outside}))
        answers.append(client.post(f"{address}?next=%2F%2Fevil.example", given, headers={"referer": outside}))
    answers.append(client.post("/accounts/logout/", {"next": outside}))

    assert [answer.status_code for answer in answers] == [302] * len(answers)
    assert [answer["Location"] for answer in answers if not is_local(answer["Location"])] == []


@pytest.mark.case(44)
@pytest.mark.parametrize("outside", OUTSIDE)
def test_no_page_links_outside_because_its_address_says_so(rep, outside):
    client = signed_in(rep)
    opportunity = make.opportunity(rep, state="active")
    for address in (f"/opportunities/{opportunity.pk}/", f"/opportunities/{opportunity.pk}/edit/", "/opportunities/"):
        page = client.get(address, {"list": outside, "next": outside}, headers={"referer": outside}).content.decode()
        links = re.findall(r'\s(?:href|action|formaction|hx-get|hx-post|data-back)="([^"]*)"', page)
        assert [link for link in links if not is_local(link)] == []


@pytest.mark.case(44)
def test_what_leads_outside_would_be_told():
    assert [outside for outside in OUTSIDE if is_local(outside)] == []


# ── What begins and what ends ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.case(51)
def test_a_session_that_somebody_else_began_is_not_the_one_that_one_is_signed_in_by(rep):
    client = Client()
    session = client.session
    session["planted"] = "by somebody else"
    session.save()
    planted = session.session_key

    assert sign_in(client).status_code == 302

    assert client.session.session_key != planted
    assert not Session.objects.filter(session_key=planted).exists()
    other = Client()
    other.cookies[current.SESSION_COOKIE_NAME] = planted
    assert other.get("/profile/").status_code == 302
    assert client.get("/profile/").status_code == 200


@pytest.mark.case(51)
def test_the_cookie_of_a_session_that_was_ended_opens_nothing(rep):
    client = Client()
    sign_in(client)
    kept = client.cookies[current.SESSION_COOKIE_NAME].value
    assert client.cookies[current.SESSION_COOKIE_NAME]["httponly"]
    assert client.cookies[current.SESSION_COOKIE_NAME]["samesite"] == "Lax"
    client.post("/accounts/logout/")

    replayed = Client()
    replayed.cookies[current.SESSION_COOKIE_NAME] = kept
    assert replayed.get("/profile/")["Location"].startswith("/accounts/login/")
    assert not Session.objects.filter(session_key=kept).exists()


def link_of(rep):
    """This will ask for another password and give the address in the mail."""
    mail.outbox.clear()
    Client().post("/accounts/password/reset/", {"email": rep.email})
    delivery.deliver()
    [letter] = mail.outbox
    return re.search(r"https?://\S+", letter.body).group().removeprefix(current.SITE_URL)


def works(link):
    """This will tell whether a link leads to a form in which a password is chosen."""
    page = Client().get(link, follow=True).content.decode()
    assert ("Choose a new password" in page) != ("This link does not work any more" in page)
    return "Choose a new password" in page


def another_password(rep):
    new = {"oldpassword": PASSWORD, "password1": "quiet-river-41", "password2": "quiet-river-41"}
    assert signed_in(rep).post("/accounts/password/change/", new).status_code == 302


def another_address(rep):
    people.want_email(rep, "other@example.org")
    people.confirm_email(rep, "other@example.org")


def leaving(rep):
    people.deactivate(rep, by=make.user(None, "administrator", at="head-office"))


@pytest.mark.case(52)
@pytest.mark.parametrize("happens", [another_password, another_address, leaving])
def test_a_link_to_another_password_dies_with_what_it_was_asked_for_under(rep, happens):
    link = link_of(rep)
    assert works(link)
    happens(rep)
    assert not works(link)


@pytest.mark.case(52)
def test_a_link_to_another_password_is_for_nobody_else(rep):
    other = make.user("other")
    link = link_of(rep)
    mine, theirs = (way_in(one).split("/")[-2].partition("-")[0] for one in (rep, other))

    assert not works(link.replace(f"/{mine}-", f"/{theirs}-"))
    assert not works(link[:-2] + "/")
    assert works(link)


# ── What says nothing ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.case(53)
def test_a_wrong_password_takes_as_much_work_as_an_unknown_name(rep, settings):
    settings.PASSWORD_HASHERS = ["tests.cases.counted.Counted"]
    rep.set_password(PASSWORD)
    rep.save()

    def worked(username):
        counted.worked.clear()
        assert sign_in(Client(), username, "wrong").status_code == 200
        return len(counted.worked)

    assert worked("rep.shijiazhuang") == worked("nobody") == 1


@pytest.mark.case(53)
def test_whoever_asks_for_another_password_waits_for_no_mail_whether_the_address_is_known_or_not(rep, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1  # where nobody listens

    for email in (rep.email, "nobody@example.org"):
        answer = Client().post("/accounts/password/reset/", {"email": email})
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/reset/done/")


# ── How often ────────────────────────────────────────────────────────────────────────────────────────────────────────

WRITTEN_DIFFERENTLY = [
    "Rep.Shijiazhuang",
    "REP.SHIJIAZHUANG",
    " rep.shijiazhuang ",
    "rép.shijiazhuang",
    "ｒｅｐ．ｓｈｉｊｉａｚｈｕａｎｇ",
    "rep\u2024shijiazhuang",
    "rep.shijiazhuan\u1d4d",
]


@pytest.mark.case(54)
def test_a_name_written_differently_is_counted_as_one(rep):
    for number in range(5):
        name = WRITTEN_DIFFERENTLY[number]
        assert "do not match" in sign_in(Client(REMOTE_ADDR=f"192.0.2.{number}"), name, "wrong").content.decode()

    for name in ("rep.shijiazhuang", *WRITTEN_DIFFERENTLY):
        said = sign_in(Client(REMOTE_ADDR="192.0.2.77"), name, "wrong").content.decode()
        assert "Too many tries" in said, name
    assert Audit.objects.filter(kind="sign_in_failed").count() == 5
    assert sign_in(Client(), make.user("other").username).status_code == 302


@pytest.mark.case(54)
@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-Ip", "Forwarded", "Client-Ip", "X-Client-Ip", "Via"])
def test_an_address_that_the_sender_makes_up_resets_nothing(rep, header):
    for number in range(20):
        client = Client(headers={header: f"198.51.100.{number}"})
        sign_in(client, f"nobody{number}", "wrong")

    said = sign_in(Client(headers={header: "198.51.100.99"})).content.decode()
    assert "Too many tries" in said
    assert not Audit.objects.filter(kind="sign_in").exists()
    assert sign_in(Client(REMOTE_ADDR="192.0.2.9")).status_code == 302


@pytest.mark.case(54)
def test_the_true_owner_gets_in_by_a_link_while_somebody_guesses(rep):
    for _time in range(5):
        sign_in(Client(REMOTE_ADDR="192.0.2.66"), password="wrong")
    assert "have a link sent by e-mail" in sign_in(Client()).content.decode()

    assert works(link_of(rep))


@pytest.mark.case(55)
def test_no_other_door_takes_a_password(rep):
    admin = make.user("admin", "administrator", at="head-office")
    typed = {"username": admin.username, "password": PASSWORD}
    for headers in ({}, {"Authorization": "Basic YWRtaW46cHVyc3VpdC1kZW1v"}, {"Authorization": "Bearer x"}):
        client = Client(headers=headers)
        for address in ("/admin/login/", "/admin/"):
            with nothing_changed():
                assert client.post(address, typed).status_code in (302, 403)
        assert client.get("/profile/").status_code == 302
        assert client.get("/admin/").status_code == 302
    assert not Session.objects.exists()
    assert sign_in(Client(), "admin").status_code == 302


# ── What stands open from the start ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.case(57)
def test_a_new_installation_has_no_account_that_anybody_knows():
    assert not User.objects.exists()
    for name in ("admin", "root", "demo", "manager", "rep.shijiazhuang", "AnonymousUser"):
        for password in ("", "admin", "demo", "password", PASSWORD, name):
            sign_in(Client(REMOTE_ADDR=f"192.0.2.{len(name + password)}"), name, password)
    assert not Session.objects.exists()


@pytest.mark.case(57)
@pytest.mark.parametrize(
    "address",
    [
        "/__debug__/",
        "/silk/",
        "/api/schema/",
        "/api/",
        "/metrics",
        "/.env",
        "/.git/config",
        "/static/../crm/settings.py",
        "/var/pursuit.sqlite3",
        "/debug/",
        "/console/",
        "/server-status",
        "/accounts/signup/",
        "/accounts/email/",
        "/static/",
        "/media/",
        "/admin/doc/",
    ],
)
def test_what_others_leave_open_is_not_there(rep, address):
    assert Client().get(address).status_code in (302, 404)
    answer = signed_in(rep).get(address)
    assert answer.status_code in (302, 403, 404)
    assert "Traceback" not in answer.content.decode() and "DATABASE" not in answer.content.decode()
