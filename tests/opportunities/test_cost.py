"""What the writes of every day cost, from the press of the button to the answer: at most 21 queries."""

import pytest

from approvals.models import Task
from notices.history import Event
from opportunities.models import Opportunity
from tests import factories as make
from tests.opportunities.acts import ACTS, address, typed, version

pytestmark = pytest.mark.django_db

# Whoever signed in was asked about before: session, person and roles are three of each.
MOST = {"create": 17, "report": 21, "decide": 20, "move": 12}


@pytest.fixture
def costs(django_assert_max_num_queries):
    """This will post a page as `person` and see what that costs."""

    def post(client, person, page, data, most):
        client.force_login(person)
        client.get("/messages/")
        with django_assert_max_num_queries(most):
            answer = client.post(page, data)
        assert answer.status_code == 302

    return post


def test_entering_an_opportunity(client, costs):
    rep = make.user()
    customer = make.opportunity(rep, name="The first of the year").customer
    blank = Opportunity(owner=rep, name="Harbour cranes", customer=customer, stage=make.stage(), probability=20)

    costs(client, rep, "/opportunities/new/", typed(blank), MOST["create"])

    assert Opportunity.objects.latest("pk").name == "Harbour cranes"


@pytest.mark.parametrize("name", ["report", "move"])
def test_an_act(client, costs, name):
    act = ACTS[name]
    opportunity = act.world()

    costs(client, opportunity.owner, address(opportunity, act.page), act.sends(opportunity), MOST[name])

    assert Event.objects.about(opportunity).filter(kind=act.event).count() == 1


def test_deciding(client, costs):
    opportunity = make.opportunity(state="reporting")
    task = opportunity.open_task
    decision = {"decision": "finish", "comment": "Go on.", "version": version(opportunity)}

    costs(client, task.holder, f"/tasks/{task.pk}/", decision, MOST["decide"])

    assert Task.objects.get(pk=task.pk).decision == Task.Decision.FINISHED
