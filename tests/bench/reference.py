"""
What a page and a write cost in Django at the least: the references that the bench compares with.

The list is one `select_related` queryset in index order, 50 rows of 10 columns through a template: with session and
user, which Django's own backend reads, 3 queries. The sums are one query that adds up what its reader sees of what is
open. The write updates one row in one transaction.
"""

from functools import cache, partial

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.decorators import login_required
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.db.models import Count, F, Sum
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template import engines
from django.urls import path
from django.utils.crypto import constant_time_compare
from django.utils.functional import SimpleLazyObject

from crm import urls
from opportunities.lifecycle import OPEN
from opportunities.models import FORECAST, Opportunity

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "tests.bench.reference.SignIn",
]
TEMPLATE = """<!doctype html><title>{{ request.user.name }}</title><table>{% for row in rows %}
<tr><td><a href="/opportunities/{{ row.pk }}/">{{ row.name }}</a></td><td>{{ row.number }}</td>
<td>{{ row.customer.name }}</td><td>{{ row.owner.name }}</td><td>{{ row.stage }}</td><td>{{ row.state }}</td>
<td>{{ row.amount }}</td><td>{{ row.currency }}</td><td>{{ row.expected_close_on }}</td><td>{{ row.probability }}</td>
</tr>{% endfor %}</table>"""


class SignIn(AuthenticationMiddleware):
    """Finds out who asks as Django itself does, whichever backend signed them in."""

    def process_request(self, request):
        request.user = SimpleLazyObject(partial(self.user, request.session))

    @staticmethod
    def user(session):
        user = ModelBackend().get_user(session[SESSION_KEY])
        known = user and constant_time_compare(session[HASH_SESSION_KEY], user.get_session_auth_hash())
        return user if known else AnonymousUser()


@login_required
def rows(request):
    found = Opportunity.objects.select_related("customer", "owner", "stage").order_by("list_key", "pk")[:50]
    return HttpResponse(template().render({"rows": found}, request))


@cache
def template():
    return engines["django"].from_string(TEMPLATE)  # compiled once, as one that is a file is


@login_required
def sums(request):
    found = Opportunity.objects.visible_to(request.user).filter(state__in=OPEN).order_by()
    return JsonResponse(found.aggregate(count=Count("*"), amount=Sum("base_cents"), forecast=Sum(FORECAST)))


@login_required
def write(request):
    with transaction.atomic():
        Opportunity.objects.filter(pk=request.POST["pk"]).update(probability=F("probability"))
    return redirect("/")


urlpatterns = [path("bare/rows/", rows), path("bare/sums/", sums), path("bare/write/", write), *urls.urlpatterns]
handler429 = urls.handler429
