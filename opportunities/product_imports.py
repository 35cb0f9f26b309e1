"""What may be imported of the price list: products, each as the form of its page takes it."""

from django.utils.translation import gettext_lazy as _

from crm.picklist_imports import ValuesImport
from crm.picklist_pages import form_of
from crm.resources import Cell, Column, Few, importable
from opportunities.products import Product, RevenueCategory

PIECE = {"en": "piece", "zh-hans": "个"}  # what most things are sold by, as a price list writes it


class Category(Few):
    """A revenue category, by its key, by its name, or by that with those above it: Equipment › Cameras."""

    def __init__(self):
        tree = RevenueCategory.tree()
        super().__init__(
            ((one.key, [path, one.name, *one.names.values()], one) for one, path in tree if one.active), required=True
        )


@importable
class ProductImport(ValuesImport):
    """Products of the price list, in the categories that are there."""

    key = "products"
    label = _("Products")
    hint = _(
        "Each row becomes a product, at a price in the currency of the organisation; "
        "one whose key or name is there already is recognised."
    )
    apart = False
    aliases = {
        "key": "code, product code, product id, sku, item no, item number, part number, id, "
        "产品编码, 产品代码, 产品编号, 编码, 编号, 代码, 物料编码",
        "category": "category, product category, series, product line, group, type, "
        "产品类别, 产品分类, 类别, 分类, 系列, 产品系列, 产品线",
        "price": "price, sales price, selling price, unit price, list price, 单价, 价格, 售价, 销售价, 报价",
        "colour": "color",
        "order": "position, rank, number, 排序, 序号",
        "active": "in use, enabled, is active, 是否启用, 状态",
    }

    class Meta:
        model = Product
        fields = ()

    def columns(self):
        form = form_of(Product)(instance=Product(), user=self.user)
        fields = form.fields
        return [
            *self.named(
                form,
                en="product, product name, item, item name, name, title, english name, 英文名称",
                zh="产品, 产品名称, 商品名称, 品名, 名称, chinese name, 中文名称",
            ),
            self.keyed(form),
            Column("category", fields["category"].label, Category(), required=True),
            Column("price", fields["price"].label, Cell(fields["price"]), required=True),
            *self.named(form, "unit", en="unit, unit of measure, uom, measure", zh="单位, 计量单位, 计价单位"),
            *self.common(form),
        ]

    def guess(self, names, earlier=None):
        """This will propose that all are sold by the piece, in each language, where no column says the unit."""
        matching = super().guess(names, earlier)
        if not any(name.startswith("unit_") for name in matching):
            units = {f"unit_{code}": {"value": word} for code, word in PIECE.items()}
            matching |= {name: source for name, source in units.items() if name in self.fields}
        return matching

    def build(self, values):
        if self._there(Product, values) is not None:  # what is sold by something else is not sold by the piece now
            values = {name: text for name, text in values.items() if not self._is_proposed(name)}
        return self.value(Product, values)

    def _is_proposed(self, name):
        language = name.removeprefix("unit_")
        return language != name and name in self.fixed and self.fixed[name] == PIECE.get(language)
