"""What must hold of approvals: a task is open exactly while its step waits for that person."""

from django.db.models import Count, Exists, OuterRef, Q
from django.utils import timezone

from approvals.models import Approval, Round, Task
from crm.moments import organisation_month
from crm.organisation import Organisation
from crm.verification import each


def differences():
    """This will give a sentence for each thing that is not as it must be."""
    open_tasks = Count("tasks", filter=Q(tasks__closed_at=None))
    deciding = Count("tasks", filter=Q(tasks__closed_at=None, tasks__kind=Task.Kind.DECIDE))
    counted = Approval.objects.annotate(open_tasks=open_tasks, deciding=deciding).order_by()
    yield from each(
        counted.filter(state="open").exclude(open_tasks=1, deciding=1), "waits, and not for exactly one decision"
    )
    yield from each(
        counted.filter(state="returned").exclude(open_tasks=1, deciding=0),
        "is returned, and not for one person to revise",
    )
    yield from each(counted.filter(closed_at__isnull=False, open_tasks__gt=0), "has ended, and a task is still open")

    finished = Task.objects.filter(approval=OuterRef("pk"), decision=Task.Decision.FINISHED)
    yield from each(
        Approval.objects.filter(Exists(finished)).exclude(state="granted"), "was finished, and is not approved"
    )
    yield from each(Approval.objects.filter(~Exists(finished), state="granted"), "is approved, and nobody finished it")
    yield from each(Approval.objects.filter(~Exists(Round.objects.filter(approval=OuterRef("pk")))), "has no round")
    decided = Task.objects.filter(decision__in=Task.DECISIONS)
    yield from each(decided.filter(decided_by=None), "is decided, by nobody")
    yield from each(decided.filter(decision=Task.Decision.RETURNED, comment=""), "is returned, and no comment says why")
    organisation = Organisation.read()
    for pk, month, closed_at in (
        Approval.objects.filter(month__isnull=False).values_list("pk", "month", "closed_at").iterator()
    ):
        if month != organisation_month(timezone.localdate(closed_at, organisation.zone_at(closed_at))):
            yield f"approval {pk}: counts in {month:%Y-%m}, which is not the month it was granted in"
