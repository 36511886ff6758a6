"""What every page's frame shows."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Sum
from django.http import HttpRequest
from django.utils import timezone

from jobs.models import Job, Worker
from jobs.teams.sessions import actor_of, teams_of

CLUSTER_SEEN = timedelta(seconds=30)


def shell(request: HttpRequest) -> dict[str, Any]:
    """The context processor behind base.html."""
    theme = request.COOKIES.get("theme", "auto")
    frame: dict[str, Any] = {
        "environment": settings.ENVIRONMENT,
        "version": settings.VERSION,
        "theme": theme if theme in ("light", "dark", "auto") else "auto",
    }
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"shell": frame}
    actor = getattr(request, "actor", None) or actor_of(request)
    now = timezone.now()
    clusters = Worker.objects.filter(kind="cluster")
    live = [w for w in clusters if w.seen_at > now - CLUSTER_SEEN]
    newest = max((w.seen_at for w in clusters), default=None)
    frame |= {
        "team": actor.team if actor else None,
        "teams": teams_of(user),
        "role": actor.role if actor else None,
        "is_admin": actor is not None and actor.role == "admin",
        "workers_online": sum(w.detail.get("workers", 0) for w in live),
        "worker_heartbeat_age_s": (now - newest).total_seconds() if newest else None,
        "failed_open": (
            Job.objects.filter(team=actor.team, created_at__gt=now - timedelta(days=30)).aggregate(
                n=Sum("failed")
            )["n"]
            or 0
        )
        if actor
        else 0,
    }
    return {"shell": frame}
