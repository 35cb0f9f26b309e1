"""What is known of the packages that are locked is asked for; where nobody can be asked, that is no good news."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import advisories

pytestmark = pytest.mark.any_database

FINE = {"name": "django", "version": "5.2.1", "vulns": []}
BAD = {"name": "pillow", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": []}]}
BAD_FOR_EVER = {"name": "left", "version": "2", "vulns": [{"id": "PYSEC-2", "fix_versions": [], "aliases": []}]}
UNKNOWN = {"name": "tomli", "skip_reason": "Dependency not found on PyPI and could not be audited: tomli (2.0)"}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([FINE], ([], 0)),
        ([FINE, BAD], (["pillow 1.0: PYSEC-1, mended in 1.1"], 0)),
        ([BAD_FOR_EVER, UNKNOWN], (["left 2: PYSEC-2, mended in none"], 1)),
        ([UNKNOWN, UNKNOWN], None),
        ([], None),
    ],
)
def test_of_python_it_is_told_what_is_known_and_of_how_many_nothing(tmp_path, said, found):
    answer = tmp_path / "answer"
    answer.write_text(json.dumps({"dependencies": said, "fixes": []}))
    assert advisories.of_python(["cat", str(answer)]) == found


@pytest.mark.parametrize("command", [["false"], ["no-such-command"], ["echo", "no JSON"]])
def test_whoever_says_nothing_has_not_said_that_all_is_well(command):
    assert (advisories.of_python(command), advisories.of_node(command)) == (None, None)


def test_whoever_says_nothing_for_long_is_not_waited_for():
    assert advisories.asked(["sleep", "60"], patience=0.2) is None


@pytest.fixture
def registry(monkeypatch):
    """A registry that knows of `registry.known`; None, and it answers to nothing."""

    class Registry(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200 if server.known is not None else 405)
            self.end_headers()
            self.wfile.write(json.dumps(server.known or {}).encode())

        def log_message(self, *_arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Registry)
    server.known = None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(not advisories.shutil.which("npm"), reason="There is no npm here.")
def test_npm_is_told_by_its_registry(registry):
    assert advisories.of_node() is None

    registry.known = {}
    assert advisories.of_node() == ([], 0)

    bad = {"id": 1, "url": "http://example/1", "title": "Bad", "severity": "high", "vulnerable_versions": "<99"}
    registry.known = {"sortablejs": [bad | {"cwe": [], "cvss": {"score": 9, "vectorString": None}}]}
    [told], skipped = advisories.of_node()
    assert told.startswith("sortablejs ")
    assert told.endswith(": high")
    assert skipped == 0
