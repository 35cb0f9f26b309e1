"""The menus of the rows of customers and contacts."""

from django.utils.translation import gettext as _

from crm.menu_pages import MenuPage
from customers.lists import ContactList, CustomerList


class CustomerMenu(MenuPage):
    listing = CustomerList

    def offers(self):
        yield self.offer(_("Add Follow-up Record"), "customer_follow_up", "add_follow_up")
        yield self.new(_("Add opportunity"), "opportunity_new", f"?customer={self.record.pk}")
        if "add_contact" in self.record.may:
            yield self.new(_("Add contact"), "contact_new", f"?customer={self.record.pk}")
        yield self.offer(_("Modify"), "customer_edit", "change")
        yield self.offer(_("Transfer"), "customer_transfer", "change")
        yield self.offer(_("Copy"), "customer_copy", "copy")
        yield self.offer(_("Delete"), "customer_delete", "delete", ask=True)


class ContactMenu(MenuPage):
    listing = ContactList
    joins = ("customer",)

    def offers(self):
        customer, asked = self.record.customer_id, f"?contact={self.record.pk}"
        yield self.offer(_("Add Follow-up Record"), "customer_follow_up", "add_follow_up", asked=asked, pk=customer)
        yield self.new(_("Add opportunity"), "opportunity_new", f"?customer={customer}")
        yield self.offer(_("Modify"), "contact_edit", "change")
        yield self.offer(_("Copy"), "contact_copy", "copy")
        yield self.offer(_("Delete"), "contact_delete", "delete", ask=True)
