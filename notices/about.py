"""What says something about a record of any kind, and whom a record is for."""

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import Count, Q, Window

from crm.prepared import prepared


def for_department(model, user):
    """
    This will give the condition that a row of `model`, which has departments for which it is, is for the reader's, for
    one above it, or for all.
    """
    parts = model.departments.through.objects.order_by()
    key = f"{model._meta.model_name}_id"
    return ~Q(pk__in=parts.values(key)) | Q(pk__in=parts.filter(department__in=user.department_ids).values(key))


class About(models.Model):
    """What says something about a record of any kind. A generic link has no foreign key; the index makes up for it."""

    about_type = models.ForeignKey(ContentType, models.PROTECT, related_name="+", db_index=False)
    about_id = models.PositiveBigIntegerField()
    about = GenericForeignKey("about_type", "about_id")

    class Meta:
        abstract = True

    @classmethod
    def latest_about(cls, record, count):
        """
        This will list the latest `count` of what is said about `record`, with the names of those who did, and in each
        how much there is in all, as `total`.
        """
        return _latest(ContentType.objects.get_for_model(record).pk, record.pk, model=cls, count=count)


@prepared
def _latest(about_type, about_id, *, model, count):
    rows = model.objects.filter(about_type=about_type, about_id=about_id).select_related("by")
    return rows.annotate(total=Window(Count("*")))[:count]
