"""
One cell of a list, changed where it stands: a form of one field of the record, with the verbs of the record's own form.

A list says which of its columns can be changed so, and an app gives them an address:

    class CustomerList(Listing):
        edits = ("level", "status", …)          # keys of columns, which are names of fields

    class CustomerCells(CellPage):
        listing, form = CustomerList, CustomerCell      # the form is a OneField

    urlpatterns = [CustomerCells.path("customers/"), …]

Whether somebody may change a record is asked when its cell is opened, not for each row of the list. Without a script it
is a page of its own; a script has the form alone, in the place of the cell, and the row as it is afterwards.
"""

from copy import copy

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from crm.forms import posted
from crm.permissions import fetch
from crm.stepping import LONGEST, query_in
from crm.verbs import Refused


class OneField:
    """
    What narrows a record's form to the field of a cell, or to those that it shows TOGETHER, and to what the form needs
    beside it.
    """

    ALONG = ("version",)
    TOGETHER = {}  # {key of a column: names of fields}

    def __init__(self, *args, only, **kwargs):
        super().__init__(*args, **kwargs)
        self.only = only
        self.own = self.TOGETHER.get(only, (only,))
        for name in self.fields.keys() - {*self.own, *self.ALONG}:
            del self.fields[name]

    def clean(self):
        """This will ask once more where nothing says which version was seen: it might write over what came since."""
        cleaned = super().clean()
        if self.cleaned_data.get("version") is None:
            self.status = Refused.status
            self.add_error(None, _("It is not known which version you saw. Look at what is there now, then try again."))
            self._look_again(self.instance)
        return cleaned

    @property
    def asked(self):
        """This will list the fields that are asked, to be shown."""
        return [self[name] for name in self.own]


class CellPage:
    """The page of one cell, as one reader asked for it."""

    listing = form = None
    joins = ()  # what the form reads along

    @classmethod
    def path(cls, address):
        view = require_http_methods(["GET", "HEAD", "POST"])(lambda request, pk, field: cls(request, pk, field).page())
        return path(f"{address}<int:pk>/cell/<slug:field>/", view, name=f"{cls.listing.name}_cell")

    def __init__(self, request, pk, field):
        if field not in self.listing.edits:
            raise Http404
        self.request, self.field, self.user = request, field, request.user
        model = self.listing.model
        records = model.objects.select_related(*self.joins) if self.joins else model.objects.all()
        self.record = fetch(request.user, "change", model, queryset=records, pk=pk)

    def obstacle(self):
        """This will say why the field cannot be changed now, by who may change the record; "" where it can."""
        return ""

    def page(self):
        posts = self.request.method == "POST"
        reason = self.obstacle()
        if reason and not posts:
            if self.request.htmx:
                return self._show(None, status=Refused.status, reason=reason)
            raise Refused(reason)
        form = self.form(posted(self.request), user=self.user, instance=self.record, only=self.field)
        stands = form.is_valid()
        if reason:
            form.refuse(Refused(reason))
        elif stands and form.change():
            return self._done()
        return self._show(form, status=form.status)

    def _show(self, form, *, status, reason=""):
        template = "components/list/cell_form.html" if self.request.htmx else "components/list/cell.html"
        context = {"form": form, "record": self.record, "reason": reason, "back": self._back(), "asked": self._asked}
        return render(self.request, template, context, status=status)

    def _done(self):
        """This will lead back to the list or, where a script asks, give the row as it is now; nothing if it is gone."""
        if not self.request.htmx:
            messages.success(self.request, _("Saved."))
            return redirect(self._back())
        listing = self.listing(self._as_list())
        if not listing.model.objects.visible_to(self.user).filter(pk=self.record.pk).exists():
            return HttpResponse(status=204)
        listing.pks = [self.record.pk]
        return render(self.request, "components/list/row.html", {"listing": listing, "row": listing.rows[0]})

    @property
    def _asked(self):
        """This will give the query of the list that the cell stands in, as text."""
        return (self.request.POST if self.request.method == "POST" else self.request.GET).get("list", "")[:LONGEST]

    def _as_list(self):
        """This will give the request as the list would have it."""
        request = copy(self.request)
        request.GET = query_in(self._asked)
        return request

    def _back(self):
        """This will give the address of the list as it was asked for."""
        address, query = reverse(self.listing.name), query_in(self._asked).urlencode()
        return f"{address}?{query}" if query else address
