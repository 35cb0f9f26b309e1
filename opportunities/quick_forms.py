"""The small forms that enter an opportunity or a follow-up from any page."""

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm.custom_forms import NONE
from crm.fields import AmountField, DayField, MomentField, PicklistField
from crm.forms import RecordForm
from customers.pickers import CustomerPicker
from opportunities.follow_ups import FollowUp
from opportunities.models import Opportunity
from opportunities.pickers import FollowedCustomerPicker, FollowedPicker


class NewOpportunityForm(RecordForm):
    """A draft, in one's own charge, with what one knows of it at once."""

    starred = ("name",)
    asks_custom = NONE  # a draft needs no more than a name

    customer = CustomerPicker(label=_("Customer"), required=False)
    amount = AmountField(label=_("Amount"), required=False)
    expected_close_on = DayField(label=_("Expected close date"), required=False)

    class Meta:
        model = Opportunity
        fields = ("name", "customer", "business_type", "amount", "expected_close_on")
        field_classes = {"business_type": PicklistField}

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, user=user, instance=Opportunity(owner=user), **kwargs)
        self.initial = {name: value for name, value in self.initial.items() if value is not None}
        self.fields["business_type"].empty_label = _("Choose one")


class NewFollowUpForm(RecordForm):
    """What happened, or is planned, on an opportunity or with a customer."""

    opportunity = FollowedPicker(label=_("Opportunity"), required=False)
    customer = FollowedCustomerPicker(
        label=_("Customer"), required=False, help_text=_("Where it is about no opportunity.")
    )
    at = MomentField(label=_("When"), help_text=_("In the past: it is done. Ahead: it is planned."))
    next_at = MomentField(label=_("Next follow-up"), required=False)

    class Meta:
        model = FollowUp
        fields = ["kind", "content", "at"]
        widgets = {"content": forms.Textarea({"rows": 3})}

    field_order = ["opportunity", "customer", "kind", "content", "at", "next_at"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.initial.setdefault("at", timezone.now())
        self.fields["kind"].empty_label = None  # it is filled in beforehand

    def clean(self):
        super().clean()
        opportunity, customer = (self.cleaned_data.get(name) for name in ("opportunity", "customer"))
        if opportunity is not None:
            self.instance.opportunity, self.instance.customer = opportunity, opportunity.customer
        elif customer is not None:
            self.instance.customer = customer
        elif not {"opportunity", "customer"} & {*self.errors}:
            self.add_error("opportunity", _("Choose an opportunity, or a customer."))
        return self.cleaned_data

    def enter(self):
        self.instance.add(by=self.user, next_at=self.cleaned_data["next_at"])
        return self.instance
