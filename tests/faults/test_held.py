"""A database that is held, gone, cut off or copied at any moment: late is fine, lost or half is not."""

import os
import random
import re
import signal
import subprocess
import threading
import time
from functools import partial

import pytest
from django.db import connection

from crm.importing import ImportRun
from opportunities.models import Opportunity
from tests import factories as make
from tests.crm.live import until
from tests.faults.driver import (
    PATIENCE,
    Company,
    Entry,
    Load,
    Person,
    elsewhere,
    everything_holds,
    in_the_database,
    settled,
)
from tests.faults.servers import Cluster, cut_off, hold, needs_server_programs, on_postgresql, on_sqlite
from tests.importing import checked, signed_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.torture, pytest.mark.timeout(3600)]

SECONDS = int(os.environ.get("FAULT_SECONDS", "300"))  # of work beside an import
ROWS = 100 * SECONDS  # of that import


# ── SQLite: one who keeps all others from writing ────────────────────────────────────────────────────────────────────


@on_sqlite
def test_held_for_three_seconds_everybody_is_late_and_nobody_is_refused(product):
    company = Company(product.port, 6)
    product.begin()
    with Load(product, company, readers=2) as load:
        load.until_more(5)
        load.strike(partial(hold, 3))
        load.until_more(10)
    assert set(company.ledger.answered) == {302}
    settled(company.ledger)


@on_sqlite
def test_held_for_half_a_minute_who_writes_is_told_when_to_try_again_and_who_reads_reads(product):
    company = Company(product.port, 6)
    product.begin()
    seen = []
    with Load(product, company, readers=2) as load:
        load.until_more(5)
        holding = threading.Thread(target=hold, args=[30])
        load.strike(holding.start)
        time.sleep(5)
        while holding.is_alive():
            seen.append(product.health())
            time.sleep(2)
        holding.join()
        load.until_more()
    product.is_well()
    assert company.ledger.answered[503] > 0
    assert set(company.ledger.answered) <= {302, 503, 409, 200}
    assert set(company.ledger.pages) == {200}, "reading goes on"
    assert 503 in seen
    assert None not in seen
    settled(company.ledger)


def test_beside_twenty_writers_five_readers_and_an_import_nobody_hears_of_a_lock(product):
    rep = make.user()
    rows = "".join(f"R{number},Line {number},{number + 1}\n" for number in range(ROWS))
    run = checked(signed_in(rep), "opportunities", "reference,name,amount\n" + rows)
    company = Company(product.port, 20)
    product.begin()
    with Load(product, company, readers=5) as load:
        load.until_more(5)
        load.strike(partial(signed_in(rep).post, f"/imports/{run.pk}/run/"))
        load.strike(lambda: time.sleep(SECONDS))
        until(lambda: ImportRun.objects.get(pk=run.pk).state == "done", 1200)
    assert set(company.ledger.answered) == {302}
    assert set(company.ledger.pages) == {200}
    assert Opportunity.objects.filter(reference__startswith="R").count() == ROWS
    settled(company.ledger)


def test_many_who_count_one_up_lose_nothing(product):
    times = 10
    owner = make.user(language="en")
    opportunity = make.opportunity(owner, amount=0)
    product.begin()
    people = [Person(owner, product.port) for _person in range(20)]
    answers, typed = [], Company(product.port, 0).typed

    def count(person):
        path = f"/opportunities/{opportunity.pk}/edit/"
        done = 0
        while done < times:
            page = person.get(path).page
            [version] = re.findall(r'name="version" value="(\d+)"', page)
            [amount] = re.findall(r'name="amount" value="([\d.,]+)"', page)
            more = {"version": version, "amount": int(float(amount.replace(",", ""))) + 1}
            answer = person.post(path, typed(opportunity.customer, opportunity.name, **more))
            answers.append(answer.status)
            done += answer.status == 302

    threads = [threading.Thread(target=count, args=[person]) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opportunity.refresh_from_db()
    assert opportunity.amount == answers.count(302) == len(people) * times
    assert set(answers) <= {302, 409}


@on_sqlite
def test_what_lies_on_the_disk_at_any_moment_is_a_whole_database(product, tmp_path):
    """All processes stand still while it is copied, as they would where the power fails."""
    company = Company(product.port, 8)
    product.begin()
    taken = []

    def copy():
        os.killpg(product.served.pid, signal.SIGSTOP)
        try:
            with company.ledger.lock:
                done = [Entry(entry.kind, entry.mark, [302]) for entry in company.ledger.entries if entry.done]
            folder = tmp_path / f"image {len(taken)}"
            folder.mkdir()
            for end in ("", "-wal"):
                # By another process: to open and close the file here would let go of what SQLite has locked here.
                copied = ["cp", f"{connection.settings_dict['NAME']}{end}", folder / f"image.sqlite3{end}"]
                subprocess.run(copied, check=True)
            taken.append((folder / "image.sqlite3", done))
        finally:
            os.killpg(product.served.pid, signal.SIGCONT)

    with Load(product, company, readers=1) as load:
        for _image in range(60):
            load.strike(copy)
            time.sleep(0.5)
    settled(company.ledger)
    assert [done for _image, done in taken if done], "something was answered before"
    for image, done in taken:
        with elsewhere(NAME=image):
            found = in_the_database()
            assert [entry for entry in done if found[entry.kind][entry.mark] != 1] == []
            everything_holds()


# ── PostgreSQL: a server that goes and comes ─────────────────────────────────────────────────────────────────────────


@on_postgresql
def test_with_all_connections_cut_off_it_connects_anew_by_itself(product):
    company = Company(product.port, 8)
    product.begin()
    with Load(product, company, readers=2) as load:
        cut = 0
        for _time in range(50):
            cut += len(load.strike(cut_off))
            time.sleep(random.uniform(0, 1))
        load.until_more()
    product.is_well()
    assert cut > 50
    settled(company.ledger)


@pytest.fixture
def cluster(tmp_path):
    """This will run a PostgreSQL of one's own, with the tables of the product in it, and have this process use it."""
    with Cluster() as cluster, elsewhere(**cluster.place):
        cluster.migrate()
        yield cluster


@on_postgresql
@needs_server_programs
def test_while_the_server_is_gone_it_says_so_and_once_it_is_back_it_goes_on(product, cluster):
    company = Company(product.port, 8)
    product.begin()
    seen = []
    with Load(product, company, readers=2) as load:
        for _time in range(3):
            load.until_more(10)
            load.strike(cluster.stop, least=2)
            connection.close()
            gone_until = time.monotonic() + 20
            while time.monotonic() < gone_until:
                seen.append(product.health())
                time.sleep(1)
            cluster.start()
            back_at = time.monotonic()
            until(lambda: Person.get(load.company.desks[0][0], "/").status == 200, PATIENCE)
            load.until_more(5)
            assert time.monotonic() - back_at < 60, "not hung"
    product.is_well()
    assert company.ledger.answered[503] + company.ledger.pages[503] > 0
    assert set(seen) == {503}
    settled(company.ledger)


@on_postgresql
@needs_server_programs
def test_a_server_that_stands_still_is_waited_for(product, cluster):
    company = Company(product.port, 8)
    product.begin()
    with Load(product, company, readers=2) as load:
        load.until_more(10)
        load.strike(partial(cluster.stand_still, 10), least=2)
        load.until_more()
    product.is_well()
    settled(company.ledger)
