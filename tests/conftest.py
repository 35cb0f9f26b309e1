"""What every test may ask for."""

import gc
import os

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.utils import timezone, translation
from hypothesis import settings as hypothesis
from playwright.sync_api import expect

from crm.organisation import THE_ONE, Organisation

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # the browser's driver runs an event loop in the thread of the tests

expect.set_options(timeout=20_000)  # milliseconds: how long a page takes says more of the machine

gc.set_threshold(100_000, 50, 1000)  # what a test makes is soon gone: to look for it seldom saves a twentieth

hypothesis.register_profile("default", deadline=None)  # how long an example takes says more of the machine
hypothesis.register_profile("torture", deadline=None, max_examples=5000)
hypothesis.load_profile("default")


def pytest_collection_modifyitems(items):
    """This will begin with the longest tests, so that no process is left alone with one at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """This will send away whoever still holds the test database, such as a page being loaded, before it goes."""
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            cursor.execute(f"SELECT pg_terminate_backend(pid) {others}")


def nothing_said():
    """This will make the settings of the organisation be those of no row, which no query need ask for."""
    Organisation.keep(Organisation(pk=THE_ONE), float("inf"))


nothing_said()  # for what tests work out while they are collected, such as today


@pytest.fixture(autouse=True)
def _nothing_kept():
    """Rate limits, cached answers, language and time zone of one test are not those of the next."""
    cache.clear()
    translation.activate(settings.LANGUAGE_CODE)
    timezone.deactivate()
    nothing_said()


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    """This will start Debian's Chromium, which looks for nobody outside."""
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
    arguments += ["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    return browser_type_launch_args | {"executable_path": chromium, "args": arguments}
