"""Brings the database up to this version, as Django does, but wholly or not at all: see crm.upgrades."""

from django.core.management.commands import migrate

from crm.upgrades import as_one


class Command(migrate.Command):
    help = f"{migrate.Command.help} All of it in one transaction: broken off, it has changed nothing."

    def handle(self, *args, **options):
        with as_one(options["database"]):
            super().handle(*args, **options)
