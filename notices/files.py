"""The files that hang on a record, and the records on which files hang."""

from django.conf import settings
from django.contrib.contenttypes.fields import GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm import files, permissions
from crm.verbs import Gone, NotAllowed, Refused, locked, whole
from notices.about import About


class FileQuerySet(models.QuerySet):
    def about(self, record):
        """This will narrow to the files of `record`, the latest first, with the names of those who brought them."""
        about_type = ContentType.objects.get_for_model(record)
        return self.filter(about_type=about_type, about_id=record.pk).select_related("by")


class File(About):
    """A file on a record. `key` is where it is stored, `kind` its content type as its first bytes tell it."""

    name = models.CharField(_("name"), max_length=200)
    kind = models.CharField(max_length=100)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    key = models.CharField(max_length=100, unique=True)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", db_index=False)
    at = models.DateTimeField(default=timezone.now)

    objects = FileQuerySet.as_manager()

    class Meta:
        verbose_name = _("file")
        verbose_name_plural = _("files")
        ordering = ["-id"]
        indexes = [models.Index("about_type", "about_id", F("id").desc(), name="file_about")]

    def __str__(self):
        return self.name

    @property
    def is_shown(self):
        """This will tell whether a browser shows it."""
        return self.kind in files.SHOWN

    def may_be_deleted_by(self, user, about):
        """This will tell whether `user`, who sees the record, brought it, or may change the record."""
        return self.by_id == user.pk or about.files_permit(user, about.FILES_CHANGE)

    @classmethod
    def add(cls, about, uploads, *, by):
        """
        This will keep uploaded files on the record `about`, in one entry of its history. Those that are not taken are
        left out: it gives (the files, [(name, why not), …]). Raises NotAllowed, Refused, Gone.
        """
        if not about.files_permit(by, "add_file"):
            raise NotAllowed()
        good, refused = files.sorted_out(uploads)
        kept, keys = [], []
        with files.dropped_unless_named(keys):
            for upload, name, kind in good:
                key, size, digest = files.keep(upload)
                keys.append(key)
                kept.append(cls(about=about, name=name, kind=kind, size=size, sha256=digest, key=key, by=by))
            cls._keep(about, kept, by)
        return kept, refused

    @classmethod
    @whole()
    def _keep(cls, about, kept, by):
        if not kept:
            return
        subject = locked(about.files_subject)
        about = subject if about == subject else locked(about)
        if not about.files_permit(by, "add_file"):
            raise NotAllowed()
        if about.file_count + len(kept) > settings.FILES_EACH:
            told = _("There are %(count)d files here, and no more can be kept.")
            raise Refused(told % {"count": about.file_count}, field="files")
        cls.objects.bulk_create(kept)
        about.count_files()
        subject.note("file_added", by=by, files=[file.name for file in kept])

    @whole()
    def delete_(self, *, by):
        """This will delete the file; the history keeps its name. Raises NotAllowed, Gone."""
        subject = locked(self.about.files_subject)
        about = subject if self.about == subject else locked(self.about)
        if not about.files_permit(by, "view"):
            raise NotAllowed()
        if not self.may_be_deleted_by(by, about):
            raise NotAllowed()
        if about.FILES_LEAST and about.file_count <= about.FILES_LEAST:
            raise Refused(_("This is the only file. Add another one first, or delete the whole."))
        if not type(self).objects.filter(pk=self.pk).delete()[0]:
            raise Gone()
        about.count_files()
        subject.note("file_deleted", by=by, file=self.name)
        transaction.on_commit(lambda: files.drop([self.key]))


class Filed(models.Model):
    """
    A record on which files hang, its own and documents of the library; `file_count` saves asking for none. FILES_CHANGE
    is the verb that lets somebody delete the files of others; FILES_LEAST of them must stay.
    """

    FILES_CHANGE = "change"

    FILES_LEAST = 0

    file_count = models.PositiveSmallIntegerField(default=0, editable=False)
    files = GenericRelation(File, content_type_field="about_type", object_id_field="about_id")
    document_links = GenericRelation(
        "notices.DocumentLink", content_type_field="about_type", object_id_field="about_id"
    )

    class Meta:
        abstract = True

    @property
    def files_subject(self):
        """This will give the record whose history tells of the files."""
        return self

    def files_permit(self, user, verb):
        """This will tell whether `user` may do `verb` with the files of this record."""
        return permissions.permits(user, verb, self)

    def count_files(self):
        """This will bring `file_count` in line; it is no change of the record itself."""
        self.file_count = self.files.count() + self.document_links.count()
        type(self)._base_manager.filter(pk=self.pk).update(file_count=self.file_count)
