"""The pages of messages, announcements and comments."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views.decorators.http import require_POST, require_safe

from crm.forms import Form, posted
from crm.permissions import allows, fetch, require
from crm.recent import page_of
from notices.forms import AnnouncementForm, CommentForm, NotificationForm
from notices.history import CHANGES, TOPICS, Event
from notices.models import Announcement, Comment, Message, look
from notices.pickers import MentionPicker
from notices.preferences import ALWAYS_IN_APP, GROUPS

PAGE = 25
FEW = 3  # comments on the page of a record


@require_safe
def messages_to_me(request):
    told = Message.objects
    tabs = {
        "unread": told.unread_for(request.user),
        "read": told.read_for(request.user),
        "all": told.for_reader(request.user),
    }
    tab = request.GET.get("tab") if request.GET.get("tab") in tabs else "unread"
    group = request.GET.get("kind") if request.GET.get("kind") in GROUPS else ""
    unread = tabs["unread"].of_group(group).count() if tab != "unread" else None
    page = Paginator(tabs[tab].of_group(group), PAGE).get_page(request.GET.get("page"))
    page.object_list = look(page.object_list, request.user)
    counts = {"unread": page.paginator.count if unread is None else unread}
    groups = [("", pgettext("messages", "All"))]
    groups += [(key, label) for key, (label, _kinds) in GROUPS.items() if key not in ALWAYS_IN_APP]
    context = {"page": page, "tab": tab, "counts": counts, "groups": groups, "group": group}
    return render(request, "notices/messages.html", context)


def message_settings(request):
    """This will show, and on POST keep, what the reader wants to hear of and how."""
    form = NotificationForm(posted(request), user=request.user)
    if form.is_valid():
        form.keep()
        messages.success(request, _("Notification settings saved."))
        return redirect("message_settings")
    return render(request, "notices/message_settings.html", {"form": form}, status=form.status)


@require_safe
def message(request, pk):
    """This will mark a message as read, which no business record knows of, and go to what it is about."""
    told = get_object_or_404(Message.objects.for_reader(request.user), pk=pk)
    Message.objects.filter(pk=told.pk).mark_read()
    [told] = look([told], request.user)
    if not told.in_sight:
        return render(request, "notices/out_of_sight.html")
    place = told.data.get("place")
    return redirect(f"{told.about.get_absolute_url()}#{place}" if place else told.about)


@require_POST
def mark_read(request):
    """This will mark as read what is to read: all of it, or one kind."""
    group = request.POST.get("kind")
    count = Message.objects.unread_for(request.user).of_group(group).order_by().mark_read()
    if count:
        text = ngettext("One message is marked as read.", "%(count)d messages are marked as read.", count)
        messages.success(request, text % {"count": count})
    back = reverse("messages")
    return redirect(f"{back}?kind={group}" if group in GROUPS else back)


@require_safe
def announcements(request):
    """This will list what is published: all, what is still to be read or, to who publishes, what was withdrawn."""
    may_announce = allows(request.user, "announce")
    found = Announcement.objects.visible_to(request.user)
    show, text = request.GET.get("show", ""), request.GET.get("q", "").replace("\0", "").strip()
    if show == "unread":
        found = Announcement.objects.unread_for(request.user)
    elif show == "withdrawn" and may_announce:
        found = Announcement.objects.filter(withdrawn_at__isnull=False).select_related("by")
    else:
        show = ""
    listed = found.search(text).with_unread(request.user).prefetch_related("departments", "roles")
    page = Paginator(listed, PAGE).get_page(request.GET.get("page"))
    shows = [("", _("All")), ("unread", _("To read"))] + ([("withdrawn", _("Withdrawn"))] if may_announce else [])
    context = {"page": page, "may_announce": may_announce, "show": show, "shows": shows, "text": text}
    return render(request, "notices/announcements.html", context)


@require_safe
def announcement(request, pk):
    found = _find(request.user, pk)
    found.read(by=request.user)
    confirmed = not found.must_confirm or found.reads.filter(by=request.user, confirmed_at__isnull=False).exists()
    asked = not confirmed and Announcement.objects.for_reader(request.user).filter(pk=pk).exists()
    context = {"announcement": found, "may_announce": allows(request.user, "announce"), "asked": asked}
    return page_of(request, found, "notices/announcement.html", context)


@require_POST
def announcement_confirm(request, pk):
    found = _find(request.user, pk)
    found.confirm(by=request.user)
    messages.success(request, _("Thank you. It is noted that you have read it."))
    return redirect(found)


def announcement_readers(request, pk):
    """This will show who has read it and who has not; on POST remind those."""
    found = _find(request.user, pk)
    require(request.user, "announce")
    if request.method == "POST":
        count = found.remind(by=request.user)
        said = ngettext("One person is reminded.", "%(count)d people are reminded.", count) % {"count": count}
        messages.success(request, said)
        return redirect("announcement_readers", pk)
    reads = {read.by_id: read for read in found.reads.all()}
    people = found.audience().exclude(pk=found.by_id).select_related("department").order_by("department__path", "name")
    waiting = set(found.waiting().values_list("pk", flat=True))
    show = "waiting" if request.GET.get("show") == "waiting" else ""
    page = Paginator(people.filter(pk__in=waiting) if show else people, PAGE).get_page(request.GET.get("page"))
    for person in page.object_list:
        person.read = reads.get(person.pk)
    total = people.count()
    context = {
        "announcement": found,
        "page": page,
        "show": show,
        "total": total,
        "waiting": len(waiting),
        "done": total - len(waiting),
    }
    return render(request, "notices/announcement_readers.html", context)


def announcement_new(request):
    require(request.user, "announce")
    form = AnnouncementForm(request.POST or None, user=request.user)
    if form.is_valid() and (new := form.make()):
        messages.success(request, _("The announcement is published."))
        return redirect(new)
    context = {"form": form, "editor_words": editor_words()}
    return render(request, "notices/announcement_form.html", context, status=form.status)


def announcement_edit(request, pk):
    found = _find(request.user, pk)
    require(request.user, "announce")
    form = AnnouncementForm(request.POST or None, instance=found, user=request.user)
    if form.is_valid() and form.change():
        messages.success(request, _("The announcement is changed."))
        return redirect(found)
    context = {"form": form, "announcement": found, "editor_words": editor_words()}
    return render(request, "notices/announcement_form.html", context, status=form.status)


def editor_words():
    """This will give what the buttons of the editor are called."""
    return {
        "bar": _("Formatting"),
        "bold": _("Bold"),
        "italic": _("Italic"),
        "bullets": _("Bulleted list"),
        "numbers": _("Numbered list"),
        "quote": _("Quotation"),
        "link": _("Link"),
        "address": _("Where the link leads: an address that begins with https://"),
    }


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


# ── What is on the record's own pages, which fetch it ────────────────────────────────────────────────────────────────


def comments_on(request, record):
    """
    This will show all comments on `record`, fetched to comment on, and add the one that was sent; asked for `?people`,
    it answers with those whom one may mention.
    """
    if request.method == "GET" and "people" in request.GET:
        return MentionPicker(record).answer(request)
    form = CommentForm(posted(request), user=request.user, instance=Comment(about=record))
    if form.is_valid() and (comment := form.make()):
        messages.success(request, _("Comment added."))
        return redirect(comment)
    page = Paginator(Comment.objects.about(record), PAGE).get_page(request.GET.get("page"))
    context = {"record": record, "form": form, "page": page, "comments": with_buttons(page, request.user)}
    return render(request, "notices/comments.html", context, status=form.status)


def talk(record, reader):
    """This will give the page of `record` its latest comments, how many there are, and the form to add one."""
    return {
        "comments": with_buttons(Comment.latest_about(record, FEW), reader),
        "comment_form": CommentForm(user=reader, instance=Comment(about=record)),
    }


def with_buttons(comments, reader):
    """This will note on each comment, as `changeable`, whether the reader may still change it, and give them."""
    comments = list(comments)
    for comment in comments:
        comment.changeable = comment.may_be_changed_by(reader)
    return comments


def comment_edit(request, pk):
    comment = _own_comment(request, pk)
    form = CommentForm(posted(request), user=request.user, instance=comment)
    if form.is_valid() and form.change():
        messages.success(request, _("Comment saved."))
        return redirect(comment)
    return render(request, "notices/comment_form.html", {"form": form, "comment": comment}, status=form.status)


def comment_delete(request, pk):
    comment = _own_comment(request, pk)
    form = Form(posted(request), user=request.user, record=comment)
    if form.is_valid() and form.does(comment.delete_):
        messages.success(request, _("Comment deleted."))
        return redirect(comment.about)
    return render(request, "notices/comment_delete.html", {"form": form, "comment": comment}, status=form.status)


def _own_comment(request, pk):
    """This will give a comment of the reader's own, on a record that they see."""
    comment = get_object_or_404(Comment, pk=pk)
    comment.about = fetch(request.user, "comment", type(comment.about), pk=comment.about_id)
    if comment.by_id != request.user.pk:
        raise PermissionDenied
    return comment


def history_of(request, record):
    """This will show what happened to `record`, fetched, all of it or one topic of it."""
    topic = request.GET.get("kind")
    events = Event.objects.about(record).on(topic)
    page = Paginator(events, 2 * PAGE).get_page(request.GET.get("page"))
    topics = [
        ("", _("Everything")),
        ("follow_ups", _("Follow-ups")),
        ("comments", _("Comments")),
        ("approvals", _("Approvals")),
        (CHANGES, _("Changes")),
        ("shares", _("Shares and transfers")),
        ("files", _("Files")),
    ]
    now = topic if topic in {*TOPICS, CHANGES} else ""
    return render(request, "notices/history.html", {"record": record, "page": page, "topics": topics, "topic": now})
