"""How a test brings a file in through the pages: upload, match, check, import, each as a form would send it."""

import os
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from crm.importing import COUNTS, ImportRun
from crm.jobs import run_waiting

# Real files that are no part of the repository. They lie beside it, or where the environment says.
SHARED = Path(os.environ.get("SHARED_DATA") or Path(__file__).resolve().parent.parent.parent / "shared" / "data")
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"NOT TESTED: the real files are not at {SHARED}")


def signed_in(person):
    client = Client()
    client.force_login(person)
    return client


def upload(client, kind, content, name="file.csv"):
    """This will send a file, a text or bytes, and give the answer."""
    content = content.encode() if isinstance(content, str) else content
    return client.post("/imports/", {"kind": kind, "file": SimpleUploadedFile(name, content)})


def begin(client, kind, content, name="file.csv"):
    """This will upload a file that can be read, and give its import."""
    answer = upload(client, kind, content, name)
    assert answer.status_code == 302, answer.context["form"].errors
    return ImportRun.objects.latest("id")


def filled(form):
    """This will give what a browser would send of a form that nobody touched."""
    return {name: form.get_initial_for_field(field, name) or "" for name, field in form.fields.items()}


def match(client, run, known=(), **answers):
    """
    This will match the columns as proposed, but for `answers` (by name of the form's field) and what texts of the file
    stand for, `known`; and give the answer.
    """
    address = f"/imports/{run.pk}/match/"
    client.post(address, filled(client.get(address).context["form"]) | answers)
    form = client.get(address).context["form"]
    texts = {row["field"].name: dict(known).get(row["text"], "") for row in form.unknown}
    return client.post(address, filled(form) | answers | texts | {"act": "check"})


def checked(client, kind, content, known=(), name="file.csv", **answers):
    """This will bring a file in as far as the check, and give its import."""
    run = begin(client, kind, content, name)
    answer = match(client, run, known, **answers)
    assert answer.status_code == 302, answer.context["form"].errors
    run_waiting()
    run.refresh_from_db()
    assert run.state == "checked", run.job.error
    assert sum(counts(run)) == run.rows
    return run


def imported(client, kind, content, known=(), name="file.csv", **answers):
    """This will bring a file in, and give its import."""
    run = checked(client, kind, content, known, name, **answers)
    assert client.post(f"/imports/{run.pk}/run/").status_code == 302
    run_waiting()
    run.refresh_from_db()
    assert run.state == "done", run.job.error
    assert sum(counts(run)) == run.rows
    return run


def counts(run):
    """This will give (new, changed, unchanged, skipped, refused)."""
    return tuple(getattr(run, name) for name in COUNTS)


def refusals(run):
    """This will list (row in the sheet, column, what stands there, why not) of the refused cells."""
    return list(run.cells.values_list("row", "column", "value", "reason"))
