"""Products come in from a file as they come in from the page of the price list: the same rows, the same refusals."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.django import TestCase

from crm.models import Audit
from crm.picklist_pages import form_of
from crm.resources import kinds
from opportunities.models import Product, RevenueCategory
from tests import factories as make
from tests.digest import nothing_changed
from tests.importing import SHARED, begin, checked, imported, match, needs_shared, refusals, signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def administrator():
    return make.user("lin", "administrator", at="head-office")


@pytest.fixture
def admin():
    return signed_in(administrator())


def category(key="equipment", name="Equipment", parent=None, **fields):
    made = RevenueCategory(key=key, names={"en": name}, parent=parent, **fields)
    made.save()
    return made


def test_products_come_in_with_category_unit_and_price(admin):
    equipment, services = category(), category("services", "Services")
    other = category("other", "Other", services)
    content = """产品编码,产品名称,Product,类别,单价,计量单位,Unit in English,启用
CAM-9,摄像头,Camera,equipment,1450,台,piece,是
,,Support,Services › Other,99.50,,month,
OLD,,Tape,Equipment,0,,piece,否
"""

    run = imported(admin, "products", content)

    assert (run.new, run.refused) == (3, 0), refusals(run)
    fields = ("names", "category", "price", "unit", "active")
    assert {one.key: tuple(getattr(one, name) for name in fields) for one in Product.objects.all()} == {
        "CAM-9": (
            {"en": "Camera", "zh-hans": "摄像头"},
            equipment,
            Decimal("1450"),
            {"en": "piece", "zh-hans": "台"},
            True,
        ),
        "support": ({"en": "Support"}, other, Decimal("99.50"), {"en": "month"}, True),
        "OLD": ({"en": "Tape"}, equipment, Decimal("0"), {"en": "piece"}, False),
    }
    notes = Audit.objects.filter(kind="picklist_changed").values_list("data__list", "data__key", "by__username")
    assert set(notes) == {("product", key, "lin") for key in ("CAM-9", "support", "OLD")}


def test_where_no_column_says_the_unit_a_piece_is_proposed_for_all_rows(admin):
    category()

    imported(admin, "products", "name,category,price\nCamera,Equipment,1450\n")
    imported(admin, "products", "name,category,price,单位\nLine,Equipment,90,月\n")
    emptied = {"value_unit_en": "", "value_unit_zh-hans": ""}
    none = checked(admin, "products", "name,category,price\nTape,Equipment,5\n", **emptied)

    units = {product.names["en"]: product.unit for product in Product.objects.all()}
    assert units == {"Camera": {"en": "piece", "zh-hans": "个"}, "Line": {"zh-hans": "月"}}
    assert refusals(none) == [(2, "Unit in English", "", "Fill in the unit, for example piece.")]


def test_new_prices_of_a_price_list_come_in_and_the_rest_stays(admin):
    category()
    category("lines", "Lines")
    imported(admin, "products", "code,name,中文名称,category,price,unit\nCAM-9,Camera,摄像头,Equipment,1450,piece\n")
    content = "code,name,category,price,unit\nCAM-9,Camera,Lines,1390.50,set\n"

    run = imported(admin, "products", content, mode="overwrite")

    assert (run.new, run.changed) == (0, 1)
    assert run.changes == [
        [
            "Camera",
            [
                ["Revenue category", "Equipment", "Lines"],
                ["Unit in English", "piece", "set"],
                ["List price", "¥1,450", "¥1,390.50"],
            ],
        ]
    ]
    camera = Product.objects.get()
    assert (camera.names, camera.price, camera.category.key, camera.unit, camera.version) == (
        {"en": "Camera", "zh-hans": "摄像头"}, Decimal("1390.50"), "lines", {"en": "set"}, 1,
    )  # fmt: skip


def test_the_piece_that_is_proposed_as_unit_is_not_put_upon_what_is_there(admin):
    category()
    imported(admin, "products", "code,name,category,price,unit,单位\nL-1,Line,Equipment,90,month,月\n")
    content = "code,name,category,price\nL-1,Line,Equipment,95\nTAPE,Tape,Equipment,5\n"

    imported(admin, "products", content, mode="overwrite")
    assert {one.key: (one.price, one.unit) for one in Product.objects.all()} == {
        "L-1": (Decimal("95"), {"en": "month", "zh-hans": "月"}),
        "TAPE": (Decimal("5"), {"en": "piece", "zh-hans": "个"}),
    }
    imported(admin, "products", content, mode="overwrite", **{"value_unit_en": "year", "value_unit_zh-hans": "年"})
    assert [one.unit for one in Product.objects.all()] == [{"en": "year", "zh-hans": "年"}] * 2


def test_the_same_file_again_changes_nothing(admin):
    category()
    content = "code,name,category,price,unit\nCAM-9,Camera,Equipment,1450,piece\n,Tape,Equipment,5,piece\n"
    imported(admin, "products", content)

    again = checked(admin, "products", content.replace("1450", "1500").replace("CAM-9,Camera", "CAM-9,Renamed"))

    assert (again.new, again.unchanged + again.skipped) == (0, 2)
    with nothing_changed():
        assert admin.post(f"/imports/{again.pk}/run/").status_code == 409


def test_what_the_page_refuses_is_refused_row_by_row(admin):
    category()
    category("gone", "Gone", active=False)
    content = """code,name,category,price,unit,colour
A,Camera,Equipment,-1,piece,
B,Camera B,Equipment,about 5,piece,
C,Camera C,Equipment,1.234,piece,
D,Camera D,Gone,5,piece,
E,Camera E,,5,piece,
F,Camera F,Equipment,,piece,
G,Camera G,Equipment,5,,
H,,Equipment,5,piece,
I,Camera I,Equipment,5,piece,red
J J,Camera J,Equipment,5,piece,
K,Camera K,Equipment,9999999999999,piece,
"""

    run = checked(admin, "products", content)

    assert (run.new, run.refused) == (0, 11)
    assert [(row, column, why) for row, column, _text, why in refusals(run)] == [
        (2, "price", "Ensure this value is greater than or equal to 0."),
        (3, "price", "Enter a number."),
        (4, "price", "Ensure that there are no more than 2 decimal places."),
        (5, "category", "“Gone” is not in the list."),
        (6, "category", "Fill this in."),
        (7, "price", "Fill this in."),
        (8, "unit", "Fill in the unit, for example piece."),
        (9, "name", "Give a name in at least one language."),
        (10, "colour", "Write it like #2f45c4."),
        (11, "code", "Enter a valid “slug” consisting of letters, numbers, underscores or hyphens."),
        (12, "price", "Ensure this value is less than or equal to 999999999999.99."),
    ]


class TestSameRules(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(
        row=some.fixed_dictionaries(
            {
                "name_en": some.text("ab \t石", max_size=4),
                "name_zh-hans": some.sampled_from(["", "石", "y" * 81]),
                "key": some.text("a-_ B", max_size=4),
                "category": some.sampled_from(["", "Equipment", "equipment", "nothing"]),
                "price": some.sampled_from(["", "5", " 5.50 ", "5.555", "-1", "x", "1e3", "NaN", "9" * 13, "９"]),
                "unit_en": some.sampled_from(["", "piece", "  "]),
                "unit_zh-hans": some.sampled_from(["", "台"]),
                "colour": some.sampled_from(["", "#2f45c4", "red"]),
            }
        )
    )
    def test_a_row_is_refused_exactly_where_the_form_refuses_it(self, row):
        admin, equipment = administrator(), category()
        resource = kinds()["products"](admin)
        resource.match({name: {"column": number} for number, name in enumerate(row)}, {})
        [verdict] = resource.read([[2, *row.values()]])

        chosen = {"category": {"": "", "nothing": "0"}.get(row["category"], equipment.pk)}
        form = form_of(Product)({**row, **chosen}, instance=Product(), user=admin)

        assert form.is_valid() == (not verdict.faults), (form.errors, verdict.faults)
        assert {name for name, _text, _why in verdict.faults} <= form.errors.keys()
        if verdict.record is not None:
            for name in ("names", "key", "category", "price", "unit", "colour"):
                assert getattr(form.instance, name) == getattr(verdict.record, name)


# Real price lists

SERIES = {"GTX", "MG", "GTK"}


@needs_shared
def test_a_real_price_list_comes_in_after_its_series(admin):
    """Each series becomes a category first; the file says no unit, so that is one value for all rows."""
    content = (SHARED / "crm-sales" / "products.csv").read_bytes()

    series = imported(admin, "picklists", content, from_list="=revenue-category", column_1="name_en", column_0="")
    assert (series.new, series.unchanged + series.skipped, series.refused) == (3, 4, 0)
    run = begin(admin, "products", content)
    guessed = kinds()["products"](make_admin()).guess(run.names)
    assert guessed == {
        "name_en": {"column": 0},
        "category": {"column": 1},
        "price": {"column": 2},
        "unit_en": {"value": "piece"},
        "unit_zh-hans": {"value": "个"},
    }
    products = imported(admin, "products", content, value_unit_en="licence")

    assert (products.new, products.refused) == (7, 0)
    listed = {(one.names["en"], one.category.name, one.price, one.unit_name) for one in Product.objects.all()}
    assert listed == {
        ("GTX Basic", "GTX", 550, "licence"),
        ("GTX Pro", "GTX", 4821, "licence"),
        ("MG Special", "MG", 55, "licence"),
        ("MG Advanced", "MG", 3393, "licence"),
        ("GTX Plus Pro", "GTX", 5482, "licence"),
        ("GTX Plus Basic", "GTX", 1096, "licence"),
        ("GTK 500", "GTK", 26768, "licence"),
    }


def make_admin():
    return make.user("second", "administrator", at="head-office")


def test_a_price_list_whose_categories_are_not_there_asks_what_they_stand_for(admin):
    category()
    content = "product,series,sales_price\nGTX Basic,GTX,550\nMG Special,MG,55\n"
    run = begin(admin, "products", content)

    match(admin, run, value_unit_en="licence")
    [gtx, mg] = admin.get(f"/imports/{run.pk}/match/").context["form"].unknown
    assert (gtx["text"], mg["text"]) == ("GTX", "MG")

    run = checked(admin, "products", content, {"GTX": "equipment"}, value_unit_en="licence")
    assert (run.new, refusals(run)) == (1, [(3, "series", "MG", "“MG” is not in the list.")])
