"""The headings of a file are understood as people write them; and none means two fields of one kind."""

import pytest

from crm.organisation import THE_ONE, Organisation
from crm.resources import kinds
from tests import factories as make

pytestmark = [pytest.mark.django_db, pytest.mark.any_database]

# What people write above a column, by the kind of the file and the field that is meant.
MEANT = {
    "opportunities": {
        "name": "Project, Project name, Deal name, Title, 项目, 项目名称, 商机名称, 名称",
        "reference": "ID, Ref. no., Deal ID, 编号, 项目编号, 商机编号",
        "customer": "Client, Client name, Company, Account, Firm, 单位名称, 客户单位, 公司名称, 甲方",
        "business_type": "Type, Line of business, 业务类型, 产品类型",
        "source": "Where from, Lead source, Channel, 来源, 线索来源, 来源渠道",
        "amount": "Est. Amount, Estimated amount, Deal size, Amount (CNY), Budget, "
        "金额（万元）, 预算, 预计金额(元), 合同额",
        "expected_close_on": "Close, Closing date, Close date, Expected closing, ETA, "
        "预计签约时间, 预计成交日期, 签单日期",
        "stage": "Status, Phase, Sales stage, 状态, 阶段, 项目进展, 进度",
        "probability": "Prob., Win %, Probability (%), Win rate, 成交概率, 赢单率, 把握",
        "owner": "Rep, Owner, Account manager, Sales rep, 客户经理, 跟进人, 商务负责人, 业务员, 负责人",
        "description": "Remark, Remarks, Comment, Comments, Notes, 备注, 项目概况, 说明",
    },
    "past": {
        "expected_close_on": "ETA, Expected closing, Expected close date, 预计签约日期",
        "created_at": "Created, Create date, 创建时间",
        "closed_on": "Close, Closing date, Close date, Closed on, 签约日期, 成交时间",
        "contract_number": "Contract no., 合同编号, 合同号",
        "lost_reason": "Reason lost, Loss reason, 丢单原因",
        "stage": "Status, Phase, 状态",
        "owner": "Rep, Account manager, 跟进人",
    },
    "follow_ups": {
        "opportunity": "Deal, Project, Opportunity, 商机, 项目名称",
        "kind": "Activity, Activity type, Type, 跟进方式",
        "content": "Note, Notes, Comments, 跟进内容, 沟通内容, 跟进记录",
        "at": "When, Date, Time, 日期, 跟进时间, 拜访日期",
        "owner": "Rep, Author, 跟进人, 业务员",
    },
    "customers": {
        "name": "Client, Firm, Company, Account, 单位名称, 客户名称, 企业名称",
        "kind": "Type, Customer type, 客户类型",
        "status": "Status, 客户状态",
        "industry": "Sector, Vertical, Industry, 行业, 所属行业",
        "level": "Tier, Class, Level, 级别, 客户等级",
        "tax_id": "VAT no, VAT number, 税号, 统一社会信用代码",
        "website": "Homepage, Web site, URL, 网址, 官网",
        "phone": "Tel, Tel., Telephone, 电话, 联系电话",
        "address": "Address, 地址, 公司地址",
        "description": "Remark, Comments, 备注, 简介",
        "owner": "Account manager, Rep, Owner, 客户经理, 跟进人, 商务负责人",
    },
    "contacts": {
        "name": "Contact person, Contact, Full name, 联系人, 姓名",
        "customer": "Company, Client, Firm, Employer, 单位名称, 公司, 所属客户",
        "title": "Function, Job title, Position, 职务, 岗位",
        "mobile": "Cell, Mobile, Mobile number, 手机, 手机号码",
        "phone": "Tel., Tel, Telephone, 电话, 联系电话, 座机",
        "email": "Mail, E-Mail, Email address, 邮箱, 电子邮件",
        "description": "Remark, Notes, 备注",
    },
    "users": {
        "name": "sales_agent, Employee, Full name, 姓名, 员工姓名",
        "username": "Login, User name, 账号",
        "title": "Function, Position, 职务",
        "email": "Mail, E-mail, 邮箱",
        "phone": "Tel., Cell, Mobile, 手机号, 联系电话",
        "department": "regional_office, Region, Branch, Office, Team, 部门, 分公司, 区域",
        "role": "Role, Roles, 角色, 岗位",
        "active": "Status, 在职",
    },
    "products": {
        "name_en": "Product, Item, Name",
        "name_zh-hans": "产品名称, 品名, 名称",
        "key": "SKU, Code, Part number, 产品编码, 编号",
        "category": "Series, Category, Type, 产品分类, 类别",
        "price": "Price, Unit price, 单价, 报价",
        "unit_en": "Unit, UoM",
        "unit_zh-hans": "单位, 计量单位",
    },
}


def kind_for_all(key):
    """This will give a kind of import, with each field that anybody may feed."""
    person = make.user("lin", "administrator", "opportunity_manager", at="head-office")
    return kinds()[key](person)


def fed(matching):
    """This will give which column feeds each field, {field: number}."""
    return {name: source["column"] for name, source in matching.items() if "column" in source}


@pytest.mark.parametrize("key", MEANT)
def test_a_heading_is_understood_as_people_write_it(key):
    kind = kind_for_all(key)
    written = [(heading, name) for name, headings in MEANT[key].items() for heading in headings.split(", ")]

    understood = [(heading, *fed(kind.guess([heading]))) for heading, _name in written]

    assert understood == written


@pytest.mark.parametrize("languages", [["en", "zh-hans"], ["zh-hans"]])
@pytest.mark.parametrize("key", sorted(kinds()))
def test_no_heading_means_two_fields_of_one_kind(key, languages):
    Organisation.keep(Organisation(pk=THE_ONE, languages=languages), float("inf"))
    kind = kind_for_all(key)

    meant = {}
    for name, column in kind.fields.items():
        for heading in column.headings(kind.aliases.get(name, "")):
            meant.setdefault(heading, []).append(name)

    assert {heading: names for heading, names in meant.items() if len(names) > 1} == {}


@pytest.mark.parametrize(
    ("key", "headings", "fields"),
    [
        (
            "opportunities",
            "No.,Project,Client,Est. Amount,ETA,Prob.,Where from,Status,Rep,Remark",
            "None,name,customer,amount,expected_close_on,probability,source,stage,owner,description",
        ),
        (
            "opportunities",
            "序号,项目名称,单位名称,预算（万元）,预计签约时间,成交概率,来源,项目进展,跟进人,备注",
            "None,name,customer,amount,expected_close_on,probability,source,stage,owner,description",
        ),
        ("follow_ups", "Date,Deal,Activity,Note,Rep", "at,opportunity,kind,content,owner"),
        ("users", "sales_agent,manager,regional_office,status", "name,None,department,active"),
        ("customers", "Firm,Sector,Tier,Homepage,Tel", "name,industry,level,website,phone"),
        ("contacts", "Contact person,Company,Function,Cell,Tel.,Mail", "name,customer,title,mobile,phone,email"),
    ],
)
def test_a_whole_row_of_headings_finds_its_fields(key, headings, fields):
    meant = {name: number for number, name in enumerate(fields.split(",")) if name != "None"}

    assert fed(kind_for_all(key).guess(headings.split(","))) == meant
