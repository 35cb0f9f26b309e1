"""What the frame of every page shows: the navigation, its counts, what one may make new. One list, all of it here."""

from django.db.models import Count, Value
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject, cached_property
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from approvals.models import Task
from crm import help as help_pages
from crm.models import User
from crm.organisation import Organisation
from crm.permissions import allows
from notices.models import Message

# (url name, label, icon). The name of a page that does not exist shows nowhere.
WAITS = [
    ("home", _("Home"), "house"),
    ("tasks", _("Tasks"), "check2-square"),
    ("messages", _("Messages"), "envelope"),
]
WORK = [
    ("opportunities", _("Opportunities"), "bullseye"),
    ("customers", _("Customers"), "buildings"),
    ("contacts", _("Contacts"), "person-lines-fill"),
    ("leads", _("Leads"), "lightbulb"),
]
READ = [
    ("ranking", _("Ranking"), "trophy"),
    ("reports", _("Reports"), "bar-chart"),
    ("announcements", _("Announcements"), "megaphone"),
    ("documents", _("Documents"), "folder"),
]
ADMINISTER = [  # administrators alone
    ("people", _("People"), "people"),
    ("departments", _("Departments"), "diagram-3"),
    ("picklists", _("Picklists"), "list-ul"),
    ("routes", _("Routes"), "signpost-split"),
    ("recycle", _("Recycle bin"), "trash"),
    ("organisation", pgettext_lazy("ours", "Organisation"), "gear"),
]
NEW = [
    ("opportunity_new", _("Opportunity"), "create"),
    ("customer_new", _("Customer"), "create"),
    ("contact_new", _("Contact"), "create"),
    ("lead_new", _("Lead"), "create"),
    ("announcement_new", _("Announcement"), "announce"),
    ("document_new", _("Document"), "keep_documents"),
]
TABS = (["home", "opportunities"], ["tasks"])  # before and after New


class Item:
    """One entry of the navigation."""

    def __init__(self, name, label, icon, request, counts):
        self.name = name
        self.label = label
        self.icon = icon
        self.url = reverse(name)
        self.current = request.path == self.url if self.url == "/" else request.path.startswith(self.url)
        self.mine = name == "tasks"  # the one count that is filled: it is yours
        self._counts = counts

    @property
    def count(self):
        return self._counts.get(self.name)


class Frame:
    """What base.html shows around a page, worked out when a template asks for it, and once."""

    themes = User.Theme.choices

    def __init__(self, request, counts=None):
        self.request = request
        self.user = request.user
        if counts is not None:  # the home page has counted already
            self._counts = counts

    @cached_property
    def _counts(self):
        waiting = {"tasks": Task.objects.open_for(self.user), "messages": Message.objects.unread_for(self.user)}
        first, *others = (
            rows.order_by().values(of=Value(name)).annotate(count=Count("*")).values_list("of", "count")
            for name, rows in waiting.items()
        )
        return dict(first.union(*others, all=True))  # one query: this is asked for on every page

    @cached_property
    def groups(self):
        groups = [
            [Item(name, label, icon, self.request, self._counts) for name, label, icon in group if _address(name)]
            for group in (WAITS, WORK, READ, ADMINISTER if allows(self.user, "administer") else [])
        ]
        return [group for group in groups if group]

    def _tabs(self, names):
        items = {item.name: item for group in self.groups for item in group}
        return [items[name] for name in names if name in items]

    @property
    def tabs_before(self):
        return self._tabs(TABS[0])

    @property
    def tabs_after(self):
        return self._tabs(TABS[1])

    @cached_property
    def new(self):
        return [
            {"url": _address(name), "label": label}
            for name, label, act in NEW
            if allows(self.user, act) and _address(name)
        ]

    @property
    def search_url(self):
        return _address("search")

    @property
    def help_url(self):
        return help_pages.address(self.request.path)

    @property
    def where(self):
        """This will give the user's department and the one above it: Shijiazhuang · Hebei."""
        department = self.user.department
        if department is None:
            return ""
        return " · ".join(str(one) for one in (department, department.parent) if one is not None)


def frame(request):
    """This will give templates `frame`, for whoever is signed in, and `organisation`."""
    user = getattr(request, "user", None)  # none where an early middleware refused the request
    signed_in = user is not None and user.is_authenticated
    return {"frame": Frame(request) if signed_in else None, "organisation": SimpleLazyObject(Organisation.current)}


def _address(name):
    try:
        return reverse(name)
    except NoReverseMatch:
        return None
