"""The forms of acts on many records at once: which fields change, and to what."""

from copy import deepcopy

from django import forms
from django.utils.translation import gettext_lazy as _

from crm import custom_fields
from crm.custom_fields import CustomField
from crm.custom_forms import form_field
from crm.custom_shown import ELSE
from crm.fields import PickerField
from crm.forms import Form

SETS = "set_"  # before the name of a field: its box


class ChangeForm(Form):
    """
    Fields of a record's own form, `of`, each with a box: what is ticked changes, and is emptied where it is left empty.
    Behind them stand the fields that administrators added, but for those whose value no two records may share.
    """

    of = None  # the form of the record's page
    names = ()
    needed = ()  # those that cannot be emptied

    def __init__(self, *args, **kwargs):
        model, own = self.of._meta.model, {name: self._copied(name) for name in self.names}
        self.added = [field for field in model.custom_fields() if not field.unique]
        if not model.HAS_DRAFTS:  # a draft may lack what it needs; of one that is none, its verb says so
            always = [field.key for field in self.added if field.required == CustomField.Required.ALWAYS]
            self.needed = (*self.needed, *always)
        self.names = [*own, *(field.key for field in self.added)]
        self.base_fields = own | {field.key: form_field(field) for field in self.added}  # before it settles its fields
        super().__init__(*args, **kwargs)
        for name in self.names:
            self.fields[SETS + name] = box = forms.BooleanField(required=False)
            box.label = _("Change: %(field)s") % {"field": self.fields[name].label}
            box.starred = False

    @classmethod
    def _copied(cls, name):
        field = deepcopy(cls.of.base_fields[name])
        field.required = False
        field.help_text = ""
        if isinstance(field, forms.ModelChoiceField):
            field.empty_label = ""
            field.initial = None
        elif isinstance(field, forms.ChoiceField):
            field.choices = [("", ""), *(choice for choice in field.choices if choice[0])]
            field.initial = None
        return field

    @property
    def parts(self):
        """This will list (heading, [(box, field), …]), bound; the record's own fields have no heading."""
        added = {field.key for field in self.added}
        sections = [("", [name for name in self.names if name not in added])]
        for section, fields in custom_fields.sections_of(self.added):
            sections.append((str(section or ELSE), [field.key for field in fields]))
        return [(heading, [(self[SETS + name], self[name]) for name in names]) for heading, names in sections]

    def clean(self):
        cleaned = super().clean()
        ticked = [name for name in self.names if cleaned.get(SETS + name)]
        for name in self.names:
            if name not in ticked:
                self._must_be_left(name)
            elif name in self.needed and name not in self.errors and cleaned.get(name) in (None, "", []):
                self.add_error(name, self._needed(self.fields[name]))
        if self._gone():
            self.add_error(
                None, _("A field that was ticked can no longer be changed here. See what is left, then confirm.")
            )
        elif not ticked and not self.errors:
            self.add_error(None, _("Tick what is to change."))
        return cleaned

    @staticmethod
    def _needed(field):
        chosen = isinstance(field, forms.ChoiceField | PickerField)
        return _("This cannot be emptied. Choose one.") if chosen else _("This cannot be emptied. Fill it in.")

    def _gone(self):
        """This will tell whether a box was ticked whose field was archived, or made one that no two share, since."""
        return any(name.startswith(SETS) and name.removeprefix(SETS) not in self.names for name in self.data)

    def _must_be_left(self, name):
        """This will ask about what was typed beside a box that is not ticked."""
        said = self[name].data
        self.errors.pop(name, None)
        if any(said) if isinstance(said, tuple) else said:  # that of a picker is several texts
            self.add_error(name, _("Tick this to change it, or leave it empty."))

    @property
    def values(self):
        return {name: self.cleaned_data[name] for name in self.names if self.cleaned_data[SETS + name]}
