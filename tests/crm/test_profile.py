"""One's own profile: what it takes, what it refuses, and that a change shows at once."""

import pytest
from allauth.account.models import EmailAddress
from django.core import mail

from crm.models import Audit, User
from tests.factories import user

pytestmark = pytest.mark.django_db


@pytest.fixture
def rep(client):
    person = user("rep.shijiazhuang", name="Chen Yu", language="en")
    client.force_login(person)
    return person


def typed(person, **changes):
    fields = ["name", "title", "phone", "email", "language", "time_zone", "theme"]
    return {field: getattr(person, field) for field in fields} | changes


def kept(person):
    return User.objects.filter(pk=person.pk).values().get()


def test_a_profile_is_changed_and_says_so(client, rep):
    answer = client.post(
        "/profile/",
        typed(rep, name="Chen Yu 陈宇", title="客户经理", phone="+86 311 555-0100", time_zone="shanghai"),
        follow=True,
    )
    assert answer.redirect_chain == [("/profile/", 302)]
    page = answer.content.decode()
    assert "Profile saved." in page
    assert 'role="status"' in page
    rep.refresh_from_db()
    assert (rep.name, rep.title) == ("Chen Yu 陈宇", "客户经理")
    assert (rep.phone, rep.time_zone) == ("+86 311 555-0100", "Asia/Shanghai")


def test_what_is_wrong_stands_at_its_field_and_nothing_is_changed(client, rep):
    other = user("other", email="taken@example.org")
    before = kept(rep)
    answer = client.post(
        "/profile/", typed(rep, name="", phone="call me", email=other.email.upper(), time_zone="Mars", theme="pink")
    )
    page = answer.content.decode()
    for said in [
        "5 things to correct.",
        "Fill this in.",
        "Write digits, + and spaces.",
        "Another account has this address.",
    ]:
        assert said in page
    assert 'value="Mars"' in page
    assert '<span class="name">Chen Yu</span>' in page  # the frame shows who one is, not who one tried to be
    assert kept(rep) == before


def test_a_new_language_shows_at_once_and_in_the_toast(client, rep):
    page = client.post("/profile/", typed(rep, language="zh-hans"), follow=True).content.decode()
    assert '<html lang="zh-hans"' in page
    page = client.post("/profile/", typed(rep, language="en"), follow=True).content.decode()
    assert '<html lang="en"' in page
    assert "Profile saved." in page


def test_without_a_language_of_ones_own_the_browser_chooses(client, rep):
    client.post("/profile/", typed(rep, language=""))
    assert '<html lang="zh-hans"' in client.get("/profile/", headers={"accept-language": "zh-CN"}).content.decode()
    assert '<html lang="en"' in client.get("/profile/", headers={"accept-language": "en"}).content.decode()


def test_language_and_appearance_can_be_switched_from_the_menu_of_every_page(client, rep):
    assert client.post("/language/", {"language": "zh-hans", "next": "/profile/?a=1"}).url == "/profile/?a=1"
    assert client.post("/appearance/", {"theme": "dark", "next": "/profile/"}).url == "/profile/"
    rep.refresh_from_db()
    assert (rep.language, rep.theme) == ("zh-hans", "dark")
    assert 'lang="zh-hans" data-bs-theme="dark"' in client.get("/profile/").content.decode()


def test_a_language_or_appearance_that_there_is_not_changes_nothing(client, rep):
    before = kept(rep)
    client.post("/language/", {"language": "fr", "next": "/"})
    client.post("/appearance/", {"theme": "pink", "next": "/"})
    client.get("/appearance/", {"theme": "dark"})
    assert client.post("/appearance/", {"theme": before["theme"], "next": "//evil.example"}).url == "/"
    assert kept(rep) == before


def test_a_profile_changes_nothing_that_is_the_administrators(client, rep):
    before = kept(rep)
    client.post("/profile/", typed(rep, username="boss", is_staff="on", is_superuser="on", department="1", roles="1"))
    assert kept(rep) == before
    assert set(rep.role_keys) == {"rep"}


def test_links_to_a_new_password_go_to_the_new_address_only(client, rep):
    old = rep.email
    EmailAddress.objects.create(user=rep, email=old, primary=True, verified=True)
    client.post("/profile/", typed(rep, email="new@example.org"))
    assert Audit.objects.filter(kind="email_changed", by=rep).count() == 1
    client.logout()
    client.post("/accounts/password/reset/", {"email": old})
    assert mail.outbox == []
    client.post("/accounts/password/reset/", {"email": "new@example.org"})
    assert [sent.to for sent in mail.outbox] == [["new@example.org"]]


def test_strangers_are_asked_to_sign_in(client):
    for method in (client.get, client.post):
        assert method("/profile/").url == "/accounts/login/?next=/profile/"
    assert client.post("/appearance/", {"theme": "dark"}).url.startswith("/accounts/login/")
