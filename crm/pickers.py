"""The people and departments that a form offers: everybody who works here is known to everybody who signs in."""

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm.fields import PickerField
from crm.fields import narrow as narrowed
from crm.models import Department, User


class PersonPicker(PickerField):
    """Somebody who works here, by name or user name; the second line says where and as what."""

    url_name = "person_pick"
    find = ("name__icontains", "username__icontains")

    def queryset_for(self, user):
        return User.objects.filter(is_active=True).select_related("department").prefetch_related("roles")

    def second(self, person):
        roles = [str(role) for role in person.roles.all()]
        return ", ".join(part for part in [str(person.department or ""), person.title, *roles] if part)


class DepartmentPicker(PickerField):
    """A department, by its name in any language; the second line says what it is part of."""

    url_name = "department_pick"
    exact = None  # names are one text per language, which no look-up compares

    def queryset_for(self, user):
        return Department.objects.filter(active=True).select_related("parent")

    def search(self, queryset, text):
        part = narrowed(text).casefold()
        found = [one.pk for one in queryset if any(part in name.casefold() for name in one.names.values())]
        return queryset.filter(Q(pk__in=found))

    def second(self, department):
        return str(department.parent or _("Head office"))
