"""What can be done to many customers, or contacts, at once."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy, pgettext_lazy

from crm.bulk_acts import Skipped
from crm.bulk_forms import ChangeForm
from customers.forms import ContactForm, CustomerForm, FollowUpsForm, TransferForm
from notices.bulk import Act, Commenting, Deleting, Transfer


class CustomerChangeForm(ChangeForm):
    """What may be changed of many customers at once; not what tells one from another."""

    of = CustomerForm
    names = ("industry", "level", "status", "kind", "description")
    needed = ("status", "kind")


class ContactChangeForm(ChangeForm):
    """What may be changed of many contacts at once."""

    of = ContactForm
    names = ("title", "phone", "description")


class Change(Act):
    """Gives each the same values in some fields."""

    key = "change"
    word = pgettext_lazy("acts", "Change")
    verb = "change"
    sets = True
    undoable = True
    asks_on_a_page = True
    consequences = _("What is ticked changes on each of them; ticked and left empty, it is emptied.")
    refusals = ngettext_lazy(
        "One of them you may not change; it will be refused and listed.",
        "%(count)d of them you may not change; they will be refused and listed.",
        "count",
    )

    @staticmethod
    def chosen(form):
        return form.values

    def do(self, record, seen):
        was, since = {name: getattr(record, name) for name in self.chosen}, record.version
        record.change(by=self.by, seen=since, **self.chosen)
        if record.version == since:
            raise Skipped()
        self.note(record, was, since)


class ChangeCustomers(Change):
    form = CustomerChangeForm


class ChangeContacts(Change):
    form = ContactChangeForm


class TransferCustomers(Transfer):
    verb = "change"  # as the page of one asks
    form = TransferForm
    consequences = _(
        "Their contacts go along, and what was planned with them. Their opportunities stay with the people in charge. "
        "Each of the people concerned gets one message for all."
    )


class FollowUps(Act):
    """Adds the same follow-up record to each: to customers, or to opportunities."""

    key = "follow-up"
    word = _("Add Follow-up Record")
    verb = "add_follow_up"
    form = FollowUpsForm
    asks_on_a_page = True
    consequences = _("Each of them gets a record of its own with this content.")
    refusals = ngettext_lazy(
        "One of them you may not follow up; it will be refused and listed.",
        "%(count)d of them you may not follow up; they will be refused and listed.",
        "count",
    )

    def do(self, record, seen):
        theirs = record.follow_ups
        said = {name: self.chosen[name] for name in ("kind", "content", "at")}
        one = theirs.model(**{theirs.field.name: record}, **said)
        one.add(by=self.by, next_at=self.chosen["next_at"], next_content=self.chosen["next_content"])


class DeleteCustomers(Deleting):
    consequences = _(
        "They go into the recycle bin with their contacts, follow-ups, files and history. Those to which opportunities "
        "belong stay."
    )


class DeleteContacts(Deleting):
    consequences = _("They go into the recycle bin with their history. Those whom opportunities name stay.")


CUSTOMERS = [ChangeCustomers, TransferCustomers, FollowUps, Commenting, DeleteCustomers]
CONTACTS = [ChangeContacts, DeleteContacts]
