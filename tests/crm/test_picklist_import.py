"""Values of picklists come in from a file as they come in from the page of their list: the same rows and refusals."""

import pytest
from django.core.management import call_command
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra.django import TestCase

from crm import picklists
from crm.jobs import run_waiting
from crm.models import Audit, User
from crm.organisation import Organisation
from crm.picklist_pages import form_of
from crm.resources import kinds
from crm.verbs import NotAllowed
from customers.models import Industry
from opportunities.models import FollowUpKind, LostReason, RevenueCategory, Source, Stage
from opportunities.reviews import ReviewChoice, ReviewQuestion
from tests import factories as make
from tests.digest import nothing_changed
from tests.importing import begin, checked, imported, refusals, signed_in, upload

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _own_files(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def administrator():
    return make.user("lin", "administrator", at="head-office")


@pytest.fixture
def admin():
    return signed_in(administrator())


def said(values, *fields):
    return list(values.values_list(*fields))


def test_values_of_several_lists_come_in_from_one_file(admin):
    content = """List,Key,Name in English,名称,Order,Colour,Active,Needs a note
Sources,fair,Trade fair,展会,15,#2f45c4,yes,
来源,,,老客户推荐,,,,
lost reason,,Went elsewhere,,,,no,是
Industries,,Fishing,,,,,
"""

    run = imported(admin, "picklists", content)

    assert (run.new, run.refused) == (4, 0), refusals(run)
    fair = Source.objects.get(key="fair")
    assert (fair.names, fair.order, fair.colour, fair.active) == (
        {"en": "Trade fair", "zh-hans": "展会"}, 15, "#2f45c4", True,
    )  # fmt: skip
    old = Source.objects.get(key="source")
    assert (old.names, old.order) == ({"zh-hans": "老客户推荐"}, 15 + picklists.STEP)
    left = LostReason.objects.get(key="went-elsewhere")
    assert (left.names, left.active, left.needs_note) == ({"en": "Went elsewhere"}, False, True)
    assert Industry.objects.filter(key="fishing").exists()
    noted = Audit.objects.filter(kind="picklist_changed").order_by("pk")
    assert [(row.by.username, row.data["list"], row.data["key"], row.data["before"]) for row in noted] == [
        ("lin", "source", "fair", None),
        ("lin", "source", "source", None),
        ("lin", "lost-reason", "went-elsewhere", None),
        ("lin", "industry", "fishing", None),
    ]


def test_one_list_is_chosen_for_all_rows(admin):
    run = imported(admin, "picklists", "Name\nTrade fair\nOld friend\n", from_list="=source")

    assert run.new == 2
    assert [name["en"] for (name,) in said(Source.objects, "names")][-2:] == ["Trade fair", "Old friend"]


def test_the_same_file_again_changes_nothing(admin):
    content = "List,Key,Name,中文\nSources,fair,Trade fair,\nSources,,Old friend,\nSources,,,展会\nStages,won,,\n"
    content += "Sources,fair,Again,\nSources,,OLD FRIEND,\n"
    run = imported(admin, "picklists", content)
    assert (run.new, run.unchanged + run.skipped) == (3, 3)

    again = checked(admin, "picklists", content)

    assert (again.new, again.unchanged + again.skipped) == (0, 6)
    with nothing_changed():
        assert admin.post(f"/imports/{again.pk}/run/").status_code == 409


def test_a_value_of_the_same_name_in_another_list_is_another(admin):
    run = imported(admin, "picklists", "List,Name\nSources,Health\nIndustries,Health\n")

    assert (run.new, run.unchanged + run.skipped) == (1, 1)
    assert Source.objects.filter(key="health").exists()


def test_what_is_part_of_something_else_is_told_apart_by_that(admin):
    categories = "List,Key,Name,Part of\n{0},eq,Equipment,\n{0},sv,Services,\n".format("Revenue categories")
    imported(admin, "picklists", categories)

    rows = "".join(f"Revenue categories,Other,{parent}\n" for parent in ("Equipment", "sv", "eq"))
    run = imported(admin, "picklists", "List,Name,Part of\n" + rows)

    assert (run.new, run.unchanged + run.skipped) == (2, 1)
    assert said(RevenueCategory.objects.filter(level=2).order_by("pk"), "names__en", "parent__key") == [
        ("Other", "eq"),
        ("Other", "sv"),
    ]
    assert checked(admin, "picklists", "List,Name\nRevenue categories,Other\n").unchanged == 1


def test_what_a_list_has_beside_comes_in_with_it(admin):
    content = """List,Key,Name,Pipeline,Status group,Probability,Icon,asked,kind,must be answered,review question
Stages,trial,Trial,Sales,Open,55,,,,Source；描述,
Kinds of follow-up,,Fair,,,,shop,,,,
Review questions,why,Why us?,,choice,,,When signing,,yes,
Answers to choose,,Price,,,,,,,,why
"""
    more = ["Days until it is overdue,May be moved back,Help text in English,Help text in Simplified Chinese"]
    more += ["21,no,Sent.,已发送", ",,,", ",,,", ",,,"]
    content = "".join(f"{line},{rest}\n" for line, rest in zip(content.splitlines(), more, strict=True))
    pipeline = Stage.objects.first().pipeline
    content = content.replace("Trial,Sales", f"Trial,{pipeline.key}").replace("描述", "description")
    imported(admin, "picklists", content.rpartition("Answers")[0])
    imported(admin, "picklists", content)

    stage = Stage.objects.get(key="trial")
    assert (stage.pipeline, stage.kind, stage.probability) == (pipeline, "open", 55)
    assert (stage.required, stage.rots_after, stage.may_move_back, stage.hints) == (
        ["source", "description"], 21, False, {"en": "Sent.", "zh-hans": "已发送"},
    )  # fmt: skip
    assert FollowUpKind.objects.get(key="fair").icon == "shop"
    question = ReviewQuestion.objects.get(key="why")
    assert (question.asked, question.kind, question.required) == ("sign", "choice", True)
    assert ReviewChoice.objects.get(question=question).names == {"en": "Price"}
    call_command("verify")


def test_what_the_page_refuses_is_refused_row_by_row_in_the_same_words(admin):
    pipeline = Stage.objects.first().pipeline.key
    content = f"""List,Key,Name,Colour,Order,Active,Pipeline,Status group,Probability
Sources,,,,,,,,
Sources,two words,A,,,,,,
Sources,,B,blue,,,,,
Sources,,C,,0,,,,
Sources,,D,,,perhaps,,,
Gardens,,E,,,,,,
Stages,,F,,,,{pipeline},Open,100
Stages,,G,,,,{pipeline},Half,50
Stages,,H,,,,nowhere,Open,50
Stages,,I,,,,,Open,50
Stages,,J,,,,{pipeline},Open,
Sources,,{"x" * 81},,,,,,
Sources,,Good,,,,,,
"""
    run = checked(admin, "picklists", content)

    assert [(row, column, why) for row, column, _text, why in refusals(run)] == [
        (2, "Name", "Give a name in at least one language."),
        (3, "Key", form_says("key", "two words")),
        (4, "Colour", "Write it like #2f45c4."),
        (5, "Order", "Ensure this value is greater than or equal to 1."),
        (6, "Active", "“perhaps” is not in the list."),
        (7, "List", "“Gardens” is not in the list."),
        (8, "Probability", "An open stage has a probability from 1 to 99 %."),
        (9, "Status group", "“Half” is not in the list."),
        (10, "Pipeline", "“nowhere” is not in the list."),
        (11, "Pipeline", "Choose one."),
        (12, "Probability", "Fill this in."),
        (13, "Name", form_says("name_en", "x" * 81)),
    ]


def form_says(name, text):
    form = form_of(Source)({name: text, "name_zh-hans": "x"}, instance=Source(), user=make.user())
    return form.errors[name][0]


def test_the_last_open_stage_is_not_brought_in_retired(admin):
    Stage.objects.filter(kind="open").update(active=False)
    pipeline = Stage.objects.first().pipeline.key

    run = checked(
        admin,
        "picklists",
        f"List,Name,Pipeline,Status group,Probability,Active\nStages,Trial,{pipeline},Open,50,no\n",
    )

    assert refusals(run) == [(2, "Active", "no", "A pipeline needs an open stage to begin with.")]


def test_names_are_taken_in_the_languages_that_are_offered(admin):
    Organisation.read().change(by=User.objects.get(), seen=0, languages=["en"], default_language="en")

    run = begin(admin, "picklists", "List,Name,中文名称\nSources,Fair,展会\n")

    fields = admin.get(f"/imports/{run.pk}/match/").context["form"].targets
    assert [name for name in fields if name.startswith("name")] == ["name_en"]


def test_only_administrators_are_offered_it_and_the_verb_asks_again(admin):
    for role in ("rep", "gm", "support", "opportunity_manager"):
        person = make.user(None, role, at="head-office")
        for kind in ("picklists", "products"):
            assert upload(signed_in(person), kind, "name\nA\n").context["form"].errors.keys() == {"kind"}
            with pytest.raises(NotAllowed):
                kinds()[kind](person)
    resource = kinds()["picklists"](User.objects.get(username="lin"))
    resource.user = make.user()
    with nothing_changed(), pytest.raises(NotAllowed):
        resource.write([Source(names={"en": "A"})])


def test_somebody_else_does_not_find_the_import(admin):
    run = checked(admin, "picklists", "List,Name\nSources,Fair\n")
    other = signed_in(make.user("other", "administrator", at="head-office"))

    for page in ("", "match/", "refused.xlsx"):
        assert other.get(f"/imports/{run.pk}/{page}").status_code == 404
    assert other.post(f"/imports/{run.pk}/run/").status_code == 404


def test_the_pages_of_picklists_lead_there(admin):
    assert 'href="/imports/?kind=picklists"' in admin.get("/picklists/").content.decode()
    assert 'href="/imports/?kind=picklists"' in admin.get("/picklists/source/").content.decode()
    assert 'href="/imports/?kind=products"' in admin.get("/picklists/product/").content.decode()


def test_a_list_with_an_import_of_its_own_is_not_among_the_others(admin):
    run = begin(admin, "picklists", "List,Name\nProducts,A\n")

    offered = dict(admin.get(f"/imports/{run.pk}/match/").context["form"].targets["list"].widget.options)
    assert offered.keys() == picklists.kinds().keys() - {"product"}


# Values that are there


def test_a_file_changes_values_that_are_there_and_the_change_is_undone(admin):
    imported(admin, "picklists", "List,Key,Name,中文名称,Order,Colour\nSources,fair,Fair,展会,15,#2f45c4\n")
    before = Source.objects.values().get(key="fair")
    content = "List,Key,Name,Order,Colour,Active\nSources,fair,Trade fair,25,#3f9257,no\nSources,new,New,,,\n"

    run = checked(admin, "picklists", content, mode="overwrite")
    assert (run.new, run.changed, run.refused) == (1, 1, 0), refusals(run)
    assert run.changes == [
        [
            "Trade fair",
            [
                ["Name in English", "Fair", "Trade fair"],
                ["Order", "15", "25"],
                ["Colour", "#2f45c4", "#3f9257"],
                ["Active", "Yes", "No"],
            ],
        ]
    ]
    assert Source.objects.values().get(key="fair") == before
    assert admin.post(f"/imports/{run.pk}/run/").status_code == 302
    run_waiting()

    fair = Source.objects.get(key="fair")
    assert (fair.names, fair.order, fair.colour, fair.active, fair.version) == (
        {"en": "Trade fair", "zh-hans": "展会"}, 25, "#3f9257", False, 1,
    )  # fmt: skip
    noted = Audit.objects.filter(kind="picklist_changed", data__key="fair").latest("pk").data
    assert (noted["before"]["order"], noted["after"]["order"]) == (15, 25)
    again = checked(admin, "picklists", content, mode="overwrite")
    assert (again.new, again.changed, again.unchanged) == (0, 0, 2)

    assert admin.post(f"/imports/{run.pk}/undo/").status_code == 302
    run_waiting()
    assert Source.objects.values().get(key="fair") == before | {"version": 2}
    assert not Source.objects.filter(key="new").exists()
    call_command("verify")


def test_a_value_that_changed_since_is_left_as_it_is(admin):
    imported(admin, "picklists", "List,Key,Name\nSources,fair,Fair\nSources,old,Old\n")
    content = "List,Key,Name\nSources,fair,Trade fair\nSources,old,Former\n"
    run = imported(admin, "picklists", content, mode="overwrite")
    fair = Source.objects.get(key="fair")
    picklists.change(fair, by=User.objects.get(), seen=fair.version, colour="#3f9257")

    admin.post(f"/imports/{run.pk}/undo/")
    run_waiting()

    assert said(Source.objects.filter(key__in=["fair", "old"]).order_by("key"), "names") == [
        ({"en": "Trade fair"},),
        ({"en": "Old"},),
    ]
    assert [entry.why for entry in run.left] == ["It was changed since."]


def test_one_that_somebody_changes_between_check_and_import_stops_the_import(admin):
    imported(admin, "picklists", "List,Key,Name\nSources,fair,Fair\n")
    run = checked(admin, "picklists", "List,Key,Name\nSources,fair,Trade fair\n", mode="overwrite")
    fair = Source.objects.get(key="fair")
    picklists.change(fair, by=User.objects.get(), seen=fair.version, colour="#3f9257")

    admin.post(f"/imports/{run.pk}/run/")
    run_waiting()

    run.refresh_from_db()
    assert Source.objects.get(key="fair").names == {"en": "Fair"}
    assert (run.state, run.job.error) == ("matched", "Row 2 would no longer come to what the check said. Check again.")


def test_what_is_chosen_once_is_not_changed_by_a_file(admin):
    stage = Stage.objects.filter(kind="open").first()
    row = f"Stages,{stage.key},{stage.name},{stage.pipeline.key},{{}},35\n"
    content = "List,Key,Name,Pipeline,Status group,Probability\n" + row.format("Won") + row.format("Open")

    run = checked(admin, "picklists", content, mode="overwrite")

    assert refusals(run) == [
        (2, "Status group", "Won", "“Status group” of a value is chosen once, and this one has another.")
    ]
    assert run.changes == [[stage.name, [["Probability", str(stage.probability), "35"]]]]


def test_unless_one_says_so_a_value_that_is_there_stays(admin):
    imported(admin, "picklists", "List,Key,Name\nSources,fair,Fair\n")

    run = checked(admin, "picklists", "List,Key,Name\nSources,fair,Trade fair\n")

    assert (run.new, run.changed, run.skipped) == (0, 0, 1)


class TestSameRules(TestCase):
    @settings(max_examples=60, deadline=None)
    @given(
        row=some.fixed_dictionaries(
            {
                "name_en": some.text("ab \t石", max_size=4) | some.just("x" * 81),
                "name_zh-hans": some.sampled_from(["", "石", " ", "y" * 81]),
                "key": some.text("a-_ B石", max_size=4) | some.just("k" * 41),
                "colour": some.sampled_from(["", "#2f45c4", "#2F45C4", "#2f45c", "blue", "#2f45c4\n#2f45c4"]),
                "pipeline": some.sampled_from(["", "there", "gone"]),
                "kind": some.sampled_from(["", "open", "Won", "终止", "half"]),
                "probability": some.sampled_from(["", "1", "99", "100", "0", "-1", "50.5", "x", " 40 "]),
            }
        )
    )
    def test_a_row_is_refused_exactly_where_the_form_refuses_it(self, row):
        admin, there = administrator(), Stage.objects.first().pipeline
        texts = row | {"pipeline": {"there": there.key}.get(row["pipeline"], row["pipeline"])}
        resource = kinds()["picklists"](admin)
        resource.match({"list": {"value": "stage"}} | {name: {"column": n} for n, name in enumerate(texts)}, {})
        [verdict] = resource.read([[2, *texts.values()]])

        chosen = {
            "pipeline": {"there": str(there.pk), "": ""}.get(row["pipeline"], "0"),
            "kind": {"Won": "won", "终止": "lost", "": "open"}.get(row["kind"], row["kind"]),  # open stands first
        }
        typed = {name: " ".join(text.splitlines()) for name, text in row.items()}
        form = form_of(Stage)({**typed, **chosen}, instance=Stage(), user=admin)

        assert form.is_valid() == (not verdict.faults), (form.errors, verdict.faults)
        assert {name for name, _text, _why in verdict.faults} <= form.errors.keys()
        if verdict.record is not None:
            fields = ("names", "key", "colour", "pipeline", "kind", "probability")
            for name in fields:
                assert getattr(form.instance, name) == getattr(verdict.record, name)


class TestSameAsThePage(TestCase):
    @settings(max_examples=15, deadline=None)
    @given(names=some.lists(some.text("ab 石", min_size=1, max_size=4).filter(str.strip), min_size=1, max_size=4))
    def test_bringing_in_many_gives_what_entering_each_gives(self, names):
        admin = administrator()
        resource = kinds()["picklists"](admin)
        resource.match({"list": {"value": "source"}, "name_en": {"column": 0}}, {})
        verdicts = resource.read([[n, name] for n, name in enumerate(names, 2)])
        resource.write([verdict.record for verdict in verdicts])
        last = len(names)
        brought = said(Source.objects.order_by("-pk"), "names", "colour", "active")[:last]
        notes = [row.data["after"]["names"] for row in Audit.objects.filter(kind="picklist_changed")][:last]

        for name in names:
            form = form_of(Source)({"name_en": name}, instance=Source(), user=admin)
            assert form.is_valid() and form.make(), form.errors

        assert brought == said(Source.objects.order_by("-pk"), "names", "colour", "active")[:last]
        assert notes == [row.data["after"]["names"] for row in Audit.objects.filter(kind="picklist_changed")][:last]
