"""The pages of the files that hang on a record: all of them, one given out, one deleted."""

from django.apps import apps
from django.contrib import messages
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from crm import files
from crm.forms import Form, posted
from crm.pages import came_from
from crm.permissions import fetch
from crm.verbs import NotAllowed, Refused
from notices.documents import Document, with_file
from notices.files import File, Filed
from notices.models import Announcement


@require_http_methods(["GET", "HEAD", "POST"])
def files_of(request, kind, pk):
    """
    This will show the files of a record and keep those that were sent; to htmx it gives the section that stands on the
    record's own page.
    """
    about = about_of(request.user, model_of(kind), pk)
    refused, status = [], 200
    if request.method == "POST":
        try:
            kept, refused = File.add(about, request.FILES.getlist("files"), by=request.user)
        except Refused as error:
            kept, refused, status = [], [("", error.message)], error.status
            if request.htmx and status == Refused.status:
                status = 200  # or htmx would show nothing of it
        if kept and not request.htmx and not refused:
            messages.success(request, said(kept))
            return redirect(request.get_full_path())
        if not kept and not refused:
            refused = [("", _("Choose at least one file."))]
    shown = list(File.objects.about(about))
    for file in shown:
        file.deletable = file.by_id == request.user.pk
    changes = about.files_permit(request.user, about.FILES_CHANGE)
    links = list(about.document_links.select_related("document", "by").order_by("-id"))
    with_file([link.document for link in links])
    for link in links:
        link.endable = changes or link.by_id == request.user.pk
    context = {
        "about": about,
        "kind": kind,
        "files": shown,
        "links": links,
        "count": len(shown) + len(links),
        "is_document": isinstance(about, Document),
        "list_url": came_from(request),
        "refused": refused,
        "may_add": about.files_permit(request.user, "add_file"),
        "may_change": changes,
        "types": ",".join(f".{end}" for end in files.taken()),
    }
    return render(request, "notices/_files.html" if request.htmx else "notices/files.html", context, status=status)


def said(kept):
    """This will say how many files were kept."""
    return ngettext("%(count)d file added.", "%(count)d files added.", len(kept)) % {"count": len(kept)}


@require_safe
def file(request, pk):
    """This will give out a file to be saved."""
    return files.answer(_readable(request.user, pk), inline=False)


@require_safe
def file_preview(request, pk):
    """This will give out a file to be looked at, where a browser can show it safely."""
    return files.answer(_readable(request.user, pk), inline=True)


@require_http_methods(["GET", "HEAD", "POST"])
def file_delete(request, pk):
    found = _file(request.user, pk)
    if not found.may_be_deleted_by(request.user, found.about):
        raise NotAllowed()
    form = Form(posted(request), user=request.user)
    if form.is_valid():
        try:
            found.delete_(by=request.user)
        except Refused as error:
            form.refuse(error)
        else:
            messages.success(request, _("%(name)s is deleted.") % {"name": found})
            return redirect(found.about.files_subject)
    return render(request, "notices/file_delete.html", {"file": found, "form": form}, status=form.status)


def model_of(kind):
    """This will give the model of that name on whose records files hang. Raises Http404."""
    found = (model for model in apps.get_models() if issubclass(model, Filed) and model._meta.model_name == kind)
    model = next(found, None)
    if model is None:
        raise Http404
    return model


def about_of(user, model, pk):
    """This will give the record, as whoever may see it sees it. Raises Http404."""
    if model in (Announcement, Document):
        return get_object_or_404(model.objects.visible_to(user), pk=pk)
    return fetch(user, "view", model, pk=pk)


def _file(user, pk):
    """This will give a file of a record that the reader sees now."""
    found = get_object_or_404(File, pk=pk)
    found.about = about_of(user, found.about_type.model_class(), found.about_id)
    return found


def _readable(user, pk):
    """This will give a file of a record that the reader sees now, or of a document that is linked to such a record."""
    try:
        return _file(user, pk)
    except Http404:
        document = Document.objects.filter(files=pk).first()
        [latest] = with_file([document]) if document else [None]
        if latest is None or latest.file.pk != pk or not document.linked_to(user):
            raise
        return latest.file
