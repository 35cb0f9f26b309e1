"""
The page on which a reader says what a list shows: conditions, and groups of them within groups.

The page is one form. Its buttons bring it back with a row more or less and with all that was chosen and typed; **Show**
leads to the list, whose address carries the conditions. Nothing is kept between the two.
"""

import re
from functools import cached_property

from django.http import QueryDict
from django.shortcuts import redirect, render
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from crm.conditions import WHERE, Conditions
from crm.filter_rows import Row
from crm.kinds import ADDED, DATES, PEOPLE, ConditionError

ROOT = "c"
PATH = re.compile(r"c(-\d{1,4}){0,8}", re.ASCII)
DEEPEST = 4  # groups within groups, as far as the page offers them
MOST = 500  # rows and groups that are looked at
EMPTY = 2  # rows of the page where nothing is on; where something is, there is one
LONGEST = 7_500  # bytes of an address: what servers and proxies take, less what else a list's address says

KINDS = {"all": _("All of these hold"), "any": _("Any of these holds"), "none": _("None of these holds")}


class Group:
    """Conditions of which all, any or none must hold, on the page."""

    is_group = True

    def __init__(self, path, kind, parts=()):
        self.path = path
        self.kind = kind if kind in KINDS else "all"
        self.parts = list(parts)

    @property
    def depth(self):
        return self.path.count("-")

    @property
    def may_hold_groups(self):
        return self.depth + 1 < DEEPEST

    @property
    def kinds(self):
        return KINDS.items()

    def next_path(self):
        numbers = [int(part.path.rpartition("-")[2]) for part in self.parts]
        return f"{self.path}-{max(numbers, default=-1) + 1}"

    def says(self):
        """This will give the tree of what its rows say, or None where they say nothing."""
        parts = [tree for tree in (part.says() for part in self.parts) if tree is not None]
        if not parts:
            return None
        if self.kind == "none":
            return {"not": parts[0] if len(parts) == 1 else {"any": parts}}
        return {self.kind: parts}

    def rows(self):
        for part in self.parts:
            yield from part.rows() if part.is_group else [part]

    def without(self, path):
        """This will take the part of that path out of the group, or out of one within it."""
        self.parts = [part for part in self.parts if part.path != path]
        for part in self.parts:
            if part.is_group:
                part.without(path)


class FilterPage:
    """What the page shows: the conditions that are on, and an empty row or two for what is asked most often."""

    def __init__(self, listing):
        self.listing = listing
        fields = listing.conditions.fields.items()
        self.fields = {key: field for key, field in fields if field.control and key not in listing.answers}
        self._often = [key for key in listing.filters if key in self.fields]
        self.errors = []
        self.focus = None  # the path of what was added
        sent = listing.request.POST if listing.request.method == "POST" else None
        self.checked = sent is not None and "show" in sent
        if sent is None:
            self.root = self._shown(listing.conditions.tree)
        else:
            self.root = self._sent(sent)
            self._do(sent.get("do", ""))

    def words(self, leaf):
        """This will write a condition as a text."""
        try:
            [chip] = Conditions({"all": [leaf]}, self.listing.model, self.listing.user).chips()
        except ConditionError:
            return ""
        return " ".join(filter(None, chip[:3]))

    def _shown(self, tree):
        parts = tree["all"]
        if len(parts) == 1 and "field" not in parts[0]:  # it is the outermost one itself
            return self._node(parts[0], ROOT)
        root = self._node(tree, ROOT)
        asked = {part["field"] for part in parts if "field" in part}
        empty = [key for key in self._often if key not in asked][: 1 if root.parts else EMPTY]
        for key in empty:
            root.parts.append(Row(self, root.next_path(), key=key, offered=True))
        return root

    def _node(self, tree, path):
        if "field" in tree:
            return Row(self, path, leaf=tree)
        [(kind, parts)] = tree.items()
        if kind == "not":
            kind, parts = "none", parts.get("any", [parts])
        return Group(path, kind, [self._node(part, f"{path}-{number}") for number, part in enumerate(parts)])

    def _sent(self, sent):
        groups = {ROOT: Group(ROOT, sent.get(f"{ROOT}-kind"))}
        paths = list(dict.fromkeys(sent.getlist("node")))
        if len(paths) > MOST:
            self.errors.append(
                _("At most %(count)s conditions and groups are looked at; those behind are left out.") % {"count": MOST}
            )
        for path in paths[:MOST]:
            above = groups.get(path.rpartition("-")[0])
            if above is None or not PATH.fullmatch(path):
                continue
            if f"{path}-kind" not in sent:
                above.parts.append(Row(self, path, sent=sent))
            else:
                groups[path] = Group(path, sent[f"{path}-kind"])
                above.parts.append(groups[path])
        self._groups = groups
        return groups[ROOT]

    def _do(self, act):
        verb, _colon, path = act.partition(":")
        if verb == "remove":
            self.root.without(path)
            self.focus = path.rpartition("-")[0]
        group = self._groups.get(path)
        if group is None or verb not in ("add", "group"):
            return
        self.focus = group.next_path()
        if verb == "add":
            group.parts.append(Row(self, self.focus, key=self._unasked(group)))
        elif group.may_hold_groups:
            group.parts.append(Group(self.focus, "any", [Row(self, f"{self.focus}-0")]))
            self.focus = f"{self.focus}-0"

    def _unasked(self, group):
        """This will give the first field, of those asked often before others, that no row of the group asks yet."""
        asked = {row.field.key for row in group.parts if not row.is_group and row.fixed is None}
        return next((key for key in (*self._often, *self.fields) if key not in asked), None)

    @cached_property
    def choices(self):
        """
        This will list the fields to choose from as (label, [(key, label), …]): those of the record itself, of what it
        is linked to, people, dates, and what the organisation added.
        """
        meta = self.listing.model._meta
        links = {field.part for field in self.fields.values()} - {None, PEOPLE, DATES}
        labels = {None: meta.verbose_name}
        labels |= {link: meta.get_field(link).verbose_name for link in sorted(links)}
        labels |= {PEOPLE: _("People"), DATES: _("Dates"), ADDED: _("Custom fields")}
        parts = {part: [] for part in labels}
        for key, field in self.fields.items():
            part = ADDED if key.startswith(ADDED) else key if key in links else field.part
            parts[part].append((key, field.label))
        return [(capfirst(str(labels[part])), fields) for part, fields in parts.items() if fields]

    # Where it leads

    def address(self):
        """This will give the address of the list that the page asks for; None, and `errors`, where it is not right."""
        tree = self.root.says()
        if self.errors or any(row.is_wrong for row in self.root.rows()):
            return None
        try:
            conditions = Conditions(tree, self.listing.model, self.listing.user)
            conditions.check(of_reader=True)
        except ConditionError as error:
            self.errors.append(error.message)
            return None
        address = self.listing.address(self._query(conditions))
        if len(address.encode()) > LONGEST:
            self.errors.append(_("These are more conditions than an address can carry. Remove some of them."))
            return None
        return address

    def _query(self, conditions):
        query = QueryDict(mutable=True)
        for name, texts in self.listing.query.lists():
            if name in self.listing.answers or (
                name not in (WHERE, "page") and name.partition(".")[0] not in conditions.fields
            ):
                query.setlist(name, texts)
        for name, text in conditions.to_query():
            query.appendlist(name, text)
        return query

    @property
    def cleared(self):
        """This will give the address of the list without any condition."""
        return self.listing.address(self._query(Conditions({}, self.listing.model)))

    @property
    def wrong(self):
        """This will count the rows that have to be corrected."""
        return sum(row.is_wrong for row in self.root.rows())


def answer(listing):
    """This will show the page; once it was sent and is right, the list that it asks for."""
    page = FilterPage(listing)
    if page.checked and (address := page.address()):
        return redirect(address)
    return render(listing.request, "components/list/filter.html", {"listing": listing, "page": page})


TRIED = 3  # parts of what is asked, of which it is counted what the list would show without it


def loosened(listing):
    """
    This will say what a list that shows nothing would show with one thing less asked of it, for the first few, as
    {"words", "url", "count"}: without the text sought, then without a condition. What would still be nothing is left
    out.
    """
    parts = []
    if listing.text:
        parts.append(("q", None, f"“{listing.text}”", listing.address(listing.asked(q=None, page=None))))
    for number, one in enumerate(listing.chips):
        words = " ".join(str(part) for part in one["chip"][:3] if part)
        parts.append((*listing.conditions.without(number), words, one["without"]))
    if len(parts) < 2:
        return []  # that is to show all
    found = []
    for name, text, words, url in parts[:TRIED]:
        asked = Conditions.from_query(listing.asked(**{name: text}), listing.model, listing.user)
        count = listing.count_of("" if name == "q" else listing.text, asked.q())
        if count:
            found.append({"words": words, "url": url, "count": count})
    return found


def chips(listing):
    """This will give each condition that is on, with the address of the list without it, and its place on the page."""
    asked = listing.conditions
    found = []
    alone = len(asked.tree["all"]) == 1 and "field" not in asked.tree["all"][0]
    for number, chip in enumerate(asked.chips()):
        name, text = asked.without(number)
        found.append(
            {
                "chip": chip,
                "without": listing.address(listing.asked(**{name: text, "page": None})),
                "url": f"{listing.filter_url}#{ROOT if alone else f'{ROOT}-{number}'}",
            }
        )
    return found
