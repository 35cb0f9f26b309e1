"""An import: read, matched, checked, brought in; its owner's alone; never half, never twice; its file never trusted."""

import io
import random
import zipfile
from datetime import date, timedelta
from pathlib import Path

import openpyxl
import pytest
from django.utils import timezone

from crm import importing
from crm.importing import ImportRun
from crm.jobs import Job, Lost, Stopping, run_waiting
from crm.models import Audit, User
from crm.work import tidy
from customers.models import Customer
from notices.models import Delivery, Message
from tests import factories as make
from tests.asserting import not_there, unchanged
from tests.importing import SHARED, begin, checked, counts, imported, match, needs_shared, refusals, signed_in, upload

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def rep():
    return make.user("chen", name="Chen Yu")


@pytest.fixture
def client(rep):
    return signed_in(rep)


def workbook(*rows, **sheets):
    """This will make an Excel file of one sheet, or of several by name."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, content in (sheets or {"Sheet": rows}).items():
        sheet = book.create_sheet(title)
        for row in content:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def rows_of(run):
    return list(run.read_rows())


# Reading


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_text_is_read_whatever_its_encoding_and_its_delimiter(client, encoding, delimiter):
    lines = [["客户名称", "地址", "备注"], ["石家庄市第一医院", "范西路36号", "专线，两条"], ["清河水务", "", "云"]]
    content = "\r\n".join(delimiter.join(line) for line in lines).encode(encoding)

    run = begin(client, "customers", content)

    assert run.names == lines[0]
    assert rows_of(run) == [[number, *line] for number, line in enumerate(lines[1:], 2)]
    assert (run.delimiter, run.encoding) == (delimiter, encoding)


def test_rows_keep_the_number_that_they_have_in_the_sheet(client):
    run = begin(client, "customers", 'name,address\n\n"Two\nlines",x\n\n\nLast,y\n')

    assert rows_of(run) == [[3, "Two\nlines", "x"], [6, "Last", "y"]]


def test_a_column_tells_how_full_it_is_and_what_is_in_it(client):
    run = begin(client, "customers", "name,level,extra\nA,a,\nB,,\nC,a,\nD,b,,too much\n")

    assert run.names == ["name", "level", "extra", "D"]
    assert [column["filled"] for column in run.columns] == [4, 3, 0, 1]
    assert run.columns[1]["samples"] == ["a", "b"]
    assert run.columns[1]["values"] == {"a": 2, "b": 1}


def test_a_workbook_is_read_as_people_see_it(client):
    first = [
        ["Our customers 2026"],
        [],
        ["name", "tax id", "founded"],
        ["Qinghe", 911301007, date(2016, 3, 1)],
        ["Fuhua", 12.5, None],
    ]

    run = begin(client, "customers", workbook(List=first, Other=[["x"], ["y"]]), "list.xlsx")

    assert (run.sheet, run.header_row) == ("List", 3)
    assert rows_of(run) == [[4, "Qinghe", "911301007", "2016-03-01"], [5, "Fuhua", "12.5", ""]]


def zipped(**files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return file.getvalue()


def bomb():
    """A workbook of some 400 KB whose one cell is 400 MB of text when unpacked."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(["HERE"], ["x"]))) as source,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        [texts] = [name for name in source.namelist() if b"HERE" in source.read(name)]
        for name in source.namelist():
            if name != texts:
                target.writestr(name, source.read(name))
        before, after = source.read(texts).split(b"HERE")
        with target.open(texts, "w", force_zip64=True) as part:
            part.write(before)
            for _ten_megabytes in range(40):
                part.write(b"A" * (10 << 20))
            part.write(after)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"  \n\n", "empty"),
        (b"name,address\n", "none below"),
        (b"%PDF-1.7 \x00\x01", "no table"),
        (b"<html><table></table></html>", "web page"),
        (b"\x89PNG\r\n\x1a\n\x00", "no table"),
        (b"PK\x03\x04 and then nothing", "damaged"),
        (zipped(a="b"), "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096), "damaged"),
        (("," * 300 + "\nx\n").encode(), "none below"),
        ((",".join(f"c{n}" for n in range(300)) + "\n" + ",".join(["1"] * 300)).encode(), "columns"),
    ],
    ids=[
        "nothing", "blanks", "a header", "a PDF", "a web page", "a picture", "half an archive", "another archive",
        "half an xls", "commas", "300 columns",
    ],
)  # fmt: skip
@pytest.mark.case(39)
def test_what_cannot_be_read_is_refused_with_the_reason_and_nothing_stays(client, content, reason, settings):
    answer = upload(client, "customers", content, "file.xlsx")

    assert answer.status_code == 409
    assert reason in str(answer.context["form"].errors["file"])
    assert not ImportRun.objects.exists()
    assert not list((Path(settings.MEDIA_ROOT) / "imports").iterdir())


def test_a_workbook_that_unpacks_to_much_more_than_there_is_memory_is_refused(client, monkeypatch):
    monkeypatch.setattr(importing, "MEMORY", 200 << 20)

    answer = upload(client, "customers", bomb(), "file.xlsx")

    assert answer.status_code == 409
    assert "too" in str(answer.context["form"].errors["file"])
    assert upload(client, "customers", "name\nA\n").status_code == 302


def test_a_file_that_is_too_large_or_too_long_is_refused_with_the_limit(client, settings):
    settings.IMPORT_MOST_BYTES, settings.IMPORT_MOST_ROWS = 2 << 20, 3

    assert "2 MB" in str(upload(client, "customers", b"name\n" + b"A" * (3 << 20)).context["form"].errors["file"])
    assert "more than 3 rows" in str(upload(client, "customers", "name\nA\nB\nC\nD\n").context["form"].errors["file"])
    assert upload(client, "customers", "name\nA\nB\nC\n").status_code == 302


# A damaged archive, an empty file, a sheet of nothing but macros.
REFUSED = {"null_archive.xlsx", "null_file.xlsx", "vba-test.xlsm"}


@needs_shared
@pytest.mark.parametrize(
    "path",
    sorted(
        path
        for folder in ("spreadsheets", "csv-encodings", "csv-spectrum/csvs", "crm-linked")
        for path in SHARED.glob(f"{folder}/*")
    )
    or [Path("none")],
    ids=lambda path: path.name,
)
def test_a_real_file_is_read_or_refused_with_a_reason(client, path):
    answer = upload(client, "customers", path.read_bytes(), path.name)

    assert answer.status_code == 302 or answer.context["form"].errors["file"]
    if answer.status_code == 302:
        assert client.get(answer.url).status_code == 200
    assert (answer.status_code == 302) == (path.name not in REFUSED)


# Matching


def test_columns_are_guessed_by_name_by_label_in_any_language_and_by_other_words_for_it(client):
    run = begin(client, "customers", "Account Name,行业,Website,地址(办公),tax_id,Head count\nA,,,,,3\n")

    form = client.get(f"/imports/{run.pk}/match/").context["form"]

    guessed = [form.get_initial_for_field(form.fields[f"column_{number}"], "") for number in range(6)]
    assert guessed == ["name", "industry", "website", "address", "tax_id", None]


def test_a_needed_field_that_nothing_goes_to_is_named_before_going_on(client):
    run = begin(client, "customers", "x,y\nA,B\n")

    answer = match(client, run)
    assert answer.status_code == 200
    assert "Customer name" in str(answer.context["form"].errors["from_name"])
    assert not Job.objects.exists()

    assert match(client, run, column_0="name").status_code == 302


def test_two_columns_cannot_go_to_one_field(client):
    run = begin(client, "customers", "name,other\nA,B\n")

    answer = match(client, run, column_1="name")

    assert answer.context["form"].errors.keys() == {"column_1"}


def test_one_column_may_feed_two_fields_and_one_value_all_rows(client):
    run = imported(
        client,
        "customers",
        "firm\nA\nB\n",
        column_0="name",
        from_description="0",
        from_level="=b",
        value_address="Main street 1",
    )

    assert run.new == 2
    rows = set(Customer.objects.values_list("name", "description", "level__key", "address"))
    assert rows == {("A", "A", "b", "Main street 1"), ("B", "B", "b", "Main street 1")}


def test_a_value_for_all_rows_is_looked_at_at_once(client):
    run = begin(client, "customers", "name\nA\n")

    answer = match(client, run, value_website="not a site")

    assert "http" in str(answer.context["form"].errors["value_website"])


def test_a_text_that_no_list_knows_is_asked_about_before_the_check(client):
    run = begin(client, "customers", "name,sector\nA,technolgy\nB,Health\nC,technolgy\n")
    address = f"/imports/{run.pk}/match/"

    answer = client.post(address, {"column_0": "name", "column_1": "industry", "act": "check"})
    assert answer.url == f"{address}#values"
    assert not Job.objects.exists()
    [unknown] = client.get(address).context["form"].unknown
    assert (unknown["text"], unknown["count"]) == ("technolgy", 2)

    match(client, run, {"technolgy": "technology"})
    run_waiting()
    run.refresh_from_db()
    assert (run.state, run.new, run.refused) == ("checked", 3, 0)


# Checking


def test_the_check_says_of_every_row_what_will_become_of_it_and_writes_nothing(client, rep):
    make.customer(rep, name="There already")
    content = "name,phone,website\nNew one,,\nThere already,,\n,1,\nBad,abc,nowhere\nNew one,,\n"

    with unchanged():
        run = checked(client, "customers", content)

    assert counts(run) == (1, 0, 1, 1, 2)
    assert [cell[:3] for cell in refusals(run)] == [(4, "name", ""), (5, "phone", "abc"), (5, "website", "nowhere")]
    assert "Write digits" in refusals(run)[1][3]
    page = client.get(f"/imports/{run.pk}/").content.decode()
    assert "Write digits" in page
    assert "New one" in page


def test_the_import_does_what_the_check_said(client):
    run = checked(client, "customers", "name,phone\nA,\nB,abc\nC,\n")
    foretold = (counts(run), refusals(run))

    client.post(f"/imports/{run.pk}/run/")
    run_waiting()

    run.refresh_from_db()
    assert (counts(run), refusals(run)) == foretold
    assert set(Customer.objects.values_list("name", flat=True)) == {"A", "C"}


def test_the_same_file_again_changes_nothing(client):
    content = "name,phone\nA,1\nB,2\n"
    imported(client, "customers", content)

    run = checked(client, "customers", content.replace("1", "7"))
    assert (run.new, run.unchanged + run.skipped) == (0, 2)
    with unchanged():
        assert client.post(f"/imports/{run.pk}/run/").status_code == 409


def test_nothing_is_imported_unchecked(client):
    run = begin(client, "customers", "name\nA\n")

    assert client.post(f"/imports/{run.pk}/").status_code == 409
    assert client.post(f"/imports/{run.pk}/run/").status_code == 409
    assert not Customer.objects.exists()


@pytest.mark.case(40)
def test_refused_rows_come_back_as_they_were_with_the_reason_and_without_formulas(client):
    run = checked(client, "customers", 'name,phone,note\nA,abc,"=1+1"\nB,5,fine\nC,def,+86 311\n')

    answer = client.get(f"/imports/{run.pk}/refused.xlsx")

    sheet = openpyxl.load_workbook(io.BytesIO(b"".join(answer.streaming_content))).active
    rows = [[cell.value for cell in row] for row in sheet]
    assert rows[0] == ["Row", "name", "phone", "note", "Reason"]
    assert [row[:4] for row in rows[1:]] == [["2", "A", "abc", "=1+1"], ["4", "C", "def", "+86 311"]]
    assert rows[1][4].startswith("phone: ")
    assert {cell.data_type for row in sheet for cell in row} == {"s"}
    assert answer["Content-Disposition"].startswith("attachment")


def test_the_file_of_refused_rows_comes_in_again_as_the_file_did_and_once_put_right_all_of_it(client):
    texts = ["=1+1", "_x0041_", "a\rb", "-5", "#N/A", "王俊", "]]>"]
    rows = "".join(f'{text},abc,"{text}"\n' for text in texts if text != "a\rb") + 'last,abc,"a\rb"\n'
    run = checked(client, "customers", f"name,phone,note\n{rows}")

    content = b"".join(client.get(f"/imports/{run.pk}/refused.xlsx").streaming_content)
    again = checked(client, "customers", content, "refused.xlsx")

    assert again.names == ["Row", "name", "phone", "note", "Reason"]
    assert [row[2:5] for row in again.read_rows()] == [row[1:4] for row in run.read_rows()]
    assert refusals(again) == refusals(run)
    assert counts(again) == counts(run) == (0, 0, 0, 0, len(texts))

    book = openpyxl.load_workbook(io.BytesIO(content))
    assert (book.active.freeze_panes, book.active.auto_filter.ref) == ("A2", "A1:E8")
    for row in book.active.iter_rows(min_row=2):
        row[2].value = "5"
    right = io.BytesIO()
    book.save(right)
    assert counts(checked(client, "customers", right.getvalue(), "right.xlsx")) == (len(texts), 0, 0, 0, 0)


@pytest.mark.case(60)
def test_its_owner_is_told_once_and_the_audit_says_who_imported_what(client, rep):
    run = imported(client, "customers", "name,phone\nA,1\nB,abc\n")

    [message] = Message.objects.for_reader(rep)
    assert (message.kind, message.about, message.data["new"]) == ("file_imported", run, "1")
    assert Delivery.objects.filter(to=rep).count() == 1
    entry = Audit.objects.get(kind="imported")
    assert (entry.by, entry.data["file"], entry.data["new"], entry.data["refused"]) == (rep, "file.csv", 1, 1)


# Killed, stopped, twice


def many(count):
    return "name\n" + "".join(f"Customer {number}\n" for number in range(count))


def test_an_import_that_was_broken_off_goes_on_where_it_was(client):
    run = checked(client, "customers", many(450))
    client.post(f"/imports/{run.pk}/run/")
    job = Job.objects.claim(Job.objects.latest("id").pk, worker="first")
    job.interruption = Stopping()

    job.run()
    assert Customer.objects.count() == importing.FIRST_CHUNK
    assert Job.objects.get(pk=job.pk).result["position"] == importing.FIRST_CHUNK
    run_waiting()

    run.refresh_from_db()
    assert (run.state, run.new) == ("done", 450)
    assert Customer.objects.count() == Customer.objects.values("name").distinct().count() == 450


def test_a_worker_that_lost_the_import_writes_nothing_more(client):
    run = checked(client, "customers", many(3))
    client.post(f"/imports/{run.pk}/run/")
    late = Job.objects.claim(Job.objects.latest("id").pk, worker="late")
    Job.objects.filter(pk=late.pk).update(worker="quick", attempts=2)

    with pytest.raises(Lost):
        ImportRun.objects.get(pk=run.pk).work(late, writing=True)
    assert not Customer.objects.exists()

    ImportRun.objects.get(pk=run.pk).work(Job.objects.select_related("owner").get(pk=late.pk), writing=True)
    assert Customer.objects.count() == 3


def test_a_check_that_was_broken_off_begins_anew_and_counts_each_row_once(client):
    run = begin(client, "customers", many(450) + "Customer 1\n")
    match(client, run)
    job = Job.objects.claim(Job.objects.latest("id").pk, worker="first")
    job.interruption = Stopping()
    job.run()

    run_waiting()

    run.refresh_from_db()
    assert (run.new, run.unchanged + run.skipped) == (450, 1)


def test_a_stopped_import_says_what_is_in_and_the_rest_comes_in_after_another_check(client):
    run = checked(client, "customers", many(450))
    client.post(f"/imports/{run.pk}/run/")
    job = Job.objects.claim(Job.objects.latest("id").pk, worker="first")
    client.post(f"/imports/{run.pk}/stop/")
    job.beat()
    job.run()

    page = client.get(f"/imports/{run.pk}/")
    assert page.context["run"].standing == "cancelled"
    assert page.context["counts"]["new"] == importing.FIRST_CHUNK == Customer.objects.count()

    client.post(f"/imports/{run.pk}/")
    run_waiting()
    client.post(f"/imports/{run.pk}/run/")
    run_waiting()
    assert Customer.objects.count() == 450


def test_a_button_pressed_twice_asks_for_one_check_and_one_import(client):
    run = begin(client, "customers", "name\nA\n")
    match(client, run)
    assert client.post(f"/imports/{run.pk}/").status_code == 409
    assert Job.objects.count() == 1
    run_waiting()
    client.post(f"/imports/{run.pk}/run/")
    assert client.post(f"/imports/{run.pk}/run/").status_code == 409
    assert Job.objects.count() == 2


def test_while_it_is_worked_on_the_matching_stays(client):
    run = begin(client, "customers", "name\nA\n")
    match(client, run)

    answer = match(client, run, from_level="=a")

    assert answer.status_code == 409
    run.refresh_from_db()
    assert run.matching == {"name": {"column": 0}}


# Whose it is, and who may


@pytest.mark.case(15)
def test_an_import_is_there_for_nobody_but_its_owner(client, rep):
    run = checked(client, "customers", "name,phone\nA,1\nB,abc\n")
    strangers = [
        make.user(),
        make.user(None, "opportunity_manager", at="head-office"),
        make.user(None, "administrator", at="head-office"),
    ]

    for stranger in map(signed_in, strangers):
        for page in ("", "match/", "refused.xlsx"):
            assert not_there(stranger, f"/imports/{run.pk}/{page}")
        for act in ("", "match/", "run/", "stop/"):
            assert not_there(stranger, f"/imports/{run.pk}/{act}", "post")
        assert "file.csv" not in stranger.get("/imports/").content.decode()
    assert not Customer.objects.exists()
    assert client.get(f"/imports/{run.pk}/").status_code == 200


def test_a_kind_is_offered_to_those_who_may_and_refused_to_others(client):
    offered = {value for value, _label in client.get("/imports/").context["form"].fields["kind"].choices}
    assert offered == {"customers", "contacts", "opportunities", "follow_ups"}
    assert upload(client, "users", "name\nA\n").context["form"].errors.keys() == {"kind"}
    assert upload(client, "past", "name\nA\n").context["form"].errors.keys() == {"kind"}
    assert not ImportRun.objects.exists()

    admin = signed_in(make.user(None, "administrator", at="head-office"))
    assert upload(admin, "users", "name\nA\n").status_code == 302


def test_an_import_is_done_with_the_rights_that_its_owner_has_then(client, rep):
    run = checked(client, "customers", "name\nA\n")
    client.post(f"/imports/{run.pk}/run/")
    User.objects.filter(pk=rep.pk).update(department=None)

    run_waiting()

    assert not Customer.objects.exists()
    assert Job.objects.latest("id").state == "failed"
    User.objects.filter(pk=rep.pk).update(department=make.department())
    page = client.get(f"/imports/{run.pk}/")
    assert page.context["run"].standing == "failed"
    assert "You may not do this." in page.content.decode()


@pytest.mark.case(19)
def test_a_file_is_kept_where_no_address_leads(client, settings):
    run = begin(client, "customers", "name\nSecret customer\n")

    kept = list(Path(settings.MEDIA_ROOT).rglob("*"))
    assert any(path.name == "rows" for path in kept)
    assert (Path(settings.MEDIA_ROOT) / "imports" / str(run.folder)).stat().st_mode & 0o077 == 0
    for address in (
        f"/media/imports/{run.folder}/rows",
        f"/imports/{run.folder}/rows",
        f"/static/imports/{run.folder}/rows",
    ):
        assert client.get(address).status_code == 404


def test_old_imports_go_with_their_files_and_what_they_brought_in_stays(client, settings):
    old, young = imported(client, "customers", "name\nA\n"), begin(client, "customers", "name\nB\n")
    ImportRun.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=31))

    tidy()

    assert list(ImportRun.objects.all()) == [young]
    assert [path.name for path in (Path(settings.MEDIA_ROOT) / "imports").iterdir()] == [str(young.folder)]
    assert Customer.objects.get().name == "A"


# The pages cost the same, however much there is


@pytest.mark.parametrize("rows", [1, 60])
def test_the_pages_ask_the_same_few_questions(client, rows, django_assert_max_num_queries):
    content = "name,phone,sector\n" + "".join(
        f"Customer {number},{random.choice(['1', 'abc'])},odd\n" for number in range(rows)
    )
    run = checked(client, "customers", content)
    for _ in range(rows // 10):
        begin(client, "customers", "name\nA\n")

    for address, most in (("/imports/", 8), (f"/imports/{run.pk}/", 8), (f"/imports/{run.pk}/match/", 12)):
        with django_assert_max_num_queries(most):
            assert client.get(address).status_code == 200


# People


@pytest.fixture
def admin():
    return signed_in(make.user("lin", "administrator", at="head-office"))


def test_people_come_in_with_a_user_name_made_of_their_name_and_no_password(admin):
    make.department("baoding")

    run = imported(
        admin, "users", "sales_agent\nMoses Frase\nAnna Snelling\n", from_department="=baoding", from_username="0"
    )

    assert (run.new, run.refused) == (2, 0)
    moses = User.objects.get(username="moses.frase")
    assert (moses.name, moses.department.key, moses.role_keys, moses.is_staff) == (
        "Moses Frase",
        "baoding",
        {"rep"},
        False,
    )
    assert not moses.has_usable_password()
    assert Audit.objects.filter(kind="rights_changed", data__user="moses.frase").count() == 1


def test_people_who_are_there_already_stay_as_they_are(admin):
    make.department("baoding")
    content = "name,email\nMoses Frase,moses@example.org\n"
    imported(admin, "users", content, from_department="=baoding")

    run = checked(admin, "users", content, from_department="=baoding", from_role="=gm")

    assert (run.new, run.unchanged + run.skipped) == (0, 1)
    assert User.objects.get(username="moses.frase").role_keys == {"rep"}


def test_the_check_says_who_cannot_sign_in_for_want_of_an_address(admin):
    content = "name,user name,email,department\n"
    content += "Moses Frase,moses,moses@example.org,head-office\nAnna Snelling,anna,,head-office\n"

    run = checked(admin, "users", content)

    said = {values["User name"]: values.get("Account") for values in map(dict, run.sample)}
    assert said == {"moses": None, "anna": "No e-mail address, so no sign-in yet"}


def test_two_people_cannot_have_one_address(admin):
    make.user("old", email="taken@example.org")
    content = "name,username,email\nA,a,Taken@example.org\nB,b,new@example.org\n"
    content += "C,c,new@example.org\nD,d e,\nE,old,taken@example.org\n"

    run = checked(admin, "users", content, from_department="=shijiazhuang")

    assert counts(run) == (2, 0, 0, 1, 2)
    assert [cell[:2] for cell in refusals(run)] == [(2, "email"), (4, "email")]


def test_people_come_in_with_all_that_an_administrator_says_of_them(admin):
    make.department("baoding")
    content = """姓名,用户名,职务,邮箱,部门,角色,语言,时区,状态
张三,zhang.san,主管,zhang@example.org,总部 › Hebei › Baoding,"客户经理，行业总监",中文,北京,在用
Li Si,li.si,,,Hebei/Baoding,gm,en,Europe/Berlin,
Moved Away,away,,,baoding,Sales rep; gm;rep,,,否
Odd One,odd,,,Baoding,"rep, king",Klingon,Nowhere,perhaps
"""

    run = imported(admin, "users", content)

    assert (run.new, run.refused) == (3, 1)
    assert [cell[1:3] for cell in refusals(run)] == [
        ("角色", "rep, king"), ("语言", "Klingon"), ("时区", "Nowhere"), ("状态", "perhaps"),
    ]  # fmt: skip
    people = {person.username: person for person in User.objects.filter(department__key="baoding")}
    said = [
        (one.name, one.title, one.language, one.time_zone, one.is_active, one.role_keys)
        for one in (people["zhang.san"], people["li.si"], people["away"])
    ]
    assert said == [
        ("张三", "主管", "zh-hans", "Asia/Shanghai", True, {"rep", "director"}),
        ("Li Si", "", "en", "Europe/Berlin", True, {"gm"}),
        ("Moved Away", "", "", "", False, {"rep", "gm"}),
    ]
    noted = {row.data["user"]: row.data["after"] for row in Audit.objects.filter(kind="rights_changed")}
    assert noted["zhang.san"] == {"active": True, "department": "baoding", "roles": ["director", "rep"]}
    assert noted["away"] == {"active": False, "department": "baoding", "roles": ["gm", "rep"]}


def test_who_administers_among_several_roles_is_let_into_the_administration(admin):
    imported(admin, "users", "name,roles,department\nA B,rep;administrator,head-office\nC D,rep,head-office\n")

    assert dict(User.objects.filter(username__in=["a.b", "c.d"]).values_list("username", "is_staff")) == {
        "a.b": True,
        "c.d": False,
    }
