"""Addresses of datasets."""

from django.urls import path

from jobs.web import datasets

urlpatterns = [
    path("datasets/", datasets.datasets, name="datasets"),
    path("datasets/new/", datasets.dataset_upload, name="dataset_upload"),
    path("datasets/<slug:dataset_id>/", datasets.dataset, name="dataset"),
    path("datasets/<slug:dataset_id>/read/", datasets.read_again, name="dataset_read_again"),
    path("datasets/<slug:dataset_id>/rename/", datasets.rename, name="dataset_rename"),
    path("datasets/<slug:dataset_id>/delete/", datasets.delete, name="dataset_delete"),
]
