"""Names in several languages: one text per interface language, stored together as JSON."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _


def localized(names):
    """This will give the text of `names` ({language code: text}) in the active language, else in English, else any."""
    language = get_language() or settings.LANGUAGE_CODE
    return names.get(language) or names.get("en") or next(iter(names.values()), "")


def localized_names(names):
    """This will give what `localized` does, and "" for nothing."""
    return localized(names) if names else ""


def validate_names(names):
    """This will refuse anything but a non-empty {known language code: non-blank text}."""
    known = dict(settings.LANGUAGES)
    if not isinstance(names, dict) or not names:
        raise ValidationError(_("Give a name in at least one language."))
    for language, text in names.items():
        if language not in known or not isinstance(text, str) or not text.strip():
            raise ValidationError(_("“%(language)s” needs a name."), params={"language": language})


class Named(models.Model):
    """Anything that an administrator names once per language; `key` is what conditions, fixtures and imports hold."""

    key = models.SlugField(
        _("key"), max_length=40, unique=True, help_text=_("Never changes; rules and imports use it.")
    )
    names = models.JSONField(_("names"), default=dict, validators=[validate_names])

    class Meta:
        abstract = True

    def __str__(self):
        return self.name

    @property
    def name(self):
        return localized(self.names)


class Picklist(Named):
    """
    One value of a list that administrators edit. A value in use is retired (`active` off), never deleted:
    records hold it by a protecting foreign key, and old records go on showing it.
    """

    order = models.PositiveIntegerField(_("order"), default=0)
    colour = models.CharField(_("colour"), max_length=7, blank=True, help_text=_("#rrggbb, or empty for none."))
    active = models.BooleanField(_("active"), default=True, help_text=_("A retired value can no longer be chosen."))
    version = models.PositiveIntegerField(default=0, editable=False)  # counts its changes by crm.picklists

    FIXED = ()  # the fields that are chosen once

    class Meta:
        abstract = True
        ordering = ["order", "key"]

    @property
    def detail(self):
        """This will give what a list says of the value beside its name, or ""."""
        return ""

    # What crm.picklists asks of a value

    def merges_into(self, other):
        """This will tell whether what holds this value may hold `other` instead."""
        return True

    def followed_to(self, other, rows, name, *, by):
        """This will put `other` into the field `name` of `rows`, which hold this value; gives how many they were."""
        return rows.update(**{name: other})

    def changed_from(self, was, *, by):
        """This will bring in line what follows from the value, after it was another, `was`."""
