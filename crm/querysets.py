"""
What a reader may see, as querysets: `visible_to`, `permitted`, and, for lists in index order, `branches`.

Two forms of one rule, side by side; a property test holds them equal. `permitted` is composable: counts, exports,
pickers, look-ups by key. `branches` are disjoint conditions, each served in order by its own index, for the pages
of long lists: at a million rows no single predicate serves both a rep with three hundred rows and a head office
that sees everything.
"""

from functools import reduce
from operator import or_

from django.db.models import Case, F, Q, QuerySet, Value, When

from crm import permissions, texts
from crm.conditions import Conditions
from crm.functions import Keys, PkIn
from crm.kinds import NOBODY, is_storable
from crm.verbs import whole


def in_scope(user):
    """This will give the condition on department columns that `user`'s data scope means; Q() for everything."""
    if user.scope == "all":
        return Q()
    if user.scope == "own" or user.department is None:
        return NOBODY
    return Q(**user.department.reach)


def is_in_scope(user, record):
    """This will tell whether `in_scope(user)` holds for a record that has been read already."""
    if user.scope == "all":
        return True
    if user.scope == "own" or user.department is None:
        return False
    return all(getattr(record, f"{column}_id") == key for column, key in user.department.reach.items())


def is_wide(user):
    """
    This will tell whether what `user` may see can be more than a list sorts at a time: a province's, or all
    there is.
    """
    if user.scope == "below":
        return not user.department.reach or "province" in user.department.reach
    return user.scope == "all" or user.is_any(*permissions.EVERYWHERE)


class Guarded(QuerySet):
    """
    A queryset that knows its readers. A subclass says what each reason of its permission table means, either as a
    condition on the row's own columns (`columns`) or as a set of keys read from another table (`keys`).
    """

    def columns(self, reason, user):
        """This will give the Q under which `reason` holds, or None if the reason is a matter of keys."""
        if reason == permissions.OWNER:
            return Q(owner=user)
        if reason in (permissions.SCOPE, permissions.CHIEF):
            return in_scope(user)
        return None

    def is_seen(self, reason, user, record):
        """
        This will tell whether the columns of a record that has been read say that `reason` holds: the twin of
        `columns` in plain Python. What is a matter of keys no column says.
        """
        if reason == permissions.OWNER:
            return record.owner_id == user.pk
        if reason in (permissions.SCOPE, permissions.CHIEF):
            return is_in_scope(user, record)
        return False

    def keys(self, reason, user):
        """
        This will give querysets of one column each, together the keys of the rows for which `reason` holds; of all
        rows, or of those of this queryset alone where that is the cheaper question.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what {reason} means.")

    def search(self, text):
        """
        This will narrow to the rows that are found by every word of `text`: see crm.texts. Asked of each row that is
        looked at otherwise; where that is very many, `sought` asks the index. A model without such texts says in
        `mentions` what holds a word.
        """
        if not is_storable(text):
            return self.none()
        if not hasattr(self.model, "TEXT"):
            return self.filter(*map(self.mentions, text[:200].split()))
        found = texts.words(text)
        return self.filter(texts.mentioned(self.model, found)) if found else self

    def sought(self, text, user, *, counted=False):
        """
        This will narrow as `search` does, by the quickest way for somebody who sees as much as `user`: by the keys
        that the index gives, where they are few; else, to count, by all of them, and to walk an order, row by row.
        """
        found = texts.words(text) if is_storable(text) else []
        if not found or not hasattr(self.model, "TEXT") or not is_wide(user):
            return self.search(text)
        keys = texts.keys(self.model, found)
        if keys is not None:
            return self.filter(pk__in=keys)
        can_count = counted and any(texts.pieces_of_word(word) for word in found)
        return self.filter(texts.indexed(self.model, found)) if can_count else self.search(text)

    def bulk_create(self, objs, *args, **kwargs):
        """This will also write by what each is found."""
        made = super().bulk_create(objs, *args, **kwargs)
        self._write_texts([record.pk for record in made])
        return made

    def update(self, **kwargs):
        """This will also write by what each is found, where that is changed."""
        said_by = {name.removesuffix("_id") for name in getattr(self.model, "SAID_BY", ())}
        if said_by.isdisjoint(name.removesuffix("_id") for name in kwargs):
            return super().update(**kwargs)
        with whole():
            pks = list(self.order_by().values_list("pk", flat=True))
            count = super().update(**kwargs)
            self._write_texts(pks, told=True)
        return count

    update.alters_data = True
    bulk_create.alters_data = True

    def _write_texts(self, pks, told=False):
        if getattr(self.model, "TEXT", None) is None:
            return
        for start in range(0, len(pks), texts.AT_ONCE):
            self.model.TEXT.write(pks[start : start + texts.AT_ONCE])
        if told:
            self.model.tell_others(pks)

    def narrow(self, tree, user):
        """This will narrow to the rows for which the conditions `tree` hold, asked by `user`; see crm.conditions."""
        return self.filter(Conditions(tree, self.model, user).q())

    def visible_to(self, user):
        return self.permitted(user, "view")

    def permitted(self, user, verb):
        """This will narrow to the rows on which `user` may do `verb`."""
        columns, keys = self._because(user, verb)
        if columns is None:
            return self
        condition = reduce(or_, columns, NOBODY if not keys else Q())
        if keys:
            condition = condition | among(keys)
        return self.filter(condition)

    def branches(self, user, verb="view"):
        """
        This will give disjoint conditions that together are `permitted(user, verb)`: the scope or the owner's column
        first, then everything else that was granted, less the first.
        """
        columns, keys = self._because(user, verb)
        if columns is None:
            return [Q()]
        if not columns:
            return [among(keys)] if keys else []
        main, *others = columns
        keys = [*keys, *(self.model._base_manager.filter(other).values("pk") for other in others)]
        return [main, among(keys) & ~main] if keys else [main]

    def with_reasons(self, user):
        """
        This will say in `held_<reason>` of each row whether that reason holds, of those that can hold for
        `user` at all.
        """
        conditions = {}
        for reason in permissions.possible(user, self.model.guard) - permissions.EVERYWHERE:
            condition = self.columns(reason, user)
            if condition is None:
                condition = among(self.keys(reason, user))
            conditions[f"held_{reason}"] = (
                Case(When(condition, then=Value(True)), default=Value(False)) if condition else Value(True)
            )
        return self.annotate(**conditions)

    def reasons_of(self, user, row):
        """
        This will give the reasons, of all in the table, that hold between `user` and a row read
        `with_reasons(user)`.
        """
        possible = permissions.possible(user, self.model.guard)
        return {reason for reason in possible if reason in permissions.EVERYWHERE or getattr(row, f"held_{reason}")}

    def reasons_seen(self, user, record):
        """
        This will give those reasons, of all in the table, that hold between `user` and a record that has been read and
        that its own columns tell.
        """
        possible = permissions.possible(user, self.model.guard)
        return {reason for reason in possible if reason in permissions.EVERYWHERE or self.is_seen(reason, user, record)}

    def reasons_held(self, user, record):
        """This will give the reasons, of all in the table, that hold between `user` and `record`, in one query."""
        row = self.filter(pk=record.pk).with_reasons(user).first()
        return self.reasons_of(user, row) if row is not None else set()

    def _because(self, user, verb):
        """This will give (column conditions, scope first; key sets), or (None, None) where everything is permitted."""
        columns, keys = [], []
        reasons = permissions.reasons(user, self.model.guard, verb)
        for reason in sorted(reasons, key=_ORDER.index):
            if reason in permissions.EVERYWHERE:
                return None, None
            if _PART_OF.get(reason) in reasons:
                continue
            condition = self.columns(reason, user)
            if condition is None:
                keys += self.keys(reason, user)
            elif not condition:
                return None, None
            elif condition not in columns:
                columns.append(condition)
        return columns, keys


# The scope comes before the owner: it is the wider one, so it is the branch that an index serves in order.
_ORDER = [
    permissions.MANAGER,
    permissions.ADMINISTRATOR,
    permissions.SCOPE,
    permissions.CHIEF,
    permissions.OWNER,
    permissions.EDIT_SHARE,
    permissions.VIEW_SHARE,
    permissions.OPEN_TASK,
    permissions.PAST_TASK,
    permissions.THROUGH,
]

# Whoever has the first has the second, so a union need not read both.
_PART_OF = {permissions.EDIT_SHARE: permissions.VIEW_SHARE, permissions.OPEN_TASK: permissions.PAST_TASK}


def among(keys):
    """This will give the condition that a row's key is among `keys`, querysets of one column each."""
    first, *others = keys
    union = first.order_by().union(*(other.order_by() for other in others), all=True) if others else first.order_by()
    return Q(PkIn(F("pk"), Keys(union)))
