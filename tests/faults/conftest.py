"""What every fault strikes: the product on a database of its own kind, with its files in a folder of its own."""

import pytest

from tests.crm.test_serve import port  # noqa: F401  a fixture
from tests.faults.driver import LEDGERS, Product


@pytest.fixture
def product(tmp_path, port, settings):  # noqa: F811  the fixture above
    settings.MEDIA_ROOT = tmp_path / "media"
    kept = settings.STORAGES["files"] | {"OPTIONS": {"location": settings.MEDIA_ROOT / "files"}}
    settings.STORAGES = settings.STORAGES | {"files": kept}
    (settings.MEDIA_ROOT / "files").mkdir(parents=True, exist_ok=True)
    product = Product(tmp_path, port)
    try:
        yield product
    finally:
        product.end()


def pytest_terminal_summary(terminalreporter):
    """This will end with what was asked and answered under each fault."""
    if LEDGERS:
        terminalreporter.section("ledgers")
        terminalreporter.write_line("\n".join(LEDGERS))
