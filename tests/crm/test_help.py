"""The help: it opens beside every title, and says what is true: each word of a button is that of a button."""

import re

import polib
import pytest
from django.conf import settings
from django.utils import translation
from django.utils.html import escape

from crm.help import AREAS
from crm.permissions import ACTS, TABLES
from tests import factories as make

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

LANGUAGES = ["en", "zh-hans"]

# The word of a button, or a heading, under which the help explains each verb of the permission tables.
EXPLAINED = {
    "view": "Who sees what",
    "name": "Who sees a customer",
    "create": "Create New Opportunity",
    "change": "Modify",
    "move": "Move to",
    "add_follow_up": "Add Follow-up Record",
    "add_file": "Add files",
    "change_contacts": "Contacts",
    "add_contact": "Add contact",
    "comment": "Comment",
    "report": "Submit for approval",
    "sign": "Apply to sign",
    "terminate": "Apply to terminate",
    "withdraw": "Withdraw",
    "void": "Void",
    "decide": "Submit decision",
    "assign": "Assign",
    "share": "Share",
    "transfer": "Transfer",
    "reassign": "Reassign",
    "correct": "Correct",
    "copy": "Copy",
    "delete": "Delete",
    "import": "Import",
    "export": "Export",
    "import_past": "Past opportunities",
    "announce": "New announcement",
    "keep_documents": "New document",
    "administer": "People and departments",
}
NOT_YET = {"freeze_month"}  # verbs that have no page


def page_of(client, area):
    answer = client.get(f"/help/{area}/")
    assert answer.status_code == 200
    return answer.content.decode()


def words_of(page):
    return re.findall(r'<b class="word">(.*?)</b>', page)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("area", AREAS)
def test_each_word_of_a_button_is_one_that_stands_on_another_page(client, area, language):
    catalogue = polib.pofile(str(settings.LOCALE_PATHS[0] / "zh_Hans" / "LC_MESSAGES" / "django.po"))
    elsewhere = [
        entry
        for entry in catalogue
        if not all(file.startswith(("crm/help.py", "templates/crm/help")) for file, _line in entry.occurrences)
    ]
    known = {escape(entry.msgid if language == "en" else entry.msgstr) for entry in elsewhere}
    client.force_login(make.user(language=language))

    page = page_of(client, area)

    assert "**" not in page
    assert [word for word in words_of(page) if word not in known] == []


def test_every_verb_that_people_may_do_is_explained(client):
    verbs = {verb for table in TABLES.values() for verb in table} | ACTS.keys()
    assert verbs - NOT_YET == EXPLAINED.keys()
    client.force_login(make.user(language="en"))
    pages = [page_of(client, area) for area in AREAS]
    said = {word for page in pages for word in words_of(page) + re.findall("<h2>(.*?)</h2>", page)}
    assert [verb for verb, word in EXPLAINED.items() if word not in said] == []


@pytest.mark.parametrize(
    ("address", "area"),
    [
        ("/", "start"),
        ("/search/", "start"),
        ("/opportunities/", "opportunities"),
        ("/opportunities/new/", "opportunities"),
        ("/customers/new/", "customers"),
        ("/contacts/", "customers"),
        ("/tasks/", "tasks"),
        ("/messages/", "messages"),
        ("/announcements/", "messages"),
        ("/documents/", "documents"),
        ("/recycle/", "administration"),
        ("/products/", "opportunities"),
        ("/ranking/", "ranking"),
        ("/imports/", "imports"),
        ("/profile/", "profile"),
        ("/people/", "administration"),
        ("/departments/", "administration"),
        ("/picklists/", "administration"),
        ("/custom-fields/", "administration"),
        ("/routes/", "administration"),
        ("/organisation/", "administration"),
        ("/audit/", "administration"),
    ],
)
def test_the_question_mark_beside_a_title_opens_the_help_on_that_area(client, address, area):
    client.force_login(make.user(None, "administrator", at="head-office"))
    assert f'<a class="help-link" href="/help/{area}/"' in client.get(address).content.decode()


def test_the_help_has_none_on_itself(client):
    client.force_login(make.user())
    assert "help-link" not in client.get("/help/tasks/").content.decode()


def test_each_page_leads_to_all_others_in_the_readers_language(client):
    client.force_login(make.user(language="zh-hans"))
    page = client.get("/help/").content.decode()
    with translation.override("zh-hans"):
        titles = [str(title) for title, _line in AREAS.values()]
    assert [title for title in titles if title not in page] == []
    assert [area for area in AREAS if area != "start" and f'href="/help/{area}/"' not in page] == []


def test_an_area_that_there_is_not_is_no_page(client):
    client.force_login(make.user())
    assert client.get("/help/gardening/").status_code == 404


@pytest.mark.parametrize(
    ("support", "shown"),
    [
        ("help@example.org", '<a href="mailto:help@example.org">help@example.org</a>'),
        ("<b>dial 10086</b>", "&lt;b&gt;dial 10086&lt;/b&gt;"),
        ("", "Ask your administrator."),
    ],
)
def test_it_says_whom_to_ask(client, settings, support, shown):
    settings.SUPPORT_CONTACT = support
    client.force_login(make.user(language="en"))
    assert shown in client.get("/help/").content.decode()
