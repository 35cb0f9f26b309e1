"""
Makes a seeded database many times as large, in minutes: every record of the sales, and all that hangs on it, is copied
by the database itself, with keys moved by as much as keeps the copies apart. These have people of their own, so that a
rep has as many opportunities as before; departments and picklists are shared.
"""

from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.db.models import Max

from approvals.models import Approval, Round, Task
from crm.models import NumberSequence, User
from customers.models import Contact, Customer
from customers.texts import ContactText, CustomerText
from notices.history import Event
from notices.models import Message
from opportunities.crediting import recount
from opportunities.lives import SHARES
from opportunities.models import FollowUp, Movement, Opportunity, OpportunityContact, Signing
from opportunities.texts import OpportunityText

RECORDS = [User, User.roles.through, Customer, Contact, Opportunity, OpportunityContact, Movement, FollowUp, Signing]
RECORDS += [*SHARES, Approval, Round, Task, Event, Message]
TEXTS = {CustomerText: Customer, ContactText: Contact}  # an opportunity's says its number, so it is made anew


def multiply(times, say=print):
    """This will make `times` as many of all that was seeded; `say` is told of each table."""
    apart = {model: _highest(model) for model in RECORDS}
    numbers = max(NumberSequence.objects.values_list("last", flat=True))
    last = Opportunity.objects.aggregate(last=Max("pk"))["last"]
    with connection.cursor() as cursor:
        # What refers to what is right by construction; to ask it of each of some ten million rows takes an hour.
        on_postgresql = connection.vendor == "postgresql"
        cursor.execute("SET session_replication_role = replica" if on_postgresql else "PRAGMA foreign_keys = OFF")
        for model in [*RECORDS, *TEXTS]:
            for copy in range(1, times):
                cursor.execute(_copying(model, copy, apart, numbers))
            if on_postgresql and model in RECORDS:
                table = model._meta.db_table
                cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")
            say(f"{model.__name__} × {times}")
        cursor.execute("SET session_replication_role = DEFAULT" if on_postgresql else "PRAGMA foreign_keys = ON")
    NumberSequence.objects.update(last=models.F("last") + (times - 1) * numbers)
    for done in OpportunityText.write_all(after=last):
        say(f"OpportunityText up to {done:,}")
    recount()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _highest(model):
    return model._base_manager.aggregate(highest=Max("pk"))["highest"] or 0


def _copying(model, copy, apart, numbers):
    """This will give the statement that makes copy number `copy` of what a table held at first."""
    fields = [field for field in model._meta.concrete_fields if not field.generated]
    columns = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    moved = ", ".join(_moved(model, field, copy, apart, numbers) for field in fields)
    first = apart[TEXTS.get(model, model)]
    table, key = model._meta.db_table, connection.ops.quote_name(model._meta.pk.column)
    return f"INSERT INTO {table} ({columns}) SELECT {moved} FROM {table} WHERE {key} <= {first}"


def _moved(model, field, copy, apart, numbers):
    """This will give the expression of one column of a copy."""
    column = connection.ops.quote_name(field.column)
    if field.primary_key:
        return f"{column} + {copy * apart[TEXTS.get(model, model)]}"
    if field.related_model in apart:
        return f"{column} + {copy * apart[field.related_model]}"
    if field.column == "about_id":
        kinds = {ContentType.objects.get_for_model(one).pk: moves for one, moves in apart.items()}
        cases = " ".join(f"WHEN {kind} THEN {copy * moves}" for kind, moves in kinds.items())
        return f"{column} + CASE about_type_id {cases} ELSE 0 END"
    if model is User and field.name in ("username", "email"):
        return f"CASE WHEN {column} = '' THEN '' ELSE {column} || '.{copy * apart[User]}' END"
    if model is Opportunity and field.name == "number":
        number = f"CAST(substr({column}, 8) AS BIGINT) + {copy * numbers}"  # OP2026-000123
        padded = (
            f"lpad(({number})::text, greatest(6, length(({number})::text)), '0')"
            if connection.vendor == "postgresql"
            else f"printf('%06d', {number})"
        )
        return f"substr({column}, 1, 7) || {padded}"
    return column
