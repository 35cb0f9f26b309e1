"""
The kinds of field that conditions ask, and what each operator means for them, in two forms side by side: for the
database and for one record in plain Python. See crm.conditions, which asks them.
"""

import operator
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import reduce

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm import periods, shown
from crm.fields import read_amount, read_day
from crm.functions import ascii_lower
from crm.money import LARGEST
from crm.periods import PERIOD, period
from crm.permissions import SEEN_BY
from crm.prepared import prepared

NOBODY = Q(pk__in=[])
EVERYBODY = ~NOBODY  # unlike Q(), it is still there when something is added to it with | or turned round with ~

MOST = 200  # values in a list, conditions in a group

# How an operator reads between the field and the value of a chip.
WORDS = {
    "is": pgettext_lazy("condition", "is"),
    "is_not": pgettext_lazy("condition", "is not"),
    "in": pgettext_lazy("condition", "is one of"),
    "not_in": pgettext_lazy("condition", "is none of"),
    "empty": pgettext_lazy("condition", "is empty"),
    "not_empty": pgettext_lazy("condition", "is not empty"),
    "contains": pgettext_lazy("condition", "contains"),
    "not_contains": pgettext_lazy("condition", "does not contain"),
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
    "not_within": pgettext_lazy("condition", "is not"),
    "below": pgettext_lazy("condition", "in or below"),
    "not_below": pgettext_lazy("condition", "neither in nor below"),
}
OPPOSITES = {
    "is_not": "is",
    "not_in": "in",
    "not_empty": "empty",
    "not_contains": "contains",
    "not_within": "within",
    "not_below": "below",
}
SEVERAL = {"in", "not_in", "between"}  # their value is a list
ONE_OR_MORE = {"below", "not_below"}  # theirs is a list where it is several
ALONE = {"empty", "not_empty"}  # they have no value
# What follows the field in an address, where it is not the operator's own name.
SUFFIXES = {
    "is": "",
    "in": "",
    "within": "",
    "is_not": "not",
    "not_in": "not",
    "not_within": "not",
    "not_empty": "empty",
}


class ConditionError(ValidationError):
    """A tree that cannot be asked. The message is a sentence for the person who wrote it."""


PEOPLE, DATES = "people", "dates"  # parts in which the filter form lists fields
ADDED = "c_"  # what the keys of fields begin with that administrators add


class Fields(dict):
    """What may be asked of a model, {key: Field}: its CONDITIONS."""

    def __init__(self, **fields):
        super().__init__(fields)

    def __set_name__(self, model, name):
        for key, field in self.items():
            field.model, field.key = model, key


def fields_of(model):
    """
    This will give what may be asked of `model`, {key: Field}: its CONDITIONS, and what its `custom_conditions` adds,
    where it has that.
    """
    added = getattr(model, "custom_conditions", None)
    if added is None:
        return model.CONDITIONS
    fields = dict(model.CONDITIONS)
    for key, field in added().items():
        field.model, field.key = model, key
        fields.setdefault(key, field)
    return fields


def named(model, key):
    """This will name what an address asks of `model` by a key that is none: a field that was archived by its name."""
    added = getattr(model, "custom_field", None)
    field = added(key) if added and isinstance(key, str) else None
    return field.name if field else quoted(key)


def quoted(value):
    """This will give the beginning of what somebody sent as a text that any page can show."""
    return str(value)[:60].encode("utf-8", "replace").decode()


class Field:
    """
    One field that may be asked. `meaning` says what an operator means in both forms, side by side. `column` is the
    field of the model, where it is called otherwise than the condition.
    """

    operators = ()
    words = {}  # how operators read, where otherwise than in WORDS
    picks = None  # the picklist of whose values a tree names the keys
    control = None  # how the filter form asks for a value (see crm.filter_rows); without one it is not offered there
    hides = False  # whether a value may name what its reader may not see
    part = None  # of what the filter form lists it among: PEOPLE, DATES, or the link through which it is asked

    def __init__(self, label=None, column=None):
        self._label = label
        self._column = column

    @property
    def column(self):
        return self._column or self.key

    @property
    def model_field(self):
        return self.model._meta.get_field(self.column)

    @property
    def attname(self):
        return self.model_field.attname

    @property
    def label(self):
        return str(capfirst(self._label or self.model_field.verbose_name))

    def word(self, op):
        """This will give how an operator reads between the field and the value."""
        return str(self.words.get(op, WORDS[op]))

    def clean(self, op, value):
        """This will check and tidy what a tree says. Raises ConditionError."""
        if op not in self.operators:
            says = _("%(field)s cannot be asked with “%(op)s”.")
            raise ConditionError(says % {"field": self.label, "op": quoted(op)})
        if op in ALONE:
            return None
        if op not in SEVERAL and not (op in ONE_OR_MORE and isinstance(value, list)):
            return self.clean_one(op, value)
        if not isinstance(value, list) or not 0 < len(value) <= MOST or (op == "between" and len(value) != 2):
            raise self.wrong(value)
        return [self.clean_one(op, one) for one in value]

    def clean_one(self, op, value):
        raise NotImplementedError

    def wrong(self, value):
        return ConditionError(_("%(field)s cannot be “%(value)s”.") % {"field": self.label, "value": quoted(value)})

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
        suffix = SUFFIXES.get(op, op)
        return f"{self.key}.{suffix}" if suffix else self.key

    def write(self, op, value):
        """This will give the texts that follow that parameter."""
        if op in ALONE:
            return ["yes" if op == "empty" else "no"]
        return [str(one) for one in (value if isinstance(value, list) else [value])]

    def read(self, suffix, texts):
        """
        This will give (operator, value) of `texts`, at least one, that followed `key.suffix`. Raises
        ConditionError.
        """
        if suffix == "empty":
            return ("not_empty" if texts[-1] == "no" else "empty"), None
        if suffix == "between" or (suffix in ONE_OR_MORE and len(texts) > 1):
            return suffix, [self.read_one(suffix, text) for text in texts]
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

    operators = ("contains", "not_contains", "is", "is_not", "in", "not_in", "starts", "empty", "not_empty")
    control = "text"

    def clean_one(self, op, value):
        text = value.strip() if isinstance(value, str) else ""  # as an address brings it, and a form keeps it
        if not text or len(text) > 200 or not is_storable(text) or len(text.splitlines()) > 1:
            raise self.wrong(value)
        return text

    def meaning(self, op, value, asked):
        if op == "empty":
            return Q(**{self.column: ""}), lambda record: getattr(record, self.column) == ""
        return super().meaning(op, value, asked)

    def compare(self, op, value, asked):
        held = operator.attrgetter(self.column)
        if op == "in":
            values = {ascii_lower(one) for one in value}
            condition = Q(**{f"{self.column}__ascii_lower__in": sorted(values)})
            return condition, lambda record: ascii_lower(held(record)) in values
        value = ascii_lower(value)
        lookup = {"is": "exact", "contains": "contains", "starts": "startswith"}[op]
        meets = {"is": operator.eq, "contains": operator.contains, "starts": str.startswith}[op]
        condition = Q(**{f"{self.column}__ascii_lower__{lookup}": value})
        return condition, lambda record: meets(ascii_lower(held(record)), value)


class OneOf(Field):
    """A value out of a list. A subclass says what the column holds for the values that a tree has."""

    operators = ("is", "is_not", "in", "not_in", "empty", "not_empty")
    control = "ticks"

    @property
    def related_model(self):
        return self.model_field.related_model

    def choices_for(self, asked, chosen):
        """This will give what the filter form offers, {value: label}; what is `chosen` already among it."""
        raise NotImplementedError

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

    def __init__(self, label=None, column=None, groups=None):
        super().__init__(label, column)
        self.groups = groups or {}

    def clean_one(self, op, value):
        if not isinstance(value, str) or value not in self.choices:
            raise self.wrong(value)
        return value

    @property
    def choices(self):
        return {key: label for key, (label, _states) in self.groups.items()} | dict(self.model_field.flatchoices)

    def choices_for(self, asked, chosen):
        return self.choices

    def held(self, values, asked):
        return [str(one) for value in values for one in (self.groups[value][1] if value in self.groups else [value])]

    def unknown(self, values, asked):
        return []  # a tree that has one is refused

    def show(self, value, asked):
        return str(self.choices[value])


@prepared
def _all(*, model):
    return model.objects.all()


class Pick(OneOf):
    """A value of a picklist, stored by its key."""

    @property
    def picks(self):
        return self.related_model

    def clean_one(self, op, value):
        if not isinstance(value, str) or not re.fullmatch(r"[-\w]{1,40}", value, re.ASCII):
            raise self.wrong(value)
        return value

    def records(self, values, user):
        return {one.key: one for one in _all(model=self.related_model)}

    def choices_for(self, asked, chosen):
        found = asked.records(self)
        return {key: str(value) for key, value in found.items() if value.active or key in chosen}

    def held(self, values, asked):
        found = asked.records(self)
        return [found[value].pk for value in values if value in found]


class Record(OneOf):
    """
    Another record, stored by its id. Its name is shown to nobody who may not know it. A condition on one that its
    reader may not see holds on, whether there is such a record or not: left out, it would let more rows in.
    """

    control = "picker"
    hides = True

    def clean_one(self, op, value):
        if type(value) is not int or not 0 < value < 2**63:
            raise self.wrong(value)
        return value

    def read_one(self, op, text):
        if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
            raise self.wrong(text)
        return int(text)

    def records(self, values, user):
        if user is None or not values:
            return {}
        return {one.pk: one for one in self.known_to(user).filter(pk__in=values)}

    def known_to(self, user):
        """This will give the records whose name `user` may know."""
        related = self.related_model
        return related.objects.permitted(user, SEEN_BY.get(related.guard, "view"))


class WithReader(Record):
    """
    A record of everybody's knowledge, or the reader's own: `own` is the word for it in a tree, `own_label` on
    the screen.
    """

    hides = False

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
        found = {one.pk: one for one in self.related_model.objects.filter(pk__in=keys)} if keys else {}
        return found | {self.own: self.own_label}


class Person(WithReader):
    part = PEOPLE
    own, own_label = "me", pgettext_lazy("condition", "me")

    def of_reader(self, user):
        return user and user.pk


class InDepartment(WithReader):
    """A department; "below" asks for those below it as well, on a model that is crm.models.Placed."""

    part = PEOPLE
    operators = ("below", "not_below", *OneOf.operators)
    own, own_label = "mine", pgettext_lazy("condition", "my department")

    def of_reader(self, user):
        return user and user.department_id

    def compare(self, op, value, asked):
        if op != "below":
            return super().compare(op, value, asked)
        values = value if isinstance(value, list) else [value]
        found = asked.records(self)
        wanted = [(asked.user and asked.user.department) if one == self.own else found.get(one) for one in values]
        reaches = [department.reach for department in wanted if department is not None]
        condition = reduce(operator.or_, (Q(**reach) if reach else EVERYBODY for reach in reaches), NOBODY)
        return condition, lambda record: any(
            all(getattr(record, f"{column}_id") == key for column, key in reach.items()) for reach in reaches
        )


class YesNo(Field):
    operators = ("is",)
    control = "yes_no"

    def clean_one(self, op, value):
        if not isinstance(value, bool):
            raise self.wrong(value)
        return value

    def compare(self, op, value, asked):
        return Q(**{self.column: value}), lambda record: getattr(record, self.column) == value

    def write(self, op, value):
        return ["yes" if value else "no"]

    def read_one(self, op, text):
        if text not in ("yes", "no"):
            raise self.wrong(text)
        return text == "yes"

    def show(self, value, asked):
        return str(pgettext_lazy("condition", "yes") if value else pgettext_lazy("condition", "no"))


class YesNoOrEmpty(YesNo):
    """Yes, no, or nothing said yet."""

    operators = ("is", "empty", "not_empty")


class Has(YesNo):
    """Whether there is anything of what a column counts."""

    def compare(self, op, value, asked):
        condition = Q(**{f"{self.column}__gt": 0}) if value else Q(**{self.column: 0})
        return condition, lambda record: (getattr(record, self.column) > 0) is value


COMPARISONS = {
    "is": ("exact", operator.eq),
    "under": ("lt", operator.lt),
    "at_most": ("lte", operator.le),
    "at_least": ("gte", operator.ge),
    "over": ("gt", operator.gt),
}


class Number(Field):
    """A whole number."""

    operators = ("at_least", "at_most", "between", "over", "under", "is", "is_not", "empty", "not_empty")
    control = "number"
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
        held = operator.attrgetter(self.column)
        value = self.compared(value)
        condition = Q(**{f"{self.column}__{lookup}": value})
        return condition, lambda record: held(record) is not None and meets(held(record), value)

    def compared(self, value):
        """This will give what is compared with the column for a value of a tree."""
        return value


class Sum(Number):
    """An amount in the base currency that stands in one column, stored in a tree as text: "450000.00"."""

    control = "money"

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

    def compared(self, value):
        return Decimal(value)

    def show(self, value, asked):
        return shown.money(Decimal(value))


class Money(Sum):
    """The amount of a crm.money.Priced, of which its cents in the base currency are compared."""

    def compare(self, op, value, asked):
        if op == "between":
            return super().compare(op, value, asked)
        lookup, meets = COMPARISONS[op]
        cents = int(Decimal(value) * 100)
        condition = Q(**{f"base_cents__{lookup}": cents})
        if meets(0, cents):  # which is what a record without an amount has; elsewhere the amount index alone serves
            condition &= Q(**{f"{self.column}__isnull": False})
        return condition, lambda record: getattr(record, self.column) is not None and meets(record.base_cents, cents)


class Day(Field):
    """A date."""

    part = DATES
    operators = (
        "within", "not_within", "is", "is_not", "before", "after", "from", "until", "between", "empty", "not_empty",
    )  # fmt: skip
    control = "day"

    def clean_one(self, op, value):
        if op in ("within", "not_within"):
            if isinstance(value, str) and PERIOD.fullmatch(value):
                return value
            raise self.wrong(value)
        try:
            return read_day(value if isinstance(value, str) else "").isoformat()
        except ValueError as error:
            says = _("%(field)s: write a date, such as 2026-12-01 or 2026年12月1日.")
            raise ConditionError(says % {"field": self.label}) from error

    def read(self, suffix, texts):
        if suffix in ("", "not") and PERIOD.fullmatch(texts[-1]):
            return ("not_within" if suffix else "within"), texts[-1]
        return super().read(suffix, texts)

    def compare(self, op, value, asked):
        first, last = self.span(op, value)
        condition = self.since(first) & self.up_to(last)
        held = operator.attrgetter(self.column)
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
        return Q(**{f"{self.column}__gte": first}) if first else Q()

    def up_to(self, last):
        return Q(**{f"{self.column}__lte": last}) if last else Q()

    def lies(self, held, first, last):
        return (first is None or first <= held) and (last is None or held <= last)

    def show(self, value, asked):
        return periods.said(value) if PERIOD.fullmatch(value) else shown.day(date.fromisoformat(value))


class Moment(Day):
    """A moment, asked by its day in the reader's time zone."""

    def since(self, first):
        return Q(**{f"{self.column}__gte": _midnight(first)}) if first else Q()

    def up_to(self, last):
        return Q(**{f"{self.column}__lt": _midnight(last + timedelta(days=1))}) if last else Q()

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
