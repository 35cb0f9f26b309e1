"""The house keeps its rules: what import-linter cannot see, said as tests. The picture is in the README."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ["notices", "approvals", "customers", "opportunities"]  # from the lowest up, above the ground
# The modules of crm that may use every floor.
ROOF = {
    "urls",
    "api",
    "dashboard",
    "search",
    "quick",
    "navigation",
    "management",
    "people",
    "people_pages",
    "profile",
    "metrics",
    "two_step_pages",
}
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
[LAYERS] = [contract["layers"] for contract in CONTRACTS if contract.get("exhaustive")]  # inside an app, from the top
PAGES = set(re.findall(r"\w+", " ".join(LAYERS[: LAYERS.index("(models)")])))  # the modules that may know of pages


def files(*patterns):
    """This will list the project's own files: those that git knows, or would add."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def named(path):
    return str(path.relative_to(ROOT))


def modules(*folders):
    found = files(*(f"{folder}/*.py" for folder in folders))
    return [path for path in found if "migrations" not in path.parts]


def imported(tree):
    """This will yield each module that a syntax tree imports, at its top or within a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_roof(path):
    return path.relative_to(ROOT / "crm").parts[0].removesuffix(".py") in ROOF


GROUND = [path for path in modules("crm") if not is_roof(path)]
BELOW = [(path, FLOORS[level + 1 :]) for level, app in enumerate(FLOORS[:-1]) for path in modules(app)]
BELOW += [(path, FLOORS) for path in GROUND if path.name != "settings.py"]
MODELS = [path for path in modules(*FLOORS) if path.stem not in PAGES and "templatetags" not in path.parts]
MODELS += [ROOT / "crm" / f"{name}.py" for name in ("models", "verbs", "querysets", "conditions")]
TEXT = [path for path in files() if path.suffix not in {".woff2", ".png", ".xlsx", ".ico", ".lock", ".json"}]
OURS = [path for path in TEXT if path != Path(__file__)]  # this file names what it looks for


@pytest.mark.parametrize("path", GROUND, ids=named)
def test_the_ground_does_not_know_the_roof(path):
    roof = {f"crm.{name}" for name in ROOF}
    assert not [name for name in imported(ast.parse(path.read_text())) if ".".join(name.split(".")[:2]) in roof]


@pytest.mark.parametrize(("path", "above"), BELOW, ids=lambda value: named(value) if isinstance(value, Path) else "")
def test_nothing_names_a_floor_above_it_in_a_text(path, above):
    """`apps.get_model` and `import_module` take a text; the linter of imports does not read those."""
    texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    assert not [
        text for text in texts if isinstance(text, str) and re.match(rf"({'|'.join(above)})\.\w", text) and above
    ]


@pytest.mark.parametrize("path", MODELS, ids=named)
def test_models_know_no_request_no_messages_and_no_templates(path):
    tree = ast.parse(path.read_text())
    pages = ("django.contrib.messages", "django.template", "django.shortcuts", "django.http", "django.forms")
    assert not [name for name in imported(tree) if name.startswith(pages)]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.arg) and node.arg == "request"]


@pytest.mark.parametrize("path", [path for path in modules(".") if path.stem not in {"__init__", "apps"}], ids=named)
def test_every_module_begins_by_saying_what_it_is_for(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring
    assert docstring.split("\n\n")[0].rstrip().endswith((".", ":", "?"))


def test_an_app_has_no_files_but_modules_migrations_and_tags():
    places = {path.relative_to(ROOT / app).parts[:-1] for app in FLOORS for path in files(app)}
    assert {place[0] for place in places if place} <= {"migrations", "templatetags"}


def test_nothing_of_others_is_copied_into_the_repository():
    names = [named(path) for path in files()]
    assert not [name for name in names if re.search(r"(\.min\.|\.map$|\.woff2?$|\.ttf$|node_modules/|vendor/)", name)]
    licensed = re.compile(r"@license|licensed under|copyright \(c\)|sourceMappingURL=", re.IGNORECASE)
    assert not [named(path) for path in OURS if path.suffix in {".js", ".css"} and licensed.search(path.read_text())]


def found_in(paths, pattern):
    """This will list "file:line: what matched" for every match of `pattern` in `paths`."""
    return [
        f"{named(path)}:{number}: {match.group()}"
        for path in paths
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        for match in [re.search(pattern, line)]
        if match
    ]


def test_code_and_documents_name_no_issue():
    prose = [path for path in OURS if path.suffix not in {".css", ".svg", ".po"}]  # there #123 is a colour, or a name
    assert not found_in(prose, r"(?<![\w&#/])#\d{1,4}\b|\b[Ii]ssue \d")


def test_code_and_documents_name_no_place_on_one_machine():
    assert not found_in(OURS, r"(?<![\w.])/(work|root|home|opt)/\w")


def test_nothing_points_to_an_address_outside():
    """Not a style sheet, not a script, not a registry: what is used comes in by the lock files."""
    ours = r"127\.0\.0\.1|localhost|[\w.-]*\bexample(\.\w+)?|www\.w3\.org|testserver|[{%$<*]"
    locks = [ROOT / "requirements.lock", ROOT / "package.json"]
    assert not found_in([*OURS, *locks], rf"\bhttps?://(?!{ours})[\w.-]+\.\w+")
    assert not found_in([ROOT / "package-lock.json"], '"resolved"')


def test_nothing_is_left_to_do():
    assert not found_in(OURS, r"\b(TODO|FIXME|XXX)\b")


def test_every_ignored_rule_has_its_reason_beside_it():
    code = [path for path in OURS if path.suffix == ".py"]
    assert not found_in(code, r"# noqa(?!: [A-Z]+\d+(, [A-Z]+\d+)*  ?\w)")


def test_templates_hold_no_script_and_no_style():
    """The content security policy refuses them, so they would do nothing."""
    templates = files("templates/*.html")
    assert templates
    inline = r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|javascript:|hx-on|hx-vals=.?js:"
    assert not found_in([path for path in templates if "/email/" not in str(path)], inline)


def test_no_test_puts_a_mock_in_the_place_of_our_own_code():
    assert not found_in(files("tests/*.py"), rf"""(patch|setattr)\(\s*["']({"|".join(["crm", *FLOORS])})\.""")


def test_no_test_in_a_browser_waits_for_a_text_that_the_page_would_evaluate():
    """The pages' policy forbids it; what is so at once is not evaluated again, so it fails on slow machines alone."""
    assert not [named(path) for path in files("tests/*.py") if "wait_for_function" in path.read_text() and path in OURS]
