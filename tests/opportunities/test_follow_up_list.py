"""The list of all follow-ups: those of what its reader sees, in order of time, narrowed, counted and given out."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape

from crm.conditions import Conditions
from opportunities.models import FollowUp
from tests import factories as make
from tests.importing import signed_in

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def rep():
    return make.user(name="Chen Yu", language="en", time_zone="UTC")


@pytest.fixture
def opportunity(rep):
    return make.opportunity(rep, name="Leak detection", state="active")


def listed(person, query="", of="totals=1"):
    return signed_in(person).get(f"/follow-ups/?{query}&{of}").content.decode()


def contents(person, query=""):
    """This will give what the rows say, in the order of the list."""
    page = listed(person, query)
    return [cell.partition("</td>")[0].rpartition(">")[2] for cell in page.split('data-field="content"')[1:]]


def test_it_lists_what_was_done_latest_first_and_what_is_planned_soonest_first(rep, opportunity):
    now = timezone.now()
    for number in (3, 1, 2):
        make.follow_up(opportunity, content=f"Done {number} days ago.", at=now - number * DAY)
        make.follow_up(opportunity, content=f"Planned in {number} days.", at=now + number * DAY)

    ahead = [f"Planned in {number} days." for number in (1, 2, 3)]
    past = [f"Done {number} days ago." for number in (1, 2, 3)]
    assert contents(rep) == ahead[::-1] + past
    assert contents(rep, "done=no") == ahead
    assert contents(rep, "done=yes") == past
    assert contents(rep, "sort=when") == (ahead[::-1] + past)[::-1]
    assert "<b>6</b> follow-up records" in listed(rep)
    assert "<b>3</b> planned" in listed(rep)


def test_whoever_sees_what_it_is_about_sees_it_and_nobody_else(rep, opportunity):
    customer = make.customer(rep, name="Pump works")
    make.follow_up(opportunity, content="About the opportunity.")
    make.follow_up(customer, content="About the customer.")
    make.follow_up(make.opportunity(rep), content="About a draft.")
    gm, shared_with = make.user(None, "gm"), make.user(at="jinan")
    manager = make.user(None, "opportunity_manager", at="head-office")
    opportunity.share(by=rep, people=[shared_with])

    def seen(person):
        return {text.split()[-1] for text in contents(person)}

    assert seen(rep) == seen(manager) == {"opportunity.", "customer.", "draft."}
    assert seen(gm) == {"opportunity.", "customer."}
    assert seen(shared_with) == {"opportunity."}
    assert seen(make.user(at="jinan")) == set()
    assert "No follow-up records yet" in listed(make.user(at="jinan"))


def test_whom_it_was_with_is_named_to_those_who_know_the_person(rep, opportunity):
    make.follow_up(opportunity, contact=make.contact(opportunity.customer, name="Ms Ding Yan"))
    reader = make.user(at="jinan")
    opportunity.share(by=rep, people=[reader])
    assert "Ms Ding Yan" in listed(rep)
    assert "Ms Ding Yan" not in listed(reader)
    assert "Ms Ding Yan" not in listed(reader, "columns=about,contact")
    assert "Ms Ding Yan" not in b"".join(signed_in(reader).get("/follow-ups/?export=csv")).decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kind=visit", {"visit"}),
        ("kind.not=visit", {"late", "done", "mine", "customer"}),
        ("owner=me", {"mine"}),
        ("overdue=yes", {"late"}),
        ("overdue=no", {"visit", "done", "mine", "customer"}),
        ("done=no", {"late", "visit"}),
        ("done=yes&owner=me", {"mine"}),
        ("next=yes", {"done"}),
        ("at=next_7_days", {"visit", "done", "mine", "customer"}),
        ("content.contains=MINE", {"mine"}),
        ("department.below={shijiazhuang}", {"late", "visit", "done", "mine", "customer"}),
        ("department.below={jinan}", set()),
        ("opportunity={opportunity}", {"late", "visit", "done", "mine"}),
        ("customer={customer}", {"customer"}),
        ("q=pump", {"customer"}),
        ("q=leak+mine", {"mine"}),
        ("q=nobody+wrote+this", set()),
        ("done=perhaps", {"late", "visit", "done", "mine", "customer"}),
    ],
)
def test_it_is_narrowed_by_what_one_asks_of_a_follow_up(rep, opportunity, query, found):
    gm = make.user(None, "gm")
    now = timezone.now()
    customer = make.customer(rep, name="Pump works")
    done = make.follow_up(opportunity, content="done")
    planned = make.follow_up(opportunity, content="visit", at=now + DAY)
    visit = FollowUp.kind.field.related_model.objects.get(key="visit")
    FollowUp.objects.filter(pk=planned.pk).update(kind=visit, planned_in=done)
    late = make.follow_up(opportunity, content="late", at=now + DAY)
    FollowUp.objects.filter(pk=late.pk).update(at=now - DAY)
    make.follow_up(opportunity, content="mine", by=gm)
    make.follow_up(customer, content="customer")
    keys = {"opportunity": opportunity.pk, "customer": customer.pk}
    keys |= {key: make.department(key).pk for key in ("shijiazhuang", "jinan")}
    query = query.format(**keys)

    assert set(contents(gm, query)) == found
    assert f"<b>{len(found)}</b> follow-up record" in listed(gm, query)
    conditions = Conditions.from_query(QueryDict(query), FollowUp, gm)
    if "q=" not in query:
        assert {one.content for one in FollowUp.objects.all() if conditions.holds(one)} == found


def test_what_is_planned_is_done_from_its_row_by_who_may_change_it(rep, opportunity):
    colleague, manager = make.user(None, "gm"), make.user(None, "opportunity_manager", at="head-office")
    planned = make.follow_up(opportunity, content="Ask about the budget.", at=timezone.now() + DAY)
    make.follow_up(opportunity, content="Called.")
    address = f"/follow-ups/{planned.pk}/done/"
    for reader, count in ((rep, 1), (manager, 1), (colleague, 0)):
        page = listed(reader)
        assert (page.count("/done/?list="), page.count(f'href="{address}?list=')) == (count, count)
    assert signed_in(colleague).get(address).status_code == 403

    client, back = signed_in(rep), "/follow-ups/?done=no"
    asked = f"{address}?{urlencode({'list': back})}"
    assert f'href="{escape(asked)}"' in client.get(back).content.decode()
    assert "Back to the list" in client.get(asked).content.decode()
    now = timezone.localtime().strftime("%Y-%m-%dT%H:%M")
    given = {"kind": planned.kind_id, "content": "Asked.", "at": now, "version": planned.version}
    assert client.post(asked, given).url == back
    planned.refresh_from_db()
    assert (planned.done_at is not None, planned.content) == (True, "Asked.")
    assert "/done/" not in listed(rep)


def test_a_list_elsewhere_is_not_led_to(rep, opportunity):
    planned = make.follow_up(opportunity, at=timezone.now() + DAY)
    page = signed_in(rep).get(f"/follow-ups/{planned.pk}/edit/?list=https://elsewhere.example/").content.decode()
    assert 'href="https://elsewhere' not in page
    assert f'href="{opportunity.get_absolute_url()}"' in page


def test_the_menu_of_a_row_has_what_may_be_done_about_a_follow_up(rep, opportunity):
    planned = make.follow_up(opportunity, at=timezone.now() + DAY)
    done = make.follow_up(opportunity)

    def offered(reader, follow_up):
        context = signed_in(reader).get(f"/follow-ups/{follow_up.pk}/menu/?list=/follow-ups/").context
        assert context["url"] == opportunity.get_absolute_url()
        return [(offer.label, offer.url) for offer in context["offers"]]

    def at(follow_up, *labels):
        words = {"Done": "done", "Modify": "edit", "Delete": "delete"}
        return [(one, f"/follow-ups/{follow_up.pk}/{words[one]}/?list=%2Ffollow-ups%2F") for one in labels]

    assert offered(rep, planned) == at(planned, "Done", "Modify", "Delete")
    assert offered(rep, done) == at(done, "Modify", "Delete")
    assert offered(make.user(None, "gm"), planned) == []
    assert signed_in(make.user(at="jinan")).get(f"/follow-ups/{planned.pk}/menu/").status_code == 404


def test_what_goes_out_is_what_it_lists(rep, opportunity):
    for number in range(3):
        make.follow_up(opportunity, content=f"Call {number}.")
    client = signed_in(rep)
    rows = b"".join(client.get("/follow-ups/?export=csv&q=call")).decode().splitlines()
    assert len(rows) == 4
    assert "Opportunity number" in rows[0]
    assert opportunity.number in rows[1]
    chosen = FollowUp.objects.last().pk
    rows = b"".join(client.get(f"/follow-ups/?export=csv&rows=selected&pk={chosen}")).decode().splitlines()
    assert len(rows) == 2


@pytest.mark.parametrize("role", ["rep", "gm", "opportunity_manager"])
def test_a_page_costs_the_same_for_one_row_and_for_thirty(rep, opportunity, role):
    reader = {"rep": rep}.get(role) or make.user(None, role, at="head-office" if role != "gm" else "shijiazhuang")
    client = signed_in(reader)
    make.follow_up(opportunity, contact=make.contact(opportunity.customer))
    client.get("/follow-ups/")

    def cost():
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/follow-ups/").status_code == 200
        return len(queries)

    one = cost()
    for number in range(29):
        make.follow_up(make.opportunity(rep, state="active") if number % 5 == 0 else opportunity)
    assert cost() == one <= 12


def test_home_and_the_list_of_opportunities_lead_to_it(rep, opportunity):
    for address in ("/", "/opportunities/"):
        assert 'href="/follow-ups/' in signed_in(rep).get(address).content.decode()
