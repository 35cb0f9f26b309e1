"""Pages speak the language of who reads them, and tell the time where they are."""

import pytest
from django.utils import timezone

from tests import factories as make

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
