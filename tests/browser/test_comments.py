"""A comment in a browser: after @ it offers the people of that name, by keyboard and by pointer."""

import re

import pytest
from playwright.sync_api import expect

from notices.models import Comment, Message
from tests import factories as make
from tests.opportunities.acts import address, in_state

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def box(sign_in):
    """This will give the text field of a comment on an opportunity, on the page of its owner."""
    opportunity = in_state("active")
    for username, name in (("zhu.wei", "Zhu Wei"), ("zhu.min", "Zhu Min"), ("zhu.other", "Zhu Min")):
        make.user(username, "gm", at=opportunity.department, name=name)
    return sign_in(opportunity.owner, address(opportunity)).get_by_label("Comment*", exact=True)


def test_at_offers_names_and_enter_takes_the_one_pointed_at(box):
    page = box.page
    box.press_sequentially("Ask @zhu w")
    expect(page.get_by_role("option")).to_have_text([re.compile("^Zhu Wei")])
    box.press("ArrowDown")
    box.press("Enter")
    expect(box).to_have_value("Ask @Zhu Wei ")
    expect(page.get_by_role("listbox")).to_be_hidden()
    box.press_sequentially("about it")
    page.get_by_role("button", name="Comment", exact=True).click()
    expect(page.get_by_text("Comment added.")).to_be_visible()

    assert Comment.objects.get().text == "Ask @Zhu Wei about it"
    assert [message.to.username for message in Message.objects.filter(kind="mentioned")] == ["zhu.wei"]


def test_of_namesakes_the_user_name_is_written(box):
    box.press_sequentially("@zhu min")
    expect(box.page.get_by_role("option")).to_have_count(2)
    box.page.get_by_role("option").last.click()

    expect(box).to_have_value(re.compile(r"^@zhu\.(min|other) $"))


def test_escape_closes_the_list_and_leaves_the_text(box):
    box.press_sequentially("@zhu")
    expect(box.page.get_by_role("option")).to_have_count(3)
    box.press("Escape")

    expect(box.page.get_by_role("listbox")).to_be_hidden()
    expect(box).to_have_value("@zhu")


def test_an_address_offers_nobody(box):
    asked = []
    box.page.on("request", lambda request: asked.append(request.url) if "people" in request.url else None)
    box.press_sequentially("write to zhu@zhu")
    box.page.wait_for_timeout(400)  # a list would be asked for after 150 ms
    assert asked == []

    box.press_sequentially(" or @zhu")
    expect(box.page.get_by_role("option")).to_have_count(3)
