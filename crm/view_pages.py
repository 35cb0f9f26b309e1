"""The pages of the views of a list: which there are, keeping one, naming and sharing it, and the buttons of each."""

from functools import partial

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext, pgettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from crm.forms import Form, posted
from crm.pickers import DepartmentPicker
from crm.saved_views import LONGEST, SavedView, uses_of
from crm.verbs import Refused


def paths(listing, address):
    """This will give the addresses of the views of a list, a class of crm.pages.Listing."""
    name = listing.name
    a_page = require_http_methods(["GET", "HEAD", "POST"])

    def of(answer, allowed):
        return allowed(lambda request, **key: answer(listing(request), **key))

    return [
        path(address, of(views, require_safe), name=f"{name}_views"),
        path(f"{address}new/", of(new, a_page), name=f"{name}_view_new"),
        path(f"{address}<int:pk>/", of(change, a_page), name=f"{name}_view"),
        path(f"{address}<int:pk>/save/", of(save, require_POST), name=f"{name}_view_save"),
        path(f"{address}<int:pk>/copy/", of(copy, a_page), name=f"{name}_view_copy"),
        path(f"{address}<int:pk>/delete/", of(delete, a_page), name=f"{name}_view_delete"),
        *(
            path(f"{address}<int:pk>/{word}/", of(partial(do, word), require_POST), name=f"{name}_view_{word}")
            for word in ("pin", "unpin", "default", "no-default")
        ),
    ]


class NameForm(Form):
    """What a view is called."""

    name = forms.CharField(label=_("Name"), max_length=LONGEST)


class ViewForm(NameForm):
    """What a view is called, and who sees it besides its owner."""

    shared = forms.ChoiceField(
        label=_("Shared with"), choices=SavedView.Shared, widget=forms.RadioSelect, initial=SavedView.Shared.NOBODY
    )
    departments = DepartmentPicker(
        label=_("Departments"), many=True, required=False, help_text=_("Whoever works there or below has the view.")
    )

    def clean(self):
        given = super().clean()
        shared = given.get("shared")
        if shared == SavedView.Shared.DEPARTMENTS and not given.get("departments") and "departments" not in self.errors:
            self.add_error("departments", _("Choose the departments to share it with."))
        if shared != SavedView.Shared.DEPARTMENTS and "departments" in given:
            given["departments"] = []
        return given


def views(listing):
    """This will list the views of a list: one's own, and those that others share."""
    user = listing.user
    uses = {use.view_id: use for use in uses_of(user, listing.name)}
    deletable = set(SavedView.objects.deletable_by(user).of(listing.name).values_list("pk", flat=True))
    seen = SavedView.objects.visible_to(user).of(listing.name).select_related("owner").prefetch_related("departments")
    comma = pgettext("between the members of a list", ", ")
    rows = [
        {
            "view": view,
            "url": listing.address_of_view(view),
            "use": uses.get(view.pk),
            "mine": view.owner_id == user.pk,
            "deletable": view.pk in deletable,
            "departments": comma.join(str(one) for one in view.departments.all()),
        }
        for view in seen
    ]
    groups = [
        (gettext("Mine"), [row for row in rows if row["mine"]]),
        (gettext("Shared by others"), [row for row in rows if not row["mine"]]),
    ]
    return _render(listing, "views", groups=[group for group in groups if group[1]])


def new(listing):
    """This will keep what the list is asked now as a view."""
    form = ViewForm(posted(listing.request), user=listing.user)
    if form.is_valid():
        given = form.cleaned_data
        view = SavedView(listing=listing.name, name=given["name"], shared=given["shared"], **listing.held)
        try:
            view.create(by=listing.user, departments=given["departments"])
        except Refused as error:
            form.refuse(error)
        else:
            messages.success(listing.request, gettext("Saved as “%(name)s”.") % {"name": view})
            return redirect(listing.address_of_view(view))
    is_board = listing.layout_kept == "board"
    query = listing.asked(layout=None).urlencode()
    back = f"{listing.board_url}?{query}" if is_board else listing.address(listing.asked(layout=None))
    return _render(listing, "view_new", form=form, back=back, is_board=is_board)


def change(listing, pk):
    """This will give one's own view another name, or others to see it."""
    view = _find(listing, pk, SavedView.objects.changeable_by)
    initial = {"name": view.name, "shared": view.shared, "departments": [one.pk for one in view.departments.all()]}
    form = ViewForm(posted(listing.request), user=listing.user, initial=initial)
    if form.is_valid() and _done(form, view.change, **form.cleaned_data):
        messages.success(listing.request, gettext("Saved."))
        return redirect(listing.views_url)
    return _render(listing, "view", form=form, view=view)


def save(listing, pk):
    """This will let one's own view hold what the list is asked now."""
    view = _find(listing, pk, SavedView.objects.changeable_by)
    view.keep(by=listing.user, **listing.held)
    view.layout = listing.layout_kept
    said = (
        gettext("“%(name)s” is saved as the board is now.")
        if view.layout == "board"
        else gettext("“%(name)s” is saved as the list is now.")
    )
    messages.success(listing.request, said % {"name": view})
    return redirect(listing.address_of_view(view))


def copy(listing, pk):
    """This will give the reader a view of their own like one that they see."""
    view = _find(listing, pk)
    called = gettext("Copy of %(name)s") % {"name": view}
    form = NameForm(posted(listing.request), user=listing.user, initial={"name": called[:LONGEST]})
    if form.is_valid():
        try:
            made = view.copy(by=listing.user, name=form.cleaned_data["name"])
        except Refused as error:
            form.refuse(error)
        else:
            messages.success(listing.request, gettext("Saved as “%(name)s”.") % {"name": made})
            return redirect(listing.address_of_view(made))
    return _render(listing, "view_copy", form=form, view=view)


def delete(listing, pk):
    """This will ask, and then delete a view."""
    view = _find(listing, pk, SavedView.objects.deletable_by)
    if listing.request.method == "POST":
        view.delete_by(by=listing.user)
        messages.success(listing.request, gettext("“%(name)s” is deleted.") % {"name": view})
        return redirect(listing.views_url)
    return _render(listing, "view_delete", view=view)


def do(word, listing, pk):
    """This will do what a button beside a view says, which concerns nobody but who presses it."""
    view = _find(listing, pk)
    verbs = {"pin": view.pin, "unpin": view.unpin, "default": view.make_default, "no-default": view.unmake_default}
    verbs[word](by=listing.user)
    said = {
        "pin": gettext("“%(name)s” is a tab now."),
        "unpin": gettext("“%(name)s” is no tab any more."),
        "default": gettext("The list opens with “%(name)s” now."),
        "no-default": gettext("The list opens without a view again."),
    }
    messages.success(listing.request, said[word] % {"name": view} if "%" in said[word] else said[word])
    return redirect(listing.views_url)


def _done(form, verb, **values):
    try:
        verb(by=form.user, **values)
    except Refused as error:
        form.refuse(error)
        return False
    return True


def _find(listing, pk, allowed=None):
    """
    This will give a view of the list that its reader sees, and may do something with: what `allowed`, a method of the
    queryset, narrows to. Raises Http404, PermissionDenied.
    """
    views = SavedView.objects.of(listing.name).filter(pk=min(pk, 2**63 - 1))
    view = views.visible_to(listing.user).first()
    if view is None:
        raise Http404
    if allowed and not allowed(listing.user).filter(pk=view.pk).exists():
        raise PermissionDenied
    return view


def _render(listing, page, **context):
    status = getattr(context.get("form"), "status", 200)
    context |= {"listing": listing, "all_of_it": reverse(f"{listing.name}_views")}
    return render(listing.request, f"crm/views/{page}.html", context, status=status)
