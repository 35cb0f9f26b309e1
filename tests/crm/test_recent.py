"""Recently opened: noted when a page of a record is shown, shown to nobody who may not see it any more."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from crm.recent import KEPT, Opened
from crm.work import tidy
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def rep(client):
    person = make.user("rep", language="en")
    client.force_login(person)
    return person


def shown(client):
    groups = json.loads(client.get("/search/suggest/").content)["groups"]
    return [one["label"] for group in groups for one in group["options"]]


def test_what_was_opened_last_comes_first_and_once(client, rep):
    customer = make.customer(rep, name="Alpha")
    contact = make.contact(customer, name="Ding Yan")
    made = make.opportunity(rep, customer=customer, name="Beta")
    assert shown(client) == []
    for record in (customer, contact, made, customer):
        assert client.get(record.get_absolute_url()).status_code == 200
    assert shown(client) == ["Alpha", "Beta", "Ding Yan"]
    assert "Recently opened" in client.get("/search/").content.decode()
    assert Opened.objects.count() == 3


def test_fragments_and_heads_are_no_opening(client, rep):
    customer = make.customer(rep)
    client.get(customer.get_absolute_url(), headers={"HX-Request": "true"})
    client.head(customer.get_absolute_url())
    assert not Opened.objects.exists()


def test_nothing_is_noted_of_what_one_may_not_see(client, rep):
    other = make.customer(make.user(at="baoding"))
    assert client.get(other.get_absolute_url()).status_code == 404
    assert not Opened.objects.exists()


def test_what_went_out_of_sight_or_is_gone_is_shown_no_more(client, rep):
    customer, going = make.customer(rep, name="Alpha"), make.customer(rep, name="Beta")
    for record in (customer, going):
        client.get(record.get_absolute_url())
    going.delete_(by=rep)
    assert shown(client) == ["Alpha"]
    customer.transfer(to=make.user(at="baoding"), by=rep)
    assert shown(client) == []


def test_each_person_has_their_own_and_it_goes_with_them(client, rep):
    customer = make.customer(rep, name="Alpha")
    client.get(customer.get_absolute_url())
    client.force_login(make.user("gm", "gm"))
    assert shown(client) == []
    assert Opened._meta.get_field("by").remote_field.on_delete.__name__ == "CASCADE"


def test_only_the_last_are_kept(rep):
    for number in range(KEPT + 5):
        Opened.objects.create(by=rep, kind="customers.customer", of=number, at=timezone.now() + timedelta(number))
    tidy()
    assert Opened.objects.count() == KEPT
    assert ("customers.customer", 4) not in Opened.latest(rep)


def test_the_pickers_offer_it_first(client, rep):
    make.customer(rep, name="Alpha")
    omega = make.customer(rep, name="Omega")
    client.get(omega.get_absolute_url())
    offered = json.loads(client.get("/customers/pick/").content)["options"]
    assert [one["label"] for one in offered] == ["Omega", "Alpha"]


def test_to_come_back_to_a_record_costs_a_look_and_nothing_is_written(client, rep, django_assert_num_queries):
    made = make.opportunity(rep)
    client.get(made.get_absolute_url())
    with django_assert_num_queries(1):
        Opened.note(made, by=rep)
    assert Opened.objects.count() == 1
