"""A life written in one go is the life that the verbs would have lived: same rows, states, events, numbers."""

from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
import time_machine
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from hypothesis.extra.django import TestCase

from approvals.models import Approval
from crm.moments import organisation_today
from notices.history import Event
from opportunities import lives
from opportunities.models import BusinessType, FollowUp, FollowUpKind, LostReason, Opportunity
from tests import factories as make

DEPARTED = {"id", "number", "updated_at", "list_key", "read_at", "about_id"}  # what the twin has of its own


class Company:
    """Whoever an opportunity of Shijiazhuang may meet."""

    def __init__(self):
        self.rep = make.user("rep")
        self.deputy = make.user("deputy", "deputy_gm")
        self.gm = make.user("gm", "gm")
        self.guest = make.user("guest", at="baoding")
        self.customer = make.customer(self.rep)
        self.contact = make.contact(self.customer)

    def draft(self):
        return Opportunity(
            name="泵房摄像头",
            owner=self.rep,
            customer=self.customer,
            business_type=BusinessType.objects.get(key="security"),
            stage=make.stage(),
            amount=Decimal("730000.5"),
            expected_close_on=organisation_today() + timedelta(days=90),
        )


class Lived:
    """The steps of a life, each done by its verb at its moment."""

    def __init__(self, company):
        self.company, self.it = company, company.draft()
        self.it.create(by=company.rep)

    def _decide(self, verb, **given):
        task = self.it.open_task
        getattr(task, verb)(by=task.holder, seen=self.it.version, **given)
        self.it.refresh_from_db()

    def report(self):
        self.it.report(by=self.company.rep, approver=self.company.deputy, comment="As agreed.")

    def sign(self):
        self.it.sign(by=self.company.rep, approver=self.company.deputy, **signing())

    def terminate(self):
        self.it.terminate(by=self.company.rep, approver=self.company.deputy, reason=reason(), note="No money.")

    def escalate(self):
        self._decide("escalate", to=self.company.gm, comment="Large.")

    def finish(self):
        self._decide("finish", comment="Yes.")

    def return_(self):
        self._decide("return_", comment="Name the decision maker.")

    def move(self):
        self.it.move(stage=make.stage("proposal"), by=self.company.rep)

    def void(self):
        self.it.void(by=self.company.rep, reason="Entered twice.")

    def follow_up(self, days=0, next_days=None):
        at = timezone.now() + timedelta(days=days)
        FollowUp(opportunity=self.it, kind=call(), content="Called.", at=at, contact=self.company.contact).add(
            by=self.company.rep, next_at=next_days and timezone.now() + timedelta(days=next_days)
        )
        self.it.refresh_from_db()

    def plan(self):
        self.follow_up(days=5)

    def follow_up_and_plan(self):
        self.follow_up(next_days=9)

    def share(self):
        self.it.share(by=self.company.rep, people=[self.company.guest], may_edit=True)

    def share_widely(self):
        self.it.share(by=self.company.rep, departments=[self.company.guest.department])

    def add_contact(self):
        self.it.add_contact(by=self.company.rep, contact=self.company.contact, role="decides")


class Written:
    """The same steps, told to a Life."""

    def __init__(self, company):
        self.company, self.life = company, lives.Life(company.draft(), at=timezone.now())

    def _ask(self, act, **form):
        step = Approval.plan(self.life.it, act, by=self.company.rep).version.steps.first()
        self.life.asked(act, at=timezone.now(), approver=self.company.deputy, step=step, **form)

    def report(self):
        self._ask("report", comment="As agreed.")

    def sign(self):
        self._ask("sign", form=Opportunity._closing_form("sign", **signing()))

    def terminate(self):
        self._ask("terminate", form=Opportunity._closing_form("terminate", reason=reason(), note="No money."))

    def escalate(self):
        step = self.life.task.step.next
        self.life.escalated(at=timezone.now(), to=self.company.gm, step=step, comment="Large.")

    def finish(self):
        self.life.finished(at=timezone.now(), comment="Yes.")

    def return_(self):
        self.life.returned(at=timezone.now(), comment="Name the decision maker.")

    def move(self):
        self.life.moved(at=timezone.now(), stage=make.stage("proposal"))

    def void(self):
        self.life.voided(at=timezone.now(), reason="Entered twice.")

    def follow_up(self, days=0, next_days=None):
        at = timezone.now() + timedelta(days=days)
        next_at = next_days and timezone.now() + timedelta(days=next_days)
        self.life.followed_up(at=at, kind=call(), content="Called.", contact=self.company.contact, next_at=next_at)

    def plan(self):
        self.follow_up(days=5)

    def follow_up_and_plan(self):
        self.follow_up(next_days=9)

    def share(self):
        self.life.shared(at=timezone.now(), people=[self.company.guest], may_edit=True)

    def share_widely(self):
        self.life.shared(at=timezone.now(), departments=[self.company.guest.department])

    def add_contact(self):
        self.life.contact_added(at=timezone.now(), contact=self.company.contact, role="decides")


def signing():
    return {
        "contract_number": "HB-2026-0500",
        "signed_amount": Decimal("700000"),
        "signed_on": organisation_today(),
        "term": 24,
    }


def reason():
    return LostReason.objects.get(key="budget")


def call():
    return FollowUpKind.objects.get(key="call")


def live(kind, company, steps):
    """This will live through `steps`, a day apart, and give what `kind` made."""
    with time_machine.travel("2026-03-02T08:00:00Z", tick=False) as clock:
        lived = kind(company)
        for step in steps:
            clock.shift(timedelta(days=1))
            getattr(lived, step)()
        if kind is Written:
            lives.write([lived.life], by=company.rep)
    return lived.it if kind is Lived else lived.life.it


def rows(opportunity):
    """This will list everything that there is of an opportunity, with keys of its own rows told by their order."""
    found = {model: list(_of(opportunity, model).order_by("pk")) for model in (Opportunity, *lives.ORDER)}
    numbers = {(model, row.pk): number for model, rows in found.items() for number, row in enumerate(rows)}
    return {model.__name__: [_told(row, numbers) for row in rows] for model, rows in found.items()}


def _of(opportunity, model):
    if model is Opportunity:
        return Opportunity.objects.filter(pk=opportunity.pk)
    if model in lives.ABOUT:
        about_type = ContentType.objects.get_for_model(Opportunity)
        return model._base_manager.filter(about_type=about_type, about_id=opportunity.pk)
    if model is lives.Round:
        return model._base_manager.filter(approval__in=Approval.objects.about(opportunity))
    if model in lives.SHARES:
        return model._base_manager.filter(content_object=opportunity.pk)
    return model._base_manager.filter(opportunity=opportunity.pk)


def _told(row, numbers):
    values = {field.name: getattr(row, field.attname) for field in row._meta.concrete_fields}
    for field in row._meta.concrete_fields:
        if field.is_relation:
            values[field.name] = numbers.get((field.related_model, values[field.name]), values[field.name])
    if isinstance(row, Event) and "follow_up" in row.data:
        values["data"] = row.data | {"follow_up": numbers[FollowUp, row.data["follow_up"]]}
    return {name: value for name, value in values.items() if name not in DEPARTED}


FREE = ["follow_up", "share", "share_widely", "add_contact"]
BEFORE = [["report"], ["report", "return_"], ["report", "return_", "report"], ["void"]]
APPROVED = [["report", "finish"], ["report", "escalate", "finish"], ["report", "return_", "report", "finish"]]
ENDS = [
    [],
    ["sign"],
    ["sign", "finish"],
    ["sign", "return_"],
    ["sign", "return_", "sign", "escalate", "finish"],
    ["terminate"],
    ["terminate", "finish"],
    ["terminate", "return_", "terminate", "finish"],
]


@some.composite
def paths(draw):
    """A way through the table of states, with what may happen at any time strewn in, each once."""
    if draw(some.booleans()):
        steps = list(draw(some.sampled_from([[], *BEFORE])))
    else:
        moves = draw(some.sampled_from([[], ["move"], ["move", "move"]]))
        steps = [*draw(some.sampled_from(APPROVED)), *moves, *draw(some.sampled_from(ENDS))]
    for extra in draw(some.permutations(FREE))[: draw(some.integers(0, len(FREE)))]:
        steps.insert(draw(some.integers(0, len(steps))), extra)
    return steps + draw(some.sampled_from([[], ["plan"], ["follow_up_and_plan"], ["plan", "follow_up_and_plan"]]))


class TestTwin(TestCase):
    @given(paths())
    @settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
    def test_a_written_life_is_the_lived_one(self, steps):
        with time_machine.travel("2026-03-01T08:00:00Z", tick=False):
            company = Company()

        lived, written = live(Lived, company, steps), live(Written, company, steps)

        assert rows(written) == rows(lived)


@pytest.mark.django_db
def test_what_is_written_holds_what_must_always_hold():
    company = Company()
    for before in [[], *BEFORE]:
        live(Written, company, before)
    for end in ENDS:
        live(Written, company, ["report", "finish", "move", *end, "follow_up", "share"])

    call_command("verify", stdout=StringIO())

    states = set(Opportunity.objects.values_list("state", flat=True))
    assert states == {
        "draft",
        "void",
        "reporting",
        "returned",
        "active",
        "signing",
        "signed",
        "terminating",
        "terminated",
    }
