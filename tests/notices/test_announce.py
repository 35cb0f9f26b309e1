"""Announcements: written by those who may, for departments and those below, unread until opened, withdrawn for good."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from crm.formatting import TAGS, clean
from crm.models import Role
from crm.moments import organisation_today
from crm.verbs import NotAllowed
from notices import wording
from notices.history import Event
from notices.models import Announcement, AnnouncementRead, Message
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

        assert (form["title"].value(), form["body"].value()) == (one.title, f"<p>{one.body}</p>")
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


class TestFormatting:
    @pytest.mark.parametrize(("written", "kept"), [
        ("<p>New <b>prices</b></p>", "<p>New <b>prices</b></p>"),
        ('<p onclick="x()">a</p><script>x()</script>', "<p>a</p>"),
        ('<p><a href="javascript:x()">a</a></p>', '<p><a rel="noopener noreferrer nofollow">a</a></p>'),
        ('<p><a href="https://a.example">a</a></p>',
         '<p><a href="https://a.example" rel="noopener noreferrer nofollow">a</a></p>'),
        ('<p><img src=x onerror=x()><svg><p>a</p></svg></p>', "<p></p><p>a</p><p></p>"),
        ('<p style="position:fixed">a</p><iframe src="//b"></iframe>', "<p>a</p>"),
        ("1 < 2 & 3\n\nnext", "<p>1 &lt; 2 &amp; 3</p>\n\n<p>next</p>"),
        ("<script>x()</script>", "<p>&lt;script&gt;x()&lt;/script&gt;</p>"),
    ])  # fmt: skip
    def test_what_is_written_is_cleaned_before_it_is_kept(self, manager, written, kept):
        assert announced(manager, body=written).formatted == kept

    @given(st.text(alphabet=st.sampled_from("<>/=\"' abipsvg:&;()onclkjrt\n"), max_size=200))
    @pytest.mark.case(35)
    def test_no_text_brings_a_script_an_attribute_or_a_tag_that_is_not_ours(self, written):
        kept = clean(written)
        assert {tag.lower() for tag in re.findall(r"</?([A-Za-z0-9]+)", kept)} <= TAGS
        assert set(re.findall(r"<[^>]*\s(\w+)=", kept)) <= {"href", "rel"}
        assert clean(kept) == kept or "<" not in kept

    def test_its_words_are_what_is_searched_and_kept_in_the_history(self, manager):
        one = announced(manager, body="<p>New <b>prices</b></p><ul><li>Clouds</li><li>Lines</li></ul>")
        assert one.body == "New prices\nClouds\nLines"
        assert Announcement.objects.search("NEW lines").get() == one
        assert not Announcement.objects.search("new b").filter(title="b").exists()

    def test_markup_without_a_word_is_no_text(self, client, manager):
        client.force_login(manager)
        response = client.post(NEW, {"title": "A", "body": "<p><br></p>"})
        assert "Write what is announced." in str(response.context["form"].errors["body"])
        assert not Announcement.objects.exists()


class TestForRoles:
    def test_a_role_reads_what_is_for_it_within_the_departments(self, manager):
        gm, deputy = Role.objects.get(key="gm"), Role.objects.get(key="deputy_gm")
        one = Announcement(title="A", body="B")
        one.publish(by=manager, departments=[make.department("hebei")], roles=[gm, deputy])
        readers = {
            make.user(None, "gm", at="shijiazhuang"): True,
            make.user(None, "deputy_gm", at="hebei"): True,
            make.user(None, "rep", at="shijiazhuang"): False,
            make.user(None, "gm", at="jinan"): False,
        }
        for reader, reads in readers.items():
            assert Announcement.objects.for_reader(reader).exists() is reads

    @given(st.data())
    def test_its_audience_is_those_who_read_it(self, data):
        people = [make.user(None, role, at=place) for role in ("rep", "gm") for place in ("hebei", "baoding", "jinan")]
        people.append(make.user(None, "administrator", at="head-office", is_superuser=True))
        manager = make.user(None, "opportunity_manager", at="head-office")
        places = data.draw(st.sets(st.sampled_from(["hebei", "baoding", "shandong", "head-office"])))
        roles = data.draw(st.sets(st.sampled_from(["rep", "gm", "administrator"])))
        one = Announcement(title="A", body="B")
        one.publish(by=manager, departments=map(make.department, places), roles=Role.objects.filter(key__in=roles))

        reading = {person for person in people if Announcement.objects.for_reader(person).filter(pk=one.pk).exists()}
        assert set(one.audience().filter(pk__in=[person.pk for person in people])) == reading


class TestFromAndUntil:
    @pytest.mark.parametrize(("begins", "ends", "read"), [
        (0, 0, True), (-3, None, True), (None, 3, True), (1, None, False), (-3, -1, False),
    ])  # fmt: skip
    def test_it_is_read_between_its_days_and_always_by_who_publishes(self, client, manager, rep, begins, ends, read):
        today = organisation_today()
        first, last = (None if days is None else today + timedelta(days=days) for days in (begins, ends))
        one = Announcement(title="A", body="B")
        one.publish(by=make.user(None, "opportunity_manager", at="head-office"))
        Announcement.objects.filter(pk=one.pk).update(from_on=first, until_on=last)

        client.force_login(rep)
        assert (client.get(one.get_absolute_url()).status_code == 200) is read
        client.force_login(manager)
        assert client.get(one.get_absolute_url()).status_code == 200

    def test_one_that_would_have_ended_already_is_not_published(self, client, manager):
        client.force_login(manager)
        yesterday = organisation_today() - timedelta(days=1)
        typed = {"title": "A", "body": "B", "until_on": yesterday.isoformat()}
        page = client.post(NEW, typed).content.decode()
        assert "This day has passed, so nobody would read it." in page
        assert not Announcement.objects.exists()
        assert client.post(NEW, typed | {"until_on": organisation_today().isoformat()}).status_code == 302

    def test_it_cannot_end_before_it_begins(self, client, manager):
        client.force_login(manager)
        typed = {"title": "A", "body": "B", "from_on": "2026-12-02", "until_on": "2026-12-01"}
        response = client.post(NEW, typed)
        assert "It ends before it begins." in str(response.context["form"].errors["until_on"])
        assert not Announcement.objects.exists()
        assert client.post(NEW, typed | {"until_on": "2026-12-02"}).status_code == 302


def test_a_pinned_one_stands_first(client, manager, rep):
    Announcement(title="Pinned", body="B", pinned=True).publish(by=manager)
    announced(manager, title="Later")
    client.force_login(rep)
    assert [one.title for one in client.get("/announcements/").context["page"]] == ["Pinned", "Later"]


def test_the_list_is_searched_and_narrowed(client, manager, rep):
    read = announced(manager, title="Year-end", body="By 24 December.")
    announced(manager, title="Prices", body="From January.")
    gone = announced(manager, title="Gone")
    gone.withdraw(by=manager)
    client.force_login(rep)
    client.get(read.get_absolute_url())

    def listed(**query):
        return [one.title for one in client.get("/announcements/", query).context["page"]]

    assert listed() == ["Prices", "Year-end"]
    assert listed(q="december year") == ["Year-end"] and listed(q="gone") == []
    assert listed(show="unread") == ["Prices"]
    assert listed(show="withdrawn") == ["Prices", "Year-end"]  # not theirs to see
    client.force_login(manager)
    assert listed(show="withdrawn") == ["Gone"]


class TestConfirming:
    @pytest.fixture
    def one(self, manager):
        made = Announcement(title="Rules", body="Read them.", must_confirm=True)
        made.publish(by=manager)
        return made

    def test_it_is_new_until_it_was_confirmed(self, client, one, rep):
        client.force_login(rep)
        assert "I have read this" in client.get(one.get_absolute_url()).content.decode()
        assert list(Announcement.objects.unread_for(rep)) == [one]

        client.post(f"{one.get_absolute_url()}confirm/")
        assert not Announcement.objects.unread_for(rep).exists()
        assert "You have said that you read this." in client.get(one.get_absolute_url()).content.decode()
        before = rows()
        client.post(f"{one.get_absolute_url()}confirm/")
        assert rows() == before

    def test_nobody_confirms_what_is_not_for_them(self, client, manager):
        other = Announcement(title="Rules", body="Read them.", must_confirm=True)
        other.publish(by=manager, departments=[make.department("shandong")])
        client.force_login(make.user(at="hebei"))
        before = rows()
        assert client.post(f"{other.get_absolute_url()}confirm/").status_code == 404
        client.force_login(make.user(None, "opportunity_manager", at="head-office"))
        assert client.post(f"{other.get_absolute_url()}confirm/").status_code == 403
        assert rows() == before

    def test_who_publishes_sees_who_has_read_it_and_reminds_the_others(self, client, one, manager, rep):
        other = make.user(at="jinan", name="Song Lei")
        one.confirm(by=rep)
        one.read(by=other)
        client.force_login(manager)
        page = client.get(f"{one.get_absolute_url()}readers/")
        assert (page.context["done"], page.context["waiting"], page.context["total"]) == (1, 1, 2)
        waiting = client.get(f"{one.get_absolute_url()}readers/", {"show": "waiting"}).context["page"]
        assert list(waiting) == [other]

        assert client.post(f"{one.get_absolute_url()}readers/").status_code == 302
        told = Message.objects.get(kind="announcement_reminder")
        assert told.to == other and wording.sentence(told, other) == "Fang Rui asks you to read this announcement."
        before = rows()
        assert client.post(f"{one.get_absolute_url()}readers/").status_code == 409  # not twice a day
        assert rows() == before and Message.objects.count() == 1
        client.force_login(other)
        assert client.get(f"/messages/{told.pk}/").url == one.get_absolute_url()

    def test_readers_neither_see_nor_remind(self, client, one, rep):
        client.force_login(rep)
        before = rows()
        for method in (client.get, client.post):
            assert method(f"{one.get_absolute_url()}readers/").status_code == 403
        assert rows() == before

    def test_a_change_can_mark_it_as_new_again(self, client, one, manager, rep):
        one.confirm(by=rep)
        one.change(by=manager, title="Rules", body="Others.", departments=[])
        assert not Announcement.objects.unread_for(rep).exists()
        one.change(by=manager, title="Rules", body="Once more.", departments=[], again=True)
        assert list(Announcement.objects.unread_for(rep)) == [one]
        assert not Announcement.objects.unread_for(manager).exists()
