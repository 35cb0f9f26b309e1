"""The cells of customers and contacts that are changed within their lists."""

from crm.cell_pages import CellPage, OneField
from customers.forms import ContactForm, CustomerForm
from customers.lists import ContactList, CustomerList


class CustomerCell(OneField, CustomerForm):
    ALONG = ("version", "despite")


class ContactCell(OneField, ContactForm):
    TOGETHER = {"phone": ("mobile", "phone")}  # the list shows the one, or else the other


class CustomerCells(CellPage):
    listing, form = CustomerList, CustomerCell
    joins = ("industry", "level")


class ContactCells(CellPage):
    listing, form = ContactList, ContactCell
    joins = ("customer",)
