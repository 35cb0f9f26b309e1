"""What acts on many records at once share: one message for all of them, how they ended, and the comment on each."""

from collections import Counter

from django import forms
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy, pgettext_lazy

from crm import shown
from crm.bulk_acts import BulkAct
from crm.forms import Form
from crm.models import User
from crm.organisation import Organisation
from notices.history import describe
from notices.models import Comment, Message


class Act(BulkAct):
    """An act whose end is told to whoever began it, where the worker did it: one message, however many rows."""

    @classmethod
    def ended(cls, run, counts, *, undone=False):
        kind = "bulk_undone" if undone else "bulk_broken" if counts["waiting"] else "bulk_ended"
        counted = {name: shown.count(count) for name, count in counts.items()}
        with translation.override(run.owner.language or Organisation.current().language):  # the run says what it is
            Message.tell([run.owner], kind, run, by=None, **counted)


class Told(Act):
    """An act of which people hear: each once, of the first record and how many there are."""

    @staticmethod
    def gathered(model, hears):
        """
        This will yield (person, record, count) for each person of `hears`, (key of a person, key of a record): the
        first of theirs, and how many there are.
        """
        counts, firsts = Counter(person for person, _pk in hears), {}
        for person, pk in hears:
            firsts.setdefault(person, pk)
        people, records = User.objects.in_bulk(counts), model._base_manager.in_bulk(set(firsts.values()))
        for person, count in counts.items():
            if person in people and firsts[person] in records:
                yield people[person], records[firsts[person]], count


class Transfer(Told):
    """Puts somebody else in charge of each. `form` asks who, as `owner`."""

    key = "transfer"
    word = _("Transfer")
    yes = _("Confirm Transfer")
    verb = "transfer"
    undoable = True
    refusals = ngettext_lazy(
        "One of them you cannot transfer as it stands; it will be refused and listed.",
        "%(count)d of them you cannot transfer as they stand; they will be refused and listed.",
        "count",
    )

    def do(self, record, seen):
        to, before = self.chosen["owner"], record.owner
        was, since = {"owner": before, "department": record.department}, record.version
        record.transfer(to=to, by=self.by, seen=since, tell=False)
        self.note(record, was, since)
        return {"from": before.pk, "to": to.pk}

    @classmethod
    def tell(cls, model, rows, *, by):
        cls._tell(model, rows, "from", "to", by)

    @classmethod
    def tell_undone(cls, model, rows, *, by):
        cls._tell(model, rows, "to", "from", by)

    @classmethod
    def _tell(cls, model, rows, before, now, by):
        """This will tell whoever is in charge `now`, and whoever was `before`, by those names in the facts."""
        receivers = User.objects.in_bulk({facts[now] for _pk, facts in rows})
        for receiver in receivers.values():
            ours = [(pk, facts) for pk, facts in rows if facts[now] == receiver.pk]
            hears = [(facts[side], pk) for pk, facts in ours for side in (now, before)]
            for person, first, count in cls.gathered(model, hears):
                kind = "transferred" if count == 1 else "transferred_many"
                Message.tell([person], kind, first, by=by, to=describe(receiver), count=count)


class CommentForm(Form):
    """What one wants to say about each."""

    text = forms.CharField(
        label=pgettext_lazy("button", "Comment"),
        max_length=5000,
        help_text=_("It stands on each of them. @ and a name tells that person."),
        widget=forms.Textarea({"rows": 4}),
    )


class Commenting(Told):
    """Says the same about each. Whom it mentions hears of all of them in one message."""

    key = "comment"
    word = pgettext_lazy("button", "Comment")
    verb = "comment"
    form = CommentForm
    refusals = ngettext_lazy(
        "One of them you may not comment on; it will be refused and listed.",
        "%(count)d of them you may not comment on; they will be refused and listed.",
        "count",
    )

    def do(self, record, seen):
        comment = Comment(about=record, text=self.chosen["text"])
        comment.add(by=self.by, tell=False)
        people = [person["id"] for person in comment.mentioned]
        return {"people": people, "comment": comment.pk} if people else None

    @classmethod
    def tell(cls, model, rows, *, by):
        mentions = {pk: facts for pk, facts in rows if facts}
        comments = Comment.objects.in_bulk([facts["comment"] for facts in mentions.values()])  # some may be gone since
        stand = {pk: facts for pk, facts in mentions.items() if facts["comment"] in comments}
        hears = [(person, pk) for pk, facts in stand.items() for person in facts["people"]]
        for person, first, count in cls.gathered(model, hears):
            comments[stand[first.pk]["comment"]].tell([person], first, by=by, count=count)


class Deleting(Act):
    """Puts each into the recycle bin."""

    key = "delete"
    word = _("Delete")
    verb = "delete"
    dangerous = True
    removes = True
    refusals = ngettext_lazy(
        "One of them you may not delete; it will be refused and listed.",
        "%(count)d of them you may not delete; they will be refused and listed.",
        "count",
    )

    def do(self, record, seen):
        record.delete_(by=self.by, seen=record.version)
