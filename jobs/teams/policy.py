"""Who may do what: one table of actions, one of routes. A route that is not here fails a test.

Operators do the daily work and see all of their team; leads also see prices and set budgets; admins
also hold the keys, prices and members. An installation admin has every role in every team.
"""

from enum import StrEnum
from typing import Literal

from jobs.models import Role


class Action(StrEnum):
    DATASET_READ = "dataset.read"
    DATASET_WRITE = "dataset.write"
    TEMPLATE_READ = "template.read"
    TEMPLATE_WRITE = "template.write"
    JOB_READ = "job.read"
    JOB_LAUNCH = "job.launch"
    JOB_CONTROL = "job.control"
    RECORD_REPLAY = "record.replay"
    COST_READ = "cost.read"
    COST_EXPORT = "cost.export"
    MONTH_CLOSE = "month.close"
    CONNECTION_READ = "connection.read"
    CONNECTION_WRITE = "connection.write"
    BUDGET_READ = "budget.read"
    BUDGET_WRITE = "budget.write"
    PRICE_READ = "price.read"
    PRICE_WRITE = "price.write"
    LEDGER_CORRECT = "ledger.correct"
    MEMBER_READ = "member.read"
    MEMBER_WRITE = "member.write"
    TOKEN_OWN = "token.own"  # noqa: S105
    AUDIT_READ = "audit.read"
    WORKER_READ = "worker.read"
    TEAM_SETTINGS = "team.settings"
    WEBHOOK_WRITE = "webhook.write"


MINIMUM_ROLE: dict[Action, Role] = {
    Action.DATASET_READ: Role.OPERATOR,
    Action.DATASET_WRITE: Role.OPERATOR,
    Action.TEMPLATE_READ: Role.OPERATOR,
    Action.TEMPLATE_WRITE: Role.OPERATOR,
    Action.JOB_READ: Role.OPERATOR,
    Action.JOB_LAUNCH: Role.OPERATOR,
    Action.JOB_CONTROL: Role.OPERATOR,
    Action.RECORD_REPLAY: Role.OPERATOR,
    Action.COST_READ: Role.OPERATOR,
    Action.COST_EXPORT: Role.LEAD,
    Action.MONTH_CLOSE: Role.ADMIN,
    Action.CONNECTION_READ: Role.OPERATOR,
    Action.CONNECTION_WRITE: Role.ADMIN,
    Action.BUDGET_READ: Role.OPERATOR,
    Action.BUDGET_WRITE: Role.LEAD,
    Action.PRICE_READ: Role.OPERATOR,
    Action.PRICE_WRITE: Role.ADMIN,
    Action.LEDGER_CORRECT: Role.ADMIN,
    Action.MEMBER_READ: Role.LEAD,
    Action.MEMBER_WRITE: Role.ADMIN,
    Action.TOKEN_OWN: Role.OPERATOR,
    Action.AUDIT_READ: Role.ADMIN,
    Action.WORKER_READ: Role.OPERATOR,
    Action.TEAM_SETTINGS: Role.ADMIN,
    Action.WEBHOOK_WRITE: Role.ADMIN,
}

# "logged_in": any account, whatever its role. "installation_admin": a superuser, in a team or not.
Rule = Action | Literal["public", "logged_in", "installation_admin"]

# By the name of a page's address.
PAGES: dict[str, Rule] = {
    "login": "public",
    "logout": "logged_in",
    "logged_in": "logged_in",
    "password": "logged_in",
    "team_switch": "logged_in",
    "healthz": "public",
    "readyz": "public",
    "metrics": "public",
    "overview": Action.JOB_READ,
    "datasets": Action.DATASET_READ,
    "dataset": Action.DATASET_READ,
    "dataset_upload": Action.DATASET_WRITE,
    "dataset_read_again": Action.DATASET_WRITE,
    "dataset_rename": Action.DATASET_WRITE,
    "dataset_delete": Action.DATASET_WRITE,
    "templates": Action.TEMPLATE_READ,
    "template": Action.TEMPLATE_READ,
    "template_new": Action.TEMPLATE_WRITE,
    "template_edit": Action.TEMPLATE_WRITE,
    "template_diff": Action.TEMPLATE_READ,
    "template_rename": Action.TEMPLATE_WRITE,
    "template_archive": Action.TEMPLATE_WRITE,
    "jobs": Action.JOB_READ,
    "job": Action.JOB_READ,
    "job_compare": Action.JOB_READ,
    "job_compare_csv": Action.JOB_READ,
    "job_new": Action.JOB_LAUNCH,
    "job_estimate": Action.JOB_LAUNCH,
    "job_pause": Action.JOB_CONTROL,
    "job_resume": Action.JOB_CONTROL,
    "job_cancel": Action.JOB_CONTROL,
    "job_budget": Action.JOB_CONTROL,
    "job_results": Action.JOB_READ,
    "job_ledger": Action.JOB_READ,
    "job_revalue": Action.LEDGER_CORRECT,
    "record": Action.JOB_READ,
    "failures": Action.JOB_READ,
    "replay": Action.JOB_READ,
    "replay_new": Action.RECORD_REPLAY,
    "costs": Action.COST_READ,
    "costs_csv": Action.COST_READ,
    "costs_months": Action.COST_READ,
    "costs_report": Action.COST_READ,
    "costs_calibration": Action.COST_READ,
    "costs_month_close": Action.MONTH_CLOSE,
    "costs_focus": Action.COST_EXPORT,
    "costs_chargeback": Action.COST_EXPORT,
    "notices": Action.JOB_READ,
    "notices_read": Action.JOB_READ,
    "notice_read": Action.JOB_READ,
    "notice_preferences": "logged_in",
    "settings": "logged_in",
    "settings_connections": Action.CONNECTION_READ,
    "settings_connection": Action.CONNECTION_READ,
    "settings_connection_new": Action.CONNECTION_WRITE,
    "settings_connection_change": Action.CONNECTION_WRITE,
    "settings_connection_test": Action.CONNECTION_WRITE,
    "settings_connection_remove": Action.CONNECTION_WRITE,
    "budgets": Action.BUDGET_READ,
    "settings_budget_set": Action.BUDGET_WRITE,
    "settings_prices": Action.PRICE_READ,
    "settings_price_new": Action.PRICE_WRITE,
    "settings_reconciliation": Action.LEDGER_CORRECT,
    "settings_account": Action.LEDGER_CORRECT,
    "settings_account_apply": Action.LEDGER_CORRECT,
    "settings_members": Action.MEMBER_READ,
    "settings_member_new": Action.MEMBER_WRITE,
    "settings_member_role": Action.MEMBER_WRITE,
    "settings_member_remove": Action.MEMBER_WRITE,
    "settings_tokens": Action.TOKEN_OWN,
    "settings_token_new": Action.TOKEN_OWN,
    "settings_token_revoke": Action.TOKEN_OWN,
    "settings_workers": Action.WORKER_READ,
    "settings_team": Action.TEAM_SETTINGS,
    "settings_webhooks": Action.WEBHOOK_WRITE,
    "settings_webhook_new": Action.WEBHOOK_WRITE,
    "settings_webhook": Action.WEBHOOK_WRITE,
    "settings_webhook_kinds": Action.WEBHOOK_WRITE,
    "settings_webhook_test": Action.WEBHOOK_WRITE,
    "settings_webhook_remove": Action.WEBHOOK_WRITE,
    "settings_audit": Action.AUDIT_READ,
    "settings_teams": "installation_admin",
}
# By the operation's id in the OpenAPI document.
OPERATIONS: dict[str, Rule] = {
    "dataset_create": Action.DATASET_WRITE,
    "dataset_list": Action.DATASET_READ,
    "dataset_get": Action.DATASET_READ,
    "dataset_rows": Action.DATASET_READ,
    "template_save": Action.TEMPLATE_WRITE,
    "template_list": Action.TEMPLATE_READ,
    "template_get": Action.TEMPLATE_READ,
    "template_preview": Action.TEMPLATE_READ,
    "connection_list": Action.CONNECTION_READ,
    "connection_create": Action.CONNECTION_WRITE,
    "connection_test": Action.CONNECTION_WRITE,
    "price_list": Action.PRICE_READ,
    "price_set": Action.PRICE_WRITE,
    "job_launch": Action.JOB_LAUNCH,
    "launch_estimate": Action.JOB_LAUNCH,
    "job_list": Action.JOB_READ,
    "job_get": Action.JOB_READ,
    "job_pause": Action.JOB_CONTROL,
    "job_resume": Action.JOB_CONTROL,
    "job_cancel": Action.JOB_CONTROL,
    "job_revalue": Action.LEDGER_CORRECT,
    "reconciliation_read": Action.LEDGER_CORRECT,
    "reconciliation_get": Action.LEDGER_CORRECT,
    "reconciliation_apply": Action.LEDGER_CORRECT,
    "record_list": Action.JOB_READ,
    "record_get": Action.JOB_READ,
    "failure_list": Action.JOB_READ,
    "job_replay": Action.RECORD_REPLAY,
    "job_results": Action.JOB_READ,
    "budget_list": Action.BUDGET_READ,
    "budget_set": Action.BUDGET_WRITE,
    "job_budget": Action.JOB_CONTROL,
    "cost_list": Action.COST_READ,
    "cost_focus": Action.COST_EXPORT,
    "cost_chargeback": Action.COST_EXPORT,
    "month_list": Action.COST_READ,
    "month_close": Action.MONTH_CLOSE,
}
# The API's document and its page.
DOCUMENTS: dict[str, Rule] = {"openapi-json": "public", "openapi-view": "public"}
ROUTES: dict[str, Rule] = {**PAGES, **OPERATIONS, **DOCUMENTS}
