"""
Reports of the same customer that are there already: told to the approver of a new one, and to nobody else.

Head office may want two departments that run after one customer to be known to whoever decides, while the reps may see
nothing of each other. So it is a setting, off at first, and each telling is a row of the audit: who was told what. The
task's page reads those rows, for the holder of the task alone.
"""

from datetime import date

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db.models import OuterRef, Q, Subquery
from django.utils.translation import gettext as _

from approvals.models import Act, Approval
from crm import shown
from crm.models import Audit
from crm.moments import organisation_day
from crm.names import localized
from crm.organisation import Organisation
from notices.history import describe
from opportunities.lifecycle import State

TOLD = "earlier_report_told"
MOST = 5


def confide(opportunity, task):
    """This will note for the holder of `task` the earlier reports of its customer, where that is wanted."""
    if not Organisation.current().tell_earlier_reports:
        return
    for other in _reported_before(opportunity):
        Audit.note(
            TOLD,
            by=task.holder,
            task=task.pk,
            number=other.number,
            department=describe(other.department),
            reported_on=organisation_day(other.reported_at).isoformat(),
        )


def _reported_before(opportunity):
    """This will list the opportunities of the same customer, however it is written, that were reported before."""
    customer = opportunity.customer
    same = Q(customer=customer)
    for column in ("match_name", "match_tax_id"):
        if key := getattr(customer, column):
            same |= Q(**{f"customer__{column}": key})
    model = apps.get_model("opportunities", "Opportunity")
    others = model.objects.filter(same).exclude(pk=opportunity.pk).exclude(owner=opportunity.owner)
    about = ContentType.objects.get_for_model(model)
    reports = Approval.objects.filter(about_type=about, about_id=OuterRef("pk"), act=Act.REPORT).order_by("opened_at")
    reported = others.exclude(state__in=[State.DRAFT, State.VOID, State.RETURNED]).annotate(
        reported_at=Subquery(reports.values("opened_at")[:1])
    )
    found = reported.filter(reported_at__isnull=False).select_related("department")
    return found.order_by("reported_at", "pk")[:MOST]


def confided(task):
    """This will say what the holder of `task` was told, a sentence for each."""
    if not Organisation.current().tell_earlier_reports:
        return []
    told = Audit.objects.filter(kind=TOLD, by=task.holder_id, data__task=task.pk).order_by("pk")
    return [
        _("%(number)s, %(department)s, %(day)s")
        % {
            "number": row.data["number"],
            "department": localized(row.data["department"]["label"]),
            "day": shown.day(date.fromisoformat(row.data["reported_on"])),
        }
        for row in told
    ]
