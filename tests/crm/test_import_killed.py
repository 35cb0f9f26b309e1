"""An import whose worker is killed, again and again, at any moment: nothing twice, nothing half, and undone as well."""

import random
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from crm.jobs import Job
from crm.models import NumberSequence
from customers.models import Customer
from notices.history import Event
from opportunities.models import Opportunity
from tests import factories as make
from tests.crm.live import processes, until
from tests.crm.test_undo import BOOKS
from tests.digest import digest
from tests.importing import checked, signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def begin(tmp_path):
    with processes(tmp_path) as begin:
        yield begin


def finished(begin, job, kills, chance):
    """
    This will have workers do a job, killing each after a random while, until `kills` were killed while they were at it;
    and give how many were.
    """
    killed = 0
    while not Job.objects.get(pk=job.pk).ended:
        worker = begin("worker")
        until(lambda: Job.objects.get(pk=job.pk).state != "waiting", 150)
        if killed < kills:
            if killed % 2:  # of attempts that do not get on only five are made
                known = Job.objects.get(pk=job.pk).result
                until(lambda known=known: (now := Job.objects.get(pk=job.pk)).result != known or now.ended, 60)
            time.sleep(chance.uniform(0, 0.3))
            worker.kill()
            if Job.objects.get(pk=job.pk).state == "running":
                killed += 1
                Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(seconds=61))
        else:
            until(lambda: Job.objects.get(pk=job.pk).ended, 300)
            worker.kill()
    job = Job.objects.get(pk=job.pk)
    assert job.state == "done", job.error
    return killed


@pytest.mark.parametrize(
    ("rows", "kills"),
    [pytest.param(1_500, 3, id="a few"), pytest.param(10_000, 20, marks=pytest.mark.torture, id="many")],
)
def test_an_import_is_brought_in_and_undone_whole_whenever_its_worker_is_killed(begin, rows, kills):
    seed = random.randrange(10**6)
    chance = random.Random(seed)
    rep = make.user("chen")
    client = signed_in(rep)
    for number in range(20):
        make.customer(rep, name=f"Customer {number}")
    before = digest(besides=BOOKS)
    content = "reference,name,customer,amount\n" + "".join(
        f"R{number},Line {number},Customer {number % 40},{number + 1}\n" for number in range(rows)
    )

    run = checked(client, "opportunities", content, unknown_customer="create")
    client.post(f"/imports/{run.pk}/run/")
    run.refresh_from_db()
    assert finished(begin, run.job, kills, chance) == kills

    run.refresh_from_db()
    assert (run.state, run.new, run.refused) == ("done", rows, 0)
    found = Opportunity.objects.order_by("id").values_list("reference", "name", "customer__name", "amount")
    assert sorted(found) == sorted(
        (f"R{number}", f"Line {number}", f"Customer {number % 40}", number + 1) for number in range(rows)
    )
    assert Customer.objects.count() == 40
    assert Event.objects.filter(kind="created", data={}).count() == rows + 40
    assert NumberSequence.objects.get().last >= rows
    call_command("verify", stdout=StringIO())

    client.post(f"/imports/{run.pk}/undo/")
    run.refresh_from_db()
    finished(begin, run.job, kills, chance)
    run.refresh_from_db()
    assert (run.state, run.batch.entries.filter(state="undone").count()) == ("undone", rows + 20)
    assert digest(besides=BOOKS) == before
    call_command("verify", stdout=StringIO())
    run.discard()  # its file lies where the workers look for it too
