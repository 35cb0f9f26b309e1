"""Each request leaves one line in the log, which says what operators ask for and nothing that lets anybody in."""

import json
import logging
import re
from io import StringIO

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.jobs import Job, run_waiting
from crm.logs import Json, Text
from crm.sign_in import email_link, way_in
from tests import factories as make
from tests.crm.chores import work  # noqa: F401  registers the chores

pytestmark = pytest.mark.django_db

MADE = re.compile(r"[0-9a-f]{32}")


@pytest.fixture
def written():
    """What is written down meanwhile, as (lines of JSON, lines of text)."""
    streams, handlers = (StringIO(), StringIO()), []
    for stream, formatter in zip(streams, (Json(), Text()), strict=True):
        handlers.append(logging.StreamHandler(stream))
        handlers[-1].setFormatter(formatter)
        logging.getLogger().addHandler(handlers[-1])
    yield lambda: (
        [json.loads(line) for line in streams[0].getvalue().splitlines()],
        streams[1].getvalue().splitlines(),
    )
    for handler in handlers:
        logging.getLogger().removeHandler(handler)


def lines_of_requests(written):
    return [line for line in written()[0] if line["logger"] == "crm.requests"]


def test_a_request_has_one_line_that_says_what_it_was_and_what_it_took(client, written, settings):
    settings.SLOW_REQUEST_MS = 600_000  # on whatever machine
    person = make.user()
    client.force_login(person)
    with CaptureQueriesContext(connection) as asked:
        answer = client.get("/profile/?next=canary-in-the-query", headers={"hx-request": "true"})
    [line] = lines_of_requests(written)
    facts = {name: line[name] for name in ("level", "message", "method", "path", "status", "route", "user", "htmx")}
    assert facts == {
        "level": "INFO",
        "message": "GET /profile/ 200",
        "method": "GET",
        "path": "/profile/",
        "status": 200,
        "route": "profile",
        "user": person.pk,
        "htmx": True,
    }
    assert line["queries"] == len(asked.captured_queries)
    assert (line["bytes"], line["address"]) == (len(answer.content), "127.0.0.1")
    assert isinstance(line["ms"], int)
    assert isinstance(line["db_ms"], int)
    assert line["request"] == answer.headers["X-Request-ID"]
    assert MADE.fullmatch(line["request"])
    assert line.keys() == {
        *facts, "time", "logger", "ms", "queries", "db_ms", "bytes", "address", "request",
    }, "nothing else of a person is written"  # fmt: skip
    assert "canary" not in str(written())


def test_whoever_is_not_signed_in_has_a_line_without_a_person(client, written):
    client.get("/accounts/login/")
    [line] = lines_of_requests(written)
    assert (line["route"], line["user"], line["htmx"]) == ("account_login", None, False)


@pytest.mark.parametrize("given", ["0123abcd", "8c5a1f0e-1111-4222-8333-123456789abc", "Root=1-67891233-abcdef"[5:]])
def test_the_id_that_a_proxy_gave_is_kept(client, written, given):
    assert client.get("/accounts/login/", headers={"x-request-id": given}).headers["X-Request-ID"] == given
    assert lines_of_requests(written)[0]["request"] == given


@pytest.mark.parametrize(
    "given", ["", "short", "a b c d e f g h", "-leads-with-a-dash", 65 * "a", "ｗｉｄｅｗｉｄｅ", "a" * 8 + "\n"]
)
def test_what_is_no_id_is_replaced(client, given):
    assert MADE.fullmatch(client.get("/accounts/login/", headers={"x-request-id": given}).headers["X-Request-ID"])


def test_each_request_has_an_id_of_its_own(client):
    assert len({client.get("/accounts/login/").headers["X-Request-ID"] for _time in range(3)}) == 3


def test_refusals_and_addresses_that_lead_nowhere_have_a_line_and_no_second_one(client, written):
    client.force_login(make.user(None, "rep"))
    client.get("/people/")
    client.get("/nowhere/")
    client.post("/people/", headers={"host": "evil.example"})
    found, said = written()
    assert [(line["logger"], line["route"], line["status"]) for line in found if line["logger"] == "crm.requests"] == [
        ("crm.requests", "people", 403),
        ("crm.requests", "", 404),
        ("crm.requests", "", 400),
    ]
    assert len(said) == len(found) == 3


@pytest.mark.parametrize("address", ["/livez", "/healthz", "/static/icons/pursuit.svg"])
@pytest.mark.django_db(transaction=True)
def test_probes_and_static_files_have_none(client, written, address):
    answer = client.get(address)
    assert answer.getvalue()
    answer.close()
    assert not lines_of_requests(written)


FORGED = "\r\n2026-01-01T00:00:00.000Z INFO crm.requests: forged\u2028\x1b[2J\x00\x85\u202e"


@pytest.mark.case(60)
@pytest.mark.parametrize("place", ["path", "query", "agent", "name", "message"])
def test_nobody_forges_a_line_of_their_own(client, written, place):
    if place == "path":
        client.get("/nowhere/%0d%0a2026-01-01T00:00:00.000Z%20INFO%20crm.requests:%20forged%1b[2J%00%e2%80%a8")
    elif place == "query":
        client.get("/accounts/login/", {"next": FORGED})
    elif place == "agent":
        client.get(
            "/accounts/login/", headers={"user-agent": FORGED, "x-forwarded-for": FORGED, "x-request-id": FORGED}
        )
    elif place == "name":
        client.post("/accounts/login/", {"login": FORGED, "password": FORGED})
    else:
        logging.getLogger("crm").warning("Somebody is called %s.", FORGED)
    found, said = written()
    assert len(found) == len(said) == 1
    assert all(letter.isprintable() for letter in said[0])


@pytest.mark.urls("tests.crm.test_frame")
def test_an_error_says_its_number_on_the_page_and_stands_under_it_in_the_log(client, written):
    client.raise_request_exception = False
    client.force_login(make.user())
    answer = client.get("/kit/broken/")
    assert answer.status_code == 500
    number = answer.headers["X-Request-ID"]
    assert f"In the log it stands under {number}." in answer.content.decode()
    found, said = written()
    error, request = found
    assert (error["level"], error["logger"], error["request"]) == ("ERROR", "django.request", number)
    assert "Traceback" in error["error"]
    assert (request["level"], request["status"], request["request"]) == ("ERROR", 500, number)
    assert [line for line in said if not line.startswith("    ")] == [said[0], said[-1]], (
        "what belongs below is indented"
    )


@pytest.mark.parametrize(("most", "level"), [(0, "WARNING"), (60_000, "INFO")])
def test_a_slow_request_is_a_warning(client, written, settings, most, level):
    settings.SLOW_REQUEST_MS = most
    client.get("/accounts/login/")
    assert lines_of_requests(written)[0]["level"] == level


def test_what_lets_somebody_in_is_written_nowhere(client, written):
    person = make.user(email="wei@example.org")
    addresses = [way_in(person), email_link(person, "new@example.org")]
    for address in addresses:
        client.get(address)
        client.get(address.rstrip("/"))
        client.get(address + "x/")
        client.post(address, headers={"cookie": ""})
    way, mail = (address.strip("/").rpartition("/")[2] for address in addresses)
    secrets = [way.partition("-")[2], mail]
    assert all(len(secret) > 20 for secret in secrets)
    assert not [secret for secret in secrets if secret in str(written())]
    assert "/accounts/password/reset/key/" in str(written())


def test_behind_a_proxy_the_address_is_the_one_that_it_names(client, written, settings):
    client.get("/accounts/login/", headers={"x-forwarded-for": "203.0.113.7"})
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    client.get("/accounts/login/", headers={"x-forwarded-for": "198.51.100.1, 203.0.113.7"})
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 3
    client.get("/accounts/login/", headers={"x-forwarded-for": "203.0.113.7"})
    assert [line["address"] for line in lines_of_requests(written)] == ["127.0.0.1", "203.0.113.7", ""]


def test_what_a_job_writes_names_the_job(written):
    job = Job.enqueue("explode", by=None)
    run_waiting()
    found = [line for line in written()[0] if line["logger"] == "crm.jobs"]
    assert found
    assert {line["job"] for line in found} == {job.pk}
    assert any("ZeroDivisionError" in line.get("error", "") for line in found)
    logging.getLogger("crm").warning("Afterwards.")
    assert "job" not in written()[0][-1]


def test_a_file_that_is_sent_in_pieces_says_its_size_where_that_is_known(client, written):
    client.force_login(make.user(None, "administrator"))
    client.get("/people/?export=csv")
    client.get("/help/")
    given_out, page = lines_of_requests(written)
    assert (given_out["bytes"], given_out["status"]) == (None, 200)
    assert page["bytes"] > 0
