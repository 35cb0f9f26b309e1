"""Loads the demo company: its people, and weeks of their work, done by the product's own verbs."""

import json
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from decimal import Decimal
from itertools import cycle

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from approvals.models import Approval, Round, Task
from crm import custom_changes
from crm.custom_fields import CustomField, Kind
from crm.models import Department, Role, User
from crm.moments import organisation_month, organisation_today, organisation_zone
from crm.organisation import Organisation
from customers.models import Contact, Customer, CustomerLevel, Industry
from notices.documents import Document, DocumentLink
from notices.files import File
from notices.history import Event
from notices.models import Announcement, Comment, Delivery, Message
from notices.recycle import Recycled
from opportunities.crediting import recount
from opportunities.models import (
    BusinessType,
    FollowUp,
    FollowUpKind,
    Line,
    LostReason,
    Movement,
    Opportunity,
    Pipeline,
    Product,
    RevenueCategory,
    Source,
    Stage,
)
from opportunities.reviews import ReviewChoice, ReviewQuestion

FILE = settings.BASE_DIR / "fixtures" / "demo.json"
WORKING_DAY = range(0, 8 * 60, 37)  # minutes into it, at which one act follows another


class Command(BaseCommand):
    help = (
        "Loads the demo company. Does nothing where it is there already; refuses a database with other people's data."
    )

    def handle(self, **options):
        if User.objects.filter(demo=True).exists():
            self.stdout.write("The demo company is there already.")
            return
        if User.objects.exists() or Department.objects.exists():
            raise CommandError(
                "This database holds other people's data. "
                "The demo company needs a database of its own: set DATABASE_URL."
            )
        demo = json.loads(FILE.read_text(encoding="utf-8"))
        with transaction.atomic():
            Company(demo).found()
        self.stdout.write(
            f"Loaded the demo company: {User.objects.count()} people, {Opportunity.objects.count()} opportunities."
        )


class Company:
    """The demo company being founded. Days are counted back from today."""

    def __init__(self, demo):
        self.demo = demo
        self.notes = cycle(demo["notes"])
        self.minutes = cycle(WORKING_DAY)
        self.password = make_password(demo["password"])

    def found(self):
        self.departments = {}
        for row in self.demo["departments"]:
            parent = self.departments.get(row.pop("parent", None))
            self.departments[row["key"]] = Department.objects.create(parent=parent, **row)
        self.people = {row[0]: self.person(*row) for row in self.demo["users"]}
        Organisation.read().change(by=self.people["admin"], seen=None, **self.demo["organisation"])
        self.lists()
        self.customers = {row[0]: self.customer(*row) for row in self.demo["customers"]}
        for row in self.demo["opportunities"]:
            self.opportunity(row)
        for row in self.demo["plans"]:
            self.plan(*row)
        for row in self.demo["comments"]:
            self.comment(*row)
        for row in self.demo["files"]:
            self.file(*row)
        for row in self.demo["documents"]:
            self.document(*row)
        for row in self.demo["announcements"]:
            self.announcement(row)
        for row in self.demo["deleted"]:
            self.deleted(*row)
        week = timezone.now() - timedelta(days=4)
        Message.objects.filter(at__lt=week).update(read_at=F("at") + timedelta(hours=3))
        Delivery.objects.all().delete()  # what its past would have mailed was never written to anybody
        happened = list(Event.objects.order_by("at", "id"))  # a history shows what was written last first
        Event.objects.all().delete()
        for event in happened:
            event.pk = None
        Event.objects.bulk_create(happened)
        recount()  # what was dated back counts in other months now

    def lists(self):
        """This will enter what the company chooses from, and the fields that it added."""
        for order, row in enumerate(self.demo["categories"], 1):
            self.category(order, *row)
        for order, row in enumerate(self.demo["products"], 1):
            self.product(order, *row)
        for order, row in enumerate(self.demo["pipelines"], Pipeline.objects.count() + 1):
            self.pipeline(order, **row)
        self.fields = {row["names"]["en"]: self.field(**row) for row in self.demo["fields"]}

    def person(self, username, name, role, department, title="", notifications=None):
        person = User(
            username=username,
            password=self.password,
            name=name,
            title=title,
            notifications=notifications or {},
            email=f"{username}@demo.invalid",
            department=self.departments[department],
            is_staff=role == "administrator",
            is_superuser=role == "administrator",
            demo=True,
            previous_sign_in_at=self.moment(1, 18),
        )
        person.save()
        person.roles.set(Role.objects.filter(key=role))
        return person

    def pipeline(self, order, key, names, stages):
        pipeline = Pipeline.objects.create(key=key, order=order, names=names)
        for place, (stage, kind, probability, colour, english, chinese) in enumerate(stages, Stage.objects.count() + 1):
            Stage.objects.create(
                pipeline=pipeline,
                key=stage,
                order=place,
                kind=kind,
                probability=probability,
                colour=colour,
                names={"en": english, "zh-hans": chinese},
            )

    def field(self, options=(), **row):
        """This will add a field to a kind of record, as an administrator does."""
        made = CustomField(**row)
        custom_changes.create(made, by=self.people["admin"], options=options)
        return made

    def added(self, row):
        """This will give what a row says of added fields, {key: value}, by their English names."""
        return {self.fields[name].key: self.value(self.fields[name], value) for name, value in row.items()}

    def value(self, field, value):
        if field.kind == Kind.CHOICE:
            return next(one for one in field.options.all() if one.names["en"] == value)
        return self.day(value) if field.kind == Kind.DATE else Decimal(value)

    def customer(self, name, industry, level, status, owner, contacts, employees=None):
        owner = self.people[owner]
        with self.days_ago(120):
            customer = Customer(
                name=name,
                industry=Industry.objects.get(key=industry),
                level=CustomerLevel.objects.get(key=level),
                status=status,
                phone=contacts[0][2],
            )
            customer.put(self.added({} if employees is None else {"Number of employees": employees}))
            customer.create(by=owner)
            for contact, title, phone in contacts:
                Contact(customer=customer, name=contact, title=title, phone=phone).create(by=owner)
        return customer

    def category(self, order, key, parent, english, chinese):
        RevenueCategory.objects.create(
            key=key,
            order=order,
            names={"en": english, "zh-hans": chinese},
            parent=RevenueCategory.objects.filter(key=parent).first(),
        )

    def product(self, order, key, category, price, english, chinese, unit, unit_chinese):
        Product.objects.create(
            key=key,
            order=order,
            names={"en": english, "zh-hans": chinese},
            category=RevenueCategory.objects.get(key=category),
            price=price,
            unit={"en": unit, "zh-hans": unit_chinese},
        )

    def line(self, code, quantity, price, discount, description=""):
        """This will build a line: of a product at its list price, or of what `description` says."""
        product = Product.objects.filter(key=code).first()
        return Line(
            product=product,
            category=product and product.category,
            description=description,
            quantity=Decimal(str(quantity)),
            unit=product.unit_name if product else "",
            price=Decimal(price) if product is None else product.price,
            discount=Decimal(discount),
        )

    def opportunity(self, row):
        owner = self.people[row["owner"]]
        age, stage = row["age"], Stage.objects.get(key=row["stage"])
        self.minutes = cycle(WORKING_DAY)
        first = stage.pipeline.first_stage
        ends, waits = row.get("ends", "active"), row.get("waits", 0)
        never_active = ends in ("draft", "void", "reporting", "returned")
        with self.days_ago(age):
            opportunity = Opportunity(
                name=row["name"],
                owner=owner,
                customer=self.customers[row["customer"]],
                business_type=BusinessType.objects.get(key=row["type"]),
                source=Source.objects.filter(key=row.get("source")).first(),
                stage=first,
                amount=None if row["amount"] is None else Decimal(row.get("first_amount", row["amount"])),
                expected_close_on=self.day(row.get("first_close", row["close"])),
                description=row.get("first_description", row.get("description", "")),
            )
            opportunity.put(self.added(row.get("added", {})))
            opportunity.create(by=owner)
            if "lines" in row:
                lines = [self.line(*line) for line in row["lines"]]
                opportunity.change_lines(by=owner, lines=lines, amount_from="lines")
            for contact in opportunity.customer.contacts.all():
                opportunity.add_contact(contact=contact, by=owner)
        for person, may_edit in row.get("share", []):
            with self.days_ago(3):
                opportunity.share(by=owner, people=[self.people[person]], may_edit=may_edit)
        if ends == "void":
            with self.days_ago(waits):
                opportunity.void(by=owner, reason=row["void"])
        if ends == "draft" or ends == "void":
            return
        approver = self.people[row["to"]] if never_active else self.approver(opportunity, "report")
        with self.days_ago(age if "returned_first" in row or ends == "returned" or not never_active else waits):
            opportunity.report(by=owner, approver=approver)
        if ends == "returned" or (never_active and "returned_first" in row):
            with self.days_ago(max(waits, age - 3)):
                self.decide(opportunity, "return_", comment=row.get("comment") or row["returned_first"])
        if never_active and "returned_first" in row:
            with self.days_ago(waits):
                opportunity.change(
                    by=owner,
                    amount=Decimal(row["amount"]),
                    expected_close_on=self.day(row["close"]),
                    description=row["description"],
                )
                opportunity.report(by=owner, approver=approver)
        if not never_active:
            with self.days_ago(age - 1):
                self.decide(opportunity, "finish")
            self.work(opportunity, row, stage)
        self.follow_up(opportunity, row)

    def work(self, opportunity, row, stage):
        """This will take an active opportunity through its stages, and to its end where it has one."""
        owner, ends, waits = opportunity.owner, row.get("ends", "active"), row.get("waits", row.get("closed", 0))
        path = list(
            stage.pipeline.stages.filter(
                kind="open", order__gt=stage.pipeline.first_stage.order, order__lte=stage.order
            )
        )
        span = row["age"] - 2 - max(waits, 4)
        for number, step in enumerate(path, 1):
            with self.days_ago(row["age"] - 2 - span * number // (len(path) + 1)):
                opportunity.move(stage=step, by=owner)
        if ends in ("signing", "signed"):
            if "returned_first" in row:
                self.ask_to_sign(opportunity, row, waits + 4)
                with self.days_ago(waits + 3):
                    self.decide(opportunity, "return_", comment=row["returned_first"])
            self.ask_to_sign(opportunity, row, waits + (ends == "signed"))
        if ends in ("terminating", "terminated"):
            with self.days_ago(waits + (ends == "terminated")):
                reason = LostReason.objects.get(key=row["reason"])
                opportunity.terminate(by=owner, approver=self.people[row["to"]], reason=reason, review=self.review(row))
        if ends in ("signed", "terminated"):
            with self.days_ago(waits):
                self.decide(opportunity, "finish")

    def ask_to_sign(self, opportunity, row, days):
        approver = self.people[row["to"]] if "to" in row else self.approver(opportunity, "sign")
        with self.days_ago(days):
            opportunity.sign(
                by=opportunity.owner,
                approver=approver,
                contract_number=row["contract"],
                signed_amount=Decimal(row.get("signed_amount", row["amount"])),
                signed_on=organisation_today() - timedelta(days=days),
                term=24,
                review=self.review(row),
            )

    def review(self, row):
        """This will give the answers of a row's review, {key of a question: answer}."""
        decided, learned = row.get("review", [None, ""])
        questions = dict(ReviewQuestion.objects.values_list("key", "pk"))
        choice = ReviewChoice.objects.filter(key=f"decided-{decided}").first()
        return {questions["decided"]: choice, questions["learned"]: learned}

    def approver(self, opportunity, act):
        return Approval.plan(opportunity, act, by=opportunity.owner).candidates[0]

    def decide(self, opportunity, verb, **given):
        task = opportunity.open_task
        getattr(task, verb)(by=task.holder, seen=opportunity.version, **given)
        opportunity.refresh_from_db()

    def follow_up(self, opportunity, row):
        """This will write a follow-up every week or so, the last one `touched` days ago."""
        touched = row.get("touched")
        while touched is not None and touched < row["age"]:
            kind, content = next(self.notes)
            done = FollowUp(
                opportunity=opportunity,
                kind=FollowUpKind.objects.get(key=kind),
                content=content,
                at=min(self.moment(touched, 9 + touched % 8), timezone.now()),
                contact=opportunity.customer.contacts.first(),
            )
            with self.days_ago(touched, done.at + timedelta(minutes=7)):
                done.add(by=opportunity.owner)
            touched += 8 + touched % 7

    def plan(self, customer, opportunity, owner, days, hour, kind, content):
        FollowUp(
            opportunity=Opportunity.objects.get(name=opportunity),
            kind=FollowUpKind.objects.get(key=kind),
            content=content,
            at=max(self.moment(-days, hour), timezone.now() + timedelta(hours=1)),
        ).add(by=self.people[owner])

    def comment(self, opportunity, author, days, text):
        with self.days_ago(days):
            Comment(about=Opportunity.objects.get(name=opportunity), text=text).add(by=self.people[author])

    def file(self, opportunity, days, name, *lines):
        """This will put a small text file on an opportunity."""
        upload = SimpleUploadedFile(name, "\r\n".join(lines).encode("utf-8-sig"))
        about = Opportunity.objects.get(name=opportunity)
        with self.days_ago(days):
            File.add(about, [upload], by=about.owner)

    def document(self, days, keeper, name, description, departments, opportunities, versions):
        """This will put a small text file, in its versions, into the library, and link it to opportunities."""
        uploads = [SimpleUploadedFile(file, "\r\n".join(lines).encode("utf-8-sig")) for file, *lines in versions]
        departments = [self.departments[key] for key in departments]
        with self.days_ago(days):
            document = Document(name=name, description=description)
            document.add(uploads[:1], by=self.people[keeper], departments=departments)
        for upload in uploads[1:]:
            with self.days_ago(days // 2):
                File.add(document, [upload], by=self.people[keeper])
        for opportunity in opportunities:
            about = Opportunity.objects.get(name=opportunity)
            with self.days_ago(1):
                document.link(about, by=about.owner)

    def deleted(self, days, *customer):
        """This will enter a customer that its owner deleted some days ago."""
        made = self.customer(*customer)
        with self.days_ago(days):
            made.delete_(by=made.owner)

    def announcement(self, row):
        made = Announcement(
            title=row["title"],
            body=row["body"],
            pinned=row.get("pinned", False),
            must_confirm=row.get("must_confirm", False),
            at=min(self.moment(row["days"], 8), timezone.now()),
        )
        made.publish(
            by=self.people["manager"],
            departments=[self.departments[key] for key in row["departments"]],
            roles=Role.objects.filter(key__in=row.get("roles", [])),
        )

    def day(self, days):
        return None if days is None else organisation_today() + timedelta(days=days)

    def moment(self, days, hour):
        day = organisation_today() - timedelta(days=days)
        return datetime.combine(day, time(hour, 20), organisation_zone())

    @contextmanager
    def days_ago(self, days, at=None):
        """
        This will date what is written inside `days` back, within working hours or `at` that moment; the past of a demo
        company cannot be lived through.
        """
        began = timezone.now()
        yield
        if not days:
            return
        by = began - (at or self.moment(days, 9) + timedelta(minutes=next(self.minutes)))
        for model, names in DATED.items():
            for name in names:
                model._base_manager.filter(**{f"{name}__gte": began}).update(**{name: F(name) - by})
        for approval in Approval.objects.filter(
            month__isnull=False, closed_at__gte=began - by, closed_at__lt=timezone.now() - by
        ):
            closed_on = timezone.localdate(approval.closed_at, organisation_zone())
            Approval.objects.filter(pk=approval.pk).update(month=organisation_month(closed_on))
        closed = Opportunity.objects.filter(
            state__in=["terminated", "void"], closed_on=organisation_today(), updated_at__gte=began
        )
        closed.update(closed_on=self.day(-days))


DATED = {
    Event: ["at"],
    Message: ["at"],
    Approval: ["opened_at", "closed_at"],
    Round: ["asked_at"],
    Task: ["opened_at", "closed_at"],
    Movement: ["at"],
    Customer: ["created_at"],
    Contact: ["created_at"],
    Opportunity: ["created_at", "stage_since"],
    FollowUp: ["created_at"],
    Comment: ["at"],
    File: ["at"],
    Recycled: ["at"],
    Document: ["at"],
    DocumentLink: ["at"],
}
