"""
Whole lives in one go: the bulk twin of create, report, move, sign, terminate and of the decisions between them.

A Life is told step by step, each with its moment, and makes in memory what the verbs would have written: states by the
same transitions, events by the same comparison, approvals with their rounds and tasks. `write` then enters thousands at
once. It is for filling a database: nobody's permission is asked, and what such a past would have mailed is not queued.
A test holds it equal to the verbs, row by row.
"""

from datetime import timedelta

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.utils import timezone

from approvals.models import Act, Approval, Round, Task
from crm.moments import organisation_month, organisation_zone
from customers.models import Customer
from notices.history import Event, describe
from notices.models import Message
from opportunities.crediting import credit
from opportunities.models import (
    FollowUp,
    Opportunity,
    OpportunityContact,
    OpportunityGroupShare,
    OpportunityUserShare,
)
from opportunities.signings import Movement, Signing

UNREAD_FOR = timedelta(hours=3)  # a message is read that long after it came
ABOUT = {Approval, Task, Event, Message}  # name what they are about by its key, known once that is inserted
SHARES = {OpportunityUserShare, OpportunityGroupShare}
ORDER = (
    Approval, Round, Task, Signing, OpportunityContact, FollowUp, OpportunityUserShare, OpportunityGroupShare, Event,
    Movement, Message,
)  # fmt: skip


class Life:
    """What befell one opportunity, not yet saved, whose owner entered it at the moment `at`."""

    def __init__(self, opportunity, *, at):
        self.it = opportunity
        self.owner = opportunity.owner
        self.rows = {model: [] for model in ORDER}
        self.approval = self.round = self.task = None
        opportunity.created_at, opportunity.rate_on = at, _day(at)
        opportunity.begin()
        opportunity.stage_since = at
        opportunity.remember()
        self._happened("created", at)
        self._moved(at)

    # Steps

    def asked(self, act, *, at, approver, step, form=None, comment=""):
        """This will ask `approver` for `act` at `step`: for the first time, or again what was returned."""
        it, again = self.it, self.approval is not None
        {Act.REPORT: it._report, Act.SIGN: it._sign, Act.TERMINATE: it._terminate}[act]()
        if act != Act.REPORT:
            pipeline = it.stage.pipeline
            form = form | {"stage": (pipeline.won_stage if act == Act.SIGN else pipeline.lost_stage).pk}
        if again:
            self._close(Task.Decision.RESUBMITTED, self.owner, at, version=None)
            self.approval._reopen()
        else:
            self.approval = self._row(Approval(act=act, requester=self.owner, owner=self.owner, opened_at=at))
            self.approval.place(it.department)
        self.round = self._row(
            Round(
                approval=self.approval,
                number=self.round.number + 1 if again else 1,
                version=step.version,
                asked_by=self.owner,
                asked_at=at,
                comment=comment,
                snapshot=it.approval_snapshot(),
                form=form or {},
            )
        )
        self._put_before(approver, step, at)
        kind = "resubmitted" if again else "reported" if act == Act.REPORT else f"{act}_asked"
        self._record(kind, self.owner, at, act=act, to=describe(approver), comment=comment)

    def escalated(self, *, at, to, step, comment=""):
        """This will approve, and put the request before `to` at `step`, the next one."""
        by = self.task.holder
        self._close(Task.Decision.ESCALATED, by, at, comment)
        self._put_before(to, step, at)
        self._happened("escalated", at, by, act=self.approval.act, to=describe(to), comment=comment)

    def finished(self, *, at, comment=""):
        """This will approve for good."""
        it, by, approval = self.it, self.task.holder, self.approval
        day = _day(at)
        self._close(Task.Decision.FINISHED, by, at, comment)
        approval._grant()
        approval.month, approval.closed_at = organisation_month(day), at
        pipeline = it.stage.pipeline
        if approval.act == Act.REPORT:
            it._activate()
            it.approved_amount = it.amount
        elif approval.act == Act.SIGN:
            it._finish_signing()
            it._close(pipeline.won_stage, Signing.day(self.round.form))
            self._row(Signing.of(it, self.round.form))
        else:
            it._finish_terminating()
            it.lost_reason_id, it.closing_note = self.round.form["reason"]["id"], self.round.form["note"]
            it._close(pipeline.lost_stage, day)
        self._record("granted", by, at, act=approval.act, comment=comment)
        held = [task.holder for task in self.rows[Task] if task.approval is approval]
        self._tell([self.owner, approval.requester, *held], "granted", at, by, act=approval.act)
        self.approval = self.round = self.task = None

    def returned(self, *, at, comment):
        """This will send the request back to be revised. For requests that nobody escalated before."""
        by = self.task.holder
        self._close(Task.Decision.RETURNED, by, at, comment)
        self.approval._return()
        self.task = self._row(
            Task(
                approval=self.approval,
                round=self.round,
                kind=Task.Kind.REVISE,
                holder=self.owner,
                department=self.owner.department,
                opened_at=at,
            )
        )
        self.it._return() if self.approval.act == Act.REPORT else self.it._reopen()
        self._record("returned", by, at, act=self.approval.act, comment=comment)

    def moved(self, *, at, stage):
        """This will move an active opportunity to another open stage."""
        self.it.stage = stage
        self.it.settle()
        if self.it.changes():
            self._record("moved", self.owner, at)

    def voided(self, *, at, reason):
        """This will end a draft for good."""
        self.it._void()
        self.it.closed_on = _day(at)
        self.it.closing_note = reason
        self._record("voided", self.owner, at)

    def followed_up(self, *, at, kind, content, contact=None, next_at=None):
        """
        This will add a follow-up by the owner: done where `at` has passed, else planned; entered then, or now. With
        it the next one is planned where `next_at` is given.
        """
        now = timezone.now()
        entered = min(at, now)
        row = self._follow_up(at, at if at <= now else None, entered, kind, content, contact, None)
        if next_at:
            self._follow_up(next_at, None, entered, kind, content, contact, row)

    def shared(self, *, at, people=(), departments=(), may_edit=False):
        """This will give people and departments sight of the opportunity, or editing."""
        for person in people:
            self._row(OpportunityUserShare(user=person, content_object=self.it)).may_edit = may_edit
        for department in departments:
            self._row(OpportunityGroupShare(group_id=department.group_id, content_object=self.it)).may_edit = may_edit
        to = [describe(one) for one in (*people, *departments)]
        self._happened("shared", at, to=to, may_edit=may_edit)
        self._tell(people, "shared", at, self.owner, may_edit=may_edit)

    def contact_added(self, *, at, contact, role=""):
        """This will name a person of the customer on this opportunity."""
        first = not self.rows[OpportunityContact]
        self._row(OpportunityContact(opportunity=self.it, contact=contact, role=role, primary=first))
        self._happened("contact_added", at, contact=describe(contact), role=role)

    # What the steps are made of

    def _row(self, row):
        self.rows[type(row)].append(row)
        return row

    def _follow_up(self, at, done_at, entered, kind, content, contact, planned_in):
        it = self.it
        row = FollowUp(
            opportunity=it,
            customer=it.customer,
            contact=contact,
            kind=kind,
            content=content,
            at=at,
            done_at=done_at,
            owner=self.owner,
            planned_in=planned_in,
            created_by=self.owner,
            created_at=entered,
        )
        name, nearest = ("last_follow_up_at", max) if done_at else ("next_follow_up_at", min)
        setattr(it, name, nearest(at, getattr(it, name) or at))
        event = "follow_up_added" if done_at else "follow_up_planned"
        self._happened(event, entered, follow_up=self._row(row), type=describe(kind))
        return row

    def _put_before(self, holder, step, at):
        self.task = self._row(
            Task(
                approval=self.approval,
                round=self.round,
                step=step,
                kind=Task.Kind.DECIDE,
                holder=holder,
                department=holder.department,
                opened_at=at,
            )
        )

    def _close(self, decision, by, at, comment="", version=True):
        task = self.task
        task.decision, task.decided_by, task.closed_at, task.comment = decision, by, at, comment
        task.decided_version = self.it.version if version else None

    def _record(self, kind, by, at, **data):
        """This will do in memory what `Opportunity.record` does."""
        changes = self.it.changes()
        if "stage" in changes:
            self.it.stage_since = at
        self.it.version += 1
        self._happened(kind, at, by, changes=changes, **data)
        if Opportunity.MOVING & changes.keys():
            self._moved(at, version=self.it.version)
        self.it.remember()

    def _happened(self, kind, at, by=None, **data):
        event = self._row(self.it.event(kind, by=by or self.owner, **data))
        event.at = at

    def _moved(self, at, *, version=0):
        self._row(self.it.movement(at, version=version))

    def _tell(self, people, kind, at, by, **data):
        read_at = at + UNREAD_FOR
        for person in {person.pk: person for person in people}.values():
            if person != by and person.is_active:
                self._row(
                    Message(
                        to=person,
                        kind=kind,
                        by=by,
                        at=at,
                        title=str(self.it)[:200],
                        data=data,
                        read_at=read_at if read_at < timezone.now() else None,
                    )
                )


def _day(at):
    return timezone.localdate(at, organisation_zone())


@transaction.atomic
def write(lives, *, by):
    """This will insert what befell all of `lives`, entered by `by`; their customers are in the database."""
    Opportunity._enter([life.it for life in lives], by=by)
    about_type = ContentType.objects.get_for_model(Opportunity)
    for model in ORDER:
        rows = [row for life in lives for row in life.rows[model]]
        for life in lives if model in ABOUT else ():
            for row in life.rows[model]:
                row.about_type, row.about_id = about_type, life.it.pk
        if model in SHARES:
            granted = {may_edit: _permission(may_edit) for may_edit in {row.may_edit for row in rows}}
            for row in rows:
                row.permission = granted[row.may_edit]
        if model is Event:
            for row in rows:
                if "follow_up" in row.data:
                    row.data["follow_up"] = row.data["follow_up"].pk
        if model is FollowUp:  # a planned one names the one that it was planned in
            model._base_manager.bulk_create(row for row in rows if row.planned_in is None)
            rows = [row for row in rows if row.planned_in is not None]
        model._base_manager.bulk_create(rows)
    credit(
        signed=[row for life in lives for row in life.rows[Signing]],
        reported=[row for life in lives for row in life.rows[Approval] if row.act == Act.REPORT and row.month],
    )
    signed = {life.it.customer_id for life in lives if life.rows[Signing]}
    potential = Customer.objects.filter(pk__in=signed, status=Customer.Status.POTENTIAL)
    potential.update(status=Customer.Status.TRADING)


def _permission(may_edit):
    codename = "change_opportunity" if may_edit else "view_opportunity"
    return Permission.objects.get(codename=codename, content_type=ContentType.objects.get_for_model(Opportunity))
