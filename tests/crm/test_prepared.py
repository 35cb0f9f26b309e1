"""Questions that are written once, and asked for other keys each time."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier

import pytest
from django.db import connection, transaction
from django.db.models import Count, F, Value, Window
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.models import Department, User
from crm.prepared import prepared
from tests import factories as make

pytestmark = pytest.mark.django_db


@prepared
def people_in(*departments):
    return User.objects.filter(department__in=departments).select_related("department").order_by("username")


@prepared
def names_in(department, *, letters):
    return User.objects.filter(department=department, username__startswith=letters).values_list("username", flat=True)


@pytest.fixture
def people():
    return [make.user(name, at=at) for name, at in [("chen", "hebei"), ("li", "baoding"), ("wang", "hebei")]]


def key(department):
    return Department.objects.get(key=department).pk


def test_it_gives_the_records_of_the_keys_with_what_was_read_along(people, django_assert_num_queries):
    hebei, baoding = key("hebei"), key("baoding")
    with django_assert_num_queries(3):
        assert [one.username for one in people_in(hebei)] == ["chen", "wang"]
        assert [one.username for one in people_in(baoding)] == ["li"]
        found = people_in(baoding, hebei)
        assert [(one.username, one.department.key) for one in found] == [
            ("chen", "hebei"),
            ("li", "baoding"),
            ("wang", "hebei"),
        ]


def test_it_is_written_once_and_asked_anew_each_time(people):
    asked = []

    @prepared
    def in_(department):
        asked.append(department)
        return User.objects.filter(department=department).order_by("username")

    hebei = key("hebei")
    assert [one.username for one in in_(hebei)] == ["chen", "wang"]
    written = len(asked)
    User.objects.filter(username="wang").update(department=key("baoding"))
    with CaptureQueriesContext(connection) as said:
        assert [one.username for one in in_(hebei)] == ["chen"]
        assert [one.username for one in in_(key("baoding"))] == ["li", "wang"]
    assert len(asked) == written
    assert hebei not in asked
    assert str(hebei) in said[0]["sql"]


def test_what_it_is_given_by_name_is_part_of_the_question(people):
    hebei = key("hebei")
    assert [names_in(hebei, letters=letters) for letters in ("c", "w", "c", "x")] == [["chen"], ["wang"], ["chen"], []]


def test_it_gives_rows_of_columns_and_of_two_tables_as_a_queryset_does(people):
    @prepared
    def counted(department):
        people = User.objects.filter(department=department).annotate(what=Value("person"), name_=F("username"))
        itself = Department.objects.filter(pk=department).annotate(what=Value("department"), name_=F("key"))
        rows = people.order_by().values_list("what", "name_").union(itself.order_by().values_list("what", "name_"))
        return rows.order_by("what", "name_")

    assert counted(key("hebei")) == [("department", "hebei"), ("person", "chen"), ("person", "wang")]


def test_it_gives_the_first_with_how_many_there_are(people):
    @prepared
    def first(department):
        return User.objects.filter(department=department).order_by("username").annotate(of=Window(Count("*")))[:1]

    assert [(one.username, one.of) for one in first(key("hebei"))] == [("chen", 2)]


def test_it_reads_along_what_takes_further_questions(people, django_assert_num_queries):
    @prepared
    def with_roles(department):
        return User.objects.filter(department=department).prefetch_related("roles")

    hebei = key("hebei")
    for _time in range(2):
        with django_assert_num_queries(2):
            assert {one.username: [role.key for role in one.roles.all()] for one in with_roles(hebei)} == {
                "chen": ["rep"],
                "wang": ["rep"],
            }


@pytest.mark.parametrize("key", [0, 2**31, 2**63 - 1])
def test_a_key_of_nobody_finds_nothing(people, key):
    assert people_in(key) == []


def test_what_was_first_asked_in_a_transaction_that_came_to_nothing_is_asked_again(people):
    @prepared
    def in_(department):
        return User.objects.filter(department=department)

    with suppress(ZeroDivisionError), transaction.atomic():
        assert len(in_(key("hebei"))) == 2
        1 / 0  # noqa: B018  the transaction ends here
    assert len(in_(key("hebei"))) == 2


@pytest.mark.django_db(transaction=True)
def test_it_is_asked_of_a_session_that_began_anew(people):
    assert len(people_in(key("hebei"))) == 2
    connection.close()
    assert len(people_in(key("hebei"))) == 2


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(lambda one: User.objects.all(), id="leaves its key out"),
        pytest.param(lambda one, other: User.objects.filter(pk=one), id="leaves one of two out"),
        pytest.param(lambda one: User.objects.filter(pk=one + 1), id="makes another of it"),
        pytest.param(lambda one: User.objects.filter(pk=one, department=one % 7), id="makes another beside it"),
        pytest.param(lambda one: User.objects.filter(pk=one)[: one % 7 + 1], id="says another thing for it"),
        pytest.param(lambda one: User.objects.filter(pk=one, last_login__lt=timezone.now()), id="asks for the time"),
    ],
)
def test_what_depends_on_more_than_where_a_key_stands_is_refused_before_it_is_asked(build, django_assert_num_queries):
    keys = [1] * build.__code__.co_argcount
    with django_assert_num_queries(0), pytest.raises(TypeError, match="keys"):
        prepared(build)(*keys)


@pytest.mark.django_db(transaction=True)
def test_each_thread_asks_over_its_own_connection(people):
    hebei, together = key("hebei"), Barrier(4, timeout=60)

    def ask(_number):
        together.wait()
        try:
            return [[one.username for one in people_in(hebei)] for _time in range(5)], connection.connection
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(ask, range(4))]
    assert [rows for rows, _session in answers] == [[["chen", "wang"]] * 5] * 4
    assert len({id(session) for _rows, session in answers}) == 4
