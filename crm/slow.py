"""
Those who send slowly, or leave before they have sent all: no thread waits for the ones, and nothing is done with what
the others sent. And those who are answered before they have sent all: they hear of it.

Behind a proxy that takes in whole requests first, none of this comes to pass; a machine of one's own has no such proxy.
"""

import re
import selectors
import socket
import time
from collections import deque
from contextlib import suppress

from gunicorn.workers.gthread import ThreadWorker

SILENCE = 10  # seconds that somebody may be silent amid a body
PATIENCE = 10  # seconds in which a head is there, with the beginning of its body
FIRST_TURN, TURN = 0.001, 0.05  # seconds until the next look at what is there by now: the first, and at most
HEAD = 64 << 10  # bytes; more than any browser sends
BEGINNING = 16 << 10  # bytes of a body; of a form, that is mostly all
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,12})[ \t]*\r\n", re.IGNORECASE)
WAITS = re.compile(rb"\r\nexpect:", re.IGNORECASE)  # to be told to send its body


def is_begun(seen):
    """This will tell whether of a request enough is there for a thread: its head, and a small body."""
    head, end, body = seen.partition(b"\r\n\r\n")
    if not end or WAITS.search(head):
        return bool(end) or len(seen) >= HEAD
    length = LENGTH.search(head + b"\r\n")
    return length is None or len(body) >= min(int(length[1]), BEGINNING)


class Worker(ThreadWorker):
    """Gunicorn's worker of threads, which gives a connection to one of them once its request has begun in earnest."""

    def init_process(self):
        self.held = deque()  # (connection, until when, seconds until the next look), the longest held first
        super().init_process()

    def enqueue_req(self, conn):
        if self.is_ready(conn):
            super().enqueue_req(conn)
        else:
            self.held.append((conn, time.monotonic() + PATIENCE, FIRST_TURN))

    def wait_for_and_dispatch_events(self, timeout):
        silent = [conn for conn, _until, _turn in self.held if conn.seen == 0]
        for conn in silent:  # the first byte wakes us; of the rest we look from time to time
            self.poller.register(conn.sock, selectors.EVENT_READ, lambda _socket: None)
        turns = [turn for conn, _until, turn in self.held if conn.seen]  # a body follows its head in a moment
        super().wait_for_and_dispatch_events(min(turns, default=timeout))
        for conn in silent:
            self.poller.unregister(conn.sock)
        for _number in range(len(self.held)):
            conn, until, turn = self.held.popleft()
            if self.is_ready(conn):
                super().enqueue_req(conn)
            elif time.monotonic() > until or (conn.seen == 0 and not self.alive):
                self.nr_conns -= 1
                conn.close()
            else:
                self.held.append((conn, until, min(2 * turn, TURN) if conn.seen else turn))

    def is_ready(self, conn):
        """This will look at what was sent without taking it; what was closed or fails is for a thread to find out."""
        if conn.parser is not None and conn.parser.unreader.buf.getvalue():
            return True  # another request came along with the one before
        conn.sock.setblocking(False)
        try:
            seen = conn.sock.recv(HEAD, socket.MSG_PEEK)
        except BlockingIOError:
            conn.seen = 0
            return False
        except OSError:
            return True
        conn.seen = len(seen)
        return not seen or is_begun(seen)


class Body:
    """What was sent after the head. Raises ConnectionError where it ends before its length, or silence does it."""

    def __init__(self, environ):
        self.stream = environ["wsgi.input"]
        self.left = int(environ.get("CONTENT_LENGTH") or 0)
        self.line = environ.get("gunicorn.socket")
        self.set_patience()

    def set_patience(self):
        """This will wait so long for the rest of the body; an answer may be fetched as slowly as somebody can."""
        if self.line:
            self.line.settimeout(SILENCE if self.left else None)

    def read(self, size=-1):
        wanted = self.left if size is None or size < 0 else min(size, self.left)
        return self.taken(self.stream.read(wanted), wanted)

    def readline(self, size=-1):
        line = self.stream.readline(size)
        return self.taken(line, 1 if self.left else 0)

    def taken(self, data, least):
        self.left -= len(data)
        if len(data) < least:
            raise ConnectionError("What was sent ended before its length.")
        self.set_patience()
        return data

    def drop(self):
        """
        This will take in what nobody read, for a while: whoever still sends when the line is closed, as gunicorn does,
        loses the answer with it.
        """
        until = time.monotonic() + PATIENCE
        with suppress(OSError):
            while self.left and time.monotonic() < until:
                self.read(HEAD)
