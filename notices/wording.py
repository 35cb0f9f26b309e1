"""
How what happened is said: one sentence for each kind of event, message and mail, to one reader and in their language.

A sentence begins with who did it, so it stands alone in a history and, after the record's name, in an inbox or a
subject. A kind that is written anywhere in the product has its sentence here; a test looks for those that have not.
"""

from collections import namedtuple
from datetime import date, datetime
from decimal import Decimal

from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from crm import shown
from crm.custom_fields import PREFIX, CustomField, field_of
from crm.names import localized
from notices.history import Event
from notices.models import Comment

Change = namedtuple("Change", ["label", "old", "new"])  # texts; "" where there was, or is, nothing


def by_act(report, sign, terminate):
    """This will give the sentence of each act that is asked for, approved or returned."""
    return {"report": report, "sign": sign, "terminate": terminate}


# What the history says. The verb is in the past tense, so that "You" fits where a name does.
EVENTS = {
    "created": gettext_lazy("%(who)s created it."),
    "imported": gettext_lazy("%(who)s imported it as a past record."),
    "changed": gettext_lazy("%(who)s changed %(fields)s."),
    "deleted": gettext_lazy("%(who)s deleted it."),
    "restored": gettext_lazy("%(who)s restored it."),
    "lines_changed": gettext_lazy("%(who)s changed %(fields)s."),
    "moved": gettext_lazy("%(who)s moved it to %(stage)s."),
    "reported": gettext_lazy("%(who)s asked %(to)s to approve the report."),
    "sign_asked": gettext_lazy("%(who)s asked %(to)s to approve the signing."),
    "terminate_asked": gettext_lazy("%(who)s asked %(to)s to approve the termination."),
    "resubmitted": by_act(
        gettext_lazy("%(who)s asked %(to)s again to approve the report."),
        gettext_lazy("%(who)s asked %(to)s again to approve the signing."),
        gettext_lazy("%(who)s asked %(to)s again to approve the termination."),
    ),
    "escalated": by_act(
        gettext_lazy("%(who)s approved the report and escalated it to %(to)s."),
        gettext_lazy("%(who)s approved the signing and escalated it to %(to)s."),
        gettext_lazy("%(who)s approved the termination and escalated it to %(to)s."),
    ),
    "granted": by_act(
        gettext_lazy("%(who)s approved the report."),
        gettext_lazy("%(who)s approved the signing."),
        gettext_lazy("%(who)s approved the termination."),
    ),
    "returned": by_act(
        gettext_lazy("%(who)s returned the report."),
        gettext_lazy("%(who)s returned the signing."),
        gettext_lazy("%(who)s returned the termination."),
    ),
    "withdrawn": by_act(
        gettext_lazy("%(who)s withdrew the report."),
        gettext_lazy("%(who)s withdrew the signing."),
        gettext_lazy("%(who)s withdrew the termination."),
    ),
    "dropped": by_act(
        gettext_lazy("%(who)s dropped the report."),
        gettext_lazy("%(who)s dropped the signing."),
        gettext_lazy("%(who)s dropped the termination."),
    ),
    "assigned": by_act(
        gettext_lazy("%(who)s gave the report to %(to)s to decide, instead of %(instead_of)s."),
        gettext_lazy("%(who)s gave the signing to %(to)s to decide, instead of %(instead_of)s."),
        gettext_lazy("%(who)s gave the termination to %(to)s to decide, instead of %(instead_of)s."),
    ),
    "amended": by_act(
        gettext_lazy("%(who)s changed what the report asks for."),
        gettext_lazy("%(who)s changed what the signing asks for."),
        gettext_lazy("%(who)s changed what the termination asks for."),
    ),
    "voided": gettext_lazy("%(who)s made it void."),
    "corrected": gettext_lazy("%(who)s corrected the signing."),
    "transferred": gettext_lazy("%(who)s put %(to)s in charge."),
    "shared": gettext_lazy("%(who)s shared it with %(to)s."),
    "shared_to_edit": gettext_lazy("%(who)s shared it with %(to)s, who may edit it."),
    "unshared": gettext_lazy("%(who)s ended the share with %(to)s."),
    "contact_added": gettext_lazy("%(who)s added %(contact)s as a contact."),
    "contact_changed": gettext_lazy("%(who)s changed the part that %(contact)s plays."),
    "contact_made_primary": gettext_lazy("%(who)s made %(contact)s the primary contact."),
    "reassigned": gettext_lazy("%(who)s reassigned it to %(customer)s."),
    "contact_removed": gettext_lazy("%(who)s removed %(contact)s from the contacts."),
    "contact_deleted": gettext_lazy("%(who)s deleted the contact %(contact)s."),
    "contact_restored": gettext_lazy("%(who)s restored the contact %(contact)s."),
    "commented": gettext_lazy("%(who)s commented."),
    "comment_changed": gettext_lazy("%(who)s changed a comment."),
    "comment_deleted": gettext_lazy("%(who)s deleted a comment."),
    "file_added": gettext_lazy("%(who)s added %(files)s."),
    "file_deleted": gettext_lazy("%(who)s deleted the file %(file)s."),
    "document_linked": gettext_lazy("%(who)s linked the document %(document)s."),
    "document_unlinked": gettext_lazy("%(who)s took the document %(document)s away."),
    "published": gettext_lazy("%(who)s published it."),
    "announcement_withdrawn": gettext_lazy("%(who)s withdrew it."),
    "reminded": gettext_lazy("%(who)s reminded those who had not read it, %(count)s in all."),
    "follow_up_added": gettext_lazy("%(who)s added a follow-up record: %(type)s."),
    "follow_up_planned": gettext_lazy("%(who)s planned a follow-up: %(type)s."),
    "follow_up_done": gettext_lazy("%(who)s ticked off a follow-up: %(type)s."),
    "follow_up_changed": gettext_lazy("%(who)s changed a follow-up record: %(type)s."),
    "follow_up_handed_over": gettext_lazy("%(who)s gave a planned follow-up to %(to)s: %(type)s."),
    "follow_up_deleted": gettext_lazy("%(who)s deleted a follow-up record: %(type)s, %(at)s."),
    "follow_up_restored": gettext_lazy("%(who)s restored a follow-up record: %(type)s, %(at)s."),
}

# What somebody is told, where that differs from what the history says.
TOLD = {
    "task": by_act(
        gettext_lazy("%(who)s asks you to approve the report."),
        gettext_lazy("%(who)s asks you to approve the signing."),
        gettext_lazy("%(who)s asks you to approve the termination."),
    ),
    "mentioned": gettext_lazy("%(who)s mentioned you."),
    "mentioned_many": gettext_lazy("%(who)s mentioned you on this and others, %(count)s in all."),
    "shared": gettext_lazy("%(who)s shared it with you."),
    "shared_to_edit": gettext_lazy("%(who)s shared it with you. You may edit it."),
    "shared_many": gettext_lazy("%(who)s shared this and others with you, %(count)s in all."),
    "transferred_many": gettext_lazy("%(who)s put %(to)s in charge of this and others, %(count)s in all."),
    "file_imported": gettext_lazy(
        "%(who)s has imported the file. Of %(rows)s rows, %(new)s came in, %(there)s were there already, "
        "%(refused)s were refused."
    ),
    "file_imported_changing": gettext_lazy(
        "%(who)s has imported the file. Of %(rows)s rows, %(new)s came in, %(updated)s changed what was there, "
        "%(there)s were there already, %(refused)s were refused."
    ),
    "bulk_ended": gettext_lazy(
        "%(who)s has gone through all of them: %(done)s done, %(refused)s refused, %(skipped)s skipped."
    ),
    "bulk_broken": gettext_lazy(
        "%(who)s could not go through all of them: %(done)s done, %(refused)s refused, %(skipped)s skipped, "
        "%(waiting)s not reached."
    ),
    "bulk_undone": gettext_lazy("%(who)s has undone it: %(undone)s are what they were, %(left)s had to be left."),
    "handed_over": gettext_lazy("%(who)s handed work of %(leaver)s over to you, %(count)s in all."),
    "announcement_reminder": gettext_lazy("%(who)s asks you to read this announcement."),
    "invited": gettext_lazy(
        "%(who)s invites you to Pursuit. Your user name is %(username)s. Choose a password by the link within seven "
        "days; later, “Forgot password?” sends another."
    ),
    "password_wanted": gettext_lazy(
        "Somebody, hopefully you, asked for a new password for “%(username)s”. Choose it by the link, within one hour. "
        "If it was not you, do nothing: the old password goes on working."
    ),
    "email_wanted": gettext_lazy(
        "You want mails of Pursuit to come to this address. Confirm by the link, within a day, that it is yours. If "
        "you know nothing of it, do nothing."
    ),
    "email_changed": gettext_lazy(
        "Mails of Pursuit go to %(now)s from now on, and no longer to this address. If that was not you, change your "
        "password and tell your administrator."
    ),
    "email_removed": gettext_lazy(
        "Mails of Pursuit no longer go to this address. If that was not you, change your password and tell your "
        "administrator."
    ),
    "two_step_on": gettext_lazy(
        "Your sign-in asks for a code from an app on your phone from now on. If that was not you, tell your "
        "administrator."
    ),
    "two_step_off": gettext_lazy(
        "Your sign-in no longer asks for a code from an app. If that was not you, change your password and tell your "
        "administrator."
    ),
    "two_step_reset": gettext_lazy(
        "%(who)s turned off your two-step sign-in: you sign in by password alone until you set it up again. If you did "
        "not ask for it, tell your administrator."
    ),
    "recovery_codes_made": gettext_lazy(
        "There are new recovery codes for your sign-in; the old ones are worth nothing. If that was not you, change "
        "your password and tell your administrator."
    ),
    "passkey_added": gettext_lazy(
        "Your account has a new passkey, which signs in without a password. If that was not you, remove it in your "
        "profile, change your password, and tell your administrator."
    ),
    "passkey_removed": gettext_lazy(
        "A passkey of your account was removed. If that was not you, change your password and tell your administrator."
    ),
    "charged": gettext_lazy("%(who)s imported a file and put you in charge of what came in with it, %(count)s in all."),
}

# What a mail is called that is about one's account, or about many records and not about the one that it leads to.
SUBJECTS = {
    "handed_over": gettext_lazy("Work was handed over to you"),
    "invited": gettext_lazy("Your invitation to Pursuit"),
    "password_wanted": gettext_lazy("Pursuit: choose a new password"),
    "email_wanted": gettext_lazy("Confirm your e-mail address"),
    "email_changed": gettext_lazy("Your e-mail address was changed"),
    "email_removed": gettext_lazy("Your e-mail address was taken away"),
    "two_step_on": gettext_lazy("Two-step sign-in was turned on"),
    "two_step_off": gettext_lazy("Two-step sign-in was turned off"),
    "two_step_reset": gettext_lazy("Two-step sign-in was turned off"),
    "recovery_codes_made": gettext_lazy("New recovery codes were made"),
    "passkey_added": gettext_lazy("A passkey was added"),
    "passkey_removed": gettext_lazy("A passkey was removed"),
}

# Where a figure that is no field of the record is kept once it holds: (the part of the record, its field).
FIGURES = {
    "contract_number": ("signing", "contract_number"),
    "amount": ("signing", "amount"),
    "signed_amount": ("signing", "amount"),
    "signed_on": ("signing", "signed_on"),
    "term": ("signing", "term"),
    "reason": (None, "lost_reason"),
    "note": (None, "closing_note"),
}

# (icon, mark): what stands before an entry of the history; what is not here has a plain pencil.
ICONS = {
    "created": ("plus-lg", ""),
    "imported": ("box-arrow-in-down", ""),
    "moved": ("arrow-right", ""),
    "reported": ("flag", ""),
    "sign_asked": ("pen", ""),
    "terminate_asked": ("x-octagon", ""),
    "resubmitted": ("arrow-repeat", ""),
    "escalated": ("check-lg", "good"),
    "granted": ("check-lg", "good"),
    "returned": ("arrow-return-left", "bad"),
    "withdrawn": ("arrow-counterclockwise", ""),
    "dropped": ("x-lg", ""),
    "amended": ("pen", ""),
    "voided": ("x-lg", ""),
    "assigned": ("person-check", ""),
    "transferred": ("person-up", ""),
    "shared": ("share", ""),
    "unshared": ("share", ""),
    "contact_added": ("person-lines-fill", ""),
    "contact_changed": ("person-lines-fill", ""),
    "contact_removed": ("person-lines-fill", ""),
    "contact_made_primary": ("person-lines-fill", ""),
    "reassigned": ("building", ""),
    "contact_deleted": ("person-lines-fill", ""),
    "contact_restored": ("person-lines-fill", ""),
    "deleted": ("trash", ""),
    "restored": ("arrow-counterclockwise", ""),
    "commented": ("chat-dots", ""),
    "comment_changed": ("chat-dots", ""),
    "comment_deleted": ("chat-dots", ""),
    "file_added": ("paperclip", ""),
    "file_deleted": ("paperclip", ""),
    "document_linked": ("folder-symlink", ""),
    "document_unlinked": ("folder-symlink", ""),
    "follow_up_added": ("chat-left-text", ""),
    "follow_up_planned": ("chat-left-text", ""),
    "follow_up_done": ("chat-left-text", ""),
    "follow_up_changed": ("chat-left-text", ""),
    "follow_up_handed_over": ("person-up", ""),
    "follow_up_deleted": ("chat-left-text", ""),
    "follow_up_restored": ("chat-left-text", ""),
}


def sentence(said, reader):
    """
    This will say in the active language what an Event, Message or Delivery tells `reader`; a plain text.

    A kind without a sentence of its own, as another version of the product may have left, is said to have changed
    something.
    """
    kind = said.kind
    if kind == "shared" and said.data.get("may_edit"):
        kind = "shared_to_edit"
    elif kind == "file_imported" and said.data.get("updated", "0") != "0":
        kind = "file_imported_changing"
    found = EVENTS.get(kind) if isinstance(said, Event) else TOLD.get(kind) or EVENTS.get(kind)
    if isinstance(found, dict):
        found = found.get(said.data.get("act"))
    return (found or EVENTS["changed"]) % _Names(said, reader)


def who(said, reader):
    """This will name the person behind an Event, Message or Delivery: "You" to themselves, Pursuit for nobody."""
    if said.by_id is None:
        return "Pursuit"
    return _("You") if said.by_id == reader.pk else str(said.by)


def quote(said):
    """This will give what the person wrote with it: a comment, a reason, the text of a deleted record; or ""."""
    return next((said.data[name] for name in ("comment", "reason", "content") if said.data.get(name)), "")


def changes(event):
    """This will give what the event changed: a Change(label, old, new) for each field, worded for the reader."""
    model, figures = _model(event), event.data.get("figures") or {}
    own = [(_field(model, name), name, event.changes[name]) for name in _ordered(event.changes, model.TRACKED)]
    own += [(_figure(model, name), name, figures[name]) for name in _ordered(figures, [*FIGURES])]
    return [Change(capfirst(_name(field, name)), *(_side(field, side) for side in sides)) for field, name, sides in own]


def icon(event):
    """This will give (icon, mark) of an event's entry."""
    return ICONS.get(event.kind, ("pencil", ""))


class _Names(dict):
    """The names that a sentence may use, worked out when it does."""

    def __init__(self, said, reader):
        super().__init__()
        self.said = said
        self.reader = reader

    def __missing__(self, name):
        return getattr(self, f"_{name}")() if hasattr(self, f"_{name}") else _label(self.said.data.get(name))

    def _who(self):
        return who(self.said, self.reader)

    def _to(self):
        """This will name whom it went to: those in `data`, or the new owner."""
        to = self.said.data.get("to") or self._changed("owner")
        return _list([self._person(one) for one in (to if isinstance(to, list) else [to])])

    def _instead_of(self):
        return self._person(self.said.data.get("instead_of"))

    def _person(self, described):
        # A department's label is one text per language; only a person's is plain, so the keys cannot be mistaken.
        is_reader = described and isinstance(described["label"], str) and described["id"] == self.reader.pk
        return pgettext("to whom", "you") if is_reader else _label(described)

    def _customer(self):
        return _label(self._changed("customer") or self.said.data.get("to"))

    def _files(self):
        return _list(self.said.data["files"])

    def _stage(self):
        return _label(self._changed("stage"))

    def _fields(self):
        changed = getattr(self.said, "changes", {})
        model = _model(self.said) if changed else None
        names = [_name(_field(model, name), name) for name in _ordered(changed, model.TRACKED if model else ())]
        return _list(names) or pgettext("what was changed", "it")

    def _at(self):
        at = self.said.data.get("at")
        return shown.moment(datetime.fromisoformat(at)) if at else ""

    def _changed(self, name):
        return getattr(self.said, "changes", {}).get(name, [None, None])[1]


def _list(texts):
    return pgettext("between the members of a list", ", ").join(texts)


def _label(described):
    """This will word what `describe` made of a record, or of a text."""
    if not isinstance(described, dict):
        return "" if described is None else str(described)
    label = described.get("label", "")
    return localized(label) if isinstance(label, dict) else label


def _ordered(names, order):
    """This will sort field names, since of the two databases one forgets the order of JSON."""
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def _model(event):
    """This will give the model whose fields the event changed."""
    model = ContentType.objects.get_for_id(event.about_type_id).model_class()
    if event.kind.startswith("comment_"):
        return Comment
    return model._meta.get_field("follow_ups").related_model if event.kind.startswith("follow_up_") else model


def _field(model, name):
    """This will give the field of that name, one that was added too; None where the model has it no more."""
    try:
        return model._meta.get_field(name)
    except FieldDoesNotExist:
        return field_of(model, name)


def _figure(model, name):
    """This will give the field that holds a figure: of the record, or of its signing."""
    part, name = FIGURES[name]
    return _field(model._meta.get_field(part).related_model if part else model, name)


def _name(field, name):
    if name == "done_at":  # set by ticking off, so it is no field of a form
        return pgettext("follow-up", "done")
    if field is None:
        return _("a field that was erased") if name.startswith(PREFIX) else name
    if isinstance(field, CustomField):
        return field.name
    if field.auto_created:  # what points here, such as the lines of an opportunity
        return str(field.related_model._meta.verbose_name_plural)
    return str(field.verbose_name)


def _side(field, value):
    """This will word one side of a change, of a field that administrators added too."""
    return field.told(value) if isinstance(field, CustomField) else _shown(field, value)


def _shown(field, value):
    """This will word one side of a change as the pages do: amounts, dates, choices, names in the reader's language."""
    if value in (None, ""):
        return ""
    if isinstance(value, dict | list):
        return "\n".join(_label(one) for one in (value if isinstance(value, list) else [value]))
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if field is None:
        return str(value)
    if field.is_relation:  # a figure that was kept as a key
        return str(field.related_model._base_manager.filter(pk=value).first() or "")
    if field.flatchoices:
        return str(dict(field.flatchoices).get(value, value))
    if isinstance(field, models.DateTimeField):
        return shown.moment(datetime.fromisoformat(value))
    if isinstance(field, models.DateField):
        return shown.day(date.fromisoformat(value))
    if isinstance(field, models.DecimalField):
        return shown.money(Decimal(value))
    if field.name == "probability":
        return _("%(number)s %%") % {"number": value}
    if field.name == "term":
        return ngettext("%(count)d month", "%(count)d months", value) % {"count": value}
    return str(value)
