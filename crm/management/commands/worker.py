"""The worker: it runs jobs one after the other, the schedule beside them, and gives signs of life meanwhile."""

import logging
import math
import os
import signal
import socket
import threading
import time

from django.core.management.base import BaseCommand
from django.db import Error
from django.utils.crypto import get_random_string

from crm.jobs import Interrupted, Job, Stopping, TooLong, run_next
from crm.pulse import WorkerPulse, fresh_connection, stopping, working_on
from crm.schedule import ScheduledRun

logger = logging.getLogger("crm.worker")

# Seconds
TURN = 0.5  # between two looks for something to do
BEAT = 5  # between two signs of life of the worker
PATIENCE = 15  # for a job that is asked to stop, until it is broken off
LAST = 25  # until a stopping worker just ends, whatever it waits for: whoever asked may wait 30


class Command(BaseCommand):
    requires_system_checks = []  # the web server makes them, and `migrate` has
    help = "Runs background jobs and the schedule until told to stop (Ctrl-C or SIGTERM)."

    def handle(self, **options):
        self.name = f"{socket.gethostname()[:40]}:{os.getpid()}:{get_random_string(8)}"
        self.asked_at = None  # when it was told to stop
        self.ended = False
        self.beat_at = self.reaped_at = -math.inf
        self.planned = False
        for logged_twice in ("django_tasks", "django_tasks_db"):
            logging.getLogger(logged_twice).setLevel(logging.WARNING)
        signal.signal(signal.SIGTERM, self.ask_to_stop)
        signal.signal(signal.SIGINT, self.ask_to_stop)
        signal.signal(signal.SIGALRM, self.break_off)

        logger.info("Worker %s began.", self.name)
        threading.Thread(target=self.watch, daemon=True).start()
        pulse = self.begin(self.pulse, until=lambda: self.ended)
        schedule = self.begin(self.scheduled, until=self.asked)
        self.keep_doing(self.next_job, until=self.asked)
        schedule.join(timeout=max(0, self.asked_at + LAST - BEAT - time.monotonic()))
        self.ended = True
        pulse.join(timeout=2 * TURN)  # or it would beat once more
        WorkerPulse.objects.filter(worker=self.name).delete()
        logger.info("Worker %s ended.", self.name)

    def begin(self, act, until):
        thread = threading.Thread(target=self.keep_doing, args=[act, until], daemon=True)
        thread.start()
        return thread

    def ask_to_stop(self, signum, frame):
        self.asked_at = self.asked_at or time.monotonic()

    def asked(self):
        return self.asked_at is not None

    def keep_doing(self, act, until):
        """This will call `act` again and again through any trouble, with a rest where it found nothing to do."""
        trouble = 0
        while not until():
            busy = False
            try:
                busy = act()
                trouble = 0
            except Error as error:  # gone, locked, restarting: one line, not a page of it each second
                if not trouble:
                    logger.warning("The database is in trouble, the worker goes on trying. %s", error)
                trouble += 1
            except (Exception, Interrupted):
                logger.exception("The worker met an error and goes on.")
                trouble += 1
            if trouble:
                fresh_connection()
            if not busy:
                time.sleep(TURN * min(1 + trouble, 10))

    def next_job(self):
        """This will run the next job, and now and then see to those that other workers left behind."""
        if time.monotonic() - self.reaped_at > BEAT:
            self.reaped_at = time.monotonic()
            Job.objects.reap(self.name)
        return run_next(self.name)

    def scheduled(self):
        """This will run what is due."""
        if not self.planned:
            ScheduledRun.plan()
            self.planned = True
        ScheduledRun.run_due(self.name)

    def pulse(self):
        """This will say that the worker, and what it works on, is alive."""
        if time.monotonic() - self.beat_at > BEAT:
            WorkerPulse.beat(self.name)
            self.beat_at = time.monotonic()
        for work in list(working_on):
            work.beat()

    def watch(self):
        """
        This will break off the job that overstays, and end a worker that cannot stop.

        It asks no database, so that none can hold it up.
        """
        while True:
            time.sleep(TURN)
            now = time.monotonic()
            if self.asked():
                stopping.set()
                if now > self.asked_at + LAST:
                    logger.warning("Worker %s ends in the middle of its work; another takes it up.", self.name)
                    os._exit(1)
            for job in [work for work in list(working_on) if isinstance(work, Job)]:
                if self.asked() and not job.interruption:
                    job.interruption = Stopping()
                    job.deadline = min(job.deadline, now + PATIENCE)
                if now > job.deadline:
                    job.interruption = job.interruption or TooLong()
                    job.deadline = now + BEAT  # for what it still has to put in order
                    signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)

    def break_off(self, signum, frame):
        """This will raise in the job what its next checkpoint would have raised."""
        for work in list(working_on):
            if isinstance(work, Job) and work.interruption:
                raise work.interruption
