"""Tasks and approvals, in templates: the marks of acts and decisions, and the sentences of an approval history."""

from django import template
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from approvals.models import Act, Task
from crm.names import localized
from notices.wording import EVENTS, ICONS

register = template.Library()

ACT_ICONS = {Act.REPORT: "flag", Act.SIGN: "pen", Act.TERMINATE: "x-octagon"}

# What an entry of an approval is called among the events, whose sentences and marks it shares.
KINDS = {
    Task.Decision.FINISHED: "granted",
    Task.Decision.ESCALATED: "escalated",
    Task.Decision.RETURNED: "returned",
    Task.Decision.WITHDRAWN: "withdrawn",
    Task.Decision.DROPPED: "dropped",
    Task.Decision.VOIDED: "voided",
    Task.Decision.REASSIGNED: "assigned",
}
ASKED = {Act.REPORT: "reported", Act.SIGN: "sign_asked", Act.TERMINATE: "terminate_asked"}
HANDED_OVER = gettext_lazy("%(who)s gave it to %(to)s to revise, instead of %(instead_of)s.")

# The state whose mark a decision bears.
DECISION_STATES = {
    Task.Decision.FINISHED: "signed",
    Task.Decision.ESCALATED: "signed",
    Task.Decision.RETURNED: "returned",
}


@register.filter
def act_icon(act):
    return ACT_ICONS[act]


@register.filter
def round_name(number):
    """This will name a round but the first: second round, round 3."""
    return _("second round") if number == 2 else _("round %(number)d") % {"number": number}


@register.filter
def you(person, reader):
    """This will give "You" for the reader, else the name."""
    return _("You") if person == reader else str(person)


@register.filter
def described(value):
    """This will name what `notices.models.describe` made of a record."""
    return localized(value["label"]) if isinstance(value["label"], dict) else value["label"]


@register.filter
def decision_state(decision):
    return DECISION_STATES.get(decision, "")


@register.filter
def told(entry, reader):
    """This will say what an approvals.models.Entry tells, with the name that it begins with in bold."""
    name = you(entry.who, reader)
    again = entry.kind == "asked" and entry.round.number > 1
    kind = _kind(entry) if not again else "resubmitted"
    said = EVENTS[kind]
    if entry.kind == Task.Decision.REASSIGNED and entry.task.kind == Task.Kind.REVISE:
        said = HANDED_OVER
    elif isinstance(said, dict):
        said = said[entry.approval.act]
    text = said % {"who": name, "to": entry.to, "instead_of": entry.task.holder}
    return format_html("<b>{}</b>{}", name, text.removeprefix(name)) if text.startswith(name) else text


@register.filter
def told_icon(entry):
    return ICONS[_kind(entry)][0]


@register.filter
def told_mark(entry):
    return ICONS[_kind(entry)][1]


def _kind(entry):
    return ASKED[entry.approval.act] if entry.kind == "asked" else KINDS[entry.kind]
