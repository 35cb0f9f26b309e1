"""Processes that are killed, stopped or starved under load: what was answered is there, once; the rest never half."""

import os
import random
import resource
import signal
import time
from functools import partial

import pytest

from tests.crm.live import until
from tests.faults.driver import PATIENCE, Company, Load, settled

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.torture, pytest.mark.timeout(3600)]


def test_what_was_answered_is_there_once_whenever_a_web_process_is_killed(product):
    company = Company(product.port, 10)
    product.begin()
    with Load(product, company, readers=1) as load:
        for _kill in range(50):
            load.until_more(3)
            time.sleep(random.uniform(0, 0.5))
            load.strike(product.kill_web)
        load.until_more()
    product.is_well()
    settled(company.ledger)


def test_what_was_answered_is_there_once_when_everything_is_killed_at_once(product):
    company = Company(product.port, 10)
    product.begin()
    with Load(product, company, readers=2) as load:
        for _kill in range(10):
            time.sleep(random.uniform(0, 2))
            load.strike(product.kill_all, least=3)
            product.begin()
            load.until_more(5)
    settled(company.ledger)


def test_told_to_stop_it_answers_what_is_under_way_and_ends_within_half_a_minute(product):
    company = Company(product.port, 8)
    product.begin()
    with Load(product, company, readers=2) as load:
        for _stop in range(10):
            load.until_more(5)
            load.strike(product.served.popen.terminate, least=2)
            assert product.served.popen.wait(30) == 0
            assert not product.served.group
            product.begin()
        load.until_more(5)
    lost = [entry for struck in company.ledger.struck for entry, number in struck if entry.answers[number] is None]
    assert lost == []
    settled(company.ledger)


def test_a_web_process_that_hangs_is_replaced_and_the_other_answers_meanwhile(product):
    company = Company(product.port, 6)
    product.begin()
    with Load(product, company) as load:
        load.until_more(5)
        hangs = product.web[0]
        load.strike(partial(os.kill, hangs, signal.SIGSTOP))
        assert product.health() == 200
        until(lambda: hangs not in product.web, PATIENCE)
        load.until_more()
    product.is_well()
    settled(company.ledger)


def few_files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def little_memory():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


@pytest.mark.parametrize("limits", [few_files, little_memory])
def test_with_few_files_or_little_memory_it_goes_on_at_its_pace(product, limits):
    company = Company(product.port, 6)
    product.begin(limits=limits)
    with Load(product, company, readers=2) as load:
        load.until_more(10)
        load.strike(lambda: time.sleep(5))
        load.until_more()
    product.is_well()
    settled(company.ledger)
