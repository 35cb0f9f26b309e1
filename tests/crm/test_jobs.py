"""Jobs: asked for in a transaction, run with their owner's rights, tried again, cancelled, and never half known."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from crm import schedule
from crm.jobs import Job, Lost, run_waiting
from crm.models import Audit, User
from crm.pulse import WorkerPulse
from crm.schedule import ScheduledRun
from crm.verbs import NotAllowed, Refused
from crm.work import tidy
from tests.crm.chores import work  # noqa: F401  registers the chores

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner():
    return User.objects.create(username="owner", name="Li Wei")


def numbers():
    return [row.data["number"] for row in Audit.objects.filter(kind="counted").order_by("id")]


def hurry():
    """A job that waits for its next attempt needs to wait no longer."""
    DBTaskResult.objects.filter(status="READY").update(run_after=timezone.now())


def silence(job):
    """The worker of `job` said nothing for more than a minute."""
    Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(seconds=61))


def again(job):
    job.refresh_from_db()
    return job


def test_a_job_is_done_and_tells_its_progress_and_result(owner):
    job = Job.enqueue("count", by=owner, to=3)
    assert (job.state, job.ended, job.percent) == ("waiting", False, 0)
    assert run_waiting() == 1
    again(job)
    assert (job.state, job.ended, job.percent, job.note) == ("done", True, 100, "Number 3")
    assert job.result == {"counted": 3, "to": 3}
    assert numbers() == [1, 2, 3]
    assert job.attempts == 1
    assert job.finished_at


def test_a_job_that_was_asked_for_in_a_transaction_that_failed_was_never_asked_for(owner):
    with pytest.raises(RuntimeError), transaction.atomic():
        Job.enqueue("count", by=owner, to=3)
        raise RuntimeError
    assert run_waiting() == 0
    assert not Job.objects.exists()
    assert not DBTaskResult.objects.exists()


def test_a_job_that_nobody_knows_cannot_be_asked_for(owner):
    with pytest.raises(ValueError, match='no job called "sing"'):
        Job.enqueue("sing", by=owner)


def test_a_job_runs_with_the_rights_language_and_time_zone_that_its_owner_has_then(owner):
    job = Job.enqueue("who", by=owner)
    User.objects.filter(pk=owner.pk).update(language="zh-hans", time_zone="Europe/Berlin", is_superuser=True)
    run_waiting()
    assert again(job).result["language"] == "zh-hans"
    assert job.result["time zone"] == "Europe/Berlin"
    assert job.result["superuser"]


@pytest.mark.case(10)
def test_the_job_of_somebody_who_may_no_longer_sign_in_fails_with_a_sentence_and_does_nothing(owner):
    job = Job.enqueue("count", by=owner, to=3)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    run_waiting()
    assert again(job).state == "failed"
    assert job.error == "Li Wei may no longer sign in, so this was not done."
    assert numbers() == []


def test_a_job_of_the_system_needs_no_owner():
    job = Job.enqueue("count", by=None, to=1)
    run_waiting()
    assert again(job).state == "done"


@pytest.mark.parametrize("how", ["failed", "refused"])
def test_a_job_that_refuses_fails_at_once_with_its_sentence_in_the_owner_s_language(owner, how):
    User.objects.filter(pk=owner.pk).update(language="zh-hans")
    job = Job.enqueue("refuse", by=owner, how=how)
    run_waiting()
    hurry()
    assert run_waiting() == 0
    assert (again(job).state, job.error, job.attempts) == ("failed", "这个字段是必填项。", 1)


def test_a_job_that_always_fails_is_tried_five_times_then_parked_with_a_readable_reason_and_the_others_go_on(
    owner, caplog
):
    poison = Job.enqueue("explode", by=owner, secret="hunter2")
    good = Job.enqueue("count", by=owner, to=1)
    for attempt in range(1, 5):
        run_waiting()
        assert (again(poison).state, poison.attempts) == ("waiting", attempt)
        assert poison.error == "This ended in an unexpected error."
        assert run_waiting() == 0, "it waits a while before the next attempt"
        hurry()
    run_waiting()
    hurry()
    assert run_waiting() == 0
    assert (again(poison).state, poison.attempts) == ("failed", 5)
    assert poison.error == (
        f"This ended in an unexpected error. It was tried 5 times. The log says more about it under job {poison.pk}."
    )
    assert "ZeroDivisionError: hunter2" in caplog.text
    assert f"Job {poison.pk} (explode)" in caplog.text
    assert again(good).state == "done"


def test_a_waiting_job_is_cancelled_at_once_and_does_nothing(owner):
    job = Job.enqueue("count", by=owner, to=3)
    job.cancel(by=owner)
    assert job.state == "cancelled"
    run_waiting()
    assert again(job).state == "cancelled"
    assert numbers() == []


def test_a_job_that_has_ended_cannot_be_cancelled_any_more(owner):
    job = Job.enqueue("count", by=owner, to=1)
    run_waiting()
    with pytest.raises(Refused, match="already ended"):
        job.cancel(by=owner)
    assert (again(job).state, job.cancel_requested_at) == ("done", None)


def test_only_its_owner_and_administrators_see_a_job_and_may_cancel_it(owner):
    stranger = User.objects.create(username="stranger")
    administrator = User.objects.create(username="admin", is_superuser=True)
    first, second = (Job.enqueue("count", by=owner, to=3) for _ in range(2))
    assert not Job.objects.visible_to(stranger).exists()
    with pytest.raises(NotAllowed):
        first.cancel(by=stranger)
    assert (again(first).state, first.cancel_requested_at) == ("waiting", None)
    for job, somebody in ((first, owner), (second, administrator)):
        assert set(Job.objects.visible_to(somebody)) == {first, second}
        job.cancel(by=somebody)
        assert again(job).state == "cancelled"


def test_a_job_is_claimed_once(owner):
    job = Job.enqueue("count", by=owner, to=3)
    assert Job.objects.claim(job.pk, worker="one")
    assert Job.objects.claim(job.pk, worker="two") is None
    assert again(job).worker == "one"


def test_the_job_of_a_silent_worker_goes_on_where_it_was_and_the_silent_one_can_write_no_more(owner):
    job = Job.enqueue("count", by=owner, to=3)
    mine = Job.objects.claim(job.pk, worker="one")
    mine.keep(counted=1)
    Job.objects.reap("two")
    assert again(job).state == "running", "a minute is not over"
    silence(job)
    Job.objects.reap("two")
    assert again(job).state == "waiting"
    hurry()
    run_waiting()
    with pytest.raises(Lost), transaction.atomic():
        Audit.note("counted", number=99)
        mine.keep(counted=99)
    mine.beat()
    with pytest.raises(Lost):
        mine.checkpoint()
    mine._end(Job.State.FAILED, error="too late")
    assert (again(job).state, job.error, job.attempts, job.result) == ("done", "", 2, {"counted": 3, "to": 3})
    assert numbers() == [2, 3]


def test_the_fifth_worker_that_a_job_takes_down_is_the_last(owner):
    job = Job.enqueue("count", by=owner, to=3)
    Job.objects.filter(pk=job.pk).update(attempts=4)
    Job.objects.claim(job.pk, worker="five")
    silence(job)
    Job.objects.reap("six")
    assert again(job).state == "failed"
    assert job.error.startswith("The worker stopped while doing this. It was tried 5 times.")


def test_a_cancelled_job_whose_worker_died_is_not_tried_again(owner):
    job = Job.enqueue("count", by=owner, to=3)
    Job.objects.claim(job.pk, worker="one")
    job.cancel(by=owner)
    assert job.state == "running"
    silence(job)
    Job.objects.reap("two")
    assert again(job).state == "cancelled"


def test_a_job_whose_worker_died_with_the_ticket_in_hand_gets_another_ticket(owner):
    job = Job.enqueue("count", by=owner, to=3)
    DBTaskResult.objects.update(status="RUNNING", started_at=timezone.now())
    Job.objects.reap("two")
    assert run_waiting() == 0, "its worker may yet claim it"
    DBTaskResult.objects.update(started_at=timezone.now() - timedelta(seconds=61))
    Job.objects.reap("two")
    assert run_waiting() == 1
    assert again(job).state == "done"


def test_ending_names_are_the_states_and_tidying_takes_away_only_what_is_old(owner):
    old, young, waiting = (Job.enqueue("count", by=owner, to=1) for _ in range(3))
    waiting.ticket_id = DBTaskResult.objects.order_by("enqueued_at").last().pk
    DBTaskResult.objects.filter(pk=waiting.ticket_id).update(run_after=timezone.now() + timedelta(days=1))
    run_waiting()
    Job.objects.filter(pk=old.pk).update(finished_at=timezone.now() - timedelta(days=91))
    DBTaskResult.objects.filter(pk=again(old).ticket_id).update(started_at=timezone.now() - timedelta(days=8))
    WorkerPulse.objects.create(worker="old", beat_at=timezone.now() - timedelta(days=2))
    WorkerPulse.objects.create(worker="young")
    tidy()
    assert set(Job.objects.all()) == {young, waiting}
    assert DBTaskResult.objects.count() == 2
    assert [pulse.worker for pulse in WorkerPulse.objects.all()] == ["young"]


# ── The schedule ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_daily_line_is_due_at_its_hour_of_the_organisation_s_day(settings):
    settings.ORGANISATION_TIME_ZONE = "Asia/Shanghai"
    line = schedule.lines()["dawn"]
    assert line.next_after(datetime(2026, 3, 1, 20, 59, tzinfo=UTC)) == datetime(2026, 3, 1, 21, tzinfo=UTC)
    assert line.next_after(datetime(2026, 3, 1, 21, tzinfo=UTC)) == datetime(2026, 3, 2, 21, tzinfo=UTC)


@pytest.mark.parametrize(("month", "day"), [(3, 29), (10, 25)])
def test_the_daily_line_is_due_once_on_the_days_when_the_clocks_change(settings, month, day):
    settings.ORGANISATION_TIME_ZONE = "Europe/Berlin"
    line = schedule.Line(None, at=datetime(2026, 1, 1, 2, 30).time())
    moment = datetime(2026, month, day - 1, 12, tzinfo=UTC)
    found = []
    while (moment := line.next_after(moment)) < datetime(2026, month, day + 1, 12, tzinfo=UTC):
        found.append(moment)
    assert len(found) == 2
    assert timedelta(hours=22) < found[1] - found[0] < timedelta(hours=26)


def test_two_jobs_and_two_lines_of_the_schedule_cannot_have_one_name():
    with pytest.raises(ValueError, match="tick"):
        schedule.every("tick", seconds=1)(print)


def due(name):
    ScheduledRun.plan()
    ScheduledRun.objects.filter(name=name).update(due_at=timezone.now() - timedelta(minutes=5))
    ScheduledRun.run_due("here")
    return ScheduledRun.objects.get(name=name)


def test_what_is_due_runs_once_and_is_then_due_again_when_its_line_says():
    assert not Audit.objects.filter(kind="tick").exists()
    run = due("tick")
    ScheduledRun.run_due("there")
    assert Audit.objects.filter(kind="tick").count() == 1
    assert timedelta(minutes=59) < run.due_at - timezone.now() <= timedelta(hours=1)
    assert (run.error, run.attempts, run.worker) == ("", 0, "")


def test_a_new_line_waits_for_its_time_and_one_that_now_says_earlier_is_brought_forward():
    ScheduledRun.plan()
    ScheduledRun.run_due("here")
    assert not Audit.objects.filter(kind__in=["tick", "dawn"]).exists()
    ScheduledRun.objects.filter(name="tick").update(due_at=timezone.now() + timedelta(days=30))
    ScheduledRun.plan()
    assert ScheduledRun.objects.get(name="tick").due_at < timezone.now() + timedelta(hours=2)


def test_a_scheduled_run_that_fails_is_tried_again_soon_five_times_and_then_left_until_its_next_time(caplog):
    for attempt in range(1, 5):
        run = due("dusk")
        assert (run.attempts, run.error) == (attempt, "ZeroDivisionError: dark")
        assert run.due_at <= timezone.now() + timedelta(seconds=61)
    run = due("dusk")
    assert run.attempts == 0
    assert run.due_at == schedule.lines()["dusk"].next_after(timezone.now())
    assert Audit.objects.filter(kind="dusk").count() == 5
    assert "ZeroDivisionError: dark" in caplog.text


def test_a_scheduled_run_that_killed_five_workers_is_left_until_its_next_time(caplog):
    ScheduledRun.plan()
    ScheduledRun.objects.filter(name="dawn").update(attempts=5)
    run = due("dawn")
    assert not Audit.objects.filter(kind="dawn").exists()
    assert (run.attempts, run.error) == (0, "RuntimeError: The worker was killed each time.")
    assert run.due_at == schedule.lines()["dawn"].next_after(timezone.now())
