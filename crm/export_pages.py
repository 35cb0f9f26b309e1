"""The pages of an export: what of a list goes out; how far the worker is; the file that it made."""

from django import forms
from django.conf import settings
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from crm import exports, files
from crm.exports import EXCEL, FORMATS, Export, ExportRun
from crm.permissions import require


class ExportForm(forms.Form):
    """Which file, with which columns, of which rows."""

    export = forms.ChoiceField(label=_("File"), widget=forms.RadioSelect, initial="xlsx")
    fields = forms.ChoiceField(
        label=_("Columns"),
        choices=[("list", _("Those of the list")), ("all", _("All fields"))],
        widget=forms.RadioSelect,
        required=False,
        initial="list",
    )
    rows = forms.ChoiceField(
        label=_("Rows"),
        choices=[("all", _("All that match")), ("page", _("This page"))],
        widget=forms.RadioSelect,
        required=False,
        initial="all",
    )

    def __init__(self, listing, data=None):
        super().__init__(data)
        self.fields["export"].choices = [(end, FORMATS[end]) for end in listing.formats]
        self.fields["export"].starred = False  # something is always chosen
        if listing.request.GET.get("rows") == "selected":
            self._offer_selected(Export(listing, rows="selected").count())

    def _offer_selected(self, count):
        rows = self.fields["rows"]
        rows.initial = "selected"
        if count:
            said = ngettext("The selected row", "The %(count)d selected rows", count) % {"count": count}
            rows.choices = [("selected", said), *rows.choices]
        rows.error_messages["invalid_choice"] = _(
            "Nothing is selected that is there for you. Select rows in the list, or take all that match."
        )

    def clean(self):
        given = super().clean()
        return {"fields": given.get("fields") or "list", "rows": given.get("rows") or "all"} | {
            name: value for name, value in given.items() if value
        }


def give_out(listing):
    """This will answer a list that is asked for with `?export=`: with the file, or with how to have it made."""
    form = ExportForm(listing, listing.request.GET)
    if not form.is_valid() or listing.request.method == "HEAD":
        return choose(listing, form)
    require(listing.user, "export")
    asked = form.cleaned_data
    most = settings.EXPORT_AT_ONCE
    large = asked["export"] == "xlsx" and asked["rows"] == "all" and Export(listing).count(most) > most
    if not large:
        return exports.answer(listing, asked)
    if listing.request.method == "POST":
        return redirect(ExportRun.start(listing, by=listing.user))
    context = {"listing": listing, "at_once": most}
    return render(listing.request, "crm/exports/large.html", context)


def choose(listing, form=None):
    """This will ask what of the list is to go out."""
    require(listing.user, "export")
    if form is None:
        selected = {"export": "xlsx", "fields": "list", "rows": "selected"}
        form = ExportForm(listing, selected if listing.request.GET.get("rows") == "selected" else None)
    return render(listing.request, "crm/exports/choose.html", {"listing": listing, "form": form})


def _find(request, pk):
    return get_object_or_404(ExportRun.objects.visible_to(request.user).select_related("job"), pk=pk)


@require_safe
def export(request, pk):
    """This will show how far the worker is and, once it is made, the link to the file."""
    run = _find(request, pk)
    if request.htmx:
        answer = render(request, "crm/exports/_job.html", {"run": run})
        if not run.is_busy:
            answer["HX-Refresh"] = "true"
        return answer
    context = {"run": run, "is_fit": run.is_fit_for(request.user), "days": exports.KEPT.days}
    return render(request, "crm/exports/run.html", context)


@require_safe
def export_file(request, pk):
    require(request.user, "export")
    run = _find(request, pk)
    if not run.key or not run.is_fit_for(request.user):
        raise Http404
    return files.answer(_Made(run.key, run.name), inline=False)


class _Made:
    """A file of ours, as crm.files gives one out."""

    kind = EXCEL

    def __init__(self, key, name):
        self.key = key
        self.name = name


urlpatterns = [
    path("exports/<int:pk>/", export, name="export"),
    path("exports/<int:pk>/file/", export_file, name="export_file"),
]
