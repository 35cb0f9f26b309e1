"""Announcements: written by those who may, for departments and those below, unread until opened, withdrawn for good."""

import pytest
from django.urls import reverse

from crm.verbs import NotAllowed
from notices.models import Announcement, AnnouncementRead, Event
from tests import factories as make

pytestmark = pytest.mark.django_db
NEW = "/announcements/new/"


@pytest.fixture
def manager():
    return make.user("manager", "opportunity_manager", at="head-office", name="Fang Rui")


@pytest.fixture
def rep():
    return make.user("rep", name="Chen Yu")


def announced(by, *departments, title="Year-end", body="Report by 24 December."):
    made = Announcement(title=title, body=body)
    made.publish(by=by, departments=[make.department(key) for key in departments])
    return made


def rows():
    """This will give all that announcements consist of, to be compared."""
    return (
        list(Announcement.objects.order_by("pk").values()),
        list(Announcement.departments.through.objects.order_by("pk").values()),
        list(AnnouncementRead.objects.order_by("pk").values()),
        Event.objects.count(),
    )


class TestForWhom:
    def seen(self, client, reader):
        client.force_login(reader)
        return [one.title for one in client.get("/announcements/").context["page"]]

    def test_everybody_reads_what_names_no_department(self, client, manager, rep):
        announced(manager)
        assert self.seen(client, rep) == self.seen(client, make.user(at="jinan")) == ["Year-end"]

    def test_a_department_reads_what_is_for_it_and_for_those_above_it(self, client, manager):
        for key in ("hebei", "shijiazhuang", "baoding", "shandong"):
            announced(manager, key, title=key)

        assert self.seen(client, make.user(at="shijiazhuang")) == ["shijiazhuang", "hebei"]
        assert self.seen(client, make.user(at="hebei")) == ["hebei"]
        assert self.seen(client, make.user(at="jinan")) == ["shandong"]

    def test_one_for_two_departments_is_listed_once(self, client, manager, rep):
        announced(manager, "hebei", "shijiazhuang")
        assert self.seen(client, rep) == ["Year-end"]

    def test_what_is_for_others_does_not_exist_for_me(self, client, manager, rep):
        other = announced(manager, "shandong")
        client.force_login(rep)

        assert client.get(other.get_absolute_url()).status_code == 404
        assert not other.reads.filter(by=rep).exists()

    def test_its_twin_for_me_does(self, client, manager, rep):
        mine = announced(manager, "hebei")
        client.force_login(rep)

        assert client.get(mine.get_absolute_url()).status_code == 200

    def test_whoever_publishes_sees_all_of_them_and_is_to_read_only_their_own(self, client, manager):
        second = make.user(None, "opportunity_manager", at="head-office")
        announced(manager, "shandong")
        client.force_login(second)
        [one] = client.get("/announcements/").context["page"]

        assert one.unread is False


class TestReading:
    def test_it_is_unread_until_it_was_opened(self, client, manager, rep):
        one = announced(manager)
        client.force_login(rep)
        assert '<span class="tag">New</span>' in client.get("/announcements/").content.decode()

        client.get(one.get_absolute_url())
        client.get(one.get_absolute_url())
        assert '<span class="tag">New</span>' not in client.get("/announcements/").content.decode()
        assert one.reads.filter(by=rep).count() == 1

    def test_ones_own_is_read_from_the_start(self, client, manager):
        announced(manager)
        assert not Announcement.objects.unread_for(manager).exists()

    def test_the_text_keeps_its_lines_and_nothing_in_it_is_markup(self, client, manager, rep):
        one = announced(manager, body="First line\nsecond line\n\nNew paragraph <script>alert(1)</script>")
        client.force_login(rep)
        html = client.get(one.get_absolute_url()).content.decode()

        assert "<p>First line<br>second line</p>" in html
        assert "<p>New paragraph &lt;script&gt;" in html

    def test_the_list_costs_the_same_queries_for_one_and_for_twenty(
        self, client, manager, rep, django_assert_max_num_queries
    ):
        client.force_login(rep)
        seen = []
        for count in (1, 19):
            for number in range(count):
                announced(manager, "hebei", title=str(number))
            client.get("/announcements/")
            with django_assert_max_num_queries(12) as counted:
                client.get("/announcements/")
            seen.append(len(counted))
        assert seen[0] == seen[1]


class TestPublishing:
    typed = {"title": "New sign route", "body": "From 1 December."}

    def test_the_manager_publishes_for_a_department(self, client, manager, rep):
        client.force_login(manager)
        hebei = make.department("hebei")
        response = client.post(NEW, self.typed | {"readers": "Hebei"})
        made = Announcement.objects.get()

        assert response.url == made.get_absolute_url()
        assert (made.title, made.body, made.by, list(made.departments.all())) == (
            *self.typed.values(),
            manager,
            [hebei],
        )
        assert list(Announcement.objects.unread_for(rep)) == [made]

    def test_sent_twice_it_is_published_once(self, client, manager):
        client.force_login(manager)
        once = client.get(NEW).context["form"]["once"].value()
        for _time in range(2):
            client.post(NEW, self.typed | {"once": str(once)})

        assert Announcement.objects.count() == 1

    def test_an_empty_form_comes_back(self, client, manager):
        client.force_login(manager)
        response = client.post(NEW, {"title": "", "body": "Kept"})

        assert "One thing to correct." in response.content.decode()
        assert "Kept" in response.content.decode()
        assert not Announcement.objects.exists()

    @pytest.mark.parametrize("role", ["rep", "deputy_gm", "gm", "support", "director"])
    def test_others_are_refused_and_nothing_changes(self, client, role):
        client.force_login(make.user(None, role))
        before = rows()

        assert client.get(NEW).status_code == client.post(NEW, self.typed).status_code == 403
        assert rows() == before

    def test_the_verb_asks_as_well(self, rep):
        with pytest.raises(NotAllowed):
            Announcement(title="A", body="B").publish(by=rep)
        assert not Announcement.objects.exists()

    def test_only_those_who_may_are_offered_it(self, client, manager, rep):
        for person, offered in ((manager, True), (rep, False)):
            client.force_login(person)
            assert (f'href="{NEW}"' in client.get("/announcements/").content.decode()) is offered


class TestChanging:
    def edit(self, one):
        return reverse("announcement_edit", args=[one.pk])

    def test_another_text_and_other_readers(self, client, manager, rep):
        one = announced(manager)
        client.force_login(manager)
        shandong = make.department("shandong")
        typed = {"title": "Year-end", "body": "By 28 December.", "readers_id": [shandong.pk], "version": one.version}

        assert client.post(self.edit(one), typed).url == one.get_absolute_url()
        one.refresh_from_db()
        assert (one.body, list(one.departments.all()), one.version) == ("By 28 December.", [shandong], 2)
        assert one.changed_at is not None
        assert not Announcement.objects.for_reader(rep).exists()

    def test_the_form_shows_what_there_is(self, client, manager):
        one = announced(manager, "hebei")
        client.force_login(manager)
        response = client.get(self.edit(one))
        form = response.context["form"]

        assert (form["title"].value(), form["body"].value()) == (one.title, one.body)
        assert f'name="readers_id" value="{make.department("hebei").pk}"' in response.content.decode()

    def test_two_at_once_the_second_is_told_what_is_there_now(self, client, manager):
        one = announced(manager)
        client.force_login(manager)
        seen = one.version
        one.change(by=manager, title="Year-end", body="First hand.", departments=[])
        before = rows()
        response = client.post(self.edit(one), {"title": "Year-end", "body": "Second hand.", "version": seen})

        assert response.status_code == 409
        assert "Second hand." in response.content.decode()
        assert "First hand." in response.content.decode()
        assert rows() == before

        again = {"title": "Year-end", "body": "Second hand.", "version": response.context["form"]["version"].value()}
        assert client.post(self.edit(one), again).status_code == 302

    def test_others_are_refused_and_nothing_changes(self, client, manager, rep):
        one = announced(manager)
        client.force_login(rep)
        before = rows()

        assert client.post(self.edit(one), {"title": "X", "body": "Y"}).status_code == 403
        assert rows() == before

    def test_whoever_cannot_read_it_does_not_learn_that_it_is_there(self, client, manager, rep):
        one = announced(manager, "shandong")
        client.force_login(rep)
        for name in ("announcement_edit", "announcement_withdraw"):
            assert client.post(reverse(name, args=[one.pk])).status_code == 404


class TestWithdrawing:
    def withdraw(self, one):
        return reverse("announcement_withdraw", args=[one.pk])

    def test_nobody_reads_it_any_more(self, client, manager, rep):
        one = announced(manager)
        client.force_login(manager)

        assert client.post(self.withdraw(one), {"version": one.version}).url == reverse("announcements")
        for person in (manager, rep):
            client.force_login(person)
            assert client.get(one.get_absolute_url()).status_code == 404
            assert not Announcement.objects.visible_to(person).exists()

    def test_it_asks_first_and_a_get_changes_nothing(self, client, manager):
        one = announced(manager)
        client.force_login(manager)
        before = rows()
        response = client.get(self.withdraw(one))

        assert "Withdraw the announcement?" in response.content.decode()
        assert rows() == before

    def test_one_that_was_changed_meanwhile_is_asked_about_again(self, client, manager):
        one = announced(manager)
        client.force_login(manager)
        one.change(by=manager, title="Other", body="Other", departments=[])
        before = rows()

        assert client.post(self.withdraw(one), {"version": 1}).status_code == 409
        assert rows() == before

    def test_others_are_refused_and_nothing_changes(self, client, manager, rep):
        one = announced(manager)
        client.force_login(rep)
        before = rows()

        assert client.post(self.withdraw(one), {"version": one.version}).status_code == 403
        assert rows() == before


@pytest.mark.parametrize("address", ["/announcements/", NEW, "/announcements/1/"])
def test_whoever_is_not_signed_in_is_asked_to(client, address):
    assert client.get(address).url.startswith(reverse("account_login"))
