"""Servers to be struck: a PostgreSQL of one's own, and a disk of a few megabytes."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from tests.crm.test_serve import database_url

sys.path.insert(0, str(settings.BASE_DIR / "scripts"))

import clusters  # the gate's own

needs_server_programs = pytest.mark.skipif(not clusters.programs(), reason="NOT TESTED: no initdb and pg_ctl are here")
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


class Cluster(clusters.Cluster):
    """A PostgreSQL that nobody else uses, to be struck."""

    @property
    def place(self):
        return {"HOST": "127.0.0.1", "PORT": self.port, "USER": "postgres", "PASSWORD": "", "NAME": "postgres"}

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
