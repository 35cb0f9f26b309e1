"""Form fields that take what people really type: amounts, days, moments, time zones, a record chosen by its name."""

import re
import unicodedata
from collections import namedtuple
from datetime import date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model, Q
from django.http import JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from crm import files
from crm.money import LARGEST
from crm.recent import Opened
from crm.shown import symbol
from crm.verbs import Refused

# ── Reading text, for forms and imports alike ────────────────────────────────────────────────────────────────────────

UNITS = {"": 1, "k": 10**3, "m": 10**6, "千": 10**3, "万": 10**4, "百万": 10**6, "千万": 10**7, "亿": 10**8}
AMOUNT = re.compile(
    r"(?P<sign>[-−]?) ?(?:[¥$€£]|HK\$|US\$|[A-Z]{3})? ?"
    r"(?P<number>(?:\d{1,3}(?:[, ]\d{3})+|\d{1,4}(?:,\d{4})+|\d+)(?:\.\d+)?|\.\d+) ?"
    r"(?P<unit>k|m|千万|百万|千|万|亿|) ?(?:元|圆|[A-Z]{3})?",
    re.IGNORECASE | re.ASCII,
)
HEADED = re.compile(
    r"(?P<unit>百万|千万|万|千|亿)元?|(?:\b|\d|[(\[])(?P<word>k|m|thousand|million)(?:\b|[)\]])", re.IGNORECASE
)
DAY = re.compile(
    r"(\d{4})(?:-(\d{1,2})-|/(\d{1,2})/|\.(\d{1,2})\.|年 ?(\d{1,2})月 ?)(\d{1,2})[日号]?|(\d{4})(\d{2})(\d{2})",
    re.ASCII,
)
NUMBERED = re.compile(
    r"(?P<first>\d{1,2})(?P<sign>[-/.])(?P<second>\d{1,2})(?P=sign)(?P<year>\d{4}|\d{2})(?P<rest>(?:[ T].*)?)", re.ASCII
)
CLOCK = re.compile(r"(?P<day>.*\d[日号]?)(?:T| )+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::\d{2})?", re.ASCII)


def narrow(text):
    """This will give `text` with wide letters, digits and signs as narrow ones, and single spaces between words."""
    return " ".join(unicodedata.normalize("NFKC", str(text)).split())


def read_amount(text):
    """This will read an amount as people write it: 450000, 450,000, 45万, ￥880000, 12.8 万元. Raises ValueError."""
    found = AMOUNT.fullmatch(narrow(text)) if len(str(text)) < 60 else None  # a Decimal does not bear a million digits
    if not found:
        raise ValueError(text)
    number = Decimal(re.sub("[, ]", "", found["number"])) * UNITS[found["unit"].lower()]
    return -number if found["sign"] else number


def unit_in(heading):
    """This will give the unit that the heading of a column of amounts names, 金额（万元）, Value (k); or ""."""
    found = HEADED.search(narrow(heading))
    return (found["unit"] or found["word"][0].lower().replace("t", "k")) if found else ""


def with_unit(text, unit):
    """This will give an amount its unit, unless it names one, or is no number."""
    found = AMOUNT.fullmatch(narrow(text)) if len(str(text)) < 60 else None
    return f"{narrow(text)}{unit}" if found and not found["unit"] and narrow(text)[-1:].isdigit() else text


def read_day(text):
    """This will read a day, year first: 2026-12-01, 2026/12/1, 2026年12月1日, 20261201. Raises ValueError."""
    found = DAY.fullmatch(narrow(text))
    if not found:
        raise ValueError(text)
    year, month, day_of_month = (int(part) for part in found.groups() if part)
    if not 1900 <= year < 2200:  # a year that a slip of the hand makes, such as 0026
        raise ValueError(text)
    return date(year, month, day_of_month)


def year_first(text, order):
    """
    This will write a day in numbers, 3/12/2026, the year first; `order` says what comes first in it, "dmy" or "mdy". A
    text of another form is given back as it is.
    """
    found = NUMBERED.fullmatch(narrow(text))
    if not found:
        return text
    first, second, year = found["first"], found["second"], found["year"]
    day, month = (first, second) if order == "dmy" else (second, first)
    return f"{year if len(year) == 4 else '20' + year}-{month}-{day}{found['rest']}"


def read_moment(text):
    """This will read a day and a time, 2026-12-01 16:20 or 2026-12-01T16:20, without a zone. Raises ValueError."""
    found = CLOCK.fullmatch(narrow(text))
    if not found:
        raise ValueError(text)
    return datetime.combine(read_day(found["day"]), time(int(found["hour"]), int(found["minute"])))


def on_one_line(value):
    """This will refuse a text of several lines: browsers send none from a field of one, but others may."""
    if isinstance(value, str) and len(value.splitlines()) > 1:
        raise ValidationError(_("Write this on one line."), code="lines")


# ── Amounts, days, moments, time zones ───────────────────────────────────────────────────────────────────────────────


class AmountInput(forms.TextInput):
    """A text field for an amount, with the currency before it."""

    template_name = "components/amount.html"

    def __init__(self, currency=None):
        super().__init__({"inputmode": "decimal", "autocomplete": "off"})
        self.currency = currency

    def get_context(self, name, value, attrs):
        return super().get_context(name, value, attrs) | {"symbol": symbol(self.currency).strip()}


class AmountField(forms.Field):
    """An amount of money, as `read_amount` takes it. Cleans to a Decimal that fits crm.money, or None."""

    default_error_messages = {
        "invalid": _("Write a number: 450000, 450,000 or 45万."),
        "places": _("Write at most two decimals."),
        "negative": _("An amount is not below zero."),
        "digits": _("That is too large. Write at most 12 digits before the point."),
    }

    def __init__(self, *, currency=None, **kwargs):
        super().__init__(widget=AmountInput(currency), **kwargs)

    def to_python(self, value):
        amount = _read(self, read_amount, value)
        if amount is None or isinstance(amount, str):
            return None
        if amount < 0:
            raise ValidationError(self.error_messages["negative"], code="negative")
        if amount > LARGEST:
            raise ValidationError(self.error_messages["digits"], code="digits")
        if amount != round(amount, 2):
            raise ValidationError(self.error_messages["places"], code="places")
        return round(amount, 2)

    def prepare_value(self, value):
        return f"{value:,.2f}".removesuffix(".00") if isinstance(value, int | Decimal) else value


class FilesInput(forms.FileInput):
    """A field to choose several files."""

    allow_multiple_selected = True


class FilesField(forms.FileField):
    """Files to be kept, several at once. Cleans to a list; each that is not taken is named, with the reason."""

    def __init__(self, **kwargs):
        super().__init__(widget=FilesInput(), **kwargs)
        self.widget.attrs["accept"] = ",".join(f".{end}" for end in files.taken())

    def clean(self, data, initial=None):
        uploads = list(data or [])
        if self.required and not uploads:
            raise ValidationError(self.error_messages["required"], code="required")
        try:
            _good, refused = files.sorted_out(uploads)
        except Refused as error:
            raise ValidationError(error.message, code="many") from error
        if refused:
            raise ValidationError(
                [ValidationError("%(name)s: %(why)s", params={"name": name, "why": why}) for name, why in refused]
            )
        return uploads


class DayField(forms.DateField):
    """A day, chosen in the browser's calendar or typed as `read_day` takes it."""

    default_error_messages = {"invalid": _("Write a date: 2026-12-01 or 2026年12月1日.")}
    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})

    def to_python(self, value):
        return super().to_python(_read(self, read_day, value))


class MomentField(forms.DateTimeField):
    """A day and a time in the reader's time zone. Cleans to an aware datetime."""

    default_error_messages = {"invalid": _("Write a date and a time: 2026-12-01 16:20.")}
    widget = forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs={"type": "datetime-local"})

    def to_python(self, value):
        return super().to_python(_read(self, read_moment, value))


def _read(field, read, value):
    """This will read what was typed into `field`, and leave alone what is empty or read already."""
    if not isinstance(value, str) or not value.strip():
        return value
    try:
        return read(value)
    except ValueError as error:
        raise ValidationError(field.error_messages["invalid"], code="invalid") from error


class TimeZoneInput(forms.TextInput):
    """A text field that searches the names of the time zones."""

    template_name = "components/time_zone.html"

    def get_context(self, name, value, attrs):
        context = super().get_context(name, value, attrs)
        context["widget"]["attrs"]["list"] = f"{context['widget']['attrs'].get('id', name)}_zones"
        zones = sorted(
            zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "SystemV/"))
        )
        return context | {"zones": [(zone, _offset(zone)) for zone in ["UTC", *zones]]}


def _offset(zone):
    offset = f"{timezone.now().astimezone(ZoneInfo(zone)):%z}"
    return f"UTC{offset[:3]}:{offset[3:]}"


class TimeZoneField(forms.CharField):
    """The name of a time zone, by its city or in full: Asia/Shanghai, shanghai. Cleans to the full name, or ""."""

    default_error_messages = {"invalid": _("There is no time zone of that name. Write a city, such as Asia/Shanghai.")}
    widget = TimeZoneInput
    cities = {"beijing": "Asia/Shanghai", "北京": "Asia/Shanghai", "上海": "Asia/Shanghai"}  # no zone bears these names

    def to_python(self, value):
        typed = narrow(value or "").replace(" ", "_").casefold()
        if not typed:
            return ""
        zones = available_timezones()
        found = [zone for zone in zones if zone.casefold() == typed]
        found = found or [zone for zone in zones if zone.casefold().rpartition("/")[2] == typed]
        if typed in self.cities:
            found = [self.cities[typed]]
        if len(found) != 1:
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return found[0]


# ── Choosing one of few, with what each choice means ─────────────────────────────────────────────────────────────────


class ChoiceHint:
    """The label of one radio button, with a line below that says what choosing it will do, and to whom."""

    def __init__(self, label, hint):
        self.label = label
        self.hint = hint

    def __str__(self):
        return str(self.label)


# ── Choosing a record by typing its name ─────────────────────────────────────────────────────────────────────────────

# What a picker posts. `text` is None where the form did not send it; `chosen` came with the text, `picked` was clicked
# among the matches of a text that did not say enough.
Typed = namedtuple("Typed", ["text", "chosen", "picked"])


class PickerInput(forms.TextInput):
    """A text field with the key of what was chosen beside it; pursuit.js makes it a combobox."""

    template_name = "components/picker.html"
    field = None  # set by the field, as are the next two when it cleans
    settled = None  # the records that were chosen; the text then says no more than they do
    matches = ()  # what a text that did not say enough may mean

    def get_context(self, name, value, attrs):
        field = self.field
        typed = field.prepare_value(value)
        chosen = field.records(typed.chosen) if self.settled is None else self.settled
        text = typed.text or ""
        if chosen and not self.matches:
            text = text if field.many and self.settled is None else "" if field.many else str(chosen[0])
        context = super().get_context(name, text, attrs)
        return context | {
            "source": field.source,
            "many": field.many,
            "chosen": [field.option(record) for record in chosen],
            "matches": [field.option(record) for record in self.matches],
        }

    def value_from_datadict(self, data, files, name):
        keys = data.getlist if hasattr(data, "getlist") else lambda key: [data[key]] if key in data else []
        return Typed(data.get(name), [key for key in keys(f"{name}_id") if key], keys(f"{name}_pick"))

    def value_omitted_from_data(self, data, files, name):
        return not {name, f"{name}_id", f"{name}_pick"} & set(data)


class PicklistField(forms.ModelChoiceField):
    """One value of a picklist. What the record holds already, `held`, needs no looking up."""

    held = None

    def to_python(self, value):
        return self.held if self.held is not None and str(value) == str(self.held.pk) else super().to_python(value)


class PickerField(forms.Field):
    """
    One record, chosen by typing its name. Cleans to the record, or None.

    Write one subclass per kind of record; its `as_view()` answers the combobox, so what the list offers and what the
    form takes are one queryset, and a record outside it is unknown, in the same words as one that does not exist:

        class CustomerPicker(PickerField):
            url_name = "customer_pick"  # path("customers/pick/", CustomerPicker.as_view(), name="customer_pick")

            def queryset_for(self, user):
                return Customer.objects.visible_to(user)

            def second(self, customer):  # what tells namesakes apart; optional
                return f"{customer.department}, {customer.owner}"

        customer = CustomerPicker(label=_("Customer"))

    It needs a form of crm.forms, made with `user=`. A form that allows fewer sets `self.fields["customer"].queryset`,
    and `.source` to an address that answers with those. Without JavaScript it is a text field: a text that names one
    record chooses it, and otherwise the form comes back with the matches to choose from. Posting
    `customer=Qinghe Water Group` or `customer_id=5` alone is enough. `many=True` gives a list: chosen ones are ticked,
    the text adds more, with `;` between names.
    """

    default_error_messages = {
        "unknown": _("Nothing that you may choose matches “%(text)s”. Write a part of the name."),
        "several": _("“%(text)s” is not enough to tell which one. Choose one of these, or write more of the name."),
        "invalid": _("What was chosen is not there any more. Choose again."),
    }
    url_name = None
    exact = "name"  # the lookup that finds the very name
    find = ("name__icontains",)  # the lookups that find a part of it, where the queryset has no search of its own
    limit = 8  # rows offered at once

    def __init__(self, *, many=False, **kwargs):
        super().__init__(widget=PickerInput(), **kwargs)
        self.many = many
        self.user = None
        self.current = []  # what the record holds already: it stays valid, though it be out of sight
        self._queryset = self._source = None
        self.widget.attrs["autocomplete"] = "off"
        self.widget.field = self

    def __deepcopy__(self, memo):
        result = super().__deepcopy__(memo)
        result.current = list(self.current)
        result.widget.field = result
        return result

    # What a subclass says

    def queryset_for(self, user):
        """This will give the records that `user` may choose."""
        raise NotImplementedError

    def narrow(self, query):
        """This will narrow what the combobox offers to what its address asks for, a QueryDict: see `source`."""

    def search(self, queryset, text):
        """This will narrow `queryset` to the records that `text` may mean."""
        if hasattr(queryset, "sought"):
            return queryset.sought(text, self.user)
        if hasattr(queryset, "search"):
            return queryset.search(text)
        condition = Q()
        for lookup in self.find:
            condition |= Q(**{lookup: text})
        return queryset.filter(condition)

    def second(self, record):
        """This will give the second line of a row, which tells namesakes apart."""
        return ""

    def create_row(self, user, text):
        """This will give (label, address) of a last row that creates a record named `text`, or None."""
        return

    # What a form uses

    @property
    def queryset(self):
        return self.queryset_for(self.user) if self._queryset is None else self._queryset

    @queryset.setter
    def queryset(self, queryset):
        self._queryset = queryset

    @property
    def source(self):
        return self._source or reverse(self.url_name)

    @source.setter
    def source(self, address):
        self._source = address

    def option(self, record):
        return {"id": record.pk, "label": str(record), "second": str(self.second(record))}

    def hold(self, value):
        """This will keep valid what the record holds already: a record, a list of records, or nothing."""
        values = value if isinstance(value, list | tuple) else [value]
        self.current += [record for record in values if isinstance(record, Model) and record not in self.current]

    def records(self, keys):
        """This will give the records of `keys` that may be chosen, in the order of `keys`; others are left out."""
        keys = [str(key) for key in keys]
        found = {str(record.pk): record for record in self.current if str(record.pk) in keys}
        numbers = [int(key) for key in keys if key not in found and key.isascii() and key.isdigit() and len(key) < 19]
        if numbers:
            found |= {str(record.pk): record for record in self.queryset.filter(pk__in=numbers)}
        return [found[key] for key in dict.fromkeys(keys) if key in found]

    def prepare_value(self, value):
        if isinstance(value, Typed):
            return value
        records = value if isinstance(value, list | tuple) else [] if value in self.empty_values else [value]
        records = [
            record for item in records for record in ([item] if isinstance(item, Model) else self.records([item]))
        ]
        self.current += [record for record in records if record not in self.current]
        return Typed("" if self.many else str(records[0]) if records else "", [record.pk for record in records], [])

    def has_changed(self, initial, data):
        typed = self.prepare_value(initial)
        data = data or Typed(None, [], [])
        keys = [str(key) for key in typed.chosen] != [*data.chosen, *data.picked]
        return keys or (data.text is not None and not _same(data.text, typed.text))

    def clean(self, value):
        typed = self.prepare_value(value)
        kept = self.records(typed.chosen)
        if len(kept) < len(typed.chosen) and (self.many or typed.text is None):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        records = self._clean_many(kept, typed) if self.many else self._clean_one(kept, typed)
        self.widget.settled, self.widget.matches = records, ()
        if self.required and not records:
            raise ValidationError(self.error_messages["required"], code="required")
        return records if self.many else records[0] if records else None

    def _clean_one(self, kept, typed):
        """This will give the record in a list. The text rules: without JavaScript the key beside it does not change."""
        if typed.text is None:
            return kept
        text = _trim(typed.text)
        if not text or any(_same(str(record), text) for record in kept):
            return kept if text else []
        self.widget.settled = []
        return self._meant(text, typed.picked)

    def _clean_many(self, kept, typed):
        """This will give what is ticked and what each of the names in the text adds."""
        records = self.widget.settled = kept
        for text in filter(None, map(_trim, re.split(r"[;；,，、\n]", typed.text or ""))):
            records += [record for record in self._meant(text, typed.picked) if record not in records]
        return records

    def _meant(self, text, picked):
        """This will give what `text` means: the one of that name, the only match, or those that were picked."""
        found = []
        for written in dict.fromkeys([text, narrow(text)]):
            found = found or self._named(written)
        chosen = found if len(found) == 1 else [record for record in found if str(record.pk) in picked]
        if chosen:
            return chosen
        self.widget.matches = found[: self.limit]
        code = "several" if found else "unknown"
        raise ValidationError(self.error_messages[code], code=code, params={"text": text})

    def _named(self, text):
        """This will list the records of that very name, else those that match, at most one more than are offered."""
        found = list(self.queryset.filter(**{self.exact: text})[: self.limit + 1]) if self.exact else []
        if not found:
            found = list(self.search(self.queryset, text)[: self.limit + 1])
            found = [record for record in found if _same(str(record), text)] or found
        return found

    def first(self):
        """This will list what the combobox offers before anything is typed: first what its reader opened last."""
        label = self.queryset.model._meta.label_lower
        pks = [pk for kind, pk in Opened.latest(self.user) if kind == label]
        opened = {record.pk: record for record in self.queryset.filter(pk__in=pks)} if pks else {}
        others = self.queryset.exclude(pk__in=opened)[: self.limit + 1 - len(opened)]
        return [*(opened[pk] for pk in pks if pk in opened), *others][: self.limit + 1]

    @classmethod
    def as_view(cls):
        """This will give the view that answers the combobox: GET ?q=, the rows as JSON."""

        @require_safe
        def view(request):
            return cls().answer(request)

        return view

    def answer(self, request):
        """This will answer the combobox: what `request` asks for and its user may choose, as JSON."""
        self.user = request.user
        self.narrow(request.GET)
        text = _trim(request.GET.get("q"))
        found = list(self.search(self.queryset, text)[: self.limit + 1]) if text else self.first()
        create = self.create_row(request.user, text) if text and "known" not in request.GET else None
        note = "" if found or create else _("Nothing that you may choose matches.")
        if len(found) > self.limit:
            note = _("There are more. Write more of the name.")
        return JsonResponse(
            {
                "options": [self.option(record) for record in found[: self.limit]],
                "note": str(note),
                "create": {"label": str(create[0]), "url": create[1]} if create else None,
            }
        )


def _trim(text):
    return " ".join((text or "").replace("\0", " ").split())  # no database can look for a NUL


def _same(one, other):
    return narrow(one).casefold() == narrow(other).casefold()
