"""The opportunities that a form offers."""

from crm import shown
from crm.fields import PickerField
from customers.models import Customer
from customers.pickers import CustomerPicker
from opportunities.models import Opportunity


class FollowedPicker(PickerField):
    """An opportunity to which one may add a follow-up; the second line tells namesakes apart."""

    url_name = "opportunity_pick"

    def queryset_for(self, user):
        return Opportunity.objects.permitted(user, "add_follow_up").in_order().select_related("customer", "owner")

    def second(self, opportunity):
        return shown.joined(opportunity.customer, opportunity.number, opportunity.owner)


class FollowedCustomerPicker(CustomerPicker):
    """A customer to which one may add a follow-up."""

    url_name = "followed_customer_pick"

    def queryset_for(self, user):
        return Customer.objects.permitted(user, "add_follow_up").in_order().select_related("department", "owner")
