"""A machine is set up as the manual says, and Pursuit refuses to run where that would not be safe."""

import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from crm import assets
from tests import factories as make

ROOT = Path(__file__).resolve().parent.parent
SAFE = {
    "PURSUIT_ENV": "production",
    "SECRET_KEY": "a-key-for-this-test-only-0123456789-abcdefghijklmnopqrstuvwxyz",
    "ALLOWED_HOSTS": "pursuit.example",
    "SITE_URL": "https://pursuit.example",
    "DATABASE_URL": "sqlite://:memory:",
}
NEVER = ["DEBUG", "DJANGO_ALLOW_ASYNC_UNSAFE", "DJANGO_SETTINGS_MODULE", "MAKEFLAGS", "MAKELEVEL"]


def run(*command, **environment):
    """This will run a command in the project's folder, with that environment besides this process's own."""
    inherited = {name: value for name, value in os.environ.items() if name not in NEVER}
    return subprocess.run(
        command, cwd=ROOT, env=inherited | environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


# ── What production refuses ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.any_database
def test_production_starts_with_a_key_hosts_and_https_and_nothing_to_complain_about():
    result = run(sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING", **SAFE)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    assert "no issues" in result.stdout


@pytest.mark.parametrize(
    ("unsafe", "told"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is not set."),
        ({"SECRET_KEY": "changeme"}, "SECRET_KEY can be guessed."),
        ({"SECRET_KEY": "django-insecure-0123456789-abcdefghijklmnopqrstuvwxyz"}, "SECRET_KEY can be guessed."),
        ({"DEBUG": "on"}, "DEBUG is on."),
        ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS is empty."),
        ({"SITE_URL": "http://pursuit.example"}, 'SITE_URL is "http://pursuit.example".'),
        ({"PURSUIT_ENV": "prod"}, 'PURSUIT_ENV is "prod".'),
    ],
)
@pytest.mark.case(57)
def test_production_does_not_start_with_a_setting_that_is_not_safe_and_says_which(unsafe, told):
    result = run(sys.executable, "manage.py", "check", **SAFE | unsafe)
    assert result.returncode == 1
    assert told in result.stderr


@pytest.mark.any_database
def test_a_replica_of_sqlite_is_refused():
    result = run(sys.executable, "manage.py", "check", **SAFE | {"REPLICA_URL": "postgres://pursuit@replica/pursuit"})
    assert result.returncode == 1
    assert "REPLICA_URL is set, but SQLite has no replicas." in result.stderr


@pytest.mark.django_db
@pytest.mark.case(57)
def test_production_does_not_start_with_accounts_of_the_demo_company(settings):
    settings.PRODUCTION = True
    somebody = make.user()
    call_command("check", databases=["default"])

    somebody.demo = True
    somebody.save()
    with pytest.raises(SystemCheckError, match="demo company"):
        call_command("check", databases=["default"])

    somebody.is_active = False
    somebody.save()
    call_command("check", databases=["default"])


@pytest.mark.django_db
def test_a_machine_of_ones_own_starts_with_the_demo_company(settings):
    make.user(demo=True)
    assert not settings.PRODUCTION
    call_command("check", databases=["default"])


# ── What make does ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.any_database
def test_setting_up_again_does_nothing():
    result = run(sys.executable, "scripts/set_up.py", "run")
    assert (result.returncode, result.stdout) == (0, ""), result.stderr  # it says what it does


def test_without_a_python_make_says_what_to_do():
    result = run("make", "PYTHON=", "run")
    assert result.returncode
    assert "Install one" in result.stdout


def test_each_python_package_is_pinned_with_hashes():
    lines = (ROOT / "requirements.lock").read_text().replace("\\\n", "").splitlines()
    packages = [line for line in lines if line and not line.startswith("#")]
    assert packages
    assert not [line for line in packages if not re.fullmatch(r"[\w.-]+==\S+( ; .*?)?(\s+--hash=sha256:\w{64})+", line)]


# ── What the browser gets ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.any_database
@pytest.mark.parametrize("name", assets.FILES)
def test_every_listed_asset_is_there(name):
    assert Path(finders.find(name)).stat().st_size > 1000


def test_an_asset_that_is_missing_is_reported_with_what_to_do(settings, tmp_path):
    finder = assets.Finder()
    assert finder.check() == []

    settings.BASE_DIR = settings.STATIC_ROOT = tmp_path
    errors = finder.check()
    assert len(errors) == len(assets.FILES)
    assert "tabler.min.css is missing" in errors[0].msg
    assert "make" in errors[0].hint


@pytest.mark.any_database
def test_production_names_each_static_file_after_its_contents(tmp_path):
    result = run(
        sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity=0", **SAFE, VAR_DIR=str(tmp_path)
    )
    assert result.returncode == 0, result.stderr
    [icons] = (tmp_path / "static" / "vendor").glob("bootstrap-icons.min.*[0-9a-f].css")
    assert re.search(r"fonts/bootstrap-icons\.[0-9a-f]{12}\.woff2", icons.read_text())


def headers_of(client, address):
    with closing(client.get(address)) as response:
        return response.headers


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/accounts/login/", "/no-such-page/", "/static/vendor/tabler.min.css"])
@pytest.mark.case(58)
def test_every_answer_tells_the_browser_to_trust_nobody_else(client, address):
    headers = headers_of(client, address)
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["script-src"] == policy["style-src"] == policy["default-src"] == policy["form-action"] == "'self'"
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


@pytest.mark.django_db
@pytest.mark.case(58)
def test_pages_are_kept_by_no_cache_and_static_files_are(client):
    client.force_login(make.user())
    assert "no-store" in headers_of(client, "/profile/")["Cache-Control"]
    assert "no-store" not in headers_of(client, "/static/vendor/tabler.min.css")["Cache-Control"]


# ── The database ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db
def test_migrate_alone_makes_the_table_of_the_cache():
    assert "cache_entries" in connection.introspection.table_names()


@pytest.mark.django_db
def test_the_database_is_asked_as_it_likes_it():
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            asked = {name: cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "foreign_keys")}
        assert asked == {"journal_mode": "wal", "foreign_keys": 1}
        assert connection.transaction_mode == "IMMEDIATE"
    else:
        assert connection.settings_dict["CONN_HEALTH_CHECKS"]
    assert not connection.settings_dict["ATOMIC_REQUESTS"]


@pytest.mark.django_db
def test_a_permission_stored_beside_the_table_opens_no_door():
    stored = Permission.objects.get(codename="change_user")
    somebody, administrator = make.user(is_staff=True), make.user(is_staff=True, is_superuser=True)
    somebody.user_permissions.add(stored)
    somebody.groups.add(Group.objects.create(name="a group"))
    somebody.groups.get().permissions.add(stored)
    assert not somebody.has_perm("crm.change_user")
    assert not somebody.has_module_perms("crm")
    assert administrator.has_perm("crm.change_user")


@pytest.mark.django_db
def test_guardian_adds_no_user_who_is_nobody(django_user_model):
    assert not django_user_model.objects.filter(username__iexact="AnonymousUser").exists()
