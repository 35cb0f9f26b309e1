"""Brings a backup back, compares what came in with it, and checks that everything holds."""

import time
from pathlib import Path

from django.core.management import call_command
from django.core.management.base import BaseCommand

from crm import restoring
from crm.backups import Archive
from crm.upgrades import executor


class Command(BaseCommand):
    requires_system_checks = []  # some ask the database, which may have no tables yet
    help = "Brings a backup back into an empty database, SQLite or PostgreSQL, and the files of it into their storage."

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path, help="what `backup` wrote")
        parser.add_argument("--replace", action="store_true", help="throw away what the database holds")

    def handle(self, *, file, replace, **options):
        began = time.monotonic()
        archive = Archive(file)
        restoring.refuse_unfit(archive, replace=replace)
        archive.check()
        self.say("The backup is whole.")
        restoring.make_tables(archive)
        restoring.fill(archive, self.say)
        made = archive.manifest
        self.stdout.write(
            f"Restored the backup of {made['made_at']}: {made['rows']:,} rows of {len(made['tables'])} tables, "
            f"{len(archive.files):,} files; {time.monotonic() - began:.0f} s. "
            f"The digest is that of the backup: {made['sha256']}"
        )
        for name in restoring.lost(archive):
            self.stderr.write(f"{name}: a record names this file, which is not in its storage. Bring it there.")
        run = executor()
        if run.migration_plan(run.loader.graph.leaf_nodes()):
            self.stdout.write("It is of an earlier version. It is brought up to this one.")
            call_command("migrate", verbosity=0)
        call_command("verify", stdout=self.stdout)

    def say(self, sentence):
        self.stdout.write(sentence)
        self.stdout.flush()  # a large one takes minutes
