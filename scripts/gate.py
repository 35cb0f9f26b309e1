"""
Runs every check and every test, on SQLite and on PostgreSQL, and ends with a table: `make test`, `make lint`.

What a machine lacks is installed where that is possible; otherwise its tests are skipped, loudly and counted, or fail
when REQUIRE names it: REQUIRE=postgresql,browser,advisories. What is bad in our own lines, ruff's rules S look for.
"""

import os
import shutil
import subprocess
import sys
import time
import zlib
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import advisories
import psycopg
from clusters import Cluster, programs
from set_up import apt_install

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".venv" / "bin"
PYTHON = BIN / "python"
REPORTS = ROOT / "var" / "gate"
REQUIRED = [name for name in os.environ.get("REQUIRE", "").split(",") if name]
DATABASE = f"pursuit_{zlib.crc32(str(ROOT).encode()):08x}"  # another working copy's tests may run on the same server
PRODUCTION = {
    "PURSUIT_ENV": "production",
    "SECRET_KEY": "a-key-for-this-check-only-0123456789-abcdefghijklmnopqrstuvwxyz",
    "ALLOWED_HOSTS": "pursuit.example",
    "SITE_URL": "https://pursuit.example",
}
NO_DATABASE = {"DATABASE_URL": "sqlite://:memory:"}
# What this shell says of the product is not meant for its tests.
CONFIGURATION = ["DATABASE_URL", "PURSUIT_ENV", "SECRET_KEY", "ALLOWED_HOSTS", "DEBUG", "CACHE_URL", "EMAIL_URL"]
CONFIGURATION += [
    "MEDIA_ROOT",
    "SITE_URL",
    "REQUIRE_TWO_STEP",
    "CSRF_TRUSTED_ORIGINS",
    "TRUSTED_PROXIES",
    "DJANGO_SETTINGS_MODULE",
]
CHECKS = [
    ("ruff", [BIN / "ruff", "check", "--output-format=concise"], {}),
    ("ruff format", [BIN / "ruff", "format", "--check"], {}),
    ("import-linter", [BIN / "lint-imports", "--no-logo"], {}),
    ("house", [PYTHON, "-m", "pytest", "tests/test_house.py", "--quiet"], {}),
    ("migrations", [PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"], NO_DATABASE),
    ("deploy", [PYTHON, "manage.py", "check", "--deploy", "--fail-level", "WARNING"], PRODUCTION | NO_DATABASE),
    ("djlint", [BIN / "djlint", "templates", "--lint", "--quiet"], {}),
    ("catalogues", [PYTHON, "scripts/catalogues.py", "check"], {}),
]


def main(wanted):
    began = time.monotonic()
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    for name in CONFIGURATION:
        os.environ.pop(name, None)
    os.environ["VAR_DIR"] = str(REPORTS)
    if not shutil.which("xgettext"):
        apt_install("gettext")
    results = [Result(name, run(name, command, environment)) for name, command, environment in CHECKS]
    results += known_of_packages()
    if wanted == "test":
        with ExitStack() as stack:
            results += tests(postgresql(stack), browser())
    sys.exit(summary(results, time.monotonic() - began))


def known_of_packages():
    """This will yield whether something bad is known of a package, for each kind of them."""
    for name, ask in (("pip-audit", advisories.of_python), ("npm audit", advisories.of_node)):
        print(f"\n── {name} {'─' * (76 - len(name))}", flush=True)
        found = ask()
        if found is None:
            print("Nobody who would know of something bad could be asked.")
            yield Result(name, "advisories" not in REQUIRED, skipped_for="advisories")
            continue
        known, skipped = found
        print(*known or ["Nothing bad is known."], sep="\n")
        yield Result(name, not known, skipped=skipped)


def tests(postgresql_url, chromium):
    """This will run unit and browser tests on each database there is, and yield what came of them."""
    for kind, paths, there in (("unit", ["--ignore=tests/browser"], True), ("browser", ["tests/browser"], chromium)):
        for database, url in (("SQLite", f"sqlite:///{REPORTS}/pursuit.sqlite3"), ("PostgreSQL", postgresql_url)):
            name = f"{kind}, {database}"
            lacking = "browser" if not there else "postgresql" if not url else None
            if lacking:
                yield Result(name, lacking not in REQUIRED, skipped_for=lacking)
                continue
            report = REPORTS / f"{kind}-{database}.xml"
            command = [PYTHON, "-m", "pytest", *paths, "-n", "auto", "--quiet", f"--junit-xml={report}"]
            if kind == "unit":
                command += ["--ignore=tests/test_house.py"]  # it asks no database, and has been run
            if database != "SQLite":
                command += ["-m", "not torture and not any_database"]
            yield Result(name, run(name, command, {"DATABASE_URL": url, "CHROMIUM": chromium or ""}), report=report)


class Result:
    """What came of one check or one run of tests: its name, whether it is good, and the tests counted in it."""

    def __init__(self, name, good, report=None, skipped_for=None, skipped=0):
        self.name, self.good, self.skipped_for = name, good, skipped_for
        self.passed, self.failed, self.skipped = int(good), int(not good), skipped
        if skipped_for:
            self.passed, self.skipped = 0, int(good)
        elif report and report.exists():
            suite = ElementTree.parse(report).find("testsuite")  # noqa: S314  pytest wrote it, just now
            tests, failures, errors, self.skipped = (
                int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped")
            )
            self.failed = max(failures + errors, int(not good))
            self.passed = tests - failures - errors - self.skipped

    def __str__(self):
        counts = f"{self.passed:>6} passed {self.failed:>4} failed {self.skipped:>4} skipped"
        if self.skipped_for:
            counts += f"   {'FAILED' if not self.good else 'ALL SKIPPED'}: no {self.skipped_for} on this machine"
        return f"{self.name:22} {counts}"


def summary(results, seconds):
    """This will print the table and give the exit code."""
    print(f"\n{'─' * 80}")
    print(*results, sep="\n")
    failing = [result.name for result in results if not result.good]
    if failing:
        print(f"\nFailed: {'; '.join(failing)}.")
    print(f"\nTook {seconds / 60:.1f} minutes.")
    totals = {key: sum(getattr(result, key) for result in results) for key in ("passed", "failed", "skipped")}
    print(", ".join(f"{total} {key}" for key, total in totals.items()))
    return 1 if failing else 0


def run(name, command, environment):
    """This will run one step, show what it says, and tell whether it succeeded."""
    print(f"\n── {name} {'─' * (76 - len(name))}", flush=True)
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=False).returncode == 0


def browser():
    """This will find Chromium, or install Debian's; None where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    given = os.environ.get("CHROMIUM")
    found = given or next(filter(None, map(shutil.which, names)), None)
    if not found and apt_install("chromium"):
        found = shutil.which("chromium")
    if not found:
        print("There is no Chromium here. To run the browser tests, install Debian's chromium or name one in CHROMIUM.")
    return found


def postgresql(stack):
    """This will give the address of a PostgreSQL to test on: one that runs, or one started for now; None without."""
    given = os.environ.get("DATABASE_URL_TEST_POSTGRES")
    usual = [f"postgresql://{user}@127.0.0.1:5432/{DATABASE}" for user in ("postgres", "root")]
    for url in [given] if given else usual:
        if may_create_databases(url):
            return url
    if given:
        sys.exit("DATABASE_URL_TEST_POSTGRES: no PostgreSQL answers there whose user may create databases.")
    if not programs():
        apt_install("postgresql")
    if not programs():
        print("There is no PostgreSQL here. Install Debian's, or name a server in DATABASE_URL_TEST_POSTGRES.")
        return None
    print("Starting a PostgreSQL for this run …", flush=True)
    return stack.enter_context(Cluster(fsync="off", synchronous_commit="off", full_page_writes="off")).url(DATABASE)


def may_create_databases(url):
    server = url.rpartition("/")[0] + "/postgres"
    try:
        with psycopg.connect(server, connect_timeout=3) as connection:
            mine = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
            return connection.execute(mine).fetchone()[0]
    except psycopg.OperationalError:
        return False


if __name__ == "__main__":
    main(sys.argv[1])
