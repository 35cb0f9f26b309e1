"""
What stands in the audit, in words; and that refusals stand in it: what somebody asked for and may not have.

So that nobody can fill it, no more than MOST refusals an hour are noted of one person, or of one address where nobody
is signed in, and of all strangers together no more than MOST_OF_STRANGERS. The last that is noted says so.
"""

import json
import time
from contextlib import suppress

from django.core.cache import cache
from django.db import DatabaseError
from django.utils.translation import gettext_lazy as _

from crm.logs import came_from, path_of
from crm.models import Audit

MOST = 20
MOST_OF_STRANGERS = 200
HOUR = 60 * 60
DENIED = (403, 429)  # not allowed, the form not ours; too often

KINDS = {
    "sign_in": _("Signed in"),
    "sign_out": _("Signed out"),
    "sign_in_failed": _("Failed to sign in"),
    "refused": _("Was refused"),
    "two_step_failed": _("Failed at the second step of signing in"),
    "two_step_on": _("Two-step sign-in turned on"),
    "two_step_off": _("Two-step sign-in turned off"),
    "recovery_codes_made": _("New recovery codes made"),
    "passkey_added": _("Passkey added"),
    "passkey_removed": _("Passkey removed"),
    "password_changed": _("Password changed"),
    "email_wanted": _("Another e-mail address asked for"),
    "email_changed": _("E-mail address changed"),
    "sessions_ended": _("Other sessions ended"),
    "rights_changed": _("Rights changed"),
    "department_changed": _("Department changed"),
    "handed_over": _("Work handed over"),
    "exported": _("Exported"),
    "imported": _("Imported"),
    "import_undone": _("Import undone"),
    "bulk": _("Many records changed at once"),
    "bulk_undone": _("Change of many records undone"),
    "customer_deleted": _("Customer deleted"),
    "restored": _("Restored from the recycle bin"),
    "deleted_for_good": _("Deleted for good"),
    "organisation_changed": _("Settings of the organisation changed"),
    "picklist_changed": _("Picklist changed"),
    "picklist_arranged": _("Picklist arranged"),
    "picklist_merged": _("Values of a picklist merged"),
    "picklist_deleted": _("Value of a picklist deleted"),
    "custom_field_changed": _("Custom field changed"),
    "custom_field_erased": _("Custom field erased"),
    "custom_fields_arranged": _("Custom fields arranged"),
    "custom_section_changed": _("Section of custom fields changed"),
    "custom_section_removed": _("Section of custom fields removed"),
    "custom_option_changed": _("Option of a custom field changed"),
    "custom_option_deleted": _("Option of a custom field deleted"),
    "custom_options_arranged": _("Options of a custom field arranged"),
    "earlier_report_told": _("Told of an earlier report"),
}


def word_of(kind):
    """This will give a kind of audit entry in words."""
    return KINDS.get(kind, kind)


def details_of(data):
    """This will give what else an entry says, as one reads it: list: people; rows: 12."""
    parts = (f"{name}: {value if isinstance(value, str) else _written(value)}" for name, value in data.items())
    return "; ".join(parts)


def _written(value):
    return json.dumps(value, ensure_ascii=False)


def refusals(get_response):
    """This will note in the audit who was refused what."""

    def answer(request):
        response = get_response(request)
        status = getattr(request, "refused", response.status_code)  # see crm.sign_in
        if status in DENIED or (status == 404 and _is_of_a_record(request)):
            with suppress(DatabaseError):  # the answer is the same, whether it can be noted or not
                note(request, status)
        return response

    return answer


def _is_of_a_record(request):
    """This will tell whether somebody asked for a record that is not there for them."""
    return bool(request.user.is_authenticated and request.resolver_match and request.resolver_match.kwargs)


def note(request, status):
    """This will write the entry of one refusal, unless there were too many lately."""
    by = request.user if request.user.is_authenticated else None
    count = _counted(f"person-{by.pk}" if by else f"address-{came_from.get()}")
    if count > MOST or (by is None and _counted("strangers") > MOST_OF_STRANGERS):
        return
    data = {"status": status, "method": request.method[:10], "path": path_of(request), "request": request.id}
    if count == MOST:
        data["further"] = "not noted for the rest of this hour"
    Audit.note("refused", by=by, **data)


def _counted(who):
    """This will count one refusal of `who` in this hour, and give how many there were."""
    key = f"refusals-{who}-{int(time.time() // HOUR)}"
    cache.add(key, 0, 2 * HOUR)
    try:
        return cache.incr(key)
    except ValueError:  # it was thrown out just now
        return 1
