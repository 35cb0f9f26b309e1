"""A row is refused exactly where the form would refuse it, whatever stands in it."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from crm.resources import CREATE, NEW, kinds
from opportunities.follow_up_forms import FollowUpForm
from opportunities.forms import OpportunityForm
from opportunities.models import BusinessType, FollowUp, FollowUpKind, Opportunity, Source, Stage
from tests import factories as make

MOMENTS = [
    "", "2026-10-01 16:20", "2026-10-01T16:20", "2026年10月1日 9:05", "2099-01-01 10:00", "soon",
    "2026-13-01 10:00", "2026-10-01 25:00", "0026-10-01 10:00",
]  # fmt: skip


def verdict_on(kind, person, row):
    """This will give what the import says of one row, {field: text}."""
    resource = kinds()[kind](person)
    resource.match({name: {"column": number} for number, name in enumerate(row)}, {}, mode=CREATE)
    [verdict] = resource.judge([[2, *row.values()]], set())
    return verdict


def chosen(row, **offered):
    """This will give what somebody who reads the row would choose in the form's lists; "0" is none of them."""
    return {
        name: next(
            (one.pk for one in queryset if row[name].strip().casefold() in _called(one)), "0" if row[name] else ""
        )
        for name, queryset in offered.items()
    }


def _called(value):
    return {value.key, *(name.casefold() for name in value.names.values())}


class TestOpportunities(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(
        row=st.fixed_dictionaries(
            {
                "name": st.sampled_from(["A", "", "  ", "x" * 201]),
                "customer": st.sampled_from(["", "One", "Secret", "Nobody", "Twice"]),
                "business_type": st.sampled_from(["", "cloud", "云", "Cloud ", "garden", "5g"]),
                "source": st.sampled_from(["", "referral", "Referral", "nowhere"]),
                "stage": st.sampled_from(["", "proposal", "Won", "lost", "nowhere"]),
                "owner": st.sampled_from(["", "Chen Yu", "chen", "Liu Min", "nobody"]),
            }
        )
    )
    def test_a_row_is_refused_exactly_where_the_form_refuses_it(self, row):
        rep, stranger = make.user("chen", name="Chen Yu"), make.user("liu", name="Liu Min", at="jinan")
        for name, owner in (("One", rep), ("Secret", stranger), ("Twice", rep), ("Twice", rep)):
            make.customer(owner, name=name)
        BusinessType.objects.filter(key="5g").update(active=False)

        verdict = verdict_on("opportunities", rep, row)

        lists = chosen(
            row,
            business_type=BusinessType.objects.filter(active=True),
            source=Source.objects.filter(active=True),
            stage=Stage.objects.filter(active=True, kind="open"),
        )
        form = OpportunityForm({**row, **lists, "act": "save"}, user=rep)
        assert form.is_valid() == (not verdict.faults), (form.errors, verdict.faults)
        assert form.errors.keys() == {name for name, _text, _why in verdict.faults}
        if verdict.fate == NEW:
            form.make()
            Opportunity.create_all([verdict.record], by=rep)
            typed, read = Opportunity.objects.order_by("pk")
            for name in ("name", "customer", "business_type", "source", "stage", "owner", "probability"):
                assert getattr(typed, name) == getattr(read, name)


class TestFollowUps(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(
        row=st.fixed_dictionaries(
            {
                "opportunity": st.just("Dispatch hotline"),
                "at": st.sampled_from(MOMENTS),
                "content": st.text("ab \n谈", max_size=5),
                "kind": st.sampled_from(["call", "电话", "Call", "garden", "visit"]),
            }
        )
    )
    def test_a_row_is_refused_exactly_where_the_form_refuses_it(self, row):
        rep = make.user()
        about = make.opportunity(rep, state="active", name="Dispatch hotline")
        FollowUpKind.objects.filter(key="visit").update(active=False)

        verdict = verdict_on("follow_ups", rep, row)

        typed = {**row, **chosen(row, kind=FollowUpKind.objects.filter(active=True))}
        form = FollowUpForm(typed, instance=FollowUp(opportunity=about), user=rep)
        assert form.is_valid() == (not verdict.faults), (form.errors, verdict.faults)
        assert form.errors.keys() == {name for name, _text, _why in verdict.faults}
        if verdict.fate == NEW:
            made = form.make()
            FollowUp.add_all([verdict.record], by=rep)
            for name in ("at", "content", "kind", "owner", "done_at"):
                assert (getattr(made, name) is None) == (getattr(verdict.record, name) is None)
                if name != "done_at":
                    assert getattr(made, name) == getattr(verdict.record, name)
