"""
A backup that is brought back: into a database that is empty, of either kind, in one transaction, and compared.

Until the end of that transaction nothing is there, and nothing is gone: who breaks it off begins it once more. Indexes
and what refers to what are set aside meanwhile, since to build them of all rows takes a fraction of the time.
"""

from contextlib import contextmanager

from django.core.cache import cache
from django.core.files import File
from django.core.management.base import CommandError
from django.db import DatabaseError, connection

from crm.backups import digest_of_file, places, text_of
from crm.models import User
from crm.pulse import WorkerPulse
from crm.rows import LEFT_OUT, digest_of
from crm.upgrades import as_one, executor, unknown


def refuse_unfit(archive, *, replace):
    """
    This will raise CommandError where the archive is of a newer version than this; or where the database is at work,
    holds something, unless it is to be replaced, or has been brought up to a newer version than the archive is of.
    """
    loader = executor().loader
    if unknown(loader, archive.migrations):
        raise CommandError("This backup is of a newer version of Pursuit than this one. Install that version first.")
    there = set(connection.introspection.table_names())
    if WorkerPulse._meta.db_table in there and WorkerPulse.any_alive():
        raise CommandError("Pursuit is at work on this database, or was a minute ago. Stop it, wait, and try again.")
    if User._meta.db_table in there and _has_rows(User._meta.db_table) and not replace:
        raise CommandError(
            "This database holds people and their work. Restore into an empty one (set DATABASE_URL), "
            "or say --replace: then all of it goes, and what is in the backup comes in its place."
        )
    if set(loader.applied_migrations) - archive.migrations:
        raise CommandError(
            "This database is of a newer version of Pursuit than the backup. Restore it into a new, empty one, "
            "in which `migrate` has not run yet (set DATABASE_URL): there it is brought up to this version."
        )


def _has_rows(table):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {connection.ops.quote_name(table)} LIMIT 1")  # noqa: S608  a name of our own
        return cursor.fetchone() is not None


def make_tables(archive):
    """This will bring a database that is empty, or on its way there, to the version that the archive is of."""
    run = executor()
    nodes = [node for key, node in run.loader.graph.node_map.items() if key in archive.migrations]
    followed = {parent.key for node in nodes for parent in node.parents if parent.key[0] == node.key[0]}
    with as_one(connection.alias):
        run.migrate([node.key for node in nodes if node.key not in followed])


def fill(archive, say):
    """
    This will bring in all rows and files, in place of what is there; `say` is told what it is at. Raises CommandError
    where the database does not take them, or holds something else in the end than the archive; then it is as it was.
    """
    with as_one(connection.alias):
        say(f"Bringing in {archive.manifest['rows']:,} rows.")
        with _set_aside():
            for name in connection.introspection.table_names():
                if name in LEFT_OUT or name in archive.manifest["tables"]:
                    _empty(name)
            for table in archive.tables:
                _fill(archive, table)
        for table in archive.tables:
            last = archive.manifest["tables"][table.name]["last"]
            if last is not None:
                table.go_on_after(last)
        say("Comparing them with the backup.")
        connection.check_constraints()
        found = digest_of({table.name: table.digest()[1] for table in archive.tables})
        if found != archive.manifest["sha256"]:
            raise CommandError(f"What came in has another digest than the backup, {found}. Nothing was restored.")
        for name, digest in archive.files.items():
            _place(archive, name, digest)
    cache.clear()
    with connection.cursor() as cursor:  # the planner knows nothing yet of what has come in
        cursor.execute("ANALYZE")


def lost(archive):
    """This will list the files that rows name and that are not in their storage now."""
    return [name for name in archive.manifest["files"] if not _where(name)[0].exists(_where(name)[1])]


def _empty(name):
    with connection.cursor() as cursor:
        empty = "TRUNCATE" if connection.vendor == "postgresql" else "DELETE FROM"
        cursor.execute(f"{empty} {connection.ops.quote_name(name)}")


def _fill(archive, table):
    try:
        with archive.zip.open(text_of(table.name)) as file:
            table.fill(file)
    except DatabaseError as error:
        raise CommandError(
            f"The database does not take the rows of {table.name}. It said: {error}. Nothing was restored."
        ) from None


def _place(archive, name, digest):
    """This will store a file of the archive, unless it is there already."""
    storage, key = _where(name)
    if storage.exists(key):
        with storage.open(key) as file:
            if digest_of_file(file) == digest:
                return
        storage.delete(key)  # a part of it, of a restore that was broken off
    try:
        with archive.zip.open(name) as file:
            storage.save(key, File(file))
    except OSError as error:
        raise CommandError(f"{name} could not be stored: {error}. Nothing was restored.") from None


def _where(name):
    """This will give (storage, key) of a file by its name in the archive."""
    place, _slash, key = name.partition("/")
    return places()[place], key


@contextmanager
def _set_aside():
    """This will do without indexes, and without what looks after each row, while the block brings rows in."""
    with connection.cursor() as cursor:
        cursor.execute(ASIDE[connection.vendor])
        aside = cursor.fetchall()
        for drop, _make in aside:
            cursor.execute(drop)
        yield
        for _drop, make in reversed(aside):
            cursor.execute(make)
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%'")
            for (index,) in cursor.fetchall():  # which the triggers of crm.text_tables would have kept
                cursor.execute(f"INSERT INTO {index} ({index}) VALUES ('rebuild')")  # noqa: S608  a name of our own


# How each database says what there is besides tables: (how to drop it, how to make it), what refers to others first.
ASIDE = {
    "postgresql": """
        SELECT drop, make FROM (
            SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS drop,
                format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
                AS make,
                CASE contype WHEN 'f' THEN 1 ELSE 2 END AS place
            FROM pg_constraint WHERE contype IN ('f', 'u') AND connamespace = current_schema()::regnamespace
            UNION ALL
            SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid), 3
            FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
            WHERE relnamespace = current_schema()::regnamespace
                AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
        ) AS besides ORDER BY place
    """,
    "sqlite": """
        SELECT 'DROP ' || type || ' "' || name || '"', sql FROM sqlite_master
        WHERE type IN ('index', 'trigger') AND sql IS NOT NULL
    """,
}
