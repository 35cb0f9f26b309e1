"""The organisation is a tree; what a scope asks for is stored, and follows when the tree changes."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from approvals.models import Approval
from crm.models import Department, Level
from opportunities.models import Opportunity, Signing
from tests import factories as make

pytestmark = pytest.mark.django_db


def columns(record):
    return (record.department.key, record.province.key, record.city.key)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("head-office", ("head-office", "head-office", "head-office")),
        ("hebei", ("hebei", "hebei", "hebei")),
        ("shijiazhuang", ("shijiazhuang", "hebei", "shijiazhuang")),
    ],
)
def test_a_record_carries_its_department_and_the_ancestors_that_scopes_ask_for(key, expected):
    owner = make.user(at=key)

    assert columns(make.opportunity(owner)) == expected


def test_a_team_stands_below_its_city():
    team = make.department("team-east", parent=make.department("shijiazhuang"), level=Level.TEAM)

    assert columns(make.opportunity(make.user(at=team))) == ("team-east", "hebei", "shijiazhuang")


def test_a_city_straight_below_the_head_office_has_no_province_between():
    make.department("head-office")
    city = make.department("tianjin", parent=make.department("head-office"), level=Level.CITY)

    assert columns(make.opportunity(make.user(at=city))) == ("tianjin", "head-office", "tianjin")


def test_moving_a_city_takes_its_records_to_the_other_province_and_changes_who_sees_them():
    opportunity = make.opportunity(state="active")
    hebei, shandong = make.user(None, "gm", at="hebei"), make.user(None, "gm", at="shandong")
    assert list(Opportunity.objects.visible_to(hebei)) == [opportunity]
    assert list(Opportunity.objects.visible_to(shandong)) == []

    city = make.department("shijiazhuang")
    city.parent = make.department("shandong")
    city.save()

    opportunity.refresh_from_db()
    assert columns(opportunity) == ("shijiazhuang", "shandong", "shijiazhuang")
    assert list(Opportunity.objects.visible_to(hebei)) == []
    assert list(Opportunity.objects.visible_to(shandong)) == [opportunity]


def test_moving_a_city_changes_no_past_signing():
    signing = Signing.objects.get(opportunity=make.opportunity(state="signed"))
    approval = Approval.objects.granted("report").get()

    city = make.department("shijiazhuang")
    city.parent = make.department("shandong")
    city.save()

    signing.refresh_from_db()
    approval.refresh_from_db()
    assert signing.province.key == approval.province.key == "hebei"


def test_moving_a_province_takes_everything_below_along():
    team = make.department("team-east", parent=make.department("shijiazhuang"), level=Level.TEAM)
    opportunity = make.opportunity(make.user(at=team))
    department = make.department("shijiazhuang")

    department.level = Level.PROVINCE
    department.parent = make.department("head-office")
    department.save()

    opportunity.refresh_from_db()
    team.refresh_from_db()
    assert team.path == f"/{make.department('head-office').pk}/{department.pk}/{team.pk}/"
    assert columns(opportunity) == ("team-east", "shijiazhuang", "shijiazhuang")


def test_a_department_cannot_be_part_of_itself_or_stand_above_what_it_is_part_of():
    city, province = make.department("shijiazhuang"), make.department("hebei")

    province.parent = city
    with pytest.raises(ValidationError):
        province.full_clean()

    city.level = Level.PROVINCE
    with pytest.raises(ValidationError):
        city.full_clean()

    city.level = Level.TEAM
    city.full_clean()  # lower is fine


def test_there_is_one_head_office():
    make.department("head-office")

    with pytest.raises(IntegrityError), transaction.atomic():
        make_second = Department(key="second", names={"en": "Second"}, level=Level.HEAD_OFFICE)
        make_second.save()

    assert Department.objects.filter(parent=None).count() == 1
