"""What must hold of files: each row is stored, and each record knows how many it has."""

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.core.files.storage import storages

from notices.documents import DocumentLink
from notices.files import File, Filed


def differences():
    """This will give a sentence for each thing that is not as it must be."""
    counts = {}
    rows = File.objects.order_by("pk").values_list("pk", "about_type", "about_id", "key")
    stored = set(storages["files"].listdir("")[1]) if rows.exists() else set()
    for pk, about_type, about_id, key in rows.iterator():
        counts[about_type, about_id] = counts.get((about_type, about_id), 0) + 1
        if key not in stored:
            yield f"file {pk}: is not in its storage"
    for about_type, about_id in DocumentLink.objects.values_list("about_type", "about_id").iterator():
        counts[about_type, about_id] = counts.get((about_type, about_id), 0) + 1
    yield from _counts(counts)


def _counts(counts):
    for model in apps.get_models():
        if not issubclass(model, Filed):
            continue
        about_type = ContentType.objects.get_for_model(model).pk
        having = {about_id for kind, about_id in counts if kind == about_type}
        said = dict(model._base_manager.exclude(file_count=0).values_list("pk", "file_count"))
        for pk in sorted(having | said.keys()):
            if counts.get((about_type, pk), 0) != said.get(pk, 0):
                yield f"{model._meta.model_name} {pk}: its number of files is not that of its files"
