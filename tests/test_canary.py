"""
A canary: a customer with a random name, its contact, its opportunity, its follow-up and its approval, in Jinan.

Everybody in the demo company walks through every page they can reach, lists, pickers, admin and all, and every mail is
read: the name is found only where it may be. And it *is* found there, or the walk would prove nothing.
"""

import re
import secrets
from collections import deque
from html import unescape
from urllib.parse import urljoin, urlsplit

import pytest
from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from crm.models import User
from notices import delivery
from opportunities.models import Opportunity
from tests import factories as make

pytestmark = [pytest.mark.django_db, pytest.mark.long, pytest.mark.any_database]

MAY = {"rep.jinan", "deputy.jinan", "gm.jinan", "manager", "admin"}
LINK = re.compile(r"""\b(?:href|data-src|data-steps|hx-get)=["']([^"'#]+)""")


@pytest.fixture
def canary():
    """This will let the canary loose in the demo company, and give its name."""
    call_command("demo", verbosity=0)
    name = f"Zq{secrets.token_hex(6)}"
    rep = User.objects.get(username="rep.jinan")
    customer = make.customer(rep, name=f"{name} Holding", phone="", description=f"About {name}")
    contact = make.contact(customer, name=f"{name} Contact", email=f"{name}@example.org")
    opportunity = make.opportunity(rep, customer=customer, name=f"{name} line", description=f"About {name}")
    opportunity.add_contact(contact=contact, by=rep)
    make.follow_up(opportunity, content=f"Called {name}.")
    make.follow_up(customer, content=f"Visited {name}.", at=timezone.now() + timezone.timedelta(hours=2))
    deputy = User.objects.get(username="deputy.jinan")
    opportunity.report(by=rep, approver=deputy)
    opportunity.open_task.finish(by=deputy, seen=opportunity.version)
    opportunity.refresh_from_db()
    make.sign(opportunity, approver=deputy)
    return name


def walk(client, name, *starts):
    """
    This will follow the links from `starts`, and give {address: found} for each page: whether `name` is on it. Of the
    addresses that differ only in a number or in their query, `starts` are all tried, and of the others one.
    """
    seen, patterns, waiting = {}, set(), deque(starts)
    while waiting:
        address = waiting.popleft()
        parts = urlsplit(address)
        pattern = re.sub(r"\d+", "9", parts.path) + "?" * bool(parts.query)
        elsewhere = parts.scheme or parts.netloc or "logout" in address or address.startswith("/static/")
        if elsewhere or address in seen or (pattern in patterns and address not in starts):
            continue
        patterns.add(pattern)
        response = client.get(address)
        assert response.status_code < 500, address
        body = b"".join(response.streaming_content) if response.streaming else response.content
        seen[address] = name.lower() in body.decode(errors="replace").lower()
        if response.status_code in (301, 302):
            waiting.append(response["Location"])
        if response.get("Content-Type", "").startswith("text/html"):
            waiting.extend(urljoin(parts.path, unescape(link)) for link in LINK.findall(body.decode()))
    return seen


def asked(name, addresses):
    """This will give the addresses that look for a part of the name (a page repeats what was looked for)."""
    paths = {urlsplit(address).path for address in addresses}
    return [
        f"{path}?q={name[:9]}"
        for path in paths
        if re.search(r"/(pick|search|opportunities|customers|contacts)/$", path)
    ]


def direct():
    """This will give the addresses of all that the canary left, typed by somebody who guesses numbers."""
    opportunity = Opportunity.objects.latest("pk")
    kept = [
        f"/opportunities/{opportunity.pk}/",
        f"/opportunities/{opportunity.pk}/edit/",
        f"/opportunities/{opportunity.pk}/share/",
        f"/opportunities/{opportunity.pk}/follow-up/",
        f"/customers/{opportunity.customer_id}/",
        f"/customers/{opportunity.customer_id}/edit/",
        f"/contacts/{opportunity.customer.contacts.get().pk}/",
        f"/tasks/{opportunity.open_task.pk}/",
    ]
    return [*kept, f"/opportunities/new/?customer={opportunity.customer_id}"]


@pytest.mark.case(7)
def test_the_canary_is_found_on_pages_and_in_mails_by_those_only_who_may_see_it(client, canary):
    found, strayed = set(), []
    for person in User.objects.filter(is_active=True):
        client.force_login(person)
        starts = ["/", "/opportunities/?state=", "/admin/", *direct()]
        pages = walk(client, canary, *starts)
        pages |= walk(client, canary, *asked(canary, pages))
        if person.username in MAY:
            found |= {person.username for seen in pages.values() if seen}
        else:
            strayed += [(person.username, address) for address, seen in pages.items() if seen]
        assert len(pages) > 20, f"{person.username} hardly got anywhere"

    assert strayed == []
    assert found == MAY

    delivery.deliver()

    strangers = User.objects.exclude(username__in=MAY).values_list("email", flat=True)
    read = [(letter.to, letter.subject + letter.body) for letter in mail.outbox]
    assert any(canary in text for _to, text in read)
    assert [to for to, text in read if canary in text and set(to) & set(strangers)] == []
