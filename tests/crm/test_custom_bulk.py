"""Added fields of many records are set, or emptied, at one go: by the rules of the form of one, and undone as one."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm import custom_changes
from crm.custom_fields import Kind
from crm.custom_values import CustomValue
from crm.jobs import run_waiting
from notices.history import Event
from tests import factories as make
from tests.asserting import unchanged
from tests.bulk import address, confirm, done, outcome, reasons
from tests.crm.fields import administrator, field, one_of_each
from tests.importing import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def rep():
    return make.user("chen", name="Chen Yu", language="en")


@pytest.fixture
def client(rep):
    return signed_in(rep)


LISTS = {"customer": "customers", "contact": "contacts", "opportunity": "opportunities"}


def some(subject, rep, count=2):
    """This will enter records of a kind that have fields of their own."""
    made = {
        "customer": lambda: make.customer(rep),
        "contact": lambda: make.contact(make.customer(rep)),
        "opportunity": lambda: make.opportunity(rep, state="active"),
    }
    return [made[subject]() for _number in range(count)]


def now(record):
    return type(record).objects.get(pk=record.pk)


def held(records, added):
    return [getattr(now(one), added.key) for one in records]


def ticked(added, value=None):
    """This will give what the form sends that sets a field, a person by the picker's own name."""
    name = f"{added.key}_id" if added.kind == Kind.PERSON else added.key
    return {f"set_{added.key}": "on"} | ({} if value is None else {name: value})


@pytest.mark.parametrize("subject", LISTS)
def test_a_field_of_each_kind_is_set_for_many_and_what_they_had_comes_back(client, rep, subject):
    fields, person = one_of_each(subject), make.user(name="Zhou Lan")
    typed = {
        "text": "A-7", "long_text": "One\nTwo", "number": "1,234.5", "money": "45万", "date": "2031-12-01",
        "yes_no": "no", "choice": "east", "choices": ["north", "south"], "person": person.pk,
    }  # fmt: skip
    mine = some(subject, rep)
    mine[0].change(by=rep, **{fields["text"].key: "Old", fields["yes_no"].key: True})
    given = {name: value for kind, added in fields.items() for name, value in ticked(added, typed[kind]).items()}

    run = done(client, address(LISTS[subject], "change", mine), **given)

    assert (outcome(run), reasons(run)) == ((2, 0, 0, 0), {})
    for one in mine:
        told = {kind: getattr(now(one), added.key) for kind, added in fields.items()}
        assert (told["text"], told["long_text"], told["yes_no"]) == ("A-7", "One\nTwo", False)
        assert (told["number"], told["money"], told["date"]) == (Decimal("1234.5"), Decimal(450000), date(2031, 12, 1))
        assert (told["choice"].key, str(told["choices"]), told["person"]) == ("east", "North, South", person)
        event = Event.objects.about(one).first()
        assert (event.kind, event.changes.keys()) == ("changed", {added.key for added in fields.values()})
    page = client.get(f"/bulk/{run.pk}/").content.decode()
    for said in (
        "Our text → A-7, Our long text → One Two, Our number → 1,234.5, Our money → ¥450,000, Our date → 1 Dec 2031",
        "Our yes or no → No, Our one choice → East, Our several choices → North, South, Our person → Zhou Lan",
    ):
        assert said in page

    now(mine[1]).change(by=rep, **{fields["text"].key: "Since"})
    client.post(f"/bulk/{run.pk}/undo/")

    assert [getattr(now(mine[0]), fields[kind].key) for kind in ("text", "yes_no", "number", "person")] == [
        "Old", True, None, None,
    ]  # fmt: skip
    assert [getattr(now(mine[1]), fields[kind].key) for kind in ("text", "yes_no")] == ["Since", False]
    assert [entry.why for entry in run.left] == ["It was changed since."]


def test_what_is_ticked_and_left_empty_is_emptied_and_what_is_not_ticked_stays(client, rep):
    fields = one_of_each("customer")
    mine = some("customer", rep)
    full = {fields["text"].key: "A-7", fields["yes_no"].key: True, fields["choices"].key: fields["choices"].choices[:2]}
    for one in mine:
        one.change(by=rep, **full)
    where = address("customers", "change", mine)
    run = done(client, where, **ticked(fields["text"]), **ticked(fields["choices"]))
    assert (held(mine, fields["text"]), held(mine, fields["choices"])) == ([None, None], [None, None])
    assert held(mine, fields["yes_no"]) == [True, True]
    assert "Our text → emptied, Our several choices → emptied" in client.get(f"/bulk/{run.pk}/").content.decode()
    client.post(f"/bulk/{run.pk}/undo/")
    assert (held(mine, fields["text"]), [str(one) for one in held(mine, fields["choices"])]) == (
        ["A-7", "A-7"], ["North, South"] * 2,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["text", "choices", "person", "yes_no"])
def test_what_is_typed_beside_a_box_that_is_not_ticked_is_asked_about(client, rep, kind):
    added, mine = field("customer", kind), some("customer", rep)
    typed = {"text": "A-7", "choices": ["north"], "person": rep.pk, "yes_no": "no"}[kind]
    given = {name: value for name, value in ticked(added, typed).items() if not name.startswith("set_")}
    with unchanged():
        page = confirm(client, address("customers", "change", mine), set_status="on", status="trading", **given)
    assert "Tick this to change it, or leave it empty." in page.content.decode()
    done(client, address("customers", "change", mine), set_status="on", status="trading")
    assert held(mine, added) == [None, None]


def test_what_no_two_may_share_is_not_offered(client, rep):
    shared, alone = field("customer", "text", "Route"), field("customer", "text", "Badge", unique=True)
    where = address("customers", "change", some("customer", rep))
    page = client.get(where).content.decode()
    assert f'name="set_{shared.key}"' in page and alone.key not in page
    with unchanged():
        answer = confirm(client, where, **ticked(alone, "7"))
    assert "A field that was ticked can no longer be changed here." in answer.content.decode()


@pytest.mark.parametrize(
    ("kind", "why"),
    [("text", "This cannot be emptied. Fill it in."), ("choice", "This cannot be emptied. Choose one."),
     ("person", "This cannot be emptied. Choose one."), ("choices", "This cannot be emptied. Choose one.")],
)  # fmt: skip
@pytest.mark.parametrize("subject", ["customer", "contact"])
def test_what_is_always_needed_cannot_be_emptied(client, rep, subject, kind, why):
    needed = field(subject, kind, required="always")
    where = address(LISTS[subject], "change", some(subject, rep))
    with unchanged():
        answer = confirm(client, where, **ticked(needed))
    assert why in answer.content.decode()


def test_a_draft_may_go_without_and_what_was_submitted_keeps_what_it_needs(client, rep):
    needed = field("opportunity", "text", required="always")
    later = field("opportunity", "text", "Venue", required="stage", stage="proposal")
    draft, early, late = (
        make.opportunity(rep),
        make.opportunity(rep),
        make.opportunity(rep, stage=make.stage("proposal")),
    )
    for one in (draft, early, late):
        now(one).change(by=rep, **{needed.key: "A", later.key: "B"})
    for one in (early, late):
        make.bring_to(now(one), "active")
    mine = [draft, early, late]

    run = done(client, address("opportunities", "change", mine), **ticked(later))
    assert (outcome(run), reasons(run)) == ((2, 1, 0, 0), {late.name: "Venue: This cannot be emptied any more."})
    assert held(mine, later) == [None, None, "B"]
    run = done(client, address("opportunities", "change", mine), **ticked(needed))
    assert (outcome(run), set(reasons(run))) == ((1, 2, 0, 0), {early.name, late.name})
    assert held(mine, needed) == [None, "A", "A"]


def test_a_stage_that_asks_for_a_field_is_reached_with_it_in_one_go(client, rep):
    asked = field("opportunity", "text", required="stage", stage="proposal")
    mine, target = some("opportunity", rep), make.stage("proposal")
    given = {"set_stage": "on", "stage": target.pk}
    run = done(client, address("opportunities", "change", mine), **given)
    assert outcome(run) == (0, 2, 0, 0)
    assert set(reasons(run).values()) == {"Still needed: Our text."}

    run = done(client, address("opportunities", "change", mine), **given, **ticked(asked, "A-7"))

    assert outcome(run) == (2, 0, 0, 0)
    assert [(now(one).stage, getattr(now(one), asked.key)) for one in mine] == [(target, "A-7")] * 2
    assert [Event.objects.about(one).first().kind for one in mine] == ["moved", "moved"]
    client.post(f"/bulk/{run.pk}/undo/")
    assert [(now(one).stage.key, getattr(now(one), asked.key)) for one in mine] == [("first-contact", None)] * 2


def test_a_retired_option_is_not_offered(client, rep):
    added = field("customer", "choice")
    north = added.choices[0]
    custom_changes.change_option(north, by=administrator(), seen=north.version, active=False)
    where = address("customers", "change", some("customer", rep))
    with unchanged():
        answer = confirm(client, where, **ticked(added, "north"))
    assert "Select a valid choice. north is not one of the available choices." in answer.content.decode()
    run = done(client, where, **ticked(added, "south"))
    assert outcome(run) == (2, 0, 0, 0)


def test_a_field_that_is_archived_before_the_worker_comes_is_said_to_be_gone(client, rep, settings):
    settings.BULK_AT_ONCE = 1
    added, mine = field("customer", "text", "Route"), some("customer", rep)
    run = done(client, address("customers", "change", mine), set_status="on", status="trading", **ticked(added, "A-7"))
    custom_changes.archive(added, by=administrator(), seen=added.version)
    run_waiting()
    assert outcome(run) == (0, 0, 0, 2)
    page = client.get(f"/bulk/{run.pk}/").content.decode()
    assert "A field that was ticked can no longer be changed here." in page and "Route → A-7" in page
    assert [now(one).status for one in mine] == ["potential"] * 2


def test_who_may_not_change_them_changes_no_field(rep):
    added, mine = field("customer", "text"), some("customer", rep)
    run = done(signed_in(make.user("gao", "support")), address("customers", "change", mine), **ticked(added, "A-7"))
    assert (outcome(run), set(reasons(run).values())) == ((0, 2, 0, 0), {"You may not do this."})
    assert not CustomValue.objects.exists()


def test_what_is_so_already_is_skipped(client, rep):
    added, mine = field("contact", "yes_no"), some("contact", rep)
    mine[0].change(by=rep, **{added.key: True})
    run = done(client, address("contacts", "change", mine), **ticked(added, "yes"))
    assert (outcome(run), reasons(run)) == ((1, 0, 1, 0), {mine[0].name: "It is so already."})


def test_the_question_stands_in_sections_and_costs_the_same_however_many_fields_there_are(client, rep):
    where = address("customers", "change", some("customer", rep))
    field("customer", "text", "Route")

    def cost():
        client.get(where)
        with CaptureQueriesContext(connection) as queries:
            client.get(where)
        return len(queries)

    before = cost()
    one_of_each("customer")
    assert cost() == before
    assert "<legend>More details</legend>" in client.get(where).content.decode()
