"""Each act on an opportunity as its page sends it, for the tests that ask the same of all of them."""

from dataclasses import dataclass
from uuid import uuid4

from opportunities.models import LostReason, Opportunity, State
from opportunities.record import WHEN
from tests import factories as make

STATES = [str(state) for state in State]


@dataclass
class Act:
    """
    One act: its page, the states in which it can be done, what its form sends, and the event that it leaves.

    `prepare` brings about what the act needs beside the state; `reader` tells whether whoever sees may.
    """

    page: str
    states: tuple
    sends: object
    event: str
    prepare: object = None
    by: str = "owner"
    reader: bool = False

    def world(self, state=None):
        """This will make an opportunity on which it can be done, or, of another `state`, not; and sign nobody in."""
        opportunity = in_state(state or self.states[0])
        if self.prepare:
            self.prepare(opportunity)
        return opportunity

    def actor(self, opportunity):
        return opportunity.owner if self.by == "owner" else make.user(None, self.by, at="head-office")

    def post(self, client, opportunity, **changes):
        return client.post(address(opportunity, self.page), self.sends(opportunity) | changes)


def address(opportunity, page=""):
    return f"/opportunities/{opportunity.pk}/{page}{'/' if page else ''}"


def in_state(state):
    """This will make an opportunity in any state, with a contact at its customer and a deputy above its owner."""
    owner = make.user()
    opportunity = make.opportunity(owner, state="draft" if state == "void" else state)
    make.contact(opportunity.customer)
    make.approver(opportunity)
    if state == "void":
        opportunity.void(by=owner, reason="Entered twice.")
    return opportunity


def typed(opportunity, **changes):
    """This will give what the form of an opportunity sends where nothing was touched, but for `changes`."""
    return {
        "name": opportunity.name,
        "customer": str(opportunity.customer or ""),
        "customer_id": opportunity.customer_id or "",
        "business_type": opportunity.business_type_id or "",
        "source": opportunity.source_id or "",
        "amount": "" if opportunity.amount is None else opportunity.amount,
        "expected_close_on": opportunity.expected_close_on or "",
        "stage": opportunity.stage_id,
        "probability": opportunity.probability,
        "description": opportunity.description,
        "version": version(opportunity) if opportunity.pk else "",
        "act": "save",
    } | changes


def version(opportunity):
    return Opportunity.objects.values_list("version", flat=True).get(pk=opportunity.pk)


def _deputy(opportunity):
    return make.approver(opportunity).pk


def _sign(opportunity):
    return {
        "contract_number": "HB-2026-0412",
        "signed_amount": "132万",
        "signed_on": "2026-01-31",
        "term": "12",
        "approver": _deputy(opportunity),
        "version": version(opportunity),
    }


def _terminate(opportunity):
    budget = LostReason.objects.get(key="budget")
    return {"reason": budget.pk, "note": "", "approver": _deputy(opportunity), "version": version(opportunity)}


def _return_a_signing(opportunity):
    if opportunity.state == "active":
        deputy = make.approver(opportunity)
        make.sign(opportunity, approver=deputy)
        opportunity.open_task.return_(by=deputy, comment="The amount differs.", seen=opportunity.version)
        opportunity.refresh_from_db()


def _share(opportunity):
    opportunity.share(by=opportunity.owner, people=[make.user("guest")])


def _add_contact(opportunity):
    opportunity.add_contact(by=opportunity.owner, contact=opportunity.customer.contacts.get())


def _colleague(opportunity):
    return (make.User.objects.filter(username="colleague").first() or make.user("colleague")).pk


def _guest():
    return make.User.objects.get(username="guest").pk


OPEN_NOT_PENDING = (State.ACTIVE, State.DRAFT, State.RETURNED)

ACTS = {
    "change": Act("edit", OPEN_NOT_PENDING, lambda it: typed(it, name="Another name"), "changed"),
    "report": Act("edit", (State.DRAFT,), lambda it: typed(it, act="submit", approver=_deputy(it)), "reported"),
    "resubmit": Act("edit", (State.RETURNED,), lambda it: typed(it, act="submit", approver=_deputy(it)), "resubmitted"),
    "sign": Act("sign", WHEN["sign"], _sign, "sign_asked"),
    "terminate": Act("terminate", WHEN["terminate"], _terminate, "terminate_asked"),
    "withdraw": Act("withdraw", WHEN["withdraw"], lambda it: {"version": version(it)}, "withdrawn"),
    "drop": Act("drop", WHEN["drop"], lambda it: {"version": version(it)}, "dropped", _return_a_signing),
    "void": Act("void", WHEN["void"], lambda it: {"reason": "Entered twice.", "version": version(it)}, "voided"),
    "move": Act("move", WHEN["move"], lambda it: {"stage": make.stage("proposal").pk, "version": version(it)}, "moved"),
    "transfer": Act(
        "transfer", OPEN_NOT_PENDING, lambda it: {"owner_id": _colleague(it), "version": version(it)}, "transferred"
    ),
    "share": Act("share", tuple(State), lambda it: {"people_id": _colleague(it), "may_edit": "on"}, "shared"),
    "unshare": Act("unshare", tuple(State), lambda it: {"person_id": _guest()}, "unshared", _share),
    "add contact": Act(
        "contact",
        tuple(State),
        lambda it: {"contact_id": it.customer.contacts.get().pk, "role": "decides"},
        "contact_added",
    ),
    "remove contact": Act(
        "contact",
        tuple(State),
        lambda it: {"contact_id": it.customer.contacts.get().pk, "remove": "1"},
        "contact_removed",
        _add_contact,
    ),
    "correct": Act(
        "correct",
        WHEN["correct"],
        lambda it: {
            "contract_number": "HB-1",
            "signed_amount": "5万",
            "signed_on": "2026-01-31",
            "reason": "Two digits swapped.",
            "version": version(it),
        },
        "corrected",
        by="opportunity_manager",
    ),
    "copy": Act("copy", tuple(State), lambda it: {"once": str(uuid4())}, "created", reader=True),
}

VERSIONED = [name for name, act in ACTS.items() if act.page not in ("share", "unshare", "contact", "copy")]
