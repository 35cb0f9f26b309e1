"""The picklists of customers. Customers themselves are edited on their own pages only."""

from django.contrib import admin

from crm.admin import PicklistAdmin
from customers.models import CustomerLevel, Industry

admin.site.register([Industry, CustomerLevel], PicklistAdmin)
