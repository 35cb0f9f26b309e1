"""Modify: by whom, what the history keeps, not over what somebody else wrote, and what an approval freezes."""

from decimal import Decimal

import pytest

from crm.models import Role, User
from crm.verbs import NotAllowed, Refused
from notices.history import Event
from opportunities.models import BusinessType, Movement, Opportunity, Source, Stage
from tests import factories as make
from tests.digest import nothing_changed
from tests.opportunities.acts import address, in_state, typed, version

pytestmark = pytest.mark.django_db


@pytest.fixture
def opportunity():
    return in_state("active")


def send(client, opportunity, **changes):
    return client.post(address(opportunity, "edit"), typed(opportunity, **changes))


def last_event(opportunity):
    return Event.objects.about(opportunity).first()


def test_the_history_keeps_who_when_and_old_to_new(client, opportunity):
    client.force_login(opportunity.owner)
    security = BusinessType.objects.get(key="security")
    send(client, opportunity, amount="12.8万", business_type=security.pk, description="Two lines.")

    event = last_event(opportunity)
    assert (event.kind, event.by) == ("changed", opportunity.owner)
    assert event.changes["amount"] == ["100000.00", "128000.00"]
    assert event.changes["business_type"][1] == {"id": security.pk, "label": security.names}
    assert event.changes["description"] == ["", "Two lines."]
    assert set(event.changes) == {"amount", "business_type", "description"}


def test_what_sums_are_made_of_leaves_a_movement_and_a_new_name_does_not(client, opportunity):
    client.force_login(opportunity.owner)
    moved = Movement.objects.filter(opportunity=opportunity)
    before = moved.count()

    send(client, opportunity, name="Another name")
    assert moved.count() == before
    send(client, opportunity, name="Another name", amount="128000")
    opportunity.refresh_from_db()
    assert moved.count() == before + 1
    assert moved.latest("pk").base_cents == 12_800_000 == opportunity.base_cents


def test_saving_what_is_there_already_writes_nothing(client, opportunity):
    client.force_login(opportunity.owner)
    with nothing_changed():
        assert send(client, opportunity).status_code == 302


def test_the_approved_amount_stays_beside_a_new_one(client, opportunity):
    client.force_login(opportunity.owner)
    send(client, opportunity, amount="128000")
    opportunity.refresh_from_db()
    assert (opportunity.amount, opportunity.approved_amount) == (Decimal(128000), Decimal(100000))
    assert "¥100,000" in client.get(address(opportunity)).content.decode()


@pytest.mark.parametrize(("changes", "probability", "is_typed"), [
    ({"stage": "proposal"}, 60, False),
    ({"stage": "proposal", "probability": "75"}, 75, True),
    ({"probability": "35"}, 35, True),
])  # fmt: skip
def test_the_probability_follows_the_stage_unless_it_is_typed(client, opportunity, changes, probability, is_typed):
    client.force_login(opportunity.owner)
    if "stage" in changes:
        changes = changes | {"stage": make.stage(changes["stage"]).pk}
    send(client, opportunity, **changes)
    opportunity.refresh_from_db()
    assert (opportunity.probability, opportunity.probability_typed) == (probability, is_typed)


def test_a_typed_probability_stays_with_a_new_stage_and_an_emptied_one_follows_again(client, opportunity):
    client.force_login(opportunity.owner)
    send(client, opportunity, probability="35")
    opportunity.refresh_from_db()
    send(client, opportunity, stage=make.stage("proposal").pk)
    opportunity.refresh_from_db()
    assert opportunity.probability == 35
    send(client, opportunity, probability="")
    opportunity.refresh_from_db()
    assert (opportunity.probability, opportunity.probability_typed) == (60, False)


def test_what_a_report_needed_cannot_be_emptied_any_more(client, opportunity):
    client.force_login(opportunity.owner)
    for name in ("business_type", "amount", "expected_close_on"):
        with nothing_changed():
            answer = send(client, opportunity, **{name: ""})
        assert [str(one) for one in answer.context["form"].errors[name]] == ["This cannot be emptied any more."]
    assert send(client, opportunity, source="").status_code == 302


def test_a_draft_may_be_emptied_but_for_its_name(client):
    draft = in_state("draft")
    client.force_login(draft.owner)
    assert send(client, draft, customer="", customer_id="", amount="", business_type="").status_code == 302
    draft.refresh_from_db()
    assert (draft.customer, draft.amount) == (None, None)
    with nothing_changed():
        assert list(send(client, draft, name="").context["form"].errors) == ["name"]


@pytest.mark.case(29)
def test_won_and_lost_are_not_reached_by_editing(client, opportunity):
    client.force_login(opportunity.owner)
    for key in ("won", "lost"):
        with nothing_changed():
            assert "stage" in send(client, opportunity, stage=make.stage(key).pk).context["form"].errors
        with nothing_changed(), pytest.raises(Refused):
            opportunity.change(by=opportunity.owner, stage=make.stage(key))


@pytest.mark.parametrize("probability", [0, 100, 101])
def test_an_open_stage_takes_1_to_99_per_cent_from_every_door(opportunity, probability):
    with nothing_changed(), pytest.raises(Refused):
        opportunity.change(by=opportunity.owner, probability=probability)
    opportunity.change(by=opportunity.owner, probability=99)


def test_a_new_customer_takes_the_follow_ups_along_and_the_old_ones_people_go(opportunity):
    old = opportunity.customer
    follow_up = make.follow_up(opportunity)
    opportunity.add_contact(by=opportunity.owner, contact=old.contacts.get())
    new = make.customer(opportunity.owner)

    opportunity.change(by=make.user(None, "opportunity_manager", at="head-office"), customer=new)

    follow_up.refresh_from_db()
    assert follow_up.customer == new
    assert not opportunity.placements.exists()


# Somebody else wrote meanwhile


@pytest.mark.case(30)
def test_a_stale_form_keeps_the_typed_text_shows_both_and_saves_when_sent_again(client, opportunity):
    client.force_login(opportunity.owner)
    stale = typed(opportunity, description="What I wrote.", name="My name for it")
    manager = make.user(None, "opportunity_manager", at="head-office")
    opportunity.change(by=manager, description="What the manager wrote.", source=Source.objects.get(key="visit"))

    with nothing_changed():
        answer = client.post(address(opportunity, "edit"), stale)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "What I wrote." in page
    assert "Now it says “What the manager wrote.”" in page
    assert "My name for it" in page

    again = stale | {"version": answer.context["form"]["version"].value(), "source": opportunity.source_id}
    assert client.post(address(opportunity, "edit"), again).status_code == 302
    opportunity.refresh_from_db()
    assert (opportunity.name, opportunity.description) == ("My name for it", "What I wrote.")
    assert last_event(opportunity).changes["description"] == ["What the manager wrote.", "What I wrote."]


@pytest.mark.case(32)
def test_save_edit_save_again_without_reloading_the_list_works(client, opportunity):
    client.force_login(opportunity.owner)
    assert send(client, opportunity, name="One").status_code == 302
    opportunity.refresh_from_db()
    assert send(client, opportunity, name="Two").status_code == 302


# Who may


def test_whoever_it_is_shared_with_to_edit_may_but_not_submit(client):
    draft = in_state("draft")
    guest = make.user("guest", at="jinan")
    draft.share(by=draft.owner, people=[guest], may_edit=True)
    client.force_login(guest)

    page = client.get(address(draft, "edit")).content.decode()
    assert "Submit for approval" not in page
    with nothing_changed():
        answer = send(client, draft, act="submit", approver=make.approver(draft).pk)
        assert answer.status_code == 403
    assert send(client, draft, name="Another name").status_code == 302


@pytest.mark.parametrize("roles", [["gm"], ["deputy_gm"], ["director"], ["support"]])
def test_superiors_see_and_may_not(client, opportunity, roles):
    client.force_login(make.user(None, *roles))
    assert client.get(address(opportunity)).status_code == 200
    with nothing_changed():
        assert client.get(address(opportunity, "edit")).status_code == 403
        assert send(client, opportunity, name="Another name").status_code == 403


@pytest.mark.parametrize("roles", [["opportunity_manager"], ["administrator"]])
def test_managers_may(client, opportunity, roles):
    client.force_login(make.user(None, *roles, at="head-office"))
    assert send(client, opportunity, name="Another name").status_code == 302


# While an approval is pending


@pytest.mark.parametrize("state", ["reporting", "signing", "terminating"])
def test_what_is_being_approved_is_locked_for_its_owner_and_managers(client, state):
    opportunity = in_state(state)
    for person in (opportunity.owner, make.user(None, "opportunity_manager", at="head-office")):
        client.force_login(person)
        with nothing_changed():
            assert client.get(address(opportunity, "edit")).status_code == 409
            answer = send(client, opportunity, amount="999", description="What I wrote.")
            assert answer.status_code == 409
            assert "locked until it is decided" in answer.content.decode()
            assert "What I wrote." in answer.content.decode()
        for name, value in (("amount", 999), ("name", "Another"), ("expected_close_on", None)):
            with nothing_changed(), pytest.raises(Refused):
                opportunity.change(by=person, **{name: value})


def test_the_holder_of_the_task_edits_what_is_frozen_and_it_is_kept_as_the_difference(client):
    opportunity = in_state("reporting")
    task = opportunity.open_task
    client.force_login(task.holder)
    page = client.get(address(opportunity, "edit"))
    assert "Edit before approving" in page.content.decode()
    assert "description" not in page.context["form"].fields

    answer = send(client, opportunity, amount="90000")

    assert answer["Location"] == f"/tasks/{task.pk}/"
    opportunity.refresh_from_db()
    task.refresh_from_db()
    assert opportunity.amount == 90000
    assert task.edits == {"amount": ["100000.00", "90000.00"]}
    client.force_login(opportunity.owner)
    task.finish(by=task.holder, seen=version(opportunity))
    page = client.get(address(opportunity)).content.decode()
    history = page[page.index('id="approvals"') : page.index('id="history"')]
    assert "¥100,000" in history and "¥90,000" in history


def test_the_holder_edits_nothing_else(client):
    opportunity = in_state("reporting")
    client.force_login(opportunity.open_task.holder)
    with nothing_changed():
        assert send(client, opportunity, description="Mine.", source="").status_code == 302
    with nothing_changed(), pytest.raises(NotAllowed):
        opportunity.change(by=opportunity.open_task.holder, description="Mine.")


def test_a_holder_who_lost_the_role_edits_nothing(client):
    opportunity = in_state("reporting")
    holder = opportunity.open_task.holder
    client.force_login(holder)
    sent = typed(opportunity, amount="90000")
    holder.roles.clear()
    with nothing_changed():
        assert client.get(address(opportunity, "edit")).status_code == 409
        assert client.post(address(opportunity, "edit"), sent).status_code == 409


def test_the_holder_puts_the_figures_of_a_signing_right(client):
    opportunity = in_state("signing")
    task = opportunity.open_task
    before = task.round.form
    client.force_login(task.holder)
    figures = {"contract_number": "HB-2026-0413", "signed_amount": "98000", "term": "24"}

    assert send(client, opportunity, signed_on=before["signed_on"], **figures).status_code == 302

    task.refresh_from_db()
    assert task.round.form["signed_amount"] == "98000.00"
    assert task.edits["contract_number"] == [before["contract_number"], "HB-2026-0413"]
    assert set(task.edits) == {"contract_number", "signed_amount", "term"}
    assert last_event(opportunity).kind == "amended"
    task.finish(by=task.holder, seen=version(opportunity))
    assert Opportunity.objects.get(pk=opportunity.pk).signing.amount == 98000


def test_the_holder_puts_the_reason_to_terminate_right(client):
    opportunity = in_state("terminating")
    task = opportunity.open_task
    client.force_login(task.holder)
    price = make.LostReason.objects.get(key="price")

    assert send(client, opportunity, reason=price.pk, note="Twelve per cent above.").status_code == 302

    task.finish(by=task.holder, seen=version(opportunity))
    opportunity.refresh_from_db()
    assert (opportunity.lost_reason, opportunity.closing_note) == (price, "Twelve per cent above.")


def test_nobody_but_the_holder_amends_what_is_asked_for():
    opportunity = in_state("signing")
    figures = {"contract_number": "X", "signed_amount": 1, "signed_on": make.organisation_today(), "term": None}
    for person in (opportunity.owner, make.user(None, "gm"), make.user(None, "administrator", at="head-office")):
        with nothing_changed(), pytest.raises(NotAllowed):
            opportunity.amend(by=person, **figures)
    opportunity.amend(by=opportunity.open_task.holder, **figures)


def test_amending_back_to_what_was_asked_leaves_no_difference():
    opportunity = in_state("signing")
    task = opportunity.open_task
    asked = task.round.form
    day = make.organisation_today()
    figures = {"contract_number": asked["contract_number"], "signed_on": day, "term": asked["term"]}
    opportunity.amend(by=task.holder, signed_amount=1, **figures)
    opportunity.amend(by=task.holder, signed_amount=Decimal(asked["signed_amount"]), **figures)
    task.refresh_from_db()
    assert task.edits == {}


def test_a_draft_can_be_submitted_from_its_form(client):
    draft = in_state("draft")
    deputy = make.approver(draft)
    client.force_login(draft.owner)
    with nothing_changed():
        answer = send(client, draft, act="submit", amount="", approver=deputy.pk)
        assert list(answer.context["form"].errors) == ["amount"]
    assert send(client, draft, act="submit", amount="45万", approver=deputy.pk).status_code == 302
    draft.refresh_from_db()
    assert (draft.state, draft.amount) == ("reporting", 450000)
    kinds = [event.kind for event in Event.objects.about(draft).order_by("id")]
    assert kinds == ["created", "changed", "reported"]


def test_a_draft_that_is_submitted_as_it_stands_was_not_changed(client):
    draft = in_state("draft")
    client.force_login(draft.owner)
    assert send(client, draft, act="submit", approver=make.approver(draft).pk).status_code == 302
    assert [event.kind for event in Event.objects.about(draft)] == ["reported", "created"]


def test_a_draft_that_somebody_else_changed_meanwhile_is_not_submitted_as_it_stood(client):
    draft = in_state("draft")
    deputy = make.approver(draft)
    client.force_login(draft.owner)
    before = typed(draft, act="submit", approver=deputy.pk)
    draft.change(by=draft.owner, amount=999)
    draft.change(by=draft.owner, amount=before["amount"])
    with nothing_changed():
        answer = client.post(address(draft, "edit"), before)
    assert answer.status_code == 409
    choices = answer.context["form"]["approver"].field.widget.choices
    assert [key for key, _label in choices] == [str(deputy.pk)]


def test_an_approver_who_is_not_in_the_route_brings_a_draft_back_with_those_who_are(client):
    draft = in_state("draft")
    deputy, stranger = make.approver(draft), make.user(None, "gm")
    client.force_login(draft.owner)
    with nothing_changed():
        form = send(client, draft, act="submit", approver=stranger.pk).context["form"]
    assert form.errors == {"approver": ["This approver is not in the route. Choose one of those listed."]}
    assert [key for key, _label in form["approver"].field.widget.choices] == [str(deputy.pk)]


def test_a_report_costs_few_queries(client, django_assert_max_num_queries):
    owner = make.user()
    for draft in (make.opportunity(owner), make.opportunity(owner)):  # what is read once for all is read with the first
        sent = typed(draft, act="submit", approver=make.approver(draft).pk)
        client.force_login(owner)
        with django_assert_max_num_queries(28):
            assert client.post(address(draft, "edit"), sent).status_code == 302


def test_a_refused_submission_keeps_the_old_values_too(client):
    draft = in_state("draft")
    client.force_login(draft.owner)
    with nothing_changed():
        send(client, draft, act="submit", amount="45万", approver=draft.owner_id)


def test_a_returned_report_is_resubmitted_to_whoever_returned_it(client):
    opportunity = in_state("returned")
    deputy = make.approver(opportunity)
    make.user(None, "deputy_gm")
    client.force_login(opportunity.owner)
    page = client.get(address(opportunity, "edit"))
    assert "Resubmit" in page.content.decode()
    assert [key for key, _label in page.context["form"]["approver"].field.widget.choices] == [str(deputy.pk)]

    send(client, opportunity, act="submit", description="It is Ms Ding.", approver=deputy.pk, comment="Named.")

    opportunity.refresh_from_db()
    round_ = opportunity.open_task.round
    assert (opportunity.state, round_.number, round_.comment) == ("reporting", 2, "Named.")
    assert last_event(opportunity).kind == "resubmitted"


def test_a_changed_amount_sends_it_back_to_the_first_step(client):
    opportunity = make.opportunity(make.user())
    deputy, gm = make.approver(opportunity), make.user(None, "gm")
    opportunity.report(by=opportunity.owner, approver=deputy)
    opportunity.open_task.escalate(by=deputy, to=gm, seen=opportunity.version)
    opportunity.open_task.return_(by=gm, comment="Too little.", seen=version(opportunity))
    opportunity.refresh_from_db()
    client.force_login(opportunity.owner)
    choices = client.get(address(opportunity, "edit")).context["form"]["approver"].field.widget.choices
    assert [key for key, _label in choices] == [str(gm.pk)]

    with nothing_changed():
        answer = send(client, opportunity, act="submit", amount="200000", approver=gm.pk)
    assert [key for key, _label in answer.context["form"]["approver"].field.widget.choices] == [str(deputy.pk)]
    assert send(client, opportunity, act="submit", amount="200000", approver=deputy.pk).status_code == 302


def test_the_largest_amount_is_read_again_as_it_was_written_and_a_larger_one_refused(client, opportunity):
    client.force_login(opportunity.owner)
    assert send(client, opportunity, amount="999999999999.99").status_code == 302
    opportunity.refresh_from_db()
    assert (opportunity.amount, opportunity.base_cents) == (Decimal("999999999999.99"), 99999999999999)
    assert "¥999,999,999,999.99" in client.get("/opportunities/").content.decode()

    with nothing_changed():
        send(client, opportunity, amount="1000000000000")


def test_whoever_holds_the_task_but_can_no_longer_decide_changes_nothing(client):
    opportunity = in_state("reporting")
    deputy = opportunity.open_task.holder
    client.force_login(deputy)
    assert send(client, opportunity, amount="88000").status_code == 302

    deputy.roles.set(Role.objects.filter(key="rep"))
    opportunity.refresh_from_db()
    with nothing_changed():
        answer = send(client, opportunity, description="As I like it.", probability="77")
        assert "You can no longer decide this" in answer.content.decode()
        with pytest.raises(NotAllowed):
            opportunity.change(by=User.objects.get(pk=deputy.pk), description="As I like it.")


def test_a_retired_stage_is_kept_but_not_chosen_anew(client, opportunity):
    kept, other = opportunity.stage, make.stage("proposal")
    Stage.objects.filter(pk__in=[kept.pk, other.pk]).update(active=False)
    other.refresh_from_db()
    client.force_login(opportunity.owner)
    offered = [
        str(key) for key, _label in client.get(address(opportunity, "edit")).context["form"].fields["stage"].choices
    ]
    assert str(kept.pk) in offered
    assert str(other.pk) not in offered
    assert send(client, opportunity, description="With its stage.").status_code == 302

    opportunity.refresh_from_db()
    with nothing_changed():
        send(client, opportunity, stage=other.pk)
        with pytest.raises(Refused):
            opportunity.change(by=opportunity.owner, stage=other)
        with pytest.raises(Refused):
            Opportunity(name="New", customer=opportunity.customer, stage=other).create(by=opportunity.owner)


def test_a_request_is_placed_where_its_department_stands_now():
    opportunity = in_state("active")
    read_before = Opportunity.objects.select_related("owner", "department").get(pk=opportunity.pk)
    deputy = make.approver(opportunity)
    city = opportunity.department
    city.parent = make.department("shandong")
    city.save()

    make.sign(read_before, approver=deputy)

    assert read_before.open_task.approval.province == make.department("shandong")
