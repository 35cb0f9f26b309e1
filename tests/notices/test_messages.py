"""What one was told: to read, read, all; opening a message reads it; a record out of sight keeps its name to itself."""

import pytest
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse

from notices.models import Message
from opportunities.models import Opportunity
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def rep():
    return make.user("rep", name="Chen Yu")


@pytest.fixture
def reader():
    return make.user("reader", at="jinan", name="Sun Qi")


def told(rep, reader, name="Joint offer"):
    """This will share an opportunity of that name, and give the message of it."""
    opportunity = make.opportunity(rep, state="active", name=name)
    opportunity.share(by=rep, people=[reader])
    return Message.objects.filter(to=reader).latest("id")


def titles(response):
    return [message.title for message in response.context["page"]]


class TestTheList:
    def test_it_opens_on_what_is_to_read_the_latest_first(self, client, rep, reader):
        for name in ("First", "Second", "Third"):
            message = told(rep, reader, name)
        Message.objects.filter(pk=message.pk).mark_read()
        client.force_login(reader)

        assert titles(client.get("/messages/")) == ["Second", "First"]
        assert titles(client.get("/messages/?tab=read")) == ["Third"]
        assert titles(client.get("/messages/?tab=all")) == ["Third", "Second", "First"]
        assert titles(client.get("/messages/?tab=nonsense")) == ["Second", "First"]

    def test_a_row_says_who_did_what(self, client, rep, reader):
        told(rep, reader)
        client.force_login(reader)
        html = client.get("/messages/").content.decode()

        assert ">Joint offer</a>" in html
        assert "Chen Yu shared it with you." in html
        assert "One message to read" in html

    def test_one_reads_only_ones_own(self, client, rep, reader):
        told(rep, reader)
        client.force_login(make.user(None, "opportunity_manager", at="head-office"))

        assert titles(client.get("/messages/?tab=all")) == []

    def test_it_comes_in_pages(self, client, rep, reader):
        opportunity = told(rep, reader).about
        about_type = ContentType.objects.get_for_model(Opportunity)
        Message.objects.bulk_create(
            Message(
                to=reader, kind="shared", about_type=about_type, about_id=opportunity.pk, by=rep, title=f"Row {number}"
            )
            for number in range(30)
        )
        client.force_login(reader)

        assert len(titles(client.get("/messages/"))) == 25
        assert titles(client.get("/messages/?page=2"))[-1] == "Joint offer"

    def test_it_costs_the_same_queries_for_one_and_for_twenty(self, client, rep, reader, django_assert_max_num_queries):
        client.force_login(reader)
        seen = []
        for count in (1, 19):
            for _number in range(count):
                told(rep, reader)
            client.get("/messages/")
            with django_assert_max_num_queries(12) as counted:
                client.get("/messages/")
            seen.append(len(counted))
        assert seen[0] == seen[1]


class TestOpening:
    def test_it_marks_the_message_as_read_and_goes_to_the_record(self, client, rep, reader):
        message = told(rep, reader)
        client.force_login(reader)
        response = client.get(reverse("message", args=[message.pk]))

        assert response.url == message.about.get_absolute_url()
        message.refresh_from_db()
        assert message.read_at is not None

    def test_opened_again_it_stays_read_since_the_first_time(self, client, rep, reader):
        message = told(rep, reader)
        client.force_login(reader)
        client.get(reverse("message", args=[message.pk]))
        message.refresh_from_db()
        first = message.read_at
        client.get(reverse("message", args=[message.pk]))
        message.refresh_from_db()

        assert message.read_at == first

    def test_somebody_elses_does_not_exist_and_stays_unread(self, client, rep, reader):
        message = told(rep, reader)
        client.force_login(make.user(None, "administrator", at="head-office"))

        assert client.get(reverse("message", args=[message.pk])).status_code == 404
        message.refresh_from_db()
        assert message.read_at is None

    def test_it_changes_no_business_record(self, client, rep, reader):
        message = told(rep, reader)
        before = Opportunity.objects.values().get(pk=message.about_id)
        client.force_login(reader)
        client.get(reverse("message", args=[message.pk]))

        assert Opportunity.objects.values().get(pk=message.about_id) == before


class TestOutOfSight:
    """A share that has ended takes the name of the record along."""

    @pytest.fixture
    def message(self, rep, reader):
        message = told(rep, reader, "Secret c0ffee")
        message.about.unshare(by=rep, person=reader)
        return message

    def test_the_list_does_not_name_it(self, client, reader, message):
        client.force_login(reader)
        for tab in ("unread", "all"):
            html = client.get(f"/messages/?tab={tab}").content.decode()
            assert "c0ffee" not in html
            assert "No longer visible to you" in html

    def test_its_page_does_not_name_it_and_counts_as_read(self, client, reader, message):
        client.force_login(reader)
        response = client.get(reverse("message", args=[message.pk]))

        assert response.status_code == 200
        assert "c0ffee" not in response.content.decode()
        message.refresh_from_db()
        assert message.read_at is not None

    def test_its_twin_that_is_still_shared_is_named(self, client, rep, reader, message):
        told(rep, reader, "Open cafe")
        client.force_login(reader)
        html = client.get("/messages/").content.decode()

        assert "Open cafe" in html
        assert "c0ffee" not in html

    def test_what_was_deleted_is_out_of_sight_too(self, client, rep, reader):
        customer = make.customer(rep, name="Customer c0ffee")
        customer.transfer(to=reader, by=make.user(None, "opportunity_manager", at="head-office"))
        customer.delete_(by=reader)
        client.force_login(rep)

        html = client.get("/messages/").content.decode()
        assert "c0ffee" not in html
        assert "No longer visible to you" in html


class TestMarkingAllAsRead:
    def test_it_reads_all_of_ones_own_and_nobody_elses(self, client, rep, reader):
        other = make.user(at="jinan")
        for person in (reader, reader, other):
            told(rep, person)
        client.force_login(reader)
        response = client.post(reverse("messages_read"), follow=True)

        assert "2 messages are marked as read." in response.content.decode()
        assert not Message.objects.unread_for(reader).exists()
        assert Message.objects.unread_for(other).count() == 1

    def test_a_get_does_not(self, client, rep, reader):
        told(rep, reader)
        client.force_login(reader)

        assert client.get(reverse("messages_read")).status_code == 405
        assert Message.objects.unread_for(reader).count() == 1


@pytest.mark.parametrize("address", ["/messages/", "/messages/1/"])
def test_whoever_is_not_signed_in_is_asked_to(client, address):
    assert client.get(address).url.startswith(reverse("account_login"))
