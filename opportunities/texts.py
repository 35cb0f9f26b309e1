"""By what opportunities are found: see crm.texts."""

from crm.texts import Text


class OpportunityText(Text):
    record = "opportunities.Opportunity"
    names = ("name", "customer__name")
    others = ("number", "reference")
