"""What must be true of a machine before Pursuit runs on it, beside what the settings refuse themselves."""

from django.conf import settings
from django.core.checks import Error, Tags, register
from django.db import DatabaseError

from crm.models import User


@register(Tags.database)
def demo_accounts(app_configs, databases=(), **kwargs):
    """This will report accounts of the demo company in production: their password stands in the manual."""
    if not settings.PRODUCTION or not databases:
        return []
    try:
        there = User.objects.filter(demo=True, is_active=True).count()
    except DatabaseError:  # not yet migrated, or away: /healthz says so
        return []
    if not there:
        return []
    return [
        Error(
            f"{there} active accounts of the demo company are in this database, and everybody knows their password.",
            hint="Use another database in production, or deactivate these accounts in the administration.",
            id="crm.E002",
        )
    ]
