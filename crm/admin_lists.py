"""
What somebody may ask of a list in Django's administration: its filters, and rows chosen in it; nothing else.

Django lets an address narrow a list by any lookup of any field of its records. That reads what no column shows, letter
by letter, and asks a database for what it answers with an error.
"""

import re

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import BadRequest

from crm.kinds import is_storable

KEY = re.compile(r"\d{1,18}", re.ASCII)  # which every database can hold
KEY_OF_A_ROW = re.compile(r"form-\d+-id", re.ASCII)  # in what a list sends whose rows are edited in it


class Narrowed:
    """A page of the administration whose list is narrowed by what `list_filter` names, as its filters send it."""

    def lookup_allowed(self, lookup, value, request=None):
        names = self.get_list_filter(request)
        sent = {f"{name}{end}" for name in names for end in ("__exact", "__isnull", "__id__exact")}
        return lookup in sent and is_storable(value)

    def changelist_view(self, request, extra_context=None):
        """This will show the list, or do with the rows what was chosen; a key that is none chooses nothing."""
        if request.method == "POST":
            if any(KEY_OF_A_ROW.fullmatch(name) and not KEY.fullmatch(pk) for name, pk in request.POST.items()):
                raise BadRequest("There is no such row.")
            if ACTION_CHECKBOX_NAME in request.POST:
                request.POST = request.POST.copy()
                chosen = [pk for pk in request.POST.getlist(ACTION_CHECKBOX_NAME) if KEY.fullmatch(pk)]
                request.POST.setlist(ACTION_CHECKBOX_NAME, chosen)
        return super().changelist_view(request, extra_context)
