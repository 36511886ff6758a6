"""Who is at the browser, and for which team."""

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest

from jobs.models import Membership, Role, Team
from jobs.teams.access import Actor

SESSION_KEY = "team"


def teams_of(user: User) -> list[Team]:
    """The teams a person may work in; all of them for an installation admin."""
    if user.is_superuser:
        return list(Team.objects.order_by("name"))
    return list(Team.objects.filter(memberships__user=user).order_by("name"))


def actor_of(request: HttpRequest) -> Actor | None:
    """The person of a session in their current team; None without a log-in or without any team.

    The membership is read at each request: a role taken away is gone at once.
    """
    user = request.user
    if isinstance(user, AnonymousUser) or not user.is_active:
        return None
    teams = teams_of(user)
    chosen = request.session.get(SESSION_KEY)
    team = next((team for team in teams if team.public_id == chosen), teams[0] if teams else None)
    if team is None:
        return None
    role = Role.ADMIN
    if not user.is_superuser:
        role = Role(Membership.objects.get(user=user, team=team).role)
    return Actor(
        user=user,
        team=team,
        role=role,
        is_installation_admin=user.is_superuser,
        via="session",
        address=request.META.get("REMOTE_ADDR"),
    )
