"""
Administrators bring files in and take them out in Django's administration, by the library's pages: what comes in is
read, judged and written as anywhere else, what goes out is typed and safe, and nobody else gets at either.
"""

import csv
import re
from decimal import Decimal
from io import BytesIO, StringIO
from uuid import uuid4

import openpyxl
import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from crm import importing
from crm.admin_files import AT_ONCE, Files, Records
from crm.admin_lists import Narrowed
from crm.importing import PROBLEMS, ImportRun
from crm.models import Audit, User
from crm.resources import kinds
from crm.sheets import bare
from customers.admin import CustomerAdmin
from customers.models import Contact, Customer, Industry
from notices.models import Message
from opportunities.models import Opportunity
from opportunities.picklists import Pipeline
from opportunities.products import Product, RevenueCategory
from opportunities.reviews import ReviewQuestion
from tests import factories as make
from tests.asserting import unchanged
from tests.crm.test_imports import bomb, workbook
from tests.digest import nothing_changed
from tests.importing import signed_in
from tests.opportunities.test_at_once import at_once

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

CUSTOMERS, CONTACTS = "/admin/customers/customer/", "/admin/customers/contact/"
OPPORTUNITIES, USERS = "/admin/opportunities/opportunity/", "/admin/crm/user/"
INDUSTRIES = "/admin/customers/industry/"
IMG = "<img src=x onerror=alert(1)>"


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def root():
    return make.user("root", "administrator", at="head-office", name="Root")


@pytest.fixture
def client(root):
    return signed_in(root)


def upload(client, where, content, name="file.csv"):
    """This will send a file as the page's form does, and give the answer."""
    content = content.encode() if isinstance(content, str) else content
    asked = client.get(f"{where}import/").context["form"]
    hidden = {field.name: field.value() for field in asked.hidden_fields()}
    file = SimpleUploadedFile(name, content)
    return client.post(f"{where}import/", hidden | {"format": "0", "import_file": file})


def confirmation(answer):
    """This will give what the form under a preview sends."""
    return {name: str(value) for name, value in answer.context["confirm_form"].initial.items()}


def previewed(client, where, content, name="file.csv"):
    """This will bring a file in as far as its preview, and give what confirms it."""
    answer = upload(client, where, content, name)
    assert "confirm_form" in answer.context, answer.context["form"].errors
    return confirmation(answer)


def confirm(client, where, sent):
    return client.post(f"{where}process_import/", sent)


def counts(answer):
    result = answer.context["result"]
    return result.new, result.there, result.refused


def errors(answer):
    return answer.context["form"].errors.get("import_file", [])


def text(answer):
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def fields(model, *names):
    return list(model.objects.order_by("pk").values_list(*names))


# ── What comes in ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_customers_come_in_after_a_preview_that_wrote_nothing(client, root):
    make.customer(root, name="Fuhua Steel")
    file = "Company,客户状态,Colour\nQinghe Water,trading,red\nFuhua Steel,,\nQinghe Water,,\n"

    with unchanged():
        shown = upload(client, CUSTOMERS, file, "list.csv")

    assert counts(shown) == (1, 2, 0)
    assert shown.context["result"].diff_headers == ["Customer name", "Status"]
    assert [(row.import_type, row.diff) for row in shown.context["result"].rows] == [
        ("new", ["Qinghe Water", "trading"]),
        ("skip", ["Fuhua Steel", ""]),
        ("skip", ["Qinghe Water", ""]),
    ]
    assert "Columns that go nowhere: Colour." in text(shown)

    done = confirm(client, CUSTOMERS, confirmation(shown))

    assert (done.status_code, done.url) == (302, CUSTOMERS)
    assert "Import finished: 1 new, 0 updated, 0 deleted and 2 skipped customers." in text(client.get(CUSTOMERS))
    assert fields(Customer, "name", "status", "owner") == [
        ("Fuhua Steel", "potential", root.pk),
        ("Qinghe Water", "trading", root.pk),
    ]
    [run] = ImportRun.objects.all()
    assert (run.state, run.new, run.skipped, run.refused) == ("done", 1, 2, 0)
    noted = Audit.objects.get(kind="imported")
    assert (noted.by, noted.data) == (
        root,
        {"what": "customers", "file": "list.csv", "run": run.pk, "new": 1, "skipped": 2, "refused": 0},
    )
    assert [message.kind for message in Message.objects.all()] == ["file_imported"]


def test_contacts_come_in_at_their_customers(client, root):
    qinghe = make.customer(root, name="Qinghe Water")
    sent = previewed(client, CONTACTS, workbook(["Name", "Customer", "Job title"], ["Wang Jun", "Qinghe Water", "CIO"]))

    assert confirm(client, CONTACTS, sent).status_code == 302
    assert fields(Contact, "name", "customer", "title") == [("Wang Jun", qinghe.pk, "CIO")]


def test_opportunities_come_in_as_drafts(client, root):
    qinghe = make.customer(root, name="Qinghe Water")
    rows = "Opportunity name,Customer,Amount,State\nPump station,Qinghe Water,1500,signed\n"

    assert confirm(client, OPPORTUNITIES, previewed(client, OPPORTUNITIES, rows)).status_code == 302
    assert fields(Opportunity, "name", "customer", "amount", "state") == [("Pump station", qinghe.pk, 1500, "draft")]


def test_people_come_in_without_a_password_and_what_they_may_is_in_the_audit(client, root):
    make.department("hebei")
    rows = "Name,E-mail,Department,Role\nMoses Frase,moses@example.org,hebei,gm\n"

    assert confirm(client, USERS, previewed(client, USERS, rows)).status_code == 302

    person = User.objects.get(username="moses.frase")
    assert (person.department.key, person.role_keys, person.has_usable_password()) == ("hebei", {"gm"}, False)
    assert [(one.by, one.data["user"]) for one in Audit.objects.filter(kind="rights_changed")] == [
        (root, "moses.frase")
    ]


PRODUCTS, SOURCES = "/admin/opportunities/product/", "/admin/opportunities/source/"
RIGHT = {
    CUSTOMERS: "name\nFresh\n",
    CONTACTS: "name,customer\nFresh,Qinghe\n",
    OPPORTUNITIES: "name,customer\nFresh,Qinghe\n",
    USERS: "name,e-mail,department,roles\nFresh,fresh@example.org,hebei,rep\n",
    PRODUCTS: "key,name in english,category,price,unit in english\nfresh,Fresh,water,12.50,piece\n",
    "/admin/opportunities/stage/": "key,name in english,pipeline,kind,probability\nfresh,Fresh,standard,open,30\n",
    "/admin/opportunities/reviewchoice/": "key,name in english,question\nfresh,Fresh,asked\n",
}
A_VALUE = "key,name in english\nfresh,Fresh\n"  # of a picklist that has nothing beside


def test_every_page_takes_a_right_file_in(client, root):
    make.customer(root, name="Qinghe")
    make.department("hebei")
    RevenueCategory.objects.get_or_create(key="water", defaults={"names": {"en": "Water"}, "level": 1})
    Pipeline.objects.get_or_create(key="standard", defaults={"names": {"en": "Standard"}})
    ReviewQuestion.objects.get_or_create(key="asked", defaults={"names": {"en": "Asked"}})

    for page in (one for one in pages() if one.importing in kinds()):
        where, before = address(page), page.model.objects.count()
        shown = upload(client, where, RIGHT.get(where, A_VALUE))
        assert (errors(shown), [row.error for row in shown.context["result"].invalid_rows]) == ([], []), where
        assert counts(shown) == (1, 0, 0), where
        assert confirm(client, where, confirmation(shown)).status_code == 302
        assert page.model.objects.count() == before + 1, where

    fresh = Product.objects.get(key="fresh")
    assert (fresh.name, fresh.category.key, fresh.price) == ("Fresh", "water", Decimal("12.50"))


def test_a_value_for_all_rows_that_is_none_is_told_as_a_sentence(client, root, rf):
    class WrongAdmin(CustomerAdmin):
        def fixed(self):
            return {"status": "nothing such"}

    request = rf.post("/", {"import_file": SimpleUploadedFile("a.csv", b"name\nQinghe\n")})
    request.user = root
    with nothing_changed():
        shown = WrongAdmin(Customer, admin.site).import_action(request)
    assert shown.context_data["form"].errors["import_file"] == ["“nothing such” is not in the list."]

    assert confirm(client, CUSTOMERS, previewed(client, CUSTOMERS, "name\nQinghe\n")).status_code == 302


def test_a_picklists_page_names_the_columns_that_this_list_has(client):
    def named(where):
        [(_label, columns)] = client.get(f"{where}import/").context["fields_list"]
        return [column for column in columns if not column.startswith(("Name in", "Unit in"))]

    assert named(SOURCES) == named(INDUSTRIES) == ["Key", "Colour", "Order", "Active"]
    assert named(PRODUCTS) == ["Key", "Revenue category", "List price", "Colour", "Order", "Active"]
    assert named("/admin/opportunities/revenuecategory/") == ["Key", "Colour", "Order", "Active", "Part of"]
    assert "Roles" in named(USERS)


def test_however_many_rows_come_in_the_log_of_the_administration_has_one_line(client, root):
    rows = "name\n" + "".join(f"Customer {number}\n" for number in range(300))

    assert confirm(client, CUSTOMERS, previewed(client, CUSTOMERS, rows, "many.csv")).status_code == 302

    assert Customer.objects.count() == 300
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_repr, entry.get_change_message()) == (root, "many.csv: 300", "Added.")
    assert "many.csv: 300" in text(client.get("/admin/"))


def test_a_page_may_give_every_row_the_same_value_whatever_a_column_says(client, root, rf):
    class TradingAdmin(CustomerAdmin):
        def fixed(self):
            return {"status": "trading"}

    page = TradingAdmin(Customer, admin.site)
    request = rf.post("/", {"import_file": SimpleUploadedFile("a.csv", b"name,status\nQinghe,potential\n")})
    request.user = root
    shown = page.import_action(request)
    form = shown.context_data["confirm_form"]
    sent = {name: str(value) for name, value in form.initial.items()}

    assert "Status" not in shown.context_data["fields_list"][0][1]
    assert confirm(client, CUSTOMERS, sent).status_code == 409  # which gives no row that value
    assert not Customer.objects.exists()
    request = rf.post("/", sent)
    request.user, request.session = root, client.session
    request._messages = FallbackStorage(request)
    assert page.process_import(request).status_code == 302
    assert fields(Customer, "name", "status") == [("Qinghe", "trading")]


# ── What does not come in ────────────────────────────────────────────────────────────────────────────────────────────


def test_one_refused_row_keeps_all_out_and_is_shown_with_its_reason(
    client, tmp_path, django_capture_on_commit_callbacks
):
    with nothing_changed(), django_capture_on_commit_callbacks(execute=True):
        shown = upload(client, CUSTOMERS, "name,industry\nQinghe,\nFuhua,piracy\n,energy\n")

    assert counts(shown) == (1, 0, 2)
    assert "confirm_form" not in shown.context
    assert [(row.number, row.values, row.field_specific_errors) for row in shown.context["result"].invalid_rows] == [
        (3, ["Fuhua", "piracy"], {"Industry": ["“piracy” is not in the list."]}),
        (4, ["", "energy"], {"Customer name": ["Fill this in."]}),
    ]
    assert "<h2>Some rows were refused.</h2>" in text(shown)
    assert "Nothing comes in as long as a row is refused." in text(shown)
    assert list((tmp_path / "imports").iterdir()) == []

    assert confirm(client, CUSTOMERS, previewed(client, CUSTOMERS, "name,industry\nQinghe,\n")).status_code == 302
    assert fields(Customer, "name") == [("Qinghe",)]


def test_a_file_without_a_column_that_each_row_needs_is_refused(client):
    with nothing_changed():
        refused = upload(client, CONTACTS, "name,phone\nWang Jun,1\n")

    assert errors(refused) == ["Each row needs “Customer”, and no column of this file is called that."]


def wide(count):
    """This will make a table of that many columns, the first of which is the name."""
    heads = ["name", *(f"c{number}" for number in range(count - 1))]
    return f"{','.join(heads)}\n{','.join(['Qinghe'] * count)}\n"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "empty"),
        (b"name\n", "no-rows"),
        (b"%PDF-1.7 \x00\x01", "no-table"),
        (b"<html><table></table></html>", "web-page"),
        (b"PK\x03\x04 and then nothing", "broken"),
        (wide(201), "columns"),
        ("name\n" + "x\n" * 12, "rows"),
    ],
)
def test_a_file_is_refused_with_the_sentence_of_every_import(client, settings, content, problem):
    settings.IMPORT_MOST_ROWS = 11

    with nothing_changed():
        refused = upload(client, CUSTOMERS, content)

    assert errors(refused) == [PROBLEMS[problem] % {"rows": "11", "columns": 200}]


def test_what_is_just_small_enough_comes_in(client, settings):
    settings.IMPORT_MOST_ROWS = 1

    assert confirm(client, CUSTOMERS, previewed(client, CUSTOMERS, wide(200))).status_code == 302
    assert fields(Customer, "name") == [("Qinghe",)]


def test_a_bomb_goes_off_outside_and_is_refused(client):
    with nothing_changed():
        refused = upload(client, CUSTOMERS, bomb(), "bomb.xlsx")

    assert errors(refused)[0] in {str(PROBLEMS["large"]), str(PROBLEMS["slow"])}


@pytest.mark.case(48)
def test_a_file_that_is_too_large_is_refused_unread_and_a_smaller_one_is_not(client, settings, tmp_path):
    settings.IMPORT_MOST_BYTES = 1 << 20

    with nothing_changed():
        refused = upload(client, CUSTOMERS, b"name\n" + b"x" * (1 << 20))

    assert errors(refused) == ["This file is larger than 1 MB. Split it into several."]
    assert not (tmp_path / "imports").exists()
    assert counts(upload(client, CUSTOMERS, "name\nQinghe\n")) == (1, 0, 0)


def test_a_form_without_a_file_asks_for_one(client):
    with nothing_changed():
        answer = client.post(f"{CUSTOMERS}import/", {"format": "0", "resource": "0"})

    assert errors(answer) == ["This field is required."]


@pytest.mark.case(39)
def test_what_stands_in_cells_headings_and_names_is_shown_as_it_stands_and_does_nothing(client):
    hostile = [IMG, "{{ 7*7 }}", "{% debug %}", "%s%n", "=1+1", '" hx-get="/x']
    written = "\n".join(f'"{one.replace(chr(34), chr(34) * 2)}",x,energy' for one in hostile)
    shown = upload(client, CUSTOMERS, f"name,{IMG},industry\n{written}\n", f"{IMG}.csv")
    refused = upload(client, CUSTOMERS, f"name,industry\n{IMG},{IMG}\n")

    for page in (shown, refused):
        assert "&lt;img src=x onerror=alert(1)&gt;" in text(page)
        assert "<img" not in text(page)
        assert "Traceback" not in text(page)
    assert [row.diff[0] for row in shown.context["result"].rows] == hostile
    assert confirm(client, CUSTOMERS, confirmation(shown)).status_code == 302
    assert [name for (name,) in fields(Customer, "name")] == hostile
    assert IMG not in text(client.get(CUSTOMERS))
    assert IMG not in text(client.get("/admin/"))


def test_a_long_file_is_left_to_the_worker(client):
    rows = "name\n" + "".join(f"Customer {number}\n" for number in range(AT_ONCE + 1))

    answer = upload(client, CUSTOMERS, rows)

    run = ImportRun.objects.get()
    assert (answer.status_code, answer.url, run.standing) == (302, f"/imports/{run.pk}/", "matched")
    assert "The columns are matched. Check looks at every row and writes nothing." in text(client.get(answer.url))


# ── Confirming ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.case(15)
def test_what_somebody_else_uploaded_cannot_be_confirmed(client):
    sent = previewed(client, CUSTOMERS, "name\nQinghe\n")
    other = signed_in(make.user("other", "administrator", at="head-office"))

    with nothing_changed():
        assert confirm(other, CUSTOMERS, sent).status_code == 404

    assert confirm(client, CUSTOMERS, sent).status_code == 302
    assert fields(Customer, "name") == [("Qinghe",)]


@pytest.mark.case(15)
def test_a_name_that_is_no_upload_of_mine_leads_nowhere(client, tmp_path):
    sent = previewed(client, CUSTOMERS, "name\nQinghe\n")
    mine = sent["import_file_name"]
    (tmp_path / "secret").write_text("name\nSecret\n")
    names = [
        str(uuid4()),
        "",
        "../../etc/passwd",
        "/etc/passwd",
        f"../imports/{mine}",
        str(tmp_path / "imports" / mine),
        str(tmp_path / "secret"),
        "secret",
        f"{mine}/rows",
        f"{mine}\0",
        "x" * 10_000,
    ]

    with nothing_changed():
        assert {name: confirm(client, CUSTOMERS, sent | {"import_file_name": name}).status_code for name in names} == (
            dict.fromkeys(names, 404)
        )
        assert confirm(client, CONTACTS, sent).status_code == 404  # a list of customers is none of contacts
        assert confirm(client, CUSTOMERS, {}).status_code == 404
        assert client.get(f"{CUSTOMERS}process_import/", sent).status_code == 405

    assert (tmp_path / "secret").read_text() == "name\nSecret\n"
    assert confirm(client, CUSTOMERS, sent | {"format": "../..", "resource": "99"}).status_code == 302
    assert fields(Customer, "name") == [("Qinghe",)]


def test_confirmed_twice_it_comes_in_once(client):
    sent = previewed(client, CUSTOMERS, "name\nQinghe\n")
    assert confirm(client, CUSTOMERS, sent).status_code == 302
    Customer.objects.update(name="Renamed")

    with nothing_changed():
        again = confirm(client, CUSTOMERS, sent)

    assert again.status_code == 409
    assert "This file has come in already. Nothing was written a second time." in again.content.decode()
    assert LogEntry.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_confirmed_many_times_at_the_same_moment_it_comes_in_once(client, root):
    sent = previewed(client, CUSTOMERS, "name\nQinghe\nFuhua\n")
    clients = [signed_in(root) for _time in range(5)]

    answers = at_once(*(lambda one=one: confirm(one, CUSTOMERS, sent).status_code for one in clients))

    assert sorted(answers) == [302, 409, 409, 409, 409]
    assert fields(Customer, "name") == [("Qinghe",), ("Fuhua",)]
    assert (LogEntry.objects.count(), Audit.objects.filter(kind="imported").count()) == (1, 1)


def test_a_file_that_is_gone_or_whose_import_is_is_refused(client, tmp_path):
    gone, discarded = (previewed(client, CUSTOMERS, "name\nQinghe\n") for _twice in range(2))
    (tmp_path / "imports" / gone["import_file_name"] / "rows").unlink()
    ImportRun.objects.get(folder=discarded["import_file_name"]).discard()

    with nothing_changed():
        refused = confirm(client, CUSTOMERS, gone)
        assert refused.status_code == 409
        assert "The file of this import is gone. Choose it once more." in refused.content.decode()
        assert confirm(client, CUSTOMERS, discarded).status_code == 404

    assert confirm(client, CUSTOMERS, previewed(client, CUSTOMERS, "name\nQinghe\n")).status_code == 302


def test_what_was_matched_differently_meanwhile_is_not_what_was_shown(client, root):
    sent = previewed(client, CUSTOMERS, "name,address\nQinghe,Street\n")
    ImportRun.objects.get().match({"name": {"column": 1}}, {}, by=root)

    with nothing_changed():
        refused = confirm(client, CUSTOMERS, sent)

    assert refused.status_code == 409
    assert "matched differently meanwhile" in refused.content.decode()


def test_what_is_there_by_now_stays_out_and_what_is_refused_by_now_keeps_all_out(client, root):
    sent = previewed(client, CUSTOMERS, "name,industry\nQinghe,\nFuhua,\n")
    make.customer(root, name="Qinghe")
    assert confirm(client, CUSTOMERS, sent).status_code == 302
    assert fields(Customer, "name") == [("Qinghe",), ("Fuhua",)]

    sent = previewed(client, CUSTOMERS, "name,industry\nFirst,\nSecond,energy\n")
    Industry.objects.filter(key="energy").update(key="power", names={"en": "Power"})
    with nothing_changed():
        refused = confirm(client, CUSTOMERS, sent)

    assert counts(refused) == (1, 0, 1)
    assert "“energy” is not in the list." in text(refused)


@pytest.mark.case(16)
def test_somebody_who_is_no_administrator_any_more_confirms_nothing(client, root):
    sent = previewed(client, CUSTOMERS, "name\nQinghe\n")
    root.roles.clear()

    with nothing_changed():
        assert confirm(client, CUSTOMERS, sent)["Location"].startswith("/admin/login/")

    root.roles.set(make.Role.objects.filter(key="administrator"))
    assert confirm(client, CUSTOMERS, sent).status_code == 302


def test_what_was_left_unconfirmed_is_taken_away_with_old_imports(client, tmp_path, django_capture_on_commit_callbacks):
    previewed(client, CUSTOMERS, "name\nQinghe\n")
    assert len(list((tmp_path / "imports").iterdir())) == 1

    with django_capture_on_commit_callbacks(execute=True):
        importing.tidy(timezone.now())

    assert list((tmp_path / "imports").iterdir()) == []


# ── Who may ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def pages():
    """This will list the pages of the administration that have files."""
    return [page for page in admin.site._registry.values() if isinstance(page, Files)]


OURS = [page for page in admin.site._registry.values() if isinstance(page, Narrowed)]


def test_every_page_of_ours_is_narrowed():
    apps = {"approvals", "crm", "customers", "notices", "opportunities"}
    found = {page.opts.label_lower for page in admin.site._registry.values() if page.opts.app_label in apps}
    assert {page.opts.label_lower for page in OURS} == found


def address(page):
    return reverse(f"admin:{page.opts.app_label}_{page.opts.model_name}_changelist")


def send_everything(client, sent):
    """This will try every door of every page, and give the set of answers."""
    found = set()
    for page in pages():
        where = address(page)
        doors = [f"{where}import/", f"{where}export/"]
        found |= {client.get(door).status_code for door in doors}
        found.add(client.post(doors[0], {"import_file": SimpleUploadedFile("a.csv", b"name\nA\n")}).status_code)
        found.add(client.post(doors[1], {"format": "1"}).status_code)
        found.add(client.post(f"{where}process_import/", sent).status_code)
        found.add(client.post(where, {"action": "export_admin_action", "_selected_action": ["1"]}).status_code)
    return found


@pytest.mark.case(16)
def test_who_is_no_administrator_comes_to_no_door_staff_or_not(client):
    make.customer(name="Qinghe")
    sent = previewed(client, CUSTOMERS, "name\nFuhua\n")
    staff = make.user("staff", "opportunity_manager", at="head-office", is_staff=True)
    rep, gm = make.user("rep"), make.user("gm", "gm")

    with nothing_changed():
        for person in (staff, rep, gm):
            assert send_everything(signed_in(person), sent) == {302}  # to where one signs in, which lets nobody pass

    assert not LogEntry.objects.exists()
    assert not Audit.objects.filter(kind__in=["exported", "imported"]).exists()
    assert confirm(client, CUSTOMERS, sent).status_code == 302


def test_without_a_department_an_administrator_brings_nothing_in_and_takes_nothing_out(client):
    User.objects.create_superuser("bare", "bare@example.org", make.PASSWORD, name="Bare")
    bare = signed_in(User.objects.get(username="bare"))
    make.customer(name="Qinghe")

    with nothing_changed():
        for door in ("import/", "export/"):
            assert bare.get(f"{CUSTOMERS}{door}").status_code == 403
        assert bare.post(f"{CUSTOMERS}export/", {"format": "1"}).status_code == 403

    for person, offered in ((bare, False), (client, True)):
        page = text(person.get(CUSTOMERS))
        assert ('class="import_link"' in page, 'class="export_link"' in page, "export_admin_action" in page) == (
            (offered,) * 3
        )


def test_a_list_has_a_button_for_an_import_where_there_is_such_a_kind(client):
    for page in pages():
        shown = text(client.get(address(page)))
        assert ('class="import_link"' in shown) == (page.importing in kinds()), address(page)
        assert 'class="export_link"' in shown
        assert client.get(f"{address(page)}import/").status_code == (200 if page.importing in kinds() else 403)


@pytest.mark.case(17)
def test_customers_contacts_and_opportunities_have_no_other_door_here(client, root):
    one = make.opportunity(root, state="active")
    records = {CUSTOMERS: one.customer, CONTACTS: make.contact(one.customer), OPPORTUNITIES: one}
    assert {address(page) for page in pages() if isinstance(page, Records)} == set(records)

    with nothing_changed():
        for where, record in records.items():
            change = client.post(f"{where}{record.pk}/change/", {"name": "Changed", "state": "signed"})
            assert (change.status_code, change.url) == (302, record.get_absolute_url())
            assert client.get(f"{where}0/change/").status_code == 404
            for door in ("add/", f"{record.pk}/delete/"):
                assert client.get(f"{where}{door}").status_code == 403
                assert client.post(f"{where}{door}", {"post": "yes", "name": "New"}).status_code == 403
            client.post(where, {"action": "delete_selected", "_selected_action": [record.pk], "post": "yes"})
            assert str(record) in text(client.get(where, {"q": record.name[:5]}))
            assert str(record) not in text(client.get(where, {"q": "nothing of the sort"}))


# ── What goes out ────────────────────────────────────────────────────────────────────────────────────────────────────

FORMATS = {"xlsx": "0", "csv": "1"}


def export(client, where, end, query="", **sent):
    return client.post(f"{where}export/{query}", {"resource": "0", "format": FORMATS[end]} | sent)


def excel(answer):
    """This will give the cells of a workbook, row by row."""
    assert answer.status_code == 200
    return list(openpyxl.load_workbook(BytesIO(answer.getvalue())).active.iter_rows())


def values(answer):
    return [[cell.value for cell in row] for row in excel(answer)]


def comma_separated(answer):
    assert answer.status_code == 200
    return list(csv.reader(StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))


HOSTILE = ["=1+1", "+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "＝1+1", "'=1", '"=1', "#N/A", IMG]


@pytest.mark.case(40)
def test_what_looks_like_a_formula_goes_out_as_a_text_and_a_number_as_a_number(client, root):
    for name in HOSTILE:
        make.opportunity(root, name=name, amount=-5 if name == "+1" else 1500, description=name)

    heads, *rows = excel(export(client, OPPORTUNITIES, "xlsx"))
    heads = [cell.value for cell in heads]
    of_name, of_amount = heads.index("Opportunity name"), heads.index("Amount")
    assert {cell.data_type for row in rows for cell in row} <= {"s", "n", "d", "inlineStr"}
    assert [row[of_name].value for row in rows] == HOSTILE[::-1]
    assert {row[of_amount].value for row in rows} == {1500, -5}

    heads, *rows = comma_separated(export(client, OPPORTUNITIES, "csv"))
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@", "＝"))]
    assert [bare(row[of_name]) for row in rows] == HOSTILE[::-1]


def test_customers_that_went_out_are_there_when_they_come_in_again(client, root):
    for name in HOSTILE:
        make.customer(root, name=name)

    for end in FORMATS:
        answer = export(client, CUSTOMERS, end)
        assert counts(upload(client, CUSTOMERS, answer.getvalue(), f"file.{end}")) == (0, len(HOSTILE), 0)


@pytest.mark.case(17, 59)
def test_people_go_out_without_anything_that_opens_a_door(client, root):
    make.user("chen", "rep", "gm", at="hebei", name="Chen Yu")

    rows = values(export(client, USERS, "xlsx"))

    assert rows == [
        ["Name", "User name", "E-mail", "Phone", "Job title", "Department", "Roles", "Active", "Last sign-in"],
        ["Chen Yu", "chen", "chen@example.org", None, None, "Hebei", "GM, Sales rep", True, None],
        ["Root", "root", "root@example.org", None, None, "Head office", "Administrator", True, rows[2][8]],
    ]
    out = export(client, USERS, "csv").getvalue().decode()
    assert root.password not in out
    assert "md5" not in out


def test_a_picklist_goes_out_with_its_names_in_every_language(client):
    Industry.objects.all().delete()
    Industry.objects.create(key="energy", names={"en": "Energy", "zh-hans": "能源"}, order=10, colour="#112233")
    Industry.objects.create(key="old", names={"en": "=Old"}, order=20, active=False)

    assert values(export(client, INDUSTRIES, "xlsx")) == [
        ["List", "Key", "Name in English", "Name in Simplified Chinese", "Order", "Colour", "Active"],
        ["industry", "energy", "Energy", "能源", 10, "#112233", True],
        ["industry", "old", "=Old", None, 20, None, False],
    ]


def test_every_page_gives_its_rows_out_in_both_formats_and_that_is_in_the_audit(client, root):
    make.contact(make.customer(root))
    make.opportunity(root)
    for page in pages():
        where, count = address(page), page.model.objects.count()
        assert len(values(export(client, where, "xlsx"))) == len(comma_separated(export(client, where, "csv")))
        noted = Audit.objects.filter(kind="exported").order_by("-pk")[:2]
        asked = {"list": page.opts.label_lower, "query": "", "fields": "all", "rows": count}
        assert [(one.by, one.data) for one in noted] == [
            (root, asked | {"format": "csv"}),
            (root, asked | {"format": "xlsx"}),
        ]


def test_what_goes_out_is_what_the_list_shows_or_what_was_chosen_of_it(client, root):
    one, two, three = (make.customer(root, name=name) for name in ("Qinghe Water", "Qinghe Steel", "Fuhua"))

    def names(query="", **sent):
        return [row[0] for row in comma_separated(export(client, CUSTOMERS, "csv", query, **sent))[1:]]

    assert names() == ["Fuhua", "Qinghe Steel", "Qinghe Water"]
    assert names("?q=qinghe") == ["Qinghe Steel", "Qinghe Water"]
    assert names(export_items=[one.pk, three.pk]) == ["Fuhua", "Qinghe Water"]
    chosen = {"action": "export_admin_action", "_selected_action": [two.pk]}
    page = client.post(f"{CUSTOMERS}?q=qinghe", chosen)
    assert "Export 1 chosen row" in text(page)
    assert f'<form action="{CUSTOMERS}export/?q=qinghe"' in text(page)
    assert f'<input type="hidden" name="export_items" value="{two.pk}"' in text(page)
    every = client.post(f"{CUSTOMERS}?q=qinghe", chosen | {"select_across": "1"})
    assert (every.status_code, every.url) == (302, f"{CUSTOMERS}export/?q=qinghe")


def test_a_key_that_the_list_does_not_have_and_a_filter_that_is_none_give_nothing_out(client, root):
    make.customer(root, name="Qinghe")

    for key in ("987654321", "9" * 30, "x", "1 OR 1=1", "\0"):
        assert "Select a valid choice." in text(export(client, CUSTOMERS, "csv", export_items=[key]))
    for query in ("?nothing=1", "?owner__password__startswith=md5", "?status__exact__in=1", "?pk=x"):
        assert client.get(f"{CUSTOMERS}export/{query}").status_code == 400, query
    assert "Select a valid choice." in text(client.post(f"{CUSTOMERS}export/", {"format": "7"}))
    assert not Audit.objects.filter(kind="exported").exists()


ODD = [
    "password__startswith=md5", "email_wanted__startswith=a", "name__regex=(", "name__contains=a", "name_key__range=1",
    "created_at__year=0", "last_login__year=99999999999999999999", "id=1", "id__in=" + "9" * 31, "key__startswith=a",
    "roles__users__password__startswith=a", "owner__isnull=2", "is_active__in=1", "kind__exact=%00", "state__exact=%00",
    "act__exact=%00", "roles__key=rep",
]  # fmt: skip


@pytest.mark.parametrize("query", ODD)
@pytest.mark.case(8, 17)
def test_a_list_and_what_goes_out_of_it_are_narrowed_by_what_the_page_offers_and_nothing_else(client, root, query):
    for page in OURS:
        assert client.get(f"{address(page)}?{query}").status_code == 400, address(page)
        if isinstance(page, Files):
            assert client.get(f"{address(page)}export/?{query}").status_code == 400
            assert export(client, address(page), "csv", f"?{query}").status_code == 400
    assert not Audit.objects.filter(kind="exported").exists()


def test_a_filter_narrows_a_list_and_what_goes_out_of_it(client, root):
    rep, gm = make.user("rep", "rep", at="hebei"), make.user("gm", "gm", is_active=False)
    for query, names in {
        "is_active__exact=0": {gm.name},
        f"roles__id__exact={rep.roles.get().pk}": {rep.name},
        f"department__id__exact={rep.department.pk}&is_active__exact=1": {rep.name},
        "department__isnull=True": set(),
        "roles__id__exact=" + "9" * 31: set(),
        "q=root&o=1&p=1": {root.name},
    }.items():
        assert {one.name for one in client.get(f"{USERS}?{query}").context["cl"].result_list} == names, query
        rows = comma_separated(export(client, USERS, "csv", f"?{query}"))
        assert {row[0] for row in rows[1:]} == names, query


def test_a_filter_by_what_is_no_such_value_leads_back_to_the_whole_list(client):
    answer = client.get(f"{USERS}?is_active__exact=perhaps")
    assert (answer.status_code, answer.url) == (302, f"{USERS}?e=1")
    assert client.get(f"{USERS}?is_active__exact=1").status_code == 200
    assert client.get(f"{USERS}export/?is_active__exact=perhaps").status_code == 400


@pytest.mark.parametrize("key", ["x", "\0", "9" * 40, "", "-1", "1,2", "١"])
def test_a_key_that_is_none_chooses_no_row(client, root, key):
    one = make.customer(root, name="Qinghe")
    chosen = {"action": "export_admin_action", "_selected_action": [key]}
    for page in OURS:
        assert client.post(address(page), chosen).status_code in (200, 302), address(page)
    for page in pages():
        pressed = client.post(address(page), chosen | {"index": "0"})
        assert (pressed.status_code, pressed.url) == (302, address(page))
    page = client.post(CUSTOMERS, chosen | {"_selected_action": [key, one.pk]})
    assert page.context["title"] == "Export 1 chosen row"
    edited = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": key, "_save": "Save"}
    with nothing_changed():
        assert client.post(INDUSTRIES, edited).status_code == 400

    row = Industry.objects.order_by("order", "key").first()
    right = edited | {"form-0-id": row.pk, "form-0-order": "5", "form-0-active": "on"}
    assert client.post(f"{INDUSTRIES}?q={row.key}", right).status_code == 302
    assert Industry.objects.get(pk=row.pk).order == 5


def test_a_workbook_that_would_take_too_long_is_refused_and_csv_is_not(client, root, settings):
    settings.EXPORT_AT_ONCE = 1
    make.customer(root, name="Qinghe")
    assert len(values(export(client, CUSTOMERS, "xlsx"))) == 2
    make.customer(root, name="Fuhua")

    refused = export(client, CUSTOMERS, "xlsx")
    assert refused.status_code == 302
    assert "These are more than 1 rows, which takes too long as a workbook. Choose csv." in text(
        client.get(refused.url)
    )
    assert len(comma_separated(export(client, CUSTOMERS, "csv"))) == 3


@pytest.mark.parametrize("where", [CUSTOMERS, CONTACTS, OPPORTUNITIES, USERS, INDUSTRIES])
def test_a_list_and_what_goes_out_of_it_cost_the_same_for_few_rows_and_for_many(client, root, where):
    def cost():
        with CaptureQueriesContext(connection) as asked:
            text(client.get(where))
            comma_separated(export(client, where, "csv"))
        return len(asked)

    def more(count):
        for number in range(count):
            person = make.user()
            make.contact(make.customer(person))
            make.opportunity(person)
            Industry.objects.create(key=f"more-{count}-{number}", names={"en": "More"})

    more(1)
    cost()
    few = cost()
    more(20)
    assert cost() == few


# ── The pages ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_pages_hold_no_script_and_no_style_of_their_own(client, root):
    make.customer(root, name="Qinghe")
    inline = r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=|javascript:"
    shown = [
        client.get(CUSTOMERS),
        client.get(f"{CUSTOMERS}import/"),
        upload(client, CUSTOMERS, "name\nFuhua\n"),
        upload(client, CUSTOMERS, "name,industry\nFuhua,x\n"),
        client.get(f"{CUSTOMERS}export/"),
        client.post(CUSTOMERS, {"action": "export_admin_action", "_selected_action": [Customer.objects.get().pk]}),
    ]
    for page in shown:
        assert re.findall(inline, text(page)) == []
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert "no-store" in page.headers["Cache-Control"]


def test_the_librarys_words_are_said_in_chinese_to_who_reads_chinese(client, root):
    User.objects.update(language="zh-hans")

    for said, page in {
        "此次将导入以下字段": client.get(f"{CUSTOMERS}import/"),
        "确认导入": upload(client, CUSTOMERS, "客户名称\nQinghe\n"),
        "此次将导出以下字段": client.get(f"{CUSTOMERS}export/"),
    }.items():
        assert said in text(page)
    refused = text(upload(client, CUSTOMERS, "客户名称,行业\nQinghe,x\n"))
    assert "某些行验数据证失败" not in refused  # which is no Chinese
