"""
What an import of one kind of record is made of: fields, the columns that may feed them, how a cell is read, how rows go
in.

Resources are django-import-export's; its fields and widgets say what there is. Matching columns is ours, and so is
writing: rows go in by the bulk twin of the verb that a form calls. A cell is read by the very field of that form, so a
row is refused where the form would refuse it; what was read once is remembered, and look-ups ask for the texts of many
rows at a time.

An app's `imports.py` holds its resources and is found by itself:

    @importable
    class CustomerImport(Importing):
        key, label, hint, url_name = "customers", _("Customers"), _("…"), "customers"

        def columns(self): ...           # what may be fed, as Columns
        def build(self, values): ...     # a record, not saved; may raise Refused
        def identity(self, record): ...  # what tells that a row is there already
        def there(self, records): ...    # which identities of those are
        def write(self, records): ...    # the bulk twin

        class Meta:
            model = Customer
"""

import re
from collections import namedtuple

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import translation
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _
from import_export.fields import Field
from import_export.resources import ModelResource
from import_export.widgets import Widget

from crm import permissions
from crm.fields import narrow
from crm.kinds import is_storable
from crm.verbs import NotAllowed, Refused

REMEMBERED = 20_000  # texts of a column, and what they were read as
EMPTY = (None, "")

Verdict = namedtuple(
    "Verdict", ["row", "record", "values", "faults"]
)  # row: [number, *cells]; faults: [(field, text, sentence)]
Source = namedtuple(
    "Source", ["name", "at", "known", "widget"]
)  # a field, its place in a row, {text: key}, how it is read

_kinds = {}


def importable(resource):
    """This will make the decorated resource a kind of import."""
    _kinds[resource.key] = resource
    return resource


def kinds():
    """This will give every kind of import by its key."""
    autodiscover_modules("imports")
    return _kinds


def same(text):
    """This will give `text` as it is compared with names: without its case, its width, its blanks."""
    return narrow(text).casefold().replace(" ", "")


# ── How a cell is read ───────────────────────────────────────────────────────────────────────────────────────────────


class Cell(Widget):
    """Reads a text as a form's field does, and as the model's field allows."""

    options = ()  # (key, name) of each value, where there are few; such a field can be given one value for all rows
    messages = {
        "required": _("Fill this in."),
        "unknown": _("“%(text)s” is not in the list."),
        "several": _("Several are called “%(text)s”."),
    }

    def __init__(self, field=None, model_field=None):
        super().__init__()
        self.field = field
        self.model_field = None if model_field is None or model_field.is_relation else model_field
        self.required = field is not None and field.required
        self._read = {}

    def clean(self, value, row=None, **kwargs):
        try:
            return self._read[value]
        except KeyError:
            read = self.read(value)
        if len(self._read) < REMEMBERED:
            self._read[value] = read
        return read

    def read(self, text):
        if isinstance(self.field.widget, forms.TextInput):
            text = " ".join(text.splitlines())  # people break long names in a sheet
        value = self.field.clean(text)
        if self.model_field is not None and value not in EMPTY:
            self.model_field.run_validators(value)
        return value

    def prepare(self, texts):
        """This will look up what `texts`, a set, mean: all at once."""

    def refuse(self, code, text=""):
        raise ValidationError(self.messages[code], code=code, params={"text": text[:60]})


class Few(Cell):
    """One of few, by key or by its name in any language."""

    def __init__(self, values, *, required=False):
        """`values` are (key, names, value)."""
        super().__init__()
        self.required = required
        values = list(values)
        self.options = [(key, names[0]) for key, names, _value in values]
        self._by_name = {}
        for key, names, value in reversed(values):  # of two of one name the first is meant
            self._by_name |= {same(name): value for name in [*names, key]}

    def read(self, text):
        found = self._by_name.get(same(text))
        if found is None and text.strip():
            self.refuse("unknown", text)
        if found is None and self.required:
            self.refuse("required")
        return found

    @classmethod
    def of_picklist(cls, queryset, **kwargs):
        """This will read the records of `queryset`, which have a key and names."""
        return cls(((one.key, [one.name, *one.names.values()], one) for one in queryset), **kwargs)

    @classmethod
    def of_choices(cls, choices, **kwargs):
        """This will read the values of a TextChoices."""
        return cls(((one.value, [one.label, *in_every_language(one.label)], one.value) for one in choices), **kwargs)


class Record(Cell):
    """One of many records, by its very name among those of `queryset`; what is outside it does not exist."""

    def __init__(self, queryset, *names, required=False):
        """`names` are the fields that a text may name it by; what the first says goes before what the second says."""
        super().__init__()
        self.queryset = queryset
        self.names = names
        self.required = required
        self._found = {}  # {text: list of at most two}

    def prepare(self, texts):
        new = {" ".join(text.split()) for text in texts if is_storable(text)} - self._found.keys() - {""}
        if not new:
            return
        wanted = Q()
        for name in self.names:
            wanted |= Q(**{f"{name}__in": new})
        found = [{} for _name in self.names]
        for record in self.queryset.filter(wanted):
            for name, records in zip(self.names, found, strict=True):
                records.setdefault(getattr(record, name), []).append(record)
        for text in new:
            self._found[text] = next((records[text][:2] for records in found if text in records), [])

    def clean(self, value, row=None, **kwargs):
        text = " ".join(value.split())
        if not text:
            return self.refuse("required") if self.required else None
        found = self._found.get(text)
        if found is None:
            self.prepare({text})
            found = self._found.get(text, [])
        if len(found) != 1:
            self.refuse("several" if found else "unknown", text)
        return found[0]


class Person(Record):
    """Somebody of `queryset`, by user name or name."""

    messages = Cell.messages | {
        "unknown": _("“%(text)s” is nobody whom you may put here."),
        "several": _("Several people are called “%(text)s”. Write the user name."),
    }

    def __init__(self, queryset, **kwargs):
        super().__init__(queryset, "username", "name", **kwargs)


# ── What may be fed ──────────────────────────────────────────────────────────────────────────────────────────────────


class Column(Field):
    """A field that a column of a file may feed; `usual` is the value proposed for all rows where none does."""

    def __init__(self, name, label, widget, *, required=False, usual=""):
        super().__init__(attribute=name, column_name=name, widget=widget)
        self.name = name
        self.label = label
        self.required = required
        self.usual = usual

    def headings(self, aliases):
        """This will give the headings that mean it: its name, its label in any language, or one of `aliases`."""
        names = [self.name.replace("_", " "), *in_every_language(self.label), *aliases.split(", ")]
        return {heading(name) for name in names} - {""}


def heading(text):
    """This will give a heading as it is compared: without case, blanks, signs, and what stands in brackets."""
    text = re.sub(r"[(（\[].*?[)）\]]", "", narrow(text))
    return re.sub(r"[\W_]+", "", text).casefold()


def in_every_language(text):
    """This will give a lazy text in each language of the interface."""
    texts = []
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            texts.append(str(text))
    return texts


# ── What one kind of import does ─────────────────────────────────────────────────────────────────────────────────────


class Importing(ModelResource):
    """
    One kind of import, done by one person with the rights that they have now. Raises NotAllowed.

    `key` names it in addresses and files, `act` is what one must be allowed to do, `url_name` is the list of its
    records.
    """

    key = label = hint = url_name = None
    act = "create"
    aliases = {}  # {field: other headings that mean it}

    def __init__(self, user):
        if not self.may(user):
            raise NotAllowed()
        super().__init__()
        self.user = user
        self.fields = {column.name: column for column in self.columns()}
        self.sources = []
        self.fixed = {}
        self.charged = {}  # {person: [records that they were put in charge of by somebody else, key of the first]}

    @classmethod
    def may(cls, user):
        return permissions.allows(user, "import") and permissions.allows(user, cls.act)

    # What a kind says

    def columns(self):
        raise NotImplementedError

    def column(self, fields, name, widget=None, **kwargs):
        """This will give the column of a form's field, which is read as that field reads it unless `widget` does."""
        widget = widget or Cell(fields[name], self._meta.model._meta.get_field(name))
        return Column(name, fields[name].label, widget, **kwargs)

    def build(self, values):
        """This will build the record of a row from what its cells were read as, {field: value}. Raises Refused."""
        record = self._meta.model(**{name: value for name, value in values.items() if value not in EMPTY})
        record.clean()
        return record

    def identity(self, record):
        """This will give what makes a row the same as one that is there already."""
        raise NotImplementedError

    def there(self, records):
        """This will give which identities of `records` are there already, among what the user may see."""
        raise NotImplementedError

    def write(self, records):
        """This will enter the records, all or none. Raises Refused."""
        raise NotImplementedError

    def preview(self, record):
        """This will give what is to be said of a record before it comes in, beside its cells: {label: text}."""
        return {}

    def ended(self, run, charged):
        """This will tell people what came in; called in the transaction that ends the import."""

    # Matching

    @property
    def required(self):
        return [name for name, column in self.fields.items() if column.required]

    def guess(self, names):
        """This will give the matching that the headings of a file suggest: {field: {"column": n}}, or {"value": …}."""
        headings = {name: column.headings(self.aliases.get(name, "")) for name, column in self.fields.items()}
        matching = {}
        for number, text in enumerate(names):
            meant = heading(text)
            found = next((name for name in headings if name not in matching and meant in headings[name]), None)
            if found:
                matching[found] = {"column": number}
        for name, column in self.fields.items():
            if column.usual and name not in matching and column.usual in dict(column.widget.options):
                matching[name] = {"value": column.usual}
        return matching

    def match(self, matching, known):
        """This will read rows by `matching` from now on; `known` is {field: {text of the file: key}}."""
        self.sources, self.fixed = [], {}
        for name, source in matching.items():
            if name not in self.fields:  # what this person may feed no more
                continue
            widget = self.fields[name].widget
            if "column" in source:
                self.sources.append(Source(name, source["column"] + 1, known.get(name, {}), widget))
            else:
                self.fixed[name] = widget.clean(source["value"])

    # Rows

    def read(self, rows):
        """This will give the Verdict on each of `rows`, [number, text, …]; it writes nothing."""
        for source in self.sources:
            at = source.at
            source.widget.prepare({row[at] for row in rows if at < len(row)})
        return [self._verdict(row) for row in rows]

    def _verdict(self, row):
        values, faults, record = dict(self.fixed), [], None
        for name, at, known, widget in self.sources:
            text = row[at] if at < len(row) else ""
            if known:
                text = known.get(text.strip(), text)
            try:
                values[name] = widget.clean(text)
            except ValidationError as error:
                faults.append((name, text, " ".join(error.messages)))
        if not faults:
            try:
                record = self.build(values)
            except Refused as refused:
                faults.append((refused.field, self._text(refused.field, row), str(refused.message)))
            except ValidationError as error:
                faults.append((None, "", " ".join(error.messages)))
        return Verdict(row, record, values, faults)

    def _text(self, name, row):
        """This will give what stands in the cell that feeds the field, or ""."""
        return next((row[source.at] for source in self.sources if source.name == name and source.at < len(row)), "")
