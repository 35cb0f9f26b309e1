"""The pages of a handover: the list before, with who receives what; how far it is; and the summary after."""

from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from crm.forms import posted
from crm.models import User
from crm.permissions import require
from opportunities import handover as work
from opportunities.handover_forms import HandoverForm


@require_http_methods(["GET", "HEAD", "POST"])
def handover(request, pk):
    require(request.user, "administer")
    leaver = get_object_or_404(User.objects.select_related("department"), pk=pk)
    if request.method != "POST" and (job := work.running(leaver)):
        return redirect("handover_summary", leaver.pk, job.pk)
    form = HandoverForm(posted(request), user=request.user, leaver=leaver)
    if form.is_valid() and (job := form.start()):
        messages.success(request, _("The handover has begun."))
        return redirect("handover_summary", leaver.pk, job.pk)
    context = {"leaver": leaver, "form": form, "earlier": work.of(leaver)[:5]}
    return render(request, "opportunities/handover/before.html", context, status=form.status)


@require_safe
def handover_summary(request, pk, job):
    require(request.user, "administer")
    leaver = get_object_or_404(User, pk=pk)
    job = get_object_or_404(work.of(leaver).select_related("owner"), pk=job)
    context = {"leaver": leaver, "job": job}
    if request.htmx:
        answer = render(request, "opportunities/handover/_job.html", context)
        if job.ended:
            answer["HX-Refresh"] = "true"
        return answer
    moved, shown = job.result.get("moved", {}), job.result.get("shown", {})
    context["moved"] = [
        {"label": kind.label, "count": moved[kind.key], "lines": shown.get(kind.key, [])}
        for kind in work.KINDS
        if kind.key in moved
    ]
    context["left"] = sum(kind.held_by(leaver).count() for kind in work.KINDS)
    return render(request, "opportunities/handover/after.html", context)
