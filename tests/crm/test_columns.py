"""Which columns a list shows, in which order its rows stand, and how many are on a page: all of it by the address."""

import csv
import re
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from itertools import chain

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.columns import Cells, Column
from customers.lists import ContactList, CustomerList
from customers.models import Customer
from opportunities.lists import OpportunityList
from opportunities.models import Opportunity, Source
from tests import factories as make
from tests.importing import signed_in

pytestmark = pytest.mark.django_db

LISTS = [OpportunityList, CustomerList, ContactList]


def listing(reader, query="", kind=OpportunityList):
    request = RequestFactory().get("/opportunities/", QueryDict(query))
    request.GET = QueryDict(query)
    request.user = reader
    return kind(request)


def fields(page):
    """The keys of the cells of the first row."""
    return re.findall(r'data-field="(\w+)"', page.partition("<tbody")[2].partition("</tr>")[0])


def heads(page):
    found = re.findall(r"<th[^>]*>(.*?)</th>", page.partition("</thead>")[0])
    return [re.sub(r"<[^>]+>| [↑↓]", "", head) for head in found if head and "checkbox" not in head]


# Columns


def test_the_address_says_which_columns_are_shown_and_in_which_order(client):
    rep = make.user()
    make.opportunity(rep, name="Metering", source=Source.objects.first(), description="Fourteen districts")
    client.force_login(rep)
    page = client.get("/opportunities/?columns=name,description,amount&columns=number").content.decode()
    assert fields(page) == ["name", "description", "amount", "number"]
    assert heads(page) == ["Opportunity", "Description", "Amount", "Number"]
    assert "Fourteen districts" in page
    assert fields(client.get("/opportunities/").content.decode()) == [
        "name", "customer", "stage", "amount", "expected_close_on", "waits", "owner", "last_follow_up_at",
    ]  # fmt: skip


def test_the_name_is_always_there_since_it_leads_to_the_record(client):
    rep = make.user()
    one = make.opportunity(rep, name="Metering")
    client.force_login(rep)
    page = client.get("/opportunities/?columns=amount,name,amount").content.decode()
    assert fields(page) == ["name", "amount"]
    assert f'href="/opportunities/{one.pk}/"' in page


@pytest.mark.parametrize(
    ("asked", "shown", "said"),
    [
        ("columns=amount,gone", ["name", "amount"], "There is no column “gone” here."),
        ("columns=gone", None, "There is no column “gone” here."),
        ("columns=%00,%3Cb%3E,owner__password", None, "There is no column “owner__password” here."),
        ("columns=", None, None),
        ("columns=,,", None, None),
    ],
)
def test_a_column_that_there_is_not_is_left_out_with_a_sentence(client, asked, shown, said):
    rep = make.user()
    make.opportunity(rep)
    client.force_login(rep)
    answer = client.get(f"/opportunities/?{asked}")
    page = answer.content.decode()
    assert answer.status_code == 200
    assert fields(page) == (shown or fields(client.get("/opportunities/").content.decode()))
    assert "<b>" not in page.partition("<table")[0]
    assert (said in page) if said else "There is no column" not in page


@pytest.mark.parametrize("kind", LISTS)
def test_every_column_of_a_list_can_be_shown_filled_and_empty_at_a_fixed_number_of_queries(client, kind):
    rep = make.user()
    other = make.user(at="jinan")
    full = make.customer(rep, name="Full & <b>bold</b>", description="x" * 500, website="https://example.org/")
    make.contact(full, name="Ding Yan", title="Buyer", phone="0311", description="Knows <i>all</i>")
    now = timezone.now()
    make.follow_up(make.opportunity(rep, customer=full, state="signed"), at=now - timedelta(days=3))
    make.opportunity(rep, customer=None, amount=None, expected_close_on=None)
    make.opportunity(other, name="Hidden")
    every = ",".join(column.key for column in kind.columns)
    client.force_login(rep)
    address = f"/{kind.name}/?columns={every}"
    page = client.get(address).content.decode()
    assert fields(page) == every.split(",")
    assert "None" not in page.partition("<tbody")[2].partition("</tbody>")[0]
    assert "<b>bold" not in page and "<i>all" not in page
    assert "Hidden" not in page
    assert "x" * 300 not in page
    costs = []
    for _round in range(2):
        with CaptureQueriesContext(connection) as queries:
            assert listing(rep, f"columns={every}", kind).rows
        costs.append(len(queries))
        for number in range(29):
            one = make.customer(rep, name=f"Customer {number}")
            make.contact(one)
            make.opportunity(rep, customer=one)
    assert costs[0] == costs[1]


def test_a_list_of_fifty_rows_is_no_heavy_page(client):
    rep = make.user()
    one = make.customer(rep, name="Qinghe Water Group")
    for number in range(52):
        make.opportunity(rep, customer=one, name=f"SCADA cloud migration, phase {number}")
    client.force_login(rep)
    assert len(client.get("/opportunities/").content) < 100_000


def test_what_was_chosen_is_not_dropped_from_a_narrow_window(client):
    rep = make.user()
    make.opportunity(rep)
    client.force_login(rep)
    assert 'class="hide-narrow' in client.get("/opportunities/").content.decode()
    page = client.get("/opportunities/?columns=name,owner,number").content.decode()
    assert "hide-narrow" not in page.partition("<table")[2]
    assert 'data-field="number" data-head="Number" class="fit quiet p5"' in page  # a line of its own on a telephone


def test_a_column_of_the_organisations_own_has_its_cells_for_all_rows_at_once():
    asked = []

    def batch(pks):
        asked.append(list(pks))
        return {pks[0]: "A & B"}

    class Own(CustomerList):
        def every_column(self):
            return [*super().every_column(), Column("own_colour", "Colour", td="fit", batch=batch)]

    rep = make.user()
    first, second = make.customer(rep, name="Anping"), make.customer(rep, name="Baoding")
    rows = listing(rep, "columns=name,own_colour", Own).rows
    assert asked == [[first.pk, second.pk]]
    assert (
        '<td role="cell" data-field="own_colour" data-head="Colour" class="fit p5">A &amp; B</td>' in rows[0]["cells"]
    )
    assert rows[1]["cells"].endswith('class="fit p5"></td>')
    [out] = Own.outs_of([Column("own_colour", "Colour", batch=batch)])
    assert out.batch(None, [first.pk, second.pk]) == {first.pk: "A & B"}


def test_a_cell_is_escaped_unless_it_is_html_and_may_add_classes():
    made = Cells([Column("a", "A", "right", td="fit", cell=lambda row: ("late", row["a"]))]).of({"a": "<x>"})
    assert made == '<td role="cell" data-field="a" class="right fit late">&lt;x&gt;</td>'


def test_the_columns_shown_go_out_in_their_order_or_all_fields(client):
    rep = make.user()
    make.opportunity(rep, name="Metering", amount=Decimal(5))
    client = signed_in(rep)

    def first_line(query):
        text = client.get(f"/opportunities/?export=csv&{query}").getvalue().decode("utf-8-sig")
        return next(csv.reader(StringIO(text)))

    assert first_line("columns=name,number,amount") == ["Opportunity name", "Number", "Amount"]
    every = first_line("columns=name,number,amount&fields=all")
    assert every[:2] == ["Opportunity name", "Customer"]
    assert len(every) == len(OpportunityList.columns)
    assert first_line("columns=gone")[:2] == ["Opportunity name", "Customer"]


# The form


def ticked(page):
    return re.findall(r'name="columns" value="(\w+)" checked', page)


def offered(page):
    return re.findall(r'name="order" value="(\w+)"', page)


def test_the_form_shows_what_is_shown_first_and_offers_the_rest(client):
    client.force_login(make.user())
    page = client.get(
        "/opportunities/columns/?columns=name,number,stage&sort=-amount,name&size=100&q=row"
    ).content.decode()
    assert ticked(page) == ["name", "number", "stage"]
    assert offered(page)[:3] == ["name", "number", "stage"]
    assert set(offered(page)) == {column.key for column in OpportunityList.columns}
    assert '<option value="-amount" selected>' in page and '<option value="name" selected>' in page
    assert '<option value="100" selected>' in page
    assert '<input type="hidden" name="q" value="row">' in page


def test_the_form_leads_to_the_list_that_it_asks_for_and_leaves_out_what_is_its_own_anyway(client):
    client.force_login(make.user())
    order = "&".join(f"order={key}" for key in ("name", "number", "amount", "stage"))
    sent = f"show=1&q=row&state=open&{order}&columns=number&columns=stage"
    answer = client.get(f"/opportunities/columns/?{sent}&by1=-amount&by2=name&by3=&size=25")
    asked = QueryDict(answer.url.partition("?")[2]).dict()
    assert asked == {
        "q": "row", "state": "open", "columns": "name,number,stage", "sort": "-amount,name", "size": "25",
    }  # fmt: skip
    answer = client.get(f"/opportunities/columns/?{sent}&by1=close&by2=close&by3=-close&size=50")
    assert "sort" not in QueryDict(answer.url.partition("?")[2])
    own = [column.key for column in OpportunityList.columns if column.shown]
    sent = "&".join([f"order={key}&columns={key}" for key in own])
    assert client.get(f"/opportunities/columns/?show=1&{sent}&by1=close&size=50").url == "/opportunities/"


def test_its_arrows_move_a_column_and_lose_nothing_of_the_rest(client):
    client.force_login(make.user())
    order = "order=name&order=stage&order=amount&order=number&columns=amount&by1=-name&size=25&q=row"
    page = client.get(f"/opportunities/columns/?{order}&up=amount").content.decode()
    assert offered(page)[:4] == ["name", "amount", "stage", "number"]
    assert ticked(page) == ["name", "amount"]
    assert '<option value="-name" selected>' in page and '<option value="25" selected>' in page
    for nowhere in ("up=stage", "up=name", "down=name", "up=gone", "down="):
        page = client.get(f"/opportunities/columns/?{order}&{nowhere}").content.decode()
        assert offered(page)[:4] == ["name", "stage", "amount", "number"]


def test_what_the_form_does_not_offer_comes_back_with_the_reason(client):
    client.force_login(make.user())
    answer = client.get("/opportunities/columns/?show=1&order=gone&columns=gone&by1=owner__password&size=7")
    assert answer.status_code == 200
    assert {"by1", "size"} <= answer.context["form"].errors.keys()
    assert "gone" not in offered(answer.content.decode())


# Orders


@pytest.fixture
def rows():
    """Many equal amounts, and follow-ups that are missing: some of one's own, some shared."""
    gm, rep, stranger = make.user(None, "gm"), make.user(), make.user(at="jinan")
    now = timezone.now()
    for number in range(14):
        owner = stranger if number % 4 == 3 else rep
        one = make.opportunity(owner, name=f"Row {number % 3}", state="active", amount=Decimal(number % 2 * 100))
        when = None if number % 3 == 0 else now - timedelta(days=number % 5)
        created = now - timedelta(days=number)
        Opportunity.objects.filter(pk=one.pk).update(
            last_follow_up_at=when, created_at=created, probability=10 + number
        )
        if owner is stranger:
            one.share(by=stranger, people=[gm, rep])
    return [gm, rep, stranger, make.user(None, "opportunity_manager", at="head-office")]


def in_order(records, sort):
    """The records as plain Python sorts them: what is empty stands last, whichever way round."""
    columns = {key.removeprefix("-"): OpportunityList.sorts[key.removeprefix("-")] for key in sort.split(",")}
    records = sorted(records, key=lambda one: one.pk, reverse=sort.startswith("-"))
    for key in reversed(sort.split(",")):
        column = columns[key.removeprefix("-")]
        filled = [one for one in records if getattr(one, column) is not None]
        empty = [one for one in records if getattr(one, column) is None]
        filled.sort(key=lambda one: getattr(one, column), reverse=key.startswith("-"))
        records = filled + empty
    return [one.pk for one in records]


class ThreeRows(OpportunityList):
    size = 3


class Walking(ThreeRows):
    """Takes every filter for one that leaves much, so that the index of the order is walked."""

    sorted_at_once = 0


@pytest.mark.parametrize("kind", [ThreeRows, Walking])
@pytest.mark.parametrize(
    "sort",
    [
        "created", "-created", "changed", "-probability", "last_follow_up", "-last_follow_up", "next_follow_up",
        "-amount,name", "amount,-name", "name,last_follow_up", "-last_follow_up,-amount,name",
    ],
)  # fmt: skip
def test_each_order_shows_each_visible_row_once_with_what_is_empty_last(rows, kind, sort):
    for reader in rows:
        for query in ("", "state=active&", "q=row&"):
            here, pages = listing(reader, f"{query}sort={sort}", kind), []
            while True:
                pages.append(here.pks)
                if here.next_url is None:
                    break
                here = listing(reader, here.next_url.partition("?")[2], kind)
            assert list(chain(*pages)) == in_order(Opportunity.objects.visible_to(reader), sort)
            back = [here.pks]
            while here.previous_url:
                here = listing(reader, here.previous_url.partition("?")[2], kind)
                back.insert(0, here.pks)
            assert back == pages


def test_what_goes_out_stands_in_the_order_of_the_list(rows):
    client = signed_in(rows[1])
    address = "/opportunities/?sort=-last_follow_up,amount&columns=name,number"
    text = client.get(f"{address}&export=csv").getvalue().decode("utf-8-sig")
    numbers = [row[1] for row in csv.reader(StringIO(text))][1:]
    assert numbers == re.findall(r'data-field="number"[^>]*>([^<]+)<', client.get(address).content.decode())


@pytest.mark.parametrize(
    ("asked", "sort", "said"),
    [
        ("", "close", None),
        ("sort=nonsense", "close", "This list is not sorted by “nonsense”."),
        ("sort=-amount,nonsense,name", "-amount,name", "This list is not sorted by “nonsense”."),
        ("sort=--name", "close", "This list is not sorted by “--name”."),
        ("sort=name,-name", "name", None),
        ("sort=close,close,-close", "close", None),
        ("sort=name,amount,created,changed", "name,amount,created", None),
    ],
)
def test_an_order_that_there_is_not_is_left_out_with_a_sentence(client, asked, sort, said):
    rep = make.user()
    make.opportunity(rep)
    assert listing(rep, asked).sort == sort
    client.force_login(rep)
    page = client.get(f"/opportunities/?{asked}").content.decode()
    assert (said in page) if said else "is not sorted by" not in page


def test_a_column_head_sorts_and_turns_round_and_keeps_the_rest(client):
    rep = make.user()
    make.opportunity(rep)
    client.force_login(rep)

    def head(query, label):
        page = client.get(f"/opportunities/?{query}").content.decode()
        return next(one for one in re.findall(r"<th[^>]*>.*?</th>", page) if label in one)

    assert 'aria-sort="ascending"' in head("", "Expected close")
    assert 'href="/opportunities/?sort=-close"' in head("", "Expected close")
    assert "aria-sort" not in head("", "Amount")
    assert 'href="/opportunities/?q=opp&amp;sort=amount"' in head("q=opp&page=1", "Amount")
    assert 'href="/opportunities/?sort=-amount"' in head("sort=amount", "Amount ↑")
    assert 'aria-sort="descending"' in head("sort=-amount", "Amount ↓")
    assert "Amount ↓<sup>1</sup>" in head("sort=-amount,name", "Amount")
    assert "Opportunity ↑<sup>2</sup>" in head("sort=-amount,name", "Opportunity")
    assert 'href="/opportunities/?sort=name"' in head("sort=-amount,name", "Opportunity")


@pytest.mark.parametrize("kind", LISTS)
def test_every_order_of_a_list_has_a_column_and_an_index(kind):
    led = {index.fields[0] for index in kind.model._meta.indexes if index.fields[-1] == "id"}
    assert set(kind.sorts.values()) <= led
    assert {column.sort for column in kind.columns if column.sort} == set(kind.sorts)


# Size


@pytest.mark.parametrize(("asked", "size"), [("25", 25), ("100", 100), ("1000000", 50), ("0", 50), ("x", 50), ("", 50)])
def test_a_page_has_as_many_rows_as_asked_for_of_those_offered(asked, size):
    rep = make.user()
    Customer.objects.bulk_create(made(rep, number) for number in range(110))
    here = listing(rep, f"size={asked}", CustomerList)
    assert len(here.rows) == size
    said = [f"A page of this list has one of 25, 50, 100 rows, not “{asked}”."] if asked and asked != str(size) else []
    assert here.errors == said
    assert here.next_url.startswith(f"/customers/?size={asked}&page=2")
    assert len(listing(rep, here.next_url.partition("?")[2], CustomerList).rows) == min(size, 110 - size)


def made(rep, number):
    one = Customer(name=f"Customer {number:03}", owner=rep, created_by=rep)
    one.place(rep.department)
    one.settle()
    return one


# Layouts


def test_there_is_no_switch_to_a_layout_that_there_is_not():
    assert listing(make.user(), "", CustomerList).layouts == []
