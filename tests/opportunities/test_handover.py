"""Handover: all that somebody has in hand goes to others, record by record, and nothing is reset."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from approvals.models import Route, RouteVersion, Task
from crm import holding
from crm.jobs import Job, run_waiting
from crm.models import Audit, User
from crm.verbs import NotAllowed, Refused
from notices.history import Event
from notices.models import Message
from opportunities import handover
from opportunities.models import FollowUp, Signing
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    person = make.user("admin", "administrator", at="head-office", name="Wang Fang")
    client.force_login(person)
    return person


@pytest.fixture
def leaver():
    return make.user("leaver", name="Chen Yu")


@pytest.fixture
def to():
    return make.user("heir", name="Sun Qi")


def address(leaver, job=None):
    return f"/people/{leaver.pk}/handover/" + (f"{job.pk}/" if job else "")


def everything(to):
    return {kind.key: to for kind in handover.KINDS}


def hand_over(leaver, to, by):
    """This will hand everything over at once, and give the job."""
    job = handover.start(leaver, to=everything(to), by=by)
    run_waiting()
    job.refresh_from_db()
    return job


def named_in_a_route(person):
    """This will publish a version of the shipped route for termination that names `person`."""
    route = Route.objects.get(key="terminate")
    draft = route.revise()
    draft.steps.get().people.add(person)
    draft.publish(by=make.user(None, "administrator"))
    return route


def a_life(leaver):
    """This will put some of everything into the hands of `leaver`, who is a deputy GM too."""
    leaver.roles.add(make.Role.objects.get(key="deputy_gm"))
    other = make.user("other", "rep")
    made = {state: make.opportunity(leaver, state=state) for state in ("draft", "returned", "active", "signing")}
    made["signed"] = make.opportunity(leaver, state="signed")
    make.follow_up(made["active"], at=timezone.now() + timedelta(days=2))
    make.follow_up(made["active"])
    theirs = make.opportunity(other, state="active")
    theirs.share(by=other, people=[leaver], may_edit=True)
    make.follow_up(theirs, by=leaver, at=timezone.now() + timedelta(days=3))
    waiting = make.opportunity(other, name="Waiting")
    waiting.report(by=other, approver=leaver)
    named_in_a_route(leaver)
    make.contact(made["active"].customer)
    return made | {"theirs": theirs, "waiting": waiting}


def test_everything_goes_and_the_leaver_holds_nothing(client, admin, leaver, to):
    made = a_life(leaver)
    second = make.user("second", "deputy_gm")

    page = client.get(address(leaver)).content.decode()
    assert made["active"].name in page and "Waiting" in page
    data = {"to": "Sun Qi"} | {f"take_{kind.key}": "on" for kind in handover.KINDS}
    answer = client.post(address(leaver), data)
    job = Job.objects.get(kind="handover")
    assert answer["Location"] == address(leaver, job)
    run_waiting()

    job.refresh_from_db()
    assert (job.state, job.result["refused"]) == ("done", [])
    assert holding.held_by(leaver) == []
    for state in ("draft", "returned", "active", "signing"):
        before = made[state].state
        made[state].refresh_from_db()
        assert (made[state].owner, made[state].state, made[state].customer.owner) == (to, before, to)
    assert made["active"].customer.contacts.get().owner == to
    assert Task.objects.open_for(to).get().kind == "revise"
    assert made["waiting"].open_task.holder != leaver
    assert set(FollowUp.objects.planned().values_list("owner", flat=True)) == {to.pk}
    assert made["theirs"].user_shares.get().user == to
    assert made["theirs"].user_shares.get().permission.codename == "change_opportunity"
    assert to in RouteVersion.in_force("terminate")[0].steps.get().people.all()
    assert second  # a deputy was there to decide what waited
    out = StringIO()
    call_command("verify", stdout=out)
    assert out.getvalue() == "Everything holds.\n"

    summary = client.get(address(leaver, job)).content.decode()
    assert "Chen Yu has nothing in hand any more." in summary
    assert made["active"].name in summary


def test_history_says_who_handed_over_and_the_receiver_hears_of_it_once(admin, leaver, to):
    opportunities = [make.opportunity(leaver, state="active") for _number in range(3)]

    job = hand_over(leaver, to, admin)

    for opportunity in opportunities:
        event = Event.objects.about(opportunity).first()
        assert (event.kind, event.by) == ("transferred", admin)
    assert [message.kind for message in Message.objects.filter(to=to)] == ["handed_over"]
    noted = Audit.objects.get(kind="handed_over")
    assert (noted.by, noted.data["user"], noted.data["refused"], noted.data["job"]) == (admin, "leaver", 0, job.pk)
    assert noted.data["moved"] == {"opportunities": 3, "customers": 3}


def test_what_was_signed_stays_whose_it_was(admin, leaver, to):
    signed = make.opportunity(leaver, state="signed")
    make.opportunity(leaver, state="active")

    hand_over(leaver, to, admin)

    signed.refresh_from_db()
    assert (signed.owner, Signing.objects.get().owner) == (leaver, leaver)


def test_each_kind_may_have_a_receiver_of_its_own_and_what_is_not_ticked_stays(client, admin, leaver, to):
    active, second = make.opportunity(leaver, state="active"), make.user("second", name="Li Na")
    make.follow_up(active.customer, at=timezone.now() + timedelta(days=2))
    data = {"to": "Sun Qi", "take_customers": "on", "to_customers": "Li Na"}

    client.post(address(leaver), data)
    run_waiting()

    active.refresh_from_db()
    assert (active.owner, active.customer.owner) == (leaver, second)
    assert holding.said(holding.held_by(leaver)) == "1 open opportunity"


def test_what_cannot_move_is_listed_with_the_reason_and_does_not_stop_the_rest(client, admin, leaver, to):
    leaver.roles.set(make.Role.objects.filter(key="deputy_gm"))
    waiting = make.opportunity(make.user("other"), name="Waiting")
    waiting.report(by=waiting.owner, approver=leaver)
    route = named_in_a_route(leaver)
    route.revise()  # somebody writes a version
    active = make.opportunity(leaver, state="active")
    User.objects.exclude(pk=leaver.pk).filter(roles__key="deputy_gm").update(is_active=False)

    job = hand_over(leaver, to, admin)

    active.refresh_from_db()
    assert active.owner == to
    refused = {line["label"]: line["why"] for line in job.result["refused"]}
    assert refused.keys() == {str(route), "Waiting"}
    assert "Nobody else in Shijiazhuang" in refused["Waiting"]
    assert waiting.open_task.holder == leaver
    page = client.get(address(leaver, job)).content.decode()
    assert "What could not move" in page and "Chen Yu still has 2 things in hand." in page


def test_a_published_version_never_changes(admin, leaver, to):
    route = named_in_a_route(leaver)
    published = route.versions.first()

    hand_over(leaver, to, admin)

    assert leaver in published.steps.get().people.all()
    assert route.versions.first().number == published.number + 1
    assert list(route.versions.first().steps.get().people.all()) == [to]


def test_who_was_to_decide_and_now_is_in_charge_is_replaced_by_another_who_may(admin, leaver):
    opportunity = make.opportunity(leaver, state="signing")
    deputy, other = opportunity.open_task.holder, make.user(None, "gm")

    hand_over(leaver, deputy, admin)

    task = opportunity.open_task
    assert task.holder == other
    assert task.holder_is_able()


def test_a_planned_follow_up_goes_to_who_is_in_charge_where_the_receiver_sees_nothing_of_it(admin, leaver):
    theirs = make.opportunity(make.user("other"), state="active")
    theirs.share(by=theirs.owner, people=[leaver], may_edit=True)
    planned = make.follow_up(theirs, by=leaver, at=timezone.now() + timedelta(days=3))
    stranger = make.user("stranger", at="jinan")
    job = handover.start(leaver, to={"follow_ups": stranger}, by=admin)
    run_waiting()

    job.refresh_from_db()
    planned.refresh_from_db()
    assert planned.owner == theirs.owner
    assert job.result["moved"] == {"follow_ups": 1}


def test_a_share_to_edit_is_not_lessened_and_the_owner_needs_none(admin, leaver, to):
    first, second = make.opportunity(make.user("other"), state="active"), make.opportunity(to, state="active")
    first.share(by=first.owner, people=[to], may_edit=True)
    for one in (first, second):
        one.share(by=one.owner, people=[leaver])

    hand_over(leaver, to, admin)

    assert [(share.user, share.permission.codename) for share in first.user_shares.all()] == [
        (to, "change_opportunity")
    ]
    assert not second.user_shares.exists()


def test_asked_for_again_there_is_nothing_to_do(client, admin, leaver, to):
    make.opportunity(leaver, state="active")
    hand_over(leaver, to, admin)

    with nothing_changed(), pytest.raises(Refused, match="nothing of this in hand"):
        handover.start(leaver, to=everything(to), by=admin)
    assert "has nothing in hand" in client.get(address(leaver)).content.decode()


def test_two_at_once_are_one(client, admin, leaver, to):
    make.opportunity(leaver, state="active")
    job = handover.start(leaver, to=everything(to), by=admin)

    with pytest.raises(Refused, match="under way already"):
        handover.start(leaver, to=everything(to), by=admin)
    assert client.get(address(leaver))["Location"] == address(leaver, job)
    assert "waiting for its turn" in client.get(address(leaver, job), headers={"HX-Request": "true"}).content.decode()


def test_broken_off_it_goes_on(admin, leaver, to):
    opportunities = [make.opportunity(leaver, state="active") for _number in range(2)]
    opportunities[0].transfer(to=to, by=admin)
    job = handover.start(leaver, to=everything(to), by=admin)
    first = {"moved": {"opportunities": 1}, "shown": {}, "told": {}}  # as a killed worker left it
    Job.objects.filter(pk=job.pk).update(result=first)

    run_waiting()

    job.refresh_from_db()
    assert job.result["moved"] == {"opportunities": 2, "customers": 2}
    assert holding.held_by(leaver) == []


def test_nobody_but_an_administrator_may(client, admin, leaver, to):
    make.opportunity(leaver, state="active")
    job = handover.start(leaver, to=everything(to), by=admin)
    for person in (leaver, make.user(None, "gm"), make.user(None, "opportunity_manager", at="head-office")):
        client.force_login(person)
        with nothing_changed():
            assert client.get(address(leaver)).status_code == 403
            assert client.post(address(leaver), {"to": "Sun Qi"}).status_code == 403
            assert client.get(address(leaver, job)).status_code == 403
            with pytest.raises(NotAllowed):
                handover.start(leaver, to=everything(to), by=person)


def test_it_runs_with_the_rights_that_the_administrator_has_then(admin, leaver, to):
    opportunity = make.opportunity(leaver, state="active")
    job = handover.start(leaver, to=everything(to), by=admin)
    admin.roles.clear()

    run_waiting()

    job.refresh_from_db()
    opportunity.refresh_from_db()
    assert (job.state, opportunity.owner) == ("failed", leaver)


def test_a_receiver_who_cannot_be_put_in_charge_is_refused_at_the_field(client, admin, leaver):
    make.opportunity(leaver, state="active")
    make.user("gone", name="Gone", is_active=False)
    for wrong in ("", "Gone", "Chen Yu", "nobody", "\0"):
        with nothing_changed():
            answer = client.post(address(leaver), {"to": wrong, "take_opportunities": "on"})
        assert list(answer.context["form"].errors) == ["to"], wrong
    with nothing_changed():
        assert "Tick what is to be" in client.post(address(leaver), {"to": "admin"}).content.decode()
    assert client.get("/people/987654/handover/").status_code == 404


def test_a_summary_belongs_to_its_person(client, admin, leaver, to):
    make.opportunity(leaver, state="active")
    job = hand_over(leaver, to, admin)
    assert client.get(address(to, job)).status_code == 404
