"""
The sweep itself: it asks every address in everybody's name, by every method and in every style, and judges each answer.

A cell is one request. It is wrong where its status is not that of the table; where it was refused, and business data
changed or a canary sang; where it was to do something, and nothing was done; and where what one may not see looks
different from what never was.
"""

from collections import defaultdict
from itertools import product
from urllib.parse import urlsplit

from django.core import mail
from django.core.cache import cache
from django.db import transaction
from django.urls import resolve

from crm.jobs import Job
from tests.conftest import nothing_said
from tests.digest import digest
from tests.sweep import sent
from tests.sweep.asking import STYLES, Asker, bare
from tests.sweep.table import ANSWERED, SIGN_IN
from tests.test_words import Page

READS = {"Message", "AnnouncementRead"}  # what somebody read may be written down when they look
WRONG_METHODS = ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
SHOWN_AGAIN = {200, 409}  # what the reader sees anyway may stand on a page that says no

# What is sent and answered without anything being written that is more than a session or a sign-in.
ANSWERING = {"account_login", "account_reset_password_from_key", "sessions_end"}
ANSWERING |= ANSWERED
# What asks first who it is, and is tried after that by tests.crm.test_two_step
ANSWERING |= {"account_reauthenticate", "mfa_authenticate", "mfa_reauthenticate", "mfa_activate_totp"}
ANSWERING |= {"mfa_generate_recovery_codes", "mfa_add_webauthn", "mfa_edit_webauthn", "mfa_remove_webauthn"}
ANSWERING |= {"mfa_login_webauthn", "mfa_reauthenticate_webauthn", "person_two_step"}
# On pages of Django's administration: a file, and the way to the page of a record.
LEADING_ON = ("/export/", "/password_change/", "/{}/")
LEADING_ON += ("/customer/{}/change/", "/contact/{}/change/", "/opportunity/{}/change/")
# What writes nothing of whoever has nothing of it: no unread message, no address that waits, no account.
PERHAPS_NOTHING = {"messages_read", "email_forget", "set_language", "announcement_confirm"}


def state(besides=()):
    """This will give what a refusal leaves as it was: all business data, the jobs that wait, the mails that went."""
    return digest(besides), list(Job.objects.order_by("pk").values_list()), len(mail.outbox)


SWEPT = []  # in this run of the tests, for whoever reads its end


class Sweep:
    """One sweep of a world by a table: what was asked, what was wrong, and what was proven to be done by somebody."""

    def __init__(self, world, rows):
        self.world, self.rows = world, rows
        self.by_key = {(row.key, row.method): row for row in rows}
        self.asker = Asker(world.cookies)
        self.wrong, self.refused, self.done = [], [], set()
        self.touched, self.heard = set(), defaultdict(set)
        self.cells = 0
        self.forms = {}

    def __str__(self):
        return (
            f"{len(self.touched)} patterns, {len(self.rows)} rows, {self.cells:,} cells, "
            f"{len(self.refused):,} refused, {self.twins:,} with a twin, {len(self.wrong)} wrong"
        )

    # What is asked

    def whole(self, roles, styles=tuple(STYLES), wrong_methods=tuple(WRONG_METHODS), head=True):
        """This will ask everything in the name of `roles`."""
        for who in roles:
            self.looks(who, styles, [*(["HEAD"] if head else []), *wrong_methods])
            self.sends(who, styles)

    def proves(self, rows):
        """This will have the first who may do what those rows are about do it."""
        for row in rows:
            who = next((who for who in row.cells if row.does(who)), None)
            if who is None:
                continue
            if row.method == "POST":
                self.send(row, who, "plain")
            else:
                with rolled_back():
                    self.look(row, who, "GET", "plain")

    def looks(self, who, styles, methods):
        """This will ask by whatever should change nothing, and look whether it did, address by address."""
        before = state(READS)
        for row in self.rows:
            asked = ["GET", *methods] if row.method == "GET" or not self._row(row.key, "GET") else []
            if row.method == "GET" and not self._row(row.key, "POST"):
                asked.append("POST")
            with rolled_back():
                for method, style in product(asked, styles):
                    self.look(row, who, method, style)
                if asked and state(READS) != before:
                    self.say(row, who, "/".join(asked), "/".join(styles), "something was changed")

    def look(self, row, who, method, style):
        address = row.address(self.world) + sent.asked(row, self.world)
        data = {} if method == "POST" else None
        answer = self.asker.ask(who, method, address, data, style)
        self._touch(address)
        self.judge(row, who, method, style, self.expected(row, who, method, style), answer)
        if answer.status == 404 and style == "plain" and row.on != "-":
            self.compare(row, who, method, answer, data)

    def sends(self, who, styles):
        """This will send to each address what it takes, and take back what came of it."""
        for row in self.rows:
            if row.method == "POST":
                for style in styles:
                    self.send(row, who, style)

    def send(self, row, who, style):
        address = row.address(self.world) + sent.asked(row, self.world)
        body = self.body(row)
        before = state()
        with rolled_back():
            answer = self.asker.ask(who, "POST", address, body, style)
            changed = state() != before
        self._touch(address)
        does, silently = row.does(who), row.name in ANSWERING or row.name.endswith(LEADING_ON)
        self.judge(row, who, "POST", style, self.expected(row, who, "POST", style), answer, proven=changed or silently)
        if does and not changed and not silently and row.name not in PERHAPS_NOTHING:
            self.say(row, who, "POST", style, "nothing was done")
        if changed and not does:
            self.say(row, who, "POST", style, "something was changed")
        if answer.status == 404 and style == "plain" and row.on != "-":
            self.compare(row, who, "POST", answer, body)

    def body(self, row):
        """This will give what the page of an address sends, filled in by the first who may, and what is said of it."""
        if row.key not in self.forms:
            self.forms[row.key] = self._form(row)
        body = self.forms[row.key] | sent.said(row, self.world)
        return {name: value for name, value in body.items() if value is not None}

    def _form(self, row):
        page = self._row(row.key, "GET")
        actor = next((who for who, cell in row.cells.items() if cell == 302), None)
        if page is None or page.cells.get(actor) != 200:
            return {}
        address = page.address(self.world) + sent.asked(page, self.world)
        html = self.asker.ask(actor, "GET", address).body.decode()
        forms = Page(html, address).forms
        here = [form for form in forms if urlsplit(form["action"]).path == urlsplit(address).path]
        sending = [form["fields"] for form in here if form["method"] == "post"]
        return dict(sending[0]) if sending else {}

    # What is expected

    def _row(self, key, method):
        return self.by_key.get((key, method))

    def expected(self, row, who, method, style):
        """This will give the status of a cell: of the table or, of what the table does not say, of a rule for all."""
        if method in WRONG_METHODS:
            return 405
        if method == row.method or (method == "HEAD" and row.method == "GET"):
            found = row.cells[who]
            return sent.STYLED.get((row.name, row.method, style), {}).get(found, found)
        return SIGN_IN if row.cells[who] == SIGN_IN else 405

    def judge(self, row, who, method, style, expected, answer, *, proven=True):
        self.cells += 1
        got = SIGN_IN if answer.status == 302 and "/login/" in answer.leads_to else answer.status
        if got != expected:
            self.say(row, who, method, style, f"{got} and not {expected} {answer.leads_to}")
            return
        self.heard[who] |= answer.canaries
        if method == row.method and row.does(who):
            if proven:
                self.done.add((row.key, method))
            return
        self.refused.append((row, who, method))
        if answer.canaries and not self._sees(row, who):
            self.say(row, who, method, style, f"told of {sorted(answer.canaries)}")

    def _sees(self, row, who):
        """This will tell whether the page of that address is open to somebody: then a refusal may show it again."""
        page = self._row(row.key, "GET")
        return row.cells[who] in SHOWN_AGAIN or (page is not None and page.cells[who] in SHOWN_AGAIN)

    def compare(self, row, who, method, answer, data):
        """This will hold the answer about what one may not see against that about what never was."""
        query = sent.asked(row, self.world)
        address, never = row.address(self.world) + query, row.address(self.world, never=True) + query
        nothing = self.asker.ask(who, method, never, data)
        if nothing.status != 404 or bare(nothing, never) != bare(answer, address):
            self.say(row, who, method, "plain", "differs from what never was")

    # What came of it

    @property
    def never_done(self):
        """This will list the rows that nobody was shown to be able to."""
        return [row for row in self.rows if (row.key, row.method) not in self.done]

    @property
    def twins(self):
        """This will count the refusals of what somebody else did, on the very same record."""
        done = {key for key, _method in self.done}
        asked = [(row, method) for row, _who, method in self.refused]
        return sum(
            (row.key, row.method) in self.done if method in (row.method, "HEAD") else row.key in done
            for row, method in asked
        )

    def say(self, row, who, method, style, what):
        self.wrong.append(f"{row.name} {row.on} {method} {style} {who}: {what}")

    def _touch(self, address):
        self.touched.add(resolve(urlsplit(address).path).route.replace("^", ""))


class rolled_back:
    """What is done within is taken back, and what this process remembers of it is forgotten."""

    def __enter__(self):
        cache.clear()  # guesses and wishes are counted there
        self.atomic = transaction.atomic()
        self.atomic.__enter__()

    def __exit__(self, *error):
        transaction.set_rollback(True)
        self.atomic.__exit__(*error)
        nothing_said()
