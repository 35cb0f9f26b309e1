"""
Cases of sending twice: whatever arrives at the same moment has one effect. The same harness is tried on a view that
looks before it writes and does nothing else, and finds more than one there: so it can fail.

Two and twenty at once, a few rounds every day and fifty under torture.
"""

import time

import pytest
from django.http import HttpResponse
from django.urls import path

from approvals.models import Task
from crm import urls
from customers.models import Customer
from notices.history import Event
from notices.models import Delivery
from tests import factories as make
from tests.approvals.test_together import press, statuses, together
from tests.importing import signed_in
from tests.opportunities.acts import ACTS, address

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=pytest.mark.torture)])
TIMES = pytest.mark.parametrize("times", [2, 20])


def careless(request):
    """This will enter a customer unless there is one of that name, as one does who thinks of one reader at a time."""
    name = request.POST["name"]
    if not Customer.objects.filter(name=name).exists():
        time.sleep(0.02)  # as long as anything else that stands between looking and writing
        Customer(name=name).create(by=request.user)
    return HttpResponse("Entered.")


urlpatterns = [*urls.urlpatterns, path("careless/", careless)]
handler400, handler429 = urls.handler400, urls.handler429


def pressed(person, times, where, data):
    """This will have `person` send `data` from as many windows in the same moment, and give the answers."""
    windows = [signed_in(person) for _time in range(times)]
    return together(*(lambda one=one: one.post(where, data) for one in windows))


@pytest.mark.case(23, 33)
@pytest.mark.urls("tests.cases.test_twice")
@TIMES
def test_where_nothing_guards_it_the_harness_finds_more_than_one_effect(times):
    person = make.user()
    effects = []
    for number in range(5):
        pressed(person, times, "/careless/", {"name": f"Qinghe {number}"})
        effects.append(Customer.objects.filter(name=f"Qinghe {number}").count())

    assert max(effects) > 1, effects


@pytest.mark.case(23)
@TIMES
@ROUNDS
def test_a_decision_sent_many_times_at_once_is_made_and_told_of_once(times, rounds):
    rep, deputy = make.user("rep"), make.user("deputy", "deputy_gm")
    for number in range(rounds):
        opportunity = make.opportunity(rep, name=f"Harbour cranes {number}")
        opportunity.report(by=rep, approver=deputy)

        answers = together(*[press(deputy, opportunity, "finish")] * times)

        assert statuses(answers) == [302] + [409] * (times - 1)
        decided = Task.objects.filter(about_id=opportunity.pk, decision__in=Task.DECISIONS)
        told = Delivery.objects.filter(about_id=opportunity.pk, kind="granted")
        granted = Event.objects.about(opportunity).filter(kind="granted")
        assert (decided.count(), granted.count(), told.count()) == (1, 1, 1)


@pytest.mark.case(23)
@pytest.mark.parametrize("name", ["sign", "terminate", "withdraw", "transfer"])
@TIMES
@ROUNDS
def test_an_act_sent_many_times_at_once_is_done_once(times, rounds, name):
    act = ACTS[name]
    for _round in range(rounds):
        opportunity = act.world()
        before = Delivery.objects.count()

        answers = pressed(act.actor(opportunity), times, address(opportunity, act.page), act.sends(opportunity))

        assert max(statuses(answers)) < 500 and 302 in statuses(answers)
        assert Event.objects.about(opportunity).filter(kind=act.event).count() == 1
        mails = Delivery.objects.values_list("to", flat=True)[: Delivery.objects.count() - before]
        assert len(mails) == len(set(mails))


@pytest.mark.case(33)
@TIMES
@ROUNDS
def test_a_new_one_sent_many_times_at_once_is_entered_once(times, rounds):
    rep = make.user()
    for number in range(rounds):
        once = signed_in(rep).get("/customers/new/").context["form"]["once"].value()
        name = f"Qinghe Water Group {number}"
        sent = {"name": name, "kind": "organisation", "status": "potential", "once": once}

        answers = pressed(rep, times, "/customers/new/", sent)

        customer = Customer.objects.get(name=name)
        assert {answer["Location"] for answer in answers} == {customer.get_absolute_url()}
