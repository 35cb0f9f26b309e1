"""The page of the ranking: any month, by amount signed and by reports approved, of people and of departments."""

import re
from datetime import timedelta

from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views.decorators.http import require_safe

from crm import shown
from crm.exports import Table
from crm.models import Department
from crm.moments import organisation_month, organisation_today
from opportunities.ranking import Ranking, first_month, month_after, month_before, read_month
from opportunities.reviews import counted


@require_safe
def ranking(request):
    departments = list(Department.objects.all())
    this_month = organisation_month()
    month = _month(request.GET.get("month", ""), this_month)
    department = _department(request, departments)
    by = "department" if request.GET.get("by") == "department" else "person"
    found = Ranking(request.user, month, department, of_departments=by == "department")
    found.departments = {one.pk: one for one in departments}
    if Table.asked(request):
        title = _("Ranking, %(month)s") % {"month": f"{month:%Y-%m}"}
        return Table(request, "ranking", title, *_ranked(found)).answer()
    return render(
        request,
        "opportunities/ranking.html",
        {
            "ranking": found,
            "month": month,
            "months": _months(min(first_month(), month), max(this_month, month)),
            "before": month_before(month),
            "after": month_after(month) if month < this_month else None,
            "departments": [one for one in departments if one.active or one == department],
            "department": department,
            "by": by,
            "lede": lede(found),
            "now": timezone.now(),
            "ends": _ends(month),
        },
    )


def _ranked(ranking):
    """This will give the heads and all rows of a ranking, by amount; each row has the places in both tables."""
    amounts, reports = ranking.amounts, ranking.reports
    whose = [_("Department")] if ranking.of_departments else [_("Person"), _("Department")]
    heads = [
        *whose,
        _("Place by amount signed"),
        _("Amount"),
        _("Opportunities signed"),
        _("Place by reports approved"),
        _("Reports approved"),
    ]
    rows = []
    for key in amounts.ordered():
        by_amount, by_reports = amounts.make(key), reports.make(key)
        named = [by_amount.name] if ranking.of_departments else [by_amount.name, by_amount.second]
        rows.append((*named, by_amount.place, by_amount.amount, by_amount.count, by_reports.place, by_reports.value))
    return heads, rows


def _month(text, this_month):
    try:
        return read_month(text)
    except ValueError:
        return this_month


def _department(request, departments):
    """This will give the department asked for; else the reader's province; else the head office, where there is one."""
    asked = request.GET.get("department", "")
    mine = request.user.department
    found = [one for one in departments if str(one.pk) == asked]
    found += [one for one in departments if mine and one.pk == mine.province_id]
    found += [one for one in departments if one.parent_id is None]
    return found[0] if found else None


def _months(first, last):
    """This will list the months that can be chosen, the latest first."""
    months = [last]
    while months[-1] > first:
        months.append(month_before(months[-1]))
    return months


def _ends(month):
    """This will say when the month ends, while it lasts; ""."""
    last = month_after(month) - timedelta(days=1)
    days = (last - organisation_today()).days
    if not 0 <= days < last.day:
        return ""
    return (
        ngettext("the month ends in %(count)d day", "the month ends in %(count)d days", days) % {"count": days}
        if days
        else _("the month ends today")
    )


def lede(ranking):
    """This will say in a few words who leads, and where the reader stands."""
    month = shown.month_name(ranking.month)
    amounts, reports = ranking.amounts, ranking.reports
    if not amounts.leaders and not reports.leaders:
        return _("Nothing was signed and no report was approved in %(month)s.") % {"month": month}
    said = _leading(amounts.leaders, reports.leaders)
    mine = None if ranking.of_departments else amounts.mine
    if mine and not mine.value:
        said.append(_("You signed nothing in %(month)s.") % {"month": month})
    elif mine and mine.place > 1:
        ahead = amounts.ahead
        names = {"place": shown.ordinal(mine.place), "gap": shown.money(ahead.amount - mine.amount), "name": ahead.name}
        said.append(_("You are %(place)s by amount, %(gap)s behind %(name)s.") % names)
    return pgettext("between two sentences", " ").join(said)


def _leading(amounts, reports):
    """This will list the sentences about who comes first."""
    alone = len(amounts) == len(reports) == 1 and not (amounts[0].mine or reports[0].mine)
    if alone and amounts[0].key == reports[0].key:
        return [_("%(name)s leads by amount and by reports.") % {"name": amounts[0].name}]
    if alone:
        return [
            _("%(first)s leads by amount, %(second)s by reports.")
            % {"first": amounts[0].name, "second": reports[0].name}
        ]
    by_amount = (
        _("You lead by amount."),
        _("%(name)s leads by amount."),
        _("%(names)s lead by amount."),
        _("%(count)d share the lead by amount."),
    )
    by_reports = (
        _("You lead by reports."),
        _("%(name)s leads by reports."),
        _("%(names)s lead by reports."),
        _("%(count)d share the lead by reports."),
    )
    return [_lead(leaders, *forms) for leaders, forms in ((amounts, by_amount), (reports, by_reports)) if leaders]


def _lead(leaders, you, one, few, many):
    names = {"name": leaders[0].name, "count": len(leaders)}
    names["names"] = pgettext("between two names", " and ").join(row.name for row in leaders)
    form = many if len(leaders) > 3 else few if len(leaders) > 1 else you if leaders[0].mine else one
    return form % names


@require_safe
def reviews(request):
    """This will show what decided opportunities that ended in a year, as their reviews say; each count is a list."""
    this_year = organisation_today().year
    asked = request.GET.get("year", "")
    year = int(asked) if re.fullmatch(r"20\d\d", asked, re.ASCII) and int(asked) <= this_year else this_year
    years = range(this_year, this_year - 6, -1)
    context = {"questions": counted(request.user, year), "year": year, "years": years}
    return render(request, "opportunities/reviews.html", context)
