"""Real processes of Pursuit on the test's own database, to be stopped, killed and counted."""

import multiprocessing
import os
import time
from contextlib import contextmanager

from django.core.management import call_command
from django.db import connection

# One process loads Django, once; workers are its forks and begin at once. It asks no database itself.
multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.crm.chores.loaded"])


class Process:
    """A management command under way in a process of its own; `output` is what it wrote."""

    def __init__(self, command, log):
        self.log = log
        context = multiprocessing.get_context("forkserver")
        self.process = context.Process(target=run, args=[command, log, str(connection.settings_dict["NAME"])])
        self.process.start()
        self.pid = self.process.pid

    @property
    def output(self):
        return self.log.read_text()

    @property
    def ended(self):
        return self.process.exitcode is not None

    def kill(self):
        """This will end it as the kernel does when memory is short."""
        self.process.kill()
        self.process.join()

    def stop(self, seconds=10):
        """This will ask it to stop, wait for it, and give its exit code."""
        self.process.terminate()
        self.process.join(seconds)
        return self.process.exitcode


def run(command, log, database):
    """This will be that process."""
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    connection.settings_dict["NAME"] = database
    call_command(command)


@contextmanager
def processes(folder):
    """This will give a function that begins processes, all of which are gone afterwards."""
    begun = []

    def begin(command):
        begun.append(Process(command, folder / f"{len(begun)}.log"))
        return begun[-1]

    try:
        yield begin
    finally:
        for process in begun:
            process.kill()
            process.process.close()


def until(happened, seconds=20):
    """This will wait until `happened()` is true and give what it gave; fails when that takes too long."""
    patience = time.monotonic() + seconds
    while time.monotonic() < patience:
        if found := happened():
            return found
        time.sleep(0.05)
    raise AssertionError(f"It did not happen within {seconds} seconds.")
