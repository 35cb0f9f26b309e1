"""What this app has the worker do: handovers."""

from crm.jobs import job
from opportunities.handover import Handover


@job("handover", minutes=240)
def hand_over(job):
    """This will hand over what the job names, record by record."""
    Handover(job).run()
