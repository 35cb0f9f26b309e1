"""The home page answers "what waits for me?" in one look; each of its numbers is that of the list behind it."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.urls import resolve, reverse
from django.utils import timezone

from crm.models import User
from crm.moments import organisation_month
from notices.models import Announcement, Message
from opportunities.models import FollowUp, Opportunity
from opportunities.ranking import Ranking
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def rep():
    return make.user("rep", name="Chen Yu")


@pytest.fixture
def deputy():
    return make.user("deputy", "deputy_gm", name="Zhou Lan")


@pytest.fixture
def manager():
    return make.user("manager", "opportunity_manager", at="head-office", name="Fang Rui")


def home(client, reader, query=""):
    client.force_login(reader)
    return client.get(f"/{query}")


def shown(response):
    return response.content.decode()


class TestTheGreeting:
    @pytest.mark.parametrize(
        ("hour", "words"),
        [(5, "Good morning"), (11, "Good morning"), (12, "Good afternoon"), (18, "Good evening"), (3, "Good evening")],
    )
    def test_it_follows_the_readers_own_clock(self, client, rep, hour, words):
        User.objects.filter(pk=rep.pk).update(time_zone="America/New_York")
        with time_machine.travel(datetime(2026, 11, 20, hour, 30, tzinfo=ZoneInfo("America/New_York")), tick=False):
            assert f"{words}, Chen Yu. Nothing waits for you." in shown(home(client, rep))

    def test_it_counts_what_waits_and_says_since_when(self, client, rep, deputy):
        for _number in range(2):
            make.opportunity(rep, state="reporting")
        deputy.tasks.update(opened_at=timezone.now() - timedelta(days=6, hours=1))
        html = shown(home(client, deputy))

        assert "2 things wait for you." in html
        assert "The oldest has waited 6 days" in html

    def test_it_says_when_one_was_here_before(self, client, rep):
        assert "Last sign-in" not in shown(home(client, rep))
        User.objects.filter(pk=rep.pk).update(previous_sign_in_at=timezone.now() - timedelta(days=1))
        assert "Last sign-in" in shown(client.get("/"))


class TestWhatWaits:
    @pytest.fixture
    def waiting(self, rep, deputy):
        """Two tasks and one message for the deputy."""
        first, second = (make.opportunity(rep, state="reporting", name=name) for name in ("First", "Second"))
        other = make.opportunity(rep, state="active", name="Told of")
        other.share(by=rep, people=[deputy])
        Message.objects.exclude(kind="shared").delete()
        return first, second, other

    def test_all_tasks_are_what_is_to_do_and_what_is_to_read(self, client, deputy, waiting):
        response = home(client, deputy)
        html = shown(response)

        assert [task.about.name for task in response.context["tasks"]] == ["First", "Second"]
        assert [message.title for message in response.context["told"]] == ["Told of"]
        for label, count in (("All tasks", 3), ("To do", 2), ("To read", 1)):
            assert f'{label} <span class="n">{count}</span>' in html

    @pytest.mark.parametrize(
        ("tab", "there", "not_there"), [("todo", "First", "Told of"), ("read", "Told of", "First")]
    )
    def test_a_tab_shows_one_kind(self, client, deputy, waiting, tab, there, not_there):
        html = shown(home(client, deputy, f"?tab={tab}"))

        assert f">{there}</a>" in html
        assert f">{not_there}</a>" not in html.split("My opportunities")[0]

    def test_the_counts_are_those_of_the_pages_behind_them(self, client, deputy, waiting):
        context = home(client, deputy).context

        assert context["tasks_count"] == client.get("/tasks/").context["page"].paginator.count == 2
        assert context["told_count"] == client.get("/messages/").context["page"].paginator.count == 1
        assert {item.name: item.count for group in context["frame"].groups for item in group if item.count} == {
            "tasks": 2,
            "messages": 1,
        }

    def test_more_than_fits_is_counted_and_a_door_leads_to_it(self, client, rep, deputy):
        for _number in range(12):
            make.opportunity(rep, state="reporting")
        html = shown(home(client, deputy))

        assert "12 things wait for you." in html
        assert "All 12 things to do" in html
        assert html.count('class="todo ') == 10

    def test_a_returned_report_waits_for_its_owner(self, client, rep):
        make.opportunity(rep, state="returned", name="Image archive")
        html = shown(home(client, rep))

        assert "Revise" in html
        assert "Name the decision maker." in html

    def test_a_message_of_what_went_out_of_sight_gives_no_name_away(self, client, rep):
        colleague = make.user(at="jinan")
        opportunity = make.opportunity(rep, state="active", name="Secret c0ffee")
        opportunity.share(by=rep, people=[colleague])
        assert "c0ffee" in shown(home(client, colleague))

        opportunity.unshare(by=rep, person=colleague)
        html = shown(client.get("/"))
        assert "c0ffee" not in html
        assert "No longer visible to you" in html


class TestOpportunities:
    def test_ones_own_come_in_the_products_order_and_five_at_most(self, client, rep):
        day = timezone.localdate() + timedelta(days=40)
        made = [
            make.opportunity(rep, state="active", expected_close_on=day - timedelta(days=number)) for number in range(7)
        ]
        made.append(make.opportunity(rep, state="terminated"))
        context = home(client, rep).context

        assert context["mine"] == list(Opportunity.objects.in_order().owned_by(rep)[:5]) == made[6:1:-1]
        assert context["mine_count"] == 8

    def test_what_others_share_stands_apart_with_who_shared_it(self, client, rep):
        other = make.opportunity(make.user(name="Sun Qi", at="baoding"), state="active", name="Joint offer")
        other.share(by=other.owner, departments=[make.department("shijiazhuang")])
        response = home(client, rep)

        assert ([], [other]) == (response.context["mine"], response.context["shared"])
        assert "Sun Qi, Baoding" in shown(response)

    def test_what_nobody_shared_is_not_there(self, client, rep):
        make.opportunity(make.user(at="baoding"), state="active", name="Joint offer")
        assert "Joint offer" not in shown(home(client, rep))

    @pytest.mark.parametrize(("counted", "query"), [("mine_count", "owner=me"), ("shared_count", "shared=yes")])
    def test_each_count_is_the_count_of_the_list_it_opens(self, client, rep, counted, query):
        for state in ("draft", "active", "signed", "terminated", "reporting"):
            make.opportunity(rep, state=state)
            other = make.opportunity(make.user(at="baoding"), state=state)
            other.share(by=other.owner, people=[rep])
        response = home(client, rep)
        address = f"{reverse('opportunities')}?{query}"
        assert f'href="{address}"' in shown(response)

        assert response.context[counted] == client.get(address).context["listing"].totals["count"] == 5

    def test_reporting_one_is_the_main_act(self, client, rep):
        html = shown(home(client, rep))
        assert f'<a class="btn btn-primary" href="{reverse("opportunity_new")}">Report opportunity</a>' in html

    def test_who_belongs_to_no_department_cannot_report(self, client, rep):
        User.objects.filter(pk=rep.pk).update(department=None)
        assert "Report opportunity" not in shown(home(client, rep))


class TestToday:
    def due(self, client, reader):
        return [follow_up.content for follow_up in home(client, reader).context["due"]]

    def test_it_lists_what_is_due_today_and_what_is_overdue_the_oldest_first(self, client, rep):
        with time_machine.travel(datetime(2026, 11, 20, 9, tzinfo=ZoneInfo("Asia/Shanghai")), tick=False) as clock:
            opportunity = make.opportunity(rep, state="active")
            now = timezone.now()
            for content, at in (("Meeting", 6), ("Call", 1), ("Tomorrow", 24)):
                make.follow_up(opportunity, content=content, at=now + timedelta(hours=at))
            clock.shift(timedelta(hours=2))
            html = shown(home(client, rep))

            assert self.due(client, rep) == ["Call", "Meeting"]
            assert '<time class="late" datetime="2026-11-20T02:00:00+00:00">10:00</time>' in html
            assert '<time class="" datetime="2026-11-20T07:00:00+00:00">15:00</time>' in html
            clock.shift(timedelta(days=1))
            assert self.due(client, rep) == ["Call", "Meeting", "Tomorrow"]

    def test_the_day_ends_where_the_reader_is(self, client, rep):
        with time_machine.travel(datetime(2026, 11, 20, 12, tzinfo=ZoneInfo("Asia/Shanghai")), tick=False):
            make.follow_up(
                make.opportunity(rep, state="active"), content="Call", at=timezone.now() + timedelta(hours=13)
            )
            assert self.due(client, rep) == []
            User.objects.filter(pk=rep.pk).update(time_zone="Europe/Paris")
            assert self.due(client, rep) == ["Call"]

    def test_a_colleagues_is_not_mine_though_i_see_the_record(self, client, rep, deputy):
        opportunity = make.opportunity(rep, state="active")
        make.follow_up(opportunity, by=rep, content="Call", at=timezone.now() + timedelta(seconds=1))
        with time_machine.travel(timezone.now() + timedelta(minutes=1)):
            assert self.due(client, deputy) == []
            assert self.due(client, rep) == ["Call"]

    def test_what_is_done_is_gone(self, client, rep):
        make.follow_up(make.opportunity(rep, state="active"), content="Call")
        assert self.due(client, rep) == []


class TestRankingAndNews:
    def test_the_ranking_is_that_of_the_month_and_of_ones_province(self, client, rep):
        make.opportunity(rep, state="signed")
        make.opportunity(make.user(name="Ma Li", at="jinan"), state="signed")
        context = home(client, rep).context
        behind = Ranking(rep, organisation_month(), make.department("hebei"))

        assert (
            [(row.name, row.value, row.place) for row in context["top_amounts"]]
            == [(row.name, row.value, row.place) for row in behind.amounts.rows]
            == [("Chen Yu", 10_000_000, 1)]
        )
        assert [(row.name, row.value) for row in context["top_reports"]] == [("Chen Yu", 1)]

    def test_the_first_three_and_oneself(self, client, rep):
        for number in range(6):
            make.opportunity(make.user(name=f"Rep {number}"), state="signed", amount=1000 - number)
        context = home(client, rep).context

        assert [(row.place, row.name) for row in context["top_amounts"]] == [
            (1, "Rep 0"),
            (2, "Rep 1"),
            (3, "Rep 2"),
            (7, "Chen Yu"),
        ]

    def test_announcements_are_counted_while_they_are_unread(self, client, rep, manager):
        first = Announcement(title="Year-end", body="Report by 24 December.")
        first.publish(by=manager)
        Announcement(title="For Shandong", body="…").publish(by=manager, departments=[make.department("shandong")])
        assert [(one.title, one.unread) for one in home(client, rep).context["news"]] == [("Year-end", True)]
        assert client.get("/").context["unread_count"] == 1

        client.get(first.get_absolute_url())
        response = client.get("/")
        assert [(one.title, one.unread) for one in response.context["news"]] == [("Year-end", False)]
        assert response.context["unread_count"] == 0


def test_whoever_is_not_signed_in_is_asked_to(client):
    assert client.get("/").url.startswith(reverse("account_login"))


def test_a_post_changes_nothing(client, rep):
    client.force_login(rep)
    assert client.post("/").status_code == 405


def test_it_is_what_its_address_says():
    assert resolve("/").url_name == "home"


@pytest.mark.parametrize("tab", ["all", "todo", "read"])
def test_it_costs_the_same_queries_for_one_row_and_for_thirty(
    client, rep, deputy, manager, django_assert_max_num_queries, tab
):
    def fill(count):
        for _number in range(count):
            make.opportunity(rep, state="reporting")
            own = make.opportunity(deputy, state="draft")
            make.follow_up(own, by=deputy, at=timezone.now() + timedelta(days=1))
            make.opportunity(rep, state="active").share(by=rep, people=[deputy])
            Announcement(title="News", body="…").publish(by=manager)
        FollowUp.objects.update(at=timezone.now())  # what was planned is due

    seen = []
    for count in (1, 29):
        fill(count)
        home(client, deputy)  # kinds of record are looked up once
        with django_assert_max_num_queries(15) as counted:
            response = client.get(f"/?tab={tab}")
        seen.append(len(counted))
    assert {response.context[f"{part}_count"] for part in ("tasks", "shared", "mine", "due")} == {30}
    assert seen[0] == seen[1]
