"""
Cases of secrets and logs: nothing that opens a door is on a page, in a mail, in a file or in a log; and nothing that
somebody sends writes a line of its own into a log.
"""

import ast
import io
import logging
import re
from logging.config import dictConfig

import pytest
from django.conf import settings as current
from django.core import mail
from django.core.management import call_command
from django.test import Client

from crm.models import Audit, User
from notices import delivery
from notices.models import Delivery
from tests import factories as make
from tests.asserting import unchanged
from tests.cases.crawl import crawl
from tests.importing import signed_in
from tests.test_house import FLOORS, ROOT, imported, modules

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

FETCHES = {"requests", "httpx", "aiohttp", "urllib.request", "urllib3", "http.client", "ftplib"}


@pytest.fixture
def log():
    """This will give what is written down while a test runs, as the settings write it."""
    written = io.StringIO()
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    dictConfig(current.LOGGING)
    for handler in root.handlers:
        if isinstance(handler, logging.StreamHandler) and handler not in before:
            handler.setStream(written)
    yield written
    root.handlers = before


@pytest.fixture
def secrets(settings):
    """This will load the demo company and give what must be nowhere, as {what: text}."""
    settings.EMAIL_HOST_PASSWORD = "canary-of-the-mail-server"
    settings.FILES_URL = "s3://key:canary-of-the-store@files.example/bucket"
    call_command("demo", verbosity=0)
    User.objects.update(language="en")
    people = {person.username: signed_in(person) for person in User.objects.filter(is_active=True)}
    hidden = {f"password of {one.username}": one.password.split("$")[-1] for one in User.objects.all()}
    hidden |= {f"session of {name}": client.session.session_key for name, client in people.items()}
    hidden |= {"key": settings.SECRET_KEY, "canaries": "canary-of-the-", "hash": "md5$"}
    for email in User.objects.exclude(email="").values_list("email", flat=True)[:2]:
        Client().post("/accounts/password/reset/", {"email": email})
    delivery.deliver()
    links = [re.search(r"/reset/key/\w+-([\w-]+)/", letter.body) for letter in mail.outbox]
    hidden |= {f"link {number}": link[1] for number, link in enumerate(filter(None, links))}
    return people, hidden


def found_in(text, hidden):
    return [what for what, secret in hidden.items() if secret and secret in text]


@pytest.mark.case(59)
@pytest.mark.long
def test_nothing_that_opens_a_door_is_on_a_page_or_in_a_file_of_anybody(secrets, log):
    people, hidden = secrets
    assert any(what.startswith("link") for what in hidden)
    strayed, read = [], 0
    for username in ("rep.shijiazhuang", "deputy.shijiazhuang", "manager", "admin"):
        client = people[username]
        for address, answer, _page in crawl(
            client, "/", "/profile/", "/admin/", "/admin/crm/user/", "/admin/crm/audit/"
        ):
            strayed += [(username, address, what) for what in found_in(answer.content.decode(), hidden)]
            read += 1
        for name in ("opportunities", "customers", "contacts", "follow-ups"):
            for ending in ("csv", "xlsx"):
                file = client.get(f"/{name}/?export={ending}&fields=all").getvalue()
                strayed += [(username, name, what) for what in found_in(file.decode(errors="replace"), hidden)]
    assert strayed == []
    assert read > 300
    assert found_in(log.getvalue(), hidden) == []


@pytest.mark.case(59)
def test_a_secret_that_stood_on_a_page_would_be_found(secrets):
    people, hidden = secrets
    page = people["admin"].get("/profile/").content.decode()
    for what, secret in hidden.items():
        assert what in found_in(page + secret, hidden)


@pytest.mark.case(59)
def test_no_mail_holds_more_than_the_link_that_it_was_written_for(secrets):
    _people, hidden = secrets
    links = {what for what in hidden if what.startswith("link")}
    assert len(mail.outbox) >= len(links) > 0
    for letter in mail.outbox:
        held = found_in(f"{letter.subject} {letter.body} {letter.alternatives} {letter.extra_headers}", hidden)
        assert len(held) <= 1 and set(held) <= links
    kept = str(list(Delivery.objects.values()))  # the link is made as the mail is written, and kept nowhere
    assert found_in(kept, hidden) == []
    assert found_in(str(list(Audit.objects.values())), hidden) == []


@pytest.mark.case(60)
@pytest.mark.parametrize(
    "address",
    [
        "/nothing%0d%0aERROR django.request: forged",
        "/nothing%0aforged",
        "/nothing%E2%80%A8forged",
        "/nothing%C2%85forged",
        "/nothing%1b[2Jforged",
        "/admin/%0aforged/",
        "/opportunities/%0aforged/",
    ],
)
def test_an_address_with_line_ends_is_one_line_of_the_log(log, address):
    client = signed_in(make.user())

    assert client.get(address).status_code in (302, 403, 404)

    assert "forged" in log.getvalue() or client.get(address).status_code == 302
    assert len(log.getvalue().splitlines()) <= 1
    assert log.getvalue().rstrip("\n").isprintable()


@pytest.mark.case(60)
def test_a_name_and_a_browser_with_line_ends_are_one_line_and_one_row(log):
    forged = "nobody\r\n2026-12-01 09:00:00,000 ERROR root: forged"
    client = Client(
        headers={"User-Agent": forged, "Referer": forged, "X-Forwarded-For": forged, "Accept-Language": forged}
    )

    with unchanged():
        client.post("/accounts/login/", {"login": forged, "password": "wrong"})
        client.post("/profile/", {"name": forged})

    assert all(line.isprintable() for line in log.getvalue().splitlines())
    assert not re.search(r"^2026-12-01 09:00:00,000 ERROR root: forged", log.getvalue(), re.MULTILINE)
    [row] = Audit.objects.all()
    assert (row.kind, row.by, row.address, row.data) == ("sign_in_failed", None, "127.0.0.1", {})


@pytest.mark.case(45)
def test_nothing_of_ours_fetches_an_address():
    """So no address that somebody writes can be one inside the house. What serves asks itself whether it is ready."""
    found = {
        str(path.relative_to(ROOT)): sorted(FETCHES & set(imported(ast.parse(path.read_text()))))
        for path in modules("crm", *FLOORS)
    }
    assert {path: names for path, names in found.items() if names} == {
        "crm/management/commands/serve.py": ["http.client"]
    }
