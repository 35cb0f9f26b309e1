"""The library: documents that are kept once, in one place, and linked to as many records as need them."""

from contextlib import contextmanager, suppress

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm import permissions
from crm.functions import ascii_lower
from crm.verbs import Gone, NotAllowed, Refused, Stale, locked, whole
from notices.about import About, for_department
from notices.files import File, Filed
from notices.history import Event, Recorded, describe
from notices.recycle import Recycled


class DocumentQuerySet(models.QuerySet):
    def visible_to(self, user):
        """This will narrow to those for the reader's department, one above it or all; to who keeps them, to all."""
        if not user.is_active:
            return self.none()
        if permissions.allows(user, "keep_documents"):
            return self
        return self.filter(for_department(self.model, user) | Q(by=user))

    def search(self, text):
        """This will narrow to those that have each word of `text` in their name, description or file name."""
        about_type = ContentType.objects.get_for_model(self.model)
        for word in map(ascii_lower, (text or "")[:200].split()):
            files = File.objects.filter(about_type=about_type, name__ascii_lower__contains=word).order_by()
            named = Q(name__ascii_lower__contains=word) | Q(description__ascii_lower__contains=word)
            self = self.filter(named | Q(pk__in=files.values("about_id")))
        return self

    def in_order(self):
        return self.order_by("name", "id").select_related("by").prefetch_related("departments")


def with_file(documents):
    """This will note on each of `documents`, as `file`, the version that counts; and give them as a list."""
    documents = list(documents)
    about_type = ContentType.objects.get_for_model(Document)
    latest = File.objects.filter(about_type=about_type, about_id=OuterRef("pk")).order_by("-id").values("pk")[:1]
    wanted = Document.objects.filter(pk__in=[one.pk for one in documents]).order_by()
    keys = dict(wanted.annotate(latest=Subquery(latest)).values_list("pk", "latest"))
    files = File.objects.select_related("by").in_bulk([key for key in keys.values() if key])
    for one in documents:
        one.file = files.get(keys.get(one.pk))
    return documents


class Document(Filed, Recorded):
    """
    What the library keeps, such as a price list, a template or a brochure. Its files are its versions: the latest is
    what everybody gets, also where it is linked. It is for chosen departments and those below them, or for everybody.
    """

    TRACKED = ("name", "description")
    FILES_CHANGE = "keep_documents"
    FILES_LEAST = 1

    name = models.CharField(_("name"), max_length=200)
    description = models.TextField(_("description"), blank=True, max_length=5000)
    departments = models.ManyToManyField("crm.Department", blank=True, related_name="+")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False)
    at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering = ["name", "id"]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("document", args=[self.pk])

    def files_permit(self, user, verb):
        if verb == "view":
            return type(self).objects.visible_to(user).filter(pk=self.pk).exists()
        return permissions.allows(user, "keep_documents")

    def linked_to(self, user):
        """This will list the records that it is linked to and that `user` sees."""
        linked = {}
        for about_type, about_id in self.links.values_list("about_type", "about_id"):
            linked.setdefault(about_type, []).append(about_id)
        seen = []
        for about_type, keys in sorted(linked.items()):
            records = ContentType.objects.get_for_id(about_type).model_class().objects.visible_to(user)
            seen += records.filter(pk__in=keys).order_by("pk")
        return seen

    @whole()
    def add(self, uploads, *, by, departments=()):
        """
        This will put the document, with its file, into the library, for `departments` and those below, or for
        everybody. Raises NotAllowed, Refused.
        """
        if not permissions.allows(by, "keep_documents"):
            raise NotAllowed()
        self.by = by
        self.save(force_insert=True)
        self.departments.set(departments)
        self.note("created", by=by, to=[describe(one) for one in departments])
        kept, refused = File.add(self, uploads, by=by)
        if not kept:
            raise Refused(refused[0][1] if refused else _("Choose a file."), field="files")

    def change(self, *, by, departments, seen=None, **values):
        """This will give the document another name, description or readers. Raises NotAllowed, Stale, Gone."""
        with self._editing(by, seen) as it:
            for name, value in values.items():
                setattr(it, name, value)
            before = set(it.departments.all())
            it.departments.set(departments)
            if it.changes() or before != set(departments):
                it.record("changed", by=by, to=[describe(one) for one in departments])

    def delete_(self, *, by, seen=None):
        """
        This will put the document into the recycle bin, and take it from the records that it is linked to. Raises
        NotAllowed, Stale, Gone.
        """
        with self._editing(by, seen) as it:
            held = [(about, subject) for _link, about, subject in it.hold_linked() if about is not None]
            it.note("deleted", by=by)
            Recycled.put(it, by=by, along=[Event.objects.about(it)])
            for about, subject in held:
                about.count_files()
                subject.note("document_unlinked", by=by, document=self.name)

    hangs_on = None

    def put_back(self, *, by):
        """This will have the document, come back from the recycle bin, stand at those of its records that still are."""
        for link, about, _subject in self.hold_linked():
            if about is None:
                link.delete()
            else:
                about.count_files()
        self.record("restored", by=by)

    def hold_linked(self):
        """
        This will lock what the document is linked to, always in one order, and give [(link, record, the record whose
        history tells of it)]; the last two are None where the record is gone.
        """
        links = list(self.links.order_by("about_type", "about_id").prefetch_related("about"))
        subjects = {}
        for link in links:
            if link.about is not None:
                subject = link.about.files_subject
                subjects[subject._meta.label, subject.pk] = subject
        for key in sorted(subjects):
            with suppress(Gone):
                subjects[key] = locked(subjects[key])
        held = []
        for link in links:
            about = link.about and type(link.about)._base_manager.filter(pk=link.about_id).first()
            subject = about and about.files_subject
            held.append((link, about, subject))
        return held

    @whole()
    def link(self, about, *, by):
        """
        This will link the document to the record `about`: whoever sees that can read it from then on. Raises
        NotAllowed, Refused, Gone.
        """
        it = locked(self)  # before the record, as its deletion does
        subject = locked(about.files_subject)
        about = subject if about == subject else locked(about)
        if isinstance(about, Document) or not about.files_permit(by, "add_file") or not it.files_permit(by, "view"):
            raise NotAllowed()
        if about.document_links.filter(document=it).exists():
            raise Refused(_("It is linked already."))
        if about.file_count >= settings.FILES_EACH:
            told = _("There are %(count)d files here, and no more can be kept.")
            raise Refused(told % {"count": about.file_count})
        DocumentLink.objects.create(document=it, about=about, by=by)
        about.count_files()
        subject.note("document_linked", by=by, document=it.name)

    @contextmanager
    def _editing(self, by, seen):
        """This will give it locked and fresh, as `crm.verbs.acting` does; who may is a matter of roles alone."""
        if not permissions.allows(by, "keep_documents"):
            raise NotAllowed()
        with whole():
            it = locked(self)
            if seen is not None and int(seen) != it.version:
                raise Stale(it)
            it.remember()
            yield it
        self.__dict__.update({k: v for k, v in it.__dict__.items() if k != "_state"})


class DocumentLink(About):
    """That a document of the library stands among the files of a record."""

    CAN_BE_MISSED = True  # see Recycled.restore

    document = models.ForeignKey(Document, models.CASCADE, related_name="links")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["about_type", "about_id", "document"], name="document_linked_once")
        ]

    def __str__(self):
        return f"{self.document} → {self.about_type_id}:{self.about_id}"

    def may_be_ended_by(self, user, about):
        """This will tell whether `user`, who sees the record, linked it, or may change the record."""
        return self.by_id == user.pk or about.files_permit(user, about.FILES_CHANGE)

    @whole()
    def end(self, *, by):
        """This will take the document from the record; it stays in the library. Raises NotAllowed, Gone."""
        document = locked(self.document)
        subject = locked(self.about.files_subject)
        about = subject if self.about == subject else locked(self.about)
        if not (about.files_permit(by, "view") and self.may_be_ended_by(by, about)):
            raise NotAllowed()
        if not type(self).objects.filter(pk=self.pk).delete()[0]:
            raise Gone()
        about.count_files()
        subject.note("document_unlinked", by=by, document=document.name)
