"""The page of an opportunity: what it says and offers in each state, to whom, and at what price."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from crm.moments import organisation_today
from notices.history import Event
from tests import factories as make
from tests.asserting import not_there
from tests.digest import nothing_changed
from tests.opportunities.acts import STATES, address, in_state, version

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


def page(client, opportunity, reader=None):
    client.force_login(reader or opportunity.owner)
    return client.get(address(opportunity)).content.decode()


def acts(html):
    """This will give the texts of the acts in the head, filled ones with *, locked ones in ()."""
    head = html[html.index('<div class="acts') : html.index('<dl class="keys">')]
    head = head[: head.index("</details>")] if "</details>" in head else head
    found = []
    for tag, inside in re.findall(r"<((?:a|button) [^>]*)>(.*?)</(?:a|button)>", head, re.DOTALL):
        text = re.sub(r"<[^>]+>", "", inside).strip()
        found.append(f"*{text}" if "btn-primary" in tag else f"({text})" if "disabled" in tag else text)
    return [text for text in found if text and text != "Print"]  # which a script shows, and changes nothing


def band(html):
    start = html.find('<section class="band')
    if start < 0:
        return ""
    said = re.sub(r"</?(time|b)\b[^>]*>", "", html[start : html.index("</section>", start)])
    return " ".join(re.sub(r"<[^>]+>", " ", said).split())


def figures(html):
    """This will give {label: [value, line below]} of the key figures."""
    start = html.index('<dl class="keys">')
    keys = re.sub(r"\s*\n\s*", "", html[start : html.index("</dl>", start)])
    found = re.findall(r"<dt>(.*?)</dt><dd[^>]*>(.*?)<span class=\"sub[^>]*>(.*?)</span></dd>", keys)
    return {label: [re.sub(r"<[^>]+>", "", text).strip() for text in texts] for label, *texts in found}


def path(html):
    """This will give (stage, mark, line below) of each place on the path."""
    start = html.index('<ol class="path"')
    way = html[start : html.index("</ol>", start)]
    places = re.findall(r'<li class="(\w*)"[^>]*><b>(.*?)</b><span class="sub">(.*?)</span>', way)
    return [(name, kind, sub) for kind, name, sub in places]


OFFERS = {
    "draft": ["*Submit for approval", "Modify", "Transfer", "Share", "Void", "Copy"],
    "reporting": ["*Add Follow-up Record", "(Modify)", "(Transfer)", "Share", "Copy"],
    "returned": ["*Modify", "Add Follow-up Record", "Transfer", "Share", "Void", "Copy"],
    "active": ["*Add Follow-up Record", "Apply to sign", "Apply to terminate", "Modify", "Transfer", "Share", "Copy"],
    "signing": ["*Add Follow-up Record", "(Modify)", "(Transfer)", "Share", "Copy"],
    "terminating": ["*Add Follow-up Record", "(Modify)", "(Transfer)", "Share", "Copy"],
    "signed": ["Add Follow-up Record", "Share", "Copy"],
    "terminated": ["Add Follow-up Record", "Share", "Copy"],
    "void": ["Add Follow-up Record", "Share", "Copy"],
}


@pytest.mark.parametrize("state", STATES)
def test_the_owner_is_offered_what_the_state_allows_with_one_filled_button_at_most(client, state):
    html = page(client, in_state(state))
    assert acts(html) == OFFERS[state]
    assert html.count("btn-primary") == int(any(text.startswith("*") for text in OFFERS[state]))


def test_submitting_a_draft_leads_to_its_form_and_modifying_it_to_the_same_one(client):
    draft = in_state("draft")
    html = page(client, draft)
    for act, heading in (("?act=submit", "Submit for approval"), ("", "Modify")):
        assert f'href="/opportunities/{draft.pk}/edit/{act}"' in html
        form = client.get(f"/opportunities/{draft.pk}/edit/{act}").content.decode()
        assert f'<h1 class="title">{heading}</h1>' in form
        assert 'name="act" value="submit"' in form


@pytest.mark.parametrize("state", STATES)
def test_a_guest_is_offered_a_copy_and_nothing_else(client, state):
    opportunity = in_state(state)
    guest = make.user(at="jinan")
    opportunity.share(by=opportunity.owner, people=[guest])
    html = page(client, opportunity, guest)
    assert acts(html) == ["Copy"]
    for word in ("Withdraw", "Resubmit", "Move to", "Remove ", "End the share", "Drop the request"):
        assert word not in html


def test_a_locked_act_says_why(client):
    assert 'title="This is being approved, so it is locked until it is decided."' in page(client, in_state("signing"))


BANDS = {
    "draft": "A draft: nobody above you sees it yet. It has everything that is needed to submit it.",
    "reporting": "The report waits for {deputy}. Until it is approved, customer, amount and dates are locked.",
    "returned": "{deputy} returned the report, today, {time}. Name the decision maker. Resubmit",
    "active": "",
    "signing": "The signing waits for {deputy}. Until it is approved the stage stays First contact and the amount is",
    "terminating": "The termination waits for {deputy}.",
    "signed": "Signed on {today}. Contract C-",
    "terminated": "Terminated on {today}: Budget cancelled.",
    "void": "Void since {today}. Entered twice.",
}


@pytest.mark.parametrize("state", STATES)
def test_the_band_answers(client, state):
    opportunity = in_state(state)
    deputy = make.approver(opportunity)
    said = band(page(client, opportunity))
    expected = BANDS[state].format(deputy=deputy, today=f"{organisation_today():%-d %b}", time="{time}")
    assert re.match(re.escape(expected).replace(re.escape("{time}"), r"\d\d:\d\d"), said), said
    assert bool(said) == bool(expected)


def test_it_says_for_how_long_it_has_waited(client):
    with time_machine.travel("2026-11-17T08:20:00Z", tick=False):
        opportunity = in_state("signing")
    with time_machine.travel("2026-11-19T09:00:00Z", tick=False):
        said = band(page(client, opportunity))
        assert f"The signing waits for {opportunity.open_task.holder}, 2 days now." in said
        assert "You asked, Tue 17 Nov, 16:20" in said
        html = page(client, opportunity, opportunity.open_task.holder)
        assert "The signing waits for you, 2 days now." in band(html)
        assert 'btn-primary" href="/tasks/' in html
        assert acts(html)[0] == "Add Follow-up Record"


def test_the_chain_names_who_asked_who_approved_whom_it_waits_for_and_who_may_come(client):
    opportunity = in_state("reporting")
    deputy, gm = opportunity.open_task.holder, make.user("zhao", "gm", name="Zhao Hongtao")
    html = page(client, opportunity)
    assert re.findall(r'<li class="(did|now|next|maybe|back-to)">', html) == ["did", "now", "maybe"]
    opportunity.open_task.escalate(by=deputy, to=gm, seen=version(opportunity))
    html = page(client, opportunity)
    assert re.findall(r'<li class="(did|now|next|maybe|back-to)">', html) == ["did", "did", "now"]
    assert "Zhao Hongtao" in band(html) and deputy.name in band(html)


def test_withdraw_is_there_for_the_owner_until_somebody_decides(client):
    opportunity = in_state("reporting")
    gm = make.user(None, "gm")
    assert "Withdraw</a>" in page(client, opportunity)
    assert "Withdraw</a>" not in page(client, opportunity, gm)
    opportunity.open_task.escalate(by=opportunity.open_task.holder, to=gm, seen=version(opportunity))
    assert "Withdraw</a>" not in page(client, opportunity)


def test_a_returned_signing_is_resubmitted_or_dropped_and_the_other_end_is_locked(client):
    opportunity = in_state("active")
    deputy = make.approver(opportunity)
    make.sign(opportunity, approver=deputy)
    opportunity.open_task.return_(by=deputy, comment="The amount differs.", seen=version(opportunity))
    html = page(client, opportunity)
    said = band(html)
    assert "returned the signing" in said and "The amount differs." in said
    assert "Resubmit" in said and "Drop the request" in said
    assert acts(html)[1:3] == ["Apply to sign", "(Apply to terminate)"]
    assert "Resubmit" not in page(client, opportunity, make.user(None, "gm"))


def test_the_draft_says_what_is_still_needed(client):
    draft = make.opportunity(make.user(), customer=None, amount=None)
    assert "To submit it you still need: customer, amount." in band(page(client, draft))


# Figures


def test_the_number_stands_under_the_grand_total(client):
    opportunity = in_state("active")
    assert figures(page(client, opportunity))["Grand total"][0] == "¥100,000"
    assert opportunity.number in figures(page(client, opportunity))["Grand total"][1]


def test_the_forecast_is_amount_times_probability_and_says_where_that_is_from(client):
    opportunity = in_state("active")
    assert figures(page(client, opportunity))["Forecast"][0] == "¥20,000"
    assert "20 %, from the stage" in figures(page(client, opportunity))["Forecast"][1]
    opportunity.change(by=opportunity.owner, probability=35)
    assert figures(page(client, opportunity))["Forecast"][0] == "¥35,000"
    assert "35 %, typed by hand" in figures(page(client, opportunity))["Forecast"][1]


def test_what_is_to_be_signed_and_what_was_signed_stand_beside_the_total(client):
    opportunity = in_state("active")
    deputy = make.approver(opportunity)
    make.sign(opportunity, approver=deputy, amount=132_000)
    assert figures(page(client, opportunity))["To be signed"][0] == "¥132,000"
    opportunity.open_task.finish(by=deputy, seen=version(opportunity))
    html = page(client, opportunity)
    assert figures(html)["Signed"][0] == "¥132,000"
    assert figures(html)["Grand total"][0] == "¥100,000"
    assert "Forecast" not in figures(html)


def test_the_expected_close_counts_days_says_when_late_and_how_often_it_moved(client):
    today = organisation_today()
    opportunity = make.opportunity(make.user(), expected_close_on=today + timedelta(days=5))
    assert "in 5 days" in figures(page(client, opportunity))["Expected close"][1]
    opportunity.change(by=opportunity.owner, expected_close_on=today + timedelta(days=9))
    assert "in 9 days, moved once" in figures(page(client, opportunity))["Expected close"][1]
    opportunity.change(by=opportunity.owner, expected_close_on=today - timedelta(days=3))
    html = page(client, opportunity)
    assert "3 days late, moved 2 times" in figures(html)["Expected close"][1]
    assert 'class="sub late"' in html


def test_the_next_step_is_the_follow_up_planned_soonest(client):
    opportunity = in_state("active")
    assert figures(page(client, opportunity))["Next step"][0] == "none planned"
    make.follow_up(opportunity, at=timezone.now() + timedelta(days=4), content="Handover meeting")
    make.follow_up(opportunity, at=timezone.now() + timedelta(days=2), content="Send the price")
    assert figures(page(client, opportunity))["Next step"][0] == "Send the price"


# Its way


def test_the_path_shows_the_days_in_each_stage(client):
    with time_machine.travel("2026-09-08T02:00:00Z", tick=False) as clock:
        opportunity = in_state("active")
        clock.move_to("2026-09-20T02:00:00Z")
        opportunity.move(by=opportunity.owner, stage=make.stage("needs-confirmed"))
        clock.move_to("2026-10-11T02:00:00Z")
        opportunity.move(by=opportunity.owner, stage=make.stage("proposal"))
        clock.move_to("2026-10-20T02:00:00Z")
        assert path(page(client, opportunity)) == [
            ("First contact", "done", "12 d"),
            ("Needs confirmed", "done", "21 d"),
            ("Proposal", "current", "since 11 Oct, 9 d"),
            ("Negotiation", "", ""),
            ("Won", "", ""),
        ]


def test_an_amount_changed_meanwhile_does_not_start_the_stage_anew(client):
    with time_machine.travel("2026-09-08T02:00:00Z", tick=False) as clock:
        opportunity = in_state("active")
        clock.move_to("2026-09-12T02:00:00Z")
        opportunity.change(by=opportunity.owner, amount=1)
        clock.move_to("2026-09-20T02:00:00Z")
        assert path(page(client, opportunity))[0] == ("First contact", "current", "since 8 Sep, 12 d")


@pytest.mark.parametrize(("state", "end"), [
    ("signing", ("Won", "asked", "waits for approval")),
    ("terminating", ("Lost", "asked", "waits for approval")),
    ("signed", ("Won", "current", "")),
    ("terminated", ("Lost", "current", "")),
    ("draft", ("Won", "", "")),
])  # fmt: skip
def test_the_stage_that_was_asked_for_is_hatched_and_the_one_it_ended_in_is_there(client, state, end):
    assert path(page(client, in_state(state)))[-1] == end


def test_a_lost_one_did_not_come_past_where_it_stood(client):
    opportunity = in_state("terminated")
    assert [kind for _name, kind, _sub in path(page(client, opportunity))] == ["done", "", "", "", "current"]


# Its parts


def test_the_number_where_it_came_from_stands_in_the_details_where_there_is_one(client):
    rep = make.user()
    there, none = (make.opportunity(rep, reference=reference) for reference in ("1C1I7A6R", ""))

    assert '<dt>Reference</dt><dd class="num">1C1I7A6R</dd>' in page(client, there)
    assert "<dt>Reference</dt>" not in page(client, none)


def test_the_headings_are_those_of_the_manual(client):
    headings = re.findall(r"<h2>(.*?)</h2>", page(client, in_state("active")))
    texts = [re.sub(r"<span.*?</span>", "", heading).strip() for heading in headings]
    main = ["Follow-up Records", "Lines", "Files", "Comments", "Approval history", "History"]
    assert texts[:9] == [*main, "Details", "Contacts", "Shared with"]


def test_the_history_of_approvals_tells_rounds_decisions_and_comments(client):
    opportunity = in_state("returned")
    deputy = make.approver(opportunity)
    opportunity.report(by=opportunity.owner, approver=deputy, comment="It is Ms Ding.")
    html = page(client, opportunity)
    told = html[html.index('id="approvals"') : html.index('id="history"')]
    for words in ("returned the report", "Name the decision maker.", "again to approve the report", "It is Ms Ding."):
        assert words in told


def test_the_history_stands_on_pages_of_fifty(client):
    opportunity = in_state("active")
    for number in range(60):
        opportunity.change(by=opportunity.owner, name=f"Name {number}")
    total = Event.objects.about(opportunity).count()
    assert f"{total} changes" in page(client, opportunity)
    first = client.get(address(opportunity, "history")).content.decode()
    second = client.get(address(opportunity, "history"), {"page": "2"}).content.decode()
    assert ("<ins>Name 59</ins>" in first, "created it" in first) == (True, False)
    assert ("<ins>Name 59</ins>" in second, "created it" in second) == (False, True)
    for bad in ("0", "-1", "x", "9" * 400, "\0"):
        assert client.get(address(opportunity, "history"), {"page": bad}).status_code == 200


def test_a_stranger_finds_neither_page_nor_history(client):
    opportunity = in_state("active")
    client.force_login(make.user(at="jinan"))
    with nothing_changed():
        assert not_there(client, address(opportunity))
        assert not_there(client, address(opportunity, "history"))


def test_a_superior_does_not_see_a_draft_and_sees_it_once_it_is_reported(client):
    opportunity = in_state("draft")
    client.force_login(make.user("gm", "gm"))
    assert not_there(client, address(opportunity))
    opportunity.report(by=opportunity.owner, approver=make.approver(opportunity))
    assert client.get(address(opportunity)).status_code == 200


def test_whoever_decided_once_still_sees_it(client):
    opportunity = in_state("active")
    deputy = make.approver(opportunity)
    deputy.roles.clear()
    client.force_login(deputy)
    assert client.get(address(opportunity)).status_code == 200


def test_a_follow_ups_contact_whom_the_reader_does_not_see_is_not_named(client):
    opportunity = in_state("active")
    contact = make.contact(opportunity.customer, name="Canary Contact")
    make.follow_up(opportunity, contact=contact)
    guest = make.user(at="jinan")
    opportunity.share(by=opportunity.owner, people=[guest])
    assert "Canary Contact" in page(client, opportunity)
    assert "Canary Contact" in page(client, opportunity, make.user(None, "gm"))
    assert "Canary Contact" in page(client, opportunity, make.user(None, "opportunity_manager"))
    assert "Canary Contact" not in page(client, opportunity, guest)


@pytest.mark.case(35)
def test_what_people_wrote_is_shown_and_never_run(client):
    bad = "<script>alert(1)</script>{{7*7}}<img src=x onerror=alert(1)>"
    opportunity = make.opportunity(make.user(), name=bad, description=bad)
    opportunity.report(by=opportunity.owner, approver=make.approver(opportunity), comment=bad)
    html = page(client, opportunity)
    assert "<script>alert" not in html and "<img src=x" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{7*7}}" in html


# What it costs


def grow(opportunity, count):
    """This will give the opportunity `count` of everything that its page lists."""
    deputy = make.approver(opportunity)
    for number in range(count):
        make.follow_up(opportunity, at=timezone.now() + timedelta(days=number) if number % 2 else None)
        opportunity.add_contact(by=opportunity.owner, contact=make.contact(opportunity.customer))
        opportunity.share(by=opportunity.owner, people=[make.user(at="jinan")], may_edit=bool(number % 2))
        opportunity.change(by=opportunity.owner, name=f"Name {number}")
        make.sign(opportunity, approver=deputy)
        opportunity.open_task.return_(by=deputy, comment="Again.", seen=version(opportunity))
        opportunity.refresh_from_db()
    return opportunity


@pytest.mark.parametrize("reader", ["owner", "gm", "opportunity_manager", "guest"])
def test_it_costs_the_same_for_one_and_for_thirty_of_everything(client, django_assert_num_queries, reader):
    people = {role: make.user(role, role, at="hebei") for role in ("gm", "opportunity_manager")}
    costs = []
    for count in (1, 30):
        opportunity = grow(in_state("active"), count)
        guest = make.user(at="jinan")
        opportunity.share(by=opportunity.owner, people=[guest])
        client.force_login({"owner": opportunity.owner, "guest": guest, **people}[reader])
        client.get(address(opportunity))
        with django_assert_num_queries(13 if not costs else costs[0]) as asked:
            assert client.get(address(opportunity)).status_code == 200
        costs.append(len(asked))
    assert costs[0] == costs[1] <= 15


@pytest.mark.parametrize("state", STATES)
def test_it_costs_at_most_fifteen_queries_in_every_state(client, django_assert_max_num_queries, state):
    opportunity = in_state(state)
    make.follow_up(opportunity)
    page(client, opportunity)
    with django_assert_max_num_queries(15):
        client.get(address(opportunity))


def test_five_hundred_shares_cost_no_query_more_and_the_page_shows_ten(client, django_assert_num_queries):
    opportunity = in_state("active")
    page(client, opportunity)
    guests = make.User.objects.bulk_create(
        make.User(username=f"guest{number}", name=f"Guest {number}", department=opportunity.department)
        for number in range(500)
    )
    with django_assert_num_queries(13):
        client.get(address(opportunity))
    opportunity.share(by=opportunity.owner, people=guests)
    with django_assert_num_queries(13):
        html = client.get(address(opportunity)).content.decode()
    assert "Guest 9" in html and "Guest 10<" not in html
    assert "All 500" in html
