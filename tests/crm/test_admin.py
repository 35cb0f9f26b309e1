"""Administrators edit people, departments and picklists in Django's admin, and reach nothing else by it."""

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType

from crm.models import Audit, Department, Role, User
from opportunities.models import BusinessType, Pipeline
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator(client):
    person = make.user("root", "administrator", at="head-office")
    client.force_login(person)
    return person


def test_an_administrator_enters_and_nobody_else_does(client, administrator):
    assert client.get("/admin/").status_code == 200

    for role in ("rep", "gm", "opportunity_manager"):
        client.force_login(make.user(None, role))
        assert client.get("/admin/").status_code == 302


def test_a_mark_that_somebody_once_was_an_administrator_opens_nothing(client, administrator):
    """Not even whether there is a record of some key."""
    customer = make.customer()
    kind = ContentType.objects.get_for_model(customer).pk
    marked = make.user(is_staff=True)
    assert client.get(f"/admin/r/{kind}/{customer.pk}/").status_code == 302
    client.force_login(marked)
    for address in ("/admin/", "/admin/crm/", "/admin/jsi18n/", f"/admin/r/{kind}/{customer.pk}/"):
        assert client.get(address)["Location"].startswith("/admin/login/"), address
        assert client.get(address, follow=True).status_code == 403


def test_every_page_of_the_admin_opens(client, administrator):
    make.opportunity(state="signed")
    for model, page in admin.site._registry.items():
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        assert client.get(base).status_code == 200, base
        if page.has_add_permission(type("Request", (), {"user": administrator})):
            assert client.get(f"{base}add/").status_code == 200, base
        if row := model._default_manager.first():
            assert client.get(f"{base}{row.pk}/change/", follow=True).status_code == 200, base


def test_the_admin_bears_the_products_mark(client, administrator):
    mark = '<link rel="icon" type="image/svg+xml" href="/static/icons/pursuit.svg">'
    for page in ("/admin/", "/admin/crm/department/"):
        assert mark in client.get(page).content.decode()


@pytest.mark.case(29)
def test_signings_approvals_and_events_are_in_no_admin_page():
    """Customers, contacts and opportunities are there as files alone: see test_admin_files."""
    closed = {
        "signing",
        "movement",
        "approval",
        "task",
        "round",
        "event",
        "followup",
    }

    assert closed.isdisjoint(model._meta.model_name for model in admin.site._registry)
    assert closed <= {model._meta.model_name for model in apps.get_models()}


@pytest.mark.case(60)
def test_giving_somebody_a_role_is_in_the_audit_and_the_role_opens_what_it_opens(client, administrator):
    person = make.user("chen", "rep")
    form = {
        "username": "chen",
        "name": "Chen Yu",
        "email": "chen@example.org",
        "phone": "",
        "department": person.department_id,
        "roles": [Role.objects.get(key="gm").pk, Role.objects.get(key="administrator").pk],
        "is_active": "on",
        "language": "",
        "time_zone": "",
        "theme": "auto",
    }

    assert client.post(f"/admin/crm/user/{person.pk}/change/", form).status_code == 302

    person = User.objects.get(pk=person.pk)
    assert person.role_keys == {"gm", "administrator"}
    assert person.is_staff
    noted = Audit.objects.get(kind="rights_changed")
    assert noted.by == administrator
    assert noted.data["before"]["roles"] == ["rep"]
    assert noted.data["after"]["roles"] == ["administrator", "gm"]

    client.post(f"/admin/crm/user/{person.pk}/change/", form | {"roles": [Role.objects.get(key="gm").pk]})
    assert not User.objects.get(pk=person.pk).is_staff


def test_a_user_is_deactivated_and_never_deleted(client, administrator):
    person = make.user("chen", "rep")

    assert client.post(f"/admin/crm/user/{person.pk}/delete/", {"post": "yes"}).status_code == 403
    assert User.objects.filter(pk=person.pk).exists()


def test_a_value_in_use_cannot_be_deleted_and_one_that_nobody_holds_can(client, administrator):
    held, free = BusinessType.objects.get(key="cloud"), BusinessType.objects.get(key="5g")
    make.opportunity(business_type=held)

    refused = client.post(f"/admin/opportunities/businesstype/{held.pk}/delete/", {"post": "yes"})
    client.post(f"/admin/opportunities/businesstype/{free.pk}/delete/", {"post": "yes"})

    assert "Retire it instead" in refused.content.decode()
    assert set(BusinessType.objects.filter(key__in=["cloud", "5g"])) == {held}


def test_a_picklist_value_has_a_name_per_language(client, administrator):
    client.post(
        "/admin/opportunities/businesstype/add/",
        {
            "key": "satellite",
            "names_en": "Satellite",
            "names_zh_hans": "卫星",
            "order": "9",
            "colour": "",
            "active": "on",
        },
    )

    assert BusinessType.objects.get(key="satellite").names == {"en": "Satellite", "zh-hans": "卫星"}


def test_a_picklist_value_without_any_name_is_refused(client, administrator):
    response = client.post(
        "/admin/opportunities/businesstype/add/",
        {"key": "nameless", "names_en": "", "names_zh_hans": " ", "order": "9", "colour": "", "active": "on"},
    )

    assert response.status_code == 200
    assert not BusinessType.objects.filter(key="nameless").exists()


def test_a_department_is_added_below_another(client, administrator):
    hebei = make.department("hebei")

    client.post(
        "/admin/crm/department/add/",
        {
            "key": "handan",
            "names_en": "Handan",
            "names_zh_hans": "邯郸",
            "parent": hebei.pk,
            "level": "30",
            "active": "on",
        },
    )

    handan = Department.objects.get(key="handan")
    assert (handan.path, handan.province, handan.city) == (f"{hebei.path}{handan.pk}/", hebei, handan)


@pytest.mark.case(60)
def test_the_audit_can_be_read_and_not_touched(client, administrator):
    entry = Audit.note("sign_in_failed", name="x")

    assert client.get(f"/admin/crm/audit/{entry.pk}/change/").status_code == 200
    assert client.post(f"/admin/crm/audit/{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    with pytest.raises(TypeError):
        Audit.objects.filter(pk=entry.pk).delete()
    assert Audit.objects.filter(pk=entry.pk).exists()


def test_departments_and_roles_that_somebody_holds_are_not_deleted(client, administrator):
    team = make.department("team", parent=make.department("shijiazhuang"), level=40)
    held = Role.objects.create(key="own", names={"en": "Own"})
    free = Role.objects.create(key="free", names={"en": "Free"})
    make.user(None, "own")
    client.force_login(administrator)
    for model, one in (("department", team), ("role", held)):
        assert client.post(f"/admin/crm/{model}/{one.pk}/delete/", {"post": "yes"}).status_code == 403
        assert type(one).objects.filter(pk=one.pk).exists()
    assert client.post(f"/admin/crm/role/{free.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Role.objects.filter(pk=free.pk).exists()


def test_an_address_is_changed_on_the_page_of_the_person_alone(client, administrator):
    person = make.user("chen.yu", email="old@example.org")
    client.force_login(administrator)
    form = client.get(f"/admin/crm/user/{person.pk}/change/").context["adminform"].form
    assert "email" not in form.fields


@pytest.mark.parametrize("emptied", ["", "[]"])
def test_a_list_that_is_emptied_is_an_empty_list(client, administrator, emptied):
    pipeline = Pipeline.objects.get()
    pipeline.departments = ["hebei"]
    pipeline.save()
    sent = {"names_en": "Usual way", "order": "1", "active": "on", "departments": emptied}
    assert client.post(f"/admin/opportunities/pipeline/{pipeline.pk}/change/", sent).status_code == 302
    pipeline.refresh_from_db()
    assert (pipeline.name, pipeline.departments) == ("Usual way", [])
