"""Fills a database with believable opportunities, and the organisation that works on them, for load and scale."""

import json
import random
import time
from datetime import datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from math import floor

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.contenttypes.models import ContentType
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from approvals.models import Act, RouteVersion
from crm.models import Department, Level, Role, User
from crm.moments import organisation_zone
from crm.pinyin import sort_key
from customers.models import Contact, Customer, CustomerLevel, Industry
from notices.history import Event, describe
from notices.models import Announcement
from opportunities.lives import Life, write
from opportunities.models import BusinessType, FollowUpKind, LostReason, Opportunity, Source, Stage, State

FILE = settings.BASE_DIR / "fixtures" / "seed.json"
PER_REP = 230  # opportunities; a large organisation has more people, not busier ones
PER_CUSTOMER = 10
PER_CITY = 12  # reps

# How many in a thousand come to which end. The organisation is some years old, and most of its past is closed.
ENDS = {
    "draft": 40, "void": 20, "reporting": 15, "returned": 15, "active": 495, "signing": 15, "terminating": 10,
    "signed": 250, "terminated": 140,
}  # fmt: skip
CLOSED = ("signed", "terminated", "void")
PENDING = ("reporting", "returned", "signing", "terminating")
WAITING = {(Act.REPORT, "reporting"), (Act.SIGN, "signing"), (Act.TERMINATE, "terminating")}


class Command(BaseCommand):
    help = "Fills a database with believable opportunities, for load and scale. Again: adds as many once more."

    def add_arguments(self, parser):
        parser.add_argument("--opportunities", type=int, default=10_000, metavar="N")
        parser.add_argument("--seed", type=int, default=1, help="of the random numbers: the same gives the same")

    def handle(self, *, opportunities, seed, **options):
        if settings.PRODUCTION:
            raise CommandError("This is a production system: it holds what is real, and nothing else.")
        if opportunities < 1:
            raise CommandError("Write how many opportunities there are to be: --opportunities 100000.")
        began = said = time.monotonic()
        words = json.loads(FILE.read_text(encoding="utf-8"))
        chance = random.Random(seed)  # noqa: S311  what is made is made up
        organisation = Organisation(words, -(-opportunities // PER_REP))
        organisation.found()
        lists, done = Lists(words), 0
        for rep in organisation.reps:
            done += Portfolio(rep, organisation, lists, chance).write(min(PER_REP, opportunities - done))
            if time.monotonic() - said > 10:
                said = time.monotonic()
                self.stdout.write(f"{done:,} of {opportunities:,} opportunities, {said - began:.0f} s")
        organisation.announce()
        with connection.cursor() as cursor:  # the planner knows nothing yet of what has come in
            cursor.execute("ANALYZE")
        self.stdout.write(
            f"{done:,} opportunities of {len(organisation.reps):,} reps, {time.monotonic() - began:.0f} s."
        )


class Organisation:
    """Head office, provinces and cities, with the people of each, enough for `reps` sales reps."""

    def __init__(self, words, reps):
        self.words = words
        self.wanted = reps
        self.roles = {role.key: role for role in Role.objects.all()}
        self.password = make_password(words["password"])
        self.reps, self._near = [], {}

    @transaction.atomic
    def found(self):
        head = Department.objects.filter(parent=None).first() or Department.objects.create(
            key="head-office", names={"en": "Head office", "zh-hans": "总部"}, level=Level.HEAD_OFFICE
        )
        self.manager = self._people(head, {"opportunity_manager": 1, "gm": 1, "deputy_gm": 1})[0]
        taken = {
            names["zh-hans"]
            for names in Department.objects.exclude(key__startswith="seed-").values_list("names", flat=True)
            if "zh-hans" in names
        }
        provinces = [names for names in self.words["provinces"] if names[1] not in taken]
        provinces = provinces[: max(1, min(len(provinces), self.wanted // 6))]
        places = iter(f"{first}{second}" for second in self.words["places"][1] for first in self.words["places"][0])
        for number, (english, chinese) in enumerate(provinces):
            share = self.wanted * (number + 1) // len(provinces) - self.wanted * number // len(provinces)
            own = share // 10
            province = self._department(f"seed-{number + 1}", english, chinese, head, Level.PROVINCE)
            self._people(province, {"rep": own, "director": 1, "deputy_gm": 1, "gm": 1, "support": 1})
            cities = max(1, round((share - own) / PER_CITY))
            for city in range(cities):
                reps = (share - own) * (city + 1) // cities - (share - own) * city // cities
                name = next(places)
                below = self._department(
                    f"seed-{number + 1}-{city + 1}", sort_key(name).capitalize(), name, province, Level.CITY
                )
                # Every third city has no director: its signings are decided by the deputy or the GM.
                self._people(below, {"rep": reps, "director": int(city % 3 != 2), "deputy_gm": 1, "gm": 1})

    def _department(self, key, english, chinese, parent, level):
        found = Department.objects.filter(key=key).first()
        return found or Department.objects.create(
            key=key, names={"en": english, "zh-hans": chinese}, parent=parent, level=level
        )

    def _people(self, department, wanted):
        """This will see to it that so many of each role work in `department`, and give them."""
        names = [
            (f"{department.key.replace('head-office', 'seed')}.{role}.{number + 1}", role)
            for role, count in wanted.items()
            for number in range(count)
        ]
        there = {
            person.username: person for person in User.objects.filter(username__in=[name for name, _role in names])
        }
        surnames, given = self.words["people"]
        new = {}
        for username, _role in names:
            if username not in there:
                number = sum(map(ord, username)) * 7 + len(username)
                name = surnames[number % len(surnames)] + given[number // 3 % len(given)] + given[number % len(given)]
                new[username] = User(
                    username=username,
                    name=name,
                    password=self.password,
                    email=f"{username}@demo.invalid",
                    department=department,
                    demo=True,
                )
        User.objects.bulk_create(new.values())
        User.roles.through.objects.bulk_create(
            User.roles.through(user=new[username], role=self.roles[role]) for username, role in names if username in new
        )
        people = [(there | new)[username] for username, _role in names]
        for person in people:
            person.department = department
        self.reps += [person for person, (_username, role) in zip(people, names, strict=True) if role == "rep"]
        return people

    def near(self, rep):
        """This will list the reps of the same province."""
        if not self._near:
            for one in self.reps:
                self._near.setdefault(one.department.province_id, []).append(one)
        return self._near[rep.department.province_id]

    def announce(self):
        for title, body in self.words["announcements"]:
            if not Announcement.objects.filter(title=title).exists():
                Announcement(title=title, body=body).publish(by=self.manager)


class Lists:
    """The picklists, read once, and the words that go with them."""

    def __init__(self, words):
        self.words = words
        self.industries = {industry.key: industry for industry in Industry.objects.filter(key__in=words["lines"])}
        self.levels = list(CustomerLevel.objects.filter(active=True))
        self.types = {one.key: one for one in BusinessType.objects.filter(key__in=words["projects"])}
        self.sources = list(Source.objects.filter(active=True))
        self.reasons = list(LostReason.objects.filter(active=True, needs_note=False))
        self.kinds = {kind.key: kind for kind in FollowUpKind.objects.all()}
        stages = Stage.objects.select_related("pipeline").filter(pipeline__active=True)
        pipeline = stages[0].pipeline
        self.stages = [stage for stage in stages if stage.pipeline_id == pipeline.pk and stage.kind == Stage.Kind.OPEN]
        for stage in self.stages:  # one pipeline object, which remembers its won and lost stage
            stage.pipeline = pipeline


class Desk:
    """Whom one rep's requests go to: the routes in force, and the candidates of each of their steps."""

    def __init__(self, rep):
        self.rep = rep
        self._versions = {act: RouteVersion.in_force(act) for act in Act}
        self._steps, self._candidates = {}, {}

    def opening(self, opportunity, act):
        """This will give (first step, its candidates) for asking now; (None, []) where no route fits."""
        version = RouteVersion.first_for(opportunity, self._versions[act])
        if version is None:
            return None, []
        if version not in self._steps:
            self._steps[version] = list(version.steps.all())
        return self.at(self._steps[version][0], opportunity)

    def after(self, step, opportunity):
        """This will give (next step, its candidates); (None, []) where there is none."""
        later = [one for one in self._steps[step.version] if one.order > step.order]
        return self.at(later[0], opportunity) if later else (None, [])

    def at(self, step, opportunity):
        if step.pk not in self._candidates:
            self._candidates[step.pk] = step.candidates(opportunity, without=[self.rep.pk])
        return step, self._candidates[step.pk]


class Portfolio:
    """One rep's customers and opportunities, written in one transaction."""

    def __init__(self, rep, organisation, lists, chance):
        self.rep, self.organisation, self.lists, self.chance = rep, organisation, lists, chance
        self.words = lists.words
        self.desk = Desk(rep)
        self.now = timezone.now()

    @transaction.atomic
    def write(self, count):
        """This will write `count` opportunities with all that belongs to them, and give that number."""
        self.customers = [self.customer() for _ in range(-(-count // PER_CUSTOMER))]
        Customer.create_all(self.customers, by=self.rep)
        contacts = [contact for customer in self.customers for contact in self.contacts(customer)]
        Contact.create_all(contacts, by=self.rep)
        self.people = {}
        for contact in contacts:
            self.people.setdefault(contact.customer_id, []).append(contact)
        for model in (Customer, Contact):  # they were entered when they say they were
            about = {"about_type": ContentType.objects.get_for_model(model)}
            rows = [row.pk for row in (self.customers if model is Customer else contacts)]
            entered = model.objects.filter(pk=OuterRef("about_id")).values("created_at")
            Event._base_manager.filter(**about, about_id__in=rows).update(at=Subquery(entered))
        write([self.life() for _ in range(count)], by=self.rep)
        return count

    def customer(self):
        industry, names = self.chance.choice(list(self.words["lines"].items()))
        place = "".join(map(self.chance.choice, self.words["places"]))
        chinese, english = self.chance.choice(names)
        return Customer(
            name=f"{place}{chinese}" if self.chance.random() < 0.6 else f"{sort_key(place).capitalize()} {english}",
            industry=self.lists.industries[industry],
            level=self.chance.choice(self.lists.levels),
            phone=f"+86 {self.chance.randrange(310, 999)} {self.chance.randrange(10**7, 10**8)}",
            created_at=self.moment(self.chance.randrange(1100, 1500)),
        )

    def contacts(self, customer):
        surnames, given = self.words["people"]
        for _ in range(self.chance.randint(1, 3)):
            name = self.chance.choice(surnames) + "".join(self.chance.sample(given, 2))
            yield Contact(
                customer=customer,
                name=name,
                title=self.chance.choice(self.words["titles"]),
                mobile=f"13{self.chance.randrange(10**8, 10**9)}",
                email=f"{sort_key(name)}@example.org",
                created_at=customer.created_at,
            )

    def life(self):
        """This will think up one opportunity and what befell it. Times are counted in days back from now."""
        end = self.chance.choices(list(ENDS), list(ENDS.values()))[0]
        closed = self.chance.randrange(1, 1000) if end in CLOSED else 0
        age = closed + self.chance.randrange(12, 120 if end in CLOSED or end in PENDING else 300) + 0.9
        opportunity = self.draft(end, age, closed)
        life = Life(opportunity, at=self.moment(age))
        people = self.people[opportunity.customer_id]
        if self.chance.random() < 0.6:
            life.contact_added(at=self.moment(age), contact=self.chance.choice(people))
        approved = age
        if end == "void":
            life.voided(at=self.moment(closed), reason=self.chance.choice(self.words["returns"]))
        elif end != "draft":
            approved = self.asked(life, Act.REPORT, age - 0.2, end)
        if opportunity.state in (State.DRAFT, State.ACTIVE):
            waits = self.chance.uniform(0.1, 9) if end in PENDING else closed + 2
            self.worked_on(life, approved, waits)
            if opportunity.state == State.ACTIVE and end in ("signing", "signed"):
                self.asked(life, Act.SIGN, waits, end, form=self.signing(waits))
            elif opportunity.state == State.ACTIVE and end in ("terminating", "terminated"):
                self.asked(life, Act.TERMINATE, waits, end, form=self.termination())
        if opportunity.state == State.ACTIVE and self.chance.random() < 0.3:
            self.followed_up(life, self.moment(1.5), next_at=self.moment(-self.chance.uniform(0.5, 12)))
        return life

    def draft(self, end, age, closed):
        customer = self.chance.choice(self.customers)
        type_, projects = self.chance.choice(list(self.words["projects"].items()))
        chinese, english = self.chance.choice(projects)
        short = customer.name[:4] if not customer.name.isascii() else " ".join(customer.name.split()[:2])
        amount = round(self.chance.lognormvariate(12.3, 1.1) / 100) * 100 + 100
        ahead = -closed + self.chance.randint(-20, 20) if end in CLOSED else self.chance.randint(-25, 200)
        return Opportunity(
            name=f"{short}{chinese}" if not customer.name.isascii() else f"{short}, {english}",
            owner=self.rep,
            customer=customer,
            business_type=self.lists.types[type_],
            source=self.chance.choice(self.lists.sources),
            stage=self.lists.stages[0],
            amount=Decimal(amount),
            expected_close_on=None if end == "draft" and self.chance.random() < 0.2 else self.day(-ahead),
        )

    def asked(self, life, act, days, end, form=None):
        """This will ask for an act and decide it, unless that is the `end`; and give when that was over."""
        opportunity, comment = life.it, self.chance.choice(self.words["returns"])
        step, people = self.desk.opening(opportunity, act)
        if not people:
            return days  # nobody could decide it, so nothing was asked
        approver = self.chance.choice(people)

        def ask(days):
            life.asked(act, at=self.moment(days), approver=approver, step=step, form=form)

        ask(days)
        if end == "returned" or (end in (*CLOSED, "active") and self.chance.random() < 0.1):
            life.returned(at=self.moment(days - 0.4), comment=comment)
            if end == "returned":
                return days
            days -= 0.6
            ask(days)
        if (act, end) in WAITING:
            return days
        further, people = self.desk.after(step, opportunity)
        people = [person for person in people if person != approver]
        if people and self.chance.random() < 0.15:
            life.escalated(at=self.moment(days - 0.5), to=self.chance.choice(people), step=further)
        life.finished(at=self.moment(days - 1))
        return days - 1

    def signing(self, days):
        return {
            "contract_number": f"C{self.chance.randrange(10**7, 10**8)}",
            "signed_amount": f"{self.chance.randrange(90, 111) * 1000}.00",
            "signed_on": self.day(days).isoformat(),
            "term": self.chance.choice([12, 24, 36]),
        }

    def termination(self):
        return {"reason": describe(self.chance.choice(self.lists.reasons)), "note": ""}

    def worked_on(self, life, since, until):
        """This will let it move through stages, be followed up and be shared, between two moments."""
        happens = [self.followed_up] * self.chance.choice([0, 1, 1, 2, 2, 3, 4])
        if self.chance.random() < 0.12:
            happens.append(self.shared)
        if life.it.state == State.ACTIVE:
            happens += [self.moved] * self.chance.randrange(len(self.lists.stages))
        moments = sorted((self.chance.uniform(until, since) for _ in happens), reverse=True)
        self.chance.shuffle(happens)
        for days, happened in zip(moments, happens, strict=True):
            happened(life, self.moment(days))

    def followed_up(self, life, at, next_at=None):
        kind, content = self.chance.choice(self.words["notes"])
        people = [None, *self.people[life.it.customer_id]]
        life.followed_up(
            at=at, kind=self.lists.kinds[kind], content=content, contact=self.chance.choice(people), next_at=next_at
        )

    def moved(self, life, at):
        life.moved(at=at, stage=self.lists.stages[self.lists.stages.index(life.it.stage) + 1])

    def shared(self, life, at):
        """This will share it with a colleague of the same province or, more rarely, with a department of it."""
        nearby = self.organisation.near(self.rep)
        person = self.chance.choice(nearby)
        if self.chance.random() < 0.15:
            life.shared(at=at, departments=[person.department])
        elif person != self.rep:
            life.shared(at=at, people=[person], may_edit=self.chance.random() < 0.3)

    def moment(self, days):
        """This will give the moment so many days ago: within a working day's hours, later the smaller its fraction."""
        at = datetime.combine(self.day(days), clock(9), organisation_zone()) + timedelta(hours=9 * (1 - days % 1))
        return min(at, self.now) if days >= 0 else at

    def day(self, days):
        return timezone.localdate(self.now, organisation_zone()) - timedelta(days=floor(days))
