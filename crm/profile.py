"""One's own profile: name, job title, phone, e-mail, language, time zone, appearance."""

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.forms import ChoiceField, ValidationError
from django.http import HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language_info, gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from django.views.i18n import set_language as set_language_cookie

from crm.fields import TimeZoneField
from crm.forms import ModelForm
from crm.models import Audit, User
from crm.organisation import Organisation


def languages():
    """This will list the interface languages, each by its own name, after the browser's choice."""
    return [
        ("", _("As the browser")),
        *((code, get_language_info(code)["name_local"]) for code, _name in Organisation.current().offered),
    ]


class ProfileForm(ModelForm):
    """What people may change about themselves; department and roles are the administrator's."""

    language = ChoiceField(label=_("Language"), choices=languages, required=False)
    time_zone = TimeZoneField(label=_("Time zone"), required=False, max_length=60)

    class Meta:
        model = User
        fields = ["name", "title", "phone", "email", "language", "time_zone", "theme"]
        labels = {"name": pgettext_lazy("of a person", "Name"), "title": _("Job title"), "email": _("E-mail")}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["time_zone"].help_text = _("Empty means the organisation’s: %(zone)s.") % {
            "zone": Organisation.current().zone.key
        }

    def clean_email(self):
        email = self.cleaned_data["email"]
        if email and User.objects.filter(email__iexact=email).exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("Another account has this address."))
        return email


def profile(request):
    person = User.objects.select_related("department").get(
        pk=request.user.pk
    )  # not request.user: a form writes on its instance
    form = ProfileForm(request.POST or None, instance=person, user=request.user)
    if request.method == "POST" and form.is_valid():
        person.save(update_fields=list(form.fields))
        if "email" in form.changed_data:
            EmailAddress.objects.filter(
                user=person
            ).delete()  # or a link to a new password would go to the old address too
            Audit.note("email_changed", by=person, address=get_adapter().get_client_ip(request))
        with translation.override(person.language or translation.get_language_from_request(request)):
            messages.success(request, gettext("Profile saved."))
        return redirect("profile")
    return render(request, "crm/profile.html", {"form": form, "person": person})


@login_not_required
@require_POST
def set_language(request):
    """This will switch the language, in the browser and, after sign-in, in the profile; then go back."""
    language = request.POST.get("language")
    if request.user.is_authenticated and language in dict(Organisation.current().offered):
        User.objects.filter(pk=request.user.pk).update(language=language)
    return set_language_cookie(request)


@require_POST
def set_theme(request):
    """This will switch the appearance, then go back."""
    theme = request.POST.get("theme")
    if theme in User.Theme.values:
        User.objects.filter(pk=request.user.pk).update(theme=theme)
    back = request.POST.get("next", "/")
    return HttpResponseRedirect(back if url_has_allowed_host_and_scheme(back, None) else "/")
