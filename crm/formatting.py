"""
Formatted text: what an editor gives is cleaned when it is written, so that what is stored can be shown as it is.
"""

import html
import re

import nh3
from django.utils.html import linebreaks, mark_safe

TAGS = {
    "p", "br", "strong", "b", "em", "i", "u", "s", "h2", "h3", "ul", "ol", "li", "blockquote", "a", "code", "pre",
    "div",
}  # fmt: skip
_TAG = re.compile(rf"</?({'|'.join(sorted(TAGS))})(\s[^<>]*)?/?>", re.IGNORECASE)
_BLOCK = re.compile(r"<(?:br|/p|/li|/h2|/h3|/div|/blockquote|/pre)[^>]*>", re.IGNORECASE)


def clean(text):
    """
    This will give `text` as HTML of a few harmless tags: what came from the editor cleaned, a plain text with its lines
    kept and nothing in it taken for markup.
    """
    return _cleaned(text) if _TAG.search(text) else as_paragraphs(text)


def as_paragraphs(text):
    """This will give a plain text as HTML with its lines kept."""
    return _cleaned(linebreaks(text.strip(), autoescape=True))


def _cleaned(text):
    return nh3.clean(
        text,
        tags=TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )


def plain(formatted):
    """This will give the words of what `clean` gave, a line for each block."""
    text = html.unescape(nh3.clean(_BLOCK.sub("\n", formatted), tags=set()))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.strip() for line in text.splitlines())).strip()


def shown(formatted):
    """This will mark what `clean` gave as HTML."""
    return mark_safe(formatted)  # noqa: S308  cleaned when it was written, and stored so
