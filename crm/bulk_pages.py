"""
The pages of an act on many records at once: the question with its form; how far it is; what was done, and what was not.
"""

from uuid import UUID, uuid4

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from crm.bulk import BulkRow, BulkRun
from crm.forms import posted
from crm.once import once
from crm.selection import Selection
from crm.verbs import Refused

FORESEEN = 1_000  # rows; of more it is not asked beforehand to how many it cannot be done
PAGE = 50
SHOWN = 50  # rows of the question
RUNS = 30  # earlier ones listed
ANOTHER = gettext_lazy("This form was confirmed before, for something else. See what it says now, then confirm.")
OURS = ("csrfmiddlewaretoken", "once", "seal")  # what a form sends beside its fields


def ask(listing, key):
    """This will ask about an act on the selected rows and, where that is confirmed, have it done."""
    request = listing.request
    act = listing.act(key)
    if act is None:
        raise Http404
    selection = Selection(listing, left=_left(request, listing))
    form = act.form(posted(request), user=request.user)
    if form.is_valid() and _is_as_shown(form, selection) and (run := _begun(form, act, selection)):
        return redirect(run)
    refusals, all_refused = _foreseen(act, selection)
    rows = act.rows(listing, selection.keys[:SHOWN]) if act.shows else []
    context = {
        "listing": listing,
        "act": act,
        "form": form,
        "selection": selection,
        "what": listing.counted % {"count": len(selection.rows)},
        "refusals": refusals,
        "can_be_done": bool(selection.names) and not selection.is_too_much and not all_refused,
        "rows": rows,
        "more_rows": len(selection.names) - len(rows) if act.shows else 0,
        "parts": _parts(form) if act.asks_on_a_page else [],
        "once": form.data.get("once") or uuid4(),
    }
    template = "crm/bulk/page.html" if act.asks_on_a_page else "crm/bulk/ask.html"
    return render(request, template, context, status=form.status)


def _parts(form):
    """This will list (heading, [(box or None, field, classes)]) of what a page asks: what is long takes its width."""
    long = forms.Textarea | forms.CheckboxSelectMultiple
    parts = getattr(form, "parts", None) or [("", [(None, bound) for bound in form])]
    return [
        (heading, [(box, bound, "full" if isinstance(bound.field.widget, long) else "") for box, bound in fields])
        for heading, fields in parts
        if fields
    ]


def _left(request, listing):
    """This will give the rows that a run of the reader's left, where the address asks for those; else None."""
    if listing.again is None:
        return None
    run = get_object_or_404(BulkRun.objects.visible_to(request.user), pk=listing.again)
    if run.list_for(request.user).name != listing.name:
        raise Http404
    states = (BulkRow.State.REFUSED, BulkRow.State.SKIPPED)
    return [(pk, None) for pk in run.rows.filter(state__in=states).values_list("about_id", flat=True)]


def _is_as_shown(form, selection):
    """This will tell whether the very rows match that were shown; else have the form ask once more."""
    if not selection.is_every or form.data.get("seal") == selection.seal:
        return True
    form.refuse(Refused(_("What matches has changed since you opened this. See how many there are now, then confirm.")))
    return False


def _begun(form, act, selection):
    """This will give the run that was begun, now or by an earlier sending of the form; None where it was refused."""
    listing, request, fresh = selection.listing, selection.listing.request, []
    given = QueryDict(mutable=True)
    for name, texts in request.POST.lists():
        if name not in OURS:
            given.setlist(name, texts)
    given = given.urlencode()

    def begin():
        fresh.append(BulkRun.begin(listing, act, given, form, selection.rows, by=request.user))
        return fresh[0]

    try:
        run = once(_key(request), by=request.user, make=begin)
        if not fresh and not run.is_of(listing, act, given, selection.keys):
            form.data = form.data.copy()
            form.data["once"] = str(uuid4())  # what is confirmed now is new
            raise Refused(ANOTHER)
    except Refused as error:
        form.refuse(error)
        return None
    if fresh and run.job is None:
        run.work_at_once(by=request.user)
    return run


def _key(request):
    try:
        return UUID(request.POST.get("once", ""))
    except ValueError:
        return None


def _foreseen(act, selection):
    """This will say to how many it cannot be done, where that is known, "" for none; and whether they are all."""
    keys = list(selection.names)
    if act.refusals is None or not keys or len(keys) > FORESEEN:
        return "", False
    listing = selection.listing
    possible = act.possible(listing.user, listing.model.objects.filter(pk__in=keys)).order_by().count()
    if not possible:
        return _("This cannot be done to any of them, as they stand and as you may."), True
    return (act.refusals % {"count": len(keys) - possible} if possible < len(keys) else ""), False


# ── A run ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _find(request, pk):
    return get_object_or_404(BulkRun.objects.visible_to(request.user).select_related("job", "batch", "owner"), pk=pk)


@require_safe
def bulk_runs(request):
    """This will list what the reader did to many records lately."""
    runs = BulkRun.objects.visible_to(request.user).select_related("job", "owner")[:RUNS]
    return render(request, "crm/bulk/runs.html", {"runs": runs})


@require_safe
def bulk_run(request, pk):
    run = _find(request, pk)
    if request.htmx:
        answer = render(request, "crm/bulk/_job.html", {"run": run})
        if not run.is_busy:
            answer["HX-Refresh"] = "true"
        return answer
    listing = run.list_for(request.user)
    show = request.GET.get("show")
    if show not in ("done", "refused", "skipped"):
        show = next((state for state in ("refused", "skipped") if run.counts[state]), "done")
    page = Paginator(run.rows.filter(state=show), PAGE).get_page(request.GET.get("page"))
    rows = list(page.object_list)
    page.object_list = _linked(listing, [(row.about_id, row) for row in rows])
    page.named = run.kind.removes and show == "done"
    left = list(run.left[:PAGE])
    names = listing.names_of([entry.about_id for entry in left])
    context = {
        "run": run,
        "listing": listing,
        "show": show,
        "shows": [(state.value, state.label, run.counts[state.value]) for state in list(BulkRow.State)[1:]],
        "page": page,
        "left": [
            (names.get(entry.about_id), url, entry)
            for url, entry in _linked(listing, [(entry.about_id, entry) for entry in left])
        ],
        "again": _again(run, listing),
    }
    return render(request, "crm/bulk/run.html", context)


def _linked(listing, rows):
    """This will give (address, or "" where it is out of the reader's sight; row) for each (key, row)."""
    links = listing.links_of([pk for pk, _row in rows])
    return [(links.get(pk, ""), row) for pk, row in rows]


def _again(run, listing):
    """This will list (word, address) of what can be done to the rows that were not done."""
    if not listing.takes_all or run.is_busy or not run.counts["refused"] + run.counts["skipped"]:
        return []
    query = QueryDict(run.query, mutable=True)
    query["again"] = run.pk
    return [(one["act"].word, f"{one['url']}?{query.urlencode()}") for one in listing.acts_shown]


@require_http_methods(["GET", "HEAD", "POST"])
def undo(request, pk):
    """This will ask, and then have the run undone."""
    run = _find(request, pk)
    if request.method == "POST":
        run.undo(by=request.user)
        _say_undone(request, _find(request, pk))
        return redirect(run)
    if not run.can_be_undone:
        return redirect(run)
    return render(request, "crm/bulk/undo.html", {"run": run, "standing": run.standing_count})


def _say_undone(request, run):
    if not run.is_busy:
        said = ngettext("One record is what it was.", "%(count)d records are what they were.", run.undone_count)
        messages.success(request, said % {"count": run.undone_count})


@require_POST
def bulk_stop(request, pk):
    run = _find(request, pk)
    if run.is_busy:
        run.job.cancel(by=request.user)
    return redirect(run)


@require_POST
def bulk_go_on(request, pk):
    run = _find(request, pk)
    run.go_on(by=request.user)
    return redirect(run)


urlpatterns = [
    path("bulk/", bulk_runs, name="bulk_runs"),
    path("bulk/<int:pk>/", bulk_run, name="bulk_run"),
    path("bulk/<int:pk>/undo/", undo, name="bulk_undo"),
    path("bulk/<int:pk>/stop/", bulk_stop, name="bulk_stop"),
    path("bulk/<int:pk>/go-on/", bulk_go_on, name="bulk_go_on"),
]
