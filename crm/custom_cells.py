"""How an import reads the fields that administrators added, and tells what no two records may share."""

import re

from django.core.exceptions import ValidationError

from crm.cells import Day, YesNo
from crm.custom_fields import CHOOSING, CustomField, Kind, Several
from crm.custom_forms import form_field
from crm.custom_values import Customised, CustomValue, taken
from crm.models import User
from crm.resources import Cell, Column, Few, Person


class Option(Few):
    """One of a field's options, by its key or its name in any language."""

    def __init__(self, custom, *, required=False):
        super().__init__(_offered(custom), required=required)


class Options(Option):
    """Several of them, with semicolons or commas between. Reads as a list, or None."""

    def read(self, text):
        found = []
        for part in filter(str.strip, re.split(r"[;；\n]", text)):
            found += self._of(part)
        if not found and self.required:
            self.refuse("required")
        return Several(dict.fromkeys(found)) or None

    def _of(self, part):
        """A name may have a comma in it, so the whole is looked for first."""
        try:
            return [super().read(part)]
        except ValidationError:
            parts = [one for one in re.split(r"[,，、]", part) if one.strip()]
            if len(parts) < 2:
                raise
            return [super(Options, self).read(one) for one in parts]

    def keyed(self, key):
        return Several([super().read(key)])


def _offered(custom):
    return [(one.key, [one.name, *one.names.values()], one) for one in custom.choices if one.active]


class YesOrNo(YesNo):
    """Yes, no, or nothing said."""

    def __init__(self, *, required=False):
        super().__init__()
        self.required = required


def has_fields(model):
    """This will tell whether fields can be added to what an import brings in; some bring in several kinds of things."""
    return model is not None and issubclass(model, Customised)


def columns(model):
    """This will list what a file may feed of the fields that were added to `model`."""
    if not has_fields(model):
        return []
    return [_column(field, model) for field in model.custom_fields()]


def _column(field, model):
    required = field.required == CustomField.Required.ALWAYS and not model.HAS_DRAFTS
    return Column(field.key, field.label, _widget(field, required), required=required)


def _widget(field, required):
    if field.kind in CHOOSING:
        return (Options if field.is_several else Option)(field, required=required)
    if field.kind == Kind.YES_NO:
        return YesOrNo(required=required)
    if field.kind == Kind.PERSON:
        return Person(User.objects.filter(is_active=True), required=required)
    return (Day if field.kind == Kind.DATE else Cell)(form_field(field, required=required))


def refuse_shared(verdicts, model, seen):
    """
    This will refuse of `verdicts`, which enter or change records, each that would give one what another has and no two
    may share. `seen` is the set to which those of the rows before were added.
    """
    unique = [field for field in model.custom_fields() if field.unique] if has_fields(model) else []
    wanted = {}
    for verdict in verdicts:
        given = verdict.changes if verdict.there is not None else verdict.values
        for field in unique:
            if key := field.unique_key(field.tidy(given.get(field.key))):
                wanted.setdefault((field, key), []).append(verdict)
    if not wanted:
        return
    held = _held(wanted)
    for (field, key), those in wanted.items():
        for verdict in those:
            there = verdict.there and verdict.there.pk
            owner = held.get((field.pk, key))
            mark = (field.pk, key)
            if (owner is not None and owner != there) or mark in seen:
                verdict.refuse(taken(field).message, name=field.key, text=str(key))
            else:
                seen.add(mark)


def _held(wanted):
    """This will give {(field, key): the record that has it} of what the database holds."""
    fields, keys = {field.pk for field, _key in wanted}, {key for _field, key in wanted}
    rows = CustomValue.objects.filter(field__in=fields, unique_key__in=keys)
    return {(field, key): about for field, key, about in rows.values_list("field", "unique_key", "about_id")}
