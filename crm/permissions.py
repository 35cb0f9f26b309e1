"""
Who may do what: one table per kind of record, asked by lists, pages, buttons, `has_perm` and verbs alike.

A table says for each verb which REASONS permit it. What a reason means for a model (which rows a user owns, which were
shared with them …) is said once, by that model's queryset (`crm.querysets.Guarded`). So a list, a count, a page and a
check cannot disagree: they are one expression.
"""

from functools import cache, cached_property

from allauth.account.auth_backends import AuthenticationBackend
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import Http404

from crm.prepared import prepared

# The reasons. The first six are facts about one record and one reader; the last three come with a role.
OWNER = "owner"
EDIT_SHARE = "edit_share"
VIEW_SHARE = "view_share"
OPEN_TASK = "open_task"
PAST_TASK = "past_task"
SCOPE = "scope"  # in the reader's data scope
CHIEF = "chief"  # GM or deputy GM, in their data scope
MANAGER = "opportunity_manager"
ADMINISTRATOR = "administrator"
THROUGH = "through"  # seen through something else that one sees, e.g. a customer through an opportunity

EVERYWHERE = frozenset({MANAGER, ADMINISTRATOR})  # these two reach every record
SEEN = frozenset({OWNER, EDIT_SHARE, VIEW_SHARE, OPEN_TASK, PAST_TASK, SCOPE}) | EVERYWHERE

TABLES = {
    "opportunity": {
        "view": SEEN,  # in scope: all but drafts
        "change": {OWNER, EDIT_SHARE, OPEN_TASK}
        | EVERYWHERE,  # a pending approval freezes fields: see Opportunity.change
        "move": {OWNER, EDIT_SHARE} | EVERYWHERE,
        "add_follow_up": {OWNER, EDIT_SHARE, OPEN_TASK, SCOPE} | EVERYWHERE,
        "add_file": {OWNER, EDIT_SHARE, OPEN_TASK, SCOPE} | EVERYWHERE,
        "change_contacts": {OWNER, EDIT_SHARE, OPEN_TASK, SCOPE} | EVERYWHERE,
        "comment": SEEN,
        "report": {OWNER},
        "sign": {OWNER},
        "terminate": {OWNER},
        "withdraw": {OWNER},
        "void": {OWNER},
        "decide": {OPEN_TASK},  # and never one's own request: see Task.decide
        "assign": {ADMINISTRATOR},
        "share": {OWNER, CHIEF} | EVERYWHERE,
        "transfer": {OWNER, CHIEF} | EVERYWHERE,
        "reassign": EVERYWHERE,
        "correct": EVERYWHERE,
        "copy": SEEN,
    },
    "customer": {
        "view": {OWNER, SCOPE} | EVERYWHERE,
        "name": {OWNER, SCOPE, THROUGH} | EVERYWHERE,  # the name card
        "change": {OWNER, CHIEF} | EVERYWHERE,
        "delete": {OWNER} | EVERYWHERE,
        "copy": {OWNER, SCOPE} | EVERYWHERE,
        "add_contact": {OWNER, SCOPE} | EVERYWHERE,
        "add_follow_up": {OWNER, SCOPE} | EVERYWHERE,
        "comment": {OWNER, SCOPE} | EVERYWHERE,
        "add_file": {OWNER, SCOPE} | EVERYWHERE,
    },
    "contact": {
        "view": {OWNER, SCOPE, THROUGH} | EVERYWHERE,
        "change": {OWNER, SCOPE} | EVERYWHERE,
        "delete": {OWNER} | EVERYWHERE,
        "copy": {OWNER, SCOPE} | EVERYWHERE,
        "add_follow_up": {OWNER, SCOPE} | EVERYWHERE,
    },
    "follow_up": {
        "view": {THROUGH} | EVERYWHERE,  # with what it is about; who wrote it and sees that no more, sees it no more
        "change": {OWNER} | EVERYWHERE,
        "delete": {OWNER} | EVERYWHERE,
        "add_file": {OWNER} | EVERYWHERE,
    },
}

# The verb whose permission lets somebody know at all that a record exists, where that is less than to view it.
SEEN_BY = {"customer": "name"}

# What needs no record: the roles that may, or None for everybody who is signed in and belongs to a department.
ACTS = {
    "create": None,
    "import": None,  # what one may create
    "export": None,  # what one sees
    "import_past": EVERYWHERE,
    "freeze_month": EVERYWHERE,
    "announce": EVERYWHERE,
    "keep_documents": EVERYWHERE | {"support"},  # of the library
    "assign": {ADMINISTRATOR},
    "administer": {ADMINISTRATOR},
}


def allows(user, act):
    """This will tell whether `user` may do `act`, one of ACTS."""
    if not user.is_authenticated or not user.is_active:
        return False
    roles = ACTS[act]
    return user.department_id is not None if roles is None else user.is_any(*roles)


def require(user, act):
    """This will raise PermissionDenied where `allows` says no."""
    if not allows(user, act):
        raise PermissionDenied


def reasons(user, table, verb):
    """This will give the reasons of the table's row that can hold for this user at all, by roles and scope."""
    return _reasons(_standing(user), table, verb)


def possible(user, table):
    """This will give the reasons of the whole table that can hold for this user at all."""
    return _possible(_standing(user), table)


def permits(user, verb, record):
    """This will tell whether `user` may do `verb` on `record`; it says nothing of the record's state."""
    return type(record).objects.filter(pk=record.pk).permitted(user, verb).exists()


def permits_now(user, verb, record, *, known=()):
    """
    This will tell what `permits` does, of a record that was read just now: where its own columns say yes, nothing is
    asked. `known` are reasons that the caller has found to hold.
    """
    held = type(record).objects.reasons_seen(user, record).union(known)
    return verb in _verbs(user, record.guard, held) or permits(user, verb, record)


def may(user, record):
    """
    This will give the set of verbs that `user` may do on `record`, in one query: for pages, which show many
    of them.
    """
    return _verbs(user, record.guard, type(record).objects.reasons_held(user, record))


def fetch(user, verb, model, *, queryset=None, to_act=False, **lookup):
    """
    This will give the one `model` record of `lookup` that `user` may do `verb` on. Raises Http404 where the user cannot
    see it, as if it did not exist; PermissionDenied where the user sees it and may not. `queryset` adds joins.
    One query: sight is the row "view" of the table (or SEEN_BY), asked of the very record. The verbs permitted stand in
    `record.may`. Where the record is fetched `to_act` and not to be shown, most of that is seldom asked for, and is
    read only then.
    """
    records = model.objects.all() if queryset is None else queryset
    records = records if to_act else records.with_reasons(user)
    try:
        record = records.get(**lookup)
    except (model.DoesNotExist, OverflowError, ValueError) as error:  # the last two: a key that no database can hold
        raise Http404 from error
    record.may = May(user, record) if to_act else _verbs(user, model.guard, records.reasons_of(user, record))
    return _permitted(verb, record)


def found(user, verb, record, held):
    """
    This will give `record` as `fetch` does, where it has been read, or None, and `held` are all reasons that hold
    between it and `user`.
    """
    if record is None:
        raise Http404
    record.may = _verbs(user, record.guard, held)
    return _permitted(verb, record)


def _permitted(verb, record):
    if verb in record.may:
        return record
    raise PermissionDenied if record.may else Http404


class May:
    """The verbs that `user` may do on `record`, just read. What its own columns say costs no query, the rest one."""

    def __init__(self, user, record):
        self.user, self.record = user, record
        self.sure = _verbs(user, record.guard, type(record).objects.reasons_seen(user, record))

    @cached_property
    def all(self):
        return may(self.user, self.record)

    def __contains__(self, verb):
        return verb in self.sure or verb in self.all

    def __iter__(self):
        return iter(self.all)

    def __len__(self):
        return len(self.all)


def _standing(user):
    """This will give what of a user the tables ask for: (the roles that they name, the scope), or None for nobody."""
    if not user.is_authenticated or not user.is_active:
        return None
    return frozenset(user.role_keys & _ROLES), str(user.scope)


# A page asks each row of a table many times over; what follows from table and standing alone is worked out once.


@cache
def _reasons(standing, table, verb):
    if standing is None:
        return frozenset()
    roles, scope = standing
    row = set(TABLES[table][verb]) - (EVERYWHERE - roles)
    if scope == "own":
        row -= {SCOPE, CHIEF}
    if roles.isdisjoint(_CHIEFS):
        row.discard(CHIEF)
    return frozenset(row)


@cache
def _possible(standing, table):
    return frozenset().union(*(_reasons(standing, table, verb) for verb in TABLES[table]))


def _verbs(user, table, held):
    return _verbs_for(_standing(user), table, frozenset(held))


@cache
def _verbs_for(standing, table, held):
    verbs = frozenset(verb for verb in TABLES[table] if _reasons(standing, table, verb) & held)
    return verbs if SEEN_BY.get(table, "view") in verbs else frozenset()


_CHIEFS = frozenset({"gm", "deputy_gm"})
_ROLES = EVERYWHERE | _CHIEFS


@prepared
def _somebody(pk, *, with_two_step):
    """This will find a person, with all that every page looks at."""
    everybody = get_user_model().objects.with_roles().with_settings()
    if with_two_step:
        everybody = everybody.with_two_step()
    return everybody.select_related("department__parent", "department__province").filter(pk=pk)


class Backend(AuthenticationBackend):
    """
    `user.has_perm`, answered from the tables, and Django's admin opened to administrators. No stored
    permission grants.
    """

    def get_user(self, user_id):
        found = _somebody(int(user_id), with_two_step=bool(settings.REQUIRE_TWO_STEP))
        return found[0] if found and found[0].is_active else None

    def has_perm(self, user_obj, perm, obj=None):
        verb = perm.rpartition(".")[2]
        if obj is not None:
            return getattr(obj, "guard", None) in TABLES and verb in TABLES[obj.guard] and permits(user_obj, verb, obj)
        if verb in ACTS:
            return allows(user_obj, verb)
        return user_obj.is_staff and allows(user_obj, "administer")

    def has_module_perms(self, user_obj, app_label):
        return user_obj.is_staff and allows(user_obj, "administer")

    def get_all_permissions(self, user_obj, obj=None):
        if obj is None or getattr(obj, "guard", None) not in TABLES:
            return {f"crm.{act}" for act in ACTS if allows(user_obj, act)}
        return {f"{obj._meta.app_label}.{verb}" for verb in may(user_obj, obj)}

    get_user_permissions = get_group_permissions = get_all_permissions
