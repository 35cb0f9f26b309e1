"""
What a reader may see and do is one rule in three forms, which agree in any world; and words are found as
readers write them.
"""

from contextlib import contextmanager
from datetime import date

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approvals.models import Act, Approval, Round, RouteVersion, Task
from crm.permissions import EVERYWHERE, TABLES, May, may, permits_now, possible
from customers.models import Contact, Customer
from opportunities.lifecycle import CLOSED, State
from opportunities.models import (
    FollowUp,
    FollowUpKind,
    Opportunity,
    OpportunityContact,
    OpportunityGroupShare,
    OpportunityUserShare,
)
from tests import factories

pytestmark = pytest.mark.django_db

READERS = [
    ("rep", "shijiazhuang"),
    ("rep", "jinan"),
    ("director", "shijiazhuang"),
    ("deputy_gm", "baoding"),
    ("gm", "hebei"),
    ("support", "hebei"),
    ("gm", "head-office"),
    ("opportunity_manager", "head-office"),
    ("administrator", "head-office"),
]


class World:
    """The people and places that a generated world is made of."""

    def __init__(self):
        self.people = [factories.user(None, role, at=where) for role, where in READERS]
        self.places = [person.department for person in self.people]
        self.version = RouteVersion.objects.filter(steps__isnull=False).first()
        self.call = FollowUpKind.objects.get(key="call")
        self.stages = {
            kind: factories.stage(key)
            for kind, key in ((None, "first-contact"), ("signed", "won"), ("terminated", "lost"))
        }
        person, place = st.sampled_from(self.people), st.sampled_from(self.places)
        self.records = st.lists(
            st.fixed_dictionaries(
                {
                    "owner": person,
                    "at": place,  # a record stays where its owner was then
                    "customer_of": person,
                    "state": st.sampled_from(State.values),
                    "shared_with": st.lists(st.tuples(person | place, st.booleans()), max_size=2),
                    "tasks": st.lists(st.tuples(person, st.booleans()), max_size=2),
                    "contact": st.booleans(),
                }
            ),
            min_size=1,
            max_size=5,
        )

    @contextmanager
    def built(self, records):
        """This will make the records, and take them away again."""
        with transaction.atomic():
            for number, record in enumerate(records):
                self.build(number, **record)
            yield
            transaction.set_rollback(True)

    def build(self, number, *, owner, at, customer_of, state, shared_with, tasks, contact):
        customer = Customer(name=f"Customer {number}", owner=customer_of, created_by=customer_of)
        customer.place(customer_of.department)
        customer.save()
        person = Contact(name=f"Contact {number}", created_by=customer_of)
        person._follow(customer)
        person.save()
        made = Opportunity(
            name=f"Opportunity {number}",
            number=f"T{number}",
            customer=customer,
            state=state,
            stage=self.stages.get(state, self.stages[None]),
            probability={"signed": 100, "terminated": 0}.get(state, 50),
            closed_on=date(2026, 11, 1) if state in CLOSED else None,
            owner=owner,
            created_by=owner,
        )
        made.place(at)
        made.save()
        for about in ({"opportunity": made, "customer": customer}, {"customer": customer}):
            FollowUp.objects.create(kind=self.call, at=timezone.now(), owner=owner, created_by=owner, **about)
        if contact:
            OpportunityContact.objects.create(opportunity=made, contact=person)
        for to, may_edit in shared_with:
            permission = "change_opportunity" if may_edit else "view_opportunity"
            if to in self.people:
                OpportunityUserShare.objects.assign_perm(permission, to, made)
            else:
                OpportunityGroupShare.objects.assign_perm(permission, to.group, made)
        for holder, is_open in tasks:
            now = timezone.now()
            ended = {"state": Approval.State.WITHDRAWN, "closed_at": now}
            approval = Approval(about=made, act=Act.REPORT, requester=owner, owner=owner, **ended)
            approval.place(at)
            approval.save()
            asked = Round.objects.create(approval=approval, number=1, version=self.version, asked_by=owner)
            closed = {} if is_open else {"closed_at": now, "decision": Task.Decision.WITHDRAWN}
            step = self.version.steps.first()
            Task.objects.create(
                approval=approval, round=asked, step=step, kind="decide", holder=holder, about=made, **closed
            )


@pytest.fixture
def world():
    ContentType.objects.get_for_model(Opportunity)
    return World()


slowly = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@slowly
@given(data=st.data())
def test_branches_and_permitted_and_may_are_one_rule(world, data):
    reader = data.draw(st.sampled_from(world.people))
    with world.built(data.draw(world.records)):
        for model in (Opportunity, Customer, Contact):
            mays = {record.pk: may(reader, record) for record in model.objects.all()}
            for verb in TABLES[model.guard]:
                branches = model.objects.branches(reader, verb)
                found = [pk for branch in branches for pk in model.objects.filter(branch).values_list("pk", flat=True)]
                permitted = set(model.objects.permitted(reader, verb).values_list("pk", flat=True))
                assert len(found) == len(set(found)), f"a row of {verb} is in two branches"
                assert set(found) == permitted, verb
                assert permitted == {pk for pk, verbs in mays.items() if verb in verbs}, verb


@slowly
@given(data=st.data())
def test_a_list_of_follow_ups_finds_those_of_what_its_reader_sees_and_no_other(world, data):
    reader = data.draw(st.sampled_from(world.people))
    with world.built(data.draw(world.records)):
        seen = {pk for model in (Opportunity, Customer) for pk in _follow_ups_of(model.objects.visible_to(reader))}
        for verb in TABLES["follow_up"]:
            branches = FollowUp.objects.branches(reader, verb)
            found = [pk for one in branches for pk in FollowUp.objects.filter(one).values_list("pk", flat=True)]
            assert len(found) == len(set(found)), f"a row of {verb} is in two branches"
            assert set(found) == set(FollowUp.objects.permitted(reader, verb).values_list("pk", flat=True)), verb
            assert verb != "view" or set(found) == seen


def _follow_ups_of(records):
    for record in records:
        about = {"customer": record, "opportunity": None} if isinstance(record, Customer) else {"opportunity": record}
        yield from FollowUp.objects.filter(**about).values_list("pk", flat=True)


@slowly
@given(data=st.data())
def test_what_a_record_that_was_read_says_of_itself_is_what_the_database_says(world, data):
    reader = data.draw(st.sampled_from(world.people))
    with world.built(data.draw(world.records)):
        for model in (Opportunity, Customer, Contact):
            of_columns = {
                reason
                for reason in possible(reader, model.guard)
                if reason in EVERYWHERE or model.objects.columns(reason, reader) is not None
            }
            for record in model.objects.all():
                verbs = may(reader, record)
                assert (
                    model.objects.reasons_seen(reader, record)
                    == model.objects.reasons_held(reader, record) & of_columns
                )
                assert {verb for verb in TABLES[model.guard] if permits_now(reader, verb, record)} == verbs
                assert {verb for verb in TABLES[model.guard] if verb in May(reader, record)} == verbs
                if model is Opportunity:
                    held = model.objects.reasons_held(reader, record)
                    assert model.objects.with_ties(reader, record.pk) == (record, held)


@slowly
@given(data=st.data())
def test_a_reader_sees_what_the_design_says_and_nothing_else(world, data):
    """The rule once more, in plain Python and from the design alone."""
    reader = data.draw(st.sampled_from(world.people))
    role = READERS[world.people.index(reader)][0]
    records = data.draw(world.records)

    def is_seen(*, owner, at, customer_of, state, shared_with, tasks, contact):
        everything = role in ("opportunity_manager", "administrator")
        in_scope = role in ("director", "deputy_gm", "gm", "support") and at.within(reader.department)
        shared = any(
            to == reader or (to in world.places and reader.department.within(to)) for to, _may_edit in shared_with
        )
        asked = any(holder == reader for holder, _is_open in tasks)
        return everything or owner == reader or shared or asked or (in_scope and state != "draft")

    with world.built(records):
        seen = {f"T{number}" for number, record in enumerate(records) if is_seen(**record)}
        assert set(Opportunity.objects.visible_to(reader).values_list("number", flat=True)) == seen


def test_somebody_without_a_department_sees_what_is_theirs():
    person = factories.user()
    own = factories.opportunity(person)
    factories.opportunity(factories.user())
    person.department = None
    person.save()
    person.refresh_from_db()
    assert list(Opportunity.objects.visible_to(person)) == [own]
    assert [row for branch in Opportunity.objects.branches(person) for row in Opportunity.objects.filter(branch)] == [
        own
    ]


def test_somebody_deactivated_sees_nothing():
    person = factories.user(None, "administrator", at="head-office")
    factories.opportunity()
    assert Opportunity.objects.visible_to(person).exists()
    person.is_active = False
    assert not Opportunity.objects.visible_to(person).exists()
    assert not Opportunity.objects.branches(person)


# Search


def found(text, model=Opportunity):
    return {str(one) for one in model.objects.search(text)}


@pytest.fixture
def water():
    return factories.opportunity(
        customer=factories.customer(name="Qinghe Water Group"), name="SCADA cloud migration, phase 2"
    )


@pytest.mark.parametrize(
    "text", ["scada", "CLOUD", "phase 2", "migration scada", "water", "qinghe", "Qinghe scada", "scada%", "loud"]
)
def test_an_opportunity_is_found_by_parts_of_its_name_and_its_customers(water, text):
    if text == "scada%":
        assert found(text) == set()  # a sign of the database's own is a letter like others
    else:
        assert found(text) == {water.name}


def test_an_opportunity_is_found_by_its_number(water):
    assert found(water.number.lower()) == {water.name}
    assert found(water.number[-6:]) == {water.name}


def test_chinese_names_are_found_by_two_characters_and_by_pinyin():
    made = factories.opportunity(name="清河水务云迁移", customer=factories.customer(name="恒泰物流"))
    for text in ("水务", "清河", "qinghe", "shuiwu", "QingHe", "恒泰", "hengtai", "清河 物流"):
        assert found(text) == {made.name}
    assert not found("河清")
    assert not found("ng")  # two letters of pinyin are in every second name


@pytest.mark.parametrize("text", ["", "   "])
def test_no_words_leave_the_list_whole(water, text):
    assert found(text) == {water.name}


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "'", "\\", "_" * 3, "x" * 5000, " ".join(["x"] * 100)])
def test_a_hostile_text_finds_nothing_and_breaks_nothing(water, text):
    assert found(text) == set()
    assert found("scada") == {water.name}


def test_customers_are_found_by_name_and_contacts_by_phone_too():
    contact = factories.contact(factories.customer(name="Yunhe Rural Bank"), name="Ding Yan", mobile="139 3111 9137")
    assert found("rural", Customer) == {"Yunhe Rural Bank"}
    assert found("9137", Contact) == {"Ding Yan"}
    assert found("rural", Contact) == set()
    assert contact in Contact.objects.search("ding")
