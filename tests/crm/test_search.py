"""The search: what is found, by whom, at which cost; and that what a record is found by is always what it says."""

import json
import re

import pytest
from django.core.management import call_command
from django.db import transaction
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from crm import texts
from crm.models import User
from crm.pinyin import spell
from crm.texts import Findable
from customers.models import Contact, Customer
from notices.models import Announcement
from notices.recycle import Recycled
from opportunities.models import Opportunity
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def rep(client):
    person = make.user("rep", name="Chen Yu", language="en")
    client.force_login(person)
    return person


@pytest.fixture
def manager():
    return make.user("manager", "opportunity_manager", at="head-office", language="en")


def page(client, text):
    """This will give {heading: [what the links in that section say]} of the page of results."""
    answer = client.get("/search/", {"q": text}).content.decode()
    sections = re.findall(r'<section class="section">(.*?)</section>', answer, re.DOTALL)
    return {
        re.search(r"<h2>(.*?)</h2>", one)[1]: [
            re.sub(r"<.*?>", "", link) for link in re.findall(r'<a class="strong"[^>]*>(.*?)</a>', one)
        ]
        for one in sections
    }


def box(client, text):
    return json.loads(client.get("/search/suggest/", {"q": text}).content)


def offered(client, text):
    """This will give {heading: names} of what the box shows for `text`."""
    return {group["label"]: [one["label"] for one in group["options"]] for group in box(client, text)["groups"]}


def in_line():
    """This will tell that everything is found by what it says."""
    return [line for model in (Customer, Contact, Opportunity) for line in model.TEXT.differences()] == []


def test_the_box_leads_to_all_results_only_where_there_are_some(client):
    rep = make.user()
    make.customer(rep, name="Fuhua School")
    client.force_login(rep)
    assert box(client, "fuhua")["all"]["label"] == "All results for “fuhua”"
    assert box(client, "zzqx")["all"] is None


# What is found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("联通", {"Customers": ["河北联通"], "Opportunities": ["专线扩容"]}),
        ("lt", {"Customers": ["河北联通"], "Opportunities": ["专线扩容"]}),
        ("hblt", {"Customers": ["河北联通"], "Opportunities": ["专线扩容"]}),
        ("LianTong", {"Customers": ["河北联通"], "Opportunities": ["专线扩容"]}),
        ("ｚｘｋｒ", {"Opportunities": ["专线扩容"]}),
        ("2210", {"Contacts": ["丁燕"]}),
        ("8601", {"Contacts": ["丁燕"]}),
        ("03118601", {"Contacts": ["丁燕"]}),
        ("dingyan@", {"Contacts": ["丁燕"]}),
        ("丁燕", {"Contacts": ["丁燕"]}),
        ("联通 扩容", {"Opportunities": ["专线扩容"]}),
        ("91130000", {"Customers": ["河北联通"]}),
        ("移动", {}),
        ("通联", {}),
    ],
)
def test_it_finds_by_parts_of_names_by_pinyin_its_first_letters_numbers_phones_and_mail(client, rep, text, found):
    customer = make.customer(rep, name="河北联通", tax_id="91130000ABC")
    make.contact(customer, name="丁燕", mobile="+86 0311 8601 2210", email="dingyan@example.org")
    make.opportunity(rep, customer=customer, name="专线扩容")
    assert page(client, text) == found
    assert offered(client, text) == found


def test_an_opportunity_is_found_by_its_number_and_an_announcement_by_its_title(client, rep, manager):
    made = make.opportunity(rep, name="SCADA")
    Announcement(title="New lines", body="From May on.").publish(by=manager)
    assert page(client, made.number.lower()) == {"Opportunities": ["SCADA"]}
    assert page(client, "new lines") == {"Announcements": ["New lines"]}


def test_names_that_begin_so_come_first_and_each_kind_leads_to_its_list(client, rep):
    for name in ("Old water", "Water one"):
        make.customer(rep, name=name)
    assert page(client, "water")["Customers"] == ["Water one", "Old water"]
    assert 'href="/customers/?q=water"' in client.get("/search/?q=water").content.decode()


def test_what_matches_is_marked_and_nothing_of_a_name_is_html(client, rep):
    make.customer(rep, name="<b>Water</b> & Co")
    assert "&lt;b&gt;<mark>Water</mark>&lt;/b&gt; &amp; Co" in client.get("/search/?q=water").content.decode()


def test_who_sees_everything_writes_one_letter_more(client, manager):
    make.customer(name="水")
    client.force_login(manager)
    assert "Write one letter more" in client.get("/search/?q=水").content.decode()
    assert box(client, "水")["note"].startswith("Write one letter more")


@pytest.mark.parametrize("text", ["", "  ", "\0", "a\0b", '"', '" OR "', "'", "%", "_" * 3, "x" * 5000, "AND", "a*"])
@pytest.mark.case(43)
def test_a_hostile_text_breaks_nothing(client, rep, manager, text):
    make.customer(rep, name="Water")
    for person in (rep, manager):
        client.force_login(person)
        assert client.get("/search/", {"q": text}).status_code == 200
        assert box(client, text)["groups"] == []


# Who finds it


@pytest.mark.case(7)
def test_nobody_finds_what_they_may_not_see(client, rep, manager):
    other = make.user("other", at="baoding")
    customer = make.customer(other, name="Secret water", phone="0312 5550 1234")
    make.contact(customer, name="Secret person", mobile="13900009137")
    make.opportunity(other, customer=customer, name="Secret case")
    for text in ("secret", "9137", "1234"):
        assert page(client, text) == {}
        assert offered(client, text) == {}
        client.force_login(rep)
    client.force_login(manager)
    assert page(client, "secret") == {
        "Customers": ["Secret water"],
        "Contacts": ["Secret person"],
        "Opportunities": ["Secret case"],
    }


def test_a_gm_finds_no_draft_of_others(client, rep):
    Opportunity(name="Secret draft").create(by=rep)
    client.force_login(make.user("gm", "gm"))
    assert page(client, "secret") == {}
    client.force_login(rep)
    assert page(client, "secret") == {"Opportunities": ["Secret draft"]}


def test_nobody_signed_out_finds_anything(client):
    for address in ("/search/?q=a", "/search/suggest/?q=a"):
        assert client.get(address).status_code == 302


@pytest.mark.parametrize("many", [1, 30])
@pytest.mark.parametrize("role", ["rep", "gm", "opportunity_manager"])
def test_it_costs_the_same_however_much_is_found(client, django_assert_max_num_queries, many, role):
    person = make.user("reader", role, at="head-office" if role == "opportunity_manager" else "shijiazhuang")
    owner = person if role == "rep" else make.user()
    for number in range(many):
        customer = make.customer(owner, name=f"Water {number}")
        make.contact(customer, name=f"Water person {number}")
        make.opportunity(owner, customer=customer, name=f"Water case {number}")
    client.force_login(person)
    client.get("/search/?q=water")
    with django_assert_max_num_queries(12):
        client.get("/search/?q=water")
    with django_assert_max_num_queries(12):
        client.get("/search/suggest/?q=water")


# It is always what the record says


def test_whatever_changes_a_record_changes_what_it_is_found_by(rep):
    customer = make.customer(rep, name="Alpha")
    contact = make.contact(customer, name="Ding Yan")
    made = make.opportunity(rep, customer=customer, name="Beta")
    customer.change(by=rep, name="Gamma")
    contact.change(by=rep, mobile="13911119137")
    assert Opportunity.objects.search("gamma beta").get() == made
    assert not Opportunity.objects.search("alpha").exists()
    assert Contact.objects.search("9137").get() == contact
    Customer.objects.filter(pk=customer.pk).update(name="Delta")
    assert Opportunity.objects.search("delta").get() == made
    Opportunity.objects.filter(pk=made.pk).update(reference="REF 77")
    assert Opportunity.objects.search("77").get() == made
    Customer.objects.filter(pk=customer.pk).update(tax_id="91130000ABC")
    assert Customer.objects.search("91130000abc").get() == customer
    Opportunity.objects.filter(pk=made.pk).update(customer_id=make.customer(rep, name="Epsilon").pk)
    assert Opportunity.objects.search("epsilon").get() == made
    assert in_line()


def test_what_is_deleted_is_not_found_until_it_is_back(rep):
    customer = make.customer(rep, name="Alpha")
    make.contact(customer, name="Ding Yan")
    customer.delete_(by=rep)
    assert not Customer.TEXT.objects.exists()
    assert not Contact.TEXT.objects.exists()
    Recycled.objects.get().restore(by=make.user("admin", "administrator"))
    assert Customer.objects.search("alpha").get().name == "Alpha"
    assert Contact.objects.search("ding").exists()
    assert in_line()


def test_verify_tells_what_is_out_of_line_and_reindex_puts_it_right(rep, capsys):
    customer = make.customer(rep, name="Alpha")
    make.contact(customer)
    Customer.TEXT.objects.update(plain="beta")
    assert [*Customer.TEXT.differences()] == [f"customer {customer.pk}: what it is found by is not what it says"]
    call_command("reindex", only="customer")
    assert in_line()
    Contact.TEXT.objects.all().delete()
    assert not in_line()
    call_command("reindex")
    assert in_line()
    assert "contact: done" in capsys.readouterr().out


def test_many_at_once_are_found_as_one_is(rep):
    Customer.create_all([Customer(name=f"Bulk {number}") for number in range(3)], by=rep)
    assert Customer.objects.search("bulk").count() == 3
    assert in_line()


# The rule, on both databases

NAMES = st.text("联通河北专线abAB0 12-é.%_中", min_size=1, max_size=12).filter(str.strip)
WORDS = st.text("联通河lthbab0 12-é.%_zxC", min_size=0, max_size=8)


def says(record):
    text = record.TEXT.objects.get(of=record.pk)
    return text.plain, text.spelled


@given(names=st.lists(NAMES, min_size=1, max_size=4), text=WORDS)
@hypothesis(max_examples=60)
def test_it_finds_exactly_those_of_the_visible_that_hold_every_word(names, text):
    if not User.objects.filter(username="reader").exists():
        make.user("reader"), make.user("other", at="baoding"), make.user("all", "opportunity_manager", at="head-office")
    reader, other, manager = (User.objects.get(username=name) for name in ("reader", "other", "all"))
    with transaction.atomic():
        mine = [make.customer(reader, name=name) for name in names]
        others = [make.customer(other, name=name) for name in names]
        meant = {one.pk for one in [*mine, *others] if texts.is_said(*says(one), text)}
        visible = Customer.objects.visible_to(reader)
        assert {*visible.search(text).values_list("pk", flat=True)} == meant & {one.pk for one in mine}
        for found in (
            Customer.objects.sought(text, manager),
            Customer.objects.sought(text, manager, counted=True),
            Customer.objects.search(text),
        ):
            assert {*found.values_list("pk", flat=True)} == meant
        transaction.set_rollback(True)


@given(name=NAMES, start=st.integers(0, 11), length=st.integers(1, 6))
@hypothesis(max_examples=200)
def test_the_pieces_of_whatever_stands_in_a_text_are_in_its_index(name, start, length):
    made = Customer.TEXT.made(1, name, "", "", "")
    for text in (made.plain, made.spelled):
        word = text[start : start + length]
        if word and not re.search(r"\s", word) and (texts.is_spelled(word) or text == made.plain):
            assert {*texts.pieces_of_word(word)} <= {*made.pieces}


@pytest.mark.parametrize(
    ("name", "spelled"),
    [
        ("河北联通", ("hebeiliantong", "hblt")),
        ("5G 专网", ("5gzhuanwang", "5gzw")),
        ("Water", ("", "")),
        ("", ("", "")),
    ],
)
def test_a_name_is_spelled_in_full_and_by_first_letters(name, spelled):
    assert spell(name) == spelled


def test_every_model_that_is_found_says_by_which_columns():
    for model in Findable.__subclasses__():
        assert model.TEXT.columns()
        assert model.SAID_BY
