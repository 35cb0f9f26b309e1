"""
Finds out in which encoding a text was written.

A mark at its beginning says it; so does UTF-8, which nothing else is by chance, and GB18030 where what comes out is
Chinese as it is written. Whatever else is a guess: what makes most letters frequent ones.
"""

import codecs
import os
import re
from collections import Counter

from crm.unreadable import Problem

MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# What a reader may choose; for each what reads it, which for the older ones is what Windows writes under that name.
ENCODINGS = {
    "utf-8": "utf-8",
    "gb18030": "gb18030",
    "big5": "cp950",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "windows-1252": "cp1252",
    "iso-8859-1": "iso-8859-1",
    "iso-8859-2": "iso-8859-2",
    "iso-8859-15": "iso-8859-15",
    "windows-1250": "cp1250",
    "windows-1251": "cp1251",
    "koi8-r": "koi8-r",
    "shift_jis": "cp932",
    "euc-jp": "euc-jp",
    "euc-kr": "cp949",
}
GUESSES = ["utf-8", "euc-kr", "gb18030", "windows-1252", "big5", "shift_jis"]  # of equals, the first
# The first bytes, and the least second one, of the signs and of the letters that are written often.
FREQUENT = {
    "gb18030": (frozenset([*range(0xA1, 0xA4), *range(0xB0, 0xD8)]), 0xA1),
    "big5": (frozenset(range(0xA1, 0xC7)), 0x40),
    "shift_jis": (frozenset([*range(0x81, 0x84), *range(0x88, 0x98)]), 0x40),
    "euc-kr": (frozenset([*range(0xA1, 0xA4), *range(0xB0, 0xC9)]), 0xA1),
}
SIGNS = frozenset("‘’‚“”„–—…•€£¥§©®™°±²³µ·«»¿¡ªº½¼¾¨´\xa0")  # beside letters, in the west of Europe
FEW = 20  # letters, among which Korean ones are not told from Chinese ones
PLAUSIBLE = 0.85  # of the letters beyond ASCII that are frequent, in a text of that language
SENSIBLE = 0.5  # of a text in UTF-16 that is ASCII, or such a letter
TOLERATED = 0.02  # of the letters beyond ASCII that may be broken: a program may have cut a cell amid a letter
CONTROLS = re.compile(r"[\x01-\x08\x0e-\x19\x1b-\x1f\x7f]")
BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
PIECE = 1 << 16  # bytes, or characters


def encoding_of(path, head, wanted=""):
    """
    This will give (the encoding of a text, whether that is sure). `head` are its first bytes; `wanted` is what somebody
    says that it is. Raises Problem "encoding" where that cannot be, "no-table" where there is no text.
    """
    mark = next((encoding for mark, encoding in MARKS.items() if head.startswith(mark)), "")
    if wanted:
        if wanted not in {*ENCODINGS, mark} or broken(path, wanted, TOLERATED):
            raise Problem("encoding")
        return wanted, True
    if mark:
        encoding, sure = mark, not broken(path, mark)
    elif wide := wide_of(head):
        encoding, sure = wide, False
    elif not broken(path, "utf-8"):
        encoding, sure = "utf-8", True
    else:
        letters = first_beyond_ascii(path)
        shares = {encoding: frequent(letters, encoding) for encoding in GUESSES}
        best = max(GUESSES, key=shares.get)
        encoding = best if shares[best] else "windows-1252"
        sure = encoding == "gb18030" and shares[best] >= PLAUSIBLE and not broken(path, encoding)
    text = decoded(head, encoding)
    if 20 * len(CONTROLS.findall(text)) > len(text) or 4 * text.count("\0") > len(text):
        raise Problem("no-table")
    return encoding, sure


def opened(path, encoding, errors="replace"):
    """This will open a text; what cannot be decoded is marked in it."""
    return open(path, encoding=ENCODINGS.get(encoding, encoding), errors=errors, newline="")  # noqa: PTH123  see crm.sheets


def first_beyond_ascii(path):
    """This will give some bytes of a text from about the first on that is not ASCII."""
    with open(path, "rb") as file:  # noqa: PTH123  as above
        piece = file.read(PIECE)
        while piece.isascii():
            piece = file.read(PIECE)
        return piece + file.read(PIECE)


def decoded(head, encoding):
    """This will decode the first bytes of a text, be the last letter there whole or not."""
    return codecs.getincrementaldecoder(ENCODINGS.get(encoding, encoding))("replace").decode(head)


def broken(path, encoding, tolerated=0):
    """This will tell whether of the letters beyond ASCII more than a share, from 0 to 1, are none in an encoding."""
    lost = beyond = 0
    most = tolerated * os.path.getsize(path)  # noqa: PTH202  as above; there are no more letters than bytes

    def lose(error):
        nonlocal lost
        lost += 1
        return "\ufffd", error.end

    codecs.register_error("counted", lose)
    with opened(path, encoding, errors="counted") as file:
        while lost <= most and (piece := file.read(PIECE)):
            beyond += len(piece) - len(piece.encode("ascii", "ignore"))
    return lost > most or lost > tolerated * beyond


def frequent(head, encoding):
    """This will give how many of the letters beyond ASCII, from 0 to 1, are such as people write often."""
    runs = BEYOND_ASCII.findall(decoded(head, encoding))
    letters = Counter("".join(runs))
    if encoding == "windows-1252":  # in these languages they stand among others
        often = sum(len(run) for run in runs if len(run) < 3 and all(one.isalpha() or one in SIGNS for one in run))
    elif encoding == "euc-kr" and letters.total() < FEW:
        often = 0
    else:
        often = sum(count for letter, count in letters.items() if is_frequent(letter, encoding))
    return often / letters.total() if letters else 0


def is_frequent(letter, encoding):
    if letter == "\ufffd" or encoding not in FREQUENT:
        return letter != "\ufffd"
    leads, least = FREQUENT[encoding]
    pair = letter.encode(ENCODINGS[encoding], errors="ignore")
    return len(pair) == 2 and pair[0] in leads and pair[1] >= least


def wide_of(head):
    """This will give which UTF-16 a text without a mark is in; "" where it has no NULs, or makes no sense in either."""
    if 40 * head.count(0) < len(head):
        return ""
    shares = {encoding: sensible(decoded(head, encoding)) for encoding in ("utf-16-le", "utf-16-be")}
    best = max(shares, key=shares.get)
    return best if shares[best] > SENSIBLE else ""


def sensible(text):
    """This will give how much of a text, from 0 to 1, is ASCII or Chinese."""
    letters = Counter(text)
    sense = sum(
        count
        for letter, count in letters.items()
        if (letter.isprintable() or letter.isspace() if letter.isascii() else is_frequent(letter, "gb18030"))
    )
    return sense / letters.total()
