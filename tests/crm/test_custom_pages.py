"""The pages on which administrators add fields, and the forms and pages of records on which these then stand."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm import custom_changes as changes
from crm.custom_fields import CustomChoice, CustomField, CustomSection, Kind
from crm.custom_values import subjects
from crm.models import Audit
from customers.models import Contact, Customer
from opportunities.models import Opportunity, Stage
from tests import factories as make
from tests.crm.fields import administrator, field, one_of_each
from tests.digest import nothing_changed

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def admin(client):
    person = administrator()
    client.force_login(person)
    return person


@pytest.fixture
def rep(client):
    person = make.user(language="en")
    client.force_login(person)
    return person


def labels(page):
    return page.content.decode()


def now(model):
    return model.objects.order_by("-pk").first()


# ── Administrators ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_nobody_else_sees_these_pages(client):
    added = field("customer", "choice")
    section = CustomSection(subject="customer", names={"en": "Site"})
    changes.create_section(section, by=administrator())
    option = added.options.first()
    for person in (make.user(), make.user(None, "opportunity_manager", at="head-office")):
        client.force_login(person)
        assert "/custom-fields/" not in labels(client.get("/"))
        for address in (
            "",
            "customer/new/",
            "customer/new/?kind=text",
            "customer/layout/",
            "customer/sections/new/",
            f"sections/{section.pk}/",
            f"sections/{section.pk}/remove/",
            f"{added.pk}/",
            f"{added.pk}/archive/",
            f"{added.pk}/restore/",
            f"{added.pk}/erase/",
            f"{added.pk}/options/",
            f"{added.pk}/options/new/",
            f"options/{option.pk}/",
            f"options/{option.pk}/delete/",
        ):
            assert client.get(f"/custom-fields/{address}").status_code == 403, address
            with nothing_changed():
                assert client.post(f"/custom-fields/{address}", {"name_en": "X"}).status_code in (403, 405), address


def test_a_field_is_added_once_it_is_known_what_it_holds(client, admin):
    page = labels(client.get("/custom-fields/opportunity/new/"))
    assert all(f"?kind={kind}" in page for kind in Kind.values)
    data = {"name_en": "Tender", "name_zh-hans": "招标", "required": "stage", "stage": "proposal", "on_card": "on"}
    data |= {"options": "Open\n\n Invited \nOpen", "help_en": "As the customer calls it."}
    with nothing_changed():
        assert client.get("/custom-fields/opportunity/new/?kind=choice").status_code == 200
    assert client.post("/custom-fields/opportunity/new/?kind=choice", data)["Location"] == "/custom-fields/"
    made = CustomField.objects.get()
    assert (made.names, made.kind, made.required, made.stage, made.on_card) == (
        {"en": "Tender", "zh-hans": "招标"}, "choice", "stage", "proposal", True,
    )  # fmt: skip
    assert [str(one) for one in made.choices] == ["Open", "Invited"]
    assert "Tender" in labels(client.get("/custom-fields/"))


def test_the_form_says_that_one_of_the_names_is_needed_and_what_a_field_does_on_cards(client, admin):
    page = client.get("/custom-fields/opportunity/new/?kind=text").content.decode()
    assert page.count("Needed in at least one language.") == 1
    assert "Help text in English" in page
    field("opportunity", "text", "Region", on_card=True)
    page = client.get("/custom-fields/").content.decode()
    assert "on cards" in page
    heads = [page.index(f"<h2>{label}") for label in ("Opportunities", "Customers", "Contacts")]
    assert heads == sorted(heads)


def test_sent_twice_a_form_adds_one_field(client, admin):
    page = client.get("/custom-fields/customer/new/?kind=text")
    data = {"name_en": "Region", "required": "no", "once": str(page.context["form"]["once"].value())}
    for _twice in range(2):
        client.post("/custom-fields/customer/new/?kind=text", data)
    assert CustomField.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "wrong", "where"),
    [
        ("text", {"name_en": "", "name_zh-hans": ""}, "name_en"),
        ("text", {"name_en": "x" * 81}, "name_en"),
        ("text", {"required": "perhaps"}, "required"),
        ("text", {"required": "stage", "stage": ""}, "stage"),
        ("choice", {"options": " \n "}, "options"),
        ("choice", {"options": "x" * 81}, "options"),
        ("number", {"default_value": "many"}, "default_value"),
        ("date", {"default_value": "2026-13-01"}, "default_value"),
    ],
)
def test_a_form_that_is_wrong_comes_back_with_the_reason_beside_the_field(client, admin, kind, wrong, where):
    data = {"name_en": "Tender", "required": "no", "options": "Open"} | wrong
    with nothing_changed():
        page = client.post(f"/custom-fields/opportunity/new/?kind={kind}", data)
    assert page.status_code == 200
    assert where in page.context["form"].errors


def test_kinds_and_subjects_that_there_are_not_are_no_pages(client, admin):
    assert client.get("/custom-fields/garden/new/").status_code == 404
    assert client.get("/custom-fields/garden/layout/").status_code == 404
    assert client.get("/custom-fields/987654/").status_code == 404
    assert b"?kind=text" in client.get("/custom-fields/customer/new/?kind=colour").content
    text = field("customer", "text")
    assert client.get(f"/custom-fields/{text.pk}/options/").status_code == 404


def test_a_field_is_changed_and_one_changed_meanwhile_is_not_written_over(client, admin):
    added = field("customer", "number", "Machines")
    data = {"name_en": "Machines in use", "required": "always", "default_value": "1,200", "version": added.version}
    data |= {"kind": "number"}
    assert client.post(f"/custom-fields/{added.pk}/", data).status_code == 302
    changed = CustomField.objects.get()
    assert (changed.name, changed.required, changed.read_kept(changed.default)) == ("Machines in use", "always", 1200)
    with nothing_changed():
        page = client.post(f"/custom-fields/{added.pk}/", data | {"name_en": "Other"})
    assert page.status_code == 409


def test_archive_restore_and_erase_ask_first_and_say_how_many_records_hold_it(client, admin):
    added = field("customer", "text", "Region")
    customer = make.customer()
    customer.change(by=customer.owner, **{added.key: "North"})
    assert "What 1 record holds of it stays" in labels(client.get(f"/custom-fields/{added.pk}/archive/"))
    with nothing_changed():
        assert client.post(f"/custom-fields/{added.pk}/erase/", {"version": 0}).status_code == 409
    for verb, active in (("archive", False), ("restore", True), ("archive", False)):
        version = CustomField.objects.get().version
        assert client.post(f"/custom-fields/{added.pk}/{verb}/", {"version": version}).status_code == 302
        assert CustomField.objects.get().active is active
    version = CustomField.objects.get().version
    assert client.post(f"/custom-fields/{added.pk}/erase/", {"version": version}).status_code == 302
    assert not CustomField.objects.exists()
    assert Audit.objects.filter(kind="custom_field_erased").count() == 1


def test_options_are_added_renamed_retired_arranged_and_deleted(client, admin):
    added = field("customer", "choice", options=["North", "South"])
    north, south = added.options.all()
    options = f"/custom-fields/{added.pk}/options/"
    assert client.post(f"{options}new/", {"name_en": "West", "name_zh-hans": "西"}).status_code == 302
    west = CustomChoice.objects.get(key="west")
    with nothing_changed():
        assert "name_en" in client.post(f"{options}new/", {"name_en": "west"}).context["form"].errors
    seen = f"{north.pk},{south.pk},{west.pk}"
    order = [north.pk, south.pk, west.pk]
    client.post(f"{options}order/", {"seen": seen, "order": order, "up": west.pk})
    assert [one.key for one in added.options.all()] == ["north", "west", "south"]
    with nothing_changed():
        assert client.post(f"{options}order/", {"seen": seen, "order": order}).status_code == 409
        assert client.post(f"{options}order/", {"seen": "x", "order": order}).status_code == 404
    client.post(f"/custom-fields/options/{south.pk}/", {"name_en": "The south", "version": 0})
    south.refresh_from_db()
    assert (south.name, south.active) == ("The south", False)
    client.post(f"/custom-fields/options/{west.pk}/delete/", {"version": 0})
    assert not CustomChoice.objects.filter(pk=west.pk).exists()


def test_the_layout_is_arranged_by_arrows_and_by_dragging(client, admin):
    one, two = field("customer", "text", "One"), field("customer", "text", "Two")
    client.post("/custom-fields/customer/sections/new/", {"name_en": "Site"})
    client.post("/custom-fields/customer/sections/new/", {"name_en": "Plant"})
    site, plant = CustomSection.objects.order_by("order")

    def words():
        return client.get("/custom-fields/customer/layout/").context["words"]

    def send(**data):
        seen = words()
        return client.post("/custom-fields/customer/layout/order/", {"seen": ",".join(seen), "order": seen} | data)

    assert words() == [f"s{site.pk}", f"s{plant.pk}", "s0", f"f{one.pk}", f"f{two.pk}"]
    page = client.get("/custom-fields/customer/layout/").content.decode()
    assert page.count("Nothing stands here yet: drag a field") == 2
    assert page.count("No field stands here yet.") == 2  # in the preview
    send(order=[f"s{site.pk}", f"f{two.pk}", f"s{plant.pk}", f"f{one.pk}", "s0"])
    assert words() == [f"s{site.pk}", f"f{two.pk}", f"s{plant.pk}", f"f{one.pk}", "s0"]
    send(down=f"f{two.pk}")  # over the heading, into the next section
    assert words() == [f"s{site.pk}", f"s{plant.pk}", f"f{two.pk}", f"f{one.pk}", "s0"]
    send(up=f"s{plant.pk}")  # with all that stands in it
    assert words() == [f"s{plant.pk}", f"f{two.pk}", f"f{one.pk}", f"s{site.pk}", "s0"]
    send(up=f"s{plant.pk}")
    assert words()[0] == f"s{plant.pk}"
    with nothing_changed():
        assert send(order=words()[:2]).status_code == 409
        assert send(order=["x1"]).status_code == 404
        assert send(up="f987654").status_code == 404
        assert send(down="s987654").status_code == 404
    page = labels(client.get("/custom-fields/customer/layout/"))
    assert "Preview" in page
    assert f'id="preview_{one.key}"' in page
    client.post(f"/custom-fields/sections/{plant.pk}/remove/", {"version": 0})
    assert words() == [f"s{site.pk}", "s0", f"f{two.pk}", f"f{one.pk}"]


def test_the_pages_cost_the_same_for_one_field_and_for_thirty(client, admin, django_assert_max_num_queries):
    for number in range(31):
        made = CustomField(subject="customer", kind="choice", names={"en": f"F{number}"})
        changes.create(made, by=admin, options=[{"en": "A"}])
        if number in (0, 30):
            with django_assert_max_num_queries(12):
                client.get("/custom-fields/")
            with django_assert_max_num_queries(14):
                client.get("/custom-fields/customer/layout/")


# ── Records ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_kind_is_typed_into_a_form_as_people_write_it(client, rep):
    fields = one_of_each("customer")
    person = make.user(name="Zhou Lan")
    data = {
        "name": "Qinghe Water", "kind": "organisation", "status": "potential",
        fields["text"].key: " A-7 ",
        fields["long_text"].key: "One\nTwo",
        fields["number"].key: "１,２３４.5",
        fields["money"].key: "45万",
        fields["date"].key: "2026年12月1日",
        fields["yes_no"].key: "no",
        fields["choice"].key: "east",
        fields["choices"].key: ["south", "north"],
        fields["person"].key: "Zhou Lan",
    }  # fmt: skip
    assert client.post("/customers/new/", data).status_code == 302
    made = now(Customer)
    told = {kind: added.shown(getattr(made, added.key)) for kind, added in fields.items()}
    assert told["number"] == "1,234.5"
    assert told["money"] == "¥450,000"
    assert (told["yes_no"], told["choice"], told["choices"]) == ("No", "East", "North, South")
    assert getattr(made, fields["person"].key) == person
    page = labels(client.get(f"/customers/{made.pk}/"))
    assert all(one in page for one in ("1,234.5", "¥450,000", "North, South", "Zhou Lan", "More details"))


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        ("number", "many"),
        ("number", "1.23456"),
        ("number", "9" * 20),
        ("money", "-5"),
        ("date", "2026-02-30"),
        ("yes_no", "perhaps"),
        ("choice", "west"),
        ("choices", "west"),
        ("person", "Nobody"),
        ("text", "x" * 301),
    ],
)
def test_what_cannot_be_comes_back_as_it_was_typed_with_the_reason(client, rep, kind, typed):
    added = field("customer", kind)
    with nothing_changed():
        page = client.post(
            "/customers/new/", {"name": "Qinghe", "kind": "person", "status": "trading", added.key: typed}
        )
    assert page.status_code == 200
    assert added.key in page.context["form"].errors
    assert "Qinghe" in labels(page)


def test_what_a_customer_or_a_contact_needs_is_asked_for_at_once(client, rep):
    region, hobby = field("customer", "yes_no", required="always"), field("contact", "number", required="always")
    data = {"name": "Qinghe", "kind": "person", "status": "trading"}
    with nothing_changed():
        assert region.key in client.post("/customers/new/", data).context["form"].errors
    assert client.post("/customers/new/", data | {region.key: "no"}).status_code == 302
    contact = {"name": "Ding Yan", "customer_id": now(Customer).pk, "customer": "Qinghe"}
    with nothing_changed():
        assert hobby.key in client.post("/contacts/new/", contact).context["form"].errors
    assert client.post("/contacts/new/", contact | {hobby.key: "0"}).status_code == 302
    assert getattr(now(Contact), hobby.key) == 0


def test_a_default_stands_in_a_new_form_and_not_in_an_old_one(client, rep):
    added = field("customer", "choice")
    changes.change(added, by=administrator(), seen=0, default=added.options.last().pk)
    assert client.get("/customers/new/").context["form"][added.key].value() == "east"
    customer = make.customer(rep)
    assert client.get(f"/customers/{customer.pk}/edit/").context["form"][added.key].value() is None


def test_a_retired_option_is_offered_only_where_it_is_held(client, rep):
    added = field("customer", "choice")
    north = added.options.first()
    holder, other = make.customer(rep), make.customer(rep)
    holder.change(by=rep, **{added.key: north})
    changes.change_option(north, by=administrator(), seen=0, active=False)
    assert 'value="north"' in labels(client.get(f"/customers/{holder.pk}/edit/"))
    assert 'value="north"' not in labels(client.get(f"/customers/{other.pk}/edit/"))


def test_a_draft_is_saved_without_what_it_needs_and_not_submitted(client, rep):
    budget = field("opportunity", "money", "Budget", required="always")
    later = field("opportunity", "text", "Cause", required="stage", stage=Stage.objects.filter(kind="open")[2].key)
    customer, deputy = make.customer(rep), make.user(None, "deputy_gm")
    data = {
        "name": "Cloud", "customer_id": customer.pk, "customer": customer.name, "business_type": "1", "amount": "1000",
        "expected_close_on": "2026-12-31", "approver": deputy.pk,
    }  # fmt: skip
    assert client.post("/opportunities/new/", {"name": "Cloud", "act": "save"}).status_code == 302
    with nothing_changed():
        page = client.post("/opportunities/new/", data | {"act": "submit"})
    assert budget.key in page.context["form"].errors
    assert later.key not in page.context["form"].errors
    page = client.get(f"/opportunities/{now(Opportunity).pk}/")
    assert "Budget" in labels(page)  # among what the draft still needs


def test_a_change_that_somebody_else_made_meanwhile_is_shown_beside_the_field(client, rep):
    added = field("customer", "number", "Machines")
    customer = make.customer(rep, name="Qinghe")
    page = client.get(f"/customers/{customer.pk}/edit/")
    version = page.context["form"]["version"].value()
    customer.change(by=rep, **{added.key: Decimal(7)})
    data = {"name": "Qinghe", "kind": "organisation", "status": "potential", "version": version, added.key: "9"}
    with nothing_changed():
        page = client.post(f"/customers/{customer.pk}/edit/", data | {f"initial-{added.key}": ""})
    assert page.status_code == 409
    assert "Now it says “7”." in labels(page)


def test_whoever_decides_changes_none_of_them(client):
    added = field("opportunity", "text")
    opportunity = make.opportunity(state="reporting")
    client.force_login(opportunity.open_task.holder)
    assert added.key not in client.get(f"/opportunities/{opportunity.pk}/edit/").context["form"].fields


def test_somebody_new_on_an_opportunity_is_asked_only_for_what_a_contact_always_needs(client, rep):
    needed, other = field("contact", "text", "Needed", required="always"), field("contact", "text", "Other")
    opportunity = make.opportunity(rep)
    page = labels(client.get(f"/opportunities/{opportunity.pk}/contact/"))
    assert (needed.key in page, other.key in page) == (True, False)


def test_a_record_costs_one_query_more_for_any_number_of_fields(client, rep, django_assert_num_queries):
    customer = make.customer(rep)
    with CaptureQueriesContext(connection) as asked:
        client.get(f"/customers/{customer.pk}/")
    before = len(asked)
    fields = one_of_each("customer")
    customer.change(by=rep, **{fields["text"].key: "A", fields["person"].key: rep})
    client.get(f"/customers/{customer.pk}/")
    with django_assert_num_queries(before + 1):
        client.get(f"/customers/{customer.pk}/")


def test_there_are_fields_for_each_kind_of_record():
    assert list(subjects()) == ["contact", "customer", "opportunity"]
