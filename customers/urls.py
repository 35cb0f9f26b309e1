"""The addresses of customers and contacts."""

from django.urls import path

from customers import views
from customers.cell_views import ContactCells, CustomerCells
from customers.lists import ContactList, CustomerList
from customers.menu_views import ContactMenu, CustomerMenu
from customers.pickers import ContactPicker, CustomerPicker

urlpatterns = [
    *CustomerList.paths("customers/"),
    *ContactList.paths("contacts/"),
    CustomerCells.path("customers/"),
    ContactCells.path("contacts/"),
    CustomerMenu.path("customers/"),
    ContactMenu.path("contacts/"),
    path("customers/new/", views.customer_new, name="customer_new"),
    path("customers/similar/", views.customer_similar, name="customer_similar"),
    path("customers/pick/", CustomerPicker.as_view(), name="customer_pick"),
    path("customers/<int:pk>/", views.customer_page, name="customer"),
    path("customers/<int:pk>/edit/", views.customer_edit, name="customer_edit"),
    path("customers/<int:pk>/copy/", views.customer_copy, name="customer_copy"),
    path("customers/<int:pk>/transfer/", views.customer_transfer, name="customer_transfer"),
    path("customers/<int:pk>/delete/", views.customer_delete, name="customer_delete"),
    path("customers/<int:pk>/history/", views.customer_history, name="customer_history"),
    path("customers/<int:pk>/comments/", views.customer_comments, name="customer_comments"),
    path("contacts/new/", views.contact_new, name="contact_new"),
    path("contacts/pick/", ContactPicker.as_view(), name="contact_pick"),
    path("contacts/<int:pk>/", views.contact_page, name="contact"),
    path("contacts/<int:pk>/edit/", views.contact_edit, name="contact_edit"),
    path("contacts/<int:pk>/copy/", views.contact_copy, name="contact_copy"),
    path("contacts/<int:pk>/delete/", views.contact_delete, name="contact_delete"),
    path("contacts/<int:pk>/history/", views.contact_history, name="contact_history"),
]
