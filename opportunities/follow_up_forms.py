"""The forms of a follow-up: adding it, ticking it off, changing it."""

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm.fields import FilesField, MomentField
from crm.forms import RecordForm
from crm.verbs import whole
from customers.pickers import ContactPicker
from notices.files import File
from opportunities.follow_ups import FollowUp


class FollowUpForm(RecordForm):
    """A call, a visit … that was made or is planned, and what comes next."""

    at = MomentField(label=_("When"), help_text=_("In the past: it is done. Ahead: it is planned."))
    contact = ContactPicker(label=_("With"), required=False)
    files = FilesField(label=_("Files"), required=False)
    next_at = MomentField(label=_("Next follow-up"), required=False)
    next_content = forms.CharField(
        label=_("What comes next"),
        required=False,
        widget=forms.Textarea({"rows": 2}),
        help_text=_("Empty means the same again."),
    )

    class Meta:
        model = FollowUp
        fields = ["kind", "content", "at", "contact"]
        widgets = {"content": forms.Textarea({"rows": 4})}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["kind"].empty_label = None  # it is filled in beforehand
        customer = self.instance.about.customer if self.instance.opportunity_id else self.instance.customer
        if customer is None:
            del self.fields["contact"]
        else:
            self.fields["contact"].of(customer)

    def clean(self):
        super().clean()
        if (
            self.cleaned_data.get("next_content")
            and not self.cleaned_data.get("next_at")
            and "next_at" not in self.errors
        ):
            self.add_error("next_at", _("Say when this is to be done."))

    @property
    def next(self):
        return {name: self.cleaned_data[name] for name in ("next_at", "next_content")}

    def enter(self):
        with whole():
            self.instance.add(by=self.user, **self.next)
            File.add(self.instance, self.cleaned_data["files"], by=self.user)
        return self.instance


class DoneForm(FollowUpForm):
    """A planned follow-up that was done: what came of it, when, and what comes next."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.initial["at"] = timezone.now()
        self.fields["at"].help_text = ""
        del self.fields["files"]

    def change(self):
        return super().change(done=True, **self.next)


class ChangeForm(FollowUpForm):
    """A follow-up as it was written, to be put right."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["at"].help_text = ""
        del self.fields["files"], self.fields["next_at"], self.fields["next_content"]
