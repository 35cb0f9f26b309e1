"""The administrators' page of departments: the tree, added to, renamed, rearranged, retired."""

import pytest

from crm.models import Audit, Department, Level
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture(autouse=True)
def admin(client):
    person = make.user("admin", "administrator", at="head-office")
    client.force_login(person)
    return person


def sends(department, **changes):
    data = {"name_en": department.names["en"], "name_zh-hans": department.names.get("zh-hans", "")}
    data |= {"parent_id": department.parent_id or "", "parent": str(department.parent or "")}
    return data | {"level": department.level, "active": "on"} | changes


def test_the_tree_shows_how_many_work_where(client):
    make.user(at="shijiazhuang")
    make.user(at="shijiazhuang", is_active=False)
    rows = [(row["department"].key, row["depth"], row["department"].people) for row in
            client.get("/departments/").context["rows"]]  # fmt: skip
    assert rows == [("head-office", 0, 1), ("hebei", 1, 0), ("shijiazhuang", 2, 1)]


def test_one_is_added_below_another(client):
    hebei = make.department("hebei")
    data = {"name_en": "Handan", "name_zh-hans": "邯郸", "parent_id": hebei.pk, "level": Level.CITY, "active": "on"}
    for _twice in range(2):
        assert client.post("/departments/new/", data)["Location"] == "/departments/"

    made = Department.objects.get(key="handan")
    assert (made.names, made.parent, made.city) == ({"en": "Handan", "zh-hans": "邯郸"}, hebei, made)
    assert Department.objects.filter(key="handan-2").exists()
    noted = Audit.objects.filter(kind="department_changed").last()
    assert (noted.data["before"], noted.data["after"]["parent"]) == (None, "hebei")


def test_one_is_renamed_in_both_languages(client):
    hebei = make.department("hebei")
    client.post(f"/departments/{hebei.pk}/", sends(hebei, **{"name_en": "Hebei North", "name_zh-hans": "冀北"}))
    hebei.refresh_from_db()
    assert (hebei.key, hebei.names) == ("hebei", {"en": "Hebei North", "zh-hans": "冀北"})


def test_a_subtree_moves_with_its_records(client):
    opportunity, shandong = make.opportunity(), make.department("shandong")
    city = opportunity.department

    moved = sends(city, parent=str(shandong), parent_id=shandong.pk)
    with nothing_changed():  # it asks first
        page = client.post(f"/departments/{city.pk}/", moved).content.decode()
    assert "It moves with what is in it and below it: people 1, customers 1, contacts 0, opportunities 1." in page
    gansu = make.department("gansu", parent=make.department("head-office"), level=Level.PROVINCE)
    with nothing_changed():  # a yes to another place is none
        client.post(f"/departments/{city.pk}/", moved | {"sure": gansu.pk})
    answer = client.post(f"/departments/{city.pk}/", moved | {"sure": shandong.pk})
    assert answer.status_code == 302, answer.context["form"].errors

    opportunity.refresh_from_db()
    assert (opportunity.department, opportunity.province) == (city, shandong)
    noted = Audit.objects.get(kind="department_changed").data
    assert (noted["before"]["parent"], noted["after"]["parent"]) == ("hebei", "shandong")


def test_it_cannot_be_part_of_itself_nor_stand_where_its_level_does_not_fit(client):
    city = make.department("shijiazhuang")
    hebei = city.parent
    for changes, field in (
        ({"parent": str(city), "parent_id": city.pk, "level": Level.TEAM}, "parent"),
        ({"parent": str(hebei), "parent_id": hebei.pk}, "level"),
        ({"level": Level.CITY}, "level"),
        ({"parent": "", "parent_id": ""}, "parent"),
        ({"name_en": " "}, "name_en"),
        ({"level": "99"}, "level"),
    ):
        with nothing_changed():
            answer = client.post(f"/departments/{hebei.pk}/", sends(hebei, **changes))
        assert field in answer.context["form"].errors, changes


def test_one_is_retired_once_nobody_works_there_and_nothing_below_is_in_use(client):
    person = make.user(at="shijiazhuang")
    city, retired = person.department, {"active": ""}
    for one in (city, city.parent):
        with nothing_changed():
            answer = client.post(f"/departments/{one.pk}/", sends(one, **retired))
        assert list(answer.context["form"].errors) == ["active"]
    person.is_active = False
    person.save()

    for one in (city, city.parent):
        assert client.post(f"/departments/{one.pk}/", sends(one, **retired)).status_code == 302
    assert not Department.objects.filter(key__in=["shijiazhuang", "hebei"], active=True).exists()
