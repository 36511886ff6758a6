"""Addresses of the costs."""

from django.urls import path

from jobs.web import costs

urlpatterns = [
    path("costs/", costs.costs, name="costs"),
    path("costs/costs.csv", costs.costs_csv, name="costs_csv"),
]
