"""The only ways by which a page or the API gets at an object: always within the actor's team.

An object of another team and one that does not exist are told as one.
"""

from dataclasses import dataclass
from typing import Literal

from django.contrib.auth.models import User
from django.db.models import Model, Q, QuerySet

from jobs.errors import NotAllowed, NotFound
from jobs.models import (
    ApiToken,
    Connection,
    Dataset,
    Job,
    Membership,
    NoticeCopy,
    Price,
    PromptTemplate,
    Reconciliation,
    Replay,
    Role,
    Team,
    TemplateVersion,
    Webhook,
)
from jobs.teams.policy import MINIMUM_ROLE, Action


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, for which team, and how they came."""

    user: User
    team: Team
    role: Role
    is_installation_admin: bool
    via: Literal["session", "token", "command"]
    address: str | None = None

    def may(self, action: Action) -> bool:
        return self.role.rank >= MINIMUM_ROLE[action].rank

    def require(self, action: Action) -> None:
        """Raises NotAllowed."""
        if not self.may(action):
            needed = MINIMUM_ROLE[action].label.lower()
            raise NotAllowed(
                f"This needs the role “{needed}” in the team {self.team.name}; "
                f"yours is “{self.role.label.lower()}”."
            )


def _one[M: Model](found: QuerySet[M], kind: str, public_id: object) -> M:
    instance = found.first()
    if instance is None:
        raise NotFound(f"There is no {kind} “{str(public_id)[:40]}”.")
    return instance


def dataset_for(actor: Actor, public_id: str) -> Dataset:
    return _one(Dataset.objects.filter(team=actor.team, public_id=public_id), "dataset", public_id)


def template_for(actor: Actor, public_id: str) -> PromptTemplate:
    return _one(
        PromptTemplate.objects.filter(team=actor.team, public_id=public_id), "template", public_id
    )


def template_version_for(
    actor: Actor, public_id: str, version: int | None = None
) -> TemplateVersion:
    """A version of a template; the latest without a number."""
    template = template_for(actor, public_id)
    wanted = template.latest_version if version is None else version
    found = template.versions.select_related("template").filter(version=wanted).first()
    if found is None:
        raise NotFound(
            f"The template “{template.name}” has no version {wanted}; its latest is "
            f"{template.latest_version}."
        )
    return found


def connection_for(actor: Actor, public_id: str) -> Connection:
    return _one(
        Connection.objects.filter(team=actor.team, public_id=public_id, removed_at__isnull=True),
        "connection",
        public_id,
    )


def job_for(actor: Actor, public_id: str) -> Job:
    return _one(
        Job.objects.select_related(
            "team", "dataset", "template_version__template", "connection", "created_by"
        ).filter(team=actor.team, public_id=public_id),
        "job",
        public_id,
    )


def replay_for(actor: Actor, job: Job, public_id: str) -> Replay:
    found = Replay.objects.select_related("template_version__template", "connection", "created_by")
    return _one(
        found.filter(job=job, job__team=actor.team, public_id=public_id), "replay", public_id
    )


def reconciliation_for(actor: Actor, public_id: str) -> Reconciliation:
    found = Reconciliation.objects.select_related("connection", "created_by", "applied_by")
    return _one(found.filter(team=actor.team, public_id=public_id), "account", public_id)


def price_for(actor: Actor, public_id: str) -> Price:
    """An own price of the team, or one of the shipped list."""
    found = Price.objects.select_related("connection").filter(public_id=public_id)
    return _one(found.filter(Q(team=actor.team) | Q(team__isnull=True)), "price", public_id)


def membership_for(actor: Actor, username: str) -> Membership:
    found = Membership.objects.select_related("user", "team")
    return _one(found.filter(team=actor.team, user__username=username), "member", username)


def token_for(actor: Actor, public_id: str) -> ApiToken:
    """One of the actor's own tokens for this team; nobody else's."""
    found = ApiToken.objects.filter(team=actor.team, user=actor.user, public_id=public_id)
    return _one(found, "token", public_id)


def notice_copy_for(actor: Actor, public_id: str) -> NoticeCopy:
    """The actor's own copy; nobody else's."""
    found = NoticeCopy.objects.filter(
        user=actor.user, notice__team=actor.team, notice__public_id=public_id
    )
    return _one(found, "notice", public_id)


def webhook_for(actor: Actor, public_id: str) -> Webhook:
    found = Webhook.objects.select_related("team").filter(
        team=actor.team, public_id=public_id, removed_at__isnull=True
    )
    return _one(found, "webhook", public_id)


def team_for(actor: Actor, public_id: str) -> Team:
    """The actor's own team, or any one for an installation admin."""
    found = Team.objects.filter(public_id=public_id)
    if not actor.is_installation_admin:
        found = found.filter(pk=actor.team.pk)
    return _one(found, "team", public_id)
