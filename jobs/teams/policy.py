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
    CONNECTION_READ = "connection.read"
    CONNECTION_WRITE = "connection.write"
    PRICE_READ = "price.read"
    PRICE_WRITE = "price.write"
    MEMBER_READ = "member.read"
    MEMBER_WRITE = "member.write"
    TOKEN_OWN = "token.own"  # noqa: S105
    AUDIT_READ = "audit.read"
    WORKER_READ = "worker.read"
    TEAM_SETTINGS = "team.settings"


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
    Action.CONNECTION_READ: Role.OPERATOR,
    Action.CONNECTION_WRITE: Role.ADMIN,
    Action.PRICE_READ: Role.OPERATOR,
    Action.PRICE_WRITE: Role.ADMIN,
    Action.MEMBER_READ: Role.LEAD,
    Action.MEMBER_WRITE: Role.ADMIN,
    Action.TOKEN_OWN: Role.OPERATOR,
    Action.AUDIT_READ: Role.ADMIN,
    Action.WORKER_READ: Role.OPERATOR,
    Action.TEAM_SETTINGS: Role.ADMIN,
}

# "logged_in": any account, whatever its role. "installation_admin": a superuser, in a team or not.
Rule = Action | Literal["public", "logged_in", "installation_admin"]

# By the name of a page's address.
PAGES: dict[str, Rule] = {
    "login": "public",
    "logout": "logged_in",
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
    "job_new": Action.JOB_LAUNCH,
    "job_estimate": Action.JOB_LAUNCH,
    "job_pause": Action.JOB_CONTROL,
    "job_resume": Action.JOB_CONTROL,
    "job_cancel": Action.JOB_CONTROL,
    "job_results": Action.JOB_READ,
    "record": Action.JOB_READ,
    "failures": Action.JOB_READ,
    "replay": Action.JOB_READ,
    "replay_new": Action.RECORD_REPLAY,
    "costs": Action.COST_READ,
    "costs_csv": Action.COST_READ,
}
# By the operation's id in the OpenAPI document.
OPERATIONS: dict[str, Rule] = {}
ROUTES: dict[str, Rule] = {**PAGES, **OPERATIONS}
