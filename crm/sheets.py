"""
Reads an uploaded table in a process of its own, with limits: `python -m crm.sheets <file> <rows> <limits as JSON>`.

A file may be a bomb, make its reader hang or panic; all of that ends here, and whoever asked gets a word for it. The
rows go into a file of JSON lines, `[number of the row in the sheet, text, text, …]`, so nobody opens the upload again.
What was found is printed as JSON: {"encoding", "delimiter", "sheet", "header_row", "columns", "rows"}, or
{"problem": word}.

It imports nothing of Django: it begins in a few hundredths of a second.
"""

import codecs
import csv
import io
import json
import quopri
import re
import resource
import sys
from collections import Counter
from datetime import date, datetime
from itertools import islice, zip_longest

import python_calamine as calamine

ENCODINGS = ["utf-8", "gb18030", "big5", "utf-16", "windows-1252"]
DELIMITERS = [",", ";", "\t", "|"]
BYTE_ORDER_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
WORKBOOKS = (
    b"PK\x03\x04",
    b"\xd0\xcf\x11\xe0",
)  # a zip: xlsx, xlsm, ods; an OLE file: xls, or what a password protects
NO_TABLES = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"{\\rtf", b"<")
LOOKED_AT = 1 << 16  # bytes, or characters, that the guesses are made from
FIRST_ROWS = 20  # among which the header stands
FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "＝",
    "＋",
    "－",
    "＠",
)  # what a spreadsheet program takes for the beginning of one
CARD = re.compile(rb"\s*BEGIN:\s*VCARD", re.IGNORECASE)
LONGEST_HEAD = 500  # characters of a line of a vCard before its value
CARD_HEADS = ["Name", "Customer", "Job title", "Mobile", "Phone", "E-mail", "Description"]
SAMPLES = 3
DISTINCT = 60  # different values of a column that are kept; a column with more is no list of choices


class Problem(Exception):
    """Why a file cannot be read; the word is one of crm.importing.PROBLEMS."""


def main(source, target, limits):
    try:
        limit(**limits.pop("process"))
        found = Table(source, **limits).write(target)
    except Problem as problem:
        found = {"problem": str(problem)}
    except MemoryError:
        found = {"problem": "large"}
    except OSError:  # the rows are larger than a file may be
        found = {"problem": "large"}
    except calamine.PasswordError:
        found = {"problem": "password"}
    except BaseException:  # noqa: BLE001  a panic of the reader is no Exception
        found = {"problem": "broken"}
    print(json.dumps(found))  # noqa: T201  that is the answer


def limit(memory, seconds, written):
    """This will have the kernel end this process when it takes more memory (bytes) or time, or writes more."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Table:
    """The first visible sheet of a workbook, or a text with delimiters."""

    def __init__(self, path, *, rows, columns):
        self.path = path
        self.most_rows = rows
        self.most_columns = columns
        self.encoding = self.delimiter = self.sheet = ""

    def write(self, target):
        with open(self.path, "rb") as file:  # noqa: PTH123  pathlib would double the time this process needs to begin
            head = file.read(LOOKED_AT)
        if not head.strip():
            raise Problem("empty")
        if head.startswith(WORKBOOKS):
            rows = self._of_workbook()
        elif CARD.match(head.removeprefix(codecs.BOM_UTF8)) or (
            head.startswith(tuple(BYTE_ORDER_MARKS)) and CARD.match(head[2:].replace(b"\0", b""))
        ):
            rows = self._of_cards(head)
        else:
            rows = self._of_text(head)
        numbered = (
            (number, row) for number, row in enumerate(rows, 1) if any(cell and not cell.isspace() for cell in row)
        )
        first = list(islice(numbered, FIRST_ROWS))
        if not first:
            raise Problem("empty")
        # Titles stand above the header, and fill a cell or two.
        widths = [sum(1 for cell in row if cell.strip()) for _number, row in first]
        at = next(index for index, width in enumerate(widths) if 2 * width >= max(widths))
        header_row, header = first[at]
        if len(header) > self.most_columns:
            raise Problem("columns")
        self.columns = [Column(name) for name in header]
        count = 0
        with open(target, "w", encoding="utf-8") as file:  # noqa: PTH123  as above
            for part in (first[at + 1 :], numbered):
                for number, row in part:
                    count += 1
                    if count > self.most_rows:
                        raise Problem("rows")
                    self._count(row)
                    file.write(json.dumps([number, *row], ensure_ascii=False))
                    file.write("\n")
        if not count:
            raise Problem("no-rows")
        while self.columns and not self.columns[-1].name.strip() and not self.columns[-1].filled:
            self.columns.pop()
        return {
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "sheet": self.sheet,
            "header_row": header_row,
            "columns": [column.found() for column in self.columns],
            "rows": count,
        }

    def _count(self, row):
        for column, cell in zip_longest(self.columns, row):
            if column is None:
                if len(self.columns) >= self.most_columns:
                    raise Problem("columns")
                column = Column("")
                self.columns.append(column)
            if cell:
                column.count(cell)

    def _of_workbook(self):
        with open(self.path, "rb") as file:  # noqa: PTH123  as above; the name does not say what kind of workbook it is
            book = calamine.CalamineWorkbook.from_filelike(file)
            sheets = [
                sheet.name
                for sheet in book.sheets_metadata
                if sheet.typ == calamine.SheetTypeEnum.WorkSheet and sheet.visible == calamine.SheetVisibleEnum.Visible
            ]
            if not sheets:
                raise Problem("empty")
            self.sheet = sheets[0]
            sheet = book.get_sheet_by_name(self.sheet)
            if sheet.total_width > self.most_columns:
                raise Problem("columns")
            for row in sheet.iter_rows():  # from A1 on, though nothing be there
                yield [text(cell) for cell in row]

    def _of_text(self, head):
        self.encoding = self._encoding(head)
        with open(self.path, encoding=self.encoding, newline="") as file:  # noqa: PTH123  as above
            self.delimiter = delimiter(file.read(LOOKED_AT))
        csv.field_size_limit(1 << 20)
        with open(self.path, encoding=self.encoding, newline="") as file:  # noqa: PTH123  as above
            try:
                for row in csv.reader(file, delimiter=self.delimiter):
                    yield [bare(cell.replace("\0", "")) for cell in row]
            except csv.Error as error:
                raise Problem("broken") from error

    def _of_cards(self, head):
        """This will give the people of a file of vCards, one below the other, under headings of our own."""
        from vobject import base  # which no other file needs; what it makes of whole cards loses much that people write

        self.encoding = self._encoding(head)
        yield CARD_HEADS
        begun = []  # cards, and in them other parts, of which nothing is read
        with open(self.path, encoding=self.encoding, newline="") as file:  # noqa: PTH123  as above
            for text, _number in base.getLogicalLines(file, allowQP=True):
                head, colon, value = text.partition(":")
                if not colon or len(head) > LONGEST_HEAD:
                    continue  # no line of a card; others pass it over too
                name, *kinds = head.upper().split(";")
                name = name.rpartition(".")[2].strip()
                if name == "BEGIN":
                    begun.append({} if value.strip().upper() == "VCARD" else None)
                elif name == "END" and begun:
                    if (held := begun.pop()) is not None:
                        yield [bare_of_nuls(cell) for cell in person_of(held)]
                elif begun and begun[-1] is not None:
                    begun[-1].setdefault(name, []).append((unquoted(value, kinds), kinds))
        if begun:
            raise Problem("broken")

    def _encoding(self, head):
        for mark, encoding in BYTE_ORDER_MARKS.items():
            if head.startswith(mark):
                return encoding
        if b"\0" in head or head.lstrip().startswith(NO_TABLES):
            raise Problem("no-table")
        for encoding in ("utf-8", "gb18030"):
            try:
                with open(self.path, encoding=encoding, newline="") as file:  # noqa: PTH123  as above
                    while file.read(LOOKED_AT):
                        pass
            except UnicodeDecodeError:
                continue
            return encoding
        raise Problem("encoding")


class Column:
    """What is told of a column: its name, how many cells have something in them, and examples of what."""

    def __init__(self, name):
        self.name = " ".join(name.split())[:200]
        self.filled = 0
        self.samples = []
        self.values = {}  # how often each value occurs; None once there are too many

    def count(self, cell):
        cell = cell.strip()
        if not cell:
            return
        self.filled += 1
        if self.values is not None:
            self.values[cell] = self.values.get(cell, 0) + 1
            if len(self.samples) < SAMPLES and cell[:60] not in self.samples:
                self.samples.append(cell[:60])
            if len(self.values) > DISTINCT or len(cell) > 100:
                self.values = None
        elif len(self.samples) < SAMPLES and cell[:60] not in self.samples:
            self.samples.append(cell[:60])

    def found(self):
        return {"name": self.name, "filled": self.filled, "samples": self.samples, "values": self.values}


def unquoted(value, kinds):
    """This will give the value of a line, read as its parameters say: older programs write letters as =E5=BC=A0."""
    if not any(kind.endswith("QUOTED-PRINTABLE") for kind in kinds):
        return value
    raw = quopri.decodestring(value.encode(errors="ignore"))
    said = [kind.partition("=")[2] for kind in kinds if kind.startswith("CHARSET=")]
    for encoding in ("utf-8", *said, "gb18030"):
        try:
            return raw.decode(encoding)
        except (UnicodeError, LookupError):
            continue
    return raw.decode(errors="replace")


def person_of(held):
    """This will give a vCard, {name: [(value, its parameters), …]}, as a row under CARD_HEADS."""

    def unescaped(text):
        return re.sub(r"\\(.)", lambda sign: "\n" if sign[1] in "nN" else sign[1], text).strip()

    def parts(name):
        return [unescaped(text) for text in re.split(r"(?<!\\);", held[name][0][0])] if name in held else []

    def whole(name):
        return "; ".join(parts(name))

    def number_of(value):
        number, _sign, extension = unescaped(value).removeprefix("tel:").partition(";ext=")
        return f"{number} x{extension}" if extension else number

    family, given, additional, prefix, *_rest = [*parts("N"), "", "", "", ""]
    name = whole("FN") or " ".join(filter(None, [prefix, given, additional, family]))
    company = next(iter(parts("ORG")), "")
    numbers = [(number_of(value), set(re.split(r"[=,\"\s]+", ",".join(kinds)))) for value, kinds in held.get("TEL", [])]
    numbers = [(number, kinds) for number, kinds in numbers if not kinds & {"FAX", "PAGER"}]
    mobile = next((number for number, kinds in numbers if kinds & {"CELL", "IPHONE"}), "")
    phone = next((number for number, _kinds in numbers if number != mobile), "")
    return [name, company, whole("TITLE"), mobile, phone, whole("EMAIL"), whole("NOTE")]


def bare_of_nuls(cell):
    """This will take away what no database holds."""
    return cell.replace("\0", "").encode(errors="ignore").decode()


def bare(cell):
    """This will take away the apostrophe that keeps a text which begins like a formula a text: see crm.exports."""
    return cell[1:] if cell.startswith("'") and is_like_a_formula(cell) else cell


def is_like_a_formula(text):
    """This will tell whether a text begins like a formula, be it after apostrophes."""
    return text.lstrip("'").startswith(FORMULA)


def text(cell):
    """This will write a cell as people read it: whole numbers without a point, days without a time."""
    kind = type(cell)
    if kind is str:
        return cell.replace("\0", "")
    if kind is float:
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if kind is bool:
        return "TRUE" if cell else "FALSE"
    if kind is datetime:
        return cell.date().isoformat() if cell.time() == datetime.min.time() else cell.isoformat(" ", "seconds")
    if kind is date:
        return cell.isoformat()
    return "" if cell is None else str(cell)


def delimiter(sample):
    """This will guess what separates the cells: what cuts most rows into the same number, the more the better."""

    def fits(candidate):
        rows = islice(csv.reader(io.StringIO(sample, newline=""), delimiter=candidate), FIRST_ROWS)
        widths = Counter(len(row) for row in rows if row)
        [(width, count)] = widths.most_common(1) or [(1, 0)]
        return (count, width) if width > 1 else (0, 0)

    try:
        return max(DELIMITERS, key=fits)
    except csv.Error as error:
        raise Problem("broken") from error


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
