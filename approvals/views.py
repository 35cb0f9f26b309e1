"""
The pages of tasks: what waits, one task with its decision, and the steps that nobody can decide.
"""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from approvals.bulk import TaskList
from approvals.forms import AssignForm, DecisionForm, ResubmissionForm
from approvals.models import Act, AlreadyHandled, Approval, RouteVersion, Task
from approvals.page import Page
from crm.permissions import allows, require
from crm.verbs import NotAllowed, Refused

ROWS = 50

DECIDED = {
    "finish": gettext_lazy("Approved “%(record)s” and finished."),
    "escalate": gettext_lazy("Approved “%(record)s” and escalated it to %(name)s."),
    "return": gettext_lazy("Returned “%(record)s” to %(name)s."),
}


@require_safe
def tasks(request):
    waiting = Task.objects.open_for(request.user)
    page = Paginator(waiting.with_rows(), ROWS).get_page(request.GET.get("page"))
    context = {"page": page, "oldest": waiting.first(), "listing": TaskList(request)}
    return render(request, "approvals/tasks.html", _tabs(request, "todo") | context)


@require_safe
def tasks_nobody(request):
    return _nobody(request)


@require_http_methods(["GET", "HEAD", "POST"])
def task(request, pk):
    page = Page(pk, request.user, to_act=request.method == "POST")
    if request.method != "POST":
        return _show(request, page, _form(page))
    if not page.task.is_open:
        return _handled(request, page, AlreadyHandled(page.task))
    if page.is_mine and page.task.kind == Task.Kind.DECIDE:
        return _decide(request, page)
    if page.may_revise and page.approval.act == Act.REPORT:
        return _resubmit(request, page)
    return _barred(request, page)


@require_POST
def task_assign(request, pk):
    page = Page(pk, request.user, "assign")
    if page.task.kind != Task.Kind.DECIDE:
        raise Http404
    form = AssignForm(request.POST, task=page.task, user=request.user)
    if not form.is_valid():
        return _nobody(request, form)
    to = form.cleaned_data["approver"]
    try:
        page.task.assign(to=to, by=request.user)
    except Refused as error:
        form.refuse(error)
        return _nobody(request, form, status=error.status)
    messages.success(request, _("Assigned “%(record)s” to %(name)s.") % {"record": page.record, "name": to})
    return redirect("tasks_nobody")


def _decide(request, page):
    form = DecisionForm(request.POST, page=page, user=request.user)
    if not form.is_valid():
        return _show(request, page, form) if page.may_decide else _barred(request, page)
    try:
        form.decide(by=request.user)
    except Refused as error:
        return _refused(request, page, form, error)
    decision, said = form.cleaned_data["decision"], {"record": page.record}
    if decision != "finish":
        said["name"] = form.cleaned_data["next_approver"] if decision == "escalate" else page.record.owner
    return _on(request, page, DECIDED[decision] % said)


def _resubmit(request, page):
    form = _form(page, request.POST)
    if not form.is_valid():
        return _show(request, page, form)
    given = form.cleaned_data
    try:
        page.record.report(by=request.user, approver=given["approver"], comment=given["comment"], seen=given["version"])
    except Refused as error:
        return _refused(request, page, form, error)
    said = {"record": page.record, "name": given["approver"]}
    return _on(request, page, _("Resubmitted “%(record)s” to %(name)s.") % said)


def _form(page, data=None):
    """This will give the form that the reader may fill in on this page, or None. A refusal stands in `page.locked`."""
    if page.may_decide:
        return DecisionForm(data, page=page, user=page.reader)
    if page.may_revise and page.approval.act == Act.REPORT:
        try:
            plan = Approval.plan(page.record, Act.REPORT, by=page.reader)
        except Refused as error:
            plan, page.locked = None, error.message
        return ResubmissionForm(data, plan=plan, user=page.reader)
    return None


def _show(request, page, form, *, status=200, **more):
    page.read_along()
    return render(request, "approvals/task.html", {"page": page, "form": form} | more, status=status)


def _refused(request, page, form, error):
    """
    This will bring the form back as it was filled in, beside what is there now; the next press decides about that.
    """
    again = Page(page.task.pk, request.user)
    if isinstance(error, AlreadyHandled):
        return _handled(request, again, error)
    fresh = _form(again, request.POST)
    if fresh is None or isinstance(error, NotAllowed):
        return _barred(request, again)
    fresh.is_valid()
    fresh.refuse(error)
    return _show(request, again, fresh, status=error.status)


def _handled(request, page, error):
    """This will say who was first, and keep what the reader wrote."""
    return _show(request, page, None, status=error.status, handled=error.message, kept=request.POST.get("comment", ""))


def _barred(request, page):
    """This will say whose it is to decide, and keep what the reader wrote."""
    return _show(request, page, None, status=NotAllowed.status, barred=True, kept=request.POST.get("comment", ""))


def _on(request, page, done):
    """This will go on to the next task, or to the list where nothing else waits, and say there what was done."""
    address = reverse("task", args=[page.task.pk])
    messages.success(request, format_html('<span>{}</span><a href="{}">{}</a>', done, address, _("See it")))
    return redirect("task", page.then) if page.then else redirect("tasks")


def _nobody(request, bound=None, *, status=200):
    require(request.user, "assign")
    stuck = Task.objects.nobody_can_decide().with_rows()
    stuck = stuck.select_related("step", "holder", "approval__owner", "approval__department")
    forms = [bound if bound and bound.task.pk == task.pk else AssignForm(task=task) for task in stuck]
    context = _tabs(request, "nobody") | {"forms": forms, "vacancies": RouteVersion.vacancies()}
    if bound and bound not in forms:
        context["gone"] = bound  # decided or assigned meanwhile, so it is in no row
    return render(request, "approvals/tasks_nobody.html", context, status=status)


def _tabs(request, current):
    """This will give the tabs of the lists, with their counts."""
    counts = {"todo": Task.objects.open_for(request.user).count()}
    if allows(request.user, "assign"):
        counts["nobody"] = Task.objects.nobody_can_decide().count()
    return {"current": current, "counts": counts}
