"""The form of an opportunity's lines: a row for each, and whether the amount is their sum."""

from decimal import Decimal

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from crm import shown
from crm.fields import AmountField, PickerField, narrow, read_amount
from crm.forms import Form
from crm.verbs import Refused
from opportunities.lines import MOST, Line, Lined
from opportunities.products import Product, RevenueCategory


class ProductPicker(PickerField):
    """A product that is sold, by code or name; the second line says at what price."""

    url_name = "product_pick"
    exact = "key"

    def queryset_for(self, user):
        return Product.objects.filter(active=True)

    def search(self, queryset, text):
        part = narrow(text).casefold()
        rows = queryset.values_list("pk", "key", "names")
        found = [pk for pk, key, names in rows if any(part in one.casefold() for one in (key, *names.values()))]
        return queryset.filter(pk__in=found)

    def second(self, product):
        price = AmountField().prepare_value(product.price)
        return _("%(code)s, %(price)s a %(unit)s") % {"code": product.key, "price": price, "unit": product.unit_name}

    def option(self, product):
        """This will add what the choice fills in beside it."""
        fills = {"unit": product.unit_name, "price": AmountField().prepare_value(product.price)}
        return super().option(product) | {"fills": fills | {"category": str(product.category_id)}}


class NumberField(forms.Field):
    """A number above or at zero, as people write it: 12, 1,200, 1.2万, １２. Cleans to a Decimal, or None."""

    default_error_messages = {
        "invalid": _("Write a number, such as 12 or 1,200.5."),
        "places": _("Write at most %(count)d decimals."),
    }

    def __init__(self, *, places, **kwargs):
        super().__init__(widget=forms.TextInput({"inputmode": "decimal", "autocomplete": "off"}), **kwargs)
        self.places = places

    def to_python(self, value):
        if value in self.empty_values:
            return None
        try:
            number = read_amount(str(value).strip().removesuffix("%"))
        except ValueError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None
        if number != round(number, self.places):
            raise ValidationError(self.error_messages["places"], code="places", params={"count": self.places})
        return number

    def prepare_value(self, value):
        return shown.quantity(value) if isinstance(value, Decimal) else value


class LineForm(Form):
    """One line. What is left empty is the product's: its unit, its list price, its category."""

    product = ProductPicker(label=_("Product"), required=False)
    description = forms.CharField(label=_("Description"), required=False, max_length=200)
    category = forms.TypedChoiceField(label=_("Revenue category"), required=False, empty_value=None)
    quantity = NumberField(label=_("Quantity"), places=3, required=False)
    unit = forms.CharField(label=_("Unit"), required=False, max_length=20)
    price = AmountField(label=_("Price"), required=False)
    discount = NumberField(label=_("Discount %"), places=2, required=False)
    remove = forms.BooleanField(label=_("Remove this line"), required=False)

    def __init__(self, *args, categories, line=None, held=(), **kwargs):
        initial = {name: getattr(line, name) for name in self.base_fields if name != "remove"} if line else {}
        if line is not None:
            initial |= {"category": line.category_id, "discount": line.discount or None}
        super().__init__(*args, initial=initial, **kwargs)
        self.categories = categories
        self.fields["category"].choices = [("", ""), *categories]
        self.fields["category"].coerce = int
        self.fields["product"].hold(list(held))
        self.line = line

    @property
    def is_empty(self):
        """This will tell whether nothing was typed that says what is sold: such a row is no line."""
        names = ("product", "product_id", "description", "quantity", "price")
        return not any(self.data.get(self.add_prefix(name), "").strip() for name in names)

    @property
    def is_removed(self):
        return bool(self.data.get(self.add_prefix("remove"))) or self.is_empty

    def clean(self):
        if self.errors:
            return
        given = {name: value for name, value in self.cleaned_data.items() if name not in ("remove", "category")}
        product = given["product"]
        if product is not None:
            given["unit"] = given["unit"] or product.unit_name
            given["price"] = product.price if given["price"] is None else given["price"]
        for name in ("quantity", "price"):
            if given[name] is None:
                self.add_error(name, self.fields[name].error_messages["required"])
        if self.errors:
            return
        category = self.cleaned_data["category"] or (product and product.category_id)
        self.line = Line(**given | {"discount": given["discount"] or Decimal(0)}, category_id=category)
        try:
            self.line.settle()
        except Refused as error:
            self.refuse(error)

    @property
    def subtotal(self):
        """This will give what the line comes to, where that can be told."""
        return self.line.subtotal if self.line is not None and not (self.is_bound and self.errors) else None


class LinesForm(Form):
    """All lines of an opportunity, and what the amount is. `rows` are the LineForms, one at least."""

    amount_from = forms.ChoiceField(
        label=_("The amount is"), choices=reversed(Lined.AmountFrom.choices), widget=forms.RadioSelect
    )
    amount = AmountField(label=_("Amount"), required=False, help_text=_("Only where it is typed by hand."))

    def __init__(self, data=None, *, user, opportunity):
        lines = opportunity.its_lines()
        summed = opportunity.adds_up or (not lines and opportunity.amount is None)
        initial = {"amount_from": "lines" if summed else "typed", "amount": opportunity.amount}
        super().__init__(data, user=user, record=opportunity, initial=initial)
        self.opportunity = opportunity
        self.currency = opportunity.currency
        used = {line.category_id for line in lines}
        tree = RevenueCategory.tree()
        self.categories = [(one.pk, name) for one, name in tree if one.active or one.pk in used]
        self.rows = self._sent(data, lines) if self.is_bound else self._there(lines)

    def _row(self, number, *, data=None, line=None, held=()):
        prefix = f"line-{number}"
        return LineForm(data, prefix=prefix, user=self.user, categories=self.categories, line=line, held=held)

    def _there(self, lines):
        rows = [self._row(number, line=line) for number, line in enumerate(lines)]
        return rows or [self._row(0)]

    def _sent(self, data, lines):
        sent = data.get("rows", "")
        count = min(int(sent), 2 * MOST) if sent.isascii() and sent.isdigit() and len(sent) < 6 else 0
        keys = {data.get(f"line-{number}-product_id", "") for number in range(count)}
        held = {line.product for line in lines if line.product}
        # Read at once: each row would ask for its own.
        held.update(Product.objects.filter(pk__in=[key for key in keys if key.isascii() and key.isdigit()][:MOST]))
        sold = [product for product in held if product.active or product in {line.product for line in lines}]
        return [self._row(number, data=data, held=sold) for number in range(count)]

    @cached_property
    def spare(self):
        """This will give the row that the script adds a copy of."""
        return self._row("new")

    def add_row(self):
        """This will add an empty row; what was typed in the others stays."""
        self.rows.append(self._row(len(self.rows)))

    @property
    def left(self):
        return [row for row in self.rows if not row.is_removed]

    def clean(self):
        wrong = [row for row in self.left if not row.is_valid()]  # asked of all: each says what is wrong with it
        if wrong:
            self.add_error(None, _("Something is to be corrected in the lines."))

    @property
    def count(self):
        """This will count the lines that are left."""
        return len([row for row in (self.left if self.is_bound else self.rows) if row.subtotal is not None])

    @property
    def total(self):
        """This will give what the lines that can be read come to."""
        rows = self.left if self.is_bound else self.rows
        return sum((row.subtotal or Decimal(0) for row in rows), Decimal(0))

    def change(self):
        """This will put the lines in place. Gives whether it was done."""
        given = {name: self.cleaned_data.get(name) for name in ("amount_from", "amount")}
        return self.does(self.opportunity.change_lines, lines=[row.line for row in self.left], **given)
