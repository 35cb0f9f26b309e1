"""The verbs of those who administer people and departments: each leaves an audit row where rights or places change."""

from contextlib import contextmanager

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from crm import sign_in
from crm.holding import rights
from crm.models import Audit, Department, User
from crm.permissions import allows
from crm.verbs import NotAllowed, Refused, locked, whole
from notices.models import Delivery


def _check(by):
    if not allows(by, "administer"):
        raise NotAllowed()


# ── People ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@whole()
def invite(person, *, roles, by):
    """This will enter `person` with `roles`, who can sign in by nothing but the link that is mailed to them."""
    _check(by)
    person.set_unusable_password()
    with _address_free():
        person.save(force_insert=True)
    _appoint(person, roles)
    _note(person, None, by)
    _mail(person, by)


@whole()
def invite_again(person, *, by):
    """This will mail another link to somebody who has chosen no password yet. Raises NotAllowed, Refused."""
    _check(by)
    person = locked(person)
    if person.has_usable_password() or not person.is_active or not person.email:
        raise Refused(_("%(name)s needs no invitation.") % {"name": person})
    _mail(person, by)


@whole()
def change(person, *, roles, by, **values):
    """
    This will give `person` other values and roles; what they have in hand stays theirs, wherever they move. Raises
    NotAllowed, and Refused where somebody would lock themselves out.
    """
    _check(by)
    it = locked(person)
    before, email = rights(it), it.email
    stays = it.is_superuser or any(role.key == "administrator" for role in roles)
    if it == by and not stays:
        raise Refused(_("You cannot take the role of administrator from yourself."), field="roles")
    for name, value in values.items():
        setattr(it, name, value)
    with _address_free():
        it.save(update_fields=list(values))
    _appoint(it, roles)
    _note(it, before, by)
    if it.email != email:
        _address(it, it.email)
        Audit.note("email_changed", by=by, user=it.username)


@whole()
def deactivate(person, *, by):
    """This will end the sessions of `person` and keep them from signing in. Raises NotAllowed, Refused."""
    _check(by)
    if person == by:
        raise Refused(_("You cannot deactivate yourself."))
    _set_active(person, False, by)


@whole()
def reactivate(person, *, by):
    """This will let `person` sign in again; what was handed over stays where it is. Raises NotAllowed."""
    _check(by)
    _set_active(person, True, by)


def _set_active(person, active, by):
    it = locked(person)
    if it.is_active == active:
        return
    before = rights(it)
    it.is_active = active
    it.save(update_fields=["is_active"])
    for session in UserSession.objects.filter(user=it):  # or they would go on, should the person come back
        session.end()
    _note(it, before, by)


@whole()
def reset_two_step(person, *, by):
    """
    This will let `person`, who has lost phone or passkey, sign in by password alone, and tell them. Raises NotAllowed,
    Refused.
    """
    _check(by)
    it = locked(person)
    if it == by:
        raise Refused(_("Your own two-step sign-in is turned off in your profile."))
    if not Authenticator.objects.filter(user=it).delete()[0]:
        raise Refused(_("%(name)s has no two-step sign-in.") % {"name": it})
    Audit.note("two_step_off", by=by, user=it.username)
    Delivery.queue([(it, "two_step_reset")], it, by=by)


def _appoint(person, roles):
    person.roles.set(roles)
    person.forget_roles()
    person.is_staff = person.is_any("administrator")
    person.save(update_fields=["is_staff"])


def _note(person, before, by):
    after = rights(person)
    if after != before:
        Audit.note("rights_changed", by=by, user=person.username, before=before, after=after)


def _mail(person, by):
    Delivery.queue([(person, "invited")], person, by=by, username=person.username)


@contextmanager
def _address_free():
    """This will raise Refused where what is saved in it has the address of another account, taken at this moment."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "user_email_once" not in str(error):
            raise
        raise Refused(_("Another account has this address."), field="email") from error


def _address(person, email):
    """This will make `email` the address of `person`; whatever was to be confirmed before is not any more."""
    person.email, person.email_wanted = email, ""
    person.save(update_fields=["email", "email_wanted"])
    EmailAddress.objects.filter(user=person).delete()  # or a link to a new password would go to the old address too


@whole()
def want_password(person):
    """This will mail `person` a link to another password. Nobody waits for the mail: that would tell who is known."""
    Delivery.write_to(person.email, person, "password_wanted", username=person.username)


class ResetPasswordForm(sign_in.ResetPasswordForm):
    """The address that a link is sent to, by the outbox, if somebody has it."""

    def save(self, request, **kwargs):
        for person in self.users:
            want_password(person)
        return self.cleaned_data["email"]


def was_invited():
    """This will give the condition that somebody was mailed an invitation."""
    return Exists(Delivery.objects.filter(to=OuterRef("pk"), kind="invited").order_by())


# ── One's own address ────────────────────────────────────────────────────────────────────────────────────────────────


@whole()
def want_email(person, email):
    """
    This will mail a link to `email`, by which `person` confirms that it is read by them. Until then all mails go where
    they went. No address at all needs no confirmation.
    """
    it = locked(person)
    if not email:
        before = it.email
        _address(it, "")
        Audit.note("email_changed", by=it)
        if before:
            Delivery.write_to(before, it, "email_removed")
        return
    it.email_wanted = email
    it.save(update_fields=["email_wanted"])
    Audit.note("email_wanted", by=it)
    Delivery.write_to(email, it, "email_wanted")


@whole()
def forget_wanted_email(person):
    """This will take back what `want_email` asked for; the link that was mailed is worth nothing then."""
    User.objects.filter(pk=person.pk).update(email_wanted="")


@whole()
def confirm_email(person, email):
    """
    This will send the mails of `person` to `email` from now on, and say so to the old address. Raises Refused where it
    was not asked for any more, or is somebody else's by now.
    """
    it = locked(person)
    if not email or it.email_wanted != email:
        raise Refused(_("This link is no longer good. Change the address in your profile again."))
    before = it.email
    with _address_free():
        _address(it, email)
    Audit.note("email_changed", by=it)
    if before:
        Delivery.write_to(before, it, "email_changed", now=email)


# ── Departments ──────────────────────────────────────────────────────────────────────────────────────────────────────


@whole()
def save_department(department, *, by):
    """
    This will enter a department, or change it: a new name, another place in the tree, with all below it, or its
    retirement. Raises NotAllowed, and Refused with the field that is wrong.
    """
    _check(by)
    list(Department.objects.select_for_update().order_by("pk").values_list("pk"))  # two moves at once make no circle
    before = _told(Department.objects.filter(pk=department.pk).first()) if department.pk else None
    if not department.active:
        _check_retirement(department)
    try:
        department.full_clean(exclude=["province", "city", "group", "path"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Refused(messages[0], field=field) from error
    department.save()
    after = _told(department)
    if after != before:
        Audit.note("department_changed", by=by, department=department.key, before=before, after=after)


def _check_retirement(department):
    if department.pk and department.children.filter(active=True).exists():
        raise Refused(_("Departments below it are in use. Retire or move them first."), field="active")
    if department.pk and User.objects.filter(department=department, is_active=True).exists():
        raise Refused(_("People work there. Give them another department first."), field="active")


def _told(department):
    return {
        "names": department.names,
        "parent": department.parent and department.parent.key,
        "level": department.level,
        "active": department.active,
    }
