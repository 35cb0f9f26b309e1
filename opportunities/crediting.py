"""
What each person was credited with in a month: signings and granted reports, added up as they come.

A ranking reads one row here for each person, instead of one for each fact of the month. A row is written in the
transaction of its fact; `verify` adds up anew, and `manage.py recount` writes what that gives.
"""

from collections import defaultdict

from django.conf import settings
from django.db import connection, models, transaction
from django.db.models import Count, Sum

from approvals.models import Act, Approval
from crm.models import AtDepartment
from opportunities.signings import Signing

KEY = ("month", "owner_id", "department_id", "city_id", "province_id")
SUMS = ("base_cents", "signed", "reported")
COLUMNS = ", ".join([*KEY, *SUMS])
# Both databases read these. What two write at once is added, whoever comes first.
ADD = f"""
    INSERT INTO opportunities_credit ({COLUMNS}) VALUES ({", ".join(["%s"] * len(KEY + SUMS))})
    ON CONFLICT ({", ".join(KEY)}) DO UPDATE SET
    {", ".join(f"{name} = opportunities_credit.{name} + excluded.{name}" for name in SUMS)}
"""  # noqa: S608  made of the names above
FILL = f"""
    INSERT INTO opportunities_credit ({COLUMNS})
    SELECT {", ".join(KEY)}, sum(base_cents), sum(signed), sum(reported) FROM (
        SELECT {", ".join(KEY)}, base_cents, 1 AS signed, 0 AS reported FROM opportunities_signing
        UNION ALL
        SELECT {", ".join(KEY)}, 0, 0, 1 FROM approvals_approval WHERE act = 'report' AND month IS NOT NULL
        AND about_type_id IN (
            SELECT id FROM django_content_type WHERE app_label = 'opportunities' AND model = 'opportunity'
        )
    ) AS facts GROUP BY {", ".join(KEY)} ORDER BY {", ".join(KEY)}
"""  # noqa: S608  made of the names above; in order, so that what a ranking reads lies together


class Credit(AtDepartment):
    """
    What one person was credited with in one month at one department, with that department's ancestors as they were:
    `signed` opportunities for `base_cents`, hundredths of the base currency, and `reported` ones.
    """

    month = models.DateField()
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    base_cents = models.BigIntegerField()
    signed = models.IntegerField()
    reported = models.IntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["month", "owner", "department", "city", "province"], name="credit_of_one_month"
            ),
        ]
        indexes = [
            models.Index(fields=["month", column], name=f"credit_{column}")
            for column in ("department", "city", "province")
        ]

    def __str__(self):
        return f"{self.owner_id} {self.month:%Y-%m}"


def credit(*, signed=(), reported=(), no_longer_signed=()):
    """This will add signings and granted reports to what their owners are credited with, and take signings away."""
    more = defaultdict(lambda: [0, 0, 0])
    for signings, sign in ((signed, 1), (no_longer_signed, -1)):
        for signing in signings:
            sums = more[_key(signing)]
            sums[0] += sign * signing.base_cents
            sums[1] += sign
    for report in reported:
        more[_key(report)][2] += 1
    rows = sorted((*key, *sums) for key, sums in more.items() if any(sums))  # in one order, so that no two block
    with connection.cursor() as cursor:
        for row in rows:
            cursor.execute(ADD, row)
    if no_longer_signed:
        owners = {signing.owner_id for signing in no_longer_signed}
        Credit.objects.filter(owner__in=owners, signed=0, reported=0).delete()


def _key(fact):
    return tuple(getattr(fact, name) for name in KEY)


@transaction.atomic
def recount():
    """This will add up all signings and granted reports anew, while nobody adds any."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("LOCK TABLE opportunities_credit IN EXCLUSIVE MODE")
        cursor.execute("DELETE FROM opportunities_credit")
        cursor.execute(FILL)


def differences():
    """This will give a sentence for each credit that is not the sum of its signings and reports."""
    sums = defaultdict(lambda: [0, 0, 0])
    added = {"cents": Sum("base_cents"), "facts": Count("*")}
    for *key, cents, facts in Signing.objects.order_by().values_list(*KEY).annotate(**added):
        sums[*key][:2] = cents, facts
    about = Signing.opportunity.field.related_model
    reports = Approval.objects.granted(Act.REPORT).filter(about_type__model=about._meta.model_name).order_by()
    for *key, facts in reports.values_list(*KEY).annotate(facts=Count("*")):
        sums[*key][2] = facts
    kept = {tuple(key): row for *key, row in _rows()}
    for key in sorted(sums.keys() | kept.keys()):
        if sums.get(key) != kept.get(key):
            yield f"credit of {key[1]} in {key[0]:%Y-%m}: it is not the sum of what was signed and reported"


def _rows():
    for row in Credit.objects.order_by().values_list(*KEY, *SUMS):
        yield *row[: len(KEY)], list(row[len(KEY) :])
