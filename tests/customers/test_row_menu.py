"""The menu of a row: what its reader may do about a customer or a contact, without opening it."""

import pytest

from tests import factories as make
from tests.importing import signed_in

pytestmark = pytest.mark.django_db


def menu(reader, address, **headers):
    answer = signed_in(reader).get(f"{address}menu/", **headers)
    assert answer.status_code == 200
    return answer


def offered(reader, record):
    """This will list what the menu of a record's row says and where that leads."""
    context = menu(reader, record.get_absolute_url()).context
    assert context["url"] == record.get_absolute_url()
    return [(offer.label, offer.url) for offer in context["offers"]]


def test_the_menu_of_a_customer_is_what_its_page_offers():
    rep = make.user()
    customer = make.customer(rep)
    at = f"/customers/{customer.pk}"
    assert offered(rep, customer) == [
        ("Add Follow-up Record", f"{at}/follow-up/"),
        ("Add opportunity", f"/opportunities/new/?customer={customer.pk}"),
        ("Add contact", f"/contacts/new/?customer={customer.pk}"),
        ("Modify", f"{at}/edit/"),
        ("Transfer", f"{at}/transfer/"),
        ("Copy", f"{at}/copy/"),
        ("Delete", f"{at}/delete/"),
    ]


def test_who_may_not_change_a_customer_is_not_offered_to(client):
    customer = make.customer(make.user())
    director = make.user(None, "director")
    assert [label for label, _url in offered(director, customer)] == [
        "Add Follow-up Record", "Add opportunity", "Add contact", "Copy",
    ]  # fmt: skip
    client.force_login(director)
    for page in ("edit", "transfer", "delete"):
        assert client.get(f"/customers/{customer.pk}/{page}/").status_code == 403


def test_the_menu_of_a_contact_leads_to_what_is_done_about_that_person():
    rep = make.user()
    contact = make.contact(make.customer(rep))
    at, customer = f"/contacts/{contact.pk}", contact.customer_id
    assert offered(rep, contact) == [
        ("Add Follow-up Record", f"/customers/{customer}/follow-up/?contact={contact.pk}"),
        ("Add opportunity", f"/opportunities/new/?customer={customer}"),
        ("Modify", f"{at}/edit/"),
        ("Copy", f"{at}/copy/"),
        ("Delete", f"{at}/delete/"),
    ]


def test_a_stranger_finds_no_menu_and_a_name_card_has_none():
    rep, stranger = make.user(), make.user(at="jinan")
    customer = make.customer(rep)
    made = make.opportunity(rep, customer=customer)
    made.share(by=rep, people=[stranger])  # who has the name card now
    assert signed_in(stranger).get(f"/customers/{customer.pk}/menu/").status_code in (403, 404)
    assert signed_in(stranger).get(f"/contacts/{make.contact(customer).pk}/menu/").status_code == 404
    assert menu(rep, customer.get_absolute_url()).status_code == 200


def test_a_script_has_the_links_alone_and_without_one_it_is_a_page_that_leads_back():
    rep = make.user()
    customer = make.customer(rep, name="Kangning & Sons")
    part = menu(rep, customer.get_absolute_url(), HTTP_HX_REQUEST="true").content.decode()
    assert part.strip().startswith('<div class="panel">') and "<html" not in part
    assert f'href="/customers/{customer.pk}/delete/" data-ask>Delete' in part
    client = signed_in(rep)
    page = client.get(f"/customers/{customer.pk}/menu/?list=/customers/%3Fowner%3Dme").content.decode()
    assert "Kangning &amp; Sons" in page and 'href="/customers/?owner=me"' in page
    page = client.get(f"/customers/{customer.pk}/menu/?list=//elsewhere.example/").content.decode()
    assert 'href="//elsewhere' not in page and 'href="/customers/"' in page


@pytest.mark.parametrize("listing", ["customers", "contacts", "opportunities"])
def test_each_row_of_a_list_leads_to_its_menu(listing):
    rep = make.user()
    customer = make.customer(rep)
    record = {
        "customers": customer, "contacts": make.contact(customer), "opportunities": make.opportunity(rep),
    }[listing]  # fmt: skip
    page = signed_in(rep).get(f"/{listing}/").content.decode()
    assert f'href="/{listing}/{record.pk}/menu/" data-menu aria-label="Actions of this row"' in page


def test_the_menu_of_an_opportunity_says_what_is_locked_and_why():
    rep = make.user()
    made = make.opportunity(rep, state="signing")
    page = menu(rep, made.get_absolute_url())
    offers = {offer.label: offer for offer in page.context["offers"]}
    assert offers["Modify"].locked == "This is being approved, so it is locked until it is decided."
    assert (offers["Share"].locked, offers["Share"].url) == ("", f"/opportunities/{made.pk}/share/")
    assert list(offers) == ["Add Follow-up Record", "Modify", "Transfer", "Share", "Copy"]
