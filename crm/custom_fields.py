"""
Fields that administrators add to a kind of record without a deployment: what each is called, holds, and asks for.

A field's `key`, c_region_12, never changes and is never used again: addresses, views, histories and files know the
field by it. What records hold is in crm.custom_values. Whoever needs the definitions asks `of` or `by_key`: they are
read once for each of their versions, which comes along with that of the organisation (`Organisation.is_at`).
"""

from datetime import date
from decimal import Decimal

from django.db import models
from django.db.models import Q
from django.utils.functional import lazy
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext, pgettext_lazy

from crm import shown
from crm.kinds import ADDED
from crm.models import User
from crm.names import localized, localized_names, validate_names
from crm.organisation import Organisation

PREFIX = ADDED  # of their keys
STEP = 10  # between two in order
SCALE = 4  # decimals of a number; it is kept as an integer, exact on every database
DECIMALS = Decimal(10) ** -SCALE


class Kind(models.TextChoices):
    """What a field holds."""

    TEXT = "text", _("Text")
    LONG_TEXT = "long_text", _("Long text")
    NUMBER = "number", pgettext_lazy("kind of field", "Number")
    MONEY = "money", _("Money")
    DATE = "date", pgettext_lazy("kind of field", "Date")
    YES_NO = "yes_no", _("Yes or no")
    CHOICE = "choice", _("One choice")
    CHOICES = "choices", _("Several choices")
    PERSON = "person", _("Person")


CHOOSING = (Kind.CHOICE, Kind.CHOICES)
CAN_BE_UNIQUE = (Kind.TEXT, Kind.NUMBER)

# Into which other kinds a field can be changed without losing anything
WAYS = {
    Kind.TEXT: (Kind.LONG_TEXT,),
    Kind.NUMBER: (Kind.MONEY,),
    Kind.MONEY: (Kind.NUMBER,),
    Kind.CHOICE: (Kind.CHOICES,),
}

# The column of crm.custom_values that holds what a field of the kind holds
COLUMNS = {
    Kind.TEXT: "text",
    Kind.LONG_TEXT: "long_text",
    Kind.NUMBER: "number",
    Kind.MONEY: "number",
    Kind.DATE: "day",
    Kind.YES_NO: "yes",
    Kind.CHOICE: "choice",
    Kind.CHOICES: "choice",
    Kind.PERSON: "person",
}


class Several(list):
    """The values of a field that holds several, written as people write several."""

    def __str__(self):
        return pgettext("between the members of a list", ", ").join(str(one) for one in self)


class CustomSection(models.Model):
    """A part of a form and of a record's page, under a heading of its own. Fields of none stand together at the end."""

    subject = models.SlugField(max_length=20)  # the `guard` of a crm.custom_values.Customised model
    names = models.JSONField(_("names"), default=dict, validators=[validate_names])
    order = models.PositiveIntegerField(default=0)
    version = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = _("section")
        verbose_name_plural = _("sections")
        ordering = ["order", "id"]

    def __str__(self):
        return localized_names(self.names)

    @property
    def place(self):
        return (0, self.order, self.pk)


class CustomField(models.Model):
    """The definition of one field. Its verbs are in crm.custom_changes."""

    class Required(models.TextChoices):
        NO = "no", pgettext_lazy("a field is needed", "Never")
        ALWAYS = "always", pgettext_lazy("a field is needed", "Always")
        STAGE = "stage", _("From a stage on")

    subject = models.SlugField(max_length=20, editable=False)
    key = models.SlugField(_("key"), max_length=40, unique=True, editable=False)
    kind = models.CharField(_("kind"), max_length=9, choices=Kind)
    names = models.JSONField(_("names"), default=dict, validators=[validate_names])
    help = models.JSONField(_("help"), default=dict, blank=True)  # {language: text}
    required = models.CharField(_("needed"), max_length=6, choices=Required, default=Required.NO)
    stage = models.CharField(_("stage"), max_length=40, blank=True)  # its key, where it is needed from one on
    default = models.JSONField(_("default"), null=True, blank=True)  # as `kept` gives it
    unique = models.BooleanField(_("unique"), default=False)
    on_card = models.BooleanField(_("on cards of the board"), default=False)
    section = models.ForeignKey(CustomSection, models.SET_NULL, null=True, blank=True, related_name="fields")
    order = models.PositiveIntegerField(default=0)
    active = models.BooleanField(default=True)
    version = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = _("custom field")
        verbose_name_plural = _("custom fields")
        ordering = ["order", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(required="stage") | Q(stage=""), name="custom_field_stage_only_where_needed_from_one"
            ),
            models.CheckConstraint(
                condition=Q(unique=False) | Q(kind__in=CAN_BE_UNIQUE), name="custom_field_unique_kind"
            ),
        ]

    def __str__(self):
        return self.name

    @property
    def name(self):
        return localized(self.names)

    @property
    def label(self):
        """This will give the name as a lazy text: in whatever language is active when it is written."""
        return lazy(localized, str)(self.names)

    @property
    def help_text(self):
        return lazy(localized_names, str)(self.help)

    @property
    def column(self):
        return COLUMNS[self.kind]

    @property
    def is_several(self):
        return self.kind == Kind.CHOICES

    @property
    def place(self):
        """This will give where the field stands among all of its subject."""
        return (*(self.section.place if self.section else (1, 0, 0)), self.order, self.pk)

    @property
    def choices(self):
        """This will list the field's options in order, those retired too; read once."""
        if "_choices" not in self.__dict__:
            self._choices = list(self.options.all()) if self.pk and self.kind in CHOOSING else []
        return self._choices

    def choice(self, *, pk=None, key=None):
        """This will give the option of that key, or None."""
        return next((one for one in self.choices if one.pk == pk or one.key == key), None)

    def tidy(self, value):
        """This will give a value as the field holds it: None for what is empty, options in their order."""
        if value is None or value == "" or value == []:
            return None
        if self.is_several:
            chosen = {one.pk for one in value}
            return Several(one for one in self.choices if one.pk in chosen)
        if self.column == "number":
            return Decimal(value)
        return value.strip() or None if isinstance(value, str) else value

    # In rows of crm.custom_values

    def from_rows(self, rows):
        """This will give what rows of the database hold, at least one, in order."""
        if self.column == "choice":
            found = [one for row in rows if (one := self.choice(pk=row.choice_id))]
            return self.tidy(found) if self.is_several else next(iter(found), None)
        held = getattr(rows[0], self.column)
        return _plain(Decimal(held).scaleb(-SCALE)) if self.column == "number" else held

    def to_columns(self, value):
        """This will list, for each row that is to hold `value`, what its columns hold."""
        if value is None:
            return []
        if self.column == "number":
            value = int(value.scaleb(SCALE))
        return [{self.column: one} for one in (value if self.is_several else [value])]

    def unique_key(self, value):
        """This will give what no two records may share; None where they may."""
        if not self.unique or value is None:
            return None
        return shown.quantity(value) if self.column == "number" else " ".join(value.split()).casefold()

    # In JSON

    def kept(self, value):
        """This will give a value as JSON that `read_kept` reads back."""
        if isinstance(value, list):
            return [one.pk for one in value]
        if isinstance(value, models.Model):
            return value.pk
        if value is None or isinstance(value, bool | str):
            return value
        return value.isoformat() if isinstance(value, date) else format(value, "f")

    def read_kept(self, kept):
        """This will read that back; what it named and is gone is left out."""
        if kept is None:
            return None
        if self.is_several:
            return self.tidy([one for one in self.choices if one.pk in (kept if isinstance(kept, list) else [kept])])
        if self.kind == Kind.CHOICE:
            return self.choice(pk=kept)
        if self.kind == Kind.PERSON:
            return User.objects.filter(pk=kept).first()
        if self.kind == Kind.DATE:
            return date.fromisoformat(kept)
        return Decimal(kept) if self.column == "number" else kept

    # In words

    def shown(self, value):
        """This will write a value as pages do, in the active language; "" for nothing."""
        if value is None:
            return ""
        ways = {Kind.NUMBER: shown.quantity, Kind.MONEY: shown.money, Kind.DATE: shown.day, Kind.YES_NO: yes_or_no}
        return str(ways.get(self.kind, str)(value))

    def described(self, value):
        """This will turn a value into JSON that a history can tell of when what it names is gone."""
        if isinstance(value, list):
            return [self.described(one) for one in value]
        if isinstance(value, models.Model):
            return {"id": value.pk, "label": getattr(value, "names", None) or str(value)}
        return self.kept(value)

    def told(self, described):
        """This will write what `described` gave, as `shown` does."""
        if described in (None, "", []):
            return ""
        if isinstance(described, list):
            return str(Several(map(self.told, described)))
        if isinstance(described, dict):
            label = described.get("label", "")
            return localized(label) if isinstance(label, dict) else str(label)
        try:
            return self.shown(self.read_kept(described))
        except (ArithmeticError, TypeError, ValueError):  # the field was of another kind then
            return str(described)


def _plain(number):
    """This will give a number without the zeros that say nothing: 7.5 and not 7.5000, 100 and not 1E+2."""
    return number.quantize(Decimal(1)) if number == number.to_integral_value() else number.normalize()


def yes_or_no(value):
    return _("Yes") if value else _("No")


class CustomChoice(models.Model):
    """One option of a field. One in use is retired, never deleted; renaming it changes nothing else."""

    field = models.ForeignKey(CustomField, models.CASCADE, related_name="options")
    key = models.SlugField(_("key"), max_length=40)
    names = models.JSONField(_("names"), default=dict, validators=[validate_names])
    order = models.PositiveIntegerField(default=0)
    active = models.BooleanField(_("active"), default=True, help_text=_("A retired value can no longer be chosen."))
    version = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        verbose_name = _("option")
        verbose_name_plural = _("options")
        ordering = ["order", "id"]
        constraints = [models.UniqueConstraint(fields=["field", "key"], name="custom_choice_key")]

    def __str__(self):
        return localized(self.names)

    @property
    def name(self):
        return localized(self.names)


# ── The definitions there are ────────────────────────────────────────────────────────────────────────────────────────


def by_key():
    """This will give {key: CustomField} of all there are, archived ones too; without a query, mostly."""
    kept = Organisation.current()
    if not kept.fields_version:
        return {}
    if "custom_fields" not in kept.__dict__:
        found = CustomField.objects.select_related("section").prefetch_related("options")
        kept.custom_fields = {field.key: field for field in sorted(found, key=lambda field: field.place)}
    return kept.custom_fields


def of(subject):
    """This will list the fields of a kind of record that are in use, in the order of its forms."""
    return [field for field in by_key().values() if field.active and field.subject == subject]


def field_of(model, key):
    """This will give the field of that key that records of `model` have or had, or None."""
    field = by_key().get(key) if key.startswith(PREFIX) else None
    return field if field is not None and field.subject == getattr(model, "guard", None) else None


def sections_of(fields):
    """This will gather fields, in their order, as [(section or None, [field, …]), …]."""
    gathered = {}
    for field in fields:
        gathered.setdefault(field.section_id, (field.section, []))[1].append(field)
    return list(gathered.values())


def words_of(text):
    """This will make of a name the part of a key that people can read."""
    return slugify(text).replace("-", "_")[:24].strip("_") or "field"
