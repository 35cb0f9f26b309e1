"""The administrators' pages of the fields that they add: which there are, what each asks for, and where it stands."""

from functools import partial

from django.contrib import messages
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from crm import custom_changes as changes
from crm import custom_fields
from crm.custom_definitions import KINDS, FieldForm, OptionForm, SectionForm, preview
from crm.custom_fields import CHOOSING, CustomChoice, CustomField, CustomSection
from crm.custom_shown import ELSE
from crm.custom_values import CustomValue, subjects
from crm.forms import Form, posted
from crm.permissions import require
from crm.picklist_pages import order_sent

a_page = require_http_methods(["GET", "HEAD", "POST"])


def _model(subject):
    try:
        return subjects()[subject]
    except KeyError as error:
        raise Http404 from error


def _context(subject, **more):
    model = _model(subject)
    return {"subject": subject, "label": capfirst(model._meta.verbose_name_plural), **more}


def _field(pk):
    field = get_object_or_404(CustomField.objects.select_related("section"), pk=pk)
    field.stage_name = dict(_model(field.subject).custom_stages()).get(field.stage, "") if field.stage else ""
    return field


# ── Fields ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@require_safe
def index(request):
    require(request.user, "administer")
    known, kinds = custom_fields.by_key().values(), []
    for subject, model in reversed(subjects().items()):  # opportunities first
        fields = [field for field in known if field.subject == subject]
        kinds.append(
            {
                "subject": subject,
                "label": capfirst(model._meta.verbose_name_plural),
                "fields": [field for field in fields if field.active],
                "archived": [field for field in fields if not field.active],
            }
        )
    return render(request, "crm/custom_fields/index.html", {"kinds": kinds})


@a_page
def field_new(request, subject):
    """This will ask what the field is to hold and, once that is known, all else."""
    require(request.user, "administer")
    context = _context(subject)
    kind = request.GET.get("kind", "")
    if kind not in KINDS:
        return render(request, "crm/custom_fields/kinds.html", {**context, "kinds": KINDS.items()})
    form = FieldForm(posted(request), instance=CustomField(subject=subject, kind=kind), user=request.user)
    if form.is_valid() and (field := form.make()):
        messages.success(request, gettext("“%(name)s” is added.") % {"name": field})
        return redirect("custom_fields")
    return render(request, "crm/custom_fields/field.html", {**context, "form": form}, status=form.status)


@a_page
def field_page(request, pk):
    require(request.user, "administer")
    field = _field(pk)
    form = FieldForm(posted(request), instance=field, user=request.user)
    if form.is_valid() and form.change():
        messages.success(request, gettext("Saved."))
        return redirect("custom_fields")
    context = _context(field.subject, form=form, field=field, held=changes.holders(field), chooses=_chooses(field))
    return render(request, "crm/custom_fields/field.html", context, status=form.status)


def _chooses(field):
    return field.kind in CHOOSING


def _question(request, pk, verb, template, said):
    require(request.user, "administer")
    field = _field(pk)
    form = Form(posted(request), user=request.user, record=field)
    if form.is_valid() and form.does(partial(verb, field)):
        messages.success(request, said % {"name": field})
        return redirect("custom_fields")
    context = _context(field.subject, form=form, field=field, held=changes.holders(field))
    return render(request, template, context, status=form.status)


@a_page
def archive(request, pk):
    said = gettext("“%(name)s” is archived.")
    return _question(request, pk, changes.archive, "crm/custom_fields/archive.html", said)


@a_page
def restore(request, pk):
    said = gettext("“%(name)s” is back.")
    return _question(request, pk, changes.restore, "crm/custom_fields/restore.html", said)


@a_page
def erase(request, pk):
    said = gettext("“%(name)s” is erased.")
    return _question(request, pk, changes.erase, "crm/custom_fields/erase.html", said)


# ── The layout ───────────────────────────────────────────────────────────────────────────────────────────────────────


@require_safe
def layout(request, subject):
    require(request.user, "administer")
    sections = {one.pk: one for one in CustomSection.objects.filter(subject=subject)}
    fields = {one.pk: one for one in _model(subject).custom_fields()}
    rows, seen = [], changes.layout_of(subject)
    for section, pks in seen:
        if section is not None:
            rows.append({"section": sections[section], "word": f"s{section}"})
        elif sections:
            rows.append({"rest": ELSE, "word": "s0"})
        rows += [{"field": fields[pk], "word": f"f{pk}"} for pk in pks if pk in fields]
    headed = [row for row in rows if "section" in row]
    seen_in = {section: [pk for pk in pks if pk in fields] for section, pks in seen}
    for row in rows:
        among = headed if "section" in row else rows
        row["first"], row["last"] = row is among[0], row is among[-1]
        row["empty"] = "section" in row and not seen_in[row["section"].pk]
    shown = preview(_model(subject), request)
    parts = [(sections.get(section), [shown[fields[pk].key] for pk in pks if pk in fields]) for section, pks in seen]
    context = _context(
        subject,
        rows=rows,
        words=_words(seen),
        has_fields=bool(fields),
        preview={"sections": [(str(section or ELSE), those) for section, those in parts if section or those]},
    )
    return render(request, "crm/custom_fields/layout.html", context)


def _words(layout):
    """This will write a layout as the page sends it: s3 is a section, s0 that without a heading, f7 a field."""
    words = []
    for section, fields in layout:
        words += [f"s{section or 0}", *(f"f{pk}" for pk in fields)]
    return words


def _layout(words):
    """
    This will read it: a field stands in the section above it, and what stands above all of them in the first. Raises
    ValueError.
    """
    parts, above = [], []
    for word in words:
        pk = int(word[1:])
        if word[0] == "s":
            parts.append((pk or None, []))
        elif word[0] == "f":
            (parts[-1][1] if parts else above).append(pk)
        else:
            raise ValueError(word)
    named = [part for part in parts if part[0] is not None]
    rest = [pk for section, pks in parts if section is None for pk in pks]
    if named:
        named[0][1][:0] = above
        above = []
    return [*named, (None, above + rest)]


@require_POST
def arrange(request, subject):
    """This will put fields and sections as they were dragged, or move one up or down."""
    require(request.user, "administer")
    _model(subject)
    try:
        seen = _layout(request.POST.get("seen", "").split(","))
        words = request.POST.getlist("order") or _words(seen)
        for way, by in (("up", -1), ("down", 1)):
            if way in request.POST:
                words = _moved(words, request.POST[way], by)
        wanted = _layout(words)
    except (IndexError, ValueError) as error:
        raise Http404 from error
    changes.arrange(subject, wanted, by=request.user, seen=seen)
    return redirect("custom_layout", subject)


def _moved(words, word, by):
    """
    This will move a field by one place; a section with all that stands in it, past the next one. Raises ValueError
    where there is no such.
    """
    if word not in words:
        raise ValueError(word)
    if word[0] == "f":
        words, at = list(words), words.index(word)
        words.insert(max(at + by, 0), words.pop(at))
        return words
    parts = [[]]
    for one in words:
        if one[0] == "s":
            parts.append([])
        parts[-1].append(one)
    at = next(number for number, part in enumerate(parts) if part and part[0] == word)
    if at + by < 1 or at + by >= len(parts) or parts[at + by][0] == "s0":
        return words
    parts.insert(at + by, parts.pop(at))
    return [one for part in parts for one in part]


@a_page
def section_new(request, subject):
    require(request.user, "administer")
    context = _context(subject)
    form = SectionForm(posted(request), instance=CustomSection(subject=subject), user=request.user)
    if form.is_valid() and form.make():
        messages.success(request, gettext("Saved."))
        return redirect("custom_layout", subject)
    return render(request, "crm/custom_fields/section.html", {**context, "form": form}, status=form.status)


@a_page
def section(request, pk):
    require(request.user, "administer")
    one = get_object_or_404(CustomSection, pk=pk)
    form = SectionForm(posted(request), instance=one, user=request.user)
    if form.is_valid() and form.change():
        messages.success(request, gettext("Saved."))
        return redirect("custom_layout", one.subject)
    context = _context(one.subject, form=form, section=one)
    return render(request, "crm/custom_fields/section.html", context, status=form.status)


@a_page
def section_remove(request, pk):
    require(request.user, "administer")
    one = get_object_or_404(CustomSection, pk=pk)
    form = Form(posted(request), user=request.user, record=one)
    if form.is_valid() and form.does(partial(changes.remove_section, one)):
        messages.success(request, gettext("The section “%(name)s” is removed.") % {"name": one})
        return redirect("custom_layout", one.subject)
    context = _context(one.subject, form=form, section=one)
    return render(request, "crm/custom_fields/section_remove.html", context, status=form.status)


# ── Options ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@require_safe
def options(request, pk):
    require(request.user, "administer")
    field = _choosing(pk)
    held = CustomValue.objects.filter(field=field).values_list("choice", flat=True)
    counts = {}
    for choice in held:
        counts[choice] = counts.get(choice, 0) + 1
    rows = [{"option": one, "count": counts.get(one.pk, 0)} for one in field.options.all()]
    return render(request, "crm/custom_fields/options.html", _context(field.subject, field=field, rows=rows))


def _choosing(pk):
    field = _field(pk)
    if field.kind not in CHOOSING:
        raise Http404
    return field


@require_POST
def arrange_options(request, pk):
    require(request.user, "administer")
    field = _choosing(pk)
    seen, keys = order_sent(request)
    changes.arrange_options(field, keys, by=request.user, seen=seen)
    return redirect("custom_options", pk)


@a_page
def option_new(request, pk):
    require(request.user, "administer")
    field = _choosing(pk)
    form = OptionForm(posted(request), instance=CustomChoice(field=field), user=request.user)
    if form.is_valid() and form.make():
        messages.success(request, gettext("Saved."))
        return redirect("custom_options", pk)
    context = _context(field.subject, form=form, field=field)
    return render(request, "crm/custom_fields/option.html", context, status=form.status)


@a_page
def option(request, pk):
    require(request.user, "administer")
    one = get_object_or_404(CustomChoice.objects.select_related("field"), pk=pk)
    form = OptionForm(posted(request), instance=one, user=request.user)
    if form.is_valid() and form.change():
        messages.success(request, gettext("Saved."))
        return redirect("custom_options", one.field_id)
    held = CustomValue.objects.filter(choice=one).count()
    context = _context(one.field.subject, form=form, field=one.field, option=one, held=held)
    return render(request, "crm/custom_fields/option.html", context, status=form.status)


@a_page
def option_delete(request, pk):
    require(request.user, "administer")
    one = get_object_or_404(CustomChoice.objects.select_related("field"), pk=pk)
    form = Form(posted(request), user=request.user, record=one)
    if form.is_valid() and form.does(partial(changes.delete_option, one)):
        messages.success(request, gettext("“%(name)s” is deleted.") % {"name": one})
        return redirect("custom_options", one.field_id)
    context = _context(one.field.subject, form=form, field=one.field, option=one)
    return render(request, "crm/custom_fields/option_delete.html", context, status=form.status)


urlpatterns = [
    path("custom-fields/", index, name="custom_fields"),
    path("custom-fields/<int:pk>/", field_page, name="custom_field"),
    path("custom-fields/<int:pk>/archive/", archive, name="custom_field_archive"),
    path("custom-fields/<int:pk>/restore/", restore, name="custom_field_restore"),
    path("custom-fields/<int:pk>/erase/", erase, name="custom_field_erase"),
    path("custom-fields/<int:pk>/options/", options, name="custom_options"),
    path("custom-fields/<int:pk>/options/order/", arrange_options, name="custom_options_arrange"),
    path("custom-fields/<int:pk>/options/new/", option_new, name="custom_option_new"),
    path("custom-fields/options/<int:pk>/", option, name="custom_option"),
    path("custom-fields/options/<int:pk>/delete/", option_delete, name="custom_option_delete"),
    path("custom-fields/sections/<int:pk>/", section, name="custom_section"),
    path("custom-fields/sections/<int:pk>/remove/", section_remove, name="custom_section_remove"),
    path("custom-fields/<slug:subject>/new/", field_new, name="custom_field_new"),
    path("custom-fields/<slug:subject>/layout/", layout, name="custom_layout"),
    path("custom-fields/<slug:subject>/layout/order/", arrange, name="custom_layout_arrange"),
    path("custom-fields/<slug:subject>/sections/new/", section_new, name="custom_section_new"),
]
