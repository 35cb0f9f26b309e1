"""
Every page of the product, as those see it who work there: for whoever reads with a screen reader, a keyboard, or little
contrast, nothing stands in the way. The everyday tests look at each page wide and light, and at each in one other form;
`make torture` looks at all forms of all.
"""

import pytest
from django.core.management import call_command
from playwright.sync_api import expect

from tests.browser.desk import window, wrong_with
from tests.browser.screenshots import PAGES, SIZES, open_page

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]

FORMS = [("wide", "light"), ("narrow", "dark"), ("wide", "dark"), ("narrow", "light")]

# What pictures need not show, but somebody reads.
BESIDES = [
    ("opportunities-filter", "rep.shijiazhuang", "/opportunities/filter/?state=open&owner=me"),
    ("opportunities-export", "rep.shijiazhuang", "/opportunities/export/"),
    ("opportunities-nothing", "rep.shijiazhuang", "/opportunities/?q=nothing+is+called+so&totals=1"),
    ("opportunity-edit", "rep.shijiazhuang", ["/opportunities/", "Ward calling system and Wi-Fi", "Modify"]),
    ("opportunity-approver", "deputy.shijiazhuang", ["/opportunities/", "Smart metering for 14 districts"]),
    ("opportunity-manager", "manager", ["/opportunities/", "Smart metering for 14 districts"]),
    ("opportunities-manager", "manager", "/opportunities/"),
    ("customers-manager", "manager", "/customers/"),
    ("contact-new", "rep.shijiazhuang", "/contacts/new/"),
    ("customer-edit", "rep.shijiazhuang", ["/customers/", "Kangning Hospital", "Modify"]),
    ("home-manager", "manager", "/"),
    ("home-admin", "admin", "/"),
    ("ranking-rep", "rep.shijiazhuang", "/ranking/"),
    ("help-opportunities", "rep.shijiazhuang", "/help/opportunities/"),
    ("products", "rep.shijiazhuang", "/products/"),
]


def looked_at(browser, address, forms_of):
    """
    This will open every page as its reader and give what is wrong there, in each of the forms that `forms_of` gives
    for the number of a page.
    """
    call_command("demo", verbosity=0)
    pages, wrong = {}, []
    for number, (name, username, where) in enumerate([*PAGES, *BESIDES]):
        if username not in pages:
            pages[username] = window(browser, address, username)
        page = pages[username]
        page.set_viewport_size({"width": 1440, "height": 900})
        open_page(page, where, until="load")
        expect(page.locator("main section[hx-trigger^=load], main .late-part > a")).to_have_count(0)
        for size, scheme in forms_of(number):
            page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            if name == "admin":
                page.wait_for_timeout(200)  # its links change their colour slowly
            wrong += [f"{name}, {size}, {scheme}: {one}" for one in wrong_with(page)]
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                wrong.append(f"{name}, {size}, {scheme}: scrolls sideways")
    return wrong


@pytest.mark.long
def test_nothing_stands_in_the_way_on_any_page(browser, live_server):
    assert looked_at(browser, live_server.url, lambda number: (FORMS[0], FORMS[1 + number % 3])) == []


@pytest.mark.torture
def test_nothing_stands_in_the_way_on_any_page_in_any_form(browser, live_server):
    assert looked_at(browser, live_server.url, lambda number: FORMS) == []


# What a keyboard reaches: every link, button and field that is seen, each with a frame round it, and the end.
REACHABLE = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled && one.type !== "hidden")
  .filter((one) => !one.closest("dialog, [hidden]") && one.tabIndex >= 0 && one.type !== "radio").length"""
FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const framed = (element) => element && getComputedStyle(element).outlineStyle !== "none";
  const changed = ["input", "select", "textarea"].includes(one.localName) || one.matches(".form-control *");
  window.passed ??= [];
  const before = window.passed.indexOf(one);
  window.passed.push(one);
  const seen = framed(one) || changed || framed(one.closest("tr")) || framed(one.closest(".todo"))
    || getComputedStyle(one).boxShadow !== "none" || framed(one.querySelector("*")) || framed(one.parentElement);
  return { again: before >= 0, seen, what: (one.textContent || one.name || one.ariaLabel || "").trim().slice(0, 40) };
}"""


@pytest.mark.parametrize(
    ("username", "where"),
    [
        ("rep.shijiazhuang", "/opportunities/"),
        ("rep.shijiazhuang", ["/opportunities/", "Ward calling system and Wi-Fi"]),
        ("deputy.shijiazhuang", ["/tasks/", "Leased line, two branch offices"]),
    ],
)
def test_a_keyboard_alone_reaches_everything_and_sees_where_it_is(browser, live_server, username, where):
    call_command("demo", verbosity=0)
    page = window(browser, live_server.url, username)
    open_page(page, where)
    page.evaluate("document.activeElement?.blur()")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED)["what"] == "Skip to content"
    wanted, reached, hidden = page.evaluate(REACHABLE), 1, []
    for _step in range(4 * wanted):
        page.keyboard.press("Tab")
        now = page.evaluate(FOCUSED)
        if now is None or now["again"]:
            break
        reached += 1
        if not now["seen"]:
            hidden.append(now["what"])
    assert hidden == []
    assert reached >= wanted

    page.goto(page.url)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
