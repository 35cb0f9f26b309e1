"""What stands around every page: the navigation, its counts, and a clear page for each thing that goes wrong."""

import re

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404
from django.test import Client
from django.urls import path
from django.views.decorators.http import require_POST

from crm import urls
from crm.navigation import Frame, frame
from crm.verbs import NotAllowed, Refused
from tests.asserting import unchanged
from tests.factories import user

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


def raising(error):
    def view(request, **kwargs):
        raise error

    return view


urlpatterns = [
    *urls.urlpatterns,
    path("kit/nothing/", raising(Http404("opportunity 7"))),
    path("kit/forbidden/", raising(PermissionDenied("because of canary"))),
    path("kit/bad/", raising(SuspiciousOperation("canary"))),
    path("kit/broken/", raising(ZeroDivisionError("canary"))),
    path("kit/refused/", raising(Refused("Already handled by Cao Bin."))),
    path("kit/not-allowed/", raising(NotAllowed())),
    path("kit/post/", require_POST(raising(Http404()))),
]
handler400, handler429 = urls.handler400, urls.handler429


@pytest.fixture
def rep(client):
    person = user("rep.shijiazhuang", name="Chen Yu", language="en")
    client.force_login(person)
    return person


def entries(page, opening):
    part = page[page.index(opening) :]
    part = part[: part.index("</nav>")]
    return re.findall(r'<a href="([^"]*)"', part)


def test_the_navigation_leads_to_pages_that_exist(client, rep):
    page = client.get("/profile/").content.decode()
    addresses = [address for address in entries(page, '<nav class="side"') if address not in ("/", "#")]
    assert addresses
    for address in [*addresses, *entries(page, '<nav class="tabbar"')]:
        assert address.startswith("#") or client.get(address).status_code == 200, address


def test_the_current_page_is_marked_once(client, rep):
    page = client.get("/messages/").content.decode()
    side = page[page.index('<nav class="side"') : page.index("</nav>")]
    assert side.count('aria-current="page"') == 1
    assert 'href="/messages/" aria-current="page"' in side
    assert 'aria-current="page"' not in client.get("/profile/").content.decode()


def test_the_foot_of_the_navigation_names_ones_department(client, rep):
    assert "Shijiazhuang · Hebei" in client.get("/profile/").content.decode()


def test_the_frame_asks_for_its_counts_once(client, rep, django_assert_num_queries, rf):
    request = rf.get("/")
    request.user = rep
    around = Frame(request)
    assert around.new  # which reads the roles, as on every page
    with django_assert_num_queries(1):
        for _ in range(2):
            assert [item.count for group in around.groups for item in group if item.name in ("tasks", "messages")]


def test_before_sign_in_there_is_no_frame(rf):
    request = rf.get("/")
    assert frame(request)["frame"] is None
    request.user = AnonymousUser()
    assert frame(request)["frame"] is None


@pytest.mark.urls("tests.crm.test_frame")
@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/kit/nothing/", 404, "Nothing here, or nothing that you may see"),
        ("/kit/forbidden/", 403, "You may not do this"),
        ("/kit/bad/", 400, "Pursuit did not understand this request"),
        ("/kit/broken/", 500, "Something broke on our side"),
        ("/kit/refused/", 409, "Already handled by Cao Bin."),
        ("/kit/not-allowed/", 403, "You may not do this."),
        ("/kit/post/", 405, "This address only takes what a button sends."),
    ],
)
@pytest.mark.case(57)
def test_what_goes_wrong_has_a_page_that_says_what_to_do_and_nothing_of_the_inside(client, rep, address, status, said):
    client.raise_request_exception = False
    answer = client.get(address)
    page = answer.content.decode()
    assert answer.status_code == status
    assert said in page
    assert "canary" not in page
    assert "opportunity 7" not in page
    assert page.count("<h1") == 1


@pytest.mark.case(47)
def test_more_fields_than_are_taken_at_once_have_a_page_that_says_so_and_as_many_are_taken(client, rep):
    def appearance(fields):
        return client.post("/appearance/", {"theme": "dark"} | {f"more{number}": "" for number in range(fields - 1)})

    with unchanged():
        answer = appearance(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1)
    page = answer.content.decode()
    assert (answer.status_code, page.count("<h1")) == (400, 1)
    assert "This is too much at once" in page and "What was sent has more than 20,000 fields" in page
    assert "Nothing was changed. Go back and do it in parts." in page
    assert appearance(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS).status_code == 302
    rep.refresh_from_db()
    assert rep.theme == "dark"


def test_more_text_than_is_taken_at_once_has_a_page_that_says_so(client, rep):
    with unchanged():
        answer = client.post("/appearance/", f"theme=dark&more={'x' * (3 << 20)}", "application/x-www-form-urlencoded")
    assert answer.status_code == 400
    assert "What was sent has more than 2.5 MB of text" in answer.content.decode()


def test_an_address_of_more_fields_has_that_page_too_in_the_language_of_its_reader(client, rep):
    assert client.get("/profile/?" + "&" * 19_999).status_code == 200
    user_of = type(rep).objects.filter(pk=rep.pk)
    user_of.update(language="zh-hans")
    answer = client.get("/opportunities/?" + "&".join(f"x{number}" for number in range(20_001)))
    assert answer.status_code == 400
    assert 'lang="zh-hans"' in answer.content.decode()


@pytest.mark.urls("tests.crm.test_frame")
def test_what_is_hidden_and_what_does_not_exist_have_the_same_page(client, rep):
    token = re.compile(r'(value|content)="[^"]*"')
    hidden = token.sub("", client.get("/kit/nothing/").content.decode())
    assert hidden == token.sub("", client.get("/kit/nowhere/").content.decode())


def test_an_unknown_address_has_a_page_before_sign_in_too(client):
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert "Nothing here" in answer.content.decode()


@pytest.mark.case(22)
def test_a_form_from_another_session_is_refused_with_what_to_do(rep):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(rep)
    answer = strict.post("/profile/", {"name": "Mallory"})
    assert answer.status_code == 403
    assert "This page had expired" in answer.content.decode()
    rep.refresh_from_db()
    assert rep.name == "Chen Yu"


@pytest.mark.urls("tests.crm.test_frame")
def test_a_refusal_leads_back_to_where_one_was_and_nowhere_else(client, rep):
    def back(referer):
        return client.get("/kit/refused/", headers={"referer": referer}).content.decode()

    assert 'href="http://testserver/profile/"' in back("http://testserver/profile/")
    assert "evil" not in back("https://evil.example/")
    assert "javascript" not in back("javascript:alert(1)")
