"""
What of a list is selected, to be acted on at one go: rows that were ticked, all that match, or what an earlier run
left.

A list whose rows can be acted on says which `acts` there are (`crm.bulk_acts.BulkAct`), and how to find its rows.
"""

import re
from functools import cached_property
from hashlib import sha256
from itertools import islice
from types import SimpleNamespace

from django.conf import settings
from django.urls import path, reverse
from django.utils.module_loading import import_string
from django.views.decorators.http import require_http_methods

from crm.kinds import is_key
from crm.permissions import reasons

NAMED_AT_ONCE = 1_000  # keys in one query
OF_A_SELECTION = ("pk", "every", "again", "select")
OF_THE_PAGE = (*OF_A_SELECTION, "page", "totals", "rows", "fields", "export", "show")


class Selectable:
    """A list whose rows can be selected. As crm.pages.Listing it has `request`, `user`, `model`, `name`, `heading`."""

    acts = ()
    counted = None  # "%(count)d opportunities", as ngettext_lazy gives it
    takes_all = True  # whether all that match can be selected, beside those that were seen
    read_along = ("owner",)  # relations of a row that acts read
    title = "name"  # the column by which a row is named
    selected_at_once = 1_000  # rows; more keys of an address are not looked at

    @classmethod
    def bulk_paths(cls, address):
        """This will give the address at which an act on the selected rows is asked about, and confirmed."""

        def asked(request, act):
            return import_string("crm.bulk_pages.ask")(cls(request), act)  # the pages know the lists, not the other way

        return [
            path(
                f"{address}bulk/<slug:act>/", require_http_methods(["GET", "HEAD", "POST"])(asked), name=cls.bulk_name()
            )
        ]

    @classmethod
    def bulk_name(cls):
        return f"{cls.name}_bulk"

    @classmethod
    def asked_by(cls, user, query):
        """This will give the list as `user` asks for it with `query`, a QueryDict, where no request does."""
        return cls(SimpleNamespace(user=user, GET=query))

    # What can be done

    @cached_property
    def acts_offered(self):
        """This will list the acts that the reader may do to any record at all; none to whoever belongs nowhere."""
        return [act for act in self.acts if self.user.department_id is not None and act.is_offered(self)]

    @property
    def acts_shown(self):
        """This will give each act as {"act", "url"}: its button and where it leads."""
        return [{"act": act, "url": reverse(self.bulk_name(), args=[act.key])} for act in self.acts_offered]

    def act(self, key):
        """This will give the act of that key, or None where it is not offered."""
        return next((act for act in self.acts_offered if act.key == key), None)

    def may_ever(self, verb):
        return bool(reasons(self.user, self.model.guard, verb))

    # What is selected

    @property
    def selected(self):
        """This will give the keys that the address names, as `pk=1&pk=2` or `pk=1,2`; what is no key is left out."""
        return [key for key, _seen in self.ticked]

    @property
    def ticked(self):
        """This will list (key, the version that the list showed of it, or None) of the rows that the address names."""
        texts = ",".join(self.request.GET.getlist("pk")).split(",")
        found = {}
        for text in texts:
            if named := re.fullmatch(r"(\d{1,18})(?:_(\d{1,9}))?", text, re.ASCII):
                found.setdefault(int(named[1]), named[2] and int(named[2]))
        return list(islice(found.items(), self.selected_at_once))

    @property
    def selects_all(self):
        """This will tell whether all that match are selected, and not only the ticked ones."""
        return self.takes_all and (self.request.GET.get("every") == "1" or self.request.GET.get("select") == "all")

    @property
    def every_url(self):
        """This will give the address of this page with all that match selected."""
        return self.address(self.asked(select="all", pk=None))

    @property
    def these_url(self):
        return self.address(self.asked(select=None, pk=None))

    @property
    def again(self):
        """This will give the key of the run whose refused rows are selected, or None."""
        key = self.request.GET.get("again")
        return int(key) if is_key(key) else None

    def matching(self):
        """This will narrow to what the list holds now, for this reader."""
        return self.model.objects.visible_to(self.user).search(self.text).filter(self.conditions.q())

    def find(self, pk):
        """This will read one row, if it is in the list now, as acts take it; else give None."""
        return self.matching().filter(pk=pk).select_related(*self.read_along).order_by().first()

    def is_seen(self, pk):
        """This will tell whether the reader sees that record, be it in the list or not."""
        return self.model.objects.visible_to(self.user).filter(pk=pk).exists()

    def every(self, most):
        """This will give the keys of what matches, at most one more than `most`."""
        return list(self.matching().order_by("pk").values_list("pk", flat=True)[: most + 1])

    def names_of(self, pks):
        """This will give {key: name} of those records that the reader sees."""
        found, pks = {}, list(pks)
        for start in range(0, len(pks), NAMED_AT_ONCE):
            seen = self.model.objects.visible_to(self.user).filter(pk__in=pks[start : start + NAMED_AT_ONCE])
            found.update(list(seen.order_by().values_list("pk", self.title)))
        return found

    def links_of(self, pks):
        """This will give {key: address} of those records that the reader sees."""
        return {pk: self.url(pk) for pk in self.names_of(pks)}

    @property
    def list_url(self):
        """This will give the address of the list as it was asked for, without what is selected."""
        query = self.bulk_query()
        return f"{reverse(self.name)}?{query}" if query else reverse(self.name)

    def bulk_query(self):
        """
        This will give what the list was asked for, without what is of a page or a selection, as text: so that it means
        the same later, though a view that it was asked by is changed.
        """
        return self.frozen(**dict.fromkeys(OF_THE_PAGE)).urlencode()


class Selection:
    """The rows that a request selects of a list: `rows` are (key, version seen or None), in order."""

    def __init__(self, listing, left=None):
        """`left` are the rows that an earlier run left, where the address asks for those."""
        self.listing = listing
        self.is_every = listing.selects_all and left is None
        if left is not None:
            self.rows = left
        elif self.is_every:
            self.rows = [(pk, None) for pk in listing.every(settings.BULK_MOST)]
        else:
            self.rows = listing.ticked

    @property
    def keys(self):
        return [key for key, _seen in self.rows]

    @property
    def is_too_much(self):
        return len(self.rows) > settings.BULK_MOST

    @property
    def seal(self):
        """This will give a digest of the keys, by which is told that the very rows are confirmed that were shown."""
        return sha256(",".join(map(str, sorted(self.keys))).encode()).hexdigest()[:16] if self.is_every else ""

    @cached_property
    def names(self):
        return self.listing.names_of(self.keys)

    @property
    def some(self):
        """This will name the first few."""
        return [self.names[key] for key in self.keys[:50] if key in self.names][:3]

    @property
    def more(self):
        return len(self.names) - len(self.some)

    @property
    def missing(self):
        """This will count those that are not there for the reader."""
        return len(self.keys) - len(self.names)
