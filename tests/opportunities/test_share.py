"""Sharing with people and departments, to see or to edit, and ending it."""

import pytest

from notices.history import Event
from notices.models import Message
from opportunities.models import Opportunity
from opportunities.shares import shares_of
from tests import factories as make
from tests.digest import nothing_changed
from tests.opportunities.acts import address, in_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def opportunity(client):
    made = in_state("active")
    client.force_login(made.owner)
    return made


def share(client, opportunity, **data):
    return client.post(address(opportunity, "share"), data)


def sees(user, opportunity):
    return Opportunity.objects.visible_to(make.User.objects.get(pk=user.pk)).filter(pk=opportunity.pk).exists()


def test_a_person_sees_it_under_shared_with_me_and_is_told(client, opportunity):
    guest = make.user("sun.qi", name="Sun Qi", at="jinan")
    assert not sees(guest, opportunity)
    assert share(client, opportunity, people="Sun Qi").status_code == 302

    assert sees(guest, opportunity)
    assert list(Opportunity.objects.shared_with(guest.pk, [guest.department_id])) == [opportunity]
    assert Message.objects.get(to=guest).kind == "shared"
    assert Event.objects.about(opportunity).first().data["to"][0]["label"] == "Sun Qi"
    client.force_login(guest)
    assert client.get(address(opportunity)).status_code == 200
    assert client.get(address(opportunity, "edit")).status_code == 403


def test_may_edit_lets_them_edit_but_not_share_transfer_or_ask(client, opportunity):
    guest = make.user(at="jinan")
    share(client, opportunity, people_id=guest.pk, may_edit="on")
    client.force_login(guest)
    assert client.get(address(opportunity, "edit")).status_code == 200
    for page in ("share", "transfer", "sign", "terminate"):
        assert client.get(address(opportunity, page)).status_code == 403


def test_a_department_means_everybody_in_it_and_below(client, opportunity):
    above, inside, below = make.user(at="head-office"), make.user(at="shandong"), make.user(at="jinan")
    share(client, opportunity, departments_id=make.department("shandong").pk)
    assert [sees(one, opportunity) for one in (above, inside, below)] == [False, True, True]


def test_several_at_once(client, opportunity):
    guests = [make.user(at="jinan") for _time in range(3)]
    share(client, opportunity, people_id=[guest.pk for guest in guests], departments_id=make.department("baoding").pk)
    assert [one.kind for one in shares_of(opportunity)] == ["person", "person", "person", "department"]
    assert Event.objects.about(opportunity).filter(kind="shared").count() == 1


def test_sharing_again_changes_what_they_may(client, opportunity):
    guest = make.user(at="jinan")
    for may_edit, sent in ((False, {}), (True, {"may_edit": "on"}), (False, {})):
        share(client, opportunity, people_id=guest.pk, **sent)
        assert [one.may_edit for one in shares_of(opportunity)] == [may_edit]


def test_what_makes_no_sense_is_refused_at_the_field(client, opportunity):
    gone = make.user("gone", is_active=False, at="jinan")
    bad = [
        {}, {"people": "Nobody of that name"}, {"people_id": "9223372036854775808"}, {"people_id": gone.pk},
        {"people_id": opportunity.owner_id}, {"people": "a\0b"},
    ]  # fmt: skip
    for sent in bad:
        with nothing_changed():
            assert "people" in share(client, opportunity, **sent).context["form"].errors, sent
    with nothing_changed():
        assert "departments" in share(client, opportunity, departments="Atlantis").context["form"].errors


@pytest.mark.case(9)
def test_ending_it_takes_sight_away_at_once(client, opportunity):
    guest = make.user("guest", name="Sun Qi", at="jinan")
    department = make.department("shandong")
    share(client, opportunity, people_id=guest.pk, departments_id=department.pk)
    page = client.get(address(opportunity)).content.decode()
    assert f"unshare/?person_id={guest.pk}" in page and f"unshare/?department_id={department.pk}" in page
    question = client.get(address(opportunity, "unshare"), {"person_id": guest.pk}).content.decode()
    assert "End the share with Sun Qi?" in question

    assert client.post(address(opportunity, "unshare"), {"person_id": guest.pk}).status_code == 302
    assert sees(guest, opportunity)  # by the department's
    assert client.post(address(opportunity, "unshare"), {"department_id": department.pk}).status_code == 302
    assert not sees(guest, opportunity)
    assert shares_of(opportunity) == []
    client.force_login(guest)
    assert client.get(address(opportunity)).status_code == 404


def test_ending_what_is_not_there_is_refused(client, opportunity):
    guest = make.user("guest", at="jinan")
    with nothing_changed():
        assert client.post(address(opportunity, "unshare"), {"person_id": guest.pk}).status_code == 409
        for sent in ({}, {"person_id": "9223372036854775808"}, {"person_id": "x"}, {"person": "a\0b"}):
            assert client.post(address(opportunity, "unshare"), sent).status_code == 404


@pytest.mark.parametrize("roles", [["gm"], ["deputy_gm"], ["opportunity_manager"], ["administrator"]])
def test_superiors_and_managers_may_share(client, opportunity, roles):
    client.force_login(make.user(None, *roles))
    assert share(client, opportunity, people_id=make.user(at="jinan").pk).status_code == 302


@pytest.mark.parametrize("roles", [["director"], ["support"]])
def test_others_who_see_it_may_not(client, opportunity, roles):
    guest = make.user(at="jinan")
    client.force_login(make.user(None, *roles))
    with nothing_changed():
        assert share(client, opportunity, people_id=guest.pk).status_code == 403
