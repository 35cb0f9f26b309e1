"""Jobs and scheduled runs that leave a trace in the audit, so that a test can count what was done."""

import os
import signal
import time

from django.db import connection, transaction
from django.utils import timezone, translation
from django.utils.translation import gettext_lazy as _

from crm.jobs import Failed, job
from crm.models import Audit
from crm.schedule import daily, every
from crm.verbs import Refused


@job("count")
def count(job):
    """This will write each number up to `to` once, whatever happens to its worker meanwhile."""
    to = job.arguments["to"]
    for number in range(job.result.get("counted", 0) + 1, to + 1):
        with transaction.atomic():
            Audit.note("counted", by=job.owner, number=number, job=job.pk)
            job.keep(counted=number)
        job.progress(number, to, f"Number {number}")
        time.sleep(job.arguments.get("seconds", 0))
        job.checkpoint()
    return {"to": to}


@job("explode")
def explode(job):
    raise ZeroDivisionError(job.arguments.get("secret", "boom"))


@job("refuse")
def refuse(job):
    raise {"failed": Failed, "refused": Refused}[job.arguments["how"]](_("This field is required."))


@job("kill")
def kill(job):
    """This will take the worker down, as a reader that runs out of memory does."""
    os.kill(os.getpid(), signal.SIGKILL)


@job("deaf")
def deaf(job):
    """This will never ask whether it should end."""
    Audit.note("deaf")
    time.sleep(60)


job("hasty", minutes=0.02)(deaf)


@job("who")
def who(job):
    """This will tell as whom it runs."""
    return {
        "language": translation.get_language(),
        "time zone": timezone.get_current_timezone_name(),
        "superuser": job.owner.is_superuser,
        "alone": not connection.in_atomic_block,
    }


@daily("dawn", at="05:00")
def dawn():
    Audit.note("dawn")
    time.sleep(1)


@daily("dusk", at="21:00")
def dusk():
    Audit.note("dusk")
    raise ZeroDivisionError("dark")


@every("tick", seconds=3600)
def tick():
    Audit.note("tick")
