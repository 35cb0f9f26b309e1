"""What can be done to many opportunities at once."""

from django.contrib.contenttypes.models import ContentType
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy, pgettext_lazy

from approvals.models import Task
from crm.bulk_acts import Skipped
from crm.bulk_forms import ChangeForm
from crm.verbs import Refused, whole
from customers.bulk import FollowUps
from notices.bulk import Act, Commenting, Told, Transfer
from notices.models import Message
from opportunities.forms import OpportunityForm, ShareForm, TransferForm, VoidForm
from opportunities.lifecycle import CLOSED, PENDING, State
from opportunities.picklists import Stage
from opportunities.record import Page


class OpportunityChangeForm(ChangeForm):
    """What may be changed of many at once."""

    of = OpportunityForm
    names = ("stage", "probability", "expected_close_on", "business_type", "source", "description")
    needed = ("stage",)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        stages = Stage.objects.filter(active=True, kind=Stage.Kind.OPEN, pipeline__active=True)
        self.fields["stage"].queryset = stages.select_related("pipeline").order_by("pipeline__order", "order")
        self.fields["probability"].help_text = _("Left empty, it follows the stage.")


class Change(Act):
    """Gives each the same values in some fields."""

    key = "change"
    word = pgettext_lazy("acts", "Change")
    verb = "change"
    sets = True
    form = OpportunityChangeForm
    undoable = True
    asks_on_a_page = True
    consequences = _("What is ticked changes on each of them; ticked and left empty, it is emptied.")
    refusals = ngettext_lazy(
        "One of them you cannot change as it stands; it will be refused and listed.",
        "%(count)d of them you cannot change as they stand; they will be refused and listed.",
        "count",
    )

    @classmethod
    def possible(cls, user, rows):
        rows = super().possible(user, rows).exclude(state__in=CLOSED)
        decided = Task.objects.open().filter(holder=user, about_type=ContentType.objects.get_for_model(rows.model))
        return rows.exclude(Q(state__in=PENDING) & ~Q(pk__in=decided.order_by().values("about_id")))

    @staticmethod
    def chosen(form):
        return form.values

    def do(self, record, seen):
        if record.is_pending and (reason := Page(record, self.by).obstacle("change")):
            raise Refused(reason)
        values = dict(self.chosen)
        kept = {*values} | ({"probability"} if "stage" in values else set())
        was, since = {name: getattr(record, name) for name in kept}, record.version
        if "stage" in values:
            self._check_pipeline(record, values["stage"])
        with whole():
            if "stage" in values and record.state == State.ACTIVE:
                stage = values.pop("stage")
                needed = values.keys() & {*stage.required, *record.missing_for(stage)}  # it is moved with those alone
                record.move(stage=stage, by=self.by, seen=record.version, **{name: values.pop(name) for name in needed})
            if values:
                record.change(by=self.by, seen=record.version, **values)
        if record.version == since:
            raise Skipped()
        self.note(record, was, since)

    @staticmethod
    def _check_pipeline(record, stage):
        if stage.pipeline_id != record.stage.pipeline_id:
            raise Refused(_("It goes through another pipeline, which does not have this stage."), field="stage")


class TransferOpportunities(Transfer):
    form = TransferForm
    consequences = _(
        "They move into the new person's department, with the follow-ups that are still planned. Each of the people "
        "concerned gets one message for all."
    )

    @classmethod
    def possible(cls, user, rows):
        rows = super().possible(user, rows).exclude(state__in=CLOSED)
        return rows if user.is_any("administrator") else rows.exclude(state__in=PENDING)


class Share(Told):
    """Gives people and departments sight of each."""

    key = "share"
    word = _("Share")
    verb = "share"
    form = ShareForm
    consequences = _("Those you choose see everything on the pages of these, and nothing else of the customers.")
    refusals = ngettext_lazy(
        "One of them you may not share; it will be refused and listed.",
        "%(count)d of them you may not share; they will be refused and listed.",
        "count",
    )

    def do(self, record, seen):
        given = {name: self.chosen[name] for name in ("people", "departments", "may_edit")}
        given["people"] = [person for person in given["people"] if person != record.owner]
        new = record.share(by=self.by, seen=record.version, tell=False, **given)
        if not new:
            raise Skipped()
        people = [person.pk for person in given["people"] if person in new]
        return {"people": people, "may_edit": given["may_edit"]} if people else None

    @classmethod
    def tell(cls, model, rows, *, by):
        for may_edit in (False, True):
            told = [(pk, facts) for pk, facts in rows if facts and facts["may_edit"] is may_edit]
            hears = [(person, pk) for pk, facts in told for person in facts["people"]]
            for person, first, count in cls.gathered(model, hears):
                kind = "shared" if count == 1 else "shared_many"
                Message.tell([person], kind, first, by=by, may_edit=may_edit, count=count)


class MakeVoid(Act):
    """Ends drafts and returned reports; an opportunity is never deleted."""

    key = "void"
    word = _("Void")
    verb = "void"
    form = VoidForm
    dangerous = True
    consequences = _("Drafts and returned reports end here for good. Their numbers are never used again.")
    refusals = ngettext_lazy(
        "One of them is no draft or returned report of yours; it will be refused and listed.",
        "%(count)d of them are no drafts or returned reports of yours; they will be refused and listed.",
        "count",
    )

    @classmethod
    def possible(cls, user, rows):
        return super().possible(user, rows).filter(state__in=[State.DRAFT, State.RETURNED])

    def do(self, record, seen):
        record.void(reason=self.chosen["reason"], by=self.by, seen=record.version)


ACTS = [Change, TransferOpportunities, Share, FollowUps, Commenting, MakeVoid]
