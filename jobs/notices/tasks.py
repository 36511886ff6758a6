"""The thin function that queue messages name."""

from jobs import queue
from jobs.notices.delivering import deliver_due


@queue.task
def deliver() -> None:
    """Send what is due of mail and webhooks."""
    deliver_due(queue.stopping.is_set)
