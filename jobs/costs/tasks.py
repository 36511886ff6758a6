"""What queue messages name."""

import logging

from django.utils import timezone

from jobs import queue
from jobs.costs.reporting import report_write, reports_due

logger = logging.getLogger(__name__)

REPORT = "jobs.costs.tasks.report_months"


@queue.task
def report_months() -> None:
    """Write the monthly reports that are due."""
    now = timezone.now()
    for team in reports_due(now):
        try:
            report_write(team, now)
        except Exception:
            # The other teams' are worth writing; this one has its next chance in an hour.
            logger.exception("no monthly report was written", extra={"team": team.pk})
