"""
Every act on an opportunity by its page: it works for whoever may, in the states of the table, and for nobody else and
in no other state. A refusal is shown by data that did not change, and has a twin here that succeeds.
"""

import pytest

from notices.history import Event
from opportunities.models import Opportunity
from tests import factories as make
from tests.asserting import not_there
from tests.digest import nothing_changed
from tests.opportunities.acts import ACTS, STATES, VERSIONED, address, in_state

pytestmark = pytest.mark.django_db

EACH = pytest.mark.parametrize("name", ACTS)
CAN = pytest.mark.parametrize(
    ("name", "state"), [(name, str(state)) for name, act in ACTS.items() for state in act.states]
)
SOME_STATE = pytest.mark.parametrize("state", ["draft", "signing", "active", "signed"])


def kinds(opportunity):
    return list(Event.objects.about(opportunity).order_by("id").values_list("kind", flat=True))


def all_acts(opportunity):
    """This will give what each act's page sends about this opportunity, as (act, data)."""
    make.user("guest")
    return [(act, act.sends(opportunity)) for act in ACTS.values()]


@CAN
@pytest.mark.case(65)
def test_it_is_done_in_each_state_that_allows_it_and_leaves_one_event(client, name, state):
    act = ACTS[name]
    opportunity = act.world(state)
    actor = act.actor(opportunity)
    client.force_login(actor)
    before = kinds(opportunity)

    answer = act.post(client, opportunity)

    assert answer.status_code == 302, answer.content.decode()
    if name == "copy":
        opportunity, before = Opportunity.objects.latest("pk"), []
    assert kinds(opportunity) == [*before, act.event]
    assert Event.objects.about(opportunity).first().by == actor


@pytest.mark.parametrize("state", STATES)
@pytest.mark.case(26)
def test_no_other_state_allows_it_and_its_page_says_so_before_anything_is_typed(client, state):
    opportunity = in_state(state)
    manager = make.user(None, "opportunity_manager", at="head-office")
    same = {"draft": "resubmitted", "returned": "reported"}.get(state)  # one act, and two words for it
    refused = [(act, data) for act, data in all_acts(opportunity) if state not in act.states and act.event != same]
    for act, data in refused:
        client.force_login(opportunity.owner if act.by == "owner" else manager)
        with nothing_changed():
            answer = client.post(address(opportunity, act.page), data)
            assert answer.status_code == 409, act.page
            answer = client.get(address(opportunity, act.page))
            # Two acts share the form: where one of them can be done, the form is there.
            forms = {other.page for other in ACTS.values() if state in other.states}
            assert answer.status_code == (405 if act.page == "move" else 200 if act.page in forms else 409), act.page


@SOME_STATE
@pytest.mark.case(1, 2)
def test_a_stranger_finds_nothing_there(client, state):
    opportunity = in_state(state)
    acts = all_acts(opportunity)
    client.force_login(make.user(at="jinan"))

    with nothing_changed():
        assert not_there(client, address(opportunity))
        for act, data in acts:
            assert act.page == "move" or not_there(client, address(opportunity, act.page), "get")
            assert not_there(client, address(opportunity, act.page), "post")
            assert client.post(address(opportunity, act.page), data).status_code == 404


@SOME_STATE
@pytest.mark.case(3)
def test_a_reader_may_not(client, state):
    opportunity = in_state(state)
    acts = all_acts(opportunity)
    reader = make.user("reader", at="jinan")
    opportunity.share(by=opportunity.owner, people=[reader])
    client.force_login(reader)
    assert client.get(address(opportunity)).status_code == 200

    with nothing_changed():
        for act, data in acts:
            if not act.reader:
                assert client.post(address(opportunity, act.page), data).status_code == 403, act.page
                assert client.get(address(opportunity, act.page)).status_code in (403, 405), act.page


@pytest.mark.case(18)
def test_nobody_who_is_not_signed_in_may(client):
    opportunity = in_state("active")
    acts = all_acts(opportunity)
    with nothing_changed():
        for act, data in acts:
            page = address(opportunity, act.page)
            for answer in (client.get(page), client.post(page, data)):
                assert answer.status_code == 302
                assert answer["Location"].startswith("/accounts/login/")


@SOME_STATE
@pytest.mark.case(20, 21)
def test_looking_changes_nothing_and_no_other_method_is_taken(client, state):
    opportunity = in_state(state)
    acts = all_acts(opportunity)
    client.force_login(opportunity.owner)

    with nothing_changed():
        for act, data in acts:
            page = address(opportunity, act.page)
            assert client.get(page, data).status_code in (200, 403, 404, 405, 409), act.page
            assert client.head(page, data).status_code in (200, 403, 404, 405, 409), act.page
            for method in (client.put, client.patch, client.delete):
                assert method(page).status_code == 405


@EACH
@pytest.mark.case(26)
def test_the_same_page_sent_again_counts_once(client, name):
    act = ACTS[name]
    opportunity = act.world()
    data = act.sends(opportunity)
    client.force_login(act.actor(opportunity))
    assert client.post(address(opportunity, act.page), data).status_code == 302

    with nothing_changed():
        for _time in range(3):  # at once and twenty times: see test_at_once
            assert client.post(address(opportunity, act.page), data).status_code < 500


@pytest.mark.parametrize("name", VERSIONED)
@pytest.mark.case(30)
def test_a_page_that_showed_an_older_version_changes_nothing(client, name):
    act = ACTS[name]
    opportunity = act.world()
    data = act.sends(opportunity)
    client.force_login(act.actor(opportunity))

    with nothing_changed():
        answer = client.post(address(opportunity, act.page), data | {"version": data["version"] - 1})
        assert answer.status_code == 409
        assert "Somebody changed this" in answer.content.decode()
    assert client.post(address(opportunity, act.page), data).status_code == 302


@pytest.mark.case(41)
def test_a_version_or_key_that_is_none_is_no_crash(client):
    opportunity = in_state("active")
    acts = all_acts(opportunity)
    client.force_login(opportunity.owner)
    with nothing_changed():
        for bad in ("x", "9223372036854775808", "-1", "9" * 5000, "\0", "NaN"):
            for act, data in acts:
                if "version" in data and "active" in act.states:
                    answer = client.post(address(opportunity, act.page), data | {"version": bad})
                    assert answer.status_code in (200, 409), (act.page, bad)
        for key in ("9223372036854775808", "9" * 400):
            for act, data in acts:
                assert client.post(f"/opportunities/{key}/{act.page}/", data).status_code == 404


@pytest.mark.case(9)
def test_an_owner_who_is_no_longer_in_charge_finds_nothing(client):
    opportunity = in_state("active")
    acts = all_acts(opportunity)
    client.force_login(opportunity.owner)
    assert client.get(address(opportunity, "sign")).status_code == 200
    opportunity.transfer(by=opportunity.owner, to=make.user("successor", at="baoding"))

    with nothing_changed():
        for act, data in acts:
            assert client.post(address(opportunity, act.page), data).status_code == 404


@pytest.mark.case(11)
def test_a_manager_who_lost_the_role_may_no_longer_correct(client):
    act = ACTS["correct"]
    opportunity = act.world()
    manager = act.actor(opportunity)
    data = act.sends(opportunity)
    client.force_login(manager)
    assert client.get(address(opportunity, "correct")).status_code == 200
    manager.roles.clear()

    with nothing_changed():
        assert client.post(address(opportunity, "correct"), data).status_code == 404
