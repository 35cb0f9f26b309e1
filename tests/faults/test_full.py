"""A disk without room: what needs room is refused, the rest goes on, nothing is half, and with room all goes on."""

import os
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client

from crm.importing import ImportRun
from notices.files import File
from opportunities.models import Opportunity
from tests import factories as make
from tests.crm.live import until
from tests.digest import nothing_changed
from tests.faults.driver import PATIENCE, Company, Load, Person, elsewhere, everything_holds, settled
from tests.faults.servers import Cluster, needs_server_programs, on_postgresql, on_sqlite
from tests.importing import checked, signed_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.torture]


class Disk:
    """A disk of a few megabytes, which can be filled up and made larger."""

    def __init__(self, folder):
        self.folder = folder

    def fill(self, leave=0):
        """This will leave so many bytes of room."""
        (self.folder / "ballast").touch()
        room = os.statvfs(self.folder)
        with (self.folder / "ballast").open("ab") as ballast, suppress(OSError):
            ballast.write(b"x" * max(0, room.f_bavail * room.f_frsize - leave))

    def free(self):
        (self.folder / "ballast").unlink()


@pytest.fixture
def disk():
    """This will give a disk of 40 megabytes, where others may go too: PostgreSQL does not run as root."""
    folder = Path(tempfile.mkdtemp(prefix="pursuit-disk-"))
    folder.chmod(0o755)
    mounted = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", folder]
    if subprocess.run(mounted, check=False, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("NOT TESTED: no disk can be mounted here, which is root's to do")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


@contextmanager
def moved_to(disk):
    """This will have the database lie on that disk."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(disk.folder / "pursuit.sqlite3")])
    with elsewhere(NAME=disk.folder / "pursuit.sqlite3"):
        yield


@on_sqlite
def test_a_full_disk_under_the_database_is_told_and_with_room_it_goes_on_by_itself(product, disk):
    with moved_to(disk):
        company = Company(product.port, 6)
        product.begin()
        with Load(product, company, readers=2) as load:
            load.until_more(5)
            load.strike(disk.fill)
            until(lambda: company.ledger.answered[503] > 10, PATIENCE)
            until(lambda: product.health() == 503, PATIENCE)
            disk.free()
            load.until_more()
        product.is_well()
        assert set(company.ledger.pages) <= {200, 404, 503}, "404: for who decides, a draft that could not be reported"
        assert company.ledger.pages[200] > 0
        settled(company.ledger)


@on_sqlite
def test_an_import_that_meets_a_full_disk_comes_in_whole_once_there_is_room(product, disk):
    with moved_to(disk):
        rep = make.user()
        client = signed_in(rep)
        rows = "".join(f"R{number},Line {number},{number + 1}\n" for number in range(5_000))
        run = checked(client, "opportunities", "reference,name,amount\n" + rows)
        disk.fill(leave=500_000)
        client.post(f"/imports/{run.pk}/run/")
        product.worker()
        said = product.begun[-1]
        until(lambda: "full" in said.said, PATIENCE)
        assert Opportunity.objects.count() < 5_000
        disk.free()
        until(lambda: ImportRun.objects.get(pk=run.pk).state == "done", 2 * PATIENCE)
        assert ImportRun.objects.get(pk=run.pk).new == 5_000
        assert Opportunity.objects.count() == 5_000
        everything_holds()


@on_postgresql
@needs_server_programs
def test_a_full_disk_under_the_server_is_told_and_with_room_it_goes_on(product, disk):
    subprocess.run(["mount", "-o", "remount,size=400m", disk.folder], check=True)
    with Cluster(disk.folder) as cluster, elsewhere(**cluster.place):
        cluster.migrate()
        company = Company(product.port, 6)
        product.begin()
        with Load(product, company, readers=2) as load:
            load.until_more(5)
            load.strike(disk.fill)
            until(lambda: company.ledger.answered[503] > 10, PATIENCE)
            connection.close()
            disk.free()
            with suppress(subprocess.CalledProcessError):
                cluster.start()  # where it could not even write that it goes on, it ended
            load.until_more()
        product.is_well()
        settled(company.ledger)


# ── The disk of files ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def files_on(disk, settings):
    settings.MEDIA_ROOT = disk.folder / "media"
    kept = settings.STORAGES["files"] | {"OPTIONS": {"location": settings.MEDIA_ROOT / "files"}}
    settings.STORAGES = settings.STORAGES | {"files": kept}
    (settings.MEDIA_ROOT / "files").mkdir(parents=True)
    return disk


def stored(disk):
    return [path for path in (disk.folder / "media").rglob("*") if path.is_file()]


def test_a_file_for_which_there_is_no_room_is_refused_in_words_and_leaves_nothing(files_on):
    rep = make.user(language="en")
    opportunity = make.opportunity(rep)
    client = Client(raise_request_exception=False)
    client.force_login(rep)
    address = f"/files/opportunity/{opportunity.pk}/"

    def send():
        return client.post(address, {"files": [SimpleUploadedFile("offer.txt", b"x" * 900_000)]})

    files_on.fill(leave=500_000)
    with nothing_changed():
        answer = send()
    assert answer.status_code == 409
    assert "There is no room for files at the moment" in answer.content.decode()
    assert stored(files_on) == []
    files_on.free()
    assert send().status_code == 302
    assert [file.size for file in File.objects.all()] == [900_000]
    assert len(stored(files_on)) == 1


def test_an_import_for_which_there_is_no_room_is_refused_in_words_and_leaves_nothing(files_on):
    rep = make.user(language="en")
    client = Client(raise_request_exception=False)
    client.force_login(rep)
    content = ("name,amount\n" + "".join(f"Line {number},{number}\n" for number in range(60_000))).encode()

    def send():
        return client.post("/imports/", {"kind": "opportunities", "file": SimpleUploadedFile("lines.csv", content)})

    for leave in (300_000, len(content) + 100_000):  # for the file; for what is read of it
        files_on.fill(leave=leave)
        with nothing_changed():
            answer = send()
        assert answer.status_code == 409, leave
        assert "There is no room for files at the moment" in answer.content.decode()
        assert stored(files_on) == []
        files_on.free()
    assert send().status_code == 302
    assert ImportRun.objects.get().rows == 60_000


def test_without_room_for_what_comes_in_an_upload_is_refused_and_pages_go_on(product, disk):
    """What is larger than a little is written to a file of the system's while it comes in."""
    owner = make.user(language="en")
    opportunity = make.opportunity(owner)
    rep = Person(owner, product.port)
    product.surroundings["TMPDIR"] = str(disk.folder)
    product.begin()
    path, offer = f"/files/opportunity/{opportunity.pk}/", ("offer.txt", "x" * 15_000_000)
    disk.fill(leave=500_000)
    with nothing_changed():
        answer = rep.post(path, {}, offer)
    assert answer.status == 503
    assert rep.get(f"/opportunities/{opportunity.pk}/").status == 200
    assert [path.name for path in disk.folder.iterdir() if path.is_file()] == ["ballast"]
    disk.free()
    assert rep.post(path, {}, offer).status == 302
