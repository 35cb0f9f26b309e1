"""
Who may be asked: the holders of a step's roles in the opportunity's own department, else in the nearest one above.
"""

import pytest

from approvals.models import Act, Approval, RouteVersion
from crm.verbs import Refused
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db


def candidates(opportunity, act=Act.REPORT):
    return Approval.plan(opportunity, act, by=opportunity.owner).candidates


def test_it_is_the_deputies_of_the_own_department():
    opportunity = make.opportunity()
    own = make.user(None, "deputy_gm")
    make.user(None, "deputy_gm", at="hebei")
    make.user(None, "deputy_gm", at="baoding")

    assert candidates(opportunity) == [own]


def test_all_of_them_where_there_are_several():
    opportunity = make.opportunity()
    several = {make.user(None, "deputy_gm") for _ in range(3)}

    assert set(candidates(opportunity)) == several


def test_it_is_those_of_the_province_where_the_city_has_none():
    opportunity = make.opportunity()
    provincial = make.user(None, "deputy_gm", at="hebei")
    make.user(None, "deputy_gm", at="head-office")

    assert candidates(opportunity) == [provincial]


def test_it_is_those_of_the_head_office_where_nobody_is_nearer():
    opportunity = make.opportunity()
    highest = make.user(None, "deputy_gm", at="head-office")

    assert candidates(opportunity) == [highest]


def test_a_provincial_opportunity_goes_to_the_provinces_people_and_never_down_to_a_city():
    opportunity = make.opportunity(make.user(at="hebei"))
    make.user(None, "deputy_gm", at="shijiazhuang")

    with pytest.raises(Refused):
        candidates(opportunity)


def test_whoever_is_deactivated_is_none():
    opportunity = make.opportunity()
    make.user(None, "deputy_gm", is_active=False)
    provincial = make.user(None, "deputy_gm", at="hebei")

    assert candidates(opportunity) == [provincial]


def test_the_owner_is_none_and_those_above_are_asked():
    owner = make.user(None, "rep", "deputy_gm")
    opportunity = make.opportunity(owner)
    provincial = make.user(None, "deputy_gm", at="hebei")

    assert candidates(opportunity) == [provincial]


def test_nobody_at_all_is_refused_with_role_and_department_and_changes_nothing():
    opportunity = make.opportunity()
    gm = make.user(None, "gm")

    with nothing_changed(), pytest.raises(Refused) as refusal:
        opportunity.report(by=opportunity.owner, approver=gm)

    assert str(refusal.value.message) == (
        "Nobody in Shijiazhuang or above can decide this step: it needs Deputy GM. Ask an administrator."
    )
    assert refusal.value.field == "approver"


def test_and_is_submitted_once_there_is_somebody():
    opportunity = make.opportunity()
    deputy = make.user(None, "deputy_gm")

    opportunity.report(by=opportunity.owner, approver=deputy)

    assert opportunity.open_task.holder == deputy


def test_an_approver_who_is_not_in_the_route_is_refused_and_nothing_changes():
    opportunity = make.opportunity()
    deputy, elsewhere = make.user(None, "deputy_gm"), make.user(None, "deputy_gm", at="baoding")

    for stranger in (elsewhere, opportunity.owner, make.user(None, "gm")):
        with nothing_changed(), pytest.raises(Refused, match="not in the route"):
            opportunity.report(by=opportunity.owner, approver=stranger)

    opportunity.report(by=opportunity.owner, approver=deputy)
    assert opportunity.state == "reporting"


def test_a_step_with_several_roles_takes_all_holders_in_the_nearest_department():
    opportunity = make.opportunity(state="active")
    signers = {make.user(None, role) for role in ("director", "gm")} | {make.approver(opportunity)}
    make.user(None, "director", at="hebei")

    assert set(candidates(opportunity, Act.SIGN)) == signers


def test_a_city_without_a_director_still_has_its_own_deputy_to_sign():
    opportunity = make.opportunity(make.user(at="jinan"), state="active")
    deputy = make.approver(opportunity)

    assert candidates(opportunity, Act.SIGN) == [deputy]


def test_people_who_are_named_are_candidates_wherever_they_work():
    opportunity = make.opportunity()
    deputy, named = make.user(None, "deputy_gm"), make.user(None, "support", at="jinan")
    RouteVersion.of(opportunity, Act.REPORT).steps.first().people.add(named)

    assert set(candidates(opportunity)) == {deputy, named}


def test_people_who_are_named_are_enough_without_a_role():
    opportunity = make.opportunity()
    named = make.user(None, "support", at="jinan")
    step = RouteVersion.of(opportunity, Act.REPORT).steps.first()
    step.people.add(named)
    step.roles.clear()

    assert candidates(opportunity) == [named]


def test_no_route_at_all_is_refused_in_words():
    opportunity = make.opportunity()
    make.user(None, "deputy_gm")
    route = RouteVersion.of(opportunity, Act.REPORT).route
    route.active = False
    route.save()

    with nothing_changed(), pytest.raises(Refused, match="No approval route fits Report in Shijiazhuang"):
        candidates(opportunity)
