"""What may be asked of follow-ups beside their own columns: whether they are done, late, what comes next, and where."""

from django.db.models import Q
from django.utils import timezone

from crm import kinds


class OfOpportunity(kinds.Record):
    """An opportunity, named to those who see it."""

    def records(self, values, user):
        if user is None:
            return {}
        seen = self.model_field.related_model.objects.visible_to(user).filter(pk__in=values)
        return {one.pk: one for one in seen}


class IsDone(kinds.YesNo):
    """Whether it happened; else it is planned."""

    def compare(self, op, value, asked):
        return Q(done_at__isnull=not value), lambda record: (record.done_at is not None) is value


class IsOverdue(kinds.YesNo):
    """Whether it is planned for a moment that has passed."""

    def compare(self, op, value, asked):
        now = timezone.now()
        late = Q(done_at=None, at__lt=now)
        return (late if value else ~late), lambda record: (record.done_at is None and record.at < now) is value


class HasNext(kinds.YesNo):
    """Whether another one was planned in the same breath."""

    def compare(self, op, value, asked):
        return Q(next__isnull=not value), lambda record: hasattr(record, "next") is value


class OfDepartment(kinds.InDepartment):
    """
    The department of the opportunity that it is about or, where it is about no opportunity, of the customer. It asks
    each by the columns that lists of theirs are served by.
    """

    @property
    def model_field(self):
        return self.model.customer.field.related_model._meta.get_field("department")

    def meaning(self, op, value, asked):
        if op == "empty":  # nothing is about a record without a department
            return kinds.NOBODY, lambda record: False
        return super().meaning(op, value, asked)

    def compare(self, op, value, asked):
        condition, holds = super().compare(op, value, asked)
        if condition in (kinds.NOBODY, kinds.EVERYBODY):
            return condition, lambda record: holds(record.about)
        asked_of = {"opportunity": within("opportunity", condition), "customer": within("customer", condition)}
        either = asked_of["opportunity"] | (Q(opportunity=None) & asked_of["customer"])
        return either, lambda record: holds(record.about)


def within(relation, condition):
    """This will give a condition on the columns of a related row, for the rows that name it."""
    asked = Q(_connector=condition.connector, _negated=condition.negated)
    for part in condition.children:
        asked.children.append(within(relation, part) if isinstance(part, Q) else (f"{relation}__{part[0]}", part[1]))
    return asked
