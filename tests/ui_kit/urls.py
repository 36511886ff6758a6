"""Addresses of the gallery, and those of the product that the header of a page names."""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.ui_kit.gallery import act, bare, gallery, poll


def elsewhere(request: HttpRequest, rest: str = "") -> HttpResponse:
    return HttpResponse(f"<!doctype html><title>Elsewhere</title><p>{request.path}")


urlpatterns = [
    path("", gallery),
    path("gallery/", gallery, name="jobs"),
    path("act/", act),
    path("bare/<path:name>", bare),
    path("poll/", poll),
    path("x/<path:rest>", elsewhere),
    path("x/", elsewhere),
    path("favicon.ico", elsewhere),
    path("overview/", elsewhere, name="overview"),
    path("datasets/", elsewhere, name="datasets"),
    path("templates/", elsewhere, name="templates"),
    path("costs/", elsewhere, name="costs"),
    path("settings/", elsewhere, name="settings"),
    path("logout/", elsewhere, name="logout"),
    path("team/", elsewhere, name="team_switch"),
]
