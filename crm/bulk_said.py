"""What the form of an act on many records said, kept so that it reads right later, in the language of whoever looks."""

from datetime import date, datetime

from django.db import models
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from crm import shown
from crm.custom_fields import PREFIX, by_key
from crm.names import localized

LONGEST = 200  # letters kept of a text
WORDS = 60  # letters shown of it


def kept(given):
    """This will give {field: value} as JSON, as [[field, value]]; a value with names keeps them all."""
    known = by_key()
    return [[name, _described(known[name], value) if name in known else _kept(value)] for name, value in given.items()]


def _described(field, value):
    said = field.described(value)
    return said[:LONGEST] if isinstance(said, str) else said


def _kept(value):
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, models.Model):
        return getattr(value, "names", None) or str(value)
    if isinstance(value, list | tuple | models.QuerySet):
        return [_kept(one) for one in value]
    if isinstance(value, datetime):
        return {"moment": value.isoformat()}
    if isinstance(value, date):
        return {"day": value.isoformat()}
    return str(value).strip()[:LONGEST]


def told(said, form, *, sets):
    """
    This will say in one line what was `kept`, with the labels of `form`; where it `sets` fields, to what each, else
    what each says.
    """
    parts, known = [], by_key()
    for name, value in said:
        if name.startswith(PREFIX):
            parts += [_added(known[name], value)] if name in known else []
            continue
        field = form.fields.get(name)
        if field is None or (not sets and value in (None, "", [], False)):
            continue
        parts.append(_part(field, value, sets=sets))
    return pgettext("between the members of a list", ", ").join(parts)


def _added(field, value):
    """This will say to what a field was set that administrators added, be it archived since."""
    text = Truncator(" ".join(field.told(value).split())).chars(WORDS)
    return _("%(field)s → %(value)s") % {"field": field.name, "value": text} if text else _emptied(field.name)


def _emptied(label):
    return _("%(field)s → emptied") % {"field": label}


def _part(field, value, *, sets):
    label = field.label
    if value is True:
        return str(label)
    if value in (None, "", []):
        return _emptied(label)
    text = _shown(field, value)
    return (_("%(field)s → %(value)s") if sets else _("%(field)s: %(value)s")) % {"field": label, "value": text}


def _shown(field, value):
    if isinstance(value, list):
        return pgettext("between the members of a list", ", ").join(_shown(field, one) for one in value)
    if isinstance(value, dict):
        if "moment" in value:
            return shown.moment(parse_datetime(value["moment"]))
        return shown.day(parse_date(value["day"])) if "day" in value else localized(value)
    if not hasattr(field, "queryset"):
        value = dict(getattr(field, "choices", ())).get(value, value)
    text = str(value)
    return Truncator(text.splitlines()[0] if text else "").chars(WORDS)
