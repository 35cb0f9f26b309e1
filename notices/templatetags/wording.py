"""What happened, in templates: the sentence of an event, what it changed, what was written with it."""

import re

from django import template
from django.template.defaultfilters import linebreaksbr
from django.utils import timezone
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString

from crm import shown
from notices import wording

register = template.Library()

register.filter("changes", wording.changes)
register.filter("quote", wording.quote)
register.filter("sentence", wording.sentence)


@register.filter
def sentence_with_name(said, reader):
    """This will give the sentence with the name that it begins with in bold."""
    text, name = wording.sentence(said, reader), wording.who(said, reader)
    return format_html("<b>{}</b>{}", name, text.removeprefix(name)) if text.startswith(name) else text


@register.filter
def entry_icon(event):
    return wording.icon(event)[0]


@register.filter
def entry_mark(event):
    return wording.icon(event)[1]


@register.filter
def told_at(at, css=""):
    """This will write a moment as briefly as a row needs it: 8:31, Thu, 12 Nov."""
    local = timezone.localtime(at)
    days = (timezone.localdate() - local.date()).days
    text = f"{local:%H:%M}" if days == 0 else str(shown.WEEKDAYS[local.weekday()]) if 0 < days < 7 else shown.day(at)
    return format_html('<time class="{}" datetime="{}">{}</time>', css, at.isoformat(), text)


@register.filter
def with_mentions(comment):
    """This will write the text of a comment, with those whom it mentions marked."""
    text = conditional_escape(comment.text)
    names = sorted((str(conditional_escape(f"@{person['label']}")) for person in comment.mentioned), key=len)
    if names:
        text = re.sub("|".join(map(re.escape, reversed(names))), r'<b class="mention">\g<0></b>', text)
    return linebreaksbr(SafeString(text), autoescape=False)
