"""The team itself: founded by an installation admin, set up by its own admins."""

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from jobs.errors import Invalid, NotAllowed
from jobs.models import KeepAnswers, Role, Team
from jobs.teams.access import Actor
from jobs.teams.audit import record
from jobs.teams.policy import Action


def team_create(*, user: User, name: str, address: str | None = None) -> Team:
    """A new team without members. Raises NotAllowed and Invalid."""
    if not user.is_superuser:
        raise NotAllowed("Only an admin of the installation makes teams.")
    name = name.strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise Invalid.field("name", "1 to 100 characters")
    try:
        with transaction.atomic():
            team = Team.objects.create(name=name)
            actor = Actor(
                user=user,
                team=team,
                role=Role.ADMIN,
                is_installation_admin=True,
                via="session",
                address=address,
            )
            record(actor, "team.create", team, name=name)
    except IntegrityError as error:
        raise Invalid.field("name", "There is a team of this name already") from error
    return team


def team_keep_answers(*, actor: Actor, policy: str) -> None:
    """Which raw answers the team keeps from now on; what is stored already stays."""
    actor.require(Action.TEAM_SETTINGS)
    if policy not in KeepAnswers.values:
        raise Invalid.field("keep_answers", f"One of {', '.join(KeepAnswers.values)}")
    with transaction.atomic():
        before, actor.team.keep_answers = actor.team.keep_answers, policy
        actor.team.save(update_fields=["keep_answers"])
        record(actor, "team.keep_answers", actor.team, before=before, after=policy)
