"""
Files that people bring: under what name they are kept, what they may be, where they lie and how they are given out.

They lie in the storage "files" (see FILES_URL in the settings) under keys of their own, and are given out by our own
views alone, which ask each time whether the reader may see what they belong to: an address of a storage would go on
working after that.
"""

import errno
import logging
import re
import unicodedata
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.storage import storages
from django.core.files.uploadhandler import FileUploadHandler
from django.db import Error, connection
from django.http import FileResponse, Http404
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm.verbs import Refused

logger = logging.getLogger(__name__)

LONGEST_NAME = 150
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # what Windows takes for a device
HEAD = 4096  # bytes, by which a file is told
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
NO_ROOM_NOW = _("There is no room for files at the moment. Tell your administrator.")
OLD = timedelta(days=1)  # after which what no row names is nobody's, not even that of an upload under way

ZIP, OLE = (b"PK\x03\x04", b"PK\x05\x06"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",)
OFFICE = "application/vnd.openxmlformats-officedocument."

# What may be brought, by the end of its name: (content type, what it begins with; None for text).
TYPES = {
    "pdf": ("application/pdf", (b"%PDF-",)),
    "png": ("image/png", (b"\x89PNG\r\n\x1a\n",)),
    "jpg": ("image/jpeg", (b"\xff\xd8\xff",)),
    "jpeg": ("image/jpeg", (b"\xff\xd8\xff",)),
    "gif": ("image/gif", (b"GIF87a", b"GIF89a")),
    "webp": ("image/webp", (b"RIFF",)),
    "docx": (f"{OFFICE}wordprocessingml.document", ZIP),
    "xlsx": (f"{OFFICE}spreadsheetml.sheet", ZIP),
    "pptx": (f"{OFFICE}presentationml.presentation", ZIP),
    "odt": ("application/vnd.oasis.opendocument.text", ZIP),
    "ods": ("application/vnd.oasis.opendocument.spreadsheet", ZIP),
    "odp": ("application/vnd.oasis.opendocument.presentation", ZIP),
    "doc": ("application/msword", OLE),
    "xls": ("application/vnd.ms-excel", OLE),
    "ppt": ("application/vnd.ms-powerpoint", OLE),
    "msg": ("application/vnd.ms-outlook", OLE),
    "zip": ("application/zip", ZIP),
    "7z": ("application/x-7z-compressed", (b"7z\xbc\xaf\x27\x1c",)),
    "rar": ("application/vnd.rar", (b"Rar!\x1a\x07",)),
    "txt": ("text/plain", None),
    "md": ("text/plain", None),
    "csv": ("text/csv", None),
    "eml": ("message/rfc822", None),
    "vcf": ("text/vcard", None),
}
# What a browser shows without running anything.
SHOWN = {"image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"}


class Limit(FileUploadHandler):
    """Ends an upload before it fills the disk: no form of ours takes so much."""

    def handle_raw_input(self, input_data, META, content_length, boundary, encoding=None):
        if content_length > settings.UPLOAD_MOST_BYTES:
            raise RequestDataTooBig("The upload is larger than UPLOAD_MOST_BYTES.")

    def receive_data_chunk(self, raw_data, start):
        return raw_data

    def file_complete(self, file_size):
        return None


def safe_name(name):
    """
    This will give a name as it can be kept on every system: without a path, without what cannot be seen or turns its
    letters round, not too long; letters of all languages stay. "" where nothing is left.
    """
    name = unicodedata.normalize("NFC", re.split(r"[/\\]", name)[-1])
    name = "".join(letter if unicodedata.category(letter)[0] != "Z" else " " for letter in name)
    name = "".join(letter for letter in name if unicodedata.category(letter)[0] != "C" and letter not in '<>:"|?*')
    stem, dot, end = " ".join(name.split()).strip(". ").rpartition(".")
    stem, end = (stem.strip(". "), end) if dot else (end, "")
    if not stem:
        return ""
    stem = stem[: LONGEST_NAME - len(end) - 1].strip()
    whole = f"{stem}.{end}" if end else stem
    return f"_{whole}" if RESERVED.fullmatch(whole) else whole


def taken():
    """This will list the ends of the names of files that are taken."""
    return [end for end in TYPES if not settings.FILE_TYPES or end in settings.FILE_TYPES]


def examine(upload):
    """
    This will give (name, content type) of an uploaded file, told by the end of its name and by what it begins with,
    never by what the browser says. Raises Refused for what is not taken.
    """
    name = safe_name(upload.name or "")
    if not name:
        raise Refused(_("A file needs a name."))
    if not upload.size:
        raise Refused(_("This file is empty."))
    if upload.size > settings.FILE_MOST_BYTES:
        told = _("A file may have %(megabytes)s MB at most.")
        raise Refused(told % {"megabytes": settings.FILE_MOST_BYTES >> 20})
    end = name.rpartition(".")[2].lower()
    if "." not in name or end not in TYPES or end not in taken():
        told = _("Files of this type are not taken. These are: %(types)s.")
        raise Refused(told % {"types": ", ".join(taken())})
    kind, begins = TYPES[end]
    upload.seek(0)
    head = upload.read(HEAD)
    upload.seek(0)
    fits = (b"\0" not in head or head[:2] in (b"\xff\xfe", b"\xfe\xff")) if begins is None else head.startswith(begins)
    if not fits or (end == "webp" and head[8:12] != b"WEBP"):
        raise Refused(_("What is in this file is not what its name says: .%(end)s.") % {"end": end})
    return name, kind


def sorted_out(uploads):
    """
    This will examine several uploaded files, and give ([(upload, name, content type)] of those that are taken,
    [(name, why not)] of the others). Raises Refused where they are too many.
    """
    if len(uploads) > settings.FILES_AT_ONCE:
        raise Refused(_("At most %(count)d files at once.") % {"count": settings.FILES_AT_ONCE}, field="files")
    good, refused = [], []
    for upload in uploads:
        try:
            good.append((upload, *examine(upload)))
        except Refused as error:
            refused.append((safe_name(upload.name or "") or _("A file"), error.message))
    return good, refused


def keep(upload):
    """This will store an uploaded file, and give (key, size, hash in hex). Raises Refused where there is no room."""
    digest = sha256()
    for chunk in upload.chunks():
        digest.update(chunk)
    upload.seek(0)
    key = uuid4().hex
    with room():
        try:
            storages["files"].save(key, upload)
        except OSError:
            drop([key])  # what there was room for
            raise
    return key, upload.size, digest.hexdigest()


@contextmanager
def room():
    """This will raise Refused where the disk has no room for what is written in it."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise Refused(NO_ROOM_NOW) from error


def drop(keys):
    """This will take stored files away; what cannot be now, the sweep does."""
    for key in keys:
        try:
            storages["files"].delete(key)
        except OSError:
            logger.exception("The file %s could not be deleted.", key)


@contextmanager
def dropped_unless_named(keys):
    """
    This will take the stored files `keys` away, a list that may grow within, where the rows that were to name them are
    not written. Whether they are is not known where the database gave no answer, which may have been lost after it had
    kept them: those files stay, and if no row names them the sweep finds that.
    """
    try:
        yield
    except (Error, connection.Database.Error):  # and not those that end the process, which may come then, too
        raise
    except Exception:
        drop(keys)
        raise


def sweep(named):
    """This will delete the stored files that are not among the keys `named` and are a day old; it gives how many."""
    storage = storages["files"]
    _folders, stored = storage.listdir("")
    before = timezone.now() - OLD
    lost = [key for key in stored if key not in named and storage.get_modified_time(key) < before]
    drop(lost)
    return len(lost)


def answer(file, *, inline):
    """
    This will give out a kept file, with name, kind and key: to be shown where `inline` and a browser can do so safely,
    else to be saved. Raises Http404 where it is not stored any more.
    """
    inline = inline and file.kind in SHOWN
    try:
        opened = storages["files"].open(file.key)
    except OSError as error:
        logger.exception("The file %s is not in its storage.", file.key)
        raise Http404 from error
    kind = file.kind if inline or not file.kind.startswith("text/") else "application/octet-stream"
    response = FileResponse(opened, as_attachment=not inline, filename=file.name, content_type=kind)
    response.headers["X-Content-Type-Options"] = "nosniff"
    # A sandbox would keep the browser's own viewer from showing a PDF, in which scripts have no rights here anyway.
    alone = "" if file.kind == "application/pdf" else "; sandbox"
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'{alone}"
    )
    return response
