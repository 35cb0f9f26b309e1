"""The forms of an import: how its file is read, where its columns go, and what becomes of what is there already."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from crm.encodings import ENCODINGS
from crm.fields import ChoiceHint, unit_in
from crm.forms import Form
from crm.importing import SavedMatching
from crm.kinds import is_key
from crm.resources import ADD, CREATE, MODES, NOTHING, kinds
from crm.sheets import DELIMITERS

ASKED = 50  # texts of a column that are asked about
OFFERED = 100  # people that a select offers; of more, one writes the name
UNITS = {"k": _("thousands"), "m": _("millions"), "千": _("thousands"), "万": _("ten thousands"), "百万": _("millions")}
UNITS |= {"千万": _("ten millions"), "亿": _("hundred millions")}


def _said(value):
    """This will tell whether the value of a field, be it a picker's, says anything."""
    return any(value) if isinstance(value, tuple) else bool(value)


class ReadForm(Form):
    """How the file is to be read, and as what: what was found and said, to be put right."""

    kind = forms.ChoiceField(label=_("What is in the file"), required=False)
    sheet = forms.ChoiceField(label=_("Sheet"), required=False)
    header_row = forms.IntegerField(
        label=_("Headings in row"), min_value=0, max_value=1000, help_text=_("0: the file has no headings.")
    )
    encoding = forms.ChoiceField(label=_("Encoding"), required=False)
    delimiter = forms.ChoiceField(label=_("Separated by"), required=False)

    def __init__(self, *args, run, **kwargs):
        now = {name: getattr(run, name) for name in ("kind", "sheet", "header_row", "encoding", "delimiter")}
        super().__init__(*args, initial=now, **kwargs)
        if run.batch_id is None:
            self.fields["kind"].choices = [(one.key, one.label) for one in kinds().values() if one.may(self.user)]
        else:
            del self.fields["kind"]  # what came in of the file is of that kind
        if run.sheets:
            told = [(one["name"], _("%(name)s (hidden)") % one if one["hidden"] else one["name"]) for one in run.sheets]
            self.fields["sheet"].choices = told
        else:
            del self.fields["sheet"]
        if run.encoding:
            known = dict.fromkeys([run.encoding, *ENCODINGS])
            self.fields["encoding"].choices = [(one, one.upper()) for one in known]
        else:
            del self.fields["encoding"]
        if run.delimiter:
            names = {",": _("comma ,"), ";": _("semicolon ;"), "\t": _("tab"), "|": _("line |")}
            self.fields["delimiter"].choices = [(one, names[one]) for one in DELIMITERS]
            self.fields["delimiter"].strip = False
        else:
            del self.fields["delimiter"]

    @property
    def choice(self):
        """This will give what was said; of another sheet the headings are found anew, unless their row was said too."""
        said = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        if said.get("sheet", self.initial["sheet"]) != self.initial["sheet"]:
            said = {name: value for name, value in said.items() if name != "header_row" or name in self.changed_data}
        return said


class MatchForm(Form):
    """
    Where each column goes; what feeds the fields that no column goes to: a column once more, or one value for all rows;
    what texts of the file stand for that are not known here; by what a row is recognised, and what becomes of what is
    there already.

    Its fields: column_<number>, order_<number>, from_<field>, value_<field>, unknown_<field>,
    known_<field>_<column>_<number of the text>, key, mode, whole, save_as.
    """

    key = forms.ChoiceField(
        label=_("A row is there already if this is the same"), required=False, widget=forms.RadioSelect
    )
    mode = forms.ChoiceField(label=_("What becomes of it then"), required=False, widget=forms.RadioSelect)
    whole = forms.BooleanField(
        label=_("All rows, or none"),
        required=False,
        help_text=_("Where one is refused, nothing comes in; where the import fails or is stopped, it is undone."),
    )
    save_as = forms.CharField(
        label=_("Save this matching as"),
        required=False,
        max_length=80,
        help_text=_("For the next file of this kind. What has that name already is replaced."),
    )

    def __init__(self, *args, run, resource, saved=None, **kwargs):
        """`saved` is the SavedMatching to begin with."""
        super().__init__(*args, **kwargs)
        self.run = run
        self.resource = resource
        self.targets = resource.fields
        options = {"by": run.by, "mode": run.mode, "whole": run.whole}
        if saved is not None:
            now, self.was_known, options = saved.matching(run.names), saved.known, saved.options
        elif run.matching:
            now, self.was_known = run.matching, run.known
        else:
            now, self.was_known = resource.guess(run.names, run.earlier()), run.known_earlier()
        self._options(options)
        self._columns(now)
        self._others(now)
        self.feeds = {
            name: number
            for number in reversed(range(len(run.columns)))
            for name in [self._sent(f"column_{number}")]
            if name
        }
        self._days(now)
        self._units(now)
        self._unknown(now)
        self._texts()

    def _options(self, now):
        self.fields["key"].choices = list(self.resource.keys.items())
        self.fields["mode"].choices = [(mode, ChoiceHint(*MODES[mode])) for mode in self.resource.modes]
        first = {"key": next(iter(self.resource.keys)), "mode": self.resource.modes[0], "whole": False}
        now = {"key": now.get("by"), "mode": now.get("mode"), "whole": now.get("whole")}
        self.initial |= {name: now[name] or first[name] for name in first}

    def _columns(self, now):
        choices = [("", _("Leave out"))]
        choices += [
            (name, f"{column.label} *" if column.required else column.label) for name, column in self.targets.items()
        ]
        went = {}
        for name in self.targets:
            if "column" in now.get(name, {}) and not now[name].get("beside"):
                went[now[name]["column"]] = name
        for number, name in enumerate(self.run.names):
            label = _("%(column)s goes to") % {"column": name}
            attributes = {"aria-label": label, "class": "form-select"}
            self.fields[f"column_{number}"] = forms.ChoiceField(
                label=name, choices=choices, required=False, initial=went.get(number), widget=forms.Select(attributes)
            )
        self.went = went

    def _others(self, now):
        columns = [(str(number), name) for number, name in enumerate(self.run.names)]
        for name, column in self.targets.items():
            source = now.get(name, {})
            options = [(f"={key}", label) for key, label in column.widget.options]
            choices = [("", _("Leave empty")), (_("A column"), columns)]
            if options:
                choices.insert(1, (_("One value for all rows"), options))
            first = None if self.went.get(source.get("column")) == name else source.get("column")
            if "value" in source and options:
                first = f"={source['value']}"
            self.fields[f"from_{name}"] = forms.ChoiceField(
                label=column.label, choices=choices, required=False, initial=None if first is None else str(first)
            )
            self.fields[f"from_{name}"].starred = column.required
            self.fields[f"from_{name}"].widget.attrs["class"] = "form-select"
            if not options:
                label = _("%(field)s, for all rows") % {"field": column.label}
                self.fields[f"value_{name}"] = forms.CharField(
                    label=label,
                    required=False,
                    max_length=2000,
                    initial=source.get("value", ""),
                    widget=forms.TextInput({"class": "form-control", "aria-label": label, "autocomplete": "off"}),
                )

    def _days(self, now):
        """This will ask of each column of days in numbers, 3/4/2026, whether the day or the month comes first."""
        self.days = {}  # {number: whether the file itself decides it}
        for name in self.targets:
            number = self._fed_by(name)
            if number is None or not self.targets[name].widget.is_of_days:
                continue
            evidence = self.run.columns[number].get("days")
            if not evidence:
                continue
            decided = {(True, False): "dmy", (False, True): "mdy"}.get((evidence["first"] > 0, evidence["second"] > 0))
            self.days[number] = decided is not None
            label = _("%(column)s begins with") % {"column": self.run.names[number]}
            choices = [("dmy", _("day/month/year")), ("mdy", _("month/day/year"))]
            self.fields[f"order_{number}"] = forms.ChoiceField(
                label=label,
                choices=choices if decided else [("", _("Choose the order")), *choices],
                required=decided is None,
                initial=now.get(name, {}).get("order") or decided,
                widget=forms.Select({"class": "form-select", "aria-label": label}),
                error_messages={"required": _("Say whether the day or the month comes first: the file does not tell.")},
            )

    def _units(self, now):
        """This will ask of each column of amounts whose heading names a unit, 金额（万元）, whether it is that."""
        self.units = set()
        for name in self.targets:
            number = self._fed_by(name)
            unit = unit_in(self.run.names[number]) if number is not None else ""
            if not unit or not self.targets[name].widget.is_of_amounts:
                continue
            self.units.add(number)
            label = _("%(column)s is in") % {"column": self.run.names[number]}
            self.fields[f"unit_{number}"] = forms.ChoiceField(
                label=label,
                choices=[(unit, UNITS[unit]), ("1", _("units of one"))],
                required=False,
                initial=now.get(name, {}).get("unit") or unit,
                widget=forms.Select({"class": "form-select", "aria-label": label}),
            )

    def _unknown(self, now):
        """This will ask of each field that names records whether those that are not there are to be entered."""
        for name, column in self.targets.items():
            if column.widget.new is not None and self._fed_by(name) is not None:
                told = {"field": column.label}
                self.fields[f"unknown_{name}"] = forms.ChoiceField(
                    label=_("%(field)s that is not there yet") % told,
                    choices=[("", _("Refuse the row")), (CREATE, _("Enter it, in my charge"))],
                    required=False,
                    initial=now.get(name, {}).get("unknown"),
                    widget=forms.Select({"class": "form-select"}),
                )

    def _texts(self):
        """This will ask what the texts stand for that are not known here."""
        self.texts = []
        for name, column in self.targets.items():
            number = self._fed_by(name)
            widget = column.widget
            if number is None or not (widget.options or widget.picker):
                continue
            values = sorted((self.run.columns[number]["values"] or {}).items(), key=lambda one: (-one[1], one[0]))
            values = dict(values)  # the most frequent first, on every database
            widget.prepare(set(values))
            unknown = [(index, text) for index, text in enumerate(values) if not self._knows(widget, text)]
            for index, text in unknown[:ASKED]:
                key = f"known_{name}_{number}_{index}"
                self.fields[key] = self._stands_for(name, text, self.was_known.get(name, {}).get(text))
                attributes = {"aria-label": _("%(text)s stands for") % {"text": text}, "class": "form-select"}
                self.fields[key].widget.attrs.update(attributes)
                self.texts.append((key, name, text, values[text]))

    def _stands_for(self, name, text, initial):
        """This will give the field that asks what a text stands for."""
        widget = self.targets[name].widget
        refuse = _("It is entered") if self._is_entered(name) else _("Refuse these rows")
        few = widget.few(OFFERED) if widget.picker else None
        if widget.picker is not None and few is None:
            field = widget.picker(label=text, required=False, initial=initial)
            field.user, field.queryset = self.user, widget.queryset
            field.widget.attrs["placeholder"] = refuse
            return field
        choices = [("", refuse)]
        if widget.may_add(self.user):
            choices.append((ADD, _("Add “%(text)s” to the list") % {"text": text}))
        if not self.targets[name].required and not widget.required:
            choices.append((NOTHING, _("Leave the field empty")))
        choices += few or ()
        return forms.ChoiceField(label=text, choices=[*choices, *widget.options], required=False, initial=initial)

    @staticmethod
    def _knows(widget, text):
        try:
            widget.clean(text)
        except ValidationError as error:
            return getattr(error, "code", None) not in ("unknown", "several")
        return True

    def _fed_by(self, name):
        """This will give the number of the column that goes to a field, or None."""
        number = self.feeds.get(name)
        if number is None and is_key(self._sent(f"from_{name}")):
            number = int(self._sent(f"from_{name}"))
        return number if number is not None and number < len(self.run.columns) else None

    def _is_entered(self, name):
        return f"unknown_{name}" in self.fields and self._sent(f"unknown_{name}") == CREATE

    def _sent(self, name):
        return self.data.get(name) if self.is_bound else self.get_initial_for_field(self.fields[name], name)

    # What a template shows

    @property
    def rows(self):
        """This will list each column of the file with its select."""
        for number, column in enumerate(self.run.columns):
            filled = 100 * column["filled"] // self.run.rows
            bound = self[f"column_{number}"]
            yield {
                "name": self.run.names[number],
                "samples": column["samples"],
                "filled": filled,
                "field": bound,
                "open": not bound.value(),
                "order": self[f"order_{number}"] if number in self.days else None,
                "unit": self[f"unit_{number}"] if number in self.units else None,
            }

    @property
    def matched(self):
        return len(set(self.feeds.values()))

    @property
    def needed(self):
        """This will list what feeds each field that every row needs, and no column goes to."""
        return list(self._unfed(required=True))

    @property
    def others(self):
        """This will list what feeds each other field that no column goes to."""
        return list(self._unfed(required=False))

    def _unfed(self, *, required):
        for name, column in self.targets.items():
            if name not in self.feeds and column.required == required:
                source, value = self[f"from_{name}"], None
                if f"value_{name}" in self.fields:
                    value = self[f"value_{name}"]
                yield {
                    "field": source,
                    "value": value,
                    "open": required and not source.value() and not (value and value.value()),
                }

    @property
    def unknown(self):
        return [
            {
                "field": self[key],
                "target": self.targets[name].label,
                "text": text,
                "count": count,
                "open": not self._is_entered(name) and not _said(self[key].value()),
            }
            for key, name, text, count in self.texts
        ]

    @property
    def entered(self):
        """This will list the questions whether records that are not there are to be entered."""
        return [self[name] for name in self.fields if name.startswith("unknown_")]

    @property
    def asks(self):
        """This will tell whether something came up that whoever sent the form had not been asked about."""
        asked = [f"order_{number}" for number, decided in self.days.items() if not decided]
        texts = [key for key, name, *_rest in self.texts if not self._is_entered(name)]
        return any(key not in self.data for key in [*asked, *texts])

    # What was said

    def clean(self):
        data = self.cleaned_data
        self.matching = {}
        for number in range(len(self.run.columns)):
            name = data.get(f"column_{number}")
            if name in self.matching:
                told = _("Another column goes to “%(field)s” already. Leave one of them out.")
                self.add_error(f"column_{number}", told % {"field": self.targets[name].label})
            elif name:
                self.matching[name] = {"column": number}
        for name in self.targets:
            if source := self._source(name):
                if name in self.matching:
                    self.add_error(f"from_{name}", _("A column goes to this already. Leave it empty here."))
                self.matching.setdefault(name, source)
            elif name in self.resource.required and name not in self.matching:
                told = _(
                    "Nothing goes to “%(field)s”, and each row needs one. Choose a column, or one value for all rows."
                )
                self.add_error(f"from_{name}", told % {"field": self.targets[name].label})
        for name, source in self.matching.items():
            source |= self._reading(name, source.get("column"))
        self.known = {}
        for key, name, text, _count in self.texts:
            if meant := data.get(key):
                self.known.setdefault(name, {})[text] = meant if isinstance(meant, str) else meant.pk
        by, mode = data.get("key"), data.get("mode")
        self.options = {"key": by or "", "mode": mode or "", "whole": data.get("whole", False)}

    def _reading(self, name, number):
        """This will give how the cells of a column are read, as `ImportRun.matching` keeps it."""
        widget, data = self.targets[name].widget, self.cleaned_data
        said = {
            "order": data.get(f"order_{number}") if widget.is_of_days else "",
            "unit": (data.get(f"unit_{number}") or "").removeprefix("1") if widget.is_of_amounts else "",
            "unknown": data.get(f"unknown_{name}"),
        }
        return {word: value for word, value in said.items() if value}

    def _source(self, name):
        chosen, text = self.cleaned_data.get(f"from_{name}", ""), self.cleaned_data.get(f"value_{name}", "")
        if chosen.startswith("="):
            return {"value": chosen[1:]}
        if chosen:
            return {"column": int(chosen), "beside": True}
        if text:
            try:
                self.targets[name].widget.clean(text)
            except ValidationError as error:
                self.add_error(f"value_{name}", error)
            return {"value": text}
        return None

    def save_under_its_name(self):
        """This will keep the matching, once the import has it, under the name that was typed, if one was."""
        if name := " ".join(self.cleaned_data["save_as"].split()):
            SavedMatching.keep(name, self.run)
