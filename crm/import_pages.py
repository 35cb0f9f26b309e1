"""The pages of an import: upload, match columns, check, import; and the file of the rows that were refused."""

from tempfile import TemporaryFile

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import FileResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell

from crm.exports import EXCEL, EXCEL_HOLDS, NO_XML
from crm.fields import ChoiceHint
from crm.forms import Form, posted
from crm.importing import ImportRun
from crm.permissions import require
from crm.resources import kinds
from crm.verbs import NotAllowed, Refused

RUNS = 10  # earlier imports listed
CELLS = 20  # refused cells on a page


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


class MatchForm(Form):
    """
    Where each column goes; what feeds the fields that no column goes to: a column once more, or one value for all rows;
    and what texts of the file stand for that our lists do not know.

    Its fields: column_<number>, from_<field>, value_<field>, known_<field>_<column>_<number of the text>.
    """

    def __init__(self, *args, run, resource, **kwargs):
        super().__init__(*args, **kwargs)
        self.run = run
        self.resource = resource
        self.targets = resource.fields
        now = run.matching or resource.guess(run.names)
        self._columns(now)
        self._others(now)
        self.feeds = {
            name: number
            for number in reversed(range(len(run.columns)))
            for name in [self._sent(f"column_{number}")]
            if name
        }
        self._texts()

    def _columns(self, now):
        choices = [("", _("Leave out"))]
        choices += [
            (name, f"{column.label} *" if column.required else column.label) for name, column in self.targets.items()
        ]
        went = {}
        for name in self.targets:
            if "column" in now.get(name, {}) and not now[name].get("beside"):
                went[now[name]["column"]] = name
        for number, name in enumerate(self.run.names):
            label = _("%(column)s goes to") % {"column": name}
            attributes = {"aria-label": label, "class": "form-select"}
            self.fields[f"column_{number}"] = forms.ChoiceField(
                label=name, choices=choices, required=False, initial=went.get(number), widget=forms.Select(attributes)
            )
        self.went = went

    def _others(self, now):
        columns = [(str(number), name) for number, name in enumerate(self.run.names)]
        for name, column in self.targets.items():
            source = now.get(name, {})
            options = [(f"={key}", label) for key, label in column.widget.options]
            choices = [("", _("Leave empty")), (_("A column"), columns)]
            if options:
                choices.insert(1, (_("One value for all rows"), options))
            first = None if self.went.get(source.get("column")) == name else source.get("column")
            if "value" in source and options:
                first = f"={source['value']}"
            self.fields[f"from_{name}"] = forms.ChoiceField(
                label=column.label, choices=choices, required=False, initial=None if first is None else str(first)
            )
            self.fields[f"from_{name}"].starred = column.required
            self.fields[f"from_{name}"].widget.attrs["class"] = "form-select"
            if not options:
                label = _("%(field)s, for all rows") % {"field": column.label}
                self.fields[f"value_{name}"] = forms.CharField(
                    label=label,
                    required=False,
                    max_length=2000,
                    initial=source.get("value", ""),
                    widget=forms.TextInput({"class": "form-control", "aria-label": label, "autocomplete": "off"}),
                )

    def _texts(self):
        """This will ask what the texts stand for that no list of ours knows."""
        self.texts = []
        for name, column in self.targets.items():
            number = self.feeds.get(name)
            if number is None and (self._sent(f"from_{name}") or "").isdigit():
                number = int(self._sent(f"from_{name}"))
            if number is None or not column.widget.options or number >= len(self.run.columns):
                continue
            choices = [("", _("Refuse these rows")), *column.widget.options]
            for index, (text, count) in enumerate((self.run.columns[number]["values"] or {}).items()):
                if not self._knows(column.widget, text):
                    key = f"known_{name}_{number}_{index}"
                    initial = self.run.known.get(name, {}).get(text)
                    self.fields[key] = forms.ChoiceField(label=text, choices=choices, required=False, initial=initial)
                    attributes = {"aria-label": _("%(text)s stands for") % {"text": text}, "class": "form-select"}
                    self.fields[key].widget.attrs.update(attributes)
                    self.texts.append((key, name, text, count))

    @staticmethod
    def _knows(widget, text):
        try:
            widget.clean(text)
        except ValidationError:
            return False
        return True

    def _sent(self, name):
        return self.data.get(name) if self.is_bound else self.get_initial_for_field(self.fields[name], name)

    # What a template shows

    @property
    def rows(self):
        """This will list each column of the file with its select."""
        for number, column in enumerate(self.run.columns):
            filled = 100 * column["filled"] // self.run.rows
            bound = self[f"column_{number}"]
            yield {
                "name": self.run.names[number],
                "samples": column["samples"],
                "filled": filled,
                "field": bound,
                "open": not bound.value(),
            }

    @property
    def matched(self):
        return len(set(self.feeds.values()))

    @property
    def needed(self):
        """This will list what feeds each field that every row needs, and no column goes to."""
        return self._unfed(required=True)

    @property
    def others(self):
        """This will list what feeds each other field that no column goes to."""
        return self._unfed(required=False)

    def _unfed(self, *, required):
        for name, column in self.targets.items():
            if name not in self.feeds and column.required == required:
                source, value = self[f"from_{name}"], None
                if f"value_{name}" in self.fields:
                    value = self[f"value_{name}"]
                yield {
                    "field": source,
                    "value": value,
                    "open": required and not source.value() and not (value and value.value()),
                }

    @property
    def unknown(self):
        return [
            {"field": self[key], "target": self.targets[name].label, "text": text, "count": count}
            for key, name, text, count in self.texts
        ]

    @property
    def asks(self):
        """This will tell whether texts came up that whoever sent the form had not been asked about."""
        return any(key not in self.data for key, *_rest in self.texts)

    # What was said

    def clean(self):
        data = self.cleaned_data
        self.matching = {}
        for number in range(len(self.run.columns)):
            name = data.get(f"column_{number}")
            if name in self.matching:
                told = _("Another column goes to “%(field)s” already. Leave one of them out.")
                self.add_error(f"column_{number}", told % {"field": self.targets[name].label})
            elif name:
                self.matching[name] = {"column": number}
        for name in self.targets:
            if source := self._source(name):
                if name in self.matching:
                    self.add_error(f"from_{name}", _("A column goes to this already. Leave it empty here."))
                self.matching.setdefault(name, source)
            elif name in self.resource.required and name not in self.matching:
                told = _(
                    "Nothing goes to “%(field)s”, and each row needs one. Choose a column, or one value for all rows."
                )
                self.add_error(f"from_{name}", told % {"field": self.targets[name].label})
        self.known = {}
        for key, name, text, _count in self.texts:
            if data.get(key):
                self.known.setdefault(name, {})[text] = data[key]

    def _source(self, name):
        chosen, text = self.cleaned_data.get(f"from_{name}", ""), self.cleaned_data.get(f"value_{name}", "")
        if chosen.startswith("="):
            return {"value": chosen[1:]}
        if chosen:
            return {"column": int(chosen), "beside": True}
        if text:
            try:
                self.targets[name].widget.clean(text)
            except ValidationError as error:
                self.add_error(f"value_{name}", error)
            return {"value": text}
        return None


def imports(request):
    require(request.user, "import")
    first = {"kind": request.GET.get("kind", "opportunities")}
    form = UploadForm(posted(request), request.FILES or None, user=request.user, initial=first)
    if form.is_valid() and (run := form.upload()):
        return redirect("import_match", run.pk)
    runs = ImportRun.objects.visible_to(request.user).select_related("job")[:RUNS]
    return render(request, "crm/imports/upload.html", {"form": form, "runs": runs}, status=form.status)


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
    form = MatchForm(posted(request), user=request.user, run=run, resource=run.resource(request.user))
    if form.is_valid() and _matched(form, run):
        if request.POST.get("act") == "check" and not form.asks:
            run.check_(by=request.user)
            return redirect(run)
        if not form.unknown:
            messages.success(request, gettext("The columns are matched. Check is next."))
        return redirect(reverse("import_match", args=[run.pk]) + ("#values" if form.unknown else ""))
    return render(request, "crm/imports/match.html", {"form": form, "run": run}, status=form.status)


def _matched(form, run):
    try:
        run.match(form.matching, form.known, by=form.user)
    except Refused as error:
        form.refuse(error)
        return False
    return True


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
    context = {"run": run, "page": page, "counts": run.counts, "hint": kind.hint, "records_url": reverse(kind.url_name)}
    return render(request, "crm/imports/check.html", context)


@require_POST
def run_it(request, pk):
    run = find(request, pk)
    run.start(by=request.user)
    return redirect(run)


@require_POST
def stop(request, pk):
    run = find(request, pk)
    if run.is_busy:
        run.job.cancel(by=request.user)
    return redirect(run)


@require_safe
def refused(request, pk):
    """
    This will give the refused rows as a workbook: the columns of the file, and why. Every cell is a text, so that none
    becomes a formula, and none changes on the way back.
    """
    run = find(request, pk)
    book = Workbook(write_only=True)
    sheet = book.create_sheet(gettext("Refused rows"))

    def cell(text):
        made = WriteOnlyCell(sheet, NO_XML.sub("", text)[:EXCEL_HOLDS])
        made.data_type = "s"
        return made

    width = len(run.columns)
    sheet.append([*(cell(name) for name in run.names), cell(gettext("Reason"))])
    for row, reason in run.refused_rows():
        sheet.append([*(cell(text) for text in (row + [""] * width)[:width]), cell(reason)])
    file = TemporaryFile()  # noqa: SIM115  the answer closes it
    book.save(file)
    file.seek(0)
    name = gettext("Refused rows of %(file)s") % {"file": run.file_name.rpartition(".")[0] or run.file_name}
    return FileResponse(file, as_attachment=True, filename=f"{name}.xlsx", content_type=EXCEL)


urlpatterns = [
    path("imports/", imports, name="imports"),
    path("imports/<int:pk>/", check, name="import_check"),
    path("imports/<int:pk>/match/", match, name="import_match"),
    path("imports/<int:pk>/run/", run_it, name="import_run"),
    path("imports/<int:pk>/stop/", stop, name="import_stop"),
    path("imports/<int:pk>/refused.xlsx", refused, name="import_refused"),
]
