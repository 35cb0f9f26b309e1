"""
The conditions that ask for the fields which administrators added: crm.kinds, of rows in a table beside the record's.

Each asks whether the record has a row that meets it, so what is empty, which has none, meets every "is not". EXISTS
becomes a join on PostgreSQL. SQLite asks it of record after record, which finds a page soon where many meet it; where
few do, it goes through these instead.
"""

import operator
from decimal import Decimal, InvalidOperation

from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from crm import custom_fields, kinds, shown
from crm.custom_fields import DECIMALS, SCALE, CustomChoice, Kind
from crm.fields import read_amount
from crm.functions import ascii_lower
from crm.kinds import COMPARISONS, ConditionError
from crm.models import User
from crm.money import LARGEST
from crm.organisation import Organisation

MANY = 2_000  # rows from which on SQLite had better look for them one by one


class Custom:
    """What they share. `custom` is the crm.custom_fields.CustomField."""

    def __init__(self, custom, model):
        super().__init__()
        self.custom = custom
        self.model = model
        self.key = custom.key

    @property
    def label(self):
        return str(capfirst(self.custom.name))

    def has(self, condition=None):
        """This will give the condition that a record has a row, one that meets `condition`, a Q."""
        rows = custom_fields.CustomField.values.rel.related_model.objects.filter(field=self.custom.pk)
        rows = rows if condition is None else rows.filter(condition)
        if connection.vendor == "sqlite" and rows[:MANY].count() < MANY:
            return Q(pk__in=rows.values("about_id"))
        return Q(Exists(rows.filter(about_id=OuterRef("pk"))))

    def held(self, record):
        """This will give what a record that has been read holds."""
        return getattr(record, self.key)

    def meaning(self, op, value, asked):
        if op == "empty":
            return ~self.has(), lambda record: self.held(record) is None
        return super().meaning(op, value, asked)


class Text(Custom, kinds.Text):
    """A text, short or long."""

    def compare(self, op, value, asked):
        if op == "in":
            values = {ascii_lower(one) for one in value}
            condition = self.has(Q(**{f"{self.custom.column}__ascii_lower__in": sorted(values)}))
            return condition, lambda record: (held := self.held(record)) is not None and ascii_lower(held) in values
        value = ascii_lower(value)
        lookup = {"is": "exact", "contains": "contains", "starts": "startswith"}[op]
        meets = {"is": operator.eq, "contains": operator.contains, "starts": str.startswith}[op]
        condition = self.has(Q(**{f"{self.custom.column}__ascii_lower__{lookup}": value}))
        return condition, lambda record: self.held(record) is not None and meets(ascii_lower(self.held(record)), value)


class Number(Custom, kinds.Number):
    """A number with decimals, stored in a tree as text: "12.5"."""

    largest = LARGEST
    decimals = DECIMALS
    wrong_number = _("%(field)s: write a number, such as 12, 1,200 or 0.5.")

    def clean_one(self, op, value):
        try:
            number = Decimal(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None
        except InvalidOperation:
            number = None
        if number is None or not number.is_finite() or abs(number) > self.largest:
            raise self.wrong(value)
        if number != number.quantize(self.decimals):
            raise self.wrong(value)
        return format(number.quantize(self.decimals).normalize(), "f")

    def read_one(self, op, text):
        try:
            return self.clean_one(op, format(read_amount(text), "f"))
        except ValueError as error:
            raise ConditionError(self.wrong_number % {"field": self.label}) from error

    def compare(self, op, value, asked):
        if op == "between":
            return self._between(*(self._scaled(one) for one in value))
        lookup, meets = COMPARISONS[op]
        scaled, number = self._scaled(value), Decimal(value)
        condition = self.has(Q(**{f"number__{lookup}": scaled}))
        return condition, lambda record: self.held(record) is not None and meets(self.held(record), number)

    def _between(self, least, most):
        def lies(record):
            return self.held(record) is not None and least <= self.held(record).scaleb(SCALE) <= most

        return self.has(Q(number__gte=least, number__lte=most)), lies

    @staticmethod
    def _scaled(value):
        return int(Decimal(value).scaleb(SCALE))

    def show(self, value, asked):
        return shown.quantity(Decimal(value))


class Money(Number):
    """An amount of the base currency."""

    control = "money"
    decimals = Decimal("0.01")
    wrong_number = _("%(field)s: write a number, such as 450000, 450,000 or 45万.")

    def show(self, value, asked):
        return shown.money(Decimal(value))


class Day(Custom, kinds.Day):
    """A date."""

    def compare(self, op, value, asked):
        first, last = self.span(op, value)
        condition = Q()
        if first:
            condition &= Q(day__gte=first)
        if last:
            condition &= Q(day__lte=last)
        return self.has(
            condition
        ), lambda record: self.held(record) is not None and self.lies(self.held(record), first, last)


class YesNo(Custom, kinds.YesNoOrEmpty):
    """Yes or no, or neither."""

    def compare(self, op, value, asked):
        return self.has(Q(yes=value)), lambda record: self.held(record) is value


class _OneOf(Custom):
    """One of few or many. `held` of crm.kinds, what the column holds for the values of a tree, is `keys` here."""

    def records_held(self, record):
        held = self.held(record)
        return held if isinstance(held, list) else [] if held is None else [held]

    def compare(self, op, value, asked):
        keys = self.keys(value if op == "in" else [value], asked)
        condition = self.has(Q(**{f"{self.custom.column}__in": keys})) if keys else kinds.NOBODY
        return condition, lambda record: any(one.pk in keys for one in self.records_held(record))


class Pick(_OneOf, kinds.Pick):
    """One of the field's options, or of a field that holds several, any of them; stored by its key."""

    related_model = CustomChoice

    def records(self, values, user):
        return {one.key: one for one in self.custom.choices}

    def keys(self, values, asked):
        found = asked.records(self)
        return [found[value].pk for value in values if value in found]


class Person(_OneOf, kinds.Person):
    """Somebody who works here, or the reader."""

    related_model = User

    def records(self, values, user):
        keys = [value for value in values if value != self.own]
        found = {one.pk: one for one in User.objects.filter(pk__in=keys)} if keys else {}
        return found | {self.own: self.own_label}

    def keys(self, values, asked):
        keys = [self.of_reader(asked.user) if value == self.own else value for value in values]
        return [key for key in keys if key is not None]


BY_KIND = {
    Kind.TEXT: Text,
    Kind.LONG_TEXT: Text,
    Kind.NUMBER: Number,
    Kind.MONEY: Money,
    Kind.DATE: Day,
    Kind.YES_NO: YesNo,
    Kind.CHOICE: Pick,
    Kind.CHOICES: Pick,
    Kind.PERSON: Person,
}


def of(model):
    """This will give what may be asked of the fields of `model` in use, {key: Field}; the same while these stand."""
    fields = model.custom_fields()
    if not fields:
        return {}
    made = Organisation.current().__dict__.setdefault("custom_conditions", {})
    if model.guard not in made:
        made[model.guard] = {field.key: BY_KIND[field.kind](field, model) for field in fields}
    return made[model.guard]
