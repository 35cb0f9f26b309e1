"""The pages of an import: upload, match columns, check, import, undo; and the file of the rows that were refused."""

from types import SimpleNamespace

from django import forms
from django.contrib import messages
from django.contrib.contenttypes.models import ContentType
from django.core.paginator import Paginator
from django.http import FileResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from crm.exports import EXCEL, in_columns, workbook
from crm.fields import ChoiceHint
from crm.forms import Form, posted
from crm.importing import ImportRun, SavedMatching
from crm.journal import Entry
from crm.kinds import is_key
from crm.matching import MatchForm, ReadForm
from crm.permissions import require
from crm.resources import MODES, kinds
from crm.verbs import NotAllowed, Refused

RUNS = 10  # earlier imports listed
LARGE = ["columns", "sheets", "top", "sample", "changes", "known", "matching"]  # what a list of imports does not show
CELLS = 20  # refused cells on a page
RECORDS = 10  # records shown of what came in, or could not be undone
PAGE = 50


class UploadForm(Form):
    """A file, and what is in it."""

    kind = forms.ChoiceField(label=_("What is in the file"), widget=forms.RadioSelect)
    file = forms.FileField(
        label=_("File"),
        allow_empty_file=True,  # what is wrong with it is said by whoever reads it
        help_text=_(
            "CSV, TSV or Excel, with a row of headings; for contacts vCards too. Nothing is written before you have "
            "seen what will happen."
        ),
        widget=forms.FileInput({"accept": ".csv,.tsv,.txt,.xlsx,.xlsm,.xls,.vcf"}),
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        offered = [kind for kind in kinds().values() if kind.may(self.user)]
        self.fields["kind"].choices = [(kind.key, ChoiceHint(kind.label, kind.hint)) for kind in offered]

    def upload(self):
        """This will give the import that begins, or None where the file was refused."""
        try:
            return ImportRun.upload(self.cleaned_data["file"], self.cleaned_data["kind"], by=self.user)
        except Refused as error:
            self.refuse(error)
            return None


def imports(request):
    require(request.user, "import")
    first = {"kind": request.GET.get("kind", "opportunities")}
    form = UploadForm(posted(request), request.FILES or None, user=request.user, initial=first)
    if form.is_valid() and (run := form.upload()):
        address = reverse("import_match", args=[run.pk])
        return HttpResponseClientRedirect(address) if request.htmx else redirect(address)
    runs = ImportRun.objects.visible_to(request.user).select_related("job").defer(*LARGE)[:RUNS]
    context = {"form": form, "runs": runs, "matchings": SavedMatching.objects.filter(owner=request.user)}
    status = 200 if request.htmx else form.status  # or the form would not take the place of the one that was sent
    return render(request, "crm/imports/upload.html", context, status=status)


def find(request, pk):
    """
    This will give the import of the reader, with its job. Raises Http404 where it is somebody else's, or nobody's, and
    NotAllowed where the reader may no longer import such records.
    """
    run = get_object_or_404(ImportRun.objects.visible_to(request.user).select_related("job"), pk=pk)
    if not kinds()[run.kind].may(request.user):
        raise NotAllowed()
    return run


def match(request, pk):
    run = find(request, pk)
    mine = SavedMatching.objects.filter(owner=request.user, kind=run.kind)
    saved = get_object_or_404(mine, pk=request.GET["saved"]) if is_key(request.GET.get("saved")) else None
    resource = run.resource(request.user)
    form = MatchForm(posted(request), user=request.user, run=run, resource=resource, saved=saved)
    if form.is_valid() and _matched(form, run):
        if request.POST.get("act") == "check" and not form.asks:
            run.check_(by=request.user)
            return redirect(run)
        if form.asks:
            messages.info(request, gettext("Some texts are not known here. Say what they stand for, then check."))
        elif not form.unknown:
            messages.success(request, gettext("The columns are matched. Check is next."))
        return redirect(reverse("import_match", args=[run.pk]) + ("#values" if form.unknown else ""))
    context = {
        "form": form,
        "run": run,
        "read": ReadForm(user=request.user, run=run),
        "matchings": mine,
        "saved": saved,
    }
    return render(request, "crm/imports/match.html", context, status=form.status)


def _matched(form, run):
    try:
        run.match(form.matching, form.known, by=form.user, **form.options)
    except Refused as error:
        form.refuse(error)
        return False
    form.save_under_its_name()
    return True


@require_POST
def read(request, pk):
    """This will have the file read anew as its owner says; what cannot be read so is refused beside the field."""
    run = find(request, pk)
    form = ReadForm(posted(request), user=request.user, run=run)
    if form.is_valid():
        try:
            run.reread(by=request.user, **form.choice)
        except Refused as error:
            form.refuse(Refused(error.message))
        else:
            return redirect("import_match", run.pk)
    resource = run.resource(request.user)
    matching = MatchForm(user=request.user, run=run, resource=resource)
    context = {"form": matching, "run": run, "read": form}
    return render(request, "crm/imports/match.html", context, status=form.status)


@require_POST
def forget(request, pk):
    """This will delete a saved matching."""
    saved = get_object_or_404(SavedMatching, pk=pk, owner=request.user)
    saved.delete()
    return redirect("imports")


def check(request, pk):
    run = find(request, pk)
    if request.method == "POST":
        run.check_(by=request.user)
        return redirect(run)
    if run.state == ImportRun.State.UPLOADED:
        return redirect("import_match", run.pk)
    if request.htmx:
        answer = render(request, "crm/imports/_job.html", {"run": run})
        if not run.is_busy:
            answer["HX-Refresh"] = "true"
        return answer
    page = Paginator(run.cells.all(), CELLS).get_page(request.GET.get("page"))
    kind = kinds()[run.kind]
    context = {
        "run": run,
        "page": page,
        "counts": run.counts,
        "came_in": run.counts["new"] + run.counts["changed"],
        "hint": kind.hint,
        "mode": MODES.get(run.mode or kind.modes[0])[0],
        "key": kind.keys.get(run.by, next(iter(kind.keys.values()))),
        "records": named_entries(run.entries[:RECORDS], request.user),
        "left": named_entries(run.left[:RECORDS], request.user),
    }
    return render(request, "crm/imports/check.html", context)


def named_entries(entries, user):
    """This will list (entry, its record) of journal entries; None for one that is gone or that `user` does not see."""
    entries = list(entries)
    wanted = {}
    for entry in entries:
        wanted.setdefault(entry.about_type_id, set()).add(entry.about_id)
    found = {}
    for about_type, keys in wanted.items():
        model = ContentType.objects.get_for_id(about_type).model_class()
        rows = model.objects.visible_to(user) if hasattr(model.objects, "visible_to") else model.objects.all()
        found |= {(about_type, row.pk): row for row in rows.filter(pk__in=keys)}
    return [(entry, found.get((entry.about_type_id, entry.about_id))) for entry in entries]


def records(request, pk):
    """This will list all that came in, or changed, with this import."""
    run = find(request, pk)
    page = Paginator(run.entries, PAGE).get_page(request.GET.get("page"))
    page.object_list = named_entries(page.object_list, request.user)
    return render(request, "crm/imports/records.html", {"run": run, "page": page})


@require_POST
def run_it(request, pk):
    run = find(request, pk)
    run.start(by=request.user)
    return redirect(run)


def undo(request, pk):
    """This will ask, and then have the import undone."""
    run = find(request, pk)
    if request.method == "POST":
        run.undo(by=request.user)
        return redirect(run)
    if not run.can_be_undone:
        return redirect(run)
    context = {"run": run, "count": run.batch.entries.filter(state=Entry.State.STANDS).count()}
    return render(request, "crm/imports/undo.html", context)


@require_POST
def stop(request, pk):
    run = find(request, pk)
    if run.is_busy and run.job.owner_id is not None:
        run.job.cancel(by=request.user)
    return redirect(run)


@require_safe
def refused(request, pk):
    """
    This will give the refused rows as a workbook: where each stands in the file, its cells, and why. Every cell is a
    text, so that none becomes a formula, and none changes on the way back.
    """
    run = find(request, pk)
    title, width = gettext("Refused rows"), len(run.columns)
    numbers = run.cells.order_by("row").values_list("row", flat=True).distinct()
    rows = (
        (str(number), *(row + [""] * width)[:width], reason)
        for number, (row, reason) in zip(numbers, run.refused_rows(), strict=True)
    )
    heads = [gettext("Row"), *run.names, gettext("Reason")]
    file, _count, _cut = workbook(SimpleNamespace(heads=lambda: heads, chunks=lambda: in_columns(rows)), title)
    name = gettext("Refused rows of %(file)s") % {"file": run.file_name.rpartition(".")[0] or run.file_name}
    return FileResponse(file, as_attachment=True, filename=f"{name}.xlsx", content_type=EXCEL)


urlpatterns = [
    path("imports/", imports, name="imports"),
    path("imports/<int:pk>/", check, name="import_check"),
    path("imports/<int:pk>/match/", match, name="import_match"),
    path("imports/<int:pk>/read/", read, name="import_read"),
    path("imports/<int:pk>/records/", require_safe(records), name="import_records"),
    path("imports/<int:pk>/undo/", undo, name="import_undo"),
    path("imports/matchings/<int:pk>/forget/", forget, name="import_forget"),
    path("imports/<int:pk>/run/", run_it, name="import_run"),
    path("imports/<int:pk>/stop/", stop, name="import_stop"),
    path("imports/<int:pk>/refused.xlsx", refused, name="import_refused"),
]
