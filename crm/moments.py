"""The organisation's calendar: what day and which month it is where its months are counted."""

from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone


def organisation_today():
    """This will give today's date in the organisation's time zone."""
    return timezone.localdate(timezone=ZoneInfo(settings.ORGANISATION_TIME_ZONE))


def organisation_day(moment):
    """This will give the day of `moment` in the organisation's time zone."""
    return timezone.localdate(moment, ZoneInfo(settings.ORGANISATION_TIME_ZONE))


def organisation_month(day=None):
    """This will give the first day of the month that `day` (a date; default today) counts in."""
    return (day or organisation_today()).replace(day=1)
