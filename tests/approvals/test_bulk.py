"""Several requests decided at one go: each on the version that the list showed, each by the verb of its own page."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals.models import Task
from notices.history import Event
from opportunities.models import Opportunity, State
from tests import factories as make
from tests.asserting import unchanged
from tests.bulk import confirm, done, outcome, reasons
from tests.importing import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def rep():
    return make.user("chen", name="Chen Yu")


@pytest.fixture
def deputy():
    return make.user("zhou", "deputy_gm", name="Zhou Lan")


@pytest.fixture
def client(deputy):
    return signed_in(deputy)


@pytest.fixture
def waiting(rep, deputy):
    return [make.opportunity(rep, state="reporting", name=f"Line {number}") for number in range(3)]


def ticked(client):
    """This will give the address at which all that the list shows are decided, as its boxes say."""
    boxes = [
        f"pk={task.pk}_{task.about.version}"
        for task in client.get("/tasks/").context["page"]
        if task.kind == Task.Kind.DECIDE
    ]
    page = client.get("/tasks/").content.decode()
    assert all(f'value="{box.removeprefix("pk=")}"' in page for box in boxes)
    return f"/tasks/bulk/decide/?{'&'.join(boxes)}"


def states(opportunities):
    return [Opportunity.objects.get(pk=one.pk).state for one in opportunities]


def test_all_are_approved_and_finished_with_one_comment(client, waiting):
    run = done(client, ticked(client), decision="finish", comment="Good.")
    assert outcome(run) == (3, 0, 0, 0)
    assert states(waiting) == [State.ACTIVE] * 3
    assert {(task.decision, task.comment) for task in Task.objects.all()} == {("finished", "Good.")}
    assert not run.can_be_undone
    page = client.get(f"/bulk/{run.pk}/").content.decode()
    assert "Decide: 3 requests" in page and "Line 0" in page


def test_the_question_lists_what_is_asked_by_whom_and_who_would_be_next(client, rep, waiting):
    def shown():
        page = client.get(ticked(client))
        return page.content.decode(), [(task.about, task.approval.requester, to) for task, to in page.context["rows"]]

    assert shown()[1] == [(one, rep, "") for one in waiting]  # nobody could be
    make.user("zhao", "gm", name="Zhao Hongtao")
    page, rows = shown()
    assert rows == [(one, rep, "Zhao Hongtao") for one in waiting]
    assert "asked by Chen Yu · if escalated: Zhao Hongtao" in page
    make.user("he", "gm", name="He Jing")
    assert {to for _about, _by, to in shown()[1]} == {"to be chosen on its page"}


def test_the_question_costs_the_same_for_one_request_and_for_many(client, rep, waiting):
    make.user("zhao", "gm", name="Zhao Hongtao")

    def cost():
        where = ticked(client)
        client.get(where)
        with CaptureQueriesContext(connection) as queries:
            client.get(where)
        return len(queries)

    before = cost()
    for number in range(5):
        make.opportunity(rep, state="reporting", name=f"More {number}")
    assert cost() == before


def test_what_was_changed_since_the_list_was_shown_is_refused(client, rep, waiting):
    where = ticked(client)
    Opportunity.objects.get(pk=waiting[0].pk).change(by=rep, description="One more thing.")
    run = done(client, where, decision="finish")
    assert states(waiting) == [State.REPORTING, State.ACTIVE, State.ACTIVE]
    assert reasons(run) == {
        "Line 0": "Somebody changed this record after you opened it. Look at what is there now, then try again."
    }


def test_a_return_needs_a_comment_and_goes_with_each(client, waiting):
    where = ticked(client)
    with unchanged():
        answer = confirm(client, where, decision="return", comment="  ")
    assert "a return needs a comment" in answer.content.decode()
    done(client, where, decision="return", comment="Name the decision maker.")
    assert states(waiting) == [State.RETURNED] * 3
    assert Event.objects.filter(kind="returned", data__comment="Name the decision maker.").count() == 3


def test_each_is_escalated_to_the_only_one_who_could_be_next(client, waiting):
    chief = make.user("zhao", "gm")
    run = done(client, ticked(client), decision="escalate")
    assert outcome(run) == (3, 0, 0, 0)
    assert Task.objects.open_for(chief).count() == 3


def test_where_several_could_be_next_each_is_decided_on_its_page(client, waiting):
    make.user("zhao", "gm"), make.user("qian", "gm")
    run = done(client, ticked(client), decision="escalate")
    assert outcome(run) == (0, 3, 0, 0)
    assert set(reasons(run).values()) == {"Several people could be next. Decide it on its page, and choose there."}
    assert states(waiting) == [State.REPORTING] * 3


def test_where_nobody_could_be_next_the_verb_says_so(client, waiting):
    run = done(client, ticked(client), decision="escalate")
    assert outcome(run) == (0, 3, 0, 0)
    assert all("GM" in why for why in reasons(run).values())


def test_what_was_handled_meanwhile_says_by_whom(client, deputy, waiting):
    where = ticked(client)
    waiting[0].open_task.finish(by=deputy, seen=waiting[0].version)
    run = done(client, where, decision="return", comment="No.")
    assert outcome(run) == (2, 1, 0, 0)
    assert reasons(run)["Line 0"].startswith("Already handled by Zhou Lan, ")
    assert states(waiting)[0] == State.ACTIVE


def test_the_task_of_another_is_neither_named_nor_decided(client, rep, waiting):
    theirs = make.opportunity(make.user(at="baoding"), state="reporting", name="Secret")
    task = theirs.open_task
    where = f"{ticked(client)}&pk={task.pk}_{theirs.version}"
    assert "Secret" not in client.get(where).content.decode()
    run = done(client, where, decision="finish")
    assert outcome(run) == (3, 0, 1, 0)
    assert states([theirs]) == [State.REPORTING]


def test_nothing_is_decided_that_no_list_showed(client, waiting):
    bare = "&".join(f"pk={one.open_task.pk}" for one in waiting)
    run = done(client, f"/tasks/bulk/decide/?{bare}", decision="finish")
    assert outcome(run) == (0, 3, 0, 0)
    assert states(waiting) == [State.REPORTING] * 3
    assert client.get("/tasks/bulk/decide/?every=1").context["selection"].rows == []


def test_what_came_back_to_be_revised_has_no_box(client, rep, waiting):
    task = waiting[0].open_task
    task.return_(by=task.holder, comment="Name them.", seen=waiting[0].version)
    page = signed_in(rep).get("/tasks/").content.decode()
    assert "Line 0" in page and 'name="pk"' not in page
