"""The audit, as administrators read it: who did what, when and from where; narrowed, and given out as a file."""

from datetime import datetime, time, timedelta

from django import forms
from django.db.models import Q
from django.shortcuts import render
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from crm.admin_lists import KEY
from crm.auditing import KINDS, details_of, word_of
from crm.exports import Table
from crm.fields import DayField
from crm.models import Audit, User
from crm.permissions import require
from crm.verbs import Refused

ROWS = 50
MOST = 100_000  # entries of one file
HEADS = [_("When"), _("What"), _("Who"), _("User name"), _("Address"), _("Details")]


class FindForm(forms.Form):
    """What the audit is narrowed by."""

    q = forms.CharField(label=_("Name, user name or e-mail"), required=False, max_length=200)
    kind = forms.ChoiceField(label=_("What"), required=False)
    since = DayField(label=_("From"), required=False)
    until = DayField(label=_("Until"), required=False)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = [("", _("All")), *KINDS.items()]

    def found(self):
        """This will give the entries that it asks for, the latest first; all where it asks for nothing sensible."""
        given = self.cleaned_data if self.is_valid() else {}
        found = Audit.objects.select_related("by").order_by("-pk")
        if text := given.get("q"):
            people = User.objects.filter(
                Q(name__icontains=text) | Q(username__icontains=text) | Q(email__icontains=text)
            )
            found = found.filter(by__in=people.values("pk"))
        if kind := given.get("kind"):
            found = found.filter(kind=kind)
        if since := given.get("since"):
            found = found.filter(at__gte=_midnight(since))
        if until := given.get("until"):
            found = found.filter(at__lt=_midnight(until) + timedelta(days=1))
        return found


def _midnight(day):
    return datetime.combine(day, time.min, tzinfo=timezone.get_current_timezone())


def _listed(entry):
    """This will give what the list shows of an entry, as HEADS names it."""
    return (
        timezone.make_naive(entry.at),
        str(word_of(entry.kind)),
        str(entry.by or ""),
        entry.by.username if entry.by else "",
        entry.address,
        details_of(entry.data),
    )


@require_safe
def audit(request):
    require(request.user, "administer")
    form = FindForm(request.GET)
    found = form.found()
    if Table.asked(request):
        if found[MOST:].exists():
            raise Refused(_("A file takes 100,000 entries, and these are more. Choose fewer days."))
        return Table(request, "audit", gettext("Audit"), HEADS, map(_listed, found)).answer()
    before = request.GET.get("before", "")
    if KEY.fullmatch(before):
        found = found.filter(pk__lt=before)
    entries = list(found[: ROWS + 1])
    for entry in entries:
        entry.word, entry.details = word_of(entry.kind), details_of(entry.data)
    older = entries[ROWS - 1].pk if len(entries) > ROWS else None
    return render(request, "crm/audit.html", {"form": form, "entries": entries[:ROWS], "older": older, "later": before})


urlpatterns = [path("audit/", audit, name="audit")]
