"""The look's tags: a field shows all that belongs to it, and what a page says is said to machines too."""

from datetime import UTC, date, datetime

import time_machine
from django import forms
from django.contrib.auth.models import AnonymousUser
from django.core.paginator import Paginator
from django.template import Context, RequestContext, Template
from django.utils import timezone

from crm.fields import AmountField, ChoiceHint, DayField
from crm.forms import Form
from crm.verbs import Refused


def page_at(rf, address):
    request = rf.get(address)
    request.user = AnonymousUser()
    return request


class Report(Form):
    starred = ("amount",)
    name = forms.CharField(label="Opportunity name", help_text="As the customer calls it.")
    amount = AmountField(label="Amount", required=False)
    close_on = DayField(label="Expected close date", required=False)
    stage = forms.ChoiceField(label="Stage", choices=[("", "Choose"), ("a", "Proposal")], required=False)
    shared = forms.BooleanField(label="May edit", required=False)
    decision = forms.ChoiceField(
        label="Decision",
        choices=[("finish", ChoiceHint("Approve", "Liu Min is told.")), ("return", "Return")],
        widget=forms.RadioSelect,
        required=False,
    )


def shown(text, **context):
    inside = RequestContext(context["request"], context) if "request" in context else Context(context)
    return Template("{% load look %}" + text).render(inside)


def test_a_required_label_ends_in_a_star_and_so_does_one_that_submitting_needs():
    form = Report()
    assert 'Opportunity name<span class="star">*</span></label>' in shown("{% field form.name %}", form=form)
    amount = shown("{% field form.amount %}", form=form)
    assert 'Amount<span class="star">*</span></label>' in amount
    assert "required" not in amount
    assert "star" not in shown("{% field form.close_on %}", form=form)


def test_a_wrong_field_keeps_what_was_typed_and_is_tied_to_its_error_and_its_help():
    form = Report({"name": "", "amount": "about 45万"})
    amount = shown("{% field form.amount %}", form=form)
    assert 'value="about 45万"' in amount
    assert 'aria-invalid="true"' in amount
    assert 'aria-describedby="id_amount_error"' in amount
    assert '<p class="error" id="id_amount_error">' in amount
    assert "Write a number: 450000, 450,000 or 45万." in amount
    name = shown("{% field form.name %}", form=form)
    assert 'aria-describedby="id_name_helptext id_name_error"' in name
    assert 'id="id_name_helptext">As the customer calls it.' in name
    assert "Fill this in." in name


def test_each_kind_of_control_is_dressed_as_the_look_says():
    form = Report()
    assert 'class="form-control"' in shown("{% field form.name %}", form=form)
    assert '<span class="select"><select' in shown("{% field form.stage %}", form=form)
    assert 'class="form-select"' in shown("{% field form.stage %}", form=form)
    assert 'class="form-check-input"' in shown("{% field form.shared %}", form=form)
    assert 'type="date"' in shown("{% field form.close_on %}", form=form)
    assert '<span aria-hidden="true">¥</span>' in shown("{% field form.amount %}", form=form)


def test_each_choice_says_what_it_will_do():
    decision = shown("{% field form.decision %}", form=Report())
    assert '<p class="hint" id="id_decision_0_hint">Liu Min is told.</p>' in decision
    assert 'aria-describedby="id_decision_0_hint"' in decision
    assert decision.count('class="hint"') == 1
    assert "checked" not in decision
    assert "checked" in shown("{% field form.decision %}", form=Report({"decision": "return"}))


def test_what_others_typed_is_never_markup():
    form = Report({"name": "<b>x", "amount": '"><script>'})
    page = shown("{% errors form %}{% field form.name %}{% field form.amount %}", form=form)
    assert "<script>" not in page
    assert "<b>x" not in page


def test_the_summary_counts_and_links_to_each_wrong_field():
    page = shown("{% errors form %}", form=Report({"name": "", "amount": "x"}))
    assert "2 things to correct." in page
    assert '<a class="link" href="#id_name">Opportunity name</a>' in page
    assert '<a class="link" href="#id_amount">Amount</a>' in page
    assert "One thing to correct." in shown("{% errors form %}", form=Report({"name": ""}))
    assert shown("{% errors form %}", form=Report({"name": "x"})).strip() == ""
    assert shown("{% errors form %}", form=Report()).strip() == ""


def test_a_refusal_stands_at_the_field_it_names_or_above_the_form():
    form = Report({"name": "x"})
    assert form.is_valid()
    form.refuse(Refused("Wang Jun may not decide this.", field="stage"))
    form.refuse(Refused("Somebody else was faster.", field="no such field"))
    assert form.errors["stage"] == ["Wang Jun may not decide this."]
    assert form.non_field_errors() == ["Somebody else was faster."]
    assert "Somebody else was faster." in shown("{% errors form %}", form=form)


@time_machine.travel(datetime(2026, 11, 20, 10, tzinfo=UTC), tick=False)
def test_days_and_moments_are_times_for_machines_too():
    with timezone.override("Asia/Shanghai"):
        assert shown("{{ x|day }}", x=date(2026, 11, 25)) == '<time datetime="2026-11-25">25 Nov</time>'
        at = datetime(2026, 11, 17, 8, 20, tzinfo=UTC)
        assert shown("{{ x|moment }}", x=at) == '<time datetime="2026-11-17T08:20:00+00:00">Tue 17 Nov, 16:20</time>'
        assert shown("{{ x|weekday }}", x=at) == '<time datetime="2026-11-17T08:20:00+00:00">Tue 17 Nov</time>'
    assert shown("{{ x|day }}{{ x|moment }}{{ x|weekday }}{{ x|money }}{{ x|waited }}{{ x|ago }}", x=None) == ""


def test_states_and_stages_have_a_mark_and_a_word():
    assert shown('{% state "reporting" "Reporting" %}') == '<span class="state pending">Reporting</span>'
    assert shown("{% pips 3 4 %}") == '<span class="pips s3"></span>'
    with time_machine.travel(datetime(2026, 11, 20, 10, tzinfo=UTC), tick=False):
        assert 'pending">&lt;i&gt;, 2 d<' in shown(
            "{% waits_for n x %}", n="<i>", x=datetime(2026, 11, 18, 9, tzinfo=UTC)
        )


def test_the_pager_keeps_the_other_conditions(rf):
    page = Paginator(range(42), 25).page(2)
    pager = shown('{% include "components/pager.html" %}', page=page, request=page_at(rf, "/?q=a&page=2"))
    assert "26–42 of 42" in pager
    assert 'rel="prev" href="?q=a&amp;page=1"' in pager
    assert 'rel="next"' not in pager
