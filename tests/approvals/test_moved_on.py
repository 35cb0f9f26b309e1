"""A record can always be moved on by someone, whoever leaves, moves, loses a role or is put in charge meanwhile."""

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from approvals.models import Act, Approval, RouteVersion, Task
from approvals.verification import differences
from crm.models import Role, User
from crm.verbs import Refused
from opportunities.models import Opportunity
from tests import factories as make

ROLES = ["rep", "director", "deputy_gm", "gm"]
PLACES = ["shijiazhuang", "hebei", "jinan"]
SOMEBODY = st.integers(0, 7)


class Office(RuleBasedStateMachine):
    """One opportunity, eight people whose jobs change at any moment, and an administrator who stays."""

    def __init__(self):
        super().__init__()
        self.undone = transaction.atomic()
        self.undone.__enter__()

    def teardown(self):
        transaction.set_rollback(True)
        self.undone.__exit__(None, None, None)

    @initialize()
    def open_the_office(self):
        self.admin = make.user(None, "administrator", at="head-office")
        jobs = [
            ("rep", 0),
            ("rep", 0),
            ("deputy_gm", 0),
            ("deputy_gm", 0),
            ("gm", 0),
            ("director", 0),
            ("gm", 1),
            ("rep", 2),
        ]
        self.people = [make.user(None, role, at=PLACES[place]) for role, place in jobs]
        self.opportunity = make.opportunity(self.people[0])

    @property
    def it(self):
        return Opportunity.objects.get(pk=self.opportunity.pk)

    def person(self, number):
        return User.objects.get(pk=self.people[number].pk)

    # What happens to people

    @rule(who=SOMEBODY, active=st.booleans())
    def leaves_or_comes_back(self, who, active):
        User.objects.filter(pk=self.people[who].pk).update(is_active=active)

    @rule(who=SOMEBODY, role=st.sampled_from(ROLES))
    def gets_another_role(self, who, role):
        self.people[who].roles.set(Role.objects.filter(key=role))

    @rule(who=SOMEBODY, place=st.sampled_from(PLACES))
    def moves(self, who, place):
        User.objects.filter(pk=self.people[who].pk).update(department=make.department(place))

    @rule(who=SOMEBODY)
    def is_put_in_charge(self, who):
        self.tries(lambda it: it.transfer(to=self.person(who), by=self.admin))

    # What they do

    @rule(amount=st.integers(1, 3))
    def the_owner_asks(self, amount):
        self.tries(lambda it: asks(it, amount))

    @rule(decision=st.sampled_from(["finish", "escalate", "return"]))
    def the_holder_decides(self, decision):
        self.tries(lambda it: decides(it, decision))

    @rule()
    def the_owner_withdraws(self):
        self.tries(lambda it: it.withdraw(by=it.owner))

    @rule()
    def an_administrator_assigns(self):
        self.tries(lambda it: assigns(it, self.admin))

    def tries(self, verb):
        """This will do it, or be refused: nothing else may come of it."""
        try:
            with transaction.atomic():
                verb(self.it)
        except (Refused, Impossible):
            pass

    # What always holds

    @invariant()
    def somebody_can_move_it_on(self):
        it = self.it
        if it.is_closed:
            return
        ways = {
            "the holder decides": lambda: decides(self.it, "return"),
            "the owner withdraws": lambda: self.it.withdraw(by=self.it.owner),
            "the owner asks": lambda: asks(self.it, 1),
            "the owner gives it up": lambda: gives_up(self.it),
            "an administrator assigns": lambda: assigns(self.it, self.admin),
            "an administrator appoints and assigns": lambda: appoints(self.it) or assigns(self.it, self.admin),
            "an administrator hands it over": lambda: hands_over(self.it, self.admin),
        }
        assert any(works(way) for way in ways.values()), f"Nobody can move it on: {it.state}."

    @invariant()
    def tasks_and_approvals_agree(self):
        assert list(differences()) == []

    @invariant()
    def whoever_it_waits_for_can_decide_or_it_is_listed(self):
        stuck = set(Task.objects.nobody_can_decide())
        for task in Task.objects.open().filter(kind="decide"):
            assert task.holder_is_able() != (task in stuck)


class Impossible(Exception):
    """There is nobody, or nothing, to do it with."""


def asks(it, amount):
    if not it.owner.is_active or it.is_pending:
        raise Impossible
    if it.state in ("draft", "returned"):
        it.change(by=it.owner, amount=amount)
        it.report(by=it.owner, approver=first(Approval.plan(it, Act.REPORT, by=it.owner).candidates))
    elif it.open_approval is not None and it.open_approval.act == Act.SIGN:
        make.sign(it, approver=first(Approval.plan(it, Act.SIGN, by=it.owner).candidates))
    else:
        make.terminate(it, approver=first(Approval.plan(it, Act.TERMINATE, by=it.owner).candidates))


def decides(it, decision):
    task = it.open_task
    if task is None or task.kind != "decide" or not task.holder.is_active:
        raise Impossible
    said = {"by": task.holder, "seen": it.version}
    if decision == "finish":
        task.finish(**said)
    elif decision == "return":
        task.return_(**said, comment="Why?")
    elif task.step.next is None:
        raise Impossible
    else:
        task.escalate(**said, to=first(task.escalations(task.step.next)))


def gives_up(it):
    if not it.owner.is_active:
        raise Impossible
    if it.state in ("draft", "returned"):
        it.void(by=it.owner, reason="Given up.")
    else:
        it.drop(by=it.owner)


def assigns(it, admin):
    task = it.open_task
    if task is None or task.kind != "decide":
        raise Impossible
    task.assign(to=first(task.candidates()), by=admin)


def appoints(it):
    """This will give the role that is missing to somebody new, as an administrator does in the user's page."""
    task = it.open_task
    if task is None or task.step is None:
        raise Impossible
    make.user(None, task.step.roles.first().key, at=it.department)


def hands_over(it, admin):
    """This will put somebody new in charge, who then has something to do: ask, or give it up."""
    if it.is_pending:
        raise Impossible  # the request runs on, so this alone moves nothing
    to = make.user(at="shijiazhuang")
    make.user(None, "deputy_gm", "gm", at="shijiazhuang")
    it.transfer(to=to, by=admin)
    asks(Opportunity.objects.get(pk=it.pk), 1)


def first(people):
    if not people:
        raise Impossible
    return people[0]


def works(way):
    """This will tell whether a way leads on, and take it back."""
    try:
        with transaction.atomic():
            way()
            raise Done
    except Done:
        return True
    except (Refused, Impossible):
        return False


class Done(Exception):
    """The way was taken."""


def office(examples, steps):
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Office,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=checks
        ),
    )


@pytest.mark.django_db
@pytest.mark.case(28)
def test_a_record_can_always_be_moved_on_by_someone():
    office(examples=8, steps=12)


@pytest.mark.django_db
@pytest.mark.torture
def test_a_record_can_always_be_moved_on_by_someone_at_length():
    office(examples=200, steps=30)


@pytest.mark.django_db
def test_the_routes_that_ship_can_be_used():
    """The machine above would prove little if nothing ever got approved."""
    assert {version.route.act for version in RouteVersion.in_force()} == set(Act)
    for state in ("active", "signed", "terminated"):
        assert make.opportunity(state=state).state == state
