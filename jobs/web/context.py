"""What every page's frame shows."""

from datetime import datetime, timedelta
from functools import cached_property

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Sum
from django.http import HttpRequest
from django.utils import timezone

from jobs.models import Job, Role, Team, Worker
from jobs.notices.selectors import unread_count
from jobs.teams.access import Actor
from jobs.teams.sessions import actor_of, teams_of

# A cluster says that it lives every few seconds; half a minute of silence is no hiccup any more.
CLUSTER_SEEN = timedelta(seconds=30)
# Failures of older jobs are history, no call to act.
FAILURES_SINCE = timedelta(days=30)


class Shell:
    """The values of the frame, each computed when a template asks for it: a polled fragment without
    the frame costs no query."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.environment = settings.ENVIRONMENT
        self.version = settings.VERSION
        self.display = settings.DISPLAY
        theme = request.COOKIES.get("theme", "auto")
        self.theme = theme if theme in ("light", "dark", "auto") else "auto"

    @cached_property
    def user(self) -> User | None:
        user = getattr(self._request, "user", None)
        return user if user is not None and user.is_authenticated else None

    @cached_property
    def actor(self) -> Actor | None:
        if self.user is None:
            return None
        return getattr(self._request, "actor", None) or actor_of(self._request)

    @cached_property
    def team(self) -> Team | None:
        return self.actor.team if self.actor else None

    @cached_property
    def teams(self) -> list[Team]:
        return teams_of(self.user) if self.user else []

    @cached_property
    def role(self) -> Role | None:
        return self.actor.role if self.actor else None

    @cached_property
    def is_admin(self) -> bool:
        return self.role == Role.ADMIN

    @cached_property
    def _clusters(self) -> list[Worker]:
        return list(Worker.objects.filter(kind="cluster")) if self.user else []

    @cached_property
    def workers_online(self) -> int | None:
        """Worker processes of the clusters whose heartbeat is fresh; None for a stranger."""
        if self.user is None:
            return None
        since = timezone.now() - CLUSTER_SEEN
        return sum(
            int(one.detail.get("workers", 1)) for one in self._clusters if one.seen_at > since
        )

    @cached_property
    def worker_heartbeat_age_s(self) -> float | None:
        """Seconds since any cluster was seen; None when there never was one."""
        newest: datetime | None = max((one.seen_at for one in self._clusters), default=None)
        return (timezone.now() - newest).total_seconds() if newest else None

    @cached_property
    def unread(self) -> int:
        """Notices of the person in this team; see `MOST_COUNTED`."""
        return unread_count(self.user, self.team) if self.user and self.team else 0

    @cached_property
    def failed_open(self) -> int:
        """Records that stand as failed in the team's jobs of late."""
        if self.team is None:
            return 0
        since = timezone.now() - FAILURES_SINCE
        failed = Job.objects.filter(team=self.team, created_at__gt=since, failed__gt=0)
        return failed.aggregate(n=Sum("failed"))["n"] or 0


def shell(request: HttpRequest) -> dict[str, Shell]:
    """The context processor behind base.html."""
    return {"shell": Shell(request)}
