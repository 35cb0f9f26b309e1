"""What is answered while database or disk cannot be used: which errors say so, and a page that loses nothing."""

import logging
import sys
from contextlib import suppress

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import SuspiciousOperation
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpResponseServerError
from django.http.multipartparser import MultiPartParserError
from django.template.loader import render_to_string

from crm.files import NO_ROOM

logger = logging.getLogger(__name__)

RETRY_AFTER = 20  # seconds: a database that restarts is back sooner


def is_told_by(error):
    """This will tell whether `error` says that database or disk cannot be used just now, and nothing of our code."""
    raw = connection.Database  # whose own errors Django lets through where it closes a cursor of the server's
    if isinstance(error, OperationalError | InterfaceError | raw.OperationalError | raw.InterfaceError):
        return getattr(error.__cause__, "sqlite_errorname", "") != "SQLITE_ERROR"  # a table or column that is not there
    return isinstance(error, OSError) and error.errno in NO_ROOM


def broken(request):
    """This will answer what ended in an error: 503 where database or disk could not be used, else 500. No frame."""
    error = sys.exception()
    return out_of_reach(request, error) if is_told_by(error) else HttpResponseServerError(render_to_string("500.html"))


def without_session(request, error):
    """
    This will answer where what was done could not be noted in the session, as `error`, a SessionInterrupted, says: the
    database was out of reach by then, or the session was ended meanwhile.
    """
    while error is not None:
        if is_told_by(error):
            return out_of_reach(request, error)
        error = error.__context__
    return redirect_to_login(request.get_full_path())


def out_of_reach(request, error):
    """
    This will answer 503, on a page without frame, since that asks the database. What was sent stands on it, to be sent
    again: under the same key (`crm.once`) or version, so that what was done, and could not be answered, is not done
    twice.
    """
    logger.error("%s %s: database or disk cannot be used. %s", request.method, request.path, error)
    if isinstance(error, OSError):
        sent = []  # to read more of what comes in may need room that is not there
        let_go(request)
    else:
        sent = sent_with(request)
    context = {"address": request.get_full_path(), "acted": request.method == "POST", "sent": sent}
    answer = HttpResponseServerError(render_to_string("503.html", context), status=503)
    answer.headers["Retry-After"] = str(RETRY_AFTER)
    answer.headers["Cache-Control"] = "no-store"
    answer._has_been_logged = True  # or Django would write a page of it into the log for each request
    return answer


def let_go(request):
    """This will delete what had come in of an upload, as the system's own file, when there was no more room."""
    for handler in request.upload_handlers:
        with suppress(AttributeError, OSError):  # most have none
            handler.file.close()


def sent_with(request):
    """This will list the (name, value) of the form that was sent; none of one with files or passwords in it."""
    if request.method != "POST":
        return []
    try:
        fields = [(name, value) for name, values in request.POST.lists() for value in values]
        whole = not request.FILES
    except (OSError, MultiPartParserError, SuspiciousOperation):  # it did not come whole, or could not be kept
        return []
    return fields if whole and not any("password" in name for name, _value in fields) else []
