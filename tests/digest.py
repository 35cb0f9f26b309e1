"""A hash over every business table: a refusal is proven by data that did not change, not by its status."""

from contextlib import contextmanager
from functools import cache
from hashlib import sha256

from django.apps import apps
from django.db import connection

APPS = {"crm", "notices", "approvals", "customers", "opportunities", "guardian", "auth", "mfa"}
# What is written about a request and not by it: the audit of refusals, and the worker's own books.
BESIDES = {"Audit", "Job", "Opened", "WorkerPulse", "ScheduledRun", "last_login", "previous_sign_in_at"}


@cache
def questions(besides=frozenset()):
    """This will give the SQL that reads each business table but those of the models `besides`, by name."""
    models = [model for model in apps.get_models(include_auto_created=True) if model._meta.app_label in APPS]
    quote = connection.ops.quote_name
    return [
        "SELECT {} FROM {} ORDER BY {}".format(
            ", ".join(quote(field.column) for field in model._meta.concrete_fields if field.attname not in BESIDES),
            quote(model._meta.db_table),
            quote(model._meta.pk.column),
        )
        for model in sorted(models, key=lambda model: model._meta.label)
        if model.__name__ not in BESIDES | besides
    ]


def digest(besides=frozenset()):
    """This will give a hash of all rows of all business tables, but for those of the models `besides`, by name."""
    whole = sha256()
    with connection.cursor() as cursor:
        for question in questions(frozenset(besides)):
            cursor.execute(question)
            whole.update(f"{question} {cursor.fetchall()}".encode())
    return whole.hexdigest()


@contextmanager
def nothing_changed():
    """This will fail where the block changed any business data."""
    before = digest()
    yield
    assert digest() == before, "Business data changed."
