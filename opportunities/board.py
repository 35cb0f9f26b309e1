"""The board: what is open in one pipeline, a column for each stage, with what it comes to; a card moves by `move`."""

import re
from collections import namedtuple
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import groupby

from django.conf import settings
from django.db.models import Count, Q, Sum, Window
from django.db.models.functions import RowNumber
from django.http import Http404, QueryDict
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from approvals.models import Task
from crm import filters, shown
from crm.conditions import Conditions
from crm.moments import organisation_today
from crm.periods import period
from crm.prepared import prepared
from crm.querysets import among, is_wide
from opportunities.lifecycle import OPEN, PENDING, State
from opportunities.lists import OpportunityList
from opportunities.models import CLOSED_FROM, FORECAST, Opportunity
from opportunities.picklists import Pipeline, Stage

AT_FIRST = 12  # cards of a column: twice as many as are seen without scrolling
AT_MOST = 200  # of a column on one page
EPOCH = date(2000, 1, 1)  # from which `list_key` counts
OF_THE_ENDS = ("state", "stage", "closed_on")  # what the columns of the ends say themselves

Sums = namedtuple("Sums", ["count", "amount", "forecast"], defaults=[0, 0, 0])  # the money in hundredths
Way = namedtuple("Way", ["label", "url", "current"])  # a pipeline to look at

CARD = [
    "stage_id", "list_key", "pk", "name", "version", "state", "customer__name", "amount", "currency",
    "expected_close_on", "owner_id", "owner__name", "stage_since", "next_follow_up_at",
]  # fmt: skip


@dataclass
class Lane:
    """A column: an open stage, what all of its opportunities come to, and the first of them as cards."""

    stage: Stage
    sums: Sums | None  # None where they come later
    url: str  # of the list of just these
    moves: str = ""  # the buttons of each card's menu
    keeps: str = ""  # why what is in it moves to no stage before it; "" where it may
    refuses: str = ""  # why nothing moves into it; "" where it may
    cards: list = field(default_factory=list)
    more_url: str = ""  # of the next cards alone
    more_page: str = ""  # of the board with more of this column
    goes_on: bool = False
    left: int = 0  # how many more there are, where it goes on and the sums are there

    @property
    def money(self):
        """This will write the sum and what it is worth: ¥4.81 M · 60 % = ¥2.89 M."""
        amount, forecast = (shown.money_short(Decimal(cents).scaleb(-2)) for cents in self.sums[1:])
        words = {"amount": amount, "forecast": forecast, "percent": self.stage.probability}
        # Somebody may have typed another probability; and each is rounded to a hundredth.
        off = abs(self.sums.amount * self.stage.probability - self.sums.forecast * 100)
        if off <= 100 * self.sums.count:
            return _("%(amount)s · %(percent)d %% = %(forecast)s") % words
        return _("%(amount)s · forecast %(forecast)s") % words

    @property
    def money_whole(self):
        """This will write the same to the last hundredth."""
        amount, forecast = (shown.money(Decimal(cents).scaleb(-2)) for cents in self.sums[1:])
        return _("Amount %(amount)s, forecast %(forecast)s") % {"amount": amount, "forecast": forecast}


@dataclass
class End:
    """The folded column of won or of lost: how many there were this month."""

    kind: str
    label: str
    count: int | None  # None where it comes later
    url: str
    refuses: str  # why somebody's card is not dropped on it


class Days(dict):
    """How long a card has been in its stage, in short and in full, by the number of days: many cards share one."""

    def __missing__(self, days):
        in_full = ngettext("%(count)d day in this stage", "%(count)d days in this stage", days)
        self[days] = words = (_("%(count)d d") % {"count": days}, in_full % {"count": days})
        return words


class Board(OpportunityList):
    """
    The list of opportunities, narrowed by the same parameters, laid out by stage. `pipeline` is the key of another
    pipeline than the one that the reader's department begins in: to the list that is a condition, and so a view holds
    it; here it says which one is laid out. `shown.<stage>` how many cards of a column there are;
    `moved` the key of a card that is there in any case, since it has just come.

    What the columns come to is exact, so it is added up each time, which in a large company takes longer than all the
    rest: there the cards come at once, and the sums by a request of their own.
    """

    layout = "board"
    template = "opportunities/board.html"
    answers = ("pipeline",)
    at_first = AT_FIRST

    @classmethod
    def paths(cls, address):
        also_posted = require_http_methods(["GET", "HEAD", "POST"])
        return [
            path(address, require_safe(lambda request: cls(request).page()), name=f"{cls.name}_board"),
            path(
                f"{address}filter/",
                also_posted(lambda request: filters.answer(cls(request))),
                name=f"{cls.name}_board_filter",
            ),
            path(
                f"{address}totals/",
                require_safe(lambda request: cls(request).page_of_totals()),
                name=f"{cls.name}_board_totals",
            ),
        ]

    def page(self):
        if self.elsewhere:
            return redirect(self.elsewhere)
        if "column" not in self.request.GET:
            return self.shown_page()
        lane = next((lane for lane in self.lanes if lane.stage.key == self.request.GET["column"]), None)
        if lane is None:
            raise Http404
        return render(self.request, "opportunities/_cards.html", {"lane": lane})

    def page_of_totals(self):
        """This will give what the columns come to, each to be put where it belongs."""
        self.sums_come_late = False
        return render(self.request, "opportunities/_board_totals.html", {"listing": self})

    # Which pipeline

    def read_query(self):
        super().read_query()
        self._asked_for = self.conditions.take_out("pipeline")

    @cached_property
    def _every_stage(self):
        return _every_stage()

    @cached_property
    def _pipelines(self):
        return list({stage.pipeline_id: stage.pipeline for stage in self._every_stage}.values())

    @cached_property
    def pipeline(self):
        return next((one for one in self._pipelines if one.key in self._asked_for), None) or self._begins_with

    @cached_property
    def _begins_with(self):
        """This will give the pipeline that the board shows where nothing says which."""
        return Pipeline.to_begin_in(self.user.department, [one for one in self._pipelines if one.active])

    @cached_property
    def ways(self):
        """This will list the pipelines to choose from: those in use, and retired ones that something is still in."""
        retired = [one.pk for one in self._pipelines if not one.active]
        used = set()
        if retired:
            seen = Opportunity.objects.visible_to(self.user).open().filter(stage__pipeline__in=retired)
            used = set(seen.order_by().values_list("stage__pipeline", flat=True).distinct())
        return [
            Way(one.name, self.address(self._asked(pipeline=one.key)), one == self.pipeline)
            for one in self._pipelines
            if one.active or one.pk in used or one == self.pipeline
        ]

    @cached_property
    def errors(self):
        lacking = [_("This pipeline has no stage yet, so the board shows another one.")]
        return [*super().errors, *(lacking if self._asked_for and self.pipeline.key not in self._asked_for else [])]

    def asked_in(self, query):
        """This will leave out the pipeline that the board shows anyway."""
        asked = super().asked_in(query)
        if asked.get("pipeline") == [self._begins_with.key]:
            del asked["pipeline"]
        return asked

    def query_of_tab(self, tab):
        query = super().query_of_tab(tab)
        if self.pipeline != self._begins_with:
            query["pipeline"] = self.pipeline.key
        return query

    def held_query(self):
        """This will name the pipeline also where it is the reader's own: others may begin with another."""
        query = super().held_query()
        if len(self._pipelines) > 1:
            query["pipeline"] = self.pipeline.key
        return query

    @cached_property
    def _stages_here(self):
        return [stage for stage in self._every_stage if stage.pipeline_id == self.pipeline.pk]

    @cached_property
    def _open_stages(self):
        return [stage for stage in self._stages_here if stage.kind == Stage.Kind.OPEN]

    # What it comes to

    @cached_property
    def _ended(self):
        """This will narrow to what was asked for, but OF_THE_ENDS."""
        query = self.query.copy()
        for name in [name for name in query if name.partition(".")[0] in (*OF_THE_ENDS, *self.answers)]:
            del query[name]
        conditions = Conditions.from_query(query, Opportunity, self.user)
        return Opportunity.objects.sought(self.text, self.user).filter(conditions.q())

    @cached_property
    def _month(self):
        """This will give the first and the last day of the organisation's month, which may not be its reader's."""
        return period("this_month", organisation_today())

    @cached_property
    def sums_come_late(self):
        """This will tell whether the page leaves out what its columns come to, and then asks for it."""
        if self.shows_totals:
            return False
        last = _last()  # counting them would take long
        return bool(last) and last[0] > settings.BOARD_SUMS_AT_ONCE

    @cached_property
    def sums(self):
        """This will give {stage: Sums}, in one query: of all that is open in it; of the ends, of this month."""
        ends = [stage.pk for stage in self._stages_here if stage.kind != Stage.Kind.OPEN]
        first, last = (20_000_000 - (day - EPOCH).days for day in self._month)  # the key of what closed on such a day
        closed = Q(list_key__gt=CLOSED_FROM, list_key__lte=first, list_key__gte=last, stage__in=ends)
        opened = Q(state__in=OPEN, stage__in=[stage.pk for stage in self._open_stages])
        parts = [
            found.filter(branch, which)
            .order_by()
            .values_list("state", "stage")  # as the indexes have them that hold what is summed
            .annotate(count=Count("*"), amount=Sum("base_cents"), forecast=Sum(FORECAST))
            for branch in self._branches
            for found, which in ((self._found, opened), (self._ended, closed))
        ]
        found = {}
        for _state, stage, *figures in parts[0].union(*parts[1:], all=True) if parts else ():
            before = found.get(stage, Sums())
            found[stage] = Sums(*(old + (new or 0) for old, new in zip(before, figures, strict=True)))
        return found

    def _sums_of(self, stage):
        return None if self.sums_come_late else self.sums.get(stage.pk, Sums())

    @cached_property
    def totals(self):
        sums = [self.sums.get(stage.pk, Sums()) for stage in self._open_stages]
        count, amount, forecast = (sum(column) for column in zip(*sums, strict=True)) if sums else (0, 0, 0)
        return {"count": count, "amount": amount, "forecast": forecast}

    # Its columns

    @cached_property
    def lanes(self):
        """This will list the columns with their cards; that of a retired stage only while something is in it."""
        column = self.request.GET.get("column")
        lanes = [lane for lane in self.bare_lanes if column in (None, lane.stage.key)]
        self._fill(lanes)
        return [lane for lane in lanes if lane.stage.active or lane.cards]

    @cached_property
    def bare_lanes(self):
        """This will list a column without cards for each stage."""
        return [
            Lane(
                stage,
                self._sums_of(stage),
                self._list(stage=stage.key, state="open"),
                keeps="" if stage.may_move_back else _from(stage),
                refuses="" if stage.active else _("“%(stage)s” is retired, so nothing moves there.") % {"stage": stage},
            )
            for stage in self._open_stages
            if stage.active or self.sums_come_late or stage.pk in self.sums
        ]

    @cached_property
    def ends(self):
        """This will list the folded columns, won before lost."""
        first, last = (day.isoformat() for day in self._month)
        month = {"closed_on": None, "closed_on.from": first, "closed_on.until": last}
        words = {Stage.Kind.WON: _("Won this month"), Stage.Kind.LOST: _("Lost this month")}
        refuses = _("Only the person in charge of an opportunity asks to have it won or lost.")
        ended = [
            (kind, label, stage) for kind, label in words.items() for stage in self._stages_here if stage.kind == kind
        ]
        return [
            End(kind, label, sums and sums.count, self._list(stage=stage.key, state=None, **month), refuses)
            for kind, label, stage in ended
            for sums in [self._sums_of(stage)]
        ]

    @property
    def said(self):
        if self.is_empty:
            return _("Nothing matches")
        return str(self.pipeline if self.sums_come_late else self.counted % {"count": self.totals["count"]})

    @property
    def is_empty(self):
        """This will tell whether what was asked for leaves nothing to lay out."""
        if not self.narrowed or any(lane.cards for lane in self.lanes):
            return False
        return not any(sums.count for sums in self.sums.values())

    def count_of(self, text, asked):
        return super().count_of(text, asked & Q(state__in=OPEN, stage__in=[stage.pk for stage in self._open_stages]))

    def _limit(self, stage):
        text = self.request.GET.get(f"shown.{stage.key}", "")
        wanted = int(text) if re.fullmatch(r"\d{1,4}", text, re.ASCII) else AT_FIRST
        return min(max(wanted, AT_FIRST), AT_MOST)

    @cached_property
    def _after(self):
        """This will give (list_key, pk) of the card behind which a column goes on, and how many came before."""
        found = re.fullmatch(r"(\d{1,9})_(\d{1,18})_(\d{1,7})", self.request.GET.get("after", ""), re.ASCII)
        return tuple(int(part) for part in found.groups()) if found else None

    def _fill(self, lanes):
        """
        This will put the first cards into the columns, read in one query: those of each column and branch are the
        first of an index.
        """
        parts = list(self._first_of([lane.stage for lane in lanes if lane.sums is None or lane.sums.count]))
        moved = self.request.GET.get("moved", "")
        if parts and re.fullmatch(r"\d{1,18}", moved, re.ASCII):
            here = Q(pk=int(moved), stage__in=[lane.stage.pk for lane in lanes], list_key__lt=CLOSED_FROM)
            parts.append(Opportunity.objects.visible_to(self.user).filter(here).values("pk"))
        if not parts:
            return
        rows = sorted(Opportunity.objects.filter(among(parts)).values_list(*CARD), key=lambda row: row[:3])
        held = {stage: [*group] for stage, group in groupby(sorted(rows, key=lambda row: row[0]), lambda row: row[0])}
        cut = []
        for lane in lanes:
            found, most = held.get(lane.stage.pk, []), self._limit(lane.stage)
            kept, over = found[:most], found[most:]
            come = [row for row in over if str(row[2]) == moved]
            before = self._after[2] if self._after else 0
            lane.goes_on = len(over) > len(come)
            if lane.sums:
                lane.left = max(0, lane.sums.count - before - len(kept) - len(come))
            cut.append((lane, come + kept, kept))
        self._read_along([row for _lane, rows, _kept in cut for row in rows])
        for lane, rows, kept in cut:
            lane.moves = self._moves(lane.stage)
            lane.cards = [self._card(lane.stage, *row[2:]) for row in rows]
            if lane.goes_on:
                so_far = (self._after[2] if self._after else 0) + len(kept)
                after = f"{kept[-1][1]}_{kept[-1][2]}_{so_far}"
                lane.more_url = self.address(self._asked(column=lane.stage.key, after=after))
                more = {f"shown.{lane.stage.key}": min(so_far + AT_FIRST, AT_MOST)}
                whole = self._list(stage=lane.stage.key, state="open")
                lane.more_page = (
                    whole if so_far >= AT_MOST else f"{self.address(self._asked(**more))}#lane-{lane.stage.pk}"
                )

    def _first_of(self, stages):
        """
        This will give the keys of the first cards of the columns, branch by branch. Of a province, or all there is,
        each column is the beginning of an index; of less, the rows are counted through.
        """
        if not stages:
            return
        open_ = self._found.filter(list_key__lt=CLOSED_FROM)
        if self._after:
            key, pk, _so_far = self._after
            open_ = open_.filter(list_key__gte=key).filter(Q(list_key__gt=key) | Q(pk__gt=pk))
        for number, branch in enumerate(self._branches):
            if number == 0 and is_wide(self.user):
                for stage in stages:
                    first = open_.filter(branch, stage=stage).order_by("list_key", "pk")[: self._limit(stage) + 1]
                    yield Opportunity.objects.filter(pk__in=first.values("pk")).values("pk")
                continue
            place = Window(RowNumber(), partition_by="stage", order_by=["list_key", "pk"])
            most = max(self._limit(stage) for stage in stages) + 1
            yield open_.filter(branch, stage__in=stages).annotate(place=place).filter(place__lte=most).values("pk")

    # Its cards

    def _read_along(self, rows):
        pks = [row[2] for row in rows]
        tasks = Task.objects.open_about(Opportunity, pks)
        self._tasks = {pk: task for pk, *task in tasks.values_list("about_id", "kind", "holder__name", "opened_at")}
        others = [row[2] for row in rows if row[10] != self.user.pk]
        may = Opportunity.objects.filter(pk__in=others).permitted(self.user, "move")
        self._added = Opportunity.on_cards(pks)
        self._movable = set(may.order_by().values_list("pk", flat=True)) if others else set()

    def _card(
        self, stage, pk, name, version, state, customer, amount, currency, closes, owner_pk, owner, since, follow_up
    ):
        now, mine = timezone.now(), owner_pk == self.user.pk
        days = max(0, (now - since).days)
        days_short, days_said = self._days[days]
        line, line_class, holder = self._line(pk, state)
        return {
            "pk": pk,
            "url": self.url(pk),
            "name": name,
            "version": version,
            "customer": customer or "",
            "amount": shown.money_short(amount, currency),
            "amount_whole": shown.money(amount, currency),
            "closes": shown.day(closes),
            "closes_on": closes and closes.isoformat(),
            "late": closes is not None and closes < self._today,
            "days": days_short,
            "days_said": days_said,
            "rotten": stage.rots_after is not None and days >= stage.rots_after,
            "owner": owner,
            "initials": shown.initials(owner),
            "mine": mine,
            "added": self._added.get(pk, ()),
            "move": self._move % {"name": name},
            "next": shown.day(follow_up),
            "next_late": follow_up is not None and follow_up < now,
            "line": line,
            "line_class": line_class,
            "state_class": "returned" if line_class == "bad" else shown.state_class(state),
            "may": mine or pk in self._movable,
            "moves": state == State.ACTIVE,
            "ends": mine and state == State.ACTIVE,
            "locked": self._locked(state, holder),
        }

    @cached_property
    def _move(self):
        return _("Move %(name)s to…")

    @cached_property
    def _days(self):
        """This will give how long a card has been in its stage, in short and in full, by the number of days."""
        return Days()

    def _line(self, pk, state):
        """This will give what stands at the foot of a card, its class, and whom the card waits for."""
        kind, holder, since = self._tasks.get(pk, (None, None, None))
        waits = {"waits": holder and shown.waits_for(holder, since)}
        if kind == Task.Kind.REVISE:
            return _("Returned to %(waits)s") % waits, "bad", None
        if holder and state in PENDING:
            words = {
                State.REPORTING: _("Report: %(waits)s"),
                State.SIGNING: _("Sign: %(waits)s"),
                State.TERMINATING: _("Terminate: %(waits)s"),
            }
            return words[state] % waits, "", holder
        return ("", "", None) if state == State.ACTIVE else (State(state).label, "plain", None)

    @staticmethod
    def _locked(state, holder):
        """This will say why a card cannot be moved now; "" where it can."""
        if state in PENDING:
            if holder:
                return _("It waits for %(name)s, and moves once that is decided.") % {"name": holder}
            return _("This is being approved, so it cannot be moved until it is decided.")
        return "" if state == State.ACTIVE else _("It moves through the stages once its report is approved.")

    def _moves(self, stage):
        """This will write the buttons of the menu on each card of a column: the stages that it may go to from there."""
        to = [
            one
            for one in self._open_stages
            if one.active and one != stage and (stage.may_move_back or not one.is_back_from(stage))
        ]
        return render_to_string("opportunities/_moves.html", {"stages": to, "listing": self}, self.request)

    # Addresses

    def address(self, query, of=""):
        """This will give the address of the board, or of what it shares with the list."""
        return super().address(query, {"": "board", "filter": "board_filter", "totals": "board_totals"}.get(of, of))

    def _asked(self, **changes):
        """This will give the query of the board with `changes`, without what says where in it one is."""
        passing = {"column": None, "after": None, "moved": None, "page": None}
        return self.asked(**passing | changes)

    def _list(self, **changes):
        """This will give the address of the list, asked what the board is asked, with `changes`."""
        query = self._asked(pipeline=None, sort=None)
        for name in [name for name in query if name.startswith("shown.")]:
            del query[name]
        for name, value in changes.items():
            for old in [old for old in query if old.partition(".")[0] == name]:
                del query[old]
            if value is not None:
                query[name] = value
        return f"{reverse('opportunities')}?{query.urlencode()}"

    @property
    def counted_url(self):
        """This will give the list that has the numbers of the foot."""
        which = {"pipeline": self.pipeline.key} if len(self._pipelines) > 1 else {}
        return self._list(state="open", stage=None, **which)

    @property
    def carried(self):
        """This will give what a form takes along, so that its answer is this board again."""
        return self._asked().urlencode()

    @property
    def export_url(self):
        query = self._asked(pipeline=self.pipeline.key if len(self._pipelines) > 1 else None).urlencode()
        return f"{reverse('opportunities_export')}?{query}"

    @property
    def kept(self):
        return [pair for pair in super().kept if pair[0] not in ("column", "after", "moved")]


@prepared
def _last():
    return Opportunity.objects.order_by("-pk").values_list("pk", flat=True)[:1]


@prepared
def _every_stage():
    stages = Stage.objects.select_related("pipeline")
    return stages.order_by("pipeline__order", "pipeline__key", "order", "key")


def _from(stage):
    """This will say that a stage lets go of nothing but forwards."""
    return _("From “%(stage)s” an opportunity only goes on, not back.") % {"stage": stage}


def address_of(query, **changes):
    """This will give the address of the board that was asked `query`, a text."""
    asked = QueryDict(query[:2000], mutable=True)
    for name, value in changes.items():
        asked[name] = value
    return f"{reverse('opportunities_board')}?{asked.urlencode()}" if asked else reverse("opportunities_board")
