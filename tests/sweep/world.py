"""
World B: one thing of each kind, all of it of one rep, and everybody who could come across it, each signed in.

Every text of it holds a canary, `zq`, the kind of thing that it tells of, and random letters, so that any answer tells
whose eyes it was meant for. Nothing in it is made up: each thing comes about by the verb that makes it.
"""

import re
import secrets
from datetime import timedelta
from types import SimpleNamespace

from django.contrib import admin
from django.contrib.auth.tokens import default_token_generator
from django.contrib.contenttypes.models import ContentType
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from django.utils.http import int_to_base36
from django_tasks_db.models import DBTaskResult

from approvals.models import Route
from crm import custom_changes, people, picklists
from crm.custom_fields import CustomField, CustomSection
from crm.exports import ExportRun
from crm.importing import SavedMatching
from crm.jobs import run_waiting
from crm.models import Audit, Department, Photo, Role, User
from crm.organisation import Organisation
from crm.saved_views import SavedView
from crm.sign_in import email_link
from customers.models import Customer, CustomerLevel, Industry
from notices.documents import Document
from notices.files import File
from notices.models import Announcement, Comment, Delivery, Message
from notices.recycle import Recycled
from opportunities import handover
from opportunities.models import BusinessType, FollowUpKind, LostReason, Opportunity, Pipeline, RevenueCategory, Source
from opportunities.reviews import ReviewChoice, ReviewQuestion
from tests import bulk, importing
from tests import factories as make

CANARY = re.compile(rb"zq([a-z]+)x[0-9a-f]{8}")
LISTS = ["opportunities", "customers", "contacts", "follow_ups", "tasks_done"]


def canary(kind):
    """This will give a text that nobody else writes, and that says what it tells of."""
    return f"zq{kind}x{secrets.token_hex(4)}"


def pdf(name):
    return SimpleUploadedFile(f"{name}.pdf", b"%PDF-1.4 " + name.encode())


def everybody(world):
    """This will appoint the people whom the table names, and some whom things happen to."""
    world.own = make.user("own", email_wanted="")
    world.tea = make.user("tea")
    for name in ("str", "rea", "edi", "rev", "cur", "pas", "ina"):
        setattr(world, name, make.user(name, at="jinan"))
    world.els = make.user("els", "deputy_gm", at="jinan")
    world.gm = make.user("gm", "gm", at="hebei")
    world.sup = make.user("sup", "support", at="hebei")
    world.man = make.user("man", "opportunity_manager", at="head-office")
    world.adm = make.user("adm", "administrator", at="head-office")
    world.sta = make.user("sta", at="jinan", is_staff=True)
    world.roo = make.user("roo", at="jinan", is_staff=True, is_superuser=True)
    world.roo.roles.clear()
    User.objects.filter(pk=world.roo.pk).update(department=None)
    world.roo = User.objects.get(pk=world.roo.pk)
    world.spare = make.user("spare", at="jinan")
    world.gone = make.user("gone", at="jinan")
    world.mate = make.user("mate", at="baoding")
    world.invited = make.user("invited", at="baoding")
    world.closed = make.user("closed", at="baoding")
    world.leaver = make.user("leaver", at="baoding")


def routes(world):
    """This will have all that is asked for be decided by people who see it for no other reason."""
    ways = {"report": [[world.pas], [world.cur]], "sign": [[world.pas], [world.cur]]}
    ways["terminate"] = [[world.gone, world.spare]]
    for key, steps in ways.items():
        draft = Route.objects.get(key=key).revise()
        draft.steps.all().delete()
        for order, asked in enumerate(steps, 1):
            draft.steps.create(order=order, may_finish=order == len(steps)).people.set(asked)
        draft.publish(by=world.adm)
    world.route = Route.objects.get(key="report")
    world.version = Route.objects.get(key="sign").revise()


def customers(world):
    own = world.own
    named = canary("named")
    world.customer = make.customer(
        own,
        name=f"{named} Holding",
        phone="13900001111",
        address=canary("customer"),
        description=canary("customer"),
        tax_id=canary("customer")[:18],
        website=f"https://{canary('customer')}.example",
    )
    world.contact = make.contact(world.customer, name=canary("person"), description=canary("person"))
    world.placed = make.contact(world.customer, name=canary("named"), email=f"{canary('named')}@example.org")
    world.other_customer = make.customer(own, name=f"{canary('customer')} Works")
    for number in range(3):
        make.contact(world.other_customer, name=f"{canary('person')} {number}")


def opportunities(world):
    """This will make opportunities in every state, each shared; and take one of the shares back."""
    for state in ("draft", "reporting", "returned", "active", "signing", "dropping", "terminating", "signed", "void"):
        kind = "draft" if state == "draft" else "record"
        made = make.opportunity(
            world.own, customer=world.customer, name=f"{canary(kind)} {state}", description=canary(kind)
        )
        made.share(by=world.own, people=[world.rea, world.rev])
        made.share(by=world.own, people=[world.edi, world.ina], may_edit=True)
        made.unshare(by=world.own, person=world.rev)
        made.add_contact(by=world.own, contact=world.placed, role=canary(kind))
        _bring(made, state, world)
        made.refresh_from_db()
        setattr(world, state, made)


def _bring(made, state, world):
    if state == "void":
        made.void(by=world.own, reason=canary("record"))
    if state in ("draft", "void"):
        return
    made.report(by=world.own, approver=world.pas)
    _escalate(made, world)
    if state == "reporting":
        return
    if state == "returned":
        made.open_task.return_(by=world.cur, comment=canary("record"), seen=_version(made))
        return
    made.open_task.finish(by=world.cur, seen=_version(made))
    made.refresh_from_db()
    if state in ("signing", "dropping", "signed"):
        learned = ReviewQuestion.objects.get(key="learned")
        made.sign(
            by=world.own, approver=world.pas, contract_number=canary("record"), signed_amount=made.amount,
            signed_on=timezone.localdate() - timedelta(days=2), term=12, review={learned.pk: canary("record")},
        )  # fmt: skip
        _escalate(made, world)
    if state == "dropping":
        made.open_task.return_(by=world.cur, comment=canary("record"), seen=_version(made))
    if state == "signed":
        made.open_task.finish(by=world.cur, seen=_version(made))
    if state == "terminating":
        lost = LostReason.objects.get(key="budget")
        made.terminate(by=world.own, approver=world.gone, reason=lost, note=canary("record"))


def _escalate(made, world):
    made.open_task.escalate(by=world.pas, to=world.cur, seen=_version(made), comment=canary("record"))
    made.refresh_from_db()


def _version(made):
    return Opportunity.objects.values_list("version", flat=True).get(pk=made.pk)


def around(world):
    """This will put beside them what hangs on records: follow-ups, comments, files, documents."""
    own = world.own
    later = timezone.now() + timedelta(days=1)
    world.planned = make.follow_up(world.active, at=later, content=canary("record"))
    world.called = make.follow_up(world.customer, content=canary("customer"))
    world.comment = Comment(about=world.active, text=canary("record")).add(by=own) or Comment.objects.latest("pk")
    world.file = File.add(world.active, [pdf(canary("record"))], by=own)[0][0]
    world.document = Document(name=canary("document"), description=canary("document"))
    world.document.add([pdf(canary("document"))], by=world.man, departments=[make.department("shijiazhuang")])
    world.version_of_document = world.document.files.get()
    world.unlinked = Document(name=canary("document"))
    world.unlinked.add([pdf(canary("document"))], by=world.man, departments=[make.department("shijiazhuang")])
    world.document.link(world.active, by=own)
    world.link = world.document.links.get()
    world.announcement = Announcement(title=canary("announced"), body=canary("announced"), must_confirm=True)
    world.announcement.publish(by=world.man, departments=[make.department("shijiazhuang")])
    world.message = Message.objects.for_reader(own).first()
    deleted = make.customer(own, name=canary("deleted"))
    deleted.delete_(by=own)
    world.recycled = Recycled.objects.get()


def lists(world):
    """This will keep views of each list: one that stands as a tab and opens it, one that does neither, one shared."""
    for listing in LISTS:
        for name, shared in (("view", "private"), ("other", "private"), ("shared", "all")):
            made = SavedView(
                listing=listing, name=canary("view" if shared == "private" else "everyones"), shared=shared
            )
            made.create(by=world.own)
            setattr(world, f"{listing}_{name}", made)
            if name == "view":
                made.make_default(by=world.own)
            else:
                made.unpin(by=world.own)


def administered(world):
    """This will make what administrators arrange."""
    adm = world.adm
    world.value, world.second_value = Source(names={"en": "Fair"}), Source(names={"en": "Web"})
    picklists.create(world.value, by=adm)
    picklists.create(world.second_value, by=adm)
    world.section = CustomSection(subject="customer", names={"en": "Site"})
    custom_changes.create_section(world.section, by=adm)
    world.field = CustomField(subject="customer", kind="choice", names={"en": "Region"})
    custom_changes.create(world.field, by=adm, options=[{"en": "North"}, {"en": "South"}])
    world.option = world.field.options.first()
    world.archived = CustomField(subject="customer", kind="text", names={"en": "Former"})
    custom_changes.create(world.archived, by=adm)
    custom_changes.archive(world.archived, by=adm)
    world.product = make.product()
    world.category = RevenueCategory.objects.create(key="spare", names={"en": "Spare"})
    world.role = Role.objects.create(key="auditor", names={"en": "Auditor"})
    world.pipeline = Pipeline(names={"en": "Spare"})
    picklists.create(world.pipeline, by=adm)
    world.review_question = ReviewQuestion.objects.create(key="spare", names={"en": "Spare"}, kind="choice")
    world.review_choice = ReviewChoice.objects.last()
    world.industry, world.level = Industry.objects.last(), CustomerLevel.objects.last()
    world.business_type, world.follow_up_kind = BusinessType.objects.last(), FollowUpKind.objects.last()
    world.lost_reason, world.stage = LostReason.objects.last(), make.stage("negotiation")
    world.department = make.department("baoding")
    world.head_office = Department.objects.get(key="head-office")
    people.deactivate(world.closed, by=adm)
    world.invited.set_unusable_password()
    world.invited.save()
    own = world.own
    Photo.objects.create(user=own, png=b"png")
    User.objects.filter(pk=own.pk).update(photo_digest="abcd", email_wanted=f"{canary('wanted')}@example.org")
    own.refresh_from_db()
    Organisation.objects.get_or_create(pk=1)
    Organisation.read().change(by=adm, seen=None, logo=b"png", logo_digest="abcd")
    make.customer(world.leaver, name=canary("customer"))
    world.job = handover.start(world.leaver, to={kind.key: world.own for kind in handover.KINDS}, by=adm)
    run_waiting()
    world.handed = make.customer(world.leaver)


def jobs(world, settings):
    """This will have the rep import, export, and do things to many records: done, waiting, broken off."""
    client = importing.signed_in(world.own)
    settings.EXPORT_AT_ONCE = 3
    answer = client.post("/opportunities/?export=xlsx&rows=all")
    assert answer.status_code == 302, answer
    world.export = ExportRun.objects.get()
    run_waiting()
    world.export.refresh_from_db()
    rows = f"Name,Phone\n{canary('import')},1\n,2\n"
    world.uploaded = importing.begin(
        client, "customers", f"Name,Phone\n{canary('import')},1\n", f"{canary('import')}.csv"
    )
    world.checked = importing.checked(client, "customers", rows)
    world.done = importing.imported(client, "customers", f"Name\n{canary('customer')}\n")
    world.busy = importing.checked(client, "customers", f"Name\n{canary('import')}\n")
    world.busy.start(by=world.own)
    world.matching = SavedMatching.objects.create(
        owner=world.own, kind="customers", name=canary("import"), sources=world.checked.matching
    )
    contacts = list(world.other_customer.contacts.order_by("pk"))
    settings.BULK_AT_ONCE = 2
    address = bulk.address("contacts", "change", contacts[:1])
    world.bulk_done = bulk.done(client, address, set_title="on", title=canary("person"))
    address = bulk.address("contacts", "change", contacts)
    world.bulk_waiting = bulk.done(client, address, set_title="on", title=canary("person"))
    world.bulk_broken = bulk.done(client, address, set_title="on", title=canary("person"))
    world.bulk_broken.job.cancel(by=world.own)


ROWS = {
    "/admin/crm/user/": "Name,E-mail,Department,Role\nMoses Frase,moses@example.org,hebei,gm\n",
    "/admin/customers/customer/": "Name\nBrand new\n",
    "/admin/customers/contact/": "Name,Customer\nBrand new,{customer}\n",
    "/admin/opportunities/opportunity/": "Name\nBrand new\n",
    "/admin/opportunities/product/": "Key,Name in English,Category,Price,Unit in English\nfresh,Fresh,spare,12.50,pc\n",
    "/admin/opportunities/stage/": "Key,Name in English,Pipeline,Kind,Probability\nfresh,Fresh,standard,open,50\n",
    "/admin/opportunities/reviewchoice/": "Key,Name in English,Question\nfresh,Fresh,decided\n",
    "/admin/opportunities/reviewquestion/": "Key,Name in English,Kind\nfresh,Fresh,text\n",
}
A_VALUE = "Key,Name in English\nfresh,Fresh\n"  # of a list that has nothing beside


def rows_for(page, world):
    """This will give a file whose rows can come in on that page of Django's administration."""
    return ROWS.get(page, A_VALUE).format(customer=world.other_customer.name)


def previews(world):
    """This will have the administrator look at a file on each such page; gives what confirms it, by page."""
    client, found = importing.signed_in(world.adm), {}
    for model, held in admin.site._registry.items():
        if getattr(held, "importing", None):
            page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
            file = SimpleUploadedFile("new.csv", rows_for(page, world).encode())
            answer = client.post(f"{page}import/", {"format": "0", "import_file": file})
            assert "confirm_form" in answer.context, (page, answer.context["form"].errors)
            confirmed = answer.context["confirm_form"].initial
            found[page] = {name: str(value) for name, value in confirmed.items()}
    return found


def sessions(world):
    """This will sign everybody in, and then deactivate one, and let somebody's decision be stuck."""
    world.cookies = {}
    for name in ROLES[1:]:
        client = Client(headers={"user-agent": "Sweep"})
        client.force_login(getattr(world, name))
        world.cookies[name] = client.cookies["sessionid"].value
    people.deactivate(world.ina, by=world.adm)
    people.deactivate(world.gone, by=world.adm)
    world.stuck = world.terminating.open_task
    world.audit, world.ticket = Audit.objects.first(), DBTaskResult.objects.first()
    Delivery.objects.update(state=Delivery.State.FAILED)
    world.delivery = Delivery.objects.first()
    world.customer_type = ContentType.objects.get_for_model(Customer)


ROLES = [
    "ano",
    "ina",
    "own",
    "tea",
    "str",
    "rea",
    "edi",
    "rev",
    "cur",
    "pas",
    "els",
    "gm",
    "sup",
    "man",
    "adm",
    "sta",
    "roo",
]


def build(settings):
    """This will make it all, and give it by name."""
    world = SimpleNamespace()
    everybody(world)
    routes(world)
    customers(world)
    opportunities(world)
    around(world)
    lists(world)
    administered(world)
    jobs(world, settings)
    world.task_signing, world.task_returned = world.signing.open_task, world.returned.open_task
    world.task_reporting = world.reporting.open_task
    world.token = email_link(world.own, world.own.email_wanted).split("/")[-2]
    world.uid, world.key = int_to_base36(world.spare.pk), default_token_generator.make_token(world.spare)
    sessions(world)
    return world
