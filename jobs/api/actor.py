"""Who calls: a bearer token's user, in the token's team."""

from django.http import HttpRequest
from ninja.security import HttpBearer

from jobs.teams.access import Actor
from jobs.teams.policy import Action
from jobs.teams.tokens import actor_of_token


class Bearer(HttpBearer):
    """`request.auth` becomes the Actor; anything else is a 401."""

    def authenticate(self, request: HttpRequest, token: str) -> Actor | None:
        return actor_of_token(token, request.META.get("REMOTE_ADDR"))


def actor_for(request: HttpRequest, action: Action) -> Actor:
    """The caller, who may do this. Raises NotAllowed."""
    actor: Actor = request.auth  # type: ignore[attr-defined]
    actor.require(action)
    return actor
