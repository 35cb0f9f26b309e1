"""
Cases of parameters: whatever stands in an address or a form, the answer is a page or a refusal, never an error of ours.

Every page that is reached is asked again with each of its own parameters, and those that lists know, holding what
nobody means. Every day one such value for each page; under torture all of them.
"""

from collections import defaultdict
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command

from crm.models import User
from customers.models import Customer
from tests import factories as make
from tests.cases.crawl import crawl, parameters, pattern
from tests.digest import nothing_changed
from tests.importing import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.long]

VALUES = [
    "'",
    '"',
    "\\",
    "%27",
    ";--",
    "1' OR pg_sleep(9)--",
    "1) OR 1=1--",
    "a\0b",
    "-1",
    "0",
    "1000000000",
    "1e1000",
    "NaN",
    "-Infinity",
    "1_000",
    "٣",
    "²",
    "9223372036854775807",
    "9223372036854775808",
    "9" * 5000,
    "0000-00-00",
    "9999-12-31",
    "10000-01-01",
    "2024-02-30",
    "0001-01-01",
    "{",
    "[]",
    "null",
    '{"all": 7}',
    '{"all": [["name"]]}',
    "[" * 900,
    "{{7*7}}",
    "\u202e\ufeff\u0000",
    "a" * 6000,
    "../../etc/passwd",
    "__class__",
    "%",
    "_",
    "a,b,,",
    ",",
]
OF_LISTS = {
    "q",
    "page",
    "size",
    "sort",
    "columns",
    "view",
    "where",
    "list",
    "next",
    "pk",
    "every",
    "again",
    "select",
    "show",
    "rows",
    "fields",
    "totals",
    "month",
    "year",
    "level",
    "department",
    "pipeline",
    "state",
    "tab",
    "customer",
    "opportunity",
    "contact",
    "kind",
    "about",
    "name",
    "text",
    "of",
}
NO_BYTES_OF_TEXT = ["%ff%fe", "%ed%a0%80", "%c0%af", "%"]
READERS = ["rep.shijiazhuang", "admin"]


@pytest.fixture(params=READERS)
def reader(request, client):
    """This will give the demo company's client of each reader."""
    call_command("demo", verbosity=0)
    client.force_login(User.objects.get(username=request.param))
    return client


def reached(client):
    """This will give {path: its parameters}, one path of each pattern."""
    paths, names = {}, defaultdict(set)
    for address, answer, page in crawl(client, "/", "/opportunities/?state=", "/admin/"):
        assert answer.status_code < 500, address
        paths.setdefault(pattern(address), urlsplit(address).path)
        names[pattern(address)] |= parameters(address, page)
        for link in page.links:
            names[pattern(link)] |= set(parse_qs(urlsplit(link).query, keep_blank_values=True))
    assert len(paths) > 80
    return {path: names[key] | OF_LISTS for key, path in paths.items()}


def is_answered(client, address):
    """This will tell whether an answer is none of an error; the test client raises what went wrong itself."""
    answer = client.get(address)
    answer.getvalue()
    return answer.status_code < 500


@pytest.mark.case(41, 43)
def test_whatever_stands_in_an_address_there_is_an_answer(reader):
    for number, (path, names) in enumerate(reached(reader).items()):
        value = VALUES[number % len(VALUES)]
        assert is_answered(reader, f"{path}?{urlencode(dict.fromkeys(sorted(names), value))}"), (path, value[:40])


@pytest.mark.case(41, 43)
@pytest.mark.torture
@pytest.mark.timeout(7200)
def test_whatever_stands_in_any_address_there_is_an_answer(reader):
    for path, names in reached(reader).items():
        for value in VALUES:
            assert is_answered(reader, f"{path}?{urlencode(dict.fromkeys(sorted(names), value))}"), (path, value[:40])
        for name in sorted(names):
            for value in VALUES[:8]:
                assert is_answered(reader, f"{path}?{urlencode({name: value})}"), (path, name, value)


@pytest.mark.case(41, 43)
@pytest.mark.parametrize("value", NO_BYTES_OF_TEXT)
def test_what_is_no_text_is_read_as_one(value):
    rep = make.user()
    make.opportunity(rep, name="Harbour cranes")
    client = signed_in(rep)
    for path in ("/", "/opportunities/", "/opportunities/board/", "/customers/", "/search/", "/search/suggest/"):
        assert is_answered(client, f"{path}?q={value}&page={value}&sort={value}&where={value}&amount.over={value}")
    assert "Harbour cranes" in client.get("/opportunities/?q=harbour").content.decode()


@pytest.mark.case(41)
@pytest.mark.parametrize("value", VALUES)
def test_whatever_stands_in_a_form_there_is_an_answer_and_what_is_no_value_is_refused(value):
    rep = make.user(language="en")
    client = signed_in(rep)
    opportunity = make.opportunity(rep, state="active")
    for path in (
        "/opportunities/new/",
        f"/opportunities/{opportunity.pk}/edit/",
        f"/opportunities/{opportunity.pk}/sign/",
        f"/opportunities/{opportunity.pk}/follow-up/",
        "/customers/new/",
        "/contacts/new/",
        "/profile/",
        f"/opportunities/{opportunity.pk}/lines/",
        f"/opportunities/{opportunity.pk}/share/",
    ):
        fields = client.get(path).context["form"].fields
        with nothing_changed():
            answer = client.post(path, dict.fromkeys(fields, value))
            assert answer.status_code in (200, 409), path


@pytest.mark.case(42)
@pytest.mark.parametrize(
    "zone",
    [
        "'; DROP TABLE crm_user; --",
        "../../etc/localtime",
        "/etc/localtime",
        "UTC\0",
        "Mars/Olympus",
        "UTC\nUTC",
        "America/../Europe/Berlin",
        "posixrules/",
        ".",
        "zone.tab",
        "A" * 61,
    ],
)
def test_what_is_no_time_zone_is_refused_and_nothing_is_opened(zone):
    rep = make.user(language="en", time_zone="America/Lima")
    client = signed_in(rep)
    form = client.get("/profile/").context["form"]
    typed = {name: form[name].value() or "" for name in form.fields if name != "new_photo"}

    with nothing_changed():
        answer = client.post("/profile/", typed | {"initial-email": rep.email, "time_zone": zone})
        assert answer.context["form"].errors.keys() == {"time_zone"}
    answer = client.post("/profile/", typed | {"initial-email": rep.email, "time_zone": "Europe/Berlin"})
    assert answer.status_code == 302
    rep.refresh_from_db()
    assert rep.time_zone == "Europe/Berlin"


LONG = {
    "open brackets": "[",
    "open tags": "<a",
    "an address that goes on": "@a.a",
    "half an entity": "&#",
    "marks upon one letter": "\u0301",
    "blanks": " ",
    "line ends": "a\n",
    "quotes": '"',
    "digits": "9",
    "dots": ".",
    "mentions": "@a ",
    "letters that fold to several": "ﷺ",
    "percent": "%a",
    "backslashes": "\\",
}


@pytest.mark.case(62)
@pytest.mark.parametrize("what", LONG)
def test_a_megabyte_of_one_thing_hangs_nothing(what):
    """
    What is quadratic takes minutes for a megabyte: it is ended by the limit of a test. What is linear is refused for
    its length, or kept.
    """
    rep, piece = make.user(language="en"), LONG[what]
    opportunity = make.opportunity(rep)
    client = signed_in(rep)
    long = piece * ((1 << 20) // len(piece.encode()))
    assert len(long.encode()) > 1_000_000
    for path, fields in (
        ("/customers/new/", ("name", "website", "phone", "description", "tax_id")),
        ("/contacts/new/", ("name", "email", "mobile", "customer")),
        (f"/opportunities/{opportunity.pk}/edit/", ("name", "amount", "expected_close_on", "customer", "description")),
        (f"/opportunities/{opportunity.pk}/comments/", ("text",)),
        ("/profile/", ("name", "email", "phone", "time_zone")),
        ("/accounts/login/", ("login", "password")),
        ("/accounts/password/reset/", ("email",)),
    ):
        for field in fields:
            answer = client.post(path, {"version": 1, "act": "save", field: long})
            assert answer.status_code in (200, 302, 409), (path, field)
    assert Customer.objects.count() == 1


@pytest.mark.case(62)
@pytest.mark.parametrize("what", LONG)
def test_as_much_as_an_address_carries_of_one_thing_hangs_no_search(what):
    rep, piece = make.user(language="en"), LONG[what]
    make.opportunity(rep, name="Harbour cranes")
    client = signed_in(rep)
    long = piece * 4000
    for path in (
        "/opportunities/",
        "/customers/",
        "/search/",
        "/search/suggest/",
        "/customers/pick/",
        "/announcements/",
        "/documents/",
        "/people/",
        "/customers/similar/",
    ):
        for name in ("q", "name", "where", "sort", "columns", "page"):
            assert is_answered(client, f"{path}?{urlencode({name: long})}"), (path, name)


@pytest.mark.case(62)
@pytest.mark.parametrize("what", LONG)
def test_a_megabyte_of_one_thing_in_a_file_hangs_no_import(what, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    client = signed_in(make.user(language="en"))
    long = (LONG[what] * 1_000_000)[: 1 << 20]
    for content in (f"Name\n{long}\n", f"{long}\nx\n", f'Name\n"{long}\n', f"BEGIN:VCARD\nFN:{long}\nEND:VCARD\n"):
        upload = SimpleUploadedFile("file.csv", content.encode())
        answer = client.post("/imports/", {"kind": "customers", "file": upload})
        assert answer.status_code in (302, 409)
        if answer.status_code == 302:
            assert client.get(answer["Location"], follow=True).status_code == 200
