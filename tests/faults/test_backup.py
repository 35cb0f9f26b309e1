"""A backup is one moment of a system at work, files included; it comes back whole, or not at all."""

import hashlib
import json
import re
import stat
import threading
import time
import zipfile
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.db import connection

from crm.models import Photo, User
from crm.organisation import Organisation
from crm.pulse import WorkerPulse
from customers.models import Customer
from notices.files import File
from opportunities.models import Opportunity
from tests import factories as make
from tests.digest import nothing_changed
from tests.faults.boxes import another, here

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def box(tmp_path, settings):
    """This will have files lie where the processes of this box look for them."""
    keep_files_in(tmp_path, settings)
    return here(tmp_path)


def keep_files_in(folder, settings):
    settings.VAR_DIR, settings.MEDIA_ROOT = folder, folder / "media"
    kept = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": folder / "media/files"}}
    settings.STORAGES = {**settings.STORAGES, "files": kept}


def said(*command, **options):
    out = StringIO()
    call_command(*command, stdout=out, stderr=out, **options)
    return out.getvalue()


def pdf(text):
    return SimpleUploadedFile("offer.pdf", b"%PDF-1.4 " + text.encode())


def empty():
    call_command("flush", verbosity=0, interactive=False)
    assert not User.objects.exists()


def stored():
    """This will give what lies in the storage of files, {key: bytes}."""
    return {path.name: path.read_bytes() for path in (Path(settings.MEDIA_ROOT) / "files").iterdir()}


def everything():
    """This will give all rows as Django reads them: {table: rows}; but for who is signed in and which workers run."""
    models = [model for model in apps.get_models(include_auto_created=True) if not model._meta.proxy]
    kept = [model for model in models if model not in (Session, UserSession, WorkerPulse)]
    return {model._meta.db_table: list(model._base_manager.order_by("pk").values()) for model in kept}


def structure():
    """This will list the indexes, constraints and triggers of the database, as it says them itself."""
    asked = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY sql",
        "postgresql": """
            SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' UNION ALL
            SELECT conrelid::regclass || conname || pg_get_constraintdef(oid) FROM pg_constraint ORDER BY 1
        """,
    }
    with connection.cursor() as cursor:
        cursor.execute(asked[connection.vendor])
        # Of a list PostgreSQL says the types in another place, once it has read its own words.
        return [re.sub(r"::\w+( varying)?(\[\])?|[()]", "", row[0]) for row in cursor.fetchall()]


# ── There and back ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_comes_back_into_an_empty_system_is_what_was_there_to_the_last_sign(box, tmp_path, settings):
    owner = make.user("li.wei", name="李伟 𠮷", email="li@example.org")
    odd = 'Line\nand\ttab, "quotes", back\\slash \\N \r\v\f\b, % and 𠮷, ＡＢＣ'
    make.customer(owner, name="Qinghe\\N Water 清河水务")
    amount = Decimal("12345678901.05")
    signed = make.opportunity(owner, state="signed", name="校园网 Campus", amount=amount, description=odd)
    make.opportunity(owner, name="Nothing but a name", amount=None)
    make.follow_up(signed, content=odd)
    Photo.objects.create(user=owner, png=bytes(range(256)))
    File.add(signed, [pdf("one"), pdf("two")], by=owner)
    gone = make.customer(owner, name="Deleted")
    gone_key = gone.pk
    gone.delete_(by=owner)
    files, before, built = stored(), everything(), structure()
    assert len(files) == 2

    wrote = said("backup", to=tmp_path / "all.zip")
    assert wrote.startswith(f"Wrote {tmp_path}/all.zip: ")
    assert " 2 files;" in wrote
    assert stat.S_IMODE((tmp_path / "all.zip").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.zip", "media"], "nothing else is left over"
    sums = said("digest")
    assert wrote.split("Digest: ")[1].strip() == sums.splitlines()[-1].split()[0]

    empty()
    keep_files_in(tmp_path / "new", settings)
    told = said("restore", tmp_path / "all.zip")
    assert told.endswith("Everything holds.\n")
    assert everything() == before
    assert said("digest") == sums
    assert stored() == files
    assert structure() == built
    back = Opportunity.objects.get(pk=signed.pk)
    assert (back.description, back.amount) == (odd, amount)
    assert bytes(Photo.objects.get().png) == bytes(range(256))
    assert make.customer(owner).pk > gone_key, "a key in the recycle bin is no other's"
    assert Customer.objects.search("清河").get().name == "Qinghe\\N Water 清河水务"


def test_a_backup_made_while_others_write_is_one_moment_and_keeps_nobody_from_writing(box, tmp_path, settings):
    people = [make.user(f"rep{number}") for number in range(3)]
    make.department()
    done, ended = {person.username: [] for person in people}, threading.Event()

    def write(person):
        try:
            while not ended.is_set():
                number = len(done[person.username]) + 1
                made = make.opportunity(person, name=f"{person.username} {number}")
                File.add(made, [pdf(made.name)], by=person)
                if number > 1:  # the file of the one before goes, as the next has come
                    before = Opportunity.objects.get(name=f"{person.username} {number - 1}")
                    File.objects.about(before).get().delete_(by=person)
                done[person.username].append(time.monotonic())
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=[person]) for person in people]
    for thread in threads:
        thread.start()
    while min(map(len, done.values())) < 3:
        time.sleep(0.05)
    began = {name: len(times) for name, times in done.items()}
    process = box.begin("backup", "--to", tmp_path / "all.zip")
    told = process.communicate()[0]
    finished = {name: len(times) for name, times in done.items()}
    ended.set()
    for thread in threads:
        thread.join()
    assert process.returncode == 0, told
    assert "a record names this file" not in told
    assert all(finished[name] > began[name] for name in done), "they went on saving meanwhile"

    empty()
    keep_files_in(tmp_path / "new", settings)
    assert said("restore", tmp_path / "all.zip").endswith("Everything holds.\n")
    for name in done:
        there = Opportunity.objects.filter(owner__username=name).order_by("pk").values_list("name", flat=True)
        assert list(there) == [f"{name} {number}" for number in range(1, len(there) + 1)]
        assert began[name] <= len(there) <= finished[name] + 1
    files = {file.key: file for file in File.objects.all()}
    assert files
    assert stored().keys() == files.keys()
    for key, content in stored().items():
        assert hashlib.sha256(content).hexdigest() == files[key].sha256


def test_a_restore_that_is_killed_leaves_an_empty_system_and_begun_again_it_is_whole(box, tmp_path):
    owner = make.user("li.wei")
    File.add(make.opportunity(owner, state="active"), [pdf("one")], by=owner)
    before, files = everything(), stored()
    call_command("backup", to=tmp_path / "all.zip", stdout=StringIO())
    empty()
    for at in ("The backup is whole", "Comparing"):
        box.kill("restore", tmp_path / "all.zip", at=at)
        assert not User.objects.exists()
    assert said("restore", tmp_path / "all.zip").endswith("Everything holds.\n")
    assert everything() == before
    assert stored() == files


def test_a_restore_that_replaces_is_killed_and_what_was_there_is_there(box, tmp_path):
    call_command("backup", to=tmp_path / "empty.zip", stdout=StringIO())
    make.opportunity(state="active")
    with nothing_changed():
        box.kill("restore", tmp_path / "empty.zip", "--replace", at="Comparing")
    call_command("restore", tmp_path / "empty.zip", replace=True, stdout=StringIO())
    assert not User.objects.exists()


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_fifty_thousand_opportunities_come_back_into_an_empty_box_within_a_quarter_of_an_hour(box, tmp_path, capsys):
    call_command("seed", opportunities=50_000, stdout=StringIO())
    wrote = box.run("backup", "--to", tmp_path / "all.zip")
    with another(tmp_path / "new") as new:
        began = time.monotonic()
        told = new.run("restore", tmp_path / "all.zip")
        took = time.monotonic() - began
    assert told.endswith("Everything holds.\n")
    with capsys.disabled():
        print(f"\n{wrote}{told}")  # noqa: T201  the figures are what this is for
    assert took < 15 * 60


# ── What is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def backup(box, tmp_path):
    """This will give a backup of a small system, which then has one opportunity more."""
    make.opportunity(make.user("li.wei"), name="Campus network")
    call_command("backup", to=tmp_path / "all.zip", stdout=StringIO())
    make.opportunity(make.user("wang.fang"), name="City hall")
    return tmp_path / "all.zip"


def refused(*command, match, **options):
    with nothing_changed(), pytest.raises(CommandError, match=match):
        said(*command, **options)


def changed(backup, name, change):
    """This will give a copy of a backup one part of which is another; `change` is given its text."""
    other = backup.with_name("other.zip")
    with zipfile.ZipFile(backup) as old, zipfile.ZipFile(other, "w") as new:
        for entry in old.namelist():
            text = old.read(entry).decode()
            new.writestr(entry, change(text) if entry == name else text)
    return other


@pytest.mark.any_database
def test_a_backup_overwrites_nothing(backup):
    size = backup.stat().st_size
    refused("backup", to=backup, match="is there already. Choose another name")
    assert backup.stat().st_size == size
    said("backup", to=backup.with_name("another.zip"))


@pytest.mark.any_database
def test_a_backup_that_cannot_be_written_says_so(backup):
    refused("backup", to=backup / "within.zip", match="The backup could not be written")


@pytest.mark.any_database
def test_a_restore_into_a_system_that_holds_something_has_to_be_asked_for_by_name(backup):
    refused("restore", backup, match="This database holds people and their work")
    assert "Restored the backup" in said("restore", backup, replace=True)
    assert [one.name for one in Opportunity.objects.all()] == ["Campus network"]


@pytest.mark.any_database
def test_a_restore_beside_a_worker_is_refused(backup):
    WorkerPulse.beat("somebody")
    refused("restore", backup, replace=True, match="Pursuit is at work on this database")


@pytest.mark.any_database
def test_a_damaged_backup_is_refused_before_anything_is_touched(backup):
    other = changed(backup, "tables/opportunities_opportunity.txt", lambda text: text.replace("Campus", "Campos"))
    refused("restore", other, replace=True, match="The backup is damaged, at tables/opportunities_opportunity.txt")

    backup.write_bytes(backup.read_bytes()[:-100])
    refused("restore", backup, replace=True, match="is no backup of Pursuit, or not a whole one")
    refused("restore", backup.with_name("none.zip"), replace=True, match="cannot be read: No such file")


def test_a_backup_that_the_database_does_not_take_changes_nothing(backup):
    """It fits its manifest, and says that an opportunity has an owner who is not there."""

    def nobody(text):
        return text.replace("\tli.wei\t", "\t\\N\t")

    with zipfile.ZipFile(backup) as archive:
        text = nobody(archive.read("tables/crm_user.txt").decode())
    other = changed(backup, "tables/crm_user.txt", nobody)

    def admit(manifest):
        manifest = json.loads(manifest)
        manifest["tables"]["crm_user"]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        return json.dumps(manifest)

    twice = changed(other.rename(other.with_name("first.zip")), "manifest.json", admit)
    refused("restore", twice, replace=True, match="does not take the rows of crm_user. It said: ")


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda it: it["migrations"].append(["crm", "9999_of_the_future"]), "This backup is of a newer version"),
        (lambda it: it.update(form=2), "is a backup of a newer version"),
        (lambda it: it["migrations"].remove(["crm", "0018_bulk_row_field"]), "This database is of a newer version"),
    ],
)
def test_a_backup_of_another_version_is_refused(backup, change, match):
    def other(manifest):
        manifest = json.loads(manifest)
        change(manifest)
        return json.dumps(manifest)

    refused("restore", changed(backup, "manifest.json", other), replace=True, match=match)


# ── Files that are elsewhere ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.any_database
def test_a_backup_without_files_lists_them_and_a_restore_says_which_are_missing(box, tmp_path, settings):
    owner = make.user()
    File.add(make.opportunity(owner), [pdf("one")], by=owner)
    [key] = stored()
    call_command("backup", to=tmp_path / "all.zip", without_files=True, stdout=StringIO())
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert not [name for name in archive.namelist() if name.startswith("files/")]
        assert json.loads(archive.read("manifest.json"))["files"] == {f"files/{key}": File.objects.get().sha256}
    assert "is not in its storage" not in said("restore", tmp_path / "all.zip", replace=True)

    storages["files"].delete(key)
    out = StringIO()
    with pytest.raises(SystemExit):  # verify finds it too
        call_command("restore", tmp_path / "all.zip", replace=True, stdout=out, stderr=out)
    assert f"files/{key}: a record names this file, which is not in its storage" in out.getvalue()


@pytest.mark.any_database
def test_a_backup_says_which_files_are_lost_or_were_altered(box, tmp_path):
    owner = make.user()
    File.add(make.opportunity(owner), [pdf("one"), pdf("two"), pdf("three")], by=owner)
    lost, altered, _kept = sorted(stored())
    storages["files"].delete(lost)
    (tmp_path / "media" / "files" / altered).write_bytes(b"something else")
    told = said("backup", to=tmp_path / "all.zip")
    assert f"files/{lost}: a record names this file, which is gone or is not what was stored." in told
    assert f"files/{altered}: a record names" in told
    assert told.count("a record names this file") == 2


@pytest.mark.any_database
def test_the_settings_of_the_organisation_and_what_it_shipped_with_are_those_of_the_backup(backup):
    Organisation.objects.update(name="Another")
    said("restore", backup, replace=True)
    assert not Organisation.objects.filter(name="Another").exists()
