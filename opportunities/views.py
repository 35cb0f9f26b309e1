"""The pages of one opportunity: its record, the form that enters and changes it, and a small page for each act."""

from decimal import Decimal
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import Http404
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from approvals.models import Act
from crm import shown
from crm.forms import Form, typed_before
from crm.moments import organisation_today
from crm.once import once
from crm.permissions import fetch, found, permits, permits_now, require
from crm.recent import page_of
from crm.verbs import Refused, Stale
from notices import wording
from notices.history import Event
from notices.views import comments_on, history_of, talk
from opportunities.board import address_of
from opportunities.forms import (
    ContactForm,
    CorrectForm,
    MoveForm,
    OpportunityForm,
    QuickContactForm,
    ReassignForm,
    ShareForm,
    SignForm,
    SigningFields,
    TerminateForm,
    TerminatingFields,
    TransferForm,
    UnshareForm,
    VoidForm,
)
from opportunities.models import Opportunity, State
from opportunities.record import Page

a_page = require_http_methods(["GET", "HEAD", "POST"])

# What the form reads of an opportunity that it changes; the verbs read for themselves what they need.
FORM_JOINS = ("customer", "business_type", "source", "stage", "owner")


def _fetch(request, verb, pk, to_act=()):
    """This will fetch the opportunity with what its pages show or, where something was sent, with `to_act` alone."""
    if request.method != "POST":
        return found(request.user, verb, *Opportunity.objects.with_ties(request.user, pk))
    records = Opportunity.objects.select_related(*(to_act or [None]))  # without a name, Django would join everything
    return fetch(request.user, verb, Opportunity, queryset=records, to_act=True, pk=pk)


def page_for(request, verb, pk, rule=None, to_act=()):
    """This will give the Page to do `verb` on. Raises Refused where that cannot be done now and nothing was typed."""
    page = Page(_fetch(request, verb, pk, to_act), request.user)
    if request.method != "POST" and (reason := page.obstacle(rule or verb)):
        raise Refused(reason)
    return page


def obstructed(form, page, verb):
    """This will tell whether `verb` cannot be done now, and say why on a form that was sent: what was typed stays."""
    reason = form.is_bound and page.obstacle(verb)
    if reason:
        form.is_valid()
        form.refuse(Refused(reason))
    return bool(reason)


def to_record(request, opportunity):
    """This will lead to the opportunity, or, where it is out of the reader's sight now, to the list."""
    return redirect(opportunity if permits_now(request.user, "view", opportunity) else "opportunities")


# ── The record ───────────────────────────────────────────────────────────────────────────────────────────────────────


@require_safe
def record(request, pk):
    opportunity = _fetch(request, "view", pk)
    context = {"opportunity": opportunity, "page": Page(opportunity, request.user), **talk(opportunity, request.user)}
    return page_of(request, opportunity, "opportunities/opportunity.html", context)


@require_safe
def history(request, pk):
    return history_of(request, fetch(request.user, "view", Opportunity, pk=pk))


@a_page
def comments(request, pk):
    return comments_on(request, fetch(request.user, "comment", Opportunity, pk=pk))


# ── Entering and changing ────────────────────────────────────────────────────────────────────────────────────────────


@a_page
def new(request):
    require(request.user, "create")
    form = OpportunityForm(
        request.POST if request.method == "POST" else None,
        user=request.user,
        initial=typed_before(request, OpportunityForm),
    )
    if form.is_valid() and (opportunity := form.make()):
        messages.success(request, _said(form, opportunity))
        return to_record(request, opportunity)
    return render(request, "opportunities/form.html", {"form": form}, status=form.status)


@a_page
def edit(request, pk):
    page = page_for(request, "change", pk, to_act=FORM_JOINS)
    opportunity = page.opportunity
    data = request.POST if request.method == "POST" else None
    form = OpportunityForm(data, user=request.user, instance=opportunity)
    if form.task is not None and form.task.approval.act != Act.REPORT:
        fields = SigningFields if form.task.approval.act == Act.SIGN else TerminatingFields
        form.asked = fields(data, user=request.user, initial=_asked_before(form.task.round.form))
    stands = not obstructed(form, page, "change") and form.is_valid()
    if stands and (form.asked is None or form.asked.is_valid()) and form.change():
        messages.success(request, _said(form, opportunity))
        return redirect("task", form.task.pk) if form.task is not None else to_record(request, form.instance)
    return render(request, "opportunities/form.html", {"form": form, "opportunity": opportunity}, status=form.status)


def _said(form, opportunity):
    if form.submitting:
        return _("Submitted to %(name)s.") % {"name": form.cleaned_data["approver"]}
    if form.is_new and opportunity.owner != form.user:
        return _("Saved as a draft of %(name)s.") % {"name": opportunity.owner}
    return _("Saved.")


@a_page
def copy(request, pk):
    opportunity = _fetch(request, "copy", pk)
    require(request.user, "create")
    if request.method == "POST":
        draft = once(_key(request), by=request.user, make=lambda: opportunity.copy(by=request.user))
        messages.success(request, _("This is the copy: a draft of your own."))
        return redirect("opportunity_edit", draft.pk)
    return render(request, "opportunities/copy.html", {"opportunity": opportunity, "once": uuid4()})


def _key(request):
    try:
        return UUID(request.POST.get("once", ""))
    except ValueError:
        return None


# ── Asking for approval, and taking it back ──────────────────────────────────────────────────────────────────────────


def _ask(request, pk, act, form_class, template):
    page = page_for(request, act, pk, to_act=("owner", "department"))
    opportunity = page.opportunity
    again = page.unfinished if page.unfinished is not None and page.unfinished.act == act else None
    form = form_class(
        request.POST if request.method == "POST" else None,
        user=request.user,
        record=opportunity,
        initial=_asked_before(page.round.form) if again else _asked_at_first(opportunity),
    )
    if not obstructed(form, page, act) and form.is_valid() and form.does(getattr(opportunity, act), **form.values()):
        messages.success(request, _("Submitted to %(name)s.") % {"name": form.cleaned_data["approver"]})
        return redirect(opportunity)
    context = {"form": form, "opportunity": opportunity, "page": page, "again": again}
    return render(request, template, context, status=form.status)


def _asked_at_first(opportunity):
    return {"signed_amount": opportunity.amount, "signed_on": organisation_today()}


def _asked_before(form):
    """This will give a round's form as the initial values of ours."""
    before = {name: value["id"] if isinstance(value, dict) else value for name, value in form.items()}
    return before | {"signed_amount": Decimal(before["signed_amount"])} if "signed_amount" in before else before


@a_page
def sign(request, pk):
    return _ask(request, pk, Act.SIGN, SignForm, "opportunities/sign.html")


@a_page
def terminate(request, pk):
    return _ask(request, pk, Act.TERMINATE, TerminateForm, "opportunities/terminate.html")


def _question(request, pk, verb, method, template, said, form_class=Form, rule=None):
    """This will ask, and on POST do, what cannot simply be taken back."""
    page = page_for(request, verb, pk, rule)
    opportunity = page.opportunity
    form = form_class(request.POST if request.method == "POST" else None, user=request.user, record=opportunity)
    if form.is_valid():
        values = {name: value for name, value in form.cleaned_data.items() if name != "version"}
        if form.does(getattr(opportunity, method), **values):
            messages.success(request, said)
            return redirect(opportunity)
    context = {"form": form, "opportunity": opportunity, "page": page}
    return render(request, template, context, status=form.status)


@a_page
def withdraw(request, pk):
    return _question(request, pk, "withdraw", "withdraw", "opportunities/withdraw.html", _("Withdrawn."))


@a_page
def drop(request, pk):
    return _question(request, pk, "withdraw", "drop", "opportunities/drop.html", _("Dropped."), rule="drop")


@a_page
def void(request, pk):
    return _question(request, pk, "void", "void", "opportunities/void.html", _("It is void."), VoidForm)


# ── Everything else ──────────────────────────────────────────────────────────────────────────────────────────────────


@require_POST
def move(request, pk):
    """This will move it, and lead to its own page or the board; what the stage lacks is asked for first."""
    opportunity = _fetch(request, "move", pk, to_act=("stage__pipeline",))
    form = MoveForm(request.POST, user=request.user, record=opportunity)
    if not form.is_valid():
        raise Refused(_("There is no such stage."))
    stage, seen, board = form.cleaned_data["stage"], form.cleaned_data["version"], request.POST.get("board")
    back = opportunity.get_absolute_url() if board is None else address_of(board, moved=pk)
    values, asks = {}, opportunity.missing_for(stage) if opportunity.state == State.ACTIVE else []
    if asks:
        initial = {"stage": stage.pk, "version": seen}
        sent = request.POST if "asked" in request.POST else None
        form = MoveForm(sent, user=request.user, record=opportunity, asks=asks, initial=initial)
        if not form.is_valid():
            needed = pgettext("between the members of a list", ", ").join(str(form[name].label) for name in asks)
            context = {"form": form, "opportunity": opportunity, "stage": stage, "needed": needed}
            context |= {"board": board, "back": back}
            return render(request, "opportunities/move.html", context, status=409)
        values = form.values()
    try:
        opportunity.move(stage=stage, by=request.user, seen=seen, **values)
    except Stale as stale:
        raise Refused(f"{stale.message} {_last_change(opportunity)}") from stale
    messages.success(request, _("Moved to %(stage)s.") % {"stage": stage})
    return redirect(back)


def _last_change(opportunity):
    """This will say who changed it last, when, and what."""
    event = Event.objects.about(opportunity).exclude(changes={}).first()
    if event is None:
        return ""
    rows = [f"{row.label}: {row.old or '–'} → {row.new or '–'}" for row in wording.changes(event)]
    parts = {"name": event.by, "time": shown.moment(event.at), "what": "; ".join(rows)}
    return _("%(name)s, %(time)s: %(what)s.") % parts


@a_page
def transfer(request, pk):
    opportunity = page_for(request, "transfer", pk).opportunity
    form = TransferForm(request.POST if request.method == "POST" else None, user=request.user, record=opportunity)
    if form.is_valid() and form.does(opportunity.transfer, to=form.cleaned_data["owner"]):
        messages.success(request, _("%(name)s is in charge now.") % {"name": opportunity.owner})
        return to_record(request, opportunity)
    context = {"form": form, "opportunity": opportunity}
    return render(request, "opportunities/transfer.html", context, status=form.status)


@a_page
def share(request, pk):
    opportunity = _fetch(request, "share", pk)
    form = ShareForm(request.POST if request.method == "POST" else None, user=request.user)
    if form.is_valid() and form.does(opportunity.share, **form.cleaned_data):
        messages.success(request, _("Shared."))
        return redirect(opportunity)
    context = {"form": form, "opportunity": opportunity, "page": Page(opportunity, request.user)}
    return render(request, "opportunities/share.html", context, status=form.status)


@a_page
def unshare(request, pk):
    opportunity = _fetch(request, "share", pk)
    form = UnshareForm(request.POST if request.method == "POST" else request.GET, user=request.user)
    one = form.is_valid() and (form.cleaned_data["person"] or form.cleaned_data["department"])
    if not one:
        raise Http404
    if request.method == "POST" and form.does(opportunity.unshare, **form.cleaned_data):
        messages.success(request, _("%(name)s no longer sees it by this share.") % {"name": one})
        return redirect(opportunity)
    return render(
        request,
        "opportunities/unshare.html",
        {"opportunity": opportunity, "one": one, "form": form},
        status=form.status,
    )


@a_page
def contact(request, pk):
    """This will name a person of the customer on the opportunity, a new one too; make one primary; or remove one."""
    opportunity = _fetch(request, "change_contacts", pk)
    if opportunity.customer is None:
        raise Refused(_("Choose a customer first: a contact is a person of the customer."))
    named = _named(request, opportunity)
    if named and "remove" in request.GET and request.method != "POST":
        return render(request, "opportunities/contact_remove.html", {"opportunity": opportunity, "placement": named})
    adds = permits(request.user, "add_contact", opportunity.customer) and not named
    data = request.POST if request.method == "POST" else None
    is_new = adds and "new" in request.POST
    initial = {"contact": named.contact_id, "role": named.role} if named else {}
    form = ContactForm(None if is_new else data, user=request.user, initial=initial)
    form.fields["contact"].of(opportunity.customer)
    quick = None
    if adds:
        quick = QuickContactForm(data if is_new else None, user=request.user, opportunity=opportunity, prefix="new")
    said = _name_new(quick) if is_new else _name(request.POST, form, opportunity) if data is not None else None
    if said:
        messages.success(request, said)
        return redirect(opportunity)
    context = {"form": form, "quick": quick, "opportunity": opportunity, "named": named}
    status = quick.status if is_new else form.status
    return render(request, "opportunities/contact.html", context, status=status)


def _named(request, opportunity):
    """This will give the placement on the opportunity of the contact that the address names, or None."""
    wanted = request.GET.get("remove") or request.GET.get("contact") or ""
    there = opportunity.placements.select_related("contact")
    return there.filter(contact=wanted).first() if wanted.isdecimal() and len(wanted) < 19 else None


def _name_new(form):
    person = form.is_valid() and form.make()
    return _("%(name)s is a contact now.") % {"name": person} if person else None


def _name(sent, form, opportunity):
    """This will do to the contact of `form` what was asked for, and give what was done, in words, or None."""
    if not form.is_valid():
        return None
    person = form.cleaned_data["contact"]
    if "primary" in sent:
        done = form.does(opportunity.make_primary, contact=person)
        return _("%(name)s is the primary contact now.") % {"name": person} if done else None
    if "remove" not in sent:
        done = form.does(opportunity.add_contact, **form.cleaned_data)
        return _("%(name)s is a contact now.") % {"name": person} if done else None
    if not form.does(opportunity.remove_contact, contact=person):
        return None
    following = opportunity.placements.filter(primary=True).select_related("contact").first()
    if following is None:
        return _("%(name)s was removed.") % {"name": person}
    return _("%(name)s was removed. %(primary)s is the primary contact.") % {"name": person, "primary": following}


@a_page
def reassign(request, pk):
    page = page_for(request, "reassign", pk)
    opportunity = page.opportunity
    form = ReassignForm(request.POST if request.method == "POST" else None, user=request.user, record=opportunity)
    given = ("customer", "contact")
    stands = not obstructed(form, page, "reassign") and form.is_valid()
    if stands and form.does(opportunity.reassign, **{name: form.cleaned_data[name] for name in given}):
        messages.success(request, _("It belongs to %(customer)s now.") % {"customer": opportunity.customer})
        return to_record(request, opportunity)
    context = {"form": form, "opportunity": opportunity, "page": page}
    return render(request, "opportunities/reassign.html", context, status=form.status)


@a_page
def correct(request, pk):
    opportunity = page_for(request, "correct", pk).opportunity
    signing = getattr(opportunity, "signing", None)
    before = signing and {
        "contract_number": signing.contract_number,
        "signed_amount": signing.amount,
        "signed_on": signing.signed_on,
        "term": signing.term,
    }
    form = CorrectForm(
        request.POST if request.method == "POST" else None, user=request.user, record=opportunity, initial=before
    )
    if form.is_valid() and form.does(opportunity.correct, **form.values()):
        messages.success(request, _("Corrected."))
        return redirect(opportunity)
    context = {"form": form, "opportunity": opportunity}
    return render(request, "opportunities/correct.html", context, status=form.status)
