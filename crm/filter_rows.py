"""One condition of the filter page: the field that is asked, how, and the controls in which its value is chosen."""

import json
from decimal import Decimal

from django import forms
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm.fields import AmountField, DayField, PickerField
from crm.forms import Form
from crm.kinds import ALONE, ConditionError
from crm.models import Department, User
from crm.periods import COUNTED, PERIODS, counted
from crm.pickers import DepartmentPicker, PersonPicker

# How the operators of days read in a select, where a period and a day stand side by side.
OF_DAYS = {
    "within": pgettext_lazy("condition", "is within"),
    "not_within": pgettext_lazy("condition", "is not within"),
    "is": pgettext_lazy("condition", "is on"),
    "is_not": pgettext_lazy("condition", "is not on"),
}
SINGLE = {"is": "in", "is_not": "not_in"}  # where several can be chosen, one is one of several
ENDS = {"day": ("from", "until"), "money": ("at_least", "at_most"), "number": ("at_least", "at_most")}


class KnownPicker(PickerField):
    """Records whose name the reader knows; they are chosen, never made."""

    def __init__(self, records, **kwargs):
        super().__init__(**kwargs)
        self.queryset = records
        self.source = f"{reverse(f'{records.model._meta.model_name}_pick')}?known=1"


class RowForm(Form):
    """The controls of one condition; `leaf` is what they say once they are right, None where they say nothing."""

    leaf = None

    def __init__(self, row, data, initial):
        self.row = row
        self.base_fields = row.controls()
        super().__init__(data, prefix=row.path, initial=initial, user=row.user)

    def clean(self):
        values = super().clean()
        if not self.errors:
            try:
                self.leaf = self.row.leaf_of(values)
            except ConditionError as error:
                self.add_error("value", error)
        return values


class Row:
    """
    A condition on the page: one that was `sent`, or the `leaf` of a tree, or an empty one for the field `key`. One that
    is `offered` may stay empty.
    """

    is_group = False

    def __init__(self, page, path, *, sent=None, leaf=None, key=None, offered=False):
        self.page = page
        self.path = path
        self.user = page.listing.user
        self.asked = page.listing.conditions
        self.offered = offered if sent is None else f"{path}-offered" in sent
        carried = leaf is not None and not (self._has_controls(leaf) and self._is_known(leaf))
        self.fixed = leaf if carried else self._read_fixed(sent)
        if self.fixed is not None:
            self.words = page.words(self.fixed)
            return
        if sent is not None:
            key = sent.get(f"{path}-field")
        if leaf is not None:
            key = leaf["field"]
        self.field = page.fields.get(key) or next(iter(page.fields.values()))
        fresh = sent is None or sent.get(f"{path}-was") != self.field.key  # another field is asked in its own ways
        op = leaf["op"] if leaf is not None else "" if fresh else sent.get(f"{path}-op", "")
        self.ops = self._ops(op)
        self.op = self._wanted(op) if self._wanted(op) in self.ops else self.ops[0]
        if leaf is not None:
            self.form = RowForm(self, None, self.initial(leaf["op"], leaf.get("value")))
        elif fresh:
            self.form = RowForm(self, None, {})
        elif page.checked:
            self.form = RowForm(self, sent, {})
        else:  # the page comes back with one row more or less: what was typed is not looked at yet
            controls = self.controls().items()
            typed = {name: one.widget.value_from_datadict(sent, {}, f"{path}-{name}") for name, one in controls}
            self.form = RowForm(self, None, typed)

    def _has_controls(self, leaf):
        return leaf["field"] in self.page.fields

    def _is_known(self, leaf):
        """This will tell whether the reader may see all that it names: what they may not, no picker can show them."""
        values = leaf.get("value")
        values = values if isinstance(values, list) else [] if values is None else [values]
        field = self.page.fields[leaf["field"]]
        return not field.hides or not field.unknown(values, self.asked)

    def _read_fixed(self, sent):
        """This will give a condition that has no controls here, and was only carried along."""
        try:
            return json.loads(sent[f"{self.path}-fixed"]) if sent is not None else None
        except (KeyError, ValueError, RecursionError):
            return None

    @property
    def fixed_text(self):
        return json.dumps(self.fixed)

    # How it is asked

    def _wanted(self, op):
        several = SINGLE.get(op)
        return several if several and self.field.control in ("ticks", "picker") and several in self._all else op

    @property
    def _all(self):
        return self.field.operators

    def _ops(self, current):
        """This will list the operators that are offered: of "is" and "is one of" the one that the control suits."""
        left_out = {"in", "not_in"} - {current} if self.field.control == "text" else set()
        if self.field.control in ("ticks", "picker"):
            left_out = {one for one, several in SINGLE.items() if several in self._all}
        ops = [op for op in self._all if op not in left_out]
        return sorted(ops, key=lambda op: op != "between") if self.field.control in ("number", "money") else ops

    @property
    def ways(self):
        """This will list (operator, its words) of the select."""
        words = OF_DAYS if self.field.control == "day" else {}
        return [(op, words.get(op) or self.field.word(op)) for op in self.ops]

    # The value

    def controls(self):
        """This will give {name: form field} of the controls in which the value is chosen."""
        if self.op in ALONE:
            return {}
        return getattr(self, f"_{self.field.control}")(self.field.label)

    def _text(self, label):
        if self.op in ("in", "not_in"):
            widget = forms.Textarea(attrs={"rows": 3, "class": "form-control"})
            return {"value": forms.CharField(label=label, widget=widget, required=False, help_text=_("One to a line."))}
        return {"value": forms.CharField(label=label, max_length=200, required=False)}

    def _ticks(self, label):
        chosen = {value for leaf in self.asked.leaves() if leaf.field.key == self.field.key for value in leaf.values}
        offered = self.field.choices_for(self.asked, chosen)
        choices = [(value, capfirst(str(text))) for value, text in offered.items()]
        widget = forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"})
        return {"value": forms.MultipleChoiceField(label=label, choices=choices, widget=widget, required=False)}

    def _picker(self, label):
        model, options = self.field.related_model, {"label": label, "many": True, "required": False}
        if model is User:
            picker = PersonPicker(**options)
            picker.queryset = User.objects.select_related("department").prefetch_related("roles")  # leavers as well
        elif model is Department:
            picker = DepartmentPicker(**options)
            picker.queryset = Department.objects.select_related("parent")
        else:
            picker = KnownPicker(self.field.known_to(self.user), **options)
        picker.widget.attrs["placeholder"] = _("Write a part of the name")
        own = getattr(self.field, "own_label", None)
        return {"value": picker} | (
            {"own": forms.BooleanField(label=capfirst(str(own)), required=False)} if own else {}
        )

    def _yes_no(self, label):
        yes, no = pgettext_lazy("condition", "yes"), pgettext_lazy("condition", "no")
        choices = [("", "—"), ("yes", capfirst(str(yes))), ("no", capfirst(str(no)))]
        return {"value": forms.ChoiceField(label=label, choices=choices, required=False)}

    def _number(self, label):
        return self._figures(label, lambda **options: forms.CharField(max_length=20, **options))

    def _money(self, label):
        return self._figures(label, AmountField)

    def _figures(self, label, made):
        if self.op != "between":
            return {"value": made(label=label, required=False)}
        return {
            "value": made(label=_("%(field)s at least") % {"field": label}, required=False),
            "until": made(label=_("%(field)s at most") % {"field": label}, required=False),
        }

    def _day(self, label):
        if self.op in ("within", "not_within"):
            periods = [("", _("Any time"))] + [(word, words) for word, words in (PERIODS | COUNTED).items()]
            periods = [(word, capfirst(str(words))) for word, words in periods]
            days = forms.IntegerField(label=_("Days"), min_value=0, max_value=9999, required=False)
            return {"value": forms.ChoiceField(label=label, choices=periods, required=False), "days": days}
        if self.op != "between":
            return {"value": DayField(label=label, required=False)}
        return {
            "value": DayField(label=_("%(field)s from") % {"field": label}, required=False),
            "until": DayField(label=_("%(field)s until") % {"field": label}, required=False),
        }

    def initial(self, op, value):
        """This will give what the controls say of a value of a tree."""
        control = self.field.control
        values = value if isinstance(value, list) else [value]
        if op in ALONE:
            return {}
        if control in ("ticks", "picker"):
            own = getattr(self.field, "own", None)
            return {"value": [one for one in values if one != own], "own": own is not None and own in values}
        if control == "text":
            return {"value": "\n".join(values)}
        if control == "yes_no":
            return {"value": "yes" if value else "no"}
        if control == "money":
            values = [Decimal(one) for one in values]
        if op == "between":
            return {"value": values[0], "until": values[1]}
        if op in ("within", "not_within") and counted(value):
            return dict(zip(("value", "days"), counted(value), strict=True))
        return {"value": values[0]}

    def leaf_of(self, values):
        """This will give the leaf of a tree that the cleaned `values` say, or None. Raises ConditionError."""
        if self.op in ALONE:
            return {"field": self.field.key, "op": self.op}
        control, value, op = self.field.control, values.get("value"), self.op
        if control == "picker":
            value = [record.pk for record in value] + ([self.field.own] if values.get("own") else [])
        elif control == "text" and op in ("in", "not_in"):
            value = [line.strip() for line in value.splitlines() if line.strip()]
        elif control == "yes_no" and value:
            value = value == "yes"
        elif op in ("within", "not_within") and value in COUNTED:
            if values.get("days") is None:
                raise ConditionError(_("Say how many days."))
            value = value.replace("N", str(values["days"]))
        elif control in ENDS:
            op, value = self._ends(op, value, values.get("until"))
        if value in (None, "", []):
            return None
        return {"field": self.field.key, "op": op, "value": self.field.clean(op, value)}

    def _ends(self, op, first, last):
        """This will give (operator, value) of figures or days; an end that is left empty is open."""
        first, last = (None if one in (None, "") else self._figure(one) for one in (first, last))
        if op != "between" or (first is not None and last is not None):
            return op, [first, last] if op == "between" else first
        start, end = ENDS[self.field.control]
        return (start, first) if first is not None else (end, last)

    def _figure(self, typed):
        if self.field.control == "number":
            return self.field.read_one(self.op, typed)
        return format(typed, "f") if self.field.control == "money" else str(typed)

    def says(self):
        """This will give the leaf that the row says; None for an empty one, or one that is wrong."""
        if self.fixed is not None:
            return self.fixed
        if not self.form.is_bound:
            return None
        if self.form.is_valid() and self.form.leaf is None and not self.offered:
            self.form.add_error("value", _("Choose or write something, or remove this condition."))
        return self.form.leaf if self.form.is_valid() else None

    @property
    def is_wrong(self):
        return self.fixed is None and self.form.is_bound and not self.form.is_valid()
