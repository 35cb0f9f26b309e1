"""Signing in and out: what is kept, what is noted, what is refused, and that there is one door."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone

from crm.models import Audit, User
from notices import delivery
from tests.factories import PASSWORD, user

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def rep():
    return user("rep.shijiazhuang", name="Chen Yu", language="en")


def sign_in(client, username="rep.shijiazhuang", password=PASSWORD, **more):
    return client.post("/accounts/login/", {"login": username, "password": password, **more})


def noted(kind):
    return list(Audit.objects.filter(kind=kind).values_list("by__username", "address"))


def test_signing_in_leads_home_and_keeps_when_it_was_the_time_before(client, rep):
    answer = sign_in(client)
    assert answer.status_code == 302
    assert answer.url == "/"
    rep.refresh_from_db()
    first = rep.last_login
    assert first is not None
    assert rep.previous_sign_in_at is None

    client.post("/accounts/logout/")
    sign_in(client)
    rep.refresh_from_db()
    assert rep.previous_sign_in_at == first
    assert rep.last_login > first
    assert noted("sign_in") == [("rep.shijiazhuang", "127.0.0.1")] * 2


def test_signing_in_leads_on_to_the_page_that_was_asked_for(client, rep):
    asked = client.get("/profile/?a=1")
    assert asked.status_code == 302
    page = client.get(asked.url)
    assert 'name="next" value="/profile/?a=1"' in page.content.decode()
    assert sign_in(client, next="/profile/?a=1").url == "/profile/?a=1"


@pytest.mark.case(44)
def test_signing_in_leads_nowhere_else(client, rep):
    assert sign_in(client, next="https://evil.example/").url == "/"


@pytest.mark.case(53)
def test_a_wrong_password_and_an_unknown_name_get_the_same_answer_and_are_noted(client, rep):
    wrong = sign_in(client, password="wrong").content.decode()
    unknown = sign_in(client, username="nobody", password="wrong").content.decode()
    token = re.compile(r'value="[\w.]*"')
    assert "User name and password do not match." in wrong
    assert token.sub("", wrong) == token.sub("", unknown)
    assert set(noted("sign_in_failed")) == {(None, "127.0.0.1"), ("rep.shijiazhuang", "127.0.0.1")}
    assert "wrong" not in str(list(Audit.objects.values()))
    assert not client.session.get("_auth_user_id")


def test_a_person_who_left_cannot_sign_in(client, rep):
    User.objects.filter(pk=rep.pk).update(is_active=False)
    sign_in(client)
    assert client.get("/profile/").status_code == 302
    assert noted("sign_in") == []


@pytest.mark.case(54)
def test_guesses_at_one_account_end_with_how_long_to_wait(client, rep):
    for _ in range(5):
        assert "do not match" in sign_in(client, password="wrong").content.decode()
    stopped = sign_in(client).content.decode()  # the right one now, and too late
    assert "Too many tries. Wait 5 minutes, or have a link sent by e-mail." in stopped
    assert noted("sign_in") == []
    with time_machine.travel(timezone.now() + timedelta(minutes=5, seconds=1)):
        assert sign_in(client).status_code == 302


@pytest.mark.case(54)
def test_guesses_are_counted_however_the_name_is_written_and_wherever_they_say_they_come_from(client, rep):
    written = ["rep.shijiazhuang", "REP.Shijiazhuang", " rep.shijiazhuang ", "rép.shijiazhuang", "ｒｅｐ.shijiazhuang"]
    for number, name in enumerate(written):
        said = {"x-forwarded-for": f"192.0.2.{number}"}
        sent = {"login": name, "password": "wrong"}
        assert client.post("/accounts/login/", sent, headers=said).status_code == 200
    assert "Too many tries." in sign_in(client).content.decode()
    assert noted("sign_in") == []


@pytest.mark.case(54)
def test_many_tries_from_one_address_are_stopped_with_a_page_that_says_how_long(client, rep):
    user("other")
    for _ in range(30):
        sign_in(client, username="other", password="wrong")
    answer = sign_in(client)
    assert answer.status_code == 429
    assert "Wait 1 minute, then try again." in answer.content.decode()
    assert int(answer.headers["Retry-After"]) >= 60
    assert sign_in(Client(REMOTE_ADDR="192.0.2.9")).status_code == 302


@pytest.mark.case(51)
def test_signing_out_asks_first_and_a_get_changes_nothing(client, rep):
    client.force_login(rep)
    asked = client.get("/accounts/logout/")
    assert "Sign out?" in asked.content.decode()
    assert client.get("/profile/").status_code == 200
    assert client.post("/accounts/logout/").status_code == 302
    assert client.get("/profile/").status_code == 302
    assert noted("sign_out") == [("rep.shijiazhuang", "127.0.0.1")]


def test_nobody_signs_up(client):
    assert client.get("/accounts/signup/").status_code == 404


@pytest.mark.case(44)
def test_the_language_can_be_chosen_before_sign_in(client, rep):
    answer = client.post("/language/", {"language": "zh-hans", "next": "/accounts/login/?next=/profile/"})
    assert answer.url == "/accounts/login/?next=/profile/"
    assert '<html lang="zh-hans"' in client.get(answer.url).content.decode()
    assert client.post("/language/", {"language": "zh-hans", "next": "https://evil.example/"}).url == "/"
    assert client.get("/language/").status_code == 405


@pytest.mark.case(52)
def test_a_forgotten_password_is_replaced_by_a_link_that_works_once(client, rep, settings):
    answer = client.post("/accounts/password/reset/", {"email": rep.email.upper()})
    assert answer.url == "/accounts/password/reset/done/"
    assert mail.outbox == []  # who asks waits for no mail server
    delivery.deliver()
    (sent,) = mail.outbox
    assert sent.to == [rep.email.lower()]
    assert "rep.shijiazhuang" in sent.body
    link = re.search(r"https?://\S+", sent.body).group()
    assert link.startswith(settings.SITE_URL)

    form = client.get(link.removeprefix(settings.SITE_URL), follow=True)
    assert "Choose a new password" in form.content.decode()
    path = form.redirect_chain[-1][0]
    new = {"password1": "quiet-river-41", "password2": "quiet-river-41"}
    assert client.post(path, new).url == "/accounts/password/reset/key/done/"
    assert noted("password_changed") == [("rep.shijiazhuang", "127.0.0.1")]
    again = Client().get(link.removeprefix(settings.SITE_URL), follow=True).content.decode()
    assert "This link does not work any more" in again
    assert sign_in(client, password="quiet-river-41").status_code == 302


@pytest.mark.case(53)
def test_a_link_for_an_unknown_address_is_promised_alike_and_not_sent(client, rep):
    known = client.post("/accounts/password/reset/", {"email": rep.email}, follow=True).content.decode()
    unknown = client.post("/accounts/password/reset/", {"email": "x@example.org"}, follow=True).content.decode()
    token = re.compile(r'value="[\w.]*"')
    assert token.sub("", known) == token.sub("", unknown)
    delivery.deliver()
    assert [sent.to for sent in mail.outbox] == [[rep.email]]


@pytest.mark.case(52)
def test_a_new_password_ends_the_other_sessions_and_not_this_one(client, rep):
    elsewhere = Client()
    sign_in(client)
    sign_in(elsewhere)
    new = {"oldpassword": PASSWORD, "password1": "quiet-river-41", "password2": "quiet-river-41"}
    answer = client.post("/accounts/password/change/", new, follow=True)
    assert answer.redirect_chain == [("/profile/", 302)]
    assert "The password is changed. Everywhere else you are signed out." in answer.content.decode()
    assert client.get("/profile/").status_code == 200
    assert elsewhere.get("/profile/").status_code == 302


def test_a_new_password_is_not_ones_own_name(client):
    person = user("p204", name="Alexandrina Petrova")
    client.force_login(person)
    for password, status in [("alexandrina7", 200), ("quiet-river-41", 302)]:
        typed = {"oldpassword": PASSWORD, "password1": password, "password2": password}
        assert client.post("/accounts/password/change/", typed).status_code == status
        person.refresh_from_db()
        assert person.check_password(password) is (status == 302)


def test_a_new_password_needs_the_current_one_and_a_good_one(client, rep):
    client.force_login(rep)
    kept = User.objects.get(pk=rep.pk).password
    for typed, said in [
        ({"oldpassword": "wrong", "password1": "quiet-river-41", "password2": "quiet-river-41"}, "not your current"),
        ({"oldpassword": PASSWORD, "password1": "12345", "password2": "12345"}, "too short"),
        ({"oldpassword": PASSWORD, "password1": "quiet-river-41", "password2": "quiet-river-42"}, "id_password2_error"),
    ]:
        assert said in client.post("/accounts/password/change/", typed).content.decode()
    assert User.objects.get(pk=rep.pk).password == kept
    assert noted("password_changed") == []


@pytest.mark.case(55)
def test_the_admin_has_no_door_of_its_own(client, rep):
    admin = user("admin", "administrator")
    assert client.get("/admin/", follow=True).redirect_chain[-1][0] == "/accounts/login/?next=/admin/"
    assert sign_in(client, next="/admin/").url == "/admin/"
    assert client.get("/admin/", follow=True).status_code == 403
    client.force_login(admin)
    assert client.get("/admin/").status_code == 200
    client.post("/admin/logout/")
    assert noted("sign_out") == [("admin", "127.0.0.1")]
