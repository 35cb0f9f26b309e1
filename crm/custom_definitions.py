"""The forms in which administrators say what a field, a section, an option is."""

from functools import partial

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from crm import custom_changes as changes
from crm.custom_fields import CAN_BE_UNIQUE, CHOOSING, WAYS, CustomChoice, CustomField, CustomSection, Kind
from crm.custom_forms import form_field
from crm.custom_values import subjects
from crm.fields import ChoiceHint
from crm.forms import RecordForm, WithNames

# What each kind is for, as the page says that asks which one it is to be
KINDS = {
    Kind.TEXT: (Kind.TEXT.label, _("A line of words or signs: a number of a file, a district.")),
    Kind.LONG_TEXT: (Kind.LONG_TEXT.label, _("Several lines: a note, a description.")),
    Kind.NUMBER: (Kind.NUMBER.label, _("A figure that is compared and sorted as one: 9 comes before 10.")),
    Kind.MONEY: (Kind.MONEY.label, _("An amount in the base currency; 45万 is understood.")),
    Kind.DATE: (Kind.DATE.label, _("A day, asked for by periods such as “this month”.")),
    Kind.YES_NO: (Kind.YES_NO.label, _("Yes, no, or not answered yet, which is not the same as no.")),
    Kind.CHOICE: (Kind.CHOICE.label, _("One out of a list that you write.")),
    Kind.CHOICES: (Kind.CHOICES.label, _("Any number out of a list that you write.")),
    Kind.PERSON: (Kind.PERSON.label, _("Somebody who works here.")),
}


class FieldForm(WithNames, RecordForm):
    """What a field is called, what it asks for and where it shows."""

    NAMED = WithNames.NAMED | {"help": ("help", _("Help text in %(language)s"), "")}
    LONGEST = {"help": 300}

    options = forms.CharField(
        label=_("Options"),
        required=False,
        max_length=10_000,
        widget=forms.Textarea({"rows": 6}),
        help_text=_("One on each line. You can translate, arrange and retire them later."),
    )

    class Meta:
        model = CustomField
        fields = ["kind", "required", "stage", "unique", "on_card"]

    def __init__(self, *args, instance, **kwargs):
        super().__init__(*args, instance=instance, **kwargs)
        kind, is_new = instance.kind, instance.pk is None
        model = subjects()[instance.subject]
        stages = model.custom_stages()
        ways = [kind, *WAYS.get(kind, ())]
        self.fields["kind"].choices = [(one, Kind(one).label) for one in ways]
        self.fields["kind"].help_text = _("Only into kinds by which nothing is lost.")
        if is_new or len(ways) == 1:
            del self.fields["kind"]
        if not (is_new and kind in CHOOSING):
            del self.fields["options"]
        else:
            self.fields["options"].starred = True
        if kind not in CAN_BE_UNIQUE:
            del self.fields["unique"]
        else:
            self.fields["unique"].label = _("No two records may have the same")
        self._settle_required(stages)
        self._settle_default(instance, is_new)
        self.fields = {name: self.fields[name] for name in self._in_order()}

    def _settle_required(self, stages):
        required = CustomField.Required
        hints = {
            required.NO: _("It can stay empty."),
            required.ALWAYS: _("Nothing is saved without it."),
            required.STAGE: _("Whatever reaches that stage needs it."),
        }
        if stages:
            hints[required.ALWAYS] = _("Nothing is submitted for approval without it; a draft can be saved.")
        else:
            del hints[required.STAGE], self.fields["stage"], self.fields["on_card"]
        self.fields["required"] = forms.ChoiceField(
            label=_("Needed"),
            choices=[(one.value, ChoiceHint(one.label, hint)) for one, hint in hints.items()],
            widget=forms.RadioSelect,
        )
        self.fields["required"].starred = False
        if stages:
            choices = [("", _("Choose one")), *stages]
            self.fields["stage"] = forms.ChoiceField(label=_("From which stage on"), choices=choices, required=False)
            self.fields["stage"].starred = False
            self.fields["stage"].widget.attrs["data-shown-with"] = f"required={required.STAGE}"
            self.fields["on_card"].label = _("Show it on the cards of the board")
        for name in ("required", "stage"):
            if name in self.fields:
                self.fields[name].show_hidden_initial = self.instance.pk is not None

    def _settle_default(self, instance, is_new):
        """Whoever chooses a default chooses it as it will be chosen; of a new list nothing is there to choose yet."""
        if instance.kind == Kind.PERSON or instance.unique or (is_new and instance.kind in CHOOSING):
            return
        field = form_field(instance)
        field.label, field.help_text = _("Default"), _("What a new record begins with.")
        field.starred, field.initial = False, instance.read_kept(instance.default)
        self.fields["default_value"] = field

    def _in_order(self):
        names = [name for name in self.fields if name.startswith(("name_", "help_"))]
        asked = ["kind", "options", "required", "stage", "unique", "default_value", "on_card"]
        rest = [name for name in self.fields if name not in names and name not in asked]
        return [*names, *(name for name in asked if name in self.fields), *rest]

    def clean(self):
        cleaned = super().clean()
        if cleaned.get("required") != CustomField.Required.STAGE:
            cleaned |= {"stage": ""} if "stage" in self.fields else {}
        elif not cleaned.get("stage"):
            self.add_error("stage", _("Choose the stage from which on it is needed."))
        if "options" in self.fields:
            self.lines = list(dict.fromkeys(" ".join(line.split()) for line in cleaned["options"].splitlines()))
            self.lines = [line for line in self.lines if line]
            if not self.lines:
                self.add_error("options", _("Write what can be chosen, one on each line."))
            if any(len(line) > 80 for line in self.lines) or len(self.lines) > 500:
                self.add_error("options", _("An option has at most 80 letters, and a field at most 500 options."))
        return cleaned

    def _values(self):
        given = [*self.NAMED, *(name for name in self._meta.fields if name in self.fields)]
        values = {name: self.cleaned_data[name] for name in given}
        if "default_value" in self.fields:
            values["default"] = self.instance.kept(self.instance.tidy(self.cleaned_data["default_value"]))
        return values

    def enter(self):
        for name, value in self._values().items():
            setattr(self.instance, name, value)
        options = [{get_language(): line} for line in getattr(self, "lines", ())]
        changes.create(self.instance, by=self.user, options=options)
        return self.instance

    def change(self):
        return self.does(partial(changes.change, self.instance), **self._values())


class SectionForm(WithNames, RecordForm):
    """The heading of a section."""

    class Meta:
        model = CustomSection
        fields = []

    def enter(self):
        changes.create_section(self.instance, by=self.user)
        return self.instance

    def change(self):
        return self.does(partial(changes.change_section, self.instance), names=self.cleaned_data["names"])


class OptionForm(WithNames, RecordForm):
    """What can be chosen in a field."""

    class Meta:
        model = CustomChoice
        fields = ["active"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not self.instance.pk:
            del self.fields["active"]

    def clean(self):
        cleaned = super().clean()
        others = [one for one in self.instance.field.options.all() if one.pk != self.instance.pk]
        for code, text in cleaned["names"].items():
            if any(other.names.get(code, "").casefold() == text.casefold() for other in others):
                self.add_error(f"name_{code}", ValidationError(_("Another option of this field is called so.")))
        return cleaned

    def enter(self):
        changes.create_option(self.instance, by=self.user)
        return self.instance

    def change(self):
        values = {name: self.cleaned_data[name] for name in ("names", "active")}
        return self.does(partial(changes.change_option, self.instance), **values)


def preview(model, request):
    """This will give a form that shows the added fields of `model` as people will see them."""
    form = forms.modelform_factory(model, form=RecordForm, fields=[])
    return form(user=request.user, auto_id="preview_%s")
