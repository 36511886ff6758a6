"""The address of the overview."""

from django.urls import path

from jobs.web import overview

urlpatterns = [path("", overview.overview, name="overview")]
