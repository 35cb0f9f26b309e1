"""
The administrators' pages of approval routes. What is in force is never edited: a new version is written as a draft,
then published. Approvals and tasks are in no admin page: they have no door but their verbs.
"""

from decimal import Decimal

from django import forms
from django.contrib import admin, messages
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from approvals.routes import Route, RouteVersion, Step, kinds
from crm import conditions
from crm.admin import NamedAdmin
from crm.admin_lists import Narrowed
from crm.fields import AmountField
from crm.models import Level
from crm.verbs import Refused


@admin.register(Route)
class RouteAdmin(NamedAdmin):
    """A route: its names, its place in the order, and its versions. It is retired, not deleted."""

    list_display = ["name", "act", "order", "active", "in_force", "in_writing"]
    list_filter = ["act", "active"]
    fields = ["key", "names", "act", "order", "active", "versions_so_far"]
    readonly_fields = ["versions_so_far"]
    actions = ["revise"]
    change_form_template = "admin/approvals/route.html"

    def get_readonly_fields(self, request, obj=None):
        return [*super().get_readonly_fields(request, obj), *(["act"] if obj else [])]

    def get_queryset(self, request):
        return super().get_queryset(request).prefetch_related("versions")

    def has_delete_permission(self, request, obj=None):
        return False

    @admin.display(description=_("name"))
    def name(self, route):
        return route.name

    @admin.display(description=_("in force"), empty_value="–")
    def in_force(self, route):
        return next((_version_link(one) for one in route.versions.all() if one.published_at), None)

    @admin.display(description=_("draft"), empty_value="–")
    def in_writing(self, route):
        return next((_version_link(one) for one in route.versions.all() if not one.published_at), None)

    @admin.display(description=_("versions"))
    def versions_so_far(self, route):
        return format_html_join(" · ", "{}", ((_version_link(one),) for one in route.versions.all()))

    @admin.action(description=_("New version of the chosen routes"), permissions=["change"])
    def revise(self, request, routes):
        for route in routes:
            messages.success(request, format_html("{} {}", _("There is a draft:"), _version_link(route.revise())))

    def response_add(self, request, obj, post_url_continue=None):
        return self._to_draft(request, obj)

    def response_change(self, request, obj):
        if "_revise" in request.POST:
            return self._to_draft(request, obj)
        return super().response_change(request, obj)

    def _to_draft(self, request, route):
        messages.success(request, _("This draft is in force only when it is published."))
        return HttpResponseRedirect(_address(route.revise()))


class VersionForm(forms.ModelForm):
    """What a version covers, asked in plain fields and kept as a tree of conditions."""

    levels = forms.TypedMultipleChoiceField(
        label=_("Department levels"),
        choices=Level.choices,
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: every level."),
    )
    business_types = forms.MultipleChoiceField(
        label=_("Business types"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None chosen: every business type."),
    )
    amount_from = AmountField(label=_("Amount from"), required=False)
    amount_under = AmountField(label=_("Amount under"), required=False)

    class Meta:
        model = RouteVersion
        fields = ["levels"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["business_types"].choices = [(one.key, one.name) for one in _business_types()]
        asked = {(part["field"], part["op"]): part["value"] for part in self.instance.conditions.get("all", [])}
        self.initial["business_types"] = asked.get(("business_type", "in"), [])
        for name, op in (("amount_from", "at_least"), ("amount_under", "under")):
            self.initial[name] = Decimal(asked["amount", op]) if ("amount", op) in asked else None

    def clean(self):
        cleaned = super().clean()
        least, below = cleaned.get("amount_from"), cleaned.get("amount_under")
        if least is not None and below is not None and least >= below:
            self.add_error("amount_under", _("This is not above the other amount, so no opportunity would fit."))
        return cleaned

    def save(self, commit=True):
        given = self.cleaned_data
        asked = [
            ("business_type", "in", given["business_types"]),
            ("amount", "at_least", given["amount_from"] is not None and str(given["amount_from"])),
            ("amount", "under", given["amount_under"] is not None and str(given["amount_under"])),
        ]
        parts = [{"field": name, "op": op, "value": value} for name, op, value in asked if value]
        self.instance.conditions = {"all": parts} if parts else {}
        return super().save(commit)


class StepInline(admin.TabularInline):
    """The steps of a version, in their order."""

    model = Step
    extra = 1
    fields = ["order", "roles", "people", "may_finish"]
    autocomplete_fields = ["people"]

    def formfield_for_manytomany(self, field, request, **kwargs):
        if field.name == "roles":
            kwargs["widget"] = forms.CheckboxSelectMultiple
        return super().formfield_for_manytomany(field, request, **kwargs)

    def has_add_permission(self, request, obj=None):
        return super().has_add_permission(request, obj) and _is_draft(obj)

    def has_change_permission(self, request, obj=None):
        return super().has_change_permission(request, obj) and _is_draft(obj)

    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request, obj) and _is_draft(obj)


@admin.register(RouteVersion)
class RouteVersionAdmin(Narrowed, admin.ModelAdmin):
    """One version of a route: a draft is written and published here, a published one is read here."""

    form = VersionForm
    inlines = [StepInline]
    readonly_fields = ["route_link", "covers_levels", "covers_what", "published_at", "published_by"]
    change_form_template = "admin/approvals/version.html"

    def get_fields(self, request, obj=None):
        if _is_draft(obj):
            return ["route_link", "levels", "business_types", "amount_from", "amount_under"]
        return ["route_link", "covers_levels", "covers_what", "published_at", "published_by"]

    def get_model_perms(self, request):
        return {}  # reached from its route; in the index it would only be a list of numbers

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return super().has_change_permission(request, obj) and (obj is None or _is_draft(obj))

    def has_delete_permission(self, request, obj=None):
        return super().has_delete_permission(request, obj) and _is_draft(obj)

    @admin.display(description=_("approval route"))
    def route_link(self, version):
        address = reverse("admin:approvals_route_change", args=[version.route_id])
        return format_html('<a href="{}">{}</a>', address, version.route)

    @admin.display(description=_("department levels"))
    def covers_levels(self, version):
        return ", ".join(str(Level(level).label) for level in version.levels) or _("every level")

    @admin.display(description=_("conditions"))
    def covers_what(self, version):
        chips = conditions.Conditions(version.conditions, kinds()[0]).chips()
        return "; ".join(f"{chip.label} {chip.op} {chip.value}" for chip in chips) or _("always")

    def response_change(self, request, obj):
        if "_publish" not in request.POST:
            return super().response_change(request, obj)
        try:
            obj.publish(by=request.user)
        except Refused as error:
            messages.error(request, error.message)
        else:
            messages.success(request, _("It is in force now: new rounds run by it, those under way go on by theirs."))
        return HttpResponseRedirect(_address(obj))


def _business_types():
    """This will give the business types of what approvals are about; they are a list of a floor above this one."""
    return kinds()[0]._meta.get_field("business_type").related_model.objects.all()


def _is_draft(version):
    return version is not None and version.published_at is None


def _address(version):
    return reverse("admin:approvals_routeversion_change", args=[version.pk])


def _version_link(version):
    return format_html('<a href="{}">{} {}</a>', _address(version), _("version"), version.number)
