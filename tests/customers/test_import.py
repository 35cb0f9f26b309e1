"""Customers come in from a file as they come in from the form: the same rows, the same events, the same refusals."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from crm.resources import kinds
from crm.verbs import NotAllowed
from customers.forms import ContactForm, CustomerForm
from customers.models import Contact, Customer
from notices.history import Event
from tests import factories as make
from tests.importing import SHARED, begin, checked, counts, imported, needs_shared, refusals, signed_in, upload

NAMES = st.text("abc石河🚀 \t", min_size=1, max_size=12)


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def shown(customer):
    """This will give everything about a customer but its key and moments, with its events."""
    customer.refresh_from_db()
    skipped = {"id", "created_at", "updated_at"}
    fields = {f.attname: getattr(customer, f.attname) for f in Customer._meta.fields if f.name not in skipped}
    return fields, [(event.kind, event.by_id, event.changes, event.data) for event in Event.objects.about(customer)]


class TestBulkTwin(TestCase):
    @settings(max_examples=15, deadline=None)
    @given(
        rows=st.lists(
            st.fixed_dictionaries(
                {"name": NAMES},
                optional={
                    "status": st.sampled_from(Customer.Status.values),
                    "address": st.text("xyz", max_size=5),
                    "phone": st.text("12", max_size=5),
                },
            ),
            min_size=1,
            max_size=4,
        )
    )
    def test_entering_many_gives_what_entering_each_gives(self, rows):
        rep, colleague = make.user(), make.user(at="baoding")
        owners = [None, colleague]
        singles, many = ([Customer(owner=owners[n % 2], **row) for n, row in enumerate(rows)] for _copy in range(2))

        for single in singles:
            single.create(by=rep)
        Customer.create_all(many, by=rep)

        assert [shown(single) for single in singles] == [shown(one) for one in many]


class TestSameRules(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(
        row=st.fixed_dictionaries(
            {
                "name": NAMES | st.just("") | st.just("x" * 201),
                "industry": st.sampled_from(["", "Health", "医疗", "health", "HEALTH ", "nothing"]),
                "level": st.sampled_from(["", "a", "d"]),
                "tax_id": st.text("0A ", max_size=45),
                "website": st.sampled_from(
                    ["", "example.org", "https://example.org/a b", "ftp://example.org", "no site", "http://x"]
                ),
                "phone": st.text("12+（）x-abc ", max_size=8),
                "address": st.sampled_from(["", "Main street", "y" * 301]),
                "description": st.text("abc\n", max_size=5),
            }
        )
    )
    def test_a_row_is_refused_where_the_form_refuses_it(self, row):
        rep = make.user()
        resource = kinds()["customers"](rep)
        names = list(row)
        resource.match({name: {"column": number} for number, name in enumerate(names)}, {})
        [verdict] = resource.read([[2, *row.values()]])

        form = CustomerForm({**row, **chosen(row), "kind": "organisation", "status": "potential"}, user=rep)

        assert form.is_valid() == (not verdict.faults), (form.errors, verdict.faults)
        assert form.errors.keys() == {name for name, _text, _why in verdict.faults}
        if verdict.record is not None:
            for name in names:
                assert getattr(form.instance, name) == getattr(verdict.record, name)


def chosen(row):
    """This will give the choices that somebody who reads the row would make in the form's lists."""
    offered = CustomerForm(user=make.user()).fields
    found = {}
    for name in ("industry", "level"):
        text = row[name].strip().casefold()
        keys = [
            one.pk
            for one in offered[name].queryset
            if text in (one.key, *(label.casefold() for label in one.names.values()))
        ]
        found[name] = keys[0] if keys else "0" if text else ""
    return found


@pytest.mark.django_db
def test_many_customers_are_entered_by_those_only_who_may():
    homeless = make.user()
    homeless.department = None
    homeless.save()

    with pytest.raises(NotAllowed):
        Customer.create_all([Customer(name="A")], by=homeless)
    assert not Customer.objects.exists()

    Customer.create_all([Customer(name="A")], by=make.user())
    assert Customer.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_customer_that_one_does_not_see_is_not_there():
    make.customer(make.user(at="jinan"), name="Secret")
    mine = make.user()

    run = checked(signed_in(mine), "customers", "name\nSecret\n")

    assert (run.new, run.unchanged + run.skipped) == (1, 0)


@pytest.mark.django_db(transaction=True)
def test_who_sees_everything_puts_others_in_charge_and_they_hear_of_it_once():
    manager, rep = make.user(None, "opportunity_manager", at="head-office"), make.user("chen", name="Chen Yu")
    content = "name,owner\nA,Chen Yu\nB,chen\nC,\nD,Nobody\n"

    run = imported(signed_in(manager), "customers", content)

    assert (run.new, run.refused) == (3, 1)
    assert [cell[1:3] for cell in refusals(run)] == [("owner", "Nobody")]
    assert set(Customer.objects.values_list("name", "owner")) == {("A", rep.pk), ("B", rep.pk), ("C", manager.pk)}
    [message] = rep.messages.all()
    assert (message.kind, message.data["count"], message.about.name) == ("charged", "2", "A")


@pytest.mark.django_db(transaction=True)
def test_a_rep_puts_nobody_else_in_charge():
    make.user("liu")
    rep = make.user()

    run = imported(signed_in(rep), "customers", "name,owner\nA,liu\n")

    assert Customer.objects.get().owner == rep
    assert "owner" not in run.matching


SECTORS = {
    "technolgy": "technology",
    "medical": "health",
    "software": "technology",
    "telecommunications": "technology",
    "entertainment": "services",
    "marketing": "services",
    "employment": "services",
}


@needs_shared
@pytest.mark.django_db(transaction=True)
def test_real_customers_come_in_with_their_industry_misspelled_or_not():
    client = signed_in(make.user())
    content = (SHARED / "crm-sales" / "accounts.csv").read_bytes()

    run = imported(client, "customers", content, SECTORS)

    assert (run.new, run.refused, Customer.objects.count()) == (85, 0, 85)
    assert Customer.objects.get(name="Acme Corporation").industry.key == "technology"
    again = checked(client, "customers", content, SECTORS)
    assert (again.new, again.unchanged + again.skipped) == (0, 85)


# Contacts

PEOPLE = """姓名,客户,职务,手机,邮箱
Ms Ding Yan,One,Procurement director,138 0311 2233,ding@example.org
Feng Kai,One,,,
Feng Kai,Two,,not a number,
,One,,,
Somebody,Never was,,,
"""


@pytest.mark.django_db(transaction=True)
def test_contacts_come_in_at_the_customers_that_one_may_add_to():
    rep, stranger = make.user(), make.user(at="jinan")
    one, two = make.customer(rep, name="One"), make.customer(rep, name="Two")
    make.customer(stranger, name="Never was")
    run = imported(signed_in(rep), "contacts", PEOPLE)
    assert counts(run) == (2, 0, 0, 0, 3)
    assert [(row, column) for row, column, _value, _why in refusals(run)] == [(4, "手机"), (5, "姓名"), (6, "客户")]
    ding, feng = Contact.objects.order_by("id")
    assert (ding.name, ding.customer, ding.title, ding.mobile, ding.email, ding.owner) == (
        "Ms Ding Yan", one, "Procurement director", "138 0311 2233", "ding@example.org", rep,
    )  # fmt: skip
    assert feng.customer == one
    assert [event.kind for event in Event.objects.about(one)] == ["contact_added", "contact_added", "created"]
    assert checked(signed_in(rep), "contacts", PEOPLE).unchanged == 2
    assert not two.contacts.exists()


class TestSameRulesOfContacts(TestCase):
    @settings(max_examples=40, deadline=None)
    @given(
        row=st.fixed_dictionaries(
            {
                "name": NAMES | st.just("") | st.just("x" * 101),
                "customer": st.sampled_from(["One", "", "Other"]),
                "title": st.text("ab ", max_size=4) | st.just("y" * 101),
                "mobile": st.text("12+（）x-abc ", max_size=8),
                "email": st.sampled_from(["", "a@example.org", "a@", "a b@example.org"]),
            }
        )
    )
    def test_a_row_is_refused_where_the_form_refuses_it(self, row):
        rep = make.user()
        make.customer(rep, name="One")
        resource = kinds()["contacts"](rep)
        resource.match({name: {"column": number} for number, name in enumerate(row)}, {})
        [verdict] = resource.read([[2, *row.values()]])
        form = ContactForm(row, user=rep)
        assert form.is_valid() == (not verdict.faults), (form.errors, verdict.faults)
        assert form.errors.keys() == {name for name, _text, _why in verdict.faults}


# vCards

CARDS = """BEGIN:VCARD
VERSION:3.0
N:Ding;Yan;;Ms;
FN:Ms Ding Yan
ORG:One;Purchasing
TITLE:Procurement director
TEL;TYPE=WORK,VOICE:+86 311 8601 2210
TEL;TYPE=CELL:138 0311 2233
TEL;TYPE=FAX:+86 311 8601 2211
EMAIL;TYPE=INTERNET:ding@example.org
NOTE:Decides\\, and pays.\\nCall after ten.
END:VCARD
BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=E7=8E=8B;=E4=BF=8A;;;
FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=E7=8E=8B=E4=BF=8A
ORG:One
TEL;CELL:13900000000
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Feng Kai
ORG:Two
TEL;VALUE=uri;TYPE="voice,cell":tel:+86-139
EMAIL:feng@example.org
END:VCARD
"""


@pytest.mark.django_db(transaction=True)
def test_people_come_in_from_vcards_of_every_version_and_go_out_as_such():
    rep = make.user()
    for name in ("One", "Two"):
        make.customer(rep, name=name)
    client = signed_in(rep)
    run = imported(client, "contacts", CARDS, name="people.vcf")
    assert (run.new, run.refused) == (3, 0), refusals(run)
    ding, wang, feng = Contact.objects.order_by("id")
    fields = ("name", "title", "phone", "mobile", "email", "description")
    assert [getattr(ding, name) for name in fields] == [
        "Ms Ding Yan", "Procurement director", "+86 311 8601 2210", "138 0311 2233", "ding@example.org",
        "Decides, and pays.\nCall after ten.",
    ]  # fmt: skip
    assert (wang.name, wang.mobile) == ("王俊", "13900000000")
    assert (feng.name, feng.customer.name, feng.mobile) == ("Feng Kai", "Two", "+86-139")

    answer = client.get("/contacts/?export=vcf")
    assert answer["Content-Type"] == "text/vcard; charset=utf-8"
    out = answer.getvalue()
    assert (out.count(b"BEGIN:VCARD"), out.count(b"VERSION:3.0")) == (3, 3)
    assert (checked(client, "contacts", out, name="out.vcf").unchanged) == 3
    assert "Export: Customers" in client.get("/customers/?export=vcf").content.decode()  # no people, no cards


GOOD = b"BEGIN:VCARD\nVERSION:3.0\nFN:Good\nORG:One\nEND:VCARD\n"


@pytest.mark.parametrize(
    ("card", "names"),
    [
        (b"BEGIN:VCARD\nFN;CHARSET=X-NONE;ENCODING=QUOTED-PRINTABLE:=E7=8E=8B\nEND:VCARD\n", ["王", "Good"]),
        (b"BEGIN:VCARD\nFN;encoding=quoted-printable:=C1=FA\nEND:VCARD\n", ["龙", "Good"]),
        (b"BEGIN:VCARD\nFN:A\nNOTE;ENCODING=QUOTED-PRINTABLE:=E5=BC=A0=E5=BC\nEND:VCARD\n", ["A", "Good"]),
        (b"BEGIN:VCARD\nFN:Outer\nAGENT:\nBEGIN:VCARD\nFN:Inner\nEND:VCARD\nEND:VCARD\n", ["Inner", "Outer", "Good"]),
        (b"BEGIN:VCARD\nFN:A\nBEGIN:VALARM\nFN:no\nEND:VALARM\nEND:VCARD\n", ["A", "Good"]),
        (b"BEGIN:VCARD\nFN;ENCODING=QUOTED-PRINTABLE:A=00B\nEND:VCARD\n", ["AB", "Good"]),
        (b"BEGIN:VCARD\nFN:A\nX;A" + b"=a" * 5000 + b"\nX" + b";A=a" * 5000 + b":b\nEND:VCARD\n", ["A", "Good"]),
        (b"begin: vcard\r\nfn:A\r\nend:vcard\r\n", ["A", "Good"]),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_people_come_in_from_cards_however_badly_a_line_of_them_is_written(card, names):
    run = begin(signed_in(make.user()), "contacts", card + GOOD, name="people.vcf")
    assert [row[1] for row in run.read_rows()] == names
    sixteen = (card + GOOD).decode("latin-1").encode("utf-16") if card.isascii() else None
    if sixteen:
        run = begin(signed_in(make.user()), "contacts", sixteen, name="people.vcf")
        assert [row[1] for row in run.read_rows()] == names


@pytest.mark.django_db(transaction=True)
def test_a_telephone_number_comes_in_as_it_went_out():
    rep = make.user()
    person = make.contact(make.customer(rep, name="One"), name="A", phone="0311-8765,5;x2", mobile="138 0311")
    client = signed_in(rep)
    out = client.get("/contacts/?export=vcf").getvalue()
    person.delete_(by=rep)
    imported(client, "contacts", out, name="out.vcf")
    back = Contact.objects.get()
    assert (back.phone, back.mobile) == (person.phone, person.mobile)
    run = begin(client, "contacts", b"BEGIN:VCARD\nFN:B\nTEL:tel:+86-311-8765;ext=5\nEND:VCARD\n", name="b.vcf")
    assert next(run.read_rows())[5] == "+86-311-8765 x5"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("BEGIN:VCARD\nFN:A\nBEGIN:VCARD\nFN:B\nEND:VCARD", "it is damaged"),
        ("BEGIN:VCARD\nVERSION:3.0\nFN:Half", "it is damaged"),
        ("BEGIN:VCARD\n" + "X" * 100_000, "it is damaged"),
        ("BEGIN:VCARD\nEND:VCARD\n" * 3, "There is one row"),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_what_is_half_a_vcard_is_refused_in_words(content, said):
    answer = upload(signed_in(make.user()), "contacts", content, name="people.vcf")
    assert said in str(answer.context["form"].errors)


@needs_shared
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("program", ["GMAIL", "IPHONE", "MS_OUTLOOK"])
def test_the_same_person_comes_in_from_each_program(program):
    rep = make.user()
    content = (SHARED / "vcards" / f"John_Doe_{program}.vcf").read_bytes()
    client = signed_in(rep)
    run = begin(client, "contacts", content, name="john.vcf")
    said = {column["name"]: " ".join(column["samples"]) for column in run.columns}
    assert said["Name"].replace(",", "") == "Mr. John Richter James Doe Sr."
    assert (said["Customer"], said["Job title"]) == ("IBM", "Money Counter")
    assert "555-1234" in said["Mobile"] + said["Phone"]
    assert said["E-mail"].startswith("john.doe@ibm.c")
