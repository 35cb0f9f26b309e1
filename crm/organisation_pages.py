"""The page for administrators that holds what is true for the whole organisation, and its logo for everybody."""

from hashlib import sha256

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import path
from django.utils.translation import get_language_info, gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from crm.fields import TimeZoneField
from crm.forms import RecordForm, posted
from crm.organisation import Organisation
from crm.permissions import require
from crm.pictures import drawn_anew

LARGEST_LOGO = (512, 128)  # pixels: four times what the frame shows


def spoken():
    """This will list all languages that Pursuit speaks, each by its own name."""
    return [(code, get_language_info(code)["name_local"]) for code, _name in settings.LANGUAGES]


class OrganisationForm(RecordForm):
    """The settings. What is left empty is as the environment says."""

    time_zone = TimeZoneField(label=_("Time zone"), required=False, max_length=60)
    languages = forms.MultipleChoiceField(
        label=_("Languages offered"), choices=spoken, widget=forms.CheckboxSelectMultiple
    )
    default_language = forms.ChoiceField(label=_("Default language"), choices=spoken)
    logo = forms.FileField(
        label=_("Logo"),
        required=False,
        help_text=_("PNG, JPEG or WebP, 1 MB at most. It stands in the frame and on the sign-in page."),
        widget=forms.FileInput({"accept": "image/png,image/jpeg,image/webp"}),
    )
    no_logo = forms.BooleanField(label=_("Take the logo away"), required=False)

    class Meta:
        model = Organisation
        fields = [
            "name", "base_currency", "fiscal_month", "time_zone", "languages", "default_language", "support_contact",
            "tell_earlier_reports",
        ]  # fmt: skip
        labels = {
            "name": pgettext_lazy("of an organisation", "Name"),
            "base_currency": _("Base currency"),
            "fiscal_month": _("Fiscal year begins in"),
            "support_contact": _("Whom to ask for help"),
        }
        help_texts = {
            "support_contact": _("On the help pages: an address, a number, a sentence."),
        }

    def __init__(self, *args, instance, **kwargs):
        super().__init__(*args, instance=instance, **kwargs)
        self.initial["languages"] = [code for code, _name in instance.offered]
        self.initial["default_language"] = instance.language
        self.fields["languages"].show_hidden_initial = False  # a box that was not ticked sends nothing to compare
        if not instance.logo_digest:
            del self.fields["no_logo"]
        empty = _("Empty means %(value)s.")
        self.fields["base_currency"].help_text = (
            _("Fixed at %(currency)s: there are amounts in it.") % {"currency": instance.currency}
            if Organisation.holds_amounts()
            else empty % {"value": settings.BASE_CURRENCY}
        )
        past = _("Empty means %(value)s. Another one counts from now on; past months stay as they were counted.")
        self.fields["time_zone"].help_text = past % {"value": settings.ORGANISATION_TIME_ZONE}

    def clean_base_currency(self):
        return self.cleaned_data["base_currency"].upper()

    def clean_logo(self):
        sent = self.cleaned_data["logo"]
        return drawn_anew(sent, within=LARGEST_LOGO) if sent else None

    def clean(self):
        cleaned = super().clean()
        if cleaned.get("languages") and cleaned.get("default_language") not in cleaned["languages"]:
            self.add_error("default_language", ValidationError(_("Choose one of the languages that are offered.")))
        return cleaned

    def save_(self):
        """This will change the settings; gives whether it was done."""
        logo = self.cleaned_data["logo"]
        if logo:
            return self.change(logo=logo, logo_digest=sha256(logo).hexdigest()[:16])
        return self.change(**({"logo": b"", "logo_digest": ""} if self.cleaned_data.get("no_logo") else {}))


@require_http_methods(["GET", "HEAD", "POST"])
def organisation(request):
    require(request.user, "administer")
    form = OrganisationForm(posted(request), request.FILES or None, instance=Organisation.read(), user=request.user)
    if form.is_valid() and form.save_():
        messages.success(request, gettext("Saved."))
        return redirect("organisation")
    return render(request, "crm/organisation.html", {"form": form}, status=form.status)


@login_not_required
@require_safe
def logo(request, digest):
    """This will send the logo to anybody: it stands on the sign-in page. Another logo has another address."""
    it = get_object_or_404(Organisation.objects.exclude(logo_digest=""), logo_digest=digest)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return HttpResponse(bytes(it.logo), content_type="image/png", headers=headers)


urlpatterns = [
    path("organisation/", organisation, name="organisation"),
    path("organisation/logo/<slug:digest>/", logo, name="logo"),
]
