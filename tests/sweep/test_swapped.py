"""
One's own address, and somebody else's keys in what is sent to it: in a field, in a list of rows, in the query, in what
a page hides. Nothing of world B is changed by it, or told; the same with one's own keys is done.
"""

from types import SimpleNamespace
from uuid import uuid4

import pytest

from crm.bulk import BulkRun
from crm.importing import SavedMatching
from notices.documents import Document
from tests import factories as make
from tests import importing
from tests.digest import digest
from tests.sweep.asking import Asker
from tests.sweep.sent import today
from tests.sweep.sweep import rolled_back
from tests.sweep.world import pdf
from tests.test_words import Page

pytestmark = [pytest.mark.long, pytest.mark.any_database]

# What a run of an act writes of itself, though it does nothing to any row.
RUN = {"BulkRun", "BulkRow", "Batch", "Once", "Message"}

# Where something is sent: the page (of one's own), the field, and what stands in it: theirs, and one's own.
FIELDS = """
opportunities/{opportunity}/edit/        customer_id     customer       other_customer
opportunities/{opportunity}/contact/     contact_id      contact        contact
opportunities/new/                       customer_id     customer       customer
new/opportunity/                         customer_id     customer       customer
new/contact/                             customer_id     customer       customer
new/follow-up/                           customer_id     customer       customer
new/follow-up/                           opportunity_id  active         opportunity
contacts/new/                            customer_id     customer       customer
customers/{customer}/follow-up/          contact_id      contact        contact
opportunities/{opportunity}/follow-up/   contact_id      contact        contact
follow-ups/{follow_up}/edit/             contact_id      contact        contact
files/opportunity/{opportunity}/library/ document        unlinked       document
"""

# What each of these needs besides.
BESIDES = {
    "opportunities/new/": {"name": "Mine", "owner_id": None, "owner": None, "act": "save"},
    "new/opportunity/": {"name": "Mine", "all": None},
    "new/contact/": {"name": "Mine", "all": None},
    "new/follow-up/": {"content": "Called.", "all": None},
    "contacts/new/": {"name": "Mine"},
    "customers/{customer}/follow-up/": {"content": "Called."},
    "opportunities/{opportunity}/follow-up/": {"content": "Called."},
    "opportunities/{opportunity}/edit/": {"act": "save"},
    "follow-ups/{follow_up}/edit/": {"content": "Called."},
}

# What is asked about rows, of which one is one's own: the list and the act, what it says, the model's two of each.
ACTS = """
opportunities  comment    active          opportunity
opportunities  change     active          opportunity
opportunities  void       draft           opportunity
customers      comment    customer        customer
customers      delete     other_customer  other_customer
contacts       change     contact         contact
contacts       delete     contact         contact
"""
SAYS = {
    "comment": {"text": "Mine now."},
    "void": {"reason": "Mine now."},
    "change opportunities": {"set_description": "on", "description": "Mine"},
    "change contacts": {"set_title": "on", "title": "Mine"},
    "delete": {},
}

# What a query can name that is not one's own; the page is one's own, and says nothing of it.
QUERIES = """
opportunities/new/?customer={customer}
contacts/new/?customer={customer}
new/opportunity/?customer={customer}
new/contact/?customer={customer}
new/follow-up/?opportunity={active}
new/follow-up/?customer={customer}
opportunities/?customer={customer}
opportunities/?q={active}
opportunities/?view={opportunities_view}
opportunities/board/?view={opportunities_view}
opportunities/filter/?customer={customer}
opportunities/?export=csv&rows=selected&pk={active}
opportunities/export/?rows=selected&pk={active}
customers/?export=csv&rows=selected&pk={customer}
contacts/?export=vcf&rows=selected&pk={contact}
contacts/?customer={customer}
follow-ups/?opportunity={active}
opportunities/bulk/comment/?pk={active}
customers/bulk/comment/?pk={customer}
contacts/bulk/change/?pk={contact}
opportunities/{active}/step/
customers/{customer}/step/
opportunities/pick/?q={active}
customers/pick/?q={customer}
contacts/pick/?q={contact}&of={customer}
contacts/pick/?customer={customer}
search/?q=zq
search/suggest/?q=zq
tasks/bulk/decide/?pk={task_signing}
products/?q=zq
ranking/?export=csv
reports/reviews/
"""


@pytest.fixture
def mine(world):
    """This will give the stranger one thing of each kind, by the names that those of world B have."""
    person = world.str
    customer = make.customer(person, name="Mine")
    other = make.customer(person, name="Mine too")
    opportunity = make.opportunity(person, customer=customer, name="Mine")
    document = Document(name="Mine")
    document.add([pdf("mine")], by=world.man, departments=[make.department("jinan")])
    return SimpleNamespace(
        customer=customer,
        other_customer=other,
        contact=make.contact(customer, name="Mine"),
        opportunity=opportunity,
        follow_up=make.follow_up(customer, content="Mine"),
        document=document,
    )


def lines(text):
    return [line.split() for line in text.strip().splitlines()]


def form_at(asker, address):
    """This will give what the stranger's own page sends."""
    html = asker.ask("str", "GET", address).body.decode()
    [form, *_more] = [one for one in Page(html, address).forms if one["action"].partition("?")[0] == address]
    return form["fields"]


def named(things):
    return {name: thing.pk for name, thing in vars(things).items() if hasattr(thing, "pk")}


def a_field_takes_ones_own_and_nobody_elses(world, mine):
    asker = Asker(world.cookies)
    for page, field, theirs, own in lines(FIELDS):
        address = f"/{page.format(**named(mine))}"
        sent = {} if "library" in page else form_at(asker, address)
        sent |= {field.removesuffix("_id"): None} | BESIDES.get(page, {})
        outcomes = []
        for key in (getattr(world, theirs).pk, getattr(mine, own).pk):
            before = digest()
            body = {name: value for name, value in (sent | {field: key}).items() if value is not None}
            with rolled_back():
                answer = asker.ask("str", "POST", address, body)
                outcomes.append((answer.status == 302, digest() != before))
            assert not answer.canaries, (page, field)
        assert outcomes == [(False, False), (True, True)], (page, field, outcomes)


def an_act_on_many_is_done_to_ones_own_alone(world, mine):
    asker = Asker(world.cookies)
    for listing, act, theirs, own in lines(ACTS):
        said = SAYS.get(act) if act in SAYS else SAYS[f"{act} {listing}"]
        keys = {"theirs": getattr(world, theirs).pk, "own": getattr(mine, own).pk}
        changed = {}
        for whose, pks in (("theirs", [keys["theirs"]]), ("both", [*keys.values()])):
            address = f"/{listing}/bulk/{act}/?pk={','.join(map(str, pks))}"
            before = digest(RUN)
            with rolled_back():
                answer = asker.ask("str", "POST", address, said | {"once": str(uuid4())})
                assert answer.status == 302, (address, answer.body)
                changed[whose] = digest(RUN) != before
                rows = dict(BulkRun.objects.latest("pk").rows.values_list("about_id", "state"))
                labels = set(BulkRun.objects.latest("pk").rows.filter(about_id=keys["theirs"]).values_list("label"))
            assert rows[keys["theirs"]] != "done" and labels == {("",)}, (listing, act)
        assert (changed, rows[keys["own"]]) == ({"theirs": False, "both": True}, "done"), (listing, act)


def a_query_tells_nothing_of_what_it_names(world, mine):
    asker = Asker(world.cookies)
    keys = named(world)
    for (page,) in lines(QUERIES):
        answer = asker.ask("str", "GET", "/" + page.format(**keys))
        assert answer.status in (200, 302, 400, 404), (page, answer.status)
        assert answer.canaries <= {"everyones"}, (page, answer.canaries)
    told = {page for (page,) in lines(QUERIES) if asker.ask("own", "GET", "/" + page.format(**keys)).canaries}
    assert len(told) > len(lines(QUERIES)) / 2, "Hardly anything of this tells even its owner."


def what_somebody_else_keeps_is_not_taken_up(world, mine):
    """A saved matching, an earlier run, a handover: by key, at an address of one's own."""
    asker, client = Asker(world.cookies), importing.signed_in(world.str)
    run = importing.begin(client, "customers", "Name\nMine\n")
    saved = SavedMatching.objects.create(owner=world.str, kind="customers", name="Mine", sources={})
    for who, address, theirs, own in (
        ("str", f"/imports/{run.pk}/match/?saved={{}}", world.matching, saved),
        ("own", "/contacts/bulk/change/?again={}", None, world.bulk_done),
        ("str", "/contacts/bulk/change/?again={}", world.bulk_done, None),
        ("adm", f"/people/{world.leaver.pk}/handover/{{}}/", None, world.job),
        ("adm", f"/people/{world.mate.pk}/handover/{{}}/", world.job, None),
    ):
        for of, status in ((theirs, 404), (own, 200)):
            if of is not None:
                assert asker.ask(who, "GET", address.format(of.pk)).status == status, (address, status)


def what_a_form_does_not_ask_is_not_taken(world, mine):
    """Owner, state, number, key: whatever is sent beside what the page asks stays what it was."""
    asker, address = Asker(world.cookies), f"/opportunities/{mine.opportunity.pk}/edit/"
    extra = {"owner": world.own.pk, "owner_id": world.own.pk, "state": "signed", "number": "OP1", "id": world.active.pk}
    extra |= {"pk": world.active.pk, "created_by": world.own.pk, "department": "1", "closed_on": today()}
    columns = ("owner", "state", "number", "created_by", "department", "closed_on", "name")

    def kept(opportunity):
        return type(opportunity).objects.values_list(*columns).get(pk=opportunity.pk)

    before = kept(mine.opportunity), kept(world.active)
    body = form_at(asker, address) | extra | {"act": "save", "name": "Mine by another name"}
    assert asker.ask("str", "POST", address, body).status == 302
    assert kept(world.active) == before[1]
    assert kept(mine.opportunity) == (*before[0][:-1], "Mine by another name")


def test_keys_of_somebody_else_are_nothing_at_ones_own_addresses(world, mine):
    """One test, because the world takes longer to build than to be asked."""
    for holds in (
        a_field_takes_ones_own_and_nobody_elses,
        an_act_on_many_is_done_to_ones_own_alone,
        a_query_tells_nothing_of_what_it_names,
        what_somebody_else_keeps_is_not_taken_up,
        what_a_form_does_not_ask_is_not_taken,
    ):
        with rolled_back():
            holds(world, mine)
