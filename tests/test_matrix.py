"""
The permission table, held against a copy of its own: design and code cannot drift apart unseen.

The copy is read as the manual prints it: a row for each verb, a column for each reason.
"""

import pytest

from crm import permissions
from crm.verbs import NotAllowed
from opportunities.models import Opportunity
from tests import factories as make

OPPORTUNITY = """
                 owner edit_share view_share open_task past_task scope chief opportunity_manager administrator
view             x     x          x          x         x         x     .     x                   x
change           x     x          .          x         .         .     .     x                   x
move             x     x          .          .         .         .     .     x                   x
add_follow_up    x     x          .          x         .         x     .     x                   x
add_file         x     x          .          x         .         x     .     x                   x
change_contacts  x     x          .          x         .         x     .     x                   x
comment          x     x          x          x         x         x     .     x                   x
report           x     .          .          .         .         .     .     .                   .
sign             x     .          .          .         .         .     .     .                   .
terminate        x     .          .          .         .         .     .     .                   .
withdraw         x     .          .          .         .         .     .     .                   .
void             x     .          .          .         .         .     .     .                   .
decide           .     .          .          x         .         .     .     .                   .
assign           .     .          .          .         .         .     .     .                   x
share            x     .          .          .         .         .     x     x                   x
transfer         x     .          .          .         .         .     x     x                   x
reassign         .     .          .          .         .         .     .     x                   x
correct          .     .          .          .         .         .     .     x                   x
copy             x     x          x          x         x         x     .     x                   x
"""

CUSTOMER = """
                 owner scope chief through opportunity_manager administrator
view             x     x     .     .       x                   x
name             x     x     .     x       x                   x
change           x     .     x     .       x                   x
delete           x     .     .     .       x                   x
copy             x     x     .     .       x                   x
add_contact      x     x     .     .       x                   x
add_follow_up    x     x     .     .       x                   x
comment          x     x     .     .       x                   x
add_file         x     x     .     .       x                   x
"""

CONTACT = """
                 owner scope through opportunity_manager administrator
view             x     x     x       x                   x
change           x     x     .       x                   x
delete           x     .     .       x                   x
copy             x     x     .       x                   x
add_follow_up    x     x     .       x                   x
"""

FOLLOW_UP = """
                 owner through opportunity_manager administrator
view             .     x       x                   x
change           x     .       x                   x
delete           x     .       x                   x
add_file         x     .       x                   x
"""

COPIES = {"opportunity": OPPORTUNITY, "customer": CUSTOMER, "contact": CONTACT, "follow_up": FOLLOW_UP}


def read(copy):
    head, *rows = copy.strip().splitlines()
    return {
        verb: {reason for reason, mark in zip(head.split(), marks, strict=True) if mark == "x"}
        for verb, *marks in map(str.split, rows)
    }


@pytest.mark.parametrize("table", COPIES)
def test_the_table_says_what_its_copy_says(table):
    assert {verb: set(reasons) for verb, reasons in permissions.TABLES[table].items()} == read(COPIES[table])


@pytest.mark.case(65)
def test_there_is_a_copy_of_every_table():
    assert COPIES.keys() == permissions.TABLES.keys()


# Each reason, made real: somebody for whom it holds, and nothing else does.


def owner(opportunity):
    return opportunity.owner


def edit_share(opportunity):
    person = make.user(at="jinan")
    opportunity.share(by=opportunity.owner, people=[person], may_edit=True)
    return person


def view_share(opportunity):
    person = make.user(at="jinan")
    opportunity.share(by=opportunity.owner, departments=[person.department])
    return person


def open_task(opportunity):
    return opportunity.open_task.holder


def past_task(opportunity):
    task = opportunity.open_task
    task.escalate(by=task.holder, to=task.escalations()[0], seen=opportunity.version)
    opportunity.refresh_from_db()
    return task.holder


def scope(opportunity):
    return make.user(None, "support", at="hebei")


def chief(opportunity):
    return make.user(None, "gm", at="hebei")


def opportunity_manager(opportunity):
    return make.user(None, "opportunity_manager", at="head-office")


def administrator(opportunity):
    return make.user(None, "administrator", at="head-office")


def nobody(opportunity):
    return make.user(at="jinan")


def pending():
    """
    This will give an opportunity whose report waits for an approver who sees it for no other reason than the
    task.
    """
    opportunity = make.opportunity()
    for key in ("deputy_gm", "gm"):
        make.user(None, key)
    deputy = make.approver(opportunity)
    opportunity.report(by=opportunity.owner, approver=deputy)
    return opportunity


@pytest.mark.django_db
@pytest.mark.parametrize(
    "reason", [owner, edit_share, view_share, scope, chief, opportunity_manager, administrator, nobody]
)
@pytest.mark.case(65)
def test_who_may_do_what_is_what_the_table_says(reason):
    opportunity = pending()
    person = reason(opportunity)
    held = {reason.__name__} | ({"scope"} if reason is chief else set())

    table = read(OPPORTUNITY)
    expected = {verb for verb, reasons in table.items() if reasons & held}

    assert permissions.may(person, opportunity) == expected
    assert {verb for verb in table if Opportunity.objects.permitted(person, verb).exists()} == expected
    assert {verb for verb in table if person.has_perm(f"opportunities.{verb}", opportunity)} == expected


@pytest.mark.django_db
def test_a_task_opens_what_it_is_about_and_once_done_only_shows_it():
    opportunity = pending()
    holder = open_task(opportunity)
    holder.roles.clear()  # nothing but the task is left
    holder.refresh_from_db()
    assert permissions.may(holder, opportunity) == {
        verb for verb, reasons in read(OPPORTUNITY).items() if reasons & {"open_task", "past_task"}
    }

    opportunity.open_task.close("reassigned", by=holder)
    assert permissions.may(holder, opportunity) == {
        verb for verb, reasons in read(OPPORTUNITY).items() if "past_task" in reasons
    }


@pytest.mark.django_db
def test_a_draft_is_hidden_from_those_who_only_have_it_in_scope():
    draft, reported = make.opportunity(), pending()
    superior = scope(draft)

    assert set(Opportunity.objects.visible_to(superior)) == {reported}
    assert set(Opportunity.objects.visible_to(draft.owner)) == {draft}


@pytest.mark.django_db
@pytest.mark.case(11)
def test_a_role_that_was_taken_away_opens_nothing_any_more():
    opportunity = pending()
    superior = scope(opportunity)
    assert "view" in permissions.may(superior, opportunity)

    superior.roles.clear()
    superior.refresh_from_db()
    assert permissions.may(superior, opportunity) == set()


@pytest.mark.django_db
def test_somebody_deactivated_may_nothing():
    opportunity = pending()
    opportunity.owner.is_active = False
    opportunity.owner.save()

    assert permissions.may(opportunity.owner, opportunity) == set()
    with pytest.raises(NotAllowed):
        opportunity.withdraw(by=opportunity.owner)
