"""Is the database of the version of Pursuit that runs here? And how it becomes so: wholly, or not at all."""

from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db import DatabaseError, connection, connections, transaction
from django.db.migrations.executor import MigrationExecutor


def executor():
    """This will read which migrations there are and which were carried out. Raises CommandError without an answer."""
    try:
        return MigrationExecutor(connection)
    except DatabaseError as error:
        raise CommandError(f"The database does not answer. See DATABASE_URL. It said: {error}") from None


def refuse_other_version():
    """This will raise CommandError where the database is of another version: newer, or not brought up to this one."""
    read = executor()
    if unknown(read.loader, read.loader.applied_migrations):
        raise CommandError(
            "The database is of a newer version of Pursuit than this one. "
            "Install that version, or restore a backup of this one into another database."
        )
    if read.migration_plan(read.loader.graph.leaf_nodes()):
        raise CommandError("The database is not up to date. Run: python manage.py migrate")


def unknown(loader, migrations):
    """This will list those of `migrations`, (app, name), that the apps installed here do not have."""
    return [key for key in migrations if key[0] in loader.migrated_apps and key not in loader.disk_migrations]


@contextmanager
def as_one(alias):
    """
    This will carry out a block with all its migrations in one transaction: who breaks it off, or pulls the plug, finds
    everything as it was. Django has one for each migration, and another to note it, so that one could be done and not
    be noted, and never be done again.
    """
    database = connections[alias]
    with database.constraint_checks_disabled(), transaction.atomic(using=alias):
        if database.vendor == "postgresql":  # which alters no table about which something is still to be checked
            with database.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        yield
