"""The lists of customers and of contacts."""

from functools import cached_property

import vobject
from django.db.models import Count
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, ngettext_lazy

from crm import columns
from crm.columns import Column, tagged
from crm.exports import Out
from crm.pages import Figure, Listing, Tab
from customers import bulk
from customers.models import Contact, Customer


def open_of(row):
    return tagged('<a class="to-list over" href="%s">%s</a>', row["open_url"], row["open"]) if row["open"] else ""


class CustomerList(Listing):
    model = Customer
    name = "customers"
    heading = _("Customers")
    counted = ngettext_lazy("%(count)d customer", "%(count)d customers", "count")
    acts = bulk.CUSTOMERS
    has_menus = True
    read_along = ("owner", "department")
    template = "customers/customers.html"
    nothing = (_("No customers yet"), _("The customers in your charge appear here."))
    sorts = {"name": "name_key", "created": "created_at", "changed": "updated_at"}
    columns = [
        columns.name("name", _("Customer name"), sort="name", outs="name"),
        columns.picked("industry", _("Industry"), classes="hide-narrow", td="grow cut", shown=True),
        columns.picked("level", _("Customer level"), td="fit p4", shown=True),
        columns.choice("status", _("Status"), Customer.Status, td="fit p2", shown=True),
        Column(
            "open",
            _("Open opportunities"),
            "right",
            td="fit num",
            cell=open_of,
            outs=Out(_("Open opportunities"), None, batch=lambda listing, pks: listing.open_of(pks)),
        ),
        columns.short("owner", _("Person in charge"), path="owner__name", classes="gap hide-narrow", shown=True),
        columns.day("created_at", _("Created"), classes="right hide-mid", sort="created", shown=True),
        columns.choice("kind", _("Kind"), Customer.Kind),
        columns.short("tax_id", _("Tax id")),
        columns.text("website", _("Website")),
        columns.short("phone", _("Phone")),
        columns.text("address", _("Address")),
        columns.text("description", _("Description")),
        columns.picked("department", _("Department")),
        columns.files("customer"),
        columns.day("updated_at", _("Changed"), sort="changed"),
    ]
    values = ["pk", "name", "owner_id"]
    edits = ("name", "industry", "level", "status", "phone", "website", "tax_id", "address")
    steps = True
    filters = ["status", "industry", "level", "kind", "owner", "department"]
    tabs = [
        Tab(_("All"), {}),
        Tab(_("Mine"), {"owner": "me"}),
        Tab(Customer.Status.POTENTIAL.label, {"status": "potential"}),
        Tab(Customer.Status.TRADING.label, {"status": "trading"}),
    ]

    def row(self, pk, name, owner_id):
        return {
            "url": self.url(pk),
            "name": name,
            "owner_id": owner_id,
            "open": self._open.get(pk, 0),
            "open_url": f"{self._opportunities}?state=open&customer={pk}",
        }

    @cached_property
    def _opportunities(self):
        return reverse("opportunities")

    @cached_property
    def _open(self):
        return self.open_of(self.pks)

    def open_of(self, pks):
        """This will count, for each of some customers, the open opportunities that the reader sees."""
        visible = Customer.opportunities.rel.related_model.objects.open().visible_to(self.user)
        counted = visible.filter(customer__in=pks).order_by().values_list("customer")
        return dict(list(counted.annotate(count=Count("*"))))  # a Guarded has `keys` of its own, which dict would call

    def figures(self):
        count = self.totals["count"]
        return [Figure(format_html(ngettext("<b>{}</b> customer", "<b>{}</b> customers", count), f"{count:,}"))]


class ContactList(Listing):
    model = Contact
    name = "contacts"
    formats = ["xlsx", "csv", "vcf"]
    heading = _("Contacts")
    counted = ngettext_lazy("%(count)d contact", "%(count)d contacts", "count")
    acts = bulk.CONTACTS
    has_menus = True
    read_along = ("customer",)
    template = "customers/contacts.html"
    nothing = (_("No contacts yet"), _("The people at your customers appear here."))
    sorts = {"name": "name_key", "created": "created_at", "changed": "updated_at"}
    columns = [
        columns.name("name", _("Name"), sort="name", outs="name"),
        columns.short("customer", _("Customer"), path="customer__name", td="grow cut p2", shown=True),
        columns.short("title", _("Job title"), classes="hide-narrow", shown=True),
        Column(
            "phone",
            _("Phone"),
            td="fit num p4",
            cell=lambda row: row["phone"],
            outs=(Out(_("Phone"), "phone"), Out(_("Mobile"), "mobile")),
        ),
        columns.short("email", _("E-mail"), classes="hide-narrow", shown=True),
        columns.short("owner", _("Person in charge"), path="owner__name", classes="hide-narrow", shown=True),
        columns.text("description", _("Description")),
        columns.picked("department", _("Department")),
        columns.day("created_at", _("Created"), sort="created"),
        columns.day("updated_at", _("Changed"), sort="changed"),
    ]
    values = ["pk", "name", "mobile", "phone", "owner_id"]
    edits = ("name", "title", "phone", "email")
    steps = True
    filters = ["owner", "department"]
    tabs = [Tab(_("All"), {}), Tab(_("Mine"), {"owner": "me"})]

    def row(self, pk, name, mobile, phone, owner_id):
        return {"url": self.url(pk), "name": name, "phone": mobile or phone, "owner_id": owner_id}

    def cards(self, found):
        """This will give contacts as vCards, which telephones and mail programs take."""
        for person in found.select_related("customer").iterator(chunk_size=1000):
            yield card_of(person)

    def figures(self):
        count = self.totals["count"]
        return [Figure(format_html(ngettext("<b>{}</b> contact", "<b>{}</b> contacts", count), f"{count:,}"))]


def card_of(person):
    """This will write a contact as a vCard, version 3.0, which all take."""
    card = vobject.vCard()
    card.add("fn").value = person.name
    card.add("n").value = vobject.vcard.Name(family=person.name)
    card.add("org").value = [person.customer.name]
    for name, value in (("title", person.title), ("email", person.email), ("note", person.description)):
        if value:
            card.add(name).value = value
    for kind, number in (("CELL", person.mobile), ("WORK", person.phone)):
        if number:
            telephone = card.add("tel")
            telephone.value, telephone.type_param = number, kind
    return card.serialize()
