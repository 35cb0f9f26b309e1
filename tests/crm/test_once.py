"""What a form makes is made once, however often and however fast it is sent."""

from datetime import timedelta
from threading import Barrier, Thread
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from crm.models import Once
from crm.once import once
from crm.verbs import Refused
from crm.work import tidy
from customers.models import Customer
from tests import factories as make


def enter(by, name="Qinghe Water Group"):
    def make_it():
        customer = Customer(name=name)
        customer.create(by=by)
        return customer

    return make_it


@pytest.mark.django_db
@pytest.mark.case(34)
def test_the_second_time_gives_what_the_first_made():
    person, key = make.user(), uuid4()
    assert once(key, by=person, make=enter(person)) == once(key, by=person, make=enter(person))
    assert Customer.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.case(34)
def test_the_key_of_one_person_is_not_that_of_another():
    one, other, key = make.user(), make.user(), uuid4()
    assert once(key, by=one, make=enter(one)) != once(key, by=other, make=enter(other))


@pytest.mark.django_db
def test_without_a_key_each_time_makes():
    person = make.user()
    assert once(None, by=person, make=enter(person)) != once(None, by=person, make=enter(person))


@pytest.mark.django_db
@pytest.mark.case(34)
def test_what_was_refused_uses_no_key_up():
    person, key = make.user(), uuid4()

    def refused():
        enter(person)()
        raise Refused("Not now.")

    with pytest.raises(Refused):
        once(key, by=person, make=refused)
    assert not Once.objects.exists()
    assert not Customer.objects.exists()
    assert once(key, by=person, make=enter(person)) == Customer.objects.get()


@pytest.mark.django_db
def test_keys_of_old_forms_are_tidied_away():
    person, old, fresh = make.user(), uuid4(), uuid4()
    once(old, by=person, make=enter(person))
    Once.objects.update(at=timezone.now() - timedelta(days=8))
    once(fresh, by=person, make=enter(person))
    tidy()
    assert [row.key for row in Once.objects.all()] == [fresh]


@pytest.mark.django_db(transaction=True)
@pytest.mark.case(33)
def test_sent_by_six_at_once_it_is_made_by_one():
    person, key, made = make.user(), uuid4(), []
    together = Barrier(6, timeout=60)

    def press():
        together.wait()
        made.append(once(key, by=person, make=enter(person)).pk)
        connection.close()

    threads = [Thread(target=press) for _number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [Customer.objects.get().pk] * 6
