"""The ways of approving: routes, what each of their versions says, and whose yes each step needs."""

import json
from collections import namedtuple

from django.apps import apps
from django.conf import settings
from django.db import models, transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy, pgettext

from crm import conditions
from crm.models import Department, Role, User
from crm.names import Named, localized
from crm.prepared import prepared
from crm.verbs import Refused

Vacancy = namedtuple("Vacancy", ["step", "department"])

# What a route may ask of a record, besides the level of its department.
ASKED = ("business_type", "amount")


def kinds():
    """This will list the models that approvals can be about: those that keep the promises named in approvals.models."""
    return [model for model in apps.get_models() if hasattr(model, "APPROVAL_CORE")]


class Act(models.TextChoices):
    REPORT = "report", _("Report")
    SIGN = "sign", _("Sign")
    TERMINATE = "terminate", _("Terminate")


class Route(Named):
    """A way of approving one act. Where several match, the one that comes first in order is taken."""

    act = models.CharField(_("act"), max_length=10, choices=Act)
    order = models.PositiveIntegerField(_("order"), default=0)
    active = models.BooleanField(_("active"), default=True, help_text=_("A retired route is no longer chosen."))

    class Meta:
        verbose_name = _("approval route")
        verbose_name_plural = _("approval routes")
        ordering = ["act", "order", "id"]

    @property
    def draft(self):
        """This will give the version that is being written, or None."""
        return self.versions.filter(published_at=None).first()

    @transaction.atomic
    def revise(self):
        """This will give the route's draft version: the one there is, or a new one that says what the newest says."""
        draft = self.draft
        if draft is not None:
            return draft
        last = self.versions.first()
        if last is None:
            return self.versions.create(number=1)
        draft = self.versions.create(number=last.number + 1, levels=last.levels, conditions=last.conditions)
        for step in last.steps.all():
            copy = draft.steps.create(order=step.order, may_finish=step.may_finish)
            copy.roles.set(step.roles.all())
            copy.people.set(step.people.all())
        return draft

    @transaction.atomic
    def name_instead(self, *, leaver, to, by):
        """
        This will publish a version that names `to` wherever the newest names `leaver`; what is published already stays
        as it is. Raises Refused where somebody is writing a version, or nobody could be asked.
        """
        route = Route.objects.select_for_update().get(pk=self.pk)
        if route.draft is not None:
            raise Refused(_("Somebody is writing a new version of this route. Change the name there, then publish it."))
        if not to.is_active:
            raise Refused(_("The account of %(name)s is closed.") % {"name": to})
        draft = route.revise()
        for step in draft.steps.filter(people=leaver):
            step.people.remove(leaver)
            step.people.add(to)
        draft.publish(by=by)


class RouteVersion(models.Model):
    """
    What a route says, from one publication to the next. A published version never changes: approvals that run from it
    go on by it, and a new round takes the newest.
    """

    IN_HAND = ngettext_lazy(
        "%(count)d approval route that names them", "%(count)d approval routes that name them", "count"
    )

    route = models.ForeignKey(Route, models.PROTECT, related_name="versions", verbose_name=_("approval route"))
    number = models.PositiveIntegerField(_("version"), editable=False)
    levels = models.JSONField(_("department levels"), default=list, blank=True)  # of crm.models.Level; empty means all
    conditions = models.JSONField(_("conditions"), default=dict, blank=True)  # see crm.conditions; empty means always
    published_at = models.DateTimeField(_("published"), null=True, editable=False)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        editable=False,
        related_name="+",
        verbose_name=_("published by"),
    )

    class Meta:
        verbose_name = _("route version")
        verbose_name_plural = _("route versions")
        ordering = ["route", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["route", "number"], name="route_version"),
            models.UniqueConstraint(fields=["route"], condition=Q(published_at=None), name="route_one_draft"),
        ]

    def __str__(self):
        return _("%(route)s, version %(number)s") % {"route": self.route, "number": self.number}

    # Questions

    @property
    def first_step(self):
        for step in _first_step(self.pk):
            step.version = self
            return step
        return None

    @classmethod
    def in_force(cls, *acts):
        """This will list the newest published version of each active route, in the order in which routes are tried."""
        newest = {}
        for version in _published(acts=acts or tuple(Act)):
            newest.setdefault(version.route_id, version)
        return list(newest.values())

    @classmethod
    def held_by(cls, person):
        """This will narrow to the versions in force a step of which names this very person."""
        return cls.objects.filter(pk__in=[version.pk for version in cls.in_force()], steps__people=person).distinct()

    @classmethod
    def newest_of(cls, route_id):
        """This will give the newest published version of one route, in force or retired."""
        return cls.objects.filter(route=route_id, published_at__isnull=False).order_by("-number").first()

    @classmethod
    def of(cls, about, act):
        """This will choose the version that an approval of `act` about this record runs from, or None."""
        return cls.first_for(about, cls.in_force(act))

    @staticmethod
    def first_for(about, versions):
        """This will choose the first of `versions` that fits the record, or None."""
        for version in versions:
            if version.covers(about.department) and conditions.holds(version.conditions, about):
                return version
        return None

    @classmethod
    def vacancies(cls):
        """
        This will list a Vacancy(step, department) for each step in force that nobody can decide for a department where
        people work: neither its own people nor those of any department above hold a role of it.
        """
        held = set(User.roles.through.objects.filter(user__is_active=True).values_list("role", "user__department"))
        steps = [step for version in cls.in_force() for step in version.steps.prefetch_related("roles", "people")]
        vacant = []
        for department in Department.objects.filter(users__is_active=True).distinct():
            for step in steps:
                roles = (role.pk for role in step.roles.all())
                places = {(role, above) for role in roles for above in department.ancestor_ids}
                named = any(person.is_active for person in step.people.all())
                if step.version.covers(department) and not named and held.isdisjoint(places):
                    vacant.append(Vacancy(step, department))
        return vacant

    def covers(self, department):
        return not self.levels or department.level in self.levels

    def problems(self):
        """This will list, in sentences, what keeps this version from working."""
        steps = list(self.steps.prefetch_related("roles", "people"))
        if not steps:
            return [_("A route needs at least one step.")]
        found = [
            _("Step %(order)s names neither a role nor a person.") % {"order": step.order}
            for step in steps
            if not step.roles.all() and not step.people.all()
        ]
        if not steps[-1].may_finish:
            found.append(_("The approver of the last step must be allowed to finish."))
        for kind in kinds():
            try:
                conditions.check(self.conditions, kind, ASKED)
            except conditions.ConditionError as error:
                found.append(error.message)
        return found

    # Verbs

    @transaction.atomic
    def publish(self, *, by):
        """This will make this draft the version that new rounds use. Raises Refused where it could not work."""
        draft = RouteVersion.objects.select_for_update(of=("self",)).get(pk=self.pk)
        if draft.published_at:
            raise Refused(_("This version is published already."))
        if problems := draft.problems():
            raise Refused(" ".join(str(problem) for problem in problems))
        self.published_at = draft.published_at = timezone.now()
        self.published_by = draft.published_by = by
        draft.save(update_fields=["published_at", "published_by"])


class Step(models.Model):
    """One step of a route: whose yes it needs, and whether that yes may be the last."""

    version = models.ForeignKey(RouteVersion, models.CASCADE, related_name="steps")
    order = models.PositiveSmallIntegerField(_("order"))
    roles = models.ManyToManyField(Role, blank=True, related_name="+", verbose_name=_("roles"))
    people = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="+", verbose_name=_("people"))
    may_finish = models.BooleanField(_("may finish"), default=False)

    class Meta:
        verbose_name = _("step")
        verbose_name_plural = _("steps")
        ordering = ["version", "order"]
        constraints = [models.UniqueConstraint(fields=["version", "order"], name="step_order")]

    _named = None  # (key of a role, or "" for a person; name) of each whom it asks for, as `with_names` reads it

    def __str__(self):
        return pgettext("between the members of a list", ", ").join([*self._role_names().values(), *self._people()])

    def _role_names(self):
        """This will give {key: name} of the roles that it asks for."""
        if self._named is None:
            return {role.key: str(role) for role in self.roles.all()}
        return {key: localized(json.loads(names)) for key, names in self._named if key}

    def _people(self):
        """This will list the names of the people whom it asks for."""
        if self._named is None:
            return [str(person) for person in self.people.all()]
        return [name for key, name in self._named if not key]

    @classmethod
    def with_names(cls, steps):
        """This will list `steps`, a queryset, so that each can be written: one query for the names of all."""
        steps = list(steps)
        label = Cast("role__names", models.CharField())
        roles = cls.roles.through.objects.annotate(key=F("role__key"), order=F("role"), label=label)
        people = cls.people.through.objects.annotate(key=Value(""), order=Value(0), label=F("user__name"))
        roles, people = (
            rows.filter(step__in=steps).values_list("step", "key", "order", "label") for rows in (roles, people)
        )
        # Roles stand first, in their own order, and people in that of their names.
        asked = sorted(roles.union(people, all=True), key=lambda row: (not row[1], row[2], row[3]))
        for step in steps:
            step._named = [(key, label) for pk, key, _order, label in asked if pk == step.pk]
        return steps

    @property
    def next(self):
        """This will give the step that escalating leads to, or None."""
        return self.version.steps.filter(order__gt=self.order).first()

    def asks_for(self, person, *, in_reach):
        """
        This will tell whether the step names this very person or, where they are `in_reach`, a role that they hold.
        """
        return (in_reach and self.roles.filter(users=person).exists()) or self.people.filter(pk=person.pk).exists()

    def may_decide_again(self, person, about, without):
        """This will tell whether `person`, who decided here before, may do so for the record as it is now."""
        in_reach = person.department is not None and about.department.within(person.department)
        return person.is_active and person.pk not in without and self.asks_for(person, in_reach=in_reach)

    def role_of(self, person):
        """This will name the role in which this person decides here; "" for somebody who is asked for by name."""
        held = person.role_keys
        return ", ".join(name for key, name in self._role_names().items() if key in held)

    def asks(self):
        """This will give what two steps have in common that ask for the same."""
        return {role.pk for role in self.roles.all()}, {person.pk for person in self.people.all()}

    def candidates(self, about, *, without=()):
        """
        This will list who may decide this step for the record: the people it names, and the active holders of its roles
        in the record's department or else in the nearest one above that has any. `without` are the ids
        of those who never are.
        """
        up = about.department.ancestor_ids
        named = _named_by(self.pk)
        people = _holders(self.pk, *without, *up, without=len(without))
        places = {person.department_id for person in people}
        nearest = next((pk for pk in up if pk in places), None)
        people = [person for person in people if person.department_id == nearest]
        if named:  # all in one order, which is the database's
            people = list(_able(without).filter(pk__in=[*named, *(person.pk for person in people)]))
        return people

    def nobody(self, about):
        """This will give the refusal that says whom the step lacks, and where."""
        return Refused(
            _("Nobody in %(department)s or above can decide this step: it needs %(roles)s. Ask an administrator.")
            % {"department": about.department, "roles": self},
            field="approver",
        )


# ── What is asked each time that somebody asks for an approval ───────────────────────────────────────────────────────


@prepared
def _published(*, acts):
    published = RouteVersion.objects.filter(route__act__in=acts, route__active=True, published_at__isnull=False)
    return published.select_related("route").order_by("route__order", "route_id", "-number")


@prepared
def _first_step(version):
    return Step.objects.filter(version=version).order_by("order")[:1]


@prepared
def _named_by(step):
    return Step.people.through.objects.filter(step=step).values_list("user", flat=True)


def _able(without):
    return User.objects.filter(is_active=True).exclude(pk__in=without).select_related("department")


@prepared
def _holders(step, *keys, without):
    """Of the keys, so many are people who never decide; the rest are departments."""
    roles = Step.roles.through.objects.filter(step=step).values("role")
    holders = User.roles.through.objects.filter(role__in=roles).values("user")
    return _able(keys[:without]).filter(pk__in=holders, department__in=keys[without:])
