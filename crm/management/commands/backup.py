"""Writes everything that Pursuit keeps into one archive, while it is in use."""

import time
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from crm import backups
from crm.upgrades import refuse_other_version
from notices.recycle import named_files


class Command(BaseCommand):
    help = "Writes database and files, as they are at one moment, into one archive. Others may go on working meanwhile."

    def add_arguments(self, parser):
        parser.add_argument("--to", metavar="FILE", type=Path, help="its name (default: one that says when)")
        parser.add_argument("--without-files", action="store_true", help="list the files, without what is in them")

    def handle(self, *, to, without_files, **options):
        began = time.monotonic()
        refuse_other_version()
        to = to or settings.VAR_DIR / "backups" / f"pursuit-{timezone.now():%Y-%m-%d-%H%M%S}.zip"
        made = backups.make(to, named_files, with_files=not without_files)
        self.stdout.write(
            f"Wrote {to}: {made['rows']:,} rows of {len(made['tables'])} tables, {len(made['files']):,} files"
            f"{' that are only listed' if without_files else ''}; {to.stat().st_size / 1e6:,.1f} MB, "
            f"{time.monotonic() - began:.0f} s. Digest: {made['sha256']}"
        )
        for name in made["lost"]:
            self.stderr.write(f"{name}: a record names this file, which is gone or is not what was stored.")
