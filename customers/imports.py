"""What may be imported of customers and of the people there."""

from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from crm.cells import AUTHORSHIP, authorship
from crm.models import User
from crm.permissions import EVERYWHERE
from crm.pinyin import sort_key
from crm.resources import CHANGES, Cell, Column, Few, Person, Record, among, by_identity, importable, key_of
from crm.verbs import Refused
from customers.forms import ContactForm, CustomerForm
from customers.models import Contact, Customer
from customers.pickers import CustomerPicker
from notices.imports import Telling


class NamedCustomer(Record):
    """A customer, by its very name."""

    messages = Record.messages | {
        "unknown": _("No customer of that name that you may choose. Correct the name, or have it entered.")
    }


def named_customer(queryset, user, **kwargs):
    """This will read the name of a customer of `queryset`; one that is not there may be entered with the row."""
    name = Customer._meta.get_field("name")
    new = Cell(CustomerForm(user=user).fields["name"], name)
    return NamedCustomer(queryset, "name", new=new, picker=CustomerPicker, **kwargs)


@importable
class CustomerImport(Telling):
    """Customers, each as the form would take it; the same if the name is the same, or the tax id."""

    key = "customers"
    label = _("Customers")
    hint = _("Each row becomes a customer.")
    keys = {"name": _("Customer name"), "tax_id": _("Tax id; without one, the name")}
    modes = CHANGES
    aliases = {
        "name": "account, account name, client, client name, company, company name, customer, firm, firm name, "
        "organisation, organization, organisation name, organization name, business name, "
        "客户, 客户名称, 客户全称, 公司, 公司名称, 单位, 单位名称, 企业, 企业名称, 名称",
        "kind": "type, account type, client type, customer type, 客户类型",
        "status": "customer status, client status, account status, 客户状态",
        "industry": "sector, vertical, line of business, 所属行业, 客户行业, 行业分类, 行业类别",
        "level": "level, grade, tier, class, rating, client level, 级别, 等级, 客户级别, 客户等级, 客户分级",
        "tax_id": "tax number, tax no, vat, vat id, vat no, vat number, "
        "税号, 统一社会信用代码, 社会信用代码, 纳税人识别号",
        "website": "url, web, web site, web page, site, homepage, home page, 网址, 网站, 官网, 公司网站, 公司网址",
        "phone": "tel, telephone, telephone number, phone number, main phone, "
        "联系电话, 电话号码, 公司电话, 固定电话, 座机",
        "address": "location, office location, street address, 办公地址, 公司地址, 单位地址, 联系地址, 详细地址",
        "description": "note, notes, remark, remarks, comment, comments, details, about, "
        "备注, 说明, 描述, 简介, 公司简介, 客户简介",
        "owner": "owner, account owner, account manager, account executive, rep, sales, sales agent, sales rep, "
        "salesperson, assigned to, responsible, "
        "负责人, 客户经理, 客户负责人, 商务负责人, 销售负责人, 跟进人, 跟进人员, 销售, 销售人员, 业务员, 责任人",
    } | AUTHORSHIP

    class Meta:
        model = Customer
        fields = ()

    def columns(self):
        fields = CustomerForm(user=self.user).fields
        kind, status = Few.of_choices(Customer.Kind), Few.of_choices(Customer.Status)
        columns = [
            self.column(fields, "name", required=True),
            self.column(fields, "kind", kind),
            self.column(fields, "status", status),
            self.column(fields, "industry", Few.of_picklist(fields["industry"].queryset)),
            self.column(fields, "level", Few.of_picklist(fields["level"].queryset)),
            self.column(fields, "tax_id"),
            self.column(fields, "website"),
            self.column(fields, "phone"),
            self.column(fields, "address"),
            self.column(fields, "description"),
        ]
        if self.user.is_any(*EVERYWHERE):
            people = User.objects.filter(is_active=True, department__isnull=False).select_related("department")
            columns.append(Column("owner", _("Person in charge"), Person(people)))
        return columns + authorship(self.user)

    def identity(self, customer):
        by = self.by if getattr(customer, self.by) else "name"
        return by, getattr(customer, by)

    def existing(self, customers):
        visible = Customer.objects.visible_to(self.user).select_related("industry", "level", "owner").order_by("id")
        wanted = {}
        for by, value in map(self.identity, customers):
            wanted.setdefault(by, set()).add(value)
        found = [(by, one) for by, values in wanted.items() for one in among(visible, **{f"{by}__in": values})]
        return by_identity(((by, getattr(one, by)), one) for by, one in found)

    def write(self, customers):
        Customer.create_all(customers, by=self.user, as_was="created_by" in self.fields)
        self.charge(customers)


@importable
class ContactImport(Telling):
    """Contacts, each as the form would take it; the same if name and customer are, or the address or the number."""

    key = "contacts"
    label = _("Contacts")
    hint = _("Each row becomes a contact of its customer.")
    keys = {
        "name": _("Name and customer"),
        "email": _("E-mail; without one, name and customer"),
        "mobile": _("Mobile; without one, name and customer"),
    }
    modes = CHANGES
    aliases = {
        "name": "contact, contact name, contact person, full name, person, person name, "
        "姓名, 联系人, 联系人姓名, 联系人名称",
        "customer": "account, account name, client, client name, company, company name, customer name, employer, firm, "
        "organisation, organization, organisation name, organization name, "
        "客户, 客户名称, 客户单位, 所属客户, 公司, 公司名称, 所属公司, 单位, 单位名称, 工作单位, 企业, 企业名称",
        "title": "position, role, function, job, job function, designation, 职务, 职位, 岗位, 头衔",
        "mobile": "mobile phone, mobile number, cell, cell phone, cell number, 手机, 手机号, 手机号码, 移动电话",
        "phone": "tel, telephone, telephone number, phone number, office phone, work phone, business phone, landline, "
        "电话, 电话号码, 联系电话, 办公电话, 固定电话, 座机",
        "email": "mail, mail address, e-mail address, email address, 邮箱, 邮箱地址, 邮件, 电子邮箱, 电子邮件",
        "description": "note, notes, remark, remarks, comment, comments, details, 备注, 说明, 描述",
    } | AUTHORSHIP

    class Meta:
        model = Contact
        fields = ()

    def columns(self):
        fields = ContactForm(user=self.user).fields
        customers = named_customer(Customer.objects.permitted(self.user, "add_contact"), self.user, required=True)
        return [
            self.column(fields, "name", required=True),
            self.column(fields, "customer", customers, required=True),
            *(self.column(fields, name) for name in ("title", "mobile", "phone", "email", "description")),
            *authorship(self.user),
        ]

    def identity(self, contact):
        known = "" if self.by == "name" else getattr(contact, self.by).lower()
        return known or (contact.name, key_of(contact.customer))

    def existing(self, contacts):
        visible = Contact.objects.visible_to(self.user).select_related("customer").order_by("id")
        wanted = {self.identity(contact) for contact in contacts}
        known = {one for one in wanted if isinstance(one, str)}
        names = {one[0] for one in wanted if not isinstance(one, str)}
        keys = {sort_key(name) for name in names}  # which have an index
        found = [((one.name, one.customer_id), one) for one in among(visible, name_key__in=keys, name__in=names)]
        if known:
            same = visible.annotate(known=Lower(self.by)).filter(known__in=known)
            found += [(one.known, one) for one in same]
        return by_identity(found)

    def change(self, there, values):
        if "customer" in values:
            raise Refused(_("It belongs to another customer. Move it on its own page."), field="customer")
        super().change(there, values)

    def write(self, contacts):
        Contact.create_all(contacts, by=self.user, as_was="created_by" in self.fields)
        self.charge(contacts)
