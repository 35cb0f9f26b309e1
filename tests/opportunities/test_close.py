"""Apply to sign and Apply to terminate, asking again, dropping, withdrawing, and making void."""

from datetime import timedelta
from decimal import Decimal

import pytest

from approvals.models import Approval, Task
from crm.moments import organisation_month, organisation_today
from crm.verbs import Refused
from customers.models import Customer
from notices.history import Event
from notices.models import Delivery, Message
from opportunities.models import LostReason, Movement, Opportunity, Signing
from opportunities.picklists import Pipeline, Stage
from tests import factories as make
from tests.digest import nothing_changed
from tests.opportunities.acts import ACTS, address, in_state, version

pytestmark = pytest.mark.django_db


@pytest.fixture
def opportunity():
    return in_state("active")


def send(client, opportunity, page, **changes):
    act = next(act for act in ACTS.values() if act.page == page)
    client.force_login(opportunity.owner)
    return act.post(client, opportunity, **changes)


def errors(answer):
    return list(answer.context["form"].errors)


def last_event(opportunity):
    return Event.objects.about(opportunity).first()


# Apply to sign


def test_asking_to_sign_keeps_the_stage_and_what_was_asked_for(client, opportunity):
    deputy = make.approver(opportunity)
    assert send(client, opportunity, "sign", comment="Sealed yesterday.").status_code == 302

    opportunity.refresh_from_db()
    round_ = opportunity.open_task.round
    assert (opportunity.state, opportunity.stage.key, opportunity.probability) == ("signing", "first-contact", 20)
    assert (opportunity.open_task.holder, round_.comment) == (deputy, "Sealed yesterday.")
    assert round_.form["signed_amount"] == "1320000.00"
    assert round_.form["contract_number"] == "HB-2026-0412"
    assert (last_event(opportunity).kind, last_event(opportunity).data["to"]["id"]) == ("sign_asked", deputy.pk)
    assert Movement.objects.latest("pk").state == "signing"
    assert Delivery.objects.filter(to=deputy, kind="task").count() == 2  # the report's, and this one's
    assert not Signing.objects.exists()


def test_the_form_offers_what_is_likely_and_names_each_approver(client, opportunity):
    make.user("wang.jun", "director", name="Wang Jun")
    client.force_login(opportunity.owner)
    form = client.get(address(opportunity, "sign")).context["form"]
    assert form["signed_amount"].initial == opportunity.amount
    assert form["signed_on"].initial == organisation_today()
    named = [str(label) for _key, label in form["approver"].field.widget.choices]
    assert "Wang Jun, Industry director, Shijiazhuang" in named
    labels = [str(form[name].label) for name in ("contract_number", "signed_amount", "signed_on", "term", "approver")]
    assert labels == ["Contract number", "Signed amount", "Signed on", "Term", "Approver"]


BAD = {
    "contract_number": ["", "\0", "x" * 61],
    "signed_amount": ["", "about 45万", "NaN", "-1", "1.234", "9" * 10**6, "\0"],
    "signed_on": ["", "0000-00-00", "2024-02-30", "31/01/2026", "\0"],
    "term": ["0", "-1", "1.5", "NaN", "9" * 10**6, "1201", "\0"],
    "approver": ["", "0", "9223372036854775808", "x", "\0"],
    "comment": ["\0", "x" * 5001],
}


@pytest.mark.parametrize("field", BAD)
def test_what_cannot_be_signed_is_refused_at_its_field(client, opportunity, field):
    make.user(None, "deputy_gm")
    for bad in BAD[field]:
        with nothing_changed():
            answer = send(client, opportunity, "sign", **{field: bad})
        assert errors(answer) == [field], bad[:40]
    assert send(client, opportunity, "sign").status_code == 302


def test_a_signature_in_the_future_is_refused(client, opportunity):
    tomorrow = organisation_today() + timedelta(days=1)
    make.approver(opportunity)
    client.force_login(opportunity.owner)
    with nothing_changed():
        answer = send(client, opportunity, "sign", signed_on=tomorrow)
    assert errors(answer) == ["signed_on"]
    assert "in the future" in answer.content.decode()
    assert send(client, opportunity, "sign", signed_on=organisation_today()).status_code == 302


def test_a_granted_signing_closes_it_as_won_and_makes_the_customer_a_trading_one(opportunity):
    opportunity = in_state("signed")
    signing = opportunity.signing
    assert (opportunity.stage.kind, opportunity.probability, opportunity.closed_on) == ("won", 100, signing.signed_on)
    assert signing.amount == Decimal(100000)
    assert (signing.owner, signing.department) == (opportunity.owner, opportunity.department)
    assert signing.month == organisation_month(signing.signed_on)
    assert opportunity.customer.__class__.objects.get(pk=opportunity.customer_id).status == Customer.Status.TRADING
    assert Movement.objects.filter(opportunity=opportunity).latest("pk").probability == 100
    assert Message.objects.filter(to=opportunity.owner, kind="granted").count() == 2


@pytest.mark.parametrize(("page", "kind"), [("sign", "won"), ("terminate", "lost")])
def test_where_the_pipeline_has_no_last_stage_it_is_refused_until_an_administrator_adds_one(
    client, opportunity, page, kind
):
    pipeline = Pipeline.objects.create(key="tenders", names={"en": "Tenders"})
    first = Stage.objects.create(key="heard-of", names={"en": "Heard of"}, pipeline=pipeline, probability=20)
    Opportunity.objects.filter(pk=opportunity.pk).update(stage=first)
    opportunity.refresh_from_db()

    with nothing_changed():
        answer = send(client, opportunity, page)
    assert (answer.status_code, errors(answer)) == (409, ["__all__"])

    Stage.objects.create(
        key="the-end", names={"en": "The end"}, pipeline=pipeline, kind=kind, probability=100 if kind == "won" else 0
    )
    assert send(client, opportunity, page).status_code == 302


def test_one_who_could_decide_is_not_asked_for_ones_own(client):
    deputy = make.user("deputy", "deputy_gm", "rep")
    own = make.opportunity(deputy)
    client.force_login(deputy)
    with nothing_changed():
        assert "Nobody in Shijiazhuang or above can decide" in client.get(address(own, "edit")).content.decode()
        with pytest.raises(Refused):
            own.report(by=deputy, approver=deputy)
    own.report(by=deputy, approver=make.user(None, "deputy_gm"))


# Apply to terminate


def test_asking_to_terminate_needs_a_reason_and_other_needs_a_note(client, opportunity):
    other = LostReason.objects.get(key="other")
    make.approver(opportunity)
    client.force_login(opportunity.owner)
    for reason, note, field in (("", "", "reason"), (other.pk, "", "note"), (other.pk, " ", "note")):
        sent = {"reason": reason, "note": note}
        with nothing_changed():
            assert errors(send(client, opportunity, "terminate", **sent)) == [field]
    for bad in ("x", "9223372036854775808", "\0"):
        with nothing_changed():
            assert errors(send(client, opportunity, "terminate", reason=bad)) == ["reason"]
    assert send(client, opportunity, "terminate", reason=other.pk, note="They merged.").status_code == 302

    opportunity.refresh_from_db()
    assert (opportunity.state, opportunity.stage.key) == ("terminating", "first-contact")
    opportunity.open_task.finish(by=opportunity.open_task.holder, seen=opportunity.version)
    opportunity.refresh_from_db()
    assert (opportunity.state, opportunity.stage.kind, opportunity.probability) == ("terminated", "lost", 0)
    assert (opportunity.lost_reason, opportunity.closing_note) == (other, "They merged.")
    assert opportunity.closed_on == organisation_today()


def test_a_retired_reason_is_not_offered(client, opportunity):
    client.force_login(opportunity.owner)
    page = client.get(address(opportunity, "terminate")).content.decode()
    assert "Budget cancelled" in page
    assert "Unknown (imported)" not in page


# Returned: ask again, or drop it


@pytest.fixture
def sent_back():
    return ACTS["drop"].world()


def test_a_returned_signing_comes_back_filled_in_and_is_resubmitted_to_whoever_returned_it(client, sent_back):
    asked = Approval.objects.about(sent_back).first().last_round.form
    client.force_login(sent_back.owner)
    page = client.get(address(sent_back, "sign"))
    form = page.context["form"]
    assert "Resubmit" in page.content.decode()
    assert "The amount differs." in page.content.decode()
    assert form["contract_number"].initial == asked["contract_number"]
    assert form["signed_amount"].initial == Decimal(asked["signed_amount"])

    assert send(client, sent_back, "sign", signed_amount="99,000").status_code == 302
    sent_back.refresh_from_db()
    assert (sent_back.state, sent_back.open_task.round.number) == ("signing", 2)
    assert sent_back.open_task.round.form["signed_amount"] == "99000.00"
    assert last_event(sent_back).kind == "resubmitted"


def test_with_a_signing_on_the_desk_it_cannot_be_terminated_until_that_is_dropped(client, sent_back):
    client.force_login(sent_back.owner)
    with nothing_changed():
        assert client.get(address(sent_back, "terminate")).status_code == 409
        answer = send(client, sent_back, "terminate")
        assert answer.status_code == 409
    assert "resubmit it or drop it first" in answer.content.decode()

    assert send(client, sent_back, "drop").status_code == 302
    sent_back.refresh_from_db()
    assert (sent_back.state, sent_back.open_approval) == ("active", None)
    assert Task.objects.latest("pk").decision == "dropped"
    assert send(client, sent_back, "terminate").status_code == 302


def test_where_nothing_was_returned_there_is_nothing_to_drop(client, opportunity):
    client.force_login(opportunity.owner)
    with nothing_changed():
        assert client.get(address(opportunity, "drop")).status_code == 409
        assert send(client, opportunity, "drop").status_code == 409


# Withdraw


@pytest.mark.parametrize(("state", "then"), [("reporting", "draft"), ("signing", "active"), ("terminating", "active")])
def test_withdrawing_takes_it_back_and_tells_whom_it_waited_for(client, state, then):
    opportunity = in_state(state)
    holder = opportunity.open_task.holder
    client.force_login(opportunity.owner)
    assert holder.name in client.get(address(opportunity, "withdraw")).content.decode()

    assert send(client, opportunity, "withdraw").status_code == 302

    opportunity.refresh_from_db()
    assert (opportunity.state, opportunity.stage.key) == (then, "first-contact")
    assert (last_event(opportunity).kind, Message.objects.latest("pk").to) == ("withdrawn", holder)
    assert not Task.objects.open_for(holder).exists()
    assert Movement.objects.filter(opportunity=opportunity).latest("pk").state == then


def test_a_withdrawn_signing_is_kept_to_be_resubmitted(client):
    opportunity = in_state("signing")
    asked = opportunity.open_task.round.form
    send(client, opportunity, "withdraw")
    form = client.get(address(opportunity, "sign")).context["form"]
    assert form["contract_number"].initial == asked["contract_number"]


def test_a_report_withdrawn_in_its_second_round_is_returned_and_not_a_draft(client):
    opportunity = in_state("returned")
    opportunity.report(by=opportunity.owner, approver=make.approver(opportunity))
    send(client, opportunity, "withdraw")
    opportunity.refresh_from_db()
    assert opportunity.state == "returned"


def test_once_somebody_has_decided_it_cannot_be_withdrawn(client):
    opportunity = in_state("reporting")
    gm = make.user(None, "gm")
    opportunity.open_task.escalate(by=opportunity.open_task.holder, to=gm, seen=version(opportunity))
    client.force_login(opportunity.owner)
    with nothing_changed():
        assert "Withdraw</a>" not in client.get(address(opportunity)).content.decode()
        assert client.get(address(opportunity, "withdraw")).status_code == 409
        answer = send(client, opportunity, "withdraw")
        assert answer.status_code == 409
    assert "Somebody has decided already" in answer.content.decode()


# Void


@pytest.mark.parametrize("state", ["draft", "returned"])
def test_making_it_void_needs_a_reason_and_ends_it(client, state):
    opportunity = in_state(state)
    for reason in ("", "  ", "\0", "x" * 2001):
        with nothing_changed():
            assert errors(send(client, opportunity, "void", reason=reason)) == ["reason"]
    assert send(client, opportunity, "void").status_code == 302

    opportunity.refresh_from_db()
    assert (opportunity.state, opportunity.closing_note) == ("void", "Entered twice.")
    assert (opportunity.closed_on, opportunity.stage.kind) == (organisation_today(), "open")
    assert opportunity.open_approval is None
    assert not Task.objects.open_for(opportunity.owner).exists()
