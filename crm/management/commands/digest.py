"""Says of each table how many rows it holds, and a hash of them that is the same on SQLite and on PostgreSQL."""

from django.core.management.base import BaseCommand

from crm.backups import snapshot
from crm.rows import digest_of, tables
from crm.upgrades import refuse_other_version


class Command(BaseCommand):
    help = "Prints rows and digest of each table: the same content has the same one, whichever database holds it."

    def handle(self, **options):
        refuse_other_version()
        digests, whole = {}, 0
        with snapshot():
            for table in tables():
                rows, digests[table.name] = table.digest()
                whole += rows
                self.stdout.write(f"{digests[table.name]} {rows:>12,} {table.name}")
        self.stdout.write(f"{digest_of(digests)} {whole:>12,} rows in all")
