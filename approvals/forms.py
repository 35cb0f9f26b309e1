"""
The forms of a task's page: the decision on a request, the new asking for a returned report, the assigning of a step.
"""

from collections import namedtuple

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import prefetch_related_objects
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from approvals.models import Act
from crm.forms import Form

# One choice of a decision: what it will do and to whom; a locked one cannot be chosen now, and its hint says why.
Option = namedtuple("Option", ["value", "label", "hint", "locked"])

DECISIONS = [
    ("finish", _("Approve and finish")),
    ("escalate", _("Approve and escalate")),
    ("return", _("Return")),
]
FINISHING = {
    Act.REPORT: _("It becomes active. %(name)s is told."),
    Act.SIGN: _("It becomes signed and counts in the ranking. %(name)s is told."),
    Act.TERMINATE: _("It becomes terminated. %(name)s is told."),
}
RETURNING = {
    Act.REPORT: _("%(name)s revises it and asks you again."),
    Act.SIGN: _("It stays active. %(name)s revises the signing and asks you again."),
    Act.TERMINATE: _("It stays active. %(name)s revises the termination, or drops it."),
}


class ApproverField(forms.Field):
    """
    One of those whom a step asks for. Cleans to the person, or None; the only one there is, is chosen beforehand. Until
    somebody is offered it cleans to what was sent, for the form to clean again.
    """

    default_error_messages = {"unknown": _("This approver is not in the route. Choose one of those listed.")}
    widget = forms.Select
    people = None  # by key

    def offer(self, people, step):
        """This will make `people` the ones to choose from, each with the role in which `step` asks for them."""
        prefetch_related_objects(people, "roles")
        self.people = {str(person.pk): person for person in people}
        listed = [(key, _named(person, step)) for key, person in self.people.items()]
        self.widget.choices = listed if len(listed) == 1 else [("", _("Choose one")), *listed]

    def clean(self, value):
        if self.people is None:
            return value
        if value and value not in self.people:
            raise ValidationError(self.error_messages["unknown"], code="unknown")
        return self.people.get(super().clean(value))


def _named(person, step):
    """This will give what tells an approver from the others: Zhou Lan, Deputy GM, Shijiazhuang."""
    parts = {"name": person, "role": step.role_of(person), "department": person.department}
    if not parts["role"]:
        return _("%(name)s, %(department)s") % parts
    return _("%(name)s, %(role)s, %(department)s") % parts


class SeenForm(Form):
    """A form that names the version of the record that its page showed, and is no form without it."""

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def clean(self):
        cleaned = super().clean()
        if cleaned.get("version") is None:
            self.errors.pop("version", None)
            self.add_error(None, _("It is not known which version you saw. Look at what is there now, then try again."))
        return cleaned


class DecisionForm(SeenForm):
    """
    What the holder of a task says to the request. Whom it could go to is worked out only where it is shown or needed;
    whether it may be said at all is for the verbs of Task to tell.
    """

    decision = forms.ChoiceField(
        label=_("Decision"), choices=DECISIONS, error_messages={"required": _("Choose one of these.")}
    )
    next_approver = ApproverField(label=_("Next approver"), required=False)
    comment = forms.CharField(
        label=_("Comment"),
        required=False,
        max_length=5000,
        help_text=_("Required when you return it."),
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, *args, page, **kwargs):
        super().__init__(*args, **kwargs)
        self.page = page

    def options(self):
        """This will list the choices that this step offers, each with what it does and to whom."""
        page, act, owner = self.page, self.page.approval.act, {"name": self.page.approval.owner}
        labels = dict(DECISIONS)
        if page.task.step.may_finish:
            yield Option("finish", labels["finish"], FINISHING[act] % owner, locked=False)
        if page.next_step:
            hint = self._escalation(page.next_step, page.next_approvers)
            yield Option("escalate", labels["escalate"], hint, locked=not page.next_approvers)
        yield Option("return", labels["return"], RETURNING[act] % owner, locked=False)

    def _escalation(self, step, people):
        if not people:
            return step.nobody(self.page.record).message
        if len(people) > 1:
            return _("Goes to the one whom you choose below: %(roles)s.") % {"roles": step}
        if role := step.role_of(people[0]):
            return _("Goes to %(name)s, %(role)s.") % {"name": people[0], "role": role}
        return _("Goes to %(name)s.") % {"name": people[0]}

    @cached_property
    def to_choose(self):
        """
        This will give the field of the next approver where there are several; None where there is nothing to choose.
        """
        if len(self.page.next_approvers) < 2:
            return None
        self.fields["next_approver"].offer(self.page.next_approvers, self.page.next_step)
        return self["next_approver"]

    def clean(self):
        cleaned = super().clean()
        if cleaned.get("decision") == "return" and not cleaned.get("comment"):
            self.add_error("comment", _("Write what must be mended: a return needs a comment."))
        if cleaned.get("decision") == "escalate":
            cleaned["next_approver"] = self._goes_to(cleaned.get("next_approver"))
        return cleaned

    def _goes_to(self, chosen):
        """This will give the one whom the form says, or the only one there is; None where there is nobody."""
        if self.to_choose is None:
            return next(iter(self.page.next_approvers), None)
        try:
            person = self.to_choose.field.clean(chosen)
        except ValidationError as error:
            self.add_error("next_approver", error)
        else:
            if person is None:
                self.add_error("next_approver", _("Choose whom it goes to."))
            return person
        return None

    def decide(self, *, by):
        """This will carry out the decision. Raises what the verbs of Task raise."""
        task, given = self.page.task, self.cleaned_data
        said = {"by": by, "seen": given["version"], "comment": given["comment"]}
        if given["decision"] == "finish":
            task.finish(**said)
        elif given["decision"] == "escalate":
            task.escalate(**said, to=given["next_approver"])
        else:
            task.return_(**said)


class ResubmissionForm(SeenForm):
    """A returned report, put before an approver again."""

    approver = ApproverField(label=_("Approver"))
    comment = forms.CharField(
        label=_("Comment"), required=False, max_length=5000, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, *args, plan, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["approver"].offer(*((plan.candidates, plan.step) if plan else ([], None)))


class AssignForm(Form):
    """Who decides a step that its holder no longer can."""

    approver = ApproverField(label=_("Assign to"))

    def __init__(self, *args, task, **kwargs):
        super().__init__(*args, auto_id=f"id_{task.pk}_%s", **kwargs)
        self.task = task
        step, people = task.opening()
        self.fields["approver"].offer(people, step)

    @property
    def people(self):
        return self.fields["approver"].people
