"""
Views: what somebody asks of a list again and again, kept under a name.

A view holds conditions, columns and an order, and no record: whoever opens it sees what they may see anyway. It is its
owner's, who may share it with departments, which is asked when somebody reads it, or with everybody. Which views stand
as tabs above a list, and which one opens it, each person says for themselves.
"""

from contextlib import contextmanager

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Max, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm.models import Department
from crm.permissions import allows
from crm.prepared import prepared
from crm.verbs import NotAllowed, Refused, locked, whole

LONGEST = 60  # letters of a name
HELD = ("conditions", "text", "columns", "sort", "size", "layout")  # what a list is asked


class SavedViewQuerySet(models.QuerySet):
    def visible_to(self, user):
        """
        This will narrow to one's own, and to those that others share with everybody or with one's department; an
        administrator sees all that are shared.
        """
        return self.seen_by(user.pk, user.department_ids, allows(user, "administer"))

    def seen_by(self, user, departments, administers):
        """This will narrow so for a person of that key, in those departments (keys)."""
        if administers:
            return self.filter(Q(owner=user) | ~Q(shared=SavedView.Shared.NOBODY))
        with_departments = self.model.departments.through.objects.filter(department__in=departments).values("savedview")
        return self.filter(
            Q(owner=user)
            | Q(shared=SavedView.Shared.ALL)
            | Q(shared=SavedView.Shared.DEPARTMENTS, pk__in=with_departments)
        )

    def changeable_by(self, user):
        return self.filter(owner=user)

    def deletable_by(self, user):
        """This will narrow to one's own; for an administrator, to all that are shared as well."""
        return self.visible_to(user) if allows(user, "administer") else self.changeable_by(user)

    def of(self, listing):
        return self.filter(listing=listing)


class SavedView(models.Model):
    """What a list is asked, under a name."""

    class Shared(models.TextChoices):
        NOBODY = "private", _("Nobody, it is mine alone")
        DEPARTMENTS = "departments", _("Departments, and those below them")
        ALL = "all", _("Everybody")

    listing = models.CharField(max_length=40)  # the name of the list
    name = models.CharField(_("name"), max_length=LONGEST)
    conditions = models.JSONField(default=dict)  # a tree of crm.conditions
    text = models.CharField(max_length=200, blank=True)
    columns = models.JSONField(default=list)  # keys; none for the list's own
    sort = models.CharField(max_length=200, blank=True)  # as an address has it; "" for the list's own order
    size = models.PositiveSmallIntegerField(null=True)
    layout = models.CharField(max_length=10, default="list")

    shared = models.CharField(_("shared with"), max_length=11, choices=Shared, default=Shared.NOBODY)
    departments = models.ManyToManyField(Department, related_name="+", verbose_name=_("departments"))
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        verbose_name = _("view")
        verbose_name_plural = _("views")
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["owner", "listing", "name"], name="saved_view_name")]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return f"{reverse(self.listing)}?view={self.pk}"

    @property
    def is_shared(self):
        return self.shared != self.Shared.NOBODY

    # Verbs

    @whole()
    def create(self, *, by, departments=()):
        """This will keep the view as one of `by`, among their tabs. Raises Refused for a name that is taken."""
        self.owner = by
        self._keep()
        self.departments.set(departments)
        self.pin(by=by)

    def keep(self, *, by, **held):
        """This will hold what a list is asked now, `held`, by the names of HELD. Raises NotAllowed, Gone."""
        with self._own(by) as it:
            for name in HELD:
                setattr(it, name, held[name])
            it.save()

    def change(self, *, by, name, shared, departments=()):
        """This will give the view another name, or others to see it. Raises NotAllowed, Gone, Refused."""
        with self._own(by) as it:
            it.name, it.shared = name, shared
            it._keep()
            it.departments.set(departments)
        self.name, self.shared = name, shared

    @whole()
    def copy(self, *, by, name):
        """This will give a view of the same kind that is `by`'s own, and nobody else's. Raises NotAllowed, Refused."""
        it = self._seen(by)
        made = SavedView(listing=it.listing, name=name, **{held: getattr(it, held) for held in HELD})
        made.create(by=by)
        return made

    @whole()
    def delete_by(self, *, by):
        """This will delete the view, for all whom it was shared with too. Raises NotAllowed."""
        if not SavedView.objects.deletable_by(by).filter(pk=self.pk).exists():
            raise NotAllowed()
        self.delete()

    @whole()
    def pin(self, *, by):
        """This will put the view among `by`'s tabs, behind the others. Raises NotAllowed."""
        use = self._use(by)
        if not use.pinned:
            last = ViewUse.objects.filter(user=by, listing=self.listing).aggregate(last=Max("place"))["last"]
            use.pinned, use.place = True, (last or 0) + 1
            use.save()

    @whole()
    def unpin(self, *, by):
        """This will take the view out of `by`'s tabs. Raises NotAllowed."""
        use = self._use(by)
        use.pinned = False
        use.save()

    @whole()
    def make_default(self, *, by):
        """This will open the list with this view for `by`, and with no other any more. Raises NotAllowed."""
        use = self._use(by)
        mine = ViewUse.objects.filter(user=by, listing=self.listing)
        list(mine.select_for_update().order_by("pk"))  # so that of two at once the later one wins
        mine.filter(is_default=True).update(is_default=False)
        use.is_default = True
        use.save()

    @whole()
    def unmake_default(self, *, by):
        """This will open the list for `by` as for anybody again. Raises NotAllowed."""
        use = self._use(by)
        use.is_default = False
        use.save()

    def _seen(self, by):
        it = locked(self)
        if not SavedView.objects.visible_to(by).filter(pk=it.pk).exists():
            raise NotAllowed()
        return it

    @contextmanager
    def _own(self, by):
        """This will give the view locked and fresh, in a transaction, where it is `by`'s own."""
        with whole():
            it = locked(self)
            if it.owner_id != by.pk:
                raise NotAllowed()
            yield it

    def _keep(self):
        taken = Refused(_("You have a view of this name already."), field="name")
        if (
            SavedView.objects.filter(owner=self.owner, listing=self.listing, name=self.name)
            .exclude(pk=self.pk)
            .exists()
        ):
            raise taken
        try:
            with transaction.atomic():
                self.save()
        except IntegrityError as error:  # another one came between
            raise taken from error

    def _use(self, by):
        it = self._seen(by)
        return ViewUse.objects.get_or_create(user=by, view=it, defaults={"listing": it.listing})[0]


class ViewUse(models.Model):
    """How one person uses a view: as a tab, as what opens the list."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    view = models.ForeignKey(SavedView, models.CASCADE, related_name="uses")
    listing = models.CharField(max_length=40)  # that of the view
    pinned = models.BooleanField(default=False)
    place = models.PositiveIntegerField(default=0)  # among the tabs
    is_default = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "view"], name="view_use"),
            models.UniqueConstraint(
                fields=["user", "listing"], condition=Q(is_default=True), name="view_use_one_default"
            ),
        ]

    def __str__(self):
        return f"{self.user_id}: {self.view_id}"


def uses_of(user, listing):
    """This will list how somebody uses the views of a list, of those that they still see, in the order of tabs."""
    administers = allows(user, "administer")
    departments = [] if administers else user.department_ids
    return _uses(user.pk, *departments, listing=listing, administers=administers)


@prepared
def _uses(user, *departments, listing, administers):
    seen = SavedView.objects.seen_by(user, departments, administers).values("pk")
    mine = ViewUse.objects.filter(user=user, listing=listing).filter(Q(pinned=True) | Q(is_default=True))
    return mine.filter(view__in=seen).select_related("view").order_by("place", "id")
