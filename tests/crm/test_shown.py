"""How money, days, moments, waiting and states are written."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.utils import timezone, translation

from crm import shown

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)  # a Friday; 18:00 in Shanghai


@pytest.fixture(autouse=True)
def _a_friday_in_shanghai():
    with time_machine.travel(NOW, tick=False), timezone.override("Asia/Shanghai"), translation.override("en"):
        yield


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Decimal("1280000.00"), "¥1,280,000"),
        (Decimal("1280000.50"), "¥1,280,000.50"),
        (Decimal("0.00"), "¥0"),
        (Decimal(-5), "-¥5"),
        (450000, "¥450,000"),
        (None, ""),
    ],
)
def test_money_has_cents_only_where_there_are_some(amount, text):
    assert shown.money(amount) == text


def test_money_in_another_currency_says_so():
    assert shown.money(Decimal(100), "USD") == "$100"
    assert shown.money(Decimal(100), "SEK") == "SEK 100"


@pytest.mark.parametrize(
    ("amount", "english", "chinese"),
    [
        (1_280_000, "¥1.28 M", "¥128 万"),
        (7_770_000_000, "¥7.77 B", "¥77.7 亿"),
        (25_300_000, "¥25.3 M", "¥2,530 万"),
        (96_000, "¥96 k", "¥9.6 万"),
        (999_999, "¥1 M", "¥100 万"),
        (870, "¥870", "¥870"),
        (-1_280_000, "-¥1.28 M", "-¥128 万"),
    ],
)
def test_money_on_the_board_is_short(amount, english, chinese):
    assert shown.money_short(amount) == english
    with translation.override("zh-hans"):
        assert shown.money_short(amount) == chinese


def test_a_day_has_its_year_only_where_it_is_not_this_one():
    assert shown.day(date(2026, 11, 25)) == "25 Nov"
    assert shown.day(date(2027, 1, 22)) == "22 Jan 2027"
    assert shown.weekday(date(2026, 11, 12)) == "Thu 12 Nov"
    assert shown.weekday(date(2025, 11, 12)) == "Wed 12 Nov 2025"
    assert shown.day(None) == shown.weekday(None) == ""


def test_a_moment_is_in_the_readers_time_zone():
    at = datetime(2026, 11, 17, 8, 20, tzinfo=UTC)
    assert shown.moment(at) == "Tue 17 Nov, 16:20"
    with timezone.override("Europe/Berlin"):
        assert shown.moment(at) == "Tue 17 Nov, 09:20"


def test_a_moment_of_today_or_yesterday_says_so():
    assert shown.moment(datetime(2026, 11, 20, 0, 0, tzinfo=UTC)) == "today, 08:00"
    assert shown.moment(datetime(2026, 11, 19, 9, 40, tzinfo=UTC)) == "yesterday, 17:40"
    assert shown.moment(datetime(2026, 11, 19, 16, 30, tzinfo=UTC)) == "today, 00:30"
    assert shown.moment(None) == ""


@pytest.mark.parametrize(
    ("ago", "text", "short"),
    [
        (timedelta(minutes=59), "new", "new"),
        (timedelta(minutes=-5), "new", "new"),
        (timedelta(hours=1), "1 hour", "1 h"),
        (timedelta(hours=23, minutes=59), "23 hours", "23 h"),
        (timedelta(hours=24), "1 day", "1 d"),
        (timedelta(days=6, hours=5), "6 days", "6 d"),
    ],
)
def test_waiting_is_new_then_hours_then_days(ago, text, short):
    assert shown.waited(NOW - ago) == text
    assert shown.waited_short(NOW - ago) == short


def test_ago_counts_days_of_the_readers_calendar():
    assert shown.ago(date(2026, 11, 4)) == "16 d ago"
    assert shown.ago(NOW - timedelta(hours=17)) == "today"
    assert shown.ago(NOW - timedelta(hours=19)) == "1 d ago"
    assert shown.ago(date(2026, 11, 25)) == "25 Nov"
    assert shown.ago(None) == shown.waited(None) == shown.waited_short(None) == ""


def test_each_state_has_the_mark_of_what_it_means():
    pending = {key for key in shown.STATE_CLASSES if shown.state_class(key) == "pending"}
    assert pending == {"reporting", "signing", "terminating"}
    assert shown.state_class("active") == shown.state_class("no such state") == ""


def test_the_bars_of_a_stage_are_four_however_long_its_pipeline_is():
    assert [shown.pips(position, 4) for position in (1, 2, 3, 4)] == [1, 2, 3, 4]
    assert [shown.pips(position, 7) for position in (1, 4, 7)] == [1, 2, 4]
    assert shown.pips(1, 20) == 1


def test_initials_are_two_letters_or_one_character():
    assert shown.initials("Zhou Lan") == "ZL"
    assert shown.initials("Ana María de Souza") == "AS"
    assert shown.initials("周岚") == "周"
    assert shown.initials("admin") == "A"
    assert shown.initials("") == ""
