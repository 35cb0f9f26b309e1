"""A bad day, for the gate: what the other tests here do a hundred times to a company at work, once each."""

from functools import partial

import pytest
from django.db import connection

from tests.faults.driver import Company, Load, settled
from tests.faults.servers import cut_off, hold

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


def test_on_a_bad_day_what_was_answered_is_there_once_and_what_was_under_way_at_the_end_is_answered(product):
    company = Company(product.port, 4)
    product.begin()
    with Load(product, company, readers=1) as load:
        load.until_more(3)
        load.strike(product.kill_web)
        load.until_more(3)
        load.strike(partial(hold, 2) if connection.vendor == "sqlite" else cut_off)
        load.until_more(3)
        load.strike(product.served.popen.terminate)
        assert product.served.popen.wait(30) == 0
    lost = [entry for entry, number in company.ledger.struck[-1] if entry.answers[number] is None]
    assert lost == []
    settled(company.ledger)
