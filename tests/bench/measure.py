"""
The figures of one database: pages and writes, each beside its reference, as lines of JSON. `python -m tests.bench`
runs this in a process of its own for each database and each number of rows.
"""

import json
import logging
import sys
import time
from collections import namedtuple
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from statistics import median, quantiles

import django

django.setup()

from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings

from approvals.models import Approval, Task
from crm.models import User
from crm.moments import organisation_month, organisation_today
from opportunities.models import BusinessType, Opportunity, Stage, State
from opportunities.ranking import month_before
from tests.bench import reference
from tests.bench.multiplying import multiply

SEEDED = 100_000  # opportunities whose lives are made up one by one; more are copies of these
ROUNDS = 40
WARM = 5  # rounds that are not counted: the first fill caches and plans
VIEWERS = {"rep": "seed-1-1.rep.1", "gm": "seed-1.gm.1", "manager": "seed.opportunity_manager.1"}

Goal = namedtuple("Goal", ["ratio", "limit", "queries"])  # beyond the limit it is not accepted
PAGES = {
    "list": Goal(2, 4, 12),
    "list-filtered": Goal(2, 4, 12),
    "list-deep": Goal(2, 4, 12),
    "list-totals": Goal(2, 4, 12),
    "board": Goal(2, 4, 12),
    "board-totals": Goal(2, 4, 12),
    "record": Goal(2, 4, 15),
    "home": Goal(3, 4, 15),
    "inbox": Goal(2, 4, 12),
    "search": Goal(2, 4, 12),
    "search-list": Goal(2, 4, 12),
    "ranking": Goal(2, 4, 12),
}
TOTALS = ("list-totals", "board-totals")  # which come after their page, and are compared with bare sums
WRITES = {name: Goal(4, 6, 30) for name in ("create", "report", "decide", "move-stage")}


def main(rows):
    missing = min(rows, SEEDED) - Opportunity.objects.count()
    if missing > 0:
        print(f"Filling a database with {missing:,} opportunities …", file=sys.stderr, flush=True)
        call_command("seed", opportunities=missing, stdout=sys.stderr)
    times = rows // Opportunity.objects.count()
    if times > 1:
        multiply(times, say=partial(print, file=sys.stderr, flush=True))
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:  # as it does by itself in time: an index alone answers after that
                cursor.execute("VACUUM")
    for viewer, username in VIEWERS.items():
        user = User.objects.get(username=username)
        client, bare = clients(user)
        for name, address in addresses(user).items():
            page = partial(client.get, address)
            beside, least = ("bare sums", "/bare/sums/") if name in TOTALS else ("bare list", "/bare/rows/")
            say(
                name,
                PAGES[name],
                beside,
                *side_by_side(partial(bare.get, least), page),
                queries(page),
                viewer,
            )
    for name, (times, asked) in Writer(User.objects.get(username=VIEWERS["rep"])).figures().items():
        say(name, WRITES[name], "bare write", *times, asked, "rep")


def clients(user):
    """This will give (a client of Pursuit, a client of the references), both signed in as `user`."""
    client, bare = Client(), Client()
    client.force_login(user)
    bare.force_login(user)
    with override_settings(MIDDLEWARE=reference.MIDDLEWARE):
        assert bare.get("/bare/rows/").status_code == 200  # the middleware is loaded with the first request, and kept
    assert client.get("/").status_code == 200
    return client, bare


def addresses(user):
    """This will give {name: address} of the pages, each with something on it."""
    visible = Opportunity.objects.visible_to(user)
    one = visible.filter(state=State.ACTIVE).order_by("list_key").first()
    deep = min(200, visible.count() // 50)
    month = month_before(organisation_month())
    return {
        "list": "/opportunities/",
        "list-filtered": "/opportunities/?state=open&business_type=cloud&amount.at_least=200000",
        "list-deep": f"/opportunities/?page={deep}",
        "list-totals": "/opportunities/totals/?state=open",
        "board": "/opportunities/board/",
        "board-totals": "/opportunities/board/totals/",
        "record": f"/opportunities/{one.pk}/",
        "home": "/",
        "inbox": "/tasks/",
        "search": f"/search/?q={one.customer.name[:4]}",
        "search-list": f"/opportunities/?q={one.customer.name[:4]}",
        "ranking": f"/ranking/?month={month:%Y-%m}",
    }


def side_by_side(bare, page):
    """This will call both in turn, and give the seconds that each took, in order."""
    times = [], []
    for number in range(WARM + ROUNDS):
        cache.clear()
        for kept, call in zip(times, (bare, page), strict=True):
            began = time.perf_counter()
            answer = call()
            taken = time.perf_counter() - began
            assert answer.status_code in (200, 302), answer.status_code
            if number >= WARM:
                kept.append(taken)
    return times


def queries(call):
    with CaptureQueriesContext(connection) as captured:
        call()
    return len(captured)


class Writer:
    """Takes opportunities of one rep from draft to proposal, each step beside the reference."""

    def __init__(self, rep):
        self.rep = rep
        self.client, self.bare = clients(rep)
        self.approver_client = Client()
        self.other = Opportunity.objects.filter(owner=rep, customer__owner=rep).select_related("customer").first()
        self.values = {
            "name": "Fibre for the new hall",
            "customer": self.other.customer.name,
            "customer_id": self.other.customer_id,
            "business_type": BusinessType.objects.get(key="cloud").pk,
            "amount": "350000",
            "expected_close_on": organisation_today() + timedelta(days=60),
            "stage": Stage.objects.get(key="first-contact").pk,
            "probability": 10,
            "description": "",
        }
        self.proposal = Stage.objects.get(key="proposal").pk

    def figures(self):
        """This will give {name: ((bare seconds, seconds), queries)}."""
        figures = {name: (([], []), []) for name in WRITES}
        for number in range(WARM + ROUNDS):
            cache.clear()
            for name, step in self.steps():
                began = time.perf_counter()
                assert self.bare.post("/bare/write/", {"pk": self.other.pk}).status_code == 302
                between = time.perf_counter()
                with CaptureQueriesContext(connection) if number == 0 else nullcontext() as captured:
                    answer = step()
                ended = time.perf_counter()
                assert answer.status_code == 302, (name, answer.status_code)
                (bare, own), asked = figures[name]
                if number == 0:
                    asked.append(len(captured))
                elif number >= WARM:
                    bare.append(between - began)
                    own.append(ended - between)
        return {name: (times, asked[0]) for name, (times, asked) in figures.items()}

    def steps(self):
        """This will yield (name, what does it) of one opportunity's way; each is done before the next is asked for."""
        yield "create", lambda: self.client.post("/opportunities/new/", self.values | {"act": "save"})
        made = Opportunity.objects.filter(owner=self.rep).latest("pk")
        address = f"/opportunities/{made.pk}/"
        approver = Approval.plan(made, "report", by=self.rep).candidates[0]
        asked = self.values | {"act": "submit", "approver": approver.pk, "version": made.version}
        yield "report", lambda: self.client.post(f"{address}edit/", asked)
        task = Task.objects.open_about(Opportunity, [made.pk]).get()
        made.refresh_from_db()
        self.approver_client.force_login(approver)
        decision = {"decision": "finish", "comment": "Go on.", "version": made.version}
        yield "decide", lambda: self.approver_client.post(f"/tasks/{task.pk}/", decision)
        made.refresh_from_db()
        moved = {"stage": self.proposal, "version": made.version}
        yield "move-stage", lambda: self.client.post(f"{address}move/", moved)


def say(name, goal, beside, bare, own, asked, viewer):
    line = {
        "name": name,
        "database": connection.vendor,
        "rows": int(sys.argv[1]),
        "viewer": viewer,
        "concurrency": 1,
        "ratio": round(median(own) / median(bare), 2),
        "goal": goal.ratio,
        "limit": goal.limit,
        "reference": beside,
        "p50_ms": round(median(own) * 1000, 1),
        "p95_ms": round(quantiles(own, n=20)[-1] * 1000, 1),
        "queries": asked,
        "queries_limit": goal.queries,
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    with override_settings(ROOT_URLCONF="tests.bench.reference", ALLOWED_HOSTS=["*"]):
        main(int(sys.argv[1]))
