"""The lists of customers and of contacts."""

from functools import cached_property

import vobject
from django.db.models import Count
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from crm import shown
from crm.exports import Out
from crm.names import localized
from crm.pages import Column, Figure, Listing, Tab
from customers.models import Contact, Customer


class CustomerList(Listing):
    model = Customer
    name = "customers"
    heading = _("Customers")
    template = "customers/customers.html"
    nothing = (_("No customers yet"), _("The customers in your charge appear here."))
    sorts = {"name": "name_key"}
    columns = [
        Column(_("Customer name"), "", "name"),
        Column(_("Industry"), "hide-narrow"),
        Column(_("Customer level")),
        Column(_("Status")),
        Column(_("Open opportunities"), "right"),
        Column(_("Person in charge"), "gap hide-narrow"),
        Column(_("Created"), "right hide-mid"),
    ]
    values = ["pk", "name", "industry__names", "level__names", "status", "owner__name", "created_at"]
    exported = [
        Out(_("Customer name"), "name"),
        Out(_("Industry"), "industry"),
        Out(_("Customer level"), "level"),
        Out(_("Status"), "status", lambda status: str(Customer.Status(status).label)),
        Out(_("Open opportunities"), None, batch=lambda listing, pks: listing.open_of(pks)),
        Out(_("Person in charge"), "owner__name"),
        Out(_("Created"), "created_at"),
    ]
    exported_besides = [
        Out(_("Kind"), "kind", lambda kind: str(Customer.Kind(kind).label)),
        Out(_("Tax id"), "tax_id"),
        Out(_("Website"), "website"),
        Out(_("Phone"), "phone"),
        Out(_("Address"), "address"),
        Out(_("Description"), "description"),
        Out(_("Department"), "department"),
        Out(_("Changed"), "updated_at"),
    ]
    filters = ["status", "industry", "level", "kind", "owner", "department"]
    tabs = [
        Tab(_("All"), {}),
        Tab(_("Mine"), {"owner": "me"}),
        Tab(Customer.Status.POTENTIAL.label, {"status": "potential"}),
        Tab(Customer.Status.TRADING.label, {"status": "trading"}),
    ]

    def row(self, pk, name, industry, level, status, owner, created_at):
        return {
            "url": self.url(pk),
            "name": name,
            "industry": localized(industry or {}),
            "level": localized(level or {}),
            "status": Customer.Status(status).label,
            "open": self._open.get(pk, 0),
            "open_url": f"{self._opportunities}?state=open&customer={pk}",
            "owner": owner,
            "created": shown.day(created_at),
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
    template = "customers/contacts.html"
    nothing = (_("No contacts yet"), _("The people at your customers appear here."))
    sorts = {"name": "name_key"}
    columns = [
        Column(_("Name"), "", "name"),
        Column(_("Customer")),
        Column(_("Job title"), "hide-narrow"),
        Column(_("Phone")),
        Column(_("E-mail"), "hide-narrow"),
        Column(_("Person in charge"), "hide-narrow"),
    ]
    values = ["pk", "name", "customer__name", "title", "mobile", "phone", "email", "owner__name"]
    exported = [
        Out(_("Name"), "name"),
        Out(_("Customer"), "customer__name"),
        Out(_("Job title"), "title"),
        Out(_("Phone"), "phone"),
        Out(_("Mobile"), "mobile"),
        Out(_("E-mail"), "email"),
        Out(_("Person in charge"), "owner__name"),
    ]
    exported_besides = [
        Out(_("Description"), "description"),
        Out(_("Department"), "department"),
        Out(_("Created"), "created_at"),
        Out(_("Changed"), "updated_at"),
    ]
    filters = ["owner", "department"]
    tabs = [Tab(_("All"), {}), Tab(_("Mine"), {"owner": "me"})]

    def row(self, pk, name, customer, title, mobile, phone, email, owner):
        return {
            "url": self.url(pk),
            "name": name,
            "customer": customer,
            "title": title,
            "phone": mobile or phone,
            "email": email,
            "owner": owner,
        }

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
