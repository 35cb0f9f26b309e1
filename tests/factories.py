"""Real objects for tests, made by the product's own verbs; what a test does not name is filled in."""

from datetime import timedelta
from decimal import Decimal
from itertools import count

from django.utils import timezone

from crm.models import Department, Level, Role, User
from crm.moments import organisation_today
from customers.models import Contact, Customer
from opportunities.models import (
    BusinessType,
    FollowUp,
    FollowUpKind,
    Line,
    LostReason,
    Opportunity,
    Product,
    RevenueCategory,
    Stage,
)

_number = count(1)
PASSWORD = "pursuit-demo"


def department(key="shijiazhuang", *, parent=None, level=None):
    """
    This will give the department of that key; unless it is there, it is made with those above it (head office
    › hebei › key).
    """
    found = Department.objects.filter(key=key).first()
    if found:
        return found
    if key == "head-office":
        return Department.objects.create(
            key=key, names={"en": "Head office", "zh-hans": "总部"}, level=Level.HEAD_OFFICE
        )
    if parent is None:
        parent = (
            department("head-office")
            if key in ("hebei", "shandong")
            else department("shandong" if key == "jinan" else "hebei")
        )
    if level is None:
        level = Level.PROVINCE if parent.level == Level.HEAD_OFFICE else Level.CITY
    return Department.objects.create(key=key, names={"en": key.capitalize()}, parent=parent, level=level)


def user(username=None, *roles, at="shijiazhuang", **fields):
    """This will make a user with `roles` (keys; a rep unless said) in the department of key `at`."""
    username = username or f"user{next(_number)}"
    where = at if isinstance(at, Department) else department(at)
    person = User(
        username=username, department=where, **({"name": username, "email": f"{username}@example.org"} | fields)
    )
    person.set_password(PASSWORD)
    person.save()
    person.roles.set(Role.objects.filter(key__in=roles or ["rep"]))
    if "administrator" in roles:
        User.objects.filter(pk=person.pk).update(is_staff=True)
        person.refresh_from_db()
    return person


def customer(owner=None, **fields):
    made = Customer(**({"name": f"Customer {next(_number)}"} | fields))
    made.create(by=owner or user())
    return made


def contact(of=None, **fields):
    of = of or customer()
    made = Contact(customer=of, **({"name": f"Contact {next(_number)}"} | fields))
    made.create(by=of.owner)
    return made


def stage(key="first-contact"):
    return Stage.objects.get(key=key)


def opportunity(owner=None, *, state="draft", **fields):
    """
    This will make an opportunity with all that a report needs; `state` may also be "reporting", "active" or
    "signing" …
    """
    owner = owner or user()
    if "customer" not in fields:
        fields["customer"] = customer(owner)
    given = {
        "name": f"Opportunity {next(_number)}",
        "business_type": BusinessType.objects.get(key="cloud"),
        "stage": stage(),
        "amount": Decimal("100000.00"),
        "expected_close_on": organisation_today() + timedelta(days=30),
    }
    made = Opportunity(owner=owner, **(given | fields))
    made.create(by=owner)
    if state != "draft":
        bring_to(made, state)
    return made


def approver(of, *roles):
    """This will give somebody who holds `roles` in the department of `of`, appointed if need be."""
    roles = roles or ("deputy_gm",)
    found = (
        User.objects.filter(department=of.department, roles__key__in=roles, is_active=True)
        .exclude(pk=of.owner_id)
        .first()
    )
    return found or user(None, *roles, at=of.department)


def bring_to(opportunity, state):
    """This will take a draft through its real life until it is in `state`."""
    deputy = approver(opportunity)
    owner = opportunity.owner
    opportunity.report(by=owner, approver=deputy)
    if state == "reporting":
        return opportunity
    if state == "returned":
        opportunity.open_task.return_(by=deputy, comment="Name the decision maker.", seen=opportunity.version)
        opportunity.refresh_from_db()
        return opportunity
    opportunity.open_task.finish(by=deputy, seen=opportunity.version)
    opportunity.refresh_from_db()
    if state in ("signing", "signed"):
        sign(opportunity, approver=deputy)
    if state in ("terminating", "terminated"):
        terminate(opportunity, approver=deputy)
    if state in ("signed", "terminated"):
        opportunity.open_task.finish(by=deputy, seen=opportunity.version)
        opportunity.refresh_from_db()
    assert opportunity.state == state
    return opportunity


def sign(opportunity, *, approver, amount=None, on=None):
    opportunity.sign(
        by=opportunity.owner,
        approver=approver,
        contract_number=f"C-{next(_number)}",
        signed_amount=amount or opportunity.amount,
        signed_on=on or organisation_today(),
        term=12,
    )
    return opportunity


def terminate(opportunity, *, approver, reason="budget", note=""):
    opportunity.terminate(by=opportunity.owner, approver=approver, reason=LostReason.objects.get(key=reason), note=note)
    return opportunity


def follow_up(about, *, by=None, at=None, content="Called.", **fields):
    about_field = {"opportunity": about} if isinstance(about, Opportunity) else {"customer": about}
    made = FollowUp(
        kind=FollowUpKind.objects.get(key="call"), content=content, at=at or timezone.now(), **about_field, **fields
    )
    made.add(by=by or about.owner)
    return made


def product(key="CAM", *, price=1450, category="equipment", names=None, **fields):
    """This will make a product of the price list, in a category of its own key, unless they are there."""
    held, _new = RevenueCategory.objects.get_or_create(key=category, defaults={"names": {"en": category.capitalize()}})
    made, _new = Product.objects.get_or_create(
        key=key,
        defaults={"names": names or {"en": f"Product {key}"}, "unit": {"en": "piece"}, "price": price, "category": held}
        | fields,
    )
    return made


def line(product=None, quantity=1, price=100, discount=0, **fields):
    """This will build a line, of `product` or of a description, and not save it."""
    fields = {"description": "" if product else "Something"} | fields
    return Line(product=product, quantity=quantity, price=price, discount=discount, **fields)
