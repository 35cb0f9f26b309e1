"""
What holds for the whole organisation: its name and logo, currency, calendar, languages. One row, written on its page
(`crm.organisation_pages`); where the row says nothing, the environment does. Whoever needs one of these asks here.
"""

import time
from zoneinfo import ZoneInfo

from django.apps import apps
from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.utils import timezone
from django.utils.dates import MONTHS
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm.models import Audit
from crm.permissions import allows
from crm.verbs import NotAllowed, Refused, Stale, whole

THE_ONE = 1  # the key of the only row
BELIEVED = 5  # seconds for which a process that answers nobody, such as the worker, takes what it read for true


class Organisation(models.Model):
    """
    The settings of the organisation. `Organisation.current()` costs no query on a page: the query that reads the
    signed-in person brings the row's version along (`UserQuerySet.with_settings`), and `is_at` forgets an older one.
    """

    name = models.CharField(pgettext_lazy("of an organisation", "name"), max_length=80, blank=True)
    logo = models.BinaryField(_("logo"), default=bytes)  # a PNG that crm.pictures has drawn anew, or nothing
    logo_digest = models.CharField(max_length=16, blank=True, editable=False)  # in its address, so it can be kept
    base_currency = models.CharField(
        _("base currency"),
        max_length=3,
        blank=True,
        validators=[RegexValidator(r"^[A-Z]{3}\Z", _("Write the three letters of a currency, such as CNY."))],
    )
    fiscal_month = models.PositiveSmallIntegerField(_("fiscal year begins in"), choices=MONTHS.items(), default=1)
    time_zone = models.CharField(_("time zone"), max_length=60, blank=True)
    languages = models.JSONField(_("languages"), default=list, blank=True)  # their codes; [] means all there are
    default_language = models.CharField(_("default language"), max_length=10, blank=True)
    support_contact = models.CharField(_("whom to ask for help"), max_length=200, blank=True)
    tell_earlier_reports = models.BooleanField(
        _("Tell approvers of earlier reports about the same customer"), default=False
    )

    zones_before = models.JSONField(default=list, editable=False)  # [[time zone, until when], …], the oldest first
    version = models.PositiveIntegerField(default=0, editable=False)
    fields_version = models.PositiveIntegerField(default=0, editable=False)  # of the definitions in crm.custom_fields

    class Meta:
        verbose_name = _("organisation")
        verbose_name_plural = _("organisations")
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=THE_ONE), name="organisation_one"),
            models.CheckConstraint(condition=models.Q(fiscal_month__range=(1, 12)), name="organisation_fiscal_month"),
        ]

    def __str__(self):
        return self.name or "Pursuit"

    # Which row is the newest

    _kept, _until = None, 0

    @classmethod
    def current(cls):
        """This will give the settings as they are; without a query, mostly. Nobody writes on what it gives."""
        kept = Organisation._kept
        if kept is None or time.monotonic() > Organisation._until:
            kept = cls.read()
            cls.keep(kept)
        return kept

    @classmethod
    def read(cls):
        """This will read the row, or give one that says nothing."""
        return cls.objects.defer("logo").filter(pk=THE_ONE).first() or cls(pk=THE_ONE)

    @classmethod
    def keep(cls, row, seconds=BELIEVED):
        """This will take `row` for the newest one for that long; None makes it be read again."""
        Organisation._until = time.monotonic() + seconds
        Organisation._kept = row

    @classmethod
    def is_at(cls, version):
        """
        This will say which version the database holds just now, counting that of the fields that were added; None
        where it has no row.
        """
        kept = Organisation._kept
        same = kept is not None and kept.version + kept.fields_version == (version or 0)
        cls.keep(kept if same else None)

    # Questions

    @property
    def zone(self):
        """This will give the time zone whose days and months the organisation counts."""
        return ZoneInfo(self.time_zone or settings.ORGANISATION_TIME_ZONE)

    def zone_at(self, moment):
        """This will give the time zone that was the organisation's at a moment: what was counted then stays."""
        for name, until in self.zones_before:
            if moment.isoformat() < until:
                return ZoneInfo(name)
        return self.zone

    @property
    def currency(self):
        return self.base_currency or settings.BASE_CURRENCY

    @property
    def support(self):
        return self.support_contact or settings.SUPPORT_CONTACT

    @property
    def offered(self):
        """This will list the languages that people may choose, as settings.LANGUAGES has them."""
        return [(code, name) for code, name in settings.LANGUAGES if not self.languages or code in self.languages]

    @property
    def language(self):
        """This will give the code of the language of those who have chosen none."""
        offered = [code for code, _name in self.offered]
        wanted = self.default_language or settings.LANGUAGE_CODE
        return wanted if wanted in offered else offered[0]

    @staticmethod
    def holds_amounts():
        """This will tell whether any record has an amount, so that another base currency would make it wrong."""
        return any(model._base_manager.filter(amount__isnull=False).exists() for model in _priced())

    # Verbs

    @classmethod
    def fields_changed(cls):
        """This will have every process read the definitions of added fields again; call it inside a transaction."""
        cls.objects.get_or_create(pk=THE_ONE)
        cls.objects.filter(pk=THE_ONE).update(fields_version=models.F("fields_version") + 1)
        cls.keep(None)
        transaction.on_commit(lambda: cls.keep(None))  # another thread may have read the old ones till now

    def change(self, *, by, seen, **values):
        """
        This will change the settings named in `values`. Raises NotAllowed, Stale, and Refused with the field: the base
        currency stays as soon as a record holds an amount.
        """
        if not allows(by, "administer"):
            raise NotAllowed()
        with whole():
            Organisation.objects.get_or_create(pk=THE_ONE)
            it = Organisation.objects.select_for_update().get(pk=THE_ONE)
            if seen is not None and int(seen) != it.version:
                raise Stale(it)
            before, zone, currency = it._told(), it.zone.key, it.currency
            for name, value in values.items():
                setattr(it, name, value)
            if it.currency != currency:
                it._pass_on_currency()
            if it.zone.key != zone:
                it.zones_before = [*it.zones_before, [zone, timezone.now().isoformat()]]
            after = it._told()
            if after != before:
                it.version += 1
                it.save()
                changes = {name: [before[name], after[name]] for name in after if after[name] != before[name]}
                Audit.note("organisation_changed", by=by, changes=changes)
            Organisation.keep(None)
            transaction.on_commit(lambda: Organisation.keep(None))  # another thread may have read the old row till now

    def _pass_on_currency(self):
        if self.holds_amounts():
            refused = _("Opportunities hold amounts in %(currency)s. The base currency can no longer be changed.")
            raise Refused(refused % {"currency": Organisation.read().currency}, field="base_currency")
        for model in _priced():
            model._base_manager.update(currency=self.currency)

    def _told(self):
        """This will give what the audit says of the settings: all but the picture itself."""
        left_out = {"id", "logo", "zones_before", "version", "fields_version"}
        fields = [field.name for field in self._meta.concrete_fields if field.name not in left_out]
        return {name: getattr(self, name) for name in fields}


def _priced():
    """This will list the models whose rows have an amount: a floor above, so they are known by their columns."""
    wanted = {"amount", "currency", "base_cents"}
    return [one for one in apps.get_models() if wanted <= {field.name for field in one._meta.concrete_fields}]
