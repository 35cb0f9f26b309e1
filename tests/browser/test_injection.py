"""Texts that are a program somewhere, in a browser: none of them runs, opens a dialog or meets the policy of a page."""

import pytest
from django.core.management import call_command

from crm.models import User
from crm.saved_views import SavedView
from notices.models import Announcement, Comment
from opportunities.models import Opportunity
from tests import factories as make
from tests.cases.nasty import MARK, MARKUP

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.mark.case(35, 37)
def test_no_text_runs_on_any_page(sign_in):
    call_command("demo", verbosity=0)
    rep, deputy = (User.objects.get(username=name) for name in ("rep.shijiazhuang", "deputy.shijiazhuang"))
    User.objects.filter(pk=rep.pk).update(name=MARKUP[1], title=MARKUP[3])
    for text in MARKUP:
        customer = make.customer(rep, name=text, address=text, description=text)
        contact = make.contact(customer, name=text, title=text)
        opportunity = make.opportunity(rep, customer=customer, name=text, description=text)
        opportunity.add_contact(by=rep, contact=contact)
        make.follow_up(opportunity, content=text)
        Comment(about=opportunity, text=text).add(by=rep)
    SavedView(listing="opportunities", name=MARKUP[2][:60]).create(by=rep)
    Announcement(title=MARKUP[4], body=MARKUP[5], by=rep).publish(by=User.objects.get(username="manager"))
    opportunity.report(by=rep, approver=deputy, comment=MARKUP[6])
    record, task = opportunity, opportunity.open_task
    draft = Opportunity.objects.filter(state="draft").latest("pk")

    page = sign_in(rep, "/")
    dialogs, asked = [], []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    for address in (
        "/",
        "/opportunities/",
        "/opportunities/board/",
        f"/opportunities/{record.pk}/",
        f"/opportunities/{draft.pk}/edit/",
        f"/opportunities/{record.pk}/history/",
        f"/customers/{record.customer_id}/",
        "/customers/",
        "/contacts/",
        "/follow-ups/",
        f"/search/?q={MARK}",
        "/announcements/",
        "/messages/",
        "/ranking/",
        "/profile/",
    ):
        page.goto(address, wait_until="networkidle")
    page.keyboard.press("/")
    page.keyboard.type(MARK)
    page.get_by_role("option").first.wait_for()
    their = sign_in(deputy, f"/tasks/{task.pk}/")
    their.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    their.wait_for_load_state("networkidle")

    assert dialogs == []
    assert [url for url in asked if f"/{MARK}" in url or "logout" in url] == []
    assert page.evaluate(f"document.querySelectorAll('{MARK}, [{MARK}]').length") == 0
    assert page.url.endswith("/profile/")
