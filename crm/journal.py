"""
What can be undone at one go: what an import, or any other act on many records, entered and changed.

Whoever acts opens a Batch, and notes in the transaction of each chunk what it did, as Entries. Undoing goes through
them from the last to the first. A record that was entered goes for good, one that was changed gets back what it had,
each unless something happened to it since: then it is left, and its entry says why.

A model whose records come here keeps these promises (`notices.history.Recorded` does; a picklist's are kept by
crm.picklists):

    take_back(entries, by)   deletes what was entered and not touched since; gives {key: why} of those that stay
    set_back(entry, by)      gives a record its values from before; gives why not, or ""
    follow_back(entry)       the same for what merely followed from something else, and stands in no history
"""

import time
from datetime import timedelta
from functools import cache, partial
from itertools import groupby
from operator import attrgetter
from zlib import crc32

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm import picklists
from crm.custom_fields import PREFIX, field_of
from crm.names import Picklist, translated, untranslated
from crm.verbs import Refused, whole

KEPT = timedelta(days=7)  # so long can a batch be undone
FIRST_SLICE, SMALLEST, LARGEST = 100, 10, 1000  # entries


class Batch(models.Model):
    """What somebody did at one go."""

    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    act = models.SlugField(max_length=20)  # "import"
    at = models.DateTimeField(default=timezone.now, db_index=True)  # when it last did something

    def __str__(self):
        return f"{self.act} {self.pk}"

    @property
    def can_be_undone(self):
        return self.at > timezone.now() - KEPT and self.entries.filter(state=Entry.State.STANDS).exists()

    def touch(self):
        """This will have the days begin anew for which it can be undone, and give the key of its last entry, or 0."""
        self.at = timezone.now()
        self.save(update_fields=["at"])
        return self.entries.aggregate(last=models.Max("pk"))["last"] or 0

    def note(self, *, entered=(), changed=(), followed=()):
        """
        This will keep, in the transaction that did it, which records were `entered`; and what they were of those
        `changed`, as (record, {field: value before}, version before), and `followed`, as (record, {field: value
        before}). `told_along` of a record lists the events that tell of this beside the one that begins its history.
        """
        entries = [
            *(self._entry(record, before, quiet=True) for record, before in followed),
            *(self._entry(record, None) for record in entered),
            *(self._entry(record, before, since=since) for record, before, since in changed),
        ]
        Entry.objects.bulk_create(entries)

    def _entry(self, record, before, **more):
        if before is not None:
            before = {name: _kept(value) for name, value in before.items()}
        return Entry(
            batch_id=self.pk,
            about_type_id=ContentType.objects.get_for_model(record).pk,
            about_id=record.pk,
            version=getattr(record, "version", 0),
            mark=mark_of(record),
            before=before,
            along=[event.pk for event in getattr(record, "told_along", ())],
            **more,
        )

    def undo(self, job, *, by, after=0):
        """
        This will undo what stands, of the entries after that key, the last first, as the rights of `by` allow, and
        count in the result of `job` how much is `undone` and `left`. Broken off, it goes on where it was.
        """
        standing = self.entries.filter(state=Entry.State.STANDS, pk__gt=after).order_by("-id")
        counts = {name: job.result.get(name, 0) for name in ("undone", "left")}
        job.progress(sum(counts.values()), of=sum(counts.values()) + standing.count())
        size = FIRST_SLICE
        while entries := list(standing.select_related("about_type")[:size]):
            began = time.monotonic()
            with whole():
                left = self._undo(entries, by)
                counts = {"undone": counts["undone"] + len(entries) - left, "left": counts["left"] + left}
                job.keep(**counts)
            size = job.sized(size, time.monotonic() - began, least=SMALLEST, most=LARGEST)
            job.progress(sum(counts.values()))
            job.checkpoint()

    @staticmethod
    def _undo(entries, by):
        """This will undo a few entries, and give how many of them had to be left."""
        why = {}
        for (model, entered), group in groupby(entries, lambda one: (one.about_type.model_class(), one.before is None)):
            those = list(group)
            if entered:
                as_now = Entry.objects.select_related("about_type").in_bulk([one.pk for one in those])
                those = [as_now[one.pk] for one in those]  # setting back a later one may have changed what they say
                take_back = partial(picklists.take_back, model) if issubclass(model, Picklist) else model.take_back
                stays = take_back(those, by=by)
                why |= {one.pk: stays[one.about_id] for one in those if one.about_id in stays}
            else:
                set_back = partial(picklists.set_back, model) if issubclass(model, Picklist) else model.set_back
                for one in those:
                    one.refresh_from_db(fields=["version", "mark", "along"])
                    if sentence := model.follow_back(one) if one.quiet else set_back(one, by=by):
                        why[one.pk] = sentence
        done = Entry.objects.filter(pk__in=[one.pk for one in entries if one.pk not in why])
        done.update(state=Entry.State.UNDONE)
        for entry in entries:
            if entry.pk in why:
                entry.state, entry.why = Entry.State.LEFT, untranslated(why[entry.pk])[:300]
        Entry.objects.bulk_update([entry for entry in entries if entry.pk in why], ["state", "why"])
        return len(why)


class Entry(models.Model):
    """One record that a batch entered, or changed: what it was `before`."""

    class State(models.TextChoices):
        STANDS = "stands", _("Stands")
        UNDONE = "undone", _("Undone")
        LEFT = "left", _("Left as it is")

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="entries", db_index=False)
    about_type = models.ForeignKey(ContentType, models.PROTECT, related_name="+", db_index=False)
    about_id = models.PositiveBigIntegerField()
    version = models.PositiveIntegerField()  # of the record, once it was done
    since = models.PositiveIntegerField(default=0)  # its version before, of a change
    mark = models.BigIntegerField(default=0)  # of what it belonged to then: see `mark_of`
    before = models.JSONField(null=True)  # {field: value}; None where the record was entered
    quiet = models.BooleanField(default=False)  # it followed from something else, and stands in no history
    along = models.JSONField(default=list)  # the keys of further events that tell of it
    state = models.CharField(max_length=6, choices=State, default=State.STANDS)
    why = models.CharField(max_length=300, blank=True)  # it was left

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["batch", "state", "id"], name="journal_entry")]

    def __str__(self):
        return f"{self.about_type_id}:{self.about_id}"

    @property
    def reason(self):
        """This will say why it was left, in the active language where that is a fixed sentence."""
        return translated(self.why)

    @property
    def kind(self):
        """This will name what kind of record it is about, in the active language."""
        return self.about_type.model_class()._meta.verbose_name

    def was_set_back(self, record):
        """This will have the record, which is what it was, count as untouched for what was done to it before this."""
        same = {"about_type": self.about_type, "about_id": self.about_id, "version": self.since}
        along = [*self.along, *(event.pk for event in getattr(record, "told_along", ()))]
        for entry in Entry.objects.filter(state=self.State.STANDS, **same).exclude(pk=self.pk):
            entry.version, entry.mark, entry.along = record.version, mark_of(record), [*entry.along, *along]
            entry.save(update_fields=["version", "mark", "along"])

    def values(self):
        """This will give what the record was before, {field: value}, as its verbs take it. Raises Refused."""
        model = self.about_type.model_class()
        added = {name: field_of(model, name) for name in self.before if name.startswith(PREFIX)}
        own = {name: value for name, value in self.before.items() if name not in added}
        return {name: _read(model._meta.get_field(name), value) for name, value in own.items()} | {
            name: field.read_kept(self.before[name]) for name, field in added.items() if field and field.active
        }


def mark_of(record):
    """
    This will give a number that is another one once the record belongs to somebody or something else: what moves many
    records at once, such as a department that moves, does not count as a change of each.
    """
    return crc32(repr(_links(type(record))(record)).encode())


@cache
def _links(model):
    return attrgetter("pk", *(field.attname for field in model._meta.concrete_fields if field.is_relation))


def named(model, pks, *, besides=()):
    """This will give which of the keys `pks` of a model any row names by a foreign key, those of `besides` left out."""
    found = set()
    for relation in model._meta.get_fields(include_hidden=True):
        if not relation.auto_created or relation.concrete or not (relation.one_to_many or relation.one_to_one):
            continue
        if relation.related_model not in besides:
            column = relation.field.attname
            rows = relation.related_model._base_manager.filter(**{f"{column}__in": pks}).order_by()
            found.update(rows.values_list(column, flat=True).distinct())
    return found


def tidy(*, besides):
    """This will forget what can be undone no more, but for the batches `besides`, by key, which are being undone."""
    Batch.objects.filter(at__lt=timezone.now() - KEPT).exclude(pk__in=besides).delete()


def _kept(value):
    """This will give a field's value as JSON that `_read` reads back without loss."""
    if isinstance(value, models.Model):
        return value.pk
    if isinstance(value, list):
        return [_kept(one) for one in value]
    if value is None or isinstance(value, bool | int | str | dict):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else format(value, "f")


def _read(field, value):
    """This will read it; a value of a list that was merged since is the one that stands in its place."""
    if not field.is_relation or value is None:
        return None if value is None else field.to_python(value)
    found = field.related_model._base_manager.filter(pk=value).first()
    if found is None:
        raise Refused(_("What it had before is there no more."))
    return picklists.successor(found) if isinstance(found, Picklist) else found
