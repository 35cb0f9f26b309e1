"""Reads a file of vCards, of any version, as a table: the people one below the other, under headings of our own."""

import codecs
import quopri
import re

from crm.unreadable import Problem

HEADS = ["Name", "Customer", "Job title", "Mobile", "Phone", "E-mail", "Description"]
LONGEST_HEAD = 500  # characters of a line before its value
BEGIN = re.compile(rb"\s*BEGIN:\s*VCARD", re.IGNORECASE)
WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def are_cards(head):
    """This will tell whether a file that begins with these bytes is one of vCards."""
    if head.startswith(WIDE_MARKS):
        head = head[2:].replace(b"\0", b"")
    return bool(BEGIN.match(head.removeprefix(codecs.BOM_UTF8)))


def people(file):
    """This will yield the headings, then the people of an open text. Raises Problem "broken" if a card has no end."""
    from vobject import base  # which no other file needs; what it makes of whole cards loses much that people write

    yield HEADS
    begun = []  # cards, and in them other parts, of which nothing is read
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
    """This will give a vCard, {name: [(value, its parameters), …]}, as a row under HEADS."""

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
