"""The settings of the processes that tests begin: those of the tests, and the chores."""

from tests.settings import *  # noqa: F403  these are the settings
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.crm.chores"]
