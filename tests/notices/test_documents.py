"""The library: a document is kept once, in versions; linked to a record, whoever sees that reads the latest of them."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from crm.verbs import Gone, NotAllowed, Refused, Stale
from notices.documents import Document, DocumentLink
from notices.files import File
from notices.history import Event
from notices.recycle import Recycled
from notices.verification import differences
from tests import factories as make
from tests.asserting import unchanged
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def store(settings, tmp_path):
    """This will give the files a folder of their own."""
    kept = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = settings.STORAGES | {"files": kept}


@pytest.fixture
def keeper():
    return make.user("support", "support", at="hebei", language="en")


@pytest.fixture
def rep():
    return make.user("rep", name="Chen Yu", language="en")


def pdf(name="prices.pdf", content=b"first"):
    return SimpleUploadedFile(name, b"%PDF-1.4 " + content)


def kept(keeper, name="Price list", departments=(), **fields):
    made = Document(name=name, **fields)
    made.add([pdf(f"{name}.pdf")], by=keeper, departments=departments)
    return made


def told(record):
    return list(Event.objects.about(record).order_by("id").values_list("kind", flat=True))


# ── Kept ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_document_is_added_with_its_file_and_found_by_those_whom_it_is_for(client, keeper, rep):
    client.force_login(keeper)
    form = {"name": "Price list 价目表", "description": "Valid in 2026.", "readers": str(make.department("hebei"))}
    answer = client.post("/documents/new/", form | {"files": pdf("价目表.pdf")}, follow=True)
    [document] = Document.objects.all()
    assert answer.redirect_chain == [(f"/documents/{document.pk}/", 302)]
    assert "One document added." in answer.content.decode()
    assert [one.name for one in File.objects.about(document)] == ["价目表.pdf"]
    assert told(document) == ["created", "file_added"]

    client.force_login(rep)  # in Shijiazhuang, which is below Hebei
    page = client.get("/documents/").content.decode()
    assert "Price list 价目表" in page and "Valid in 2026." in page and "Hebei and below" in page
    assert client.get(f"/documents/{document.pk}/").status_code == 200
    file = document.files.get()
    assert client.get(f"/files/{file.pk}/").getvalue() == b"%PDF-1.4 first"

    client.force_login(make.user(at="jinan"))
    assert "Price list" not in client.get("/documents/?q=price").content.decode()
    addresses = [f"/documents/{document.pk}/", f"/files/{file.pk}/", f"/files/{file.pk}/preview/"]
    addresses += [f"/files/document/{document.pk}/", f"/documents/{document.pk}/history/"]
    assert [client.get(address).status_code for address in addresses] == [404] * 5


def test_several_files_become_as_many_documents_called_as_they_are(client, keeper):
    client.force_login(keeper)
    answer = client.post("/documents/new/", {"files": [pdf("b.pdf"), pdf("a 价.pdf")]}, follow=True)
    assert "2 documents added." in answer.content.decode()
    assert [str(one) for one in Document.objects.in_order()] == ["a 价", "b"]
    with nothing_changed():
        page = client.post("/documents/new/", {"name": "One", "files": [pdf("c.pdf"), pdf("d.pdf")]}).content.decode()
    assert "Several files are named as they are." in page


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "Fill this in."),
        ({"files": SimpleUploadedFile("run.exe", b"MZ")}, "Files of this type are not taken."),
        ({"files": SimpleUploadedFile("empty.pdf", b"")}, "empty"),
        ({"files": SimpleUploadedFile("fake.pdf", b"GIF89a")}, "What is in this file is not what its name says: .pdf."),
    ],
)
def test_what_is_no_file_is_refused_where_it_was_chosen(client, keeper, sent, said):
    client.force_login(keeper)
    with nothing_changed():
        page = client.post("/documents/new/", {"name": "Kept as typed"} | sent).content.decode()
    assert said in page
    assert 'value="Kept as typed"' in page


def test_sent_twice_one_document_is_added(client, keeper):
    client.force_login(keeper)
    once = client.get("/documents/new/").context["form"]["once"].value()
    for _press in range(2):
        client.post("/documents/new/", {"name": "Price list", "once": once, "files": pdf()})
    assert Document.objects.count() == 1


def test_a_new_version_is_what_everybody_gets_and_earlier_ones_stay_below_it(client, keeper, rep):
    document = kept(keeper)
    first = document.files.get()
    [latest], _none = File.add(document, [pdf("prices-2.pdf", b"second")], by=keeper)
    client.force_login(rep)
    listed = client.get("/documents/").content.decode()
    assert f"/files/{latest.pk}/" in listed and f"/files/{first.pk}/" not in listed
    versions = client.get(f"/files/document/{document.pk}/").content.decode()
    assert versions.index("prices-2.pdf") < versions.index("Price list.pdf")
    assert "Add files" not in versions

    client.force_login(keeper)
    client.post(f"/files/{latest.pk}/delete/")
    assert f"/files/{first.pk}/" in client.get("/documents/").content.decode()
    with nothing_changed():
        answer = client.post(f"/files/{first.pk}/delete/")
    assert "This is the only file." in answer.content.decode()


def test_it_is_changed_and_its_history_says_so(client, keeper):
    document = kept(keeper)
    client.force_login(keeper)
    address = f"/documents/{document.pk}/edit/"
    client.post(address, {"name": "Prices", "description": "", "readers": "", "version": document.version})
    document.refresh_from_db()
    assert (document.name, told(document)[-1]) == ("Prices", "changed")
    with unchanged():
        answer = client.post(address, {"name": "Other", "description": "", "version": 1})
    assert "Now it says “Prices”." in answer.content.decode()
    assert "changed name." in client.get(f"/documents/{document.pk}/history/").content.decode()
    with pytest.raises(Stale):
        document.change(by=keeper, name="x", departments=[], seen=1)


@pytest.mark.parametrize("roles", [["rep"], ["gm"], ["director"]])
def test_nobody_else_keeps_the_library(client, keeper, roles):
    document = kept(keeper)
    person = make.user(None, *roles, at="hebei")
    client.force_login(person)
    assert "New document" not in client.get("/documents/").content.decode()
    with nothing_changed():
        for act in ("edit", "delete", "history"):
            assert client.get(f"/documents/{document.pk}/{act}/").status_code == 403
        assert client.post(f"/documents/{document.pk}/delete/").status_code == 403
        assert client.post("/documents/new/", {"files": pdf()}).status_code == 403
        client.post(f"/files/document/{document.pk}/", {"files": pdf()})
        for verb in (
            lambda: Document(name="x").add([pdf()], by=person),
            lambda: document.change(by=person, departments=[], name="x"),
            lambda: document.delete_(by=person),
        ):
            with pytest.raises(NotAllowed):
                verb()


@pytest.mark.parametrize("roles", [["support"], ["opportunity_manager"], ["administrator"]])
def test_these_keep_it_and_see_all_of_it(client, keeper, roles):
    kept(keeper, departments=[make.department("jinan")])
    client.force_login(make.user(None, *roles, at="baoding"))
    page = client.get("/documents/").content.decode()
    assert "Price list" in page and "New document" in page


# ── Linked ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rep_links_it_to_records_and_whoever_sees_those_reads_it(client, keeper, rep):
    document = kept(keeper, departments=[make.department("hebei")])
    first = document.files.get()
    opportunity = make.opportunity(rep, state="active")
    customer = opportunity.customer
    client.force_login(rep)
    assert "From the library" in client.get(f"/files/opportunity/{opportunity.pk}/").content.decode()
    for kind, record in (("opportunity", opportunity), ("customer", customer)):
        assert "Price list" in client.get(f"/files/{kind}/{record.pk}/library/?q=price").content.decode()
        answer = client.post(f"/files/{kind}/{record.pk}/library/", {"document": document.pk}, follow=True)
        assert "Price list is linked." in answer.content.decode()
        record.refresh_from_db()
        assert (record.file_count, told(record)[-1]) == (1, "document_linked")
    assert client.get(f"/documents/{document.pk}/").context["linked"] == [customer, opportunity]

    stranger = make.user(at="jinan")
    client.force_login(stranger)
    assert client.get(f"/files/{first.pk}/").status_code == 404
    opportunity.share(by=rep, people=[stranger])
    [latest], _none = File.add(document, [pdf("new.pdf", b"second")], by=keeper)
    section = client.get(f"/files/opportunity/{opportunity.pk}/").content.decode()
    assert "Price list" in section and f"/files/{latest.pk}/" in section
    assert client.get(f"/files/{latest.pk}/").getvalue() == b"%PDF-1.4 second"
    assert client.get(f"/files/{latest.pk}/preview/").getvalue() == b"%PDF-1.4 second"
    assert client.get(f"/files/{first.pk}/").status_code == 404  # earlier versions are the library's
    assert client.get(f"/files/{latest.pk}/delete/").status_code == 404
    assert client.get(f"/documents/{document.pk}/").status_code == 404
    opportunity.unshare(by=rep, person=stranger)
    assert client.get(f"/files/{latest.pk}/").status_code == 404
    assert list(differences()) == []


def test_it_is_taken_away_by_who_linked_it_or_may_change_the_record_and_stays_in_the_library(client, keeper, rep):
    document, opportunity = kept(keeper), make.opportunity(rep, state="active")
    colleague = make.user(None, "gm")
    document.link(opportunity, by=colleague)
    [link] = DocumentLink.objects.all()
    reader, stranger = make.user(), make.user(at="jinan")
    opportunity.share(by=rep, people=[reader])
    with nothing_changed():
        client.force_login(reader)
        assert client.get(f"/documents/links/{link.pk}/end/").status_code == 403
        assert client.post(f"/documents/links/{link.pk}/end/").status_code == 403
        client.force_login(stranger)
        assert client.post(f"/documents/links/{link.pk}/end/").status_code == 404
    client.force_login(rep)
    assert "Take Price list away?" in client.get(f"/documents/links/{link.pk}/end/").content.decode()
    answer = client.post(f"/documents/links/{link.pk}/end/", follow=True)
    assert "Price list is taken away." in answer.content.decode()
    opportunity.refresh_from_db()
    assert (opportunity.file_count, told(opportunity)[-1]) == (0, "document_unlinked")
    assert list(Document.objects.all()) == [document]
    assert client.post(f"/documents/links/{link.pk}/end/").status_code == 404
    document.link(opportunity, by=colleague)
    DocumentLink.objects.get().end(by=colleague)
    with pytest.raises(Gone):
        link.end(by=rep)


def test_linked_twice_it_stands_there_once(client, keeper, rep):
    document, opportunity = kept(keeper), make.opportunity(rep)
    document.link(opportunity, by=rep)
    client.force_login(rep)
    with nothing_changed():
        answer = client.post(f"/files/opportunity/{opportunity.pk}/library/", {"document": document.pk})
    assert answer.status_code == 409
    assert "It is linked already." in answer.content.decode()


@pytest.mark.case(4)
def test_one_links_only_what_one_finds_to_what_one_may_add_files_to(client, keeper, rep):
    hidden = kept(keeper, departments=[make.department("jinan")])
    document, opportunity = kept(keeper, "Open"), make.opportunity(rep, state="active")
    reader, stranger = make.user(at="jinan"), make.user(at="jinan")
    opportunity.share(by=rep, people=[reader])
    with nothing_changed():
        client.force_login(rep)
        address = f"/files/opportunity/{opportunity.pk}/library/"
        for chosen in (hidden.pk, 0, "x", "", "9" * 5000):
            assert client.post(address, {"document": chosen}).status_code == 404
        assert client.get(f"/files/document/{document.pk}/library/").status_code == 403
        client.force_login(reader)  # sees the opportunity, may not add files
        assert client.post(address, {"document": document.pk}).status_code == 403
        client.force_login(stranger)
        assert client.post(address, {"document": document.pk}).status_code == 404
        for person, one, about in [
            (rep, hidden, opportunity),
            (reader, document, opportunity),
            (keeper, hidden, document),
        ]:
            with pytest.raises(NotAllowed):
                one.link(about, by=person)


def test_a_record_takes_no_more_than_its_files(settings, keeper, rep):
    settings.FILES_EACH = 1
    opportunity = make.opportunity(rep)
    kept(keeper, "One").link(opportunity, by=rep)
    other = kept(keeper, "Two")
    with nothing_changed(), pytest.raises(Refused, match="no more can be kept"):
        other.link(opportunity, by=rep)
    with nothing_changed(), pytest.raises(Refused, match="no more can be kept"):
        File.add(opportunity, [pdf()], by=rep)


# ── Deleted ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_deleted_it_goes_from_all_records_and_restored_it_stands_there_again(client, keeper, rep):
    admin = make.user(None, "administrator", at="head-office")
    document, opportunity, customer = kept(keeper), make.opportunity(rep), make.customer(rep)
    for record in (opportunity, customer):
        document.link(record, by=rep)
    file = document.files.get()
    client.force_login(keeper)
    client.post(f"/documents/{document.pk}/delete/", {"version": document.version})
    for record in (opportunity, customer):
        record.refresh_from_db()
        assert (record.file_count, told(record)[-1]) == (0, "document_unlinked")
    assert client.get(f"/files/{file.pk}/").status_code == 404
    assert list(differences()) == []

    customer.delete_(by=rep)
    back = Recycled.objects.get(about_type__model="document").restore(by=admin)
    opportunity.refresh_from_db()
    assert (opportunity.file_count, back.linked_to(admin)) == (1, [opportunity])
    assert client.get(f"/files/{file.pk}/").getvalue() == b"%PDF-1.4 first"
    assert list(differences()) == []


def test_a_record_comes_back_without_the_document_that_went_meanwhile(keeper, rep):
    admin = make.user(None, "administrator", at="head-office")
    stays, goes, customer = kept(keeper, "Stays"), kept(keeper, "Goes"), make.customer(rep)
    for document in (stays, goes):
        document.link(customer, by=rep)
    customer.refresh_from_db()
    customer.delete_(by=rep)
    goes.delete_(by=keeper)
    back = Recycled.objects.get(about_type__model="customer").restore(by=admin)
    assert ([link.document for link in back.document_links.all()], back.file_count) == ([stays], 1)
    alone = kept(keeper, "Alone")
    alone.link(back, by=rep)
    DocumentLink.objects.exclude(document=alone).delete()
    back.count_files()
    back.delete_(by=rep)
    alone.delete_(by=keeper)
    assert Recycled.objects.get(about_type__model="customer").restore(by=admin).file_count == 0
    assert list(differences()) == []


# ── The list ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_is_found_by_every_word_of_its_name_description_or_file(client, keeper, rep):
    kept(keeper, "Price list", description="Discounts above 15 %")
    kept(keeper, "合同模板")
    client.force_login(rep)

    def names(text):
        return [str(one) for one in client.get("/documents/", {"q": text}).context["page"]]

    assert names("") == ["Price list", "合同模板"]
    assert names("PRICE discounts") == ["Price list"]
    assert names("合同") == ["合同模板"]
    assert names("list.pdf") == ["Price list"]
    assert names("price contract") == []
    assert names("100%") == names("\0_") == []


def test_the_list_costs_the_same_for_one_and_for_thirty(client, keeper, rep, django_assert_num_queries):
    client.force_login(rep)
    kept(keeper)
    client.get("/documents/")

    def queries():
        with django_assert_num_queries(12, exact=False) as asked:
            client.get("/documents/")
        return len(asked)

    one = queries()
    for number in range(29):
        kept(keeper, f"Document {number}")
    assert queries() == one
