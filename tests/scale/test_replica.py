"""
A replica for reports and exports: PostgreSQL streams to it all that is written; what is exported is read there, and
all else, and everything while the replica is late or away, in the database.
"""

import time

import pytest

from crm.replica import FRESH
from tests.crm.live import until
from tests.scale.machines import Cluster, Person, installation

pytestmark = pytest.mark.torture

LAG = 30  # seconds that the replica may be late; workers beat every five, and on a busy machine every ten


@pytest.fixture
def primary():
    with Cluster() as it:
        yield it


@pytest.fixture
def replica(primary):
    with Cluster(follows=primary) as it:
        yield it


@pytest.fixture
def pursuit(tmp_path, primary, replica):
    where = {"DATABASE_URL": primary.url(), "REPLICA_URL": replica.url(), "REPLICA_LAG": str(LAG)}
    with installation(tmp_path / "pursuit", **where) as it:
        it.manage("migrate", "--verbosity", "0")
        it.manage("demo")
        yield it


def test_exports_are_read_from_the_replica_while_it_is_not_late(pursuit, primary, replica):
    _server, port = pursuit.web()
    pursuit.worker()
    rep, manager = Person(port, "rep.shijiazhuang"), Person(port, "manager")

    def enter(name):
        rep.enter(name)
        assert name in manager.get("/customers/").text

    def exported():
        return manager.get("/customers/?export=csv").content.decode()

    until(lambda: replica.ask("SELECT count(*) FROM crm_workerpulse"), 60)
    time.sleep(FRESH + 1)  # whoever looked before there was a pulse looks again
    enter("Pearl Quay")
    until(lambda: "Pearl Quay" in exported(), 5)

    replica.tell("SELECT pg_wal_replay_pause()")
    enter("Jade Quay")
    assert "Jade Quay" not in exported()  # which is the proof that it is read there
    until(lambda: "Jade Quay" in exported(), 4 * LAG)  # it is late by now, and left alone

    replica.tell("SELECT pg_wal_replay_resume()")
    replica.stop()
    enter("Amber Quay")
    until(lambda: "Amber Quay" in exported(), 20)
    assert manager.get("/ranking/").status_code == manager.get("/reports/reviews/").status_code == 200
    assert pursuit.manage("verify") == "Everything holds.\n"
