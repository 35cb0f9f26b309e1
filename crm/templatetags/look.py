"""The look's tags: fields, error summaries, sort links, and crm.shown's ways of writing money, days and states."""

from django import forms, template
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import ngettext, pgettext

from crm import formatting, shown
from crm import help as help_pages
from crm.logs import around
from crm.stepping import WayBack

register = template.Library()

register.filter("count", shown.count)
register.filter("money", shown.money)
register.filter("quantity", shown.quantity)
register.filter("formatted", formatting.shown)
register.filter("money_short", shown.money_short)
register.filter("waited", shown.waited)
register.filter("has_waited", shown.has_waited)
register.filter("waited_short", shown.waited_short)
register.filter("ago", shown.ago)
register.filter("month", shown.month)
register.filter("month_name", shown.month_name)
register.filter("ordinal", shown.ordinal)
register.filter("dial", shown.dial)
register.filter("site", shown.site)
register.filter("in_words", help_pages.in_words)


@register.simple_tag
def request_id():
    """This will give the id under which the log tells of the request that is being answered."""
    return around.get().get("request", "")


def _time(value, text):
    """This will give a <time> for machines too; nothing for None."""
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), text) if value else ""


@register.filter
def day(value):
    return _time(value, shown.day(value))


@register.filter
def weekday(value):
    return _time(value, shown.weekday(value))


@register.filter
def moment(value):
    return _time(value, shown.moment(value))


@register.simple_tag
def face(person, classes=""):
    """This will show a person's photo, or initials where there is none; the name stands beside it, for all to read."""
    classes = f"face {classes}".strip()
    if digest := getattr(person, "photo_digest", ""):
        address = reverse("photo", args=[person.pk, digest])
        return format_html('<span class="{}" aria-hidden="true"><img src="{}" alt=""></span>', classes, address)
    return format_html('<span class="{}" aria-hidden="true">{}</span>', classes, shown.initials(person))


@register.simple_tag
def state(key, label):
    """This will show a state as a mark and a word."""
    return format_html('<span class="state {}">{}</span>', shown.state_class(key), label)


@register.simple_tag
def waits_for(name, since):
    """This will show whom something waits for, and since when."""
    return format_html('<span class="state pending">{}</span>', shown.waits_for(name, since))


@register.simple_tag
def pips(position, of):
    """This will show how far along its pipeline a stage stands, as bars; its name stands beside them."""
    return format_html('<span class="pips s{}"></span>', shown.pips(position, of))


@register.inclusion_tag("components/list/back.html", takes_context=True)
def way_back(context, name, heading, record):
    """This will show above the title of a record's page the way back to the list that somebody came from."""
    return {"way": WayBack(context["request"], name, record.pk), "heading": heading}


@register.inclusion_tag("components/field.html")
def field(bound, classes=""):
    """This will show a form field whole: label, star, control, help, error, and what ties them together."""
    widget = bound.field.widget
    kind, css = "control", "form-control"
    if widget.is_hidden:
        kind, css = "hidden", ""
    elif isinstance(widget, forms.RadioSelect):  # CheckboxSelectMultiple is one too
        kind, css = "choices", "form-check-input"
    elif isinstance(widget, forms.CheckboxInput):
        kind, css = "check", "form-check-input"
    elif isinstance(widget, forms.Select):
        kind, css = "select", "form-select"
    css = " ".join(filter(None, [widget.attrs.get("class"), css]))
    return {
        "field": bound,
        "kind": kind,
        "classes": classes,
        "starred": getattr(bound.field, "starred", bound.field.required),
        "control": bound.as_widget(attrs={"class": css} if css else {}),
        "options": list(bound) if kind == "choices" else [],
    }


@register.simple_tag
def hidden(form):
    """This will show a form's hidden fields, and hidden what its other fields showed where a form asks for that."""
    shown_first = [field.as_hidden(only_initial=True) for field in form if field.field.show_hidden_initial]
    return SafeString("".join([*map(str, form.hidden_fields()), *shown_first]))


@register.inclusion_tag("components/errors.html")
def errors(*asked):
    """This will say above a form how many things are to be corrected, with a link to each field."""
    wrong = [form[name] for form in asked for name in form.fields if name in form.errors]
    said = [message for form in asked for message in form.non_field_errors()]
    count = len(wrong) + len(said)
    links = [(field.id_for_label or field.auto_id, field.label) for field in wrong]
    # No browser shows a password or a chosen file again.
    lost = any(
        isinstance(field.field.widget, forms.PasswordInput | forms.FileInput) for form in asked for field in form
    )
    return {
        "heading": ngettext("One thing to correct.", "%(count)d things to correct.", count) % {"count": count},
        "said": said,
        "fields": format_html_join(pgettext("between fields", ", "), '<a class="link" href="#{}">{}</a>', links),
        "count": count,
        "kept": not lost,
    }
