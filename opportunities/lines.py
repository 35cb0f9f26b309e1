"""The lines of an opportunity: what is offered, how much of it, at what price; and the amount as their sum."""

from decimal import ROUND_HALF_UP, Decimal

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from crm import shown
from crm.money import LARGEST
from crm.names import localized
from crm.verbs import Refused
from opportunities.products import Product, RevenueCategory

MOST = 100  # lines of one opportunity
CENT = Decimal("0.01")


class Line(models.Model):
    """
    One line: a product or a description, a quantity, a price for one, a discount in percent. `subtotal` follows from
    those, rounded half up to a cent, so that what is shown adds up to the sum. The category is kept as it was chosen:
    it need not be the product's.
    """

    LARGEST_QUANTITY = Decimal("999999999.999")

    opportunity = models.ForeignKey(
        "opportunities.Opportunity", models.CASCADE, related_name="lines", db_index=False, editable=False
    )
    position = models.PositiveSmallIntegerField(editable=False)
    product = models.ForeignKey(
        Product, models.PROTECT, null=True, blank=True, related_name="lines", verbose_name=_("product")
    )
    category = models.ForeignKey(
        RevenueCategory,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="lines",
        verbose_name=_("revenue category"),
    )
    description = models.CharField(_("description"), max_length=200, blank=True)
    quantity = models.DecimalField(_("quantity"), max_digits=12, decimal_places=3)
    unit = models.CharField(_("unit"), max_length=20, blank=True)
    price = models.DecimalField(_("price"), max_digits=16, decimal_places=2)
    discount = models.DecimalField(_("discount"), max_digits=5, decimal_places=2, default=0)
    subtotal = models.DecimalField(_("subtotal"), max_digits=16, decimal_places=2, editable=False)

    class Meta:
        verbose_name = _("line")
        verbose_name_plural = _("lines")
        ordering = ["opportunity", "position"]
        constraints = [
            models.UniqueConstraint(fields=["opportunity", "position"], name="line_position"),
            models.CheckConstraint(condition=Q(product__isnull=False) | ~Q(description=""), name="line_what"),
            models.CheckConstraint(
                condition=Q(quantity__gt=0, price__gte=0, discount__gte=0, discount__lte=100), name="line_figures"
            ),
        ]

    def __str__(self):
        return self.name

    @property
    def name(self):
        """This will name the product, its description after it; or the description alone."""
        return self.name_in(translation.get_language())

    def name_in(self, language):
        with translation.override(language):
            product = localized(self.product.names) if self.product_id else ""
        return ", ".join(filter(None, [product, self.description]))

    def work_out(self):
        """This will bring subtotal in line with quantity, price and discount, and give it."""
        self.quantity, self.price, self.discount = map(Decimal, (self.quantity, self.price, self.discount))
        whole = self.quantity * self.price * (100 - self.discount) / 100
        self.subtotal = whole.quantize(CENT, ROUND_HALF_UP)
        return self.subtotal

    def settle(self):
        """This will bring the subtotal in line. Raises Refused, naming the field, where this is no line."""
        if self.product_id is None and not self.description.strip():
            raise Refused(_("Choose a product, or describe what is sold."), field="product")
        if not 0 < self.quantity <= self.LARGEST_QUANTITY:
            raise Refused(_("A quantity is above zero and below a billion."), field="quantity")
        if not 0 <= self.price <= LARGEST:
            raise Refused(_("An amount is not below zero."), field="price")
        if not 0 <= self.discount <= 100:
            raise Refused(_("A discount is from 0 to 100 %."), field="discount")
        if self.work_out() > LARGEST:
            raise Refused(_("That is too large. Write at most 12 digits before the point."), field="quantity")

    def copied(self, opportunity):
        """This will build the same line of another opportunity, and not save it."""
        same = ("position", "product", "category", "description", "quantity", "unit", "price", "discount", "subtotal")
        return Line(opportunity=opportunity, **{name: getattr(self, name) for name in same})

    def figures(self, currency):
        """This will write its figures: 12 month × ¥1,200 − 10 % = ¥12,960."""
        quantity = " ".join(filter(None, [shown.quantity(self.quantity), self.unit]))
        discount = f" − {shown.quantity(self.discount)} %" if self.discount else ""
        price, subtotal = shown.money(self.price, currency), shown.money(self.subtotal, currency)
        return f"{quantity} × {price}{discount} = {subtotal}"

    def described(self, currency):
        """This will give the line as a history keeps it: as `describe` gives a record with names."""
        figures = self.figures(currency)
        label = {code: f"{self.name_in(code)}: {figures}" for code, _name in settings.LANGUAGES}
        return {"id": self.product_id, "label": label}


class Lined(models.Model):
    """What has lines, and an amount that is either typed or their sum; `line_count` saves asking for none."""

    class AmountFrom(models.TextChoices):
        TYPED = "typed", _("Typed by hand")
        LINES = "lines", _("The sum of the lines")

    amount_from = models.CharField(
        _("how the amount is set"), max_length=5, choices=AmountFrom, default=AmountFrom.TYPED, editable=False
    )
    line_count = models.PositiveSmallIntegerField(default=0, editable=False)

    class Meta:
        abstract = True

    @property
    def adds_up(self):
        """This will tell whether the amount is the sum of the lines."""
        return self.amount_from == self.AmountFrom.LINES

    def its_lines(self):
        """This will list the lines in order, with what they name; without a query where there are none."""
        if "_its_lines" not in self.__dict__:
            rows = self.lines.select_related("product", "category").order_by("position") if self.line_count else ()
            self._its_lines = list(rows)
        return self._its_lines

    @property
    def lines_total(self):
        return sum((line.subtotal for line in self.its_lines()), Decimal(0))

    def lines_described(self):
        """This will give the lines as a history keeps them; None without any."""
        return [line.described(self.currency) for line in self.its_lines()] or None

    def changes(self):
        """This will add to a record's changes the lines, where `put_lines` put others."""
        changed = super().changes()
        if "_lines_before" in self.__dict__ and self._lines_before != (now := self.lines_described()):
            changed["lines"] = [self._lines_before, now]
        return changed

    def remember(self):
        super().remember()
        self.__dict__.pop("_lines_before", None)

    def refresh_from_db(self, *args, **kwargs):
        self.__dict__.pop("_its_lines", None)
        super().refresh_from_db(*args, **kwargs)

    def put_lines(self, lines):
        """This will put `lines`, not saved, in the place of those there are. Raises Refused."""
        if len(lines) > MOST:
            raise Refused(_("An opportunity has at most %(count)d lines.") % {"count": MOST}, field="amount_from")
        had = {line.product_id for line in self.its_lines()}
        self._lines_before = self.lines_described()
        for position, line in enumerate(lines, 1):
            line.pk, line.opportunity, line.position = None, self, position
            line.settle()
        chosen = {line.product_id for line in lines if line.product_id} - had
        if retired := Product.objects.filter(pk__in=chosen, active=False).first() if chosen else None:
            raise Refused(_("%(product)s is no longer sold. Choose another.") % {"product": retired})
        self._its_lines, self.line_count = list(lines), len(lines)
        if self.changes().get("lines"):
            self.lines.all().delete()
            Line.objects.bulk_create(lines)

    def add_up(self):
        """This will make the amount the sum of the lines where it is to be that. Raises Refused."""
        if not self.adds_up:
            return
        if not self.line_count:
            raise Refused(
                _("Without lines there is no sum: add a line, or choose that the amount is typed."), field="amount_from"
            )
        if self.lines_total > LARGEST:
            raise Refused(_("Together the lines come to more than an amount can be."), field="amount_from")
        self.amount = self.lines_total
