"""What is sent to each address, so that it is taken: what its page sends, but for what is said here."""

from uuid import uuid4

from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone
from django.utils.http import urlencode

from opportunities.models import LostReason
from tests import factories as make
from tests.sweep.world import LISTS, pdf, rows_for

NEW_PASSWORD = "five-geese-in-a-row"


def now():
    return f"{timezone.localtime():%Y-%m-%dT%H:%M}"


def today():
    return f"{timezone.localdate():%Y-%m-%d}"


def csv(_world):
    return {"kind": "customers", "file": SimpleUploadedFile("new.csv", b"Name\nBrand new\n")}


def order(rows):
    """This will give what a list of rows sends that is dragged into the opposite order."""
    pks = [str(row.pk) for row in rows]
    return {"seen": ",".join(pks), "order": pks[::-1]}


SAVE = {"act": "save"}  # and not to submit it

SENT = {
    "account_login": lambda world: {"login": "spare", "password": make.PASSWORD},
    "account_change_password": lambda world: {
        "oldpassword": make.PASSWORD,
        "password1": NEW_PASSWORD,
        "password2": NEW_PASSWORD,
    },
    "account_reset_password": lambda world: {"email": "spare@example.org"},
    "account_reauthenticate": lambda world: {"password": make.PASSWORD},
    "quick_new =opportunity": lambda world: {"name": "Quite new", "all": None},
    "quick_new =customer": lambda world: {"name": "Quite new", "all": None},
    "quick_new =contact": lambda world: {
        "name": "Quite new",
        "customer_id": world.customer.pk,
        "customer": None,
        "all": None,
    },
    "quick_new =follow-up": lambda world: {
        "opportunity_id": world.active.pk,
        "opportunity": None,
        "content": "Called.",
        "all": None,
    },
    "profile": lambda world: {"title": "Somebody else", "email": None, "initial-email": None},
    "sessions_end": lambda world: {"session": "others"},
    "set_language": lambda world: {"language": "zh-hans"},
    "set_theme": lambda world: {"theme": "dark"},
    "imports": csv,
    "import_match uploaded": lambda world: {"act": "check"},
    "import_read": lambda world: {"header_row": "1"},
    "person_new": lambda world: {
        "name": "Newcomer",
        "username": "newcomer",
        "email": "newcomer@example.org",
        "department_id": world.department.pk,
        "department": None,
        "roles": [str(world.own.roles.get().pk)],
    },
    "person": lambda world: {"title": "Somebody else", "roles": [str(world.own.roles.get().pk)]},
    "department_new": lambda world: {
        "name_en": "Xinji",
        "parent_id": world.department.parent_id,
        "parent": None,
        "level": world.department.level,
    },
    "department": lambda world: {"name_en": "Baoding city"},
    "organisation": lambda world: {"name": "Northern Networks", "languages": ["en", "zh-hans"]},
    "picklist_arrange": lambda world: order(type(world.value).objects.all()),
    "picklist_new": lambda world: {"name_en": "Letter"},
    "picklist_value": lambda world: {"name_en": "Letter"},
    "picklist_merge": lambda world: {"into": world.second_value.pk},
    "custom_field": lambda world: {"name_en": "Area"},
    "custom_options_arrange": lambda world: order(world.field.options.all()),
    "custom_option_new": lambda world: {"name_en": "East"},
    "custom_option": lambda world: {"name_en": "East"},
    "custom_section": lambda world: {"name_en": "Place"},
    "custom_section_new": lambda world: {"name_en": "Place"},
    "custom_field_new": lambda world: {"name_en": "Fax"},
    "custom_layout_arrange": lambda world: {
        "seen": f"s{world.section.pk},s0,f{world.field.pk}",
        "order": [f"s{world.section.pk}", f"f{world.field.pk}", "s0"],
    },
    "handover": lambda world: {"to_id": world.mate.pk, "to": None},
    "message_settings": lambda world: {"mail_work": "daily"},
    "announcement_new": lambda world: {"title": "New", "body": "Read this."},
    "announcement_edit": lambda world: {"title": "Changed", "body": "Read this.", "roles": None, "again": None},
    "comment_edit": lambda world: {"text": "Changed."},
    "files_of": lambda world: {"files": pdf("offer")},
    "library": lambda world: {"document": world.unlinked.pk},
    "document_new": lambda world: {"name": "Terms", "files": pdf("terms")},
    "document_edit": lambda world: {"name": "Changed"},
    "tasks_bulk": lambda world: {"once": str(uuid4()), "decision": "finish"},
    "task task_signing": lambda world: {"decision": "finish"},
    "task task_returned": lambda world: {"approver": world.cur.pk},
    "task_assign": lambda world: {"approver": world.spare.pk},
    "customers_bulk": lambda world: {"text": "Visited."},
    "opportunities_bulk": lambda world: {"text": "Visited."},
    "contacts_bulk": lambda world: {"set_title": "on", "title": "Buyer"},
    "customers_cell": lambda world: {"phone": "10086"},
    "contacts_cell": lambda world: {"title": "Buyer"},
    "opportunities_cell": lambda world: {"amount": "12345"},
    "customer_new": lambda world: {"name": "Quite new"},
    "customer_edit": lambda world: {"tax_id": "913"},
    "customer_copy": lambda world: {"name": "Quite new", "phone": "", "tax_id": "", "website": ""},
    "customer_transfer": lambda world: {"owner_id": world.mate.pk, "owner": None},
    "customer_comments": lambda world: {"text": "Visited."},
    "customer_follow_up": lambda world: {"content": "Called."},
    "contact_new": lambda world: {"name": "Quite new", "customer_id": world.customer.pk, "customer": None},
    "contact_edit": lambda world: {"title": "Buyer"},
    "contact_copy": lambda world: {"name": "Quite new"},
    "opportunity_new": lambda world: {
        "name": "Quite new",
        "owner": None,
        "owner_id": None,
        "approver": None,
        "act": "save",
    },
    "opportunity_edit": lambda world: {"amount": "12345", "act": "save"},
    "opportunity_lines": lambda world: {
        "act": "save",
        "line-0-description": "Cable",
        "line-0-quantity": "1",
        "line-0-price": "10",
    },
    "opportunity_sign": lambda world: {
        "contract_number": "C-1",
        "signed_amount": "5万",
        "signed_on": today(),
        "approver": world.pas.pk,
    },
    "opportunity_terminate": lambda world: {
        "reason": LostReason.objects.get(key="budget").pk,
        "approver": world.spare.pk,
    },
    "opportunity_void": lambda world: {"reason": "Entered twice."},
    "opportunity_move": lambda world: {"stage": make.stage("proposal").pk, "version": world.active.version},
    "opportunity_transfer": lambda world: {"owner_id": world.mate.pk, "owner": None},
    "opportunity_share": lambda world: {"people_id": world.mate.pk, "people": None},
    "opportunity_unshare": lambda world: {"person_id": world.rea.pk},
    "opportunity_contact": lambda world: {"contact_id": world.placed.pk, "contact": None, "remove": "1"},
    "opportunity_reassign": lambda world: {"customer_id": world.other_customer.pk, "customer": None},
    "opportunity_correct": lambda world: {"contract_number": "C-2", "reason": "Two digits swapped."},
    "opportunity_comments": lambda world: {"text": "Visited."},
    "opportunity_follow_up": lambda world: {"content": "Called."},
    "follow_up_done": lambda world: {"at": now(), "content": "Called."},
    "follow_up_edit": lambda world: {"content": "Changed."},
} | {
    f"{listing}_{address}": (lambda world: {"name": "Another name", "shared": "private"})
    for listing in LISTS
    for address in ("view_new", "view", "view_copy")
}

NAMED = {"names_en": "Another name", "_publish": None, "_revise": None, "_addanother": None, "_continue": None}
NO_ACTION = {"_selected_action": None, "action": None}
EDITED = NO_ACTION | {"form-0-order": "990", "_save": "1"}


def new(page, world):
    """This will give what a new row of a page of Django's administration needs besides a key and a name."""
    place = {"parent": world.department.parent_id, "level": world.department.level}
    account = {"username": "another", "usable_password": "true", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    needs = {
        "department": place,
        "role": {"scope": "own"},
        "user": account | {"name": "Another", "email": "another@example.org", "roles": str(world.own.roles.get().pk)},
        "route": {"act": "sign"},
        "stage": {"pipeline": world.pipeline.pk, "kind": "open", "probability": "50"},
        "product": {"price": "5", "unit_en": "piece", "category": world.category.pk},
        "reviewquestion": {"kind": "text"},
        "reviewchoice": {"question": world.review_question.pk},
        "revenuecategory": {"level": "1"},
    }
    return {"names_en": "Another", "key": "another", "order": "99", "active": "on"} | needs.get(page, {})


def administered(row, world):
    """This will give what is said of what is sent to a page of Django's administration."""
    model, page = ["", *row.name.strip("/").split("/")][-2:]
    if page == "add":
        return new(model, world) | {"_addanother": None, "_continue": None}
    if page == "change":
        return NAMED | {"name": "Another name", "amount_from": "5", "steps-2-roles": None}
    if page == "password":
        return {"usable_password": "true", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    if page == "export":
        return {"format": "1"}
    if page == "import":
        rows = rows_for(row.name.removesuffix("import/"), world)
        return {"format": "0", "import_file": SimpleUploadedFile("new.csv", rows.encode())}
    if page == "process_import":
        return world.previews[row.name.removesuffix("process_import/")]
    if page == "delivery":
        return {"action": "send_again", "_selected_action": world.delivery.pk, "index": "0", "_save": None}
    if page == "route":
        return {"action": "revise", "_selected_action": world.route.pk, "index": "0", "_save": None}
    return EDITED if row.cells["adm"] == 302 and page not in ("{}", "delete") else {}


# What an address asks besides, before it is one that answers.
ASKED = {
    "custom_field_new": lambda world: {"kind": "text"},
    "opportunity_unshare GET": lambda world: {"person_id": world.rea.pk},
    "/admin/autocomplete/": lambda world: {"app_label": "approvals", "model_name": "step", "field_name": "people"},
    "tasks_bulk": lambda world: {"pk": world.task_signing.pk},
    "customers_bulk": lambda world: {"pk": world.customer.pk},
    "contacts_bulk": lambda world: {"pk": world.placed.pk},
    "opportunities_bulk": lambda world: {"pk": world.active.pk},
} | {f"{listing} POST": (lambda world: {"export": "xlsx", "rows": "all"}) for listing in LISTS}


def asked(row, world):
    """This will give the query of an address, with its question mark; "" where it needs none."""
    found = ASKED.get(f"{row.name} {row.method}") or ASKED.get(row.name)
    return f"?{urlencode(found(world))}" if found else ""


def said(row, world):
    """This will give what is said here of what is sent to an address."""
    if row.name.startswith("/admin/"):
        return administered(row, world)
    found = SENT.get(row.key) or SENT.get(row.name)
    return found(world) if found else {}


# Where a script is answered otherwise than a browser: {(address, method, style): {status of the table: its own}}
STYLED = {
    ("account_login", "GET", "json"): {302: 200},
    ("account_login", "POST", "json"): {302: 200},
    ("account_logout", "GET", "json"): {"log": 200},
    ("account_logout", "POST", "json"): {"log": 200},
    ("/admin/logout/", "GET", "json"): {"log": 200},
    ("/admin/logout/", "POST", "json"): {"log": 200},
    ("account_change_password", "POST", "json"): {302: 200},
    ("account_reset_password", "POST", "json"): {302: 200},
    ("account_reset_password_from_key", "GET", "json"): {302: 200},
    ("account_reset_password_from_key", "POST", "json"): {302: 400},
    ("mfa_login_webauthn", "GET", "json"): {302: 200, "log": 200},
    ("mfa_login_webauthn", "POST", "json"): {302: 200},
    ("set_language", "POST", "json"): {302: 204},
    ("files_of", "POST", "htmx"): {302: 200},
    ("imports", "POST", "htmx"): {302: 200},
    ("quick_new", "POST", "json"): {302: 200},
} | {(f"{listing}_cell", "POST", "htmx"): {302: 200} for listing in LISTS}
