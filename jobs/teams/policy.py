"""Who may do what: one table of actions, one table of routes. A route that is not here fails a test.

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

Rule = Action | Literal["public", "logged_in"]
