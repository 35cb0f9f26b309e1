"""What becomes of a row whose record is there already, and by what key that is told; and how a file is read anew."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection

from crm.importing import ImportRun, SavedMatching, analyze
from crm.jobs import Job, run_waiting
from crm.models import User
from customers.models import Contact, Customer, CustomerLevel, Industry
from notices.history import Event
from notices.models import Message
from opportunities.models import Opportunity
from tests import factories as make
from tests.asserting import not_there, unchanged
from tests.importing import begin, checked, counts, imported, match, refusals, signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def rep():
    return make.user("chen", name="Chen Yu")


@pytest.fixture
def client(rep):
    return signed_in(rep)


def bring(client, kind, content, **answers):
    return imported(client, kind, content, **answers)


# Modes

FILE = "name,phone,address,tax id\nQinghe,111,Main street 1,\nFuhua,222,Side street 2,T2\nNew one,333,,\n"


@pytest.fixture
def there(rep):
    """Of Qinghe the address is not known yet; of Fuhua the file says nothing that is not known."""
    make.customer(rep, name="Qinghe", phone="999", tax_id="T1")
    make.customer(rep, name="Fuhua", phone="222", address="Side street 2", tax_id="T2")


def customers():
    return {one.name: (one.phone, one.address, one.tax_id) for one in Customer.objects.all()}


@pytest.mark.parametrize(
    ("mode", "found", "qinghe"),
    [
        ("skip", (1, 0, 1, 1, 0), ("999", "", "T1")),
        ("fill", (1, 1, 1, 0, 0), ("999", "Main street 1", "T1")),
        ("overwrite", (1, 1, 1, 0, 0), ("111", "Main street 1", "T1")),
    ],
)
@pytest.mark.usefixtures("there")
def test_what_is_there_is_left_or_filled_or_overwritten_and_an_empty_cell_changes_nothing(client, mode, found, qinghe):
    with unchanged():
        run = checked(client, "customers", FILE, mode=mode)
    assert counts(run) == found

    client.post(f"/imports/{run.pk}/run/")
    run_waiting()

    run.refresh_from_db()
    assert (run.state, counts(run)) == ("done", found)
    assert customers() == {
        "Qinghe": qinghe,
        "Fuhua": ("222", "Side street 2", "T2"),
        "New one": ("333", "", ""),
    }


@pytest.mark.usefixtures("there")
def test_every_row_is_entered_once_more_where_that_is_wanted(client):
    run = imported(client, "customers", FILE, mode="create")

    assert counts(run) == (3, 0, 0, 0, 0)
    assert Customer.objects.filter(name="Fuhua").count() == 2


@pytest.mark.usefixtures("there")
def test_a_change_stands_in_the_history_as_one_by_hand_does(client, rep):
    imported(client, "customers", FILE, mode="overwrite")

    qinghe = Customer.objects.get(name="Qinghe")
    assert (qinghe.version, qinghe.match_phone) == (2, "111") or qinghe.version == 2
    event = Event.objects.about(qinghe).first()
    assert (event.kind, event.by, event.changes) == (
        "changed",
        rep,
        {"phone": ["999", "111"], "address": ["", "Main street 1"]},
    )


@pytest.mark.usefixtures("there")
def test_the_check_shows_old_beside_new(client):
    run = checked(client, "customers", FILE, mode="overwrite")

    assert run.changes == [["Qinghe", [["Phone", "999", "111"], ["Address", "", "Main street 1"]]]]
    page = client.get(f"/imports/{run.pk}/").content.decode()
    assert "<del>999</del>" in page


@pytest.mark.usefixtures("there")
def test_the_same_file_overwrites_once_and_is_unchanged_then(client):
    imported(client, "customers", FILE, mode="overwrite")

    with unchanged():
        run = checked(client, "customers", FILE, mode="overwrite")
    assert counts(run) == (0, 0, 3, 0, 0)


def test_a_row_that_comes_again_in_the_file_is_skipped(client, rep):
    make.customer(rep, name="Qinghe", phone="1")
    run = imported(client, "customers", "name,phone\nQinghe,2\nQinghe,3\nNew,4\nNew,5\n", mode="overwrite")

    assert counts(run) == (1, 1, 0, 2, 0)
    assert customers() == {"Qinghe": ("2", "", ""), "New": ("4", "", "")}


# Keys


@pytest.mark.usefixtures("there")
def test_a_row_is_recognised_by_the_key_that_was_chosen(client):
    run = imported(
        client, "customers", "name,tax id\nQinghe Water,T1\nNobody,T9\nNo number,\n", key="tax_id", mode="overwrite"
    )

    assert counts(run) == (2, 1, 0, 0, 0)
    assert {name: tax_id for name, (_phone, _address, tax_id) in customers().items()} == {
        "Qinghe Water": "T1",
        "Fuhua": "T2",
        "Nobody": "T9",
        "No number": "",
    }


def test_of_two_records_that_share_a_key_none_is_changed(client, rep):
    make.customer(rep, name="Twin", phone="1")
    make.customer(rep, name="Twin", phone="2")

    run = checked(client, "customers", "name,phone\nTwin,3\n", mode="overwrite")
    assert (counts(run), refusals(run)[0][3]) == (
        (0, 0, 0, 0, 1),
        "There are several such records, so none of them is changed.",
    )
    assert counts(checked(client, "customers", "name,phone\nTwin,2\n", mode="overwrite")) == (0, 0, 1, 0, 0)


@pytest.mark.parametrize("key", ["email", "mobile"])
def test_contacts_are_recognised_by_address_or_number(client, rep, key):
    one = make.customer(rep, name="One")
    Contact(customer=one, name="Ding", email="Ding@example.org", mobile="138").create(by=rep)

    content = "name,customer,email,mobile,title\nMs Ding,One,ding@example.org,138,Director\n"
    run = imported(client, "contacts", content, key=key, mode="fill")

    assert counts(run) == (0, 1, 0, 0, 0)
    ding = Contact.objects.get()
    assert (ding.name, ding.title, ding.email) == ("Ding", "Director", "Ding@example.org")


def test_an_opportunity_is_recognised_by_its_number_as_lists_give_it_out(client, rep):
    one = make.opportunity(rep, name="Cameras", amount=Decimal(100))

    run = imported(
        client, "opportunities", f"Number,Opportunity name,Amount\n{one.number},Cameras,250\n", mode="overwrite"
    )

    assert counts(run) == (0, 1, 0, 0, 0)
    one.refresh_from_db()
    assert (one.amount, one.base_cents, one.reference) == (250, 25000, "")


def test_a_row_without_the_key_is_recognised_by_its_name(client):
    content = "name,tax id\nA,\nB,\n"
    imported(client, "customers", content, key="tax_id")

    assert counts(checked(client, "customers", content, key="tax_id")) == (0, 0, 2, 0, 0)


def test_of_two_rows_about_one_record_the_first_counts_whatever_is_there(client, rep):
    make.customer(rep, name="Q", phone="1")
    content = "name,phone\nQ,1\nQ,2\n"

    for _time in range(2):
        assert counts(checked(client, "customers", content, mode="overwrite")) == (0, 0, 1, 1, 0)
    assert counts(checked(client, "customers", "name,phone\nQ,2\nQ,1\n", mode="overwrite")) == (0, 1, 0, 1, 0)


# Rights and the verbs' own refusals


def test_what_one_sees_and_may_not_change_is_refused(rep):
    """Somebody in scope sees the customer; only its owner and superiors change it."""
    make.customer(rep, name="Qinghe", phone="1")
    colleague = make.user(None, "support", at="hebei")

    with unchanged():
        run = checked(signed_in(colleague), "customers", "name,phone\nQinghe,2\n", mode="overwrite")
    assert refusals(run)[0][3] == "It is there already, and you may not change it."

    assert counts(checked(signed_in(rep), "customers", "name,phone\nQinghe,2\n", mode="overwrite")) == (0, 1, 0, 0, 0)


def test_what_the_verb_refuses_the_check_foretells(client, rep):
    lost = make.opportunity(rep, name="Lost one", amount=Decimal(5))
    lost.void(by=rep, reason="twice")

    with unchanged():
        run = checked(client, "opportunities", f"name,customer,amount\nLost one,{lost.customer},9\n", mode="overwrite")
    assert refusals(run) == [(2, "", "", "This opportunity is closed, so it can no longer be changed.")]


def test_somebody_else_is_put_in_charge_by_the_verb_for_that(rep):
    chief = signed_in(make.user(None, "opportunity_manager", at="head-office"))
    other = make.user("li", name="Li Na")
    make.customer(rep, name="Qinghe")

    imported(chief, "customers", "name,owner\nQinghe,li\n", mode="overwrite")

    qinghe = Customer.objects.get()
    assert (qinghe.owner, Event.objects.about(qinghe).first().kind) == (other, "transferred")
    assert not Message.objects.filter(kind="transferred").exists()  # one summary, not one for each


def test_no_import_moves_a_contact_to_another_customer(client, rep):
    one = make.customer(rep, name="One")
    make.customer(rep, name="Two")
    Contact(customer=one, name="Ding", email="d@example.org").create(by=rep)

    content = "name,customer,email\nDing,Two,d@example.org\n"
    run = checked(client, "contacts", content, key="email", mode="overwrite")

    assert refusals(run) == [(2, "customer", "Two", "It belongs to another customer. Move it on its own page.")]


def test_what_can_be_chosen_no_more_stays_with_whom_has_it_and_goes_to_nobody_else(client, rep):
    """A retired value, and somebody who left."""
    retired = Industry.objects.create(key="old", names={"en": "Old trade"}, active=False)
    make.customer(rep, name="Has it", industry=retired)
    make.customer(rep, name="Has it not")
    content = "name,sector\nHas it,Old trade\nHas it not,Old trade\nNew,Old trade\n"

    run = checked(client, "customers", content, mode="overwrite")

    assert counts(run) == (0, 0, 1, 0, 2)
    assert [cell[0] for cell in refusals(run)] == [3, 4]


# The import does what the check said, or nothing


def test_a_row_that_would_come_to_something_else_stops_the_import_and_is_named(client, rep):
    make.customer(rep, name="Qinghe", phone="1")
    run = checked(client, "customers", "name,phone\nNew,1\nQinghe,2\n", mode="overwrite")
    Customer.objects.get().change(by=rep, address="meanwhile")

    client.post(f"/imports/{run.pk}/run/")
    with unchanged():
        run_waiting()

    run.refresh_from_db()
    assert (run.standing, run.job.error) == (
        "failed",
        "Row 3 would no longer come to what the check said. Check again.",
    )
    client.post(f"/imports/{run.pk}/")
    run_waiting()
    client.post(f"/imports/{run.pk}/run/")
    run_waiting()
    assert customers() == {"Qinghe": ("2", "meanwhile", ""), "New": ("1", "", "")}


def test_one_that_somebody_entered_meanwhile_is_not_entered_twice(client, rep):
    run = checked(client, "customers", "name\nA\nB\n")
    make.customer(rep, name="B")

    client.post(f"/imports/{run.pk}/run/")
    run_waiting()

    run.refresh_from_db()
    assert run.job.error == "Row 3 would no longer come to what the check said. Check again."
    assert list(Customer.objects.values_list("name", flat=True)) == ["B"]


# What is not there yet


def test_a_customer_that_is_not_there_is_entered_with_the_rows_that_name_it(client, rep):
    content = "name,customer\nA,Newcomer\nB,Newcomer\nC,Old\nD,\n"
    make.customer(rep, name="Old")

    run = imported(client, "opportunities", content, unknown_customer="create")

    assert counts(run) == (4, 0, 0, 0, 0)
    newcomer = Customer.objects.get(name="Newcomer")
    assert (newcomer.owner, newcomer.name_key != "", Customer.objects.count()) == (rep, True, 2)
    assert {one.name: one.customer and one.customer.name for one in Opportunity.objects.all()} == {
        "A": "Newcomer",
        "B": "Newcomer",
        "C": "Old",
        "D": None,
    }
    assert counts(checked(client, "opportunities", content, unknown_customer="create")) == (0, 0, 4, 0, 0)


def test_unless_that_is_wanted_an_unknown_customer_refuses_the_row(client):
    run = checked(client, "contacts", "name,customer\nDing,Newcomer\n")

    why = "No customer of that name that you may choose. Correct the name, or have it entered."
    assert refusals(run) == [(2, "customer", "Newcomer", why)]
    assert counts(checked(client, "contacts", "name,customer\nDing,Newcomer\n", unknown_customer="create"))[0] == 1


def test_a_name_that_no_customer_may_have_refuses_the_row_also_then(client):
    run = checked(client, "contacts", f"name,customer\nDing,{'x' * 201}\n", unknown_customer="create")

    assert (counts(run), "200" in refusals(run)[0][3]) == ((0, 0, 0, 0, 1), True)


def test_a_name_stands_for_a_customer_that_is_chosen(client, rep):
    qinghe = make.customer(rep, name="Qinghe Water Group")
    run = begin(client, "contacts", "name,customer\nDing,Qinghe W.\n")
    address = f"/imports/{run.pk}/match/"
    [unknown] = client.get(address).context["form"].unknown
    assert (unknown["text"], str(unknown["target"])) == ("Qinghe W.", "Customer")

    match(client, run, {"Qinghe W.": "Qinghe Water Group"})
    run_waiting()
    client.post(f"/imports/{run.pk}/run/")
    run_waiting()

    assert Contact.objects.get().customer == qinghe


def test_an_administrator_adds_a_value_to_its_list_and_nobody_else_is_offered_that():
    admin = make.user(None, "administrator", at="head-office")
    content = "name,sector\nA,Fishing\nB,fishing\nC,Fish farms\n"

    run = imported(signed_in(admin), "customers", content, {"Fishing": "+", "fishing": "+"})

    assert counts(run) == (2, 0, 0, 0, 1)
    fishing = Industry.objects.get(names__en="Fishing")
    assert set(Customer.objects.values_list("name", "industry")) == {("A", fishing.pk), ("B", fishing.pk)}
    rep = signed_in(make.user())
    [one, *_rest] = (
        rep.get(f"/imports/{begin(rep, 'customers', content.replace('ishing', 'lying')).pk}/match/")
        .context["form"]
        .unknown
    )
    assert "+" not in dict(one["field"].field.choices)


def test_one_that_is_picked_is_that_and_the_others_are_entered(client, rep):
    qinghe = make.customer(rep, name="Qinghe Water Group")
    content = "name,customer\nDing,Qinghe W.\nFeng,Newcomer\n"

    run = imported(client, "contacts", content, {"Qinghe W.": "Qinghe Water Group"}, unknown_customer="create")

    assert counts(run) == (2, 0, 0, 0, 0)
    newcomer = Customer.objects.get(name="Newcomer")
    assert {one.name: one.customer for one in Contact.objects.all()} == {"Ding": qinghe, "Feng": newcomer}


def test_what_is_there_gets_what_is_entered_with_it(rep):
    """A new customer and a new value also where the row only changes a record."""
    root = make.user("root", "administrator", at="head-office")
    one = make.opportunity(root, name="Cameras")
    content = f"reference,name,customer,source\n{one.number},Cameras,Newcomer,Fair\n"
    with unchanged():
        run = checked(
            signed_in(root), "opportunities", content, {"Fair": "+"}, mode="overwrite", unknown_customer="create"
        )
    assert (counts(run), run.fresh) == ((0, 1, 0, 0, 0), [["Customer", 1, ["Newcomer"]], ["Source", 1, ["Fair"]]])

    signed_in(root).post(f"/imports/{run.pk}/run/")
    run_waiting()

    one.refresh_from_db()
    assert (one.customer.name, one.source.names) == ("Newcomer", {"en": "Fair"})


def test_an_empty_cell_beside_a_value_that_is_added_stays_empty():
    admin = signed_in(make.user(None, "administrator", at="head-office"))

    imported(admin, "customers", "name,sector\nA,Fishing\nB,\n", {"Fishing": "+"})

    assert {one.name: one.industry and one.industry.name for one in Customer.objects.all()} == {
        "A": "Fishing",
        "B": None,
    }


def test_a_text_may_leave_its_field_empty(client):
    imported(client, "customers", "name,sector\nA,entertainment\n", {"entertainment": "-"})

    assert Customer.objects.get().industry is None


def test_who_lost_the_right_to_add_adds_nothing(client):
    admin = make.user(None, "administrator", at="head-office")
    run = begin(signed_in(admin), "customers", "name,sector\nA,Fishing\n")
    match(signed_in(admin), run, {"Fishing": "+"})
    run_waiting()
    admin.roles.clear()
    admin = User.objects.get(pk=admin.pk)
    assert "administrator" not in admin.role_keys
    signed_in(admin).post(f"/imports/{run.pk}/")
    run_waiting()

    run.refresh_from_db()
    assert (counts(run), Industry.objects.filter(names__en="Fishing").exists()) == ((0, 0, 0, 0, 1), False)


def test_a_retired_value_is_not_added_once_more():
    Industry.objects.create(key="old", names={"en": "Old trade"}, active=False)
    admin = signed_in(make.user(None, "administrator", at="head-office"))

    run = checked(admin, "customers", "name,sector\nA,Old trade\n", {"Old trade": "+"})

    assert (counts(run), "no longer used" in refusals(run)[0][3]) == ((0, 0, 0, 0, 1), True)


def test_a_name_goes_before_a_key(client):
    """A value whose key was given for a name that another one bears by now."""
    Industry.objects.create(key="fishing", names={"en": "Farming"})
    fishing = Industry.objects.create(key="x", names={"en": "Fishing"})

    imported(client, "customers", "name,sector\nA,Fishing\n")

    assert Customer.objects.get().industry == fishing


def test_who_may_be_put_in_charge_and_nobody_else_is_offered(client, rep):
    make.user("guo", name="Guo Wei")
    run = begin(client, "opportunities", "name,owner\nA,G. Wei\n")

    [asked] = client.get(f"/imports/{run.pk}/match/").context["form"].unknown

    offered = [str(label) for _key, label in asked["field"].field.choices]
    assert offered == ["Refuse these rows", "Leave the field empty", f"Chen Yu ({rep.department})"]


# All, or none


def test_all_or_nothing_begins_only_where_no_row_is_refused(client):
    run = checked(client, "customers", "name,phone\nA,1\nB,abc\n", whole="on")

    with unchanged():
        assert client.post(f"/imports/{run.pk}/run/").status_code == 409
    assert (
        "All rows are to come in, or none, and some are refused." in client.get(f"/imports/{run.pk}/").content.decode()
    )

    imported(client, "customers", "name,phone\nA,1\nB,2\n", whole="on")
    assert Customer.objects.count() == 2


def test_all_or_nothing_that_is_stopped_undoes_itself(client, rep):
    before = Customer.objects.count()
    run = checked(client, "customers", "name\n" + "".join(f"C{number}\n" for number in range(350)), whole="on")
    client.post(f"/imports/{run.pk}/run/")
    job = Job.objects.claim(Job.objects.latest("id").pk, worker="first")
    client.post(f"/imports/{run.pk}/stop/")
    job.beat()
    job.run()

    run.refresh_from_db()
    assert (run.standing, Customer.objects.count() > before) == ("undoing", True)
    page = client.get(f"/imports/{run.pk}/")
    assert "what is in goes again" in page.content.decode()
    client.post(f"/imports/{run.pk}/stop/")  # which nobody can stop
    run_waiting()

    run.refresh_from_db()
    assert (run.state, run.broken, Customer.objects.count()) == ("undone", "It was stopped.", before)


def test_all_or_nothing_that_fails_says_why_it_undoes_itself(client, rep):
    before = Customer.objects.count()
    run = checked(client, "customers", "name\nA\n", whole="on")
    client.post(f"/imports/{run.pk}/run/")
    User.objects.filter(pk=rep.pk).update(is_active=False)
    run_waiting()

    run.refresh_from_db()
    assert (run.state, Customer.objects.count()) == ("undone", before)
    assert run.broken == "Chen Yu may no longer sign in, so this was not done."


def test_without_that_what_is_in_stays(client):
    run = checked(client, "customers", "name\n" + "".join(f"C{number}\n" for number in range(350)))
    client.post(f"/imports/{run.pk}/run/")
    job = Job.objects.claim(Job.objects.latest("id").pk, worker="first")
    client.post(f"/imports/{run.pk}/stop/")
    job.beat()
    job.run()

    run.refresh_from_db()
    assert (run.standing, Customer.objects.count()) == ("cancelled", 100)


# Days


def test_the_file_decides_whether_day_or_month_comes_first(client):
    rows = "name,closes\nA,3/25/2027\nB,4/5/2027\n"
    imported(client, "opportunities", rows, column_1="expected_close_on")

    assert {one.name: one.expected_close_on for one in Opportunity.objects.all()} == {
        "A": date(2027, 3, 25),
        "B": date(2027, 4, 5),
    }


@pytest.mark.parametrize(("order", "day"), [("dmy", date(2027, 4, 3)), ("mdy", date(2027, 3, 4))])
def test_where_nothing_decides_it_it_is_asked(client, order, day):
    run = begin(client, "opportunities", "name,closes\nA,3/4/27\n")

    answer = match(client, run, column_1="expected_close_on")
    assert answer.context["form"].errors.keys() == {"order_1"}
    assert not Job.objects.exists()

    match(client, run, column_1="expected_close_on", order_1=order)
    run_waiting()
    client.post(f"/imports/{run.pk}/run/")
    run_waiting()
    assert Opportunity.objects.get().expected_close_on == day


def test_a_day_that_cannot_be_is_refused_with_what_stands_in_the_file(client):
    content = "name,expected close date\nA,25/3/2027\nB,3/25/2027\n"
    run = checked(client, "opportunities", content, order_1="dmy")

    assert [cell[:3] for cell in refusals(run)] == [(3, "expected close date", "3/25/2027")]


# Amounts


def test_the_unit_in_a_heading_is_that_of_its_amounts(client):
    content = "name,金额（万元）\nA,12.8\nB,45万\nC,￥3000元\nD,\n"
    imported(client, "opportunities", content)
    assert {one.name: one.amount for one in Opportunity.objects.all()} == {
        "A": Decimal(128000), "B": Decimal(450000), "C": Decimal(3000), "D": None,
    }  # fmt: skip


def test_unless_somebody_says_that_it_is_not(client):
    imported(client, "opportunities", "name,Value (k)\nA,128\n", unit_1="1")
    imported(client, "opportunities", "name,Value (k)\nB,128\n")

    assert {one.name: one.amount for one in Opportunity.objects.all()} == {"A": Decimal(128), "B": Decimal(128000)}


# What the check tells


def test_the_check_tells_as_what_rows_come_in_and_what_is_left_out(rep):
    chief = signed_in(make.user(None, "opportunity_manager", at="head-office"))
    make.customer(rep, name="One")
    content = "name,customer,amount,stage,closed on,no.\nA,One,5,Won,2025-02-03,1\nB,One,,,,2\nC,,,,,3\nC,,,,,4\n"

    run = checked(chief, "past", content)

    assert (run.becomes, run.again, run.left_out) == ({"Signed": 1, "Active": 1, "Draft": 1}, 1, ["no."])
    page = client_text(chief, run)
    assert all(
        words in page
        for words in ("Signed: 1", "Skipped because they stand in the file before: 1", "Columns left out: no.")
    )


def client_text(client, run):
    return client.get(f"/imports/{run.pk}/").content.decode()


def test_an_import_that_changed_something_is_told_to_its_owner_in_words(client, rep):
    make.customer(rep, name="Qinghe", phone="1")
    imported(client, "customers", "name,phone\nQinghe,2\nNew,3\n", mode="overwrite")

    told = "has imported the file. Of 2 rows, 1 came in, 1 changed what was there, 0 were there already"
    assert told in client.get("/messages/").content.decode()
    assert client.get("/").status_code == 200


# How the file is read


def test_the_file_is_read_anew_as_one_says(client):
    run = begin(client, "customers", "a;b\n1,5;2\nname;phone\nA;1\n")

    answer = client.post(f"/imports/{run.pk}/read/", {"header_row": "3", "encoding": "utf-8", "delimiter": ";"})
    assert (answer.status_code, answer.url) == (302, f"/imports/{run.pk}/match/")
    run.refresh_from_db()
    assert (run.header_row, run.names, run.rows, list(run.read_rows())) == (3, ["name", "phone"], 1, [[4, "A", "1"]])

    imported_run = match(client, run)
    assert imported_run.status_code == 302


def test_a_file_that_was_uploaded_as_the_wrong_kind_is_read_as_the_right_one(client):
    run = checked(client, "customers", "name,customer,phone\nDing,Qinghe,139\n")
    read = {"header_row": "1", "encoding": "utf-8", "delimiter": ","}

    answer = client.post(f"/imports/{run.pk}/read/", read | {"kind": "users"})  # which is for administrators
    assert list(answer.context["read"].errors) == ["kind"]
    run.refresh_from_db()
    assert (run.kind, run.state) == ("customers", "checked")

    assert client.post(f"/imports/{run.pk}/read/", read | {"kind": "contacts"}).status_code == 302
    run.refresh_from_db()
    assert (run.kind, run.state, run.matching) == ("contacts", "uploaded", {})
    assert client.get(f"/imports/{run.pk}/match/").context["form"].feeds.keys() == {"name", "customer", "phone"}


def test_what_came_in_of_a_file_stays_of_its_kind(client, rep):
    run = imported(client, "customers", "name\nA\n")
    read = {"header_row": "1", "encoding": "utf-8", "delimiter": ","}

    assert "kind" not in client.get(f"/imports/{run.pk}/match/").context["read"].fields
    client.post(f"/imports/{run.pk}/read/", read | {"kind": "contacts"})
    run.refresh_from_db()
    run.reread(by=rep, kind="contacts")

    run.refresh_from_db()
    assert (run.kind, run.names) == ("customers", ["name"])


@pytest.mark.parametrize("said", ["²", "9" * 5000, "-1", "x"])
def test_a_number_that_is_none_is_refused(client, said):
    run = begin(client, "customers", "name\nA\n")

    assert match(client, run, from_phone=said).status_code == 200
    assert client.get(f"/imports/{run.pk}/match/", {"saved": said}).status_code in (200, 404)
    run.refresh_from_db()
    assert run.state == "uploaded"


def test_a_value_for_all_rows_that_is_gone_is_said_to_be(client):
    run = checked(client, "customers", "name\nA\n", from_level="=a")
    CustomerLevel.objects.filter(key="a").update(active=False)

    client.post(f"/imports/{run.pk}/")
    run_waiting()

    run.refresh_from_db()
    assert (run.standing, run.job.error) == ("failed", "“a” is not in the list.")


def test_how_it_cannot_be_read_is_refused_and_the_reading_before_stays(client):
    run = begin(client, "customers", "name,address\nA,石家庄\n")
    before = list(run.read_rows())

    answer = client.post(f"/imports/{run.pk}/read/", {"header_row": "9", "encoding": "utf-8", "delimiter": ","})

    assert answer.status_code == 409
    run.refresh_from_db()
    assert (run.header_row, list(run.read_rows())) == (1, before)
    assert (
        client.post(f"/imports/{run.pk}/read/", {"header_row": "0", "encoding": "utf-8", "delimiter": ","}).status_code
        == 302
    )
    run.refresh_from_db()
    assert (run.names, run.rows) == (["A", "B"], 2)


# Matchings


def test_what_headings_meant_before_they_mean_again(client):
    imported(client, "customers", "firm,where\nA,Main street 1\n", column_0="name", column_1="address")

    form = client.get(
        f"/imports/{begin(client, 'customers', 'where;firm' + chr(10) + 'x;y' + chr(10)).pk}/match/"
    ).context["form"]

    guessed = [form.get_initial_for_field(form.fields[f"column_{number}"], "") for number in range(2)]
    assert guessed == ["address", "name"]


def test_headings_that_differ_in_brackets_alone_are_told_apart(client):
    content = "name,phone (old),phone (new)\nA,1,2\n"
    checked(client, "customers", content, column_1="", column_2="phone", save_as="Mine")

    run = begin(client, "customers", content)
    for query in ("", f"?saved={SavedMatching.objects.get().pk}"):
        form = client.get(f"/imports/{run.pk}/match/{query}").context["form"]
        guessed = [form.get_initial_for_field(form.fields[f"column_{number}"], "") for number in range(3)]
        assert guessed == ["name", None, "phone"]


def test_what_texts_stood_for_before_they_stand_for_again(client):
    content = "name,sector\nA,technolgy\n"
    checked(client, "customers", content, {"technolgy": "technology"})

    [unknown] = client.get(f"/imports/{begin(client, 'customers', content).pk}/match/").context["form"].unknown

    assert unknown["field"].initial == "technology"


def test_a_matching_is_saved_under_a_name_and_used_for_the_next_file(client, rep):
    content = "firm,sector\nA,technolgy\n"
    checked(
        client,
        "customers",
        content,
        {"technolgy": "technology"},
        column_0="name",
        column_1="industry",
        mode="overwrite",
        save_as="From the south",
    )

    saved = SavedMatching.objects.get()
    assert (saved.owner, saved.kind, saved.name) == (rep, "customers", "From the south")
    run = begin(client, "customers", "sector,more,firm\ntechnolgy,x,B\n")
    form = client.get(f"/imports/{run.pk}/match/?saved={saved.pk}").context["form"]
    answers = {name: form.get_initial_for_field(field, name) or "" for name, field in form.fields.items()}
    assert (answers["column_0"], answers["column_1"], answers["column_2"], answers["mode"]) == (
        "industry",
        "",
        "name",
        "overwrite",
    )
    client.post(f"/imports/{run.pk}/match/", answers | {"act": "check"})
    run_waiting()
    run.refresh_from_db()
    assert counts(run) == (1, 0, 0, 0, 0)


def test_a_saved_matching_is_its_owners_alone(client, rep):
    checked(client, "customers", "name\nA\n", save_as="Mine")
    saved = SavedMatching.objects.get()
    stranger = signed_in(make.user())

    assert not_there(stranger, f"/imports/matchings/{saved.pk}/forget/", "post")
    run = begin(stranger, "customers", "name\nB\n")
    assert not_there(stranger, f"/imports/{run.pk}/match/?saved={saved.pk}")
    assert SavedMatching.objects.exists()
    assert client.post(f"/imports/matchings/{saved.pk}/forget/").status_code == 302
    assert not SavedMatching.objects.exists()


def test_a_kind_that_only_enters_offers_no_change(client):
    run = begin(client, "follow_ups", "opportunity,when,content\nA,2026-01-01,x\n")

    form = client.get(f"/imports/{run.pk}/match/").context["form"]

    assert [mode for mode, _label in form.fields["mode"].choices] == ["skip", "create"]
    assert ImportRun.objects.get().mode == ""


# The database


@pytest.mark.django_db
def test_the_database_looks_anew_at_a_table_that_an_import_fills(rep):
    on_sqlite = connection.vendor == "sqlite"
    rows_seen = "SELECT max(CAST(stat AS integer)) FROM sqlite_stat1 WHERE tbl = 'customers_customer'"
    if not on_sqlite:
        rows_seen = "SELECT reltuples::int FROM pg_class WHERE relname = 'customers_customer'"
    make.customer(rep)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        for _number in range(4):
            make.customer(rep)
        cursor.execute(rows_seen)
        assert cursor.fetchone() == (1,)

        analyze(Contact)  # which refers to customers

        cursor.execute(rows_seen)
        assert cursor.fetchone() == (5,)
