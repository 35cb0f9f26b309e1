"""
The door through which the web server calls Pursuit. What its processes need is loaded here, before there are several:
so it is loaded once, and lies in memory once.
"""

import os

from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.urls import get_resolver

from crm.slow import Body

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")

answer = get_wsgi_application()

from crm.pinyin import syllables  # noqa: E402  not before Django is set up

if settings.PRODUCTION:
    call_command("check", databases=["default"])  # whichever server starts it, what is unsafe does not start
    connection.close()  # which two processes must not share

get_resolver().url_patterns  # noqa: B018  read for what it loads: every page
syllables("名")


def application(environ, start_response):
    """This will answer one request, which is not taken for whole where its sender left before its end."""
    environ["wsgi.input"] = body = Body(environ)
    answered = answer(environ, start_response)
    body.drop()
    return answered
