"""The expectation, read from `table.txt`: for each address and what it is asked about, who gets which answer."""

from dataclasses import dataclass
from pathlib import Path

from django.urls import URLPattern, get_resolver, reverse

from tests.sweep.world import LISTS, ROLES

SIGN_IN = "log"  # led to the sign-in page
# Where to be answered is all that one sends for: what a list is filtered by; a small file, made at once; a preview.
ANSWERED = {f"{name}{end}" for name in LISTS for end in ("", "_filter")} | {"opportunities_board_filter"}
ADMINISTRATION = {
    "list": "",
    "add": "add/",
    "change": "{}/change/",
    "delete": "{}/delete/",
    "history": "{}/history/",
    "import": "import/",
    "process": "process_import/",
    "export": "export/",
    "password": "{}/password/",
    "object": "{}/",
}
FILES = ("/import/", "/process_import/", "/export/")
NEVER = "987654321"  # a key that no record has


@dataclass(frozen=True)
class Row:
    """One line: an address by its name, what stands in it, a method, and what each role gets."""

    name: str
    on: str
    method: str
    cells: dict

    @property
    def key(self):
        return f"{self.name} {self.on}"

    def does(self, who):
        """This will tell whether that role gets what it asked for: a page, or something done."""
        if self.method == "GET":
            return self.cells[who] in (200, 302)
        answered = self.name in ANSWERED or self.name.endswith(("/import/", "/export/"))
        return self.cells[who] == 302 or (self.cells[who] == 200 and answered)

    def address(self, world, *, never=False):
        """This will give the address in this world; `never`, that of keys which no record ever had."""
        words = [] if self.on == "-" else self.on.split(",")
        said = [_said(world, word, never) for word in words]
        return self.name.format(*said) if self.name.startswith("/") else reverse(self.name, args=said)


def _said(world, word, never):
    """This will give what a word of the table stands for: after a "=" itself, else the key of a thing of the world."""
    if word.startswith("="):
        return word[1:]
    found = getattr(world, word)
    return found if isinstance(found, str) else NEVER if never else str(found.pk)


def read(text):
    """This will list the rows of a table, and check that nothing in it is written twice."""
    head, *lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert head.split()[-len(ROLES) :] == ROLES
    rows = []
    for line in lines:
        name, on, method, *cells = line.split()
        rows.append(Row(name, on, method, dict(zip(ROLES, map(_cell, cells), strict=True))))
    keys = [(row.key, row.method) for row in rows]
    assert len(keys) == len(set(keys)), [key for key in keys if keys.count(key) > 1]
    return rows


def _cell(text):
    return text if text == SIGN_IN else int(text)


def administration():
    """This will list the rows of Django's administration; `administration.txt` says what administrators get."""
    text = (Path(__file__).parent / "administration.txt").read_text(encoding="utf-8")
    head, *lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    rows = []
    for model, on, *cells in lines:
        for page, cell in zip(head[2:], cells, strict=True):
            path = f"/admin/{model}/{ADMINISTRATION[page]}"
            for method, got in zip(("GET", "POST"), cell.split("/"), strict=True) if cell != "-" else ():
                rows.append(Row(path, on if "{}" in path else "-", method, _administered(path, int(got))))
    return [row for row in rows if row.cells["adm"] != 405]


def _administered(path, got):
    others = dict.fromkeys(ROLES, SIGN_IN)
    return others | {"adm": got, "roo": 403 if path.endswith(FILES) and got != 405 else got}


def own():
    return read((Path(__file__).parent / "table.txt").read_text(encoding="utf-8"))


def patterns(resolver=None, route=""):
    """This will yield the name and the whole route of every pattern that Django's resolver knows."""
    for found in (resolver or get_resolver()).url_patterns:
        if isinstance(found, URLPattern):
            yield found.name, f"{route}{found.pattern}".replace("^", "")  # as what is resolved has it
        else:
            yield from patterns(found, f"{route}{found.pattern}")
