"""What the ground takes in from files: people, by administrators."""

from django import forms
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models.functions import Lower
from django.forms import fields_for_model
from django.utils.text import capfirst
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _

from crm.cells import Several, YesNo
from crm.fields import TimeZoneField, narrow
from crm.models import Audit, Department, Role, User
from crm.organisation import Organisation
from crm.picklist_imports import PicklistImport  # noqa: F401  found by itself through this module
from crm.resources import Cell, Column, Few, Importing, by_identity, importable, in_every_language
from crm.verbs import NotAllowed, Refused


class UserName(Cell):
    """A user name; of a full name, one is made: Moses Frase becomes moses.frase."""

    def read(self, text):
        return super().read(user_name(text))


def user_name(text):
    """This will make a user name of a name, or leave a user name as it is."""
    words = narrow(text).split()
    return ".".join(words).lower() if len(words) > 1 else "".join(words)


class Email(Cell):
    """An e-mail address, and whose it is already."""

    def __init__(self, *args):
        super().__init__(*args)
        self.owners = {}  # {address in small letters: user name}

    def prepare(self, texts):
        wanted = {text.strip().lower() for text in texts} - self.owners.keys() - {""}
        people = User.objects.annotate(address=Lower("email")).filter(address__in=wanted)
        self.owners |= dict(people.values_list("address", "username"))


class Place(Few):
    """A department, by its key, by its name, or by that with those above it: Hebei › Baoding, Hebei/Baoding."""

    def __init__(self):
        there = {one.pk: one for one in Department.objects.all()}
        values = [(one.key, [one.name, *one.names.values(), *_paths(one, there)], one) for one in there.values()]
        super().__init__([value for value in values if value[-1].active], required=True)


def _paths(department, there):
    """This will list a department's name after that of the one above, of both, and so on, in every language."""
    above = [there[pk] for pk in department.ancestor_ids]
    for language, _name in settings.LANGUAGES:
        names = [one.names.get(language) or one.name for one in above]
        for length in range(2, len(names) + 1):
            yield from (sign.join(reversed(names[:length])) for sign in ("›", ">", "/"))


LANGUAGES = {"en": ["English", "英文", "英语"], "zh-hans": ["Chinese", "zh", "zh-cn", "中文", "汉语"]}


def languages():
    """This will read the language that somebody wants, by its code or its name in any language."""
    return Few(
        (code, [get_language_info(code)["name_local"], *in_every_language(name), *LANGUAGES.get(code, ())], code)
        for code, name in Organisation.current().offered
    )


@importable
class UserImport(Importing):
    """People who work here. They choose a password by the link of “Forgot your password?”."""

    key = "users"
    label = _("People")
    hint = _(
        "They can sign in once they have chosen a password, by the link that “Forgot password?” sends. "
        "Whoever has no e-mail address cannot sign in until they have one."
    )
    act = "administer"
    keys = {"username": _("User name")}
    aliases = {
        "name": "full name, sales agent, sales rep, salesperson, employee, employee name, person, colleague, "
        "姓名, 员工, 员工姓名, 人员, 人员姓名",
        "username": "login, login name, user, user id, 用户名, 账号, 账户, 登录名",
        "email": "mail, mail address, e-mail address, email address, 邮箱, 邮箱地址, 邮件, 电子邮箱, 电子邮件",
        "phone": "tel, telephone, telephone number, phone number, mobile, mobile phone, cell, cell phone, "
        "电话, 电话号码, 联系电话, 手机, 手机号, 手机号码",
        "title": "position, function, job, designation, 职务, 职位, 头衔",
        "department": "office, regional office, region, branch, branch office, team, "
        "部门, 所属部门, 机构, 所属机构, 分公司, 区域, 大区, 团队",
        "role": "role, permissions, 角色, 权限, 岗位",
        "time_zone": "timezone, zone, 时区",
        "active": "is active, enabled, status, account, 状态, 是否启用, 在职",
    }

    class Meta:
        model = User
        fields = ()

    def columns(self):
        typed = fields_for_model(User, ["name", "username", "title", "email", "phone"])
        cells = {name: (field, User._meta.get_field(name)) for name, field in typed.items()}
        self.email = Email(*cells["email"])
        return [
            Column("name", _("Name"), Cell(*cells["name"]), required=True),
            Column(
                "username",
                _("User name"),
                UserName(forms.CharField(required=False, max_length=150), cells["username"][1]),
            ),
            Column("title", _("Job title"), Cell(*cells["title"])),
            Column("email", _("E-mail"), self.email),
            Column("phone", _("Phone"), Cell(*cells["phone"])),
            Column("department", _("Department"), Place(), required=True),
            Column(
                "role", _("Roles"), Several.of_picklist(Role.objects.all(), required=True), required=True, usual="rep"
            ),
            Column("language", _("Language"), languages()),
            Column("time_zone", _("Time zone"), Cell(TimeZoneField(required=False, max_length=60))),
            Column("active", capfirst(User._meta.get_field("is_active").verbose_name), YesNo.in_use()),
        ]

    def build(self, values):
        username = values["username"] = values.get("username") or user_name(values["name"])
        person = super().build({name: value for name, value in values.items() if name not in ("role", "active")})
        person.password = make_password(None)
        person.given = values["role"]
        person.is_staff = any(role.key == "administrator" for role in person.given)
        person.is_active = values.get("active") is not False
        if person.email and self.email.owners.setdefault(person.email.lower(), username) != username:
            raise Refused(_("Another account has this address."), field="email")
        return person

    def identity(self, person):
        return person.username

    def existing(self, people):
        names = {person.username for person in people}
        found = User.objects.filter(username__in=names).select_related("department").prefetch_related("roles")
        return by_identity((person.username, person) for person in found)

    def preview(self, person):
        return {} if person.email else {str(_("Account")): str(_("No e-mail address, so no sign-in yet"))}

    def held(self, there, name):
        if name == "role":
            return sorted(there.roles.all(), key=lambda role: role.pk)
        return getattr(there, "is_active" if name == "active" else name)

    def compared(self, values, there):
        if "role" in values:
            values = values | {"role": sorted(values["role"], key=lambda role: role.pk)}
        return values

    @transaction.atomic
    def write(self, people):
        if not self.may(self.user):
            raise NotAllowed()
        User.objects.bulk_create(people)
        held = User.roles.through
        held.objects.bulk_create(held(user=person, role=role) for person in people for role in person.given)
        Audit.objects.bulk_create(
            Audit(
                kind="rights_changed",
                by=self.user,
                data={
                    "user": person.username,
                    "before": None,
                    "after": {
                        "active": person.is_active,
                        "department": person.department.key,
                        "roles": sorted(role.key for role in person.given),
                    },
                },
            )
            for person in people
        )
