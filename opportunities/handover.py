"""
Handover: what somebody has in hand goes to others, all of it or some kinds; one record after the other, each by its own
verb and in its own transaction, so that one refusal does not stop the rest.

It is a job of the worker. What has moved is in nobody's hand any more who leaves, so a handover that was broken off, or
asked for again, goes on with what is left. Nothing is reset, and what was credited to somebody stays theirs.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from approvals.models import RouteVersion, Task
from crm.jobs import Job
from crm.models import Audit, User
from crm.permissions import allows
from crm.verbs import NotAllowed, Refused, locked, whole
from customers.models import Customer
from notices.history import describe
from notices.models import Message
from opportunities.models import FollowUp, Opportunity
from opportunities.shares import OpportunityUserShare

SHOWN = 20  # records of a kind that the summary links; of the others it keeps the count
REFUSALS = 500  # that it keeps the reasons of
CHUNK = 100


@dataclass(frozen=True)
class Kind:
    """One kind of work: `move(record, leaver, to, by)` hands one record over and gives whose it is now."""

    key: str
    label: str
    model: type
    move: Callable
    of: Callable  # gives what its line in a list names and links

    def held_by(self, person):
        return self.model.held_by(person).order_by("pk")


def _route(version, leaver, to, by):
    version.route.name_instead(leaver=leaver, to=to, by=by)
    return to


def _opportunity(opportunity, leaver, to, by):
    """This will put `to` in charge; where they were to decide about it, somebody else is asked now, if anybody is."""
    with whole():
        opportunity.transfer(to=to, by=by, tell=False)
        task = opportunity.open_task
        theirs = task is not None and task.kind == Task.Kind.DECIDE and task.holder_id == to.pk
        if theirs and task.opening(without=[to.pk])[1]:
            task.hand_over(by=by)
    return to


def _customer(customer, leaver, to, by):
    customer.transfer(to=to, by=by, tell=False)
    return to


def _task(task, leaver, to, by):
    return task.hand_over(to=to, by=by)


def _follow_up(follow_up, leaver, to, by):
    return follow_up.hand_over(to=to, by=by)


def _share(share, leaver, to, by):
    """This will give `to` the sight that `leaver` had, where it is more than they have already, and end that one."""
    opportunity, may_edit = share.content_object, share.permission.codename == "change_opportunity"
    with whole():
        has = opportunity.user_shares.filter(user=to).exists() and not may_edit
        if to.pk != opportunity.owner_id and not has:
            opportunity.share(by=by, people=[to], may_edit=may_edit)
        opportunity.unshare(by=by, person=leaver)
    return to


def _itself(record):
    return record


def _about(record):
    return record.about


# In the order in which they are handed over: whom a route names is asked first where a task needs another holder, who
# is in charge needs no share, and whoever has one sees what a follow-up is about.
KINDS = [
    Kind("routes", _("Approval routes that name them"), RouteVersion, _route, _itself),
    Kind("opportunities", _("Open opportunities"), Opportunity, _opportunity, _itself),
    Kind("customers", _("Customers with their contacts"), Customer, _customer, _itself),
    Kind("tasks", _("Requests to decide"), Task, _task, _about),
    Kind("shares", _("Shared with them"), OpportunityUserShare, _share, lambda share: share.content_object),
    Kind("follow_ups", _("Planned follow-ups"), FollowUp, _follow_up, _about),
]


def listed(kind, record):
    """This will give {"label", "url"} of a record, as the lists before and after show it."""
    about = kind.of(record)
    if isinstance(about, RouteVersion):
        return {"label": str(about.route), "url": reverse("admin:approvals_route_change", args=[about.route_id])}
    return {"label": str(about), "url": about.get_absolute_url()}


def running(leaver):
    """This will give the handover of `leaver` that has not ended, or None."""
    return of(leaver).filter(finished_at=None).first()


def of(leaver):
    """This will narrow to the handovers of one person."""
    return Job.objects.filter(kind="handover", arguments__leaver=leaver.pk)


@transaction.atomic
def start(leaver, *, to, by):
    """
    This will ask the worker to hand over what `leaver` has in hand: `to` names a receiver for each kind that goes, by
    the kind's key. It gives the job. Raises NotAllowed, Refused.
    """
    if not allows(by, "administer"):
        raise NotAllowed()
    locked(leaver)  # of two who ask at once, the second is told
    if running(leaver):
        raise Refused(_("A handover of %(name)s is under way already.") % {"name": leaver})
    for receiver in to.values():
        _check(receiver, leaver)
    if not any(kind.held_by(leaver).exists() for kind in KINDS if kind.key in to):
        raise Refused(_("%(name)s has nothing of this in hand.") % {"name": leaver})
    return Job.enqueue("handover", by=by, leaver=leaver.pk, to={key: receiver.pk for key, receiver in to.items()})


def _check(receiver, leaver):
    if receiver == leaver:
        raise Refused(_("Choose somebody else: this is who hands over."), field="to")
    if not receiver.is_active or receiver.department_id is None:
        raise Refused(_("%(name)s cannot be put in charge.") % {"name": receiver}, field="to")


class Handover:
    """One attempt of the job. Its result keeps how many of each kind moved, and some of them to be shown."""

    def __init__(self, job):
        self.job = job
        self.by = None  # whoever asked for it, as they are now: see _check_rights
        self.leaver = User.objects.get(pk=job.arguments["leaver"])
        self.refused = []
        if "moved" not in job.result:
            job.keep(moved={}, shown={}, told={})

    def run(self):
        """This will hand over, tell each receiver, and write the audit. Raises NotAllowed."""
        kinds = [kind for kind in KINDS if kind.key in self.job.arguments["to"]]
        self.done = sum(self.job.result["moved"].values())
        self.whole = self.done + sum(kind.held_by(self.leaver).count() for kind in kinds)
        for kind in kinds:
            self._hand_over(kind)
        self._check_rights()
        with transaction.atomic():
            self._end()
            self.job.keep(told={}, refused=self.refused[:REFUSALS], refusals=len(self.refused))

    def _hand_over(self, kind):
        last = 0
        while chunk := list(kind.held_by(self.leaver).filter(pk__gt=last)[:CHUNK]):
            self._check_rights()
            to = User.objects.select_related("department").get(pk=self.job.arguments["to"][kind.key])
            for record in chunk:
                self._move(kind, record, to)
                self.job.progress(self.done, of=self.whole, note=kind.label)
                self.job.checkpoint()
            last = chunk[-1].pk

    def _check_rights(self):
        """This will end the job where its owner, who may have lost the role since, is no administrator any more."""
        self.by = User.objects.get(pk=self.job.owner_id)
        if not allows(self.by, "administer"):
            raise NotAllowed()

    def _move(self, kind, record, to):
        line, before = listed(kind, record), self.job.result
        try:
            with whole():
                if not kind.held_by(self.leaver).filter(pk=record.pk).exists():
                    return  # it went along with another, or somebody was faster
                receiver = kind.move(record, self.leaver, to, self.by)
                self.job.keep(**self._counted(kind, kind.of(record), line | {"to": str(receiver)}, receiver))
        except Refused as reason:
            self.job.result = before
            self.refused.append(line | {"kind": str(kind.label), "why": str(reason.message)})
        self.done += 1

    def _counted(self, kind, about, line, receiver):
        result = self.job.result
        moved = result["moved"] | {kind.key: result["moved"].get(kind.key, 0) + 1}
        lines = result["shown"].get(kind.key, [])
        shown = result["shown"] | ({kind.key: [*lines, line]} if len(lines) < SHOWN else {})
        told = dict(result["told"])
        if isinstance(about, Opportunity | Customer):
            first, count = told.get(str(receiver.pk), ([about._meta.label, about.pk], 0))
            told[str(receiver.pk)] = (first, count + 1)
        return {"moved": moved, "shown": shown, "told": told}

    def _end(self):
        models = {model._meta.label: model for model in (Opportunity, Customer)}
        receivers = User.objects.in_bulk(self.job.result["told"])
        for key, ((label, pk), count) in self.job.result["told"].items():
            first = models[label].objects.filter(pk=pk).first()
            if first is not None:
                told = {"leaver": describe(self.leaver), "count": count}
                Message.tell([receivers[int(key)]], "handed_over", first, by=self.by, **told)
        Audit.note(
            "handed_over",
            by=self.by,
            user=self.leaver.username,
            to={key: User.objects.get(pk=pk).username for key, pk in self.job.arguments["to"].items()},
            moved=self.job.result["moved"],
            refused=len(self.refused),
            job=self.job.pk,
        )
