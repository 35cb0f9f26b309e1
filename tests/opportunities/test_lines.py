"""
Lines: what is offered, line by line. The amount is their sum or is typed, and says which; while something is being
approved they are frozen as the amount is.
"""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from crm.money import LARGEST
from crm.verbs import NotAllowed, Refused, Stale
from notices import wording
from notices.history import Event
from opportunities.lines import MOST
from opportunities.models import Line, Movement, Opportunity, Product, RevenueCategory, State
from opportunities.verification import differences
from tests import factories as make
from tests.asserting import not_there
from tests.digest import nothing_changed
from tests.opportunities.acts import STATES, address, in_state, version

pytestmark = pytest.mark.django_db


@pytest.fixture
def opportunity(client):
    made = in_state("active")
    client.force_login(made.owner)
    return made


def sent(opportunity, *rows, amount_from="lines", **more):
    """This will give what the form of the lines sends: a dict for each row."""
    data = {"rows": len(rows), "version": version(opportunity), "amount_from": amount_from, "act": "save"}
    for number, row in enumerate(rows):
        data |= {f"line-{number}-{name}": value for name, value in row.items()}
    return data | more


def send(client, opportunity, *rows, **more):
    return client.post(address(opportunity, "lines"), sent(opportunity, *rows, **more))


def figures(opportunity):
    """This will give each line as (name, quantity, unit, price, discount, subtotal), numbers as text."""
    rows = Line.objects.filter(opportunity=opportunity)
    return [
        (line.name, *(f"{value.normalize():f}" if isinstance(value, Decimal) else value for value in columns))
        for line in rows
        for columns in [(line.quantity, line.unit, line.price, line.discount, line.subtotal)]
    ]


def stands(opportunity):
    """This will give (amount, what it is, the number of lines) as stored, and see that all that is derived holds."""
    assert list(differences()) == []
    it = Opportunity.objects.get(pk=opportunity.pk)
    return it.amount, it.amount_from, it.line_count


# Entering them


def test_they_are_entered_and_the_amount_is_their_sum(client, opportunity):
    camera = make.product(price=1450)
    answer = send(
        client,
        opportunity,
        {"product": "Product CAM", "product_id": camera.pk, "quantity": "24", "discount": "5 %"},
        {"description": "Door controllers", "quantity": "1.5", "unit": "set", "price": "1.2万"},
    )

    assert answer["Location"] == address(opportunity)
    assert figures(opportunity) == [
        ("Product CAM", "24", "piece", "1450", "5", "33060"),
        ("Door controllers", "1.5", "set", "12000", "0", "18000"),
    ]
    assert stands(opportunity) == (Decimal(51060), "lines", 2)
    assert Movement.objects.filter(opportunity=opportunity).latest("pk").base_cents == 5_106_000
    assert Line.objects.get(position=1).category == camera.category


def test_the_amount_is_typed_where_that_is_chosen(client, opportunity):
    send(
        client,
        opportunity,
        {"description": "All", "quantity": "1", "price": "90000"},
        amount_from="typed",
        amount="88,000",
    )

    assert stands(opportunity) == (Decimal(88000), "typed", 1)
    page = client.get(address(opportunity)).content.decode()
    assert "The grand total is typed by hand; the lines come to" in page and "¥90,000" in page


def test_the_page_says_that_the_grand_total_is_a_sum(client, opportunity):
    send(
        client,
        opportunity,
        {"description": "One", "quantity": "1", "price": "10"},
        {"description": "Two", "quantity": "2", "price": "0.05"},
    )

    page = client.get(address(opportunity)).content.decode()
    assert "¥10.10" in page and "the sum of 2 lines" in page and "The grand total is this sum." in page


def test_the_history_keeps_one_entry_with_what_it_was_and_is(client, opportunity):
    camera = make.product(names={"en": "Camera", "zh-hans": "摄像机"})
    send(client, opportunity, {"product_id": camera.pk, "quantity": "2"})
    send(client, opportunity, {"product_id": camera.pk, "quantity": "3", "discount": "10"})

    event, first, *_rest = Event.objects.about(opportunity)
    assert (event.kind, first.kind, event.by) == ("lines_changed", "lines_changed", opportunity.owner)
    assert [(change.label, change.old, change.new) for change in wording.changes(event)] == [
        ("Amount", "¥2,900", "¥3,915"),
        ("Lines", "Camera: 2 piece × ¥1,450 = ¥2,900", "Camera: 3 piece × ¥1,450 − 10 % = ¥3,915"),
    ]
    assert event.changes["lines"][1][0]["label"]["zh-hans"] == "摄像机: 3 piece × ¥1,450 − 10 % = ¥3,915"
    assert ("How the amount is set", "Typed by hand", "The sum of the lines") in wording.changes(first)


def test_saving_what_is_there_already_writes_nothing(client, opportunity):
    row = {"description": "One", "quantity": "2", "price": "10", "discount": "3"}
    send(client, opportunity, row)
    with nothing_changed():
        assert send(client, opportunity, row | {"quantity": "2.000", "price": "１０"}).status_code == 302


def test_a_removed_and_an_empty_row_are_no_lines(client, opportunity):
    row = {"description": "One", "quantity": "1", "price": "10"}
    send(client, opportunity, row, row | {"description": "Two"})
    send(client, opportunity, row | {"remove": "on"}, row | {"description": "Two"}, {"unit": "set"})

    assert figures(opportunity) == [("Two", "1", "", "10", "0", "10")]


def test_without_the_last_line_the_amount_is_typed_and_somebody_has_to_say_so(client, opportunity):
    row = {"description": "One", "quantity": "1", "price": "10"}
    send(client, opportunity, row)
    with nothing_changed():
        answer = send(client, opportunity, row | {"remove": "on"})
    assert "Without lines there is no sum" in answer.content.decode()

    send(client, opportunity, row | {"remove": "on"}, amount_from="typed", amount="10")
    assert stands(opportunity) == (Decimal(10), "typed", 0)


def test_add_line_brings_the_form_back_with_a_row_more_and_saves_nothing(client, opportunity):
    with nothing_changed():
        answer = send(client, opportunity, {"description": "One", "quantity": "x"}, act="add")

    form = answer.context["form"]
    assert [row["description"].value() for row in form.rows] == ["One", None]
    assert 'name="rows" value="2"' in answer.content.decode()


def test_what_the_lines_come_to_is_worked_out_without_saving(client, opportunity):
    rows = (
        {"description": "One", "quantity": "3", "price": "0.05", "discount": "50"},
        {"description": "Two", "quantity": "-1"},
    )
    with nothing_changed():
        answer = client.post(address(opportunity, "lines") + "?work-out", sent(opportunity, *rows))

    html = answer.content.decode()
    assert "1 line comes to" in html and "¥0.08" in html
    assert 'id="line-1-subtotal" hx-swap-oob="true">–<' in html


# What is refused, where it was typed


@pytest.mark.parametrize(("row", "field", "says"), [
    ({"quantity": "-1"}, "quantity", "A quantity is above zero"),
    ({"quantity": "0"}, "quantity", "A quantity is above zero"),
    ({"quantity": ""}, "quantity", "Fill this in."),
    ({"quantity": "a dozen"}, "quantity", "Write a number"),
    ({"quantity": "1.0001"}, "quantity", "at most 3 decimals"),
    ({"quantity": "1000000000"}, "quantity", "A quantity is above zero and below a billion."),
    ({"quantity": "9" * 70}, "quantity", "Write a number"),
    ({"quantity": "999999999", "price": "9999"}, "quantity", "That is too large"),
    ({"price": "-5"}, "price", "not below zero"),
    ({"price": ""}, "price", "Fill this in."),
    ({"price": "1e400"}, "price", "Write a number"),
    ({"discount": "101"}, "discount", "from 0 to 100"),
    ({"discount": "-1"}, "discount", "from 0 to 100"),
    ({"description": ""}, "product", "Choose a product, or describe what is sold."),
    ({"description": "a\nb"}, "description", "one line"),
    ({"description": "x" * 201}, "description", "200"),
    ({"unit": "x" * 21}, "unit", "20"),
    ({"product": "Nothing of that name"}, "product", "Nothing that you may choose matches"),
    ({"category": "987654321"}, "category", "not one of the available choices"),
])  # fmt: skip
def test_what_is_no_line_is_refused_at_its_field_and_nothing_is_lost(client, opportunity, row, field, says):
    good = {"description": "Good", "quantity": "1", "price": "10"}
    with nothing_changed():
        answer = send(client, opportunity, good, good | row)

    first, second = answer.context["form"].rows
    assert not first.errors and list(second.errors) == [field] and says in str(second.errors[field])
    assert second["price"].value() == (good | row)["price"]
    assert 'aria-invalid="true"' in answer.content.decode()


def test_more_than_an_amount_can_be_is_refused(client, opportunity):
    row = {"description": "Dear", "quantity": "1", "price": str(LARGEST)}
    with nothing_changed():
        answer = send(client, opportunity, row, row)
    assert "Together the lines come to more than an amount can be." in answer.content.decode()

    send(client, opportunity, row)
    assert stands(opportunity) == (LARGEST, "lines", 1)


def test_a_hundred_lines_are_the_most(opportunity):
    with pytest.raises(Refused, match="at most 100 lines"), nothing_changed():
        opportunity.change_lines(
            by=opportunity.owner, lines=[make.line() for _n in range(MOST + 1)], amount_from="lines"
        )

    opportunity.change_lines(by=opportunity.owner, lines=[make.line() for _n in range(MOST)], amount_from="lines")
    assert stands(opportunity) == (Decimal(10_000), "lines", 100)


def test_a_retired_product_is_not_chosen_and_stays_where_it_was(client, opportunity):
    old = make.product("OLD")
    send(client, opportunity, {"product_id": old.pk, "quantity": "1"})
    Product.objects.update(active=False)
    send(client, opportunity, {"product": "Product OLD", "product_id": old.pk, "quantity": "2", "price": "7"})
    assert figures(opportunity)[0][:2] == ("Product OLD", "2")

    other = in_state("active")
    client.force_login(other.owner)
    with nothing_changed():
        assert send(client, other, {"product_id": old.pk, "quantity": "1"}).context["form"].rows[0].errors
    with pytest.raises(Refused, match="no longer sold"), nothing_changed():
        other.change_lines(by=other.owner, lines=[make.line(old)], amount_from="lines")


def test_the_amount_cannot_be_typed_past_the_lines(client, opportunity):
    send(client, opportunity, {"description": "One", "quantity": "1", "price": "10"})
    opportunity.refresh_from_db()
    with pytest.raises(Refused, match="The amount is the sum of the lines"), nothing_changed():
        opportunity.change(by=opportunity.owner, amount=Decimal(11))

    form = client.get(address(opportunity, "edit"))
    assert "amount" not in form.context["form"].fields and "the sum of the lines" in form.content.decode()


# By whom, and when


def test_a_stranger_finds_nothing_and_a_reader_may_not(client, opportunity):
    row = {"description": "One", "quantity": "1", "price": "10"}
    stranger, reader, guest = make.user(at="jinan"), make.user(None, "gm", at="shijiazhuang"), make.user(at="jinan")
    client.force_login(stranger)
    with nothing_changed():
        assert not_there(client, address(opportunity, "lines"))
    opportunity.share(by=opportunity.owner, people=[guest])
    for person in (reader, guest):
        client.force_login(person)
        with nothing_changed():
            assert send(client, opportunity, row).status_code == 403
        assert "Add lines" not in client.get(address(opportunity)).content.decode()
        with pytest.raises(NotAllowed), nothing_changed():
            opportunity.change_lines(by=person, lines=[make.line()], amount_from="lines")
    opportunity.share(by=opportunity.owner, people=[guest], may_edit=True)
    client.force_login(guest)
    assert send(client, opportunity, row).status_code == 302


@pytest.mark.parametrize("state", STATES)
def test_they_change_while_nothing_is_decided_or_ended(client, state):
    opportunity = in_state(state)
    client.force_login(opportunity.owner)
    row = {"description": "One", "quantity": "1", "price": "10"}
    if state in (State.DRAFT, State.RETURNED, State.ACTIVE):
        assert send(client, opportunity, row).status_code == 302
        assert stands(opportunity) == (Decimal(10), "lines", 1)
        return
    with nothing_changed():
        answer = send(client, opportunity, row)
    assert answer.status_code == 409 and answer.context["form"].rows[0]["price"].value() == "10"
    with pytest.raises(Refused), nothing_changed():
        opportunity.change_lines(by=opportunity.owner, lines=[make.line()], amount_from="lines")


def test_whoever_decides_may_put_them_right_and_the_task_shows_the_difference(client):
    opportunity = in_state("draft")
    opportunity.change_lines(by=opportunity.owner, lines=[make.line(price=90)], amount_from="lines")
    deputy = make.approver(opportunity)
    opportunity.report(by=opportunity.owner, approver=deputy)
    client.force_login(deputy)
    task = opportunity.open_task
    assert "Something: 1 × ¥90 = ¥90" in client.get(f"/tasks/{task.pk}/").content.decode()

    answer = send(client, opportunity, {"description": "Something", "quantity": "2", "price": "90"})
    assert answer["Location"] == f"/tasks/{task.pk}/"
    assert stands(opportunity) == (Decimal(180), "lines", 1)
    task.refresh_from_db()
    assert set(task.edits) == {"amount", "lines"}
    [edits] = client.get(f"/tasks/{task.pk}/").context["page"].edits
    assert {row.name: (row.old, row.new) for row in edits.rows} == {
        "amount": ("¥90", "¥180"),
        "lines": ("Something: 1 × ¥90 = ¥90", "Something: 2 × ¥90 = ¥180"),
    }


def test_a_new_round_shows_what_changed_in_the_lines(client):
    opportunity = in_state("draft")
    opportunity.change_lines(by=opportunity.owner, lines=[make.line(price=90)], amount_from="lines")
    deputy = make.approver(opportunity)
    opportunity.report(by=opportunity.owner, approver=deputy)
    opportunity.open_task.return_(by=deputy, comment="Too dear.", seen=version(opportunity))
    opportunity.refresh_from_db()
    opportunity.change_lines(by=opportunity.owner, lines=[make.line(price=80)], amount_from="lines")
    opportunity.report(by=opportunity.owner, approver=deputy)
    client.force_login(deputy)

    changes = client.get(f"/tasks/{opportunity.open_task.pk}/").context["page"].changes
    assert ("lines", "Something: 1 × ¥90 = ¥90", "Something: 1 × ¥80 = ¥80") in [row[0:1] + row[2:4] for row in changes]


def test_what_somebody_else_changed_meanwhile_is_not_written_over(client, opportunity):
    row = {"description": "One", "quantity": "1", "price": "10"}
    before = version(opportunity)
    opportunity.change(by=opportunity.owner, name="Another name")
    with nothing_changed():
        answer = send(client, opportunity, row, version=before)
    assert answer.status_code == 409 and "Somebody changed this record" in answer.content.decode()
    with pytest.raises(Stale):
        opportunity.change_lines(by=opportunity.owner, seen=before, lines=[make.line()], amount_from="lines")

    assert client.post(address(opportunity, "lines"), sent(opportunity, row)).status_code == 302


def test_a_copy_has_the_lines(client, opportunity):
    opportunity.change_lines(
        by=opportunity.owner, lines=[make.line(make.product()), make.line(quantity=2)], amount_from="lines"
    )
    draft = opportunity.copy(by=opportunity.owner)

    assert figures(draft) == figures(opportunity) != []
    assert stands(draft) == stands(opportunity) == (Decimal(300), "lines", 2)


def test_they_cost_the_same_for_one_and_for_thirty(client, django_assert_max_num_queries):
    for count in (1, 30):
        for state in ("active", "reporting"):
            opportunity = in_state("draft")
            lines = [make.line(make.product(f"P{number}")) for number in range(count)]
            opportunity.change_lines(by=opportunity.owner, lines=lines, amount_from="lines")
            opportunity.report(by=opportunity.owner, approver=make.approver(opportunity))
            if state == "active":
                task = opportunity.open_task
                task.finish(by=task.holder, seen=version(opportunity))
            client.force_login(opportunity.owner)
            client.get(address(opportunity))
            with django_assert_max_num_queries(16):
                client.get(address(opportunity))
            if state == "active":
                with django_assert_max_num_queries(14):
                    assert client.get(address(opportunity, "lines")).status_code == 200


@given(st.lists(st.tuples(
    st.decimals("0.001", "99999", places=3), st.decimals(0, "99999", places=2), st.decimals(0, 100, places=2),
), min_size=1, max_size=8))  # fmt: skip
def test_the_subtotals_shown_add_up_to_the_sum(rows):
    lines = [make.line(quantity=quantity, price=price, discount=discount) for quantity, price, discount in rows]
    for line, (quantity, price, discount) in zip(lines, rows, strict=True):
        line.settle()
        exact = quantity * price * (1 - discount / 100)
        assert abs(line.subtotal - exact) <= Decimal("0.005") and line.subtotal == round(line.subtotal, 2)
        assert line.figures("CNY").endswith(f" = ¥{line.subtotal:,.2f}".removesuffix(".00"))


@pytest.mark.parametrize("fields", [{"quantity": 0}, {"price": -1}, {"discount": 101}, {"description": ""}])
def test_the_database_forbids_what_is_no_line(opportunity, fields):
    line = make.line(opportunity=opportunity, position=1, subtotal=1, **fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        line.save()


# The price list


def test_everybody_reads_the_price_list_by_category(client):
    make.product("CAM", names={"en": "Camera"}, price=1450)
    make.product("OLD", names={"en": "Pager"}, active=False)
    client.force_login(make.user())

    page = client.get("/products/").content.decode()
    assert "Camera" in page and "¥1,450" in page and "Pager" not in page
    assert "No product matches." in client.get("/products/", {"q": "pager"}).content.decode()
    assert [one["fills"] for one in client.get("/products/pick/", {"q": "cam"}).json()["options"]] == [
        {"unit": "piece", "price": "1,450", "category": str(RevenueCategory.objects.get().pk)}
    ]


def test_categories_have_three_levels_and_none_is_part_of_itself():
    parent = None
    chain = []
    for key in ("cloud", "compute", "desktop"):
        parent = RevenueCategory.objects.create(key=key, names={"en": key.capitalize()}, parent=parent)
        chain.append(parent)
    cloud, compute, desktop = chain
    assert [category.level for category in chain] == [1, 2, 3]
    assert [name for _category, name in RevenueCategory.tree()] == [
        "Cloud", "Cloud › Compute", "Cloud › Compute › Desktop",
    ]  # fmt: skip

    for child, above in ((cloud, desktop), (cloud, cloud), (RevenueCategory(key="x", names={"en": "X"}), desktop)):
        child.parent = above
        with pytest.raises(ValidationError):
            child.clean()
    compute.parent = None
    compute.clean()
    compute.save()
    desktop.refresh_from_db()
    assert (compute.level, desktop.level) == (1, 2)


def test_a_category_in_use_is_not_deleted_in_the_administration(admin_client):
    product = make.product()
    with nothing_changed():
        page = admin_client.post(f"/admin/opportunities/revenuecategory/{product.category_id}/delete/", {"post": "yes"})
    assert "Retire it instead" in page.content.decode()

    empty = RevenueCategory.objects.create(key="empty", names={"en": "Empty"})
    admin_client.post(f"/admin/opportunities/revenuecategory/{empty.pk}/delete/", {"post": "yes"})
    assert not RevenueCategory.objects.filter(pk=empty.pk).exists()


def test_verify_names_each_thing_that_is_not_so(opportunity):
    opportunity.change_lines(by=opportunity.owner, lines=[make.line()], amount_from="lines")
    Line.objects.update(subtotal=1)
    Opportunity.objects.update(line_count=2)

    said = list(differences())
    assert any("its subtotal is not" in one for one in said)
    assert any("its number of lines is not" in one for one in said)
    assert any("its amount is not the sum of its lines" in one for one in said)
    with pytest.raises(SystemExit):
        call_command("verify")


def test_the_form_begins_with_what_the_amount_is_and_says_what_it_became(client):
    opportunity = in_state("active")
    client.force_login(opportunity.owner)
    form = client.get(address(opportunity, "lines")).context["form"]
    assert (opportunity.amount_from, form["amount_from"].value()) == ("typed", "typed")
    row = {"description": "Poles", "quantity": "2", "price": "100"}
    page = client.post(address(opportunity, "lines"), sent(opportunity, row, amount_from="lines"), follow=True)
    assert "Saved. The grand total was ¥100,000, and is ¥200." in page.content.decode()
    bare = make.opportunity(opportunity.owner, amount=None)
    assert client.get(address(bare, "lines")).context["form"]["amount_from"].value() == "lines"
