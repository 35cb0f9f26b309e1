"""The administrators' pages of picklists: values are entered, renamed, arranged, retired, merged, deleted."""

import re

import pytest
from django.core.management import call_command
from hypothesis import given
from hypothesis import strategies as some

from approvals.models import Round, RouteVersion
from approvals.routes import Route
from crm import conditions, picklists
from crm.models import Audit
from crm.organisation import Organisation
from crm.picklist_pages import PALETTE
from crm.verbs import NotAllowed, Refused, Stale
from customers.models import Customer, Industry
from notices.history import Event
from opportunities.models import (
    BusinessType,
    LostReason,
    Movement,
    Opportunity,
    Pipeline,
    Product,
    RevenueCategory,
    Source,
    Stage,
)
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    person = make.user("admin", "administrator", at="head-office", language="en")
    client.force_login(person)
    return person


def of(model, key):
    return model.objects.get(key=key)


def sends(value, **changes):
    data = {"name_en": value.names["en"], "name_zh-hans": value.names["zh-hans"], "colour": value.colour}
    return data | {"active": "on", "version": value.version} | changes


def noted(kind):
    return [row.data for row in Audit.objects.filter(kind=kind).order_by("pk")]


def seen(model):
    return [value.pk for value in model.objects.all()]


# ── What there is ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_there_is_a_page_for_every_picklist(client, admin):
    words = list(picklists.kinds())
    assert words == [
        "review-choice", "business-type", "customer-level", "industry", "follow-up-kind", "lost-reason", "pipeline",
        "product", "revenue-category", "review-question", "source", "stage",
    ]  # fmt: skip
    page = client.get("/picklists/").content.decode()
    assert [word for word in words if f'href="/picklists/{word}/"' not in page] == []
    assert {client.get(f"/picklists/{word}/").status_code for word in words} == {200}
    assert client.get("/picklists/gardens/").status_code == 404


def test_the_page_says_how_often_each_is_used_and_opens_just_those(client, admin):
    cloud = of(BusinessType, "cloud")
    for _twice in range(2):
        make.opportunity(business_type=cloud)
    route = RouteVersion.objects.first()
    RouteVersion.objects.filter(pk=route.pk).update(
        conditions={"all": [{"field": "business_type", "op": "in", "value": ["cloud", "5g"]}]}
    )
    rows = {row["value"].key: row["uses"] for row in client.get("/picklists/business-type/").context["rows"]}
    assert [(use["count"], str(use["label"]), use["url"]) for use in rows["cloud"]] == [
        (2, "opportunities", "/opportunities/?business_type=cloud"),
        (1, "route version", ""),
    ]
    assert rows["other"] == []
    assert len(client.get("/opportunities/?business_type=cloud").context["listing"].rows) == 2


def test_a_list_costs_the_same_for_one_and_for_thirty(client, admin, django_assert_max_num_queries):
    with django_assert_max_num_queries(12):
        client.get("/picklists/stage/")
    for number in range(30):
        Source.objects.create(key=f"s{number}", names={"en": f"S {number}"})
    with django_assert_max_num_queries(12):
        client.get("/picklists/source/")
    with django_assert_max_num_queries(15):
        client.get("/picklists/")


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("ground", ["#ffffff", "#f6f5f2", "#1b1a18", "#262422"])  # sheets and canvases of the look
def test_each_colour_that_is_offered_is_seen_by_day_and_in_the_dark(ground):
    def contrast(colour):
        dark, light = sorted((luminance(colour), luminance(ground)))
        return (light + 0.05) / (dark + 0.05)

    assert [colour for colour in PALETTE if contrast(colour) < 3] == []


def test_colours_are_chosen_by_their_spots_and_one_that_is_held_besides_stays(client, admin):
    value = Source.objects.first()
    address = f"/picklists/source/{value.pk}/"

    def offered():
        page = client.get(address).content.decode()
        chosen = re.findall(r'name="colour" value="(.*?)"[^>]* checked', page)
        spots = re.findall(r'<circle cx="6" cy="6" r="6" fill="(.*?)"/></svg>([^<]*)</label>', page)
        return chosen, [colour for colour, _name in spots], dict(spots)

    chosen, colours, names = offered()
    assert (chosen, colours, names["#3f9257"]) == ([""], [*PALETTE], "Green")
    Source.objects.filter(pk=value.pk).update(colour="#2f45c4")  # as imports bring them
    chosen, colours, names = offered()
    assert (chosen, colours, names["#2f45c4"]) == (["#2f45c4"], [*PALETTE, "#2f45c4"], "#2f45c4")
    for sent, kept in (("#2f45c4", "#2f45c4"), ("#d75a4a", "#d75a4a"), ("", "")):
        value.refresh_from_db()
        client.post(address, sends(value, colour=sent))
        value.refresh_from_db()
        assert value.colour == kept


# ── Entered and changed ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_value_is_entered_at_the_end_of_its_list(client, admin):
    data = {"name_en": "Trade fair", "name_zh-hans": "展会", "colour": "#2f45c4"}
    assert client.post("/picklists/source/new/", data)["Location"] == "/picklists/source/"
    made = Source.objects.last()
    assert (made.key, made.names, made.colour, made.active) == (
        "trade-fair",
        {"en": "Trade fair", "zh-hans": "展会"},
        "#2f45c4",
        True,
    )
    assert noted("picklist_changed")[0]["after"]["key"] == "trade-fair"
    client.post("/picklists/source/new/", data)
    assert Source.objects.last().key == "trade-fair-2"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name_en": " "}, "name_en"),
        ({"colour": "blue"}, "colour"),
        ({"key": "two words"}, "key"),
        ({"key": "referral"}, "key"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field_and_nothing_typed_is_lost(client, admin, changes, field):
    sent = {"name_en": "Trade fair", "name_zh-hans": "", "colour": "#2f45c4", "key": ""} | changes
    with nothing_changed():
        answer = client.post("/picklists/source/new/", sent)
    form = answer.context["form"]
    assert list(form.errors) == [field]
    assert {name: form[name].value() for name in sent} == sent


def test_a_stage_has_its_probability_by_its_kind(client, admin):
    data = {"name_en": "Trial", "pipeline": Pipeline.objects.get().pk, "kind": "open", "colour": ""}
    for wrong in ("0", "100", "x", ""):
        with nothing_changed():
            answer = client.post("/picklists/stage/new/", data | {"probability": wrong})
        assert "probability" in answer.context["form"].errors
    client.post("/picklists/stage/new/", data | {"probability": "55"})
    assert of(Stage, "trial").probability == 55


def test_an_end_that_is_added_has_its_probability_by_itself(client, admin):
    pipeline = Pipeline.objects.create(key="channel", names={"en": "Channel"}, order=9)
    lack = "No opportunity can be in it until it has a won and a lost stage."
    assert lack in client.get(f"/picklists/pipeline/{pipeline.pk}/").content.decode()
    for kind, probability in (("won", 100), ("lost", 0)):
        data = {"name_en": f"Channel {kind}", "pipeline": pipeline.pk, "kind": kind, "colour": "", "probability": ""}
        assert client.post("/picklists/stage/new/", data).status_code == 302
        stage = of(Stage, f"channel-{kind}")
        assert stage.probability == probability
        assert client.post(f"/picklists/stage/{stage.pk}/", {**data, "active": "on", "version": 0}).status_code == 302
        assert of(Stage, f"channel-{kind}").probability == probability
    assert lack not in client.get(f"/picklists/pipeline/{pipeline.pk}/").content.decode()


def test_stages_stand_below_their_pipelines_and_move_within_them(client, admin):
    first = Pipeline.objects.get()
    pipeline = Pipeline.objects.create(key="channel", names={"en": "Channel"}, order=9)
    for order, key in enumerate(("one", "two")):
        Stage.objects.create(key=key, names={"en": key}, pipeline=pipeline, probability=50, order=order)
    answer = client.get("/picklists/stage/")
    rows = answer.context["rows"]
    assert [row["part"] for row in rows if row["part"]] == [first, pipeline]
    assert [(row["value"].key, row["first"], row["last"]) for row in rows[-2:]] == [
        ("one", True, False), ("two", False, True),
    ]  # fmt: skip
    assert rows[-3]["last"]
    assert "Channel</h2>" in answer.content.decode()
    for kind, word in (("stage", "Add a stage"), ("pipeline", "Add a pipeline"), ("source", "Add a value")):
        assert word in client.get(f"/picklists/{kind}/").content.decode()
        assert f">{word}</h1>" in client.get(f"/picklists/{kind}/new/").content.decode()


def test_a_product_has_a_unit_in_each_language_and_a_price(client, admin):
    category = RevenueCategory.objects.create(key="equipment", names={"en": "Equipment"})
    data = {"name_en": "Camera", "unit_en": "piece", "unit_zh-hans": "台", "category": category.pk, "price": "1450"}
    client.post("/picklists/product/new/", data | {"key": "CAM-9", "colour": ""})
    made = Product.objects.get()
    assert (made.key, made.unit, made.price) == ("CAM-9", {"en": "piece", "zh-hans": "台"}, 1450)


def test_a_category_is_entered_within_another_and_moved(client, admin):
    top = RevenueCategory.objects.create(key="equipment", names={"en": "Equipment"})
    data = {"name_en": "Cameras", "parent": top.pk, "colour": ""}

    answer = client.post("/picklists/revenue-category/new/", data)

    assert answer.status_code == 302, answer.context["form"].errors
    cameras = of(RevenueCategory, "cameras")
    assert (cameras.parent, cameras.level) == (top, 2)
    answer = client.post(f"/picklists/revenue-category/{cameras.pk}/", data | {"parent": "", "active": "on"})
    assert answer.status_code == 302, answer.context["form"].errors
    assert of(RevenueCategory, "cameras").level == 1


def test_renaming_breaks_nothing(client, admin):
    cloud, route = of(BusinessType, "cloud"), RouteVersion.objects.first()
    tree = {"all": [{"field": "business_type", "op": "is", "value": "cloud"}]}
    RouteVersion.objects.filter(pk=route.pk).update(conditions=tree)
    opportunity = make.opportunity(business_type=cloud)

    client.post(f"/picklists/business-type/{cloud.pk}/", sends(cloud, name_en="Computing", key="other-key"))

    cloud.refresh_from_db()
    assert (cloud.key, cloud.names["en"], cloud.version) == ("cloud", "Computing", 1)
    assert RouteVersion.objects.get(pk=route.pk).conditions == tree
    assert conditions.holds(tree, Opportunity.objects.get(pk=opportunity.pk))
    assert list(Opportunity.objects.narrow(tree, admin)) == [opportunity]


def test_a_name_in_a_language_that_is_no_longer_offered_stays(client, admin):
    Organisation.read().change(by=admin, seen=0, languages=["en"], default_language="en")
    cloud = of(BusinessType, "cloud")
    page = client.get(f"/picklists/business-type/{cloud.pk}/").content.decode()
    assert 'name="name_en"' in page
    assert 'name="name_zh-hans"' not in page
    client.post(f"/picklists/business-type/{cloud.pk}/", sends(cloud, name_en="Computing"))
    assert of(BusinessType, "cloud").names == {"en": "Computing", "zh-hans": "云"}


def test_a_retired_value_is_offered_to_nobody_and_stays_where_it_is(client, admin):
    cloud = of(BusinessType, "cloud")
    opportunity = make.opportunity(business_type=cloud)
    data = sends(cloud)
    del data["active"]
    client.post(f"/picklists/business-type/{cloud.pk}/", data)
    client.force_login(opportunity.owner)
    assert cloud not in client.get("/opportunities/new/").context["form"].fields["business_type"].queryset
    assert Opportunity.objects.get().business_type == cloud


def test_the_last_open_stage_and_those_that_end_are_not_retired(client, admin):
    won = of(Stage, "won")
    data = sends(won, probability=100)
    del data["active"]
    with nothing_changed():
        answer = client.post(f"/picklists/stage/{won.pk}/", data)
    assert answer.context["form"].errors == {"active": ["A pipeline needs its won and its lost stage."]}
    last = Stage.objects.filter(kind="open").first()
    Stage.objects.filter(kind="open").exclude(pk=last.pk).update(active=False)
    data = sends(last, probability=last.probability)
    del data["active"]
    with nothing_changed():
        answer = client.post(f"/picklists/stage/{last.pk}/", data)
    assert answer.context["form"].errors == {"active": ["A pipeline needs an open stage to begin with."]}


def test_another_probability_of_a_stage_is_that_of_what_stands_in_it(client, admin):
    first = of(Stage, "first-contact")
    follows, typed = make.opportunity(state="active"), make.opportunity(state="active")
    typed.change(by=typed.owner, probability=77, probability_typed=True)
    void = make.opportunity()
    void.void(by=void.owner, reason="Entered twice.")
    for one in (follows, typed, void):
        assert one.stage == first

    answer = client.post(f"/picklists/stage/{first.pk}/", sends(first, probability=33))
    assert answer.status_code == 302, answer.context["form"].errors

    assert [Opportunity.objects.get(pk=one.pk).probability for one in (follows, typed, void)] == [33, 77, 20]
    event = Event.objects.filter(about_id=follows.pk).order_by("pk").last()
    assert (event.kind, event.by, event.changes) == ("changed", admin, {"probability": [20, 33]})
    call_command("verify")


def test_a_page_that_somebody_else_overtook_is_refused_and_shows_theirs(client, admin):
    cloud = of(BusinessType, "cloud")
    client.post(f"/picklists/business-type/{cloud.pk}/", sends(cloud, name_en="Computing"))
    with nothing_changed():
        answer = client.post(f"/picklists/business-type/{cloud.pk}/", sends(cloud, name_en="Clouds"))
    assert answer.status_code == 409
    assert "Now it says “Computing”." in answer.content.decode()
    version = answer.context["form"]["version"].value()
    client.post(f"/picklists/business-type/{cloud.pk}/", sends(cloud, name_en="Clouds", version=version))
    assert of(BusinessType, "cloud").names["en"] == "Clouds"


def test_saved_as_it_was_it_is_not_changed(client, admin):
    cloud = of(BusinessType, "cloud")
    with nothing_changed():
        client.post(f"/picklists/business-type/{cloud.pk}/", sends(cloud))
    assert noted("picklist_changed") == []


# ── Arranged ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_list_is_dragged_into_another_order(client, admin):
    there = seen(Source)
    wanted = there[::-1]
    data = {"seen": ",".join(map(str, there)), "order": wanted}
    assert client.post("/picklists/source/order/", data)["Location"] == "/picklists/source/"
    assert seen(Source) == wanted
    assert noted("picklist_arranged")[0]["list"] == "source"


def test_the_buttons_move_one_up_and_down(client, admin):
    a, b, c, *rest = there = seen(Source)
    data = {"seen": ",".join(map(str, there)), "order": there}
    client.post("/picklists/source/order/", data | {"down": a})
    assert seen(Source) == [b, a, c, *rest]
    there = seen(Source)
    client.post("/picklists/source/order/", {"seen": ",".join(map(str, there)), "order": there, "up": c})
    assert seen(Source) == [b, c, a, *rest]
    there = seen(Source)
    client.post("/picklists/source/order/", {"seen": ",".join(map(str, there)), "order": there, "up": b})
    assert seen(Source) == [b, c, a, *rest]  # the first stays the first


def test_an_order_made_of_an_older_list_is_refused(client, admin):
    there = seen(Source)
    data = {"seen": ",".join(map(str, there)), "order": there[::-1]}
    client.post("/picklists/source/new/", {"name_en": "Trade fair", "name_zh-hans": "", "colour": ""})
    with nothing_changed():
        assert client.post("/picklists/source/order/", data).status_code == 409
        for wrong in ({}, {"seen": "x"}, data | {"up": "999999"}, data | {"order": ["x"]}):
            assert client.post("/picklists/source/order/", wrong).status_code == 404
        with pytest.raises(Refused):
            picklists.arrange(Source, seen(Source)[1:], by=admin, seen=seen(Source))
    assert client.get("/picklists/source/order/").status_code == 405


# ── Deleted ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unused_value_is_deleted_and_one_in_use_is_not(client, admin):
    held, free = of(BusinessType, "cloud"), of(BusinessType, "5g")
    make.opportunity(business_type=held)
    with nothing_changed():
        answer = client.post(f"/picklists/business-type/{held.pk}/delete/", {"version": 0})
    assert answer.status_code == 409
    assert "is in use once. Retire it, or merge it into another." in answer.content.decode()
    client.post(f"/picklists/business-type/{free.pk}/delete/", {"version": 0})
    assert not BusinessType.objects.filter(key="5g").exists()
    assert noted("picklist_deleted")[0]["key"] == "5g"
    assert client.post(f"/picklists/business-type/{free.pk}/delete/", {"version": 0}).status_code == 404


def test_a_value_that_a_route_or_the_past_names_is_not_deleted(client, admin):
    tree = {"not": {"any": [{"field": "business_type", "op": "is", "value": "5g"}]}}
    RouteVersion.objects.filter(pk=RouteVersion.objects.first().pk).update(conditions=tree)
    five = of(BusinessType, "5g")
    with nothing_changed(), pytest.raises(Refused, match="in use once"):
        picklists.delete(five, by=admin, seen=0)

    opportunity, stage = make.opportunity(state="active"), of(Stage, "first-contact")
    opportunity.move(stage=of(Stage, "proposal"), by=opportunity.owner)
    with nothing_changed(), pytest.raises(Refused, match="The past names"):
        picklists.delete(stage, by=admin, seen=0)


# ── Merged ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_held_the_one_holds_the_other_conditions_included(client, admin):
    cloud, other = of(BusinessType, "cloud"), of(BusinessType, "other")
    opportunity, stays = make.opportunity(business_type=cloud), make.opportunity(business_type=of(BusinessType, "5g"))
    version = RouteVersion.objects.first()
    tree = {"all": [{"field": "business_type", "op": "in", "value": ["cloud", "other", "5g"]}]}
    RouteVersion.objects.filter(pk=version.pk).update(conditions=tree)

    answer = client.post(
        f"/picklists/business-type/{cloud.pk}/merge/", {"into": other.pk, "version": cloud.version}, follow=True
    )

    assert "“Cloud” is one with “Other” now. 2 records follow." in answer.content.decode()
    cloud.refresh_from_db()
    assert (cloud.active, cloud.version) == (False, 1)
    held = {one.pk: one.business_type.key for one in Opportunity.objects.select_related("business_type")}
    assert held == {opportunity.pk: "other", stays.pk: "5g"}
    tree["all"][0]["value"] = ["other", "5g"]
    assert RouteVersion.objects.get(pk=version.pk).conditions == tree
    assert noted("picklist_merged") == [
        {
            "list": "business-type",
            "key": "cloud",
            "into": "other",
            "followed": {"opportunities.opportunity.business_type": 1, "approvals.routeversion.conditions": 1},
        }
    ]
    call_command("verify")


def test_customers_follow_too(client, admin):
    one, other = Industry.objects.all()[:2]
    customer = make.customer(industry=one)
    client.post(f"/picklists/industry/{one.pk}/merge/", {"into": other.pk, "version": 0})
    assert Customer.objects.get(pk=customer.pk).industry == other


def test_what_stands_in_a_stage_moves_with_event_and_movement_whatever_waits(client, admin):
    first, proposal = of(Stage, "first-contact"), of(Stage, "proposal")
    states = ["draft", "reporting", "returned", "active", "signing", "terminating", "signed"]
    made = {state: make.opportunity(state=state) for state in states}
    made["void"] = make.opportunity()
    made["void"].void(by=made["void"].owner, reason="Entered twice.")
    before = Movement.objects.count()

    client.post(f"/picklists/stage/{first.pk}/merge/", {"into": proposal.pk, "version": 0})

    now = {state: Opportunity.objects.select_related("stage").get(pk=one.pk) for state, one in made.items()}
    followed = dict.fromkeys(states, ("proposal", 60))
    followed |= {"void": ("proposal", 20), "signed": ("won", 100)}
    assert {state: (one.stage.key, one.probability) for state, one in now.items()} == followed
    assert Movement.objects.count() == before + 7
    assert Movement.objects.filter(stage=first).exists()  # where they once stood, they once stood
    call_command("verify")

    task = now["signing"].open_task
    task.finish(by=task.holder, seen=now["signing"].version)
    assert Opportunity.objects.get(pk=made["signing"].pk).state == "signed"


def test_it_leaves_what_a_thousand_moves_would_leave(admin):
    first, proposal = of(Stage, "first-contact"), of(Stage, "proposal")
    one, other = make.opportunity(state="active"), make.opportunity(state="active")
    one.move(stage=proposal, by=admin)
    picklists.merge(first, into=proposal, by=admin, seen=0)

    def left(opportunity):
        it = Opportunity.objects.get(pk=opportunity.pk)
        event = Event.objects.filter(about_id=it.pk).order_by("pk").last()
        moved = {
            name: value
            for name, value in Movement.objects.filter(opportunity=it).values().last().items()
            if name in ("state", "stage_id", "probability", "base_cents", "owner_id", "department_id")
        }
        return it.version, it.stage, it.probability, event.kind, event.by, event.changes, moved

    one_left, other_left = left(one), left(other)
    assert one_left[:6] == other_left[:6]
    assert {**one_left[6], "owner_id": 0} == {**other_left[6], "owner_id": 0}


def test_a_request_to_terminate_goes_on_for_the_reason_that_is_left(client, admin):
    budget, price = of(LostReason, "budget"), of(LostReason, "price")
    opportunity = make.opportunity(state="terminating")
    assert Round.objects.get(approval__act="terminate").form["reason"]["id"] == budget.pk
    client.post(f"/picklists/lost-reason/{budget.pk}/merge/", {"into": price.pk, "version": 0})
    opportunity.refresh_from_db()
    task = opportunity.open_task
    task.finish(by=task.holder, seen=opportunity.version)
    assert Opportunity.objects.get().lost_reason == price


def test_only_open_stages_of_one_pipeline_and_values_in_use_are_merged(client, admin):
    first, won = of(Stage, "first-contact"), of(Stage, "won")
    other_way = Pipeline.objects.create(key="partners", names={"en": "Partners"})
    elsewhere = Stage.objects.create(pipeline=other_way, key="else", names={"en": "Else"}, probability=10)
    retired = Stage.objects.filter(kind="open").last()
    Stage.objects.filter(pk=retired.pk).update(active=False)
    make.opportunity(stage=first)
    for one, into in ((first, won), (won, first), (first, elsewhere), (first, first), (first, retired)):
        with nothing_changed():
            answer = client.post(f"/picklists/stage/{one.pk}/merge/", {"into": into.pk, "version": 0})
            assert "into" in answer.context["form"].errors
            with pytest.raises(Refused):
                picklists.merge(one, into=into, by=admin, seen=0)
    with nothing_changed(), pytest.raises(Refused):
        picklists.merge(other_way, into=Pipeline.objects.exclude(pk=other_way.pk).get(), by=admin, seen=0)


def test_a_category_takes_what_is_below_it_along(admin):
    a, b = (RevenueCategory.objects.create(key=key, names={"en": key}) for key in "ab")
    child = RevenueCategory.objects.create(key="c", names={"en": "c"}, parent=a)
    with nothing_changed(), pytest.raises(Refused):
        picklists.merge(child, into=b, by=admin, seen=0)
    picklists.merge(a, into=b, by=admin, seen=0)
    child.refresh_from_db()
    assert (child.parent, child.level) == (b, 2)


def test_merged_by_two_at_once_it_is_merged_once(admin):
    cloud, other, five = (of(BusinessType, key) for key in ("cloud", "other", "5g"))
    make.opportunity(business_type=cloud)
    picklists.merge(cloud, into=other, by=admin, seen=0)
    with nothing_changed():
        with pytest.raises(Stale):
            picklists.merge(cloud, into=five, by=admin, seen=0)
        with pytest.raises(Refused):
            picklists.merge(five, into=cloud, by=admin, seen=0)  # which is retired now
    assert Opportunity.objects.get().business_type == other


TREES = some.recursive(
    some.sampled_from(["a", "b", "c"]).flatmap(
        lambda key: some.sampled_from(
            [
                {"field": "source", "op": "is", "value": key},
                {"field": "source", "op": "in", "value": [key, "c"]},
                {"field": "other", "op": "is", "value": key},
                {"field": "source", "op": "empty"},
            ]
        )
    ),
    lambda inner: some.one_of(
        some.lists(inner, max_size=3).map(lambda parts: {"all": parts}),
        some.lists(inner, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=8,
)


@given(tree=TREES)
def test_a_rewritten_tree_names_the_new_key_and_nothing_else_of_it_changes(tree):
    before = conditions.picked(tree, {"source"})
    after = conditions.with_key(tree, {"source"}, "a", "z")
    assert conditions.picked(after, {"source"}) == {"z" if key == "a" else key for key in before}
    assert conditions.picked(after, {"other"}) == conditions.picked(tree, {"other"})
    assert conditions.with_key(after, {"source"}, "z", "a") == conditions.with_key(tree, {"source"}, "z", "a")
    if "a" not in before:
        assert after == tree


# ── Who may ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_they_are_the_administrators_alone(client):
    cloud, other = of(BusinessType, "cloud"), of(BusinessType, "other")
    kind, one = "/picklists/business-type/", f"/picklists/business-type/{cloud.pk}/"
    manager = make.user(None, "opportunity_manager", at="head-office")
    for person, status in ((None, 302), (make.user(), 403), (manager, 403)):
        client.logout()
        if person:
            client.force_login(person)
        with nothing_changed():
            for address in ("/picklists/", kind, f"{kind}new/", one, f"{one}merge/", f"{one}delete/"):
                assert client.get(address).status_code == status
            for address in (f"{kind}order/", f"{kind}new/", one, f"{one}merge/", f"{one}delete/"):
                assert client.post(address, sends(cloud, into=other.pk)).status_code == status
    with nothing_changed():
        for verb, values in (
            (picklists.create, {}),
            (picklists.change, {"seen": 0}),
            (picklists.delete, {"seen": 0}),
            (picklists.merge, {"seen": 0, "into": other}),
        ):
            with pytest.raises(NotAllowed):
                verb(cloud, by=manager, **values)
        with pytest.raises(NotAllowed):
            picklists.arrange(BusinessType, [], by=manager, seen=[])


def test_a_route_is_no_picklist():
    assert Route not in picklists.kinds().values()
