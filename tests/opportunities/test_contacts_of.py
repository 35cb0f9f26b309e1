"""The contacts of an opportunity: people of its customer, and what they matter for."""

import pytest

from notices.history import Event
from tests import factories as make
from tests.digest import nothing_changed
from tests.opportunities.acts import address, in_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def opportunity(client):
    made = in_state("active")
    client.force_login(made.owner)
    return made


def send(client, opportunity, **data):
    return client.post(address(opportunity, "contact"), data)


def test_a_person_of_the_customer_is_added_with_a_role(client, opportunity):
    contact = opportunity.customer.contacts.get()
    assert send(client, opportunity, contact=contact.name, role="decides").status_code == 302
    placement = opportunity.placements.get()
    assert (placement.contact, placement.role) == (contact, "decides")
    page = client.get(address(opportunity)).content.decode()
    assert contact.name in page and "decides" in page
    assert Event.objects.about(opportunity).first().kind == "contact_added"


def test_adding_again_with_another_role_changes_the_role(client, opportunity):
    contact = opportunity.customer.contacts.get()
    send(client, opportunity, contact_id=contact.pk, role="decides")
    send(client, opportunity, contact_id=contact.pk, role="pays")
    assert opportunity.placements.get().role == "pays"
    assert Event.objects.about(opportunity).first().kind == "contact_changed"


def test_people_of_other_customers_are_not_offered_and_not_taken(client, opportunity):
    own_other = make.contact(make.customer(opportunity.owner))
    hidden = make.contact(make.customer(make.user(at="jinan")), name="Canary Contact")
    for contact in (own_other.pk, hidden.pk, "", "x", "9223372036854775808"):
        with nothing_changed():
            answer = send(client, opportunity, contact_id=contact)
            assert list(answer.context["form"].errors) == ["contact"]
    with nothing_changed():
        assert list(send(client, opportunity, contact="Canary Contact").context["form"].errors) == ["contact"]
        good = {"contact_id": opportunity.customer.contacts.get().pk}
        for role in ("\0", "x" * 61):
            assert list(send(client, opportunity, role=role, **good).context["form"].errors) == ["role"]


def test_removing_leaves_the_person_at_the_customer(client, opportunity):
    contact = opportunity.customer.contacts.get()
    send(client, opportunity, contact_id=contact.pk)
    assert send(client, opportunity, contact_id=contact.pk, remove="1").status_code == 302
    assert not opportunity.placements.exists()
    assert opportunity.customer.contacts.get() == contact
    with nothing_changed():
        assert send(client, opportunity, contact_id=contact.pk, remove="1").status_code == 409


def test_a_reader_by_share_sees_the_contacts_on_it_and_no_others(client, opportunity):
    placed = opportunity.customer.contacts.get()
    other = make.contact(opportunity.customer, name="Canary Contact")
    opportunity.add_contact(by=opportunity.owner, contact=placed)
    guest = make.user(at="jinan")
    opportunity.share(by=opportunity.owner, people=[guest], may_edit=True)
    client.force_login(guest)
    assert placed.name in client.get(address(opportunity)).content.decode()
    for page in ("", "contact"):
        assert other.name not in client.get(address(opportunity, page)).content.decode()
    with nothing_changed():
        assert list(send(client, opportunity, contact_id=other.pk).context["form"].errors) == ["contact"]


def test_a_draft_without_a_customer_has_none(client, opportunity):
    draft = make.opportunity(opportunity.owner, customer=None)
    with nothing_changed():
        assert client.get(address(draft, "contact")).status_code == 409
        assert send(client, draft, contact_id="1").status_code == 409


# The primary one


def standing(opportunity):
    rows = opportunity.placements.select_related("contact").order_by("-primary", "pk")
    return [(placement.contact.name, placement.primary) for placement in rows]


@pytest.fixture
def three(opportunity):
    """This will name three people on the opportunity, Ann first."""
    opportunity.customer.contacts.all().delete()
    people = [make.contact(opportunity.customer, name=name) for name in ("Ann", "Ben", "Cai")]
    for person in people:
        opportunity.add_contact(by=opportunity.owner, contact=person)
    return people


def test_the_first_is_primary_until_another_is_made_so(client, opportunity, three):
    ben = three[1]
    assert standing(opportunity) == [("Ann", True), ("Ben", False), ("Cai", False)]
    answer = send(client, opportunity, contact_id=ben.pk, primary="1")
    assert answer.status_code == 302
    assert standing(opportunity) == [("Ben", True), ("Ann", False), ("Cai", False)]
    assert Event.objects.about(opportunity).first().kind == "contact_made_primary"
    with nothing_changed():
        send(client, opportunity, contact_id=ben.pk, primary="1")

    opportunity.add_contact(by=opportunity.owner, contact=ben, role="pays")
    assert standing(opportunity)[0] == ("Ben", True)
    page = client.get(address(opportunity)).content.decode()
    assert page.index(">Ben<") < page.index(">Ann<") and "Primary" in page


def test_after_the_primary_one_comes_whoever_was_named_the_longest_and_it_is_said(client, opportunity, three):
    ann, ben, cai = three
    answer = client.post(address(opportunity, "contact"), {"contact_id": ann.pk, "remove": "1"}, follow=True)
    assert "Ann was removed. Ben is the primary contact." in answer.content.decode()
    assert standing(opportunity) == [("Ben", True), ("Cai", False)]
    assert Event.objects.about(opportunity).first().data["primary"] == {"id": ben.pk, "label": "Ben"}

    send(client, opportunity, contact_id=cai.pk, remove="1")
    assert standing(opportunity) == [("Ben", True)]
    send(client, opportunity, contact_id=ben.pk, remove="1")
    assert standing(opportunity) == []


def test_only_whoever_is_named_here_becomes_primary(client, opportunity, three):
    other = make.contact(opportunity.customer)
    with nothing_changed():
        assert send(client, opportunity, contact_id=other.pk, primary="1").status_code == 409
    guest = make.user(at="jinan")
    opportunity.share(by=opportunity.owner, people=[guest])
    client.force_login(guest)
    with nothing_changed():
        assert send(client, opportunity, contact_id=three[1].pk, primary="1").status_code == 403


# Somebody new, in one go


def new_person(client, opportunity, **fields):
    form = client.get(address(opportunity, "contact")).context["quick"]
    once = form["once"].value() if form else ""
    data = {f"new-{name}": value for name, value in ({"name": "Ms Ding"} | fields).items()}
    return client.post(address(opportunity, "contact"), data | {"new-once": once, "new": "1"})


def test_somebody_new_is_entered_at_the_customer_and_named_here(client, opportunity):
    assert (
        new_person(client, opportunity, title="Head of IT", mobile="138 0311 2233", role="decides").status_code == 302
    )
    placement = opportunity.placements.get()
    assert (placement.contact.name, placement.contact.title, placement.role) == ("Ms Ding", "Head of IT", "decides")
    assert placement.contact.customer == opportunity.customer and placement.primary


def test_somebody_new_that_is_wrong_is_refused_where_it_was_typed(client, opportunity):
    with nothing_changed():
        answer = new_person(client, opportunity, name="", email="nobody", mobile="call me")
    assert {*answer.context["quick"].errors} == {"name", "email", "mobile"}
    assert answer.context["quick"]["mobile"].value() == "call me"


def test_whoever_may_not_add_to_the_customer_enters_nobody(client, opportunity):
    guest = make.user(at="jinan")
    opportunity.share(by=opportunity.owner, people=[guest], may_edit=True)
    client.force_login(guest)
    with nothing_changed():
        answer = new_person(client, opportunity)
    assert answer.context["quick"] is None


def test_a_person_is_taken_away_after_a_question_and_gets_another_role_from_the_page(client):
    opportunity = make.opportunity(state="active")
    ann = make.contact(opportunity.customer, name="Ann")
    opportunity.add_contact(contact=ann, role="uses it", by=opportunity.owner)
    client.force_login(opportunity.owner)
    page = client.get(opportunity.get_absolute_url()).content.decode()
    for question in (f"?contact={ann.pk}", f"?remove={ann.pk}"):
        assert f'href="{address(opportunity, "contact")}{question}"' in page
    form = client.get(address(opportunity, "contact") + f"?contact={ann.pk}").context["form"]
    assert (form["contact"].initial, form["role"].initial) == (ann.pk, "uses it")
    send(client, opportunity, contact_id=ann.pk, role="decides")
    assert opportunity.placements.get().role == "decides"
    assert "Remove Ann?" in client.get(address(opportunity, "contact") + f"?remove={ann.pk}").content.decode()
    assert opportunity.placements.exists()
    for nobody in ("0", "x", "9" * 5000):
        assert client.get(address(opportunity, "contact") + f"?remove={nobody}").context["named"] is None
