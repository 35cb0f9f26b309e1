"""Locks the secrets of two-step sign-in with the present key, so that a former one is needed no longer."""

from cryptography.fernet import InvalidToken
from django.core.management.base import BaseCommand, CommandError

from crm import two_step


class Command(BaseCommand):
    help = "Locks the secrets of two-step sign-in with SECRET_KEY, after which SECRET_KEY_FALLBACKS can go."

    def handle(self, **options):
        try:
            done = two_step.relock()
        except InvalidToken:
            raise CommandError("A key that locked some of them is not in SECRET_KEY_FALLBACKS.") from None
        self.stdout.write(f"Locked anew: {done}.")
