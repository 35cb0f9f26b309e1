"""Uploads, forms and downloads that break off, and files that change behind one's back: all of it, or nothing."""

import json
import resource
import shutil
import socket
import struct
import threading
from contextlib import contextmanager
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

from crm.importing import ImportRun
from crm.jobs import run_waiting
from crm.verbs import Refused
from notices.files import File
from opportunities.models import Opportunity
from tests import factories as make
from tests.crm.live import until
from tests.digest import nothing_changed
from tests.faults.driver import CSRF, MULTIPART, PATIENCE, Company, Person, everything_holds, in_parts
from tests.importing import checked, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

LINES = "reference,name,amount\n" + "".join(f"R{number},Line {number},{number + 1}\n" for number in range(300))


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "media"
    kept = settings.STORAGES["files"] | {"OPTIONS": {"location": settings.MEDIA_ROOT / "files"}}
    settings.STORAGES = settings.STORAGES | {"files": kept}
    (settings.MEDIA_ROOT / "files").mkdir(parents=True, exist_ok=True)


@contextmanager
def no_file_above(megabytes):
    """The system lets nobody here write a larger file, which is how a full disk looks from within."""
    right = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (megabytes << 20, right[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, right)


def test_a_file_for_which_there_is_no_room_is_refused_and_nothing_of_it_is_left():
    rep = make.user(language="en")
    opportunity = make.opportunity(rep)
    large = [SimpleUploadedFile("offer.txt", b"x" * (19 << 20))]
    with nothing_changed(), no_file_above(15), pytest.raises(Refused, match="no room for files at the moment"):
        File.add(opportunity, large, by=rep)
    assert list((settings.MEDIA_ROOT / "files").iterdir()) == []
    File.add(opportunity, large, by=rep)
    assert File.objects.get().size == 19 << 20


def test_an_import_for_which_there_is_no_room_is_refused_and_nothing_of_it_is_left():
    rep = make.user(language="en")
    large = SimpleUploadedFile("lines.csv", b"name,amount\n" + b"Line,1\n" * (3 << 20))
    with nothing_changed(), no_file_above(15), pytest.raises(Refused, match="no room for files at the moment"):
        ImportRun.upload(large, "opportunities", by=rep)
    assert list((settings.MEDIA_ROOT / "imports").iterdir()) == []


class TestAFileBehindAnImport:
    def test_gone_before_it_is_confirmed_it_brings_nothing_in_and_says_so(self):
        rep = make.user(language="en")
        run = checked(signed_in(rep), "opportunities", LINES)
        shutil.rmtree(run._path)
        signed_in(rep).post(f"/imports/{run.pk}/run/")
        run_waiting()
        run.refresh_from_db()
        assert not Opportunity.objects.exists()
        assert (run.job.state, run.job.error) == ("failed", "The file of this import is gone. Choose it once more.")

    def test_another_in_its_place_is_not_what_was_checked_and_brings_nothing_in(self):
        rep = make.user(language="en")
        run = checked(signed_in(rep), "opportunities", LINES)
        others = [json.dumps([number, f"R{number}", "Another name", "7"]) for number in range(2, 302)]
        (run._path / "upload").write_text("reference,name,amount\nR2,Another name,7\n")
        (run._path / "rows").write_text("\n".join(others) + "\n")
        signed_in(rep).post(f"/imports/{run.pk}/run/")
        run_waiting()
        run.refresh_from_db()
        assert not Opportunity.objects.exists()
        assert (run.job.state, run.job.error) == (
            "failed",
            "The rows are no longer those that were checked. Check again.",
        )

    def test_as_it_was_checked_it_comes_in(self):
        rep = make.user(language="en")
        run = checked(signed_in(rep), "opportunities", LINES)
        signed_in(rep).post(f"/imports/{run.pk}/run/")
        run_waiting()
        assert Opportunity.objects.count() == 300


@pytest.mark.torture
class TestAnImport:
    def test_confirmed_by_ten_at_once_comes_in_once(self, product):
        rep = make.user(language="en")
        run = checked(signed_in(rep), "opportunities", LINES)
        product.begin()
        person, answers = Person(rep, product.port), []
        threads = [
            threading.Thread(target=lambda: answers.append(person.post(f"/imports/{run.pk}/run/", {}).status))
            for _number in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: ImportRun.objects.get(pk=run.pk).state == "done", PATIENCE)
        assert set(answers) <= {302, 409}
        assert 302 in answers
        assert Opportunity.objects.count() == 300
        everything_holds()

    def test_whose_sender_gave_up_waiting_comes_in_once_when_it_is_sent_again(self, product):
        rep = make.user(language="en")
        run = checked(signed_in(rep), "opportunities", LINES)
        product.begin()
        person = Person(rep, product.port)
        for _time in range(3):
            begin(person, f"/imports/{run.pk}/run/", f"csrfmiddlewaretoken={CSRF}".encode()).close()
        until(lambda: ImportRun.objects.get(pk=run.pk).state == "done", PATIENCE)
        assert person.post(f"/imports/{run.pk}/run/", {}).status == 409
        assert Opportunity.objects.count() == 300


def begin(person, path, body, *, length=None, kind="application/x-www-form-urlencoded"):
    """This will send a request, of which `length` says more than comes, and give the connection without an answer."""
    asking = socket.create_connection(("127.0.0.1", person.port))
    head = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Cookie: {person.cookies}",
        f"Content-Type: {kind}",
        f"Content-Length: {length or len(body)}",
    ]
    asking.sendall("\r\n".join([*head, "", ""]).encode() + body)
    return asking


def cut(asking):
    """This will break a connection off as a cable does that is pulled."""
    asking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    asking.close()


@pytest.mark.torture
class TestWhatBreaksOff:
    def test_an_upload_that_breaks_off_leaves_nothing_and_whole_it_is_kept(self, product):
        company = Company(product.port, 1)
        rep, _deputy, _customer = company.desks[0]
        opportunity = make.opportunity(make.User.objects.get(pk=rep.pk))
        product.begin()
        path, kind = f"/files/opportunity/{opportunity.pk}/", f"multipart/form-data; boundary={MULTIPART}"
        whole = in_parts({"csrfmiddlewaretoken": CSRF}, "offer.txt", "x" * 6_000_000)
        with nothing_changed():
            for sent in (300, 100_000, 5_000_000, len(whole) - 10):
                cut(begin(rep, path, whole[:sent], length=len(whole), kind=kind))
            assert rep.get("/").status == 200
            product.is_well()
        assert not [kept for kept in (settings.MEDIA_ROOT / "files").iterdir() if kept.is_file()]
        assert "Traceback" not in product.served.said
        answer = rep.post(path, {}, ("offer.txt", "x" * 6_000_000))
        assert answer.status == 302
        assert File.objects.get().size == 6_000_000
        everything_holds()

    def test_a_form_whose_answer_nobody_waits_for_is_done_once_however_often_it_is_sent(self, product):
        company = Company(product.port, 1)
        rep, _deputy, customer = company.desks[0]
        product.begin()
        for number in range(10):
            typed = company.typed(customer, f"Cut {number}", once=str(uuid4()), csrfmiddlewaretoken=CSRF)
            body = "&".join(f"{name}={value}".replace(" ", "+") for name, value in typed.items()).encode()
            cut(begin(rep, "/opportunities/new/", body))
            assert rep.post("/opportunities/new/", typed).status == 302
        assert sorted(Opportunity.objects.values_list("name", flat=True)) == [f"Cut {number}" for number in range(10)]
        everything_holds()

    def test_a_download_that_breaks_off_holds_nobody_up(self, product):
        owner = make.user(language="en")
        for _number in range(300):
            make.opportunity(owner)
        product.begin()
        rep = Person(owner, product.port)
        address = "/opportunities/?export=csv&fields=all"
        for _time in range(40):  # more than there are threads
            asking = socket.create_connection(("127.0.0.1", rep.port))
            asking.sendall(f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {rep.cookies}\r\n\r\n".encode())
            asking.recv(100)
            cut(asking)
        assert rep.get("/").status == 200
        assert rep.get(address).page.count("\n") >= 300
        product.is_well()
        assert "Traceback" not in product.served.said
