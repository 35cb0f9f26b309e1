"""
Pursuit as its users have it: real processes, requests of people who are signed in, and a ledger of what was asked and
what was answered. Once a fault is over, the ledger is held against the database: what was answered with success is
there exactly once, what was refused has left no trace, what was not answered happened once or not at all.
"""

import http.client
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from hashlib import sha256
from io import StringIO
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

from django.conf import settings
from django.core.files.storage import storages
from django.core.management import call_command
from django.db import connection
from django.test import Client

from approvals.models import Task
from crm.jobs import Job
from notices.files import File
from notices.history import Event
from notices.models import Delivery
from opportunities.lifecycle import State
from opportunities.models import FollowUp, FollowUpKind, Movement, Opportunity
from tests import factories as make
from tests.crm.live import until
from tests.crm.test_serve import Served, database_url

LEDGERS = []  # of this run of the tests, for whoever reads its end
PATIENCE = 120  # seconds, for what a busy machine takes a while for
CSRF = "x" * 32  # the cookie and the field of a form say the same
MULTIPART = "a-line-between-parts"

# What is held against a life, written by hand: from which state to which a record may go.
LEGAL = {
    None: {State.DRAFT},
    State.DRAFT: {State.DRAFT, State.REPORTING, State.VOID},
    State.REPORTING: {State.REPORTING, State.ACTIVE, State.RETURNED, State.DRAFT},
    State.ACTIVE: {State.ACTIVE, State.SIGNING, State.TERMINATING},
}


# ── Processes ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Product:
    """`manage.py serve`, begun, struck and begun again; afterwards none of its processes is left."""

    def __init__(self, folder, port, **surroundings):
        self.folder, self.port, self.surroundings = folder, port, surroundings
        self.served = None
        self.begun = []

    def begin(self, *, ready=True, command=("manage.py", "serve"), limits=None):
        log = self.folder / f"{len(self.begun)}.log"
        here = {
            "DATABASE_URL": database_url(),
            "PORT": str(self.port),
            "VAR_DIR": str(self.folder),
            "MEDIA_ROOT": str(settings.MEDIA_ROOT),
            "SECRET_KEY": settings.SECRET_KEY,
            "DJANGO_SETTINGS_MODULE": "crm.settings",
            "WEB_CONCURRENCY": "2",
        }
        with log.open("w") as file:
            popen = subprocess.Popen(
                [sys.executable, *command],
                cwd=settings.BASE_DIR,
                env=os.environ | here | self.surroundings,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=limits,
            )
        process = Served(popen, log)
        self.begun.append(process)
        if command[-1] == "serve":
            self.served = process
            if ready:
                until(lambda: "Ctrl-C" in process.said or popen.poll() is not None, PATIENCE)
                assert popen.poll() is None, process.said
        return process

    def worker(self, **options):
        """This will begin a worker beside the one that `serve` looks after."""
        return self.begin(command=("manage.py", "worker"), **options)

    @property
    def web(self):
        """This will list the process ids that answer requests."""
        arbiter = self.served.children.get("pursuit-web")
        return children(arbiter) if arbiter else []

    def kill_web(self):
        """This will end one of the processes that answer, as the kernel does when memory is short."""
        found = until(lambda: self.web, PATIENCE)
        os.kill(random.choice(found), signal.SIGKILL)

    def kill_worker(self):
        os.kill(until(lambda: self.served.children.get("pursuit-worker"), PATIENCE), signal.SIGKILL)

    def kill_all(self):
        """This will end everything at once, as when somebody pulls the plug."""
        os.killpg(self.served.pid, signal.SIGKILL)
        self.served.popen.wait()

    def end(self):
        for process in self.begun:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.popen.wait()

    def health(self):
        """This will give what /healthz answers: a status, or None."""
        answer = ask(self.port, "GET", "/healthz", timeout=10)
        return answer and answer.status

    def is_well(self):
        """This will wait until it can do its work again, which nobody helps it with."""
        until(lambda: self.health() == 200, PATIENCE)


def children(pid):
    with suppress(FileNotFoundError, ProcessLookupError):
        return [int(pid) for pid in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


# ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    page: str

    @property
    def said(self):
        """This will give the status; 401 where it leads to the page for signing in."""
        return 401 if "/accounts/login/" in self.headers.get("Location", "") else self.status


def ask(port, method, path, body=None, headers=None, timeout=PATIENCE):
    """This will send a request on a connection of its own, and give the Answer; None where none came."""
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        asking.request(method, path, body, headers or {})
        answer = asking.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode(errors="replace"))
    except (OSError, http.client.HTTPException):
        return None
    finally:
        asking.close()


class Person:
    """Somebody who is signed in."""

    def __init__(self, user, port):
        client = Client()
        client.force_login(user)
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        self.pk, self.port = user.pk, port
        self.cookies = f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={CSRF}"

    def get(self, path):
        return ask(self.port, "GET", path, headers={"Cookie": self.cookies})

    def post(self, path, data, file=None):
        data = data | {"csrfmiddlewaretoken": CSRF}
        kind, body = "application/x-www-form-urlencoded", urlencode(data)
        if file:
            kind, body = f"multipart/form-data; boundary={MULTIPART}", in_parts(data, *file)
        return ask(self.port, "POST", path, body, {"Cookie": self.cookies, "Content-Type": kind})


def in_parts(data, name, content):
    """This will write a form with the file `name`, field "files", as a browser sends it."""
    head = f"--{MULTIPART}\r\nContent-Disposition: form-data; name="
    parts = [f'{head}"{key}"\r\n\r\n{value}\r\n' for key, value in data.items()]
    parts.append(f'{head}"files"; filename="{name}"\r\nContent-Type: text/plain\r\n\r\n{content}\r\n')
    return ("".join(parts) + f"--{MULTIPART}--\r\n").encode()


# ── The ledger ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Entry:
    """One thing that somebody wanted done, and what each sending of it was answered: a status, or None."""

    kind: str
    mark: str
    answers: list = field(default_factory=list)

    @property
    def done(self):
        return 302 in self.answers

    @property
    def uncertain(self):
        """This will tell whether it may have been done: no answer, a database out of reach, a session that ended."""
        return not {None, 503, 401}.isdisjoint(self.answers)


class Ledger:
    """What was asked, what was answered, and how much was under way at each strike."""

    def __init__(self):
        self.lock = threading.Lock()
        self.entries, self.under_way = [], []
        self.struck = []  # at each strike: the sendings under way, as (entry, number of its answer)
        self.pages = Counter()  # what readers were answered, by status
        self.wrong = []  # what nobody may ever be shown

    def send(self, entry, send):
        """This will note a sending before it is sent, and its answer after."""
        with self.lock:
            if not entry.answers:
                self.entries.append(entry)
            sending = entry, len(entry.answers)
            self.under_way.append(sending)
        answer = send()
        with self.lock:
            self.under_way.remove(sending)
            entry.answers.append(answer and answer.said)
        self.look(entry.kind, answer)
        return answer

    def look(self, what, answer):
        """This will note what no fault excuses: an error of ours, or the inside of the program."""
        if answer and (answer.status == 500 or "Traceback (most recent call last)" in answer.page):
            self.wrong.append((what, answer.status, answer.page[:2000]))

    @property
    def answered(self):
        return Counter(status for entry in self.entries for status in entry.answers)

    def __str__(self):
        return (
            f"{len(self.entries)} wanted, answered {dict(self.answered)}; read {dict(self.pages)}; "
            f"{len(self.struck)} strikes with {sum(map(len, self.struck))} under way"
        )


class Company:
    """A few people at work: reps, each with a customer and a deputy who decides."""

    def __init__(self, port, writers):
        self.ledger = Ledger()
        self.kind = FollowUpKind.objects.get(key="call").pk
        self.stage = make.stage()
        self.business_type = make.BusinessType.objects.get(key="cloud").pk
        self.desks = []
        for _number in range(writers):
            rep, deputy = make.user(language="en"), make.user(None, "deputy_gm", language="en")
            self.desks.append((Person(rep, port), Person(deputy, port), make.customer(rep)))

    def typed(self, customer, name, **more):
        return {
            "name": name,
            "customer": customer.name,
            "customer_id": customer.pk,
            "business_type": self.business_type,
            "amount": "1000",
            "expected_close_on": date.today() + timedelta(days=30),
            "stage": self.stage.pk,
            "probability": self.stage.probability,
            "description": "",
            "act": "save",
        } | more


class Load:
    """Writers and readers at work on `product` until the block ends; strike() waits until something is under way."""

    def __init__(self, product, company, *, writers=None, readers=0, pause=0):
        self.product, self.company, self.ledger = product, company, company.ledger
        self.ended = threading.Event()
        self.pause = pause
        desks = company.desks[:writers]
        self.threads = [threading.Thread(target=self.work, args=[self.write, desk]) for desk in desks]
        self.threads += [
            threading.Thread(target=self.work, args=[self.read, desks[number % len(desks)]])
            for number in range(readers)
        ]

    def __enter__(self):
        begun = len(self.ledger.entries)
        for thread in self.threads:
            thread.start()
        until(lambda: len(self.ledger.entries) > begun, PATIENCE)
        return self

    def __exit__(self, *_error):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        LEDGERS.append(f"{os.environ['PYTEST_CURRENT_TEST'].split('::')[-1]}: {self.ledger}")

    def strike(self, act, least=1):
        """This will do `act` while at least so many requests that write are under way."""
        until(lambda: len(self.ledger.under_way) >= least, PATIENCE)
        self.ledger.struck.append(list(self.ledger.under_way))
        return act()

    def until_more(self, count=20):
        """This will wait until so many more things were done, which shows that it works again."""
        done = lambda: sum(entry.done for entry in list(self.ledger.entries))  # noqa: E731  said once, asked often
        before = done()
        until(lambda: done() >= before + count, PATIENCE)

    def work(self, act, desk):
        while not self.ended.is_set():
            act(*desk)
            time.sleep(self.pause)

    # What people do

    def read(self, rep, deputy, _customer):
        for person, path in ((rep, "/"), (rep, "/opportunities/"), (deputy, "/tasks/"), (rep, "/opportunities/board/")):
            answer = person.get(path)
            self.ledger.look(path, answer)
            self.ledger.pages[answer and answer.status] += 1
            if answer is None:
                time.sleep(0.3)

    def write(self, rep, deputy, customer):
        """This will take one opportunity through its life, as far as answers come."""
        mark = uuid4().hex
        once = {"once": str(uuid4())}
        created = self.want("create", mark, rep, "/opportunities/new/", self.company.typed(customer, mark, **once))
        found = created and re.search(r"/opportunities/(\d+)/$", created.headers.get("Location", ""))
        if not found:
            return
        pk = found[1]
        said, moment = uuid4().hex, time.strftime("%Y-%m-%dT%H:%M", time.gmtime(time.time() - 86400))
        call = {"kind": self.company.kind, "content": said, "at": moment, "once": str(uuid4())}
        self.want("follow up", said, rep, f"/opportunities/{pk}/follow-up/", call)
        name = uuid4().hex
        self.want("upload", name, rep, f"/files/opportunity/{pk}/", {}, (f"{name}.txt", name * 100), again=0)
        told = uuid4().hex
        changed = self.company.typed(customer, mark, description=told)
        self.want_seen("change", told, rep, f"/opportunities/{pk}/edit/", changed)
        asked = self.company.typed(customer, mark, description=told, act="submit", approver=deputy.pk)
        self.want_seen("report", pk, rep, f"/opportunities/{pk}/edit/", asked)
        task = self.find(deputy, f"/opportunities/{pk}/", r'href="(/tasks/\d+/)"')
        if task:
            self.want_seen("decide", pk, deputy, task, {"decision": "finish", "comment": mark})

    def want(self, kind, mark, person, path, data, file=None, again=3):
        """
        This will send a form, and once more where no answer came or it was asked to try again, as people do; and give
        the last answer.
        """
        entry, answer = Entry(kind, mark), None
        for _time in range(again + 1):
            answer = self.ledger.send(entry, lambda: person.post(path, data, file))
            if (answer and answer.status != 503) or random.random() < 0.3 or self.ended.is_set():
                break
            time.sleep(0.3)
        return answer

    def want_seen(self, kind, mark, person, path, data):
        """This will open a form, and send it with the version that it showed."""
        if version := self.find(person, path, r'name="version" value="(\d+)"'):
            self.want(kind, mark, person, path, data | {"version": version})

    def find(self, person, path, pattern):
        """This will open a page, again where no answer comes, and give what stands there, or None."""
        for _time in range(10):
            answer = person.get(path)
            self.ledger.look(path, answer)
            self.ledger.pages[answer and answer.status] += 1
            if answer and answer.status == 200:
                found = re.search(pattern, answer.page)
                return found and found[1]
            if self.ended.is_set():
                return None
            time.sleep(0.3)
        return None


# ── What must hold ───────────────────────────────────────────────────────────────────────────────────────────────────


def in_the_database():
    """This will count, for each kind of thing in a ledger, how often each is there, by its mark."""
    told = list(Event.objects.order_by("id").values_list("kind", "about_id", "changes"))
    return {
        "create": Counter(Opportunity.objects.values_list("name", flat=True)),
        "follow up": Counter(FollowUp.objects.values_list("content", flat=True)),
        "upload": Counter(name.removesuffix(".txt") for name in File.objects.values_list("name", flat=True)),
        "change": Counter(changes["description"][1] for _kind, _pk, changes in told if "description" in changes),
        "report": Counter(str(pk) for kind, pk, _changes in told if kind == "reported"),
        "decide": Counter(str(pk) for kind, pk, _changes in told if kind == "granted"),
    }


def unlike(ledger):
    """This will list the entries of the ledger that the database does not agree with, and how often each is there."""
    found = in_the_database()
    wrong = []
    for entry in ledger.entries:
        there = found[entry.kind][entry.mark]
        right = there == 1 if entry.done else there <= 1 if entry.uncertain else there == 0
        if not right:
            wrong.append((entry, there))
    return wrong


def settled(ledger, allowed=()):
    """This will hold the ledger against the database, and look at everything that must hold after any fault."""
    assert ledger.struck, "nothing was struck"
    assert all(ledger.struck), "nothing was under way when it struck"
    assert sum(entry.done for entry in ledger.entries) > 0
    assert not ledger.wrong, ledger.wrong
    assert not (wrong := unlike(ledger)), wrong
    assert ledger.answered.keys() <= {200, 302, 409, 503, None, *allowed}, ledger.answered
    asked = set(Delivery.objects.filter(kind="task").values_list("about_id", flat=True))
    assert set(Event.objects.filter(kind="reported").values_list("about_id", flat=True)) == asked, "a mail for each"
    everything_holds()


def everything_holds():
    """This will look at what must hold whatever happened."""
    if connection.vendor == "sqlite":
        with closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
            assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert other.execute("PRAGMA foreign_key_check").fetchall() == []
    said = StringIO()
    with suppress(SystemExit):
        call_command("verify", stdout=said)
    assert said.getvalue() == "Everything holds.\n", said.getvalue()
    for pk, way in ways().items():
        steps = zip([None, *way], way, strict=False)
        assert all(after in LEGAL.get(before, {before}) for before, after in steps), (pk, way)
    decided = Counter(Task.objects.filter(decision="finished").values_list("round", "step"))
    assert max(decided.values(), default=0) <= 1
    told = Counter(Delivery.objects.exclude(kind="digest").values_list("about_type", "about_id", "to", "kind"))
    assert max(told.values(), default=0) <= 1, "one mail for each act and reader"
    kept = dict(File.objects.values_list("key", "sha256"))
    assert {key: hash_of(key) for key in kept} == kept
    assert not Job.objects.filter(state="running").exists()


def hash_of(key):
    with storages["files"].open(key) as stored:
        return sha256(stored.read()).hexdigest()


def ways():
    """This will give the states that each opportunity went through, in order, by its key."""
    found = {}
    for pk, state in Movement.objects.order_by("id").values_list("opportunity", "state"):
        found.setdefault(pk, []).append(state)
    return found


@contextmanager
def elsewhere(**place):
    """This will have this process, and those that it begins, work on another database of the same kind."""
    right = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(place)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.clear()
        connection.settings_dict.update(right)
