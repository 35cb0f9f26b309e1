"""The ground's own background work: imports, and taking away what background work leaves behind."""

from datetime import timedelta

from django.db.models.functions import Now
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from crm import exports, importing
from crm.bulk import BulkRun
from crm.exports import ExportRun
from crm.importing import ImportRun
from crm.jobs import Job, job
from crm.once import Once
from crm.pulse import WorkerPulse
from crm.recent import Opened
from crm.schedule import daily

JOBS_KEPT = timedelta(days=90)
TICKETS_KEPT = timedelta(days=7)
PULSES_KEPT = timedelta(days=1)
FORMS_KEPT = timedelta(days=7)
IMPORTS_KEPT = timedelta(days=30)
BULK_KEPT = timedelta(days=90)


@job("check_import", minutes=60)
def check_import(job):
    """This will look at all rows of an import, and write nothing."""
    ImportRun.objects.get(pk=job.arguments["run"]).work(job, writing=False)


def undo_what_is_whole_or_not_at_all(job):
    """This will undo what an import of all or nothing has entered, which did not come to its end."""
    for run in ImportRun.objects.filter(pk=job.arguments["run"]):
        run.was_broken_off(job)


@job("run_import", minutes=240, broken=undo_what_is_whole_or_not_at_all)
def run_import(job):
    """This will enter the good rows of an import."""
    ImportRun.objects.select_related("batch").get(pk=job.arguments["run"]).work(job, writing=True)


@job("undo_import", minutes=240)
def undo_import(job):
    """This will undo what an import entered and changed."""
    ImportRun.objects.select_related("batch", "owner").get(pk=job.arguments["run"]).take_back(job)


def tell_what_was_done(job):
    """This will tell of the rows that were done before a run ended in another way."""
    for run in BulkRun.objects.filter(pk=job.arguments["run"]):
        run.was_broken_off(job)


@job("bulk", minutes=240, broken=tell_what_was_done)
def bulk(job):
    """This will do to many records what somebody confirmed."""
    BulkRun.objects.select_related("batch").get(pk=job.arguments["run"]).work(job)


@job("undo_bulk", minutes=240)
def undo_bulk(job):
    """This will undo what that changed."""
    BulkRun.objects.select_related("batch").get(pk=job.arguments["run"]).take_back(job)


@job("export", minutes=120)
def export(job):
    """This will make a large file of a list."""
    ExportRun.objects.get(pk=job.arguments["run"]).make(job)


@daily("tidy", at="03:10")
def tidy():
    """
    This will delete old jobs and the tickets that brought them, pulses of killed workers, keys of old forms,
    files that were imported or made, what was opened long ago, and what became of the rows of old acts on many records.
    """
    Job.objects.filter(finished_at__lt=Now() - JOBS_KEPT).delete()
    DBTaskResult.objects.exclude(status=TaskResultStatus.READY).filter(started_at__lt=Now() - TICKETS_KEPT).delete()
    WorkerPulse.objects.filter(beat_at__lt=Now() - PULSES_KEPT).delete()
    Once.objects.filter(at__lt=Now() - FORMS_KEPT).delete()
    Opened.tidy()
    importing.tidy(timezone.now() - IMPORTS_KEPT)
    ExportRun.tidy(timezone.now() - exports.KEPT)
    BulkRun.tidy(timezone.now() - BULK_KEPT)
