"""Pages speak the language of who reads them, and tell the time where they are."""

import pytest
from django.utils import timezone

from crm.middleware import ROOM, room
from tests import factories as make
from tests.digest import nothing_changed

pytestmark = pytest.mark.django_db


def language_of(client, address="/profile/", browser="en"):
    return client.get(address, headers={"accept-language": browser}).headers["Content-Language"]


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_a_page_is_in_the_language_of_the_profile_whatever_the_browser_asks_for(client, language):
    client.force_login(make.user(language=language))
    assert {language_of(client, browser=browser) for browser in ("en", "zh-CN", "de")} == {language}


def test_without_one_in_the_profile_it_is_in_the_browsers_language(client):
    client.force_login(make.user(language=""))
    assert language_of(client, browser="zh-CN") == "zh-hans"
    assert language_of(client, browser="en") == "en"


def test_before_sign_in_it_is_the_language_chosen_there_then_the_browsers(client, settings):
    assert language_of(client, "/accounts/login/", browser="zh-CN") == "zh-hans"
    client.cookies[settings.LANGUAGE_COOKIE_NAME] = "en"
    assert language_of(client, "/accounts/login/", browser="zh-CN") == "en"


def test_times_are_those_of_the_profile_and_else_of_the_organisation(client, settings):
    client.force_login(make.user(time_zone="America/Lima"))
    client.get("/profile/")
    assert timezone.get_current_timezone_name() == "America/Lima"

    client.force_login(make.user(time_zone=""))
    client.get("/profile/")
    assert timezone.get_current_timezone_name() == settings.ORGANISATION_TIME_ZONE


def test_one_persons_time_zone_does_not_stay_for_the_next_request(client, settings):
    client.force_login(make.user(time_zone="America/Lima"))
    client.get("/profile/")
    client.logout()
    client.get("/accounts/login/")
    assert timezone.get_current_timezone_name() == settings.ORGANISATION_TIME_ZONE


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_no_address_takes_what_no_link_and_no_button_sends(client, method):
    opportunity = make.opportunity()
    addresses = ["/", "/imports/", "/accounts/login/", "/admin/", "/nothing/", f"/opportunities/{opportunity.pk}/"]
    for person in (None, opportunity.owner):
        if person:
            client.force_login(person)
        for address in addresses:
            with nothing_changed():
                answer = client.generic(method, address)
            assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")
            assert answer.headers["Cache-Control"] == "no-store" and answer.headers["X-Frame-Options"] == "DENY"
    assert client.get(f"/opportunities/{opportunity.pk}/").status_code == 200


def test_a_page_that_is_only_looked_at_takes_nothing_that_is_sent(client):
    customer = make.customer()
    contact = make.contact(customer)
    client.force_login(customer.owner)
    looked_at = [f"/customers/{customer.pk}/{page}" for page in ("", "history/", "follow-ups/")]
    looked_at += [f"/contacts/{contact.pk}/{page}" for page in ("", "history/", "follow-ups/")]
    for address in looked_at:
        with nothing_changed():
            assert client.post(address).status_code == 405, address
        assert client.get(address).status_code == 200, address


def test_every_request_is_answered_from_a_frame_that_has_room_for_those_after_it(settings):
    answer = room(lambda request: request)
    assert (answer("asked"), answer.__code__.co_stacksize) == ("asked", ROOM)
    assert settings.MIDDLEWARE[0] == "crm.middleware.room"
