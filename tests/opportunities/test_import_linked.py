"""
Tables of another system that point at each other come in one after the other: what they point at is found by the words
that it came in with, and what points at nothing is refused with the reason.
"""

import csv
import io
from collections import Counter
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.core.management import call_command

from crm.models import User
from crm.resources import kinds
from customers.models import Contact, Customer
from opportunities.models import FollowUp, Opportunity, Product, RevenueCategory, Signing
from tests import factories as make
from tests.importing import SHARED, begin, checked, imported, needs_shared, refusals, signed_in

pytestmark = [needs_shared, pytest.mark.django_db(transaction=True)]

STAGES = {
    "Closed Won": "won", "Closed Lost": "lost", "Negotiation": "negotiation", "Proposal Sent": "proposal",
    "Prospecting": "first-contact",
}  # fmt: skip
ENDS = {"Closed Won": "signed", "Closed Lost": "terminated"}
SOURCES = {
    "Social Media": "enquiry", "Email Campaign": "enquiry", "Website": "enquiry", "Referral": "referral",
    "Event": "event",
}  # fmt: skip
ACTIVITIES = {"Demo": "demonstration", "Follow-up": "note", "Email": "e-mail"}


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def manager():
    person = make.user("fang", "opportunity_manager", at="head-office", time_zone="Asia/Shanghai")
    return signed_in(person)


@pytest.fixture
def admin():
    return signed_in(make.user("lin", "administrator", at="head-office"))


def file(folder, name):
    return (SHARED / folder / f"{name}.csv").read_bytes()


def rows(name, folder="crm-linked"):
    return list(csv.DictReader(io.StringIO(file(folder, name).decode("utf-8-sig"))))


def by(key, name):
    return {row[key]: row for row in rows(name)}


def written(table):
    """This will write a table, a list of dictionaries, as a file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, table[0])
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()


def people_come_in(manager):
    """This will bring the people in twice: each as a customer, without an organisation, and as the contact there."""
    customers = imported(manager, "customers", file("crm-linked", "Contacts"), column_1="name", from_kind="=person")
    contacts = imported(manager, "contacts", file("crm-linked", "Contacts"), from_customer="1")
    return customers, contacts


def test_people_come_in_as_customers_and_as_the_contacts_there(manager):
    listed = rows("Contacts")
    nobody = checked(manager, "contacts", file("crm-linked", "Contacts"), from_customer="1")
    assert (nobody.new, nobody.refused) == (0, 100)
    why = "No customer of that name that you may choose. Correct the name, or have it entered."
    assert [(row, text, why) for row, _column, text, why in refusals(nobody)] == [
        (number, row["FullName"], why) for number, row in enumerate(listed, 2)
    ]

    customers, contacts = people_come_in(manager)

    assert [(run.new, run.unchanged + run.skipped, run.refused) for run in (customers, contacts)] == [(100, 0, 0)] * 2
    assert {(one.name, one.kind, one.phone) for one in Customer.objects.all()} == {
        (row["FullName"], "person", row["Phone"]) for row in listed
    }
    assert {(one.name, one.customer.name, one.email, one.phone) for one in Contact.objects.all()} == {
        (row["FullName"], row["FullName"], row["Email"], row["Phone"]) for row in listed
    }


def test_what_points_at_nothing_is_refused_row_by_row(manager):
    """Alone, the table of opportunities names no customer: those that ended stay out, as does what followed them."""
    listed, activities = rows("Opportunity"), rows("Activity")

    past = imported(
        manager, "past", file("crm-linked", "Opportunity"), STAGES, column_1="name", from_reference="0", column_0=""
    )

    ended = [(number, row) for number, row in enumerate(listed, 2) if row["OpportunityStage"] in ENDS]
    assert (past.new, past.refused) == (500 - len(ended), len(ended)) == (291, 209)
    assert refusals(past) == [(number, "Customer", "", "Only a draft has no customer.") for number, _row in ended]
    assert set(Opportunity.objects.values_list("reference", "name", "state", "stage__key", "amount")) == {
        (row["OpportunityID"], row["ActivityID"], "draft", STAGES[stage], Decimal(row["EstimatedValue"]))
        for row in listed
        if (stage := row["OpportunityStage"]) not in ENDS
    }

    orphans = {row["ActivityID"] for _number, row in ended}
    followed = imported(
        manager, "follow_ups", file("crm-linked", "Activity"), ACTIVITIES, column_0="opportunity", column_4="at"
    )

    assert (followed.new, followed.refused) == (291, 209)
    assert [(row, column, text, why) for row, column, text, why in refusals(followed)] == [
        (number, "ActivityID", row["ActivityID"], f"“{row['ActivityID']}” is not in the list.")
        for number, row in enumerate(activities, 2)
        if row["ActivityID"] in orphans
    ]
    call_command("verify")


def test_what_points_at_each_other_comes_in_whole(manager):
    """As who moves it would prepare it: each opportunity beside its customer, which three tables lead to."""
    leads, activities, contacts = by("LeadID", "Leads"), by("ActivityID", "Activity"), by("ContactID", "Contacts")
    table = []
    for row in rows("Opportunity"):
        lead = leads[activities[row["ActivityID"]]["LeadID"]]
        customer = contacts[lead["ContactID"]]["FullName"]
        more = {"Customer": customer, "LeadSource": lead["LeadSource"], "CreatedDate": lead["CreatedDate"]}
        table.append(row | more)
    people_come_in(manager)

    past = imported(manager, "past", written(table), STAGES | SOURCES, column_1="name")

    assert (past.new, past.unchanged + past.skipped, past.refused) == (500, 0, 0), refusals(past)[:5]
    fields = ("reference", "customer__name", "state", "stage__key", "source__key", "amount", "closed_on")
    assert set(Opportunity.objects.values_list(*fields)) == {
        (
            row["OpportunityID"],
            row["Customer"],
            ENDS.get(row["OpportunityStage"], "active"),
            STAGES[row["OpportunityStage"]],
            SOURCES[row["LeadSource"]],
            Decimal(row["EstimatedValue"]),
            date.fromisoformat(row["CloseDate"]) if row["OpportunityStage"] in ENDS else None,
        )
        for row in table
    }
    won = [row for row in table if row["OpportunityStage"] == "Closed Won"]
    assert len(won) == Signing.objects.count() == 99
    assert sum(one.amount for one in Signing.objects.all()) == sum(Decimal(row["EstimatedValue"]) for row in won)
    bought = {row["Customer"] for row in won}
    assert set(Customer.objects.filter(status="trading").values_list("name", flat=True)) == bought

    followed = imported(
        manager, "follow_ups", file("crm-linked", "Activity"), ACTIVITIES, column_0="opportunity", column_4="at"
    )

    assert (followed.new, followed.refused) == (500, 0), refusals(followed)[:5]
    kept = {
        (one.opportunity.reference, one.customer.name, one.at.astimezone(ZoneInfo("Asia/Shanghai")).date(), one.content)
        for one in FollowUp.objects.select_related("opportunity", "customer")
    }
    assert kept == {
        (
            row["OpportunityID"],
            row["Customer"],
            date.fromisoformat(activities[row["ActivityID"]]["DueDate"]),
            activities[row["ActivityID"]]["Notes"],
        )
        for row in table
    }
    call_command("verify")

    again = checked(manager, "past", written(table), STAGES | SOURCES, column_1="name")
    assert (again.new, again.unchanged + again.skipped) == (0, 500)


def test_a_price_list_comes_in_after_its_categories(admin):
    listed = rows("Products")

    categories = imported(
        admin,
        "picklists",
        file("crm-linked", "Products"),
        from_list="=revenue-category",
        column_4="name_en",
        column_5="",
    )
    assert (categories.new, categories.unchanged + categories.skipped, categories.refused) == (6, 194, 0), refusals(
        categories
    )[:5]
    products = imported(admin, "products", file("crm-linked", "Products"), value_unit_en="piece")

    assert (products.new, products.refused) == (200, 0), refusals(products)[:5]
    assert set(RevenueCategory.objects.values_list("names__en", flat=True)) == {row["Category"] for row in listed}
    assert {(one.key, one.name, one.category.name, one.price, one.active) for one in Product.objects.all()} == {
        (row["ItemNo"], row["ItemName"], row["Category"], Decimal(row["UnitPrice"]), row["IsActive"] == "True")
        for row in listed
    }
    assert Product.objects.filter(active=False).count() == 33


def test_the_agents_of_a_real_company_come_in_at_their_offices(admin):
    for office in ("Central", "East", "West"):
        make.department(office.lower())
    listed = rows("sales_teams", "crm-sales")

    run = begin(admin, "users", file("crm-sales", "sales_teams"))
    assert kinds()["users"](User.objects.get(username="lin")).guess(run.names) == {
        "name": {"column": 0},
        "department": {"column": 2},
        "role": {"value": "rep"},
    }
    people = imported(admin, "users", file("crm-sales", "sales_teams"))

    assert (people.new, people.refused) == (35, 0)
    came = User.objects.exclude(username="lin").select_related("department")
    assert Counter(one.department.name for one in came) == Counter(row["regional_office"] for row in listed)
    assert {one.name for one in came} == {row["sales_agent"] for row in listed}
    assert {frozenset(one.role_keys) for one in came} == {frozenset({"rep"})}
