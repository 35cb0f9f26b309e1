"""Writes requirements.lock from pyproject.toml: `make lock`. Run it after a change there, or to take newer releases."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = shutil.which("uv") or ROOT / ".venv" / "bin" / "uv"
HEADER = """\
# What Pursuit installs from the Python package index, each file pinned by its hashes. Written by `make lock`.
# scripts/set_up.py installs one part at a time; the line that begins a part names it.
"""


def resolved(*groups):
    """This will give {"name==version ; marker": its lines with the hashes} for the product, or for groups alone."""
    options = [word for group in groups for word in ("--group", group)]
    command = [UV, "pip", "compile", *([] if groups else ["pyproject.toml"]), *options, "--quiet", "--universal"]
    command += ["--python-version=3.11", "--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate"]
    # Files of this machine's own (pip's find-links) are no part of a lock that others install from.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_FIND_LINKS"))}
    lines = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    found = {}
    for line in lines.splitlines(keepends=True):
        if not line.startswith(" "):
            name = line.removesuffix(" \\\n")
        found[name] = found.get(name, "") + line
    return found


def main():
    parts = {"run": resolved()} | {group: resolved(group) for group in ("test", "installer", "node")}
    versions = {}
    for part, packages in parts.items():
        for requirement in packages:
            package, version = requirement.partition(" ;")[0].split("==")
            if versions.setdefault(package, version) != version:
                sys.exit(f"{package} is {versions[package]}, but {version} to {part}: narrow it in pyproject.toml.")
    text = HEADER + "".join(f"\n# part: {part}\n" + "".join(packages.values()) for part, packages in parts.items())
    (ROOT / "requirements.lock").write_text(text)


main()
