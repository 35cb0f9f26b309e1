"""Where reports and exports read; how they do so beside a real replica is tried in tests/scale."""

import pytest
from django.db import connection

from crm.models import User
from crm.replica import Router, reading
from tests import factories as make

pytestmark = pytest.mark.django_db


def test_without_a_replica_everything_is_read_and_written_in_the_database():
    with reading():
        person = make.user()
        assert (person._state.db, User.objects.get().pk) == (connection.alias, person.pk)


def test_what_comes_from_a_replica_is_written_to_the_database():
    assert Router().db_for_write(User, instance=User()) == "default"
    assert not Router().allow_migrate("replica", "crm")
    assert Router().allow_migrate("default", "crm")
