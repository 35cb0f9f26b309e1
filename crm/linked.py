"""
The kinds of field that conditions ask in other tables: what a record has several of, such as contacts, and what is
said of another record, such as the industry of its customer. See crm.kinds.

To have any of some is asked as `id IN (…)`, which either database begins with where few rows have them. To have none,
or nothing at all, is asked row by row in the index of the link: the list of all that do have something may be as long
as the table, and PostgreSQL, which cannot keep such a list at hand, would go through it again for every row.
"""

from copy import copy
from functools import cached_property

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import pgettext_lazy

from crm.kinds import ALONE, OPPOSITES, Field, OneOf, Person, Pick, Record, YesNo


class Linked(OneOf):
    """
    What a record has several of: `path` names the way there, "placements.contact", by the name of the relation and the
    column in its rows.
    """

    words = {
        "is": pgettext_lazy("condition", "has"),
        "is_not": pgettext_lazy("condition", "does not have"),
        "in": pgettext_lazy("condition", "has any of"),
        "not_in": pgettext_lazy("condition", "has none of"),
    }

    few = False  # whether the links are few enough for a list of all of them

    def __init__(self, label, path=None):
        super().__init__(label)
        self.path = path

    @property
    def relation(self):
        return self.model._meta.get_field(self.path.split(".")[0])

    @property
    def owner(self):
        """This will give the column of the link that names the record."""
        return self.relation.field.attname

    @property
    def to(self):
        """This will give the column of the link that names what the record has."""
        return self.path.split(".")[1]

    @property
    def related_model(self):
        linked = self.relation.related_model
        return linked if self.to == "pk" else linked._meta.get_field(self.to).related_model

    def links(self):
        """This will give the rows of the link, in no order."""
        return self.relation.related_model._base_manager.filter(**{f"{self.to}__isnull": False}).order_by()

    def meaning(self, op, value, asked):
        links = self.links()
        if op not in ALONE:
            held = self.held(value if isinstance(value, list) else [value], asked)
            links = links.filter(**{f"{self.to}__in": held})
        wanted = op not in ("is_not", "not_in", "empty")
        by_row = not self.few and (not wanted or op in ALONE)
        condition = (
            Q(Exists(links.filter(**{self.owner: OuterRef("pk")}))) if by_row else Q(pk__in=links.values(self.owner))
        )
        return (
            condition if wanted else ~condition,
            lambda record: links.filter(**{self.owner: record.pk}).exists() is wanted,
        )


class ManyPicks(Linked, Pick):
    """Values of a picklist, such as the products on an opportunity; with each value go those that are part of it."""

    def held(self, values, asked):
        keys = super().held(values, asked)
        parts = {}
        for one in asked.records(self).values():
            parts.setdefault(getattr(one, "parent_id", None), []).append(one.pk)
        for key in keys:  # it grows while it is walked through
            keys += [part for part in parts.get(key, ()) if part not in keys]
        return keys


class ManyRecords(Linked, Record):
    """Other records, such as the contacts of a customer."""


class ManyPeople(Linked, Person):
    """People who work here, such as those with whom an opportunity is shared."""


NEGATED = {op: meant for op, meant in OPPOSITES.items() if op != "not_empty"} | {"empty": "not_empty"}


class Through(Field):
    """
    What is said of another record: `link` is the column that names it, `name` the condition of that model.

    Only what the reader sees whole counts. Whoever knows a customer by its name card alone may not learn its industry
    from which opportunities a filter leaves; for them it is as if that said nothing, so it "is not" anything and is
    empty. One more reason holds for asking by nobody: what is for everybody to see is asked of nothing.
    """

    def __init__(self, label, link, name):
        super().__init__(label)
        self.link = link
        self.name_there = name

    @cached_property
    def there(self):
        """This will give the field that is asked, under the key that it has here."""
        related = self.model._meta.get_field(self.link).related_model
        field = copy(related.CONDITIONS[self.name_there])
        field._column = field.column
        field.key = self.key
        field._label = self._label
        return field

    @property
    def part(self):
        return self.link

    @property
    def operators(self):
        return (*self.there.operators, *(op for op in ("empty", "not_empty") if op not in self.there.operators))

    @property
    def control(self):
        return self.there.control

    @property
    def picks(self):
        return self.there.picks

    def clean(self, op, value):
        return None if op in ALONE else self.there.clean(op, value)

    def clean_one(self, op, value):
        return self.there.clean_one(op, value)

    def choices_for(self, asked, chosen):
        return self.there.choices_for(asked, chosen)

    def records(self, values, user):
        return self.there.records(values, user)

    def unknown(self, values, asked):
        return self.there.unknown(values, asked)

    def show(self, value, asked):
        return self.there.show(value, asked)

    def write(self, op, value):
        return self.there.write(op, value)

    def read(self, suffix, texts):
        return self.there.read(suffix, texts)

    def read_one(self, op, text):
        return self.there.read_one(op, text)

    def meaning(self, op, value, asked):
        if op in NEGATED:
            condition, holds = self.meaning(NEGATED[op], value, asked)
            return ~condition, lambda record: not holds(record)
        condition, holds = self.there.meaning(op, value, asked) if op in self.there.operators else (Q(), bool)
        related = self.there.model.objects
        seen = related.visible_to(asked.user) if asked.user is not None else related.none()
        column = self.model._meta.get_field(self.link).attname
        return (
            Q(**{f"{self.link}__in": seen.filter(condition).order_by().values("pk")}),
            lambda record: any(map(holds, seen.filter(pk=getattr(record, column)))),
        )


class HasSeen(YesNo):
    """Whether there is any row behind `relation`, of those that the reader sees and `narrowed` leaves."""

    def __init__(self, label, relation, narrowed):
        super().__init__(label)
        self.relation = relation
        self.narrowed = narrowed

    def compare(self, op, value, asked):
        relation = self.model._meta.get_field(self.relation)
        column = relation.field.attname
        rows = relation.related_model.objects
        rows = self.narrowed(rows.visible_to(asked.user) if asked.user is not None else rows.none()).order_by()
        condition = Q(Exists(rows.filter(**{column: OuterRef("pk")})))
        return (
            condition if value else ~condition,
            lambda record: rows.filter(**{column: record.pk}).exists() is value,
        )
