"""An address asks for what is not there: the list says so in a sentence, and shows what is left."""

import pytest
from django.utils.html import escape

from crm import custom_changes
from crm.saved_views import SavedView
from tests import factories as make
from tests.crm.fields import administrator, field
from tests.importing import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

LISTS = ["/opportunities/", "/opportunities/board/", "/customers/", "/contacts/", "/follow-ups/", "/tasks/done/"]


def said(client, address):
    """This will list what the page says above its rows."""
    answer = client.get(address)
    assert answer.status_code == 200, address
    errors = [str(error) for error in answer.context["listing"].errors]
    page = answer.content.decode()
    assert [error for error in errors if escape(error) not in page] == []
    return errors


@pytest.mark.parametrize("address", LISTS)
@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("size=7", "A page of this list has one of 25, 50, 100 rows, not “7”."),
        ("size=500", "A page of this list has one of 25, 50, 100 rows, not “500”."),
        ("size=-1", "A page of this list has one of 25, 50, 100 rows, not “-1”."),
        ("size=99999999999999999999", "A page of this list has one of 25, 50, 100 rows, not “99999999999999999999”."),
        ("sort=nowhere", "This list is not sorted by “nowhere”."),
        ("sort=-nowhere", "This list is not sorted by “-nowhere”."),
        ("columns=nowhere", "There is no column “nowhere” here."),
        ("view=999999", "This view is no longer there. The list is shown without it."),
        ("view=x", "This view is no longer there. The list is shown without it."),
        ("c_gone_12=7", "“c_gone_12” cannot be asked."),
        ("where={", "The conditions in this address cannot be read, so they were left out."),
    ],
)
@pytest.mark.case(8, 41)
def test_what_is_not_there_is_said(address, asked, sentence):
    client = signed_in(make.user(language="en"))
    assert said(client, f"{address}?{asked}") == [sentence]
    assert said(client, address) == []


@pytest.mark.parametrize("address", LISTS[:-1])
def test_a_view_of_somebody_else_is_called_gone_as_one_that_never_was(address):
    rep, other = make.user(language="en"), make.user(language="en")
    listing = signed_in(rep).get(address).context["listing"]
    view = SavedView(listing=listing.name, name="Mine alone", layout=listing.layout)
    view.create(by=rep)
    assert said(signed_in(rep), f"{address}?view={view.pk}") == []
    assert said(signed_in(other), f"{address}?view={view.pk}") == said(signed_in(other), f"{address}?view=999999") != []


def test_a_view_whose_field_was_erased_opens_with_a_sentence_for_each_part_of_it():
    rep = make.user(language="en")
    made = field("opportunity", "number", "Seats")
    client = signed_in(rep)
    address = f"/opportunities/?{made.key}.over=5&columns=name,{made.key}&sort=-{made.key}"
    view = SavedView(listing="opportunities", name="Many seats", **client.get(address).context["listing"].held)
    view.create(by=rep)
    assert said(client, f"/opportunities/?view={view.pk}") == []
    custom_changes.archive(made, by=administrator())
    custom_changes.erase(made, by=administrator())
    errors = said(client, f"/opportunities/?view={view.pk}")
    key = made.key
    assert errors == [
        f"“{key}” cannot be asked.",
        f"There is no column “{key}” here.",
        f"This list is not sorted by “-{key}”.",
    ]
    view.refresh_from_db()
    assert (view.sort, view.columns) == (f"-{key}", ["name", key])  # nobody changed it
