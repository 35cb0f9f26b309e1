"""The pages for administrators: the people who work here, and the tree of departments."""

from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import slugify
from django.utils.translation import gettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from crm import holding, people
from crm.exports import Table
from crm.forms import Form, ModelForm, WithNames, posted
from crm.models import Department, Level, Placed, Role, User
from crm.permissions import require
from crm.pickers import DepartmentPicker
from crm.verbs import Refused

ROWS = 50

a_page = require_http_methods(["GET", "HEAD", "POST"])


# ── Forms ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class FindForm(forms.Form):
    """What the list of people is narrowed by."""

    q = forms.CharField(label=_("Name, user name or e-mail"), required=False, max_length=200)
    department = forms.ModelChoiceField(
        Department.objects.all(), label=_("Department"), required=False, empty_label=_("All")
    )
    role = forms.ModelChoiceField(
        Role.objects.all(), label=_("Role"), required=False, empty_label=_("All"), to_field_name="key"
    )
    standing = forms.ChoiceField(
        label=_("Account"),
        required=False,
        choices=[("", _("All")), ("active", _("Active")), ("closed", _("Deactivated"))],
    )
    two_step = forms.ChoiceField(
        label=_("Two-step sign-in"), required=False, choices=[("", _("All")), ("on", _("On")), ("off", _("Off"))]
    )

    def found(self):
        """This will give the people whom it asks for, in order; all of them where it asks for nothing sensible."""
        given = self.cleaned_data if self.is_valid() else {}
        found = User.objects.with_two_step().annotate(invited=people.was_invited()).order_by("name", "pk")
        found = found.select_related("department").prefetch_related("roles")
        if text := given.get("q"):
            found = found.filter(Q(name__icontains=text) | Q(username__icontains=text) | Q(email__icontains=text))
        if department := given.get("department"):
            found = found.filter(department__path__startswith=department.path)
        if role := given.get("role"):
            found = found.filter(roles=role)
        if standing := given.get("standing"):
            found = found.filter(is_active=standing == "active")
        if two_step := given.get("two_step"):
            found = found.filter(two_step=two_step == "on")
        return found


class PersonForm(ModelForm):
    """A person's name, address, place and roles."""

    department = DepartmentPicker(label=_("Department"))
    roles = forms.ModelMultipleChoiceField(
        Role.objects.all(), label=_("Roles"), widget=forms.CheckboxSelectMultiple, required=True
    )

    class Meta:
        model = User
        fields = ["name", "title", "email", "phone", "department", "roles"]
        labels = {
            "name": pgettext_lazy("of a person", "Name"),
            "title": _("Job title"),
            "email": _("E-mail"),
            "phone": _("Phone"),
        }

    def clean_email(self):
        email = self.cleaned_data["email"]
        if email and User.objects.filter(email__iexact=email).exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("Another account has this address."))
        return email

    def change(self):
        """This will change the person; gives whether it was done."""
        values = {name: self.cleaned_data[name] for name in ("name", "title", "email", "phone", "department")}
        return self._does(people.change, self.instance, roles=list(self.cleaned_data["roles"]), **values)

    def _does(self, verb, *args, **values):
        try:
            verb(*args, by=self.user, **values)
        except Refused as error:
            self.refuse(error)
            return False
        return True


class InviteForm(PersonForm):
    """Somebody new, who is mailed a link to choose a password."""

    class Meta(PersonForm.Meta):
        fields = ["name", "username", "title", "email", "phone", "department", "roles"]
        labels = PersonForm.Meta.labels | {"username": _("User name")}
        help_texts = {"username": _("To sign in with. It can be read by everybody and is not changed later.")}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["email"].required = self.fields["email"].starred = True

    def invite(self):
        """This will invite the person; gives whether it was done."""
        return self._does(people.invite, self.instance, roles=list(self.cleaned_data["roles"]))


class DepartmentForm(WithNames, ModelForm):
    """A department's names, its place in the tree, and whether it is in use."""

    class Meta:
        model = Department
        fields = ["parent", "level", "active"]
        labels = {"parent": _("Part of"), "level": _("Level"), "active": _("In use")}

    parent = DepartmentPicker(label=_("Part of"), required=False)
    sure = forms.BooleanField(label=_("Move it, with all below it"), required=False)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.stood_in = self.instance.parent_id
        if not (self.is_bound and self.instance.pk):
            del self.fields["sure"]
        self.fields["active"].help_text = _("A retired department can no longer be chosen.")

    def _post_clean(self):
        """This will put the values on the instance; whether they fit the tree is asked under its lock, by the verb."""
        for name in self._meta.fields:
            if name in self.cleaned_data:
                setattr(self.instance, name, self.cleaned_data[name])

    @property
    def asks(self):
        """This will tell whether the question is to be shown."""
        return "sure" in self.errors or bool(self.data.get("sure"))

    def save_(self):
        """This will enter or change the department; gives whether it was done."""
        department = self.instance
        department.key = department.key or free_key(department.names)
        if self._is_to_be_asked(department):
            told = _("It moves with what is in it and below it: %(what)s. Who sees that changes at once.")
            self.add_error("sure", told % {"what": moved_along(department)})
            return False
        try:
            people.save_department(department, by=self.user)
        except Refused as error:
            self.refuse(error)
            return False
        return True

    def _is_to_be_asked(self, department):
        """This will tell whether the department would move, which nobody has said yes to; what is wrong comes first."""
        if "sure" not in self.fields or department.parent_id == self.stood_in:
            return False
        wanted = str(department.parent_id)
        self.fields["sure"].widget.attrs["value"] = wanted  # the yes is to this place and to no other
        if self.data.get("sure") == wanted:
            return False
        try:
            department.clean()
        except ValidationError:
            return False
        return True


def moved_along(department):
    """This will say what moves along with a department: people 5, customers 12."""
    within = Department.objects.filter(path__startswith=department.path)
    counts = [(_("people"), User.objects.filter(department__in=within).count())]
    counts += [
        (model._meta.verbose_name_plural, model._base_manager.filter(department__in=within).count())
        for model in Placed.models()
    ]
    lines = [pgettext("a count", "%(what)s %(count)s") % {"what": what, "count": count} for what, count in counts]
    return pgettext("between the members of a list", ", ").join(lines)


def free_key(names):
    """This will make a key of a name that no department has yet."""
    base = key = slugify(names.get("en", ""))[:32] or "department"
    number = 1
    while Department.objects.filter(key=key).exists():
        number += 1
        key = f"{base}-{number}"
    return key


# ── People ───────────────────────────────────────────────────────────────────────────────────────────────────────────


PEOPLE = [
    pgettext_lazy("of a person", "Name"),
    _("User name"),
    _("E-mail"),
    _("Department"),
    _("Roles"),
    _("Account"),
    _("Two-step sign-in"),
    _("Last sign-in"),
]


def _standing(person):
    """This will say whether somebody can sign in, and if not, why: of a person who was found by the form."""
    if not person.is_active:
        return gettext("Deactivated")
    if person.has_usable_password():
        return gettext("Active")
    return gettext("Invited") if person.invited else gettext("No password yet")


def _listed(person):
    """This will give what the list of people shows of one, and where to write to them, as PEOPLE names it."""
    return (
        str(person),
        person.username,
        person.email,
        str(person.department or ""),
        pgettext("between the members of a list", ", ").join(map(str, person.roles.all())),
        _standing(person),
        gettext("On") if person.two_step else gettext("Off"),
        person.last_login and timezone.make_naive(person.last_login),
    )


@require_safe
def people_list(request):
    require(request.user, "administer")
    form = FindForm(request.GET)
    if Table.asked(request):
        return Table(request, "people", gettext("People"), PEOPLE, map(_listed, form.found())).answer()
    page = Paginator(form.found(), ROWS).get_page(request.GET.get("page"))
    for one in page:
        one.standing = _standing(one)
    return render(request, "crm/people/list.html", {"form": form, "page": page})


@a_page
def person_new(request):
    require(request.user, "administer")
    form = InviteForm(posted(request), user=request.user, initial={"department": request.GET.get("department")})
    if form.is_valid() and form.invite():
        messages.success(request, gettext("%(name)s is invited.") % {"name": form.instance})
        return redirect("person", form.instance.pk)
    return render(request, "crm/people/invite.html", {"form": form}, status=form.status)


@a_page
def person(request, pk):
    require(request.user, "administer")
    known = User.objects.with_two_step().annotate(invited=people.was_invited()).select_related("department")
    one = get_object_or_404(known, pk=pk)
    place = one.department
    form = PersonForm(posted(request), instance=User.objects.select_related("department").get(pk=pk), user=request.user)
    if form.is_valid() and form.change():
        messages.success(request, gettext("Saved."))
        if place != form.cleaned_data["department"] and holding.held_by(one):
            offer = gettext("%(name)s moved and took nothing along.") % {"name": one}
            link = format_html('<a href="{}">{}</a>', f"/people/{pk}/handover/", gettext("Hand over"))
            messages.warning(request, format_html("<span>{}</span>{}", offer, link))
        return redirect("person", pk)
    context = {"form": form, "person": one, "held": holding.held_by(one)}
    return render(request, "crm/people/person.html", context, status=form.status)


@a_page
def person_deactivate(request, pk):
    require(request.user, "administer")
    one = get_object_or_404(User, pk=pk)
    form = Form(posted(request), user=request.user)
    if form.is_valid():
        people.deactivate(one, by=request.user)
        messages.success(request, gettext("%(name)s can no longer sign in.") % {"name": one})
        return redirect("person", pk)
    return render(request, "crm/people/deactivate.html", {"person": one, "held": holding.held_by(one)})


@a_page
def person_two_step(request, pk):
    require(request.user, "administer")
    raise_if_reauthentication_required(request, app="allauth.mfa")
    one = get_object_or_404(User, pk=pk)
    form = Form(posted(request), user=request.user)
    if form.is_valid():
        people.reset_two_step(one, by=request.user)
        messages.success(request, gettext("%(name)s signs in by password alone.") % {"name": one})
        return redirect("person", pk)
    return render(request, "crm/people/two_step.html", {"person": one})


@require_POST
def person_reactivate(request, pk):
    require(request.user, "administer")
    one = get_object_or_404(User, pk=pk)
    people.reactivate(one, by=request.user)
    messages.success(request, gettext("%(name)s can sign in again.") % {"name": one})
    return redirect("person", pk)


@require_POST
def person_invite_again(request, pk):
    require(request.user, "administer")
    one = get_object_or_404(User, pk=pk)
    people.invite_again(one, by=request.user)
    messages.success(request, gettext("%(name)s is invited.") % {"name": one})
    return redirect("person", pk)


# ── Departments ──────────────────────────────────────────────────────────────────────────────────────────────────────


@require_safe
def departments(request):
    require(request.user, "administer")
    counted = Department.objects.annotate(people=Count("users", filter=Q(users__is_active=True))).order_by("path")
    rows = [{"department": one, "depth": one.path.count("/") - 2, "level": Level(one.level).label} for one in counted]
    return render(request, "crm/people/departments.html", {"rows": rows})


@a_page
def department_new(request):
    require(request.user, "administer")
    return _department(request, Department(), {"parent": request.GET.get("parent")})


@a_page
def department(request, pk):
    require(request.user, "administer")
    return _department(request, get_object_or_404(Department, pk=pk), {})


def _department(request, one, initial):
    form = DepartmentForm(posted(request), instance=one, initial=initial, user=request.user)
    if form.is_valid() and form.save_():
        messages.success(request, gettext("Saved."))
        return redirect("departments")
    known = Department.objects.filter(pk=one.pk).first()
    return render(request, "crm/people/department.html", {"form": form, "department": known}, status=form.status)


urlpatterns = [
    path("people/", people_list, name="people"),
    path("people/new/", person_new, name="person_new"),
    path("people/<int:pk>/", person, name="person"),
    path("people/<int:pk>/deactivate/", person_deactivate, name="person_deactivate"),
    path("people/<int:pk>/two-step/", person_two_step, name="person_two_step"),
    path("people/<int:pk>/reactivate/", person_reactivate, name="person_reactivate"),
    path("people/<int:pk>/invite/", person_invite_again, name="person_invite_again"),
    path("departments/", departments, name="departments"),
    path("departments/new/", department_new, name="department_new"),
    path("departments/<int:pk>/", department, name="department"),
]
