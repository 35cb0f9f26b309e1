"""Comments: what people say about a record, whom that tells, and for how long it may be put right."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from notices.history import Event
from notices.models import Comment, Message
from notices.templatetags.wording import with_mentions
from tests import factories as make
from tests.digest import nothing_changed
from tests.opportunities.acts import address, in_state

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]


@pytest.fixture
def opportunity(client):
    made = in_state("active")
    client.force_login(made.owner)
    return made


def say(client, record, text, **more):
    return client.post(f"{record.get_absolute_url()}comments/", {"text": text} | more)


def said(record):
    return [comment.text for comment in Comment.objects.about(record)]


def errors(answer):
    return [str(one) for one in answer.context["form"].errors["text"]]


def colleague(opportunity, username=None, **fields):
    """This will make somebody in whose scope the opportunity is."""
    return make.user(username, "gm", at=opportunity.department, **fields)


# Saying something


def test_it_stands_on_the_page_the_latest_first_and_in_the_history(client, opportunity):
    say(client, opportunity, "They have the budget.\nIn March.")
    answer = say(client, opportunity, "Confirmed by Dr Bai.")

    comment = Comment.objects.about(opportunity).first()
    assert answer["Location"] == f"{opportunity.get_absolute_url()}#comment-{comment.pk}"
    assert said(opportunity) == ["Confirmed by Dr Bai.", "They have the budget.\nIn March."]
    page = client.get(address(opportunity)).content.decode()
    assert page.index("Confirmed by Dr Bai.") < page.index("They have the budget.<br>In March.")
    event = Event.objects.about(opportunity).first()
    assert (event.kind, event.by, event.data["comment"]) == ("commented", opportunity.owner, "Confirmed by Dr Bai.")


def test_a_few_stand_on_the_page_and_all_on_their_own(client, opportunity):
    for number in range(5):
        say(client, opportunity, f"Call {number}.")
    page = client.get(address(opportunity)).content.decode()
    assert "All 5 comments" in page
    comments = page[page.index('id="comments"') : page.index('id="approvals"')]
    assert ["Call 4." in comments, "Call 1." in comments] == [True, False]
    assert "Call 0." in client.get(address(opportunity, "comments")).content.decode()


@pytest.mark.parametrize("text", ["", " \n ", "a\0b", "x" * 5001])
def test_what_is_no_comment_comes_back_with_the_reason(client, opportunity, text):
    with nothing_changed():
        answer = say(client, opportunity, text)
    assert answer.status_code == 200 and errors(answer)
    assert say(client, opportunity, "x" * 5000).status_code == 302


def test_what_looks_like_a_page_is_shown_as_text(client, opportunity):
    say(client, opportunity, '<script>alert("1")</script>')
    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;" in client.get(address(opportunity)).content.decode()


def test_the_same_form_sent_twice_says_it_once(client, opportunity):
    once = client.get(address(opportunity)).context["comment_form"]["once"].value()
    for _time in range(2):
        say(client, opportunity, "Once.", once=once)
    assert said(opportunity) == ["Once."]


def test_a_guest_may_and_a_stranger_learns_nothing(client, opportunity):
    guest, stranger = make.user(at="jinan"), make.user(at="jinan")
    opportunity.share(by=opportunity.owner, people=[guest])
    client.force_login(stranger)
    with nothing_changed():
        assert say(client, opportunity, "Hello.").status_code == 404
    client.force_login(guest)
    assert say(client, opportunity, "Hello.").status_code == 302


def test_of_a_customer_only_those_speak_who_see_it_whole(client, opportunity):
    guest = make.user(at="jinan")
    opportunity.share(by=opportunity.owner, people=[guest])
    assert say(client, opportunity.customer, "A good payer.").status_code == 302
    assert "A good payer." in client.get(opportunity.customer.get_absolute_url()).content.decode()
    client.force_login(guest)
    with nothing_changed():
        assert say(client, opportunity.customer, "Indeed.").status_code == 403
    assert "A good payer." not in client.get(opportunity.customer.get_absolute_url()).content.decode()


def test_they_go_with_their_customer():
    customer = make.customer()
    Comment(about=customer, text="Closed down.").add(by=customer.owner)
    customer.delete_(by=customer.owner)
    assert not Comment.objects.exists()


@pytest.mark.parametrize("count", [1, 30])
def test_all_cost_the_same_for_one_and_for_thirty(client, opportunity, django_assert_max_num_queries, count):
    for number in range(count):
        Comment(about=opportunity, text=f"Call {number}.").add(by=opportunity.owner)
    with django_assert_max_num_queries(8):
        client.get(address(opportunity, "comments"))


# Mentioning


@pytest.mark.parametrize("text", ["@Zhao Lin please look.", "Ask @zhao.lin.", "(@Zhao Lin)", "@Zhao Lin"])
def test_whom_it_mentions_is_told_and_led_to_it(client, opportunity, text):
    told = colleague(opportunity, username="zhao.lin", name="Zhao Lin")
    say(client, opportunity, text)

    comment = Comment.objects.get()
    message = Message.objects.get(to=told)
    assert (message.kind, message.data["comment"]) == ("mentioned", text)
    assert [person["id"] for person in comment.mentioned] == [told.pk]
    client.force_login(told)
    assert client.get(f"/messages/{message.pk}/")["Location"] == comment.get_absolute_url()


def test_a_chinese_name_needs_no_blank_after_it(client, opportunity):
    told = colleague(opportunity, name="周岚")
    say(client, opportunity, "请@周岚看一下")
    assert Message.objects.filter(kind="mentioned").get().to == told
    assert '请<b class="mention">@周岚</b>看一下' in client.get(address(opportunity)).content.decode()


def test_the_longest_name_counts_and_one_that_goes_on_is_another(client, opportunity):
    ann, longer = colleague(opportunity, name="Ann"), colleague(opportunity, name="Ann Lee")
    say(client, opportunity, "@Ann Lee, and later @Ann.")
    assert {message.to for message in Message.objects.filter(kind="mentioned")} == {ann, longer}
    with nothing_changed():
        assert errors(say(client, opportunity, "@Annette knows.")) == ["Nobody is called “Annette”."]


def test_an_e_mail_address_mentions_nobody(client, opportunity):
    assert say(client, opportunity, "Write to bai@kangning.example.").status_code == 302
    assert not Message.objects.filter(kind="mentioned").exists()


def test_whoever_cannot_see_it_is_not_told_and_the_writer_is(client, opportunity):
    make.user("sun.qi", name="Sun Qi", at="jinan")
    seen = colleague(opportunity, name="Zhao Lin")
    with nothing_changed():
        answer = say(client, opportunity, "@Zhao Lin and @Sun Qi should meet.")
    assert errors(answer) == ["Sun Qi cannot see this, so nobody was told."]
    assert "@Zhao Lin and @Sun Qi should meet." in answer.content.decode()
    assert not Message.objects.filter(to=seen).exists()


def test_namesakes_are_told_apart_by_their_user_names(client, opportunity):
    first, _second = (colleague(opportunity, username=name, name="Zhao Lin") for name in ("zhao.lin", "zhao.lin2"))
    with nothing_changed():
        answer = say(client, opportunity, "@Zhao Lin?")
    assert "@zhao.lin" in errors(answer)[0] and "@zhao.lin2" in errors(answer)[0]
    say(client, opportunity, "@zhao.lin?")
    assert Message.objects.filter(kind="mentioned").get().to == first


def test_whoever_left_is_nobody_and_more_than_twenty_are_too_many(client, opportunity):
    colleague(opportunity, name="Zhao Lin", is_active=False)
    with nothing_changed():
        assert errors(say(client, opportunity, "@Zhao Lin?")) == ["Nobody is called “Zhao”."]
        assert errors(say(client, opportunity, "@x " * 21)) == ["Mention at most 20 people at once."]


def test_oneself_is_not_told(client, opportunity):
    say(client, opportunity, f"@{opportunity.owner.username} must call.")
    assert not Message.objects.filter(kind="mentioned").exists()


@given(
    text=st.text("@<&ab. \n周", max_size=30),
    names=st.lists(st.sampled_from(["a", "ab", "a b", "周", "<a"]), max_size=3),
)
def test_marking_the_mentioned_adds_marks_and_nothing_else(text, names):
    comment = Comment(text=text, mentioned=[{"id": 1, "label": name} for name in names])
    plain = with_mentions(Comment(text=text))
    assert with_mentions(comment).replace('<b class="mention">', "").replace("</b>", "") == plain


# Putting it right


def test_ones_own_is_changed_and_the_history_keeps_both(client, opportunity):
    say(client, opportunity, "In May.")
    comment = Comment.objects.get()
    told = colleague(opportunity, name="Zhao Lin")
    answer = client.post(f"/comments/{comment.pk}/edit/", {"text": "In March, @Zhao Lin.", "version": comment.version})

    assert answer["Location"] == comment.get_absolute_url()
    assert said(opportunity) == ["In March, @Zhao Lin."]
    event = Event.objects.about(opportunity).first()
    assert (event.kind, event.changes) == ("comment_changed", {"text": ["In May.", "In March, @Zhao Lin."]})
    assert Message.objects.get(to=told, kind="mentioned")
    page = client.get(address(opportunity)).content.decode()
    assert "edited" in page and "Comment</span> <del>In May.</del>" in page


def test_whoever_was_mentioned_already_is_not_told_again(client, opportunity):
    colleague(opportunity, name="Zhao Lin")
    say(client, opportunity, "@Zhao Lin?")
    client.post(f"/comments/{Comment.objects.get().pk}/edit/", {"text": "@Zhao Lin!"})
    assert Message.objects.filter(kind="mentioned").count() == 1


def test_ones_own_is_deleted_and_the_history_keeps_what_it_said(client, opportunity):
    say(client, opportunity, "Nonsense.")
    client.post(f"/comments/{Comment.objects.get().pk}/delete/")
    assert said(opportunity) == []
    event = Event.objects.about(opportunity).first()
    assert (event.kind, event.data["content"]) == ("comment_deleted", "Nonsense.")


@pytest.mark.parametrize("page", ["edit", "delete"])
def test_after_an_hour_and_by_others_it_stays_as_it_is(client, opportunity, page):
    other, stranger = colleague(opportunity), make.user(at="jinan")
    say(client, opportunity, "In May.")
    comment = Comment.objects.get()
    where = f"/comments/{comment.pk}/{page}/"
    for person, status in ((other, 403), (stranger, 404)):
        client.force_login(person)
        with nothing_changed():
            assert client.post(where, {"text": "Never."}).status_code == status
    with time_machine.travel(timezone.now() + timedelta(minutes=61), tick=False):
        client.force_login(opportunity.owner)
        with nothing_changed():
            assert client.post(where, {"text": "Never."}).status_code == 409
    client.force_login(opportunity.owner)
    assert client.post(where, {"text": "In June."}).status_code == 302


def test_a_change_of_what_was_changed_meanwhile_is_refused(client, opportunity):
    say(client, opportunity, "In May.")
    comment = Comment.objects.get()
    where = f"/comments/{comment.pk}/edit/"
    client.post(where, {"text": "In June.", "version": 1})
    with nothing_changed():
        assert client.post(where, {"text": "In July.", "version": 1, "initial-text": "In May."}).status_code == 409
    assert client.post(where, {"text": "In July.", "version": 2}).status_code == 302


def test_a_comment_that_there_is_not_is_no_page(client, opportunity):
    assert client.get("/comments/9223372036854775808/edit/").status_code == 404


# The history, one topic at a time


def test_the_history_is_narrowed_to_one_topic(client, opportunity):
    say(client, opportunity, "They have the budget.")
    opportunity.change(by=opportunity.owner, name="Ward calling system")
    opportunity.share(by=opportunity.owner, people=[make.user(at="jinan")])

    def kinds(topic):
        return {event.kind for event in client.get(address(opportunity, "history"), {"kind": topic}).context["page"]}

    assert kinds("comments") == {"commented"}
    assert kinds("shares") == {"shared"}
    assert kinds("approvals") == {"reported", "granted"}
    assert kinds("changes") == {"created", "changed"}
    assert kinds("follow_ups") == set()
    assert kinds("") == kinds("§") == {"created", "reported", "granted", "changed", "commented", "shared"}


# Whom one may mention, while one types


def offered(client, record, typed):
    answer = client.get(f"{record.get_absolute_url()}comments/", {"people": "", "q": typed})
    assert answer.status_code == 200
    return [(one["label"], one["username"], one["second"]) for one in answer.json()["options"]]


def test_it_offers_colleagues_by_name_and_says_who_cannot_see_the_record(client, opportunity):
    chief = colleague(opportunity, "zhu.wei", name="Zhu Wei")
    other = make.user("zhu.min", "rep", at=make.department(), name="Zhu Min")
    make.user("zhu.left", "rep", name="Zhu Left", is_active=False)

    assert offered(client, opportunity, "zhu") == [
        ("Zhu Min", "zhu.min", f"{other.department}, Sales rep; cannot see this"),
        ("Zhu Wei", "zhu.wei", f"{chief.department}, GM"),
    ]


def test_it_does_not_offer_oneself(client, opportunity):
    twin = colleague(opportunity, "twin", name=opportunity.owner.name)

    assert [username for _name, username, _where in offered(client, opportunity, twin.name)] == ["twin"]


def test_a_stranger_is_offered_nobody_by_a_record_they_do_not_see(client, opportunity):
    client.force_login(make.user("stranger"))

    assert client.get(f"{opportunity.get_absolute_url()}comments/", {"people": "", "q": "a"}).status_code == 404
