"""What is deleted lies in the recycle bin, whole. Administrators restore it or delete it for good; in time it goes."""

from datetime import timedelta

import pytest
import time_machine
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from crm import picklists
from crm.models import Audit
from crm.schedule import lines
from crm.verbs import Gone, NotAllowed, Refused
from customers.models import Contact, Customer, Industry
from notices.files import File
from notices.history import Event
from notices.models import Comment
from notices.recycle import Recycled
from opportunities.models import FollowUp, FollowUpKind
from tests import factories as make
from tests.asserting import unchanged

pytestmark = pytest.mark.django_db

KEPT_TABLES = [Customer, Contact, FollowUp, Comment, File]
OF_A_CHANGE = {"version", "updated_at"}  # what any change of a record leaves behind


@pytest.fixture(autouse=True)
def store(settings, tmp_path):
    """This will give the files a folder of their own."""
    kept = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path}}
    settings.STORAGES = settings.STORAGES | {"files": kept}


@pytest.fixture
def admin():
    return make.user(None, "administrator", at="head-office", language="en")


@pytest.fixture
def rep():
    return make.user(name="Chen Yu", language="en")


@pytest.fixture
def customer(rep):
    """This will give a customer on which all hangs that can."""
    made = make.customer(rep, name="Qinghe Water Group", industry=Industry.objects.first())
    ding = make.contact(made, name="Ms Ding Yan")
    call = make.follow_up(made, content="Called Ms Ding.", contact=ding)
    make.follow_up(made, content="Visit them.", at=timezone.now() + timedelta(days=2))
    Comment(about=made, text="They pay late.").add(by=rep)
    File.add(made, [pdf("报价.pdf")], by=rep)
    File.add(call, [pdf("notes.pdf")], by=rep)
    return Customer.objects.get()


def pdf(name):
    return SimpleUploadedFile(name, b"%PDF-1.4 " + name.encode())


def tables():
    """This will give all rows of what can hang on a customer, without what any change leaves behind."""
    return {
        model: [
            {name: value for name, value in row.items() if name not in OF_A_CHANGE}
            for row in model._base_manager.order_by("pk").values()
        ]
        for model in KEPT_TABLES
    }


def told(record):
    return list(Event.objects.about(record).order_by("id").values_list("kind", flat=True))


def stored():
    return set(storages["files"].listdir("")[1])


# ── Restored ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_customer_comes_back_whole_under_its_key_with_all_that_hung_on_it(client, admin, rep, customer):
    before, history, version = tables(), told(customer), customer.version
    customer.delete_(by=rep)
    assert tables() == {model: [] for model in KEPT_TABLES}
    assert Event.objects.count() == 0
    kept = Recycled.objects.get()
    assert (kept.title, kept.under, kept.by) == ("Qinghe Water Group", "", rep)
    assert kept.counts == {
        "customers.contact": 1,
        "notices.comment": 1,
        "notices.event": 9,
        "notices.file": 2,
        "opportunities.followup": 2,
    }

    client.force_login(admin)
    page = client.get("/recycle/").content.decode()
    assert "Qinghe Water Group" in page
    answer = client.post(f"/recycle/{kept.pk}/restore/", follow=True)
    assert answer.redirect_chain == [(f"/customers/{Customer.objects.get().pk}/", 302)]
    assert "Qinghe Water Group is restored." in answer.content.decode()

    assert tables() == before
    [customer] = Customer.objects.all()
    assert told(customer) == [*history, "deleted", "restored"]
    assert customer.version > version  # or a page from before the deletion could be sent
    assert not Recycled.objects.exists()
    assert Audit.objects.get(kind="restored").data == {
        "what": "customer", "id": customer.pk, "name": "Qinghe Water Group",
    }  # fmt: skip
    for file in File.objects.all():
        assert client.get(f"/files/{file.pk}/").getvalue().startswith(b"%PDF")


@pytest.mark.case(13)
def test_what_is_in_the_recycle_bin_is_nowhere_else(client, admin, rep, customer):
    file = customer.files.get()
    customer.delete_(by=rep)
    for person in (rep, admin):
        client.force_login(person)
        for address in [f"/customers/{customer.pk}/", f"/files/{file.pk}/", f"/files/{file.pk}/preview/"]:
            assert client.get(address).status_code == 404
        for address in ["/customers/", "/customers/?q=qinghe", "/contacts/", "/customers/pick/?q=qinghe"]:
            assert "Qinghe" not in client.get(address).content.decode()


def test_a_contact_comes_back_and_the_follow_ups_with_it_name_it_again(client, admin, rep, customer):
    before = tables()
    [ding] = customer.contacts.all()
    ding.delete_(by=rep)
    assert FollowUp.objects.filter(contact=None).count() == 2
    kept = Recycled.objects.get()
    assert (kept.title, kept.under) == ("Ms Ding Yan", "Qinghe Water Group")
    client.force_login(admin)
    answer = client.post(f"/recycle/{kept.pk}/restore/")
    assert answer.url == f"/customers/{customer.pk}/"
    assert tables() == before
    assert told(customer)[-2:] == ["contact_deleted", "contact_restored"]
    assert told(Contact.objects.get()) == ["created", "deleted", "restored"]


def test_a_contact_comes_back_to_whoever_has_its_customer_now(admin, rep, customer):
    [ding] = customer.contacts.all()
    ding.delete_(by=rep)
    other = make.user(at="baoding")
    customer.transfer(to=other, by=admin)
    back = Recycled.objects.get().restore(by=admin)
    assert (back.owner, back.department, back.city) == (other, other.department, other.department)


def test_a_follow_up_comes_back_with_its_files_and_what_was_planned_in_it(admin, rep):
    opportunity = make.opportunity(rep, state="active")
    call = make.follow_up(opportunity, content="Called.", by=rep)
    call.change(by=rep, next_at=timezone.now() + timedelta(days=3))
    File.add(call, [pdf("notes.pdf")], by=rep)
    before = tables()
    opportunity.refresh_from_db()
    last = opportunity.last_follow_up_at

    FollowUp.objects.get(pk=call.pk).delete_(by=rep)
    opportunity.refresh_from_db()
    assert (FollowUp.objects.get().planned_in, opportunity.last_follow_up_at) == (None, None)

    Recycled.objects.get().restore(by=admin)
    opportunity.refresh_from_db()
    assert (tables(), opportunity.last_follow_up_at) == (before, last)
    assert told(opportunity)[-2:] == ["follow_up_deleted", "follow_up_restored"]


def test_a_follow_up_names_the_customer_that_its_opportunity_has_now(admin, rep):
    customer = make.customer(rep)
    opportunity = make.opportunity(rep, state="active", customer=customer)
    call = make.follow_up(opportunity, contact=make.contact(customer))
    call.delete_(by=call.owner)
    other = make.customer(rep)
    opportunity.refresh_from_db()
    opportunity.reassign(customer=other, by=admin)
    back = Recycled.objects.get().restore(by=admin)
    assert (back.customer, back.contact) == (other, None)


def test_another_follow_up_that_was_planned_meanwhile_keeps_its_place(admin, rep):
    opportunity = make.opportunity(rep, state="active")
    call = make.follow_up(opportunity)
    soon = timezone.now() + timedelta(days=3)
    call.change(by=call.owner, next_at=soon)
    FollowUp.objects.get(planned_in=call).delete_(by=call.owner)
    FollowUp.objects.get(pk=call.pk).change(by=call.owner, next_at=soon)
    back = Recycled.objects.get().restore(by=admin)
    assert back.planned_in is None
    assert FollowUp.objects.get(planned_in=call).pk != back.pk


# ── What has changed meanwhile ───────────────────────────────────────────────────────────────────────────────────────


def test_what_belonged_to_something_deleted_too_waits_for_that(client, admin, rep, customer):
    call = FollowUp.objects.get(content="Called Ms Ding.")
    key = call.pk
    call.delete_(by=call.owner)
    Contact.objects.get().delete_(by=rep)
    Customer.objects.get().delete_(by=rep)
    client.force_login(admin)
    for model in (FollowUp, Contact):
        kept = Recycled.objects.get(about_type__model=model._meta.model_name)
        with unchanged():
            page = client.post(f"/recycle/{kept.pk}/restore/", follow=True).content.decode()
        assert "It belonged to “Qinghe Water Group”, which was deleted too. Restore that first." in page
    for model in (Customer, Contact, FollowUp):
        Recycled.objects.get(about_type__model=model._meta.model_name).restore(by=admin)
    assert FollowUp.objects.get(pk=key).contact == Contact.objects.get()


def test_a_value_that_was_merged_meanwhile_is_the_one_that_it_was_merged_into(admin, rep, customer):
    water, *others = Industry.objects.filter(active=True)[:3]
    customer.change(by=rep, industry=water)
    customer.delete_(by=rep)
    picklists.merge(water, into=others[0], by=admin, seen=None)
    picklists.merge(others[0], into=others[1], by=admin, seen=None)
    assert Recycled.objects.get().restore(by=admin).industry == others[1]


def test_a_value_that_was_deleted_meanwhile_is_left_out_or_if_it_is_needed_refused(admin, rep, customer):
    value = Industry.objects.create(key="gone", names={"en": "Gone"})
    kind = FollowUpKind.objects.create(key="gone", names={"en": "Gone"})
    customer.change(by=rep, industry=value)
    call = make.follow_up(make.customer(rep))
    call.change(by=rep, kind=kind)
    call.delete_(by=call.owner)
    customer.delete_(by=rep)
    for one in (value, kind):
        picklists.delete(one, by=admin, seen=None)
    kept, refused = Recycled.objects.all()
    assert kept.restore(by=admin).industry is None
    with unchanged(), pytest.raises(Refused, match="cannot be without its type"):
        refused.restore(by=admin)


def test_a_department_that_moved_meanwhile_takes_it_along(admin, rep, customer):
    customer.delete_(by=rep)
    city = rep.department
    city.parent = make.department("shandong")
    city.save()
    back = Recycled.objects.get().restore(by=admin)
    assert [(one.department, one.province) for one in (back, back.contacts.get())] == [(city, city.parent)] * 2


def test_a_planned_follow_up_goes_with_its_record_as_if_it_had_been_there(admin, rep):
    customer = make.customer(rep)
    planned = make.follow_up(customer, at=timezone.now() + timedelta(days=2))
    planned.delete_(by=rep)
    other = make.user(at="jinan")
    customer.transfer(to=other, by=admin)
    assert Recycled.objects.get().restore(by=admin).owner == other


def test_a_follow_up_that_named_somebody_of_another_customer_names_them_again(admin, rep):
    before, after = make.customer(rep), make.customer(rep)
    ding = make.contact(before)
    call = make.follow_up(before, contact=ding)
    ding.change(by=rep, customer=after)
    ding.delete_(by=rep)
    back = Recycled.objects.get().restore(by=admin)
    call.refresh_from_db()
    assert call.contact == back


def test_an_opportunity_reassigned_meanwhile_keeps_its_follow_ups_from_the_people_it_had(admin, rep):
    customer = make.customer(rep)
    opportunity = make.opportunity(rep, state="active", customer=customer)
    ding = make.contact(customer)
    call = make.follow_up(opportunity, contact=ding)
    ding.delete_(by=rep)
    opportunity.refresh_from_db()
    opportunity.reassign(customer=make.customer(rep), by=admin)
    Recycled.objects.get().restore(by=admin)
    call.refresh_from_db()
    assert call.contact is None


def test_what_is_in_the_bin_and_there_again_is_refused_and_makes_way_for_what_is_deleted_next(admin, rep):
    customer = make.customer(rep)
    customer.delete_(by=rep)
    stale = Recycled.objects.get()
    back = stale.restore(by=admin)
    key = back.pk
    Recycled.objects.bulk_create([stale])  # as two who deleted at once could leave it
    stale = Recycled.objects.get()
    with unchanged(), pytest.raises(Refused, match="there already"):
        stale.restore(by=admin)
    back.delete_(by=rep)
    assert Recycled.objects.count() == 1
    assert Recycled.objects.get().restore(by=admin).pk == key


def test_whoever_restores_is_told_that_nobody_is_in_charge(client, admin, rep):
    make.customer(rep, name="Qinghe Water Group").delete_(by=rep)
    type(rep).objects.filter(pk=rep.pk).update(is_active=False)
    client.force_login(admin)
    page = client.post(f"/recycle/{Recycled.objects.get().pk}/restore/", follow=True).content.decode()
    assert "Chen Yu, who is in charge of it, is deactivated." in page


def test_restoring_much_asks_little(admin, rep, django_assert_max_num_queries):
    customer = make.customer(rep)
    kind = FollowUpKind.objects.get(key="call")
    now = timezone.now()
    values = {"customer": customer, "kind": kind, "owner": rep, "created_by": rep, "at": now, "done_at": now}
    FollowUp.objects.bulk_create(FollowUp(content=f"Call {number}", **values) for number in range(300))
    customer.delete_(by=rep)
    with django_assert_max_num_queries(60):
        Recycled.objects.get().restore(by=admin)
    assert FollowUp.objects.count() == 300


# ── Deleted for good ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_deleted_for_good_its_files_go_too(client, admin, rep, customer, django_capture_on_commit_callbacks):
    customer.delete_(by=rep)
    kept = Recycled.objects.get()
    assert set(kept.file_keys) <= stored()
    client.force_login(admin)
    assert "Delete Qinghe Water Group for good?" in client.get(f"/recycle/{kept.pk}/delete/").content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(f"/recycle/{kept.pk}/delete/", follow=True)
    assert "Qinghe Water Group is deleted for good." in answer.content.decode()
    assert "The recycle bin is empty" in answer.content.decode()
    assert not stored() & set(kept.file_keys)
    assert not Recycled.objects.exists()
    assert Audit.objects.get(kind="deleted_for_good").by == admin


def test_after_thirty_days_it_goes_by_itself_and_until_then_the_sweep_leaves_its_files(rep, customer):
    customer.delete_(by=rep)
    kept = Recycled.objects.get()
    with time_machine.travel(kept.at + timedelta(days=29, hours=23), tick=False):
        for line in ("empty_recycle_bin", "sweep_files"):
            lines()[line].function()
    assert Recycled.objects.count() == 1
    assert set(kept.file_keys) <= stored()
    with time_machine.travel(kept.at + timedelta(days=30), tick=False):
        for line in ("empty_recycle_bin", "sweep_files"):
            lines()[line].function()
    assert not Recycled.objects.exists()
    assert not stored() & set(kept.file_keys)
    assert Audit.objects.get(kind="deleted_for_good").by is None


# ── Refused ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("roles", [["rep"], ["gm"], ["opportunity_manager"]])
def test_nobody_but_administrators_comes_near_it(client, rep, customer, roles):
    customer.delete_(by=rep)
    kept = Recycled.objects.get()
    person = make.user(None, *roles, at="head-office")
    client.force_login(person)
    with unchanged():
        assert client.get("/recycle/").status_code == 403
        assert client.get(f"/recycle/{kept.pk}/delete/").status_code == 403
        assert client.post(f"/recycle/{kept.pk}/delete/").status_code == 403
        assert client.post(f"/recycle/{kept.pk}/restore/").status_code == 403
        for verb in (kept.restore, kept.delete_for_good):
            with pytest.raises(NotAllowed):
                verb(by=person)
    assert "/recycle/" not in client.get("/").content.decode()


def test_twice_the_second_finds_nothing(client, admin, rep, customer):
    customer.delete_(by=rep)
    kept = Recycled.objects.get()
    client.force_login(admin)
    assert client.post(f"/recycle/{kept.pk}/restore/").status_code == 302
    assert client.post(f"/recycle/{kept.pk}/restore/").status_code == 404
    with pytest.raises(Gone):
        kept.restore(by=admin)
    with pytest.raises(Gone):
        kept.delete_for_good(by=admin)
    assert Customer.objects.count() == 1


def test_deleted_restored_and_deleted_again_it_is_kept_once(admin, rep, customer):
    customer.delete_(by=rep)
    back = Recycled.objects.get().restore(by=admin)
    back.delete_(by=rep)
    assert Recycled.objects.count() == 1


def test_looking_restores_nothing(client, admin, rep, customer):
    customer.delete_(by=rep)
    client.force_login(admin)
    with unchanged():
        assert client.get(f"/recycle/{Recycled.objects.get().pk}/restore/").status_code == 405


# ── The list ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_list_is_searched_and_narrowed_to_one_kind(client, admin, rep, customer):
    Contact.objects.get().delete_(by=rep)
    make.customer(rep, name="Baoding Steel").delete_(by=rep)
    client.force_login(admin)

    def names(query):
        return [kept.title for kept in client.get(f"/recycle/?{query}").context["page"]]

    assert names("") == ["Baoding Steel", "Ms Ding Yan"]
    assert names("kind=contact") == ["Ms Ding Yan"]
    assert names("q=qinghe") == ["Ms Ding Yan"]  # by what it belonged to
    assert names("q=steel&kind=customer") == ["Baoding Steel"]
    assert names("kind=nonsense&q=%00") == ["Baoding Steel", "Ms Ding Yan"]
    assert "Nothing of the kind was deleted." in client.get("/recycle/?q=nobody").content.decode()


def test_the_list_costs_the_same_for_one_and_for_thirty(client, admin, rep, django_assert_num_queries):
    client.force_login(admin)

    def queries():
        with django_assert_num_queries(8, exact=False) as asked:
            client.get("/recycle/")
        return len(asked)

    make.customer(rep).delete_(by=rep)
    client.get("/recycle/")  # content types are read once
    one = queries()
    for _number in range(29):
        make.customer(rep).delete_(by=rep)
    assert queries() == one
