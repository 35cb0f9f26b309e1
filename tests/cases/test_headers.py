"""Cases of what every answer tells the browser: pages, errors, redirects, files, fragments and static files alike."""

import re

import pytest
from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import path

from crm import urls
from notices.files import File
from tests import factories as make
from tests.importing import signed_in
from tests.opportunities.acts import in_state

pytestmark = [pytest.mark.django_db, pytest.mark.any_database, pytest.mark.urls("tests.cases.test_headers")]


def breaks(request):
    raise RuntimeError("the inside of the canary")


def is_suspicious(request):
    raise SuspiciousOperation("the inside of the canary")


urlpatterns = [*urls.urlpatterns, path("breaks/", breaks), path("suspicious/", is_suspicious)]
handler400, handler429 = urls.handler400, urls.handler429


@pytest.fixture
def answers(settings, tmp_path):
    """This will give one answer of each kind, as {what: answer}."""
    kept = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = settings.STORAGES | {"files": kept}
    opportunity = in_state("active")
    uploads = [SimpleUploadedFile("a.pdf", b"%PDF-1.4"), SimpleUploadedFile("a.gif", b"GIF89a")]
    File.add(opportunity, uploads, by=opportunity.owner)
    picture, offer = File.objects.all()
    rep, nobody = signed_in(opportunity.owner), Client()
    rep.raise_request_exception = False
    guesser = Client(REMOTE_ADDR="192.0.2.1")
    for number in range(31):
        tried = guesser.post("/accounts/login/", {"login": f"nobody{number}", "password": "wrong"})
    record, strict = f"/opportunities/{opportunity.pk}/", Client(enforce_csrf_checks=True)
    htmx = {"HX-Request": "true"}
    given = {
        "page": rep.get("/"),
        "sign-in": nobody.get("/accounts/login/"),
        "redirect to sign-in": nobody.get("/profile/"),
        "redirect after saving": rep.post("/appearance/", {"theme": "dark"}),
        "fragment": rep.get(f"/files/opportunity/{opportunity.pk}/", headers=htmx),
        "suggestions": rep.get("/customers/pick/?q=c", headers=htmx),
        "printed": rep.get(record, {"print": "1"}),
        "400": rep.get("/suspicious/"),
        "403": rep.get("/organisation/"),
        "403 for want of a token": strict.post("/accounts/login/", {"login": "x", "password": "x"}),
        "404": rep.get("/nothing/"),
        "404 of a record": rep.get("/opportunities/987654321/"),
        "404 before sign-in": nobody.get("/nothing/"),
        "404 of a static file": rep.get("/static/nothing.css"),
        "405": rep.put(record),
        "409": rep.post(f"{record}withdraw/", {"version": 1}),
        "429": tried,
        "500": rep.get("/breaks/"),
        "file": rep.get(f"/files/{offer.pk}/"),
        "picture": rep.get(f"/files/{picture.pk}/preview/"),
        "document": rep.get(f"/files/{offer.pk}/preview/"),
        "csv": rep.get("/opportunities/?export=csv"),
        "workbook": rep.get("/opportunities/?export=xlsx"),
        "static file": rep.get("/static/vendor/tabler.min.css"),
        "health": nobody.get("/livez"),
        "administration": signed_in(make.user(None, "administrator", at="head-office")).get("/admin/"),
    }
    yield given
    for answer in given.values():
        answer.close()


FILES = {"file", "picture", "document"}
KEPT = {"static file"}  # which is the same for all


@pytest.mark.case(58)
def test_every_answer_of_whatever_kind_says_what_a_browser_may_do_with_it(answers):
    for what, answer in answers.items():
        headers = answer.headers
        policy = dict(part.partition(" ")[::2] for part in headers["Content-Security-Policy"].split("; "))
        if what in FILES:
            assert policy["default-src"] == "'none'", what
            assert "script-src" not in policy, what
        else:
            assert policy["script-src"] == policy["default-src"] == "'self'", what
            assert policy["object-src"] == policy["base-uri"] == "'none'", what
            assert policy["form-action"] == "'self'", what
        assert headers["X-Content-Type-Options"] == "nosniff", what
        assert headers["Referrer-Policy"] == "same-origin", what
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", what
        assert not re.search(r"gunicorn|Python|Django", str(headers)), what


@pytest.mark.case(58)
def test_nobody_frames_an_answer(answers):
    for what, answer in answers.items():
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], what


@pytest.mark.case(58)
def test_what_somebody_was_shown_is_kept_by_no_cache(answers):
    for what, answer in answers.items():
        kept = answer.headers.get("Cache-Control", "")
        assert ("no-store" in kept) == (what not in KEPT), (what, kept)


@pytest.mark.case(57)
def test_no_error_shows_the_inside(answers):
    statuses = {what: answer.status_code for what, answer in answers.items() if re.match(r"[45]\d\d", what)}
    assert statuses == {what: int(what[:3]) for what in statuses}
    for what in statuses:
        page = answers[what].getvalue().decode()
        assert "canary" not in page and "Traceback" not in page and "site-packages" not in page, what
