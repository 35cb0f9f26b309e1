"""
A backup: one archive with all rows, and the files that they name, as they were at one moment, while others work on.

It is a zip of texts (see crm.rows), one for each table, of the files, and of a manifest that says which digest each has
and of which version they are. Both databases write and read the same archive, so that Pursuit moves to another by a
backup that is restored there; and neither needs a program of its own for it, in the right version.
"""

import json
import os
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from crm.importing import ImportRun
from crm.rows import Table, digest_of, tables

FORM = 1  # of the archive
PIECE = 1 << 20  # bytes
MANIFEST = "manifest.json"


def places():
    """This will give the storages of files, by the folder that they have in an archive."""
    private = {"directory_permissions_mode": 0o700, "file_permissions_mode": 0o600}
    imports = FileSystemStorage(location=Path(settings.MEDIA_ROOT) / "imports", **private)
    return {"files": storages["files"], "imports": imports}


@contextmanager
def snapshot():
    """This will have the block read the database as it is now, whatever others write meanwhile; it keeps nobody out."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with transaction.atomic():
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield
        else:
            cursor.execute("BEGIN DEFERRED")  # Django's own would take the lock of those who write
            try:
                cursor.execute("SELECT count(*) FROM django_migrations")  # the moment is that of the first look
                cursor.fetchall()
                yield
            finally:
                cursor.execute("ROLLBACK")


# ── Writing one ──────────────────────────────────────────────────────────────────────────────────────────────────────


def make(path, named, *, with_files=True):
    """
    This will write a backup to `path`, and give its manifest. `named` is a function that gives {key: digest, or ""} of
    the files that rows name. Raises CommandError where `path` is there already, or cannot be written.
    """
    taken = CommandError(f"{path} is there already. Choose another name with --to.")
    if path.exists():
        raise taken
    part = None
    try:
        path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
        # Nobody else may read it, and it gets its name once it is whole.
        handle, part = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            manifest = _Writer(file, named).write(with_files=with_files)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            raise taken
        Path(part).rename(path)
    except OSError as error:
        raise CommandError(f"The backup could not be written: {error}. Nothing is left of it.") from None
    finally:
        if part:
            Path(part).unlink(missing_ok=True)
    return manifest


class _Writer:
    """An archive that is being written."""

    def __init__(self, file, named):
        self.zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self.named = named
        self.copied = {}  # {name of a file in the archive: digest}

    def write(self, *, with_files):
        with self.zip:
            if with_files:
                self.copy_before()
            with snapshot():
                manifest = {"form": FORM, "made_at": timezone.now().isoformat(), "database": connection.vendor}
                manifest["migrations"] = sorted(map(list, MigrationRecorder(connection).applied_migrations()))
                manifest |= self.files(with_files=with_files)
                manifest["tables"] = {table.name: self.copy_table(table) for table in tables()}
            manifest["rows"] = sum(table["rows"] for table in manifest["tables"].values())
            manifest["sha256"] = digest_of({name: table["sha256"] for name, table in manifest["tables"].items()})
            self.zip.writestr(MANIFEST, json.dumps(manifest, indent=1))
        return manifest

    def copy_before(self):
        """
        This will copy the files that rows name, and those that rows name by then, until there are no more. A file goes
        after its row: so what the snapshot names, which follows, is copied, even where somebody deletes it meanwhile.
        """
        tried = set()
        while fresh := self.named().keys() - tried:
            self.copy_files("files", fresh)
            tried |= fresh

    def files(self, *, with_files):
        """This will say which files the rows of the snapshot name, with their digests, and which of them are lost."""
        named = {f"files/{key}": known for key, known in self.named().items()}
        if not with_files:
            return {"with_files": False, "files": named, "lost": []}
        self.copy_files("files", [name.partition("/")[2] for name in named if name not in self.copied])
        kept = {name: self.copied[name] for name in named if name in self.copied}
        lost = [name for name, known in named.items() if name not in kept or known not in ("", kept[name])]
        return {"with_files": True, "files": kept | self.imports(), "lost": lost}

    def imports(self):
        """This will copy what lies in the folders of imports; where one goes meanwhile, its page asks for it anew."""
        storage, before = places()["imports"], set(self.copied)
        for folder in map(str, ImportRun.objects.values_list("folder", flat=True)):
            if storage.exists(folder):
                self.copy_files("imports", [f"{folder}/{name}" for name in storage.listdir(folder)[1]])
        return {name: digest for name, digest in self.copied.items() if name not in before}

    def copy_files(self, place, keys):
        """This will copy stored files, but for those that are gone."""
        for key in sorted(keys):
            try:
                file = places()[place].open(key)
            except FileNotFoundError:
                continue
            entry = zipfile.ZipInfo(f"{place}/{key}")  # most are pressed together already
            with file:
                self.copied[entry.filename] = self.copy(entry, iter(lambda file=file: file.read(PIECE), b""))[1]

    def copy_table(self, table):
        """This will copy the rows of a table, and say what the manifest has of it."""
        rows, digest = self.copy(text_of(table.name), table.pieces())
        last = table.last_key()
        return {"key": table.key, "columns": table.columns, "rows": rows, "last": last, "sha256": digest}

    def copy(self, entry, pieces):
        """This will write an entry of the archive, and give (number of lines, digest)."""
        lines, digest = 0, sha256()
        with self.zip.open(entry, "w", force_zip64=True) as to:
            for piece in pieces:
                lines += piece.count(b"\n")
                digest.update(piece)
                to.write(piece)
        return lines, digest.hexdigest()


def text_of(table):
    return f"tables/{table}.txt"


# ── Reading one ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Archive:
    """A backup that is read, from its file."""

    def __init__(self, path):
        """This will open it. Raises CommandError where that is no backup, or not one that this version knows."""
        try:
            self.zip = zipfile.ZipFile(path)
            self.manifest = json.loads(self.zip.read(MANIFEST))
            form = self.manifest["form"]
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
        except (zipfile.BadZipFile, KeyError, ValueError, TypeError):
            raise CommandError(f"{path} is no backup of Pursuit, or not a whole one.") from None
        if form != FORM:
            raise CommandError(f"{path} is a backup of a newer version of Pursuit. Install that version first.")
        self.migrations = {tuple(key) for key in self.manifest["migrations"]}
        self.tables = [Table(name, it["key"], it["columns"]) for name, it in self.manifest["tables"].items()]
        self.files = self.manifest["files"] if self.manifest["with_files"] else {}

    def check(self):
        """This will compare what is in the archive with its manifest. Raises CommandError where it is damaged."""
        said = {text_of(name): it["sha256"] for name, it in self.manifest["tables"].items()} | self.files
        for name, digest in said.items():
            try:
                with self.zip.open(name) as file:
                    same = digest_of_file(file) == digest
            except (zipfile.BadZipFile, KeyError, OSError, zlib.error, EOFError):
                same = False
            if not same:
                raise CommandError(f"The backup is damaged, at {name}. Nothing was restored. Take another one.")


def digest_of_file(file):
    digest = sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    return digest.hexdigest()
