"""What happened: one event for each verb, and the records whose history is kept."""

from django.apps import apps
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm import journal
from crm.verbs import Refused, Stale
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
    """
    Events are written once: nothing changes them, and they go only with their record, or with one that they tell of
    whose entry is undone.
    """

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

    TRACKED lists the fields whose old and new values go into the history; BEGINS_WITH the models, by label, of which
    the verbs that enter a record enter rows with it.
    """

    TRACKED = ()
    BEGINS_WITH = ()

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
        self.told_along = [*getattr(self, "told_along", ()), event]  # see crm.journal
        return event

    def note(self, kind, *, by, changes=None, **data):
        """This will write an event that changes none of the record's own fields, so its version stays, and give it."""
        event = self.event(kind, by=by, changes=changes, **data)
        event.save(force_insert=True)
        return event

    def give(self, values, *, by, seen=None, planned=None):
        """
        This will give the record other values by its own verbs: `change`, and `transfer` where somebody else is to be
        in charge, of which nobody is told; a department beside is the one that a transfer goes back to, and `planned`
        the keys of the follow-ups that come back with it. Raises as these.
        """
        moved = {"owner", "department"} if "owner" in values else {"owner"}
        others = {name: value for name, value in values.items() if name not in moved}
        if others:
            self.change(by=by, seen=seen, **others)
            seen = self.version
        if "owner" in values and values["owner"] != self.owner:
            back_to = values.get("department")
            self.transfer(to=values["owner"], by=by, seen=seen, tell=False, back_to=back_to, planned=planned)

    # What crm.journal asks

    @classmethod
    def take_back(cls, entries, *, by):
        """
        This will delete for good, of the records that `entries` say were entered, those to which nothing happened
        since, with their history and what they told people; and give {key: why} of the others.
        """
        noted = {entry.about_id: entry for entry in entries}
        cls.hold_owners_of(noted)
        found = {one.pk: one for one in cls._base_manager.filter(pk__in=noted).order_by("pk").select_for_update()}
        stays = {pk: _("It was deleted since.") for pk in noted.keys() - found.keys()}
        for pk, one in found.items():
            if (one.version, journal.mark_of(one)) != (noted[pk].version, noted[pk].mark):
                stays[pk] = _("It was changed since.")
        clean = found.keys() - stays.keys()
        begins_with = [apps.get_model(label) for label in cls.BEGINS_WITH]
        known = [pk for entry in entries for pk in entry.along]
        added = journal.named(cls, clean, besides=begins_with) | cls._spoken_of(clean, besides=known)
        stays |= {pk: _("Something was added to it since.") for pk in added}
        clean -= added
        for model in begins_with:
            [link] = [field for field in model._meta.fields if field.related_model is cls]
            model._base_manager.filter(**{f"{link.name}__in": clean}).delete()
        about = {"about_type": ContentType.objects.get_for_model(cls), "about_id__in": clean}
        for model in _speaking():
            model._base_manager.filter(getattr(model, "TELLS_PEOPLE", Q()), **about).delete()
        Event.objects.filter(pk__in=[pk for one in entries if one.about_id in clean for pk in one.along]).delete()
        cls._base_manager.filter(pk__in=clean).delete()
        cls.taken_back([found[pk] for pk in clean])
        return stays

    @classmethod
    def _spoken_of(cls, pks, besides):
        """
        This will give which of the records `pks` anything is said about that was not said when they were entered; the
        events `besides` are the batch's own.
        """
        about = {"about_type": ContentType.objects.get_for_model(cls), "about_id__in": pks}
        found = set()
        for model in _speaking():
            rows = model._base_manager.filter(**about).order_by()
            if model is Event:
                rows = rows.exclude(kind__in=ENTERED).exclude(pk__in=besides)
            if not hasattr(model, "TELLS_PEOPLE"):
                found.update(rows.values_list("about_id", flat=True).distinct())
        return found

    @classmethod
    def hold_owners_of(cls, pks):
        """This will lock what the verbs of the records `pks` lock before these."""

    @classmethod
    def taken_back(cls, records):
        """This will bring in line what followed from `records`, which were entered and are gone."""

    @staticmethod
    def _planned(entry):
        """This will give the keys of the follow-ups that went along where `entry` tells of a transfer, or None."""
        moved = Event.objects.filter(pk__in=entry.along, kind="transferred").order_by("pk").first()
        return moved and moved.data.get("planned")

    def was_set_back(self, since):
        """This will bring in line what follows from its having got back what it was at the version `since`."""

    @classmethod
    def set_back(cls, entry, *, by):
        """This will give the record of `entry` its values from before, and give "", or why it did not."""
        record = cls._base_manager.filter(pk=entry.about_id).first()
        if record is None:
            return _("It was deleted since.")
        try:
            with transaction.atomic():
                record.give(entry.values(), by=by, seen=entry.version, planned=cls._planned(entry))
                record.was_set_back(entry.since)
        except Stale:
            return _("It was changed since.")
        except Refused as refused:
            return refused.message
        entry.was_set_back(record)
        return ""


ENTERED = ("created", "imported")  # the kinds of event that begin a history


def _speaking():
    """This will list the models whose rows say something about a record of any kind."""
    return [model for model in apps.get_models() if issubclass(model, About)]
