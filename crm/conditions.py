"""
One language of conditions: asked of the database (`Conditions.q`), of one record in plain Python (`holds`), shown as
chips, carried by an address. The filter bar, saved views, exports and approval routes all speak it.

A tree is JSON: {"all": [tree, …]}, {"any": [tree, …]}, {"not": tree}, or one condition
{"field": key, "op": operator, "value": …}; {} always holds. It stores ids, picklist keys and field keys, never
labels, so that a renamed stage or person breaks nothing. A model lists in CONDITIONS what may be asked of it;
anything else is refused.

A condition is true or false, never unknown: what is empty meets no comparison, and meets every "is not". Days are days
of the reader's time zone, worked out when the question is asked. An address carries a list of conditions that must
all hold:

    state=active&state=signing       is one of            stage.not=proposal         is not
    owner=me                         is the reader        department.below=7         that department and those below
    amount.over=1000000              under, at_most, at_least, over
    expected_close_on=this_month     a period, or a day   expected_close_on.before=2027-04-01     after, from, until
    name.contains=cloud              starts               business_type.empty=yes    no
"""

import operator
from collections import namedtuple
from dataclasses import dataclass
from functools import reduce

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm.kinds import ALONE, EVERYBODY, MOST, NOBODY, SEVERAL, WORDS, ConditionError, Day, Field

DEEPEST = 8  # groups within groups

Chip = namedtuple("Chip", ["label", "op", "value", "name"])  # `name` is the parameter of the address that carries it


@dataclass(frozen=True)
class Condition:
    field: Field
    op: str
    value: object

    @property
    def values(self):
        """This will list what the value names: one, several or nothing."""
        return [] if self.op in ALONE else self.value if self.op in SEVERAL else [self.value]


@dataclass(frozen=True)
class Group:
    kind: str  # all, any, not
    parts: list


class Conditions:
    """
    A tree of conditions asked of `model` by `user`; what its values name is looked up once, or is `known`: {key of a
    field: {value: record}}. Raises ConditionError.
    """

    def __init__(self, tree, model, user=None, known=None):
        self.model = model
        self.user = user
        self.errors = []
        self._looked_up = dict(known or {})
        self._root = self._parse(tree or {"all": []})

    @classmethod
    def from_query(cls, query, model, user=None):
        """
        This will read the conditions that an address carries (a QueryDict). Parameters that are no fields are left
        to others; a value that cannot be is left out, with a sentence in `errors`.
        """
        asked = cls({}, model, user)
        for name in query:
            key, _dot, suffix = name.partition(".")
            field = model.CONDITIONS.get(key)
            texts = [text.strip() for text in query.getlist(name) if text.strip()]
            if field is None or not texts:
                continue
            try:
                op, value = field.read(suffix, texts)
                condition = Condition(field, op, field.clean(op, value))
            except ConditionError as error:
                asked.errors.append(error.message)
                continue
            asked._root.parts.append(condition)
        for condition in list(asked._root.parts):
            if wrong := asked._unknown(condition):
                asked.errors.append(condition.field.wrong(wrong[0]).message)
                asked._root.parts.remove(condition)
        return asked

    def _parse(self, tree, depth=0):
        if not isinstance(tree, dict) or depth > DEEPEST:
            raise ConditionError(_("This is no condition, or one nested too deeply."))
        if tree.keys() == {"not"}:
            return Group("not", [self._parse(tree["not"], depth + 1)])
        for kind in ("all", "any"):
            if tree.keys() == {kind} and isinstance(tree[kind], list) and len(tree[kind]) <= MOST:
                return Group(kind, [self._parse(part, depth + 1) for part in tree[kind]])
        if not {"field", "op"} <= tree.keys() <= {"field", "op", "value"} or not isinstance(tree["op"], str):
            raise ConditionError(_("This is no condition, or one nested too deeply."))
        field = self.model.CONDITIONS.get(tree["field"]) if isinstance(tree["field"], str) else None
        if field is None:
            raise ConditionError(_("“%(field)s” cannot be asked.") % {"field": str(tree["field"])[:60]})
        return Condition(field, tree["op"], field.clean(tree["op"], tree.get("value")))

    @property
    def tree(self):
        return _tree(self._root)

    def __bool__(self):
        return self._root != Group("all", [])

    def leaves(self, node=None):
        """This will yield every single condition of the tree."""
        node = node or self._root
        if isinstance(node, Condition):
            yield node
        else:
            for part in node.parts:
                yield from self.leaves(part)

    def records(self, field):
        """This will give what the values of `field` in the tree name, {value: record}, in one query."""
        if field.key not in self._looked_up:
            values = [one for leaf in self.leaves() if leaf.field is field for one in leaf.values]
            self._looked_up[field.key] = field.records(list(dict.fromkeys(values)), self.user)
        return self._looked_up[field.key]

    def _unknown(self, leaf):
        return leaf.field.unknown(leaf.values, self)

    def check(self, fields=None):
        """This will raise ConditionError where a value names nothing, or a field is none of `fields`."""
        for leaf in self.leaves():
            if fields is not None and leaf.field.key not in fields:
                raise ConditionError(_("“%(field)s” cannot be asked.") % {"field": leaf.field.label})
            if wrong := self._unknown(leaf):
                raise leaf.field.wrong(wrong[0])

    def q(self):
        """This will give the Q under which the conditions hold; Q() where there are none."""
        return self._q(self._root) if self else Q()

    def _q(self, node):
        if isinstance(node, Condition):
            return node.field.meaning(node.op, node.value, self)[0]
        parts = [self._q(part) for part in node.parts]
        if node.kind == "not":
            return ~parts[0]
        return reduce(operator.and_, parts, EVERYBODY) if node.kind == "all" else reduce(operator.or_, parts, NOBODY)

    def holds(self, record):
        """This will tell whether `record` meets the conditions."""
        return self._holds(self._root, record)

    def _holds(self, node, record):
        if isinstance(node, Condition):
            return node.field.meaning(node.op, node.value, self)[1](record)
        parts = (self._holds(part, record) for part in node.parts)
        return {"all": all, "any": any, "not": lambda parts: not next(parts)}[node.kind](parts)

    def chips(self):
        """
        This will describe each condition of the outermost group, in the active language: "Stage", "is",
        "Proposal".
        """
        return [self._chip(part) for part in self._flat()]

    def _chip(self, node):
        if isinstance(node, Group):
            return Chip("", "", self._words(node), None)
        values = [node.field.show(one, self) for one in node.values]
        value = " – ".join(values) if node.op == "between" else str(_(", ")).join(values)
        return Chip(node.field.label, str(WORDS[node.op]), value, node.field.name(node.op))

    def _words(self, node):
        """This will write a group within a group as one text."""
        if isinstance(node, Condition):
            return " ".join(filter(None, self._chip(node)[:3]))
        parts = "; ".join(self._words(part) for part in node.parts)
        kind = {"all": _("all of (%(parts)s)"), "any": _("any of (%(parts)s)"), "not": _("not (%(parts)s)")}[node.kind]
        return kind % {"parts": parts}

    def to_query(self):
        """
        This will give the parameters of an address that carries the conditions. Raises ConditionError for
        nested groups.
        """
        pairs = []
        for node in self._flat():
            if isinstance(node, Group):
                raise ConditionError(_("Groups of conditions do not fit into an address."))
            if node.op == "between":
                ends = ("from", "until") if isinstance(node.field, Day) else ("at_least", "at_most")
                pairs += [(node.field.name(end), value) for end, value in zip(ends, node.value, strict=True)]
            else:
                pairs += [(node.field.name(node.op), text) for text in node.field.write(node.op, node.value)]
        return pairs

    def _flat(self):
        return self._root.parts if isinstance(self._root, Group) and self._root.kind == "all" else [self._root]


def _tree(node):
    if isinstance(node, Group):
        parts = [_tree(part) for part in node.parts]
        return {"not": parts[0]} if node.kind == "not" else {node.kind: parts}
    tree = {"field": node.field.key, "op": node.op}
    return tree if node.op in ALONE else tree | {"value": node.value}


def holds(tree, record, *, user=None):
    """This will tell whether `record` meets `tree`; an empty tree always holds. Raises ConditionError."""
    return Conditions(tree, type(record), user).holds(record)


def picked(tree, fields):
    """This will give the set of picklist keys that a stored tree names for any of `fields`, which are keys too."""
    return {
        value for leaf in _stored(tree) if leaf["field"] in fields for value in _several(leaf) if isinstance(value, str)
    }


def with_key(tree, fields, old, new):
    """This will give a stored tree that names the picklist key `new` wherever it named `old` for one of `fields`."""
    if "field" in tree:
        if tree["field"] not in fields or old not in _several(tree):
            return tree
        values = list(dict.fromkeys(new if value == old else value for value in _several(tree)))
        return tree | {"value": values if isinstance(tree["value"], list) else values[0]}
    return {
        kind: with_key(part, fields, old, new) if kind == "not" else [with_key(one, fields, old, new) for one in part]
        for kind, part in tree.items()
    }


def _stored(tree):
    """This will yield each single condition of a stored tree."""
    if "field" in tree:
        yield tree
        return
    for kind, part in tree.items():
        for one in [part] if kind == "not" else part:
            yield from _stored(one)


def _several(leaf):
    value = leaf.get("value", [])
    return value if isinstance(value, list) else [value]


def check(tree, model, fields=None):
    """This will raise ConditionError unless `tree` can be asked of `model`: of `fields` alone, where they are given."""
    Conditions(tree, model).check(fields)
