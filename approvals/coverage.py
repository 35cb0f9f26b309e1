"""
What the routes in force come to: who would decide today in which department, which amounts no route takes, and where
two routes fit and the first is taken.
"""

from collections import namedtuple
from decimal import Decimal
from functools import cached_property

from approvals.routes import RouteVersion, Step, kinds
from crm.conditions import Conditions
from crm.models import Department, User

Span = namedtuple("Span", ["first", "last", "what"])  # amounts in cents, both included; `last` is None without an end
Gap = namedtuple("Gap", ["act", "level", "types", "first", "last"])
Overlap = namedtuple("Overlap", ["taken", "other", "levels"])
Lacking = namedtuple("Lacking", ["step", "departments"])


def spans(changes, what):
    """
    This will cut all amounts from 0 on, in cents, where `what(cents)` changes: the Spans, in order, each as long as it
    can be. It may change at one of `changes` or right after it, and nowhere else.
    """
    starts = sorted({0, *(start for change in changes for start in (change, change + 1) if start > 0)})
    found = []
    for start in starts:
        here = what(start)
        if not found or found[-1][1] != here:
            found.append((start, here))
    ends = [start - 1 for start, _what in found[1:]]
    return [Span(start, end, here) for (start, here), end in zip(found, [*ends, None], strict=True)]


class Coverage:
    """All routes in force against all departments, read in few queries and worked out in Python."""

    def __init__(self):
        self.versions = RouteVersion.in_force()
        steps = Step.objects.filter(version__in=self.versions).order_by("order").prefetch_related("roles", "people")
        self.steps = {version.pk: [] for version in self.versions}
        for step in steps:
            self.steps[step.version_id].append(step)
        self.departments = list(Department.objects.filter(active=True).order_by("path"))
        self.people = list(
            User.objects.filter(is_active=True)
            .select_related("department")
            .prefetch_related("roles")
            .order_by(*User._meta.ordering)
        )
        self.types = {one.key: one for one in self.kind._meta.get_field("business_type").related_model.objects.all()}
        self.asked = {
            version.pk: Conditions(version.conditions, self.kind, known={"business_type": self.types})
            for version in self.versions
        }

    @cached_property
    def kind(self):
        return kinds()[0]

    # Who decides

    @cached_property
    def reporting(self):
        """This will list the departments where somebody is a sales rep: those that records come from."""
        places = {person.department_id for person in self.people if "rep" in {role.key for role in person.roles.all()}}
        return [department for department in self.departments if department.pk in places]

    def candidates(self, step, department):
        """This will list who may decide `step` for a record of `department`: `Step.candidates`, without a query."""
        roles, named = step.asks()
        held = [one for one in self.people if roles.intersection(role.pk for role in one.roles.all())]
        for pk in department.ancestor_ids:
            if there := {one.pk for one in held if one.department_id == pk}:
                break
        else:
            there = set()
        return [one for one in self.people if one.pk in there | named]

    def lacking(self):
        """This will list the steps that nobody can decide for some of the departments that records come from."""
        found = []
        for version in self.versions:
            for step in self.steps[version.pk]:
                places = [one for one in self.reporting if version.covers(one) and not self.candidates(step, one)]
                if places:
                    found.append(Lacking(step, places))
        return found

    # Which is taken

    def taken(self, act, level, kind_of_business):
        """
        This will cut the amounts by the routes that fit, all of them and the one taken first, for records of one act,
        department level and business type.
        """
        here = [one for one in self.versions if one.route.act == act and (not one.levels or level in one.levels)]
        changes = {
            int(Decimal(value) * 100)
            for version in here
            for leaf in self.asked[version.pk].leaves()
            if leaf.field.key == "amount"
            for value in leaf.values
        }

        def fitting(cents):
            record = self.kind(amount=Decimal(cents).scaleb(-2), base_cents=cents, business_type=kind_of_business)
            return tuple(version for version in here if self.asked[version.pk].holds(record))

        return spans(changes, fitting)

    def findings(self, acts):
        """This will list the Gaps, the Overlaps, and the versions that are never taken because others come first."""
        levels = sorted({one.level for one in self.reporting})
        types = [one for one in self.types.values() if one.active]
        gaps, overlaps, wins = {}, {}, set()
        for act in acts:
            for level in levels:
                for one in types:
                    for span in self.taken(act, level, one):
                        if not span.what:
                            gaps.setdefault((act, level, span.first, span.last), []).append(one)
                        wins.update(version.pk for version in span.what[:1])
                        for other in span.what[1:]:
                            overlaps.setdefault((span.what[0], other), set()).add(level)
        asked = [one for one in self.versions if not one.levels or not set(levels).isdisjoint(one.levels)]
        return (
            [
                Gap(act, level, None if len(of) == len(types) else of, first, last)
                for (act, level, first, last), of in gaps.items()
            ],
            [Overlap(taken, other, sorted(of)) for (taken, other), of in overlaps.items()],
            [version for version in asked if version.pk not in wins] if levels and types else [],
        )
