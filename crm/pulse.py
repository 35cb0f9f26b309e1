"""
Signs of life: which workers there are, and what this process is working on.

Moments that processes compare are taken from the database's clock (`Now()`), because their own may differ.
"""

import threading
from contextlib import contextmanager
from datetime import timedelta

from django.db import connection, models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

SILENCE = timedelta(seconds=60)  # who says nothing for so long is taken for dead

stopping = threading.Event()  # set once this worker has been asked to stop
working_on = set()  # the Job and the ScheduledRun under way in this process; the worker's pulse beats for them


@contextmanager
def under_way(work):
    """This will let the worker's pulse beat for `work` meanwhile."""
    working_on.add(work)
    try:
        yield
    finally:
        working_on.discard(work)


def fresh_connection():
    """This will make the next query connect anew: an error or an interruption may have left the connection unusable."""
    if not connection.in_atomic_block:
        connection.close()


class WorkerPulse(models.Model):
    """One running worker. It beats every few seconds; a clean exit takes the row away."""

    worker = models.CharField(_("worker"), max_length=64, primary_key=True)
    started_at = models.DateTimeField(_("started at"), db_default=Now())
    beat_at = models.DateTimeField(_("last beat at"), db_default=Now())

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering = ["worker"]

    def __str__(self):
        return self.worker

    @classmethod
    def beat(cls, worker):
        """This will say that `worker` is alive."""
        if not cls.objects.filter(worker=worker).update(beat_at=Now()):
            cls.objects.create(worker=worker)

    @classmethod
    def any_alive(cls):
        """This will tell whether any worker has beaten lately."""
        return cls.objects.filter(beat_at__gt=Now() - SILENCE).exists()
