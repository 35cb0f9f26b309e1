"""Digests, deletions, restorations and links that arrive at the same moment: one counts, and nothing is half."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from crm import people
from crm.verbs import Refused
from customers.models import Contact, Customer
from notices import delivery, verification
from notices.documents import Document
from notices.history import Event
from notices.models import Delivery
from notices.recycle import Recycled
from opportunities.models import FollowUp
from tests import factories as make
from tests.opportunities.test_at_once import at_once

pytestmark = pytest.mark.django_db(transaction=True)

TIMES = 8


@pytest.fixture
def rep():
    return make.user(name="Chen Yu")


@pytest.fixture
def admin():
    return make.user(None, "administrator", at="head-office")


def refusals(answers):
    return sum(isinstance(answer, Refused) for answer in answers)


def test_workers_that_gather_at_once_make_one_digest_of_all_that_waits(rep):
    reader = make.user(notifications={"work": {"mail": "daily"}})
    for _number in range(5):
        make.opportunity(rep, state="active").share(by=rep, people=[reader])
    Delivery.objects.filter(state="gathered").update(due_at=timezone.now())
    at_once(*[delivery.gather] * TIMES)
    [digest] = Delivery.objects.filter(kind="digest")
    assert digest.gathered.count() == 5
    assert not Delivery.objects.filter(state="gathered").exists()


def test_of_many_who_restore_or_delete_for_good_one_does(rep, admin):
    for verb in ("restore", "delete_for_good"):
        customer = make.customer(rep)
        make.contact(customer)
        customer.delete_(by=rep)
        kept = Recycled.objects.get()
        calls = [lambda kept=kept: kept.restore(by=admin), lambda kept=kept, verb=verb: getattr(kept, verb)(by=admin)]
        answers = at_once(*calls * (TIMES // 2))
        assert refusals(answers) == TIMES - 1
        assert not Recycled.objects.exists()
        assert Customer.objects.count() == Contact.objects.count() <= 1
        Customer.objects.all().delete()


def test_of_many_who_delete_one_does_and_it_is_kept_once(rep):
    customer = make.customer(rep)
    copies = [Customer.objects.get(pk=customer.pk) for _time in range(TIMES)]
    answers = at_once(*(lambda one=one: one.delete_(by=rep) for one in copies))
    assert (refusals(answers), Recycled.objects.count(), Customer.objects.count()) == (TIMES - 1, 1, 0)


def test_a_follow_up_added_while_its_customer_is_deleted_is_kept_with_it_or_refused(rep, admin):
    for _round in range(5):
        customer = make.customer(rep)
        kind = make.FollowUpKind.objects.get(key="call")
        call = FollowUp(customer=customer, kind=kind, content="Called.", at=timezone.now())
        deleted = Customer.objects.get(pk=customer.pk)
        added, gone = at_once(lambda call=call: call.add(by=rep), lambda deleted=deleted: deleted.delete_(by=rep))
        if not isinstance(gone, Refused):
            assert FollowUp.objects.count() == 0
            Recycled.objects.get().restore(by=admin)
        assert FollowUp.objects.count() == (0 if isinstance(added, Refused) else 1)
        FollowUp.objects.all().delete()


def test_linked_at_once_a_document_stands_there_once_and_the_count_is_true(rep):
    keeper = make.user(None, "support", at="hebei")
    opportunity = make.opportunity(rep)
    documents = [Document(name=name) for name in ("One", "Two")]
    for document in documents:
        document.add([SimpleUploadedFile("a.pdf", b"%PDF-1.4")], by=keeper)
    answers = at_once(
        *(lambda one=one: one.link(opportunity, by=rep) for one in documents for _time in range(TIMES // 2))
    )
    opportunity.refresh_from_db()
    assert (refusals(answers), opportunity.file_count) == (TIMES - 2, 2)
    assert Event.objects.about(opportunity).filter(kind="document_linked").count() == 2


def test_deleted_while_it_is_linked_a_document_leaves_no_link_and_no_wrong_count(rep):
    keeper = make.user(None, "support", at="hebei")
    for _round in range(5):
        opportunity = make.opportunity(rep)
        document = Document(name="Price list")
        document.add([SimpleUploadedFile("a.pdf", b"%PDF-1.4")], by=keeper)
        other = Document.objects.get(pk=document.pk)
        at_once(
            lambda one=document, about=opportunity: one.link(about, by=rep), lambda one=other: one.delete_(by=keeper)
        )
        opportunity.refresh_from_db()
        assert (Document.objects.count(), opportunity.file_count) == (0, 0)
        assert [line for line in verification.differences() if "number of files" in line] == []


def test_documents_of_the_same_records_are_deleted_at_once_and_nobody_waits_for_ever(rep):
    keeper = make.user(None, "support", at="hebei")
    for _round in range(5):
        records = [make.customer(rep), make.customer(rep)]
        documents = [Document(name=name) for name in ("One", "Two")]
        for document, its in zip(documents, (records, records[::-1]), strict=True):
            document.add([SimpleUploadedFile("a.pdf", b"%PDF-1.4")], by=keeper)
            for record in its:
                document.link(record, by=rep)
        customer = Customer.objects.get(pk=records[0].pk)
        answers = at_once(
            *(lambda one=one: one.delete_(by=keeper) for one in documents),
            lambda customer=customer: customer.delete_(by=rep),
        )
        assert refusals(answers) == 0
        assert (Document.objects.count(), Customer.objects.get(pk=records[1].pk).file_count) == (0, 0)


def test_a_contact_and_its_customer_deleted_at_once_come_back_once(rep, admin):
    for _round in range(5):
        customer = make.customer(rep)
        contact = make.contact(customer)
        whole = Customer.objects.get(pk=customer.pk)
        at_once(lambda contact=contact: contact.delete_(by=rep), lambda whole=whole: whole.delete_(by=rep))
        for kept in Recycled.objects.order_by("-about_type__model"):  # the customer first
            kept.restore(by=admin)
        assert Contact.objects.get().customer == customer
        assert not Recycled.objects.exists()
        Contact.objects.all().delete()


def test_of_two_who_confirm_one_address_at_once_one_gets_it(rep):
    other = make.user()
    for person in (rep, other):
        people.want_email(person, "shared@example.org")
    answers = at_once(*(lambda one=one: people.confirm_email(one, "shared@example.org") for one in (rep, other)))
    assert refusals(answers) == 1
    assert type(rep).objects.filter(email="shared@example.org").count() == 1
