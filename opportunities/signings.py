"""The facts that sums are made of: signings, and where opportunities stood on any past day."""

from decimal import Decimal

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm.models import AtDepartment
from crm.moments import organisation_month
from crm.money import Priced
from notices.history import describe


class Signing(Priced, AtDepartment):
    """
    The fact of a signature, with owner and department as they were, and the organisation's month that it counts in.
    The ranking's amounts are sums of these rows, and of nothing else.
    """

    opportunity = models.OneToOneField("opportunities.Opportunity", models.PROTECT, related_name="signing")
    contract_number = models.CharField(_("contract number"), max_length=60, blank=True)
    signed_on = models.DateField(_("signed on"))
    term = models.PositiveSmallIntegerField(_("term"), null=True, blank=True)  # months
    month = models.DateField()
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)

    class Meta:
        verbose_name = _("signing")
        indexes = [  # what somebody whose scope ends there sees of a month
            models.Index(fields=["month", "province", "owner", "opportunity"], name="signing_province"),
            models.Index(fields=["month", "city", "owner", "opportunity"], name="signing_city"),
        ]

    def __str__(self):
        return f"{self.contract_number} {self.signed_on}"

    @staticmethod
    def day(form):
        return timezone.datetime.fromisoformat(form["signed_on"]).date()

    @classmethod
    def of(cls, opportunity, form):
        """This will build the signing that `form` asked for, credited to the opportunity's owner."""
        signing = cls(opportunity=opportunity, owner_id=opportunity.owner_id, currency=opportunity.currency)
        signing.place(opportunity.department)
        signing.enter(
            contract_number=form["contract_number"],
            amount=form["signed_amount"],
            signed_on=cls.day(form),
            term=form["term"],
        )
        return signing

    def enter(self, *, contract_number, amount, signed_on, term):
        self.contract_number = contract_number
        self.amount = Decimal(amount)
        self.signed_on = signed_on
        self.term = term
        self.month = organisation_month(signed_on)
        self.rate_on = signed_on
        self.price()

    def figures(self):
        """This will give what a correction may change, described."""
        return {name: describe(getattr(self, name)) for name in ("contract_number", "amount", "signed_on", "term")}


class MovementQuerySet(models.QuerySet):
    def that_count(self):
        """This will narrow to the way that it went, without what was undone, in order."""
        return self.filter(undone=False).order_by("opportunity", "id")


class Movement(models.Model):
    """
    Where an opportunity stood from a moment on: one narrow row whenever something changed that sums are made of.
    Only ever added to, so that any past day can be asked for: what was undone stays too, marked with what undid it.
    """

    opportunity = models.ForeignKey(
        "opportunities.Opportunity", models.CASCADE, related_name="movements", db_index=False
    )
    at = models.DateTimeField(default=timezone.now)
    version = models.PositiveIntegerField(default=0)  # of the opportunity, once it moved; 0: not by a verb of it
    undone = models.BooleanField(default=False)  # it was set back since, or sets something back: its way leads round it
    state = models.CharField(max_length=11)
    stage = models.ForeignKey("opportunities.Stage", models.PROTECT, related_name="+", db_index=False)
    base_cents = models.BigIntegerField()
    probability = models.PositiveSmallIntegerField()
    expected_close_on = models.DateField(null=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    department = models.ForeignKey("crm.Department", models.PROTECT, related_name="+", db_index=False)
    province = models.ForeignKey("crm.Department", models.PROTECT, related_name="+", db_index=False)
    city = models.ForeignKey("crm.Department", models.PROTECT, related_name="+", db_index=False)

    KEEPS_THE_PAST = True

    objects = MovementQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["opportunity", "id"], name="movement_opportunity"),
            models.Index(fields=["at"], name="movement_at"),
        ]

    def __str__(self):
        return f"{self.opportunity_id} {self.at:%Y-%m-%d}"
