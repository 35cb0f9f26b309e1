"""
Keeps the catalogues in step with the code.

    python scripts/catalogues.py update    adds what the code says now, drops what it says no more (`make messages`)
    python scripts/catalogues.py check     fails when that would change anything, or something is not translated
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import polib
from django.conf import settings
from django.core.management import CommandError, call_command
from django.core.management.commands import makemessages
from django.test.utils import override_settings
from django.utils.translation import to_locale

ROOT = Path(__file__).resolve().parent.parent
SHOWN = 40
NOT_OURS = [".venv", "node_modules", "var", "tests", "scripts", "crm/locale"]


def extract(into):
    """This will bring the catalogues in the folder `into` up to the code."""
    languages = [to_locale(code) for code, _name in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
    with override_settings(LOCALE_PATHS=[str(into)]):
        options = {"no_obsolete": True, "no_wrap": True, "verbosity": 0}
        call_command(makemessages.Command(), locale=languages, ignore_patterns=NOT_OURS, **options)
    for file in into.rglob("*.po"):
        catalogue = polib.pofile(str(file), wrapwidth=0)
        catalogue.metadata = {  # the rest of the header changes with the day and the hand, and says nothing
            "Language": file.parent.parent.name,
            "MIME-Version": "1.0",
            "Content-Type": "text/plain; charset=UTF-8",
            "Content-Transfer-Encoding": "8bit",
            "Plural-Forms": catalogue.metadata["Plural-Forms"],
        }
        catalogue.metadata_is_fuzzy = False
        catalogue.header = ""
        for entry in catalogue:  # files without line numbers, which change with every edit above them
            entry.occurrences = sorted({(path, "") for path, _line in entry.occurrences})
        catalogue.save()


def complaints(now, kept):
    """This will yield a line for each message that `kept` lacks, has too much, or does not translate."""
    for file in sorted(now.rglob("*.po")):
        name = file.relative_to(now)
        said = {(entry.msgctxt, entry.msgid): entry for entry in polib.pofile(str(file))}
        known = {(entry.msgctxt, entry.msgid): entry for entry in polib.pofile(str(kept / name)) if not entry.obsolete}
        for key in sorted(said.keys() | known.keys(), key=str):
            if wrong := fault(said.get(key), known.get(key)):
                yield f"{name}: {wrong}: {key[1]!r}"
        # A placeholder that differs would break its page.
        formats = subprocess.run(["msgfmt", "--check-format", "-o", "-", kept / name], capture_output=True)
        yield from formats.stderr.decode().splitlines()


def fault(said, known):
    """This will say what is wrong with one message, as the code says it now and as the catalogue has it."""
    if known is None:
        return "not there"
    if said is None:
        return "no longer said"
    if known.fuzzy:
        return "translated by guess"
    return None if known.translated() else "not translated"


def main(wanted):
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    kept = Path(settings.LOCALE_PATHS[0])
    if not shutil.which("xgettext"):
        sys.exit("GNU gettext is not here. Install Debian's gettext and run this again.")
    if wanted == "update":
        kept.mkdir(exist_ok=True)
        extract(kept)
        return
    with tempfile.TemporaryDirectory() as folder:
        now = Path(folder) / "locale"
        shutil.copytree(kept, now, ignore=shutil.ignore_patterns("*.mo"))
        extract(now)
        found = list(complaints(now, kept))
    if found:
        more = [f"… and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        what_to_do = "Run `make messages`, then translate what is empty or marked fuzzy, with the same placeholders."
        sys.exit("\n".join([*found[:SHOWN], *more, "", what_to_do]))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except CommandError as error:
        sys.exit(str(error))
