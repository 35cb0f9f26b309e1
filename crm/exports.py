"""
What leaves a list as a file: all rows that match, one page, or those selected, as a workbook or as CSV.

A list says in `exported` what of a record goes out: first its own columns, in their order, then all else that its
reader may know. Cells are typed: a number is a number, a day a day; a text that begins like a formula stays a text.
Few rows are given out at once. A large workbook is made by the worker, and lies until its owner fetches it.
"""

import csv
import re
from collections import namedtuple
from datetime import date, datetime, timedelta
from decimal import Decimal
from io import BytesIO, StringIO
from itertools import islice
from shutil import copyfileobj
from tempfile import TemporaryFile
from types import SimpleNamespace
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from django.conf import settings
from django.core.files import File
from django.core.files.storage import storages
from django.db import models, transaction
from django.http import FileResponse, QueryDict, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.utils import get_column_letter
from openpyxl.utils.datetime import to_excel

from crm import files
from crm.jobs import Job
from crm.models import Audit
from crm.names import localized
from crm.permissions import allows
from crm.sheets import FORMULA, is_like_a_formula
from crm.verbs import NotAllowed

EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMATS = {"xlsx": _("Excel"), "csv": _("CSV"), "vcf": _("vCard")}
STREAMED = {"csv": "text/csv; charset=utf-8", "vcf": "text/vcard; charset=utf-8"}
CHUNK = 1_000  # rows read at a time
NUMBERS = {int, float, Decimal}
SHEET = "xl/worksheets/sheet1.xml"  # in a workbook of one sheet
EXCEL_HOLDS = 32_767  # characters in a cell
KEPT = timedelta(days=7)
NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # what a workbook cannot hold
SUSPECT = {*FORMULA, "'"}  # first letters of what may be like a formula

# One column of a file: its heading; where the value is read, as in `values_list`; what is written of the value. A path
# that ends at something named in several languages stands for that name. With `batch`, a function of the list and the
# keys of some rows, the value is what that gives for the key of the row.
Out = namedtuple("Out", ["head", "path", "shown", "batch"], defaults=[None, None])


class Export:
    """What of a list goes into a file: `fields` "list" or "all", `rows` "all", "page" or "selected"."""

    def __init__(self, listing, *, fields="list", rows="all"):
        self.listing = listing
        self.outs = [*listing.exported, *(listing.exported_besides if fields == "all" else [])]
        self.rows = rows

    @property
    def found(self):
        """
        This will give the rows, in the order of the list; all of them are the same that its count counts. What was
        selected is taken literally: it goes out whatever the list is narrowed by.
        """
        listing = self.listing
        found = listing.model.objects.visible_to(listing.user)
        if self.rows == "selected":
            found = found.filter(pk__in=listing.selected)
        else:
            found = found.search(listing.text).filter(listing.conditions.q())
        if self.rows == "page":
            found = found.filter(pk__in=listing.pks)
        sign = "-" if listing.sort.startswith("-") else ""
        return found.order_by(f"{sign}{listing.sorts[listing.sort.removeprefix('-')]}", f"{sign}pk")

    def count(self, most=None):
        rows = self.found.order_by()
        return (rows if most is None else rows[: most + 1]).count()

    def heads(self):
        return [str(out.head) for out in self.outs]

    def chunks(self):
        """
        This will give the rows, CHUNK at a time, as columns of typed values: text, number, date, datetime without zone,
        or None. A column that needs nothing done is passed on as it was read.
        """
        found = self.found
        values = found.values_list("pk", *(out.path or "pk" for out in self.outs)).iterator(chunk_size=CHUNK)
        names = {out.path: self._names(found.model, out.path) for out in self.outs if out.path}
        zone = timezone.get_current_timezone()  # the reader's
        while chunk := list(islice(values, CHUNK)):
            keys, *columns = zip(*chunk, strict=True)
            yield [
                self._typed(out, keys, column, names.get(out.path), zone)
                for out, column in zip(self.outs, columns, strict=True)
            ]

    @staticmethod
    def _names(model, path):
        """This will give {key: name} of all that the path can end at, read once; None where it ends at a value."""
        field = None if "__" in path else model._meta.get_field(path)
        if field is None or not field.is_relation:
            return None
        return {pk: localized(names) for pk, names in field.related_model._base_manager.values_list("pk", "names")}

    def _typed(self, out, keys, column, names, zone):
        if out.batch:
            given = out.batch(self.listing, keys)
            return [given.get(key) for key in keys]
        if names is not None:
            return [names.get(key) for key in column]
        if out.shown:
            return [out.shown(value) for value in column]
        if datetime in kinds_in(column):
            return [value and value.astimezone(zone).replace(tzinfo=None) for value in column]
        return column


def kinds_in(column):
    """This will give the types of what stands in a column, less that of nothing."""
    return set(map(type, column)) - {type(None)}


class Table:
    """
    What a page shows as a table and is no Listing: it goes out whole. `rows` gives them as tuples of values typed as
    those of `Export.chunks`, in the order of `heads`; `name` is that of the page's address.
    """

    formats = ["xlsx", "csv"]

    def __init__(self, request, name, heading, heads, rows):
        self.request = request
        self.name = name
        self.heading = heading
        self._heads = heads
        self.rows = list(rows)

    @classmethod
    def asked(cls, request):
        return request.method == "GET" and request.GET.get("export") in cls.formats

    def heads(self):
        return [str(head) for head in self._heads]

    def chunks(self):
        for first in range(0, len(self.rows), CHUNK):
            yield list(zip(*self.rows[first : first + CHUNK], strict=True))

    def answer(self):
        """This will give the table out as the file that `?export=` asks for. Raises NotAllowed."""
        user, kind = self.request.user, self.request.GET["export"]
        if not allows(user, "export"):
            raise NotAllowed()
        query = self.request.GET.copy()
        for name in ("export", "page"):
            query.pop(name, None)
        told = {"list": self.name, "query": query.urlencode(), "format": kind, "fields": "list", "which": "all"}
        Audit.note("exported", by=user, **told, rows=len(self.rows))
        name = file_name(self, kind)
        if kind in STREAMED:
            return _streamed(comma_separated(self), kind, name)
        file, _count = workbook(self, str(self.heading))
        return FileResponse(file, as_attachment=True, filename=name, content_type=EXCEL)


# ── The two kinds of file ────────────────────────────────────────────────────────────────────────────────────────────


def workbook(export, title, *, each=None):
    """
    This will give a temporary file with a workbook of the rows, and how many; `each` is told after each CHUNK.

    openpyxl makes it, with the heads alone; the rows are written into its sheet as text, for which openpyxl would take
    several times as long.
    """
    book, number_of = _with_heads(export.heads(), title)
    count = 0
    file = TemporaryFile()  # noqa: SIM115  whoever asked closes it
    with ZipFile(book) as made, ZipFile(file, "w", ZIP_DEFLATED) as whole, TemporaryFile() as sheet:
        for name in made.namelist():
            if name != SHEET:
                whole.writestr(name, made.read(name))
        before, end, after = made.read(SHEET).partition(b"</sheetData>")
        sheet.write(before)
        for columns in export.chunks():
            sheet.write(_rows(columns, count + 2, number_of).encode())
            count += len(columns[0])
            if each:
                each(count)
        sheet.write(end + after)
        entry = ZipInfo(SHEET)
        entry.compress_type, entry.file_size = ZIP_DEFLATED, sheet.tell()  # by which it knows whether that is very much
        sheet.seek(0)
        with whole.open(entry, "w") as packed:
            copyfileobj(sheet, packed, 1 << 20)
    file.seek(0)
    return file, count


def _with_heads(heads, title):
    """This will give a workbook with a row of heads that stays in sight, and the numbers of its styles, by type."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title[:31])
    sheet.freeze_panes = "A2"
    sheet.append([WriteOnlyCell(sheet, head) for head in heads])
    number_of = {kind: WriteOnlyCell(sheet, kind(2000, 1, 1)).style_id for kind in (date, datetime)}
    file = BytesIO()
    book.save(file)
    return file, number_of


def _rows(columns, first, number_of):
    """This will write rows from number `first` on as a sheet has them. What is no number and no day is a text."""

    def cell(at, value):
        kind = type(value)
        if value is None or value == "":
            return ""
        if kind in NUMBERS:
            return f'<c r="{at}"><v>{value}</v></c>'
        if kind in number_of:
            return f'<c r="{at}" s="{number_of[kind]}"><v>{to_excel(value)}</v></c>'
        if kind is bool:
            return f'<c r="{at}" t="b"><v>{value:d}</v></c>'
        text = str(value)
        plain = text.isprintable()
        text = (text if plain else NO_XML.sub("", text))[:EXCEL_HOLDS]
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if not plain:
            text = text.replace("\r", "&#13;")  # or it would be read as the end of a line
        return f'<c r="{at}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'

    letters = [get_column_letter(place) for place in range(1, len(columns) + 1)]
    written = [
        [cell(f"{letter}{number}", value) for number, value in enumerate(column, first)]
        for letter, column in zip(letters, columns, strict=True)
    ]
    lines = enumerate(zip(*written, strict=True), first)
    return "".join([f'<row r="{number}">{"".join(cells)}</row>' for number, cells in lines])


def comma_separated(export):
    """
    This will give the rows as CSV, piece by piece, in UTF-8 with a mark by which Excel knows it. An apostrophe keeps a
    text that begins like a formula a text; who reads such a file here takes it away again: see crm.sheets.
    """

    def cells(column):
        kinds = kinds_in(column)
        if any(issubclass(kind, str) for kind in kinds):
            column = [
                f"'{value}" if isinstance(value, str) and value[:1] in SUSPECT and is_like_a_formula(value) else value
                for value in column
            ]
        if datetime in kinds:
            column = [value.isoformat(" ", "minutes") if type(value) is datetime else value for value in column]
        return column

    def written(rows):
        piece = StringIO(newline="")
        csv.writer(piece, quoting=csv.QUOTE_NONNUMERIC).writerows(rows)  # also for who separates at semicolons
        return piece.getvalue()

    yield "\ufeff" + written([cells(export.heads())])
    for columns in export.chunks():
        yield written(zip(*map(cells, columns), strict=True))


# ── Given out ────────────────────────────────────────────────────────────────────────────────────────────────────────


def answer(listing, form):
    """This will give a list out as the file that `form` asks for: {"export", "fields", "rows"}. Raises NotAllowed."""
    if not allows(listing.user, "export"):
        raise NotAllowed()
    export = Export(listing, fields=form["fields"], rows=form["rows"])
    name = file_name(listing, form["export"])
    if form["export"] in STREAMED:
        note(listing, form, export.count())
        pieces = listing.cards(export.found) if form["export"] == "vcf" else comma_separated(export)
        return _streamed(pieces, form["export"], name)
    file, count = workbook(export, str(listing.heading))
    note(listing, form, count)
    return FileResponse(file, as_attachment=True, filename=name, content_type=EXCEL)


def _streamed(pieces, end, name):
    response = StreamingHttpResponse(pieces, content_type=STREAMED[end])
    response.headers["Content-Disposition"] = content_disposition_header(True, name)
    return response


def file_name(listing, end):
    return f"{listing.heading} {timezone.localdate():%Y-%m-%d}.{end}"


def note(listing, form, rows):
    """This will write down who took what out of which list, and how many rows; of those selected also the keys."""
    kept = {} if form["rows"] == "selected" else {"pk": None}
    query = listing.asked(export=None, fields=None, rows=None, page=None, **kept).urlencode()
    told = {"list": listing.name, "query": query, "format": form["export"], "fields": form["fields"]}
    told |= {"which": form["rows"], "rows": rows}
    Audit.note("exported", by=listing.user, **told)


class ExportRunQuerySet(models.QuerySet):
    def visible_to(self, user):
        """A file that the worker made belongs to whoever asked for it."""
        return self.filter(owner=user)


class ExportRun(models.Model):
    """A large workbook that the worker makes of a list, with the rights that its owner has then."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="exports")
    listing = models.CharField(max_length=100)  # the class of the list, as Python imports it
    query = models.TextField(blank=True)
    name = models.CharField(max_length=200)  # of the file
    rows = models.PositiveIntegerField(null=True)
    key = models.CharField(max_length=100, blank=True)  # where the file lies, once it is made
    job = models.ForeignKey(Job, models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField(default=timezone.now)

    objects = ExportRunQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["owner", "-id"], name="export_run_owner")]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("export", args=[self.pk])

    @property
    def is_busy(self):
        return self.job is not None and not self.job.ended

    @classmethod
    @transaction.atomic
    def start(cls, listing, *, by):
        """This will ask the worker for a workbook of the list as it was asked for. Raises NotAllowed."""
        if not allows(by, "export"):
            raise NotAllowed()
        kind = type(listing)
        asked = {
            "owner": by,
            "listing": f"{kind.__module__}.{kind.__qualname__}",
            "query": listing.asked(page=None, pk=None).urlencode(),
        }
        if (last := cls.objects.filter(**asked).select_related("job").first()) and last.is_busy:
            return last  # pressed twice
        run = cls.objects.create(**asked, name=file_name(listing, "xlsx"))
        run.job = Job.enqueue("export", by=by, run=run.pk)
        run.save(update_fields=["job"])
        return run

    def make(self, job):
        """This will make the file; `job` tells how far it is, and may be stopped. Raises NotAllowed."""
        if not allows(job.owner, "export"):
            raise NotAllowed()
        listing = import_string(self.listing)(SimpleNamespace(user=job.owner, GET=QueryDict(self.query)))
        form = {"export": "xlsx", "fields": listing.request.GET.get("fields", "list"), "rows": "all"}
        export = Export(listing, fields=form["fields"])
        whole = export.count()

        def each(count):
            job.progress(count, of=whole)
            job.checkpoint()

        file, self.rows = workbook(export, str(listing.heading), each=each)
        with file:
            self.key = storages["files"].save(f"export-{self.pk}", File(file))
        with transaction.atomic():
            self.save(update_fields=["rows", "key"])
            note(listing, form, self.rows)

    @classmethod
    def tidy(cls, before):
        """This will delete the files that were made before that moment."""
        old = list(cls.objects.filter(at__lt=before))
        files.drop([run.key for run in old if run.key])
        cls.objects.filter(pk__in=[run.pk for run in old]).delete()
