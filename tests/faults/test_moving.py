"""From PostgreSQL to SQLite and back by a backup that is restored there: the same digests, and work goes on."""

import json
import zipfile
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import connection

from crm.models import Photo, User
from customers.models import Customer
from opportunities.models import Opportunity
from tests import factories as make
from tests.faults.boxes import Box

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="it needs both, and runs where PostgreSQL is"),
]

ODD = {"b": 1, "aa": "清河 𠮷", "a": {"z": 0.5, "y": [True, None, 10**18, 1e-7]}}
UNLIKE = ["清河水务", "straße", "Strasse", "ＡＢＣ", "_", "z", "Ä"]  # which no two databases sort alike


class SQLite(Box):
    """A box with a SQLite database."""

    def __init__(self, folder):
        super().__init__("", folder)
        folder.mkdir()
        self.url = f"sqlite:///{folder / 'small.sqlite3'}"


def digests(backup):
    with zipfile.ZipFile(backup) as archive:
        tables = json.loads(archive.read("manifest.json"))["tables"]
    return {name: (table["rows"], table["sha256"]) for name, table in tables.items()}


def test_a_system_moves_to_sqlite_and_back_to_postgresql_with_equal_digests_and_work_goes_on(tmp_path):
    owner = make.user("li.wei", name="李伟 𠮷", notifications=ODD)
    for state in ("draft", "active", "signing", "signed", "terminated"):
        make.opportunity(owner, state=state, amount=Decimal("12345678901.05"), description="a\\Nb\n")
    for name in UNLIKE:
        make.customer(owner, name=name)
    Photo.objects.create(user=owner, png=bytes(range(256)))
    first, last = Opportunity.objects.earliest("pk").pk, Opportunity.objects.latest("pk").pk

    small = SQLite(tmp_path / "small")
    call_command("backup", to=tmp_path / "there.zip")
    held = digests(tmp_path / "there.zip")
    assert held["opportunities_opportunity"][0] == 5
    assert "Everything holds." in small.run("restore", tmp_path / "there.zip")
    small.run("backup", "--to", tmp_path / "same.zip")
    assert digests(tmp_path / "same.zip") == held
    small.run("seed", "--opportunities", "3")
    small.run("backup", "--to", tmp_path / "back.zip")
    assert digests(tmp_path / "back.zip") != held

    call_command("restore", tmp_path / "back.zip", replace=True)
    call_command("backup", to=tmp_path / "again.zip")
    assert digests(tmp_path / "again.zip") == digests(tmp_path / "back.zip")
    assert Opportunity.objects.filter(pk__gt=last).count() == 3
    assert Opportunity.objects.get(pk=first).description == "a\\Nb\n"
    assert User.objects.get(pk=owner.pk).notifications == ODD
    assert Customer.objects.search("清河").get().name == "清河水务"
    assert make.opportunity(owner).pk == last + 4
