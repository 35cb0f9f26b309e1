"""
An import: one file of one person, from the upload over matching and check to the rows that came in.

    uploaded ──match──▶ matched ──check──▶ checked ──start──▶ done ──undo──▶ undone
        ▲                  ▲                  │
        └──reread──────────┴──────match───────┘

Check, import and undo are jobs. While one runs, or where it failed or was cancelled, `standing` says so; the state is
that of the last step that was finished, so no import can be stuck. Rows go in by chunks, each in a transaction that
also counts it: an import that was killed goes on where it was, and what is there already is never written again.

The check keeps what is to become of each row; an import in which a row would come to anything else stops there, and
says which. What came in is noted in a Batch of crm.journal, by which all of it can be undone; an import that is to
be whole or not at all is undone where it ends in any other way.
"""

import json
import shutil
import subprocess
import sys
import time
from collections import Counter, deque
from contextlib import contextmanager
from copy import copy
from hashlib import file_digest
from itertools import islice
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, models, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from crm import files, journal, shown
from crm.jobs import Job
from crm.journal import Batch, Entry
from crm.models import Audit
from crm.resources import AGAIN, CHANGED, NEW, REFUSED, UNCHANGED, as_written, heading, kinds
from crm.verbs import NotAllowed, Refused, locked

MOST_COLUMNS = 200
MEMORY, SECONDS, WRITTEN, PATIENCE = (
    400 << 20,
    12,
    500 << 20,
    60,
)  # what reading a file may take: bytes, CPU, bytes, seconds
LARGEST_ANSWER = 2 << 20  # bytes that the reader may say of a file
FIRST_CHUNK, SMALLEST, READ_AT_ONCE = 100, 10, 500  # rows
ANALYZED_FROM, ANALYZED_AGAIN = 1_000, 4  # rows that came in; and how many times as many the next time
SHOWN = 5  # rows shown of what will come in
CHANGES_SHOWN = 10  # records shown of what will change
EARLIER = 20  # imports whose matching says what headings mean to somebody
COUNTS = ("new", "changed", "unchanged", "skipped", "refused")

BUSY = _("This file is being worked on. Wait until that has ended, or stop it.")
PROBLEMS = {
    "empty": _("The file is empty."),
    "no-rows": _("There is one row in this file, and none below it. The first row is taken for the headings."),
    "no-table": _("This is no table. Choose a CSV, TSV or Excel file."),
    "broken": _("This file cannot be read: it is damaged. Open it in a spreadsheet program and save it again."),
    "password": _("This workbook is protected by a password. Save it without one."),
    "encoding": _("This file is not in that encoding. Choose another."),
    "rows": _("This file has more than %(rows)s rows. Split it into several."),
    "columns": _("This file has more than %(columns)s columns. Leave out what is not needed."),
    "web-page": _(
        "This is a web page, though its name may end in .xls. Open it in a spreadsheet program and save it as an Excel "
        "workbook."
    ),
    "xml": _("This is a spreadsheet saved as XML. Open it in a spreadsheet program and save it as an Excel workbook."),
    "quotes": _("The quotation mark that opens in row %(row)s is never closed. Close or delete it."),
    "sheet": _("This workbook has no sheet of that name that holds a table."),
    "large": _("Reading this file takes too much memory. Split it into several."),
    "slow": _("Reading this file takes too long. Split it into several."),
    "room": files.NO_ROOM_NOW,
}

GONE = _("The file of this import is gone. Choose it once more.")


class ImportRunQuerySet(models.QuerySet):
    def visible_to(self, user):
        """An import belongs to its owner: nobody else sees its page, its file or its rows."""
        return self.filter(owner=user)


class ImportRun(models.Model):
    """One file that somebody brought, how its columns were matched, and what became of its rows."""

    class State(models.TextChoices):
        UPLOADED = "uploaded", _("Uploaded")
        MATCHED = "matched", _("Matched")
        CHECKED = "checked", _("Checked")
        DONE = "done", _("Imported")
        UNDONE = "undone", _("Undone")

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="imports")
    kind = models.SlugField(max_length=20)
    file_name = models.CharField(max_length=200)
    folder = models.UUIDField(default=uuid4, unique=True, editable=False)
    encoding = models.CharField(max_length=20, blank=True)
    sure = models.BooleanField(default=True)  # of the encoding
    delimiter = models.CharField(max_length=1, blank=True)
    sheet = models.CharField(max_length=100, blank=True)
    sheets = models.JSONField(default=list)  # [{"name", "hidden"}] of a workbook
    header_row = models.PositiveIntegerField()  # 0 where there are no headings
    top = models.JSONField(default=list)  # the first rows of the sheet as they are, those over the headings too
    totals = models.JSONField(default=list)  # the numbers of rows at the end that look like sums of the others
    columns = models.JSONField()  # [{"name", "filled", "samples", "values", "days"}], see crm.sheets
    rows = models.PositiveIntegerField()
    # {field: {"column": number} or {"value": text}}; with "beside" where the column goes to another field first, with
    # "order" where days in it begin with the day or the month, "unit" where amounts are in thousands and the like,
    # "unknown" where records that it names are entered
    matching = models.JSONField(default=dict)
    known = models.JSONField(default=dict)  # {field: {text of the file: key of ours}}
    by = models.SlugField(max_length=20, blank=True)  # the key by which a row is recognised, of the resource's
    mode = models.SlugField(max_length=10, blank=True)  # what becomes of what is there already, of the resource's
    whole = models.BooleanField(default=False)  # all rows, or none
    state = models.CharField(max_length=8, choices=State, default=State.UPLOADED)
    new = models.PositiveIntegerField(default=0)  # as the last check or import counted; together, the rows
    changed = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    sample = models.JSONField(default=list)  # [[(label, text), …], …] of the first rows that come in
    changes = models.JSONField(default=list)  # [[name, [(label, old, new), …]], …] of the first that change
    becomes = models.JSONField(default=dict)  # {as what new ones come in: how many}, where that differs
    fresh = models.JSONField(default=list)  # [[field, how many, names]] of what is not there yet and is entered beside
    again = models.PositiveIntegerField(default=0)  # how many of the skipped rows stand in the file before
    batch = models.OneToOneField(Batch, models.SET_NULL, null=True, related_name="+")  # what came in
    broken = models.CharField(max_length=300, blank=True)  # why an import that was to be whole was undone
    passed = models.PositiveIntegerField(default=0)  # rows that an import which was broken off has done already
    job = models.ForeignKey(Job, models.SET_NULL, null=True, related_name="+")  # the last
    created_at = models.DateTimeField(default=timezone.now)

    objects = ImportRunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["owner", "-id"], name="import_run_owner")]

    def __str__(self):
        return self.file_name

    def get_absolute_url(self):
        return reverse("import_check", args=[self.pk])

    # Questions

    @property
    def label(self):
        return kinds()[self.kind].label

    @property
    def is_busy(self):
        return self.job is not None and not self.job.ended

    @property
    def standing(self):
        """This will give the state, or what its job does or came to: checking, running, undoing, failed, cancelled."""
        if self.is_busy:
            return {"check_import": "checking", "undo_import": "undoing"}.get(self.job.kind, "running")
        if self.job is not None and self.job.state in (Job.State.FAILED, Job.State.CANCELLED):
            return str(self.job.state)
        return str(self.state)

    @property
    def counts(self):
        """This will give {one of COUNTS: rows}: so far, of a job that is not done; else of the last that is."""
        facts = self.job.result if self.job is not None and self.job.state != Job.State.DONE else {}
        return {name: facts.get(name, 0) if "position" in facts else getattr(self, name) for name in COUNTS}

    @property
    def comes_in(self):
        """This will give how many rows enter or change a record."""
        return self.new + self.changed

    @property
    def can_be_undone(self):
        """This will tell whether something came in that can be undone still."""
        return not self.is_busy and self.batch is not None and self.batch.can_be_undone

    @property
    def entries(self):
        """This will give the records that came in or changed, as entries of the journal."""
        return Entry.objects.filter(batch=self.batch_id).exclude(batch=None).select_related("about_type")

    @property
    def left(self):
        """This will narrow these to what could not be undone."""
        return self.entries.filter(state=Entry.State.LEFT)

    @property
    def names(self):
        """This will give the headings of the columns; of one without, the letter over it."""
        return [column["name"] or letters(number) for number, column in enumerate(self.columns)]

    @property
    def left_out(self):
        """This will list the headings of the columns that go nowhere and have something in them."""
        went = {source["column"] for source in self.matching.values() if "column" in source}
        named = zip(self.names, self.columns, strict=True)
        return [name for number, (name, column) in enumerate(named) if number not in went and column["filled"]]

    def resource(self, user):
        """This will give what imports this kind, in the name of `user`. Raises NotAllowed."""
        return kinds()[self.kind](user)

    def earlier(self):
        """This will give what headings meant in the owner's imports of this kind before: {heading: field}."""
        meant = {}
        for run in self._before:
            for name, source in run.matching.items():
                if "column" in source and not source.get("beside") and source["column"] < len(run.names):
                    meant[as_written(run.names[source["column"]])] = name
        return meant

    def known_earlier(self):
        """This will give what texts stood for in these imports: {field: {text: key}}."""
        known = {}
        for run in self._before:
            for name, texts in run.known.items():
                known.setdefault(name, {}).update(texts)
        return known

    @cached_property
    def _before(self):
        """This will list the owner's last imports of this kind that were matched, the latest last."""
        before = ImportRun.objects.filter(owner=self.owner_id, kind=self.kind, pk__lt=self.pk or 2**62)
        found = before.exclude(state=self.State.UPLOADED).only("columns", "matching", "known").order_by("-pk")
        return list(reversed(found[:EARLIER]))

    @property
    def _path(self):
        return Path(settings.MEDIA_ROOT) / "imports" / str(self.folder)

    def read_rows(self, after=0):
        """
        This will yield the rows of the file, [number in the sheet, text, …], less the first `after`. Raises Refused
        where the file is gone.
        """
        return self._lines("rows", after, GONE)

    def _lines(self, name, after, lost):
        try:
            with (self._path / name).open(encoding="utf-8") as file:
                for line in islice(file, after, None):
                    yield json.loads(line)
        except FileNotFoundError as error:
            raise Refused(lost) from error

    def _foretold(self, after):
        """
        This will yield what the check said of the rows, less the first `after`. Raises Refused where it is lost, or was
        said of other rows than are there now.
        """
        lines = self._lines("verdicts", 0, _("Check the rows first."))
        if next(lines, None) != self._hash_of_rows():
            raise Refused(_("The rows are no longer those that were checked. Check again."))
        yield from islice(lines, after, None)

    def _hash_of_rows(self):
        try:
            with (self._path / "rows").open("rb") as rows:
                return file_digest(rows, "sha256").hexdigest()
        except FileNotFoundError as error:
            raise Refused(GONE) from error

    def refused_rows(self):
        """This will yield (row, sentence) of each refused row."""
        reasons = {}
        for number, column, reason in self.cells.order_by("id").values_list("row", "column", "reason"):
            reasons.setdefault(number, []).append(
                _("%(column)s: %(reason)s") % {"column": column, "reason": reason} if column else reason
            )
        for row in self.read_rows() if reasons else ():
            if row[0] in reasons:
                yield row[1:], " ".join(reasons[row[0]])

    # Verbs

    @classmethod
    def upload(cls, file, kind, *, by):
        """
        This will keep `file`, an uploaded one, and read it. Raises NotAllowed, and Refused with the reason where it is
        too large or cannot be read.
        """
        if kind not in kinds() or not kinds()[kind].may(by):
            raise NotAllowed()
        if file.size > settings.IMPORT_MOST_BYTES:
            told = _("This file is larger than %(megabytes)s MB. Split it into several.")
            raise Refused(told % {"megabytes": settings.IMPORT_MOST_BYTES >> 20}, field="file")
        run = cls(owner=by, kind=kind, file_name=file.name[-200:])
        try:
            with files.room():
                run._path.mkdir(parents=True, mode=0o700)
                with (run._path / "upload").open("wb") as kept:
                    for part in file.chunks():
                        kept.write(part)
            run._found(run._look())
            run.save(force_insert=True)
        except BaseException:
            shutil.rmtree(run._path, ignore_errors=True)
            raise
        return run

    def reread(self, *, by, kind="", **choice):
        """
        This will read the file anew as `choice` says: {"sheet", "header_row", "encoding", "delimiter"}, of which what
        is left out is found; as one of another `kind`, where that is said and nothing came in yet. Raises NotAllowed,
        and Refused while a job is at it or where it cannot be read so.
        """
        kind = kind or self.kind
        if self.owner_id != by.pk or kind not in kinds() or not kinds()[kind].may(by):
            raise NotAllowed()
        if self.is_busy:
            raise Refused(BUSY)
        rows = f"rows-{uuid4()}"  # two may read at once
        found = self._look(choice, target=rows)
        with self._changing(by) as it:
            it._found(found)
            it._begin(self.State.UPLOADED)
            it.matching, it.known, it.passed = {}, {}, 0
            if it.kind != kind and it.batch_id is None:
                it.kind, it.by, it.mode = kind, "", ""
            (self._path / rows).replace(self._path / "rows")

    def _found(self, found):
        """This will keep what the reader found."""
        for name, value in found.items():
            setattr(self, {"sample": "top"}.get(name, name), value)

    def _look(self, choice=None, target="rows"):
        """This will read the upload in a process of its own, and give what it found. Raises Refused."""
        limits = {
            "process": {"memory": MEMORY, "seconds": SECONDS, "written": WRITTEN},
            "rows": settings.IMPORT_MOST_ROWS,
            "columns": MOST_COLUMNS,
        }
        if choice:
            limits["choice"] = choice
        reader = [sys.executable, "-m", "crm.sheets", self._path / "upload", self._path / target, json.dumps(limits)]
        environment = {"PYTHONUTF8": "1"}  # nothing of ours, such as the keys, lies within reach of what it reads
        try:
            ended = subprocess.run(  # noqa: S603  our own words
                reader, cwd=settings.BASE_DIR, env=environment, capture_output=True, timeout=PATIENCE, check=False
            )
            found = json.loads(ended.stdout) if len(ended.stdout) < LARGEST_ANSWER else {"problem": "large"}
        except subprocess.TimeoutExpired:
            found = {"problem": "slow"}
        except ValueError:  # it was ended by a limit before it could say anything
            found = {"problem": "slow" if ended.returncode in (-9, -24) else "large"}  # SIGKILL, SIGXCPU
        if "problem" in found:
            told = {"rows": f"{settings.IMPORT_MOST_ROWS:,}", "columns": MOST_COLUMNS}
            raise Refused(PROBLEMS[found["problem"]] % (told | {"row": found.get("row")}), field="file")
        return found

    def match(self, matching, known, *, by, key="", mode="", whole=False):
        """
        This will say which column, or which value, goes to which field; by which `key` a row is recognised, and what
        becomes of what is there already; and whether all rows are to come in, or none. Raises Refused while a job is at
        it.
        """
        with self._changing(by) as it:
            it.matching, it.known = matching, known
            it.by, it.mode, it.whole = key, mode, whole
            it._begin(self.State.MATCHED)

    def _begin(self, state):
        """This will forget what was found out about the rows."""
        self._pass_over()
        self.state, self.job, self.sample, self.changes, self.broken = state, None, [], [], ""
        self.becomes, self.fresh, self.again = {}, [], 0
        for name in COUNTS:
            setattr(self, name, 0)
        self.cells.all().delete()

    def check_(self, *, by):
        """This will have every row looked at, and nothing written. Raises Refused."""
        with self._changing(by) as it:
            if it.state == self.State.UPLOADED:
                raise Refused(_("Match the columns first."))
            it._pass_over()
            it.state, it.broken = self.State.MATCHED, ""
            it.job = Job.enqueue("check_import", by=by, run=it.pk)

    def _pass_over(self):
        """This will keep how many rows an import did that was broken off: what they enter is not entered again."""
        if self.job is not None and self.job.kind == "run_import" and self.job.state != Job.State.DONE:
            self.passed = max(self.passed, self.job.result.get("position", 0))

    def start(self, *, by):
        """
        This will have the good rows come in. Raises Refused unless all were checked, where none is good, and where one
        is not and it is to be all or nothing.
        """
        with self._changing(by) as it:
            if it.state != self.State.CHECKED:
                raise Refused(_("Check the rows first."))
            if not it.comes_in:
                raise Refused(_("No row of this file comes in."))
            if it.whole and it.refused:
                raise Refused(_("All rows are to come in, or none, and some are refused."))
            if it.batch is None or it.batch.entries.exclude(state=Entry.State.STANDS).exists():
                it.batch = Batch.objects.create(by=by, act="import")
            last = it.batch.touch()
            it.state = self.State.MATCHED  # broken off, it is checked anew before it goes on
            it.job = Job.enqueue("run_import", by=by, run=it.pk, after=last)

    def undo(self, *, by):
        """
        This will have all that came in go again, but for what was touched since. Raises Refused where there is nothing
        such, or after 7 days.
        """
        with self._changing(by) as it:
            if not it.can_be_undone:
                raise Refused(_("There is nothing of this import that can be undone."))
            it.batch.touch()
            it.job = Job.enqueue("undo_import", by=by, run=it.pk)

    def was_broken_off(self, job):
        """This will have undone what is to be whole and has come in in part; `job` has ended without being done."""
        it = locked(self)
        if it.whole and not job.result.get("ended"):
            it.batch.touch()
            it.broken = str(job.error or _("It was stopped."))[:300]
            after = job.arguments["after"]  # what came in before is not of this run
            it.job = Job.enqueue("undo_import", by=None, run=it.pk, after=after)  # nobody's, so nobody stops it
            it.save()

    @transaction.atomic
    def discard(self):
        """This will delete the import with its file; what came in stays."""
        transaction.on_commit(lambda: shutil.rmtree(self._path, ignore_errors=True))
        self.delete()

    @contextmanager
    def _changing(self, by):
        """This will give the import locked and fresh, and save it. Raises NotAllowed, Refused while a job is at it."""
        with transaction.atomic():
            it = locked(self)
            if it.owner_id != by.pk or not kinds()[it.kind].may(by):
                raise NotAllowed()
            if it.is_busy:
                raise Refused(BUSY)
            yield it
            it.save()
        self.__dict__.update({name: value for name, value in it.__dict__.items() if name != "_state"})
        self._state.fields_cache = it._state.fields_cache

    # What the worker does

    def work(self, job, *, writing):
        """
        This will look at all rows, and with `writing` enter the good ones, with the rights that the job's owner has
        now. A check that was broken off begins anew; an import goes on after the last chunk that went in. Raises
        Refused where a row would come to anything else than the check said.
        """
        if job.result.get("ended"):  # the worker was killed before it could say so
            return
        resource = self.resource(job.owner)
        try:
            resource.match(self.matching, self.known, by=self.by, mode=self.mode)
        except ValidationError as error:
            raise Refused(" ".join(error.messages)) from error
        facts = {"position": 0, "charged": {}} | dict.fromkeys(COUNTS, 0)
        if writing:
            facts |= {name: job.result[name] for name in facts if name in job.result}
        resource.charged = facts["charged"]
        if not facts["position"]:
            with transaction.atomic():
                self.cells.all().delete()
                job.keep(**facts)
        foretold = self._foretold(facts["position"]) if writing else None
        grown = ANALYZED_FROM if writing else self.rows + 1
        seen, told = None if writing else set(), {"sample": [], "changes": [], "fresh": {}, "becomes": {}, "again": 0}
        lines, size = self.read_rows(after=facts["position"]), FIRST_CHUNK
        checked = self._hash_of_rows()
        with (self._path / "verdicts.new").open("w", encoding="utf-8") as kept:
            kept.write(json.dumps(checked) + "\n")
            while rows := list(islice(lines, READ_AT_ONCE)):
                ready = deque(self._judged(resource, rows, seen, facts["position"]))
                while ready:
                    with transaction.atomic():
                        began = time.monotonic()
                        if writing and self._is_beside_another():
                            rows = [verdict.row for verdict in ready]
                            ready = deque(self._judged(resource, rows, seen, facts["position"]))
                        verdicts = [ready.popleft() for _one in range(min(size, len(ready)))]
                        verdicts_told, done = self._decide(resource, verdicts, writing, foretold)
                        facts |= self._count(resource, verdicts, facts)
                        facts["position"] += len(verdicts)
                        job.keep(**facts)
                    size = job.sized(size, time.monotonic() - began, least=SMALLEST, most=READ_AT_ONCE)
                    if not writing:
                        kept.writelines(json.dumps(one) + "\n" for one in verdicts_told)
                        self._show(resource, verdicts, done, told)
                    if facts["position"] >= grown:
                        analyze(resource._meta.model)
                        grown *= ANALYZED_AGAIN
                    job.progress(facts["position"], of=self.rows)
                    job.checkpoint()
        with transaction.atomic():
            self._end(job, resource, facts, told, writing=writing)
            job.keep(ended=True)

    def _is_beside_another(self):
        """
        This will tell whether another import of this person's is at work; and have imports of one person wait for each
        other. What was found out about rows before is then out of date: the other may have entered it.
        """
        own = ImportRun.objects.filter(owner=self.owner_id).order_by("pk")
        list(own.select_for_update().values_list("pk"))
        return own.exclude(pk=self.pk).filter(job__kind="run_import", job__finished_at=None).exists()

    def _judged(self, resource, rows, seen, position):
        """This will give the verdicts on `rows`; what an import entered that was broken off, is there."""
        verdicts = resource.judge(rows, seen)
        for verdict in verdicts[: max(0, self.passed - position)]:
            if verdict.fate == NEW:
                verdict.fate = UNCHANGED
        return verdicts

    def _decide(self, resource, verdicts, writing, foretold):
        """
        This will do what the verdicts say, or try; and give what is told of each, and (record, values before) of those
        that change. Raises Refused where that is not what was `foretold`.
        """
        before = list(islice(foretold, len(verdicts))) if writing else []
        if writing:
            for verdict, said in zip(verdicts, before, strict=True):
                if said == AGAIN:  # of a row in this file: the check knew all of them
                    verdict.fate = AGAIN
        told = [verdict.told for verdict in verdicts]
        fresh, done = resource.changing([one for one in verdicts if one.fate == CHANGED], writing=writing)
        told = [REFUSED if one.fate == REFUSED else said for one, said in zip(verdicts, told, strict=True)]
        if writing and told != before:
            row = next(one.row[0] for one, said, now in zip(verdicts, before, told, strict=True) if said != now)
            raise Refused(_("Row %(row)s would no longer come to what the check said. Check again.") % {"row": row})
        entering = [one for one in verdicts if one.fate == NEW]
        if writing and (entering or done):
            entered, followed = resource.entering(entering) if entering else ((), ())
            self.batch.note(entered=[*fresh, *entered], changed=done, followed=followed)
        return told, done

    def _count(self, resource, verdicts, facts):
        """This will count what becomes of the rows of a chunk, and keep the refused cells."""
        fates = Counter("skipped" if verdict.fate == AGAIN else verdict.fate for verdict in verdicts)
        RefusedCell.objects.bulk_create(
            self._cell(resource, verdict, *fault)
            for verdict in verdicts
            if verdict.fate == REFUSED
            for fault in verdict.faults
        )
        return {name: facts[name] + fates[name] for name in COUNTS}

    def _show(self, resource, verdicts, done, told):
        """
        This will keep how the first rows look that come in, and the first records that change; as what new ones come
        in, and what is entered beside; and how many rows come again.
        """
        sample, changes = told["sample"], told["changes"]
        for verdict in verdicts:
            told["again"] += verdict.fate == AGAIN
            if verdict.fate == NEW and (kind := resource.becomes(verdict.record)):
                told["becomes"][kind] = told["becomes"].get(kind, 0) + 1
        for source in resource.sources:
            if source.widget.pending:
                named = told["fresh"].setdefault(str(resource.fields[source.name].label), {})
                coming = [verdict.values.get(source.name) for verdict in verdicts if verdict.fate in (NEW, CHANGED)]
                named.update({str(one): None for one in coming if one is not None and one.pk is None})
        if len(sample) < SHOWN:
            new = [verdict for verdict in verdicts if verdict.fate == NEW][: SHOWN - len(sample)]
            sample += [self._shown(resource, verdict) for verdict in new]
        if len(changes) < CHANGES_SHOWN and done:
            changed = [verdict for verdict in verdicts if verdict.fate == CHANGED]
            for verdict, (record, before, _since) in zip(changed, done, strict=True):
                sides = resource.sides(record, before, verdict.changes)
                changes.append([str(record), [(str(label), readable(old), readable(new)) for label, old, new in sides]])
            del changes[CHANGES_SHOWN:]

    def take_back(self, job):
        """This will undo what came in, and say so; broken off, it goes on where it was."""
        if job.result.get("ended"):
            return
        by = copy(self.owner)
        by.is_active = by.is_active or job.owner is None  # what was promised is kept though its owner left
        self.batch.undo(job, by=by, after=job.arguments.get("after", 0))
        with transaction.atomic():
            it = locked(self)
            it.state, it.passed = self.State.UNDONE, 0
            it.save()
            counts = {name: job.result.get(name, 0) for name in ("undone", "left")}
            Audit.note("import_undone", by=job.owner, what=self.kind, file=self.file_name, run=self.pk, **counts)
            job.keep(ended=True)

    def _cell(self, resource, verdict, name, text, reason):
        column = self.matching.get(name, {}).get("column")
        label = (
            self.names[column]
            if column is not None
            else str(resource.fields[name].label)
            if name in resource.fields
            else ""
        )
        return RefusedCell(run=self, row=verdict.row[0], column=label[:200], value=text[:500], reason=reason[:500])

    @staticmethod
    def _shown(resource, verdict):
        values = {
            str(resource.fields[name].label): readable(verdict.values[name])
            for name in resource.fields
            if name in verdict.values
        }
        return list((resource.preview(verdict.record) | values).items())

    def _end(self, job, resource, facts, told, *, writing):
        it = locked(self)
        it.state = self.State.DONE if writing else self.State.CHECKED
        for name in COUNTS:
            setattr(it, name, facts[name])
        if writing:
            counts = {name: facts[name] for name in COUNTS}
            Audit.note("imported", by=job.owner, what=self.kind, file=self.file_name, run=self.pk, **counts)
            resource.ended(it, facts["charged"])
            Batch.objects.filter(pk=it.batch_id).update(at=timezone.now())
        else:
            it.sample, it.changes, it.again, it.becomes = (
                told[name] for name in ("sample", "changes", "again", "becomes")
            )
            it.fresh = [[label, len(names), [*names][:SHOWN]] for label, names in told["fresh"].items() if names]
            (self._path / "verdicts.new").replace(self._path / "verdicts")
        it.save()


class RefusedCell(models.Model):
    """One cell that keeps its row out: where it stands in the sheet, what is in it, and why not."""

    run = models.ForeignKey(ImportRun, models.CASCADE, related_name="cells", db_index=False)
    row = models.PositiveIntegerField()
    column = models.CharField(max_length=200, blank=True)  # its heading; of a value for all rows, the field's name
    value = models.CharField(max_length=500, blank=True)
    reason = models.CharField(max_length=500)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["run", "id"], name="refused_cell_run")]

    def __str__(self):
        return f"{self.row}: {self.reason}"


class SavedMatching(models.Model):
    """How somebody matched the columns of a file, under a name, for the next one like it."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False)
    kind = models.SlugField(max_length=20)
    name = models.CharField(max_length=80)
    sources = models.JSONField()  # as ImportRun.matching, a column by its heading
    known = models.JSONField(default=dict)
    options = models.JSONField(default=dict)  # {"by", "mode", "whole"}

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["owner", "kind", "name"], name="saved_matching_name")]

    def __str__(self):
        return self.name

    @property
    def label(self):
        return kinds()[self.kind].label

    @classmethod
    def keep(cls, name, run):
        """This will keep how the columns of `run` are matched now, in the place of what had that name."""
        sources = {
            field: source | {"column": run.names[source["column"]]} if "column" in source else source
            for field, source in run.matching.items()
        }
        kept = {
            "sources": sources,
            "known": run.known,
            "options": {"by": run.by, "mode": run.mode, "whole": run.whole},
        }
        cls.objects.update_or_create(owner=run.owner, kind=run.kind, name=name, defaults=kept)

    def matching(self, names):
        """This will give the matching of a file with the headings `names`; what it does not have is left out."""
        numbered = list(reversed(list(enumerate(names))))
        places = {heading(name): number for number, name in numbered}
        places |= {as_written(name): number for number, name in numbered}
        matching = {}
        for field, source in self.sources.items():
            if "column" not in source:
                matching[field] = source
                continue
            wanted = [as_written(source["column"]), heading(source["column"])]
            number = next((places[one] for one in wanted if one in places), None)
            if number is not None:
                matching[field] = source | {"column": number}
        return matching


def analyze(model):
    """
    This will have the database look anew at how large the table of `model` is, and those of the records that it refers
    to. Else it goes by what they were when it looked last, such as empty: it would look through all of a table for each
    row that refers to one of it. SQLite does so where it ever did: before that it takes every table for a large one.
    """
    referred = [field.related_model for field in model._meta.fields if hasattr(field.related_model, "TEXT")]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'")
            if not cursor.fetchone():
                return
            cursor.execute("PRAGMA analysis_limit = 1000")  # rows of an index: milliseconds, since others wait
        for one in {model, *referred}:
            cursor.execute(f"ANALYZE {connection.ops.quote_name(one._meta.db_table)}")


def readable(value):
    """This will write what a cell was read as."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return gettext("Yes") if value else gettext("No")
    if hasattr(value, "as_tuple"):
        return shown.money(value)
    if hasattr(value, "isoformat"):
        return shown.day(value)
    return str(value)[:200]


def letters(number):
    """This will give the letters that a spreadsheet program puts over column `number`, from 0: A, B … Z, AA."""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(65 + rest) + text
    return text


def tidy(before):
    """This will discard imports older than `before` that nobody works on, and folders that no import names."""
    busy = ImportRun.objects.filter(job__isnull=False, job__finished_at=None, batch__isnull=False)
    journal.tidy(besides=busy.values("batch"))
    for run in ImportRun.objects.filter(created_at__lt=before).select_related("job"):
        if not run.is_busy:
            run.discard()
    root = Path(settings.MEDIA_ROOT) / "imports"
    kept = {str(folder) for folder in ImportRun.objects.values_list("folder", flat=True)}
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.name not in kept and folder.stat().st_mtime < before.timestamp():
            shutil.rmtree(folder, ignore_errors=True)
