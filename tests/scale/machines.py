"""
What a large installation is made of, each part in processes of its own on this machine: a PostgreSQL with a replica
that follows it, web servers and workers, one address before them all, and people who sign in there.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import psycopg
import pytest
import requests
from django.conf import settings

from tests.crm.live import until

PASSWORD = "pursuit-demo"
NAME = "pursuit"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


# ── PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Cluster:
    """One server of PostgreSQL, with data to throw away."""

    def __init__(self, folder):
        found = shutil.which("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
        if not found:
            pytest.skip("There are no server programs of PostgreSQL here.")
        self.programs = Path(found).resolve().parent
        self.folder = folder
        self.port = free_port()
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(folder, "postgres", "postgres")

    def run(self, program, *arguments):
        as_other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*as_other, self.programs / program, *arguments]
        subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def make(self):
        self.run("initdb", "-D", "data", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8")

    def follow(self, other):
        """This will be a replica of `other`."""
        self.run("pg_basebackup", "-D", "data", "-R", "-X", "stream", "-d", other.url("postgres"))

    def start(self):
        said = f"-p {self.port} -k {self.folder} -h 127.0.0.1 -c fsync=off -c hot_standby_feedback=on"
        self.run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", said, "start")

    def stop(self):
        with suppress(subprocess.CalledProcessError):  # it has been stopped
            self.run("pg_ctl", "-D", "data", "-w", "-m", "immediate", "stop")

    def url(self, name=NAME):
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def tell(self, statement, name=NAME):
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            connection.execute(statement)

    def ask(self, question):
        """This will give the first value of the first row."""
        with psycopg.connect(self.url()) as connection:
            return connection.execute(question).fetchone()[0]


@contextmanager
def cluster(*, follows=None):
    """This will give a running PostgreSQL: one with an empty database, or a replica of another."""
    with tempfile.TemporaryDirectory(prefix="pursuit-pg-") as folder:  # pytest's own are closed to other users
        it = Cluster(Path(folder))
        if follows:
            it.follow(follows)
        else:
            it.make()
        try:
            it.start()
            if not follows:
                it.tell(f"CREATE DATABASE {NAME}", "postgres")
            yield it
        finally:
            it.stop()


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
