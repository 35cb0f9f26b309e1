"""How money, days, moments, waiting and states are written: one form each, the same on every page and in every row."""

import unicodedata
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

from django.utils import timezone
from django.utils.translation import get_language, ngettext, pgettext, pgettext_lazy
from django.utils.translation import gettext as _

from crm.organisation import Organisation

UNITS = [(10**9, "B"), (10**6, "M"), (10**3, "k")]
CHINESE_UNITS = [(10**8, "亿"), (10**4, "万")]
SYMBOLS = {"CNY": "¥", "USD": "$", "EUR": "€", "GBP": "£", "HKD": "HK$", "JPY": "JP¥"}

# Short names of our own: Django's Chinese ones are the long ones (星期二).
WEEKDAYS = [
    pgettext_lazy("weekday", "Mon"),
    pgettext_lazy("weekday", "Tue"),
    pgettext_lazy("weekday", "Wed"),
    pgettext_lazy("weekday", "Thu"),
    pgettext_lazy("weekday", "Fri"),
    pgettext_lazy("weekday", "Sat"),
    pgettext_lazy("weekday", "Sun"),
]
MONTHS = [
    pgettext_lazy("month", "Jan"),
    pgettext_lazy("month", "Feb"),
    pgettext_lazy("month", "Mar"),
    pgettext_lazy("month", "Apr"),
    pgettext_lazy("month", "May"),
    pgettext_lazy("month", "Jun"),
    pgettext_lazy("month", "Jul"),
    pgettext_lazy("month", "Aug"),
    pgettext_lazy("month", "Sep"),
    pgettext_lazy("month", "Oct"),
    pgettext_lazy("month", "Nov"),
    pgettext_lazy("month", "Dec"),
]

MONTHS_IN_FULL = [
    pgettext_lazy("month in full", "January"),
    pgettext_lazy("month in full", "February"),
    pgettext_lazy("month in full", "March"),
    pgettext_lazy("month in full", "April"),
    pgettext_lazy("month in full", "May"),
    pgettext_lazy("month in full", "June"),
    pgettext_lazy("month in full", "July"),
    pgettext_lazy("month in full", "August"),
    pgettext_lazy("month in full", "September"),
    pgettext_lazy("month in full", "October"),
    pgettext_lazy("month in full", "November"),
    pgettext_lazy("month in full", "December"),
]

# The look has one mark for all that waits for a decision; an active record has none of its own.
STATE_CLASSES = {
    "draft": "draft",
    "reporting": "pending",
    "signing": "pending",
    "terminating": "pending",
    "returned": "returned",
    "active": "",
    "signed": "signed",
    "terminated": "terminated",
    "void": "void",
}


def symbol(currency=None):
    """This will give the sign that stands before an amount in `currency`, by default the base currency."""
    currency = currency or Organisation.current().currency
    return SYMBOLS.get(currency, f"{currency} ")


def count(number):
    """This will write a count: 8,800."""
    return f"{number:,}"


def money(amount, currency=None):
    """This will write an amount: ¥1,280,000, with cents only where there are some; "" for None."""
    if amount is None:
        return ""
    amount = Decimal(amount)
    text = f"{abs(amount):,.2f}".removesuffix(".00")
    return f"{'-' if amount < 0 else ''}{symbol(currency)}{text}"


def quantity(number):
    """This will write a number without the zeros that say nothing: 12, 1,200.5."""
    text = f"{Decimal(number):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money_short(amount, currency=None):
    """This will write an amount in three digits, for the board: ¥1.28 M, ¥96 k, ¥128 万."""
    if amount is None:
        return ""
    rounded = Decimal(f"{Decimal(amount):.3g}")
    for size, unit in CHINESE_UNITS if (get_language() or "").startswith("zh") else UNITS:
        if abs(rounded) >= size:
            text = money(rounded / size, currency)
            return f"{text.rstrip('0') if '.' in text else text} {unit}"
    return money(amount, currency)


def day(value):
    """This will write a date: 25 Nov, 11月25日, with the year only where it is not this one; "" for None."""
    return "" if value is None else _day(_local_date(value), timezone.localdate().year, get_language())


@lru_cache(maxsize=10_000)  # the same days are written in row after row, and to translate takes most of it
def _day(value, this_year, _language):
    form = _("%(day)d %(month)s") if value.year == this_year else _("%(day)d %(month)s %(year)d")
    return form % _names(value)


def weekday(value):
    """This will write a date with the day of its week: Thu 12 Nov, 11月12日 周四; "" for None."""
    if value is None:
        return ""
    value = _local_date(value)
    if value.year == timezone.localdate().year:
        return _("%(weekday)s %(day)d %(month)s") % _names(value)
    return _("%(weekday)s %(day)d %(month)s %(year)d") % _names(value)


def month(value):
    """This will write a month: November 2026, 2026年11月."""
    return _("%(month)s %(year)d") % {"month": month_name(value), "year": value.year}


def month_name(value):
    """This will write a month without its year: November, 11月."""
    return str(MONTHS_IN_FULL[value.month - 1])


def ordinal(number):
    """This will write a place in an order: 1st, 2nd, 11th, 第1."""
    last = 0 if number % 100 in (11, 12, 13) else number % 10
    if last == 1:
        form = pgettext("place", "%(number)dst")
    elif last == 2:
        form = pgettext("place", "%(number)dnd")
    elif last == 3:
        form = pgettext("place", "%(number)drd")
    else:
        form = pgettext("place", "%(number)dth")
    return form % {"number": number}


def moment(value):
    """This will write a moment in the reader's zone: today, 08:00; yesterday, 17:40; Tue 17 Nov, 16:20."""
    if value is None:
        return ""
    value = timezone.localtime(value)
    clock = f"{value:%H:%M}"
    past = (timezone.localdate() - value.date()).days
    if past == 0:
        return _("today, %(time)s") % {"time": clock}
    if past == 1:
        return _("yesterday, %(time)s") % {"time": clock}
    return _("%(date)s, %(time)s") % {"date": weekday(value), "time": clock}


def waited(since):
    """This will write how long something has waited: new, 3 hours, 2 days; "" for None."""
    if since is None:
        return ""
    days, hours = _elapsed(since)
    if days:
        return ngettext("%(count)d day", "%(count)d days", days) % {"count": days}
    if hours:
        return ngettext("%(count)d hour", "%(count)d hours", hours) % {"count": hours}
    return pgettext("waiting", "new")


def has_waited(since):
    """This will tell whether something has waited for as long as `waited` can say: an hour."""
    return since is not None and any(_elapsed(since))


def waited_short(since):
    """This will write how long something has waited, beside a name in a row: new, 3 h, 2 d; "" for None."""
    if since is None:
        return ""
    days, hours = _elapsed(since)
    if days:
        return _("%(count)d d") % {"count": days}
    if hours:
        return _("%(count)d h") % {"count": hours}
    return pgettext("waiting", "new")


def waits_for(name, since):
    """This will write whom something waits for, and since when: Wang Jun, 2 d."""
    return _("%(name)s, %(time)s") % {"name": name, "time": waited_short(since)}


def ago(value):
    """This will write how long ago a day was: today, 16 d ago, and for a day to come the date; "" for None."""
    if value is None:
        return ""
    days = (timezone.localdate() - _local_date(value)).days
    if days < 0:
        return day(value)
    return _("%(count)d d ago") % {"count": days} if days else _("today")


def state_class(key):
    """This will give the CSS class of a state's mark; "" for active and for what the look does not know."""
    return STATE_CLASSES.get(key, "")


def pips(position, of):
    """This will give how many of the four bars of a stage are full; `position` counts the `of` open stages from 1."""
    return max(1, min(4, round(4 * position / of))) if of else 1


def initials(name):
    """This will give what stands in a person's circle: ZL for Zhou Lan and Ms Zhou Lan, 周 for 周岚."""
    words = str(name).split()
    if len(words) > 1 and words[0].rstrip(".") in {"Mr", "Ms", "Mrs", "Dr"}:
        del words[0]
    if not words:
        return ""
    if not words[0].isascii():
        return words[0][0]
    return "".join(word[0] for word in (words[0], *words[1:][-1:])).upper()


def dial(number):
    """This will give a telephone number as a link dials it: +8631187654321."""
    return "".join(sign for sign in unicodedata.normalize("NFKC", number) if sign.isdecimal() or sign == "+")


def site(address):
    """This will write a web address as it is read: qinghe-water.example for https://qinghe-water.example/."""
    return address.partition("://")[2].removesuffix("/")


def joined(*parts):
    """This will give what there is of `parts` on one line."""
    return " · ".join(str(part) for part in parts if part)


def _local_date(value):
    if isinstance(value, datetime):
        return timezone.localtime(value).date() if timezone.is_aware(value) else value.date()
    return value


def _elapsed(since):
    """This will give the whole days and whole hours since a moment, or since the first minute of a day."""
    if isinstance(since, date) and not isinstance(since, datetime):
        return max(0, (timezone.localdate() - since).days), 0
    hours = max(0, int((timezone.now() - since).total_seconds() // 3600))
    return divmod(hours, 24)[0], hours


def _names(value):
    """This will give what a date pattern may use; a language takes the parts that it needs, in its own order."""
    return {
        "weekday": WEEKDAYS[value.weekday()],
        "day": value.day,
        "month": MONTHS[value.month - 1],
        "year": value.year,
    }
