"""`manage.py demo` loads the demo company, with a past that reads as if it had been lived."""

from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from crm.custom_fields import CustomField
from crm.models import User
from crm.moments import organisation_today
from notices.history import Event
from notices.models import Delivery
from opportunities.models import Opportunity
from tests import factories as make

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


def command(name):
    out = StringIO()
    call_command(name, stdout=out)
    return out.getvalue()


def test_its_past_happened_in_working_hours_each_thing_after_the_other_and_nobody_is_written_to():
    assert command("demo") == "Loaded the demo company: 18 people, 53 opportunities.\n"

    zone = ZoneInfo(settings.ORGANISATION_TIME_ZONE)
    for opportunity in Opportunity.objects.all():
        events = Event.objects.about(opportunity).order_by("at", "id").values_list("kind", "at")
        kinds = [kind for kind, _at in events]
        assert kinds[0] == "created"
        steps = [kind for kind in kinds if kind in ("reported", "granted", "moved", "sign_asked", "terminate_asked")]
        assert steps[:2] in ([], ["reported"], ["reported", "granted"])
        past = [at.astimezone(zone) for _kind, at in events if at.astimezone(zone).date() < organisation_today()]
        assert {at.hour for at in past} <= {*range(9, 18)}
    assert not Delivery.objects.exists()
    assert command("verify") == "Everything holds.\n"


def test_again_it_changes_nothing():
    command("demo")
    before = [*Opportunity.objects.values().order_by("pk")]

    assert command("demo") == "The demo company is there already.\n"

    assert [*Opportunity.objects.values().order_by("pk")] == before


def test_it_has_a_second_pipeline_with_opportunities_on_it_and_fields_of_its_own(client):
    command("demo")
    client.force_login(User.objects.get(username="rep.shijiazhuang"))
    board = client.get("/opportunities/board/").context["listing"]
    assert [way.label for way in board.ways] == ["Standard", "Renewals"]
    board = client.get("/opportunities/board/?pipeline=renewals").context["listing"]
    cards = [(lane.stage.name, [card["name"] for card in lane.cards]) for lane in board.lanes]
    assert cards == [
        ("Due for renewal", []),
        ("Renewal offered", ["Water works lines, next three years"]),
        ("Renewal agreed", []),
    ]
    assert [lane.cards[0]["added"] for lane in board.lanes if lane.cards] == [[("Competitor", "Lingyun Telecom")]]
    fields = CustomField.objects.order_by("pk")
    assert [(field.subject, field.kind, field.names) for field in fields] == [
        ("opportunity", "choice", {"en": "Competitor", "zh-hans": "竞争对手"}),
        ("opportunity", "date", {"en": "Go-live date", "zh-hans": "上线日期"}),
        ("customer", "number", {"en": "Number of employees", "zh-hans": "员工人数"}),
    ]
    assert [field.values.count() > 5 for field in fields] == [True, True, True]


def test_it_leaves_a_database_with_other_peoples_data_alone():
    make.user()

    with pytest.raises(CommandError, match="a database of its own"):
        command("demo")

    assert User.objects.count() == 1
