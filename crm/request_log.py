"""
One line for each request: who asked for what, how it was answered, what it took. Static files and /livez, /healthz are
answered before they come here, and have none.
"""

import logging
import re
import time
import uuid

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import connection

from crm.logs import around, came_from, path_of
from crm.sign_in import address_of

logger = logging.getLogger("crm.requests")

SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")  # an id that a proxy gave; whatever else is one is not taken


class Cost:
    """What a request takes: time, and queries of the database, which tell it of themselves."""

    def __init__(self):
        self.began = time.perf_counter()
        self.seconds = 0
        self.queries = 0
        self.query_seconds = 0

    def __call__(self, execute, sql, params, many, context):
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.queries += 1
            self.query_seconds += time.perf_counter() - began


def lines(get_response):
    """
    This will give each request an id, which its answer bears too, and write its line once its answer is made.

    Neither that nor the address is taken back: a long export is written after its answer has passed here.
    """

    def answer(request):
        given = request.headers.get("X-Request-ID", "")
        request.id = given if SANE.fullmatch(given) else uuid.uuid4().hex
        request.cost = cost = Cost()
        around.set({"request": request.id})
        came_from.set(where_from(request))
        with connection.execute_wrapper(cost):
            response = get_response(request)
        cost.seconds = time.perf_counter() - cost.began
        response.headers["X-Request-ID"] = request.id
        write(request, response)
        return response

    return answer


def write(request, response):
    """This will write the line of a request."""
    route, milliseconds = request.resolver_match, round(1000 * request.cost.seconds)
    person = getattr(request, "_cached_user", None)  # request.user would ask the database, which may just be what fails
    facts = {
        "method": request.method,
        "path": path_of(request),
        "status": response.status_code,
        "route": route.view_name if route else "",
        "ms": milliseconds,
        "queries": request.cost.queries,
        "db_ms": round(1000 * request.cost.query_seconds),
        "bytes": size_of(response),
        "user": person and person.pk,
        "address": came_from.get(),
        "htmx": "HX-Request" in request.headers,
    }
    slow = milliseconds >= settings.SLOW_REQUEST_MS
    level = logging.ERROR if response.status_code >= 500 else logging.WARNING if slow else logging.INFO
    logger.log(level, "%(method)s %(path)s %(status)s", facts, extra={"facts": facts})


def size_of(response):
    """This will give the bytes of an answer; None of one that is made while it is sent."""
    if not response.streaming:
        return len(response.content)
    said = response.headers.get("Content-Length")
    return said and int(said)


def where_from(request):
    """This will give the address that a request came from, or "" where the proxies do not say it."""
    try:
        return address_of(request)
    except (ImproperlyConfigured, PermissionDenied):
        return ""
