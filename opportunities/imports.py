"""What may be imported of opportunities: new ones as drafts, past ones as they stand, and their follow-ups."""

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from crm.cells import AUTHORSHIP, At, Day, EndedPercent, Percent, authorship
from crm.fields import DayField
from crm.models import User
from crm.permissions import allows
from crm.pinyin import sort_key
from crm.resources import (
    CHANGES,
    ENTERS,
    Cell,
    Column,
    Few,
    Person,
    Record,
    among,
    by_identity,
    importable,
    key_of,
    made,
)
from crm.verbs import Refused
from customers.imports import named_customer
from customers.models import Customer
from notices.imports import Telling
from opportunities.entry import Past, chargeable
from opportunities.follow_up_forms import FollowUpForm
from opportunities.follow_ups import FollowUp
from opportunities.forms import OpportunityForm
from opportunities.lifecycle import State
from opportunities.models import Opportunity
from opportunities.picklists import FollowUpKind, LostReason, Stage
from opportunities.product_imports import ProductImport  # noqa: F401  found by itself through this module
from opportunities.signings import Signing

# Headings of the day on which a case is expected to close, and of that on which it does, or did.
CLOSING = (
    "expected close, expected closing, expected closing date, expected close on, expected date, estimated close, "
    "estimated close date, est close, est close date, forecast close, forecast close date, target date, eta, "
    "预计签约, 预计签约日期, 预计签约时间, 预计签单日期, 预计签单时间, 预计成交, 预计成交日期, 预计成交时间, "
    "预计关闭日期, 预计结单日期"
)
CLOSED = (
    "close, close date, closing, closing date, 签约日期, 签约时间, 签单日期, 签单时间, 成交日期, 成交时间, 结单日期"
)


class _Opportunities(Telling):
    """
    What both kinds share. The same if the reference is the same, or is the number here; without one, or by choice, if
    name and customer are.
    """

    percent = Percent
    keys = {"reference": _("Reference or number; without one, name and customer"), "name": _("Name and customer")}
    aliases = {
        "name": "opportunity, deal, deal name, deal title, project, project name, title, subject, "
        "商机, 项目, 项目名称, 项目名, 机会名称, 销售机会, 名称",
        "reference": "number, opportunity number, deal number, opportunity id, deal id, external id, id, ref, ref no, "
        "编号, 商机编号, 商机号, 项目编号",
        "customer": "account, account name, client, client name, company, company name, customer name, organisation, "
        "organization, firm, 客户名称, 单位, 单位名称, 客户单位, 客户公司, 公司, 公司名称, 企业名称, 甲方",
        "business_type": "business, type, business line, line of business, product type, "
        "业务, 业务类别, 产品类型, 项目类型, 商机类型",
        "source": "lead source, where from, came from, origin, channel, "
        "商机来源, 项目来源, 线索来源, 客户来源, 来源渠道, 渠道",
        "amount": "value, close value, deal value, estimated value, deal size, deal amount, est amount, "
        "estimated amount, expected amount, expected revenue, revenue, contract value, budget, "
        "预计金额, 预估金额, 商机金额, 项目金额, 合同金额, 合同额, 预计合同额, 总金额, 预算, 预算金额, 项目预算",
        "expected_close_on": f"{CLOSING}, {CLOSED}",
        "stage": "deal stage, sales stage, opportunity stage, current stage, status, phase, "
        "项目阶段, 商机阶段, 销售阶段, 当前阶段, 跟进阶段, 状态, 商机状态, 项目状态, 进展, 项目进展, 进度",
        "probability": "prob, chance, win, win rate, win probability, likelihood, confidence, "
        "赢率, 赢单率, 赢单概率, 胜率, 成功率, 成交概率, 成单率, 签约概率, 中标概率, 把握, 可能性",
        "owner": "owner, opportunity owner, deal owner, account manager, account owner, account executive, rep, sales, "
        "sales agent, sales rep, salesperson, sales person, seller, assigned to, responsible, "
        "客户经理, 销售, 销售人员, 销售经理, 业务员, 跟进人, 跟进人员, 商务负责人, 商机负责人, 项目负责人, 责任人",
        "description": "product, note, notes, remark, remarks, comment, comments, details, "
        "备注, 备注说明, 说明, 产品, 项目描述, 项目概况, 项目内容, 项目背景, 客户需求, 需求",
    }

    def columns(self):
        fields = OpportunityForm({}, user=self.user).fields
        reference = Opportunity._meta.get_field("reference")
        self.first_stage = Stage.to_begin_with(self.user.department)
        self.pipeline = self.first_stage.pipeline
        stages = list(self.stages())
        for stage in stages:
            stage.pipeline = self.pipeline  # one for all, which remembers its own last stages
        customers = named_customer(Customer.objects.visible_to(self.user), self.user)
        people = Person(chargeable(self.user))
        return [
            self.column(fields, "name", required=True),
            Column("reference", _("Reference"), Cell(reference.formfield(), reference)),
            self.column(fields, "customer", customers),
            self.column(fields, "business_type", Few.of_picklist(fields["business_type"].queryset)),
            self.column(fields, "source", Few.of_picklist(fields["source"].queryset)),
            self.column(fields, "amount"),
            self.column(fields, "expected_close_on"),
            self.column(fields, "stage", Few.of_picklist(stages)),
            self.column(
                fields,
                "probability",
                self.percent(fields["probability"], Opportunity._meta.get_field("probability")),
            ),
            self.column(fields, "owner", people),
            self.column(fields, "description"),
        ]

    def stages(self):
        return self.pipeline.stages.filter(kind=Stage.Kind.OPEN, active=True)

    def opportunity(self, values):
        """This will build an opportunity; unless the row says otherwise, in the user's charge and the first stage."""
        given = {name: value for name, value in values.items() if value not in (None, "")}
        opportunity = made(Opportunity, {"owner": self.user, "stage": self.first_stage} | given)
        opportunity.clean()
        return opportunity

    def identity(self, record):
        opportunity = self.entered(record)
        by_reference = self.by == "reference" and opportunity.reference
        return opportunity.reference if by_reference else (opportunity.name, key_of(opportunity.customer))

    def existing(self, records):
        identities = {self.identity(record) for record in records}
        references = {one for one in identities if isinstance(one, str)}
        names = {one[0] for one in identities if not isinstance(one, str)}
        visible = Opportunity.objects.visible_to(self.user).order_by("id")
        visible = visible.select_related("customer", "business_type", "source", "stage__pipeline", "owner")
        found = []
        if references:
            found += [(one.reference, one) for one in among(visible, reference__in=references)]
            found += [(one.number, one) for one in among(visible, number__in=references)]
        if names:
            keys = {sort_key(name) for name in names}  # which have an index
            named = among(visible, name_key__in=keys, name__in=names)
            found += [((one.name, one.customer_id), one) for one in named]
        return by_identity((identity, one) for identity, one in found if identity in identities)

    def compared(self, values, there):
        values = super().compared(values, there)
        if values.get("reference") == there.number:
            del values["reference"]
        return values

    def change(self, there, values):
        """What goes beyond what its form would do is refused, and what an undoing could not bring back."""
        if "stage" in values and values["stage"].pipeline_id != there.stage.pipeline_id:
            raise Refused(_("This stage belongs to another pipeline."), field="stage")
        if "customer" in values and there.placements.exists():
            raise Refused(
                _("Contacts of its customer are named on it. Change its customer on its own page."), field="customer"
            )
        super().change(there, values)


@importable
class OpportunityImport(_Opportunities):
    """New opportunities, each as the form would take it."""

    key = "opportunities"
    label = _("Opportunities")
    hint = _("Each row becomes a draft, to be submitted for approval as usual.")
    modes = CHANGES

    class Meta:
        model = Opportunity
        fields = ()

    def build(self, values):
        return self.opportunity(values)

    def write(self, opportunities):
        Opportunity.create_all(opportunities, by=self.user, told=False)
        self.charge(opportunities)


@importable
class PastImport(_Opportunities):
    """Opportunities that were lived elsewhere, as they stand: the stage says whether signed, given up or open."""

    key = "past"
    label = _("Past opportunities")
    hint = _(
        "Won, lost and open ones come in as they stand, without an approval. "
        "An open one without customer becomes a draft."
    )
    act = "import_past"
    modes = ENTERS  # what is there was approved, or is changed by its own pages
    percent = EndedPercent
    aliases = _Opportunities.aliases | {
        "expected_close_on": CLOSING,
        "created_at": f"created, engage date, {AUTHORSHIP['created_at']}",
        "created_by": AUTHORSHIP["created_by"],
        "closed_on": f"{CLOSED}, closed, closed date, signed on, won on, won date, 关闭日期, 结束日期, 中标日期",
        "contract_number": "contract, contract no, contract id, 合同号",
        "lost_reason": "reason, loss reason, reason lost, why lost, 输单原因, 丢单原因, 失败原因, 流失原因",
    }

    class Meta:
        model = Opportunity
        fields = ()

    def columns(self):
        contract = Signing._meta.get_field("contract_number")
        day = {"required": False, "label": ""}
        reasons = Few.of_picklist(LostReason.objects.all())  # retired ones too: the past had them
        return [
            *super().columns(),
            Column("created_at", _("Created on"), Day(DayField(**day))),
            *(column for column in authorship(self.user) if column.name == "created_by"),
            Column("closed_on", _("Closed on"), Day(DayField(**day))),
            Column(
                "contract_number",
                _("Contract number"),
                Cell(forms.CharField(required=False, max_length=contract.max_length)),
            ),
            Column("lost_reason", _("Lost reason"), reasons, usual="unknown-imported"),
        ]

    def stages(self):
        return self.pipeline.stages.filter(active=True)

    def build(self, values):
        given = dict(values)
        kind = (given.get("stage") or self.first_stage).kind
        entered_on, closed_on, reason, contract = (
            given.pop(name, None) for name in ("created_at", "closed_on", "lost_reason", "contract_number")
        )
        if kind == Stage.Kind.OPEN:
            state, closed_on = State.ACTIVE if given.get("customer") else State.DRAFT, None
        else:
            state = State.SIGNED if kind == Stage.Kind.WON else State.TERMINATED
            given |= {
                "stage": self.first_stage,
                "probability": None,
            }  # where it stands in the end follows from the state
        past = Past(self.opportunity(given), state, entered_on, closed_on, reason, contract or "")
        if refusal := past.refusal():
            raise refusal
        return past

    def entered(self, past):
        return past.opportunity

    def held(self, there, name):
        if name == "contract_number":
            return there.signing.contract_number if there.state == State.SIGNED else ""
        return super().held(there, name)

    def compared(self, values, there):
        """Where it stands in the end says the stage; what a case of another end has is not asked."""
        beside = {"probability"} if there.is_closed else {"closed_on"}
        beside |= set() if there.state == State.TERMINATED else {"lost_reason"}
        beside |= set() if there.state == State.SIGNED else {"contract_number"}
        values = super().compared(values, there)
        return {name: value for name, value in values.items() if name not in beside}

    def write(self, pasts):
        trading = Opportunity.import_past(pasts, by=self.user)
        self.charge([past.opportunity for past in pasts])
        return [(customer, {"status": customer.status}) for customer in trading]

    def preview(self, past):
        return {str(_("State")): self.becomes(past)}

    def becomes(self, past):
        return str(State(past.state).label)


@importable
class FollowUpImport(Telling):
    """Follow-up records of opportunities; the same if opportunity, moment and content are."""

    key = "follow_ups"
    label = _("Follow-up records")
    hint = _("Each row becomes a follow-up record of its opportunity: done, or planned where its moment lies ahead.")
    keys = {"content": _("Opportunity, moment and content")}
    modes = ENTERS
    aliases = {
        "opportunity": "opportunity name, opportunity number, deal, deal name, number, project, project name, "
        "商机, 商机名称, 商机编号, 编号, 项目, 项目名称, 项目编号",
        "kind": "follow-up type, activity, activity type, method, 方式, 跟进方式, 跟进类型, 活动类型, 沟通方式, 类型",
        "content": "notes, note, summary, description, remark, remarks, comment, comments, details, "
        "内容, 跟进内容, 跟进记录, 跟进情况, 沟通内容, 拜访内容, 备注, 说明",
        "at": "date, time, activity date, follow-up date, date and time, "
        "时间, 日期, 跟进时间, 跟进日期, 沟通时间, 拜访时间, 拜访日期",
        "owner": "author, owner, by, person in charge, account manager, rep, sales, sales agent, sales rep, "
        "salesperson, 跟进人员, 负责人, 客户经理, 作者, 记录人, 拜访人, 销售, 业务员",
    }

    class Meta:
        model = FollowUp
        fields = ()

    def columns(self):
        fields = FollowUpForm.base_fields
        mine = Opportunity.objects.permitted(self.user, "add_follow_up")
        kind = fields["kind"].label or FollowUp._meta.get_field("kind").verbose_name
        self.usual = FollowUpKind.to_begin_with(None)
        columns = [
            Column("opportunity", _("Opportunity"), Record(mine, "number", "name", required=True), required=True),
            Column("at", fields["at"].label, At(fields["at"]), required=True),
            Column(
                "content",
                fields["content"].label,
                Cell(fields["content"], FollowUp._meta.get_field("content")),
                required=True,
            ),
            Column("kind", kind, Few.of_picklist(FollowUpKind.objects.filter(active=True))),
        ]
        if allows(self.user, "import_past"):  # for others it is who adds them
            author = FollowUp._meta.get_field("owner").verbose_name
            columns.append(Column("owner", author, Person(User.objects.all())))
        return columns

    def build(self, values):
        author = values.get("owner") or self.user
        given = {"kind": values.get("kind") or self.usual, "owner": author, "created_by": author}
        follow_up = FollowUp(**values | given)
        if author != self.user and follow_up.at > timezone.now():
            follow_up.check_owner()
        return follow_up

    def identity(self, follow_up):
        return follow_up.opportunity_id, follow_up.at, follow_up.content

    def existing(self, follow_ups):
        about = {follow_up.opportunity_id for follow_up in follow_ups}
        moments = {follow_up.at for follow_up in follow_ups}
        known = FollowUp.objects.filter(opportunity__in=about, at__in=moments).select_related("opportunity", "kind")
        return by_identity((self.identity(follow_up), follow_up) for follow_up in known)

    def write(self, follow_ups):
        FollowUp.add_all(follow_ups, by=self.user, as_was="owner" in self.fields)
