"""
What every installation begins with: roles, picklists, stages, routes. Loaded once; administrators' edits are
left alone.
"""

import json

from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

FILE = settings.BASE_DIR / "fixtures" / "shipped.json"


def load(**_signal):
    """This will fill each list that is still empty; called after every migrate, and after a test's flush."""
    shipped = json.loads(FILE.read_text(encoding="utf-8"))
    models = {label: apps.get_model(label) for label in shipped}
    if not {model._meta.db_table for model in models.values()} <= set(connection.introspection.table_names()):
        return  # a migration of a part only
    with transaction.atomic():
        for label, rows in shipped.items():
            if not models[label].objects.exists():
                for order, row in enumerate(rows, 1):
                    _add(models[label], row, order)


def _add(model, row, order):
    steps = row.pop("steps", [])
    for name in {"pipeline", "question"} & row.keys():
        row[name] = model._meta.get_field(name).related_model.objects.get(key=row[name])
    if any(field.name == "order" for field in model._meta.fields):
        row["order"] = order
    added = model.objects.create(**row)
    if steps:
        version = added.versions.create(number=1, published_at=timezone.now())
        for number, step in enumerate(steps, 1):
            roles = apps.get_model("crm.Role").objects.filter(key__in=step["roles"])
            version.steps.create(order=number, may_finish=step["may_finish"]).roles.set(roles)
