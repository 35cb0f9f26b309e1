"""Steps that nobody can decide: where they are found, and how an administrator puts them before somebody else."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from approvals.models import AlreadyHandled, Route, RouteVersion, Task
from crm.models import Role, User
from crm.verbs import NotAllowed, Refused
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db


@pytest.fixture
def stuck(people, reported):
    """This will give an opportunity that waits for a deputy who has left."""
    people.deputy.is_active = False
    people.deputy.save()
    return reported


@pytest.mark.case(10, 28)
def test_a_task_whose_holder_left_stands_among_them_and_no_other(people, stuck):
    make.opportunity(state="reporting")

    assert list(Task.objects.nobody_can_decide()) == [stuck.open_task]


def test_an_administrator_puts_it_before_another_candidate(people, stuck):
    other = make.user(None, "deputy_gm")
    before = stuck.open_task

    before.assign(to=other, by=people.admin)

    task = stuck.open_task
    before.refresh_from_db()
    assert (task.holder, task.step, task.round) == (other, before.step, before.round)
    assert (before.decision, before.decided_by) == ("reassigned", people.admin)
    assert not Task.objects.nobody_can_decide().exists()
    task.finish(by=other, seen=stuck.version)


def test_only_a_candidate_may_be_given_it(people, stuck):
    for stranger in (people.gm, people.rep, people.deputy):
        with nothing_changed(), pytest.raises(Refused, match="not in the route"):
            stuck.open_task.assign(to=stranger, by=people.admin)


def test_only_an_administrator_gives_it(people, stuck):
    other = make.user(None, "deputy_gm")
    manager = make.user(None, "opportunity_manager", at="head-office")

    for stranger in (people.gm, people.rep, manager, other):
        with nothing_changed(), pytest.raises(NotAllowed):
            stuck.open_task.assign(to=other, by=stranger)

    stuck.open_task.assign(to=other, by=people.admin)


def test_what_its_holder_can_decide_is_not_taken_away(people, reported):
    other = make.user(None, "deputy_gm")

    with nothing_changed(), pytest.raises(Refused, match="can be decided by its holder"):
        reported.open_task.assign(to=other, by=people.admin)


def test_a_request_to_revise_is_not_assigned(people, reported):
    reported.open_task.return_(by=people.deputy, seen=reported.version, comment="Why?")

    with nothing_changed(), pytest.raises(Refused):
        reported.open_task.assign(to=people.deputy, by=people.admin)


def test_the_second_of_two_administrators_is_told(people, stuck):
    other, third = make.user(None, "deputy_gm"), make.user(None, "deputy_gm")
    task = stuck.open_task
    task.assign(to=other, by=people.admin)

    with nothing_changed(), pytest.raises(AlreadyHandled):
        task.assign(to=third, by=people.admin)


def test_a_handover_gives_a_returned_request_to_the_new_owner(people, reported):
    reported.open_task.return_(by=people.deputy, seen=reported.version, comment="Why?")
    reported.refresh_from_db()
    other = make.user()

    reported.transfer(to=other, by=people.admin)

    assert reported.open_task.holder == other
    reported.report(by=other, approver=people.deputy)
    assert reported.state == "reporting"


def test_a_step_that_named_only_people_who_left_goes_on_as_the_route_is_now(people):
    """A published version never changes, so a new one opens what nobody whom the old one names can decide any more."""
    route = Route.objects.get(key="report")
    named, director = make.user(None, "support"), people.director
    first = only(route, named)
    opportunity = make.opportunity(people.rep)
    opportunity.report(by=people.rep, approver=named)
    User.objects.filter(pk=named.pk).update(is_active=False)
    assert opportunity.open_task.candidates() == []
    assert opportunity.open_task.step.version == first

    second = only(route, director)
    opportunity.open_task.assign(to=director, by=people.admin)

    assert (opportunity.open_task.holder, opportunity.open_task.step.version) == (director, second)
    opportunity.open_task.finish(by=director, seen=opportunity.version)


def only(route, person):
    """This will publish a version of one step, which names this person alone."""
    draft = route.revise()
    draft.steps.all().delete()
    draft.steps.create(order=1, may_finish=True).people.add(person)
    draft.publish(by=make.user(None, "administrator", at="head-office"))
    return draft


WAYS = ["leave", "come back", "lose the role", "get the role", "move", "return", "own", "other owner", "name", "unname"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ways=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(WAYS)), max_size=12))
def test_the_list_and_the_question_are_one(people, reported, ways):
    """`nobody_can_decide` asks the database what `holder_is_able` asks of one task."""
    world = [reported, make.opportunity(people.rep, state="signing"), make.opportunity(people.rep, state="terminating")]
    elsewhere = make.department("jinan")
    home = make.department("shijiazhuang")
    for number, way in ways:
        task = world[number].open_task
        holder = User.objects.get(pk=task.holder_id)
        if way in ("leave", "come back"):
            User.objects.filter(pk=holder.pk).update(is_active=way == "come back")
        elif way in ("lose the role", "get the role"):
            holder.roles.set(Role.objects.filter(key="rep" if way == "lose the role" else "deputy_gm"))
        elif way in ("move", "return"):
            User.objects.filter(pk=holder.pk).update(department=elsewhere if way == "move" else home)
        elif way in ("own", "other owner"):
            to = holder if way == "own" else make.user()
            if to.is_active and to != world[number].owner:
                world[number].transfer(to=to, by=people.admin)
        elif way == "name":
            task.step.people.add(holder)
        else:
            task.step.people.clear()

        tasks = Task.objects.open().filter(kind="decide")
        assert {one.pk for one in Task.objects.nobody_can_decide()} == {
            one.pk for one in tasks if not one.holder_is_able()
        }
    for opportunity in world:  # the fixtures outlive an example
        opportunity.open_task.step.people.clear()
    User.objects.filter(pk=people.deputy.pk).update(is_active=True, department=home)
    people.deputy.roles.set(Role.objects.filter(key="deputy_gm"))


# Steps without people


def vacant():
    return {(str(one.step.version.route), one.step.order, str(one.department)) for one in RouteVersion.vacancies()}


def test_a_step_without_anybody_for_a_department_is_listed_with_role_and_department(people):
    people.deputy.roles.clear()

    assert ("Report", 1, "Shijiazhuang") in vacant()
    assert ("Terminate", 1, "Shijiazhuang") in vacant()
    assert not any(route == "Sign" and where == "Shijiazhuang" for route, _order, where in vacant())


def test_somebody_above_fills_it(people):
    people.deputy.roles.clear()
    make.user(None, "deputy_gm", at="hebei")

    assert not any(where == "Shijiazhuang" for _route, _order, where in vacant())


def test_so_does_somebody_who_is_named(people):
    people.deputy.roles.clear()
    RouteVersion.in_force("report")[0].steps.first().people.add(people.director)

    assert ("Report", 1, "Shijiazhuang") not in vacant()
    people.director.is_active = False
    people.director.save()
    assert ("Report", 1, "Shijiazhuang") in vacant()


def test_departments_without_people_and_routes_out_of_force_are_not_asked(people):
    make.department("baoding")
    assert not any(where == "Baoding" for _route, _order, where in vacant())

    people.deputy.roles.clear()
    Route.objects.update(active=False)
    assert vacant() == set()
