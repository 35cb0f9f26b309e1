"""
Who must say yes: approvals and their rounds. Routes and tasks have modules of their own, and can be had from here.

An approval is about a record of any kind. The record keeps these promises, and is spoken to by nothing else:

    owner, department, name, number         whom and what it is about
    customer, amount, currency              what a list shows of it
    get_absolute_url()                      its page
    approval_snapshot()                     its values as the approver sees them, described (`notices.models.describe`)
    APPROVAL_CORE                           the names in that snapshot whose change sends a new round to the first step
    APPROVAL_KEYS                           the names in it that head a task's page
    APPROVAL_JOINS                          the relations that snapshot reads
    APPROVAL_LISTED                         those that lists read
    approval_asked(act, form)               what was asked for beside its own values: an event that is not saved
    approval_answered(form)                 what the request answers to the questions of its review: (question, answer)
    approval_neighbours(user)               other open records that bear on the decision and that this reader may see
    approval_pages()                        where it is changed, asked for again, made void or dropped: {verb: address}
    report(by=, approver=, comment=, seen=) asks for a report again; the other acts have pages of their own
    approval_put_before(task)                    it waits for somebody new
    approval_confided(task)                      what only the holder of that task is told, in words
    approval_granted(approval, by=, comment=)    the last step said yes
    approval_returned(approval, by=, comment=)   a step said no, with what to mend
"""

from collections import namedtuple
from dataclasses import dataclass, field
from itertools import groupby

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from approvals.done import DoneTask
from approvals.lifecycle import Lifecycle
from approvals.routes import Act, Route, RouteVersion, Step
from approvals.tasks import AlreadyHandled, Task
from crm.models import AtDepartment
from crm.prepared import prepared
from crm.verbs import Refused
from notices.models import About, Delivery

__all__ = ["Act", "AlreadyHandled", "Approval", "DoneTask", "Plan", "Round", "Route", "RouteVersion", "Step", "Task"]

# One line of an approval's history. `kind` is "asked" or a Task.Decision, `to` the person it went to, if any; `task` is
# what was decided, or put before somebody.
Entry = namedtuple("Entry", ["kind", "who", "to", "at", "comment", "task", "round", "approval"])

# One person of a chain. `kind` is the mark: did, now, next, maybe, back-to. Of steps ahead there is no person yet.
Link = namedtuple("Link", ["kind", "what", "person", "step", "at", "round"], defaults=[None] * 4)


@dataclass
class Plan:
    """
    What asking now would do: the version and step it starts at, who may be asked, and which steps are carried over.
    """

    version: RouteVersion
    step: Step
    candidates: list
    carried: list = field(default_factory=list)  # tasks of earlier rounds whose yes still counts


class ApprovalQuerySet(models.QuerySet):
    def about(self, record):
        return self.filter(about_type=ContentType.objects.get_for_model(record), about_id=record.pk)

    def unfinished(self):
        return self.filter(closed_at=None)

    def granted(self, act):
        return self.filter(act=act, month__isnull=False)  # as the indexes know them


class Approval(Lifecycle, About, AtDepartment):
    """
    One request for one act on one record, through all its rounds. A returned request stays unfinished: its requester
    has it to revise. `owner` and the department are those of the record, and once granted, those that the ranking
    credits.
    """

    act = models.CharField(max_length=10, choices=Act)
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)
    month = models.DateField(null=True)  # of the grant: the first day of the organisation's month

    objects = ApprovalQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index("about_type", "about_id", F("id").desc(), name="approval_about"),
            *(  # what somebody whose scope ends there sees of a month
                models.Index(
                    fields=["act", "month", column, "owner", "about_type", "about_id"],
                    name=f"approval_{column}",
                    condition=Q(month__isnull=False),
                )
                for column in ("province", "city")
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["about_type", "about_id"], condition=Q(closed_at=None), name="approval_one_open"
            ),
            models.CheckConstraint(
                condition=Q(state="granted", month__isnull=False) | (~Q(state="granted") & Q(month=None)),
                name="approval_month_when_granted",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "returned"], closed_at=None)
                | (~Q(state__in=["open", "returned"]) & Q(closed_at__isnull=False)),
                name="approval_closed_when_ended",
            ),
        ]

    def __str__(self):
        return f"{self.get_act_display()} {self.about_id}"

    # Questions

    @property
    def last_round(self):
        return self.rounds.select_related("version").order_by("-number").first()

    @property
    def open_task(self):
        return self.tasks.filter(closed_at=None).select_related("holder", "step", "round").first()

    @property
    def last_return(self):
        """This will give the task that returned the request last, in whatever round, or None."""
        tasks = self.tasks.filter(decision=Task.Decision.RETURNED)
        return tasks.select_related("holder__department", "step__version", "round__version").order_by("id").last()

    @property
    def was_decided(self):
        """This will tell whether anybody has decided in the present round; a request can be withdrawn until then."""
        return self.tasks.filter(round=self.last_round, decision__in=Task.DECISIONS).exists()

    @property
    def approved_by(self):
        """This will list those whose yes counts in the present round, carried over or of this round."""
        last = self.last_round
        yes = Q(round=last, decision=Task.Decision.ESCALATED) | Q(pk__in=last.carried)
        return [task.holder for task in self.tasks.filter(yes).select_related("holder")]

    @classmethod
    def past_of(cls, record):
        """
        This will list the approvals about `record`, the newest first, with their rounds, tasks and people read along:
        in one query, since each round has a task.
        """
        found = _tasks_about(ContentType.objects.get_for_model(record).pk, record.pk)
        tasks = sorted(found, key=lambda task: (task.approval_id, task.pk))
        approvals = []
        for approval, of_it in groupby(tasks, key=lambda task: task.approval):
            of_it = list(of_it)
            approval._prefetched_objects_cache = {"tasks": approval.tasks.all(), "rounds": approval.rounds.all()}
            approval.tasks.all()._result_cache = of_it
            approval.rounds.all()._result_cache = list({task.round_id: task.round for task in of_it}.values())
            approvals.append(approval)
        return approvals[::-1]

    @classmethod
    def plan(cls, about, act, *, by):
        """
        This will work out what asking for `act` now would do. A returned request starts at the step that returned it,
        with the person who did if still able; at the first step where the core of the record changed or another route
        matches. Raises Refused where no route fits or nobody can decide.
        """
        return cls._plan(about, act, cls._unfinished_of(about), by=by)

    @classmethod
    def _unfinished_of(cls, about):
        return cls.objects.about(about).unfinished().first() if about.pk else None

    @classmethod
    def _plan(cls, about, act, approval, *, by):
        version = RouteVersion.of(about, act)
        if version is None:
            raise Refused(
                _("No approval route fits %(act)s in %(department)s. Ask an administrator.")
                % {"act": Act(act).label, "department": about.department},
                field="approver",
            )
        if approval is not None and approval.act != act:
            raise Refused(
                _("A request to %(act)s is still on your desk: resubmit it or drop it first.")
                % {"act": approval.get_act_display().lower()},
                field="approver",
            )
        without = [by.pk, about.owner_id]
        returned = approval and approval.last_return
        step = returned and approval._step_again(version, returned, about)
        carried = approval._carried(step) if step else []
        step = step or version.first_step
        if returned and step.order == returned.step.order and step.may_decide_again(returned.holder, about, without):
            return Plan(version, step, [returned.holder], carried)
        people = step.candidates(about, without=without)
        if not people:
            raise step.nobody(about)
        return Plan(version, step, people, carried)

    def _step_again(self, version, returned, about):
        """
        This will give the step of `version` at which a request that `returned` sent back starts again, or None for
        the first: where the core of the record changed since, the route is another, or the steps so far ask for
        others than they did.
        """
        if version.route_id != returned.round.version.route_id or self._core_changed(returned.round, about):
            return None
        so_far = Q(order__lte=returned.step.order)
        then, now = (
            list(one.steps.filter(so_far).prefetch_related("roles", "people"))
            for one in (returned.step.version, version)
        )
        return now[-1] if [step.asks() for step in then] == [step.asks() for step in now] else None

    def _core_changed(self, round_, about):
        then, now = round_.values(), about.approval_snapshot()
        return any(changed(then.get(name), now.get(name)) for name in about.APPROVAL_CORE)

    def _carried(self, step):
        """This will list the newest approval of each step before `step`."""
        approved = self.tasks.filter(decision=Task.Decision.ESCALATED, step__order__lt=step.order).select_related(
            "step"
        )
        return list({task.step.order: task for task in approved.order_by("id")}.values())

    def entries(self):
        """This will give what happened, the latest first."""
        told = []
        tasks = sorted(self.tasks.all(), key=lambda task: task.pk)
        for round_ in self.rounds.all():
            of_round = [task for task in tasks if task.round_id == round_.pk]
            first = of_round[0]
            told.append(
                Entry("asked", round_.asked_by, first.holder, round_.asked_at, round_.comment, first, round_, self)
            )
            for task, following in zip(of_round, [*of_round[1:], None], strict=True):
                if task.is_open or task.decision == Task.Decision.RESUBMITTED:  # the next round says that
                    continue
                passed_on = task.decision in (Task.Decision.ESCALATED, Task.Decision.REASSIGNED)
                to = following.holder if passed_on else None
                told.append(Entry(task.decision, task.decided_by, to, task.closed_at, task.comment, task, round_, self))
        return told[::-1]

    def chain(self):
        """
        This will give the chain of the present round: who asked, who said what, whom it waits for, and the steps
        ahead.
        """
        last = max(self.rounds.all(), key=lambda round_: round_.number)
        tasks = sorted(self.tasks.all(), key=lambda task: task.pk)
        links = [Link("did", "asked", last.asked_by, at=last.asked_at, round=last)]
        carried = [task for task in tasks if task.pk in last.carried]
        links += [Link("did", "carried", task.holder, task.step, task.closed_at, task.round) for task in carried]
        of_round = [task for task in tasks if task.round_id == last.pk]
        marks = {Task.Decision.ESCALATED: "did", Task.Decision.FINISHED: "did", Task.Decision.RETURNED: "back-to"}
        for task in of_round:
            if task.decision in marks:
                links.append(Link(marks[task.decision], task.decision, task.holder, task.step, task.closed_at, last))
            elif task.is_open:
                step, *later = self._from(task.step) if task.kind == Task.Kind.DECIDE else [None]
                links.append(Link("now", task.kind, task.holder, step, task.opened_at, last))
                links += self._ahead(step, later)
        return links

    @staticmethod
    def _from(step):
        return Step.with_names(step.version.steps.filter(order__gte=step.order))

    @staticmethod
    def _ahead(step, later):
        sure = step is not None and not step.may_finish
        for following in later:
            yield Link("next" if sure else "maybe", "ahead", step=following)
            sure = sure and not following.may_finish

    # Verbs, called by the record's own inside their transaction

    @classmethod
    def ask(cls, about, act, *, by, approver, form=None, comment="", anew=False):
        """
        This will ask `approver` for `act`: a new approval, or the next round of a returned one; it gives the round.
        `form` is what was asked for, kept until it is granted (JSON). Who knows that no approval of the record is
        unfinished says `anew`, and none is looked for. Raises Refused, with field "approver" where that choice is not
        in the route.
        """
        approval, last = None if anew else cls._unfinished_of(about), None
        plan = cls._plan(about, act, approval, by=by)
        if approver not in plan.candidates:
            raise Refused(_("This approver is not in the route. Choose one of those listed."), field="approver")
        approver = plan.candidates[plan.candidates.index(approver)]  # read with the department
        if approval is None:
            approval = cls(about=about, act=act)
        elif approval.state != cls.State.RETURNED:
            raise Refused(_("This is being approved already."))
        else:
            approval.open_task.close(Task.Decision.RESUBMITTED, by=by)
            approval._reopen()
            last = approval.last_round
        approval.requester = by
        approval.owner = about.owner
        approval.place(about.department)
        approval.save()
        round_ = approval.rounds.create(
            number=last.number + 1 if last else 1,
            version=plan.version,
            asked_by=by,
            comment=comment,
            snapshot=about.approval_snapshot(),
            form=form or {},
            carried=[task.pk for task in plan.carried],
        )
        approval.put_before(approver, plan.step, about, round_, by=by)
        return round_

    def withdraw(self, about, *, by):
        """
        This will take the request back; a revised report or a signing stays on the requester's desk. Raises Refused
        once decided.
        """
        if self.state != self.State.OPEN:
            raise Refused(_("Nothing is being approved."))
        if self.was_decided:
            raise Refused(_("Somebody has decided already, so this can no longer be withdrawn."))
        self.open_task.close(Task.Decision.WITHDRAWN, by=by)
        if self.act == Act.REPORT and self.last_round.number == 1:
            self._withdraw()
            self._end()
        else:
            self.put_back(about, self.last_round)

    def drop(self, *, by, decision=None):
        """This will end a returned request for good."""
        if self.state != self.State.RETURNED:
            raise Refused(_("Only a returned request can be dropped."))
        self.open_task.close(decision or Task.Decision.DROPPED, by=by)
        self._drop()
        self._end()

    def hand_over(self, about, *, by):
        """
        This will follow the record to its new owner: what is returned is now theirs to revise. What is being decided
        goes on with whoever has it.
        """
        self.owner = about.owner
        self.place(about.department)
        self.save()
        task = self.open_task
        if task is not None and task.kind == Task.Kind.REVISE and task.holder != about.owner:
            task.close(Task.Decision.REASSIGNED, by=by)
            self._to_revise(about, task.round)

    # Parts of the verbs of tasks

    def put_before(self, holder, step, about, round_, *, by):
        """This will make the request wait for `holder` at `step`, and queue the mail that says so."""
        task = self.tasks.create(
            round=round_,
            step=step,
            kind=Task.Kind.DECIDE,
            holder=holder,
            department=holder.department,
            about_type_id=self.about_type_id,
            about_id=self.about_id,
        )
        Delivery.queue([(holder, "task")], about, by=by, act=self.act, task=task.pk)
        about.approval_put_before(task)
        return task

    def put_back(self, about, round_):
        """This will return the request to whoever is in charge of the record."""
        self._return()
        self.save()
        self._to_revise(about, round_)

    def grant(self, about, *, month):
        """This will end the request as granted, credited to whoever is in charge of the record now."""
        self.owner = about.owner
        self.place(about.department)
        self._grant()
        self.month = month
        self._end()

    def _to_revise(self, about, round_):
        self.tasks.create(
            round=round_,
            kind=Task.Kind.REVISE,
            holder=about.owner,
            department=about.owner.department,
            about_type_id=self.about_type_id,
            about_id=self.about_id,
        )

    def _end(self):
        self.closed_at = timezone.now()
        self.save()


class Round(models.Model):
    """One asking: what the record said then (`snapshot`), what was asked for (`form`), and the version it runs from."""

    approval = models.ForeignKey(Approval, models.CASCADE, related_name="rounds")
    number = models.PositiveSmallIntegerField()
    version = models.ForeignKey(RouteVersion, models.PROTECT, related_name="+", db_index=False)
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    asked_at = models.DateTimeField(default=timezone.now)
    comment = models.TextField(blank=True)
    snapshot = models.JSONField(default=dict)
    form = models.JSONField(default=dict)
    carried = models.JSONField(default=list)  # tasks of earlier rounds whose yes still counts

    class Meta:
        ordering = ["approval", "number"]
        constraints = [models.UniqueConstraint(fields=["approval", "number"], name="round_number")]

    def __str__(self):
        return f"{self.approval}, {self.number}"

    def values(self, tasks=None):
        """
        This will give the record's values at the end of the round: as asked, with what its approvers changed. `tasks`
        are those of the round, where they were read before.
        """
        values = dict(self.snapshot)
        for task in sorted(self.tasks.all() if tasks is None else tasks, key=lambda task: task.pk):
            values |= {name: new for name, (_old, new) in task.edits.items() if name in values}
        return values


def changed(old, new):
    """This will tell whether two described values differ; a record that was only renamed is the same."""
    both_records = isinstance(old, dict) and isinstance(new, dict)
    return old["id"] != new["id"] if both_records else old != new


@prepared
def _tasks_about(about_type, about_id):
    """Without an order: to name one among so many columns costs Django more than sorting the rows."""
    people = [f"approval__{name}" for name in ("requester", "owner", "department")]
    joined = Task.objects.select_related(*people, "round__asked_by", "holder", "decided_by", "step__version")
    return joined.filter(approval__about_type=about_type, approval__about_id=about_id).order_by()
