"""
The help: one page per area, opened by “?” beside a page's title. Its steps speak in the words of the buttons, which
stand there as **Words**; a test holds them against the buttons, and the pages against the verbs that people may do.
"""

import re

from django.http import Http404
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import mark_safe
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from crm.organisation import Organisation

# What each page is about: {key, which is the first part of the addresses that it explains: (title, one line)}.
AREAS = {
    "start": (_("Start here"), _("What Pursuit is for, and the way of an opportunity from the report to the ranking")),
    "opportunities": (_("Opportunities"), _("Report, follow up, share, transfer, sign, terminate, correct")),
    "tasks": (_("Tasks"), _("Decide on what others ask for, and revise what came back")),
    "customers": (_("Customers"), _("Enter customers and the people who work there")),
    "lists": (_("Lists and views"), _("Choose columns and an order, and keep what you ask for again and again")),
    "documents": (_("Documents"), _("Files that many need, kept once and linked to records")),
    "messages": (_("Messages and announcements"), _("What waits to be read")),
    "ranking": (_("Ranking"), _("Whose month it is, and what counts")),
    "imports": (
        _("Import and export"),
        _("Bring in customers and opportunities from a spreadsheet, and take lists out"),
    ),
    "profile": (_("Profile"), _("Your name, language, time zone and password")),
    "administration": (_("Administration"), _("People, departments, lists, approval routes, the organisation")),
}
ELSEWHERE = {
    "": "start",
    "search": "start",
    "new": "start",
    "contacts": "customers",
    "follow-ups": "opportunities",
    "products": "opportunities",
    "reports": "ranking",
    "exports": "imports",
    "bulk": "opportunities",
    "files": "opportunities",
    "announcements": "messages",
    "accounts": "profile",
    "people": "administration",
    "departments": "administration",
    "organisation": "administration",
    "picklists": "administration",
    "custom-fields": "administration",
    "routes": "administration",
    "recycle": "administration",
    "audit": "administration",
}
WORDS = re.compile(r"\*\*(.+?)\*\*")


def address(path):
    """This will give the address of the help on the page at `path`, or "" where there is none."""
    first = path.split("/")[1]
    area = ELSEWHERE.get(first, first)
    return reverse("help_on", args=[area]) if area in AREAS else ""


def in_words(text):
    """This will mark **Words** in `text`, which is HTML already, as those of a button."""
    return mark_safe(WORDS.sub(r'<b class="word">\1</b>', text))  # noqa: S308  it adds to HTML, and takes nothing in


@require_safe
def index(request):
    return on(request, "start")


@require_safe
def on(request, area):
    if area not in AREAS:
        raise Http404
    title, _line = AREAS[area]
    areas = [(key, *said, key == area) for key, said in AREAS.items()]
    return render(
        request,
        f"crm/help/{area}.html",
        {"area": area, "title": title, "areas": areas, "support": Organisation.current().support},
    )
