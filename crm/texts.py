"""
By what a record is found: one row of plain text beside it, with the short pieces of it that an index holds.

A word is found in the text of a record where it stands there, whatever its case and width: `is_said` is the definition,
and the conditions of `TextQuerySet` are its twins in the database. The pieces (two Chinese characters, two letters of
which one is no digit, three letters or digits) only say where to look: the text itself is compared again.

A model that is `Findable` keeps its row in line, in the transaction that writes the record, by whichever door: when one
is saved, when many are (`Guarded.bulk_create`), and when what it is found by belongs to another, which is renamed. The
database itself takes the row away with its record. `manage.py verify` compares all of them, `manage.py reindex` writes
them anew.
"""

import re
import unicodedata

from django.apps import apps
from django.db import connection, models, transaction
from django.db.models import BooleanField, Exists, F, Lookup, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce

from crm.functions import Keys, PkIn
from crm.pinyin import spell

MOST_LETTERS = 200  # of what somebody types
MOST_WORDS = 10
SPELLED_FROM = 3  # letters; a shorter word is in the pinyin of every second name, so there it is not looked for
FEW = 2_000  # records; where more hold a word, walking through what a reader sees soon meets some of them
AT_ONCE = 1_000  # rows that are written anew in one transaction

_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(f"(?P<han>[{_HAN}]+)|[^\\W_{_HAN}]+")


def plain(text):
    """This will give a text as it is compared: small letters, of the usual width."""
    return unicodedata.normalize("NFKC", text).casefold()


def words(text):
    """This will give the words of what somebody typed, as they are compared: those of the first 200 letters."""
    return list(dict.fromkeys(plain(text[:MOST_LETTERS]).split()))[:MOST_WORDS]


def is_spelled(word):
    """This will tell whether a word is looked for in the pinyin of names too."""
    return word.isascii() and len(word) >= SPELLED_FROM


def is_said(said, spelled, text):
    """This will tell whether a text, and the pinyin of its names, hold every word of `text`: the definition."""
    return all(word in said or (is_spelled(word) and word in spelled) for word in words(text))


def pieces(said, spelled=""):
    """This will list the pieces of a text and of the pinyin of its names that the index holds."""
    return list(dict.fromkeys([*_two_and_three(said), *_threes(spelled)]))


def pieces_of_word(word):
    """
    This will list the pieces that a text which holds `word` has in the index; none where it is too short to tell. Of
    a word that may be meant as pinyin only threes are certain.
    """
    if is_spelled(word):
        return list(dict.fromkeys(_threes(word)))
    return list(dict.fromkeys(_two_and_three(word)))


def _two_and_three(text):
    for run in _RUN.finditer(text):
        letters = run.group()
        yield from (piece for piece in _of(letters, 2) if run["han"] or not piece.isdecimal())
        if not run["han"]:
            yield from _of(letters, 3)


def _threes(text):
    return (piece for run in _RUN.finditer(text) if not run["han"] for piece in _of(run.group(), 3))


def _of(run, length):
    return [run[start : start + length] for start in range(len(run) - length + 1)]


class PiecesField(models.Field):
    """The pieces of a text: an array on PostgreSQL; on SQLite a text with spaces between, for a table of FTS5."""

    def db_type(self, connection):
        return "text[]" if connection.vendor == "postgresql" else "text"

    def get_db_prep_value(self, value, connection, prepared=False):
        return value if connection.vendor == "postgresql" or isinstance(value, str) else " ".join(value)

    def from_db_value(self, value, expression, connection):
        return value if connection.vendor == "postgresql" else value.split()


@PiecesField.register_lookup
class Hold(Lookup):
    """`pieces__hold=["联通", "cmc"]`: all of them are there."""

    lookup_name = "hold"
    prepare_rhs = False

    def as_sqlite(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        table, _dot, _name = column.rpartition(".")
        index = index_of(self.lhs.target.model)
        sql = f"{table}.{connection.ops.quote_name('of')} IN (SELECT rowid FROM {index} WHERE {index} MATCH %s)"  # noqa: S608  names of our own
        return sql, [*params, " AND ".join(f'"{piece}"' for piece in self.rhs)]

    def as_postgresql(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        return f"{column} @> %s::text[]", [*params, list(self.rhs)]


def index_of(model):
    """This will name the table of FTS5 that SQLite has for a table of texts."""
    return f"{model._meta.db_table}_pieces"


class TextQuerySet(models.QuerySet):
    def saying(self, found):
        """This will narrow to the texts that hold each of the words `found`: the twin of `is_said`."""
        for word in found:
            condition = Q(plain__contains=word)
            self = self.filter(condition | Q(spelled__contains=word) if is_spelled(word) else condition)
        return self

    def with_pieces(self, found):
        """This will narrow to the texts that have the pieces of these words; to nothing less where there are none."""
        wanted = list(dict.fromkeys(piece for word in found for piece in pieces_of_word(word)))
        return self.filter(pieces__hold=wanted) if wanted else self


class Text(models.Model):
    """
    The row beside a record. A subclass says of which model (`record`, its label), and by which of its columns that is
    found: `names` also by pinyin, `phones` also by their digits alone.
    """

    record = ""
    names = ()
    others = ()
    phones = ()

    of = models.BigIntegerField(primary_key=True)  # the key of the record; goes with it
    plain = models.TextField()
    spelled = models.TextField()
    pieces = PiecesField()

    objects = TextQuerySet.as_manager()

    class Meta:
        abstract = True

    def __str__(self):
        return self.plain

    @classmethod
    def records(cls):
        return apps.get_model(cls.record)._base_manager.order_by()

    @classmethod
    def columns(cls):
        return [*cls.names, *cls.others, *cls.phones]

    @classmethod
    def made(cls, pk, *values):
        """This will build the row of a record from the values of its `columns`."""
        values = dict(zip(cls.columns(), values, strict=True))
        spellings = [spell(values[name] or "") for name in cls.names]
        said = [plain(value) for value in values.values() if value]
        said += [first for _whole, first in spellings if first]
        for name in cls.phones:
            digits = "".join(re.findall(r"\d", plain(values[name] or "")))
            said += [digits] if digits and digits not in said else []
        text, spelled = "\n".join(said), "\n".join(whole for whole, _first in spellings if whole)
        return cls(of=pk, plain=text, spelled=spelled, pieces=pieces(text, spelled))

    @classmethod
    def write(cls, pks):
        """This will write the rows of the records `pks` anew."""
        found = cls.records().filter(pk__in=pks).values_list("pk", *cls.columns())
        cls.objects.bulk_create(
            [cls.made(*values) for values in found],
            batch_size=500,
            update_conflicts=True,
            unique_fields=["of"],
            update_fields=["plain", "spelled", "pieces"],
        )

    @classmethod
    def write_all(cls, records=None, *, after=0):
        """
        This will write the rows of all `records`, a queryset, or of all there are, some at a time; and yield the key of
        the last that is done.
        """
        keys = (cls.records() if records is None else records).order_by("pk").values_list("pk", flat=True)
        while some := list(keys.filter(pk__gt=after)[:AT_ONCE]):
            with transaction.atomic():
                cls.write(some)
            after = some[-1]
            yield after

    @classmethod
    def differences(cls):
        """This will give a sentence for each record whose row is not what its columns say."""
        name, after = cls.records().model._meta.model_name, 0
        found = cls.records().order_by("pk").values_list("pk", *cls.columns())
        while rows := list(found.filter(pk__gt=after)[:AT_ONCE]):
            after = rows[-1][0]
            held = cls.objects.in_bulk([row[0] for row in rows])
            for row in rows:
                made, there = cls.made(*row), held.get(row[0])
                if there is None or (there.plain, there.spelled, set(there.pieces)) != (
                    made.plain,
                    made.spelled,
                    set(made.pieces),
                ):
                    yield f"{name} {row[0]}: what it is found by is not what it says"
        # NOT IN would look through a million keys for each of a million, where PostgreSQL keeps no more in memory
        astray = cls.objects.exclude(Exists(cls.records().filter(pk=OuterRef("of")))).values_list("of", flat=True)
        yield from (f"{name} {pk}: it is found, and not there" for pk in astray)


class Findable(models.Model):
    """A record that is found by its text. TEXT is the model of its row, SAID_BY the columns that it follows from."""

    TEXT = None
    SAID_BY = ()

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, db, field_names, values):
        record = super().from_db(db, field_names, values)
        record._said = record._says()
        return record

    def refresh_from_db(self, *args, **kwargs):
        super().refresh_from_db(*args, **kwargs)
        self._said = None

    def _says(self):
        """This will give the values that its text follows from; None where they were not all read."""
        known = self.__dict__
        return tuple(known[name] for name in self.SAID_BY) if all(name in known for name in self.SAID_BY) else None

    def save_base(self, *args, **kwargs):
        """This will also write its text, where that is another now. Django saves by this, and the recycle bin too."""
        new = self._state.adding or kwargs.get("force_insert")
        super().save_base(*args, **kwargs)
        before, now = getattr(self, "_said", None), self._says()
        if new or before is None or before != now:
            self.TEXT.write([self.pk])
            if not new:
                self.tell_others([self.pk])
        self._said = now

    @classmethod
    def tell_others(cls, pks):
        """This will write the texts of other records that say what the records `pks` are called."""


# ── Conditions on the records ────────────────────────────────────────────────────────────────────────────────────────


def mentioned(model, found):
    """
    This will give the condition that a record of `model` is found by each of the words `found`, to be asked of each
    that its reader sees: as a value, since PostgreSQL would answer an EXISTS by reading all texts first.
    """
    said = model.TEXT.objects.saying(found).filter(of=OuterRef("pk")).values(said=Value(True))
    return Q(Coalesce(Subquery(said, output_field=BooleanField()), Value(False)))


def indexed(model, found):
    """This will give the same condition, asked of the index first: for counting."""
    return Q(PkIn(F("pk"), Keys(model.TEXT.objects.with_pieces(found).saying(found).values("of"))))


def keys(model, found, most=FEW):
    """
    This will list the keys of all records that are found by the words `found`, whoever may see them; None where they
    are more than `most`, or where no word is long enough to ask the index.
    """
    if not any(pieces_of_word(word) for word in found):
        return None
    rows = model.TEXT.objects.with_pieces(found).saying(found)
    if connection.vendor == "sqlite":
        rows = rows.order_by("-of")
    got = list(rows.values_list("of", flat=True)[: most + 1])
    return got if len(got) <= most else None
