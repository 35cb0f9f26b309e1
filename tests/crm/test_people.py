"""The administrators' pages of people: invited, changed, deactivated; each change of rights is in the audit."""

import csv
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.hashers import make_password
from django.core import mail
from django.utils import timezone

from crm.models import Audit, Role, User
from notices import delivery
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    person = make.user("admin", "administrator", at="head-office", name="Wang Fang")
    client.force_login(person)
    return person


@pytest.fixture
def person():
    return make.user("chen.yu", name="Chen Yu")


def sends(person, **changes):
    roles = [role.pk for role in person.roles.all()]
    data = {
        "name": person.name,
        "title": "Account lead",
        "email": person.email,
        "phone": "",
        "department_id": person.department_id,
    }
    return data | {"department": str(person.department), "roles": roles} | changes


def rights(kind="rights_changed"):
    return [(row.data["before"], row.data["after"]) for row in Audit.objects.filter(kind=kind).order_by("pk")]


def test_the_list_shows_everybody_and_is_narrowed(client, admin, person):
    make.user("li.na", "gm", name="Li Na", at="jinan", is_active=False)

    def found(query=""):
        return [one.username for one in client.get(f"/people/{query}").context["page"]]

    assert found() == ["chen.yu", "li.na", "admin"]
    assert found("?q=CHEN") == ["chen.yu"]
    assert found("?role=gm") == found("?standing=closed") == ["li.na"]
    assert found(f"?department={make.department('hebei').pk}") == ["chen.yu"]
    assert found("?role=nothing&q=%00") == ["chen.yu", "li.na", "admin"]
    assert found("?q=nobody") == []


def test_the_list_costs_the_same_for_one_and_for_thirty(client, admin, django_assert_num_queries):
    with django_assert_num_queries(8):
        client.get("/people/")
    for _number in range(30):
        make.user()
    with django_assert_num_queries(8):
        client.get("/people/")


def test_somebody_invited_chooses_a_password_by_the_mail_and_signs_in(client, admin):
    data = {"name": "Sun Qi", "username": "sun.qi", "email": "sun@example.org", "phone": ""}
    data |= {"department_id": make.department("baoding").pk, "roles": [Role.objects.get(key="rep").pk]}

    answer = client.post("/people/new/", data)

    made = User.objects.get(username="sun.qi")
    assert answer["Location"] == f"/people/{made.pk}/"
    assert (made.department.key, made.role_keys, made.has_usable_password()) == ("baoding", {"rep"}, False)
    assert rights() == [(None, {"active": True, "department": "baoding", "roles": ["rep"]})]
    delivery.deliver()
    [letter] = mail.outbox
    assert letter.to == ["sun@example.org"]
    assert "Wang Fang invites you to Pursuit. Your user name is sun.qi." in letter.body
    link = next(line for line in letter.body.splitlines() if "/accounts/password/reset/key/" in line)
    client.logout()
    page = client.get("/" + link.split("/", 3)[3], follow=True)
    client.post(page.redirect_chain[-1][0], {"password1": "quiet-harbour-7", "password2": "quiet-harbour-7"})
    assert client.login(username="sun.qi", password="quiet-harbour-7")


@pytest.mark.case(52)
def test_an_invitation_is_good_for_seven_days_and_a_link_to_another_password_for_an_hour(client, admin, person):
    User.objects.filter(pk=person.pk).update(password=make_password(None))
    client.post(f"/people/{person.pk}/invite/")
    delivery.deliver()
    [letter] = mail.outbox
    assert letter.subject == "Your invitation to Pursuit"
    [invitation] = links(letter)
    client.logout()
    now = timezone.now()

    def works(link, later):
        with time_machine.travel(now + later, tick=False):
            return "Save the password" in client.get(link, follow=True).content.decode()

    assert works(invitation, timedelta(days=6, hours=23))
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert not works(invitation, timedelta())
    User.objects.filter(pk=person.pk).update(is_active=True)
    assert not works(invitation, timedelta(days=7, minutes=1))
    assert "Your user name is" in client.get(invitation, follow=True).content.decode()

    person.save()  # with the password that it had
    assert not works(invitation, timedelta())
    client.post("/accounts/password/reset/", {"email": person.email})
    delivery.deliver()
    [link] = links(mail.outbox[1])
    assert works(link, timedelta(minutes=59))
    assert not works(link, timedelta(minutes=61))


def links(letter):
    found = [line for line in letter.body.split() if "/accounts/password/reset/key/" in line]
    return ["/" + link.split("/", 3)[3] for link in found]


def test_an_invitation_is_sent_again_until_a_password_is_chosen(client, admin, person):
    User.objects.filter(pk=person.pk).update(password=make_password(None))
    address = f"/people/{person.pk}/"
    assert ">Send an invitation<" in client.get(address).content.decode()
    client.post(f"{address}invite/")
    assert ">Send the invitation again<" in client.get(address).content.decode()
    delivery.deliver()
    assert len(mail.outbox) == 1
    person.save()  # with the password that it had
    with nothing_changed():
        assert client.post(f"/people/{person.pk}/invite/").status_code == 409


def test_the_list_tells_who_can_sign_in_who_is_invited_and_whom_nobody_invited(client, admin, person):
    for name in ("invited", "imported"):
        make.user(name, name=name.capitalize())
    make.user("gone", name="Gone", is_active=False)
    User.objects.filter(username__in=["invited", "imported", "gone"]).update(password=make_password(None))
    client.post(f"/people/{User.objects.get(username='invited').pk}/invite/")

    standing = {one.username: one.standing for one in client.get("/people/").context["page"]}

    assert standing == {
        "admin": "Active",
        "chen.yu": "Active",
        "gone": "Deactivated",
        "imported": "No password yet",
        "invited": "Invited",
    }
    file = client.get("/people/?export=csv").getvalue().decode("utf-8-sig")
    assert {row["User name"]: row["Account"] for row in csv.DictReader(file.splitlines())} == standing


def test_an_invitation_with_faults_comes_back_filled_in(client, admin, person):
    data = {"name": "Sun Qi", "username": "chen.yu", "email": "CHEN.YU@example.org", "department": "nowhere"}
    with nothing_changed():
        answer = client.post("/people/new/", data)
    assert set(answer.context["form"].errors) == {"username", "email", "department", "roles"}
    assert 'value="Sun Qi"' in answer.content.decode()


def test_a_change_of_rights_is_in_the_audit_and_a_change_of_name_is_not(client, admin, person):
    client.post(f"/people/{person.pk}/", sends(person, name="Chen Yu (East)"))
    assert rights() == []
    client.post(f"/people/{person.pk}/", sends(person, roles=[Role.objects.get(key="administrator").pk]))

    person.refresh_from_db()
    assert (person.name, person.is_staff) == ("Chen Yu", True)
    before = {"active": True, "department": "shijiazhuang", "roles": ["rep"]}
    assert rights() == [(before, before | {"roles": ["administrator"]})]


def test_who_moves_takes_nothing_along_and_is_offered_a_handover(client, admin, person):
    opportunity = make.opportunity(person, state="active")
    baoding = make.department("baoding")

    changed = sends(person, department=str(baoding), department_id=baoding.pk)
    page = client.post(f"/people/{person.pk}/", changed, follow=True).content.decode()

    opportunity.refresh_from_db()
    person.refresh_from_db()
    assert (person.department, opportunity.department.key) == (baoding, "shijiazhuang")
    assert "Chen Yu moved and took nothing along." in page
    assert f'href="/people/{person.pk}/handover/"' in page


def test_deactivating_says_what_is_in_hand_and_offers_the_handover(client, admin, person):
    make.opportunity(person, state="active")
    page = client.get(f"/people/{person.pk}/deactivate/").content.decode()
    for said in ("1 open opportunity", "1 customer", "Hand over first", "Deactivate all the same"):
        assert said in page

    assert client.post(f"/people/{person.pk}/deactivate/")["Location"] == f"/people/{person.pk}/"
    person.refresh_from_db()
    assert not person.is_active
    assert rights()[0][1]["active"] is False


@pytest.mark.case(10)
def test_somebody_deactivated_is_signed_out_at_once(client, admin, person):
    other = type(client)()
    other.force_login(person)
    assert other.get("/").status_code == 200

    client.post(f"/people/{person.pk}/deactivate/")

    assert other.get("/")["Location"].startswith("/accounts/login/")


def test_who_is_reactivated_signs_in_and_gets_nothing_back(client, admin, person):
    opportunity, heir = make.opportunity(person, state="active"), make.user()
    opportunity.transfer(to=heir, by=admin)
    for _twice in range(2):
        client.post(f"/people/{person.pk}/deactivate/")
    client.post(f"/people/{person.pk}/reactivate/")

    person.refresh_from_db()
    opportunity.refresh_from_db()
    assert (person.is_active, opportunity.owner) == (True, heir)
    assert len(rights()) == 2  # twice deactivated is once


def test_administrators_do_not_lock_themselves_out(client, admin):
    with nothing_changed():
        assert client.post(f"/people/{admin.pk}/deactivate/").status_code == 409
        answer = client.post(f"/people/{admin.pk}/", sends(admin, roles=[Role.objects.get(key="gm").pk]))
    assert list(answer.context["form"].errors) == ["roles"]


def test_nobody_but_an_administrator_gets_anywhere(client, admin, person):
    addresses = ["/people/", "/people/new/", "/departments/", "/departments/new/"]
    addresses += [f"/people/{person.pk}/", f"/people/{person.pk}/deactivate/", f"/departments/{person.department_id}/"]
    posts = [f"/people/{person.pk}/reactivate/", f"/people/{person.pk}/invite/", *addresses[1:2], *addresses[3:]]
    assert {client.get(one).status_code for one in addresses} == {200}
    for role in ("rep", "gm", "opportunity_manager"):
        client.force_login(make.user(None, role))
        with nothing_changed():
            assert {client.get(one).status_code for one in addresses} == {403}
            assert {client.post(one).status_code for one in posts} == {403}
        assert 'href="/people/"' not in client.get("/").content.decode()
    client.force_login(admin)
    assert 'href="/people/"' in client.get("/").content.decode()
    assert client.get("/people/987654/").status_code == client.get("/departments/987654/").status_code == 404


def test_djangos_administration_does_not_deactivate_past_the_offer(client, admin, person):
    planned = make.follow_up(make.customer(person), at=timezone.now() + timedelta(days=1))
    form = {"username": "chen.yu", "name": "Chen Yu", "email": "", "phone": "", "department": person.department_id}
    form |= {"roles": [Role.objects.get(key="rep").pk], "language": "", "time_zone": "", "theme": "auto"}

    with nothing_changed():
        page = client.post(f"/admin/crm/user/{person.pk}/change/", form).content.decode()
    assert "1 customer, 1 planned follow-up" in page
    assert f'href="/people/{person.pk}/deactivate/"' in page

    planned.customer.transfer(to=make.user(), by=admin)
    assert client.post(f"/admin/crm/user/{person.pk}/change/", form).status_code == 302
    person.refresh_from_db()
    assert not person.is_active


def test_a_job_title_is_kept_and_tells_namesakes_apart_where_people_are_chosen(client, admin, person):
    client.post(f"/people/{person.pk}/", sends(person))
    make.user("chen.yu2", name="Chen Yu")

    assert User.objects.get(pk=person.pk).title == "Account lead"
    offered = client.get("/people/pick/?q=Chen").content.decode()
    assert offered.count("Account lead") == 1
