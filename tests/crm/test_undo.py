"""An import undone: what nobody touched goes for good or is what it was; the rest is left, and said why."""

from datetime import timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from crm import people, picklists
from crm.importing import ImportRun
from crm.jobs import Job, Stopping, kinds, run_waiting
from crm.journal import KEPT, Batch, Entry
from crm.models import Audit, NumberSequence, Role, User
from crm.work import tidy
from customers.models import Contact, Customer, Industry
from notices.history import Event
from notices.models import Comment, Delivery, Message
from notices.recycle import Recycled
from opportunities.models import FollowUp, Opportunity, State
from opportunities.signings import Signing
from tests import factories as make
from tests.asserting import not_there, unchanged
from tests.digest import digest
from tests.importing import checked, imported, match, signed_in

pytestmark = pytest.mark.django_db(transaction=True)

# What an import leaves behind that was undone: itself, who was told of it, and the numbers, which are not used again.
BOOKS = {"ImportRun", "RefusedCell", "Batch", "Entry", "Message", "Delivery", "NumberSequence"}


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def rep():
    return make.user("chen", name="Chen Yu")


@pytest.fixture
def client(rep):
    return signed_in(rep)


@pytest.fixture
def chief():
    return signed_in(make.user("xu", "opportunity_manager", at="head-office"))


def undone(client, run):
    """This will have an import undone, and give what was left, as {name: why}."""
    assert client.post(f"/imports/{run.pk}/undo/").status_code == 302
    run_waiting()
    run.refresh_from_db()
    assert run.state == "undone", run.job.error
    call_command("verify", stdout=StringIO())
    return {
        entry.about_type.model_class()._base_manager.filter(pk=entry.about_id).first(): entry.why for entry in run.left
    }


def whole():
    """This will give a hash of all that an undone import leaves as it was."""
    return digest(besides=BOOKS)


# Each kind


@pytest.mark.parametrize(
    ("kind", "content", "answers"),
    [
        ("customers", "name,phone,sector\nA,1,Health\nB,2,\n", {}),
        ("contacts", "name,customer\nDing,One\nFeng,One\n", {}),
        ("contacts", "name,customer\nDing,Newcomer\nFeng,One\n", {"unknown_customer": "create"}),
        ("opportunities", "name,customer,amount\nA,One,5\nB,,\n", {}),
        ("opportunities", "name,customer,amount\nA,Newcomer,5\nB,Newcomer,\n", {"unknown_customer": "create"}),
        ("follow_ups", "opportunity,when,content\nCameras,2026-01-02,x\nCameras,2099-01-02,y\n", {}),
        (
            "past",
            "name,customer,amount,stage,created on,closed on\nA,One,5,Won,2025-01-02,2025-02-03\n"
            "B,One,7,Lost,2025-01-02,2025-02-03\nC,One,9,Proposal,2025-01-02,\n",
            {},
        ),
    ],
)  # fmt: skip
def test_an_import_that_was_undone_leaves_everything_as_it_was(rep, chief, kind, content, answers):
    one = make.customer(rep, name="One")
    make.opportunity(rep, name="Cameras", customer=one)
    before = whole()
    client = chief if kind == "past" else signed_in(rep)

    run = imported(client, kind, content, **answers)
    assert whole() != before

    assert undone(client, run) == {}
    assert whole() == before


def test_what_changed_is_what_it_was(client, rep):
    qinghe = make.customer(rep, name="Qinghe", phone="1", industry=Industry.objects.first())
    run = imported(client, "customers", "name,phone,address,sector\nQinghe,2,Main street,Health\n", mode="overwrite")

    assert undone(client, run) == {}
    qinghe.refresh_from_db()
    assert (qinghe.phone, qinghe.address, qinghe.industry) == ("1", "", Industry.objects.first())
    assert [event.kind for event in Event.objects.about(qinghe)] == ["changed", "changed", "created"]


def test_opportunities_that_changed_are_what_they_were(client, rep):
    one = make.opportunity(rep, name="Cameras", amount=Decimal("100.50"))
    make.customer(rep, name="Other")
    content = (
        f"reference,name,amount,customer,expected close date,probability\n{one.number},New,250,Other,2027-01-02,33\n"
    )
    fields = ("name", "amount", "customer_id", "expected_close_on", "probability", "base_cents")
    before = Opportunity.objects.values(*fields).get()
    run = imported(client, "opportunities", content, mode="overwrite")
    assert Opportunity.objects.get().name == "New"

    assert undone(client, run) == {}
    assert Opportunity.objects.values(*fields).get() == before


def test_people_and_values_of_lists_go_too():
    admin = signed_in(make.user("lin", "administrator", at="head-office"))
    make.department("baoding")
    before = User.objects.count(), Industry.objects.count()
    people = imported(admin, "users", "name\nMoses Frase\nAnna Snelling\n", from_department="=baoding")
    values = imported(admin, "picklists", "list,name\nIndustry,Fishing\n")
    customers = imported(admin, "customers", "name,sector\nA,Farming\n", {"Farming": "+"})
    User.objects.filter(username="moses.frase").update(last_login=timezone.now())

    left = undone(admin, people)
    assert {str(one): why for one, why in left.items()} == {"Moses Frase": "They have signed in since."}
    assert undone(admin, values) == undone(admin, customers) == {}
    assert (User.objects.count(), Industry.objects.count()) == (before[0] + 1, before[1])


def test_a_value_that_is_in_use_by_now_is_left():
    root = make.user("lin", "administrator", at="head-office")
    admin = signed_in(root)
    values = imported(admin, "picklists", "list,name\nIndustry,Fishing\n")
    make.customer(root, name="A", industry=Industry.objects.get(names__en="Fishing"))

    left = undone(admin, values)

    assert list(left.values()) == ["“Fishing” is in use once. Retire it, or merge it into another."]


def test_numbers_are_not_used_again(client):
    run = imported(client, "opportunities", "name\nA\nB\n")
    last = NumberSequence.objects.get().last

    undone(client, run)
    imported(client, "opportunities", "name\nA\n")

    assert Opportunity.objects.get().number.endswith(f"{last + 1:06d}")


def test_whoever_was_put_in_charge_is_told_no_more(chief):
    li = make.user("li", name="Li Na")
    run = imported(chief, "customers", "name,owner\nA,li\nB,li\n")
    assert (Message.objects.filter(to=li).count(), Delivery.objects.filter(to=li).count()) == (1, 1)

    undone(chief, run)

    assert (Message.objects.filter(to=li).count(), Delivery.objects.filter(to=li).count()) == (0, 0)


# What was touched


def touch_by_change(it, rep):
    it.change(by=rep, description="mine now")


def touch_by_follow_up(it, rep):
    make.follow_up(it, by=rep)


def touch_by_comment(it, rep):
    Comment(about=it, text="look at this").add(by=rep)


def touch_by_share(it, rep):
    it.share(by=rep, people=[make.user("ma")])


def touch_by_contact(it, rep):
    contact = Contact(customer=it.customer, name="Ding")
    contact.create(by=rep)
    it.add_contact(contact=contact, by=rep)


@pytest.mark.parametrize(
    ("touch", "why"),
    [
        (touch_by_change, "It was changed since."),
        (touch_by_follow_up, "Something was added to it since."),
        (touch_by_comment, "Something was added to it since."),
        (touch_by_share, "Something was added to it since."),
        (touch_by_contact, "Something was added to it since."),
    ],
    ids=lambda one: getattr(one, "__name__", "")[9:],
)
def test_what_was_touched_since_is_left_and_said_why(client, rep, touch, why):
    make.customer(rep, name="One")
    run = imported(client, "opportunities", "name,customer\nTouched,One\nUntouched,One\n")
    touched = Opportunity.objects.get(name="Touched")
    touch(touched, rep)

    assert undone(client, run) == {touched: why}
    assert list(Opportunity.objects.all()) == [touched]
    page = client.get(f"/imports/{run.pk}/").content.decode()
    assert "One record had to be left." in page
    assert (why in page, touched.get_absolute_url() in page) == (True, True)
    assert why in client.get(f"/imports/{run.pk}/records/").content.decode()


def test_a_customer_to_whom_something_belongs_by_now_is_left(client, rep):
    run = imported(client, "customers", "name\nA\nB\n")
    make.opportunity(rep, customer=Customer.objects.get(name="A"))

    left = undone(client, run)

    assert {one.name: why for one, why in left.items()} == {"A": "Something was added to it since."}


def test_what_was_deleted_since_is_said_to_be(client, rep):
    run = imported(client, "customers", "name\nA\nB\n")
    Customer.objects.get(name="A").delete_(by=rep)

    assert undone(client, run) == {None: "It was deleted since."}
    assert (Customer.objects.count(), Recycled.objects.count()) == (0, 1)


def test_what_was_changed_again_since_keeps_that(client, rep):
    make.customer(rep, name="Qinghe", phone="1")
    run = imported(client, "customers", "name,phone\nQinghe,2\n", mode="overwrite")
    Customer.objects.get().change(by=rep, address="mine")

    assert list(undone(client, run).values()) == ["It was changed since."]
    assert (Customer.objects.get().phone, Customer.objects.get().address) == ("2", "mine")


def test_a_record_that_one_may_change_no_more_is_left(client, rep):
    qinghe = make.customer(rep, name="Qinghe", phone="1")
    run = imported(client, "customers", "name,phone\nQinghe,2\n", mode="overwrite")
    Customer.objects.filter(pk=qinghe.pk).update(owner=make.user("li"))

    assert list(undone(client, run).values()) == ["You may not do this."]
    assert Customer.objects.get().phone == "2"


def test_two_imports_are_undone_in_any_order(client, rep):
    opportunities = imported(client, "opportunities", "name\nA\nB\n")
    follow_ups = imported(client, "follow_ups", "opportunity,when,content\nA,2026-01-02,x\n")

    assert list(undone(client, opportunities).values()) == ["Something was added to it since."]
    assert undone(client, follow_ups) == {}
    assert (Opportunity.objects.count(), FollowUp.objects.count()) == (1, 0)


def test_a_customer_that_signed_something_else_meanwhile_goes_on_trading(rep, chief):
    one = make.customer(rep, name="One")
    run = imported(chief, "past", "name,customer,amount,stage,closed on\nA,One,5,Won,2025-02-03\n")
    imported(chief, "past", "name,customer,amount,stage,closed on\nB,One,5,Won,2025-02-03\n")

    assert undone(chief, run) == {}
    one.refresh_from_db()
    assert (one.status, Signing.objects.count()) == ("trading", 1)


def test_an_opportunity_that_lives_by_an_approval_since_is_left(client, rep):
    """Reported since, its state is that of an approval, which no undoing takes away."""
    run = imported(
        client,
        "opportunities",
        "name,customer,business type,amount,expected close date\nA,One,Cloud,5,2027-01-02\n",
        unknown_customer="create",
    )
    one = Opportunity.objects.get()
    make.bring_to(one, "reporting")

    left = undone(client, run)

    assert {str(record): str(why) for record, why in left.items()} == {
        "A": "It was changed since.",
        "One": "Something was added to it since.",
    }
    assert Opportunity.objects.get().state == State.REPORTING


@pytest.mark.parametrize("mode", ["fill", "overwrite"])
def test_imports_upon_imports_are_undone_one_after_the_other(client, rep, mode):
    """The second changes what the first entered; once that is what it was again, nobody touched it."""
    before = whole()
    first = imported(client, "customers", "name,phone\nA,\nB,1\n")
    second = imported(client, "customers", "name,phone\nA,7\n", mode=mode)
    assert second.changed == 1

    assert undone(client, second) == {}
    assert Customer.objects.get(name="A").phone == ""
    assert undone(client, first) == {}
    assert whole() == before


def test_what_one_import_entered_and_then_changed_is_one_thing_to_undo(client):
    before = whole()
    run = imported(client, "customers", "name,phone\nA,1\n", column_1="")
    match(client, run, column_1="phone", mode="overwrite")
    run_waiting()
    client.post(f"/imports/{run.pk}/run/")
    run_waiting()
    assert Customer.objects.get().phone == "1"

    assert undone(client, run) == {}
    assert whole() == before


def test_what_it_had_before_and_is_gone_cannot_come_back(client, rep):
    """The industry of before was deleted; the record is left as the import made it, and the others are undone."""
    gone = Industry.objects.create(key="gone", names={"en": "Gone"})
    make.customer(rep, name="Qinghe", phone="1", industry=gone)
    make.customer(rep, name="Fuhua", phone="1")
    run = imported(client, "customers", "name,phone,sector\nQinghe,2,Health\nFuhua,2,\n", mode="overwrite")
    gone.delete()

    assert list(undone(client, run).values()) == ["What it had before is there no more."]
    assert {one.name: one.phone for one in Customer.objects.all()} == {"Fuhua": "1", "Qinghe": "2"}


def test_a_value_that_was_merged_meanwhile_comes_back_as_what_it_became(client, rep):
    root = make.user("root", "administrator", at="head-office")
    old, into = Industry.objects.order_by("id")[:2]
    make.customer(rep, name="Qinghe", industry=old)
    run = imported(client, "customers", "name,sector\nQinghe,Health\n", mode="overwrite")
    picklists.merge(old, into=into, by=root, seen=old.version)

    assert undone(client, run) == {}
    assert Customer.objects.get().industry == into


def test_what_cannot_be_set_back_whole_is_not_set_back_in_part(chief):
    old = make.user("old")
    make.user("li")
    make.customer(old, name="One", phone="1")
    run = imported(chief, "customers", "name,owner,phone\nOne,li,2\n", mode="overwrite")
    User.objects.filter(pk=old.pk).update(is_active=False)

    assert list(undone(chief, run).values()) == ["old cannot be put in charge."]
    one = Customer.objects.get()
    assert (one.owner.username, one.phone) == ("li", "2")


def test_what_went_along_to_somebody_else_is_left(client, rep):
    """With the customer its contact moved: no change of its own, and nevertheless no longer what came in."""
    one = make.customer(rep, name="One")
    run = imported(client, "contacts", "name,customer\nDing,One\n")
    one.transfer(to=make.user("li"), by=make.user(None, "opportunity_manager", at="head-office"))

    assert list(undone(client, run).values()) == ["It was changed since."]


def test_people_who_were_given_other_roles_are_left():
    root = make.user("lin", "administrator", at="head-office")
    make.department("baoding")
    run = imported(signed_in(root), "users", "name\nMoses Frase\n", from_department="=baoding")
    people.change(User.objects.get(username="moses.frase"), by=root, roles=[Role.objects.get(key="gm")])

    assert list(undone(signed_in(root), run).values()) == ["It was changed since."]


# All or nothing


def half(client, run, reason="stop"):
    """This will have the first rows of an import come in, and then stop it, or its worker."""
    client.post(f"/imports/{run.pk}/run/")
    job = Job.objects.claim(Job.objects.latest("id").pk, worker="first")
    if reason == "stop":
        client.post(f"/imports/{run.pk}/stop/")
        job.beat()
    else:
        job.interruption = Stopping()
    job.run()


MANY = "name,phone\n" + "".join(f"C{number},2\n" for number in range(250))


def test_all_or_nothing_undoes_only_what_it_did_itself(client):
    run = imported(client, "customers", MANY, column_1="")
    match(client, run, column_1="phone", mode="overwrite", whole="on")
    run_waiting()
    client.post(f"/imports/{run.pk}/run/")

    client.post(f"/imports/{run.pk}/stop/")  # while it waits, and has changed nothing
    run_waiting()

    assert Customer.objects.filter(phone="").count() == 250


def test_all_or_nothing_that_is_stopped_half_way_sets_back_what_it_changed_of_an_earlier_run(client):
    run = imported(client, "customers", MANY, column_1="")
    match(client, run, column_1="phone", mode="overwrite", whole="on")
    run_waiting()
    half(client, run)
    assert 0 < Customer.objects.filter(phone="2").count() < 250

    run_waiting()

    assert (Customer.objects.count(), Customer.objects.filter(phone="").count()) == (250, 250)


def test_all_or_nothing_is_kept_though_its_owner_left(client, rep):
    for number in range(250):
        make.customer(rep, name=f"C{number}", phone="1")
    run = checked(client, "customers", MANY, mode="overwrite", whole="on")
    half(client, run, "worker")
    assert 0 < Customer.objects.filter(phone="2").count() < 250
    User.objects.filter(pk=rep.pk).update(is_active=False)

    run_waiting()

    run.refresh_from_db()
    assert (run.state, Customer.objects.filter(phone="2").count()) == ("undone", 0)


def test_nobody_stops_its_undoing_not_even_an_administrator():
    admin = signed_in(make.user("lin", "administrator", at="head-office"))
    run = checked(admin, "customers", MANY, whole="on")
    half(admin, run)
    assert Customer.objects.count() == 100

    admin.post(f"/imports/{run.pk}/stop/")
    run_waiting()

    run.refresh_from_db()
    assert (run.state, Customer.objects.count()) == ("undone", 0)


@pytest.mark.parametrize("answers", [{"mode": "create"}, {"key": "tax_id"}])
def test_a_stopped_import_goes_on_after_another_check_and_enters_nothing_twice(client, answers):
    """Not by what is there already, for that is not asked: by how far it had come."""
    run = checked(client, "customers", MANY, **answers)
    half(client, run)
    assert client.post(f"/imports/{run.pk}/run/").status_code == 409

    client.post(f"/imports/{run.pk}/")
    run_waiting()
    run.refresh_from_db()
    assert (run.new, run.unchanged) == (150, 100)
    client.post(f"/imports/{run.pk}/run/")
    run_waiting()

    assert Customer.objects.count() == Customer.objects.values("name").distinct().count() == 250


@pytest.mark.parametrize("act", ["run", "undo"])
def test_a_worker_that_is_killed_after_the_end_tells_nobody_twice(chief, act):
    li = make.user("li")
    run = checked(chief, "customers", "name,owner\nA,li\n")
    chief.post(f"/imports/{run.pk}/run/")
    if act == "undo":
        run_waiting()
        chief.post(f"/imports/{run.pk}/undo/")
    job = Job.objects.claim(Job.objects.latest("id").pk, worker="first")
    kinds()[job.kind].function(job)  # and then it is killed, before it could write that the job is done

    Job.objects.reap(worker="first")
    Job.objects.claim(job.pk, worker="second").run()

    kind = {"run": "imported", "undo": "import_undone"}[act]
    assert Audit.objects.filter(kind=kind).count() == 1
    assert Message.objects.filter(to=li).count() == {"run": 1, "undo": 0}[act]


# Who, when, how often


def test_the_question_is_asked_first_and_changes_nothing(client):
    run = imported(client, "customers", "name\nA\n")

    with unchanged():
        page = client.get(f"/imports/{run.pk}/undo/")
    assert "Undo the import of file.csv?" in page.content.decode()


def test_nobody_but_its_owner_undoes_an_import(client, rep):
    run = imported(client, "customers", "name\nA\n")
    strangers = [make.user(), make.user(None, "administrator", at="head-office")]

    for stranger in map(signed_in, strangers):
        assert not_there(stranger, f"/imports/{run.pk}/undo/")
        assert not_there(stranger, f"/imports/{run.pk}/undo/", "post")
        assert not_there(stranger, f"/imports/{run.pk}/records/")
    run_waiting()
    assert Customer.objects.count() == 1
    undone(client, run)
    assert Customer.objects.count() == 0


def test_it_is_undone_once(client):
    run = imported(client, "customers", "name\nA\n")
    undone(client, run)

    with unchanged():
        assert client.post(f"/imports/{run.pk}/undo/").status_code == 409
    assert Audit.objects.filter(kind="import_undone").count() == 1
    entry = Audit.objects.get(kind="import_undone")
    assert (entry.data["undone"], entry.data["left"], entry.data["file"]) == (1, 0, "file.csv")


def test_after_seven_days_it_stays(client):
    run = imported(client, "customers", "name\nA\n")
    Batch.objects.update(at=timezone.now() - KEPT + timedelta(hours=1))
    assert run.can_be_undone
    Batch.objects.update(at=timezone.now() - KEPT)

    with unchanged():
        assert client.post(f"/imports/{run.pk}/undo/").status_code == 409
    tidy()
    assert not Entry.objects.exists()
    assert ImportRun.objects.get().batch is None
    assert Customer.objects.count() == 1


def test_what_is_being_undone_is_not_forgotten_meanwhile(client):
    run = imported(client, "customers", "name\nA\n")
    client.post(f"/imports/{run.pk}/undo/")
    Batch.objects.update(at=timezone.now() - KEPT)

    tidy()
    run_waiting()

    run.refresh_from_db()
    assert (run.state, Customer.objects.count()) == ("undone", 0)


def test_what_came_in_of_an_import_that_was_stopped_can_be_undone(client):
    run = checked(client, "customers", "name\n" + "".join(f"C{number}\n" for number in range(350)))
    client.post(f"/imports/{run.pk}/run/")
    job = Job.objects.claim(Job.objects.latest("id").pk, worker="first")
    client.post(f"/imports/{run.pk}/stop/")
    job.beat()
    job.run()
    assert Customer.objects.count() == 100

    undone(client, run)

    assert Customer.objects.count() == 0


def test_an_undoing_that_was_broken_off_goes_on_where_it_was(client):
    before = whole()
    run = imported(client, "customers", "name\n" + "".join(f"C{number}\n" for number in range(350)))
    client.post(f"/imports/{run.pk}/undo/")
    job = Job.objects.claim(Job.objects.latest("id").pk, worker="first")
    job.interruption = Stopping()
    job.run()
    assert 0 < Customer.objects.count() < 350

    run_waiting()

    run.refresh_from_db()
    assert (run.state, run.job.result["undone"]) == ("undone", 350)
    assert whole() == before


def test_after_an_undoing_the_file_comes_in_again(client):
    run = imported(client, "customers", "name\nA\nB\n")
    undone(client, run)

    client.post(f"/imports/{run.pk}/")
    run_waiting()
    client.post(f"/imports/{run.pk}/run/")
    run_waiting()
    assert Customer.objects.count() == 2
    assert undone(client, run) == {}
    assert Customer.objects.count() == 0
