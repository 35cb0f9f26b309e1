"""
The approval life of an opportunity. `state` is this life; `stage` is where the sale stands. They are two things.

    draft ──report──▶ reporting ──finish──▶ active ──sign──────▶ signing ─────finish──▶ signed
      │                │   ▲  │               ▲ ▲ └─terminate──▶ terminating ─finish──▶ terminated
      void       return│   │  └withdraw       │ └──return, withdraw──┘
      ▼                ▼   │resubmit          │
    void ◀──void──── returned            (a past record is entered as active, signed or terminated)

Transitions are private and small: a transition sets the state when its body ends, and saves nothing. The public verbs
are methods of Opportunity.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django_fsm import RETURN_VALUE, FSMField, FSMModelMixin, transition


class State(models.TextChoices):
    DRAFT = "draft", _("Draft")
    REPORTING = "reporting", _("Reporting")
    RETURNED = "returned", _("Returned")
    ACTIVE = "active", _("Active")
    SIGNING = "signing", _("Signing")
    TERMINATING = "terminating", _("Terminating")
    SIGNED = "signed", _("Signed")
    TERMINATED = "terminated", _("Terminated")
    VOID = "void", pgettext_lazy("state", "Void")


PENDING = (State.REPORTING, State.SIGNING, State.TERMINATING)
CLOSED = (State.SIGNED, State.TERMINATED, State.VOID)
OPEN = tuple(state for state in State if state not in CLOSED)


class Lifecycle(FSMModelMixin, models.Model):
    """The protected state, and the only ways in which it changes."""

    state = FSMField(
        _("state"), max_length=11, choices=State.choices, default=State.DRAFT, protected=True, editable=False
    )

    class Meta:
        abstract = True

    @transition(state, source=[State.DRAFT, State.RETURNED], target=State.REPORTING)
    def _report(self):
        pass

    @transition(state, source=[State.DRAFT, State.RETURNED], target=State.VOID)
    def _void(self):
        pass

    @transition(state, source=State.REPORTING, target=State.DRAFT)
    def _back_to_draft(self):
        pass

    @transition(state, source=State.REPORTING, target=State.RETURNED)
    def _return(self):
        pass

    @transition(state, source=State.REPORTING, target=State.ACTIVE)
    def _activate(self):
        pass

    @transition(state, source=State.ACTIVE, target=State.SIGNING)
    def _sign(self):
        pass

    @transition(state, source=State.ACTIVE, target=State.TERMINATING)
    def _terminate(self):
        pass

    @transition(state, source=[State.SIGNING, State.TERMINATING], target=State.ACTIVE)
    def _reopen(self):
        pass

    @transition(state, source=State.SIGNING, target=State.SIGNED)
    def _finish_signing(self):
        pass

    @transition(state, source=State.TERMINATING, target=State.TERMINATED)
    def _finish_terminating(self):
        pass

    @transition(state, source=State.DRAFT, target=RETURN_VALUE(State.ACTIVE, State.SIGNED, State.TERMINATED))
    def _enter_as(self, state):
        return state

    @property
    def is_pending(self):
        return self.state in PENDING

    @property
    def is_closed(self):
        return self.state in CLOSED
