"""The settings of the organisation: changed on one page, known everywhere at once, by the environment where unsaid."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from approvals.models import Approval
from crm import moments, money, shown
from crm.models import Audit
from crm.organisation import THE_ONE, Organisation
from crm.verbs import NotAllowed, Refused, Stale
from opportunities.models import Opportunity
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db

SENT = {
    "name": "Northern Telecom", "base_currency": "", "fiscal_month": "1", "time_zone": "", "support_contact": "",
    "languages": ["en", "zh-hans"], "default_language": "en", "version": "0",
}  # fmt: skip


@pytest.fixture
def admin(client):
    person = make.user("admin", "administrator", at="head-office", language="en")
    client.force_login(person)
    return person


def picture(kind="PNG", size=(600, 300), **kept):
    file = BytesIO()
    Image.new("RGB", size, "navy").save(file, kind, **kept)
    return file.getvalue()


def sends(**changes):
    return SENT | changes


def noted():
    return [row.data["changes"] for row in Audit.objects.filter(kind="organisation_changed").order_by("pk")]


# ── What holds where nothing was said ────────────────────────────────────────────────────────────────────────────────


def test_it_is_as_the_environment_says_where_its_row_says_nothing(settings):
    settings.ORGANISATION_TIME_ZONE, settings.BASE_CURRENCY = "Europe/Berlin", "EUR"
    settings.SUPPORT_CONTACT, settings.LANGUAGE_CODE = "dial 100", "zh-hans"
    it = Organisation.current()
    assert (it.zone.key, it.currency, it.support, it.language) == ("Europe/Berlin", "EUR", "dial 100", "zh-hans")
    assert [code for code, _name in it.offered] == ["en", "zh-hans"]
    assert (str(it), it.fiscal_month, it.tell_earlier_reports) == ("Pursuit", 1, False)
    assert not Organisation.objects.exists()


def test_the_page_takes_what_is_said_and_keeps_the_rest_to_the_environment(client, admin):
    answer = client.post("/organisation/", sends(support_contact="help@example.org", fiscal_month="4"))

    assert answer["Location"] == "/organisation/"
    it = Organisation.current()
    assert (it.name, it.support, it.fiscal_month, it.version) == ("Northern Telecom", "help@example.org", 4, 1)
    assert (it.currency, it.zone.key) == ("CNY", "Asia/Shanghai")
    assert noted() == [
        {
            "name": ["", "Northern Telecom"],
            "support_contact": ["", "help@example.org"],
            "fiscal_month": [1, 4],
            "languages": [[], ["en", "zh-hans"]],
            "default_language": ["", "en"],
        }
    ]
    assert "Northern Telecom" in client.get("/").content.decode()
    assert "help@example.org" in client.get("/help/").content.decode()


def test_saved_twice_it_is_changed_once(client, admin):
    client.post("/organisation/", sends())
    with nothing_changed():
        client.post("/organisation/", sends(version="1"))
    assert len(noted()) == 1


def test_there_is_one_row_and_no_other():
    Organisation.objects.create(pk=THE_ONE)
    for wrong in ({"pk": 2}, {"pk": 3, "fiscal_month": 13}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Organisation.objects.create(**wrong)
    assert Organisation.objects.count() == 1


# ── Who may, and what is refused ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("role", ["rep", "gm", "opportunity_manager"])
def test_it_is_the_administrators_alone(client, role):
    person = make.user(None, role)
    client.force_login(person)
    with nothing_changed():
        assert client.get("/organisation/").status_code == 403
        assert client.post("/organisation/", sends()).status_code == 403
        with pytest.raises(NotAllowed):
            Organisation.read().change(by=person, seen=0, name="Mine")


def test_a_stranger_is_sent_to_sign_in(client):
    with nothing_changed():
        assert client.post("/organisation/", sends())["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"base_currency": "yuan"}, "base_currency"),
        ({"base_currency": "C1"}, "base_currency"),
        ({"fiscal_month": "13"}, "fiscal_month"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"languages": []}, "languages"),
        ({"languages": ["de"]}, "languages"),
        ({"languages": ["zh-hans"]}, "default_language"),
        ({"name": "x" * 81}, "name"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(client, admin, changes, field):
    with nothing_changed():
        answer = client.post("/organisation/", sends(**changes))
    assert list(answer.context["form"].errors) == [field]
    assert 'value="Northern Telecom"' in answer.content.decode() or field == "name"


def test_a_page_that_somebody_else_overtook_is_refused_and_shows_theirs(client, admin):
    client.post("/organisation/", sends(support_contact="dial 100"))
    with nothing_changed():
        answer = client.post("/organisation/", sends(name="Southern Telecom"))
    assert answer.status_code == 409
    assert "Now it says “Northern Telecom”." in answer.content.decode()

    client.post("/organisation/", sends(name="Southern Telecom", version=answer.context["form"]["version"].value()))
    assert Organisation.current().name == "Southern Telecom"


def test_two_at_once_do_not_overwrite_each_other():
    by = make.user(None, "administrator", at="head-office")
    Organisation.read().change(by=by, seen=0, name="First")
    with nothing_changed(), pytest.raises(Stale):
        Organisation.read().change(by=by, seen=0, name="Second")
    Organisation.read().change(by=by, seen=1, name="Second")
    assert Organisation.current().name == "Second"


# ── The base currency ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_base_currency_changes_while_no_record_holds_an_amount(client, admin):
    draft = make.opportunity(amount=None)
    client.post("/organisation/", sends(base_currency="eur"))
    assert (Organisation.current().currency, money.base_currency(), shown.symbol()) == ("EUR", "EUR", "€")
    draft.refresh_from_db()
    assert draft.currency == "EUR"  # or the amount that it gets would be in the old one


def test_the_base_currency_stays_once_a_record_holds_an_amount(client, admin):
    opportunity = make.opportunity(amount=Decimal(100))
    with nothing_changed():
        answer = client.post("/organisation/", sends(base_currency="EUR"))
    assert answer.context["form"].errors == {
        "base_currency": ["Opportunities hold amounts in CNY. The base currency can no longer be changed."]
    }
    assert "Fixed at CNY: there are amounts in it." in answer.content.decode()
    client.post("/organisation/", sends(base_currency="CNY"))  # to name the one it is anyway is no change
    assert (Organisation.current().base_currency, Opportunity.objects.get().currency) == ("CNY", opportunity.currency)


# ── The calendar ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_another_time_zone_counts_from_now_on_and_leaves_the_past(client, admin):
    with time_machine.travel(datetime(2026, 6, 30, 20, tzinfo=UTC)) as clock:
        make.opportunity(state="active")
        assert Approval.objects.get().month == moments.organisation_month() == date(2026, 7, 1)
        clock.shift(60)

        client.post("/organisation/", sends(time_zone="Berlin"))

        assert moments.organisation_today() == date(2026, 6, 30)
        assert Approval.objects.get().month == date(2026, 7, 1)
        it = Organisation.current()
        assert it.zone_at(timezone.now() - timedelta(seconds=30)).key == "Asia/Shanghai"
        assert it.zone_at(timezone.now()).key == it.zone.key == "Europe/Berlin"
        call_command("verify")  # which knows what was counted where


@given(day=some.dates(date(1990, 1, 1), date(2090, 12, 31)), first=some.integers(1, 12))
def test_a_day_lies_in_the_twelve_months_of_its_fiscal_year(day, first):
    Organisation.keep(Organisation(pk=THE_ONE, fiscal_month=first), float("inf"))
    begin = moments.fiscal_year(day)
    assert (begin.month, begin.day) == (first, 1)
    assert begin <= day < begin.replace(year=begin.year + 1)


# ── Languages ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_language_that_is_not_offered_is_spoken_to_nobody(client, admin):
    person = make.user(language="en")
    client.post("/organisation/", sends(languages=["zh-hans"], default_language="zh-hans"))
    client.force_login(person)
    page = client.get("/profile/").content.decode()
    assert '<html lang="zh-hans"' in page
    assert 'name="language" value="en"' not in page
    client.post("/language/", {"language": "zh-hans"})
    with nothing_changed():
        client.post("/language/", {"language": "en"})
    client.logout()
    assert '<html lang="zh-hans"' in client.get("/accounts/login/", headers={"Accept-Language": "en"}).content.decode()


def test_the_default_language_is_for_those_who_ask_for_none(client, admin):
    client.post("/organisation/", sends(default_language="zh-hans"))
    client.logout()

    def spoken(asked):
        page = client.get("/accounts/login/", headers={"Accept-Language": asked}).content.decode()
        return page.partition('<html lang="')[2].partition('"')[0]

    assert [spoken(asked) for asked in ("fr", "fr, en;q=0.5", "zh-CN", "*", "§§")] == [
        "zh-hans", "en", "zh-hans", "zh-hans", "zh-hans",
    ]  # fmt: skip


# ── The logo ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_logo_is_drawn_anew_and_stands_in_the_frame_and_on_the_sign_in_page(client, admin):
    sent = picture("JPEG", comment=b"made by nobody")
    client.post("/organisation/", sends(logo=SimpleUploadedFile("logo.svg", sent, "image/svg+xml")))

    address = f"/organisation/logo/{Organisation.current().logo_digest}/"
    assert f'<img src="{address}"' in client.get("/").content.decode()
    client.logout()
    assert f'<img src="{address}"' in client.get("/accounts/login/").content.decode()
    answer = client.get(address)
    kept = Image.open(BytesIO(answer.content))
    assert (kept.format, kept.size) == ("PNG", (256, 128))
    assert b"nobody" not in answer.content
    assert answer["Content-Type"] == "image/png"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in answer["Cache-Control"]
    assert client.get("/organisation/logo/0000000000000000/").status_code == 404


def test_the_logo_stays_until_it_is_taken_away(client, admin):
    client.post("/organisation/", sends(logo=SimpleUploadedFile("logo.png", picture())))
    digest = Organisation.current().logo_digest
    client.post("/organisation/", sends(name="Other", version="1"))
    assert (Organisation.current().logo_digest, Organisation.current().name) == (digest, "Other")
    client.post("/organisation/", sends(version="2", no_logo="on"))
    assert Organisation.current().logo_digest == ""
    assert client.get(f"/organisation/logo/{digest}/").status_code == 404


@pytest.mark.parametrize(
    "sent",
    [
        b"<svg xmlns='x'><script>alert(1)</script></svg>",
        picture("GIF"),
        picture()[:200],
        picture(size=(5000, 5000)),
        b"\0" * (2 << 20),
    ],
    ids=["svg", "gif", "broken", "vast", "heavy"],
)
def test_what_is_no_picture_is_refused(client, admin, sent):
    with nothing_changed():
        answer = client.post("/organisation/", sends(logo=SimpleUploadedFile("logo.png", sent)))
    assert list(answer.context["form"].errors) == ["logo"]


# ── Several processes ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_page_knows_at_once_what_another_process_changed_and_asks_nothing_for_it(
    client, admin, django_assert_num_queries
):
    def name():
        return client.get("/profile/").context["organisation"].name

    Organisation.objects.create(pk=THE_ONE, name="Elsewhere", version=7)  # as another process would
    assert name() == "Elsewhere"
    Organisation.objects.update(name="Meanwhile", version=8)
    assert name() == "Meanwhile"
    with django_assert_num_queries(0):
        assert Organisation.current().name == "Meanwhile"


def test_who_answers_nobody_reads_again_after_a_while(monkeypatch):
    Organisation.keep(None)
    assert Organisation.current().name == ""
    Organisation.objects.create(pk=THE_ONE, name="Elsewhere", version=7)
    assert Organisation.current().name == ""
    Organisation.keep(Organisation.current(), -1)
    assert Organisation.current().name == "Elsewhere"


def test_what_was_rolled_back_is_not_remembered():
    by = make.user(None, "administrator", at="head-office")
    with pytest.raises(Refused), transaction.atomic():
        Organisation.read().change(by=by, seen=0, name="Never")
        raise Refused("")
    Organisation.is_at(None)
    assert Organisation.current().name == ""
