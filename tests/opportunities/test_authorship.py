"""Who wrote a follow-up elsewhere, and who entered a past opportunity, is kept where the past may be imported."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from crm.models import User
from crm.verbs import NotAllowed, Refused
from notices.history import Event
from opportunities.models import FollowUp, FollowUpKind, Opportunity
from tests import factories as make
from tests.asserting import unchanged
from tests.importing import checked, imported, refusals, signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def manager():
    return make.user("fang", "opportunity_manager", at="head-office")


@pytest.fixture
def rep():
    return make.user("chen", name="Chen Yu")


@pytest.fixture
def old():
    """Somebody who left long ago."""
    person = make.user("old", name="Old Hand", at="jinan")
    User.objects.filter(pk=person.pk).update(is_active=False)
    return person


def test_follow_ups_keep_who_wrote_them_and_the_history_says_who_imported_them(manager, rep, old):
    one = make.opportunity(rep, state="active", name="Dispatch hotline")
    content = """opportunity,when,content,author
Dispatch hotline,2017-03-01,Called.,old
Dispatch hotline,2017-03-02,Visited.,Chen Yu
Dispatch hotline,2017-03-03,Noted.,
Dispatch hotline,2099-03-03,Planned by who is in charge.,chen
Dispatch hotline,2099-03-04,Planned by who left.,old
Dispatch hotline,2017-03-04,By nobody.,nobody
"""

    run = imported(signed_in(manager), "follow_ups", content)

    assert (run.new, run.refused) == (4, 2)
    assert [cell[:2] + cell[3:] for cell in refusals(run)] == [
        (6, "author", "Old Hand does not see what it is about."),
        (7, "author", "“nobody” is nobody whom you may put here."),
    ]
    assert list(FollowUp.objects.order_by("at").values_list("content", "owner__username", "created_by__username")) == [
        ("Called.", "old", "old"),
        ("Visited.", "chen", "chen"),
        ("Noted.", "fang", "fang"),
        ("Planned by who is in charge.", "chen", "chen"),
    ]
    events = Event.objects.about(one).filter(kind__startswith="follow_up")
    assert {event.by for event in events} == {manager}
    assert checked(signed_in(manager), "follow_ups", content).unchanged == 4
    call_command("verify")


def test_a_rep_writes_follow_ups_in_no_other_name(rep, old):
    make.opportunity(rep, state="active", name="Dispatch hotline")

    run = imported(
        signed_in(rep), "follow_ups", "opportunity,when,content,author\nDispatch hotline,2017-03-01,Called.,old\n"
    )

    assert "owner" not in run.matching
    assert FollowUp.objects.get().owner == rep


def test_the_verb_itself_asks_whether_one_may_write_in_the_name_of_others(manager, rep, old):
    one = make.opportunity(rep, state="active")

    def written(**fields):
        given = {"kind": FollowUpKind.objects.first(), "content": "x", "at": timezone.now(), "owner": old}
        return FollowUp(opportunity=one, **given | fields)

    with unchanged(), pytest.raises(NotAllowed):
        FollowUp.add_all([written()], by=rep, as_was=True)
    with unchanged(), pytest.raises(Refused, match="does not see"):
        FollowUp.add_all([written(at=timezone.now() + timedelta(days=1))], by=manager, as_was=True)
    by_rep, by_old = written(), written()
    FollowUp.add_all([by_rep], by=rep)
    FollowUp.add_all([by_old], by=manager, as_was=True)
    assert (by_rep.owner, by_rep.created_by, by_old.owner, by_old.created_by) == (rep, rep, old, manager)


def test_past_opportunities_keep_who_entered_them(manager, rep, old):
    content = "name,stage,created by,created\nA,Proposal,old,2017-03-01\nB,Proposal,,2017-03-01 16:20\n"

    imported(signed_in(manager), "past", content)

    entered = Opportunity.objects.order_by("name").values_list("name", "created_by__username", "created_at__year")
    assert list(entered) == [("A", "old", 2017), ("B", "fang", 2017)]
    assert {event.by for one in Opportunity.objects.all() for event in Event.objects.about(one)} == {manager}
    call_command("verify")


def test_new_opportunities_are_entered_by_whoever_imports_them(manager, rep, old):
    run = imported(signed_in(manager), "opportunities", "name,created by\nA,old\n")

    assert "created_by" not in run.matching
    assert Opportunity.objects.get().created_by == manager


@pytest.mark.parametrize("end", ["csv", "xlsx"])
def test_the_list_that_was_exported_comes_back_as_past_ones(manager, rep, end):
    """What its columns say, moments among them, is read: they do not keep the rows out."""
    client = signed_in(manager)
    make.opportunity(rep, state="active", name="Dispatch hotline", customer=make.customer(rep, name="One"))
    file = b"".join(client.get(f"/opportunities/?export={end}&fields=all").streaming_content)

    assert checked(client, "past", file, name=f"file.{end}").unchanged == 1
    there = Opportunity.objects.get()
    Opportunity.objects.filter(pk=there.pk).update(name="Renamed", name_key="renamed", number="OP1999-000001")
    run = imported(client, "past", file, name=f"file.{end}")

    assert (run.new, refusals(run)) == (1, [])
    assert Opportunity.objects.get(name="Dispatch hotline").created_at.date() == there.created_at.date()
