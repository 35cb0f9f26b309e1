"""One code that many send at the same moment lets in one of them."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import time_machine
from django.db import connection
from django.test import Client

from crm import settings as product
from tests.crm.test_two_step import CODE, TODAY, code_of, is_in, later, sign_in, turned_on
from tests.factories import user

MANY = 4  # of five tries that are looked at


@pytest.mark.django_db(transaction=True)
def test_of_many_who_send_one_code_at_once_one_is_let_in(settings):
    settings.CACHES = product.CACHES  # what processes share: here it is threads
    user("rep.shijiazhuang")
    with time_machine.travel(TODAY, tick=False):
        secret, codes = turned_on(Client())
        for minute, code in enumerate([codes[0], codes[1], None, codes[2]], start=1):
            with later(minutes=10 * minute):  # so that what was tried before is forgotten
                assert let_in(code or code_of(secret)) == 1


def let_in(code):
    """This will have MANY send `code` at once, each after their password; gives how many are in then."""
    begin = Barrier(MANY)

    def send(client):
        begin.wait()
        client.post(CODE, {"code": code})
        connection.close()

    clients = [Client() for _number in range(MANY)]
    for client in clients:
        sign_in(client)
    with ThreadPoolExecutor(MANY) as threads:
        list(threads.map(send, clients))
    return sum(map(is_in, clients))
