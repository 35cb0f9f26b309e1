"""The verbs of those who administer picklists: enter, change, arrange, delete, and make two values one."""

import re
from collections import Counter, namedtuple

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Count, Max
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from crm import conditions
from crm.kinds import fields_of
from crm.models import Audit
from crm.names import Picklist
from crm.permissions import allows
from crm.verbs import Gone, NotAllowed, Refused, Stale, locked, whole

Use = namedtuple("Use", ["model", "field", "count"])  # how many rows of `model` hold a value in `field`

STEP = 10  # between two values in order, so that Django's administration has room for one


def kinds():
    """This will give {its word in an address: model} of every picklist, in the order of their names."""
    found = [model for model in apps.get_models() if issubclass(model, Picklist)]
    return {word_of(model): model for model in sorted(found, key=lambda model: str(model._meta.verbose_name_plural))}


def word_of(model):
    """This will give the word of a picklist: business-type."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", model.__name__).lower()


# ── Who holds a value ────────────────────────────────────────────────────────────────────────────────────────────────


def holders(model):
    """This will list the foreign keys to a picklist, of every model, as (model, field)."""
    found = model._meta.get_fields(include_hidden=True)
    relations = [one for one in found if one.auto_created and not one.concrete and (one.one_to_many or one.one_to_one)]
    return [(relation.related_model, relation.field) for relation in relations]


def keeps_the_past(model):
    """This will tell whether the rows of a model are what was once true, and are left so."""
    return getattr(model, "KEEPS_THE_PAST", False)


def asking(model):
    """This will list (model, keys of fields) of what stores conditions, and may ask there for a value of a picklist."""
    fields = {
        key
        for asked in apps.get_models()
        if hasattr(asked, "CONDITIONS")
        for key, field in fields_of(asked).items()
        if field.picks is model
    }
    stores = [
        one
        for one in apps.get_models()
        if any(field.name == "conditions" and isinstance(field, models.JSONField) for field in one._meta.local_fields)
    ]
    return [(one, fields) for one in stores] if fields else []


def uses(model):
    """This will give {key of the row: [Use]} for the values of a picklist that anything holds, the past left out."""
    found = {}
    for holder, field in holders(model):
        if keeps_the_past(holder):
            continue
        held = holder._base_manager.exclude(**{field.name: None}).order_by()
        for pk, count in held.values_list(field.attname).annotate(count=Count("*")):
            found.setdefault(pk, []).append(Use(holder, field, count))
    by_key = dict(model._base_manager.values_list("key", "pk"))
    for store, fields in asking(model):
        asked = Counter()
        for tree in store._base_manager.exclude(conditions={}).values_list("conditions", flat=True):
            asked.update({key for key in conditions.picked(tree, fields) if key in by_key})
        for key, count in asked.items():
            found.setdefault(by_key[key], []).append(Use(store, None, count))
    return found


# ── Verbs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _check(by):
    if not allows(by, "administer"):
        raise NotAllowed()


@whole()
def create(value, *, by):
    """
    This will enter a value, at the end of its list unless it has a place. Raises NotAllowed, and Refused with the field
    that is wrong.
    """
    _check(by)
    value.key = value.key or free_key(type(value), value.names)
    value.order = value.order or (type(value)._base_manager.aggregate(last=Max("order"))["last"] or 0) + STEP
    _clean(value)
    value.save(force_insert=True)
    _note(value, None, by)


@whole()
def change(value, *, by, seen, **values):
    """
    This will give a value other names, another look, or retire it; its key stays, so that nothing that holds it breaks.
    Raises NotAllowed, Gone, Stale, and Refused with the field that is wrong.
    """
    _check(by)
    it, was = _locked(value, seen), locked(value)
    for name, new in values.items():
        setattr(it, name, new)
    _clean(it)
    if _told(it) == _told(was):
        return
    it.version += 1
    it.save()
    it.changed_from(was, by=by)
    _note(it, _told(was), by)


@whole()
def arrange(model, keys, *, by, seen):
    """
    This will put the values of a list into the order of `keys`. Raises NotAllowed, and Refused where they do not stand
    any more as in `seen`, or these are not all of them.
    """
    _check(by)
    there = list(model._base_manager.select_for_update().order_by(*model._meta.ordering))
    if [value.pk for value in there] != list(seen):
        raise Refused(_("Somebody changed this list after you opened it. Look at it as it is now, then try again."))
    if sorted(keys) != sorted(seen):
        raise Refused(_("This is not the whole list. Nothing was changed."))
    by_key = {value.pk: value for value in there}
    moved = []
    for place, pk in enumerate(keys, start=1):
        if by_key[pk].order != place * STEP:
            by_key[pk].order = place * STEP
            moved.append(by_key[pk])
    model._base_manager.bulk_update(moved, ["order"])
    if list(keys) != list(seen):
        Audit.note("picklist_arranged", by=by, list=word_of(model), keys=[by_key[pk].key for pk in keys])


@whole()
def delete(value, *, by, seen):
    """This will delete a value that nothing holds. Raises NotAllowed, Gone, Stale, Refused with the count."""
    _check(by)
    it = _locked(value, seen)
    held = sum(use.count for use in uses(type(it)).get(it.pk, []))
    if held:
        message = ngettext(
            "“%(name)s” is in use once. Retire it, or merge it into another.",
            "“%(name)s” is in use %(count)d times. Retire it, or merge it into another.",
            held,
        )
        raise Refused(message % {"name": it, "count": held})
    told = _told(it)
    try:
        with transaction.atomic():
            it.delete()
    except models.ProtectedError as error:
        raise Refused(_("The past names “%(name)s”, so it stays. Retire it instead.") % {"name": it}) from error
    Audit.note("picklist_deleted", by=by, list=word_of(type(it)), key=it.key, before=told)


@whole()
def merge(value, *, into, by, seen):
    """
    This will make two values one: whatever holds `value`, conditions included, holds `into` from now on, and `value` is
    retired. What was once true stays as it was. Gives how many rows followed. Raises NotAllowed, Gone, Stale, Refused.
    """
    _check(by)
    model = type(value)
    for pk in sorted([value.pk, into.pk]):  # in one order, so that two merges at once do not wait for each other
        locked(model(pk=pk))
    it, other = _locked(value, seen), locked(into)
    if it == other or not other.active or not it.merges_into(other):
        raise Refused(_("“%(name)s” cannot be merged into this.") % {"name": it}, field="into")
    followed = {}
    for holder, field in holders(model):
        if keeps_the_past(holder):
            continue
        rows = holder._base_manager.filter(**{field.name: it})
        followed[f"{holder._meta.label_lower}.{field.name}"] = it.followed_to(other, rows, field.name, by=by)
    for store, fields in asking(model):
        rows = store._base_manager.select_for_update().exclude(conditions={})
        asked = [row for row in rows if it.key in conditions.picked(row.conditions, fields)]
        for row in asked:
            tree = conditions.with_key(row.conditions, fields, it.key, other.key)
            store._base_manager.filter(pk=row.pk).update(conditions=tree)
        followed[f"{store._meta.label_lower}.conditions"] = len(asked)
    it.active = False
    it.version += 1
    it.save(update_fields=["active", "version"])
    followed = {name: count for name, count in followed.items() if count}
    Audit.note("picklist_merged", by=by, list=word_of(model), key=it.key, into=other.key, followed=followed)
    return sum(followed.values())


def successor(value):
    """This will give the value that `value` was merged into, and that one into; itself where it never was."""
    passed = set()
    while not value.active and value.pk not in passed:
        passed.add(value.pk)
        merged = Audit.objects.filter(kind="picklist_merged", data__list=word_of(type(value)), data__key=value.key)
        into = merged.order_by("-id").values_list("data__into", flat=True).first()
        value = type(value)._base_manager.filter(key=into).first() or value
    return value


def take_back(model, entries, *, by):
    """This will delete the values that `entries` of crm.journal say were entered, but for those in use or changed."""
    stays = {}
    for entry in entries:
        value = model._base_manager.filter(pk=entry.about_id).first()
        try:
            if value is None:
                raise Gone()
            delete(value, by=by, seen=entry.version)
        except Refused as refused:
            stays[entry.about_id] = refused.message
    return stays


def set_back(model, entry, *, by):
    """This will give a value what `entry` of crm.journal says it was before, and give "", or why it did not."""
    value = model._base_manager.filter(pk=entry.about_id).first()
    if value is None:
        return _("It was deleted since.")
    try:
        change(value, by=by, seen=entry.version, **entry.values())
    except Stale:
        return _("It was changed since.")
    except Refused as refused:
        return refused.message
    value.refresh_from_db()
    entry.was_set_back(value)
    return ""


def needs_a_name_alone(model):
    """This will tell whether a value of the list is whole with a name: nothing else of it has to be said."""
    shared = {"id", *(field.name for field in Picklist._meta.fields)}
    own = [field for field in model._meta.concrete_fields if field.name not in shared]
    return all(field.has_default() or field.blank or field.null for field in own)


def free_key(model, names):
    """This will make a key of a name that no value of the list has yet."""
    base = key = slugify(names.get("en", ""))[:32] or word_of(model)
    number = 1
    while model._base_manager.filter(key=key).exists():
        number += 1
        key = f"{base}-{number}"
    return key


def _locked(value, seen):
    it = locked(value)
    if seen is not None and int(seen) != it.version:
        raise Stale(it)
    return it


def _clean(value):
    try:
        value.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Refused(messages[0], field=field) from error


def _told(value):
    """This will give the values of a value, as the audit keeps them."""
    fields = [field for field in value._meta.concrete_fields if field.name not in ("id", "version")]
    told = {field.name: getattr(value, field.attname) for field in fields}
    return {name: one if isinstance(one, bool | int | dict | list | None) else str(one) for name, one in told.items()}


def _note(value, before, by):
    after = _told(value)
    Audit.note("picklist_changed", by=by, list=word_of(type(value)), key=value.key, before=before, after=after)
