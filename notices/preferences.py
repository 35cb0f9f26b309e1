"""
What each person wants to hear of, by kind, and how: in the app, and by e-mail at once, in the daily digest, or not.

`User.notifications` keeps what differs from the usual: {kind of GROUPS: {"app": False, "mail": "daily"}}.
"""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_lazy as _

from crm.organisation import Organisation

AT_ONCE, DAILY, NEVER = "now", "daily", "never"
DIGEST_AT = time(8)  # of the reader's own day

# What can be told, and under which heading one asks for it: {key: (label, the kinds of message)}.
GROUPS = {
    "tasks": (_("Tasks that wait for you"), ["task"]),
    "decisions": (_("Decisions"), ["granted", "returned", "withdrawn"]),
    "mentions": (_("Mentions"), ["mentioned", "mentioned_many"]),
    "work": (
        _("Shares and transfers"),
        ["shared", "shared_many", "transferred", "transferred_many", "reassigned", "handed_over", "charged"],
    ),
    "announcements": (_("Announcements"), ["announcement_reminder"]),
    "imports": (_("Imports"), ["file_imported"]),
    "bulk": (_("Bulk actions"), ["bulk_ended", "bulk_broken", "bulk_undone"]),
}
ALWAYS_IN_APP = {"tasks"}  # which stand in the list of tasks, and are no messages
_GROUP_OF = {kind: group for group, (_label, kinds) in GROUPS.items() for kind in kinds}


def is_choice(kind):
    """This will tell whether one can choose to hear of that kind; what is about one's account comes to everybody."""
    return kind in _GROUP_OF


def in_app(person, kind):
    """This will tell whether `person` wants messages of that kind; an invitation and its like belong to none."""
    group = _GROUP_OF.get(kind)
    return group in ALWAYS_IN_APP or person.notifications.get(group, {}).get("app", True)


def by_mail(person, kind):
    """This will give AT_ONCE, DAILY or NEVER."""
    return person.notifications.get(_GROUP_OF.get(kind), {}).get("mail", AT_ONCE)


def next_digest(person, now):
    """This will give the next moment after `now` at which it is DIGEST_AT where `person` is, in UTC."""
    zone = ZoneInfo(person.time_zone) if person.time_zone else Organisation.current().zone
    today = now.astimezone(zone).date()
    moments = (datetime.combine(today + timedelta(days), DIGEST_AT, tzinfo=zone).astimezone(UTC) for days in (0, 1))
    return next(moment for moment in moments if moment > now)
