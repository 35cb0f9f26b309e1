"""Workers as real processes: killed, stopped, two at once, in trouble. No job is lost, none is done twice."""

import signal
import sqlite3
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from crm.jobs import Job
from crm.models import Audit, User
from crm.pulse import WorkerPulse
from crm.schedule import ScheduledRun
from tests.crm.chores import work  # noqa: F401  registers the chores
from tests.crm.live import processes, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def begin(tmp_path):
    with processes(tmp_path) as begin:
        yield begin


@pytest.fixture
def owner():
    return User.objects.create(username="owner", name="Li Wei")


def numbers(job):
    return [
        row.data["number"] for row in Audit.objects.filter(kind="counted").order_by("id") if row.data["job"] == job.pk
    ]


def again(job):
    job.refresh_from_db()
    return job


def a_minute_later(job):
    """Nobody waits a minute here: the heartbeat is made older instead."""
    Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(seconds=61))


def test_the_job_of_a_killed_worker_is_finished_by_another_and_each_of_its_steps_is_done_once(begin, owner):
    job = Job.enqueue("count", by=owner, to=8, seconds=0.1)
    first = begin("worker")
    until(lambda: len(numbers(job)) >= 3)
    first.kill()
    assert again(job).state == "running"
    before = len(numbers(job))
    assert 3 <= before < 8
    begin("worker")
    a_minute_later(job)
    until(lambda: again(job).ended)
    assert (job.state, job.attempts, job.percent) == ("done", 2, 100)
    assert numbers(job) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_worker_that_is_told_to_stop_puts_its_job_back_and_the_next_goes_on_with_it(begin, owner):
    job = Job.enqueue("count", by=owner, to=20, seconds=0.1)
    first = begin("worker")
    until(lambda: len(numbers(job)) >= 2)
    assert WorkerPulse.any_alive()
    assert first.stop() == 0
    assert (again(job).state, job.attempts, job.error) == ("waiting", 0, ""), "a stop is nobody's failure"
    assert not WorkerPulse.objects.exists()
    assert 2 <= len(numbers(job)) < 20
    Job.objects.filter(pk=job.pk).update(arguments={"to": 20})
    begin("worker")
    until(lambda: again(job).ended)
    assert (job.state, job.attempts) == ("done", 1)
    assert numbers(job) == list(range(1, 21))


def test_two_workers_share_the_jobs_and_the_schedule_and_do_everything_once(begin, owner):
    jobs = [Job.enqueue("count", by=owner, to=3, seconds=0.05) for _ in range(12)]
    yesterday = timezone.now() - timedelta(days=1)
    for name in ("dawn", "tick"):
        ScheduledRun.objects.create(name=name, due_at=yesterday)
    workers = [begin("worker"), begin("worker")]
    until(lambda: all(again(job).ended for job in jobs), seconds=30)
    until(lambda: ScheduledRun.objects.filter(name__in=["dawn", "tick"], finished_at__isnull=False).count() == 2)
    assert [(job.state, job.attempts, numbers(job)) for job in jobs] == [("done", 1, [1, 2, 3])] * 12
    assert Audit.objects.filter(kind="dawn").count() == 1
    assert Audit.objects.filter(kind="tick").count() == 1
    both = {name for ticket in DBTaskResult.objects.all() for name in ticket.worker_ids}
    assert {name.split(":")[1] for name in both} == {str(worker.pid) for worker in workers}, "both had some"


def test_a_running_job_shows_how_far_it_is_and_ends_where_it_is_when_it_is_cancelled(begin, owner):
    job = Job.enqueue("count", by=owner, to=1000, seconds=0.05)
    begin("worker")
    until(lambda: again(job).done > 1)
    assert (job.state, job.of, job.note) == ("running", 1000, f"Number {job.done}")
    job.cancel(by=owner)
    assert job.state == "running"
    until(lambda: again(job).ended, seconds=5)
    assert job.state == "cancelled"
    assert numbers(job) == list(range(1, job.result["counted"] + 1))
    assert len(numbers(job)) < 200


def test_a_job_that_takes_its_worker_down_is_parked_after_the_fifth_time_and_the_next_worker_goes_on(begin, owner):
    poison = Job.enqueue("kill", by=owner)
    good = Job.enqueue("count", by=owner, to=1)
    Job.objects.filter(pk=poison.pk).update(attempts=4)
    first = begin("worker")
    until(lambda: first.ended)
    assert first.process.exitcode == -signal.SIGKILL
    begin("worker")
    a_minute_later(poison)
    until(lambda: again(poison).ended and again(good).ended)
    assert (poison.state, good.state) == ("failed", "done")
    assert poison.error.startswith("The worker stopped while doing this. It was tried 5 times.")


def test_a_job_that_overstays_is_broken_off(begin, owner):
    job = Job.enqueue("hasty", by=owner)
    process = begin("worker")
    until(lambda: again(job).error)
    assert (job.state, job.attempts, job.error) == ("waiting", 1, "This ended in an unexpected error.")
    assert "TooLong" in process.output


def test_a_scheduled_run_whose_worker_was_killed_is_taken_up_by_the_next(begin):
    ScheduledRun.objects.create(name="dawn", due_at=timezone.now() - timedelta(days=1))
    first = begin("worker")
    until(lambda: Audit.objects.filter(kind="dawn").count() == 1)
    first.kill()
    run = ScheduledRun.objects.get(name="dawn")
    assert run.worker
    assert run.finished_at is None
    assert timedelta(0) < run.due_at - timezone.now() < timedelta(seconds=61)
    begin("worker")
    ScheduledRun.objects.filter(name="dawn").update(due_at=timezone.now() - timedelta(seconds=1))
    until(lambda: ScheduledRun.objects.get(name="dawn").finished_at)
    assert Audit.objects.filter(kind="dawn").count() == 2


def disturb_the_database():
    """SQLite: somebody holds it for two seconds. PostgreSQL: every connection but the test's is cut."""
    if connection.vendor == "sqlite":
        other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        time.sleep(2)
        other.execute("ROLLBACK")
        other.close()
    else:
        with connection.cursor() as cursor:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            cursor.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
            assert cursor.fetchall()


def test_a_worker_outlives_trouble_with_its_database_and_its_job_is_still_done_once(begin, owner):
    job = Job.enqueue("count", by=owner, to=30, seconds=0.05)
    process = begin("worker")
    until(lambda: again(job).done > 1)
    disturb_the_database()
    until(lambda: again(job).ended)
    assert job.state == "done"
    assert numbers(job) == list(range(1, 31))
    assert not process.ended


@pytest.mark.torture
def test_a_worker_whose_job_hears_nothing_still_stops_within_half_a_minute(begin, owner):
    job = Job.enqueue("deaf", by=owner)
    process = begin("worker")
    until(lambda: Audit.objects.filter(kind="deaf").exists())
    assert process.stop(30) == 0
    assert (again(job).state, job.attempts) == ("waiting", 0)
