"""
What a large installation is made of, each part in processes of its own on this machine: a PostgreSQL with a replica
that follows it, web servers and workers, one address before them all, and people who sign in there.
"""

import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from itertools import count

import psycopg
import pytest
import requests
from django.conf import settings

from tests.crm.live import until

sys.path.insert(0, str(settings.BASE_DIR / "scripts"))

import clusters  # the gate's own
from clusters import free_port

PASSWORD = "pursuit-demo"
NAME = "pursuit"


# ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Cluster(clusters.Cluster):
    """One server of PostgreSQL, with an empty database, or a replica of another."""

    def __init__(self, **how):
        if not clusters.programs():
            pytest.skip("There are no server programs of PostgreSQL here.")
        super().__init__(fsync="off", hot_standby_feedback="on", **how)

    def __enter__(self):
        super().__enter__()
        if not self.follows:
            self.tell(f"CREATE DATABASE {NAME}", "postgres")
        return self

    def url(self, name=NAME):
        return super().url(name)

    def tell(self, statement, name=NAME):
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute(statement)

    def ask(self, question):
        """This will give the first value of the first row."""
        with psycopg.connect(self.url()) as connection:
            return connection.execute(question).fetchone()[0]


# ── Pursuit ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class Installation:
    """Pursuit, as the environment says; what it begins is gone when it closes."""

    def __init__(self, folder, **environment):
        self.folder = folder
        self.environment = os.environ | {"DJANGO_SETTINGS_MODULE": "crm.settings", "VAR_DIR": str(folder)} | environment
        self.begun = []

    def manage(self, *arguments):
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=settings.BASE_DIR, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def begin(self, *arguments, **environment):
        with (self.folder / f"{len(self.begun)}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=settings.BASE_DIR,
                env=self.environment | environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.begun.append(process)
        return process

    def web(self):
        """This will begin a web server, and give (its process, its port) once it answers."""
        port = free_port()
        process = self.begin("-m", "gunicorn", "--bind", f"127.0.0.1:{port}", WEB_CONCURRENCY="1")
        until(lambda: answers(port), 120)
        return process, port

    def worker(self):
        return self.begin("manage.py", "worker")

    def close(self):
        for process in self.begun:
            process.terminate()
        for process in self.begun:
            process.wait(60)

    @property
    def said(self):
        return "".join(log.read_text() for log in sorted(self.folder.glob("*.log")))


@contextmanager
def installation(folder, **environment):
    folder.mkdir()
    it = Installation(folder, **environment)
    try:
        yield it
    finally:
        it.close()


def answers(port):
    with suppress(requests.RequestException):
        return requests.get(f"http://127.0.0.1:{port}/livez", timeout=5).ok


class OneAddress:
    """What stands before several web servers: it leads each connection to the next of them that there is."""

    def __init__(self, ports):
        self.ports = ports
        self.led = dict.fromkeys(ports, 0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.number = count()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with suppress(OSError):  # closed
            while True:
                visitor, _address = self.listener.accept()
                threading.Thread(target=self.lead, args=[visitor], daemon=True).start()

    def lead(self, visitor):
        with visitor, suppress(OSError), self.next_server() as server:
            back = threading.Thread(target=passed_on, args=[server, visitor])
            back.start()
            passed_on(visitor, server)
            back.join()

    def next_server(self):
        for _port in self.ports:
            port = self.ports[next(self.number) % len(self.ports)]
            with suppress(ConnectionRefusedError):
                server = socket.create_connection(("127.0.0.1", port))
                self.led[port] += 1
                return server
        raise ConnectionRefusedError

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.listener.close()


def passed_on(one, other):
    with suppress(OSError):
        while part := one.recv(1 << 16):
            other.sendall(part)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


# ── People ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Person:
    """Somebody at a browser, at the address of that port."""

    def __init__(self, port, name, password=PASSWORD):
        self.address = f"http://127.0.0.1:{port}"
        self.session = requests.Session()
        self.session.headers["Connection"] = "close"  # each request may come to another server
        self.get("/accounts/login/")
        self.entered = self.post("/accounts/login/", login=name, password=password)

    def get(self, path):
        return self.session.get(self.address + path, timeout=60)

    def post(self, path, **data):
        data["csrfmiddlewaretoken"] = self.session.cookies["csrftoken"]
        return self.session.post(self.address + path, data, timeout=60, allow_redirects=False)

    def enter(self, customer):
        """This will enter a customer of that name."""
        assert self.post("/customers/new/", name=customer, kind="organisation", status="potential").status_code == 302
