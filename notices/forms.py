"""The forms of an announcement, of a document, of a comment, and of what one wants to hear of."""

from django.forms import (
    BooleanField,
    CharField,
    CheckboxSelectMultiple,
    ChoiceField,
    ModelMultipleChoiceField,
    Textarea,
)
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from crm import files
from crm.fields import DayField, FilesField
from crm.forms import Form, RecordForm
from crm.models import Role, User
from crm.pickers import DepartmentPicker
from crm.verbs import whole
from notices.documents import Document
from notices.models import Announcement, Comment
from notices.preferences import ALWAYS_IN_APP, AT_ONCE, DAILY, GROUPS, NEVER


class AnnouncementForm(RecordForm):
    """Title, text, whom it is for, and when."""

    body = CharField(
        label=_("Text"),
        max_length=50_000,
        widget=Textarea({"rows": 10, "data-editor": ""}),
        help_text=_("Paragraphs are kept. Without the editor, simple HTML is taken as well."),
    )
    readers = DepartmentPicker(
        many=True,
        label=_("For departments"),
        required=False,
        help_text=_("Those below them read it too. Left empty, it is for everybody."),
    )
    roles = ModelMultipleChoiceField(
        Role.objects.all(),
        label=_("For roles"),
        required=False,
        widget=CheckboxSelectMultiple,
        help_text=_("Of those departments, only who holds one of these roles. None ticked means all."),
    )
    from_on = DayField(label=_("From"), required=False, help_text=_("Empty means at once."))
    until_on = DayField(label=_("Until"), required=False, help_text=_("The last day on which it is read."))

    class Meta:
        model = Announcement
        fields = ["title", "body", "from_on", "until_on", "pinned", "must_confirm"]

    def __init__(self, *args, instance=None, **kwargs):
        super().__init__(*args, instance=instance, **kwargs)
        if instance is None:
            return
        self.initial["body"] = instance.formatted
        self.initial["readers"] = list(instance.departments.all())
        self.initial["roles"] = list(instance.roles.all())
        self.fields["again"] = BooleanField(label=_("Mark it as new again for those who have read it"), required=False)

    def clean(self):
        super().clean()
        first, last = self.cleaned_data.get("from_on"), self.cleaned_data.get("until_on")
        if first and last and last < first:
            self.add_error("until_on", _("It ends before it begins."))

    @property
    def whom(self):
        return {"departments": self.cleaned_data["readers"], "roles": list(self.cleaned_data["roles"])}

    def enter(self):
        self.instance.publish(by=self.user, **self.whom)
        return self.instance

    def change(self):
        return super().change(**self.whom, again=self.cleaned_data["again"])


class DocumentForm(RecordForm):
    """A document's name, what is said of it, and whom it is for."""

    readers = DepartmentPicker(
        many=True,
        label=_("For departments"),
        required=False,
        help_text=_("Those below them read it too. Left empty, it is for everybody."),
    )

    class Meta:
        model = Document
        fields = ["name", "description"]
        labels = {"name": pgettext_lazy("of a document", "Name"), "description": _("Description")}
        widgets = {"description": Textarea({"rows": 3})}

    def __init__(self, *args, instance=None, **kwargs):
        super().__init__(*args, instance=instance, **kwargs)
        if instance is not None:
            self.initial["readers"] = list(instance.departments.all())

    def change(self):
        return super().change(departments=self.cleaned_data["readers"])


class NewDocumentForm(DocumentForm):
    """One document with its file, or several, each named as its file."""

    files = FilesField(label=_("Files"))

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["name"].required = self.fields["name"].starred = False
        self.fields["name"].help_text = _("Left empty, it is called as its file is.")

    def clean(self):
        cleaned = super().clean()
        if cleaned.get("name") and len(cleaned.get("files") or []) > 1:
            self.add_error("name", _("Several files are named as they are. Leave this empty, or choose one file."))
        return cleaned

    @whole()
    def enter(self):
        """This will add a document for each file, and give the last."""
        for upload in self.cleaned_data["files"]:
            name = self.cleaned_data["name"] or files.safe_name(upload.name).rpartition(".")[0]
            document = Document(name=name, description=self.cleaned_data["description"])
            document.add([upload], by=self.user, departments=self.cleaned_data["readers"])
        return document


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


class NotificationForm(Form):
    """For each kind of message: whether it stands in the app, and whether and when it is mailed."""

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, user=user, **kwargs)
        ways = [(AT_ONCE, _("At once")), (DAILY, _("Daily digest")), (NEVER, _("Never"))]
        for group in GROUPS:
            kept = user.notifications.get(group, {})
            if group not in ALWAYS_IN_APP:
                label = _("In the app")
                self.fields[f"app_{group}"] = BooleanField(label=label, required=False, initial=kept.get("app", True))
            mail = ChoiceField(label=_("By e-mail"), choices=ways, initial=kept.get("mail", AT_ONCE))
            mail.starred = False  # something is always chosen
            self.fields[f"mail_{group}"] = mail

    def rows(self):
        """This will give (label, field of the app or None, field of the mail) of each kind."""
        for group, (label, _kinds) in GROUPS.items():
            yield label, self[f"app_{group}"] if group not in ALWAYS_IN_APP else None, self[f"mail_{group}"]

    def keep(self):
        """This will keep what differs from the usual."""
        wishes = {}
        for group in GROUPS:
            wish = {} if self.cleaned_data.get(f"app_{group}", True) else {"app": False}
            if self.cleaned_data[f"mail_{group}"] != AT_ONCE:
                wish["mail"] = self.cleaned_data[f"mail_{group}"]
            if wish:
                wishes[group] = wish
        User.objects.filter(pk=self.user.pk).update(notifications=wishes)
