"""Addresses as they are not: ours, and one that somebody forgot to guard. What the sweep has to find."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.urls import path

from crm.urls import *  # noqa: F403  these are the addresses, but for one
from crm.urls import urlpatterns as guarded
from opportunities.models import Opportunity


@login_not_required
def unguarded(request, pk):
    """This will show, and rename, an opportunity for whoever asks."""
    opportunity = Opportunity.objects.get(pk=pk)
    if request.method == "POST":
        Opportunity.objects.filter(pk=pk).update(name="Anybody's")
    return HttpResponse(opportunity.name)


urlpatterns = [path("opportunities/<int:pk>/void/", unguarded, name="opportunity_void"), *guarded]
