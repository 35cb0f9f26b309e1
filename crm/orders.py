"""
In which order a list stands, and which of its records are on a page.

An address says `sort=-amount` or, by several, `sort=-amount,name`; each is one of the list's `sorts`. Ordered by one
column that is never empty, pages follow one another by key: the database goes straight to where a page begins, however
deep it is, on the index (column, id). Ordered by several, or by what may be empty, they are counted off; what is empty
stands last, whichever way round.
"""

import heapq
import re
from collections import namedtuple
from copy import copy
from datetime import datetime
from functools import cached_property
from itertools import islice

from django.core.exceptions import ValidationError
from django.db.models import F, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from crm.kinds import is_storable
from crm.querysets import is_wide

LAST_PAGE = 10**6
MOST_KEYS = 3  # by which a list is sorted at a time

OF_A_PLACE = {"pks", "_here", "rows"}  # what is kept of a list that has been looked at

Order = namedtuple("Order", ["key", "column", "descending"])


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
        """
        This will read the place in an order by `field`, or one that is counted off where that is None; from what is
        no place it gives the first page.
        """
        found = re.fullmatch(r"(\d{1,9})(?:_(after|before)_(\d{1,18})_(.{0,60}))?", text, re.ASCII | re.DOTALL)
        number = min(max(int(found[1]), 1), LAST_PAGE) if found else 1
        if number == 1 or not found[2] or field is None:
            return cls(number)
        try:
            key = getattr(field, "output_field", field).to_python(found[4])
        except ValidationError:
            return cls(number)
        usable = timezone.is_aware(key) if isinstance(key, datetime) else is_storable(str(key))
        return cls(number, found[2], int(found[3]), key) if usable else cls(number)


class Ordered:
    """
    The rows of a list in its order, page by page: what crm.pages.Listing is by this. It has `model`, `user`, `text`,
    `conditions`, `matching`, `size`, `orders` and `place`.
    """

    sorts = {}  # {key: the column of the order}; the first is the default, and each column has an index (column, id)
    sorted_at_once = 5_000  # rows; where a filter leaves more, walking the index of the order meets some of them soon
    looked_at_first = 1_000  # rows in the index of the order, among which a filter mostly leaves a page

    def stretch(self, column):
        """This will give a condition on the column of the order that follows from those asked: how far to walk it."""
        return Q()

    @classmethod
    def every_sort(cls):
        """This will give `sorts`, and those by the fields that the organisation added to the model."""
        added = getattr(cls.model, "custom_sorts", None)
        return {**cls.sorts, **added()} if added else cls.sorts

    @classmethod
    def orders_of(cls, text):
        """This will give (the Orders that `text` asks for, as an address has it; the keys in it that are none)."""
        keys, sorts = list(dict.fromkeys(filter(None, text.split(",")))), cls.every_sort()
        wrong = [key for key in keys if key.removeprefix("-") not in sorts]
        asked = {}
        for key in keys:
            if key not in wrong:
                asked.setdefault(key.removeprefix("-"), key.startswith("-"))
        asked = asked or {cls.default_sort(): False}
        return [Order(key, sorts[key], down) for key, down in asked.items()][:MOST_KEYS], wrong

    @classmethod
    def default_sort(cls):
        return next(iter(cls.sorts))

    @property
    def sort(self):
        """This will give the order as an address has it."""
        return ",".join(f"-{order.key}" if order.descending else order.key for order in self.orders)

    @property
    def keyed(self):
        """This will give the field by whose value pages follow one another; None where they are counted off."""
        field = self._field(self.orders[0])
        return None if len(self.orders) > 1 or field.null else field

    def _field(self, order):
        """This will give what an order is by: a field of the model, or a crm.custom_orders.CustomOrder."""
        return self.model._meta.get_field(order.column) if isinstance(order.column, str) else order.column

    def order_by(self, *, indexed=True):
        """This will give what `order_by` of a queryset takes for the list's order."""
        made = []
        for number, order in enumerate(self.orders):
            if not isinstance(order.column, str):
                by = order.column.expression()
            else:
                by = F(order.column) if indexed or number else Coalesce(order.column, order.column)  # no index has it
            nulls_last = True if self._field(order).null else None
            made.append(by.desc(nulls_last=nulls_last) if order.descending else by.asc(nulls_last=nulls_last))
        return [*made, "-pk" if self.orders[0].descending else "pk"]

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
        if self.keyed is None:
            return self._counted_off()
        descending = self.orders[0].descending != (self.place.side == "before")
        start, wanted = 0 if self.place.side else (self.place.number - 1) * self.size, self.size + 1
        branches = [
            self._ordered(branch, descending, indexed=False)
            if number
            else self._main(branch, descending, start + wanted)
            for number, branch in enumerate(self._branches)
        ]
        keys = self._merged(branches, start, wanted, descending)
        more = len(keys) == wanted
        del keys[self.size :]
        if self.place.side == "before":
            return keys[::-1], more, True
        return keys, self.place.number > 1, more

    @property
    def previous_place(self):
        """This will give the place of the page before as its address says it, or None."""
        place = self.place_before
        return Place() if place and place.number == 1 else place

    @property
    def place_before(self):
        """This will give the place of the rows right before the page, or None: the first page may have shifted."""
        keys, has_previous, _has_next = self._here
        if not has_previous:
            return None
        number = max(1, self.place.number - 1)
        return Place(number, "before", keys[0][1], keys[0][0]) if keys and self.keyed is not None else Place(number)

    @property
    def next_place(self):
        """This will give the place of the page after, or None."""
        keys, _has_previous, has_next = self._here
        if not has_next:
            return None
        number = self.place.number + 1
        return Place(number) if self.keyed is None else Place(number, "after", keys[-1][1], keys[-1][0])

    def turned_to(self, place):
        """This will give the list at another place."""
        other = copy(self)
        for name in OF_A_PLACE & vars(other).keys():
            del vars(other)[name]
        other.place = place
        return other

    def rank(self, pk, most):
        """This will count, up to one more than `most`, the rows before a record; None where it is not in the list."""
        found = self.matching().filter(pk=pk).order_by()
        if self.keyed is None:
            if not found.exists():
                return None
            first = self.turned_to(Place())
            first.size = most + 1
            return first.pks.index(pk) if pk in first.pks else most + 1
        [order] = self.orders
        side = "gt" if order.descending else "lt"
        for key in found.values_list(order.column, flat=True):
            before = Q(**{f"{order.column}__{side}e": key})  # written as in `_ordered`
            before &= Q(**{f"{order.column}__{side}": key}) | Q(**{f"pk__{side}": pk})
            rows = (self._found.filter(branch, before).order_by().values("pk") for branch in self._branches)
            return min(sum(one[: most + 1].count() for one in rows), most + 1)
        return None

    @cached_property
    def _branches(self):
        return self.model.objects.branches(self.user)

    @cached_property
    def _found(self):
        return self.model.objects.sought(self.text, self.user).filter(self.conditions.q())

    def _main(self, main, descending, needed):
        """
        This will give the rows of the reader's first branch, in order, or the `needed` first of them. The index of the
        order is walked, rather than what is there fetched and sorted, unless a filter leaves little: a walk through
        very much would meet it late.
        """
        narrowed, most = self.conditions or self.text, self.sorted_at_once
        if not is_wide(self.user):
            return self._ordered(main, descending, indexed=not narrowed and self.orders[0].key == self.default_sort())
        if self.text:  # whatever was found by reading many rows is not looked for again
            found = list(self._ordered(main, descending, indexed=False).order_by()[: most + 1])
            return (
                self._ordered(main, descending, indexed=True)
                if len(found) > most
                else sorted(found, reverse=descending)
            )
        if narrowed and (near := self._near(main, descending, needed)):
            return near
        many = not narrowed or self._found.filter(main).order_by()[: most + 1].count() > most
        return self._ordered(main, descending, indexed=many)

    def _near(self, main, descending, needed):
        """
        This will give the `needed` first rows, where they are among those that the index of the order has first, which
        costs less than to count what there is; else nothing.
        """
        if main and self.orders[0].key != self.default_sort():  # no index has this order for the branch alone
            return []
        every = self._ordered(main, descending, indexed=True, of=self.model.objects.all()).values("order_key")
        last = Subquery(every[self.looked_at_first : self.looked_at_first + 1])
        within = {f"order_key__{'gte' if descending else 'lte'}": last}
        found = list(self._ordered(main, descending, indexed=True).filter(**within)[:needed])
        return found if len(found) == needed else []

    def _ordered(self, branch, descending, *, indexed, of=None):
        """This will give (key of the order, id) of a branch, of what is asked for or `of` more, from the place on."""
        column = self.orders[0].column
        order = F(column) if indexed else Coalesce(column, column)  # the same, but no index knows it
        rows = (self._found if of is None else of).filter(branch).annotate(order_key=order)
        if indexed:
            rows = rows.filter(self.stretch(column))
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

    def _counted_off(self):
        """This will give what `_here` does, of an order in which pages are counted off."""
        visible = self._found.visible_to(self.user)
        narrowed, most = self.conditions or self.text, self.sorted_at_once
        indexed = is_wide(self.user) and (not narrowed or visible.order_by()[: most + 1].count() > most)
        start, wanted = (self.place.number - 1) * self.size, self.size + 1
        if len(self.orders) > 1:
            pks = list(
                visible.order_by(*self.order_by(indexed=indexed)).values_list("pk", flat=True)[start : start + wanted]
            )
        else:
            pks = self._last_the_empty(visible, start, wanted, indexed=indexed)
        return [(None, pk) for pk in pks[: self.size]], self.place.number > 1, len(pks) == wanted

    def _last_the_empty(self, visible, start, wanted, *, indexed):
        """
        This will give keys in the order of a column that may be empty. Those that are not are asked for alone: the
        databases differ in where an index has the others, so neither could walk it for all.
        """
        [order] = self.orders
        sign = "-" if order.descending else ""
        if not isinstance(order.column, str):
            found = order.column.filled(visible, descending=order.descending)
            return self._filled_up(found, order.column.empty(visible), start, wanted, sign)
        filled, empty = (visible.filter(**{f"{order.column}__isnull": is_empty}) for is_empty in (False, True))
        by = F(order.column) if indexed else Coalesce(order.column, order.column)
        filled = filled.order_by(by.desc() if order.descending else by.asc(), f"{sign}pk")
        return self._filled_up(filled.values_list("pk", flat=True), empty, start, wanted, sign)

    @staticmethod
    def _filled_up(filled, empty, start, wanted, sign):
        """This will give keys of those that are filled and, where these come to an end, of those that are empty."""
        pks = list(filled[start : start + wanted])
        if len(pks) < wanted:
            before = start + len(pks) if pks else filled.order_by().count()
            rest = empty.order_by(f"{sign}pk").values_list("pk", flat=True)
            pks += rest[max(0, start - before) : start + wanted - before]
        return pks
