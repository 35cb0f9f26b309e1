"""Follow-ups: planned or done, with the next one set in the same form; ticked off, changed, deleted by their person."""

from datetime import datetime, timedelta
from threading import Barrier, Thread
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from crm.verbs import Gone, NotAllowed, Refused, Stale
from notices.history import Event
from opportunities.models import FollowUp, FollowUpKind, Opportunity
from tests import factories as make
from tests.asserting import not_there, unchanged
from tests.digest import nothing_changed
from tests.importing import checked, counts, imported, refusals, signed_in

pytestmark = pytest.mark.django_db


def soon(**delta):
    """This will give a moment on a whole minute, which is what a form can say."""
    return (timezone.now() + timedelta(**delta)).replace(second=0, microsecond=0)


def written(moment):
    """This will give a moment as a browser sends it, in the time zone of the tests' users."""
    return timezone.localtime(moment, timezone.get_default_timezone()).strftime("%Y-%m-%dT%H:%M")


@pytest.fixture
def rep(client):
    person = make.user(name="Chen Yu", language="en", time_zone="UTC")
    client.force_login(person)
    return person


@pytest.fixture
def opportunity(rep):
    return make.opportunity(rep, name="Leak detection", state="active")


def typed(**changes):
    kind = FollowUpKind.objects.get(key=changes.pop("kind", "call"))
    return {"kind": kind.pk, "content": "Called Ms Ding.", "at": written(timezone.now())} | changes


def kinds_of(record):
    return [event.kind for event in Event.objects.about(record)]


# Added


def test_what_happened_is_added_in_one_form_with_what_comes_next(client, rep, opportunity):
    contact = make.contact(opportunity.customer, name="Ms Ding Yan")
    at, next_at = soon(minutes=-30), soon(days=2)
    answer = client.post(
        f"/opportunities/{opportunity.pk}/follow-up/",
        typed(
            kind="visit",
            at=written(at),
            contact="Ms Ding Yan",
            next_at=written(next_at),
            next_content="Send the offer.",
        ),
        follow=True,
    )

    assert answer.redirect_chain == [(f"/opportunities/{opportunity.pk}/", 302)]
    assert "Follow-up record added." in answer.content.decode()
    following, done = FollowUp.objects.latest_first()
    assert (done.content, done.at, done.done_at, done.owner, done.contact) == ("Called Ms Ding.", at, at, rep, contact)
    assert (following.content, following.at, following.done_at) == ("Send the offer.", next_at, None)
    assert (following.planned_in, following.owner, following.contact, following.kind) == (done, rep, contact, done.kind)
    assert {done.customer, following.customer} == {opportunity.customer}
    opportunity.refresh_from_db()
    assert (opportunity.last_follow_up_at, opportunity.next_follow_up_at) == (at, next_at)
    assert kinds_of(opportunity)[:2] == ["follow_up_planned", "follow_up_added"]


def test_a_moment_ahead_is_a_plan(client, rep, opportunity):
    at = soon(days=1)
    answer = client.post(f"/opportunities/{opportunity.pk}/follow-up/", typed(at=written(at)), follow=True)
    assert "Follow-up planned." in answer.content.decode()
    planned = FollowUp.objects.get()
    assert (planned.at, planned.done_at) == (at, None)
    opportunity.refresh_from_db()
    assert (opportunity.last_follow_up_at, opportunity.next_follow_up_at) == (None, at)


def test_type_and_when_are_filled_in_beforehand(client, rep, opportunity):
    address = f"/opportunities/{opportunity.pk}/follow-up/"
    page = client.get(address).content.decode()
    call = f'<option value="{FollowUpKind.objects.get(key="call").pk}" selected>Call</option>'
    assert call in page
    assert f'value="{written(timezone.now())}"' in page or f'value="{written(soon(minutes=-1))}"' in page
    assert "In the past: it is done. Ahead: it is planned." in page
    client.post(address, typed(kind="meeting"))
    meeting = FollowUpKind.objects.get(key="meeting")
    assert f'<option value="{meeting.pk}" selected>' in client.get(address).content.decode()
    meeting.active = False
    meeting.save()
    assert call in client.get(address).content.decode()


def test_about_a_customer_alone(client, rep):
    customer = make.customer(rep)
    answer = client.post(f"/customers/{customer.pk}/follow-up/", typed())
    assert answer["Location"] == customer.get_absolute_url()
    added = FollowUp.objects.get()
    assert (added.customer, added.opportunity) == (customer, None)
    assert kinds_of(customer)[0] == "follow_up_added"


def test_from_a_contact_the_contact_is_filled_in(client, rep):
    contact = make.contact(make.customer(rep), name="Ms Ding Yan")
    page = client.get(f"/customers/{contact.customer_id}/follow-up/?contact={contact.pk}").content.decode()
    assert 'value="Ms Ding Yan"' in page
    stranger = make.contact(name="Mr Secret")
    page = client.get(f"/customers/{contact.customer_id}/follow-up/?contact={stranger.pk}").content.decode()
    assert "Mr Secret" not in page


def test_a_draft_without_customer_has_follow_ups_that_follow_it_to_its_customer(client, rep):
    draft = make.opportunity(rep, customer=None)
    page = client.get(f"/opportunities/{draft.pk}/follow-up/").content.decode()
    assert ">With<" not in page
    client.post(f"/opportunities/{draft.pk}/follow-up/", typed())
    customer = make.customer(rep)
    draft.change(by=rep, customer=customer)
    assert FollowUp.objects.get().customer == customer


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"content": "   "}, "content", "Fill this in."),
        ({"kind": "999999"}, "kind", "Select a valid choice"),
        ({"at": ""}, "at", "Fill this in."),
        ({"at": "yesterday"}, "at", "Write a date and a time"),
        ({"at": "0000-00-00T00:00"}, "at", "Write a date and a time"),
        ({"contact": "Nobody"}, "contact", "Nothing that you may choose matches"),
        ({"contact": "Mr Elsewhere"}, "contact", "Nothing that you may choose matches"),
        ({"next_at": "2001-01-01T10:00"}, "next_at", "The next follow-up lies ahead"),
        ({"next_content": "Send the offer."}, "next_at", "Say when this is to be done."),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_kept(client, rep, opportunity, wrong, field, said):
    make.contact(make.customer(rep), name="Mr Elsewhere")
    with unchanged():
        answer = client.post(
            f"/opportunities/{opportunity.pk}/follow-up/", typed() | {"content": "Typed text."} | wrong
        )
    assert field in answer.context["form"].errors
    page = answer.content.decode()
    assert said in page
    assert "Typed text." in page or field == "content"


def test_the_same_form_sent_twice_adds_one(client, rep, opportunity):
    address = f"/opportunities/{opportunity.pk}/follow-up/"
    key = client.get(address).context["form"]["once"].value()
    for _press in range(3):
        client.post(address, typed(once=key, next_at=written(soon(days=1))))
    assert FollowUp.objects.count() == 2
    assert kinds_of(opportunity).count("follow_up_added") == 1


@pytest.mark.parametrize("state", ["draft", "reporting", "returned", "signing", "signed", "terminated"])
def test_whatever_its_state_an_opportunity_is_followed_up(client, rep, state):
    opportunity = make.opportunity(rep, state=state)
    client.post(f"/opportunities/{opportunity.pk}/follow-up/", typed())
    assert FollowUp.objects.get().opportunity == opportunity
    opportunity.refresh_from_db()
    assert opportunity.state == state


def readers(opportunity):
    """This will give people who see the opportunity, each with whether they may add to it."""
    owner = opportunity.owner
    viewer, editor = make.user(at="jinan"), make.user(at="jinan")
    opportunity.share(by=owner, people=[viewer])
    opportunity.share(by=owner, people=[editor], may_edit=True)
    return {
        viewer: False,
        editor: True,
        make.user(None, "support", at="hebei"): True,
        make.user(None, "gm", at="hebei"): True,
        make.user(None, "opportunity_manager", at="head-office"): True,
    }


def test_who_may_add_is_what_the_table_says(client, opportunity):
    address = f"/opportunities/{opportunity.pk}/follow-up/"
    for person, may in readers(opportunity).items():
        client.force_login(person)
        if may:
            assert client.post(address, typed(at=written(soon(minutes=-5)))).status_code == 302
            assert FollowUp.objects.latest("id").owner == person
        else:
            with unchanged():
                assert client.get(f"/opportunities/{opportunity.pk}/").status_code == 200
                assert client.get(address).status_code == 403
                assert client.post(address, typed()).status_code == 403
                with pytest.raises(NotAllowed):
                    make.follow_up(opportunity, by=person)


@pytest.mark.case(4)
def test_a_stranger_finds_nothing(client, opportunity):
    follow_up = make.follow_up(opportunity)
    stranger = make.user(at="jinan")
    client.force_login(stranger)
    with unchanged():
        addresses = [f"/opportunities/{opportunity.pk}/follow-up/", f"/customers/{opportunity.customer_id}/follow-up/"]
        addresses += [f"/follow-ups/{follow_up.pk}/{act}/" for act in ("edit", "done", "delete")]
        for address in addresses:
            assert not_there(client, address), address
            assert not_there(client, address, "post"), address
        with pytest.raises(NotAllowed):
            follow_up.change(by=stranger, content="Mine now.")


@pytest.mark.case(4)
def test_in_the_body_no_other_record_is_named(client, rep, opportunity):
    other = make.opportunity()
    client.post(
        f"/opportunities/{opportunity.pk}/follow-up/",
        typed(opportunity=other.pk, customer=other.customer_id, owner=other.owner_id, done_at="", planned_in=1, id=7),
    )
    added = FollowUp.objects.get()
    assert (added.opportunity, added.customer, added.owner) == (opportunity, opportunity.customer, rep)


def test_added_to_what_was_deleted_meanwhile_it_is_refused(rep):
    customer = make.customer(rep)
    follow_up = FollowUp(customer=customer, kind=FollowUpKind.objects.first(), content="Called.", at=timezone.now())
    type(customer).objects.get().delete_(by=rep)
    with unchanged(), pytest.raises(Gone):
        follow_up.add(by=rep)


@pytest.mark.django_db(transaction=True)
def test_added_by_five_at_once_last_and_next_are_true():
    opportunity = make.opportunity()
    together = Barrier(5, timeout=60)

    def add(number):
        mine = Opportunity.objects.get(pk=opportunity.pk)
        together.wait()
        make_follow_up(mine, timezone.now() - timedelta(days=number), timezone.now() + timedelta(days=number + 1))
        connection.close()

    def make_follow_up(about, at, next_at):
        follow_up = FollowUp(opportunity=about, kind=FollowUpKind.objects.first(), content="Called.", at=at)
        follow_up.add(by=about.owner, next_at=next_at)

    threads = [Thread(target=add, args=[number]) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opportunity.refresh_from_db()
    assert FollowUp.objects.count() == 10
    assert opportunity.last_follow_up_at == FollowUp.objects.done().latest("at").at
    assert opportunity.next_follow_up_at == FollowUp.objects.planned().earliest("at").at


# Ticked off


def test_done_opens_the_form_with_the_text_to_complete_and_the_next_one(client, rep, opportunity):
    planned = make.follow_up(opportunity, content="Ask about the budget.", at=soon(days=1))
    page = client.get(f"/follow-ups/{planned.pk}/done/").content.decode()
    assert "Ask about the budget.</textarea>" in page
    at, next_at = soon(minutes=-10), soon(days=3)
    answer = client.post(
        f"/follow-ups/{planned.pk}/done/",
        typed(
            content="Asked: the budget is there.",
            at=written(at),
            next_at=written(next_at),
            next_content="Offer.",
            version=1,
        ),
        follow=True,
    )
    assert "Follow-up done." in answer.content.decode()
    planned.refresh_from_db()
    assert (planned.content, planned.at, planned.done_at) == ("Asked: the budget is there.", at, at)
    assert planned.next.content == "Offer."
    opportunity.refresh_from_db()
    assert (opportunity.last_follow_up_at, opportunity.next_follow_up_at) == (at, next_at)
    assert kinds_of(opportunity)[:2] == ["follow_up_planned", "follow_up_done"]


def test_done_early_it_was_done_now(rep, opportunity):
    planned = make.follow_up(opportunity, at=soon(days=1))
    planned.change(by=rep, done=True)
    assert planned.done_at == planned.at <= timezone.now()


def test_what_is_done_cannot_lie_ahead(client, rep, opportunity):
    planned = make.follow_up(opportunity, at=soon(days=1))
    with unchanged():
        answer = client.post(f"/follow-ups/{planned.pk}/done/", typed(at=written(soon(hours=2)), version=1))
    assert answer.status_code == 409
    assert "What is done cannot lie ahead." in answer.content.decode()


def test_ticked_off_twice_the_second_is_told(client, rep, opportunity):
    planned = make.follow_up(opportunity, at=soon(days=1))
    assert client.post(f"/follow-ups/{planned.pk}/done/", typed(version=1)).status_code == 302
    with unchanged():
        answer = client.post(f"/follow-ups/{planned.pk}/done/", typed(version=1, next_at=written(soon(days=1))))
        assert answer.status_code == 409
        with pytest.raises(Refused):
            planned.change(by=rep, done=True)
    assert "Somebody changed this record after you opened it." in answer.content.decode()


# Changed


def test_its_person_changes_it_and_the_history_of_the_record_says_what(client, rep, opportunity):
    follow_up = make.follow_up(opportunity, content="Called Ms Ding.", at=soon(days=-1))
    at = soon(days=-2)
    page = client.get(f"/follow-ups/{follow_up.pk}/edit/").content.decode()
    assert "Next follow-up" not in page
    answer = client.post(
        f"/follow-ups/{follow_up.pk}/edit/", typed(content="Called Ms Dong.", at=written(at), version=1)
    )
    assert answer["Location"] == f"/opportunities/{opportunity.pk}/"
    follow_up.refresh_from_db()
    assert (follow_up.content, follow_up.at, follow_up.done_at, follow_up.version) == ("Called Ms Dong.", at, at, 2)
    event = Event.objects.about(opportunity).first()
    assert (event.kind, event.changes["content"]) == ("follow_up_changed", ["Called Ms Ding.", "Called Ms Dong."])
    opportunity.refresh_from_db()
    assert opportunity.last_follow_up_at == at


def test_a_plan_is_moved_ahead_and_not_into_the_past(client, rep, opportunity):
    planned = make.follow_up(opportunity, at=soon(days=1))
    with unchanged():
        answer = client.post(f"/follow-ups/{planned.pk}/edit/", typed(at=written(soon(hours=-1)), version=1))
    assert "What is planned lies ahead." in answer.content.decode()
    at = soon(days=5)
    client.post(f"/follow-ups/{planned.pk}/edit/", typed(at=written(at), version=1))
    opportunity.refresh_from_db()
    assert opportunity.next_follow_up_at == at


def test_the_text_of_an_overdue_plan_can_be_put_right_and_it_stays_a_plan(client, rep, opportunity):
    planned = make.follow_up(opportunity, at=soon(days=1))
    overdue = soon(hours=-3)
    FollowUp.objects.update(at=overdue)
    client.post(f"/follow-ups/{planned.pk}/edit/", typed(content="Ask again.", at=written(overdue), version=1))
    planned.refresh_from_db()
    assert (planned.content, planned.done_at) == ("Ask again.", None)


def test_others_who_see_it_may_not_change_it_and_a_manager_may(client, rep, opportunity):
    follow_up = make.follow_up(opportunity)
    for person in readers(opportunity):
        client.force_login(person)
        if person.is_any("opportunity_manager"):
            assert client.post(f"/follow-ups/{follow_up.pk}/edit/", typed(version=1)).status_code == 302
            continue
        with unchanged():
            for act in ("edit", "done", "delete"):
                assert client.get(f"/follow-ups/{follow_up.pk}/{act}/").status_code == 403
                assert client.post(f"/follow-ups/{follow_up.pk}/{act}/", typed()).status_code == 403
            with pytest.raises(NotAllowed):
                follow_up.change(by=person, content="Mine now.")
            with pytest.raises(NotAllowed):
                follow_up.delete_(by=person)


def test_who_lost_sight_of_the_opportunity_lost_sight_of_their_follow_ups(client, opportunity):
    editor = make.user(at="jinan")
    opportunity.share(by=opportunity.owner, people=[editor], may_edit=True)
    planned = make.follow_up(opportunity, by=editor, at=soon(days=1))
    client.force_login(editor)
    assert client.get(f"/follow-ups/{planned.pk}/edit/").status_code == 200
    assert list(FollowUp.objects.due_for(editor, soon(days=2))) == [planned]

    opportunity.unshare(by=opportunity.owner, person=editor)
    assert not_there(client, f"/follow-ups/{planned.pk}/edit/")
    assert not_there(client, f"/follow-ups/{planned.pk}/done/", "post")
    assert list(FollowUp.objects.due_for(editor, soon(days=2))) == []
    assert not FollowUp.objects.permitted(editor, "change")
    with unchanged(), pytest.raises(NotAllowed):
        planned.change(by=editor, content="Still mine.")


def test_a_second_tab_gets_its_text_back(client, rep, opportunity):
    follow_up = make.follow_up(opportunity, content="Called.")
    follow_up.change(by=rep, content="Called at noon.")
    with unchanged():
        answer = client.post(f"/follow-ups/{follow_up.pk}/edit/", typed(content="Called at one.", version=1))
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "Called at one.</textarea>" in page
    assert "Now it says “Called at noon.”." in page
    with unchanged(), pytest.raises(Stale):
        follow_up.change(by=rep, seen=1, content="Called at one.")


def test_a_person_of_another_customer_is_refused_by_the_verb_too(rep, opportunity):
    stranger = make.contact(make.customer(rep))
    follow_up = make.follow_up(opportunity)
    with unchanged():
        with pytest.raises(Refused):
            make.follow_up(opportunity, contact=stranger)
        with pytest.raises(Refused):
            follow_up.change(by=rep, contact=stranger)
    colleague = make.contact(opportunity.customer)
    follow_up.change(by=rep, contact=colleague)
    assert follow_up.contact == colleague


# Deleted


def test_after_a_question_it_is_deleted_and_the_history_keeps_what_it_said(client, rep, opportunity):
    make.follow_up(opportunity, content="First.", at=soon(days=-3))
    follow_up = make.follow_up(opportunity, content="Called Ms Ding.", at=soon(days=-1))
    assert "Delete this follow-up record?" in client.get(f"/follow-ups/{follow_up.pk}/delete/").content.decode()
    answer = client.post(f"/follow-ups/{follow_up.pk}/delete/")
    assert answer["Location"] == f"/opportunities/{opportunity.pk}/"
    assert FollowUp.objects.get().content == "First."
    event = Event.objects.about(opportunity).first()
    assert (event.kind, event.data["content"]) == ("follow_up_deleted", "Called Ms Ding.")
    opportunity.refresh_from_db()
    assert opportunity.last_follow_up_at == FollowUp.objects.get().at
    assert client.post(f"/follow-ups/{follow_up.pk}/delete/").status_code == 404
    with pytest.raises(Gone):
        follow_up.delete_(by=rep)


def test_what_was_planned_in_it_stays(rep, opportunity):
    follow_up = FollowUp(
        opportunity=opportunity, kind=FollowUpKind.objects.first(), content="Called.", at=timezone.now()
    )
    follow_up.add(by=rep, next_at=soon(days=1))
    follow_up.delete_(by=rep)
    following = FollowUp.objects.get()
    assert (following.planned_in, following.content) == (None, "Called.")


# Transferred


def test_what_is_planned_goes_along_to_the_new_person_in_charge_and_what_is_done_stays(rep, opportunity):
    done, planned = make.follow_up(opportunity), make.follow_up(opportunity, at=soon(days=1))
    heir = make.user(at="jinan")
    opportunity.transfer(to=heir, by=rep)
    for follow_up in (done, planned):
        follow_up.refresh_from_db()
    assert (done.owner, planned.owner) == (rep, heir)
    assert list(FollowUp.objects.due_for(heir, soon(days=2))) == [planned]
    planned.change(by=heir, done=True)
    with unchanged(), pytest.raises(NotAllowed):
        done.change(by=rep, content="Not any more.")


# Listed


def test_planned_ones_stand_on_top_the_soonest_first_then_the_latest_done(client, rep, opportunity):
    for content, at in {"D": soon(days=-9), "B": soon(days=5), "C": soon(days=-1), "A": soon(days=2)}.items():
        make.follow_up(opportunity, content=f"{content} entry", at=at)
    page = client.get(f"/opportunities/{opportunity.pk}/follow-ups/").content.decode()
    places = [page.index(f"{letter} entry") for letter in "ABCD"]
    assert places == sorted(places)
    assert page.count('class="entry planned"') == 2


def test_an_entry_offers_what_its_reader_may(client, rep, opportunity):
    make.follow_up(opportunity, at=soon(days=1))
    address = f"/opportunities/{opportunity.pk}/follow-ups/"
    page = client.get(address).content.decode()
    assert "/done/" in page
    assert "/delete/" in page
    client.force_login(make.user(None, "gm", at="hebei"))
    page = client.get(address).content.decode()
    assert "planned by Chen Yu" in page
    assert "/done/" not in page
    assert "/delete/" not in page


def test_a_person_whom_the_reader_does_not_see_is_not_named(client, rep, opportunity):
    contact = make.contact(opportunity.customer, name="Ms Ding Yan")
    make.follow_up(opportunity, contact=contact)
    reader = make.user(at="jinan")
    opportunity.share(by=rep, people=[reader])
    client.force_login(reader)
    address = f"/opportunities/{opportunity.pk}/follow-ups/"
    assert "Ding" not in client.get(address).content.decode()
    opportunity.add_contact(contact=contact, by=rep)
    assert "with Ms Ding Yan" in client.get(address).content.decode()


def test_on_the_customer_one_sees_those_of_the_opportunities_that_one_sees(client, rep):
    customer = make.customer(rep)
    mine, theirs = make.opportunity(rep, customer=customer), make.opportunity(customer=customer)
    make.follow_up(mine, content="Of mine.")
    make.follow_up(theirs, content="Of theirs.")
    make.follow_up(customer, content="Of the customer.")
    page = client.get(f"/customers/{customer.pk}/follow-ups/").content.decode()
    assert "Of mine." in page
    assert "Of the customer." in page
    assert "Of theirs." not in page
    assert mine.name in page


@pytest.mark.parametrize("kind", ["opportunities", "customers", "contacts"])
def test_fifty_cost_no_more_queries_than_one(client, rep, kind):
    costs = []
    for count in (1, 1, 49):
        customer = make.customer(rep)
        contact = make.contact(customer)
        about = make.opportunity(rep, customer=customer)
        for _number in range(count):
            make.follow_up(about, contact=contact)
        pk = {"opportunities": about, "customers": customer, "contacts": contact}[kind].pk
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/{kind}/{pk}/follow-ups/").status_code == 200
        costs.append(len(queries))
    assert costs[1] == costs[2] <= 10


@pytest.mark.case(14)
def test_the_history_names_no_contact_to_those_who_see_the_opportunity_alone(client):
    opportunity = make.opportunity(state="active")
    first, second = (make.contact(opportunity.customer, name=name) for name in ("Ding Yan", "Meng Jie"))
    follow_up = make.follow_up(opportunity, contact=first)
    follow_up.change(by=opportunity.owner, contact=second, content="Called twice.")
    guest = make.user(at="jinan")
    opportunity.share(by=opportunity.owner, people=[guest])

    client.force_login(guest)
    for page in ("", "history/", "follow-ups/"):
        html = client.get(f"/opportunities/{opportunity.pk}/{page}").content.decode()
        assert "Called twice." in html
        assert "Ding Yan" not in html
        assert "Meng Jie" not in html


# ── Many at once, from a file ────────────────────────────────────────────────────────────────────────────────────────


def told(follow_up):
    """This will give everything about a follow-up but its key and moments of entry, with what its record keeps."""
    follow_up.refresh_from_db()
    skipped = {"id", "opportunity", "created_at"}
    fields = {f.attname: getattr(follow_up, f.attname) for f in FollowUp._meta.fields if f.name not in skipped}
    opportunity = follow_up.opportunity
    opportunity.refresh_from_db()
    events = [(event.kind, event.by_id, event.data.get("type")) for event in Event.objects.about(opportunity)]
    return fields, events, opportunity.last_follow_up_at, opportunity.next_follow_up_at, opportunity.version


class TestBulkTwin(TestCase):
    @settings(max_examples=15, deadline=None)
    @given(days=st.lists(st.tuples(st.integers(0, 1), st.integers(-30, 30)), min_size=1, max_size=6))
    def test_adding_many_gives_what_adding_each_gives(self, days):
        rep, now = make.user(), timezone.now()
        kind = FollowUpKind.objects.get(key="visit")
        customer = make.customer(rep)
        sides = []
        for _side in range(2):
            about = [make.opportunity(rep, state="active", name=f"O{n}", customer=customer) for n in range(2)]
            sides.append(
                [
                    FollowUp(
                        opportunity=about[which], kind=kind, content=f"C{n}", at=now + timedelta(days=day, hours=1)
                    )
                    for n, (which, day) in enumerate(days)
                ]
            )
        singles, many = sides
        for single in singles:
            single.add(by=rep)
        FollowUp.add_all(many, by=rep)
        assert [told(single) for single in singles] == [told(one) for one in many]


@pytest.mark.django_db(transaction=True)
def test_follow_ups_come_in_from_a_file_once(rep, tmp_path, settings):
    settings.MEDIA_ROOT = tmp_path
    type(rep).objects.filter(pk=rep.pk).update(time_zone="Asia/Shanghai")
    one = make.opportunity(rep, state="active", name="Dispatch hotline")
    make.opportunity(make.user(at="jinan"), state="active", name="Somebody else's")
    file = f"""商机,跟进时间,跟进内容,跟进方式
Dispatch hotline,2026-10-01 16:20:00,Called about the timetable.,电话
{one.number},2026年10月2日,Visited them.,visit
{one.number},2099-01-02 10:00,Offer the pilot.,
Somebody else's,2026-10-01,x,call
Dispatch hotline,soon,y,call
Dispatch hotline,2026-10-01,,call
Dispatch hotline,2026-10-01,z,smoke signal
"""
    run = imported(signed_in(rep), "follow_ups", file)
    assert counts(run) == (3, 0, 0, 0, 4)
    assert [row for row, *_rest in refusals(run)] == [5, 6, 7, 8]
    first, second, planned = FollowUp.objects.order_by("at")
    zone = ZoneInfo("Asia/Shanghai")
    assert (first.at, second.at) == (datetime(2026, 10, 1, 16, 20, tzinfo=zone), datetime(2026, 10, 2, 9, tzinfo=zone))
    assert [entry.kind.key for entry in (first, second, planned)] == ["call", "visit", FollowUpKind.objects.first().key]
    assert planned.done_at is None
    one.refresh_from_db()
    assert one.last_follow_up_at == second.at
    assert checked(signed_in(rep), "follow_ups", file).unchanged == 3
    assert "Import Follow-up Records" in signed_in(rep).get("/opportunities/").content.decode()


def test_many_are_added_where_one_may_or_none_at_all(rep):
    mine, other = make.opportunity(rep), make.opportunity(make.user(at="jinan"), state="active")
    kind = FollowUpKind.objects.get(key="visit")
    many = [FollowUp(opportunity=one, kind=kind, content="x", at=timezone.now()) for one in (mine, other)]
    with nothing_changed(), pytest.raises(NotAllowed):
        FollowUp.add_all(many, by=rep)
    gone = FollowUp(opportunity_id=10**9, kind=kind, content="x", at=timezone.now())
    with nothing_changed(), pytest.raises(Gone):
        FollowUp.add_all([gone], by=rep)
