"""The outbox reaches its readers: once, in their language, and never about what they may no longer see."""

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from crm.schedule import lines
from notices import delivery
from notices.models import Delivery, Message
from tests import factories as make
from tests.notices import smtp

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings):
    """This will run a mail server and have the product send through it; gives what it took."""
    with smtp.running() as (sink, port):
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        sink.port = port
        yield sink


@contextmanager
def worker(server):
    """This will run a process of its own that sends what is due, on the test's database and through its mail server."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        url = f"sqlite:///{database['NAME']}"
    else:
        url = "postgres://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**database)
    here = {
        "DATABASE_URL": url,
        "EMAIL_URL": f"smtp://127.0.0.1:{server.port}",
        "DJANGO_SETTINGS_MODULE": "tests.settings",
    }
    code = "import django; django.setup(); from notices.delivery import deliver; deliver()"
    with subprocess.Popen([sys.executable, "-c", code], env=os.environ | here) as process:
        try:
            yield process
        finally:
            process.kill()


def shared_with(*people, name="Smart metering", owner=None):
    """This will share an opportunity with `people`, and leave their deliveries as the only ones."""
    opportunity = make.opportunity(owner, state="active", name=name)
    Delivery.objects.all().delete()
    opportunity.share(by=opportunity.owner, people=people)
    return opportunity


def is_due(state="queued"):
    """This will bring every delivery's next try forward to now."""
    Delivery.objects.filter(state=state).update(due_at=timezone.now())


def states():
    return dict(Delivery.objects.values_list("to__name", "state"))


class TestALetter:
    def letter(self):
        return delivery.letter(Delivery.objects.select_related("to", "by").get())

    def test_it_says_what_happened_and_leads_there(self, settings):
        settings.SITE_URL = "https://crm.example.org"
        opportunity = shared_with(make.user(name="Sun Qi"), owner=make.user(name="Chen Yu"))
        mail = self.letter()

        assert mail.subject == "Smart metering"
        assert "Chen Yu shared it with you." in mail.body
        assert f"https://crm.example.org/opportunities/{opportunity.pk}/" in mail.body
        [(html, kind)] = mail.alternatives
        assert kind == "text/html"
        assert f'href="https://crm.example.org/opportunities/{opportunity.pk}/"' in html

    def test_a_task_leads_to_its_page(self, settings):
        settings.SITE_URL = "https://crm.example.org"
        opportunity = make.opportunity(state="reporting")

        assert f"https://crm.example.org/tasks/{opportunity.open_task.pk}/" in self.letter().body

    def test_a_returned_report_quotes_the_comment(self):
        make.opportunity(state="returned")
        mail = delivery.letter(Delivery.objects.select_related("to", "by").get(kind="returned"))

        assert "Name the decision maker." in mail.body

    def test_it_speaks_the_readers_language_and_time(self):
        reader = make.user(name="孙琪", language="zh-hans", time_zone="America/New_York")
        shared_with(reader)
        Delivery.objects.update(queued_at=timezone.datetime(2026, 11, 20, 2, 30, tzinfo=timezone.get_fixed_timezone(0)))
        mail = self.letter()

        assert "21:30" in mail.body
        assert 'lang="zh-hans"' in mail.alternatives[0][0]

    def test_mails_about_one_record_are_one_thread_and_none_has_anothers_id(self):
        shared_with(make.user(), make.user())
        shared_with(make.user())
        mails = [delivery.letter(each).extra_headers for each in Delivery.objects.select_related("to", "by")]
        shared_with(make.user())
        mails += [delivery.letter(each).extra_headers for each in Delivery.objects.select_related("to", "by")]

        assert len({mail["References"] for mail in mails}) == 2
        assert len({mail["Message-ID"] for mail in mails}) == len(mails)

    def test_it_has_the_same_id_each_time_it_is_worded(self):
        shared_with(make.user())
        assert self.letter().extra_headers["Message-ID"] == self.letter().extra_headers["Message-ID"]

    @pytest.mark.case(35)
    def test_what_people_wrote_is_text_in_html(self):
        shared_with(make.user(), name="<img src=x onerror=alert(1)>")
        assert "<img" not in self.letter().alternatives[0][0]

    @pytest.mark.parametrize(
        "name", ["Tender\r\nBcc: thief@example.org", "Tender\nBcc: thief@example.org", "A\x07B\x1b\u2028C"]
    )
    @pytest.mark.case(38)
    def test_a_name_with_line_breaks_stays_one_header(self, server, name):
        shared_with(make.user(name="Sun Qi"), name=name)
        delivery.deliver()
        [mail] = server.mails

        assert mail["Bcc"] is None
        assert mail.recipients == [mail["To"]]
        assert len(mail.get_all("Subject")) == 1
        assert states() == {"Sun Qi": "sent"}


class TestSending:
    def test_each_reader_gets_it_once(self, server):
        shared_with(make.user(name="Sun Qi"), make.user(name="Liu Min"))
        delivery.deliver()
        delivery.deliver()

        assert sorted(mail["To"] for mail in server.mails) == sorted(
            Delivery.objects.values_list("to__email", flat=True)
        )
        assert states() == {"Sun Qi": "sent", "Liu Min": "sent"}

    @pytest.mark.django_db(transaction=True)
    def test_two_workers_at_once_send_each_mail_once(self, server):
        shared_with(*(make.user() for _number in range(8)))

        def work():
            delivery.deliver()
            connection.close()

        workers = [threading.Thread(target=work) for _number in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

        assert len(server.mails) == 8
        assert len({mail["Message-ID"] for mail in server.mails}) == 8
        assert set(states().values()) == {"sent"}

    def test_a_server_that_is_busy_is_asked_again(self, server):
        reader = make.user(name="Sun Qi")
        shared_with(reader)
        server.answers[reader.email] = ["421 come back later"]

        delivery.deliver()
        assert server.mails == []
        [waiting] = Delivery.objects.all()
        assert waiting.state == "queued"
        assert "421" in waiting.error
        assert timedelta(seconds=50) < waiting.due_at - timezone.now() <= timedelta(minutes=1)

        delivery.deliver()  # not due yet
        assert server.mails == []

        is_due()
        delivery.deliver()
        assert len(server.mails) == 1
        assert states() == {"Sun Qi": "sent"}

    def test_of_three_readers_the_refused_one_fails_and_the_others_get_theirs(self, server):
        people = [make.user(name=name) for name in ("Sun Qi", "Liu Min", "Ma Li")]
        shared_with(*people)
        server.answers[people[1].email] = ["550 no such person"]
        delivery.deliver()

        assert sorted(mail["To"] for mail in server.mails) == sorted([people[0].email, people[2].email])
        assert states() == {"Sun Qi": "sent", "Liu Min": "failed", "Ma Li": "sent"}
        assert Delivery.objects.get(state="failed").error == "550 no such person"

    def test_who_is_killed_before_sending_leaves_it_to_be_sent(self, server):
        shared_with(make.user(name="Sun Qi"))
        [waiting] = Delivery.objects.all()
        assert Delivery.objects.claim(waiting.pk, timezone.now() + delivery.CLAIM)  # and no more

        delivery.deliver()
        assert server.mails == []
        is_due()  # the claim has run out
        delivery.deliver()
        assert len(server.mails) == 1

    @pytest.mark.django_db(transaction=True)
    def test_a_worker_killed_in_the_midst_loses_nothing_and_doubles_one_mail_at_most(self, server):
        shared_with(*(make.user() for _number in range(6)))
        server.hold_at = 3
        with worker(server) as process:
            assert server.holds.wait(30)
            process.kill()
        assert sorted(Delivery.objects.values_list("state", flat=True)) == ["queued"] * 4 + ["sent"] * 2

        server.release()
        delivery.deliver()
        assert len(server.mails) == 6  # the third is claimed still
        is_due()
        delivery.deliver()
        assert set(states().values()) == {"sent"}
        assert len(server.mails) == 7
        assert len({mail["Message-ID"] for mail in server.mails}) == len({mail["To"] for mail in server.mails}) == 6

    def test_a_mail_that_was_taken_without_an_answer_goes_again_under_the_same_id(self, server):
        shared_with(make.user(name="Sun Qi"))
        server.silent_after_data = True
        delivery.deliver()
        assert states() == {"Sun Qi": "queued"}

        server.silent_after_data = False
        is_due()
        delivery.deliver()
        assert states() == {"Sun Qi": "sent"}
        assert len(server.mails) == 2
        assert len({mail["Message-ID"] for mail in server.mails}) == 1

    def test_the_pauses_grow_to_an_hour_and_after_a_day_it_has_failed(self, server):
        reader = make.user(name="Sun Qi")
        shared_with(reader)
        server.answers[reader.email] = ["451 not now"] * 40
        pauses = []
        while states() == {"Sun Qi": "queued"}:
            is_due()
            delivery.deliver()
            pauses.append(round((Delivery.objects.get().due_at - timezone.now()).total_seconds() / 60))

        assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
        assert 23 * 60 <= sum(pauses[:-1]) <= 25 * 60
        assert states() == {"Sun Qi": "failed"}

    def test_a_server_that_is_down_ends_the_turn_and_costs_the_others_no_try(self, settings):
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9  # nobody listens
        shared_with(make.user(), make.user(), make.user())
        delivery.deliver()

        assert sorted(Delivery.objects.values_list("attempts", flat=True)) == [0, 0, 1]

    def test_a_delivery_that_cannot_be_worded_does_not_hold_up_the_others(self, server):
        first, second = make.user(name="Sun Qi"), make.user(name="Liu Min")
        shared_with(first, second)
        Delivery.objects.filter(to=first).update(data={"task": "no number"})
        delivery.deliver()

        assert states() == {"Sun Qi": "queued", "Liu Min": "sent"}

    @pytest.mark.case(38)
    def test_an_address_that_no_header_can_hold_fails_at_once(self, server):
        shared_with(make.user(name="Sun Qi", email="sun@example.org\nBcc: thief@example.org"))
        delivery.deliver()

        assert server.mails == []
        assert states() == {"Sun Qi": "failed"}


class TestSight:
    """Asked again at sending: between the act and the mail a share may end, a person may leave."""

    def test_what_the_reader_may_no_longer_see_is_withheld(self, server):
        reader = make.user(name="Sun Qi", at="baoding")
        opportunity = shared_with(reader)
        opportunity.unshare(by=opportunity.owner, person=reader)
        delivery.deliver()

        assert server.mails == []
        assert states() == {"Sun Qi": "withheld"}

    def test_its_twin_that_stays_shared_is_sent(self, server):
        shared_with(make.user(name="Sun Qi", at="baoding"))
        delivery.deliver()

        assert len(server.mails) == 1
        assert states() == {"Sun Qi": "sent"}

    @pytest.mark.case(10)
    def test_who_left_gets_no_mail(self, server):
        reader = make.user(name="Sun Qi")
        shared_with(reader)
        reader.is_active = False
        reader.save()
        delivery.deliver()

        assert server.mails == []
        assert states() == {"Sun Qi": "withheld"}


def test_whoever_acted_gets_no_mail_of_it_and_no_message():
    opportunity = make.opportunity(state="active")
    assert not Delivery.objects.filter(by=opportunity.owner, to=opportunity.owner).exists()
    assert not Message.objects.filter(to__in=Message.objects.values("by"), by=opportunity.owner).exists()


def test_the_worker_sends_every_few_seconds():
    assert lines()["deliver"].pause <= timedelta(seconds=10)


def test_a_verb_that_fails_queues_nothing():
    opportunity = make.opportunity(state="active")
    before = Delivery.objects.count()
    with pytest.raises(Exception, match="needs no share"):
        opportunity.share(by=opportunity.owner, people=[make.user(at="baoding"), opportunity.owner])

    assert Delivery.objects.count() == before


def test_an_administrator_sees_what_failed_and_sends_it_again(client, server):
    reader = make.user(name="Sun Qi")
    shared_with(reader)
    Delivery.objects.update(state="failed", attempts=30, error="550 no such person")
    client.force_login(make.user(None, "administrator", at="head-office"))

    assert "550 no such person" in client.get("/admin/notices/delivery/?state__exact=failed").content.decode()
    client.post("/admin/notices/delivery/", {"action": "send_again", "_selected_action": [Delivery.objects.get().pk]})
    delivery.deliver()
    assert states() == {"Sun Qi": "sent"}


def test_the_outbox_is_closed_to_others(client):
    shared_with(make.user())
    client.force_login(make.user(None, "gm"))

    assert client.get("/admin/notices/delivery/").status_code in (302, 403)
