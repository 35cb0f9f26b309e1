"""The forms of an announcement and of a comment."""

from django.forms import Textarea
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm.forms import RecordForm
from crm.pickers import DepartmentPicker
from notices.models import Announcement, Comment


class AnnouncementForm(RecordForm):
    """Title, text, and whom it is for."""

    readers = DepartmentPicker(
        many=True,
        label=_("For departments"),
        required=False,
        help_text=_("Those below them read it too. Left empty, it is for everybody."),
    )

    class Meta:
        model = Announcement
        fields = ["title", "body"]
        widgets = {"body": Textarea(attrs={"rows": 10})}

    def __init__(self, *args, instance=None, **kwargs):
        super().__init__(*args, instance=instance, **kwargs)
        if instance is not None:
            self.initial["readers"] = list(instance.departments.all())

    def enter(self):
        self.instance.publish(by=self.user, departments=self.cleaned_data["readers"])
        return self.instance


class CommentForm(RecordForm):
    """What one wants to say about a record."""

    class Meta:
        model = Comment
        fields = ["text"]
        labels = {"text": pgettext_lazy("button", "Comment")}
        help_texts = {"text": _("@ and a name tells that person.")}
        widgets = {"text": Textarea(attrs={"rows": 2})}

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # Where the text field asks for the people whose name begins like what follows an @.
        people = f"{self.instance.about.get_absolute_url()}comments/?people"
        self.fields["text"].widget.attrs |= {"data-mentions": people, "data-matches": _("Matches")}

    def enter(self):
        self.instance.add(by=self.user)
        return self.instance
