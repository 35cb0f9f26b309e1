"""Calls, visits, meetings: planned, done, and what comes next."""

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from crm import kinds, permissions
from crm.functions import ascii_lower
from crm.kinds import NOBODY
from crm.querysets import Guarded
from crm.verbs import Gone, NotAllowed, Refused, acting, enter_as, locked, whole
from customers.models import Contact, Customer
from notices.files import Filed
from notices.history import Event, Recorded, describe
from notices.recycle import Recycled
from opportunities.follow_up_conditions import HasNext, IsDone, IsOverdue, OfDepartment, OfOpportunity, within
from opportunities.picklists import FollowUpKind


class FollowUpQuerySet(Guarded):
    def mentions(self, word):
        """
        This will give the condition that what was written, or the name of what it is about, holds `word`: who sees a
        follow-up sees both.
        """
        found = Q(content__ascii_lower__contains=ascii_lower(word))
        for about in ("opportunity", "customer"):
            found |= Q(**{f"{about}__name__ascii_lower__contains": ascii_lower(word)})
            if word.isascii() and len(word) > 2:
                found |= Q(**{f"{about}__name_key__contains": word.casefold()})
        return found

    def branches(self, user, verb="view"):
        """
        This will give `visible_to(user)` as disjoint conditions: those about the opportunities that lists find first,
        by the opportunity's own columns, so that a list in order of time is walked and each row's opportunity looked
        at; those about the other opportunities seen; and those about customers alone. Nothing but sight is asked so.
        """
        if verb != "view":
            return [Q(pk__in=self.model.objects.permitted(user, verb).order_by().values("pk"))]
        if self._because(user, "view")[0] is None:
            return [Q()]
        opportunities = self.model.opportunity.field.related_model.objects
        first, *others = opportunities.branches(user) or [NOBODY]
        others = [Q(opportunity__in=opportunities.filter(other).order_by().values("pk")) for other in others]
        customers = Customer.objects.visible_to(user).order_by().values("pk")
        # Said in so many words: what "is not a draft" is met by no opportunity, too.
        first = within("opportunity", first) & Q(opportunity__isnull=False)
        return [first, *others, Q(opportunity=None, customer__in=customers)]

    def keys(self, reason, user):
        """
        This will look among the rows of this queryset only, so that one record's follow-ups do not ask for
        everybody's.
        """
        if reason == permissions.THROUGH:
            opportunities = self.model.opportunity.field.related_model.objects.visible_to(user)
            customers = Customer.objects.visible_to(user)
            ours = self.order_by()
            return [
                ours.filter(opportunity__in=opportunities).values("pk"),
                ours.filter(opportunity=None, customer__in=customers).values("pk"),
            ]
        return super().keys(reason, user)

    def permitted(self, user, verb):
        """
        This will narrow as the table says, and always to what is seen: who wrote it may have lost sight of what it
        is about.
        """
        seen = super().permitted(user, "view")
        return seen if verb == "view" else super(FollowUpQuerySet, seen).permitted(user, verb)

    def with_about(self):
        return self.select_related("opportunity__customer", "customer", "kind", "owner", "contact")

    def planned(self):
        return self.filter(done_at=None)

    def whose(self, owner, among=None):
        """This will list the keys of those that `owner` is in charge of; where `among` lists keys, of those alone."""
        ours = self.filter(owner=owner) if among is None else self.filter(owner=owner, pk__in=among)
        return list(ours.order_by("pk").values_list("pk", flat=True))

    def done(self):
        return self.filter(done_at__isnull=False)

    def latest_first(self):
        """This will order planned ones on top, the soonest first, then the done ones, the latest first."""
        return self.order_by(F("done_at").desc(nulls_first=True), "at", "-id")

    def due_for(self, user, until):
        """This will narrow to what this person planned for a moment before `until` and still sees, the oldest first."""
        return self.planned().filter(owner=user, at__lt=until).visible_to(user).order_by("at", "id")

    def shown_to(self, user):
        """
        This will give what a list of entries shows to the reader, in its order and without a query per row:
        `contact_seen` says whether they may see the person it was with, `changeable` whether it is theirs to
        change.
        """
        return (
            self.visible_to(user)
            .latest_first()
            .select_related("kind", "owner", "contact", "opportunity", "next")
            .annotate(
                contact_seen=Exists(Contact.objects.visible_to(user).filter(pk=OuterRef("contact"))),
                changeable=Exists(Guarded(self.model).permitted(user, "change").filter(pk=OuterRef("pk"))),
            )
        )


class FollowUp(Filed, Recorded):
    """
    A call, a visit, a meeting … with a customer, planned or done; about an opportunity, or about the customer
    alone.
    """

    guard = "follow_up"
    IN_HAND = ngettext_lazy("%(count)d planned follow-up", "%(count)d planned follow-ups", "count")
    TRACKED = ("kind", "content", "at", "done_at", "contact", "owner")
    NAMED_WITHIN = {"contact": "customer"}  # see Recycled.restore
    CONDITIONS = kinds.Fields(
        kind=kinds.Pick(),
        owner=kinds.Person(),
        at=kinds.Moment(),
        done=IsDone(_("Done")),
        overdue=IsOverdue(_("Overdue")),
        next=HasNext(_("Next one planned")),
        opportunity=OfOpportunity(),
        customer=kinds.Record(),
        department=OfDepartment(),
        content=kinds.Text(),
        created_at=kinds.Moment(_("Created")),
    )

    opportunity = models.ForeignKey(
        "opportunities.Opportunity",
        models.CASCADE,
        null=True,
        blank=True,
        related_name="follow_ups",
        db_index=False,
        verbose_name=_("opportunity"),
    )
    customer = models.ForeignKey(
        Customer,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="follow_ups",
        db_index=False,
        verbose_name=_("customer"),
    )
    contact = models.ForeignKey(
        Contact, models.SET_NULL, null=True, blank=True, related_name="follow_ups", verbose_name=_("with")
    )
    kind = models.ForeignKey(FollowUpKind, models.PROTECT, related_name="+", db_index=False, verbose_name=_("type"))
    content = models.TextField(_("content"))
    at = models.DateTimeField(_("when"))
    done_at = models.DateTimeField(null=True, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="follow_ups", db_index=False, verbose_name=_("person")
    )
    planned_in = models.OneToOneField("self", models.SET_NULL, null=True, editable=False, related_name="next")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False, db_index=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = FollowUpQuerySet.as_manager()

    class Meta:
        verbose_name = _("follow-up record")
        verbose_name_plural = _("follow-up records")
        indexes = [
            models.Index(fields=["opportunity", "at"], name="follow_up_opportunity"),
            models.Index(fields=["customer", "at"], name="follow_up_customer"),
            models.Index(fields=["owner", "at"], name="follow_up_due", condition=Q(done_at=None)),
            models.Index(fields=["at", "id"], name="follow_up_at"),
            models.Index(fields=["at", "id"], name="follow_up_planned", condition=Q(done_at=None)),
            models.Index(fields=["owner", "at", "id"], name="follow_up_person"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(opportunity__isnull=False) | Q(customer__isnull=False), name="follow_up_about_something"
            )
        ]

    def __str__(self):
        return self.content[:60]

    @property
    def about(self):
        return self.opportunity or self.customer

    @property
    def files_subject(self):
        return self.about

    @classmethod
    def held_by(cls, person):
        return cls.objects.planned().filter(owner=person)

    @property
    def is_late(self):
        return self.done_at is None and self.at < timezone.now()

    @whole()
    def add(self, *, by, next_at=None, next_content=""):
        """
        This will add the follow-up: done where its moment has come, planned where it lies ahead; and plan the next
        one where `next_at` is given. Raises NotAllowed, Refused, Gone.
        """
        about = locked(self.about)
        if not permissions.permits(by, "add_follow_up", about):
            raise NotAllowed()
        self.owner = by
        self.created_by = by
        if self.opportunity_id is not None:
            self.opportunity, self.customer_id = about, about.customer_id
        self._check_contact()
        self.done_at = self.at if self.at <= timezone.now() else None
        self.save(force_insert=True)
        kind = "follow_up_added" if self.done_at else "follow_up_planned"
        about.note(kind, by=by, follow_up=self.pk, type=describe(self.kind))
        self._plan_next(by, next_at, next_content)
        self._touch()

    @classmethod
    @whole()
    def add_all(cls, follow_ups, *, by, as_was=False):
        """
        This will add all of `follow_ups`, which are about opportunities, each as `add` does without a next one, or
        none. With `as_was`, that of `enter_as`, each is that of its `owner`. Raises as both, and Refused where what is
        planned would wait for somebody who does not see it.
        """
        wanted = {follow_up.opportunity_id for follow_up in follow_ups}
        opportunities = cls.opportunity.field.related_model.objects
        found = {one.pk: one for one in opportunities.filter(pk__in=wanted).order_by("pk").select_for_update()}
        if found.keys() != wanted:
            raise Gone()
        if opportunities.permitted(by, "add_follow_up").filter(pk__in=wanted).count() != len(wanted):
            raise NotAllowed()
        enter_as(follow_ups, by=by, as_was=as_was)
        now = timezone.now()
        for one in follow_ups:
            if not as_was or one.owner_id is None:
                one.owner = by
            one.opportunity = found[one.opportunity_id]
            one.customer_id = one.opportunity.customer_id
            one._check_contact()
            one.done_at = one.at if one.at <= now else None
            if one.done_at is None and one.owner_id != by.pk:
                one.check_owner()
        cls.objects.bulk_create(follow_ups)
        kinds = {True: "follow_up_planned", False: "follow_up_added"}
        for one in follow_ups:
            event = one.opportunity.event(kinds[one.done_at is None], by=by, follow_up=one.pk, type=describe(one.kind))
            one.told_along = [event]  # see crm.journal
        Event.objects.bulk_create(event for one in follow_ups for event in one.told_along)
        cls._touch_all(wanted)

    @whole()
    def change(self, *, by, seen=None, next_at=None, next_content="", done=False, **values):
        """
        This will change the follow-up, tick it off where `done`, and plan the next one where `next_at` is given. Raises
        NotAllowed, Stale, Refused, Gone.
        """
        about = locked(self.about)  # before the follow-up, as a transfer does
        with acting(by, "change", self, seen=seen) as it:
            if done and it.done_at is not None:
                raise Refused(_("This was ticked off already."))
            if done:
                it.at = min(it.at, timezone.now())
            for name, value in values.items():
                setattr(it, name, value)
            changes = it.changes()
            if "contact" in changes:
                it._check_contact()
            if done or it.done_at is not None:
                if it.at > timezone.now():
                    raise Refused(_("What is done cannot lie ahead. Write when it was."), field="at")
                it.done_at = it.at
            elif "at" in changes and it.at <= timezone.now():
                raise Refused(
                    _("What is planned lies ahead. Choose a later moment, or tick it off with Done."), field="at"
                )
            if changes := it.changes():
                changes.pop("contact", None)  # who sees the history need not see the customer's people
                it.version += 1
                it.save()
                kind = "follow_up_done" if done else "follow_up_changed"
                about.note(kind, by=by, changes=changes, follow_up=it.pk, type=describe(it.kind))
            it._plan_next(by, next_at, next_content)
            it._touch()

    @whole()
    def hand_over(self, *, to, by):
        """
        This will make the planned follow-up `to`'s or, where they do not see what it is about, that of whoever is in
        charge there; it gives who. Raises NotAllowed, Refused, Gone.
        """
        about = locked(self.about)
        with acting(by, "change", self) as it:
            if it.done_at is not None:
                raise Refused(_("This was ticked off already."))
            receiver = to if permissions.permits(to, "view", about) else about.owner
            if receiver == it.owner or not receiver.is_active:
                raise Refused(_("%(name)s does not see what it is about.") % {"name": to})
            it.owner = receiver
            changes = it.changes()
            it.version += 1
            it.save()
            told = {"changes": changes, "to": describe(receiver), "follow_up": it.pk, "type": describe(it.kind)}
            about.note("follow_up_handed_over", by=by, **told)
        return receiver

    @whole()
    def delete_(self, *, by, seen=None):
        """
        This will put the follow-up into the recycle bin; the record's history keeps what it said. Raises NotAllowed,
        Stale, Gone.
        """
        about = locked(self.about)
        with acting(by, "delete", self, seen=seen) as it:
            about.note("follow_up_deleted", by=by, type=describe(it.kind), at=describe(it.at), content=it.content)
            Recycled.put(it, by=by)
            it._touch()

    @property
    def hangs_on(self):
        return self.about

    def put_back(self, *, by):
        """This will have the follow-up, come back from the recycle bin, name the customer that its record has now."""
        if self.opportunity_id is not None:
            self.customer_id = self.opportunity.customer_id
        if self.contact is not None and self.contact.customer_id != self.customer_id:
            self.contact = None
        about = self.about
        if self.done_at is None and not (self.owner.is_active and permissions.permits(self.owner, "view", about)):
            self.owner = about.owner  # as a transfer would have had it, had it been there
        self.version += 1
        self.save()
        told = {"type": describe(self.kind), "at": describe(self.at), "content": self.content}
        about.note("follow_up_restored", by=by, follow_up=self.pk, **told)
        self._touch()

    def check_owner(self):
        """This will raise Refused where its person is nobody whom it may wait for."""
        if not (self.owner.is_active and permissions.permits(self.owner, "view", self.about)):
            raise Refused(_("%(name)s does not see what it is about.") % {"name": self.owner}, field="owner")

    def _check_contact(self):
        if self.contact is not None and self.contact.customer_id != self.customer_id:
            raise Refused(_("This person belongs to another customer."), field="contact")

    def _plan_next(self, by, at, content):
        if at is None:
            return
        if at <= timezone.now():
            raise Refused(_("The next follow-up lies ahead: choose a later moment."), field="next_at")
        following = FollowUp(
            opportunity_id=self.opportunity_id,
            customer_id=self.customer_id,
            contact_id=self.contact_id,
            kind=self.kind,
            content=content or self.content,
            at=at,
            owner=by,
            created_by=by,
            planned_in=None if FollowUp.objects.filter(planned_in=self).exists() else self,
        )
        following.save(force_insert=True)
        self.about.note("follow_up_planned", by=by, follow_up=following.pk, type=describe(following.kind))

    @classmethod
    def hold_owners_of(cls, pks):
        about = cls.objects.filter(pk__in=pks).order_by().values("opportunity")
        opportunities = cls.opportunity.field.related_model._base_manager
        list(opportunities.filter(pk__in=about).order_by("pk").select_for_update().values_list("pk"))

    @classmethod
    def taken_back(cls, records):
        cls._touch_all({record.opportunity_id for record in records} - {None})

    @classmethod
    def _touch_all(cls, opportunities):
        """This will do what `_touch` does, for the opportunities of these keys."""
        others = cls.objects.filter(opportunity=OuterRef("pk")).order_by().values("opportunity")
        cls.opportunity.field.related_model._base_manager.filter(pk__in=opportunities).update(
            last_follow_up_at=others.done().annotate(last=models.Max("at")).values("last"),
            next_follow_up_at=others.planned().annotate(next=models.Min("at")).values("next"),
        )

    def _touch(self):
        """This will keep the opportunity's last and next follow-up true; they are no change of the record itself."""
        if self.opportunity_id is None:
            return
        others = FollowUp.objects.filter(opportunity=self.opportunity_id)
        type(self.opportunity)._base_manager.filter(pk=self.opportunity_id).update(
            last_follow_up_at=others.done().aggregate(at=models.Max("at"))["at"],
            next_follow_up_at=others.planned().aggregate(at=models.Min("at"))["at"],
        )
