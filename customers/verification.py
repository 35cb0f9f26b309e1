"""What must hold of customers and contacts."""

from django.db.models import F

from crm.pinyin import sort_key
from crm.verification import each
from customers import similar
from customers.models import Contact, Customer


def differences():
    """This will give a sentence for each thing that is not as it must be."""
    astray = Contact.objects.exclude(owner=F("customer__owner"), department=F("customer__department"))
    yield from each(astray, "is not in the charge and department of its customer")
    columns = [*similar.KEYS]
    for customer in Customer.objects.only("name", "tax_id", "phone", "website", *columns).order_by("pk").iterator():
        if {column: getattr(customer, column) for column in columns} != similar.keys_of(customer):
            yield f"customer {customer.pk}: the keys it is compared by are not those of its fields"
    for model in (Customer, Contact):
        yield from model.TEXT.differences()
        for pk, name, key in model.objects.order_by("pk").values_list("pk", "name", "name_key").iterator():
            if key != sort_key(name):
                yield f"{model._meta.model_name} {pk}: its sort key is not that of its name"
