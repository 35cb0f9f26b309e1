"""
Cases of injection: texts that are a program somewhere. They are kept to the letter, and are shown as what they are.

Each carries a mark. On every page that is reached, a tag, an attribute or an address that bears the mark has escaped
from its text.
"""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command

from crm import custom_changes
from crm.custom_fields import CustomField
from crm.models import User
from crm.saved_views import SavedView
from customers.models import Customer, Industry
from notices import delivery
from notices.documents import Document
from notices.files import File
from notices.models import Announcement, Comment
from opportunities.models import Opportunity
from tests import factories as make
from tests.asserting import unchanged
from tests.cases.crawl import crawl
from tests.cases.nasty import MARK, MARKUP, TEXTS
from tests.importing import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

WEBSITES = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\nscript:alert(1)",
    "java\tscript:alert(1)",
    "\x01javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "ftp://qinghe-water.example/",
    "http:evil.example",
    "http://",
    "https:///evil.example",
]


class Escaped(HTMLParser):
    """What on a page is more than text, and bears the mark."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if MARK in tag:
            self.found.append(f"<{tag}>")
        for name, value in attributes:
            value = value or ""
            runs = name.startswith("on") or (name in ("href", "src", "action") and ":" in value.partition("/")[0])
            if MARK in name or (MARK in value and runs and not value.startswith("mailto:")):
                self.found.append(f"{tag} {name}={value}")


@pytest.fixture
def company(settings, tmp_path):
    """This will load the demo company and write each hostile text wherever somebody can write; gives its rep."""
    kept = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = settings.STORAGES | {"files": kept}
    call_command("demo", verbosity=0)
    User.objects.update(language="en")
    rep, admin = (User.objects.get(username=name) for name in ("rep.shijiazhuang", "admin"))
    User.objects.filter(pk=rep.pk).update(name=MARKUP[0], title=MARKUP[1])
    industry = Industry.objects.order_by("order").first()
    Industry.objects.filter(pk=industry.pk).update(names={"en": MARKUP[2], "zh-hans": MARKUP[3]})
    field = CustomField(subject="opportunity", kind="text", names={"en": MARKUP[4], "zh-hans": MARKUP[4]})
    custom_changes.create(field, by=admin)
    for number, text in enumerate(MARKUP):
        customer = make.customer(rep, name=text, industry=industry, address=text, description=text)
        make.contact(customer, name=text, title=text)
        opportunity = make.opportunity(rep, customer=customer, name=text, description=text)
        make.follow_up(opportunity, content=text)
        Comment(about=opportunity, text=text).add(by=rep)
        SavedView(listing="opportunities", name=f"{number} {text}"[:60]).create(by=rep)
    opportunity.change(by=rep, **{field.key: MARKUP[3]})
    File.add(opportunity, [SimpleUploadedFile(f"{text}.pdf", b"%PDF-1.4") for text in MARKUP[:10]], by=rep)
    Document(name=MARKUP[5], description=MARKUP[6]).add([SimpleUploadedFile("a.pdf", b"%PDF-1.4")], by=admin)
    Announcement(title=MARKUP[7], body=MARKUP[8], by=admin).publish(by=admin)
    opportunity.report(by=rep, approver=User.objects.get(username="deputy.shijiazhuang"), comment=MARKUP[9])
    return rep


@pytest.mark.case(35, 37)
@pytest.mark.long
@pytest.mark.parametrize("username", ["rep.shijiazhuang", "deputy.shijiazhuang", "admin"])
def test_no_text_is_more_than_text_on_any_page(client, company, username):
    client.force_login(User.objects.get(username=username))
    starts = ["/", "/opportunities/", f"/search/?q={MARK}", f"/opportunities/?q={MARK}", "/admin/"]
    starts += [f"/opportunities/{Opportunity.objects.latest('pk').pk}/", f"/customers/?q={MARK}"]
    starts += [f"/files/opportunity/{Opportunity.objects.latest('pk').pk}/", f"/opportunities/pick/?q={MARK}"]

    escaped, shown = [], 0
    for address, answer, _page in crawl(client, *starts):
        assert answer.status_code < 500, address
        html = answer.content.decode()
        escaped += [(address, what) for what in Escaped(html).found]
        shown += MARK in html
    assert escaped == []
    assert shown > 20, "The texts were hardly met."


@pytest.mark.case(35)
def test_what_escapes_from_its_text_would_be_found():
    """The search for it can fail: each kind is found where it is not made harmless."""
    found = [text for text in MARKUP if Escaped(f'<p title="{text}">{text}</p>').found]
    assert len(found) >= 13


@pytest.mark.case(37)
def test_no_text_is_worked_out(client, company):
    client.force_login(company)
    for address in ("/opportunities/?q=7*7", "/search/?q=7*7"):
        page = unescape(re.sub(r"</?mark>", "", client.get(address).content.decode()))
        assert "{{7*7}} ${7*7} #{7*7} <%= 7*7 %>" in page
        assert "{{49" not in page and "$49" not in page


@pytest.mark.case(35, 37)
def test_no_text_is_more_than_text_in_a_mail(company, settings):
    delivery.deliver()

    letters = [letter for letter in mail.outbox if MARK in letter.body]
    assert letters
    for letter in letters:
        assert MARK in letter.alternatives[0][0]
        assert Escaped(letter.alternatives[0][0]).found == []


@pytest.mark.case(35)
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_kept_to_the_letter_or_refused_in_words(text):
    rep = make.user(language="en")
    client = signed_in(rep)
    typed = {"name": text, "kind": "organisation", "status": "potential", "description": text, "address": text[:100]}

    answer = client.post("/customers/new/", typed)

    assert answer.status_code in (200, 302)
    if answer.status_code == 302:
        customer = Customer.objects.get()
        assert (customer.name, customer.description) == (text.strip(), text.strip())
        assert text.strip() in unescape(client.get(answer["Location"]).content.decode())
    else:
        assert answer.context["form"].errors
        assert not Customer.objects.exists()


@pytest.mark.case(36)
@pytest.mark.parametrize("website", WEBSITES)
def test_a_website_that_is_none_is_refused_and_leads_nowhere(website):
    client = signed_in(make.user(language="en"))
    typed = {"name": "Qinghe", "kind": "organisation", "status": "potential"}

    with unchanged():
        answer = client.post("/customers/new/", typed | {"website": website})
        assert answer.status_code == 200
        assert answer.context["form"].errors.keys() == {"website"}
    answer = client.post("/customers/new/", typed | {"website": "qinghe-water.example"})
    assert 'href="https://qinghe-water.example"' in client.get(answer["Location"]).content.decode()


@pytest.mark.case(36)
@pytest.mark.parametrize(
    ("website", "href"),
    [
        ("//qinghe.example", "https://qinghe.example"),
        ('https://qinghe.example/"onclick="x()', "https://qinghe.example/&quot;onclick=&quot;x()"),
    ],
)
def test_a_website_that_is_odd_is_led_to_by_its_whole_address(website, href):
    client = signed_in(make.user(language="en"))
    typed = {"name": "Qinghe", "kind": "organisation", "status": "potential", "website": website}

    page = client.get(client.post("/customers/new/", typed)["Location"]).content.decode()

    assert f'href="{href}"' in page
