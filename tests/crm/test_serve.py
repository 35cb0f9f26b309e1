"""`manage.py serve`: both begin, both are looked after, both end; what is wrong is said in a sentence."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from crm.models import User
from crm.pulse import WorkerPulse
from tests.crm.live import until

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 60  # seconds; four processes load Django, perhaps on a busy machine


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def database_url():
    """This will name the test's database as another process has to."""
    where = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{where['NAME']}"
    account = f"{quote(where['USER'])}:{quote(where['PASSWORD'])}"
    return f"postgres://{account}@{where['HOST'] or 'localhost'}:{where['PORT'] or 5432}/{where['NAME']}"


class Served:
    def __init__(self, popen, log):
        self.popen = popen
        self.pid = popen.pid
        self.log = log

    @property
    def said(self):
        return self.log.read_text()

    @property
    def children(self):
        """This will give {"pursuit-web": process id, "pursuit-worker": process id}, once they have these names."""
        pids = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        names = {Path(f"/proc/{pid}/comm").read_text().strip(): int(pid) for pid in pids}
        return {name: pid for name, pid in names.items() if name.startswith("pursuit-")}

    @property
    def group(self):
        """This will give the process ids of everything in its process group that still runs."""
        found = subprocess.run(["ps", "-eo", "pgid=,pid=,stat="], capture_output=True, text=True, check=True).stdout
        rows = (line.split() for line in found.splitlines())
        return {int(pid) for group, pid, state in rows if int(group) == self.pid and not state.startswith("Z")}


SERVE = ("manage.py", "serve")


@contextmanager
def served(folder, port, command=SERVE, **surroundings):
    """This will begin `manage.py serve` in a process group of its own, all of which is gone afterwards."""
    surroundings = {"WEB_CONCURRENCY": "1"} | surroundings
    surroundings |= {"DATABASE_URL": database_url(), "PORT": str(port), "VAR_DIR": str(folder)}
    log = folder / "serve.log"
    with log.open("w") as file:
        popen = subprocess.Popen(
            [sys.executable, *command],
            cwd=settings.BASE_DIR,
            env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"} | surroundings,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Served(popen, log)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


def ask(port, path):
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        asking.request("GET", path)
        answer = asking.getresponse()
        return answer.status, answer.read().decode()
    finally:
        asking.close()


def answers(port):
    with suppress(OSError):
        return ask(port, "/livez")[0] == 200
    return False


def test_serve_begins_both_says_where_and_for_whom_replaces_a_killed_worker_and_stops_cleanly(tmp_path, port):
    User.objects.create(username="rep.shijiazhuang", name="Li Wei", demo=True)
    User.objects.create(username="somebody", name="Not shown")
    with served(tmp_path, port) as process:
        until(lambda: "Ctrl-C" in process.said, seconds=PATIENCE)
        assert f"Pursuit runs at http://127.0.0.1:{port} " in process.said
        assert "password pursuit-demo" in process.said
        assert "rep.shijiazhuang" in process.said
        assert "somebody" not in process.said
        assert ask(port, "/healthz") == (200, '{"status": "ok", "database": "ok", "worker": "ok"}')

        first = process.children["pursuit-worker"]
        os.kill(first, signal.SIGKILL)
        WorkerPulse.objects.all().delete()
        until(WorkerPulse.objects.exists, seconds=PATIENCE)
        assert process.children["pursuit-worker"] != first
        assert "The worker ended (SIGKILL). It begins again after 1 s." in process.said

        process.popen.terminate()
        assert process.popen.wait(30) == 0
        assert not process.group
        assert not WorkerPulse.objects.exists(), "the worker ended by itself"
        with pytest.raises(ConnectionRefusedError):
            ask(port, "/livez")


def test_serve_ends_with_a_sentence_when_the_web_server_ends(tmp_path, port):
    with served(tmp_path, port) as process:
        until(lambda: process.popen.poll() is not None or len(process.children) == 2, seconds=PATIENCE)
        os.kill(process.children["pursuit-web"], signal.SIGKILL)
        assert process.popen.wait(30) == 1
        until(lambda: not process.group)
        assert "The web server ended (SIGKILL), so all is stopped." in process.said


PRODUCTION = {
    "PURSUIT_ENV": "production",
    "SECRET_KEY": "a key for this test alone, of which nobody else knows",
    "ALLOWED_HOSTS": "pursuit.example",
    "SITE_URL": "https://pursuit.example",
}


@pytest.mark.parametrize(
    "command", [SERVE, ("-m", "gunicorn", "--bind", "127.0.0.1:{port}")], ids=["serve", "gunicorn"]
)
def test_in_production_no_server_starts_while_accounts_of_the_demo_company_can_sign_in(tmp_path, port, command):
    command = [word.format(port=port) for word in command]
    demo = User.objects.create(username="rep.shijiazhuang", name="Li Wei", demo=True)
    with served(tmp_path, port, command, **PRODUCTION) as process:
        assert process.popen.wait(PATIENCE) != 0
        until(lambda: not process.group)
        assert "1 active accounts of the demo company are in this database" in process.said

    User.objects.filter(pk=demo.pk).update(is_active=False)
    with served(tmp_path, port, command, **PRODUCTION):
        until(lambda: answers(port), seconds=PATIENCE)


@pytest.mark.torture
def test_nothing_is_left_over_when_serve_itself_is_killed(tmp_path, port):
    with served(tmp_path, port) as process:
        until(lambda: "Ctrl-C" in process.said, seconds=PATIENCE)
        process.popen.kill()
        process.popen.wait()
        until(lambda: not process.group, seconds=30)


@pytest.fixture
def _signals_kept():
    """A command that is called here, not begun as a process, leaves this process' signals as they were."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@contextmanager
def other_database(name):
    right = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = right


@pytest.mark.usefixtures("_signals_kept")
def test_serve_refuses_a_port_that_is_taken_and_names_another_way(settings):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings.PORT = taken.getsockname()[1]
        sentence = f"Port {settings.PORT} is taken by another program. Choose another one, such as PORT="
        with pytest.raises(CommandError, match=sentence):
            call_command("serve")


@pytest.mark.usefixtures("_signals_kept")
def test_serve_refuses_a_database_that_is_not_set_up_and_says_what_to_do(tmp_path):
    empty = tmp_path / "empty.sqlite3" if connection.vendor == "sqlite" else "postgres"
    with other_database(empty), pytest.raises(CommandError, match=r"Run: python manage\.py migrate"):
        call_command("serve")


@pytest.mark.usefixtures("_signals_kept")
def test_serve_refuses_a_database_of_a_newer_version():
    recorder = MigrationRecorder(connection)
    recorder.record_applied("crm", "9999_of_the_future")
    try:
        with pytest.raises(CommandError, match="The database is of a newer version of Pursuit than this one"):
            call_command("serve")
    finally:
        recorder.record_unapplied("crm", "9999_of_the_future")


@pytest.mark.usefixtures("_signals_kept")
def test_serve_refuses_a_database_that_does_not_answer_and_says_so():
    nowhere = "/nowhere/at/all" if connection.vendor == "sqlite" else "nowhere_at_all"
    with other_database(nowhere), pytest.raises(CommandError, match="The database does not answer"):
        call_command("serve")
