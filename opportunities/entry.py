"""How opportunities come in: one from a form, thousands from a file, by the same verbs."""

from dataclasses import dataclass
from datetime import date, datetime, time

from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm import permissions
from crm.models import NumberSequence, User
from crm.moments import organisation_today, organisation_zone
from crm.verbs import NotAllowed, Refused, enter_as, whole
from customers.models import Customer
from notices.history import Event, describe
from notices.models import Message
from opportunities.crediting import credit
from opportunities.lifecycle import State
from opportunities.picklists import LostReason, Stage
from opportunities.signings import Movement, Signing


@dataclass
class Past:
    """
    An opportunity, not yet saved, that was lived elsewhere, and how it stands: draft, active, signed or
    terminated.
    """

    opportunity: "Entry"
    state: str
    entered_on: date | None = None
    closed_on: date | None = None  # signed on, or given up on
    lost_reason: LostReason | None = None
    contract_number: str = ""

    def refusal(self):
        """This will give the Refused that says what is wrong with it, or None."""
        opportunity = self.opportunity
        if self.state not in (State.DRAFT, State.ACTIVE, State.SIGNED, State.TERMINATED):
            return Refused(_("A past record is a draft, active, signed or terminated."), field="state")
        if self.state != State.DRAFT and opportunity.customer_id is None:
            return Refused(_("Only a draft has no customer."), field="customer")
        if self.state in (State.SIGNED, State.TERMINATED):
            if self.closed_on is None:
                return Refused(_("Say on which day it was signed or terminated."), field="closed_on")
            if self.closed_on > organisation_today():
                return Refused(_("The day it ended cannot lie ahead."), field="closed_on")
        if self.state == State.SIGNED and opportunity.amount is None:
            return Refused(_("A signed opportunity has an amount."), field="amount")
        if self.state == State.TERMINATED and self.lost_reason is None:
            return Refused(_("A terminated opportunity has a reason."), field="lost_reason")
        if self.entered_on and self.entered_on > (self.closed_on or organisation_today()):
            return Refused(_("It was entered after it ended."), field="created_at")
        return None

    def settle(self):
        """This will bring the opportunity into its state and what goes with it."""
        opportunity, ended = self.opportunity, self.state in (State.SIGNED, State.TERMINATED)
        self.first_stage = opportunity.stage
        if self.state != State.DRAFT:
            opportunity._enter_as(self.state)
        if ended:
            pipeline = opportunity.stage.pipeline
            opportunity.stage = pipeline.won_stage if self.state == State.SIGNED else pipeline.lost_stage
            opportunity.probability_typed = False
            opportunity.closed_on = self.closed_on
        opportunity.lost_reason = self.lost_reason if self.state == State.TERMINATED else None
        if self.entered_on:
            opportunity.created_at = _morning(self.entered_on)
        opportunity.stage_since = opportunity.created_at if self.closed_on is None else _morning(self.closed_on)
        opportunity.settle()

    def signing(self):
        """This will build the signing of a signed one."""
        form = {
            "contract_number": self.contract_number,
            "signed_amount": self.opportunity.amount,
            "signed_on": self.closed_on.isoformat(),
            "term": None,
        }
        return Signing.of(self.opportunity, form)

    def movements(self):
        """This will build where it stood: from its entry, and, if it has ended, from its end."""
        now, entered = self.opportunity.movement(self.opportunity.stage_since), self.opportunity.created_at
        if self.closed_on is None:
            return [now]
        then = self.opportunity.movement(min(entered, now.at))
        then.state, then.stage, then.probability = State.ACTIVE, self.first_stage, self.first_stage.probability
        return [then, now]


class Entry(models.Model):
    """The verbs by which an opportunity is entered, each with its bulk twin; one is a thousand of one."""

    class Meta:
        abstract = True

    def create(self, *, by):
        """
        This will enter the opportunity as a draft, under a new number, in charge of `by` unless another owner is set.
        Raises NotAllowed where `by` may not create, or may not put that owner in charge; Refused outside open stages.
        """
        self.create_all([self], by=by)

    @classmethod
    @whole()
    def create_all(cls, drafts, *, by, told=True):
        """
        This will enter all of `drafts`, each as `create` does, or none. Unless not `told`, their owners hear
        of each.
        """
        if not permissions.allows(by, "create"):
            raise NotAllowed()
        for draft in drafts:
            if draft.owner_id is None:
                draft.owner = by
        owners = {draft.owner_id: draft.owner for draft in drafts if draft.owner_id != by.pk}
        allowed = set(chargeable(by).filter(pk__in=owners).values_list("pk", flat=True)) if owners else set()
        for pk, owner in owners.items():
            if pk not in allowed:
                raise NotAllowed(_("You may not put %(name)s in charge.") % {"name": owner})
        for draft in drafts:
            draft.begin()
            if draft.stage.kind != Stage.Kind.OPEN:
                raise Refused(_("A new opportunity starts in an open stage."), field="stage")
            if not draft.stage.active:
                raise Refused(_("This stage is no longer used. Choose another."), field="stage")
        cls._enter(drafts, by=by)
        Event.objects.bulk_create(draft.event("created", by=by) for draft in drafts)
        Movement.objects.bulk_create(draft.movement(draft.stage_since) for draft in drafts)
        for draft in drafts if told else ():
            Message.tell([draft.owner], "transferred", draft, by=by, to=describe(draft.owner))

    def begin(self):
        """This will fill in what a new opportunity has of itself: department, stage, and what follows from those."""
        self.place(self.owner.department)
        self.stage_since = timezone.now()
        if self.stage_id is None:
            self.stage = Stage.to_begin_with(self.owner.department)
        self.probability_typed = self.probability not in (None, self.stage.probability)
        self.settle()

    @classmethod
    @transaction.atomic
    def import_past(cls, pasts, *, by):
        """
        This will enter opportunities that were lived elsewhere, as they stand: with a signing where signed, without
        approvals, and counted as nobody's report; entered by whom they say. Gives the customers that were potential
        ones until then. Raises NotAllowed, and Refused for the first that cannot be.
        """
        if not permissions.allows(by, "import_past"):
            raise NotAllowed()
        opportunities = [past.opportunity for past in pasts]
        for past in pasts:
            if refusal := past.refusal():
                raise refusal
            if past.opportunity.owner_id is None:
                past.opportunity.owner = by
            past.opportunity.begin()
            past.settle()
        cls._enter(opportunities, by=by, as_was=True)
        signings = [past.signing() for past in pasts if past.state == State.SIGNED]
        Signing.objects.bulk_create(signings)
        credit(signed=signings)
        signed = {signing.opportunity.customer_id for signing in signings}
        potential = Customer.objects.filter(pk__in=signed, status=Customer.Status.POTENTIAL)
        trading = list(potential.order_by("pk").select_for_update())
        potential.update(status=Customer.Status.TRADING)
        Event.objects.bulk_create(
            past.opportunity.event(
                "imported",
                by=by,
                state=past.state,
                entered_on=past.entered_on and past.entered_on.isoformat(),
                closed_on=past.closed_on and past.closed_on.isoformat(),
            )
            for past in pasts
        )
        Movement.objects.bulk_create(movement for past in pasts for movement in past.movements())
        return trading

    @classmethod
    def _enter(cls, opportunities, *, by, as_was=False):
        """This will number and insert them."""
        enter_as(opportunities, by=by, as_was=as_was)
        numbers = NumberSequence.take(cls.NUMBER, organisation_today().year, len(opportunities))
        for opportunity, number in zip(opportunities, numbers, strict=True):
            opportunity.number = number
        cls.objects.bulk_create(opportunities)
        cls.keep_custom(opportunities)


def _morning(day):
    """
    This will give nine o'clock of a day in the organisation's time zone: within that day nearly everywhere
    else too.
    """
    moment = datetime.combine(day, time(9), organisation_zone())
    return min(moment, timezone.now())


def chargeable(by):
    """This will give the people whom `by` may put in charge of a new opportunity: in reach, or oneself."""
    active = User.objects.filter(is_active=True, department__isnull=False).select_related("department")
    if by.is_any(*permissions.EVERYWHERE):
        return active
    if by.is_any("gm", "deputy_gm"):
        return active.filter(department__path__startswith=by.department.path)
    return active.filter(pk=by.pk)
