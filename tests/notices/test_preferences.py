"""What each person hears of, and how: in the app, by mail at once, in a digest at eight of their day, or not at all."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.utils import timezone

from crm.models import User
from notices import delivery
from notices.models import Delivery, Message
from notices.preferences import ALWAYS_IN_APP, GROUPS, next_digest
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def rep():
    return make.user("rep", name="Chen Yu")


def reader(**wishes):
    return make.user("reader", at="jinan", name="Sun Qi", notifications=wishes)


def shared_with(person, rep, name="Joint offer"):
    opportunity = make.opportunity(rep, state="active", name=name)
    Delivery.objects.exclude(to=person).delete()
    opportunity.share(by=rep, people=[person])
    return opportunity


def states(person):
    return list(Delivery.objects.filter(to=person).order_by("id").values_list("kind", "state"))


def morning():
    """This will make it the hour of the digest for all that waits."""
    Delivery.objects.filter(state="gathered").update(due_at=timezone.now())


def typed(**changes):
    usual = {f"app_{group}": "on" for group in GROUPS if group not in ALWAYS_IN_APP}
    return usual | {f"mail_{group}": "now" for group in GROUPS} | changes


class TestTheSettings:
    def test_they_keep_what_differs_from_the_usual(self, client):
        person = reader()
        client.force_login(person)
        sent = typed(mail_work="daily", mail_decisions="never")
        del sent["app_decisions"]

        assert client.post("/messages/settings/", sent).url == "/messages/settings/"

        kept = User.objects.get(pk=person.pk).notifications
        assert kept == {"decisions": {"app": False, "mail": "never"}, "work": {"mail": "daily"}}
        page = client.get("/messages/settings/")
        shown = {name: page.context["form"][name].value() for name in ("app_decisions", "app_work", "mail_work")}
        assert shown == {"app_decisions": False, "app_work": True, "mail_work": "daily"}

    def test_a_way_that_there_is_not_is_refused_and_nothing_changes(self, client):
        person = reader(work={"mail": "daily"})
        client.force_login(person)

        page = client.post("/messages/settings/", typed(mail_work="pigeon"))

        assert page.context["form"].errors.keys() == {"mail_work"}
        assert User.objects.get(pk=person.pk).notifications == {"work": {"mail": "daily"}}


class TestWhatOneHears:
    def test_usually_all_of_it_in_the_app_and_at_once_by_mail(self, rep):
        person = reader()
        shared_with(person, rep)

        assert Message.objects.filter(to=person).count() == 1
        assert states(person) == [("shared", "queued")]

    def test_what_one_does_not_want_in_the_app_is_still_mailed(self, rep):
        person = reader(work={"app": False})
        shared_with(person, rep)

        assert not Message.objects.filter(to=person).exists()
        assert states(person) == [("shared", "queued")]

    def test_what_one_does_not_want_mailed_still_stands_in_the_app(self, rep):
        person = reader(work={"mail": "never"})
        shared_with(person, rep)

        assert Message.objects.filter(to=person).count() == 1
        assert states(person) == []

    def test_a_wish_for_one_kind_leaves_the_others(self, rep):
        person = reader(mentions={"app": False, "mail": "never"})
        shared_with(person, rep)

        assert states(person) == [("shared", "queued")]

    def test_a_task_stands_in_the_list_of_tasks_whatever_is_mailed(self):
        approver = make.user("boss", "deputy_gm", notifications={"tasks": {"mail": "never"}})
        opportunity = make.opportunity(state="draft")
        opportunity.report(by=opportunity.owner, approver=approver)

        assert opportunity.open_task.holder == approver
        assert states(approver) == []


class TestTheDigest:
    @pytest.mark.parametrize(
        ("zone", "now", "then"),
        [
            ("Asia/Shanghai", (2026, 11, 27, 0, 0), (2026, 11, 28, 0, 0)),  # eight sharp: of the next day
            ("Asia/Shanghai", (2026, 11, 26, 23, 59), (2026, 11, 27, 0, 0)),
            ("America/New_York", (2026, 3, 7, 14, 0), (2026, 3, 8, 12, 0)),  # the clocks go forward in that night
            ("", (2026, 11, 27, 1, 0), (2026, 11, 28, 0, 0)),
        ],
    )
    def test_it_comes_at_eight_of_the_readers_day(self, zone, now, then):
        person = User(time_zone=zone)
        assert next_digest(person, datetime(*now, tzinfo=UTC)) == datetime(*then, tzinfo=UTC)

    def test_it_waits_for_its_hour_then_comes_once_with_all_of_it(self, rep):
        person = reader(work={"mail": "daily"})
        shared_with(person, rep, "First")
        shared_with(person, rep, "Second")
        delivery.gather()
        delivery.deliver()
        assert mail.outbox == []
        assert states(person) == [("shared", "gathered")] * 2

        morning()
        for _turn in range(2):  # as after a restart
            delivery.gather()
            delivery.deliver()

        [letter] = mail.outbox
        assert letter.subject == "What happened: 2 messages"
        assert [letter.body.count(name) for name in ("First", "Second", "Chen Yu shared it with you.")] == [1, 1, 2]
        assert "In-Reply-To" not in letter.extra_headers
        assert states(person) == [("shared", "digested")] * 2 + [("digest", "sent")]

    def test_what_happens_after_its_hour_comes_the_next_day(self, rep):
        person = reader(work={"mail": "daily"})
        shared_with(person, rep, "First")
        morning()
        shared_with(person, rep, "Second")
        delivery.gather()
        delivery.deliver()

        [letter] = mail.outbox
        assert letter.subject == "What happened: one message"
        assert "Second" not in letter.body
        waits = Delivery.objects.get(state="gathered")
        assert timezone.now() < waits.due_at <= timezone.now() + timedelta(days=1)

    def test_it_leaves_out_what_its_reader_may_no_longer_see(self, rep):
        person = reader(work={"mail": "daily"})
        shared_with(person, rep, "Kept")
        shared_with(person, rep, "Ended").unshare(by=rep, person=person)
        morning()
        delivery.gather()
        delivery.deliver()

        [letter] = mail.outbox
        assert "Kept" in letter.body
        assert "Ended" not in letter.body

    def test_one_of_which_nothing_is_left_is_not_sent(self, rep):
        person = reader(work={"mail": "daily"})
        shared_with(person, rep).unshare(by=rep, person=person)
        morning()
        delivery.gather()
        delivery.deliver()

        assert mail.outbox == []
        assert states(person) == [("shared", "digested"), ("digest", "withheld")]


class TestTheKinds:
    def test_a_kind_of_which_nothing_waits_does_not_say_that_all_is_read(self, client, rep):
        person = reader()
        shared_with(person, rep)
        client.force_login(person)

        assert "You have read everything" not in client.get("/messages/?kind=mentions").content.decode()
        Message.objects.unread_for(person).mark_read()
        assert "You have read everything" in client.get("/messages/").content.decode()

    def test_the_list_narrows_to_one_and_marks_that_one_as_read(self, client, rep):
        person = reader()
        opportunity = shared_with(person, rep)
        Message.tell([person], "mentioned", opportunity, by=rep, comment="Look")
        client.force_login(person)

        page = client.get("/messages/?kind=mentions")
        assert [message.kind for message in page.context["page"]] == ["mentioned"]
        assert "Mark these as read" in page.content.decode()
        everything = client.get("/messages/?kind=nonsense").context["page"]
        assert [message.kind for message in everything] == ["mentioned", "shared"]

        assert client.post("/messages/read/", {"kind": "mentions"}).url == "/messages/?kind=mentions"
        unread = Message.objects.unread_for(person).values_list("kind", flat=True)
        assert list(unread) == ["shared"]
