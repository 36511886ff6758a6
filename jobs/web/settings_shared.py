"""What the settings pages share: their tabs, and errors of services put beside the fields."""

from typing import Any

from django import forms
from django.http import HttpResponse
from django.shortcuts import render, resolve_url

from jobs.errors import Invalid
from jobs.teams.access import Actor
from jobs.teams.policy import MINIMUM_ROLE, Action
from jobs.web.pages import PageRequest

_TABS = (
    ("Connections", "settings_connections", Action.CONNECTION_READ),
    ("Budgets", "budgets", Action.BUDGET_READ),
    ("Prices", "settings_prices", Action.PRICE_READ),
    ("Reconciliation", "settings_reconciliation", Action.LEDGER_CORRECT),
    ("Members", "settings_members", Action.MEMBER_READ),
    ("API tokens", "settings_tokens", Action.TOKEN_OWN),
    ("Webhooks", "settings_webhooks", Action.WEBHOOK_WRITE),
    ("Workers", "settings_workers", Action.WORKER_READ),
    ("Answers kept", "settings_team", Action.TEAM_SETTINGS),
    ("Audit log", "settings_audit", Action.AUDIT_READ),
)


def settings_page(
    request: PageRequest, template: str, active: str, context: dict[str, Any], status: int = 200
) -> HttpResponse:
    """Render a settings page under the tabs that the person's role opens."""
    actor: Actor | None = getattr(request, "actor", None)
    tabs = [
        {"label": label, "url": resolve_url(name), "active": name == active}
        for label, name, action in _TABS
        if actor is not None and actor.may(action)
    ]
    if request.user.is_superuser:
        tabs.append(
            {
                "label": "Teams",
                "url": resolve_url("settings_teams"),
                "active": active == "settings_teams",
            }
        )
    return render(
        request, f"settings/{template}", {"settings_tabs": tabs, **context}, status=status
    )


def why_not(actor: Actor, action: Action) -> str:
    """The words on a button that the role does not reach; empty when it does."""
    if actor.may(action):
        return ""
    return f"Needs the role “{MINIMUM_ROLE[action].label.lower()}” in this team"


def put_errors(form: forms.Form, fault: Invalid) -> None:
    """Show each error of a service beside its field, or above the form where there is none."""
    for error in fault.errors:
        name = str(error.loc[-1]) if error.loc else ""
        form.add_error(name if name in form.fields else None, error.msg)
