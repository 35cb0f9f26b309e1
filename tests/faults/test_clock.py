"""Clocks that jump, differ or stand at odd days: what is due comes once, and a date is the same for everybody."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.utils import timezone

from crm.pulse import WorkerPulse
from notices import delivery
from notices.models import Delivery
from opportunities.models import Opportunity
from tests import factories as make
from tests.crm.live import until
from tests.faults.driver import PATIENCE, Company, Load, settled
from tests.faults.servers import on_postgresql
from tests.faults.test_mails import all_sent
from tests.importing import signed_in
from tests.notices import smtp

BERLIN = ZoneInfo("Europe/Berlin")


# ── Days ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["Pacific/Honolulu", "Pacific/Kiritimati"])
@pytest.mark.parametrize("clock", ["00:30:00", "23:59:59"])
@pytest.mark.parametrize(
    ("day", "said"), [("2028-02-29", "29 Feb 2028"), ("2028-03-01", "1 Mar 2028"), ("2027-12-31", "31 Dec 2027")]
)
def test_a_date_that_somebody_types_is_that_date_for_everybody(zone, clock, day, said):
    rep = make.user(language="en", time_zone=zone)
    reader = make.user(None, "gm", language="en", time_zone="America/New_York")
    with time_machine.travel(datetime.fromisoformat(f"2025-12-31T{clock}+00:00")):
        typed = {"name": "Harbour cranes", "stage": make.stage().pk, "probability": 10, "act": "save"}
        assert signed_in(rep).post("/opportunities/new/", typed | {"expected_close_on": day}).status_code == 302
        made = Opportunity.objects.get()
        assert made.expected_close_on == date.fromisoformat(day)
        made.share(by=rep, people=[reader])
        for person in (rep, reader):
            assert f">{said}<" in signed_in(person).get("/opportunities/").content.decode()
        form = signed_in(rep).get(f"/opportunities/{made.pk}/edit/").context["form"]
        assert form["expected_close_on"].value() == date.fromisoformat(day)


@pytest.mark.django_db
def test_a_day_that_is_none_is_refused_beside_its_field():
    rep = make.user(language="en")
    typed = {"name": "Harbour cranes", "expected_close_on": "2027-02-29", "stage": make.stage().pk, "probability": 10}
    answer = signed_in(rep).post("/opportunities/new/", typed | {"act": "save"})
    assert "Write a date" in str(answer.context["form"].errors["expected_close_on"])
    assert not Opportunity.objects.exists()


# ── Hours that come twice or never ───────────────────────────────────────────────────────────────────────────────────


def while_it_passes(moments, reader):
    """This will have somebody share something with `reader` at each of the moments, and gather; and list what came."""
    owner = make.user()
    for moment in moments:
        with time_machine.travel(moment, tick=False):
            make.opportunity(owner).share(by=owner, people=[reader])
            delivery.gather()
    sent = Delivery.objects.filter(kind="digest", to=reader).order_by("id").values_list("queued_at", flat=True)
    return [timezone.localtime(at, BERLIN).strftime("%m-%d %H:%M") for at in sent]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("first", "mornings"),
    [
        (datetime(2026, 3, 28, 0, 30, tzinfo=UTC), ["03-28 08:30", "03-29 08:30", "03-30 08:30"]),
        (datetime(2026, 10, 24, 0, 30, tzinfo=UTC), ["10-24 08:30", "10-25 08:30", "10-26 08:30"]),
    ],
    ids=["an hour that never is", "an hour that comes twice"],
)
def test_a_daily_digest_comes_once_each_morning_where_the_clocks_are_changed(first, mornings):
    reader = make.user(time_zone="Europe/Berlin", notifications={"work": {"mail": "daily"}})
    assert while_it_passes([first + timedelta(hours=hour) for hour in range(60)], reader) == mornings


@pytest.mark.django_db
def test_a_clock_that_goes_back_an_hour_puts_nothing_into_two_digests():
    reader = make.user(time_zone="Europe/Berlin", notifications={"work": {"mail": "daily"}})
    begun = datetime(2026, 6, 1, 5, 30, tzinfo=UTC)
    forth = [begun + timedelta(minutes=minutes) for minutes in (0, 20, 40)]
    back = [begun + timedelta(minutes=minutes) for minutes in (-20, 0, 20, 40)]
    assert while_it_passes([*forth, *back], reader) == ["06-01 08:10", "06-01 08:10"]
    parts = Delivery.objects.filter(to=reader).exclude(kind="digest")
    assert sorted(len(one.gathered.all()) for one in Delivery.objects.filter(kind="digest")) == [2, 3]
    assert parts.filter(state="digested").count() == 5
    assert parts.filter(state="gathered").count() == 2, "told after eight, so they wait for tomorrow"


@pytest.mark.django_db
def test_a_clock_that_goes_back_an_hour_has_no_mail_sent_twice(settings):
    with smtp.running() as (sink, port):
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        begun = timezone.now()
        owner, reader = make.user(), make.user()
        Delivery.objects.all().delete()
        for minutes in (0, 1, -60, -59, 0, 1):
            with time_machine.travel(begun + timedelta(minutes=minutes), tick=False):
                make.opportunity(owner).share(by=owner, people=[reader])
                delivery.deliver()
    assert set(Delivery.objects.values_list("state", flat=True)) == {"sent"}
    assert len(sink.mails) == len({mail["Message-ID"] for mail in sink.mails}) == Delivery.objects.count() == 6


# ── Clocks that differ ───────────────────────────────────────────────────────────────────────────────────────────────

WORKER = """
import sys
from datetime import UTC, datetime, timedelta
import django, time_machine
django.setup()
from django.core.management import call_command
time_machine.travel(datetime.now(UTC) + timedelta(seconds=int(sys.argv[1])), tick=True).start()
call_command("worker")
"""


@on_postgresql
@pytest.mark.torture
@pytest.mark.timeout(3600)
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("skew", ["+300", "-300"])
def test_workers_whose_clocks_are_five_minutes_off_do_everything_once(product, skew):
    with smtp.running() as (sink, port):
        product.surroundings["EMAIL_URL"] = f"smtp://127.0.0.1:{port}"
        company = Company(product.port, 4)
        product.begin()
        off = [product.begin(command=("-c", WORKER, skew)) for _number in range(2)]
        until(lambda: WorkerPulse.objects.count() == 3, PATIENCE)
        with Load(product, company) as load:
            load.until_more(30)
            load.strike(product.kill_worker)  # the one whose clock is right
            load.until_more(30)
        assert [worker.popen.poll() for worker in off] == [None, None]
        ahead = max(abs(beat - timezone.now()) for beat in WorkerPulse.objects.values_list("beat_at", flat=True))
        assert ahead < timedelta(minutes=2), "they beat by the clock of the database"
        until(all_sent, 8 * 60)
        assert len(sink.mails) == len({mail["Message-ID"] for mail in sink.mails}) == Delivery.objects.count()
    settled(company.ledger)
