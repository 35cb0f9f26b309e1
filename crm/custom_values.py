"""
What records hold of the fields that administrators added: one typed row for each value, and the records that have such.

A record gives a value by the key of its field, `customer.c_region_12`, None where it is empty, which is neither 0 nor
no. It reads them all in one query, when first asked; `read` does that for many records at once. Its own verbs change
them: what `put` was given is compared, kept and told like every other field of it.
"""

from django.apps import apps
from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from crm import custom_conditions, custom_fields, custom_orders, custom_shown
from crm.custom_fields import PREFIX, CustomChoice, CustomField
from crm.verbs import Refused


class CustomValueQuerySet(models.QuerySet):
    def held_by(self, model, pks):
        """This will narrow to what the records `pks` of `model` hold, of archived fields too."""
        fields = [field.pk for field in custom_fields.by_key().values() if field.subject == model.guard]
        return self.filter(field__in=fields, about_id__in=pks) if fields else self.none()


class CustomValue(models.Model):
    """
    One value of one field of one record; of a field that holds several, one of them. No column is filled but that of
    the field's kind.
    """

    CAN_BE_MISSED = True  # what comes back from the recycle bin comes without the values of fields that are gone

    field = models.ForeignKey(CustomField, models.CASCADE, related_name="values", db_index=False)
    about_id = models.PositiveBigIntegerField()  # a record of the model that is the field's subject
    position = models.PositiveSmallIntegerField(default=0)
    text = models.CharField(max_length=300, null=True)  # noqa: DJ001  NULL is "not of this kind"
    long_text = models.TextField(null=True)  # noqa: DJ001  the same
    number = models.BigIntegerField(null=True)  # in ten-thousandths
    day = models.DateField(null=True)
    yes = models.BooleanField(null=True)
    choice = models.ForeignKey(CustomChoice, models.PROTECT, null=True, related_name="+", db_index=False)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", db_index=False)
    unique_key = models.CharField(max_length=320, null=True)  # noqa: DJ001  NULLs are never equal, which is meant

    objects = CustomValueQuerySet.as_manager()

    class Meta:
        verbose_name = _("value of a custom field")
        verbose_name_plural = _("values of custom fields")
        constraints = [
            models.UniqueConstraint(fields=["field", "about_id", "position"], name="custom_value_place"),
            models.UniqueConstraint(fields=["field", "unique_key"], name="custom_value_unique"),
        ]
        indexes = [
            models.Index(
                fields=["field", column, "about_id"],
                condition=Q(**{f"{column}__isnull": False}),
                name=f"custom_value_{column}",
            )
            for column in ("text", "number", "day", "yes", "choice", "person")
        ]

    def __str__(self):
        return f"{self.field_id}:{self.about_id}"


def subjects():
    """This will give {word: model} of the models whose records can have fields of their own."""
    found = [model for model in apps.get_models() if issubclass(model, Customised)]
    return {model.guard: model for model in sorted(found, key=lambda model: model._meta.label_lower)}


class Customised(models.Model):
    """A record to which administrators add fields. It stands before Recorded among the bases of its model."""

    HAS_DRAFTS = False  # whether it can be kept without what it needs, which it is asked for later

    class Meta:
        abstract = True

    # Questions

    @classmethod
    def custom_fields(cls):
        """This will list the fields in use, in the order of the forms."""
        return custom_fields.of(cls.guard)

    @classmethod
    def custom_field(cls, key):
        """This will give the field of that key, be it archived, or None."""
        return custom_fields.field_of(cls, key)

    @classmethod
    def custom_stages(cls):
        """This will list (key, name) of the stages from which on a field can be needed; [] where there are none."""
        return []

    @classmethod
    def label_of(cls, name):
        """This will name a field, of the model or of those that were added."""
        field = custom_fields.field_of(cls, name)
        return field.name if field else str(cls._meta.get_field(name).verbose_name)

    @classmethod
    def custom_conditions(cls):
        """This will give what may be asked of these fields, {key: crm.kinds.Field}."""
        return custom_conditions.of(cls)

    @classmethod
    def custom_columns(cls):
        """This will give a column of a list for each."""
        return custom_shown.columns(cls)

    @classmethod
    def custom_sorts(cls):
        """This will give by which of them lists can be sorted, {key: crm.custom_orders.CustomOrder}."""
        return custom_orders.of(cls)

    @classmethod
    def on_cards(cls, pks):
        """This will give {key of a record: [(label, text), …]} of what cards are to say, in one query or none."""
        return custom_shown.on_cards(cls, pks)

    @property
    def custom_sections(self):
        """This will list (heading, [(field, text)]) of what the record's page says, empty ones left out."""
        return custom_shown.sections(self)

    def has_reached(self, stage):
        """This will tell whether the record stands in the stage of that key, or behind it."""
        return False

    def custom_missing(self):
        """This will list the keys of the fields that are empty and have to be filled, where the record stands now."""
        required = CustomField.Required
        return [
            field.key
            for field in self.custom_fields()
            if field.required != required.NO
            and self._custom().get(field.key) is None
            and (field.required == required.ALWAYS or self.has_reached(field.stage))
        ]

    def __getattr__(self, name):
        if name.startswith(PREFIX) and custom_fields.field_of(type(self), name):
            return self._custom().get(name)
        return object.__getattribute__(self, name)  # which says once more, in its own words, why there is none

    def _custom(self):
        if "_custom_held" not in self.__dict__:
            self.read_custom([self])
        return self._custom_held

    @classmethod
    def read_custom(cls, records):
        """This will read what all of `records` hold, in one query."""
        held = custom_shown.held(cls, [one.pk for one in records if one.pk], cls.custom_fields())
        for record in records:
            record._custom_held = held.get(record.pk, {})

    def refresh_from_db(self, *args, **kwargs):
        for name in ("_custom_held", "_custom_before"):
            self.__dict__.pop(name, None)
        super().refresh_from_db(*args, **kwargs)

    # What a verb does

    def put(self, values):
        """This will give the record other values, {field: value}, not saved. What is archived meanwhile is left out."""
        added = {field.key: field for field in self.custom_fields()}
        for name, value in values.items():
            if name in added:
                self._put_custom(name, added[name].tidy(value))
            elif not name.startswith(PREFIX):
                setattr(self, name, value)

    def _put_custom(self, key, value):
        # Anew, and not in place: a copy of the record, such as a form has, shares them with it
        self._custom_before = {key: self._custom().get(key)} | self.__dict__.get("_custom_before", {})
        self._custom_held = self._custom() | {key: value}

    def _custom_changed(self):
        """This will give {key: value before} of what `put` made another."""
        before = self.__dict__.get("_custom_before", {})
        return {key: old for key, old in before.items() if old != self._custom().get(key)}

    def remember(self):
        super().remember()
        self.__dict__.pop("_custom_before", None)

    def changes(self):
        changed = super().changes()
        for key, old in self._custom_changed().items():
            field = custom_fields.field_of(type(self), key)
            changed[key] = [field.described(old), field.described(self._custom_held.get(key))]
        return changed

    def save(self, *args, **kwargs):
        super().save(*args, **kwargs)
        self.keep_custom([self])

    @classmethod
    def keep_custom(cls, records):
        """
        This will save what `put` gave to `records`, which are saved. Raises Refused where another record has what none
        may share.
        """
        rows, known = [], {field.key: field for field in cls.custom_fields()}
        for record in records:
            before = record._custom_changed()
            changed = [known[key] for key in before if key in known]
            if held := [field for field in changed if before[field.key] is not None]:
                CustomValue.objects.filter(field__in=held, about_id=record.pk).delete()
            for field in changed:
                value = record._custom_held[field.key]
                unique_key = field.unique_key(value)
                rows += [
                    CustomValue(field=field, about_id=record.pk, position=at, unique_key=unique_key, **columns)
                    for at, columns in enumerate(field.to_columns(value))
                ]
            record.__dict__.pop("_custom_before", None)
        if not rows:
            return
        refuse_taken(rows)
        try:
            with transaction.atomic():
                CustomValue.objects.bulk_create(rows, batch_size=500)
        except IntegrityError as error:
            unique = next((row.field for row in rows if row.unique_key), None)
            if unique is None:
                raise
            raise taken(unique) from error

    @classmethod
    def taken_back(cls, records):
        CustomValue.objects.held_by(cls, [record.pk for record in records]).delete()
        super().taken_back(records)


def refuse_taken(rows):
    """This will raise Refused, naming the field, where another record has what one of `rows` is to hold alone."""
    wanted = {(row.field_id, row.unique_key): row.field for row in rows if row.unique_key}
    if not wanted:
        return
    fields, keys = {field for field, _key in wanted}, {key for _field, key in wanted}
    held = CustomValue.objects.filter(field__in=fields, unique_key__in=keys).values_list("field", "unique_key")
    for pair in held:
        if pair in wanted:
            raise taken(wanted[pair])


def taken(field):
    """This will give the Refused that says that another record has a value, without saying which."""
    told = _("%(field)s: another record has this already, and no two may share it.")
    return Refused(told % {"field": capfirst(field.name)}, field=field.key)
