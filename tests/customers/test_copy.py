"""A customer or a contact begun as a copy: a form that is filled in, and nothing until it is saved."""

import pytest

from customers.models import Contact, Customer
from tests import factories as make
from tests.asserting import not_there, unchanged

pytestmark = pytest.mark.django_db


@pytest.fixture
def rep(client):
    person = make.user(name="Chen Yu", language="en")
    client.force_login(person)
    return person


@pytest.fixture
def customer(rep):
    return make.customer(rep, name="Qinghe Water Group", phone="0311 8790 2020", address="1 River Road", tax_id="91130")


def sent(page):
    """This will give what the form on the page would send as it stands."""
    form = page.context["form"]
    return {field.html_name: field.value() or "" for field in form}


def test_a_customer_is_offered_with_all_that_is_known_and_warns_of_the_one_it_is_like(client, rep, customer):
    with unchanged():
        page = client.get(f"/customers/{customer.pk}/copy/")
        assert b"Begun as a copy of Qinghe Water Group." in page.content
        given = sent(page)
        assert (given["phone"], given["address"]) == ("0311 8790 2020", "1 River Road")
        warned = client.post(f"/customers/{customer.pk}/copy/", given)
        assert b"Save anyway" in warned.content

    answer = client.post(f"/customers/{customer.pk}/copy/", sent(warned))

    made = Customer.objects.latest("id")
    assert answer.url == f"/customers/{made.pk}/"
    assert (made.name, made.address, made.owner) == (customer.name, customer.address, rep)
    assert made.pk != customer.pk


def test_sent_twice_it_is_one_copy(client, customer):
    given = sent(client.get(f"/customers/{customer.pk}/copy/")) | {"name": "Another", "phone": "", "tax_id": ""}
    for _twice in range(2):
        assert client.post(f"/customers/{customer.pk}/copy/", given).status_code == 302
    assert Customer.objects.filter(name="Another").count() == 1


def test_a_contact_is_offered_at_the_same_customer(client, rep, customer):
    contact = make.contact(customer, name="Ding Yan", title="Director")
    with unchanged():
        given = sent(client.get(f"/contacts/{contact.pk}/copy/"))
    assert given["customer"].text == customer.name
    given = given | {"customer": customer.name, "customer_id": customer.pk, "name": "Feng Kai"}
    client.post(f"/contacts/{contact.pk}/copy/", given)
    made = Contact.objects.get(name="Feng Kai")
    assert (made.customer, made.title, made.owner) == (customer, "Director", rep)


def test_what_is_wrong_stands_at_its_field_and_nothing_is_made(client, customer):
    with unchanged():
        answer = client.post(f"/customers/{customer.pk}/copy/", {"name": "", "address": "2 River Road"})
    assert b"2 River Road" in answer.content
    assert b'aria-invalid="true"' in answer.content


def test_whoever_sees_it_whole_may_copy_it_and_nobody_else(client, rep, customer):
    contact = make.contact(customer)
    through, stranger, gm = make.user(at="baoding"), make.user(at="jinan"), make.user(None, "gm")
    opportunity = make.opportunity(rep, customer=customer, state="active")
    opportunity.add_contact(contact=contact, by=rep)
    opportunity.share(by=rep, people=[through])
    addresses = [f"/customers/{customer.pk}/copy/", f"/contacts/{contact.pk}/copy/"]
    for address in addresses:
        client.force_login(gm)
        assert client.get(address).status_code == 200
        client.force_login(through)
        with unchanged():
            assert client.get(address).status_code == 403
            assert client.post(address, {"name": "Mine"}).status_code == 403
        client.force_login(stranger)
        assert not_there(client, address)
    client.force_login(rep)
    for kind, record in (("customers", customer), ("contacts", contact)):
        assert f'href="/{kind}/{record.pk}/copy/"' in client.get(f"/{kind}/{record.pk}/").content.decode()
