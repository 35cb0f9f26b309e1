"""The customers and contacts that a form offers."""

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from crm.fields import PickerField
from crm.permissions import allows
from customers.models import Contact, Customer


class CustomerPicker(PickerField):
    """A customer that the reader sees whole; the last row enters a new one."""

    url_name = "customer_pick"

    def queryset_for(self, user):
        return Customer.objects.visible_to(user).in_order().select_related("department", "owner")

    def second(self, customer):
        return _("%(department)s, %(name)s") % {"department": customer.department, "name": customer.owner}

    def create_row(self, user, text):
        if not allows(user, "create"):
            return None
        address = reverse("quick_new", args=["customer"])
        return _("New customer “%(name)s”") % {"name": text}, f"{address}?{urlencode({'name': text})}"


class ContactPicker(PickerField):
    """A contact that the reader sees; `of` narrows to one customer's. The last row enters a new one."""

    customer = None  # the key of the one to whose people it is narrowed
    url_name = "contact_pick"

    def queryset_for(self, user):
        return Contact.objects.visible_to(user).in_order().select_related("customer")

    def of(self, customer):
        """This will offer the people of one customer only, in the form and in the list of its combobox."""
        self.queryset = self.queryset_for(self.user).filter(customer=customer)
        self.source = f"{reverse(self.url_name)}?customer={customer.pk}"

    def narrow(self, query):
        customer = query.get("customer", "")
        if customer.isascii() and customer.isdigit() and len(customer) < 19:
            self.customer = int(customer)
            self.queryset = self.queryset.filter(customer=self.customer)

    def create_row(self, user, text):
        if not allows(user, "create"):
            return None
        asked = {"name": text} | ({"customer": self.customer} if self.customer else {})
        address = reverse("quick_new", args=["contact"])
        return _("New contact “%(name)s”") % {"name": text}, f"{address}?{urlencode(asked)}"

    def second(self, contact):
        if not contact.title:
            return str(contact.customer)
        return _("%(title)s, %(customer)s") % {"title": contact.title, "customer": contact.customer}
