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

and, in `where`, a tree of all that does not fit into these.
"""

import json
import operator
from collections import namedtuple
from dataclasses import dataclass
from functools import reduce

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm.kinds import ADDED, ALONE, EVERYBODY, MOST, NOBODY, SEVERAL, ConditionError, Field, fields_of, named

DEEPEST = 8  # groups within groups
WHERE = "where"  # the parameter of an address that carries a tree
LONGEST = 8_000  # letters of it

Chip = namedtuple("Chip", ["label", "op", "value", "name"])  # `name` is the parameter of the address that carries it


@dataclass(frozen=True)
class Condition:
    field: Field
    op: str
    value: object

    @property
    def values(self):
        """This will list what the value names: one, several or nothing."""
        return [] if self.op in ALONE else self.value if isinstance(self.value, list) else [self.value]

    @property
    def name(self):
        return self.field.name(self.op)

    @property
    def texts(self):
        return self.field.write(self.op, self.value)


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
        self._begin(model, user, known)
        self._root = self._parse(tree or {"all": []})

    def _begin(self, model, user, known=None, *, leave_out=False):
        self.model = model
        self.user = user
        self.fields = fields_of(model)
        self.errors = []
        self._leave_out = leave_out  # what cannot be asked, rather than refuse the whole
        self._looked_up = dict(known or {})
        self._names = []  # of the parameters that carried the parts of the outermost group
        self._root = Group("all", [])

    @classmethod
    def leaving_out(cls, tree, model, user=None):
        """
        This will read a tree that was kept for long: what names what is gone meanwhile is left out, with a sentence in
        `errors`.
        """
        asked = cls.__new__(cls)
        asked._begin(model, user, leave_out=True)
        try:
            asked._add_tree(tree or {"all": []})
        except ConditionError as error:
            asked.errors.append(error.message)
        asked._keep_what_is_there()
        asked._names = asked._parameters()
        return asked

    @classmethod
    def from_query(cls, query, model, user=None):
        """
        This will read the conditions that an address carries (a QueryDict). Parameters that are no fields are left
        to others; a value that cannot be is left out, with a sentence in `errors`.
        """
        asked = cls.__new__(cls)
        asked._begin(model, user, leave_out=True)
        for name in query:
            key, _dot, suffix = name.partition(".")
            field = asked.fields.get(key)
            texts = [text.strip() for text in query.getlist(name) if text.strip()]
            if field is None and texts and key.startswith(ADDED):  # it was archived: else it is no field's parameter
                asked.errors.append(_("“%(field)s” cannot be asked.") % {"field": named(model, key)})
            if field is None or not texts:
                continue
            try:
                asked._add(_condition(field, *field.read(suffix, texts)), name)
            except ConditionError as error:
                asked.errors.append(error.message)
        if text := query.get(WHERE, "").strip():
            asked._add_where(text)
        asked._keep_what_is_there()
        return asked

    def _add(self, node, name):
        self._root.parts.append(node)
        self._names.append(name)

    def _add_where(self, text):
        try:
            if len(text) > LONGEST:
                raise ConditionError(_("These conditions are too long, so they were left out."))
            self._add_tree(json.loads(text))
        except (ValueError, RecursionError):
            self.errors.append(_("The conditions in this address cannot be read, so they were left out."))
        except ConditionError as error:
            self.errors.append(error.message)

    def _add_tree(self, tree):
        node = self._parse(tree)
        parts = node.parts if isinstance(node, Group) and node.kind == "all" else [node] if node else []
        for part in parts:
            self._add(part, WHERE)

    def _keep_what_is_there(self):
        """
        This will leave out of the tree what names nothing there is, with a sentence for each; see crm.kinds.Record.
        """
        kept = [(self._that_is_there(part), name) for part, name in zip(self._root.parts, self._names, strict=True)]
        self._root = Group("all", [part for part, _name in kept if part is not None])
        self._names = [name for part, name in kept if part is not None]

    def _that_is_there(self, node):
        if isinstance(node, Group):
            parts = [part for one in node.parts if (part := self._that_is_there(one)) is not None]
            return Group(node.kind, parts) if parts or not node.parts else None
        wrong = [] if node.field.hides else self._unknown(node)
        if not wrong:
            return node
        self.errors += [node.field.wrong(value).message for value in wrong]
        values = [value for value in node.values if value not in wrong]
        return Condition(node.field, *_several(node.op, values)) if values else None

    def _parse(self, tree, depth=0):
        """This will give the node of a tree; None where the whole of it is left out."""
        if not isinstance(tree, dict) or depth > DEEPEST:
            raise ConditionError(_("This is no condition, or one nested too deeply."))
        for kind in ("all", "any", "not"):
            parts = [tree[kind]] if kind == "not" and kind in tree else tree.get(kind)
            if tree.keys() == {kind} and isinstance(parts, list) and len(parts) <= MOST:
                kept = [node for node in (self._parse(part, depth + 1) for part in parts) if node is not None]
                return Group(kind, kept) if kept or not parts else None
        try:
            return self._parse_one(tree)
        except ConditionError as error:
            if not self._leave_out:
                raise
            self.errors.append(error.message)
            return None

    def _parse_one(self, tree):
        if not {"field", "op"} <= tree.keys() <= {"field", "op", "value"} or not isinstance(tree["op"], str):
            raise ConditionError(_("This is no condition, or one nested too deeply."))
        field = self.fields.get(tree["field"]) if isinstance(tree["field"], str) else None
        if field is None:
            raise ConditionError(_("“%(field)s” cannot be asked.") % {"field": named(self.model, tree["field"])})
        return _condition(field, tree["op"], tree.get("value"))

    def take_out(self, key):
        """
        This will take each `key is …` out of the outermost group, and give their values: where something else than
        conditions answers them.
        """
        placed = list(zip(self._root.parts, self._names, strict=True))
        single = [part for part, _name in placed if isinstance(part, Condition)]
        taken = [part for part in single if (part.field.key, part.op) == (key, "is")]
        kept = [(part, name) for part, name in placed if part not in taken]
        self._root = Group("all", [part for part, _name in kept])
        self._names = [name for _part, name in kept]
        return [part.value for part in taken]

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
            values = [one for leaf in self.leaves() if leaf.field.key == field.key for one in leaf.values]
            self._looked_up[field.key] = field.records(list(dict.fromkeys(values)), self.user)
        return self._looked_up[field.key]

    def _unknown(self, leaf):
        return leaf.field.unknown(leaf.values, self)

    def check(self, fields=None, *, of_reader=False):
        """
        This will raise ConditionError where a value names nothing, or a field is none of `fields`. Asked by a reader, a
        record may be one that they do not see.
        """
        for leaf in self.leaves():
            if fields is not None and leaf.field.key not in fields:
                raise ConditionError(_("“%(field)s” cannot be asked.") % {"field": leaf.field.label})
            if of_reader and leaf.field.hides:
                continue
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
        return Chip(node.field.label, node.field.word(node.op), value, node.name)

    def _words(self, node):
        """This will write a group within a group as one text."""
        if isinstance(node, Condition):
            return " ".join(filter(None, self._chip(node)[:3]))
        if node.kind == "not" and isinstance(node.parts[0], Group) and node.parts[0].kind == "any":
            if len(node.parts[0].parts) > 1:
                return _("none of (%(parts)s)") % {"parts": self._listed(node.parts[0].parts)}
            node = Group("not", node.parts[0].parts)
        if node.kind != "not" and len(node.parts) == 1:
            return self._words(node.parts[0])
        parts = self._listed(node.parts)
        kind = {"all": _("all of (%(parts)s)"), "any": _("any of (%(parts)s)"), "not": _("not (%(parts)s)")}[node.kind]
        return kind % {"parts": parts}

    def _listed(self, nodes):
        return str(_("; ")).join(map(self._words, nodes))

    def to_query(self):
        """
        This will list the (parameter, text) of an address that carries the conditions: one parameter for each that must
        hold, and `where` for what is nested or needs a name that is taken.
        """
        placed = list(zip(self._flat(), self._parameters(), strict=True))
        pairs = [(name, text) for node, name in placed if name != WHERE for text in node.texts]
        others = [node for node, name in placed if name == WHERE]
        return [*pairs, (WHERE, _where(others))] if others else pairs

    def _parameters(self):
        """This will name the parameter of an address that each part of the outermost group comes to be carried by."""
        names = []
        for node in self._flat():
            alone = not isinstance(node, Group) and node.name not in names and _fits(node)
            names.append(node.name if alone else WHERE)
        return names

    def without(self, number):
        """
        This will say how an address changes where part `number` of the outermost group is left out of what it carries:
        (parameter, its text from then on, or None).
        """
        name = self._names[number]
        rest = [part for at, part in enumerate(self._root.parts) if self._names[at] == WHERE and at != number]
        return name, _where(rest) if rest and name == WHERE else None

    def _flat(self):
        return self._root.parts if isinstance(self._root, Group) and self._root.kind == "all" else [self._root]


def _condition(field, op, value):
    op, value = _several(op, field.clean(op, value))
    return Condition(field, op, value)


def _several(op, value):
    """This will give (operator, value), each value once; "one of" one is that one."""
    if not isinstance(value, list) or op == "between":
        return op, value
    values = list(dict.fromkeys(value))
    if len(values) > 1 or op not in ONE:
        return op, values if op in SEVERAL or len(values) > 1 else values[0]
    return ONE[op], values[0]


ONE = {"in": "is", "not_in": "is_not"}


def _fits(node):
    """This will tell whether a condition comes back from a parameter of its own as it went in."""
    suffix = node.name.removeprefix(node.field.key).removeprefix(".")
    return _condition(node.field, *node.field.read(suffix, node.texts)) == node


def _where(nodes):
    """This will write what must all hold as the text of `where`."""
    [only] = nodes if len(nodes) == 1 else [Group("all", nodes)]
    if len(nodes) == 1 and isinstance(only, Group) and only.kind == "all":
        only = Group("all", nodes)  # or it would be taken for the outermost one
    return json.dumps(_tree(only), ensure_ascii=False, separators=(",", ":"))


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
        value for leaf in _stored(tree) if leaf["field"] in fields for value in _held(leaf) if isinstance(value, str)
    }


def with_key(tree, fields, old, new):
    """This will give a stored tree that names the picklist key `new` wherever it named `old` for one of `fields`."""
    if "field" in tree:
        if tree["field"] not in fields or old not in _held(tree):
            return tree
        values = list(dict.fromkeys(new if value == old else value for value in _held(tree)))
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


def _held(leaf):
    value = leaf.get("value", [])
    return value if isinstance(value, list) else [value]


def check(tree, model, fields=None):
    """This will raise ConditionError unless `tree` can be asked of `model`: of `fields` alone, where they are given."""
    Conditions(tree, model).check(fields)
