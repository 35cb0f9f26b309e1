"""Any sequence of verbs, by anybody, on two opportunities: what must hold does, and a refusal changes nothing."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from approvals import verification as approvals
from approvals.models import Approval, Task
from crm.moments import organisation_today
from crm.verbs import Refused
from notices.history import Event
from opportunities import verification as opportunities
from opportunities.models import LostReason, Movement, Opportunity, Stage, State
from tests import factories as make
from tests.digest import digest

CLOSED = (State.SIGNED, State.TERMINATED, State.VOID)
PENDING = {State.REPORTING: "report", State.SIGNING: "sign", State.TERMINATING: "terminate"}
ANYBODY = st.sampled_from(["rep", "rep2", "deputy", "gm", "director", "manager", "admin", "stranger"])
ONE = st.integers(0, 1)


class Life(RuleBasedStateMachine):
    """Everybody tries everything; the verbs decide."""

    @initialize()
    def begin(self):
        self.world = transaction.atomic()
        self.world.__enter__()
        roles = {"deputy": "deputy_gm", "gm": "gm", "director": "director", "manager": "opportunity_manager"}
        self.people = {name: make.user(name, roles.get(name, "rep")) for name in ("rep", "rep2", *roles)}
        self.people["admin"] = make.user("admin", "administrator", at="head-office")
        self.people["stranger"] = make.user("stranger", at="jinan")
        self.keys = [make.opportunity(self.people["rep"]).pk for _time in range(2)]
        self.customers = [make.customer(self.people["rep"]), None]
        self.numbers = set(Opportunity.objects.values_list("number", flat=True))
        self.versions = {}

    def teardown(self):
        if hasattr(self, "world"):
            transaction.set_rollback(True)
            self.world.__exit__(None, None, None)

    def attempt(self, one, verb, *, of=None, **values):
        """This will call a verb of an opportunity, or of its open task; whatever is refused has changed nothing."""
        opportunity = Opportunity.objects.get(pk=self.keys[one])
        target = of(opportunity) if of else opportunity
        if target is None:
            return
        before, events = digest(), Event.objects.count()
        try:
            with transaction.atomic():
                getattr(target, verb)(**values)
        except Refused:
            assert digest() == before
        else:
            assert Event.objects.count() - events <= 1 or verb == "copy"

    def seen(self, one):
        return Opportunity.objects.values_list("version", flat=True).get(pk=self.keys[one])

    @rule(one=ONE, by=ANYBODY, to=ANYBODY)
    def report(self, one, by, to):
        self.attempt(one, "report", by=self.people[by], approver=self.people[to])

    @rule(one=ONE, by=ANYBODY, to=ANYBODY, ahead=st.integers(-3, 1))
    def sign(self, one, by, to, ahead):
        day = organisation_today() + timedelta(days=ahead)
        values = {"contract_number": "C", "signed_amount": 7, "signed_on": day}
        self.attempt(one, "sign", by=self.people[by], approver=self.people[to], **values)

    @rule(one=ONE, by=ANYBODY, to=ANYBODY, reason=st.sampled_from(["price", "other"]))
    def terminate(self, one, by, to, reason):
        why = LostReason.objects.get(key=reason)
        self.attempt(one, "terminate", by=self.people[by], approver=self.people[to], reason=why)

    @rule(one=ONE)
    def go_on(self, one):
        """This will do what the owner would do next, so that lives get past their first steps."""
        opportunity = Opportunity.objects.get(pk=self.keys[one])
        who = {"by": opportunity.owner, "approver": self.people["deputy"]}
        if opportunity.state in (State.DRAFT, State.RETURNED):
            self.attempt(one, "report", **who)
        elif opportunity.state == State.ACTIVE:
            self.attempt(one, "sign", contract_number="C", signed_amount=7, signed_on=organisation_today(), **who)

    @rule(one=ONE, by=ANYBODY)
    def withdraw(self, one, by):
        self.attempt(one, "withdraw", by=self.people[by])

    @rule(one=ONE, by=ANYBODY)
    def drop(self, one, by):
        self.attempt(one, "drop", by=self.people[by])

    @rule(one=ONE, by=ANYBODY, reason=st.sampled_from(["", "Entered twice."]))
    def void(self, one, by, reason):
        self.attempt(one, "void", by=self.people[by], reason=reason)

    @rule(one=ONE, by=ANYBODY, stage=st.sampled_from(["first-contact", "negotiation", "won", "lost"]))
    def move(self, one, by, stage):
        self.attempt(one, "move", by=self.people[by], stage=Stage.objects.get(key=stage))

    @rule(one=ONE, by=ANYBODY, to=ANYBODY)
    def transfer(self, one, by, to):
        self.attempt(one, "transfer", by=self.people[by], to=self.people[to])

    @rule(one=ONE, by=ANYBODY, with_=ANYBODY, may_edit=st.booleans())
    def share(self, one, by, with_, may_edit):
        self.attempt(one, "share", by=self.people[by], people=[self.people[with_]], may_edit=may_edit)

    @rule(
        one=ONE,
        by=ANYBODY,
        values=st.fixed_dictionaries(
            {},
            optional={
                "amount": st.sampled_from([None, 1, 99]),
                "probability": st.sampled_from([None, 0, 20, 55, 100]),
                "name": st.sampled_from(["", "A", "B"]),
                "expected_close_on": st.sampled_from([None, organisation_today()]),
            },
        ),
        customer=st.sampled_from([0, 1, 2]),
        stale=st.booleans(),
    )
    def change(self, one, by, values, customer, stale):
        if customer < 2:
            values = values | {"customer": self.customers[customer]}
        self.attempt(one, "change", by=self.people[by], seen=self.seen(one) - stale, **values)

    @rule(one=ONE, by=ANYBODY, amount=st.sampled_from([1, 7]))
    def amend(self, one, by, amount):
        figures = {"contract_number": "D", "signed_amount": amount, "signed_on": organisation_today(), "term": None}
        if Opportunity.objects.get(pk=self.keys[one]).state != State.TERMINATING:
            self.attempt(one, "amend", by=self.people[by], **figures)

    @rule(one=ONE, by=ANYBODY)
    def copy(self, one, by):
        self.attempt(one, "copy", by=self.people[by])

    @rule(one=ONE, stale=st.booleans(), own=st.booleans(), by=ANYBODY)
    def finish(self, one, stale, own, by):
        self.decide(one, "finish", own, by, seen=self.seen(one) - stale)

    @rule(one=ONE, own=st.booleans(), by=ANYBODY, to=ANYBODY)
    def escalate(self, one, own, by, to):
        self.decide(one, "escalate", own, by, to=self.people[to], seen=self.seen(one))

    @rule(one=ONE, own=st.booleans(), by=ANYBODY, comment=st.sampled_from(["", "Mend it."]))
    def return_(self, one, own, by, comment):
        self.decide(one, "return_", own, by, comment=comment, seen=self.seen(one))

    def decide(self, one, verb, own, by, **values):
        task = Opportunity.objects.get(pk=self.keys[one]).open_task
        decider = task.holder if task and own else self.people[by]
        self.attempt(one, verb, of=lambda it: it.open_task, by=decider, **values)

    @invariant()
    def everything_holds(self):
        if not hasattr(self, "keys"):
            return
        assert [*opportunities.differences(), *approvals.differences()] == []
        for opportunity in Opportunity.objects.select_related("stage"):
            self.one_holds(opportunity)
        numbers = list(Opportunity.objects.values_list("number", flat=True))
        assert len(set(numbers)) == len(numbers)
        assert self.numbers <= set(numbers)

    def one_holds(self, opportunity):
        unfinished = list(Approval.objects.about(opportunity).unfinished())
        assert len(unfinished) <= 1
        waiting = Task.objects.open().filter(approval__in=unfinished)
        assert waiting.count() == len(unfinished)
        if opportunity.state in PENDING:
            assert unfinished[0].act == PENDING[opportunity.state]
            assert waiting.get().kind == "decide"
        ends = {State.SIGNED: 100, State.TERMINATED: 0}
        assert opportunity.probability == ends.get(opportunity.state, min(99, max(1, opportunity.probability)))
        assert (opportunity.closed_on is not None) == (opportunity.state in CLOSED)
        assert opportunity.customer_id or opportunity.state in (State.DRAFT, State.VOID)
        last = Movement.objects.filter(opportunity=opportunity).latest("pk")
        same = ("state", "stage_id", "base_cents", "probability", "expected_close_on", "owner_id", "department_id")
        assert [getattr(last, name) for name in same] == [getattr(opportunity, name) for name in same]
        assert opportunity.version >= self.versions.get(opportunity.pk, 1)
        self.versions[opportunity.pk] = opportunity.version


def live(**profile):
    """This will run lives by chance, each in a world of its own that is rolled back."""
    calm = settings(deadline=None, suppress_health_check=list(HealthCheck), **profile)
    run_state_machine_as_test(Life, settings=calm)
    assert not connection.needs_rollback


@pytest.mark.django_db
def test_any_sequence_of_verbs_keeps_what_must_hold():
    live(max_examples=8, stateful_step_count=20)


@pytest.mark.timeout(3600)
@pytest.mark.torture
@pytest.mark.django_db
def test_a_thousand_sequences_keep_what_must_hold():
    live(max_examples=1000, stateful_step_count=40)
