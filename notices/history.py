"""What happened: one event for each verb, and the records whose history is kept."""

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import F
from django.utils import timezone

from notices.about import About

# What a history can be narrowed to: {key: the kinds of event}. Whatever is not here is a change.
TOPICS = {
    "follow_ups": [
        "follow_up_added", "follow_up_planned", "follow_up_done", "follow_up_changed", "follow_up_deleted",
        "follow_up_restored",
    ],
    "comments": ["commented", "comment_changed", "comment_deleted"],
    "approvals": [
        "reported", "sign_asked", "terminate_asked", "resubmitted", "escalated", "granted", "returned", "withdrawn",
        "dropped", "assigned", "amended", "voided",
    ],
    "shares": ["shared", "unshared", "transferred"],
    "files": ["file_added", "file_deleted", "document_linked", "document_unlinked"],
}  # fmt: skip
CHANGES = "changes"


class EventQuerySet(models.QuerySet):
    """Events are written once: nothing changes them, and they go only with their record."""

    def on(self, topic):
        """This will narrow to one of TOPICS, or to CHANGES; to nothing less where it is neither."""
        if topic == CHANGES:
            return self.exclude(kind__in=[kind for kinds in TOPICS.values() for kind in kinds])
        return self.filter(kind__in=TOPICS[topic]) if topic in TOPICS else self

    def about(self, record):
        """This will narrow to what happened to `record`, the latest first, with the names of those who did it."""
        about_type = ContentType.objects.get_for_model(record)
        return self.filter(about_type=about_type, about_id=record.pk).select_related("by")

    def update(self, **kwargs):
        raise TypeError("Events are never changed.")


class Event(About):
    """
    One row per verb: who did what to which record, and what it changed.

    `changes` is {field name: [old, new]}, each side as `describe` gives it; `data` holds what else its sentence needs.
    No foreign key points to an event, so that the table can be partitioned.
    """

    kind = models.SlugField(max_length=40)  # the verb in the past tense: "reported"
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", db_index=False)
    at = models.DateTimeField(default=timezone.now)
    changes = models.JSONField(default=dict)
    data = models.JSONField(default=dict)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index("about_type", "about_id", F("id").desc(), name="event_about")]

    def __str__(self):
        return f"{self.kind} {self.about_type_id}:{self.about_id}"


def describe(value):
    """
    This will turn a field's value into JSON that still reads right when the record is gone or renamed: a record becomes
    {"id", "label"}, its label in every language where it has names; a date or number becomes text.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, models.Model):
        return {"id": value.pk, "label": getattr(value, "names", None) or str(value)}
    return value.isoformat() if hasattr(value, "isoformat") else format(value, "f")


class Recorded(models.Model):
    """
    A record whose history is kept. `version` counts its changes: a page names the one it showed, and a verb refuses
    another.

    TRACKED lists the fields whose old and new values go into the history.
    """

    TRACKED = ()

    version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        abstract = True

    def remember(self):
        """This will note the present values, to be compared with by `record`, and the records that were read along."""
        self._before = {name: getattr(self, self._meta.get_field(name).attname) for name in self.TRACKED}
        self._read_along = dict(self._state.fields_cache)

    def changes(self):
        """This will give {field: [old, new]} since `remember`, described."""
        changed = {}
        for name, old in getattr(self, "_before", {}).items():
            field = self._meta.get_field(name)
            if old != getattr(self, field.attname):
                if field.is_relation and old is not None:
                    old = self._read_along.get(name) or field.related_model._base_manager.filter(pk=old).first()
                changed[name] = [describe(old), describe(getattr(self, name))]
        return changed

    def event(self, kind, *, by, changes=None, **data):
        """This will build, and not save, the event of a verb."""
        return Event(
            about_type=ContentType.objects.get_for_model(self),
            about_id=self.pk,
            kind=kind,
            by=by,
            changes=changes or {},
            data=data,
        )

    def record(self, kind, *, by, **data):
        """This will save what the verb did, under the next version, with its one event. Gives the event."""
        changes = self.changes()
        self.version += 1
        self.save()
        self.remember()
        event = self.event(kind, by=by, changes=changes, **data)
        event.save(force_insert=True)
        return event

    def note(self, kind, *, by, changes=None, **data):
        """This will write an event that changes none of the record's own fields, so its version stays, and give it."""
        event = self.event(kind, by=by, changes=changes, **data)
        event.save(force_insert=True)
        return event
