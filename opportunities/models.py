"""What we may sell: opportunities, who shares them, how they were signed, and where they stood on any past day."""

from contextlib import contextmanager
from copy import copy
from decimal import Decimal

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Case, Count, Exists, F, Q, Sum, Value, When
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy
from django_fsm import TransitionNotAllowed

from approvals.models import Act, Approval, Round, Task, changed
from crm import kinds, linked, permissions, shown
from crm.custom_values import Customised
from crm.functions import DayNumber
from crm.models import Placed, User
from crm.moments import organisation_today
from crm.money import Priced
from crm.pinyin import sort_key
from crm.prepared import prepared
from crm.querysets import Guarded, in_scope
from crm.texts import Findable
from crm.verbs import NotAllowed, Refused, acting, whole
from customers.models import Contact, Customer
from notices.files import Filed
from notices.history import Event, Recorded, describe
from notices.models import Delivery, Message
from opportunities import earlier, reviews
from opportunities.crediting import credit
from opportunities.entry import Entry
from opportunities.follow_ups import FollowUp
from opportunities.lifecycle import CLOSED, OPEN, PENDING, Lifecycle, State
from opportunities.lines import Line, Lined
from opportunities.picklists import BusinessType, FollowUpKind, LostReason, Pipeline, Source, Stage
from opportunities.products import Product, RevenueCategory
from opportunities.ranking import Ranked, Reported, Signed
from opportunities.shares import OpportunityGroupShare, OpportunityUserShare
from opportunities.signings import Movement, Signing
from opportunities.texts import OpportunityText

__all__ = [
    "BusinessType", "FollowUp", "FollowUpKind", "Line", "LostReason", "Pipeline", "Product", "RevenueCategory",
    "Source", "Stage", "State",
]  # fmt: skip


class Incomplete(Refused):
    """Fields are empty that the act needs. `fields` lists their names."""

    def __init__(self, fields):
        labels = [Opportunity.label_of(name) for name in fields]
        super().__init__(_("Still needed: %(fields)s.") % {"fields": ", ".join(labels)}, field=fields[0])
        self.fields = fields


def _shared(user, departments, **wanted):
    """This will give two querysets of one column: the keys of what is shared with a person, and with departments."""
    return [
        OpportunityUserShare.objects.filter(user=user, **wanted).values("content_object"),
        OpportunityGroupShare.objects.filter(group__department__in=departments, **wanted).values("content_object"),
    ]


NO_DEPARTMENT = 0  # a key that none has


@prepared
def _with_ties(pk, about_type, person, *departments):
    """One opportunity with what its pages say, and what was given to a person with it."""
    of_person = OpportunityUserShare.objects.filter(content_object=pk, user=person)
    of_departments = OpportunityGroupShare.objects.filter(content_object=pk, group__department__in=departments)
    tasks = Task.objects.filter(about_type=about_type, about_id=pk, holder=person)
    to_edit = {"permission__codename": "change_opportunity"}
    return (
        Opportunity.objects.select_related(*Opportunity.PAGE_JOINS)
        .annotate(
            shared=Exists(of_person),
            shared_to_edit=Exists(of_person.filter(**to_edit)),
            shared_widely=Exists(of_departments),
            shared_widely_to_edit=Exists(of_departments.filter(**to_edit)),
            asked=Exists(tasks),
            asked_now=Exists(tasks.open()),
        )
        .filter(pk=pk)
    )


class OpportunityQuerySet(Guarded):
    """The vocabulary of opportunities."""

    def columns(self, reason, user):
        if reason in (permissions.SCOPE, permissions.CHIEF):
            return in_scope(user) & ~Q(state=State.DRAFT)
        return super().columns(reason, user)

    def is_seen(self, reason, user, record):
        if reason in (permissions.SCOPE, permissions.CHIEF) and record.state == State.DRAFT:
            return False
        return super().is_seen(reason, user, record)

    def keys(self, reason, user):
        if reason in (permissions.VIEW_SHARE, permissions.EDIT_SHARE):
            wanted = {"permission__codename": "change_opportunity"} if reason == permissions.EDIT_SHARE else {}
            return _shared(user.pk, user.department_ids, **wanted)
        if reason in (permissions.OPEN_TASK, permissions.PAST_TASK):
            tasks = Task.objects.filter(holder=user, about_type=ContentType.objects.get_for_model(self.model))
            return [(tasks.open() if reason == permissions.OPEN_TASK else tasks).order_by().values("about_id")]
        return super().keys(reason, user)

    def with_ties(self, user, pk):
        """
        This will give (one opportunity with what its pages say, all reasons that hold between it and `user`, as
        `reasons_held` does), by a question that is prepared; (None, no reason) where there is none.
        """
        if pk > models.BigIntegerField.MAX_BIGINT:
            return None, set()
        about_type = ContentType.objects.get_for_model(self.model).pk
        for it in _with_ties(pk, about_type, user.pk, *(user.department_ids or [NO_DEPARTMENT])):
            given = {
                permissions.VIEW_SHARE: it.shared or it.shared_widely,
                permissions.EDIT_SHARE: it.shared_to_edit or it.shared_widely_to_edit,
                permissions.PAST_TASK: it.asked,
                permissions.OPEN_TASK: it.asked_now,
            }
            held = self.reasons_seen(user, it) | {reason for reason, holds in given.items() if holds}
            return it, held & permissions.possible(user, self.model.guard)
        return None, set()

    def open(self):
        return self.filter(state__in=OPEN)

    def pending(self):
        return self.filter(state__in=PENDING)

    def owned_by(self, user):
        return self.filter(owner=user)

    def shared_with(self, user, departments):
        """This will narrow to what others share with this person (a key) or with one of these departments (keys)."""
        return self.filter(self.is_shared_with(user, departments))

    def is_shared_with(self, user, departments):
        """This will give that as a condition; a plain IN, since it stands beside `among`."""
        by_person, by_group = _shared(user, departments)
        return Q(pk__in=by_person.union(by_group)) & ~Q(owner=user)

    def in_order(self):
        """This will order as the product does: open by expected close, undated last; then closed, latest first."""
        return self.order_by("list_key", "id")

    def for_rows(self):
        """This will bring along what a short list shows of each, without a query per row."""
        return self.select_related("customer", "owner", "stage__pipeline").prefetch_related("stage__pipeline__stages")

    def restage(self, stage, *, by):
        """
        This will put all of them into `stage`, whatever their state, and bring their probability in line: the bulk twin
        of `move`, for an administrator who makes two stages one, or gives a stage another probability. That is a change
        of the list and none of the case, so pending ones follow too. Gives how many they were.
        """
        keys = list(self.select_for_update().order_by("pk").values_list("pk", flat=True))
        now = timezone.now()
        for start in range(0, len(keys), RESTAGED_AT_ONCE):
            chunk = self.model.objects.filter(pk__in=keys[start : start + RESTAGED_AT_ONCE])
            changed, events = [], []
            for it in chunk.select_related("stage").order_by("pk"):
                it.remember()
                if it.stage_id != stage.pk:
                    it.stage_since = now
                it.stage = stage
                if not it.probability_typed and not it.is_closed:
                    it.probability = stage.probability
                if changes := it.changes():
                    changed.append(it)
                    events.append(it.event("moved" if "stage" in changes else "changed", by=by, changes=changes))
            stays = When(Q(probability_typed=True) | Q(state__in=CLOSED), then=F("probability"))
            self.model.objects.filter(pk__in=[it.pk for it in changed]).update(
                stage=stage,
                stage_since=Case(When(stage=stage, then=F("stage_since")), default=Value(now)),
                probability=Case(stays, default=Value(stage.probability)),
                version=F("version") + 1,
                updated_at=now,
            )
            Event.objects.bulk_create(events)
            Movement.objects.bulk_create(it.movement(now) for it in changed)
        return len(keys)

    def figures(self):
        """This will count them, and sum up what is open in base currency, in one query."""
        is_open = Q(state__in=OPEN)
        found = self.aggregate(
            count=Count("*"),
            open=Count("pk", filter=is_open),
            open_cents=Coalesce(Sum("base_cents", filter=is_open), 0),
            signed=Count("pk", filter=Q(state=State.SIGNED)),
        )
        return found | {"open_amount": Decimal(found["open_cents"]).scaleb(-2)}


RESTAGED_AT_ONCE = 500
SORTED_BY = ("base_cents", "updated_at", "created_at", "probability", "last_follow_up_at", "next_follow_up_at")
CLOSED_FROM = 10_000_000  # the `list_key` that no open opportunity reaches and every closed one passes

# The forecast amount in hundredths of the base currency; `Opportunity.forecast_cents` is its twin in Python.
FORECAST = Case(
    When(state=State.VOID, then=Value(0)),
    default=(F("base_cents") * F("probability") + 50) / 100,
    output_field=models.BigIntegerField(),
)


class SharedWithReader(kinds.YesNo):
    """Whether others share it with whoever asks, or with a department of theirs."""

    part = kinds.PEOPLE

    def compare(self, op, value, asked):
        if asked.user is None:
            return (kinds.NOBODY, lambda record: False) if value else (kinds.EVERYBODY, lambda record: True)
        shared = self.model.objects.is_shared_with(asked.user.pk, asked.user.department_ids)
        return (
            shared if value else ~shared,
            lambda record: self.model.objects.filter(shared, pk=record.pk).exists() is value,
        )


class WaitsFor(linked.ManyPeople):
    """Who has the open task about it."""

    words = kinds.Field.words
    related_model = User
    owner, to = "about_id", "holder"
    few = True

    def links(self):
        return Task.objects.open_about(self.model).order_by()


class InPipeline(kinds.Pick):
    """Of which pipeline its stage is."""

    operators = ("is", "is_not", "in", "not_in")
    related_model = Pipeline

    def compare(self, op, value, asked):
        held = self.held(value if op == "in" else [value], asked)
        stages = Stage.objects.filter(pipeline__in=held).order_by().values("pk")
        return Q(stage__in=stages), lambda record: record.stage.pipeline_id in held


class Opportunity(Placed, Priced, Lifecycle, Entry, Lined, Filed, Customised, Recorded, Findable):
    """A possible sale to a customer, in the charge of one person."""

    guard = "opportunity"
    TEXT = OpportunityText
    SAID_BY = ("name", "customer_id", "number", "reference")
    HAS_DRAFTS = True
    NUMBER = "OP"
    IN_HAND = ngettext_lazy("%(count)d open opportunity", "%(count)d open opportunities", "count")
    BEGINS_WITH = ("opportunities.Movement", "opportunities.Signing")
    TRACKED = (
        "name", "reference", "customer", "business_type", "source", "state", "stage", "amount", "amount_from",
        "probability", "expected_close_on", "description", "owner", "department", "closed_on", "lost_reason",
        "closing_note",
    )  # fmt: skip
    REQUIRED = ("name", "customer", "business_type", "amount", "expected_close_on")
    FROZEN = frozenset(
        {"name", "customer", "business_type", "amount", "amount_from", "lines", "stage", "expected_close_on"}
    )
    APPROVAL_CORE = ("customer", "business_type", "amount")
    APPROVAL_KEYS = ("amount", "customer", "expected_close_on")
    APPROVAL_JOINS = ("customer", "business_type", "source", "stage", "owner", "department")
    APPROVAL_LISTED = ("customer",)
    PAGE_JOINS = ("customer", "business_type", "source", "stage", "owner__department", "department")
    MOVING = {"stage", "amount", "probability", "expected_close_on", "owner", "department", "state"}
    CONDITIONS = kinds.Fields(
        state=kinds.Choice(
            groups={
                "open": (_("open"), OPEN),
                "pending": (_("waiting for approval"), PENDING),
                "closed": (_("closed"), CLOSED),
            }
        ),
        stage=kinds.Pick(),
        pipeline=InPipeline(_("Pipeline")),
        business_type=kinds.Pick(),
        owner=kinds.Person(),
        department=kinds.InDepartment(),
        customer=kinds.Record(),
        expected_close_on=kinds.Day(),
        amount=kinds.Money(),
        probability=kinds.Number(),
        source=kinds.Pick(),
        name=kinds.Text(),
        number=kinds.Text(),
        created_at=kinds.Moment(),
        stage_since=kinds.Moment(_("In this stage since")),
        updated_at=kinds.Moment(),
        closed_on=kinds.Day(),
        last_follow_up_at=kinds.Moment(),
        next_follow_up_at=kinds.Moment(),
        contacts=linked.ManyRecords(_("Contacts"), "placements.contact"),
        products=linked.ManyPicks(_("Products"), "lines.product"),
        categories=linked.ManyPicks(_("Revenue category"), "lines.category"),
        customer_industry=linked.Through(_("Industry of the customer"), "customer", "industry"),
        customer_level=linked.Through(_("Level of the customer"), "customer", "level"),
        customer_status=linked.Through(_("Status of the customer"), "customer", "status"),
        waits_for=WaitsFor(_("Waiting for")),
        shared=SharedWithReader(_("Shared with me")),
        shared_with=linked.ManyPeople(_("Shared with"), "user_shares.user"),
        approved_amount=kinds.Sum(_("Approved amount")),
        lost_reason=kinds.Pick(_("Reason of the termination")),
        has_files=kinds.Has(_("Has files"), "file_count"),
        has_lines=kinds.Has(_("Has lines"), "line_count"),
        reference=kinds.Text(),
        created_by=kinds.Person(_("Entered by")),
        signed=Ranked(_("Signed"), Signed),
        reported=Ranked(_("Report approved"), Reported),
        review=reviews.Reviewed(_("Review")),
    )

    number = models.CharField(_("number"), max_length=20, unique=True, editable=False)
    # its number where it came from
    reference = models.CharField(_("reference"), max_length=60, blank=True, db_index=True)
    name = models.CharField(_("opportunity name"), max_length=200)
    customer = models.ForeignKey(
        Customer, models.PROTECT, null=True, blank=True, related_name="opportunities", verbose_name=_("customer")
    )
    business_type = models.ForeignKey(
        BusinessType,
        models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        verbose_name=_("business type"),
    )
    source = models.ForeignKey(
        Source, models.PROTECT, null=True, blank=True, db_index=False, related_name="+", verbose_name=_("source")
    )
    stage = models.ForeignKey(Stage, models.PROTECT, db_index=False, related_name="+", verbose_name=_("stage"))
    probability = models.PositiveSmallIntegerField(_("probability"))
    probability_typed = models.BooleanField(default=False, editable=False)  # else it follows the stage
    expected_close_on = models.DateField(_("expected close date"), null=True, blank=True)
    description = models.TextField(_("description"), blank=True)
    contacts = models.ManyToManyField(Contact, through="OpportunityContact", related_name="opportunities")

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="opportunities",
        db_index=False,
        verbose_name=_("person in charge"),
    )
    approved_amount = models.DecimalField(max_digits=16, decimal_places=2, null=True, editable=False)
    closed_on = models.DateField(_("closed on"), null=True, editable=False)
    lost_reason = models.ForeignKey(
        LostReason,
        models.PROTECT,
        null=True,
        editable=False,
        db_index=False,
        related_name="+",
        verbose_name=_("reason"),
    )
    closing_note = models.TextField(_("note"), blank=True, editable=False)
    stage_since = models.DateTimeField(default=timezone.now, editable=False)  # as its movements say
    last_follow_up_at = models.DateTimeField(_("last follow-up"), null=True, editable=False)
    next_follow_up_at = models.DateTimeField(_("next follow-up"), null=True, editable=False)
    name_key = models.CharField(max_length=40, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False, db_index=False
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)
    list_key = models.GeneratedField(
        expression=Case(
            When(
                state__in=CLOSED,
                then=Value(20_000_000)
                - Coalesce(DayNumber(F("closed_on")), DayNumber(F("expected_close_on")), Value(-8_000_000)),
            ),
            default=Coalesce(DayNumber(F("expected_close_on")), Value(8_000_000)),
            output_field=models.IntegerField(),
        ),
        output_field=models.IntegerField(),
        db_persist=True,
    )

    objects = OpportunityQuerySet.as_manager()

    class Meta:
        verbose_name = _("opportunity")
        verbose_name_plural = _("opportunities")
        indexes = [
            *(
                models.Index(fields=[*lead, "list_key", "id"], name=f"opp_list_{'_'.join(lead) or 'all'}")
                for lead in ([], ["owner"], ["department"], ["city"], ["province"], ["stage"], ["state"])
            ),
            *(models.Index(fields=[name, "id"], name=f"opp_{name}") for name in (*SORTED_BY, "name_key")),
            *(
                models.Index(
                    fields=[*lead, "state", "stage", "probability", "base_cents"],
                    name=f"opp_sum_{'_'.join(lead) or 'all'}",
                )
                for lead in ([], ["owner"], ["department"], ["city"], ["province"])
            ),
            models.Index(fields=["expected_close_on", "base_cents"], name="opp_close"),
            models.Index(fields=["stage", "business_type", "expected_close_on"], name="opp_stage_type_close"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(customer__isnull=False) | Q(state__in=["draft", "void"]),
                name="opportunity_customer_unless_draft",
            ),
            models.CheckConstraint(
                condition=Q(state="signed", probability=100)
                | Q(state="terminated", probability=0)
                | (~Q(state__in=["signed", "terminated"]) & Q(probability__range=(1, 99))),
                name="opportunity_probability",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["signed", "terminated", "void"], closed_on__isnull=False)
                | (~Q(state__in=["signed", "terminated", "void"]) & Q(closed_on=None)),
                name="opportunity_closed_on",
            ),
        ]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("opportunity", args=[self.pk])

    # Questions

    @classmethod
    def held_by(cls, person):
        return cls.objects.owned_by(person).open()

    @property
    def is_late(self):
        return (
            not self.is_closed and self.expected_close_on is not None and self.expected_close_on < organisation_today()
        )

    @property
    def forecast_cents(self):
        return 0 if self.state == State.VOID else (self.base_cents * self.probability + 50) // 100

    @property
    def open_approval(self):
        return Approval.objects.about(self).unfinished().first()

    @property
    def open_task(self):
        approval = self.open_approval
        return approval and approval.open_task

    def task_held_by(self, user):
        """This will give the task with which `user` can decide the pending request; None for everybody else."""
        task = self.open_task if self.is_pending else None
        return task if task is not None and task.holder == user and task.holder_is_able() else None

    def missing(self):
        """This will list the fields that must be filled before the opportunity can be submitted."""
        return self._empty([*self.REQUIRED, *self.stage.required]) + self.custom_missing()

    def missing_for(self, stage):
        """This will list the fields that must be filled before the opportunity can move to `stage`."""
        there = copy(self)
        there.stage = stage
        return self._empty(stage.required) + there.custom_missing()

    def _empty(self, names):
        return [
            name for name in dict.fromkeys(names) if getattr(self, self._meta.get_field(name).attname) in (None, "")
        ]

    @classmethod
    def custom_stages(cls):
        open_stages = Stage.objects.filter(kind=Stage.Kind.OPEN, active=True).select_related("pipeline")
        pipelines = {stage.pipeline_id for stage in open_stages}
        return [(one.key, str(one) if len(pipelines) == 1 else f"{one.pipeline} · {one}") for one in open_stages]

    def has_reached(self, stage):
        if self.stage_id is None:
            return False
        if self.stage.key == stage:
            return True
        keys = list(self.stage.pipeline.stages.filter(kind=Stage.Kind.OPEN).values_list("key", flat=True))
        if stage not in keys:
            return False
        return self.stage.key not in keys or keys.index(self.stage.key) >= keys.index(stage)

    # What an approval asks of it

    def approval_snapshot(self):
        """This will give the values that an approver decides about, described."""
        shown = (
            "name", "customer", "business_type", "source", "stage", "amount", "probability", "expected_close_on",
            "description",
        )  # fmt: skip
        return {name: describe(getattr(self, name)) for name in shown} | {"lines": self.lines_described()}

    def approval_asked(self, act, form):
        """This will give, as an event that is not saved, what was asked for beside the opportunity's own values."""
        if act == Act.SIGN:
            asked = {"contract_number": form["contract_number"], "amount": form["signed_amount"]}
            asked |= {"signed_on": form["signed_on"], "term": form["term"]}
            own = {"amount": describe(self.amount)}
            return self.event("asked", by=None, figures={name: [own.get(name), asked[name]] for name in asked})
        if act == Act.TERMINATE:
            asked = {"lost_reason": [None, form["reason"]], "closing_note": [None, form["note"]]}
            return self.event("asked", by=None, changes=asked)
        return self.event("asked", by=None)

    @staticmethod
    def approval_answered(form):
        """This will list (question, answer) of the review that came with a request."""
        return reviews.answered(form)

    @staticmethod
    def told(edits):
        """This will give what an approver changed, {name: [old, new]}, as the `changes` and `figures` of an event."""
        figures = {
            "contract_number": "contract_number",
            "signed_amount": "amount",
            "signed_on": "signed_on",
            "term": "term",
        }
        own = {"reason": "lost_reason", "note": "closing_note"}
        return {
            "changes": {own.get(name, name): sides for name, sides in edits.items() if name not in figures},
            "figures": {figures[name]: sides for name, sides in edits.items() if name in figures},
        }

    def approval_remarks(self):
        """This will say, by the name of a field that heads the page of a task, what is worth knowing of its value."""
        if self.approved_amount in (None, self.amount):
            return {}
        approved = shown.money(self.approved_amount, self.currency)
        return {"amount": _("approved with the report: %(amount)s") % {"amount": approved}}

    def approval_neighbours(self, user):
        """This will narrow to the other open opportunities of the same customer that `user` may see."""
        if self.customer_id is None:
            return Opportunity.objects.none()
        others = Opportunity.objects.visible_to(user).open().filter(customer=self.customer_id).exclude(pk=self.pk)
        return others.select_related("owner").in_order()

    def approval_pages(self):
        """This will give the addresses where it is changed, asked for again, made void, or the request is dropped."""
        pages = {"change": "edit", "sign": "sign", "terminate": "terminate", "void": "void", "drop": "drop"}
        return {verb: reverse(f"opportunity_{page}", args=[self.pk]) for verb, page in pages.items()}

    # Verbs, in the order of life

    def change(self, *, by, seen=None, **values):
        """
        This will give the opportunity other values. While an approval is pending, what it is about is frozen for
        everybody but the holder of the task, whose changes are kept with the task. Raises NotAllowed, Stale, Refused.
        """
        with self._changing(by, seen, "changed") as it:
            if "customer" in values and values["customer"] != it.customer and not it._takes_customer(by):
                raise NotAllowed(_("Whom an approved opportunity belongs to is changed with Reassign."))
            it._change(values)

    def _takes_customer(self, by):
        """This will tell whether `change` may name another customer: before it was approved, or to decide it."""
        return (
            self.state in (State.DRAFT, State.RETURNED) or self.is_pending or permissions.permits(by, "reassign", self)
        )

    def change_lines(self, *, by, lines, amount_from, amount=None, seen=None):
        """
        This will put `lines`, not saved, in the place of those there are, and make the amount their sum, or `amount` as
        it was typed. Frozen and kept as what `change` changes. Raises NotAllowed, Stale, Refused.
        """
        with self._changing(by, seen, "lines_changed") as it:
            it.put_lines(lines)
            it.amount_from = it.AmountFrom(amount_from)
            it.add_up()
            it._change({} if it.adds_up else {"amount": amount})

    @contextmanager
    def _changing(self, by, seen, event):
        """This will give it to change, and then record as `event` what was changed, or refuse what may not be."""
        with acting(by, "change", self, seen=seen) as it:
            if it.is_closed:
                raise Refused(_("This opportunity is closed, so it can no longer be changed."))
            task = it.task_held_by(by)
            yield it
            changes = it.changes()
            if not changes:
                return
            if it.is_pending and task is None and it.open_task is not None and it.open_task.holder_id == by.pk:
                raise NotAllowed(_("You can no longer decide this: an administrator puts it before somebody else."))
            if it.is_pending and task is None and it.FROZEN & changes.keys():
                raise Refused(_("This is being approved, so it cannot be changed until it is decided."))
            if task is not None and changes.keys() - it.FROZEN - {"probability"}:
                raise NotAllowed()
            it.record(event, by=by)
            if "customer" in changes:
                it._follow_customer()
            if task is not None:
                task.note_edits(changes)

    def amend(self, *, by, seen=None, **asked):
        """
        This will put right what the pending request asks for: the figures of a signing, or why to terminate. Only the
        holder of its task may, and it is kept with the task. Raises NotAllowed, Stale, Refused.
        """
        with acting(by, "change", self, seen=seen) as it:
            task = it.task_held_by(by)
            if task is None or task.approval.act == Act.REPORT:
                raise NotAllowed()
            before = task.round.form
            form = it._closing_form(task.approval.act, **asked)
            edits = {name: [before[name], form[name]] for name in form if changed(before[name], form[name])}
            if not edits:
                return
            task.round.form = before | form
            task.round.save(update_fields=["form"])
            it.version += 1
            it.save()
            it.note("amended", by=by, act=task.approval.act, **it.told(edits))
            task.note_edits(edits)

    def _follow_customer(self):
        """This will take what hangs on the customer along to the new one; the people of the old one go."""
        self.follow_ups.update(customer=self.customer)
        self.placements.exclude(contact__customer=self.customer_id).delete()
        self._name_primary()

    def would_change(self, **values):
        """This will tell whether `change` would have something to do with these values: make a change, or refuse."""
        it = copy(self)
        it.remember()
        try:
            it._change(values)
        except Refused:
            return True
        return bool(it.changes())

    def _change(self, values):
        for name, value in values.items():
            emptied = value in (None, "") and getattr(self, name) not in (None, "")
            if emptied and name in self.REQUIRED and self.state not in (State.DRAFT, State.RETURNED):
                raise Refused(_("This cannot be emptied any more."), field=name)
        self.put(values)
        self._check_added()
        if self.adds_up and "amount" in values and self.amount != self._before["amount"]:
            raise Refused(_("The amount is the sum of the lines: change those."), field="amount")
        if self.stage.kind != Stage.Kind.OPEN:
            raise Refused(_("Won and lost are reached by signing and terminating."), field="stage")
        if self._before["stage"] != self.stage_id:
            self._check_way()
        if "probability" in values:
            self.probability_typed = values["probability"] not in (None, self.stage.probability)
        self.settle()

    def _check_added(self):
        """This will refuse, once it was submitted, to empty an added field that it needs."""
        if self.state in (State.DRAFT, State.RETURNED):
            return
        for key in self._custom_changed().keys() & set(self.custom_missing()):
            raise Refused(_("This cannot be emptied any more."), field=key)

    def _check_way(self):
        """
        This will refuse a new stage that may not be come to: no longer in use, of a pipeline that leads to no end, or,
        once the report is approved, behind one from which nothing goes back, or asking for what is empty.
        """
        before = self._read_along.get("stage") or Stage.objects.get(pk=self._before["stage"])
        leaves = self.stage.pipeline_id != before.pipeline_id
        if not self.stage.active or (leaves and not self.stage.pipeline.active):
            raise Refused(_("This stage is no longer used. Choose another."), field="stage")
        if leaves and not self.stage.pipeline.can_end:
            raise Refused(_("This pipeline has no stage for won or lost yet."), field="stage")
        if self.state in (State.DRAFT, State.REPORTING, State.RETURNED):
            return
        if not before.may_move_back and self.stage.is_back_from(before):
            raise Refused(
                _("From “%(stage)s” an opportunity only goes on, not back.") % {"stage": before}, field="stage"
            )
        if missing := self.missing_for(self.stage):
            raise Incomplete(missing)

    def settle(self):
        """
        This will bring in line what follows from other fields: probability, base amount, sort key. Raises
        Refused.
        """
        if not self.name.strip():
            raise Refused(_("Give it a name."), field="name")
        if self.probability is None or not self.probability_typed:
            self.probability = self.stage.probability
        if self.stage.kind == Stage.Kind.OPEN and not 1 <= self.probability <= 99:
            raise Refused(_("While it is open, the probability is from 1 to 99 %."), field="probability")
        self.name_key = sort_key(self.name)
        self.price()

    def move(self, *, stage, by, seen=None, **asked):
        """
        This will move an active opportunity to another open stage, of another pipeline too; `asked` are values of
        fields that the stage requires. Raises NotAllowed, Stale, Incomplete, Refused.
        """
        with acting(by, "move", self, seen=seen, along=("stage",)) as it:
            if it.is_pending:
                raise Refused(_("This is being approved, so it cannot be moved until it is decided."))
            if it.state != State.ACTIVE:
                raise Refused(_("Only an active opportunity moves through the stages."))
            if asked.keys() - {*stage.required, *it.missing_for(stage)}:
                raise NotAllowed()
            it._change({"stage": stage} | asked)
            if it.changes():
                it.record("moved", by=by)

    def report(self, *, by, approver, comment="", seen=None):
        """
        This will ask `approver` to accept this draft, or, returned, to look again. Raises NotAllowed, Stale,
        Incomplete, Refused where the state or the route says no.
        """
        with acting(by, "report", self, seen=seen, along=self.APPROVAL_JOINS) as it:
            anew = it.state == State.DRAFT
            _try(it._report)
            if missing := it.missing():
                raise Incomplete(missing)
            asked = Approval.ask(it, Act.REPORT, by=by, approver=approver, comment=comment, anew=anew)
            kind = "reported" if asked.number == 1 else "resubmitted"
            it.record(kind, by=by, act=Act.REPORT, to=describe(approver), comment=comment)

    def sign(
        self, *, by, approver, contract_number, signed_amount, signed_on, term=None, comment="", review=None, seen=None
    ):
        """
        This will ask `approver` to accept a signature: `signed_amount` in the opportunity's currency, `signed_on` a
        date not in the future, `term` in months or None, `review` the answers as `reviews.asked_for` takes them. The
        stage stays until it is approved. Raises as `report`.
        """
        form = self._closing_form(
            Act.SIGN, contract_number=contract_number, signed_amount=signed_amount, signed_on=signed_on, term=term
        )
        form |= reviews.asked_for(Act.SIGN, review or {})
        self._ask_to_close(Act.SIGN, form, by=by, approver=approver, comment=comment, seen=seen)

    def terminate(self, *, by, approver, reason, note="", comment="", review=None, seen=None):
        """This will ask `approver` to give the opportunity up, for a LostReason. Raises as `report`."""
        form = self._closing_form(Act.TERMINATE, reason=reason, note=note)
        form |= reviews.asked_for(Act.TERMINATE, review or {})
        self._ask_to_close(Act.TERMINATE, form, by=by, approver=approver, comment=comment, seen=seen)

    @staticmethod
    def _closing_form(act, **asked):
        """This will give what is asked for, as the JSON that a round keeps. Raises Refused."""
        if act == Act.SIGN:
            if asked["signed_on"] > organisation_today():
                raise Refused(_("A signature in the future cannot be entered yet."), field="signed_on")
            return {
                "contract_number": asked["contract_number"],
                "signed_amount": format(Decimal(asked["signed_amount"]).quantize(Decimal("0.01")), "f"),
                "signed_on": asked["signed_on"].isoformat(),
                "term": asked["term"],
            }
        if asked["reason"].needs_note and not asked["note"].strip():
            raise Refused(_("Say what the reason was."), field="note")
        return {"reason": describe(asked["reason"]), "note": asked["note"]}

    def _ask_to_close(self, act, form, *, by, approver, comment, seen):
        with acting(by, act, self, seen=seen, along=(*self.APPROVAL_JOINS, "stage__pipeline")) as it:
            _try(it._sign if act == Act.SIGN else it._terminate)
            target = it.stage.pipeline.won_stage if act == Act.SIGN else it.stage.pipeline.lost_stage
            form = {**form, "stage": target.pk}
            asked = Approval.ask(it, act, by=by, approver=approver, form=form, comment=comment)
            kind = f"{act}_asked" if asked.number == 1 else "resubmitted"
            it.record(kind, by=by, act=act, to=describe(approver), comment=comment)

    def withdraw(self, *, by, seen=None):
        """
        This will take a pending request back, while nobody has decided in its round. Raises NotAllowed,
        Stale, Refused.
        """
        with acting(by, "withdraw", self, seen=seen) as it:
            approval = it.open_approval
            if approval is None:
                raise Refused(_("Nothing is being approved."))
            task = approval.open_task
            approval.withdraw(it, by=by)
            if approval.act != Act.REPORT:
                it._reopen()
            elif approval.closed_at:
                it._back_to_draft()
            else:
                it._return()
            it.record("withdrawn", by=by, act=approval.act)
            Message.tell([task.holder], "withdrawn", it, by=by, act=approval.act)

    def drop(self, *, by, seen=None):
        """
        This will give up a returned request to sign or terminate; the opportunity stays active. Raises
        NotAllowed, Stale, Refused.
        """
        with acting(by, "withdraw", self, seen=seen) as it:
            approval = it.open_approval
            if approval is None or approval.act == Act.REPORT:
                raise Refused(_("Only a returned request can be dropped."))
            approval.drop(by=by)
            it.record("dropped", by=by, act=approval.act)

    def void(self, *, by, reason, seen=None):
        """This will end a draft or a returned report for good. Raises NotAllowed, Stale, Refused."""
        if not reason.strip():
            raise Refused(_("Say why it is void."), field="reason")
        with acting(by, "void", self, seen=seen) as it:
            _try(it._void)
            if approval := it.open_approval:
                approval.drop(by=by, decision=Task.Decision.VOIDED)
            it.closed_on = organisation_today()
            it.closing_note = reason
            it.record("voided", by=by)

    def transfer(self, *, to, by, seen=None, tell=True, back_to=None, planned=None):
        """
        This will put somebody else in charge; planned follow-ups go along, nothing else changes. While an approval
        is pending only an administrator may, and what is returned then goes to the new owner. Unless `tell`, nobody
        gets a message: a handover sends one for all. Where a transfer is undone, `back_to` is the department it was in,
        and whoever might transfer it as it was then may; `planned` are the keys of the follow-ups that went along
        then, and come back. Raises NotAllowed, Stale, Refused.
        """
        with acting(by, "transfer" if back_to is None else None, self, seen=seen) as it:
            before = it.owner
            if it.is_closed:
                raise Refused(_("This opportunity is closed, so it can no longer be changed."))
            if it.is_pending and not by.is_any("administrator"):
                raise Refused(_("This is being approved, so it cannot be transferred until it is decided."))
            if not to.is_active or to.department_id is None:
                raise Refused(_("%(name)s cannot be put in charge.") % {"name": to}, field="owner")
            if to == before:
                raise Refused(_("%(name)s is in charge already.") % {"name": to}, field="owner")
            it.owner = to
            it.place(back_to or to.department)
            if back_to is not None and not permissions.permits_now(by, "transfer", it):
                raise NotAllowed()
            if approval := it.open_approval:
                approval.hand_over(it, by=by)
            along = it.follow_ups.planned().whose(before, planned)
            it.record("transferred", by=by, planned=along)
            it.follow_ups.filter(pk__in=along).update(owner=to)
            if tell:
                Message.tell([to, before], "transferred", it, by=by, to=describe(to))

    def share(self, *, by, people=(), departments=(), may_edit=False, seen=None, tell=True):
        """
        This will give people and departments (with those below them) sight of the opportunity, or editing; and give
        those who had not. Unless `tell`, nobody gets a message. Raises NotAllowed.
        """
        with acting(by, "share", self, seen=seen) as it:
            change = "change_opportunity" if may_edit else "view_opportunity"
            for person in people:
                if person == it.owner or not person.is_active:
                    raise Refused(_("%(name)s needs no share.") % {"name": person}, field="people")
            users, groups = (share.filter(permission__codename=change) for share in (it.user_shares, it.group_shares))
            people = [one for one in people if not users.filter(user=one).exists()]
            departments = [one for one in departments if not groups.filter(group=one.group_id).exists()]
            if not people and not departments:
                return []
            it.user_shares.filter(user__in=people).delete()
            it.group_shares.filter(group__department__in=departments).delete()
            for person in people:
                OpportunityUserShare.objects.assign_perm(change, person, it)
            for department in departments:
                OpportunityGroupShare.objects.assign_perm(change, department.group, it)
            it.note("shared", by=by, to=[describe(one) for one in (*people, *departments)], may_edit=may_edit)
            if tell:
                Message.tell(people, "shared", it, by=by, may_edit=may_edit)
            return [*people, *departments]

    def unshare(self, *, by, person=None, department=None, seen=None):
        """This will end one share. Raises NotAllowed, and Refused where there is none."""
        with acting(by, "share", self, seen=seen) as it:
            shares = (
                it.user_shares.filter(user=person) if person else it.group_shares.filter(group__department=department)
            )
            if not shares.delete()[0]:
                raise Refused(_("It is not shared with them."))
            it.note("unshared", by=by, to=describe(person or department))

    def add_contact(self, *, contact, by, role="", seen=None):
        """This will name a person of the customer on this opportunity. Raises NotAllowed, Refused."""
        with acting(by, "change_contacts", self, seen=seen) as it:
            if it.customer_id is None or contact.customer_id != it.customer_id:
                raise Refused(_("This person belongs to another customer."), field="contact")
            placement = it.placements.filter(contact=contact).first()
            if placement is not None and placement.role == role:
                return
            first = {} if it.placements.exists() else {"primary": True}
            it.placements.update_or_create(contact=contact, defaults={"role": role} | first)
            it.note("contact_changed" if placement else "contact_added", by=by, contact=describe(contact), role=role)

    def make_primary(self, *, contact, by, seen=None):
        """This will make a person who is named here the one to call first. Raises NotAllowed, Refused."""
        with acting(by, "change_contacts", self, seen=seen) as it:
            placement = it.placements.filter(contact=contact).first()
            if placement is None:
                raise Refused(_("This person is not named here."))
            if placement.primary:
                return
            it.placements.update(primary=False)
            it.placements.filter(pk=placement.pk).update(primary=True)
            it.note("contact_made_primary", by=by, contact=describe(contact))

    def remove_contact(self, *, contact, by, seen=None):
        """
        This will take a person off this opportunity; the contact stays at its customer. After the primary one comes
        whoever has been named the longest; it gives that contact, or None. Raises NotAllowed, Refused.
        """
        with acting(by, "change_contacts", self, seen=seen) as it:
            placement = it.placements.filter(contact=contact).first()
            if placement is None:
                raise Refused(_("This person is not named here."))
            placement.delete()
            following = it._name_primary() if placement.primary else None
            it.note("contact_removed", by=by, contact=describe(contact), primary=describe(following))
            return following

    def _name_primary(self):
        """This will make whoever has been named the longest primary where nobody is, and give that contact."""
        if self.placements.filter(primary=True).exists():
            return None
        first = self.placements.select_related("contact").order_by("pk").first()
        if first is None:
            return None
        first.primary = True
        first.save(update_fields=["primary"])
        return first.contact

    def reassign(self, *, customer, by, contact=None, seen=None):
        """
        This will give the opportunity to another customer, with `contact`, a person there, as its primary one; the
        people of the customer before are no longer named on it. What it was, who followed it up and what was signed
        stay. Raises NotAllowed, Stale, Refused.
        """
        with acting(by, "reassign", self, seen=seen) as it:
            if it.is_pending:
                raise Refused(_("This is being approved, so it cannot be reassigned until it is decided."))
            if it.state == State.VOID:
                raise Refused(_("This opportunity is void."))
            if not permissions.permits(by, "view", customer):
                raise NotAllowed()
            if customer == it.customer:
                raise Refused(_("It belongs to %(customer)s already.") % {"customer": customer}, field="customer")
            if contact is not None and contact.customer_id != customer.pk:
                raise Refused(_("This person belongs to another customer."), field="contact")
            named = it.placements.select_related("contact").order_by("pk")
            gone = [describe(placement.contact) for placement in named]
            it.customer = customer
            it.record("reassigned", by=by, contacts=gone, contact=describe(contact))
            it._follow_customer()
            if contact is not None:
                it.placements.create(contact=contact, primary=True)
            if it.state == State.SIGNED:
                it._begin_trading()
            Message.tell([it.owner], "reassigned", it, by=by, to=describe(customer))

    def correct(self, *, by, reason, contract_number, signed_amount, signed_on, term=None, seen=None):
        """
        This will put a signing's wrong figures right; the ranking of its month shows it. Raises NotAllowed,
        Stale, Refused.
        """
        if not reason.strip():
            raise Refused(_("Say what was wrong."), field="reason")
        if signed_on > organisation_today():
            raise Refused(_("A signature in the future cannot be entered yet."), field="signed_on")
        with acting(by, "correct", self, seen=seen) as it:
            if it.state != State.SIGNED:
                raise Refused(_("Only a signed opportunity has figures to correct."))
            signing = it.signing
            before, credited = signing.figures(), copy(signing)
            signing.enter(contract_number=contract_number, amount=signed_amount, signed_on=signed_on, term=term)
            signing.save()
            credit(signed=[signing], no_longer_signed=[credited])
            it.closed_on = signed_on
            after = signing.figures()
            figures = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
            if figures:
                it.record("corrected", by=by, reason=reason, figures=figures)

    def copy(self, *, by):
        """
        This will enter a new draft with the same values, in charge of `by`; it gives the draft. A customer whom
        `by` sees through this opportunity alone is left out: the draft would keep what the end of a share takes
        away. Raises NotAllowed.
        """
        if not permissions.permits(by, "copy", self):
            raise NotAllowed()
        same = ("name", "business_type", "source", "amount", "currency", "description")
        draft = Opportunity(**{name: getattr(self, name) for name in same}, stage=self.stage.pipeline.first_stage)
        added = [field.key for field in self.custom_fields() if not field.unique]
        draft.put({key: getattr(self, key) for key in added})
        draft.customer = Customer.objects.visible_to(by).filter(pk=self.customer_id).first()
        draft.amount_from, draft.line_count = self.amount_from, self.line_count
        with whole():
            draft.create(by=by)
            Line.objects.bulk_create(line.copied(draft) for line in self.its_lines())
        return draft

    @classmethod
    def take_back(cls, entries, *, by):
        """This will also take away what somebody was credited with for those that came in signed."""
        signings = list(Signing.objects.filter(opportunity__in=[entry.about_id for entry in entries]))
        stays = super().take_back(entries, by=by)
        credit(no_longer_signed=[signing for signing in signings if signing.opportunity_id not in stays])
        return stays

    # What an approval tells it

    def approval_put_before(self, task):
        if task.approval.act == Act.REPORT:
            earlier.confide(self, task)

    def approval_confided(self, task):
        return earlier.confided(task)

    def approval_granted(self, approval, *, by, comment):
        form = approval.last_round.form if approval.act != Act.REPORT else {}
        if approval.act == Act.REPORT:
            self._activate()
            self.approved_amount = self.amount
            credit(reported=[approval])
        elif approval.act == Act.SIGN:
            self._finish_signing()
            self._close(Stage.objects.get(pk=form["stage"]), Signing.day(form))
            signing = Signing.of(self, form)
            signing.save(force_insert=True)
            credit(signed=[signing])
            self._begin_trading()
        else:
            self._finish_terminating()
            self.lost_reason_id = form["reason"]["id"]
            self.closing_note = form["note"]
            self._close(Stage.objects.get(pk=form["stage"]), organisation_today())
        reviews.keep(self, form)
        self.record("granted", by=by, act=approval.act, comment=comment)
        told = [self.owner, approval.requester, *(task.holder for task in approval.tasks.select_related("holder"))]
        Message.tell(told, "granted", self, by=by, act=approval.act)

    def approval_returned(self, approval, *, by, comment):
        if approval.act == Act.REPORT:
            self._return()
        else:
            self._reopen()
        self.record("returned", by=by, act=approval.act, comment=comment)
        Delivery.queue(
            [(self.owner, "returned")], self, by=by, act=approval.act, comment=comment, task=approval.open_task.pk
        )
        Message.tell(approval.approved_by, "returned", self, by=by, act=approval.act, comment=comment)

    @classmethod
    def ask_to_end_for(cls, reason, *, instead_of):
        """This will make what waits to be terminated for one reason wait for another: the two have become one."""
        about = ContentType.objects.get_for_model(cls)
        waiting = Round.objects.filter(approval__about_type=about, approval__closed_at=None)
        for one in waiting.filter(approval__act=Act.TERMINATE, form__reason__id=instead_of.pk):
            one.form["reason"] = describe(reason)
            one.save(update_fields=["form"])

    def _begin_trading(self):
        """This will make the customer, to whom something was sold, a trading one."""
        potential = Customer.objects.filter(pk=self.customer_id, status=Customer.Status.POTENTIAL)
        potential.update(status=Customer.Status.TRADING)

    def _close(self, stage, day):
        self.stage = stage
        self.probability = stage.probability
        self.probability_typed = False
        self.closed_on = day

    # Its past

    def record(self, kind, *, by, **data):
        """
        This will save with an event, as every record, and with a movement where something moved that sums are
        made of.
        """
        moved, now = self.MOVING & self.changes().keys(), timezone.now()
        if "stage" in moved:
            self.stage_since = now
        event = super().record(kind, by=by, **data)
        if moved:
            self.movement(now, version=self.version).save(force_insert=True)
        return event

    def was_set_back(self, since):
        """
        This will have what happened after the version `since`, all of which is undone, count for nothing in its way:
        it has been in its stage since it came there before. Where its movements do not tell, it stays as it is.
        """
        self.movements.filter(version__gt=since).update(undone=True)
        came = before = None
        for at, stage in self.movements.that_count().values_list("at", "stage"):
            came, before = (came if stage == before else at), stage
        if before != self.stage_id:  # it moved before movements told the version
            self.movements.filter(version__gt=since).update(undone=False)
        elif came != self.stage_since:
            self.stage_since = came
            self.save(update_fields=["stage_since"])

    def movement(self, at, *, version=0):
        """This will build, and not save, the movement that says where it stands from the moment `at` on."""
        same = (
            "state",
            "stage_id",
            "base_cents",
            "probability",
            "expected_close_on",
            "owner_id",
            "department_id",
            "province_id",
            "city_id",
        )
        return Movement(opportunity=self, at=at, version=version, **{name: getattr(self, name) for name in same})


def _try(transition):
    """This will run a transition, and refuse in words where the state does not allow it."""
    try:
        transition()
    except TransitionNotAllowed as error:
        raise Refused(
            _("This cannot be done now: the opportunity is %(state)s.")
            % {"state": error.object.get_state_display().lower()}
        ) from error


class OpportunityContact(models.Model):
    """A person of the customer who matters to one opportunity, and how."""

    opportunity = models.ForeignKey(Opportunity, models.CASCADE, related_name="placements")
    contact = models.ForeignKey(Contact, models.PROTECT, related_name="placements")
    role = models.CharField(_("role"), max_length=60, blank=True)
    primary = models.BooleanField(_("primary"), default=False)  # whom one calls first; one, where there is anybody

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["opportunity", "contact"], name="opportunity_contact"),
            models.UniqueConstraint(fields=["opportunity"], condition=Q(primary=True), name="opportunity_one_primary"),
        ]

    def __str__(self):
        return str(self.contact)
