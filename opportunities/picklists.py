"""
The lists that describe opportunities: pipelines and their stages, business types, sources, lost reasons,
kinds of follow-up.
"""

from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.functional import cached_property
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from crm.models import Department
from crm.names import Picklist, localized_names, validate_texts
from crm.picklists import holders
from crm.verbs import Refused


class BusinessType(Picklist):
    """What is sold."""

    class Meta(Picklist.Meta):
        verbose_name = _("business type")
        verbose_name_plural = _("business types")


class Source(Picklist):
    """Where an opportunity came from."""

    class Meta(Picklist.Meta):
        verbose_name = _("source")
        verbose_name_plural = _("sources")


class LostReason(Picklist):
    """Why an opportunity was terminated."""

    needs_note = models.BooleanField(_("needs a note"), default=False)

    class Meta(Picklist.Meta):
        verbose_name = _("lost reason")
        verbose_name_plural = _("lost reasons")

    def followed_to(self, other, rows, name, *, by):
        if hasattr(rows.model, "ask_to_end_for"):
            rows.model.ask_to_end_for(other, instead_of=self)
        return super().followed_to(other, rows, name, by=by)


class FollowUpKind(Picklist):
    """What a follow-up was: a call, a visit …"""

    icon = models.SlugField(
        _("icon"), max_length=40, default="chat-left-text", help_text=_("A name from Bootstrap Icons.")
    )

    class Meta(Picklist.Meta):
        verbose_name = _("kind of follow-up")
        verbose_name_plural = _("kinds of follow-up")

    @classmethod
    def to_begin_with(cls, last_used):
        """
        This will give the kind that a new follow-up begins with: the one last used (a key), else the first of the
        list.
        """
        active = cls.objects.filter(active=True)
        return active.filter(pk=last_used).first() or active.first()


class Pipeline(Picklist):
    """
    A way that opportunities go, in stages. Asking for one that an administrator has not made, or retired, raises
    Refused.
    """

    departments = models.JSONField(  # keys: what these and those below them enter begins in this pipeline
        _("departments"),
        default=list,
        blank=True,
        help_text=_("What these, and those below them, enter begins here. All others begin in the first pipeline."),
    )

    ADD = _("Add a pipeline")

    class Meta(Picklist.Meta):
        verbose_name = _("pipeline")
        verbose_name_plural = _("pipelines")

    @classmethod
    def several_of(cls, name):
        if name != "departments":
            return super().several_of(name)
        return [(one.key, one.name) for one in Department.objects.filter(active=True)]

    @classmethod
    def to_begin_in(cls, department, offered=None):
        """
        This will give the pipeline that what `department` enters begins in: its own, or that of the nearest department
        above it, else the first. `offered` are those in use, where they are known. Raises Refused where there is none.
        """
        offered = list(cls.objects.filter(active=True).order_by("order", "key")) if offered is None else offered
        if not offered:
            raise Refused(_("The pipeline has no stage for this. An administrator can add one."))
        own = {key: one for one in reversed(offered) for key in one.departments}
        if not own or department is None:
            return offered[0]
        above = department.ancestor_ids
        keys = dict(Department.objects.filter(pk__in=above).values_list("pk", "key"))
        return next((own[keys[pk]] for pk in above if keys[pk] in own), offered[0])

    def clean(self):
        taken = {key for one in Pipeline.objects.exclude(pk=self.pk).filter(active=True) for key in one.departments}
        for department in Department.objects.filter(key__in=taken.intersection(self.departments)):
            message = _("“%(name)s” begins in another pipeline already.") % {"name": department}
            raise ValidationError({"departments": message})

    def merges_into(self, other):
        return False  # each opportunity would have to be told which stage of the other it is in

    @property
    def first_stage(self):
        return _first(self.stages.filter(kind=Stage.Kind.OPEN, active=True))

    @cached_property
    def won_stage(self):
        return _first(self.stages.filter(kind=Stage.Kind.WON))

    @cached_property
    def lost_stage(self):
        return _first(self.stages.filter(kind=Stage.Kind.LOST))

    @property
    def can_end(self):
        """This will tell whether an opportunity can be signed and terminated in it."""
        ends = self.stages.exclude(kind=Stage.Kind.OPEN).values_list("kind", flat=True)
        return {*ends} == {Stage.Kind.WON, Stage.Kind.LOST}

    @property
    def lack(self):
        return "" if self.can_end else _("No opportunity can be in it until it has a won and a lost stage.")


def _first(stages):
    stage = stages.first()
    if stage is None:
        raise Refused(_("The pipeline has no stage for this. An administrator can add one."))
    return stage


class Stage(Picklist):
    """Where an opportunity stands in its pipeline."""

    class Kind(models.TextChoices):
        OPEN = "open", _("Open")
        WON = "won", _("Won")
        LOST = "lost", _("Lost")

    pipeline = models.ForeignKey(Pipeline, models.PROTECT, related_name="stages", verbose_name=_("pipeline"))
    kind = models.CharField(_("status group"), max_length=4, choices=Kind, default=Kind.OPEN)
    probability = models.PositiveSmallIntegerField(_("probability"), validators=[MaxValueValidator(100)])
    required = models.JSONField(  # names of fields
        _("required fields"),
        default=list,
        blank=True,
        help_text=_("Asked for when an opportunity is submitted in this stage, or moves to it."),
    )
    rots_after = models.PositiveSmallIntegerField(
        _("days until it is overdue"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text=_("After so many days in this stage the board shows them in red. Empty for never."),
    )
    may_move_back = models.BooleanField(
        _("may be moved back"),
        default=True,
        help_text=_("Else an opportunity in this stage only goes on: to a later stage, or to its end."),
    )
    hints = models.JSONField(_("help text"), default=dict, blank=True, validators=[validate_texts])

    FIXED = ("pipeline", "kind")
    FILLED = {"probability": _("Can be left empty for won, which is 100 %, and for lost, which is 0 %.")}
    ADD = _("Add a stage")
    SETTLED = {Kind.WON: 100, Kind.LOST: 0}  # the probability of the ends
    REQUIRABLE = ("business_type", "source", "amount", "expected_close_on", "description")

    class Meta(Picklist.Meta):
        verbose_name = _("stage")
        verbose_name_plural = _("stages")
        ordering = ["pipeline", "order", "key"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="open", probability__range=(1, 99))
                | Q(kind="won", probability=100)
                | Q(kind="lost", probability=0),
                name="stage_probability",
            ),
            models.UniqueConstraint(fields=["pipeline"], condition=Q(kind="won"), name="stage_one_won"),
            models.UniqueConstraint(fields=["pipeline"], condition=Q(kind="lost"), name="stage_one_lost"),
        ]

    @classmethod
    def to_begin_with(cls, department=None):
        """
        This will give the stage that a new opportunity of `department` begins in: the first open one of its pipeline.
        Raises Refused where there is none.
        """
        return Pipeline.to_begin_in(department).first_stage

    @classmethod
    def several_of(cls, name):
        if name != "required":
            return super().several_of(name)
        fields = apps.get_model(cls._meta.app_label, "Opportunity")._meta
        return [(key, capfirst(fields.get_field(key).verbose_name)) for key in cls.REQUIRABLE]

    @property
    def detail(self):
        return f"{self.get_kind_display()}, {self.probability} %"

    @property
    def part(self):
        return self.pipeline

    def fill(self, values):
        if "probability" in values and values["probability"] is None:
            values["probability"] = self.SETTLED.get(values.get("kind", self.kind))

    @property
    def hint(self):
        """This will give what administrators say of the stage, in the active language, or ""."""
        return localized_names(self.hints)

    def is_back_from(self, other):
        """This will tell whether coming here from `other`, an open stage, is no way on: earlier, or another way."""
        return self.pipeline_id != other.pipeline_id or (self.order, self.key) < (other.order, other.key)

    def clean(self):
        fixed = self.SETTLED.get(self.kind)
        if self.probability is not None and fixed is None and not 1 <= self.probability <= 99:
            raise ValidationError({"probability": _("An open stage has a probability from 1 to 99 %.")})
        if fixed is not None and self.probability != fixed:
            raise ValidationError({"probability": _("Won is 100 %, lost is 0 %.")})
        if fixed is not None and not self.active:
            raise ValidationError({"active": _("A pipeline needs its won and its lost stage.")})
        others = Stage.objects.filter(pipeline=self.pipeline_id, kind=self.Kind.OPEN, active=True).exclude(pk=self.pk)
        if not self.active and not others.exists():
            raise ValidationError({"active": _("A pipeline needs an open stage to begin with.")})

    def merges_into(self, other):
        return self.kind == other.kind == self.Kind.OPEN and self.pipeline_id == other.pipeline_id

    def followed_to(self, other, rows, name, *, by):
        if not hasattr(rows.model.objects, "restage"):
            return super().followed_to(other, rows, name, by=by)
        return rows.model.objects.filter(pk__in=rows.values("pk")).restage(other, by=by)

    def changed_from(self, was, *, by):
        """What stands in a stage has its probability, unless somebody typed another."""
        if self.probability == was.probability:
            return
        for holder, field in holders(Stage):
            if hasattr(holder.objects, "restage"):
                holder.objects.filter(**{field.name: self}).restage(self, by=by)

    @property
    def position(self):
        """
        This will give where the stage stands among the open ones of its pipeline, from 1; the last place for won
        and lost.
        """
        open_stages = self.open_stages
        return 1 + open_stages.index(self) if self in open_stages else len(open_stages)

    @property
    def open_stages(self):
        """This will list the open stages of the pipeline; without a query where `for_rows` has read them."""
        return [stage for stage in self.pipeline.stages.all() if stage.kind == Stage.Kind.OPEN]
