"""
The form in which a reader chooses the conditions of a list: one or two controls for each field that the list
offers.
"""

from decimal import Decimal

from django import forms
from django.db.models import Model
from django.http import QueryDict
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from crm.fields import AmountField, DayField
from crm.forms import Form
from crm.kinds import PERIODS, Choice, InDepartment, Money, Person, Pick
from crm.pickers import DepartmentPicker, PersonPicker


class FilterForm(Form):
    """
    The conditions of a list: as they were sent, or filled in with those that are on. Fields are named like
    parameters.
    """

    def __init__(self, listing):
        self.sent = listing.request.GET
        self.base_fields = {}
        for key in listing.filters:
            self.base_fields |= _controls(listing.model.CONDITIONS[key], listing)
        reader = {"me": listing.user.pk, "mine": listing.user.department_id}
        initial = {}
        for name, field in self.base_fields.items():
            texts = [reader.get(text, text) for text in self.sent.getlist(name)]
            if texts:
                several = isinstance(field, forms.MultipleChoiceField) or getattr(field, "many", False)
                initial[name] = texts if several else texts[-1]
        super().__init__(self.sent if "show" in self.sent else None, initial=initial, user=listing.user)

    def query(self):
        """
        This will give the query of the address that the form asks for, with what it has no field for left as
        it was.
        """
        query = QueryDict(mutable=True)
        for name, text in self.kept:
            query.appendlist(name, text)
        for name, value in self.cleaned_data.items():
            values = value if isinstance(value, list) else [value] if value not in (None, "") else []
            for one in values:
                query.appendlist(name, self._text(one))
        return query

    def _text(self, value):
        if isinstance(value, Model):
            return "me" if value == self.user else str(value.pk)
        return format(value.normalize(), "f") if isinstance(value, Decimal) else str(value)

    @property
    def kept(self):
        """This will list the (parameter, text) of the address that are none of the form's."""
        own = {"show", "page", *(f"{name}{part}" for name in self.fields for part in ("", "_id", "_pick"))}
        return [(name, text) for name, texts in self.sent.lists() if name not in own for text in texts]


def _controls(field, listing):
    """This will give {parameter of the address: form field} for one field of the conditions."""
    label, key = field.label, field.key
    if isinstance(field, Choice | Pick):
        choices = field.choices if isinstance(field, Choice) else _values(field, listing)
        choices = [(value, capfirst(text)) for value, text in choices.items()]
        widget = forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"})
        return {key: forms.MultipleChoiceField(label=label, choices=choices, widget=widget, required=False)}
    if isinstance(field, Person):
        return {key: PersonPicker(label=label, many=True, required=False)}
    if isinstance(field, InDepartment):
        return {f"{key}.below": DepartmentPicker(label=label, required=False, help_text=_("With those below it."))}
    if isinstance(field, Money):
        return {
            f"{key}.at_least": AmountField(label=_("%(field)s at least") % {"field": label}, required=False),
            f"{key}.at_most": AmountField(label=_("%(field)s at most") % {"field": label}, required=False),
        }
    leaves = [leaf for leaf in listing.conditions.leaves() if leaf.field is field and leaf.op in ("within", "is")]
    periods = {"": _("Any time"), **PERIODS} | {
        leaf.value: field.show(leaf.value, listing.conditions) for leaf in leaves
    }
    return {
        key: forms.ChoiceField(
            label=label, choices=[(value, capfirst(text)) for value, text in periods.items()], required=False
        ),
        f"{key}.from": DayField(label=_("%(field)s from") % {"field": label}, required=False),
        f"{key}.until": DayField(label=_("%(field)s until") % {"field": label}, required=False),
    }


def _values(field, listing):
    """This will give a picklist's values that can still be chosen, and those that are."""
    chosen = listing.request.GET.getlist(field.key)
    found = listing.conditions.records(field)
    return {key: str(value) for key, value in found.items() if value.active or key in chosen}
