"""What people type into a form is taken as they write it, and what is not understood comes back with the way out."""

import json
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from crm.fields import AmountField, DayField, MomentField, PickerField, TimeZoneField, read_amount, read_day
from crm.forms import Form
from crm.models import Department, User
from crm.money import LARGEST
from tests.factories import department, user

# ── Amounts ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("450000", "450000"),
        ("450,000", "450000"),
        ("450 000", "450000"),
        ("45,0000", "450000"),
        ("45万", "450000"),
        ("45 万元", "450000"),
        ("12.8万", "128000"),
        ("1.2亿", "120000000"),
        ("3百万", "3000000"),
        ("2千万", "20000000"),
        ("￥880000", "880000"),
        ("¥ 880,000.50", "880000.50"),
        ("１２３，０００", "123000"),
        ("  99.9  ", "99.9"),
        (".5", "0.5"),
        ("CNY 5000", "5000"),
        ("5000元", "5000"),
        ("1.28 M", "1280000"),
        ("96k", "96000"),
        ("0", "0"),
    ],
)
def test_an_amount_is_read_as_people_write_it(text, amount):
    assert AmountField().clean(text) == Decimal(amount)


@pytest.mark.parametrize(
    "text",
    [
        "about 45万",
        "四十五万",
        "45,00",
        "1,5",
        "1.2.3",
        "45万万",
        "nan",
        "Infinity",
        "1e5",
        "٤٥",
        "--5",
        "=1+1",
        "万",
        "¥",
        pytest.param("9" * 10**6, id="a million digits"),
    ],
)
def test_what_is_no_amount_says_how_to_write_one(text):
    with pytest.raises(ValidationError, match=r"Write a number: 450000, 450,000 or 45万\."):
        AmountField().clean(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [("-1", "not below zero"), ("1.234", "two decimals"), ("1000000亿", "too large"), ("9" * 50, "too large")],
)
def test_an_amount_that_the_database_cannot_hold_says_why(text, words):
    with pytest.raises(ValidationError, match=words):
        AmountField().clean(text)


def test_an_empty_amount_is_none_or_asked_for():
    assert AmountField(required=False).clean("  ") is None
    with pytest.raises(ValidationError):
        AmountField().clean("　")


@given(st.decimals(min_value=0, max_value=LARGEST, places=2))
def test_an_amount_survives_the_way_into_the_field_and_back(amount):
    field = AmountField()
    assert field.clean(field.prepare_value(amount)) == amount
    assert not field.has_changed(amount, field.prepare_value(amount))


@given(st.text(max_size=40))
def test_no_text_breaks_the_readers(text):
    for read in (read_amount, read_day, MomentField(required=False).clean, TimeZoneField(required=False).clean):
        with suppress(ValueError, ValidationError):
            read(text)


# ── Days and moments ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text", ["2026-12-01", "2026-12-1", "2026/12/1", "2026.12.01", "2026年12月1日", "２０２６年１２月１日", "20261201"]
)
def test_a_day_is_read_as_people_write_it(text):
    assert DayField().clean(text) == date(2026, 12, 1)


@pytest.mark.parametrize(
    "text", ["2026-13-02", "2026-02-30", "1 Dec 2026", "12/1/2026", "0026-12-01", "2026-12/01", "soon"]
)
def test_what_is_no_day_says_how_to_write_one(text):
    with pytest.raises(ValidationError, match="Write a date: 2026-12-01 or 2026年12月1日"):
        DayField().clean(text)


@pytest.mark.parametrize(
    "text", ["2026-11-17T16:20", "2026-11-17 16:20:00", "2026年11月17日 16:20", "2026/11/17　16:20"]
)
def test_a_moment_is_read_in_the_readers_time_zone(text):
    with timezone.override("Asia/Shanghai"):
        assert MomentField().clean(text) == datetime(2026, 11, 17, 8, 20, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-17", "16:20", "2026-11-17 25:00", "yesterday"])
def test_what_is_no_moment_says_how_to_write_one(text):
    with pytest.raises(ValidationError, match="Write a date and a time"):
        MomentField().clean(text)


def test_a_moment_is_shown_in_the_readers_time_zone():
    class Planned(Form):
        at = MomentField()

    with timezone.override("Asia/Shanghai"):
        assert 'value="2026-11-17T16:20"' in str(
            Planned(initial={"at": datetime(2026, 11, 17, 8, 20, tzinfo=UTC)})["at"]
        )


# ── Time zones ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["Asia/Shanghai", "asia/shanghai", "Shanghai", " shanghai ", "Beijing", "北京"])
def test_a_time_zone_is_found_by_its_city(text):
    assert TimeZoneField().clean(text) == "Asia/Shanghai"


def test_a_city_of_two_words_is_found():
    assert TimeZoneField().clean("new york") == "America/New_York"


@pytest.mark.parametrize("text", ["Mars", "../etc/passwd", "Asia", "UTC+8"])
@pytest.mark.case(42)
def test_what_is_no_time_zone_says_what_to_write(text):
    with pytest.raises(ValidationError, match="no time zone of that name"):
        TimeZoneField().clean(text)


# ── Pickers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class PersonPicker(PickerField):
    url_name = "profile"  # any address will do here: no browser asks it
    find = ("name__icontains", "username__istartswith")

    def queryset_for(self, user):
        return User.objects.filter(department=user.department).order_by("name", "pk")

    def second(self, person):
        return person.username


class Handover(Form):
    to = PersonPicker(label="New person in charge")


class Sharing(Form):
    people = PersonPicker(label="People", many=True, required=False)


@pytest.fixture
def asker(db):
    return user("rep", name="Chen Yu")


def posted(form, asker, text, **kwargs):
    return form(QueryDict(text), user=asker, **kwargs)


def test_a_text_that_names_one_record_chooses_it(asker):
    liu = user("liu", name="Liu Min")
    for text in ("to=Liu Min", "to=liu  MIN", "to=Ｌｉｕ Min", "to=liu", f"to_id={liu.pk}"):
        form = posted(Handover, asker, text)
        assert form.is_valid(), (text, form.errors)
        assert form.cleaned_data["to"] == liu


def test_the_very_name_goes_before_longer_ones(asker):
    user("one", name="Wang Junjie")
    wang = user("two", name="Wang Jun")
    form = posted(Handover, asker, "to=wang jun")
    assert form.is_valid()
    assert form.cleaned_data["to"] == wang


def test_namesakes_come_back_to_choose_from(asker):
    first, second = user("wang.a", name="Wang Jun"), user("wang.b", name="Wang Jun")
    form = posted(Handover, asker, "to=Wang Jun")
    assert form.has_error("to", "several")
    page = str(form["to"])
    assert 'value="Wang Jun"' in page
    assert [f'name="to_pick" value="{one.pk}"' in page for one in (first, second)] == [True, True]
    assert "wang.a" in page
    assert "wang.b" in page

    form = posted(Handover, asker, f"to=Wang Jun&to_id=&to_pick={second.pk}")
    assert form.is_valid()
    assert form.cleaned_data["to"] == second
    assert f'name="to_id" value="{second.pk}"' in str(form["to"])  # another field's error does not ask again


def test_a_record_out_of_sight_is_as_unknown_as_one_that_does_not_exist(asker):
    stranger = user("sun", name="Sun Qi", at="baoding")
    for hidden, missing in [
        ("to=Sun Qi", "to=Xyz Qi"),
        (f"to_id={stranger.pk}", "to_id=987654321"),
        (f"to=Sun Qi&to_id={stranger.pk}", "to=Xyz Qi&to_id=987654321"),
        (f"to=Sun Qi&to_pick={stranger.pk}", "to=Xyz Qi&to_pick=987654321"),
    ]:
        one, other = posted(Handover, asker, hidden), posted(Handover, asker, missing)
        assert not one.is_valid()
        assert [error.code for error in one.errors.as_data()["to"]] == [
            error.code for error in other.errors.as_data()["to"]
        ]
        assert str(one.errors).replace("Sun Qi", "Xyz Qi") == str(other.errors)
        assert str(stranger.pk) not in str(one["to"]).replace(f'id="{one["to"].auto_id}"', "")


@pytest.mark.parametrize("key", ["abc", "-1", "1.5", "9" * 30, "１", "' OR 1=1"])
def test_a_key_that_is_none_is_refused(asker, key):
    form = posted(Handover, asker, f"to_id={key}")
    assert form.has_error("to", "invalid")


def test_a_text_that_was_changed_beside_its_key_rules(asker):
    liu, wang = user("liu", name="Liu Min"), user("wang", name="Wang Jun")
    form = posted(Handover, asker, f"to=Wang Jun&to_id={liu.pk}")
    assert form.is_valid()
    assert form.cleaned_data["to"] == wang
    form = posted(Handover, asker, f"to=&to_id={liu.pk}")
    assert form.has_error("to", "required")


def test_a_form_may_offer_fewer(asker):
    liu, wang = user("liu", name="Liu Min"), user("wang", name="Wang Jun")
    form = posted(Handover, asker, "to=Liu Min")
    form.fields["to"].queryset = User.objects.filter(pk=wang.pk)
    assert form.has_error("to", "unknown")
    form = posted(Handover, asker, f"to_id={wang.pk}")
    form.fields["to"].queryset = User.objects.filter(pk=wang.pk)
    assert form.is_valid()
    assert liu != wang


def test_what_the_record_holds_already_stays_though_out_of_sight(asker):
    stranger = user("sun", name="Sun Qi", at="baoding")
    form = Handover(user=asker, initial={"to": stranger})
    assert f'value="{stranger.pk}"' in str(form["to"])
    form = posted(Handover, asker, f"to=Sun Qi&to_id={stranger.pk}", initial={"to": stranger})
    assert form.is_valid()
    assert form.cleaned_data["to"] == stranger
    assert not form.has_changed()


def test_several_are_ticked_and_typed(asker):
    liu, wang, gao = user("liu", name="Liu Min"), user("wang", name="Wang Jun"), user("gao", name="Gao Fei")
    form = posted(Sharing, asker, f"people_id={liu.pk}&people=wang；Gao Fei")
    assert form.is_valid()
    assert form.cleaned_data["people"] == [liu, wang, gao]
    for text in ("people=", ""):
        form = posted(Sharing, asker, text)
        assert form.is_valid()
        assert form.cleaned_data["people"] == []


def test_several_come_back_ticked_with_the_one_that_is_unclear(asker):
    liu, one, two = user("liu", name="Liu Min"), user("wang.a", name="Wang Jun"), user("wang.b", name="Wang Jun")
    form = posted(Sharing, asker, f"people_id={liu.pk}&people=Wang Jun")
    assert form.has_error("people", "several")
    page = str(form["people"])
    assert f'name="people_id" value="{liu.pk}"' in page
    assert f'name="people_pick" value="{one.pk}"' in page
    form = posted(Sharing, asker, f"people_id={liu.pk}&people=Wang Jun&people_pick={one.pk}&people_pick={two.pk}")
    assert form.is_valid()
    assert form.cleaned_data["people"] == [liu, one, two]


def test_the_list_offers_what_the_form_takes_and_says_where_there_is_more(rf, asker):
    user("sun", name="Sun Qi", at="baoding")
    for number in range(PersonPicker.limit):
        user(f"min{number}", name=f"Min {number}")

    def ask(text):
        request = rf.get("/", {"q": text})
        request.user = asker
        return PersonPicker.as_view()(request)

    assert ask("Sun").content == ask("nobody").content
    assert json.loads(ask("Chen").content) == {
        "options": [{"id": asker.pk, "label": "Chen Yu", "second": "rep"}],
        "note": "",
        "create": None,
    }
    everybody = json.loads(ask("").content)
    assert len(everybody["options"]) == PersonPicker.limit
    assert everybody["note"] == "There are more. Write more of the name."
    assert json.loads(ask("Sun").content)["note"] == "Nothing that you may choose matches."


def test_a_list_is_asked_for_and_never_written_to(rf, asker):
    request = rf.post("/", {"q": "Chen"})
    request.user = asker
    assert PersonPicker.as_view()(request).status_code == 405


def test_pickers_of_two_forms_do_not_share_what_they_were_told(asker):
    department("baoding")
    one, other = Handover(user=asker), Handover(user=user("sun", at="baoding"))
    assert one.fields["to"].user != other.fields["to"].user
    assert one.fields["to"].widget.field is one.fields["to"]
    assert set(one.fields["to"].queryset) == {asker}
    assert Department.objects.count() == 4
