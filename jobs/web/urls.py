"""The addresses of the pages, each section's in a module of its own with its whole paths."""

from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, include, path

SECTIONS = (
    "overview",
    "datasets",
    "templates",
    "jobs",
    "costs",
    "settings",
    "accounts",
    "health",
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include(f"jobs.web.urls_{section}"))
    for section in SECTIONS
    if find_spec(f"jobs.web.urls_{section}")
]
