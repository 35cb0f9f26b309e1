"""The door of Django's administration."""

from django.contrib import admin

from crm.permissions import allows


class Site(admin.AdminSite):
    """Open to administrators; a mark that somebody once was one opens nothing, not even an empty page."""

    def has_permission(self, request):
        return super().has_permission(request) and allows(request.user, "administer")
