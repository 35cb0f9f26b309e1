"""
What programs that watch Pursuit are told at /metrics, in the format of Prometheus: whoever knows METRICS_TOKEN is told.

Each web process counts what it answers in files of its own; whichever is asked adds up those of all. What waits is read
in the database, so it is the same whoever is asked. docs/monitoring.md says what to make of it.
"""

import platform
from contextlib import suppress
from http import HTTPStatus

import django
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.db import connection
from django.db.models import Count, F, Max, Min
from django.db.models.functions import Now
from django.http import HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from crm import jobs
from crm.health import Probe
from crm.jobs import Job
from crm.pulse import SILENCE, WorkerPulse
from crm.schedule import ScheduledRun
from notices.models import Delivery

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}  # any other is "other": there is no end of them
SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
LATEST = 5_000  # jobs, and mails, among which those that failed are counted: all that ever were would be too many

requests = Histogram(
    "pursuit_request_seconds",
    "How long requests took until they were answered.",
    ["route", "method", "status"],
    registry=None,
    buckets=SECONDS,
)
queries = Counter("pursuit_queries", "Queries of the database, by whose request they were.", ["route"], registry=None)
query_seconds = Counter("pursuit_query_seconds", "How long these took.", ["route"], registry=None)


def metrics(get_response):
    """This will answer /metrics, before sessions and sign-in are looked at, and count all other requests."""
    if not settings.METRICS_TOKEN:
        raise MiddlewareNotUsed

    def answer(request):
        if request.path_info == "/metrics":
            return scraped(request)
        response = get_response(request)
        with suppress(OSError):  # that it cannot be counted is no reason not to answer
            count(request, response)
        return response

    return answer


def count(request, response):
    """This will count a request that was answered. What it is counted by is bounded: the names of routes, no paths."""
    route = request.resolver_match.view_name if request.resolver_match else "none"
    method = request.method if request.method in METHODS else "other"
    requests.labels(route, method, f"{response.status_code // 100}xx").observe(request.cost.seconds)
    queries.labels(route).inc(request.cost.queries)
    query_seconds.labels(route).inc(request.cost.query_seconds)


@require_safe
@never_cache
def scraped(request):
    """All figures; 401 for whoever does not bring the token."""
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not constant_time_compare(token, settings.METRICS_TOKEN):
        return HttpResponse(status=HTTPStatus.UNAUTHORIZED, headers={"WWW-Authenticate": "Bearer"})
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    registry.register(Standing())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class Standing:
    """How it stands with database, worker, jobs and mails."""

    def collect(self):
        """This will yield the figures as prometheus_client wants them; of a database that is away, that it is."""
        built = {"python": platform.python_version(), "django": django.__version__, "database": connection.vendor}
        yield _gauge("pursuit_build", "What Pursuit runs on.", [([*built.values()], 1)], [*built])
        seen = probe.answer()
        whole = "pursuit_schedule_failing" in seen
        yield _gauge("pursuit_database_up", "1 while the database answers.", [([], int(whole))])
        for name, (said, figures, *by) in seen.items():
            yield _gauge(name, said, figures, by)


def _gauge(name, said, figures, by=()):
    family = GaugeMetricFamily(name, said, labels=by)
    for values, figure in figures:
        family.add_metric(values, figure)
    return family


def look(seen):
    """This will write into `seen` {name: (what it says, [(values of labels, figure)], the labels …)}."""
    for part in (_jobs, _mails, _workers, _schedule):
        seen.update(part())


def _jobs():
    kinds = sorted(jobs.kinds())
    unended = Job.objects.filter(finished_at=None, state__in=["waiting", "running"]).order_by()
    found = unended.values_list("kind", "state").annotate(count=Count("*"), oldest=Max(Now() - F("created_at")))
    there = {(kind, state): (count, oldest.total_seconds()) for kind, state, count, oldest in found}
    failed = dict(_latest(Job).filter(state="failed").values_list("kind").annotate(count=Count("*")))
    both = [(kind, state) for kind in kinds for state in ("waiting", "running")]
    return {
        "pursuit_jobs": (
            "Jobs that wait or run.",
            [(of, there.get(of, (0, 0))[0]) for of in both],
            "kind",
            "state",
        ),
        "pursuit_jobs_oldest_seconds": (
            "How long ago the oldest job that waits was asked for.",
            [([kind], there.get((kind, "waiting"), (0, 0))[1]) for kind in kinds],
            "kind",
        ),
        "pursuit_jobs_failed": (
            f"Jobs that failed, of the latest {LATEST}.",
            [([kind], failed.get(kind, 0)) for kind in kinds],
            "kind",
        ),
    }


def _mails():
    queued = Delivery.objects.filter(state="queued").order_by()
    waiting = queued.aggregate(count=Count("*"), oldest=Max(Now() - F("queued_at")))
    failed = _latest(Delivery).filter(state="failed").count()
    return {
        "pursuit_mails_waiting": ("Mails that wait to be sent.", [([], waiting["count"])]),
        "pursuit_mails_oldest_seconds": ("How long the oldest of them waits.", [([], _seconds(waiting["oldest"]))]),
        "pursuit_mails_failed": (f"Mails that could not be sent, of the latest {LATEST}.", [([], failed)]),
    }


def _workers():
    alive = WorkerPulse.objects.filter(beat_at__gt=Now() - SILENCE).order_by()
    there = alive.aggregate(count=Count("*"), beat=Min(Now() - F("beat_at")))
    figures = {"pursuit_workers": ("Workers that live.", [([], there["count"])])}
    if there["count"]:
        said = "Seconds since a worker last gave a sign of life; it does every five."
        figures["pursuit_worker_heartbeat_seconds"] = (said, [([], _seconds(there["beat"]))])
    return figures


def _schedule():
    runs = ScheduledRun.objects.values_list("name", "error")
    said = "1 for a line of the schedule whose last run ended in an error."
    return {"pursuit_schedule_failing": (said, [([name], int(bool(error))) for name, error in runs], "line")}


def _seconds(duration):
    return duration.total_seconds() if duration else 0


def _latest(model):
    """This will narrow to the latest rows of a table, by its key."""
    last = model.objects.aggregate(last=Max("pk"))["last"] or 0
    return model.objects.filter(pk__gt=last - LATEST).order_by()


probe = Probe(look, unseen={})
