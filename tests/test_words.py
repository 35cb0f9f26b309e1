"""
No word of a page, a message or a mail is forgotten by the translators.

The demo company is read in a made-up language, whose catalogue is the Chinese one with each text translated to itself
in brackets: ⟦Save⟧. Names of its own are in other brackets, ⟪Cloud⟫. A rep, an approver, the opportunity manager and
the administrator walk through every page but Django's administration and send every form: as it stands, empty, and
filled in wrongly. What then stands outside of brackets, and is no data, is a word without a translation.
"""

import re
from collections import Counter, deque
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import allauth
import django
import polib
import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.apps import apps
from django.conf import settings as current
from django.conf.locale import LANG_INFO
from django.core import mail
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import models, transaction
from django.template.loader import render_to_string
from django.urls import get_resolver, resolve, reverse
from django.utils import translation

from approvals.models import Task
from crm import custom_changes
from crm.custom_fields import CustomChoice, CustomField, CustomSection
from crm.custom_values import CustomValue
from crm.models import User
from crm.names import Named
from crm.saved_views import SavedView
from crm.sign_in import email_link
from customers.models import Contact, Customer
from notices import delivery
from notices.documents import Document
from notices.files import File
from notices.models import Comment, Delivery
from opportunities.lifecycle import State
from opportunities.models import Opportunity
from tests import factories as make

pytestmark = [pytest.mark.django_db, pytest.mark.long, pytest.mark.any_database]

CHINESE = Path("locale") / "zh_Hans" / "LC_MESSAGES" / "django.po"
CATALOGUES = [
    Path(django.__file__).parent / "conf" / CHINESE,
    Path(django.__file__).parent / "contrib" / "auth" / CHINESE,
    Path(allauth.__file__).parent / CHINESE,
    current.LOCALE_PATHS[0].parent / CHINESE,
]
READERS = ["rep.shijiazhuang", "deputy.shijiazhuang", "manager", "admin"]
NOT_WALKED = {
    "account_logout",
    "account_reset_password_from_key",  # needs the link of a mail
    "account_reset_password_from_key_done",
    "account_reauthenticate",  # these are walked below
    "mfa_add_webauthn",
    "mfa_authenticate",
    "mfa_edit_webauthn",
    "mfa_generate_recovery_codes",
    "mfa_login_webauthn",
    "mfa_reauthenticate",
    "mfa_reauthenticate_webauthn",
    "mfa_remove_webauthn",
    "mfa_view_recovery_codes",
    "mfa_deactivate_totp",
    "person_two_step",
    "follow_ups_bulk",  # nothing is offered to be done to many of these
    "tasks_done_bulk",
    "bulk_go_on",  # needs one that was broken off
    "bulk_run",  # needs something that was done to many
    "bulk_undo",
    "bulk_stop",  # needs the worker
    "export",  # needs the worker
    "export_file",
    "handover_summary",  # needs the worker
    "import_records",
    "import_undo",
    "import_read",
    "import_forget",
    "import_check",  # these need a file and the worker
    "import_match",
    "import_refused",
    "import_run",
    "import_stop",
    "person_invite_again",  # needs somebody who has no password yet
    "person_reactivate",  # needs somebody deactivated
    "email_confirm",  # needs the link of a mail; both its faces are walked below
    "email_forget",  # takes what a button sends
    "logo",  # a picture
    "photo",  # a picture
    "sessions_end",  # takes what a button sends
    "set_language",
    "task_assign",  # needs another candidate
}
LISTS = ["opportunities", "customers", "contacts", "follow_ups", "tasks_done"]  # which have views
WRONG = "§§"  # what nobody means, and no word either

BLOCKS = {"p", "li", "td", "th", "div", "dd", "dt", "h1", "h2", "h3", "option", "label", "legend", "title", "section"}
ATTRIBUTES = ("placeholder", "title", "aria-label", "alt")
NO_WORDS = re.compile(
    r"Pursuit|English|简体中文|[A-Z]\w+/[\w/-]+|OP\d{4}-\d+|\b[A-Z]+-[A-Z\d-]+|\S+@\S+|https?://\S+|\b(?:CNY|UTC|UTF-8)\b"
    r"|^[kM]$"  # thousands and millions behind a figure
)


# ── The made-up language ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def in_brackets(settings, monkeypatch, tmp_path):
    """This will make the language "xx", in which every text that has a Chinese translation stands in brackets."""
    entries = {}
    for file in CATALOGUES:
        for entry in polib.pofile(str(file)):
            if entry.translated() and not entry.obsolete:
                entries[entry.msgctxt, entry.msgid] = bracketed(entry)
    made = polib.POFile()
    made.metadata = {"Content-Type": "text/plain; charset=utf-8", "Plural-Forms": "nplurals=2; plural=(n != 1);"}
    made.extend(entries.values())
    folder = tmp_path / "xx" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    made.save_as_mofile(str(folder / "django.mo"))
    monkeypatch.setitem(LANG_INFO, "xx", {"bidi": False, "code": "xx", "name": "⟦⟧", "name_local": "⟦⟧"})
    settings.LOCALE_PATHS = [tmp_path]
    settings.LANGUAGES = [*current.LANGUAGES, ("xx", "⟦⟧")]


def bracketed(entry):
    said = {"msgid": entry.msgid, "msgctxt": entry.msgctxt, "msgid_plural": entry.msgid_plural}
    if entry.msgid_plural:
        return polib.POEntry(**said, msgstr_plural={0: f"⟦{entry.msgid}⟧", 1: f"⟦{entry.msgid_plural}⟧"})
    return polib.POEntry(**said, msgstr=f"⟦{entry.msgid}⟧")


@pytest.fixture
def company(in_brackets, settings):
    """This will load the demo company, all of it reading the made-up language; one request more, of each state."""
    settings.BOARD_SUMS_AT_ONCE = 0  # so that its sums have an address of their own
    name_in_brackets()
    call_command("demo", verbosity=0)
    name_in_brackets()
    add_fields()
    rep = User.objects.get(username="rep.shijiazhuang")
    for state in ("returned", "signing", "terminating", "signed", "terminated"):
        make.opportunity(rep, state=state, name=f"{state.title()} example")
    dropping = make.opportunity(rep, state="signing", name="Signing example again")
    task = dropping.open_task
    task.return_(by=task.holder, comment="Name the contract.", seen=dropping.version)
    shared = Opportunity.objects.filter(owner=rep, state="active").last()
    shared.share(by=rep, people=[User.objects.get(username="rep.baoding")])
    Comment(about=shared, text="@Zhou Lan").add(by=rep)
    File.add(shared, [SimpleUploadedFile("offer.pdf", b"%PDF-1.4")], by=rep)
    Document.objects.get(name="Price list 2026").link(shared, by=rep)
    manager = User.objects.get(username="manager")
    for listing in LISTS:
        kept = SavedView(listing=listing, name=f"Kept by {rep}")
        kept.create(by=rep)
        kept.make_default(by=rep)
        SavedView(listing=listing, name="Kept by another", shared="all").create(by=manager)
    for day in range(12):
        make.follow_up(shared, content=f"Called about question {day}.")
    other = make.opportunity(User.objects.get(username="rep.jinan"), state="reporting", name="Reporting example")
    User.objects.filter(pk=other.open_task.holder_id).update(is_active=False)
    User.objects.update(language="xx")


def add_fields():
    """This will have an administrator add fields, one of them archived, and a section."""
    admin = User.objects.get(username="admin")
    custom_changes.create_section(CustomSection(subject="opportunity", names={"en": "Site", "xx": "⟪Site⟫"}), by=admin)
    for kind, name in (("choice", "Tender"), ("number", "Machines"), ("text", "Region code")):
        field = CustomField(subject="opportunity", kind=kind, names={"en": name, "xx": f"⟪{name}⟫"})
        options = [{"en": "Open", "xx": "⟪Open⟫"}] if kind == "choice" else ()
        custom_changes.create(field, by=admin, options=options)
    custom_changes.archive(field, by=admin)


def name_in_brackets():
    """This will give departments, roles, stages and picklists names in the made-up language."""
    for model in apps.get_models():
        if issubclass(model, Named):
            for row in model.objects.all():
                model.objects.filter(pk=row.pk).update(names=row.names | {"xx": f"⟪{row.names['en']}⟫"})


# ── What stands on a page ────────────────────────────────────────────────────────────────────────────────────────────


class Page(HTMLParser):
    """The words of a page that stand outside of brackets, its links and its forms."""

    def __init__(self, html, address):
        super().__init__()
        self.address, self.outside, self.links, self.forms = address, [], [], []
        self.depth, self.quiet, self.form, self.select = 0, [], None, None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if self.quiet or tag in ("script", "style", "kbd", "code") or "face" in (given.get("class") or "").split():
            self.quiet += [tag] if tag not in ("input", "br", "img", "meta", "link") else []
            return
        for name in ATTRIBUTES:
            self.say(given.get(name) or "")
        self.depth = 0 if tag in BLOCKS else self.depth
        for name in ("href", "data-src", "data-suggests", "data-steps", "hx-get"):
            if given.get(name):
                self.links.append(urljoin(self.address, given[name].partition("#")[0]))
        if tag == "form":
            action = urljoin(self.address, given.get("action") or "")
            self.form = {"action": action, "method": given.get("method", "get"), "fields": {}}
            self.forms.append(self.form)
        elif self.form is not None:
            self.read_field(tag, given)

    def read_field(self, tag, given):
        fields, name = self.form["fields"], given.get("name")
        if tag == "select":
            self.select = name
        elif tag == "option" and self.select and ("selected" in given or self.select not in fields):
            fields[self.select] = given.get("value", "")
        elif tag == "input" and name:
            if given.get("type") not in ("checkbox", "radio") or "checked" in given or name not in fields:
                fields[name] = given.get("value", "on" if "checked" in given else "")
        elif name:
            fields.setdefault(name, given.get("value", ""))

    def handle_endtag(self, tag):
        if self.quiet:
            if self.quiet[-1] == tag:
                self.quiet.pop()
            return
        if tag == "form":
            self.form = None
        self.depth = 0 if tag in BLOCKS else self.depth

    def handle_data(self, text):
        if not self.quiet:
            self.depth = self.say(text, self.depth)

    def say(self, text, depth=0):
        """This will keep what of `text` is outside of brackets, `depth` of which are open; gives how many then are."""
        outside = ""
        for sign in text:
            depth = max(0, depth + (sign in "⟦⟪") - (sign in "⟧⟫"))
            outside += " · " if sign in "⟦⟪" else sign if depth == 0 and sign not in "⟧⟫" else ""
        self.outside += outside.split(" · ")
        return depth


class Data:
    """What people typed, as whole texts and their lines."""

    def __init__(self):
        self.texts = set()
        for model in apps.get_models():
            named = [field.name for field in model._meta.get_fields() if typed(field)]
            for row in model._base_manager.values_list(*named) if named else ():
                for value in row:
                    self.texts.update(words_in(value))
        self.long = "\n".join(text for text in self.texts if " " in text)

    def __contains__(self, text):
        """This will tell whether `text` is data: a whole text, or several words of one, be they cut off."""
        if text in self.texts:
            return True
        text = text.removesuffix("…").strip()
        return " " in text and text in self.long


def typed(field):
    """This will tell whether people type into a field, rather than choose."""
    if not getattr(field, "concrete", False) or field.choices or field.name in ("key", "kind", "password", "state"):
        return False
    return isinstance(field, models.CharField | models.TextField | models.JSONField)


def words_in(value):
    if isinstance(value, str):
        yield from (bare(line) for line in [value, *value.splitlines()])
    elif isinstance(value, dict) and value.keys() & {"en", "xx"} == {"en"}:  # the label of what had no other name then
        yield value["en"]
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from (text for text in words_in(one) if " " in text)


def bare(text):
    """This will take off a text what is no letter, at both ends."""
    return re.sub(r"^[\W\d_]+|[^\w…]+$", "", " ".join(text.split()))


def forgotten(texts, data):
    """This will list those of `texts` that are words without a translation."""
    found = (bare(text) for text in texts)
    return [text for text in found if re.search(r"[^\W\d_]", NO_WORDS.sub("", text)) and text not in data]


# ── The walk ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Walk:
    """The ways of all readers through the product: each reads every page, the first who meets a form sends it."""

    def __init__(self, client):
        self.client, self.data = client, Data()
        self.sent, self.reached, self.wrong = Counter(), set(), set()

    def through(self, *starts):
        waiting, patterns = deque((address, True) for address in starts), Counter()
        while waiting:
            address, wanted = waiting.popleft()
            parts = urlsplit(address)
            pattern = re.sub(r"\d+", "9", parts.path) + "?" * bool(parts.query)
            patterns[pattern] += 1
            if parts.netloc or parts.path.startswith(("/admin", "/static")) or "logout" in parts.path:
                continue
            if not wanted and patterns[pattern] > 1:
                continue
            page = self.read(self.client.get(address), address)
            if page is None:
                continue
            waiting += [(link, False) for link in page.links]
            for form in page.forms:
                if form["method"] != "dialog":
                    self.send(form, address)

    def read(self, response, address):
        """This will note what an answer forgets, and give its page, if it is one."""
        assert response.status_code < 500, address
        if match := response.wsgi_request.resolver_match:
            self.reached.add(match.url_name)
        kind = response.get("Content-Type", "")
        if kind.startswith("application/json"):
            page = Page("", address)
            for text in json_texts(response.json()):
                page.say(text)
        elif kind.startswith("text/html"):
            page = Page(re.sub(r"</?mark>", "", response.content.decode()), address)  # what was found stays one text
        else:
            list(response)  # a file, which is closed when it is read
            return None
        self.wrong |= {
            (text, re.sub(r"\d+", "9", urlsplit(address).path)) for text in forgotten(page.outside, self.data)
        }
        return page

    def send(self, form, address):
        """This will send a form as it stands, empty and filled in wrongly, and take back what came of it."""
        action = form["action"]
        pattern = re.sub(r"\d+", "9", action.partition("?")[0]) + form["method"]
        self.sent[pattern] += 1
        if self.sent[pattern] > 1 or "logout" in action or "language" in action:
            return
        fields = {name: value for name, value in form["fields"].items() if name != "csrfmiddlewaretoken"}
        for data in (fields, dict.fromkeys(fields, ""), dict.fromkeys(fields, WRONG)):
            if "file" in data:
                data = data | {"file": SimpleUploadedFile("a.csv", b"\x00\x01")}
            with transaction.atomic():
                response = getattr(self.client, form["method"])(action, data, follow=True)
                self.reached.add(resolve(urlsplit(action).path).url_name)  # the answer may be that of another address
                self.read(response, action)
                transaction.set_rollback(True)


def json_texts(value):
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from json_texts(one)
    elif isinstance(value, str) and not value.startswith("/"):
        yield value


def starts(user):
    """This will give where a reader begins: home, an opportunity in each state, a task of each kind."""
    found = ["/", "/nothing/", "/opportunities/?state=", "/opportunities/?q=xyzzy", "/opportunities/?amount.over=1"]
    found += ["/search/?q=water", "/search/?q=xyzzy", "/search/suggest/?q=water", "/new/follow-up/"]
    found += [f"/{name}/bulk/comment/?every=1" for name in ("opportunities", "customers")]
    found += ["/opportunities/bulk/change/?every=1", "/contacts/bulk/change/?every=1", "/bulk/"]
    found += [f"/tasks/bulk/decide/?pk={task.pk}_1" for task in Task.objects.open_for(user)[:1]]
    found += [f"/files/opportunity/{file.about_id}/" for file in File.objects.filter(by=user)[:1]]
    for listing, field, model in (
        ("opportunities", "amount", Opportunity), ("customers", "phone", Customer), ("contacts", "title", Contact)
    ):  # fmt: skip
        own = model.objects.permitted(user, "change").first()
        found += [reverse(f"{listing}_cell", args=[own.pk, field])] if own else []
    if user.is_any("administrator"):  # only an option that nothing holds can be deleted
        held = CustomValue.objects.filter(choice__isnull=False).values("choice")
        free = CustomChoice.objects.exclude(pk__in=held).first()
        found.append(reverse("custom_option_delete", args=[free.pk]))
    views = SavedView.objects.filter(owner=user)
    found += [f"{reverse(view.listing)}?view={view.pk}&size=25" for view in views]  # which is changed
    for state in State:
        seen = Opportunity.objects.visible_to(user).filter(state=state)
        one = seen.filter(owner=user).last() or seen.last()
        found += [one.get_absolute_url()] if one else []
    return found


def test_every_word_that_somebody_reads_has_a_translation(client, company):
    walk = Walk(client)
    for username in READERS:
        user = User.objects.get(username=username)
        client.force_login(user)
        walk.through(*starts(user))
    client.logout()
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "xx"
    walk.through(
        "/accounts/login/", "/accounts/password/reset/", "/accounts/password/reset/done/", "/accounts/inactive/"
    )

    assert sorted(walk.wrong) == []
    assert names_of(get_resolver()) - walk.reached <= NOT_WALKED


def names_of(resolver):
    """This will give the names of all addresses but Django's administration's."""
    found = set()
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            found |= set() if pattern.namespace else names_of(pattern)
        elif pattern.name:
            found.add(pattern.name)
    return found


@pytest.mark.parametrize("page", ["400", "403", "403_csrf", "404", "429", "500", "503"])
def test_every_word_of_an_error_page_has_a_translation(page, in_brackets, rf):
    with translation.override("xx"):
        html = render_to_string(f"{page}.html", {"wait": "⟦⟧"}, request=None)

    assert forgotten(Page(html, "/").outside, set()) == []


def test_every_word_of_confirming_an_address_has_a_translation(in_brackets, client):
    rep = make.user("rep", email_wanted="new@example.org", language="xx")
    client.force_login(rep)
    for link in [email_link(rep, "new@example.org"), email_link(rep, "old@example.org")]:
        words = forgotten(Page(client.get(link).content.decode(), link).outside, set())
        assert set(words) <= {"Shijiazhuang", "Shijiazhuang · Hebei", "Hebei", "rep"}  # which are data


def test_every_word_of_two_step_sign_in_has_a_translation(in_brackets, client, settings):
    admin = make.user("admin", "administrator", name="admin", at="head-office", language="xx")
    rep = make.user("rep", name="rep", language="xx")
    name_in_brackets()
    client.post("/accounts/login/", {"login": "rep", "password": make.PASSWORD})
    walked = TwoStep(client)
    walked.reads("/accounts/reauthenticate/", sends={"password": "wrong"})
    client.post("/accounts/reauthenticate/", {"password": make.PASSWORD})
    walked.reads("app/on/", "/accounts/passkeys/add/", sends={"code": "000000", "credential": "x"})
    walked.reads("codes/new/", sends={})
    settings.REQUIRE_TWO_STEP = "all"
    walked.reads("")
    TOTP.activate(rep, "A" * 32)
    RecoveryCodes.activate(rep)
    passkey = Authenticator.objects.create(user=rep, type="webauthn", data={"name": "rep", "credential": {}})
    walked.reads("", "app/off/", "codes/", "codes/", "reauthenticate/", f"/accounts/passkeys/{passkey.pk}/")
    walked.reads(f"/accounts/passkeys/{passkey.pk}/", sends={"name": ""})
    walked.reads("/profile/", f"/accounts/passkeys/{passkey.pk}/remove/")
    Authenticator.objects.filter(type="totp").delete()
    for rule in ("all", ""):
        settings.REQUIRE_TWO_STEP = rule
        walked.reads("", f"/accounts/passkeys/{passkey.pk}/remove/")
    passkey.delete()
    TOTP.activate(rep, "A" * 32)
    walked.reads("app/off/")
    client.post("/accounts/logout/")
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "xx"
    client.post("/accounts/login/", {"login": "rep", "password": make.PASSWORD})
    walked.reads("sign-in/", *6 * ["sign-in/"], sends={"code": "000000"})
    client.post("/accounts/login/", {"login": "admin", "password": make.PASSWORD})
    client.post("/accounts/logout/")
    walked.reads("/accounts/passkeys/sign-in/", sends={"credential": "x"})
    client.post("/accounts/login/", {"login": admin.username, "password": make.PASSWORD})
    client.post("/accounts/reauthenticate/", {"password": make.PASSWORD})
    walked.reads("/people/", f"/people/{rep.pk}/", f"/people/{rep.pk}/two-step/")

    known = {
        "rep",
        "admin",
        "rep.txt",
        "Shijiazhuang · Hebei",
        "Shijiazhuang",
        "Hebei",
        "Head office",
    }  # which are data
    assert walked.forgotten - known == set()


class TwoStep:
    """The pages of two-step sign-in, and the words there that have no translation."""

    def __init__(self, client):
        self.client, self.forgotten = client, set()

    def reads(self, *addresses, sends=None):
        """This will read a page at each address, beneath that of two-step sign-in; or what it answers to `sends`."""
        for address in (urljoin("/accounts/two-step/", one) for one in addresses):
            answer = self.client.get(address) if sends is None else self.client.post(address, sends)
            assert answer.status_code == 200, address
            self.forgotten |= set(forgotten(Page(answer.content.decode(), address).outside, set()))


def test_every_word_of_a_mail_has_a_translation(in_brackets):
    rep = make.user("rep", name="Chen Yu")
    for state in ("returned", "signing", "signed", "terminated"):
        make.opportunity(rep, state=state)
    User.objects.update(language="xx")
    delivery.deliver()

    data = Data()
    assert len(mail.outbox) == Delivery.objects.count() > 6
    for letter in mail.outbox:
        html = letter.alternatives[0][0]
        page = Page(html, "/")
        page.say(f"{letter.subject}\n{letter.body}")
        assert forgotten(page.outside, data) == []
