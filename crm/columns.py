"""
What a list can show of a record, column by column: how each is headed, sorted by, written in a cell, and given out.

A column is known by its key, which addresses and saved views hold; it never changes. `row` is what the list's own
`row` makes of a record; what a column reads by a `path` of its own stands in it under the key.

    Column("customer", _("Customer"), "hide-narrow", td="grow cut p2", cell=lambda row: row["customer"])
    Column("source", _("Source"), td="fit quiet", path="source__names", write=localized_names, outs="source")

Cells are built here, in Python, since a page has hundreds of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape, unescape

from django.urls import reverse
from django.utils.html import format_html, strip_tags
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from crm import shown
from crm.exports import Out
from crm.names import localized_names

WIDTHS = {"hide-narrow", "hide-mid"}  # by which the look drops a column from a narrow window
ON_PHONES = {"name", "p0", "p1", "p2", "p3", "p4"}  # the places that a row has on a telephone
EXCERPT = 200  # characters of a long text


@dataclass(frozen=True, eq=False)
class Column:
    """One column that a list can show."""

    key: str
    head: str
    classes: str = ""  # of its head, and of its cells
    td: str = ""  # of its cells besides
    sort: str | None = None  # by which of the list's `sorts` its head sorts
    cell: Callable | None = None  # of a row: its HTML, or (further classes, HTML); plain text is escaped
    path: str | None = None  # where its value is read, as in `values_list`
    write: Callable = str  # how that value is written, unless `cell` says; not asked of None
    shown: bool = True  # where the address names no columns
    batch: Callable | None = None  # of some keys: {key: HTML}, for a column that has no path
    outs: object = None  # crm.exports.Out or several; a path; None for its own path

    def html(self, row):
        """This will give (further classes, HTML) of the column's cell in a row."""
        if self.cell:
            made = self.cell(row)
            return made if isinstance(made, tuple) else ("", made)
        value = row[self.key]
        return "", "" if value is None else self.write(value)

    @property
    def given_out(self):
        """This will list what goes out of the column in a file, as crm.exports.Out."""
        if isinstance(self.outs, Out):
            return [self.outs]
        if isinstance(self.outs, str) or (self.outs is None and self.path):
            return [Out(self.head, self.outs or self.path)]
        if self.outs is None:
            return [Out(self.head, None, batch=self._texts)] if self.batch else []
        return list(self.outs)

    def _texts(self, _listing, pks):
        return {pk: unescape(strip_tags(html)) for pk, html in self.batch(pks).items()}

    def as_chosen(self):
        """
        This will give the column as it stands where somebody chose it: it is not dropped from a narrow window, and on a
        telephone it has a line of its own.
        """
        kept = " ".join(name for name in self.classes.split() if name not in WIDTHS)
        td = self.td if ON_PHONES.intersection(self.td.split()) else f"{self.td} p5"
        return replace(self, classes=kept, td=td)


class Cells:
    """Writes the cells of rows, column by column."""

    def __init__(self, columns):
        self._ways = [(column, *self._opened(column)) for column in columns]

    @staticmethod
    def _opened(column):
        classes = f"{column.classes} {column.td}".strip()
        head = format_html(' data-head="{}"', column.head) if "p5" in column.td.split() else ""
        return format_html('<td role="cell" data-field="{}"{} class="', column.key, head), classes

    def of(self, row):
        """This will give the cells of a row, which is what its list made of a record, as HTML."""
        cells = []
        for column, opened, classes in self._ways:
            further, html = column.html(row)
            classes = f"{classes} {further}" if further else classes
            cells.append(f'{opened}{classes}">{html if isinstance(html, SafeString) else escape(str(html))}</td>')
        return SafeString("".join(cells))


def tagged(html, *texts):
    """This will give HTML with `texts` in the places of its %s, escaped: format_html for what stands in each row."""
    return SafeString(html % tuple(escape(str(text)) for text in texts))


# ── The usual columns ────────────────────────────────────────────────────────────────────────────────────────────────


def name(key, head, **further):
    """This will give the column with the name of the record, which leads to its page: the first of each list."""
    return Column(key, head, td="name", cell=_name, **further)


def _name(row):
    classes = "cut quiet" if row.get("draft") else "cut"
    return tagged('<a class="%s" href="%s">%s</a>', classes, row["url"], row["name"])


def text(key, head, **further):
    """This will give a column with a text, of which long ones are cut."""
    return _usual(further, key=key, head=head, td="grow cut quiet", path=key, write=_excerpt)


def _excerpt(value):
    return value if len(value) <= EXCERPT else f"{value[:EXCERPT]}…"


def short(key, head, **further):
    """This will give a column with a word, a number or a name, which is shown whole."""
    return _usual(further, key=key, head=head, td="fit quiet", path=key)


def picked(key, head, **further):
    """This will give a column with a value of a picklist, or a department."""
    return _usual(further, key=key, head=head, td="fit quiet", path=f"{key}__names", write=localized_names, outs=key)


def choice(key, head, choices, **further):
    """This will give a column with one of `choices`, an enumeration of Django's."""

    def label(value):
        return str(choices(value).label)

    return _usual(further, key=key, head=head, td="fit quiet", path=key, write=label, outs=Out(head, key, label))


def day(key, head, **further):
    """This will give a column with a date, or the day of a moment."""
    told = {"key": key, "head": head, "classes": "right", "td": "fit num quiet", "path": key, "outs": key}
    return _usual(further, **told, cell=lambda row: _day(row[key]))


def _day(value):
    return tagged('<time datetime="%s">%s</time>', value.isoformat(), shown.day(value)) if value else ""


def share(key, head, **further):
    """This will give a column with a number of hundredths."""
    return _usual(further, key=key, head=head, classes="right", td="fit num quiet", path=key, write="{} %".format)


def files(kind, **further):
    """
    This will give a column that counts the files of a record and leads to them, where more are added; `kind` is the
    name of its model. Closed again, they lead back to the list.
    """
    told = {"key": "files", "head": _("Files"), "classes": "right", "td": "fit num", "path": "file_count"}
    return _usual(further, **told, cell=_files(kind))


def _files(kind):
    def cell(row):
        address = f"{reverse('files_of', args=[kind, row['pk']])}?{row['list']}"
        said = ngettext("%(count)d file: %(name)s", "%(count)d files: %(name)s", row["files"])
        return tagged(
            '<a class="over quiet" href="%s" data-files aria-label="%s">'
            '<i class="bi bi-paperclip" aria-hidden="true"></i><span data-files-count>%s</span></a>',
            address,
            said % {"count": row["files"], "name": row["name"]},
            row["files"] or "+",
        )

    return cell


def _usual(further, **usual):
    """This will give a column that is shown only where it is asked for, unless `further` says else."""
    return Column(**{"shown": False} | usual | further)
