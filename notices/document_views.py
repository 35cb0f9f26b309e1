"""The pages of the library: its documents, and how they are linked to records."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from crm.forms import Form, posted
from crm.permissions import allows, require
from crm.verbs import NotAllowed, Refused
from notices.documents import Document, DocumentLink, with_file
from notices.file_views import about_of, model_of
from notices.forms import DocumentForm, NewDocumentForm
from notices.history import Event
from notices.views import history_of

PAGE = 50
FEW_EVENTS = 5
LONGEST_KEY = 19  # digits: no database holds a longer one


@require_safe
def documents(request):
    page, text = _found(request)
    context = {"page": page, "text": text, "may_keep": allows(request.user, "keep_documents")}
    return render(request, "notices/documents.html", context)


@require_safe
def document(request, pk):
    found = _find(request.user, pk)
    may_keep = allows(request.user, "keep_documents")
    context = {
        "document": found,
        "may_keep": may_keep,
        "linked": found.linked_to(request.user),
        "events": Event.latest_about(found, FEW_EVENTS) if may_keep else [],
    }
    return render(request, "notices/document.html", context)


def document_new(request):
    require(request.user, "keep_documents")
    form = NewDocumentForm(posted(request), request.FILES or None, user=request.user)
    if form.is_valid() and (made := form.make()):
        count = len(form.cleaned_data["files"])
        text = ngettext("One document added.", "%(count)d documents added.", count) % {"count": count}
        messages.success(request, text)
        return redirect(made if count == 1 else "documents")
    return render(request, "notices/document_form.html", {"form": form}, status=form.status)


def document_edit(request, pk):
    found = _find(request.user, pk)
    require(request.user, "keep_documents")
    form = DocumentForm(posted(request), user=request.user, instance=found)
    if form.is_valid() and form.change():
        messages.success(request, _("Document saved."))
        return redirect(found)
    return render(request, "notices/document_form.html", {"form": form, "document": found}, status=form.status)


@require_safe
def document_history(request, pk):
    found = _find(request.user, pk)
    require(request.user, "keep_documents")
    return history_of(request, found)


def document_delete(request, pk):
    found = _find(request.user, pk)
    require(request.user, "keep_documents")
    form = Form(posted(request), user=request.user, record=found)
    if form.is_valid() and form.does(found.delete_):
        messages.success(request, _("%(name)s was deleted.") % {"name": found})
        return redirect("documents")
    return render(request, "notices/document_delete.html", {"form": form, "document": found}, status=form.status)


@require_http_methods(["GET", "HEAD", "POST"])
def library(request, kind, pk):
    """This will show what the library has, to be linked to a record, and link what was chosen."""
    about = about_of(request.user, model_of(kind), pk)
    if isinstance(about, Document) or not about.files_permit(request.user, "add_file"):
        raise NotAllowed()
    why, status = "", 200
    if request.method == "POST":
        wanted = request.POST.get("document", "")
        chosen = _find(request.user, int(wanted) if wanted.isdecimal() and len(wanted) < LONGEST_KEY else 0)
        try:
            chosen.link(about, by=request.user)
        except Refused as error:
            why, status = error.message, error.status
        else:
            messages.success(request, _("%(name)s is linked.") % {"name": chosen})
            return redirect(about.files_subject)
    page, text = _found(request)
    linked = set(about.document_links.values_list("document", flat=True))
    context = {"about": about, "page": page, "text": text, "linked": linked, "why": why}
    return render(request, "notices/library.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def link_end(request, pk):
    """This will ask whether to take a document from a record, and take it."""
    link = get_object_or_404(DocumentLink.objects.select_related("document"), pk=pk)
    link.about = about_of(request.user, link.about_type.model_class(), link.about_id)
    if not link.may_be_ended_by(request.user, link.about):
        raise NotAllowed()
    form = Form(posted(request), user=request.user)
    if form.is_valid():
        try:
            link.end(by=request.user)
        except Refused as error:
            form.refuse(error)
        else:
            messages.success(request, _("%(name)s is taken away.") % {"name": link.document})
            return redirect(link.about.files_subject)
    return render(request, "notices/document_unlink.html", {"link": link, "form": form}, status=form.status)


def _found(request):
    """This will give the page of the library that is asked for, each document with its file, and what was sought."""
    text = request.GET.get("q", "").replace("\0", "").strip()
    found = Document.objects.visible_to(request.user).search(text).in_order()
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    page.object_list = with_file(page.object_list)
    return page, text


def _find(user, pk):
    return get_object_or_404(Document.objects.visible_to(user).select_related("by"), pk=pk)
