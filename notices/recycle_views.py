"""The recycle bin, for administrators: what was deleted, restored or deleted for good."""

from django import forms
from django.contrib import messages
from django.contrib.contenttypes.models import ContentType
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from crm.forms import Form, posted
from crm.permissions import require
from crm.verbs import Refused
from notices.recycle import KEPT, Recycled

PAGE = 50


class FindForm(forms.Form):
    """What the list of deleted records is narrowed by."""

    q = forms.CharField(label=_("Name, or what it belonged to"), required=False, max_length=200)
    kind = forms.ModelChoiceField(
        ContentType.objects.none(),
        label=pgettext_lazy("of a deleted record", "Kind"),
        required=False,
        empty_label=_("All"),
        to_field_name="model",
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        there = Recycled.objects.order_by().values("about_type")
        self.fields["kind"].queryset = ContentType.objects.filter(pk__in=there).order_by("pk")
        self.fields["kind"].label_from_instance = lambda kind: capfirst(kind.model_class()._meta.verbose_name_plural)

    def found(self):
        """This will give what it asks for, the latest first; all of it where it asks for nothing sensible."""
        found = Recycled.objects.select_related("by", "about_type").defer("rows")
        given = self.cleaned_data if self.is_valid() else {}
        found = found.filter(about_type=given["kind"]) if given.get("kind") else found
        return found.search(given.get("q"))


@require_safe
def recycle(request):
    """This will list what was deleted, the latest first; all of it or one kind."""
    require(request.user, "administer")
    form = FindForm(request.GET)
    page = Paginator(form.found(), PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "form": form, "narrowed": form.data.get("q") or form.data.get("kind"), "days": KEPT.days}
    return render(request, "notices/recycle.html", context)


@require_POST
def restore(request, pk):
    require(request.user, "administer")
    kept = get_object_or_404(Recycled, pk=pk)
    try:
        record = kept.restore(by=request.user)
    except Refused as error:
        messages.error(request, error.message)
        return redirect("recycle")
    messages.success(request, gettext("%(name)s is restored.") % {"name": kept})
    if (owner := getattr(record, "owner", None)) and not owner.is_active:
        messages.warning(request, gettext("%(name)s, who is in charge of it, is deactivated.") % {"name": owner})
    return redirect(record.hangs_on or record)


def delete_for_good(request, pk):
    require(request.user, "administer")
    kept = get_object_or_404(Recycled.objects.select_related("about_type"), pk=pk)
    form = Form(posted(request), user=request.user)
    if form.is_valid():
        try:
            kept.delete_for_good(by=request.user)
        except Refused as error:
            form.refuse(error)
        else:
            messages.success(request, gettext("%(name)s is deleted for good.") % {"name": kept})
            return redirect("recycle")
    return render(request, "notices/delete_for_good.html", {"kept": kept, "form": form}, status=form.status)
