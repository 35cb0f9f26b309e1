"""
One search for all: customers, contacts, opportunities and announcements that somebody sees, by any part of what they
are found by (crm.texts). The page, and what the box in the top bar shows while one types; before that, what one opened
last.
"""

from collections import namedtuple
from itertools import groupby
from operator import itemgetter

from django.db.models import Case, IntegerField, Value, When
from django.http import JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from crm import shown, texts
from crm.kinds import is_storable
from crm.querysets import is_wide
from crm.recent import Opened
from customers.models import Contact, Customer
from notices.models import Announcement
from opportunities.models import Opportunity

MANY, SOME = 10, 5  # of each kind: on the page, below the box
OPENED = 8  # below the empty box

Found = namedtuple("Found", ["name", "second", "url", "marked", "second_marked"])
Section = namedtuple("Section", ["heading", "rows", "more", "url"])


class Kind:
    """One kind of record as it is found: in which order, and what tells namesakes apart."""

    model = heading = more = listing = None
    order = ("name_key", "id")
    joins = ("department", "owner")
    columns = ("name", "department__names", "owner__name", "owner__username")
    name = "name"

    def visible(self, user):
        return self.model.objects.visible_to(user).select_related(*self.joins).only(*self.columns)

    def second(self, record):
        raise NotImplementedError

    def found(self, user, text, many):
        """
        This will list the first of those that `user` sees, as Found: those first whose name begins so. None where it
        would be a walk through all there is, since no word is long enough for the index.

        Who sees little is asked record by record. Of what is in everybody's index there may be very much, so that comes
        first only where it is little; else so many of what one sees are among it that a walk meets some soon.
        """
        found, keys, rows = texts.words(text), None, self.visible(user)
        if is_wide(user):
            if not any(texts.pieces_of_word(word) for word in found):
                return None
            keys = texts.keys(self.model, found)
        if keys is not None:
            rows = rows.filter(pk__in=keys)
        elif found:
            rows = rows.search(text)
        if keys is not None or not is_wide(user):
            begins = When(**{f"{self.name}__istartswith": text}, then=Value(0))
            first = Case(begins, default=Value(1), output_field=IntegerField())
            rows = rows.order_by(first, *self.order)
        else:
            rows = rows.order_by(*self.order)
        return [self.row(record, found) for record in rows[:many]]

    def row(self, record, found=()):
        name = getattr(record, self.name)
        second = self.second(record)
        return Found(name, second, record.get_absolute_url(), marked(name, found), marked(second, found))

    def opened(self, user, pks):
        """This will give {key: Found} of those of `pks` that `user` sees."""
        return {record.pk: self.row(record) for record in self.visible(user).filter(pk__in=pks)}


class Opportunities(Kind):
    model, listing = Opportunity, "opportunities"
    heading, more = gettext_lazy("Opportunities"), gettext_lazy("All in Opportunities")
    order = ("list_key", "id")
    joins = ("customer", "owner")
    columns = ("name", "number", "state", "customer__name", "owner__name", "owner__username")

    def second(self, record):
        return shown.joined(record.customer, record.number, record.owner, record.get_state_display())


class Customers(Kind):
    model, listing = Customer, "customers"
    heading, more = gettext_lazy("Customers"), gettext_lazy("All in Customers")

    def second(self, record):
        return shown.joined(record.department, record.owner)


class Contacts(Kind):
    model, listing = Contact, "contacts"
    heading, more = gettext_lazy("Contacts"), gettext_lazy("All in Contacts")
    joins = ("customer",)
    columns = ("name", "title", "phone", "mobile", "customer__name")

    def second(self, record):
        return shown.joined(record.title, record.customer, record.mobile or record.phone)


class Announcements(Kind):
    model, listing = Announcement, "announcements"
    heading, more = gettext_lazy("Announcements"), gettext_lazy("All in Announcements")
    name = "title"

    def visible(self, user):
        return Announcement.objects.visible_to(user)

    def found(self, user, text, many):
        rows = self.visible(user).search(text)
        return [self.row(record, texts.words(text)) for record in rows[:many]]

    def second(self, record):
        return shown.joined(record.by, shown.day(record.at))


KINDS = [Customers(), Contacts(), Opportunities(), Announcements()]


def marked(name, found):
    """This will give a name as HTML, in which the words `found` are marked where they stand as they were typed."""
    small = texts.plain(name)
    if len(small) != len(name):
        return conditional_escape(name)
    inside = [False] * len(name)
    for word in found:
        at = small.find(word)
        if at >= 0:
            inside[at : at + len(word)] = [True] * len(word)
    runs = [
        (is_in, "".join(letter for _is, letter in run))
        for is_in, run in groupby(zip(inside, name, strict=True), itemgetter(0))
    ]
    return format_html_join("", "{}", ((format_html("<mark>{}</mark>", run) if is_in else run,) for is_in, run in runs))


class Search:
    """What somebody asked for, and what of it they may see."""

    def __init__(self, request, many):
        self.user = request.user
        self.text = " ".join(request.GET.get("q", "").split())[: texts.MOST_LETTERS]
        self.too_short = False
        self.sections = []
        if self.text and is_storable(self.text) and texts.words(self.text):
            for kind in KINDS:
                rows = kind.found(self.user, self.text, many)
                self.too_short = self.too_short or rows is None
                if rows:
                    address = f"{reverse(kind.listing)}?{urlencode({'q': self.text})}"
                    self.sections.append(Section(kind.heading, rows, kind.more, address))

    @property
    def opened(self):
        """This will list the records that the reader opened last, and still sees, the latest first."""
        latest, found = Opened.latest(self.user), {}
        for kind in KINDS:
            label = kind.model._meta.label_lower
            pks = [pk for of, pk in latest if of == label]
            found |= {(label, pk): row for pk, row in (kind.opened(self.user, pks) if pks else {}).items()}
        return [found[key] for key in latest if key in found][:OPENED]

    @property
    def note(self):
        """This will say why there is nothing; "" where there is something."""
        if self.sections or not self.text:
            return ""
        if self.too_short:
            return _("Write one letter more: so little is in too many names.")
        return _("Nothing that you may see mentions “%(text)s”.") % {"text": self.text}


@require_safe
def search(request):
    return render(request, "crm/search.html", {"search": Search(request, MANY)})


@require_safe
def suggest(request):
    """This will answer the box while somebody types: groups of rows, and the way to all of them, as JSON."""
    asked = Search(request, SOME)
    groups = [(section.heading, section.rows) for section in asked.sections]
    if not asked.text and (opened := asked.opened):
        groups = [(_("Recently opened"), opened)]
    every = None
    if asked.text and groups:
        label = _("All results for “%(text)s”") % {"text": asked.text}
        every = {"label": label, "url": f"{reverse('search')}?{urlencode({'q': asked.text})}"}
    return JsonResponse(
        {
            "groups": [
                {
                    "label": str(heading),
                    "options": [{"label": row.name, "second": row.second, "url": row.url} for row in rows],
                }
                for heading, rows in groups
            ],
            "note": asked.note,
            "all": every,
        }
    )
