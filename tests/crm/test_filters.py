"""The page on which a reader builds conditions: rows and groups, kept as they were typed until the list is shown."""

import json
import re

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from opportunities.models import Opportunity, Stage
from tests import factories
from tests.asserting import unchanged
from tests.crm.fields import field

pytestmark = pytest.mark.django_db

FILTER = "/opportunities/filter/"


@pytest.fixture
def rep(client):
    rep = factories.user(name="Chen Yu")
    client.force_login(rep)
    return rep


def row(path, field, op="", value="", **more):
    """What a browser sends of one condition."""
    sent = {"node": [path], f"{path}-field": field, f"{path}-was": field, f"{path}-op": op, f"{path}-value": value}
    return sent | {f"{path}-{name}": text for name, text in more.items()}


def group(path, kind):
    return {f"{path}-kind": kind} | ({"node": [path]} if path != "c" else {})


def sent(*parts, **buttons):
    data = {}
    for part in parts:
        for name, value in part.items():
            data[name] = data.get(name, []) + value if name == "node" else value
    return data | buttons


def shown(client, *parts, address=FILTER):
    """What the address of the list carries to which the page leads."""
    answer = client.post(address, sent(*parts, show="1"))
    assert answer.status_code == 302, re.findall(r'class="error".*?<span>(.*?)</span>', answer.content.decode())
    return dict(QueryDict(answer.url.partition("?")[2]).lists())


def test_the_page_leads_to_the_list_that_it_asks_for(client, rep):
    other = factories.user(name="Liu Min")
    asked = shown(
        client,
        group("c", "all"),
        row("c-0", "state", "in", ["open", "signed"]),
        row("c-1", "owner", "in", "Liu Min", own="on"),
        row("c-2", "department", "below", "Hebei"),
        row("c-3", "expected_close_on", "between", "2026-12-01", until=""),
        row("c-4", "amount", "between", "45万", until="1,000,000"),
        row("c-5", "created_at", "within", "last_N_days", days="14"),
        row("c-6", "name", "not_contains", "cloud"),
        row("c-7", "has_files", "is", "yes"),
        row("c-8", "business_type", "empty"),
        row("c-9", "probability", "at_least", "50"),
        address=f"{FILTER}?sort=name&q=x&page=3&stage=proposal",
    )
    assert asked == {
        "sort": ["name"],
        "q": ["x"],
        "state": ["open", "signed"],
        "owner": [str(other.pk), "me"],
        "department.below": [str(factories.department("hebei").pk)],
        "expected_close_on.from": ["2026-12-01"],
        "amount.between": ["450000.00", "1000000.00"],
        "created_at": ["last_14_days"],
        "name.not_contains": ["cloud"],
        "has_files": ["yes"],
        "business_type.empty": ["yes"],
        "probability.at_least": ["50"],
    }


def test_groups_within_groups_go_into_the_address_as_a_tree(client, rep):
    asked = shown(
        client,
        group("c", "any"),
        row("c-0", "owner", "in", own="on"),
        group("c-1", "none"),
        row("c-1-0", "stage", "in", ["proposal"]),
        group("c-1-1", "all"),
        row("c-1-1-0", "amount", "over", "1000"),
        row("c-1-1-1", "name", "contains", "cloud"),
    )
    mine = {"field": "owner", "op": "is", "value": "me"}
    stage = {"field": "stage", "op": "is", "value": "proposal"}
    both = [
        {"field": "amount", "op": "over", "value": "1000.00"},
        {"field": "name", "op": "contains", "value": "cloud"},
    ]
    assert json.loads(asked["where"][0]) == {"any": [mine, {"not": {"any": [stage, {"all": both}]}}]}
    assert client.get("/opportunities/", asked).status_code == 200


def test_what_is_on_stands_on_the_page_and_what_is_asked_often_stands_there_empty(client, rep):
    tree = json.dumps(
        {
            "any": [
                {"field": "stage", "op": "is", "value": "proposal"},
                {"not": {"field": "name", "op": "is", "value": "A"}},
            ]
        }
    )
    page = client.get(FILTER, {"owner": "me", "expected_close_on": "over_30_days_ago", "where": tree}).content.decode()
    assert '<input type="checkbox" name="c-0-own" class="form-check-input" id="id_c-0-own" checked>' in page
    assert '<option value="over_N_days_ago" selected>' in page
    assert 'name="c-1-days" value="30"' in page
    assert '<option value="any" selected>' in page
    assert '<option value="none" selected>' in page
    assert 'name="c-2-1-0-value" value="A"' in page
    offered = re.findall(r'name="(c-\d+)-offered"', page)
    assert [re.search(rf'name="{path}-was" value="(\w+)"', page)[1] for path in offered] == ["state"]


def test_the_page_opens_with_two_empty_rows_and_its_button_adds_one_after_another(client, rep):
    page = client.get(FILTER).content.decode()
    rows = re.findall(r'name="c-\d+-was" value="(\w+)"', page)
    assert rows == ["state", "stage"]
    sends = [group("c", "all"), *(row(f"c-{number}", key, "in", [], offered="1") for number, key in enumerate(rows))]
    page = client.post(FILTER, sent(*sends, do="add:c")).content.decode()
    assert re.findall(r'name="c-\d+-was" value="(\w+)"', page) == [*rows, "business_type"]
    assert client.post(FILTER, sent(*sends, show="1")).url == "/opportunities/"  # what is left empty asks nothing


def test_the_fields_stand_in_parts(client, rep):
    field("opportunity", "text", "Competitor")
    page = client.get(FILTER).content.decode()
    select = page.partition('name="c-0-field"')[2].partition("</select>")[0]
    parts = {
        label: re.findall(r"<option[^>]*>(.*?)</option>", options)
        for label, options in re.findall(r'<optgroup label="(.*?)">(.*?)</optgroup>', select, re.DOTALL)
    }
    assert list(parts) == ["Opportunity", "Customer", "People", "Dates", "Custom fields"]
    assert parts["Opportunity"][:3] == ["State", "Stage", "Pipeline"]
    assert parts["Customer"] == [
        "Customer", "Industry of the customer", "Level of the customer", "Status of the customer",
    ]  # fmt: skip
    assert {"Person in charge", "Waiting for", "Shared with me"} <= set(parts["People"])
    assert {"Expected close date", "Created", "Next follow-up"} <= set(parts["Dates"])
    assert parts["Custom fields"] == ["Competitor"]


def test_one_group_alone_is_the_outermost_one(client, rep):
    page = client.get(
        FILTER, {"where": '{"any":[{"field":"name","op":"empty"},{"field":"owner","op":"is","value":"me"}]}'}
    )
    assert re.search(r'name="c-kind".*?<option value="any" selected>', page.content.decode(), re.DOTALL)


def test_a_button_brings_the_page_back_with_all_that_was_typed(client, rep):
    typed = [
        group("c", "none"),
        row("c-0", "amount", "at_least", "lots"),
        row("c-1", "owner", "in", "Nobody like that"),
        row("c-2", "state", "in", ["open"]),
        row("c-3", "created_at", "within", "last_N_days", days="x"),
    ]
    for act, added in [("add:c", "c-4-field"), ("group:c", "c-4-0-field"), ("again", None), ("nonsense:c", None)]:
        page = client.post(FILTER, sent(*typed, do=act)).content.decode()
        assert '<option value="none" selected>' in page
        assert 'value="lots"' in page
        assert 'value="Nobody like that"' in page
        assert re.search(r'name="c-2-value" value="open"[^>]* checked', page)
        assert 'name="c-3-days" value="x"' in page
        assert "bi-exclamation-circle" not in page  # it is not looked at before it is shown
        assert (f'name="{added}"' in page) is bool(added) or not added
        assert len(re.findall(" autofocus", page)) == bool(added)
    page = client.post(FILTER, sent(*typed, do="remove:c-1")).content.decode()
    assert "Nobody like that" not in page
    assert 'value="lots"' in page


def test_a_group_is_removed_with_all_that_is_in_it(client, rep):
    parts = [
        group("c", "all"),
        group("c-0", "any"),
        row("c-0-0", "name", "is", "Inner"),
        row("c-1", "name", "is", "Outer"),
    ]
    page = client.post(FILTER, sent(*parts, do="remove:c-0")).content.decode()
    assert 'value="Outer"' in page
    assert 'value="Inner"' not in page


def test_another_field_brings_its_own_operators_and_control(client, rep):
    changed = row("c-0", "customer", "in", "cloud") | {"c-0-field": "name"}
    page = client.post(FILTER, sent(group("c", "all"), changed)).content.decode()
    assert '<option value="contains" selected>' in page
    changed = row("c-0", "name", "contains", "cloud") | {"c-0-field": "expected_close_on"}
    page = client.post(FILTER, sent(group("c", "all"), changed)).content.decode()
    assert '<option value="within" selected>' in page
    assert '<option value="next_quarter">' in page
    assert "cloud" not in page


def test_what_is_wrong_is_said_beside_its_row_and_nothing_is_lost(client, rep):
    parts = [
        group("c", "all"),
        row("c-0", "amount", "at_least", "lots"),
        row("c-1", "owner", "in", "Nobody"),
        row("c-2", "probability", "is", "half"),
        row("c-3", "name", "contains", " "),
        row("c-4", "created_at", "within", "next_N_days"),
        row("c-5", "name", "is", "Right"),
        row("c-6", "stage", "in", [], offered="1"),
    ]
    answer = client.post(FILTER, sent(*parts, show="1"))
    page = answer.content.decode()
    assert answer.status_code == 200
    errors = dict(re.findall(r'id="id_(c-\d)-value_error".*?<span>(.*?)</span>', page, re.DOTALL))
    assert errors.keys() == {"c-0", "c-1", "c-2", "c-3", "c-4"}
    assert "45万" in errors["c-0"]
    assert "half" in errors["c-2"]
    assert errors["c-4"] == "Say how many days."
    assert "5 conditions to correct" in page
    assert 'value="Right"' in page
    assert 'value="lots"' in page


def test_what_has_no_control_here_is_carried_along_and_can_be_removed(client, rep):
    page = client.get(FILTER, {"reported": "2026-11"}).content.decode()
    [carried] = re.findall(r'name="c-0-fixed" value="(.*?)"', page)
    leaf = carried.replace("&quot;", '"')
    assert shown(client, group("c", "all"), {"node": ["c-0"], "c-0-fixed": leaf}) == {"reported": ["2026-11"]}
    assert client.post(FILTER, sent({"node": ["c-0"], "c-0-fixed": leaf}, do="remove:c-0")).status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        {"node": ["c-0"] * 3000},
        {"node": ["c", "c", "c-x", "x", "c-0-0-0", "c-9999999", "\0"], "c-kind": "\0"},
        {"node": ["c-0"], "c-0-field": "owner__password", "c-0-op": "regex", "c-0-value": "\0", "show": "1"},
        {"node": ["c-0"], "c-0-field": "name", "c-0-was": "name", "c-0-op": "is", "c-0-value": "\0", "show": "1"},
        {"node": ["c-0"], "c-0-fixed": "{", "show": "1"},
        {"node": ["c-0"], "c-0-fixed": "[" * 5000, "show": "1"},
        {"node": ["c-0"], "c-0-fixed": '{"field":"owner__password","op":"is","value":"x"}', "show": "1"},
        {"node": ["c-0"], "c-0-fixed": "5", "show": "1"},
        {
            "node": [f"c{'-0' * depth}" for depth in range(1, 9)],
            **{f"c{'-0' * depth}-kind": "none" for depth in range(1, 9)},
            "show": "1",
        },
        {"do": "add:" + "c-0" * 500},
        {"show": "1"},
        {},
    ],
    ids=range(12),
)
def test_nonsense_is_no_error_of_ours_and_changes_nothing(client, rep, data):
    factories.opportunity(rep)
    with unchanged():
        assert client.post(FILTER, data).status_code in (200, 302, 400)


def test_more_than_an_address_can_carry_is_said_and_nothing_is_lost(client, rep):
    parts = [group("c", "any")] + [
        row(f"c-{number}", "name", "contains", f"{'长' * 60}{number}") for number in range(30)
    ]
    answer = client.post(FILTER, sent(*parts, show="1"))
    assert answer.status_code == 200
    assert "more conditions than an address can carry" in answer.content.decode()
    assert answer.content.decode().count("长" * 60) == 30


def test_a_customer_that_one_may_not_know_cannot_be_chosen(client, rep):
    hidden = factories.customer(factories.user(at="jinan"), name="Secret Mining")
    for value in ({"c-0-value": "Secret"}, {"c-0-value_id": hidden.pk}):
        part = row("c-0", "customer", "in") | value
        answer = client.post(FILTER, sent(group("c", "all"), part, show="1"))
        assert answer.status_code == 200
        assert "Secret Mining" not in answer.content.decode()
    assert "New customer" not in client.get("/customers/pick/?known=1&q=Nobody").content.decode()


def test_a_chip_leads_to_its_row_and_can_be_taken_away(client, rep):
    tree = '{"any":[{"field":"state","op":"is","value":"draft"},{"field":"owner","op":"is","value":"me"}]}'
    page = client.get("/opportunities/", {"sort": "name", "state": "open", "where": tree}).content.decode()
    assert "any of (State is Draft; Person in charge is me)" in page
    assert re.search(r'href="/opportunities/filter/\?[^"]*#c-1"', page)
    assert 'class="x" href="/opportunities/?sort=name&amp;state=open"' in page
    assert "more condition" not in page


def test_as_many_conditions_as_are_looked_at_come_back_whole_and_those_behind_are_said_to_be_left_out(client, rep):
    def page(count):
        groups = [group(f"c-{part}", "any") for part in range(4)]
        rows = [row(f"c-{number % 4}-{number}", "name", "contains", f"cloud {number}") for number in range(count)]
        return client.post(FILTER, sent(group("c", "any"), *groups, *rows, show="1")).content.decode()

    many = page(496)
    assert "These are more conditions than an address can carry." in many and 'value="cloud 495"' in many
    more = page(497)
    assert "At most 500 conditions and groups are looked at; those behind are left out." in more
    assert 'value="cloud 495"' in more and 'value="cloud 496"' not in more


def test_many_chips_fold(client, rep):
    query = {
        f"{field}.empty": "no" for field in ("stage", "source", "owner", "amount", "name", "reference", "customer")
    }
    page = client.get("/opportunities/", query).content.decode()
    assert "2 more conditions" in page
    assert page.count('class="x" href=') == 7


def test_a_view_is_not_taken_for_one_with_a_tree_on_top(client, rep):
    tree = '{"any":[{"field":"state","op":"is","value":"draft"},{"field":"name","op":"is","value":"x"}]}'
    page = client.get("/opportunities/", {"owner": "me", "where": tree}).content.decode()
    views = re.search(r'<nav class="views".*?</nav>', page, re.DOTALL)[0]
    assert "aria-current" not in views


def test_the_page_asks_the_database_as_often_for_one_condition_as_for_thirty(client, rep):
    costs = []
    for many in (1, 1, 30):
        tree = {"any": [{"field": "stage", "op": "is", "value": stage.key} for stage in Stage.objects.all()[:1]] * many}
        with CaptureQueriesContext(connection) as queries:
            assert client.get(FILTER, {"where": json.dumps(tree)}).status_code == 200
        costs.append(len(queries))
    assert costs[1] == costs[2]


def test_the_list_asks_the_database_as_often_for_thirty_rows_as_for_one(client, rep):
    tree = {"any": [{"field": "contacts", "op": "empty"}, {"field": "customer_industry", "op": "not_empty"}]}
    costs = []
    for many in (1, 0, 29):
        for _number in range(many):
            factories.opportunity(rep)
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/opportunities/", {"where": json.dumps(tree), "totals": "1"}).status_code == 200
        costs.append(len(queries))
    assert costs[1] == costs[2] <= 12
    assert Opportunity.objects.count() == 30
