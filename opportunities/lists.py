"""The list of opportunities."""

from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from operator import itemgetter

from django.db.models import Q, Sum
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, ngettext_lazy

from approvals.models import Task
from crm import columns, shown
from crm.columns import Column, tagged
from crm.exports import CHUNK, Out
from crm.moments import organisation_today
from crm.pages import Figure, Listing, Tab
from opportunities.bulk import ACTS
from opportunities.lifecycle import CLOSED, PENDING, State
from opportunities.models import CLOSED_FROM, FORECAST, Opportunity
from opportunities.picklists import Stage

QUIET = timedelta(days=14)  # without a follow-up for longer, an open opportunity is neglected


def waited_for(pks=None):
    """This will give {opportunity: the name of whom it waits for} of some opportunities, or of all that wait."""
    return dict(Task.objects.open_about(Opportunity, pks).values_list("about_id", "holder__name"))


def stands_at(row):
    if row["stage"]:
        return tagged('<span class="pips s%s"></span>%s', row["pips"], row["stage"])
    return state(row)


def state(row):
    return tagged('<span class="state %s">%s</span>', row["state_class"], row["state_label"])


def closes(row):
    day = row["closes_on"] and tagged('<time datetime="%s">%s</time>', row["closes_on"], row["closes"])
    return "late" if row["late"] else "", day or ""


def waits(row):
    return tagged('<span class="state %s">%s</span>', row["waits_class"], row["waits"]) if row["waits"] else ""


def followed_up(row):
    return "quiet" if row["quiet"] else "late", row["followed_up"]


class OpportunityList(Listing):
    model = Opportunity
    name = "opportunities"
    record = "opportunity"
    heading = _("Opportunities")
    counted = ngettext_lazy("%(count)d opportunity", "%(count)d opportunities", "count")
    acts = ACTS
    has_menus = True
    read_along = ("owner", "department", "stage")
    template = "opportunities/list.html"
    nothing = (_("No opportunities yet"), _("What you report, and what others share with you, appears here."))
    sorts = {
        "close": "list_key", "amount": "base_cents", "name": "name_key", "created": "created_at",
        "changed": "updated_at", "probability": "probability", "last_follow_up": "last_follow_up_at",
        "next_follow_up": "next_follow_up_at",
    }  # fmt: skip
    columns = [
        columns.name("name", _("Opportunity"), sort="name", outs=Out(_("Opportunity name"), "name")),
        columns.short(
            "customer", _("Customer"), path="customer__name", classes="hide-narrow", td="grow cut p2", shown=True
        ),
        Column("stage", _("Stage"), td="fit p0", cell=stands_at, outs="stage"),
        Column(
            "amount", _("Amount"), "right", td="fit money p1", sort="amount", cell=itemgetter("amount"), outs="amount"
        ),
        Column(
            "expected_close_on", _("Expected close"), "right", td="fit p4", sort="close", cell=closes,
            outs="expected_close_on",
        ),
        Column(
            "waits", _("Waiting for"), "gap", td="fit p3", cell=waits,
            outs=Out(_("Waiting for"), None, batch=lambda listing, pks: listing.waited_for(pks)),
        ),
        columns.short("owner", _("Person in charge"), path="owner__name", classes="hide-narrow", shown=True),
        Column(
            "last_follow_up_at", _("Last follow-up"), "right hide-mid", td="fit num", sort="last_follow_up",
            cell=followed_up, outs="last_follow_up_at",
        ),
        columns.short("number", _("Number")),
        columns.short("reference", _("Reference")),
        Column(
            "state", _("State"), td="fit", cell=state, shown=False,
            outs=Out(_("State"), "state", lambda key: str(State(key).label)),
        ),
        columns.picked("business_type", _("Business type")),
        columns.picked("source", _("Source")),
        columns.short("currency", _("Currency")),
        columns.share("probability", _("Probability"), sort="probability"),
        columns.day("closed_on", _("Closed on")),
        columns.day("stage_since", _("In this stage since")),
        columns.picked("department", _("Department")),
        columns.day("next_follow_up_at", _("Next follow-up"), sort="next_follow_up"),
        columns.files("opportunity"),
        Column(
            "approved_amount", _("Approved amount"), "right", td="fit money quiet", path="approved_amount",
            cell=lambda row: shown.money(row["approved_amount"], row["money"]), shown=False,
        ),
        columns.text("description", _("Description")),
        columns.day("created_at", _("Created"), sort="created"),
        columns.day("updated_at", _("Changed"), sort="changed"),
    ]  # fmt: skip
    values = [
        "pk", "name", "state", "stage_id", "amount", "currency", "expected_close_on", "closed_on", "last_follow_up_at",
        "owner_id",
    ]  # fmt: skip
    edits = ("name", "stage", "amount", "expected_close_on", "probability", "business_type", "source")
    steps = True
    filters = ["state", "stage", "business_type", "owner", "department", "expected_close_on", "amount"]
    tabs = [
        Tab(_("Open"), {"state": "open"}),
        Tab(_("Waiting for approval"), {"state": "pending"}),
        Tab(_("Closing this month"), {"state": "open", "expected_close_on": "this_month"}),
        Tab(_("Mine"), {"owner": "me"}),
        Tab(_("Shared with me"), {"shared": "yes"}),
        Tab(_("All"), {}),
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

    def row(self, pk, name, state, stage_id, amount, currency, expected, closed, followed_up_at, owner_id):
        is_open = state not in CLOSED
        closes = expected if is_open else closed
        task, holder, since, holder_id = self._waiting.get(pk, (None, None, None, None))
        stage, position, of = self._stages[stage_id]
        return {
            "url": self.url(pk),
            "name": name,
            "draft": state == State.DRAFT,
            "owner_id": owner_id,
            "fixed": not is_open or (state in PENDING and holder_id != self.user.pk),
            # A stage says nothing of what is not yet, or no longer, being sold.
            "stage": stage if is_open and state != State.DRAFT else None,
            "pips": shown.pips(position, of),
            "state_label": State(state).label,
            "state_class": shown.state_class(state),
            "money": currency,
            "amount": shown.money(amount, currency),
            "closes": shown.day(closes),
            "closes_on": closes and closes.isoformat(),
            "late": is_open and closes is not None and closes < self._today,
            "waits": holder and shown.waits_for(holder, since),
            "waits_class": "returned" if task == Task.Kind.REVISE else "pending",
            "followed_up": shown.ago(followed_up_at),
            "quiet": not is_open or followed_up_at is None or timezone.now() - followed_up_at <= QUIET,
        }

    @cached_property
    def _today(self):
        return organisation_today()

    @cached_property
    def _waiting(self):
        """
        This will give {opportunity: (kind of task, name of its holder, since, their key)} of what waits for somebody on
        this page.
        """
        tasks = Task.objects.open_about(Opportunity, self.pks)
        return {pk: task for pk, *task in tasks.values_list("about_id", "kind", "holder__name", "opened_at", "holder")}

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
