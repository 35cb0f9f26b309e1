"""
What somebody could do until a moment ago, asked once more with the session that they had then.

A share ends, a role is taken away, an account is closed: each of these people then stands in the very column of the
table in which somebody stands who never had it.
"""

from dataclasses import replace

import pytest

from crm import people
from crm.models import Role
from tests.sweep import table
from tests.sweep.asking import Asker
from tests.sweep.sweep import Sweep, rolled_back
from tests.sweep.world import previews

BECOMES = {"rea": "rev", "edi": "rev", "gm": "str", "sup": "str", "adm": "str", "man": "ina"}
OPPORTUNITIES = ["draft", "reporting", "returned", "active", "signing", "dropping", "terminating", "signed", "void"]
# Of these it depends on how much somebody sees whether a file is made at once: then there is one of nothing.
DAILY = ("opportunity", "opportunity_edit", "customer", "file", "files_of", "task", "person", "announcement_edit")


def take_away(world):
    """This will end the shares, take the roles away, and close an account; everybody stays signed in."""
    for name in OPPORTUNITIES:
        for person in (world.rea, world.edi):
            getattr(world, name).unshare(by=world.own, person=person)
    rep = Role.objects.get(key="rep")
    for person in (world.gm, world.sup, world.adm):
        kept = {name: getattr(person, name) for name in ("name", "title", "email", "phone", "department")}
        people.change(person, roles=[rep], by=world.roo, **kept)
    people.deactivate(world.man, by=world.roo)


def moved(rows):
    """This will put into each of those columns what stands in that which it becomes."""
    return [replace(row, cells=row.cells | {who: row.cells[was] for who, was in BECOMES.items()}) for row in rows]


def swept(world, rows):
    before = Sweep(world, rows)
    for who in BECOMES:
        for row in rows:
            if row.method == "POST" and row.does(who):
                before.body(row)  # as it was when they could
    take_away(world)
    after = Sweep(world, moved(rows))
    after.forms = before.forms
    after.whole(BECOMES, styles=["plain"], wrong_methods=[], head=False)
    return after.wrong


@pytest.mark.long
@pytest.mark.any_database
def test_what_was_given_back_is_refused_with_the_session_of_before(world):
    assert swept(world, [row for row in table.own() if row.name in DAILY]) == []


@pytest.mark.torture
@pytest.mark.timeout(7200)
def test_nothing_at_all_is_left_of_what_was_taken_away(world):
    world.previews = previews(world)
    assert swept(world, table.own() + table.administration()) == []


@pytest.mark.long
@pytest.mark.any_database
def test_a_task_that_was_decided_is_nobodys_any_more(world):
    sweep = Sweep(world, [row for row in table.own() if row.on in ("task_signing", "signing")])
    rows = [row for row in sweep.rows if row.method == "POST"]
    sweep.proves(rows)
    bodies = {row.key: sweep.body(row) for row in rows}
    assert sweep.wrong == [] and len(bodies) > 2
    world.task_signing.finish(by=world.cur, seen=world.signing.version)

    asker = Asker(world.cookies)
    for row in rows:
        with rolled_back():
            answer = asker.ask("cur", "POST", row.address(world), bodies[row.key])
        assert answer.status in (403, 409), row.key
