"""Who works here: departments, roles, users; the audit of what they tried; the counters that number records."""

from django.apps import apps
from django.contrib.auth.models import AbstractUser, Group, UserManager
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models.functions import Concat, Lower
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm.functions import Joined
from crm.logs import came_from
from crm.names import Named


class Level(models.IntegerChoices):
    """How high a department stands; levels only grow downwards, and a level may be left out."""

    HEAD_OFFICE = 10, _("Head office")
    PROVINCE = 20, _("Province")
    CITY = 30, _("City")
    TEAM = 40, _("Team")


class AtDepartment(models.Model):
    """
    The department that something belongs to, with the ancestors that a scope asks for.

    `province` and `city` are the lowest department on the way up, itself included, whose level is not below province or
    city. So a subtree is an equality on one column, which an index can serve in order, and no column is ever empty.
    """

    department = models.ForeignKey(
        "crm.Department", models.PROTECT, related_name="+", db_index=False, verbose_name=_("department")
    )
    province = models.ForeignKey("crm.Department", models.PROTECT, related_name="+", db_index=False, editable=False)
    city = models.ForeignKey("crm.Department", models.PROTECT, related_name="+", db_index=False, editable=False)

    class Meta:
        abstract = True

    def place(self, department):
        """This will put the record into `department` and under its ancestors."""
        self.department = department
        self.province_id = department.province_id
        self.city_id = department.city_id


class Placed(AtDepartment):
    """What moves along when its department moves in the tree, unlike a fact of the past such as a Signing."""

    class Meta:
        abstract = True

    @staticmethod
    def models():
        """This will list every model whose ancestor columns follow the tree."""
        return [model for model in apps.get_models() if issubclass(model, Placed)]


class Department(Named):
    """A node of the organisation. Its group is what guardian's rows name when a record is shared with a department."""

    parent = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="children", verbose_name=_("part of")
    )
    level = models.PositiveSmallIntegerField(_("level"), choices=Level.choices)
    active = models.BooleanField(_("active"), default=True)

    path = models.CharField(max_length=200, editable=False, db_index=True)  # "/1/4/9/", itself included
    province = models.ForeignKey("self", models.PROTECT, null=True, editable=False, related_name="+")
    city = models.ForeignKey("self", models.PROTECT, null=True, editable=False, related_name="+")
    group = models.OneToOneField(Group, models.PROTECT, editable=False, related_name="department")

    class Meta:
        verbose_name = _("department")
        verbose_name_plural = _("departments")
        ordering = ["path"]
        constraints = [
            models.UniqueConstraint("level", condition=models.Q(parent=None), name="department_one_root"),
            models.CheckConstraint(
                condition=models.Q(parent=None, level=Level.HEAD_OFFICE)
                | models.Q(parent__isnull=False, level__gt=Level.HEAD_OFFICE),
                name="department_root_is_head_office",
            ),
        ]

    def clean(self):
        if self.parent is None and self.level != Level.HEAD_OFFICE:
            raise ValidationError({"parent": _("Only the head office is part of nothing.")})
        if self.parent is not None and self.level is not None and self.level <= self.parent.level:
            raise ValidationError({"level": _("A department stands below the one it is part of.")})
        if self.pk and self.parent and self.parent.path.startswith(self.path):
            raise ValidationError({"parent": _("A department cannot be part of itself.")})
        if self.pk and self.level and self.children.filter(level__lte=self.level).exists():
            raise ValidationError({"level": _("A department stands above those that are part of it.")})

    @transaction.atomic
    def save(self, *args, **kwargs):
        """This will keep path, ancestor columns and group true, for this department and, when it moved, all below."""
        if self.group_id is None:
            self.group = Group.objects.create(name=f"department:{self.key}")
        super().save(*args, **kwargs)
        Department.objects.get(pk=self.pk)._plant(Department.objects.get(pk=self.parent_id) if self.parent_id else None)
        self.refresh_from_db()

    def _plant(self, parent):
        """
        This will work out this department's path and ancestors below `parent`; a change goes on to children
        and records.
        """
        was = (self.path, self.province_id, self.city_id)
        self.path = f"{parent.path if parent else '/'}{self.pk}/"
        self.province_id = self.pk if self.level <= Level.PROVINCE else parent.province_id
        self.city_id = self.pk if self.level <= Level.CITY else parent.city_id
        if was == (self.path, self.province_id, self.city_id):
            return
        Department.objects.filter(pk=self.pk).update(path=self.path, province=self.province_id, city=self.city_id)
        for model in Placed.models():
            model._base_manager.filter(department=self).update(province=self.province_id, city=self.city_id)
        for child in self.children.all():
            child._plant(self)

    @property
    def ancestor_ids(self):
        """This will list the keys of this department and of those above it, nearest first."""
        return [int(pk) for pk in reversed(self.path.strip("/").split("/"))]

    @property
    def reach(self):
        """
        This will give {column: key} as the records of this department and of those below it have it; {} means
        all.
        """
        if self.level == Level.HEAD_OFFICE:
            return {}
        return {{Level.PROVINCE: "province", Level.CITY: "city"}.get(self.level, "department"): self.pk}

    def within(self, other):
        """This will tell whether this department is `other` or below it."""
        return self.path.startswith(other.path)


class Role(Named):
    """
    What somebody is. `key` is what the permission table and the approval routes name; `scope` is how far this role
    sees.
    """

    class Scope(models.TextChoices):
        OWN = "own", _("Own records")
        BELOW = "below", _("Department and below")
        ALL = "all", _("Everything")

    scope = models.CharField(_("data scope"), max_length=5, choices=Scope, default=Scope.OWN)

    class Meta:
        verbose_name = _("role")
        verbose_name_plural = _("roles")
        ordering = ["id"]


class UserQuerySet(models.QuerySet):
    def with_roles(self):
        """This will bring along what the roles held permit, which each page asks for, without a query for them."""
        held = Role.objects.filter(users=models.OuterRef("pk"))
        return self.annotate(roles_held=Joined(held, Concat("key", models.Value(":"), "scope")))

    def with_two_step(self):
        """This will bring along, as `two_step`, whether signing in takes a second step."""
        factors = apps.get_model("mfa", "Authenticator").objects.filter(user=models.OuterRef("pk"))
        return self.annotate(two_step=models.Exists(factors.filter(type__in=["totp", "webauthn"])))

    def with_settings(self):
        """This will bring along which version of the organisation's settings holds, without a query for it."""
        versions = Organisation.objects.annotate(both=models.F("version") + models.F("fields_version"))
        return self.annotate(settings_version=models.Subquery(versions.values("both")[:1]))

    def visible_to(self, user):
        """Everybody who works here is known to everybody who signs in."""
        return self if user.is_active else self.none()


class Users(UserManager.from_queryset(UserQuerySet)):
    """Django's manager, with the question above."""

    use_in_migrations = False


class User(AbstractUser):
    """A person who signs in."""

    class Theme(models.TextChoices):
        AUTO = "auto", _("As the system")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    first_name = None
    last_name = None
    name = models.CharField(pgettext_lazy("of a person", "name"), max_length=80)
    title = models.CharField(_("job title"), max_length=100, blank=True)
    phone = models.CharField(
        _("phone"),
        max_length=30,
        blank=True,
        validators=[RegexValidator(r"^[0-9+() /.\-]*$", _("Write digits, + and spaces."))],
    )
    department = models.ForeignKey(
        Department, models.PROTECT, null=True, blank=True, related_name="users", verbose_name=_("department")
    )
    roles = models.ManyToManyField(Role, blank=True, related_name="users", verbose_name=_("roles"))
    language = models.CharField(_("language"), max_length=10, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=60, blank=True)
    theme = models.CharField(_("appearance"), max_length=5, choices=Theme, default=Theme.AUTO)
    notifications = models.JSONField(default=dict, blank=True, editable=False)  # see notices.preferences
    photo_digest = models.CharField(max_length=16, blank=True, editable=False)  # of the Photo; "" where there is none
    email_wanted = models.EmailField(
        blank=True, editable=False
    )  # in place of `email`, once its reader has confirmed it
    previous_sign_in_at = models.DateTimeField(_("previous sign-in"), null=True, editable=False)
    demo = models.BooleanField(
        default=False, editable=False
    )  # made by the demo company; production refuses to start with one

    objects = Users()

    REQUIRED_FIELDS = ["email", "name"]

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        ordering = ["name", "id"]
        constraints = [
            # A link to a new password goes to whoever reads an address.
            models.UniqueConstraint(
                Lower("email"),
                name="user_email_once",
                condition=~models.Q(email=""),
                violation_error_message=_("Another account has this address."),
            )
        ]

    def __str__(self):
        return self.name or self.username

    @property
    def department_ids(self):
        """The keys of the department that somebody is in and of those above it, which what is given to one reaches."""
        return self.department.ancestor_ids if self.department_id else []

    @classmethod
    def take_back(cls, entries, *, by):
        """
        This will delete the people that `entries` of crm.journal say were entered, and give {key: why} of those that
        stay: who has signed in, whom anything names, and all where `by` does not administer.
        """
        keys = {entry.about_id for entry in entries}
        found = {one.pk: one for one in cls.objects.filter(pk__in=keys).order_by("pk").select_for_update()}
        stays = {pk: _("It was deleted since.") for pk in keys - found.keys()}
        if not by.is_any("administrator"):
            return stays | dict.fromkeys(found, _("You may not do this."))
        stays |= {pk: _("They have signed in since.") for pk, one in found.items() if one.last_login}
        for pk in found.keys() - stays.keys():
            if Audit.objects.filter(kind="rights_changed", data__user=found[pk].username).count() > 1:
                stays[pk] = _("It was changed since.")
        clean = found.keys() - stays.keys()
        besides = [cls.roles.through, cls.user_permissions.through, cls.groups.through]
        stays |= {pk: _("Something was added to it since.") for pk in named(cls, clean, besides=besides)}
        for pk in clean - stays.keys():
            Audit.note(
                "rights_changed", by=by, user=found[pk].username, before={"active": found[pk].is_active}, after=None
            )
        cls.objects.filter(pk__in=clean - stays.keys()).delete()
        return stays

    def get_full_name(self):
        return str(self)

    def get_short_name(self):
        return str(self)

    @cached_property
    def _roles(self):
        """This will list the roles held, of which key and scope are known."""
        if "roles_held" in self.__dict__:  # by `with_roles`
            held = [one.split(":") for one in (self.roles_held or "").split(",") if one]
            return [Role(key=key, scope=scope) for key, scope in held]
        return list(self.roles.all())

    @property
    def role_keys(self):
        """This will give the keys of the roles held; a superuser is an administrator."""
        return {role.key for role in self._roles} | ({"administrator"} if self.is_superuser else set())

    @property
    def scope(self):
        """This will give the widest data scope of the roles held: "own", "below" or "all"."""
        scopes = {role.scope for role in self._roles}
        if self.is_superuser or Role.Scope.ALL in scopes:
            return Role.Scope.ALL
        return Role.Scope.BELOW if Role.Scope.BELOW in scopes and self.department_id else Role.Scope.OWN

    def forget_roles(self):
        """This will make the roles be asked for again, after they were changed."""
        for name in ("_roles", "roles_held"):
            self.__dict__.pop(name, None)

    def is_any(self, *role_keys):
        return not self.role_keys.isdisjoint(role_keys)

    def refresh_from_db(self, *args, **kwargs):
        self.forget_roles()
        super().refresh_from_db(*args, **kwargs)


class AuditQuerySet(models.QuerySet):
    """Only grows: no page and no code path edits or deletes what was written."""

    def update(self, **kwargs):
        raise TypeError("Audit rows are never changed.")

    def delete(self):
        raise TypeError("Audit rows are never deleted.")


class Audit(models.Model):
    """
    One row per sign-in, failure, refusal, export or change of rights: who tried what, from where. What verbs do to
    records stands in their history. The database itself keeps the rows as they are: see crm.only_grows.
    """

    kind = models.SlugField(_("kind"), max_length=40)
    by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+", verbose_name=_("who"))
    at = models.DateTimeField(_("when"), default=timezone.now)
    address = models.CharField(_("address"), max_length=60, blank=True)
    data = models.JSONField(_("details"), default=dict)

    objects = AuditQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["kind", "-id"], name="audit_kind"),
            models.Index(fields=["by", "-id"], name="audit_by"),
            models.Index(fields=["at"], name="audit_at"),
        ]

    def __str__(self):
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"

    @classmethod
    def note(cls, kind, *, by=None, address="", **data):
        """This will write one audit row; `data` is JSON. The address is that of the request, unless it is given."""
        return cls.objects.create(kind=kind, by=by, address=address or came_from.get(), data=data)


class Photo(models.Model):
    """The picture of a person: a PNG that was drawn anew. A row of its own, since each page reads that of the user."""

    user = models.OneToOneField(User, models.CASCADE, primary_key=True, related_name="photo")
    png = models.BinaryField()

    def __str__(self):
        return str(self.user)


class NumberSequence(models.Model):
    """The last number given out per kind and year. Numbers are never used twice; gaps are allowed."""

    kind = models.CharField(max_length=10)
    year = models.PositiveSmallIntegerField()
    last = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "year"], name="number_sequence")]

    def __str__(self):
        return f"{self.kind}{self.year}-{self.last:06d}"

    @classmethod
    def take(cls, kind, year, count=1):
        """
        This will give out `count` numbers of `kind` for `year`, e.g. ["OP2026-000123"]; call it inside a
        transaction.
        """
        sequence = cls.objects.filter(kind=kind, year=year)
        if not sequence.update(last=models.F("last") + count):
            cls.objects.get_or_create(kind=kind, year=year)
            sequence.update(last=models.F("last") + count)
        last = sequence.values_list("last", flat=True).get()
        return [f"{kind}{year}-{number:06d}" for number in range(last - count + 1, last + 1)]


# Models of this app in modules of their own
from crm.bulk import BulkRow, BulkRun  # noqa: E402, F401  needs User and Audit above
from crm.custom_fields import CustomChoice, CustomField, CustomSection  # noqa: E402, F401  needs User above
from crm.custom_values import CustomValue  # noqa: E402, F401  needs User above
from crm.exports import ExportRun  # noqa: E402, F401  needs User and Audit above
from crm.importing import ImportRun, RefusedCell, SavedMatching  # noqa: E402, F401  needs User and Audit above
from crm.jobs import Job  # noqa: E402, F401  needs User above
from crm.journal import Batch, Entry, named  # noqa: E402, F401  needs User above
from crm.once import Once  # noqa: E402, F401  needs User above
from crm.organisation import Organisation  # noqa: E402  needs Audit above
from crm.pulse import WorkerPulse  # noqa: E402, F401  beside those
from crm.recent import Opened  # noqa: E402, F401  needs User above
from crm.saved_views import SavedView, ViewUse  # noqa: E402, F401  needs Department above
from crm.schedule import ScheduledRun  # noqa: E402, F401  beside those
