"""The month's order: what counts, for whom, in which month; who reads which list; what never shows."""

from collections import namedtuple
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine
from django.http import QueryDict
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from crm.conditions import Conditions
from crm.models import Department, User
from crm.moments import organisation_month
from opportunities.entry import Past
from opportunities.models import Opportunity
from opportunities.ranking import Places, Ranking, Table, by_place, month_after, month_before
from opportunities.reports import lede
from opportunities.signings import Signing
from tests import factories as make

pytestmark = pytest.mark.django_db
THIS_MONTH = organisation_month()
LAST_MONTH = month_before(THIS_MONTH)
Numbered = namedtuple("Numbered", ["key", "place", "value"])


def signed(owner, amount, on=None, **fields):
    """This will make an opportunity that `owner` signed for `amount`."""
    opportunity = make.opportunity(owner, state="active", **fields)
    deputy = make.approver(opportunity)
    make.sign(opportunity, approver=deputy, amount=Decimal(amount), on=on)
    opportunity.open_task.finish(by=deputy, seen=opportunity.version)
    opportunity.refresh_from_db()
    return opportunity


def ranked(reader, at=None, month=THIS_MONTH, **how):
    return Ranking(reader, month, at and make.department(at), **how)


def rows(table):
    return [(row.place, row.name, row.amount) for row in table.rows]


def listed(reader, parameter, asked):
    """This will give the opportunities of the list that a number opens."""
    conditions = Conditions.from_query(QueryDict(f"{parameter}={asked}"), Opportunity, reader)
    assert not conditions.errors
    return Opportunity.objects.visible_to(reader).filter(conditions.q())


class TestTheOrder:
    def test_the_largest_amount_comes_first(self):
        chen, liu = make.user(name="Chen Yu"), make.user(name="Liu Min")
        signed(chen, 500)
        signed(liu, 700)
        signed(liu, 100)

        assert rows(ranked(chen).amounts) == [(1, "Liu Min", 800), (2, "Chen Yu", 500)]
        assert [(row.place, row.name, row.value) for row in ranked(chen).reports.rows] == [
            (1, "Liu Min", 2),
            (2, "Chen Yu", 1),
        ]

    def test_equal_amounts_share_a_place_and_the_next_is_left_out(self):
        people = [make.user(name=name) for name in ("Chen Yu", "He Jing", "Liu Min")]
        for person, amount in zip(people, (500, 500, 100), strict=True):
            signed(person, amount)

        assert rows(ranked(people[0]).amounts) == [(1, "Chen Yu", 500), (1, "He Jing", 500), (3, "Liu Min", 100)]

    @given(st.dictionaries(st.integers(), st.integers(0, 5)))
    def test_a_place_is_one_more_than_those_who_have_more(self, values):
        places = {key: 1 + sum(other > value for other in values.values()) for key, value in values.items()}
        assert {key: place for place, keys in by_place(values).items() for key in keys} == places
        assert {key: Places(values).get(key) for key in values} == places
        assert list(by_place(values)) == sorted({*places.values()})
        assert Places(values).get("nobody") is None

    @given(st.dictionaries(st.integers(0, 30), st.integers(0, 5), min_size=1), st.integers(1, 12), st.data())
    def test_of_many_only_those_who_are_shown_are_put_in_order(self, values, number, data):
        mine = data.draw(st.sampled_from(sorted(values)))
        tied, known = by_place(values), set()
        placed = {key: place for place, keys in tied.items() for key in keys}

        def in_order(keys):
            assert len(keys) == 1 or known.issuperset(keys)
            return sorted(keys)

        table = Table(
            tied, known.update, in_order, lambda key: Numbered(key, placed[key], values[key]), mine, 0, 0, None
        )
        order = sorted(values, key=lambda key: (-values[key], key))
        top = order[:number] if mine in order[:number] else [*order[: number - 1], mine]

        assert [row.key for row in table.top(number)] == top
        assert known == {key for key in values if placed[key] <= number}
        assert [row.key for row in table.leaders] == [key for key in order if placed[key] == 1 and values[key]]
        assert table.ordered() == order and table.total == len(order)
        ahead = [key for key in order if values[key] > values[mine]]
        assert (table.ahead.key if table.ahead else None) == (ahead[-1] if ahead else None)

    def test_ones_own_row_is_there_with_nothing_in_it(self):
        reader = make.user(name="Ma Li", at="jinan")
        signed(make.user(name="Chen Yu"), 500)

        for table in (ranked(reader, "hebei").amounts, ranked(reader, "hebei").reports):
            assert [(row.name, row.mine) for row in table.rows] == [("Chen Yu", False), ("Ma Li", True)]

    def test_ones_own_row_is_shown_where_it_comes_late(self):
        reader = make.user(name="Ma Li")
        for number in range(4):
            signed(make.user(name=f"Rep {number}"), 500 - number)

        top = ranked(reader).amounts.top(3)
        assert [(row.place, row.name) for row in top] == [(1, "Rep 0"), (2, "Rep 1"), (5, "Ma Li")]

    def test_the_month_before_stands_beside(self):
        chen, liu = make.user(name="Chen Yu"), make.user(name="Liu Min")
        signed(chen, 500, on=LAST_MONTH)
        signed(liu, 900, on=LAST_MONTH)
        signed(chen, 100)

        assert [(row.name, row.place, row.before) for row in ranked(chen).amounts.rows] == [
            ("Chen Yu", 1, 2),
            ("Liu Min", 2, 1),
        ]
        assert rows(ranked(chen, month=LAST_MONTH).amounts) == [(1, "Liu Min", 900), (2, "Chen Yu", 500)]

    def test_january_follows_december(self):
        assert month_after(date(2026, 12, 1)) == date(2027, 1, 1)
        assert month_before(date(2027, 1, 1)) == date(2026, 12, 1)
        assert [month_before(month_after(date(2026, month, 1))).month for month in range(1, 13)] == list(range(1, 13))


class TestWhatCounts:
    def test_the_sums_are_those_of_the_months_signings_counted_once_each(self):
        people = [make.user(at=at) for at in ("shijiazhuang", "baoding", "hebei", "jinan", "head-office")]
        for number, person in enumerate(people, 1):
            signed(person, 1000 * number)
            signed(person, 7, on=LAST_MONTH)
        make.opportunity(people[0], state="signing")
        signings = Signing.objects.filter(month=THIS_MONTH)
        for of_departments in (False, True):
            table = ranked(people[0], "head-office", of_departments=of_departments).amounts

            assert (
                table.value == sum(row.value for row in table.rows) == sum(signing.base_cents for signing in signings)
            )
            assert table.count == sum(row.count for row in table.rows) == signings.count() == 5

    def test_what_waits_to_be_signed_does_not_count(self):
        rep = make.user()
        make.opportunity(rep, state="signing", amount=Decimal(900))

        assert ranked(rep).amounts.value == 0

    def test_a_terminated_one_keeps_its_report(self):
        rep = make.user()
        make.opportunity(rep, state="terminated")

        assert (ranked(rep).amounts.count, ranked(rep).reports.count) == (0, 1)

    def test_a_returned_report_is_none(self):
        rep = make.user()
        make.opportunity(rep, state="returned")

        assert ranked(rep).reports.count == 0

    def test_who_was_in_charge_then_is_credited_not_who_is_now(self):
        chen, liu = make.user(name="Chen Yu"), make.user(name="Liu Min")
        opportunity = make.opportunity(chen, state="active")
        opportunity.transfer(to=liu, by=chen)

        assert [(row.name, row.value) for row in ranked(liu).reports.rows] == [("Chen Yu", 1), ("Liu Min", 0)]

    def test_a_correction_shows(self):
        rep = make.user()
        opportunity = signed(rep, 500)
        manager = make.user(None, "opportunity_manager", at="head-office")
        figures = {"contract_number": "C", "term": None, "signed_on": opportunity.signing.signed_on}
        opportunity.correct(by=manager, reason="Misread.", signed_amount=Decimal(50), **figures)

        assert ranked(rep).amounts.amount == 50

    def test_an_imported_past_record_counts_as_signed_and_not_as_reported(self):
        manager = make.user(None, "opportunity_manager", at="head-office")
        like = make.opportunity(make.user())
        draft = Opportunity(name="Long ago", owner=like.owner, customer=like.customer, amount=Decimal(500))
        Opportunity.import_past([Past(draft, "signed", closed_on=LAST_MONTH)], by=manager)
        ranking = ranked(like.owner, month=LAST_MONTH)

        assert (ranking.amounts.amount, ranking.amounts.count, ranking.reports.count) == (500, 1, 0)


class TestDepartments:
    @pytest.fixture
    def reps(self):
        """Three in Hebei: at the province itself, in a city, in a team of that city; one in Shandong."""
        team = make.department("team-one", parent=make.department("baoding"), level=40)
        people = {at: make.user(name=f"Rep {at}", at=at) for at in ("hebei", "shijiazhuang", "jinan")}
        people["team-one"] = make.user(name="Rep team", at=team)
        for number, person in enumerate(people.values(), 1):
            signed(person, number * 100)
        return people

    def departments(self, reader, at):
        table = ranked(reader, at, of_departments=True).amounts
        return {row.name: row.amount for row in table.rows}

    def test_one_level_is_shown_and_what_lies_deeper_counts_in_it(self, reps):
        assert self.departments(reps["jinan"], "hebei") == {"Hebei itself": 100, "Shijiazhuang": 200, "Baoding": 400}
        assert self.departments(reps["jinan"], "head-office") == {"Hebei": 700, "Shandong": 300}
        assert self.departments(reps["jinan"], "baoding") == {"Team-one": 400}
        assert self.departments(reps["jinan"], "team-one") == {"Team-one itself": 400}

    def test_a_department_with_nothing_is_there_too(self, reps):
        make.department("tangshan", parent=make.department("hebei"))
        assert self.departments(reps["jinan"], "hebei")["Tangshan"] == 0

    def test_the_readers_own_is_marked(self, reps):
        table = ranked(reps["team-one"], "hebei", of_departments=True).amounts
        assert [row.name for row in table.rows if row.mine] == ["Baoding"]

    def test_moving_a_department_changes_no_past_month(self, reps):
        before = [self.departments(reps["jinan"], at) for at in ("head-office", "hebei", "shandong")]
        baoding = make.department("baoding")
        baoding.parent = make.department("shandong")
        baoding.save()
        after = [self.departments(reps["jinan"], at) for at in ("head-office", "hebei", "shandong")]

        assert after == [before[0], before[1], before[2] | {"Baoding": 0}]  # it is Shandong's now, as yet with nothing
        assert rows(ranked(reps["jinan"], "hebei").amounts)[0] == (1, "Rep team", 400)


class TestLists:
    """A number opens the list that it counts, for a reader who sees all of it; for nobody else."""

    def test_the_list_is_exactly_what_the_row_counts(self):
        chief = make.user(None, "gm", at="hebei")
        reps = [make.user(at=at) for at in ("shijiazhuang", "baoding", "hebei")]
        for rep in reps:
            signed(rep, 300)
            signed(rep, 200)
            signed(rep, 77, on=LAST_MONTH)
            make.opportunity(rep, state="active")
        for of_departments in (False, True):
            ranking = ranked(chief, "hebei", of_departments=of_departments)
            for parameter, table in (("signed", ranking.amounts), ("reported", ranking.reports)):
                for row in table.rows:
                    if row.count:
                        assert listed(chief, parameter, row.ask).count() == row.count
                assert listed(chief, parameter, table.ask).count() == table.count
            amounts = listed(chief, "signed", ranking.amounts.ask).values_list("signing__base_cents", flat=True)
            assert sum(amounts) == ranking.amounts.value == 3 * 500 * 100

    def test_a_rep_opens_only_their_own(self):
        chen, liu = make.user(name="Chen Yu"), make.user(name="Liu Min")
        signed(chen, 500)
        signed(liu, 400)
        table = ranked(chen).amounts

        assert [(row.name, bool(row.ask)) for row in table.rows] == [("Chen Yu", True), ("Liu Min", False)]
        assert table.ask is None

    def test_their_chief_opens_both(self):
        chen, liu = make.user(name="Chen Yu"), make.user(name="Liu Min")
        signed(chen, 500)
        signed(liu, 400)
        table = ranked(make.user(None, "gm")).amounts

        assert [bool(row.ask) for row in table.rows] == [True, True, False]  # the chief's own is empty
        assert table.ask

    def test_head_office_opens_everything(self):
        signed(make.user(), 500)
        for reader in (make.user(None, "gm", at="head-office"), make.user(None, "opportunity_manager", at="jinan")):
            assert [bool(row.ask) for row in ranked(reader).amounts.rows] == [True, False]

    def test_a_share_opens_a_record_and_no_number(self):
        rep, reader = make.user(), make.user(at="baoding")
        opportunity = signed(rep, 500)
        opportunity.share(by=rep, people=[reader])

        assert [row.ask for row in ranked(reader).amounts.rows] == [None, None]

    def test_a_chief_whose_record_left_for_elsewhere_does_not_open_the_number_that_still_counts_it(self):
        rep = make.user(at="shijiazhuang")
        chief = make.user(None, "gm", at="shijiazhuang")
        opportunity = make.opportunity(rep, state="active")
        make.opportunity(rep, state="active")
        assert ranked(chief).reports.ask

        opportunity.transfer(to=make.user(at="jinan"), by=rep)
        [row] = [row for row in ranked(chief).reports.rows if row.count]
        assert (row.count, row.ask) == (2, None)

    @pytest.mark.parametrize(
        "asked", ["2026-13", "2026-11.owner-5", "2026-11.by-x", "2026-11.by-999999", "1", "2026-11.in-", "x" * 300]
    )
    def test_an_address_that_means_nothing_is_said_to(self, asked):
        conditions = Conditions.from_query(QueryDict(f"signed={asked}"), Opportunity, make.user())
        assert conditions.errors

    def test_a_chip_says_what_the_list_counts(self):
        chief = make.user(None, "gm", at="hebei")
        rep = make.user(name="Chen Yu")
        signed(rep, 5)
        asked = next(row.ask for row in ranked(chief, "hebei").amounts.rows if row.ask)
        [chip] = Conditions.from_query(QueryDict(f"signed={asked}"), Opportunity, chief).chips()

        assert chip.label == "Signed"
        assert chip.value.endswith("Hebei and below, Chen Yu")

    def test_a_condition_holds_of_one_record_as_it_does_in_the_database(self):
        rep = make.user()
        yes, no = signed(rep, 5), make.opportunity(rep, state="active")
        for parameter, expected in (("signed", [True, False]), ("reported", [True, True])):
            asked = ranked(rep).amounts.rows[0].ask
            conditions = Conditions.from_query(QueryDict(f"{parameter}={asked}"), Opportunity, rep)
            assert [conditions.holds(record) for record in (yes, no)] == expected
            assert [
                Opportunity.objects.filter(conditions.q(), pk=record.pk).exists() for record in (yes, no)
            ] == expected


class TestInWords:
    def said(self, reader, **how):
        return lede(ranked(reader, **how))

    def test_who_leads_and_where_one_stands(self):
        chen, he, zhou = (make.user(name=name) for name in ("Chen Yu", "He Jing", "Zhou Lan"))
        for person, amount in ((chen, 900), (he, 500), (zhou, 460)):
            signed(person, amount)
        make.opportunity(he, state="active")

        expected = "Chen Yu leads by amount, He Jing by reports. You are 3rd by amount, ¥40 behind He Jing."
        assert self.said(zhou) == expected

    def test_one_who_leads_everything(self):
        chen = make.user(name="Chen Yu")
        signed(chen, 900)

        assert self.said(make.user()).startswith("Chen Yu leads by amount and by reports. You signed nothing in ")
        assert self.said(chen) == "You lead by amount. You lead by reports."

    def test_several_who_lead(self):
        for name in ("Chen Yu", "He Jing"):
            signed(make.user(name=name), 900)
        assert self.said(make.user()).startswith(
            "Chen Yu and He Jing lead by amount. Chen Yu and He Jing lead by reports."
        )
        for number in range(2):
            signed(make.user(name=f"Rep {number}"), 900)
        assert self.said(make.user()).startswith("4 share the lead by amount.")

    def test_an_empty_month(self):
        assert self.said(make.user()).startswith("Nothing was signed and no report was approved in ")


class TestThePage:
    @pytest.fixture
    def rep(self):
        return make.user(name="Chen Yu")

    def page(self, client, reader, address="/ranking/"):
        client.force_login(reader)
        return client.get(address)

    def test_it_opens_on_this_month_and_ones_own_province(self, client, rep):
        response = self.page(client, rep)

        assert response.context["month"] == THIS_MONTH
        assert str(response.context["department"]) == "Hebei"

    def test_head_office_opens_on_everything(self, client):
        response = self.page(client, make.user(at="head-office"))
        assert str(response.context["department"]) == "Head office"

    def test_any_month_and_any_department_can_be_asked_for(self, client, rep):
        jinan = make.department("jinan")
        response = self.page(client, rep, f"/ranking/?month={LAST_MONTH:%Y-%m}&department={jinan.pk}&by=department")

        assert (response.context["month"], response.context["department"]) == (LAST_MONTH, jinan)
        assert f"month={month_before(LAST_MONTH):%Y-%m}" in response.content.decode()

    @pytest.mark.parametrize(
        "query", ["month=never", "month=2026-99", "month=", "department=x", "department=99999999999999999999", "by=x"]
    )
    def test_an_address_that_means_nothing_gives_the_usual_page(self, client, rep, query):
        response = self.page(client, rep, f"/ranking/?{query}")

        assert response.status_code == 200
        assert response.context["month"] == THIS_MONTH

    def test_its_totals_are_the_same_for_every_reader(self, client, rep):
        signed(rep, 900)
        signed(make.user(at="jinan"), 450)
        head_office = make.department("head-office").pk
        readers = [
            rep,
            make.user(at="jinan"),
            make.user(None, "gm", at="hebei"),
            make.user(None, "opportunity_manager", at="head-office"),
        ]
        totals = set()
        for reader in readers:
            ranking = self.page(client, reader, f"/ranking/?department={head_office}").context["ranking"]
            totals.add(
                (tuple((row.name, row.value) for row in ranking.amounts.rows if row.value), ranking.reports.value)
            )
        assert len(totals) == 1

    def test_it_names_no_record(self, client, rep):
        opportunity = signed(rep, 900, name="Smart metering c0ffee", customer=make.customer(rep, name="Qinghe c0ffee"))
        for reader in (rep, make.user(None, "opportunity_manager", at="head-office")):
            html = self.page(client, reader).content.decode()
            assert "c0ffee" not in html
            assert opportunity.number not in html

    def test_a_stranger_has_no_link_and_its_owner_has(self, client, rep):
        signed(rep, 900)
        link = f"signed={THIS_MONTH:%Y-%m}"

        assert link not in self.page(client, make.user()).content.decode()
        assert link in self.page(client, rep).content.decode()

    def test_it_is_only_for_those_who_sign_in(self, client):
        assert client.get("/ranking/").url.startswith(reverse("account_login"))

    def test_a_new_house_without_departments_has_a_page(self, client):
        person = User.objects.create(username="first", name="First")
        assert not Department.objects.exists()

        for query in ("", "?by=department"):
            assert self.page(client, person, f"/ranking/{query}").status_code == 200

    def test_it_costs_the_same_queries_for_one_row_and_for_thirty(self, client, rep, django_assert_max_num_queries):
        signed(rep, 900)
        chief = make.user(None, "gm", at="hebei")
        for number in range(2):
            self.page(client, chief)  # the kinds of record are looked up once
            with django_assert_max_num_queries(12) as counted:
                client.get("/ranking/")
            if number == 0:
                first = len(counted)
                for _row in range(29):
                    person = make.user(at=make.department(f"city-{_row}"))
                    Signing.objects.filter(opportunity=signed(person, 10)).update(owner=person)
            else:
                assert len(counted) == first


@time_machine.travel(datetime(2026, 11, 30, 16, 30, tzinfo=UTC))
def test_months_are_the_organisations_whatever_the_clocks_of_its_people_say():
    """In Shanghai it is the first of December."""
    rep = make.user(time_zone="America/New_York")
    make.opportunity(rep, state="active")

    assert ranked(rep, month=date(2026, 12, 1)).reports.count == 1
    assert ranked(rep, month=date(2026, 11, 1)).reports.count == 0
