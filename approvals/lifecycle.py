"""
The life of an approval: one request, through all its rounds.

    ──ask──▶ open ──finish──▶ granted
              ▲ │└──withdraw, a report in its first round──▶ withdrawn
       resubmit │return, withdraw
              │ ▼
           returned ──drop, void──▶ dropped

A returned request stays unfinished: whoever is in charge of the record has it to revise. Transitions are private and
small: a transition sets the state when its body ends, and saves nothing.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django_fsm import FSMField, FSMModelMixin, transition


class State(models.TextChoices):
    OPEN = "open", _("Waiting")
    RETURNED = "returned", _("Returned")
    WITHDRAWN = "withdrawn", _("Withdrawn")
    GRANTED = "granted", _("Approved")
    DROPPED = "dropped", _("Dropped")


class Lifecycle(FSMModelMixin, models.Model):
    """The protected state, and the only ways in which it changes."""

    State = State
    state = FSMField(max_length=10, choices=State.choices, default=State.OPEN, protected=True, editable=False)

    class Meta:
        abstract = True

    @transition(state, source=State.OPEN, target=State.GRANTED)
    def _grant(self):
        pass

    @transition(state, source=State.OPEN, target=State.WITHDRAWN)
    def _withdraw(self):
        pass

    @transition(state, source=State.OPEN, target=State.RETURNED)
    def _return(self):
        pass

    @transition(state, source=State.RETURNED, target=State.OPEN)
    def _reopen(self):
        pass

    @transition(state, source=State.RETURNED, target=State.DROPPED)
    def _drop(self):
        pass
