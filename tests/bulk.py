"""How a test acts on many records at once through the pages: the question, the confirmation, what came of it."""

from uuid import uuid4

from crm.bulk import BulkRun


def address(listing, act, records=(), query=""):
    """This will give where an act on `records` (or what `query` selects) is asked about."""
    named = "&".join(f"pk={getattr(one, 'pk', one)}" for one in records)
    return f"/{listing}/bulk/{act}/?" + "&".join(part for part in (named, query) if part)


def confirm(client, where, **given):
    """This will confirm what stands at `where` as its page would, and give the answer."""
    page = client.get(where)
    assert page.status_code == 200
    sent = {"once": uuid4()}
    if page.context["selection"].is_every:
        sent["seal"] = page.context["selection"].seal
    return client.post(where, sent | given)


def done(client, where, **given):
    """This will have it done, and give the run."""
    answer = confirm(client, where, **given)
    assert answer.status_code == 302, answer.context["form"].errors
    return BulkRun.objects.get(pk=answer["Location"].strip("/").rpartition("/")[2])


def outcome(run):
    """This will give (done, refused, skipped, not reached)."""
    counts = BulkRun.objects.get(pk=run.pk).counts
    return tuple(counts[state] for state in ("done", "refused", "skipped", "waiting"))


def reasons(run):
    """This will give {name: why} of what was not done."""
    return {row.label: row.reason for row in run.rows.exclude(why="")}
