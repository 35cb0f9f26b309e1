"""
Reports and exports read from a replica of the database, where the settings name one (REPLICA_URL): they read much and
may be some seconds late, and what reps and approvers do meanwhile need not wait for them.

A replica that is away, or late by more than REPLICA_LAG seconds, is left alone until it is there again. How late it is
shows in the pulse of the workers, which beats every few seconds and arrives there with everything else.
"""

import time
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.models.functions import Now

from crm.pulse import WorkerPulse

REPLICA = "replica"
FRESH = 5  # seconds that a look at the replica holds, in each process

_reading = ContextVar("reading", default=False)
_looked = {"at": float("-inf"), "fit": False}


class Router:
    """Sends what is read within `reading` to the replica, and all else to the database."""

    def db_for_read(self, model, **hints):
        return REPLICA if _reading.get() else DEFAULT_DB_ALIAS

    def db_for_write(self, model, **hints):
        return DEFAULT_DB_ALIAS

    def allow_relation(self, one, other, **hints):
        return True  # both are copies of one database

    def allow_migrate(self, alias, app_label, **hints):
        return alias == DEFAULT_DB_ALIAS


@contextmanager
def reading():
    """
    This will have what is read within come from the replica, where there is one and it is fit. No generator may yield
    within: whoever takes what it gives would read from there too.
    """
    before = _reading.set(REPLICA in settings.DATABASES and _is_fit())
    try:
        yield
    finally:
        _reading.reset(before)


def _is_fit():
    now = time.monotonic()
    if now - _looked["at"] > FRESH:
        _looked.update(at=now, fit=_look())
    return _looked["fit"]


def _look():
    late = timedelta(seconds=settings.REPLICA_LAG)
    try:
        return WorkerPulse.objects.using(REPLICA).filter(beat_at__gt=Now() - late).exists()
    except Error:
        connections[REPLICA].close()
        return False
