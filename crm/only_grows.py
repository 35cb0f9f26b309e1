"""
A table whose rows the database itself lets nobody change or delete, however it is asked. For migrations.

To empty the whole database (`manage.py flush`) goes on: TRUNCATE asks no trigger of a row on PostgreSQL, and on SQLite
crm.sqlite sets them aside meanwhile.
"""

from django.db import migrations

SAYS = "Rows of this table are never changed and never deleted."
SQLITE = "CREATE TRIGGER only_grows_{table}_{act} BEFORE {act} ON {table} BEGIN SELECT RAISE(ABORT, '{says}'); END"
POSTGRESQL = [
    """
    CREATE FUNCTION only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{says}' USING ERRCODE = 'restrict_violation'; END $$
    """,
    "CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION only_grows()",
]


def keep(app, name):
    """This will list the operation after which the rows of the model `name` stay as they were written."""

    def lay(apps, schema_editor):
        table = apps.get_model(app, name)._meta.db_table
        if schema_editor.connection.vendor == "postgresql":
            statements = [statement.format(table=table, says=SAYS) for statement in POSTGRESQL]
        else:
            statements = [SQLITE.format(table=table, act=act, says=SAYS) for act in ("UPDATE", "DELETE")]
        for statement in statements:
            schema_editor.execute(statement, params=None)

    def lift(apps, schema_editor):
        table = apps.get_model(app, name)._meta.db_table
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute("DROP FUNCTION only_grows CASCADE")
        else:
            for act in ("UPDATE", "DELETE"):
                schema_editor.execute(f"DROP TRIGGER only_grows_{table}_{act}")

    return [migrations.RunPython(lay, lift)]
