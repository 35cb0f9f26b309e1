"""
Django's SQLite, but for three things. One is how a transaction waits for the one lock there is. SQLite has who waits
ask again ever more rarely, up to every tenth of a second, and the lock goes to who happens to ask: beside a job that
writes in many short transactions somebody who saves would wait for seconds. Here all ask every millisecond, and get it
in its next pause. Another is how a whole database is emptied: see crm.only_grows. And it has a function that says JSON
as PostgreSQL does: see crm.rows.
"""

import sqlite3
import time
from threading import Lock

from django.db.backends.sqlite3 import base, operations

from crm.rows import json_said

ASKS_EVERY = 0.001  # seconds; a quarter of crm.jobs.PAUSE

# Of the threads of a process one asks, and the others wait for it to be answered: twenty who ask take so much of
# Python's one lock that whoever has the database's comes to nothing with it.
asking = Lock()


class DatabaseOperations(operations.DatabaseOperations):
    def sql_flush(self, style, tables, **options):
        """This will empty the tables, those that only grow included: what keeps their rows is taken off meanwhile."""
        with self.connection.cursor() as cursor:
            asked = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name GLOB 'only_grows_*'"
            keepers = cursor.execute(asked).fetchall()
        drops = [f"DROP TRIGGER {self.quote_name(name)}" for name, _sql in keepers]
        return [*drops, *super().sql_flush(style, tables, **options), *(sql for _name, sql in keepers)]


class DatabaseWrapper(base.DatabaseWrapper):
    ops_class = DatabaseOperations

    def get_new_connection(self, conn_params):
        made = super().get_new_connection(conn_params)
        made.create_function("json_said", 1, json_said, deterministic=True)
        return made

    def _start_transaction_under_autocommit(self):
        patience = self.settings_dict["OPTIONS"]["timeout"]
        ends_at = time.monotonic() + patience
        # Said to the connection itself: these are no queries of whoever begins the transaction.
        self.connection.execute("PRAGMA busy_timeout = 0")
        has_turn = asking.acquire(timeout=patience)
        try:
            with self.wrap_database_errors:
                while not self._begins(last=time.monotonic() > ends_at):
                    time.sleep(ASKS_EVERY)
        finally:
            if has_turn:
                asking.release()
            self.connection.execute(f"PRAGMA busy_timeout = {1000 * patience}")

    def _begins(self, *, last):
        """This will begin the transaction and tell so; False while another has the lock. The `last` time it raises."""
        try:
            self.connection.execute(f"BEGIN {self.transaction_mode}")
        except sqlite3.OperationalError as error:
            if last or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return False
        return True
