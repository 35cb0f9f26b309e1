"""How an act on many records runs: stopped, gone on with, killed at any moment, forgotten; and what a list offers."""

import random
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.bulk import BulkRow, BulkRun
from crm.bulk_acts import BulkAct
from crm.jobs import Job, Stopping, kinds, run_waiting
from crm.journal import KEPT, Batch
from crm.models import User
from crm.work import BULK_KEPT, tidy
from notices.delivery import letter
from notices.history import Event
from notices.models import Comment, Delivery, Message
from opportunities.lists import OpportunityList
from opportunities.models import Opportunity
from tests import factories as make
from tests.asserting import unchanged
from tests.bulk import address, done, outcome, reasons
from tests.crm.live import processes
from tests.crm.test_import_killed import finished
from tests.importing import signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def begin(tmp_path):
    with processes(tmp_path) as begin:
        yield begin


@pytest.fixture
def rep():
    return make.user("chen", name="Chen Yu", language="en")


@pytest.fixture
def client(rep):
    return signed_in(rep)


@pytest.fixture
def other():
    return make.user("liu", name="Liu Min")


def drafts(owner, count, name="Line"):
    made = [Opportunity(owner=owner, name=f"{name} {number}") for number in range(count)]
    Opportunity.create_all(made, by=owner)
    return made


def test_a_run_that_waits_is_stopped_and_gone_on_with(client, rep, settings):
    settings.BULK_AT_ONCE = 1
    run = done(client, address("opportunities", "comment", drafts(rep, 3)), text="Seen.")
    client.post(f"/bulk/{run.pk}/stop/")
    run_waiting()
    page = client.get(f"/bulk/{run.pk}/").content.decode()
    assert "It was stopped." in page and "3 rows were not reached; what was done stays done." in page
    assert not Comment.objects.exists()

    client.post(f"/bulk/{run.pk}/go-on/")
    run_waiting()
    assert (outcome(run), Comment.objects.count()) == ((3, 0, 0, 0), 3)
    assert client.post(f"/bulk/{run.pk}/go-on/").status_code == 409  # nothing is left
    assert Comment.objects.count() == 3


def test_stopped_midway_people_are_told_of_what_was_done(client, rep, other, settings):
    settings.BULK_AT_ONCE = 1
    run = done(client, address("opportunities", "transfer", drafts(rep, 4)), owner_id=other.pk)
    job = Job.objects.claim(run.job.pk, worker="here")
    steps = run._each(rep, job)
    next(steps), next(steps)
    steps.close()
    job.cancel(by=rep)
    job.run()  # the first thing that it asks is whether it was cancelled
    if outcome(run)[3]:
        assert Job.objects.get(pk=job.pk).state == "cancelled"
    hears = Message.objects.filter(to=other).values_list("kind", "data__count")
    assert list(hears) == [("transferred_many", outcome(run)[0])]


def test_a_run_that_fails_says_why_and_keeps_what_was_done(client, rep, other, settings):
    settings.BULK_AT_ONCE = 1
    run = done(client, address("opportunities", "transfer", drafts(rep, 3)), owner_id=other.pk)
    User.objects.filter(pk=other.pk).update(is_active=False)  # nobody can be put in charge who has left
    run_waiting()
    page = client.get(f"/bulk/{run.pk}/").content.decode()
    assert "New person in charge: " in page and "Go on" in page
    assert outcome(run) == (0, 0, 0, 3)
    assert set(Opportunity.objects.values_list("owner", flat=True)) == {rep.pk}


# ── What its owner hears ─────────────────────────────────────────────────────────────────────────────────────────────


def told(person):
    return [(one.kind, one.title, one.data) for one in Message.objects.filter(to=person).order_by("pk")]


def counts(**others):
    return dict.fromkeys(("done", "refused", "skipped", "waiting"), "0") | others


def test_what_the_worker_did_is_told_to_whoever_began_it_in_one_message(rep, other, settings):
    settings.BULK_AT_ONCE = 1
    User.objects.filter(pk=rep.pk).update(language="zh-hans", email="chen@example.com")
    client, mine = signed_in(rep), drafts(rep, 4)
    mine[0].void(by=rep, reason="Entered twice.")
    run = done(client, address("opportunities", "transfer", mine), owner_id=other.pk)
    assert told(rep) == []
    run_waiting()

    assert told(rep) == [("bulk_ended", "转交：4 个商机", counts(done="3", refused="1"))]
    [message] = Message.objects.filter(to=rep)
    assert client.get(f"/messages/{message.pk}/", follow=True).redirect_chain[-1][0] == f"/bulk/{run.pk}/"
    [delivery] = Delivery.objects.filter(to=rep)
    mail = letter(delivery)
    assert mail.subject == "转交：4 个商机" and f"/bulk/{run.pk}/" in mail.body
    assert [kind for kind, _title, _data in told(other)] == ["transferred_many"]  # one for all rows, as ever


def test_what_was_answered_while_the_page_waited_is_told_to_nobody(client, rep):
    run = done(client, address("opportunities", "change", drafts(rep, 3)), set_description="on", description="Seen.")
    client.post(f"/bulk/{run.pk}/undo/")
    assert BulkRun.objects.get(pk=run.pk).undone_count == 3
    assert told(rep) == []


def test_that_it_was_undone_by_the_worker_is_told_too(client, rep, settings):
    settings.BULK_AT_ONCE = 1
    mine = drafts(rep, 3)
    run = done(client, address("opportunities", "change", mine), set_description="on", description="Seen.")
    run_waiting()
    Opportunity.objects.get(pk=mine[0].pk).change(by=rep, description="Since.")
    client.post(f"/bulk/{run.pk}/undo/")
    run_waiting()
    title = "Change: 3 opportunities"
    assert told(rep) == [
        ("bulk_ended", title, counts(done="3")), ("bulk_undone", title, {"undone": "2", "left": "1"}),
    ]  # fmt: skip
    page = client.get("/messages/?tab=all&kind=bulk").content.decode()
    assert "Pursuit has gone through all of them: 3 done, 0 refused, 0 skipped." in page
    assert "Pursuit has undone it: 2 are what they were, 1 had to be left." in page


def test_one_that_fails_is_told_of_and_one_that_its_owner_stops_is_not(client, rep, other, settings):
    settings.BULK_AT_ONCE = 1
    stopped = done(client, address("opportunities", "comment", drafts(rep, 2)), text="Seen.")
    client.post(f"/bulk/{stopped.pk}/stop/")
    failed = done(client, address("opportunities", "transfer", drafts(rep, 3)), owner_id=other.pk)
    User.objects.filter(pk=other.pk).update(is_active=False)
    run_waiting()
    assert told(rep) == [("bulk_broken", "Transfer: 3 opportunities", counts(waiting="3"))]
    assert outcome(failed) == (0, 0, 0, 3)

    User.objects.filter(pk=other.pk).update(is_active=True)
    client.post(f"/bulk/{failed.pk}/go-on/")
    run_waiting()
    assert told(rep)[1:] == [("bulk_ended", "Transfer: 3 opportunities", counts(done="3"))]


@pytest.mark.parametrize("wish", [{"app": False, "mail": "now"}, {"app": True, "mail": "never"}])
def test_it_is_told_as_its_owner_wants_it(client, rep, settings, wish):
    settings.BULK_AT_ONCE = 1
    User.objects.filter(pk=rep.pk).update(email="chen@example.com", notifications={"bulk": wish})
    done(client, address("opportunities", "comment", drafts(rep, 2)), text="Seen.")
    run_waiting()
    assert Message.objects.filter(to=rep).exists() is wish["app"]
    assert Delivery.objects.filter(to=rep).exists() is (wish["mail"] == "now")


def test_whom_a_comment_on_many_mentions_hears_of_all_in_one_message(client, rep, other):
    mine, unseen = drafts(rep, 3), drafts(rep, 1, name="Unseen")
    for one in mine:
        one.share(by=rep, people=[other])
    Message.objects.all().delete()
    run = done(client, address("opportunities", "comment", [*mine, *unseen]), text="@Liu Min look at the prices.")
    assert (outcome(run), reasons(run)) == ((3, 1, 0, 0), {"Unseen 0": "Liu Min cannot see this, so nobody was told."})
    first = Comment.objects.get(about_id=mine[0].pk)
    said = {"comment": "@Liu Min look at the prices.", "place": f"comment-{first.pk}"}
    assert told(other) == [("mentioned_many", "Line 0", said | {"count": 3})]
    page = signed_in(other).get("/messages/").content.decode()
    assert "Chen Yu mentioned you on this and others, 3 in all. “@Liu Min look at the prices.”" in page

    Message.objects.all().delete()
    done(client, address("opportunities", "comment", mine[1:2]), text="@Liu Min and these.")
    [(kind, title, _said)] = told(other)
    assert (kind, title) == ("mentioned", "Line 1")  # as by its own page


def test_whom_the_worker_mentions_hears_of_it_where_the_first_comment_is_gone_too(client, rep, other, settings):
    settings.BULK_AT_ONCE = 1
    mine = drafts(rep, 3)
    for one in mine:
        one.share(by=rep, people=[other])
    Message.objects.all().delete()
    run = done(client, address("opportunities", "comment", mine), text="@Liu Min look.")
    job = Job.objects.claim(run.job.pk, worker="here")
    steps = run._each(rep, job)
    next(steps), next(steps), next(steps)
    steps.close()
    Comment.objects.get(about_id=mine[0].pk).delete_(by=rep)
    job.run()
    [(kind, title, said)] = told(other)
    assert (kind, title, said["count"]) == ("mentioned_many", "Line 1", 2)
    assert said["place"] == f"comment-{Comment.objects.get(about_id=mine[1].pk).pk}"


class Faulty(BulkAct):
    """Has an error in it, for one row of three."""

    key = "faulty"
    word = "Do"
    verb = "view"

    def do(self, record, seen):
        Comment(about=record, text="Half done.").add(by=self.by)
        assert record.name != "Line 1"


class FaultyList(OpportunityList):
    acts = (Faulty,)


def test_an_error_in_one_row_refuses_that_row_and_the_rest_go_on(client, rep):
    listing = FaultyList.asked_by(rep, QueryDict())
    form = Faulty.form({}, user=rep)
    assert form.is_valid()
    run = BulkRun.begin(listing, Faulty, "", form, [(one.pk, None) for one in drafts(rep, 3)], by=rep)
    run.work_at_once(by=rep)
    assert (outcome(run), reasons(run)) == ((2, 1, 0, 0), {"Line 1": "This could not be done."})
    assert Comment.objects.count() == 2  # nothing of the third
    assert BulkRun.objects.get(pk=run.pk).ended_at


def test_it_runs_with_the_rights_that_its_owner_has_then(rep, settings):
    settings.BULK_AT_ONCE = 1
    chief = make.user("gm", "gm")
    mine = [make.opportunity(rep, state="active") for _number in range(2)]
    run = done(signed_in(chief), address("opportunities", "share", mine), people_id=[make.user().pk])
    chief.roles.clear()
    run_waiting()
    assert outcome(run) == (0, 0, 2, 0)  # out of sight by now


def test_a_worker_that_must_stop_leaves_the_rest_to_the_next(client, rep, settings):
    settings.BULK_AT_ONCE = 1
    run = done(client, address("opportunities", "comment", drafts(rep, 3)), text="Seen.")
    job = Job.objects.claim(run.job.pk, worker="first")
    job.interruption = Stopping()
    with pytest.raises(Stopping):
        kinds()["bulk"].function(job)
    assert outcome(run) == (1, 0, 0, 2)
    Job.objects.filter(pk=job.pk).update(state="waiting", worker="")
    job = Job.objects.claim(run.job.pk, worker="second")
    job.run()
    assert (outcome(run), Comment.objects.count()) == ((3, 0, 0, 0), 3)


def test_a_page_that_takes_too_long_leaves_the_rest_to_the_worker(rep):
    listing = OpportunityList.asked_by(rep, QueryDict())
    rows = [(one.pk, None) for one in drafts(rep, 2)]
    act = listing.act("comment")
    form = act.form({"text": "Seen."}, user=rep)
    assert form.is_valid()
    run = BulkRun.begin(listing, act, "text=Seen.", form, rows, by=rep)
    run.work_at_once(by=rep, seconds=0)
    run.refresh_from_db()
    assert run.is_busy and outcome(run) == (1, 0, 0, 1)
    run_waiting()
    assert outcome(run) == (2, 0, 0, 0)


@pytest.mark.parametrize(
    ("rows", "kills"),
    [pytest.param(300, 3, id="a few"), pytest.param(3_000, 20, marks=pytest.mark.torture, id="many")],
)
def test_each_row_is_done_exactly_once_whenever_the_worker_is_killed(begin, client, rep, other, rows, kills):
    chance = random.Random(7)
    drafts(rep, rows)
    run = done(client, address("opportunities", "transfer", query="every=1"), owner_id=other.pk)
    finished(begin, run.job, kills, chance)

    assert outcome(run) == (rows, 0, 0, 0)
    assert Event.objects.filter(kind="transferred").count() == rows
    assert set(Opportunity.objects.values_list("owner", flat=True)) == {other.pk}
    assert run.batch.entries.count() == rows
    [heard] = Message.objects.filter(to=other)
    assert heard.data["count"] == rows
    what = f"Transfer: {rows} opportunities"
    assert told(rep) == [("bulk_ended", what, counts(done=f"{rows:,}"))]
    call_command("verify", stdout=StringIO())

    client.post(f"/bulk/{run.pk}/undo/")
    run.refresh_from_db()
    finished(begin, run.job, kills, chance)
    assert set(Opportunity.objects.values_list("owner", flat=True)) == {rep.pk}
    assert Event.objects.filter(kind="transferred").count() == 2 * rows
    assert told(rep)[1:] == [("bulk_undone", what, {"undone": f"{rows:,}", "left": "0"})]
    call_command("verify", stdout=StringIO())


def test_after_seven_days_it_can_be_undone_no_more(client, rep, other):
    run = done(client, address("opportunities", "transfer", drafts(rep, 2)), owner_id=other.pk)
    Batch.objects.update(at=timezone.now() - KEPT)
    assert "Undo" not in client.get(f"/bulk/{run.pk}/").content.decode()
    with unchanged():
        assert client.post(f"/bulk/{run.pk}/undo/").status_code == 409
    tidy()
    assert not Batch.objects.exists()
    assert client.get(f"/bulk/{run.pk}/").status_code == 200


def test_what_was_done_long_ago_is_forgotten(client, rep):
    done(client, address("opportunities", "comment", drafts(rep, 1)), text="Seen.")
    BulkRun.objects.update(at=timezone.now() - BULK_KEPT - timedelta(hours=1))
    tidy()
    assert (BulkRun.objects.count(), BulkRow.objects.count()) == (0, 0)
    assert Comment.objects.count() == 1


def test_my_runs_are_listed_for_me_alone(client, rep, other):
    done(client, address("opportunities", "comment", drafts(rep, 2)), text="Seen.")
    assert "Comment: 2 opportunities" in client.get("/bulk/").content.decode()
    assert "No bulk actions yet" in signed_in(other).get("/bulk/").content.decode()


def test_looking_changes_nothing(client, rep, other):
    run = done(client, address("opportunities", "transfer", drafts(rep, 2)), owner_id=other.pk)
    with unchanged():
        client.get(address("opportunities", "transfer", query="every=1"))
        for page in ("", "?show=done", "undo/"):
            assert client.get(f"/bulk/{run.pk}/{page}").status_code == 200
        for page in ("stop/", "go-on/"):
            assert client.get(f"/bulk/{run.pk}/{page}").status_code == 405


def test_a_list_offers_what_its_reader_may_ever_do(rep):
    def offered(user):
        page = signed_in(user).get("/opportunities/").content.decode()
        acts = ("change", "transfer", "share", "follow-up", "comment", "void")
        return [act for act in acts if f'formaction="/opportunities/bulk/{act}/"' in page]

    make.opportunity(rep, state="active")
    assert offered(rep) == ["change", "transfer", "share", "follow-up", "comment", "void"]


def test_all_that_match_can_be_selected_without_a_script(client, rep):
    drafts(rep, 55)
    page = client.get("/opportunities/?q=line").content.decode()
    assert 'href="/opportunities/?q=line&amp;select=all"' in page and "Select all that match" in page
    page = client.get("/opportunities/?q=line&select=all").content.decode()
    assert 'name="every" value="1" data-every>' in page and "All that match are selected" in page
    assert "Select all 55" in client.get("/opportunities/totals/?q=line").content.decode()


@pytest.mark.parametrize("page", ["/opportunities/", "/bulk/{run}/?show=done", "/opportunities/bulk/transfer/?every=1"])
def test_a_page_costs_the_same_for_one_row_and_for_thirty(client, rep, page):
    def cost(count):
        drafts(rep, count)
        run = done(client, address("opportunities", "comment", query="every=1"), text="Seen.")
        client.get(page.format(run=run.pk))
        with CaptureQueriesContext(connection) as queries:
            client.get(page.format(run=run.pk))
        return len(queries)

    assert cost(1) == cost(29) <= 14
