"""Where the addresses lead: pages and API."""

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [path("", include("jobs.web.urls"))]
if find_spec("jobs.api.urls"):
    urlpatterns.append(path("api/v1/", include("jobs.api.urls")))
