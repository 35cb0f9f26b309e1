"""One's own profile: what it takes, what it refuses, and that a change shows at once."""

import re
from datetime import timedelta
from io import BytesIO

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from PIL import Image

from crm.models import Audit, Photo, User
from crm.pictures import drawn_anew
from notices.delivery import deliver
from tests.factories import user

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def rep(client):
    person = user("rep.shijiazhuang", name="Chen Yu", language="en")
    client.force_login(person)
    return person


def typed(person, **changes):
    fields = ["name", "title", "phone", "email", "language", "time_zone", "theme"]
    return {field: getattr(person, field) for field in fields} | {"initial-email": person.email} | changes


def kept(person):
    return User.objects.filter(pk=person.pk).values().get()


def test_a_profile_is_changed_and_says_so(client, rep):
    answer = client.post(
        "/profile/",
        typed(rep, name="Chen Yu 陈宇", title="客户经理", phone="+86 311 555-0100", time_zone="shanghai"),
        follow=True,
    )
    assert answer.redirect_chain == [("/profile/", 302)]
    page = answer.content.decode()
    assert "Profile saved." in page
    assert 'role="status"' in page
    rep.refresh_from_db()
    assert (rep.name, rep.title) == ("Chen Yu 陈宇", "客户经理")
    assert (rep.phone, rep.time_zone) == ("+86 311 555-0100", "Asia/Shanghai")


@pytest.mark.case(42)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_changed(client, rep):
    other = user("other", email="taken@example.org")
    before = kept(rep)
    answer = client.post(
        "/profile/", typed(rep, name="", phone="call me", email=other.email.upper(), time_zone="Mars", theme="pink")
    )
    page = answer.content.decode()
    for said in [
        "5 things to correct.",
        "Fill this in.",
        "Write digits, + and spaces.",
        "Another account has this address.",
    ]:
        assert said in page
    assert 'value="Mars"' in page
    assert '<span class="name">Chen Yu</span>' in page  # the frame shows who one is, not who one tried to be
    assert kept(rep) == before


def test_a_new_language_shows_at_once_and_in_the_toast(client, rep):
    page = client.post("/profile/", typed(rep, language="zh-hans"), follow=True).content.decode()
    assert '<html lang="zh-hans"' in page
    page = client.post("/profile/", typed(rep, language="en"), follow=True).content.decode()
    assert '<html lang="en"' in page
    assert "Profile saved." in page


def test_without_a_language_of_ones_own_the_browser_chooses(client, rep):
    client.post("/profile/", typed(rep, language=""))
    assert '<html lang="zh-hans"' in client.get("/profile/", headers={"accept-language": "zh-CN"}).content.decode()
    assert '<html lang="en"' in client.get("/profile/", headers={"accept-language": "en"}).content.decode()


def test_language_and_appearance_can_be_switched_from_the_menu_of_every_page(client, rep):
    assert client.post("/language/", {"language": "zh-hans", "next": "/profile/?a=1"}).url == "/profile/?a=1"
    assert client.post("/appearance/", {"theme": "dark", "next": "/profile/"}).url == "/profile/"
    rep.refresh_from_db()
    assert (rep.language, rep.theme) == ("zh-hans", "dark")
    assert 'lang="zh-hans" data-bs-theme="dark"' in client.get("/profile/").content.decode()


def test_a_language_or_appearance_that_there_is_not_changes_nothing(client, rep):
    before = kept(rep)
    client.post("/language/", {"language": "fr", "next": "/"})
    client.post("/appearance/", {"theme": "pink", "next": "/"})
    client.get("/appearance/", {"theme": "dark"})
    assert client.post("/appearance/", {"theme": before["theme"], "next": "//evil.example"}).url == "/"
    assert kept(rep) == before


@pytest.mark.case(5)
def test_a_profile_changes_nothing_that_is_the_administrators(client, rep):
    before = kept(rep)
    client.post("/profile/", typed(rep, username="boss", is_staff="on", is_superuser="on", department="1", roles="1"))
    assert kept(rep) == before
    assert set(rep.role_keys) == {"rep"}


# ── The e-mail address ───────────────────────────────────────────────────────────────────────────────────────────────


def sent_since(count):
    """This will send what waits, and give the mails after the first `count`: [(to, link)]."""
    deliver()
    return [(sent.to, re.search(r"http://[^/]+(/\S+)", sent.body)[1]) for sent in mail.outbox[count:]]


def test_a_new_address_counts_once_it_is_confirmed_by_the_link_that_went_there(client, rep):
    old = rep.email
    EmailAddress.objects.create(user=rep, email=old, primary=True, verified=True)
    page = client.post("/profile/", typed(rep, email="new@example.org"), follow=True).content.decode()
    assert "A link was sent to new@example.org." in page
    assert (kept(rep)["email"], kept(rep)["email_wanted"]) == (old, "new@example.org")
    [(to, link)] = sent_since(0)
    assert to == ["new@example.org"]
    assert "Notification settings" not in mail.outbox[0].body

    assert "Is new@example.org your address?" in client.get(link).content.decode()
    assert kept(rep)["email"] == old  # looking changes nothing
    assert "Mails go to new@example.org from now on." in client.post(link, follow=True).content.decode()
    assert (kept(rep)["email"], kept(rep)["email_wanted"]) == ("new@example.org", "")
    assert list(Audit.objects.filter(by=rep).order_by("id").values_list("kind", flat=True)) == [
        "email_wanted", "email_changed",
    ]  # fmt: skip
    [(to, _link)] = sent_since(1)
    assert to == [old]
    assert "Mails of Pursuit go to new@example.org from now on" in mail.outbox[1].body

    client.logout()
    client.post("/accounts/password/reset/", {"email": old})
    assert sent_since(2) == []
    client.post("/accounts/password/reset/", {"email": "new@example.org"})
    [(to, _link)] = sent_since(2)
    assert to == ["new@example.org"]


def test_a_link_is_good_once_for_its_owner_and_for_the_last_address_that_was_asked_for(client, rep):
    client.post("/profile/", typed(rep, email="first@example.org"))
    client.post("/profile/", typed(rep, email="second@example.org"))
    first, second = (link for _to, link in sent_since(0))
    no_good = "This link is no longer good"
    for link in [first, second[:-2] + "x/", "/profile/email/nonsense/"]:
        assert no_good in client.get(link).content.decode()
        assert client.post(link).status_code == 409
    client.force_login(user("stranger"))
    assert client.post(second).status_code == 409
    client.force_login(rep)
    with time_machine.travel(timezone.now() + timedelta(days=1, minutes=1), tick=False):
        client.force_login(rep)
        assert client.post(second).status_code == 409
    assert kept(rep)["email"] == rep.email
    client.force_login(rep)
    assert client.post(second).status_code == 302
    assert kept(rep)["email"] == "second@example.org"
    assert client.post(second).status_code == 409


def test_an_address_that_somebody_else_took_meanwhile_is_refused(client, rep):
    client.post("/profile/", typed(rep, email="new@example.org"))
    [(_to, link)] = sent_since(0)
    user("faster", email="NEW@example.org")
    assert "Another account has this address." in client.post(link).content.decode()
    assert kept(rep)["email"] == rep.email


def test_whoever_changes_their_mind_keeps_the_old_address(client, rep):
    client.post("/profile/", typed(rep, email="new@example.org"))
    [(_to, link)] = sent_since(0)
    client.post("/profile/email/")
    assert client.post(link).status_code == 409
    assert (kept(rep)["email"], kept(rep)["email_wanted"]) == (rep.email, "")


def test_no_address_at_all_needs_no_confirmation(client, rep):
    client.post("/profile/", typed(rep, email=""))
    assert (kept(rep)["email"], Audit.objects.filter(kind="email_changed", by=rep).count()) == ("", 1)
    [(to, _link)] = sent_since(0)  # or who takes an address away first could put another in its place unseen
    assert to == [rep.email]
    assert "Mails of Pursuit no longer go to this address." in mail.outbox[0].body


def test_whoever_does_not_touch_the_address_keeps_what_an_administrator_has_put_there_meanwhile(client, rep):
    shown = typed(rep, theme="dark")
    User.objects.filter(pk=rep.pk).update(email="right@example.org")
    client.post("/profile/", shown)
    assert (kept(rep)["email"], kept(rep)["email_wanted"], kept(rep)["theme"]) == ("right@example.org", "", "dark")
    assert sent_since(0) == []


def test_mails_to_strangers_are_counted_and_the_sixth_in_an_hour_is_refused(client, rep):
    for number in range(5):
        client.post("/profile/", typed(rep, email=f"{number}@example.org"))
    before = kept(rep)
    page = client.post("/profile/", typed(rep, email="6@example.org", name="Other")).content.decode()
    assert "Too many addresses. Wait 60 minutes." in page
    assert 'value="6@example.org"' in page
    assert kept(rep) == before
    assert client.post("/profile/", typed(rep, name="Other")).status_code == 302  # all else can still be changed
    assert kept(rep)["name"] == "Other"


# ── The photo ────────────────────────────────────────────────────────────────────────────────────────────────────────


Turn = Image.Transpose
# What a camera that was held so makes of an upright picture, by the number that it writes.
UNTURNED = {
    2: Turn.FLIP_LEFT_RIGHT, 3: Turn.ROTATE_180, 4: Turn.FLIP_TOP_BOTTOM, 5: Turn.TRANSPOSE, 6: Turn.ROTATE_90,
    7: Turn.TRANSVERSE, 8: Turn.ROTATE_270,
}  # fmt: skip


def picture(size=(400, 300), kind="JPEG", name="me.jpg"):
    drawn = BytesIO()
    Image.new("RGB", size, "teal").save(drawn, kind, comment=b"<script>") if kind == "JPEG" else Image.new(
        "RGB", size, "teal"
    ).save(drawn, kind)
    return SimpleUploadedFile(name, drawn.getvalue(), "image/jpeg")


def test_a_photo_is_drawn_anew_and_shown_in_place_of_the_initials(client, rep):
    assert '<span class="face me" aria-hidden="true">CY</span>' in client.get("/profile/").content.decode()
    assert client.post("/profile/", typed(rep, new_photo=picture())).status_code == 302
    rep.refresh_from_db()
    address = f"/people/{rep.pk}/photo/{rep.photo_digest}/"
    assert f'<span class="face me" aria-hidden="true"><img src="{address}" alt=""></span>' in (
        client.get("/profile/").content.decode()
    )
    client.force_login(user("colleague"))
    answer = client.get(address)
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("image/png", "private, max-age=31536000, immutable")
    with Image.open(BytesIO(answer.content)) as shown:
        assert (shown.format, shown.size, shown.info) == ("PNG", (192, 144), {})
    client.logout()
    assert client.get(address).url.startswith("/accounts/login/")


def test_a_photo_stays_where_a_page_from_before_it_is_saved(client, rep):
    shown = typed(rep, phone="10086")
    client.post("/profile/", typed(rep, new_photo=picture()))
    digest = kept(rep)["photo_digest"]
    client.post("/profile/", shown)
    assert (kept(rep)["photo_digest"], kept(rep)["phone"]) == (digest, "10086")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright_whatever_else_the_camera_wrote(orientation):
    upright = Image.new("RGB", (40, 20), "white")
    upright.paste("black", (0, 0, 20, 10))  # its upper left
    turned = upright if orientation == 1 else upright.transpose(UNTURNED[orientation])
    file, tags = BytesIO(), Image.Exif()
    tags[0x0112] = orientation
    tags[0x010E] = "What it shows"
    turned.save(file, "PNG", exif=tags.tobytes())
    file = SimpleUploadedFile("me.png", file.getvalue())
    with Image.open(BytesIO(drawn_anew(file, within=(192, 192)))) as shown:
        assert shown.size == (40, 20)
        corners = [shown.convert("L").getpixel(at) < 128 for at in ((5, 5), (35, 5), (5, 15), (35, 15))]
        assert corners == [True, False, False, False]


def test_a_photo_with_broken_notes_of_the_camera_is_drawn_or_refused_in_words():
    file = BytesIO()
    tags = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\0\0\x02\0\0\0\x040\0\0\0\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    Image.new("RGB", (40, 20), "teal").save(file, "JPEG", exif=tags)  # whose width is a text
    with Image.open(BytesIO(drawn_anew(SimpleUploadedFile("me.jpg", file.getvalue()), within=(192, 192)))) as shown:
        assert shown.size == (20, 40)


def test_a_photo_is_taken_away_and_its_address_with_it(client, rep):
    client.post("/profile/", typed(rep, new_photo=picture()))
    digest = kept(rep)["photo_digest"]
    client.post("/profile/", typed(rep, no_photo="on"))
    assert (kept(rep)["photo_digest"], Photo.objects.count()) == ("", 0)
    assert client.get(f"/people/{rep.pk}/photo/{digest}/").status_code == 404


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (SimpleUploadedFile("me.png", b"<svg onload=alert(1)>", "image/png"), "This is no picture that can be read."),
        (SimpleUploadedFile("me.png", b"", "image/png"), "The submitted file is empty."),
        (SimpleUploadedFile("me.png", b"\x89PNG" + b"0" * (1 << 20), "image/png"), "That is too large."),
    ],
)
def test_what_is_no_photo_is_refused_where_it_was_chosen_and_the_rest_stays_typed(client, rep, sent, said):
    before = kept(rep)
    page = client.post("/profile/", typed(rep, name="Chen Y.", new_photo=sent)).content.decode()
    assert said in page
    assert 'value="Chen Y."' in page
    assert (kept(rep), Photo.objects.count()) == (before, 0)


# ── Where one is signed in ───────────────────────────────────────────────────────────────────────────────────────────

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1 (KHTML) Version/17.5 Safari/604.1"


def signed_in(user_agent, username="rep.shijiazhuang", password="pursuit-demo"):
    browser = Client(headers={"user-agent": user_agent})
    answer = browser.post("/accounts/login/", {"login": username, "password": password})
    assert answer.status_code == 302
    return browser


@pytest.fixture
def with_password(rep):
    rep.set_password("pursuit-demo")
    rep.save()
    return rep


def test_the_profile_says_where_one_is_signed_in_and_ends_it_there(with_password):
    desk, phone = signed_in(FIREFOX), signed_in(PHONE)
    page = desk.get("/profile/").content.decode()
    assert "Firefox, Windows" in page
    assert "Safari, iPhone" in page
    other = UserSession.objects.exclude(session_key=desk.session.session_key).get()
    stranger = user("stranger")
    stranger.set_password("pursuit-demo")
    stranger.save()
    signed_in(FIREFOX, "stranger").post("/profile/sessions/", {"session": other.pk})
    assert phone.get("/profile/").status_code == 200  # nobody else ends it
    answer = desk.post("/profile/sessions/", {"session": other.pk}, follow=True).content.decode()
    assert "Signed out in one other browser." in answer
    assert "Safari, iPhone" not in answer
    assert phone.get("/profile/").url.startswith("/accounts/login/")
    assert desk.get("/profile/").status_code == 200
    assert Audit.objects.get(kind="sessions_ended").data == {"count": 1}


@pytest.mark.case(52)
def test_one_signs_out_everywhere_else_at_once_and_stays_here(with_password):
    desk, *others = [signed_in(FIREFOX), signed_in(PHONE), signed_in("")]
    assert "Unknown browser" in desk.get("/profile/").content.decode()
    desk.post("/profile/sessions/", {"session": "others"})
    assert [one.get("/profile/").status_code for one in [desk, *others]] == [200, 302, 302]


def test_a_new_password_ends_the_other_sessions_and_the_list_knows(with_password):
    desk, phone = signed_in(FIREFOX), signed_in(PHONE)
    new = "a long walk in the rain"
    desk.post("/accounts/password/change/", {"oldpassword": "pursuit-demo", "password1": new, "password2": new})
    assert phone.get("/profile/").status_code == 302
    page = desk.get("/profile/").content.decode()
    assert "Firefox, Windows" in page
    assert "Safari, iPhone" not in page


def test_strangers_are_asked_to_sign_in(client):
    for method in (client.get, client.post):
        assert method("/profile/").url == "/accounts/login/?next=/profile/"
    assert client.post("/appearance/", {"theme": "dark"}).url.startswith("/accounts/login/")
