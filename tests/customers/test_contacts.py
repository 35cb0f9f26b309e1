"""Contacts: the people at a customer are entered, shown, changed and deleted."""

from threading import Barrier, Thread

import pytest
from django.db import connection
from django.utils import timezone

from crm.verbs import Gone, NotAllowed, Refused, Stale
from customers.models import Contact, Customer
from notices.history import Event
from tests import factories as make
from tests.asserting import not_there, unchanged

pytestmark = pytest.mark.django_db

TYPED = {"name": "Ms Ding Yan", "title": "Procurement director", "mobile": "138 0311 2233", "email": "ding@example.org"}


@pytest.fixture
def customer():
    return make.customer(make.user(name="Chen Yu", language="en"), name="Qinghe Water Group")


@pytest.fixture
def contact(customer):
    return make.contact(customer, **TYPED)


def typed(contact, **changes):
    names = ["name", "title", "mobile", "phone", "email", "description", "version"]
    return {name: getattr(contact, name) for name in names} | changes


# Entered


def test_from_the_customer_the_customer_is_filled_in_and_one_comes_back_to_it(client, customer):
    client.force_login(customer.owner)
    address = f"/contacts/new/?customer={customer.pk}"
    assert 'value="Qinghe Water Group"' in client.get(address).content.decode()

    answer = client.post(address, TYPED | {"customer": "Qinghe Water Group", "customer_id": customer.pk})

    contact = Contact.objects.get()
    assert answer["Location"] == customer.get_absolute_url()
    assert (contact.customer, contact.owner, contact.department) == (customer, customer.owner, customer.department)
    assert [event.kind for event in Event.objects.about(contact)] == ["created"]
    assert Event.objects.about(customer).first().kind == "contact_added"


def test_from_the_menu_the_customer_is_chosen(client, customer):
    client.force_login(customer.owner)
    answer = client.post("/contacts/new/", TYPED | {"customer": "qinghe"})
    assert answer["Location"] == Contact.objects.get().get_absolute_url()


def test_the_same_form_sent_twice_enters_one(client, customer):
    client.force_login(customer.owner)
    key = client.get("/contacts/new/").context["form"]["once"].value()
    for _press in range(2):
        client.post("/contacts/new/", TYPED | {"customer_id": customer.pk, "once": key})
    assert Contact.objects.count() == 1


@pytest.mark.parametrize("reader", ["a stranger", "who sees the name card"])
@pytest.mark.case(4)
def test_a_customer_that_one_may_not_add_to_is_unknown(client, customer, reader):
    person = make.user(at="jinan", language="en")
    if reader == "who sees the name card":
        make.opportunity(customer.owner, customer=customer).share(by=customer.owner, people=[person], may_edit=True)
    client.force_login(person)
    assert "Qinghe" not in client.get(f"/contacts/new/?customer={customer.pk}").content.decode()
    with unchanged():
        by_name = client.post("/contacts/new/", TYPED | {"customer": "Qinghe Water Group"})
        by_key = client.post("/contacts/new/", TYPED | {"customer_id": customer.pk})
        never = client.post("/contacts/new/", TYPED | {"customer_id": 987654321})
        with pytest.raises(NotAllowed):
            Contact(customer=customer, name="Ms Ding Yan").create(by=person)
    assert "Nothing that you may choose matches" in by_name.content.decode()
    assert by_key.context["form"].errors == never.context["form"].errors


def test_support_that_has_the_customer_in_scope_may_add(client, customer):
    client.force_login(make.user(None, "support", at="hebei"))
    client.post("/contacts/new/", TYPED | {"customer_id": customer.pk})
    assert Contact.objects.get().owner == customer.owner


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "", "Fill this in."),
        ("email", "ding@", "valid email"),
        ("mobile", "call", "Write digits"),
        ("customer", "", "Fill this in."),
    ],
)
def test_what_is_wrong_stands_at_its_field(client, customer, field, value, said):
    client.force_login(customer.owner)
    with unchanged():
        answer = client.post("/contacts/new/", TYPED | {"customer": "Qinghe Water Group"} | {field: value})
    assert field in answer.context["form"].errors
    assert said in answer.content.decode()


def test_entered_while_the_customer_is_deleted_it_is_refused(customer):
    contact = Contact(customer=customer, name="Ms Ding Yan")
    Customer.objects.get().delete_(by=customer.owner)
    with unchanged(), pytest.raises(Gone):
        contact.create(by=customer.owner)


@pytest.mark.django_db(transaction=True)
def test_entered_while_the_customer_is_transferred_it_ends_up_with_the_new_owner():
    customer = make.customer()
    heir = make.user(at="jinan")
    manager = make.user(None, "opportunity_manager", at="head-office")
    together = Barrier(2, timeout=60)

    def enter():
        stale = Customer.objects.get(pk=customer.pk)
        together.wait()
        Contact(customer=stale, name="Ms Ding Yan").create(by=manager)
        connection.close()

    def transfer():
        stale = Customer.objects.get(pk=customer.pk)
        together.wait()
        stale.transfer(to=heir, by=manager)
        connection.close()

    threads = [Thread(target=enter), Thread(target=transfer)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    contact = Contact.objects.get()
    assert (contact.owner, contact.department) == (heir, heir.department)


# Shown


def test_the_page_shows_all_about_the_person(client, customer, contact):
    opportunity = make.opportunity(customer.owner, customer=customer, name="Leak detection")
    opportunity.add_contact(contact=contact, by=customer.owner)
    make.opportunity(customer.owner, customer=customer, name="Without her")
    make.follow_up(customer, contact=contact, content="She wants a pilot.")
    make.follow_up(customer, content="With nobody.")
    client.force_login(customer.owner)
    page = client.get(contact.get_absolute_url()).content.decode()
    for said in [
        "Ms Ding Yan", "Procurement director", 'href="tel:13803112233"', 'href="mailto:ding@example.org"',
        customer.get_absolute_url(), "Leak detection", "She wants a pilot.", "<b>You</b> created it.",
        f'href="/customers/{customer.pk}/follow-up/?contact={contact.pk}"', ">Modify<", ">Delete<",
    ]:  # fmt: skip
        assert said in page
    assert "Without her" not in page
    assert "With nobody." not in page


def test_through_an_opportunity_one_sees_the_person_and_only_what_else_one_sees(client, customer, contact):
    shared = make.opportunity(customer.owner, customer=customer, name="Shared one")
    hidden = make.opportunity(customer.owner, customer=customer, name="Hidden one")
    for opportunity in (shared, hidden):
        opportunity.add_contact(contact=contact, by=customer.owner)
        make.follow_up(opportunity, contact=contact, content=f"About the {opportunity}.")
    make.follow_up(customer, contact=contact, content="About the customer.")
    contact.change(by=customer.owner, mobile="139 1")
    reader = make.user(at="jinan", language="en")
    shared.share(by=customer.owner, people=[reader])
    client.force_login(reader)
    page = client.get(contact.get_absolute_url()).content.decode().partition("<main")[2].partition("</main>")[0]
    for said in ["Ms Ding Yan", 'href="tel:1391"', "Shared one", "About the Shared one."]:
        assert said in page
    for hidden_text in [
        "Hidden one",
        "About the customer.",
        ">History<",
        "138 0311",
        ">Modify<",
        ">Delete<",
        "/follow-up/",
    ]:
        assert hidden_text not in page
    with unchanged():
        for act in ["edit", "delete", "history"]:
            assert client.get(f"/contacts/{contact.pk}/{act}/").status_code == 403
        for act in ["edit", "delete"]:
            assert client.post(f"/contacts/{contact.pk}/{act}/").status_code == 403


def test_a_person_named_on_nothing_that_one_sees_is_nobody(client, customer, contact):
    shared = make.opportunity(customer.owner, customer=customer)
    reader = make.user(at="jinan")
    shared.share(by=customer.owner, people=[reader])
    client.force_login(reader)
    assert not_there(client, contact.get_absolute_url())
    shared.add_contact(contact=contact, by=customer.owner)
    assert client.get(contact.get_absolute_url()).status_code == 200


# Changed


def test_a_change_is_kept_with_old_and_new(client, contact):
    client.force_login(contact.owner)
    answer = client.post(f"/contacts/{contact.pk}/edit/", typed(contact, mobile="139 0000", customer=1, customer_id=1))
    assert answer["Location"] == contact.get_absolute_url()
    contact.refresh_from_db()
    assert (contact.mobile, contact.version) == ("139 0000", 2)
    assert Event.objects.about(contact).first().changes == {"mobile": ["138 0311 2233", "139 0000"]}


def test_support_may_change_it_and_a_rep_who_only_sees_it_may_not(client, customer, contact):
    opportunity = make.opportunity(customer.owner, customer=customer)
    opportunity.add_contact(contact=contact, by=customer.owner)
    reader = make.user(at="jinan")
    opportunity.share(by=customer.owner, people=[reader], may_edit=True)
    with unchanged(), pytest.raises(NotAllowed):
        contact.change(by=reader, mobile="1")
    contact.change(by=make.user(None, "support", at="hebei"), mobile="1")
    assert contact.mobile == "1"


def test_a_second_tab_gets_its_text_back(client, contact):
    client.force_login(contact.owner)
    contact.change(by=contact.owner, mobile="139 1")
    with unchanged():
        answer = client.post(f"/contacts/{contact.pk}/edit/", typed(contact, mobile="139 2", version=1))
    assert answer.status_code == 409
    assert "Now it says “139 1”." in answer.content.decode()
    with unchanged(), pytest.raises(Stale):
        contact.change(by=contact.owner, seen=1, mobile="139 2")


def test_named_by_opportunities_it_does_not_move_to_another_customer(customer, contact):
    other, strange = make.customer(customer.owner), make.customer()
    opportunity = make.opportunity(customer.owner, customer=customer)
    opportunity.add_contact(contact=contact, by=customer.owner)
    with unchanged(), pytest.raises(Refused):
        contact.change(by=customer.owner, customer=other)
    opportunity.remove_contact(contact=contact, by=customer.owner)
    contact.change(by=customer.owner, customer=other)
    assert contact.customer == other
    with unchanged(), pytest.raises(NotAllowed):
        contact.change(by=customer.owner, customer=strange)


# Deleted


def test_after_a_question_it_is_deleted_and_what_was_done_with_it_stays(client, customer, contact):
    follow_up = make.follow_up(customer, contact=contact)
    client.force_login(customer.owner)
    assert "Delete Ms Ding Yan?" in client.get(f"/contacts/{contact.pk}/delete/").content.decode()
    answer = client.post(f"/contacts/{contact.pk}/delete/")
    assert answer["Location"] == customer.get_absolute_url()
    assert not Contact.objects.exists()
    follow_up.refresh_from_db()
    assert follow_up.contact is None
    event = Event.objects.about(customer).first()
    assert (event.kind, event.data) == ("contact_deleted", {"contact": "Ms Ding Yan"})
    assert client.post(f"/contacts/{contact.pk}/delete/").status_code == 404


def test_it_is_kept_with_the_reason_while_opportunities_name_it(client, customer, contact):
    opportunity = make.opportunity(customer.owner, customer=customer)
    opportunity.add_contact(contact=contact, by=customer.owner)
    client.force_login(customer.owner)
    with unchanged():
        answer = client.post(f"/contacts/{contact.pk}/delete/")
    assert answer.status_code == 409
    assert "One opportunity names this contact, so it cannot be deleted." in answer.content.decode()


def test_the_reason_tells_nothing_of_opportunities_that_one_may_not_see(customer, contact):
    opportunity = make.opportunity(make.user(), customer=customer)
    manager = make.user(None, "opportunity_manager", at="head-office")
    opportunity.add_contact(contact=contact, by=manager)
    assert contact.why_kept(customer.owner) == (
        "Opportunities that you may not see name this contact, so it cannot be deleted."
    )
    with unchanged(), pytest.raises(Refused):
        contact.delete_(by=customer.owner)


@pytest.mark.parametrize("roles", [["support"], ["gm"]])
def test_superiors_may_not_delete_it(client, contact, roles):
    client.force_login(make.user(None, *roles, at="hebei"))
    with unchanged():
        assert client.post(f"/contacts/{contact.pk}/delete/").status_code == 403


def test_thirty_of_everything_cost_no_more_queries_than_one(client, customer, django_assert_max_num_queries):
    def with_children(count):
        contact = make.contact(customer)
        for _number in range(count):
            make.opportunity(customer.owner, customer=customer).add_contact(contact=contact, by=customer.owner)
            make.follow_up(customer, contact=contact, at=timezone.now() + timezone.timedelta(days=1))
        return contact

    client.force_login(customer.owner)
    few, many = with_children(1), with_children(30)
    client.get(few.get_absolute_url())
    with django_assert_max_num_queries(12) as first:
        client.get(few.get_absolute_url())
    with django_assert_max_num_queries(12) as second:
        client.get(many.get_absolute_url())
    assert len(first) == len(second)
