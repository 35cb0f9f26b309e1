"""
Looks into the zip archive that a modern workbook is: for bombs, and for what the reader of workbooks does not tell.

That reader takes a cell with an error for an empty one, and 50% for 0.5. Both stand in the archive, in plain words.
"""

import re
import zipfile
from decimal import Decimal
from html import unescape
from posixpath import normpath

from crm.unreadable import Problem

PIECE = 512 << 10  # bytes; the text of a cell, and so what lies between two tags, is never so long
MOST = {"sheet": (600 << 20, 16_000_000), "other": (100 << 20, 8_000_000)}  # bytes of a part, and tags in it
CONTENTS = 2 << 20  # bytes of the list of parts
OTHERS = ("word/", "ppt/")  # documents of other programs
LONGEST_ROW = 16 << 20  # bytes
HELD = re.compile(r"(xl/)?(_rels/)?[^/]+\.(xml|rels|bin)", re.IGNORECASE)  # parts that are read as a whole
ATTRIBUTE = re.compile(r"""([\w:]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
PLACE = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6})")
CELL = re.compile(
    r"<(?:\w+:)?c\s([^<>]*)(?<!/)>\s*"
    r"(?:<(?:\w+:)?f(?:\s[^<>]*)?>(?:[^<]*</(?:\w+:)?f>)?\s*)?"  # its formula
    r"<(?:\w+:)?v>([^<]*)<"
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
        for name in self.zip.namelist():
            if name.startswith(OTHERS):
                raise Problem("no-table")
            if HELD.fullmatch(name):
                self._check(name, "sheet" if name == "content.xml" else "other")

    def check(self, index):
        """This will look at a sheet, by its place among all, before it is read. Raises Problem "broken" or "large"."""
        if part := self._part_of(index):
            self._check(part, "sheet")

    def odd_cells(self, index):
        """
        This will yield (row, column, text), both from 0, of the cells of a sheet that show an error or a percentage; in
        the order of the archive, which is that of the sheet.
        """
        part = self._part_of(index)
        if not part or not part.lower().endswith(".xml"):
            return
        styles = "|".join(self._percent_styles()) or "none"
        odd = re.compile(rf"""\s(?:t=["']e["']|s=["'](?:{styles})["'])""")
        for text in self._whole_rows(part):
            for sign in odd.finditer(text):
                if not (cell := CELL.match(text, text.rfind("<", 0, sign.start()))):
                    continue
                about, value = attributes(cell[1]), unescape(cell[2])
                place = PLACE.fullmatch(about.get("r", ""))
                kind = about.get("t", "n")
                if place and kind in ("e", "n"):
                    yield int(place[2]) - 1, number_of(place[1]), value if kind == "e" else percentage(value)

    def _check(self, name, kind):
        most_bytes, most_tags = MOST[kind]
        size = tags = 0
        for piece in self._pieces(name):
            size += len(piece)
            tags += (here := piece.count(b"<"))
            if size > most_bytes or tags > most_tags or (not here and len(piece) == PIECE and name.endswith(".xml")):
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

    def _text(self, name):
        return self.zip.read(name).decode(errors="replace") if name in self.zip.NameToInfo else ""

    def _part_of(self, index):
        """This will give the name of the part that holds a sheet; "" where the archive is of another kind."""
        sheets = re.findall(r"<(?:\w+:)?sheet\s([^<>]*)>", self._text("xl/workbook.xml"))
        links = map(attributes, re.findall(r"<Relationship\s([^<>]*)>", self._text("xl/_rels/workbook.xml.rels")))
        targets = {about.get("Id"): about.get("Target", "") for about in links}
        if index >= len(sheets):
            return ""
        about = attributes(sheets[index])
        target = targets.get(next((value for name, value in about.items() if name.endswith(":id")), ""), "")
        name = target[1:] if target.startswith("/") else normpath(f"xl/{target}")
        return name if name in self.zip.NameToInfo else ""

    def _percent_styles(self):
        """This will list the numbers, as texts, of the styles that show a number as a percentage."""
        text = self._text("xl/styles.xml")
        formats = map(attributes, re.findall(r"<(?:\w+:)?numFmt\s([^<>]*)>", text))
        percent = PERCENT | {
            about.get("numFmtId") for about in formats if "%" in QUOTED.sub("", about.get("formatCode", ""))
        }
        styles = text.partition("cellXfs")[2].partition("cellXfs")[0]
        used = [attributes(about).get("numFmtId") for about in re.findall(r"<(?:\w+:)?xf\s([^<>]*)>", styles)]
        return [str(number) for number, kind in enumerate(used) if kind in percent]


def attributes(text):
    return {name: unescape(one or other) for name, one, other in ATTRIBUTE.findall(text)}


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
