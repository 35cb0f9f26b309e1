"""What waits for one person: a request to decide, or a returned one to revise; and the decisions."""

from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.contrib.contenttypes.prefetch import GenericPrefetch
from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Prefetch, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from approvals.routes import RouteVersion, Step, kinds
from crm import permissions, shown
from crm.moments import organisation_month, organisation_zone
from crm.verbs import NotAllowed, Refused, Stale, acting, locked
from notices.history import describe
from notices.models import About

WORKING_DAYS = 3  # a task that has waited longer is late


class AlreadyHandled(Refused):
    """Somebody decided this task before. `task` is the task as it is now."""

    def __init__(self, task):
        at = timezone.localtime(task.closed_at)
        today = at.date() == timezone.localdate()
        when = f"{at:%H:%M}" if today else shown.moment(task.closed_at)
        super().__init__(_("Already handled by %(name)s, %(time)s.") % {"name": task.decided_by, "time": when})
        self.task = task


def records():
    """This will give a queryset for each kind of record that approvals can be about, with what lists show of it."""
    return [model._base_manager.select_related(*model.APPROVAL_LISTED) for model in kinds()]


class TaskQuerySet(models.QuerySet):
    def open(self):
        return self.filter(closed_at=None)

    def open_for(self, user):
        """This will narrow to what waits for this person, the longest waiting first."""
        return self.open().filter(holder=user).order_by("opened_at", "id")

    def open_about(self, model, pks=None):
        """
        This will narrow to what waits about these records, by way of their approvals, which an index knows; without
        keys, about all.
        """
        about_type = ContentType.objects.get_for_model(model)
        if pks is None:
            return self.open().filter(about_type=about_type)
        unfinished = {"approval__about_type": about_type, "approval__about_id__in": pks, "approval__closed_at": None}
        return self.open().filter(**unfinished)

    def done_by(self, user):
        """This will narrow to what this person decided, resubmitted or dropped, the latest first."""
        done = [*Task.DECISIONS, Task.Decision.RESUBMITTED, Task.Decision.DROPPED, Task.Decision.VOIDED]
        return self.filter(decided_by=user, decision__in=done).order_by("-closed_at", "-id")

    def nobody_can_decide(self):
        """
        This will narrow to the open decisions whose holder is no longer able: deactivated, moved elsewhere, without
        the role, or now the owner. It is `Task.holder_is_able` asked of the database.
        """
        by_role = Exists(Step.roles.through.objects.filter(step=OuterRef("step"), role__users=OuterRef("holder")))
        by_name = Exists(Step.people.through.objects.filter(step=OuterRef("step"), user=OuterRef("holder")))
        own = Q(holder=F("approval__owner")) | Q(holder=F("approval__requester"))
        still_there = Q(holder__department=F("department"))
        able = Q(holder__is_active=True) & (Q(by_name) | (Q(by_role) & still_there)) & ~own
        able_ones = self.model.objects.open().filter(able).order_by().values("pk")
        return self.open().filter(kind=Task.Kind.DECIDE).exclude(pk__in=able_ones).order_by("opened_at", "id")

    def with_rows(self):
        """This will read along, in the same few queries for any number, what a list shows of each task."""
        returns = Task.objects.filter(decision=Task.Decision.RETURNED).select_related("decided_by")
        return self.select_related("approval__requester", "round").prefetch_related(
            GenericPrefetch("about", records()), Prefetch("approval__tasks", returns, to_attr="returns")
        )


class Task(About):
    """
    What waits for one person: a request to decide, or a returned one to revise. It is open exactly while it waits; an
    open task whose holder is no longer able stands in *Steps that nobody can decide*, and an administrator assigns
    it.
    """

    class Kind(models.TextChoices):
        DECIDE = "decide", _("Decide")
        REVISE = "revise", _("Revise")

    class Decision(models.TextChoices):
        FINISHED = "finished", _("Approved and finished")
        ESCALATED = "escalated", _("Approved and escalated")
        RETURNED = "returned", _("Returned")
        WITHDRAWN = "withdrawn", _("Withdrawn")
        RESUBMITTED = "resubmitted", _("Resubmitted")
        DROPPED = "dropped", _("Dropped")
        VOIDED = "voided", _("Voided")
        REASSIGNED = "reassigned", _("Assigned to somebody else")

    DECISIONS = (Decision.FINISHED, Decision.ESCALATED, Decision.RETURNED)
    IN_HAND = ngettext_lazy("%(count)d request to decide", "%(count)d requests to decide", "count")

    approval = models.ForeignKey("approvals.Approval", models.CASCADE, related_name="tasks")
    round = models.ForeignKey("approvals.Round", models.CASCADE, related_name="tasks", db_index=False)
    step = models.ForeignKey(Step, models.PROTECT, null=True, related_name="+", db_index=False)
    kind = models.CharField(max_length=6, choices=Kind)
    holder = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="tasks", db_index=False)
    # The holder's when they were asked. Whoever decides by role decides as somebody of that department: the task
    # stays theirs when the tree is rearranged or the record is handed over, and does not follow them into another
    # department.
    department = models.ForeignKey("crm.Department", models.PROTECT, null=True, related_name="+", db_index=False)
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)
    decision = models.CharField(max_length=11, choices=Decision, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", db_index=False
    )
    comment = models.TextField(blank=True)
    edits = models.JSONField(default=dict)  # what the holder changed before deciding: {field: [old, new]}
    decided_version = models.PositiveIntegerField(null=True)  # the record's version that the decision was about

    objects = TaskQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["holder", "about_type", "about_id"], name="task_holder_about"),
            models.Index(fields=["holder", "opened_at"], name="task_open", condition=Q(closed_at=None)),
            models.Index("decided_by", F("closed_at").desc(), name="task_done", condition=Q(closed_at__isnull=False)),
        ]
        constraints = [
            models.UniqueConstraint(fields=["approval"], condition=Q(closed_at=None), name="task_one_open"),
            models.CheckConstraint(
                condition=Q(kind="decide", step__isnull=False) | Q(kind="revise", step=None),
                name="task_step_when_deciding",
            ),
            models.CheckConstraint(
                condition=Q(closed_at=None, decision="") | (Q(closed_at__isnull=False) & ~Q(decision="")),
                name="task_closed_when_decided",
            ),
        ]

    def __str__(self):
        return f"{self.kind} {self.approval_id}"

    # Questions

    @classmethod
    def held_by(cls, person):
        """This will narrow to the decisions that wait for `person`; what they are to revise is the record's owner's."""
        return cls.objects.open().filter(holder=person, kind=cls.Kind.DECIDE)

    @property
    def is_open(self):
        return self.closed_at is None

    @property
    def is_late(self):
        """
        This will tell whether it has waited for more than three working days, as the organisation's calendar has
        them.
        """
        due = self.opened_at.astimezone(organisation_zone())
        left = WORKING_DAYS
        while left:
            left -= due.weekday() < 5
            due += timedelta(days=1)
        return self.is_open and timezone.now() > due

    @property
    def never_deciding(self):
        """This will list the ids of the two who cannot decide this request: who asked, and who is in charge now."""
        return [self.approval.requester_id, self.approval.owner_id]

    def obstacle(self):
        """
        This will say why the holder cannot decide: "", or a sentence. A closed or returned task is asked about by
        nobody.
        """
        holder, name = self.holder, {"name": self.holder}
        if not holder.is_active:
            return _("The account of %(name)s is closed.") % name
        if holder.pk == self.approval.owner_id:
            return _("%(name)s is in charge of it, and nobody decides their own request.") % name
        if holder.pk == self.approval.requester_id:
            return _("%(name)s asked for it, and nobody decides their own request.") % name
        still_there = holder.department_id is not None and holder.department_id == self.department_id
        if self.step.asks_for(holder, in_reach=still_there):
            return ""
        if not still_there:
            return _("%(name)s works in another department now.") % name
        return _("%(name)s does not hold the role any more: %(roles)s.") % {"name": holder, "roles": self.step}

    def holder_is_able(self):
        """
        This will tell whether the holder can decide: active, asked for by the step, and not their own request.
        """
        return self.kind == self.Kind.DECIDE and not self.obstacle()

    @property
    def amount(self):
        """This will give the amount that it is about: the record's while it is open, then what was decided on."""
        if self.is_open:
            return self.about.amount
        old = self.round.snapshot.get("amount")
        decided = self.edits.get("amount", [None, old])[1]
        return decided and Decimal(decided)

    @property
    def returned(self):
        """This will give the task that returned its round, as `with_rows` read it; None where it was withdrawn."""
        return next((one for one in self.approval.returns if one.round_id == self.round_id), None)

    def opening(self, *, without=()):
        """
        This will give (step, candidates) for putting the task before somebody else: its own step or, where nobody is
        left whom that asks for, the same step of the route as it is now. `without` are ids of who is no candidate.
        """
        now = RouteVersion.newest_of(self.step.version.route_id).steps.filter(order=self.step.order).first()
        for step in (self.step, now):
            people = step.candidates(self.approval, without=[*self.never_deciding, *without]) if step else []
            if people:
                return step, people
        return self.step, []

    def candidates(self):
        """This will list before whom the task can be put."""
        return self.opening()[1]

    def escalations(self, step):
        """This will list who may be asked at `step`, the next one. Nobody escalates to themselves."""
        return step.candidates(self.approval, without=[*self.never_deciding, self.holder_id])

    # Verbs

    def finish(self, *, by, seen, comment=""):
        """
        This will approve for good. Raises AlreadyHandled, Stale, NotAllowed, Refused where the step may not finish.
        """
        with self._deciding(by, seen) as (task, about):
            if not task.step.may_finish:
                raise Refused(_("This step cannot finish: escalate it, or return it."), field="decision")
            task._decide(Task.Decision.FINISHED, by=by, comment=comment, version=about.version)
            task.approval.grant(about, month=organisation_month())
            about.approval_granted(task.approval, by=by, comment=comment)

    def escalate(self, *, by, to, seen, comment=""):
        """
        This will approve and put the request before `to` at the next step. Raises as `finish`, and where there is no
        next step.
        """
        with self._deciding(by, seen) as (task, about):
            step = task.step.next
            if step is None:
                raise Refused(_("There is no next step: finish it, or return it."), field="decision")
            candidates = task.escalations(step)
            if not candidates:
                raise step.nobody(about)
            if to not in candidates:
                raise Refused(
                    _("This approver is not in the route. Choose one of those listed."), field="next_approver"
                )
            task._decide(Task.Decision.ESCALATED, by=by, comment=comment, version=about.version)
            task.approval.put_before(to, step, about, task.round, by=by)
            about.note("escalated", by=by, act=task.approval.act, to=describe(to), comment=comment)

    def return_(self, *, by, comment, seen):
        """This will send the request back to be revised. Raises as `finish`, and where no comment says why."""
        if not comment.strip():
            raise Refused(_("Write what must be mended: a return needs a comment."), field="comment")
        with self._deciding(by, seen) as (task, about):
            task._decide(Task.Decision.RETURNED, by=by, comment=comment, version=about.version)
            task.approval.put_back(about, task.round)
            about.approval_returned(task.approval, by=by, comment=comment)

    def assign(self, *, to, by):
        """
        This will put a step that its holder can no longer decide before another candidate. Raises Refused,
        NotAllowed.
        """
        with transaction.atomic():
            about = locked(self.about)
            task = self._fresh()
            with acting(by, "assign", about) as it:
                if task.kind != Task.Kind.DECIDE or task.holder_is_able():
                    raise Refused(_("This step can be decided by its holder."))
                step, people = task.opening()
                if to not in people:
                    raise Refused(_("This approver is not in the route. Choose one of those listed."), field="approver")
                task._pass_to(to, step, it, by=by)

    def hand_over(self, *, by, to=None):
        """
        This will put the decision, which its holder may still be able to take, before `to` where the step asks for
        them, and else before the first whom it asks for; it gives who. Raises AlreadyHandled, NotAllowed, Refused.
        """
        with transaction.atomic():
            about = locked(self.about)
            task = self._fresh()
            with acting(by, "assign", about) as it:
                step, people = task.opening(without=[task.holder_id])
                if not people:
                    raise Refused(
                        _("Nobody else in %(department)s or above can decide this step: it needs %(roles)s.")
                        % {"department": task.approval.department, "roles": step}
                    )
                receiver = to if to in people else people[0]
                task._pass_to(receiver, step, it, by=by)
        return receiver

    def _pass_to(self, person, step, about, *, by):
        self.close(Task.Decision.REASSIGNED, by=by)
        self.approval.put_before(person, step, about, self.round, by=by)
        about.note("assigned", by=by, act=self.approval.act, to=describe(person), instead_of=describe(self.holder))

    def note_edits(self, changes):
        """This will keep what the holder changed before deciding: the oldest old value with the newest new one."""
        for name, (old, new) in changes.items():
            first = self.edits.get(name, [old])[0]
            self.edits[name] = [first, new]
            if first == new:
                del self.edits[name]
        self.save(update_fields=["edits"])

    def close(self, decision, *, by, **values):
        """This will close the task, and be refused if somebody has: two decisions never both count."""
        mine = Task.objects.filter(pk=self.pk, closed_at=None)
        if not mine.update(decision=decision, decided_by=by, closed_at=timezone.now(), **values):
            raise AlreadyHandled(Task.objects.select_related("decided_by").get(pk=self.pk))

    def _decide(self, decision, *, by, comment, version):
        self.close(decision, by=by, comment=comment, decided_version=version)

    def _fresh(self):
        """This will read the task again, locked. Raises AlreadyHandled."""
        again = Task.objects.select_for_update(of=("self",)).select_related(
            "approval__requester", "step__version", "round", "holder"
        )
        task = again.get(pk=self.pk)
        if task.closed_at:
            raise AlreadyHandled(task)
        return task

    @contextmanager
    def _deciding(self, by, seen):
        """
        This will give (task, record), both locked and fresh: the record first, so that two decisions queue up and the
        second is told. It is crm.verbs.acting, with the task looked at between the lock and the permission.
        """
        with transaction.atomic():
            about = locked(self.about, "owner__department", "department")
            task = self._fresh()
            held = {permissions.OPEN_TASK}  # that is what the first two of these ask
            if (
                by != task.holder
                or not task.holder_is_able()
                or not permissions.permits_now(by, "decide", about, known=held)
            ):
                raise NotAllowed(_("This task is not yours to decide."))
            if seen != about.version:
                raise Stale(about)
            about.remember()
            yield task, about
