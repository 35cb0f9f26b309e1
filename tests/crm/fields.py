"""Fields that administrators added, for tests: one of each kind, and what a record may hold of each."""

from crm import custom_changes
from crm.custom_fields import CHOOSING, CustomField, Kind
from crm.models import User
from tests import factories as make


def administrator():
    """This will give somebody who administers, made if need be."""
    return User.objects.filter(roles__key="administrator").first() or make.user(
        None, "administrator", at="head-office", language="en"
    )


def field(subject, kind, name=None, *, options=("North", "South", "East"), **values):
    """This will add a field to a kind of record; of those that choose, with `options`."""
    made = CustomField(
        subject=subject, kind=kind, names={"en": name or f"Our {str(Kind(kind).label).lower()}"}, **values
    )
    given = [{"en": one} for one in options] if kind in CHOOSING else ()
    custom_changes.create(made, by=administrator(), options=given)
    return made


def one_of_each(subject):
    """This will add a field of each kind, {kind: CustomField}."""
    return {kind: field(subject, kind) for kind in Kind.values}
