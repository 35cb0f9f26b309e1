"""
Asks whether something bad is known of a package that Pursuit installs, for scripts/gate.py. Where whoever would know
cannot be asked, that is said, and nothing is taken for good.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIP_AUDIT = [ROOT / ".venv" / "bin" / "pip-audit", "--disable-pip", "--require-hashes", "--progress-spinner=off"]
PIP_AUDIT += ["--format=json", "--requirement=requirements.lock"]
NPM_AUDIT = ["npm", "audit", "--json", "--package-lock-only"]
PATIENCE = 30  # seconds


def of_python(command=PIP_AUDIT):
    """This will give (what is known, how many packages nobody could say anything of), or None where all are such."""
    said = asked(command)
    packages = said.get("dependencies", []) if said else []
    skipped = [package for package in packages if "skip_reason" in package]
    if len(skipped) == len(packages):  # pip-audit itself would say now that nothing is known, and end with 0
        return None
    known = [
        f"{package['name']} {package['version']}: {one['id']}, mended in {' or '.join(one['fix_versions'] or ['none'])}"
        for package in packages
        for one in package.get("vulns", [])
    ]
    return known, len(skipped)


def of_node(command=NPM_AUDIT):
    """This will give the same of what package-lock.json names."""
    said = asked(command)
    if not said or "vulnerabilities" not in said:
        return None
    return [f"{name} {one['range']}: {one['severity']}" for name, one in said["vulnerabilities"].items()], 0


def asked(command, patience=PATIENCE):
    """This will give what a command says in JSON; None where it says none, or nothing for long."""
    if not shutil.which(command[0]):
        return None
    environment = os.environ | {"npm_config_fetch_retries": "0"}
    try:
        said = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=patience
        )
        return json.loads(said.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return None
