"""The thin functions that queue messages name."""

from django.utils import timezone

from jobs import queue
from jobs.notices.delivering import deliver_due
from jobs.notices.of_budgets import note_budgets


@queue.task
def deliver() -> None:
    """Send what is due of mail and webhooks."""
    deliver_due(queue.stopping.is_set)


@queue.task
def look_at_budgets(looking_ahead: int) -> None:
    note_budgets(timezone.now(), looking_ahead=bool(looking_ahead))
