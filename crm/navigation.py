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
from crm.prepared import prepared
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
    ("custom_fields", _("Custom fields"), "input-cursor-text"),
    ("routes", _("Routes"), "signpost-split"),
    ("recycle", _("Recycle bin"), "trash"),
    ("audit", _("Audit"), "journal-text"),
    ("organisation", pgettext_lazy("ours", "Organisation"), "gear"),
]
# (url name or, of what a small form makes on any page, its kind; label; act)
NEW = [
    ("opportunity", _("Opportunity"), "create"),
    ("customer", _("Customer"), "create"),
    ("contact", _("Contact"), "create"),
    ("follow-up", _("Follow-up"), "create"),
    ("lead_new", _("Lead"), "create"),
    ("announcement_new", _("Announcement"), "announce"),
    ("document_new", _("Document"), "keep_documents"),
]
# What a small form makes on any page, and with which records it can begin: those that the page is about.
QUICK = {"opportunity": ["customer"], "customer": [], "contact": ["customer"], "follow-up": ["opportunity", "customer"]}
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


@prepared
def _waiting(user):
    """How many tasks and messages wait for somebody, in one query: this is asked for on every page."""
    waiting = {"tasks": Task.objects.open_for(user), "messages": Message.objects.unread_for(user)}
    first, *others = (
        rows.order_by().values(of=Value(name)).annotate(count=Count("*")).values_list("of", "count")
        for name, rows in waiting.items()
    )
    return first.union(*others, all=True)


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
        return dict(_waiting(self.user.pk))

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
        """This will list what the reader may make, as {"url", "label", "quick": whether a small form does}."""
        listed = [
            {"url": self._quick(name) if name in QUICK else _address(name), "label": label, "quick": name in QUICK}
            for name, label, act in NEW
            if allows(self.user, act)
        ]
        return [item for item in listed if item["url"]]

    def _quick(self, kind):
        """This will give the address of a small form, which begins with the record that the page is about."""
        address, about = reverse("quick_new", args=[kind]), getattr(self.request, "about", None)
        if about is not None and about._meta.model_name == "contact":
            about = about.customer
        named = about is not None and about._meta.model_name
        return f"{address}?{named}={about.pk}" if named in QUICK[kind] else address

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
    """This will give templates `frame`, for whoever is signed in and may go on, and `organisation`."""
    user = getattr(request, "user", None)  # none where an early middleware refused the request
    framed = user is not None and user.is_authenticated and not getattr(request, "lacks_step", False)
    return {"frame": Frame(request) if framed else None, "organisation": SimpleLazyObject(Organisation.current)}


def _address(name):
    try:
        return reverse(name)
    except NoReverseMatch:
        return None
