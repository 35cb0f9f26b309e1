"""What happens around every page: the reader's language and time zone, no cache, and a clear page for each refusal."""

from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.http import HttpResponseBadRequest, HttpResponseNotAllowed, UnreadablePostError
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.utils.translation import trans_real

from crm import outages
from crm.organisation import Organisation
from crm.verbs import Refused

TAKEN = ("GET", "HEAD", "POST")  # what links, browsers and buttons send


def methods(get_response):
    """This will turn away what no address takes; a view would take PUT or DELETE for a page that is looked at."""

    def answer(request):
        return get_response(request) if request.method in TAKEN else HttpResponseNotAllowed(TAKEN)

    return answer


ROOM = 9_000  # words of memory: 72 kB, for which Python takes 128


def room(get_response):
    """
    This will answer from a frame that asks for much room. Python keeps the frames of a thread in pieces of 16 kB, and a
    loop that happens to call across the end of one has another made and thrown away with each call: a board took half
    as long again by that, a list a third. What is called from a large frame finds room behind it.
    """

    def answer(request):
        return get_response(request)

    answer.__code__ = answer.__code__.replace(co_stacksize=ROOM)
    return answer


def profile(get_response):
    """
    This will answer signed-in people in the language and time zone of their profile.

    Before sign-in the language is what the browser asks for and the time the organisation's. Each request sets both
    anew and none takes them back: a long export is written after its answer has passed here.
    """

    def answer(request):
        person = request.user if request.user.is_authenticated else None
        if hasattr(person, "settings_version"):
            Organisation.is_at(person.settings_version)
        organisation = Organisation.current()
        own = person and person.time_zone
        timezone.activate(ZoneInfo(own) if own else organisation.zone)
        translation.activate(language_for(request, person, organisation))
        request.LANGUAGE_CODE = translation.get_language()
        return get_response(request)

    return answer


def language_for(request, person, organisation):
    """This will choose the first that is offered of the person's own language, the cookie's, and the browser's."""
    offered = dict(organisation.offered)
    asked = trans_real.parse_accept_lang_header(request.headers.get("Accept-Language", "").lower())
    cookie = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    for wanted in (person.language if person else "", cookie, *(code for code, _weight in asked)):
        try:
            code = translation.get_supported_language_variant(wanted)
        except LookupError:
            continue
        if code in offered:
            return code
    return organisation.language


def private(get_response):
    """This will keep answers out of every cache, a shared computer's browser included, unless a view says otherwise."""

    def answer(request):
        response = get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return answer


def whole(get_response):
    """
    This will do nothing with a form that was not sent to its end: what is left of it might mean something else. It
    stands before whatever else reads forms.
    """

    def answer(request):
        try:
            request.POST  # noqa: B018  reads it
        except UnreadablePostError as error:
            return not_understood(request, error)
        return get_response(request)

    return answer


def refusals(get_response):
    """
    This will answer with a page that says why, where a verb refused and no form was there to say it, and where an
    address that only takes what a button sends was opened as a page.
    """

    def answer(request):
        response = get_response(request)
        if response.status_code == 405 and not response.content:
            page = say(request, _("This address only takes what a button sends. Nothing was changed."), status=405)
            page.headers["Allow"] = response.headers["Allow"]
            return page
        return response

    def refused(request, error):
        return say(request, error.message, status=error.status) if isinstance(error, Refused) else None

    def say(request, message, *, status):
        back = request.headers.get("Referer", "")
        safe = url_has_allowed_host_and_scheme(back, request.get_host(), require_https=request.is_secure())
        return render(request, "refused.html", {"message": message, "back": back if safe else "/"}, status=status)

    answer.process_exception = refused
    return answer


# Of what no view could look at: more than the settings let in.
TOO_MUCH = {
    TooManyFieldsSent: _("What was sent has more than %(fields)s fields, and so many are not taken at once."),
    TooManyFilesSent: _("What was sent has more than %(files)s files, and so many are not taken at once."),
    RequestDataTooBig: _("What was sent has more than %(megabytes)s MB of text, and so much is not taken at once."),
}


def not_understood(request, exception):
    """
    This will answer 400; where it was too much, it says of what. No frame: that would read what was sent. What Django
    says of a session that could not be kept is no fault of who asked.
    """
    if isinstance(exception, SessionInterrupted):
        return outages.without_session(request, exception)
    limits = {
        "fields": f"{settings.DATA_UPLOAD_MAX_NUMBER_FIELDS:,}",
        "files": settings.DATA_UPLOAD_MAX_NUMBER_FILES,
        "megabytes": f"{settings.DATA_UPLOAD_MAX_MEMORY_SIZE / (1 << 20):g}",
    }
    why = TOO_MUCH.get(type(exception), "")
    return HttpResponseBadRequest(render_to_string("400.html", {"why": why and why % limits}))
