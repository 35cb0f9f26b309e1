"""By what customers and contacts are found: see crm.texts."""

from crm.texts import Text


class CustomerText(Text):
    record = "customers.Customer"
    names = ("name",)
    others = ("tax_id", "website")
    phones = ("phone",)


class ContactText(Text):
    record = "customers.Contact"
    names = ("name",)
    others = ("email",)
    phones = ("mobile", "phone")
