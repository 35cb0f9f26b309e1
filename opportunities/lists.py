"""The list of opportunities."""

from datetime import timedelta
from decimal import Decimal
from functools import cached_property

from django.db.models import Q, Sum
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from approvals.models import Task
from crm import shown
from crm.exports import CHUNK, Out
from crm.moments import organisation_today
from crm.pages import Column, Figure, Listing, Tab
from opportunities.lifecycle import CLOSED, State
from opportunities.models import CLOSED_FROM, FORECAST, Opportunity
from opportunities.picklists import Stage

QUIET = timedelta(days=14)  # without a follow-up for longer, an open opportunity is neglected


def waited_for(pks=None):
    """This will give {opportunity: the name of whom it waits for} of some opportunities, or of all that wait."""
    return dict(Task.objects.open_about(Opportunity, pks).values_list("about_id", "holder__name"))


class OpportunityList(Listing):
    model = Opportunity
    name = "opportunities"
    record = "opportunity"
    heading = _("Opportunities")
    template = "opportunities/list.html"
    nothing = (_("No opportunities yet"), _("What you report, and what others share with you, appears here."))
    sorts = {"close": "list_key", "amount": "base_cents", "name": "name_key"}
    columns = [
        Column(_("Opportunity"), "", "name"),
        Column(_("Customer"), "hide-narrow"),
        Column(_("Stage")),
        Column(_("Amount"), "right", "amount"),
        Column(_("Expected close"), "right", "close"),
        Column(_("Waiting for"), "gap"),
        Column(_("Person in charge"), "hide-narrow"),
        Column(_("Last follow-up"), "right hide-mid"),
    ]
    values = [
        "pk", "name", "state", "customer__name", "stage_id", "amount", "currency", "expected_close_on", "closed_on",
        "owner__name", "last_follow_up_at",
    ]  # fmt: skip
    filters = ["state", "stage", "business_type", "owner", "department", "expected_close_on", "amount"]
    tabs = [
        Tab(_("Open"), {"state": "open"}),
        Tab(_("Waiting for approval"), {"state": "pending"}),
        Tab(_("Closing this month"), {"state": "open", "expected_close_on": "this_month"}),
        Tab(_("Mine"), {"owner": "me"}),
        Tab(_("Shared with me"), {"shared": "yes"}),
        Tab(_("All"), {}),
    ]
    exported = [
        Out(_("Opportunity name"), "name"),
        Out(_("Customer"), "customer__name"),
        Out(_("Stage"), "stage"),
        Out(_("Amount"), "amount"),
        Out(_("Expected close"), "expected_close_on"),
        Out(_("Waiting for"), None, batch=lambda listing, pks: listing.waited_for(pks)),
        Out(_("Person in charge"), "owner__name"),
        Out(_("Last follow-up"), "last_follow_up_at"),
    ]
    exported_besides = [
        Out(_("Number"), "number"),
        Out(_("Reference"), "reference"),
        Out(_("State"), "state", lambda state: str(State(state).label)),
        Out(_("Business type"), "business_type"),
        Out(_("Source"), "source"),
        Out(_("Currency"), "currency"),
        Out(_("Probability"), "probability"),
        Out(_("Closed on"), "closed_on"),
        Out(_("Department"), "department"),
        Out(_("Next follow-up"), "next_follow_up_at"),
        Out(_("Approved amount"), "approved_amount"),
        Out(_("Description"), "description"),
        Out(_("Created"), "created_at"),
        Out(_("Changed"), "updated_at"),
    ]
    sums = {"amount": Sum("base_cents"), "forecast": Sum(FORECAST)}

    def stretch(self, column):
        """What is closed lies behind all that is open in the default order, so nobody walks through the others."""
        if column != "list_key":
            return Q()
        leaves = [leaf for leaf in self.conditions.leaves() if leaf.op in ("is", "in")]
        held = {
            leaf.field.key: set(leaf.field.held(leaf.values, self.conditions))
            for leaf in leaves
            if leaf.field.key in ("state", "stage")
        }
        states, stages = held.get("state", set()), held.get("stage", set())
        over = {stage.pk for stage in self._every_stage if stage.kind != Stage.Kind.OPEN}
        if (states and states <= set(CLOSED)) or (stages and stages <= over):
            return Q(list_key__gt=CLOSED_FROM)
        return Q(list_key__lt=CLOSED_FROM) if states and not states & set(CLOSED) else Q()

    def row(self, pk, name, state, customer, stage_id, amount, currency, expected, closed, owner, followed_up_at):
        is_open = state not in CLOSED
        closes = expected if is_open else closed
        task, holder, since = self._waiting.get(pk, (None, None, None))
        stage, position, of = self._stages[stage_id]
        return {
            "url": self.url(pk),
            "name": name,
            "draft": state == State.DRAFT,
            "customer": customer or "",
            # A stage says nothing of what is not yet, or no longer, being sold.
            "stage": stage if is_open and state != State.DRAFT else None,
            "pips": shown.pips(position, of),
            "state": State(state).label,
            "state_class": shown.state_class(state),
            "amount": shown.money(amount, currency),
            "closes": shown.day(closes),
            "closes_on": closes and closes.isoformat(),
            "late": is_open and closes is not None and closes < self._today,
            "waits": holder and shown.waits_for(holder, since),
            "waits_class": "returned" if task == Task.Kind.REVISE else "pending",
            "owner": owner,
            "followed_up": shown.ago(followed_up_at),
            "quiet": not is_open or followed_up_at is None or timezone.now() - followed_up_at <= QUIET,
        }

    @cached_property
    def _today(self):
        return organisation_today()

    @cached_property
    def _waiting(self):
        """
        This will give {opportunity: (kind of task, name of its holder, since)} of what waits for somebody on
        this page.
        """
        tasks = Task.objects.open_about(Opportunity, self.pks)
        return {pk: task for pk, *task in tasks.values_list("about_id", "kind", "holder__name", "opened_at")}

    def waited_for(self, pks):
        """
        This will do what the function does. Where it is asked of many, others follow: then all that wait are read
        once, a few for each person who decides, rather than looked for by a thousand keys again and again.
        """
        return waited_for(pks) if len(pks) < CHUNK else self._all_that_wait

    @cached_property
    def _all_that_wait(self):
        return waited_for()

    @cached_property
    def _every_stage(self):
        return list(self.conditions.records(Opportunity.CONDITIONS["stage"]).values())

    @cached_property
    def _stages(self):
        """This will give {stage: (its name, its place among the open stages of its pipeline, how many there are)}."""
        found = {}
        for stage in self._every_stage:
            way = [
                one.pk
                for one in self._every_stage
                if one.pipeline_id == stage.pipeline_id and one.kind == Stage.Kind.OPEN
            ]
            found[stage.pk] = (stage.name, way.index(stage.pk) + 1 if stage.pk in way else len(way), len(way))
        return found

    def figures(self):
        count, amount, forecast = (self.totals[name] for name in ("count", "amount", "forecast"))
        return [
            Figure(format_html(ngettext("<b>{}</b> opportunity", "<b>{}</b> opportunities", count), f"{count:,}")),
            Figure(format_html(str(_("Amount <b>{}</b>")), shown.money(Decimal(amount).scaleb(-2)))),
            Figure(format_html(str(_("Forecast <b>{}</b>")), shown.money(Decimal(forecast).scaleb(-2))), "forecast"),
        ]
