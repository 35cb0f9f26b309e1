"""Reads one sheet of a workbook, with every cell as people see it."""

import re
from datetime import date, datetime, timedelta
from decimal import Decimal

import python_calamine as calamine

from crm.unreadable import Problem

ZIP = b"PK\x03\x04"  # xlsx, xlsm, xlsb, ods
OLE = b"\xd0\xcf\x11\xe0"  # xls, or one of the others that a password protects
# Of an OLE file the name of what it holds; of an old workbook that is locked its second record.
OTHERS = re.compile(b"|".join(name.encode("utf-16-le") for name in ("WordDocument", "PowerPoint Document")))
OLD_BOOK = "Workbook".encode("utf-16-le")
LOCKED = re.compile(
    "EncryptedPackage".encode("utf-16-le") + rb"|\x09\x08\x10\0\0\x06\x05\0.{12}(\x86\0\0\0)?/\0", re.DOTALL
)
SECOND = timedelta(seconds=1)
MOST_SHEETS = 500
LONGEST_NAME = 100
WIDE = 3  # columns of a sheet that is no note beside the table
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # in no name of a sheet


class Workbook:
    """
    A workbook with one sheet chosen: the one that is wanted by name, which may be hidden; else the first that can be
    seen and has more than one row, or where that is narrow the first that is a table, as `is_table` tells of its rows;
    else the first that can be seen.
    """

    def __init__(self, file, head, *, wanted, most_columns, is_table):
        """
        This will open it. Raises Problem "password", "large", "sheet" where none has that name, "empty" where none is,
        and "broken".
        """
        from crm.archives import Archive  # which takes longer to begin than all the rest, and few files need

        self.most_columns = most_columns
        self.archive = Archive(file.name) if head.startswith(ZIP) else None
        if head.startswith(OLE):
            refuse_locked(file.read())
            file.seek(0)
        self.book = calamine.CalamineWorkbook.from_filelike(file)
        if len(self.book.sheets_metadata) > MOST_SHEETS:
            raise Problem("large")
        if self.archive and not self.archive.is_sound:
            raise Problem("broken")
        tables = {}
        for index, sheet in enumerate(self.book.sheets_metadata):
            if sheet.typ == calamine.SheetTypeEnum.WorkSheet:
                hidden = sheet.visible != calamine.SheetVisibleEnum.Visible
                tables.setdefault(cleaned(sheet.name), (index, hidden))
        self.sheets = [{"name": name, "hidden": hidden} for name, (_index, hidden) in tables.items()]
        wanted = cleaned(wanted)
        if wanted and wanted not in tables:
            raise Problem("sheet")
        if wanted:
            self.index = tables[wanted][0]
            self.sheet = self.book.get_sheet_by_index(self.index)
        else:
            self.index, self.sheet = self._choose([index for index, hidden in tables.values() if not hidden], is_table)
        self.name = cleaned(self.sheet.name)

    def _choose(self, indexes, is_table):
        """This will give (place, sheet) of the one, of some, that is to be read. Raises Problem "empty" for none."""
        first = first_with_rows = None
        for index in indexes:
            sheet = self.book.get_sheet_by_index(index)
            first = first or (index, sheet)
            if sheet.height > 1:
                if (sheet.width >= WIDE and not first_with_rows) or is_table(map(texts, sheet.iter_rows())):
                    return index, sheet
                first_with_rows = first_with_rows or (index, sheet)
        if not first:
            raise Problem("empty")
        return first_with_rows or first

    def rows(self):
        """This will yield the cells of every row from A1 on, though nothing be there. Raises Problem "columns"."""
        _above, left = self.sheet.start or (0, 0)
        if left + self.sheet.width > self.most_columns:
            raise Problem("columns")
        odd = self.archive.odd_cells(self.index) if self.archive else iter(())
        odd_row, odd_column, shown = next(odd, (None, 0, ""))
        for number, row in enumerate(self.sheet.iter_rows()):
            cells = [""] * left + texts(row)
            while odd_row is not None and odd_row <= number:
                if odd_row == number:
                    cells += [""] * (odd_column + 1 - len(cells))
                    cells[odd_column] = shown
                odd_row, odd_column, shown = next(odd, (None, 0, ""))
            yield cells


def cleaned(name):
    """This will give the name of a sheet as it is told and chosen."""
    return UNSEEN.sub("", name)[:LONGEST_NAME]


def refuse_locked(content):
    """This will raise a Problem where an OLE file cannot be read without a password, or is no workbook."""
    if LOCKED.search(content):
        raise Problem("password")
    if OTHERS.search(content) and OLD_BOOK not in content:  # which may hold a letter
        raise Problem("no-table")


def texts(row):
    return [text(cell) for cell in row]


def text(cell):
    """This will write a cell as people read it: digits without an exponent, days without a time, durations in hours."""
    kind = type(cell)
    if kind is str:
        return cell.replace("\0", "").lstrip("\ufeff")
    if kind is float:  # a spreadsheet program keeps fifteen digits of a number
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else f"{Decimal(f'{cell:.15g}'):f}"
    if kind is bool:
        return "TRUE" if cell else "FALSE"
    if kind is datetime:
        cell = (cell + SECOND / 2).replace(microsecond=0)
        return cell.date().isoformat() if cell.time() == datetime.min.time() else cell.isoformat(" ")
    if kind is date:
        return cell.isoformat()
    if kind is timedelta:
        minutes, seconds = divmod(round(abs(cell) / SECOND), 60)
        return f"{'-' if cell < timedelta() else ''}{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return "" if cell is None else str(cell)
