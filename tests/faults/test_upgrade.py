"""An upgrade that is broken off has changed nothing, and runs to its end when it is begun again."""

import json
import zipfile

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from crm.rows import digest_of, tables
from opportunities.models import Opportunity
from tests import factories as make
from tests.faults.boxes import another, inside

pytestmark = pytest.mark.django_db(transaction=True)

EARLIER = [("opportunities", "0008_list_sorts")]  # before stages were given times, and records their search texts
FIRST = [("crm", "0009_imports"), ("notices", "0003_files"), ("customers", "0003_similar")]
FIRST += [("opportunities", "0003_files"), ("approvals", "0002_initial")]

ADDED_TO = {"django_content_type", "auth_permission"}  # where Django notes which models there are


def state():
    """This will give what a database of an earlier version holds: its migrations, and its tables as it knows them."""
    loader = MigrationLoader(connection)
    earlier = loader.project_state(list(loader.applied_migrations)).apps
    return set(loader.applied_migrations), [(table, table.digest()) for table in tables(earlier)]


def go_back(box, to):
    for app, name in to:
        box.run("migrate", "--verbosity", "0", app, name)


def upgrades_although_killed(box, lines):
    with inside(box):
        before = state()
    for line in lines:
        box.kill("migrate", at=line)
        with inside(box):
            assert state() == before, f"killed at {line}"
    box.run("migrate")
    with inside(box):
        call_command("verify")
        done, held = before
        assert set(MigrationRecorder(connection).applied_migrations()) > done
        held = [(table, digest) for table, digest in held if table.name not in ADDED_TO]
        assert [(table, table.digest()) for table, _digest in held] == held


def test_an_upgrade_that_is_killed_has_changed_nothing_and_runs_to_its_end_when_begun_again(tmp_path):
    active = make.opportunity(state="active", name="Campus network")
    make.follow_up(active, content="Called the headmaster.")
    with another(tmp_path, like_here=True) as box:
        go_back(box, EARLIER)
        upgrades_although_killed(box, ["Applying opportunities.0013"])


@pytest.mark.torture
def test_an_upgrade_from_far_back_is_killed_at_every_second_migration(tmp_path):
    for ends in ("draft", "active", "signing", "signed", "terminated"):
        make.opportunity(state=ends)
    with another(tmp_path, like_here=True) as box:
        go_back(box, FIRST)
        with inside(box):
            executor = MigrationExecutor(connection)
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        lines = [f"Applying {migration.app_label}.{migration.name}..." for migration, _back in plan]
        assert len(lines) > 20
        upgrades_although_killed(box, lines[::2])


@pytest.mark.any_database
def test_a_backup_of_an_earlier_version_is_restored_and_brought_up_to_this_one(tmp_path):
    active = make.opportunity(state="active", name="Campus network")
    with another(tmp_path / "old", like_here=True) as box:
        go_back(box, EARLIER)
        with inside(box):
            _done, held = state()
            write_backup(tmp_path / "earlier.zip", held)
    with another(tmp_path) as box:
        assert "It is of an earlier version." in (told := box.run("restore", tmp_path / "earlier.zip"))
        assert told.endswith("Everything holds.\n")
        with inside(box):
            assert Opportunity.objects.get(pk=active.pk).name == "Campus network"
            assert [(table, table.digest()) for table, _digest in held if table.name not in ADDED_TO] == [
                one for one in held if one[0].name not in ADDED_TO
            ]


def write_backup(path, held):
    """This will write what the version that the database is of would have written."""
    manifest = {"form": 1, "made_at": "2026-01-01", "with_files": True, "files": {}, "tables": {}}
    manifest["migrations"] = list(MigrationRecorder(connection).applied_migrations())
    with zipfile.ZipFile(path, "w") as archive:
        for table, (rows, digest) in held:
            archive.writestr(f"tables/{table.name}.txt", b"".join(table.pieces()))
            about = {"key": table.key, "columns": table.columns, "last": table.last_key()}
            manifest["tables"][table.name] = about | {"rows": rows, "sha256": digest}
        manifest["rows"] = sum(rows for _table, (rows, _digest) in held)
        manifest["sha256"] = digest_of({table.name: digest for table, (_rows, digest) in held})
        archive.writestr("manifest.json", json.dumps(manifest))


def test_no_migration_does_without_a_transaction_which_would_be_half_done_when_it_is_broken_off():
    loader = MigrationLoader(None)
    assert {key[0] for key in loader.disk_migrations} >= {"crm", "notices", "approvals", "customers", "opportunities"}
    assert not [key for key, migration in loader.disk_migrations.items() if not migration.atomic]


def test_every_migration_can_be_taken_back():
    loader = MigrationLoader(None)
    ours = {"crm", "notices", "approvals", "customers", "opportunities"}
    operations = [one for key, it in loader.disk_migrations.items() if key[0] in ours for one in it.operations]
    assert len(operations) > 100
    assert not [one for one in operations if not one.reversible]
