"""A customer is changed: by whom, to what, and not over what somebody else wrote meanwhile."""

import pytest

from customers.models import Industry
from notices.history import Event
from tests import factories as make
from tests.asserting import unchanged

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer():
    return make.customer(make.user(name="Chen Yu", language="en"), name="Qinghe Water Group", phone="0311 1")


def typed(customer, **changes):
    names = ["name", "kind", "status", "tax_id", "website", "phone", "address", "description", "version"]
    return {name: getattr(customer, name) for name in names} | changes


def test_the_owner_changes_it_and_the_history_keeps_old_and_new(client, customer):
    client.force_login(customer.owner)
    industry = Industry.objects.get(key="energy")
    answer = client.post(
        f"/customers/{customer.pk}/edit/", typed(customer, name="Qinghe Water", status="trading", industry=industry.pk)
    )

    assert answer["Location"] == customer.get_absolute_url()
    customer.refresh_from_db()
    assert (customer.name, customer.status, customer.industry, customer.version) == (
        "Qinghe Water",
        "trading",
        industry,
        2,
    )
    changes = Event.objects.about(customer).first().changes
    assert changes["name"] == ["Qinghe Water Group", "Qinghe Water"]
    assert changes["industry"] == [None, {"id": industry.pk, "label": industry.names}]


def test_saving_what_is_there_already_writes_nothing(client, customer):
    client.force_login(customer.owner)
    with unchanged():
        assert client.post(f"/customers/{customer.pk}/edit/", typed(customer)).status_code == 302


@pytest.mark.parametrize("roles", [["gm"], ["deputy_gm"], ["opportunity_manager"], ["administrator"]])
def test_superiors_and_managers_may(client, customer, roles):
    client.force_login(make.user(None, *roles, at="hebei"))
    client.post(f"/customers/{customer.pk}/edit/", typed(customer, phone="0311 2"))
    customer.refresh_from_db()
    assert customer.phone == "0311 2"


@pytest.mark.parametrize("roles", [["support"], ["director"]])
def test_others_who_see_it_may_not(client, customer, roles):
    client.force_login(make.user(None, *roles, at="hebei"))
    with unchanged():
        assert client.get(customer.get_absolute_url()).status_code == 200
        assert client.get(f"/customers/{customer.pk}/edit/").status_code == 403
        assert client.post(f"/customers/{customer.pk}/edit/", typed(customer, phone="0311 2")).status_code == 403


@pytest.mark.case(30)
def test_a_second_tab_gets_its_text_back_with_what_is_there_now(client, customer):
    client.force_login(customer.owner)
    second_tab = typed(customer, phone="0311 22", address="88 Yuhua Road")
    customer.change(by=customer.owner, phone="0311 11", tax_id="9113")
    customer.change(by=customer.owner, tax_id="")

    with unchanged():
        answer = client.post(f"/customers/{customer.pk}/edit/", second_tab)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "Somebody changed this record after you opened it." in page
    assert 'value="0311 22"' in page
    assert "Now it says “0311 11”." in page
    assert 'value="88 Yuhua Road"' in page

    # What is sent from that page is sent with open eyes.
    again = second_tab | {"version": answer.context["form"]["version"].value()}
    assert client.post(f"/customers/{customer.pk}/edit/", again).status_code == 302
    customer.refresh_from_db()
    assert (customer.phone, customer.address, customer.version) == ("0311 22", "88 Yuhua Road", 4)


@pytest.mark.case(30)
def test_what_one_did_not_touch_is_left_as_the_other_wrote_it(client, customer):
    client.force_login(customer.owner)
    customer.change(by=customer.owner, description="First.", industry=Industry.objects.get(key="health"))
    form = client.get(f"/customers/{customer.pk}/edit/").content.decode()
    assert 'name="initial-phone" value="0311 1"' in form
    shown = {f"initial-{name}": value for name, value in typed(customer).items() if name != "version"}
    shown["initial-industry"] = customer.industry_id
    second_tab = typed(customer, phone="0311 22", industry=customer.industry_id) | shown
    energy = Industry.objects.get(key="energy")
    customer.change(by=customer.owner, phone="0311 11", address="1 New Road", industry=energy, description="")

    with unchanged():
        answer = client.post(f"/customers/{customer.pk}/edit/", second_tab)
    page = answer.content.decode()
    assert "Now it says “0311 11”." in page
    assert 'value="1 New Road"' in page
    assert f'<option value="{energy.pk}" selected>' in page
    assert page.count("You had not, so theirs stands here.") == 3

    form = answer.context["form"]
    client.post(
        f"/customers/{customer.pk}/edit/",
        {name: form[name].value() or "" for name in form.fields} | {"phone": "0311 22"},
    )
    customer.refresh_from_db()
    assert (customer.phone, customer.address, customer.industry) == ("0311 22", "1 New Road", energy)
    assert customer.description == ""


@pytest.mark.case(32)
def test_saving_and_saving_again_needs_no_fresh_page_in_between(client, customer):
    client.force_login(customer.owner)
    client.post(f"/customers/{customer.pk}/edit/", typed(customer, phone="0311 2"))
    customer.refresh_from_db()
    client.post(f"/customers/{customer.pk}/edit/", typed(customer, phone="0311 3"))
    customer.refresh_from_db()
    assert customer.phone == "0311 3"


def test_on_the_page_of_a_refused_change_the_record_bears_its_own_name(client, customer):
    client.force_login(customer.owner)
    page = client.post(
        f"/customers/{customer.pk}/edit/", typed(customer, name="Other name", phone="call me")
    ).content.decode()
    assert 'value="Other name"' in page
    assert "<title>Qinghe Water Group · Pursuit</title>" in page


@pytest.mark.parametrize("version", ["abc", "-1", "9" * 30])
def test_a_version_that_is_none_changes_nothing(client, customer, version):
    client.force_login(customer.owner)
    with unchanged():
        answer = client.post(f"/customers/{customer.pk}/edit/", typed(customer, phone="0311 2", version=version))
    assert answer.status_code in (200, 409)


def test_an_industry_retired_meanwhile_may_be_kept(client, customer):
    industry = Industry.objects.get(key="energy")
    customer.change(by=customer.owner, industry=industry)
    industry.active = False
    industry.save()
    client.force_login(customer.owner)
    client.post(f"/customers/{customer.pk}/edit/", typed(customer, industry=industry.pk, phone="0311 2"))
    customer.refresh_from_db()
    assert (customer.industry, customer.phone) == (industry, "0311 2")


def test_a_signature_makes_a_potential_customer_a_trading_one(customer):
    assert customer.status == "potential"
    make.opportunity(customer.owner, customer=customer, state="signed")
    customer.refresh_from_db()
    assert customer.status == "trading"


def test_what_nobody_else_touched_is_no_clash(client, customer):
    client.force_login(customer.owner)
    shown = {f"initial-{name}": value for name, value in typed(customer).items() if name != "version"}
    customer.change(by=customer.owner, address="1 Park Road")
    sent = typed(customer, description="Pays late.", address="2 Park Road", version=1)
    form = client.post(f"/customers/{customer.pk}/edit/", shown | sent).context["form"]
    assert form.errors.keys() == {"__all__", "address"}
    assert "Now it says “1 Park Road”." in str(form.errors["address"])
