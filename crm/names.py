"""Names in several languages: one text per interface language, stored together as JSON."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import get_language, gettext, override
from django.utils.translation import gettext_lazy as _


def localized(names):
    """This will give the text of `names` ({language code: text}) in the active language, else in English, else any."""
    language = get_language() or settings.LANGUAGE_CODE
    return names.get(language) or names.get("en") or next(iter(names.values()), "")


def localized_names(names):
    """This will give what `localized` does, and "" for nothing."""
    return localized(names) if names else ""


def untranslated(sentence):
    """This will give a sentence as it is kept: a fixed one so that `translated` finds it in every language."""
    with override("en"):
        return str(sentence)


def translated(sentence):
    """This will give a sentence that was kept in the active language; one that names something, as it was then."""
    return gettext(sentence) if sentence else ""


def validate_names(names):
    """This will refuse anything but a non-empty {known language code: non-blank text}."""
    known = dict(settings.LANGUAGES)
    if not isinstance(names, dict) or not names:
        raise ValidationError(_("Give a name in at least one language."))
    for language, text in names.items():
        if language not in known or not isinstance(text, str) or not text.strip():
            raise ValidationError(_("“%(language)s” needs a name."), params={"language": language})


def validate_texts(texts):
    """This will do what `validate_names` does, and let there be none."""
    if texts != {}:
        validate_names(texts)


def is_worded(field):
    """This will tell whether a field of a model holds texts in several languages."""
    return validate_names in field.validators or validate_texts in field.validators


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
    FILLED = {}  # the fields that may be left empty where `fill` knows what follows: {field: what is said of that}
    ADD = _("Add a value")

    class Meta:
        abstract = True
        ordering = ["order", "key"]

    @property
    def detail(self):
        """This will give what a list says of the value beside its name, or ""."""
        return ""

    @property
    def lack(self):
        """This will say in a sentence what is missing before the value can be used, or ""."""
        return ""

    @property
    def part(self):
        """This will give the part of the list that the value stands in, or None where it has no parts."""
        return None

    def fill(self, values):
        """This will fill what is empty in `values`, {field: value}, and follows from the others."""

    @classmethod
    def several_of(cls, name):
        """This will list (key, label) of what the field `name`, a list of keys, may hold; [] for other fields."""
        return []

    # What crm.picklists asks of a value

    def merges_into(self, other):
        """This will tell whether what holds this value may hold `other` instead."""
        return True

    def followed_to(self, other, rows, name, *, by):
        """This will put `other` into the field `name` of `rows`, which hold this value; gives how many they were."""
        return rows.update(**{name: other})

    def changed_from(self, was, *, by):
        """This will bring in line what follows from the value, after it was another, `was`."""
