"""The people whom tests of approvals begin with: a rep, and one of each approver, in Shijiazhuang in Hebei."""

from types import SimpleNamespace

import pytest

from tests import factories as make


@pytest.fixture
def people(db):
    """This will give rep, director, deputy, gm of Shijiazhuang, and an administrator at the head office."""
    return SimpleNamespace(
        rep=make.user("rep"),
        director=make.user("director", "director"),
        deputy=make.user("deputy", "deputy_gm"),
        gm=make.user("gm", "gm"),
        admin=make.user("admin", "administrator", at="head-office"),
    )


@pytest.fixture
def reported(people):
    """This will give an opportunity of the rep's that waits for the deputy."""
    opportunity = make.opportunity(people.rep, name="Harbour cranes")
    opportunity.report(by=people.rep, approver=people.deputy)
    return opportunity


@pytest.fixture
def sign_in(client):
    """This will give the test client, signed in as somebody."""

    def signed_in(user):
        client.force_login(user)
        return client

    return signed_in
