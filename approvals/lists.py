"""The list of the tasks that its reader is done with."""

from functools import cached_property

from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from approvals.done import DoneTask
from approvals.models import Act, Task
from crm import columns, shown
from crm.columns import Column
from crm.exports import Out
from crm.orders import Order
from crm.pages import Figure, Listing, Tab
from crm.permissions import allows


def told(name):
    """This will give what goes out of a task under `name`, as `DoneTaskList.told` has it."""
    return lambda listing, pks: {pk: row[name] for pk, row in listing.told(pks).items()}


class DoneTaskList(Listing):
    model = DoneTask
    name = "tasks_done"
    record = "task"
    heading = _("Done tasks")
    template = "approvals/tasks_done.html"
    nothing = (_("Nothing decided yet"), _("What you decide appears here, and opens what you decided on."))
    sorts = {"decided": "closed_at"}
    columns = [
        columns.name(
            "name",
            _("Record"),
            outs=(Out(_("Request"), None, batch=told("act")), Out(_("Record"), None, batch=told("name"))),
        ),
        columns.choice("decision", _("Decision"), Task.Decision, td="fit p2", shown=True),
        Column("act", _("Request"), td="fit quiet p3", cell=lambda row: row["act"], outs=()),
        Column(
            "customer",
            _("Customer"),
            "hide-narrow",
            td="grow cut quiet",
            cell=lambda row: row["customer"],
            outs=Out(_("Customer"), None, batch=told("customer")),
        ),
        columns.short("requester", _("Asked by"), path="approval__requester__name", classes="hide-narrow", shown=True),
        Column(
            "amount",
            _("Amount"),
            "right",
            td="fit money p1",
            cell=lambda row: shown.money(row["amount"], row["currency"]),
            outs=(Out(_("Amount"), None, batch=told("amount")), Out(_("Currency"), None, batch=told("currency"))),
        ),
        columns.text("comment", _("Comment"), classes="hide-mid", shown=True),
        columns.day("closed_at", _("Decided"), td="fit num quiet p4", sort="decided", shown=True),
    ]
    values = ["pk"]
    filters = ["act", "decision", "requester", "amount", "closed_at", "comment"]
    tabs = [
        Tab(_("All"), {}),
        Tab(_("This month"), {"closed_at": "this_month"}),
        Tab(Task.Decision.RETURNED.label, {"decision": "returned"}),
    ]

    def __init__(self, request):
        """What was decided last stands first, unless the address says else."""
        super().__init__(request)
        if not self.query.get("sort"):
            self.orders = [Order("decided", "closed_at", True)]

    def row(self, pk):
        return {"url": self.url(pk)} | self._told[pk]

    @cached_property
    def _told(self):
        return self.told(self.pks)

    def told(self, pks):
        """This will give, of some tasks, {key: what the list shows of what was decided}, read once for them all."""
        if self._read is None or self._read[0] != tuple(pks):
            tasks = Task.objects.filter(pk__in=pks).with_rows()
            self._read = tuple(pks), {task.pk: self._of(task) for task in tasks}
        return self._read[1]

    _read = None  # (keys, what `told` gave of them)

    @staticmethod
    def _of(task):
        about = task.about
        return {
            "name": str(about),
            "act": str(Act(task.approval.act).label),
            "customer": str(about.customer or ""),
            "amount": task.amount,
            "currency": about.currency,
        }

    @property
    def counts(self):
        """This will give what stands beside the names of the lists of tasks."""
        counts = {"todo": Task.objects.open_for(self.user).count()}
        if allows(self.user, "assign"):
            counts["nobody"] = Task.objects.nobody_can_decide().count()
        return counts

    def figures(self):
        count = self.totals["count"]
        return [Figure(format_html(ngettext("<b>{}</b> done task", "<b>{}</b> done tasks", count), f"{count:,}"))]
