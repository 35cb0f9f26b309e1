"""Every page that somebody reaches by links, and every form on it: for the cases that are tried on all of them."""

import re
from collections import deque
from html.parser import HTMLParser
from urllib.parse import parse_qs, urljoin, urlsplit

LEADS = ("href", "data-src", "data-suggests", "data-steps", "hx-get")


class Page(HTMLParser):
    """The links of a page, and its forms as {"action", "method", "fields": {name: (kind, value)}}."""

    def __init__(self, html, address):
        super().__init__()
        self.address, self.links, self.forms, self.form, self.select = address, [], [], None, None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.links += [urljoin(self.address, given[name].partition("#")[0]) for name in LEADS if given.get(name)]
        if tag == "form":
            action = urljoin(self.address, given.get("action") or "")
            self.form = {"action": action, "method": given.get("method", "get").lower(), "fields": {}}
            self.forms.append(self.form)
        elif self.form is not None and tag in ("input", "textarea", "select", "option", "button"):
            self.field(tag, given)

    def field(self, tag, given):
        fields, name, kind = self.form["fields"], given.get("name"), given.get("type", tag)
        if tag == "select":
            self.select = name
        elif tag == "option":
            if self.select and ("selected" in given or self.select not in fields):
                fields[self.select] = ("select", given.get("value", ""))
        elif name and (kind not in ("checkbox", "radio") or "checked" in given or name not in fields):
            fields[name] = (kind, given.get("value") or "")

    def handle_endtag(self, tag):
        if tag == "form":
            self.form = None


def pattern(address):
    """This will give an address without what differs between records of a kind."""
    return re.sub(r"\d+", "9", urlsplit(address).path)


def crawl(client, *starts):
    """
    This will follow the links from `starts`, one address of each pattern, with a query and without, and yield (address,
    answer, Page) for each page that is HTML.
    """
    seen, waiting = set(), deque(starts)
    while waiting:
        address = waiting.popleft()
        parts = urlsplit(address)
        what = (pattern(address), bool(parts.query))
        if what in seen or parts.netloc or "logout" in parts.path or parts.path.startswith("/static/"):
            continue
        seen.add(what)
        answer = client.get(address)
        if answer.status_code in (301, 302):
            waiting.append(urljoin(address, answer["Location"]))
        if answer.get("Content-Type", "").startswith("text/html"):
            page = Page(answer.content.decode(), parts.path)
            waiting.extend(page.links)
            yield address, answer, page
        else:
            answer.getvalue()  # a file is closed when it is read


def parameters(address, page):
    """This will give the names that may stand in the query of an address and of what a page leads to or sends."""
    names = set(parse_qs(urlsplit(address).query, keep_blank_values=True))
    for form in page.forms:
        if form["method"] == "get":
            names |= set(form["fields"])
    return names
