"""
The rows of tables as text that is the same whichever database holds them: backups are made of it, digests compare it.

It is the text of PostgreSQL's COPY, in the order of the keys: values between tabs, \\N where there is none, a backslash
before what would not be seen. PostgreSQL writes and reads it by itself; SQLite is asked for the same, column by column.
"""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from io import BufferedReader, TextIOWrapper

from django.apps import apps as present
from django.db import connection

# Who is signed in, and which workers run: of no use later, and a key of a session is as good as a password.
LEFT_OUT = {"django_session", "usersessions_usersession", "crm_workerpulse"}
AT_ONCE = 2_000  # rows
NONE = r"\N"
SEEN = {"\\": "\\", "\b": "b", "\t": "t", "\n": "n", "\v": "v", "\f": "f", "\r": "r"}  # what stands after a backslash
MEANT = {f"\\{letter}": sign for sign, letter in SEEN.items()}

# What is said of a column, by the kind of its field. A kind of field that is not here has no such text yet.
KINDS = {
    **dict.fromkeys(["AutoField", "BigAutoField", "IntegerField", "BigIntegerField", "DateField"], "plain"),
    **dict.fromkeys(["PositiveIntegerField", "PositiveBigIntegerField", "PositiveSmallIntegerField"], "plain"),
    **dict.fromkeys(["CharField", "TextField", "SlugField"], "text"),
    "DateTimeField": "moment",
    "DecimalField": "decimal",
    "BooleanField": "yes",
    "JSONField": "json",
    "UUIDField": "uuid",
    "BinaryField": "bytes",
    "PiecesField": "pieces",
}


@dataclass(frozen=True)
class Table:
    """A table: its name, the column of its key, and {column: kind} of all that are stored; a decimal's with places."""

    name: str
    key: str
    columns: dict

    @property
    def quoted(self):
        return connection.ops.quote_name(self.name)

    @property
    def _names(self):
        return ", ".join(map(connection.ops.quote_name, self.columns))

    def pieces(self):
        """This will yield the text of all rows, as bytes, many rows at a time."""
        return self._postgresql_pieces() if connection.vendor == "postgresql" else self._sqlite_pieces()

    def digest(self):
        """This will give (number of rows, hash of their text in hex)."""
        rows, whole = 0, sha256()
        for piece in self.pieces():
            rows += piece.count(b"\n")
            whole.update(piece)
        return rows, whole.hexdigest()

    def fill(self, file):
        """This will bring the rows of such a text into the table; `file` is binary. Raises what the database does."""
        with connection.cursor() as cursor, connection.wrap_database_errors:
            if connection.vendor != "postgresql":
                places = ", ".join("?" * len(self.columns))
                # Asked of the connection itself: Django's own would keep all rows in memory.
                connection.connection.executemany(
                    f"INSERT INTO {self.quoted} ({self._names}) VALUES ({places})",  # noqa: S608  names of our own
                    self._sqlite_rows(file),
                )
            elif "pieces" in self.columns.values():
                self._fill_arrays(cursor, file)
            else:
                self._copy(cursor, self.quoted, file)

    def last_key(self):
        """This will give the last number that was given out as a key; None where keys are no such numbers."""
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                if not (sequence := self._sequence(cursor)):
                    return None
                cursor.execute(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}")  # noqa: S608  a name of the database's
            else:
                cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [self.name])
            found = cursor.fetchone()
        return found and found[0]

    def go_on_after(self, last):
        """
        This will have the next row get a key above `last`, and above all that are there: the key of a record that is
        in the recycle bin is no other's.
        """
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT max({connection.ops.quote_name(self.key)}) FROM {self.quoted}")  # noqa: S608  names of our own
            last = max(last, cursor.fetchone()[0] or 0)
            if connection.vendor == "postgresql":
                cursor.execute("SELECT setval(%s, greatest(%s, 1), %s)", [self._sequence(cursor), last, last > 0])
            else:
                cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [self.name])
                cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [self.name, last])

    # PostgreSQL

    def _sequence(self, cursor):
        cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [self.quoted, self.key])
        return cursor.fetchone()[0]

    def _postgresql_pieces(self):
        said = ", ".join(
            {"moment": f"{name} AT TIME ZONE 'UTC'", "pieces": f"array_to_string({name}, ' ')"}.get(kind, name)
            for name, kind in self._quoted_columns()
        )
        order = connection.ops.quote_name(self.key) + (' COLLATE "C"' if self.columns.get(self.key) == "text" else "")
        with connection.cursor() as cursor:
            cursor.execute("SET datestyle = ISO")
            with cursor.copy(f"COPY (SELECT {said} FROM {self.quoted} ORDER BY {order}) TO STDOUT") as rows:  # noqa: S608  names of our own
                waiting = []
                for row in rows:
                    waiting.append(bytes(row))
                    if len(waiting) == AT_ONCE:
                        yield b"".join(waiting)
                        waiting = []
                yield b"".join(waiting)

    def _copy(self, cursor, table, file):
        with cursor.copy(f"COPY {table} ({self._names}) FROM STDIN") as copy:
            while piece := file.read(1 << 20):
                copy.write(piece)

    def _fill_arrays(self, cursor, file):
        """This will bring in rows some of whose columns are arrays here: by way of a table that has texts there."""
        arrays = [name for name, kind in self._quoted_columns() if kind == "pieces"]
        cursor.execute(f"CREATE TEMPORARY TABLE arriving (LIKE {self.quoted}) ON COMMIT DROP")
        for name in arrays:
            cursor.execute(f"ALTER TABLE arriving ALTER COLUMN {name} TYPE text")
        self._copy(cursor, "arriving", file)
        said = [f"string_to_array({name}, ' ')" if name in arrays else name for name, _kind in self._quoted_columns()]
        cursor.execute(f"INSERT INTO {self.quoted} ({self._names}) SELECT {', '.join(said)} FROM arriving")  # noqa: S608  names of our own
        cursor.execute("DROP TABLE arriving")

    # SQLite

    def _sqlite_pieces(self):
        said = (f"coalesce({sqlite_said(name, kind)}, '{NONE}')" for name, kind in self._quoted_columns())
        line = " || char(9) || ".join(said)
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {line} FROM {self.quoted} ORDER BY {connection.ops.quote_name(self.key)}")  # noqa: S608  names of our own
            while rows := cursor.fetchmany(AT_ONCE):
                yield "".join(f"{row[0]}\n" for row in rows).encode()

    def _sqlite_rows(self, file):
        """This will yield the values of each row as Django stores them in SQLite."""
        kept = [SQLITE_KEPT.get(kind.split()[0]) for kind in self.columns.values()]
        kept = [(place, keep) for place, keep in enumerate(kept) if keep]
        for line in TextIOWrapper(BufferedReader(file), encoding="utf-8", newline="\n"):
            row = [None if value == NONE else value for value in line[:-1].split("\t")]
            for place, keep in kept:
                if row[place] is not None:
                    row[place] = keep(row[place])
            yield row

    def _quoted_columns(self):
        return [(connection.ops.quote_name(name), kind) for name, kind in self.columns.items()]


def tables(apps=present):
    """This will list the tables of all models, less those that are left out, by name."""
    models = {
        model._meta.db_table: model
        for model in apps.get_models(include_auto_created=True)
        if not model._meta.proxy and model._meta.managed and model._meta.db_table not in LEFT_OUT
    }
    return [
        Table(
            name,
            models[name]._meta.pk.column,
            {field.column: kind_of(field) for field in models[name]._meta.concrete_fields if not field.generated},
        )
        for name in sorted(models)
    ]


def kind_of(field):
    """This will say what is in the column of a field."""
    while field.remote_field:
        field = field.target_field
    kind = KINDS[field.get_internal_type()]
    return f"decimal {field.decimal_places}" if kind == "decimal" else kind


def digest_of(digests):
    """This will give one hash for all tables, of {name: hash}."""
    return sha256("".join(f"{name} {digests[name]}\n" for name in sorted(digests)).encode()).hexdigest()


# ── What PostgreSQL does by itself, done for SQLite ──────────────────────────────────────────────────────────────────


def sqlite_said(name, kind):
    """This will give the expression of SQLite that says a column as PostgreSQL's COPY does; NULL where it is NULL."""
    if kind.startswith("decimal"):
        # It would take NULL for 0.
        return f"CASE WHEN {name} IS NOT NULL THEN printf('%.{kind.split()[1]}f', {name}) END"
    uuid = " || '-' || ".join(f"substr({name}, {start}, {length})" for start, length in UUID)
    return {
        "plain": name,
        "text": escaped(name),
        "pieces": escaped(name),
        "json": escaped(f"json_said({name})"),
        "moment": f"CASE WHEN length({name}) > 19 THEN rtrim(rtrim({name}, '0'), '.') ELSE {name} END",
        "yes": f"CASE {name} WHEN 1 THEN 't' WHEN 0 THEN 'f' END",
        "uuid": uuid,
        "bytes": rf"CASE WHEN {name} IS NOT NULL THEN '\\x' || lower(hex({name})) END",
    }[kind]


# Made once: json.loads and json.dumps would make them anew each time.
READ = json.JSONDecoder(parse_float=Decimal).decode
WRITE = json.JSONEncoder(ensure_ascii=False).encode
UUID = [(1, 8), (9, 4), (13, 4), (17, 4), (21, 12)]  # where its parts begin, and how long they are


def escaped(expression):
    for sign, letter in SEEN.items():  # the backslash first
        expression = f"replace({expression}, char({ord(sign)}), '\\{letter}')"
    return expression


def unescaped(text):
    return re.sub(r"\\.", lambda found: MEANT[found[0]], text) if "\\" in text else text


@lru_cache(10_000)
def json_said(text):
    """This will say some JSON as PostgreSQL does, which keeps no order of keys and no way of writing a number."""
    return text if text in (None, "{}", "[]") else _said(READ(text))


def _said(value):
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (len(key.encode()), key.encode()))
        return "{" + ", ".join(f"{_said(key)}: {_said(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_said, value)) + "]"
    return f"{value:f}" if isinstance(value, Decimal) else WRITE(value)


def json_kept(text):
    """This will write some JSON as Django does in SQLite."""
    text = unescaped(text)
    return text if text.isascii() else json.dumps(json.loads(text))


SQLITE_KEPT = {
    "text": unescaped,
    "pieces": unescaped,
    "json": json_kept,
    "moment": lambda text: text if len(text) == 19 else text.ljust(26, "0"),
    "yes": "t".__eq__,
    "uuid": lambda text: text.replace("-", ""),
    "bytes": lambda text: bytes.fromhex(text[3:]),
}
