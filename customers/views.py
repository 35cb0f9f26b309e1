"""The pages of customers and contacts."""

from django.contrib import messages
from django.db.models import Count, Window
from django.forms.models import model_to_dict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from crm.forms import Form, posted, typed_before
from crm.permissions import fetch, require
from crm.recent import page_of
from customers import similar
from customers.forms import ContactForm, CustomerForm, TransferForm
from customers.models import Contact, Customer
from notices.history import Event
from notices.views import comments_on, history_of, talk

FEW = 10  # rows of a section on a record's page
FEW_EVENTS = 5
PAGE = 50


@require_safe
def customer_page(request, pk):
    """This will show the customer whole or, to those who see it through an opportunity only, its name card."""
    whole = Customer.objects.select_related("industry", "level", "owner", "department")
    customer = fetch(request.user, "name", Customer, queryset=whole, pk=pk)
    contacts = customer.contacts.visible_to(request.user).in_order()
    if "view" not in customer.may:
        context = {"customer": customer, "contacts": contacts}
        return page_of(request, customer, "customers/name_card.html", context)
    opportunities = customer.opportunities.visible_to(request.user)
    context = {
        "customer": customer,
        "contacts": contacts,
        "opportunities": opportunities.in_order().for_rows()[:FEW],
        "figures": opportunities.figures(),
        **follow_ups(customer, request.user),
        **talk(customer, request.user),
        **history(customer),
    }
    return page_of(request, customer, "customers/customer.html", context)


def customer_new(request):
    require(request.user, "create")
    form = CustomerForm(posted(request), user=request.user, initial=typed_before(request, CustomerForm))
    if form.is_valid() and (customer := form.make()):
        messages.success(request, _("Customer saved."))
        return redirect(customer)
    return render(request, "customers/customer_form.html", {"form": form}, status=form.status)


def customer_copy(request, pk):
    """This will offer what is known of a customer to be entered as another one; nothing is there until it is saved."""
    customer = fetch(request.user, "copy", Customer, pk=pk)
    require(request.user, "create")
    form = CustomerForm(posted(request), user=request.user, initial=model_to_dict(customer, CustomerForm.Meta.fields))
    if form.is_valid() and (made := form.make()):
        messages.success(request, _("Customer saved."))
        return redirect(made)
    return render(request, "customers/customer_form.html", {"form": form, "copied": customer}, status=form.status)


@require_safe
def customer_similar(request):
    """This will give the customers whose name begins like the one that is being typed, for the form to show."""
    found = similar.begun(Customer.objects.named_to(request.user), request.GET.get("name", "")[:200])
    return render(request, "customers/_similar.html", {"similar": found})


def customer_edit(request, pk):
    customer = fetch(request.user, "change", Customer, pk=pk)
    form = CustomerForm(posted(request), user=request.user, instance=customer)
    if form.is_valid() and form.change():
        messages.success(request, _("Customer saved."))
        return redirect(customer)
    return render(request, "customers/customer_form.html", {"form": form, "customer": customer}, status=form.status)


def customer_transfer(request, pk):
    customer = fetch(request.user, "change", Customer, pk=pk, queryset=Customer.objects.select_related("owner"))
    form = TransferForm(posted(request), user=request.user, record=customer)
    if form.is_valid() and form.does(customer.transfer, to=form.cleaned_data["owner"]):
        told = {"customer": customer, "person": form.cleaned_data["owner"]}
        messages.success(request, _("%(person)s is in charge of %(customer)s now.") % told)
        return redirect(customer if Customer.objects.named_to(request.user).contains(customer) else "customers")
    return render(request, "customers/transfer.html", {"form": form, "customer": customer}, status=form.status)


def customer_delete(request, pk):
    customer = fetch(request.user, "delete", Customer, pk=pk)
    form = Form(posted(request), user=request.user, record=customer)
    if form.is_valid() and form.does(customer.delete_):
        messages.success(request, _("%(name)s was deleted.") % {"name": customer})
        return redirect("customers")
    context = {
        "form": form,
        "customer": customer,
        "why": customer.why_kept(request.user),
        "contacts": customer.contacts.count(),
        "follow_ups": customer.follow_ups.count(),
    }
    return render(request, "customers/customer_delete.html", context, status=form.status)


@require_safe
def contact_page(request, pk):
    """This will show all about a person; their history only to those who see the customer whole."""
    with_customer = Contact.objects.select_related("customer", "owner", "department")
    contact = fetch(request.user, "view", Contact, queryset=with_customer, pk=pk)
    opportunities = contact.opportunities.visible_to(request.user)
    context = {
        "contact": contact,
        "opportunities": opportunities.in_order().for_rows()[:PAGE],
        "opportunity_count": opportunities.count(),
        **follow_ups(contact, request.user),
        **(history(contact) if "change" in contact.may else {}),
    }
    return page_of(request, contact, "customers/contact.html", context)


def contact_new(request):
    require(request.user, "create")
    form = ContactForm(posted(request), user=request.user, initial=typed_before(request, ContactForm))
    if form.is_valid() and (contact := form.make()):
        messages.success(request, _("Contact saved."))
        return redirect(contact.customer if "customer" in request.GET else contact)
    return render(request, "customers/contact_form.html", {"form": form}, status=form.status)


def contact_copy(request, pk):
    """This will offer what is known of a person to be entered as another one; nothing is there until it is saved."""
    contact = fetch(request.user, "copy", Contact, queryset=Contact.objects.select_related("customer"), pk=pk)
    require(request.user, "create")
    form = ContactForm(posted(request), user=request.user, initial=model_to_dict(contact, ContactForm.Meta.fields))
    if form.is_valid() and (made := form.make()):
        messages.success(request, _("Contact saved."))
        return redirect(made)
    return render(request, "customers/contact_form.html", {"form": form, "copied": contact}, status=form.status)


def contact_edit(request, pk):
    contact = fetch(request.user, "change", Contact, queryset=Contact.objects.select_related("customer"), pk=pk)
    form = ContactForm(posted(request), user=request.user, instance=contact)
    if form.is_valid() and form.change():
        messages.success(request, _("Contact saved."))
        return redirect(contact)
    return render(request, "customers/contact_form.html", {"form": form, "contact": contact}, status=form.status)


def contact_delete(request, pk):
    contact = fetch(request.user, "delete", Contact, queryset=Contact.objects.select_related("customer"), pk=pk)
    form = Form(posted(request), user=request.user, record=contact)
    if form.is_valid() and form.does(contact.delete_):
        messages.success(request, _("%(name)s was deleted.") % {"name": contact})
        return redirect(contact.customer)
    context = {"form": form, "contact": contact, "why": contact.why_kept(request.user)}
    return render(request, "customers/contact_delete.html", context, status=form.status)


@require_safe
def customer_history(request, pk):
    return history_of(request, fetch(request.user, "view", Customer, pk=pk))


def customer_comments(request, pk):
    return comments_on(request, fetch(request.user, "comment", Customer, pk=pk))


@require_safe
def contact_history(request, pk):
    return history_of(request, fetch(request.user, "change", Contact, pk=pk))


def history(record):
    """This will give a page the latest of what happened to the record, and how much there is."""
    return {"events": Event.latest_about(record, FEW_EVENTS)}


def follow_ups(record, reader):
    """
    This will give a page the first follow-ups of a customer, or with a contact, that the reader sees, with how many
    there are.
    """
    rows = list(record.follow_ups.shown_to(reader).annotate(total=Window(Count("*")))[:FEW])
    return {
        "follow_ups": rows,
        "follow_up_count": rows[0].total if rows else 0,
        "next_follow_up": next((row for row in rows if row.done_at is None), None),
        "last_follow_up": next((row for row in rows if row.done_at is not None), None),
    }
