"""In a browser: a document of the library on a record, what was deleted restored, and a profile with a face."""

from io import BytesIO

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image
from playwright.sync_api import expect

from crm.models import User
from notices.documents import Document
from notices.history import Event
from tests import factories as make
from tests.browser.desk import wrong_with

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rep():
    return make.user("rep", name="Chen Yu", language="en")


@pytest.fixture
def enter(sign_in):
    """This will give a function that opens the profile of somebody."""

    def entered(person, *, scripts=True, width=1440):
        return sign_in(person, "/profile/", java_script_enabled=scripts, viewport={"width": width, "height": 844})

    return entered


def upload(name, content):
    return {"name": name, "mimeType": "application/pdf", "buffer": b"%PDF-1.4 " + content}


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])
def test_a_document_is_kept_linked_renewed_and_taken_away(enter, rep, scripts):
    keeper = make.user("support", "support", at="hebei", language="en")
    opportunity = make.opportunity(rep, state="active", name="Dispatch hotline")

    page = enter(keeper, scripts=scripts)
    page.goto("/documents/")
    page.get_by_role("link", name="New document").click()
    page.get_by_label("Files*").set_input_files(upload("价目表.pdf", b"first"))
    page.get_by_label("Name", exact=True).fill("Price list")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("One document added.")).to_be_visible()

    mine = enter(rep, scripts=scripts)
    mine.goto(f"/files/opportunity/{opportunity.pk}/" if not scripts else f"/opportunities/{opportunity.pk}/")
    mine.get_by_role("link", name="From the library").click()
    mine.get_by_role("button", name="Link Price list").click()
    expect(mine.get_by_text("Price list is linked.")).to_be_visible()
    assert Event.objects.about(opportunity).first().kind == "document_linked"

    document = Document.objects.get()
    page.goto(f"/files/document/{document.pk}/")
    page.get_by_label("New version").set_input_files(upload("2.pdf", b"second"))
    if not scripts:
        page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("link", name="2.pdf", exact=True)).to_be_visible()

    mine.goto(f"/files/opportunity/{opportunity.pk}/")
    link = mine.get_by_role("link", name="Price list", exact=True)
    with mine.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == "2.pdf"
    mine.get_by_role("link", name="Take Price list away").click()
    mine.get_by_role("button", name="Take away").click()
    expect(mine.get_by_text("Price list is taken away.")).to_be_visible()
    assert not document.links.exists()


def test_what_was_deleted_is_restored_with_a_press(enter, rep):
    admin = make.user("admin", "administrator", at="head-office", language="en")
    customer = make.customer(rep, name="Qinghe Water Group")
    make.contact(customer, name="Ms Ding Yan")
    customer.delete_(by=rep)
    page = enter(admin)
    page.get_by_role("link", name="Recycle bin").click()
    page.get_by_role("button", name="Restore Qinghe Water Group").click()
    expect(page.get_by_text("Qinghe Water Group is restored.")).to_be_visible()
    expect(page.get_by_role("heading", name="Qinghe Water Group")).to_be_visible()
    expect(page.get_by_role("link", name="Ms Ding Yan").first).to_be_visible()


@pytest.mark.any_database
def test_a_photo_shows_in_the_frame_and_another_browser_is_signed_out(enter, rep):
    page, other = enter(rep), enter(rep)
    drawn = BytesIO()
    Image.new("RGB", (300, 200), "teal").save(drawn, "PNG")
    page.get_by_label("Photo").set_input_files({"name": "me.png", "mimeType": "image/png", "buffer": drawn.getvalue()})
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Profile saved.")).to_be_visible()
    shown = page.locator(".who .face img")
    assert shown.evaluate("image => image.naturalWidth") == 192
    assert User.objects.get(pk=rep.pk).photo_digest in shown.get_attribute("src")
    page.get_by_role("button", name="Sign out everywhere else").click()
    expect(page.get_by_text("Signed out in one other browser.")).to_be_visible()
    other.goto("/profile/")
    expect(other.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


@pytest.mark.any_database
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_sound_and_do_not_scroll_sideways(enter, rep, width):
    admin = make.user("admin", "administrator", at="head-office", language="en")
    document = Document(name="W" * 150, description="W" * 300)
    document.add(
        [SimpleUploadedFile("w" * 100 + ".pdf", b"%PDF-1.4 ")], by=admin, departments=[make.department("hebei")]
    )
    opportunity = make.opportunity(admin, state="active", name="W" * 150)
    document.link(opportunity, by=admin)
    make.customer(rep, name="W" * 150).delete_(by=rep)
    page = enter(admin, width=width)
    for address in [
        "/profile/", "/documents/", "/documents/new/", f"/documents/{document.pk}/", f"/documents/{document.pk}/edit/",
        f"/documents/{document.pk}/delete/", f"/documents/links/{document.links.get().pk}/end/",
        f"/files/opportunity/{opportunity.pk}/", f"/files/opportunity/{opportunity.pk}/library/", "/recycle/",
        "/profile/email/nothing/",
    ]:  # fmt: skip
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        assert wrong_with(page) == [], address
