"""
How what happens is written down: each entry is one line, whatever a name or a path holds, and says to which request or
job it belongs. What a line of a request says is in crm.request_log.
"""

import json
import logging
import re
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType

around = ContextVar("around", default=MappingProxyType({}))  # {"request": its id}, {"job": its number}
came_from = ContextVar("came_from", default="")  # the address of who asks for what is being done

SECRET = re.compile(r"(/accounts/password/reset/key/|/profile/email/).+")  # what follows lets in whoever knows it
LONGEST_PATH = 200  # characters that are written of one
SAID = {"method", "path", "status"}  # which the message of a request says already


@contextmanager
def within(**facts):
    """This will write `facts` in each line of what is done meanwhile."""
    before = around.set(facts)
    try:
        yield
    finally:
        around.reset(before)


def path_of(request):
    """This will give the path of a request as it may be written: without what lets somebody in, and not for ever."""
    return SECRET.sub(r"\1…", request.path)[:LONGEST_PATH]


def _message(record):
    """This will give what a record says. Django names the whole path of a request that failed."""
    message, request = record.getMessage(), getattr(record, "request", None)
    return message.replace(request.path, path_of(request)) if hasattr(request, "path") else message


def _moment(record):
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


class Json(logging.Formatter):
    """One line of JSON in ASCII: for programs that gather them."""

    def format(self, record):
        facts = {"time": _moment(record), "level": record.levelname, "logger": record.name, "message": _message(record)}
        facts |= around.get() | getattr(record, "facts", {})
        if record.exc_info:
            facts["error"] = self.formatException(record.exc_info)
        return json.dumps(facts, default=str)


class Text(logging.Formatter):
    """A line to read; an error has more of them below it, which are indented."""

    def format(self, record):
        facts = around.get() | {name: value for name, value in getattr(record, "facts", {}).items() if name not in SAID}
        said = [f"{name}={json.dumps(value, default=str)}" for name, value in facts.items() if value is not None]
        line = " ".join([_moment(record), record.levelname, f"{record.name}:", _printable(_message(record)), *said])
        error = self.formatException(record.exc_info).splitlines() if record.exc_info else []
        return "\n".join([line, *(f"    {_printable(below)}" for below in error)])


def _printable(text):
    """This will write ends of lines, and whatever else would move the cursor, as their codes."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )
