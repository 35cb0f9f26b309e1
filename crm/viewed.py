"""
What a list is asked, with the views that somebody keeps of it: as an address has it, and as a view holds it.

`?view=12` alone shows the list as the view holds it; with further parameters, these are what is asked, and the view is
what that is compared with. `?view=all` is the list without any, for those whose list opens with one of their views.
"""

import json
import re
from functools import cached_property

from django.http import QueryDict
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from crm.conditions import Conditions
from crm.kinds import ConditionError, fields_of
from crm.saved_views import SavedView, uses_of

ASKED = ("where", "q", "columns", "sort", "size")  # besides conditions: what an address asks of a list
NO_VIEW = "all"


class Viewed:
    """The views of a list: what crm.pages.Listing is by this."""

    def read_query(self):
        """
        This will find out what the list is asked: `query`, whole, as an address has it; `conditions`; `view`, or None.
        """
        self.view, self._of_view = None, []
        key = self.request.GET.get("view", "")
        is_asked = any(map(self.is_asked_by, self.request.GET))
        if key and key != NO_VIEW:
            self.view = self._found_view(key)
        elif not key and not is_asked:
            self.view = next((use.view for use in self.uses if use.is_default), None)
        self.as_saved = self.view is not None and not is_asked
        if self.as_saved:
            self.conditions = Conditions.leaving_out(self.view.conditions, self.model, self.user)
            self._of_view += self.conditions.errors
            self.conditions.errors = []
            self.query = self._in_full(self.request.GET)
        else:
            gone = self.view is None and key not in ("", NO_VIEW)
            self.query = _without(self.request.GET, "view".__eq__) if gone else self.request.GET
            self.conditions = Conditions.from_query(self.query, self.model, self.user)

    def _found_view(self, key):
        for use in self.uses:
            if str(use.view_id) == key:
                return use.view
        views = SavedView.objects.of(self.name).filter(pk=int(key) if re.fullmatch(r"\d{1,18}", key, re.ASCII) else 0)
        view = views.visible_to(self.user).first()
        if view is None:  # whether somebody else has it, is not told
            self._of_view.append(_("This view is no longer there. The list is shown without it."))
        return view

    @cached_property
    def uses(self):
        """This will list how the reader uses views of this list: as tabs, and as what opens it."""
        return uses_of(self.user, self.name)

    @classmethod
    def is_asked_by(cls, name):
        """This will tell whether a parameter of an address is part of what the list is asked, and so of a view."""
        return name in ASKED or name.partition(".")[0] in fields_of(cls.model)

    def _in_full(self, given):
        """This will give the query that asks what the view holds, with what of `given` is none of that."""
        query = QueryDict(mutable=True)
        for name, text in self._pairs_of_view:
            query.appendlist(name, text)
        for name, texts in given.lists():
            query.setlist(name, texts)
        query["view"] = str(self.view.pk)
        return query

    @cached_property
    def _pairs_of_view(self):
        """This will list the (parameter, text) of what the view holds, as far as that is still there."""
        view = self.view
        left = self.conditions if self.as_saved else Conditions.leaving_out(view.conditions, self.model, self.user)
        further = [
            ("q", view.text), ("columns", ",".join(view.columns)), ("sort", view.sort), ("size", str(view.size or ""))
        ]  # fmt: skip
        return [*left.to_query(), *((name, text) for name, text in further if text)]

    def asked_in(self, query):
        """This will give what a query asks of the list, in one form of writing: {parameter: texts}."""
        asked = {}
        for name in filter(self.is_asked_by, query):
            texts = [text.strip() for text in query.getlist(name) if text.strip()]
            if name in ("columns", "sort"):
                texts = [key for text in texts for key in text.split(",") if key]
            elif name == "where":
                texts = [_in_one_form(text) for text in texts]
            elif name not in ("q", "size"):
                texts = self._condition_in(name, texts)
            asked[name] = texts
        own = {"columns": [column.key for column in self.every_column() if column.shown], "sort": [self.default_sort()]}
        own |= {"size": [str(type(self).size)]}
        return {name: texts for name, texts in asked.items() if texts and texts != own.get(name)}

    @classmethod
    def _condition_in(cls, name, texts):
        """This will write what follows a parameter that carries a condition in one way: 5 is 5.00."""
        key, _dot, suffix = name.partition(".")
        field = fields_of(cls.model)[key]
        try:
            op, value = field.read(suffix, texts)
            return sorted(set(field.write(op, field.clean(op, value))))
        except (ConditionError, IndexError):  # what cannot be, or nothing
            return sorted(set(texts))

    @cached_property
    def _asked_by_view(self):
        query = QueryDict(mutable=True)
        for name, text in self._pairs_of_view:
            query.appendlist(name, text)
        return self.asked_in(query)

    @cached_property
    def is_changed(self):
        """This will tell whether the list is asked something else than its view holds."""
        if self.view is None or self.as_saved:
            return False
        return self.asked_in(self.query) != self._asked_by_view or self.layout != self.view.layout

    @property
    def held(self):
        """This will give what a view of the list as it is asked now holds, by the names of crm.saved_views.HELD."""
        asked = self.asked_in(self.query)
        return {
            "conditions": self.conditions.tree if self.conditions else {},
            "text": self.text,
            "columns": [column.key for column in self.shown] if asked.get("columns") else [],
            "sort": self.sort if asked.get("sort") else "",
            "size": self.size if asked.get("size") else None,
            "layout": self.layout_kept,
        }

    @property
    def layout_kept(self):
        """This will give the layout in which what is kept as a view of this page opens."""
        told = self.query.get("layout")
        return told if told in ("list", "board") else self.layout

    # Addresses

    def shortest(self, query):
        """
        This will write a query as briefly as it means the same: of a view that is not changed its key alone. Where
        nothing is asked, it says so, lest the list opened with a view.
        """
        is_asked = any(map(self.is_asked_by, query))
        if self.view is not None and query.get("view") == str(self.view.pk):
            if self.view.layout == self.layout and self.asked_in(query) == self._asked_by_view:
                return _without(query, self.is_asked_by)
            if not is_asked:
                query["q"] = ""
        elif not is_asked and query.get("view") != NO_VIEW and self._opens_with_a_view:
            query = query.copy()
            query["view"] = NO_VIEW
        return query

    def frozen(self, **changes):
        """This will give the query of this page with `changes` so that it means the same later, whatever its view."""
        query = self.asked(view=None, **changes)
        if self.view is not None and not any(map(self.is_asked_by, query)):
            query["view"] = NO_VIEW
        return self.shortest(query)

    @property
    def _opens_with_a_view(self):
        return any(use.is_default for use in self.uses)

    def address_of_view(self, view):
        """This will give the address at which a view opens, in its layout where there is that."""
        address = reverse(self.name)
        if view.layout == "board":
            address = self.board_url or address
        return f"{address}?view={view.pk}"

    @cached_property
    def board_url(self):
        """This will give the address of the board that shows the same records; None where there is none."""
        try:
            return reverse(f"{self.name}_board")
        except NoReverseMatch:
            return None

    @property
    def elsewhere(self):
        """
        This will give the address of the layout in which a view opens that is shown as saved, if that is another. Who
        asks for the board by its own address has it, whatever view their list opens with.
        """
        if self.layout == "board" and "view" not in self.request.GET:
            return None
        if self.as_saved and self.view.layout != self.layout and (self.layout == "board" or self.board_url):
            address = reverse(self.name) if self.layout == "board" else self.board_url
            given = self.request.GET.copy()
            given["view"] = str(self.view.pk)
            return f"{address}?{given.urlencode()}"
        return None

    @property
    def layouts(self):
        """
        This will give the ways in which the list can be looked at, as {"label", "url", "current"}: none where there is
        no other. A board has the address `<name>_board`, takes the same parameters, and says so in `layout`.
        """
        if self.board_url is None:
            return []
        query = self.asked(page=None, totals=None)
        if self.view is not None and not any(map(self.is_asked_by, query)):
            query["q"] = ""  # or it would lead to where the view opens
        elif self.view is None:
            query = self.shortest(query)
        ways = [("list", _("List"), reverse(self.name)), ("board", _("Board"), self.board_url)]
        return [
            {
                "label": label,
                "url": f"{address}?{query.urlencode()}" if query else address,
                "current": self.layout == layout,
            }
            for layout, label, address in ways
        ]

    # The tabs

    @property
    def tabs_shown(self):
        """This will give each tab as {"label", "url", "current"}: what everybody has, then the reader's views."""

        def narrowed_by(query):
            return {name: texts for name, texts in self.asked_in(query).items() if name == "where" or name not in ASKED}

        asked, tabs = narrowed_by(self.query), []
        for tab in self.tabs:
            query = self.query_of_tab(tab)
            current = self.view is None and asked == narrowed_by(query)
            tabs.append({"label": tab.label, "url": self.address(query), "current": current})
        views = [use.view for use in self.uses if use.pinned]
        if self.view is not None and self.view not in views:
            views.append(self.view)
        return tabs + [
            {"label": view.name, "url": self.address_of_view(view), "current": view == self.view} for view in views
        ]

    def query_of_tab(self, tab):
        return query_of(tab.query)

    @property
    def may_save(self):
        return self.is_changed and self.view.owner_id == self.user.pk

    @property
    def may_save_as(self):
        """This will tell whether there is something to keep: what is asked is neither a view's nor a tab's."""
        asked = self.asked_in(self.query)
        if self.view is not None:
            return self.is_changed
        return bool(asked) and all(asked != self.asked_in(query_of(tab.query)) for tab in self.tabs)

    @property
    def save_url(self):
        return f"{reverse(f'{self.name}_view_save', args=[self.view.pk])}?{self.held_query().urlencode()}"

    @property
    def save_as_url(self):
        return f"{reverse(f'{self.name}_view_new')}?{self.held_query().urlencode()}"

    def held_query(self):
        """This will give the query that the pages of the views are told, of which they keep what is asked."""
        query = self.asked(page=None, totals=None)
        if not any(map(self.is_asked_by, query)):
            query["q"] = ""
        query["layout"] = self.layout
        return query

    @property
    def reset_url(self):
        return self.address_of_view(self.view) if self.view else self.all_url

    @property
    def view_urls(self):
        """This will name the addresses of one view, for templates: {word: the name of the url}."""
        words = {word: f"{self.name}_view_{word}" for word in ("copy", "delete", "pin", "unpin", "default")}
        return words | {"change": f"{self.name}_view", "no_default": f"{self.name}_view_no-default"}

    @property
    def views_url(self):
        return reverse(f"{self.name}_views")


def _in_one_form(text):
    """This will write a tree of conditions, which is JSON, in one way; what is none stays as it is."""
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return text


def _without(query, is_left_out):
    kept = QueryDict(mutable=True)
    for name, texts in query.lists():
        if not is_left_out(name):
            kept.setlist(name, texts)
    return kept


def pairs(query):
    return [(name, text) for name, texts in query.items() for text in ([texts] if isinstance(texts, str) else texts)]


def query_of(query):
    made = QueryDict(mutable=True)
    for name, text in pairs(query):
        made.appendlist(name, text)
    return made
