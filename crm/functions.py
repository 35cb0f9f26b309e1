"""Database functions that mean the same on SQLite and on PostgreSQL."""

import string

from django.db.models import BooleanField, CharField, Func, IntegerField, Subquery, TextField, Transform
from django.db.models.lookups import Contains

LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class PkIn(Func):
    """
    The condition that the first expression is among the rows of the second, a subquery.

    On PostgreSQL an array, since `id IN (subquery)` inside an OR makes it filter the whole table; on SQLite a plain IN.
    """

    output_field = BooleanField()
    conditional = True
    arity = 2

    def as_sqlite(self, compiler, connection, **extra):
        return self.as_sql(compiler, connection, template="%(expressions)s", arg_joiner=" IN ", **extra)

    def as_postgresql(self, compiler, connection, **extra):
        return self.as_sql(compiler, connection, template="%(expressions)s)", arg_joiner=" = ANY(ARRAY", **extra)


class Keys(Subquery):
    """The subquery of PkIn: where it can give nothing, nothing is asked of the database."""

    empty_result_set_value = NotImplemented  # Django would write NULL, which is no set to be among


class Joined(Subquery):
    """The texts that a subquery gives, joined by commas into one; NULL where it gives none."""

    output_field = TextField()
    template = "(SELECT group_concat(texts.one) FROM (%(subquery)s) AS texts)"

    def __init__(self, queryset, text):
        super().__init__(queryset.order_by().annotate(one=text).values("one"))

    def as_postgresql(self, compiler, connection, **extra):
        template = "(SELECT string_agg(texts.one, ',') FROM (%(subquery)s) AS texts)"
        return self.as_sql(compiler, connection, template=template, **extra)


class DayNumber(Func):
    """Days from 2000-01-01 to a date: an integer, immutable, so that a stored generated column may hold it."""

    output_field = IntegerField()
    arity = 1

    def as_sqlite(self, compiler, connection, **extra):
        return self.as_sql(
            compiler, connection, template="CAST(julianday(%(expressions)s) - 2451544.5 AS INTEGER)", **extra
        )

    def as_postgresql(self, compiler, connection, **extra):
        return self.as_sql(compiler, connection, template="(%(expressions)s - DATE '2000-01-01')", **extra)


def ascii_lower(text):
    """This will give `text` with its Latin capitals small, as AsciiLower does."""
    return text.translate(LOWER)


@CharField.register_lookup
@TextField.register_lookup
class AsciiLower(Transform):
    """
    A text with its Latin capitals small: `name__ascii_lower__contains`. SQLite knows the case of no other letters,
    so this is the one way of comparing without case in which both databases and Python (`ascii_lower`) agree.
    """

    lookup_name = "ascii_lower"
    function = "LOWER"

    def as_postgresql(self, compiler, connection, **extra):
        return self.as_sql(compiler, connection, template='LOWER(%(expressions)s COLLATE "C")', **extra)


@AsciiLower.register_lookup
class AsciiLowerContains(Contains):
    """
    Whether a text holds one that is small already. The text need not be made small where that one has no Latin letter;
    nor for SQLite, whose LIKE takes them in either case.
    """

    def as_sql(self, compiler, connection):
        [text] = self.lhs.get_source_expressions()
        spared = connection.vendor == "sqlite" or not set(string.ascii_lowercase).intersection(self.rhs)
        return Contains(text, self.rhs).as_sql(compiler, connection) if spared else super().as_sql(compiler, connection)
