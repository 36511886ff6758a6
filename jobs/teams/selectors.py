"""What the settings pages and the API read about a team."""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from jobs.models import ApiToken, AuditEvent, Connection, Job, JobStatus, Membership, Price, Worker
from jobs.teams.access import Actor

AUDIT_PAGE = 50  # lines of the log on a page: about three screens
# Workers that died are shown for a while, so that one sees that they did.
WORKERS_SHOWN_FOR = timedelta(hours=1)
WORKER_SEEN = timedelta(seconds=30)


def connection_list(actor: Actor) -> QuerySet[Connection]:
    """The team's connections that can be used, by name."""
    return Connection.objects.filter(team=actor.team, removed_at__isnull=True).order_by("name")


def unfinished_jobs_on(connection: Connection) -> int:
    """How many jobs would pause if this connection went."""
    over = [status for status in JobStatus if status.is_terminal]
    return Job.objects.filter(connection=connection).exclude(status__in=over).count()


def models_of(connection: Connection) -> list[str]:
    """Names to offer for this connection: what it said itself, then what has a price or was used."""
    priced = Price.objects.filter(
        Q(connection=connection) | Q(team=connection.team_id, connection__isnull=True)
    ).values_list("model", flat=True)
    used = (
        Job.objects.filter(connection=connection)
        .order_by("-id")
        .values_list("model", flat=True)[:200]
    )
    own = connection.capabilities.get("models", [])
    return list(dict.fromkeys([*used, *priced, *own]))


def member_list(actor: Actor) -> QuerySet[Membership]:
    found = Membership.objects.filter(team=actor.team).select_related("user")
    return found.order_by("user__username")


def token_list(actor: Actor) -> QuerySet[ApiToken]:
    """The actor's own tokens for this team, revoked ones too, newest first."""
    return ApiToken.objects.filter(team=actor.team, user=actor.user).order_by("-id")


@dataclass(frozen=True, slots=True)
class WorkerLine:
    worker: Worker
    alive: bool


def worker_list() -> list[WorkerLine]:
    """Processes seen of late, clusters first. They serve all teams."""
    now = timezone.now()
    seen = Worker.objects.filter(seen_at__gt=now - WORKERS_SHOWN_FOR).order_by(
        "kind", "host", "pid"
    )
    return [WorkerLine(one, one.seen_at > now - WORKER_SEEN) for one in seen]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Empty fields do not filter."""

    q: str = ""  # part of a person's name, an action, or a whole object id
    kind: str = ""  # one of `audit_kinds`
    before: int | None = None  # keyset: events older than this id


@dataclass(frozen=True, slots=True)
class AuditPage:
    events: list[AuditEvent]
    next_before: int | None


def audit_page(actor: Actor, wanted: AuditFilter) -> AuditPage:
    """The team's events, newest first."""
    events = AuditEvent.objects.filter(team=actor.team)
    if wanted.q:
        events = events.filter(
            Q(actor_name__icontains=wanted.q)
            | Q(action__icontains=wanted.q)
            | Q(object_id=wanted.q)
        )
    if wanted.kind:
        events = events.filter(action__startswith=f"{wanted.kind}.")
    if wanted.before is not None:
        events = events.filter(pk__lt=wanted.before)
    found = list(events.order_by("-pk")[: AUDIT_PAGE + 1])
    more = len(found) > AUDIT_PAGE
    return AuditPage(found[:AUDIT_PAGE], found[AUDIT_PAGE - 1].pk if more else None)


def audit_kinds(actor: Actor) -> list[str]:
    """The first words of the actions that occur: connection, job, member, …"""
    actions = AuditEvent.objects.filter(team=actor.team).values_list("action", flat=True).distinct()
    return sorted({action.partition(".")[0] for action in actions})
