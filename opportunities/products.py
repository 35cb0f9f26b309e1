"""What is sold, as the price list has it: revenue categories in three levels, and products."""

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm import shown
from crm.money import LARGEST
from crm.names import Picklist, localized, validate_names


class RevenueCategory(Picklist):
    """Under what revenue is counted: a category, a sub-category, or a sub-sub-category."""

    LEVELS = 3

    parent = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="children",
        verbose_name=pgettext_lazy("revenue category", "part of"),
    )
    level = models.PositiveSmallIntegerField(_("level"), default=1, editable=False)

    class Meta(Picklist.Meta):
        verbose_name = _("revenue category")
        verbose_name_plural = _("revenue categories")
        constraints = [
            models.CheckConstraint(
                condition=Q(level=1, parent=None) | Q(level__range=(2, 3), parent__isnull=False),
                name="revenue_category_level",
            )
        ]

    @property
    def detail(self):
        return self.parent.name if self.parent else ""

    def merges_into(self, other):
        return self.level == other.level

    def clean(self):
        self.level = self.parent.level + 1 if self.parent else 1  # which the constraint asks for
        if self.parent is None:
            return
        if self.pk and self.pk in [self.parent.pk, *(one.pk for one in self.parent.above())]:
            raise ValidationError({"parent": _("A category cannot be part of itself.")})
        if self.parent.level + self._depth() > self.LEVELS:
            raise ValidationError({"parent": _("Categories have three levels at most.")})

    def save(self, *args, **kwargs):
        """This will keep the level true, of this category and of those below."""
        self.level = self.parent.level + 1 if self.parent_id else 1
        super().save(*args, **kwargs)
        for child in self.children.exclude(level=self.level + 1):
            child.save()

    def above(self):
        """This will list the categories that this one is part of, the nearest first; each once."""
        found, one = [], self
        while one.parent_id and one.parent not in found:
            one = one.parent
            found.append(one)
        return found

    def _depth(self):
        """This will count the levels from this category down, itself included."""
        below = self.children.all() if self.pk else ()
        return 1 + max((child._depth() for child in below), default=0)

    @classmethod
    def tree(cls):
        """This will list all categories, each after the one it is part of, as (category, its name with those above)."""
        of = {}
        for category in cls.objects.all():
            of.setdefault(category.parent_id, []).append(category)

        def below(parent, names):
            for category in of.get(parent, ()):
                path = [*names, category.name]
                yield category, " › ".join(path)
                yield from below(category.pk, path)

        return list(below(None, []))


class Product(Picklist):
    """What is sold at a price; its key is its code."""

    category = models.ForeignKey(
        RevenueCategory, models.PROTECT, related_name="products", verbose_name=_("revenue category")
    )
    unit = models.JSONField(
        _("unit"), default=dict, validators=[validate_names], help_text=_("What the price is for: a month, a port.")
    )
    price = models.DecimalField(
        _("list price"), max_digits=16, decimal_places=2, validators=[MinValueValidator(0), MaxValueValidator(LARGEST)]
    )

    class Meta(Picklist.Meta):
        verbose_name = _("product")
        verbose_name_plural = _("products")
        constraints = [models.CheckConstraint(condition=Q(price__gte=0), name="product_price")]

    @property
    def detail(self):
        return f"{self.category.name}, {shown.money(self.price)} / {self.unit_name}"

    @property
    def unit_name(self):
        return localized(self.unit)
