"""
Photographs every page of the demo company, wide and narrow, light and dark, and lays the pictures out on contact
sheets: `make screenshots`. The README's own pictures are taken by the way.
"""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent.parent
OUT = ROOT / "var" / "screenshots"
README = ROOT / "docs" / "screenshots"
PORT = int(os.environ.get("PORT", "8765"))
ADDRESS = f"http://127.0.0.1:{PORT}"
SIZES = {"wide": (1440, 900), "narrow": (390, 844)}
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

# Who looks at what: (name of the picture, user, address). A name in the address is looked up by its link's text.
PAGES = [
    ("home", "deputy.shijiazhuang", "/"),
    ("home-rep", "rep.shijiazhuang", "/"),
    ("tasks", "deputy.shijiazhuang", "/tasks/"),
    ("task-report", "deputy.shijiazhuang", ["/tasks/", "Smart metering for 14 districts"]),
    ("task-sign", "deputy.shijiazhuang", ["/tasks/", "Leased line, two branch offices"]),
    ("task-revise", "rep.shijiazhuang", ["/tasks/", "Rural clinics' line bundle"]),
    ("tasks-done", "deputy.shijiazhuang", "/tasks/done/"),
    ("tasks-nobody", "admin", "/tasks/nobody/"),
    ("messages", "deputy.shijiazhuang", "/messages/"),
    ("opportunities", "deputy.shijiazhuang", "/opportunities/"),
    ("opportunity-signing", "rep.shijiazhuang", ["/opportunities/", "SCADA cloud migration, phase 2"]),
    ("opportunity-active", "rep.shijiazhuang", ["/opportunities/", "Ward calling system and Wi-Fi"]),
    ("opportunity-returned", "rep.shijiazhuang", ["/opportunities/", "Rural clinics' line bundle"]),
    ("opportunity-draft", "rep.shijiazhuang", ["/opportunities/", "Pump house cameras, south district"]),
    ("opportunity-signed", "rep.shijiazhuang", ["/opportunities/?q=Dispatch hotline", "Dispatch hotline, 24 seats"]),
    ("opportunity-new", "rep.shijiazhuang", "/opportunities/new/"),
    ("apply-to-sign", "rep.shijiazhuang", ["/opportunities/", "Ward calling system and Wi-Fi", "Apply to sign"]),
    (
        "apply-to-terminate",
        "rep.shijiazhuang",
        ["/opportunities/", "Ward calling system and Wi-Fi", "Apply to terminate"],
    ),
    ("share", "rep.shijiazhuang", ["/opportunities/", "Ward calling system and Wi-Fi", "Share"]),
    ("transfer", "rep.shijiazhuang", ["/opportunities/", "Ward calling system and Wi-Fi", "Transfer"]),
    ("follow-ups", "rep.shijiazhuang", "/follow-ups/"),
    ("follow-up", "rep.shijiazhuang", ["/opportunities/", "Ward calling system and Wi-Fi", "Add Follow-up Record"]),
    ("customers", "rep.shijiazhuang", "/customers/"),
    ("customer", "rep.shijiazhuang", ["/customers/", "Kangning Hospital"]),
    ("customer-new", "rep.shijiazhuang", "/customers/new/"),
    ("contacts", "rep.shijiazhuang", "/contacts/"),
    ("contact", "rep.shijiazhuang", ["/contacts/", "Ding Yan"]),
    ("ranking", "deputy.shijiazhuang", "/ranking/"),
    ("announcements", "rep.shijiazhuang", "/announcements/"),
    ("announcement", "rep.shijiazhuang", ["/announcements/", "New sign route from 1 December"]),
    ("imports", "manager", "/imports/"),
    ("documents", "support.hebei", "/documents/"),
    ("document", "support.hebei", ["/documents/", "Price list 2026"]),
    ("document-new", "support.hebei", "/documents/new/"),
    ("profile", "rep.shijiazhuang", "/profile/"),
    ("two-step", "rep.shijiazhuang", "/accounts/two-step/"),
    ("message-settings", "gm.shijiazhuang", "/messages/settings/"),
    ("lines", "rep.shijiazhuang", ["/opportunities/", "Ward calling system and Wi-Fi", "Add lines"]),
    ("reviews", "manager", "/reports/reviews/"),
    ("announcement-new", "manager", "/announcements/new/"),
    ("people", "admin", "/people/"),
    ("departments", "admin", "/departments/"),
    ("picklists", "admin", "/picklists/"),
    ("routes", "admin", "/routes/"),
    ("recycle", "admin", "/recycle/"),
    ("organisation", "admin", "/organisation/"),
    ("help", "rep.shijiazhuang", "/help/"),
    ("not-found", "rep.jinan", "/opportunities/999999/"),
    ("admin", "admin", "/admin/"),
]
IN_README = {"home", "opportunities", "opportunity-signing", "task-report"}


@contextmanager
def served():
    """This will serve the demo company from a database of its own."""
    with tempfile.TemporaryDirectory() as var:
        environment = os.environ | {"VAR_DIR": var, "DATABASE_URL": f"sqlite:///{var}/pursuit.sqlite3"}
        manage = [sys.executable, "manage.py"]
        subprocess.run([*manage, "migrate", "--verbosity=0"], cwd=ROOT, env=environment, check=True)
        subprocess.run([*manage, "demo"], cwd=ROOT, env=environment, check=True)
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{PORT}", "--threads", "4", "crm.wsgi"],
            cwd=ROOT,
            env=environment,
        )
        try:
            for _attempt in range(100):
                with suppress(OSError):
                    urllib.request.urlopen(f"{ADDRESS}/livez")
                    break
                time.sleep(0.2)
            yield
        finally:
            server.terminate()
            server.wait()


def signed_in(browser, username, size, scheme, language="en"):
    """This will give a page on which `username` is signed in."""
    width, height = SIZES[size]
    context = browser.new_context(
        base_url=ADDRESS, viewport={"width": width, "height": height}, color_scheme=scheme, locale=language
    )
    page = context.new_page()
    page.goto("/accounts/login/")
    page.locator("[name=login]").fill(username)
    page.locator("[name=password]").fill("pursuit-demo")
    page.locator("main button.btn-primary").click()
    page.wait_for_url(f"{ADDRESS}/")
    return page


def open_page(page, address, until="networkidle"):
    """This will go to an address, and from there by the texts of links, and wait for what stands there."""
    first, *links = [address] if isinstance(address, str) else address
    page.goto(first)
    for text in links:
        page.get_by_role("link", name=text, exact=True).first.click()
    page.wait_for_load_state(until)


def photograph(browser, size, scheme):
    """This will take every picture of one size and scheme, and give the sheet they stand on."""
    folder = OUT / f"{size}-{scheme}"
    folder.mkdir(parents=True, exist_ok=True)
    pages = {}
    for name, username, address in PAGES:
        if username not in pages:
            pages[username] = signed_in(browser, username, size, scheme)
        page = pages[username]
        try:
            open_page(page, address)
        except Exception as error:  # noqa: BLE001  one page that does not open must not hide the others
            print(f"{size} {scheme} {name}: {str(error).splitlines()[0]}")
            continue
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            print(f"{size} {scheme} {name}: scrolls sideways")
        page.screenshot(path=folder / f"{name}.png")
        if (size, scheme) == ("wide", "light") and name in IN_README:
            README.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=README / f"{name}.png")
    return folder


def sheet(browser, folder):
    """This will lay the pictures of a folder out on one large picture beside it."""
    across, width = (4, 480) if folder.name.startswith("wide") else (8, 240)
    cells = "".join(
        f"<figure><img src='{picture.as_uri()}' width='{width}'><figcaption>{picture.stem}</figcaption></figure>"
        for picture in sorted(folder.glob("*.png"))
    )
    layout = f"display:grid;grid-template-columns:repeat({across},{width}px);gap:16px;font:14px sans-serif"
    page = browser.new_page(viewport={"width": across * (width + 16) + 40, "height": 900})
    html = folder.with_suffix(".html")
    html.write_text(f"<body style='{layout}'>{cells}</body>", encoding="utf-8")
    page.goto(html.as_uri())
    page.screenshot(path=folder.with_suffix(".png"), full_page=True)
    page.close()


def main():
    with served(), sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=ARGUMENTS
        )
        for size in SIZES:
            for scheme in ("light", "dark"):
                folder = photograph(browser, size, scheme)
                sheet(browser, folder)
                print(folder.with_suffix(".png").relative_to(ROOT))
        browser.close()


if __name__ == "__main__":
    main()
