"""
Pursuit as one group of processes: the web server and the worker, begun, watched and stopped together.

All of them are forks of this one, which has loaded Pursuit: it is loaded once, and lies in memory once.
"""

import ctypes
import errno
import gc
import http.client
import multiprocessing
import os
import signal
import socket
import sys
import time
from importlib import import_module

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from gunicorn.app.wsgiapp import WSGIApplication

from crm import jobs
from crm.models import User
from crm.upgrades import refuse_other_version

# Seconds
TURN = 0.2
READY = 90  # for both to be ready, on a slow machine
STOP = 29  # for both to stop, before they are killed; whoever asked may wait 30
FIRST_REST, LONGEST_REST = 1, 30  # before a worker that ended is begun again
STEADY = 60  # after so long a worker counts as having run well

DEMO_PASSWORD = "pursuit-demo"  # noqa: S105  the demo company's, in the manual
ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # to stop
PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15  # from Linux' prctl.h
libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class Command(BaseCommand):
    requires_system_checks = []  # crm.wsgi makes them in production, and `migrate` has
    help = "Runs the web server and the worker until told to stop (Ctrl-C or SIGTERM). PORT=… chooses the port."

    def add_arguments(self, parser):
        parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")

    def handle(self, host, **options):
        self.address = (host, settings.PORT)
        self.asked = False
        self.web = self.worker = None
        self.rest = FIRST_REST / 2
        for asking in ASKING:
            signal.signal(asking, self.ask_to_stop)
        refuse_other_version()
        connection.close()
        try:
            with self.listen() as listener:  # closed here at once, so that the web server's end is seen at the port
                self.load()
                self.web = self.begin("pursuit-web", serve_pages, listener)
            self.begin_worker()
            if self.wait_until_ready():
                self.tell()
                self.stand_by()
        finally:
            self.stop()

    def ask_to_stop(self, signum, frame):
        self.asked = True

    def listen(self):
        """This will take the port, so that nobody else can between now and the first request."""
        host, port = self.address
        try:
            return socket.create_server(self.address, backlog=2048)
        except PermissionError:
            raise CommandError(f"Port {port} is for the system. Choose one above 1023, such as PORT=8000.") from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                told = f"Port {port} is taken by another program. Choose another one, such as PORT={port + 1}."
                raise CommandError(told) from None
            raise CommandError(f"{host}, port {port}, cannot be listened at: {error.strerror}.") from None

    def load(self):
        """This will load what web server and worker need. Raises CommandError where it is unsafe to run them."""
        import_module("crm.wsgi")
        jobs.kinds()
        gc.collect()
        gc.freeze()  # a collection in a fork would write into each page of memory, and so make it its own

    def begin(self, name, act, *arguments):
        """This will begin `act` as a process of that name, and give it."""
        process = multiprocessing.get_context("fork").Process(target=fork, args=[name, act, *arguments])
        signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)  # until the fork has handlers of its own
        process.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKING)
        return process

    def begin_worker(self):
        self.worker = self.begin("pursuit-worker", call_command, "worker")
        self.worker_began_at = time.monotonic()

    def wait_until_ready(self):
        """This will wait for web server and worker, and tell whether they are ready or it was told to stop first."""
        patience = time.monotonic() + READY
        while not self.asked:
            self.look_after_both()
            health = self.health()
            if health == "ok":
                return True
            if time.monotonic() > patience:
                raise CommandError(f"Pursuit was not ready after {READY} seconds. /healthz says: {health}")
            time.sleep(TURN)
        return False

    def health(self):
        """This will give "ok", or what /healthz says or does not say."""
        host, port = self.address
        if host == "0.0.0.0":  # noqa: S104  compared, not listened at
            host = "127.0.0.1"
        asking = http.client.HTTPConnection(host, port, timeout=5)
        try:
            asking.request("GET", "/healthz")
            answer = asking.getresponse()
            return "ok" if answer.status == http.HTTPStatus.OK else answer.read().decode()
        except OSError as error:
            return str(error)
        finally:
            asking.close()

    def tell(self):
        """This will print where Pursuit is, and who may look at it here."""
        host, port = self.address
        lines = ["", f"Pursuit runs at http://{host}:{port} (Ctrl-C stops it)"]
        demo = User.objects.filter(demo=True, is_active=True).select_related("department").prefetch_related("roles")
        if demo:
            lines += ["", f"Demo log-ins, all with the password {DEMO_PASSWORD}:"]
        for user in demo.order_by("id"):
            roles = ", ".join(str(role) for role in user.roles.all())
            lines.append(f"  {user.username:22} {user.name}: {roles}, {user.department}")
        connection.close()
        self.stdout.write("\n".join([*lines, ""]))
        self.stdout.flush()  # whoever reads this through a pipe waits for it

    def stand_by(self):
        while not self.asked:
            self.look_after_both()
            time.sleep(TURN)

    def look_after_both(self):
        """This will begin a worker that ended again, after a rest. Raises CommandError where the web server ended."""
        now = time.monotonic()
        if self.asked:
            return
        if self.web.exitcode is not None:
            raise CommandError(f"The web server ended ({ending(self.web)}), so all is stopped. See the lines above.")
        if self.worker is None:
            if now > self.begin_worker_at:
                self.begin_worker()
        elif self.worker.exitcode is not None:
            steady = now - self.worker_began_at > STEADY
            self.rest = FIRST_REST if steady else min(2 * self.rest, LONGEST_REST)
            self.begin_worker_at = now + self.rest
            self.stderr.write(f"The worker ended ({ending(self.worker)}). It begins again after {self.rest:.0f} s.")
            self.worker = None

    def stop(self):
        """This will ask both to stop and wait for it, but not for ever."""
        both = [process for process in (self.web, self.worker) if process]
        for process in both:
            process.terminate()
        patience = time.monotonic() + STOP
        for process in both:
            process.join(max(0, patience - time.monotonic()))
            if process.exitcode is None:
                process.kill()
                process.join()


def ending(process):
    """This will say how `process` ended."""
    code = process.exitcode
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def fork(name, act, *arguments):
    """This will be the new process, which the kernel stops when the one that began it is killed."""
    for asking in ASKING:
        signal.signal(asking, signal.SIG_DFL)
    if libc:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        libc.prctl(PR_SET_NAME, name.encode())  # as `ps -o comm` and `top` show it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKING)
    os.chdir(settings.BASE_DIR)
    act(*arguments)


def serve_pages(listener):
    """This will be the web server, which reads gunicorn.conf.py."""
    sys.argv = ["gunicorn", "--bind", f"fd://{listener.detach()}"]
    WSGIApplication().run()
