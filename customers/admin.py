"""
The picklists of customers; and customers and contacts as files. They are edited on their own pages only.
"""

from django.contrib import admin

from crm.admin import PicklistAdmin
from crm.admin_files import Records
from customers.lists import ContactList, CustomerList
from customers.models import Contact, Customer, CustomerLevel, Industry

admin.site.register([Industry, CustomerLevel], PicklistAdmin)


@admin.register(Customer)
class CustomerAdmin(Records, admin.ModelAdmin):
    importing, listing = "customers", CustomerList
    list_display = ["name", "status", "owner", "created_at"]
    list_select_related = ["owner"]
    search_fields = ["name"]


@admin.register(Contact)
class ContactAdmin(Records, admin.ModelAdmin):
    importing, listing = "contacts", ContactList
    list_display = ["name", "customer", "owner", "created_at"]
    list_select_related = ["customer", "owner"]
    search_fields = ["name"]
