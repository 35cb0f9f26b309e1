"""`manage.py verify` finds what does not hold: each check is shown a world in which it must speak."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from itertools import cycle

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from approvals.models import Approval, Task
from crm.models import Department, NumberSequence
from customers.models import Contact, Customer
from notices.history import Event
from opportunities.crediting import Credit
from opportunities.models import FollowUp, Movement, Opportunity, Signing, Stage
from tests import factories as make

pytestmark = pytest.mark.django_db


def verify():
    """This will run the command and give what it prints, and its exit status."""
    out = StringIO()
    try:
        call_command("verify", stdout=out)
    except SystemExit as end:
        return out.getvalue(), end.code
    return out.getvalue(), 0


def world():
    """This will live through every state, with follow-ups and shares."""
    for state in ("draft", "reporting", "returned", "active", "signing", "terminating", "signed", "terminated"):
        opportunity = make.opportunity(state=state)
        make.follow_up(opportunity)
    opportunity.share(by=opportunity.owner, departments=[make.department("jinan")])


@pytest.mark.parametrize("amount", ["0.29", "2.53", "17991.03", "999999999999.99"])
def test_it_is_silent_about_an_amount_that_a_database_keeps_as_a_float(amount):
    make.opportunity(amount=Decimal(amount))
    assert verify()[1] == 0


def test_it_is_silent_about_a_world_made_by_verbs():
    world()

    assert verify() == ("Everything holds.\n", 0)


def _raw(model, **where):
    """This will give the rows as no verb would touch them."""
    return model._base_manager.filter(**where)


CORRUPTIONS = {
    "it has not been in its stage since it moved there": lambda: _raw(Opportunity, state="active").update(
        stage_since=timezone.now()
    ),
    "is reporting, and no approval of it waits": lambda: _raw(Opportunity, state="active").update(state="reporting"),
    "an approval to sign waits, and it is not signing": lambda: _raw(Opportunity, state="signing").update(
        state="active"
    ),
    "is returned, and no report of it is": lambda: _raw(Opportunity, state="active").update(state="returned"),
    "lives without an approved report": lambda: _raw(Opportunity, state="draft").update(state="active"),
    "its history does not say how it began": lambda: _raw(Event, kind="created").delete(),
    "is signed without an approval": lambda: _raw(Approval, act="sign").delete(),
    "is signed, and has no signing": lambda: _raw(Signing).delete(),
    "was not signed on the day its opportunity closed": lambda: _raw(Signing).update(signed_on="2020-02-29"),
    "its base amount is not its amount": lambda: _raw(Opportunity, state="active").update(base_cents=1),
    "its probability is neither typed nor that of its stage": lambda: _raw(Opportunity, state="active").update(
        probability=77
    ),
    "its sort key is not that of its name": lambda: _raw(Opportunity, state="active").update(name_key="zzz"),
    "last_follow_up_at is not that of its follow-ups": lambda: _raw(FollowUp, opportunity__state="active").delete(),
    "its opportunity stands elsewhere": lambda: _raw(Movement).update(expected_close_on=None),
    "has no movement": lambda: _raw(Movement).delete(),
    "its number was never given out": lambda: NumberSequence.objects.update(last=0),
    "its ancestor columns are not those of its department": lambda: _raw(Customer).update(
        province=make.department("shandong")
    ),
    "is not in the charge and department of its customer": lambda: _raw(Contact).update(owner=make.user()),
    "path or ancestors are not those of its place in the tree": lambda: _raw(Department, key="hebei").update(
        path="/9/"
    ),
    "is not with its opportunity's customer": lambda: _raw(FollowUp).update(customer=make.customer()),
    "names a person of another customer than": lambda: Opportunity.objects.first().placements.create(
        contact=make.contact()
    ),
    "waits, and not for exactly one decision": lambda: _raw(Task, closed_at=None).delete(),
    "has ended, and a task is still open": lambda: _raw(Task, decision="finished").update(decision="", closed_at=None),
    "is approved, and nobody finished it": lambda: _raw(Task, decision="finished").update(decision="escalated"),
    "is returned, and no comment says why": lambda: _raw(Task, decision="returned").update(comment=""),
    "it is not the sum of what was signed and reported": lambda: _raw(Credit, signed=1).update(base_cents=1),
    "which is not the month it was granted in": lambda: _raw(Approval, month__isnull=False).update(
        closed_at=timezone.now() - timedelta(days=70)
    ),
}


@pytest.mark.parametrize("sentence", CORRUPTIONS)
def test_it_says_what_does_not_hold(sentence):
    world()
    make.contact()

    CORRUPTIONS[sentence]()

    printed, status = verify()
    assert sentence in printed
    assert status == 1


@pytest.mark.django_db(transaction=True)
def test_it_looks_at_one_moment_while_others_save():
    """After each new question of it somebody else moves an opportunity, adds a follow-up and reports another."""
    world()
    owner = make.user("busy")
    moved = make.opportunity(owner, state="active")
    stages = cycle(Stage.objects.filter(kind="open").exclude(pk=moved.stage_id)[:2])
    heard = set()

    def save():
        opportunity = Opportunity.objects.get(pk=moved.pk)
        opportunity.move(by=owner, stage=next(stages))
        make.follow_up(opportunity)
        make.opportunity(owner, state="reporting")

    def asked(execute, *question):
        answer = execute(*question)
        if question[0] not in heard:
            heard.add(question[0])
            with ThreadPoolExecutor(1) as other:
                other.submit(in_a_connection_of_its_own, save).result()
        return answer

    before = Opportunity.objects.count()
    with connection.execute_wrapper(asked):
        said = verify()

    assert said == ("Everything holds.\n", 0)
    assert Opportunity.objects.count() == before + len(heard)
    assert verify() == said


def in_a_connection_of_its_own(act):
    try:
        return act()
    finally:
        connection.close()
