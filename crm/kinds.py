"""
The kinds of field that conditions ask, and what each operator means for them, in two forms side by side: for the
database and for one record in plain Python. See crm.conditions, which asks them.
"""

import operator
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from crm import shown
from crm.fields import read_amount, read_day
from crm.functions import ascii_lower
from crm.money import LARGEST

NOBODY = Q(pk__in=[])
EVERYBODY = ~NOBODY  # unlike Q(), it is still there when something is added to it with | or turned round with ~

MOST = 200  # values in a list, conditions in a group

# How an operator reads between the field and the value of a chip.
WORDS = {
    "is": pgettext_lazy("condition", "is"),
    "is_not": pgettext_lazy("condition", "is not"),
    "in": pgettext_lazy("condition", "in"),
    "not_in": pgettext_lazy("condition", "not in"),
    "empty": pgettext_lazy("condition", "is empty"),
    "not_empty": pgettext_lazy("condition", "is not empty"),
    "contains": pgettext_lazy("condition", "contains"),
    "starts": pgettext_lazy("condition", "starts with"),
    "under": pgettext_lazy("condition", "under"),
    "at_most": pgettext_lazy("condition", "at most"),
    "at_least": pgettext_lazy("condition", "at least"),
    "over": pgettext_lazy("condition", "over"),
    "before": pgettext_lazy("condition", "before"),
    "after": pgettext_lazy("condition", "after"),
    "from": pgettext_lazy("condition", "from"),
    "until": pgettext_lazy("condition", "until"),
    "between": pgettext_lazy("condition", "between"),
    "within": pgettext_lazy("condition", "is"),
    "below": pgettext_lazy("condition", "in or below"),
}
OPPOSITES = {"is_not": "is", "not_in": "in", "not_empty": "empty"}
SEVERAL = {"in", "not_in", "between"}  # their value is a list
ALONE = {"empty", "not_empty"}  # they have no value


class ConditionError(ValidationError):
    """A tree that cannot be asked. The message is a sentence for the person who wrote it."""


class Fields(dict):
    """What may be asked of a model, {key: Field}: its CONDITIONS."""

    def __init__(self, **fields):
        super().__init__(fields)

    def __set_name__(self, model, name):
        for key, field in self.items():
            field.model, field.key = model, key


class Field:
    """One field that may be asked. `meaning` says what an operator means in both forms, side by side."""

    operators = ()

    def __init__(self, label=None):
        self._label = label

    @property
    def model_field(self):
        return self.model._meta.get_field(self.key)

    @property
    def attname(self):
        return self.model_field.attname

    @property
    def label(self):
        return str(capfirst(self._label or self.model_field.verbose_name))

    def clean(self, op, value):
        """This will check and tidy what a tree says. Raises ConditionError."""
        if op not in self.operators:
            raise ConditionError(_("%(field)s cannot be asked with “%(op)s”.") % {"field": self.label, "op": op})
        if op in ALONE:
            return None
        if op not in SEVERAL:
            return self.clean_one(op, value)
        if not isinstance(value, list) or not 0 < len(value) <= MOST or (op == "between" and len(value) != 2):
            raise self.wrong(value)
        return [self.clean_one(op, one) for one in value]

    def clean_one(self, op, value):
        raise NotImplementedError

    def wrong(self, value):
        return ConditionError(_("%(field)s cannot be “%(value)s”.") % {"field": self.label, "value": str(value)[:60]})

    def meaning(self, op, value, asked):
        """This will give (Q, function of a record), which agree. `asked` is the Conditions, which know the reader."""
        if op in OPPOSITES:
            condition, holds = self.meaning(OPPOSITES[op], value, asked)
            return ~condition, lambda record: not holds(record)
        if op == "empty":
            return Q(**{f"{self.attname}__isnull": True}), lambda record: getattr(record, self.attname) is None
        return self.compare(op, value, asked)

    def compare(self, op, value, asked):
        raise NotImplementedError

    def records(self, values, user):
        """This will look up what `values` name, {value: record}, where they name records; others are left out."""
        return {}

    def unknown(self, values, asked):
        """This will list those of `values` that name nothing there is."""
        return []

    def show(self, value, asked):
        """This will give one value as text, in the active language."""
        return str(value)

    # The address

    def name(self, op):
        """This will give the parameter that carries a condition with `op`."""
        suffix = {"is": "", "in": "", "within": "", "is_not": "not", "not_in": "not", "not_empty": "empty"}.get(op, op)
        return f"{self.key}.{suffix}" if suffix else self.key

    def write(self, op, value):
        """This will give the texts that follow that parameter."""
        if op in ALONE:
            return ["yes" if op == "empty" else "no"]
        return [str(one) for one in (value if op in SEVERAL else [value])]

    def read(self, suffix, texts):
        """
        This will give (operator, value) of `texts`, at least one, that followed `key.suffix`. Raises
        ConditionError.
        """
        if suffix == "empty":
            return ("not_empty" if texts[-1] == "no" else "empty"), None
        if suffix not in ("", "not"):
            return suffix, self.read_one(suffix, texts[-1])
        values = [self.read_one("is", text) for text in dict.fromkeys(texts)]
        if len(values) > 1 and "in" in self.operators:
            return ("not_in" if suffix else "in"), values
        return ("is_not" if suffix else "is"), values[-1]

    def read_one(self, op, text):
        return text


class Text(Field):
    """
    Words. Latin letters are compared without their case; others as they are, since the databases do not agree
    on them.
    """

    operators = ("is", "is_not", "contains", "starts", "empty", "not_empty")

    def clean_one(self, op, value):
        text = value.strip() if isinstance(value, str) else ""  # as an address brings it, and a form keeps it
        if not text or len(text) > 200 or not is_storable(text):
            raise self.wrong(value)
        return text

    def meaning(self, op, value, asked):
        if op == "empty":
            return Q(**{self.key: ""}), lambda record: getattr(record, self.key) == ""
        return super().meaning(op, value, asked)

    def compare(self, op, value, asked):
        value = ascii_lower(value)
        lookup = {"is": "exact", "contains": "contains", "starts": "startswith"}[op]
        meets = {"is": operator.eq, "contains": operator.contains, "starts": str.startswith}[op]
        condition = Q(**{f"{self.key}__ascii_lower__{lookup}": value})
        return condition, lambda record: meets(ascii_lower(getattr(record, self.key)), value)


class OneOf(Field):
    """A value out of a list. A subclass says what the column holds for the values that a tree has."""

    operators = ("is", "is_not", "in", "not_in", "empty", "not_empty")

    def held(self, values, asked):
        """This will give what the column holds where the field is one of `values`."""
        return values

    def compare(self, op, value, asked):
        held = self.held(value if op == "in" else [value], asked)
        return Q(**{f"{self.attname}__in": held}), lambda record: getattr(record, self.attname) in held

    def unknown(self, values, asked):
        found = asked.records(self)
        return [value for value in values if value not in found]

    def show(self, value, asked):
        return str(asked.records(self).get(value, _("unknown")))


class Choice(OneOf):
    """One of a model field's choices; `groups`, {key: (label, choices)}, gives several of them one name."""

    operators = ("is", "is_not", "in", "not_in")

    def __init__(self, label=None, groups=None):
        super().__init__(label)
        self.groups = groups or {}

    def clean_one(self, op, value):
        if not isinstance(value, str) or value not in self.choices:
            raise self.wrong(value)
        return value

    @property
    def choices(self):
        return {key: label for key, (label, _states) in self.groups.items()} | dict(self.model_field.flatchoices)

    def held(self, values, asked):
        return [str(one) for value in values for one in (self.groups[value][1] if value in self.groups else [value])]

    def unknown(self, values, asked):
        return []  # a tree that has one is refused

    def show(self, value, asked):
        return str(self.choices[value])


class Pick(OneOf):
    """A value of a picklist, stored by its key."""

    def clean_one(self, op, value):
        if not isinstance(value, str) or not re.fullmatch(r"[-\w]{1,40}", value, re.ASCII):
            raise self.wrong(value)
        return value

    def records(self, values, user):
        return {one.key: one for one in self.model_field.related_model.objects.all()}

    def held(self, values, asked):
        found = asked.records(self)
        return [found[value].pk for value in values if value in found]


class Record(OneOf):
    """Another record, stored by its id. Its name is shown to nobody who may not know it."""

    def clean_one(self, op, value):
        if type(value) is not int or not 0 < value < 2**63:
            raise self.wrong(value)
        return value

    def read_one(self, op, text):
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
            raise self.wrong(text)
        return int(text)

    def records(self, values, user):
        related = self.model_field.related_model.objects
        return {one.pk: one for one in related.permitted(user, "name").filter(pk__in=values)} if user else {}


class WithReader(Record):
    """
    A record of everybody's knowledge, or the reader's own: `own` is the word for it in a tree, `own_label` on
    the screen.
    """

    def clean_one(self, op, value):
        return value if value == self.own else super().clean_one(op, value)

    def read_one(self, op, text):
        return text if text == self.own else super().read_one(op, text)

    def of_reader(self, user):
        raise NotImplementedError

    def held(self, values, asked):
        keys = [self.of_reader(asked.user) if value == self.own else value for value in values]
        return [key for key in keys if key is not None]

    def records(self, values, user):
        keys = [value for value in values if value != self.own]
        found = {one.pk: one for one in self.model_field.related_model.objects.filter(pk__in=keys)} if keys else {}
        return found | {self.own: self.own_label}


class Person(WithReader):
    own, own_label = "me", pgettext_lazy("condition", "me")

    def of_reader(self, user):
        return user and user.pk


class InDepartment(WithReader):
    """A department; "below" asks for those below it as well, on a model that is crm.models.Placed."""

    operators = (*OneOf.operators, "below")
    own, own_label = "mine", pgettext_lazy("condition", "my department")

    def of_reader(self, user):
        return user and user.department_id

    def compare(self, op, value, asked):
        if op != "below":
            return super().compare(op, value, asked)
        department = (asked.user and asked.user.department) if value == self.own else asked.records(self).get(value)
        if department is None:
            return NOBODY, lambda record: False
        reach = department.reach
        condition = Q(**reach) if reach else EVERYBODY
        return condition, lambda record: all(getattr(record, f"{column}_id") == key for column, key in reach.items())


class YesNo(Field):
    operators = ("is",)

    def clean_one(self, op, value):
        if not isinstance(value, bool):
            raise self.wrong(value)
        return value

    def compare(self, op, value, asked):
        return Q(**{self.key: value}), lambda record: getattr(record, self.key) == value

    def write(self, op, value):
        return ["yes" if value else "no"]

    def read_one(self, op, text):
        if text not in ("yes", "no"):
            raise self.wrong(text)
        return text == "yes"

    def show(self, value, asked):
        return str(pgettext_lazy("condition", "yes") if value else pgettext_lazy("condition", "no"))


COMPARISONS = {
    "is": ("exact", operator.eq),
    "under": ("lt", operator.lt),
    "at_most": ("lte", operator.le),
    "at_least": ("gte", operator.ge),
    "over": ("gt", operator.gt),
}


class Number(Field):
    """A whole number."""

    operators = ("is", "under", "at_most", "at_least", "over", "between", "empty", "not_empty")
    largest = 10**9

    def clean_one(self, op, value):
        if type(value) is not int or abs(value) > self.largest:
            raise self.wrong(value)
        return value

    def read_one(self, op, text):
        if not re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
            raise self.wrong(text)
        return int(text)

    def compare(self, op, value, asked):
        if op == "between":
            (least, above), (most, below) = (
                self.compare("at_least", value[0], asked),
                self.compare("at_most", value[1], asked),
            )
            return least & most, lambda record: above(record) and below(record)
        lookup, meets = COMPARISONS[op]
        held = operator.attrgetter(self.key)
        condition = Q(**{f"{self.key}__{lookup}": value})
        return condition, lambda record: held(record) is not None and meets(held(record), value)


class Money(Number):
    """The amount of a crm.money.Priced in the base currency, stored in a tree as text: "450000.00"."""

    def clean_one(self, op, value):
        try:
            amount = Decimal(value) if isinstance(value, str) else None
        except InvalidOperation:
            amount = None
        if amount is None or not amount.is_finite() or abs(amount) > LARGEST or amount != round(amount, 2):
            raise self.wrong(value)
        return format(round(amount, 2), "f")

    def read_one(self, op, text):
        try:
            return self.clean_one(op, format(read_amount(text), "f"))
        except ValueError as error:
            says = _("%(field)s: write a number, such as 450000, 450,000 or 45万.")
            raise ConditionError(says % {"field": self.label}) from error

    def compare(self, op, value, asked):
        if op == "between":
            return super().compare(op, value, asked)
        lookup, meets = COMPARISONS[op]
        cents = int(Decimal(value) * 100)
        condition = Q(**{f"base_cents__{lookup}": cents})
        if meets(0, cents):  # which is what a record without an amount has; elsewhere the amount index alone serves
            condition &= Q(**{f"{self.key}__isnull": False})
        return condition, lambda record: getattr(record, self.key) is not None and meets(record.base_cents, cents)

    def show(self, value, asked):
        return shown.money(Decimal(value))


PERIOD = re.compile(
    r"(today)|(this|last|next)_(week|month|quarter|year)|(last|next)_(\d{1,4})_days|over_(\d{1,4})_days_ago", re.ASCII
)
PERIODS = {
    "today": _("today"),
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


def period(word, today):
    """
    This will give the first and the last day of a period, None where it has no end. A week begins on Monday; the
    last (next) 7 days are today and the seven before (after) it, so what lies more than 7 days ago begins where
    those end.
    """
    _today, which, unit, side, days, past = PERIOD.fullmatch(word).groups()
    if unit:
        first = _start(unit, today)
        if which == "last":
            first = _start(unit, first - timedelta(days=1))
        if which == "next":
            first = _after(unit, first)
        return first, _after(unit, first) - timedelta(days=1)
    if past:
        return None, today - timedelta(days=int(past) + 1)
    before, after = (int(days) if side == wanted else 0 for wanted in ("last", "next"))
    return today - timedelta(days=before), today + timedelta(days=after)


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


class Day(Field):
    """A date."""

    operators = ("is", "before", "after", "from", "until", "between", "within", "empty", "not_empty")

    def clean_one(self, op, value):
        if op == "within":
            if isinstance(value, str) and PERIOD.fullmatch(value):
                return value
            raise self.wrong(value)
        try:
            return read_day(value if isinstance(value, str) else "").isoformat()
        except ValueError as error:
            says = _("%(field)s: write a date, such as 2026-12-01 or 2026年12月1日.")
            raise ConditionError(says % {"field": self.label}) from error

    def read(self, suffix, texts):
        if not suffix and PERIOD.fullmatch(texts[-1]):
            return "within", texts[-1]
        return super().read(suffix, texts)

    def compare(self, op, value, asked):
        first, last = self.span(op, value)
        condition = self.since(first) & self.up_to(last)
        held = operator.attrgetter(self.key)
        return condition, lambda record: held(record) is not None and self.lies(held(record), first, last)

    def span(self, op, value):
        """This will give the first and the last day that the condition allows, None for an open end."""
        if op == "within":
            return period(value, timezone.localdate())
        if op == "between":
            return tuple(map(date.fromisoformat, value))
        day, one = date.fromisoformat(value), timedelta(days=1)
        return {
            "is": (day, day),
            "before": (None, day - one),
            "until": (None, day),
            "after": (day + one, None),
            "from": (day, None),
        }[op]

    def since(self, first):
        return Q(**{f"{self.key}__gte": first}) if first else Q()

    def up_to(self, last):
        return Q(**{f"{self.key}__lte": last}) if last else Q()

    def lies(self, held, first, last):
        return (first is None or first <= held) and (last is None or held <= last)

    def show(self, value, asked):
        if not PERIOD.fullmatch(value):
            return shown.day(date.fromisoformat(value))
        if value in PERIODS:
            return str(PERIODS[value])
        *_unit, side, days, past = PERIOD.fullmatch(value).groups()
        count = int(days or past)
        if past:
            text = ngettext("more than %(count)d day ago", "more than %(count)d days ago", count)
        elif side == "last":
            text = ngettext("the last %(count)d day", "the last %(count)d days", count)
        else:
            text = ngettext("the next %(count)d day", "the next %(count)d days", count)
        return text % {"count": count}


class Moment(Day):
    """A moment, asked by its day in the reader's time zone."""

    def since(self, first):
        return Q(**{f"{self.key}__gte": _midnight(first)}) if first else Q()

    def up_to(self, last):
        return Q(**{f"{self.key}__lt": _midnight(last + timedelta(days=1))}) if last else Q()

    def lies(self, held, first, last):
        return (first is None or _midnight(first) <= held) and (
            last is None or held < _midnight(last + timedelta(days=1))
        )


def _midnight(day):
    return timezone.make_aware(datetime.combine(day, time.min))


def is_key(text):
    """This will tell whether `text` is a number that a database can hold as a key."""
    return bool(text) and text.isascii() and text.isdigit() and len(text) < 19


def is_storable(text):
    """This will tell whether a database takes `text`: one of them refuses a NUL, and neither takes half a character."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)
