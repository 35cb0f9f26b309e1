"""A request that was returned: where its next round starts, with whom, and by which version of the route."""

from decimal import Decimal

import pytest

from approvals.models import Act, Approval, Round, Route, RouteVersion
from crm.models import Role
from crm.verbs import Refused
from opportunities.models import BusinessType
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db


@pytest.fixture
def returned(people, reported):
    """This will give an opportunity that the deputy escalated and the GM returned."""
    decide(reported, "escalate", to=people.gm)
    decide(reported, "return_", comment="Who decides at the customer?")
    return reported


def decide(opportunity, verb, **given):
    task = opportunity.open_task
    opportunity.refresh_from_db()
    getattr(task, verb)(by=task.holder, seen=opportunity.version, **given)
    opportunity.refresh_from_db()


def again(opportunity):
    return Approval.plan(opportunity, Act.REPORT, by=opportunity.owner)


def revised(route, **changes):
    """
    This will publish the next version of a route: `first` and `last` are roles that its steps are to name instead.
    """
    draft = route.revise()
    for place, role in changes.items():
        step = getattr(draft.steps.order_by("order"), place)()
        step.roles.set([Role.objects.get(key=role)])
    draft.publish(by=make.user(None, "administrator", at="head-office"))
    return draft


def test_it_starts_at_the_step_that_returned_it_with_whoever_returned_it(people, returned):
    make.user(None, "gm")

    plan = again(returned)

    assert plan.step.order == 2
    assert plan.candidates == [people.gm]


def test_what_was_approved_before_is_carried_over(people, returned):
    returned.report(by=people.rep, approver=people.gm)

    assert [(link.kind, link.what, link.person) for link in returned.open_approval.chain()] == [
        ("did", "asked", people.rep),
        ("did", "carried", people.deputy),
        ("now", "decide", people.gm),
    ]


def test_another_of_the_same_step_is_asked_where_whoever_returned_it_is_no_longer_able(people, returned):
    other = make.user(None, "gm")
    people.gm.is_active = False
    people.gm.save()

    assert again(returned).candidates == [other]
    assert again(returned).step.order == 2


def test_nobody_able_at_that_step_is_refused_and_not_skipped(people, returned):
    people.gm.roles.clear()

    with nothing_changed(), pytest.raises(Refused, match="it needs GM"):
        again(returned)


@pytest.mark.parametrize("name", ["customer", "business_type", "amount"])
def test_it_starts_over_where_the_core_changed(people, returned, name):
    new = {
        "customer": make.customer(people.rep),
        "business_type": BusinessType.objects.get(key="iot"),
        "amount": Decimal("99000"),
    }
    returned.change(by=people.rep, **{name: new[name]})

    assert again(returned).step.order == 1
    assert again(returned).candidates == [people.deputy]
    assert again(returned).carried == []


@pytest.mark.parametrize("values", [{"name": "Harbour cranes, lot 2"}, {"description": "Ms Ding decides."}])
def test_it_goes_on_where_anything_else_changed(people, returned, values):
    returned.change(by=people.rep, **values)

    assert again(returned).candidates == [people.gm]


def test_a_core_that_was_changed_and_changed_back_did_not_change(people, returned):
    before = returned.amount
    returned.change(by=people.rep, amount=Decimal("5"))
    returned.change(by=people.rep, amount=before)

    assert again(returned).candidates == [people.gm]


def test_a_customer_who_was_renamed_did_not_change(people, returned):
    returned.customer.change(by=people.rep, name="Qinghe Water Holding")

    assert again(returned).candidates == [people.gm]


def test_what_the_approver_changed_is_no_change_of_the_askers(people, reported):
    decide(reported, "escalate", to=people.gm)
    reported.change(by=people.gm, amount=Decimal("90000"))
    decide(reported, "return_", comment="This is what it is worth.")

    assert again(reported).candidates == [people.gm]


def test_another_route_that_matches_now_starts_over(people, returned):
    route = Route.objects.create(key="first", names={"en": "First"}, act=Act.REPORT, order=0)
    version = route.revise()
    version.steps.create(order=1, may_finish=True).roles.set(
        RouteVersion.of(returned, Act.REPORT).steps.last().roles.all()
    )
    version.publish(by=people.admin)

    plan = again(returned)

    assert plan.version == version
    assert plan.step.order == 1
    assert plan.carried == []


def test_a_new_round_runs_by_the_newest_version(people, returned):
    director = people.director
    draft = revised(Route.objects.get(key="report"), last="director")

    plan = again(returned)

    assert plan.version == draft
    assert plan.step.order == 1  # the second step asks for others now, so the first is asked again
    assert director not in plan.candidates


def test_a_version_whose_steps_so_far_ask_for_the_same_goes_on_where_it_was(people, returned):
    draft = Route.objects.get(key="report").revise()
    draft.steps.create(order=3, may_finish=True).roles.set([Role.objects.get(key="gm")])
    draft.publish(by=people.admin)

    plan = again(returned)

    assert plan.version == draft
    assert plan.step.order == 2
    assert [task.holder for task in plan.carried] == [people.deputy]


def test_a_step_put_before_the_others_is_not_skipped(people, returned):
    draft = Route.objects.get(key="report").revise()
    for step in draft.steps.order_by("-order"):
        step.order += 1
        step.save()
    draft.steps.create(order=1).roles.set([Role.objects.get(key="director")])
    draft.publish(by=people.admin)

    assert again(returned).candidates == [people.director]


@pytest.mark.case(28)
def test_what_runs_keeps_its_version(people, reported):
    revised(Route.objects.get(key="report"), last="director")

    decide(reported, "escalate", to=people.gm)

    assert reported.open_task.step.version.number == 1


@pytest.mark.case(28)
def test_a_retired_route_goes_on_for_what_runs_and_is_not_chosen_again(people, reported):
    Route.objects.filter(key="report").update(active=False)
    decide(reported, "return_", comment="Not now.")

    with nothing_changed(), pytest.raises(Refused, match="No approval route fits"):
        again(reported)


def test_a_round_that_was_withdrawn_leaves_the_return_before_it_in_force(people, returned):
    returned.report(by=people.rep, approver=people.gm)
    returned.withdraw(by=people.rep)

    assert returned.state == "returned"
    assert again(returned).candidates == [people.gm]


def test_changes_of_a_withdrawn_round_are_counted_from_the_return(people, returned):
    returned.change(by=people.rep, amount=Decimal("5"))
    returned.report(by=people.rep, approver=people.deputy)
    returned.withdraw(by=people.rep)

    assert again(returned).candidates == [people.deputy]


def test_rounds_are_numbered_and_keep_what_the_record_said(people, returned):
    returned.change(by=people.rep, amount=Decimal("99000"))
    returned.report(by=people.rep, approver=people.deputy, comment="Counted again.")

    first, second = Round.objects.filter(approval=returned.open_approval)
    assert (first.number, second.number) == (1, 2)
    assert (first.snapshot["amount"], second.snapshot["amount"]) == ("100000.00", "99000.00")
    assert second.comment == "Counted again."


def test_a_returned_signing_is_asked_for_again_as_a_round_of_the_same_request(people):
    opportunity = make.opportunity(people.rep, state="signing")
    decide(opportunity, "return_", comment="The amount differs from the contract.")
    approval = opportunity.open_approval

    assert opportunity.state == "active"
    make.sign(opportunity, approver=people.deputy, amount=Decimal("88000"))

    assert opportunity.open_approval == approval
    assert approval.last_round.form["signed_amount"] == "88000.00"


def test_another_act_waits_until_the_returned_request_is_dropped(people):
    opportunity = make.opportunity(people.rep, state="signing")
    decide(opportunity, "return_", comment="No.")

    with nothing_changed(), pytest.raises(Refused, match="still on your desk"):
        make.terminate(opportunity, approver=people.deputy)

    opportunity.drop(by=people.rep)
    make.terminate(opportunity, approver=people.deputy)
    assert opportunity.state == "terminating"
