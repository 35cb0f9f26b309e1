"""Views of a list: what somebody asks again and again, kept under a name, shared, opened by others with their sight."""

import json
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from crm import picklists
from crm.conditions import Conditions
from crm.saved_views import SavedView, ViewUse
from crm.verbs import Gone, NotAllowed, Refused
from customers.lists import CustomerList
from opportunities.lists import OpportunityList
from opportunities.models import BusinessType, Opportunity
from tests import factories as make
from tests.asserting import unchanged
from tests.importing import signed_in

pytestmark = pytest.mark.django_db

ASKED = "state=open&sort=-amount%2Cname&columns=name%2Camount%2Cnumber&size=25&q=row"


@pytest.fixture
def rep():
    return make.user(name="Chen Yu")


def kept(owner, asked=ASKED, name="Large ones", shared="private", departments=(), listing=OpportunityList):
    """A view that `owner` keeps of a list that is asked so."""
    view = SavedView(listing=listing.name, name=name, shared=shared, **at(owner, asked, listing).held)
    view.create(by=owner, departments=departments)
    return view


def at(reader, asked="", listing=OpportunityList):
    request = RequestFactory().get("/")
    request.GET, request.user = QueryDict(asked), reader
    return listing(request)


def page(client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


# Kept and opened


def test_save_as_keeps_what_the_list_is_asked_and_makes_it_a_tab(rep):
    client = signed_in(rep)
    make.opportunity(rep, name="Row 1")
    assert "Save as…" in page(client, f"/opportunities/?{ASKED}")
    address = f"/opportunities/views/new/?{ASKED}&layout=list"
    assert "A new view of Opportunities" in page(client, address)
    answer = client.post(address, {"name": "Large ones", "shared": "private"})
    view = SavedView.objects.get()
    assert answer.url == f"/opportunities/?view={view.pk}"
    assert (view.owner, view.listing, view.shared, view.layout) == (rep, "opportunities", "private", "list")
    assert view.conditions == {"all": [{"field": "state", "op": "is", "value": "open"}]}
    assert (view.text, view.columns, view.sort, view.size) == ("row", ["name", "amount", "number"], "-amount,name", 25)
    shown = page(client, answer.url)
    assert f'<a href="/opportunities/?view={view.pk}" aria-current="page">Large ones</a>' in shown
    assert 'data-field="number"' in shown and 'data-field="owner"' not in shown
    assert '"changed"' not in shown


def test_a_view_alone_shows_the_list_as_it_was_kept(rep):
    for number in range(3):
        make.opportunity(rep, name=f"Row {number}", amount=number * 100)
    make.opportunity(rep, name="Other", amount=1)
    view = kept(rep)
    one, other = at(rep, f"view={view.pk}"), at(rep, ASKED)
    assert one.pks == other.pks and len(one.pks) == 3
    assert [column.key for column in one.shown] == ["name", "amount", "number"]
    assert (one.sort, one.size, one.text) == ("-amount,name", 25, "row")
    assert one.conditions.tree == other.conditions.tree
    assert not one.is_changed
    assert at(rep, f"view={view.pk}&page=2").place.number == 2


def test_with_further_parameters_these_are_asked_and_the_view_is_what_they_are_compared_with(rep):
    view = kept(rep)
    same = at(rep, f"view={view.pk}&q=row&size=25&columns=name&columns=amount,number&sort=-amount,name&state=open")
    assert not same.is_changed
    money = kept(rep, "amount.over=5", name="Money")
    assert not at(rep, f"view={money.pk}&amount.over=5.00").is_changed
    changed = at(rep, f"view={view.pk}&{ASKED}&owner=me")
    assert changed.is_changed and changed.may_save
    assert len(list(changed.conditions.leaves())) == 2
    nothing = at(rep, f"view={view.pk}&q=")
    assert nothing.is_changed and not nothing.conditions and not nothing.text


def test_the_links_of_a_view_keep_it_and_tell_it_briefly_where_it_is_not_changed(rep):
    view = kept(rep)
    here = at(rep, f"view={view.pk}")
    assert here.address(here.asked(totals="1")) == f"/opportunities/?view={view.pk}&totals=1"
    assert "state=open" in here.filter_url and f"view={view.pk}" in here.filter_url
    [chip] = here.chips
    assert "state=" not in chip["without"] and f"view={view.pk}" in chip["without"]
    assert at(rep, chip["without"].partition("?")[2]).is_changed
    head = next(head for head in here.heads if head["label"] == "Amount")
    assert at(rep, head["url"].partition("?")[2]).is_changed
    plain = kept(rep, "state=open", name="Open")
    here = at(rep, f"view={plain.pk}")
    assert here.chips[0]["without"] == f"/opportunities/?view={plain.pk}&q="


def test_all_conditions_taken_off_in_the_filter_form_leave_a_view_that_is_changed(rep):
    client = signed_in(rep)
    view = kept(rep, "state=open")
    answer = client.post(f"/opportunities/filter/?view={view.pk}", {"c-kind": "all", "show": "1"})
    assert answer.url == f"/opportunities/?view={view.pk}&q="
    assert 'class="changed"' in page(client, answer.url)


def test_a_changed_view_is_marked_and_saved_or_reset_by_its_owner(rep):
    client = signed_in(rep)
    view = kept(rep)
    changed = f"/opportunities/?view={view.pk}&state=signed"
    shown = page(client, changed)
    reset = f'"/opportunities/?view={view.pk}">Reset'
    for part in ('<span class="changed">Changed</span>', "Save</button>", "Save as…", reset):
        assert part in shown
    answer = client.post(at(rep, changed.partition("?")[2]).save_url)
    assert answer.url == f"/opportunities/?view={view.pk}"
    view.refresh_from_db()
    assert view.conditions == {"all": [{"field": "state", "op": "is", "value": "signed"}]}
    assert (view.text, view.columns, view.sort, view.size) == ("", [], "", None)
    assert view.name == "Large ones"


def test_the_foot_and_the_file_of_a_view_are_of_what_it_shows(rep):
    client = signed_in(rep)
    for number in range(2):
        make.opportunity(rep, name=f"Row {number}")
    make.opportunity(rep, name="Other")
    view = kept(rep)
    assert "<b>2</b> opportunities" in page(client, f"/opportunities/totals/?view={view.pk}")
    text = client.get(f"/opportunities/?view={view.pk}&export=csv").getvalue().decode("utf-8-sig")
    assert text.splitlines()[0] == '"Opportunity name","Amount","Number"'
    assert len(text.splitlines()) == 3


@pytest.mark.parametrize("listing", [CustomerList])
def test_every_list_has_views_of_its_own(rep, listing):
    client = signed_in(rep)
    view = kept(rep, "status=trading&columns=name,phone", name="Trading", listing=listing)
    assert ">Trading</a>" in page(client, f"/{listing.name}/?view={view.pk}")
    assert ">Trading</a>" not in page(client, "/opportunities/")
    assert "This view is no longer there." in page(client, f"/opportunities/?view={view.pk}")
    assert client.get(f"/opportunities/views/{view.pk}/").status_code == 404


# Names


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "Large ones", "two\nlines"])
def test_a_name_that_cannot_be_comes_back_with_what_was_filled_in(rep, name):
    client = signed_in(rep)
    kept(rep)
    with unchanged():
        answer = client.post(f"/opportunities/views/new/?{ASKED}", {"name": name, "shared": "all"})
    assert answer.status_code in (200, 409)
    assert answer.context["form"]["shared"].value() == "all"
    assert answer.context["form"]["name"].errors


def test_a_name_is_taken_only_by_ones_own_views_of_the_same_list(rep):
    kept(rep)
    kept(make.user())
    kept(rep, "", listing=CustomerList)
    with pytest.raises(Refused), unchanged():
        kept(rep)


def test_sharing_with_departments_needs_some(rep):
    client = signed_in(rep)
    with unchanged():
        answer = client.post("/opportunities/views/new/?state=open", {"name": "Open", "shared": "departments"})
    assert "Choose the departments to share it with." in answer.content.decode()


# Who sees a view, and who may do what


def doors(view):
    """Every address of a view: those that show it, and those of its buttons."""
    base = f"/opportunities/views/{view.pk}/"
    return [base, f"{base}copy/", f"{base}delete/"], [
        f"{base}save/?state=signed", f"{base}pin/", f"{base}unpin/", f"{base}default/", f"{base}no-default/",
    ]  # fmt: skip


def test_a_private_view_of_another_is_not_there_not_even_for_administrators(rep):
    view = kept(rep)
    for other in (make.user(), make.user(None, "administrator", at="head-office")):
        client = signed_in(other)
        told = [page(client, f"/opportunities/?view={key}") for key in (view.pk, 987654)]
        assert [("This view is no longer there." in html, "Large ones" in html) for html in told] == [(True, False)] * 2
        shown, pressed = doors(view)
        with unchanged():
            for address in shown:
                assert client.get(address).status_code == 404
                assert client.post(address, {"name": "x", "shared": "all"}).status_code == 404
            for address in pressed:
                assert client.post(address).status_code == 404
        assert "Large ones" not in page(client, "/opportunities/views/")


def test_a_shared_view_is_opened_copied_and_pinned_by_others_and_changed_by_its_owner_alone(rep):
    view, other = kept(rep, shared="all"), make.user(at="jinan")
    client = signed_in(other)
    assert "Large ones" in page(client, "/opportunities/views/")
    changed = page(client, f"/opportunities/?view={view.pk}&state=signed")
    assert "Save as…" in changed and "Save</button>" not in changed
    with unchanged():
        for address in (f"/opportunities/views/{view.pk}/", f"/opportunities/views/{view.pk}/delete/"):
            assert client.get(address).status_code == 403
            assert client.post(address, {"name": "Mine now", "shared": "private"}).status_code == 403
        assert client.post(f"/opportunities/views/{view.pk}/save/?state=signed").status_code == 403
        with pytest.raises(NotAllowed):
            view.keep(by=other, **at(other, "state=signed").held)
        with pytest.raises(NotAllowed):
            view.change(by=other, name="Mine now", shared="private")
        with pytest.raises(NotAllowed):
            view.delete_by(by=other)
    answer = client.post(f"/opportunities/views/{view.pk}/copy/", {"name": "Copy of Large ones"})
    copy = SavedView.objects.get(owner=other)
    assert answer.url == f"/opportunities/?view={copy.pk}"
    assert (copy.conditions, copy.columns, copy.shared) == (view.conditions, view.columns, "private")
    client.post(f"/opportunities/views/{view.pk}/pin/")
    assert [tab["label"] for tab in at(other).tabs_shown][-2:] == ["Copy of Large ones", "Large ones"]
    assert "Large ones" not in [tab["label"] for tab in at(make.user()).tabs_shown]


def test_a_view_shared_with_a_department_is_seen_there_and_below_as_long_as_one_is_there(rep):
    hebei, jinan = make.department("hebei"), make.department("jinan")
    view = kept(rep, shared="departments", departments=[hebei])
    below, beside = make.user(at="baoding"), make.user(at="jinan")
    assert SavedView.objects.visible_to(below).get() == view
    assert SavedView.objects.visible_to(make.user(at=hebei)).get() == view
    assert not SavedView.objects.visible_to(beside).exists()
    assert not SavedView.objects.visible_to(make.user(at="head-office")).exists()
    view.pin(by=below)
    view.make_default(by=below)
    type(below).objects.filter(pk=below.pk).update(department=jinan)
    below.refresh_from_db()
    assert "Large ones" not in [tab["label"] for tab in at(below).tabs_shown]
    assert at(below).view is None
    assert "This view is no longer there." in page(signed_in(below), f"/opportunities/?view={view.pk}")


def test_ending_the_share_takes_the_view_from_the_others(rep):
    other = make.user()
    view = kept(rep, shared="all")
    view.pin(by=other)
    client = signed_in(rep)
    form = page(client, f"/opportunities/views/{view.pk}/")
    assert 'value="Large ones"' in form
    client.post(f"/opportunities/views/{view.pk}/", {"name": "Larger ones", "shared": "private"})
    view.refresh_from_db()
    assert (view.name, view.shared) == ("Larger ones", "private")
    assert [tab["label"] for tab in at(other).tabs_shown][-1] == "All"


def test_a_view_widens_nobodys_sight(rep):
    stranger = make.user(at="jinan")
    customer = make.customer(stranger, name="Secret Steel")
    make.opportunity(stranger, name="Row of the stranger", customer=customer)
    mine = make.opportunity(rep, name="Row of mine")
    view = kept(stranger, f"q=row&customer={customer.pk}", shared="all")
    shown = page(signed_in(rep), f"/opportunities/?view={view.pk}")
    assert "unknown" in shown
    assert "Secret" not in shown and "stranger" not in shown
    everything = kept(stranger, "q=row", name="Every row", shared="all")
    assert at(rep, f"view={everything.pk}").pks == [mine.pk]
    assert at(rep, f"view={view.pk}").pks == []
    turned = at(rep, f"view={view.pk}&q=row&customer={customer.pk}&sort=-name")
    assert (turned.pks, turned.conditions.errors) == ([], [])  # its condition holds on, whoever reads it
    assert [one["chip"].value for one in turned.chips] == ["unknown"]
    assert "Secret" in page(signed_in(stranger), f"/opportunities/?view={view.pk}")


def test_me_is_whoever_reads_a_shared_view(rep):
    other = make.user(at="jinan")
    make.opportunity(rep)
    theirs = make.opportunity(other)
    view = kept(rep, "owner=me", shared="all")
    assert at(other, f"view={view.pk}").pks == [theirs.pk]


def test_an_administrator_deletes_what_is_shared_and_changes_it_not(rep):
    admin = make.user(None, "administrator", at="head-office")
    view = kept(rep, shared="departments", departments=[make.department("shijiazhuang")])
    client = signed_in(admin)
    assert client.post(f"/opportunities/views/{view.pk}/", {"name": "x", "shared": "all"}).status_code == 403
    assert "Those it is shared with lose it too." in page(client, f"/opportunities/views/{view.pk}/delete/")
    client.post(f"/opportunities/views/{view.pk}/delete/")
    assert not SavedView.objects.exists()


# Pinned, the default, deleted


def test_pinned_twice_is_one_tab_and_unpinned_twice_is_none(rep):
    view = kept(rep)
    view.pin(by=rep)
    view.pin(by=rep)
    assert ViewUse.objects.count() == 1
    view.unpin(by=rep)
    view.unpin(by=rep)
    assert "Large ones" not in [tab["label"] for tab in at(rep).tabs_shown]
    assert "Large ones" in [tab["label"] for tab in at(rep, f"view={view.pk}").tabs_shown]  # one knows where one is


def test_the_default_opens_the_bare_list_and_all_is_an_address_of_its_own(rep):
    client = signed_in(rep)
    first, second = kept(rep, "state=signed", name="Signed"), kept(rep, "state=void", name="Void")
    make.opportunity(rep, name="A draft")
    client.post(f"/opportunities/views/{first.pk}/default/")
    client.post(f"/opportunities/views/{second.pk}/default/")
    assert ViewUse.objects.get(is_default=True).view == second
    assert at(rep).view == second
    bare = page(client, "/opportunities/")
    assert "A draft" not in bare and 'href="/opportunities/?view=all"' in bare
    everything = page(client, "/opportunities/?view=all")
    assert "A draft" in everything
    assert '<a href="/opportunities/?view=all" aria-current="page">All</a>' in everything
    assert at(rep, "view=all").all_url == "/opportunities/?view=all"
    assert at(rep, "state=open").view is None
    assert at(make.user()).view is None
    client.post(f"/opportunities/views/{second.pk}/no-default/")
    assert at(rep).view is None and at(rep).all_url == "/opportunities/"


def test_an_export_means_the_same_later_whatever_becomes_of_the_view(rep):
    view = kept(rep)
    view.make_default(by=rep)
    frozen = at(rep).frozen(page=None)
    assert "view" not in frozen
    assert at(rep, "view=all").frozen(page=None).urlencode() == "view=all"
    view.keep(by=rep, **at(rep, "state=void").held)
    assert at(rep, frozen.urlencode()).asked_in(frozen) == at(rep).asked_in(QueryDict(ASKED))


def test_a_view_that_was_deleted_leaves_the_list_with_a_sentence(rep):
    client = signed_in(rep)
    make.opportunity(rep, name="Metering")
    view = kept(rep)
    client.post(f"/opportunities/views/{view.pk}/delete/")
    for address in (f"/opportunities/?view={view.pk}", "/opportunities/?view=abc", f"/opportunities/?view={'9' * 30}"):
        shown = page(client, address)
        assert "This view is no longer there." in shown and "Metering" in shown
        assert "view=" not in shown.partition("<main")[2].replace("views", "")
    assert client.get(f"/opportunities/views/{view.pk}/").status_code == 404
    with pytest.raises((Gone, NotAllowed)), unchanged():
        SavedView(pk=view.pk, listing="opportunities").pin(by=rep)


# What is gone


def test_a_view_whose_parts_are_gone_opens_with_what_is_left_and_loses_nothing(rep):
    client = signed_in(rep)
    make.opportunity(rep, name="Metering", state="active")
    view = kept(rep, "state=active")
    stale = {
        "all": [
            {"field": "state", "op": "is", "value": "active"},
            {"field": "mood", "op": "is", "value": "good"},
            {"field": "stage", "op": "in", "value": ["first-contact", "gone"]},
            {"any": [{"field": "stage", "op": "is", "value": "gone"}, {"not": {"field": "mood", "op": "empty"}}]},
        ]
    }
    SavedView.objects.update(conditions=stale, columns=["name", "mood", "amount"], sort="mood,-amount", size=7)
    shown = page(client, f"/opportunities/?view={view.pk}")
    for said in ("“mood” cannot be asked.", "Stage cannot be “gone”.", "There is no column “mood” here."):
        assert said in shown
    assert "This list is not sorted by “mood”." in shown
    assert "Metering" in shown
    here = at(rep, f"view={view.pk}")
    assert here.conditions.tree == {"all": [stale["all"][0], {"field": "stage", "op": "is", "value": "first-contact"}]}
    assert (here.sort, here.size, here.is_changed) == ("-amount", 50, False)
    view.refresh_from_db()
    assert view.conditions == stale
    for address in (here.filter_url, here.columns_url, f"/opportunities/views/new/?view={view.pk}&q="):
        assert client.get(address).status_code == 200


@pytest.mark.parametrize("tree", [None, [], "x", {}, {"all": []}, {"field": 5}, {"all": [{"any": []}]}])
def test_whatever_stands_in_a_tree_the_list_opens(rep, tree):
    assert not list(Conditions.leaving_out(tree, Opportunity, rep).leaves())


def test_a_merged_value_of_a_picklist_is_followed_by_the_views_that_ask_for_it(rep):
    admin = make.user(None, "administrator", at="head-office")
    first, second = BusinessType.objects.all()[:2]
    view = kept(rep, f"business_type={first.key}")
    picklists.merge(first, into=second, by=admin, seen=first.version)
    view.refresh_from_db()
    assert view.conditions == {"all": [{"field": "business_type", "op": "is", "value": second.key}]}


LEAVES = st.sampled_from(
    [
        {"field": "state", "op": "is", "value": "open"},
        {"field": "state", "op": "not_in", "value": ["signed", "void"]},
        {"field": "owner", "op": "is", "value": "me"},
        {"field": "amount", "op": "over", "value": "5.00"},
        {"field": "amount", "op": "at_most", "value": "900.00"},
        {"field": "name", "op": "contains", "value": "a & b"},
        {"field": "expected_close_on", "op": "within", "value": "this_month"},
        {"field": "source", "op": "empty"},
    ]
)
TREES = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.builds(lambda some: {"any": some}, st.lists(parts, min_size=1, max_size=3)),
        st.builds(lambda some: {"all": some}, st.lists(parts, min_size=1, max_size=3)),
        st.builds(lambda one: {"not": one}, parts),
    ),
    max_leaves=6,
)


def parts_of(tree):
    return [one for part in tree["all"] for one in parts_of(part)] if tree.keys() == {"all"} else [tree]


@given(TREES)
def test_a_tree_is_told_in_an_address_whole(tree):
    told = Conditions(tree, Opportunity).to_query()
    flat = [(name, text) for name, text in told if name != "where"]
    again = parts_of(Conditions.from_query(QueryDict(urlencode(flat)), Opportunity).tree)
    again += [part for name, text in told if name == "where" for part in parts_of(json.loads(text))]
    assert sorted(map(json.dumps, again)) == sorted(map(json.dumps, parts_of(tree)))


# Costs


def test_views_cost_a_list_the_same_however_many_there_are(rep):
    costs = []
    kept(rep, "state=open", name="First")
    for number in range(2):
        assert at(rep).rows == []
        with CaptureQueriesContext(connection) as queries:
            here = at(rep, f"view={SavedView.objects.first().pk}")
            assert here.tabs_shown and here.rows is not None
        costs.append(len(queries))
        for more in range(6):
            kept(rep, "state=open", name=f"View {number} {more}", shared="all")
    assert costs[0] == costs[1]
