"""
How a verb runs: one transaction around a record locked and read again, its permission and its version asked
again.
"""

from contextlib import contextmanager

from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm import permissions
from crm.prepared import prepared

# How PostgreSQL, in its SQLSTATE, says that a row names one that is not there, and that two wait for one another
FOREIGN_KEY, DEADLOCK = "23503", "40P01"


class Refused(Exception):
    """
    The verb cannot be done now. The message is a sentence for the person who tried; `field` names a form
    field, or None.
    """

    status = 409

    def __init__(self, message, *, field=None):
        super().__init__(message)
        self.message = message
        self.field = field


class Stale(Refused):
    """The record was changed since the page was opened. `record` is the record as it is now."""

    def __init__(self, record):
        super().__init__(
            _("Somebody changed this record after you opened it. Look at what is there now, then try again.")
        )
        self.record = record


class NotAllowed(Refused):
    """The person may not do this to this record."""

    status = 403

    def __init__(self, message=None):
        super().__init__(message or _("You may not do this."))


class Gone(Refused):
    """The record was deleted since the page was opened."""

    status = 404

    def __init__(self):
        super().__init__(_("This was deleted after you opened it."))


class Crossed(Refused):
    """Of two acts at the same moment, one deleted what the other chose."""

    def __init__(self):
        super().__init__(_("At the same moment somebody deleted or chose something that this is about. Choose again."))

    @staticmethod
    def is_told_by(error):
        """This will tell whether an IntegrityError says that a row names one that is not there."""
        told = error.__cause__
        return getattr(told, "sqlstate", None) == FOREIGN_KEY or "FOREIGN KEY" in str(told)


@contextmanager
def whole():
    """
    This will hold all that is done in it in one transaction, or nothing of it. Raises Crossed where a record that it
    names was deleted meanwhile, or one that it deletes was chosen: databases tell that at the end; and where it and
    another waited for what the other held.
    """
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if Crossed.is_told_by(error):
            raise Crossed() from error
        raise
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) == DEADLOCK:
            raise Crossed() from error
        raise


def enter_as(records, *, by, as_was=False):
    """
    This will note that `by` enters `records`, which are not saved yet; with `as_was`, that their `created_by` did, if
    they have one, and when `created_at` says. Raises NotAllowed unless `by` may import the past then, Refused for what
    lies ahead.
    """
    if as_was and not permissions.allows(by, "import_past"):
        raise NotAllowed()
    now = timezone.now()
    for record in records:
        if not as_was or record.created_by_id is None:
            record.created_by = by
        if as_was and record.created_at > now:
            raise Refused(_("This lies ahead. Write when it was."), field="created_at")


def locked(record, *along):
    """
    This will read `record` again, with the relations `along`, and keep it from being changed by others until the
    transaction ends. Raises Gone.

    A related record that was read with `record` is that of the new one too, if it is still related: it is not locked
    anyway. A department is read again, since whoever moves one moves the records in it. What is read again is not in
    the query that locks: on PostgreSQL, one that had to wait would look for the new row among the old ones of the
    other tables, and lose it. On SQLite the transaction has locked all there is.
    """
    model = type(record)
    known = {name: one for name, one in record._state.fields_cache.items() if name != "department"}
    joined = [name for name in along if name not in known]  # "stage__pipeline" is, whatever of "stage" is known
    if joined and connection.features.has_select_for_update:
        rows = _lock(record.pk, model=model) and _read(record.pk, model=model, joined=tuple(joined))
    else:
        rows = _lock_and_read(record.pk, model=model, joined=tuple(joined))
    if not rows:
        raise Gone()
    [it] = rows
    for name in {*along}.intersection(known).difference(it._state.fields_cache):
        field = it._meta.get_field(name)
        if getattr(it, field.attname) == getattr(record, field.attname):
            field.set_cached_value(it, known[name])
    return it


@prepared
def _lock(pk, *, model):
    return model._base_manager.filter(pk=pk).order_by().select_for_update().values_list("pk")


@prepared
def _read(pk, *, model, joined):
    rows = model._base_manager.filter(pk=pk).order_by()
    return rows.select_related(*joined) if joined else rows


@prepared
def _lock_and_read(pk, *, model, joined):
    rows = model._base_manager.filter(pk=pk).order_by().select_for_update(of=("self",))
    return rows.select_related(*joined) if joined else rows


@contextmanager
def acting(by, verb, record, *, seen=None, along=()):
    """
    This will give `record` locked and fresh, in a transaction that holds everything the verb does, or nothing of it.

    A verb that worked on the instance that a page read would write old values over newer ones and approve an amount
    that nobody saw. `seen` is the version that the person had before them; `along` names the relations that the verb
    reads. Without a `verb` the caller asks for the permission, within. Raises Gone, NotAllowed, Stale, Crossed.
    Afterwards `record` shows what was done.
    """
    with whole():
        it = locked(record, *along)
        if verb is not None and not permissions.permits_now(by, verb, it):
            raise NotAllowed()
        if seen is not None and int(seen) != it.version:
            raise Stale(it)
        it.remember()
        yield it
    record.__dict__.update({k: v for k, v in it.__dict__.items() if k != "_state"})
    record._state.fields_cache = it._state.fields_cache  # or `record.owner` would still be the one before
