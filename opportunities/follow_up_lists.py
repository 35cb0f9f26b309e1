"""The list of follow-ups: everything that its reader sees of what was done, and of what is planned."""

from functools import cached_property

from django.db.models import Count, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext

from crm import columns, shown
from crm.columns import Column, tagged
from crm.exports import Out
from crm.orders import Order
from crm.pages import Figure, Listing, Tab
from crm.permissions import EVERYWHERE
from crm.querysets import is_wide
from customers.models import Contact
from opportunities.models import FollowUp


def when(row):
    return "late" if row["late"] else "", tagged(
        '<time datetime="%s">%s</time>', row["at"].isoformat(), shown.moment(row["at"])
    )


def standing(row):
    word = _("Done") if row["done"] else _("Overdue") if row["late"] else _("Planned")
    mark = "active" if row["done"] else "returned" if row["late"] else "draft"
    state = tagged('<span class="state %s">%s</span>', mark, word)
    if row["done"] or not row["changeable"]:
        return state
    done = tagged(
        '<a class="over to-do" href="%s?%s"><i class="bi bi-check-lg" aria-hidden="true"></i>%s</a>',
        row["done_url"],
        row["list"],
        pgettext("button", "Done"),
    )
    return SafeString(f"{state} {done}")


def of_customer(row):
    if row["customer"] is None:
        return ""
    return tagged('<a class="over" href="%s">%s</a>', *row["customer"]) if row["opportunity"] else row["customer"][1]


class FollowUpList(Listing):
    model = FollowUp
    name = "follow_ups"
    heading = _("Follow-up Records")
    has_menus = True
    template = "opportunities/follow_ups/list.html"
    nothing = (_("No follow-up records yet"), _("Calls, visits and meetings that you may read about appear here."))
    sorts = {"when": "at"}
    columns = [
        columns.name(
            "about",
            _("About"),
            outs=(
                Out(_("Opportunity"), "opportunity__name"),
                Out(_("Opportunity number"), "opportunity__number"),
                Out(_("Customer"), "customer__name"),
            ),
        ),
        Column("at", _("When"), td="fit num p1", sort="when", cell=when, outs="at"),
        columns.picked("kind", _("Type"), td="fit p0", shown=True),
        columns.text("content", _("Content"), td="grow most cut p2", shown=True),
        Column(
            "standing",
            _("State"),
            td="fit p4",
            cell=standing,
            outs=(Out(_("State"), "done_at", lambda done: str(_("Done") if done else _("Planned"))),),
        ),
        columns.short("owner", _("Person in charge"), path="owner__name", classes="hide-narrow", shown=True),
        Column(
            "contact",
            _("With"),
            "hide-narrow",
            td="fit quiet",
            cell=lambda row: row["with"],
            outs=Out(_("With"), None, batch=lambda listing, pks: listing.with_of(pks)),
        ),
        columns.day("next", _("Next one"), path="next__at", outs="next__at", classes="right hide-mid", shown=True),
        Column("customer", _("Customer"), td="fit quiet", cell=of_customer, shown=False, outs=()),
        columns.files("followup"),
        columns.day("created_at", _("Entered")),
    ]
    values = ["pk", "opportunity_id", "opportunity__name", "customer_id", "customer__name", "at", "done_at", "owner_id"]
    filters = ["kind", "owner", "at", "done", "overdue", "next", "department", "content"]
    tabs = [
        Tab(_("All"), {}),
        Tab(_("Planned"), {"done": "no"}),
        Tab(_("Overdue"), {"overdue": "yes"}),
        Tab(_("Done by me"), {"done": "yes", "owner": "me"}),
    ]
    sums = {"planned": Count("pk", filter=Q(done_at=None))}

    def __init__(self, request):
        """What lies ahead stands soonest first, and what happened latest first, unless the address says else."""
        super().__init__(request)
        if not self.query.get("sort"):
            asked = {(leaf.field.key, leaf.value) for leaf in self.conditions.leaves() if leaf.op == "is"}
            ahead = not asked.isdisjoint({("done", False), ("overdue", True)})
            self.orders = [Order("when", "at", not ahead)]

    def _main(self, main, descending, needed):
        """Of a few people's follow-ups, the index of all moments would be walked far for one."""
        if not is_wide(self.user):
            return self._ordered(main, descending, indexed=False)
        return super()._main(main, descending, needed)

    def _near(self, main, descending, needed):
        """Of a province's, it would be walked far for a thousand."""
        return [] if main else super()._near(main, descending, needed)

    @cached_property
    def _changes_all(self):
        return self.user.is_any(*EVERYWHERE)

    def row(self, pk, opportunity_id, opportunity, customer_id, customer, at, done_at, owner_id):
        to_opportunity, to_customer, to_done = self._records
        of_customer = (to_customer % customer_id, customer) if customer_id else None
        return {
            "url": to_opportunity % opportunity_id if opportunity_id else of_customer[0],
            "name": opportunity if opportunity_id else customer,
            "opportunity": opportunity_id,
            "changeable": owner_id == self.user.pk or self._changes_all,
            "done_url": to_done % pk,
            "customer": of_customer,
            "at": at,
            "done": done_at is not None,
            "late": done_at is None and at < self._now,
            "with": self._with.get(pk, ""),
        }

    @cached_property
    def _now(self):
        return timezone.now()

    @cached_property
    def _records(self):
        """This will give the addresses of an opportunity, a customer, and of what is done, to be filled with a key."""
        names = ("opportunity", "customer", "follow_up_done")
        return [reverse(name, args=[0]).replace("/0/", "/%d/") for name in names]

    @cached_property
    def _with(self):
        return self.with_of(self.pks)

    def with_of(self, pks):
        """This will give, of some follow-ups, the names of those whom they were with, where the reader knows them."""
        people = Contact.objects.visible_to(self.user).order_by().values("pk")
        met = FollowUp.objects.filter(pk__in=pks, contact__in=people)
        return dict(list(met.values_list("pk", "contact__name")))

    def figures(self):
        count, planned = self.totals["count"], self.totals["planned"]
        said = ngettext("<b>{}</b> follow-up record", "<b>{}</b> follow-up records", count)
        return [
            Figure(format_html(said, f"{count:,}")),
            Figure(format_html(ngettext("<b>{}</b> planned", "<b>{}</b> planned", planned), f"{planned:,}")),
        ]
