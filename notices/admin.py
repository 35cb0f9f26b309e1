"""The administrators' view of the outbox: what was sent, what waits, what failed and why."""

from django.contrib import admin, messages
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from crm.admin_lists import Narrowed
from notices.models import Delivery


@admin.register(Delivery)
class DeliveryAdmin(Narrowed, admin.ModelAdmin):
    """The outbox is read here. What failed can be sent again; nothing can be written or deleted."""

    list_display = ["queued_at", "to", "title", "state", "attempts", "due_at", "error"]
    list_filter = ["state"]
    list_select_related = ["to"]
    search_fields = ["to__username", "to__email", "title"]
    actions = ["send_again"]

    @admin.action(description=_("Send again"))
    def send_again(self, request, deliveries):
        failed = deliveries.filter(state=Delivery.State.FAILED)
        count = failed.update(state=Delivery.State.QUEUED, due_at=timezone.now(), attempts=0)
        text = ngettext("One mail is queued again.", "%(count)d mails are queued again.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False
