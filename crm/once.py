"""Sent twice, made once: a form that makes a record carries a key, and the key is kept with what was made."""

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm.verbs import Refused, whole


class Once(models.Model):
    """
    What came of one form that somebody sent. The row is written in the transaction that makes the record, or not at
    all.
    """

    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    key = models.UUIDField()
    made_type = models.ForeignKey(ContentType, models.CASCADE, null=True, related_name="+", db_index=False)
    made_id = models.PositiveBigIntegerField(null=True)
    made = GenericForeignKey("made_type", "made_id")
    at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["by", "key"], name="once")]

    def __str__(self):
        return str(self.key)


@whole()
def once(key, *, by, make):
    """
    This will give the record that `make()` makes and gives; or, where `by` sent the form of that key before, what
    it made then. A second sender waits for the first. Raises what `make` raises, and Refused where the record is
    gone again.
    """
    if key is None:
        return make()
    row, first = Once.objects.get_or_create(by=by, key=key)
    if first:
        row.made = make()
        row.save()
    elif row.made is None:
        raise Refused(_("This was entered already, and has been deleted since."))
    return row.made
