"""Entering an opportunity: Save keeps a draft, Submit for approval enters and reports it in one."""

from datetime import date
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from approvals.models import Approval, Route
from notices.history import Event
from notices.models import Delivery, Message
from opportunities.models import BusinessType, Movement, Opportunity, Source, Stage
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db

NEW = "/opportunities/new/"


@pytest.fixture
def rep(client):
    person = make.user("chen.yu", name="Chen Yu", language="en")
    client.force_login(person)
    return person


@pytest.fixture
def deputy():
    return make.user("zhou.lan", "deputy_gm", name="Zhou Lan")


@pytest.fixture
def customer(rep):
    return make.customer(rep, name="Qinghe Water Group")


def whole(customer, **changes):
    """This will give a form filled in with everything that a report needs, but the approver."""
    return {
        "name": "Pump house cameras",
        "customer": customer.name,
        "business_type": BusinessType.objects.get(key="iot").pk,
        "amount": "45万",
        "expected_close_on": "2030-02-26",
        "stage": make.stage().pk,
        "probability": "20 %",
        "owner": "Chen Yu",
    } | changes


class Labels(HTMLParser):
    """Reads the texts of all labels."""

    def __init__(self, html):
        super().__init__()
        self.found, self.inside = [], 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.inside += tag == "label" or bool(self.inside and tag == "span")
        if tag == "label":
            self.found.append("")

    def handle_endtag(self, tag):
        self.inside -= bool(self.inside and tag in ("label", "span"))

    def handle_data(self, data):
        if self.inside:
            self.found[-1] += data


def errors(answer):
    return {name: [str(one) for one in said] for name, said in answer.context["form"].errors.items()}


# Saving


def test_a_draft_needs_a_name_only(client, rep):
    answer = client.post(NEW, {"name": "Pump house cameras", "act": "save"})

    opportunity = Opportunity.objects.get()
    assert answer["Location"] == opportunity.get_absolute_url()
    assert (opportunity.state, opportunity.owner, opportunity.department) == ("draft", rep, rep.department)
    assert (opportunity.stage.key, opportunity.probability, opportunity.amount) == ("first-contact", 20, None)
    assert opportunity.number.startswith("OP2") and opportunity.number.endswith("-000001")
    assert [event.kind for event in Event.objects.about(opportunity)] == ["created"]
    moved = Movement.objects.get(opportunity=opportunity)
    assert (moved.state, moved.owner, moved.base_cents) == ("draft", rep, 0)


def test_pressing_enter_in_a_field_saves_and_does_not_submit(client, rep, deputy):
    page = client.get(NEW).content.decode()
    assert page.index('name="act" value="save"') < page.index('name="act" value="submit"')


def test_a_draft_without_a_name_is_refused_and_keeps_what_was_typed(client, rep):
    with nothing_changed():
        answer = client.post(NEW, {"name": " ", "description": "Twelve pump houses.", "act": "save"})
    assert errors(answer) == {"name": ["Fill this in."]}
    assert "Twelve pump houses." in answer.content.decode()


def test_everything_that_was_typed_is_kept_as_it_was_meant(client, rep, customer):
    source = Source.objects.get(key="tender")
    client.post(NEW, whole(customer, source=source.pk, description="Two cameras each.", act="save"))

    opportunity = Opportunity.objects.get()
    assert opportunity.customer == customer
    assert opportunity.business_type.key == "iot"
    assert (opportunity.amount, opportunity.base_cents) == (Decimal("450000.00"), 45_000_000)
    assert opportunity.expected_close_on == date(2030, 2, 26)
    assert (opportunity.source, opportunity.description) == (source, "Two cameras each.")


@pytest.mark.parametrize(
    ("stage", "probability", "kept", "typed"),
    [
        ("first-contact", "20 %", 20, False),
        ("proposal", "20 %", 60, False),  # left as it stood: it follows the stage
        ("proposal", "", 60, False),
        ("proposal", "60", 60, False),
        ("proposal", "75", 75, True),
        ("first-contact", "３５％", 35, True),
    ],
)
def test_the_probability_follows_the_stage_until_it_is_changed(client, rep, stage, probability, kept, typed):
    client.post(NEW, {"name": "A", "stage": make.stage(stage).pk, "probability": probability, "act": "save"})
    opportunity = Opportunity.objects.get()
    assert (opportunity.probability, opportunity.probability_typed) == (kept, typed)


BAD = {
    "name": ["", " ", "\0", "x" * 201, "Pumps\r\nBcc: all@example.org", "Pumps\u2028two"],
    "amount": ["about 45万", "NaN", "Infinity", "1e1000", "-1", "1.234", "9" * 10**6, "100000000000000"],
    "expected_close_on": ["0000-00-00", "2024-02-30", "9999-12-31", "31/01/2030", "\0"],
    "probability": ["0", "100", "-5", "NaN", "1.5", "twenty", "9" * 10**6, "\0"],
    "stage": ["won", "9223372036854775808", "0", "\0"],
    "business_type": ["9223372036854775808", "x", "\0"],
    "customer": ["a\0b", "No such customer", "x" * 10**5],
    "customer_id": ["9223372036854775808", "-1", "x"],
    "owner": ["a\0b", "Nobody of that name"],
    "description": ["\0", "x" * 20001],
}


@pytest.mark.parametrize("field", BAD)
def test_what_cannot_be_is_refused_at_its_field_and_nothing_is_entered(client, rep, customer, field):
    for bad in BAD[field]:
        sent = whole(customer, act="save") | {field: bad} | ({"customer": bad} if field == "customer_id" else {})
        with nothing_changed():
            answer = client.post(NEW, sent)
        assert answer.status_code == 200, bad[:40]
        assert list(errors(answer)) == [field.removesuffix("_id")], bad[:40]
    assert client.post(NEW, whole(customer, act="save")).status_code == 302


def test_won_and_lost_cannot_be_chosen(client, rep, customer):
    for key in ("won", "lost"):
        with nothing_changed():
            assert "stage" in errors(client.post(NEW, whole(customer, stage=make.stage(key).pk, act="save")))


def test_a_retired_value_is_not_offered(client, rep):
    BusinessType.objects.filter(key="5g").update(active=False)
    page = client.get(NEW).content.decode()
    assert "5G private network" not in page
    assert "Data centre" in page


def test_where_every_open_stage_is_retired_it_says_what_is_missing(client, rep):
    Stage.objects.filter(kind="open").update(active=False)
    with nothing_changed():
        answers = [client.get(NEW), client.post(NEW, {"name": "A", "act": "save"})]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert "The pipeline has no stage for this." in answers[0].content.decode()


@pytest.mark.case(33)
def test_the_same_form_sent_again_leads_to_the_same_opportunity(client, rep):
    key = str(client.get(NEW).context["form"]["once"].value())
    first = client.post(NEW, {"name": "A", "once": key, "act": "save"})
    with nothing_changed():
        assert client.post(NEW, {"name": "A", "once": key, "act": "save"})["Location"] == first["Location"]


@pytest.mark.case(33)
def test_two_people_may_enter_the_same(client, rep):
    client.post(NEW, {"name": "A", "act": "save"})
    client.force_login(make.user())
    client.post(NEW, {"name": "A", "act": "save"})
    assert Opportunity.objects.filter(name="A").count() == 2


def test_whoever_belongs_to_no_department_may_not(client):
    person = make.user()
    make.User.objects.filter(pk=person.pk).update(department=None)
    client.force_login(person)
    with nothing_changed():
        assert client.get(NEW).status_code == 403
        assert client.post(NEW, {"name": "A", "act": "save"}).status_code == 403


# The form


def test_the_labels_are_those_of_the_manual(client, rep, deputy):
    labels = Labels(client.get(NEW).content.decode()).found
    assert labels == [
        "Opportunity name*", "Customer*", "Business type*", "Source", "Amount*", "Expected close date*", "Stage",
        "Probability", "Person in charge*", "Approver*", "Description",
    ]  # fmt: skip


def test_a_customer_may_be_given_in_the_address(client, rep, customer):
    assert f'value="{customer.name}"' in client.get(f"{NEW}?customer={customer.pk}").content.decode()


def test_a_customer_whom_one_does_not_see_is_not_named(client, rep):
    hidden = make.customer(make.user(at="jinan"), name="Canary Bank")
    for key in (hidden.pk, "x", "9223372036854775808", "-1", "\0", ""):
        answer = client.get(NEW, {"customer": key})
        assert answer.status_code == 200
        assert "Canary Bank" not in answer.content.decode()
    with nothing_changed():
        picked = {"customer": "C", "customer_pick": hidden.pk}
        for sent in ({"customer_id": hidden.pk}, {"customer": hidden.name}, picked):
            answer = client.post(NEW, {"name": "A", "act": "save"} | sent)
            assert list(errors(answer)) == ["customer"]
    assert "Nothing that you may choose matches" in errors(answer)["customer"][0]


def test_the_approvers_of_the_first_step_are_offered_with_role_and_department(client, rep, deputy):
    make.user("cao.bin", "deputy_gm", name="Cao Bin")
    make.user("elsewhere", "deputy_gm", name="Ma Li", at="baoding")
    choices = [str(label) for _key, label in client.get(NEW).context["form"]["approver"].field.widget.choices]
    assert choices == ["Choose one", "Cao Bin, Deputy GM, Shijiazhuang", "Zhou Lan, Deputy GM, Shijiazhuang"]


def test_one_approver_alone_is_chosen_already(client, rep, deputy):
    choices = client.get(NEW).context["form"]["approver"].field.widget.choices
    assert [str(label) for _key, label in choices] == ["Zhou Lan, Deputy GM, Shijiazhuang"]


def test_where_the_department_has_none_the_one_above_is_asked(client):
    make.user("gao.fei", "deputy_gm", name="Gao Fei", at="hebei")
    client.force_login(make.user(at="baoding"))
    assert "Gao Fei, Deputy GM, Hebei" in client.get(NEW).content.decode()


def test_it_says_what_happens_next_step_by_step(client, rep, deputy):
    make.user("zhao", "gm", name="Zhao Hongtao")
    form = client.get(NEW).context["form"]
    assert [(step.kind, step.who, str(step.what)) for step in form.ahead] == [
        ("next", "Zhou Lan", "Deputy GM"),
        ("maybe", "Zhao Hongtao", "GM, only if it is escalated"),
    ]


def test_it_costs_few_queries(client, rep, customer, django_assert_max_num_queries):
    sent = whole(customer, customer_id=customer.pk, act="save")
    client.post(NEW, sent)  # what is read once for all is read then
    with django_assert_max_num_queries(22):
        assert client.post(NEW, sent).status_code == 302


# Submitting


def test_submitting_enters_and_reports_it_in_one(client, rep, deputy, customer):
    answer = client.post(NEW, whole(customer, act="submit", approver=deputy.pk))

    opportunity = Opportunity.objects.get()
    assert answer["Location"] == opportunity.get_absolute_url()
    assert opportunity.state == "reporting"
    assert [event.kind for event in Event.objects.about(opportunity).order_by("id")] == ["created", "reported"]
    assert (opportunity.open_task.holder, opportunity.open_approval.requester) == (deputy, rep)
    assert Delivery.objects.get(to=deputy).kind == "task"
    assert [moved.state for moved in Movement.objects.order_by("id")] == ["draft", "reporting"]
    assert "Submitted to Zhou Lan." in client.get(opportunity.get_absolute_url()).content.decode()


def test_what_is_missing_is_said_at_each_field_and_nothing_is_entered(client, rep, deputy):
    make.user(None, "deputy_gm")
    with nothing_changed():
        answer = client.post(NEW, {"name": "Pump house cameras", "act": "submit"})
    assert set(errors(answer)) == {"customer", "business_type", "amount", "expected_close_on", "approver"}
    assert "5 things to correct." in answer.content.decode()
    assert 'value="Pump house cameras"' in answer.content.decode()


def test_a_stage_may_demand_more(client, rep, deputy, customer):
    stage = make.stage()
    type(stage).objects.filter(pk=stage.pk).update(required=["source"])
    with nothing_changed():
        assert list(errors(client.post(NEW, whole(customer, act="submit", approver=deputy.pk)))) == ["source"]
    sent = whole(customer, act="submit", approver=deputy.pk, source=Source.objects.first().pk)
    assert client.post(NEW, sent).status_code == 302


def test_an_approver_who_is_not_in_the_route_brings_the_form_back_with_those_who_are(client, rep, deputy, customer):
    for other in (make.user(None, "gm").pk, make.user().pk, rep.pk, "9223372036854775808", "x", "\0"):
        with nothing_changed():
            answer = client.post(NEW, whole(customer, act="submit", approver=other))
        assert errors(answer) == {"approver": ["This approver is not in the route. Choose one of those listed."]}
        assert "Zhou Lan, Deputy GM, Shijiazhuang" in answer.content.decode()
        assert "Pump house cameras" in answer.content.decode()


def test_an_approver_who_lost_the_role_meanwhile_is_not_asked(client, rep, deputy, customer):
    other = make.user("cao.bin", "deputy_gm", name="Cao Bin")
    client.get(NEW)
    deputy.roles.clear()
    with nothing_changed():
        assert "approver" in errors(client.post(NEW, whole(customer, act="submit", approver=deputy.pk)))
    assert client.post(NEW, whole(customer, act="submit", approver=other.pk)).status_code == 302


def test_where_nobody_can_decide_it_says_so_and_a_draft_can_still_be_saved(client, rep, customer):
    with nothing_changed():
        answer = client.post(NEW, whole(customer, act="submit"))
    said = "Nobody in Shijiazhuang or above can decide this step: it needs Deputy GM. Ask an administrator."
    assert errors(answer) == {"approver": [said]}
    assert said in client.get(NEW).content.decode()
    assert client.post(NEW, whole(customer, act="save")).status_code == 302


def test_where_no_route_fits_it_says_so(client, rep, deputy, customer):
    Route.objects.filter(act="report").update(active=False)
    with nothing_changed():
        answer = client.post(NEW, whole(customer, act="submit", approver=deputy.pk))
    assert "No approval route fits" in answer.content.decode()


def test_a_refused_report_enters_nothing_and_the_key_is_not_used_up(client, rep, deputy, customer):
    key = str(client.get(NEW).context["form"]["once"].value())
    with nothing_changed():
        client.post(NEW, whole(customer, once=key, act="submit", approver=rep.pk))
    client.post(NEW, whole(customer, once=key, act="submit", approver=deputy.pk))
    assert Approval.objects.count() == Opportunity.objects.count() == 1


# For somebody else


def test_a_gm_may_enter_a_draft_for_somebody_in_reach_who_hears_of_it(client, rep):
    client.force_login(make.user("gm", "gm"))
    answer = client.post(NEW, {"name": "A", "owner": "Chen Yu", "act": "save"}, follow=True)

    opportunity = Opportunity.objects.get()
    assert (opportunity.owner, opportunity.created_by.username) == (rep, "gm")
    assert "Saved as a draft of Chen Yu." in answer.content.decode()
    assert Message.objects.get(to=rep).kind == "transferred"


@pytest.mark.parametrize("roles", [["rep"], ["director"], ["support"]])
def test_others_enter_only_their_own(client, rep, roles):
    client.force_login(make.user(None, *roles))
    with nothing_changed():
        assert "owner" in errors(client.post(NEW, {"name": "A", "owner": "Chen Yu", "act": "save"}))


def test_a_gm_may_not_reach_into_another_city(client, rep):
    client.force_login(make.user("gm", "gm", at="baoding"))
    with nothing_changed():
        assert "owner" in errors(client.post(NEW, {"name": "A", "owner_id": rep.pk, "act": "save"}))


def test_the_combobox_offers_exactly_those_who_may_be_put_in_charge(client, rep):
    make.user("other", at="jinan")
    assert [one["label"] for one in client.get("/opportunities/owners/").json()["options"]] == ["Chen Yu"]
    client.force_login(make.user("gm", "gm", name="Zhao"))
    assert [one["label"] for one in client.get("/opportunities/owners/").json()["options"]] == ["Chen Yu", "Zhao"]


def test_only_the_person_in_charge_submits(client, rep, deputy, customer):
    gm = make.user("gm", "gm")
    client.force_login(gm)
    with nothing_changed():
        answer = client.post(NEW, whole(customer, owner="Chen Yu", act="submit", approver=deputy.pk))
    assert "Only the person in charge submits it." in errors(answer)["owner"][0]
