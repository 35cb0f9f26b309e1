"""What may be imported of picklists: values of any list, each as the form of its page takes it."""

import re
from copy import copy

from django import forms
from django.core.exceptions import ValidationError
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from crm import picklists, resources
from crm.cells import YesNo
from crm.names import Picklist, is_worded
from crm.organisation import Organisation
from crm.picklist_pages import Several, form_of
from crm.resources import (
    EMPTY,
    OVERWRITE,
    SKIP,
    Cell,
    Column,
    Few,
    Importing,
    importable,
    in_every_language,
    same,
)
from crm.verbs import Refused, whole

SEPARATORS = re.compile("[;,；，、]")  # between several in one cell
PLACE = forms.IntegerField(min_value=1, max_value=1_000_000, required=False)


class Typed(Cell):
    """A text that the form of a list reads, once it is known which list that is."""

    def read(self, text):
        return " ".join(text.split())


class ValuesImport(Importing):
    """
    Values of picklists; the same if the key is the same, without one, if a name is. A row goes through the very form
    that the page of its list shows, so it is refused where that refuses it, and in its words.
    """

    act = "administer"
    keys = {"key": _("Key, or without one the name")}
    modes = (SKIP, OVERWRITE)
    apart = True  # values of one name that are part of different ones are different

    def __init__(self, user):
        super().__init__(user)
        self._values = {}  # {model: its values, as Known}
        self._blank = {}  # {model: what the form of a new value sends that nobody touched}
        self._choices = {}  # {(model, field): how a cell is read that says one of its choices}

    # Columns that all have

    def named(self, form, start="name", **words):
        """
        This will list the columns of the names in each language; `words` are further headings, by their own language:
        those of one that is not offered mean the first that is.
        """
        offered = [code for code, _language in Organisation.current().offered]
        for language, headings in words.items():
            code = next((code for code in offered if code.startswith(language)), offered[0])
            name = f"{start}_{code}"
            self.aliases = self.aliases | {name: f"{self.aliases.get(name, '')}, {headings}"}
        names = [f"{start}_{code}" for code in offered]
        return [Column(name, form.fields[name].label, Cell(form.fields[name])) for name in names]

    def keyed(self, form):
        return Column("key", _label("key"), Cell(form.fields["key"]))

    def common(self, form):
        """This will list the columns of colour, order, and whether the value can be chosen."""
        return [
            Column("colour", form.fields["colour"].label, Cell(form.fields["colour"])),
            Column("order", _label("order"), Cell(PLACE)),
            Column("active", _label("active"), YesNo.in_use()),
        ]

    # Rows

    def value(self, model, given):
        """
        This will build the value that a row describes, {field: what its cell was read as}: a new one, or one that is
        there. Raises Refused.
        """
        there = self._there(model, given)
        sent = {name: self._sent(model, name, said) for name, said in given.items() if said not in EMPTY}
        if there is not None and self.mode == OVERWRITE:
            self._keep_what_is_fixed(there, sent)
        form = form_of(model)(self._filled(model, there) | sent, instance=copy(there) or model(), user=self.user)
        if not form.is_valid():
            field, messages = next(iter(form.errors.items()))
            raise Refused(messages[0], field=field if field in self.fields else None)
        value = form.instance
        value.order = given.get("order") or value.order
        if there is None and given.get("active") is False:  # the page enters what can be chosen
            value.active = False
            _checked(value)
        return value

    @staticmethod
    def _keep_what_is_fixed(there, sent):
        for name in there.FIXED:
            field = there._meta.get_field(name)
            if sent.get(name, "") not in ("", getattr(there, field.attname)):
                told = _("“%(field)s” of a value is chosen once, and this one has another.")
                raise Refused(told % {"field": capfirst(field.verbose_name)}, field=name)

    def _filled(self, model, there):
        if there is None and model in self._blank:
            return self._blank[model]
        form = form_of(model)(instance=there or model(), user=self.user)
        filled = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
        if there is None:
            self._blank[model] = filled
        return filled

    def _there(self, model, given):
        """This will give the value that is meant, if it is there already, or None."""
        if model not in self._values:
            self._values[model] = Known(model.objects.all())
        known = self._values[model]
        if key := given.get("key"):
            return known.by_key.get(key)
        part_of = {
            field.attname: self._sent(model, field.name, given[field.name])
            for field in _relations(model)
            if self.apart and given.get(field.name) not in EMPTY
        }
        called = known.called(text for name, text in given.items() if name.startswith("name_"))
        return next((one for one in called if all(getattr(one, name) == pk for name, pk in part_of.items())), None)

    def _sent(self, model, name, said):
        """This will give what the form sends for what a cell says. Raises Refused where it offers no such choice."""
        field = form_of(model).base_fields.get(name)
        if isinstance(said, Picklist):
            return said.pk
        if isinstance(said, str) and isinstance(field, Several):
            return self._several(model, name, said)
        if isinstance(said, str) and isinstance(field, forms.ChoiceField | forms.BooleanField):
            if (model, name) not in self._choices:
                self._choices[model, name] = _choices(field)
            try:
                return self._choices[model, name].clean(said)
            except ValidationError as error:
                raise Refused(error.messages[0], field=name) from error
        return said

    def _several(self, model, name, said):
        """This will give the keys that a cell names one after the other. Raises Refused where one is not offered."""
        if (model, name) not in self._choices:
            offered = model.several_of(name)
            self._choices[model, name] = Few((key, [label, *in_every_language(label)], key) for key, label in offered)
        try:
            return [self._choices[model, name].clean(text) for text in SEPARATORS.split(said) if text.strip()]
        except ValidationError as error:
            raise Refused(error.messages[0], field=name) from error

    def identity(self, value):
        word = picklists.word_of(type(value))
        if value.key:
            return word, value.key
        part_of = [getattr(value, field.attname) for field in _relations(type(value))] if self.apart else []
        return word, same(value.name), *part_of

    def existing(self, values):
        there = {}
        for value in values:
            if value.pk:
                there.setdefault(type(value), {})[value.pk] = self.identity(value)
        stored = [one for model, keys in there.items() for one in model.objects.filter(pk__in=keys)]
        return {there[type(one)][one.pk]: [one] for one in stored}

    def differing(self, verdict, there):
        fields = [field for field in there._meta.concrete_fields if field.name not in ("id", "key", "version")]
        said = {field.name: getattr(verdict.record, field.attname) for field in fields}
        return {name: value for name, value in said.items() if value != self.held(there, name)}

    def held(self, there, name):
        return getattr(there, there._meta.get_field(name).attname)

    def changeable(self, values):
        return {value.pk for value in values}

    def change(self, there, values):
        """This will give it what its row says, unless somebody else changed it after the row was read."""
        given = {there._meta.get_field(name).attname: value for name, value in values.items()}
        seen = self._values[type(there)].by_key[there.key].version
        picklists.change(there, by=self.user, seen=seen, **given)
        there.refresh_from_db()

    def sides(self, there, before, after):
        return [side for name in after for side in self._sides(there._meta.get_field(name), before[name], after[name])]

    def _sides(self, field, old, new):
        if is_worded(field):
            start = form_of(field.model).NAMED[field.name][0]
            for code, _language in Organisation.current().offered:
                if old.get(code) != new.get(code):
                    yield self.fields[f"{start}_{code}"].label, old.get(code, ""), new.get(code, "")
            return
        if field.is_relation:
            named = field.related_model._base_manager.in_bulk([pk for pk in (old, new) if pk])
            old, new = named.get(old, ""), named.get(new, "")
        elif field.flatchoices:
            old, new = dict(field.flatchoices)[old], dict(field.flatchoices)[new]
        elif isinstance(old, list):
            labels = dict(field.model.several_of(field.name))
            old, new = (", ".join(str(labels.get(key, key)) for key in keys) for keys in (old, new))
        yield capfirst(field.verbose_name), old, new

    @whole()
    def write(self, values):
        for value in values:
            picklists.create(value, by=self.user)
        self._values.clear()


class Known:
    """The values of a list, by key and by name in any language."""

    def __init__(self, values):
        self.by_key, self._by_name = {}, {}
        for value in values:
            self.by_key[value.key] = value
            for name in {same(text) for text in value.names.values()}:
                self._by_name.setdefault(name, []).append(value)

    def called(self, names):
        """This will list, in their order, the values that have one of `names`."""
        found = {one.pk: one for name in names for one in self._by_name.get(same(name), ())}
        return sorted(found.values(), key=lambda one: (one.order, one.key))


def _label(name):
    return capfirst(Picklist._meta.get_field(name).verbose_name)


def _relations(model):
    return [field for field in model._meta.concrete_fields if field.is_relation]


def _choices(field):
    """This will give how a cell is read that says one of a field's choices: as what the form sends."""
    if isinstance(field, forms.BooleanField):
        return YesNo()
    if isinstance(field, forms.ModelChoiceField):
        return Few((one.key, [one.name, *one.names.values()], one.pk) for one in field.queryset.all())
    offered = [(key, label) for key, label in field.choices if key]
    return Few((key, [label, *in_every_language(label)], key) for key, label in offered)


def _checked(value):
    try:
        value.clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise Refused(messages[0], field=field) from error


class AList:
    """A picklist, as a cell names it."""

    def __init__(self, model):
        self.model = model

    def __str__(self):
        return str(capfirst(self.model._meta.verbose_name_plural))

    @property
    def names(self):
        """This will list what it is called, one value of it or all, in any language."""
        meta = self.model._meta
        return [str(self), *in_every_language(meta.verbose_name_plural), *in_every_language(meta.verbose_name)]


@importable
class PicklistImport(ValuesImport):
    """Values of the picklists that have no import of their own; a column says of which, or all are of one."""

    key = "picklists"
    label = _("Values of picklists")
    hint = _("Each row becomes a value that people can choose; one whose key or name is in its list is recognised.")
    aliases = {
        "list": "list, list name, 选项列表, 列表, 列表名称",
        "key": "code, id, 代码, 编码, 编号",
        "colour": "color",
        "order": "position, rank, number, 排序, 序号",
        "active": "in use, enabled, is active, 是否启用, 状态",
        "parent": "parent, group, 上级, 所属",
    }

    class Meta:
        fields = ()

    def columns(self):
        own = {kind._meta.model for kind in resources.kinds().values()}
        lists = {word: AList(model) for word, model in picklists.kinds().items() if model not in own}
        each = [form_of(one.model)(instance=one.model(), user=self.user) for one in lists.values()]
        first = each[0]
        which = Few(((word, one.names, one) for word, one in lists.items()), required=True)
        return [
            Column("list", _("Picklist"), which, required=True),
            *self.named(
                first,
                en="name, value, label, title, english, 英文, 英文名称",
                zh="chinese, 中文, 中文名称, 名称, 选项",
            ),
            self.keyed(first),
            *self.common(first),
            *self.beside(each),
            *self.worded(each),
        ]

    def beside(self, each):
        """This will list the columns of what lists have beside; two may call by one name what people call by two."""
        labels = {}
        for form in each:
            for name in form._meta.fields:
                if name not in ("key", "colour", "active"):
                    labels.setdefault(name, {})[str(form.fields[name].label)] = form.fields[name].label
        for name, called in labels.items():
            words = [word for label in called.values() for word in in_every_language(label)]
            self.aliases = self.aliases | {name: ", ".join([*words, self.aliases.get(name, "")])}
            yield Column(name, " / ".join(called), Typed())

    def worded(self, each):
        """This will list the columns of what lists say beside the name, in each language."""
        for form in each:
            for start, _label, _missing in form.NAMED.values():
                if start != "name":
                    yield from self.named(form, start=start)

    def build(self, values):
        given = dict(values)
        return self.value(given.pop("list").model, given)
