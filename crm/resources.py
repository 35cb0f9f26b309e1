"""
What an import of one kind of record is made of: fields, the columns that may feed them, how a cell is read, what
becomes of a row.

Resources are django-import-export's; its fields and widgets say what there is. Matching columns is ours, and so is
writing: rows go in by the bulk twin of the verb that a form calls, and change what is there by the verb itself. A cell
is read by the very field of that form, so a row is refused where the form would refuse it; what was read once is
remembered, and look-ups ask for the texts of many rows at a time.

An app's `imports.py` holds its resources and is found by itself:

    @importable
    class CustomerImport(Importing):
        key, label, hint = "customers", _("Customers"), _("…")
        keys = {"name": _("Customer name"), …}  # by what a row is recognised; the first unless one chooses
        modes = CHANGES                         # what may become of one that is there already

        def columns(self): ...           # what may be fed, as Columns
        def build(self, values): ...     # a record, not saved; may raise Refused
        def identity(self, record): ...  # what tells that a row is there already, by the key that was chosen
        def existing(self, records): ... # {identity: [records, two at most]} of those that are there
        def write(self, records): ...    # the bulk twin

        class Meta:
            model = Customer
"""

import re
from collections import namedtuple
from dataclasses import dataclass, field

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import translation
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _
from import_export.fields import Field
from import_export.resources import ModelResource
from import_export.widgets import Widget

from crm import permissions, picklists
from crm.custom_fields import PREFIX
from crm.fields import AmountField, DayField, MomentField, narrow, with_unit, year_first
from crm.kinds import is_storable
from crm.models import User
from crm.names import Picklist
from crm.pickers import PersonPicker
from crm.verbs import NotAllowed, Refused

REMEMBERED = 20_000  # texts of a column, and what they were read as
EMPTY = (None, "")

# What may become of a row whose record is there already
SKIP, FILL, OVERWRITE, CREATE = "skip", "fill", "overwrite", "create"
MODES = {
    SKIP: (_("Leave it as it is"), _("Only what is not there yet comes in.")),
    FILL: (_("Fill what is empty"), _("A cell goes into a field that is empty; nothing else changes.")),
    OVERWRITE: (_("Overwrite it"), _("What the file says goes before what is there; an empty cell changes nothing.")),
    CREATE: (_("Enter it once more"), _("Every row becomes a record of its own, also where there is one already.")),
}
ENTERS = (SKIP, CREATE)
CHANGES = (SKIP, FILL, OVERWRITE, CREATE)

# What becomes of a row, as the check foretells it
NEW, CHANGED, UNCHANGED, SKIPPED, AGAIN, REFUSED = "new", "changed", "unchanged", "skipped", "again", "refused"

ADD, NOTHING = "+", "-"  # what a text stands for that becomes a value of its list, or leaves its field empty

# A field, its place in a row, {text: key}, how it is read; what comes first in its days, "dmy" or "mdy", and the unit
# of its amounts, each where the texts do not say
Source = namedtuple("Source", ["name", "at", "known", "widget", "order", "unit"])


@dataclass
class Verdict:
    """What is to become of a row, [number, *cells]: the record that was built of it, or its faults."""

    row: list
    record: object
    values: dict
    faults: list  # [(field, text, sentence)]
    fate: str = REFUSED
    there: object = None  # the record that is there already
    changes: dict = field(default_factory=dict)  # {field: value} that it gets
    former: dict = field(default_factory=dict)  # {field: (text, sentence)} of what only who has it already may have

    def refuse(self, sentence, *, name=None, text=""):
        self.fate, self.changes = REFUSED, {}
        self.faults.append((name, text, str(sentence)))

    @property
    def told(self):
        """This will give what the check keeps of it, and the import compares: as short as can be."""
        if self.fate == CHANGED:
            return [self.fate, self.there.pk, self.there.version, sorted(self.changes)]
        return self.fate


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
    picker = None  # the field of a form by which one of many is chosen
    messages = {
        "required": _("Fill this in."),
        "unknown": _("“%(text)s” is not in the list."),
        "several": _("Several are called “%(text)s”."),
        "retired": _("“%(text)s” is in the list, and no longer used. Have it used again on the page of the list."),
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

    @property
    def is_of_days(self):
        return isinstance(self.field, DayField | MomentField)

    @property
    def is_of_amounts(self):
        return isinstance(self.field, AmountField)

    def keyed(self, key):
        """This will give the value of a key that was chosen for a text of the file."""
        return self.clean(key)

    def few(self, most):
        """This will give (key, name) of each record that may be chosen, where a select offers them; or None."""
        return

    def former(self, text):
        """This will give what the text names that can be chosen no more, though records have it; or None."""
        return

    # What is not there yet, and is entered with the rows that name it: a value of a list, a customer

    new = None  # the Cell that reads the name of such a record, where any text may be one
    creating = False  # whether it is
    pending = False  # whether something was added that is not entered yet

    def may_add(self, user):
        """This will tell whether `user` may have a single text added to what it reads."""
        return False

    def add(self, text):
        """This will give what `text` names, not saved where it is not there yet. Raises ValidationError."""
        raise NotImplementedError

    def enter(self, values, *, by):
        """This will enter those of `values`, as `add` gave them, that are not there yet; and give these."""
        return []

    def refuse(self, code, text=""):
        raise ValidationError(self.messages[code], code=code, params={"text": text[:60]})


class Few(Cell):
    """One of few, by key or by its name in any language."""

    def __init__(self, values, *, required=False, model=None):
        """`values` are (key, names, value); of `model`, a picklist, more may be entered."""
        super().__init__()
        self.required = required
        self.listed = model
        self.model = model if model is not None and picklists.needs_a_name_alone(model) else None
        values = list(values)
        self.options = [(key, names[0]) for key, names, _value in values]
        self._by_name = {same(key): value for key, _names, value in values}
        for _key, names, value in reversed(values):  # of two of one name the first is meant; a name goes before a key
            self._by_name |= {same(name): value for name in names}
        self._retired = None  # {name: value}, once it is asked for

    def read(self, text):
        found = self._by_name.get(same(text))
        if found is None and text.strip():
            self.refuse("unknown", text)
        if found is None and self.required:
            self.refuse("required")
        return found

    def former(self, text):
        if self._retired is None:
            retired = self.listed.objects.filter(active=False) if self.listed else ()
            self._retired = {same(name): one for one in retired for name in [one.key, *one.names.values()]}
        return self._retired.get(same(text))

    def may_add(self, user):
        return self.model is not None and permissions.allows(user, "administer")

    def add(self, text):
        name = " ".join(text.split())
        value = self._by_name.get(same(name))
        if value is None and self.former(name) is not None:
            self.refuse("retired", name)
        if value is None:
            value = self.model(names={translation.get_language(): name})
            value.clean_fields(exclude=["key"])
            self._by_name[same(name)] = value
            self.pending = True
        return value

    def enter(self, values, *, by):
        fresh = {id(value): value for value in values if value is not None and value.pk is None}
        for value in fresh.values():
            picklists.create(value, by=by)
        return list(fresh.values())

    @classmethod
    def of_picklist(cls, queryset, **kwargs):
        """This will read the records of `queryset`, or of a list, which have a key and names."""
        model = getattr(queryset, "model", None)
        values = ((one.key, [one.name, *one.names.values()], one) for one in queryset)
        return cls(values, model=model if model and issubclass(model, Picklist) else None, **kwargs)

    @classmethod
    def of_choices(cls, choices, **kwargs):
        """This will read the values of a TextChoices."""
        return cls(((one.value, [one.label, *in_every_language(one.label)], one.value) for one in choices), **kwargs)


class Record(Cell):
    """One of many records, by its very name among those of `queryset`; what is outside it does not exist."""

    def __init__(self, queryset, *names, required=False, new=None, picker=None):
        """
        `names` are the fields that a text may name it by; what the first says goes before what the second says. `new`
        is the Cell that reads the first of them, where one that is not there may be entered; `picker` the field by
        which a form has one chosen.
        """
        super().__init__()
        self.queryset = queryset
        self.names = names
        self.required = required
        self.new = new
        self.picker = picker
        self._found = {}  # {text: list of at most two}
        self._chosen = {}  # {key: record}

    def prepare(self, texts):
        new = {one for text in texts if is_storable(text) for one in (text.strip(), " ".join(text.split()))}
        new = new - self._found.keys() - {""}
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
        if text not in self._found:
            self.prepare({value})
        found = self._found.get(value.strip()) or self._found.get(text, [])
        if not found and self.creating:
            return self.add(text)
        if len(found) != 1:
            self.refuse("several" if found else "unknown", text)
        return found[0]

    def keyed(self, key):
        if key not in self._chosen:
            self._chosen[key] = self.queryset.filter(pk=key).first()
        return self._chosen[key] or self.refuse("unknown", str(key))

    def add(self, text):
        fresh = self.queryset.model(**{self.names[0]: self.new.clean(text)})
        self._found[text] = [fresh]
        self.pending = True
        return fresh

    def enter(self, values, *, by):
        fresh = list({id(value): value for value in values if value is not None and value.pk is None}.values())
        if fresh:
            self.queryset.model.create_all(fresh, by=by)
        return fresh


class Person(Record):
    """Somebody of `queryset`, by user name or name."""

    messages = Cell.messages | {
        "unknown": _("“%(text)s” is nobody whom you may put here."),
        "several": _("Several people are called “%(text)s”. Write the user name."),
    }

    def __init__(self, queryset, **kwargs):
        super().__init__(queryset, "username", "name", picker=PersonPicker, **kwargs)

    def few(self, most):
        """This will give (key, name and department) of each, where they are no more than `most`; or None."""
        found = list(self.queryset[: most + 1])
        if len(found) > most:
            return None
        return [(str(one.pk), f"{one.name} ({one.department})" if one.department else one.name) for one in found]

    def former(self, text):
        """Somebody who left, or whom one may not put here, is in charge of what is theirs."""
        found = User.objects.filter(Q(username=text.strip()) | Q(name=" ".join(text.split())))[:2]
        return found[0] if len(found) == 1 else None


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


def as_written(text):
    """This will give a heading as it is compared with the very same of another file."""
    return narrow(text).casefold()


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

    `key` names it in addresses and files, `act` is what one must be allowed to do.
    """

    key = label = hint = None
    act = "create"
    aliases = {}  # {field: other headings that mean it}
    keys = {}  # {word: label}
    modes = (SKIP,)

    def __init__(self, user):
        if not self.may(user):
            raise NotAllowed()
        super().__init__()
        self.user = user
        self.fields = {column.name: column for column in [*self.columns(), *self.added_columns()]}
        self.sources = []
        self.fixed = {}
        self.charged = {}  # {person: [records that they were put in charge of by somebody else, key of the first]}
        self.by, self.mode = next(iter(self.keys)), self.modes[0]

    @classmethod
    def may(cls, user):
        return permissions.allows(user, "import") and permissions.allows(user, cls.act)

    # What a kind says

    def columns(self):
        raise NotImplementedError

    def added_columns(self):
        """This will give a column for each of the fields that administrators added."""
        from crm import custom_cells  # it is made of what stands here

        return custom_cells.columns(self._meta.model)

    def column(self, fields, name, widget=None, **kwargs):
        """This will give the column of a form's field, which is read as that field reads it unless `widget` does."""
        widget = widget or Cell(fields[name], self._meta.model._meta.get_field(name))
        return Column(name, fields[name].label, widget, **kwargs)

    def build(self, values):
        """This will build the record of a row from what its cells were read as, {field: value}. Raises Refused."""
        record = made(self._meta.model, {name: value for name, value in values.items() if value not in EMPTY})
        record.clean()
        return record

    def identity(self, record):
        """This will give what makes a row the same as one that is there already; None where it has nothing such."""
        raise NotImplementedError

    def existing(self, records):
        """This will give those that are there already, of those that the user may see: {identity: [one or two]}."""
        raise NotImplementedError

    def held(self, there, name):
        """This will give what a record that is there holds of a field."""
        return getattr(there, name)

    def compared(self, values, there):
        """
        This will give those of a row's values, {field: value}, that say something of a record that is there: who
        entered it, and when, is no change of it.
        """
        return {name: value for name, value in values.items() if name not in ("created_at", "created_by")}

    def write(self, records):
        """
        This will enter the records, all or none, and give what else it changed, as crm.journal notes what followed.
        Raises Refused.
        """
        raise NotImplementedError

    def changeable(self, records):
        """This will give the keys of those of `records` that the user may change."""
        found = self._meta.model.objects.filter(pk__in=[record.pk for record in records])
        return set(found.permitted(self.user, "change").order_by().values_list("pk", flat=True))

    def change(self, there, values):
        """This will give a record that is there other values, by its verbs. Raises Refused."""
        there.give(values, by=self.user, seen=there.version)

    def sides(self, there, before, after):
        """This will list what is told of a change, (label, old, new), of the values {field: value} it had and gets."""
        return [(self.fields[name].label, before[name], value) for name, value in after.items()]

    def entered(self, record):
        """This will give the row of the database that `write` made of a record."""
        return record

    def becomes(self, record):
        """This will say as what a new record comes in, where that differs from row to row."""
        return ""

    def preview(self, record):
        """This will give what is to be said of a record before it comes in, beside its cells: {label: text}."""
        return {}

    def ended(self, run, charged):
        """This will tell people what came in; called in the transaction that ends the import."""

    # Matching

    @property
    def required(self):
        return [name for name, column in self.fields.items() if column.required]

    def guess(self, names, earlier=None):
        """
        This will give the matching that the headings of a file suggest, {field: {"column": n}}, or {"value": …}; what
        the user said of such headings before, {heading: field}, goes before what they mean in general.
        """
        headings = {name: column.headings(self.aliases.get(name, "")) for name, column in self.fields.items()}
        meant = [heading(text) for text in names]
        matching = {}
        for number, text in enumerate(names):
            name = (earlier or {}).get(as_written(text))
            if name in self.fields and name not in matching:
                matching[name] = {"column": number}
        taken = {source["column"] for source in matching.values()}
        for number, text in enumerate(meant):
            wanted = [*self._named_so(text), *headings]
            found = next((name for name in wanted if name not in matching and text in headings[name]), None)
            if found and number not in taken:
                matching[found] = {"column": number}
        for name, column in self.fields.items():
            if column.usual and name not in matching and column.usual in dict(column.widget.options):
                matching[name] = {"value": column.usual}
        return matching

    def _named_so(self, text):
        """This will list the fields that administrators added under that very name."""
        named = {name for name, column in self.fields.items() if text in column.headings("")}
        added = {name for name in named if name.startswith(PREFIX)}
        return added if named == added else ()

    def match(self, matching, known, *, by="", mode=""):
        """
        This will read rows by `matching` from now on; `known` is {field: {text of the file: key, or ADD}}. A row is
        recognised `by` one of `keys`, and `mode` says what becomes of what is there already.
        """
        self.by = by if by in self.keys else next(iter(self.keys))
        self.mode = mode if mode in self.modes else self.modes[0]
        self.sources, self.fixed = [], {}
        for name, source in matching.items():
            if name not in self.fields:  # what this person may feed no more
                continue
            widget = self.fields[name].widget
            if "column" in source:
                widget.creating = widget.new is not None and source.get("unknown") == CREATE
                may_add = widget.may_add(self.user)
                meant = {text: key for text, key in known.get(name, {}).items() if key != ADD or may_add}
                beside = [source.get("order"), source.get("unit")]
                self.sources.append(Source(name, source["column"] + 1, meant, widget, *beside))
            else:
                self.fixed[name] = widget.clean(source["value"])
        self.sources.sort(key=lambda source: source.at)  # what is wrong is told in the order of the file

    # Rows

    def judge(self, rows, seen):
        """
        This will give the Verdict on each of `rows`, [number, text, …], and write nothing. `seen` is the set of
        identities of the rows before, to which it adds; None where a row that comes again is known already.
        """
        verdicts = self.read(rows)
        good = [verdict for verdict in verdicts if verdict.record is not None]
        there = self.existing([verdict.record for verdict in good]) if good and self.mode != CREATE else {}
        if there and any(name.startswith(PREFIX) for name in self.fed):
            self._meta.model.read_custom(list({one.pk: one for those in there.values() for one in those}.values()))
        for verdict in good:
            self._decide(verdict, there, seen)
        self._refuse_shared(verdicts, set() if seen is None else seen)
        changed = [verdict for verdict in verdicts if verdict.fate == CHANGED]
        may = self.changeable([verdict.there for verdict in changed]) if changed else set()
        for verdict in changed:
            if verdict.there.pk not in may:
                verdict.refuse(_("It is there already, and you may not change it."))
        return verdicts

    @property
    def fed(self):
        """This will list the fields that a column or a value goes to."""
        return [*self.fixed, *(source.name for source in self.sources)]

    def _refuse_shared(self, verdicts, seen):
        from crm import custom_cells  # it is made of what stands here

        coming = [verdict for verdict in verdicts if verdict.fate in (NEW, CHANGED)]
        custom_cells.refuse_shared(coming, self._meta.model, seen)

    def _decide(self, verdict, there, seen):
        """This will say what becomes of a row that can be read."""
        verdict.fate = NEW
        identity = None if self.mode == CREATE else self.identity(verdict.record)
        if identity is None:
            self._refuse_former(verdict, verdict.former)
            return
        found = [(one, self.differing(verdict, one)) for one in there.get(identity, ())]
        passed = set() if seen is None else seen
        same_one = next((one for one, differing in found if not differing and one.pk not in passed), None)
        meant = [same_one] if same_one is not None else [one for one, _differing in found]
        if same_one is None and (identity in passed or any(one.pk in passed for one in meant)):
            verdict.fate = AGAIN
            return
        passed |= {identity, *(one.pk for one in meant)}
        if same_one is not None:
            verdict.fate, verdict.there = UNCHANGED, same_one
            return
        if not found:
            self._refuse_former(verdict, verdict.former)
            return
        verdict.there, differing = found[0]
        if self.mode == SKIP:
            verdict.fate = SKIPPED
        elif len(found) > 1:
            verdict.refuse(_("There are several such records, so none of them is changed."))
        else:
            empty = {name: value for name, value in differing.items() if self.held(verdict.there, name) in EMPTY}
            verdict.changes = differing if self.mode == OVERWRITE else empty
            verdict.fate = CHANGED if verdict.changes else SKIPPED
            self._refuse_former(verdict, verdict.changes)

    @staticmethod
    def _refuse_former(verdict, names):
        """This will refuse a row that would give a record what can be chosen no more."""
        for name in names:
            if name in verdict.former:
                verdict.refuse(verdict.former[name][1], name=name, text=verdict.former[name][0])

    def differing(self, verdict, there):
        """This will give what a row says otherwise than a record that is there holds: {field: value}."""
        values = {name: value for name, value in verdict.values.items() if value not in EMPTY}
        values = self.compared(values, there)
        return {name: value for name, value in values.items() if not alike(value, self.held(there, name))}

    def changing(self, verdicts, *, writing):
        """
        This will do what the verdicts say of records that are there, or only try, and undo it at once; a verdict that
        the record's own verb refuses is then one of refusal. Gives (records that had to be entered for it, [(record,
        {field: value before}, version before) of each]).
        """
        done, fresh = [], []
        with transaction.atomic():
            if verdicts:
                fresh = self._enter_named([verdict.changes for verdict in verdicts])
            for verdict in verdicts:
                before = {name: self.held(verdict.there, name) for name in verdict.changes}
                since = verdict.there.version
                try:
                    with transaction.atomic():
                        self.change(verdict.there, verdict.changes)
                except Refused as refused:
                    verdict.refuse(refused.message, name=refused.field, text=self._text(refused.field, verdict.row))
                else:
                    done.append((verdict.there, before, since))
            if not writing:
                transaction.set_rollback(True)
        if not writing:
            for record in fresh:  # none of them is there after all
                record.pk, record._state.adding = None, True
        return fresh, done

    def _enter_named(self, rows):
        """This will enter what `rows`, [{field: value}], name and is not there yet, and give it."""
        fresh = []
        for source in self.sources:
            if source.widget.pending:
                fresh += source.widget.enter([values.get(source.name) for values in rows], by=self.user)
        return fresh

    def entering(self, verdicts):
        """
        This will enter the records of the verdicts, and before these what they name and is not there yet. Gives
        (records entered, what followed) as crm.journal notes them. Raises Refused.
        """
        records = [verdict.record for verdict in verdicts]
        rows = [self.entered(record) for record in records]
        fresh = self._enter_named([verdict.values for verdict in verdicts])
        if any(source.widget.pending for source in self.sources):
            for verdict, row in zip(verdicts, rows, strict=True):
                for source in self.sources:
                    if source.widget.pending and verdict.values[source.name] is not None:
                        setattr(row, source.name, verdict.values[source.name])  # which has a key by now
        followed = self.write(records)
        return [*fresh, *rows], followed or ()

    def read(self, rows):
        """This will give the Verdict on what each of `rows` says by itself."""
        for source in self.sources:
            at = source.at
            source.widget.prepare({row[at] for row in rows if at < len(row)})
        return [self._verdict(row) for row in rows]

    def _verdict(self, row):
        values, faults, former, record = dict(self.fixed), [], {}, None
        for name, at, known, widget, order, unit in self.sources:
            text = row[at] if at < len(row) else ""
            try:
                if known and (key := known.get(text.strip())):
                    special = {ADD: widget.add, NOTHING: lambda _text: None}.get(key)
                    values[name] = special(text) if special else widget.keyed(key)
                else:
                    read = year_first(text, order) if order else with_unit(text, unit) if unit else text
                    values[name] = widget.clean(read)
            except ValidationError as error:
                value = widget.former(text) if getattr(error, "code", None) == "unknown" else None
                if value is None:
                    faults.append((name, text, " ".join(error.messages)))
                else:
                    values[name], former[name] = value, (text, " ".join(error.messages))
        if faults:
            faults += [(name, text, sentence) for name, (text, sentence) in former.items()]
        else:
            try:
                record = self.build(values)
            except Refused as refused:
                faults.append((refused.field, self._text(refused.field, row), str(refused.message)))
            except ValidationError as error:
                faults.append((None, "", " ".join(error.messages)))
        return Verdict(row, record, values, faults, former=former)

    def _text(self, name, row):
        """This will give what stands in the cell that feeds the field, or ""."""
        return next((row[source.at] for source in self.sources if source.name == name and source.at < len(row)), "")


def made(model, values):
    """This will build a record of `model`, not saved; of the fields that administrators added too."""
    record = model(**{name: value for name, value in values.items() if not name.startswith(PREFIX)})
    if added := {name: value for name, value in values.items() if name.startswith(PREFIX)}:
        record.put(added)
    return record


def alike(value, held):
    """This will tell whether a value says what is held; blanks round a text, and how its lines end, say nothing."""
    if isinstance(value, str) and isinstance(held, str):
        return value == held or value.strip().splitlines() == held.strip().splitlines()
    return value == held


def key_of(record):
    """This will give what tells records apart of which some are not entered yet."""
    return None if record is None else record.pk or f"new: {record}"


def among(visible, **lookup):
    """
    This will give those of the `visible` records that meet a look-up which has an index. They are found by it first,
    whoever may see them: asked together, a database may go through all that somebody sees.
    """
    keys = list(visible.model._base_manager.filter(**lookup).order_by().values_list("pk", flat=True))
    return visible.filter(pk__in=keys) if keys else ()


def by_identity(pairs):
    """This will gather (identity, record) as `existing` gives them."""
    found = {}
    for identity, record in pairs:
        held = found.setdefault(identity, [])
        if len(held) < 2:
            held.append(record)
    return found
