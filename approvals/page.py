"""
What the page of a task says to one reader: what is asked for, what changed since last time, and what happened so far.
"""

import re
from collections import namedtuple
from difflib import SequenceMatcher
from functools import cached_property

from django.contrib.contenttypes.models import ContentType
from django.http import Http404
from django.utils.translation import gettext as _

from approvals.models import Act, Approval, Task, changed
from crm.permissions import fetch
from notices import wording

# A field, as text, before and after. `words` is None, or the after as (mark, text) pieces: "", "del" or "ins".
Row = namedtuple("Row", ["name", "label", "old", "new", "words"])
Edits = namedtuple("Edits", ["by", "rows"])

LONG = 40  # characters; a longer text is compared word by word
MOST = 2000  # words; a longer text is not, since that takes long
WORD = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff]|[^\W\u2e80-\u9fff\uf900-\ufaff]+|\s+|[^\w\s]")


class Page:
    """
    A task as one reader sees it. Making it raises Http404 for whoever may not see the record. `to_act`, it is made for
    a decision that was sent: what only a page shows is read if that comes to be shown after all.
    """

    def __init__(self, pk, reader, verb="view", *, to_act=False):
        self.reader = reader
        self.task = Task.objects.filter(pk=pk).first()
        if self.task is None:
            raise Http404
        model = ContentType.objects.get_for_id(self.task.about_type_id).model_class()
        records = model.objects.all() if to_act else model.objects.select_related(*model.APPROVAL_JOINS)
        self.record = fetch(reader, verb, model, queryset=records, to_act=to_act, pk=self.task.about_id)
        self.task.about = self.record
        self.locked = ""  # why a returned report cannot be asked for again now
        if not to_act:
            self.read_along()

    # What is read along

    def read_along(self):
        """This will put in the task's place the one that was read with its people, round and step."""
        self.task = next(task for task in self.tasks if task.pk == self.task.pk)
        self.task.approval, self.task.about = self.approval, self.record
        if self.is_mine:
            self.task.holder = self.reader  # whose roles are known already

    @cached_property
    def approvals(self):
        return Approval.past_of(self.record)

    @cached_property
    def approval(self):
        return next(one for one in self.approvals if one.pk == self.task.approval_id)

    @cached_property
    def rounds(self):
        return {round_.pk: round_ for round_ in self.approval.rounds.all()}

    @cached_property
    def tasks(self):
        return sorted(self.approval.tasks.all(), key=lambda task: task.pk)

    @cached_property
    def round(self):
        return self.rounds[self.task.round_id]

    # Whose it is

    @property
    def is_mine(self):
        return self.task.holder_id == self.reader.pk

    @cached_property
    def obstacle(self):
        """This will say why the holder of an open decision cannot decide it, or ""."""
        return self.task.obstacle() if self.task.is_open and self.task.kind == Task.Kind.DECIDE else ""

    @property
    def may_decide(self):
        return self.task.is_open and self.is_mine and self.task.kind == Task.Kind.DECIDE and not self.obstacle

    @property
    def may_revise(self):
        return self.task.is_open and self.is_mine and self.task.kind == Task.Kind.REVISE

    @cached_property
    def waiting(self):
        """This will list what waits for the reader, the longest waiting first: (since, id, kind of record, its id)."""
        waiting = Task.objects.open_for(self.reader)
        return list(waiting.values_list("opened_at", "pk", "about_type", "about_id"))

    @property
    def _here(self):
        return self.task.opened_at, self.task.pk

    @cached_property
    def place(self):
        """This will give the number of this task among the waiting ones, from 1, or None."""
        return next((number for number, one in enumerate(self.waiting, 1) if one[:2] == self._here), None)

    @property
    def before(self):
        """This will give the id of the task before this one, or None."""
        return next((one[1] for one in reversed(self.waiting) if self.place and one[:2] < self._here), None)

    @property
    def after(self):
        return next((one[1] for one in self.waiting if self.place and one[:2] > self._here), None)

    @cached_property
    def _then(self):
        others = [one for one in self.waiting if one[:2] != self._here]
        return next((one for one in others if one[:2] > self._here), others[0] if others else None)

    @property
    def then(self):
        """
        This will give the id of the task to do after this one: the next, or from the last the first; None where
        nothing else waits.
        """
        return self._then and self._then[1]

    @cached_property
    def then_record(self):
        return self._then and ContentType.objects.get_for_id(self._then[2]).get_object_for_this_type(pk=self._then[3])

    @cached_property
    def addresses(self):
        """This will give where the record is changed, the request asked for again, dropped, or the record made void."""
        pages = self.record.approval_pages()
        return pages | {"ask": pages.get(self.approval.act)}

    # What it says

    @cached_property
    def own_edits(self):
        """
        This will give what approvers changed in this round, up to this task: {field: [as it was asked, as it is]}.
        """
        merged = {}
        for task in self._so_far:
            for name, (old, new) in task.edits.items():
                merged[name] = [merged.get(name, [old])[0], new]
        return merged

    @property
    def _so_far(self):
        return [task for task in self._tasks_of(self.round) if task.pk <= self.task.pk]

    @cached_property
    def values(self):
        """This will give the record's values that the decision is, or was, about."""
        if self.task.is_open:
            return self.record.approval_snapshot()
        return self._with(self.round.snapshot, 1)

    @cached_property
    def form(self):
        return self.round.form if self.task.is_open else self._with(self.round.form, 1)

    def _with(self, values, side):
        """This will give `values` as they were without (0) or with (1) what approvers changed."""
        edits = {name: sides[side] for name, sides in self.own_edits.items() if name in values}
        return values | edits

    @cached_property
    def shown(self):
        """This will give each value, worded: {name: Row}."""
        return {row.name: row for row in self._rows({}, self.values)}

    @cached_property
    def keys(self):
        """This will list the values that head the page: (the value, what it was in the round before, a remark)."""
        before = {row.name: row.old for row in self.changes}
        remarks = self.record.approval_remarks()
        keys = [name for name in self.record.APPROVAL_KEYS if name in self.shown]
        return [(self.shown[name], before.get(name), remarks.get(name)) for name in keys]

    @property
    def rest(self):
        """This will list the values that stand nowhere else on the page."""
        elsewhere = {*self.record.APPROVAL_KEYS, "name", *(row.name for row in self.changes)}
        return [row for row in self.shown.values() if row.new and row.name not in elsewhere]

    @property
    def asked(self):
        """This will list what was asked for beyond the record itself: a signing's figures, or why to terminate."""
        return wording.changes(self.record.approval_asked(self.approval.act, self.form))

    @property
    def answered(self):
        """This will list (question, answer) of the review that came with the request."""
        return self.record.approval_answered(self.form)

    @cached_property
    def last_round(self):
        """This will give the round before this one, or None."""
        return next((one for one in self.rounds.values() if one.number == self.round.number - 1), None)

    @property
    def returned(self):
        """This will give the task that ended the round before by returning it; None where it was withdrawn."""
        return self._return_of(self.last_round) if self.last_round else None

    @property
    def sent_back(self):
        """This will give, for a task to revise, the task that returned the request; None where it was withdrawn."""
        return self._return_of(self.round)

    def _tasks_of(self, round_):
        return [task for task in self.tasks if task.round_id == round_.pk]

    def _return_of(self, round_):
        returns = (task for task in self._tasks_of(round_) if task.decision == Task.Decision.RETURNED)
        return next(returns, None)

    @cached_property
    def changes(self):
        """
        This will list what was changed since the request was last sent back. What approvers changed themselves stands
        apart.
        """
        if self.task.kind == Task.Kind.REVISE:
            return self._rows(self.round.values(self._tasks_of(self.round)), self.values)
        if self.last_round is None:
            return []
        before = self.last_round.values(self._tasks_of(self.last_round))
        rows = self._rows(before, self._with(self.values, 0))
        return rows + self._asked_rows(self.last_round.form, self._with(self.form, 0))

    @property
    def since(self):
        """This will name what the changes are counted from; "" where there is nothing before."""
        if self.task.kind == Task.Kind.REVISE:
            return _("As it was returned") if self.task.is_open else ""
        return _("Round %(number)d") % {"number": self.last_round.number} if self.last_round else ""

    @property
    def record_kind(self):
        return self.record._meta.model_name

    @property
    def rest_heading(self):
        return _("The rest of the report") if self.approval.act == Act.REPORT else _("The opportunity")

    @property
    def fields(self):
        """This will count what could have changed."""
        return len(self.values) + len(self.asked)

    @property
    def edits(self):
        """This will list what approvers changed before deciding, as Edits(by, rows)."""
        found = []
        for task in self._so_far:
            then = {name: old for name, (old, _new) in task.edits.items()}
            now = {name: new for name, (_old, new) in task.edits.items()}
            values = {name: value for name, value in now.items() if name in self.round.snapshot}
            rows = self._rows(then, values) + self._asked_rows(self.form | then, self.form | now)
            if rows:
                found.append(Edits(task.holder, rows))
        return found

    def _rows(self, then, now):
        """This will word what differs, in the record's own order: one of the databases forgets that of JSON."""
        names = [name for name in self.record.approval_snapshot() if name in now]
        sides = {name: [then.get(name), now[name]] for name in names if changed(then.get(name), now[name])}
        worded = {name: self.record.event("changed", by=None, changes={name: pair}) for name, pair in sides.items()}
        return [_row(name, *wording.changes(event)[0]) for name, event in worded.items()]

    def _asked_rows(self, then, now):
        if not then or not now:
            return []
        both = (wording.changes(self.record.approval_asked(self.approval.act, form)) for form in (then, now))
        return [_row("", new.label, old.new, new.new) for old, new in zip(*both, strict=True) if old.new != new.new]

    @cached_property
    def neighbours(self):
        """This will list other open records that bear on the decision, as far as the reader may see them."""
        return list(self.record.approval_neighbours(self.reader)[:5])

    @property
    def confided(self):
        """This will list what only the holder of the task is told, in words."""
        return self.record.approval_confided(self.task) if self.is_mine else []

    @property
    def entries(self):
        """This will list what happened in this and in earlier approvals of the record, the latest first."""
        return [entry for approval in self.approvals for entry in approval.entries()]

    @cached_property
    def chain(self):
        return self.approval.chain()

    @property
    def role(self):
        """This will name the role in which the holder of the open task decides it."""
        return self.task.step.role_of(self.task.holder) if self.task.step else ""

    # What can be done

    @cached_property
    def next_step(self):
        """This will give the step that escalating leads to, or None."""
        return next((link.step for link in self.chain if link.what == "ahead"), None)

    @cached_property
    def next_approvers(self):
        return self.task.escalations(self.next_step) if self.next_step else []

    @property
    def expected(self):
        """This will give the one to whom escalating leads, where there is only one."""
        return self.next_approvers[0] if len(self.next_approvers) == 1 else None


def _row(name, label, old, new):
    long = max(len(old), len(new)) > LONG
    return Row(name, label, old, new, words(old, new) if long and old and new else None)


def words(old, new):
    """
    This will give `new` as pieces (mark, text), what was taken from `old` marked "del", what was added "ins"; or
    None.
    """
    before, after = WORD.findall(old), WORD.findall(new)
    if max(len(before), len(after)) > MOST:
        return None
    pieces, gone, come = [], "", ""
    for kind, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        same = "".join(after[k:m])
        if kind == "equal" and (re.search(r"\w", same) or not (gone or come)):
            pieces += [("del", gone), ("ins", come), ("", same)]
            gone = come = ""
        else:  # a space or a stop between two changes belongs to both
            gone += "".join(before[i:j])
            come += same
    return [piece for piece in [*pieces, ("del", gone), ("ins", come)] if piece[1]]
