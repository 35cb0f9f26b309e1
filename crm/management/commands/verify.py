"""Checks everything that must always hold, and everything derived; prints each difference."""

from django.core.management.base import BaseCommand

import approvals.verification
import crm.verification
import customers.verification
import notices.verification
import opportunities.verification


class Command(BaseCommand):
    help = "Checks every invariant and everything derived; prints each difference and exits 1 on any."

    def handle(self, **options):
        found = 0
        for part in (crm, notices, customers, approvals, opportunities):
            for difference in part.verification.differences():
                found += 1
                self.stdout.write(difference)
        if found:
            self.stdout.write(f"{found} differences.")
            raise SystemExit(1)
        self.stdout.write("Everything holds.")
