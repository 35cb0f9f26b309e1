"""The form fields of what administrators added: each kind has its control, reads what people type, and says why not."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm import custom_fields, shown
from crm.custom_fields import CHOOSING, DECIMALS, CustomField, Kind
from crm.custom_shown import ELSE
from crm.fields import AmountField, DayField, read_amount
from crm.kinds import is_storable
from crm.money import LARGEST
from crm.pickers import PersonPicker

# Which fields a form asks for: all, those that a record needs from its first day on, or none.
ALL, NEEDED, NONE = "all", "needed", "none"

LONGEST = {Kind.TEXT: 300, Kind.LONG_TEXT: 20_000}


class NumberField(forms.Field):
    """A number, below zero too, as people write it: 1,200, 0.5, １２. Cleans to a Decimal, or None."""

    default_error_messages = {
        "invalid": _("Write a number: 12, 1,200 or 0.5."),
        "places": _("Write at most four decimals."),
        "digits": _("That is too large. Write at most 12 digits before the point."),
    }

    def __init__(self, **kwargs):
        super().__init__(widget=forms.TextInput({"inputmode": "decimal", "autocomplete": "off"}), **kwargs)

    def to_python(self, value):
        if value is None or not str(value).strip():
            return None
        try:
            number = read_amount(value)
        except ValueError as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from error
        if abs(number) > LARGEST:
            raise ValidationError(self.error_messages["digits"], code="digits")
        if number != number.quantize(DECIMALS):
            raise ValidationError(self.error_messages["places"], code="places")
        return number.quantize(DECIMALS)

    def prepare_value(self, value):
        return value if value is None or isinstance(value, str) else shown.quantity(value)


class YesNoField(forms.TypedChoiceField):
    """Yes, no, or neither: what nobody has answered is not a no. Cleans to a bool, or None."""

    def __init__(self, **kwargs):
        choices = [("", ""), ("yes", pgettext_lazy("answer", "Yes")), ("no", pgettext_lazy("answer", "No"))]
        super().__init__(choices=choices, coerce=lambda text: text == "yes", empty_value=None, **kwargs)

    def prepare_value(self, value):
        return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


class OptionField(forms.TypedChoiceField):
    """One of a field's options; one that is retired only where the record holds it. Cleans to a CustomChoice."""

    def __init__(self, custom, held=None, **kwargs):
        self.custom = custom
        super().__init__(choices=_offered(custom, [held]), coerce=self._read, empty_value=None, **kwargs)
        self.choices = [("", ""), *self.choices]

    def _read(self, key):
        return self.custom.choice(key=key)

    def prepare_value(self, value):
        return getattr(value, "key", value)


class OptionsField(forms.TypedMultipleChoiceField):
    """Several of them. Cleans to a list, or None."""

    def __init__(self, custom, held=None, **kwargs):
        self.custom = custom
        widget = forms.CheckboxSelectMultiple({"class": "form-check-input"})
        super().__init__(
            choices=_offered(custom, held or []), coerce=self._read, empty_value=None, widget=widget, **kwargs
        )

    def _read(self, key):
        return self.custom.choice(key=key)

    def prepare_value(self, value):
        return [getattr(one, "key", one) for one in value] if isinstance(value, list | tuple) else value


def _offered(custom, held):
    kept = {one.pk for one in held if one is not None}
    return [(one.key, str(one)) for one in custom.choices if one.active or one.pk in kept]


def storable(value):
    """This will refuse a text that no database takes."""
    if isinstance(value, str) and not is_storable(value):
        raise ValidationError(_("This has a sign that cannot be kept. Write it without."), code="sign")


def form_field(custom, held=None, *, required=False, starred=False):
    """This will make the form field of a CustomField, for a record that holds `held` of it."""
    kwargs = {"label": custom.name, "help_text": str(custom.help_text), "required": required}
    if custom.kind == Kind.LONG_TEXT:
        field = forms.CharField(max_length=LONGEST[custom.kind], widget=forms.Textarea({"rows": 3}), **kwargs)
        field.validators.append(storable)
    elif custom.kind == Kind.TEXT:
        field = forms.CharField(max_length=LONGEST[custom.kind], **kwargs)
        field.validators.append(storable)
    elif custom.kind in CHOOSING:
        field = (OptionsField if custom.is_several else OptionField)(custom, held, **kwargs)
    else:
        made = {Kind.NUMBER: NumberField, Kind.MONEY: AmountField, Kind.DATE: DayField, Kind.YES_NO: YesNoField}
        field = made.get(custom.kind, PersonPicker)(**kwargs)
    field.custom, field.needed = custom, starred
    return field


class WithCustomFields:
    """
    A form of a record to which fields were added: it asks for those too, each under the field's key. `asks_custom` says
    for which; `sections` gives them as a template shows them.
    """

    asks_custom = ALL

    def __init__(self, *args, instance=None, initial=None, **kwargs):
        fields = self._asked(instance)
        self.added = [field.key for field in fields]
        if fields:
            is_new = instance is None or instance.pk is None
            held = {} if instance is None else {field.key: getattr(instance, field.key) for field in fields}
            first = {field.key: field.read_kept(field.default) for field in fields} if is_new else {}
            given = {key: value for key, value in held.items() if value is not None}
            initial = first | given | (initial or {})
            made = {field.key: self._made(field, held.get(field.key), instance) for field in fields}
            self.base_fields = {**type(self).base_fields, **made}
        super().__init__(*args, instance=instance, initial=initial, **kwargs)
        for name in self.added:
            self.fields[name].starred = self.fields[name].required or self.fields[name].needed

    def _asked(self, instance):
        model = self._meta.model
        if self.asks_custom == NONE or not hasattr(model, "custom_fields"):
            return []
        fields = model.custom_fields()
        if self.asks_custom == NEEDED:
            fields = [field for field in fields if field.required == CustomField.Required.ALWAYS]
        return fields

    def _made(self, field, held, instance):
        needed = self.needs(field, instance)
        return form_field(field, held, required=needed and not self._meta.model.HAS_DRAFTS, starred=needed)

    def needs(self, field, instance):
        """This will tell whether the record of the form needs a field."""
        return field.required == CustomField.Required.ALWAYS

    @property
    def names(self):
        """This will list the fields that the record itself holds."""
        return [*self._meta.fields, *self.added]

    def _post_clean(self):
        super()._post_clean()
        if self.added:
            cleaned = self.cleaned_data
            self.instance.put({name: cleaned[name] for name in self.added if name in cleaned and name in self.fields})

    @property
    def sections(self):
        """This will list (heading, [bound field, …]) of the fields that were added, in the order of the layout."""
        known = custom_fields.by_key()
        fields = [known[name] for name in self.added if name in self.fields and name in known]
        return [
            (str(section or ELSE), [self[field.key] for field in those])
            for section, those in custom_fields.sections_of(fields)
        ]
