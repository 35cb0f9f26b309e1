"""`manage.py seed` fills a database with an organisation and its opportunities, as true as if they had been lived."""

from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db.models import Count

from crm.models import Department, User
from customers.models import Customer
from notices.history import Event
from opportunities.models import FollowUp, Opportunity, State
from tests.bench.multiplying import multiply

pytestmark = pytest.mark.django_db


def seed(**options):
    """This will fill the database, and give what the command says."""
    out = StringIO()
    call_command("seed", stdout=out, **options)
    return out.getvalue()


def verify():
    out = StringIO()
    call_command("verify", stdout=out)
    return out.getvalue()


def test_it_makes_as_many_as_asked_in_every_state_and_all_of_it_holds():
    assert "300 opportunities of 2 reps" in seed(opportunities=300)

    assert Opportunity.objects.count() == 300
    assert {*Opportunity.objects.values_list("state", flat=True)} == {*State}
    assert Customer.objects.count() == 30
    assert FollowUp.objects.filter(planned_in__isnull=False).exists()
    assert Event.objects.filter(kind="granted").count() > 150
    assert verify() == "Everything holds.\n"


def test_again_it_adds_as_many_in_the_same_organisation():
    seed(opportunities=40)
    people, departments = User.objects.count(), Department.objects.count()

    seed(opportunities=20, seed=2)

    assert (User.objects.count(), Department.objects.count()) == (people, departments)
    assert Opportunity.objects.count() == 60
    assert verify() == "Everything holds.\n"


def test_it_grows_around_the_demo_company():
    call_command("demo", verbosity=0)
    there = Opportunity.objects.count()

    seed(opportunities=10)

    assert Opportunity.objects.count() == there + 10
    assert Department.objects.filter(parent=None).count() == 1
    assert verify() == "Everything holds.\n"


def test_what_the_benchmark_multiplies_holds_as_well_and_each_rep_has_as_many_as_before():
    seed(opportunities=300)
    one = Opportunity.objects.latest("id")

    multiply(3, say=[].append)

    owners = Opportunity.objects.order_by("owner").values_list("owner").annotate(count=Count("*"))
    assert sorted(count for _owner, count in owners) == [70] * 3 + [230] * 3
    assert Opportunity.objects.search(one.name).filter(name=one.name).count() >= 3
    assert verify() == "Everything holds.\n"


def test_its_people_sign_in_as_those_of_the_demo_company_do(client):
    seed(opportunities=20)

    assert client.login(username="seed-1-1.rep.1", password="pursuit-demo")
    page = client.get("/opportunities/").content.decode()
    mine = Opportunity.objects.filter(owner__username="seed-1-1.rep.1").in_order()[0]
    assert mine.get_absolute_url() in page


def test_a_production_system_is_left_alone(settings):
    settings.PRODUCTION = True

    with pytest.raises(CommandError, match="what is real"):
        seed(opportunities=10)

    assert not Opportunity.objects.exists()


def test_none_is_no_number():
    with pytest.raises(CommandError, match="--opportunities 100000"):
        seed(opportunities=0)
