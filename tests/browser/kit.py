"""A page with what the frame gives to every page, for the browser to try: pickers, rows, questions, busy buttons."""

import time

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.template import engines
from django.urls import path

from crm import urls
from crm.fields import AmountField, ChoiceHint
from crm.forms import Form
from crm.pickers import PersonPicker


class Picker(PersonPicker):
    url_name = "kit_pick"

    def create_row(self, user, text):
        return f"New person “{text}”", f"/profile/?name={text}"


class KitForm(Form):
    owner = Picker(label="Person in charge")
    people = Picker(label="People", many=True, required=False)
    amount = AmountField(label="Amount", required=False)
    decision = forms.ChoiceField(
        label="Decision",
        choices=[("finish", ChoiceHint("Approve and finish", "It becomes active.")), ("return", "Return")],
        widget=forms.RadioSelect,
        required=False,
    )


KIT = """
{% extends "base.html" %}{% load look %}
{% block title %}Kit{% endblock %}
{% block heading %}Kit{% endblock %}
{% block acts %}<a class="btn" href="/kit/ask/" data-ask>Withdraw</a>{% endblock %}
{% block content %}
<table class="rows">
<thead><tr><th><span class="visually-hidden">Choose</span></th><th>Opportunity</th></tr></thead>
<tbody>
  {% for name in names %}
    <tr>
      <td class="fit"><input class="form-check-input" type="checkbox" aria-label="Select {{ name }}"></td>
      <td class="name"><a class="cut" href="/profile/?{{ name }}">{{ name }}</a></td>
    </tr>
  {% endfor %}
</tbody></table>
<form method="post" novalidate>{% csrf_token %}
  {% errors form %}
  <div class="fields">{% field form.owner %}{% field form.people %}{% field form.amount %}</div>
  {% field form.decision %}
  <div class="bar"><button class="btn btn-primary" name="act" value="save">Save</button></div>
</form>
{% endblock %}
"""
ASK = """
{% extends "confirm.html" %}
{% block title %}Withdraw{% endblock %}
{% block question %}Withdraw the signing?{% endblock %}
{% block consequences %}Wang Jun no longer sees it.{% endblock %}
{% block no_url %}/kit/{% endblock %}
{% block no %}Keep it{% endblock %}
{% block yes %}Withdraw{% endblock %}
"""
saved = []  # what was posted, in order


def page(request, text, **context):
    return HttpResponse(engines["django"].from_string(text).render(context, request))


def kit(request):
    form = KitForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        time.sleep(0.5)  # long enough for a second press
        people = [person.name for person in form.cleaned_data["people"]]
        saved.append((form.cleaned_data["owner"].name, people, request.POST["act"]))
        messages.success(request, "Saved.")
        return redirect("/kit/")
    return page(request, KIT, form=form, names=["Alpha", "Beta", "Gamma"])


def ask(request):
    if request.method == "POST":
        saved.append("withdrawn")
        return redirect("/kit/")
    return page(request, ASK)


urlpatterns = [
    *urls.urlpatterns,
    path("kit/", kit),
    path("kit/ask/", ask),
    path("kit/pick/", Picker.as_view(), name="kit_pick"),
    path("kit/search/", kit, name="search"),
    path("kit/new/", kit, name="opportunity_new"),
]
handler429 = urls.handler429
