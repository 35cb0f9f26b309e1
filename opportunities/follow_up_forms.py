"""The forms of a follow-up: adding it, ticking it off, changing it."""

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm.fields import FilesField
from crm.forms import RecordForm
from crm.verbs import whole
from customers.forms import FollowUpsForm, ask_when_next
from customers.pickers import ContactPicker
from notices.files import File
from opportunities.follow_ups import FollowUp


class FollowUpForm(RecordForm):
    """A call, a visit … that was made or is planned, and what comes next."""

    at = FollowUpsForm.base_fields["at"]
    contact = ContactPicker(label=_("With"), required=False)
    files = FilesField(label=_("Files"), required=False)
    next_at = FollowUpsForm.base_fields["next_at"]
    next_content = FollowUpsForm.base_fields["next_content"]

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
        ask_when_next(self)

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
