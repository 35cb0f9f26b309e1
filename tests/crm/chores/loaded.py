"""Django with the chores, loaded: what the tests' processes are forked from."""

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.crm.chores.settings"
django.setup()

from crm.jobs import kinds  # noqa: E402  models come after set-up

kinds()
