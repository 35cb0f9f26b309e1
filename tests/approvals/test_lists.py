"""The lists of tasks: to do, done, and nobody can decide; and what they cost."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals.models import DoneTask, Task
from crm.conditions import Conditions
from opportunities.models import Opportunity
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db


def text(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def dated(opportunity, ago):
    Task.objects.filter(pk=opportunity.open_task.pk).update(opened_at=timezone.now() - ago)


# To do


def test_it_shows_what_waits_the_oldest_first(people, sign_in):
    for name, days in (("Middle", 2), ("Newest", 0), ("Oldest", 9)):
        dated(make.opportunity(people.rep, name=name, state="reporting"), timedelta(days=days))

    page = text(sign_in(people.deputy).get("/tasks/"))

    assert "3 things wait for you The oldest has waited 9 days" in page
    assert page.index("Oldest") < page.index("Middle") < page.index("Newest")


def test_a_row_says_act_record_customer_asker_money_and_time(people, reported, sign_in):
    dated(reported, timedelta(hours=3))

    row = re.search(r'<li class="todo.*?</li>', sign_in(people.deputy).get("/tasks/").content.decode(), re.DOTALL)[0]

    assert f'<a class="cut" href="/tasks/{reported.open_task.pk}/">Harbour cranes</a>' in row
    words = " ".join(re.sub(r"<[^>]+>", " ", row).split())
    assert words == f"Report Harbour cranes {reported.customer} · asked by rep ¥100,000 3 hours"


def test_a_later_round_and_the_reason_of_a_termination_are_said(people, reported, sign_in):
    reported.open_task.return_(by=people.deputy, seen=reported.version, comment="Why?")
    reported.refresh_from_db()
    reported.report(by=people.rep, approver=people.deputy)
    make.opportunity(people.rep, state="terminating")

    page = text(sign_in(people.deputy).get("/tasks/"))

    assert "asked by rep · second round" in page
    assert "asked by rep · Budget cancelled" in page


def test_what_came_back_says_who_returned_it_and_why(people, reported, sign_in):
    reported.open_task.return_(by=people.deputy, seen=reported.version, comment="Name the decision maker.")

    page = text(sign_in(people.rep).get("/tasks/"))

    assert "Revise Harbour cranes Returned by deputy: “Name the decision maker.”" in page


def test_what_was_withdrawn_says_so(people, sign_in):
    make.opportunity(people.rep, state="signing").withdraw(by=people.rep)

    assert "withdrawn before it was decided" in text(sign_in(people.rep).get("/tasks/"))


@pytest.mark.parametrize(
    ("opened", "now", "late"),
    [
        ("2026-11-16T10:00+08:00", "2026-11-19T09:59+08:00", False),  # Monday to Thursday
        ("2026-11-16T10:00+08:00", "2026-11-19T10:01+08:00", True),
        ("2026-11-20T10:00+08:00", "2026-11-25T09:59+08:00", False),  # Friday to Wednesday: no Saturday, no Sunday
        ("2026-11-20T10:00+08:00", "2026-11-25T10:01+08:00", True),
        ("2026-11-21T10:00+08:00", "2026-11-26T09:59+08:00", False),  # Saturday counts as Monday
        ("2026-11-21T10:00+08:00", "2026-11-26T10:01+08:00", True),
        ("2026-11-22T23:30+00:00", "2026-11-25T23:29+00:00", False),  # Monday already, where the organisation is
        ("2026-11-22T23:30+00:00", "2026-11-25T23:31+00:00", True),
    ],
)
def test_it_turns_red_after_three_working_days(reported, time_machine, opened, now, late):
    Task.objects.update(opened_at=opened)
    time_machine.move_to(now, tick=False)

    assert reported.open_task.is_late is late


def test_nothing_waits_says_what_will_appear(people, sign_in):
    page = text(sign_in(people.gm).get("/tasks/"))

    assert "Nothing waits for you" in page
    assert "the oldest first" in page


def test_only_ones_own_tasks_are_there(people, reported, sign_in):
    for other in (people.gm, people.rep, people.admin, make.user(None, "deputy_gm")):
        assert reported.name not in text(sign_in(other).get("/tasks/"))


# Done


def test_done_shows_what_i_decided_the_latest_first_and_opens_it(people, sign_in):
    first, second = (make.opportunity(people.rep, name=name, state="active") for name in ("First", "Second"))

    source = sign_in(people.deputy).get("/tasks/done/").content.decode()

    assert source.index("Second") < source.index("First")
    for opportunity in (first, second):
        task = Task.objects.get(about_id=opportunity.pk, decision="finished")
        assert f'href="/tasks/{task.pk}/">{opportunity}</a>' in source


def test_done_keeps_the_amount_that_was_decided_on(people, sign_in):
    opportunity = make.opportunity(people.rep, state="active")
    opportunity.change(by=people.rep, amount=7)

    assert "¥100,000" in text(sign_in(people.deputy).get("/tasks/done/"))


def test_done_shows_what_i_resubmitted_and_dropped(people, sign_in):
    opportunity = make.opportunity(people.rep, state="returned")
    opportunity.report(by=people.rep, approver=people.deputy)
    dropped = make.opportunity(people.rep, state="signing")
    dropped.withdraw(by=people.rep)
    dropped.drop(by=people.rep)

    page = text(sign_in(people.rep).get("/tasks/done/"))

    assert f"{opportunity} Resubmitted" in page
    assert f"{dropped} Dropped" in page


def test_done_comes_in_pages(people, sign_in):
    opportunity = make.opportunity(people.rep, state="active")
    task = Task.objects.get(about_id=opportunity.pk)
    Task.objects.bulk_create(
        Task(
            approval=task.approval, round=task.round, step=task.step, kind="decide", holder=people.deputy,
            about_type=task.about_type, about_id=task.about_id, closed_at=timezone.now(), decision="finished",
            decided_by=people.deputy,
        )
        for _ in range(60)
    )  # fmt: skip
    client = sign_in(people.deputy)

    assert "1–50 of 61" in text(client.get("/tasks/done/?totals=1"))
    assert "51–61 of 61" in text(client.get("/tasks/done/?page=2&totals=1"))
    assert client.get("/tasks/done/?page=-1").status_code == client.get("/tasks/done/?page=x").status_code == 200


# Nobody can decide


@pytest.fixture
def stuck(people, reported):
    people.deputy.is_active = False
    people.deputy.save()
    return reported


@pytest.mark.case(28)
def test_administrators_find_the_steps_that_nobody_can_decide(people, stuck, sign_in):
    make.user("second", "deputy_gm")
    client = sign_in(people.admin)

    assert "Nobody can decide 1" in text(client.get("/tasks/"))
    page = text(client.get("/tasks/nobody/"))
    assert "Harbour cranes Report" in page
    assert "The account of deputy is closed." in page
    assert "Assign to" in page


def test_where_there_is_no_candidate_it_says_role_and_department(people, stuck, sign_in):
    page = text(sign_in(people.admin).get("/tasks/nobody/"))

    assert "Nobody in Shijiazhuang or above holds the role: Deputy GM. Give it to somebody, then assign." in page


def test_steps_without_people_are_listed(people, stuck, sign_in):
    assert "Shijiazhuang Report 1 Deputy GM" in text(sign_in(people.admin).get("/tasks/nobody/"))


def test_assigning_is_done_and_said(people, stuck, sign_in):
    second = make.user("second", "deputy_gm")

    response = sign_in(people.admin).post(f"/tasks/{stuck.open_task.pk}/assign/", {"approver": second.pk}, follow=True)

    assert stuck.open_task.holder == second
    assert "Assigned “Harbour cranes” to second." in text(response)
    assert "Every request has somebody who can decide it" in text(response)


def test_assigning_to_somebody_else_is_refused(people, stuck, sign_in):
    make.user("second", "deputy_gm")
    client = sign_in(people.admin)

    for approver in (people.gm.pk, "", "x"):
        with nothing_changed():
            response = client.post(f"/tasks/{stuck.open_task.pk}/assign/", {"approver": approver})
        assert response.status_code == 200
        assert 'aria-invalid="true"' in response.content.decode()


def test_assigning_what_was_assigned_meanwhile_is_told(people, stuck, sign_in):
    second, third = make.user("second", "deputy_gm"), make.user("third", "deputy_gm")
    task = stuck.open_task
    task.assign(to=second, by=people.admin)

    with nothing_changed():
        response = sign_in(people.admin).post(f"/tasks/{task.pk}/assign/", {"approver": third.pk})

    assert response.status_code == 409
    assert "Already handled by admin" in text(response)


def test_nobody_else_sees_or_assigns(people, stuck, sign_in):
    second = make.user("second", "deputy_gm")
    manager = make.user(None, "opportunity_manager", at="head-office")
    where = f"/tasks/{stuck.open_task.pk}/assign/"

    for person, status in ((people.rep, 403), (people.gm, 403), (manager, 403), (make.user(at="jinan"), 404)):
        client = sign_in(person)
        assert "Nobody can decide" not in text(client.get("/tasks/"))
        assert client.get("/tasks/nobody/").status_code == 403
        with nothing_changed():
            assert client.post(where, {"approver": second.pk}).status_code == status


def test_assigning_takes_a_post(people, stuck, sign_in):
    with nothing_changed():
        assert sign_in(people.admin).get(f"/tasks/{stuck.open_task.pk}/assign/").status_code == 405


# What they cost


def test_thirty_tasks_cost_what_one_costs(people, sign_in, django_assert_num_queries, django_assert_max_num_queries):
    client = sign_in(people.deputy)
    make.opportunity(people.rep, state="reporting")
    with django_assert_max_num_queries(12) as one:
        client.get("/tasks/")

    for number in range(29):
        opportunity = make.opportunity(people.rep, state=("reporting", "signing", "terminating")[number % 3])
        if number % 5 == 0:
            opportunity.open_task.return_(by=people.deputy, seen=version(opportunity), comment="Why?")

    with django_assert_num_queries(len(one)):
        client.get("/tasks/")
    with django_assert_max_num_queries(12):
        client.get("/tasks/done/")


def test_the_page_of_a_task_costs_little_however_much_there_is(
    people, reported, sign_in, django_assert_max_num_queries
):
    client = sign_in(people.deputy)
    for number in range(4):
        reported.open_task.return_(by=people.deputy, seen=version(reported), comment="Why?")
        reported.refresh_from_db()
        reported.change(by=people.rep, description=f"Because {number}.", amount=number + 1)
        reported.report(by=people.rep, approver=people.deputy)
        reported.change(by=people.deputy, amount=number + 2)
        make.opportunity(people.rep, customer=reported.customer, state="active")
        make.opportunity(people.rep, state="signing")

    with django_assert_max_num_queries(20):
        client.get(f"/tasks/{reported.open_task.pk}/")


@pytest.mark.parametrize("decision", ["finish", "escalate", "return"])
@pytest.mark.parametrize("gms", [1, 3])
def test_a_decision_costs_little(people, reported, sign_in, django_assert_max_num_queries, decision, gms):
    for _ in range(gms - 1):
        make.user(None, "gm")
    make.opportunity(people.rep, state="reporting")
    task, client = reported.open_task, sign_in(people.deputy)
    sent = {"decision": decision, "version": version(reported), "comment": "Why?"}

    with django_assert_max_num_queries(30):  # two of them are the savepoint that stands for the transaction
        client.post(f"/tasks/{task.pk}/", sent | ({"next_approver": people.gm.pk} if gms > 1 else {}))

    task.refresh_from_db()
    assert task.decided_by == people.deputy


def version(opportunity):
    return Opportunity.objects.values_list("version", flat=True).get(pk=opportunity.pk)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("act=report", {"Pumps", "Cranes"}),
        ("act=sign", {"Cranes"}),
        ("act.not=sign", {"Pumps", "Cranes"}),
        ("decision=returned", {"Pumps"}),
        ("decision=finished&act=sign", {"Cranes"}),
        ("requester={rep}", {"Pumps", "Cranes"}),
        ("requester=me", set()),
        ("amount.over=150000", {"Cranes"}),
        ("amount.at_least=100000&amount.at_most=150000", {"Pumps"}),
        ("closed_at=today", {"Pumps", "Cranes"}),
        ("closed_at=last_month", set()),
        ("comment.contains=CONTRACT", {"Pumps"}),
        ("q=pump", {"Pumps"}),
        ("q=contract", {"Pumps"}),
    ],
)
def test_done_is_narrowed_by_what_one_asks_of_a_decision(people, sign_in, query, found):
    pumps = make.opportunity(people.rep, state="reporting", name="Pumps", amount=100_000)
    pumps.open_task.return_(by=people.deputy, comment="Name the contract.", seen=pumps.version)
    make.opportunity(people.rep, state="signed", name="Cranes", amount=200_000)
    query = query.format(rep=people.rep.pk)

    source = sign_in(people.deputy).get(f"/tasks/done/?{query}&totals=1").content.decode()

    assert {name for name in ("Pumps", "Cranes") if f">{name}</a>" in source} == found
    conditions = Conditions.from_query(QueryDict(query), DoneTask, people.deputy)
    if "q=" not in query:
        done = DoneTask.objects.visible_to(people.deputy)
        assert {task.about.name for task in done if conditions.holds(task)} == found


def test_done_lists_nobody_elses_decisions_however_it_is_asked(people, sign_in):
    one = make.opportunity(people.rep, state="active", name="Pumps")
    task = Task.objects.get(about_id=one.pk, decision="finished")
    for query in ("", "q=pumps", "act=report", "sort=-decided,decided", f"pk={task.pk}&rows=selected&export=csv"):
        answer = sign_in(people.gm).get(f"/tasks/done/?{query}")
        assert b"Pumps" not in (b"".join(answer) if answer.streaming else answer.content)


def test_a_page_of_done_tasks_costs_the_same_for_one_row_and_for_thirty(people, sign_in):
    def cost():
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/tasks/done/").status_code == 200
        return len(queries)

    make.opportunity(people.rep, state="active")
    client = sign_in(people.deputy)
    cost()
    one = cost()
    for _number in range(29):
        make.opportunity(people.rep, state="active")
    assert cost() == one <= 14
