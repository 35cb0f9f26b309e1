"""Several web servers and workers at once, behind one address, on one PostgreSQL, with Redis between them."""

import os

import psycopg
import pytest
import redis

from tests.crm.live import until
from tests.scale.machines import Cluster, OneAddress, Person, installation

pytestmark = pytest.mark.torture

CACHE = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/9")


@pytest.fixture
def shared():
    """This will give the address of an empty database of a Redis."""
    known = redis.Redis.from_url(CACHE)
    try:
        known.flushdb()
    except redis.ConnectionError:
        pytest.skip("There is no Redis here. Start one, or name one in REDIS_URL.")
    yield CACHE
    known.flushdb()


@pytest.fixture
def postgresql():
    with Cluster() as it:
        yield it


@pytest.fixture
def pursuit(tmp_path, postgresql, shared):
    with installation(tmp_path / "pursuit", DATABASE_URL=postgresql.url(), CACHE_URL=shared, EXPORT_AT_ONCE="5") as it:
        it.manage("migrate", "--verbosity", "0")
        it.manage("demo")
        yield it


def test_behind_one_address_it_does_not_matter_which_of_them_answers(pursuit, postgresql):
    (first, one), (_second, two) = pursuit.web(), pursuit.web()
    workers = pursuit.worker(), pursuit.worker()
    with OneAddress([one, two]) as front:
        rep, manager = Person(front.port, "rep.shijiazhuang"), Person(front.port, "manager")

        names = [f"Quay {number:02}" for number in range(20)]
        for name in names:
            rep.enter(name)
        listed = manager.get("/customers/?q=Quay").text
        assert all(name in listed for name in names)
        assert min(front.led.values()) > 10

        # Who guesses passwords is stopped by what all of them count together.
        guesses = [Person(front.port, "rep.hebei", f"guess {number}").entered for number in range(5)]
        assert [guess.status_code for guess in guesses] == [200] * 5
        assert Person(front.port, "rep.hebei").entered.status_code == 200  # the right one, one try too late
        assert Person(front.port, "rep.jinan").entered.status_code == 302

        # What one of them is asked for, one of the workers makes, once.
        made = [manager.post("/opportunities/?export=xlsx&fields=list&rows=all") for _twice in range(2)]
        pages = {answer.headers["Location"] for answer in made}
        until(lambda: all("/file/" in manager.get(page).text for page in pages), 60)
        with psycopg.connect(postgresql.url()) as connection:
            jobs = connection.execute("SELECT state, attempts FROM crm_job WHERE kind = 'export'").fetchall()
        assert {state for state, _attempts in jobs} == {"done"}
        assert {attempts for _state, attempts in jobs} == {1}

        # One web server and one worker are killed: whoever is signed in goes on with the others.
        first.kill()
        workers[0].kill()
        for page in ("/", "/opportunities/", "/ranking/"):
            assert manager.get(page).status_code == 200
        rep.enter("Quay 21")
        until(lambda: manager.get("/healthz").json()["status"] == "ok", 60)
    assert pursuit.manage("verify") == "Everything holds.\n"
