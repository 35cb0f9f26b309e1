"""Who hears of an import: its owner, once; and whoever was put in charge of what came in, once each."""

from crm import shown
from crm.models import User
from crm.resources import Importing
from notices.history import describe
from notices.models import Message


class Telling(Importing):
    """An import whose end is told: one message to each, however many rows came in."""

    def charge(self, records):
        """This will note who was put in charge of `records` by somebody else."""
        for record in records:
            if record.owner_id != self.user.pk:
                noted = self.charged.setdefault(str(record.owner_id), [0, record.pk])
                noted[0] += 1

    def ended(self, run, charged):
        counts = {name: shown.count(getattr(run, name)) for name in ("rows", "new", "refused")}
        counts |= {"updated": shown.count(run.changed), "there": shown.count(run.unchanged + run.skipped)}
        Message.tell([self.user], "file_imported", run, by=None, **counts)
        people, first = User.objects.in_bulk(charged), [pk for _count, pk in charged.values()]
        records = self._meta.model.objects.in_bulk(first)
        for key, (count, pk) in charged.items():
            person = people[int(key)]
            if pk in records:  # or it was deleted since
                Message.tell(
                    [person], "charged", records[pk], by=self.user, count=shown.count(count), to=describe(person)
                )
