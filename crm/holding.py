"""
What somebody has in hand, that another must take over before they can leave.

A model whose records can be in hand keeps these promises:

    IN_HAND              "3 open opportunities", as a sentence's part that takes %(count)d
    held_by(person)      a classmethod: the records that this person has in hand
"""

from collections import namedtuple

from django.apps import apps
from django.utils.translation import pgettext

Held = namedtuple("Held", ["model", "count", "said"])


def held_by(person):
    """This will list a Held for each kind of record of which `person` has any in hand."""
    counted = [(model, model.held_by(person).count()) for model in apps.get_models() if hasattr(model, "held_by")]
    return [Held(model, count, model.IN_HAND % {"count": count}) for model, count in counted if count]


def said(held):
    """This will say a list of Held in one line: 3 open opportunities, 1 customer."""
    return pgettext("between the members of a list", ", ").join(str(one.said) for one in held)


def rights(user):
    """This will give what a user may and sees, as the audit keeps it."""
    return {
        "active": user.is_active,
        "department": user.department and user.department.key,
        "roles": sorted(role.key for role in user.roles.all()),
    }
