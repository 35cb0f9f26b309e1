"""A box to run Pursuit in: a database of its own, a folder for its files, and its commands as processes."""

import os
import subprocess
import sys
from contextlib import contextmanager
from urllib.parse import quote

import psycopg
from django.conf import settings
from django.db import connection


class Box:
    """A database by its name, and a folder. Commands run here as they do on any machine."""

    def __init__(self, name, folder):
        self.name = str(name)
        self.url = _url(name)
        self.folder = folder

    def begin(self, *command):
        """This will begin a command and give its process, whose lines are read as it says them."""
        surroundings = {"DATABASE_URL": self.url, "VAR_DIR": str(self.folder), "PYTHONUNBUFFERED": "1"}
        surroundings |= {"MEDIA_ROOT": str(self.folder / "media"), "DJANGO_SETTINGS_MODULE": "tests.settings"}
        return subprocess.Popen(
            [sys.executable, "manage.py", *map(str, command)],
            cwd=settings.BASE_DIR,
            env=os.environ | surroundings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command):
        """This will run a command to its end and give what it said; fails where it fails."""
        process = self.begin(*command)
        said = process.communicate()[0]
        assert process.returncode == 0, said
        return said

    def kill(self, *command, at):
        """This will kill -9 a command as soon as it says the words `at`; fails where it never does."""
        process = self.begin(*command)
        said = ""
        for line in process.stdout:
            said += line
            if at in line:
                process.kill()
                break
        process.stdout.close()
        assert process.wait() == -9, said


def here(folder):
    """This will give a box of the test's own database."""
    return Box(connection.settings_dict["NAME"], folder)


def _url(name):
    where = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    account = f"{quote(where['USER'])}:{quote(where['PASSWORD'])}"
    return f"postgres://{account}@{where['HOST'] or 'localhost'}:{where['PORT'] or 5432}/{name}"


@contextmanager
def another(folder, *, like_here=False):
    """This will give a box with a database of the same kind, empty or a copy of the test's own; gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    if connection.vendor == "sqlite":
        name = folder / "another.sqlite3"
        if like_here:
            with connection.cursor() as cursor:
                cursor.execute("VACUUM INTO %s", [str(name)])
        yield Box(name, folder)
        return
    name = f"{connection.settings_dict['NAME']}_another"
    connection.close()  # PostgreSQL copies no database that somebody is in
    _postgres(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    _postgres(f"CREATE DATABASE {name} TEMPLATE {connection.settings_dict['NAME'] if like_here else 'template1'}")
    try:
        yield Box(name, folder)
    finally:
        _postgres(f"DROP DATABASE {name} WITH (FORCE)")


def _postgres(statement):
    with psycopg.connect(_url("postgres"), autocommit=True) as server:
        server.execute(statement)


@contextmanager
def inside(box):
    """This will have the test's own connection be one to the database of a box."""
    right = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = box.name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = right
