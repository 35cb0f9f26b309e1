"""
Who else sees or edits an opportunity: guardian's rows, keyed directly to it. Who gave a share, and when, is
an event.
"""

import json
from collections import namedtuple

from django.db import models
from django.db.models import F, Value
from django.db.models.functions import Cast
from django.utils.translation import ngettext_lazy
from guardian.models import GroupObjectPermissionBase, UserObjectPermissionBase

from crm.names import localized
from crm.prepared import prepared

# With whom an opportunity is shared: `kind` is person or department, `id` theirs.
Share = namedtuple("Share", ["kind", "id", "name", "may_edit"])


class OpportunityUserShare(UserObjectPermissionBase):
    """That a person sees, or edits, an opportunity which is not theirs."""

    content_object = models.ForeignKey("opportunities.Opportunity", models.CASCADE, related_name="user_shares")

    IN_HAND = ngettext_lazy(
        "%(count)d opportunity shared with them", "%(count)d opportunities shared with them", "count"
    )

    class Meta(UserObjectPermissionBase.Meta):
        abstract = False

    @classmethod
    def held_by(cls, person):
        return cls.objects.filter(user=person)


class OpportunityGroupShare(GroupObjectPermissionBase):
    """That a department, with those below it, sees or edits an opportunity. The group is the department's."""

    content_object = models.ForeignKey("opportunities.Opportunity", models.CASCADE, related_name="group_shares")

    class Meta(GroupObjectPermissionBase.Meta):
        abstract = False


def shares_of(opportunity):
    """This will list the shares of an opportunity, people first, each kind in the order given; in one query."""
    return [
        Share("department", whom, localized(json.loads(label)), permission == "change_opportunity")
        if kind
        else Share("person", whom, label, permission == "change_opportunity")
        for kind, _pk, whom, label, permission in _shares_of(opportunity.pk)
    ]


@prepared
def _shares_of(opportunity):
    names = Cast("group__department__names", models.CharField())
    people, departments = (
        kind.objects.filter(content_object=opportunity) for kind in (OpportunityUserShare, OpportunityGroupShare)
    )
    people = people.annotate(kind=Value(0), whom=F("user"), label=F("user__name"))
    departments = departments.annotate(kind=Value(1), whom=F("group__department"), label=names)
    columns = ("kind", "pk", "whom", "label", "permission__codename")
    return people.values_list(*columns).union(departments.values_list(*columns), all=True).order_by("kind", "pk")
