"""
Reads an uploaded table in a process of its own, with limits: `python -m crm.sheets <file> <rows> <limits as JSON>`.

A file may be a bomb, make its reader hang or panic; all of that ends here, and whoever asked gets a word for it. The
limits are {"process": {"memory", "seconds", "written"}, "rows", "columns"}, and "choice" where somebody says how to
read: {"sheet", "header_row", "encoding", "delimiter"}, each if it is not to be guessed; header_row 0 is a table without
headings. The rows go into a file of JSON lines, `[number of the row in the sheet, text, text, …]`, so nobody opens the
upload again; where the reading fails, what was there before stays. What was found is printed as JSON: {"encoding",
"sure", "delimiter", "sheet", "sheets", "header_row", "columns", "rows", "sample", "totals"}, or {"problem": word}; that
is never more than a megabyte, and no text in it has a NUL or a lone surrogate.

It imports nothing of Django: it begins in a few hundredths of a second.
"""

import csv
import errno
import io
import json
import os
import re
import resource
import sys
from collections import Counter, deque
from itertools import chain, islice, takewhile, zip_longest

import python_calamine as calamine

from crm import cards, workbooks
from crm.encodings import encoding_of, opened
from crm.unreadable import Problem

DELIMITERS = [",", ";", "\t", "|"]
NO_TABLES = (b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"{\\rtf")
LOOKED_AT = 1 << 16  # bytes, or characters, that the guesses are made from
LONGEST = 1 << 20  # characters of a line, and of a cell
LAST_ROW = 2_000_000  # of which most are blank; no spreadsheet program has so many
FIRST_ROWS = 20  # among which the header stands
LEAST_NAMES = 3  # of a table before which another sheet is passed over
SHOWN_ROWS, SHOWN_CELLS, SHOWN_LETTERS = 12, 20, 60  # of the sample
# What a spreadsheet program takes for the beginning of one.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
LONGEST_HEADING = 200  # letters of a heading
MOST_TOLD = 300_000  # bytes of the samples and values of all columns
SAMPLES = 3
MARK = "\ufeff"  # of the order of bytes, which some programs leave amid a text
DISTINCT = 300  # different values of a column that are kept; a column with more is no list of choices
VALUE = re.compile(r"[-+(]?[¥￥$€£]?\s?\d[\d\s.,:/%)TZ年月日时時分秒-]*")  # a number, a day, a moment: no heading
DAY = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(?:\d{4}|\d\d)(?:[T\s].*)?")
SEPARATOR = re.compile(r'"?sep=([,;\t|])"?[\r\n]+', re.IGNORECASE)  # how a spreadsheet program is told of the delimiter
TOTAL = re.compile(r"((grand |sub-?)?total|sum|[合总小]\s*计)\s*[:：]?", re.IGNORECASE)
TOTALS = 5  # that may stand below a table
COUNTED_ROWS, COUNTED_LETTERS = 1000, 1 << 20  # that are counted at once
WRITE = json.JSONEncoder(ensure_ascii=False).encode


def main(source, target, limits):
    try:
        limit(**limits.pop("process"))
        found = Table(source, **limits).write(target)
    except Problem as problem:
        found = problem.found
    except MemoryError:
        found = {"problem": "large"}
    except OSError as error:  # the disk is full; or the rows are larger than a file may be
        found = {"problem": "room" if error.errno == errno.ENOSPC else "large"}
    except calamine.PasswordError:
        found = {"problem": "password"}
    except BaseException:  # noqa: BLE001  a panic of the reader is no Exception
        found = {"problem": "broken"}
    print(json.dumps(found, ensure_ascii=False))  # noqa: T201  that is the answer


def limit(memory, seconds, written):
    """This will have the kernel end this process when it takes more memory (bytes) or time, or writes more."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Table:
    """A sheet of a workbook, a text with delimiters, or a file of vCards."""

    def __init__(self, path, *, rows, columns, choice=None):
        self.path = path
        self.most_rows = rows
        self.most_columns = columns
        self.choice = choice or {}
        self.encoding = self.delimiter = self.sheet = ""
        self.sheets = []
        self.sure = True
        self.columns = []
        self.count = 0
        self.last = deque(maxlen=TOTALS)
        self.waiting, self.letters = [], 0  # rows that are not counted yet

    def write(self, target):
        """This will write the rows to `target`, all or none, and give what was found. Raises Problem."""
        half = f"{target}.half"
        try:
            with open(half, "w", encoding="utf-8") as file:  # noqa: PTH123  pathlib would double the time to begin
                found = self._read(file)
            os.replace(half, target)  # noqa: PTH105  as above
        finally:
            if os.path.exists(half):  # noqa: PTH110  as above
                os.unlink(half)  # noqa: PTH108  as above
        return found

    def _read(self, file):
        numbered = self._numbered()
        first = list(islice(numbered, FIRST_ROWS))
        if not first:
            raise Problem("empty")
        header_row = self.choice.get("header_row")
        if header_row is None:
            header_row = header_of(first)
        for number, row in chain(first, numbered):
            if number > header_row:
                self._keep(number, row, file)
            elif number == header_row:
                self._widen(row)
                self.columns = [Column(name) for name in row]
        if not self.count:
            raise Problem("no-rows")
        self._count()
        while self.columns and not self.columns[-1].name.strip() and not self.columns[-1].filled:
            self.columns.pop()
        bound(self.columns)
        return {
            "encoding": self.encoding,
            "sure": self.sure,
            "delimiter": self.delimiter,
            "sheet": self.sheet,
            "sheets": self.sheets,
            "header_row": header_row,
            "columns": [column.found() for column in self.columns],
            "rows": self.count,
            "sample": [
                [number, *(cell[:SHOWN_LETTERS] for cell in row[:SHOWN_CELLS])] for number, row in first[:SHOWN_ROWS]
            ],
            "totals": self._totals(),
        }

    def _numbered(self):
        """This will yield (number in the sheet, cells) of each row that is not blank."""
        for number, row in enumerate(self._rows(), 1):
            if number > LAST_ROW:
                raise Problem("rows")
            if "".join(row).strip():
                yield number, row

    def _keep(self, number, row, file):
        self.count += 1
        if self.count > self.most_rows:
            raise Problem("rows")
        self._widen(row)
        line = WRITE([number, *row])
        file.write(f"{line}\n")
        self.last.append((number, row))
        self.waiting.append(row)
        self.letters += len(line)
        if len(self.waiting) == COUNTED_ROWS or self.letters > COUNTED_LETTERS:
            self._count()

    def _count(self):
        """This will count what waits, column by column, which takes a third of the time of cell by cell."""
        for column, cells in zip(self.columns, zip_longest(*self.waiting, fillvalue=""), strict=False):
            column.count(cells)
        self.waiting, self.letters = [], 0

    def _totals(self):
        """This will list the numbers of the rows at the end that say of themselves that they are sums of the others."""
        rows = takewhile(lambda one: is_total(one[1], len(self.columns)), reversed(self.last))
        return [number for number, _row in rows][::-1]

    def _widen(self, row):
        """This will see that there is a column for each cell of a row. Raises Problem "columns"."""
        if len(row) > self.most_columns:
            raise Problem("columns")
        while len(self.columns) < len(row):
            self.columns.append(Column(""))

    def _rows(self):
        with open(self.path, "rb") as file:  # noqa: PTH123  as above; the name does not say what kind of file it is
            head = file.read(LOOKED_AT)
            file.seek(0)
            if not head.strip():
                raise Problem("empty")
            if head.startswith((workbooks.ZIP, workbooks.OLE)):
                book = workbooks.Workbook(
                    file, head, wanted=self.choice.get("sheet") or "", most_columns=self.most_columns, is_table=is_table
                )
                self.sheet, self.sheets = book.name, book.sheets
                yield from book.rows()
                return
        if head.startswith(NO_TABLES):
            raise Problem("no-table")
        self.encoding, self.sure = encoding_of(self.path, head, self.choice.get("encoding"))
        with opened(self.path, self.encoding) as file:
            if cards.are_cards(head):
                yield from cards.people(file)
            else:
                yield from self._of_text(file)

    def _of_text(self, file):
        start = file.read(LOOKED_AT)
        refuse_markup(start)
        said = SEPARATOR.match(start.lstrip(MARK))
        self.delimiter = self.choice.get("delimiter") or (said[1] if said else delimiter(start))
        file.seek(0)
        if said:
            file.readline()
        lines = Lines(file)
        csv.field_size_limit(LONGEST)
        try:
            for row in csv.reader(lines, delimiter=self.delimiter):
                if lines.ended:  # and yet the reader asked for more
                    raise Problem("quotes", row=lines.begun)
                yield [bare(cell.lstrip(MARK)) for cell in row] if lines.marked else row
                lines.begun, lines.marked = lines.begun + 1, False
        except csv.Error as error:
            raise Problem("quotes", row=lines.begun) from error


class Lines:
    """The lines of a text, none of them longer than there is memory for, and whether they have ended."""

    def __init__(self, file):
        self.file = file
        self.ended = False
        self.begun = 1  # the number of the row that is being read
        self.marked = False  # whether a cell of it may begin with an apostrophe or a mark

    def __iter__(self):
        while line := self.file.readline(LONGEST):
            if len(line) == LONGEST:
                raise Problem("no-table")
            line = line.replace("\0", "").lstrip(MARK)
            self.marked = self.marked or "'" in line or MARK in line
            yield line
        self.ended = True


class Column:
    """What is told of a column: its name, how many cells have something in them, what, and how days are written."""

    def __init__(self, name):
        self.name = " ".join(name.split())[:LONGEST_HEADING]
        self.filled = 0
        self.samples = []
        self.values = Counter()  # how often each value occurs; None once there are too many
        self.days = {"first": 0, "second": 0, "open": 0}  # cells of which that number is the day; or either may be

    def count(self, cells):
        """This will count some more cells, in their order."""
        texts = Counter(map(str.strip, cells))
        self.filled += len(cells) - texts.pop("", 0)
        if len(self.samples) < SAMPLES:
            shown = dict.fromkeys([*self.samples, *(text[:60] for text in islice(texts, DISTINCT))])
            self.samples = list(shown)[:SAMPLES]
        if self.values is not None:
            self.values.update(texts)
            if len(self.values) > DISTINCT or any(len(text) > 100 for text in texts):
                self.values = None
        for day in filter(None, map(DAY.fullmatch, texts)):
            self._count_day(int(day[1]), int(day[3]), texts[day[0]])

    def _count_day(self, one, other, times):
        if not 1 <= min(one, other) <= 12 or max(one, other) > 31:
            return
        self.days["first" if one > 12 else "second" if other > 12 else "open"] += times

    def found(self):
        days = self.days if any(self.days.values()) else None
        return {
            "name": self.name,
            "filled": self.filled,
            "samples": self.samples,
            "values": self.values,
            "days": days,
        }


def bound(columns):
    """This will forget the values of the columns that hold most, where all together hold more than is told."""

    def size(what):
        return len(WRITE(what).encode())

    room = MOST_TOLD - sum(size(column.samples) for column in columns)
    for column in sorted(columns, key=lambda column: size(column.values)):
        room -= size(column.values)
        if room < 0:
            column.values = None


def is_table(rows):
    """This will tell whether there are at least three headings, and something below them."""
    numbered = enumerate((row for row in rows if "".join(row).strip()), 1)
    first = list(islice(numbered, FIRST_ROWS))
    at = header_of(first) if first else 0
    return 0 < at < len(first) and len([name for name in first[at - 1][1] if name.strip()]) >= LEAST_NAMES


def is_total(row, width):
    """This will tell whether a row says that it is a sum of others, and has little else."""
    filled = [cell.strip() for cell in row if cell.strip()]
    return 2 * len(filled) < width and bool(TOTAL.fullmatch(filled[0]))


def header_of(first):
    """This will guess which row of the first, [(number, cells), …], has the headings; 0 where none has."""
    of_words = [not any(VALUE.fullmatch(cell.strip()) for cell in row) for _number, row in first]
    if of_words == [False]:
        return 0
    # Titles stand above the header, and fill a cell or two.
    widths = [sum(1 for cell in row if cell.strip()) for _number, row in first]
    at = next(index for index, width in enumerate(widths) if 2 * width >= max(widths))
    if at and widths[at] < max(widths):  # where there are titles, some may be wide, and the header is wider
        before_values = of_words.index(False) if False in of_words else 0
        at = next((index for index in range(at, before_values) if widths[index] == max(widths)), at)
    return first[at][0]


def refuse_markup(start):
    """This will raise a Problem where a text begins as one that spreadsheet programs show as a table, and is none."""
    start = start.lstrip("\ufeff \t\r\n").lower()
    if start.startswith("mime-version:") or (start.startswith("<") and re.search(r"<(html|table|body)\b", start)):
        raise Problem("web-page")
    if start.startswith("<") and ("office:spreadsheet" in start or "opendocument" in start):
        raise Problem("xml")
    if start.startswith("<"):
        raise Problem("no-table")


def bare(cell):
    """This will take away the apostrophe that keeps a text which begins like a formula a text: see crm.exports."""
    return cell[1:] if cell.startswith("'") and is_like_a_formula(cell) else cell


def is_like_a_formula(text):
    """This will tell whether a text begins like a formula, be it after apostrophes."""
    return text.lstrip("'").startswith(FORMULA)


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
