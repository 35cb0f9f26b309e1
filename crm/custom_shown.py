"""What lists, exports, cards and pages say of the fields that administrators added, each for many records at once."""

from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from crm import custom_fields
from crm.custom_fields import Kind
from crm.prepared import prepared

FIGURES = (Kind.NUMBER, Kind.MONEY, Kind.DATE)
LONG = (Kind.TEXT, Kind.LONG_TEXT, Kind.CHOICES)
EXCERPT = 200  # letters of a text in a list

ELSE = _("More details")  # the heading over what is in no section


def held(model, pks, fields):
    """This will give {key of a record: {key of a field: value}} of some records, in one query or none."""
    if not fields or not pks:
        return {}
    known = {field.pk: field for field in fields}
    names_people = any(field.kind == Kind.PERSON for field in fields)
    if len(pks) == 1:
        rows = _rows_of_one(*pks, *known, names_people=names_people)
    else:
        rows = _rows(pks, known, names_people=names_people)
    gathered = {}
    for row in rows:
        gathered.setdefault(row.about_id, {}).setdefault(row.field_id, []).append(row)
    return {
        pk: {known[number].key: known[number].from_rows(those) for number, those in of_one.items()}
        for pk, of_one in gathered.items()
    }


def _rows(pks, fields, *, names_people):
    values = custom_fields.CustomField.values.rel.related_model.objects
    rows = values.filter(field__in=fields, about_id__in=pks).order_by("about_id", "field", "position")
    return rows.select_related("person") if names_people else rows


@prepared
def _rows_of_one(pk, *fields, names_people):
    return _rows([pk], fields, names_people=names_people)


def sections(record):
    """This will list (heading, [(field, text)]) of what a record's page says, empty ones left out."""
    found = []
    for section, fields in custom_fields.sections_of(record.custom_fields()):
        told = [(field, field.shown(getattr(record, field.key))) for field in fields]
        if told := [(field, text) for field, text in told if text]:
            found.append((str(section or ELSE), told))
    return found


def on_cards(model, pks):
    """This will give {key of a record: [(label, text), …]} of the fields that are to be on cards."""
    fields = [field for field in model.custom_fields() if field.on_card]
    found = held(model, pks, fields)
    return {
        pk: [(capfirst(field.name), field.shown(values[field.key])) for field in fields if field.key in values]
        for pk, values in found.items()
    }


class Together:
    """What the rows of one page hold, read once for all columns that ask."""

    def __init__(self, model, fields):
        self.model, self.fields = model, fields
        self._of, self._held = None, {}

    def of(self, pks):
        pks = tuple(pks)
        if self._of != pks:
            self._of, self._held = pks, held(self.model, pks, self.fields)
        return self._held


def columns(model):
    """This will give a crm.columns.Column for each field, all read together; none is shown unless it is asked for."""
    from crm.columns import Column  # which stands above, as does the next
    from crm.exports import Out

    fields = model.custom_fields()
    together, sorts = Together(model, fields), model.custom_sorts()
    return [
        Column(
            field.key,
            field.label,
            "right" if field.kind in FIGURES else "",
            td="fit num quiet" if field.kind in FIGURES else "grow cut quiet" if field.kind in LONG else "fit quiet",
            sort=field.key if field.key in sorts else None,
            shown=False,
            batch=_given(field, together, _cell),
            outs=Out(field.label, None, batch=_out(field, together)),
        )
        for field in fields
    ]


def _given(field, together, write):
    def batch(pks):
        held = together.of(pks)
        return {pk: write(field, of_one[field.key]) for pk, of_one in held.items() if field.key in of_one}

    return batch


def _out(field, together):
    """This will give how a column goes out: numbers and days as such, the rest as pages say it."""
    given = _given(field, together, _typed)
    return lambda _listing, pks: given(pks)


def _typed(field, value):
    if field.kind in (Kind.NUMBER, Kind.MONEY):
        return int(value) if value == value.to_integral_value() else value
    if field.kind == Kind.CHOICES:
        return "; ".join(str(one) for one in value)
    if field.kind == Kind.PERSON:
        return value.name
    return value if field.kind in (Kind.DATE, Kind.TEXT, Kind.LONG_TEXT) else field.shown(value)


def _cell(field, value):
    """This will write a value as a cell of a list does."""
    text = field.shown(value)
    return text if len(text) <= EXCERPT else f"{text[:EXCERPT]}…"
