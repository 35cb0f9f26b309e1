"""One name in several spellings of Unicode: kept as it was typed, found and compared whatever its spelling."""

import json
import unicodedata

import pytest

from customers.models import Customer
from opportunities.models import Opportunity
from tests import factories as make
from tests.importing import signed_in

pytestmark = pytest.mark.django_db

NFC, NFD = unicodedata.normalize("NFC", "Müller Bräu"), unicodedata.normalize("NFD", "Müller Bräu")


def found(rep, typed):
    """This will list the names that the list of customers has under what somebody types."""
    page = signed_in(rep).get("/customers/", {"q": typed})
    assert page.status_code == 200
    return [name for name in Customer.objects.values_list("name", flat=True) if f">{name}<" in page.content.decode()]


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        (NFC, NFD),
        (NFD, NFC),
        (NFC, "müller"),
        ("ＡＢＣ Trading", "abc"),
        ("ABC Trading", "ＡＢＣ"),
        ("Großhandel Weiß", "grosshandel"),
        ("Grosshandel", "großhandel"),
        ("İstanbul Lojistik", "İstanbul"),
        ("𠮷野家", "𠮷野"),
        ("Rocket 🚀 Works", "🚀"),
    ],
)
def test_a_name_is_found_in_another_spelling(name, typed):
    rep = make.user(language="en")
    make.customer(rep, name=name)
    make.customer(rep, name="Qinghe Water Group")
    assert found(rep, typed) == [name]


KINDS = ["𠮷野家", "Rocket 🚀 Works", "ＡＢＣ Trading", "İstanbul Lojistik", "Zoe\u200dCo", "الرياض", NFC, NFD]


@pytest.mark.parametrize("name", KINDS)
def test_letters_of_every_kind_are_kept_as_they_were_typed(name):
    rep = make.user(language="en")
    answer = signed_in(rep).post("/opportunities/new/", {"name": name, "stage": make.stage().pk, "probability": 10})
    assert answer.status_code == 302
    assert Opportunity.objects.get().name == name


@pytest.mark.parametrize("name", [NFC, NFD])
def test_a_customer_in_another_spelling_is_told_to_be_there_already(name):
    rep = make.user(language="en")
    make.customer(rep, name=NFC if name == NFD else NFD)
    answer = signed_in(rep).post("/customers/new/", {"name": name, "kind": "organisation", "status": "potential"})
    assert "look like this one" in answer.content.decode()
    assert Customer.objects.count() == 1


def test_a_user_name_in_another_spelling_is_taken():
    make.user(unicodedata.normalize("NFC", "müller"))
    admin = make.user(None, "administrator", at="head-office", language="en")
    typed = {"username": unicodedata.normalize("NFD", "müller"), "name": "Other", "email": "other@example.org"}
    before = make.User.objects.count()
    answer = signed_in(admin).post("/people/new/", typed)
    assert answer.status_code == 200
    assert "username" in answer.context["form"].errors
    assert make.User.objects.count() == before


@pytest.mark.parametrize("broken", [r"\ud800", r"\udfff"])
def test_half_a_character_is_refused_and_nothing_breaks(broken):
    """No database can hold a lone surrogate, which JSON can write."""
    rep = make.user(language="en")
    client = signed_in(rep)
    condition = json.loads(f'{{"field": "name", "op": "contains", "value": "x{broken}"}}')
    answers = [
        client.get("/opportunities/", {"where": json.dumps(condition)}),
        client.get("/opportunities/?q=%ED%A0%80"),
        client.post("/opportunities/new/", b"name=x%ED%A0%80&act=save", "application/x-www-form-urlencoded"),
    ]
    assert max(answer.status_code for answer in answers) < 500
    assert not Opportunity.objects.filter(name__contains="\\ud").exists()
