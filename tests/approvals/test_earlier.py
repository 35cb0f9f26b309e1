"""Earlier reports of the same customer: told to the approver where the organisation wants it, and to nobody else."""

import pytest

from crm.models import Audit
from crm.organisation import Organisation
from opportunities.earlier import TOLD
from tests import factories as make
from tests.opportunities.acts import version

pytestmark = pytest.mark.django_db


@pytest.fixture
def earlier():
    """This will make a report in Jinan about a customer that somebody in Shijiazhuang then reports on too."""
    rep = make.user(at="jinan")
    return make.opportunity(rep, state="active", customer=make.customer(rep, name="清河水务集团有限公司"))


def tell():
    """This will make the organisation one whose approvers are told."""
    by = make.user(None, "administrator", at="head-office")
    Organisation.current().change(by=by, seen=None, tell_earlier_reports=True)


def reported(name="清河水務"):
    owner = make.user()
    opportunity = make.opportunity(owner, customer=make.customer(owner, name=name))
    opportunity.report(by=owner, approver=make.approver(opportunity))
    return opportunity


def page(client, reader, opportunity):
    client.force_login(reader)
    return client.get(f"/tasks/{opportunity.open_task.pk}/").content.decode()


def test_the_approver_is_told_number_department_and_date_and_each_telling_is_kept(client, earlier):
    tell()
    opportunity = reported()
    approver = opportunity.open_task.holder

    html = page(client, approver, opportunity)
    assert "Reported earlier" in html and f"{earlier.number}, Jinan, " in html
    assert earlier.name not in html and str(earlier.owner) not in html
    [told] = Audit.objects.filter(kind=TOLD)
    assert (told.by, told.data["number"]) == (approver, earlier.number)

    chief = make.user(None, "gm", at="shijiazhuang")
    opportunity.open_task.escalate(by=approver, to=chief, seen=version(opportunity))
    assert f"{earlier.number}, Jinan, " in page(client, chief, opportunity)
    assert Audit.objects.filter(kind=TOLD).count() == 2


def test_neither_the_rep_nor_another_reader_nor_the_history_tells(client, earlier):
    tell()
    opportunity = reported()
    for reader in (opportunity.owner, make.user(None, "gm", at="shijiazhuang")):
        assert earlier.number not in page(client, reader, opportunity)
        for address in (opportunity.get_absolute_url(), f"{opportunity.get_absolute_url()}history/", "/messages/"):
            assert earlier.number not in client.get(address).content.decode()


def test_it_is_off_at_first(client, earlier):
    opportunity = reported()
    assert Organisation.current().tell_earlier_reports is False
    assert "Reported earlier" not in page(client, opportunity.open_task.holder, opportunity)
    assert not Audit.objects.filter(kind=TOLD).exists()


def test_another_customer_a_draft_and_ones_own_say_nothing(client, earlier):
    tell()
    make.opportunity(make.user(at="jinan"), customer=make.customer(make.user(at="jinan"), name="恒泰物流"))
    other = reported("恒泰物流")
    assert "Reported earlier" not in page(client, other.open_task.holder, other)

    owner = other.owner
    again = make.opportunity(owner, customer=other.customer)
    again.report(by=owner, approver=make.approver(again))
    assert "Reported earlier" not in page(client, again.open_task.holder, again)
