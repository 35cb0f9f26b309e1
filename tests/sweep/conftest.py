"""The world that is swept, and the quiet that it is swept in."""

import logging

import pytest

from tests.sweep import world as b
from tests.sweep.sweep import SWEPT


@pytest.fixture(autouse=True)
def quiet():
    """Each refusal is written into the log, which takes longer than the refusal."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def world(db, settings, tmp_path):
    """This will build world B, with a store of its own for its files."""
    settings.MEDIA_ROOT = tmp_path
    store = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "files"}}
    settings.STORAGES = settings.STORAGES | {"files": store}
    return b.build(settings)


def pytest_terminal_summary(terminalreporter):
    """This will end with what was asked, and of how much of what was refused somebody got the same."""
    if SWEPT:
        terminalreporter.section("swept")
        terminalreporter.write_line("\n".join(SWEPT))
