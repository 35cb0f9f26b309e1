"""
Who hears of what happened (messages), what is mailed (deliveries), what all read (announcements), and what
people say about a record (comments).
"""

import re
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm import formatting, permissions
from crm.functions import ascii_lower
from crm.models import User
from crm.moments import organisation_today
from crm.verbs import NotAllowed, Refused, Stale, locked, whole
from notices.about import About, for_department
from notices.documents import Document, DocumentLink  # noqa: F401  models in a module of their own, as that below
from notices.files import Filed
from notices.history import Recorded, describe
from notices.preferences import DAILY, GROUPS, NEVER, by_mail, in_app, next_digest
from notices.recycle import Recycled  # noqa: F401  as above


class MessageQuerySet(models.QuerySet):
    def for_reader(self, user):
        """This will narrow to what this person was told, the latest first, with the names of those who told."""
        return self.filter(to=user).select_related("by")

    def unread_for(self, user):
        return self.for_reader(user).filter(read_at=None)

    def read_for(self, user):
        return self.for_reader(user).filter(read_at__isnull=False)

    def of_group(self, group):
        """This will narrow to one of the groups of `notices.preferences`; to nothing less where it is none."""
        return self.filter(kind__in=GROUPS[group][1]) if group in GROUPS else self

    def mark_read(self):
        return self.filter(read_at=None).update(read_at=timezone.now())


def look(told, reader):
    """
    This will note on each Message or Delivery of `told`, as `in_sight`, whether `reader` sees its record now; and give
    them as a list. What is out of sight keeps its name to itself. One query for each kind of record.
    """
    told = list(told)
    wanted = {}
    for one in told:
        wanted.setdefault(one.about_type_id, set()).add(one.about_id)
    seen = set()
    for about_type_id, keys in wanted.items():
        records = ContentType.objects.get_for_id(about_type_id).model_class().objects.visible_to(reader)
        seen |= {(about_type_id, pk) for pk in records.filter(pk__in=keys).order_by().values_list("pk", flat=True)}
    for one in told:
        one.in_sight = (one.about_type_id, one.about_id) in seen
    return told


class Message(About):
    """
    Something that waits to be read by one person. It copies what it shows, since a record's later name or amount is
    not what was told. `kind` names its sentence: see `notices.wording`.
    """

    TELLS_PEOPLE = Q()  # and is no part of the record: which of them go with a record whose entry is undone

    to = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="messages", db_index=False)
    kind = models.SlugField(max_length=40)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", db_index=False)
    at = models.DateTimeField(default=timezone.now)
    title = models.CharField(max_length=200)  # the record's name then
    data = models.JSONField(default=dict)
    read_at = models.DateTimeField(null=True)

    objects = MessageQuerySet.as_manager()

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [
            models.Index("to", F("at").desc(), F("id").desc(), name="message_to"),
            models.Index("to", F("at").desc(), F("id").desc(), name="message_unread", condition=Q(read_at=None)),
        ]

    def __str__(self):
        return f"{self.kind}: {self.title}"

    @classmethod
    def tell(cls, people, kind, about, *, by, **data):
        """
        This will put a message before each of `people` but `by`, and queue its mail, as each of them wants it; in the
        transaction of the verb that tells.
        """
        told, letters = [], []
        for person in {person.pk: person for person in people if person is not None}.values():
            if person == by or not person.is_active:
                continue
            letters.append((person, kind))
            if not in_app(person, kind):
                continue
            told.append(
                cls(
                    to=person,
                    kind=kind,
                    about_type=ContentType.objects.get_for_model(about),
                    about_id=about.pk,
                    by=by,
                    title=str(about)[:200],
                    data=data,
                )
            )
        cls.objects.bulk_create(told)
        Delivery.queue(letters, about, by=by, **data)
        return told


class DeliveryQuerySet(models.QuerySet):
    def due(self):
        """This will narrow to what is to be sent now, the longest waiting first."""
        return self.filter(state=Delivery.State.QUEUED, due_at__lte=timezone.now()).order_by("due_at", "id")

    def claim(self, pk, until):
        """
        This will take one due delivery for oneself until `until`, and tell whether one got it; of two who try, one
        does. It falls due again then, should whoever claimed it be killed.
        """
        return self.due().filter(pk=pk).order_by().update(due_at=until, attempts=F("attempts") + 1) == 1

    def gathered_until(self, moment):
        """This will narrow to what waits for a digest that is due."""
        return self.filter(state=Delivery.State.GATHERED, due_at__lte=moment)


class Delivery(About):
    """
    One mail to one person: the outbox. Written with what it tells of, in one transaction; sent by the worker, which
    claims it by a conditional update. Worded in the reader's language when it is sent: see `notices.delivery`.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("Queued")
        SENT = "sent", _("Sent")
        FAILED = "failed", _("Failed")
        WITHHELD = "withheld", _("Withheld: the reader may no longer see it")
        GATHERED = "gathered", _("Waits for the daily digest")
        DIGESTED = "digested", _("Put into a digest")

    TELLS_PEOPLE = Q(state__in=["queued", "gathered"])  # see Message; what was sent was sent

    to = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="deliveries", db_index=False, verbose_name=_("to")
    )
    kind = models.SlugField(max_length=40)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", db_index=False)
    title = models.CharField(_("about"), max_length=200)
    data = models.JSONField(default=dict)
    queued_at = models.DateTimeField(_("queued at"), default=timezone.now)
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.QUEUED)
    due_at = models.DateTimeField(_("due at"), default=timezone.now)  # when it may be tried (again)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    sent_at = models.DateTimeField(_("sent at"), null=True)
    error = models.CharField(_("what went wrong"), max_length=300, blank=True)
    digest = models.ForeignKey("self", models.CASCADE, null=True, related_name="gathered", verbose_name=_("digest"))

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ["-id"]
        indexes = [
            models.Index("due_at", name="delivery_due", condition=Q(state="queued")),
            models.Index("due_at", name="delivery_gathered", condition=Q(state="gathered")),
            models.Index("to", name="delivery_invited", condition=Q(kind="invited")),  # see crm.people.was_invited
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state="digested", digest__isnull=False) | (~Q(state="digested") & Q(digest=None)),
                name="delivery_in_digest",
            )
        ]

    def __str__(self):
        return f"{self.kind} → {self.to_id}"

    @classmethod
    def queue(cls, letters, about, *, by, **data):
        """This will write one delivery for each (person, kind) of `letters` who has an address and wants such mails."""
        told = {"about_type": ContentType.objects.get_for_model(about), "about_id": about.pk, "by": by, "data": data}
        queued, now = [], timezone.now()
        for person, kind in letters:
            wish = by_mail(person, kind)
            if not (person.email and person.is_active) or wish == NEVER:
                continue
            when = {"state": cls.State.GATHERED, "due_at": next_digest(person, now)} if wish == DAILY else {}
            queued.append(cls(to=person, kind=kind, title=str(about)[:200], **told, **when))
        cls.objects.bulk_create(queued)

    @classmethod
    def write_to(cls, address, person, kind, **data):
        """This will write a delivery about `person`'s own account to `address`, which need not be theirs any more."""
        told = {"about_type": ContentType.objects.get_for_model(person), "about_id": person.pk}
        cls.objects.create(to=person, kind=kind, title=str(person), data=data | {"address": address}, **told)

    @property
    def address(self):
        """This will give where the mail goes; "" where its reader has no address."""
        return self.data.get("address") or self.to.email


class AnnouncementQuerySet(models.QuerySet):
    def published(self):
        return self.filter(withdrawn_at=None).select_related("by")

    def running(self):
        """This will narrow to what is read today: from the day it begins until the day it ends, both included."""
        today = organisation_today()
        begun = Q(from_on=None) | Q(from_on__lte=today)
        return self.filter(begun & (Q(until_on=None) | Q(until_on__gte=today)))

    def for_reader(self, user):
        """
        This will narrow to what is published now for the reader: for their department, one above it or for all; and for
        a role of theirs or for all.
        """
        roles = Announcement.roles.through.objects.order_by()
        mine = ~Q(pk__in=roles.values("announcement_id")) | Q(
            pk__in=roles.filter(role__key__in=user.role_keys).values("announcement_id")
        )
        return self.published().running().filter((for_department(Announcement, user) & mine) | Q(by=user))

    def visible_to(self, user):
        """This will narrow to what is published for the reader; to whoever publishes, to everything published."""
        return self.published() if permissions.allows(user, "announce") else self.for_reader(user)

    def unread_for(self, user):
        """This will narrow to what the reader has not opened or, where that is asked for, not confirmed."""
        return self.for_reader(user).exclude(pk__in=AnnouncementRead.that_do(user).values("announcement_id"))

    def told(self, user):
        """This will narrow as `for_reader` does, and note on each, as `unread`, whether the reader is to read it."""
        return self.for_reader(user).annotate(
            unread=~Exists(AnnouncementRead.that_do(user).filter(announcement=OuterRef("pk")))
        )

    def with_unread(self, user):
        """This will note on each, as `unread`, whether the reader is to read it."""
        return self.annotate(unread=Exists(Announcement.objects.unread_for(user).filter(pk=OuterRef("pk")).order_by()))

    def search(self, text):
        """This will narrow to those that have each word of `text` in their title or their text."""
        for word in text[:200].split():
            word = ascii_lower(word)
            self = self.filter(Q(title__ascii_lower__contains=word) | Q(body__ascii_lower__contains=word))
        return self


class Announcement(Filed, Recorded):
    """
    Something published to many: to chosen departments and those below them, to chosen roles, or to everybody.

    `formatted` is what is shown: HTML that was cleaned when it was written. `body` is its plain text, for the history,
    for searching and for mails.
    """

    TRACKED = ("title", "body", "pinned", "must_confirm", "from_on", "until_on", "withdrawn_at")
    FILES_CHANGE = "announce"
    REMIND_AGAIN = timedelta(days=1)

    title = models.CharField(_("title"), max_length=200)
    body = models.TextField(_("text"))
    formatted = models.TextField(default="", editable=False)
    departments = models.ManyToManyField(
        "crm.Department", blank=True, related_name="+", verbose_name=_("for departments")
    )
    roles = models.ManyToManyField("crm.Role", blank=True, related_name="+", verbose_name=_("for roles"))
    pinned = models.BooleanField(
        _("pinned"), default=False, help_text=_("It stands before all others until it is unpinned.")
    )
    must_confirm = models.BooleanField(
        _("must be confirmed"),
        default=False,
        help_text=_("Each reader presses “I have read this”; until then it stays marked as new."),
    )
    from_on = models.DateField(_("from"), null=True, blank=True)
    until_on = models.DateField(_("until"), null=True, blank=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(null=True)
    reminded_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(_("withdrawn"), null=True)

    objects = AnnouncementQuerySet.as_manager()

    class Meta:
        verbose_name = _("announcement")
        verbose_name_plural = _("announcements")
        ordering = ["-pinned", "-at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(from_on=None) | Q(until_on=None) | Q(until_on__gte=F("from_on")),
                name="announcement_from_until",
            )
        ]

    def __str__(self):
        return self.title

    def get_absolute_url(self):
        return reverse("announcement", args=[self.pk])

    def files_permit(self, user, verb):
        if verb == "view":
            return type(self).objects.visible_to(user).filter(pk=self.pk).exists()
        return permissions.allows(user, "announce")

    @property
    def begins_later(self):
        return self.from_on is not None and self.from_on > organisation_today()

    @property
    def has_ended(self):
        return self.until_on is not None and self.until_on < organisation_today()

    def audience(self):
        """This will give the people whom it is for: the twin of `for_reader`."""
        return audience(self.departments.all(), self.roles.all())

    def waiting(self):
        """This will narrow its audience to those who have not opened it or, where that is asked for, not confirmed."""
        done = self.reads.filter(confirmed_at__isnull=False) if self.must_confirm else self.reads.all()
        return self.audience().exclude(pk__in=done.values("by")).exclude(pk=self.by_id)

    @transaction.atomic
    def publish(self, *, by, departments=(), roles=()):
        """
        This will publish it to `departments` and those below, and to `roles`; without any, to everybody. Raises
        NotAllowed, Refused.
        """
        if not permissions.allows(by, "announce"):
            raise NotAllowed()
        self.by = by
        if self.has_ended:
            raise Refused(_("This day has passed, so nobody would read it."), field="until_on")
        self._write(self.body)
        self.save(force_insert=True)
        self.departments.set(departments)
        self.roles.set(roles)
        self.read(by=by)
        self._confirm(by)
        self.note("published", by=by, to=[describe(one) for one in (*departments, *roles)])

    def change(self, *, by, title, body, departments, roles=(), seen=None, again=False, **values):
        """
        This will put another title and text in its place, for `departments` and `roles`; `again`, those who have read
        it are to read it anew. Raises NotAllowed, Stale, Refused.
        """
        with self._editing(by, seen) as it:
            it.title, it.changed_at = title, timezone.now()
            for name, value in values.items():
                setattr(it, name, value)
            it._write(body)
            it.departments.set(departments)
            it.roles.set(roles)
            if again:
                it.reads.exclude(by=by).delete()
            it.record("changed", by=by, to=[describe(one) for one in (*departments, *roles)])

    def withdraw(self, *, by, seen=None):
        """This will take it from everybody's sight. Raises NotAllowed, Stale, Refused."""
        with self._editing(by, seen) as it:
            it.withdrawn_at = timezone.now()
            it.record("announcement_withdrawn", by=by)

    def read(self, *, by):
        """This will note that `by` has opened it."""
        AnnouncementRead.objects.bulk_create([AnnouncementRead(announcement=self, by=by)], ignore_conflicts=True)

    def confirm(self, *, by):
        """This will note that `by` says to have read it. Raises NotAllowed where it is not theirs to read."""
        if not Announcement.objects.for_reader(by).filter(pk=self.pk).exists():
            raise NotAllowed()
        self.read(by=by)
        self._confirm(by)

    def _confirm(self, by):
        self.reads.filter(by=by, confirmed_at=None).update(confirmed_at=timezone.now())

    def remind(self, *, by):
        """
        This will put a message before those who have not read it, at most once a day; it gives how many. Raises
        NotAllowed, Refused.
        """
        with self._editing(by, None) as it:
            if it.begins_later or it.has_ended:
                raise Refused(_("It is not to be read now, so nobody is reminded."))
            if it.reminded_at and timezone.now() - it.reminded_at < it.REMIND_AGAIN:
                raise Refused(_("They were reminded less than a day ago."))
            people = list(it.waiting())
            if not people:
                raise Refused(_("Everybody has read it."))
            it.reminded_at = timezone.now()
            it.save(update_fields=["reminded_at"])
            it.note("reminded", by=by, count=len(people))
            Message.tell(people, "announcement_reminder", it, by=by)
        return len(people)

    def _write(self, body):
        """This will keep `body`, as typed or as the editor gave it, cleaned and as plain text. Raises Refused."""
        self.formatted = formatting.clean(body)
        self.body = formatting.plain(self.formatted)
        if not self.body:
            raise Refused(_("Write what is announced."), field="body")
        if self.from_on and self.until_on and self.until_on < self.from_on:
            raise Refused(_("It ends before it begins."), field="until_on")

    @contextmanager
    def _editing(self, by, seen):
        """This will give it locked and fresh, as `crm.verbs.acting` does; who may is a matter of roles alone."""
        if not permissions.allows(by, "announce"):
            raise NotAllowed()
        with transaction.atomic():
            it = locked(self)
            if seen is not None and int(seen) != it.version:
                raise Stale(it)
            if it.withdrawn_at:
                raise Refused(_("This announcement was withdrawn."))
            it.remember()
            yield it
        self.__dict__.update({k: v for k, v in it.__dict__.items() if k != "_state"})


def audience(departments, roles):
    """This will give the active people of `departments` and those below who hold one of `roles`; all without any."""
    people = User.objects.filter(is_active=True, department__isnull=False)
    departments, roles = list(departments), list(roles)
    if departments:
        within = Q()
        for department in departments:
            within |= Q(department__path__startswith=department.path)
        people = people.filter(within)
    if roles:
        held = Q(pk__in=User.roles.through.objects.filter(role__in=roles).values("user_id"))
        administrators = Q(is_superuser=True) if any(role.key == "administrator" for role in roles) else Q()
        people = people.filter(held | administrators if administrators else held)
    return people


class AnnouncementRead(models.Model):
    """That a person has opened an announcement and, where that was asked for, said to have read it."""

    announcement = models.ForeignKey(Announcement, models.CASCADE, related_name="reads")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    at = models.DateTimeField(default=timezone.now)
    confirmed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["announcement", "by"], name="announcement_read_once")]

    def __str__(self):
        return f"{self.announcement_id} {self.by_id}"

    @classmethod
    def that_do(cls, user):
        """This will give those of a person that are all that is asked: confirmed, where it is to be confirmed."""
        return cls.objects.filter(Q(confirmed_at__isnull=False) | Q(announcement__must_confirm=False), by=user)


class CommentQuerySet(models.QuerySet):
    def about(self, record):
        """This will narrow to what was said about `record`, the latest first, with the names of those who did."""
        about_type = ContentType.objects.get_for_model(record)
        return self.filter(about_type=about_type, about_id=record.pk).select_related("by")


class Comment(About, Recorded):
    """
    What somebody says about a record. @ and a name, or a user name, tells that person, who must see the record. Whoever
    wrote it may put it right or delete it for a while; the history keeps what it said.
    """

    TRACKED = ("text",)
    CHANGEABLE_FOR = timedelta(hours=1)
    AT = re.compile(r"(?<![A-Za-z0-9_.@])@(?=\S)")  # not that of an e-mail address
    LONGEST_NAME = 150
    MOST_MENTIONED = 20

    text = models.TextField(_("comment"), max_length=5000)
    mentioned = models.JSONField(default=list, editable=False)  # [{"id": of a user, "label": as they are called in it}]
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False, db_index=False)
    at = models.DateTimeField(default=timezone.now, editable=False)
    edited_at = models.DateTimeField(null=True, editable=False)

    objects = CommentQuerySet.as_manager()

    class Meta:
        verbose_name = _("comment")
        verbose_name_plural = _("comments")
        ordering = ["-id"]
        indexes = [models.Index("about_type", "about_id", F("id").desc(), name="comment_about")]

    def __str__(self):
        return self.text[:60]

    def get_absolute_url(self):
        return f"{self.about.get_absolute_url()}#comment-{self.pk}"

    def may_be_changed_by(self, user):
        """This will tell whether `user` wrote it, and not long ago."""
        return self.by_id == user.pk and timezone.now() - self.at < self.CHANGEABLE_FOR

    def add(self, *, by, tell=True):
        """
        This will add the comment, and tell those whom it mentions, unless somebody else does. Raises NotAllowed,
        Refused, Gone.
        """
        with whole():
            about = self._open(by)
            people = self._mention(about)
            self.by = by
            self.save(force_insert=True)
            about.note("commented", by=by, comment=self.text)
            if tell:
                self.tell(people, about, by=by)

    def change(self, *, by, text, seen=None):
        """
        This will put another text in its place, and tell those whom it mentions now and did not before. Raises
        NotAllowed, Stale, Refused, Gone.
        """
        with self._changing(by, seen) as (it, about):
            known = {person["id"] for person in it.mentioned}
            it.text = text
            if not it.changes():
                return
            people = it._mention(about)
            it.edited_at = timezone.now()
            about.note("comment_changed", by=by, changes=it.changes())
            it.version += 1
            it.save()
            it.tell([person for person in people if person.pk not in known], about, by=by)

    def delete_(self, *, by, seen=None):
        """This will delete the comment; the history keeps what it said. Raises NotAllowed, Stale, Refused, Gone."""
        with self._changing(by, seen) as (it, about):
            about.note("comment_deleted", by=by, content=it.text)
            it.delete()

    def _open(self, by):
        """This will give the record that it is about, locked. Raises Gone, NotAllowed."""
        about = locked(self.about)
        if not permissions.permits(by, "comment", about):
            raise NotAllowed()
        return about

    @contextmanager
    def _changing(self, by, seen):
        """This will give (comment, its record), both locked and fresh, to whoever may still change it."""
        with whole():
            about = self._open(by)
            it = locked(self)
            if it.by_id != by.pk:
                raise NotAllowed()
            if not it.may_be_changed_by(by):
                raise Refused(_("This was written more than an hour ago, so it can no longer be changed."))
            if seen is not None and int(seen) != it.version:
                raise Stale(it)
            it.remember()
            yield it, about

    def _mention(self, about):
        """
        This will note whom the text mentions, and give them. Raises Refused, at the text, for whom nobody knows, for
        namesakes, and for whoever cannot see the record: they would learn that there is one.
        """
        after = [self.text[at.end() :][: self.LONGEST_NAME] for at in self.AT.finditer(self.text)]
        if len(after) > self.MOST_MENTIONED:
            raise Refused(_("Mention at most %(count)d people at once.") % {"count": self.MOST_MENTIONED}, field="text")
        beginnings = {rest[:length] for rest in after for length in range(1, len(rest) + 1)}
        called = {}
        known = User.objects.filter(Q(name__in=beginnings) | Q(username__in=beginnings), is_active=True)
        for person in known if beginnings else ():
            for name in {person.name, person.username}:
                called.setdefault(name, []).append(person)
        found = {}
        for rest in after:
            names = [name for name in called if rest.startswith(name) and not _goes_on(name, rest[len(name) :])]
            if not names:
                raise Refused(_("Nobody is called “%(name)s”.") % {"name": rest.split()[0]}, field="text")
            name = max(names, key=len)
            if len(called[name]) > 1:
                raise Refused(
                    _("Several people are called %(name)s. Write the user name instead: %(names)s.")
                    % {"name": name, "names": ", ".join(f"@{person.username}" for person in called[name])},
                    field="text",
                )
            found[name] = called[name][0]
        for person in found.values():
            if not permissions.permits(person, "view", about):
                raise Refused(_("%(name)s cannot see this, so nobody was told.") % {"name": person}, field="text")
        self.mentioned = [{"id": person.pk, "label": name} for name, person in found.items()]
        return list(found.values())

    def tell(self, people, about, *, by, count=1):
        """This will tell people that it mentions them; where it stands on `count` records, of all by this one."""
        said = {"comment": self.text[:200], "place": f"comment-{self.pk}"}
        if count == 1:
            Message.tell(people, "mentioned", about, by=by, **said)
        else:
            Message.tell(people, "mentioned_many", about, by=by, count=count, **said)


def _goes_on(name, rest):
    """This will tell whether the last word of `name` goes on in `rest`: Ann is not mentioned by @Annette."""
    end, following = name[-1], rest[:1]
    return end.isascii() and following.isascii() and end.isalnum() and following.isalnum()
