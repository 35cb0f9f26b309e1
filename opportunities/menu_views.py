"""The menus of the rows of opportunities and of follow-ups."""

from urllib.parse import urlencode

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from crm.menu_pages import MenuPage, Offer
from crm.pages import came_from
from opportunities.follow_up_lists import FollowUpList
from opportunities.lists import OpportunityList
from opportunities.record import Page


class OpportunityMenu(MenuPage):
    listing = OpportunityList
    joins = ("customer", "business_type", "source", "stage", "owner", "department")

    def offers(self):
        """This will list what the page of the opportunity offers."""
        page = Page(self.record, self.user)
        return [Offer(offer.label, offer.url, offer.ask, offer.locked) for offer in (*page.offers, *page.more)]


class FollowUpMenu(MenuPage):
    listing = FollowUpList
    joins = ("opportunity", "customer")

    @property
    def url(self):
        return self.record.about.get_absolute_url()

    def offers(self):
        back = came_from(self.request)
        asked = f"?{urlencode({'list': back})}" if back else ""
        if self.record.done_at is None:
            yield self.offer(pgettext("button", "Done"), "follow_up_done", "change", asked=asked)
        yield self.offer(_("Modify"), "follow_up_edit", "change", asked=asked)
        yield self.offer(_("Delete"), "follow_up_delete", "delete", asked=asked, ask=True)
