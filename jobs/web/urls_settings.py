"""Addresses of the settings."""

from django.urls import path

from jobs.web import (
    settings_audit,
    settings_budgets,
    settings_connections,
    settings_members,
    settings_prices,
    settings_reconciliation,
    settings_team,
    settings_tokens,
    settings_webhooks,
    settings_workers,
)

urlpatterns = [
    path("settings/", settings_team.settings_start, name="settings"),
    path("settings/connections/", settings_connections.connections, name="settings_connections"),
    path(
        "settings/connections/new/",
        settings_connections.connection_new,
        name="settings_connection_new",
    ),
    path(
        "settings/connections/<str:public_id>/",
        settings_connections.connection,
        name="settings_connection",
    ),
    path(
        "settings/connections/<str:public_id>/change/",
        settings_connections.connection_change,
        name="settings_connection_change",
    ),
    path(
        "settings/connections/<str:public_id>/test/",
        settings_connections.connection_try,
        name="settings_connection_test",
    ),
    path(
        "settings/connections/<str:public_id>/remove/",
        settings_connections.connection_take_away,
        name="settings_connection_remove",
    ),
    path("settings/budgets/", settings_budgets.budgets, name="budgets"),
    path("settings/budgets/set/", settings_budgets.budget_put, name="settings_budget_set"),
    path("settings/prices/", settings_prices.prices, name="settings_prices"),
    path("settings/prices/new/", settings_prices.price_new, name="settings_price_new"),
    path(
        "settings/reconciliation/", settings_reconciliation.accounts, name="settings_reconciliation"
    ),
    path(
        "settings/reconciliation/<slug:reconciliation_id>/",
        settings_reconciliation.account,
        name="settings_account",
    ),
    path(
        "settings/reconciliation/<slug:reconciliation_id>/apply/",
        settings_reconciliation.account_apply,
        name="settings_account_apply",
    ),
    path("settings/members/", settings_members.members, name="settings_members"),
    path("settings/members/new/", settings_members.member_new, name="settings_member_new"),
    path(
        "settings/members/<str:username>/role/",
        settings_members.member_role,
        name="settings_member_role",
    ),
    path(
        "settings/members/<str:username>/remove/",
        settings_members.member_take_out,
        name="settings_member_remove",
    ),
    path("settings/tokens/", settings_tokens.tokens, name="settings_tokens"),
    path("settings/tokens/new/", settings_tokens.token_new, name="settings_token_new"),
    path(
        "settings/tokens/<str:public_id>/revoke/",
        settings_tokens.token_take_back,
        name="settings_token_revoke",
    ),
    path("settings/webhooks/", settings_webhooks.webhooks, name="settings_webhooks"),
    path("settings/webhooks/new/", settings_webhooks.webhook_new, name="settings_webhook_new"),
    path("settings/webhooks/<str:webhook_id>/", settings_webhooks.webhook, name="settings_webhook"),
    path(
        "settings/webhooks/<str:webhook_id>/kinds/",
        settings_webhooks.webhook_kinds,
        name="settings_webhook_kinds",
    ),
    path(
        "settings/webhooks/<str:webhook_id>/test/",
        settings_webhooks.webhook_try,
        name="settings_webhook_test",
    ),
    path(
        "settings/webhooks/<str:webhook_id>/remove/",
        settings_webhooks.webhook_take_away,
        name="settings_webhook_remove",
    ),
    path("settings/workers/", settings_workers.workers, name="settings_workers"),
    path("settings/team/", settings_team.team, name="settings_team"),
    path("settings/audit/", settings_audit.audit, name="settings_audit"),
    path("settings/teams/", settings_team.teams, name="settings_teams"),
]
