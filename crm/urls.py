"""Every address of Pursuit: each app's own, and those of sign-in, profile and administration."""

from allauth.account import views as account
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from crm import dashboard, profile, quick, search, sign_in
from crm import help as help_pages
from crm.pickers import DepartmentPicker, PersonPicker

# What allauth would have edited there: sessions and second steps are their owner's, and an address would be a second
# door to a password.
admin.site.unregister([UserSession, EmailAddress, Authenticator])

handler400 = "crm.middleware.not_understood"
handler429 = "crm.sign_in.too_many"
handler500 = "crm.outages.broken"

urlpatterns = [
    path("", dashboard.home, name="home"),
    # Nobody signs up and addresses are part of the profile, so these are the only pages of allauth.
    path("accounts/login/", account.login, name="account_login"),
    path("accounts/logout/", account.logout, name="account_logout"),
    path("accounts/inactive/", account.account_inactive, name="account_inactive"),
    path("accounts/password/change/", account.password_change, name="account_change_password"),
    path("accounts/password/reset/", account.password_reset, name="account_reset_password"),
    path("accounts/password/reset/done/", account.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^accounts/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "accounts/password/reset/key/done/",
        account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("accounts/", include("crm.two_step_pages")),
    path("search/", search.search, name="search"),
    path("search/suggest/", search.suggest, name="search_suggest"),
    path("new/<slug:kind>/", quick.new, name="quick_new"),
    path("help/", help_pages.index, name="help"),
    path("help/<slug:area>/", help_pages.on, name="help_on"),
    path("profile/", profile.profile, name="profile"),
    path("profile/email/<str:token>/", profile.email_confirm, name="email_confirm"),
    path("profile/email/", profile.email_forget, name="email_forget"),
    path("profile/sessions/", profile.sessions_end, name="sessions_end"),
    path("people/<int:pk>/photo/<slug:digest>/", profile.photo, name="photo"),
    path("language/", profile.set_language, name="set_language"),
    path("appearance/", profile.set_theme, name="set_theme"),
    path("people/pick/", PersonPicker.as_view(), name="person_pick"),
    path("departments/pick/", DepartmentPicker.as_view(), name="department_pick"),
    # One door: the admin's own pages for signing in and out lead to ours.
    path("admin/login/", sign_in.to_sign_in),
    path("admin/logout/", account.logout),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin/", admin.site.urls),
    path("", include("crm.import_pages")),
    path("", include("crm.export_pages")),
    path("", include("crm.bulk_pages")),
    path("", include("crm.people_pages")),
    path("", include("crm.audit_pages")),
    path("", include("crm.organisation_pages")),
    path("", include("crm.picklist_pages")),
    path("", include("crm.custom_pages")),
    path("", include("notices.urls")),
    path("", include("approvals.urls")),
    path("", include("customers.urls")),
    path("", include("opportunities.urls")),
]
