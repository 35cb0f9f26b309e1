"""The door through which the web server calls Pursuit."""

import os

from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")

application = get_wsgi_application()

if settings.PRODUCTION:
    call_command("check", databases=["default"])  # whichever server starts it, what is unsafe does not start
