"""
The ranking of a month: who signed for how much, and whose reports were approved.

It is the one published aggregate: made of Signings and granted reports as they were credited (see crediting), the same
for every reader, and naming no record. A row opens its list only for a reader whose scope covers every record in it, so
that list and row agree.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import chain, groupby

from django.contrib.contenttypes.models import ContentType
from django.db import connections
from django.db.models import Count, Exists, OuterRef, Q
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from approvals.models import Act, Approval
from crm import kinds, shown
from crm.models import Department, Level, User
from crm.moments import organisation_month
from crm.pinyin import sort_key
from crm.querysets import among, in_scope, is_wide
from crm.replica import reading
from opportunities.crediting import SUMS, Credit
from opportunities.signings import Signing

SHOWN = 50  # rows of a table; the reader's own stands below them where it comes later


class Signed:
    """Opportunities signed, by their amount in hundredths of the base currency."""

    about = "opportunity"  # the column that names the opportunity
    value, count = 1, 2  # where they stand in what somebody was credited with

    @staticmethod
    def facts():
        return Signing.objects.order_by()


class Reported:
    """Reports approved, by their number."""

    about = "about_id"
    value = count = 3

    @staticmethod
    def facts():
        about_type = ContentType.objects.get_for_model(_opportunities().model)
        return Approval.objects.granted(Act.REPORT).filter(about_type=about_type).order_by()


def _opportunities():
    return Signing.opportunity.field.related_model.objects


@reading()
def first_month():
    """This will give the first month that a ranking can be asked for: that of the earliest fact, else this one."""
    first = Credit.objects.order_by("month").values_list("month", flat=True).first()
    return min(filter(None, [first, organisation_month()]))


def month_before(month):
    return date(month.year - (month.month == 1), (month.month - 2) % 12 + 1, 1)


def month_after(month):
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def read_month(text):
    """This will read a month as an address carries it, "2026-11", as its first day. Raises ValueError."""
    found = re.fullmatch(r"((?:19|20|21)\d{2})-(0[1-9]|1[0-2])", text, re.ASCII)
    if found is None:
        raise ValueError(text)
    return date(int(found[1]), int(found[2]), 1)


# ── The order ────────────────────────────────────────────────────────────────────────────────────────────────────────

PLACE = ("province_id", "city_id", "department_id")
OWNER, WHERE = 0, slice(4, 7)  # of what one person was credited with, in one month and place
BELOW = {Level.HEAD_OFFICE: 0, Level.PROVINCE: 1, Level.CITY: 2, Level.TEAM: 3}  # where in PLACE what lies below begins


@dataclass
class Row:
    """The place of one person, or of one department, in a table."""

    key: int
    name: str
    second: str
    place: int
    value: int
    count: int
    before: int | None  # the place in the month before, where there was anything
    part: str  # of the largest value, in percent: "88.2"
    mine: bool
    ask: str | None  # what the list behind it is asked with; None for a reader who does not see all of it

    @property
    def amount(self):
        return Decimal(self.value).scaleb(-2)


@dataclass
class Table:
    """
    A month's order by one measure. Of the many rows of a large organisation only those that are shown are made, and of
    many at one place only those are put in order, by name, of which some are shown.
    """

    tied: dict  # {place: the keys of its rows}, the first place first
    know: Callable  # looks up what keys are called, at once
    in_order: Callable  # puts the keys of one place in order
    make: Callable  # makes the row of a key
    mine_key: int | None
    value: int
    count: int
    ask: str | None

    @property
    def amount(self):
        return Decimal(self.value).scaleb(-2)

    @cached_property
    def total(self):
        return sum(map(len, self.tied.values()))

    def ordered(self, number=None):
        """This will give the keys of the first `number` rows, or of all."""
        places = [tied for place, tied in self.tied.items() if number is None or place <= number]
        self.know(chain(*places))
        return [key for tied in places for key in self.in_order(tied)][:number]

    @property
    def needed(self):
        """This will give the keys of all that are shown, in no order, and of those at a place with them."""
        shown = [tied for place, tied in self.tied.items() if place <= SHOWN]
        return chain(*shown, self.tied_ahead)

    @property
    def tied_ahead(self):
        """
        This will give the keys at the place that the reader has next to overtake, of very many one; [] for the first.
        """
        ahead = []
        for tied in self.tied.values():
            if self.mine_key in tied:
                return ahead if len(ahead) <= SHOWN else ahead[:1]
            ahead = tied
        return []

    @cached_property
    def rows(self):
        return [self.make(key) for key in self.ordered()]

    @cached_property
    def shown(self):
        return self.top(SHOWN)

    @cached_property
    def mine(self):
        return None if self.mine_key is None else self.make(self.mine_key)

    @cached_property
    def leaders(self):
        leading = [self.make(key) for key in self.in_order(next(iter(self.tied.values()), []))]
        return leading if leading and leading[0].value else []

    @property
    def ahead(self):
        """This will give the row that the reader's own has next to overtake; None for the first."""
        tied = self.tied_ahead
        return self.make(self.in_order(tied)[-1]) if tied else None

    def top(self, number):
        """This will give the first `number` rows; the last gives way to the reader's own where that comes later."""
        keys = self.ordered(number)
        if self.mine_key is not None and self.mine_key not in keys:
            keys[number - 1 :] = [self.mine_key]
        return [self.make(key) for key in keys]


class Ranking:
    """
    The order of `month` within `department` (None: everywhere), as `reader` is shown it: of people, or of the
    departments one level below, where what the department itself was credited with has a row of its own.

    `with_lists` is False where neither lists, departments nor the month before are shown: it saves most of the work.
    """

    def __init__(self, reader, month, department, *, of_departments=False, with_lists=True):
        self.reader = reader
        self.month = month
        self.before = month_before(month)
        self.department = department
        self.of_departments = of_departments
        self.with_lists = with_lists
        self._places = {}

    @cached_property
    def departments(self):
        return {department.pk: department for department in Department.objects.all()}

    @property
    def amounts(self):
        return self._tables[Signed]

    @property
    def reports(self):
        return self._tables[Reported]

    @cached_property
    def people_count(self):
        return len(self._people)

    @cached_property
    def departments_count(self):
        return len(self._departments)

    # What was credited

    @property
    def _within(self):
        return self.department.reach if self.department else {}

    @reading()
    def _credited(self, month, *place):
        """This will list what was credited in a month: (owner, SUMS, and the ids that `place` names)."""
        found = Credit.objects.filter(month=month, **self._within).order_by()
        return raw(found.values_list("owner", *SUMS, *place))

    @cached_property
    def _this_month(self):
        return self._credited(self.month, *PLACE)

    @cached_property
    def _month_before(self):
        if not self.with_lists:
            return []
        return self._credited(self.before, *(PLACE if self.of_departments else ()))

    @cached_property
    def _people(self):
        """This will name whoever has anything this month, and the reader: the rows of a table of people."""
        return {credit[OWNER] for credit in self._this_month} | {self.reader.pk}

    @cached_property
    def _departments(self):
        """This will name the rows of a table of departments: those one level below, and where anything was credited."""
        chosen = self.department and self.department.pk
        below = {pk for pk, one in self.departments.items() if one.parent_id == chosen and one.active}
        return below.union(map(self._place, {credit[WHERE] for credit in self._this_month}))

    def _place(self, where):
        """This will give the department one level below to which something belongs, or the one itself."""
        itself = self.department and self.department.pk
        below = BELOW[self.department.level] if self.department else 0
        return next((pk for pk in where[below:] if pk != itself), itself)

    def _sums(self, kind, credited, what):
        """This will add up the value or the count of a kind of fact by row, of those who have any."""
        credited = [credit for credit in credited if credit[kind.count]]
        if not self.of_departments:
            sums = {credit[OWNER]: credit[what] for credit in credited}
            if len(sums) == len(credited):  # nobody was credited in two places, as in most months
                return sums
        sums = defaultdict(int)
        for credit in credited:
            sums[self._place(credit[WHERE]) if self.of_departments else credit[OWNER]] += credit[what]
        return sums

    @cached_property
    def _tables(self):
        tables = {kind: self._table(kind) for kind in (Signed, Reported)}
        self._know(chain.from_iterable(table.needed for table in tables.values()))
        return tables

    def _table(self, kind):
        keys = self._departments if self.of_departments else self._people
        nothing = dict.fromkeys(keys, 0)
        values = nothing | self._sums(kind, self._this_month, kind.value)
        is_a_number = kind.value == kind.count
        counts = values if is_a_number else nothing | self._sums(kind, self._this_month, kind.count)
        now, before = Places(values), Places(self._sums(kind, self._month_before, kind.value))
        largest = max(values.values(), default=0) or 1
        seen = self._seen(kind, counts)

        def row(key):
            return Row(
                key=key,
                name=self._name(key),
                second=self._second(key),
                place=now.get(key),
                value=values[key],
                count=counts[key],
                before=before.get(key),
                part=f"{100 * values[key] / largest:.1f}",
                mine=self._is_mine(key),
                ask=self._ask(key) if counts[key] and counts[key] == seen[key] else None,
            )

        mine = self.reader.pk if not self.of_departments else next(filter(self._is_mine, keys), None)
        count = sum(counts.values())
        whole = ask(self.month, *self._chosen) if count and count == sum(seen.values()) else None
        return Table(by_place(values), self._know, self._in_order, row, mine, sum(values.values()), count, whole)

    def _in_order(self, keys):
        return sorted(keys, key=lambda key: (sort_key(self._name(key)), key)) if len(keys) > 1 else keys

    # Whose lists the reader may open

    @reading()
    def _seen(self, kind, counts):
        """This will count, for each row, the records that are the reader's own or in scope; a share opens no number."""
        seen = defaultdict(int)
        if not self.with_lists:
            return seen
        scope = in_scope(self.reader)
        if not scope:
            return counts
        covered = _opportunities().filter(Q(owner=self.reader) | scope).order_by()
        if is_wide(self.reader):  # a month has less than a whole province
            is_covered = Q(Exists(covered.filter(pk=OuterRef(kind.about))))
        else:
            is_covered = Q(**{f"{kind.about}__in": covered.values("pk")})
        found = kind.facts().filter(is_covered, month=self.month, **self._within)
        if self.of_departments:
            for *where, count in found.values_list(*PLACE).annotate(facts=Count("*")):
                seen[self._place(where)] += count
        else:
            seen.update(found.values_list("owner").annotate(facts=Count("*")))
        return seen

    @property
    def _chosen(self):
        return [("in", self.department.pk)] if self.department and self.department.reach else []

    def _ask(self, key):
        if not self.of_departments:
            return ask(self.month, *self._chosen, ("by", key))
        itself = self.department and key == self.department.pk
        return ask(self.month, ("at", key)) if itself else ask(self.month, *self._chosen, ("in", key))

    # How a row is called

    @cached_property
    def _names(self):
        return {self.reader.pk: str(self.reader)}

    def _know(self, keys):
        """This will look up who the `keys` are: of a large organisation only those who are shown."""
        if self.of_departments:
            return
        if missing := set(keys) - self._names.keys():
            for pk, name, username in User.objects.filter(pk__in=missing).values_list("pk", "name", "username"):
                self._names[pk] = name or username

    def _departments_of(self, person):
        """This will give the ids of the departments at which somebody was credited, of those who are known."""
        if person not in self._places:
            found = {pk: {} for pk in self._names}
            for credit in self._this_month:
                if credit[OWNER] in found:
                    found[credit[OWNER]][credit[WHERE][-1]] = None
            self._places = found
        return self._places[person] or [self.reader.department_id]

    def _name(self, key):
        if not self.of_departments:
            return self._names[key]
        if self.department and key == self.department.pk:
            return _("%(department)s itself") % {"department": self.department}
        return str(self.departments[key])

    def _second(self, key):
        if self.of_departments or not self.with_lists:
            return ""
        return ", ".join(str(self.departments[pk]) for pk in self._departments_of(key) if pk)

    def _is_mine(self, key):
        if not self.of_departments:
            return key == self.reader.pk
        mine = self.reader.department
        if mine is None or (self.department and key == self.department.pk):
            return mine == self.department
        return key in mine.ancestor_ids


def raw(facts):
    """
    This will give the rows of a queryset of numbers as the database does: of thousands of rows Django turns each number
    by itself.
    """
    with connections[facts.db].cursor() as cursor:
        cursor.execute(*facts.query.get_compiler(facts.db).as_sql())
        return cursor.fetchall()


def by_place(values):
    """
    This will give the keys of {key: value} by their place, {place: keys}, the largest value first; equal ones share a
    place: 1, 1, 3.
    """
    keys = sorted(values, key=values.get, reverse=True)
    found, number = {}, 1
    for _value, tied in groupby(keys, key=values.get):
        found[number] = [*tied]
        number += len(found[number])
    return found


class Places:
    """At which place each key of {key: value} stands, for a few of many."""

    def __init__(self, values):
        self.values = values

    def get(self, key):
        """This will give its place; None of a key that has none."""
        return len(self._sorted) - bisect_right(self._sorted, self.values[key]) + 1 if key in self.values else None

    @cached_property
    def _sorted(self):
        return sorted(self.values.values())


# ── The list behind a number ─────────────────────────────────────────────────────────────────────────────────────────


def ask(month, *parts):
    """This will write what a number counts, as the condition `Ranked` reads it: "2026-11.in-7.by-5"."""
    return ".".join([f"{month:%Y-%m}", *(f"{kind}-{pk}" for kind, pk in parts)])


@dataclass
class Asked:
    """Which facts are meant: of a month, in departments with those below them, at one alone, by one person."""

    month: date
    within: list
    at: list
    by: list

    @property
    def q(self):
        reaches = [Q(**department.reach) for department in self.within]
        return Q(
            *reaches, Q(month=self.month), *(Q(department=one) for one in self.at), *(Q(owner=one) for one in self.by)
        )

    def __str__(self):
        within = [_("%(department)s and below") % {"department": one} for one in self.within]
        return ", ".join(map(str, [shown.month(self.month), *within, *self.at, *self.by]))


class Ranked(kinds.Field):
    """What a number of the ranking counts, asked of opportunities: signed=2026-11.in-7.by-5."""

    operators = ("is",)

    def __init__(self, label, kind):
        super().__init__(label)
        self.kind = kind

    def clean_one(self, op, value):
        month, _dot, parts = value.partition(".") if isinstance(value, str) else ("", "", "")
        try:
            read_month(month)
        except ValueError as error:
            raise self.wrong(value) from error
        if not re.fullmatch(r"((^|\.)(in|at|by)-\d{1,18})*", parts, re.ASCII):
            raise self.wrong(value)
        return value

    def records(self, values, user):
        """This will look up the Asked that each value means; one that names nobody there is is left out."""
        split = {value: [part.split("-") for part in value.split(".")[1:]] for value in values}
        named = [(kind, int(pk)) for parts in split.values() for kind, pk in parts]
        departments = Department.objects.in_bulk({pk for kind, pk in named if kind != "by"})
        people = User.objects.in_bulk({pk for kind, pk in named if kind == "by"})
        found = {}
        for value, parts in split.items():
            asked = {"in": [], "at": [], "by": []}
            for kind, pk in parts:
                asked[kind].append((people if kind == "by" else departments).get(int(pk)))
            if None not in chain(*asked.values()):
                found[value] = Asked(read_month(value.split(".")[0]), asked["in"], asked["at"], asked["by"])
        return found

    def unknown(self, values, asked):
        return [value for value in values if value not in asked.records(self)]

    def compare(self, op, value, asked):
        meant = asked.records(self).get(value)
        if meant is None:
            return kinds.NOBODY, lambda record: False
        facts = self.kind.facts().filter(meant.q)
        return among([facts.values(self.kind.about)]), lambda record: facts.filter(
            **{self.kind.about: record.pk}
        ).exists()

    def show(self, value, asked):
        return str(asked.records(self).get(value, _("unknown")))
