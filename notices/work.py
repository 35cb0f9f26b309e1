"""What this app does by itself: it sends the mails that wait."""

from contextlib import suppress

from crm import files
from crm.schedule import daily, every
from crm.verbs import Gone
from notices import delivery
from notices.recycle import Recycled, named_files


@every("deliver", seconds=5)
def deliver():
    """This will send the mails that are due."""
    delivery.deliver()


@every("gather", seconds=60)
def gather():
    """This will make the daily digests whose hour has come where their readers are."""
    delivery.gather()


@daily("sweep_files", at="03:40")
def sweep_files():
    """This will delete stored files that no record has any more."""
    # Asked twice: what was restored in between was in neither place when that was read.
    files.sweep(named_files().keys() | named_files().keys())


@daily("empty_recycle_bin", at="03:20")
def empty_recycle_bin():
    """This will delete for good what was deleted long enough ago."""
    for kept in Recycled.objects.expired().defer("rows"):
        with suppress(Gone):  # restored just now
            kept.delete_for_good()
