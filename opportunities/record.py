"""What the page of one opportunity says: its acts, whom it waits for, its figures, its way through the stages."""

from collections import namedtuple
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from django.db.models import Count, Window
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from approvals.models import Act, Approval, Task
from approvals.templatetags.approvals import ASKED, KINDS
from crm import shown
from crm.moments import organisation_today
from crm.permissions import EVERYWHERE
from crm.prepared import prepared
from crm.querysets import is_in_scope
from notices import wording
from notices.history import Event, describe
from opportunities.follow_ups import FollowUp
from opportunities.lifecycle import OPEN, PENDING, State
from opportunities.models import OpportunityContact
from opportunities.picklists import Stage
from opportunities.reviews import reviews_of
from opportunities.shares import shares_of
from opportunities.signings import Movement

SHOWN = 10  # follow-ups and shares on the page itself
EVENTS = 5

# An act offered: a link, or, locked, the reason why not now. `kind` is primary, plain, more (in the menu).
Offer = namedtuple("Offer", ["label", "url", "kind", "ask", "locked"], defaults=["plain", False, ""])

Figure = namedtuple("Figure", ["label", "value", "sub", "late"], defaults=["", False])

# A stage on the path: `kind` is done, current, asked, or "" for what lies ahead.
Place = namedtuple("Place", ["name", "kind", "sub"])

# In which states each verb can be done; one that is not here can be done in any.
WHEN = {
    "change": OPEN,
    "report": (State.DRAFT, State.RETURNED),
    "void": (State.DRAFT, State.RETURNED),
    "withdraw": PENDING,
    "move": (State.ACTIVE,),
    "sign": (State.ACTIVE,),
    "terminate": (State.ACTIVE,),
    "drop": (State.ACTIVE,),
    "transfer": OPEN,
    "correct": (State.SIGNED,),
    "reassign": tuple(state for state in State if state != State.VOID),
}


# ── What is read along ───────────────────────────────────────────────────────────────────────────────────────────────


@prepared
def _follow_ups(opportunity):
    """The first of them, in order, with what the page shows of each, and in each how many there are (`total`)."""
    shown = FollowUp.objects.filter(opportunity=opportunity).latest_first()
    return shown.select_related("kind", "owner", "contact", "next").annotate(total=Window(Count("*")))[:SHOWN]


@prepared
def _placements(opportunity):
    placements = OpportunityContact.objects.filter(opportunity=opportunity)
    return placements.select_related("contact").order_by("-primary", "id")


@prepared
def _movements(opportunity):
    moved = Movement.objects.filter(opportunity=opportunity).that_count()
    return moved.values_list("at", "stage", "expected_close_on")


@prepared
def _stages(pipeline):
    return Stage.objects.filter(pipeline=pipeline)


# ── The page ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Page:
    """The page of `opportunity`, fetched with `may`, for `user`. Each part asks the database once, at most."""

    opportunity: object
    user: object

    # What was read along

    @cached_property
    def approvals(self):
        return Approval.past_of(self.opportunity)

    @cached_property
    def unfinished(self):
        """This will give the request that is being decided or revised, or None."""
        return next((approval for approval in self.approvals if approval.closed_at is None), None)

    @cached_property
    def round(self):
        """This will give the round that the unfinished request is in."""
        return max(self.unfinished.rounds.all(), key=lambda round_: round_.number) if self.unfinished else None

    @cached_property
    def task(self):
        """This will give the task that is open, or None."""
        tasks = self.unfinished.tasks.all() if self.unfinished else ()
        return next((task for task in tasks if task.is_open), None)

    @cached_property
    def entries(self):
        return [entry for approval in self.approvals for entry in approval.entries()]

    @cached_property
    def approval_events(self):
        """This will give what happened in its approvals as events, not saved: words and look are the history's."""
        return [self._as_event(entry) for entry in self.entries]

    def _as_event(self, entry):
        kind = KINDS.get(entry.kind) or (ASKED[entry.approval.act] if entry.round.number == 1 else "resubmitted")
        if entry.kind == Task.Decision.REASSIGNED and entry.task.kind == Task.Kind.REVISE:
            kind = "transferred"
        event = self.opportunity.event(
            kind,
            by=entry.who,
            act=entry.approval.act,
            to=describe(entry.to),
            instead_of=describe(entry.task.holder),
            comment=entry.comment,
            **self.opportunity.told(entry.task.edits if entry.kind in Task.DECISIONS else {}),
        )
        event.at = entry.at
        return event

    @cached_property
    def follow_ups(self):
        rows = _follow_ups(self.opportunity.pk)
        for follow_up in rows:
            follow_up.opportunity = self.opportunity
            follow_up.changeable = follow_up.owner_id == self.user.pk or self.user.is_any(*EVERYWHERE)
            follow_up.contact_seen = follow_up.contact is not None and self._sees(follow_up.contact)
        return rows

    def _sees(self, contact):
        """This will tell whether the reader sees the person whom a follow-up was with, without a query for each."""
        placed = contact.pk in {placement.contact_id for placement in self.placements}
        return placed or contact.owner_id == self.user.pk or is_in_scope(self.user, contact)

    @cached_property
    def follow_up_count(self):
        return self.follow_ups[0].total if self.follow_ups else 0

    @cached_property
    def events(self):
        return Event.latest_about(self.opportunity, EVENTS)

    @cached_property
    def event_count(self):
        return self.events[0].total if self.events else 0

    @cached_property
    def placements(self):
        return _placements(self.opportunity.pk)

    @cached_property
    def shares(self):
        return shares_of(self.opportunity)

    @property
    def first_shares(self):
        return self.shares[:SHOWN]

    @cached_property
    def movements(self):
        return _movements(self.opportunity.pk)

    # Its acts

    def obstacle(self, verb):
        """
        This will give the sentence that says why the reader, who may do `verb`, cannot now; "" where they can. Pages
        ask it before they show a form; the verbs refuse by rules of their own.
        """
        opportunity = self.opportunity
        if opportunity.is_pending and verb == "reassign":
            return _("This is being approved, so it is locked until it is decided.")
        if opportunity.is_pending and verb in ("change", "transfer"):
            if verb == "change" and self.holds and not self.decides:
                return _("You can no longer decide this: an administrator puts it before somebody else.")
            free = self.decides if verb == "change" else self.user.is_any("administrator")
            return "" if free else _("This is being approved, so it is locked until it is decided.")
        if opportunity.state not in WHEN.get(verb, State):
            return _("This cannot be done now: the opportunity is %(state)s.") % {
                "state": opportunity.get_state_display().lower()
            }
        if verb == "withdraw" and self.was_decided:
            return _("Somebody has decided already, so this can no longer be withdrawn.")
        if verb == "drop" and self.unfinished is None:
            return _("Only a returned request can be dropped.")
        if verb in ("sign", "terminate") and self.unfinished is not None and self.unfinished.act != verb:
            return _("A returned request is still on your desk: resubmit it or drop it first.")
        return ""

    @property
    def offers(self):
        """This will list the acts in the head of the page; what may not be done is absent."""
        return [offer for offer in self._offers if offer.kind != "more"]

    @property
    def more(self):
        return [offer for offer in self._offers if offer.kind == "more"]

    @cached_property
    def _offers(self):
        state = self.opportunity.state
        follow_up = self._offer("add_follow_up", _("Add Follow-up Record"), "opportunity_follow_up", "primary")
        modify = self._offer("change", _("Modify"), "opportunity_edit")
        first = [follow_up]
        if state == State.DRAFT:
            submit = self._offer("report", _("Submit for approval"), "opportunity_edit", "primary")
            first = [submit and submit._replace(url=f"{submit.url}?act=submit"), modify]
        elif state == State.RETURNED:
            first = [self._offer("change", _("Modify"), "opportunity_edit", "primary"), self._plain(follow_up)]
        elif state == State.ACTIVE:
            first += [
                self._offer("sign", _("Apply to sign"), "opportunity_sign"),
                self._offer("terminate", _("Apply to terminate"), "opportunity_terminate"),
                modify,
            ]
        elif state in PENDING:
            first = [self._plain(follow_up) if self.decides else follow_up, modify]
        else:
            first = [
                self._plain(follow_up),
                self._offer("correct", _("Correct"), "opportunity_correct") if state == State.SIGNED else None,
            ]
        offers = [
            *first,
            self._offer("transfer", _("Transfer"), "opportunity_transfer") if state in OPEN else None,
            self._offer("share", _("Share"), "opportunity_share"),
            self._offer("void", _("Void"), "opportunity_void", ask=True) if state in WHEN["void"] else None,
            self._offer("reassign", _("Reassign"), "opportunity_reassign", "more") if state != State.VOID else None,
            self._offer("copy", _("Copy"), "opportunity_copy", "more", ask=True),
        ]
        return [offer for offer in offers if offer is not None]

    def _offer(self, verb, label, url_name, kind="plain", *, ask=False):
        url = self._address(url_name)
        if verb not in self.opportunity.may or url is None:
            return None
        return Offer(label, url, kind, ask, self.obstacle(verb))

    @staticmethod
    def _plain(offer):
        return offer and offer._replace(kind="plain")

    def _address(self, url_name):
        try:
            return reverse(url_name, args=[self.opportunity.pk])
        except NoReverseMatch:  # a page that does not exist yet
            return None

    # Whom it waits for

    @property
    def holds(self):
        """This will tell whether it waits for a decision of the reader."""
        return self.task is not None and self.task.kind == Task.Kind.DECIDE and self.task.holder_id == self.user.pk

    @cached_property
    def decides(self):
        """This will tell whether the reader is the one whom it waits for, and able to decide it."""
        return self.holds and self.task.holder_is_able()

    @property
    def was_decided(self):
        """This will tell whether somebody has decided in the present round."""
        tasks = self.unfinished.tasks.all() if self.unfinished else ()
        return any(task.round_id == self.round.pk and task.decision in Task.DECISIONS for task in tasks)

    @property
    def can_withdraw(self):
        return "withdraw" in self.opportunity.may and not self.obstacle("withdraw")

    @cached_property
    def chain(self):
        return self.unfinished.chain() if self.unfinished else []

    @property
    def waits(self):
        """This will say whom the request waits for, and since when."""
        name, since = self.task.holder, self.task.opened_at
        new = (timezone.now() - since).total_seconds() < 3600
        if self.decides:
            words = {
                Act.REPORT: _("The report waits for you.") if new else _("The report waits for you, %(time)s now."),
                Act.SIGN: _("The signing waits for you.") if new else _("The signing waits for you, %(time)s now."),
                Act.TERMINATE: _("The termination waits for you.")
                if new
                else _("The termination waits for you, %(time)s now."),
            }
        else:
            words = {
                Act.REPORT: _("The report waits for %(name)s.")
                if new
                else _("The report waits for %(name)s, %(time)s now."),
                Act.SIGN: _("The signing waits for %(name)s.")
                if new
                else _("The signing waits for %(name)s, %(time)s now."),
                Act.TERMINATE: _("The termination waits for %(name)s.")
                if new
                else _("The termination waits for %(name)s, %(time)s now."),
            }
        return words[self.unfinished.act] % {"name": name, "time": shown.waited(since)}

    @property
    def meanwhile(self):
        """This will say what the pending request locks."""
        if self.unfinished.act == Act.REPORT:
            return _("Until it is approved, customer, amount and dates are locked.")
        return _("Until it is approved the stage stays %(stage)s and the amount is locked.") % {
            "stage": self.opportunity.stage
        }

    @cached_property
    def sent_back(self):
        """This will give the entry that sent the request back to its owner: a return or a withdrawal."""
        if self.unfinished is None or self.task is None or self.task.kind != Task.Kind.REVISE:
            return None
        back = (Task.Decision.RETURNED, Task.Decision.WITHDRAWN)
        return next((entry for entry in self.unfinished.entries() if entry.kind in back), None)

    @property
    def came_back(self):
        """This will say who sent the request back, and when."""
        entry = self.sent_back
        returned = entry.kind == Task.Decision.RETURNED
        words = {
            Act.REPORT: _("%(name)s returned the report, %(time)s.")
            if returned
            else _("%(name)s withdrew the report, %(time)s."),
            Act.SIGN: _("%(name)s returned the signing, %(time)s.")
            if returned
            else _("%(name)s withdrew the signing, %(time)s."),
            Act.TERMINATE: _("%(name)s returned the termination, %(time)s.")
            if returned
            else _("%(name)s withdrew the termination, %(time)s."),
        }
        return words[self.unfinished.act] % {"name": entry.who, "time": shown.moment(entry.at)}

    @property
    def resubmit_url(self):
        """This will give where the owner asks again."""
        page = {Act.REPORT: "opportunity_edit", Act.SIGN: "opportunity_sign", Act.TERMINATE: "opportunity_terminate"}
        act = self.unfinished.act
        return self._address(page[act]) if act in self.opportunity.may else None

    @property
    def can_drop(self):
        return "withdraw" in self.opportunity.may and self.unfinished.act != Act.REPORT

    @property
    def missing(self):
        """This will list what a draft still needs, in words."""
        return [self.opportunity.label_of(name) for name in self.opportunity.missing()]

    @property
    def granted_by(self):
        """This will name who said the last yes to what is signed or terminated; None for a past record."""
        act = {State.SIGNED: Act.SIGN, State.TERMINATED: Act.TERMINATE}.get(self.opportunity.state)
        entries = (entry for entry in self.entries if entry.approval.act == act)
        return next((entry for entry in entries if entry.kind == Task.Decision.FINISHED), None)

    @property
    def reported(self):
        """This will give the entry that approved the report, or None."""
        granted = (entry for entry in self.entries if entry.kind == Task.Decision.FINISHED)
        return next((entry for entry in granted if entry.approval.act == Act.REPORT), None)

    # Its figures

    @property
    def figures(self):
        opportunity = self.opportunity
        figures = [self._money_beside()]
        if opportunity.state in OPEN:
            figures += [self._forecast(), self._close(), self._next_step()]
        elif opportunity.closed_on:
            figures.append(Figure(_("Closed"), shown.day(opportunity.closed_on)))
        return [figure for figure in figures if figure is not None]

    def _money_beside(self):
        """This will give the other amount that matters beside the grand total, where there is one that differs."""
        opportunity = self.opportunity
        currency = opportunity.currency
        if opportunity.state == State.SIGNED:
            signing = opportunity.signing
            return Figure(_("Signed"), shown.money(signing.amount, currency), self._contract(signing.contract_number))
        if opportunity.state == State.SIGNING:
            form = self.round.form
            amount = shown.money(Decimal(form["signed_amount"]), currency)
            return Figure(_("To be signed"), amount, self._contract(form["contract_number"]))
        if opportunity.approved_amount not in (None, opportunity.amount):
            return Figure(_("Approved"), shown.money(opportunity.approved_amount, currency), _("with the report"))
        return None

    @staticmethod
    def _contract(number):
        return _("contract %(number)s") % {"number": number} if number else ""

    def _forecast(self):
        opportunity = self.opportunity
        if opportunity.amount is None:
            return None
        parts = {"number": opportunity.probability}
        sub = _("%(number)s %%, typed by hand") if opportunity.probability_typed else _("%(number)s %%, from the stage")
        return Figure(_("Forecast"), shown.money(Decimal(opportunity.forecast_cents) / 100), sub % parts)

    def _close(self):
        day = self.opportunity.expected_close_on
        if day is None:
            return Figure(_("Expected close"), _("no date"))
        days = (day - organisation_today()).days
        if days < 0:
            sub = ngettext("%(count)d day late", "%(count)d days late", -days) % {"count": -days}
        else:
            sub = ngettext("in %(count)d day", "in %(count)d days", days) % {"count": days} if days else _("today")
        if moved := self._times_moved():
            times = ngettext("moved once", "moved %(count)d times", moved) % {"count": moved}
            sub = _("%(when)s, %(times)s") % {"when": sub, "times": times}
        return Figure(_("Expected close"), shown.day(day), sub, days < 0)

    def _times_moved(self):
        """This will count how often the expected close was put to another day."""
        days = [day for _at, _stage, day in self.movements if day is not None]
        return sum(one != other for one, other in pairwise(days))

    def _next_step(self):
        planned = next((one for one in self.follow_ups if one.done_at is None), None)
        if planned is None:
            return Figure(_("Next step"), _("none planned"))
        what = Truncator(planned.content.splitlines()[0]).chars(40)
        return Figure(_("Next step"), what, shown.moment(planned.at), planned.at < timezone.now())

    # Its way

    @cached_property
    def stages(self):
        """This will list the stages that are open to be moved to, in order."""
        now = self.opportunity.stage
        open_stages = [stage for stage in self._pipeline if stage.kind == Stage.Kind.OPEN and stage.active]
        return [stage for stage in open_stages if now.may_move_back or not stage.is_back_from(now)]

    @cached_property
    def _pipeline(self):
        return _stages(self.opportunity.stage.pipeline_id)

    @property
    def path(self):
        """This will list the stages with the days in each, and the one that was asked for."""
        now = self.opportunity.stage
        days, since = self._days()
        asked = self.round.form.get("stage") if self.opportunity.is_pending else None
        open_stages = [
            stage
            for stage in self._pipeline
            if stage.kind == Stage.Kind.OPEN and (stage.active or stage.pk in days or stage.pk == now.pk)
        ]
        ends = [stage for stage in self._pipeline if stage.pk in (asked, now.pk) and stage.kind != Stage.Kind.OPEN]
        if not ends:
            ends = [stage for stage in self._pipeline if stage.kind == Stage.Kind.WON]
        reached = now.pk if now.kind == Stage.Kind.OPEN else self._last_open(open_stages, now)
        way, passed = [], True
        for stage in [*open_stages, *ends]:
            spent = _("%(count)d d") % {"count": days[stage.pk]} if stage.pk in days else ""
            if stage.pk == now.pk:
                way.append(Place(stage.name, "current", self._so_far(spent, since)))
            elif stage.pk == asked:
                way.append(Place(stage.name, "asked", _("waits for approval")))
            else:
                way.append(Place(stage.name, "done" if passed else "", spent))
            passed = passed and stage.pk != reached
        return way

    def _last_open(self, open_stages, now):
        """This will give the key of the open stage that a lost one came to; None for a won one."""
        known = {stage.pk for stage in open_stages}
        been = [stage for _at, stage, _day in self.movements if stage in known]
        return been[-1] if been and now.kind == Stage.Kind.LOST else None

    def _so_far(self, spent, since):
        """This will say since when it has been in its stage."""
        if self.opportunity.stage.kind != Stage.Kind.OPEN:
            return ""
        if self.opportunity.is_closed:
            return spent
        if timezone.localdate(since) == timezone.localdate():
            return _("since today")
        return _("since %(date)s, %(days)s") % {"date": shown.day(since), "days": spent}

    def _days(self):
        """This will give ({stage key: whole days in it}, since when it has been in the present one)."""
        seconds, since = {}, timezone.now()
        ends = [at for at, _stage, _day in self.movements[1:]] + [timezone.now()]
        before = None
        for (at, stage, _day), end in zip(self.movements, ends, strict=False):
            seconds[stage] = seconds.get(stage, 0) + (end - at).total_seconds()
            since = since if stage == before else at
            before = stage
        return {stage: int(spent // 86400) for stage, spent in seconds.items()}, since

    @property
    def can_change_lines(self):
        return "change" in self.opportunity.may and not self.obstacle("change")

    @property
    def can_move(self):
        return "move" in self.opportunity.may and self.opportunity.state == State.ACTIVE

    # What was asked for

    @property
    def asked(self):
        """This will list what the request that is being decided or revised asks for, as (label, value)."""
        if self.unfinished is None or self.unfinished.act == Act.REPORT:
            return []
        rows = wording.changes(self.opportunity.approval_asked(self.unfinished.act, self.round.form))
        return [(row.label, row.new) for row in rows if row.new] + self.opportunity.approval_answered(self.round.form)

    @cached_property
    def review(self):
        """This will list (question, answer) of what was learned, once it has ended."""
        return reviews_of(self.opportunity) if self.opportunity.state in (State.SIGNED, State.TERMINATED) else []
