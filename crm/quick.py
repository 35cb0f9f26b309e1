"""
Making something new from any page: a small form with no more than is needed, in a dialog; without script, on a page.

Its validators and verbs are those of the full form, to which **All fields** leads, with what was typed.
"""

from django.contrib import messages
from django.http import Http404, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from crm.fields import PickerField
from crm.forms import posted, typed_before
from crm.permissions import require
from customers.forms import NewContactForm, NewCustomerForm
from customers.pickers import ContactPicker, CustomerPicker
from opportunities.follow_up_views import LAST_KIND
from opportunities.picklists import FollowUpKind
from opportunities.quick_forms import NewFollowUpForm, NewOpportunityForm

JSON = "application/json"  # what the dialog takes


class Kind:
    """One kind of record that can be made anywhere."""

    form = heading = saved = full = None
    picker = None  # that chooses what was made, in the form that asked for it

    def begin(self, request):
        """This will give what stands in the form beforehand: what the address says."""
        return typed_before(request, self.form)

    def made(self, request, record):
        """This will give the record whose page shows what was made."""
        return record

    def said(self, record):
        return _("“%(name)s” is saved.") % {"name": record}

    def full_url(self, typed):
        """This will give the address of the full form with what was `typed`, or None where there is none."""
        return f"{reverse(self.full)}?{urlencode(typed)}" if typed else reverse(self.full)


class NewOpportunity(Kind):
    form, heading, full = NewOpportunityForm, gettext_lazy("New opportunity"), "opportunity_new"

    def said(self, record):
        return _("“%(name)s” is saved as a draft.") % {"name": record}


class NewCustomer(Kind):
    form, heading, full, picker = NewCustomerForm, gettext_lazy("New customer"), "customer_new", CustomerPicker


class NewContact(Kind):
    form, heading, full, picker = NewContactForm, gettext_lazy("New contact"), "contact_new", ContactPicker


class NewFollowUp(Kind):
    form, heading = NewFollowUpForm, gettext_lazy("New follow-up")

    def begin(self, request):
        return {"kind": FollowUpKind.to_begin_with(request.session.get(LAST_KIND))} | super().begin(request)

    def made(self, request, record):
        request.session[LAST_KIND] = record.kind_id
        return record.about

    def said(self, record):
        return _("Follow-up record added.") if record.done_at else _("Follow-up planned.")

    def full_url(self, typed):
        for name in ("opportunity", "customer"):
            pk = typed.get(name, "")
            if pk.isascii() and pk.isdigit() and len(pk) < 19:
                rest = {key: text for key, text in typed.items() if key not in ("opportunity", "customer")}
                return f"{reverse(f'{name}_follow_up', args=[int(pk)])}?{urlencode(rest)}"
        return None


KINDS = {
    "opportunity": NewOpportunity(),
    "customer": NewCustomer(),
    "contact": NewContact(),
    "follow-up": NewFollowUp(),
}


def typed_in(form):
    """This will give {field: text} of what was typed into a form that was sent, as an address takes it."""
    typed = {}
    for bound in form.visible_fields():
        name = f"{bound.html_name}_id" if isinstance(bound.field, PickerField) else bound.html_name
        if text := form.data.get(name, "").strip():
            typed[bound.name] = text[:500]
    return typed


@require_http_methods(["GET", "HEAD", "POST"])
def new(request, kind):
    """
    This will make one of KINDS. A dialog, which says that it takes JSON, is told what came of it; a browser is led
    there.
    """
    if kind not in KINDS:
        raise Http404
    require(request.user, "create")
    entry, in_dialog = KINDS[kind], request.headers.get("Accept") == JSON
    form = entry.form(posted(request), user=request.user, initial=entry.begin(request), auto_id=f"new-{kind}_%s")
    if "all" in request.POST and (address := entry.full_url(typed_in(form))):
        return JsonResponse({"go": address}) if in_dialog else redirect(address)
    if form.is_valid() and (record := form.make()):
        page, said = entry.made(request, record), entry.said(record)
        if not in_dialog:
            messages.success(request, said)
            return redirect(page)
        made = entry.picker().option(record) if entry.picker else None
        return JsonResponse({"said": said, "url": page.get_absolute_url(), "open": _("Open it"), "made": made})
    context = {"form": form, "heading": entry.heading, "kind": kind}
    return render(request, "crm/new.html", context, status=form.status)
