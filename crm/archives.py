"""
Looks into the zip archive that a modern workbook is: for bombs, and for what the reader of workbooks does not tell.

That reader takes a cell with an error for an empty one, and 50% for 0.5. Both stand in the archive, in plain words.
"""

import re
import zipfile
from decimal import Decimal
from functools import cache
from html import unescape
from itertools import chain, dropwhile
from posixpath import normpath
from xml.parsers import expat

from crm.unreadable import Problem

PIECE = 512 << 10  # bytes; the text of a cell, and so what lies between two tags, is never so long
# Bytes, and tags, of all sheets together; of a part with texts; and of one that tells about others.
MOST = {"sheet": (400 << 20, 16_000_000), "other": (100 << 20, 8_000_000), "about": (50 << 20, 1_000_000)}
MOST_ROWS = 2_000_000  # as many as a spreadsheet program has, and more
CONTENTS = 2 << 20  # bytes of the list of parts
OTHERS = ("word/", "ppt/")  # documents of other programs
LONGEST_ROW = 16 << 20  # bytes
HELD = re.compile(r"(xl/)?(_rels/)?[^/]+\.(xml|rels|bin)", re.IGNORECASE)  # parts that are read as a whole
ABOUT = ("xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/styles.xml")
SHEETS = "xl/worksheets/"
ATTRIBUTE = re.compile(r"""(?<![\w:])([\w:]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
ROW = re.compile(r"<(?:\w+:)?row(?=[\s/>])")
ROW_NUMBER = re.compile(r"""\sr\s*=\s*["'](\d{1,7})["']""")
PLACE = re.compile(r"""\sr\s*=\s*["']([A-Z]{1,3})(\d{1,7})["']""")
SIGN = re.compile(r"""\s(?:t|s)\s*=\s*["'](e|\d+)["']""")  # of an error, or the number of a style
CELL = re.compile(
    r"<(?:\w+:)?c(\s[^<>]*|/)?>(?:\s*"
    r"(?:<(?:\w+:)?f(?:\s[^<>]*)?>(?:[^<]*</(?:\w+:)?f>)?\s*)?"  # its formula
    r"<(?:\w+:)?v(?:\s[^<>]*)?>([^<]*)<)?"
)
QUOTED = re.compile(r'"[^"]*"|\\.')
PERCENT = {"9", "10"}  # the formats of that kind that have a number and no code


class Archive:
    """An archive none of whose parts unpacks to more than a workbook may have."""

    def __init__(self, path):
        """This will open it. Raises Problem "broken", "large" or "no-table"."""
        with open(path, "rb") as file:  # noqa: PTH123  see crm.sheets
            file.seek(max(0, file.seek(0, 2) - (1 << 16) - 22))
            _parts, found, end = file.read().rpartition(b"PK\x05\x06")
        if found and int.from_bytes(end[8:12], "little") > CONTENTS:
            raise Problem("large")
        try:
            self.zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise Problem("broken") from error
        self.names = {name.lower(): name for name in reversed(self.zip.namelist())}  # as its reader finds them
        if any(name.startswith(OTHERS) for name in self.names):
            raise Problem("no-table")
        for name in self.zip.namelist():
            if HELD.fullmatch(name) and name != "content.xml":
                self._check([name], "about" if name.lower() in ABOUT else "other")
        self.parts = self._parts()
        of_sheets = [name for name in self.names.values() if name.lower().startswith(SHEETS) or name == "content.xml"]
        self._check({*of_sheets, *filter(None, self.parts)}, "sheet")

    @property
    def is_sound(self):
        """Whether each sheet has a part of its own."""
        parts = [part for part in self.parts if part]
        return len(parts) == len(set(parts))

    def odd_cells(self, index):
        """
        This will yield (row, column, text), both from 0, of the cells of a sheet, by its place among all, that show an
        error or a percentage; in the order of the archive, which is that of the sheet.
        """
        part = self.parts[index] if index < len(self.parts) else ""
        if not part.lower().endswith(".xml"):
            return
        odd = {"e"} | self._percent_styles()
        row = -1
        for count, line in enumerate(chain.from_iterable(ROW.split(text)[1:] for text in self._whole_rows(part))):
            if count > MOST_ROWS:
                raise Problem("large")
            head, _end, cells = line.partition(">")
            number = ROW_NUMBER.search(head)
            row = int(number[1]) - 1 if number else row + 1
            if not odd.isdisjoint(SIGN.findall(cells)):
                yield from odd_of(cells, row, odd)

    def _check(self, names, kind):
        """This will look whether some parts are together as small as they must be."""
        most_bytes, most_tags = MOST[kind]
        size = tags = 0
        for name in names:
            for piece in self._pieces(name):
                size += len(piece)
                tags += (here := piece.count(b"<"))
                is_one_text = not here and len(piece) == PIECE and name.lower().endswith(".xml")
                if size > most_bytes or tags > most_tags or is_one_text:
                    raise Problem("large")

    def _pieces(self, name):
        with self.zip.open(name) as part:
            while piece := part.read(PIECE):
                yield piece

    def _whole_rows(self, name):
        rest = b""
        for piece in self._pieces(name):
            rows, end, rest = (rest + piece).rpartition(b"row>")
            if len(rest) > LONGEST_ROW:
                raise Problem("large")
            yield (rows + end).decode(errors="replace")

    def _elements(self, path, *wanted):
        """This will list (name, attributes) of the elements of a part that are wanted; none of them with a prefix."""
        found = []

        def begin(name, attributes):
            if (name := name.rpartition(":")[2]) in wanted:
                found.append((name, {key.rpartition(":")[2]: value for key, value in attributes.items()}))

        parser = expat.ParserCreate()
        parser.StartElementHandler = begin
        if path in self.names:
            try:
                parser.Parse(self.zip.read(self.names[path]), True)
            except expat.ExpatError as error:
                raise Problem("broken") from error
        return found

    def _parts(self):
        """This will list the names of the parts that hold the sheets, "" for one that is not there."""
        links = self._elements("xl/_rels/workbook.xml.rels", "Relationship")
        targets = {about.get("Id"): about.get("Target", "") for _name, about in links}
        paths = [targets.get(about.get("id"), "") for _name, about in self._elements("xl/workbook.xml", "sheet")]
        paths = [path[1:] if path.startswith("/") else normpath(f"xl/{path}") for path in paths]
        return [path if path in self.zip.NameToInfo else self.names.get(path.lower(), "") for path in paths]

    def _percent_styles(self):
        """This will give the numbers, as texts, of the styles that show a number as a percentage."""
        elements = self._elements("xl/styles.xml", "numFmt", "cellXfs", "xf")
        percent = PERCENT | {
            about.get("numFmtId")
            for name, about in elements
            if name == "numFmt" and "%" in QUOTED.sub("", about.get("formatCode", ""))
        }
        used = [about for name, about in dropwhile(lambda one: one[0] != "cellXfs", elements) if name == "xf"]
        return {str(number) for number, about in enumerate(used) if about.get("numFmtId") in percent}


def odd_of(cells, row, odd):
    """This will yield (row, column, text) of the odd cells of a row, be their places written or to be counted."""
    column = -1
    for cell in CELL.finditer(cells):
        written, value = cell[1] or "", cell[2]
        place = PLACE.search(written)
        column = number_of(place[1]) if place else column + 1
        if value is None or odd.isdisjoint(SIGN.findall(written)):
            continue
        about = attributes(written)
        kind = about.get("t", "n")
        if kind == "e" or (kind == "n" and about.get("s") in odd):
            at = int(place[2]) - 1 if place else row
            yield at, column, unescape(value) if kind == "e" else percentage(unescape(value))


def attributes(text):
    return {name: unescape(one or other) for name, one, other in ATTRIBUTE.findall(text)}


@cache
def number_of(letters):
    """This will give the number, from 0, of the column under some letters."""
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - 64
    return number - 1


def percentage(value):
    """This will write the number of a cell as percent of one; a text that is no number stays what it is."""
    try:
        return f"{plain(100 * Decimal(f'{float(value):.15g}'))}%"
    except (ValueError, ArithmeticError):
        return value


def plain(number):
    """This will write a decimal without an exponent, and without zeros that say nothing."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
