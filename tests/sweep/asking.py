"""How the sweep asks: a request with somebody's session, through all that stands before a view; and what came back."""

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.core.signals import request_finished
from django.db import close_old_connections
from django.test import RequestFactory
from django.test.client import encode_multipart

from tests.sweep.world import CANARY

STYLES = {
    "plain": {},
    "htmx": {"HTTP_HX_REQUEST": "true"},
    "json": {"HTTP_ACCEPT": "application/json"},
}
OVERRIDE = {"override": {"HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE", "HTTP_X_METHOD_OVERRIDE": "DELETE"}}
BOUNDARY = "sweep"


@dataclass
class Answer:
    """What came back: its status, where it leads, and its body whole."""

    status: int
    leads_to: str
    body: bytes

    @property
    def canaries(self):
        """This will give the kinds of the canaries that sing in it."""
        return {kind.decode() for kind in CANARY.findall(self.body + self.leads_to.encode())}


class Asker(RequestFactory):
    """
    Sends requests as browsers do that are signed in already. It keeps nothing between two of them: no cookie that an
    answer sets, and no template's context, for which Django's own client takes most of its time.
    """

    def __init__(self, sessions):
        super().__init__()
        self.sessions = sessions
        self.handler = BaseHandler()
        self.handler.load_middleware()

    def ask(self, who, method, address, data=None, style="plain", **headers):
        """This will send one request in the name of `who`, a role that has a session or has none."""
        extra = (STYLES | OVERRIDE)[style] | headers
        if who in self.sessions:
            extra["HTTP_COOKIE"] = f"{settings.SESSION_COOKIE_NAME}={self.sessions[who]}"
        body, kind = b"", "application/octet-stream"
        if data is not None:
            body, kind = encode_multipart(BOUNDARY, data), f"multipart/form-data; boundary={BOUNDARY}"
        request = self.generic(method, address, body, kind, **extra)
        request._dont_enforce_csrf_checks = True  # what a token keeps out would not reach the permissions
        response = self.handler.get_response(request)
        read = b"".join(response.streaming_content) if response.streaming else response.content
        request_finished.disconnect(close_old_connections)  # the test's own would go, and all its work with it
        response.close()
        request_finished.connect(close_old_connections)
        return Answer(response.status_code, response.headers.get("Location", ""), read)


def bare(answer, address):
    """This will give a body without what differs in any two: the token, and the address itself."""
    body = re.sub(rb'name="csrfmiddlewaretoken" value="\w+"', b"", answer.body)
    return body.replace(address.encode(), b"").replace(urlencode({"next": address}).encode(), b"")
