"""Many opportunities at once: each by the verb of its own page, each under its own rights, and undone as one."""

from datetime import date, timedelta
from html.parser import HTMLParser
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from approvals.models import Task
from crm.bulk import BulkRun
from crm.jobs import run_waiting
from crm.models import Audit
from crm.moments import organisation_zone
from crm.saved_views import SavedView
from notices.history import Event
from notices.models import Comment, Message
from opportunities.lists import OpportunityList
from opportunities.models import FollowUp, FollowUpKind, Opportunity, Source, State
from opportunities.record import Page
from tests import factories as make
from tests.asserting import not_there, unchanged
from tests.bulk import address, confirm, done, outcome, reasons
from tests.importing import signed_in
from tests.opportunities.test_at_once import at_once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rep():
    return make.user("chen", name="Chen Yu")


@pytest.fixture
def client(rep):
    return signed_in(rep)


@pytest.fixture
def other():
    return make.user("liu", name="Liu Min")


def drafts(owner, count, name="Line"):
    """This will enter drafts, many in one go."""
    made = [Opportunity(owner=owner, name=f"{name} {number}") for number in range(count)]
    Opportunity.create_all(made, by=owner)
    return made


def now(record):
    return Opportunity.objects.get(pk=record.pk)


# ── Transfer: the road of 230 ────────────────────────────────────────────────────────────────────────────────────────


def test_of_230_selected_30_are_refused_and_undoing_leaves_what_changed_since(client, rep, other):
    good, bad = drafts(rep, 200), drafts(rep, 30, name="Void line")
    for one in bad:
        one.void(by=rep, reason="Entered twice.")
    where = address("opportunities", "transfer", query="every=1&q=line")
    page = client.get(where).content.decode()
    assert "Transfer: 230 opportunities" in page
    assert "30 of them you cannot transfer as they stand; they will be refused and listed." in page

    run = done(client, where, owner_id=other.pk)
    assert outcome(run) == (0, 0, 0, 230)  # the worker does so many
    assert (
        "You can leave this page; a message tells you when it is done."
        in client.get(f"/bulk/{run.pk}/").content.decode()
    )
    run_waiting()

    assert outcome(run) == (200, 30, 0, 0)
    assert {now(one).owner for one in good} == {other}
    assert {now(one).owner for one in bad} == {rep}
    assert set(reasons(run).values()) == {"This opportunity is closed, so it can no longer be changed."}
    [told] = Message.objects.filter(to=other)
    assert (told.kind, told.data["count"]) == ("transferred_many", 200)
    assert Event.objects.filter(kind="transferred").count() == 200
    call_command("verify", stdout=StringIO())
    page = client.get(f"/bulk/{run.pk}/").content.decode()
    assert 'Refused <span class="n">30</span>' in page and "Undo" in page

    changed, gone = good[0], good[1]
    now(changed).change(by=other, description="Mine now.")
    now(gone).transfer(to=make.user("third"), by=other)
    assert client.post(f"/bulk/{run.pk}/undo/").status_code == 302
    run_waiting()

    assert {now(one).owner for one in good[2:]} == {rep}
    assert (now(changed).owner, now(gone).owner.username) == (other, "third")
    assert [entry.why for entry in run.left] == ["It was changed since."] * 2
    page = client.get(f"/bulk/{run.pk}/").content.decode()
    assert "Undone: 198 records are what they were." in page and "2 records had to be left." in page
    assert Message.objects.filter(to=other, kind="transferred_many").count() == 2  # that they came, and that they went
    call_command("verify", stdout=StringIO())
    with unchanged():  # a second time there is nothing
        client.post(f"/bulk/{run.pk}/undo/")


def test_few_are_done_while_the_page_waits_and_the_department_comes_back_with_the_owner(client, rep):
    there = make.user("sun", name="Sun Qi", at="baoding")
    mine = [make.opportunity(rep, state="active"), *drafts(rep, 2)]
    planned = make.follow_up(mine[0], at=timezone.now() + timedelta(days=2))

    run = done(client, address("opportunities", "transfer", mine), owner_id=there.pk)

    assert outcome(run) == (3, 0, 0, 0)
    assert {now(one).department.key for one in mine} == {"baoding"}
    assert not Opportunity.objects.visible_to(rep).exists()  # they are out of sight, and yet:
    page = client.get(f"/bulk/{run.pk}/?show=done").content.decode()
    assert "out of your sight now" in page and "New person in charge: Sun Qi" in page
    assert mine[0].name not in page and f"/opportunities/{mine[0].pk}/" not in page
    client.post(f"/bulk/{run.pk}/undo/")
    assert {(now(one).owner, now(one).department.key) for one in mine} == {(rep, "shijiazhuang")}
    assert FollowUp.objects.get(pk=planned.pk).owner == rep


def test_undoing_a_transfer_brings_back_what_went_along_and_leaves_what_others_planned(rep, other):
    mine = make.opportunity(rep, state="active")
    mine.share(by=rep, people=[other], may_edit=True)
    soon = timezone.now() + timedelta(days=2)
    theirs, ours = make.follow_up(mine, by=other, at=soon), make.follow_up(mine, at=soon)
    planned = mine.follow_ups
    third = make.user("third", name="Wu Di")
    chief = signed_in(make.user("gm", "gm"))
    first = done(chief, address("opportunities", "transfer", [mine]), owner_id=other.pk)
    second = done(chief, address("opportunities", "transfer", [mine]), owner_id=third.pk)
    assert set(planned.values_list("owner__username", flat=True)) == {"third"}

    chief.post(f"/bulk/{second.pk}/undo/")
    chief.post(f"/bulk/{first.pk}/undo/")

    assert now(mine).owner == rep
    assert [FollowUp.objects.get(pk=one.pk).owner for one in (theirs, ours)] == [other, rep]


def test_one_alone_is_told_of_as_by_its_own_page(client, rep, other):
    [mine] = drafts(rep, 1)
    done(client, address("opportunities", "transfer", [mine]), owner_id=other.pk)
    [told] = Message.objects.filter(to=other)
    assert (told.kind, told.about_id) == ("transferred", mine.pk)


def test_the_owner_before_is_told_once_who_has_them_now(rep, other):
    chief = signed_in(make.user("gm", "gm"))
    mine = [make.opportunity(rep, state="active") for _number in range(3)]
    Message.objects.all().delete()
    done(chief, address("opportunities", "transfer", mine), owner_id=other.pk)
    told = Message.objects.filter(kind="transferred_many").values_list("to__username", "data__count")
    assert sorted(told) == [("chen", 3), ("liu", 3)]


def test_nobody_undoes_what_they_could_not_transfer_as_it_was(rep, other):
    """Whoever was moved away meanwhile has lost the right, and takes nothing back."""
    chief = make.user("gm", "gm")
    mine = [make.opportunity(rep, state="active") for _number in range(2)]
    run = done(signed_in(chief), address("opportunities", "transfer", mine), owner_id=other.pk)
    chief.department = make.department("jinan")
    chief.save()
    signed_in(chief).post(f"/bulk/{run.pk}/undo/")
    assert {now(one).owner for one in mine} == {other}
    assert [entry.why for entry in run.left] == ["You may not do this."] * 2


# ── The set ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_that_match_are_confirmed_as_they_were_shown_or_asked_about_once_more(client, rep):
    drafts(rep, 3)
    where = address("opportunities", "comment", query="every=1")
    sent = {"text": "Seen.", "seal": client.get(where).context["selection"].seal}
    drafts(rep, 1)

    with unchanged():
        answer = client.post(where, sent)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "What matches has changed since you opened this." in page and "Comment: 4 opportunities" in page
    assert "Seen." in page  # what was typed stays
    again = client.post(where, sent | {"seal": answer.context["selection"].seal})
    assert again.status_code == 302
    assert Comment.objects.count() == 4


def test_the_set_is_fixed_and_what_left_it_since_is_skipped(client, rep, other, settings):
    settings.BULK_AT_ONCE = 1
    mine = drafts(rep, 5)
    run = done(client, address("opportunities", "comment", mine, "state=draft"), text="Seen.")
    mine[0].void(by=rep, reason="Entered twice.")  # it is no draft any more
    now(mine[1]).transfer(to=other, by=rep)  # and that one is out of sight
    drafts(rep, 1)  # and this one came too late
    run_waiting()

    assert outcome(run) == (3, 0, 2, 0)
    assert reasons(run) == {
        "Line 0": "It no longer meets the conditions of the list that it was selected in.",
        "Line 1": "It is not there for you any more.",
    }
    assert Comment.objects.count() == 3


@pytest.mark.case(2)
def test_what_is_out_of_sight_is_neither_named_nor_touched(client, rep, other):
    [mine], [theirs] = drafts(rep, 1), drafts(other, 1, name="Secret")
    where = address("opportunities", "comment", [mine, theirs, 987654321])
    page = client.get(where).content.decode()
    assert "Secret" not in page and "2 of those selected are not there for you any more" in page
    run = done(client, where, text="Seen.")
    assert outcome(run) == (1, 0, 2, 0)
    assert "Secret" not in client.get(f"/bulk/{run.pk}/").content.decode()
    assert [comment.about_id for comment in Comment.objects.all()] == [mine.pk]


@pytest.mark.parametrize("query", ["", "pk=abc", "pk=0", "every=0", "pk=99999999999999999999"])
def test_without_anything_selected_nothing_is_done(client, query):
    where = address("opportunities", "comment", query=query)
    assert "Nothing is selected that is there for you." in client.get(where).content.decode()
    client.post(where, {"text": "Seen."})
    assert not Comment.objects.exists()


def test_too_many_at_once_are_refused(client, rep, settings):
    settings.BULK_MOST = 2
    drafts(rep, 3)
    where = address("opportunities", "comment", query="every=1")
    page = client.get(where)
    assert "That is too many at once. Narrow the list." in page.content.decode()
    answer = client.post(where, {"text": "Seen.", "seal": page.context["selection"].seal})
    assert answer.status_code == 409 and not BulkRun.objects.exists()


def test_sent_twice_it_is_done_once(client, rep):
    mine = drafts(rep, 2)
    where = address("opportunities", "comment", mine)
    sent = {"text": "Seen.", "once": "7c1d3f2e-3f0a-4f0e-9f3e-1d2c3b4a5f60"}
    assert client.post(where, sent)["Location"] == client.post(where, sent)["Location"]
    assert (BulkRun.objects.count(), Comment.objects.count()) == (1, 2)


@pytest.mark.case(34)
def test_sent_again_for_something_else_it_is_asked_about_once_more(client, rep):
    mine, others, once = drafts(rep, 1), drafts(rep, 1, name="Other"), str(uuid4())
    first = client.post(address("opportunities", "comment", mine), {"once": once, "text": "Seen."})
    for where, text in ((address("opportunities", "comment", others), "Seen."), (first.request["PATH_INFO"], "Wait.")):
        where = where if "?" in where else address("opportunities", "comment", mine)
        with unchanged():
            answer = client.post(where, {"once": once, "text": text})
        page = answer.content.decode()
        assert answer.status_code == 409
        assert "This form was confirmed before, for something else." in page and f"{text}</textarea>" in page
        assert answer.context["form"].data["once"] != once and once not in page
    client.post(
        address("opportunities", "comment", others), {"once": answer.context["form"].data["once"], "text": "Ah."}
    )
    assert sorted(Comment.objects.values_list("text", flat=True)) == ["Ah.", "Seen."]


def test_of_two_at_once_each_record_goes_to_one(rep, other):
    third = make.user("third")
    mine = drafts(rep, 12)
    where = address("opportunities", "transfer", mine)

    def send(to):
        client = Client()
        client.force_login(rep)
        return lambda: client.post(where, {"owner_id": to.pk})

    at_once(send(other), send(third))

    runs = list(BulkRun.objects.all())
    assert sorted(sum(outcome(run)[:3]) for run in runs) == [12, 12]
    assert sum(outcome(run)[0] for run in runs) == 12 == Event.objects.filter(kind="transferred").count()
    call_command("verify", stdout=StringIO())


# ── Change ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_what_is_ticked_changes_and_what_is_ticked_and_empty_is_emptied(client, rep):
    source = Source.objects.first()
    mine = drafts(rep, 2)
    now(mine[0]).change(by=rep, source=source, description="Kept.", expected_close_on=date(2026, 12, 1))

    run = done(
        client,
        address("opportunities", "change", mine),
        set_source="on",
        source=source.pk,
        set_expected_close_on="on",
        expected_close_on="",
    )

    first, second = map(now, mine)
    assert (first.source, first.description, first.expected_close_on) == (source, "Kept.", None)
    assert (second.source, second.description) == (source, "")
    assert Event.objects.about(second).first().changes.keys() == {"source"}
    client.post(f"/bulk/{run.pk}/undo/")
    first, second = map(now, mine)
    assert (first.source, first.expected_close_on, second.source) == (source, date(2026, 12, 1), None)


def test_a_stage_is_reached_as_by_its_own_page_and_the_probability_follows_and_comes_back(client, rep):
    typed = make.opportunity(rep, state="active", probability=33)
    plain, pending = make.opportunity(rep, state="active"), make.opportunity(rep, state="reporting")
    signed, draft = make.opportunity(rep, state="signed"), make.opportunity(rep)
    before = {one.pk: (now(one).stage_id, now(one).probability) for one in (typed, plain, draft)}
    target = make.stage("proposal")
    where = address("opportunities", "change", [typed, plain, pending, signed, draft])
    assert "2 of them you cannot change as they stand" in client.get(where).content.decode()

    run = done(client, where, set_stage="on", stage=target.pk)

    assert outcome(run) == (3, 2, 0, 0)
    assert {now(one).stage for one in (typed, plain, draft)} == {target}
    assert (now(typed).probability, now(plain).probability) == (33, target.probability)
    assert [Event.objects.about(one).first().kind for one in (plain, draft)] == ["moved", "changed"]
    assert reasons(run) == {
        pending.name: "This is being approved, so it is locked until it is decided.",
        signed.name: "This opportunity is closed, so it can no longer be changed.",
    }
    client.post(f"/bulk/{run.pk}/undo/")
    assert {pk: (now(one).stage_id, now(one).probability) for one in (typed, plain, draft) for pk in [one.pk]} == before
    assert now(typed).probability_typed and not now(plain).probability_typed
    call_command("verify", stdout=StringIO())


def test_what_was_undone_counts_for_nothing_on_the_way_through_the_stages(client, rep):
    mine = make.opportunity(rep, state="active", expected_close_on=date(2027, 1, 1))
    long_ago = timezone.now() - timedelta(days=40)
    mine.movements.update(at=long_ago)
    Opportunity.objects.update(stage_since=long_ago)

    def figures():
        with timezone.override(organisation_zone()):  # as a page of hers is read, before the first one and after
            page = Page(now(mine), rep)
            return now(mine).stage_since, page.path, [figure.sub for figure in page.figures]

    before = figures()
    where = address("opportunities", "change", [mine])
    first = done(client, where, set_stage="on", stage=make.stage("proposal").pk)
    given = {"set_expected_close_on": "on", "expected_close_on": "2027-02-02"}
    second = done(client, where, set_stage="on", stage=make.stage("negotiation").pk, **given)
    assert "moved once" in str(figures()[2]) and figures()[0] != long_ago

    client.post(f"/bulk/{second.pk}/undo/")
    assert now(mine).stage == make.stage("proposal") and "moved" not in str(figures()[2])
    call_command("verify", stdout=StringIO())

    client.post(f"/bulk/{first.pk}/undo/")
    assert figures() == before
    call_command("verify", stdout=StringIO())
    now(mine).move(stage=make.stage("proposal"), by=rep)  # and what comes then counts
    assert timezone.localdate(now(mine).stage_since) == timezone.localdate()
    call_command("verify", stdout=StringIO())


def test_what_is_being_approved_is_locked_but_for_who_decides_it(client, rep):
    pending = make.opportunity(rep, state="reporting", description="Old.")
    holder = pending.open_task.holder
    where = address("opportunities", "change", [pending])
    page = client.get(where).content.decode()
    assert "This cannot be done to any of them" in page and "btn-primary" not in page.partition("<main")[2]
    run = done(client, where, set_description="on", description="New.")
    assert reasons(run) == {pending.name: "This is being approved, so it is locked until it is decided."}
    assert now(pending).description == "Old."

    decider = signed_in(holder)
    assert "This cannot be done to any of them" not in decider.get(where).content.decode()
    day = {"set_expected_close_on": "on", "expected_close_on": "2027-06-01"}
    assert outcome(done(decider, where, **day)) == (1, 0, 0, 0)
    assert now(pending).expected_close_on == date(2027, 6, 1)


def test_a_run_says_what_was_done_and_why_not_in_the_language_of_who_looks(client, rep):
    mine = [*drafts(rep, 1), make.opportunity(rep, state="active")]
    given = {"set_description": "on", "description": "", "set_stage": "on", "stage": make.stage("first-contact").pk}
    run = done(client, address("opportunities", "change", mine), **given)
    assert outcome(run) == (0, 0, 2, 0)
    for page in ("/bulk/", f"/bulk/{run.pk}/"):
        assert "Stage → First contact, Description → emptied" in client.get(page).content.decode()
    assert "It is so already." in client.get(f"/bulk/{run.pk}/").content.decode()
    comment = done(client, address("opportunities", "comment", mine), text="Ask again in May.\nThen see.")
    assert "Comment: Ask again in May." in client.get(f"/bulk/{comment.pk}/").content.decode()

    type(rep).objects.filter(pk=rep.pk).update(language="zh-hans")
    page = client.get(f"/bulk/{run.pk}/").content.decode()
    assert "已经是这样了。" in page
    assert make.stage("first-contact").names["zh-hans"] in page


def test_the_links_lead_back_to_the_list_though_it_opens_with_a_view(client, rep):
    asked = OpportunityList.asked_by(rep, QueryDict("state=draft"))
    view = SavedView(listing="opportunities", name="Mine", **asked.held)
    view.create(by=rep)
    view.make_default(by=rep)
    [mine] = drafts(rep, 1)
    where = address("opportunities", "comment", [mine], "state=active")
    assert client.get(where).context["listing"].list_url == "/opportunities/?state=active"
    back = client.get(f"/opportunities/{mine.pk}/cell/source/?list=state%3Ddraft").context["back"]
    assert back == "/opportunities/?state=draft"


@pytest.mark.parametrize("method", ["put", "delete", "patch", "options"])
def test_an_undoing_is_looked_at_or_confirmed_and_nothing_else(client, rep, other, method):
    run = done(client, address("opportunities", "transfer", drafts(rep, 1)), owner_id=other.pk)
    assert getattr(client, method)(f"/bulk/{run.pk}/undo/").status_code == 405


def test_what_is_so_already_is_skipped(client, rep):
    mine = drafts(rep, 1)
    run = done(client, address("opportunities", "change", mine), set_description="on", description="")
    assert (outcome(run), reasons(run)) == ((0, 0, 1, 0), {"Line 0": "It is so already."})
    assert not BulkRun.objects.get(pk=run.pk).can_be_undone


class Sent(HTMLParser):
    """What a browser would send of the form on a page where nobody touched it."""

    def __init__(self, page):
        super().__init__()
        self.fields, self._select = {}, None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "select":
            self._select = given["name"]
        elif tag == "option" and self._select and ("selected" in given or self._select not in self.fields):
            self.fields[self._select] = given.get("value", "")  # the first, where none is chosen
        elif tag == "textarea":
            self.fields[given["name"]] = ""
        elif tag == "input" and given.get("name") and (given.get("type") != "checkbox" or "checked" in given):
            self.fields[given["name"]] = given.get("value", "")

    def handle_endtag(self, tag):
        if tag == "select":
            self._select = None


def test_the_page_as_a_browser_sends_it_changes_nothing_but_what_is_ticked(client, rep):
    mine = [make.opportunity(owner=rep), make.opportunity(owner=rep)]
    where = address("opportunities", "change", mine)
    untouched = Sent(client.get(where).content.decode()).fields
    assert untouched["stage"] == ""
    with unchanged():
        assert "Tick what is to change." in client.post(where, untouched).content.decode()

    answer = client.post(where, untouched | {"set_expected_close_on": "on", "expected_close_on": "2026-12-24"})
    assert answer.status_code == 302, answer.context["form"].errors
    assert {now(one).expected_close_on for one in mine} == {date(2026, 12, 24)}
    assert [now(one).stage for one in mine] == [one.stage for one in mine]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Tick what is to change."),
        ({"description": "New"}, "Tick this to change it, or leave it empty."),
        ({"set_stage": "on", "stage": ""}, "This cannot be emptied. Choose one."),
        ({"set_probability": "on", "probability": "500"}, "Write a whole number from 1 to 99."),
        ({"set_expected_close_on": "on", "expected_close_on": "soon"}, "Write a date: 2026-12-01 or 2026年12月1日."),
        ({"set_stage": "on", "stage": "won"}, "Select a valid choice."),
    ],
)
def test_what_cannot_be_comes_back_with_the_reason_and_nothing_changes(client, rep, given, said):
    mine = drafts(rep, 2)
    with unchanged():
        answer = confirm(client, address("opportunities", "change", mine), **given)
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not BulkRun.objects.exists()


def test_what_an_approved_one_needs_cannot_be_emptied_and_the_others_are(client, rep):
    active, draft = make.opportunity(rep, state="active"), make.opportunity(rep)
    run = done(client, address("opportunities", "change", [active, draft]), set_business_type="on", business_type="")
    assert (now(active).business_type is None, now(draft).business_type) == (False, None)
    assert reasons(run) == {active.name: "This cannot be emptied any more."}


# ── Share, comment, follow up, void ──────────────────────────────────────────────────────────────────────────────────


def test_a_share_is_told_of_once_and_not_given_twice(client, rep, other):
    mine = drafts(rep, 3)
    mine[0].share(by=rep, people=[other])
    Message.objects.all().delete()
    run = done(client, address("opportunities", "share", mine), people_id=[other.pk])
    assert outcome(run) == (2, 0, 1, 0)
    assert Opportunity.objects.visible_to(other).count() == 3
    [told] = Message.objects.filter(to=other)
    assert (told.kind, told.data["count"], told.data["may_edit"]) == ("shared_many", 2, False)


def test_each_gets_a_follow_up_record_of_its_own_and_the_next_one(client, rep):
    mine = [*drafts(rep, 2), make.opportunity(rep, state="signed")]
    soon = timezone.localtime(timezone.now() + timedelta(days=3))
    run = done(
        client,
        address("opportunities", "follow-up", mine),
        kind=FollowUpKind.objects.get(key="call").pk,
        content="Sent the season's letter.",
        at=f"{timezone.localtime():%Y-%m-%dT00:01}",
        next_at=f"{soon:%Y-%m-%dT%H:%M}",
    )
    assert outcome(run) == (3, 0, 0, 0)
    assert {one.follow_ups.count() for one in mine} == {2}  # one done, one planned
    assert FollowUp.objects.planned().filter(owner=rep).count() == 3


def test_drafts_and_returned_ones_become_void_and_an_active_one_does_not(client, rep):
    [draft], active = drafts(rep, 1), make.opportunity(rep, state="active")
    returned = make.opportunity(rep, state="returned")
    where = address("opportunities", "void", [draft, active, returned])
    assert "One of them is no draft or returned report of yours" in client.get(where).content.decode()
    with unchanged():
        assert confirm(client, where, reason="").status_code == 200
    run = done(client, where, reason="The tender was cancelled.")
    assert [now(one).state for one in (draft, active, returned)] == [State.VOID, State.ACTIVE, State.VOID]
    assert reasons(run) == {active.name: "This cannot be done now: the opportunity is active."}
    assert not Task.objects.open_about(Opportunity, [returned.pk]).exists()


@pytest.mark.case(3)
def test_who_may_read_alone_is_refused_row_by_row(rep):
    support = signed_in(make.user("gao", "support"))
    mine = [make.opportunity(rep, state="active") for _number in range(2)]
    before = [now(one).version for one in mine]
    run = done(support, address("opportunities", "change", mine), set_description="on", description="Mine.")
    assert outcome(run) == (0, 2, 0, 0)
    assert set(reasons(run).values()) == {"You may not do this."}
    assert [now(one).version for one in mine] == before
    assert {now(one).description for one in mine} == {""}


def test_a_stranger_finds_no_run_and_no_act(client, rep, other):
    run = done(client, address("opportunities", "comment", drafts(rep, 1)), text="Seen.")
    stranger = signed_in(other)
    for method, page in (("get", ""), ("get", "undo/"), ("post", "undo/"), ("post", "stop/"), ("post", "go-on/")):
        assert not_there(stranger, f"/bulk/{run.pk}/{page}", method)
    assert stranger.get(f"/opportunities/bulk/comment/?again={run.pk}").status_code == 404
    assert stranger.get("/opportunities/bulk/explode/?pk=1").status_code == 404
    assert Client().get(f"/bulk/{run.pk}/").status_code == 302  # to sign in


def test_what_was_refused_is_selected_again(client, rep, other):
    pending, [draft] = make.opportunity(rep, state="reporting"), drafts(rep, 1)
    run = done(client, address("opportunities", "transfer", [pending, draft]), owner_id=other.pk)
    page = client.get(f"/bulk/{run.pk}/").content.decode()
    assert f"/opportunities/bulk/comment/?again={run.pk}" in page
    pending.refresh_from_db()
    pending.withdraw(by=rep)
    again = done(client, address("opportunities", "transfer", query=f"again={run.pk}"), owner_id=other.pk)
    assert outcome(again) == (1, 0, 0, 0)
    assert now(pending).owner == other


def test_it_stands_in_the_audit(client, rep):
    run = done(client, address("opportunities", "comment", drafts(rep, 2)), text="Seen.")
    noted = Audit.objects.get(kind="bulk")
    assert noted.by == rep
    assert noted.data == {
        "list": "opportunities", "act": "comment", "run": run.pk, "done": 2, "refused": 0, "skipped": 0, "waiting": 0,
    }  # fmt: skip
