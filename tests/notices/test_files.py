"""
Files on records: what is taken and under what name, who brings and who reads them, and that nobody reads one whose
record they do not see; in a folder of ours and in an S3-compatible store alike.
"""

from datetime import timedelta

import boto3
import pytest
import time_machine
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from crm import files
from crm.settings import files_storage
from crm.verbs import NotAllowed, Refused
from notices import wording
from notices.files import File
from notices.history import Event
from notices.models import Announcement
from notices.recycle import Recycled
from notices.verification import differences
from notices.work import sweep_files
from tests import factories as make
from tests.asserting import not_there
from tests.digest import nothing_changed
from tests.opportunities.acts import STATES, address, in_state

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

PDF = b"%PDF-1.4\nAn offer."
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.fixture(scope="session")
def s3():
    """This will give the address of an S3-compatible server of the tests' own."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def store(request, settings, tmp_path):
    """This will give the storage of files, empty, of each kind."""
    if request.param == "folder":
        kept = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    else:
        server = request.getfixturevalue("s3")
        kept = files_storage(f"s3://key:secret@{server}/pursuit?secure=0")
        client = boto3.client(
            "s3", endpoint_url=f"http://{server}", aws_access_key_id="key", aws_secret_access_key="secret",
            region_name="us-east-1",
        )  # fmt: skip
        client.create_bucket(Bucket="pursuit")
        for one in client.list_objects_v2(Bucket="pursuit").get("Contents", []):
            client.delete_object(Bucket="pursuit", Key=one["Key"])
    settings.STORAGES = {**settings.STORAGES, "files": kept}
    return storages["files"]


@pytest.fixture
def folder(settings, tmp_path):
    """This will give the storage of files in a folder, for what asks nothing of the store."""
    kept = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = {**settings.STORAGES, "files": kept}
    return storages["files"]


@pytest.fixture
def opportunity(client):
    made = in_state("active")
    client.force_login(made.owner)
    return made


def brought(name="offer.pdf", content=PDF):
    return SimpleUploadedFile(name, content)


def kind_of(record):
    return record._meta.model_name


def at(record):
    return reverse("files_of", args=[kind_of(record), record.pk])


def bring(client, record, *uploads, **headers):
    return client.post(at(record), {"files": list(uploads)}, headers=headers)


def stored(store):
    return store.listdir("")[1]


def read(answer):
    return b"".join(answer.streaming_content)


# Bringing and reading them


@pytest.mark.case(46)
def test_several_are_kept_at_once_in_one_entry_and_given_out_as_they_were(client, opportunity, store):
    answer = bring(client, opportunity, brought("报价 单.pdf"), brought("plan.png", PNG))

    assert answer["Location"] == at(opportunity)
    plan, offer = File.objects.about(opportunity)
    assert [(one.name, one.kind, one.size, one.by) for one in (plan, offer)] == [
        ("plan.png", "image/png", len(PNG), opportunity.owner),
        ("报价 单.pdf", "application/pdf", len(PDF), opportunity.owner),
    ]
    assert sorted(stored(store)) == sorted([plan.key, offer.key])
    event = Event.objects.about(opportunity).first()
    assert wording.sentence(event, opportunity.owner) == "You added 报价 单.pdf, plan.png."
    given_out = client.get(f"/files/{offer.pk}/")
    assert read(given_out) == PDF
    assert given_out["Content-Disposition"] == "attachment; filename*=utf-8''%E6%8A%A5%E4%BB%B7%20%E5%8D%95.pdf"
    assert list(differences()) == []


@pytest.mark.case(46)
def test_what_a_browser_shows_safely_is_shown_and_nothing_else(client, opportunity, folder):
    bring(client, opportunity, brought("plan.png", PNG), brought("offer.pdf"), brought("list.csv", b"a,b"))
    table, offer, plan = File.objects.about(opportunity)

    shown = client.get(f"/files/{plan.pk}/preview/")
    assert (shown["Content-Type"], shown["Content-Disposition"]) == ("image/png", 'inline; filename="plan.png"')
    assert shown["Content-Security-Policy"].endswith("; sandbox")
    viewed = client.get(f"/files/{offer.pk}/preview/")
    assert viewed["Content-Type"] == "application/pdf"
    saved = client.get(f"/files/{table.pk}/preview/")
    assert saved["Content-Type"] == "application/octet-stream"
    assert saved["Content-Disposition"] == 'attachment; filename="list.csv"'
    for one in (shown, saved):
        assert (one["X-Content-Type-Options"], one["Cache-Control"]) == ("nosniff", "no-store")
    assert [read(one) for one in (shown, viewed, saved)] == [PNG, PDF, b"a,b"]


def test_the_records_page_asks_for_them_by_itself_and_costs_nothing_for_them(client, opportunity, folder):
    bring(client, opportunity, brought())
    page = client.get(address(opportunity)).content.decode()

    assert f'hx-get="{at(opportunity)}" hx-trigger="load, again' in page
    section = client.get(at(opportunity), headers={"HX-Request": "true"}).content.decode()
    assert section.strip().startswith("<section") and "offer.pdf" in section and "Preview" in section


def test_htmx_is_answered_with_the_section_and_what_was_refused(client, opportunity, folder):
    answer = bring(client, opportunity, brought(), brought("virus.exe", b"MZ"), **{"HX-Request": "true"})

    html = answer.content.decode()
    assert "<b>virus.exe</b> Files of this type are not taken." in html and "offer.pdf" in html
    assert [one.name for one in File.objects.about(opportunity)] == ["offer.pdf"]


def test_htmx_shows_why_all_of_them_were_refused(client, opportunity, folder):
    many = [brought(f"{number}.pdf") for number in range(21)]
    with nothing_changed():
        answer = bring(client, opportunity, *many, **{"HX-Request": "true"})
        plain = bring(client, opportunity, *many)

    assert (answer.status_code, plain.status_code) == (200, 409)
    assert "At most 20 files at once." in answer.content.decode()
    assert not File.objects.exists()


def test_they_cost_the_same_for_one_and_for_thirty(client, opportunity, folder, django_assert_max_num_queries):
    for count in (1, 15, 15):
        bring(client, opportunity, *(brought(f"{number}.pdf") for number in range(count)))
        with django_assert_max_num_queries(9):
            client.get(at(opportunity), headers={"HX-Request": "true"})


# What is not taken


@pytest.mark.parametrize(("upload", "says"), [
    (brought("empty.pdf", b""), "This file is empty."),
    (brought("page.html", b"<script>"), "Files of this type are not taken."),
    (brought("picture.svg", b"<svg/>"), "Files of this type are not taken."),
    (brought("noend", PDF), "Files of this type are not taken."),
    (brought("offer.pdf.exe", PDF), "Files of this type are not taken."),
    (brought("offer.pdf", b"MZ\x90\x00"), "What is in this file is not what its name says: .pdf."),
    (brought("photo.jpg", PNG), "What is in this file is not what its name says: .jpg."),
    (brought("sound.webp", b"RIFF\x00\x00\x00\x00WAVE"), "What is in this file is not what its name says: .webp."),
    (brought("notes.txt", b"a\x00b"), "What is in this file is not what its name says: .txt."),
    (brought("large.pdf", PDF + bytes(1024)), "A file may have"),
])  # fmt: skip
@pytest.mark.case(46)
def test_a_file_that_is_not_taken_is_named_with_the_reason_and_the_good_ones_are_kept(
    client, opportunity, folder, settings, upload, says
):
    settings.FILE_MOST_BYTES = 1000
    upload.seek(0)
    with nothing_changed():
        alone = bring(client, opportunity, upload)
    assert says in alone.content.decode() and f"<b>{upload.name}</b>" in alone.content.decode()
    assert stored(folder) == []

    upload.seek(0)
    both = bring(client, opportunity, brought(), upload)
    assert says in both.content.decode()
    assert [one.name for one in File.objects.about(opportunity)] == ["offer.pdf"]


@pytest.mark.parametrize(("name", "kept"), [
    ("../../etc/passwd.txt", "passwd.txt"),
    ("..\\..\\boot.txt", "boot.txt"),
    ("\u202egpj.exe.txt", "gpj.exe.txt"),
    ("a\x00b\r\nc.txt", "abc.txt"),
    ("...hidden.txt", "hidden.txt"),
    ("con.txt", "_con.txt"),
    ('what?"<b>.txt', "whatb.txt"),
    ("  two   spaces  .txt", "two spaces.txt"),
    ("x" * 300 + ".txt", "x" * 146 + ".txt"),
    ("合同（终稿）.txt", "合同（终稿）.txt"),
    ("e\u0301.txt", "é.txt"),
    (".txt", "txt"),
    ("/", ""),
])  # fmt: skip
@pytest.mark.case(46)
def test_a_hostile_name_is_made_safe(name, kept):
    assert files.safe_name(name) == kept


@given(st.text(max_size=400))
@pytest.mark.case(46)
def test_a_safe_name_is_safe_whatever_it_was(name):
    safe = files.safe_name(name)
    assert files.safe_name(safe) == safe
    assert len(safe) <= files.LONGEST_NAME + 1 and not set(safe) & set('/\\<>:"|?*\0\n\r') and safe.isprintable()


@pytest.mark.case(47, 48)
def test_too_many_at_once_and_none_at_all_are_refused(client, opportunity, folder, settings):
    settings.FILES_AT_ONCE, settings.FILES_EACH = 2, 3
    with nothing_changed():
        assert "At most 2 files at once." in bring(client, opportunity, *[brought()] * 3).content.decode()
        assert "Choose at least one file." in bring(client, opportunity).content.decode()
    bring(client, opportunity, brought(), brought())
    with nothing_changed():
        answer = bring(client, opportunity, brought(), brought())
    assert "There are 2 files here" in answer.content.decode()
    assert len(stored(folder)) == 2  # those that no row came to name are taken away again


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_kept", [True, False])
def test_a_file_stays_where_the_database_gave_no_answer_whether_its_row_is_kept(
    client, opportunity, folder, monkeypatch, is_kept
):
    commit = connection.commit

    def commit_and_lose_the_answer():
        monkeypatch.undo()
        if is_kept:
            commit()
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(connection, "commit", commit_and_lose_the_answer)
    with pytest.raises(OperationalError):
        File.add(opportunity, [brought()], by=opportunity.owner)

    [key] = stored(folder)
    assert list(File.objects.values_list("key", flat=True)) == [key] * is_kept
    assert list(differences()) == []
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        sweep_files()
    assert stored(folder) == [key] * is_kept  # what no row came to name goes with what is old


@pytest.mark.case(48)
def test_an_upload_that_would_fill_the_disk_is_ended(client, opportunity, folder, settings):
    settings.UPLOAD_MOST_BYTES = 100
    with nothing_changed():
        assert bring(client, opportunity, brought("offer.pdf", PDF + bytes(1000))).status_code == 400


# By whom


@pytest.mark.parametrize("state", STATES)
def test_they_are_brought_in_every_state(client, folder, state):
    opportunity = in_state(state)
    client.force_login(opportunity.owner)
    bring(client, opportunity, brought())
    assert File.objects.about(opportunity).count() == 1


@pytest.mark.case(2, 4, 19)
def test_a_stranger_finds_nothing_and_whoever_only_reads_brings_none(client, opportunity, store):
    File.add(opportunity, [brought()], by=opportunity.owner)
    file = File.objects.get()
    addresses = [at(opportunity), f"/files/{file.pk}/", f"/files/{file.pk}/preview/", f"/files/{file.pk}/delete/"]
    guest = make.user(at="jinan")
    client.force_login(guest)
    for one in addresses:
        assert not_there(client, one)
    opportunity.share(by=opportunity.owner, people=[guest])
    assert read(client.get(addresses[1])) == PDF
    assert "Add files" not in client.get(addresses[0]).content.decode()
    with nothing_changed():
        assert bring(client, opportunity, brought("other.pdf")).status_code == 403
        assert client.post(addresses[3]).status_code == 403
        with pytest.raises(NotAllowed):
            File.add(opportunity, [brought("other.pdf")], by=guest)
    assert stored(store) == [file.key]


@pytest.mark.case(9)
def test_a_file_whose_share_ended_is_no_longer_there(client, opportunity, store):
    File.add(opportunity, [brought()], by=opportunity.owner)
    file, guest = File.objects.get(), make.user(at="jinan")
    opportunity.share(by=opportunity.owner, people=[guest])
    client.force_login(guest)
    assert read(client.get(f"/files/{file.pk}/")) == PDF

    opportunity.unshare(by=opportunity.owner, person=guest)
    assert not_there(client, f"/files/{file.pk}/")
    assert not_there(client, f"/files/{file.pk}/preview/")


def test_whoever_decides_brings_files_and_sees_them_beside_the_task(client, folder):
    opportunity = in_state("signing")
    task = opportunity.open_task
    client.force_login(task.holder)
    bring(client, opportunity, brought("checked.pdf"))

    assert f'hx-get="{at(opportunity)}"' in client.get(f"/tasks/{task.pk}/").content.decode()
    assert "checked.pdf" in client.get(at(opportunity)).content.decode()


def test_on_a_customer_a_follow_up_and_an_announcement(client, opportunity, folder):
    customer, follow_up = opportunity.customer, make.follow_up(opportunity)
    bring(client, customer, brought("licence.pdf"))
    bring(client, follow_up, brought("minutes.pdf"))
    assert wording.sentence(Event.objects.about(opportunity).first(), opportunity.owner) == "You added minutes.pdf."
    assert "1 file" in client.get(address(opportunity)).content.decode()

    manager = make.user(None, "opportunity_manager", at="head-office")
    announcement = Announcement(title="Prices", body="New ones.", by=manager)
    announcement.publish(by=manager)
    with nothing_changed():
        assert bring(client, announcement, brought("prices.pdf")).status_code == 403
    client.force_login(manager)
    bring(client, announcement, brought("prices.pdf"))
    client.force_login(opportunity.owner)
    assert "prices.pdf" in client.get(at(announcement)).content.decode()
    assert [one.name for one in File.objects.order_by("pk")] == ["licence.pdf", "minutes.pdf", "prices.pdf"]
    announcement.withdraw(by=manager)
    assert not_there(client, at(announcement))
    assert list(differences()) == []


def test_a_follow_up_is_added_with_its_files_or_not_at_all(client, opportunity, folder):
    page = client.get(address(opportunity, "follow-up"))
    form = page.context["form"]
    sent = {"kind": form.initial["kind"].pk, "content": "Agreed.", "at": "2026-01-02T10:00"}
    with nothing_changed():
        answer = client.post(address(opportunity, "follow-up"), sent | {"files": [brought(), brought("a.exe", b"MZ")]})
    assert "a.exe: Files of this type are not taken." in answer.content.decode()

    client.post(address(opportunity, "follow-up"), sent | {"files": [brought(), brought("plan.png", PNG)]})
    follow_up = opportunity.follow_ups.get()
    assert [one.name for one in File.objects.about(follow_up)] == ["plan.png", "offer.pdf"]
    assert follow_up.file_count == 2


# Deleting


def test_it_is_deleted_by_whoever_brought_it_or_may_change_the_record(client, opportunity, store):
    chief = make.user(None, "gm", at="shijiazhuang")
    mine, theirs = ([brought(name)] for name in ("mine.pdf", "theirs.pdf"))
    [mine], _none = File.add(opportunity, mine, by=opportunity.owner)
    [theirs], _none = File.add(opportunity, theirs, by=chief)
    client.force_login(chief)
    with nothing_changed():
        assert client.get(f"/files/{mine.pk}/delete/").status_code == 403
        assert client.post(f"/files/{mine.pk}/delete/").status_code == 403
    assert "mine.pdf" in client.get(at(opportunity)).content.decode()

    client.force_login(opportunity.owner)
    for one in (mine, theirs):
        client.post(f"/files/{one.pk}/delete/")
    assert not File.objects.exists() and list(differences()) == []
    assert wording.sentence(Event.objects.about(opportunity).first(), chief).endswith("deleted the file theirs.pdf.")
    assert client.get(f"/files/{mine.pk}/").status_code == 404


def test_deleting_twice_is_refused(opportunity, folder):
    [file], _none = File.add(opportunity, [brought()], by=opportunity.owner)
    again = File.objects.get()
    file.delete_(by=opportunity.owner)
    with pytest.raises(Refused, match="deleted after you opened it"), nothing_changed():
        again.delete_(by=opportunity.owner)


@pytest.mark.django_db(transaction=True)
def test_what_is_stored_goes_when_the_deletion_holds(opportunity, store):
    [file], _none = File.add(opportunity, [brought()], by=opportunity.owner)
    assert stored(store) == [file.key]
    file.delete_(by=opportunity.owner)
    assert stored(store) == []


def test_with_a_record_go_its_files_and_the_sweep_takes_what_nobody_names(client, opportunity, store, time_machine):
    follow_up = make.follow_up(opportunity)
    File.add(follow_up, [brought()], by=opportunity.owner)
    [kept], _none = File.add(opportunity, [brought()], by=opportunity.owner)
    follow_up.delete_(by=opportunity.owner)
    assert File.objects.get() == kept and len(stored(store)) == 2

    sweep_files()
    assert len(stored(store)) == 2  # one that was stored just now may be an upload that is under way
    time_machine.move_to(timezone.now() + files.OLD + timedelta(minutes=1))
    sweep_files()
    assert len(stored(store)) == 2  # the other waits in the recycle bin
    Recycled.objects.get().delete_for_good(by=make.user(None, "administrator", at="head-office"))
    sweep_files()
    assert stored(store) == [kept.key]


def test_verify_names_what_is_not_stored_and_what_is_not_counted(opportunity, folder):
    [file], _none = File.add(opportunity, [brought()], by=opportunity.owner)
    folder.delete(file.key)
    type(opportunity).objects.update(file_count=2)

    assert list(differences()) == [
        f"file {file.pk}: is not in its storage",
        f"opportunity {opportunity.pk}: its number of files is not that of its files",
    ]


def test_a_file_that_is_lost_is_no_page(client, opportunity, store):
    [file], _none = File.add(opportunity, [brought()], by=opportunity.owner)
    store.delete(file.key)
    assert client.get(f"/files/{file.pk}/").status_code == 404


@pytest.mark.parametrize("url", ["ftp://host/bucket", "s3://host", "s3:///bucket"])
def test_an_address_that_is_no_store_is_refused_at_the_start(url):
    with pytest.raises(Exception, match="FILES_URL is no address of a store"):
        files_storage(url)
