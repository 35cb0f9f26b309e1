"""The people and departments that a form offers: everybody who works here is known to everybody who signs in."""

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm import texts
from crm.fields import PickerField
from crm.models import Department, User
from crm.pinyin import spell


class PersonPicker(PickerField):
    """
    Somebody who works here, by name, also in pinyin, user name, e-mail or telephone; the second line says where and
    as what.
    """

    url_name = "person_pick"
    find = ("name", "username", "email", "phone")

    def queryset_for(self, user):
        return User.objects.filter(is_active=True).select_related("department").prefetch_related("roles")

    def search(self, queryset, text):
        found = [pk for pk, *said in queryset.values_list("pk", *self.find) if _mention(text, said, said[:1])]
        return queryset.filter(pk__in=found)

    def second(self, person):
        roles = [str(role) for role in person.roles.all()]
        return ", ".join(part for part in [str(person.department or ""), person.title, *roles] if part)


class DepartmentPicker(PickerField):
    """A department, by its name in any language, or in pinyin; the second line says what it is part of."""

    url_name = "department_pick"
    exact = None  # names are one text per language, which no look-up compares

    def queryset_for(self, user):
        return Department.objects.filter(active=True).select_related("parent")

    def search(self, queryset, text):
        found = [one.pk for one in queryset if _mention(text, one.names.values(), one.names.values())]
        return queryset.filter(Q(pk__in=found))

    def second(self, department):
        return str(department.parent or _("Head office"))


def _mention(text, said, names):
    """This will tell whether these texts, or the pinyin of these names, hold every word of `text`: see crm.texts."""
    spellings = [spell(name) for name in names]
    plain = [texts.plain(one) for one in said] + [first for _whole, first in spellings]
    plain += ["".join(letter for letter in one if letter.isdecimal()) for one in plain]
    return texts.is_said("\n".join(plain), "\n".join(whole for whole, _first in spellings), text)
