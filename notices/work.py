"""What this app does by itself: it sends the mails that wait."""

from crm.schedule import every
from notices import delivery


@every("deliver", seconds=5)
def deliver():
    """This will send the mails that are due."""
    delivery.deliver()
