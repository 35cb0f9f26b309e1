"""
The figures of an import: a workbook of opportunities through upload, match, check and import, beside reading the same
file and one plain `bulk_create`; beside a tenth of it, before and after, since machines grow slower and faster; and how
long others wait meanwhile for what they save, beside a quiet while. As lines of JSON. `python -m tests.bench` runs this
on databases that hold nothing else.
"""

import json
import logging
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from statistics import median, quantiles

import django

django.setup()

from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import setup_test_environment
from openpyxl import Workbook
from python_calamine import CalamineWorkbook

from crm.jobs import run_waiting
from crm.models import User
from customers.models import Customer
from opportunities.models import Opportunity, Stage
from tests.bench.measure import Goal
from tests.importing import checked, signed_in

ROWS = int(sys.argv[1])
CUSTOMERS = 1_000
GOAL = Goal(4, 4, 0)  # queries are not counted: their number is that of the chunks
LINEAR = Goal(12, 12, 0)
OTHERS = Goal(3, 3, 0)
HEADS = ["Opportunity name", "Customer", "Amount", "Expected close date", "Reference"]


def main():
    call_command("seed", opportunities=10, stdout=sys.stderr)
    rep = User.objects.get(username="seed-1-1.rep.1")
    other = User.objects.filter(department__isnull=False).exclude(pk=rep.pk).first()
    Customer.create_all([Customer(name=f"Customer {number:04}") for number in range(CUSTOMERS)], by=rep)
    Customer(name="One of somebody else").create(by=other)
    content = workbook(ROWS)
    plain = median(timed(lambda: bare(content, rep, ROWS)) for _time in range(3))
    before, own, after = (imported(rep, rows) for rows in (ROWS // 10, ROWS, ROWS // 10))
    say(f"import-{ROWS // 1000}k", "calamine read + one bulk_create", GOAL, plain, own)
    say("import-linear", "a tenth of the rows", LINEAR, (before + after) / 2, own)
    content = workbook(ROWS // 5)
    with others(other) as quiet:
        time.sleep(10)
    with others(other) as busy:
        list(whole(content, rep, ROWS // 5))
    say("saves-during-import", "quiet saves, p95", OTHERS, p95(quiet), p95(busy))


def imported(rep, rows):
    """This will give the seconds that so many new rows take."""
    content = workbook(rows)
    took = timed(lambda: whole(content, rep, rows))
    assert Opportunity.objects.filter(reference__startswith="R").count() == rows
    Opportunity.objects.filter(reference__startswith="R").update(reference="", name="Gone by")
    return took


@contextmanager
def others(user):
    """This will have somebody save without end meanwhile, and give a list that holds then the seconds each took."""
    took = []
    with tempfile.TemporaryDirectory() as folder:
        stop, kept = Path(folder) / "stop", Path(folder) / "kept"
        saving = subprocess.Popen([sys.executable, "-m", "tests.bench.saving", user.username, str(stop), str(kept)])
        time.sleep(4)  # it begins
        yield took
        stop.touch()
        assert saving.wait() == 0
        took += map(float, kept.read_text().split())


def p95(seconds):
    return quantiles(seconds, n=20)[-1]


def workbook(rows):
    """This will write a file of so many rows, and give its bytes."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(HEADS)
    for number in range(rows):
        closes = date(2027, 1, 1) + timedelta(days=number % 300)
        amount = 1000 + 7 * (number % 9000)
        sheet.append([f"Line {number}", f"Customer {number % CUSTOMERS:04}", amount, closes, f"R{number}"])
    kept = BytesIO()
    book.save(kept)
    return kept.getvalue()


def bare(content, rep, count):
    """This will read the file and write its rows, the way of a script that looks at nothing twice."""
    _heads, *rows = CalamineWorkbook.from_filelike(BytesIO(content)).get_sheet_by_index(0).to_python()
    customers = {customer.name: customer.pk for customer in Customer.objects.all()}
    stage = Stage.objects.get(key="first-contact")
    place = {f"{name}_id": getattr(rep.department, f"{name}_id") for name in ("province", "city")}
    with transaction.atomic():
        made = Opportunity.objects.bulk_create(
            Opportunity(
                number=reference,
                name=name,
                customer_id=customers[customer],
                amount=Decimal(amount),
                base_cents=int(amount) * 100,
                expected_close_on=closes,
                stage=stage,
                probability=stage.probability,
                owner=rep,
                created_by=rep,
                department=rep.department,
                **place,
            )
            for name, customer, amount, closes, reference in rows
        )
    assert len(made) == count
    yield
    Opportunity.objects.filter(number__startswith="R").delete()


def whole(content, rep, count):
    """This will bring the file in as a person does, the worker's part included."""
    client = signed_in(rep)
    run = checked(client, "opportunities", content, name="opportunities.xlsx")
    assert (run.new, run.refused) == (count, 0)
    client.post(f"/imports/{run.pk}/run/")
    run_waiting()
    yield


def timed(step):
    """This will give the seconds that the generator `step` takes as far as its yield, and let it tidy up."""
    began = time.perf_counter()
    doing = step()
    next(doing)
    taken = time.perf_counter() - began
    list(doing)
    return taken


def say(name, reference, goal, plain, own):
    line = {
        "name": name,
        "database": connection.vendor,
        "rows": ROWS,
        "viewer": "rep",
        "concurrency": 1,
        "ratio": round(own / plain, 2),
        "goal": goal.ratio,
        "limit": goal.limit,
        "reference": reference,
        "p50_ms": round(own * 1000, 1),
        "p95_ms": round(own * 1000, 1),
        "queries": 0,
        "queries_limit": 0,
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    setup_test_environment()  # the pages are walked as tests walk them, by what they show
    main()
