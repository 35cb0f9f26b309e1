"""The organisation's calendar: what day, which month and which fiscal year it is where its months are counted."""

from django.utils import timezone

from crm.organisation import Organisation


def organisation_zone():
    """This will give the organisation's time zone."""
    return Organisation.current().zone


def organisation_today():
    """This will give today's date in the organisation's time zone."""
    return timezone.localdate(timezone=organisation_zone())


def organisation_day(moment):
    """This will give the day of `moment` in the organisation's time zone."""
    return timezone.localdate(moment, organisation_zone())


def organisation_month(day=None):
    """This will give the first day of the month that `day` (a date; default today) counts in."""
    return (day or organisation_today()).replace(day=1)


def fiscal_year(day=None):
    """This will give the first day of the fiscal year that `day` (a date; default today) counts in."""
    month = organisation_month(day)
    first = Organisation.current().fiscal_month
    return month.replace(year=month.year - (month.month < first), month=first)
