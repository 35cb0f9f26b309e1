"""How people come in and go out: by user name, never by signing up, with guesses counted and all of it noted."""

import time
import unicodedata
from datetime import timedelta
from math import ceil

from allauth.account import app_settings
from allauth.account import forms as allauth_forms
from allauth.account.adapter import DefaultAccountAdapter, get_adapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.utils import user_pk_to_url_str
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal import ratelimit
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.password_validation import MinimumLengthValidator
from django.contrib.auth.views import redirect_to_login
from django.core import signing
from django.core.cache import cache
from django.core.exceptions import PermissionDenied, ValidationError
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from crm.models import Audit, User

ALLAUTH = "allauth.account"
EMAIL_LINK = timedelta(days=1)


class LongEnough(MinimumLengthValidator):
    """Django's own, whose sentence is not in its catalogues."""

    def get_error_message(self):
        said = ngettext(
            "This password is too short. Write at least %(count)d character.",
            "This password is too short. Write at least %(count)d characters.",
            self.min_length,
        )
        return said % {"count": self.min_length}


class Adapter(DefaultAccountAdapter):
    """What Pursuit decides differently from allauth."""

    error_messages = DefaultAccountAdapter.error_messages | {
        "username_password_mismatch": _(
            "User name and password do not match. Look at the capital letters, or have a link sent by e-mail."
        ),
        "enter_current_password": _("This is not your current password. Write it again."),
        "incorrect_password": _("This is not your password. Write it again."),
        "rate_limited": _("Too many tries. Wait a few minutes, then write the code that the app shows then."),
    }

    def is_open_for_signup(self, request):
        return False

    def is_safe_url(self, url):
        try:
            return super().is_safe_url(url)
        except ValueError:  # no address at all, such as //[::1
            return False

    def login(self, request, user):
        if not user.is_active:  # between the password and the second step
            raise ImmediateHttpResponse(self.respond_user_inactive(request, user))
        user.previous_sign_in_at = user.last_login
        user.save(update_fields=["previous_sign_in_at"])
        steps = [one.get("type", one["method"]) for one in get_authentication_records(request, user)]
        super().login(request, user)
        Audit.note("sign_in", by=user, address=self.get_client_ip(request), steps=list(dict.fromkeys(steps)))

    def logout(self, request):
        Audit.note("sign_out", by=request.user, address=self.get_client_ip(request))
        super().logout(request)

    def authentication_failed(self, request, **credentials):
        # Who it was meant to be, where there is such a person. What was typed is not kept: it may be a password.
        user = User.objects.filter(username=credentials.get("username", "")).first()
        Audit.note("sign_in_failed", by=user, address=self.get_client_ip(request))

    def pre_authenticate(self, request, **credentials):
        try:
            super().pre_authenticate(request, **credentials)
        except ValidationError as error:
            request.refused = 429  # although a form says so: see crm.auditing
            seconds = wait(request, "login_failed", self._get_login_attempts_cache_key(request, **credentials))
            message = _("Too many tries. Wait %(wait)s, or have a link sent by e-mail.")
            raise ValidationError(message, code=error.code, params={"wait": minutes(seconds)}) from error

    def set_password(self, user, password):
        user.set_password(password)
        user.save(update_fields=["password"])
        Audit.note("password_changed", by=user, address=self.get_client_ip(self.request))

    def get_password_change_redirect_url(self, request):
        return reverse("profile")

    def _get_login_attempts_cache_key(self, request, **credentials):
        # allauth counts per host name too, so whoever may choose a Host header could begin anew with each. Accents,
        # case and wide letters count as one name, whatever the database takes for equal.
        name = unicodedata.normalize("NFKD", credentials.get("username", ""))
        return "".join(letter for letter in name if not unicodedata.combining(letter)).casefold().strip()


# ── What the forms say ───────────────────────────────────────────────────────────────────────────────────────────────


def labelled(form, **labels):
    """This will put our words on allauth's fields. These forms need all their fields, so no label has a star."""
    for name, label in labels.items():
        field = form.fields[name]
        field.label, field.starred, field.help_text = label, False, ""
        field.widget.attrs.pop("placeholder", None)


class LoginForm(allauth_forms.LoginForm):
    """User name and password."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        labelled(self, login=_("User name"), password=_("Password"))
        self.fields["login"].widget.attrs |= {"autofocus": True, "autocapitalize": "none", "spellcheck": "false"}


class ReauthenticateForm(allauth_forms.ReauthenticateForm):
    """The password, before something that only the owner of the account may do."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        labelled(self, password=_("Password"))
        self.fields["password"].widget.attrs["autofocus"] = True


class ChangePasswordForm(allauth_forms.ChangePasswordForm):
    """The current password, and the new one twice."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        labelled(
            self, oldpassword=_("Current password"), password1=_("New password"), password2=_("New password again")
        )
        _explained(self)


class ResetPasswordForm(allauth_forms.ResetPasswordForm):
    """The address that a link is sent to."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        labelled(self, email=_("E-mail"))


class ResetPasswordKeyForm(allauth_forms.ResetPasswordKeyForm):
    """The new password twice."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        labelled(self, password1=_("New password"), password2=_("New password again"))
        _explained(self)


def _explained(form):
    form.fields["password1"].help_text = _("At least 10 characters, and not a common password.")


def address_of(request):
    """This will give the address that a request came from, as the audit keeps it."""
    return get_adapter().get_client_ip(request)


def way_in(user):
    """This will give the address where `user` chooses a password, good for as long as such links are."""
    key = {"uidb36": user_pk_to_url_str(user), "key": allauth_forms.default_token_generator.make_token(user)}
    return reverse("account_reset_password_from_key", kwargs=key)


def email_link(user, email):
    """This will give the address where `user` confirms that `email` is theirs, good for EMAIL_LINK."""
    return reverse("email_confirm", args=[signing.dumps([user.pk, email], salt="email")])


def email_confirmed_by(token, user):
    """This will give the address that `token` confirms for `user`; None for a token that is old or not theirs."""
    try:
        pk, email = signing.loads(token, salt="email", max_age=EMAIL_LINK)
    except signing.BadSignature:
        return None
    return email if pk == user.pk else None


# ── Too many tries ───────────────────────────────────────────────────────────────────────────────────────────────────


def wait(request, action, key=None):
    """This will give the seconds until `action` is taken again from this address, person and `key`; 0 for at once."""
    seconds = 0
    for rate in ratelimit.get_rates(app=ALLAUTH, action=action):
        known = {"ip": True, "key": key, "user": request.user.is_authenticated}[rate.per]
        if known:
            tries = cache.get(ratelimit.get_cache_key(request, app=ALLAUTH, action=action, rate=rate, key=key), [])
            if len(tries) >= rate.amount:
                seconds = max(seconds, tries[rate.amount - 1] + rate.duration - time.time())
    return seconds


def take(request, action, key=None):
    """This will count one try of `action`, and give the seconds to wait where it is one too many; 0 where it is not."""
    if ratelimit.consume(request, app=ALLAUTH, action=action, key=key):
        return 0
    return max(1, wait(request, action, key))


def minutes(seconds):
    """This will write how long to wait, in whole minutes, at least one."""
    count = max(1, ceil(seconds / 60))
    return ngettext("%(count)d minute", "%(count)d minutes", count) % {"count": count}


def too_many(request):
    """This will answer 429 and say how long to wait; allauth calls it where one address or person tries too often."""
    key = request.POST.get("email", "").lower()
    seconds = max(wait(request, action, key) for action in app_settings.RATE_LIMITS)
    response = render(request, "429.html", {"wait": minutes(seconds)}, status=429)
    response.headers["Retry-After"] = str(max(60, ceil(seconds)))
    return response


@login_not_required
def to_sign_in(request):
    """This will lead the admin's own sign-in page to ours; whoever is signed in already may not see the admin."""
    if request.user.is_authenticated:
        raise PermissionDenied
    return redirect_to_login(request.GET.get("next") or "/admin/")
