"""
The picklists of opportunities; and opportunities as files, which come in as drafts. They are edited on no page here:
their state has no door but the verbs.
"""

from django.contrib import admin

from crm.admin import NamesField, PicklistAdmin
from crm.admin_files import Records
from opportunities.lists import OpportunityList
from opportunities.models import Opportunity
from opportunities.picklists import BusinessType, FollowUpKind, LostReason, Pipeline, Source, Stage
from opportunities.products import Product, RevenueCategory
from opportunities.reviews import ReviewChoice, ReviewQuestion

admin.site.register([BusinessType, Source, FollowUpKind, Pipeline, ReviewChoice, ReviewQuestion], PicklistAdmin)


@admin.register(LostReason)
class LostReasonAdmin(PicklistAdmin):
    list_display = [*PicklistAdmin.list_display, "needs_note"]


@admin.register(Stage)
class StageAdmin(PicklistAdmin):
    list_display = ["name", "key", "pipeline", "kind", "probability", "order", "active"]
    list_filter = ["pipeline", "active"]
    ordering = ["pipeline", "order"]

    def formfield_for_dbfield(self, field, request, **kwargs):
        if field.name == "hints":
            return NamesField(label=field.verbose_name, required=False)
        return super().formfield_for_dbfield(field, request, **kwargs)

    def get_readonly_fields(self, request, obj=None):
        return [*super().get_readonly_fields(request, obj), *(["pipeline", "kind", "probability"] if obj else [])]


@admin.register(RevenueCategory)
class RevenueCategoryAdmin(PicklistAdmin):
    list_display = ["name", "key", "parent", "level", "order", "active"]
    list_filter = ["level", "active"]
    list_select_related = ["parent"]


@admin.register(Product)
class ProductAdmin(PicklistAdmin):
    importing = "products"
    list_display = ["name", "key", "category", "price", "order", "active"]
    list_editable = ["price", "order", "active"]
    list_filter = ["category", "active"]
    list_select_related = ["category"]

    def formfield_for_dbfield(self, field, request, **kwargs):
        if field.name == "unit":
            return NamesField(label=field.verbose_name, help_text=field.help_text)
        return super().formfield_for_dbfield(field, request, **kwargs)

    def fixed(self):
        return {}  # that kind of import knows no other list


@admin.register(Opportunity)
class OpportunityAdmin(Records, admin.ModelAdmin):
    importing, listing = "opportunities", OpportunityList
    list_display = ["name", "number", "state", "owner", "created_at"]
    list_select_related = ["owner"]
    search_fields = ["name"]
