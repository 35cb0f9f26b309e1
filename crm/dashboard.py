"""The home page: what waits for whoever opens it, what they work on, what others tell them."""

from datetime import datetime, time, timedelta

from django.db.models import Case, Count, IntegerField, Sum, Value, When, Window, prefetch_related_objects
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from approvals.models import Task
from crm.moments import organisation_month
from crm.navigation import Frame
from crm.permissions import allows
from crm.prepared import prepared
from notices.models import Announcement, Message, look
from opportunities.models import FollowUp, Opportunity
from opportunities.ranking import Ranking

FEW = 5  # opportunities of each kind
WAITING = 10  # tasks, and messages
DUE = 10  # follow-ups
PLACES = 4  # of each ranking
NEWS = 3  # announcements
TABS = ("all", "todo", "read")


@require_safe
def home(request):
    user, now = request.user, timezone.localtime()
    tasks = _tasks(user.pk)
    told = look(_messages(user.pk), user)
    counts = {"tasks": _count(tasks), "messages": _count(told)}
    mine, shared = _opportunities(user)
    due = list(_counted(FollowUp.objects.due_for(user, _midnight(now)).select_related("kind"))[:DUE])
    news = list(_news(user)[:NEWS])
    ranking = Ranking(user, organisation_month(), user.department and user.department.province, with_lists=False)
    return render(
        request,
        "crm/home.html",
        {
            "frame": Frame(request, counts),
            "tab": request.GET.get("tab") if request.GET.get("tab") in TABS else "all",
            "greeting": greeting(now.hour) % {"name": user},
            "tasks": tasks,
            "tasks_count": counts["tasks"],
            "told": told,
            "told_count": counts["messages"],
            "all_count": counts["tasks"] + counts["messages"],
            "mine": mine,
            "mine_count": _count(mine),
            "shared": shared,
            "shared_count": _count(shared),
            "due": due,
            "due_count": _count(due),
            "now": now,
            "ranking": ranking,
            "top_amounts": ranking.amounts.top(PLACES),
            "top_reports": ranking.reports.top(PLACES),
            "news": news,
            "unread_count": news[0].unread_of if news else 0,
            "may_create": allows(user, "create"),
        },
    )


def greeting(hour):
    """This will give the words of the time of day, with a place for the name."""
    if 5 <= hour < 12:
        return _("Good morning, %(name)s.")
    return _("Good afternoon, %(name)s.") if 12 <= hour < 18 else _("Good evening, %(name)s.")


def _counted(queryset):
    """This will note on each row how many there are of all, so that rows and count are one question."""
    return queryset.annotate(of=Window(Count("*")))


def _count(rows):
    return rows[0].of if rows else 0


@prepared
def _tasks(user):
    return _counted(Task.objects.open_for(user).with_rows())[:WAITING]


@prepared
def _messages(user):
    return _counted(Message.objects.unread_for(user))[:WAITING]


def _opportunities(user):
    """This will give the first of one's own and of those that others share, in the product's order."""
    mine, shared = _mine(user.pk), _shared(user.pk, *user.department_ids)
    prefetch_related_objects([*mine, *shared], "stage__pipeline__stages")
    return mine, shared


@prepared
def _mine(user):
    found = Opportunity.objects.in_order().owned_by(user)
    return _counted(found.select_related("customer", "stage__pipeline"))[:FEW]


@prepared
def _shared(user, *departments):
    found = Opportunity.objects.in_order().shared_with(user, departments)
    return _counted(found.select_related("owner__department", "stage__pipeline"))[:FEW]


def _midnight(now):
    """This will give the end of the reader's day."""
    return timezone.make_aware(datetime.combine(now.date() + timedelta(days=1), time.min))


def _news(user):
    """This will give the announcements for the reader, each with how many of all are unread."""
    one_if_unread = Case(When(unread=True, then=Value(1)), default=Value(0), output_field=IntegerField())
    return Announcement.objects.told(user).annotate(unread_of=Window(Sum(one_if_unread)))
