"""
Every address × everybody × every method × plain, htmx and JSON, against a table that was written by hand.

What is refused leaves everything as it was, sends no mail, tells of nothing that its reader may not see, and is done by
somebody else on the very same record, or the refusal would prove nothing. `make sweep` asks all of it; what is asked
every day is what a stranger, a reader and somebody without an account get.
"""

import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from django.urls import resolve

from tests.sweep import table
from tests.sweep import world as b
from tests.sweep.asking import STYLES
from tests.sweep.sweep import SWEPT, Sweep
from tests.test_canary import walk

DAILY = ["ano", "str", "rea"]

# Rows that nobody gets anything by, in their own words.
NOBODY = {
    ("account_logout", "POST"): "it ends on the sign-in page, where everybody refused ends too",
    ("/admin/logout/", "POST"): "the same",
    ("/admin/login/", "GET"): "there is one sign-in page, and it is ours",
    ("/admin/login/", "POST"): "the same",
    ("/admin/nothing/", "GET"): "there is nothing",
    ("/admin/nothing/", "POST"): "there is nothing",
    ("mfa_deactivate_totp", "GET"): "nobody has an app",
    ("mfa_deactivate_totp", "POST"): "the same",
    ("mfa_view_recovery_codes", "GET"): "nobody has recovery codes",
    ("tasks_done_bulk", "GET"): "nothing is done to many of what is done",
    ("tasks_done_bulk", "POST"): "the same",
    ("follow_ups_bulk", "GET"): "nothing is offered to be done to many follow-ups",
    ("follow_ups_bulk", "POST"): "the same",
}
# Pages of Django's administration that take what is sent to them for a page that is looked at: all is as it was.
LOOKED_AT = re.compile(r"/admin/(crm/)?$|/admin/\w+/\w+/(\{\}/history/)?$")

# Whom each kind of canary sings to: what it tells of is on some page of theirs, and on none of anybody else's.
HEARD = """
            ano ina own tea str rea edi rev cur pas els gm  sup man adm sta roo
record      .   .   x   .   .   x   x   .   x   x   .   x   x   x   x   .   x
draft       .   .   x   .   .   x   x   .   .   .   .   .   .   x   x   .   x
customer    .   .   x   .   .   .   .   .   .   .   .   x   x   x   x   .   x
named       .   .   x   .   .   x   x   .   x   x   .   x   x   x   x   .   x
person      .   .   x   .   .   .   .   .   .   .   .   x   x   x   x   .   x
document    .   .   x   x   .   x   x   .   x   x   .   x   x   x   x   .   x
announced   .   .   x   x   .   .   .   .   .   .   .   .   .   x   x   .   x
view        .   .   x   .   .   .   .   .   .   .   .   .   .   .   .   .   .
everyones   .   .   x   x   x   x   x   x   x   x   x   x   x   x   x   x   x
import      .   .   x   .   .   .   .   .   .   .   .   .   .   .   .   .   .
wanted      .   .   x   .   .   .   .   .   .   .   .   .   .   .   .   .   .
deleted     .   .   .   .   .   .   .   .   .   .   .   .   .   .   x   .   x
"""


def heard():
    head, *rows = (line.split() for line in HEARD.strip().splitlines())
    return {who: {kind for kind, *marks in rows if dict(zip(head, marks, strict=True))[who] == "x"} for who in head}


def every_row():
    return table.own() + table.administration()


# ── Every day ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_tables_name_every_pattern_and_nothing_else():
    named = {name for name, route in table.patterns() if not route.startswith("admin/")}
    assert {row.name for row in table.own() if not row.name.startswith("/")} == named
    routes = {route for _name, route in table.patterns() if route.startswith("admin/")}
    written = {row.name.format(1, 1) for row in every_row() if row.name.startswith("/")}
    assert {resolve(path).route for path in written} == routes


def test_nobody_gets_anything_by_what_is_said_to_be_for_nobody_and_by_nothing_else():
    for_nobody = {(row.name, row.method) for row in every_row() if not any(map(row.does, b.ROLES))}
    refused = {(row.name, row.method) for row in table.administration() if {*row.cells.values()} == {"log", 403}}
    looked_at = {(name, method) for name, method in for_nobody if method == "POST" and LOOKED_AT.match(name)}
    assert for_nobody - refused - looked_at == NOBODY.keys()


@pytest.mark.long
@pytest.mark.any_database
@pytest.mark.timeout(1800)  # on a machine that has much else to do
def test_what_a_stranger_a_reader_and_nobody_get_is_what_the_table_says_and_somebody_gets_it(world):
    sweep = Sweep(world, table.own())
    sweep.whole(DAILY, styles=["plain"], wrong_methods=[], head=False)
    sweep.proves(sweep.never_done)
    SWEPT.append(f"every day: {sweep}")
    assert sweep.wrong == []
    assert {(row.name, row.method) for row in sweep.never_done} - not_for_anybody() == set()


def not_for_anybody():
    looked_at = {(row.name, row.method) for row in every_row() if row.method == "POST" and LOOKED_AT.match(row.name)}
    return NOBODY.keys() | looked_at


# ── That it can fail ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.long
@pytest.mark.any_database
def test_a_cell_that_says_something_else_is_found_and_so_is_a_view_that_nobody_guards(world, settings):
    rows = [row for row in table.own() if row.name in ("opportunity_void", "opportunity_comments")]
    right = Sweep(world, rows)
    right.whole(["str", "rea"], styles=["plain"])
    assert right.wrong == []

    flipped = [replace(row, cells=row.cells | {"rea": 403}) if row.method == "GET" else row for row in rows]
    wrong = Sweep(world, flipped)
    wrong.whole(["str", "rea"], styles=["plain"], wrong_methods=[], head=False)
    assert wrong.wrong == ["opportunity_comments active GET plain rea: 200 and not 403 "]

    settings.ROOT_URLCONF = "tests.sweep.unguarded"
    open_door = Sweep(world, rows)
    open_door.whole(["ano", "str"], styles=["plain"], wrong_methods=[], head=False)
    found = "\n".join(open_door.wrong)
    for who, expected in (("ano", "log"), ("str", "404")):
        assert f"opportunity_void draft GET plain {who}: 200 and not {expected}" in found
        assert f"opportunity_void draft POST plain {who}: something was changed" in found
    assert "opportunity_comments" not in found


# ── All of it ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.torture
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("style", STYLES)
def test_everything_is_answered_as_the_table_says_whoever_asks_and_however(world, style):
    world.previews = b.previews(world)
    sweep = Sweep(world, every_row())
    sweep.whole(b.ROLES, styles=[style])

    SWEPT.append(f"{style}: {sweep}")
    assert sweep.wrong == []
    assert sweep.touched == {route for _name, route in table.patterns()}
    assert {(row.name, row.method) for row in sweep.never_done if any(map(row.does, b.ROLES))} == set()
    assert {who: sweep.heard[who] for who in b.ROLES} == heard()


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_a_header_that_asks_for_another_method_is_not_heard(world):
    sweep = Sweep(world, table.own())
    sweep.whole(["own", "adm"], styles=["override"], wrong_methods=[], head=False)
    assert sweep.wrong == []


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_nothing_that_is_linked_to_leads_past_the_tables(world, client):
    known = {route for _name, route in table.patterns()}
    for who in ("own", "gm", "man", "adm"):
        client.force_login(getattr(world, who))
        for address in walk(client, "zq", "/", "/opportunities/", f"/opportunities/{world.active.pk}/", "/people/"):
            assert resolve(urlsplit(address).path).route in known, address
