"""One cell of a list, changed where it stands: by the verbs of the record's own form, and refused as they refuse."""

from datetime import date

import pytest

from customers.models import Contact, Customer
from notices.history import Event
from opportunities.models import Opportunity, Stage
from tests import factories as make
from tests.asserting import not_there, unchanged

pytestmark = pytest.mark.django_db

SCRIPT = {"HX-Request": "true"}


@pytest.fixture
def rep(client):
    person = make.user(name="Chen Yu", language="en", time_zone="UTC")
    client.force_login(person)
    return person


@pytest.fixture
def opportunity(rep):
    return make.opportunity(rep, name="Leak detection", state="active", amount=1000)


def cell(record, field):
    kind = {Opportunity: "opportunities", Customer: "customers", Contact: "contacts"}[type(record)]
    return f"/{kind}/{record.pk}/cell/{field}/"


def typed(record, **values):
    record.refresh_from_db()
    return {"version": record.version} | values


def test_a_cell_has_a_page_of_its_own_and_saved_leads_back_to_the_list_as_it_was(client, opportunity):
    page = client.get(cell(opportunity, "amount") + "?list=state%3Dopen%26sort%3D-amount").content.decode()
    assert "<h1" in page
    assert 'name="amount"' in page
    assert 'name="name"' not in page

    answer = client.post(cell(opportunity, "amount"), typed(opportunity, amount="45万", list="state=open&sort=-amount"))

    assert answer.status_code == 302
    assert answer.url == "/opportunities/?state=open&sort=-amount"
    opportunity.refresh_from_db()
    assert opportunity.amount == 450_000
    assert Event.objects.about(opportunity).first().kind == "changed"


def test_a_script_has_the_form_alone_and_then_the_row_as_it_is_now(client, opportunity):
    form = client.get(cell(opportunity, "expected_close_on"), headers=SCRIPT).content.decode()
    assert form.strip().startswith("<form")

    given = typed(opportunity, expected_close_on="2027-05-04", list="columns=name,expected_close_on,number")
    answer = client.post(cell(opportunity, "expected_close_on"), given, headers=SCRIPT)

    row = answer.content.decode()
    assert row.strip().startswith("<tr")
    assert "4 May 2027" in row
    assert opportunity.number in row
    opportunity.refresh_from_db()
    assert opportunity.expected_close_on == date(2027, 5, 4)


def test_a_stage_is_moved_to_and_the_probability_follows(client, opportunity):
    stage = Stage.objects.get(key="proposal")
    client.post(cell(opportunity, "stage"), typed(opportunity, stage=stage.pk))

    opportunity.refresh_from_db()
    assert (opportunity.stage, opportunity.probability) == (stage, stage.probability)
    assert Event.objects.about(opportunity).first().kind == "moved"


def test_of_a_draft_the_stage_is_changed(client, rep):
    draft, stage = make.opportunity(rep), Stage.objects.get(key="proposal")
    assert client.post(cell(draft, "stage"), typed(draft, stage=stage.pk)).status_code == 302
    draft.refresh_from_db()
    assert draft.stage == stage


def test_a_probability_that_is_emptied_follows_the_stage_again(client, opportunity):
    client.post(cell(opportunity, "probability"), typed(opportunity, probability="33 %"))
    opportunity.refresh_from_db()
    assert (opportunity.probability, opportunity.probability_typed) == (33, True)
    client.post(cell(opportunity, "probability"), typed(opportunity, probability=""))
    opportunity.refresh_from_db()
    assert (opportunity.probability, opportunity.probability_typed) == (opportunity.stage.probability, False)


@pytest.mark.parametrize("made", ["opportunity", "customer", "contact"])
def test_a_name_is_changed_where_it_stands_and_leads_to_its_record_still(client, rep, made):
    customer = make.customer(rep, name="Before")
    record = {
        "opportunity": lambda: make.opportunity(rep, name="Before", state="active"),
        "customer": lambda: customer,
        "contact": lambda: make.contact(customer, name="Before"),
    }[made]()
    with unchanged():
        assert 'aria-invalid="true"' in client.post(cell(record, "name"), typed(record, name=" ")).content.decode()
    row = client.post(cell(record, "name"), typed(record, name="Afterwards & on"), headers=SCRIPT).content.decode()
    record.refresh_from_db()
    assert record.name == "Afterwards & on"
    assert f'<a class="cut" href="{record.get_absolute_url()}">Afterwards &amp; on</a>' in row
    assert Event.objects.about(record).first().kind == "changed"


def test_a_name_that_is_being_approved_stays(client, rep):
    made = make.opportunity(rep, name="Before", state="signing")
    with unchanged():
        assert client.post(cell(made, "name"), typed(made, name="Afterwards")).status_code == 409


@pytest.mark.parametrize("field", ["level", "industry", "status", "phone", "website"])
def test_of_a_customer_and_of_a_contact_cells_are_changed_too(client, rep, field):
    customer = make.customer(rep, name="Qinghe Water Group")
    model = Customer._meta.get_field(field).related_model
    values = {"status": "trading", "phone": "+86 311 8790 2020", "website": "https://qinghe.example"}
    wanted = values.get(field) or model.objects.order_by("order").last()
    assert (
        client.post(cell(customer, field), typed(customer, **{field: getattr(wanted, "pk", wanted)})).status_code == 302
    )
    customer.refresh_from_db()
    assert getattr(customer, field) == wanted


def test_the_telephone_of_a_contact_asks_for_both_numbers(client, rep):
    contact = make.contact(make.customer(rep))
    form = client.get(cell(contact, "phone"), headers=SCRIPT).content.decode()
    assert 'name="mobile"' in form
    client.post(cell(contact, "phone"), typed(contact, mobile="138 0000 1234", phone=""))
    contact.refresh_from_db()
    assert (contact.mobile, contact.phone) == ("138 0000 1234", "")


# Refused


def test_what_cannot_be_stays_in_the_field_with_the_reason_beside_it(client, opportunity):
    with unchanged():
        answer = client.post(cell(opportunity, "amount"), typed(opportunity, amount="a lot"), headers=SCRIPT)
    form = answer.content.decode()
    assert 'value="a lot"' in form
    assert 'aria-invalid="true"' in form
    assert "<tr" not in form


def test_what_somebody_changed_meanwhile_comes_back_with_both(client, opportunity):
    given = typed(opportunity, amount="2000")
    opportunity.change(by=opportunity.owner, amount=1500)
    with unchanged():
        answer = client.post(cell(opportunity, "amount"), given, headers=SCRIPT)
    form = answer.content.decode()
    assert answer.status_code == 409
    assert 'value="2000"' in form
    assert "1,500" in form

    again = {"version": opportunity.version, "amount": "2000"}
    assert client.post(cell(opportunity, "amount"), again).status_code == 302
    opportunity.refresh_from_db()
    assert opportunity.amount == 2000


def test_what_is_being_approved_says_so_and_keeps_what_was_typed(client, opportunity):
    given = typed(opportunity, amount="2000")
    make.sign(opportunity, approver=make.approver(opportunity, "director"))

    with unchanged():
        opened = client.get(cell(opportunity, "amount"), headers=SCRIPT)
        sent = client.post(cell(opportunity, "amount"), given, headers=SCRIPT)
    assert (opened.status_code, sent.status_code) == (409, 409)
    for answer in (opened, sent):
        assert "being approved" in answer.content.decode()
    assert 'value="2000"' in sent.content.decode()
    assert client.get(cell(opportunity, "amount")).status_code == 409


def test_an_amount_that_is_the_sum_of_its_lines_is_changed_there(client, opportunity):
    opportunity.change_lines(by=opportunity.owner, lines=[make.line()], amount_from="lines")
    with unchanged():
        answer = client.get(cell(opportunity, "amount"), headers=SCRIPT)
    assert "sum of the lines" in answer.content.decode()


def test_a_closed_one_says_that_it_is(client, rep):
    signed = make.opportunity(rep, state="signed")
    with unchanged():
        assert client.get(cell(signed, "amount"), headers=SCRIPT).status_code == 409
        assert client.post(cell(signed, "amount"), typed(signed, amount="1"), headers=SCRIPT).status_code == 409


@pytest.mark.case(2, 3)
def test_strangers_find_no_cell_and_readers_may_not_change_it(client, opportunity):
    given = typed(opportunity, amount="2000")
    reader, stranger = make.user(), make.user(at="jinan")
    opportunity.share(by=opportunity.owner, people=[reader])
    for person, status in ((stranger, 404), (reader, 403)):
        client.force_login(person)
        with unchanged():
            assert client.get(cell(opportunity, "amount")).status_code == status
            assert client.post(cell(opportunity, "amount"), given, headers=SCRIPT).status_code == status
    client.force_login(stranger)
    assert not_there(client, cell(opportunity, "amount"))


@pytest.mark.parametrize("field", ["owner", "state", "customer", "name_key", "version", "description"])
def test_no_other_field_has_a_cell(client, opportunity, field):
    with unchanged():
        assert client.get(cell(opportunity, field)).status_code == 404
        assert client.post(cell(opportunity, field), typed(opportunity, **{field: "1"})).status_code == 404


def test_a_cell_changes_nothing_beside_its_field(client, opportunity):
    before = opportunity.name
    client.post(
        cell(opportunity, "amount"), typed(opportunity, amount="2000", name="Another", owner="1", state="signed")
    )
    opportunity.refresh_from_db()
    assert (opportunity.amount, opportunity.name, opportunity.state) == (2000, before, "active")


def test_a_customer_that_looks_like_another_is_told_of_before_it_is_saved(client, rep):
    make.customer(rep, name="Qinghe Water Group", phone="0311 8790 2020")
    other = make.customer(rep, name="Pump works")
    with unchanged():
        answer = client.post(cell(other, "phone"), typed(other, phone="0311 8790 2020"), headers=SCRIPT)
    form = answer.content.decode()
    assert "Qinghe Water Group" in form
    assert "Save anyway" in form


# In the list


def test_the_list_says_which_cells_may_be_changed_without_asking_for_each_row(
    client, rep, django_assert_max_num_queries
):
    own = make.opportunity(rep, state="active", name="Own")
    make.opportunity(rep, state="signed", name="Over")
    make.opportunity(rep, state="signing", name="Waits")
    page = client.get("/opportunities/").content.decode()
    assert 'data-edits="name stage amount expected_close_on"' in page
    rows = {name: row for row in page.split("<tr")[1:] for name in ("Own", "Over", "Waits") if f">{name}<" in row}
    assert "data-fixed" not in rows["Own"]
    assert "data-fixed" in rows["Over"]
    assert "data-fixed" in rows["Waits"]  # for somebody else's decision

    gm = make.user(None, "gm")
    client.force_login(gm)
    [row] = [row for row in client.get("/opportunities/").content.decode().split("<tr") if f">{own}<" in row]
    assert "data-fixed" in row
    client.force_login(make.user(None, "opportunity_manager", at="head-office"))
    [row] = [row for row in client.get("/opportunities/").content.decode().split("<tr") if f">{own}<" in row]
    assert "data-fixed" not in row


@pytest.mark.parametrize("version", [{}, {"version": ""}, {"version": "x"}])
def test_a_cell_that_does_not_say_what_was_seen_is_asked_about_once_more(client, opportunity, version):
    with unchanged():
        answer = client.post(cell(opportunity, "amount"), version | {"amount": "5"})
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "It is not known which version you saw." in page
    opportunity.refresh_from_db()
    assert f'name="version" value="{opportunity.version}"' in page
