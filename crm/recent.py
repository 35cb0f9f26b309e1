"""Recently opened: which records somebody looked at last. It grants nothing: what is out of sight is not shown."""

import logging

from django.conf import settings
from django.db import DatabaseError, connection, models
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.shortcuts import render
from django.utils import timezone

KEPT = 20  # of each person

NOTE = """
INSERT INTO crm_opened (by_id, kind, "of", at)
SELECT %s, %s, %s, %s WHERE NOT EXISTS (
    SELECT 1 FROM (SELECT kind, "of" FROM crm_opened WHERE by_id = %s ORDER BY at DESC LIMIT 1) AS latest
    WHERE kind = %s AND "of" = %s
)
ON CONFLICT (by_id, kind, "of") DO UPDATE SET at = excluded.at
"""

log = logging.getLogger(__name__)


class Opened(models.Model):
    """That somebody opened a record, and when last. It is forgotten with the person."""

    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    kind = models.CharField(max_length=60)  # the label of the record's model
    of = models.BigIntegerField()  # its key
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["by", "kind", "of"], name="opened_once")]
        indexes = [models.Index("by", F("at").desc(), name="opened_latest")]

    def __str__(self):
        return f"{self.kind}:{self.of}"

    @classmethod
    def note(cls, record, *, by):
        """
        This will note that `by` opened `record` just now, in one query. To come back to what was opened last, as after
        each act on it, is nothing new, and nothing is written.
        """
        kind = record._meta.label_lower
        at = connection.ops.adapt_datetimefield_value(timezone.now())
        with connection.cursor() as cursor:
            cursor.execute(NOTE, [by.pk, kind, record.pk, at, by.pk, kind, record.pk])

    @classmethod
    def latest(cls, user):
        """This will list the (kind, key) of what `user` opened last, the latest first."""
        return list(cls.objects.filter(by=user).order_by("-at").values_list("kind", "of")[:KEPT])

    @classmethod
    def tidy(cls):
        """This will forget all that nobody is shown any more."""
        place = Window(RowNumber(), partition_by=F("by"), order_by=F("at").desc())
        old = cls.objects.annotate(place=place).filter(place__gt=KEPT).values_list("pk", flat=True)
        cls.objects.filter(pk__in=list(old)).delete()


def page_of(request, record, template, context):
    """
    This will render the page of `record`, from which something new begins (crm.navigation), and note that it was
    opened: once the answer is on its way, so that nobody waits for it, and a database that is busy with something else
    is no reason to fail.
    """
    request.about = record
    response = render(request, template, context)
    if request.method != "GET" or request.htmx:
        return response
    close = response.close

    def note():
        try:
            Opened.note(record, by=request.user)
        except DatabaseError as error:
            log.warning("Not noted as opened: %s", error)
        finally:
            close()

    response.close = note
    return response
