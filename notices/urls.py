"""The addresses of messages, announcements and comments."""

from django.urls import path

from notices import document_views, file_views, recycle_views, views

urlpatterns = [
    path("messages/", views.messages_to_me, name="messages"),
    path("messages/read/", views.mark_read, name="messages_read"),
    path("messages/settings/", views.message_settings, name="message_settings"),
    path("messages/<int:pk>/", views.message, name="message"),
    path("announcements/", views.announcements, name="announcements"),
    path("announcements/new/", views.announcement_new, name="announcement_new"),
    path("announcements/<int:pk>/", views.announcement, name="announcement"),
    path("announcements/<int:pk>/edit/", views.announcement_edit, name="announcement_edit"),
    path("announcements/<int:pk>/confirm/", views.announcement_confirm, name="announcement_confirm"),
    path("announcements/<int:pk>/readers/", views.announcement_readers, name="announcement_readers"),
    path("announcements/<int:pk>/withdraw/", views.announcement_withdraw, name="announcement_withdraw"),
    path("files/<int:pk>/", file_views.file, name="file"),
    path("files/<int:pk>/preview/", file_views.file_preview, name="file_preview"),
    path("files/<int:pk>/delete/", file_views.file_delete, name="file_delete"),
    path("files/<slug:kind>/<int:pk>/", file_views.files_of, name="files_of"),
    path("files/<slug:kind>/<int:pk>/library/", document_views.library, name="library"),
    path("documents/", document_views.documents, name="documents"),
    path("documents/new/", document_views.document_new, name="document_new"),
    path("documents/<int:pk>/", document_views.document, name="document"),
    path("documents/<int:pk>/edit/", document_views.document_edit, name="document_edit"),
    path("documents/<int:pk>/history/", document_views.document_history, name="document_history"),
    path("documents/<int:pk>/delete/", document_views.document_delete, name="document_delete"),
    path("documents/links/<int:pk>/end/", document_views.link_end, name="document_unlink"),
    path("recycle/", recycle_views.recycle, name="recycle"),
    path("recycle/<int:pk>/restore/", recycle_views.restore, name="recycle_restore"),
    path("recycle/<int:pk>/delete/", recycle_views.delete_for_good, name="recycle_delete"),
    path("comments/<int:pk>/edit/", views.comment_edit, name="comment_edit"),
    path("comments/<int:pk>/delete/", views.comment_delete, name="comment_delete"),
]
