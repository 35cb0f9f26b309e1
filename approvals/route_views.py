"""The administrators' page of approval routes: each as a chain, who it would be today, and what does not add up."""

from decimal import Decimal

from django import forms
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from approvals.coverage import Coverage
from approvals.routes import Act, RouteVersion
from crm import shown
from crm.models import Level
from crm.permissions import require


class PlaceForm(forms.Form):
    """For which department the page says who would decide."""

    department = forms.ChoiceField(label=_("Department"), required=False)

    def __init__(self, *args, coverage, **kwargs):
        super().__init__(*args, **kwargs)
        self.places = {str(one.pk): one for one in coverage.departments}
        choices = [(pk, f"{' ' * 2 * (one.path.count('/') - 2)}{one}") for pk, one in self.places.items()]
        self.fields["department"].choices = [("", "–"), *choices]

    @property
    def place(self):
        return self.places.get(self.cleaned_data["department"]) if self.is_valid() else None


@require_safe
def routes(request):
    require(request.user, "administer")
    coverage = Coverage()
    form = PlaceForm(request.GET, coverage=coverage)
    drafts = set(RouteVersion.objects.filter(published_at=None).values_list("route", flat=True))
    acts = [
        {
            "label": act.label,
            "routes": [_drawn(one, coverage, form.place, drafts) for one in coverage.versions if one.route.act == act],
        }
        for act in Act
    ]
    context = {"form": form, "place": form.place, "acts": acts, "found": _found(coverage)}
    return render(request, "approvals/routes.html", context)


def _drawn(version, coverage, place, drafts):
    """This will give a route as the page draws it: when it is taken, then its steps."""
    steps = [
        {
            "asks": _listed([*step.roles.all(), *step.people.all()]),
            "may_finish": step.may_finish,
            "people": _people(coverage.candidates(step, place), place) if place else None,
        }
        for step in coverage.steps[version.pk]
    ]
    return {
        "version": version,
        "url": reverse("admin:approvals_route_change", args=[version.route_id]),
        "levels": _listed(Level(level).label for level in version.levels) or _("Every department level"),
        "when": [f"{chip.label} {chip.op} {chip.value}" for chip in coverage.asked[version.pk].chips()],
        "steps": steps,
        "draft": version.route_id in drafts,
        "elsewhere": place is not None and not version.covers(place),
    }


def _people(people, place):
    """This will name people, and the department of those who are of none of `place`'s own."""
    named = [str(one) if one.department_id in (place.pk, None) else f"{one} ({one.department})" for one in people]
    return {"names": _listed(named)}


def _found(coverage):
    """This will say in sentences what does not add up, and what is worth knowing."""
    gaps, overlaps, never = coverage.findings(Act)
    wrong = [
        gettext("Nobody can decide step %(order)d (%(asks)s) of “%(route)s” for %(departments)s.")
        % {
            "order": lack.step.order,
            "asks": _listed([*lack.step.roles.all(), *lack.step.people.all()]),
            "route": next(one.route for one in coverage.versions if one.pk == lack.step.version_id),
            "departments": _listed(lack.departments),
        }
        for lack in coverage.lacking()
    ]
    for gap in gaps:
        said = gettext("No route to %(act)s fits %(amounts)s at the level %(level)s (%(types)s).")
        types = gettext("every business type") if gap.types is None else _listed(gap.types)
        named = {"act": Act(gap.act).label, "level": Level(gap.level).label, "types": types}
        wrong.append(said % (named | {"amounts": _amounts(gap)}))
    wrong += [gettext("“%(route)s” is never taken: others come before it.") % {"route": one.route} for one in never]
    worth = [
        gettext("Where “%(taken)s” and “%(other)s” both fit, “%(taken)s” is taken: it comes first (%(levels)s).")
        % {
            "taken": one.taken.route,
            "other": one.other.route,
            "levels": _listed(Level(level).label for level in one.levels),
        }
        for one in overlaps
    ]
    return {"wrong": wrong, "worth": worth}


def _amounts(gap):
    if gap.last is None and gap.first == 0:
        return gettext("any amount")
    ends = {"first": shown.money(Decimal(gap.first).scaleb(-2))}
    if gap.last is None:
        return gettext("amounts from %(first)s") % ends
    ends["last"] = shown.money(Decimal(gap.last).scaleb(-2))
    return gettext("amounts from %(first)s to %(last)s") % ends


def _listed(names):
    return pgettext("between the members of a list", ", ").join(map(str, names))
