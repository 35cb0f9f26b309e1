"""One's own profile: who one is, how Pursuit looks and speaks, and where one is signed in."""

from hashlib import sha256

from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.forms import ChoiceField, ValidationError
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language_info, gettext, ngettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.i18n import set_language as set_language_cookie

from crm import people, sign_in, two_step
from crm.fields import TimeZoneField
from crm.forms import Form, ModelForm, posted
from crm.models import Audit, Photo, User
from crm.organisation import Organisation
from crm.pictures import drawn_anew
from crm.verbs import Refused, whole

LARGEST_PHOTO = (192, 192)  # pixels: twice what the profile shows

# What a browser calls itself, the first that fits; Edge names Chrome too, and Chrome Safari.
BROWSERS = [("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari")]
SYSTEMS = ["Android", "iPhone", "iPad", "Windows", ("Mac OS X", "macOS"), "Linux"]


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
    new_photo = forms.FileField(
        label=_("Photo"),
        required=False,
        help_text=_("PNG, JPEG or WebP, 1 MB at most. Everybody here sees it."),
        widget=forms.FileInput({"accept": "image/png,image/jpeg,image/webp"}),
    )
    no_photo = forms.BooleanField(label=_("Take the photo away"), required=False)

    class Meta:
        model = User
        fields = ["name", "title", "phone", "email", "language", "time_zone", "theme"]
        labels = {"name": pgettext_lazy("of a person", "Name"), "title": _("Job title"), "email": _("E-mail")}

    def __init__(self, *args, request, **kwargs):
        super().__init__(*args, **kwargs)
        self.request = request
        self.fields["time_zone"].help_text = _("Empty means the organisation’s: %(zone)s.") % {
            "zone": Organisation.current().zone.key
        }
        # What was shown is sent along: who does not touch it keeps what an administrator put there meanwhile.
        self.fields["email"].show_hidden_initial = True
        self.fields["email"].help_text = _(
            "Another one counts once you have confirmed it by a link that is sent there."
        )
        if not self.instance.photo_digest:
            del self.fields["no_photo"]

    def clean_email(self):
        email = self.cleaned_data["email"]
        if email and User.objects.filter(email__iexact=email).exclude(pk=self.instance.pk).exists():
            raise ValidationError(_("Another account has this address."))
        return email

    def clean_new_photo(self):
        sent = self.cleaned_data["new_photo"]
        return drawn_anew(sent, within=LARGEST_PHOTO) if sent else None

    def clean(self):
        """This will count a new address at last, when nothing else is wrong: each one is a mail to somebody."""
        cleaned = super().clean()
        if not self.errors and self.wants_another_address and (seconds := sign_in.take(self.request, "email_wanted")):
            told = _("Too many addresses. Wait %(wait)s.") % {"wait": sign_in.minutes(seconds)}
            self.add_error("email", told)
        return cleaned

    @property
    def wants_another_address(self):
        return "email" in self.changed_data and self.cleaned_data.get("email") not in ("", self.initial["email"])

    @whole()
    def save_(self):
        """This will change the profile; a new address is asked to confirm itself first."""
        person = self.instance
        changed = ["name", "title", "phone", "language", "time_zone", "theme"]
        email, person.email = self.cleaned_data["email"], self.initial["email"]
        if photo := self.cleaned_data["new_photo"]:
            Photo.objects.update_or_create(user=person, defaults={"png": photo})
            person.photo_digest = sha256(photo).hexdigest()[:16]
            changed.append("photo_digest")
        elif self.cleaned_data.get("no_photo"):
            Photo.objects.filter(user=person).delete()
            person.photo_digest = ""
            changed.append("photo_digest")
        person.save(update_fields=changed)
        if "email" in self.changed_data and email != self.initial["email"]:
            people.want_email(person, email)


def profile(request):
    person = User.objects.select_related("department").get(
        pk=request.user.pk
    )  # not request.user: a form writes on its instance
    form = ProfileForm(posted(request), request.FILES or None, instance=person, user=request.user, request=request)
    if form.is_valid():
        form.save_()
        with translation.override(person.language or translation.get_language_from_request(request)):
            messages.success(request, gettext("Profile saved."))
        return redirect("profile")
    shown = User.objects.select_related("department").get(pk=request.user.pk)
    context = {"form": form, "person": shown, "sessions": sessions_of(request), "step": two_step.held_by(shown)}
    return render(request, "crm/profile.html", context)


@require_safe
def photo(request, pk, digest):
    """This will send somebody's photo; another photo has another address."""
    it = get_object_or_404(Photo, pk=pk, user__photo_digest=digest)
    headers = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return HttpResponse(bytes(it.png), content_type="image/png", headers=headers)


# ── The e-mail address ───────────────────────────────────────────────────────────────────────────────────────────────


@require_http_methods(["GET", "HEAD", "POST"])
def email_confirm(request, token):
    """This will ask whether the address that a mail was sent to is one's own, and from then on use it."""
    person = User.objects.get(pk=request.user.pk)
    email = sign_in.email_confirmed_by(token, person)
    if email != person.email_wanted:
        email = None
    form = Form(posted(request), user=request.user)
    if form.is_valid():
        try:
            people.confirm_email(person, email)
        except Refused as error:
            form.refuse(error)
        else:
            messages.success(request, gettext("Mails go to %(address)s from now on.") % {"address": email})
            return redirect("profile")
    return render(request, "crm/email_confirm.html", {"form": form, "email": email}, status=form.status)


@require_POST
def email_forget(request):
    """This will keep the address that one has, whatever waits to be confirmed."""
    people.forget_wanted_email(request.user)
    messages.success(request, gettext("The address stays as it is."))
    return redirect("profile")


# ── Where one is signed in ───────────────────────────────────────────────────────────────────────────────────────────


def sessions_of(request):
    """This will list where one is signed in now, this browser first, then the latest: {session, browser, here}."""
    held = UserSession.objects.purge_and_list(request.user)
    rows = [
        {"session": one, "browser": browser(one.user_agent), "here": one.session_key == request.session.session_key}
        for one in held
    ]
    return sorted(rows, key=lambda row: (not row["here"], -row["session"].created_at.timestamp()))


def browser(user_agent):
    """This will name what a user agent says of itself: Firefox, Windows; "" where it says nothing that we know."""
    systems = [(one, one) if isinstance(one, str) else one for one in SYSTEMS]
    named = [next((name for sign, name in known if sign in user_agent), "") for known in (BROWSERS, systems)]
    return ", ".join(filter(None, named))


@require_POST
def sessions_end(request):
    """This will sign one out in one other browser, or in all others."""
    others = [one["session"] for one in sessions_of(request) if not one["here"]]
    wanted = request.POST.get("session")
    ended = [one for one in others if wanted in ("others", str(one.pk))]
    for one in ended:
        one.end()
    if ended:
        Audit.note("sessions_ended", by=request.user, address=sign_in.address_of(request), count=len(ended))
    told = ngettext("Signed out in one other browser.", "Signed out in %(count)d other browsers.", len(ended))
    messages.success(request, told % {"count": len(ended)})
    return redirect("profile")


# ── The menu of every page ───────────────────────────────────────────────────────────────────────────────────────────


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
