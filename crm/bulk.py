"""
Acts on many records at once: what somebody does to the selected rows of a list.

The set is fixed when it is confirmed: a BulkRow for each. Then one after the other is done by the same verb as on its
own page, each in a transaction of its own that also says what became of the row, so nothing is done twice, whoever is
killed, and one refusal does not stop the rest. Few rows are done while the page waits, many by the worker.

    waiting ──▶ done       the verb did it
            ──▶ refused    the verb, or a right, said no: `why`
            ──▶ skipped    it left the list since, or there was nothing to do: `why`

What an act changed that can be undone is noted in a Batch of crm.journal.
"""

import logging
import time
from collections import Counter
from contextlib import contextmanager

from django.conf import settings
from django.db import InterfaceError, OperationalError, models, transaction
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.module_loading import import_string
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from crm import bulk_said
from crm.bulk_acts import Skipped
from crm.custom_fields import by_key
from crm.jobs import Job
from crm.journal import Batch, Entry
from crm.models import Audit, User
from crm.names import translated, untranslated
from crm.verbs import NotAllowed, Refused, locked, whole

logger = logging.getLogger(__name__)

AT_ONCE_TAKES = 4  # seconds that a page waits at most; what is left then, the worker does
RIGHTS_READ_EVERY = 50  # rows
NOT_DONE = _("This could not be done.")
NOT_THERE = _("It is not there for you any more.")
LEFT_THE_LIST = _("It no longer meets the conditions of the list that it was selected in.")


class BulkRunQuerySet(models.QuerySet):
    def visible_to(self, user):
        """A run belongs to whoever began it."""
        return self.filter(owner=user)


class BulkRun(models.Model):
    """One act on the selected rows of a list: what, by whom, and how far it is."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    listing = models.CharField(max_length=100)  # the class of the list, as Python imports it
    query = models.TextField(blank=True)  # what the list was asked for
    act = models.SlugField(max_length=20)  # of the list's acts
    given = models.TextField(blank=True)  # what the form said; read anew, with the rights of that moment
    said = models.JSONField(default=list)  # the same, to be shown: see crm.bulk_said
    count = models.PositiveIntegerField()
    batch = models.OneToOneField(Batch, models.SET_NULL, null=True, related_name="+")
    job = models.ForeignKey(Job, models.SET_NULL, null=True, related_name="+")  # the last
    at = models.DateTimeField(default=timezone.now, db_index=True)
    ended_at = models.DateTimeField(null=True)
    undone_at = models.DateTimeField(null=True)

    objects = BulkRunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["owner", "-id"], name="bulk_run_owner")]

    def __str__(self):
        return _("%(act)s: %(what)s") % {"act": self.kind.word, "what": self.what}

    def get_absolute_url(self):
        return reverse("bulk_run", args=[self.pk])

    # Questions

    def list_for(self, user):
        """This will give the list that the rows were selected in, as `user` sees it now."""
        return import_string(self.listing).asked_by(user, QueryDict(self.query))

    @cached_property
    def kind(self):
        """This will give the class of the act."""
        return next(act for act in import_string(self.listing).acts if act.key == self.act)

    @property
    def what(self):
        """This will say how many of what: 230 opportunities."""
        return import_string(self.listing).counted % {"count": self.count}

    @cached_property
    def told(self):
        """This will say in one line what was done to each: Stage → Proposal, Source → emptied."""
        return bulk_said.told(self.said, self.kind.form(user=self.owner), sets=self.kind.sets)

    def is_of(self, listing, act, given, keys):
        """This will tell whether it was begun for just that."""
        same = (type(listing), act.key, given) == (import_string(self.listing), self.act, self.given)
        return same and set(self.rows.values_list("about_id", flat=True)) == set(keys)

    @property
    def is_busy(self):
        return self.job is not None and not self.job.ended

    @property
    def is_undoing(self):
        return self.is_busy and self.job.kind == "undo_bulk"

    @cached_property
    def counts(self):
        """This will give {state of a row: how many}."""
        found = Counter(dict(self.rows.order_by().values_list("state").annotate(count=models.Count("*"))))
        return {str(state): found[state] for state in BulkRow.State}

    @property
    def can_go_on(self):
        return not self.is_busy and not self.undone_at and self.counts["waiting"] > 0

    @property
    def can_be_undone(self):
        return not self.is_busy and self.batch is not None and self.batch.can_be_undone

    @property
    def left(self):
        """This will narrow to what could not be undone, as entries of the journal."""
        return Entry.objects.filter(batch=self.batch_id, state=Entry.State.LEFT).exclude(batch=None)

    @cached_property
    def undone_count(self):
        return Entry.objects.filter(batch=self.batch_id, state=Entry.State.UNDONE).exclude(batch=None).count()

    @property
    def standing_count(self):
        """This will count what undoing would go through."""
        return self.batch.entries.filter(state=Entry.State.STANDS).count()

    # Verbs

    @classmethod
    @transaction.atomic
    def begin(cls, listing, act, given, form, rows, *, by):
        """
        This will fix the set, `rows` of (key, version seen or None), for what the valid `form` says, sent as `given`;
        where there are many, the worker is asked. Raises Refused for none, or too many.
        """
        if not rows:
            raise Refused(_("Nothing is selected that is there for you."))
        if len(rows) > settings.BULK_MOST:
            raise Refused(_("At most %(count)s at once. Narrow the list.") % {"count": f"{settings.BULK_MOST:,}"})
        kind = type(listing)
        run = cls.objects.create(
            owner=by,
            listing=f"{kind.__module__}.{kind.__qualname__}",
            query=listing.bulk_query(),
            act=act.key,
            given=given,
            said=bulk_said.kept(act.chosen(form)),
            count=len(rows),
            batch=Batch.objects.create(by=by, act="bulk") if act.undoable else None,
        )
        names = listing.names_of([key for key, _seen in rows])
        BulkRow.objects.bulk_create(
            BulkRow(run=run, about_id=key, seen=seen, label=str(names.get(key, ""))[:200]) for key, seen in rows
        )
        if len(rows) > settings.BULK_AT_ONCE:
            run._ask_worker(by)
        return run

    def _ask_worker(self, by):
        self.job = Job.enqueue("bulk", by=by, run=self.pk)
        self.save(update_fields=["job"])

    def go_on(self, *, by):
        """This will have the worker do what is left of a run that was broken off. Raises NotAllowed, Refused."""
        with self._changing(by) as it:
            if not it.can_go_on:
                raise Refused(_("Nothing of this is left to do."))
            it._ask_worker(by)

    def work_at_once(self, *, by, seconds=AT_ONCE_TAKES):
        """This will do the rows while a page waits; where that takes too long, the worker is asked to go on."""
        until = time.monotonic() + seconds
        for _row in self._each(by, None):
            if time.monotonic() > until:
                break
        if self.rows.filter(state=BulkRow.State.WAITING).exists():
            with self._changing(by) as it:
                if not it.is_busy:
                    it._ask_worker(by)
        else:
            self._end(by)

    def work(self, job):
        """This will do what is left, with the rights that the owner of `job` has meanwhile."""
        done = self.count - self.rows.filter(state=BulkRow.State.WAITING).count()
        job.progress(done, of=self.count)
        by = job.owner
        for number, _row in enumerate(self._each(by, job), start=1):
            job.progress(done + number)
            job.checkpoint()
        self._end(by, waited=False)

    def _each(self, by, job):
        """This will do one waiting row after the other, and yield each."""
        act = listing = None
        waiting = list(self.rows.filter(state=BulkRow.State.WAITING).order_by("pk"))
        for number, row in enumerate(waiting):
            if number % RIGHTS_READ_EVERY == 0:
                by = User.objects.get(pk=by.pk)
                if not by.is_active:
                    raise NotAllowed()
                listing, act = self.list_for(by), self._act_of(by)
            self._do(row, listing, act, job)
            yield row

    def _act_of(self, by):
        """This will give the act, with what the form says today. Raises Refused where that is no longer right."""
        form = self.kind.form(QueryDict(self.given), user=by)
        if not form.is_valid():
            label, sentences = next(iter(form.errors.items()))
            told = _("%(field)s: %(reason)s")
            field = form.fields.get(label)
            raise Refused(told % {"field": field.label, "reason": sentences[0]} if field else sentences[0])
        return self.kind(self.kind.chosen(form), by=by, batch=self.batch)

    def _do(self, row, listing, act, job):
        """This will do one row, unless that was done, and say in the same transaction what became of it."""
        try:
            with whole():
                if not row.becomes(BulkRow.State.DONE):
                    return
                record = listing.find(row.about_id)
                if record is None:
                    raise Skipped(LEFT_THE_LIST if listing.is_seen(row.about_id) else NOT_THERE)
                if facts := act.do(record, row.seen):
                    BulkRow.objects.filter(pk=row.pk).update(facts=facts)
                self._keep(job, row)
        except Skipped as reason:
            self._say(row, BulkRow.State.SKIPPED, reason.message, job)
        except Refused as reason:
            self._say(row, BulkRow.State.REFUSED, reason.message, job, field=reason.field or "")
        except (OperationalError, InterfaceError):  # the database is not there: nothing is known of this row
            raise
        except Exception:  # whatever is wrong with one row, the others are still to be done
            logger.exception("Bulk run %s: %s of %s ended in an error.", self.pk, self.act, row.about_id)
            self._say(row, BulkRow.State.REFUSED, NOT_DONE, job)

    def _say(self, row, state, why, job, *, field=""):
        with transaction.atomic():
            row.becomes(state, why=untranslated(why)[:500], field=field if field in by_key() else "")
            self._keep(job, row)

    @staticmethod
    def _keep(job, row):
        """This will have the transaction count under the job's lease alone, so that a job that gets on goes on."""
        if job is not None:
            job.keep(row=row.pk)

    def _end(self, by, *, waited=True):
        """This will say that all was gone through; to its owner too, unless they `waited` for it."""
        with transaction.atomic():
            it = locked(self)
            it.tell(by=by)
            if it.ended_at is None:
                it.ended_at = timezone.now()
                it.save(update_fields=["ended_at"])
                Audit.note("bulk", by=by, list=it.list_for(by).name, act=it.act, run=it.pk, **it.counts)
                if not waited:
                    it.kind.ended(it, it.counts)

    def was_broken_off(self, job):
        """This will tell of what was done; and, where `job` failed and was not stopped by its owner, tell them so."""
        self.tell(by=job.owner)
        if job.state == Job.State.FAILED:
            self.kind.ended(self, self.counts)

    def tell(self, *, by):
        """This will tell people of what was done and they were not told of yet: one message each for all of it."""
        rows = list(self.rows.filter(state=BulkRow.State.DONE, told=False).order_by("pk").select_for_update())
        if rows:
            self.kind.tell(import_string(self.listing).model, [(row.about_id, row.facts) for row in rows], by=by)
            self.rows.filter(pk__in=[row.pk for row in rows]).update(told=True)

    def undo(self, *, by):
        """
        This will have all that was changed be what it was, but for what was touched since: few records at once, many by
        the worker. Raises NotAllowed, and Refused where there is nothing such, or after 7 days.
        """
        with self._changing(by) as it:
            if not it.can_be_undone:
                raise Refused(_("There is nothing of this that can be undone."))
            it.batch.touch()
            if many := it.standing_count > settings.BULK_AT_ONCE:
                it.job = Job.enqueue("undo_bulk", by=by, run=it.pk)
                it.save(update_fields=["job"])
        if not many:
            self.take_back(AtOnce(by))

    def take_back(self, job):
        """This will undo it, and say so; broken off, it goes on where it was."""
        self.batch.undo(job, by=job.owner)
        with transaction.atomic():
            it = locked(self)
            undone = set(it.batch.entries.filter(state=Entry.State.UNDONE).values_list("about_id", flat=True))
            rows = it.rows.filter(about_id__in=undone, told=True).order_by("pk")
            it.kind.tell_undone(
                import_string(it.listing).model, [(row.about_id, row.facts) for row in rows], by=job.owner
            )
            rows.update(told=False)
            counts = {name: job.result.get(name, 0) for name in ("undone", "left")}
            if it.undone_at is None:
                Audit.note("bulk_undone", by=job.owner, act=it.act, run=it.pk, **counts)
            if it.is_undoing and not job.result.get("told"):
                it.kind.ended(it, counts, undone=True)
                job.keep(told=True)
            it.undone_at = timezone.now()
            it.save(update_fields=["undone_at"])

    @contextmanager
    def _changing(self, by):
        """This will give the run locked and fresh: of two who ask at once, the second sees what the first did."""
        if self.owner_id != by.pk:
            raise NotAllowed()
        with whole():
            yield locked(self)

    @classmethod
    def tidy(cls, before):
        """This will forget what was begun before that moment, and has ended."""
        cls.objects.filter(at__lt=before).exclude(job__finished_at=None, job__isnull=False).delete()


class AtOnce:
    """What crm.journal asks of a job, where a page waits for it."""

    def __init__(self, owner):
        self.owner, self.result = owner, {}

    def progress(self, done, of=None):
        """Nobody looks."""

    def checkpoint(self):
        """Nobody stops it."""

    def sized(self, size, took, *, least, most):
        """This will give as many again: they are few."""
        return size

    def keep(self, **facts):
        self.result |= facts


class BulkRow(models.Model):
    """One record of the set, and what became of it."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        DONE = "done", _("Done")
        REFUSED = "refused", _("Refused")
        SKIPPED = "skipped", _("Skipped")

    run = models.ForeignKey(BulkRun, models.CASCADE, related_name="rows", db_index=False)
    about_id = models.PositiveBigIntegerField()  # of the list's model
    seen = models.PositiveIntegerField(null=True)  # the version that the list showed, where the act asks for it
    label = models.CharField(max_length=200, blank=True)  # its name then, if it was there for the owner
    state = models.CharField(max_length=7, choices=State, default=State.WAITING)
    why = models.CharField(max_length=500, blank=True)
    field = models.SlugField(max_length=60, blank=True, db_index=False)  # an added one that it is about
    facts = models.JSONField(null=True)
    told = models.BooleanField(default=False)  # whether those who hear of it were told

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["run", "state", "id"], name="bulk_row_run")]
        constraints = [models.UniqueConstraint(fields=["run", "about_id"], name="bulk_row_once")]

    def __str__(self):
        return self.label

    @property
    def reason(self):
        """This will say why it was not done, in the active language where that is a fixed sentence."""
        field, said = by_key().get(self.field), translated(self.why)
        if field is None or field.name in said:
            return said
        return gettext("%(field)s: %(reason)s") % {"field": field.name, "reason": said}

    def becomes(self, state, **values):
        """This will say what became of it, and tell whether nobody had: of two who are at it, one does it."""
        waiting = BulkRow.objects.filter(pk=self.pk, state=BulkRow.State.WAITING)
        return waiting.update(state=state, **values) == 1
