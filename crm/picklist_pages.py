"""The administrators' pages of picklists: what each offers, in which order, and how often that is used."""

import re
from functools import cache, partial

from django import forms
from django.contrib import messages
from django.core.validators import RegexValidator
from django.db import models
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from crm import picklists
from crm.forms import Form, RecordForm, WithNames, posted
from crm.kinds import Pick
from crm.names import Picklist, is_worded
from crm.permissions import require
from crm.resources import kinds as importable
from crm.verbs import Refused

DOORS = {"opportunity": "opportunities", "customer": "customers"}  # the list that shows the rows of a model

# What values may be marked with: seen well on paper and in the dark, and told apart.
PALETTE = {
    "#5a78e0": pgettext_lazy("colour", "Blue"),
    "#20908f": pgettext_lazy("colour", "Teal"),
    "#3f9257": pgettext_lazy("colour", "Green"),
    "#a67c00": pgettext_lazy("colour", "Yellow"),
    "#cc6a1f": pgettext_lazy("colour", "Orange"),
    "#d75a4a": pgettext_lazy("colour", "Red"),
    "#c8588f": pgettext_lazy("colour", "Pink"),
    "#9467d2": pgettext_lazy("colour", "Purple"),
    "#857f75": pgettext_lazy("colour", "Grey"),
}
A_COLOUR = r"^#[0-9A-Fa-f]{6}\Z"  # imports take any

a_page = require_http_methods(["GET", "HEAD", "POST"])


# ── Forms ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Several(forms.MultipleChoiceField):
    """Some of what a list of keys may hold. The order is that in which they are offered."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, *, encoder=None, decoder=None, **kwargs):
        super().__init__(**kwargs)

    def clean(self, value):
        given = super().clean(value)
        return [key for key, _label in self.choices if key in given]


def _colours(held):
    """This will list the colours to choose from, each with a spot of it; what is held besides stays among them."""
    swatch = (
        '<svg class="swatch" viewBox="0 0 12 12" aria-hidden="true"><circle cx="6" cy="6" r="6" fill="{}"/></svg>{}'
    )
    offered = PALETTE if held in PALETTE or not re.fullmatch(A_COLOUR, held) else PALETTE | {held: held}
    return [("", _("No colour")), *((value, format_html(swatch, value, name)) for value, name in offered.items())]


class ValueForm(WithNames, RecordForm):
    """One value of a picklist: its names, what its list has beside, its colour, and whether it can be chosen."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            if isinstance(field, Several):
                field.choices = self.instance.several_of(name)
        colour = self.fields["colour"]
        colour.validators.append(RegexValidator(A_COLOUR, _("Write it like #2f45c4.")))
        colour.help_text = ""
        held = self.data.get(self.add_prefix("colour"), "") if self.is_bound else self.instance.colour
        colour.widget = forms.RadioSelect(choices=_colours(held))
        for name, said in self.instance.FILLED.items():
            self.fields[name].required = self.fields[name].starred = False
            self.fields[name].help_text = said
        if self.instance.pk:
            for name in ("key", *self.instance.FIXED):
                del self.fields[name]
        else:
            del self.fields["active"]
            self.fields["key"].required = self.fields["key"].starred = False
            self.fields["key"].help_text = _("Imports and rules use it. It never changes. Empty: made of the name.")

    def clean(self):
        cleaned = super().clean()
        self.instance.fill(cleaned)
        for name in self.instance.FILLED:
            if name in cleaned and cleaned[name] is None:
                self.add_error(name, self.fields[name].error_messages["required"])
        return cleaned

    def enter(self):
        picklists.create(self.instance, by=self.user)
        return self.instance

    def change(self):
        names = [*self.NAMED, *(name for name in self._meta.fields if name in self.fields)]
        verb = partial(picklists.change, self.instance)
        return self.does(verb, **{name: self.cleaned_data[name] for name in names})


# What beside the name of a value has words of its own: {field: (label, what is said where there are none)}
WORDED = {
    "unit": (_("Unit in %(language)s"), _("Fill in the unit, for example piece.")),
    "hints": (_("Help text in %(language)s"), ""),
}


@cache
def form_of(model):
    """This will make the form of a picklist: a field for each that its list has beside those of every list."""
    own = [field for field in model._meta.fields if field.editable and not field.auto_created]
    ours = {field.name for field in Picklist._meta.get_fields()}
    beside = [field for field in own if field.name not in ours]
    worded = [field.name for field in beside if is_worded(field)]
    plain = [field.name for field in beside if field.name not in worded]
    lists = {field.name: Several for field in beside if field.name in plain and isinstance(field, models.JSONField)}
    plain = [name for name in plain if name not in lists]
    fields = ["key", *plain, "colour", *lists, "active"]
    form = forms.modelform_factory(model, form=ValueForm, fields=fields, field_classes=lists)
    form.NAMED = WithNames.NAMED | {name: (name, *WORDED[name]) for name in worded}
    return form


class MergeForm(Form):
    """Into which other value one is to be merged."""

    def __init__(self, *args, others, **kwargs):
        into = forms.ModelChoiceField(others, label=_("Merge it into"), empty_label="")
        self.base_fields = {"into": into}
        super().__init__(*args, **kwargs)


# ── What a page shows ────────────────────────────────────────────────────────────────────────────────────────────────


def model_of(kind):
    """This will give the model of a picklist by its word. Raises Http404."""
    try:
        return picklists.kinds()[kind]
    except KeyError as error:
        raise Http404 from error


def _use(use, value):
    """This will give a use of a value as a page shows it: the count, what they are, and the list of just those."""
    meta = use.model._meta
    field = getattr(use.model, "CONDITIONS", {}).get(use.field.name) if use.field else None
    door = DOORS.get(meta.model_name) if isinstance(field, Pick) else None
    label = meta.verbose_name if use.count == 1 else meta.verbose_name_plural
    url = f"{reverse(door)}?{use.field.name}={value.key}" if door else ""
    return {"count": use.count, "label": label, "url": url}


def _used(value, uses):
    return [_use(use, value) for use in uses.get(value.pk, [])]


def _others(value):
    """This will narrow to the values into which this one can be merged."""
    model = type(value)
    found = [one.pk for one in model.objects.filter(active=True).exclude(pk=value.pk) if value.merges_into(one)]
    return model.objects.filter(pk__in=found)


# ── Pages ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@require_safe
def index(request):
    require(request.user, "administer")
    rows = []
    for kind, model in picklists.kinds().items():
        names = [value.name for value in model.objects.filter(active=True)]
        rows.append({"kind": kind, "label": model._meta.verbose_name_plural, "names": names})
    rows.sort(key=lambda row: str(row["label"]))
    return render(request, "crm/picklists/index.html", {"rows": rows})


@require_safe
def values(request, kind):
    require(request.user, "administer")
    model = model_of(kind)
    beside = [field.name for field in model._meta.fields if field.is_relation]
    uses = picklists.uses(model)
    rows = [{"value": one, "uses": _used(one, uses)} for one in model.objects.select_related(*beside)]
    for row, before, after in zip(rows, [None, *rows], [*rows[1:], None], strict=False):
        part = row["value"].part
        row["first"] = before is None or before["value"].part != part
        row["last"] = after is None or after["value"].part != part
        row["part"] = part if row["first"] else None
    own = {one._meta.model: key for key, one in importable().items()}  # some lists are imported by themselves
    context = {
        "kind": kind,
        "label": model._meta.verbose_name_plural,
        "rows": rows,
        "add": model.ADD,
        "import_kind": own.get(model, "picklists"),
    }
    return render(request, "crm/picklists/values.html", context)


@require_POST
def arrange(request, kind):
    """This will put the list into the order that it was dragged into, or move one value up or down."""
    require(request.user, "administer")
    model = model_of(kind)
    seen, keys = order_sent(request)
    picklists.arrange(model, keys, by=request.user, seen=seen)
    return redirect("picklist", kind)


def order_sent(request):
    """
    This will give (keys in the order that the page showed, in the one that is wanted), as they were dragged, or with
    one moved up or down. Raises Http404 for what is no order.
    """
    try:
        seen = [int(pk) for pk in request.POST.get("seen", "").split(",")]
        keys = [int(pk) for pk in request.POST.getlist("order")]
        for way, by in (("up", -1), ("down", 1)):
            if way in request.POST:
                place = keys.index(int(request.POST[way]))
                keys.insert(max(place + by, 0), keys.pop(place))
    except ValueError as error:
        raise Http404 from error
    return seen, keys


@a_page
def value_new(request, kind):
    require(request.user, "administer")
    model = model_of(kind)
    form = form_of(model)(posted(request), instance=model(), user=request.user)
    if form.is_valid() and form.make():
        messages.success(request, gettext("Saved."))
        return redirect("picklist", kind)
    context = {"form": form, "kind": kind, "label": model._meta.verbose_name_plural, "add": model.ADD}
    return render(request, "crm/picklists/value.html", context, status=form.status)


@a_page
def value(request, kind, pk):
    require(request.user, "administer")
    model = model_of(kind)
    one = get_object_or_404(model, pk=pk)
    form = form_of(model)(posted(request), instance=one, user=request.user)
    if form.is_valid() and form.change():
        messages.success(request, gettext("Saved."))
        return redirect("picklist", kind)
    context = {
        "form": form,
        "kind": kind,
        "label": model._meta.verbose_name_plural,
        "value": one,
        "uses": _used(one, picklists.uses(model)),
        "merges": _others(one).exists(),
    }
    return render(request, "crm/picklists/value.html", context, status=form.status)


@a_page
def merge(request, kind, pk):
    require(request.user, "administer")
    model = model_of(kind)
    one = get_object_or_404(model, pk=pk)
    form = MergeForm(posted(request), user=request.user, record=one, others=_others(one))
    if form.is_valid():
        try:
            into = form.cleaned_data["into"]
            count = picklists.merge(one, into=into, by=request.user, seen=form.cleaned_data["version"])
        except Refused as error:
            form.refuse(error)
        else:
            said = ngettext("%(count)d record follows.", "%(count)d records follow.", count) % {"count": count}
            done = gettext("“%(name)s” is one with “%(other)s” now.") % {"name": one, "other": into}
            messages.success(request, f"{done} {said}")
            return redirect("picklist", kind)
    context = {"form": form, "kind": kind, "value": one, "uses": _used(one, picklists.uses(model))}
    return render(request, "crm/picklists/merge.html", context, status=form.status)


@a_page
def delete(request, kind, pk):
    require(request.user, "administer")
    model = model_of(kind)
    one = get_object_or_404(model, pk=pk)
    form = Form(posted(request), user=request.user, record=one)
    if form.is_valid() and form.does(partial(picklists.delete, one)):
        messages.success(request, gettext("“%(name)s” is deleted.") % {"name": one})
        return redirect("picklist", kind)
    context = {"form": form, "kind": kind, "value": one, "uses": _used(one, picklists.uses(model))}
    return render(request, "crm/picklists/delete.html", context, status=form.status)


urlpatterns = [
    path("picklists/", index, name="picklists"),
    path("picklists/<slug:kind>/", values, name="picklist"),
    path("picklists/<slug:kind>/order/", arrange, name="picklist_arrange"),
    path("picklists/<slug:kind>/new/", value_new, name="picklist_new"),
    path("picklists/<slug:kind>/<int:pk>/", value, name="picklist_value"),
    path("picklists/<slug:kind>/<int:pk>/merge/", merge, name="picklist_merge"),
    path("picklists/<slug:kind>/<int:pk>/delete/", delete, name="picklist_delete"),
]
