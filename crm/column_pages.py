"""The form in which a reader chooses the columns of a list, their order, that of the rows, and how many a page has."""

from django import forms
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm.orders import MOST_KEYS

SENT = ("up", "down", "order", *(f"by{number}" for number in range(1, MOST_KEYS + 1)))  # by the form, besides
OWN = ("show", "page", "columns", "size", *SENT)


class OrderForm(forms.Form):
    """By which columns the rows are sorted, and how many a page has."""

    def __init__(self, listing, *args, **kwargs):
        super().__init__(*args, **kwargs)
        labels = [gettext_lazy("Sort by"), gettext_lazy("Then by"), gettext_lazy("And then by")]
        heads = {column.sort: column.head for column in listing.every_column() if column.sort in listing.every_sort()}
        ways = [
            (f"{sign}{key}", f"{head} {arrow}")
            for key, head in heads.items()
            for sign, arrow in (("", "↑"), ("-", "↓"))
        ]
        for number, label in enumerate(labels, 1):
            choices = ways if number == 1 else [("", "—"), *ways]
            self.fields[f"by{number}"] = forms.ChoiceField(label=label, choices=choices, required=number == 1)
        sizes = [(str(size), str(size)) for size in listing.sizes]
        self.fields["size"] = forms.ChoiceField(label=_("Rows on a page"), choices=sizes)
        for field in self.fields.values():
            field.starred = False  # something is always chosen

    @property
    def by(self):
        """This will give the order chosen, as an address has it: each column once, the way round that came first."""
        chosen = [self.cleaned_data[name] for name in self.fields if name.startswith("by")]
        first = {}
        for key in filter(None, chosen):
            first.setdefault(key.removeprefix("-"), key)
        return ",".join(first.values())


def choose(listing):
    """This will show the form; sent, it leads to the list as it asks for it. Its arrows move a column up or down."""
    sent = listing.request.GET
    orders = listing.sort.split(",")
    initial = {f"by{number}": key for number, key in enumerate(orders, 1)} | {"size": str(listing.size)}
    moved = next((name for name in ("up", "down") if name in sent), None)
    form = OrderForm(listing, sent if "show" in sent or moved else None, initial=initial)
    rows = _rows(listing, sent)
    if moved:
        _move(rows, sent[moved], -1 if moved == "up" else 1)
    elif form.is_valid():
        return redirect(listing.address(_query(listing, rows, form)))
    kept = [(name, text) for name, texts in listing.query.lists() if name not in (*OWN, "sort") for text in texts]
    context = {"listing": listing, "form": form, "rows": rows, "kept": kept}
    return render(listing.request, "crm/views/columns.html", context)


def _rows(listing, sent):
    """This will list the columns as the form shows them: {"column", "ticked", "always"}, those shown first."""
    every = {column.key: column for column in listing.every_column()}
    first = listing.columns[0].key
    ticked = {column.key for column in listing.shown} if "order" not in sent else set(sent.getlist("columns"))
    order = sent.getlist("order") or [column.key for column in listing.shown]
    keys = [key for key in dict.fromkeys([first, *order, *every]) if key in every]
    return [{"column": every[key], "ticked": key in ticked or key == first, "always": key == first} for key in keys]


def _move(rows, key, by):
    at = next((number for number, row in enumerate(rows) if row["column"].key == key), 0)
    if at and 0 < at + by < len(rows):  # the first stays where it is
        rows[at], rows[at + by] = rows[at + by], rows[at]


def _query(listing, rows, form):
    """This will give the query that the form asks for; what is the list's own anyway is left out."""
    chosen = [row["column"].key for row in rows if row["ticked"]]
    own = [column.key for column in listing.every_column() if column.shown]
    by, size = form.by, form.cleaned_data["size"]
    changes = dict.fromkeys(OWN)
    changes["columns"] = None if chosen == own else ",".join(chosen)
    changes["sort"] = None if by == listing.default_sort() else by
    changes["size"] = None if size == str(type(listing).size) else size
    return listing.asked(**changes)
