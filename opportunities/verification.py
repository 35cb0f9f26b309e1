"""
What must hold of opportunities: their state against their approvals, their signings, their movements, and all
that is derived.
"""

from decimal import Decimal
from functools import reduce
from operator import or_

from django.contrib.contenttypes.models import ContentType
from django.db.models import BigIntegerField, Exists, F, Max, Min, OuterRef, Q, Subquery
from django.db.models.functions import Cast, Coalesce, Round

from approvals.models import Act, Approval
from crm.models import NumberSequence
from crm.pinyin import sort_key
from crm.verification import differ, each
from notices.history import Event
from opportunities import crediting
from opportunities.lifecycle import CLOSED, State
from opportunities.lines import Line
from opportunities.models import FollowUp, Opportunity, OpportunityContact
from opportunities.picklists import Stage
from opportunities.shares import OpportunityGroupShare
from opportunities.signings import Movement, Signing

PENDING_ACT = {State.REPORTING: Act.REPORT, State.SIGNING: Act.SIGN, State.TERMINATING: Act.TERMINATE}


def differences():
    """This will give a sentence for each thing that is not as it must be."""
    yield from _approvals()
    yield from _signings()
    yield from _derived()
    yield from Opportunity.TEXT.differences()
    yield from _movements()
    yield from _numbers()
    yield from _customers()
    yield from _lines()
    yield from crediting.differences()


def _approvals():
    """No state without its approval; past records, which say so, are the one exception."""
    about = ContentType.objects.get_for_model(Opportunity)
    approvals = Approval.objects.filter(about_type=about, about_id=OuterRef("pk"))
    for state, act in PENDING_ACT.items():
        waiting = approvals.filter(act=act, state="open")
        yield from each(
            Opportunity.objects.filter(~Exists(waiting), state=state), f"is {state}, and no approval of it waits"
        )
        yield from each(
            Opportunity.objects.filter(Exists(waiting)).exclude(state=state),
            f"an approval to {act} waits, and it is not {state}",
        )
    returned = approvals.filter(act=Act.REPORT, state="returned")
    yield from each(
        Opportunity.objects.filter(~Exists(returned), state=State.RETURNED), "is returned, and no report of it is"
    )
    yield from each(
        Opportunity.objects.filter(Exists(returned)).exclude(state=State.RETURNED),
        "its report is returned, and it is not",
    )
    asked_again = approvals.filter(act__in=[Act.SIGN, Act.TERMINATE], state="returned")
    yield from each(
        Opportunity.objects.filter(Exists(asked_again)).exclude(state=State.ACTIVE),
        "has a returned request, and is not active",
    )

    imported = Exists(Event.objects.filter(about_type=about, about_id=OuterRef("pk"), kind="imported"))
    reported = Exists(approvals.filter(act=Act.REPORT, state="granted"))
    lived = Opportunity.objects.exclude(state__in=[State.DRAFT, State.REPORTING, State.RETURNED, State.VOID])
    yield from each(lived.filter(~reported, ~imported), "lives without an approved report")
    for state, act in ((State.SIGNED, Act.SIGN), (State.TERMINATED, Act.TERMINATE)):
        granted = Exists(approvals.filter(act=act, state="granted"))
        yield from each(Opportunity.objects.filter(~granted, ~imported, state=state), f"is {state} without an approval")
    began = Exists(Event.objects.filter(about_type=about, about_id=OuterRef("pk"), kind__in=["created", "imported"]))
    yield from each(Opportunity.objects.filter(~began), "its history does not say how it began")


def _signings():
    yield from each(Opportunity.objects.filter(state=State.SIGNED, signing=None), "is signed, and has no signing")
    yield from each(
        Signing.objects.exclude(opportunity__state=State.SIGNED), "belongs to an opportunity that is not signed"
    )
    yield from each(
        Signing.objects.exclude(signed_on=F("opportunity__closed_on")),
        "was not signed on the day its opportunity closed",
    )
    for pk, month, day in Signing.objects.values_list("pk", "month", "signed_on").iterator():
        if month != day.replace(day=1):
            yield f"signing {pk}: counts in {month:%Y-%m}, and was signed on {day}"
    for model in (Opportunity, Signing):
        hundredths = Coalesce(F("amount"), Decimal(0)) * Decimal(100)
        cents = Cast(Round(hundredths), BigIntegerField())  # on SQLite, 0.29 × 100 is less than 29
        yield from each(model.objects.exclude(base_cents=cents), "its base amount is not its amount")


def _derived():
    kinds = {State.SIGNED: Stage.Kind.WON, State.TERMINATED: Stage.Kind.LOST}
    for state in State:
        kind = kinds.get(state, Stage.Kind.OPEN)
        yield from each(
            Opportunity.objects.filter(state=state).exclude(stage__kind=kind),
            f"is {state}, and its stage is not {kind}",
        )
    typed = Opportunity.objects.filter(probability_typed=False).exclude(probability=F("stage__probability"))
    yield from each(typed.exclude(state__in=CLOSED), "its probability is neither typed nor that of its stage")
    for pk, name, key in Opportunity.objects.order_by("pk").values_list("pk", "name", "name_key").iterator():
        if key != sort_key(name):
            yield f"opportunity {pk}: its sort key is not that of its name"
    theirs = FollowUp.objects.filter(opportunity=OuterRef("pk")).order_by().values("opportunity")
    last = Subquery(theirs.filter(done_at__isnull=False).annotate(at_=Max("at")).values("at_"))
    coming = Subquery(theirs.filter(done_at=None).annotate(at_=Min("at")).values("at_"))
    followed = Opportunity.objects.annotate(last=last, coming=coming)
    for name, stored in (("last", "last_follow_up_at"), ("coming", "next_follow_up_at")):
        yield from each(followed.filter(differ(stored, name)), f"{stored} is not that of its follow-ups")
    strangers = OpportunityGroupShare.objects.filter(group__department=None)
    yield from each(strangers, "names a group that is no department's")


def _movements():
    newest = Movement.objects.order_by().values("opportunity").annotate(newest=Max("pk")).values("newest")
    same = ("state", "stage", "base_cents", "probability", "expected_close_on", "owner", "department")
    elsewhere = reduce(or_, (differ(name, f"opportunity__{name}") for name in same))
    last = Movement.objects.filter(pk__in=newest)
    yield from each(last.filter(elsewhere), "is the latest, and its opportunity stands elsewhere")
    yield from each(Opportunity.objects.filter(movements=None), "has no movement")
    known = dict(Opportunity.objects.order_by().values_list("pk", "stage_since").iterator())
    stages, since = {}, {}
    rows = Movement.objects.that_count().values_list("opportunity", "stage", "at")
    for pk, stage, at in rows.iterator():
        if stages.get(pk) != stage:
            stages[pk], since[pk] = stage, at
    for pk, at in since.items():
        if known.get(pk) != at:
            yield f"opportunity {pk}: it has not been in its stage since it moved there"


def _numbers():
    given = dict(NumberSequence.objects.filter(kind=Opportunity.NUMBER).values_list("year", "last"))
    for number in Opportunity.objects.order_by().values_list("number", flat=True).iterator():
        head, _dash, digits = number.rpartition("-")
        if not digits.isdigit() or int(digits) > given.get(int(head.removeprefix(Opportunity.NUMBER) or 0), 0):
            yield f"opportunity {number}: its number was never given out"


def _customers():
    """What hangs on an opportunity is about its customer."""
    about = FollowUp.objects.exclude(opportunity=None)
    yield from each(about.filter(differ("customer", "opportunity__customer")), "is not with its opportunity's customer")
    strangers = OpportunityContact.objects.exclude(contact__customer=F("opportunity__customer"))
    yield from each(strangers, "names a person of another customer than the opportunity's")
    primary = OpportunityContact.objects.filter(opportunity=OuterRef("opportunity"), primary=True)
    yield from each(OpportunityContact.objects.filter(~Exists(primary)), "and nobody else there is the primary contact")


def _lines():
    """A line comes to what its figures say, and an amount that is said to be the sum of the lines is."""
    sums, counts = {}, {}
    for line in Line.objects.order_by("pk").iterator():
        stored = line.subtotal
        if line.work_out() != stored:
            yield f"line {line.pk}: its subtotal is not its quantity, price and discount"
        counts[line.opportunity_id] = counts.get(line.opportunity_id, 0) + 1
        sums[line.opportunity_id] = sums.get(line.opportunity_id, 0) + stored
    lined = Opportunity.objects.filter(Exists(Line.objects.filter(opportunity=OuterRef("pk"))) | ~Q(line_count=0))
    adding = Opportunity.objects.filter(amount_from=Opportunity.AmountFrom.LINES)
    for pk, count in lined.order_by("pk").values_list("pk", "line_count"):
        if count != counts.get(pk, 0):
            yield f"opportunity {pk}: its number of lines is not that of its lines"
    for pk, amount in adding.order_by("pk").values_list("pk", "amount"):
        if amount != sums.get(pk):
            yield f"opportunity {pk}: its amount is not the sum of its lines"
