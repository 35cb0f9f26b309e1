"""The pages of messages and announcements."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from crm.forms import Form
from crm.permissions import allows, require
from notices.forms import AnnouncementForm
from notices.models import Announcement, Message, look

PAGE = 25


@require_safe
def messages_to_me(request):
    told = Message.objects
    tabs = {
        "unread": told.unread_for(request.user),
        "read": told.read_for(request.user),
        "all": told.for_reader(request.user),
    }
    tab = request.GET.get("tab") if request.GET.get("tab") in tabs else "unread"
    page = Paginator(tabs[tab], PAGE).get_page(request.GET.get("page"))
    page.object_list = look(page.object_list, request.user)
    counts = {"unread": page.paginator.count if tab == "unread" else tabs["unread"].count()}
    return render(request, "notices/messages.html", {"page": page, "tab": tab, "counts": counts})


@require_safe
def message(request, pk):
    """This will mark a message as read, which no business record knows of, and go to what it is about."""
    told = get_object_or_404(Message.objects.for_reader(request.user), pk=pk)
    Message.objects.filter(pk=told.pk).mark_read()
    [told] = look([told], request.user)
    return redirect(told.about) if told.in_sight else render(request, "notices/out_of_sight.html")


@require_POST
def mark_read(request):
    count = Message.objects.unread_for(request.user).order_by().mark_read()
    if count:
        text = ngettext("One message is marked as read.", "%(count)d messages are marked as read.", count)
        messages.success(request, text % {"count": count})
    return redirect("messages")


@require_safe
def announcements(request):
    published = Announcement.objects.visible_to(request.user).with_unread(request.user).prefetch_related("departments")
    page = Paginator(published, PAGE).get_page(request.GET.get("page"))
    return render(
        request, "notices/announcements.html", {"page": page, "may_announce": allows(request.user, "announce")}
    )


@require_safe
def announcement(request, pk):
    found = _find(request.user, pk)
    found.read(by=request.user)
    return render(
        request, "notices/announcement.html", {"announcement": found, "may_announce": allows(request.user, "announce")}
    )


def announcement_new(request):
    require(request.user, "announce")
    form = AnnouncementForm(request.POST or None, user=request.user)
    if form.is_valid() and (new := form.make()):
        messages.success(request, _("The announcement is published."))
        return redirect(new)
    return render(request, "notices/announcement_form.html", {"form": form}, status=form.status)


def announcement_edit(request, pk):
    found = _find(request.user, pk)
    require(request.user, "announce")
    form = AnnouncementForm(request.POST or None, instance=found, user=request.user)
    if form.is_valid() and form.change(departments=form.cleaned_data["readers"]):
        messages.success(request, _("The announcement is changed."))
        return redirect(found)
    return render(request, "notices/announcement_form.html", {"form": form, "announcement": found}, status=form.status)


def announcement_withdraw(request, pk):
    found = _find(request.user, pk)
    require(request.user, "announce")
    form = Form(request.POST if request.method == "POST" else None, user=request.user, record=found)
    if form.is_valid() and form.does(found.withdraw):
        messages.success(request, _("The announcement is withdrawn."))
        return redirect("announcements")
    return render(
        request, "notices/announcement_withdraw.html", {"form": form, "announcement": found}, status=form.status
    )


def _find(user, pk):
    return get_object_or_404(Announcement.objects.visible_to(user), pk=pk)
