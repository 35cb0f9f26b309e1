"""Many customers, or contacts, at once: changed, transferred, followed up, commented on, deleted; undone as one."""

from datetime import timedelta

import pytest
from django.utils import timezone

from customers.models import Contact, Customer, Industry
from notices.history import Event
from notices.models import Comment, Message
from notices.recycle import Recycled
from opportunities.models import FollowUp, FollowUpKind
from tests import factories as make
from tests.asserting import unchanged
from tests.bulk import address, confirm, done, outcome, reasons
from tests.importing import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def rep():
    return make.user("chen", name="Chen Yu")


@pytest.fixture
def client(rep):
    return signed_in(rep)


def now(record):
    return type(record).objects.get(pk=record.pk)


def test_customers_get_an_industry_and_a_status_and_what_they_had_comes_back(client, rep):
    industry = Industry.objects.first()
    mine = [make.customer(rep, phone="0311 1") for _number in range(3)]
    run = done(
        client,
        address("customers", "change", mine),
        set_industry="on",
        industry=industry.pk,
        set_status="on",
        status="trading",
    )
    assert outcome(run) == (3, 0, 0, 0)
    assert {(now(one).industry, now(one).status, now(one).phone) for one in mine} == {(industry, "trading", "0311 1")}
    now(mine[0]).change(by=rep, description="Changed since.")
    client.post(f"/bulk/{run.pk}/undo/")
    assert [(now(one).industry, now(one).status) for one in mine[1:]] == [(None, "potential")] * 2
    assert now(mine[0]).industry == industry
    assert [entry.why for entry in run.left] == ["It was changed since."]


def test_a_status_cannot_be_emptied(client, rep):
    where = address("customers", "change", [make.customer(rep)])
    with unchanged():
        answer = confirm(client, where, set_status="on")
    assert "This cannot be emptied. Choose one." in answer.content.decode()


def test_customers_go_to_somebody_else_with_their_contacts_and_come_back(client, rep):
    to = make.user("sun", name="Sun Qi", at="baoding")
    mine = [make.contact(make.customer(rep)).customer for _number in range(2)]
    run = done(client, address("customers", "transfer", mine), owner_id=to.pk)
    assert {(one.owner, one.department.key) for one in [*map(now, mine), *Contact.objects.all()]} == {(to, "baoding")}
    [told] = Message.objects.filter(to=to)
    assert (told.kind, told.data["count"]) == ("transferred_many", 2)
    client.post(f"/bulk/{run.pk}/undo/")
    assert {(one.owner, one.department.key) for one in [*map(now, mine), *Contact.objects.all()]} == {
        (rep, "shijiazhuang")
    }


def test_each_gets_a_follow_up_record_of_its_own_and_the_next_one(client, rep):
    mine, theirs = [make.customer(rep), make.customer(rep)], make.customer(make.user("liu"))
    call, soon = FollowUpKind.objects.get(key="call"), timezone.localtime(timezone.now() + timedelta(days=3))
    where = address("customers", "follow-up", [*mine, theirs])
    given = {"kind": call.pk, "content": "Sent the season's letter.", "at": f"{timezone.localtime():%Y-%m-%dT00:01}"}
    with unchanged():
        page = confirm(client, where, **given, next_content="Ask what came of it.").content.decode()
    assert "Say when this is to be done." in page and "Sent the season&#x27;s letter." in page

    run = done(client, where, **given, next_at=f"{soon:%Y-%m-%dT%H:%M}", next_content="Ask what came of it.")

    assert (outcome(run), reasons(run)) == ((2, 0, 1, 0), {"": "It is not there for you any more."})
    for one in mine:
        planned, last = one.follow_ups.latest_first()
        assert (last.content, last.kind, last.owner, last.done_at) == ("Sent the season's letter.", call, rep, last.at)
        assert (planned.content, planned.done_at, planned.planned_in) == ("Ask what came of it.", None, last)
        kinds = list(Event.objects.about(one).values_list("kind", flat=True))
        assert kinds == ["follow_up_planned", "follow_up_added", "created"]
    assert FollowUp.objects.count() == 4
    assert "Undo" not in client.get(f"/bulk/{run.pk}/").content.decode()  # what was said stays said


def test_customers_go_into_the_recycle_bin_but_for_those_that_are_needed(client, rep):
    needed = make.opportunity(rep).customer
    free = [make.customer(rep), make.customer(rep)]
    run = done(client, address("customers", "delete", [needed, *free]))
    assert outcome(run) == (2, 1, 0, 0)
    assert reasons(run) == {needed.name: "One opportunity belongs to this customer, so it cannot be deleted."}
    assert (list(Customer.objects.all()), Recycled.objects.count()) == ([needed], 2)


def test_each_gets_the_comment(client, rep):
    mine = [make.customer(rep) for _number in range(2)]
    done(client, address("customers", "comment", mine), text="Visited at the fair.")
    assert {comment.about_id for comment in Comment.objects.all()} == {one.pk for one in mine}
    assert Event.objects.filter(kind="commented").count() == 2


def test_contacts_get_a_title_and_lose_it_again(client, rep):
    mine = [make.contact(make.customer(rep), title="Clerk"), make.contact(make.customer(rep))]
    run = done(client, address("contacts", "change", mine), set_title="on", title="Buyer")
    assert [now(one).title for one in mine] == ["Buyer", "Buyer"]
    client.post(f"/bulk/{run.pk}/undo/")
    assert [now(one).title for one in mine] == ["Clerk", ""]


def test_contacts_go_into_the_recycle_bin(client, rep):
    mine = [make.contact(make.customer(rep)) for _number in range(2)]
    assert outcome(done(client, address("contacts", "delete", mine))) == (2, 0, 0, 0)
    assert not Contact.objects.exists()


def test_who_sees_them_alone_changes_nothing(rep):
    support = signed_in(make.user("gao", "support"))
    mine = [make.customer(rep)]
    for act, given in (("change", {"set_kind": "on", "kind": "person"}), ("delete", {})):
        run = done(support, address("customers", act, mine), **given)
        assert (outcome(run), set(reasons(run).values())) == ((0, 1, 0, 0), {"You may not do this."})
    assert now(mine[0]).kind == "organisation"
