"""
Jobs: work that somebody asks for and that goes on without a page waiting for it.

    waiting ──worker claims──▶ running ──────────▶ done
     ▲  │                        │ │ └───────────▶ failed      (a sentence; or the last attempt ended in an error)
     │  └──cancel──▶ cancelled ◀─┘ checkpoint, after cancel
     └──error, worker stopped or silent

Each app's `work.py` holds its jobs and its schedule, and is found by itself. A Job row says everything about a job and
is written in the transaction that asks for it, so nothing is lost between commit and queue; a ticket of django-tasks
brings it to a worker. Every change of state is a conditional update that names the worker and the attempt (the lease),
so two workers never both have a job.
"""

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models.functions import Now
from django.utils import timezone, translation
from django.utils.functional import cached_property
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_tasks import TaskResultStatus, task
from django_tasks_db.management.commands.db_worker import Worker as TicketWorker
from django_tasks_db.models import DBTaskResult

from crm.logs import within
from crm.organisation import Organisation
from crm.pulse import SILENCE, fresh_connection, under_way
from crm.verbs import NotAllowed, Refused

logger = logging.getLogger(__name__)

ATTEMPTS = 5  # that do not get on
PAUSE = 0.004  # seconds
# Seconds that a transaction of a job takes, about: so long may others wait. On SQLite all who write wait for one
# another, so it is short there; and shorter while others do write, since many small transactions cost more than a few.
TURNS = {"postgresql": 0.25, "sqlite": 0.06}
SHORT_TURN = 0.015
WINDOW, MANY = 1.5, 4  # so many moments within so many seconds; the worker's own pulse writes twice a second
PAUSES = [timedelta(seconds=seconds) for seconds in (1, 5, 20, 60)]  # before the second attempt, the third …


class Failed(Exception):
    """Raised by a job that cannot be done, with a sentence for its owner. It is not tried again."""


class Interrupted(BaseException):
    """Why a job must end now. Not an Exception, so that a job's own `except Exception` round a row lets it pass."""


class Cancelled(Interrupted):
    """Its owner cancelled it."""


class Stopping(Interrupted):
    """The worker stops; the job waits for the next one."""


class TooLong(Interrupted):
    """It runs longer than its kind may."""


class Lost(Interrupted):
    """The job is no longer this worker's: its heartbeat was late and another took it over, or the row is gone."""


# ── What kinds there are ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Kind:
    function: Callable  # takes the Job, gives a dict for its result or None
    limit: timedelta
    broken: Callable | None  # takes the Job, in the transaction that ends it as failed or cancelled


_kinds: dict[str, Kind] = {}


def job(name, *, minutes=60, broken=None):
    """
    This will make the decorated function the job called `name`; an attempt may take so many minutes. Where it fails for
    good or is cancelled, `broken` is called with it.
    """

    def decorate(function):
        if name in _kinds:
            raise ValueError(f'Two jobs are called "{name}".')
        _kinds[name] = Kind(function, timedelta(minutes=minutes), broken)
        return function

    return decorate


def kinds():
    """This will give every kind of job by its name."""
    autodiscover_modules("work")
    return _kinds


# ── Jobs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class JobQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Everybody sees their own jobs, administrators all."""
        return self if user.is_any("administrator") else self.filter(owner=user)

    def leased(self, job):
        """This will give the row of `job` while it runs under the lease that `job` was claimed with, else nothing."""
        return self.filter(pk=job.pk, state=Job.State.RUNNING, worker=job.worker, attempts=job.attempts)

    def claim(self, pk, *, worker):
        """This will give the waiting job to `worker` and return it, or None where another worker was quicker."""
        claimed = self.filter(pk=pk, state=Job.State.WAITING).update(
            state=Job.State.RUNNING,
            worker=worker,
            attempts=models.F("attempts") + 1,
            started_at=Now(),
            heartbeat_at=Now(),
        )
        return self.select_related("owner").get(pk=pk) if claimed else None

    def reap(self, worker=""):
        """
        This will put back the jobs of silent workers, and what `worker` itself left behind, and renew lost tickets.

        Called by a worker that has nothing to do at the moment.
        """
        gone = self.filter(state=Job.State.RUNNING).filter(
            models.Q(heartbeat_at__lt=Now() - SILENCE) | models.Q(worker=worker)
        )
        for job in gone.select_related("owner"):  # a plain read first: where there is nothing, no lock is asked for
            with transaction.atomic():
                if gone.filter(pk=job.pk).select_for_update(skip_locked=True).first():
                    logger.warning("Job %s (%s): its worker fell silent.", job.pk, job.kind)
                    with translation.override(job.language):
                        job._try_again(gettext("The worker stopped while doing this."))
        # A worker killed between drawing the ticket and claiming the job leaves a job that nobody would ever draw. If
        # two workers see that at once there are two tickets, and the second finds the job claimed already.
        undrawn = self.filter(state=Job.State.WAITING).exclude(ticket__status=TaskResultStatus.READY)
        for job in undrawn.filter(models.Q(ticket=None) | models.Q(ticket__started_at__lt=Now() - SILENCE)):
            job._queue()


class Job(models.Model):
    """One piece of work that somebody asked for, or nobody (owner empty): what, how far, how it ended."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        CANCELLED = "cancelled", _("Cancelled")

    ENDED = (State.DONE, State.FAILED, State.CANCELLED)

    kind = models.CharField(_("kind"), max_length=40)
    arguments = models.JSONField(_("arguments"), default=dict)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="jobs",
        verbose_name=_("asked for by"),
    )
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.WAITING, editable=False)
    done = models.PositiveBigIntegerField(_("done so far"), default=0)
    of = models.PositiveBigIntegerField(_("to be done"), default=0)
    note = models.CharField(_("note"), max_length=200, blank=True)
    result = models.JSONField(_("result"), default=dict)
    error = models.TextField(_("what went wrong"), blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    kept_in = models.PositiveSmallIntegerField(default=0)  # the last attempt that got on: see `keep`
    worker = models.CharField(_("worker"), max_length=64, blank=True)
    ticket = models.ForeignKey(DBTaskResult, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(_("asked for at"), db_default=Now())
    started_at = models.DateTimeField(_("started at"), null=True)
    heartbeat_at = models.DateTimeField(_("last heartbeat at"), null=True)
    cancel_requested_at = models.DateTimeField(_("cancelled at"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)

    objects = JobQuerySet.as_manager()

    interruption: Interrupted | None = None  # set by the worker's pulse, raised by checkpoint
    deadline: float = math.inf  # time.monotonic() after which the worker breaks the job off
    _version: int | None = None  # of the database's content, as SQLite counts what other connections write

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["owner", "-id"], name="job_owner"),
            models.Index(fields=["state"], condition=models.Q(state__in=["waiting", "running"]), name="job_unended"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "running", "done", "failed", "cancelled"]), name="job_state"
            ),
            models.CheckConstraint(
                condition=models.Q(attempts__lte=models.F("kept_in") + ATTEMPTS), name="job_attempts"
            ),
            models.CheckConstraint(
                condition=~models.Q(state="running") | (models.Q(heartbeat_at__isnull=False) & ~models.Q(worker="")),
                name="job_running_has_worker",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["waiting", "running"], finished_at=None)
                | models.Q(state__in=["done", "failed", "cancelled"], finished_at__isnull=False),
                name="job_ended_has_moment",
            ),
        ]

    def __str__(self):
        return f"{self.kind} {self.pk}"

    # What others ask and do

    @property
    def ended(self):
        return self.state in self.ENDED

    @property
    def percent(self):
        """This will tell how far it is, 0 to 100."""
        return min(100, 100 * self.done // self.of) if self.of else 0

    @classmethod
    @transaction.atomic
    def enqueue(cls, kind, *, by, **arguments):
        """
        This will ask, in the caller's transaction, for a job of `kind` with `arguments` (JSON).

        `by` owns it, and it runs with the rights that they have then; None stands for the system itself.
        """
        if kind not in kinds():
            raise ValueError(f'There is no job called "{kind}".')
        it = cls.objects.create(kind=kind, owner=by, arguments=arguments)
        it._queue()
        return it

    def cancel(self, *, by):
        """This will end a waiting job, and a running one at its next checkpoint. Raises NotAllowed, Refused."""
        if not Job.objects.visible_to(by).filter(pk=self.pk).exists():
            raise NotAllowed()
        unended = Job.objects.filter(pk=self.pk, finished_at=None)
        with transaction.atomic():
            # In this order: a job claimed in between is waiting no more, and is asked.
            if unended.filter(state=Job.State.WAITING).update(
                state=Job.State.CANCELLED, cancel_requested_at=Now(), finished_at=Now()
            ):
                self._was_broken_off()
            elif not unended.update(cancel_requested_at=Now()):
                raise Refused(_("This has already ended."))
        self.refresh_from_db()

    # What a job's function calls

    def progress(self, done, of=None, note=None):
        """This will tell how far the job is. Costs nothing: the worker's pulse writes it, about twice a second."""
        self.done = done
        self.of = self.of if of is None else of
        self.note = self.note if note is None else str(note)[:200]

    def checkpoint(self):
        """
        This will raise where the job was cancelled or must stop. Call it between transactions, after each chunk.

        On SQLite it pauses, so that others may write: who waits for the lock does not stand in a queue, but asks again
        every few milliseconds (crm.sqlite).
        """
        if self.interruption:
            raise self.interruption
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            self._look_at_others()
            time.sleep(PAUSE)

    @property
    def turn(self):
        """This will give how many seconds the next transaction may take."""
        written = [at for at in self._written if at > time.monotonic() - WINDOW]
        return SHORT_TURN if len(written) >= MANY else TURNS[connection.vendor]

    def sized(self, size, took, *, least, most):
        """This will give how many rows the next transaction takes, where the last took `took` seconds for `size`."""
        return round(min(most, 2 * size, max(least, size * self.turn / max(took, 0.001))))

    @cached_property
    def _written(self):
        """This will hold the last moments at which it was seen that another connection had written."""
        return deque(maxlen=MANY)

    def _look_at_others(self):
        with connection.cursor() as cursor:
            version = cursor.execute("PRAGMA data_version").fetchone()[0]
        if self._version not in (None, version):
            self._written.append(time.monotonic())
        self._version = version

    def keep(self, **facts):
        """
        This will put `facts` (JSON) into the result, where a later attempt finds them. Raises Lost.

        As the last line of a transaction it makes that transaction count once: it commits under this lease or not at
        all. A job that gets on is tried again however often its worker dies.
        """
        self.result = self.result | facts
        self.kept_in = self.attempts
        if not Job.objects.leased(self).update(result=self.result, kept_in=self.kept_in, heartbeat_at=Now()):
            raise Lost

    # What the worker calls

    @property
    def language(self):
        """This will give the owner's language, which the job's sentences are in."""
        return (self.owner and self.owner.language) or Organisation.current().language

    def run(self):
        """This will do the claimed job in its owner's language and time zone, and write down how it ended."""
        with translation.override(self.language):
            begun = time.monotonic()
            try:
                kind = kinds()[self.kind]
                self.deadline = begun + kind.limit.total_seconds()
                own = self.owner and self.owner.time_zone
                zone = ZoneInfo(own) if own else Organisation.current().zone
                with timezone.override(zone), under_way(self):
                    if self.owner and not self.owner.is_active:
                        told = gettext("%(name)s may no longer sign in, so this was not done.")
                        raise Failed(told % {"name": self.owner})
                    result = kind.function(self)
            except Cancelled:
                self._end(Job.State.CANCELLED)
            except Stopping:
                fresh_connection()
                self._try_again("", counted=False)
            except Lost:
                self.state = "lost"  # whoever has it now writes
            except (Failed, Refused) as reason:
                self._end(Job.State.FAILED, error=str(reason))
            except (Exception, TooLong):
                logger.exception("Job %s (%s): attempt %s ended in an error.", self.pk, self.kind, self.attempts)
                fresh_connection()
                self._try_again(gettext("This ended in an unexpected error."))
            else:
                self.result = self.result | (result or {})
                self._end(Job.State.DONE)
        logger.info("Job %s (%s): %s after %.1f s.", self.pk, self.kind, self.state, time.monotonic() - begun)

    def beat(self):
        """This will write heartbeat and progress, and see whether the job was cancelled or lost. For another thread."""
        lease = Job.objects.leased(self)
        asked = lease.values_list("cancel_requested_at", flat=True)
        if not asked:
            self.interruption = self.interruption or Lost()
        elif asked[0]:
            self.interruption = self.interruption or Cancelled()
        with transaction.atomic():
            # Passed over while the job's own transaction holds the row (after `keep`), which is a sign of life as well.
            free = lease.select_for_update(skip_locked=True).values("pk")
            Job.objects.filter(pk__in=free).update(heartbeat_at=Now(), done=self.done, of=self.of, note=self.note)

    def _queue(self, after=None):
        """This will put a ticket into django-tasks' queue, to be drawn at once or `after` a while."""
        ticket = run_job.using(run_after=timezone.now() + after if after else None).enqueue(self.pk)
        Job.objects.filter(pk=self.pk).update(ticket=ticket.id)

    @transaction.atomic
    def _end(self, state, *, error=""):
        """This will write how the job ended, unless it is no longer this worker's."""
        self.state, self.error = state, error
        changes = {"result": self.result} if state == Job.State.DONE else {}
        ended = Job.objects.leased(self).update(
            state=state, error=error, finished_at=Now(), done=self.done, of=self.of, note=self.note, **changes
        )
        if ended and state != Job.State.DONE:
            self._was_broken_off()

    def _was_broken_off(self):
        kind = kinds().get(self.kind)
        if kind is not None and kind.broken is not None:
            kind.broken(self)

    @transaction.atomic
    def _try_again(self, error, *, counted=True):
        """This will make the job wait again; or end it, if it was cancelled meanwhile or this was its last attempt."""
        lease = Job.objects.leased(self)
        if lease.filter(cancel_requested_at__isnull=False).exists():
            self._end(Job.State.CANCELLED)
        elif counted and self.attempts - self.kept_in >= ATTEMPTS:
            told = gettext("It was tried %(attempts)s times. The log says more about it under job %(number)s.")
            self._end(Job.State.FAILED, error=f"{error} {told % {'attempts': ATTEMPTS, 'number': self.pk}}")
        else:
            attempts = self.attempts if counted else self.attempts - 1
            if lease.update(state=Job.State.WAITING, worker="", error=error, attempts=attempts):
                self.state = Job.State.WAITING
                self._queue(PAUSES[max(0, attempts - self.kept_in - 1)] if counted else None)


@task(takes_context=True)
def run_job(context, pk):
    """This will run the job that the ticket names, unless another worker has it."""
    claimed = Job.objects.claim(pk, worker=context.task_result.worker_ids[-1])
    if claimed:
        with within(job=claimed.pk):
            claimed.run()


def run_next(worker):
    """
    This will draw the next ticket that is due and run what it names, and tell whether there was one.

    django-tasks' own loop cannot be used: it has no heartbeat, and its stop waits for the end of the job, however long.
    What a ticket is, who draws it, and how one is run and recorded, is left to it.
    """
    tickets = DBTaskResult.objects.ready()
    if not tickets.exists():  # a plain read first: drawing takes the write lock, which SQLite has only one of
        return False
    with transaction.atomic():
        ticket = tickets.get_locked()
        if ticket:
            ticket.claim(worker)
    if ticket:
        TicketWorker(
            worker_id=worker,
            queue_names=["default"],
            excluded_queue_names=[],
            backend_name="default",
            interval=0,
            batch=True,
            startup_delay=False,
            max_tasks=None,
        ).run_task(ticket)
    return True


def run_waiting():
    """This will run all jobs that wait and are due, here and now, and return how many tickets were drawn. For tests."""
    drawn = 0
    while run_next("here and now"):
        drawn += 1
    return drawn
