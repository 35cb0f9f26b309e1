"""The settings of a web server that answers with the references alone: sessions and sign-in around them, no more."""

from crm.settings import *  # noqa: F403  all of them, but for what follows
from tests.bench.reference import MIDDLEWARE  # noqa: F401  Django reads it here

ROOT_URLCONF = "tests.bench.reference"
