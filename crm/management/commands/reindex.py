"""Writes anew by what every record is found; can be broken off, and goes on from where it says."""

from django.apps import apps
from django.core.management.base import BaseCommand

from crm.texts import Findable


class Command(BaseCommand):
    help = "Writes the search texts of all records anew, a thousand at a time. Others may go on working meanwhile."

    def add_arguments(self, parser):
        parser.add_argument("--only", metavar="MODEL", help="customer, contact or opportunity")
        parser.add_argument("--after", metavar="KEY", type=int, default=0, help="leave out records up to this key")

    def handle(self, *, only, after, **options):
        for model in apps.get_models():
            if issubclass(model, Findable) and only in (None, model._meta.model_name):
                for done in model.TEXT.write_all(after=after):
                    self.stdout.write(f"{model._meta.model_name}: up to {done}")
                self.stdout.write(f"{model._meta.model_name}: done")
