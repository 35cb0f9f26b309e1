"""
The pages of the second step: what one signs in with, how it is set up and taken away. They are allauth's; what somebody
changes is noted, and told to them by mail, since it may not have been them.
"""

from allauth.account import views as account
from allauth.account.internal.stagekit import clear_login, get_pending_stage
from allauth.account.utils import get_next_redirect_url
from allauth.mfa.base import views as base
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as app
from allauth.mfa.totp.internal.auth import TOTP
from allauth.mfa.webauthn import views as passkeys
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.shortcuts import redirect, render
from django.urls import path, reverse_lazy
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_safe
from django.views.generic import FormView

from crm import sign_in, two_step
from crm.models import Audit, User
from crm.profile import browser
from notices.models import Delivery

index = reverse_lazy("mfa_index")


def _tell(request, kind):
    """This will note what somebody changed, and tell them by mail."""
    person = request.user
    Audit.note(kind, by=person, address=sign_in.address_of(request))
    if person.email:
        Delivery.write_to(person.email, person, kind)


@require_safe
def two_step_page(request):
    """This will show what one signs in with beside the password."""
    required = two_step.is_required_of(request.user)
    return render(request, "account/two_step.html", two_step.held_by(request.user) | {"required": required})


@method_decorator(login_not_required, name="dispatch")
class Code(base.AuthenticateView):
    """The second step of signing in."""

    template_name = "account/code.html"

    def dispatch(self, request, *args, **more):
        pending = get_pending_stage(request)
        if pending and not two_step.is_on(pending.login.user):  # an administrator has just turned it off
            clear_login(request)
        return super().dispatch(request, *args, **more)

    def get_context_data(self, **more):
        return super().get_context_data(**more) | two_step.held_by(self.stage.login.user)


class AppOn(app.ActivateTOTPView):
    """The picture that the app reads, and the first code that it shows."""

    template_name = "account/app_on.html"

    @transaction.atomic
    def form_valid(self, form):
        User.objects.select_for_update().get(pk=self.request.user.pk)
        if Authenticator.objects.filter(user=self.request.user, type="totp").exists():  # it was sent twice
            return redirect(index)
        answer = super().form_valid(form)
        held = Authenticator.objects.get(user=self.request.user, type="totp")
        TOTP(held).validate_code(form.cleaned_data["code"])  # so that it is used, and signs nobody in
        _tell(self.request, "two_step_on")
        return answer


class AppOff(app.DeactivateTOTPView):
    """The app is not asked any more."""

    template_name = "account/app_off.html"

    @transaction.atomic
    def form_valid(self, form):
        answer = super().form_valid(form)
        _tell(self.request, "two_step_off")
        return answer

    def get_context_data(self, **more):
        held = two_step.held_by(self.request.user)
        return super().get_context_data(**more, **held, required=two_step.is_required_of(self.request.user))


class CodesNew(codes.GenerateRecoveryCodesView):
    """New recovery codes, after which the old ones are worth nothing."""

    template_name = "account/codes_new.html"

    @transaction.atomic
    def form_valid(self, form):
        answer = super().form_valid(form)
        _tell(self.request, "recovery_codes_made")
        return answer

    def get_context_data(self, **more):
        return FormView.get_context_data(self, **more)  # without the count of those left, which reads each


class PasskeyAdd(passkeys.AddWebAuthnView):
    """A passkey of the device at hand, or of another, with a name."""

    template_name = "account/passkey_add.html"

    def get_initial(self):
        named = browser(self.request.headers.get("User-Agent", ""))
        return {"name": named} if named else {}

    @transaction.atomic
    def form_valid(self, form):
        answer = super().form_valid(form)
        _tell(self.request, "passkey_added")
        return answer

    def get_context_data(self, **more):
        return super().get_context_data(**more) | more  # or what was wrong would be asked of the browser again


class PasskeyRemove(passkeys.RemoveWebAuthnView):
    """A passkey is not taken any more."""

    template_name = "account/passkey_remove.html"
    success_url = index

    @transaction.atomic
    def form_valid(self, form):
        answer = super().form_valid(form)
        _tell(self.request, "passkey_removed")
        return answer

    def get_context_data(self, **more):
        held = two_step.held_by(self.request.user)
        return super().get_context_data(**more, **held, required=two_step.is_required_of(self.request.user))


class PasskeyAlone(passkeys.LoginWebAuthnView):
    """Signing in by a passkey, without user name and password."""

    def form_invalid(self, form):
        onward = {"redirect_field_name": "next", "redirect_field_value": get_next_redirect_url(self.request)}
        return render(self.request, "account/login.html", {"form": sign_in.LoginForm(), "passkey": form} | onward)


class PasskeyAgain(passkeys.ReauthenticateWebAuthnView):
    """A passkey before something that only the owner of the account may do."""

    template_name = "account/again_by_passkey.html"

    def form_invalid(self, form):
        return self.render_to_response(self.get_context_data(form=form))

    def get_context_data(self, **more):
        return super().get_context_data(**more) | more


urlpatterns = [
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("two-step/", two_step_page, name="mfa_index"),
    path("two-step/sign-in/", Code.as_view(), name="mfa_authenticate"),
    path(
        "two-step/reauthenticate/",
        base.ReauthenticateView.as_view(template_name="account/again_by_code.html"),
        name="mfa_reauthenticate",
    ),
    path("two-step/app/on/", AppOn.as_view(), name="mfa_activate_totp"),
    path("two-step/app/off/", AppOff.as_view(), name="mfa_deactivate_totp"),
    path(
        "two-step/codes/",
        codes.ViewRecoveryCodesView.as_view(template_name="account/codes.html"),
        name="mfa_view_recovery_codes",
    ),
    path("two-step/codes/new/", CodesNew.as_view(), name="mfa_generate_recovery_codes"),
    path("passkeys/add/", PasskeyAdd.as_view(), name="mfa_add_webauthn"),
    path(
        "passkeys/<int:pk>/",
        passkeys.EditWebAuthnView.as_view(template_name="account/passkey_rename.html", success_url=index),
        name="mfa_edit_webauthn",
    ),
    path("passkeys/<int:pk>/remove/", PasskeyRemove.as_view(), name="mfa_remove_webauthn"),
    path("passkeys/sign-in/", PasskeyAlone.as_view(), name="mfa_login_webauthn"),
    path("passkeys/reauthenticate/", PasskeyAgain.as_view(), name="mfa_reauthenticate_webauthn"),
]
