"""Addresses of prompt templates."""

from django.urls import path

from jobs.web import template_editor, templates

urlpatterns = [
    path("templates/", templates.templates, name="templates"),
    path("templates/new/", template_editor.template_new, name="template_new"),
    path("templates/<slug:template_id>/", templates.template, name="template"),
    path("templates/<slug:template_id>/edit/", template_editor.template_edit, name="template_edit"),
    path(
        "templates/<slug:template_id>/diff/<int:before>/<int:after>/",
        templates.template_diff,
        name="template_diff",
    ),
    path("templates/<slug:template_id>/rename/", templates.rename, name="template_rename"),
    path("templates/<slug:template_id>/archive/", templates.archive, name="template_archive"),
]
