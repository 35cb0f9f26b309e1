"""The cells of opportunities that are changed within their list."""

from django.utils.translation import gettext_lazy as _

from crm.cell_pages import CellPage, OneField
from crm.fields import AmountField, DayField, PicklistField
from crm.forms import RecordForm
from opportunities.forms import PercentField
from opportunities.lists import OpportunityList
from opportunities.models import Opportunity, Stage, State
from opportunities.record import Page


class OpportunityCell(OneField, RecordForm):
    """One field of an opportunity; a stage is moved to, where there is a way to walk."""

    starred = ("business_type", "amount", "expected_close_on")

    amount = AmountField(label=_("Amount"), required=False)
    expected_close_on = DayField(label=_("Expected close date"), required=False)
    stage = PicklistField(Stage.objects.none(), label=_("Stage"), empty_label=None)
    probability = PercentField(
        label=_("Probability"), required=False, help_text=_("From the stage, until you change it.")
    )

    class Meta:
        model = Opportunity
        fields = ("name", "business_type", "source", "amount", "expected_close_on", "stage", "probability")
        field_classes = {"business_type": PicklistField, "source": PicklistField}

    def __init__(self, *args, only, **kwargs):
        super().__init__(*args, only=only, **kwargs)
        if only == "stage":
            begun = self.instance.stage
            offered = Stage.objects.filter(active=True) | Stage.objects.filter(pk=begun.pk)
            self.fields["stage"].queryset = offered.filter(pipeline=begun.pipeline_id, kind=Stage.Kind.OPEN)
        elif only in ("business_type", "source"):
            self.fields[only].empty_label = _("Choose one")

    def change(self):
        if self.only == "stage" and self.instance.state == State.ACTIVE:
            return self.does(self.instance.move, stage=self.cleaned_data["stage"])
        return super().change()


class OpportunityCells(CellPage):
    listing, form = OpportunityList, OpportunityCell
    joins = ("customer", "business_type", "source", "stage", "owner", "department")

    def obstacle(self):
        if self.field == "amount" and self.record.adds_up:
            return _("The amount is the sum of the lines: change those.")
        return Page(self.record, self.user).obstacle("change")
