"""What the tests in a browser share."""

import threading

import pytest

from tests.browser.desk import window


@pytest.fixture(autouse=True)
def _answered(transactional_db):
    """
    The server goes on with what a page asked for as it was closed. It is waited for before the tables are emptied:
    PostgreSQL may take the two for a deadlock, and what is written after would be met by the next test.
    """
    yield
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(30)


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
