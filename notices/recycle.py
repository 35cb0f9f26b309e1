"""
What was deleted, kept for a while, so that administrators can bring it back.

A deleted record leaves its table, and with it goes all that hangs on it: the rows lie here as JSON. So no list, search,
count, import or file comes across them, and nothing has to remember to leave them out. Restored, the same rows stand in
their tables again, under the same keys.
"""

import json
from datetime import datetime, timedelta

from django.apps import apps
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core import serializers
from django.core.exceptions import ObjectDoesNotExist
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, models, router, transaction
from django.db.models.deletion import Collector
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm import files
from crm.custom_values import CustomValue, refuse_taken
from crm.exports import ExportRun
from crm.models import Audit
from crm.names import Picklist
from crm.permissions import allows
from crm.picklists import successor
from crm.verbs import Crossed, Gone, NotAllowed, Refused, locked, whole
from notices.about import About
from notices.files import File, Filed

KEPT = timedelta(days=30)


class _Exact(DjangoJSONEncoder):
    """Django's own would round moments to milliseconds."""

    def default(self, o):
        return o.isoformat() if isinstance(o, datetime) else super().default(o)


class _Going(Collector):
    """All that a deletion takes along, row by row."""

    def can_fast_delete(self, objs, from_field=None):
        return False


class RecycledQuerySet(models.QuerySet):
    def expired(self):
        """This will narrow to what has been kept for as long as such things are."""
        return self.filter(at__lte=timezone.now() - KEPT)

    def about(self, record):
        return self.filter(about_type=ContentType.objects.get_for_model(record), about_id=record.pk)

    def search(self, text):
        return self.filter(models.Q(title__icontains=text) | models.Q(under__icontains=text)) if text else self

    def file_keys(self):
        """This will give where the files lie that went with records and are kept with them."""
        return {key for keys in self.values_list("file_keys", flat=True) for key in keys}


class Recycled(About):
    """
    A deleted record, `about`, with all that hung on it. A model whose records come here keeps these promises:

        hangs_on          what the record belongs to, or None: it must be there when the record is to come back
        put_back(by)      which does, for a record whose row stands in its table again, what else is to be done
    """

    title = models.CharField(max_length=200)
    under = models.CharField(max_length=200, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    rows = models.TextField()  # what Django's serializer made of the record and, after it, of what hung on it
    counts = models.JSONField(default=dict)  # {label of a model: how many rows besides the record}
    # What named a row and then named nothing: [label of a model, field, key, what it named, what must be as it was]
    links = models.JSONField(default=list)
    file_keys = models.JSONField(default=list)

    objects = RecycledQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [models.UniqueConstraint(fields=["about_type", "about_id"], name="recycled_once")]

    def __str__(self):
        return self.title

    @property
    def goes_at(self):
        return self.at + KEPT

    @property
    def kind(self):
        """This will name what it was, in the active language."""
        return self.about_type.model_class()._meta.verbose_name

    @classmethod
    def put(cls, record, *, by, along=()):
        """
        This will delete `record`, in the transaction of its verb, with all that the database would take along and the
        querysets of `along`; and keep it.
        """
        going = _Going(using=router.db_for_write(type(record)), origin=record)
        going.collect([record])
        for rows in along:
            going.collect(list(rows))
        # Read anew: Django has fetched no more of each row than it needs to delete it.
        keys = {model: {one.pk for one in rows} for model, rows in going.data.items()}
        others = [row for model, pks in keys.items() for row in model._base_manager.filter(pk__in=pks).order_by("pk")]
        others = [row for row in others if row != record]
        links = []
        for (field, _none), sets in going.field_updates.items():
            within = getattr(field.model, "NAMED_WITHIN", {}).get(field.name)
            for row in (row for rows in sets for row in rows if row.pk not in keys.get(field.model, ())):
                condition = {within: getattr(row, f"{within}_id")} if within else {}
                links.append(
                    [field.model._meta.label_lower, field.name, row.pk, getattr(row, field.attname), condition]
                )
        counts = {}
        for row in others:
            counts[row._meta.label_lower] = counts.get(row._meta.label_lower, 0) + 1
        about = record.hangs_on
        cls.objects.about(record).delete()  # which a record that is there again by another way has left
        kept = cls(
            about=record,
            title=str(record)[:200],
            under=str(about)[:200] if about else "",
            by=by,
            rows=json.dumps(serializers.serialize("python", [record, *others]), cls=_Exact, ensure_ascii=False),
            counts=counts,
            links=links,
            file_keys=[row.key for row in others if isinstance(row, File)],
        )
        kept.save(force_insert=True)
        going.delete()

    @whole()
    def restore(self, *, by):
        """
        This will put the record back, with all that hung on it, and give it. Raises NotAllowed, Gone, and Refused where
        what it belonged to, or cannot be without, is there no more.
        """
        _check(by)
        it = locked(self)
        rows = serializers.deserialize("python", json.loads(it.rows), ignorenonexistent=True)
        record, *others = [one.object for one in rows]
        try:
            if record.hangs_on is not None:
                locked(record.hangs_on)
        except (ObjectDoesNotExist, Gone) as error:
            told = _("It belonged to “%(name)s”, which was deleted too. Restore that first.")
            raise Refused(told % {"name": it.under}) from error
        fitted = _Fitting([record, *others]).rows()
        try:
            with transaction.atomic():
                _enter(fitted)
        except IntegrityError as error:
            if Crossed.is_told_by(error):
                raise
            refuse_taken([row for row in fitted if isinstance(row, CustomValue)])
            raise Refused(_("A part of it is there already, so it cannot be restored.")) from error
        for label, field, pk, value, condition in it.links:
            rows = apps.get_model(label)._base_manager.filter(**{"pk": pk, field: None}, **condition)
            rows.update(**{field: value})
        with_files = {(row.about_type_id, row.about_id) for row in others if isinstance(row, About)}
        for row in fitted:
            if isinstance(row, Filed) and (ContentType.objects.get_for_model(row).pk, row.pk) in with_files:
                row.count_files()
        it.delete()
        record = type(record)._base_manager.get(pk=record.pk)
        record.put_back(by=by)
        Audit.note("restored", by=by, what=it.about_type.model, id=record.pk, name=it.title)
        return record

    @whole()
    def delete_for_good(self, *, by=None):
        """This will delete the record for good, and its files; `by` nobody, its time is up. Raises NotAllowed, Gone."""
        if by is not None:
            _check(by)
        it = locked(self)
        it.delete()
        Audit.note("deleted_for_good", by=by, what=it.about_type.model, id=it.about_id, name=it.title)
        transaction.on_commit(lambda: files.drop(it.file_keys))


def _check(by):
    if not allows(by, "administer"):
        raise NotAllowed()


def _enter(rows):
    """This will put rows into their tables as they were; those of a field that dates each saving one by one."""
    by_model = {}
    for row in rows:
        by_model.setdefault(type(row), []).append(row)
    for model, those in by_model.items():
        if any(getattr(field, "auto_now", False) for field in model._meta.concrete_fields):
            for row in those:
                row.save_base(raw=True, force_insert=True)
        else:
            model._base_manager.bulk_create(those, batch_size=500)


class _Fitting:
    """Rows that are to come back, made to name nothing that is gone meanwhile; each look-up is made once."""

    def __init__(self, rows):
        self.all = rows
        self.there = {(type(row), row.pk) for row in rows}
        self.found = {}

    def rows(self):
        """This will give those that come back; a link to something that is gone does not. Raises Refused."""
        return [row for row in self.all if self._fits(row)]

    def _fits(self, row):
        """
        This will have `row` name no value of a picklist that was merged into another, and nothing that is gone. Raises
        Refused where it cannot be without.
        """
        for field in row._meta.concrete_fields:
            value = getattr(row, field.attname)
            if not field.is_relation or value is None or (field.related_model, value) in self.there:
                continue
            now = self._now(field.related_model, value)
            if now is not None:
                setattr(row, field.attname, now)
            taken = field.unique and row._meta.model._base_manager.filter(**{field.attname: value}).exists()
            if now is None or taken:
                if getattr(row, "CAN_BE_MISSED", False):
                    return False
                if not field.null:
                    told = _("It cannot be without its %(field)s, which is there no more.")
                    raise Refused(told % {"field": field.verbose_name})
                setattr(row, field.attname, None)
        return True

    def _now(self, model, pk):
        """This will give the key of what stands now where `pk` stood, or None."""
        if (model, pk) not in self.found:
            named = model._base_manager.filter(pk=pk).first()
            named = successor(named) if isinstance(named, Picklist) else named
            self.found[model, pk] = named and named.pk
        return self.found[model, pk]


def named_files():
    """This will give what is in the storage "files" and is somebody's: {key: digest, "" where no row says it}."""
    named = dict.fromkeys(ExportRun.objects.exclude(key="").values_list("key", flat=True), "")
    named |= dict.fromkeys(Recycled.objects.file_keys(), "")
    return named | dict(File.objects.values_list("key", "sha256"))
