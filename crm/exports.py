"""
What leaves a list as a file: all rows that match, one page, or those selected, as a workbook or as CSV.

What goes out of a record is what the list shows of it, column by column in its order, or all that it can show. Cells
are typed: a number is a number, a day a day; a text that begins like a formula stays a text. Few rows are given out at
once. A large workbook is made by the worker, and lies until its owner fetches it.
"""

import csv
import json
import re
from collections import namedtuple
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from io import BytesIO, StringIO
from itertools import chain, islice
from shutil import copyfileobj
from tempfile import TemporaryFile
from types import SimpleNamespace
from unicodedata import east_asian_width
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
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.utils.datetime import to_excel

from crm import files
from crm.jobs import Job
from crm.models import Audit
from crm.names import localized
from crm.permissions import allows
from crm.replica import reading
from crm.sheets import FORMULA, is_like_a_formula
from crm.verbs import NotAllowed

EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORMATS = {"xlsx": _("Excel"), "csv": _("CSV"), "vcf": _("vCard")}
STREAMED = {"csv": "text/csv; charset=utf-8", "vcf": "text/vcard; charset=utf-8"}
CHUNK = 1_000  # rows read at a time
NUMBERS = {int, float, Decimal}
SHEET = "xl/worksheets/sheet1.xml"  # in a workbook of one sheet
BOOK = "xl/workbook.xml"
EMPTY_ROW = b'<row r="1"></row>'
EXCEL_HOLDS = 32_767  # characters in a cell
FIRST_YEAR = 1900  # of the days that a workbook counts; one before is a text
SHOWN_AS = {date: "yyyy-mm-dd", datetime: "yyyy-mm-dd hh:mm", Decimal: "#,##0.00#"}
LOOKED_AT = 100  # values of a column, for its width
WIDEST = 60  # letters
ARROW = 2  # letters that the arrow of a filter takes
KEPT = timedelta(days=7)
NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")  # what a workbook cannot hold
CODE = re.compile("_(?=x[0-9A-Fa-f]{4}_)")  # with which the code of a letter begins, as a workbook reads a text
SUSPECT = {*FORMULA, "'"}  # first letters of what may be like a formula

# One column of a file: its heading; where the value is read, as in `values_list`; what is written of the value. A path
# that ends at something named in several languages stands for that name. With `batch`, a function of the list and the
# keys of some rows, the value is what that gives for the key of the row.
Out = namedtuple("Out", ["head", "path", "shown", "batch"], defaults=[None, None])


class Export:
    """What of a list goes into a file: `fields` "list" or "all", `rows` "all", "page" or "selected"."""

    def __init__(self, listing, *, fields="list", rows="all"):
        self.listing = listing
        self.outs = listing.outs_of(listing.every_column() if fields == "all" else listing.shown)
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
        return found.order_by(*listing.order_by())

    @reading()
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
        with reading():
            found = self.found
            values = found.values_list("pk", *(out.path or "pk" for out in self.outs)).iterator(chunk_size=CHUNK)
            names = {out.path: self._names(found.model, out.path) for out in self.outs if out.path}
        zone = timezone.get_current_timezone()  # the reader's
        while True:
            with reading():
                chunk = list(islice(values, CHUNK))
                if not chunk:
                    return
                keys, *columns = zip(*chunk, strict=True)
                typed = [
                    self._typed(out, keys, column, names.get(out.path), zone)
                    for out, column in zip(self.outs, columns, strict=True)
                ]
            yield typed

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


def in_columns(rows):
    """This will give rows, CHUNK at a time, as columns."""
    rows = iter(rows)
    while chunk := list(islice(rows, CHUNK)):
        yield list(zip(*chunk, strict=True))


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
        return in_columns(self.rows)

    def answer(self):
        """This will give the table out as the file that `?export=` asks for. Raises NotAllowed."""
        user, kind = self.request.user, self.request.GET["export"]
        if not allows(user, "export"):
            raise NotAllowed()
        query = self.request.GET.copy()
        for name in ("export", "page"):
            query.pop(name, None)
        told = {"list": self.name, "query": query.urlencode(), "format": kind, "fields": "list", "which": "all"}
        name = file_name(self, kind)
        if kind in STREAMED:
            Audit.note("exported", by=user, **told, rows=len(self.rows))
            return _streamed(comma_separated(self), kind, name)
        file, rows, cut = workbook(self, str(self.heading))
        Audit.note("exported", by=user, **told, **taken(rows, cut))
        return FileResponse(file, as_attachment=True, filename=name, content_type=EXCEL)


# ── The two kinds of file ────────────────────────────────────────────────────────────────────────────────────────────


def workbook(export, title, *, each=None):
    """
    This will give a temporary file with a workbook of the rows, how many there are, and how many texts were cut because
    a cell does not hold them; `each` is told after each CHUNK.

    openpyxl makes it, without any row; these are written into its sheet as text, for which openpyxl would take several
    times as long.
    """
    heads, chunks = export.heads(), export.chunks()
    first = next(chunks, [()] * len(heads))
    columns = [Looked(head, column[:LOOKED_AT]) for head, column in zip(heads, first, strict=True)]
    book, styles = _without_rows(title, columns)
    rows, count = Rows(styles), 0
    file = TemporaryFile()  # noqa: SIM115  whoever asked closes it
    with ZipFile(book) as made, ZipFile(file, "w", ZIP_DEFLATED) as whole, TemporaryFile() as sheet:
        before, end, after = made.read(SHEET).partition(b"</sheetData>")
        sheet.write(before.removesuffix(EMPTY_ROW))
        sheet.write(rows.heads(columns).encode())
        for values in chain([first], chunks) if first[0] else ():
            sheet.write(rows.written(values, count + 2).encode())
            count += len(values[0])
            if each:
                each(count)
        last = get_column_letter(len(heads))
        sheet.write(end + after.replace(f'"A1:{last}1"'.encode(), f'"A1:{last}{count + 1}"'.encode()))
        for name in made.namelist():
            if name != SHEET:
                part = made.read(name)
                if name == BOOK:  # where the filter over the heads is named once more
                    part = part.replace(f"$A$1:${last}$1<".encode(), f"$A$1:${last}${count + 1}<".encode())
                whole.writestr(name, part)
        entry = ZipInfo(SHEET)
        entry.compress_type, entry.file_size = ZIP_DEFLATED, sheet.tell()  # by which it knows whether that is very much
        sheet.seek(0)
        with whole.open(entry, "w") as packed:
            copyfileobj(sheet, packed, 1 << 20)
    file.seek(0)
    return file, count, rows.cut


class Looked:
    """What the heading and the first values of a column say about how it is shown."""

    def __init__(self, head, values):
        self.head = head
        self.width = min(max([_breadth(head) + ARROW, *map(_breadth, values)]) + 2, WIDEST)
        kinds = kinds_in(values)
        self.is_of_numbers = bool(kinds) and kinds <= NUMBERS


def _breadth(value):
    """This will give how many letters wide a value is shown; one of East Asia counts twice."""
    if value is None:
        return 0
    if type(value) is datetime:
        return len("2000-01-01 00:00")
    shown = f"{value:,.2f}" if type(value) is Decimal else f"{value:,}" if type(value) is int else str(value)
    lines = [line[:WIDEST] for line in shown[: WIDEST * WIDEST].splitlines()]
    return max((len(line) if line.isascii() else len(line) + sum(map(_is_wide, line)) for line in lines), default=0)


def _is_wide(letter):
    return east_asian_width(letter) in "WF"


def _without_rows(title, columns):
    """
    This will give a workbook for such columns, whose first row stays in sight and has a filter, and the numbers of its
    styles: by type, and True and False for the heading of a column of numbers and of another.
    """
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title[:31])
    sheet.freeze_panes = "A2"
    for number, column in enumerate(columns, 1):
        sheet.column_dimensions[get_column_letter(number)].width = column.width
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(columns))}1"
    styles = {}
    for kind, shown in SHOWN_AS.items():
        cell = WriteOnlyCell(sheet)
        cell.number_format = shown
        styles[kind] = cell.style_id
    for of_numbers in (True, False):
        cell = WriteOnlyCell(sheet)
        cell.font, cell.alignment = Font(bold=True), Alignment(horizontal="right" if of_numbers else None)
        styles[of_numbers] = cell.style_id
    sheet.append([])
    file = BytesIO()
    book.save(file)
    return file, styles


class Rows:
    """Writes rows as a sheet has them. What is no number and no day is a text; `cut` counts those cut short."""

    def __init__(self, styles):
        self.styles = styles
        self.cut = 0

    def heads(self, columns):
        cells = [
            f'<c r="{get_column_letter(place)}1" s="{self.styles[column.is_of_numbers]}" {self._text(column.head)}</c>'
            for place, column in enumerate(columns, 1)
        ]
        return f'<row r="1">{"".join(cells)}</row>'

    def written(self, columns, first):
        """This will write rows from number `first` on."""
        letters = [get_column_letter(place) for place in range(1, len(columns) + 1)]
        cell = self._cell
        written = [
            [cell(f"{letter}{number}", value) for number, value in enumerate(column, first)]
            for letter, column in zip(letters, columns, strict=True)
        ]
        lines = enumerate(zip(*written, strict=True), first)
        return "".join([f'<row r="{number}">{"".join(cells)}</row>' for number, cells in lines])

    def _cell(self, at, value):
        kind = type(value)
        if value is None or value == "":
            return ""
        if kind in NUMBERS:
            style = f' s="{self.styles[kind]}"' if kind is Decimal else ""
            return f'<c r="{at}"{style}><v>{value}</v></c>'
        if kind in SHOWN_AS and value.year >= FIRST_YEAR:
            return f'<c r="{at}" s="{self.styles[kind]}"><v>{to_excel(value)}</v></c>'
        if kind is bool:
            return f'<c r="{at}" t="b"><v>{value:d}</v></c>'
        return f'<c r="{at}" {self._text(str(value))}</c>'

    def _text(self, text):
        plain = text.isprintable()
        if not plain:
            text = NO_XML.sub("", text)
        if len(text) > EXCEL_HOLDS // 2:
            text = self._as_much_as_fits(text)
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        if not plain:
            text = text.replace("\r", "&#13;")  # or it would be read as the end of a line
        if "_x" in text:
            text = CODE.sub("_x005F_", text)
        return f't="inlineStr"><is><t xml:space="preserve">{text}</t></is>'

    def _as_much_as_fits(self, text):
        units = text.encode("utf-16-le")  # in which a cell is measured
        if len(units) <= EXCEL_HOLDS * 2:
            return text
        self.cut += 1
        return units[: EXCEL_HOLDS * 2].decode("utf-16-le", "ignore")


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
    file, count, cut = workbook(export, str(listing.heading))
    note(listing, form, count, cut)
    return FileResponse(file, as_attachment=True, filename=name, content_type=EXCEL)


def _streamed(pieces, end, name):
    response = StreamingHttpResponse(pieces, content_type=STREAMED[end])
    response.headers["Content-Disposition"] = content_disposition_header(True, name)
    return response


def file_name(listing, end):
    return f"{listing.heading} {timezone.localdate():%Y-%m-%d}.{end}"


def note(listing, form, rows, cut=0):
    """
    This will write down who took what out of which list, how many rows, and how many texts were cut; of those selected
    also the keys.
    """
    kept = {} if form["rows"] == "selected" else {"pk": None}
    query = listing.asked(export=None, fields=None, rows=None, page=None, **kept).urlencode()
    told = {"list": listing.name, "query": query, "format": form["export"], "fields": form["fields"]}
    told |= {"which": form["rows"]} | taken(rows, cut)
    Audit.note("exported", by=listing.user, **told)


def taken(rows, cut):
    """This will give how much went out, as the audit keeps it."""
    return {"rows": rows} | ({"cut": cut} if cut else {})


def sight_of(user):
    """This will give a digest of what lets somebody see records: their roles, how far these reach, and their place."""
    facts = [sorted(user.role_keys), str(user.scope), user.department.path if user.department else None]
    return sha256(json.dumps(facts).encode()).hexdigest()


class ExportRunQuerySet(models.QuerySet):
    def visible_to(self, user):
        """A file that the worker made belongs to whoever asked for it."""
        return self.filter(owner=user)


class ExportRun(models.Model):
    """
    A large workbook that the worker makes of a list, with the rights that its owner has then; nobody fetches it who has
    others by now.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="exports")
    listing = models.CharField(max_length=100)  # the class of the list, as Python imports it
    query = models.TextField(blank=True)
    name = models.CharField(max_length=200)  # of the file
    rows = models.PositiveIntegerField(null=True)
    cut = models.PositiveIntegerField(default=0)  # texts that no cell holds
    sight = models.CharField(max_length=64, blank=True)  # its owner's, when it was made
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
            "query": listing.frozen(page=None, pk=None).urlencode(),
        }
        if (last := cls.objects.filter(**asked).select_related("job").first()) and last.is_busy:
            return last  # pressed twice
        run = cls.objects.create(**asked, name=file_name(listing, "xlsx"))
        run.job = Job.enqueue("export", by=by, run=run.pk)
        run.save(update_fields=["job"])
        return run

    def is_fit_for(self, user):
        """This will tell whether what is in the file is still what `user` may see."""
        return self.sight == sight_of(user)

    def make(self, job):
        """This will make the file; `job` tells how far it is, and may be stopped. Raises NotAllowed."""
        if not allows(job.owner, "export"):
            raise NotAllowed()
        self.sight = sight_of(job.owner)
        listing = import_string(self.listing)(SimpleNamespace(user=job.owner, GET=QueryDict(self.query)))
        form = {"export": "xlsx", "fields": listing.request.GET.get("fields", "list"), "rows": "all"}
        export = Export(listing, fields=form["fields"])
        whole = export.count()

        def each(count):
            job.progress(count, of=whole)
            job.checkpoint()

        file, self.rows, self.cut = workbook(export, str(listing.heading), each=each)
        with file:
            self.key = storages["files"].save(f"export-{self.pk}", File(file))
        with transaction.atomic():
            self.save(update_fields=["rows", "cut", "sight", "key"])
            note(listing, form, self.rows, self.cut)

    @classmethod
    def tidy(cls, before):
        """This will delete the files that were made before that moment."""
        old = list(cls.objects.filter(at__lt=before))
        files.drop([run.key for run in old if run.key])
        cls.objects.filter(pk__in=[run.pk for run in old]).delete()
