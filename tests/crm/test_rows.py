"""The text of a row, of which backups are made, is the same on both databases: that of PostgreSQL's COPY."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as some

from crm.models import Photo, User
from crm.once import Once
from crm.rows import Table, json_said, tables
from opportunities.models import Opportunity
from tests import factories as make

pytestmark = pytest.mark.django_db

EIGHT = datetime(2026, 3, 1, 8, tzinfo=UTC)


def said(name, by, **columns):
    return b"".join(Table(name, by, columns).pieces()).decode()


def test_texts_yes_and_no_json_and_moments():
    make.user("a", notifications={"bb": "清\n", "c": [1, None, True], "a": {}}, last_login=EIGHT)
    make.user("b\t\\N\n", is_active=False, last_login=EIGHT.replace(microsecond=120_000))
    columns = {"username": "text", "is_active": "yes", "notifications": "json", "last_login": "moment"}
    assert said("crm_user", "id", **columns) == (
        'a\tt\t{"a": {}, "c": [1, null, true], "bb": "清\\\\n"}\t2026-03-01 08:00:00\n'
        "b\\t\\\\N\\n\tf\t{}\t2026-03-01 08:00:00.12\n"
    )


def test_amounts_days_keys_and_pictures():
    owner = make.user()
    for amount in ("0.10", "12345678901.05", "-3", None):
        made = make.opportunity(owner, amount=None)
        Opportunity.objects.filter(pk=made.pk).update(amount=amount and Decimal(amount), expected_close_on="2026-02-28")
    money = {"amount": "decimal 2", "expected_close_on": "plain"}
    assert said("opportunities_opportunity", "id", **money) == (
        "0.10\t2026-02-28\n12345678901.05\t2026-02-28\n-3.00\t2026-02-28\n\\N\t2026-02-28\n"
    )
    Once.objects.create(by=owner, key=UUID("00112233-4455-6677-8899-aabbccddeeff"))
    assert said("crm_once", "id", key="uuid") == "00112233-4455-6677-8899-aabbccddeeff\n"
    Photo.objects.create(user=owner, png=b"\x00\\\xff")
    assert said("crm_photo", "user_id", png="bytes") == "\\\\x005cff\n"


def test_rows_are_in_the_order_of_their_keys_which_is_that_of_bytes():
    for name in ("b", "a", "Ä", "_", "Z"):
        make.user(name)
    assert said("crm_user", "username", username="text") == "Z\n_\na\nb\nÄ\n"


def test_every_column_that_is_stored_is_said_and_who_is_signed_in_is_not():
    said_of = {table.name: table.columns for table in tables()}
    assert {"crm_user", "crm_user_roles", "opportunities_opportunitytext", "django_content_type"} <= said_of.keys()
    assert not {"django_session", "usersessions_usersession", "crm_workerpulse", "cache_entries"} & said_of.keys()
    with connection.cursor() as cursor:
        for model in (User, Opportunity, Once, Photo):
            there = {one.name for one in connection.introspection.get_table_description(cursor, model._meta.db_table)}
            assert there - said_of[model._meta.db_table].keys() <= {"list_key"}, "which the database works out"


numbers = some.integers(-(10**18), 10**18) | some.floats(1e-30, 1e30)
texts = some.text(some.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
anything = some.recursive(
    some.none() | some.booleans() | numbers | texts,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="PostgreSQL is asked what it says")
def test_json_is_said_as_postgresql_does_it():
    @given(anything)
    def holds(value):
        text = json.dumps(value)
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s::jsonb::text", [text])
            assert json_said(text) == cursor.fetchone()[0]

    holds()
