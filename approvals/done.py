"""The tasks that one person is done with, as a list asks for them: what they decided, resubmitted or dropped."""

from django.contrib.contenttypes.models import ContentType
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from approvals.routes import kinds
from approvals.tasks import Task, TaskQuerySet
from crm.kinds import NOBODY, Choice, Fields, Moment, Money, Person, Text, is_storable


class OfApproval:
    """A condition on the request that a task is of."""

    @property
    def model_field(self):
        return Task.approval.field.related_model._meta.get_field(self.key)

    def compare(self, op, value, asked):
        held = self.held(value if op == "in" else [value], asked)
        attname = self.attname
        return Q(**{f"approval__{attname}__in": held}), lambda task: getattr(task.approval, attname) in held


class ActAsked(OfApproval, Choice):
    pass


class Requester(OfApproval, Person):
    operators = ("is", "is_not", "in", "not_in")


class AmountOfRecord(Money):
    """What the record is worth now: whoever had a task about it sees it."""

    operators = ("is", "under", "at_most", "at_least", "over", "between")

    def compare(self, op, value, asked):
        condition, holds = super().compare(op, value, asked)
        if op == "between":
            return condition, holds
        return of_records(lambda model: model._base_manager.filter(condition)), lambda task: holds(task.about)


def of_records(found_of):
    """This will give the condition that a task is about one of the records that `found_of` finds of a model."""
    condition = NOBODY
    for model in kinds():
        about_type = ContentType.objects.get_for_model(model)
        condition |= Q(about_type=about_type, about_id__in=found_of(model).order_by().values("pk"))
    return condition


class DoneTaskQuerySet(TaskQuerySet):
    def branches(self, user):
        """This will give what `visible_to` narrows by, as crm.querysets.Guarded does."""
        return [Q(pk__in=self.model.objects.done_by(user).order_by().values("pk"))]

    def visible_to(self, user):
        """This will narrow to those that this person is done with: nobody reads here what others decided."""
        return self.done_by(user).order_by()

    def search(self, text):
        """This will narrow to those whose comment or record mentions every word of `text`."""
        if not is_storable(text):
            return self.none()
        words = [self._mentions(word) for word in text[:200].split()]
        return self.filter(*words)

    def sought(self, text, user, *, counted=False):
        """This will do what `search` does: there is no quicker way for anybody."""
        return self.search(text)

    def _mentions(self, word):
        of_record = of_records(lambda model: model.objects.search(word))
        return Q(comment__icontains=word) | of_record


class DoneTask(Task):
    """A task that somebody is done with."""

    CONDITIONS = Fields(
        act=ActAsked(_("Request")),
        decision=Choice(_("Decision")),
        closed_at=Moment(_("Decided")),
        requester=Requester(_("Asked by")),
        amount=AmountOfRecord(_("Amount")),
        comment=Text(_("Comment")),
    )

    objects = DoneTaskQuerySet.as_manager()

    class Meta:
        proxy = True
