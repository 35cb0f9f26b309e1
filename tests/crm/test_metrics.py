"""/metrics says to whoever has the token what an operator watches: the same whichever process is asked."""

import http.client
import json
import os
import re
import socket
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
from django.db import connection
from django.utils import timezone

from crm.jobs import Job
from crm.metrics import probe
from crm.models import User
from crm.pulse import WorkerPulse
from notices.models import Delivery
from tests import factories as make
from tests.crm.chores import work  # noqa: F401  registers the chores
from tests.crm.live import until
from tests.crm.test_serve import PATIENCE, served

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a-token-for-these-tests-alone"
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


@pytest.fixture
def token(settings):
    settings.METRICS_TOKEN = TOKEN
    probe.ended.wait(30)
    probe.begun_at = 0  # what was seen in the test before is too old
    return {"authorization": f"Bearer {TOKEN}"}


def figures(text):
    """This will give {name: {labels as they stand: figure}} of what /metrics said."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, figure = SAMPLE.match(line).groups()
            found.setdefault(name, {})[labels or ""] = float(figure)
    return found


def asked(client, token):
    answer = client.get("/metrics", headers=token)
    assert answer.status_code == 200
    return figures(answer.content.decode())


def test_without_a_token_in_the_settings_there_is_no_such_page(client):
    for headers in ({}, {"authorization": "Bearer "}, {"authorization": "Bearer None"}):
        answer = client.get("/metrics", headers=headers)
        assert (answer.status_code, b"pursuit_" in answer.content) == (404, False)


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer ü"]
)
def test_whoever_has_another_token_or_none_is_told_nothing(client, token, given):
    client.force_login(make.user(None, "administrator", is_superuser=True))
    answer = client.get("/metrics", headers={"authorization": given} if given else {})
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert client.get("/metrics", headers=token).status_code == 200


def test_the_page_is_asked_not_told_and_not_kept(client, token):
    assert client.post("/metrics", headers=token).status_code == 405
    answer = client.get("/metrics", headers=token | {"host": "10.1.2.3"})
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert "no-store" in answer.headers["Cache-Control"]
    assert not answer.cookies


def test_requests_are_counted_by_route_and_never_by_path(client, token):
    client.force_login(make.user(None, "rep"))
    before = asked(client, token)
    customer = make.opportunity(owner=User.objects.get()).customer
    for address in (f"/customers/{customer.pk}/", "/customers/99999999/", "/nowhere/canary/", "/people/"):
        client.get(address)
    client.generic("CANARY", "/people/")
    after = asked(client, token)

    def more(name, labels):
        return after[name].get(labels, 0) - before.get(name, {}).get(labels, 0)

    counted = "pursuit_request_seconds_count"
    assert more(counted, 'method="GET",route="customer",status="2xx"') == 1
    assert more(counted, 'method="GET",route="customer",status="4xx"') == 1
    assert more(counted, 'method="GET",route="none",status="4xx"') == 1
    assert more(counted, 'method="GET",route="people",status="4xx"') == 1
    assert more(counted, 'method="other",route="none",status="4xx"') == 1
    assert more("pursuit_request_seconds_bucket", 'le="+Inf",method="GET",route="customer",status="2xx"') == 1
    assert more("pursuit_queries_total", 'route="customer"') > 5
    assert more("pursuit_query_seconds_total", 'route="customer"') > 0
    assert "canary" not in str(after).lower()
    assert f"/{customer.pk}/" not in str(after)
    assert "99999999" not in str(after)


def test_what_waits_and_what_failed_is_told_by_kind(client, token):
    person = make.user(email="wei@example.org")
    for state in ("waiting", "waiting", "running", "failed", "done"):
        job = Job.objects.create(kind="export", created_at=timezone.now() - timedelta(minutes=10))
        ended = {"finished_at": timezone.now()} if state in ("failed", "done") else {}
        runs = {"worker": "one", "heartbeat_at": timezone.now()} if state == "running" else {}
        Job.objects.filter(pk=job.pk).update(state=state, **ended, **runs)
    letter = {"to": person, "kind": "shared", "about": person}
    for state in ("queued", "failed", "failed", "sent"):
        Delivery.objects.create(state=state, queued_at=timezone.now() - timedelta(hours=1), **letter)
    WorkerPulse.objects.create(worker="one")
    WorkerPulse.objects.create(worker="dead", beat_at=timezone.now() - timedelta(minutes=2))

    found = asked(client, token)

    assert found["pursuit_database_up"] == {"": 1}
    assert found["pursuit_jobs"]['kind="export",state="waiting"'] == 2
    assert found["pursuit_jobs"]['kind="export",state="running"'] == 1
    assert found["pursuit_jobs"]['kind="run_import",state="waiting"'] == 0
    assert 600 <= found["pursuit_jobs_oldest_seconds"]['kind="export"'] < 900
    assert found["pursuit_jobs_oldest_seconds"]['kind="run_import"'] == 0
    assert (found["pursuit_jobs_failed"]['kind="export"'], found["pursuit_jobs_failed"]['kind="bulk"']) == (1, 0)
    assert (found["pursuit_mails_waiting"][""], found["pursuit_mails_failed"][""]) == (1, 2)
    assert 3600 <= found["pursuit_mails_oldest_seconds"][""] < 3900
    assert found["pursuit_workers"] == {"": 1}
    assert 0 <= found["pursuit_worker_heartbeat_seconds"][""] < 60
    assert next(iter(found["pursuit_build"])).startswith(f'database="{connection.vendor}",django="5.2')
    assert "wei@example.org" not in str(found)


def test_without_a_database_it_says_so_and_goes_on_telling_of_requests(client, token):
    client.get("/accounts/login/")
    right = connection.settings_dict.copy()
    connection.settings_dict.update(NAME="/nowhere/at/all" if connection.vendor == "sqlite" else "nowhere_at_all")
    try:
        found = asked(client, token)
    finally:
        connection.settings_dict.update(right)
    assert found["pursuit_database_up"] == {"": 0}
    assert "pursuit_jobs" not in found
    assert found["pursuit_request_seconds_count"]['method="GET",route="account_login",status="2xx"'] >= 1


def ask(port, path, headers):
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    asking.request("GET", path, headers=headers)
    answer = asking.getresponse()
    body = answer.read().decode()
    asking.close()
    return answer.status, body


def test_all_web_processes_add_up_their_counts_and_all_lines_of_the_log_are_json(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = {"authorization": f"Bearer {TOKEN}"}
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "counter_1.db").write_bytes(b"what an earlier start left behind")
    with served(tmp_path, port, WEB_CONCURRENCY="3", METRICS_TOKEN=TOKEN, LOG_FORMAT="json") as process:
        until(lambda: "Ctrl-C" in process.said, seconds=PATIENCE)
        sent = 0

        def some():
            for _time in range(5):
                ask(port, "/accounts/login/", {})

        for _round in range(20):
            together = [Thread(target=some) for _thread in range(8)]
            for one in together:
                one.start()
            for one in together:
                one.join()
            sent += 40
            if len({path.stem.rpartition("_")[2] for path in Path(tmp_path, "metrics").glob("histogram_*.db")}) == 3:
                break
        else:
            raise AssertionError("Not all processes answered.")
        for _time in range(10):
            status, body = ask(port, "/metrics", told)
            found = figures(body)
            assert status == 200
            counted = found["pursuit_request_seconds_count"]
            assert counted['method="GET",route="account_login",status="2xx"'] == sent
        assert found["pursuit_workers"] == {"": 1}
        assert ask(port, "/metrics", {})[0] == 401

        victim = int(max(Path(tmp_path, "metrics").glob("histogram_*.db")).stem.rpartition("_")[2])
        os.kill(victim, 9)
        found = figures(until(lambda: ask(port, "/metrics", told)[1]))
        counted = found["pursuit_request_seconds_count"]['method="GET",route="account_login",status="2xx"']
        assert counted == sent, "what a process counted stays counted when it ends"
        process.popen.terminate()
        assert process.popen.wait(30) == 0
    lines = [line for line in process.said.splitlines() if line]
    plain = [line for line in lines if not line.startswith("{")]
    assert [line for line in plain if not line.startswith("Pursuit runs at")] == []
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    assert len([line for line in logged if line["logger"] == "crm.requests"]) == sent
    assert {"crm.worker", "gunicorn.error"} <= {line["logger"] for line in logged}
