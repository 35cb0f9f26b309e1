"""What this app does by itself: it sends the mails that wait."""

from crm import files
from crm.schedule import daily, every
from notices import delivery
from notices.files import File


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
    files.sweep(set(File.objects.values_list("key", flat=True)))
