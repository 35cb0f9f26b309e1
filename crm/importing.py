"""
An import: one file of one person, from the upload over matching and check to the rows that came in.

    uploaded ──match──▶ matched ──check──▶ checked ──start──▶ done
                           ▲                  │
                           └──────match───────┘

Check and import are jobs. While one runs, or where it failed or was cancelled, `standing` says so; the state is that of
the last step that was finished, so no import can be stuck. Rows go in by chunks, each in a transaction that also counts
it: an import that was killed goes on where it was, and what is there already is never written again.
"""

import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.db import models, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm import shown
from crm.jobs import Job
from crm.models import Audit
from crm.resources import kinds
from crm.verbs import NotAllowed, Refused, locked

MOST_COLUMNS = 200
MEMORY, SECONDS, WRITTEN, PATIENCE = (
    400 << 20,
    20,
    500 << 20,
    60,
)  # what reading a file may take: bytes, CPU, bytes, seconds
FIRST_CHUNK, SMALLEST, LARGEST = 200, 20, 2000  # rows
CHUNK_TAKES = 0.3  # seconds; so long, at most a little longer, do others wait for the lock
SHOWN = 5  # rows shown of what will come in
COUNTS = ("new", "there", "refused")

PROBLEMS = {
    "empty": _("The file is empty."),
    "no-rows": _("There is one row in this file, and none below it. The first row is taken for the headings."),
    "no-table": _("This is no table. Choose a CSV, TSV or Excel file."),
    "broken": _("This file cannot be read: it is damaged. Open it in a spreadsheet program and save it again."),
    "password": _("This workbook is protected by a password. Save it without one."),
    "encoding": _("The letters of this file are in an encoding that is not known here. Save it as UTF-8."),
    "rows": _("This file has more than %(rows)s rows. Split it into several."),
    "columns": _("This file has more than %(columns)s columns. Leave out what is not needed."),
    "large": _("Reading this file takes too much memory. Split it into several."),
    "slow": _("Reading this file takes too long. Split it into several."),
}


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

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="imports")
    kind = models.SlugField(max_length=20)
    file_name = models.CharField(max_length=200)
    folder = models.UUIDField(default=uuid4, unique=True, editable=False)
    encoding = models.CharField(max_length=20, blank=True)
    delimiter = models.CharField(max_length=1, blank=True)
    sheet = models.CharField(max_length=100, blank=True)
    header_row = models.PositiveIntegerField()
    columns = models.JSONField()  # [{"name", "filled", "samples", "values"}], see crm.sheets
    rows = models.PositiveIntegerField()
    # {field: {"column": number} or {"value": text}}; with "beside" where the column goes to another field first
    matching = models.JSONField(default=dict)
    known = models.JSONField(default=dict)  # {field: {text of the file: key of ours}}
    state = models.CharField(max_length=8, choices=State, default=State.UPLOADED)
    new = models.PositiveIntegerField(default=0)  # as the last check or import counted; together, the rows
    there = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    sample = models.JSONField(default=list)  # [[(label, text), …], …] of the first rows that come in
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
        """This will give the state, or what its job does or came to: "checking", "running", "failed", "cancelled"."""
        if self.is_busy:
            return "checking" if self.job.kind == "check_import" else "running"
        if self.job is not None and self.job.state in (Job.State.FAILED, Job.State.CANCELLED):
            return str(self.job.state)
        return str(self.state)

    @property
    def counts(self):
        """This will give {"new", "there", "refused"}: so far, of a job that is not done; else of the last that is."""
        facts = self.job.result if self.job is not None and self.job.state != Job.State.DONE else None
        return {name: facts.get(name, 0) if facts else getattr(self, name) for name in COUNTS}

    @property
    def names(self):
        """This will give the headings of the columns; of one without, the letter over it."""
        return [column["name"] or letters(number) for number, column in enumerate(self.columns)]

    def resource(self, user):
        """This will give what imports this kind, in the name of `user`. Raises NotAllowed."""
        return kinds()[self.kind](user)

    @property
    def _path(self):
        return Path(settings.MEDIA_ROOT) / "imports" / str(self.folder)

    def read_rows(self, after=0):
        """This will yield the rows of the file, [number in the sheet, text, …], less the first `after`."""
        with (self._path / "rows").open(encoding="utf-8") as file:
            for line in islice(file, after, None):
                yield json.loads(line)

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
        run._path.mkdir(parents=True, mode=0o700)
        try:
            with (run._path / "upload").open("wb") as kept:
                for part in file.chunks():
                    kept.write(part)
            for name, value in run._look().items():
                setattr(run, name, value)
            run.save(force_insert=True)
        except BaseException:
            shutil.rmtree(run._path, ignore_errors=True)
            raise
        return run

    def _look(self):
        """This will read the upload in a process of its own, and give what it found. Raises Refused."""
        limits = {
            "process": {"memory": MEMORY, "seconds": SECONDS, "written": WRITTEN},
            "rows": settings.IMPORT_MOST_ROWS,
            "columns": MOST_COLUMNS,
        }
        reader = [sys.executable, "-m", "crm.sheets", self._path / "upload", self._path / "rows", json.dumps(limits)]
        environment = {"PYTHONUTF8": "1"}  # nothing of ours, such as the keys, lies within reach of what it reads
        try:
            ended = subprocess.run(  # noqa: S603  our own words
                reader, cwd=settings.BASE_DIR, env=environment, capture_output=True, timeout=PATIENCE, check=False
            )
            found = json.loads(ended.stdout)
        except subprocess.TimeoutExpired:
            found = {"problem": "slow"}
        except ValueError:  # it was ended by a limit before it could say anything
            found = {"problem": "slow" if ended.returncode in (-9, -24) else "large"}  # SIGKILL, SIGXCPU
        if "problem" in found:
            told = {"rows": f"{settings.IMPORT_MOST_ROWS:,}", "columns": MOST_COLUMNS}
            raise Refused(PROBLEMS[found["problem"]] % told, field="file")
        return found

    def match(self, matching, known, *, by):
        """This will say which column, or which value, goes to which field. Raises Refused while a job is at it."""
        with self._changing(by) as it:
            it.matching, it.known = matching, known
            it.state, it.job, it.sample = self.State.MATCHED, None, []
            it.new = it.there = it.refused = 0
            it.cells.all().delete()

    def check_(self, *, by):
        """This will have every row looked at, and nothing written. Raises Refused."""
        with self._changing(by) as it:
            if it.state == self.State.UPLOADED:
                raise Refused(_("Match the columns first."))
            it.state = self.State.MATCHED
            it.job = Job.enqueue("check_import", by=by, run=it.pk)

    def start(self, *, by):
        """This will have the good rows come in. Raises Refused unless all were checked, or where none is good."""
        with self._changing(by) as it:
            if it.state != self.State.CHECKED:
                raise Refused(_("Check the rows first."))
            if not it.new:
                raise Refused(_("No row of this file comes in."))
            it.job = Job.enqueue("run_import", by=by, run=it.pk)

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
                raise Refused(_("This file is being worked on. Wait until that has ended, or stop it."))
            yield it
            it.save()
        self.__dict__.update({name: value for name, value in it.__dict__.items() if name != "_state"})
        self._state.fields_cache = it._state.fields_cache

    # What the worker does

    def work(self, job, *, writing):
        """
        This will look at all rows, and with `writing` enter the good ones, with the rights that the job's owner has
        now. A check that was broken off begins anew; an import goes on after the last chunk that went in.
        """
        resource = self.resource(job.owner)
        resource.match(self.matching, self.known)
        facts = (
            job.result
            if writing and "position" in job.result
            else {"position": 0, "charged": {}} | dict.fromkeys(COUNTS, 0)
        )
        resource.charged = facts["charged"]
        if not facts["position"]:
            with transaction.atomic():
                self.cells.all().delete()
                job.keep(**facts)
        seen, sample = set(), []
        lines, size = self.read_rows(after=facts["position"]), FIRST_CHUNK
        while rows := list(islice(lines, size)):
            verdicts = resource.read(rows)
            began = time.monotonic()
            with transaction.atomic():
                counted, good = self._take(resource, verdicts, seen)
                if writing and good:
                    resource.write([verdict.record for verdict in good])
                facts |= {name: facts[name] + counted[name] for name in COUNTS}
                facts["position"] += len(rows)
                job.keep(**facts)
            took = max(time.monotonic() - began, 0.001)
            size = round(min(LARGEST, 2 * size, max(SMALLEST, size * CHUNK_TAKES / took)))
            sample += [self._shown(resource, verdict) for verdict in good[: SHOWN - len(sample)]]
            job.progress(facts["position"], of=self.rows)
            job.checkpoint()
        with transaction.atomic():
            self._end(job, resource, facts, sample, writing=writing)
            job.keep()

    def _take(self, resource, verdicts, seen):
        """This will count the verdicts of a chunk, keep the refused cells, and give the verdicts on what comes in."""
        readable = [verdict for verdict in verdicts if verdict.record is not None]
        there = resource.there([verdict.record for verdict in readable]) if readable else set()
        counted, good, cells = Counter(), [], []
        for verdict in verdicts:
            if verdict.record is None:
                counted["refused"] += 1
                cells += [self._cell(resource, verdict, *fault) for fault in verdict.faults]
                continue
            identity = resource.identity(verdict.record)
            if identity in there or identity in seen:
                counted["there"] += 1
            else:
                seen.add(identity)
                counted["new"] += 1
                good.append(verdict)
        RefusedCell.objects.bulk_create(cells)
        return counted, good

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

    def _end(self, job, resource, facts, sample, *, writing):
        it = locked(self)
        it.state = self.State.DONE if writing else self.State.CHECKED
        it.sample = it.sample if writing else sample
        for name in COUNTS:
            setattr(it, name, facts[name])
        it.save()
        if writing:
            counts = {name: facts[name] for name in COUNTS}
            Audit.note("imported", by=job.owner, what=self.kind, file=self.file_name, run=self.pk, **counts)
            resource.ended(it, facts["charged"])


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


def readable(value):
    """This will write what a cell was read as."""
    if value is None:
        return ""
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
    for run in ImportRun.objects.filter(created_at__lt=before).select_related("job"):
        if not run.is_busy:
            run.discard()
    root = Path(settings.MEDIA_ROOT) / "imports"
    kept = {str(folder) for folder in ImportRun.objects.values_list("folder", flat=True)}
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.name not in kept and folder.stat().st_mtime < before.timestamp():
            shutil.rmtree(folder, ignore_errors=True)
