"""
How the outbox is emptied: each delivery becomes one mail, worded in its reader's language and time when it is sent.

A delivery is claimed before it is sent, and its Message-ID is its own: whoever is killed in between leaves it to be
sent again, and a mail server sees that it is the same mail. What its reader may no longer see is not sent.
"""

import logging
import smtplib
from contextlib import suppress
from datetime import timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from crm import shown
from crm.models import User
from crm.organisation import Organisation
from crm.pulse import stopping
from crm.sign_in import email_link, way_in
from notices import wording
from notices.models import Delivery, look
from notices.preferences import is_choice

logger = logging.getLogger(__name__)

BATCH = 50  # at one turn of the schedule, so that other lines of it have theirs
CLAIM = timedelta(seconds=100)  # longer than a mail server may keep us waiting
PATIENCE = 15  # seconds that a mail server may take to answer
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(minutes=60)
TRIES = 30  # which with these pauses take a day
# What is about one's own account, and leads there.
ACCOUNT = {"email_changed", "email_removed", "two_step_on", "two_step_off", "two_step_reset", "recovery_codes_made"}
ACCOUNT |= {"passkey_added", "passkey_removed"}


def deliver():
    """This will send what is due. A mail server that does not answer ends the turn; what is left is due at the next."""
    connection = get_connection(timeout=PATIENCE)
    try:
        for delivery in Delivery.objects.due().select_related("to__department", "by")[:BATCH]:
            if stopping.is_set():
                return
            if Delivery.objects.claim(delivery.pk, timezone.now() + CLAIM) and not _send(delivery, connection):
                return
    finally:
        _close(connection)


def gather():
    """
    This will make one mail of what waits for each reader's daily digest. Mail and contents are one transaction, and of
    two who try, one finds something to put in: so nothing comes twice, and nothing is forgotten.
    """
    waiting = Delivery.objects.gathered_until(timezone.now())
    for reader in User.objects.filter(pk__in=waiting.order_by().values("to")):
        with transaction.atomic():
            digest = Delivery.objects.create(
                to=reader, kind="digest", about_type=ContentType.objects.get_for_model(User), about_id=reader.pk
            )
            put_in = waiting.filter(to=reader).order_by().update(state=Delivery.State.DIGESTED, digest=digest)
            transaction.set_rollback(not put_in)


def _send(delivery, connection):
    """This will send one claimed delivery, write down how it went, and tell whether the mail server still answers."""
    reader = delivery.to
    [delivery] = look([delivery], reader)
    if not (delivery.in_sight and reader.is_active and delivery.address):
        _settle(delivery, Delivery.State.WITHHELD)
        return True
    try:
        mail = letter(delivery, connection)
        if mail is None:
            _settle(delivery, Delivery.State.WITHHELD)
            return True
        connection.open()
        mail.send()
    except smtplib.SMTPRecipientsRefused as error:
        code, reason = next(iter(error.recipients.values()))
        _put_off(delivery, f"{code} {reason.decode(errors='replace')}", for_good=code >= 500)
        _close(connection)  # a server may not bear another mail on this one after a refusal
    except OSError as error:  # which SMTPException is
        logger.warning("Delivery %s was not sent: %s", delivery.pk, error)
        _put_off(delivery, str(error))
        return False
    except Exception as error:
        logger.exception("Delivery %s could not be worded.", delivery.pk)
        _put_off(
            delivery, f"{type(error).__name__}: {error}", for_good=isinstance(error, ValueError)
        )  # no header can hold it
    else:
        _settle(delivery, Delivery.State.SENT, sent_at=timezone.now(), error="")
    return True


def _close(connection):
    with suppress(OSError):  # it may be closed from the other side
        connection.close()


def _settle(delivery, state, **values):
    Delivery.objects.filter(pk=delivery.pk).update(state=state, **values)


def _put_off(delivery, reason, *, for_good=False):
    """This will have it tried again after a pause that grows; `for_good`, and after a day, it has failed."""
    before = delivery.attempts  # as it was read: without this one
    pause = min(FIRST_PAUSE * 2 ** min(before, 10), LONGEST_PAUSE)
    state = Delivery.State.FAILED if for_good or before + 1 >= TRIES else Delivery.State.QUEUED
    _settle(delivery, state, due_at=timezone.now() + pause, error=reason[:300])


def letter(delivery, connection=None):
    """
    This will word a delivery: text and HTML, one thread for each record, in the reader's language and time zone. A
    digest of which the reader may see nothing any more gives None.
    """
    reader = delivery.to
    zone = ZoneInfo(reader.time_zone) if reader.time_zone else Organisation.current().zone
    with translation.override(reader.language or Organisation.current().language), timezone.override(zone):
        if delivery.kind == "digest":
            parts = delivery.gathered.select_related("to__department", "by").order_by("id")
            told = [_told(part, reader) for part in look(parts, reader) if part.in_sight]
            subject = ngettext("What happened: one message", "What happened: %(count)d messages", len(told))
            subject, thread = subject % {"count": len(told)}, {}
        else:
            told = [_told(delivery, reader)]
            # Mail programs gather a thread by its subject too, so that is the same for all that is about one record.
            subject, thread = told[0]["title"], {"In-Reply-To": _thread(delivery), "References": _thread(delivery)}
            if delivery.kind in wording.SUBJECTS:
                subject, thread = str(wording.SUBJECTS[delivery.kind]), {}
        if not told:
            return None
        chosen = delivery.kind == "digest" or is_choice(delivery.kind)
        context = {
            "told": told,
            "title": subject,
            "settings": settings.SITE_URL + reverse("message_settings") if chosen else "",
        }
        mail = EmailMultiAlternatives(
            subject=subject,
            body=render_to_string("mail/told.txt", context),
            to=[delivery.address],
            headers={
                "Message-ID": f"<delivery-{delivery.pk}-{delivery.queued_at:%Y%m%d%H%M%S%f}@{_host()}>",
                **thread,
                "Auto-Submitted": "auto-generated",
            },
            connection=connection,
        )
        mail.attach_alternative(render_to_string("mail/told.html", context), "text/html")
    return mail


def _told(delivery, reader):
    """This will give what a mail says of one delivery, in the active language and time zone."""
    at = timezone.localtime(delivery.queued_at)
    return {
        "title": _one_line(delivery.title),
        "sentence": wording.sentence(delivery, reader),
        "quote": wording.quote(delivery),
        "at": _("%(date)s, %(time)s") % {"date": shown.weekday(at), "time": f"{at:%H:%M}"},
        "link": settings.SITE_URL + _address(delivery),
    }


def _address(delivery):
    """This will give where the link leads: to one's account, to the task that waits, or to the record."""
    if delivery.kind in ("invited", "password_wanted"):
        return way_in(delivery.to)
    if delivery.kind == "email_wanted":
        return email_link(delivery.to, delivery.address)
    if delivery.kind in ACCOUNT:
        return reverse("profile")
    task = delivery.data.get("task")
    return reverse("task", args=[task]) if task else delivery.about.get_absolute_url()


def _host():
    return urlsplit(settings.SITE_URL).hostname


def _thread(delivery):
    """This will give the id under which mail programs gather what is about one record; no mail bears it itself."""
    return f"<record-{delivery.about_type_id}-{delivery.about_id}@{_host()}>"


def _one_line(text):
    """This will give `text` fit for a header, where a line break would begin another one."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
