"""Where the addresses lead: pages and API."""

from django.urls import URLPattern, URLResolver, include, path

from jobs.api.app import api

handler500 = "jobs.web.broken.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("jobs.web.urls")),
    path("api/v1/", api.urls),
]
