"""
Questions that are the same each time but for the keys in them. Django writes the SQL of a queryset anew whenever it is
asked, which takes longer than the answer; what is `prepared` is written once on each connection. PostgreSQL also plans
anew how to answer: there the session is told the question once, too.
"""

import re
from functools import partial, wraps

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import prefetch_related_objects

FIRST = 2_000_000_000  # stands where a key will: a number that every column of keys can hold


def prepared(build):
    """
    This will make of `build`, which gives a queryset for some keys (int), what gives its rows for them, as a list, read
    in the database itself and not in a replica. What it is given by name is part of the question.

    `build` may look at nothing else, neither at what a key is: not at who asks, the language or the time. Where its SQL
    shows that it did, or that it left a key out, the first asking raises TypeError.
    """

    @wraps(build)
    def rows(*keys, **part):
        connection = connections[DEFAULT_DB_ALIAS]
        kept = connection.__dict__.setdefault("prepared", {})
        question = (build, len(keys), *part.items())
        if question not in kept:
            kind = Told if connection.vendor == "postgresql" else Written
            kept[question] = kind(partial(build, **part), len(keys), connection, f"prepared_{len(kept)}")
        return kept[question].rows(keys)

    return rows


class Written:
    """A queryset as `connection` is asked it, by the thread that has the connection: its SQL, and where keys stand."""

    def __init__(self, build, number, connection, name):
        self.connection, self.name, self.number = connection, name, number
        keys, others = range(FIRST, FIRST + number), range(FIRST + number, FIRST + 2 * number)
        self.queryset = build(*keys)
        self.compiler = self.queryset.query.get_compiler(connection=connection)
        self.sql, self.values = self.compiler.as_sql()
        self.places = {at: keys.index(value) for at, value in enumerate(self.values) if value in keys}
        sql, values = build(*others).query.get_compiler(connection=connection).as_sql()
        if {*self.places.values()} != {*range(number)} or (sql, [*values]) != (self.sql, self._with(others)):
            raise TypeError(f"{build.func.__qualname__} does not ask for its keys alone: {self.sql}")
        converters = self.compiler.get_converters([column for column, *_ in self.compiler.select])
        self.compiler.get_converters = lambda columns: converters
        self.queryset.query.get_compiler = lambda *_where, **_how: self.compiler

    def rows(self, keys):
        asked = self._asked(keys)
        self.compiler.as_sql = lambda **_how: asked
        rows = list(self.queryset._iterable_class(self.queryset))
        prefetch_related_objects(rows, *self.queryset._prefetch_related_lookups)
        return rows

    def _asked(self, keys):
        """This will give the SQL, and what stands in it, that asks for `keys`."""
        return self.sql, tuple(self._with(keys))

    def _with(self, keys):
        return [keys[self.places[at]] if at in self.places else value for at, value in enumerate(self.values)]


class Told(Written):
    """A question that a session of PostgreSQL has been told, and is asked by its name from then on."""

    session = None

    def _asked(self, keys):
        self.connection.ensure_connection()
        if self.session is not self.connection.connection:
            self._tell(self.connection.connection)
        places = ", ".join(["%s"] * self.number)
        return f"EXECUTE {self.name}({places})" if places else f"EXECUTE {self.name}", keys

    def _tell(self, session):
        keys = range(FIRST, FIRST + self.number)
        sql = self.connection.ops.compose_sql(self.sql, self._with(keys))
        for number, key in enumerate(keys, 1):
            sql = re.sub(rf"\b{key}\b", f"${number}", sql)
        types = f"({', '.join(['bigint'] * self.number)})" if keys else ""
        with self.connection.wrap_database_errors:
            session.execute(f"PREPARE {self.name}{types} AS {sql}")
        self.session = session
