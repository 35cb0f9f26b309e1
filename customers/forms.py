"""The forms of customers and contacts."""

from django import forms
from django.utils.translation import gettext_lazy as _

from crm.forms import Form, RecordForm
from crm.pickers import PersonPicker
from customers.models import WEB, Contact, Customer
from customers.pickers import CustomerPicker


def telephone():
    return forms.TextInput({"type": "tel", "autocomplete": "off"})


class CustomerForm(RecordForm):
    """What is known of a customer."""

    website = forms.URLField(
        label=_("Website"),
        required=False,
        max_length=300,
        assume_scheme="https",
        error_messages={"invalid": WEB.message},
    )

    class Meta:
        model = Customer
        fields = [
            "name", "kind", "status", "industry", "level", "tax_id", "website", "phone", "address", "description",
        ]  # fmt: skip
        widgets = {"phone": telephone(), "description": forms.Textarea({"rows": 4})}


class ContactForm(RecordForm):
    """What is known of a person at a customer; a contact stays with the customer that it was entered for."""

    customer = CustomerPicker(label=_("Customer"))

    class Meta:
        model = Contact
        fields = ["customer", "name", "title", "mobile", "phone", "email", "description"]
        widgets = {
            "mobile": telephone(),
            "phone": telephone(),
            "email": forms.EmailInput({"autocomplete": "off"}),
            "description": forms.Textarea({"rows": 4}),
        }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            del self.fields["customer"]


class TransferForm(Form):
    """Who is to be in charge from now on."""

    owner = PersonPicker(label=_("New person in charge"))
