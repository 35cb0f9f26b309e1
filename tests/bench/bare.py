"""The door to a web server that answers with the references alone: sessions and sign-in around them, and no more."""

import os

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
django.setup()

from tests.bench import reference

settings.ROOT_URLCONF = reference.__name__
settings.MIDDLEWARE = reference.MIDDLEWARE
application = WSGIHandler()
