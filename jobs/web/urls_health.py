"""Addresses for machines that watch: without a log-in, without redirects."""

from django.urls import path

from jobs.web import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
]
