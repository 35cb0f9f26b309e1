"""What says something about a record of any kind."""

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models


class About(models.Model):
    """What says something about a record of any kind. A generic link has no foreign key; the index makes up for it."""

    about_type = models.ForeignKey(ContentType, models.PROTECT, related_name="+", db_index=False)
    about_id = models.PositiveBigIntegerField()
    about = GenericForeignKey("about_type", "about_id")

    class Meta:
        abstract = True
