"""Reads a file of vCards, of any version, as a table: the people one below the other, under headings of our own."""

import codecs
import quopri
import re

from crm.encodings import ENCODINGS
from crm.unreadable import Problem

HEADS = ["Name", "Customer", "Job title", "Mobile", "Phone", "E-mail", "Description"]
READ = {"BEGIN", "END", "FN", "N", "ORG", "TITLE", "TEL", "EMAIL", "NOTE"}  # pictures, sounds and keys are passed over
LONGEST_HEAD = 500  # characters of a line before its value
LONGEST = 1 << 20  # characters of a value
MOST_LINES = 3_000_000
BEGIN = re.compile(rb"\s*BEGIN:\s*VCARD", re.IGNORECASE)
WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def are_cards(head):
    """This will tell whether a file that begins with these bytes is one of vCards."""
    if head.startswith(WIDE_MARKS):
        head = head[2:].replace(b"\0", b"")
    return bool(BEGIN.match(head.removeprefix(codecs.BOM_UTF8)))


def people(file):
    """This will yield the headings, then the people of a text. Raises Problem "large"; "broken" for half a card."""
    yield HEADS
    begun = []  # cards, and in them other parts, of which nothing is read
    for text in lines_of(file):
        head, colon, value = text.partition(":")
        if not colon or len(head) > LONGEST_HEAD:
            continue  # no line of a card; others pass it over too
        name, *kinds = head.upper().split(";")
        name = name.rpartition(".")[2].strip()
        if name == "BEGIN":
            begun.append({} if value.strip().upper() == "VCARD" else None)
        elif name == "END" and begun:
            if (held := begun.pop()) is not None:
                yield [storable(cell) for cell in person_of(held)]
        elif begun and begun[-1] is not None:
            begun[-1].setdefault(name, []).append((unquoted(value, kinds), kinds))
    if begun:
        raise Problem("broken")


def lines_of(file):
    """
    This will yield the lines that are READ, each whole again that was folded before a blank (RFC 6350, 3.2), or after a
    “=” as older programs do in quoted-printable. Raises Problem "large".
    """
    parts, length = [], 0
    wanted = quoted = soft = cut = False
    for _number in range(MOST_LINES):
        piece = file.readline(LONGEST)
        line = piece.strip("\ufeff\r\n")
        begins = not (soft or cut or piece.startswith((" ", "\t")))
        if begins or not piece:
            if parts:
                yield "".join(parts)
            if not piece:
                return
            parts, length = [], 0
            head = line.partition(":")[0].upper()
            wanted = head.partition(";")[0].rpartition(".")[2].strip() in READ
            quoted = "QUOTED-PRINTABLE" in head
        if wanted:
            parts.append(f"\n{line}" if soft else line if begins or cut else line[1:])
            length += len(line)
            if length > LONGEST:
                break
        cut = not piece.endswith(("\r", "\n"))
        soft = quoted and not cut and line.endswith("=")
    raise Problem("large")


def unquoted(value, kinds):
    """This will give the value of a line, read as its parameters say: older programs write letters as =E5=BC=A0."""
    if not any(kind.endswith("QUOTED-PRINTABLE") for kind in kinds):
        return value
    raw = quopri.decodestring(value.encode(errors="ignore"))
    said = [kind.partition("=")[2].lower() for kind in kinds if kind.startswith("CHARSET=")]
    for encoding in ("utf-8", *(ENCODINGS[name] for name in said if name in ENCODINGS), "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeError:
            continue
    return raw.decode(errors="replace")


def person_of(held):
    """This will give a vCard, {name: [(value, its parameters), …]}, as a row under HEADS."""

    def unescaped(text):
        whole = (part.replace(r"\n", "\n").replace(r"\N", "\n").replace("\\", "") for part in text.split(r"\\"))
        return "\\".join(whole).strip()

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


def storable(cell):
    """This will take away what no database holds, and a mark at the beginning."""
    return cell.replace("\0", "").encode(errors="ignore").decode().lstrip("\ufeff")
