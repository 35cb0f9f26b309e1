"""The orders of a list by fields that administrators added: by value, so that 9 comes before 10, the empty last."""

from dataclasses import dataclass

from django.db.models import Case, Exists, F, IntegerField, OuterRef, Subquery, Value, When

from crm import custom_fields
from crm.custom_fields import CHOOSING, CustomField, Kind


@dataclass(frozen=True)
class CustomOrder:
    """
    The order by one field, in the place of a column. What is not empty is read in order off the index of the values,
    and looked up among what the reader sees, so that a page costs the same however many records there are.
    """

    field: CustomField

    null = True  # as a column that may be empty

    @property
    def by(self):
        """This will give what rows of values are ordered by."""
        if self.field.kind in CHOOSING and self.field.choices:  # few, so they need no join to know their order
            places = [When(choice=one.pk, then=Value(place)) for place, one in enumerate(self.field.choices)]
            return Case(*places, default=Value(len(places)), output_field=IntegerField())
        return F("person__name" if self.field.kind == Kind.PERSON else self.field.column)

    @property
    def _values(self):
        rows = custom_fields.CustomField.values.rel.related_model.objects
        return rows.filter(field=self.field.pk, position=0)

    def expression(self):
        """This will give the value of each record as an expression, for an order by several."""
        rows = self._values.filter(about_id=OuterRef("pk")).annotate(ordered_by=self.by)
        return Subquery(rows.values("ordered_by")[:1])

    def filled(self, visible, *, descending):
        """This will give the keys of the records of `visible` that hold something, in order, as a queryset."""
        by, rows = self.by, self._values
        if visible.query.where:
            rows = rows.filter(about_id__in=visible.order_by().values("pk"))
        if self.field.column != "choice":
            rows = rows.filter(**{f"{self.field.column}__isnull": False})  # or the index would not be thought of
        sign = "-" if descending else ""
        return rows.order_by(by.desc() if descending else by.asc(), f"{sign}about_id").values_list(
            "about_id", flat=True
        )

    def empty(self, visible):
        """This will narrow to the records of `visible` that hold nothing."""
        return visible.exclude(Exists(self._values.filter(about_id=OuterRef("pk"))))


def of(model):
    """This will give {key of a field: CustomOrder} of the fields by which lists of `model` can be sorted."""
    return {field.key: CustomOrder(field) for field in model.custom_fields() if field.kind != Kind.LONG_TEXT}
