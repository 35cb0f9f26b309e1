"""
A task's page: what it shows to whom, the decision that it takes, and every way of being refused with nothing changed.
"""

import re
from datetime import date
from decimal import Decimal

import pytest
from django.test import Client

from approvals.models import Task
from crm.models import Role
from notices.history import Event
from notices.models import Delivery
from opportunities.models import LostReason, Opportunity
from tests import factories as make
from tests.digest import digest, nothing_changed

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


def address(opportunity):
    return f"/tasks/{opportunity.open_task.pk}/"


def version(opportunity):
    return Opportunity.objects.values_list("version", flat=True).get(pk=opportunity.pk)


def answer(opportunity, decision, **more):
    return {"decision": decision, "comment": "", "version": version(opportunity)} | more


def text(response):
    """This will give what a page says, without its tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def returned(people, reported):
    reported.open_task.return_(by=people.deputy, seen=version(reported), comment="Who decides there?")
    reported.refresh_from_db()


# What it shows


def test_it_says_what_is_asked_by_whom_and_since_when(people, reported, sign_in):
    page = text(sign_in(people.deputy).get(address(reported)))

    for said in (
        "Report: Harbour cranes",
        "Waits for you, new",
        "asked by rep, Shijiazhuang",
        "¥100,000",
        reported.number,
    ):
        assert said in page
    assert reported.get_absolute_url() in sign_in(people.deputy).get(address(reported)).content.decode()


def test_each_decision_says_what_it_does_and_to_whom(people, reported, sign_in):
    page = text(sign_in(people.deputy).get(address(reported)))

    assert "Approve and finish It becomes active. rep is told." in page
    assert "Approve and escalate Goes to gm, GM." in page
    assert "Return rep revises it and asks you again." in page
    assert "Required when you return it." in page


def test_where_nobody_can_be_escalated_to_it_is_locked_with_the_reason(people, reported, sign_in):
    people.gm.roles.clear()
    response = sign_in(people.deputy).get(address(reported))

    assert "Nobody in Shijiazhuang or above can decide this step: it needs GM." in text(response)
    assert re.search(r'value="escalate"[^>]*disabled', response.content.decode())


def test_a_step_without_a_next_one_offers_no_escalation(people, sign_in):
    opportunity = make.opportunity(people.rep, state="terminating")

    assert "Approve and escalate" not in text(sign_in(people.deputy).get(address(opportunity)))


def test_several_next_approvers_are_to_be_chosen_from(people, reported, sign_in):
    make.user("second gm", "gm")
    page = sign_in(people.deputy).get(address(reported)).content.decode()

    assert "Next approver" in page
    assert re.findall(r"<option[^>]*>([^<]*)</option>", page) == [
        "Choose one",
        "gm, GM, Shijiazhuang",
        "second gm, GM, Shijiazhuang",
    ]


def test_one_who_is_asked_for_by_name_has_no_role_beside_it(people, reported, sign_in):
    reported.open_task.step.next.people.add(make.user("named", "support", at="jinan"))

    page = sign_in(people.deputy).get(address(reported)).content.decode()

    assert ">named, Jinan</option>" in page


def test_a_second_round_shows_what_changed_since_one_returned_it(people, reported, sign_in):
    before = "Meters for all districts, one lot of twelve thousand."
    reported.change(by=people.deputy, name="Harbour cranes")  # nothing
    reported.withdraw(by=people.rep)
    reported.change(by=people.rep, description=before)
    reported.report(by=people.rep, approver=people.deputy)
    returned(people, reported)
    after = before.replace("one lot", "14 lots")
    reported.change(by=people.rep, amount=Decimal("88000"), description=after)
    reported.report(by=people.rep, approver=people.deputy, comment="Counted again.")

    response = sign_in(people.deputy).get(address(reported))

    page, source = text(response), response.content.decode()
    assert "What changed since you returned it 2 of 10 fields" in page
    assert "Who decides there?" in page
    assert "Counted again." in page
    assert "<del>¥100,000</del>" in source
    assert "<ins>¥88,000</ins>" in source
    assert "<del>one lot</del> <ins>14 lots</ins> of twelve thousand." in source
    assert "was ¥100,000" in page
    assert "second round" in page


def test_the_holders_own_edits_stand_apart(people, reported, sign_in):
    reported.change(by=people.deputy, amount=Decimal("90000"))

    page = text(sign_in(people.deputy).get(address(reported)))
    assert "What you changed Field As it was asked As it is Amount ¥100,000 ¥90,000" in page

    reported.open_task.escalate(by=people.deputy, to=people.gm, seen=version(reported))
    page = text(sign_in(people.gm).get(address(reported)))
    assert "What deputy changed Field As it was asked As it is Amount ¥100,000 ¥90,000" in page


def test_a_signing_stands_beside_the_opportunitys_values(people, sign_in):
    opportunity = make.opportunity(people.rep, state="active")
    make.sign(opportunity, approver=people.deputy, amount=Decimal("120000"))

    page = text(sign_in(people.deputy).get(address(opportunity)))

    assert "What would be signed Field Opportunity Asked for Contract number" in page
    assert "¥100,000 ¥120,000" in page
    assert "12 months" in page


def test_an_amount_that_is_not_the_one_approved_says_which_was(people, sign_in):
    opportunity = make.opportunity(people.rep, state="active")
    opportunity.change(by=people.rep, amount=Decimal(4860))
    make.sign(opportunity, approver=people.deputy)
    said = text(sign_in(people.deputy).get(address(opportunity)))
    assert "¥4,860 approved with the report: ¥100,000" in said


def test_a_termination_shows_reason_and_note(people, sign_in):
    opportunity = make.opportunity(people.rep, state="active")
    make.terminate(opportunity, approver=people.deputy, reason="other", note="They merged with a rival.")

    page = text(sign_in(people.deputy).get(address(opportunity)))

    assert "Why it would be terminated Reason Other Note They merged with a rival." in page


def test_what_the_holder_put_right_in_a_signing_stands_apart(people, sign_in):
    opportunity = make.opportunity(people.rep, state="signing")
    figures = opportunity.open_approval.last_round.form
    opportunity.amend(
        by=people.deputy,
        contract_number=figures["contract_number"],
        signed_amount=Decimal("98000"),
        signed_on=date.fromisoformat(figures["signed_on"]),
        term=figures["term"],
    )

    page = text(sign_in(people.deputy).get(address(opportunity)))

    assert "What you changed Field As it was asked As it is Amount ¥100,000 ¥98,000" in page
    opportunity.open_task.return_(by=people.deputy, seen=version(opportunity), comment="Mended. Agreed?")
    opportunity.refresh_from_db()
    make.sign(opportunity, approver=people.deputy, amount=Decimal("97000"))
    page = text(sign_in(people.deputy).get(address(opportunity)))
    assert "What changed since you returned it" in page
    assert "Amount ¥98,000 ¥97,000" in page


def test_another_reason_of_a_termination_stands_apart(people, sign_in):
    opportunity = make.opportunity(people.rep, state="terminating")
    opportunity.amend(by=people.deputy, reason=LostReason.objects.get(key="price"), note="Far too dear.")

    page = text(sign_in(people.deputy).get(address(opportunity)))

    assert "Why it would be terminated Reason Price Note Far too dear." in page
    assert (
        "What you changed Field As it was asked As it is Reason Budget cancelled Price Note empty Far too dear." in page
    )


def test_worth_knowing_are_open_ones_of_the_customer_that_the_approver_may_see(people, reported, sign_in):
    of_same = {"customer": reported.customer, "state": "active"}
    make.opportunity(people.rep, name="Leak detection", **of_same)
    hidden = make.opportunity(make.user(at="jinan"), name="Hidden rival", **of_same)
    make.opportunity(people.rep, name="Signed long ago", customer=reported.customer, state="signed")

    page = text(sign_in(people.deputy).get(address(reported)))

    assert "Leak detection of the same customer, open, in the charge of rep" in page
    assert hidden.name not in page
    assert "Signed long ago" not in page
    assert hidden.name in text(sign_in(people.admin).get(address(reported)))


def test_what_was_typed_is_shown_and_never_run(people, sign_in):
    evil = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{ 7|add:7 }}'
    opportunity = make.opportunity(people.rep, name=evil, description=evil)
    opportunity.report(by=people.rep, approver=people.deputy, comment=evil)
    opportunity.open_task.return_(by=people.deputy, seen=version(opportunity), comment=evil)
    opportunity.refresh_from_db()
    opportunity.change(by=people.rep, description=f"{evil} and more of it")
    opportunity.report(by=people.rep, approver=people.deputy, comment=evil)

    for person in (people.deputy, people.rep, people.admin):
        page = sign_in(person).get(address(opportunity)).content.decode()
        assert "<script>alert" not in page
        assert "<img" not in page
        assert "{{ 7|add:7 }}" in page


# What it takes


@pytest.mark.parametrize(
    ("decision", "more", "state", "said"),
    [
        ("finish", {}, "active", "Approved “Harbour cranes” and finished."),
        ("escalate", {}, "reporting", "Approved “Harbour cranes” and escalated it to gm."),
        ("return", {"comment": "Why now?"}, "returned", "Returned “Harbour cranes” to rep."),
    ],
)
def test_a_decision_is_carried_out_and_said(people, reported, sign_in, decision, more, state, said):
    response = sign_in(people.deputy).post(address(reported), answer(reported, decision, **more), follow=True)

    reported.refresh_from_db()
    assert reported.state == state
    assert response.redirect_chain == [("/tasks/", 302)]
    assert said in text(response)


def test_a_decision_costs_few_queries(people, reported, sign_in, django_assert_max_num_queries):
    client = sign_in(people.deputy)
    for one in (reported, make.opportunity(people.rep, state="reporting")):
        page, sent = address(one), answer(one, "finish")
        with django_assert_max_num_queries(24):
            assert client.post(page, sent).status_code == 302


def test_it_goes_on_to_the_next_task(people, reported, sign_in):
    second = make.opportunity(people.rep, name="Second", state="reporting")
    following = address(second)
    client = sign_in(people.deputy)
    assert "Then: Second, ¥100,000" in text(client.get(address(reported)))

    response = client.post(address(reported), answer(reported, "finish"))

    assert response.url == following


def test_from_the_middle_it_goes_on_to_the_one_that_the_page_names(people, reported, sign_in):
    second, third = (make.opportunity(people.rep, name=name, state="reporting") for name in ("Second", "Third"))
    client = sign_in(people.deputy)
    assert "Then: Third" in text(client.get(address(second)))

    response = client.post(address(second), answer(second, "finish"))

    assert response.url == address(third)


def test_the_last_one_goes_on_to_the_first(people, reported, sign_in):
    first = address(reported)
    second = make.opportunity(people.rep, state="reporting")

    response = sign_in(people.deputy).post(address(second), answer(second, "finish"))

    assert response.url == first


def test_of_several_the_chosen_one_is_asked(people, reported, sign_in):
    other = make.user(None, "gm")

    sign_in(people.deputy).post(address(reported), answer(reported, "escalate", next_approver=other.pk))

    assert reported.open_task.holder == other


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"decision": ""}, "Choose one"),
        ({"decision": "sell"}, "Select a valid choice"),
        ({"decision": "return", "comment": " "}, "Write what must be mended: a return needs a comment."),
        ({"decision": "escalate"}, "Choose whom it goes to."),
        ({"decision": "escalate", "next_approver": "999999"}, "not in the route"),
        ({"decision": "escalate", "next_approver": "x"}, "not in the route"),
        ({"decision": "finish", "version": ""}, "Look at what is there now"),
        ({"decision": "finish", "version": "one"}, "Look at what is there now"),
    ],
)
def test_a_form_that_does_not_do_comes_back_filled_in(people, reported, sign_in, sent, said):
    make.user(None, "gm")
    sent = answer(reported, "finish", comment="A long thought.") | sent

    with nothing_changed():
        response = sign_in(people.deputy).post(address(reported), sent)

    assert response.status_code == 200
    assert said in text(response)
    assert sent["comment"].strip() in text(response)


@pytest.mark.case(25)
def test_a_stale_page_is_refused_with_what_is_there_now_and_what_was_typed(people, reported, sign_in):
    sent = answer(reported, "finish", comment="A long thought.")
    reported.change(by=people.deputy, amount=Decimal("999"))

    with nothing_changed():
        response = sign_in(people.deputy).post(address(reported), sent)

    assert response.status_code == 409
    assert "Somebody changed this record after you opened it." in text(response)
    assert "A long thought." in text(response)
    assert "¥999" in text(response)
    assert f'name="version" value="{version(reported)}"' in response.content.decode()

    sign_in(people.deputy).post(address(reported), sent | {"version": version(reported)})
    reported.refresh_from_db()
    assert reported.state == "active"
    assert reported.approved_amount == Decimal("999")


def test_a_task_handled_meanwhile_says_by_whom_and_keeps_what_was_typed(people, reported, sign_in):
    sent, where = answer(reported, "return", comment="A long thought."), address(reported)
    reported.open_task.finish(by=people.deputy, seen=version(reported))
    waiting = make.opportunity(people.rep, state="reporting")

    with nothing_changed():
        response = sign_in(people.deputy).post(where, sent)

    assert response.status_code == 409
    assert re.search(r"Already handled by deputy, \d\d:\d\d\. Approved and finished\.", text(response))
    assert "What you wrote is kept below." in text(response)
    assert "A long thought." in text(response)
    assert f'href="{address(waiting)}">Next task' in response.content.decode()


@pytest.mark.case(26)
def test_the_same_button_pressed_twenty_times_decides_once(people, reported, sign_in):
    sent, where = answer(reported, "finish"), address(reported)
    client = sign_in(people.deputy)

    statuses = [client.post(where, sent).status_code for _ in range(20)]

    assert statuses == [302] + [409] * 19
    assert Event.objects.about(reported).filter(kind="granted").count() == 1
    assert Delivery.objects.filter(kind="granted").count() == 1
    assert Task.objects.filter(decision="finished").count() == 1


# Who is refused


def others(people):
    return {
        "the asker": people.rep,
        "another approver": people.gm,
        "an administrator": people.admin,
        "a manager": make.user(None, "opportunity_manager", at="head-office"),
        "an approver above": make.user(None, "deputy_gm", at="hebei"),
    }


@pytest.mark.parametrize("who", ["the asker", "another approver", "an administrator", "a manager", "an approver above"])
def test_whoever_sees_it_reads_it_and_does_not_decide_it(people, reported, sign_in, who):
    reader = others(people)[who]
    client = sign_in(reader)

    page = text(client.get(address(reported)))
    assert "Waits for deputy" in page
    assert "Submit decision" not in page
    for decision in ("finish", "escalate", "return"):
        with nothing_changed():
            response = client.post(address(reported), answer(reported, decision, comment="Let me."))
        assert response.status_code == 403
        assert "Nothing was changed." in text(response)


def test_whoever_does_not_see_the_record_finds_no_task(people, reported, sign_in):
    where = address(reported)
    client = sign_in(make.user(at="jinan"))
    nowhere = client.get(f"/tasks/{reported.open_task.pk + 1}/")

    for response in (client.get(where), client.post(where, answer(reported, "finish"))):
        assert response.status_code == 404
        assert reported.name not in text(response)
        assert len(response.content) == len(nowhere.content)


def test_a_key_that_no_database_holds_is_not_found(people, sign_in):
    for key in (0, 2**63, 10**30):
        assert sign_in(people.deputy).get(f"/tasks/{key}/").status_code == 404


def test_somebody_without_an_account_is_sent_to_sign_in(people, reported):
    with nothing_changed():
        for response in (Client().get(address(reported)), Client().post(address(reported), answer(reported, "finish"))):
            assert response.url.startswith("/accounts/login/")


@pytest.mark.case(22)
def test_a_request_without_its_token_is_refused(people, reported):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(people.deputy)

    with nothing_changed():
        assert strict.post(address(reported), answer(reported, "finish")).status_code == 403


@pytest.mark.case(21)
def test_reading_changes_nothing(people, reported, sign_in):
    before = digest()
    for person in (people.deputy, people.rep, people.admin):
        client = sign_in(person)
        for where in (address(reported), f"{address(reported)}?decision=finish&version=2", "/tasks/", "/tasks/done/"):
            assert client.get(where).status_code == 200
            assert client.head(where).status_code == 200
    assert digest() == before


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
@pytest.mark.case(20)
def test_other_methods_are_not_known(people, reported, sign_in, method):
    with nothing_changed():
        assert getattr(sign_in(people.deputy), method)(address(reported)).status_code == 405


@pytest.mark.case(11)
def test_the_holder_who_lost_the_role_is_told_so_and_keeps_what_was_typed(people, reported, sign_in):
    people.deputy.roles.set(Role.objects.filter(key="rep"))
    sent = answer(reported, "finish", comment="A long thought.")

    page = text(sign_in(people.deputy).get(address(reported)))
    assert "deputy does not hold the role any more: Deputy GM. An administrator puts it before somebody else." in page
    assert "Submit decision" not in page

    with nothing_changed():
        response = sign_in(people.deputy).post(address(reported), sent)
    assert response.status_code == 403
    assert "A long thought." in text(response)


@pytest.mark.case(26)
def test_ones_own_request_is_decided_by_somebody_else(people, reported, sign_in):
    reported.transfer(to=people.deputy, by=people.admin)

    with nothing_changed():
        response = sign_in(people.deputy).post(address(reported), answer(reported, "finish"))

    assert response.status_code == 403
    assert "nobody decides their own request" in text(response)


@pytest.mark.case(27)
def test_a_task_of_another_opportunity_in_the_body_is_not_looked_at(people, reported, sign_in):
    other = make.opportunity(people.rep, state="reporting")

    sign_in(people.deputy).post(
        address(reported), answer(reported, "finish", task=other.open_task.pk, pk=other.pk, about_id=other.pk)
    )

    reported.refresh_from_db()
    other.refresh_from_db()
    assert (reported.state, other.state) == ("active", "reporting")


@pytest.mark.case(5)
def test_neither_state_nor_owner_can_be_smuggled_in(people, reported, sign_in):
    sent = answer(
        reported, "escalate", state="signed", owner=people.deputy.pk, approved_amount="1", holder=people.rep.pk
    )

    sign_in(people.deputy).post(address(reported), sent)

    reported.refresh_from_db()
    assert (reported.state, reported.owner, reported.approved_amount) == ("reporting", people.rep, None)
    assert reported.open_task.holder == people.gm


# What was decided


def test_a_past_task_opens_as_what_was_decided(people, reported, sign_in):
    where = address(reported)
    reported.change(by=people.deputy, amount=Decimal("90000"))
    reported.open_task.finish(by=people.deputy, seen=version(reported), comment="Good.")
    reported.refresh_from_db()
    reported.change(by=people.rep, amount=Decimal("5"))

    page = text(sign_in(people.deputy).get(where))

    assert "Approved and finished: You, today" in page
    assert "Good." in page
    assert "¥90,000" in page
    assert "¥5 " not in page
    assert "Submit decision" not in page


def test_an_escalated_one_stays_open_to_its_holder_to_read(people, reported, sign_in):
    where = address(reported)
    reported.open_task.escalate(by=people.deputy, to=people.gm, seen=version(reported))
    people.deputy.roles.clear()

    page = text(sign_in(people.deputy).get(where))

    assert "Approved and escalated: You" in page


# Returned requests


def test_a_returned_report_is_revised_by_its_owner(people, reported, sign_in):
    returned(people, reported)
    page = text(sign_in(people.rep).get(address(reported)))

    assert "Yours to revise, new" in page
    assert "deputy returned it, today" in page
    assert "Who decides there?" in page
    for act in ("Resubmit", "Void", "Edit"):
        assert act in page


def test_resubmitting_asks_whoever_returned_it(people, reported, sign_in):
    make.user(None, "deputy_gm")
    returned(people, reported)
    sent = {"approver": people.deputy.pk, "comment": "Ms Ding.", "version": version(reported)}

    response = sign_in(people.rep).post(address(reported), sent, follow=True)

    reported.refresh_from_db()
    assert (reported.state, reported.open_task.holder) == ("reporting", people.deputy)
    assert "Resubmitted “Harbour cranes” to deputy." in text(response)


def test_resubmitting_to_somebody_else_is_refused(people, reported, sign_in):
    other = make.user(None, "deputy_gm")
    returned(people, reported)
    sent = {"approver": other.pk, "comment": "A long thought.", "version": version(reported)}

    with nothing_changed():
        response = sign_in(people.rep).post(address(reported), sent)

    assert "not in the route" in text(response)
    assert "A long thought." in text(response)


def test_resubmitting_says_what_is_missing(people, reported, sign_in):
    returned(people, reported)
    reported.change(by=people.rep, business_type=None)
    sent = {"approver": people.deputy.pk, "version": version(reported)}

    with nothing_changed():
        response = sign_in(people.rep).post(address(reported), sent)

    assert response.status_code == 409
    assert "Still needed: business type." in text(response)


def test_resubmitting_where_nobody_can_decide_is_locked_with_the_reason(people, reported, sign_in):
    returned(people, reported)
    people.deputy.roles.clear()

    response = sign_in(people.rep).get(address(reported))

    assert "Nobody in Shijiazhuang or above can decide this step: it needs Deputy GM." in text(response)
    assert '<button class="btn btn-primary">Resubmit' not in response.content.decode()


def test_and_a_press_on_what_is_locked_is_refused_in_words(people, reported, sign_in):
    returned(people, reported)
    people.deputy.roles.clear()
    sent = {"approver": people.deputy.pk, "comment": "A long thought.", "version": version(reported)}

    with nothing_changed():
        response = sign_in(people.rep).post(address(reported), sent)

    assert "it needs Deputy GM" in text(response)


def test_only_the_owner_revises_it(people, reported, sign_in):
    returned(people, reported)
    sent = {"approver": people.deputy.pk, "version": version(reported)}

    for stranger in (people.deputy, people.admin):
        client = sign_in(stranger)
        assert "rep revises it" in text(client.get(address(reported)))
        with nothing_changed():
            assert client.post(address(reported), sent).status_code == 403


@pytest.mark.parametrize(("state", "page"), [("signing", "sign"), ("terminating", "terminate")])
def test_a_returned_request_to_close_leads_to_its_form_or_is_dropped(people, sign_in, state, page):
    opportunity = make.opportunity(people.rep, state=state)
    opportunity.open_task.return_(by=people.deputy, seen=version(opportunity), comment="Why?")

    source = sign_in(people.rep).get(address(opportunity)).content.decode()

    assert f'href="/opportunities/{opportunity.pk}/{page}/">Resubmit</a>' in source
    assert f'href="/opportunities/{opportunity.pk}/drop/"' in source
    assert "Drop the request" in source


def test_a_withdrawn_signing_says_so(people, sign_in):
    opportunity = make.opportunity(people.rep, state="signing")
    opportunity.withdraw(by=people.rep)

    assert "It was withdrawn before it was decided." in text(sign_in(people.rep).get(address(opportunity)))
