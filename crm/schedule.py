"""
What runs by itself, every so often or daily: each line of the schedule by one worker at a time, however many there are.

`due_at` is both plan and lease. Whoever moves it from the past into the future by a conditional update has the run;
while it lasts, the worker's pulse keeps moving it ahead; a killed worker does not, so the run soon falls due again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from django.db import models
from django.db.models.functions import Now
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

from crm.logs import within
from crm.organisation import Organisation
from crm.pulse import SILENCE, fresh_connection, under_way

logger = logging.getLogger(__name__)

ATTEMPTS = 5  # a run that fails is tried again so often, then left until it is due next
RETRY = timedelta(seconds=60)


@dataclass(frozen=True)
class Line:
    """One line of the schedule: a function without arguments, and when it runs."""

    function: Callable
    pause: timedelta | None = None
    at: time | None = None

    def next_after(self, moment):
        """This will give the moment of the run that follows `moment`, both in UTC."""
        if self.pause:
            return moment + self.pause
        zone = Organisation.current().zone
        today = moment.astimezone(zone).date()
        moments = (datetime.combine(day, self.at, tzinfo=zone) for day in (today, today + timedelta(days=1)))
        # Compared in UTC: within one zone Python compares the clock's hands, and those go back in autumn.
        return next(due for due in (at.astimezone(UTC) for at in moments) if due > moment)


_lines: dict[str, Line] = {}


def _register(name, **when):
    def decorate(function):
        if name in _lines:
            raise ValueError(f'Two lines of the schedule are called "{name}".')
        _lines[name] = Line(function, **when)
        return function

    return decorate


def every(name, *, seconds):
    """This will run the decorated function under `name`, each time so many seconds after it last began."""
    return _register(name, pause=timedelta(seconds=seconds))


def daily(name, *, at):
    """This will run the decorated function each day at `at` ("08:00") of the organisation's time, under `name`."""
    return _register(name, at=time.fromisoformat(at))


def lines():
    """This will give every line of the schedule by its name."""
    autodiscover_modules("work")
    return _lines


class ScheduledRun(models.Model):
    """A line of the schedule as the workers share it: when it is due, who has it, how the last run went."""

    name = models.CharField(_("name"), max_length=60, primary_key=True)
    due_at = models.DateTimeField(_("due at"))
    worker = models.CharField(_("worker"), max_length=64, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    started_at = models.DateTimeField(_("started at"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)
    error = models.TextField(_("what went wrong"), blank=True)

    class Meta:
        verbose_name = _("scheduled run")
        verbose_name_plural = _("scheduled runs")
        ordering = ["name"]

    def __str__(self):
        return self.name

    @classmethod
    def plan(cls):
        """This will give each line of the schedule its row, and bring those forward whose line now says earlier."""
        for name in lines():
            cls.objects.get_or_create(name=name, defaults={"due_at": datetime.max.replace(tzinfo=UTC)})
        for name, now in cls.objects.filter(name__in=lines()).values_list("name", Now()):
            following = lines()[name].next_after(now)
            cls.objects.filter(name=name, worker="", due_at__gt=following).update(due_at=following)

    @classmethod
    def run_due(cls, worker):
        """This will run, one after the other, the lines that are due and that nobody else has."""
        for run in cls.objects.filter(name__in=lines(), due_at__lte=Now()).order_by("due_at"):
            if run._claim(worker):
                run._run()

    def _claim(self, worker):
        self.worker = worker
        return (
            type(self)
            .objects.filter(pk=self.pk, due_at__lte=Now())
            .update(due_at=Now() + SILENCE, worker=worker, attempts=models.F("attempts") + 1, started_at=Now())
        )

    def _mine(self):
        return type(self).objects.filter(pk=self.pk, worker=self.worker)

    def beat(self):
        """This will keep others from taking the run over. For another thread."""
        self._mine().update(due_at=Now() + SILENCE)

    def _run(self):
        line = lines()[self.name]
        attempts, now = self._mine().values_list("attempts", Now()).get()
        error = ""
        try:
            if attempts > ATTEMPTS:
                raise RuntimeError("The worker was killed each time.")
            with within(schedule=self.name), under_way(self):
                line.function()
        except Exception as reason:
            logger.exception("Schedule: %s ended in an error.", self.name)
            fresh_connection()
            error = f"{type(reason).__name__}: {reason}"
        again = error and attempts < ATTEMPTS
        following = line.next_after(now)
        self._mine().update(
            due_at=min(following, now + RETRY) if again else following,
            attempts=attempts if again else 0,
            worker="",
            finished_at=Now(),
            error=error,
        )
