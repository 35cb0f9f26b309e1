"""
The base classes of every form: they know who asks, which labels bear a star, which version of a record was shown,
and how a refusal comes back.
"""

from copy import copy
from datetime import date, datetime
from decimal import Decimal
from uuid import uuid4

from django import forms
from django.db.models import Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from crm import shown
from crm.custom_fields import field_of
from crm.custom_forms import WithCustomFields
from crm.fields import PickerField, PicklistField, on_one_line
from crm.names import Picklist
from crm.once import once
from crm.organisation import Organisation
from crm.verbs import Refused, Stale


def posted(request):
    """
    This will give what was sent, or None for a page that is only looked at; an empty sending is one too: a
    question's yes.
    """
    return request.POST if request.method == "POST" else None


def typed_before(request, form):
    """
    This will give what an address says of the fields of `form`, a class, for a form that begins with it: a small form
    was left for the full one.
    """
    fields = form.base_fields.items()
    typed = [name for name, field in fields if not (field.widget.is_hidden or isinstance(field, forms.FileField))]
    return {name: request.GET[name][:500] for name in typed if request.GET.get(name)}


class _Asked:
    """
    What all share.

    `starred` names fields whose label ends in `*` though a draft may leave them empty; required fields have it
    anyway. `user` is the person who fills the form in; pickers offer what that person may choose. `record` is what
    the form is about, if it is there already: the form then carries the version of it that was shown. `status` is
    that of the answer.
    """

    starred = ()
    status = 200

    def __init__(self, *args, user=None, record=None, **kwargs):
        self.user = user
        super().__init__(*args, **kwargs)
        if record is not None:
            self.fields["version"] = forms.IntegerField(
                required=False, initial=record.version, widget=forms.HiddenInput
            )
        for name, field in self.fields.items():
            field.starred = field.required or name in self.starred
            field.error_messages["required"] = (
                _("Choose one.") if isinstance(field, forms.ChoiceField) else _("Fill this in.")
            )
            if isinstance(field.widget, forms.TextInput):
                field.validators.append(on_one_line)
            instance = getattr(self, "instance", None)
            if isinstance(field, PickerField):
                field.user = user
                field.hold(getattr(instance, name, None))
                field.hold(self.get_initial_for_field(field, name))
            elif isinstance(field, forms.ModelChoiceField) and issubclass(field.queryset.model, Picklist):
                field.queryset = field.queryset.filter(Q(active=True) | Q(pk=getattr(instance, f"{name}_id", None)))
                field.empty_label = field.empty_label and ""
                if isinstance(field, PicklistField) and instance is not None:
                    field.held = instance._state.fields_cache.get(name)

    def does(self, verb, **values):
        """
        This will call `verb`, a bound method, in the user's name on the version that was shown. Gives whether it
        was done.
        """
        try:
            verb(by=self.user, seen=self.cleaned_data.get("version"), **values)
        except Refused as error:
            self.refuse(error)
            return False
        return True

    def refuse(self, error):
        """This will show `error`, a crm.verbs.Refused, at the field it names, or above the form."""
        self.status = error.status
        self.add_error(error.field if error.field in self.fields else None, error.message)
        if isinstance(error, Stale) and "version" in self.fields:
            self._look_again(error.record)

    def _look_again(self, record):
        """
        This will make the form one about `record` as it is now, so that sending it once more is done with open
        eyes.
        """
        self.data = self.data.copy()
        self.data[self.add_prefix("version")] = record.version


class Form(_Asked, forms.Form):
    """A form of its own fields; without any, a question before a verb."""


class ModelForm(_Asked, forms.ModelForm):
    """A form of a model's fields. It validates and builds; saving is the business of the model's verbs."""

    def _get_validation_exclusions(self):
        """This will leave out the relations whose record a field has just read: Django would look for each again."""
        fields = self.fields.items()
        read = {name for name, field in fields if isinstance(field, PickerField | forms.ModelChoiceField)}
        return super()._get_validation_exclusions() | read


class RecordForm(WithCustomFields, ModelForm):
    """
    A form that enters a record, or changes one: `make` and `change` call the verbs `create` and `change`.

    Sent twice, it enters one record. A change of a record that somebody else changed meanwhile brings the form back
    with what was typed and, beside it, what is there now; where nothing was typed, with what is there now.
    """

    def __init__(self, *args, instance=None, **kwargs):
        # A form writes on its instance: on a copy, so that the page goes on showing the record.
        record = instance if instance is not None and instance.pk else None
        super().__init__(*args, instance=copy(instance), record=record, **kwargs)
        if record is None:
            self.fields["once"] = forms.UUIDField(required=False, initial=uuid4, widget=forms.HiddenInput)
        else:
            for name in self.names:
                # What was shown is sent along, so that what somebody did not touch is known from what they typed.
                self.fields[name].show_hidden_initial = not isinstance(self.fields[name], PickerField)

    def make(self):
        """
        This will give the record that was entered, by this sending of the form or an earlier one; None where it was
        refused.
        """
        try:
            return once(self.cleaned_data["once"], by=self.user, make=self.enter)
        except Refused as error:
            self.refuse(error)
            return None

    def enter(self):
        """This will enter the record; a form that does more in the same breath does it here."""
        self.instance.create(by=self.user)
        return self.instance

    def change(self, **values):
        """This will change the record to what was typed, and `values`. Gives whether it was done."""
        typed = {name: self.cleaned_data[name] for name in self.names if name in self.fields}
        return self.does(self.instance.change, **typed, **values)

    def _is_as_shown(self, name, field, now):
        """This will tell whether the record still says what the page showed, so that what was typed is no clash."""
        if not field.show_hidden_initial:
            return False
        shown_first = field.hidden_widget().value_from_datadict(self.data, {}, self.add_initial_prefix(name))
        return not field.has_changed(field.prepare_value(now), shown_first)

    def _look_again(self, record):
        super()._look_again(record)
        touched = self.changed_data
        for name in [name for name in self.names if name in self.cleaned_data]:
            field, now = self.fields[name], getattr(record, name)
            if self.cleaned_data[name] == now or self._is_as_shown(name, field, now):
                continue
            said = _now(record, name)
            if field.show_hidden_initial and name not in touched:
                shown_now = field.widget.format_value(field.prepare_value(now))
                shown_now = shown_now if isinstance(shown_now, list) else [shown_now or ""]
                for sent in (self.add_prefix(name), self.add_initial_prefix(name)):
                    self.data.setlist(sent, shown_now)
                self.add_error(name, _("Somebody changed this meanwhile. You had not, so theirs stands here."))
            elif said:
                message = _("Now it says “%(now)s”. Saving again puts yours in its place.")
                self.add_error(name, message % {"now": said})
            else:
                self.add_error(name, _("Now it is empty. Saving again puts yours in its place."))


class WithNames:
    """
    What a form of something that is named per language has before all else: a field for each language that is offered.
    NAMED says for each JSON of names what its fields are called, and what is said where all of them are empty:
    {field of the model: (start of the names, label, sentence)}; no sentence, and they may be empty. LONGEST says where
    more letters are taken than of a name.
    """

    NAMED = {"names": ("name", _("Name in %(language)s"), _("Give a name in at least one language."))}

    LONGEST = {}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        fields, offered = {}, [code for code, _language in Organisation.current().offered]
        for name, code, language in self._each():
            start, label, missing = self.NAMED[name]
            most = self.LONGEST.get(name, 80 if missing else 200)
            field = forms.CharField(label=label % {"language": language}, required=False, max_length=most)
            field.initial = (getattr(self.instance, name) or {}).get(code, "")
            field.validators.append(on_one_line)
            field.starred = bool(missing) and len(offered) == 1
            if missing and not field.starred and code == offered[0]:
                field.help_text = _("Needed in at least one language.")
            fields[f"{start}_{code}"] = field
        self.fields = fields | self.fields

    def _each(self):
        for name in self.NAMED:
            for code, language in Organisation.current().offered:
                yield name, code, gettext(language)

    def clean(self):
        """This will put the names on the instance; those in a language that is no longer offered stay."""
        cleaned = super().clean()
        offered = [code for code, _language in Organisation.current().offered]
        for name, (start, _label, missing) in self.NAMED.items():
            kept = {code: text for code, text in (getattr(self.instance, name) or {}).items() if code not in offered}
            typed = {code: (cleaned.get(f"{start}_{code}") or "").strip() for code in offered}
            cleaned[name] = kept | {code: text for code, text in typed.items() if text}
            setattr(self.instance, name, cleaned[name])
            if missing and not cleaned[name]:
                self.add_error(f"{start}_{offered[0]}", missing)
        return cleaned

    def _look_again(self, record):
        super()._look_again(record)
        for name, code, _language in self._each():
            field, now = f"{self.NAMED[name][0]}_{code}", getattr(record, name).get(code, "")
            if now and self.cleaned_data.get(field) != now:
                self.add_error(field, _("Now it says “%(now)s”. Saving again puts yours in its place.") % {"now": now})


def _now(record, name):
    """This will give a field's value as people read it, or ""."""
    if added := field_of(type(record), name):
        return added.shown(getattr(record, name))
    field = record._meta.get_field(name)
    value = getattr(record, f"get_{name}_display")() if field.choices else getattr(record, name)
    ways = {datetime: shown.moment, date: shown.day, Decimal: shown.money, list: ", ".join}
    return "" if value is None else str(ways.get(type(value), str)(value))
