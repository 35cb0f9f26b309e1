"""A database that cannot be used has a page that says so and keeps what was typed; it is no error of ours."""

import sqlite3
from contextlib import closing, contextmanager
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models.signals import post_save
from django.test import Client

from opportunities.models import Opportunity
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rep():
    return make.user(language="en")


@pytest.fixture
def client(rep):
    client = Client(raise_request_exception=False)
    client.force_login(rep)
    return client


@contextmanager
def no_database():
    """Where the database was, there is none."""
    right = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = "/nowhere/at/all" if connection.vendor == "sqlite" else "nowhere_at_all"
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = right


@contextmanager
def held():
    """Somebody else keeps everybody from writing, for longer than one who writes waits."""
    if connection.vendor == "sqlite":
        connection.settings_dict["OPTIONS"]["timeout"], patience = 0.2, connection.settings_dict["OPTIONS"]["timeout"]
        with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
        connection.settings_dict["OPTIONS"]["timeout"] = patience
        connection.close()
        return
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE crm_once IN EXCLUSIVE MODE")
    yield
    other.close()
    connection.close()


def test_a_page_without_a_database_says_so_and_when_to_try_again(client):
    with no_database():
        answer = client.get("/opportunities/?state=active")
    page = answer.content.decode()
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "20")
    assert "no-store" in answer.headers["Cache-Control"]
    assert "Pursuit cannot reach its data just now" in page
    assert 'href="/opportunities/?state=active"' in page
    assert "nowhere" not in page and "Traceback" not in page
    assert client.get("/opportunities/").status_code == 200


def test_it_says_so_in_the_language_that_the_browser_asks_for(client):
    with no_database():
        answer = client.get("/opportunities/", headers={"accept-language": "zh-CN"})
    assert 'lang="zh-hans"' in answer.content.decode()


def test_what_was_typed_stands_on_the_page_and_sent_again_makes_one_record(client, rep):
    typed = {"name": 'Harbour "cranes" <2>', "once": str(uuid4()), "act": "save", "stage": make.stage().pk}
    typed |= {"probability": 10, "csrfmiddlewaretoken": "x" * 32}
    with nothing_changed(), held():
        answer = client.post("/opportunities/new/", typed)
    page = answer.content.decode()
    assert answer.status_code == 503
    assert 'action="/opportunities/new/"' in page
    assert '<input type="hidden" name="name" value="Harbour &quot;cranes&quot; &lt;2&gt;">' in page
    assert f'<input type="hidden" name="once" value="{typed["once"]}">' in page
    for _time in range(2):
        assert client.post("/opportunities/new/", typed).status_code == 302
    assert [one.name for one in Opportunity.objects.all()] == [typed["name"]]


def test_a_password_does_not_stand_on_the_page():
    client = Client(raise_request_exception=False)
    with no_database():
        answer = client.post("/accounts/login/", {"login": "somebody", "password": "not to be shown"})
    page = answer.content.decode()
    assert answer.status_code == 503
    assert "not to be shown" not in page and "somebody" not in page
    assert "look whether your last step was done" in page


def test_a_table_that_is_not_there_is_an_error_of_ours(client):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE opportunities_opportunity RENAME TO away")
    try:
        answer = client.get("/opportunities/")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO opportunities_opportunity")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.content.decode()


@contextmanager
def once_it_is_saved(then):
    """Once a follow-up has been committed, and before the session is, `then` happens."""

    def saved(**_signal):
        transaction.on_commit(then)

    post_save.connect(saved, sender=make.FollowUp)
    try:
        yield
    finally:
        post_save.disconnect(saved, sender=make.FollowUp)


def called(client, opportunity):
    """This will add a follow-up, whose type the session notes."""
    data = {"kind": make.FollowUpKind.objects.get(key="visit").pk, "content": "Called.", "at": "2026-01-02T10:00"}
    data |= {"once": "5f0c8f0e-8f4b-4b9e-9d57-6b1f3a3f0a11"}
    return client.post(f"/opportunities/{opportunity.pk}/follow-up/", data)


def test_where_it_goes_away_between_the_record_and_the_session_nobody_hears_that_nothing_was_done(client, rep):
    opportunity = make.opportunity(rep)
    right = connection.settings_dict["NAME"]

    def go_away():
        connection.settings_dict["NAME"] = "/nowhere/at/all" if connection.vendor == "sqlite" else "nowhere_at_all"
        connection.close()

    try:
        with once_it_is_saved(go_away):
            answer = called(client, opportunity)
    finally:
        connection.settings_dict["NAME"] = right
    assert answer.status_code == 503
    assert "what was done already is not done twice" in answer.content.decode()
    assert called(client, opportunity).status_code == 302
    assert make.FollowUp.objects.count() == 1


def test_who_is_signed_out_while_a_form_is_done_is_led_to_sign_in(client, rep):
    opportunity = make.opportunity(rep)
    with once_it_is_saved(Session.objects.all().delete):
        answer = called(client, opportunity)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")
    assert make.FollowUp.objects.count() == 1
