"""Servers to be struck: a PostgreSQL of one's own, and a disk of a few megabytes."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from tests.crm.test_serve import database_url

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parts[4]))
FOUND = Path(shutil.which("initdb") or "").parent if shutil.which("initdb") else PROGRAMS and PROGRAMS[-1]

needs_server_programs = pytest.mark.skipif(not FOUND, reason="NOT TESTED: there is no initdb and pg_ctl here")


on_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="asks SQLite alone: one writer at a time")
on_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL alone: a server apart")


def hold(seconds):
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout = 60000")
        other.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        other.execute("ROLLBACK")


def cut_off():
    """This will end every connection to this database but one's own."""
    with connection.cursor() as cursor:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        cursor.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        return cursor.fetchall()


class Cluster:
    """A PostgreSQL that nobody else uses, with its data in `folder`, or in one that is gone afterwards."""

    def __init__(self, folder=None):
        self.given = folder is not None
        self.folder = Path(folder or tempfile.mkdtemp(prefix="pursuit-pg-"))
        self.someone_else = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self.folder, "postgres", "postgres")
            self.someone_else = ["runuser", "-u", "postgres", "--"]
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.place = {"HOST": "127.0.0.1", "PORT": self.port, "USER": "postgres", "PASSWORD": "", "NAME": "postgres"}

    def __enter__(self):
        self.run("initdb", "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8")
        self.start()
        return self

    def __exit__(self, *_error):
        with suppress(subprocess.CalledProcessError):  # it may have ended already
            self.stop()
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        if not self.given:
            shutil.rmtree(self.folder)

    def run(self, program, *arguments):
        command = [*self.someone_else, FOUND / program, "-D", self.folder / "data", *arguments]
        subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def start(self):
        options = f"-p {self.port} -k {self.folder} -h 127.0.0.1"
        self.run("pg_ctl", "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self):
        self.run("pg_ctl", "-m", "immediate", "stop")

    @property
    def pids(self):
        """This will list the server's process and those that it has begun."""
        first = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]

    def stand_still(self, seconds):
        """This will have the server neither answer nor hang up for so long."""
        pids = self.pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(seconds)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

    def migrate(self):
        here = {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "crm.settings"}
        command = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(command, cwd=settings.BASE_DIR, env=os.environ | here, check=True)
