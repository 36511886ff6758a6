"""Who is at the browser, and for which team."""

from django.contrib.auth.models import AnonymousUser, User
from django.http import HttpRequest

from jobs.models import Membership, Role, Team
from jobs.teams.access import Actor

SESSION_KEY = "team"


def roles_of(user: User) -> dict[Team, Role]:
    """The teams a person may work in, by name, with their role; all for an installation admin."""
    if user.is_superuser:
        return dict.fromkeys(Team.objects.order_by("name"), Role.ADMIN)
    own = Membership.objects.filter(user=user).select_related("team").order_by("team__name")
    return {membership.team: Role(membership.role) for membership in own}


def teams_of(user: User) -> list[Team]:
    return list(roles_of(user))


def actor_of(request: HttpRequest) -> Actor | None:
    """The person of a session in their current team; None without a log-in or without any team.

    The memberships are read at each request: a role taken away is gone at once. Without a chosen
    team, or when the chosen one is no longer theirs, the first by name is the current one.
    """
    user = request.user
    if isinstance(user, AnonymousUser) or not user.is_active:
        return None
    roles = roles_of(user)
    if not roles:
        return None
    chosen = request.session.get(SESSION_KEY)
    team = next((team for team in roles if team.public_id == chosen), next(iter(roles)))
    return Actor(
        user=user,
        team=team,
        role=roles[team],
        is_installation_admin=user.is_superuser,
        via="session",
        address=request.META.get("REMOTE_ADDR") or None,
    )


def choose_team(request: HttpRequest, team: Team) -> None:
    """Make `team` the current one; whoever calls this has seen that it is the person's."""
    request.session[SESSION_KEY] = team.public_id
