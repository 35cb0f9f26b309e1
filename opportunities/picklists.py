"""
The lists that describe opportunities: pipelines and their stages, business types, sources, lost reasons,
kinds of follow-up.
"""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from crm.names import Picklist
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

    class Meta(Picklist.Meta):
        verbose_name = _("pipeline")
        verbose_name_plural = _("pipelines")

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
    required = models.JSONField(_("required fields"), default=list, blank=True)  # field names, asked for on submission

    FIXED = ("pipeline", "kind")

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
    def to_begin_with(cls):
        """
        This will give the stage that a new opportunity begins in: the first open one of the first pipeline. Raises
        Refused where there is none.
        """
        active = cls.objects.filter(kind=cls.Kind.OPEN, active=True, pipeline__active=True)
        return _first(active.order_by("pipeline__order", "pipeline__key", "order", "key"))

    @property
    def detail(self):
        return f"{self.get_kind_display()}, {self.probability} %"

    def clean(self):
        fixed = {self.Kind.WON: 100, self.Kind.LOST: 0}.get(self.kind)
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
