"""What a person has been told, in the team they are in."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Count, QuerySet

from jobs.models import Delivery, NoticeCopy, Team, Webhook
from jobs.teams.access import Actor

PAGE_SIZE = 50
# The bell counts no further: it is a call to look, no statistic.
MOST_COUNTED = 99
RECENT = 20


@dataclass(frozen=True, slots=True)
class NoticePage:
    copies: list[NoticeCopy]
    next_before: int | None


def unread_count(user: User, team: Team) -> int:
    """Up to one more than `MOST_COUNTED`."""
    return _unread(user).filter(notice__team=team)[: MOST_COUNTED + 1].count()


def unread_elsewhere(actor: Actor) -> list[tuple[Team, int]]:
    """In the person's other teams, by name."""
    others = _unread(actor.user).exclude(notice__team=actor.team)
    counts = dict(others.values_list("notice__team").annotate(n=Count("pk")))
    teams = Team.objects.filter(pk__in=counts).order_by("name")
    return [(team, counts[team.pk]) for team in teams]


def notice_page(actor: Actor, *, unread: bool, before: int | None) -> NoticePage:
    """Newest first; `before` is the `next_before` of the page before."""
    found = _unread(actor.user) if unread else NoticeCopy.objects.filter(user=actor.user)
    found = found.filter(notice__team=actor.team).select_related("notice").order_by("-notice_id")
    if before is not None:
        found = found.filter(notice_id__lt=before)
    copies = list(found[: PAGE_SIZE + 1])
    more = len(copies) > PAGE_SIZE
    return NoticePage(copies[:PAGE_SIZE], copies[PAGE_SIZE - 1].notice_id if more else None)


def webhooks_of(actor: Actor) -> list[Webhook]:
    return list(Webhook.objects.filter(team=actor.team, removed_at__isnull=True).order_by("id"))


def recent_deliveries(webhook: Webhook) -> list[Delivery]:
    return list(webhook.deliveries.select_related("notice").order_by("-notice_id")[:RECENT])


def _unread(user: User) -> QuerySet[NoticeCopy]:
    return NoticeCopy.objects.filter(user=user, read_at__isnull=True)
