"""The tables of texts, as each database has them: see crm.texts. For migrations."""

from django.apps import apps as present
from django.db import migrations, models

from crm.texts import PiecesField

TABLE = """
CREATE TABLE {table} (
    "of" {key} NOT NULL PRIMARY KEY REFERENCES {records} (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    plain text NOT NULL, spelled text NOT NULL, pieces {pieces} NOT NULL
)
"""
GIN = "CREATE INDEX {table}_pieces ON {table} USING gin (pieces)"
FTS = [
    """
    CREATE VIRTUAL TABLE {table}_pieces USING fts5(
        pieces, content='{table}', content_rowid='of', detail=none, columnsize=0, tokenize='ascii'
    )
    """,
    """
    CREATE TRIGGER {table}_in AFTER INSERT ON {table} BEGIN
        INSERT INTO {table}_pieces (rowid, pieces) VALUES (new."of", new.pieces);
    END
    """,
    """
    CREATE TRIGGER {table}_out AFTER DELETE ON {table} BEGIN
        INSERT INTO {table}_pieces ({table}_pieces, rowid, pieces) VALUES ('delete', old."of", old.pieces);
    END
    """,
    """
    CREATE TRIGGER {table}_anew AFTER UPDATE ON {table} BEGIN
        INSERT INTO {table}_pieces ({table}_pieces, rowid, pieces) VALUES ('delete', old."of", old.pieces);
        INSERT INTO {table}_pieces (rowid, pieces) VALUES (new."of", new.pieces);
    END
    """,
]


def table_of_texts(app, name, record):
    """This will list the operations that make the table of the texts `name` beside the model `record`, and fill it."""

    def lay(apps, schema_editor):
        table, records = (apps.get_model(app, one)._meta.db_table for one in (name, record))
        on_postgresql = schema_editor.connection.vendor == "postgresql"
        key, pieces = ("bigint", "text[]") if on_postgresql else ("integer", "text")
        schema_editor.execute(TABLE.format(table=table, records=records, key=key, pieces=pieces))
        for statement in [] if on_postgresql else FTS:
            schema_editor.execute(statement.format(table=table))
        # By the columns that its text names, and no others, so that a later form of the model may have more.
        for _done in present.get_model(app, name).write_all():
            pass
        if on_postgresql:  # once all is there, which is quicker
            schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            schema_editor.execute(GIN.format(table=table))

    def clear(apps, schema_editor):
        table = apps.get_model(app, name)._meta.db_table
        if schema_editor.connection.vendor != "postgresql":
            schema_editor.execute(f"DROP TABLE {table}_pieces")
        schema_editor.execute(f"DROP TABLE {table}")

    fields = [
        ("of", models.BigIntegerField(primary_key=True, serialize=False)),
        ("plain", models.TextField()),
        ("spelled", models.TextField()),
        ("pieces", PiecesField()),
    ]
    state = migrations.CreateModel(name=name, fields=fields, options={"abstract": False})
    # The state first, so that the operation knows the model whose table it makes.
    return [migrations.SeparateDatabaseAndState(state_operations=[state]), migrations.RunPython(lay, clear)]
