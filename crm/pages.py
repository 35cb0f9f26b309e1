"""
The list page, done once for every list: visible rows in index order, conditions, search, sort, pages, count and sums.

A list says what it shows, and `paths` gives its addresses:

    class CustomerList(Listing):
        model, name, template = Customer, "customers", "customers/list.html"
        sorts = {"name": "name_key"}            # the first is the default; each column has an index (column, id)
        columns = [Column(_("Customer name"), "name", sort="name"), …]
        values = ["pk", "name", …]              # what `row` is given
        filters = ["status", "owner"]           # of the model's CONDITIONS, offered by the filter form
        tabs = [Tab(_("Mine"), {"owner": "me"}), …]

        def row(self, pk, name, …):             # what the template shows of one record
            return {"url": self.url(pk), "name": name, …}

    urlpatterns = [*CustomerList.paths("customers/"), …]

Whoever reads, a page costs the same few queries for one row and for fifty: the keys of each branch of what the
reader sees (`crm.querysets.Guarded.branches`), merged; then the values of these rows, as tuples. Count and sums are
exact, and asked for in a request of their own after the page. Which way of ordering suits how many rows was
measured on a million of them.
"""

import heapq
import re
from collections import Counter, namedtuple
from datetime import datetime
from functools import cached_property
from itertools import islice

from django.core.exceptions import ValidationError
from django.db.models import Count, F, Q
from django.db.models.functions import Coalesce
from django.http import HttpResponseNotAllowed, QueryDict
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from crm import export_pages
from crm.conditions import Conditions
from crm.filters import FilterForm
from crm.kinds import is_storable
from crm.permissions import allows
from crm.querysets import is_wide

LAST_PAGE = 10**6

Tab = namedtuple("Tab", ["label", "query"])  # a view that everybody has; `query` is {parameter: text or texts}
Column = namedtuple("Column", ["head", "classes", "sort"], defaults=["", None])
Figure = namedtuple("Figure", ["text", "classes"], defaults=[""])


class Place:
    """
    Where a page begins. An address says `page=7`; the links to the pages beside one also say at which row, as
    `page=8_after_<id>_<key>` or `page=6_before_<id>_<key>`, so that the database goes straight there however deep
    it is.
    """

    def __init__(self, number=1, side=None, pk=None, key=None):
        self.number = number
        self.side = side
        self.pk = pk
        self.key = key

    def __str__(self):
        key = self.key.isoformat() if isinstance(self.key, datetime) else self.key
        return f"{self.number}_{self.side}_{self.pk}_{key}" if self.side else str(self.number)

    @classmethod
    def read(cls, text, field):
        """This will read the place in an order by `field`; from what is no place it gives the first page."""
        found = re.fullmatch(r"(\d{1,9})(?:_(after|before)_(\d{1,18})_(.{0,60}))?", text, re.ASCII | re.DOTALL)
        number = min(max(int(found[1]), 1), LAST_PAGE) if found else 1
        if number == 1 or not found[2]:
            return cls(number)
        try:
            key = getattr(field, "output_field", field).to_python(found[4])
        except ValidationError:
            return cls(number)
        usable = timezone.is_aware(key) if isinstance(key, datetime) else is_storable(str(key))
        return cls(number, found[2], int(found[3]), key) if usable else cls(number)


class Listing:
    """A list as one reader asked for it. The subclass says what it shows; see above."""

    model = name = heading = template = None
    record = None  # the url name of a record's page; `name` without its last letter unless said
    nothing = ("", "")  # what stands where the reader has no record at all: a title, and what will appear here
    size = 50
    sorted_at_once = 5_000  # rows; where a filter leaves more, walking the index of the order meets some of them soon
    sorts = {}
    columns = []
    values = []
    filters = []
    tabs = []
    sums = {}  # {name: aggregate}, beside the count
    formats = ["xlsx", "csv"]  # of crm.exports.FORMATS; with "vcf", `cards` gives rows as vCards, piece by piece
    exported = []  # crm.exports.Out of each column; and of what else may go out
    exported_besides = []
    selected_at_once = 1_000  # rows; more keys of an address are not looked at

    @classmethod
    def paths(cls, address):
        """This will give the addresses of the list, of its count and sums, and of its filter form."""

        def view(answer):
            return require_safe(lambda request: answer(cls(request)))

        def listed(request):
            """Posted to, it has a large export made; see crm.export_pages."""
            return cls(request).page()

        return [
            path(address, require_http_methods(["GET", "HEAD", "POST"])(listed), name=cls.name),
            path(f"{address}totals/", view(cls.page_of_totals), name=f"{cls.name}_totals"),
            path(f"{address}filter/", view(cls.page_of_filters), name=f"{cls.name}_filter"),
            path(f"{address}export/", view(cls.page_of_export), name=f"{cls.name}_export"),
        ]

    def __init__(self, request):
        self.request = request
        self.user = request.user
        self.conditions = Conditions.from_query(request.GET, self.model, self.user)
        self.text = " ".join(request.GET.get("q", "").split())[:200]
        self.default_sort = next(iter(self.sorts))
        sort = request.GET.get("sort", "")
        self.sort = sort if sort.removeprefix("-") in self.sorts else self.default_sort
        self._column = self.sorts[self.sort.removeprefix("-")]
        self.place = Place.read(request.GET.get("page", ""), self.model._meta.get_field(self._column))

    # Answers

    def page(self):
        if "export" in self.request.GET:
            return export_pages.give_out(self)
        if self.request.method == "POST":
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return render(self.request, self.template, {"listing": self})

    def page_of_totals(self):
        return render(self.request, "components/list/totals.html", {"listing": self})

    def page_of_filters(self):
        """This will show the filter form; once it was sent and is right, the list that it asks for."""
        form = FilterForm(self)
        if form.is_valid():
            return redirect(self.address(form.query()))
        return render(self.request, "components/list/filter.html", {"listing": self, "form": form})

    def page_of_export(self):
        return export_pages.choose(self)

    # The rows

    def stretch(self, column):
        """This will give a condition on the column of the order that follows from those asked: how far to walk it."""
        return Q()

    def row(self, *values):
        raise NotImplementedError

    @cached_property
    def rows(self):
        found = {row[0]: row for row in self.model.objects.filter(pk__in=self.pks).values_list(*self.values)}
        rows = [self.row(*found[pk]) | {"pk": pk} for pk in self.pks if pk in found]
        select = _("Select %(name)s")
        for row in rows if self.may_select else ():
            row["select"] = select % {"name": row["name"]}
        return rows

    @cached_property
    def pks(self):
        """This will give the keys of the records on the page, in order."""
        return [pk for _key, pk in self._here[0]]

    @cached_property
    def _here(self):
        """
        This will give ([(key of the order, id), …] of the page, whether there is a page before, whether one
        after).
        """
        descending = self.sort.startswith("-") != (self.place.side == "before")
        branches = [
            self._ordered(branch, descending, indexed=False) if number else self._main(branch, descending)
            for number, branch in enumerate(self._branches)
        ]
        wanted = self.size + 1
        keys = self._merged(branches, 0 if self.place.side else (self.place.number - 1) * self.size, wanted, descending)
        more = len(keys) == wanted
        del keys[self.size :]
        if self.place.side == "before":
            return keys[::-1], more, True
        return keys, self.place.number > 1, more

    @cached_property
    def _branches(self):
        return self.model.objects.branches(self.user)

    @cached_property
    def _found(self):
        return self.model.objects.search(self.text).filter(self.conditions.q())

    def _main(self, main, descending):
        """
        This will give the rows of the reader's first branch, in order. The index of the order is walked, rather than
        what is there fetched and sorted, unless a filter leaves little: a walk through very much would meet it late.
        """
        narrowed, most = self.conditions or self.text, self.sorted_at_once
        if not is_wide(self.user):
            return self._ordered(main, descending, indexed=not narrowed and self.sort == self.default_sort)
        if self.text:  # no index knows it: whatever was found by reading all rows is not looked for again
            found = list(self._ordered(main, descending, indexed=False).order_by()[: most + 1])
            return (
                self._ordered(main, descending, indexed=True)
                if len(found) > most
                else sorted(found, reverse=descending)
            )
        many = not narrowed or self._found.filter(main).order_by()[: most + 1].count() > most
        return self._ordered(main, descending, indexed=many)

    def _ordered(self, branch, descending, *, indexed):
        """This will give (key of the order, id) of a branch from the page's place on."""
        order = F(self._column) if indexed else Coalesce(self._column, self._column)  # the same, but no index knows it
        rows = self._found.filter(branch).annotate(order_key=order)
        if indexed:
            rows = rows.filter(self.stretch(self._column))
        if self.place.side:  # written so that each database reads a range of the index
            beyond, key = "lt" if descending else "gt", self.place.key
            rows = rows.filter(Q(**{f"order_key__{beyond}e": key}))
            rows = rows.filter(Q(**{f"order_key__{beyond}": key}) | Q(**{f"pk__{beyond}": self.place.pk}))
        sign = "-" if descending else ""
        return rows.order_by(f"{sign}order_key", f"{sign}pk").values_list("order_key", "pk")

    @staticmethod
    def _merged(branches, start, wanted, descending):
        """
        This will give `wanted` rows of the sorted branches together, from row `start` on. The rows of the first
        that cannot lie behind `start`, even if all others came before them, are skipped where they are.
        """
        if not branches:
            return []
        first, *others = branches
        rest = list(heapq.merge(*(other[: start + wanted] for other in others), reverse=descending))
        skipped = max(0, start - len(rest))
        merged = heapq.merge(first[skipped : start + wanted], rest, reverse=descending)
        return list(islice(merged, start - skipped, start - skipped + wanted))

    # What was selected

    @cached_property
    def may_select(self):
        """This will tell whether rows have boxes: where there is something to do with those selected."""
        return bool(self.exported) and allows(self.user, "export")

    @property
    def selected(self):
        """This will give the keys that the address names, as `pk=1&pk=2` or `pk=1,2`; what is no key is left out."""
        texts = ",".join(self.request.GET.getlist("pk")).split(",")
        keys = dict.fromkeys(int(text) for text in texts if re.fullmatch(r"\d{1,18}", text, re.ASCII))
        return list(islice(keys, self.selected_at_once))

    # Count and sums

    @cached_property
    def totals(self):
        """This will give {"count": …, and each of `sums`} of the whole result."""
        totals = Counter(count=0)
        for branch in self._branches:
            found = self._found.filter(branch).aggregate(count=Count("*"), **self.sums)
            totals.update({name: value or 0 for name, value in found.items()})
        return totals

    def figures(self):
        """This will write the totals, as Figures."""
        raise NotImplementedError

    # Addresses

    def url(self, pk):
        return self._url % pk

    @cached_property
    def _url(self):
        return reverse(self.record or self.name[:-1], args=[0]).replace("/0/", "/%d/")

    def address(self, query, of=""):
        """This will give the address of this list, of its totals or filter form, with `query`, a QueryDict."""
        address = reverse(f"{self.name}_{of}" if of else self.name)
        return f"{address}?{query.urlencode()}" if query else address

    def asked(self, **changes):
        """This will give the query of this page with `changes`; None takes a parameter away."""
        query = self.request.GET.copy()
        for name, value in changes.items():
            query.pop(name, None)
            if value is not None:
                query[name] = value
        return query

    @property
    def totals_url(self):
        number = self.place.number
        return self.address(self.asked(page=number if number > 1 else None), of="totals")

    @property
    def with_totals_url(self):
        return self.address(self.asked(totals="1"))

    @property
    def filter_url(self):
        return self.address(self.asked(page=None), of="filter")

    @property
    def export_url(self):
        return self.address(self.asked(), of="export")

    @property
    def export_name(self):
        return f"{self.name}_export"

    @property
    def address_to_list(self):
        return self.address(self.asked(export=None, fields=None, rows=None, pk=None))

    @property
    def exported_with(self):
        """This will list the (parameter, text) that the form of an export takes along: what the list was asked."""
        asked = self.asked(export=None, fields=None, rows=None)
        return [(name, text) for name in asked for text in asked.getlist(name)]

    @property
    def selected_with(self):
        """This will list the (parameter, text) that those selected are sent with: what the list was asked."""
        return [(name, text) for name, text in self.exported_with if name != "pk"]

    @property
    def back_url(self):
        return self.address(self.asked(show=None))

    @property
    def first_url(self):
        return self.address(self.asked(page=None))

    @property
    def all_url(self):
        return reverse(self.name)

    @property
    def shows_totals(self):
        return "totals" in self.request.GET

    @property
    def previous_url(self):
        """This will give the address of the page before, or None."""
        keys, has_previous, _has_next = self._here
        if not has_previous:
            return None
        if self.place.number == 2 or not keys:
            return self.address(self.asked(page=None if self.place.number == 2 else self.place.number - 1))
        return self.address(self.asked(page=Place(self.place.number - 1, "before", keys[0][1], keys[0][0])))

    @property
    def next_url(self):
        """This will give the address of the page after, or None."""
        keys, _has_previous, has_next = self._here
        return (
            self.address(self.asked(page=Place(self.place.number + 1, "after", keys[-1][1], keys[-1][0])))
            if has_next
            else None
        )

    @property
    def first(self):
        return (self.place.number - 1) * self.size + 1

    @property
    def last(self):
        full = self.first + self.size - 1
        return self.first + len(self.rows) - 1 if self.whole is None else min(full, self.whole)

    @property
    def whole(self):
        """This will give how many rows there are in all; None where that has not been counted and is not seen."""
        if "totals" in vars(self):
            return self.totals["count"]
        keys, has_previous, has_next = self._here
        return None if has_previous or has_next else len(keys)

    # The bar above the rows

    @cached_property
    def chips(self):
        """This will give each condition as {"chip", "without": the address of the list without it}."""
        return [
            {"chip": chip, "without": self.address(self.asked(**{chip.name: None, "page": None}))}
            for chip in self.conditions.chips()
        ]

    @property
    def tabs_shown(self):
        """This will give each tab as {"label", "url", "current"}."""
        fields = self.model.CONDITIONS
        asked = {
            (name, text)
            for name in self.request.GET
            if name.partition(".")[0] in fields
            for text in self.request.GET.getlist(name)
        }
        return [
            {"label": tab.label, "url": self.address(query), "current": asked == set(_pairs(tab.query))}
            for tab in self.tabs
            for query in [_query(tab.query)]
        ]

    @property
    def kept(self):
        """This will list the (parameter, text) that the find form takes along."""
        return [
            (name, text)
            for name in self.request.GET
            if name not in ("q", "page")
            for text in self.request.GET.getlist(name)
        ]

    @property
    def narrowed(self):
        """This will say in a sentence by what the list is narrowed; "" where it is not."""
        if self.text:
            return _("Nothing here mentions “%(text)s”.") % {"text": self.text}
        count = len(self.chips)
        said = ngettext("%(count)d condition is on.", "%(count)d conditions are on.", count) % {"count": count}
        return said if count else ""


def _pairs(query):
    return [(name, text) for name, texts in query.items() for text in ([texts] if isinstance(texts, str) else texts)]


def _query(query):
    made = QueryDict(mutable=True)
    for name, text in _pairs(query):
        made.appendlist(name, text)
    return made
