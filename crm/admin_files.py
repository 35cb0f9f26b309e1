"""
How Django's administration takes records in from files, and gives them out as files.

The pages are django-import-export's: its addresses, forms, templates and results. What it does behind them is done
here by what the rest of Pursuit uses. A file is kept as an import of whoever brought it, and read by a process of its
own (crm.importing); its rows are judged and entered by the resource of their kind (crm.resources); what goes out is
written by crm.exports. So a file means the same here as on the page Import, and the library's own readers never see it.

    @admin.register(Customer)
    class CustomerAdmin(Records, admin.ModelAdmin):
        importing, listing = "customers", CustomerList
"""

import json
from itertools import islice
from types import SimpleNamespace

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import NON_FIELD_ERRORS, BadRequest, PermissionDenied, ValidationError
from django.db import transaction
from django.http import FileResponse, Http404, QueryDict, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import content_disposition_header
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from import_export.admin import ExportActionMixin, ImportExportMixin
from import_export.formats.base_formats import CSV, XLSX, Format
from import_export.forms import ConfirmImportForm, ExportForm, ImportForm
from import_export.resources import ModelResource
from import_export.results import InvalidRow, Result, RowResult
from import_export.signals import post_export

from crm.admin_lists import KEY, Narrowed
from crm.exports import EXCEL, STREAMED, Export, comma_separated, taken, workbook
from crm.importing import ImportRun
from crm.journal import Batch
from crm.models import Audit
from crm.permissions import allows
from crm.resources import NEW, REFUSED, kinds
from crm.verbs import Refused, locked, whole

AT_ONCE = 5_000  # rows that come in while their reader waits; the worker takes more
CHUNK = 1_000  # rows judged, and entered, at a time
SHOWN = 200  # rows of a preview


# ── What comes in ────────────────────────────────────────────────────────────────────────────────────────────────────


class Told(Result):
    """What is told of the rows of a file: all are counted, the first of each sort are shown."""

    def __init__(self, run, resource):
        super().__init__()
        self.file_name = run.file_name
        self.labels = {name: str(column.label) for name, column in resource.fields.items()}
        went = {source["column"]: name for name, source in run.matching.items() if "column" in source}
        self.at = sorted(went)
        self.diff_headers = [self.labels[went[number]] for number in self.at]
        self.passed_over = [name for number, name in enumerate(run.names) if number not in went]

    @property
    def new(self):
        return self.totals[RowResult.IMPORT_TYPE_NEW]

    @property
    def there(self):
        return self.totals[RowResult.IMPORT_TYPE_SKIP]

    @property
    def refused(self):
        return self.totals[RowResult.IMPORT_TYPE_INVALID]

    @property
    def is_cut(self):
        return max(self.new + self.there, self.refused) > SHOWN

    def add(self, verdict, kind):
        """This will count a row as of that kind, one of RowResult's, and show it with the others."""
        self.totals[kind] += 1
        self.total_rows += 1
        number, *texts = verdict.row
        cells = [texts[at] if at < len(texts) else "" for at in self.at]
        if kind == RowResult.IMPORT_TYPE_INVALID:
            if len(self.invalid_rows) < SHOWN:
                self.invalid_rows.append(InvalidRow(number, self._fault(verdict), cells))
        elif len(self.rows) < SHOWN:
            row = RowResult()
            row.import_type, row.diff = kind, cells
            self.append_row_result(row)

    def _fault(self, verdict):
        faults = {}
        for name, _text, sentence in verdict.faults:
            faults.setdefault(self.labels.get(name, NON_FIELD_ERRORS), []).append(sentence)
        return ValidationError(faults)


def matched(run, fixed, *, by):
    """
    This will give what imports the rows of `run` in the name of `by`, and where each column goes: {field: source}. The
    `fixed` values, {field: text}, are those of all rows. Raises NotAllowed, and Refused where a field remains empty.
    """
    resource = run.resource(by)
    matching = resource.guess(run.names) | {name: {"value": text} for name, text in fixed.items()}
    missing = [resource.fields[name].label for name in resource.required if name not in matching]
    if missing:
        told = _("Each row needs “%(field)s”, and no column of this file is called that.")
        raise Refused(told % {"field": missing[0]}, field="file")
    return resource, matching


def judge(run, resource, *, writing=False):
    """
    This will judge every row of a file whose columns are matched, and with `writing` enter the new ones. Gives a Told.
    Raises Refused where the file is gone. All else that is asked of an Importing is asked here.
    """
    try:
        resource.match(run.matching, run.known)
    except ValidationError as error:  # a value for all rows that is none
        raise Refused(" ".join(error.messages), field="file") from error
    told, seen = Told(run, resource), set()
    fates = {NEW: RowResult.IMPORT_TYPE_NEW, REFUSED: RowResult.IMPORT_TYPE_INVALID}
    lines = run.read_rows()
    while rows := list(islice(lines, CHUNK)):
        verdicts = resource.judge(rows, seen)
        for verdict in verdicts:
            told.add(verdict, fates.get(verdict.fate, RowResult.IMPORT_TYPE_SKIP))
        new = [verdict for verdict in verdicts if verdict.fate == NEW]
        if writing and new and not told.has_validation_errors():
            entered, followed = resource.entering(new)
            run.batch.note(entered=entered, followed=followed)
    return told


def enter(run, fixed, *, by):
    """
    This will enter the rows that were shown, all of them or, where one is refused by now, none. Gives a Told. Raises
    NotAllowed, Gone, and Refused where they came in before, or are not what was shown.
    """
    with whole():
        it = locked(run)
        if it.state == ImportRun.State.DONE:
            raise Refused(_("This file has come in already. Nothing was written a second time."))
        resource, matching = matched(it, fixed, by=by)
        if it.is_busy or it.matching != matching or it.known:
            raise Refused(_("The columns of this file were matched differently meanwhile. Choose it once more."))
        it.batch = Batch.objects.create(by=by, act="import")
        told = judge(it, resource, writing=True)
        if told.has_validation_errors():
            transaction.set_rollback(True)
            return told
        counts = {"new": told.new, "skipped": told.there, "refused": told.refused}
        it.state = ImportRun.State.DONE
        for name, count in counts.items():
            setattr(it, name, count)
        it.save()
        Audit.note("imported", by=by, what=it.kind, file=it.file_name, run=it.pk, **counts)
        resource.ended(it, resource.charged)
    return told


class AnyTable(Format):
    """Whatever our own reader takes: it looks at what is in the file, so nobody need say."""

    def get_title(self):
        return "XLSX, XLS, ODS, CSV, TSV"

    def can_import(self):
        return True


class UploadForm(ImportForm):
    """The library's form for a file; what is wrong with the file is said by whoever reads it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["format"].required = False
        self.fields["import_file"].allow_empty_file = True
        self.fields["import_file"].widget.attrs["accept"] = ".csv,.tsv,.txt,.xlsx,.xlsm,.xls,.ods,.vcf"

    @property
    def media(self):
        return forms.Media()  # the library's script guesses the format


class ConfirmForm(ConfirmImportForm):
    """The library's form under a preview; the name in it is that of a folder of ours, and no path."""

    import_file_name = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["format"].required = self.fields["original_file_name"].required = False  # nobody reads them

    def clean_import_file_name(self):
        return self.cleaned_data["import_file_name"]  # the library would take the end of a path for a name


# ── What goes out ────────────────────────────────────────────────────────────────────────────────────────────────────


class Rows(Export):
    """Rows that a page of the administration found, under the columns `outs`; `listing` is what their batches ask."""

    def __init__(self, rows, outs, listing=None):
        self.rows, self.outs, self.listing = rows, outs, listing

    @property
    def found(self):
        return self.rows


# ── The pages ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _require(allowed):
    if not allowed:
        raise PermissionDenied


class Files(ExportActionMixin, ImportExportMixin):
    """
    Imports and exports of a page of the administration, for administrators alone.

    `importing` names the kind of import; where there is none of that name, nothing comes in. What goes out is all that
    `listing` gives out, or what `outs` says.
    """

    importing = None
    listing = None

    import_template_name = "admin/files/import.html"
    export_template_name = "admin/files/export.html"
    change_form_template = None  # the library's has a button that would save the record before it exports it
    show_change_form_export = False
    import_formats = [AnyTable]
    export_formats = [XLSX, CSV]
    import_form_class = UploadForm
    confirm_form_class = ConfirmForm
    export_form_class = ExportForm

    # What a page says

    def fixed(self):
        """This will give the values that every row has which comes in here, {field: text}."""
        return {}

    def asked(self, resource):
        """This will list what is said of the columns that come in here: their labels."""
        fixed = self.fixed()
        return [str(column.label) for name, column in resource.fields.items() if name not in fixed]

    def outs(self):
        """This will give the columns that go out, as crm.exports.Out."""
        return self.listing.outs_of(self.listing.columns_of(self.listing.model, self.listing.columns))

    # Who may

    def has_import_permission(self, request):
        kind = kinds().get(self.importing)
        return kind is not None and allows(request.user, "administer") and kind.may(request.user)

    def has_export_permission(self, request):
        return allows(request.user, "administer") and allows(request.user, "export")

    def get_resource_classes(self, request):
        return [kinds().get(self.importing, ModelResource)]

    # Import

    def import_action(self, request, **kwargs):
        """This will ask for a file, and show what would become of its rows; nothing is written."""
        _require(self.has_import_permission(request))
        form, told, confirm_form = self.create_import_form(request), None, None
        if request.method == "POST" and form.is_valid():
            try:
                run = ImportRun.upload(form.cleaned_data["import_file"], self.importing, by=request.user)
                told = self._look(run, by=request.user)
            except Refused as refused:
                form.add_error("import_file", refused.message)
            else:
                if told is None:
                    messages.info(request, gettext("This file is long, so the worker brings it in. Check it first."))
                    return redirect(run)
                if not told.has_validation_errors():
                    form.cleaned_data["import_file"].tmp_storage_name = run.folder
                    confirm_form = self.create_confirm_form(request, import_form=form)
        return self._import_page(request, form, told, confirm_form)

    def _look(self, run, *, by):
        """
        This will match the columns of a file and judge its rows. Gives a Told, or None where the worker should do that.
        What cannot come in is not kept.
        """
        told, kept = None, False
        try:
            resource, matching = matched(run, self.fixed(), by=by)
            run.match(matching, {}, by=by)
            told = judge(run, resource) if run.rows <= AT_ONCE else None
            kept = told is None or not told.has_validation_errors()
        finally:
            if not kept:
                run.discard()
        return told

    def _import_page(self, request, form, told=None, confirm_form=None):
        resource = kinds()[self.importing](request.user)
        context = self.admin_site.each_context(request) | {
            "title": gettext("Import"),
            "form": form,
            "opts": self.opts,
            "media": self.media + form.media,
            "fields_list": [(str(resource.label), self.asked(resource))],
            "hint": resource.hint,
            "import_error_display": self.import_error_display,
        }
        if told is not None:
            context |= {"result": told, "shown": SHOWN}
        if confirm_form is not None:
            context["confirm_form"] = confirm_form
        request.current_app = self.admin_site.name
        return TemplateResponse(request, self.import_template_name, context)

    @method_decorator(require_POST)
    def process_import(self, request, **kwargs):
        """This will enter what the preview showed to the very person who confirms it."""
        _require(self.has_import_permission(request))
        form = self.create_confirm_form(request)
        if not form.is_valid():
            raise Http404
        mine = ImportRun.objects.visible_to(request.user).filter(kind=self.importing)
        run = get_object_or_404(mine, folder=form.cleaned_data["import_file_name"])
        told = enter(run, self.fixed(), by=request.user)
        if told.has_validation_errors():
            form = self.import_form_class(self.get_import_formats(), self.get_import_resource_classes(request))
            return self._import_page(request, form, told)
        return self.process_result(told, request)

    def generate_log_entries(self, result, request):
        """This will write one line into the log of the administration, however many rows came in."""
        LogEntry.objects.create(
            user_id=request.user.pk,
            content_type=ContentType.objects.get_for_model(self.model),
            object_repr=f"{result.file_name[-150:]}: {result.new}",
            action_flag=ADDITION,
            change_message=json.dumps([{"added": {}}]),
        )

    # Export

    def get_export_filename(self, request, queryset, file_format):
        return f"{self.model.__name__}-{timezone.localdate():%Y-%m-%d}.{file_format.get_extension()}"

    def get_export_queryset(self, request):
        """This will give the rows of the list as it was narrowed. Raises BadRequest for a filter that is none."""
        try:
            return super().get_export_queryset(request)
        except IncorrectLookupParameters as error:
            raise BadRequest("There is no such filter.") from error

    def get_valid_export_item_pks(self, request):
        """This will give those of the chosen keys that the list has."""
        chosen = [pk for pk in request.POST.getlist("export_items") if KEY.fullmatch(pk)]
        return self.get_export_queryset(request).filter(pk__in=chosen).values_list("pk", flat=True)

    def init_request_context_data(self, request, form):
        heads = [str(out.head) for out in self.outs()]
        return self.admin_site.each_context(request) | {
            "title": gettext("Export"),
            "form": form,
            "opts": self.opts,
            "fields_list": [(capfirst(self.opts.verbose_name_plural), heads)],
        }

    def export_admin_action(self, request, queryset):
        """This will ask in which format the chosen rows go out; all of the list are what the page Export gives."""
        _require(self.has_export_permission(request))
        address = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_export")
        address += f"?{request.GET.urlencode()}" if request.GET else ""
        if request.POST.get("select_across") == "1":
            return redirect(address)
        chosen = list(queryset.values_list("pk", flat=True))
        form = self.export_form_class(self.get_export_formats(), self.get_export_resource_classes(request))
        form.fields["export_items"].initial = chosen
        title = ngettext("Export %(count)d chosen row", "Export %(count)d chosen rows", len(chosen))
        context = self.init_request_context_data(request, form)
        context |= {"title": title % {"count": len(chosen)}, "export_url": address}
        request.current_app = self.admin_site.name
        return TemplateResponse(request, self.export_template_name, context)

    def _do_file_export(self, file_format, request, queryset, export_form=None):
        """This will give the rows out, and write down who took them."""
        _require(self.has_export_permission(request))
        rows, end = queryset.select_related(None).prefetch_related(None), file_format.get_extension()
        count, cut = rows.count(), 0
        if end == "xlsx" and count > settings.EXPORT_AT_ONCE:
            told = gettext("These are more than %(rows)s rows, which takes too long as a workbook. Choose csv.")
            messages.error(request, told % {"rows": f"{settings.EXPORT_AT_ONCE:,}"})
            return redirect(request.get_full_path())
        listing = self.listing and self.listing(SimpleNamespace(user=request.user, GET=QueryDict()))
        export = Rows(rows, self.outs(), listing)
        name = self.get_export_filename(request, queryset, file_format)
        if end == "xlsx":
            file, count, cut = workbook(export, str(self.opts.verbose_name_plural))
            response = FileResponse(file, as_attachment=True, filename=name, content_type=EXCEL)
        else:
            response = StreamingHttpResponse(comma_separated(export), content_type=STREAMED[end])
            response.headers["Content-Disposition"] = content_disposition_header(True, name)
        asked = {"list": self.opts.label_lower, "query": request.GET.urlencode(), "format": end, "fields": "all"}
        Audit.note("exported", by=request.user, **asked, **taken(count, cut))
        post_export.send(sender=None, model=self.model)
        return response


class Records(Narrowed, Files):
    """Records that have pages of their own: here they are only found, brought in and given out."""

    show_full_result_count = False
    ordering = ["-pk"]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False

    def get_queryset(self, request):
        return self.model.objects.visible_to(request.user)

    def get_search_results(self, request, queryset, search_term):
        return queryset.search(search_term), False

    def change_view(self, request, object_id, form_url="", extra_context=None):
        """This will lead to the page of the record."""
        _require(self.has_view_permission(request))
        record = self.get_object(request, unquote(object_id))
        if record is None:
            raise Http404
        return redirect(record)
