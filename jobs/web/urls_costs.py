"""Addresses of the costs."""

from django.urls import path

from jobs.web import costs, costs_calibration, costs_months, costs_report

urlpatterns = [
    path("costs/", costs.costs, name="costs"),
    path("costs/costs.csv", costs.costs_csv, name="costs_csv"),
    path("costs/focus.csv", costs_months.focus_csv, name="costs_focus"),
    path("costs/chargeback.csv", costs_months.chargeback_csv, name="costs_chargeback"),
    path("costs/report/", costs_report.report, name="costs_report"),
    path("costs/calibration/", costs_calibration.costs_calibration, name="costs_calibration"),
    path("costs/months/", costs_months.months, name="costs_months"),
    path("costs/months/<str:month>/close/", costs_months.close, name="costs_month_close"),
]
