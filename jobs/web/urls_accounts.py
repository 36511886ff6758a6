"""Addresses of log-in, log-out and what belongs to the person at the browser."""

from django.urls import path

from jobs.web import accounts

urlpatterns = [
    path("accounts/login/", accounts.login, name="login"),
    path("accounts/logout/", accounts.logout, name="logout"),
    path("accounts/again/", accounts.logged_in, name="logged_in"),
    path("accounts/password/", accounts.password, name="password"),
    path("accounts/team/", accounts.team_switch, name="team_switch"),
]
