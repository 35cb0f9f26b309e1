"""What the ground takes in from files: people, by administrators."""

from django import forms
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models.functions import Lower
from django.forms import fields_for_model
from django.utils.translation import gettext_lazy as _

from crm.fields import narrow
from crm.models import Audit, Department, Role, User
from crm.picklist_imports import PicklistImport  # noqa: F401  found by itself through this module
from crm.resources import Cell, Column, Few, Importing, by_identity, importable
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


@importable
class UserImport(Importing):
    """People who work here. They choose a password by the link of “Forgot your password?”."""

    key = "users"
    label = _("People")
    hint = _("They can sign in once they have chosen a password, by the link that “Forgot password?” sends.")
    url_name = "admin:crm_user_changelist"
    act = "administer"
    keys = {"username": _("User name")}
    aliases = {
        "name": "full name, sales agent, employee, 姓名, 员工, 人员",
        "username": "login, user, 用户名, 账号, 登录名",
        "email": "mail, e-mail address, email address, 邮箱, 电子邮件",
        "phone": "telephone, mobile, 电话, 手机",
        "department": "office, team, 部门, 机构",
        "role": "roles, 角色, 岗位",
    }

    class Meta:
        model = User
        fields = ()

    def columns(self):
        typed = fields_for_model(User, ["name", "username", "email", "phone"])
        cells = {name: (field, User._meta.get_field(name)) for name, field in typed.items()}
        departments = Few.of_picklist(Department.objects.filter(active=True), required=True)
        self.email = Email(*cells["email"])
        return [
            Column("name", _("Name"), Cell(*cells["name"]), required=True),
            Column(
                "username",
                _("User name"),
                UserName(forms.CharField(required=False, max_length=150), cells["username"][1]),
            ),
            Column("email", _("E-mail"), self.email),
            Column("phone", _("Phone"), Cell(*cells["phone"])),
            Column("department", _("Department"), departments, required=True),
            Column("role", _("Role"), Few.of_picklist(Role.objects.all(), required=True), required=True, usual="rep"),
        ]

    def build(self, values):
        username = values["username"] = values.get("username") or user_name(values["name"])
        person = super().build({name: value for name, value in values.items() if name != "role"})
        person.password = make_password(None)
        person.role = values["role"]
        person.is_staff = person.role.key == "administrator"
        if person.email and self.email.owners.setdefault(person.email.lower(), username) != username:
            raise Refused(_("Another account has this address."), field="email")
        return person

    def identity(self, person):
        return person.username

    def existing(self, people):
        names = {person.username for person in people}
        found = User.objects.filter(username__in=names).select_related("department")
        return by_identity((person.username, person) for person in found)

    def compared(self, values, there):
        return {name: value for name, value in values.items() if name != "role"}

    @transaction.atomic
    def write(self, people):
        if not self.may(self.user):
            raise NotAllowed()
        User.objects.bulk_create(people)
        held = User.roles.through
        held.objects.bulk_create(held(user=person, role=person.role) for person in people)
        Audit.objects.bulk_create(
            Audit(
                kind="rights_changed",
                by=self.user,
                data={
                    "user": person.username,
                    "before": None,
                    "after": {"active": True, "department": person.department.key, "roles": [person.role.key]},
                },
            )
            for person in people
        )
