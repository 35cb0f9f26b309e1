"""Several requests decided at one go, each as its own page would."""

from django import forms
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from approvals.forms import DECISIONS
from approvals.models import Task
from crm.fields import ChoiceHint
from crm.forms import Form
from crm.selection import Selectable
from crm.verbs import Refused, Stale
from notices.bulk import Act
from notices.models import look

HINTS = {
    "finish": _("Where the step may finish. Each owner is told."),
    "escalate": _("Each goes to the only one who could be next; where several could, it is refused and listed."),
    "return": _("Each owner revises it and asks you again."),
}


class DecideForm(Form):
    """One decision on several requests, with one comment."""

    decision = forms.ChoiceField(
        label=_("Decision"),
        choices=[(key, ChoiceHint(label, HINTS[key])) for key, label in DECISIONS],
        widget=forms.RadioSelect,
        error_messages={"required": _("Choose one of these.")},
    )
    comment = forms.CharField(
        label=_("Comment"),
        required=False,
        max_length=5000,
        help_text=_("Required when you return them. It goes with each."),
        widget=forms.Textarea({"rows": 3}),
    )

    def clean(self):
        cleaned = super().clean()
        if cleaned.get("decision") == "return" and not (cleaned.get("comment") or "").strip():
            self.add_error("comment", _("Write what must be mended: a return needs a comment."))
        return cleaned


class Decide(Act):
    """Decides each request on the version of its record that the list showed."""

    key = "decide"
    word = _("Decide")
    yes = _("Submit decision")
    verb = "decide"
    form = DecideForm
    asks_on_a_page = True
    consequences = _("Each is decided as you saw it in the list; what was changed since is refused and listed.")

    shows = "approvals/_deciding.html"

    @classmethod
    def is_offered(cls, listing):
        return True

    @classmethod
    def rows(cls, listing, keys):
        """This will give (request, whom it would be escalated to: a name, why nobody, or "") of those in sight."""
        nexts, found = {}, []  # it is the same for what one person asks at one step
        for task in listing.shown(keys):
            asked = task.approval
            key = (task.step_id, task.is_open, asked.department_id, asked.requester_id, asked.owner_id)
            if key not in nexts:
                nexts[key] = cls._escalates_to(task)
            found.append((task, nexts[key]))
        return found

    @classmethod
    def _escalates_to(cls, task):
        try:
            return str(cls._next(task) or "")
        except Refused:
            return _("to be chosen on its page")

    def do(self, task, seen):
        if seen is None:
            raise Stale(task.about)  # nobody saw it
        said = {"by": self.by, "seen": seen, "comment": self.chosen["comment"]}
        if self.chosen["decision"] == "finish":
            task.finish(**said)
        elif self.chosen["decision"] == "escalate":
            task.escalate(**said, to=self._next(task))
        else:
            task.return_(**said)

    @staticmethod
    def _next(task):
        """This will give the only one who could be next; None where the verb says why there is nobody."""
        step = task.step and task.is_open and task.step.next
        people = task.escalations(step) if step else []
        if len(people) > 1:
            raise Refused(_("Several people could be next. Decide it on its page, and choose there."))
        return next(iter(people), None)


class TaskList(Selectable):
    """The requests that wait for the reader, as their list selects some."""

    model = Task
    name = "tasks"
    heading = _("Tasks")
    counted = ngettext_lazy("%(count)d request", "%(count)d requests", "count")
    acts = [Decide]
    takes_all = False  # nobody decides what they have not seen
    exported = ()
    export_name = None

    def __init__(self, request):
        self.request, self.user = request, request.user

    def _theirs(self):
        """This will narrow to what was put before the reader: what is handled already, the verb says by whom."""
        return Task.objects.filter(holder=self.user, kind=Task.Kind.DECIDE)

    def find(self, pk):
        return self._theirs().select_related("approval__requester", "step").filter(pk=pk).first()

    def is_seen(self, pk):
        return False

    def shown(self, keys):
        """This will list the requests of those keys whose record the reader sees, with what a table says of them."""
        tasks = (
            self._theirs().filter(pk__in=keys).with_rows().select_related("step", "approval__department").order_by("pk")
        )
        return [task for task in look(tasks, self.user) if task.in_sight]

    def names_of(self, pks):
        """This will give {key: name of its record} of those whose record the reader sees."""
        tasks = look(self._theirs().filter(pk__in=pks).prefetch_related("about"), self.user)
        return {task.pk: str(task.about) for task in tasks if task.in_sight}

    def links_of(self, pks):
        return {pk: reverse("task", args=[pk]) for pk in self.names_of(pks)}

    @property
    def all_url(self):
        return reverse("tasks")

    selected_with = ()

    def bulk_query(self):
        return ""
