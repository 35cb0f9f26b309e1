"""The forms of customers and contacts."""

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm.custom_forms import NEEDED
from crm.fields import MomentField
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
        compared = [name for name, _key in KEYS.values() if name in self.fields]
        if self.instance.pk and not {*compared} & {*self.changed_data}:
            return
        typed = Customer(pk=self.instance.pk, **{name: self.cleaned_data[name] for name in compared})
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


class NewCustomerForm(CustomerForm):
    """No more than a customer needs."""

    asks_custom = NEEDED
    website = None

    class Meta:
        model = Customer
        fields = ["name", "phone", "industry"]
        widgets = {"phone": telephone()}


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


class NewContactForm(ContactForm):
    """No more than one needs to call somebody."""

    asks_custom = NEEDED

    class Meta:
        model = Contact
        fields = ["customer", "name", "title", "mobile"]
        widgets = {"mobile": telephone()}


class TransferForm(Form):
    """Who is to be in charge from now on."""

    owner = PersonPicker(label=_("New person in charge"))


class FollowUpsForm(Form):
    """A call, a meeting … about many customers or opportunities, or planned for each of them; and what comes next."""

    at = MomentField(label=_("When"), help_text=_("In the past: it is done. Ahead: it is planned."))
    next_at = MomentField(label=_("Next follow-up"), required=False)
    next_content = forms.CharField(
        label=_("What comes next"),
        required=False,
        widget=forms.Textarea({"rows": 2}),
        help_text=_("Empty means the same again."),
    )

    def __init__(self, *args, **kwargs):
        field = Customer.follow_ups.rel.related_model._meta.get_field
        kind = field("kind").formfield(empty_label=None)  # it is filled in beforehand
        content = field("content").formfield(widget=forms.Textarea({"rows": 4}))
        declared = type(self).base_fields
        self.base_fields = {"kind": kind, "at": declared["at"], "content": content} | declared
        super().__init__(*args, **kwargs)
        self.initial.setdefault("at", timezone.now())

    def clean(self):
        cleaned = super().clean()
        ask_when_next(self)
        return cleaned


def ask_when_next(form):
    """This will ask, where a form of follow-ups says what comes next, when that is to be."""
    said = form.cleaned_data
    if said.get("next_content") and not said.get("next_at") and "next_at" not in form.errors:
        form.add_error("next_at", _("Say when this is to be done."))
