"""Something new from any page: the small forms, by their page and by the dialog."""

import json
from uuid import uuid4

import pytest

from customers.models import Contact, Customer
from opportunities.models import FollowUp, FollowUpKind, Opportunity, State
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]
DIALOG = {"Accept": "application/json"}


@pytest.fixture
def rep(client):
    person = make.user("rep", name="Chen Yu", language="en")
    client.force_login(person)
    return person


def told(answer):
    return json.loads(answer.content)


def test_every_page_offers_it_and_each_form_is_a_page(client, rep):
    page = client.get("/profile/").content.decode()
    for kind in ("opportunity", "customer", "contact", "follow-up"):
        assert f'href="/new/{kind}/" data-quick' in page
        assert client.get(f"/new/{kind}/").status_code == 200
    assert client.get("/new/nonsense/").status_code == 404


def test_it_begins_with_the_record_that_the_page_is_about(client, rep):
    customer = make.customer(rep)
    made = make.opportunity(rep, customer=customer)
    page = client.get(made.get_absolute_url()).content.decode()
    assert f'href="/new/follow-up/?opportunity={made.pk}"' in page
    page = client.get(customer.get_absolute_url()).content.decode()
    for kind in ("opportunity", "contact", "follow-up"):
        assert f'href="/new/{kind}/?customer={customer.pk}"' in page
    form = client.get(f"/new/contact/?customer={customer.pk}").content.decode()
    assert f'value="{customer.name}"' in form


def test_an_opportunity_is_a_draft_with_what_is_known(client, rep):
    customer = make.customer(rep)
    answer = client.post(
        "/new/opportunity/", {"name": "Fibre", "customer_id": customer.pk, "customer": customer.name, "amount": "45万"}
    )
    made = Opportunity.objects.get()
    assert answer.url == made.get_absolute_url()
    assert (made.name, made.customer, made.amount, made.owner, made.state) == (
        "Fibre", customer, 450_000, rep, State.DRAFT,
    )  # fmt: skip


def test_the_dialog_hears_what_was_made_and_where_it_is(client, rep):
    answer = told(client.post("/new/customer/", {"name": "Qinghe Water"}, headers=DIALOG))
    made = Customer.objects.get()
    assert answer["said"] == "“Qinghe Water” is saved."
    assert (answer["url"], answer["open"]) == (made.get_absolute_url(), "Open it")
    assert (answer["made"]["id"], answer["made"]["label"]) == (made.pk, "Qinghe Water")


def test_a_contact_and_a_follow_up_are_made(client, rep):
    customer = make.customer(rep)
    client.post("/new/contact/", {"customer_id": customer.pk, "name": "Ding Yan", "mobile": "139"}, headers=DIALOG)
    assert Contact.objects.get().customer == customer
    made = make.opportunity(rep, customer=customer)
    kind = FollowUpKind.objects.first()
    sent = {"kind": kind.pk, "content": "Called.", "at": "2026-01-02T10:00"}
    answer = told(client.post("/new/follow-up/", sent | {"opportunity_id": made.pk}, headers=DIALOG))
    assert answer["url"] == made.get_absolute_url()
    assert FollowUp.objects.get().opportunity == made
    client.post("/new/follow-up/", sent | {"customer_id": customer.pk}, headers=DIALOG)
    assert FollowUp.objects.filter(opportunity=None, customer=customer).count() == 1


@pytest.mark.parametrize(
    ("kind", "sent", "said"),
    [
        ("opportunity", {"name": "", "amount": "much"}, "Write a number"),
        ("customer", {"phone": "abc"}, "Fill this in."),
        ("contact", {"name": "Ding"}, "Fill this in."),
        ("follow-up", {"content": "Called."}, "Choose an opportunity, or a customer."),
    ],
)
def test_what_is_wrong_comes_back_with_all_that_was_typed(client, rep, kind, sent, said):
    FollowUpKind.objects.first()
    with nothing_changed():
        page = client.post(f"/new/{kind}/", sent, headers=DIALOG).content.decode()
    assert said in page
    for text in filter(None, sent.values()):
        assert text in page


def test_customers_alike_are_shown_first_and_sent_again_it_is_saved(client, rep):
    make.customer(rep, name="清河水务有限公司")
    with nothing_changed():
        page = client.post("/new/customer/", {"name": "清河水务"}, headers=DIALOG).content.decode()
    assert "清河水务有限公司" in page
    assert "Save anyway" in page
    despite = Customer.objects.get().pk
    client.post("/new/customer/", {"name": "清河水务", "despite": despite}, headers=DIALOG)
    assert Customer.objects.count() == 2


def test_sent_twice_it_is_made_once(client, rep):
    sent = {"name": "Qinghe Water", "once": str(uuid4())}
    first, second = (told(client.post("/new/customer/", sent, headers=DIALOG)) for _ in range(2))
    assert first["url"] == second["url"]
    assert Customer.objects.count() == 1


@pytest.mark.parametrize("headers", [{}, DIALOG])
def test_all_fields_leads_to_the_full_form_with_what_was_typed(client, rep, headers):
    customer = make.customer(rep, name="Qinghe")
    sent = {"name": "Fibre & more", "customer": "Qinghe", "customer_id": customer.pk, "amount": "45", "all": "1"}
    with nothing_changed():
        answer = client.post("/new/opportunity/", sent, headers=headers)
    address = told(answer)["go"] if headers else answer.url
    assert address.startswith("/opportunities/new/?")
    page = client.get(address).content.decode()
    for text in ('value="Fibre &amp; more"', 'value="Qinghe"', 'value="45"'):
        assert text in page


def test_all_fields_of_a_follow_up_is_the_form_of_what_it_is_about(client, rep):
    made = make.opportunity(rep)
    sent = {"opportunity_id": made.pk, "content": "Called them.", "all": "1"}
    page = client.get(client.post("/new/follow-up/", sent).url).content.decode()
    assert "Called them." in page


@pytest.mark.case(4)
def test_a_stranger_makes_nothing_and_learns_nothing(client, rep):
    other = make.customer(make.user(at="baoding"), name="Secret water")
    made = make.opportunity(make.user(at="baoding"), name="Secret case")
    with nothing_changed():
        for kind, sent in (
            ("contact", {"name": "Ding", "customer_id": other.pk}),
            ("opportunity", {"name": "Fibre", "customer_id": other.pk}),
            ("follow-up", {"content": "x", "opportunity_id": made.pk, "at": "2026-01-02T10:00"}),
        ):
            page = client.post(f"/new/{kind}/", sent, headers=DIALOG).content.decode()
            assert "Secret" not in page
    assert "Secret" not in client.get(f"/new/contact/?customer={other.pk}").content.decode()
    client.logout()
    with nothing_changed():
        assert client.post("/new/customer/", {"name": "x"}).status_code == 302


def test_who_belongs_to_no_department_makes_nothing(client):
    person = make.user("nobody")
    person.department = None
    person.save()
    client.force_login(person)
    with nothing_changed():
        assert client.post("/new/customer/", {"name": "x"}).status_code == 403


def test_pickers_find_by_pinyin_first_letters_and_phone_and_enter_a_new_one(client, rep):
    make.customer(rep, name="河北联通", phone="0311 8601 2210")
    make.user("zhang.wei", name="张伟", phone="13900009137")
    for text in ("hblt", "liantong", "2210"):
        [one] = told(client.get("/customers/pick/", {"q": text}))["options"]
        assert one["label"] == "河北联通"
    for text in ("zw", "zhangwei", "9137", "张"):
        [one] = told(client.get("/people/pick/", {"q": text}))["options"]
        assert one["label"] == "张伟"
    assert told(client.get("/customers/pick/", {"q": "Neu"}))["create"]["url"] == "/new/customer/?name=Neu"
