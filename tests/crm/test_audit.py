"""The audit: what stands in it, that nobody changes or deletes it by any door, and that administrators read it."""

import ast
import csv
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from crm import auditing
from crm.auditing import KINDS
from crm.models import Audit, User
from tests import factories as make

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.django_db


@pytest.fixture
def administrator(client):
    person = make.user("root", "administrator", at="head-office", language="en", time_zone="UTC")
    client.force_login(person)
    return person


def noted(**asked):
    return [row.data for row in Audit.objects.filter(kind="refused", **asked).order_by("pk")]


# ── Nobody changes it ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE crm_audit SET kind = 'other'",
        "UPDATE crm_audit SET by_id = NULL",
        "DELETE FROM crm_audit",
        "DELETE FROM crm_audit WHERE id = (SELECT max(id) FROM crm_audit)",
    ],
)
def test_the_database_refuses_to_change_or_delete_a_row(statement):
    entry = Audit.note("exported", by=make.user(), rows=12)
    before = list(Audit.objects.values())
    with pytest.raises(IntegrityError, match="never changed and never deleted"), transaction.atomic():
        connection.cursor().execute(statement)
    assert list(Audit.objects.values()) == before

    Audit.note("imported")
    assert Audit.objects.filter(pk__gt=entry.pk).count() == 1, "it goes on growing"


def test_no_method_of_a_row_or_of_many_changes_or_deletes_one():
    entry = Audit.note("exported", rows=12)
    entry.kind = "other"
    for change in (entry.save, entry.delete):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()
    rows = Audit.objects.filter(pk=entry.pk)
    for change in (lambda: rows.update(kind="other"), rows.delete, lambda: rows.bulk_update([entry], ["kind"])):
        with pytest.raises(TypeError), transaction.atomic():
            change()
    assert Audit.objects.get(pk=entry.pk).kind == "exported"


@pytest.mark.case(60)
@pytest.mark.parametrize("superuser", [False, True])
def test_no_page_changes_or_deletes_one_not_even_for_a_superuser(client, administrator, superuser):
    User.objects.filter(pk=administrator.pk).update(is_superuser=superuser)
    entry = Audit.note("exported", by=administrator, rows=12)
    before = list(Audit.objects.values())
    one, many = f"/admin/crm/audit/{entry.pk}", "/admin/crm/audit/"
    form = {"kind": "other", "by": "", "at_0": "2026-01-01", "at_1": "00:00", "address": "", "data": "{}"}

    assert client.get(f"{one}/change/").status_code == 200
    assert client.get(many).status_code == 200
    assert client.post(f"{one}/change/", form).status_code == 403
    assert client.post(f"{many}add/", form).status_code == 403
    assert client.post(f"{one}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [entry.pk], "select_across": "1", "post": "yes"}
    client.post(many, chosen)
    client.post(many, {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": entry.pk, "_save": "Save"} | form)
    client.post("/audit/", {"delete": entry.pk})

    assert list(Audit.objects.exclude(kind="refused").values()) == before
    assert "delete_selected" not in client.get(many).content.decode()


def test_who_stands_in_it_is_not_deleted():
    person = make.user()
    Audit.note("sign_in", by=person)
    with pytest.raises(IntegrityError), transaction.atomic():
        person.delete()
    assert User.objects.filter(pk=person.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_who_empties_a_whole_database_empties_this_as_well_and_it_is_kept_again_afterwards():
    Audit.note("exported")
    call_command("flush", interactive=False, verbosity=0)
    assert not Audit.objects.exists()
    Audit.note("exported")
    with pytest.raises(IntegrityError):
        connection.cursor().execute("DELETE FROM crm_audit")
    assert Audit.objects.count() == 1


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.case(60)
def test_what_somebody_may_not_do_is_noted_with_who_what_and_where_from(client):
    rep = make.user(None, "rep")
    client.force_login(rep)
    answer = client.get("/people/?canary=1")
    assert answer.status_code == 403
    entry = Audit.objects.get(kind="refused")
    assert (entry.by, entry.address) == (rep, "127.0.0.1")
    number = answer.headers["X-Request-ID"]
    assert entry.data == {"status": 403, "method": "GET", "path": "/people/", "request": number}


def test_what_somebody_may_do_is_not_noted(client, administrator):
    for address in ("/people/", "/", "/audit/", "/static/icons/none.svg", "/nowhere/", "/favicon.ico"):
        client.get(address)
    assert noted() == []


def test_a_record_that_somebody_may_not_see_is_noted_as_one_that_is_not_there(client):
    hidden = make.opportunity(state="active")
    stranger = make.user(None, "rep", at="baoding")
    client.force_login(stranger)
    for pk in (hidden.pk, 99_999_999):
        assert client.get(f"/opportunities/{pk}/").status_code == 404
    assert [(row["status"], row["path"]) for row in noted(by=stranger)] == [
        (404, f"/opportunities/{hidden.pk}/"),
        (404, "/opportunities/99999999/"),
    ]

    client.force_login(hidden.owner)
    assert client.get(f"/opportunities/{hidden.pk}/").status_code == 200
    assert noted(by=hidden.owner) == []


def test_a_form_that_is_not_ours_is_noted():
    rep = make.user(None, "rep")
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(rep)
    assert strict.post("/appearance/", {"theme": "dark"}).status_code == 403
    assert [(row["status"], row["path"]) for row in noted(by=rep)] == [(403, "/appearance/")]


def test_too_many_tries_to_sign_in_are_noted_without_what_was_typed(client):
    make.user("chen")
    for _try in range(6):
        client.post("/accounts/login/", {"login": "chen", "password": "canary-password"})
    assert Audit.objects.filter(kind="sign_in_failed").count() == 5
    assert [(row["status"], row["path"]) for row in noted(by=None)] == [(429, "/accounts/login/")]
    assert "canary" not in str(list(Audit.objects.values()))


def test_nobody_fills_the_audit_with_refusals(client):
    first, second = make.user(None, "rep"), make.user(None, "rep")
    client.force_login(first)
    for _time in range(auditing.MOST + 5):
        assert client.get("/people/").status_code == 403
    rows = noted(by=first)
    assert len(rows) == auditing.MOST == 20
    assert [row.get("further", "") for row in rows] == [""] * 19 + ["not noted for the rest of this hour"]

    client.force_login(second)
    client.get("/people/")
    assert len(noted(by=second)) == 1, "another person is noted still"


def test_strangers_from_many_addresses_do_not_either(settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    strict = Client(enforce_csrf_checks=True)
    for number in range(auditing.MOST_OF_STRANGERS + 10):
        from_there = {"x-forwarded-for": f"2001:db8::{number:x}"}
        assert strict.post("/accounts/login/", {"login": "x"}, headers=from_there).status_code == 403
    assert len(noted()) == auditing.MOST_OF_STRANGERS == 200


def test_a_refusal_is_answered_although_the_database_takes_nothing(client, settings):
    client.force_login(make.user(None, "rep"))
    client.get("/")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE crm_audit RENAME TO elsewhere")
    with transaction.atomic():
        assert client.get("/people/").status_code == 403
        transaction.set_rollback(True)


# ── Administrators read it ───────────────────────────────────────────────────────────────────────────────────────────


def rows(answer):
    return [(entry.kind, entry.by and entry.by.username) for entry in answer.context["entries"]]


def test_administrators_read_it_the_latest_first_in_words(client, administrator):
    rep = make.user("chen", name="Chen Yu")
    Audit.note("exported", by=rep, address="203.0.113.7", list="opportunities", rows=12, columns=["name"])
    Audit.note("sign_in_failed", address="2001:db8::7")
    answer = client.get("/audit/")
    page = answer.content.decode()
    assert rows(answer)[:2] == [("sign_in_failed", None), ("exported", "chen")]
    for said in ("Failed to sign in", "Exported", "Chen Yu", "203.0.113.7", "2001:db8::7"):
        assert said in page
    assert "list: opportunities; rows: 12; columns: [&quot;name&quot;]" in page


@pytest.mark.parametrize("role", ["rep", "gm", "opportunity_manager", "sales_support"])
def test_nobody_else_reads_it(client, role):
    client.force_login(make.user(None, role))
    for address in ("/audit/", "/audit/?export=csv"):
        assert client.get(address).status_code == 403
    assert not Audit.objects.filter(kind="exported").exists()


def test_it_is_narrowed_by_kind_person_and_days(client, administrator):
    rep = make.user("chen", name="Chen Yu")
    days = {number: timezone.now().replace(hour=12) - timedelta(days=number) for number in range(4)}
    for number, at in days.items():
        Audit.objects.create(kind="exported" if number % 2 else "imported", by=rep, at=at, data={"days": number})
    Audit.objects.create(kind="exported", by=administrator, at=days[1])

    def found(**asked):
        return [entry.data.get("days", "other") for entry in client.get("/audit/", asked).context["entries"]]

    assert found(q="Chen") == found(q="chen") == [3, 2, 1, 0]
    assert found(kind="exported", q="chen") == [3, 1]
    assert found(kind="imported") == [2, 0]
    assert found(q="chen", since=days[2].date()) == [2, 1, 0]
    assert found(q="chen", until=days[2].date()) == [3, 2]
    assert found(q="chen", since=days[2].date(), until=days[1].date()) == [2, 1]
    assert found(q="nobody") == []


@pytest.mark.parametrize(
    "asked",
    [
        "kind=nothing", "since=x", "until=9999-12-31", "since=0001-01-01", "since=2026-02-30", "before=x", "before=-1",
        "before=" + 30 * "9", "q=%00", "q=%25",
    ],
)  # fmt: skip
def test_what_it_is_asked_wrongly_is_no_error(client, administrator, asked):
    Audit.note("exported", by=administrator)
    assert client.get(f"/audit/?{asked}").status_code == 200


def test_older_entries_follow_page_by_page_at_the_same_cost(client, administrator, django_assert_num_queries):
    Audit.objects.bulk_create(Audit(kind="exported", by=administrator, data={"n": number}) for number in range(120))
    seen, address = [], "/audit/?kind=exported"
    while address:
        answer = client.get(address)
        seen += [entry.data["n"] for entry in answer.context["entries"]]
        older = answer.context["older"]
        address = older and f"/audit/?kind=exported&before={older}"
    assert seen == list(range(119, -1, -1))


def test_whatever_is_noted_during_a_request_names_the_address_that_it_came_from(client, administrator, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    client.get("/people/?export=csv", headers={"x-forwarded-for": "203.0.113.7"})
    assert Audit.objects.get(kind="exported").address == "203.0.113.7"


def test_it_goes_out_as_a_file_and_that_is_noted(client, administrator):
    Audit.note("rights_changed", by=administrator, address="203.0.113.7", user="=1+1")
    answer = client.get("/audit/?export=csv&kind=rights_changed")
    found = list(csv.reader(StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))
    assert found[0] == ["When", "What", "Who", "User name", "Address", "Details"]
    assert found[1][1:] == ["Rights changed", str(administrator), "root", "203.0.113.7", "user: =1+1"]
    assert len(found) == 2
    entry = Audit.objects.get(kind="exported")
    assert (entry.by, entry.data["list"], entry.data["query"]) == (administrator, "audit", "kind=rights_changed")
    assert entry.data["rows"] == 1


# ── In words ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def kinds_written():
    """This will yield each kind that the source notes, as it stands there."""
    for app in ("crm", "notices", "approvals", "customers", "opportunities"):
        for path in (ROOT / app).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text())):
                if isinstance(call, ast.Call):
                    yield from kinds_of(call)


# Where a call says a kind: {the function: the place of it among what it is given}
SAY_KINDS = {"Audit.note": 0, "_note": 0, "_tell": 1}


def kinds_of(call):
    name = ast.unparse(call.func)
    named = [word.value for word in call.keywords if word.arg == "kind"] if name == "Audit" else []
    given = call.args[SAY_KINDS[name] :][:1] if name in SAY_KINDS else named
    return [one.value for one in given if isinstance(one, ast.Constant)]


def test_each_kind_has_words():
    written = set(kinds_written())
    assert {"sign_in", "refused", "exported", "rights_changed", "custom_field_changed", "handed_over"} <= written
    assert written - KINDS.keys() == set()
    assert KINDS.keys() - written == {"earlier_report_told", "two_step_failed"}, "which are said by a name"
