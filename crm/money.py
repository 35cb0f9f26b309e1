"""An amount, its currency, and what it is worth in the base currency on the day of its rate."""

from decimal import ROUND_HALF_UP, Decimal

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from crm.moments import organisation_today
from crm.organisation import Organisation

# One of the databases keeps a decimal as a float, exact to 15 digits, and sums of cents must stay within 64 bits.
LARGEST = Decimal("999999999999.99")


def base_currency():
    return Organisation.current().currency


class Priced(models.Model):
    """
    A record with an amount. Every sum reads `base_cents`, the amount in hundredths of the base currency: an integer
    adds up exactly on both databases, where a decimal becomes a float on one of them.
    """

    amount = models.DecimalField(
        _("amount"),
        max_digits=16,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(LARGEST)],
    )
    currency = models.CharField(_("currency"), max_length=3, default=base_currency, editable=False)
    base_cents = models.BigIntegerField(default=0, editable=False)
    rate_on = models.DateField(null=True, editable=False)  # the day whose rate turned amount into base_cents

    class Meta:
        abstract = True

    def price(self):
        """This will bring the base amount in line with the amount. All amounts are in the base currency so far."""
        self.amount = None if self.amount is None else round(Decimal(self.amount), 2)
        self.base_cents = 0 if self.amount is None else int((self.amount * 100).to_integral_value(ROUND_HALF_UP))
        self.rate_on = None if self.amount is None else self.rate_on or organisation_today()
