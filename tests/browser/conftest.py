"""What the tests in a browser share."""

import time
from threading import get_ident, main_thread

import pytest
from django.core.signals import request_finished, request_started

from tests.browser.desk import window

ANSWERING = set()  # the threads of the server that are at a request


def _begins(**_about):
    if get_ident() != main_thread().ident:
        ANSWERING.add(get_ident())


def _ends(**_about):
    ANSWERING.discard(get_ident())


request_started.connect(_begins)
request_finished.connect(_ends)


@pytest.fixture(autouse=True)
def _answered(transactional_db):
    """
    The server goes on with what a page asked for as it was closed. It is waited for before the tables are emptied:
    PostgreSQL may take the two for a deadlock, and what is written after would be met by the next test.
    """
    yield
    patience = time.monotonic() + 30
    while ANSWERING and time.monotonic() < patience:
        time.sleep(0.01)


@pytest.fixture
def sign_in(browser, live_server):
    """
    This will give a function that opens an address for somebody who is signed in, as a page in a window of its own;
    what the console of one says against it fails the test, but for texts that hold one of `expected`: an answer with a
    status of its own, as that something is refused, is noted by the browser.
    """
    pages, said = [], []

    def signed_in(person, address="/", *, expected=(), **options):
        def hear(text):
            if not any(one in text for one in expected):
                said.append(text)

        page = window(browser, live_server.url, person, **options)
        pages.append(page)
        page.on("console", lambda told: hear(told.text) if told.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: hear(str(error)))
        page.goto(address)
        return page

    yield signed_in
    for page in pages:
        page.context.close()
    assert said == []
