"""
The picklists of opportunities. Opportunities themselves are in no admin page: their state has no door but the
verbs.
"""

from django.contrib import admin

from crm.admin import PicklistAdmin
from opportunities.picklists import BusinessType, FollowUpKind, LostReason, Pipeline, Source, Stage

admin.site.register([BusinessType, Source, FollowUpKind, Pipeline], PicklistAdmin)


@admin.register(LostReason)
class LostReasonAdmin(PicklistAdmin):
    list_display = [*PicklistAdmin.list_display, "needs_note"]


@admin.register(Stage)
class StageAdmin(PicklistAdmin):
    list_display = ["name", "key", "pipeline", "kind", "probability", "order", "active"]
    list_filter = ["pipeline", "active"]
    ordering = ["pipeline", "order"]

    def get_readonly_fields(self, request, obj=None):
        return [*super().get_readonly_fields(request, obj), *(["pipeline", "kind"] if obj else [])]
