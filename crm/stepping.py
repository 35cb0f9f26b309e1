"""
From one record of a list to the next, and the way back to just that list.

A list whose records have pages of their own says so in `steps`. The page of a record has, above its title, the way back
(`way_back` of the look's tags). From which list somebody came is remembered by the browser (static/lists.js); without a
script it is told by the address that one came from, and then by `?list=`, which holds what the list was asked. What it
holds is asked anew by whoever reads, so that it shows nobody more than the list would.

Where the record stands in the list costs its page nothing: a small request of its own finds it, page by page as the
list itself does, so that it is as quick in a million rows.
"""

from functools import cached_property
from urllib.parse import urlencode, urlsplit

from django.http import QueryDict
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from crm.orders import Place
from crm.selection import OF_THE_PAGE

LONGEST = 8_000  # characters of what an address says that a list was asked
MOST = 1_000  # parameters of it


def query_in(text):
    """This will read what a list was asked out of a text, which is anybody's; what cannot be read asks for nothing."""
    return QueryDict(text[:LONGEST] if text.count("&") < MOST else "")


def step_path(listing, address):
    """This will give the address that says where in a list, a class of crm.pages.Listing, a record stands."""
    view = require_safe(lambda request, pk: _answer(listing, request, pk))
    return path(f"{address}<int:pk>/step/", view, name=f"{listing.name}_step")


def _answer(kind, request, pk):
    """This will give what stands above the title of the record or, with `?to=`, lead to the one before or after it."""
    step = Step(kind.asked_by(request.user, query_in(request.GET.get("list", ""))), pk)
    to = request.GET.get("to")
    if to is None:
        return render(request, "components/list/step.html", {"step": step, "listing": step.listing})
    beside = {"previous": step.previous, "next": step.next}.get(to)
    return redirect(beside["told"] if beside else step.list_url)


class Step:
    """Where a record stands in a list as its reader sees it now; one that is not in it has a `number` of None."""

    most = 10_000  # rows; more are not counted one by one

    def __init__(self, listing, pk):
        self.asked, self.pk = listing, pk

    @cached_property
    def before(self):
        """This will count, up to one more than `most`, what stands before it; None where it is not in the list."""
        return self.asked.rank(self.pk, self.most)

    @cached_property
    def listing(self):
        """This will give the list at the page that the record is on: that which was asked for, unless it has moved."""
        if self.pk in self.asked.pks or self.before is None or self.before > self.most:
            return self.asked
        return self.asked.turned_to(Place(self.before // self.asked.size + 1))

    @cached_property
    def _at(self):
        return self.listing.pks.index(self.pk) if self.pk in self.listing.pks else None

    @cached_property
    def number(self):
        """This will give the how manieth the record is. Pages that are reached by key may have shifted meanwhile."""
        if self._at is None:
            return None
        if self.listing.place.side and self.before is not None and self.before <= self.most:
            return self.before + 1
        return self.listing.first + self._at

    @cached_property
    def count(self):
        """This will write how many there are in all, up to `most`."""
        whole = self.listing.whole
        count = self.listing.count_up_to(self.most + 1) if whole is None else whole
        return f"{self.most:,}+" if count > self.most else f"{max(count, self.number):,}"

    @property
    def said(self):
        if self.number is None:
            return _("Not in this list") if self.before is None else ""
        return _("%(number)s of %(count)s") % {"number": f"{self.number:,}", "count": self.count}

    @cached_property
    def previous(self):
        """This will give the record before this one as `_beside` does; None where there is none."""
        if self._at:
            return self._beside(self.listing, self._at - 1)
        place = None if self._at is None else self.listing.place_before
        return place and self._beside(self.listing.turned_to(place), -1)

    @cached_property
    def next(self):
        if self._at is None:
            return None
        if self._at + 1 < len(self.listing.pks):
            return self._beside(self.listing, self._at + 1)
        place = self.listing.next_place
        return place and self._beside(self.listing.turned_to(place), 0)

    def _beside(self, listing, at):
        """
        This will give a record of a page of the list as {"url"; "list": the address of that page; "told": both in one}.
        """
        if not listing.pks:  # it has left meanwhile
            return None
        url, back = listing.url(listing.pks[at]), _address(listing)
        return {"url": url, "list": back, "told": f"{url}?{urlencode({'list': urlsplit(back).query})}"}

    @property
    def list_url(self):
        return _address(self.listing)

    @property
    def view(self):
        """This will name the view or the tab that the list shows; "" where it shows all there is."""
        if self.listing.view is None and not self.listing.conditions:
            return ""
        return next((tab["label"] for tab in self.listing.tabs_shown if tab["current"]), "")


def _address(listing):
    place = listing.place
    page = place if place.number > 1 or place.side else None
    return listing.address(listing.asked(**dict.fromkeys(OF_THE_PAGE) | {"page": page}))


class WayBack:
    """The line above the title of a record's page: the list that somebody came from or, if none is known, all of it."""

    def __init__(self, request, name, pk):
        self.name, self.pk = name, pk
        self.list = reverse(name)
        try:
            self.board = reverse(f"{name}_board")
        except NoReverseMatch:
            self.board = ""
        self.came = self._told(request) or self._referred(request)

    @property
    def step_url(self):
        return reverse(f"{self.name}_step", args=[self.pk])

    @property
    def url(self):
        return self.came or self.list

    @property
    def asked(self):
        """This will give what the list was asked, as a parameter; "" where one came from no list."""
        parts = urlsplit(self.came)
        return urlencode({"list": parts.query}) if parts.path == self.list else ""

    def _told(self, request):
        return self._at(self.list, request.GET["list"]) if "list" in request.GET else ""

    def _referred(self, request):
        referer = request.headers.get("Referer", "")
        if not url_has_allowed_host_and_scheme(referer, request.get_host()):
            return ""
        parts = urlsplit(referer)
        return self._at(parts.path, parts.query) if parts.path in (self.list, self.board) else ""

    @staticmethod
    def _at(address, query):
        query = query_in(query).urlencode()
        return f"{address}?{query}" if query else address
