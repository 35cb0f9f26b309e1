"""
A list page: every visible row once and in order, whatever the page, the sort, the filter and the way it was
reached.
"""

import re
from datetime import date
from decimal import Decimal
from itertools import chain

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from crm.orders import Place
from customers.lists import ContactList, CustomerList
from opportunities.lists import OpportunityList
from opportunities.models import Opportunity
from tests import factories

pytestmark = pytest.mark.django_db


class ShortPages(OpportunityList):
    size = 3


class Walking(ShortPages):
    """Takes every filter for one that leaves much, so that the index of the order is walked."""

    sorted_at_once = 0


class LookingFirst(ShortPages):
    """Looks first at as many rows as there may be in the order, of which a filter leaves a page or does not."""

    looked_at_first = 6


class LookingAtFew(Walking):
    looked_at_first = 3


def listing(reader, query="", kind=ShortPages):
    request = RequestFactory().get("/opportunities/", QueryDict(query).dict() if isinstance(query, str) else query)
    request.user = reader
    return kind(request)


def at(address, reader, kind=ShortPages):
    """The list that a link of another one leads to."""
    request = RequestFactory().get(address)
    request.user = reader
    return kind(request)


@pytest.fixture
def company():
    """
    A GM with a city of rows, with rows of their own elsewhere, shares and tasks; and many equal dates and
    amounts.
    """
    gm, manager = factories.user(None, "gm"), factories.user(None, "opportunity_manager", at="head-office")
    chief = factories.user(None, "gm", at="hebei")
    rep, stranger = factories.user(), factories.user(at="jinan")
    customer = factories.customer(rep)
    days = [date(2027, 1, 1), date(2027, 1, 1), date(2027, 1, 1), None, date(2027, 3, 1)]
    for number in range(11):
        made = factories.opportunity(
            rep,
            customer=customer,
            name=f"Row {number % 4}",
            amount=Decimal(number % 3 * 1000),
            expected_close_on=days[number % 5],
        )
        Opportunity.objects.filter(pk=made.pk).update(state="active" if number % 2 else "returned")
    for number in range(7):
        shared = factories.opportunity(stranger, name=f"Shared {number % 2}", expected_close_on=days[number % 3])
        if number != 3:
            shared.share(by=stranger, people=[gm])
    return {"gm": gm, "chief": chief, "manager": manager, "rep": rep, "stranger": stranger}


ORDERS = {
    "close": lambda one: (one.list_key, one.pk),
    "amount": lambda one: (one.base_cents, one.pk),
    "name": lambda one: (one.name_key, one.pk),
}


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("", ShortPages),
        ("state=open", ShortPages),
        ("q=row", Walking),
        ("state=active", LookingFirst),
        ("amount.at_least=1000", LookingFirst),
        ("state=open&amount.at_least=2000", LookingAtFew),
        ("q=row&state=active", LookingAtFew),
    ],
)
@pytest.mark.case(64)
def test_the_pages_show_each_visible_row_once_and_in_order(company, query, kind):
    for reader in company.values():
        visible = list(listing(reader, query, kind)._found.visible_to(reader))
        for order, key in ORDERS.items():
            for sort in (order, f"-{order}"):
                expected = [one.pk for one in sorted(visible, key=key, reverse=sort.startswith("-"))]
                forth, back = walked(reader, f"{query}&sort={sort}", kind)
                assert list(chain(*forth)) == expected
                assert back == forth


@pytest.mark.parametrize("reader", ["chief", "manager"])
def test_where_a_filter_leaves_a_page_among_the_first_rows_nothing_is_counted(company, reader):
    questions = {}
    for kind in (LookingFirst, ShortPages):
        with CaptureQueriesContext(connection) as captured:
            pks = listing(company[reader], "state=open", kind).pks
        questions[kind] = [query["sql"] for query in captured if "COUNT(" in query["sql"]]
        assert pks == listing(company[reader], "").pks  # all that there is is open
    assert (len(questions[LookingFirst]), len(questions[ShortPages])) == (0, 1)


def walked(reader, query, kind):
    """
    The keys of each page, reached from the one before, and from the one after; each page is the one of its
    number.
    """
    here, forth = listing(reader, query, kind), []
    while True:
        assert here.pks == listing(reader, f"{query}&page={len(forth) + 1}", kind).pks
        assert (here.first, here.last) == (len(forth) * 3 + 1, len(forth) * 3 + len(here.pks))
        forth.append(here.pks)
        if here.next_url is None:
            break
        here = at(here.next_url, reader, kind)
    back = [here.pks]
    while here.previous_url:
        here = at(here.previous_url, reader, kind)
        back.insert(0, here.pks)
    assert here.place.number == 1
    return forth, back


def test_a_page_beyond_the_last_says_so_and_leads_back(client, company):
    client.force_login(company["gm"])
    answer = client.get("/opportunities/?page=99&sort=name")
    assert answer.status_code == 200
    assert "There is nothing on this page" in answer.content.decode()
    assert 'href="/opportunities/?sort=name"' in answer.content.decode()


@pytest.mark.case(64)
def test_a_row_that_left_between_two_pages_is_no_error(company):
    first = listing(company["gm"])
    Opportunity.objects.filter(pk__in=first.pks).update(owner=company["stranger"], city=factories.department("jinan"))
    second = at(first.next_url, company["gm"])
    assert second.pks
    assert not set(second.pks) & set(first.pks)


NO_PAGES = ["", "0", "-1", "x", "1.5", "٣", "9" * 30, "3_after", "3_after_1_", "3_after_1_x", "3_after_x_1"]
NO_PAGES += ["3_sideways_1_1", "1_after_1_5", "3_after_1_" + "9" * 60, "3_after_1_-" + "9" * 19]
NO_PAGES += ["3_before_" + "9" * 30 + "_1", "3_after_1_\0", "2_after_1_1\n2"]


@pytest.mark.parametrize("sort", ["close", "-amount", "name", "nonsense", "--name", "owner__password"])
@pytest.mark.case(41)
def test_what_is_no_page_and_no_sort_is_a_sane_page(company, sort):
    first = listing(company["gm"], f"sort={sort}").pks
    for text in NO_PAGES:
        shown = listing(company["gm"], {"page": text, "sort": sort})
        assert shown.pks == first or shown.place.number > 1
        assert len(shown.rows) == len(shown.pks)


def test_a_place_is_read_as_it_is_written():
    for field, key in (("list_key", -12), ("name_key", "a_b c"), ("base_cents", 10**15)):
        field = Opportunity._meta.get_field(field)
        place = Place.read(str(Place(7, "before", 5, key)), field)
        assert (place.number, place.side, place.pk, place.key) == (7, "before", 5, key)


# Count and sums


def test_count_and_sums_are_those_of_all_that_is_visible_and_nothing_else(client, company):
    client.force_login(company["gm"])
    seen = Opportunity.objects.visible_to(company["gm"])
    totals = listing(company["gm"]).totals
    assert totals["count"] == len(seen) == 17
    assert totals["amount"] == sum(one.base_cents for one in seen)
    assert totals["forecast"] == sum(one.forecast_cents for one in seen)
    said = client.get("/opportunities/totals/").content.decode()
    assert "<b>17</b> opportunities" in said
    assert "<html" not in said
    assert listing(company["gm"], "state=active").totals["count"] == seen.filter(state="active").count()


def test_what_was_voided_adds_nothing_to_the_forecast(company):
    made = factories.opportunity(company["rep"], amount=Decimal("999.99"))
    before = listing(company["rep"]).totals
    made.void(by=company["rep"], reason="Twice")
    after = listing(company["rep"]).totals
    assert (after["count"], after["amount"]) == (before["count"], before["amount"])
    assert before["forecast"] - after["forecast"] == round(99999 * made.probability / 100)
    assert made.forecast_cents == 0


def test_the_foot_is_asked_for_after_the_page_and_is_there_at_once_without_script(client, company):
    client.force_login(company["gm"])
    page = client.get("/opportunities/?state=active&page=1").content.decode()
    assert 'hx-get="/opportunities/totals/?state=active"' in page
    assert "</b> opportunities" not in page
    assert "</b> opportunities" in client.get("/opportunities/?state=active&totals=1").content.decode()


def test_the_place_in_the_list_is_said_and_of_how_many_once_that_is_known(company):
    def place(query, read_first=None):
        asked = listing(company["gm"], query)
        getattr(asked, read_first or "rows")
        return asked.first, asked.last, asked.whole

    assert place("page=2") == (4, 6, None)
    assert place("page=2", "totals") == (4, 6, 17)
    assert place("page=6", "totals") == (16, 17, 17)
    assert place("name.contains=nothing") == (1, 0, 0)
    assert listing(company["gm"], kind=OpportunityList).whole == 17  # all on one page: nothing to count


def test_the_place_is_put_right_together_with_the_totals(client, company):
    client.force_login(company["gm"])
    late = client.get("/opportunities/totals/?page=1").content.decode()
    assert 'id="range" hx-swap-oob="true">1–17 of 17</span>' in late
    assert 'id="range"' not in client.get("/opportunities/totals/?state=void").content.decode()
    assert 'id="range">1–17 of 17</span>' in client.get("/opportunities/").content.decode()


@pytest.mark.parametrize("address", ["/opportunities/?state=open&sort=-amount", "/opportunities/board/?q=row"])
def test_a_script_is_given_the_list_without_the_frame_around_it(client, company, address):
    client.force_login(company["gm"])
    answers, costs = [], []
    for headers in ({}, {"HX-Request": "true"}):
        client.get(address, headers=headers)
        with CaptureQueriesContext(connection) as spent:
            answers.append(client.get(address, headers=headers).content.decode())
        costs.append(len(spent))
    whole, part = answers
    [main] = re.findall(r"<main.*</main>", whole, re.DOTALL)
    assert "".join(part.split()) == "".join(main.split())
    assert costs[1] < costs[0]  # nobody counts what waits


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "Rows 1–17 of 17"),
        ("page=2&size=25", "There is nothing on this page"),
        ("name.contains=nothing", "Nothing matches"),
    ],
)
def test_what_came_is_said_to_whom_the_page_is_read_out(client, company, query, said):
    client.force_login(company["gm"])
    assert f'data-said="{said}"' in client.get(f"/opportunities/?{query}").content.decode()


def test_of_a_page_among_others_its_rows_are_said(company):
    assert listing(company["gm"], "page=2").said == "Rows 4–6"


def test_nothing_sums_up_to_nothing(company):
    assert listing(factories.user(at="baoding")).totals == {"count": 0, "amount": 0, "forecast": 0}


# The bar above the rows


def test_each_chip_leads_to_the_list_without_it(company):
    asked = listing(company["gm"], "state=open&amount.over=5&sort=name&page=2&q=row")
    assert [one["chip"].label for one in asked.chips] == ["State", "Amount"]
    assert asked.chips[0]["without"] == "/opportunities/?amount.over=5&sort=name&q=row"


def test_the_tab_whose_conditions_are_on_is_marked(company):
    def current(query):
        return [str(tab["label"]) for tab in listing(company["gm"], query).tabs_shown if tab["current"]]

    assert current("") == ["All"]
    assert current("sort=name&q=row&page=2") == ["All"]
    assert current("state=open") == ["Open"]
    assert current("expected_close_on=this_month&state=open") == ["Closing this month"]
    assert current("state=open&amount.over=5") == []


def test_what_cannot_be_asked_is_said_above_the_rows_that_the_rest_gives(client, company):
    client.force_login(company["gm"])
    page = client.get("/opportunities/?stage=nonsense&amount.over=x&state=active").content.decode()
    assert "Stage cannot be “nonsense”." in page
    assert "Amount: write a number" in page
    assert "Row 1" in page


def test_find_keeps_the_conditions_and_the_sort(client, company):
    client.force_login(company["gm"])
    page = client.get("/opportunities/?state=active&sort=-amount&page=2&q=row").content.decode()
    assert '<input type="hidden" name="state" value="active">' in page
    assert '<input type="hidden" name="sort" value="-amount">' in page
    assert '<input type="hidden" name="page"' not in page


# Every list


@pytest.mark.parametrize("address", ["/opportunities/", "/customers/", "/contacts/"])
@pytest.mark.parametrize("part", ["", "totals/", "filter/"])
def test_a_list_is_for_those_who_are_signed_in_and_only_read(client, address, part):
    assert client.get(address + part).status_code == 302
    client.force_login(factories.user())
    assert client.get(address + part).status_code == 200
    assert client.post(address + part).status_code == (200 if part == "filter/" else 405)  # which changes nothing


@pytest.mark.parametrize(
    ("kind", "make", "text"),
    [
        (CustomerList, lambda rep: factories.customer(rep, name="Own"), "Own"),
        (ContactList, lambda rep: factories.contact(factories.customer(rep), name="Own"), "Own"),
    ],
)
def test_customers_and_contacts_have_the_same_list(client, kind, make, text):
    rep, stranger = factories.user(), factories.user(at="jinan")
    make(rep)
    hidden = make(stranger)
    hidden.change(by=stranger, name="Secret")
    client.force_login(rep)
    address = reverse(kind.name)
    page = client.get(f"{address}?totals=1").content.decode()
    assert f">{text}</a>" in page
    assert "Secret" not in page
    assert "<b>1</b>" in page
    assert "Nothing matches" in client.get(f"{address}?q=secret").content.decode()
    assert listing(rep, kind=kind).rows  # a first time for what is read once: roles, content types
    costs = []
    for _round in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert listing(rep, kind=kind).rows
        costs.append(len(queries))
        for _number in range(30):
            make(rep)
    assert costs[0] == costs[1] <= 4


def test_a_customer_counts_the_open_opportunities_that_its_reader_sees():
    rep, stranger = factories.user(), factories.user(at="jinan")
    customer = factories.customer(rep)
    factories.opportunity(rep, customer=customer)
    factories.opportunity(rep, customer=customer, state="signed")
    hidden = factories.opportunity(stranger)
    Opportunity.objects.filter(pk=hidden.pk).update(customer=customer)
    row = listing(rep, kind=CustomerList).rows[0]
    assert row["open"] == 1
    behind = at(row["open_url"], rep)
    assert behind.totals["count"] == 1


def test_far_dates_and_unused_days_do_not_stop_a_list(company):
    factories.opportunity(company["rep"], expected_close_on=date(1900, 1, 1))
    factories.opportunity(company["rep"], expected_close_on=date(9999, 12, 31))
    seen = listing(company["rep"], kind=OpportunityList).rows
    assert seen[0]["closes_on"] == "1900-01-01"
    assert len(seen) == 13
