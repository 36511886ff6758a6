"""Addresses of a person's notices."""

from django.urls import path

from jobs.web import notices

urlpatterns = [
    path("notices/", notices.notices, name="notices"),
    path("notices/read/", notices.notices_read, name="notices_read"),
    path("notices/<str:notice_id>/read/", notices.notice_read, name="notice_read"),
    path("accounts/notices/", notices.notice_preferences, name="notice_preferences"),
]
