"""Whom we sell to: customers, the people there, and the lists that describe them."""

from django.conf import settings
from django.core.validators import RegexValidator, URLValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext, ngettext_lazy
from django.utils.translation import gettext_lazy as _

from crm import kinds, linked, permissions
from crm.custom_values import Customised, CustomValue
from crm.functions import Keys, PkIn
from crm.models import Audit, Placed
from crm.names import Picklist
from crm.pinyin import sort_key
from crm.querysets import Guarded, is_wide
from crm.texts import Findable
from crm.verbs import Gone, NotAllowed, Refused, acting, enter_as, whole
from customers import similar
from customers.texts import ContactText, CustomerText
from notices.files import Filed
from notices.history import Event, Recorded, describe
from notices.models import Comment, Message
from notices.recycle import Recycled

WEB = URLValidator(["http", "https"], message=_("Write an address that begins with http:// or https://."))
PHONE = RegexValidator(r"^[0-9０-９+()（） /.,;x\-－]*$", _("Write digits, + and spaces, e.g. +86 311 8765 4321."))


class Industry(Picklist):
    """The line of business of a customer."""

    class Meta(Picklist.Meta):
        verbose_name = _("industry")
        verbose_name_plural = _("industries")


class CustomerLevel(Picklist):
    """How much a customer matters."""

    class Meta(Picklist.Meta):
        verbose_name = _("customer level")
        verbose_name_plural = _("customer levels")


class CustomerQuerySet(Guarded):
    def keys(self, reason, user):
        if reason == permissions.THROUGH:
            return [self.model.opportunities.rel.related_model.objects.visible_to(user).order_by().values("customer")]
        return super().keys(reason, user)

    def named_to(self, user):
        """
        This will narrow to those whose name card the reader may see: one's own, in scope, or of an opportunity one
        sees.
        """
        return self.permitted(user, "name")

    def in_order(self):
        return self.order_by("name_key", "id")


class Customer(Placed, Filed, Customised, Recorded, Findable):
    """
    An organisation, or a person without one, that may buy. Nobody sees it whole but its owner and their superiors.
    """

    class Kind(models.TextChoices):
        ORGANISATION = "organisation", _("Organisation")
        PERSON = "person", _("Person")

    class Status(models.TextChoices):
        POTENTIAL = "potential", _("Potential")
        TRADING = "trading", _("Trading")

    guard = "customer"
    TEXT = CustomerText
    SAID_BY = ("name", "tax_id", "website", "phone")
    IN_HAND = ngettext_lazy("%(count)d customer", "%(count)d customers", "count")
    TRACKED = (
        "name",
        "kind",
        "status",
        "industry",
        "level",
        "tax_id",
        "website",
        "phone",
        "address",
        "description",
        "owner",
        "department",
    )

    CONDITIONS = kinds.Fields(
        status=kinds.Choice(),
        industry=kinds.Pick(),
        level=kinds.Pick(),
        kind=kinds.Choice(),
        owner=kinds.Person(),
        department=kinds.InDepartment(),
        name=kinds.Text(),
        contacts=linked.ManyRecords(_("Contacts"), "contacts.pk"),
        has_open=linked.HasSeen(_("Has open opportunities"), "opportunities", lambda found: found.open()),
        phone=kinds.Text(),
        website=kinds.Text(),
        address=kinds.Text(),
        tax_id=kinds.Text(),
        has_files=kinds.Has(_("Has files"), "file_count"),
        created_at=kinds.Moment(),
        updated_at=kinds.Moment(),
        created_by=kinds.Person(_("Entered by")),
    )

    name = models.CharField(_("customer name"), max_length=200)
    kind = models.CharField(_("kind"), max_length=12, choices=Kind, default=Kind.ORGANISATION)
    status = models.CharField(_("status"), max_length=9, choices=Status, default=Status.POTENTIAL)
    industry = models.ForeignKey(Industry, models.PROTECT, null=True, blank=True, verbose_name=_("industry"))
    level = models.ForeignKey(CustomerLevel, models.PROTECT, null=True, blank=True, verbose_name=_("customer level"))
    tax_id = models.CharField(_("tax id"), max_length=40, blank=True)
    website = models.URLField(_("website"), max_length=300, blank=True, validators=[WEB])
    phone = models.CharField(_("phone"), max_length=40, blank=True, validators=[PHONE])
    address = models.CharField(_("address"), max_length=300, blank=True)
    description = models.TextField(_("description"), blank=True)

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="customers",
        db_index=False,
        verbose_name=_("person in charge"),
    )
    name_key = models.CharField(max_length=40, editable=False)
    # What looks alike: see customers.similar
    match_name = models.CharField(max_length=100, default="", editable=False, db_index=True)
    match_tax_id = models.CharField(max_length=40, default="", editable=False)
    match_phone = models.CharField(max_length=20, default="", editable=False)
    match_domain = models.CharField(max_length=100, default="", editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False, db_index=False
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = CustomerQuerySet.as_manager()

    class Meta:
        verbose_name = _("customer")
        verbose_name_plural = _("customers")
        indexes = [
            models.Index(fields=["name_key", "id"], name="customer_name"),
            models.Index(fields=["created_at", "id"], name="customer_created"),
            models.Index(fields=["updated_at", "id"], name="customer_changed"),
            models.Index(fields=["owner", "name_key", "id"], name="customer_owner"),
            models.Index(fields=["department", "name_key", "id"], name="customer_department"),
            models.Index(fields=["city", "name_key", "id"], name="customer_city"),
            models.Index(fields=["province", "name_key", "id"], name="customer_province"),
            models.Index(fields=["name"], name="customer_exact_name"),
            *(
                models.Index(fields=[column], name=f"customer_{column}")
                for column in ("match_tax_id", "match_phone", "match_domain")
            ),
        ]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("customer", args=[self.pk])

    def save(self, *args, **kwargs):
        self.settle()
        super().save(*args, **kwargs)

    def settle(self):
        """This will bring in line what follows from other fields: the keys it is sorted and compared by."""
        self.name_key = sort_key(self.name)
        for column, key in similar.keys_of(self).items():
            setattr(self, column, key)

    @classmethod
    def tell_others(cls, pks):
        opportunities = cls.opportunities.rel.related_model
        for _done in opportunities.TEXT.write_all(opportunities._base_manager.filter(customer__in=pks)):
            pass

    def similar_for(self, user):
        """This will list the customers that look like this one, of those whose name `user` may know."""
        return similar.similar(Customer.objects.named_to(user), similar.keys_of(self), besides=self.pk)

    def create(self, *, by):
        """This will enter the customer, in charge of `by` unless another owner is set. Raises NotAllowed."""
        self.create_all([self], by=by)

    @classmethod
    @whole()
    def create_all(cls, customers, *, by, as_was=False):
        """
        This will enter all of `customers`, each as `create` does, or none; `as_was` is that of `enter_as`. Raises as
        both.
        """
        if not permissions.allows(by, "create"):
            raise NotAllowed()
        enter_as(customers, by=by, as_was=as_was)
        for customer in customers:
            if customer.owner_id is None:
                customer.owner = by
            customer.place(customer.owner.department)
            customer.settle()
        cls.objects.bulk_create(customers)
        cls.keep_custom(customers)
        Event.objects.bulk_create(customer.event("created", by=by) for customer in customers)

    def change(self, *, by, seen=None, **values):
        """This will give the customer other values. Raises NotAllowed, Stale."""
        with acting(by, "change", self, seen=seen) as it:
            it.put(values)
            if it.changes():
                it.record("changed", by=by)

    @classmethod
    def held_by(cls, person):
        return cls.objects.filter(owner=person)

    def transfer(self, *, to, by, seen=None, tell=True, back_to=None, planned=None):
        """
        This will put somebody else in charge of the customer and of its contacts; what the one before planned with
        it goes along, and its opportunities stay where they are. Unless `tell`, nobody gets a message: a handover
        sends one for all. Where a transfer is undone, `back_to` is the department it was in, and whoever might transfer
        it as it was then may; `planned` are the keys of what was planned that went along then, and comes back. Raises
        NotAllowed, Refused, Stale.
        """
        with acting(by, "change" if back_to is None else None, self, seen=seen) as it:
            before = it.owner
            if not to.is_active or to.department_id is None:
                raise Refused(_("%(name)s cannot be put in charge.") % {"name": to}, field="owner")
            if to == before:
                raise Refused(_("%(name)s is in charge already.") % {"name": to}, field="owner")
            it.owner = to
            it.place(back_to or to.department)
            if back_to is not None and not permissions.permits_now(by, "change", it):
                raise NotAllowed()
            along = it.follow_ups.planned().filter(opportunity=None).whose(before, planned)
            it.record("transferred", by=by, planned=along)
            it.contacts.update(owner=to, department=it.department_id, province=it.province_id, city=it.city_id)
            it.follow_ups.filter(pk__in=along).update(owner=to)
            if tell:
                Message.tell([to, before], "transferred", it, by=by, to=describe(to))

    @classmethod
    def follow_back(cls, entry):
        """This will have a customer that trades since past signings came in be a potential one again."""
        found = cls.objects.filter(pk=entry.about_id, version=entry.version, status=cls.Status.TRADING)
        found.exclude(opportunities__state="signed").update(status=cls.Status.POTENTIAL)
        return ""

    def why_kept(self, user):
        """
        This will say why the customer cannot be deleted, naming nothing that `user` may not see; "" where it can
        be.
        """
        if not self.opportunities.exists():
            return ""
        count = self.opportunities.visible_to(user).count()
        if not count:
            return gettext("Opportunities that you may not see belong to this customer, so it cannot be deleted.")
        return ngettext(
            "One opportunity belongs to this customer, so it cannot be deleted.",
            "%(count)d opportunities belong to this customer, so it cannot be deleted.",
            count,
        ) % {"count": count}

    def delete_(self, *, by, seen=None):
        """
        This will put the customer into the recycle bin, with its contacts, follow-ups, files and history. Raises
        Refused while opportunities belong to it, NotAllowed, Stale.
        """
        with acting(by, "delete", self, seen=seen) as it:
            if why := it.why_kept(by):
                raise Refused(why)
            Audit.note("customer_deleted", by=by, customer=describe(it))
            it.note("deleted", by=by)
            people = list(it.contacts.all())
            histories = [Event.objects.about(one) for one in (it, *people)]
            added = [
                CustomValue.objects.held_by(Customer, [it.pk]),
                CustomValue.objects.held_by(Contact, [one.pk for one in people]),
            ]
            Recycled.put(it, by=by, along=[Comment.objects.about(it), *histories, *added])

    hangs_on = None  # what the recycle bin asks: it belongs to nothing

    def put_back(self, *, by):
        """This will have the customer, come back from the recycle bin, stand where its department stands now."""
        self.place(self.department)
        self.contacts.update(department=self.department_id, province=self.province_id, city=self.city_id)
        self.record("restored", by=by)


class ContactQuerySet(Guarded):
    def keys(self, reason, user):
        if reason == permissions.THROUGH:
            placements = self.model.placements.rel.related_model
            opportunities = self.model.customer.field.related_model.opportunities.rel.related_model
            seen = opportunities.objects.visible_to(user)
            # Of a few PostgreSQL would still read all that there is, unless it is given their keys.
            few = PkIn(F("opportunity"), Keys(seen.values("pk")))
            return [placements.objects.filter(Q(opportunity__in=seen) if is_wide(user) else few).values("contact")]
        return super().keys(reason, user)

    def in_order(self):
        return self.order_by("name_key", "id")


class Contact(Placed, Customised, Recorded, Findable):
    """A person at a customer; in the charge, and in the department, of the customer's owner."""

    guard = "contact"
    TEXT = ContactText
    SAID_BY = ("name", "email", "mobile", "phone")
    TRACKED = ("name", "customer", "title", "phone", "mobile", "email", "description")

    CONDITIONS = kinds.Fields(
        customer=kinds.Record(),
        owner=kinds.Person(),
        department=kinds.InDepartment(),
        name=kinds.Text(),
        title=kinds.Text(),
        mobile=kinds.Text(),
        phone=kinds.Text(),
        email=kinds.Text(),
        customer_industry=linked.Through(_("Industry of the customer"), "customer", "industry"),
        customer_level=linked.Through(_("Level of the customer"), "customer", "level"),
        customer_status=linked.Through(_("Status of the customer"), "customer", "status"),
        on_open=linked.HasSeen(_("On open opportunities"), "opportunities", lambda found: found.open()),
        created_at=kinds.Moment(),
        updated_at=kinds.Moment(),
        created_by=kinds.Person(_("Entered by")),
    )

    customer = models.ForeignKey(Customer, models.CASCADE, related_name="contacts", verbose_name=_("customer"))
    name = models.CharField(_("name"), max_length=100)
    title = models.CharField(_("job title"), max_length=100, blank=True)
    phone = models.CharField(_("phone"), max_length=40, blank=True, validators=[PHONE])
    mobile = models.CharField(_("mobile"), max_length=40, blank=True, validators=[PHONE])
    email = models.EmailField(_("e-mail"), blank=True)
    description = models.TextField(_("description"), blank=True)

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False, db_index=False
    )
    name_key = models.CharField(max_length=40, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", editable=False, db_index=False
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("changed"), auto_now=True)

    objects = ContactQuerySet.as_manager()

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        indexes = [
            models.Index(fields=["name_key", "id"], name="contact_name"),
            models.Index(fields=["created_at", "id"], name="contact_created"),
            models.Index(fields=["updated_at", "id"], name="contact_changed"),
            models.Index(fields=["owner", "name_key", "id"], name="contact_owner"),
            models.Index(fields=["department", "name_key", "id"], name="contact_department"),
            models.Index(fields=["city", "name_key", "id"], name="contact_city"),
            models.Index(fields=["province", "name_key", "id"], name="contact_province"),
        ]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("contact", args=[self.pk])

    def save(self, *args, **kwargs):
        self.name_key = sort_key(self.name)
        super().save(*args, **kwargs)

    @classmethod
    def hold_owners_of(cls, pks):
        _hold_customers(cls.objects.filter(pk__in=pks).order_by().values_list("customer", flat=True))

    def _follow(self, customer):
        self.customer = customer
        self.owner_id = customer.owner_id
        self.place(customer.department)

    def create(self, *, by):
        """
        This will enter the contact at its customer. Raises NotAllowed where `by` may not add to that customer,
        Gone.
        """
        self.create_all([self], by=by)

    @classmethod
    @whole()
    def create_all(cls, contacts, *, by, as_was=False):
        """
        This will enter all of `contacts`, each as `create` does, or none; `as_was` is that of `enter_as`. Raises as
        both.
        """
        wanted = {contact.customer_id for contact in contacts}
        # Locked, or somebody else may be put in charge of one meanwhile. The departments come after: joined to a row
        # that changes while it is waited for, PostgreSQL would find no row.
        found = Customer.objects.filter(pk__in=wanted).order_by("pk").select_for_update()
        customers = {customer.pk: customer for customer in found.prefetch_related("department")}
        if customers.keys() != wanted:
            raise Gone()
        if Customer.objects.permitted(by, "add_contact").filter(pk__in=wanted).count() != len(wanted):
            raise NotAllowed()
        enter_as(contacts, by=by, as_was=as_was)
        for contact in contacts:
            contact._follow(customers[contact.customer_id])
            contact.name_key = sort_key(contact.name)
        cls.objects.bulk_create(contacts)
        cls.keep_custom(contacts)
        happened = []
        for contact in contacts:
            contact.told_along = [
                contact.customer.event("contact_added", by=by, contact=contact.name)
            ]  # see crm.journal
            happened += [contact.event("created", by=by), *contact.told_along]
        Event.objects.bulk_create(happened)

    def change(self, *, by, seen=None, **values):
        """
        This will give the contact other values. Raises NotAllowed, Stale, and Refused where it would leave a
        customer whose opportunities name it.
        """
        wanted = values.get("customer") or self.customer
        with whole():
            _hold_customers({self.customer_id, wanted.pk})
            self._change(by, seen, values)

    def _change(self, by, seen, values):
        with acting(by, "change", self, seen=seen) as it:
            it.put(values)
            changes = it.changes()
            if "customer" in changes:
                if not permissions.permits(by, "add_contact", it.customer):
                    raise NotAllowed()
                if it.placements.exists():
                    raise Refused(
                        _("Opportunities of the customer name this contact, so it stays there."), field="customer"
                    )
                it._follow(it.customer)
            if changes:
                it.record("changed", by=by)

    def why_kept(self, user):
        """
        This will say why the contact cannot be deleted, naming nothing that `user` may not see; "" where it can be.
        """
        if not self.placements.exists():
            return ""
        count = self.opportunities.visible_to(user).count()
        if not count:
            return gettext("Opportunities that you may not see name this contact, so it cannot be deleted.")
        return ngettext(
            "One opportunity names this contact, so it cannot be deleted.",
            "%(count)d opportunities name this contact, so it cannot be deleted.",
            count,
        ) % {"count": count}

    def delete_(self, *, by, seen=None):
        """
        This will put the contact into the recycle bin with its history; follow-ups with it stay, and the customer's
        history says so. Raises Refused while opportunities name it, NotAllowed, Stale.
        """
        with whole():
            _hold_customers({self.customer_id})
            self._delete(by, seen)

    def _delete(self, by, seen):
        with acting(by, "delete", self, seen=seen) as it:
            if why := it.why_kept(by):
                raise Refused(why)
            it.customer.note("contact_deleted", by=by, contact=it.name)
            it.note("deleted", by=by)
            added = CustomValue.objects.held_by(Contact, [it.pk])
            Recycled.put(it, by=by, along=[Event.objects.about(it), added])

    @property
    def hangs_on(self):
        return self.customer

    def put_back(self, *, by):
        """This will have the contact, come back from the recycle bin, belong to whoever has its customer now."""
        self._follow(self.customer)
        self.record("restored", by=by)
        self.customer.note("contact_restored", by=by, contact=self.name)


def _hold_customers(keys):
    """
    This will lock customers before a contact of theirs, as their own deletion does, which takes the contacts along. One
    that is gone is found out by the contact, which is gone with it.
    """
    list(Customer.objects.filter(pk__in=keys).order_by("pk").select_for_update().values_list("pk"))
