"""
The figures of a web server: Pursuit's own beside one that answers with the references alone, each of two processes,
asked in turn by one and by eight at a time; as lines of JSON. `python -m tests.bench` runs this on the databases that
it fills.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import quote, urlencode

import django

django.setup()

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.middleware.csrf import _get_new_csrf_string
from django.test.utils import override_settings

from crm.models import User
from tests.bench.measure import PAGES, TOTALS, VIEWERS, WRITES, Writer, addresses

AT_ONCE = (1, 8)
ROUNDS = 5
REQUESTS = 24  # of each server in each round
WARM = 8
PROCESSES = "2"
TICKS = os.sysconf("SC_CLK_TCK")


def main(rows):
    with serving("crm.wsgi") as own, serving("tests.bench.bare") as bare:
        for viewer in ("rep", "manager"):
            user = User.objects.get(username=VIEWERS[viewer])
            cookies = signed_in(user)
            least = partial(bare.ask, "GET", "/bare/rows/", cookies)
            for name, address in addresses(user).items():
                if name not in TOTALS:
                    page = partial(own.ask, "GET", address, cookies)
                    compare(name, rows, viewer, PAGES[name], "bare list", (bare, least), (own, page))
        rep = User.objects.get(username=VIEWERS["rep"])
        writer, cookies = Writer(rep), signed_in(rep)
        numbers = count()
        form = {"pk": writer.other.pk}
        least = partial(bare.ask, "POST", "/bare/write/", cookies, lambda: form)
        create = partial(
            own.ask,
            "POST",
            "/opportunities/new/",
            cookies,
            lambda: writer.values | {"act": "save", "name": f"Fibre for hall {next(numbers)}"},
        )
        compare("create", rows, "rep", WRITES["create"], "bare write", (bare, least), (own, create))


def signed_in(user):
    """This will give the cookies of a new session of `user`."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return {settings.SESSION_COOKIE_NAME: session.session_key, settings.CSRF_COOKIE_NAME: _get_new_csrf_string()}


class Server:
    """A web server of processes of its own, and somebody who asks it."""

    def __init__(self, process, port):
        self.process = process
        self.port = port

    def ask(self, method, address, cookies, form=None, *, line):
        """This will send one request over the connection `line`, and give (status, bytes of the answer)."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        body = None
        if form:
            headers["X-CSRFToken"] = cookies[settings.CSRF_COOKIE_NAME]
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(form())
        line.request(method, quote(address, safe="/?=&"), body, headers)
        answer = line.getresponse()
        return answer.status, len(answer.read())

    def line(self):
        return HTTPConnection("127.0.0.1", self.port, timeout=120)

    @property
    def processes(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    @property
    def cpu(self):
        """The seconds of processor time that its processes have used."""
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.processes]
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) / TICKS

    @property
    def memory(self):
        """The megabytes that its processes take, what they share counted once."""
        lines = [line for pid in self.processes for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()]
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) >> 10


@contextmanager
def serving(module):
    """This will run a web server of the application in that module, and give it once it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "SECRET_KEY": settings.SECRET_KEY,
        "WEB_CONCURRENCY": PROCESSES,
        "CACHE_URL": "dummycache://",  # nothing is kept from one request to the next
    }
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", f"{module}:application"]
    process = subprocess.Popen(command, env=environment)
    try:
        server = Server(process, port)
        patience = time.monotonic() + 60
        while True:
            try:
                line = server.line()
                line.request("GET", "/livez")
                line.getresponse().read()
                break
            except OSError:
                if time.monotonic() > patience or process.poll() is not None:
                    raise
                time.sleep(0.1)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def compare(name, rows, viewer, goal, beside, bare, own):
    """This will ask both in turn, by one and by eight at a time, and say what came of it."""
    for at_once in AT_ONCE:
        figures = []
        for server, call in (bare, own):
            load(server, call, at_once, WARM)
            figures.append(Figures(server))
        for _round in range(ROUNDS):
            for (server, call), kept in zip((bare, own), figures, strict=True):
                kept.add(load(server, call, at_once, REQUESTS))
        say(name, rows, viewer, at_once, goal, beside, *figures)


class Figures:
    """What a server's answers took, over several rounds."""

    def __init__(self, server):
        self.server = server
        self.seconds, self.sizes, self.took, self.cpu = [], [], 0, 0

    def add(self, answers):
        seconds, sizes, took, cpu = answers
        self.seconds += seconds
        self.sizes += sizes
        self.took += took
        self.cpu += cpu


def load(server, call, at_once, requests):
    """This will send `requests` requests, so many at once, and give (seconds and bytes of each, seconds, of CPU)."""

    def asking(number):
        line, mine = server.line(), []
        for _request in range(number):
            began = time.perf_counter()
            status, size = call(line=line)
            mine.append((time.perf_counter() - began, size))
            assert status in (200, 302), status
        line.close()
        return mine

    before, began = server.cpu, time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        answers = [one for mine in pool.map(asking, [requests // at_once] * at_once) for one in mine]
    took = time.perf_counter() - began
    return [one[0] for one in answers], [one[1] for one in answers], took, server.cpu - before


def say(name, rows, viewer, at_once, goal, beside, bare, own):
    line = {
        "name": f"{name}, {at_once} at once",
        "database": connection.vendor,
        "rows": rows,
        "viewer": viewer,
        "concurrency": at_once,
        "ratio": round(median(own.seconds) / median(bare.seconds), 2),
        "goal": goal.ratio,
        "limit": goal.limit,
        "reference": f"{beside}, served",
        "p50_ms": round(median(own.seconds) * 1000, 1),
        "p95_ms": round(quantiles(own.seconds, n=20)[-1] * 1000, 1),
        "queries": 0,  # counted where a page is measured by itself
        "queries_limit": 0,
        "bare_p50_ms": round(median(bare.seconds) * 1000, 1),
        "per_second": round(len(own.seconds) / own.took, 1),
        "bare_per_second": round(len(bare.seconds) / bare.took, 1),
        "cpu_ms": round(own.cpu / len(own.seconds) * 1000, 1),
        "bare_cpu_ms": round(bare.cpu / len(bare.seconds) * 1000, 1),
        "bytes": round(median(own.sizes)),
        "memory_mb": own.server.memory,
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    with override_settings(ROOT_URLCONF="tests.bench.reference", ALLOWED_HOSTS=["*"]):  # for what is asked in here
        main(int(sys.argv[1]))
