"""Who entered a customer or a contact elsewhere, and when, is kept where the past may be imported; and nowhere else."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from crm.jobs import run_waiting
from crm.models import Role, User
from crm.verbs import NotAllowed, Refused
from customers.models import Contact, Customer
from notices.history import Event
from tests import factories as make
from tests.asserting import unchanged
from tests.importing import begin, checked, imported, refusals, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

SHANGHAI = ZoneInfo("Asia/Shanghai")
CUSTOMERS = """name,created,created by
A,2017-03-01,old
B,2017-03-02 16:20:30,Old Hand
C,,
D,2099-01-01,old
E,soon,old
F,2017-03-01,nobody
"""


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def manager():
    return make.user("fang", "opportunity_manager", at="head-office", time_zone="Asia/Shanghai")


@pytest.fixture
def old():
    """Somebody who left long ago."""
    person = make.user("old", name="Old Hand")
    User.objects.filter(pk=person.pk).update(is_active=False)
    return person


def authors(model):
    return dict(list(model.objects.values_list("name", "created_by__username")))  # or its `keys` would be asked


def moments(model):
    return dict(list(model.objects.values_list("name", "created_at")))  # or its `keys` would be asked


def test_customers_keep_who_entered_them_and_when_and_the_history_says_who_imported_them(manager, old):
    began = timezone.now()

    run = imported(signed_in(manager), "customers", CUSTOMERS)

    assert (run.new, run.refused) == (3, 3)
    assert [cell[:3] for cell in refusals(run)] == [
        (5, "created", "2099-01-01"), (6, "created", "soon"), (7, "created by", "nobody"),
    ]  # fmt: skip
    assert refusals(run)[0][3] == "This lies ahead. Write when it was."
    assert authors(Customer) == {"A": "old", "B": "old", "C": "fang"}
    at = moments(Customer)
    assert (at["A"], at["B"]) == (
        datetime(2017, 3, 1, 9, tzinfo=SHANGHAI),
        datetime(2017, 3, 2, 16, 20, tzinfo=SHANGHAI),
    )
    assert at["C"] >= began
    for customer in Customer.objects.all():
        [event] = Event.objects.about(customer)
        assert (event.kind, event.by, event.at >= began) == ("created", manager, True)
        assert customer.owner == manager


def test_contacts_keep_who_entered_them_and_when(manager, old):
    make.customer(manager, name="One")
    content = "name,customer,created,created by\nDing Yan,One,2017-03-01,old\nFeng Kai,One,,\n"

    imported(signed_in(manager), "contacts", content)

    assert authors(Contact) == {"Ding Yan": "old", "Feng Kai": "fang"}
    assert moments(Contact)["Ding Yan"] == datetime(2017, 3, 1, 9, tzinfo=SHANGHAI)
    assert {event.by for contact in Contact.objects.all() for event in Event.objects.about(contact)} == {manager}


@pytest.mark.parametrize("kind", ["customers", "contacts"])
def test_a_rep_is_not_offered_to_say_who_entered_something(old, kind):
    rep = make.user()
    make.customer(rep, name="One")
    content = "name,customer,created,created by\nDing Yan,One,2017-03-01,old\n"
    run = begin(signed_in(rep), kind, content)
    form = signed_in(rep).get(f"/imports/{run.pk}/match/").context["form"]
    assert not {"created_at", "created_by"} & {*form.targets}

    before = timezone.now()
    imported(signed_in(rep), kind, content)

    [made] = (Customer if kind == "customers" else Contact).objects.filter(name="Ding Yan")
    assert (made.created_by, made.created_at >= before) == (rep, True)


def test_who_may_not_import_the_past_any_more_says_nothing_of_it(manager, old):
    """What was matched while one might is passed over, as it is for all columns that one may feed no more."""
    client = signed_in(manager)
    run = checked(client, "customers", "name,created,created by\nA,2017-03-01,old\n")
    manager.roles.set(Role.objects.filter(key="rep"))

    client.post(f"/imports/{run.pk}/run/")
    run_waiting()

    [customer] = Customer.objects.all()
    assert (customer.created_by, customer.created_at.year > 2017) == (manager, True)


@pytest.mark.parametrize("model", [Customer, Contact])
def test_the_verb_itself_asks_whether_one_may(manager, old, model):
    rep = make.user()
    of = make.customer(rep)
    then = datetime(2017, 3, 1, tzinfo=UTC)

    def one(**fields):
        given = {"created_by": old, "created_at": then} | fields
        return Customer(name="A", **given) if model is Customer else Contact(name="A", customer=of, **given)

    with unchanged(), pytest.raises(NotAllowed):
        model.create_all([one()], by=rep, as_was=True)
    with unchanged(), pytest.raises(Refused):
        model.create_all([one(created_at=timezone.now() + timedelta(days=1))], by=manager, as_was=True)
    by_rep, kept = one(), one()
    model.create_all([by_rep], by=rep)
    model.create_all([kept], by=manager, as_was=True)
    assert (by_rep.created_by, kept.created_by, kept.created_at) == (rep, old, then)


@pytest.mark.parametrize("kind", ["customers", "contacts"])
@pytest.mark.parametrize("end", ["csv", "xlsx"])
def test_what_was_exported_is_there_already_and_comes_back_as_it_was(manager, old, kind, end):
    client = signed_in(manager)
    customer = make.customer(manager, name="One", description="Big")
    model, one = (Customer, customer) if kind == "customers" else (Contact, make.contact(customer, name="Ding Yan"))
    then = datetime(2017, 3, 1, 16, 20, tzinfo=UTC)
    model.objects.filter(pk=one.pk).update(created_at=then)
    answer = client.get(f"/{kind}/?export={end}&fields=all")
    file = b"".join(answer.streaming_content)

    assert checked(client, kind, file, name=f"file.{end}").unchanged == 1
    one.delete_(by=manager)
    run = imported(client, kind, file, name=f"file.{end}")

    assert (run.new, refusals(run)) == (1, [])
    assert model.objects.get(name=one.name).created_at == then
