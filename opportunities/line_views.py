"""The page of an opportunity's lines, and the price list."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from crm import shown
from crm.exports import Table
from opportunities.line_forms import LinesForm, ProductPicker
from opportunities.products import Product, RevenueCategory
from opportunities.views import a_page, obstructed, page_for, to_record

PAGE = 100


@a_page
def lines(request, pk):
    """This will show the form of the lines; on POST save them, add a row, or only work out what they come to."""
    page = page_for(request, "change", pk)
    opportunity = page.opportunity
    before = opportunity.amount
    form = LinesForm(request.POST if request.method == "POST" else None, user=request.user, opportunity=opportunity)
    if "work-out" in request.GET and form.is_bound:
        form.is_valid()
        return render(
            request, "opportunities/lines/_sums.html", {"form": form, "opportunity": opportunity, "oob": True}
        )
    if form.is_bound and request.POST.get("act") == "add":
        form.add_row()
    elif not obstructed(form, page, "change") and form.is_valid() and form.change():
        messages.success(request, said(before, opportunity))
        task = opportunity.task_held_by(request.user)
        return redirect("task", task.pk) if task is not None else to_record(request, opportunity)
    context = {"form": form, "opportunity": opportunity, "page": page}
    return render(request, "opportunities/lines/form.html", context, status=form.status)


def said(before, opportunity):
    """This will say that the lines are saved and, where that changed, what the grand total was and is."""
    if before in (None, opportunity.amount):
        return _("Saved.")
    was, now = (shown.money(amount, opportunity.currency) for amount in (before, opportunity.amount))
    return _("Saved. The grand total was %(was)s, and is %(now)s.") % {"was": was, "now": now or "–"}


@require_safe
def products(request):
    """This will show the price list: what is sold, in the order of the categories."""
    text = request.GET.get("q", "").strip()
    sold = Product.objects.filter(active=True)
    if text:
        sold = ProductPicker().search(sold, text)
    names = {category.pk: (place, name) for place, (category, name) in enumerate(RevenueCategory.tree())}
    rows = sorted(sold, key=lambda product: (names[product.category_id][0], product.order, product.key))
    for product in rows:
        product.category_name = names[product.category_id][1]
    if Table.asked(request):
        heads = [_("Product"), _("Revenue category"), _("Code"), _("Unit"), _("List price")]
        values = [(str(one), one.category_name, one.key, one.unit_name, one.price) for one in rows]
        return Table(request, "products", _("Price list"), heads, values).answer()
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    return render(request, "opportunities/lines/products.html", {"page": page, "text": text})
