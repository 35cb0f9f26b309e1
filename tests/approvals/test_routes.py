"""Routes: which one is taken, how a version comes into force, and the administrators' pages where they are written."""

from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry

from approvals.models import Act, Route, RouteVersion, Step
from crm.models import Level, Role
from crm.verbs import Refused
from opportunities.models import BusinessType
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db

CLOUD = {"all": [{"field": "business_type", "op": "in", "value": ["cloud"]}]}
LARGE = {"all": [{"field": "amount", "op": "at_least", "value": "1000000.00"}]}


def route(key="special", *, order=0, levels=(), conditions=None, act=Act.REPORT, may_finish=True):
    """This will give a draft version of a new route, with one step for GMs."""
    made = Route.objects.create(key=key, names={"en": key.capitalize()}, act=act, order=order)
    draft = made.versions.create(number=1, levels=list(levels), conditions=conditions or {})
    draft.steps.create(order=1, may_finish=may_finish).roles.set(Role.objects.filter(key="gm"))
    return draft


@pytest.fixture
def by(db):
    return make.user("admin", "administrator", at="head-office")


def taken(opportunity):
    return RouteVersion.of(opportunity, Act.REPORT).route.key


# Which one is taken


def test_the_first_in_order_that_matches_is_taken(by):
    opportunity = make.opportunity()
    assert taken(opportunity) == "report"

    route("later", order=9).publish(by=by)
    assert taken(opportunity) == "report"
    route("earlier").publish(by=by)
    assert taken(opportunity) == "earlier"


def test_it_is_chosen_by_the_level_of_the_department(by):
    route(levels=[Level.PROVINCE]).publish(by=by)

    assert taken(make.opportunity()) == "report"
    assert taken(make.opportunity(make.user(at="hebei"))) == "special"


def test_it_is_chosen_by_business_type(by):
    route(conditions=CLOUD).publish(by=by)

    assert taken(make.opportunity()) == "special"
    assert taken(make.opportunity(business_type=BusinessType.objects.get(key="iot"))) == "report"


def test_it_is_chosen_by_amount(by):
    route(conditions=LARGE).publish(by=by)

    assert taken(make.opportunity(amount=Decimal("1000000"))) == "special"
    assert taken(make.opportunity(amount=Decimal("999999.99"))) == "report"


def test_it_is_worked_out_again_with_the_values_at_submission(by):
    route(conditions=LARGE).publish(by=by)
    deputy, gm = make.user(None, "deputy_gm"), make.user(None, "gm")
    opportunity = make.opportunity()
    opportunity.change(by=opportunity.owner, amount=Decimal("2000000"))

    with nothing_changed(), pytest.raises(Refused, match="not in the route"):
        opportunity.report(by=opportunity.owner, approver=deputy)

    opportunity.report(by=opportunity.owner, approver=gm)
    assert opportunity.open_task.holder == gm


def test_a_draft_and_a_retired_route_are_not_taken(by):
    draft = route()
    assert taken(make.opportunity()) == "report"

    draft.publish(by=by)
    Route.objects.filter(key="special").update(active=False)
    assert taken(make.opportunity()) == "report"


# Coming into force


def test_publishing_puts_a_version_in_force(by):
    draft = route()

    draft.publish(by=by)

    draft.refresh_from_db()
    assert draft.published_by == by
    assert RouteVersion.in_force(Act.REPORT)[0] == draft


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda draft: draft.steps.all().delete(), "A route needs at least one step."),
        (
            lambda draft: draft.steps.update(may_finish=False),
            "The approver of the last step must be allowed to finish.",
        ),
        (lambda draft: draft.steps.first().roles.clear(), "Step 1 names neither a role nor a person."),
        (
            lambda draft: RouteVersion.objects.filter(pk=draft.pk).update(
                conditions={"field": "owner", "op": "is", "value": 1}
            ),
            "cannot be asked",
        ),
        (
            lambda draft: RouteVersion.objects.filter(pk=draft.pk).update(
                conditions={"field": "business_type", "op": "in", "value": ["no-such-type"]}
            ),
            "Business type",
        ),
    ],
)
def test_what_could_not_work_is_not_published(by, wrong, said):
    draft = route()
    wrong(draft)

    with nothing_changed(), pytest.raises(Refused, match=said):
        draft.publish(by=by)


def test_a_version_is_published_once(by):
    draft = route()
    draft.publish(by=by)

    with nothing_changed(), pytest.raises(Refused, match="published already"):
        draft.publish(by=by)


def test_a_new_version_says_what_the_last_one_says(by):
    first = route(levels=[Level.CITY], conditions=LARGE)
    first.steps.first().people.add(by)
    first.publish(by=by)

    second = first.route.revise()

    assert (second.number, second.levels, second.conditions) == (2, [Level.CITY], LARGE)
    assert [step.asks() for step in second.steps.all()] == [step.asks() for step in first.steps.all()]
    assert second.published_at is None


def test_a_route_has_one_draft_at_a_time(by):
    draft = route()

    assert draft.route.revise() == draft


def test_what_is_in_force_stays_while_a_new_version_is_written(by):
    Route.objects.get(key="report").revise().steps.all().delete()

    assert RouteVersion.of(make.opportunity(), Act.REPORT).number == 1


# The administrators' pages


def typed(version, **more):
    """This will give what the form of a draft sends."""
    sent = {"amount_from": "", "amount_under": ""}
    for key, value in (("TOTAL_FORMS", 2), ("INITIAL_FORMS", version.steps.count()), ("MIN_NUM_FORMS", 0)):
        sent[f"steps-{key}"] = value
    for place, step in enumerate(version.steps.all()):
        sent |= {
            f"steps-{place}-id": step.pk, f"steps-{place}-version": version.pk, f"steps-{place}-order": step.order,
            f"steps-{place}-roles": [role.pk for role in step.roles.all()],
            f"steps-{place}-may_finish": "on" if step.may_finish else "",
        }  # fmt: skip
    return sent | more


def page(version):
    return f"/admin/approvals/routeversion/{version.pk}/change/"


def test_an_administrator_writes_a_route_and_publishes_it(by, sign_in):
    client = sign_in(by)
    new = {
        "key": "large",
        "names_en": "Large",
        "names_zh_hans": "大额",
        "act": "report",
        "order": 0,
        "active": "on",
    }
    response = client.post("/admin/approvals/route/add/", new)
    draft = Route.objects.get(key="large").draft
    assert response.url == page(draft)

    gm = Role.objects.get(key="gm").pk
    step = {"steps-0-order": 1, "steps-0-roles": [gm], "steps-0-may_finish": "on"}
    asked = {"levels": ["30"], "business_types": ["cloud", "iot"], "amount_from": "100万", "amount_under": ""}
    client.post(page(draft), typed(draft, **step, **asked, _save="Save"))

    draft.refresh_from_db()
    assert draft.levels == [Level.CITY]
    assert draft.conditions == {
        "all": [
            {"field": "business_type", "op": "in", "value": ["cloud", "iot"]},
            {"field": "amount", "op": "at_least", "value": "1000000.00"},
        ]
    }
    shown = client.get(page(draft)).content.decode()
    assert 'value="1,000,000"' in shown
    assert 'name="_publish"' in shown

    response = client.post(page(draft), typed(draft, **asked, _publish="Publish"), follow=True)

    draft.refresh_from_db()
    assert draft.published_by == by
    assert "It is in force now" in response.content.decode()
    assert LogEntry.objects.filter(user=by, object_id=str(draft.pk)).exists()
    assert taken(make.opportunity(amount=Decimal("1000000"))) == "large"


def test_what_could_not_work_is_said_in_sentences(by, sign_in):
    draft = route(may_finish=False)

    response = sign_in(by).post(page(draft), typed(draft, _publish="Publish"), follow=True)

    assert "The approver of the last step must be allowed to finish." in response.content.decode()
    draft.refresh_from_db()
    assert draft.published_at is None


def test_amounts_that_no_opportunity_meets_are_refused_at_the_field(by, sign_in):
    draft = route()

    response = sign_in(by).post(page(draft), typed(draft, amount_from="5", amount_under="5", _save="Save"))

    assert "no opportunity would fit" in response.content.decode()


def test_a_published_version_is_read_and_not_written(by, sign_in):
    draft = route(levels=[Level.CITY], conditions=LARGE)
    draft.publish(by=by)
    client = sign_in(by)

    shown = client.get(page(draft)).content.decode()
    assert "Amount at least ¥1,000,000" in shown
    assert "City" in shown
    assert "_save" not in shown
    assert "_publish" not in shown
    with nothing_changed():
        assert client.post(page(draft), typed(draft, _save="Save")).status_code == 403
        assert client.post(page(draft).replace("change", "delete"), {"post": "yes"}).status_code == 403


def test_a_new_version_is_begun_from_the_route_and_from_the_list(by, sign_in):
    shipped = Route.objects.get(key="report")
    client = sign_in(by)
    sent = {"names_en": "Report", "names_zh_hans": "报备", "order": 1, "active": "on", "_revise": "New version"}

    response = client.post(f"/admin/approvals/route/{shipped.pk}/change/", sent)
    assert response.url == page(shipped.draft)

    sign = Route.objects.get(key="sign")
    client.post("/admin/approvals/route/", {"action": "revise", "_selected_action": [sign.pk]})
    assert sign.draft.number == 2


def test_a_route_is_retired_and_not_deleted(by, sign_in):
    shipped = Route.objects.get(key="terminate")
    client = sign_in(by)

    with nothing_changed():
        assert client.post(f"/admin/approvals/route/{shipped.pk}/delete/", {"post": "yes"}).status_code == 403
        client.post(
            "/admin/approvals/route/", {"action": "delete_selected", "_selected_action": [shipped.pk], "post": "yes"}
        )

    sent = {"names_en": "Terminate", "names_zh_hans": "终止", "order": 1, "_save": "Save"}
    client.post(f"/admin/approvals/route/{shipped.pk}/change/", sent)
    shipped.refresh_from_db()
    assert not shipped.active


def test_the_list_shows_what_is_in_force_and_what_is_being_written(by, sign_in):
    draft = Route.objects.get(key="report").revise()

    shown = sign_in(by).get("/admin/approvals/route/").content.decode()

    assert page(draft) in shown
    assert "version 1" in shown


def test_nobody_else_gets_in(by, sign_in):
    draft = route()
    for person in (make.user(None, "gm"), make.user(None, "opportunity_manager", at="head-office")):
        client = sign_in(person)
        for where in (page(draft), "/admin/approvals/route/"):
            with nothing_changed():
                assert client.get(where).status_code in (302, 403)
                assert client.post(where, typed(draft, _publish="Publish")).status_code in (302, 403)


def test_steps_of_a_draft_that_was_thrown_away_are_gone(by, sign_in):
    draft = route()

    sign_in(by).post(page(draft).replace("change", "delete"), {"post": "yes"})

    assert not Step.objects.filter(version=draft.pk).exists()
