"""The administrators' pages: users, departments, roles, the audit; and how every picklist is edited."""

from functools import partial

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db.models import JSONField
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from crm import holding
from crm.admin_files import Files
from crm.admin_lists import Narrowed
from crm.exports import Out
from crm.models import Audit, Department, Role, User
from crm.names import Picklist, is_worded, localized_names
from crm.picklist_pages import form_of
from crm.picklists import word_of

admin.site.unregister(Group)  # a department's group is made with it, and nothing else is a group
admin.site.site_header = admin.site.site_title = "Pursuit"
admin.site.index_title = _("Administration")
admin.site.enable_nav_sidebar = False  # each page is reached from one of ours, and is about one thing


class NamesWidget(forms.MultiWidget):
    """One text per language, each with the language's own name before it."""

    template_name = "admin/names.html"

    def __init__(self):
        super().__init__(
            {
                code.replace("-", "_"): forms.TextInput(attrs={"class": "vTextField"})
                for code, _name in settings.LANGUAGES
            }
        )

    def decompress(self, value):
        return [(value or {}).get(code, "") for code, _name in settings.LANGUAGES]

    def get_context(self, name, value, attrs):
        context = super().get_context(name, value, attrs)
        for widget, (_code, language) in zip(context["widget"]["subwidgets"], settings.LANGUAGES, strict=True):
            widget["language"] = language
            widget["attrs"]["aria-label"] = language
        return context


class NamesField(forms.MultiValueField):
    """A JSON of names, typed as one text per language; at least one is needed."""

    def __init__(self, **kwargs):
        texts = [forms.CharField(required=False, max_length=80) for _language in settings.LANGUAGES]
        super().__init__(texts, widget=NamesWidget(), require_all_fields=False, **kwargs)

    def compress(self, texts):
        return {
            code: text.strip() for (code, _name), text in zip(settings.LANGUAGES, texts, strict=False) if text.strip()
        }


class NamedAdmin(Narrowed, admin.ModelAdmin):
    """Anything with names per language. The key is chosen once."""

    search_fields = ["key", "names"]

    def formfield_for_dbfield(self, field, request, **kwargs):
        if field.name == "names":
            return NamesField(label=field.verbose_name, help_text=_("One language is enough; the others show it too."))
        return super().formfield_for_dbfield(field, request, **kwargs)

    def get_readonly_fields(self, request, obj=None):
        return [*super().get_readonly_fields(request, obj), *(["key"] if obj else [])]


def _name_in(code, names):
    return names.get(code, "")


def _head(field):
    return capfirst(str(field.verbose_name))


def _out(field):
    """This will give the column of a field: of a related value its key, of names that in the reader's language."""
    shown = None
    if isinstance(field, JSONField):
        shown = localized_names if is_worded(field) else ", ".join
    return Out(_head(field), f"{field.name}__key" if field.is_relation else field.name, shown)


class ListField(forms.JSONField):
    """A list of keys as it is kept. Emptied, it is an empty list; there is no other way to write nothing."""

    def clean(self, value):
        return super().clean(value) or []


class PicklistAdmin(Files, NamedAdmin):
    """A picklist: a value in use is retired, not deleted."""

    importing = "picklists"

    list_display = ["name", "key", "order", "colour", "active"]
    list_editable = ["order", "active"]
    list_filter = ["active"]
    ordering = ["order", "key"]

    def formfield_for_dbfield(self, field, request, **kwargs):
        if isinstance(field, JSONField) and field.default is list:
            kwargs["form_class"] = ListField
        return super().formfield_for_dbfield(field, request, **kwargs)

    @admin.display(description=_("name"))
    def name(self, value):
        return value.name

    def get_deleted_objects(self, objs, request):
        """This will name what still holds a value, so that Django refuses the deletion and says why."""
        deletable, counts, permissions_needed, protected = super().get_deleted_objects(objs, request)
        if protected:
            permissions_needed = set()  # to delete the records is for nobody here, and would not be said beside it
            protected = [_("Records hold this value. Retire it instead: clear “active”; old records go on showing it.")]
        return deletable, counts, permissions_needed, protected

    def fixed(self):
        return {"list": word_of(self.model)}

    def asked(self, resource):
        """This will list what this list has, of all that others have, as its own form calls it."""
        own = form_of(self.model)(instance=self.model(), user=resource.user).fields
        offered = {*own, "order", "active"}
        return [str(own.get(name, column).label) for name, column in resource.fields.items() if name in offered]

    def outs(self):
        """This will give list, key, a name per language, what the list has beside, order, colour, active."""
        of_all = {field.name: field for field in Picklist._meta.get_fields()}
        own = [field for field in self.model._meta.concrete_fields if field.editable and not field.primary_key]
        word = word_of(self.model)
        return [
            Out(gettext("List"), None, lambda pk: word),
            Out(_head(of_all["key"]), "key"),
            *(
                Out(gettext("Name in %(language)s") % {"language": language}, "names", partial(_name_in, code))
                for code, language in settings.LANGUAGES
            ),
            *(_out(field) for field in own if field.name not in of_all),
            *(_out(of_all[name]) for name in ("order", "colour", "active")),
        ]


@admin.register(Department)
class DepartmentAdmin(NamedAdmin):
    list_display = ["indented", "key", "level", "active"]
    list_filter = ["level", "active"]
    fields = ["key", "names", "parent", "level", "active"]
    ordering = ["path"]

    def has_delete_permission(self, request, obj=None):
        return False  # it is retired: what is for it alone would be for everybody, and the past names it

    @admin.display(description=_("department"))
    def indented(self, department):
        return " " * 3 * (department.path.count("/") - 2) + department.name


@admin.register(Role)
class RoleAdmin(NamedAdmin):
    list_display = ["name", "key", "scope"]

    @admin.display(description=_("name"))
    def name(self, role):
        return role.name

    def has_delete_permission(self, request, obj=None):
        """
        The permission table and the shipped routes name the shipped roles, so those stay; and so does what somebody
        holds or something is for: without its role that would be for everybody.
        """
        if obj is None:
            return super().has_delete_permission(request, obj)
        return obj.key not in SHIPPED_ROLES and not is_named(obj) and super().has_delete_permission(request, obj)

    def get_actions(self, request):
        return {}  # no deleting by the dozen past has_delete_permission


def is_named(record):
    """This will tell whether anything points to the record."""
    pointers = [field for field in record._meta.get_fields(include_hidden=True) if field.one_to_many]
    return any(field.related_model._base_manager.filter(**{field.field.name: record}).exists() for field in pointers)


SHIPPED_ROLES = {"rep", "director", "deputy_gm", "gm", "support", "opportunity_manager", "administrator"}


class PersonForm(UserChangeForm):
    """Deactivates nobody who has work in hand: that is for the page which offers the handover."""

    def clean_is_active(self):
        active = self.cleaned_data["is_active"]
        if self.instance.is_active and not active and (held := holding.held_by(self.instance)):
            told = gettext("%(name)s still has in hand: %(held)s.")
            link = reverse("person_deactivate", args=[self.instance.pk])
            raise forms.ValidationError(
                format_html(
                    '{} <a href="{}">{}</a>',
                    told % {"name": self.instance, "held": holding.said(held)},
                    link,
                    gettext("Hand over, or deactivate all the same"),
                )
            )
        return active


def roles_of(listing, pks):
    """This will give {key of a person: the names of their roles} of some people."""
    held = {}
    for pk, names in (
        User.roles.through.objects.filter(user__in=pks).order_by("role__key").values_list("user", "role__names")
    ):
        held.setdefault(pk, []).append(localized_names(names))
    return {pk: ", ".join(names) for pk, names in held.items()}


@admin.register(User)
class UserAdmin(Narrowed, Files, DjangoUserAdmin):
    """People. Whoever holds the role of administrator may enter these pages; nothing else opens them."""

    importing = "users"
    form = PersonForm
    add_form = AdminUserCreationForm
    list_display = ["username", "name", "department", "role_names", "is_active", "last_login"]
    list_filter = ["is_active", "roles", "department"]
    search_fields = ["username", "name", "email"]
    ordering = ["username"]
    filter_horizontal = ["roles"]
    list_select_related = ["department"]
    fieldsets = [
        (None, {"fields": ["username", "password", "name", "title", "email", "phone"]}),
        (_("Place and roles"), {"fields": ["department", "roles", "is_active"]}),
        (_("Settings"), {"fields": ["language", "time_zone", "theme"]}),
        (_("Sign-ins"), {"fields": ["last_login", "previous_sign_in_at"]}),
    ]
    add_fieldsets = [
        (
            None,
            {
                "fields": [
                    "username",
                    "usable_password",
                    "password1",
                    "password2",
                    "name",
                    "email",
                    "department",
                    "roles",
                ]
            },
        )
    ]
    readonly_fields = ["last_login", "previous_sign_in_at"]

    def outs(self):
        """What goes out is named here one by one: no password, and nothing that opens a door."""
        return [
            Out(_("Name"), "name"),
            Out(_("User name"), "username"),
            Out(_("E-mail"), "email"),
            Out(_("Phone"), "phone"),
            Out(_("Job title"), "title"),
            Out(_("Department"), "department"),
            Out(_("Roles"), None, batch=roles_of),
            Out(_head(User._meta.get_field("is_active")), "is_active"),
            Out(_("Last sign-in"), "last_login"),
        ]

    @admin.display(description=_("roles"))
    def role_names(self, user):
        return ", ".join(str(role) for role in user.roles.all())

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("roles")

    def get_readonly_fields(self, request, obj=None):
        """An address is changed on the page of the person, where what waits to be confirmed is forgotten with it."""
        return [*super().get_readonly_fields(request, obj), *(["email"] if obj else [])]

    def has_delete_permission(self, request, obj=None):
        return False  # what somebody did stays theirs; they are deactivated

    def save_form(self, request, form, change):
        """This will remember the rights before the form, for the audit."""
        before = User.objects.get(pk=form.instance.pk) if change else None
        form.rights_before = holding.rights(before) if before else None
        return super().save_form(request, form, change)

    def save_related(self, request, form, formsets, change):
        super().save_related(request, form, formsets, change)
        user = form.instance
        user.refresh_from_db()
        staff = user.is_any("administrator")
        User.objects.filter(pk=user.pk).update(is_staff=staff)
        after = holding.rights(user)
        if after != form.rights_before:
            Audit.note("rights_changed", by=request.user, user=user.username, before=form.rights_before, after=after)


@admin.register(Audit)
class AuditAdmin(Narrowed, admin.ModelAdmin):
    """The audit is read here, and better at /audit/; it is written nowhere but by what happens."""

    list_display = ["at", "kind", "by", "address", "data"]
    list_filter = ["kind"]
    search_fields = ["by__username", "address"]
    actions = None
    list_select_related = ["by"]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False
