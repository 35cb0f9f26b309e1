"""Sessions, caches and keys that go from under people at work: they sign in again, and nothing breaks."""

import random
import re
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import pytest
from django.conf import settings as current
from django.core.cache import cache
from django.db import connection
from django.test import Client

from crm.settings import PASSWORD_HASHERS
from crm.sign_in import email_link, way_in
from tests import factories as make
from tests.faults.driver import CSRF, Company, Load, ask, settled
from tests.importing import signed_in

pytestmark = pytest.mark.django_db(transaction=True)

ANOTHER_KEY = "another key, which is as long as one should be"


def wipe(*tables):
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DELETE FROM {table}")


@pytest.mark.torture
def test_with_sessions_and_cache_wiped_under_load_everybody_signs_in_again_and_goes_on(product, settings):
    settings.PASSWORD_HASHERS = PASSWORD_HASHERS  # the product's own, to which those of tests are unknown
    company = Company(product.port, 4)
    product.begin()
    with Load(product, company, readers=2) as load:
        load.until_more(5)
        load.strike(lambda: wipe("django_session", "cache_entries"))
        for rep, deputy, _customer in company.desks:
            for person in (rep, deputy):
                person.cookies = sign_in(product.port, make.User.objects.get(pk=person.pk))
        load.until_more()
    product.is_well()
    settled(company.ledger, allowed={401})


def sign_in(port, user):
    """This will sign in by name and password, as one does, and give the cookies."""
    typed = urlencode({"login": user.username, "password": make.PASSWORD, "csrfmiddlewaretoken": CSRF})
    kept = f"{current.CSRF_COOKIE_NAME}={CSRF}"
    headers = {"Cookie": kept, "Content-Type": "application/x-www-form-urlencoded"}
    answer = ask(port, "POST", "/accounts/login/", typed, headers)
    assert answer.status == 302, answer.page
    given = SimpleCookie()
    for line in answer.headers.get_all("Set-Cookie"):
        given.load(line)
    return f"{current.SESSION_COOKIE_NAME}={given[current.SESSION_COOKIE_NAME].value}; {kept}"


def test_with_the_key_before_still_known_sessions_and_links_go_on(settings):
    rep = make.user(language="en", email_wanted="new@example.org")
    client = signed_in(rep)
    address, link = way_in(rep), email_link(rep, "new@example.org")
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = (
        [settings.SECRET_KEY],
        "another key, which is as long as one should be",
    )
    assert client.get("/profile/").status_code == 200
    assert "new@example.org" in client.get(link).content.decode()
    assert client.get("/profile/").status_code == 200, "and under the new key"
    assert "New password" in Client().get(address, follow=True).content.decode()


def test_with_the_key_before_forgotten_one_signs_in_again_and_links_say_that_they_are_old(settings):
    rep = make.user(language="en", email_wanted="new@example.org")
    client = signed_in(rep)
    address, link = way_in(rep), email_link(rep, "new@example.org")
    settings.SECRET_KEY = ANOTHER_KEY
    assert client.get("/profile/")["Location"].startswith("/accounts/login/")
    client.force_login(rep)
    for old in (address, link):
        page = client.get(old, follow=True)
        assert page.status_code < 500
        assert "new@example.org" not in page.content.decode()
        assert 'name="password1"' not in page.content.decode()
    assert client.get("/profile/").status_code == 200


def test_a_cache_that_is_wiped_forgets_tries_and_nothing_else(client):
    rep = make.user(language="en")
    for _time in range(random.randint(1, 4)):
        client.post("/accounts/login/", {"login": rep.username, "password": "wrong"})
    cache.clear()
    answer = client.post("/accounts/login/", {"login": rep.username, "password": make.PASSWORD})
    assert answer.status_code == 302
    assert re.search(r"Chen|user", client.get("/profile/").content.decode())
