"""The forms of an opportunity: entering and changing it, and what each act asks for."""

from collections import namedtuple
from itertools import groupby

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, prefetch_related_objects
from django.forms.models import ModelChoiceIterator
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext

from approvals.models import Act, Approval, Step
from crm import shown
from crm.custom_forms import NEEDED, form_field
from crm.fields import AmountField, DayField, PicklistField, narrow
from crm.forms import Form, RecordForm
from crm.models import User
from crm.moments import organisation_today
from crm.pickers import DepartmentPicker, PersonPicker
from crm.prepared import prepared
from crm.verbs import Refused, whole
from customers.models import Contact
from customers.pickers import ContactPicker, CustomerPicker
from opportunities.entry import chargeable
from opportunities.models import LostReason, Opportunity, Stage, State
from opportunities.reviews import ReviewQuestion

# One step that lies ahead: how sure it is (a mark of the chain), who decides it, and as what.
Ahead = namedtuple("Ahead", ["kind", "who", "what"])


class PercentField(forms.Field):
    """A probability of an open stage, 20 or 20 %. Cleans to a whole number from 1 to 99, or None."""

    default_error_messages = {"invalid": _("Write a whole number from 1 to 99.")}

    def __init__(self, **kwargs):
        super().__init__(widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off"}), **kwargs)

    def to_python(self, value):
        text = narrow(value or "").removesuffix("%").strip()
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 3 and int(text)):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return int(text)

    def prepare_value(self, value):
        return str(_("%(number)s %%")) % {"number": value} if isinstance(value, int) else value


class ByPipeline(ModelChoiceIterator):
    """The stages below the names of their pipelines; where there is one pipeline, without. First none, if it may be."""

    def __iter__(self):
        if self.field.empty_label is not None:
            yield "", self.field.empty_label
        ways = [(way, [*stages]) for way, stages in groupby(self.queryset, lambda stage: stage.pipeline)]
        for way, stages in ways:
            choices = [self.choice(stage) for stage in stages]
            yield from [(way.name, choices)] if len(ways) > 1 else choices


class StageField(PicklistField):
    """A stage of any pipeline in use, each below the name of its pipeline."""

    iterator = ByPipeline


class OwnerPicker(PersonPicker):
    """Whom one may put in charge of a new opportunity."""

    url_name = "owner_pick"

    def queryset_for(self, user):
        return chargeable(user).prefetch_related("roles")


class ApproverField(forms.Field):
    """One of those whom the approval route lets decide first. Cleans to the person; an ungiven choice, to None."""

    default_error_messages = {"unknown": _("This approver is not in the route. Choose one of those listed.")}

    def __init__(self):
        super().__init__(label=_("Approver"), required=False, widget=forms.Select)
        self.people = None  # until the route is worked out

    def offer(self, plan):
        """This will offer the candidates of `plan`, an approvals.models.Plan; one alone is chosen already."""
        prefetch_related_objects([plan.step], "roles")
        prefetch_related_objects(plan.candidates, "roles")
        self.people = {str(person.pk): person for person in plan.candidates}
        listed = [(key, _named(person, plan.step)) for key, person in self.people.items()]
        self.widget.choices = listed if len(listed) == 1 else [("", _("Choose one")), *listed]

    def clean(self, value):
        if self.people is None:
            return None
        if value and value not in self.people:
            raise ValidationError(self.error_messages["unknown"], code="unknown")
        return self.people.get(value)


def _named(person, step):
    """This will give what tells an approver from the others: Zhou Lan, Deputy GM, Shijiazhuang."""
    parts = {"name": person, "role": step.role_of(person), "department": person.department}
    if not parts["role"]:
        return _("%(name)s, %(department)s") % parts
    return _("%(name)s, %(role)s, %(department)s") % parts


def _person(key):
    """This will give the person of a key that a form sent, or None."""
    known = key and key.isascii() and key.isdigit() and len(key) < 19
    return next(iter(_people(int(key))), None) if known else None


@prepared
def _people(key):
    return User.objects.order_by().filter(pk=key)


def _either(people):
    """This will name those of whom one decides."""
    if not people:
        return _("Nobody at present")
    first, last = [str(person) for person in people[:3]], None
    if len(people) > 3:
        last = _("%(count)d more") % {"count": len(people) - 3}
    elif len(people) > 1:
        last = first.pop()
    names = pgettext("between the members of a list", ", ").join(first)
    return _("%(names)s or %(last)s") % {"names": names, "last": last} if last else names


class Asking:
    """
    A form that can ask for an act: it works out whom, and says so where nobody can decide.

    `plan` is the approvals.models.Plan of asking now, or None; `obstacle` then is the sentence that says why.
    """

    plan = None
    obstacle = ""

    def work_out(self, opportunity, act):
        """This will offer the approvers of asking for `act` about `opportunity`, which need not be saved."""
        try:
            self.plan = Approval.plan(opportunity, act, by=self.user)
        except Refused as error:
            self.plan, self.obstacle = None, error.message
            self.fields["approver"].people = {}
            self.fields["approver"].widget.choices = [("", _("Nobody can decide"))]
        else:
            self.fields["approver"].offer(self.plan)
        self.asks_about = opportunity, act

    @property
    def ahead(self):
        """This will list the steps that asking now would go through, as Ahead."""
        opportunity, _act = self.asks_about
        step = self.plan.step
        ahead = [Ahead("did", task.holder, _("has approved it, and that still counts")) for task in self.plan.carried]
        ahead.append(Ahead("next", _either(self.plan.candidates), step))
        later = Step.with_names(self.plan.version.steps.filter(order__gt=step.order))
        for following in later:
            people = following.candidates(opportunity, without=[self.user.pk, opportunity.owner_id])
            what = _("%(role)s, only if it is escalated") if step.may_finish else _("%(role)s, after that")
            ahead.append(Ahead("maybe" if step.may_finish else "next", _either(people), what % {"role": following}))
            step = following
        return ahead

    @property
    def counts_in(self):
        """This will say which ranking the approval counts in, if it came today."""
        _opportunity, act = self.asks_about
        if act == Act.TERMINATE:
            return ""
        return _("counts in the ranking of %(month)s") % {"month": shown.month_name(organisation_today())}

    def must_have_approver(self):
        """This will refuse a submission without an approver, at the field."""
        if self.obstacle:
            self.add_error("approver", self.obstacle)
        elif not self.errors.get("approver") and self.cleaned_data.get("approver") is None:
            self.add_error("approver", _("Choose who approves it."))


class OpportunityForm(Asking, RecordForm):
    """
    An opportunity as its owner, or whoever may edit it, types it; Save keeps it, Submit for approval also asks.

    Beside the record itself: `act` is the button, `save` or `submit`; `asked`, where the holder of a task edits, is the
    form of what the request asks for.
    """

    starred = (*Opportunity.REQUIRED, "owner", "approver")

    customer = CustomerPicker(label=_("Customer"), required=False)
    amount = AmountField(label=_("Amount"), required=False)
    expected_close_on = DayField(label=_("Expected close date"), required=False)
    stage = StageField(Stage.objects.none(), label=_("Stage"), required=False, empty_label=None)
    probability = PercentField(
        label=_("Probability"), required=False, help_text=_("From the stage, until you change it.")
    )
    owner = OwnerPicker(label=_("Person in charge"), required=False)
    approver = ApproverField()
    comment = forms.CharField(
        label=_("Comment"),
        required=False,
        max_length=5000,
        widget=forms.Textarea({"rows": 2}),
        help_text=_("The approver reads it first."),
    )
    description = forms.CharField(
        label=_("Description"), required=False, max_length=20000, widget=forms.Textarea({"rows": 3})
    )

    class Meta:
        model = Opportunity
        fields = (
            "name", "customer", "business_type", "source", "amount", "expected_close_on", "stage", "probability",
            "owner", "description",
        )  # fmt: skip
        field_classes = {"business_type": PicklistField, "source": PicklistField}

    def __init__(self, data=None, *, user, instance=None, **kwargs):
        super().__init__(data, user=user, instance=instance or Opportunity(owner=user), **kwargs)
        self.opportunity = instance  # as it was read: the form writes on a copy
        self.is_new = self.instance.pk is None
        self.task = None if self.is_new else self.instance.task_held_by(user)
        self.asked = None
        self.act = data.get("act", "save") if data is not None else ""
        may = self.instance.may if not self.is_new else {"report"}
        self.may_submit = "report" in may and self.instance.state in (State.DRAFT, State.RETURNED)
        self._settle_fields()
        if self.may_submit and not self.is_bound:
            self._plan()

    def _settle_fields(self):
        begun = Stage.to_begin_with(self.user.department) if self.is_new else self.instance.stage
        offered = Q(active=True, pipeline__active=True)
        if not self.is_new:
            offered |= Q(active=True, pipeline=begun.pipeline_id) | Q(pk=begun.pk)
        stages = Stage.objects.filter(offered, kind=Stage.Kind.OPEN).select_related("pipeline")
        self.fields["stage"].queryset = stages.order_by("pipeline__order", "pipeline__key", "order", "key")
        self.fields["business_type"].empty_label = self.fields["source"].empty_label = _("Choose one")
        if self.is_new:
            self.fields["stage"].initial, self.fields["probability"].initial = begun, begun.probability
            self.initial = {k: v for k, v in self.initial.items() if v is not None}
            self.fields["customer"].help_text = format_html(
                '{} <a class="link" href="{}" target="_blank">{}</a>',
                _("Not there yet?"), reverse("customer_new"), _("New customer"),
            )  # fmt: skip
        else:
            del self.fields["owner"]  # that is Transfer
            if self.instance.adds_up:
                del self.fields["amount"]  # the lines say it
            if self.instance.state == State.ACTIVE and self.task is None:
                del self.fields["customer"]  # that is Reassign
        if self.instance.state != State.RETURNED:
            del self.fields["comment"]
        if not self.may_submit:
            del self.fields["approver"]
        if self.task is not None:  # whoever decides may put right what they decide about, and nothing else
            for name in self.fields.keys() & {*self.names} - Opportunity.FROZEN - {"probability"}:
                del self.fields[name]

    def needs(self, field, instance):
        return super().needs(field, instance) or (instance.pk is not None and instance.has_reached(field.stage))

    @property
    def submitting(self):
        return self.act == "submit"

    @property
    def _typed_probability(self):
        """This will tell whether the probability is another than the form showed; else it may follow a new stage."""
        shown = self.get_initial_for_field(self.fields["probability"], "probability")
        return self.cleaned_data["probability"] != shown

    # What was typed

    def _post_clean(self):
        super()._post_clean()
        if not self.may_submit:
            return
        if self.submitting:
            self._check_complete()
        # Whom one may ask follows from what was typed, so the approver is looked at last. To submit, the verb works
        # that out under its lock, and refuses others in the words of this form: where nothing else is wrong, it is
        # enough to know whom it is about. What was saved without an approver goes to nobody yet.
        given = self.data.get(self.add_prefix("approver"))
        self.cleaned_data["approver"] = _person(given) if self.submitting and not self.errors else None
        if self.cleaned_data["approver"] is None and (given or self.submitting or self.errors):
            self._choose_approver(given)

    def _choose_approver(self, given):
        self._plan()
        try:
            self.cleaned_data["approver"] = self.fields["approver"].clean(given)
        except ValidationError as error:
            self.add_error("approver", error)
        if self.submitting:
            self.must_have_approver()

    def refuse(self, error):
        if self.may_submit:
            self._plan()  # the form is shown again, with whom one may ask now
        super().refuse(error)

    def _plan(self):
        """This will work out whom the opportunity, as typed, would go to."""
        opportunity = self.instance
        if opportunity.owner_id is None:  # nobody was named: then it is oneself
            opportunity.owner = self.user
        opportunity.place(opportunity.owner.department)
        opportunity.price()
        self.work_out(opportunity, Act.REPORT)

    def _check_complete(self):
        if self.is_new and self.cleaned_data.get("owner") not in (None, self.user):
            self.add_error("owner", _("Only the person in charge submits it. Save it as a draft for them."))
        stage = self.cleaned_data.get("stage")
        needed = [*Opportunity.REQUIRED, *getattr(stage, "required", []), *self.instance.custom_missing()]
        for name in dict.fromkeys(needed):
            if name in self.fields and not self.errors.get(name) and self.cleaned_data.get(name) in (None, ""):
                self.add_error(name, self.fields[name].error_messages["required"])

    # What is done with it

    def enter(self):
        if not self._typed_probability:
            self.instance.probability = None  # then it follows the stage
        super().enter()
        self._submit()
        return self.instance

    def change(self):
        return self.does(self._change)

    def _change(self, *, by, seen):
        typed = {name: self.cleaned_data[name] for name in self.names if name in self.fields}
        if not self._typed_probability:
            del typed["probability"]  # then it stays as it was, or follows the stage
        if typed["stage"] is None:
            del typed["stage"]
        if self.submitting and self.asked is None and not self.opportunity.would_change(**typed):
            self._submit(seen=seen)
            return
        with whole():
            self.instance.change(by=by, seen=seen, **typed)
            if self.asked is not None:
                self.instance.amend(by=by, **self.asked.values())
            self._submit()

    def _submit(self, *, seen=None):
        if self.submitting:
            given = {name: self.cleaned_data.get(name) for name in ("approver", "comment")}
            self.instance.report(by=self.user, seen=seen, approver=given["approver"], comment=given["comment"] or "")


# ── What the acts ask for ────────────────────────────────────────────────────────────────────────────────────────────


class SigningFields(Form):
    """The figures of a signature."""

    contract_number = forms.CharField(label=_("Contract number"), max_length=60)
    signed_amount = AmountField(label=_("Signed amount"))
    signed_on = DayField(label=_("Signed on"))
    term = forms.IntegerField(
        label=_("Term"), required=False, min_value=1, max_value=1200, help_text=_("In months; empty for none.")
    )

    def values(self):
        return {name: self.cleaned_data[name] for name in ("contract_number", "signed_amount", "signed_on", "term")}


class TerminatingFields(Form):
    """Why an opportunity is given up."""

    reason = forms.ModelChoiceField(LostReason.objects.all(), label=_("Reason"), empty_label=_("Choose one"))
    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=5000,
        widget=forms.Textarea({"rows": 3}),
        help_text=_("Needed where the reason is “Other”."),
    )

    def values(self):
        return {name: self.cleaned_data[name] for name in ("reason", "note")}


class _AskToClose(Asking, Form):
    """What both requests to close an opportunity share: whom they go to, and what is said with them."""

    def __init__(self, *args, record, **kwargs):
        super().__init__(*args, record=record, **kwargs)
        self.choices = {}
        self.questions = ReviewQuestion.for_act(self.act)
        before = {row["question"]["id"]: row for row in self.initial.get("review") or []}
        for question in self.questions:
            self._ask_review(question, before.get(question.pk))
        self.fields["approver"] = ApproverField()
        self.fields["approver"].starred = True
        self.fields["comment"] = forms.CharField(
            label=_("Comment"),
            required=False,
            max_length=5000,
            widget=forms.Textarea({"rows": 2}),
            help_text=_("The approver reads it first."),
        )
        self.work_out(record, self.act)

    def clean(self):
        self.must_have_approver()

    def _ask_review(self, question, before):
        """This will add the field of a question of the review, with what was answered `before`."""
        if question.kind == ReviewQuestion.Kind.TEXT:
            field = forms.CharField(max_length=5000, required=False, widget=forms.Textarea({"rows": 3}))
            field.initial = before and before["text"]
        else:
            self.choices |= {str(choice.pk): choice for choice in question.choices.all()}
            offered = [(str(choice.pk), choice.name) for choice in question.choices.all()]
            field = forms.TypedChoiceField(
                choices=[("", _("Choose one")), *offered], required=False, coerce=self.choices.get, empty_value=None
            )
            field.initial = before and before["choice"] and str(before["choice"]["id"])
        field.label, field.starred = question.name, question.required
        self.fields[f"review_{question.pk}"] = field

    @property
    def review_fields(self):
        return [self[f"review_{question.pk}"] for question in self.questions]

    def values(self):
        review = {question.pk: self.cleaned_data[f"review_{question.pk}"] for question in self.questions}
        given = {name: self.cleaned_data[name] for name in ("approver", "comment")}
        return super().values() | given | {"review": review}


class SignForm(_AskToClose, SigningFields):
    """Asks to accept a signature."""

    act = Act.SIGN


class TerminateForm(_AskToClose, TerminatingFields):
    """Asks to give the opportunity up."""

    act = Act.TERMINATE


class CorrectForm(SigningFields):
    """Puts a signing's wrong figures right."""

    reason = forms.CharField(
        label=_("What was wrong"),
        max_length=2000,
        widget=forms.Textarea({"rows": 2}),
        help_text=_("Kept in the history."),
    )

    def values(self):
        return super().values() | {"reason": self.cleaned_data["reason"]}


class VoidForm(Form):
    """Ends a draft or a returned report."""

    reason = forms.CharField(label=_("Reason"), max_length=2000, widget=forms.Textarea({"rows": 3}))


class TransferForm(Form):
    """Puts somebody else in charge."""

    owner = PersonPicker(label=_("New person in charge"))


class ShareForm(Form):
    """Lets people and departments see, or edit."""

    people = PersonPicker(label=_("People"), required=False, many=True)
    departments = DepartmentPicker(
        label=_("Departments"), required=False, many=True, help_text=_("With all departments below them.")
    )
    may_edit = forms.BooleanField(label=_("May edit"), required=False)

    def clean(self):
        if not self.errors and not self.cleaned_data["people"] and not self.cleaned_data["departments"]:
            self.add_error("people", _("Choose at least one person or department."))


class UnshareForm(Form):
    """Names the one whose share ends: a person or a department."""

    person = PersonPicker(required=False)
    department = DepartmentPicker(required=False)


class ContactForm(Form):
    """Names a person of the customer, and what they matter for."""

    contact = ContactPicker(label=_("Contact"))
    role = forms.CharField(
        label=_("Role"), required=False, max_length=60, help_text=_("Here, in a few words: decides, uses it, pays.")
    )


class QuickContactForm(RecordForm):
    """Enters a person of the opportunity's customer and names them on it, in one go."""

    role = forms.CharField(label=_("Role"), required=False, max_length=60)

    asks_custom = NEEDED

    class Meta:
        model = Contact
        fields = ["name", "title", "mobile", "email"]

    def __init__(self, *args, opportunity, **kwargs):
        super().__init__(*args, instance=Contact(customer=opportunity.customer), **kwargs)
        self.opportunity = opportunity

    def enter(self):
        with whole():
            self.instance.create(by=self.user)
            self.opportunity.add_contact(contact=self.instance, by=self.user, role=self.cleaned_data["role"])
        return self.instance


class ReassignForm(Form):
    """Names the customer to whom it belongs from now on, and the person there whom one calls first."""

    customer = CustomerPicker(label=_("Customer"))
    contact = ContactPicker(
        label=_("Contact"), required=False, help_text=_("A person of that customer; empty names nobody yet.")
    )


class MoveForm(Form):
    """Names the stage to move to, and what that stage asks for which the opportunity has not got yet."""

    stage = forms.ModelChoiceField(Stage.objects.select_related("pipeline"), widget=forms.HiddenInput)

    def __init__(self, *args, asks=(), **kwargs):
        added = {custom.key: form_field(custom) for custom in Opportunity.custom_fields()}
        own = OpportunityForm.base_fields | added
        self.base_fields = self.base_fields | {name: own[name] for name in asks}
        super().__init__(*args, **kwargs)
        for name in asks:
            self.fields[name].required = self.fields[name].starred = True

    def values(self):
        """This will give what was typed of what the stage asks for."""
        return {name: self.cleaned_data[name] for name in self.cleaned_data.keys() - {"stage", "version"}}
