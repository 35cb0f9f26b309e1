"""The form of an announcement."""

from django.forms import Textarea
from django.utils.translation import gettext_lazy as _

from crm.forms import RecordForm
from crm.pickers import DepartmentPicker
from notices.models import Announcement


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
