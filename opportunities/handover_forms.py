"""The form of a handover: which kinds of work go, and to whom."""

from django import forms
from django.utils.translation import gettext_lazy as _

from crm.forms import Form
from crm.pickers import PersonPicker
from crm.verbs import Refused
from opportunities import handover

LISTED = 10  # records of a kind that the list before shows


class HandoverForm(Form):
    """One receiver for all, another one for a kind where that is said; a kind that is not ticked stays."""

    to = PersonPicker(label=_("Receiver"))

    def __init__(self, *args, leaver, **kwargs):
        super().__init__(*args, **kwargs)
        self.leaver = leaver
        self.held = {kind: count for kind in handover.KINDS if (count := kind.held_by(leaver).count())}
        for kind in self.held:
            self.fields[f"take_{kind.key}"] = forms.BooleanField(label=kind.label, required=False, initial=True)
            other = PersonPicker(label=_("Another receiver for these"), required=False)
            other.user, other.starred = self.user, False
            self.fields[f"to_{kind.key}"] = other

    def kinds(self):
        """This will list each kind that is in hand, with its count, its first records, and its two fields."""
        for kind, count in self.held.items():
            records = [handover.listed(kind, record) for record in kind.held_by(self.leaver)[:LISTED]]
            yield {
                "kind": kind,
                "count": count,
                "records": records,
                "more": count - len(records),
                "take": self[f"take_{kind.key}"],
                "to": self[f"to_{kind.key}"],
            }

    def clean(self):
        cleaned = super().clean()
        if not any(cleaned.get(f"take_{kind.key}") for kind in self.held):
            self.add_error(None, _("Tick what is to be handed over."))
        return cleaned

    def start(self):
        """This will have the handover done, and give its job; None where it was refused."""
        given = self.cleaned_data
        ticked = [kind.key for kind in self.held if given[f"take_{kind.key}"]]
        to = {key: given[f"to_{key}"] or given["to"] for key in ticked}
        try:
            return handover.start(self.leaver, to=to, by=self.user)
        except Refused as error:
            self.refuse(error)
            return None
