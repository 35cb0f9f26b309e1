"""What happened is said in whole sentences, in the reader's language, and every kind of it has its own."""

import ast
import itertools
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.template.loader import render_to_string
from django.utils import timezone, translation

from customers.models import CustomerLevel
from notices import wording
from notices.history import Event
from notices.models import Delivery, Message
from notices.preferences import GROUPS
from opportunities.models import LostReason
from tests import factories as make

ROOT = Path(__file__).resolve().parent.parent.parent
APPS = ["notices", "approvals", "customers", "opportunities", "crm"]
TELLERS = {
    "note": 0,
    "record": 0,
    "event": 0,
    "tell": 1,
}  # the methods that write a kind, and where in their call it stands


def kinds_written():
    """This will yield (kind, told, where) for each kind that the source writes as an event or sends to somebody."""
    for path in itertools.chain.from_iterable((ROOT / app).rglob("*.py") for app in APPS):
        tree = ast.parse(path.read_text())
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                yield from ((kind, told, f"{path.name}:{function.name}") for kind, told in kinds_in(function))


def kinds_in(function):
    values = {
        target.id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    shown_only = {
        id(node.value) for node in ast.walk(function) if isinstance(node, ast.Return)
    }  # built to be shown, not saved
    for call in ast.walk(function):
        if (
            id(call) in shown_only
            or not isinstance(call, ast.Call)
            or not isinstance(call.func, ast.Attribute)
            or not call.args
        ):
            continue
        owner = call.func.value
        if isinstance(owner, ast.Name) and owner.id == "Audit":
            continue  # another record, with words of its own
        method = call.func.attr
        if method in TELLERS and len(call.args) > TELLERS[method]:
            for kind in texts(call.args[TELLERS[method]], values):
                yield kind, method == "tell"
        if method == "queue":
            for letter in ast.walk(call.args[0]):
                if isinstance(letter, ast.Tuple):
                    yield from ((kind, True) for kind in texts(letter.elts[-1], values))


def texts(node, values):
    """This will list what an expression that names a kind may come to."""
    if isinstance(node, ast.Name) and node.id in values:
        return texts(values[node.id], values)
    if isinstance(node, ast.Constant):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return texts(node.body, values) + texts(node.orelse, values)
    if isinstance(node, ast.JoinedStr):  # f"{act}_asked": a report has a word of its own
        tail = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
        return [f"{act}{tail}" for act in ("sign", "terminate")]
    return []


WRITTEN = sorted(set(kinds_written()))


def test_one_chooses_for_each_kind_that_is_told_whether_to_hear_of_it():
    asked_for = [kind for _label, kinds in GROUPS.values() for kind in kinds]
    told = {kind for kind, told, _where in WRITTEN if told}
    assert sorted(asked_for) == sorted(
        told - {"invited", "password_wanted", "email_wanted", "email_changed", "email_removed", "two_step_reset"}
    )  # one's account is no choice


def test_the_source_was_read():
    kinds = {kind for kind, _told, _where in WRITTEN}
    assert {"created", "reported", "resubmitted", "sign_asked", "granted", "follow_up_done", "task", "shared"} <= kinds


@pytest.mark.parametrize(("kind", "told", "where"), WRITTEN, ids=lambda value: str(value))
def test_every_kind_that_is_written_has_its_sentence(kind, told, where):
    assert kind in (wording.TOLD | wording.EVENTS if told else wording.EVENTS)


@pytest.mark.parametrize(
    "kind", [kind for kind, found in (wording.EVENTS | wording.TOLD).items() if isinstance(found, dict)]
)
def test_what_an_act_is_part_of_has_a_sentence_for_each_act(kind):
    assert set((wording.EVENTS | wording.TOLD)[kind]) == {"report", "sign", "terminate"}


@pytest.mark.django_db
class TestSentences:
    def history(self, record, reader=None):
        reader = reader or make.user(name="Reader")
        return [wording.sentence(event, reader) for event in Event.objects.about(record)]

    def test_a_life_reads_as_a_story(self):
        rep, deputy = make.user(name="Chen Yu"), make.user(None, "deputy_gm", name="Zhou Lan")
        opportunity = make.opportunity(rep)
        make.bring_to(opportunity, "returned")
        opportunity.report(by=rep, approver=deputy)
        opportunity.open_task.finish(by=deputy, seen=opportunity.version)
        opportunity.refresh_from_db()
        opportunity.move(stage=make.stage("proposal"), by=rep)
        make.sign(opportunity, approver=deputy)
        opportunity.open_task.finish(by=deputy, seen=opportunity.version)

        assert self.history(opportunity)[::-1] == [
            "Chen Yu created it.",
            "Chen Yu asked Zhou Lan to approve the report.",
            "Zhou Lan returned the report.",
            "Chen Yu asked Zhou Lan again to approve the report.",
            "Zhou Lan approved the report.",
            "Chen Yu moved it to Proposal.",
            "Chen Yu asked Zhou Lan to approve the signing.",
            "Zhou Lan approved the signing.",
        ]

    def test_the_reader_is_you(self):
        rep = make.user(name="Chen Yu")
        deputy = make.user(None, "deputy_gm", name="Zhou Lan")
        opportunity = make.opportunity(rep, state="reporting")

        assert self.history(opportunity, rep)[0] == "You asked Zhou Lan to approve the report."
        assert self.history(opportunity, deputy)[0] == "Chen Yu asked you to approve the report."

    def test_a_department_is_never_you(self):
        opportunity = make.opportunity(state="active")
        reader = make.user(name="Reader")
        place = make.department("baoding")
        event = opportunity.note(
            "shared", by=opportunity.owner, to=[{"id": reader.pk, "label": place.names}], may_edit=True
        )

        assert wording.sentence(event, reader).endswith("shared it with Baoding, who may edit it.")

    def test_shares_name_everybody_they_went_to(self):
        opportunity = make.opportunity(make.user(name="Chen Yu"), state="active")
        opportunity.share(
            by=opportunity.owner, people=[make.user(name="Sun Qi")], departments=[make.department("baoding")]
        )

        assert self.history(opportunity)[0] == "Chen Yu shared it with Sun Qi, Baoding."

    def test_a_transfer_names_the_new_owner(self):
        opportunity = make.opportunity(make.user(name="Chen Yu"), state="active")
        opportunity.transfer(to=make.user(name="Liu Min"), by=opportunity.owner)

        assert self.history(opportunity)[0] == "Chen Yu put Liu Min in charge."

    def test_a_deleted_follow_up_is_told_of_with_what_it_said(self):
        opportunity = make.opportunity(make.user(name="Chen Yu"), state="active")
        make.follow_up(opportunity, content="Ms Ding agrees.").delete_(by=opportunity.owner)
        event = Event.objects.about(opportunity)[0]

        assert wording.sentence(event, make.user()).startswith("Chen Yu deleted a follow-up record: Call, today, ")
        assert wording.quote(event) == "Ms Ding agrees."

    def test_nobody_is_pursuit(self):
        event = make.opportunity().note("created", by=None)

        assert wording.sentence(event, make.user()) == "Pursuit created it."

    def test_a_kind_of_another_version_still_reads(self):
        event = make.opportunity(make.user(name="Chen Yu")).note("hyperlinked", by=None)

        assert wording.sentence(event, make.user()) == "Pursuit changed it."

    def test_a_name_with_a_percent_sign_is_only_a_name(self):
        opportunity = make.opportunity(make.user(name="100%(who)s"), state="reporting")

        assert self.history(opportunity)[0].startswith("100%(who)s asked ")


@pytest.mark.django_db
class TestChanges:
    def rows(self, record):
        return wording.changes(Event.objects.about(record)[0])

    def test_amounts_dates_and_names_are_written_as_on_the_page(self):
        opportunity = make.opportunity(
            amount=Decimal("1280000"), expected_close_on=timezone.localdate().replace(month=6, day=1)
        )
        day = opportunity.expected_close_on.replace(day=2)
        opportunity.change(
            by=opportunity.owner, amount=Decimal("990000.50"), expected_close_on=day, stage=make.stage("proposal")
        )

        assert self.rows(opportunity) == [
            ("Stage", "First contact", "Proposal"),
            ("Amount", "¥1,280,000", "¥990,000.50"),
            ("Probability", "20 %", "60 %"),
            ("Expected close date", "1 Jun", "2 Jun"),
        ]

    def test_names_come_in_the_readers_language(self):
        opportunity = make.opportunity()
        opportunity.change(by=opportunity.owner, stage=make.stage("proposal"))

        with translation.override("zh-hans"):
            assert self.rows(opportunity)[0][1:] == ("初步接洽", "方案报价")

    def test_an_emptied_field_is_an_empty_text(self):
        opportunity = make.opportunity(description="Old")
        opportunity.change(by=opportunity.owner, description="")

        assert self.rows(opportunity) == [("Description", "Old", "")]

    def test_choices_are_written_by_their_words(self):
        customer = make.customer()
        level = CustomerLevel.objects.get(key="a")
        customer.change(by=customer.owner, status="trading", level=level)

        assert self.rows(customer) == [("Status", "Potential", "Trading"), ("Customer level", "", "A, strategic")]

    def test_a_follow_ups_changes_have_the_names_of_its_own_fields(self):
        opportunity = make.opportunity()
        follow_up = make.follow_up(opportunity, content="Called.", at=timezone.now() - timedelta(minutes=1))
        follow_up.change(by=opportunity.owner, content="Called twice.")

        assert self.rows(opportunity) == [("Content", "Called.", "Called twice.")]

    def test_a_correction_shows_the_signings_figures(self):
        opportunity = make.opportunity(state="signed")
        signing = opportunity.signing
        manager = make.user(None, "opportunity_manager", at="head-office")
        opportunity.correct(
            by=manager,
            reason="Misread.",
            contract_number="HB-1",
            signed_amount=Decimal("5"),
            signed_on=signing.signed_on,
            term=24,
        )
        event = Event.objects.about(opportunity)[0]

        assert wording.changes(event) == [
            ("Contract number", signing.contract_number, "HB-1"),
            ("Amount", "¥100,000", "¥5"),
            ("Term", "12 months", "24 months"),
        ]
        assert wording.quote(event) == "Misread."

    def test_what_a_request_asks_for_is_shown_by_the_same_names(self):
        opportunity = make.opportunity(state="terminating")
        holder = opportunity.open_task.holder
        other = LostReason.objects.get(key="other")
        opportunity.amend(by=holder, reason=other, note="They merged.")

        assert self.rows(opportunity) == [("Reason", "Budget cancelled", "Other"), ("Note", "", "They merged.")]

    def test_a_field_that_the_model_has_no_more_keeps_its_plain_name(self):
        event = make.opportunity().note("changed", by=None, changes={"colour": ["red", "blue"]})

        assert wording.changes(event) == [("Colour", "red", "blue")]
        assert wording.sentence(event, make.user()) == "Pursuit changed colour."


@pytest.mark.django_db
@pytest.mark.case(14)
def test_the_history_shows_one_entry_a_verb_and_escapes_what_people_wrote():
    rep = make.user(name="<b>Chen</b>")
    opportunity = make.opportunity(rep, name="<script>alert(1)</script>")
    opportunity.change(by=rep, name="Plain")
    html = render_to_string("notices/_history.html", {"events": Event.objects.about(opportunity), "user": make.user()})

    assert html.count('class="entry') == 2
    assert "<del>&lt;script&gt;" in html
    assert "<b>&lt;b&gt;Chen&lt;/b&gt;</b> changed opportunity name." in html


@pytest.mark.django_db
def test_the_history_costs_the_same_queries_for_one_event_and_for_thirty(django_assert_num_queries):
    reader = make.user()
    opportunity = make.opportunity()
    for _number in range(29):
        opportunity.note("changed", by=make.user(), changes={"name": ["a", "b"]})

    for events in (Event.objects.about(opportunity)[:1], Event.objects.about(opportunity)):
        with django_assert_num_queries(1):
            render_to_string("notices/_history.html", {"events": events, "user": reader})


@pytest.mark.django_db
def test_messages_and_mails_speak_to_their_reader():
    rep, deputy = make.user(name="Chen Yu"), make.user(None, "deputy_gm", name="Zhou Lan")
    colleague = make.user(name="Sun Qi", at="baoding")
    opportunity = make.opportunity(rep, state="active")
    opportunity.share(by=rep, people=[colleague], may_edit=True)
    opportunity.transfer(to=colleague, by=rep)

    told = [wording.sentence(message, message.to) for message in Message.objects.order_by("id")]
    assert told == [
        "Zhou Lan approved the report.",
        "Chen Yu shared it with you. You may edit it.",
        "Chen Yu put you in charge.",
    ]
    assert wording.sentence(Delivery.objects.order_by("id")[0], deputy) == "Chen Yu asks you to approve the report."
