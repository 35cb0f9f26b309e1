"""The periods that conditions name by a word, such as this_month: which days they are, worked out when it is asked."""

import re
from datetime import timedelta

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

PERIOD = re.compile(
    r"(today|yesterday|tomorrow)|(this|last|next)_(week|month|quarter|year)|(last|next)_(\d{1,4})_days"
    r"|over_(\d{1,4})_days_ago|in_over_(\d{1,4})_days",
    re.ASCII,
)
PERIODS = {
    "today": _("today"),
    "yesterday": _("yesterday"),
    "tomorrow": _("tomorrow"),
    "this_week": _("this week"),
    "last_week": _("last week"),
    "next_week": _("next week"),
    "this_month": _("this month"),
    "last_month": _("last month"),
    "next_month": _("next month"),
    "this_quarter": _("this quarter"),
    "last_quarter": _("last quarter"),
    "next_quarter": _("next quarter"),
    "this_year": _("this year"),
    "last_year": _("last year"),
    "next_year": _("next year"),
}

BESIDE = {"today": 0, "yesterday": -1, "tomorrow": 1}
# Those that count days, with N where the number stands.
COUNTED = {
    "last_N_days": _("the last … days"),
    "next_N_days": _("the next … days"),
    "over_N_days_ago": _("more than … days ago"),
    "in_over_N_days": _("in more than … days"),
}


def period(word, today):
    """
    This will give the first and the last day of a period, None where it has no end. A week begins on Monday; the
    last (next) 7 days are today and the seven before (after) it, so what lies more than 7 days ago (in more than 7
    days) begins where those end.
    """
    day, which, unit, side, days, past, ahead = PERIOD.fullmatch(word).groups()
    if day:
        only = today + timedelta(days=BESIDE[day])
        return only, only
    if unit:
        first = _start(unit, today)
        if which == "last":
            first = _start(unit, first - timedelta(days=1))
        if which == "next":
            first = _after(unit, first)
        return first, _after(unit, first) - timedelta(days=1)
    if past:
        return None, today - timedelta(days=int(past) + 1)
    if ahead:
        return today + timedelta(days=int(ahead) + 1), None
    before, after = (int(days) if side == wanted else 0 for wanted in ("last", "next"))
    return today - timedelta(days=before), today + timedelta(days=after)


def said(word):
    """This will give a period as words, in the active language."""
    if word in PERIODS:
        return str(PERIODS[word])
    *_unit, side, days, past, ahead = PERIOD.fullmatch(word).groups()
    count = int(days or past or ahead)
    if past:
        text = ngettext("more than %(count)d day ago", "more than %(count)d days ago", count)
    elif ahead:
        text = ngettext("in more than %(count)d day", "in more than %(count)d days", count)
    elif side == "last":
        text = ngettext("the last %(count)d day", "the last %(count)d days", count)
    else:
        text = ngettext("the next %(count)d day", "the next %(count)d days", count)
    return text % {"count": count}


def counted(word):
    """This will give (which of COUNTED, days) of a period that counts days, else None."""
    for shape in COUNTED:
        before, after = shape.split("N")
        number = word.removeprefix(before).removesuffix(after)
        if word == f"{before}{number}{after}" and number.isascii() and number.isdigit():
            return shape, int(number)
    return None


def _start(unit, day):
    if unit == "week":
        return day - timedelta(days=day.weekday())
    month = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}[unit]
    return day.replace(month=month, day=1)


def _after(unit, first):
    """This will give the first day after the unit that begins on `first`."""
    length = {"week": 7, "month": 31, "quarter": 92, "year": 366}[
        unit
    ]  # at most: the start of what that reaches is next
    return _start(unit, first + timedelta(days=length))
