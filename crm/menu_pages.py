"""
The menu of a row: what its reader may do about one record of a list, as that record's own page offers it.

A list says that its rows have one, and an app gives it an address:

    class CustomerList(Listing):
        has_menus = True

    class CustomerMenu(MenuPage):
        listing = CustomerList

        def offers(self):
            yield self.offer(_("Modify"), "customer_edit", "change")

    urlpatterns = [CustomerMenu.path("customers/"), …]

What somebody may do is asked when the menu is opened, not for each row. Without a script it is a page of its own; a
script has its links alone, in a panel beside the row.
"""

from collections import namedtuple

from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_safe

from crm.pages import came_from
from crm.permissions import allows, fetch

Offer = namedtuple("Offer", ["label", "url", "ask", "locked"], defaults=[False, ""])


class MenuPage:
    """The menu of one record, as one reader asked for it."""

    listing = None
    joins = ()  # what the record's name and its offers read along

    @classmethod
    def path(cls, address):
        view = require_safe(lambda request, pk: cls(request, pk).page())
        return path(f"{address}<int:pk>/menu/", view, name=f"{cls.listing.name}_menu")

    def __init__(self, request, pk):
        self.request, self.user = request, request.user
        model = self.listing.model
        records = model.objects.select_related(*self.joins) if self.joins else model.objects.all()
        self.record = fetch(request.user, "view", model, queryset=records, pk=pk)

    @property
    def url(self):
        """This will give where the row leads."""
        return self.record.get_absolute_url()

    def offers(self):
        """This will list what stands in the menu below "Open", as Offers; None for what is not offered."""
        raise NotImplementedError

    def offer(self, label, name, verb=None, *, asked="", ask=False, pk=None):
        """
        This will offer the page called `name` of the record, or of `pk`, to those who may do `verb`; `asked` is what
        its address asks.
        """
        if verb is not None and verb not in self.record.may:
            return None
        return Offer(label, reverse(name, args=[self.record.pk if pk is None else pk]) + asked, ask)

    def new(self, label, name, asked=""):
        """This will offer the page called `name`, on which something new is entered, to those who may."""
        return Offer(label, reverse(name) + asked) if allows(self.user, "create") else None

    def page(self):
        template = "components/list/menu_panel.html" if self.request.htmx else "components/list/menu.html"
        context = {
            "record": self.record,
            "url": self.url,
            "offers": [offer for offer in self.offers() if offer],
            "back": came_from(self.request) or reverse(self.listing.name),
        }
        return render(self.request, template, context)
