"""From one record of a list to the next, in the order and within the bounds of what its reader sees in it now."""

from datetime import date
from decimal import Decimal
from urllib.parse import urlencode, urlsplit

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from crm.saved_views import SavedView
from crm.stepping import Step
from opportunities.lists import OpportunityList
from opportunities.models import Opportunity
from tests import factories as make

pytestmark = pytest.mark.django_db


class ShortPages(OpportunityList):
    size = 3


class Walking(ShortPages):
    """Takes every filter for one that leaves much, so that the index of the order is walked."""

    sorted_at_once = 0


def asked(reader, query="", kind=ShortPages):
    return kind.asked_by(reader, QueryDict(query))


def at(address, reader, kind=ShortPages):
    return asked(reader, urlsplit(address).query, kind)


def pk_in(url):
    return int(url.strip("/").rpartition("/")[2])


@pytest.fixture
def company():
    """A GM with a city of rows, some of them shared from elsewhere; many equal dates, names and amounts."""
    gm, manager = make.user(None, "gm"), make.user(None, "opportunity_manager", at="head-office")
    rep, stranger = make.user(), make.user(at="jinan")
    customer = make.customer(rep)
    days = [date(2027, 1, 1), date(2027, 1, 1), None, date(2027, 3, 1)]
    for number in range(8):
        made = make.opportunity(
            rep,
            customer=customer,
            name=f"Row {number % 3}",
            amount=Decimal(number % 3 * 1000),
            expected_close_on=days[number % 4],
        )
        Opportunity.objects.filter(pk=made.pk).update(state="active" if number % 2 else "returned")
        if number % 3:
            make.follow_up(made)
    for number in range(4):
        shared = make.opportunity(stranger, name=f"Shared {number % 2}", expected_close_on=days[number % 3])
        if number != 3:
            shared.share(by=stranger, people=[gm])
    return {"gm": gm, "manager": manager, "rep": rep, "stranger": stranger}


def in_order(reader, query, kind):
    """All that the list shows, as one page of it would."""
    whole = asked(reader, query, kind)
    whole.size = 100
    return whole.pks


def walked(reader, query, kind, side):
    """The keys that are reached one from the other, from one end of the list; and what each is said to be."""
    order = in_order(reader, query, kind)
    step = Step(asked(reader, query, kind), order[0 if side == "next" else -1])
    found, said = [step.pk], [step.said]
    while beside := getattr(step, side):
        step = Step(at(beside["list"], reader, kind), pk_in(beside["url"]))
        assert step.listing is step.asked, "the link leads to the page that the record is on"
        found.append(step.pk)
        said.append(step.said)
    return (found, said) if side == "next" else (found[::-1], said[::-1])


@pytest.mark.parametrize("sort", ["close", "-amount", "name", "-last_follow_up", "last_follow_up", "amount,-name"])
@pytest.mark.parametrize(("query", "kind"), [("", ShortPages), ("state=open", ShortPages), ("q=row", Walking)])
def test_one_record_leads_to_the_next_as_the_list_has_them_over_all_pages(company, query, kind, sort):
    for name, reader in company.items():
        asks = f"{query}&sort={sort}"
        expected = in_order(reader, asks, kind)
        if not expected:
            assert (name, query) == ("stranger", "q=row")
            continue
        numbers = [f"{number} of {len(expected)}" for number in range(1, len(expected) + 1)]

        assert walked(reader, asks, kind, "next") == (expected, numbers)
        assert walked(reader, asks, kind, "previous") == (expected, numbers)


def test_the_ends_lead_no_further(company):
    order = in_order(company["gm"], "", ShortPages)
    assert Step(asked(company["gm"]), order[0]).previous is None
    assert Step(asked(company["gm"]), order[-1]).next is None
    only = Step(asked(make.user(at="baoding", username="one")), 0)
    assert (only.previous, only.next, only.said) == (None, None, "Not in this list")


def test_a_record_that_moved_within_the_list_is_found_where_it_is_now(company):
    reader = company["manager"]
    first = in_order(reader, "sort=amount", ShortPages)[0]
    Opportunity.objects.filter(pk=first).update(base_cents=10**9)
    order = in_order(reader, "sort=amount", ShortPages)

    step = Step(asked(reader, "sort=amount&page=1"), first)

    assert order[-1] == first
    assert (step.said, step.next, pk_in(step.previous["url"])) == (f"{len(order)} of {len(order)}", None, order[-2])
    assert step.list_url == "/opportunities/?sort=amount&page=4"


@pytest.mark.parametrize("sort", ["name", "-last_follow_up"])
def test_a_record_that_left_the_list_says_so_and_leads_back_to_it(client, company, sort):
    reader = company["rep"]
    left = Opportunity.objects.filter(owner=reader, state="active").first()
    client.force_login(reader)
    address = f"/opportunities/{left.pk}/step/?{urlencode({'list': f'state=active&sort={sort}'})}"
    assert "of 4</span>" in client.get(address).content.decode()
    Opportunity.objects.filter(pk=left.pk).update(state="returned")

    answer = client.get(address).content.decode()

    assert "Not in this list" in answer
    assert f'href="/opportunities/?state=active&amp;sort={sort}"' in answer
    assert 'rel="next"' not in answer


def test_rows_that_came_or_left_before_a_page_reached_by_key_shift_its_numbers_and_skip_nobody(company):
    reader = company["manager"]
    order = in_order(reader, "sort=name", ShortPages)
    fourth = Step(at(Step(asked(reader, "sort=name"), order[2]).next["list"], reader), order[3])
    assert fourth.said == f"4 of {len(order)}"
    Opportunity.objects.filter(pk__in=order[:2]).delete()

    again = Step(at(fourth.list_url, reader), order[3])

    assert again.said == f"2 of {len(order) - 2}"
    assert (pk_in(again.previous["url"]), pk_in(again.next["url"])) == (order[2], order[4])


# Who sees what


def test_a_stranger_steps_within_their_own_whatever_they_ask(client, company):
    rep, stranger = company["rep"], company["stranger"]
    theirs, own = (Opportunity.objects.filter(owner=one).order_by("pk") for one in (rep, stranger))
    client.force_login(stranger)
    for query in ("", "owner=me", f"owner={rep.pk}", "sort=-amount", "q=Row", "view=1", "page=2_after_1_1"):
        answers = [
            client.get(f"/opportunities/{pk}/step/?{urlencode({'list': query})}").content.decode()
            for pk in (theirs[0].pk, 10**9)
        ]
        assert answers[0] == answers[1], "what one may not see is as what there is not"
        assert "Not in this list" in answers[0]
        for to in ("previous", "next"):
            answer = client.get(f"/opportunities/{theirs[0].pk}/step/?to={to}&{urlencode({'list': query})}")
            assert urlsplit(answer["Location"]).path == "/opportunities/"
        found = client.get(f"/opportunities/{own[1].pk}/step/?{urlencode({'list': query})}").content.decode()
        assert not {f'href="/opportunities/{one.pk}/"' for one in theirs} & set(found.split())
    client.force_login(rep)
    assert "of 8" in client.get(f"/opportunities/{theirs[0].pk}/step/?list=").content.decode()


def test_somebody_elses_view_is_not_stepped_through(client, company):
    rep, stranger = company["rep"], company["stranger"]
    view = SavedView(listing="opportunities", name="Rows", conditions={}, text="Row", sort="name")
    view.create(by=rep)
    row = Opportunity.objects.filter(owner=rep, name="Row 1").first()
    asks = urlencode({"list": f"view={view.pk}"})

    client.force_login(rep)
    mine = client.get(f"/opportunities/{row.pk}/step/?{asks}").content.decode()
    client.force_login(stranger)
    own = Opportunity.objects.filter(owner=stranger).first()
    others = client.get(f"/opportunities/{own.pk}/step/?{asks}").content.decode()

    assert "of 8</span>" in mine
    assert f'href="/opportunities/?view={view.pk}"' in mine
    assert "Opportunities · Rows" in mine
    assert "of 4</span>" in others  # their whole list
    assert "Rows" not in others


HOSTILE = [
    "&" * 5000,
    "a&" * 3000,
    "\0",
    "page=\0",
    "sort=" + "x," * 900,
    "where={",
    "where=[[[[[[",
    "view=99999999999",
]
HOSTILE += [
    "page=9_after_1_x",
    "page=999999999",
    "%ff%fe",
    "list=list",
    "size=0&size=-1",
    "q=" + "%00",
    "<script>alert(1)",
]
HOSTILE += ["//evil.example/", "https://evil.example/?a=b", "export=xlsx", "select=all&every=1&pk=1", "layout=board"]


@pytest.mark.parametrize("query", HOSTILE)
def test_what_is_no_list_breaks_neither_the_step_nor_the_page(client, company, query):
    own = Opportunity.objects.filter(owner=company["rep"]).first()
    client.force_login(company["rep"])
    for address in (f"/opportunities/{own.pk}/step/", f"/opportunities/{own.pk}/"):
        answer = client.get(address, {"list": query})
        assert answer.status_code == 200
        assert "<script>alert" not in answer.content.decode()
        assert 'href="//' not in answer.content.decode()
        assert 'href="https://evil' not in answer.content.decode()
    for to in ("previous", "next", "", "nowhere"):
        answer = client.get(f"/opportunities/{own.pk}/step/", {"list": query, "to": to})
        assert answer.status_code == 302
        assert answer["Location"].startswith("/opportunities/")


@pytest.mark.parametrize("address", ["/opportunities/", "/customers/", "/contacts/"])
def test_it_is_for_those_who_are_signed_in_and_only_read(client, address):
    assert client.get(f"{address}1/step/").status_code == 302
    client.force_login(make.user())
    assert client.get(f"{address}1/step/").status_code == 200
    assert client.post(f"{address}1/step/").status_code == 405


# The page of a record


def referred(client, address, referer):
    return client.get(address, headers={"Referer": f"http://testserver{referer}"}).content.decode()


def test_a_record_leads_back_to_the_list_that_one_came_from(client, company):
    own = Opportunity.objects.filter(owner=company["rep"]).first()
    address = f"/opportunities/{own.pk}/"
    client.force_login(company["rep"])

    page = referred(client, address, "/opportunities/?state=open&sort=-amount&page=2")
    assert '<a href="/opportunities/?state=open&amp;sort=-amount&amp;page=2"><i' in page
    asks = urlencode({"list": "state=open&sort=-amount&page=2"})
    assert f'href="{address}step/?to=next&amp;{asks}"' in page

    board = referred(client, address, "/opportunities/board/?owner=me")
    assert '<a href="/opportunities/board/?owner=me"><i' in board
    assert "?to=next" not in board

    for elsewhere in ("/customers/?q=x", "/", f"{address}edit/", "//evil.example/opportunities/", "[::1"):
        assert '<a href="/opportunities/"><i' in referred(client, address, elsewhere)
    foreign = client.get(address, headers={"Referer": "https://evil.example/opportunities/?q=x"}).content.decode()
    assert '<a href="/opportunities/"><i' in foreign


def test_without_script_the_arrows_lead_from_record_to_record_and_back_to_the_list(client):
    rep = make.user()
    first, second = (make.customer(rep, name=name) for name in ("Anping Wire", "Baoding Dairy"))
    client.force_login(rep)

    answer = client.get(f"/customers/{first.pk}/step/?to=next&list=sort%3Dname", follow=True)
    assert answer.redirect_chain == [(f"/customers/{second.pk}/?list=sort%3Dname", 302)]
    assert '<a href="/customers/?sort=name"><i' in answer.content.decode()

    over = client.get(f"/customers/{second.pk}/step/?to=next&list=sort%3Dname")
    assert over["Location"] == "/customers/?sort=name"


def test_contacts_and_customers_step_as_opportunities_do(client):
    rep = make.user()
    customers = [make.customer(rep, name=name) for name in ("Anping Wire", "Baoding Dairy", "Cangzhou Port")]
    people = [make.contact(customers[0], name=name) for name in ("Ai", "Bo", "Cai")]
    client.force_login(rep)
    for address, records in (("/customers/", customers), ("/contacts/", people)):
        found = client.get(f"{address}{records[1].pk}/step/?list=sort%3D-name").content.decode()
        assert "2 of 3" in found
        assert f'href="{address}{records[2].pk}/" rel="prev"' in found
        assert f'href="{address}{records[0].pk}/" rel="next"' in found


# What it costs


@pytest.mark.parametrize("reader", ["rep", "gm", "manager"])
@pytest.mark.parametrize("query", ["", "sort=-amount&state=open", "sort=last_follow_up", "q=row&page=2&size=25"])
def test_it_costs_the_same_few_queries_for_few_and_for_many(client, company, reader, query):
    client.force_login(company[reader])
    costs = []
    for more in (30, 60):
        customer, stage, rep = make.customer(), make.stage(), company["rep"]
        rows = [Opportunity(owner=rep, name=f"Row {number}", customer=customer, stage=stage) for number in range(more)]
        Opportunity.create_all(rows, by=rep)
        Opportunity.objects.filter(state="draft").update(state="active")
        record = asked(company[reader], query, OpportunityList).pks[0]
        costs.append(cost(client, f"/opportunities/{record}/step/?{urlencode({'list': query})}"))
    assert costs[0] <= 12
    assert costs[1] - costs[0] in (0, 1, 2)  # what is more than a page is counted, branch by branch


def cost(client, address, **headers):
    client.get(address, headers=headers)
    with CaptureQueriesContext(connection) as spent:
        assert client.get(address, headers=headers).status_code == 200
    return len(spent)


def test_the_page_of_a_record_costs_no_query_more_when_it_was_opened_from_a_list(client, company):
    address = f"/opportunities/{Opportunity.objects.filter(owner=company['rep']).first().pk}/"
    client.force_login(company["rep"])
    alone = cost(client, address)

    assert cost(client, f"{address}?list=state%3Dopen") == alone
    assert cost(client, address, Referer="http://testserver/opportunities/?state=open&page=2") == alone


class Few(Step):
    """Counts to five what others count to ten thousand."""

    most = 5


def test_what_is_very_much_is_not_counted_through_and_stepped_through_all_the_same(company):
    reader = company["manager"]
    order = in_order(reader, "", ShortPages)
    said, step = [], Few(asked(reader), order[0])
    for pk in order:
        assert step.pk == pk
        said.append(step.said)
        step = step.next and Few(at(step.next["list"], reader), pk_in(step.next["url"]))

    assert said == [f"{number} of 5+" for number in range(1, 13)]
    assert step is None
    for query in ("", "sort=last_follow_up"):
        moved = Few(asked(reader, query), in_order(reader, query, ShortPages)[-1])
        assert (moved.said, moved.next) == ("", None)  # it is there, but farther down than is looked
