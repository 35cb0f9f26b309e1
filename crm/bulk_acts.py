"""What can be done to many records at once: the promises of each act, which `crm.bulk` carries through row by row."""

from django.utils.translation import gettext_lazy as _

from crm.forms import Form

NOTHING_TO_DO = _("It is so already.")


class Skipped(Exception):
    """There is nothing to do to a row. The message is a sentence."""

    def __init__(self, message=NOTHING_TO_DO):
        super().__init__(message)
        self.message = message


class BulkAct:
    """
    One thing that can be done to the selected rows of a list. A subclass says how it is done to one: `do` calls the
    verb that the record's own page calls, for `chosen`, what its form gives, and gives facts (JSON) about the row.
    """

    do_not_call_in_templates = True  # a template takes what a class says

    key = ""  # in addresses
    word = ""  # on the button
    yes = None  # on the button that confirms, unless it is the same
    verb = ""  # of the permission table
    form = Form
    consequences = ""
    refusals = None  # how many will be refused, as ngettext_lazy gives it; None where that is not foreseen
    undoable = False
    dangerous = False
    sets = False  # whether its form says what fields become
    removes = False  # whether whoever did it sees the record no more, which keeps its name on their page
    shows = ""  # a template that shows `rows`, what it is done to, where names do not tell enough
    asks_on_a_page = False  # too long a form for a dialog

    @classmethod
    def is_offered(cls, listing):
        return listing.may_ever(cls.verb)

    @classmethod
    def possible(cls, user, rows):
        """This will narrow `rows`, a queryset, to those that it can be done to, as far as one query tells."""
        return rows.permitted(user, cls.verb)

    @classmethod
    def rows(cls, listing, keys):
        """This will give what `shows` shows of the records of those keys that the reader sees."""
        return []

    @staticmethod
    def chosen(form):
        """This will give what a valid form says, as `do` takes it."""
        return form.cleaned_data

    def __init__(self, chosen, *, by, batch=None):
        self.chosen, self.by, self.batch = chosen, by, batch

    def do(self, record, seen):
        raise NotImplementedError

    def note(self, record, before, since):
        """This will have what was changed undone with the rest: `before` {field: value}, `since` the version then."""
        self.batch.note(changed=[(record, before, since)])

    @classmethod
    def tell(cls, model, rows, *, by):
        """This will tell people at once of `rows`, (key, facts) of what was done; see notices.bulk."""

    @classmethod
    def tell_undone(cls, model, rows, *, by):
        """This will tell them that it was undone."""

    @classmethod
    def ended(cls, run, counts, *, undone=False):
        """
        This will tell the run's owner, who does not wait for it, how it ended: {state: how many rows}; where it was
        `undone`, {"undone", "left"}.
        """
