"""The style sheets, fonts and scripts of others that Pursuit serves: exactly these files of the locked npm packages."""

from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import Error
from django.core.files.storage import FileSystemStorage
from whitenoise.storage import CompressedManifestStaticFilesStorage

# The browser fetches those that a page's letters need; the sheet names them all.
INTER = ["cyrillic-ext", "cyrillic", "greek-ext", "greek", "vietnamese", "latin-ext", "latin"]

FILES = {
    "vendor/tabler.min.css": "@tabler/core/dist/css/tabler.min.css",
    "vendor/bootstrap-icons.min.css": "bootstrap-icons/font/bootstrap-icons.min.css",
    "vendor/fonts/bootstrap-icons.woff2": "bootstrap-icons/font/fonts/bootstrap-icons.woff2",
    "vendor/fonts/bootstrap-icons.woff": "bootstrap-icons/font/fonts/bootstrap-icons.woff",
    "vendor/squire.js": "squire-rte/dist/squire.js",
    "vendor/sortable.min.js": "sortablejs/Sortable.min.js",
    "vendor/inter.css": "@fontsource-variable/inter/index.css",
} | {
    f"vendor/files/{font}": f"@fontsource-variable/inter/files/{font}"
    for font in (f"inter-{script}-wght-normal.woff2" for script in INTER)
}


class Packages(FileSystemStorage):
    """The files of the npm packages, under the names by which they are served."""

    def path(self, name):
        return str(settings.BASE_DIR / "node_modules" / FILES[name])


class Finder(BaseFinder):
    """Finds what is listed here and nothing else: a package's whole folder would be thousands of files."""

    storage = Packages()

    def find(self, path, find_all=False, **kwargs):
        found = [self.storage.path(path)] if path in FILES and Path(self.storage.path(path)).exists() else []
        return found[0] if found and not find_all else found

    def list(self, ignore_patterns):
        return ((name, self.storage) for name in FILES if Path(self.storage.path(name)).exists())

    def check(self, **kwargs):
        """This will report each file that neither the packages nor the collected files hold."""
        collected = settings.STATIC_ROOT
        missing = [name for name in FILES if not self.find(name) and not (collected / name).exists()]
        return [
            Error(f"The file {name} is missing.", hint="Run `make`: it installs the front-end packages.", id="crm.E001")
            for name in missing
        ]


class HashedStorage(CompressedManifestStaticFilesStorage):
    """Names each file after its contents. Source maps are neither served nor asked for."""

    patterns = tuple(
        (glob, tuple(pattern for pattern in patterns if "sourceMappingURL" not in str(pattern)))
        for glob, patterns in CompressedManifestStaticFilesStorage.patterns
    )
