"""
The list page, done once for every list: visible rows in index order, conditions, search, sort, pages, count and sums.

A list says what it shows, and `paths` gives its addresses:

    class CustomerList(Listing):
        model, name, template = Customer, "customers", "customers/list.html"
        sorts = {"name": "name_key"}            # the first is the default; each column has an index (column, id)
        columns = [columns.name("name", _("Customer name"), sort="name"), …]  # all that it can show
        values = ["pk", "name", …]              # what `row` is given
        filters = ["status", "owner"]           # of the model's CONDITIONS, offered by the filter form
        tabs = [Tab(_("Mine"), {"owner": "me"}), …]

        def row(self, pk, name, …):             # what the cells show of one record
            return {"url": self.url(pk), "name": name, …}

    urlpatterns = [*CustomerList.paths("customers/"), …]

Whoever reads, a page costs the same few queries for one row and for fifty: the keys of each branch of what the
reader sees (`crm.querysets.Guarded.branches`), merged; then the values of these rows, as tuples. Count and sums are
exact, and asked for in a request of their own after the page. Which way of ordering suits how many rows was
measured on a million of them.
"""

from collections import Counter, namedtuple
from functools import cached_property
from urllib.parse import urlencode

from django.db.models import Count
from django.http import HttpResponseNotAllowed, QueryDict
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from crm import column_pages, export_pages, filters, permissions, shown, view_pages
from crm.columns import Cells, tagged
from crm.kinds import named, quoted
from crm.moments import organisation_today
from crm.orders import Ordered, Place
from crm.permissions import allows
from crm.selection import OF_A_SELECTION, Selectable
from crm.stepping import step_path
from crm.viewed import Viewed

FORMS = ("filter", "columns")
MANY = 1000  # are as good as all, where one only wants to know whether there are some

Tab = namedtuple("Tab", ["label", "query"])  # a view that everybody has; `query` is {parameter: text or texts}
Figure = namedtuple("Figure", ["text", "classes"], defaults=[""])


def came_from(request):
    """This will give the address of the list from which somebody came to a page about one of its rows, or ""."""
    address = request.GET.get("list", "")
    return address if url_has_allowed_host_and_scheme(address, allowed_hosts=None) else ""


class Listing(Viewed, Selectable, Ordered):
    """A list as one reader asked for it. The subclass says what it shows; see above."""

    model = name = heading = template = None
    record = None  # the url name of a record's page; `name` without its last letter unless said
    nothing = ("", "")  # what stands where the reader has no record at all: a title, and what will appear here
    size = 50  # rows of a page, and what else an address may ask for
    sizes = (25, 50, 100)
    columns = []  # crm.columns.Column: all that it can show; the first has the record's name, and is always there
    values = []
    filters = []
    tabs = []
    sums = {}  # {name: aggregate}, beside the count
    formats = ["xlsx", "csv"]  # of crm.exports.FORMATS; with "vcf", `cards` gives rows as vCards, piece by piece
    layout = "list"  # one of `layouts`
    answers = ()  # keys of fields of which `key is …` is no condition here, but what the page itself goes by
    has_menus = False  # whether each row has a menu, of which crm.menu_pages has the links
    edits = ()  # keys of columns whose cells are changed in the list: fields, of which crm.cell_pages has the form
    steps = False  # whether the page of a record leads on to the next; see crm.stepping

    @classmethod
    def paths(cls, address):
        """This will give the addresses of the list, of its count and sums, and of its filter form."""

        def view(answer):
            return require_safe(lambda request: answer(cls(request)))

        def listed(request):
            """Posted to, it has a large export made; see crm.export_pages."""
            return cls(request).page()

        also_posted = require_http_methods(["GET", "HEAD", "POST"])

        def filtered(request):
            """Posted to, it changes nothing: what was chosen so far is more than an address can carry."""
            return filters.answer(cls(request))

        return [
            path(address, also_posted(listed), name=cls.name),
            path(f"{address}totals/", view(cls.page_of_totals), name=f"{cls.name}_totals"),
            path(f"{address}filter/", also_posted(filtered), name=f"{cls.name}_filter"),
            path(f"{address}export/", view(cls.page_of_export), name=f"{cls.name}_export"),
            path(f"{address}columns/", view(column_pages.choose), name=f"{cls.name}_columns"),
            *view_pages.paths(cls, f"{address}views/"),
            *([step_path(cls, address)] if cls.steps else []),
            *cls.bulk_paths(address),
        ]

    def __init__(self, request):
        self.request = request
        self.user = request.user
        self.read_query()  # and the view, if there is one
        self.text = " ".join(self.query.get("q", "").split())[:200]
        self.orders, self._no_sorts = self.orders_of(",".join(self.query.getlist("sort")))
        self.place = Place.read(self.query.get("page", ""), self.keyed)
        size = self.query.get("size", "").strip()
        there = size in map(str, self.sizes)
        self.size = int(size) if there else self.size
        self._no_size = "" if there else size

    # Answers

    def page(self):
        if "export" in self.request.GET:
            return export_pages.give_out(self)
        if self.request.method == "POST":
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if self.elsewhere:
            return redirect(self.elsewhere)
        return self.shown_page()

    def shown_page(self):
        """This will give the page or, where a script asks (static/lists.js), the part of it that is the list's own."""
        return render(self.request, self.template, {"listing": self, "part": bool(self.request.htmx)})

    def page_of_totals(self):
        return render(self.request, "components/list/totals.html", {"listing": self})

    def page_of_export(self):
        return export_pages.choose(self)

    # The rows

    def row(self, *values):
        raise NotImplementedError

    @cached_property
    def rows(self):
        """This will give each row of the page as what `row` made of it, with its `pk` and its `cells`."""
        paths = [(column.key, column.path) for column in self.shown if column.path]
        wanted = [*self.values, *(path for _key, path in paths)]
        found = {row[0]: row for row in self.model.objects.filter(pk__in=self.pks).values_list(*wanted)}
        batches = {column.key: column.batch(self.pks) for column in self.shown if column.batch and not column.path}
        cells, own = Cells(self.shown), len(self.values)
        select = _("Select %(name)s") if self.may_select else ""
        here = urlencode({"list": self.address(self.asked())})
        menu = self._menu if self.has_menus else ""
        rows = []
        for pk in self.pks:
            if pk not in found:
                continue
            row = self.row(*found[pk][:own]) | {"pk": pk, "list": here}
            row["fixed"] = not self.edits or row.get("fixed") or not self.may_edit(row.get("owner_id"))
            row |= {key: value for (key, _path), value in zip(paths, found[pk][own:], strict=True)}
            row |= {key: given.get(pk) for key, given in batches.items()}
            row["cells"] = cells.of(row)
            if menu:
                row["menu"] = SafeString(menu % pk)
            if select:
                row["select"] = select % {"name": row["name"]}
            rows.append(row)
        return rows

    @cached_property
    def _menu(self):
        """This will write what opens the menu of a row, of whatever key."""
        address = reverse(f"{self.name}_menu", args=[0]).replace("/0/", "/%d/")
        return tagged(
            '<td role="cell" class="acts"><a class="over" href="%s" data-menu aria-label="%s">'
            '<i class="bi bi-three-dots" aria-hidden="true"></i></a></td>',
            address,
            _("Actions of this row"),
        )

    def may_edit(self, owner_id):
        """
        This will tell, by whose a row is, whether its reader may perhaps change it. Nobody is asked: what others
        shared with a reader may have been shared to be changed, and who opens a cell gets the true answer.
        """
        return self._edits_all or owner_id == self.user.pk

    @cached_property
    def _edits_all(self):
        reasons = permissions.reasons(self.user, self.model.guard, "change")
        wider = {permissions.SCOPE, permissions.CHIEF, *permissions.EVERYWHERE}
        return bool(wider & reasons) or ("edit_share" in reasons and self.user.scope == "own")

    @property
    def edited(self):
        """This will give the keys of the columns shown whose cells are changed in the list, as one text."""
        return " ".join(column.key for column in self.shown if column.key in self.edits)

    # The columns

    def every_column(self):
        """This will list all columns that the list can show, those of the organisation's own fields included."""
        return self._every_column

    @cached_property
    def _every_column(self):
        return self.columns_of(self.model, self.columns)

    @staticmethod
    def columns_of(model, columns):
        """This will list `columns`, and those that the organisation gave the model: its `custom_columns`."""
        own = getattr(model, "custom_columns", None)
        return [*columns, *(own() if own else [])]

    @cached_property
    def shown(self):
        """This will list the columns shown: those that the address names, in its order, else the list's own."""
        chosen = self._chosen
        if chosen is None:
            return [column for column in self.every_column() if column.shown]
        there = {column.key: column for column in self.every_column()}
        return [there[key].as_chosen() for key in dict.fromkeys([self.columns[0].key, *chosen]) if key in there]

    @cached_property
    def _chosen(self):
        """This will list the keys of the columns that the address names; None where it names none that there is."""
        asked = [key for text in self.query.getlist("columns") for key in text.split(",") if key]
        there = {column.key for column in self.every_column()}
        return asked if there.intersection(asked) else None

    @property
    def is_broad(self):
        """This will tell whether there are more columns than a window holds, so that they are moved through."""
        return len(self.shown) > max(9, len([column for column in self.columns if column.shown]))

    @cached_property
    def heads(self):
        """This will give each column's head as {"label", "classes", and where it sorts "url", "order", "place"}."""
        now = {order.key: (place, order) for place, order in enumerate(self.orders, 1)}
        return [self._head(column, *now.get(column.sort, (None, None))) for column in self.shown]

    def _head(self, column, place, order):
        head = {"label": column.head, "classes": column.classes}
        if column.sort not in self.every_sort():
            return head
        turned = f"-{column.sort}" if place == 1 and not order.descending else column.sort
        head["url"] = self.address(self.asked(sort=turned, page=None))
        if order:
            head["order"] = "descending" if order.descending else "ascending"
            head["place"] = place if len(self.orders) > 1 else None
        return head

    @classmethod
    def outs_of(cls, columns):
        """This will list what goes out of `columns` in a file, as crm.exports.Out."""
        return [out for column in columns for out in column.given_out]

    @cached_property
    def errors(self):
        """This will list in sentences what the address asks for that is not there, and is left out."""
        there = {column.key for column in self.every_column()}
        asked = [key for text in self.query.getlist("columns") for key in text.split(",") if key]
        said = [
            _("There is no column “%(column)s” here.") % {"column": named(self.model, key)}
            for key in asked
            if key not in there
        ]
        said += [
            _("This list is not sorted by “%(sort)s”.") % {"sort": self._sort_named(key)} for key in self._no_sorts
        ]
        if self._no_size:
            sizes = str(_(", ")).join(map(str, self.sizes))
            told = {"sizes": sizes, "size": quoted(self._no_size)}
            said.append(_("A page of this list has one of %(sizes)s rows, not “%(size)s”.") % told)
        return [*self._of_view, *self.conditions.errors, *said]

    def _sort_named(self, key):
        plain = key.removeprefix("-")
        name = named(self.model, plain)
        return quoted(key) if name == quoted(plain) else name

    # What was selected

    @cached_property
    def may_select(self):
        """This will tell whether rows have boxes: where there is something to do with those selected."""
        return bool(self.acts_offered) or (bool(self.formats) and allows(self.user, "export"))

    # Count and sums

    @cached_property
    def totals(self):
        """This will give {"count": …, and each of `sums`} of the whole result."""
        totals = Counter(count=0)
        counted = self.model.objects.sought(self.text, self.user, counted=True).filter(self.conditions.q())
        for branch in self._branches:
            found = counted.filter(branch).aggregate(count=Count("*"), **self.sums)
            totals.update({name: value or 0 for name, value in found.items()})
        return totals

    def count_of(self, text, asked):
        """This will count, up to MANY, what the reader would find of `text` under `asked`, a Q."""
        return self._count(text, asked, MANY)

    def count_up_to(self, most):
        """This will count, up to `most` of each branch, what the list holds."""
        return self._count(self.text, self.conditions.q(), most)

    def _count(self, text, asked, most):
        found = self.model.objects.sought(text, self.user, counted=True).filter(asked)
        return sum(found.filter(branch).order_by().values("pk")[:most].count() for branch in self._branches)

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
        """
        This will give the address of this list, of its totals or of a form about what it is asked, with `query`, a
        QueryDict.
        """
        if of not in FORMS:  # which show what is asked, and so are told
            query = self.shortest(query)
        address = reverse(f"{self.name}_{of}" if of else self.name)
        return f"{address}?{query.urlencode()}" if query else address

    def asked(self, **changes):
        """This will give the query of this page with `changes`; None takes a parameter away."""
        query = self.query.copy()
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
    def columns_url(self):
        return self.address(self.asked(page=None, totals=None), of="columns")

    @property
    def columns_name(self):
        return f"{self.name}_columns"

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
        return [(name, text) for name, text in self.exported_with if name not in OF_A_SELECTION]

    @property
    def back_url(self):
        own = dict.fromkeys(column_pages.SENT)
        return self.address(self.asked(show=None, **own))

    @property
    def first_url(self):
        return self.address(self.asked(page=None))

    @property
    def all_url(self):
        return self.address(QueryDict(mutable=True))

    @property
    def shows_totals(self):
        return "totals" in self.query

    @property
    def previous_url(self):
        """This will give the address of the page before, or None."""
        place = self.previous_place
        return place and self.address(self.asked(page=place if place.number > 1 else None))

    @property
    def next_url(self):
        """This will give the address of the page after, or None."""
        place = self.next_place
        return place and self.address(self.asked(page=place))

    @property
    def has_more(self):
        """This will tell whether the list has other pages than this one."""
        _keys, has_previous, has_next = self._here
        return has_previous or has_next

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
        """This will give each condition as {"chip", "without": the address of the list without it, "url"}."""
        return filters.chips(self)

    @property
    def kept(self):
        """This will list the (parameter, text) that the find form takes along."""
        return [(name, text) for name in self.query if name not in ("q", "page") for text in self.query.getlist(name)]

    @cached_property
    def loosened(self):
        """This will say what the list would show with one thing less asked of it, with its count in words."""
        return [one | {"said": self._said(one["count"])} for one in filters.loosened(self)]

    def _said(self, count):
        if count >= MANY:
            return _("%(count)s or more") % {"count": f"{MANY:,}"}
        return str(self.counted % {"count": count}) if self.counted else f"{count:,}"

    @property
    def on_paper(self):
        """This will say what a printed list shows, and of which day it is."""
        views = [tab["label"] for tab in self.tabs_shown if tab["current"]]
        asked = [" ".join(str(part) for part in one["chip"][:3] if part) for one in self.chips]
        sought = [_("with “%(text)s”") % {"text": self.text}] if self.text else []
        return shown.joined(*views, *asked, *sought, organisation_today().isoformat())

    @property
    def said(self):
        """This will say to whom the page is read out what the list shows, once it was asked something else."""
        if not self.rows:
            if self.place.number > 1:
                return _("There is nothing on this page")
            return _("Nothing matches") if self.narrowed else str(self.nothing[0])
        told = {"first": f"{self.first:,}", "last": f"{self.last:,}"}
        if self.whole is None:
            return _("Rows %(first)s–%(last)s") % told
        return _("Rows %(first)s–%(last)s of %(total)s") % (told | {"total": f"{self.whole:,}"})

    @property
    def narrowed(self):
        """This will say in a sentence by what the list is narrowed; "" where it is not."""
        if self.text:
            return _("Nothing here mentions “%(text)s”.") % {"text": self.text}
        count = len(self.chips)
        said = ngettext("%(count)d condition is on.", "%(count)d conditions are on.", count) % {"count": count}
        return said if count else ""
