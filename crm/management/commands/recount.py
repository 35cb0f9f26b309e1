"""Adds up anew what everybody was credited with; work may go on meanwhile."""

from django.core.management.base import BaseCommand

from opportunities.crediting import recount


class Command(BaseCommand):
    help = "Adds up anew what the ranking shows, from all signings and approved reports."

    def handle(self, **options):
        recount()
