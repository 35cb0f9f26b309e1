"""The review that closes an opportunity: asked with signing and terminating, kept when granted, shown, and counted."""

import pytest

from crm.models import User
from crm.verbs import Refused
from opportunities.models import LostReason
from opportunities.reviews import ReviewAnswer, ReviewChoice, ReviewQuestion, counted
from tests import factories as make
from tests.digest import nothing_changed
from tests.opportunities.acts import address, in_state, version

pytestmark = pytest.mark.django_db


@pytest.fixture
def opportunity(client):
    made = in_state("active")
    make.approver(made, "director")
    client.force_login(made.owner)
    return made


@pytest.fixture
def decided():
    return ReviewQuestion.objects.get(key="decided")


@pytest.fixture
def learned():
    return ReviewQuestion.objects.get(key="learned")


def director():
    """This will give the approver whom the signing goes to."""
    return User.objects.get(roles__key="director")


def choice(key):
    return ReviewChoice.objects.get(key=f"decided-{key}")


def sent(opportunity, **answers):
    """This will give what the form to sign sends, with answers {key of a question: what stands in its field}."""
    asked = {f"review_{ReviewQuestion.objects.get(key=key).pk}": value for key, value in answers.items()}
    return {
        "contract_number": "C-1", "signed_amount": "90000", "signed_on": "2026-01-02", "comment": "",
        "approver": director().pk, "version": version(opportunity),
    } | asked  # fmt: skip


def sign(client, opportunity, **answers):
    return client.post(address(opportunity, "sign"), sent(opportunity, **answers))


def grant(opportunity):
    opportunity.refresh_from_db()
    task = opportunity.open_task
    task.finish(by=task.holder, seen=version(opportunity))
    opportunity.refresh_from_db()


def kept(opportunity):
    return [(answer.question.key, str(answer)) for answer in opportunity.review.order_by("question__order")]


def test_the_form_asks_and_the_approver_reads_the_answers(client, opportunity, decided):
    page = client.get(address(opportunity, "sign")).content.decode()
    assert "What decided it?" in page and "What did we learn?" in page and "Relationship" in page

    assert sign(client, opportunity, decided=choice("price").pk, learned="Ask earlier.").status_code == 302
    assert kept(opportunity) == []
    task = opportunity.open_task
    for reader, place in ((task.holder, f"/tasks/{task.pk}/"), (opportunity.owner, address(opportunity))):
        client.force_login(reader)
        html = client.get(place).content.decode()
        assert "What decided it?" in html and "Price" in html and "Ask earlier." in html


def test_what_was_answered_is_kept_when_it_is_granted_and_stands_on_the_record(client, opportunity):
    sign(client, opportunity, decided=choice("price").pk, learned="Ask earlier.")
    grant(opportunity)

    assert kept(opportunity) == [("decided", "Price"), ("learned", "Ask earlier.")]
    html = client.get(address(opportunity)).content.decode()
    review = html[html.index('id="review"') :]
    assert "What decided it?" in review and "Price" in review and "Ask earlier." in review


def test_terminating_asks_too(client, opportunity):
    reason = LostReason.objects.get(key="budget")
    approver = make.approver(opportunity)
    opportunity.terminate(
        by=opportunity.owner, approver=approver, reason=reason,
        review={choice("timing").question_id: choice("timing")},
    )  # fmt: skip
    grant(opportunity)
    assert kept(opportunity) == [("decided", "Timing")]


def test_nothing_need_be_answered_unless_the_question_says_so(client, opportunity, decided):
    ReviewQuestion.objects.filter(pk=decided.pk).update(required=True)
    with nothing_changed():
        answer = sign(client, opportunity, learned="Ask earlier.")
    form = answer.context["form"]
    assert list(form.errors) == [f"review_{decided.pk}"] and form["contract_number"].value() == "C-1"
    with pytest.raises(Refused, match="to be answered"), nothing_changed():
        opportunity.sign(
            by=opportunity.owner, approver=director(), contract_number="C-1",
            signed_amount=1, signed_on=opportunity.created_at.date(),
        )  # fmt: skip

    ReviewQuestion.objects.update(required=False)
    assert sign(client, opportunity).status_code == 302
    grant(opportunity)
    assert kept(opportunity) == []
    assert 'id="review"' not in client.get(address(opportunity)).content.decode()


@pytest.mark.parametrize("value", ["987654321", "x", "\0"])
def test_an_answer_that_is_not_offered_is_refused_where_it_was_chosen(client, opportunity, decided, value):
    with nothing_changed():
        answer = sign(client, opportunity, decided=value)
    assert list(answer.context["form"].errors) == [f"review_{decided.pk}"]


def test_a_choice_of_another_question_is_refused(opportunity, decided):
    other = ReviewQuestion.objects.create(key="who", names={"en": "Who?"}, kind="choice")
    ann = ReviewChoice.objects.create(key="ann", names={"en": "Ann"}, question=other)
    with pytest.raises(Refused, match="Choose one of these"), nothing_changed():
        opportunity.sign(
            by=opportunity.owner, approver=director(), contract_number="C-1",
            signed_amount=1, signed_on=opportunity.created_at.date(), review={decided.pk: ann},
        )  # fmt: skip


def test_a_returned_request_comes_back_filled_in(client, opportunity, decided, learned):
    sign(client, opportunity, decided=choice("price").pk, learned="Ask earlier.")
    opportunity.refresh_from_db()
    task = opportunity.open_task
    task.return_(by=task.holder, comment="Name the contract.", seen=version(opportunity))

    form = client.get(address(opportunity, "sign")).context["form"]
    assert form[f"review_{decided.pk}"].value() == str(choice("price").pk)
    assert form[f"review_{learned.pk}"].value() == "Ask earlier."


def test_only_what_is_asked_for_the_act_is_asked_and_retired_questions_keep_their_answers(client, opportunity, decided):
    ReviewQuestion.objects.filter(key="learned").update(asked="terminate")
    form = client.get(address(opportunity, "sign")).context["form"]
    assert [field.label for field in form.review_fields] == ["What decided it?"]
    sign(client, opportunity, decided=choice("price").pk)
    grant(opportunity)
    ReviewQuestion.objects.update(active=False)
    assert "Price" in client.get(address(opportunity)).content.decode()
    other = in_state("active")
    client.force_login(other.owner)
    assert client.get(address(other, "sign")).context["form"].review_fields == []


def test_a_choice_that_went_meanwhile_is_kept_as_its_text(client, opportunity, decided):
    gone = ReviewChoice.objects.create(key="gone", names={"en": "Luck", "zh-hans": "运气"}, question=decided)
    sign(client, opportunity, decided=gone.pk)
    gone.delete()
    grant(opportunity)
    answer = ReviewAnswer.objects.get()
    assert (answer.choice, answer.text) == (None, "Luck")


# Counting


@pytest.fixture
def ended():
    """This will sign two opportunities for their price, and terminate one for it; the year is this one."""
    made = [in_state(state) for state in ("signed", "signed", "terminated")]
    for one in made:
        price = choice("price")
        ReviewAnswer.objects.create(opportunity=one, question=price.question, choice=price)
    return made


def test_the_answers_are_counted_and_each_count_is_the_list_it_leads_to(client, ended):
    client.force_login(make.user(None, "opportunity_manager", at="head-office"))
    page = client.get("/reports/reviews/")
    html, year = page.content.decode(), page.context["year"]

    [(question, rows)] = page.context["questions"]
    counts = {one.key: (signed, terminated) for one, signed, terminated in rows}
    assert question.key == "decided" and counts.pop("decided-price") == (2, 1) and set(counts.values()) == {(0, 0)}
    for state, count in (("signed", 2), ("terminated", 1)):
        days = f"closed_on.from={year}-01-01&closed_on.until={year}-12-31"
        there = f"/opportunities/?state={state}&review=decided-price&{days}"
        assert there.replace("&", "&amp;") in html
        listed = client.get(there).content.decode()
        assert sum(one.get_absolute_url() in listed for one in ended if one.state == state) == count
        assert not any(one.get_absolute_url() in listed for one in ended if one.state != state)
    [(_question, before)] = counted(page.wsgi_request.user, year - 1)
    assert {count for _choice, *both in before for count in both} == {0}


def test_a_reader_counts_what_they_see(client, ended):
    client.force_login(ended[0].owner)
    [(_question, rows)] = client.get("/reports/reviews/").context["questions"]
    mine = sum(one.owner == ended[0].owner and one.state == "signed" for one in ended)
    assert {one.key: signed for one, signed, _terminated in rows}["decided-price"] == mine
    client.force_login(make.user(at="jinan"))
    [(_question, rows)] = client.get("/reports/reviews/").context["questions"]
    assert {count for _choice, *both in rows for count in both} == {0}


@pytest.mark.parametrize("year", ["x", "20261", "1999", "２０２６"])
def test_a_year_that_is_none_shows_this_one(client, ended, year):
    client.force_login(ended[0].owner)
    shown = client.get("/reports/reviews/", {"year": year})
    assert shown.status_code == 200 and shown.context["year"] == client.get("/reports/reviews/").context["year"]
