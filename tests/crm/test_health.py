"""/healthz tells the truth about the database and the worker, soon; /livez says that the process is up."""

import sqlite3
import time
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from crm.health import probe
from crm.models import User
from crm.pulse import WorkerPulse

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _asked_anew():
    """What the probe saw in the test before is too old."""
    probe.ended.wait(30)
    probe.begun_at = 0


@pytest.fixture
def worker():
    return WorkerPulse.objects.create(worker="one")


def test_healthz_is_green_with_a_database_and_a_worker(client, worker):
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "database": "ok", "worker": "ok"})
    assert [pulse.worker for pulse in WorkerPulse.objects.all()] == ["one"], "what was written to see was taken back"


def test_what_is_written_to_see_is_committed_for_a_full_disk_takes_what_is_rolled_back(client, worker):
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL does not tell one connection what another has committed.")

    def version():
        with connection.cursor() as cursor:
            return cursor.execute("PRAGMA data_version").fetchone()[0]

    before = version()
    assert client.get("/livez").status_code == 200
    assert version() == before
    assert client.get("/healthz").status_code == 200
    assert version() != before


def test_healthz_is_red_without_a_worker(client):
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "database": "ok", "worker": "silent"}


def test_healthz_is_red_when_the_worker_has_been_silent_for_a_minute(client, worker):
    WorkerPulse.objects.update(beat_at=timezone.now() - timedelta(seconds=61))
    assert client.get("/healthz").status_code == 503


def test_many_who_ask_in_one_second_cost_one_look(client, worker):
    assert client.get("/healthz").status_code == 200
    probe.begun_at += 60  # however slow this machine is
    WorkerPulse.objects.all().delete()
    assert client.get("/healthz").status_code == 200
    probe.begun_at = 0
    assert client.get("/healthz").status_code == 503


@contextmanager
def held():
    """Somebody else keeps the database: on SQLite from writing, on PostgreSQL from even looking at the workers."""
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield {"database": "not writable", "worker": "ok"}
            other.execute("ROLLBACK")
    else:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE crm_workerpulse")
            yield {"database": "no answer", "worker": "unknown"}


def test_healthz_is_red_and_soon_while_the_database_is_held_and_green_again_afterwards(client, worker):
    with held() as parts:
        begun = time.monotonic()
        answer = client.get("/healthz")
        assert time.monotonic() - begun < 6
        assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", **parts})
    probe.ended.wait(30)
    probe.begun_at = 0
    assert client.get("/healthz").status_code == 200


def test_healthz_is_red_when_there_is_no_database(client, worker):
    right = connection.settings_dict.copy()
    connection.settings_dict.update(NAME="/nowhere/at/all" if connection.vendor == "sqlite" else "nowhere_at_all")
    try:
        answer = client.get("/healthz")
    finally:
        connection.settings_dict.update(right)
    assert answer.status_code == 503
    assert answer.json() == {"status": "unavailable", "database": "no answer", "worker": "unknown"}


def test_health_asks_nobody_who_they_are_and_looks_at_no_session(client, worker, django_assert_num_queries):
    client.force_login(User.objects.create(username="somebody"))
    with django_assert_num_queries(0):  # the probe's are its own thread's
        assert client.get("/livez").json() == {"status": "ok"}
        answer = client.get("/healthz", headers={"host": "10.1.2.3"})
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    assert not answer.cookies


@pytest.mark.parametrize("address", ["/livez", "/healthz"])
def test_health_is_asked_not_told(client, address):
    assert client.post(address).status_code == 405
