"""The verbs of those who add fields: create, change, arrange, archive, restore, erase; and those of their options."""

from uuid import uuid4

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import F, Max, Q
from django.utils import translation
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from crm.custom_fields import (
    CAN_BE_UNIQUE,
    CHOOSING,
    PREFIX,
    STEP,
    WAYS,
    CustomChoice,
    CustomField,
    CustomSection,
    Kind,
    words_of,
)
from crm.custom_values import CustomValue, subjects
from crm.models import Audit
from crm.organisation import Organisation
from crm.permissions import allows
from crm.verbs import NotAllowed, Refused, Stale, locked, whole

MOST = 100  # fields of a kind of record
UNIQUE_AT_ONCE = 1_000


def _check(by):
    if not allows(by, "administer"):
        raise NotAllowed()


def _locked(record, seen):
    it = locked(record)
    if seen is not None and int(seen) != it.version:
        raise Stale(it)
    return it


def _clean(record, exclude=()):
    try:
        record.full_clean(exclude=exclude)
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Refused(messages[0], field=field) from error


def _told(record):
    """This will give the values of a definition, as the audit keeps them."""
    left_out = ("id", "order", "version")
    fields = [field for field in record._meta.concrete_fields if field.name not in left_out]
    return {field.name: getattr(record, field.attname) for field in fields}


def _note(kind, by, record, before):
    key = getattr(record, "key", record.pk)
    Audit.note(kind, by=by, key=key, before=before, after=_told(record))
    Organisation.fields_changed()


# ── Fields ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@whole()
def create(field, *, by, options=()):
    """
    This will add a field to its subject, behind the others; `options` are the names of what can be chosen, {language:
    text} each. Raises NotAllowed, and Refused with the field that is wrong.
    """
    _check(by)
    if field.subject not in subjects():
        raise Refused(_("There are no such records."))
    there = CustomField.objects.filter(subject=field.subject)
    if there.count() >= MOST:
        raise Refused(_("There are %(count)d fields already. Erase one that is no longer used.") % {"count": MOST})
    if field.kind in CHOOSING and not options:
        raise Refused(_("Write what can be chosen, one on each line."), field="options")
    field.order = (there.aggregate(last=Max("order"))["last"] or 0) + STEP
    field.key = f"{PREFIX}{uuid4().hex}"
    _fit(field)
    _clean(field)
    field.save(force_insert=True)
    field.key = f"{PREFIX}{words_of(field.names.get('en', ''))}_{field.pk}"  # a key of the table is never used again
    field.save(update_fields=["key"])
    for place, names in enumerate(options, start=1):
        option = CustomChoice(field=field, names=names, order=place * STEP)
        option.key = _free_key(field, names)
        _clean(option)
        option.save(force_insert=True)
    _note("custom_field_changed", by, field, None)


@whole()
def change(field, *, by, seen, **values):
    """
    This will change what a field is called, asks for, or holds: its kind only where nothing is lost by it. Raises
    NotAllowed, Gone, Stale, and Refused with the field that is wrong.
    """
    _check(by)
    it, was = _locked(field, seen), locked(field)
    for name, value in values.items():
        setattr(it, name, value)
    if it.kind != was.kind and it.kind not in WAYS.get(was.kind, ()):
        told = _("“%(kind)s” cannot become “%(other)s”: what is there would be lost. Add another field.")
        raise Refused(told % {"kind": was.get_kind_display(), "other": it.get_kind_display()}, field="kind")
    _fit(it)
    _clean(it)
    if _told(it) == _told(was):
        return
    it.version += 1
    it.save()
    if it.kind != was.kind:
        _convert(it, was.kind)
    if it.unique != was.unique:
        _make_unique(it) if it.unique else it.values.update(unique_key=None)
    _note("custom_field_changed", by, it, _told(was))


def _fit(field):
    """This will bring in line what follows from other values of a definition. Raises Refused."""
    if field.required != CustomField.Required.STAGE:
        field.stage = ""
    elif field.stage not in dict(subjects()[field.subject].custom_stages()):
        raise Refused(_("Choose the stage from which on it is needed."), field="stage")
    _refuse_taken_name(field)
    field.unique = field.unique and field.kind in CAN_BE_UNIQUE
    if field.unique:
        field.default = None  # the second record would have it too


def _refuse_taken_name(field):
    """This will refuse a name that another field of such records has, in any language: a file could not say which."""
    others = CustomField.objects.filter(subject=field.subject).exclude(pk=field.pk)
    taken = {name.casefold() for names in others.values_list("names", flat=True) for name in names.values()}
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            taken |= {str(own.verbose_name).casefold() for own in subjects()[field.subject]._meta.concrete_fields}
    for language, name in field.names.items():
        if isinstance(name, str) and name.strip().casefold() in taken:
            raise Refused(_("There is a field of this name already."), field=f"name_{language}")


def _convert(field, was):
    """This will put what records hold where a field of another kind looks for it. Raises Refused."""
    rows = field.values.all()
    if field.kind == Kind.LONG_TEXT:
        rows.update(long_text=F("text"), text=None, unique_key=None)
    if field.kind == Kind.MONEY:
        broken = rows.annotate(rest=F("number") % 100).filter(Q(number__lt=0) | ~Q(rest=0)).count()
        if broken:
            message = ngettext(
                "%(count)d record has a number that is no amount: below zero, or with more than two decimals.",
                "%(count)d records have a number that is no amount: below zero, or with more than two decimals.",
                broken,
            )
            raise Refused(message % {"count": broken}, field="kind")


def _make_unique(field):
    """This will note what no two records may share from now on. Raises Refused where two do already."""
    found, twice = {}, set()
    rows = list(field.values.order_by("about_id"))
    for row in rows:
        row.unique_key = field.unique_key(field.from_rows([row]))
        twice |= {row.unique_key} & found.keys()
        found[row.unique_key] = row
    if twice:
        message = ngettext(
            "%(count)d value is there more than once, such as “%(value)s”. Make them different first.",
            "%(count)d values are there more than once, such as “%(value)s”. Make them different first.",
            len(twice),
        )
        raise Refused(message % {"count": len(twice), "value": min(twice)}, field="unique")
    CustomValue.objects.bulk_update(rows, ["unique_key"], batch_size=UNIQUE_AT_ONCE)


@whole()
def archive(field, *, by, seen=None):
    """This will take a field off every page; what records hold stays. Raises NotAllowed, Gone, Stale, Refused."""
    _put_away(field, by, seen, active=False)


@whole()
def restore(field, *, by, seen=None):
    """This will bring an archived field back, with what records held. Raises NotAllowed, Gone, Stale, Refused."""
    _put_away(field, by, seen, active=True)


def _put_away(field, by, seen, *, active):
    _check(by)
    it = _locked(field, seen)
    if it.active == active:
        raise Refused(_("It is in use already.") if active else _("It is archived already."))
    before = _told(it)
    it.active = active
    it.version += 1
    it.save()
    _note("custom_field_changed", by, it, before)


@whole()
def erase(field, *, by, seen=None):
    """
    This will delete an archived field, and what records hold of it, for good. Gives how many held something. Raises
    NotAllowed, Gone, Stale, Refused while it is in use.
    """
    _check(by)
    it = _locked(field, seen)
    if it.active:
        raise Refused(_("Archive it first: what is in use is not erased."))
    held = holders(it)
    told = _told(it)
    it.values.all().delete()
    it.options.all().delete()
    it.delete()
    Audit.note("custom_field_erased", by=by, key=it.key, before=told, records=held)
    Organisation.fields_changed()
    return held


def holders(field):
    """This will count the records that hold something of a field."""
    return field.values.values("about_id").distinct().count()


# ── Sections and order ───────────────────────────────────────────────────────────────────────────────────────────────


@whole()
def arrange(subject, layout, *, by, seen):
    """
    This will put sections and fields of a kind of record into the order of `layout`, a list of (section, [field, …])
    by key, None for the part without a heading, which stands last. Raises NotAllowed, and Refused where they are not
    those of `seen`, in its order, any more, or not all of them.
    """
    _check(by)
    if layout_of(subject) != seen:
        raise Refused(_("Somebody changed this list after you opened it. Look at it as it is now, then try again."))
    if _flat(layout) != _flat(seen):
        raise Refused(_("This is not the whole list. Nothing was changed."))
    if layout == seen:
        return
    place = 0
    for number, (section, fields) in enumerate(layout, start=1):
        if section is not None:
            CustomSection.objects.filter(pk=section).update(order=number * STEP)
        for pk in fields:
            place += STEP
            CustomField.objects.filter(pk=pk).update(section=section, order=place)
    Audit.note("custom_fields_arranged", by=by, subject=subject, layout=layout)
    Organisation.fields_changed()


def layout_of(subject):
    """This will give the sections and the fields in use of a kind of record as `arrange` takes them."""
    sections = CustomSection.objects.filter(subject=subject).order_by("order", "pk")
    found = {section: [] for section in [*sections.values_list("pk", flat=True), None]}
    fields = CustomField.objects.filter(subject=subject, active=True).order_by("order", "pk")
    for pk, section in fields.values_list("pk", "section"):
        found[section].append(pk)
    return list(found.items())


def _flat(layout):
    sections = sorted(section for section, _fields in layout if section is not None)
    return sections, sorted(field for _section, fields in layout for field in fields)


@whole()
def create_section(section, *, by):
    """This will add a section, behind the others. Raises NotAllowed, Refused."""
    _check(by)
    there = CustomSection.objects.filter(subject=section.subject)
    section.order = (there.aggregate(last=Max("order"))["last"] or 0) + STEP
    _clean(section)
    section.save(force_insert=True)
    _note("custom_section_changed", by, section, None)


@whole()
def change_section(section, *, by, seen, names):
    """This will give a section other names. Raises NotAllowed, Gone, Stale, Refused."""
    _check(by)
    it = _locked(section, seen)
    before = _told(it)
    it.names = names
    _clean(it)
    if _told(it) != before:
        it.version += 1
        it.save()
        _note("custom_section_changed", by, it, before)


@whole()
def remove_section(section, *, by, seen=None):
    """This will remove a section; its fields stand in none from now on. Raises NotAllowed, Gone, Stale."""
    _check(by)
    it = _locked(section, seen)
    told = _told(it)
    it.fields.update(section=None)
    it.delete()
    Audit.note("custom_section_removed", by=by, before=told)
    Organisation.fields_changed()


# ── Options ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@whole()
def create_option(option, *, by):
    """This will add an option to a field, behind the others. Raises NotAllowed, Refused."""
    _check(by)
    option.key = _free_key(option.field, option.names)
    option.order = (option.field.options.aggregate(last=Max("order"))["last"] or 0) + STEP
    _clean(option)
    option.save(force_insert=True)
    _note("custom_option_changed", by, option, None)


@whole()
def change_option(option, *, by, seen, **values):
    """This will give an option other names, or retire it; records go on holding it. Raises as `change`."""
    _check(by)
    it = _locked(option, seen)
    before = _told(it)
    for name, value in values.items():
        setattr(it, name, value)
    _clean(it)
    if _told(it) != before:
        it.version += 1
        it.save()
        _note("custom_option_changed", by, it, before)


@whole()
def delete_option(option, *, by, seen=None):
    """This will delete an option that no record holds. Raises NotAllowed, Gone, Stale, Refused with the count."""
    _check(by)
    it = _locked(option, seen)
    held = CustomValue.objects.filter(choice=it).count()
    if held:
        message = ngettext(
            "“%(name)s” is held by %(count)d record. Retire it instead.",
            "“%(name)s” is held by %(count)d records. Retire it instead.",
            held,
        )
        raise Refused(message % {"name": it, "count": held})
    told = _told(it)
    it.delete()
    Audit.note("custom_option_deleted", by=by, key=it.key, before=told)
    Organisation.fields_changed()


@whole()
def arrange_options(field, keys, *, by, seen):
    """This will put the options of a field into the order of `keys`. Raises NotAllowed, Refused as `arrange`."""
    _check(by)
    there = list(field.options.select_for_update().order_by("order", "pk"))
    if [one.pk for one in there] != list(seen):
        raise Refused(_("Somebody changed this list after you opened it. Look at it as it is now, then try again."))
    if sorted(keys) != sorted(seen):
        raise Refused(_("This is not the whole list. Nothing was changed."))
    if list(keys) == list(seen):
        return
    for place, pk in enumerate(keys, start=1):
        CustomChoice.objects.filter(pk=pk).update(order=place * STEP)
    Audit.note("custom_options_arranged", by=by, key=field.key, keys=list(keys))
    Organisation.fields_changed()


def _free_key(field, names):
    """This will make a key of a name that no option of the field has yet."""
    base = key = slugify(names.get("en", ""))[:32] or "option"
    number, there = 1, set(field.options.values_list("key", flat=True))
    while key in there:
        number += 1
        key = f"{base}-{number}"
    return key
