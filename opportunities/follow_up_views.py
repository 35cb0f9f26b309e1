"""The pages of follow-ups: add one to an opportunity or a customer, tick it off, change it, delete it."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from crm.forms import Form, posted, typed_before
from crm.pages import came_from
from crm.permissions import fetch
from customers.models import Contact, Customer
from opportunities.follow_up_forms import ChangeForm, DoneForm, FollowUpForm
from opportunities.follow_ups import FollowUp
from opportunities.models import Opportunity
from opportunities.picklists import FollowUpKind

LAST_KIND = "follow_up_kind"  # in the session: the type that this person used last
BEFORE = 3  # earlier ones beside the form
PAGE = 50


@require_safe
def opportunity_follow_ups(request, pk):
    return _all(request, fetch(request.user, "view", Opportunity, pk=pk), named=False)


@require_safe
def customer_follow_ups(request, pk):
    return _all(request, fetch(request.user, "view", Customer, pk=pk), named=True)


@require_safe
def contact_follow_ups(request, pk):
    return _all(request, fetch(request.user, "view", Contact, pk=pk), named=True)


def _all(request, about, *, named):
    page = Paginator(about.follow_ups.shown_to(request.user), PAGE).get_page(request.GET.get("page"))
    return render(request, "opportunities/follow_ups/all.html", {"about": about, "page": page, "named": named})


def opportunity_follow_up(request, pk):
    with_customer = Opportunity.objects.select_related("customer")
    opportunity = fetch(request.user, "add_follow_up", Opportunity, queryset=with_customer, pk=pk)
    return _add(request, opportunity, FollowUp(opportunity=opportunity))


def customer_follow_up(request, pk):
    customer = fetch(request.user, "add_follow_up", Customer, pk=pk)
    return _add(request, customer, FollowUp(customer=customer))


def _add(request, about, follow_up):
    initial = {
        "kind": FollowUpKind.to_begin_with(request.session.get(LAST_KIND)),
        "at": timezone.now(),
        **typed_before(request, FollowUpForm),
    }
    form = FollowUpForm(posted(request), request.FILES or None, user=request.user, instance=follow_up, initial=initial)
    if form.is_valid() and (added := form.make()):
        request.session[LAST_KIND] = added.kind_id
        messages.success(request, _("Follow-up record added.") if added.done_at else _("Follow-up planned."))
        return redirect(about)
    context = {"form": form, "about": about, "before": about.follow_ups.shown_to(request.user)[:BEFORE]}
    return render(request, "opportunities/follow_ups/add.html", context, status=form.status)


def follow_up_done(request, pk):
    follow_up = fetch(request.user, "change", FollowUp, queryset=FollowUp.objects.with_about(), pk=pk)
    back = came_from(request) or follow_up.about.get_absolute_url()
    form = DoneForm(posted(request), user=request.user, instance=follow_up)
    if form.is_valid() and form.change():
        messages.success(request, _("Follow-up done."))
        return redirect(back)
    context = {"form": form, "follow_up": follow_up, "about": follow_up.about, "back": back}
    return render(request, "opportunities/follow_ups/done.html", context, status=form.status)


def follow_up_edit(request, pk):
    follow_up = fetch(request.user, "change", FollowUp, queryset=FollowUp.objects.with_about(), pk=pk)
    back = came_from(request) or follow_up.about.get_absolute_url()
    form = ChangeForm(posted(request), user=request.user, instance=follow_up)
    if form.is_valid() and form.change():
        messages.success(request, _("Follow-up record saved."))
        return redirect(back)
    context = {"form": form, "follow_up": follow_up, "about": follow_up.about, "back": back}
    return render(request, "opportunities/follow_ups/edit.html", context, status=form.status)


def follow_up_delete(request, pk):
    follow_up = fetch(request.user, "delete", FollowUp, queryset=FollowUp.objects.with_about(), pk=pk)
    back = came_from(request) or follow_up.about.get_absolute_url()
    form = Form(posted(request), user=request.user, record=follow_up)
    if form.is_valid() and form.does(follow_up.delete_):
        messages.success(request, _("Follow-up record deleted."))
        return redirect(back)
    context = {"form": form, "follow_up": follow_up, "about": follow_up.about, "back": back}
    return render(request, "opportunities/follow_ups/delete.html", context, status=form.status)
