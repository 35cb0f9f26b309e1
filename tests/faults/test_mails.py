"""Mails while workers are killed, many work at once, or the mail server does not do its part: each once, none lost."""

import random
import socket
import time
from collections import Counter
from functools import partial

import pytest
from django.utils import timezone

from crm.jobs import Job
from crm.pulse import WorkerPulse
from crm.schedule import ScheduledRun
from notices import delivery
from notices.models import Delivery
from tests import factories as make
from tests.crm.chores import work  # noqa: F401  registers the chores
from tests.crm.live import processes, until
from tests.crm.test_worker import numbers
from tests.faults.driver import PATIENCE, Company, Load, settled
from tests.notices import smtp
from tests.notices.test_deliver import is_due, server, shared_with, states  # noqa: F401  the first is a fixture

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(3600)]

MAILS = 200


@pytest.fixture
def sink(product):
    with smtp.running() as (sink, port):
        product.surroundings["EMAIL_URL"] = f"smtp://127.0.0.1:{port}"
        yield sink


def to_many():
    """This will have so many mails wait."""
    shared_with(*(make.user() for _number in range(MAILS)))
    assert Delivery.objects.filter(state="queued").count() == MAILS


def all_sent():
    return not Delivery.objects.exclude(state="sent").exists()


def sent_once(sink, *, kills=0):
    """This will see that each got theirs, and that no more came twice than were killed, under the same id."""
    ids = {}
    for mail in sink.mails:
        ids.setdefault(mail["To"], []).append(mail["Message-ID"])
    assert len(ids) == MAILS
    assert all(len(set(one)) == 1 for one in ids.values())
    assert len({one[0] for one in ids.values()}) == MAILS
    twice = sum(len(one) - 1 for one in ids.values())
    assert twice <= kills, twice


@pytest.mark.torture
def test_of_many_mails_none_is_lost_however_often_the_worker_is_killed(product, sink):
    to_many()
    kills = 0

    def kill(worker):
        nonlocal kills
        assert Delivery.objects.filter(state="queued").exists(), "nothing was under way"
        worker.popen.kill()
        worker.popen.wait()
        kills += 1
        sink.release()
        ScheduledRun.objects.update(due_at=timezone.now())  # nobody waits a minute for the lease here

    for number in (20, 80, 80):  # taken, and not answered for: at 10, 50 and 90 of a hundred
        sink.hold_another(number)
        worker = product.worker()
        assert sink.holds.wait(PATIENCE)
        kill(worker)
    Delivery.objects.filter(state="sent").update(state="queued", due_at=timezone.now(), attempts=0)
    sink.mails.clear()
    kills = 0
    for _kill in range(20):
        there = len(sink.mails)
        worker = product.worker()
        until(lambda there=there: len(sink.mails) > there, PATIENCE)
        time.sleep(random.uniform(0, 0.1))
        kill(worker)
    assert kills == 20
    product.worker()
    until(all_sent, 2 * 60)  # and nobody helps
    sent_once(sink, kills=kills)


@pytest.mark.torture
@pytest.mark.parametrize("workers", [2, 5])
def test_several_workers_send_each_mail_once_and_do_each_job_once(tmp_path, product, sink, workers):
    to_many()
    lines = ScheduledRun.objects.filter(name__in=["tidy", "sweep_files", "empty_recycle_bin"])
    for _number in range(workers):
        product.worker()
    until(lambda: WorkerPulse.objects.count() == workers, PATIENCE)
    until(lambda: lines.count() == 3, PATIENCE)  # a worker gives signs of life before it has planned
    lines.update(due_at=timezone.now())
    until(all_sent, PATIENCE)
    until(lambda: lines.filter(finished_at__isnull=False, worker="").count() == 3, PATIENCE)
    sent_once(sink)
    assert set(lines.values_list("error", flat=True)) == {""}
    product.end()
    owner = make.user()
    jobs = [Job.enqueue("count", by=owner, to=3, seconds=0.02) for _number in range(40)]
    with processes(tmp_path) as begin:
        for _number in range(workers):
            begin("worker")
        until(lambda: not Job.objects.filter(state__in=["waiting", "running"]).exists(), PATIENCE)
        assert [(job.state, job.attempts) for job in Job.objects.all()] == [("done", 1)] * 40
        assert [numbers(job) for job in jobs] == [[1, 2, 3]] * 40


@pytest.mark.torture
def test_a_mail_server_that_says_nothing_holds_nobody_up_and_gets_everything_once_it_speaks(product):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        product.surroundings["EMAIL_URL"] = f"smtp://127.0.0.1:{port}"
        company = Company(product.port, 6)
        product.begin()
        with Load(product, company, readers=2) as load:
            load.until_more(10)
            put_off = Delivery.objects.filter(state="queued").exclude(error="")
            load.strike(partial(until, put_off.exists, PATIENCE))
            load.until_more(10)
        assert set(company.ledger.answered) == {302}
        assert set(company.ledger.pages) == {200}
        assert product.health() == 200
        assert not Delivery.objects.filter(state="sent").exists()
    with smtp.running(port) as (sink, _port):
        is_due()
        until(all_sent, 2 * PATIENCE)
        wanted = Counter(Delivery.objects.values_list("to__email", flat=True))
        assert Counter(mail["To"] for mail in sink.mails) == wanted
        assert len({mail["Message-ID"] for mail in sink.mails}) == len(sink.mails)
    settled(company.ledger)


def test_a_mail_server_without_the_encryption_that_is_asked_for_gets_nothing(server, settings):  # noqa: F811  a fixture
    settings.EMAIL_USE_TLS = True
    shared_with(make.user(name="Sun Qi"))
    delivery.deliver()
    assert server.mails == []
    assert states() == {"Sun Qi": "queued"}
    assert "STARTTLS" in Delivery.objects.get().error
    settings.EMAIL_USE_TLS = False
    is_due()
    delivery.deliver()
    assert (len(server.mails), states()) == (1, {"Sun Qi": "sent"})
