"""The settings that tests run under: as a machine of one's own, with what would only make them slow left out."""

from crm.settings import *  # noqa: F403  these are the settings, less what follows
from crm.settings import DATABASES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_AUTOREFRESH = True  # each test client would look through all static files first
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

if DATABASES["default"]["ENGINE"] == "crm.sqlite":
    DATABASES["default"]["OPTIONS"]["init_command"] += "; PRAGMA synchronous = OFF"
else:
    DATABASES["default"]["ENGINE"] = "tests.emptied"
    DATABASES["default"]["OPTIONS"]["options"] += " -c synchronous_commit=off"
    DATABASES["default"]["CONN_MAX_AGE"] = 0  # or a page that a browser keeps open would keep the database from going
