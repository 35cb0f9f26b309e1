"""Cases of access: whoever asks in another way, for more, or under another name gets what the permission table says."""

import re
from html import unescape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from crm.models import User
from notices.files import File
from notices.models import Comment
from opportunities.models import Opportunity
from tests import factories as make
from tests.asserting import not_there
from tests.digest import nothing_changed
from tests.importing import signed_in
from tests.opportunities.acts import ACTS, address, in_state, typed

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

LISTS = ["/opportunities/", "/opportunities/board/", "/customers/", "/contacts/", "/follow-ups/", "/tasks/done/"]
OTHER_FORMS = [
    ("", {"HX-Request": "true"}),
    ("", {"Accept": "application/json"}),
    ("", {"Accept": "text/csv"}),
    ("", {"X-Requested-With": "XMLHttpRequest"}),
    ("?format=json", {}),
    ("?format=xlsx", {}),
    ("?print=1", {}),
]


@pytest.fixture
def stranger():
    """This will give somebody of another province, who sees nothing of the others."""
    return signed_in(make.user("stranger", at="jinan", language="en"))


@pytest.fixture
def file(settings, tmp_path):
    """This will give a file on an active opportunity, in a folder of its own."""
    kept = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = settings.STORAGES | {"files": kept}
    opportunity = in_state("active")
    File.add(opportunity, [SimpleUploadedFile("offer.pdf", b"%PDF-1.4 An offer.")], by=opportunity.owner)
    return File.objects.get()


@pytest.mark.case(1)
@pytest.mark.parametrize(("query", "headers"), OTHER_FORMS)
def test_in_whatever_form_a_record_out_of_sight_is_asked_for_it_is_as_one_that_never_was(stranger, query, headers):
    opportunity = in_state("active")
    owner = signed_in(opportunity.owner)

    for where in (address(opportunity), address(opportunity, "history"), f"/customers/{opportunity.customer_id}/"):
        hidden = stranger.get(where + query, headers=headers)
        assert hidden.status_code == 404
        assert opportunity.name not in hidden.content.decode()
        assert not_there(stranger, where + query)
        assert owner.get(where + query, headers=headers).status_code == 200


@pytest.mark.case(1)
def test_a_record_out_of_sight_costs_the_questions_that_one_costs_which_never_was(stranger):
    opportunity = in_state("active")

    def asked(pk):
        with CaptureQueriesContext(connection) as queries:
            assert stranger.get(f"/opportunities/{pk}/").status_code == 404
        return [re.sub(r"\b[0-9a-f]{32}\b|\d+", "9", query["sql"]) for query in queries]

    asked(987654321)  # what is read once
    assert asked(opportunity.pk) == asked(987654321)


@pytest.mark.case(5)
def test_whoever_may_edit_changes_the_fields_of_the_form_and_nothing_else():
    opportunity, other = in_state("active"), make.user("other")
    guest = make.user("guest", at="jinan")
    opportunity.share(by=opportunity.owner, people=[guest], may_edit=True)
    before = Opportunity.objects.filter(pk=opportunity.pk).values().get()
    more = {
        "owner": other.pk,
        "owner_id": guest.pk,
        "owner[id]": guest.pk,
        "owner.id": guest.pk,
        "created_by": guest.pk,
        "state": "signed",
        "approved_amount": "1",
        "number": "OP2020-000001",
        "id": other.pk,
        "pk": other.pk,
        "department": guest.department_id,
        "department_id": guest.department_id,
        "base_cents": "1",
        "list_key": "1",
        "created_at": "2001-01-01",
        "closed_on": "2001-01-01",
        "external_number": "1",
        "is_staff": "on",
    }

    answer = signed_in(guest).post(address(opportunity, "edit"), typed(opportunity, name="Another name") | more)

    assert answer.status_code == 302
    after = Opportunity.objects.filter(pk=opportunity.pk).values().get()
    assert after["name"] == "Another name"
    changed = {key for key in before if before[key] != after[key]}
    assert changed <= {"name", "name_key", "version", "updated_at", "updated_by_id"}
    guest.refresh_from_db()
    assert not guest.is_staff


@pytest.mark.case(5)
@pytest.mark.parametrize("field", ["amount", "stage", "source", "expected_close_on", "probability", "business_type"])
def test_what_is_of_another_kind_than_the_field_is_refused_and_nothing_is_changed(field):
    opportunity = in_state("active")
    client = signed_in(opportunity.owner)

    for value in ('{"id": 1}', "[1, 2]", "null", "true", "<object>"):
        with nothing_changed():
            answer = client.post(address(opportunity, "edit"), typed(opportunity, name="Another name") | {field: value})
            assert answer.status_code == 200, (field, value)
    assert client.post(address(opportunity, "edit"), typed(opportunity, name="Another name")).status_code == 302


@pytest.mark.case(6)
@pytest.mark.parametrize("where", ["/opportunities/", "/opportunities/?export=csv", "/opportunities/board/", "/"])
def test_nobody_looks_with_the_eyes_of_another(stranger, where):
    opportunity = in_state("active")
    pk = opportunity.owner_id
    asked = f"user={pk}&as_user={pk}&user_id={pk}&owner={pk}&by={pk}&view_as={opportunity.owner.username}"
    headers = {"X-User-Id": str(pk), "X-Remote-User": opportunity.owner.username, "Remote-User": str(pk)}
    address_asked = f"{where}{'&' if '?' in where else '?'}{asked}"

    def said(client):
        answer = client.get(address_asked, headers=headers)
        assert answer.status_code == 200
        return answer.getvalue().decode()

    assert opportunity.name not in said(stranger)
    assert opportunity.name in said(signed_in(opportunity.owner))


@pytest.mark.case(8)
@pytest.mark.parametrize("where", LISTS)
@pytest.mark.parametrize(
    "asked",
    [
        "owner__password__startswith={}",
        "owner__password={}",
        "password.has={}",
        "sort=owner__password&{}",
        "sort=-owner.password&{}",
        "columns=name,owner__password,{}",
        "q[__class__]={}",
        "q.__class__={}",
        'where={{"all": [["owner__password", "starts", "{}"]]}}',
        'where={{"all": [["created_by__password", "has", "{}"]]}}',
    ],
)
def test_two_guesses_at_what_is_not_to_be_asked_get_one_answer(where, asked):
    rep = make.user(language="en")
    opportunity = make.opportunity(rep, state="active", name="Harbour cranes")
    make.contact(opportunity.customer)
    make.follow_up(opportunity)
    client = signed_in(rep)

    def said(guess):
        answer = client.get(f"{where}?{asked.format(guess)}")
        assert answer.status_code == 200
        page = unescape(answer.content.decode())
        page = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page)
        return page.replace(guess, "")

    right, wrong = said("md5"), said("zzz")  # with which the password's hash begins, and not
    assert right == wrong
    assert rep.password.split("$")[-1] not in right


@pytest.mark.case(12)
def test_what_hung_on_a_record_is_not_inherited_by_another_under_its_key():
    opportunity = make.opportunity()
    guest = make.user("guest", at="jinan")
    opportunity.share(by=opportunity.owner, people=[guest], departments=[guest.department], may_edit=True)
    client, pk = signed_in(guest), opportunity.pk
    assert client.get(f"/opportunities/{pk}/").status_code == 200
    opportunity.delete()

    other = make.opportunity(pk=pk)

    assert client.get(f"/opportunities/{pk}/").status_code == 404
    assert not Opportunity.objects.visible_to(guest).exists()
    assert signed_in(other.owner).get(f"/opportunities/{pk}/").status_code == 200


@pytest.mark.case(12)
def test_a_new_customer_under_the_key_of_a_deleted_one_has_nothing_of_it():
    rep = make.user()
    customer = make.customer(rep, name="Qinghe Water Group")
    Comment(about=customer, text="They pay late.").add(by=rep)
    make.follow_up(customer, content="Called Ms Ding.")
    pk = customer.pk
    customer.delete_(by=rep)

    other = make.customer(make.user(), name="Yunhe Paper", pk=pk)

    page = signed_in(other.owner).get(f"/customers/{pk}/").content.decode()
    assert "Yunhe Paper" in page
    assert "They pay late." not in page and "Called Ms Ding." not in page
    assert signed_in(rep).get(f"/customers/{pk}/").status_code == 404


@pytest.mark.case(19)
def test_a_file_is_given_to_nobody_by_a_guess_or_by_a_request_of_another_kind(stranger, file):
    owner = signed_in(file.about.owner)
    given = owner.get(f"/files/{file.pk}/")
    assert b"".join(given.streaming_content) == b"%PDF-1.4 An offer."

    guessed = [f"/media/{file.key}", f"/media/files/{file.key}", f"/files/{file.key}", f"/static/{file.key}"]
    guessed += [f"/static/../{file.key}", f"/files/{file.pk + 1}/", f"/files/opportunity/{file.about_id}/{file.key}"]
    for where in guessed:
        assert owner.get(where).status_code == 404, where
        assert stranger.get(where).status_code == 404, where
    for where in (f"/files/{file.pk}/", f"/files/{file.pk}/preview/"):
        for headers in ({}, {"Range": "bytes=0-3"}, {"If-None-Match": "*"}, {"X-Accel-Redirect": file.key}):
            assert stranger.get(where, headers=headers).status_code == 404
            assert stranger.head(where, headers=headers).status_code == 404


@pytest.mark.case(20)
@pytest.mark.parametrize("of", ["", "edit", "sign", "move"])
def test_another_method_under_a_header_or_a_name_is_not_taken(of):
    opportunity = in_state("active")
    client = signed_in(opportunity.owner)
    where = address(opportunity, of)

    with nothing_changed():
        for method in ("OPTIONS", "TRACE", "DELETE", "PROPFIND", "PURGE"):
            assert client.generic(method, where).status_code == 405
        for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            answer = client.post(where, {"_method": "DELETE"}, headers={name: "DELETE"})
            assert answer.status_code in (200, 405, 409)  # the form once more, or that this is not taken
            assert client.get(where, headers={name: "POST"}).status_code in (200, 405)


@pytest.mark.case(63)
@pytest.mark.parametrize("mine_first", [True, False])
def test_what_is_named_twice_is_looked_at_and_acted_on_as_one(mine_first):
    opportunity = in_state("active")
    mine, theirs = opportunity.customer.contacts.get(), make.contact(make.customer(make.user(at="jinan")))
    named = [mine.pk, theirs.pk] if mine_first else [theirs.pk, mine.pk]
    client = signed_in(opportunity.owner)

    client.post(address(opportunity, "contact"), {"contact_id": named, "contact": "", "role": "decides"})

    assert not opportunity.placements.filter(contact=theirs).exists()
    client.post(address(opportunity, "contact"), {"contact_id": mine.pk, "role": "decides"})
    assert opportunity.placements.get().contact == mine


@pytest.mark.case(63)
def test_the_address_says_which_record_is_meant_whatever_stands_beside_it():
    mine, theirs = in_state("active"), make.opportunity(make.user(at="jinan"), state="active")
    before = Opportunity.objects.filter(pk=theirs.pk).values().get()
    sent = typed(mine, name="Another name") | {"pk": theirs.pk, "id": theirs.pk, "opportunity": theirs.pk}

    answer = signed_in(mine.owner).post(f"{address(mine, 'edit')}?pk={theirs.pk}&id={theirs.pk}", sent)

    assert answer.status_code == 302
    assert Opportunity.objects.get(pk=mine.pk).name == "Another name"
    assert Opportunity.objects.filter(pk=theirs.pk).values().get() == before


@pytest.mark.case(63)
def test_a_selection_that_names_ones_own_and_anothers_touches_ones_own_alone():
    mine, theirs = in_state("active"), make.opportunity(make.user(at="jinan"), state="active")
    colleague = User.objects.get(pk=make.user("colleague").pk)
    client = signed_in(mine.owner)
    where = f"/opportunities/bulk/transfer/?pk={mine.pk}&pk={theirs.pk}"
    page = client.get(where)

    answer = client.post(
        f"{where}&pk={theirs.pk}",
        {
            "once": page.context["once"],
            "owner_id": colleague.pk,
            "pk": theirs.pk,
        },
    )

    assert answer.status_code == 302
    assert Opportunity.objects.get(pk=mine.pk).owner == colleague
    assert Opportunity.objects.get(pk=theirs.pk).owner == theirs.owner


@pytest.mark.case(22)
@pytest.mark.parametrize("name", ACTS)
def test_an_act_is_done_with_the_token_of_ones_own_browser_and_with_no_other(name):
    act = ACTS[name]
    opportunity = act.world()
    data, actor = act.sends(opportunity), act.actor(opportunity)
    mine, theirs = strict(actor), strict(make.user())
    where = address(opportunity, act.page)

    with nothing_changed():
        for token in (None, "", "a" * 64, token_of(theirs), token_of(mine)[::-1]):
            sent = data if token is None else data | {"csrfmiddlewaretoken": token}
            assert mine.post(where, sent).status_code == 403
            assert mine.post(where, sent, headers={"HX-Request": "true", "X-CSRFToken": token or ""}).status_code == 403
    assert mine.post(where, data | {"csrfmiddlewaretoken": token_of(mine)}).status_code == 302


def strict(person):
    """This will give a browser in which somebody is signed in, and which asks for tokens as a real one is asked."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(person)
    return client


def token_of(client):
    """This will give the token that a page has in this browser."""
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get("/").content.decode())[1]
