"""Cases of files: what is uploaded is refused, or given out as what it is, to be saved, and as it was."""

from hashlib import sha256
from urllib.parse import quote

import pytest
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile

from notices.files import File
from tests import factories as make
from tests.digest import nothing_changed
from tests.importing import signed_in
from tests.opportunities.acts import in_state
from tests.opportunities.test_at_once import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

PDF = b"%PDF-1.4\nAn offer."
GIF_AND_SCRIPT = b"GIF89a/*\x00\x00*/=1;alert(1);//<script>alert(1)</script>"
HARMLESS_VIRUS = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"
REFUSED = [
    "page.html",
    "page.htm",
    "page.xhtml",
    "page.pHtml",
    "page.shtml",
    "picture.svg",
    "picture.SVGZ",
    "feed.xml",
    "a.js",
    "a.mjs",
    "movie.swf",
    "a.php",
    "a.jsp",
    "a.exe",
    "a.bat",
    "a.png.html",
    "a.pdf.svg",
    ".htaccess",
    "web.config",
    "a",
    "a.html.",
    "a.html ",
    "a.pdf::$DATA",
]
KEPT = [
    ("a\r\nSet-Cookie: x=1\r\n\r\n.pdf", "aSet-Cookie x=1.pdf"),
    ('"; filename="b.exe".pdf', "; filename=b.exe.pdf"),
    ("..\\..\\x.pdf", "x.pdf"),
    ("\u202efdp.exe.pdf", "fdp.exe.pdf"),
    ("NUL.pdf", "_NUL.pdf"),
    ("👍 合同 – Vertrag.pdf", "👍 合同 – Vertrag.pdf"),
    ("100%25 '$(touch x)'.pdf", "100%25 '$(touch x)'.pdf"),
    ("<script>.pdf", "script.pdf"),
]


@pytest.fixture(autouse=True)
def folder(settings, tmp_path):
    """This will give the files a folder of their own."""
    kept = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = settings.STORAGES | {"files": kept}


@pytest.fixture
def opportunity():
    return in_state("active")


def at(opportunity):
    return f"/files/opportunity/{opportunity.pk}/"


def bring(client, opportunity, *uploads):
    return client.post(at(opportunity), {"files": list(uploads)})


def stored():
    return storages["files"].listdir("")[1]


def read(client, file):
    return client.get(f"/files/{file.pk}/").getvalue()


@pytest.mark.case(46)
@pytest.mark.parametrize("name", REFUSED)
def test_what_a_browser_or_a_system_would_run_is_refused_whatever_is_in_it(opportunity, name):
    client = signed_in(opportunity.owner)
    with nothing_changed():
        bring(client, opportunity, SimpleUploadedFile(name, PDF, content_type="application/pdf"))
    assert stored() == []
    bring(client, opportunity, SimpleUploadedFile("offer.pdf", PDF))
    assert File.objects.get().name == "offer.pdf"


@pytest.mark.case(46)
@pytest.mark.parametrize(("name", "kept"), KEPT)
def test_a_file_of_a_strange_name_is_given_out_under_one_header_to_be_saved(opportunity, name, kept):
    client = signed_in(opportunity.owner)
    boundary = b"x7"
    body = b"--x7\r\nContent-Disposition: form-data; name=\"files\"; filename*=UTF-8''"
    body += quote(name).encode() + b"\r\nContent-Type: text/html\r\n\r\n" + PDF + b"\r\n--x7--\r\n"

    client.post(at(opportunity), body, content_type=f"multipart/form-data; boundary={boundary.decode()}")

    file = File.objects.get()
    assert file.name == kept
    answer = client.get(f"/files/{file.pk}/")
    assert answer.getvalue() == PDF
    assert answer["Content-Disposition"].startswith("attachment; filename")
    assert "\r" not in answer["Content-Disposition"] and "\n" not in answer["Content-Disposition"]
    assert "Set-Cookie" not in answer.headers
    assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == ("application/pdf", "nosniff")


@pytest.mark.case(46)
def test_a_picture_that_is_a_script_as_well_is_a_picture_in_a_sandbox(opportunity):
    client = signed_in(opportunity.owner)
    bring(client, opportunity, SimpleUploadedFile("a.gif", GIF_AND_SCRIPT, content_type="text/html"))

    shown = client.get(f"/files/{File.objects.get().pk}/preview/")

    assert (shown["Content-Type"], shown["X-Content-Type-Options"]) == ("image/gif", "nosniff")
    assert shown["Content-Security-Policy"].startswith("default-src 'none'")
    assert shown["Content-Security-Policy"].endswith("; sandbox")
    assert shown.getvalue() == GIF_AND_SCRIPT


@pytest.mark.case(50)
def test_what_a_scanner_would_stop_is_given_out_to_be_saved_and_never_to_be_shown(opportunity):
    """Nothing here looks for viruses: SECURITY.md says so."""
    client = signed_in(opportunity.owner)
    bring(client, opportunity, SimpleUploadedFile("notes.txt", HARMLESS_VIRUS))

    for where in ("", "preview/"):
        answer = client.get(f"/files/{File.objects.get().pk}/{where}")
        assert answer["Content-Disposition"] == 'attachment; filename="notes.txt"'
        assert answer["Content-Type"] == "application/octet-stream"
        assert answer.getvalue() == HARMLESS_VIRUS


@pytest.mark.case(49)
@pytest.mark.django_db(transaction=True)
def test_files_of_one_name_brought_at_once_are_two_and_deleting_one_leaves_the_other(opportunity):
    guest = make.user("guest", at="jinan")
    opportunity.share(by=opportunity.owner, people=[guest], may_edit=True)
    contents = {opportunity.owner: PDF + b"mine", guest: PDF + b"theirs" * 1000}
    clients = {person: signed_in(person) for person in contents}

    at_once(
        *(
            lambda person=person, content=content: bring(
                clients[person], opportunity, SimpleUploadedFile("offer.pdf", content)
            )
            for person, content in contents.items()
        )
    )

    files = {file.by: file for file in File.objects.select_related("by")}
    assert files.keys() == contents.keys()
    for person, content in contents.items():
        assert sha256(read(clients[person], files[person])).digest() == sha256(content).digest()

    clients[guest].post(f"/files/{files[guest].pk}/delete/")

    assert clients[guest].get(f"/files/{files[guest].pk}/").status_code == 404
    assert read(clients[guest], files[opportunity.owner]) == contents[opportunity.owner]
    assert len(stored()) == 1


def multipart(*parts, end=b"--x7--\r\n"):
    return b"".join(b"--x7\r\n" + part + b"\r\n" for part in parts) + end


FILE = b'Content-Disposition: form-data; name="files"; filename="offer.pdf"\r\n\r\n' + PDF
BROKEN = {
    "a part without a name": multipart(b'Content-Disposition: form-data; filename="offer.pdf"\r\n\r\n' + PDF),
    "a part without a head": multipart(b"\r\n" + PDF),
    "a part with a head that is none": multipart(b"Content-Disposition\r\n\r\n" + PDF),
    "no part": b"",
    "an end alone": multipart(),
    "another boundary": multipart(FILE).replace(b"x7", b"y8"),
    "a name that is no text": multipart(FILE.replace(b'"files"', b'"\xff\xfe"')),
    "an unknown encoding": multipart(FILE.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1)),
    "a head of a megabyte": multipart(b"X-Long: " + b"a" * (1 << 20) + b"\r\n" + FILE),
}


@pytest.mark.case(47)
@pytest.mark.parametrize("how", BROKEN)
def test_what_is_sent_in_a_broken_form_is_refused_and_nothing_stays(opportunity, how):
    client = signed_in(opportunity.owner)

    with nothing_changed():
        answer = client.post(at(opportunity), BROKEN[how], content_type="multipart/form-data; boundary=x7")
        assert answer.status_code in (200, 400)
    assert stored() == []
    client.post(at(opportunity), multipart(FILE), content_type="multipart/form-data; boundary=x7")
    assert File.objects.get().name == "offer.pdf"


@pytest.mark.case(47)
@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary="a b"',
        "multipart/form-data; boundary=" + "x" * 500,
        "multipart/mixed; boundary=x7",
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded; charset=utf-7",
    ],
)
def test_a_form_of_another_kind_is_no_form(opportunity, kind):
    client = signed_in(opportunity.owner)
    with nothing_changed():
        answer = client.post(at(opportunity), multipart(FILE), content_type=kind)
        assert answer.status_code in (200, 400)
    assert stored() == []


@pytest.mark.case(47)
def test_a_thousand_parts_are_refused_at_once(opportunity):
    client = signed_in(opportunity.owner)
    with nothing_changed():
        answer = client.post(
            at(opportunity), multipart(*[FILE] * 1000), content_type="multipart/form-data; boundary=x7"
        )
        assert answer.status_code == 400
        assert "files, and so many are not taken at once" in answer.content.decode()
    assert stored() == []


@pytest.mark.case(47)
def test_two_files_where_one_is_meant_are_one():
    """Of a field that takes one file the last one counts, and the other leaves no trace."""
    admin = make.user("admin", "administrator", at="head-office")
    client = signed_in(admin)
    two = [SimpleUploadedFile("a.csv", b"Name\nQinghe\n"), SimpleUploadedFile("b.csv", b"Name\nYunhe\n")]
    answer = client.post("/imports/", {"kind": "customers", "file": two})
    assert answer.status_code == 302
    assert "b.csv" in client.get(answer["Location"], follow=True).content.decode()
