"""The addresses of the pages, each section's in a module of its own with its whole paths."""

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("jobs.web.urls_overview")),
    path("", include("jobs.web.urls_datasets")),
    path("", include("jobs.web.urls_templates")),
    path("", include("jobs.web.urls_jobs")),
    path("", include("jobs.web.urls_costs")),
    path("", include("jobs.web.urls_notices")),
    path("", include("jobs.web.urls_settings")),
    path("", include("jobs.web.urls_accounts")),
    path("", include("jobs.web.urls_health")),
]
