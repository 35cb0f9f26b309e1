"""
Cases that only real processes show: gunicorn with two of them on the test's own database, asked over sockets. Limits
hold across both and across a restart; what is sent half, slowly or with a wrong length hinders nobody else.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.cache import caches
from django.test import override_settings

from crm.models import Audit, User
from crm.slow import TURN
from notices.files import File
from tests import factories as make
from tests.crm.live import until
from tests.crm.test_serve import PATIENCE, database_url
from tests.digest import nothing_changed
from tests.factories import PASSWORD
from tests.importing import signed_in
from tests.opportunities.acts import in_state

pytestmark = pytest.mark.django_db(transaction=True)

PRODUCTION = {
    "PURSUIT_ENV": "production",
    "SECRET_KEY": "a-key-for-this-test-only-0123456789-abcdefghijklmnopqrstuvwxyz",
    "ALLOWED_HOSTS": "pursuit.example",
    "SITE_URL": "https://pursuit.example",
}
TABLE = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache_entries"}}


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture(autouse=True)
def _limits_forgotten():
    """The table in which limits are kept is emptied by no test of its own."""
    with override_settings(CACHES=TABLE):
        caches["default"].clear()
        yield
        caches["default"].clear()


@contextmanager
def serving(folder, port, **surroundings):
    """This will run gunicorn as `serve` does, with two processes, and all of the product's own settings."""
    here = {"DATABASE_URL": database_url(), "VAR_DIR": str(folder), "WEB_CONCURRENCY": "2", "PORT": str(port)}
    with (folder / "gunicorn.log").open("a") as log:
        popen = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"],
            cwd=settings.BASE_DIR,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "crm.settings"} | here | surroundings,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: is_up(port), seconds=PATIENCE)
        yield popen
    finally:
        with suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


def is_up(port):
    with suppress(OSError):
        return ask(port, "GET", "/livez")[0] == 200


def ask(port, method, path, body=None, headers=(), timeout=60):
    """This will give (status, headers, text) of an answer on a connection of its own."""
    asking = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        asking.request(method, path, body, dict(headers))
        answer = asking.getresponse()
        return answer.status, answer.headers, answer.read().decode(errors="replace")
    finally:
        asking.close()


def sign_in(port, username, password, **headers):
    """This will send the form of the sign-in page as a browser does, and give (status, headers, text)."""
    _status, given, page = ask(port, "GET", "/accounts/login/", headers=headers)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    cookie = re.match(r"[^;]+", given["Set-Cookie"])[0]
    sent = urlencode({"login": username, "password": password, "csrfmiddlewaretoken": token})
    form = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    return ask(port, "POST", "/accounts/login/", sent, form | headers)


def person(username="rep"):
    """This will make somebody whose password the product's own settings can read."""
    made = make.user(username, language="en")
    User.objects.filter(pk=made.pk).update(password=Argon2PasswordHasher().encode(PASSWORD, "saltsaltsalt"))
    return made


# ── Limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.case(54)
def test_guesses_are_counted_across_processes_and_across_a_restart(tmp_path, port):
    person("rep")
    person("other")
    with serving(tmp_path, port):
        with ThreadPoolExecutor(12) as guessers:  # as many at once as no one process would see
            answers = list(guessers.map(lambda number: sign_in(port, "rep", f"wrong {number}")[2], range(12)))
        assert sum("do not match" in page for page in answers) == 5
        assert sum("Too many tries" in page for page in answers) == 7
        assert Audit.objects.filter(kind="sign_in_failed").count() == 5
        assert sign_in(port, "other", PASSWORD)[0] == 302
    with serving(tmp_path, port):
        assert "Too many tries" in sign_in(port, "rep", PASSWORD)[2]
        assert sign_in(port, "other", PASSWORD)[0] == 302
    assert not Audit.objects.filter(kind="sign_in", by__username="rep").exists()


# ── What production says ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.case(51, 58)
def test_in_production_cookies_are_for_this_host_over_https_alone_and_browsers_keep_to_that(tmp_path, port):
    person("rep")
    with override_settings(STATIC_ROOT=tmp_path / "static"):
        subprocess.run(
            [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity=0"],
            cwd=settings.BASE_DIR,
            check=True,
            env=os.environ | PRODUCTION | {"VAR_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "crm.settings"},
        )
    through_the_proxy = {"Host": "pursuit.example", "X-Forwarded-Proto": "https", "Referer": "https://pursuit.example/"}
    with serving(tmp_path, port, **PRODUCTION):
        status, headers, _page = ask(port, "GET", "/profile/", headers={"Host": "pursuit.example"})
        assert (status, headers["Location"]) == (301, "https://pursuit.example/profile/")

        status, headers, _page = sign_in(port, "rep", PASSWORD, **through_the_proxy)
        assert status == 302
        assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
        cookies = headers.get_all("Set-Cookie")
        assert {cookie.partition("=")[0] for cookie in cookies} >= {"__Host-session", "__Host-csrf"}
        for cookie in cookies:
            said = {part.strip().lower() for part in cookie.split(";")[1:]}
            assert said >= {"secure", "httponly", "path=/", "samesite=lax"}, cookie
            assert not any(part.startswith("domain") for part in said)
        assert ask(port, "GET", "/accounts/login/", headers=through_the_proxy | {"Host": "evil.example"})[0] == 400


# ── What is sent half, slowly, or with a wrong length ────────────────────────────────────────────────────────────────


def say(port, text, wait=30):
    """This will send bytes as they are and give what comes back until the other side is silent or closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as line:
        line.sendall(text)
        line.shutdown(socket.SHUT_WR)
        heard = b""
        with suppress(OSError):
            while more := line.recv(65536):
                heard += more
    return heard


def upload(where, cookie, token, length, body, *extra):
    """This will write a request that brings a file, with any length and any further headers."""
    lines = [
        f"POST {where} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Cookie: {cookie}",
        f"X-CSRFToken: {token}",
        "Content-Type: multipart/form-data; boundary=x7",
        *([f"Content-Length: {length}"] if length is not None else []),
        *extra,
        "Connection: close",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.case(47, 48)
def test_an_upload_of_a_wrong_length_leaves_nothing_and_hinders_nobody(tmp_path, port, settings):
    opportunity = in_state("active")
    with serving(tmp_path, port, SECRET_KEY=settings.SECRET_KEY):
        client = signed_in(opportunity.owner)
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        token = "a" * 32
        cookie = f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={token}"
        where = f"/files/opportunity/{opportunity.pk}/"
        part = b'--x7\r\nContent-Disposition: form-data; name="files"; filename="a.pdf"\r\n\r\n'
        part += b"%PDF-1.4 An offer.\r\n--x7--\r\n"
        chunk = f"{len(part):x}\r\n".encode() + part + b"\r\n"
        broken = {
            "too small": upload(where, cookie, token, 60, part),
            "cut off": upload(where, cookie, token, len(part), part[:-30]),
            "nothing of it": upload(where, cookie, token, len(part), b""),
            "too large, and cut off": upload(where, cookie, token, len(part) + 500, part[:-30]),
            "none": upload(where, cookie, token, -1, part),
            "no number": upload(where, cookie, token, "1e3", part),
            "beyond what is taken": upload(where, cookie, token, 10**12, part),
            "two lengths": upload(where, cookie, token, len(part), part, "Content-Length: 10"),
            "a length and pieces": upload(where, cookie, token, 10, chunk + b"0\r\n\r\n", "Transfer-Encoding: chunked"),
            "pieces without an end": upload(where, cookie, token, None, chunk, "Transfer-Encoding: chunked"),
            "a piece of a length that is none": upload(
                where, cookie, token, None, b"zz\r\n" + part, "Transfer-Encoding: chunked"
            ),
        }
        with nothing_changed():
            for what, request in broken.items():
                answer = say(port, request)
                assert b" 500 " not in answer[:20] and b" 302 " not in answer[:20], what
                assert ask(port, "GET", "/livez")[0] == 200, what
            large = part.replace(b"An offer.", b"An offer." * 20_000)
            cut_off = say(port, upload(where, cookie, token, len(large), large[:100_000]))
            assert b"HTTP/1.1 400" in cut_off[:20]
        assert b" 302 " in say(port, upload(where, cookie, token, len(part), part))[:20]
        assert File.objects.get().name == "a.pdf"
        assert len(list((tmp_path / "media" / "files").iterdir())) == 1


@pytest.mark.case(47)
def test_a_form_whose_sender_left_amid_it_changes_nothing(tmp_path, port, settings):
    rep = make.user("rep", name="Chen Yu", phone="1")
    with serving(tmp_path, port, SECRET_KEY=settings.SECRET_KEY):
        session, token = signed_in(rep).cookies[settings.SESSION_COOKIE_NAME].value, "a" * 32
        cookie = f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={token}"
        body = f"csrfmiddlewaretoken={token}&theme=dark&next=/profile/".encode()
        head = "\r\n".join(
            [
                "POST /appearance/ HTTP/1.1",
                "Host: 127.0.0.1",
                f"Cookie: {cookie}",
                "Connection: close",
                f"Content-Length: {len(body)}",
                "Content-Type: application/x-www-form-urlencoded",
                "",
                "",
            ]
        ).encode()
        with nothing_changed():
            for end in (-1, -20):  # nobody is there any more who would read an answer
                assert say(port, head + body[:end])[:12] in (b"", b"HTTP/1.1 400"), end
        assert b" 302 " in say(port, head + body)[:20]
        rep.refresh_from_db()
        assert rep.theme == "dark"


def test_a_body_that_follows_its_head_in_a_moment_is_not_left_lying(tmp_path, port):
    form = b"login=nobody&password=nothing"
    head = f"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(form)}\r\n\r\n".encode()
    waited = []
    with serving(tmp_path, port), socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _time in range(20):
            line.sendall(head)
            time.sleep(0.005)
            line.sendall(form)
            sent = time.perf_counter()
            answer = HTTPResponse(line, method="POST")
            answer.begin()
            assert answer.status == 403  # without the token of a form
            answer.read()
            waited.append(time.perf_counter() - sent)
    assert min(waited) < TURN / 2


@pytest.mark.case(61)
def test_clients_that_send_slowly_or_fall_silent_hinder_nobody(tmp_path, port):
    """Fifty of them: half write their headers letter by letter, half promise a body and send half of it."""
    with serving(tmp_path, port), ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _number in range(50)]
        for number, line in enumerate(slow):
            if number % 2:
                line.sendall(b"GET /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            else:
                line.sendall(
                    b"POST /accounts/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2000\r\n"
                    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nlogin=rep"
                )
        answered = []
        for _time in range(20):
            for line in slow[1::2]:
                with suppress(OSError):
                    line.sendall(b"a")
            answered.append(ask(port, "GET", "/accounts/login/", timeout=10)[0])
            time.sleep(0.2)
        assert answered == [200] * 20
