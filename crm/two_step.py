"""
The second step of signing in: a code from an app on the phone, a recovery code, or a passkey, which does without the
password. allauth keeps and checks them; here is what Pursuit decides differently, what is noted of it, and who must.
"""

import base64
import logging
import secrets
import unicodedata
from contextlib import contextmanager

from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base import forms as code_forms
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import SECRET_SESSION_KEY, generate_totp_secret
from allauth.mfa.utils import decrypt, encrypt
from allauth.mfa.webauthn import forms as passkey_forms
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.shortcuts import redirect
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from fido2.webauthn import AuthenticationResponse, RegistrationResponse

from crm import sign_in
from crm.models import Audit

logger = logging.getLogger(__name__)

LONGEST_CREDENTIAL = 20_000  # letters: some ten times what a browser says of a passkey
LONGEST_NAME = 80


class Adapter(DefaultMFAAdapter):
    """What Pursuit decides differently from allauth."""

    error_messages = DefaultMFAAdapter.error_messages | {
        "incorrect_code": _("This code does not fit, or was used already. Write the one that the app shows now."),
        "cannot_generate_recovery_codes": _("Recovery codes go with an app or a passkey. Set one of these up first."),
    }

    def get_totp_label(self, user):
        return user.username

    def get_public_key_credential_user_entity(self, user):
        return super().get_public_key_credential_user_entity(user) | {"name": user.username}

    def generate_authenticator_name(self, user, type):  # noqa: A002  allauth names it so
        return gettext("Passkey")

    def encrypt(self, text):
        return _ciphers().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text):
        """This will give the secret back; in place of one that no key of ours opens, one that no code fits."""
        try:
            return _ciphers().decrypt(encrypted_text).decode()
        except InvalidToken:
            logger.error("A secret of two-step sign-in is locked by a key that is not in SECRET_KEY_FALLBACKS.")
            return base64.b32encode(secrets.token_bytes(20)).decode()


def _ciphers(keys=()):
    keys = keys or (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    made = (salted_hmac("crm.two_step", "", secret=key, algorithm="sha256").digest() for key in keys)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in made])


def is_on(user):
    """This will tell whether signing in takes a second step; recovery codes alone are none."""
    return Authenticator.objects.filter(user=user, type__in=["totp", "webauthn"]).exists()


def relock():
    """This will lock every secret with the present SECRET_KEY; gives how many a former one had locked."""
    ciphers, done = _ciphers(), 0
    present = _ciphers([settings.SECRET_KEY])
    for pk in Authenticator.objects.exclude(type="webauthn").values_list("pk", flat=True):
        with transaction.atomic():
            row = Authenticator.objects.select_for_update().get(pk=pk)  # a code may be used just now
            [name] = row.data.keys() & {"secret", "seed"}
            try:
                present.decrypt(row.data[name])
            except InvalidToken:
                row.data[name] = ciphers.rotate(row.data[name]).decode()
                row.save(update_fields=["data"])
                done += 1
    return done


def held_by(user):
    """
    This will give what somebody can sign in with beside the password, as {"app", "passkeys", "codes_left"}: the app's
    row or None, rows with a name, and how many recovery codes are not used.
    """
    rows = {kind: [] for kind in Authenticator.Type}
    for row in Authenticator.objects.filter(user=user).order_by("created_at", "pk"):
        rows[row.type].append(row)
    codes = [row.data["used_mask"] for row in rows["recovery_codes"]]
    left = settings.MFA_RECOVERY_CODE_COUNT - codes[0].bit_count() if codes else 0
    return {"app": next(iter(rows["totp"]), None), "passkeys": rows["webauthn"], "codes_left": left}


# ── Who must ─────────────────────────────────────────────────────────────────────────────────────────────────────────

# Where somebody who must set it up may go: there, and out.
OPEN = {
    "mfa_index",
    "mfa_activate_totp",
    "mfa_add_webauthn",
    "account_reauthenticate",
    "account_logout",
    "set_language",
    "logo",
}


def is_required_of(user):
    """This will tell whether `user` may do nothing without a second step."""
    rule = settings.REQUIRE_TWO_STEP
    return rule == "all" or (rule == "administrators" and user.is_any("administrator"))


def required(get_response):
    """This will lead whoever must set up a second step to do so, whatever they ask for, and do nothing else of it."""

    def answer(request):
        user = request.user
        request.lacks_step = user.is_authenticated and is_required_of(user) and not user.two_step
        return get_response(request)

    def check(request, _view, _args, _kwargs):
        return redirect("mfa_index") if request.lacks_step and request.resolver_match.view_name not in OPEN else None

    answer.process_view = check
    return answer


# ── What the forms take ──────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _counted(kind, user):
    """This will note under `kind` that a second step failed; where there were too many, it says how long to wait."""
    try:
        yield
    except ValidationError as error:
        request = context.request
        if error.code == "too_many_login_attempts":
            seconds = sign_in.wait(request, "login_failed", f"mfa-auth-user-{user.pk}")
            params = {"wait": sign_in.minutes(seconds)}
            raise ValidationError(_("Too many tries. Wait %(wait)s."), code=error.code, params=params) from error
        Audit.note(kind, by=user, address=sign_in.address_of(request))
        raise


def _shown_as_code(field):
    field.widget.attrs |= {"inputmode": "numeric", "autofocus": True, "spellcheck": "false"}
    field.widget.attrs.pop("placeholder", None)


class _WithCode:
    """A code of the app, or one of the recovery codes."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        sign_in.labelled(self, code=_("Sign-in code"))
        _shown_as_code(self.fields["code"])

    def clean_code(self):
        self.cleaned_data["code"] = unicodedata.normalize("NFKC", self.cleaned_data["code"])  # １２３ is 123
        with _counted("two_step_failed", self.user):
            return super().clean_code()


class CodeForm(_WithCode, code_forms.AuthenticateForm):
    """The second step of signing in."""


class CodeAgainForm(_WithCode, code_forms.ReauthenticateForm):
    """A code before something that only the owner of the account may do."""


class AppForm(ActivateTOTPForm):
    """The first code of an app. Its secret waits in the session, locked as it will be in its row."""

    def __init__(self, *args, user, **kwargs):
        self.user = user
        forms.Form.__init__(self, *args, **kwargs)  # not allauth's, which keeps the secret as it is
        session = context.request.session
        kept = session.get(SECRET_SESSION_KEY) if self.is_bound else None
        self.secret = decrypt(kept) if kept else generate_totp_secret()
        session[SECRET_SESSION_KEY] = encrypt(self.secret)
        sign_in.labelled(self, code=_("Sign-in code"))
        _shown_as_code(self.fields["code"])

    def clean_code(self):
        self.cleaned_data["code"] = unicodedata.normalize("NFKC", self.cleaned_data["code"])
        return super().clean_code()

    @property
    def secret_in_fours(self):
        """This will give the secret as it is typed most easily."""
        return " ".join(self.secret[start : start + 4] for start in range(0, len(self.secret), 4))


class CredentialField(forms.JSONField):
    """What a browser says of a passkey. What cannot be read as such is refused in the same words, whatever it is."""

    def __init__(self, response):
        self.response = response  # a class of fido2's, which reads it
        super().__init__(error_messages={"required": NOT_ACCEPTED})

    def to_python(self, value):
        if value in self.empty_values:
            return None
        try:
            if len(value) > LONGEST_CREDENTIAL:
                raise ValueError
            found = super().to_python(value)
            read = self.response.from_dict(found).response
            if self.response is RegistrationResponse and read.attestation_object.auth_data.credential_data is None:
                raise ValueError
        except Exception as error:  # anybody may send anything, and it fails in the depths of a library
            raise ValidationError(NOT_ACCEPTED, code="incorrect_code") from error
        return found


NOT_ACCEPTED = _("This passkey was not accepted. Try again, or take another way.")


class _WithPasskey:
    """A passkey that somebody has."""

    noted = "two_step_failed"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["credential"] = CredentialField(AuthenticationResponse)

    def clean_credential(self):
        with _counted(self.noted, self.user), _in_words_of_passkeys():
            return super().clean_credential()


@contextmanager
def _in_words_of_passkeys():
    """This will say of a passkey what allauth says of codes."""
    try:
        yield
    except ValidationError as error:
        if error.code != "incorrect_code":
            raise
        raise ValidationError(NOT_ACCEPTED, code=error.code) from error


class PasskeyForm(_WithPasskey, passkey_forms.AuthenticateWebAuthnForm):
    """The second step of signing in."""


class PasskeyAgainForm(_WithPasskey, passkey_forms.ReauthenticateWebAuthnForm):
    """A passkey before something that only the owner of the account may do."""


class PasskeyAloneForm(_WithPasskey, passkey_forms.LoginWebAuthnForm):
    """A passkey in place of user name and password."""

    noted = "sign_in_failed"


class NewPasskeyForm(passkey_forms.AddWebAuthnForm):
    """A new passkey and what its owner calls it. Each of ours signs in without a password, so nobody is asked that."""

    passwordless = None
    name = forms.CharField(label=_("Name of the passkey"), max_length=LONGEST_NAME, required=False)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["credential"] = CredentialField(RegistrationResponse)

    def clean(self):
        with _in_words_of_passkeys():
            return super().clean()


class RenamePasskeyForm(passkey_forms.EditWebAuthnForm):
    """Another name for a passkey."""

    name = forms.CharField(label=_("Name of the passkey"), max_length=LONGEST_NAME)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["name"].error_messages["required"] = _("Fill this in.")
