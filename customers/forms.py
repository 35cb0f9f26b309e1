"""The forms of customers and contacts."""

from django import forms
from django.utils.translation import gettext_lazy as _

from crm.forms import Form, RecordForm
from crm.pickers import PersonPicker
from crm.verbs import Refused
from customers.models import WEB, Contact, Customer
from customers.pickers import CustomerPicker
from customers.similar import KEYS


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

    # Which customers that look alike were shown, as keys: what is sent again all the same is saved.
    despite = forms.CharField(required=False, widget=forms.HiddenInput)

    similar = ()  # the customers that look like this one, where that stands in the way of saving

    def enter(self):
        self._look_for_alike()  # here, where a form that is sent twice does not come a second time
        return super().enter()

    def change(self):
        try:
            self._look_for_alike()
        except Alike as error:
            self.refuse(error)
            return False
        return super().change()

    def _look_for_alike(self):
        """This will raise Alike where customers look like what was typed, unless those were shown already."""
        if not {"name", "tax_id", "phone", "website"} & {*self.changed_data}:
            return
        typed = Customer(pk=self.instance.pk, **{name: self.cleaned_data[name] for name, _key in KEYS.values()})
        found = typed.similar_for(self.user)
        if found and self.cleaned_data["despite"] != _keys(found):
            raise Alike(found)

    def refuse(self, error):
        super().refuse(error)
        if isinstance(error, Alike):
            self.similar = error.customers
            self.data = self.data.copy()
            self.data[self.add_prefix("despite")] = _keys(error.customers)


class Alike(Refused):
    """Customers look like the one that is to be entered. Not refused for good: sent again, it is."""

    status = 200

    def __init__(self, customers):
        super().__init__(_("Customers that look like this one are there already. Look at them first."))
        self.customers = customers


def _keys(customers):
    return ",".join(str(customer.pk) for customer in customers)


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
